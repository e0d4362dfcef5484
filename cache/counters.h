/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache's counters, one set a worker, about the shards that it owns. */
#ifndef CORAL_CACHE_COUNTERS_H
#define CORAL_CACHE_COUNTERS_H

#include "base/counter.h"

/* clang-format off */
#define CACHE_COUNTERS(X)                                                                          \
    X(cache_objects, "objects", "Objects in the index")                                            \
    X(cache_held_objects, "objects", "Objects taken, with those unlinked and not yet freed")       \
    X(cache_chunks, "chunks", "Chunks of 4 KiB that this worker's share has")                      \
    X(cache_chunks_used, "chunks", "Chunks taken by bodies and their maps")                        \
    X(cache_cell_chunks, "chunks", "Of these, chunks that are cut into lines for tails and small bodies") \
    X(cache_cell_bytes, "bytes", "Lines of them that are taken")                                   \
    X(cache_body_bytes, "bytes", "Body bytes held")                                                \
    X(cache_heap_bytes, "bytes", "Bytes of heads, and of keys beyond their 64th")                  \
    X(cache_overflow_buckets, "buckets", "Overflow buckets of the index that are taken")           \
    X(cache_budget_bytes, "bytes", "This worker's share of cache.memory")                          \
    X(cache_mapped_bytes, "bytes", "Of it, bytes that are mapped: chunks, tables, heads")          \
    X(cache_retired_objects, "objects", "Objects unlinked that wait for readers")                  \
    X(cache_draining_bytes, "bytes", "Of bodies, that readers of retired objects alone hold")        \
    X(cache_draining_asked_total, "objects", "Objects that readers were asked to let go of")       \
    X(cache_begun_total, "objects", "Objects begun")                                               \
    X(cache_bytes_total, "bytes", "Body bytes appended")                                           \
    X(cache_placed_bytes_total, "bytes", "Of these, bytes that lay in their place already")         \
    X(cache_completed_total, "objects", "Objects completed")                                       \
    X(cache_failed_total, "objects", "Fills that failed")                                          \
    X(cache_length_wrong_total, "objects", "Fills that failed since the length was not as said")   \
    X(cache_linked_total, "objects", "Objects put into the index")                                 \
    X(cache_replaced_total, "objects", "Objects replaced by a newer one of the same key")          \
    X(cache_settled_total, "objects",                                                              \
      "Objects of unknown length that gave back what they did not need")                           \
    X(cache_refreshed_total, "objects", "Objects made fresh again by a 304")                       \
    X(cache_unlinked_total, "objects", "Objects unlinked by purge, damage or failure")             \
    X(cache_damaged_total, "objects", "Objects dropped for a wrong checksum")                      \
    X(cache_scrubbed_bytes_total, "bytes", "Body bytes that the scrub has verified")               \
    X(cache_scrub_rounds_total, "rounds", "Times that the scrub has seen all objects")             \
    X(cache_purges_total, "purges", "Purges by prefix, tag or host, and of all, taken")            \
    X(cache_purges_refused_total, "purges", "Of these, refused: too many were being applied")      \
    X(cache_purge_rules, "rules", "Rules that purges have left, forgotten when the table is full") \
    X(cache_purged_total, "objects", "Objects removed by them")                                    \
    X(cache_purged_stale_total, "objects", "Objects made stale by soft purges")                    \
    X(cache_purged_fills_total, "objects", "Objects not kept: purged while they came")             \
    X(cache_tags_excess_total, "objects", "Objects with too many or too long tags")                \
    X(cache_evicted_total, "objects", "Objects evicted")                                           \
    X(cache_evicted_useless_total, "objects", "Of these, objects that were of no more use")        \
    X(cache_evicted_bytes_total, "bytes", "Bytes of the objects evicted")                          \
    X(cache_displaced_total, "objects", "Objects evicted because their index buckets were full")   \
    X(cache_ghost_hits_total, "objects", "Objects readmitted soon after their eviction")           \
    X(cache_freed_total, "objects", "Objects freed")                                               \
    X(cache_no_chunk_total, "appends", "Appends cut short: no chunk free")                         \
    X(cache_no_object_total, "objects", "Objects refused: table or heap share full")               \
    X(cache_crowded_total, "objects", "Objects refused: too large beside others that fill")        \
    X(cache_too_large_total, "objects", "Objects refused or cut: body, key or head over the limit")
/* clang-format on */

COUNTER_STRUCT(cache_counters, CACHE_COUNTERS)

#endif

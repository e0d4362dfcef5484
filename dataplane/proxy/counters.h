/* SPDX-License-Identifier: BSD-3-Clause */
/* What the proxy counts; one struct a worker (base/counter.h). */
#ifndef CORAL_PROXY_COUNTERS_H
#define CORAL_PROXY_COUNTERS_H

#include "base/counter.h"

#define PROXY_COUNTERS(X)                                                                          \
    X(proxy_requests_total, "requests", "Client requests taken")                                   \
    X(proxy_peer_requests_total, "requests", "Requests of authenticated peers taken")              \
    X(proxy_hits_total, "requests", "Requests answered from this node's cache")                    \
    X(proxy_from_peer_total, "requests", "Requests answered by a fill from a peer")                \
    X(proxy_from_origin_total, "requests", "Requests answered by a fill from the origin")          \
    X(proxy_collapsed_total, "requests", "Requests that joined a fill in flight")                  \
    X(proxy_stale_total, "requests", "Requests answered with a stale copy")                        \
    X(proxy_behind_total, "fills", "Fills begun behind a stale copy (stale-while-revalidate)")     \
    X(proxy_pass_total, "requests", "Requests answered with an uncacheable response")              \
    X(proxy_vary_again_total, "requests", "Requests sent back: the response varies by theirs")     \
    X(proxy_variants_full_total, "responses", "Variants not stored: their URL has the most")       \
    X(proxy_variants_shared_total, "requests",                                                     \
      "Requests answered with a variant of who accepts more codings")                              \
    X(proxy_slices_total, "slices", "Slices of large objects that were fetched")                   \
    X(proxy_slices_ahead_total, "fills",                                                           \
      "Fills of a slice begun while the one before it was sent")                                   \
    X(proxy_slices_refused_total, "responses", "Parts that were no slice: no strong ETag, Vary")   \
    X(proxy_invalidations_total, "URLs", "URLs invalidated by unsafe requests")                    \
    X(proxy_plain_full_total, "requests",                                                          \
      "Requests answered from the cache with a head of their own: no place for a shared one")      \
    X(proxy_not_modified_total, "requests", "Requests answered 304 from the cache")                \
    X(proxy_ranges_total, "requests", "Requests answered 206 from the cache")                      \
    X(proxy_multipart_total, "requests", "Of them, those with several parts")                      \
    X(proxy_refused_total, "requests", "Requests refused by policy: host, method, loop")           \
    X(proxy_loops_total, "requests", "Requests refused: they have been through this network")      \
    X(proxy_denied_total, "requests", "Requests refused by the deny list")                         \
    X(proxy_rules_denied_total, "requests", "Requests denied by rules")                            \
    X(proxy_rules_redirected_total, "requests", "Requests redirected by rules")                    \
    X(proxy_rules_limited_total, "requests", "Requests answered 429: beyond a rule's rate")        \
    X(proxy_share_redirected_total, "requests",                                                    \
      "Requests sent home: their site is over its share")                                          \
    X(proxy_share_refused_total, "requests",                                                       \
      "Requests answered 403: their site is over its share")                                       \
    X(proxy_sent_home_total, "responses", "Responses of origins that send visitors home")          \
    X(proxy_busy_total, "requests", "Requests answered 503: a table was full")                     \
    X(proxy_shed_fetches_total, "requests",                                                        \
      "Requests answered 503 for overload: not in the cache, or for the origin alone")             \
    X(proxy_shed_waits_total, "requests",                                                          \
      "Likewise: to wait for a fetch, or with several ranges, or to be unpacked")                  \
    X(proxy_shed_hits_total, "requests", "Likewise: in the cache, on connections not served yet")  \
    X(proxy_shed_level, "classes", "Of these three, how many are refused now, in part or whole")   \
    X(proxy_bad_gateway_total, "requests", "Requests answered 502")                                \
    X(proxy_timeouts_total, "requests", "Requests answered 504")                                   \
    X(proxy_aborted_total, "requests", "Responses reset, since their object failed")               \
    X(proxy_gone_total, "requests", "Clients that left before their response ended")               \
    X(proxy_peer_refused_total, "requests", "Peer requests refused: not here, or a loop")          \
    X(proxy_peer_bad_mac_total, "fields", "Coral-Peer fields that were malformed or forged")       \
    X(proxy_client_bytes_total, "bytes", "Body bytes queued to clients")                           \
    X(proxy_peer_out_bytes_total, "bytes", "Body bytes queued to peers")                           \
    X(proxy_peer_in_bytes_total, "bytes", "Body bytes received from peers")                        \
    X(proxy_origin_in_bytes_total, "bytes", "Body bytes received from origins")                    \
    X(proxy_origin_requests_total, "requests", "Requests sent to origins")                         \
    X(proxy_peer_asks_total, "requests", "Requests sent to peers")                                 \
    X(proxy_origin_failures_total, "requests", "Requests to origins that failed")                  \
    X(proxy_peer_failures_total, "requests", "Requests to peers that failed or were refused")      \
    X(proxy_index_again_total, "fills", "Fills that asked the index twice: no holder was true")    \
    X(proxy_index_again_found_total, "fills", "Of them, those that then had it from a peer")       \
    X(proxy_origin_forbidden_total, "addresses", "Origin addresses refused after resolution")      \
    X(proxy_origin_backoff_total, "requests", "Origin requests not made: it failed just before")   \
    X(proxy_origin_queued_total, "fills",                                                          \
      "Fills that waited for their origin: as many as may ran")                                    \
    X(proxy_origin_queue_full_total, "fills", "Fills that might not: too many waited")             \
    X(proxy_origin_queue_timeouts_total, "fills", "Fills that waited in vain")                     \
    X(proxy_origin_queue_left_total, "fills", "Fills that waited, and nobody for them any more")   \
    X(proxy_origin_retries_total, "requests", "Requests to origins after one that failed")         \
    X(proxy_origin_retries_refused_total, "fills", "Fills that failed: too many retries already")  \
    X(proxy_origin_opened_total, "origins", "Times that an origin was left alone for a while")     \
    X(proxy_origin_probes_total, "requests", "Requests to find out whether it is good again")      \
    X(proxy_origins_open, "origins", "Sites' origins that this worker leaves alone for now")       \
    X(proxy_health_probes_total, "requests", "Requests to origins to find out how they are")       \
    X(proxy_health_bad_total, "requests", "Of them, those that found out nothing good")            \
    X(proxy_health_down, "origins", "Origins that are down by these, asked by this worker")        \
    X(proxy_fills_total, "fills", "Fills begun")                                                   \
    X(proxy_fills_complete_total, "fills", "Fills that ended with a whole object")                 \
    X(proxy_fills_failed_total, "fills", "Fills that failed")                                      \
    X(proxy_fills_resumed_total, "fills", "Times that a fill went on from another source")         \
    X(proxy_fills_starved_total, "fills", "Fills that failed for lack of cache memory")            \
    X(proxy_revalidated_total, "fills", "Stale copies that the origin confirmed")                  \
    X(proxy_coded_total, "fills", "Fills whose body was gzipped on the way into the cache")        \
    X(proxy_coded_in_bytes_total, "bytes", "Their body bytes as the source sent them")             \
    X(proxy_coded_out_bytes_total, "bytes", "And as they were stored")                             \
    X(proxy_coders_full_total, "fills", "Fills not gzipped: so many were at once")                 \
    X(proxy_decoded_total, "requests", "Answered with what is stored as gzip, unpacked")           \
    X(proxy_decoders_full_total, "requests", "Not unpacked: so many were at once")                 \
    X(proxy_pins_total, "pins", "Times that a worker pinned an object to send from it")            \
    X(proxy_let_go_copied_total, "connections", "Unsent bytes copied: their object was let go")    \
    X(proxy_let_go_resumed_total, "requests", "Rests fetched from the origin: likewise")           \
    X(proxy_let_go_cut_total, "connections", "Connections reset: likewise, and they took nothing") \
    X(proxy_purges_total, "purges", "Purges of URLs that were here or being fetched")              \
    X(proxy_purges_vain_total, "purges", "Purges of URLs that were not")                           \
    X(proxy_messages_kept_total, "messages", "Messages that waited for a full ring")               \
    X(proxy_references_full_total, "references", "References not renewed: the list was full")      \
    X(proxy_restored_total, "objects", "Objects taken over from before the start")                 \
    X(proxy_restored_bytes_total, "bytes", "Their body bytes")                                     \
    X(proxy_restore_newer_total, "objects",                                                        \
      "Not taken over: it, or another list of variants, was there")                                \
    X(proxy_restore_again_total, "objects", "Primaries that came with a further variant")          \
    X(proxy_restore_old_total, "objects", "Not taken over: too old by now to be served")           \
    X(proxy_restore_no_room_total, "objects", "Not taken over: it would have pushed others out")   \
    X(proxy_restore_too_large_total, "objects",                                                    \
      "Objects of an earlier run larger than what is free")                                        \
    X(proxy_fills, "fills", "Fills in flight")                                                     \
    X(proxy_requests, "requests", "Requests in flight")                                            \
    X(proxy_references, "references", "References of this worker's objects in the index")

COUNTER_STRUCT(proxy_counters, PROXY_COUNTERS)

#endif

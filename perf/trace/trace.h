/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-trace: what a policy of eviction would have missed. A trace is a list of requests in
 * memory, read or generated; a policy is asked about each of them in turn.
 *
 *   file ------> parse.c ----.                               lru.c sieve.c s3fifo.c tinylfu.c
 *                            +--> trace.c --> simulate.c --> gdsf.c coral.c     belady.c pfoo.c
 *   generate.c, day.c -------'       |
 *   (popularity.c, sizes.c)          '--> write.c
 *
 * Objects are numbered as they come, so that a policy keeps what it knows of them in an array by
 * number, and none needs a hash table.
 */
#ifndef CORAL_PERF_TRACE_H
#define CORAL_PERF_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_NONE         UINT32_MAX /* no object; no next request */
#define TRACE_REQUESTS_MAX 2000000000u

struct trace_request {
    uint32_t time_s, object, bytes; /* bytes: at least 1 */
};

struct trace {
    struct trace_request *request;
    uint32_t requests, requests_max, requests_room;
    uint64_t *id;          /* by object: what the trace calls it */
    uint32_t *first_bytes; /* by object: its size when it was first asked for */
    uint32_t objects, objects_room;
    uint32_t *slot,
        slots;      /* id -> 1 + object; open addressing, a power of two, at most half full */
    uint32_t *next; /* by request: the next one for the same object. By trace_finish */

    uint64_t footprint_bytes; /* of all objects, at their first sizes */
    uint64_t requested_bytes;
    uint64_t objects_once; /* by trace_finish: asked for once */
};

/* An empty trace that takes at most so many requests. */
void trace_open(struct trace *t, uint32_t requests_max);
void trace_close(struct trace *t);
/* Bytes of 0 count as 1: what costs nothing tells nothing of a policy. False: no room. */
bool trace_add(struct trace *t, uint64_t time_s, uint64_t id, uint32_t bytes);
/* After the last request, before a policy looks at it. False: no memory. */
bool trace_finish(struct trace *t);

/* --- write.c: as text (time,id,size) or in oracleGeneral's records (parse.h draws them) ------- */

bool trace_write(const struct trace *t, const char *path, bool oracle);

#endif

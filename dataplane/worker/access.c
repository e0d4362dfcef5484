/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access records on their way to whoever writes them down: a ring a worker, of units of 16 bytes,
 * since records differ in length tenfold.
 *
 * The worker alone puts in, one thread of control's alone takes out. A record goes in by one bulk
 * operation: its units are copied, then the ring's tail moves past all of them with release order.
 * The taker reads the tail with acquire order; so where it sees a record's first units, it has all
 * of the record. It frees the place by a release of its own tail, which the worker acquires before
 * it writes there again. Nobody is woken: the taker comes by, and a full ring costs the record.
 *
 * What is wanted is one word that control stores and each worker loads once a turn, relaxed: which
 * turn sees it does not matter, and nothing else is published by it.
 */
#include <stddef.h>

#include "dataplane/worker/worker.h"

#define HEAD_UNITS (offsetof(struct access_record, text) / ACCESS_UNIT)

struct rte_ring *access_ring_new(void)
{
    return ring_new(ACCESS_UNIT, WORKER_ACCESS / ACCESS_UNIT);
}

void access_put(void *ctx, const struct access_record *a)
{
    struct worker *w = ctx;
    counter_inc(&w->counters.worker_access_records_total);
    if (rte_ring_sp_enqueue_bulk_elem(w->access, a, ACCESS_UNIT, a->units, NULL) == 0)
        counter_inc(&w->counters.worker_access_dropped_total);
}

void access_load(struct worker *w)
{
    unsigned want = __atomic_load_n(&w->node->access_want, __ATOMIC_RELAXED);
    if (want == w->access_want)
        return;
    w->access_want = want;
    proxy_access(w->proxy, want);
}

void node_access_want(struct node *n, unsigned want)
{
    __atomic_store_n(&n->access_want, want, __ATOMIC_RELAXED);
}

bool node_access_take(struct node *n, unsigned worker, struct access_record *out)
{
    struct rte_ring *r = n->worker[worker]->access;
    if (rte_ring_sc_dequeue_bulk_elem(r, out, ACCESS_UNIT, HEAD_UNITS, NULL) == 0)
        return false;
    unsigned rest = out->units - (unsigned)HEAD_UNITS;
    if (rest)
        rte_ring_sc_dequeue_bulk_elem(r, out->text, ACCESS_UNIT, rest, NULL);
    return true;
}

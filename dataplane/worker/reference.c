/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes that a frame carries from where they rest: a buffer of its own is attached to them. All
 * spans in a row that are under one hold share a record, be they of one connection or of many: it
 * counts them, and itself while it may get more, so no 16-bit count overflows on a hot chunk. Until
 * the frames go out nobody else has them, so the count is a plain one; from then on it gets no more
 * (reference_close), and only falls. Whoever frees the last of them, maybe another thread, puts the
 * record into its worker's `returns` ring, which has a slot for each; there are as many as frames,
 * but a frame may be back before its record: tx_room_data asks for both.
 */
#include <stdlib.h>

#include "dataplane/worker/worker.h"

struct frame_reference {
    struct rte_mbuf_ext_shared_info shared;
    struct hold *hold; /* NULL: bytes that never go away */
    struct rte_ring *home;
    struct frame_reference *next; /* of the free ones */
} __rte_cache_aligned;

bool reference_create(struct worker *w)
{
    unsigned frames = 0;
    for (unsigned i = 0; i < w->node->config.ports; i++)
        frames += w->node->port[i]->pool[w->id]->size;
    w->returns = ring_new(sizeof(void *), frames);
    w->reference = aligned_alloc(RTE_CACHE_LINE_SIZE, frames * sizeof(*w->reference));
    for (unsigned i = 0; i < frames && w->reference; i++) {
        w->reference[i].next = w->reference_free;
        w->reference_free = &w->reference[i];
        w->references_left++;
    }
    return w->returns && w->reference;
}

void reference_destroy(struct worker *w)
{
    ring_free(w->returns);
    free(w->reference);
}

static void done(void *addr, void *opaque)
{
    struct frame_reference *r = opaque;
    (void)addr;
    rte_ring_mp_enqueue(r->home, r);
}

static void give_back(struct worker *w, struct frame_reference *r)
{
    ref_release(&(struct ref){.hold = r->hold});
    r->next = w->reference_free;
    w->reference_free = r;
    w->references_left++;
}

void reference_close(struct worker *w, struct worker_port *wp)
{
    struct frame_reference *r = wp->record;
    wp->record = NULL;
    if (r && --r->shared.refcnt == 0) /* all its frames were dropped here */
        give_back(w, r);
}

static struct frame_reference *open_record(struct worker *w, struct worker_port *wp,
                                           const struct ref *ref)
{
    reference_close(w, wp);
    struct frame_reference *r = wp->record = w->reference_free;
    if (!r)
        return NULL;
    w->reference_free = r->next;
    w->references_left--;
    r->shared.free_cb = done;
    r->shared.fcb_opaque = r;
    r->shared.refcnt = 1; /* ours, until it is closed */
    r->hold = ref->hold;
    r->home = w->returns;
    ref_hold(ref);
    return r;
}

struct rte_mbuf *reference_frame(struct worker *w, uint8_t port, const struct ref *ref)
{
    struct worker_port *wp = &w->port[port];
    struct rte_mbuf *m = tx_reference(w, port);
    struct frame_reference *r = wp->record;
    if (!m)
        return NULL;
    if (!r || r->hold != ref->hold)
        r = open_record(w, wp, ref);
    if (!r) {
        counter_inc(&w->counters.worker_no_buffer_total);
        rte_pktmbuf_free(m);
        return NULL;
    }
    r->shared.refcnt++;
    /* IOVA as VA: what --no-huge and --in-memory give, and all that virtual ports want */
    rte_pktmbuf_attach_extbuf(m, (void *)(uintptr_t)ref->data, (uintptr_t)ref->data,
                              (uint16_t)ref->len, &r->shared);
    m->data_len = (uint16_t)ref->len;
    m->pkt_len = ref->len;
    counter_inc(&w->counters.worker_tx_references_total);
    return m;
}

void reference_returned(struct worker *w)
{
    struct frame_reference *r[PORT_BURST];
    unsigned n;

    while ((n = rte_ring_sc_dequeue_burst(w->returns, (void **)r, PORT_BURST, NULL)) > 0) {
        for (unsigned i = 0; i < n; i++)
            rte_prefetch0(r[i]);
        for (unsigned i = 0; i < n; i++)
            give_back(w, r[i]);
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames out. Each worker has an array of up to WORKER_OUT frames a port, flushed once a turn and
 * when it is full. A worker with a queue of its own sends there; one without (a port with
 * fewer queues than workers) puts its frames into the inbox of the worker that has the queue.
 * What a full port does not take stays in the array; when that is full too, tx_room says so and
 * the engine keeps its segment. Bursts are small, since AF_PACKET blocks when its ring is full.
 */
#include <string.h>

#include "dataplane/worker/worker.h"

#define AHEAD      2 /* calls; one, three and four are dearer (perf/RESULTS.md) */
#define DATA_LINES 4 /* headers and a response head */

/*
 * What frees a frame is often another core, so its header and first bytes are misses here (a sixth
 * of an HTTP answer, when each frame was taken from the pool alone): frames are taken in bulk and
 * prefetched some calls before they are used, those that will be written into with their first
 * lines. The pool keeps free frames with refcnt 1 and no next segment (rte_mbuf.h), so a reset is
 * all that the fresh one needs.
 */
static void refill(struct worker *w, struct worker_port *wp, struct worker_frames *f)
{
    void **to = (void **)f->frame + f->n;
    if (rte_mempool_get_bulk(wp->port->pool[w->id], to, WORKER_SPARE) == 0)
        f->n += WORKER_SPARE;
    else if (rte_mempool_get(wp->port->pool[w->id], to) == 0)
        f->n++;
}

static struct rte_mbuf *take(struct worker *w, struct worker_port *wp, struct worker_frames *f)
{
    if (f->n == 0)
        refill(w, wp, f);
    if (f->n == 0) {
        counter_inc(&w->counters.worker_no_buffer_total);
        return NULL;
    }
    struct rte_mbuf *m = f->frame[--f->n];
    if (f->n >= AHEAD) {
        struct rte_mbuf *next = f->frame[f->n - AHEAD];
        port_prefetch_write(next);
        port_prefetch_write((uint8_t *)next + RTE_CACHE_LINE_SIZE);
    }
    rte_pktmbuf_reset(m);
    return m;
}

struct rte_mbuf *tx_frame(struct worker *w, uint8_t port)
{
    struct worker_port *wp = &w->port[port];
    struct rte_mbuf *m = take(w, wp, &wp->spare);
    if (wp->spare.n >= AHEAD) {
        uint8_t *data = (uint8_t *)wp->spare.frame[wp->spare.n - AHEAD] + sizeof(*m) +
                        PORT_PRIVATE + RTE_PKTMBUF_HEADROOM;
        for (int i = -1; i < DATA_LINES; i++)
            port_prefetch_write(data + i * RTE_CACHE_LINE_SIZE);
    }
    return m;
}

struct rte_mbuf *tx_reference(struct worker *w, uint8_t port)
{
    struct worker_port *wp = &w->port[port];
    return take(w, wp, &wp->bare);
}

/* Writes to the first of a frame's two lines alone: the second is in the cache of whoever took it
 * from the pool, and one segment without offloads has nothing there. */
bool tx_reuse(struct rte_mbuf *m, const uint8_t *l4, size_t most)
{
    const size_t at = (size_t)(l4 - (const uint8_t *)m->buf_addr);
    if (!RTE_MBUF_DIRECT(m) || m->nb_segs != 1 || rte_mbuf_refcnt_read(m) != 1 ||
        at < NET_HEADROOM || at + most > m->buf_len)
        return false;
    m->data_off = (uint16_t)at;
    m->data_len = 0;
    m->pkt_len = 0;
    m->ol_flags = 0;
    return true;
}

/* The worker that has the queue we send through. */
static unsigned queue_of(const struct worker *w, const struct port *p)
{
    return w->id % p->tx_queues;
}

static unsigned push(struct worker *w, struct worker_port *wp, struct rte_mbuf **m, unsigned n)
{
    unsigned queue = queue_of(w, wp->port);
    if (queue != w->id) {
        struct worker *to = w->node->worker[queue];
        unsigned put = rte_ring_mp_enqueue_burst(to->port[wp->index].inbox, (void **)m, n, NULL);
        if (put)
            w->wake |= 1u << queue;
        return put;
    }
    uint64_t bytes = 0, length[PORT_BURST];
    for (unsigned i = 0; i < n; i++)
        length[i] = m[i]->pkt_len; /* the port owns them afterwards */
    unsigned sent = port_tx(wp->port, (uint16_t)queue, m, n);
    for (unsigned i = 0; i < sent; i++)
        bytes += length[i];
    counter_add(&w->counters.worker_tx_packets_total, sent);
    counter_add(&w->counters.worker_tx_bytes_total, bytes);
    return sent;
}

static void flush(struct worker *w, struct worker_port *wp)
{
    unsigned done = 0;

    reference_close(w, wp);
    while (done < wp->n) {
        unsigned n = RTE_MIN(wp->n - done, (unsigned)PORT_BURST);
        unsigned sent = push(w, wp, wp->out + done, n);
        done += sent;
        if (sent < n) {
            counter_inc(&w->counters.worker_tx_full_total);
            break;
        }
    }
    wp->n -= done;
    if (wp->n && done)
        memmove(wp->out, wp->out + done, wp->n * sizeof(wp->out[0]));
}

bool tx_room(struct worker *w, uint8_t port)
{
    struct worker_port *wp = &w->port[port];
    if (wp->n == WORKER_OUT)
        flush(w, wp);
    return wp->n < WORKER_OUT;
}

unsigned tx_room_data(struct worker *w, uint8_t port, unsigned wanted)
{
    struct worker_port *wp = &w->port[port];
    const unsigned most = WORKER_OUT - WORKER_RESERVE;
    if (wp->n + wanted <= most && wp->spare.n >= WORKER_RESERVE + wanted &&
        (!wp->port->multi_seg ||
         (wp->bare.n >= wanted + TCP_OUT_REFS && w->references_left >= wanted + TCP_OUT_REFS)))
        return wanted;
    if (wp->n + wanted > most)
        flush(w, wp);
    if (wp->spare.n < WORKER_RESERVE + wanted)
        refill(w, wp, &wp->spare);
    unsigned room = wp->n < most ? most - wp->n : 0;
    unsigned frames = wp->spare.n > WORKER_RESERVE ? wp->spare.n - WORKER_RESERVE : 0;
    if (wp->port->multi_seg) { /* spans end inside of segments */
        if (wp->bare.n < wanted + TCP_OUT_REFS)
            refill(w, wp, &wp->bare);
        unsigned bare = wp->bare.n > TCP_OUT_REFS ? wp->bare.n - TCP_OUT_REFS : 0;
        unsigned records =
            w->references_left > TCP_OUT_REFS ? w->references_left - TCP_OUT_REFS : 0;
        frames = RTE_MIN(frames, RTE_MIN(bare, records));
    }
    if (frames == 0)
        counter_inc(&w->counters.worker_no_buffer_total);
    return RTE_MIN(RTE_MIN(room, frames), wanted);
}

void tx_send(struct worker *w, uint8_t port, struct rte_mbuf *m)
{
    struct worker_port *wp = &w->port[port];
    wp->out[wp->n++] = m;
}

bool tx_raw(void *ctx, const void *frame, size_t len)
{
    struct worker_port *wp = ctx;
    struct worker *w = wp->worker;

    if (!tx_room(w, wp->index)) {
        counter_inc(&w->counters.worker_tx_dropped_total);
        return false;
    }
    struct rte_mbuf *m = tx_frame(w, wp->index);
    if (!m)
        return false;
    char *to = rte_pktmbuf_append(m, (uint16_t)len);
    if (!to) {
        rte_pktmbuf_free(m);
        return false;
    }
    memcpy(to, frame, len);
    tx_send(w, wp->index, m);
    return true;
}

bool tx_flush(struct worker *w)
{
    bool left = false;

    for (unsigned i = 0; i < w->node->config.ports; i++) {
        struct worker_port *wp = &w->port[i];
        flush(w, wp);
        /* others' frames, as many as the port takes; a quarter of the ring a turn at most */
        const unsigned most = WORKER_OUT - WORKER_RESERVE; /* the reserve is for our own */
        for (unsigned k = 0; wp->inbox && wp->n < most && k < WORKER_HANDOVER / 4;) {
            unsigned n = rte_ring_sc_dequeue_burst(wp->inbox, (void **)(wp->out + wp->n),
                                                   most - wp->n, NULL);
            if (n == 0)
                break;
            wp->n += n;
            k += n;
            flush(w, wp);
        }
        left |= wp->n != 0 || (wp->inbox && ring_waits(wp->inbox));
    }
    return left;
}

/* A function of its own, since DPDK's rings are all inline: a sanitizer makes 100 KB of each use.
 */
static __rte_noinline void drop_ring(struct rte_ring *ring)
{
    struct rte_mbuf *m;
    while (ring && rte_ring_sc_dequeue(ring, (void **)&m) == 0)
        rte_pktmbuf_free_bulk(&m, 1);
}

void tx_drop_all(struct worker *w)
{
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        struct worker_port *wp = &w->port[i];
        reference_close(w, wp);
        rte_pktmbuf_free_bulk(wp->out, wp->n);
        rte_pktmbuf_free_bulk(wp->spare.frame, wp->spare.n);
        rte_pktmbuf_free_bulk(wp->bare.frame, wp->bare.n);
        wp->n = wp->spare.n = wp->bare.n = 0;
        drop_ring(wp->inbox);
    }
    drop_ring(w->handover);
    for (unsigned i = 0; i < WORKER_WAIT; i++)
        if (w->wait[i].frame) {
            rte_pktmbuf_free_bulk(&w->wait[i].frame, 1);
            w->wait[i].frame = NULL;
        }
    w->waiting = 0;
}

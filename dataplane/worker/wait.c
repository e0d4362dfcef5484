/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that wait for the next hop's MAC address (RFC 1122 2.3.2.2 wants at least the latest
 * kept). Without this the first SYN to a neighbour would cost a retransmission time-out. Bounded,
 * and each for a second: afterwards it counts as lost, which is what its protocol is made for.
 */
#include "dataplane/worker/worker.h"

#define WAIT_US 1000000u

bool wait_add(struct worker *w, uint8_t port, struct rte_mbuf *m, const struct addr *src,
              const struct addr *dst, uint8_t protocol)
{
    if (w->waiting < WORKER_WAIT) {
        for (unsigned i = 0; i < WORKER_WAIT; i++) {
            struct worker_wait *e = &w->wait[i];
            if (e->frame)
                continue;
            *e = (struct worker_wait){m, *src, *dst, port, protocol, w->now.mono_us + WAIT_US};
            w->waiting++;
            counter_inc(&w->counters.worker_neighbour_waits_total);
            return true;
        }
    }
    counter_inc(&w->counters.worker_neighbour_wait_lost_total);
    rte_pktmbuf_free(m);
    return false;
}

static void leave(struct worker *w, struct worker_wait *e)
{
    e->frame = NULL;
    w->waiting--;
}

/* False: the port is full, try again at the next turn. */
static bool try_again(struct worker *w, struct worker_wait *e)
{
    struct rte_mbuf *m = e->frame;
    uint8_t *l4 = rte_pktmbuf_mtod(m, uint8_t *);

    if (!tx_room(w, e->port))
        return false;
    uint8_t *frame =
        net_output(w->port[e->port].net, l4, m->pkt_len, &e->src, &e->dst, e->protocol, w->now);
    if (!frame)
        return true;
    rte_pktmbuf_prepend(m, (uint16_t)(l4 - frame));
    tx_send(w, e->port, m);
    leave(w, e);
    return true;
}

void wait_poll(struct worker *w)
{
    bool full = false;

    if (w->waiting == 0) {
        w->neighbour_new = false;
        return;
    }
    for (unsigned i = 0; i < WORKER_WAIT; i++) {
        struct worker_wait *e = &w->wait[i];
        if (e->frame && w->neighbour_new)
            full |= !try_again(w, e);
        if (e->frame && e->until_us <= w->now.mono_us) {
            counter_inc(&w->counters.worker_neighbour_wait_lost_total);
            rte_pktmbuf_free(e->frame);
            leave(w, e);
        }
    }
    w->neighbour_new = full;
}

uint64_t wait_deadline_us(const struct worker *w)
{
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; w->waiting && i < WORKER_WAIT; i++)
        if (w->wait[i].frame && w->wait[i].until_us < due)
            due = w->wait[i].until_us;
    return due;
}

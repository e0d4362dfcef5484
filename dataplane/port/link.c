/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-memory links. way[e] carries what end e receives.
 *
 * Sleeping: net_ring has no interrupt, so the link has an eventfd for each end beside its ring. The
 * sleeper sets `asleep`, a full barrier follows, and it looks at the ring again; the sender
 * enqueues, a full barrier follows, and it looks at `asleep`. Whichever barrier comes second sees
 * what the other stored, so either the sleeper finds the frame or the sender writes the eventfd.
 */
#include "dataplane/port/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct port_link *port_link_new(const char *name, unsigned slots)
{
    struct port_link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->way[0].fd = l->way[1].fd = -1;
    for (unsigned e = 0; e < 2; e++) {
        char text[RTE_RING_NAMESIZE];
        snprintf(text, sizeof(text), "%.20s.%u", name, e);
        l->way[e].ring = rte_ring_create(text, slots, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
        l->way[e].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (!l->way[e].ring || l->way[e].fd < 0) {
            port_link_free(l);
            return NULL;
        }
    }
    return l;
}

void port_link_drain(struct port_link *l)
{
    struct rte_mbuf *m;
    for (unsigned e = 0; e < 2; e++)
        while (l->way[e].ring && rte_ring_sc_dequeue(l->way[e].ring, (void **)&m) == 0)
            rte_pktmbuf_free(m);
}

void port_link_free(struct port_link *l)
{
    if (!l)
        return;
    port_link_drain(l);
    for (unsigned e = 0; e < 2; e++) {
        rte_ring_free(l->way[e].ring);
        if (l->way[e].fd >= 0)
            close(l->way[e].fd);
    }
    free(l);
}

unsigned port_link_send(struct port_link *l, unsigned end, struct rte_mbuf **m, unsigned n)
{
    unsigned sent = rte_ring_sp_enqueue_burst(l->way[!end].ring, (void **)m, n, NULL);
    if (sent)
        port_link_wake(l, end);
    return sent;
}

unsigned port_link_receive(struct port_link *l, unsigned end, struct rte_mbuf **m, unsigned n)
{
    return rte_ring_sc_dequeue_burst(l->way[end].ring, (void **)m, n, NULL);
}

int port_link_fd(const struct port_link *l, unsigned end)
{
    return l->way[end].fd;
}

void port_link_arm(struct port_link *l, unsigned end)
{
    __atomic_store_n(&l->way[end].asleep, 1, __ATOMIC_RELAXED);
    rte_smp_mb();
}

void port_link_disarm(struct port_link *l, unsigned end)
{
    uint64_t ignored;
    __atomic_store_n(&l->way[end].asleep, 0, __ATOMIC_RELAXED);
    /* not there: EAGAIN, and nothing to do about anything else */
    if (read(l->way[end].fd, &ignored, sizeof(ignored)) < 0)
        return;
}

bool port_link_pending(const struct port_link *l, unsigned end)
{
    return !rte_ring_empty(l->way[end].ring);
}

void port_link_wake(struct port_link *l, unsigned end)
{
    struct link_way *to = &l->way[!end];
    uint64_t one = 1;

    rte_smp_mb();
    if (__atomic_load_n(&to->asleep, __ATOMIC_RELAXED) &&
        __atomic_exchange_n(&to->asleep, 0, __ATOMIC_RELAXED) &&
        write(to->fd, &one, sizeof(one)) < 0)
        return; /* full: it is readable anyhow */
}

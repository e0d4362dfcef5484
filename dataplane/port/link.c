/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-memory links. way[e] carries what end e receives; the other end of the same queue is e ^ 1.
 *
 * Sleeping: net_ring has no interrupt, so the link has an eventfd for each end beside its ring. The
 * sleeper sets `asleep`, a full barrier follows, and it looks at the ring again; the sender
 * enqueues, a full barrier follows, and it looks at `asleep`. Whichever barrier comes second sees
 * what the other stored, so either the sleeper finds the frame or the sender writes the eventfd.
 */
#include "dataplane/port/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct port_link *port_link_new(const char *name, unsigned slots)
{
    return port_link_new_queues(name, slots, 1);
}

struct port_link *port_link_new_queues(const char *name, unsigned slots, unsigned queues)
{
    struct port_link *l =
        queues <= PORT_QUEUES ? aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*l)) : NULL;
    if (!l)
        return NULL;
    *l = (struct port_link){.queues = queues};
    for (unsigned e = 0; e < 2 * queues; e++)
        l->way[e].fd = -1;
    for (unsigned e = 0; e < 2 * queues; e++) {
        char text[RTE_RING_NAMESIZE];
        snprintf(text, sizeof(text), "%.16s.%u", name, e);
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
    for (unsigned e = 0; e < 2 * l->queues; e++)
        while (l->way[e].ring && rte_ring_sc_dequeue(l->way[e].ring, (void **)&m) == 0)
            rte_pktmbuf_free(m);
}

void port_link_free(struct port_link *l)
{
    if (!l)
        return;
    port_link_drain(l);
    for (unsigned e = 0; e < 2 * l->queues; e++) {
        rte_ring_free(l->way[e].ring);
        if (l->way[e].fd >= 0)
            close(l->way[e].fd);
    }
    free(l);
}

unsigned port_link_send(struct port_link *l, unsigned end, struct rte_mbuf **m, unsigned n)
{
    unsigned sent = rte_ring_sp_enqueue_burst(l->way[end ^ 1].ring, (void **)m, n, NULL);
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
    struct link_way *to = &l->way[end ^ 1];
    uint64_t one = 1;

    rte_smp_mb();
    if (__atomic_load_n(&to->asleep, __ATOMIC_RELAXED) &&
        __atomic_exchange_n(&to->asleep, 0, __ATOMIC_RELAXED) &&
        write(to->fd, &one, sizeof(one)) < 0)
        return; /* full: it is readable anyhow */
}

void port_link_rss(unsigned queues, struct port_rss *rss)
{
    *rss = (struct port_rss){.known = true, .key_len = PORT_RSS_KEY_LEAST, .reta_size = 128};
    /* Microsoft's example key: nobody attacks a link */
    static const uint8_t key[PORT_RSS_KEY_LEAST] = {
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
        0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
        0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    memcpy(rss->key, key, sizeof(key));
    for (unsigned i = 0; i < rss->reta_size; i++)
        rss->queue[i] = (uint8_t)(i % queues);
}

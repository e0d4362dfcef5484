/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames on their way. Where one goes, and how long it takes, is told by its addresses; links have
 * room for any number, lose none and change no order. Who has an address is found at once, as by
 * routers that are near. */
#include <stdlib.h>

#include "perf/flash.h"

#define NODE_NET    0x0a000001u /* 10.0.0.1 and so on */
#define CLIENT_NET  0x0a000065u /* 10.0.0.101, 10.0.0.102 */
#define ORIGIN_ADDR 0x0a0000c8u /* 10.0.0.200 */
#define ETHER       14u
#define TYPE_IPV4   0x0800u
#define TYPE_ARP    0x0806u

struct addr flash_node_ip(unsigned node)
{
    return addr_v4(NODE_NET + node);
}

struct addr flash_client_ip(unsigned cluster)
{
    return addr_v4(CLIENT_NET + cluster);
}

struct addr flash_origin_ip(void)
{
    return addr_v4(ORIGIN_ADDR);
}

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_node(uint32_t ip)
{
    return ip - NODE_NET < FLASH_NODES;
}

static unsigned cluster_of(uint32_t ip)
{
    return is_node(ip) ? (ip - NODE_NET) / FLASH_CLUSTER_NODES : ip - CLIENT_NET;
}

unsigned flash_cluster_of(const struct addr *ip)
{
    return cluster_of(read32(ip->b + 12)); /* IPv4 in IPv6's form */
}

static unsigned way_between(uint32_t a, uint32_t b)
{
    if (a == ORIGIN_ADDR || b == ORIGIN_ADDR)
        return FLASH_ORIGIN;
    if (cluster_of(a) != cluster_of(b))
        return FLASH_FAR;
    return is_node(a) && is_node(b) ? FLASH_NEAR : FLASH_CLIENT;
}

/* Its place. FLASH_PLACES: nobody's. */
static unsigned place_of(uint32_t ip)
{
    if (is_node(ip))
        return ip - NODE_NET;
    return ip - CLIENT_NET < FLASH_CLUSTERS || ip == ORIGIN_ADDR ? FLASH_HOST : FLASH_PLACES;
}

static bool grow(struct flash_way *w)
{
    uint32_t room = w->room ? 2 * w->room : 1024;
    struct flash_frame *at = malloc(room * sizeof(*at));
    if (!at)
        return false;
    for (uint32_t i = 0; i < w->n; i++)
        at[i] = w->at[(w->first + i) & (w->room - 1)];
    free(w->at);
    w->at = at;
    w->first = 0;
    w->room = room;
    return true;
}

bool flash_links_open(struct flash_links *l)
{
    static const uint32_t delay[FLASH_WAYS] = {[FLASH_NEAR] = FLASH_NEAR_US,
                                               [FLASH_CLIENT] = FLASH_CLIENT_US,
                                               [FLASH_ORIGIN] = FLASH_ORIGIN_US,
                                               [FLASH_FAR] = FLASH_FAR_US};
    bool ok = true;
    *l = (struct flash_links){.dropped = 0};
    for (unsigned i = 0; i < FLASH_WAYS; i++) {
        l->way[i].delay_us = delay[i];
        ok = ok && grow(&l->way[i]);
    }
    return ok;
}

void flash_links_close(struct flash_links *l)
{
    for (unsigned i = 0; i < FLASH_WAYS; i++) {
        struct flash_way *w = &l->way[i];
        for (; w->n > 0; w->n--, w->first++)
            rte_pktmbuf_free(w->at[w->first & (w->room - 1)].frame);
        free(w->at);
    }
}

void flash_links_take(struct flash_links *l, unsigned from, struct rte_mbuf *m, uint64_t now_us)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    unsigned type = (unsigned)f[12] << 8 | f[13], way = FLASH_WAYS, to = FLASH_PLACES;

    if (type == TYPE_IPV4) {
        uint32_t src = read32(f + ETHER + 12), dst = read32(f + ETHER + 16);
        to = place_of(dst);
        way = to == FLASH_PLACES || place_of(src) != from ? FLASH_WAYS : way_between(src, dst);
    } else if (type == TYPE_ARP) {
        to = place_of(read32(f + ETHER + 24));
        way = to == FLASH_PLACES || to == from ? FLASH_WAYS : FLASH_AT_ONCE;
    }
    struct flash_way *w = way < FLASH_WAYS ? &l->way[way] : NULL;
    if (!w || (w->n == w->room && !grow(w))) {
        l->dropped += type == TYPE_IPV4;
        rte_pktmbuf_free(m);
        return;
    }
    w->at[(w->first + w->n++) & (w->room - 1)] = (struct flash_frame){now_us + w->delay_us, m, to};
}

uint64_t flash_links_due_us(const struct flash_links *l)
{
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < FLASH_WAYS; i++) {
        const struct flash_way *w = &l->way[i];
        if (w->n > 0)
            due = RTE_MIN(due, w->at[w->first].due_us);
    }
    return due;
}

struct rte_mbuf *flash_links_give(struct flash_links *l, uint64_t now_us, unsigned *to)
{
    for (unsigned i = 0; i < FLASH_WAYS; i++) {
        struct flash_way *w = &l->way[i];
        if (w->n == 0 || w->at[w->first].due_us > now_us)
            continue;
        const struct flash_frame f = w->at[w->first];
        w->first = (w->first + 1) & (w->room - 1);
        w->n--;
        *to = f.to;
        return f.frame;
    }
    return NULL;
}

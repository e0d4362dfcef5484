/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/pmtu.h"

/* IPv6's least, common tunnels, 1492 and 1500 less an option or a tag: what paths were measured to
 * carry, in large steps first. The last step is always to `most`. */
static const uint16_t sizes[] = {1280, 1380, 1420, 1472, 1500};

void pmtu_init(struct pmtu *p, uint32_t most)
{
    *p = (struct pmtu){.size = (uint16_t)most, .most = (uint16_t)most};
}

static void search_from(struct pmtu *p, uint32_t at_s)
{
    p->waits = true;
    p->search_s = (uint16_t)at_s;
    p->tries = 0;
}

uint32_t pmtu_next(const struct pmtu *p, uint32_t now_s)
{
    if (p->size >= p->most || p->probe)
        return 0;
    if (p->waits && (int16_t)(uint16_t)(now_s - p->search_s) < 0)
        return 0;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (sizes[i] > p->size && sizes[i] < p->most)
            return sizes[i];
    return p->most;
}

void pmtu_probe_sent(struct pmtu *p, uint32_t at, uint32_t size)
{
    p->at = at;
    p->probe = (uint16_t)size;
    p->lost = 0;
}

void pmtu_probe_acked(struct pmtu *p)
{
    p->size = p->probe;
    p->tries = 0;
    p->waits = false;
    pmtu_probe_over(p);
}

void pmtu_probe_lost(struct pmtu *p, uint32_t now_s)
{
    p->repair = true;
    p->tries++;
    if (p->tries >= PMTU_PROBES)
        search_from(p, now_s + PMTU_RAISE_S);
}

void pmtu_probe_over(struct pmtu *p)
{
    p->probe = 0;
    p->repair = false;
}

/* To `size`; larger ones are searched from there. */
static void fall(struct pmtu *p, uint32_t size)
{
    p->size = (uint16_t)size;
    p->largest = 0;
    p->lost = 0;
    p->tries = 0;
    p->waits = false;
    pmtu_probe_over(p);
}

bool pmtu_rto(struct pmtu *p, uint32_t seq, bool full, bool v4)
{
    uint32_t floor = pmtu_floor(v4), base = PMTU_BASE > floor ? PMTU_BASE : floor;

    if (!full || p->size <= floor) {
        p->lost = 0;
        return false;
    }
    p->lost = (uint8_t)((p->lost > 0 && p->at == seq ? p->lost + 1u : 1u) & 3u);
    p->at = seq;
    if (p->lost < 2)
        return false;
    fall(p, p->size > base ? base : floor);
    return true;
}

bool pmtu_too_big(struct pmtu *p, uint32_t mtu, bool v4, uint32_t now_s)
{
    if (mtu < pmtu_floor(v4) || mtu >= p->size || mtu >= p->largest)
        return false;
    fall(p, mtu);
    /* RFC 1191 6.3: the router knows its link; it may be asked again in ten minutes */
    search_from(p, now_s + PMTU_RAISE_S);
    return true;
}

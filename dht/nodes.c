/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/nodes.h"

#include <string.h>

static bool is_fit(const struct dht_routes *r, uint32_t i, unsigned level, unsigned services)
{
    return r->route[i].live && r->route[i].levels >> level & 1 &&
           (dht_route_contact(r, i)->services & services) == services;
}

/* A round trip of 0 is one that was never measured: such a node is as good as the farthest. */
static bool is_nearer(const struct dht_routes *r, uint32_t a, uint32_t b)
{
    uint32_t x = r->route[a].rtt_us, y = r->route[b].rtt_us;
    return x != 0 && (y == 0 || x < y);
}

static unsigned nearest(const struct dht_routes *r, unsigned level, unsigned count,
                        unsigned services, uint32_t *out)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        if (!is_fit(r, i, level, services) || (n == count && !is_nearer(r, i, out[n - 1])))
            continue;
        unsigned at = n < count ? n++ : n - 1;
        for (; at > 0 && is_nearer(r, i, out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return n;
}

/* Vitter's algorithm R (ACM TOMS 11, 1985): one pass, no list of all. */
static unsigned sample(const struct dht_routes *r, unsigned level, unsigned count,
                       unsigned services, struct rng *random, uint32_t *out)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        if (!is_fit(r, i, level, services))
            continue;
        uint32_t at = seen < count ? seen : rng_below(random, seen + 1);
        seen++;
        if (at < count)
            out[at] = i;
    }
    return seen < count ? seen : count;
}

unsigned dht_nodes(const struct dht_routes *routes, unsigned level, unsigned count,
                   unsigned services, struct rng *random, uint32_t *out)
{
    if (level >= DHT_LEVELS || count == 0)
        return 0;
    return random ? sample(routes, level, count, services, random, out)
                  : nearest(routes, level, count, services, out);
}

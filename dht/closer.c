/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/closer.h"

struct closer_step closer_step(const struct dht_distance *d, unsigned prefix_bits)
{
    return (struct closer_step){*d, distance_halved(d, prefix_bits),
                                distance_halved(d, prefix_bits + 1)};
}

bool closer_merit(const struct closer_step *step, const struct dht_distance *distance,
                  uint32_t rtt_us, struct closer_merit *out)
{
    if (!distance_less(distance, &step->d))
        return false;
    bool far = distance_less(&step->high, distance), near = distance_less(distance, &step->low);
    *out = (struct closer_merit){far ? 1 : near ? 2 : 0, *distance, rtt_us};
    return true;
}

bool closer_better(const struct closer_merit *a, const struct closer_merit *b)
{
    if (a->side != b->side)
        return a->side < b->side;
    if (a->side == 0)
        return a->rtt_us < b->rtt_us;
    return a->side == 1 ? distance_less(&a->distance, &b->distance)
                        : distance_less(&b->distance, &a->distance);
}

static struct rpc_contact contact_of(const struct dht_route *r)
{
    return (struct rpc_contact){r->contact.id, r->contact.rpc};
}

/* How far down the table nodes closer to the key may be: those that share a longer prefix with
 * this node than the key does, or just as long a one. The table is sorted so that they come first.
 */
static uint32_t closer_end(const struct dht_routes *routes, const struct dht_distance *d)
{
    unsigned prefix = distance_prefix(d);
    uint32_t lo = 0, hi = routes->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct dht_distance m = distance_between(&routes->self.id, &routes->route[mid].contact.id);
        if (distance_prefix(&m) >= prefix)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct choice {
    const struct dht_route *route;
    struct closer_merit merit;
};

static void choose(struct choice *c, const struct dht_route *r, const struct closer_merit *m)
{
    if (!c->route || closer_better(m, &c->merit))
        *c = (struct choice){r, *m};
}

unsigned closer_contacts(const struct dht_routes *routes, const struct dht_id *key,
                         const struct dht_id *but, unsigned prefix_bits,
                         struct rpc_contact out[static RPC_CONTACTS])
{
    struct dht_distance d = distance_between(&routes->self.id, key);
    struct closer_step step = closer_step(&d, prefix_bits);
    struct closer_step next = closer_step(&step.high, prefix_bits);
    next.d = d;
    struct choice first = {0}, further = {0}, closest = {0}, fastest = {0};

    uint32_t end = closer_end(routes, &d);
    for (uint32_t i = 0; i < end; i++) {
        const struct dht_route *r = &routes->route[i];
        struct dht_distance distance = distance_between(&r->contact.id, key);
        struct closer_merit m;
        if (!r->alive || !closer_merit(&step, &distance, r->rtt_us, &m) ||
            id_eq(&r->contact.id, but))
            continue;
        choose(&first, r, &m);
        if (!closest.route || distance_less(&distance, &closest.merit.distance))
            closest = (struct choice){r, m};
        if (!fastest.route || r->rtt_us < fastest.merit.rtt_us)
            fastest = (struct choice){r, m};
        closer_merit(&next, &distance, r->rtt_us, &m);
        choose(&further, r, &m);
    }

    const struct dht_route *chosen[RPC_CONTACTS] = {first.route, further.route, closest.route,
                                                    fastest.route};
    unsigned n = 0;
    for (unsigned i = 0; i < RPC_CONTACTS; i++) {
        bool again = false;
        for (unsigned j = 0; j < i; j++)
            again |= chosen[j] == chosen[i];
        if (chosen[i] && !again)
            out[n++] = contact_of(chosen[i]);
    }
    return n;
}

unsigned closest_contacts(const struct dht_routes *routes, const struct dht_id *key,
                          const struct dht_id *but, struct rpc_contact out[static RPC_CONTACTS])
{
    struct dht_distance best[RPC_CONTACTS];
    unsigned n = 0;
    for (uint32_t i = 0; i < routes->n; i++) {
        const struct dht_route *r = &routes->route[i];
        if (!r->alive || id_eq(&r->contact.id, but))
            continue;
        struct dht_distance d = distance_between(&r->contact.id, key);
        unsigned at = n;
        while (at > 0 && distance_less(&d, &best[at - 1]))
            at--;
        if (at == RPC_CONTACTS)
            continue;
        if (n < RPC_CONTACTS)
            n++;
        for (unsigned j = n - 1; j > at; j--) {
            best[j] = best[j - 1];
            out[j] = out[j - 1];
        }
        best[at] = d;
        out[at] = contact_of(r);
    }
    return n;
}

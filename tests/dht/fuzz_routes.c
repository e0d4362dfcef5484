/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz_routes.h"

#include <stdlib.h>

#include "dht/id.h"

struct dht_contact fuzz_contact(unsigned i)
{
    struct dht_contact c = {.rpc = {addr_v4(0x0a000000 + i), 8053}, .http_port = 80};
    c.id = dht_node_id(&c.rpc);
    c.v4 = c.rpc.ip;
    return c;
}

static int by_distance(const void *x, const void *y, void *self)
{
    const struct dht_contact *a = x, *b = y;
    struct dht_distance da = distance_between(&a->id, self);
    struct dht_distance db = distance_between(&b->id, self);
    return distance_less(&da, &db) ? -1 : distance_less(&db, &da);
}

void fuzz_routes_init(struct fuzz_routes *f, unsigned first, unsigned n)
{
    struct dht_routes *r = &f->routes;
    r->self = fuzz_contact(1);
    r->has_coordinate = true;
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        r->level[l] = (struct dht_level){.is = {.cid = 10 + l}, .previous = 20 + l, .epoch = 1};
    for (unsigned i = 0; i < n; i++)
        f->contact[i] = fuzz_contact(first + i);
    qsort_r(f->contact, n, sizeof(f->contact[0]), by_distance, &r->self.id);
    for (unsigned i = 0; i < n; i++)
        f->route[i] =
            (struct dht_route){.peer = i & 0xffffff,
                               .levels = (i | 1) & 7,
                               .alive = i != FUZZ_DEAD,
                               .rtt_us = 1000 * i & 0xffffff,
                               .prefix = id_prefix(&r->self.id, &f->contact[i].id) & 0xff};
    r->n = n;
    r->route = f->route;
    r->contact = f->contact;
    r->populated = DHT_ALL_LEVELS;
}

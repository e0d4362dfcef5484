/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/usage.h"

#include <stdlib.h>
#include <string.h>

#include "dht/id.h"

#define WAYS 8 /* a report has this many places, by its node's ID */

struct report {
    uint64_t at_us; /* 0: free */
    struct dht_id who;
    unsigned n;
    struct dht_usage site[DHT_USAGE];
};

struct usage {
    struct report report[USAGE_NODES];
};

struct usage *usage_create(void)
{
    return calloc(1, sizeof(struct usage));
}

void usage_destroy(struct usage *u)
{
    free(u);
}

/* Its own place, else the oldest of its set. IDs are hashes already. */
static struct report *place(struct usage *u, const struct dht_id *who)
{
    uint32_t set;
    memcpy(&set, who->b, sizeof(set));
    struct report *first = &u->report[set % (USAGE_NODES / WAYS) * WAYS], *oldest = first;
    for (struct report *r = first; r < first + WAYS; r++) {
        if (r->at_us && id_eq(&r->who, who))
            return r;
        if (r->at_us < oldest->at_us)
            oldest = r;
    }
    return oldest;
}

void usage_heard(struct usage *u, const struct dht_id *who, const struct dht_usage *site,
                 unsigned n, struct now now)
{
    struct report *r = place(u, who);
    r->at_us = now.mono_us ? now.mono_us : 1;
    r->who = *who;
    r->n = n < DHT_USAGE ? n : DHT_USAGE;
    memcpy(r->site, site, r->n * sizeof(*site));
}

struct usage_total usage_others(const struct usage *u, uint64_t site, uint64_t nodes,
                                struct now now)
{
    struct usage_total t = {0};
    for (const struct report *r = u->report; r < u->report + USAGE_NODES; r++) {
        if (!r->at_us || now.mono_us - r->at_us > USAGE_OLD_US)
            continue;
        t.heard++;
        for (unsigned i = 0; i < r->n; i++)
            if (r->site[i].site == site) {
                t.kib += r->site[i].kib;
                t.requests += r->site[i].requests;
            }
    }
    /* an estimate of so few nodes is not worth to be multiplied by */
    double others = nodes > 1 ? (double)(nodes - 1) : 0;
    if (t.heard && others > 1.25 * t.heard) {
        t.kib *= others / t.heard;
        t.requests *= others / t.heard;
    }
    return t;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Who asks how often: the generic cell rate algorithm (base/gcra.h has the idea) with a due time of
 * 64 bits, since a rate may be one a minute, in sets of four. */
#include <stdlib.h>

#include "dataplane/rules/rules_private.h"

#define METER_SETS                                                                                 \
    4096 /* of four: 256 KiB a worker, and no more than that many who are limited                  \
          */
#define METER_WAYS 4

struct cell {
    uint64_t who;    /* 0: free */
    uint64_t due_ns; /* the next one, if there is to be no burst */
};

struct rules_meter {
    struct hash_secret secret;
    /* of a set who asked last is first */
    struct cell cell[METER_SETS][METER_WAYS];
};

struct rules_meter *rules_meter_new(const struct hash_secret *secret)
{
    struct rules_meter *m = calloc(1, sizeof(*m));
    if (m)
        m->secret = *secret;
    return m;
}

void rules_meter_free(struct rules_meter *m)
{
    free(m);
}

/* An IPv6 site has a /64 at least: one address of it is no more than another. */
static uint64_t who_is(const struct rules_meter *m, const struct addr *a, uint64_t rate)
{
    uint64_t key[3] = {0, 0, rate};
    memcpy(key, a->b, addr_is_v4(a) ? 16 : 8);
    return hash64(&m->secret, key, sizeof(key)) | 1;
}

/* Brings it to the front; who has been quiet for longest makes room. */
static struct cell *cell_of(struct cell *set, uint64_t who)
{
    unsigned i = 0;
    while (i < METER_WAYS - 1 && set[i].who != who)
        i++;
    struct cell c = set[i].who == who ? set[i] : (struct cell){.who = who};
    memmove(set + 1, set, i * sizeof(*set));
    *set = c;
    return set;
}

unsigned rules_take(struct rules_meter *m, const struct rules_verdict *v, const struct addr *who,
                    struct now now)
{
    const struct action *a =
        v->any && v->one[RULES_RATE] != RULES_NONE ? &v->set->action[v->one[RULES_RATE]] : NULL;
    if (!a || a->number < 0)
        return 0;
    const struct rate *rate = &v->set->rate[a->number];
    uint64_t now_ns = now.mono_us * 1000, tag = who_is(m, who, rate->hash);
    struct cell *c = cell_of(m->cell[(tag >> 32) % METER_SETS], tag);
    uint64_t due = c->due_ns > now_ns ? c->due_ns : now_ns;
    if (due - now_ns > rate->burst_ns)
        return (unsigned)((due - now_ns - rate->burst_ns + 999999999) / 1000000000);
    c->due_ns = due + rate->each_ns;
    return 0;
}

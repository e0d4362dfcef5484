/* SPDX-License-Identifier: BSD-3-Clause */
/* What a machine knows of clusters: filled by what is heard, forgotten in a sensible order. */
#include <string.h>

#include "dht/cluster_state.h"

struct tally cluster_tally(const struct cluster *c, const struct known *k)
{
    struct tally t = {0, 0};
    const struct member *m = row(c, k);
    for (unsigned i = 0; i < k->members; i++) {
        t.measured += rtt_of(&m[i]) != RTT_NONE;
        t.near += is_near(c, &m[i]);
    }
    return t;
}

struct dht_descriptor cluster_describe(const struct known *k, uint32_t s)
{
    uint32_t age = s - k->founded_s, most = DHT_AGE_MAX_UNITS * DHT_AGE_UNIT_S;
    return (struct dht_descriptor){k->cid, eighths(k->size_256), age < most ? age : most};
}

void cluster_window_turn(struct cluster *c, uint32_t s)
{
    uint32_t half = s / (c->config->window_s / 2), turns = half - c->half;
    if (turns == 0)
        return;
    c->half = half;
    for (unsigned i = 0; i < c->config->known; i++) {
        struct member *m = row(c, &c->known[i]);
        for (unsigned j = 0; j < c->known[i].members; j++) {
            m[j].rtt_before = turns == 1 ? m[j].rtt_now : RTT_NONE;
            m[j].rtt_now = RTT_NONE;
        }
    }
}

/* Takes the peer out of where it is remembered: false if nowhere. A cluster of which nobody is left
 * is forgotten. */
static bool member_take(struct cluster *c, uint32_t peer, struct member *out)
{
    for (unsigned i = 0; i < c->config->known; i++) {
        struct known *k = &c->known[i];
        struct member *m = row(c, k);
        for (unsigned j = 0; j < k->members; j++) {
            if (m[j].peer != peer)
                continue;
            *out = m[j];
            k->members--;
            memmove(&m[j], &m[j + 1], (k->members - j) * sizeof(*m));
            if (k->members == 0 && !in_use(c, k))
                k->cid = 0;
            return true;
        }
    }
    return false;
}

/* In front. When the row is full, somebody not measured falls out, or else who was heard least
 * recently; one not measured displaces nobody who is: there would be too few to judge by. */
static void member_put(struct cluster *c, struct known *k, const struct member *newest)
{
    struct member *m = row(c, k);
    unsigned last = k->members;
    if (last < c->config->members) {
        k->members++;
    } else {
        do
            last--;
        while (last > 0 && rtt_of(&m[last]) != RTT_NONE);
        if (rtt_of(&m[last]) != RTT_NONE) {
            if (rtt_of(newest) == RTT_NONE)
                return;
            last = k->members - 1u;
        }
    }
    memmove(&m[1], &m[0], last * sizeof(*m));
    m[0] = *newest;
}

struct known *cluster_known_find(struct cluster *c, uint64_t cid)
{
    for (unsigned i = 0; i < c->config->known; i++)
        if (c->known[i].cid == cid)
            return &c->known[i];
    return NULL;
}

struct known *cluster_known_make(struct cluster *c, bool promising, uint32_t s)
{
    struct known *least = NULL;
    bool least_promises = true;
    for (unsigned i = 0; i < c->config->known; i++) {
        struct known *k = &c->known[i];
        if (k->cid == 0)
            return k;
        if (in_use(c, k))
            continue;
        bool promises = is_heard(c, k, s) && cluster_known_better(c, k, s) &&
                        (is_shunned(k, s) || cluster_tally(c, k).near > 0);
        if (!least || (least_promises && !promises) ||
            (least_promises == promises && s - k->heard_s > s - least->heard_s)) {
            least = k;
            least_promises = promises;
        }
    }
    return !least_promises || promising ? least : NULL;
}

void cluster_known_found(struct known *k, uint64_t cid, uint32_t age_s, uint16_t size_256,
                         uint32_t s)
{
    *k = (struct known){.cid = cid, .founded_s = s - age_s, .heard_s = s, .size_256 = size_256};
}

/* Its members take turns to tell us: the oldest age, an eighth of the way to each size. */
static void known_hear(struct known *k, uint32_t age_s, int size_256, uint32_t s)
{
    if (age_s > s - k->founded_s)
        k->founded_s = s - age_s;
    int way = size_256 - k->size_256;
    k->size_256 = (uint16_t)(k->size_256 + (way + (way < 0 ? -4 : 4)) / 8);
    k->heard_s = s;
}

void cluster_heard(struct cluster *c, uint32_t peer, const struct dht_descriptor *says,
                   uint32_t rtt_us, struct now now)
{
    uint32_t s = seconds(now);
    cluster_window_turn(c, s);

    struct member m = {peer, RTT_NONE, RTT_NONE};
    member_take(c, peer, &m);
    if (says->cid == 0)
        return;
    if (rtt_us > 0) {
        uint32_t rtt = rtt_us / RTT_UNIT_US < RTT_NONE ? rtt_us / RTT_UNIT_US : RTT_NONE - 1;
        m.rtt_now = (uint16_t)(rtt < m.rtt_now ? rtt : m.rtt_now);
    }

    uint32_t most = DHT_AGE_MAX_UNITS * DHT_AGE_UNIT_S, age_s = says->age_s;
    age_s = age_s < most ? age_s : most;
    struct known *k = cluster_known_find(c, says->cid);
    if (k) {
        known_hear(k, age_s, says->size * 32, s);
    } else {
        struct dht_descriptor ours = cluster_descriptor(c, now);
        k = cluster_known_make(c, is_near(c, &m) && cluster_better(c->config, says, &ours), s);
        if (!k)
            return;
        cluster_known_found(k, says->cid, age_s, (uint16_t)(says->size * 32), s);
    }
    member_put(c, k, &m);

    if (is_own(c, k) && rtt_us > 0) {
        c->misses = c->misses << 1 | !is_near(c, &m);
        c->accesses = (uint8_t)(c->accesses + (c->accesses < ACCESSES));
    }
}

void cluster_gone(struct cluster *c, uint32_t peer)
{
    struct member m;
    member_take(c, peer, &m);
}

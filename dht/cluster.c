/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "dht/cluster.h"

#define RTT_UNIT_US 8u      /* 16 bits hold 0.52 s */
#define RTT_NONE    0xffffu /* not measured */
#define ACCESSES    64u     /* that rule a looks back on */
#define NOBODY      0xffu   /* no index of a known cluster */

struct member {
    uint32_t peer;
    uint16_t rtt_now, rtt_before; /* least of this half of the window, of the one before */
};

struct known {
    uint64_t cid;       /* 0: the place is free */
    uint32_t founded_s; /* seconds of the monotonic clock modulo 2^32, as are all that follow */
    uint32_t heard_s;   /* when a member was heard last */
    uint32_t shunned_s; /* until when, if `shunned` */
    uint16_t size_256;  /* smoothed over what members announce, 1/256 of log2 */
    uint8_t members;    /* in its row of `member`, the last heard first */
    bool shunned;
};

struct cluster {
    const struct cluster_config *config;
    struct member *member; /* config->members for each known cluster, behind them in memory */
    uint64_t rng;          /* state of splitmix64 */
    uint64_t misses;       /* of the last accesses to members of ours, the latest in bit 0 */
    uint64_t tick_us;      /* when the next tick is */
    uint64_t validated_us; /* when the present validation ends */
    uint64_t previous_cid; /* the cluster left last; 0: never left one */
    uint32_t previous_s;   /* when */
    uint32_t switches;
    uint32_t half;     /* which half window `rtt_now` is of */
    uint8_t accesses;  /* valid bits of `misses` */
    uint8_t ticks;     /* since the start or the last switch, as far as they matter */
    uint8_t size;      /* of ours as we announce it, eighths of log2 */
    uint8_t own;       /* which of `known` we are in */
    uint8_t swings;    /* switches in a row that led back to where the one before came from */
    uint8_t candidate; /* which is being validated, or NOBODY */
    struct known known[];
};

/* splitmix64 (Steele, Lea, Flood 2014): 8 bytes of state, where base/rng.h has 300 */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t draw(struct cluster *c)
{
    return mix(c->rng += 0x9e3779b97f4a7c15u);
}

static uint32_t seconds(struct now now)
{
    return (uint32_t)(now.mono_us / 1000000);
}

static struct member *row(const struct cluster *c, const struct known *k)
{
    return c->member + (size_t)(k - c->known) * c->config->members;
}

static bool is_own(const struct cluster *c, const struct known *k)
{
    return k == &c->known[c->own];
}

static bool in_use(const struct cluster *c, const struct known *k)
{
    return is_own(c, k) || (c->candidate != NOBODY && k == &c->known[c->candidate]);
}

static uint16_t rtt_of(const struct member *m)
{
    return m->rtt_now < m->rtt_before ? m->rtt_now : m->rtt_before;
}

static bool is_near(const struct cluster *c, const struct member *m)
{
    return rtt_of(m) < c->config->threshold_us / RTT_UNIT_US;
}

/* Members measured, and how many of them are near. */
struct tally {
    unsigned measured, near;
};

static struct tally tally(const struct cluster *c, const struct known *k)
{
    struct tally t = {0, 0};
    const struct member *m = row(c, k);
    for (unsigned i = 0; i < k->members; i++) {
        t.measured += rtt_of(&m[i]) != RTT_NONE;
        t.near += is_near(c, &m[i]);
    }
    return t;
}

static unsigned percent(unsigned part, unsigned whole)
{
    return whole ? part * 100 / whole : 0;
}

static uint8_t eighths(uint32_t log2_256)
{
    uint32_t e = (log2_256 + 16) / 32;
    return (uint8_t)(e < 255 ? e : 255);
}

static struct dht_descriptor describe(const struct known *k, uint32_t s)
{
    uint32_t age = s - k->founded_s, most = DHT_AGE_MAX_UNITS * DHT_AGE_UNIT_S;
    return (struct dht_descriptor){k->cid, eighths(k->size_256), age < most ? age : most};
}

struct dht_descriptor cluster_descriptor(const struct cluster *c, struct now now)
{
    struct dht_descriptor d = describe(&c->known[c->own], seconds(now));
    d.size = c->size;
    return d;
}

static unsigned delta_at(const struct cluster_config *config, uint32_t age_s)
{
    return age_s / config->wave_s % 2 ? config->delta_odd : config->delta_even;
}

static enum cluster_reason reason_between(const struct cluster_config *config,
                                          const struct dht_descriptor *a,
                                          const struct dht_descriptor *b)
{
    unsigned apart = (unsigned)(a->size > b->size ? a->size - b->size : b->size - a->size);
    uint32_t age_s = a->age_s < b->age_s ? a->age_s : b->age_s;
    return apart > delta_at(config, age_s) ? CLUSTER_LARGER : CLUSTER_LOWER_CID;
}

bool cluster_better(const struct cluster_config *config, const struct dht_descriptor *a,
                    const struct dht_descriptor *b)
{
    return reason_between(config, a, b) == CLUSTER_LARGER ? a->size > b->size : a->cid < b->cid;
}

/* How many measured members it takes where `least` are asked for: all, if the cluster is said to be
 * smaller, less a quarter, since an estimate is a quarter off at times; and no more than are kept.
 */
static unsigned enough(const struct cluster *c, const struct known *k, unsigned least)
{
    static const uint16_t root[8] = {256, 279, 304, 332, 362, 395, 431, 470}; /* 256 * 2^(i/8) */
    unsigned size = eighths(k->size_256);
    unsigned most = c->config->members < least ? c->config->members : least;
    if (size >= 6 * 8)
        return most;
    unsigned members = ((unsigned)root[size % 8] << size / 8) / 128;
    members = (members + 1) / 2; /* to the nearest */
    members -= members / 4;
    return members < most ? members : most;
}

static bool passes(const struct cluster *c, const struct known *k, unsigned least)
{
    struct tally t = tally(c, k);
    return t.measured >= enough(c, k, least) &&
           t.near * 100 >= c->config->share_percent * t.measured;
}

static bool is_shunned(const struct known *k, uint32_t s)
{
    return k->shunned && (int32_t)(k->shunned_s - s) > 0;
}

static void shun(struct known *k, uint32_t until_s)
{
    k->shunned = true;
    k->shunned_s = until_s;
}

static bool is_heard(const struct cluster *c, const struct known *k, uint32_t s)
{
    return s - k->heard_s <= c->config->heard_s;
}

/* The rtt of a window is the least of its two halves: when one is over, all move on. */
static void window_turn(struct cluster *c, uint32_t s)
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

static struct known *known_find(struct cluster *c, uint64_t cid)
{
    for (unsigned i = 0; i < c->config->known; i++)
        if (c->known[i].cid == cid)
            return &c->known[i];
    return NULL;
}

static bool is_better(const struct cluster *c, const struct known *k, uint32_t s)
{
    struct dht_descriptor theirs = describe(k, s), ours = describe(&c->known[c->own], s);
    ours.size = c->size;
    return cluster_better(c->config, &theirs, &ours);
}

/*
 * A place for a cluster just heard of. In a world of many clusters the least recently heard must
 * not always go: ours-to-be would go before five of its members were measured. So those
 * go first that are no better than ours or have no near member, and only a better one with a near
 * member (`promising`) displaces another such. What we shun counts as having one: forgotten, it
 * would be validated again. NULL: no place for it.
 */
static struct known *known_make(struct cluster *c, bool promising, uint32_t s)
{
    struct known *least = NULL;
    bool least_promises = true;
    for (unsigned i = 0; i < c->config->known; i++) {
        struct known *k = &c->known[i];
        if (k->cid == 0)
            return k;
        if (in_use(c, k))
            continue;
        bool promises =
            is_heard(c, k, s) && is_better(c, k, s) && (is_shunned(k, s) || tally(c, k).near > 0);
        if (!least || (least_promises && !promises) ||
            (least_promises == promises && s - k->heard_s > s - least->heard_s)) {
            least = k;
            least_promises = promises;
        }
    }
    return !least_promises || promising ? least : NULL;
}

static void known_found(struct known *k, uint64_t cid, uint32_t age_s, uint16_t size_256,
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
    window_turn(c, s);

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
    struct known *k = known_find(c, says->cid);
    if (k) {
        known_hear(k, age_s, says->size * 32, s);
    } else {
        struct dht_descriptor ours = cluster_descriptor(c, now);
        k = known_make(c, is_near(c, &m) && cluster_better(c->config, says, &ours), s);
        if (!k)
            return;
        known_found(k, says->cid, age_s, (uint16_t)(says->size * 32), s);
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

void cluster_size(struct cluster *c, uint32_t log2_256)
{
    c->size = eighths(log2_256);
}

static unsigned missed(const struct cluster *c)
{
    uint64_t valid = c->accesses < ACCESSES ? (1ull << c->accesses) - 1 : UINT64_MAX;
    return (unsigned)__builtin_popcountll(c->misses & valid);
}

/* Rule a. */
static bool is_too_far(const struct cluster *c)
{
    return c->accesses >= c->config->leave_least &&
           missed(c) * 100 > c->config->leave_percent * c->accesses;
}

/* The first two ticks, the next two after twice as long, and so on: ten until the pace is tick_s.
 * A quarter more or less each time keeps nodes that started together from ticking together. */
static void tick_next(struct cluster *c, struct now now)
{
    uint64_t pace = (uint64_t)c->config->fast_tick_s << c->ticks / 2;
    if (pace >= c->config->tick_s)
        pace = c->config->tick_s;
    else
        c->ticks++;
    c->tick_us = now.mono_us + pace * 1000000 / 1024 * (768 + draw(c) % 513);
}

/* Members of k into the action: near ones, then as many of the others, up to `most`. */
static void name_members(const struct cluster *c, const struct known *k, bool others, unsigned most,
                         struct cluster_action *out)
{
    const struct member *m = row(c, k);
    for (unsigned far = 0; far <= others; far++)
        for (unsigned i = 0; i < k->members && out->members < most; i++)
            if (is_near(c, &m[i]) != (bool)far)
                out->member[out->members++] = m[i].peer;
}

static void report(const struct cluster *c, enum cluster_what what, const struct known *to,
                   struct now now, struct cluster_action *out)
{
    struct tally t = tally(c, to);
    *out = (struct cluster_action){.what = what,
                                   .from = cluster_descriptor(c, now),
                                   .to = describe(to, seconds(now)),
                                   .measured = t.measured,
                                   .share_percent = percent(t.near, t.measured)};
    out->reason = reason_between(c->config, &out->to, &out->from);
    if (what == CLUSTER_VALIDATE)
        name_members(c, to, true, CLUSTER_SEEDS, out);
    else
        name_members(c, to, false, CLUSTER_MEMBERS_MAX, out);
}

/* How long the cluster being left is shunned when the way leads back to the one before: a tick, and
 * twice as long each further time in a row, since estimates that differ by chance would have us
 * swing between two for ever, and once is no more than a merge whose direction was not clear at
 * first. */
static uint32_t swing_s(struct cluster *c, uint64_t to)
{
    if (to != c->previous_cid) {
        c->swings = 0;
        return 0;
    }
    uint64_t pause_s = (uint64_t)c->config->tick_s << c->swings;
    if (pause_s >= c->config->shun_s)
        return c->config->shun_s;
    c->swings++;
    return (uint32_t)pause_s;
}

/* From ours to another that is known. */
static void move_to(struct cluster *c, struct known *to, enum cluster_reason why, struct now now)
{
    struct known *from = &c->known[c->own];
    uint32_t s = seconds(now), pause_s = swing_s(c, to->cid);
    if (why == CLUSTER_TOO_FAR)
        pause_s = c->config->shun_s;
    if (pause_s > 0)
        shun(from, s + pause_s);
    c->previous_cid = from->cid;
    c->previous_s = s;
    c->switches++;
    c->own = (uint8_t)(to - c->known);
    c->size = eighths(to->size_256);
    to->shunned = false;
    c->accesses = 0;
    if (from->members == 0)
        from->cid = 0;
    c->ticks = 0;
    tick_next(c, now);
}

static void leave(struct cluster *c, struct now now, struct cluster_action *out)
{
    uint32_t s = seconds(now);
    struct known *to = known_make(c, true, s);
    known_found(to, draw(c) | 1, 0, 0, s);
    report(c, CLUSTER_SWITCH, to, now, out);
    out->reason = CLUSTER_TOO_FAR;
    out->measured = c->accesses;
    out->share_percent = percent(missed(c), c->accesses);
    move_to(c, to, out->reason, now);
}

/* Rules b and c: the best of the acceptable ones that are better than ours, or NULL. */
static struct known *choose(struct cluster *c, struct now now)
{
    uint32_t s = seconds(now);
    struct known *best = NULL;
    for (unsigned i = 0; i < c->config->known; i++) {
        struct known *k = &c->known[i];
        if (k->cid == 0 || is_own(c, k) || !is_heard(c, k, s) || is_shunned(k, s) ||
            !passes(c, k, c->config->accept_least) || !is_better(c, k, s))
            continue;
        struct dht_descriptor a = describe(k, s), b;
        if (best)
            b = describe(best, s);
        if (!best || cluster_better(c->config, &a, &b))
            best = k;
    }
    return best;
}

/* Does not pass: for how long we look elsewhere. Too few answers say nothing against it: a tick.
 * And no longer than it is old: what was founded a minute ago will be another in a minute. */
static uint32_t disappointed_s(const struct cluster *c, const struct known *k, uint32_t s)
{
    bool few = tally(c, k).measured < enough(c, k, c->config->validate_least);
    uint32_t most = few ? c->config->tick_s : c->config->shun_s, age_s = s - k->founded_s;
    if (age_s >= most)
        return most;
    return age_s > c->config->fast_tick_s ? age_s : c->config->fast_tick_s;
}

/* Rule d, when the guests' answers are in. What is no longer better is left alone. */
static bool conclude(struct cluster *c, struct now now, struct cluster_action *out)
{
    struct known *k = &c->known[c->candidate];
    c->candidate = NOBODY;
    if (!passes(c, k, c->config->validate_least)) {
        shun(k, seconds(now) + disappointed_s(c, k, seconds(now)));
        if (k->members == 0)
            k->cid = 0;
        return false;
    }
    if (!is_better(c, k, seconds(now)))
        return false;
    report(c, CLUSTER_SWITCH, k, now, out);
    move_to(c, k, out->reason, now);
    return true;
}

bool cluster_poll(struct cluster *c, struct now now, struct cluster_action *out)
{
    if (now.mono_us < cluster_next_us(c))
        return false;
    window_turn(c, seconds(now));

    if (c->candidate != NOBODY) {
        if (conclude(c, now, out))
            return true;
    } else {
        tick_next(c, now);
        if (is_too_far(c)) {
            leave(c, now, out);
            return true;
        }
    }

    struct known *k = choose(c, now);
    if (!k)
        return false;
    c->candidate = (uint8_t)(k - c->known);
    c->validated_us = now.mono_us + c->config->validate_ms * 1000ull;
    report(c, CLUSTER_VALIDATE, k, now, out);
    return true;
}

uint64_t cluster_next_us(const struct cluster *c)
{
    return c->candidate != NOBODY ? c->validated_us : c->tick_us;
}

uint64_t cluster_previous(const struct cluster *c, struct now now)
{
    return seconds(now) - c->previous_s < c->config->grace_s ? c->previous_cid : 0;
}

uint32_t cluster_switches(const struct cluster *c)
{
    return c->switches;
}

static bool config_fits(const struct cluster_config *config)
{
    return config->threshold_us >= RTT_UNIT_US && config->threshold_us <= CLUSTER_RTT_MAX_US &&
           config->known >= 2 && config->known <= CLUSTER_KNOWN_MAX && config->members >= 1 &&
           config->members <= CLUSTER_MEMBERS_MAX && config->fast_tick_s >= 1 &&
           config->tick_s >= config->fast_tick_s && config->tick_s <= 86400 &&
           config->window_s >= 2 && config->wave_s >= 1 && config->leave_least >= 1 &&
           config->leave_least <= ACCESSES && config->accept_least >= 1 &&
           config->validate_least >= 1;
}

size_t cluster_bytes(const struct cluster_config *config)
{
    return sizeof(struct cluster) +
           config->known * (sizeof(struct known) + config->members * sizeof(struct member));
}

struct cluster *cluster_create(const struct cluster_config *config, unsigned level, uint64_t self,
                               uint64_t seed, struct now now)
{
    struct cluster *c = config_fits(config) ? calloc(1, cluster_bytes(config)) : NULL;
    if (!c)
        return NULL;
    c->config = config;
    c->member = (struct member *)(c->known + config->known);
    c->rng = mix(mix(seed + level) ^ self);
    c->candidate = NOBODY;
    c->half = seconds(now) / (config->window_s / 2);
    known_found(&c->known[0], draw(c) | 1, 0, 0, seconds(now));
    tick_next(c, now);
    return c;
}

void cluster_restore(struct cluster *c, uint64_t cid, uint32_t age_s, struct now now)
{
    if (cid == 0 || known_find(c, cid))
        return;
    c->known[c->own].cid = cid;
    c->known[c->own].founded_s = seconds(now) - age_s;
}

void cluster_destroy(struct cluster *c)
{
    free(c);
}

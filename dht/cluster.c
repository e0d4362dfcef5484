/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/mix.h"
#include "dht/cluster_state.h"

/* splitmix64: 8 bytes of state, where base/rng.h has 300 */
static uint64_t draw(struct cluster *c)
{
    return mix64(c->rng += MIX_GOLDEN);
}

static unsigned percent(unsigned part, unsigned whole)
{
    return whole ? part * 100 / whole : 0;
}

struct dht_descriptor cluster_descriptor(const struct cluster *c, struct now now)
{
    struct dht_descriptor d = cluster_describe(&c->known[c->own], seconds(now));
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

bool cluster_known_better(const struct cluster *c, const struct known *k, uint32_t s)
{
    struct dht_descriptor theirs = cluster_describe(k, s),
                          ours = cluster_describe(&c->known[c->own], s);
    ours.size = c->size;
    return cluster_better(c->config, &theirs, &ours);
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
    struct tally t = cluster_tally(c, k);
    return t.measured >= enough(c, k, least) &&
           t.near * 100 >= c->config->share_percent * t.measured;
}

static void shun(struct known *k, uint32_t until_s)
{
    k->shunned = true;
    k->shunned_s = until_s;
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
    struct tally t = cluster_tally(c, to);
    *out = (struct cluster_action){.what = what,
                                   .from = cluster_descriptor(c, now),
                                   .to = cluster_describe(to, seconds(now)),
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
    struct known *to = cluster_known_make(c, true, s);
    cluster_known_found(to, draw(c) | 1, 0, 0, s);
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
            !passes(c, k, c->config->accept_least) || !cluster_known_better(c, k, s))
            continue;
        struct dht_descriptor a = cluster_describe(k, s), b;
        if (best)
            b = cluster_describe(best, s);
        if (!best || cluster_better(c->config, &a, &b))
            best = k;
    }
    return best;
}

/* Does not pass: for how long we look elsewhere. Too few answers say nothing against it: a tick.
 * And no longer than it is old: what was founded a minute ago will be another in a minute. */
static uint32_t disappointed_s(const struct cluster *c, const struct known *k, uint32_t s)
{
    bool few = cluster_tally(c, k).measured < enough(c, k, c->config->validate_least);
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
    if (!cluster_known_better(c, k, seconds(now)))
        return false;
    report(c, CLUSTER_SWITCH, k, now, out);
    move_to(c, k, out->reason, now);
    return true;
}

bool cluster_poll(struct cluster *c, struct now now, struct cluster_action *out)
{
    if (now.mono_us < cluster_next_us(c))
        return false;
    cluster_window_turn(c, seconds(now));

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
    c->rng = mix64(mix64(seed + level) ^ self);
    c->candidate = NOBODY;
    c->half = seconds(now) / (config->window_s / 2);
    cluster_known_found(&c->known[0], draw(c) | 1, 0, 0, seconds(now));
    tick_next(c, now);
    return c;
}

void cluster_restore(struct cluster *c, uint64_t cid, uint32_t age_s, struct now now)
{
    if (cid == 0 || cluster_known_find(c, cid))
        return;
    c->known[c->own].cid = cid;
    c->known[c->own].founded_s = seconds(now) - age_s;
}

void cluster_destroy(struct cluster *c)
{
    free(c);
}

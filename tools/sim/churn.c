/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/churn.h"

#include <assert.h>

#include "base/memory.h"
#include "tools/sim/mix.h"
#include "tools/sim/real.h"

#define QUANTILES 4096u
#define MS_US     1000u
#define DAY_US    86400000000u

/* how long something lasts */
struct lasting {
    uint64_t ms[QUANTILES];     /* ascending */
    uint64_t sum_ms[QUANTILES]; /* of ms[0..i] */
};

struct churn {
    struct churn_params params;
    const struct planet *planet;
    struct lasting up, down;
    uint64_t session_key, start_key, outage_key, storm_key;
    uint64_t outage; /* bound on 32 random bits: a site fails on a day */
};

/* from this moment until that */
struct span {
    uint64_t from_us, until_us;
};

struct churn_params churn_params_static(void)
{
    return (struct churn_params){.up_shape = 1, .down_shape = 1};
}

struct churn_params churn_params_server(void)
{
    return (struct churn_params){.up_mean_ms = 14 * 86400000ull,
                                 .down_mean_ms = 120000,
                                 .up_shape = 1,
                                 .down_shape = 2,
                                 .site_ppm = 50000};
}

struct churn_params churn_params_volunteer(uint64_t up_mean_ms, uint64_t down_mean_ms)
{
    return (struct churn_params){
        .up_mean_ms = up_mean_ms, .down_mean_ms = down_mean_ms, .up_shape = 0.5, .down_shape = 0.5};
}

struct churn_params churn_params_exponential(uint64_t up_mean_ms, uint64_t down_mean_ms)
{
    return (struct churn_params){
        .up_mean_ms = up_mean_ms, .down_mean_ms = down_mean_ms, .up_shape = 1, .down_shape = 1};
}

/* Weibull's quantile at u: (-log(1 - u))^(1/shape), here scaled to the mean. */
static void make_lasting(struct lasting *l, double shape, double mean_ms)
{
    double raw[QUANTILES], sum = 0;
    for (uint32_t i = 0; i < QUANTILES; i++) {
        raw[i] = real_pow(-real_log(1 - (i + 0.5) / QUANTILES), 1 / shape);
        sum += raw[i];
    }
    uint64_t sum_ms = 0;
    for (uint32_t i = 0; i < QUANTILES; i++) {
        uint64_t ms = (uint64_t)(raw[i] * (mean_ms * QUANTILES / sum) + 0.5);
        l->ms[i] = ms > 0 ? ms : 1;
        l->sum_ms[i] = sum_ms += l->ms[i];
    }
}

struct churn *churn_create(const struct churn_params *params, const struct planet *planet,
                           uint64_t seed)
{
    assert(params->storms <= CHURN_STORMS && params->up_shape > 0 && params->down_shape > 0);
    assert(params->up_mean_ms == 0 || params->down_mean_ms > 0);
    assert(params->site_ppm < 1000000);
    struct churn *c = memory_new(1, sizeof(*c));
    if (!c)
        return NULL;
    c->params = *params;
    c->planet = planet;
    if (params->up_mean_ms > 0) {
        double own = 1 - params->site_ppm / 1e6;
        make_lasting(&c->up, params->up_shape, (double)params->up_mean_ms / own);
        make_lasting(&c->down, params->down_shape, (double)params->down_mean_ms);
        c->outage = mix_bound(
            (uint32_t)((uint64_t)params->site_ppm * (DAY_US / MS_US) / params->up_mean_ms));
    }
    c->session_key = mix_key(seed, MIX_SESSION);
    c->start_key = mix_key(seed, MIX_START);
    c->outage_key = mix_key(seed, MIX_SITE_OUTAGE);
    c->storm_key = mix_key(seed, MIX_STORM);
    return c;
}

void churn_destroy(struct churn *c)
{
    memory_free(c, 1, sizeof(*c));
}

static bool storm_hits(const struct churn *c, unsigned i, uint32_t node, struct span *s)
{
    const struct churn_storm *storm = &c->params.storm[i];
    uint64_t random = mix_pair(c->storm_key, node, i);
    if (!(storm->metros >> planet_metro(c->planet, node) & 1) ||
        (uint32_t)random >= mix_bound(storm->share_ppm))
        return false;
    s->from_us = storm->at_us + mix_below(mix64(random), storm->spread_us + 1);
    s->until_us = s->from_us + storm->down_us;
    return true;
}

/* At most one failure of a site begins on a day; none is looked for beyond the next. */
static bool site_fails(const struct churn *c, uint32_t site, uint64_t day, struct span *s)
{
    uint64_t random = mix_pair(c->outage_key, site, day);
    if ((uint32_t)random >= c->outage)
        return false;
    s->from_us = day * DAY_US + mix_below(mix64(random), DAY_US - 1) + 1;
    s->until_us = s->from_us + MS_US * c->down.ms[random >> 52];
    return true;
}

static bool within(const struct span *s, uint64_t time_us)
{
    return s->from_us <= time_us && time_us < s->until_us;
}

/* The first moment from time_us on at which neither a storm nor its site keeps the node down. */
static uint64_t out_of_trouble(const struct churn *c, uint32_t node, uint64_t time_us)
{
    uint32_t site = planet_site(c->planet, node);
    struct span s;
    for (bool moved = true; moved;) {
        uint64_t before_us = time_us, day = time_us / DAY_US;
        for (unsigned i = 0; i < c->params.storms; i++)
            if (storm_hits(c, i, node, &s) && within(&s, time_us))
                time_us = s.until_us;
        for (uint64_t d = day > 0 ? day - 1 : 0; c->outage > 0 && d <= day; d++)
            if (site_fails(c, site, d, &s) && within(&s, time_us))
                time_us = s.until_us;
        moved = time_us > before_us;
    }
    return time_us;
}

/* A node that is up from time_us on and would be until until_us: the first trouble before. */
static uint64_t next_trouble(const struct churn *c, uint32_t node, uint64_t time_us,
                             uint64_t until_us)
{
    struct span s;
    for (unsigned i = 0; i < c->params.storms; i++)
        if (storm_hits(c, i, node, &s) && s.from_us > time_us && s.from_us < until_us)
            until_us = s.from_us;
    uint32_t site = planet_site(c->planet, node);
    for (uint64_t day = time_us / DAY_US; c->outage > 0 && day * DAY_US < until_us; day++)
        if (site_fails(c, site, day, &s) && s.from_us > time_us && s.from_us < until_us)
            return s.from_us;
    return until_us;
}

static bool leaves_by_itself(const struct churn *c)
{
    return c->up.ms[0] > 0;
}

uint64_t churn_next(const struct churn *c, uint32_t node, bool up, uint64_t time_us,
                    uint32_t counter)
{
    uint64_t random = mix_pair(c->session_key, node, counter);
    bool own = leaves_by_itself(c);
    if (up) {
        uint64_t until_us = own ? time_us + MS_US * c->up.ms[random % QUANTILES] : CHURN_NEVER;
        return next_trouble(c, node, time_us, until_us);
    }
    /* A storm or the site took it down just now: these say when it is back. */
    uint64_t back_us = out_of_trouble(c, node, time_us);
    if (back_us > time_us)
        return back_us;
    return own ? out_of_trouble(c, node, time_us + MS_US * c->down.ms[random % QUANTILES])
               : CHURN_NEVER;
}

/* What is left of something at a random moment of it: longer ones are met more often. */
static uint64_t rest_ms(const struct lasting *l, uint64_t random)
{
    uint64_t at = mix_below(random, l->sum_ms[QUANTILES - 1]);
    uint32_t low = 0, high = QUANTILES - 1;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (l->sum_ms[mid] > at)
            high = mid;
        else
            low = mid + 1;
    }
    return l->sum_ms[low] - at; /* uniform in 1..ms[low] */
}

uint64_t churn_start(const struct churn *c, uint32_t node, bool *up)
{
    uint64_t random = mix_pair(c->start_key, node, 0);
    *up = out_of_trouble(c, node, 0) == 0;
    if (!*up || !leaves_by_itself(c))
        return churn_next(c, node, *up, 0, 0);
    uint64_t up_ms = c->params.up_mean_ms, down_ms = c->params.down_mean_ms;
    *up = mix_below(random, up_ms + down_ms) < up_ms;
    uint64_t until_us = MS_US * rest_ms(*up ? &c->up : &c->down, mix64(random));
    return *up ? next_trouble(c, node, 0, until_us) : out_of_trouble(c, node, until_us);
}

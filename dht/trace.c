/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/trace.h"

#include <assert.h>
#include <stdlib.h>

#include "base/rng.h"
#include "dht/hint.h"

#define TIMEOUT_US 1000000u /* a router that answers later than this is taken for silent */
#define TRIES      2        /* probes a hop */
#define IN_FLIGHT  2        /* probes a trace */
#define SILENT_END 3        /* hops in a row without a word: nothing beyond will answer either */

static_assert(DHT_TRACE_TTL_MAX * TRIES <= DHT_TRACE_STEPS, "each probe of a trace has a step");
static_assert(DHT_TRACE_RUNS <= DHT_TRACE_FLOWS, "each trace has a flow");

enum hop_state {
    HOP_WANTED, /* to be asked, for the first time or again */
    HOP_ASKED,
    HOP_ANSWERED,
    HOP_SILENT,
};

struct hop {
    uint8_t state; /* enum hop_state */
    uint8_t tries;
    uint32_t rtt_us;
    uint64_t asked_us;
    struct addr router; /* zero: the target itself answered */
};

struct run {
    bool used, near, reached;
    uint8_t flow;
    uint8_t steps; /* taken */
    uint8_t last;  /* no hop beyond it is of interest; sinks when the end of the path is found */
    struct addr target;
    uint8_t hop_of[DHT_TRACE_STEPS];       /* which hop a step asked; 0: not taken */
    struct hop hop[DHT_TRACE_TTL_MAX + 1]; /* by TTL; [0] unused */
};

struct waiting {
    struct addr target;
    bool near;
};

struct cached {
    uint64_t until_us; /* 0: free */
    struct addr prefix;
    struct dht_trace_result result;
};

struct dht_trace {
    struct dht_trace_config config;
    struct dht_trace_host host;
    uint8_t flow;         /* the next one's */
    uint64_t credit_us;   /* a probe costs 1 s / probes_per_s of it */
    uint64_t credited_us; /* when it was last counted */
    struct run run[DHT_TRACE_RUNS];
    unsigned queued;
    struct waiting queue[DHT_TRACE_QUEUE]; /* oldest first */
    struct cached cache[DHT_TRACE_CACHE];
};

struct dht_trace_config dht_trace_config_default(void)
{
    return (struct dht_trace_config){.probes_per_s = 10, .burst = 5, .cache_ms = 3600000};
}

struct dht_trace *dht_trace_create(const struct dht_trace_config *config,
                                   const struct dht_trace_host *host, const uint8_t seed[32],
                                   struct now now)
{
    struct dht_trace *t = calloc(1, sizeof(*t));
    struct rng rng;

    if (!t)
        return NULL;
    rng_init(&rng, seed);
    t->config = *config;
    t->host = *host;
    t->flow = (uint8_t)rng_below(&rng, DHT_TRACE_FLOWS);
    t->credited_us = now.mono_us;
    return t;
}

void dht_trace_destroy(struct dht_trace *t)
{
    free(t);
}

/* --- the rate --------------------------------------------------------------------------------- */

static uint64_t probe_cost_us(const struct dht_trace *t)
{
    return 1000000u / t->config.probes_per_s;
}

static bool rate_take(struct dht_trace *t, struct now now)
{
    uint64_t cost = probe_cost_us(t), most = cost * t->config.burst;

    t->credit_us += now.mono_us - t->credited_us;
    t->credited_us = now.mono_us;
    if (t->credit_us > most)
        t->credit_us = most;
    if (t->credit_us < cost)
        return false;
    t->credit_us -= cost;
    return true;
}

static uint64_t rate_at_us(const struct dht_trace *t)
{
    uint64_t cost = probe_cost_us(t);
    return t->credit_us >= cost ? t->credited_us : t->credited_us + cost - t->credit_us;
}

/* --- results by prefix ------------------------------------------------------------------------ */

static struct cached *cache_find(struct dht_trace *t, const struct addr *prefix, struct now now)
{
    for (unsigned i = 0; i < DHT_TRACE_CACHE; i++)
        if (t->cache[i].until_us > now.mono_us && addr_eq(&t->cache[i].prefix, prefix))
            return &t->cache[i];
    return NULL;
}

static void cache_put(struct dht_trace *t, const struct dht_trace_result *r, struct now now)
{
    struct cached *oldest = &t->cache[0]; /* or a free one */

    for (unsigned i = 1; i < DHT_TRACE_CACHE; i++)
        if (t->cache[i].until_us < oldest->until_us)
            oldest = &t->cache[i];
    *oldest = (struct cached){.until_us = now.mono_us + (uint64_t)t->config.cache_ms * 1000,
                              .prefix = dht_hint_prefix(&r->target),
                              .result = *r};
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool is_same(const struct addr *a, bool a_near, const struct addr *prefix, bool near)
{
    const struct addr p = dht_hint_prefix(a);
    return a_near == near && addr_eq(&p, prefix);
}

static enum dht_trace_answer enqueue(struct dht_trace *t, const struct addr *target, bool near)
{
    const struct addr prefix = dht_hint_prefix(target);

    for (unsigned i = 0; i < DHT_TRACE_RUNS; i++)
        if (t->run[i].used && is_same(&t->run[i].target, t->run[i].near, &prefix, near))
            return DHT_TRACE_WAITING;
    for (unsigned i = 0; i < t->queued; i++)
        if (is_same(&t->queue[i].target, t->queue[i].near, &prefix, near))
            return DHT_TRACE_WAITING;
    if (t->queued == DHT_TRACE_QUEUE)
        return DHT_TRACE_REFUSED;
    t->queue[t->queued++] = (struct waiting){*target, near};
    return DHT_TRACE_WAITING;
}

static bool may_trace(const struct dht_trace *t, const struct addr *target)
{
    return t->config.probes_per_s > 0 && dht_hint_usable(target, t->config.special);
}

enum dht_trace_answer dht_trace_towards(struct dht_trace *t, const struct addr *target,
                                        const struct dht_trace_result **out, struct now now)
{
    if (!may_trace(t, target))
        return DHT_TRACE_REFUSED;
    const struct addr prefix = dht_hint_prefix(target);
    const struct cached *known = cache_find(t, &prefix, now);
    if (!known)
        return enqueue(t, target, false);
    *out = &known->result;
    return DHT_TRACE_KNOWN;
}

enum dht_trace_answer dht_trace_near(struct dht_trace *t, const struct addr *target, struct now now)
{
    (void)now;
    return may_trace(t, target) ? enqueue(t, target, true) : DHT_TRACE_REFUSED;
}

/* --- answers ---------------------------------------------------------------------------------- */

static struct run *run_find(struct dht_trace *t, unsigned flow)
{
    for (unsigned i = 0; i < DHT_TRACE_RUNS; i++)
        if (t->run[i].used && t->run[i].flow == flow)
            return &t->run[i];
    return NULL;
}

/* The hop that a token asked, not answered yet. One whose time is over may still answer. */
static struct hop *answer(struct run *r, uint16_t token, unsigned *ttl)
{
    *ttl = r ? r->hop_of[token % DHT_TRACE_STEPS] : 0;
    if (*ttl == 0 || *ttl > r->last || r->hop[*ttl].state == HOP_ANSWERED)
        return NULL;
    r->hop[*ttl].state = HOP_ANSWERED;
    return &r->hop[*ttl];
}

static void reach(struct run *r, unsigned ttl)
{
    r->reached = true;
    r->last = (uint8_t)ttl;
}

void dht_trace_time_exceeded(struct dht_trace *t, uint16_t token, const struct addr *router,
                             uint32_t rtt_us)
{
    struct run *r = run_find(t, token / DHT_TRACE_STEPS);
    unsigned ttl;
    struct hop *h = answer(r, token, &ttl);

    if (!h)
        return;
    h->router = *router;
    h->rtt_us = rtt_us;
    const struct addr there = dht_hint_prefix(&r->target), here = dht_hint_prefix(router);
    if (addr_eq(&there, &here))
        reach(r, ttl);
}

void dht_trace_port_unreachable(struct dht_trace *t, uint16_t token)
{
    struct run *r = run_find(t, token / DHT_TRACE_STEPS);
    unsigned ttl;

    if (answer(r, token, &ttl))
        reach(r, ttl);
}

/* --- a trace's course ------------------------------------------------------------------------- */

static void run_start(struct dht_trace *t, struct run *r, const struct waiting *w)
{
    while (run_find(t, t->flow)) /* a slow one's */
        t->flow = (uint8_t)((t->flow + 1) % DHT_TRACE_FLOWS);
    *r = (struct run){
        .used = true,
        .near = w->near,
        .target = w->target,
        .flow = t->flow,
        .last = w->near ? DHT_HINT_HOPS : DHT_TRACE_TTL_MAX,
    };
    t->flow = (uint8_t)((t->flow + 1) % DHT_TRACE_FLOWS);
}

/* What time has decided: who is asked again, who is silent, where the path ends. */
static void run_judge(struct run *r, struct now now)
{
    unsigned silent = 0;

    for (unsigned i = 1; i <= r->last; i++) {
        struct hop *h = &r->hop[i];
        if (h->state == HOP_ASKED && now.mono_us >= h->asked_us + TIMEOUT_US)
            h->state = h->tries < TRIES ? HOP_WANTED : HOP_SILENT;
        silent = h->state == HOP_SILENT ? silent + 1 : 0;
        if (silent == SILENT_END)
            r->last = (uint8_t)i;
    }
}

/* The nearest hop that is to be asked and may be now; 0: none. */
static unsigned run_next(const struct run *r)
{
    unsigned asked = 0, next = 0;

    for (unsigned i = r->last; i >= 1; i--) {
        asked += r->hop[i].state == HOP_ASKED;
        if (r->hop[i].state == HOP_WANTED)
            next = i;
    }
    return asked < IN_FLIGHT ? next : 0;
}

static bool run_over(const struct run *r)
{
    for (unsigned i = 1; i <= r->last; i++)
        if (r->hop[i].state == HOP_WANTED || r->hop[i].state == HOP_ASKED)
            return false;
    return true;
}

static void run_ask(struct dht_trace *t, struct run *r, unsigned ttl, struct now now)
{
    struct hop *h = &r->hop[ttl];
    uint16_t token = (uint16_t)(r->flow * DHT_TRACE_STEPS + r->steps);

    r->hop_of[r->steps++] = (uint8_t)ttl;
    h->state = HOP_ASKED;
    h->tries++;
    h->asked_us = now.mono_us;
    t->host.probe(t->host.ctx, &r->target, (uint8_t)ttl, token);
}

/* Near: the first routers; else the last ones. A path that loops names a router once. */
static void result_add(struct dht_trace_result *out, const struct hop *h, unsigned ttl)
{
    for (unsigned i = 0; i < out->n; i++)
        if (addr_eq(&out->router[i].ip, &h->router))
            return;
    if (out->n == DHT_TRACE_ROUTERS) {
        memmove(out->router, out->router + 1, sizeof(out->router) - sizeof(out->router[0]));
        out->n--;
    }
    out->router[out->n++] = (struct dht_trace_router){h->router, (uint8_t)ttl, h->rtt_us};
}

static void run_end(struct dht_trace *t, struct run *r, struct now now)
{
    struct dht_trace_result out = {.target = r->target, .near = r->near, .reached = r->reached};

    for (unsigned i = 1; i <= r->last; i++) {
        const struct hop *h = &r->hop[i];
        if (h->state == HOP_ANSWERED && dht_hint_usable(&h->router, t->config.special))
            result_add(&out, h, i);
    }
    r->used = false;
    if (!out.near)
        cache_put(t, &out, now);
    t->host.done(t->host.ctx, &out, now);
}

static void queue_pop(struct dht_trace *t, struct run *r)
{
    run_start(t, r, &t->queue[0]);
    memmove(t->queue, t->queue + 1, --t->queued * sizeof(t->queue[0]));
}

void dht_trace_poll(struct dht_trace *t, struct now now)
{
    for (unsigned i = 0; i < DHT_TRACE_RUNS; i++) {
        struct run *r = &t->run[i];
        unsigned ttl;
        if (!r->used && t->queued)
            queue_pop(t, r);
        if (!r->used)
            continue;
        run_judge(r, now);
        while ((ttl = run_next(r)) > 0 && rate_take(t, now))
            run_ask(t, r, ttl, now);
        if (run_over(r))
            run_end(t, r, now);
    }
}

uint64_t dht_trace_deadline_us(const struct dht_trace *t)
{
    uint64_t at = UINT64_MAX;

    for (unsigned i = 0; i < DHT_TRACE_RUNS; i++) {
        const struct run *r = &t->run[i];
        if (!r->used) {
            if (t->queued)
                return 0;
            continue;
        }
        if (run_over(r))
            return 0;
        if (run_next(r) && rate_at_us(t) < at)
            at = rate_at_us(t);
        for (unsigned k = 1; k <= r->last; k++)
            if (r->hop[k].state == HOP_ASKED && r->hop[k].asked_us + TIMEOUT_US < at)
                at = r->hop[k].asked_us + TIMEOUT_US;
    }
    return at;
}

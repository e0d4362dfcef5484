/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "perf/trace/generate.h"

#define SCANS        5u
#define SHIFTS       10u /* parts of the day with ranks of their own */
#define CROWD        12u
#define CROWD_SHARE  0.8
#define ONCE_SHARE   (1 / 3.0)
#define CDN_ONCE     (1 / 8.0)
#define DEFAULT_SEED 1u

enum kind { ZIPF, SCAN, ONCE, SHIFT, CROWDED, CDN, DAY, KINDS };

const char *const generate_kinds[] = {"zipf", "scan", "once", "shift", "crowd", "cdn", "day", NULL};

struct generator {
    const struct generate_options *o;
    struct trace *t;
    enum kind kind;
    struct rng rng;
    struct popularity popularity;
    uint64_t *who; /* by rank */
    uint64_t born; /* IDs from here on are new */
};

static enum kind kind_of(const char *name)
{
    unsigned i = 0;
    while (i < KINDS && strcmp(generate_kinds[i], name) != 0)
        i++;
    return (enum kind)i;
}

bool generate_defaults(const char *kind, struct generate_options *o)
{
    enum kind k = kind_of(kind);
    *o = (struct generate_options){.kind = kind,
                                   .seed = DEFAULT_SEED,
                                   .requests = k == DAY ? 9700000 : 2000000,
                                   .objects = k == DAY ? 596000 : 100000,
                                   .exponent = 0.9,
                                   .sizes = SIZES_CDN};
    return k != KINDS;
}

static double uniform(struct rng *rng)
{
    return (double)rng_u32(rng) * 0x1p-32;
}

static bool ask(struct generator *g, uint64_t id)
{
    uint64_t time_s = (uint64_t)g->t->requests * GENERATE_DAY_S / g->o->requests;
    return trace_add(g->t, time_s, id, generate_size(g->o->sizes, g->o->seed, id));
}

static void shuffle(struct generator *g)
{
    for (uint32_t i = g->o->objects; i-- > 1;) {
        uint32_t j = rng_below(&g->rng, i + 1);
        uint64_t id = g->who[i];
        g->who[i] = g->who[j];
        g->who[j] = id;
    }
}

/* The crowd's share of requests at this part of the day, from 0 to 1. */
static double crowd_share(double day)
{
    if (day < 0.4)
        return 0;
    if (day < 0.5)
        return CROWD_SHARE * (day - 0.4) * 10;
    double share = CROWD_SHARE;
    for (unsigned tenth = 7; day * 10 >= tenth; tenth++)
        share /= 2;
    return share;
}

/* Whom request i asks for. */
static uint64_t choose(struct generator *g, uint32_t i)
{
    const struct generate_options *o = g->o;
    double day = (double)i / o->requests;
    if (g->kind == SHIFT && i && i % (o->requests / SHIFTS + 1) == 0)
        shuffle(g);
    if (g->kind == CDN && uniform(&g->rng) * o->requests < o->objects)
        g->who[rng_below(&g->rng, o->objects)] = g->born++;
    if ((g->kind == ONCE && uniform(&g->rng) < ONCE_SHARE) ||
        (g->kind == CDN && uniform(&g->rng) < CDN_ONCE))
        return g->born++;
    if (g->kind == CROWDED && uniform(&g->rng) < crowd_share(day))
        return o->objects + rng_below(&g->rng, CROWD);
    return g->who[popularity_draw(&g->popularity, &g->rng)];
}

static bool run(struct generator *g)
{
    uint32_t requests = g->o->requests, scan = g->kind == SCAN ? g->o->objects / 2 : 0;
    uint32_t every = scan ? requests / SCANS : requests;
    if (scan > every / 2) /* short traces: half of it is scans */
        scan = every / 2;
    for (uint32_t i = 0; i < requests; i++) {
        uint32_t at = i % every; /* a scan ends each part */
        uint64_t id = at >= every - scan ? g->o->objects + at - (every - scan) : choose(g, i);
        if (!ask(g, id))
            return false;
    }
    return true;
}

bool generate(const struct generate_options *o, struct trace *t)
{
    struct generator g = {.o = o, .t = t, .kind = kind_of(o->kind), .born = o->objects};
    if (g.kind == DAY)
        return generate_day(o, t);
    rng_init_u64(&g.rng, o->seed);
    g.who = malloc(o->objects * sizeof(*g.who));
    bool ok = g.who && popularity_zipf(&g.popularity, o->objects, o->exponent);
    for (uint32_t i = 0; ok && i < o->objects; i++)
        g.who[i] = i;
    ok = ok && run(&g);
    popularity_close(&g.popularity);
    free(g.who);
    return ok;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* How far, how fast, and how much of it reaches a root. */
#include <math.h>
#include <stdlib.h>

#include "dht/id.h"
#include "dht/rpc.h"
#include "tools/sim/mix.h"
#include "tools/sim/scenario.h"

#define MINUTE_US     60000000ull
#define KADEMLIA_KEYS 16u /* hammered there: so many can be watched */

enum purpose { MIX_WHO = MIX_CALLER + 64, MIX_WHEN };

static double summary_mean(const struct summary *s)
{
    return s->n ? (double)s->sum / (double)s->n : 0;
}

/* --- hops ------------------------------------------------------------------------------------- */

/* Research 7's table, measured on static tables of k = 8. */
static double hops_expected(unsigned b, double log2_n)
{
    return b == 1 ? log2_n - 2.0 : b == 2 ? log2_n / 2 - 0.45 : log2_n / 3 - 0.13;
}

static bool hops_report(const struct load *l, const struct sim_options *o, unsigned b,
                        json_t *report)
{
    uint32_t nodes = l->world->params.nodes;
    double mean = summary_mean(&l->get_hops), log2_n = log2(nodes);
    double expected = hops_expected(b, log2_n);
    uint64_t p99 = summary_quantile(&l->get_hops, 0.99);
    json_object_set_new(report, "b", json_integer(b));
    json_object_set_new(report, "hops_mean", json_real(mean));
    json_object_set_new(report, "hops_expected", json_real(expected));
    json_object_set_new(report, "hops_p99", json_integer((json_int_t)p99));
    json_object_set_new(report, "put_hops_mean", json_real(summary_mean(&l->put_hops)));
    json_object_set_new(report, "put_hops_p99",
                        json_integer((json_int_t)summary_quantile(&l->put_hops, 0.99)));
    json_object_set_new(report, "load", load_json(l));
    bool good = true;
    if (!o->without)
        good &= scenario_expect(mean > expected - 2, "b = %u: %.2f hops in the mean, %.2f expected",
                                b, mean, expected);
    good &= scenario_expect(mean < expected + 1, "b = %u: %.2f hops in the mean, %.2f expected", b,
                            mean, expected);
    good &= scenario_expect((double)p99 <= ceil(log2_n) + 3, "p99 is %llu hops",
                            (unsigned long long)p99);
    return good;
}

/* Gets of what nobody has put, and nothing at the second closest: the path to the closest node, and
 * what was asked beside it because a hop was slow; --without hedge, the path alone, which is
 * shorter than research 7's, where a hop was no luckier than its b bits. The puts after it take a
 * gentler way (path.c), told beside it. */
bool scenario_hops(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    unsigned b = o->b ? o->b : p.dht.prefix_bits[0];
    uint32_t walks = o->keys ? o->keys : 20000;
    p.planet = planet_params_faultless();
    p.dht.levels = 1;
    p.dht.copies = 1;
    p.dht.mitigate.runner_up = false;
    p.dht.mitigate.own = false;
    p.dht.store_keys += 8 * walks / p.nodes; /* no root is too full */
    p.oracle = true;
    p.dht.refresh_ms = p.dht.find_ms = 3600000;
    struct world *w = scenario_world(o, &p);
    struct load *l = w ? load_create(w, walks, 60000) : NULL;
    if (!l || !scenario_beside(l, o, walks))
        return false;
    l->unput = true;
    uint64_t second = w->time_us + MINUTE_US + 6000000;
    for (uint32_t i = 0; i < walks; i++) {
        uint32_t who = (uint32_t)(mix(o->seed, i, 0, MIX_WHO) % p.nodes);
        uint64_t when = mix(o->seed, i, 0, MIX_WHEN) % MINUTE_US;
        load_get_at(l, who, i, w->time_us + when);
        load_put_at(l, who, i, second + when);
    }
    world_run(w, 2 * MINUTE_US + 12000000);
    bool good = scenario_expect(l->stored == walks, "%llu of %u puts were stored",
                                (unsigned long long)l->stored, walks);
    good &= hops_report(l, o, b, report);
    good &= scenario_end(w, report);
    good &= scenario_kademlia(l, 2 * MINUTE_US + 12000000, report);
    scenario_row(report, "answers one after the other to the closest", summary_mean(&l->get_hops),
                 "gets.hops.mean", false);
    scenario_row(report, "RPCs to the closest", summary_mean(&l->get_asks), "gets.asks.mean",
                 false);
    load_destroy(l);
    return good;
}

/* --- latency ---------------------------------------------------------------------------------- */

/* Objects that a few nodes of some metros have, asked for from those metros and from others. */
bool scenario_latency(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    uint32_t keys = o->keys ? o->keys : 2000;
    p.planet.transient_ppm = p.planet.permanent_ppm = p.planet.one_way_ppm = 0;
    p.planet.v4_only_ppm = p.planet.v6_only_ppm = 0;
    p.oracle = true;
    struct world *w = scenario_world(o, &p);
    struct load *l = w ? load_create(w, keys, 3600000) : NULL;
    if (!l || !scenario_beside(l, o, keys))
        return false;
    for (uint32_t k = 0; k < keys; k++)
        for (unsigned copy = 0; copy < 20; copy++)
            load_put_at(l, (uint32_t)(mix(o->seed, k, copy, MIX_WHO) % p.nodes), k,
                        w->time_us + mix(o->seed, k, copy, MIX_WHEN) % MINUTE_US);
    l->measure_us = w->time_us + 2 * MINUTE_US;
    for (uint32_t i = 0; i < 10 * keys; i++)
        load_get_at(l, (uint32_t)(mix(o->seed, i, 100, MIX_WHO) % p.nodes), i % keys,
                    l->measure_us + mix(o->seed, i, 100, MIX_WHEN) % MINUTE_US);
    world_run(w, 3 * MINUTE_US + 6000000);
    json_object_set_new(report, "levels", json_integer(p.dht.levels));
    json_object_set_new(report, "get_success", json_real(load_success(l)));
    json_object_set_new(report, "get_p50_us",
                        json_integer((json_int_t)summary_quantile(&l->get_all_us, 0.5)));
    json_object_set_new(report, "get_p99_us",
                        json_integer((json_int_t)summary_quantile(&l->get_all_us, 0.99)));
    json_object_set_new(report, "holder_p50_us",
                        json_integer((json_int_t)summary_quantile(&l->holder_us, 0.5)));
    json_object_set_new(report, "load", load_json(l));
    bool good = scenario_expect(load_success(l) > 0.999, "%.4f of gets found it", load_success(l));
    good &= scenario_end(w, report);
    good &= scenario_kademlia(l, 3 * MINUTE_US + 6000000, report);
    scenario_row(report, "get's success", load_success(l), "success", false);
    bool levels = p.dht.levels > 1; /* what they are for */
    good &= scenario_row(report, "get, us, median", (double)summary_quantile(&l->get_all_us, 0.5),
                         "gets.well_us.p50", levels);
    scenario_row(report, "get, us, p99", (double)summary_quantile(&l->get_all_us, 0.99),
                 "gets.well_us.p99", false);
    good &=
        scenario_row(report, "to the holder, us, median",
                     (double)summary_quantile(&l->holder_us, 0.5), "gets.holder_us.p50", levels);
    scenario_row(report, "RPCs a get", summary_mean(&l->get_asks), "gets.asks.mean", false);
    load_destroy(l);
    return good;
}

/* --- hammering -------------------------------------------------------------------------------- */

struct hammer {
    struct load *load;
    uint32_t keys;
    uint32_t *root;      /* by key */
    uint32_t *a_minute;  /* walks that reached it in this one */
    struct summary rate; /* by key and minute, from the second on */
    struct id_index {
        uint64_t id;
        uint32_t key;
    } * index; /* by ID */
};

static int index_compare(const void *x, const void *y)
{
    const struct id_index *a = x, *b = y;
    return a->id < b->id ? -1 : a->id > b->id;
}

static struct hammer *the_hammer; /* the world's hook has no context of its own */

static void hammer_served(struct world *w, uint32_t at, const struct rpc *ask)
{
    struct hammer *h = the_hammer;
    (void)w;
    if (ask->type != RPC_WALK)
        return;
    struct id_index want = {.id = id_u64(ask->key.b)};
    const struct id_index *found = bsearch(&want, h->index, h->keys, sizeof(want), index_compare);
    if (found && h->root[found->key] == at)
        h->a_minute[found->key]++;
}

static struct hammer *hammer_create(struct world *w, struct load *l)
{
    struct hammer *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->load = l;
    h->keys = l->keys;
    h->root = calloc(l->keys, sizeof(*h->root));
    h->a_minute = calloc(l->keys, sizeof(*h->a_minute));
    h->index = calloc(l->keys, sizeof(*h->index));
    for (uint32_t k = 0; k < l->keys; k++) {
        h->root[k] = truth_closest(w, &l->key[k].key, 0);
        h->index[k] = (struct id_index){id_u64(l->key[k].key.b), k};
    }
    qsort(h->index, h->keys, sizeof(*h->index), index_compare);
    the_hammer = h;
    w->served = hammer_served;
    return h;
}

static void hammer_destroy(struct hammer *h)
{
    free(h->root);
    free(h->a_minute);
    free(h->index);
    free(h);
}

bool scenario_hammer(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    uint32_t keys = o->keys ? o->keys : p.nodes > 100000 ? 10 : 1000;
    unsigned b = o->b ? o->b : 1, minutes = (unsigned)(o->minutes ? o->minutes : 4);
    p.planet = planet_params_faultless();
    p.dht.levels = 1;
    p.dht.prefix_bits[0] = (uint8_t)b;
    p.dht.copies = 1;
    p.dht.lookups *= 4; /* all of them at it */
    p.dht.store_keys = keys < 1024 ? keys + 64 : 1088;
    p.dht.refresh_ms = p.dht.find_ms = 3600000;
    p.oracle = true;
    struct world *w = scenario_world(o, &p);
    struct load *l = w ? load_create(w, keys, 3600000) : NULL;
    struct hammer *h = l ? hammer_create(w, l) : NULL;
    if (!h || !scenario_beside(l, o, KADEMLIA_KEYS))
        return false;
    /* each key more often than its root may hear of it: by all, without pause */
    double bound = p.dht.beta * (double)((1u << b) - 1) * ceil(log2(p.nodes) / b);
    uint64_t a_minute = (uint64_t)(4 * bound) * keys;
    for (uint32_t i = 0; i < p.nodes; i++)
        load_puts(l, i, (uint64_t)p.nodes * MINUTE_US / a_minute);
    for (unsigned minute = 0; minute < minutes; minute++) {
        world_run(w, (minute + 1) * MINUTE_US);
        for (uint32_t k = 0; k < keys; k++) {
            if (minute > 0)
                summary_add(&h->rate, h->a_minute[k]);
            h->a_minute[k] = 0;
        }
    }
    double p99 = (double)summary_quantile(&h->rate, 0.99), most = (double)h->rate.max;
    double slack = b == 1 ? 1.6 : 3;
    json_object_set_new(report, "b", json_integer(b));
    json_object_set_new(report, "keys", json_integer(keys));
    json_object_set_new(report, "puts_a_minute_and_key",
                        json_real((double)a_minute / (double)keys));
    json_object_set_new(report, "root_rate_mean", json_real(summary_mean(&h->rate)));
    json_object_set_new(report, "root_rate_p99", json_real(p99));
    json_object_set_new(report, "root_rate_max", json_real(most));
    json_object_set_new(report, "root_rate_min", json_real((double)h->rate.min));
    json_object_set_new(report, "root_rate_p1",
                        json_integer((json_int_t)summary_quantile(&h->rate, 0.01)));
    json_object_set_new(report, "root_rate_bound", json_real(bound));
    json_object_set_new(report, "load", load_json(l));
    bool good = scenario_expect(p99 <= bound,
                                "p99 of the roots' rates is %.0f a minute, bound %.0f", p99, bound);
    good &= scenario_expect(most <= slack * bound, "a root heard %.0f walks, bound %.1f x %.0f",
                            most, slack, bound);
    good &= scenario_expect(h->rate.min >= p.dht.beta / 2, "a root heard %llu walks a minute",
                            (unsigned long long)h->rate.min);
    good &= scenario_end(w, report);
    good &= scenario_kademlia(l, minutes * MINUTE_US, report);
    good &= scenario_row(report, "asks a minute at the busiest node of a key, mean",
                         summary_mean(&h->rate), "busiest.mean", true);
    good &= scenario_row(report, "the same, most", most, "busiest.max", true);
    hammer_destroy(h);
    load_destroy(l);
    return good;
}

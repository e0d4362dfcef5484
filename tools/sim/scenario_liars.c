/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Members that lie, a world for each lie beside one without. Honest nodes put, honest nodes get; a
 * get counts as found when it names a node that put the object.
 */
#include <stdlib.h>
#include <string.h>

#include "dht/coordinate.h"
#include "dht/id.h"
#include "dht/member.h"
#include "tools/sim/liar.h"
#include "tools/sim/mix.h"
#include "tools/sim/scenario.h"

#define SECOND_US 1000000ull
#define MINUTE_US 60000000ull
#define SETTLE_US (2 * MINUTE_US) /* tables and clusters are found with liars among them */
#define HOLDERS   2u              /* of an object */
#define GETS      10u             /* of an object */
#define AGAIN     1u              /* gets more, if what was found is of no use: as a proxy does */
#define PAIRS     4000u

enum turn { TURN_PUT, TURN_GET };
enum purpose { MIX_WHO = MIX_CALLER + 128, MIX_WHEN, MIX_PAIR };

struct object {
    struct dht_id key;
    uint32_t holder[HOLDERS];
    unsigned holders;
};

struct trial {
    struct world *world;
    const struct liars *liars;
    struct object *object;
    uint32_t objects;
    uint64_t gets, found, false_values, not_found, failed, puts, unstored;
    uint64_t again; /* gets of gets */
    struct summary get_us, asks;
};

struct want {
    struct trial *trial;
    uint32_t node, object;
    uint64_t since_us;
    unsigned again, asks;
    struct dht_useless useless;
};

/* What comes of a lie. */
struct row {
    double success, p50_ms, p99_ms, max_ms, asks, packets_s, error, dead;
    bool good;
};

static bool is_honest(const struct trial *t, uint32_t node)
{
    return liars_lie(t->liars, node) == LIE_NONE;
}

static void put_done(void *ctx, const struct dht_result *r, struct now now)
{
    struct want *want = ctx;
    struct object *o = &want->trial->object[want->object];
    (void)now;
    want->trial->puts++;
    if (r->end == DHT_FOUND && o->holders < HOLDERS)
        o->holder[o->holders++] = want->node;
    else
        want->trial->unstored++;
    free(want);
}

static bool names_holder(const struct trial *t, const struct object *o, const struct dht_result *r)
{
    for (unsigned i = 0; i < r->n; i++) {
        struct endpoint e = {r->value[i].http.ip, t->world->config.port};
        uint32_t node = world_number(t->world, &e);
        for (unsigned j = 0; j < o->holders; j++)
            if (node == o->holder[j])
                return true;
    }
    return false;
}

/* A proxy that asked the holders in vain gets once more. What that costs it is not counted here: a
 * round trip to one that is there. */
static void get_done(void *ctx, const struct dht_result *r, struct now now)
{
    struct want *want = ctx;
    struct trial *t = want->trial;
    const struct object *o = &t->object[want->object];
    bool true_one = names_holder(t, o, r);
    want->asks += r->asks;
    if (r->end == DHT_FOUND && !true_one && want->again < AGAIN) {
        want->again++;
        t->again++;
        dht_useless_add(&want->useless, r);
        dht_get_again(t->world->node[want->node].asker, &o->key, DHT_ALL_LEVELS, &want->useless,
                      get_done, want, now);
        return;
    }
    t->gets++;
    t->found += true_one;
    t->false_values += r->end == DHT_FOUND && !true_one;
    t->not_found += r->end == DHT_NOT_FOUND;
    t->failed += r->end == DHT_FAILED;
    summary_add(&t->get_us, now.mono_us - want->since_us);
    summary_add(&t->asks, want->asks);
    free(want);
}

static bool holds(const struct object *o, uint32_t node)
{
    for (unsigned i = 0; i < o->holders; i++)
        if (o->holder[i] == node)
            return true;
    return false;
}

static void turn(struct world *w, uint32_t node, uint16_t detail, uint64_t payload)
{
    struct trial *t = w->ctx;
    struct object *o = &t->object[payload];
    struct dht_asker *asker = w->node[node].asker;
    if (!is_honest(t, node) || (detail == TURN_GET && (o->holders == 0 || holds(o, node))))
        return;
    struct want *want = malloc(sizeof(*want));
    if (!want)
        return;
    *want = (struct want){
        .trial = t, .node = node, .object = (uint32_t)payload, .since_us = w->time_us};
    if (detail == TURN_PUT)
        dht_put(asker, &o->key, DHT_ALL_LEVELS, 3600000, put_done, want, world_now(w));
    else
        dht_get(asker, &o->key, DHT_ALL_LEVELS, get_done, want, world_now(w));
}

/* At times of chance within a minute from now. */
static void turns(struct trial *t, uint64_t seed, enum turn turn, unsigned each)
{
    struct world *w = t->world;
    for (uint32_t i = 0; i < t->objects * each; i++)
        world_turn(w, (uint32_t)(mix(seed, i, turn, MIX_WHO) % w->params.nodes),
                   w->time_us + mix(seed, i, turn, MIX_WHEN) % MINUTE_US, (uint16_t)turn, i / each);
}

static int by_size(const void *x, const void *y)
{
    const double *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* The median relative error between honest nodes. */
static double coordinate_error(const struct trial *t, uint64_t seed)
{
    static double error[PAIRS];
    const struct world *w = t->world;
    unsigned n = 0;
    for (unsigned i = 0; i < PAIRS; i++) {
        uint32_t a = (uint32_t)(mix(seed, i, 0, MIX_PAIR) % w->params.nodes);
        uint32_t b = (uint32_t)(mix(seed, i, 1, MIX_PAIR) % w->params.nodes);
        if (a == b || !is_honest(t, a) || !is_honest(t, b))
            continue;
        double rtt = planet_rtt_us(w->planet, a, b);
        double says =
            coordinate_estimate_us(&w->node[a].member->coordinate, &w->node[b].member->coordinate);
        error[n++] = (says > rtt ? says - rtt : rtt - says) / rtt;
    }
    qsort(error, n, sizeof(error[0]), by_size);
    return n ? error[n / 2] : 0;
}

/* The share of honest nodes that honest nodes know and take for dead. */
static double taken_for_dead(const struct trial *t)
{
    const struct world *w = t->world;
    uint64_t known = 0, dead = 0;
    for (uint32_t i = 0; i < w->params.nodes; i++) {
        const struct dht_routes *r = world_routes(w, i);
        for (uint32_t j = 0; is_honest(t, i) && j < r->n; j++) {
            uint32_t other = world_number(w, &dht_route_contact(r, j)->rpc);
            bool honest = other != UINT32_MAX && is_honest(t, other);
            known += honest;
            dead += honest && !r->route[j].alive;
        }
    }
    return known ? (double)dead / (double)known : 0;
}

static json_t *row_json(const struct trial *t, enum lie lie, const struct row *r)
{
    return json_pack(
        "{s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:f, s:f, s:f}", "lie", lie_name(lie),
        "get_success", r->success, "gets", (json_int_t)t->gets, "false_values",
        (json_int_t)t->false_values, "not_found", (json_int_t)t->not_found, "failed",
        (json_int_t)t->failed, "puts", (json_int_t)t->puts, "unstored", (json_int_t)t->unstored,
        "get_us", summary_json(&t->get_us), "get_asks", summary_json(&t->asks), "packets_s_a_node",
        r->packets_s, "coordinate_error", r->error, "taken_for_dead", r->dead);
}

static bool trial_run(const struct sim_options *o, enum lie lie, uint32_t percent, struct row *out,
                      json_t *report)
{
    struct world_params p = scenario_params(o);
    struct trial t = {.objects = o->keys ? o->keys : p.nodes};
    p.planet.v4_only_ppm = p.planet.v6_only_ppm = 0;
    p.dht.liveness = true;
    p.codec_each = 16;
    t.world = scenario_world(o, &p);
    t.object = calloc(t.objects, sizeof(*t.object));
    struct liars *liars = t.world ? liars_create(t.world, percent, lie) : NULL;
    if (!t.object || !liars)
        return false;
    t.liars = liars;
    t.world->ctx = &t;
    t.world->turn = turn;
    for (uint32_t i = 0; i < t.objects; i++) {
        uint64_t text[2] = {i, o->seed};
        t.object[i].key = dht_key(text, sizeof(text));
    }
    world_run(t.world, SETTLE_US);
    turns(&t, o->seed, TURN_PUT, HOLDERS);
    world_run(t.world, SETTLE_US + MINUTE_US + 20 * SECOND_US);
    turns(&t, o->seed, TURN_GET, GETS);
    uint64_t from_us = t.world->time_us, packets = t.world->totals.packets;
    world_run(t.world, SETTLE_US + 2 * MINUTE_US + 40 * SECOND_US);
    *out = (struct row){.success = t.gets ? (double)t.found / (double)t.gets : 0,
                        .p50_ms = (double)summary_quantile(&t.get_us, 0.5) / 1e3,
                        .p99_ms = (double)summary_quantile(&t.get_us, 0.99) / 1e3,
                        .max_ms = (double)t.get_us.max / 1e3,
                        .asks = t.asks.n ? (double)t.asks.sum / (double)t.asks.n : 0,
                        .error = coordinate_error(&t, o->seed),
                        .dead = taken_for_dead(&t)};
    out->packets_s = (double)(t.world->totals.packets - packets) * 1e6 /
                     (double)(t.world->time_us - from_us) / p.nodes;
    json_t *row = row_json(&t, lie, out);
    out->good = scenario_end(t.world, row);
    json_array_append_new(report, row);
    fprintf(stderr,
            "%-10s %8.4f %% found  %5.2f %% false  p50 %5.0f  p99 %5.0f  most %5.0f ms  %5.2f asks "
            " %5.2f packets/s  error %.3f  dead %.4f  unstored %llu\n",
            lie_name(lie), 100 * out->success,
            t.gets ? 100 * (double)t.false_values / (double)t.gets : 0, out->p50_ms, out->p99_ms,
            out->max_ms, out->asks, out->packets_s, out->error, out->dead,
            (unsigned long long)t.unstored);
    liars_destroy(liars);
    free(t.object);
    return true;
}

bool scenario_liars(const struct sim_options *o, json_t *report)
{
    uint32_t percent = o->liar_percent ? o->liar_percent : 10;
    struct row none, r;
    json_t *rows = json_array();
    bool good = trial_run(o, LIE_NONE, 0, &none, rows) && none.good;
    for (int lie = LIE_MIXED; lie > LIE_NONE; lie--) {
        if (o->lie && strcmp(o->lie, lie_name((enum lie)lie)) != 0)
            continue;
        if (!trial_run(o, (enum lie)lie, percent, &r, rows))
            return false;
        good &= r.good;
        good &= scenario_expect(r.success > 0.99, "%s: %.4f of gets found it",
                                lie_name((enum lie)lie), r.success);
        fprintf(stderr, "%-10s adds %.0f ms to the median, %.0f ms to the 99th percentile\n",
                lie_name((enum lie)lie), r.p50_ms - none.p50_ms, r.p99_ms - none.p99_ms);
    }
    json_object_set_new(report, "liar_percent", json_integer(percent));
    json_object_set_new(report, "lies", rows);
    return good;
}

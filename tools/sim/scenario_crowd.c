/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CoralCDN's own experiment (NSDI 2004, section 5): proxies that start to ask for the same objects
 * at one instant, an origin behind a slow line. A proxy here does what corald's does: get; when
 * nothing is found, put a short reference; who was there before it in the put's answer is fetched
 * from, and only who was first asks the origin; when the object is whole, put the long reference.
 */
#include <stdlib.h>
#include <string.h>

#include "dht/id.h"
#include "tools/sim/mix.h"
#include "tools/sim/scenario.h"

#define SECOND_US 1000000ull
#define OBJECTS   12u
#define SHORT_MS  20000u
#define LONG_MS   3600000u
#define ORIGIN_US 2000000u /* the slow line: for the whole object */
#define PEER_US   300000u  /* from a peer, once it has it */
#define RENEW_US  8000000u /* the short reference while a fill runs */
#define WATCH_US  200000u  /* how soon a fill from a peer sees that it has come further */

enum turn { TURN_WANT, TURN_FILLED, TURN_WATCH };
enum purpose { MIX_BEGIN = MIX_CALLER + 96 };
enum state { NOTHING, LOOKING, FILLING, WHOLE };

struct crowd {
    struct world *world;
    struct dht_id key[OBJECTS];
    uint8_t *state;     /* by node and object */
    uint32_t *source;   /* whom it fetches from; itself: the origin */
    uint64_t *begun_us; /* when it wanted it */
    uint64_t fetches[OBJECTS], whole;
    uint32_t *of_cluster; /* origin fetches by level-1 cluster and object */
    uint32_t clusters;
    struct summary took_us;
};

static struct crowd *the_crowd; /* lookups' ends carry a place alone */

static uint32_t place(uint32_t node, uint32_t object)
{
    return node * OBJECTS + object;
}

static void whole_put_done(void *ctx, const struct dht_result *r, struct now now)
{
    (void)ctx, (void)r, (void)now;
}

static void from_origin(struct crowd *c, uint32_t node, uint32_t object)
{
    uint32_t at = place(node, object);
    c->fetches[object]++;
    c->of_cluster[planet_cluster(c->world->planet, node, 1) * OBJECTS + object]++;
    c->source[at] = node;
    c->state[at] = FILLING;
    world_turn(c->world, node, c->world->time_us + ORIGIN_US, TURN_FILLED, object);
}

static void from_peer(struct crowd *c, uint32_t node, uint32_t object, uint32_t peer)
{
    uint32_t at = place(node, object);
    c->source[at] = peer;
    c->state[at] = FILLING;
    world_turn(c->world, node, c->world->time_us + WATCH_US, TURN_WATCH, object);
}

/* Fetching from it would not lead back to us. */
static bool is_sound(const struct crowd *c, uint32_t node, uint32_t object, uint32_t peer)
{
    for (unsigned hops = 0; hops < 8 && peer != UINT32_MAX; hops++) {
        uint32_t at = place(peer, object);
        if (peer == node || !c->world->node[peer].up || c->state[at] == NOTHING)
            return false;
        if (c->state[at] != FILLING || c->source[at] == peer)
            return true; /* whole, about to know whom to ask, or asking the origin */
        peer = c->source[at];
    }
    return false;
}

/* The oldest of those named that is of use; UINT32_MAX: none. */
static uint32_t choose(const struct crowd *c, uint32_t node, uint32_t object,
                       const struct dht_result *r)
{
    uint32_t best = UINT32_MAX, age = 0;
    for (unsigned i = 0; i < r->n; i++) {
        struct endpoint e = {r->value[i].http.ip, c->world->config.port};
        uint32_t peer = world_number(c->world, &e);
        if (peer != UINT32_MAX && is_sound(c, node, object, peer) &&
            (best == UINT32_MAX || r->value[i].age_ms > age)) {
            best = peer;
            age = r->value[i].age_ms;
        }
    }
    return best;
}

static void short_put_done(void *ctx, const struct dht_result *r, struct now now)
{
    struct crowd *c = the_crowd;
    uint32_t at = (uint32_t)(uintptr_t)ctx, node = at / OBJECTS, object = at % OBJECTS;
    (void)now;
    uint32_t peer = choose(c, node, object, r);
    if (peer != UINT32_MAX)
        from_peer(c, node, object, peer);
    else
        from_origin(c, node, object);
}

static void get_done(void *ctx, const struct dht_result *r, struct now now)
{
    struct crowd *c = the_crowd;
    uint32_t at = (uint32_t)(uintptr_t)ctx, node = at / OBJECTS, object = at % OBJECTS;
    uint32_t peer = choose(c, node, object, r);
    if (peer != UINT32_MAX) {
        from_peer(c, node, object, peer);
        dht_put(c->world->node[node].asker, &c->key[object], DHT_ALL_LEVELS, SHORT_MS,
                whole_put_done, NULL, now);
        return;
    }
    dht_claim(c->world->node[node].asker, &c->key[object], DHT_ALL_LEVELS, SHORT_MS, short_put_done,
              ctx, now);
}

static void filled(struct crowd *c, uint32_t node, uint32_t object)
{
    uint32_t at = place(node, object);
    c->state[at] = WHOLE;
    c->whole++;
    summary_add(&c->took_us, c->world->time_us - c->begun_us[at]);
    dht_put(c->world->node[node].asker, &c->key[object], DHT_ALL_LEVELS, LONG_MS, whole_put_done,
            NULL, world_now(c->world));
}

static void turn(struct world *w, uint32_t node, uint16_t detail, uint64_t object)
{
    struct crowd *c = w->ctx;
    uint32_t at = place(node, (uint32_t)object);
    switch ((enum turn)detail) {
    case TURN_WANT:
        c->state[at] = LOOKING;
        c->begun_us[at] = w->time_us;
        dht_get(w->node[node].asker, &c->key[object], DHT_ALL_LEVELS, get_done,
                (void *)(uintptr_t)at, world_now(w)); /* NOLINT */
        break;
    case TURN_FILLED:
        filled(c, node, (uint32_t)object);
        break;
    case TURN_WATCH:
        if (c->state[place(c->source[at], (uint32_t)object)] == WHOLE)
            world_turn(w, node, w->time_us + PEER_US, TURN_FILLED, object);
        else
            world_turn(w, node, w->time_us + WATCH_US, TURN_WATCH, object);
        break;
    }
}

static struct crowd *crowd_create(struct world *w)
{
    uint32_t places = w->params.nodes * OBJECTS;
    struct crowd *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->world = w;
    for (uint32_t i = 0; i < w->params.nodes; i++)
        if (planet_cluster(w->planet, i, 1) >= c->clusters)
            c->clusters = planet_cluster(w->planet, i, 1) + 1;
    c->state = calloc(places, sizeof(*c->state));
    c->source = calloc(places, sizeof(*c->source));
    c->begun_us = calloc(places, sizeof(*c->begun_us));
    c->of_cluster = calloc((size_t)c->clusters * OBJECTS, sizeof(*c->of_cluster));
    for (uint32_t i = 0; i < OBJECTS; i++) {
        uint64_t text[2] = {i, w->params.seed};
        c->key[i] = dht_key(text, sizeof(text));
    }
    the_crowd = c;
    w->ctx = c;
    w->turn = turn;
    return c->state && c->source && c->begun_us && c->of_cluster ? c : NULL;
}

bool scenario_crowd(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    p.planet.world = METRO_CLEAR;
    p.planet.transient_ppm = p.planet.permanent_ppm = p.planet.one_way_ppm = 0;
    p.planet.v4_only_ppm = p.planet.v6_only_ppm = 0;
    p.oracle = true;
    p.dht.lookups = p.nodes * (OBJECTS + 2) < 100000 ? p.nodes * (OBJECTS + 2) : 100000;
    struct world *w = scenario_world(o, &p);
    struct crowd *c = w ? crowd_create(w) : NULL;
    if (!c)
        return false;
    world_run(w, 5 * SECOND_US);
    for (uint32_t i = 0; i < p.nodes; i++)
        for (uint32_t k = 0; k < OBJECTS; k++)
            world_turn(w, i, w->time_us + mix(o->seed, i, k, MIX_BEGIN) % SECOND_US, TURN_WANT, k);
    world_run(w, 120 * SECOND_US);
    uint64_t fetches = 0, most = 0;
    for (uint32_t k = 0; k < OBJECTS; k++)
        fetches += c->fetches[k];
    for (uint32_t i = 0; i < c->clusters * OBJECTS; i++)
        most = c->of_cluster[i] > most ? c->of_cluster[i] : most;
    uint32_t inhabited = 0;
    for (uint32_t k = 0; k < c->clusters; k++)
        for (uint32_t i = 0; i < p.nodes; i++)
            if (planet_cluster(w->planet, i, 1) == k) {
                inhabited++;
                break;
            }
    double mean = (double)fetches / inhabited / OBJECTS;
    json_object_set_new(report, "objects", json_integer(OBJECTS));
    json_object_set_new(report, "origin_fetches", json_integer((json_int_t)fetches));
    json_object_set_new(report, "of_a_cluster_and_object_mean", json_real(mean));
    json_object_set_new(report, "of_a_cluster_and_object_max", json_integer((json_int_t)most));
    json_object_set_new(report, "took_us", summary_json(&c->took_us));
    bool good =
        scenario_expect(c->whole == (uint64_t)p.nodes * OBJECTS, "%llu of %u copies are whole",
                        (unsigned long long)c->whole, p.nodes * OBJECTS);
    if (p.nodes <= 166)
        good &= scenario_expect(fetches <= 14, "%llu origin fetches", (unsigned long long)fetches);
    good &= scenario_expect(mean <= 1.2 && most <= 3,
                            "a level-1 cluster fetched an object %.2f times, %llu at most", mean,
                            (unsigned long long)most);
    good &= scenario_end(w, report);
    free(c->state);
    free(c->source);
    free(c->begun_us);
    free(c->of_cluster);
    free(c);
    return good;
}

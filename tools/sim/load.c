/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/load.h"

#include <stdlib.h>

#include "tools/sim/flat.h"
#include "tools/sim/mix.h"

enum turn { TURN_PUT, TURN_GET, TURN_RENEW, TURN_PUTS, TURN_GETS };
enum purpose { MIX_KEY = MIX_CALLER + 32, MIX_PAUSE, MIX_WHICH, MIX_RENEW };

/* A lookup under way. */
struct ask {
    struct ask *next;
    struct load *load;
    uint32_t node, key, incarnation;
    uint64_t since_us;
    bool put, counts;
};

static struct ask *ask_new(struct load *l, uint32_t node, uint32_t key, bool put)
{
    struct ask *a = l->free_ask;
    if (a)
        l->free_ask = a->next;
    else if (!(a = malloc(sizeof(*a))))
        return NULL;
    *a = (struct ask){.load = l,
                      .node = node,
                      .key = key,
                      .incarnation = l->world->node[node].incarnation,
                      .since_us = l->world->time_us,
                      .put = put,
                      .counts = l->world->time_us >= l->measure_us};
    return a;
}

static void ask_free(struct ask *a)
{
    a->next = a->load->free_ask;
    a->load->free_ask = a;
}

static uint64_t chance(struct load *l, uint32_t node, enum purpose purpose)
{
    return mix(l->world->params.seed, node, l->world->node[node].counter, purpose);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void put_done(void *ctx, const struct dht_result *r, struct now now)
{
    struct ask *a = ctx;
    struct load *l = a->load;
    struct load_key *k = &l->key[a->key];
    if (r->end == DHT_FOUND) {
        k->putter[k->puts++ % LOAD_PUTTERS] = a->node;
        k->until_us = now.mono_us + 1000ull * l->ttl_ms;
        if (l->renew) {
            uint64_t half = 500ull * l->ttl_ms;
            uint64_t at = now.mono_us + half * 9 / 10 + chance(l, a->node, MIX_RENEW) % (half / 5);
            world_turn(l->world, a->node, at, TURN_RENEW, (uint64_t)a->incarnation << 32 | a->key);
        }
    }
    if (a->counts) {
        l->puts++;
        l->stored += r->end == DHT_FOUND;
        l->saturated += r->end == DHT_NOT_FOUND;
        l->put_failed += r->end == DHT_FAILED;
        summary_add(&l->put_us, now.mono_us - a->since_us);
        summary_add(&l->put_hops, r->hops);
    }
    ask_free(a);
}

static uint32_t nearest_holder_us(const struct load *l, uint32_t node, const struct dht_result *r)
{
    uint32_t best = UINT32_MAX;
    for (unsigned i = 0; i < r->n; i++) {
        struct endpoint e = {r->value[i].http.ip, l->world->config.port};
        uint32_t holder = world_number(l->world, &e);
        uint32_t us =
            holder == UINT32_MAX ? UINT32_MAX : planet_rtt_us(l->world->planet, node, holder);
        best = us < best ? us : best;
    }
    return best;
}

static void get_done(void *ctx, const struct dht_result *r, struct now now)
{
    struct ask *a = ctx;
    struct load *l = a->load;
    if (a->counts) {
        uint64_t took_us = now.mono_us - a->since_us;
        l->gets++;
        l->failed += r->end == DHT_FAILED;
        summary_add(&l->get_hops, r->hops);
        summary_add(&l->get_asks, r->asks);
        if (r->end == DHT_FOUND) {
            l->found++;
            l->found_at[r->level]++;
            summary_add(&l->get_us[r->level], took_us);
            summary_add(&l->get_all_us, took_us);
            summary_add(&l->holder_us, nearest_holder_us(l, a->node, r));
        } else if (l->missed) {
            l->missed(l, a->node, a->key);
        }
    }
    ask_free(a);
}

/* --- beginnings ------------------------------------------------------------------------------- */

static void put(struct load *l, uint32_t node, uint32_t key)
{
    struct ask *a = ask_new(l, node, key, true);
    if (a)
        dht_put(l->world->node[node].asker, &l->key[key].key, DHT_ALL_LEVELS, l->ttl_ms, put_done,
                a, world_now(l->world));
}

/* Of what nobody has put nothing is to be found, nor does one who put it find itself. */
static void get(struct load *l, uint32_t node, uint32_t key)
{
    const struct load_key *k = &l->key[key];
    if (k->until_us <= l->world->time_us && !l->unput)
        return;
    for (unsigned i = 0; i < LOAD_PUTTERS && i < k->puts; i++)
        if (k->putter[i] == node)
            return;
    struct ask *a = ask_new(l, node, key, false);
    if (a)
        dht_get(l->world->node[node].asker, &l->key[key].key, DHT_ALL_LEVELS, get_done, a,
                world_now(l->world));
}

static void again(struct load *l, uint32_t node, enum turn turn, uint64_t pause_us)
{
    uint64_t at = l->world->time_us + chance(l, node, MIX_PAUSE) % (2 * pause_us);
    world_turn(l->world, node, at, (uint16_t)turn, pause_us);
}

static void turn(struct world *w, uint32_t node, uint16_t detail, uint64_t payload)
{
    struct load *l = w->ctx;
    struct world_node *x = &w->node[node];
    uint32_t key = (uint32_t)payload;
    uint32_t random = (uint32_t)(chance(l, node, MIX_WHICH) % l->keys);
    switch ((enum turn)detail) {
    case TURN_PUT:
        if (x->up)
            put(l, node, key);
        break;
    case TURN_GET:
        if (x->up)
            get(l, node, key);
        break;
    case TURN_RENEW:
        if (x->up && x->incarnation == payload >> 32)
            put(l, node, key);
        break;
    case TURN_PUTS:
        again(l, node, TURN_PUTS, payload);
        if (x->up)
            put(l, node, random);
        break;
    case TURN_GETS:
        again(l, node, TURN_GETS, payload);
        if (x->up)
            get(l, node, random);
        break;
    }
}

struct load *load_create(struct world *w, uint32_t keys, uint32_t ttl_ms)
{
    struct load *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->world = w;
    l->keys = keys;
    l->ttl_ms = ttl_ms;
    l->key = calloc(keys, sizeof(*l->key));
    if (!l->key) {
        free(l);
        return NULL;
    }
    for (uint32_t i = 0; i < keys; i++) {
        uint64_t text[2] = {i, w->params.seed};
        l->key[i].key = dht_key(text, sizeof(text));
    }
    w->ctx = l;
    w->turn = turn;
    return l;
}

/* After its world. */
void load_destroy(struct load *l)
{
    if (!l)
        return;
    while (l->free_ask) {
        struct ask *a = l->free_ask;
        l->free_ask = a->next;
        free(a);
    }
    flat_destroy(l->flat);
    free(l->key);
    free(l);
}

void load_put_at(struct load *l, uint32_t node, uint32_t key, uint64_t at_us)
{
    world_turn(l->world, node, at_us, TURN_PUT, key);
    if (l->flat)
        flat_put_at(l->flat, node, key, at_us);
}

void load_get_at(struct load *l, uint32_t node, uint32_t key, uint64_t at_us)
{
    world_turn(l->world, node, at_us, TURN_GET, key);
    if (l->flat)
        flat_get_at(l->flat, node, key, at_us);
}

void load_puts(struct load *l, uint32_t node, uint64_t pause_us)
{
    again(l, node, TURN_PUTS, pause_us);
    if (l->flat)
        flat_puts(l->flat, node, pause_us);
}

void load_gets(struct load *l, uint32_t node, uint64_t pause_us)
{
    again(l, node, TURN_GETS, pause_us);
    if (l->flat)
        flat_gets(l->flat, node, pause_us);
}

double load_success(const struct load *l)
{
    return l->gets ? (double)l->found / (double)l->gets : 0;
}

json_t *load_json(const struct load *l)
{
    json_t *levels = json_array();
    for (unsigned i = 0; i < DHT_LEVELS; i++)
        json_array_append_new(levels, json_pack("{s:i, s:I, s:o}", "level", (int)i, "found",
                                                (json_int_t)l->found_at[i], "us",
                                                summary_json(&l->get_us[i])));
    return json_pack(
        "{s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o}", "gets",
        (json_int_t)l->gets, "found", (json_int_t)l->found, "failed", (json_int_t)l->failed,
        "success", load_success(l), "levels", levels, "get_us", summary_json(&l->get_all_us),
        "get_hops", summary_json(&l->get_hops), "get_asks", summary_json(&l->get_asks), "holder_us",
        summary_json(&l->holder_us), "puts", (json_int_t)l->puts, "stored", (json_int_t)l->stored,
        "saturated", (json_int_t)l->saturated, "put_failed", (json_int_t)l->put_failed, "put_us",
        summary_json(&l->put_us), "put_hops", summary_json(&l->put_hops));
}

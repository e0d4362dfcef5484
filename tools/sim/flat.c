/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/flat.h"

#include <stdlib.h>

#include "tools/sim/kademlia.h"
#include "tools/sim/load.h"
#include "tools/sim/mix.h"

#define START_US   1000000ull   /* as a world's */
#define REFRESH_US 900000000ull /* between two fillings of the tables */
#define WATCH_US   60000000ull  /* the first minute is no measure */
#define KEY_BITS   24           /* of a lookup's tag; the rest is when it began */

enum turn {
    TURN_PUT,
    TURN_GET,
    TURN_RENEW,
    TURN_PUTS,
    TURN_GETS,
    TURN_CHANGE,
    TURN_REFRESH,
    TURN_WATCH
};
enum purpose { MIX_PAUSE = MIX_CALLER + 112, MIX_WHICH, MIX_RENEW };

struct flat_node {
    uint32_t counter; /* of its turns */
    uint32_t changes; /* up and down */
    bool up;
};

struct flat {
    struct world_params params;
    uint32_t keys, load_keys;
    uint32_t ttl_ms;
    bool renew, unput;
    uint64_t measure_us, now_us;
    struct dht_id *id;    /* by node */
    struct load_key *key; /* by key */
    struct flat_node *node;
    struct queue *agenda; /* turns of nodes */
    struct planet *planet;
    struct churn *churn;
    struct kademlia *k;
    struct kademlia_row gets, puts;
    const struct kademlia_watch *watch[KADEMLIA_WATCHES]; /* of the first keys */
    unsigned watches;
};

static void turn_at(struct flat *f, uint32_t node, uint64_t at_us, enum turn turn, uint64_t payload)
{
    struct event e = {.time_us = at_us,
                      .source = node,
                      .counter = f->node[node].counter++,
                      .target = node,
                      .kind = (uint16_t)turn,
                      .payload = payload};
    if (!queue_push(f->agenda, &e)) {
        fprintf(stderr, "coral-sim: more turns wait than were reserved; this run means nothing\n");
        exit(1);
    }
}

/* --- what is asked ---------------------------------------------------------------------------- */

static uint64_t chance(const struct flat *f, uint32_t node, enum purpose purpose)
{
    return mix(f->params.seed, node, f->node[node].counter, purpose);
}

void flat_put_at(struct flat *f, uint32_t node, uint32_t key, uint64_t at_us)
{
    if (key < f->keys)
        turn_at(f, node, at_us, TURN_PUT, key);
}

void flat_get_at(struct flat *f, uint32_t node, uint32_t key, uint64_t at_us)
{
    if (key < f->keys)
        turn_at(f, node, at_us, TURN_GET, key);
}

static void again(struct flat *f, uint32_t node, enum turn turn, uint64_t pause_us)
{
    turn_at(f, node, f->now_us + chance(f, node, MIX_PAUSE) % (2 * pause_us), turn, pause_us);
}

void flat_puts(struct flat *f, uint32_t node, uint64_t pause_us)
{
    again(f, node, TURN_PUTS, pause_us * f->load_keys / f->keys);
}

void flat_gets(struct flat *f, uint32_t node, uint64_t pause_us)
{
    again(f, node, TURN_GETS, pause_us * f->load_keys / f->keys);
}

static uint64_t tag(const struct flat *f, uint32_t key)
{
    return f->now_us << KEY_BITS | key;
}

static void put(struct flat *f, uint32_t node, uint32_t key)
{
    kademlia_put(f->k, node, &f->key[key].key, 1000ull * f->ttl_ms, tag(f, key));
}

/* As the load's: of what nobody has put nothing is to be found, nor does one find itself. */
static void get(struct flat *f, uint32_t node, uint32_t key)
{
    const struct load_key *k = &f->key[key];
    if (k->until_us <= f->now_us && !f->unput)
        return;
    for (unsigned i = 0; i < LOAD_PUTTERS && i < k->puts; i++)
        if (k->putter[i] == node)
            return;
    kademlia_get(f->k, node, &k->key, tag(f, key));
}

/* --- what came of it -------------------------------------------------------------------------- */

static void put_done(struct flat *f, const struct kademlia_result *r, uint64_t began_us)
{
    uint32_t number = (uint32_t)(r->tag & ((1u << KEY_BITS) - 1));
    struct load_key *k = &f->key[number];
    if (r->end == KADEMLIA_REACHED) {
        uint64_t half = 500ull * f->ttl_ms, now = began_us + r->latency_us;
        k->putter[k->puts++ % LOAD_PUTTERS] = r->node;
        k->until_us = now + 2 * half;
        if (f->renew)
            turn_at(f, r->node, now + half * 9 / 10 + chance(f, r->node, MIX_RENEW) % (half / 5),
                    TURN_RENEW, (uint64_t)f->node[r->node].changes << 32 | number);
    }
    if (began_us >= f->measure_us)
        kademlia_row_add(&f->puts, r);
}

static void done(void *ctx, const struct kademlia_result *r)
{
    struct flat *f = ctx;
    uint64_t began_us = r->tag >> KEY_BITS;
    if (r->what == KADEMLIA_PUT)
        put_done(f, r, began_us);
    else if (began_us >= f->measure_us)
        kademlia_row_add(&f->gets, r);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void change(struct flat *f, uint32_t node)
{
    struct flat_node *x = &f->node[node];
    x->up = !x->up;
    kademlia_set_up(f->k, node, x->up);
    uint64_t next = churn_next(f->churn, node, x->up, f->now_us - START_US, ++x->changes);
    if (next != CHURN_NEVER)
        turn_at(f, node, next + START_US, TURN_CHANGE, 0);
}

static void handle(struct flat *f, const struct event *e)
{
    uint32_t node = e->target, key = (uint32_t)e->payload;
    const struct flat_node *x = &f->node[node];
    uint32_t random = (uint32_t)(chance(f, node, MIX_WHICH) % f->keys);
    switch ((enum turn)e->kind) {
    case TURN_PUT:
        put(f, node, key);
        break;
    case TURN_GET:
        get(f, node, key);
        break;
    case TURN_RENEW:
        if (x->changes == e->payload >> 32)
            put(f, node, key);
        break;
    case TURN_PUTS:
        again(f, node, TURN_PUTS, e->payload);
        put(f, node, random);
        break;
    case TURN_GETS:
        again(f, node, TURN_GETS, e->payload);
        get(f, node, random);
        break;
    case TURN_CHANGE:
        change(f, node);
        break;
    case TURN_REFRESH:
        kademlia_fill(f->k);
        turn_at(f, node, f->now_us + REFRESH_US, TURN_REFRESH, 0);
        break;
    case TURN_WATCH:
        for (; f->watches < KADEMLIA_WATCHES && f->watches < f->keys; f->watches++)
            f->watch[f->watches] = kademlia_watch(f->k, &f->key[f->watches].key);
        break;
    }
}

/* --- beginning and end ------------------------------------------------------------------------ */

struct flat *flat_create(struct load *l, uint32_t keys)
{
    const struct world *w = l->world;
    struct flat *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->params = w->params;
    f->load_keys = l->keys;
    f->keys = keys < l->keys ? keys : l->keys;
    f->now_us = w->time_us;
    f->id = calloc(w->params.nodes, sizeof(*f->id));
    f->node = calloc(w->params.nodes, sizeof(*f->node));
    f->key = calloc(f->keys, sizeof(*f->key));
    f->agenda = queue_create((size_t)w->params.nodes * 4 + 1000000);
    if (!f->id || !f->node || !f->key || !f->agenda || f->keys >> KEY_BITS) {
        flat_destroy(f);
        return NULL;
    }
    for (uint32_t i = 0; i < w->params.nodes; i++)
        f->id[i] = w->contact[i].id;
    for (uint32_t i = 0; i < f->keys; i++)
        f->key[i].key = l->key[i].key;
    l->flat = f;
    return f;
}

void flat_destroy(struct flat *f)
{
    if (!f)
        return;
    if (f->k)
        kademlia_destroy(f->k);
    if (f->churn)
        churn_destroy(f->churn);
    if (f->planet)
        planet_destroy(f->planet);
    if (f->agenda)
        queue_destroy(f->agenda);
    free(f->id);
    free(f->node);
    free(f->key);
    free(f);
}

static bool begin(struct flat *f, const struct load *l)
{
    struct kademlia_params params = kademlia_params_default();
    const struct world_params *p = &f->params;
    params.done = done;
    params.ctx = f;
    params.max_lookups = 40000;
    f->ttl_ms = l->ttl_ms;
    f->renew = l->renew;
    f->unput = l->unput;
    f->measure_us = l->measure_us;
    f->planet = planet_create(&p->planet, p->nodes, p->seed);
    f->churn = f->planet ? churn_create(&p->churn, f->planet, p->seed) : NULL;
    f->k = f->churn ? kademlia_create(&params, f->planet, f->id, p->nodes, p->seed) : NULL;
    if (!f->k)
        return false;
    kademlia_run(f->k, START_US);
    for (uint32_t i = 0; i < p->nodes; i++) {
        uint64_t until = churn_start(f->churn, i, &f->node[i].up);
        if (!f->node[i].up)
            kademlia_set_up(f->k, i, false);
        if (until != CHURN_NEVER)
            turn_at(f, i, until + START_US, TURN_CHANGE, 0);
    }
    turn_at(f, 0, START_US, TURN_REFRESH, 0);
    turn_at(f, 0, START_US + WATCH_US, TURN_WATCH, 0);
    return true;
}

static json_t *flat_json(const struct flat *f, const struct summary *busiest)
{
    const uint64_t *end = f->gets.end;
    uint64_t gets = end[KADEMLIA_FOUND] + end[KADEMLIA_NOT_FOUND] + end[KADEMLIA_FAILED];
    struct kademlia_counters c = kademlia_counters(f->k);
    return json_pack("{s:f, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "success",
                     gets ? (double)end[KADEMLIA_FOUND] / (double)gets : 0, "keys",
                     (json_int_t)f->keys, "gets", kademlia_row_json(&f->gets), "puts",
                     kademlia_row_json(&f->puts), "busiest", summary_json(busiest), "events",
                     (json_int_t)c.events, "abandoned", (json_int_t)c.abandoned, "overflows",
                     (json_int_t)c.overflows, "event_hash", report_hex(kademlia_hash(f->k)));
}

json_t *flat_run(struct flat *f, const struct load *l, uint64_t until_us)
{
    struct summary busiest = {0};
    struct event e;
    uint64_t at;
    if (!begin(f, l))
        return NULL;
    while (queue_peek_time(f->agenda, &at) && at <= until_us + START_US) {
        kademlia_run(f->k, at); /* what ends in it may add turns, none of them before */
        queue_pop(f->agenda, &e);
        f->now_us = at;
        handle(f, &e);
    }
    kademlia_run(f->k, until_us + START_US);
    for (unsigned i = 0; i < f->watches; i++)
        summary_merge(&busiest, &f->watch[i]->busiest);
    return flat_json(f, &busiest);
}

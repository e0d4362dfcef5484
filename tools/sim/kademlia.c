/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/kademlia_lookup.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "tools/sim/mix.h"

#define ASKS_MAX      256u /* a lookup's RPCs: it ends even where everybody is down */
#define BOOTSTRAPS    64u  /* draws for a node that is up */
#define EVENTS_LOOKUP 32u  /* pending a lookup: alpha messages, and time-outs of those answered */
#define ANSWERS       8u   /* on their way a lookup */

#define MIX_BOOTSTRAP (MIX_CALLER + 1002)

static uint64_t upper(const struct dht_id *id)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++)
        x = x << 8 | id->b[i];
    return x;
}

/* ---- life and death ---- */

struct kademlia_params kademlia_params_default(void)
{
    return (struct kademlia_params){
        .k = 8, .alpha = 3, .timeout_us = 500000, .max_lookups = 4096, .max_keys = 1u << 20};
}

static struct kademlia_tables *make_tables(const struct kademlia_params *params,
                                           const struct dht_id *ids, uint32_t nodes, uint64_t seed)
{
    uint64_t *id = memory_new(nodes, sizeof(*id));
    if (!id)
        return NULL;
    for (uint32_t i = 0; i < nodes; i++)
        id[i] = upper(&ids[i]);
    struct kademlia_tables *t = kademlia_tables_create(id, nodes, params->k, seed);
    memory_free(id, nodes, sizeof(*id));
    return t;
}

struct kademlia *kademlia_create(const struct kademlia_params *params, const struct planet *planet,
                                 const struct dht_id *ids, uint32_t nodes, uint64_t seed)
{
    assert(params->alpha > 0 && params->timeout_us > 0 && params->max_lookups > 0);
    assert(nodes <= planet_nodes(planet));
    struct kademlia *k = memory_new(1, sizeof(*k));
    if (!k)
        return NULL;
    *k = (struct kademlia){.params = *params, .planet = planet, .seed = seed, .nodes = nodes};
    uint32_t lookups = params->max_lookups;
    k->node = memory_new(nodes, sizeof(*k->node));
    k->up = memory_new(nodes, sizeof(*k->up));
    k->tables = make_tables(params, ids, nodes, seed);
    k->store = kademlia_store_create(nodes, params->max_keys);
    k->queue = queue_create((size_t)EVENTS_LOOKUP * lookups);
    k->lookup = memory_new(lookups, sizeof(*k->lookup));
    k->answer = memory_new((size_t)ANSWERS * lookups, sizeof(*k->answer));
    k->watch = memory_new(KADEMLIA_WATCHES, sizeof(*k->watch));
    if (!k->node || !k->up || !k->tables || !k->store || !k->queue || !k->lookup || !k->answer ||
        !k->watch) {
        kademlia_destroy(k);
        return NULL;
    }
    memset(k->up, true, nodes);
    for (uint32_t i = 0; i < lookups; i++)
        k->lookup[i].next = i + 1 < lookups ? i + 1 : KADEMLIA_NOBODY;
    for (uint32_t i = 0; i < ANSWERS * lookups; i++)
        k->answer[i].next = i + 1 < ANSWERS * lookups ? i + 1 : KADEMLIA_NOBODY;
    return k;
}

void kademlia_destroy(struct kademlia *k)
{
    if (!k)
        return;
    size_t lookups = k->params.max_lookups;
    memory_free(k->node, k->nodes, sizeof(*k->node));
    memory_free(k->up, k->nodes, sizeof(*k->up));
    kademlia_tables_destroy(k->tables);
    kademlia_store_destroy(k->store);
    queue_destroy(k->queue);
    memory_free(k->lookup, lookups, sizeof(*k->lookup));
    memory_free(k->answer, ANSWERS * lookups, sizeof(*k->answer));
    memory_free(k->watch, KADEMLIA_WATCHES, sizeof(*k->watch));
    memory_free(k, 1, sizeof(*k));
}

void kademlia_fill(struct kademlia *k)
{
    kademlia_tables_fill(k->tables, k->up);
}

/* ---- messages ---- */

static bool push(struct kademlia *k, struct kademlia_lookup *l, struct event e, uint32_t with)
{
    e.payload = (uint64_t)(l - k->lookup) << 32 | with;
    bool well = queue_push(k->queue, &e);
    l->pending += well;
    k->counters.overflows += !well;
    return well;
}

bool kademlia_timeout_set(struct kademlia *k, struct kademlia_lookup *l, uint64_t time_us,
                          enum kademlia_event kind, uint32_t node)
{
    struct event e = {.time_us = time_us,
                      .source = l->node,
                      .counter = k->node[l->node].counter++,
                      .target = l->node,
                      .kind = (uint16_t)kind};
    return push(k, l, e, node);
}

bool kademlia_message_send(struct kademlia *k, struct kademlia_lookup *l, uint32_t from,
                           uint32_t to, enum kademlia_event kind, uint32_t answer)
{
    uint32_t delay_us;
    struct event e = {
        .source = from, .counter = k->node[from].counter++, .target = to, .kind = (uint16_t)kind};
    k->node[from].load.sent++;
    if (planet_send(k->planet, from, to, k->now_us, e.counter, &delay_us) != PLANET_ARRIVES)
        return false;
    e.time_us = k->now_us + delay_us;
    return push(k, l, e, answer);
}

/* ---- events ---- */

void kademlia_store_arrived(struct kademlia *k, const struct kademlia_lookup *l, uint32_t node)
{
    for (unsigned i = 0; i < k->watches; i++)
        if (k->watch[i].key == l->key)
            kademlia_watch_arrival(&k->watch[i], node, k->now_us);
    k->counters.overflows +=
        !kademlia_store_put(k->store, node, l->key, l->node, k->now_us + l->ttl_us, k->now_us);
}

static void request_arrives(struct kademlia *k, struct kademlia_lookup *l, const struct event *e)
{
    if (!k->up[e->target])
        return;
    k->node[e->target].load.received++;
    kademlia_table_learn(k->tables, e->target, e->source);
    if (e->kind == EVENT_STORE) {
        kademlia_store_arrived(k, l, e->target);
        kademlia_message_send(k, l, e->target, e->source, EVENT_ANSWER, KADEMLIA_NOBODY);
        return;
    }
    uint32_t i = k->answer_free;
    if (i == KADEMLIA_NOBODY) {
        k->counters.overflows++;
        return;
    }
    struct kademlia_answer *a = &k->answer[i];
    a->holder = KADEMLIA_NOBODY;
    if (l->what == KADEMLIA_GET)
        a->holder =
            kademlia_store_get(k->store, e->target, l->key, kademlia_lookup_luck(k, l), k->now_us);
    a->n = kademlia_table_closest(k->tables, e->target, l->key, a->closest);
    if (kademlia_message_send(k, l, e->target, e->source, EVENT_ANSWER, i))
        k->answer_free = a->next;
}

static void answer_arrives(struct kademlia *k, struct kademlia_lookup *l, const struct event *e)
{
    uint32_t i = (uint32_t)e->payload;
    if (k->up[e->target]) {
        k->node[e->target].load.received++;
        kademlia_table_learn(k->tables, e->target, e->source);
    }
    struct kademlia_answer *a = i != KADEMLIA_NOBODY ? &k->answer[i] : NULL;
    kademlia_lookup_answered(k, l, e->source, a);
    if (a) {
        a->next = k->answer_free;
        k->answer_free = i;
    }
}

static void handle(struct kademlia *k, const struct event *e)
{
    struct kademlia_lookup *l = &k->lookup[e->payload >> 32];
    l->pending--;
    if (!l->ended && k->node[l->node].life != l->life) {
        l->ended = true;
        k->counters.abandoned++;
    }
    switch (e->kind) {
    case EVENT_FIND:
    case EVENT_STORE:
        request_arrives(k, l, e);
        break;
    case EVENT_ANSWER:
        answer_arrives(k, l, e);
        break;
    default:
        kademlia_lookup_timed_out(k, l, (uint32_t)e->payload, e->kind == EVENT_STORE_TIMEOUT);
    }
    kademlia_lookup_give_back(k, l);
}

void kademlia_run(struct kademlia *k, uint64_t until_us)
{
    uint64_t next_us;
    struct event e;
    while (queue_peek_time(k->queue, &next_us) && next_us < until_us) {
        queue_pop(k->queue, &e);
        k->now_us = next_us;
        k->hash = report_hash_event(k->hash, &e);
        k->counters.events++;
        handle(k, &e);
    }
    k->now_us = until_us;
    for (unsigned i = 0; i < k->watches; i++)
        kademlia_watch_advance(&k->watch[i], until_us);
}

/* ---- what the caller says and asks ---- */

bool kademlia_find(struct kademlia *k, uint32_t node, const struct dht_id *key, uint64_t tag)
{
    return kademlia_lookup_begin(k, KADEMLIA_FIND, node, upper(key), 0, tag);
}

bool kademlia_get(struct kademlia *k, uint32_t node, const struct dht_id *key, uint64_t tag)
{
    return kademlia_lookup_begin(k, KADEMLIA_GET, node, upper(key), 0, tag);
}

bool kademlia_put(struct kademlia *k, uint32_t node, const struct dht_id *key, uint64_t ttl_us,
                  uint64_t tag)
{
    return kademlia_lookup_begin(k, KADEMLIA_PUT, node, upper(key), ttl_us, tag);
}

/* Somebody that is up, as a bootstrap server would name; the node itself if none is found. */
static uint32_t bootstrap(const struct kademlia *k, uint32_t node)
{
    uint64_t random = mix(k->seed, node, k->node[node].life, MIX_BOOTSTRAP);
    for (unsigned i = 0; i < BOOTSTRAPS; i++) {
        random = mix64(random + MIX_GOLDEN);
        uint32_t other = (uint32_t)mix_below(random, k->nodes);
        if (k->up[other])
            return other;
    }
    return node;
}

void kademlia_set_up(struct kademlia *k, uint32_t node, bool up)
{
    if (k->up[node] == up)
        return;
    k->up[node] = up;
    if (!up) {
        k->node[node].life++;
        kademlia_store_clear(k->store, node);
    } else if (kademlia_lookup_begin(k, KADEMLIA_JOIN, node, kademlia_id(k->tables, node), 0,
                                     bootstrap(k, node))) {
        k->counters.joins++;
    } else {
        k->counters.overflows++;
    }
}

const struct kademlia_watch *kademlia_watch(struct kademlia *k, const struct dht_id *key)
{
    if (k->watches == KADEMLIA_WATCHES)
        return NULL;
    struct kademlia_watch *w = &k->watch[k->watches++];
    kademlia_watch_begin(w, upper(key), k->now_us);
    return w;
}

struct kademlia_load kademlia_load(const struct kademlia *k, uint32_t node)
{
    return k->node[node].load;
}

struct kademlia_counters kademlia_counters(const struct kademlia *k)
{
    return k->counters;
}

uint64_t kademlia_hash(const struct kademlia *k)
{
    return k->hash;
}

void kademlia_contacts(const struct kademlia *k, uint64_t *contacts, uint64_t *down)
{
    *contacts = *down = 0;
    for (uint32_t i = 0; i < k->nodes; i++) {
        uint32_t has, dead;
        if (!k->up[i])
            continue;
        kademlia_table_count(k->tables, i, k->up, &has, &dead);
        *contacts += has;
        *down += dead;
    }
}

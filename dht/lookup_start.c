/* SPDX-License-Identifier: BSD-3-Clause */
/* Lookups begin and are called off. */
#include "dht/asker.h"
#include "dht/closer.h"

#define GET_US    5000000ull  /* the whole of it: somebody waits */
#define AGAIN_US  900000ull   /* a get once more: who waits has waited before */
#define LOOKUP_US 15000000ull /* the others': better late than at one level only */

static uint64_t refuse(struct dht_asker *a, dht_done *done, void *ctx, struct now now)
{
    struct dht_result failed = {.end = DHT_FAILED};
    counter_inc(&a->arena->counters.dht_lookups_refused_total);
    if (done)
        done(ctx, &failed, now);
    return 0;
}

static uint64_t ticket_of(const struct lookup *l)
{
    return (uint64_t)l->generation << 32 | lookup_number(l);
}

/* A lookup, not yet begun; NULL: too many. */
static struct lookup *lookup_new(struct dht_asker *a, enum lookup_kind kind,
                                 const struct dht_id *key, unsigned levels, struct now now)
{
    struct dht_arena *n = a->arena;
    if (n->free_lookup == 0 || !a->routes)
        return NULL;
    if (kind != LOOKUP_FIND) /* where we are alone there is nobody to ask */
        levels = levels & a->routes->populated ? levels & a->routes->populated : 1;
    struct lookup *l = &n->lookup[n->free_lookup - 1];
    n->free_lookup = l->next_free;
    n->running++;
    counter_inc(&n->counters.dht_lookups_total);
    counter_set(&n->counters.dht_lookups, n->running);

    uint32_t generation = l->generation + 1;
    memset(l, 0, offsetof(struct lookup, hop));
    memset(&l->result, 0, sizeof(l->result));
    l->generation = generation;
    l->asker = a;
    a->lookups++;
    l->used = true;
    l->kind = (uint8_t)kind;
    l->levels = (uint8_t)levels;
    l->level = (uint8_t)(31 - __builtin_clz(levels));
    l->lo = (uint8_t)__builtin_ctz(levels);
    l->key = *key;
    l->end_us = now.mono_us + (kind == LOOKUP_GET ? GET_US : LOOKUP_US);
    l->again = NOBODY;
    l->d = distance_between(&a->routes->self.id, key);
    return l;
}

static uint64_t lookup_start(struct dht_asker *a, struct lookup *l, dht_done *done, void *ctx,
                             struct now now)
{
    uint32_t generation = l->generation;
    l->done = done;
    l->ctx = ctx;
    uint64_t ticket = ticket_of(l);
    if (path_has_self(l))
        path_add(a, l, &(struct rpc_contact){a->routes->self.id, a->routes->self.rpc},
                 DHT_ALL_LEVELS, true);
    lookup_step(a, l, now);
    return l->used && l->generation == generation ? ticket : 0;
}

/* Waits behind one that runs. */
static uint64_t get_join(struct lookup *l, struct lookup *first, dht_done *done, void *ctx)
{
    l->done = done;
    l->ctx = ctx;
    l->next_joined = first->next_joined;
    l->prev_joined = first;
    if (l->next_joined)
        l->next_joined->prev_joined = l;
    first->next_joined = l;
    counter_inc(&l->asker->arena->counters.dht_joined_total);
    return ticket_of(l);
}

uint64_t dht_get(struct dht_asker *a, const struct dht_id *key, unsigned levels, dht_done *done,
                 void *ctx, struct now now)
{
    struct lookup *l = lookup_new(a, LOOKUP_GET, key, levels, now);
    if (!l)
        return refuse(a, done, ctx, now);
    if (negative_is(a, key, l->levels, now)) {
        struct dht_result nothing = {.end = DHT_NOT_FOUND};
        counter_inc(&a->arena->counters.dht_negative_total);
        lookup_free(l);
        if (done)
            done(ctx, &nothing, now);
        return 0;
    }
    struct lookup *first = chain_find(a, LOOKUP_GET, key, l->levels);
    if (first)
        return get_join(l, first, done, ctx);
    chain_enter(l);
    return lookup_start(a, l, done, ctx, now);
}

uint64_t dht_path_get(struct dht_asker *a, const struct dht_id *key, unsigned levels,
                      struct dht_path *trace, dht_done *done, void *ctx, struct now now)
{
    struct lookup *l = lookup_new(a, LOOKUP_GET, key, levels, now);
    if (!l)
        return refuse(a, done, ctx, now);
    l->trace = trace;
    trace->n = 0;
    return lookup_start(a, l, done, ctx, now);
}

void dht_useless_add(struct dht_useless *u, const struct dht_result *found)
{
    if (found->n > 0 && u->n < DHT_USELESS)
        u->id[u->n++] = found->teller;
    for (unsigned i = 0; i < found->n && u->n < DHT_USELESS; i++)
        u->id[u->n++] = found->value[i].node;
}

uint64_t dht_get_again(struct dht_asker *a, const struct dht_id *key, unsigned levels,
                       const struct dht_useless *useless, dht_done *done, void *ctx, struct now now)
{
    if (useless->n == 0)
        return dht_get(a, key, levels, done, ctx, now);
    struct lookup *l = lookup_new(a, LOOKUP_GET, key, levels, now);
    if (!l)
        return refuse(a, done, ctx, now);
    l->useless = *useless;
    l->end_us = now.mono_us + AGAIN_US;
    return lookup_start(a, l, done, ctx, now);
}

static uint64_t put(struct dht_asker *a, const struct dht_id *key, unsigned levels, uint32_t ttl_ms,
                    bool claim, dht_done *done, void *ctx, struct now now)
{
    struct lookup *l = lookup_new(a, LOOKUP_PUT, key, levels, now);
    if (!l)
        return refuse(a, done, ctx, now);
    l->ttl_ms = ttl_ms;
    l->claim = claim;
    chain_enter(l);
    negative_forget(a, key);
    return lookup_start(a, l, done, ctx, now);
}

uint64_t dht_put(struct dht_asker *a, const struct dht_id *key, unsigned levels, uint32_t ttl_ms,
                 dht_done *done, void *ctx, struct now now)
{
    return put(a, key, levels, ttl_ms, false, done, ctx, now);
}

uint64_t dht_claim(struct dht_asker *a, const struct dht_id *key, unsigned levels, uint32_t ttl_ms,
                   dht_done *done, void *ctx, struct now now)
{
    return put(a, key, levels, ttl_ms, true, done, ctx, now);
}

/* A put of ours that still runs would come after it. */
uint64_t dht_remove(struct dht_asker *a, const struct dht_id *key, unsigned levels, struct now now)
{
    struct dht_result ended = {.end = DHT_FAILED};
    for (unsigned set = 1; a->routes && set <= DHT_ALL_LEVELS; set++) {
        struct lookup *p = chain_find(a, LOOKUP_PUT, key, set);
        if (!p)
            continue;
        dht_done *done = p->done;
        void *ctx = p->ctx;
        lookup_drop(p);
        if (done)
            done(ctx, &ended, now);
    }
    struct lookup *l = lookup_new(a, LOOKUP_REMOVE, key, levels, now);
    return l ? lookup_start(a, l, NULL, NULL, now) : refuse(a, NULL, NULL, now);
}

uint64_t dht_report(struct dht_asker *a, const struct dht_id *key, const struct dht_id *node,
                    struct now now)
{
    struct lookup *l = lookup_new(a, LOOKUP_REPORT, key, DHT_ALL_LEVELS, now);
    if (!l)
        return refuse(a, NULL, NULL, now);
    l->dead = *node;
    return lookup_start(a, l, NULL, NULL, now);
}

uint64_t dht_find(struct dht_asker *a, const struct dht_find *find, dht_done *done, void *ctx,
                  struct now now)
{
    struct lookup *l = lookup_new(a, LOOKUP_FIND, &find->target, 1u << find->level, now);
    if (!l)
        return refuse(a, done, ctx, now);
    l->guest = find->guest;
    for (unsigned i = 0; i < find->seeds && i < DHT_SEEDS; i++)
        path_add(a, l, &(struct rpc_contact){find->seed[i].id, find->seed[i].rpc},
                 1u << find->level, false);
    if (find->seeds == 0) {
        struct rpc_contact seed[RPC_CONTACTS];
        unsigned n =
            closest_contacts(a->routes, find->level, &find->target, &a->routes->self.id, seed);
        for (unsigned i = 0; i < n; i++)
            path_add(a, l, &seed[i], 1u << find->level, true);
    }
    if (l->hops == 0) { /* knows nobody */
        lookup_free(l);
        return refuse(a, done, ctx, now);
    }
    return lookup_start(a, l, done, ctx, now);
}

void lookup_drop(struct lookup *l)
{
    if (lookup_is_chained(l))
        chain_leave(l);
    if (l->next_joined) /* the next one to go */
        l->next_joined->prev_joined = l->prev_joined;
    lookup_free(l);
}

/* NULL: it is over. */
static struct lookup *lookup_of(struct dht_asker *a, uint64_t ticket)
{
    uint32_t index = (uint32_t)ticket;
    if (index == 0 || index > a->arena->lookups)
        return NULL;
    struct lookup *l = &a->arena->lookup[index - 1];
    bool is = l->used && l->generation == (uint32_t)(ticket >> 32) && l->asker == a;
    return is ? l : NULL;
}

void dht_let_go(struct dht_asker *a, uint64_t ticket)
{
    struct lookup *l = lookup_of(a, ticket);
    if (l)
        l->done = NULL;
}

/* One that leads others stays for them. */
void dht_cancel(struct dht_asker *a, uint64_t ticket)
{
    struct lookup *l = lookup_of(a, ticket);
    if (!l)
        return;
    l->done = NULL;
    if (l->prev_joined) {
        l->prev_joined->next_joined = l->next_joined;
        if (l->next_joined)
            l->next_joined->prev_joined = l->prev_joined;
    } else if (l->next_joined) {
        return;
    } else if (lookup_is_chained(l)) {
        chain_leave(l);
    }
    lookup_free(l);
}

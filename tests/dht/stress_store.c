/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner of a store puts, removes, sweeps and forgets while two other workers serve GETs from
 * it. Keys and holders are few, so that entries and holders are written over all the time; a holder
 * stores under keys of its own kind only, so that a value of another kind under a key is one that
 * was read in the middle of a write. Usage: stress-store [SECONDS [SEED]].
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "dht/direct.h"

#define READERS 2
#define KINDS   7
#define KEYS    96
#define NODES   (KINDS * 40)
#define FIRST   100 /* contact of the first node */
#define TTL_MS  60000
#define LAG_MS  4 /* of a reader's clock behind the owner's */

static atomic_bool stop;
static atomic_ulong failures, gets, found, clock_now; /* the owner's, in ms */
static struct bench owner;
static struct dht_store *shard[DHT_SHARDS]; /* all the owner's */
static struct dht_contact node[NODES];      /* of kind i % KINDS: contact FIRST + i */

struct reader {
    pthread_t thread;
    struct bench bench; /* its own arena, an empty store */
    struct store_scope scope;
    struct dht_id key[KEYS];
    uint64_t hash[KEYS];
    struct rng rng;
};

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A node's address is 10.0.0.0 and its contact's number, the port of its proxy 1000 and its kind.
 */
static bool value_good(const struct dht_value *v, unsigned kind)
{
    uint32_t number = addr_get_v4(&v->http.ip) - 0x0a000000;
    return number >= FIRST && number < FIRST + NODES && (number - FIRST) % KINDS == kind &&
           v->http.port == 1000 + kind && id_eq(&node[number - FIRST].id, &v->node) &&
           v->ttl_ms < TTL_MS + 3600000 && v->age_ms < 3600000;
}

static void check(const struct dht_value *value, unsigned n, unsigned key)
{
    atomic_fetch_add(&gets, 1);
    atomic_fetch_add(&found, n > 0);
    for (unsigned i = 0; i < n; i++)
        if (!value_good(&value[i], key % KINDS))
            atomic_fetch_add(&failures, 1);
}

/* By the wire. */
static void ask(struct reader *r, unsigned k)
{
    struct bench *b = &r->bench;
    b->key = bench_key(k);
    struct rpc question = bench_question(b, RPC_GET, 2), answer;
    struct dht_contact from = bench_contact(2);
    size_t len;
    if (bench_exchange(b, &question, &from.rpc, &answer, &len))
        check(answer.value, answer.values, k);
}

/* In the store itself: as often as can be. */
static void look(struct reader *r, unsigned k)
{
    const struct dht_id *key = &r->key[k];
    const struct store_scope *scope = &r->scope;
    struct store_look at;
    struct dht_value value[DHT_VALUES];
    static const struct dht_id nobody;
    if (!store_look(owner.store, key, r->hash[k], &at))
        return;
    unsigned n = store_values(owner.store, at.at, scope, &nobody, value);
    if (store_stands(&at))
        check(value, n, k);
}

static void *reader_run(void *ctx)
{
    struct reader *r = ctx;
    uint64_t first = r->bench.ms;
    while (!atomic_load(&stop)) {
        unsigned k = rng_below(&r->rng, KEYS);
        uint64_t ms = atomic_load(&clock_now) - rng_below(&r->rng, LAG_MS);
        r->bench.ms = ms > first ? ms : first;
        r->scope.ms = (uint32_t)r->bench.ms;
        if (rng_below(&r->rng, 16) == 0)
            ask(r, k);
        else
            look(r, k);
    }
    return NULL;
}

static void write_one(struct rng *rng)
{
    unsigned k = rng_below(rng, KEYS), kind = k % KINDS;
    const struct dht_contact *c = &node[kind + KINDS * rng_below(rng, NODES / KINDS)];
    struct endpoint http = {c->v4, (uint16_t)(1000 + kind)};
    struct dht_id key = bench_key(k);
    uint64_t hash = store_prepare(owner.store, &key);
    struct store_scope scope = store_scope(&owner.routes, 0, false, bench_now(&owner));
    switch (rng_below(rng, 16)) {
    case 0:
        dht_forget(owner.arena, &c->id);
        break;
    case 1:
    case 2:
    case 3:
        store_remove(owner.store, store_find(owner.store, &key, hash), &c->id);
        break;
    case 4:
        atomic_store(&clock_now, ++owner.ms);
        store_sweep(owner.store, bench_now(&owner));
        break;
    default:
        store_put(owner.store, &key, hash, &scope, &c->id, &http, 1 + rng_below(rng, TTL_MS));
    }
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static struct reader reader[READERS];
    struct rng rng;

    for (unsigned i = 0; i < NODES; i++)
        node[i] = bench_contact(FIRST + i);
    struct dht_config config = dht_config_default();
    config.prefix_rate = 0; /* as often as can be */
    config.holders = NODES / 2;
    bench_open_config(&owner, &config, 64);
    atomic_store(&clock_now, owner.ms);
    for (unsigned i = 0; i < DHT_SHARDS; i++)
        shard[i] = owner.store;
    for (unsigned i = 0; i < READERS; i++) {
        struct bench *b = &reader[i].bench;
        bench_open_config(b, &config, 64);
        dht_store_share(b->store, shard);
        reader[i].scope = store_scope(&b->routes, 0, false, bench_now(b));
        for (unsigned k = 0; k < KEYS; k++) {
            reader[i].key[k] = bench_key(k);
            reader[i].hash[k] = store_prepare(owner.store, &reader[i].key[k]);
        }
        rng_init_u64(&reader[i].rng, seed + 1 + i);
        if (pthread_create(&reader[i].thread, NULL, reader_run, &reader[i]) != 0)
            return 1;
    }
    rng_init_u64(&rng, seed);
    uint64_t writes = 0;
    for (uint64_t end = clock_ms() + seconds * 1000; clock_ms() < end && !atomic_load(&failures);)
        for (unsigned i = 0; i < 1000; i++, writes++)
            write_one(&rng);
    atomic_store(&stop, true);
    uint64_t busy = 0;
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(reader[i].thread, NULL);
        busy += reader[i].bench.c->dht_drop_busy_total;
        bench_close(&reader[i].bench);
    }
    bench_close(&owner);
    printf("seed %lu: %lu writes, %lu gets, %lu with values, %lu given up, %lu bad\n", seed, writes,
           atomic_load(&gets), atomic_load(&found), busy, atomic_load(&failures));
    return !atomic_load(&failures) && atomic_load(&found) > 0 ? 0 : 1;
}

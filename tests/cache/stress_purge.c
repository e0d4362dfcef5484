/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread purges by tag and by host, hard and soft, while an owner fetches, links and refreshes
 * and two readers look up: once a purge is in force no reader finds what was fetched before it, or
 * only a stale copy after a soft one. Purges of nothing fill the table of rules again and again, so
 * that rules are forgotten all the time. Run under TSan it shows that the orders of cache/purge.h
 * hold. Usage: stress-purge [SECONDS [SEED]].
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "world.h"

#define READERS  2
#define KEYS     1024
#define SITES    16 /* each a host and a tag */
#define BURST    16
#define KEY_ROOM 32
#define LIFETIME 1000000u

static struct world world;
static atomic_bool stop;
static atomic_ulong failures, hits, stale_hits, purges, refused;
/* How often a site was purged: `begun` before the rule is there, the others when it is in force.
 * What is fetched has the count of `begun` as its version, taken after the clock. */
static _Atomic uint32_t begun[SITES], hard[SITES], soft[SITES];

/* Written without an atomic before the purge of that number: whoever sees the number sees this. */
#define NOTES (1u << 21) /* so that none is written over while a reader sleeps */
static uint32_t note[NOTES];

struct side {
    pthread_t thread;
    unsigned worker;
    uint64_t seed;
};

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void key_of(char out[static KEY_ROOM], unsigned i)
{
    snprintf(out, KEY_ROOM, "http://s%u/%u", i % SITES, i);
}

/* --- readers ---------------------------------------------------------------------------------- */

/* No purge is in force that is not heeded here: not those from before the look-up, and none can
 * come into force before we are quiescent. */
static void check(const struct cache_object *o, unsigned site)
{
    uint32_t least = atomic_load(&hard[site]), least_fresh = atomic_load(&soft[site]);
    bool stale = cache_meta(o)->lifetime_s < LIFETIME;
    if (cache_version(o) < least || (cache_version(o) < least_fresh && !stale))
        atomic_fetch_add(&failures, 1);
}

static void read_burst(struct rng *rng)
{
    char key[BURST][KEY_ROOM];
    struct cache_probe p[BURST];
    unsigned site[BURST];
    for (unsigned i = 0; i < BURST; i++) {
        unsigned k = rng_below(rng, KEYS);
        key_of(key[i], k);
        site[i] = k % SITES;
        p[i] = (struct cache_probe){.key = key[i], .key_len = (uint32_t)strlen(key[i])};
    }
    uint32_t clock = cache_purge_clock(world.c);
    if (clock && note[clock % NOTES] != clock)
        atomic_fetch_add(&failures, 1);
    cache_prepare(world.c, p, BURST);
    cache_touch(world.c, p, BURST);
    if (rng_below(rng, 64) == 0)
        sched_yield();
    cache_act(world.c, p, BURST);
    if (rng_below(rng, 64) == 0)
        sched_yield();
    for (unsigned i = 0; i < BURST; i++) {
        if (!p[i].found)
            continue;
        atomic_fetch_add(cache_meta(p[i].found)->lifetime_s < LIFETIME ? &stale_hits : &hits, 1);
        check(p[i].found, site[i]);
    }
}

static void *reader_run(void *arg)
{
    struct side *r = arg;
    struct rng rng;
    rng_init_u64(&rng, r->seed);
    while (!atomic_load(&stop)) {
        read_burst(&rng);
        rte_rcu_qsbr_quiescent(world.qsbr, r->worker);
    }
    rte_rcu_qsbr_thread_offline(world.qsbr, r->worker);
    return NULL;
}

/* --- the control thread ----------------------------------------------------------------------- */

static bool order(const struct cache_purge *what, uint64_t *token)
{
    uint32_t number = cache_purge_clock(world.c) + 1;
    note[number % NOTES] = number;
    bool taken = cache_purge(world.c, what, token) == CACHE_PURGE_TAKEN;
    atomic_fetch_add(taken ? &purges : &refused, 1);
    return taken;
}

/* False: refused. Else it is in force. */
static bool purge(const struct cache_purge *what)
{
    uint64_t token;
    if (!order(what, &token)) {
        sched_yield();
        return false;
    }
    while (!cache_purge_in_force(world.c, token) && !atomic_load(&stop))
        sched_yield();
    return !atomic_load(&stop);
}

static void purge_site(struct rng *rng, unsigned site)
{
    char text[KEY_ROOM];
    struct cache_purge what = {.soft = rng_below(rng, 2), .text = text};
    what.kind = rng_below(rng, 2) ? CACHE_PURGE_TAG : CACHE_PURGE_PREFIX;
    snprintf(text, sizeof(text), what.kind == CACHE_PURGE_TAG ? "t%u" : "http://s%u/", site);
    what.len = strlen(text);
    uint32_t n = atomic_fetch_add(&begun[site], 1) + 1;
    if (purge(&what))
        atomic_store(what.soft ? &soft[site] : &hard[site], n);
}

static void *control_run(void *arg)
{
    struct side *r = arg;
    struct rng rng;
    uint64_t nothing = 0;
    rng_init_u64(&rng, r->seed);
    while (!atomic_load(&stop)) {
        purge_site(&rng, rng_below(&rng, SITES));
        for (unsigned i = 0; i < 100; i++) {
            char tag[KEY_ROOM];
            uint64_t token;
            snprintf(tag, sizeof(tag), "nothing-%lu", nothing++);
            struct cache_purge what = {CACHE_PURGE_TAG, false, tag, strlen(tag)};
            order(&what, &token);
        }
    }
    return NULL;
}

/* --- the owner of all shards ------------------------------------------------------------------ */

static void owner_poll(void)
{
    for (unsigned i = 0; i <= READERS; i++)
        cache_reclaim(world.c, i, world.now);
    rte_rcu_qsbr_quiescent(world.qsbr, 0);
}

static void owner_fetch(struct rng *rng)
{
    char key[KEY_ROOM], head[KEY_ROOM];
    unsigned k = rng_below(rng, KEYS);
    key_of(key, k);
    int head_len = snprintf(head, sizeof(head), "Cache-Tag: a, t%u\r\n", k % SITES);
    uint32_t clock = cache_purge_clock(world.c);
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)world.now.wall_s,
                              .lifetime_s = LIFETIME,
                              .content_length = CACHE_LENGTH_UNKNOWN,
                              .version = atomic_load(&begun[k % SITES])};
    for (unsigned i = rng_below(rng, 8) ? 0 : 200; i > 0 && cache_purge_clock(world.c) == clock;
         i--) {
        owner_poll(); /* what the origin says takes a while */
        sched_yield();
    }
    struct hash128 h = cache_hash(world.c, key, strlen(key));
    struct cache_object *o =
        (struct cache_object *)(uintptr_t)cache_lookup_owner(world.c, h, key, strlen(key));
    if (o && rng_below(rng, 2)) { /* 304; another version of the same body */
        cache_born(o, clock);
        cache_refresh(world.c, o, &meta, head, (size_t)head_len, world.now);
        return;
    }
    o = cache_begin(world.c, h, key, strlen(key), &meta, head, (size_t)head_len, world.now);
    if (!o) {
        sched_yield();
        return;
    }
    cache_born(o, clock);
    bool early = rng_below(rng, 2);
    if (early)
        cache_link(world.c, o);
    if (rng_below(rng, 8) == 0)
        owner_poll();
    if (cache_append(world.c, o, "body", 4) < 4 || !cache_complete(world.c, o))
        cache_fail(world.c, o);
    else
        cache_link(world.c, o);
    cache_unpin(o, 0);
    const struct cache_object *now =
        cache_lookup_owner(world.c, h, key, strlen(key)); /* refused, or purged since */
    if (now != o && cache_state(o) == CACHE_COMPLETE)
        cache_unlink(world.c, o);
}

/* All of it has happened. */
static bool enough(void)
{
    return atomic_load(&hits) > 0 && atomic_load(&stale_hits) > 0 &&
           WORLD_SUM(&world, cache_purged_total) > 0 &&
           WORLD_SUM(&world, cache_purged_stale_total) > 0 &&
           atomic_load(&purges) > 2 * CACHE_PURGE_RULES;
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : WORLD_SEED;
    world_open(&world, 8 * MIB, 3000, READERS + 1);
    struct side side[READERS + 1];
    for (unsigned i = 0; i <= READERS; i++) {
        side[i] = (struct side){.worker = i + 1, .seed = seed + i + 1};
        if (pthread_create(&side[i].thread, NULL, i < READERS ? reader_run : control_run,
                           &side[i]) != 0)
            return 1;
    }
    struct rng rng;
    rng_init_u64(&rng, seed);
    uint64_t end = clock_ms() + seconds * 1000, late = end + 30000; /* on a busy machine */
    while (clock_ms() < (enough() ? end : late) && !atomic_load(&failures)) {
        for (int i = 0; i < 32; i++)
            owner_fetch(&rng);
        owner_poll();
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i <= READERS; i++)
        pthread_join(side[i].thread, NULL);

    uint64_t token;
    cache_purge(world.c, &(struct cache_purge){.kind = CACHE_PURGE_ALL}, &token);
    for (int i = 0; i < 2000; i++)
        owner_poll();
    uint64_t left = WORLD_SUM(&world, cache_held_objects);
    uint64_t taken = WORLD_SUM(&world, cache_purged_total);
    uint64_t made_stale = WORLD_SUM(&world, cache_purged_stale_total);
    printf("seed %lu: %lu purges, %lu refused, %lu objects taken, %lu made stale, %lu fills, "
           "%lu hits, %lu stale, %lu wrong, %lu left\n",
           seed, atomic_load(&purges), atomic_load(&refused), taken, made_stale,
           WORLD_SUM(&world, cache_purged_fills_total), atomic_load(&hits),
           atomic_load(&stale_hits), atomic_load(&failures), left);
    bool good = !atomic_load(&failures) && left == 0 && enough();
    world_close(&world);
    return good ? 0 : 1;
}

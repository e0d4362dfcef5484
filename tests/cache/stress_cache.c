/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One owner links, fills, replaces, refreshes, purges, evicts and scrubs while two readers look up,
 * pin, check every byte and every checksum, unpin and report quiescence. The index is as full as it
 * may be, so that overflow buckets come and go all the time. Run under TSan it shows that the
 * orders of cache/reclaim.c and cache/overflow.c hold. Usage: stress-cache [SECONDS [SEED]].
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "world.h"

#define READERS  2
#define KEYS     1024
#define CROWD    10 /* keys of one bucket, which they overfill */
#define BURST    32
#define KEY_ROOM 96
#define HELD     48 /* pins that a reader keeps over polls */

static struct world world;
static atomic_bool stop;
static atomic_ulong failures, hits, growing;
static unsigned crowd[CROWD];

struct reader {
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

/* Every other one is longer than the part of a key that stands in the object. */
static void key_of(char out[static KEY_ROOM], unsigned i)
{
    static const char path[] = "a-path/of/some/length/so-that/the-number/stands/behind/64-bytes/";
    snprintf(out, KEY_ROOM, "http://host/%s%u", i % 2 ? path : "", i);
}

/* Only then is it over, on however busy a machine. */
static bool seen_all(uint64_t overflow_returned)
{
    return overflow_returned >= 5 && WORLD_SUM(&world, cache_evicted_useless_total) > 0;
}

static void crowd_find(void)
{
    unsigned n = 0;
    for (unsigned i = KEYS; n < CROWD; i++) {
        char key[KEY_ROOM];
        key_of(key, i);
        struct hash128 h = cache_hash(world.c, key, strlen(key));
        if (cache_shard(h) == 5 && h.hi % 2 == 0) /* two buckets a shard */
            crowd[n++] = i;
    }
}

/* What is ready of `o` is right: its salt is its version. */
static void check(const struct cache_object *o)
{
    uint64_t salt = cache_version(o), ready, at = 0;
    bool complete = cache_state(o) == CACHE_COMPLETE;
    ready = cache_ready(o);
    if (!complete)
        atomic_fetch_add(&growing, 1);
    while (at < ready) {
        bool damaged;
        struct cache_span s = cache_bytes(o, at);
        bool bad = s.len == 0;
        for (uint32_t i = 0; i < s.len; i++)
            bad |= s.data[i] != world_byte(salt, at + i);
        struct cache_span v = cache_bytes_verified(o, at, &damaged);
        bad |= damaged || (complete && v.len != s.len);
        if (bad) {
            atomic_fetch_add(&failures, 1);
            return;
        }
        at += s.len;
    }
}

static void *reader_run(void *arg)
{
    struct reader *r = arg;
    struct rng rng;
    rng_init_u64(&rng, r->seed);
    const struct cache_object *held[HELD] = {0};
    while (!atomic_load(&stop)) {
        char key[BURST][KEY_ROOM];
        struct cache_probe p[BURST];
        for (unsigned i = 0; i < BURST; i++) {
            key_of(key[i], i % 4 ? rng_below(&rng, KEYS) : crowd[rng_below(&rng, CROWD)]);
            p[i] = (struct cache_probe){.key = key[i], .key_len = (uint32_t)strlen(key[i])};
        }
        cache_prepare(world.c, p, BURST);
        cache_touch(world.c, p, BURST);
        cache_act(world.c, p, BURST);
        for (unsigned i = 0; i < BURST; i++) {
            const struct cache_object *o = p[i].found;
            if (!o)
                continue;
            atomic_fetch_add(&hits, 1);
            if (i % 2) {
                check(o);
                continue;
            }
            unsigned slot = rng_below(&rng, HELD);
            cache_pin(o, r->worker);
            if (held[slot]) {
                check(held[slot]);
                cache_unpin(held[slot], r->worker);
            }
            held[slot] = o;
        }
        rte_rcu_qsbr_quiescent(world.qsbr, r->worker);
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i])
            cache_unpin(held[i], r->worker);
    }
    rte_rcu_qsbr_thread_offline(world.qsbr, r->worker);
    return NULL;
}

static void owner_poll(void)
{
    cache_reclaim(world.c, 0, world.now);
    for (unsigned i = 1; i <= READERS; i++)
        cache_reclaim(world.c, i, world.now);
    for (unsigned step = 0; step < 8; step++) { /* of the scrub: an eighth of a round */
        world.now.mono_us += 60000000;
        for (unsigned i = 0; i <= READERS; i++)
            cache_scrub(world.c, i, world.now);
    }
    rte_rcu_qsbr_quiescent(world.qsbr, 0);
}

/* A piece further on, of what is not ready, written to its place; `from` and `n` of it. */
static void owner_place(struct rng *rng, struct cache_object *o, const uint8_t *body, size_t len,
                        size_t done, size_t *from, size_t *n)
{
    size_t ahead = rng_below(rng, 9000);
    *n = 1 + rng_below(rng, 4000);
    *from = len;
    if (ahead >= len - done)
        return;
    uint8_t *to = cache_place(world.c, o, ahead, n);
    if (!to)
        return;
    *from = done + ahead;
    memcpy(to, body + *from, *n);
}

/* Fills in pieces, linked before, between or after them; sometimes given up. */
static void owner_fill(struct rng *rng, uint64_t salt)
{
    char key[KEY_ROOM];
    key_of(key, rng_below(rng, KEYS));
    size_t len = rng_below(rng, 8) ? rng_below(rng, 12000) : rng_below(rng, 120000), done = 0;
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)world.now.wall_s,
                              .lifetime_s = rng_below(rng, 2) ? 3600 : 10,
                              .content_length =
                                  cache_length_code(rng_below(rng, 2) ? (int64_t)len : -1),
                              .version = salt};
    struct cache_object *o = cache_begin(world.c, cache_hash(world.c, key, strlen(key)), key,
                                         strlen(key), &meta, "h", 1, world.now);
    if (!o) { /* all is pinned or in a grace period: give the readers time */
        sched_yield();
        return;
    }
    uint8_t *body = world_body(salt, len);
    size_t link_at = rng_below(rng, (uint32_t)len + 1);
    size_t placed_from = len, placed = 0;
    bool linked = false, fail = rng_below(rng, 16) == 0;
    while (done < len) {
        if (!linked && done >= link_at)
            cache_link(world.c, o), linked = true;
        if (placed_from == len && rng_below(rng, 2))
            owner_place(rng, o, body, len, done, &placed_from, &placed);
        size_t n = 1 + rng_below(rng, 6000);
        const uint8_t *from = body + done;
        if (done == placed_from) {
            n = placed;
            from = cache_place(world.c, o, 0, &n);
            placed_from = len;
        } else if (n > placed_from - done) {
            n = placed_from - done;
        }
        n = cache_append(world.c, o, from, n);
        if (n == 0 || (fail && done > len / 2))
            break;
        done += n;
        if (rng_below(rng, 4) == 0)
            owner_poll();
        if (rng_below(rng, 16) == 0)
            sched_yield(); /* so that they see it grow on two cores too */
    }
    free(body);
    if (done < len || !cache_complete(world.c, o))
        cache_fail(world.c, o);
    else if (!linked)
        cache_link(world.c, o);
    if (rng_below(rng, 4))
        cache_settle(world.c, o);
    cache_unpin(o, 0);
}

/* They all come, or they all go, and their overflow bucket with them. */
static void owner_crowd(bool come)
{
    for (int i = 0; i < CROWD; i++) {
        char key[KEY_ROOM];
        key_of(key, crowd[i]);
        struct hash128 h = cache_hash(world.c, key, strlen(key));
        const struct cache_object *o = cache_lookup_owner(world.c, h, key, strlen(key));
        if (o && !come)
            cache_unlink(world.c, o);
        else if (!o && come)
            world_store(&world, key, 7, 100); /* its version */
    }
}

static void owner_touch(struct rng *rng)
{
    char key[KEY_ROOM];
    key_of(key, rng_below(rng, KEYS));
    struct hash128 h = cache_hash(world.c, key, strlen(key));
    struct cache_object *o =
        (struct cache_object *)(uintptr_t)cache_lookup_owner(world.c, h, key, strlen(key));
    if (!o)
        return;
    if (rng_below(rng, 2))
        cache_unlink(world.c, o);
    else
        cache_refresh(world.c, o, cache_meta(o), "head", 4, world.now);
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : WORLD_SEED;
    /* every worker's shards are written by the one owner thread here: worker 0's thread */
    world_open(&world, 4 * MIB, 480, READERS + 1); /* 3.75 a bucket at most; memory is short, too */
    crowd_find();
    struct reader reader[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        reader[i] = (struct reader){.worker = i + 1, .seed = seed + i + 1};
        if (pthread_create(&reader[i].thread, NULL, reader_run, &reader[i]) != 0)
            return 1;
    }
    struct rng rng;
    rng_init_u64(&rng, seed);
    uint64_t end = clock_ms() + seconds * 1000, salt = 1, overflow = 0, overflow_returned = 0;
    while ((clock_ms() < end || (!seen_all(overflow_returned) && clock_ms() < end + 30000)) &&
           !atomic_load(&failures)) {
        for (int i = 0; i < 8; i++)
            owner_fill(&rng, salt++);
        owner_touch(&rng);
        owner_crowd(salt / 8 % 2);
        owner_poll();
        uint64_t now = WORLD_SUM(&world, cache_overflow_buckets);
        overflow_returned += now < overflow ? overflow - now : 0;
        overflow = now;
        world.now.wall_s++;
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(reader[i].thread, NULL);

    for (unsigned i = 0; i < KEYS + CROWD; i++) {
        char key[KEY_ROOM];
        key_of(key, i < KEYS ? i : crowd[i - KEYS]);
        const struct cache_object *o =
            cache_lookup_owner(world.c, cache_hash(world.c, key, strlen(key)), key, strlen(key));
        if (o)
            cache_unlink(world.c, o);
    }
    for (int i = 0; i < 1000; i++)
        owner_poll();
    uint64_t left = WORLD_SUM(&world, cache_held_objects) + WORLD_SUM(&world, cache_chunks_used) +
                    WORLD_SUM(&world, cache_overflow_buckets);
    printf("seed %lu: %lu fills, %lu evicted, %lu refreshed, %lu hits (%lu growing), %lu bad, %lu "
           "left\n",
           seed, salt - 1, WORLD_SUM(&world, cache_evicted_total),
           WORLD_SUM(&world, cache_refreshed_total), atomic_load(&hits), atomic_load(&growing),
           atomic_load(&failures), left);
    printf(
        "%lu bytes placed, %lu scrubbed, %lu overflow buckets returned, %lu objects displaced, %lu "
        "of no use\n",
        WORLD_SUM(&world, cache_placed_bytes_total), WORLD_SUM(&world, cache_scrubbed_bytes_total),
        overflow_returned, WORLD_SUM(&world, cache_displaced_total),
        WORLD_SUM(&world, cache_evicted_useless_total));
    bool good = !atomic_load(&failures) && left == 0 && atomic_load(&hits) > 0 &&
                WORLD_SUM(&world, cache_placed_bytes_total) > 0 && seen_all(overflow_returned) &&
                WORLD_SUM(&world, cache_scrubbed_bytes_total) > 0 &&
                WORLD_SUM(&world, cache_damaged_total) == 0;
    world_close(&world);
    return good ? 0 : 1;
}

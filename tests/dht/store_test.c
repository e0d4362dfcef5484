/* SPDX-License-Identifier: BSD-3-Clause */
/* The store itself: levels and epochs, who gives way, bounds, and that nothing is lost. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench.h"

static struct store_scope scope_at(const struct bench *b, unsigned level)
{
    return store_scope(&b->routes, level, false, bench_now(b));
}

static enum store_end put_http(struct bench *b, unsigned level, unsigned by,
                               const struct endpoint *http, uint32_t ttl_ms)
{
    struct store_scope scope = scope_at(b, level);
    struct dht_id node = bench_contact(by).id;
    return store_put(b->store, &b->key, store_prepare(b->store, &b->key), &scope, &node, http,
                     ttl_ms);
}

static enum store_end put(struct bench *b, unsigned level, unsigned by, uint32_t ttl_ms)
{
    struct endpoint http = {bench_contact(by).v4, 80};
    return put_http(b, level, by, &http, ttl_ms);
}

static struct store_entry *entry(struct bench *b)
{
    return store_find(b->store, &b->key, store_prepare(b->store, &b->key));
}

static unsigned values_in(struct bench *b, const struct store_scope *scope,
                          struct dht_value out[static DHT_VALUES])
{
    struct store_look look;
    cr_assert(store_look(b->store, &b->key, store_prepare(b->store, &b->key), &look));
    static const struct dht_id nobody;
    unsigned n = store_values(b->store, look.at, scope, &nobody, out);
    cr_assert(store_stands(&look));
    return n;
}

static unsigned seen(struct bench *b, unsigned level)
{
    struct dht_value out[DHT_VALUES];
    struct store_scope scope = scope_at(b, level);
    return values_in(b, &scope, out);
}

static bool holds(struct bench *b, unsigned level, unsigned by)
{
    struct dht_value out[DHT_VALUES];
    struct store_scope scope = scope_at(b, level);
    struct dht_id id = bench_contact(by).id;
    unsigned n = values_in(b, &scope, out), found = 0;
    for (unsigned i = 0; i < n; i++)
        found += id_eq(&out[i].node, &id);
    cr_assert_leq(found, 1, "a node holds one of a key's places");
    return found;
}

/* --- dead holders ----------------------------------------------------------------------------- */

Test(store, a_dead_holder_s_places_are_free_and_its_values_kept_until_they_expire)
{
    struct bench b;
    bench_open(&b);
    struct dht_id dead = bench_contact(10).id;
    for (unsigned by = 10; by < 10 + DHT_VALUES; by++)
        cr_assert_eq(put(&b, 0, by, 20000), STORE_DONE);
    cr_assert_eq(put(&b, 0, 20, 20000), STORE_FULL);
    dht_forget(b.arena, &dead);
    cr_assert_eq(seen(&b, 0), DHT_VALUES - 1);
    for (unsigned i = 0; i < 64; i++)
        store_sweep(b.store, bench_now(&b));
    cr_assert_eq(put(&b, 0, 10, 20000), STORE_DONE, "it lives");
    cr_assert_eq(seen(&b, 0), DHT_VALUES);

    dht_forget(b.arena, &dead);
    cr_assert_eq(put(&b, 0, 20, 20000), STORE_DONE, "in the dead one's place");
    cr_assert(holds(&b, 0, 20) && !holds(&b, 0, 10));
    cr_assert_eq(put(&b, 0, 10, 20000), STORE_FULL, "too late");
    bench_close(&b);
}

Test(store, a_key_of_a_dead_holder_alone_is_swept_when_its_time_is_over)
{
    struct bench b;
    bench_open(&b);
    struct dht_id dead = bench_contact(10).id;
    put(&b, 0, 10, 20000);
    dht_forget(b.arena, &dead);
    for (unsigned i = 0; i < 64; i++)
        store_sweep(b.store, bench_now(&b));
    cr_assert(entry(&b) && seen(&b, 0) == 0);
    b.ms += 20000;
    for (unsigned i = 0; i < 64; i++)
        store_sweep(b.store, bench_now(&b));
    cr_assert_null(entry(&b));
    cr_assert_eq(b.store->keys, 0);
    bench_close(&b);
}

Test(store, a_holder_at_a_new_proxy_is_dead_or_alive_by_address)
{
    struct bench b;
    bench_open(&b);
    struct dht_id dead = bench_contact(10).id;
    struct endpoint moved = {bench_contact(11).v4, 80};
    put(&b, 0, 10, 20000);
    b.key = bench_key(2);
    put_http(&b, 0, 10, &moved, 20000);
    dht_forget(b.arena, &dead);
    cr_assert_eq(seen(&b, 0), 0, "dead wherever it was");
    b.key = bench_key(3);
    put_http(&b, 0, 10, &moved, 20000);
    b.key = bench_key(2);
    cr_assert_eq(seen(&b, 0), 1);
    bench_close(&b);
}

/* --- levels ----------------------------------------------------------------------------------- */

Test(store, a_value_is_seen_at_its_level_and_those_below)
{
    struct bench b;
    bench_open(&b);
    for (unsigned level = 0; level < DHT_LEVELS; level++) {
        b.key = bench_key(level);
        cr_assert_eq(put(&b, level, 10, 20000), STORE_DONE);
        for (unsigned at = 0; at < DHT_LEVELS; at++)
            cr_assert_eq(seen(&b, at), at <= level, "stored at %u, asked at %u", level, at);
    }
    bench_close(&b);
}

Test(store, a_switch_hides_a_value_at_its_level_but_from_those_who_ask_about_the_old_cluster)
{
    struct bench b;
    struct dht_value out[DHT_VALUES];
    bench_open(&b);
    b.routes.level[2].epoch = 255; /* wraps */
    put(&b, 2, 10, 20000);
    b.routes.level[2].epoch++;
    cr_assert(seen(&b, 2) == 0 && seen(&b, 1) == 1 && seen(&b, 0) == 1);
    struct store_scope moved = store_scope(&b.routes, 2, true, bench_now(&b));
    cr_assert_eq(values_in(&b, &moved, out), 1);
    put(&b, 2, 11, 20000);
    cr_assert(seen(&b, 2) == 1 && seen(&b, 0) == 2);
    cr_assert_eq(values_in(&b, &moved, out), 1, "the new cluster's is not the old one's");
    b.routes.level[2].epoch++;
    moved = store_scope(&b.routes, 2, true, bench_now(&b));
    cr_assert_eq(values_in(&b, &moved, out), 1, "two switches ago is forgotten");
    cr_assert_eq(seen(&b, 1), 2);
    bench_close(&b);
}

Test(store, storing_again_never_hides_a_value_and_moves_it_up_or_into_the_new_cluster)
{
    struct bench b;
    bench_open(&b);
    put(&b, 0, 10, 20000);
    put(&b, 2, 10, 20000);
    cr_assert_eq(seen(&b, 2), 1, "up");
    put(&b, 0, 10, 20000);
    cr_assert_eq(seen(&b, 2), 1, "a late one from below changes nothing");
    b.routes.level[2].epoch++;
    put(&b, 1, 10, 20000);
    cr_assert(seen(&b, 2) == 0 && seen(&b, 1) == 1);
    b.routes.level[1].epoch++;
    cr_assert(seen(&b, 1) == 0 && seen(&b, 0) == 1, "it is level 1's now");
    put(&b, 2, 10, 20000);
    cr_assert_eq(seen(&b, 2), 1);
    cr_assert_eq(seen(&b, 0), 1, "one place throughout");
    bench_close(&b);
}

Test(store, a_newcomer_takes_the_place_of_one_that_is_not_seen_where_it_will_be)
{
    struct bench b;
    bench_open(&b);
    put(&b, 2, 10, 20000);
    for (unsigned i = 11; i < 14; i++)
        put(&b, 0, i, 3600000);
    struct store_scope scope = scope_at(&b, 2);
    struct dht_id node = bench_contact(20).id;
    cr_assert_not(store_state(b.store, entry(&b), &scope, &node, 20000).full);
    cr_assert_eq(put(&b, 2, 20, 20000), STORE_DONE, "though all at level 0 live longer");
    cr_assert(holds(&b, 2, 10) && holds(&b, 2, 20));
    cr_assert_eq(seen(&b, 0), 4, "four places, one of the others gone");
    cr_assert_eq(put(&b, 0, 21, 20000), STORE_FULL, "down there all are seen");
    put(&b, 2, 22, 20000);
    put(&b, 2, 23, 20000);
    cr_assert_eq(seen(&b, 2), 4);
    cr_assert_eq(put(&b, 2, 24, 20000), STORE_FULL);
    b.routes.level[2].epoch++;
    cr_assert_eq(put(&b, 2, 24, 20000), STORE_DONE, "nor of the cluster that we left");
    cr_assert(holds(&b, 2, 24) && seen(&b, 2) == 1 && seen(&b, 0) == 4);
    bench_close(&b);
}

/* --- time ------------------------------------------------------------------------------------- */

Test(store, displaces_only_what_has_less_than_half_of_the_new_ttl_to_go)
{
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < 4; i++)
        put(&b, 0, 10 + i, 3600000);
    cr_assert_eq(put(&b, 0, 20, 20000), STORE_FULL, "a short one never displaces a long one");
    b.ms += 1800000;
    cr_assert_eq(put(&b, 0, 20, 3600000), STORE_FULL, "exactly half");
    b.ms += 1;
    cr_assert_eq(put(&b, 0, 20, 3600000), STORE_DONE);
    cr_assert_eq(seen(&b, 0), 4);
    bench_close(&b);
}

Test(store, extends_the_owner_s_value_and_keeps_its_age_until_it_expires)
{
    struct bench b;
    struct dht_value out[DHT_VALUES];
    bench_open(&b);
    put(&b, 0, 10, 20000);
    b.ms += 5000;
    put(&b, 0, 10, 3600000);
    struct store_scope scope = scope_at(&b, 0);
    cr_assert_eq(values_in(&b, &scope, out), 1);
    cr_assert(out[0].age_ms == 5000 && out[0].ttl_ms == 3600000);
    put(&b, 0, 10, 20000);
    values_in(&b, &scope, out);
    cr_assert_eq(out[0].ttl_ms, 3600000, "a late short one shortens nothing");
    b.ms += 3600001;
    cr_assert_eq(seen(&b, 0), 0);
    put(&b, 0, 10, 20000);
    scope = scope_at(&b, 0);
    cr_assert_eq(values_in(&b, &scope, out), 1);
    cr_assert(out[0].age_ms == 0 && out[0].ttl_ms == 20000, "expired meanwhile: a new one");
    bench_close(&b);
}

Test(store, a_holder_that_moves_its_proxy_keeps_its_one_place)
{
    struct bench b;
    struct dht_value out[DHT_VALUES];
    bench_open(&b);
    put(&b, 0, 10, 20000);
    b.ms += 1000;
    struct endpoint http = {bench_contact(10).v4, 8080};
    cr_assert_eq(put_http(&b, 0, 10, &http, 20000), STORE_DONE);
    struct store_scope scope = scope_at(&b, 0);
    cr_assert_eq(values_in(&b, &scope, out), 1);
    cr_assert(out[0].http.port == 8080 && out[0].age_ms == 0);
    bench_close(&b);
}

Test(store, takes_the_shortest_reference_too)
{
    struct bench b;
    bench_open(&b);
    cr_assert_eq(put(&b, 0, 10, 1), STORE_DONE);
    cr_assert_eq(seen(&b, 0), 1);
    b.ms++;
    cr_assert_eq(seen(&b, 0), 0);
    bench_close(&b);
}

Test(store, times_survive_the_wrap_of_their_32_bits)
{
    struct bench b;
    bench_open(&b);
    b.ms = 0xffffffff - 5000;
    put(&b, 0, 10, 20000);
    b.ms += 10000;
    cr_assert_eq(seen(&b, 0), 1);
    b.ms += 10001;
    cr_assert_eq(seen(&b, 0), 0);
    bench_close(&b);
}

/* --- the leak --------------------------------------------------------------------------------- */

static bool walk(struct bench *b, unsigned level)
{
    struct store_scope scope = scope_at(b, level);
    return !store_walk(b->store, entry(b), &scope);
}

Test(leak, lets_beta_walks_a_minute_through_however_many_knock)
{
    struct bench b;
    bench_open(&b);
    put(&b, 0, 10, 3600000);
    unsigned through[3] = {0};
    for (unsigned minute = 0; minute < 3; minute++)
        for (unsigned i = 0; i < 6000; i++) { /* 100 a second */
            through[minute] += walk(&b, 0);
            b.ms += 10;
        }
    cr_assert(through[0] >= 23 && through[0] <= 24, "a burst of beta, then the leak");
    for (unsigned minute = 1; minute < 3; minute++) /* refused walks must not starve it */
        cr_assert(through[minute] >= 11 && through[minute] <= 13, "%u", through[minute]);
    /* where 32 bits of milliseconds wrapped, it is open again */
    b.ms += 3ull << 31;
    put(&b, 0, 10, 3600000);
    cr_assert(walk(&b, 0));
    bench_close(&b);
}

Test(leak, is_each_level_s_own)
{
    struct bench b;
    bench_open(&b);
    put(&b, 2, 10, 3600000);
    for (unsigned i = 0; i < 100; i++)
        walk(&b, 2);
    cr_assert_not(walk(&b, 2));
    cr_assert(walk(&b, 1));
    unsigned through = 0;
    for (unsigned i = 0; i < 100; i++)
        through += walk(&b, 0);
    cr_assert_eq(through, b.config.beta);
    bench_close(&b);
}

/* --- bounds ----------------------------------------------------------------------------------- */

static void open_limited(struct bench *b, uint32_t source, uint32_t prefix)
{
    struct dht_config config = dht_config_default();
    config.lookups = 4;
    config.holders = 64;
    config.store_keys = 100 / DHT_VALUES; /* a per cent of its values is one */
    config.source_percent = source;
    config.prefix_percent = prefix;
    bench_open_config(b, &config, 256);
}

Test(limits, a_source_has_so_many_values_and_keeps_them_alive)
{
    struct bench b;
    open_limited(&b, 3, 0);
    for (unsigned i = 0; i < 3; i++) {
        b.key = bench_key(i);
        cr_assert_eq(put(&b, 0, 10, 20000), STORE_DONE);
    }
    b.key = bench_key(3);
    cr_assert_eq(put(&b, 0, 10, 20000), STORE_TOO_MANY);
    cr_assert_eq(put(&b, 0, 11, 20000), STORE_DONE, "another source");
    b.key = bench_key(0);
    b.ms += 19000;
    cr_assert_eq(put(&b, 0, 10, 20000), STORE_DONE, "to extend is no new one");
    b.ms += 20001;
    cr_assert_eq(put(&b, 0, 10, 20000), STORE_DONE, "nor is to come back after it expired");
    bench_close(&b);
}

Test(limits, a_network_has_so_many_values)
{
    struct bench b;
    open_limited(&b, 0, 4);
    for (unsigned i = 0; i < 8; i++) {
        b.key = bench_key(i);
        cr_assert_eq(put(&b, 0, 10 + i, 20000), i < 4 ? STORE_DONE : STORE_TOO_MANY);
    }
    b.key = bench_key(8);
    cr_assert_eq(put(&b, 0, 300, 20000), STORE_DONE, "10.0.1.0/24");
    b.ms += 20001;
    for (unsigned i = 0; i < 1024; i++)
        store_sweep(b.store, bench_now(&b));
    for (unsigned i = 0; i < 4; i++) {
        b.key = bench_key(20 + i);
        cr_assert_eq(put(&b, 0, 50 + i, 20000), STORE_DONE);
    }
    bench_close(&b);
}

/* A full store: who may store no more must not push out others' keys either. */
Test(limits, who_is_over_its_limit_displaces_nobody)
{
    struct bench b;
    open_limited(&b, 100, 0);
    for (unsigned i = 0; i < 100; i++) {
        b.key = bench_key(1000 + i);
        cr_assert_eq(put(&b, 0, 10, 3600000), STORE_DONE);
    }
    unsigned kept = 0, still = 0;
    for (unsigned i = 0; i < 200; i++) {
        b.key = bench_key(i);
        kept += put(&b, 0, 11 + i % 40, 20000) == STORE_DONE;
    }
    cr_assert_gt(kept, 100);
    for (unsigned i = 0; i < 1000; i++) {
        b.key = bench_key(5000 + i);
        cr_assert_neq(put(&b, 0, 10, 3600000), STORE_DONE);
    }
    for (unsigned i = 0; i < 200; i++) {
        b.key = bench_key(i);
        still += seen(&b, 0);
    }
    cr_assert_eq(still, kept);
    bench_close(&b);
}

Test(limits, holders_are_bounded_and_counted_once)
{
    struct bench b;
    open_limited(&b, 0, 0);
    for (unsigned i = 0; i < 64; i++) {
        b.key = bench_key(i);
        cr_assert_eq(put(&b, 0, 100 + i, 20000), STORE_DONE);
    }
    b.key = bench_key(64);
    cr_assert_eq(put(&b, 0, 200, 20000), STORE_TOO_MANY);
    cr_assert_eq(put(&b, 0, 100, 20000), STORE_DONE, "one that is known costs no place");
    struct endpoint http = {bench_contact(100).v4, 80};
    struct dht_id id = bench_contact(100).id;
    uint32_t at = holders_find(&b.arena->holders, &id, &http);
    cr_assert_neq(at, HOLDER_NONE);
    cr_assert_eq(b.arena->holders.at[at].values, 2);
    cr_assert(store_remove(b.store, entry(&b), &id));
    cr_assert_not(store_remove(b.store, entry(&b), &id));
    b.key = bench_key(0);
    cr_assert(store_remove(b.store, entry(&b), &id));
    cr_assert_eq(holders_find(&b.arena->holders, &id, &http), HOLDER_NONE);
    cr_assert_eq(put(&b, 0, 200, 20000), STORE_DONE, "its place is another's");
    bench_close(&b);
}

Test(limits, keys_are_bounded_and_new_ones_come_in_when_old_ones_expire)
{
    struct bench b;
    bench_open(&b);
    unsigned stored = 0;
    for (unsigned i = 0; i < 500; i++) {
        b.key = bench_key(i);
        stored += put(&b, 0, 10, 60000) == STORE_DONE;
    }
    cr_assert(stored >= 56 && stored <= 64, "%u", stored);
    cr_assert_leq(b.store->keys, 64);
    b.ms += 60001;
    for (uint64_t set = 0; set <= b.store->set_mask; set++)
        store_sweep(b.store, bench_now(&b));
    for (unsigned i = 500; i < 520; i++) {
        b.key = bench_key(i);
        cr_assert_eq(put(&b, 0, 10, 60000), STORE_DONE);
        cr_assert_eq(seen(&b, 0), 1);
    }
    cr_assert_leq(b.store->keys, 64);
    bench_close(&b);
}

/* --- nothing is lost -------------------------------------------------------------------------- */

static void check_counts(const struct bench *b, uint64_t seed)
{
    const struct dht_store *s = b->store;
    const struct holders *h = &b->arena->holders;
    uint32_t *values = calloc(h->room, sizeof(*values)), prefix[ARENA_PREFIXES] = {0}, keys = 0;
    for (uint64_t set = 0; set <= s->set_mask; set++)
        for (unsigned i = 0; i < STORE_WAYS; i++) {
            keys += s->tag[set][i] != 0;
            for (unsigned j = 0; s->tag[set][i] != 0 && j < DHT_VALUES; j++) {
                uint32_t holder = s->entry[set][i].holder[j];
                if (holder == HOLDER_NONE)
                    continue;
                values[holder]++;
                prefix[h->at[holder].prefix]++;
                cr_assert_eq(h->at[holder].prefix, arena_prefix(b->arena, &h->at[holder].http.ip));
            }
        }
    cr_assert_eq(keys, s->keys, "seed %llu", (unsigned long long)seed);
    for (uint32_t i = 0; i < h->used; i++)
        cr_assert_eq(values[i], h->at[i].values, "seed %llu", (unsigned long long)seed);
    for (unsigned i = 0; i < ARENA_PREFIXES; i++)
        cr_assert_eq(prefix[i], b->arena->prefix_count[i], "seed %llu", (unsigned long long)seed);
    free(values);
}

Test(counts, of_holders_networks_and_keys_are_right_whatever_happens_and_zero_in_the_end)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct bench b;
        struct rng rng;
        rng_init_u64(&rng, seed);
        open_limited(&b, 20, 60);
        for (unsigned i = 0; i < 3000; i++) {
            b.key = bench_key(rng_below(&rng, 400));
            unsigned by = 10 + rng_below(&rng, 600);
            struct dht_id id = bench_contact(by).id;
            switch (rng_below(&rng, 12)) {
            case 0:
                store_remove(b.store, entry(&b), &id);
                break;
            case 1:
                b.ms += rng_below(&rng, 5000);
                store_sweep(b.store, bench_now(&b));
                break;
            case 2:
                b.routes.level[1 + rng_below(&rng, 2)].epoch++;
                break;
            default:
                put(&b, rng_below(&rng, 3), by, 2 + rng_below(&rng, 60000));
            }
            if (i % 100 == 0)
                check_counts(&b, seed);
        }
        b.ms += 60001;
        for (uint64_t set = 0; set <= b.store->set_mask; set++)
            store_sweep(b.store, bench_now(&b));
        check_counts(&b, seed);
        cr_assert_eq(b.store->keys, 0);
        for (uint32_t i = 0; i < b.arena->holders.used; i++)
            cr_assert_eq(b.arena->holders.at[i].values, 0);
        bench_close(&b);
    }
}

Test(counts, a_store_that_closes_gives_back_what_it_held_of_the_arena)
{
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < 40; i++) {
        b.key = bench_key(i);
        put(&b, 0, 10 + i, 20000);
    }
    dht_store_destroy(b.store);
    for (uint32_t i = 0; i < b.arena->holders.used; i++)
        cr_assert_eq(b.arena->holders.at[i].values, 0);
    b.store = dht_store_create(b.arena, 64);
    bench_close(&b);
}

Test(sweep, gives_back_the_keys_whose_values_have_all_expired_and_no_others)
{
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < 20; i++) {
        b.key = bench_key(i);
        cr_assert_eq(put(&b, 0, 10, i % 2 ? 5000 : 20000), STORE_DONE);
        cr_assert_eq(put(&b, 0, 11, 5000), STORE_DONE);
    }
    b.ms += 5001;
    for (uint64_t set = 0; set <= b.store->set_mask; set++)
        store_sweep(b.store, bench_now(&b));
    cr_assert_eq(b.store->keys, 10);
    for (unsigned i = 0; i < 20; i++) {
        b.key = bench_key(i);
        cr_assert_eq(entry(&b) != NULL, i % 2 == 0);
    }
    bench_close(&b);
}

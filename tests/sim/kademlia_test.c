/* SPDX-License-Identifier: BSD-3-Clause */
/* The flat Kademlia that the index is compared with: is it one, and a good one? */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tools/sim/churn.h"
#include "tools/sim/kademlia.h"
#include "tools/sim/mix.h"

#define SEED   20020307u
#define SECOND 1000000ull
#define MINUTE (60 * SECOND)
#define HOUR   (3600 * SECOND)

enum { DRAW_ID = MIX_CALLER, DRAW_KEY, DRAW_NODE };

static struct dht_id some_id(uint64_t seed, uint64_t i, uint32_t purpose)
{
    struct dht_id id = {{0}};
    uint64_t random = mix(seed, i, 0, purpose);
    for (unsigned b = 0; b < 8; b++)
        id.b[b] = (uint8_t)(random >> (56 - 8 * b));
    return id;
}

static uint64_t upper(struct dht_id id)
{
    uint64_t x = 0;
    for (unsigned b = 0; b < 8; b++)
        x = x << 8 | id.b[b];
    return x;
}

static struct dht_id some_key(uint64_t i)
{
    return some_id(SEED, i, DRAW_KEY);
}

/* A network and what became of its lookups. */
struct net {
    struct planet *planet;
    struct kademlia *k;
    uint32_t nodes;
    uint64_t now_us;
    unsigned ended;
    struct kademlia_result last;
    struct kademlia_row row;
    void (*check)(struct net *n, const struct kademlia_result *r);
};

static void on_done(void *ctx, const struct kademlia_result *r)
{
    struct net *n = ctx;
    n->ended++;
    n->last = *r;
    kademlia_row_add(&n->row, r);
    if (n->check)
        n->check(n, r);
}

static struct net *net_new(struct planet_params planet, uint32_t nodes, uint64_t seed)
{
    struct net *n = calloc(1, sizeof(*n));
    struct dht_id *id = calloc(nodes, sizeof(*id));
    cr_assert(n && id);
    for (uint32_t i = 0; i < nodes; i++)
        id[i] = some_id(seed, i, DRAW_ID);
    struct kademlia_params params = kademlia_params_default();
    params.done = on_done;
    params.ctx = n;
    n->nodes = nodes;
    n->planet = planet_create(&planet, nodes, seed);
    cr_assert(n->planet);
    n->k = kademlia_create(&params, n->planet, id, nodes, seed);
    cr_assert(n->k);
    kademlia_fill(n->k);
    free(id);
    return n;
}

static void net_free(struct net *n)
{
    cr_expect_eq(kademlia_counters(n->k).overflows, 0);
    kademlia_destroy(n->k);
    planet_destroy(n->planet);
    free(n);
}

static void pass(struct net *n, uint64_t us)
{
    n->now_us += us;
    kademlia_run(n->k, n->now_us);
}

static uint32_t some_node(const struct net *n, uint64_t i)
{
    return (uint32_t)mix_below(mix(SEED, i, 0, DRAW_NODE), n->nodes);
}

/* ---- lookups ---- */

static void ends_at_the_true_closest(struct net *n, const struct kademlia_result *r)
{
    cr_assert_eq(r->end, KADEMLIA_REACHED);
    cr_assert_eq(r->n, 8);
    uint64_t last = 0;
    for (unsigned i = 0; i < r->n; i++) {
        uint64_t distance = upper(some_id(SEED, r->closest[i], DRAW_ID)) ^ r->key;
        cr_assert(i == 0 || distance > last);
        last = distance;
    }
    unsigned closer = 0;
    for (uint32_t i = 0; i < n->nodes; i++)
        closer += (upper(some_id(SEED, i, DRAW_ID)) ^ r->key) <= last;
    cr_assert_eq(closer, 8, "%u nodes are as close as the 8 found, asked by %u", closer, r->node);
}

Test(kademlia, a_lookup_in_a_quiet_world_ends_at_the_true_8_closest)
{
    struct net *n = net_new(planet_params_faultless(), 2000, SEED);
    n->check = ends_at_the_true_closest;
    for (uint32_t i = 0; i < 1000; i++) {
        struct dht_id key = some_key(i);
        cr_assert(kademlia_find(n->k, some_node(n, i), &key, i));
        pass(n, SECOND);
    }
    pass(n, MINUTE);
    cr_assert_eq(n->ended, 1000);
    net_free(n);
}

/* log2(n) / 4.3 where 8 contacts a bucket are to choose from: 3.1 */
Test(kademlia, a_lookup_among_10_000_takes_3_hops)
{
    struct net *n = net_new(planet_params_faultless(), 10000, SEED);
    for (uint32_t i = 0; i < 2000; i++) {
        struct dht_id key = some_key(i);
        cr_assert(kademlia_find(n->k, some_node(n, i), &key, i));
        pass(n, SECOND / 10);
    }
    pass(n, MINUTE);
    cr_assert_eq(n->row.end[KADEMLIA_REACHED], 2000);
    double hops = (double)n->row.hops.sum / 2000, asks = (double)n->row.asks.sum / 2000;
    cr_expect(hops > 2.1 && hops < 4.1, "%.2f hops", hops);
    cr_expect(summary_quantile(&n->row.hops, 0.99) <= 6);
    cr_expect(asks >= 8 && asks < 25, "%.2f asks", asks); /* the 8 closest and the way to them */
    json_t *j = kademlia_row_json(&n->row);
    cr_assert_eq(json_integer_value(json_object_get(j, "reached")), 2000);
    json_decref(j);
    net_free(n);
}

/* ---- values ---- */

Test(kademlia, what_is_put_is_found_from_elsewhere_until_it_ends)
{
    struct net *n = net_new(planet_params_faultless(), 2000, SEED);
    struct dht_id key = some_key(1), other = some_key(2);
    cr_assert(kademlia_put(n->k, 17, &key, HOUR, 0));
    pass(n, 10 * SECOND);
    cr_assert_eq(n->last.end, KADEMLIA_REACHED);
    cr_assert_eq(n->last.stores, 8);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert(kademlia_get(n->k, some_node(n, i), &key, 40 + i));
        pass(n, 10 * SECOND);
        cr_assert_eq(n->last.end, KADEMLIA_FOUND);
        cr_assert_eq(n->last.holder, 17);
        cr_assert_eq(n->last.tag, 40 + i);
    }
    cr_assert(kademlia_get(n->k, 99, &other, 0));
    pass(n, 10 * SECOND);
    cr_assert_eq(n->last.end, KADEMLIA_NOT_FOUND);
    pass(n, HOUR);
    cr_assert(kademlia_get(n->k, 99, &key, 0));
    pass(n, 10 * SECOND);
    cr_assert_eq(n->last.end, KADEMLIA_NOT_FOUND);
    net_free(n);
}

Test(kademlia, a_value_goes_with_those_that_stored_it)
{
    struct net *n = net_new(planet_params_faultless(), 2000, SEED);
    struct dht_id key = some_key(1);
    cr_assert(kademlia_put(n->k, 17, &key, HOUR, 0));
    pass(n, 10 * SECOND);
    struct kademlia_result put = n->last;
    for (unsigned i = 0; i < put.n - 1; i++)
        kademlia_set_up(n->k, put.closest[i], false);
    cr_assert(kademlia_get(n->k, 99, &key, 0)); /* the last of the 8 still has it */
    pass(n, 10 * SECOND);
    cr_assert_eq(n->last.end, KADEMLIA_FOUND);
    cr_assert_geq(n->last.timeouts, 1);
    cr_assert_geq(n->last.latency_us, 500000);
    for (unsigned i = 0; i < put.n; i++) {
        kademlia_set_up(n->k, put.closest[i], false);
        kademlia_set_up(n->k, put.closest[i], true);
    }
    pass(n, 10 * SECOND);
    cr_assert(kademlia_get(n->k, 99, &key, 0));
    pass(n, 10 * SECOND);
    cr_assert_eq(n->last.end, KADEMLIA_NOT_FOUND);
    cr_assert_eq(kademlia_counters(n->k).joins, 8);
    net_free(n);
}

/* All nodes put within each minute, at random moments of it. */
Test(kademlia, the_root_of_a_hammered_key_hears_everybody)
{
    enum { NODES = 500, MINUTES = 3 };
    struct net *n = net_new(planet_params_faultless(), NODES, SEED);
    struct dht_id key = some_key(1);
    const struct kademlia_watch *watch = kademlia_watch(n->k, &key);
    for (uint32_t i = 0; i < NODES * MINUTES; i++) {
        cr_assert(kademlia_put(n->k, i % NODES, &key, HOUR, 0));
        pass(n, MINUTE / NODES);
    }
    pass(n, MINUTE);
    cr_assert_geq(watch->busiest.n, MINUTES);
    cr_expect(watch->busiest.max > NODES * 98 / 100 && watch->busiest.max < NODES * 102 / 100,
              "%lu", watch->busiest.max);
    cr_expect_eq(watch->total.sum, 8 * NODES * MINUTES);
    net_free(n);
}

Test(kademlia, a_key_keeps_its_last_8_holders)
{
    struct kademlia_store *s = kademlia_store_create(10, 2);
    for (uint32_t holder = 0; holder < 20; holder++)
        cr_assert(kademlia_store_put(s, 3, 77, holder, HOUR + holder, 0));
    cr_assert(kademlia_store_put(s, 3, 77, 15, 2 * HOUR, 0)); /* renewed, not added */
    bool seen[20] = {false};
    for (uint64_t i = 0; i < 1000; i++)
        seen[kademlia_store_get(s, 3, 77, mix(SEED, i, 0, DRAW_KEY), 0)] = true;
    for (uint32_t holder = 0; holder < 20; holder++)
        cr_expect_eq(seen[holder], holder >= 12, "%u", holder);
    cr_assert_eq(kademlia_store_get(s, 3, 77, 0, HOUR + 100), 15);
    cr_assert_eq(kademlia_store_get(s, 4, 77, 0, 0), KADEMLIA_NOBODY);

    cr_assert(kademlia_store_put(s, 3, 78, 1, 3 * HOUR, 0));
    cr_assert_not(kademlia_store_put(s, 4, 77, 1, HOUR, 0));        /* two pairs are all */
    cr_assert(kademlia_store_put(s, 3, 79, 1, 3 * HOUR, 2 * HOUR)); /* where 77 has ended */
    kademlia_store_clear(s, 3);
    cr_assert_eq(kademlia_store_get(s, 3, 79, 0, 0), KADEMLIA_NOBODY);
    cr_assert(kademlia_store_put(s, 4, 77, 1, HOUR, 0));
    kademlia_store_destroy(s);
}

/* ---- tables ---- */

Test(kademlia, everybody_knows_his_8_nearest_siblings)
{
    enum { NODES = 1000 };
    uint64_t id[NODES];
    bool up[NODES];
    for (uint32_t i = 0; i < NODES; i++) {
        id[i] = upper(some_id(SEED, i, DRAW_ID));
        up[i] = i % 3 > 0;
    }
    struct kademlia_tables *t = kademlia_tables_create(id, NODES, 8, SEED);
    kademlia_tables_fill(t, up);
    for (uint32_t node = 0; node < NODES; node++) {
        uint32_t closest[KADEMLIA_K_MAX];
        cr_assert_eq(kademlia_table_closest(t, node, id[node], closest), 8);
        unsigned nearer = 0;
        for (uint32_t i = 0; i < NODES; i++)
            nearer += up[i] && i != node && (id[i] ^ id[node]) <= (id[closest[7]] ^ id[node]);
        cr_assert_eq(nearer, 8, "node %u knows 8 of its %u nearest", node, nearer);
    }
    kademlia_tables_destroy(t);
}

Test(kademlia, a_contact_that_did_not_answer_is_forgotten_until_it_is_heard_from)
{
    enum { NODES = 1000 };
    uint64_t id[NODES];
    bool up[NODES];
    for (uint32_t i = 0; i < NODES; i++) {
        id[i] = upper(some_id(SEED, i, DRAW_ID));
        up[i] = i % 2 == 0;
    }
    struct kademlia_tables *t = kademlia_tables_create(id, NODES, 8, SEED);
    uint32_t closest[KADEMLIA_K_MAX], again[KADEMLIA_K_MAX], contacts, down;
    cr_assert_eq(kademlia_table_closest(t, 5, id[5], closest), 0);
    kademlia_tables_fill(t, up);
    kademlia_table_count(t, 5, up, &contacts, &down);
    cr_expect(contacts >= 8 * 6 && contacts <= 8 * 10, "%u", contacts); /* log2(500) - 3 full */
    cr_expect_eq(down, 0);

    cr_assert_eq(kademlia_table_closest(t, 5, id[5], closest), 8);
    kademlia_table_drop(t, 5, closest[0]);
    cr_assert_eq(kademlia_table_closest(t, 5, id[5], again), 8);
    cr_assert_eq(again[0], closest[1]);
    kademlia_table_learn(t, 5, closest[0]);
    kademlia_table_learn(t, 5, closest[0]);
    cr_assert_eq(kademlia_table_closest(t, 5, id[5], again), 8);
    cr_assert_arr_eq(again, closest, 8 * sizeof(closest[0]));

    uint32_t after, far = 0; /* a full bucket has no room for one more */
    while (up[far] || (id[far] ^ id[5]) >> 63 == 0)
        far++;
    kademlia_table_learn(t, 5, far);
    kademlia_table_count(t, 5, up, &after, &down);
    cr_expect_eq(after, contacts);
    cr_expect_eq(down, 0);
    kademlia_tables_destroy(t);
}

/* ---- trouble ---- */

/* 2.3 % of pairs broken, some for ever, packets lost; nobody leaves. */
Test(kademlia, finds_what_is_there_where_some_pairs_are_broken_but_waits_for_it)
{
    enum { KEYS = 200, GETS = 5 };
    struct net *n = net_new(planet_params_default(), 5000, SEED);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct dht_id key = some_key(i);
        cr_assert(kademlia_put(n->k, some_node(n, i), &key, 10 * HOUR, 0));
        pass(n, SECOND);
    }
    pass(n, MINUTE);
    n->row = (struct kademlia_row){0};
    for (uint32_t i = 0; i < KEYS * GETS; i++) {
        struct dht_id key = some_key(i % KEYS);
        cr_assert(kademlia_get(n->k, some_node(n, KEYS + i), &key, 0));
        pass(n, SECOND);
    }
    pass(n, MINUTE);
    cr_expect(n->row.end[KADEMLIA_FOUND] >= KEYS * GETS * 99 / 100, "%lu found of %d",
              n->row.end[KADEMLIA_FOUND], KEYS * GETS);
    cr_expect_gt(summary_quantile(&n->row.well_us, 0.99), 500000);
    net_free(n);
}

Test(kademlia, a_lookup_ends_where_nobody_answers)
{
    struct net *n = net_new(planet_params_faultless(), 500, SEED);
    struct dht_id key = some_key(1);
    for (uint32_t i = 1; i < n->nodes; i++)
        kademlia_set_up(n->k, i, false);
    cr_assert(kademlia_put(n->k, 0, &key, HOUR, 0));
    pass(n, 10 * MINUTE);
    cr_assert_eq(n->last.end, KADEMLIA_FAILED);
    cr_assert_eq(n->last.timeouts, n->last.asks);
    cr_assert_not(kademlia_get(n->k, 1, &key, 0)); /* it is down */
    cr_assert(kademlia_get(n->k, 0, &key, 0));
    kademlia_set_up(n->k, 0, false);
    pass(n, MINUTE);
    cr_assert_eq(n->ended, 1);
    cr_assert_eq(kademlia_counters(n->k).abandoned, 1);
    net_free(n);
}

/* Drives a node's comings and goings by the world's churn. */
struct coming {
    bool up;
    uint32_t changes;
    uint64_t next_us;
};

static void churn_until(struct net *n, const struct churn *c, struct coming *who, uint64_t until_us)
{
    for (;;) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < n->nodes; i++)
            if (who[i].next_us < who[first].next_us)
                first = i;
        struct coming *w = &who[first];
        if (w->next_us >= until_us)
            break;
        pass(n, w->next_us - n->now_us);
        w->up = !w->up;
        kademlia_set_up(n->k, first, w->up);
        w->next_us = churn_next(c, first, w->up, n->now_us, ++w->changes);
    }
    pass(n, until_us - n->now_us);
}

static uint32_t some_up(const struct net *n, const struct coming *who, uint64_t i)
{
    uint32_t node = some_node(n, i);
    while (!who[node].up)
        node = (node + 1) % n->nodes;
    return node;
}

/* Sessions of 1 h (median), as many nodes away as there; values put anew each half hour by nodes
 * that stay. */
static uint64_t volunteers(uint64_t seed, struct kademlia_row *row)
{
    enum { NODES = 600, KEYS = 20 };
    struct net *n = net_new(planet_params_default(), NODES, seed);
    struct churn_params params = churn_params_volunteer(15000000, 15000000);
    struct churn *c = churn_create(&params, n->planet, seed);
    struct coming *who = calloc(NODES, sizeof(*who));
    for (uint32_t i = 0; i < NODES; i++) {
        who[i].up = i < KEYS;
        who[i].next_us = i < KEYS ? CHURN_NEVER : churn_start(c, i, &who[i].up);
        kademlia_set_up(n->k, i, who[i].up);
    }
    kademlia_fill(n->k);
    for (uint32_t half = 0; half < 4; half++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            struct dht_id key = some_key(i);
            cr_assert(kademlia_put(n->k, i, &key, HOUR, 0));
        }
        pass(n, MINUTE);
        n->row = (struct kademlia_row){0};
        for (uint32_t i = 0; i < 29 * KEYS; i++) {
            struct dht_id key = some_key(i % KEYS);
            cr_assert(kademlia_get(n->k, some_up(n, who, half * 1000 + i), &key, 0));
            churn_until(n, c, who, n->now_us + MINUTE / KEYS);
        }
        kademlia_row_add(row, &n->last);
        row->end[KADEMLIA_FOUND] += n->row.end[KADEMLIA_FOUND];
        row->end[KADEMLIA_NOT_FOUND] += n->row.end[KADEMLIA_NOT_FOUND];
    }
    uint64_t hash = kademlia_hash(n->k), contacts, down;
    kademlia_contacts(n->k, &contacts, &down);
    cr_expect(contacts > 0 && down < contacts, "%lu of %lu contacts are down", down, contacts);
    cr_expect_gt(kademlia_counters(n->k).joins, 50);
    free(who);
    churn_destroy(c);
    net_free(n);
    return hash;
}

Test(kademlia, keeps_values_findable_while_volunteers_come_and_go)
{
    struct kademlia_row row = {0};
    volunteers(SEED, &row);
    uint64_t all = row.end[KADEMLIA_FOUND] + row.end[KADEMLIA_NOT_FOUND];
    cr_expect(row.end[KADEMLIA_FOUND] * 100 >= all * 95, "%lu found of %lu",
              row.end[KADEMLIA_FOUND], all);
}

Test(kademlia, a_seed_replays_a_run)
{
    struct kademlia_row row = {0};
    uint64_t hash = volunteers(1, &row);
    cr_assert_eq(hash, volunteers(1, &row));
    cr_assert_neq(hash, volunteers(2, &row));
}

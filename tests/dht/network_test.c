/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole networks on virtual time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dht/closer.h"
#include "net.h"

#define SEED(net) "seed %llu", (unsigned long long)(net)->seed

static uint64_t the_seed(void)
{
    const char *s = getenv("CORAL_SEED");
    return s ? strtoull(s, NULL, 0) : 20040329;
}

static struct dht_id key_of(unsigned i)
{
    char url[64];
    int n = snprintf(url, sizeof(url), "http://www.site.test/object/%u", i);
    return dht_key(url, (size_t)n);
}

static bool has_node(const struct dht_result *r, const struct dht_id *node)
{
    for (unsigned i = 0; i < r->n; i++)
        if (id_eq(&r->value[i].node, node))
            return true;
    return false;
}

/* 64 nodes that join through one, with tables too small for anybody to know everybody. */
static struct net *big_network(unsigned loss_percent)
{
    struct dht_config config = dht_config_default();
    config.bucket = 3;
    config.store_keys = 1024;
    config.lookups = 64;
    struct net *net = net_create(64, &config, the_seed());
    net->loss_percent = loss_percent;
    net_settle(net, 20000);
    return net;
}

static struct net *small_network(void)
{
    struct dht_config config = dht_config_default();
    config.store_keys = 1024;
    config.lookups = 64;
    struct net *net = net_create(6, &config, the_seed());
    net_settle(net, 5000);
    return net;
}

/* 100 keys put and got by random nodes; may_miss: gets that lost packets may spoil (a root that
 * does not answer three times in a row is taken for dead). */
static void put_and_get(unsigned loss_percent, unsigned may_miss)
{
    struct net *net = big_network(loss_percent);
    unsigned least = 64, most = 0;
    for (unsigned i = 0; i < net->n; i++) {
        unsigned known = net->node[i].routes->n;
        least = known < least ? known : least;
        most = known > most ? known : most;
    }
    cr_assert_gt(least, 0, SEED(net));
    cr_assert_lt(most, 40, SEED(net));

    enum { KEYS = 100, GETS = 4 };
    unsigned hops = 0, lookups = 0, worst = 0, at_root = 0, missed = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        struct dht_id key = key_of(k);
        unsigned putter = rng_below(&net->rng, net->n);
        struct dht_result put = net_put(net, putter, &key, 3600000);
        cr_assert_eq(put.end, DHT_FOUND, SEED(net));
        cr_assert_eq(put.n, 0, "nobody was there before, seed %llu", (unsigned long long)net->seed);
        hops += put.hops;
        lookups++;
        unsigned root = net_closest(net, &key, 0);
        struct dht_result own = net_get(net, root, &key);
        at_root += root == putter || (own.end == DHT_FOUND && own.hops == 0);
        for (unsigned g = 0; g < GETS; g++) {
            /* a putter's get leaves itself out */
            unsigned getter = (putter + 1 + rng_below(&net->rng, net->n - 1)) % net->n;
            struct dht_result get = net_get(net, getter, &key);
            missed += get.end != DHT_FOUND;
            cr_assert(get.end != DHT_FOUND || has_node(&get, &net->node[putter].self.id));
            hops += get.hops;
            lookups++;
            worst = get.hops > worst ? get.hops : worst;
        }
    }
    double mean = (double)hops / lookups;
    printf(
        "%u %% loss: 64 nodes know %u to %u others; %u lookups: mean %.2f hops, most %u; %u of %u "
        "stored at the very closest node; %u gets missed\n",
        loss_percent, least, most, lookups, mean, worst, at_root, KEYS, missed);
    cr_assert_gt(mean, 1.5, SEED(net));
    cr_assert_leq(missed, may_miss, SEED(net));
    cr_assert_geq(at_root, KEYS * 95 / 100, SEED(net));
    struct dht_id nothing = key_of(100000);
    cr_assert_eq(net_get(net, 5, &nothing).end, DHT_NOT_FOUND, SEED(net));
    net_destroy(net);
}

Test(network, of_64_where_nobody_knows_everybody_finds_what_was_put_in_several_hops)
{
    put_and_get(0, 0);
}

Test(network, of_64_where_one_packet_in_a_hundred_is_lost_finds_it_too)
{
    put_and_get(1, 2);
}

Test(network, of_64_survives_the_death_of_eight)
{
    struct net *net = big_network(1);
    enum { KEYS = 40, DEAD = 8 };
    for (unsigned k = 0; k < KEYS; k++) {
        struct dht_id key = key_of(k);
        cr_assert_eq(net_put(net, 20 + k % 40, &key, 3600000).end, DHT_FOUND, SEED(net));
    }
    for (unsigned i = 1; i <= DEAD; i++)
        net_kill(net, i);
    net_run(net, 8000);
    for (unsigned i = 0; i < net->n; i++)
        for (unsigned dead = 1; dead <= DEAD && net->node[i].up; dead++) {
            cr_assert(!net_knows(net, i, dead), "node %u thinks %u alive after 8 s, seed %llu", i,
                      dead, (unsigned long long)net->seed);
        }
    unsigned found = 0, expected = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        struct dht_id key = key_of(k);
        struct dht_result r = net_get(net, 9 + k % 50, &key);
        cr_assert_neq(r.end, DHT_FAILED, SEED(net));
        found += r.end == DHT_FOUND;
        /* a value dies with its root; a new put finds the next one */
        cr_assert_eq(net_put(net, 20 + k % 40, &key, 3600000).end, DHT_FOUND, SEED(net));
        r = net_get(net, 9 + (k + 17) % 50, &key);
        expected += r.end == DHT_FOUND;
    }
    printf("after the death of %u of 64: %u of %u found, after new puts %u\n", DEAD, found, KEYS,
           expected);
    cr_assert_geq(found, KEYS / 2, SEED(net));
    cr_assert_geq(expected, KEYS - 1, SEED(net));
    net_destroy(net);
}

static void one_is_first(bool claims)
{
    struct net *net = small_network();
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(net->node[i].routes->n, 5, SEED(net));
    for (unsigned k = 0; k < 20; k++) {
        struct dht_id key = key_of(k);
        struct net_result r[6] = {0};
        for (unsigned i = 0; i < 6; i++)
            (claims ? dht_claim : dht_put)(net->node[i].asker, &key, DHT_ALL_LEVELS, 20000,
                                           net_done, &r[i], net_now(net));
        net_run(net, 1500);
        /* serialised at the root: one saw nobody; the last ones may be refused, as 4 values with
         * as long to go are there */
        unsigned first = 0, stored = 0;
        for (unsigned i = 0; i < 6; i++) {
            cr_assert(r[i].ended, SEED(net));
            cr_assert_neq(r[i].result.end, DHT_FAILED, SEED(net));
            cr_assert_not(has_node(&r[i].result, &net->node[i].self.id), "never itself");
            cr_assert_leq(r[i].result.n, 6);
            first += r[i].result.n == 0;
            stored += r[i].result.end == DHT_FOUND;
        }
        cr_assert_eq(first, 1, "key %u: %u putters think that they are first, seed %llu", k, first,
                     (unsigned long long)net->seed);
        cr_assert_geq(stored, 4, SEED(net));
        for (unsigned i = 0; i < 6; i++) {
            struct dht_result get = net_get(net, i, &key);
            cr_assert_eq(get.end, DHT_FOUND);
            cr_assert_geq(get.n, 1);
        }
    }
    net_destroy(net);
}

Test(network, of_six_has_one_root_for_a_key_that_tells_putters_who_was_first)
{
    one_is_first(false);
}

Test(network, of_six_that_claim_a_key_one_is_first)
{
    one_is_first(true);
}

Test(network, of_six_forgets_a_removed_reference)
{
    struct net *net = small_network();
    struct dht_id key = key_of(1);
    net_put(net, 0, &key, 60000);
    net_put(net, 1, &key, 60000);
    dht_remove(net->node[0].asker, &key, DHT_ALL_LEVELS, net_now(net));
    net_run(net, 1000);
    struct dht_result r = net_get(net, 2, &key);
    cr_assert_eq(r.end, DHT_FOUND, SEED(net));
    cr_assert_not(has_node(&r, &net->node[0].self.id), SEED(net));
    cr_assert(has_node(&r, &net->node[1].self.id), SEED(net));
    net_destroy(net);
}

Test(network, of_six_notices_a_kill_moves_the_root_and_takes_the_node_back)
{
    struct net *net = small_network();
    struct dht_id key = key_of(3);
    unsigned root = net_closest(net, &key, 0), asker = root == 2 ? 3 : 2;
    cr_assert_eq(net_put(net, asker, &key, 60000).end, DHT_FOUND, SEED(net));
    net_kill(net, root);

    /* at once, before anybody knows: the put goes on to the next closest */
    uint64_t start = net->ms;
    struct dht_result r = net_put(net, asker, &key, 60000);
    cr_assert_eq(r.end, DHT_FOUND, SEED(net));
    cr_assert_leq(net->ms - start, 1500, SEED(net));
    r = net_get(net, asker == 5 ? 4 : 5, &key);
    cr_assert(r.end == DHT_FOUND || root == 5 || root == 4, SEED(net));

    net_run(net, (unsigned)(start + 2000 - net->ms));
    for (unsigned i = 0; i < 6; i++)
        cr_assert(i == root || !net_knows(net, i, root), "node %u, seed %llu", i,
                  (unsigned long long)net->seed);

    net_run(net, 20000);
    net_start(net, root);
    net_run(net, 3000);
    for (unsigned i = 0; i < 6; i++)
        cr_assert(i == root || net_knows(net, i, root), "node %u, seed %llu", i,
                  (unsigned long long)net->seed);
    cr_assert_eq(net->node[root].routes->n, 5, SEED(net));

    net_kill(net, root);
    net_run(net, 70000);
    for (unsigned i = 0; i < 6; i++)
        cr_assert(i == root || !net_knows(net, i, root), "forgotten after a minute");
    net_start(net, root);
    net_run(net, 3000);
    for (unsigned i = 0; i < 6; i++)
        cr_assert(i == root || net_knows(net, i, root), "and welcome again");
    net_destroy(net);
}

Test(network, of_six_does_not_flap_under_loss)
{
    struct net *net = small_network();
    net->loss_percent = 2;
    unsigned dead = 0, looks = 0;
    for (unsigned t = 0; t < 600; t++) {
        net_run(net, 100);
        for (unsigned i = 0; i < 6; i++)
            for (uint32_t j = 0; j < net->node[i].routes->n; j++) {
                looks++;
                dead += !net->node[i].routes->route[j].alive;
            }
    }
    printf("2 %% loss for a minute: not alive in %u of %u looks\n", dead, looks);
    cr_assert_lt(dead * 100, looks, SEED(net)); /* two losses in a row: 1 ping in 600 */
    net_destroy(net);
}

Test(network, cut_off_for_longer_forgets_nobody_and_is_back_at_once)
{
    struct net *net = small_network();
    net->loss_percent = 100;
    net_run(net, 120000);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(net->node[i].routes->n, 5, SEED(net));
        for (unsigned j = 0; j < 5; j++)
            cr_assert_not(net->node[i].routes->route[j].alive, SEED(net));
    }
    net->loss_percent = 0;
    net_run(net, 9000);
    for (unsigned i = 0; i < 6; i++)
        for (unsigned j = 0; j < 5; j++)
            cr_assert(net->node[i].routes->route[j].alive, SEED(net));
    net_destroy(net);
}

Test(network, of_one_stores_at_itself_and_is_no_answer_to_itself)
{
    struct dht_config config = dht_config_default();
    config.lookups = 8;
    config.negative_ms = 0;
    struct net *net = net_create(2, &config, the_seed());
    net_start(net, 0);
    struct dht_id key = key_of(0);
    cr_assert_eq(net_get(net, 0, &key).end, DHT_NOT_FOUND);
    struct dht_result r = net_put(net, 0, &key, 1000);
    cr_assert_eq(r.end, DHT_FOUND);
    cr_assert_eq(r.hops, 0);
    cr_assert_eq(net_get(net, 0, &key).end, DHT_NOT_FOUND, "nobody else has it");

    struct net_result many[9] = {0};
    for (unsigned i = 0; i < 9; i++) {
        uint64_t ticket =
            dht_get(net->node[0].asker, &key, DHT_ALL_LEVELS, net_done, &many[i], net_now(net));
        cr_assert_eq(ticket == 0, i == 8);
        if (i == 7)
            dht_cancel(net->node[0].asker,
                       ticket + ((uint64_t)1 << 32)); /* not a ticket: ignored */
        if (i == 0)
            dht_cancel(net->node[0].asker, 0);
    }
    cr_assert(many[8].ended);
    cr_assert_eq(many[8].result.end, DHT_FAILED, "more than may be in flight");
    net_run(net, 1000);
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq(many[i].result.end, DHT_NOT_FOUND);

    struct net_result never = {0};
    uint64_t ticket =
        dht_get(net->node[0].asker, &key, DHT_ALL_LEVELS, net_done, &never, net_now(net));
    dht_cancel(net->node[0].asker, ticket);
    net_run(net, 6000);
    cr_assert_not(never.ended, "cancelled");
    cr_assert_eq(dht_arena_counters(net->node[0].arena)->dht_lookups, 0);
    net_destroy(net);
}

/* --- reports of dead holders ------------------------------------------------------------------ */

static uint64_t forgotten(const struct net *net)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < net->n; i++)
        if (net->node[i].up)
            sum += dht_arena_counters(net->node[i].arena)->dht_forgotten_total;
    return sum;
}

/* A big network of one level, so that a key has the same root for all. */
static struct net *flat_network(unsigned loss_percent)
{
    struct dht_config config = dht_config_default();
    config.bucket = 3;
    config.levels = 1;
    config.store_keys = 1024;
    config.lookups = 64;
    struct net *net = net_create(64, &config, the_seed());
    net->loss_percent = loss_percent;
    net_settle(net, 20000);
    return net;
}

/* Puts keys until the closest nodes of one do not have the holder in their tables even after that:
 * they do not find out by themselves that it is dead. */
static struct dht_id put_at_strangers(struct net *net, unsigned holder)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct dht_id key = key_of(i);
        bool known = false;
        cr_assert_eq(net_put(net, holder, &key, 3600000).end, DHT_FOUND, SEED(net));
        net_run(net, 1000);
        for (unsigned skip = 0; skip < 3; skip++) {
            const struct net_node *x = &net->node[net_closest(net, &key, skip)];
            known |= x->number == holder ||
                     routes_find(x->routes, &net->node[holder].self.id) < x->routes->n;
        }
        if (!known)
            return key;
    }
    cr_assert_fail("the holder is known everywhere, "
                   "seed %llu",
                   (unsigned long long)net->seed);
    return (struct dht_id){{0}};
}

enum { HOLDER = 40, FIRST = 7, SECOND = 9 };

/* The first one to get a key is told of a holder that is dead; is the second one, 2.7 s later? */
static bool second_is_told(bool report, bool comes_back)
{
    struct net *net = flat_network(0);
    struct dht_id key = put_at_strangers(net, HOLDER);
    const struct dht_id *holder = &net->node[HOLDER].self.id;
    net_kill(net, HOLDER);
    struct dht_result r = net_get(net, FIRST, &key);
    cr_assert(has_node(&r, holder), "as if it lived, " SEED(net));
    if (report)
        dht_report(net->node[FIRST].asker, &key, holder, net_now(net));
    net_run(net, 2700);
    if (comes_back) {
        net_start(net, HOLDER);
        net_run(net, 5000);
        cr_assert_eq(net_put(net, HOLDER, &key, 3600000).end, DHT_FOUND, SEED(net));
    }
    r = net_get(net, SECOND, &key);
    bool told = has_node(&r, holder);
    net_destroy(net);
    return told;
}

Test(network, who_is_told_of_a_dead_holder_reports_it_and_the_next_one_is_not_told)
{
    cr_assert(second_is_told(false, false), "nobody has said that it is dead");
    cr_assert_not(second_is_told(true, false));
    cr_assert(second_is_told(true, true), "it is back");
}

Test(network, a_liar_s_report_of_one_that_lives_changes_nothing)
{
    struct net *net = flat_network(1);
    struct dht_id key = put_at_strangers(net, HOLDER);
    const struct dht_id *holder = &net->node[HOLDER].self.id;
    uint64_t reports = 0, before = forgotten(net);
    for (unsigned i = 0; i < 10; i++) {
        dht_report(net->node[FIRST].asker, &key, holder, net_now(net));
        net_run(net, 1100);
    }
    for (unsigned i = 0; i < net->n; i++)
        reports += dht_arena_counters(net->node[i].arena)->dht_reports_total;
    cr_assert_geq(reports, 20, SEED(net));
    cr_assert_eq(forgotten(net), before, SEED(net));
    struct dht_result r = net_get(net, SECOND, &key);
    cr_assert(has_node(&r, holder), SEED(net));
    net_destroy(net);
}

Test(network, cut_off_a_node_believes_nobody_dead)
{
    struct net *net = small_network();
    struct dht_id key = key_of(1);
    unsigned root = net_closest(net, &key, 0), holder = (root + 1) % 6;
    cr_assert_eq(net_put(net, holder, &key, 3600000).end, DHT_FOUND, SEED(net));
    net->loss_percent = 100;
    dht_report(net->node[root].asker, &key, &net->node[holder].self.id, net_now(net));
    net_run(net, 10000);
    cr_assert_gt(dht_arena_counters(net->node[root].arena)->dht_reports_total, 0, SEED(net));
    cr_assert_eq(forgotten(net), 0, SEED(net));
    net->loss_percent = 0;
    net_run(net, 9000);
    struct dht_result r = net_get(net, (root + 2) % 6, &key);
    cr_assert(has_node(&r, &net->node[holder].self.id), SEED(net));
    net_destroy(net);
}

/* --- a path that works one way only ----------------------------------------------------------- */

/* What has one copy, at a node whose answers do not reach us. */
static struct dht_result get_over_a_broken_path(bool relay, unsigned settle_ms)
{
    struct dht_config config = dht_config_default();
    config.store_keys = 1024;
    config.lookups = 64;
    config.copies = 1;
    config.mitigate.relay = relay;
    struct net *net = net_create(6, &config, the_seed());
    net_settle(net, 5000);
    struct dht_id key = key_of(1);
    unsigned root = net_closest(net, &key, 0), by = net_closest(net, &key, 5);
    net_put(net, net_closest(net, &key, 3), &key, 60000);
    net->cut_from = &net->node[root];
    net->cut_to = &net->node[by];
    net_run(net, settle_ms);
    struct dht_result r = net_get(net, by, &key);
    const struct dht_counters *c = dht_arena_counters(net->node[by].arena);
    cr_assert_eq(c->dht_relays_answered_total, relay ? 1 : 0);
    cr_assert_eq(c->dht_drop_unexpected_total, 0);
    net_destroy(net);
    return r;
}

Test(network, over_a_path_broken_one_way_a_get_finds_what_is_there_through_another)
{
    cr_assert_eq(get_over_a_broken_path(false, 0).end, DHT_NOT_FOUND);
    cr_assert_eq(get_over_a_broken_path(true, 0).end, DHT_FOUND);
    cr_assert_eq(get_over_a_broken_path(false, 20000).end, DHT_NOT_FOUND);
    cr_assert_eq(get_over_a_broken_path(true, 20000).end, DHT_FOUND, "given up by our own table");
}

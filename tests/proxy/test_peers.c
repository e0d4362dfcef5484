/* SPDX-License-Identifier: BSD-3-Clause */
/* Several nodes with a real index between them: flash crowds, deaths, lies and knots. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/vary.h"
#include "dataplane/proxy/peer.h"
#include "world.h"

#define SEED 20261125u
#define MIB  (1u << 20)

static struct world w;
static struct client crowd[64];

static struct origin_file *page(const char *path, uint64_t length, unsigned rate)
{
    return origin_add(&w.origin[0],
                      (struct origin_file){.path = path,
                                           .length = length,
                                           .salt = 5,
                                           .rate = rate,
                                           .etag = "\"v1\"",
                                           .delay_ms = 30,
                                           .fields = "Cache-Control: max-age=600\r\n"});
}

static unsigned get(struct client *c, unsigned node, const char *path)
{
    return world_get(&w, c, node, "www.site.test.coral.test", path, NULL);
}

static void start_crowd(unsigned nodes, unsigned each, const char *path)
{
    for (unsigned i = 0; i < nodes * each; i++)
        client_get(&w, &crowd[i], i % nodes, i / nodes % w.node[0].workers,
                   "www.site.test.coral.test", path, NULL);
}

/* How many have the whole body; `but`: a node that does not count. */
static unsigned end_crowd(unsigned nodes, unsigned each, int but, uint64_t length)
{
    unsigned good = 0;
    for (unsigned i = 0; i < nodes * each; i++) {
        if ((int)(i % nodes) != but) {
            client_parse(&crowd[i]);
            good += client_body_is(&crowd[i], 5, 0, length) && crowd[i].head.status == 200;
        }
        client_free(&crowd[i]);
    }
    return good;
}

static void all_settled(void)
{
    world_run(&w, 100);
    for (unsigned i = 0; i < w.nodes; i++) {
        if (!w.node[i].up)
            continue;
        cr_expect_eq(WORLD_COUNT(&w, i, proxy_requests), 0, "node %u", i);
        cr_expect_eq(WORLD_COUNT(&w, i, proxy_fills), 0, "node %u", i);
    }
}

Test(peers, the_second_node_fetches_from_the_first)
{
    struct client c;
    world_open(&w, 2, 1, SEED);
    struct origin_file *f = page("/a", 300000, 0);
    cr_assert_eq(get(&c, 0, "/a"), 200);
    client_free(&c);
    world_run(&w, 5000);
    cr_assert_eq(get(&c, 1, "/a"), 200);
    cr_assert(client_body_is(&c, 5, 0, 300000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    cr_assert_geq(atoi(client_field(&c, "Age")), 5); /* as old as at the peer */
    cr_assert_str_eq(client_field(&c, "Coral-Peer"), "");
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_requests_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_out_bytes_total), 300000);
    all_settled();
    world_close(&w);
}

/* Six cold nodes, one hot object: at most three requests at the origin. */
static unsigned flash(uint64_t seed, unsigned workers, uint64_t length, unsigned rate)
{
    world_open(&w, 6, workers, seed);
    struct origin_file *f = page("/hot", length, rate);
    start_crowd(6, 8, "/hot");
    world_run(&w, 3000);
    unsigned good = end_crowd(6, 8, -1, length), asked = f->requests;
    for (unsigned i = 0; i < 6; i++) /* who holds is slow, not false */
        cr_assert_eq(WORLD_COUNT(&w, i, proxy_index_again_total), 0);
    cr_assert_eq(good, 48, "seed %llu: %u of 48", (unsigned long long)seed, good);
    all_settled();
    world_close(&w);
    return asked;
}

Test(peers, six_cold_nodes_cost_the_origin_a_handful)
{
    unsigned sum = 0;
    for (unsigned seed = 0; seed < 10; seed++) {
        unsigned asked =
            flash(SEED + seed, 1 + seed % 2, seed % 3 ? 20000 : 600000, seed % 3 ? 0 : 1000);
        cr_assert_leq(asked, 3, "seed %u: %u", SEED + seed, asked);
        sum += asked;
    }
    cr_assert_leq(sum, 15, "%u origin requests in ten crowds", sum);
}

/* The node that fetches from the origin dies in the middle. */
Test(peers, the_death_of_the_source_is_noticed_by_nobody)
{
    world_open(&w, 6, 2, SEED);
    struct origin_file *f = page("/big", 4 * MIB, 1000);
    start_crowd(6, 2, "/big");
    world_run(&w, 2000);
    cr_assert_eq(f->requests, 1);
    int root = -1;
    struct proxy_fill_info info;
    for (unsigned i = 0; i < 12; i++)
        if (proxy_fills(w.node[i / 2].worker[i % 2].proxy, &info, 1) &&
            strncmp(info.source, "origin", 6) == 0)
            root = (int)i / 2;
    cr_assert_geq(root, 0);
    world_kill(&w, (unsigned)root);
    world_run(&w, 8000);
    cr_assert_eq(end_crowd(6, 2, root, 4 * MIB), 10);
    cr_assert_geq(f->ranged, 1);
    cr_assert_leq(f->requests, 3, "%u", f->requests);
    cr_assert(strstr(f->last_request, "Range: bytes="));
    all_settled();
    world_close(&w);
}

Test(peers, two_die_one_after_the_other)
{
    world_open(&w, 6, 1, SEED + 1);
    page("/big", 4 * MIB, 1000);
    start_crowd(6, 1, "/big");
    for (int death = 0; death < 2; death++) {
        world_run(&w, death ? 2500 : 1000);
        struct proxy_fill_info info;
        for (unsigned i = 0; i < 6; i++)
            if (w.node[i].up && proxy_fills(w.node[i].worker[0].proxy, &info, 1) &&
                strncmp(info.source, "origin", 6) == 0) {
                world_kill(&w, i);
                break;
            }
    }
    world_run(&w, 12000);
    unsigned good = 0;
    for (unsigned i = 0; i < 6; i++) {
        client_parse(&crowd[i]);
        good += w.node[i].up && client_body_is(&crowd[i], 5, 0, 4 * MIB);
        client_free(&crowd[i]);
    }
    cr_assert_eq(good, 4, "%u", good);
    all_settled();
    world_close(&w);
}

/* How often the nodes that are up were told that a holder is dead. */
static uint64_t reports(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w.nodes; i++)
        if (w.node[i].up)
            sum += counter_read(&dht_arena_counters(w.node[i].worker[0].arena)->dht_reports_total);
    return sum;
}

Test(peers, a_dead_holder_only_delays_and_is_reported)
{
    struct client c;
    world_open(&w, 4, 1, SEED);
    struct origin_file *f = page("/a", 50000, 0);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(get(&c, i, "/a"), 200);
        client_free(&c);
        world_kill(&w, i); /* the routes say it 1.5 s later; this one asks before */
        world_run(&w, 5);
    }
    cr_assert_eq(get(&c, 2, "/a"), 200);
    cr_assert(client_body_is(&c, 5, 0, 50000));
    client_free(&c);
    cr_assert_leq(f->requests, 3);
    all_settled();
    cr_assert_gt(reports(), 0);
    world_close(&w);
}

Test(peers, a_holder_that_answers_is_not_reported)
{
    struct client c;
    world_open(&w, 3, 1, SEED);
    page("/a", 50000, 0);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(get(&c, i, "/a"), 200);
        client_free(&c);
    }
    all_settled();
    cr_assert_eq(reports(), 0);
    world_close(&w);
}

/* --- holders that are none ------------------------------------------------- */

static unsigned liars; /* a bit each */

/* Names a node that has nothing, one where nobody listens and one where packets vanish. */
static void name_false_holders(struct rpc *answer)
{
    struct endpoint at[] = {{w.node[3].self.v4, 80}, {addr_v4(0x0a020001), 80}, {w.hole, 80}};
    answer->contacts = 0;
    answer->values = answer->held = 3;
    answer->values_level = 0;
    for (unsigned i = 0; i < answer->values; i++)
        answer->value[i] = (struct dht_value){.node = i ? dht_node_id(&at[i]) : w.node[3].self.id,
                                              .http = at[i],
                                              .ttl_ms = 3600000,
                                              .age_ms = 1000};
}

/* Whoever is asked first, but the one that holds it. */
static void first_lies(struct world *world, unsigned node, struct rpc *answer)
{
    (void)world;
    if (answer->type != RPC_GET)
        return;
    if (!liars && node != 0)
        liars = 1u << node;
    if (liars >> node & 1)
        name_false_holders(answer);
}

static void all_lie(struct world *world, unsigned node, struct rpc *answer)
{
    (void)world, (void)node;
    if (answer->type == RPC_GET)
        name_false_holders(answer);
}

static void open_with_lies(void (*says)(struct world *, unsigned, struct rpc *))
{
    struct client c;
    world_open(&w, 6, 1, SEED);
    page("/b", 50000, 0);
    cr_assert_eq(get(&c, 0, "/b"), 200);
    client_free(&c);
    world_run(&w, 100);
    liars = 0;
    w.hole = addr_v4(0x0a020002);
    w.says = says;
}

Test(peers, false_holders_cost_a_second_get_and_no_request_to_the_origin)
{
    struct client c;
    open_with_lies(first_lies);
    uint64_t since_us = w.now.mono_us;
    cr_assert_eq(get(&c, 5, "/b"), 200);
    cr_assert(client_body_is(&c, 5, 0, 50000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
    cr_assert_neq(liars, 0);
    cr_assert_eq(w.origin[0].file[0].requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_index_again_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_index_again_found_total), 1);
    cr_assert_lt(w.now.mono_us - since_us, 1000000); /* 500 ms of them for the hole */
    all_settled();
    world_close(&w);
}

Test(peers, where_all_lie_the_origin_is_asked_after_the_second_get)
{
    struct client c;
    open_with_lies(all_lie);
    uint64_t since_us = w.now.mono_us;
    cr_assert_eq(get(&c, 5, "/b"), 200);
    cr_assert(client_body_is(&c, 5, 0, 50000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=origin"));
    client_free(&c);
    cr_assert_eq(w.origin[0].file[0].requests, 2);
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_index_again_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_index_again_found_total), 0);
    cr_assert_lt(w.now.mono_us - since_us, 1000000);
    all_settled();
    world_close(&w);
}

static void name_one_that_fetches(struct world *world, unsigned node, struct rpc *answer)
{
    (void)world, (void)node;
    if (answer->type != RPC_GET)
        return;
    answer->values = answer->held = 1;
    answer->values_level = 0;
    answer->value[0] = (struct dht_value){
        .node = w.node[3].self.id, .http = {w.node[3].self.v4, 80}, .ttl_ms = 19000, .age_ms = 900};
}

/* It might be fetching from us: the claim's word counts, which has an order. */
Test(peers, who_fetches_is_not_followed_on_a_gets_word)
{
    struct client c;
    open_with_lies(name_one_that_fetches);
    page("/new", 5000, 0);
    cr_assert_eq(get(&c, 5, "/new"), 200);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=origin"));
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_peer_asks_total), 0);
    all_settled();
    world_close(&w);
}

static void name_two_afar(struct world *world, unsigned node, struct rpc *answer)
{
    (void)world, (void)node;
    if (answer->type != RPC_GET)
        return;
    name_false_holders(answer);
    answer->values = answer->held = 2;
    for (unsigned i = 0; i < 2; i++) {
        answer->value[i].http = (struct endpoint){w.hole, (uint16_t)(80 + i)};
        answer->value[i].node = dht_node_id(&answer->value[i].http);
    }
}

/* Neither is in our table: they may be far away, and that is no reason to leave one. */
Test(peers, one_whose_round_trip_is_not_known_has_time)
{
    struct client c;
    open_with_lies(name_two_afar);
    client_get(&w, &c, 5, 0, "www.site.test.coral.test", "/b", NULL);
    world_run(&w, 400);
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_peer_asks_total), 1);
    world_run(&w, 300); /* the connection's own limit is 500 ms here */
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_peer_asks_total), 2);
    client_free(&c);
    world_close(&w);
}

/* --- the claim beside the get -------------------------------------------- */

/* The node nearest to a path's key; none of those two, or another path is taken. */
static unsigned root_of(char path[static 8], unsigned not, unsigned nor)
{
    for (unsigned i = 0;; i++) {
        char url[64];
        unsigned root = 0;
        snprintf(path, 8, "/%u", i);
        int len = snprintf(url, sizeof(url), "http://www.site.test%s", path);
        struct dht_id key = dht_key(url, (size_t)len);
        for (unsigned j = 1; j < w.nodes; j++) {
            struct dht_distance a = distance_between(&w.node[j].self.id, &key);
            struct dht_distance b = distance_between(&w.node[root].self.id, &key);
            root = distance_less(&a, &b) ? j : root;
        }
        if (root != not &&root != nor)
            return root;
    }
}

/* A page at node 0 alone; node 5 has had cookies of all, so that its claim is a
 * single round trip, which ends before the get beside it. */
static struct origin_file *held_by_the_first(const char *path)
{
    struct client c;
    char warm[8];
    struct origin_file *f = page(path, 50000, 0);
    cr_assert_eq(get(&c, 0, path), 200);
    client_free(&c);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(warm, sizeof(warm), "/x%u", i);
        cr_assert_eq(get(&c, 5, warm), 404);
        client_free(&c);
    }
    world_run(&w, 100);
    return f;
}

/* The claim hears nobody there, and those with copies are asked by the get. */
Test(peers, a_root_that_began_anew_sends_nobody_to_the_origin)
{
    struct client c;
    char path[8];
    world_open(&w, 6, 1, SEED);
    struct node *root = &w.node[root_of(path, 0, 5)];
    struct origin_file *f = held_by_the_first(path);
    dht_store_destroy(root->store);
    root->store = dht_store_create(root->worker[0].arena, dht_config_default().store_keys);
    cr_assert_not_null(root->store);
    cr_assert_eq(get(&c, 5, path), 200);
    cr_assert(client_body_is(&c, 5, 0, 50000));
    cr_expect(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    cr_expect_eq(f->requests, 1);
    client_free(&c);
    all_settled();
    world_close(&w);
}

static unsigned liar, asked_again;

/* So that the get beside the claim is a step behind. */
static void one_lies_to_claims(struct world *world, unsigned node, struct rpc *answer)
{
    bool get = answer->type == RPC_GET;
    if (node != liar || answer->type == RPC_WALK)
        return;
    name_false_holders(answer);
    if (get && WORLD_COUNT(world, 5, proxy_index_again_total) == 0)
        answer->values = answer->held = 0;
    else
        asked_again += get;
}

Test(peers, who_lied_to_a_claim_is_not_asked_again)
{
    struct client c;
    char path[8];
    world_open(&w, 6, 1, SEED);
    liar = root_of(path, 0, 5);
    struct origin_file *f = held_by_the_first(path);
    asked_again = 0;
    w.hole = addr_v4(0x0a020002);
    w.says = one_lies_to_claims;
    cr_assert_eq(get(&c, 5, path), 200);
    cr_assert(client_body_is(&c, 5, 0, 50000));
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 5, proxy_index_again_total), 1);
    cr_expect_eq(asked_again, 0);
    cr_expect_eq(f->requests, 1);
    all_settled();
    world_close(&w);
}

/* It is waited for a second, and goes on for others' sake. */
Test(peers, who_fetches_is_found_though_the_index_was_slow)
{
    char path[8];
    world_open(&w, 2, 1, SEED);
    root_of(path, 0, 0);
    struct origin_file *f = page(path, 4 * MIB, 600);
    w.node[1].up = false;
    w.node[1].dead_us = UINT64_MAX / 2; /* and nobody knows */
    client_get(&w, &crowd[0], 0, 0, "www.site.test.coral.test", path, NULL);
    world_run(&w, 950);
    w.node[1].up = true; /* for the third question */
    world_run(&w, 1000);
    cr_assert_eq(f->requests, 1);
    client_get(&w, &crowd[1], 1, 0, "www.site.test.coral.test", path, NULL);
    world_run(&w, 8000);
    cr_expect_eq(f->requests, 1);
    cr_assert_eq(end_crowd(2, 1, -1, 4 * MIB), 2);
    all_settled();
    world_close(&w);
}

static void nothing(void *ctx, const struct dht_result *result, struct now now)
{
    (void)ctx, (void)result, (void)now;
}

/* The first that is stored counts for who was there before us. */
Test(peers, a_claim_that_was_refused_is_as_if_it_had_not_been_made)
{
    unsigned last = 0;
    world_open(&w, 6, 1, SEED);
    for (unsigned i = 1; i < 6; i++) /* whom the order by ID lets follow nobody */
        if (memcmp(w.node[i].self.id.b, w.node[last].self.id.b, DHT_ID_BYTES) < 0)
            last = i;
    struct worker *k = &w.node[last].worker[0];
    struct origin_file *f = page("/a", 50000, 100);
    client_get(&w, &crowd[0], (last + 1) % 6, 0, "www.site.test.coral.test", "/a", NULL);
    world_run(&w, 12);
    const struct dht_counters *n = dht_arena_counters(k->arena);
    unsigned lookups = dht_config_default().lookups;
    for (unsigned i = 0; counter_read(&n->dht_lookups) < lookups - 1; i++) {
        struct dht_id key = dht_key(&i, sizeof(i));
        cr_assert_lt(i, 2 * lookups);
        dht_get(k->asker, &key, DHT_ALL_LEVELS, nothing, NULL, w.now);
    }
    client_get(&w, &crowd[1], last, 0, "www.site.test.coral.test", "/a", NULL);
    world_step(&w);
    cr_assert_gt(counter_read(&n->dht_lookups_refused_total), 0);
    world_run(&w, 3000);
    cr_expect_eq(f->requests, 1);
    for (unsigned i = 0; i < 2; i++) {
        client_parse(&crowd[i]);
        cr_expect(client_body_is(&crowd[i], 5, 0, 50000));
        client_free(&crowd[i]);
    }
    all_settled();
    world_close(&w);
}

/* --- what a node answers to one that says it is a peer -------------------- */

static unsigned ask(struct client *c, unsigned node, const char *path, unsigned as, bool forged,
                    const char *range)
{
    char url[256], field[PEER_FIELD_MAX], request[2048];
    struct peer_field f = {.node = w.node[as].self.id, .nonce = 77};
    snprintf(url, sizeof(url), "http://www.site.test%s", path);
    struct peer_claim claim = {.method = "GET",
                               .url = {url, (uint32_t)strlen(url)},
                               .range = {range, (uint32_t)strlen(range)}};
    peer_sign(w.node[as].worker[0].mac, &claim, &f);
    f.mac[3] ^= forged;
    size_t n = peer_field_write(&f, field, sizeof(field));
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: www.site.test.coral.test\r\n%s%s%s%.*s\r\n", path,
             *range ? "Range: " : "", range, *range ? "\r\n" : "", (int)n, field);
    client_send(&w, c, node, 0, request);
    client_wait(c, 30000);
    return c->whole ? c->head.status : 0;
}

Test(peers, a_peers_request_never_recurses)
{
    struct client c;
    world_open(&w, 2, 1, SEED);
    page("/a", 1000, 0);
    cr_assert_eq(ask(&c, 0, "/a", 1, false, ""), 504);
    client_free(&c);
    cr_assert_eq(w.origin[0].requests, 0);
    cr_assert_eq(ask(&c, 0, "/a", 1, true, ""), 200); /* forged: an ordinary client */
    cr_assert_str_eq(client_field(&c, "Coral-Peer"), "");
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_bad_mac_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_requests_total), 1);
    cr_assert_eq(ask(&c, 0, "/a", 1, false, "bytes=400-"), 206);
    cr_assert(client_body_is(&c, 5, 400, 600));
    struct peer_field f;
    const char *line = client_field(&c, "Coral-Peer");
    cr_assert(peer_field_parse((struct http_text){line, (uint32_t)strlen(line)}, &f));
    cr_assert_eq(f.nonce, 77);
    cr_assert_eq(f.path_len, 0);
    client_free(&c);
    world_close(&w);
}

Test(peers, a_fill_tells_its_path_and_refuses_who_is_on_it)
{
    struct client c;
    struct peer_field f;
    world_open(&w, 3, 1, SEED);
    page("/a", 400000, 500);
    client_get(&w, &crowd[0], 0, 0, "www.site.test", "/a", NULL);
    world_run(&w, 100);
    client_get(&w, &crowd[1], 1, 0, "www.site.test", "/a", NULL);
    world_run(&w, 50);
    struct proxy_fill_info info;
    cr_assert_eq(proxy_fills(w.node[1].worker[0].proxy, &info, 1), 1);
    cr_assert_eq(strncmp(info.source, "peer 10.1.0.1:80", 16), 0, "%s", info.source);
    cr_assert_eq(ask(&c, 1, "/a", 0, false, ""), 508); /* node 0 must not fetch from node 1 */
    client_free(&c);
    cr_assert_eq(ask(&c, 1, "/a", 2, false, ""), 200);
    const char *line = client_field(&c, "Coral-Peer");
    cr_assert(peer_field_parse((struct http_text){line, (uint32_t)strlen(line)}, &f));
    cr_assert_eq(f.path_len, 1);
    cr_assert_eq(memcmp(f.path[0].b, w.node[0].self.id.b, DHT_ID_BYTES), 0);
    client_free(&c);
    cr_assert_eq(w.origin[0].requests, 1);
    world_run(&w, 2000);
    client_free(&crowd[0]);
    client_free(&crowd[1]);
    all_settled();
    world_close(&w);
}

/* Five nodes of which four have it; whom the last one asks, by its number. */
static int unreachable = -1; /* then, of the four */
static unsigned asked_by_the_fifth(struct client *c, uint64_t seed, const uint32_t rtt_us[4])
{
    struct proxy_fill_info info;
    unsigned who = 0;
    world_open(&w, 5, 1, seed);
    page("/a", 100000, 0);
    for (unsigned i = 0; i < 4; i++) {
        w.node[i].rtt_us = rtt_us[i];
        cr_assert_eq(get(c, i, "/a"), 200);
        client_free(c);
        world_run(&w, 100);
    }
    world_routes(&w);
    if (unreachable >= 0)
        w.hole = w.node[unreachable].self.v4;
    client_get(&w, c, 4, 0, "www.site.test.coral.test", "/a", NULL);
    for (unsigned i = 0; i < 100 && !who; i++) {
        world_step(&w);
        if (proxy_fills(w.node[4].worker[0].proxy, &info, 1) == 1)
            sscanf(info.source, "peer 10.1.0.%u:80", &who);
    }
    cr_assert(who >= 1 && who <= 4, "%s", info.source);
    return who - 1;
}

Test(peers, of_those_who_have_it_the_near_ones_are_asked)
{
    static const uint32_t rtt_us[] = {90000, 5000, 60000, 6000};
    unsigned times[4] = {0};
    struct client c;
    for (unsigned i = 0; i < 12; i++) {
        times[asked_by_the_fifth(&c, SEED + i, rtt_us)]++;
        cr_assert(client_wait(&c, 1000) && client_body_is(&c, 5, 0, 100000));
        client_free(&c);
        world_close(&w);
    }
    cr_assert_eq(times[0] + times[2], 0);
    cr_assert(times[1] > 1 && times[3] > 1, "%u and %u", times[1], times[3]);
}

/* None of them is less than half as far as the next. */
Test(peers, the_nearest_of_those_that_lie_close_together)
{
    static const uint32_t rtt_us[] = {35000, 100000, 20000, 60000};
    struct client c;
    for (unsigned i = 0; i < 12; i++) {
        unsigned who = asked_by_the_fifth(&c, SEED + i, rtt_us);
        cr_assert(who == 2, "of %u us", rtt_us[who]);
        client_free(&c);
        world_close(&w);
    }
}

Test(peers, one_that_does_not_answer_is_left_for_another)
{
    static const uint32_t rtt_us[4] = {0};
    struct client c;
    unsigned slow = asked_by_the_fifth(&c, SEED, rtt_us);
    world_kill(&w, slow);
    w.node[slow].dead_us += 60000000; /* and nobody knows */
    cr_assert(client_wait(&c, 700) && client_body_is(&c, 5, 0, 100000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
    cr_assert_eq(w.origin[0].requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 4, proxy_peer_asks_total), 2);
    all_settled();
    world_close(&w);
}

/* It may be slow and true. If the others are of no use the index is not told that all are, nor
 * asked for more. */
Test(peers, one_that_was_left_in_a_hurry_is_not_taken_for_false)
{
    static const uint32_t rtt_us[4] = {0};
    struct client c;
    unsigned slow = asked_by_the_fifth(&c, SEED, rtt_us);
    client_free(&c);
    world_close(&w);
    unreachable =
        (int)slow; /* the same once more: it is asked, and its connection does not stand */
    cr_assert_eq(asked_by_the_fifth(&c, SEED, rtt_us), slow);
    unreachable = -1;
    for (unsigned i = 0; i < 4; i++) /* the others have lost it */
        if (i != slow)
            cr_assert(
                proxy_purge(w.node[i].worker[0].proxy, "http://www.site.test/a", 22, false, w.now));
    cr_assert(client_wait(&c, 3000) && client_body_is(&c, 5, 0, 100000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=origin"));
    client_free(&c);
    cr_expect_eq(WORLD_COUNT(&w, 4, proxy_peer_asks_total), 4);
    cr_expect_eq(WORLD_COUNT(&w, 4, proxy_index_again_total), 0);
    world_close(&w);
}

/* Flips a bit of /a at node 0. */
static void damage(uint64_t at)
{
    struct cache_probe probe = {.key = "http://www.site.test/a", .key_len = 22};
    cache_prepare(w.node[0].cache, &probe, 1);
    cache_touch(w.node[0].cache, &probe, 1);
    cache_act(w.node[0].cache, &probe, 1);
    cr_assert_not_null(probe.found);
    *(uint8_t *)(uintptr_t)cache_bytes(probe.found, at).data ^= 1;
}

/* The same of a slice of it, whose key is made of what its primary says (cache/vary.h). */
static void damage_slice(unsigned number, uint64_t at)
{
    static const char url[] = "http://www.site.test/a";
    struct cache *c = w.node[0].cache;
    struct cache_probe probe = {.key = url, .key_len = 22};
    struct cache_vary v;
    char key[64];
    size_t len;
    for (unsigned i = 0; i < 2; i++) {
        cache_prepare(c, &probe, 1);
        cache_touch(c, &probe, 1);
        cache_act(c, &probe, 1);
        cr_assert_not_null(probe.found);
        if (i)
            break;
        const char *head = cache_head(probe.found, &len);
        cr_assert(cache_vary_read(&v, head, len));
        cache_variant_begin(key, 22, v.nonce);
        len = (size_t)snprintf(key + CACHE_VARIANT_PREFIX, 40, "%s\n=%u", url, number);
        probe = (struct cache_probe){.key = key, .key_len = (uint32_t)(CACHE_VARIANT_PREFIX + len)};
    }
    *(uint8_t *)(uintptr_t)cache_bytes(probe.found, at).data ^= 1;
}

Test(peers, a_damaged_chunk_is_not_served_to_a_peer_and_the_object_goes)
{
    struct client c;
    world_open(&w, 2, 1, SEED);
    struct origin_file *f = page("/a", 100000, 0);
    cr_assert_eq(get(&c, 0, "/a"), 200);
    client_free(&c);
    damage(60000);
    cr_assert_eq(get(&c, 1, "/a"), 200);
    cr_assert(client_body_is(&c, 5, 0, 100000)); /* the rest came from the origin */
    client_free(&c);
    cr_assert_eq(f->ranged, 1);
    cr_assert_eq(w.node[0].damaged, 1);
    cr_assert_eq(get(&c, 0, "/a"), 200);
    cr_assert(client_body_is(&c, 5, 0, 100000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
    all_settled();
    world_close(&w);
}

/* A node that verifies for clients: what is damaged breaks off, and is fetched anew. */
Test(peers, a_damaged_chunk_is_not_served_to_a_client_who_gets_verified_ones)
{
    struct client c;
    world_open_verifying(&w, 1, 2, SEED);
    struct origin_file *f = page("/a", 100000, 0);
    for (unsigned at = 0; at < 100000; at += 33333) {
        cr_assert_eq(get(&c, 0, "/a"), 200);
        cr_assert(client_body_is(&c, 5, 0, 100000));
        client_free(&c);
        damage(at);
        client_get(&w, &c, 0, -1, "www.site.test", "/a", NULL);
        cr_assert(!client_wait(&c, 3000));
        cr_expect_leq(c.len, at + 1000); /* and a head */
        client_free(&c);
        cr_assert_eq(w.node[0].damaged, 1 + at / 33333);
    }
    cr_assert_eq(f->requests, 4);
    all_settled();
    world_close(&w);
}

/* When half of a slice is out, the next one is looked up: it is the one that is damaged that goes.
 */
Test(peers, a_damaged_slice_goes_and_no_other)
{
    struct client c;
    world_open_verifying(&w, 1, 2, SEED);
    struct origin_file *f = page("/a", 3 * MIB, 0);
    for (unsigned i = 0; i < 3; i++) {
        client_get(&w, &c, 0, 0, "www.site.test", "/a", "Range: bytes=1048576-3145727\r\n");
        cr_assert(client_wait(&c, 3000) && c.head.status == 206);
        cr_assert(client_body_is(&c, 5, MIB, 2 * MIB));
        client_free(&c);
        world_run(&w, 100);
        cr_assert_eq(f->requests, 2 + i);
        damage_slice(1, 900000);
        client_get(&w, &c, 0, 0, "www.site.test", "/a", "Range: bytes=1048576-3145727\r\n");
        cr_assert(!client_wait(&c, 3000));
        client_free(&c);
        cr_assert_eq(w.node[0].damaged, 1 + i);
    }
    all_settled();
    world_close(&w);
}

/* It is not held up for a chunk to be full. */
Test(peers, a_client_who_gets_verified_chunks_gets_what_has_come)
{
    struct client c;
    world_open_verifying(&w, 1, 1, SEED);
    page("/a", 10000, 100);
    client_get(&w, &c, 0, 0, "www.site.test", "/a", NULL);
    world_run(&w, 60); /* a hundred bytes a ms */
    cr_expect(c.len > 1000 && c.len < 4096, "%zu", c.len);
    world_run(&w, 30);
    cr_expect(c.len > 4096 && c.len < 8192, "%zu", c.len);
    cr_assert(client_wait(&c, 1000) && client_body_is(&c, 5, 0, 10000));
    client_free(&c);
    all_settled();
    world_close(&w);
}

Test(peers, what_the_scrub_finds_damaged_is_fetched_again_and_no_longer_named)
{
    struct client c;
    world_open(&w, 2, 1, SEED);
    struct origin_file *f = page("/a", 100000, 0);
    cr_assert_eq(get(&c, 0, "/a"), 200);
    client_free(&c);
    damage(99999);
    world_scrub(&w, 0);
    cr_assert_eq(w.node[0].damaged, 1);
    world_run(&w, 100); /* withdrawn */
    cr_assert_eq(get(&c, 1, "/a"), 200);
    cr_assert(client_body_is(&c, 5, 0, 100000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=origin"));
    client_free(&c);
    cr_assert_eq(get(&c, 0, "/a"), 200);
    cr_assert(client_body_is(&c, 5, 0, 100000));
    client_free(&c);
    cr_assert_eq(f->ranged, 0);
    cr_assert_eq(w.origin[0].requests, 2);
    all_settled();
    world_close(&w);
}

Test(peers, a_transfer_stops_when_the_scrub_finds_its_object_damaged)
{
    world_open(&w, 1, 1, SEED);
    page("/a", 4 * MIB, 0);
    struct client c;
    cr_assert_eq(get(&c, 0, "/a"), 200);
    client_free(&c);
    client_get(&w, &c, 0, 0, "www.site.test.coral.test", "/a", NULL);
    for (unsigned i = 0; i < 1000 && c.len < 100000; i++)
        world_step(&w);
    cr_assert_lt(c.len, 2 * MIB);
    damage(4 * MIB - 1);
    world_scrub(&w, 0);
    cr_assert(!client_wait(&c, 3000));
    cr_assert(c.closed && !c.whole);
    cr_assert_lt(c.len, 4 * MIB);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_aborted_total), 1);
    client_free(&c);
    cr_assert_eq(get(&c, 0, "/a"), 200);
    cr_assert(client_body_is(&c, 5, 0, 4 * MIB));
    cr_assert_eq(w.origin[0].requests, 2);
    client_free(&c);
    all_settled();
    world_close(&w);
}

Test(peers, a_purge_takes_the_reference_along)
{
    struct client c;
    world_open(&w, 2, 1, SEED);
    struct origin_file *f = page("/a", 1000, 0);
    cr_assert_eq(get(&c, 0, "/a"), 200);
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 1);
    const char *url = "http://www.site.test/a";
    cr_assert(proxy_purge(w.node[0].worker[0].proxy, url, strlen(url), false, w.now));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 0);
    world_run(&w, 100);
    cr_assert_eq(get(&c, 1, "/a"), 200);
    client_free(&c);
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(WORLD_COUNT(&w, 1, proxy_peer_asks_total), 0);
    world_close(&w);
}

Test(peers, an_uncacheable_response_reaches_each_client_of_six_nodes)
{
    world_open(&w, 6, 2, SEED);
    struct origin_file *f = page("/p", 30000, 0);
    f->fields = "Cache-Control: no-store\r\n";
    start_crowd(6, 4, "/p");
    world_run(&w, 12000);
    cr_assert_eq(end_crowd(6, 4, -1, 30000), 24);
    cr_assert_geq(f->requests, 24);
    all_settled();
    world_close(&w);
}

Test(peers, a_stale_object_on_all_nodes_is_confirmed_by_few)
{
    struct client c;
    world_open(&w, 6, 1, SEED);
    struct origin_file *f = page("/a", 20000, 0);
    f->fields = "Cache-Control: max-age=5\r\n";
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(get(&c, i, "/a"), 200);
        client_free(&c);
    }
    cr_assert_eq(f->requests, 1);
    world_run(&w, 7000);
    start_crowd(6, 4, "/a");
    world_run(&w, 8000);
    cr_assert_eq(end_crowd(6, 4, -1, 20000), 24);
    cr_assert_leq(f->requests, 1 + 6);
    all_settled();
    world_close(&w);
}

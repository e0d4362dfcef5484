/* SPDX-License-Identifier: BSD-3-Clause */
/* Slices among nodes: who has one gives it, who has the whole gives parts of it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED  20261130u
#define MIB   (1u << 20)
#define LARGE (5 * MIB + 123)

static struct world w;
static struct client crowd[64];

static void open_world(void)
{
    world_open(&w, 6, 2, SEED);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(slice_peers, .init = open_world, .fini = close_world);

static struct origin_file *large(void)
{
    return origin_add(&w.origin[0],
                      (struct origin_file){.path = "/a",
                                           .length = LARGE,
                                           .salt = 9,
                                           .etag = "\"1\"",
                                           .delay_ms = 30,
                                           .fields = "Cache-Control: max-age=600\r\n"});
}

static void expect(unsigned node, uint64_t first, uint64_t last, const char *cache_status)
{
    struct client c;
    char fields[64];
    snprintf(fields, sizeof(fields), "Range: bytes=%llu-%llu\r\n", (unsigned long long)first,
             (unsigned long long)last);
    cr_assert_eq(world_get(&w, &c, node, "www.site.test", "/a", fields), 206, "node %u", node);
    cr_assert(client_body_is(&c, 9, first, last - first + 1));
    if (cache_status)
        cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "node %u: %s", node,
                  client_field(&c, "Cache-Status"));
    client_free(&c);
}

static void expect_whole(unsigned node, const char *cache_status)
{
    struct client c;
    cr_assert_eq(world_get(&w, &c, node, "www.site.test", "/a", NULL), 200);
    cr_assert(client_body_is(&c, 9, 0, LARGE));
    cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "%s",
              client_field(&c, "Cache-Status"));
    client_free(&c);
}

static void all_settled(void)
{
    world_run(&w, 500);
    for (unsigned i = 0; i < w.nodes; i++) {
        cr_expect_eq(WORLD_COUNT(&w, i, proxy_requests), 0, "node %u", i);
        cr_expect_eq(WORLD_COUNT(&w, i, proxy_fills), 0, "node %u", i);
        cr_expect_eq(WORLD_COUNT(&w, i, proxy_peer_bad_mac_total), 0, "node %u", i);
    }
}

Test(slice_peers, a_slice_comes_from_who_has_it)
{
    struct origin_file *f = large();
    expect(0, MIB + 5, MIB + 104, "detail=origin");
    world_run(&w, 1000);
    expect(1, MIB + 5, MIB + 104, "coral-peer, coral; fwd=miss; "); /* it knew nothing of the URL */
    expect(0, 2 * MIB, 2 * MIB, "fwd=partial; ttl=600; stored; detail=origin");
    world_run(&w, 1000);
    expect(1, 2 * MIB + 1, 2 * MIB + 1, "coral-peer, coral; fwd=partial; ");
    world_run(&w, 1000);
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_out_bytes_total), 2 * MIB);
    expect(1, LARGE - 1, LARGE - 1, "detail=origin"); /* the last is shorter */
    world_run(&w, 1000);
    expect(0, LARGE - 2, LARGE - 1, "detail=peer");
    expect(2, LARGE - 2, LARGE - 1, "detail=peer");
    cr_assert_eq(f->requests, 3);
    all_settled();
}

Test(slice_peers, who_has_the_whole_gives_slices_of_it)
{
    struct origin_file *f = large();
    expect_whole(0, "detail=origin");
    world_run(&w, 1000);
    expect(1, 3 * MIB, 4 * MIB - 1, "detail=peer");
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_out_bytes_total), MIB);
    expect(2, 3 * MIB + 1, 3 * MIB + 1, "detail=peer");
    cr_assert_eq(f->requests, 1);
    all_settled();
}

Test(slice_peers, who_has_slices_has_not_the_whole)
{
    struct origin_file *f = large();
    expect(0, MIB, 3 * MIB, "detail=origin");
    world_run(&w, 1000);
    unsigned before = f->requests;
    cr_assert_eq(before, 3);
    expect_whole(1, "detail=origin");
    cr_assert_eq(f->requests, before + 1);
    expect_whole(0, "fwd=partial"); /* of slices, what is missing */
    cr_assert_leq(f->requests, before + 1 + 3);
    all_settled();
}

Test(slice_peers, a_small_one_is_found_as_a_whole)
{
    struct origin_file *f = large();
    struct client c;
    f->length = 5000;
    expect(0, 0, 99, "detail=origin");
    world_run(&w, 1000);
    cr_assert_eq(world_get(&w, &c, 1, "www.site.test", "/a", NULL), 200);
    cr_assert(client_body_is(&c, 9, 0, 5000));
    client_free(&c);
    expect(2, 7, 8, "detail=peer");
    cr_assert_eq(f->requests, 1);
    all_settled();
}

/* Six cold nodes, eight clients each, all at one place of a file. */
Test(slice_peers, a_crowd_at_one_place_costs_the_origin_a_handful)
{
    struct origin_file *f = large();
    for (unsigned i = 0; i < 48; i++)
        client_get(&w, &crowd[i], i % 6, i / 6 % 2, "www.site.test", "/a",
                   i % 3 ? "Range: bytes=2097152-\r\n" : "Range: bytes=2097200-4194400\r\n");
    world_run(&w, 6000);
    for (unsigned i = 0; i < 48; i++) {
        uint64_t first = i % 3 ? 2097152 : 2097200, last = i % 3 ? LARGE - 1 : 4194400;
        cr_assert(client_parse(&crowd[i]) && client_body_is(&crowd[i], 9, first, last - first + 1),
                  "%u", i);
        client_free(&crowd[i]);
    }
    cr_assert_leq(f->requests, 2 * 4, "%u for four slices", f->requests);
    all_settled();
}

/* Its reference says that it fetches the whole; what is far from there yet comes from the origin.
 */
Test(slice_peers, who_fetches_the_whole_has_not_its_end)
{
    struct client c;
    world_close(&w);
    world_open_sized(&w, 2, 2, SEED, 64u << 20, 0, 0);
    struct origin_file *f = large();
    f->length = 14 * MIB;
    f->rate = 1000;
    client_get(&w, &c, 0, 0, "www.site.test", "/a", NULL);
    world_run(&w, 200);
    f->rate = 0;
    expect(1, 13 * MIB, 13 * MIB + 99, "detail=origin");
    cr_assert_eq(WORLD_COUNT(&w, 1, proxy_peer_asks_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_refused_total), 1);
    cr_assert_str_eq(f->last_range, "bytes=13631488-14680063");
    client_free(&c);
}

Test(slice_peers, a_purge_here_is_not_undone_by_others)
{
    static const char url[] = "http://www.site.test/a";
    struct origin_file *f = large();
    expect(0, MIB, MIB, "detail=origin");
    world_run(&w, 1000);
    expect(1, MIB, MIB, "detail=peer");
    for (unsigned i = 0; i < 2; i++)
        proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
    world_run(&w, 100);
    expect(0, MIB, MIB, "detail=origin");
    cr_assert_eq(f->requests, 2);
    all_settled();
}

Test(slice_peers, a_node_that_dies_in_a_slice_is_noticed_by_nobody)
{
    struct client c;
    struct origin_file *f = large();
    f->rate = 1000;
    client_get(&w, &crowd[0], 0, 0, "www.site.test", "/a", "Range: bytes=1048576-1048676\r\n");
    world_run(&w, 300);
    client_get(&w, &c, 1, 0, "www.site.test", "/a", "Range: bytes=1048576-2097151\r\n");
    world_run(&w, 200);
    cr_assert_eq(f->requests, 1);
    world_kill(&w, 0);
    cr_assert(client_wait(&c, 20000) && client_body_is(&c, 9, MIB, MIB));
    cr_assert(strncmp(f->last_range, "bytes=1", 7) == 0 && strstr(f->last_range, "-2097151"));
    cr_assert_str_neq(f->last_range, "bytes=1048576-2097151");
    client_free(&c);
    client_free(&crowd[0]);
}

/* A peer's slices are of the version before, and fresh by its own lifetime. */
Test(slice_peers, versions_of_peers_and_of_the_origin_do_not_take_turns)
{
    struct client c;
    struct origin_file *f = large();
    unsigned whole = 0;
    expect(0, MIB, 3 * MIB - 1, "detail=origin");
    world_run(&w, 1000);
    f->etag = "\"2\"";
    f->salt = 10;
    for (unsigned i = 0; i < 4; i++) {
        world_get(&w, &c, 1, "www.site.test", "/a", "Range: bytes=1048576-4194400\r\n");
        if (c.whole)
            cr_assert(client_body_is(&c, 10, MIB, 4194401 - MIB));
        whole += c.whole;
        client_free(&c);
        world_run(&w, 2000);
    }
    cr_assert_eq(whole, 3); /* the first met the next version on its way */
    all_settled();
}

/* They have one name in the index, and the one that was purged goes when memory is short. */
Test(slice_peers, a_purged_slice_does_not_withdraw_the_one_in_its_place)
{
    static const char url[] = "http://www.site.test/a";
    static char path[30][8];
    struct client c;
    world_close(&w);
    world_open_sized(&w, 2, 2, SEED, 12u << 20, 0, 0);
    large();
    expect(0, MIB, MIB + 1, "detail=origin");
    world_run(&w, 100);
    for (unsigned i = 0; i < 2; i++)
        proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
    expect(0, MIB, MIB + 1, "detail=origin");
    for (unsigned i = 0; i < 5; i++) /* that it stays when memory is short */
        expect(0, MIB, MIB + 1, "hit");
    for (unsigned i = 0; i < 30; i++) {
        snprintf(path[i], sizeof(path[i]), "/x%u", i);
        origin_add(&w.origin[0], (struct origin_file){.path = path[i],
                                                      .length = 700000,
                                                      .salt = i,
                                                      .fields = "Cache-Control: max-age=600\r\n"});
        world_get(&w, &c, 0, "www.site.test", path[i], NULL);
        client_free(&c);
        world_run(&w, 50);
    }
    expect(0, MIB, MIB + 1, "hit");
    world_run(&w, 1000);
    expect(1, MIB, MIB + 1, "detail=peer");
}

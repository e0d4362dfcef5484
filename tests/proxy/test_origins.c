/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of an origin's addresses a fill gets its bytes from, and what a bad one costs. */
#include <criterion/criterion.h>

#include "world.h"

static struct world w;
static struct client c;
static const struct addr v6 = {{0x2a, 0x00, 0x14, 0x50, [15] = 1}};
static const struct addr dead = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 93, 184, 216, 99}}; /* refuses */

static void open_world(void)
{
    world_open(&w, 1, 1, 4711);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const path[] = {"/a", "/b", "/c"};
        origin_add(&w.origin[1], (struct origin_file){
                                     .path = path[i],
                                     .length = 1000,
                                     .salt = 5,
                                     .fields = "Cache-Control: max-age=60\r\n",
                                 });
    }
}

static void close_world(void)
{
    client_free(&c);
    world_close(&w);
}

/* Milliseconds until the page was there; 0: it never was. */
static unsigned fetch(const char *path)
{
    uint64_t began = w.now.mono_us;
    unsigned status = world_get(&w, &c, 0, "www.example.com.coral.test", path, "");
    return status == 200 && client_body_is(&c, 5, 0, 1000)
               ? (unsigned)((w.now.mono_us - began) / 1000)
               : 0;
}

static uint64_t client_count(size_t offset)
{
    const struct http_counters *n = http_client_counters(w.node[0].worker[0].client);
    return *(const uint64_t *)(const void *)((const char *)n + offset);
}
#define CLIENT_COUNT(name) client_count(offsetof(struct http_counters, name))

TestSuite(origins, .init = open_world, .fini = close_world);

Test(origins, a_black_holed_ipv6_address_costs_a_quarter_second_once)
{
    w.hole = v6;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 2, {w.origin[1].at.ip, v6}});
    unsigned first = fetch("/a");
    cr_expect(first > 200 && first < 320, "%u ms", first);
    client_free(&c);
    unsigned second = fetch("/b");
    cr_expect(second > 0 && second < 60, "%u ms", second);
    cr_expect_eq(CLIENT_COUNT(http_client_reused_total), 1, "by keep-alive");
    world_run(&w, 12000); /* the pooled connection has gone: a new one, to the same family */
    client_free(&c);
    unsigned third = fetch("/c");
    cr_expect(third > 0 && third < 60, "%u ms", third);
    cr_expect_eq(CLIENT_COUNT(http_client_fallbacks_total), 1);
    cr_expect_eq(CLIENT_COUNT(http_client_idle_timeouts_total), 1);
}

Test(origins, addresses_that_refuse_are_passed_at_once)
{
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 3, {dead, w.origin[1].at.ip, v6}});
    unsigned ms = fetch("/a");
    cr_expect(ms > 0 && ms < 80, "%u ms", ms);
    cr_expect_eq(CLIENT_COUNT(http_client_attempts_failed_total), 2);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_failures_total), 0);
}

Test(origins, an_address_that_talks_nonsense_is_left_for_the_next)
{
    w.origin[2].at.ip = dead;
    origin_add(&w.origin[2],
               (struct origin_file){.path = "/a", .length = 10, .mode = ORIGIN_GARBAGE});
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 2, {dead, w.origin[1].at.ip}});
    cr_expect_gt(fetch("/a"), 0);
    cr_expect_eq(w.origin[2].requests, 1, "asked once");
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_failures_total), 1);
}

Test(origins, forbidden_addresses_are_not_even_raced)
{
    world_name(&w, (struct name){"www.example.com",
                                 RESOLVER_OK,
                                 2,
                                 {w.origin[2].at.ip, w.origin[1].at.ip}}); /* 127.0.0.1 */
    cr_expect_gt(fetch("/a"), 0);
    cr_expect_eq(CLIENT_COUNT(http_client_connects_total), 1);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_forbidden_total), 1);
}

/* The resolver said what it had after 50 ms: AAAA alone. By the time that this has failed, the
 * rest is known. */
Test(origins, a_late_family_is_asked_for_when_the_early_one_fails)
{
    w.hole = v6;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {v6}});
    client_get(&w, &c, 0, 0, "www.example.com.coral.test", "/a", "");
    world_run(&w, 100);
    w.name[0].n = 2;
    w.name[0].address[1] = w.origin[1].at.ip;
    cr_assert(client_wait(&c, 2000));
    cr_assert(client_parse(&c));
    cr_expect_eq(c.head.status, 200);
}

Test(origins, all_dead_is_502_and_then_left_alone)
{
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {dead}});
    cr_expect_eq(world_get(&w, &c, 0, "www.example.com.coral.test", "/a", ""), 502);
    client_free(&c);
    cr_expect_eq(world_get(&w, &c, 0, "www.example.com.coral.test", "/a", ""), 502);
    cr_expect_eq(CLIENT_COUNT(http_client_connects_total), 1);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_backoff_total), 1);
}

/* A worker that stood still for longer than the backstop: the failure to connect and the fill's own
 * alarm come in one poll. */
static void stand_still(bool names_known)
{
    w.hole = v6;
    w.names_known = names_known;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {v6}});
    world_name(&w, (struct name){"b.example.com", RESOLVER_OK, 1, {w.origin[1].at.ip}});
    client_get(&w, &c, 0, 0, "www.example.com.coral.test", "/a", "");
    world_run(&w, 100);
    w.now.mono_us += 61 * 1000000ull;
    world_run(&w, 100);
    cr_expect(client_parse(&c) && c.head.status >= 502, "%u", c.head.status);
    client_free(&c);
    cr_expect_eq(world_get(&w, &c, 0, "b.example.com.coral.test", "/b", ""), 200);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);
}

Test(origins, a_failure_and_the_backstop_at_once)
{
    stand_still(false);
}

Test(origins, a_failure_and_the_backstop_at_once_with_a_name_that_is_known)
{
    stand_still(true);
}

/* It is the node that has no room, not the origin that is down. */
Test(origins, our_own_want_of_connections_opens_no_breaker)
{
    w.hole = v6;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 2, {v6, w.origin[1].at.ip}});
    client_get(&w, &c, 0, 0, "www.example.com.coral.test", "/a", "");
    world_run(&w, 100);
    w.full = true;
    cr_assert(client_wait(&c, 2000) && client_parse(&c));
    cr_expect_eq(c.head.status, 502);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 0);
    w.full = false;
    client_free(&c);
    cr_expect_gt(fetch("/b"), 0);
}

/* What was known has failed, and the resolver has no more to say: that is known of the origin. */
Test(origins, a_family_that_fails_is_all_there_is_if_no_other_comes)
{
    w.hole = v6;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {v6}});
    client_get(&w, &c, 0, 0, "www.example.com.coral.test", "/a", "");
    world_run(&w, 100);
    w.name[0].result = RESOLVER_TIMEOUT;
    cr_assert(client_wait(&c, 2000) && client_parse(&c));
    cr_expect_eq(c.head.status, 504);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);
}

Test(origins, and_if_the_resolver_is_silent)
{
    w.hole = v6;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {v6}});
    client_get(&w, &c, 0, 0, "www.example.com.coral.test", "/a", "");
    world_run(&w, 100);
    w.names_silent = true;
    cr_assert(client_wait(&c, 18000) && client_parse(&c));
    cr_expect_eq(c.head.status, 504);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);
}

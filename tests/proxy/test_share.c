/* SPDX-License-Identifier: BSD-3-Clause */
/* Fair shares: what is counted, who is served, where the others go; and origins that send home. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "world.h"

#define SEED  20261130u
#define HOST  "www.site.test"
#define TOLD  11000 /* ms: a window is over, and told */
#define FRESH "Cache-Control: max-age=600\r\n"

static struct world w;
static struct client c;
static struct proxy_shares *shares;

static void open_world(void)
{
    world_open(&w, 2, 1, SEED);
    w.node[0].policy.metered = true;
    snprintf(w.node[0].site[0].home, sizeof(w.node[0].site[0].home), "origin.site.test:8080");
    world_name(&w, (struct name){.name = "www.public.test",
                                 .result = RESOLVER_OK,
                                 .n = 1,
                                 .address = {w.origin[1].at.ip}});
}
static void close_world(void)
{
    world_close(&w);
    free(shares);
    shares = NULL;
}
TestSuite(share, .init = open_world, .fini = close_world);

static struct origin_file *page(unsigned origin, const char *path, const char *fields)
{
    return origin_add(
        &w.origin[origin],
        (struct origin_file){.path = path, .length = 5000, .salt = 9, .fields = fields});
}

static unsigned get(const char *path)
{
    return world_get(&w, &c, 0, HOST, path, NULL);
}

static uint64_t site_of(const char *name)
{
    static const char what[] = "site-usage\n";
    uint8_t key[16];
    dht_mac_sign(w.node[0].worker[0].mac, what, sizeof(what) - 1, key);
    return siphash64(key, name, strlen(name));
}

/* From now on this part of a site's clients is served. */
static void admit(const char *name, uint32_t part)
{
    if (!shares)
        shares = malloc(sizeof(*shares) + 3 * sizeof(shares->share[0]));
    shares->n = 3;
    shares->share[0] = (struct proxy_share){0, 0};
    shares->share[1] = (struct proxy_share){site_of(name), part};
    shares->share[2] = (struct proxy_share){UINT64_MAX, 0};
    proxy_shares(w.node[0].worker[0].proxy, shares);
}

Test(share, what_a_site_is_asked_for_is_counted_and_told)
{
    page(0, "/a", FRESH);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(get("/a"), 200);
        client_free(&c);
    }
    cr_assert_eq(w.node[0].usages, 0);
    world_run(&w, TOLD);
    cr_assert_eq(w.node[0].usages, 1, "%u", w.node[0].usages);
    const struct proxy_usage *u = &w.node[0].usage;
    cr_assert(u->requests == 3 && u->refused == 0 && u->bytes == 15000, "%u %u %llu", u->requests,
              u->refused, (unsigned long long)u->bytes);
    cr_assert_str_eq(u->name, HOST);
    cr_assert_eq(u->site, site_of(HOST));
    world_run(&w, TOLD);
    cr_assert_eq(w.node[0].usages, 1, "nothing more was used");
}

Test(share, nothing_is_counted_of_peers_nor_where_nobody_has_a_share)
{
    page(0, "/a", FRESH);
    cr_assert_eq(get("/a"), 200);
    client_free(&c);
    world_run(&w, 3000);
    w.node[0].policy.metered = false;
    cr_assert_eq(get("/a"), 200);
    client_free(&c);
    w.node[0].policy.metered = true;
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/a", NULL), 200);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
    world_run(&w, TOLD);
    cr_assert_eq(w.node[0].usage.requests, 1);
}

Test(share, who_is_over_it_is_sent_home_and_counted)
{
    struct origin_file *f = page(0, "*", FRESH);
    admit(HOST, 0);
    cr_assert_eq(get("/a/b?c=d"), 302);
    cr_assert_str_eq(client_field(&c, "Location"),
                     "http://origin.site.test:8080/a/b?c=d&coral-no-serve");
    cr_assert_str_eq(client_field(&c, "Cache-Control"), "no-store");
    client_free(&c);
    cr_assert_eq(get("/a"), 302);
    cr_assert_str_eq(client_field(&c, "Location"), "http://origin.site.test:8080/a?coral-no-serve");
    client_free(&c);
    client_send(&w, &c, 0, 0, "POST /a HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 0\r\n\r\n");
    cr_assert(client_wait(&c, 1000));
    cr_assert_eq(c.head.status, 307, "with its method");
    client_free(&c);
    cr_assert_eq(f->requests, 0);
    world_run(&w, TOLD);
    cr_assert(w.node[0].usage.requests == 3 && w.node[0].usage.refused == 3 &&
              w.node[0].usage.bytes == 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_share_redirected_total), 3);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
}

Test(share, who_comes_back_from_home_or_has_none_is_refused)
{
    page(0, "*", FRESH);
    admit(HOST, 0);
    cr_assert_eq(get("/a?x&coral-no-serve"), 403);
    cr_assert_str_eq(client_field(&c, "Retry-After"), "60");
    cr_assert_str_empty(client_field(&c, "Location"));
    client_free(&c);
    cr_assert_eq(get("/a?coral-no-serve&x"), 403);
    client_free(&c);
    cr_assert_eq(get("/a?coral-no-served"), 302, "another word");
    client_free(&c);
    cr_assert_eq(get("/coral-no-serve"), 302);
    client_free(&c);
    w.node[0].site[0].home[0] = 0;
    cr_assert_eq(get("/a"), 403);
    client_free(&c);
    snprintf(w.node[0].site[0].home, sizeof(w.node[0].site[0].home), "origin.site.test");
    w.node[0].site[0].fair.over = PROXY_OVER_REFUSE;
    cr_assert_eq(get("/a"), 403);
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_share_refused_total), 4);
}

/* A part of the clients, each of them always or never for a while. */
Test(share, a_part_of_the_clients_is_served)
{
    page(0, "/a", FRESH);
    admit(HOST, PROXY_ALL / 4);
    unsigned served = 0;
    for (unsigned i = 0; i < 200; i++) {
        w.client = addr_v4(0x0a640000 + i);
        unsigned first = get("/a");
        client_free(&c);
        cr_assert(first == 200 || first == 302);
        cr_assert_eq(get("/a"), first);
        client_free(&c);
        served += first == 200;
    }
    cr_assert(served > 25 && served < 80, "%u", served);
}

Test(share, others_do_not_feel_it)
{
    page(0, "/a", FRESH);
    admit("www.other.test", 0);
    cr_assert_eq(get("/a"), 200);
    client_free(&c);
    admit(HOST, PROXY_ALL);
    cr_assert_eq(get("/a"), 200);
    client_free(&c);
    proxy_shares(w.node[0].worker[0].proxy, NULL);
    cr_assert_eq(get("/a"), 200);
    client_free(&c);
}

Test(share, in_open_mode_home_is_what_the_name_says)
{
    page(1, "*", FRESH);
    admit("www.public.test:81", 0);
    cr_assert_eq(world_get(&w, &c, 0, "www.public.test.81.coral.test", "/a", NULL), 302);
    cr_assert_str_eq(client_field(&c, "Location"), "http://www.public.test:81/a?coral-no-serve");
    client_free(&c);
    cr_assert_eq(world_get(&w, &c, 0, "www.public.test.coral.test", "/a", NULL), 200);
    client_free(&c);
    w.node[0].policy.open_fair.over = PROXY_OVER_REFUSE;
    cr_assert_eq(world_get(&w, &c, 0, "www.public.test.81.coral.test", "/a", NULL), 403);
    client_free(&c);
}

Test(share, of_the_addresses_of_a_network_none_is_served_alone)
{
    page(0, "/a", FRESH);
    admit(HOST, PROXY_ALL / 2);
    unsigned served = 0;
    for (unsigned i = 0; i < 40; i++) {
        unsigned first = 0;
        for (unsigned k = 0; k < 4; k++) {
            char text[40];
            snprintf(text, sizeof(text), "2001:db8:0:%x::%x", i, k + 1);
            cr_assert(addr_parse(text, &w.client));
            unsigned status = get("/a");
            client_free(&c);
            cr_assert(k == 0 || status == first, "%s: %u", text, status);
            first = status;
        }
        served += first == 200;
    }
    cr_assert(served > 5 && served < 35, "%u", served);
}

/* All workers tell at the same time: control hears of a few at a time, and of each. */
Test(share, what_many_sites_use_is_told_in_parts)
{
    char host[80];
    unsigned most = 0;
    admit("x", 0);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(host, sizeof(host), "h%u.nobody.test.coral.test", i);
        world_get(&w, &c, 0, host, "/a", NULL);
        client_free(&c);
    }
    cr_assert_eq(w.node[0].usages, 0);
    for (unsigned ms = 0, before = 0; ms < TOLD; ms++, before = w.node[0].usages) {
        world_run(&w, 1);
        most = w.node[0].usages - before > most ? w.node[0].usages - before : most;
    }
    cr_assert_leq(most, 32, "%u", most);
    cr_assert_geq(w.node[0].usages, 90, "%u", w.node[0].usages); /* four find a place in a set */
    unsigned all = w.node[0].usages;
    world_run(&w, TOLD);
    cr_assert_eq(w.node[0].usages, all, "once each");
}

/* The table has a few hundred places: what is used most is told, and never for more than it was. */
Test(share, of_very_many_sites_the_most_used_are_told)
{
    char host[80];
    page(1, "*", FRESH);
    admit("x", 0); /* no name resolves: each request is 502, and counted */
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(host, sizeof(host), "h%u.nobody.test.coral.test", i);
        if (i % 10 == 0)
            snprintf(host, sizeof(host), "www.public.test.coral.test");
        world_get(&w, &c, 0, host, "/a", NULL);
        client_free(&c);
        if (w.node[0].usages)
            break; /* a window ended */
    }
    world_run(&w, TOLD);
    cr_assert_leq(w.node[0].usages, 2u * 256);
    cr_assert_gt(w.node[0].usages, 10);
}

Test(share, an_origin_sends_its_visitors_home)
{
    struct origin_file *f = page(0, "/a", "X-Coral-Control: redirect-home\r\n" FRESH);
    cr_assert_eq(get("/a"), 302);
    cr_assert_str_eq(client_field(&c, "Location"), "http://origin.site.test:8080/a?coral-no-serve");
    cr_assert_str_eq(client_field(&c, "Cache-Control"), "max-age=600");
    cr_assert_eq(c.body_len, 0);
    client_free(&c);
    cr_assert_eq(get("/a"), 302);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "hit"));
    client_free(&c);
    cr_assert_eq(f->requests, 1, "for as long as it is fresh");
    world_run(&w, 3000);
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/a", NULL), 302, "a peer has it, too");
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_sent_home_total), 1);
}

/* Who wants to be spared does not send all of it for nothing. */
Test(share, a_large_body_that_nobody_wants_is_not_read)
{
    static const char *const fields[] = {
        "X-Coral-Control: redirect-home\r\n" FRESH,
        "X-Coral-Control: redirect-home\r\nCache-Control: no-store\r\n"};
    static const char *const path[] = {"/kept", "/passed"};
    for (unsigned i = 0; i < 2; i++) {
        origin_add(&w.origin[0],
                   (struct origin_file){
                       .path = path[i], .length = 1 << 30, .rate = 1000, .fields = fields[i]});
        for (unsigned k = 0; k < 3; k++) {
            cr_assert_eq(get(path[i]), 302);
            cr_assert_str_eq(client_field(&c, "Content-Length"), "0");
            client_free(&c);
            world_run(&w, 100);
            cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills), 0, "%s", path[i]);
        }
    }
    cr_assert_eq(w.origin[0].requests, 4, "%u", w.origin[0].requests);
}

Test(share, what_an_origin_sends_behind_that_is_not_waited_for)
{
    static const char *const path[] = {"/a", "/b"};
    struct origin_file *f[] = {
        page(0, path[0], "X-Coral-Control: redirect-home\r\n" FRESH),
        page(0, path[1], "X-Coral-Control: redirect-home\r\nCache-Control: private\r\n")};
    for (int i = 0; i < 2; i++) {
        f[i]->length = 1 << 20;
        f[i]->rate = 1;
        cr_assert_eq(get(path[i]), 302);
        client_free(&c);
        world_run(&w, 100);
        cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
        cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
        cr_assert_eq(get(path[i]), 302);
        cr_assert_eq(strstr(client_field(&c, "Cache-Status"), "hit") != NULL, i == 0);
        client_free(&c);
    }
}

Test(share, an_origin_sends_home_whatever_it_says_of_caching)
{
    struct origin_file *f =
        page(0, "/p", "X-Coral-Control: redirect-home\r\nCache-Control: private\r\n");
    page(0, "/n", "X-Coral-Control: Redirect-Home\r\n");
    page(0, "/g", "X-Coral-Control: redirect-home\r\nAge: 5\r\n");
    page(0, "/o", "X-Coral-Control: other\r\n" FRESH);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(get("/p"), 302);
        cr_assert_eq(c.body_len, 0);
        client_free(&c);
    }
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(get("/n"), 302);
    cr_assert_str_eq(client_field(&c, "Cache-Control"), "max-age=60");
    client_free(&c);
    cr_assert_eq(get("/g"), 302);
    cr_assert_str_eq(client_field(&c, "Cache-Control"), "max-age=60", "an age is no lifetime");
    client_free(&c);
    cr_assert_eq(get("/o"), 200);
    client_free(&c);
    cr_assert_eq(get("/n?coral-no-serve"), 404, "no other file: it is asked");
    client_free(&c);
}

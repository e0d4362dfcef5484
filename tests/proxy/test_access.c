/* SPDX-License-Identifier: BSD-3-Clause */
/* What the access log is told of exchanges: each of them, once, as it ended. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED 20261129u
#define HOST "www.site.test"

static struct world w;
static struct node *n; /* node 0 */

static void want(unsigned what)
{
    for (unsigned i = 0; i < w.nodes; i++)
        for (unsigned k = 0; k < w.node[i].workers; k++)
            proxy_access(w.node[i].worker[k].proxy, what);
}

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
    n = &w.node[0];
    origin_add(&w.origin[0], (struct origin_file){.path = "/a",
                                                  .length = 100000,
                                                  .salt = 7,
                                                  .fields = "Cache-Control: max-age=60\r\n"});
    want(ACCESS_WANTED | ACCESS_WANT_FIELDS);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(access, .init = open_world, .fini = close_world);

static const char *text(enum access_text which)
{
    static char out[ACCESS_TEXT_MAX + 1];
    const char *p = n->access.text;
    for (unsigned i = 0; i < which; i++)
        p += n->access.len[i];
    memcpy(out, p, n->access.len[which]);
    out[n->access.len[which]] = '\0';
    return out;
}

static unsigned get(const char *path, const char *fields)
{
    struct client c;
    unsigned status = world_get(&w, &c, 0, HOST, path, fields);
    client_free(&c);
    return status;
}

Test(access, says_what_was_asked_and_how_it_was_served)
{
    cr_assert_eq(get("/a?b=1", "User-Agent: me/1\r\nReferer: http://from/\r\n"), 404);
    cr_assert_eq(n->accesses, 1u);
    cr_expect_str_eq(text(ACCESS_METHOD), "GET");
    cr_expect_str_eq(text(ACCESS_HOST), HOST);
    cr_expect_str_eq(text(ACCESS_TARGET), "/a?b=1");
    cr_expect_str_eq(text(ACCESS_REFERER), "http://from/");
    cr_expect_str_eq(text(ACCESS_AGENT), "me/1");
    cr_expect(n->access.status == 404 && n->access.minor == 1 && n->access.flags == 0);

    cr_assert_eq(get("/a", NULL), 200);
    cr_expect(n->access.served == ACCESS_ORIGIN && n->access.bytes == 100000 &&
              n->access.status == 200 && n->access.duration_us > 0);
    cr_expect_str_eq(text(ACCESS_AGENT), "");
    cr_assert_eq(get("/a", NULL), 200);
    cr_expect(n->access.served == ACCESS_HIT && n->access.bytes == 100000);
    cr_assert_eq(get("/a", "Range: bytes=100-199\r\n"), 206);
    cr_expect(n->access.served == ACCESS_HIT && n->access.bytes == 100 && n->access.status == 206);
    cr_assert_eq(get("/a", "Cookie: a=b\r\nAuthorization: x\r\n"), 200);
    cr_expect(n->access.served == ACCESS_PASS && n->access.bytes == 100000);
    cr_expect_eq(n->accesses, 5u);
}

Test(access, only_what_is_wanted)
{
    want(ACCESS_WANTED);
    cr_assert_eq(get("/a", "User-Agent: me/1\r\nReferer: http://from/\r\n"), 200);
    cr_expect(n->accesses == 1 && n->access.len[ACCESS_AGENT] == 0 &&
              n->access.len[ACCESS_REFERER] == 0);
    want(0);
    cr_assert_eq(get("/a", NULL), 200);
    cr_expect_eq(n->accesses, 1u);
}

Test(access, peers_are_noted_where_they_are_wanted)
{
    struct client c;
    cr_assert_eq(get("/a", NULL), 200);
    world_run(&w, 1000);
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/a", NULL), 200); /* from node 0 */
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_requests_total), 1);
    cr_expect_eq(n->accesses, 1u);
    cr_expect(w.node[1].accesses == 1 && w.node[1].access.served == ACCESS_PEER);
    want(ACCESS_WANTED | ACCESS_WANT_PEERS);
    cr_assert_eq(get("/peer", NULL), 404);
    world_run(&w, 1000);
    unsigned before = n->accesses;
    origin_add(&w.origin[0], (struct origin_file){.path = "/b",
                                                  .length = 10,
                                                  .fields = "Cache-Control: max-age=60\r\n"});
    cr_assert_eq(get("/b", NULL), 200);
    world_run(&w, 1000);
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/b", NULL), 200);
    client_free(&c);
    cr_expect(n->accesses == before + 2 && n->access.flags == ACCESS_OF_PEER);
}

Test(access, what_is_refused_is_noted_too)
{
    struct client c;
    cr_assert_eq(get("/a", "Via: 1.1 x (Coral)\r\n"), 508);
    cr_expect(n->accesses == 1 && n->access.served == ACCESS_ERROR && n->access.status == 508);
    cr_expect_str_eq(text(ACCESS_TARGET), "/a");
    client_send(&w, &c, 0, 0, "GET nonsense\r\n\r\n");
    client_wait(&c, 5000);
    cr_expect(n->accesses == 2 && n->access.minor == ACCESS_NO_VERSION && n->access.status == 400 &&
              n->access.bytes == 31 && n->access.reason == ACCESS_BAD_LINE);
    cr_expect_str_eq(text(ACCESS_METHOD), "");
    client_free(&c);
    client_send(&w, &c, 0, 0, "GET / HTTP/1.1\r\nHost: " HOST "\r\nExpect: wonders\r\n\r\n");
    client_wait(&c, 5000);
    cr_expect(n->accesses == 3 && n->access.status == 417);
    cr_expect_str_eq(text(ACCESS_HOST), HOST);
    client_free(&c);
    client_send(&w, &c, 0, 0, "GET / HT");
    client_wait(&c, 15000);
    cr_expect(n->accesses == 4 && n->access.status == 408 && n->access.duration_us >= 9000000);
    client_free(&c);
    client_send(&w, &c, 0, 0,
                "POST /a HTTP/1.1\r\nHost: " HOST "\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    client_wait(&c, 5000);
    cr_expect(n->accesses == 5 && n->access.status == 400 && n->access.flags == 0 &&
                  n->access.served == ACCESS_ERROR && n->access.reason == ACCESS_BAD_BODY &&
                  n->access.bytes == c.body_len && c.body_len > 0,
              "%u %u", n->accesses, n->access.status);
    cr_expect_str_eq(text(ACCESS_METHOD), "POST");
    client_free(&c);
}

/* Why a request was refused; the connection ends with the answer. */
Test(access, what_is_malformed_is_noted_with_its_reason)
{
#define GET "GET / HTTP/1.1\r\nHost: " HOST "\r\n"
#define PUT "PUT /a HTTP/1.1\r\nHost: " HOST "\r\n"
    static char target[HTTP_URL_MAX + 64], large[HTTP_HEAD_MAX + 64];
    static const struct {
        const char *text;
        unsigned status, reason;
    } is[] = {
        {"GET  / HTTP/1.1\r\n\r\n", 400, ACCESS_BAD_LINE},
        {"GET x HTTP/1.1\r\n\r\n", 400, ACCESS_BAD_TARGET},
        {"GET /%zz HTTP/1.1\r\nHost: " HOST "\r\n\r\n", 400, ACCESS_BAD_TARGET},
        {GET "a : b\r\n\r\n", 400, ACCESS_BAD_FIELD},
        {"GET / HTTP/1.1\r\n\r\n", 400, ACCESS_BAD_HOST},
        {"GET / HTTP/1.0\r\n\r\n", 400, ACCESS_BAD_HOST},
        {PUT "Content-Length: 1a\r\n\r\n", 400, ACCESS_BAD_LENGTH},
        {PUT "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400, ACCESS_BAD_FRAMING},
        {PUT "Transfer-Encoding: chunked\r\n\r\nx", 400, ACCESS_BAD_BODY},
        {GET "Expect: wonders\r\n\r\n", 417, ACCESS_BAD_EXPECT},
        {PUT "Transfer-Encoding: gzip\r\n\r\n", 501, ACCESS_BAD_CODING},
        {"GET / HTTP/3.0\r\n\r\n", 505, ACCESS_BAD_VERSION},
        {target, 414, ACCESS_LONG_TARGET},
        {large, 431, ACCESS_LARGE_HEAD},
        {"GET / HT", 408, ACCESS_SLOW_HEAD},
        {PUT "Content-Length: 2\r\n\r\nx", 408, ACCESS_SLOW_BODY},
    };
    memset(target, 'a', HTTP_URL_MAX + 8);
    memcpy(target, "GET /", 5);
    memset(large, 'a', HTTP_HEAD_MAX + 8);
    memcpy(large, "GET / HTTP/1.1\r\nA: ", 19);
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        struct client c;
        client_send(&w, &c, 0, 0, is[i].text);
        client_wait(&c, 40000);
        world_run(&w, 50);
        cr_expect(c.head.status == is[i].status && c.eof, "%u: %u", i, c.head.status);
        cr_expect(n->accesses == i + 1 && n->access.status == is[i].status &&
                      n->access.reason == is[i].reason && n->access.bytes == c.body_len &&
                      n->access.served == ACCESS_ERROR,
                  "%u: %u accesses, %u for reason %u, %lu bytes", i, n->accesses, n->access.status,
                  n->access.reason, n->access.bytes);
        client_free(&c);
    }
    const struct http_counters *counters = http_server_counters(n->worker[0].server);
    cr_expect(counters->http_bad_target_total == 2 && counters->http_bad_host_total == 2 &&
              counters->http_bad_request_total == 8 && counters->http_bad_version_total == 1 &&
              counters->http_uri_too_long_total == 1 && counters->http_bad_body_total == 1 &&
              counters->http_body_broken_total == 2 && counters->http_body_timeouts_total == 1);
    struct client c;
    client_send(&w, &c, 0, 0, PUT "Content-Length: 2\r\n\r\nx");
    world_run(&w, 50);
    stream_shut(&c.pipe->a.s);
    client_wait(&c, 1000);
    cr_expect(c.head.status == 400 && n->access.reason == ACCESS_SHORT_BODY);
    client_free(&c);
}

Test(access, a_client_that_leaves_is_said_to_have_left)
{
    struct client c;
    origin_add(&w.origin[0], (struct origin_file){.path = "/big",
                                                  .length = 5000000,
                                                  .fields = "Cache-Control: max-age=60\r\n"});
    client_get(&w, &c, 0, 0, HOST, "/big", NULL);
    c.paused = true;
    world_run(&w, 200);
    client_leave(&c);
    world_run(&w, 200);
    cr_expect(n->accesses == 1 && n->access.flags == ACCESS_LEFT && n->access.status == 200 &&
                  n->access.bytes < 5000000,
              "%u %u", n->accesses, n->access.flags);
    client_free(&c);
}

Test(access, a_client_that_leaves_before_there_is_an_answer)
{
    struct client c;
    w.hole = w.origin[0].at.ip;
    client_get(&w, &c, 0, 0, HOST, "/never", NULL);
    world_run(&w, 100);
    client_leave(&c);
    world_run(&w, 200);
    cr_expect(n->accesses == 1 && n->access.flags == ACCESS_LEFT &&
              n->access.status == ACCESS_STATUS_LEFT && n->access.served == ACCESS_NOT);
    client_free(&c);
}

Test(access, a_long_text_is_cut_and_marked)
{
    static char path[4000], fields[4000];
    memset(path, 'p', 2100);
    path[0] = '/';
    snprintf(fields, sizeof(fields), "User-Agent: %0600d\r\nReferer: %01100d\r\n", 0, 0);
    get(path, fields);
    cr_expect(n->accesses == 1 &&
              n->access.cut == (1u << ACCESS_TARGET | 1u << ACCESS_AGENT | 1u << ACCESS_REFERER));
    cr_expect_eq(n->access.len[ACCESS_TARGET], ACCESS_TARGET_MAX);
    cr_expect_eq(n->access.len[ACCESS_AGENT], ACCESS_AGENT_MAX);
    cr_expect_eq(n->access.len[ACCESS_REFERER], ACCESS_REFERER_MAX);
    cr_expect(strspn(text(ACCESS_AGENT), "0") == ACCESS_AGENT_MAX);
}

/* The status alone tells an operator nothing of the reason; he hears of each once a minute. */
Test(access, an_origin_that_fails_is_said_to_fail_and_why)
{
    static const struct addr dead = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 93, 184, 216, 99}}; /* refuses */
    static const struct {
        const char *name;
        unsigned status, reason;
    } is[] = {{"nosuch.test", 502, ACCESS_NO_NAME},    {"broken.test", 502, ACCESS_DNS},
              {"private.test", 403, ACCESS_FORBIDDEN}, {"dead.test", 502, ACCESS_REFUSED},
              {"dead.test", 502, ACCESS_BACKOFF},      {"odd.test", 502, ACCESS_NONSENSE},
              {"hole.test", 502, ACCESS_CONNECT}};
    const struct addr hole = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 93, 184, 216, 98}};
    char trouble[600];
    unsigned told = 0;

    w.hole = hole;
    origin_add(&w.origin[1], (struct origin_file){.path = "/x", .mode = ORIGIN_GARBAGE});
    world_name(&w, (struct name){"broken.test", RESOLVER_FAILED, 0, {dead}});
    world_name(&w, (struct name){"private.test", RESOLVER_OK, 1, {addr_v4(0xc0a80001)}});
    world_name(&w, (struct name){"dead.test", RESOLVER_OK, 1, {dead}});
    world_name(&w, (struct name){"odd.test", RESOLVER_OK, 1, {w.origin[1].at.ip}});
    world_name(&w, (struct name){"hole.test", RESOLVER_OK, 1, {hole}});
    struct proxy_origin *o = &n->site[0].origin[0];
    o->is_address = n->site[0].allow_special = false;
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        snprintf(o->host, sizeof(o->host), "%s", is[i].name);
        cr_expect_eq(get("/x", NULL), is[i].status, "%s", is[i].name);
        cr_expect(n->access.reason == is[i].reason && n->access.served == ACCESS_ERROR, "%s: %u",
                  is[i].name, n->access.reason);
        told += is[i].reason != ACCESS_BACKOFF;
        snprintf(trouble, sizeof(trouble), HOST " %s:80 %u", is[i].name, is[i].reason);
        cr_expect(n->troubles == told &&
                      (is[i].reason == ACCESS_BACKOFF || strcmp(n->trouble, trouble) == 0),
                  "%s: %u told, \"%s\"", is[i].name, n->troubles, n->trouble);
    }
    snprintf(o->host, sizeof(o->host), "nosuch.test");
    cr_expect_eq(get("/x", NULL), 502);
    cr_expect_eq(n->troubles, told, "told a moment ago");
    world_run(&w, 61000);
    cr_expect_eq(get("/x", NULL), 502);
    cr_expect_eq(n->troubles, told + 1);
    struct client c; /* anybody may name origins here, and would fill the operator's log */
    cr_expect_eq(world_get(&w, &c, 0, "nosuch.example.coral.test", "/x", NULL), 502);
    client_free(&c);
    cr_expect(n->access.reason == ACCESS_NO_NAME && n->troubles == told + 1);
}

/* --- what it waited for --- */

static void page(struct origin_file f)
{
    f.length = 1000;
    f.fields = f.fields ? f.fields : "Cache-Control: max-age=60\r\n";
    origin_add(&w.origin[0], f);
}

static bool waited_not(const struct access_record *a)
{
    return a->index_us == 0 && a->peer_us == 0 && a->origin_us == 0;
}

Test(access, says_what_was_waited_for_and_when_the_head_went)
{
    page((struct origin_file){.path = "/w", .delay_ms = 70});
    const struct access_record *a = &n->access;
    cr_assert_eq(get("/w", NULL), 200);
    cr_expect(a->why == ACCESS_WHY_MISS && a->origin_us >= 70000 && a->origin_us < 90000 &&
                  a->index_us > 0 && a->peer_us == 0,
              "why %u, %u %u %u us", a->why, a->index_us, a->peer_us, a->origin_us);
    cr_expect(a->head_us >= a->index_us + a->origin_us &&
                  a->head_us < a->index_us + a->origin_us + 5000 && a->head_us <= a->duration_us,
              "%u us", a->head_us);
    cr_assert_eq(get("/w", NULL), 200);
    cr_expect(a->served == ACCESS_HIT && a->why == ACCESS_NO_WHY && waited_not(a) &&
              a->head_us == 0);
    cr_assert_eq(get("/w", "Authorization: x\r\n"), 200);
    cr_expect(a->served == ACCESS_PASS && a->why == ACCESS_WHY_BYPASS && a->origin_us >= 70000 &&
              a->head_us >= a->origin_us && a->index_us == 0);
    world_run(&w, 1000);
    struct client c;
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/w", NULL), 200);
    client_free(&c);
    a = &w.node[1].access;
    cr_expect(a->served == ACCESS_PEER && a->why == ACCESS_WHY_MISS && a->peer_us > 0 &&
              a->index_us > 0 && a->origin_us == 0 && a->head_us >= a->peer_us + a->index_us);
}

/* Of each that has the same answer, from the third on in one piece. */
Test(access, hits_that_share_an_answer_have_a_record_each)
{
    const struct access_record *a = &n->access;
    page((struct origin_file){.path = "/w"});
    cr_assert_eq(get("/w", NULL), 200);
    for (unsigned i = 0; i < 8; i++) {
        unsigned before = n->accesses;
        cr_assert_eq(get("/w", NULL), 200);
        cr_expect_eq(n->accesses, before + 1);
        cr_expect(a->served == ACCESS_HIT && a->status == 200 && a->bytes == 1000 &&
                      a->why == ACCESS_NO_WHY && a->reason == ACCESS_NO_REASON && a->flags == 0,
                  "hit %u: served %u, status %u, %lu bytes, flags %u", i, a->served, a->status,
                  (unsigned long)a->bytes, a->flags);
    }
}

Test(access, a_slow_body_is_not_in_the_time_of_the_head)
{
    page((struct origin_file){.path = "/w", .rate = 10});
    cr_assert_eq(get("/w", NULL), 200);
    cr_expect(n->access.duration_us >= n->access.head_us + 50000, "%u of %lu us", n->access.head_us,
              n->access.duration_us);
}

Test(access, what_was_stale_and_what_became_of_it)
{
    const struct access_record *a = &n->access;
    page((struct origin_file){
        .path = "/s", .etag = "\"1\"", .fields = "Cache-Control: max-age=1\r\n"});
    page((struct origin_file){.path = "/b",
                              .fields = "Cache-Control: max-age=1, stale-while-revalidate=60\r\n"});
    cr_assert_eq(get("/s", NULL), 200);
    cr_expect_eq(a->flags, 0);
    cr_assert_eq(get("/b", NULL), 200);
    world_run(&w, 3000);
    cr_assert_eq(get("/s", NULL), 200);
    cr_expect(a->served == ACCESS_ORIGIN && a->why == ACCESS_WHY_STALE &&
                  a->flags == ACCESS_REVALIDATED && a->origin_us > 0,
              "served %u, why %u, flags %u", a->served, a->why, a->flags);
    cr_assert_eq(get("/b", NULL), 200);
    cr_expect(a->served == ACCESS_STALE && a->why == ACCESS_WHY_REVALIDATE && waited_not(a) &&
                  a->flags == 0,
              "served %u, why %u", a->served, a->why);
    world_run(&w, 3000);
    cr_assert_eq(get("/s", "Cache-Control: max-stale=600\r\n"), 200);
    cr_expect(a->served == ACCESS_STALE && a->why == ACCESS_WHY_MAX_STALE, "served %u, why %u",
              a->served, a->why);
    w.hole = w.origin[0].at.ip;
    world_run(&w, 61000); /* no connection is open any more */
    cr_assert_eq(get("/s", NULL), 200);
    cr_expect(a->served == ACCESS_STALE && a->why == ACCESS_WHY_IF_ERROR && a->origin_us > 0 &&
                  a->head_us >= a->origin_us,
              "served %u, why %u, %u us", a->served, a->why, a->origin_us);
}

Test(access, who_joins_a_fill_waited_for_none_of_his_own)
{
    struct client one, two;
    page((struct origin_file){.path = "/w", .delay_ms = 100});
    client_get(&w, &one, 0, 0, HOST, "/w", NULL);
    world_run(&w, 60);
    client_get(&w, &two, 0, 1, HOST, "/w", NULL);
    client_wait(&one, 5000);
    if (!two.whole)
        client_wait(&two, 5000);
    const struct access_record *a = &n->access; /* the later one's */
    cr_expect(n->accesses == 2 && two.head.status == 200);
    cr_expect(a->served == ACCESS_COLLAPSED ? waited_not(a) && a->head_us > 30000
                                            : a->origin_us >= 100000);
    client_free(&one);
    client_free(&two);
}

Test(access, what_failed_was_waited_for_too)
{
    const struct access_record *a = &n->access;
    w.hole = w.origin[0].at.ip;
    cr_assert_eq(get("/never", NULL), 502);
    cr_expect(a->reason == ACCESS_CONNECT && a->why == ACCESS_WHY_MISS && a->origin_us >= 500000 &&
                  a->head_us >= a->origin_us && a->head_us == a->duration_us,
              "reason %u, why %u, %u of %u us", a->reason, a->why, a->origin_us, a->head_us);
    cr_assert_eq(get("/a", "Via: 1.1 x (Coral)\r\n"), 508);
    cr_expect(a->why == ACCESS_NO_WHY && waited_not(a));
}

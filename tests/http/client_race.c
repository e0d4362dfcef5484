/* SPDX-License-Identifier: BSD-3-Clause */
/* Which address of an upstream an exchange gets (RFC 8305), on virtual time. */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "tests/http/fake_stream.h"

#define MS      1000u
#define STREAMS 32
#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK_X    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"

static struct http_client *client;
static struct fake_stream f[STREAMS];
static unsigned opened, done, failed, tried;
static bool no_v6; /* there is no way to any IPv6 address */
static enum http_failure why;
static struct now now;
static struct endpoint won;

static bool on_head(void *user, struct http_exchange *x, const struct http_head *h, struct now at)
{
    (void)user, (void)h, (void)at;
    won = *http_exchange_remote(x);
    return true;
}

static size_t on_body(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                      struct now at)
{
    (void)user, (void)x, (void)data, (void)at;
    return len;
}

static void on_done(void *user, struct http_exchange *x, struct now at)
{
    (void)user, (void)at;
    tried = http_exchange_tried(x);
    done++;
}

static void on_failed(void *user, struct http_exchange *x, enum http_failure reason, struct now at)
{
    (void)user, (void)at;
    tried = http_exchange_tried(x);
    why = reason;
    failed++;
}

static struct stream *do_connect(void *ctx, const struct endpoint *to,
                                 const struct stream_events *events, void *user, struct now at)
{
    (void)ctx;
    if (opened == STREAMS || (no_v6 && !addr_is_v4(&to->ip)))
        return NULL;
    struct fake_stream *s = &f[opened++];
    fake_stream_init(s, at);
    s->s.events = events;
    s->s.user = user;
    s->s.remote = *to;
    return &s->s;
}

/* Addresses as "4" and "6": the last byte is the place in the list. */
static struct http_exchange *ask(const char *families)
{
    static const struct http_exchange_events events = {
        .head = on_head, .body = on_body, .done = on_done, .failed = on_failed};
    struct http_upstream to = {.tag = 77, .n = (unsigned)strlen(families)};
    for (unsigned i = 0; i < to.n; i++) {
        to.at[i].port = 80;
        if (families[i] == '4')
            to.at[i].ip = addr_v4(0xc0000200 + i);
        else
            to.at[i].ip = (struct addr){{0x20, 1, 0xd, 0xb8, [15] = (uint8_t)i}};
    }
    return http_client_send(client, &to, REQUEST, strlen(REQUEST), false, &events, NULL, now);
}

/* Place in the list of the address that stream i went to. */
static unsigned place(unsigned i)
{
    return f[i].s.remote.ip.b[15];
}

static void pass(unsigned ms)
{
    while (ms--) {
        now.mono_us += MS;
        http_client_poll(client, now);
        for (unsigned i = 0; i < opened; i++) {
            f[i].now = now;
            fake_stream_poll(&f[i]);
        }
    }
}

static void start_sized(uint32_t exchanges)
{
    static const struct http_client_host host = {NULL, do_connect};
    struct http_client_config config = {exchanges, 16, 1500, 10000, 5000, 60000};
    now = (struct now){1000000, 784111777};
    opened = done = failed = tried = 0;
    no_v6 = false;
    client = http_client_create(&config, &host, now);
}

static void start(void)
{
    start_sized(8);
}

static void stop(void)
{
    for (unsigned i = 0; i < STREAMS; i++)
        if (i < opened) {
            fake_stream_poll(&f[i]);
            fake_stream_close(&f[i], STREAM_RESET);
        }
    cr_expect_eq(http_client_counters(client)->http_client_exchanges, 0, "all exchanges ended");
    for (unsigned i = 0; i < opened; i++)
        fake_stream_free(&f[i]);
    http_client_destroy(client);
}

TestSuite(race, .init = start, .fini = stop);

Test(race, families_take_turns_ipv6_first_every_250_ms)
{
    ask("4446");
    pass(5);
    static const unsigned order[] = {3, 0, 1, 2};
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(opened, i + 1);
        cr_expect_eq(place(i), order[i]);
        pass(240);
        cr_assert_eq(opened, i + 1, "no sooner than 250 ms");
        pass(10);
    }
    cr_expect_eq(opened, 4, "each address once");
    cr_expect_eq(http_client_counters(client)->http_client_raced_total, 3);
}

Test(race, a_working_first_address_is_the_only_one_asked)
{
    ask("46");
    pass(100);
    fake_stream_open(&f[0]);
    pass(1000);
    cr_assert_eq(opened, 1);
    fake_stream_feed_text(&f[0], OK_X);
    cr_expect(done == 1 && place(0) == 1 && tried == 2);
    cr_expect_eq(http_client_counters(client)->http_client_fallbacks_total, 0);
}

Test(race, a_broken_ipv6_path_costs_250_ms_once_in_ten_minutes)
{
    uint64_t began = now.mono_us;
    ask("46");
    pass(251);
    cr_assert_eq(opened, 2);
    fake_stream_open(&f[1]);
    cr_expect_leq(now.mono_us - began, 252 * MS);
    cr_expect_str_eq(fake_stream_text(&f[1]), REQUEST);
    cr_expect(f[0].aborted, "the other one is given up");
    cr_expect_str_eq(fake_stream_text(&f[0]), "");
    fake_stream_feed_text(&f[1],
                          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
    cr_expect(done == 1 && addr_is_v4(&won.ip) && tried == 1);
    cr_expect_eq(http_client_counters(client)->http_client_fallbacks_total, 1);

    ask("46"); /* at once now */
    cr_assert_eq(opened, 3);
    cr_expect_eq(place(2), 0);
    fake_stream_open(&f[2]);
    fake_stream_feed_text(&f[2],
                          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
    cr_expect_eq(done, 2);

    now.mono_us += 11 * 60 * 1000 * MS; /* perhaps it has been repaired */
    pass(1);
    ask("46");
    cr_assert_eq(opened, 4);
    cr_expect_eq(place(3), 1);
}

Test(race, a_refused_address_is_followed_by_the_next_at_once)
{
    ask("4466");
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(opened, i + 1);
        cr_expect_eq(failed, 0);
        fake_stream_close(&f[i], STREAM_REFUSED);
    }
    cr_expect(failed == 1 && why == HTTP_FAIL_CONNECT && tried == 15);
    cr_expect_eq(http_client_counters(client)->http_client_attempts_failed_total, 4);
}

Test(race, each_attempt_has_its_own_time_out)
{
    ask("46");
    pass(1400);
    cr_assert(opened == 2 && !f[0].aborted);
    pass(150);
    cr_expect(f[0].aborted && !f[1].aborted && failed == 0);
    pass(250);
    cr_expect(f[1].aborted && failed == 1 && why == HTTP_FAIL_CONNECT);
    cr_expect_eq(http_client_counters(client)->http_client_connect_timeouts_total, 2);
}

Test(race, an_older_attempt_may_still_win)
{
    ask("46");
    pass(300);
    cr_assert_eq(opened, 2);
    fake_stream_open(&f[0]);
    cr_expect(f[1].aborted);
    fake_stream_feed_text(&f[0], OK_X);
    cr_expect(done == 1 && !addr_is_v4(&won.ip));
    pass(5000);
    cr_expect_eq(opened, 2);
}

Test(race, a_family_without_a_route_costs_nothing)
{
    no_v6 = true;
    ask("64");
    cr_assert_eq(opened, 1);
    cr_expect_eq(place(0), 1);
    cr_expect_null(ask("66"), "no way to any");
}

Test(race, a_pooled_connection_to_any_address_is_taken)
{
    ask("46");
    fake_stream_close(&f[0], STREAM_REFUSED);
    fake_stream_open(&f[1]);
    fake_stream_feed_text(&f[1], OK_X);
    cr_assert_eq(done, 1);
    ask("46");
    cr_expect_eq(opened, 2);
    fake_stream_feed_text(&f[1], OK_X);
    cr_expect_eq(done, 2);
    ask("46"); /* it dies just as it is taken: all addresses again, the one that won first */
    fake_stream_close(&f[1], STREAM_RESET);
    cr_assert_eq(opened, 3);
    cr_expect(place(2) == 0 && failed == 0);
    fake_stream_open(&f[2]);
    cr_expect_str_eq(fake_stream_text(&f[2]), REQUEST);
}

Test(race, an_abort_ends_all_attempts)
{
    struct http_exchange *x = ask("4466");
    pass(600);
    cr_assert_eq(opened, 3);
    http_exchange_abort(x);
    cr_expect(f[0].aborted && f[1].aborted && f[2].aborted);
    pass(2000);
    cr_expect(opened == 3 && failed == 0);
}

Test(race, connections_of_many_races_are_bounded)
{
    http_client_destroy(client);
    start_sized(2); /* 2 exchanges, 16 idle: 20 connections */
    for (unsigned i = 0; i < 2; i++)
        cr_assert_not_null(ask("44446666"));
    cr_expect_null(ask("44446666"));
    pass(5000);
    cr_expect(failed == 2 && opened <= 20);
    cr_expect_eq(http_client_deadline_us(client), UINT64_MAX);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>

#include "tests/dns/world.h"

static struct world w;
static struct answer_seen seen, other;
static struct answer_bytes bytes;

static void setup(void)
{
    w.odd_ports_only = 0;
    world_init_sized(&w, 2, 16, 64);
}

static void teardown(void)
{
    world_done(&w);
}

TestSuite(resolver, .init = setup, .fini = teardown);

static bool seen_is(unsigned i, const char *address)
{
    struct addr a = ip(address);
    return i < seen.n && addr_eq(&seen.address[i], &a);
}

Test(resolver, a_and_aaaa_are_asked_side_by_side_and_ipv4_comes_first)
{
    cr_assert(world_ask(&w, "Www.Example.com", &seen) != 0);
    cr_assert_eq(w.n, 2);
    cr_assert(sent_type(&w.sent[0]) == 1 && sent_type(&w.sent[1]) == 28);
    answer_with(&w, 28, "2001:db9::1", 60);
    cr_assert_eq(seen.calls, 0);
    answer_with(&w, 1, "198.51.100.1", 60);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_OK && seen.n == 2);
    cr_assert(seen_is(0, "198.51.100.1") && seen_is(1, "2001:db9::1"));
    cr_assert_eq(resolver_counters(w.r)->resolver_in_flight, 0);
    cr_assert_eq(resolver_deadline_us(w.r), UINT64_MAX);
}

Test(resolver, the_query_byte_for_byte_but_for_id_and_case)
{
    world_ask(&w, "example.com", &seen);
    struct sent *s = &w.sent[0];
    uint8_t lower[64];
    static const uint8_t want[] = {1,   0,   0,   1,   0,    0,    0,   0,   0,   1, 7, 'e', 'x',
                                   'a', 'm', 'p', 'l', 'e',  3,    'c', 'o', 'm', 0, 0, 1,   0,
                                   1,   0,   0,   41,  0x04, 0xd0, 0,   0,   0,   0, 0, 0};
    cr_assert_eq(s->len, sizeof(want) + 2);
    for (size_t i = 0; i < s->len; i++)
        lower[i] = (uint8_t)tolower(s->data[i]);
    cr_assert(memcmp(lower + 2, want, sizeof(want)) == 0);
    cr_assert_eq(s->to.port, 53);
}

Test(resolver, ports_ids_and_case_are_random)
{
    unsigned upper = 0, letters = 0, ports = 0, same_ids = 0;
    uint16_t port_seen[SENT_MAX];
    char name[32];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "name%u.example", i);
        world_ask(&w, name, &seen);
        answer_with(&w, 1, "198.51.100.1", 1);
        answer_with(&w, 28, NULL, 1);
        cr_assert_eq(seen.calls, 1);
    }
    cr_assert_eq(w.n, 2000);
    for (unsigned i = 0; i < w.n; i++) {
        struct sent *s = &w.sent[i];
        cr_assert(s->from_port >= 32768 && s->from_port <= 60999);
        for (size_t at = 12; at + 15 < s->len; at++) {
            letters += isalpha(s->data[at]) != 0;
            upper += isupper(s->data[at]) != 0;
        }
        unsigned j = 0;
        while (j < ports && port_seen[j] != s->from_port)
            j++;
        if (j == ports)
            port_seen[ports++] = s->from_port;
        same_ids += i > 0 && memcmp(s->data, w.sent[i - 1].data, 2) == 0;
    }
    cr_assert(upper > letters * 4 / 10 && upper < letters * 6 / 10, "%u of %u", upper, letters);
    cr_assert(ports > 40, "they are drawn anew over time: %u", ports);
    cr_assert(same_ids < 4);
}

Test(resolver, ports_are_those_that_come_back_here)
{
    world_done(&w);
    w.odd_ports_only = 1;
    world_init_sized(&w, 1, 16, 64);
    unsigned owned = 0;
    for (unsigned p = 0; p < 65536; p++)
        if (resolver_owns_port(w.r, (uint16_t)p)) {
            owned++;
            cr_assert(p % 2 == 1 && p >= 32768 && p <= 60999);
        }
    cr_assert_eq(owned, 32);
    world_ask(&w, "example.com", &seen);
    cr_assert(resolver_owns_port(w.r, w.sent[0].from_port));
}

Test(resolver, a_reply_must_match_in_everything)
{
    world_ask(&w, "example.com", &seen);
    struct sent s = *last_sent(&w, 1);
    answer_with(&w, 28, NULL, 60);
    struct answer_bytes good;
    reply_start(&good, &s, 0);
    reply_ip(&good, NULL, 60, "198.51.100.1");

    struct endpoint wrong = s.to;
    wrong.port = 54;
    reply_from(&w, &s, wrong, s.from_port, &good);
    wrong = (struct endpoint){ip("10.9.9.9"), 53};
    reply_from(&w, &s, wrong, s.from_port, &good);
    wrong = (struct endpoint){ip("10.0.0.2"), 53}; /* the other server, not asked */
    reply_from(&w, &s, wrong, s.from_port, &good);
    reply_from(&w, &s, s.to, (uint16_t)(s.from_port ^ 1), &good);
    unsigned ignored = 4;
    for (size_t i = 0; i < question_end(&s); i++) {
        if (i > 2 && i < 12 && i != 4 && i != 5)
            continue; /* flags and counts: not what binds it to the query */
        for (unsigned bit = 0; bit < 8; bit++) {
            if (i == 2 && bit < 3)
                continue; /* AA, TC, RD */
            bytes = good;
            bytes.b[i] ^= (uint8_t)(1u << bit); /* bit 5 of a letter: its case */
            reply_send(&w, &s, &bytes);
            ignored++;
        }
    }
    for (size_t n = 0; n < question_end(&s); n++) {
        bytes = good;
        bytes.n = n;
        reply_send(&w, &s, &bytes);
        ignored++;
    }
    cr_assert_eq(seen.calls, 0);
    cr_assert_eq(resolver_counters(w.r)->resolver_ignored_total, ignored);
    reply_send(&w, &s, &good);
    cr_assert(seen.calls == 1 && seen_is(0, "198.51.100.1"));
    reply_send(&w, &s, &good); /* once more: it is of no use now */
    cr_assert(seen.calls == 1 && resolver_counters(w.r)->resolver_ignored_total == ignored + 1);
}

Test(resolver, aliases_are_followed_within_the_answer)
{
    world_ask(&w, "www.example.com", &seen);
    struct sent *s = last_sent(&w, 1);
    reply_start(&bytes, s, 0);
    reply_ip(&bytes, "edge.cdn.net", 50, "198.51.100.7"); /* the order does not matter */
    reply_cname(&bytes, "WWW.example.com", 40, "a.example.com");
    reply_cname(&bytes, "a.Example.com", 3, "EDGE.cdn.net");
    reply_ip(&bytes, "evil.example.org", 50, "203.0.113.66"); /* belongs to nobody asked for */
    reply_send(&w, s, &bytes);
    answer_with(&w, 28, NULL, 60);
    cr_assert(seen.calls == 1 && seen.n == 1 && seen_is(0, "198.51.100.7"));
    w.n = 0;
    w.now.mono_us += 2900000; /* the least TTL of the chain: 3 s */
    world_ask(&w, "www.example.com", &seen);
    cr_assert(w.n == 0 && seen.calls == 1);
    w.now.mono_us += 200000;
    world_ask(&w, "www.example.com", &seen);
    cr_assert(w.n == 2 && seen.calls == 0);
}

Test(resolver, alias_chains_are_bounded)
{
    char from[32], to[32];
    for (unsigned hops = 7; hops <= 8; hops++) {
        snprintf(from, sizeof(from), "h%u.example", hops);
        world_ask(&w, from, &seen);
        answer_with(&w, 28, NULL, 60);
        for (unsigned server = 0; server < 2; server++) {
            struct sent *s = last_sent(&w, 1);
            reply_start(&bytes, s, 0);
            snprintf(from, sizeof(from), "h%u.example", hops);
            for (unsigned i = 0; i < hops; i++) {
                snprintf(to, sizeof(to), "c%u.example", i);
                reply_cname(&bytes, from, 60, to);
                memcpy(from, to, sizeof(from));
            }
            reply_ip(&bytes, from, 60, "198.51.100.7");
            reply_send(&w, s, &bytes);
        }
        cr_assert_eq(seen.calls, 1);
        cr_assert_eq(seen.result, hops == 7 ? RESOLVER_OK : RESOLVER_FAILED);
    }
    world_ask(&w, "loop.example", &seen);
    answer_with(&w, 28, NULL, 60);
    for (unsigned server = 0; server < 2; server++) {
        struct sent *s = last_sent(&w, 1);
        reply_start(&bytes, s, 0);
        reply_cname(&bytes, "loop.example", 60, "loop.example");
        reply_send(&w, s, &bytes);
    }
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_FAILED);
}

Test(resolver, one_family_is_enough_after_a_little_patience)
{
    world_ask(&w, "example.com", &seen);
    answer_with(&w, 1, "198.51.100.1", 60);
    world_pass(&w, 40000);
    cr_assert_eq(seen.calls, 0);
    world_pass(&w, 15000);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_OK && seen.n == 1);

    /* who asks now need not wait; who asks after the late answer has both */
    unsigned sent = w.n;
    struct answer_seen next = {0};
    world_ask(&w, "example.com", &next);
    cr_assert(next.calls == 1 && next.n == 1 && w.n == sent);
    answer_with(&w, 28, "2001:db9::1", 60);
    cr_assert_eq(seen.calls, 1);
    next = (struct answer_seen){0};
    world_ask(&w, "example.com", &next);
    cr_assert(next.calls == 1 && next.n == 2 && w.n == sent);
}

Test(resolver, one_family_without_records_is_fine)
{
    world_ask(&w, "v6.example", &seen);
    answer_with(&w, 1, NULL, 60);
    cr_assert_eq(seen.calls, 0);
    answer_with(&w, 28, "2001:db9::1", 60);
    cr_assert(seen.calls == 1 && seen.n == 1 && seen_is(0, "2001:db9::1"));
}

Test(resolver, no_addresses_at_all_is_none_and_kept_by_the_soa)
{
    world_ask(&w, "empty.example", &seen);
    for (unsigned i = 0; i < 2; i++) {
        struct sent *s = last_sent(&w, i ? 28 : 1);
        reply_start(&bytes, s, 0);
        reply_soa(&bytes, "example", 100, 20);
        reply_send(&w, s, &bytes);
    }
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_NONE);
    w.n = 0;
    w.now.mono_us += 19900000;
    world_ask(&w, "empty.example", &seen);
    cr_assert(w.n == 0 && seen.result == RESOLVER_NONE && seen.calls == 1);
    w.now.mono_us += 200000;
    world_ask(&w, "empty.example", &seen);
    cr_assert_eq(w.n, 2);
}

Test(resolver, nxdomain_ends_both_at_once)
{
    world_ask(&w, "nobody.example", &seen);
    struct sent *s = last_sent(&w, 28);
    reply_start(&bytes, s, 3);
    reply_soa(&bytes, "other.example", 100, 200); /* not above the name: has no say */
    reply_send(&w, s, &bytes);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_NONE);
    cr_assert_eq(resolver_deadline_us(w.r), UINT64_MAX);
    w.n = 0;
    w.now.mono_us += 1100000; /* the floor */
    world_ask(&w, "nobody.example", &seen);
    cr_assert_eq(w.n, 2);
}

Test(resolver, ttls_are_clamped)
{
    static const struct {
        unsigned ttl, kept_s;
    } cases[] = {{0, 1}, {1, 1}, {7, 7}, {300, 300}, {86400, 300}, {0x80000000u, 1}};
    char name[32];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(name, sizeof(name), "ttl%zu.example", i);
        world_ask(&w, name, &seen);
        answer_with(&w, 1, "198.51.100.1", cases[i].ttl);
        answer_with(&w, 28, "2001:db9::1", cases[i].ttl);
        w.n = 0;
        w.now.mono_us += cases[i].kept_s * 1000000ull - 1000;
        world_ask(&w, name, &seen);
        cr_assert(w.n == 0 && seen.n == 2, "%u", cases[i].ttl);
        w.now.mono_us += 1000;
        world_ask(&w, name, &seen);
        cr_assert_eq(w.n, 2);
        answer_with(&w, 1, "198.51.100.1", 1);
        answer_with(&w, 28, NULL, 1);
    }
}

Test(resolver, silence_is_tried_three_times_over_the_servers)
{
    world_ask(&w, "example.com", &seen);
    world_pass(&w, 2900000);
    cr_assert(seen.calls == 0 && w.n == 6);
    cr_assert(!endpoint_eq(&w.sent[0].to, &w.sent[2].to), "the next one is asked next");
    cr_assert(endpoint_eq(&w.sent[0].to, &w.sent[4].to));
    cr_assert(memcmp(w.sent[0].data, w.sent[4].data, 2) != 0, "with another ID");
    world_pass(&w, 200000);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_TIMEOUT);
    /* not asked again at once; then longer each time */
    w.n = 0;
    world_ask(&w, "example.com", &seen);
    cr_assert(w.n == 0 && seen.calls == 1 && seen.result == RESOLVER_TIMEOUT);
    w.now.mono_us += 1100000;
    world_ask(&w, "example.com", &seen);
    cr_assert_eq(w.n, 2);
    world_pass(&w, 3100000);
    cr_assert_eq(seen.calls, 1);
    w.n = 0;
    w.now.mono_us += 1100000;
    world_ask(&w, "example.com", &seen);
    cr_assert_eq(w.n, 0, "2 s now");
}

Test(resolver, the_second_server_helps_and_is_preferred_then)
{
    world_ask(&w, "example.com", &seen);
    world_pass(&w, 1010000);
    cr_assert_eq(w.n, 4);
    answer_with(&w, 1, "198.51.100.1", 60);
    world_pass(&w, 400000);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_OK);
    struct endpoint good = w.sent[3].to;
    w.n = 0;
    world_ask(&w, "other.example", &seen);
    cr_assert(endpoint_eq(&w.sent[0].to, &good));
}

Test(resolver, an_error_goes_to_the_next_server_at_once)
{
    static const unsigned errors[] = {2, 4, 5, 9};
    char name[32];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "e%zu.example", i);
        w.n = 0;
        world_ask(&w, name, &seen);
        struct sent *s = last_sent(&w, 1);
        reply_start(&bytes, s, errors[i]);
        reply_send(&w, s, &bytes);
        cr_assert(w.n == 3 && !endpoint_eq(&w.sent[2].to, &w.sent[0].to));
        s = last_sent(&w, 1);
        reply_start(&bytes, s, errors[i]);
        reply_send(&w, s, &bytes);
        cr_assert_eq(w.n, 3, "no server is left");
        answer_with(&w, 28, NULL, 60);
        cr_assert(seen.calls == 1 && seen.result == RESOLVER_FAILED);
    }
}

Test(resolver, a_server_from_before_edns_is_asked_without)
{
    world_ask(&w, "old.example", &seen);
    struct sent *s = last_sent(&w, 1);
    cr_assert_eq(s->data[11], 1);
    reply_start(&bytes, s, 1);
    reply_send(&w, s, &bytes);
    cr_assert_eq(w.n, 3);
    s = last_sent(&w, 1);
    cr_assert(s->data[11] == 0 && s->len == question_end(s));
    cr_assert(endpoint_eq(&s->to, &w.sent[0].to));
    answer_with(&w, 1, "198.51.100.1", 60);
    answer_with(&w, 28, NULL, 60);
    cr_assert_eq(seen.result, RESOLVER_OK);
}

Test(resolver, malformed_answers_count_as_errors)
{
    world_ask(&w, "bad.example", &seen);
    struct sent *s = last_sent(&w, 1);
    reply_start(&bytes, s, 0);
    reply_ip(&bytes, NULL, 60, "198.51.100.1");
    bytes.n--; /* cut */
    reply_send(&w, s, &bytes);
    cr_assert(w.n == 3 && resolver_counters(w.r)->resolver_failures_total == 1);
    s = last_sent(&w, 1);
    reply_start(&bytes, s, 0);
    reply_ip(&bytes, NULL, 60, "198.51.100.1");
    bytes.b[question_end(s) + 1] = (uint8_t)question_end(s); /* owner points to itself */
    reply_send(&w, s, &bytes);
    answer_with(&w, 28, NULL, 60);
    cr_assert(seen.calls == 1 && seen.result != RESOLVER_OK);
}

Test(resolver, records_of_wrong_shape_are_no_addresses)
{
    world_ask(&w, "odd.example", &seen);
    struct sent *s = last_sent(&w, 1);
    reply_start(&bytes, s, 0);
    reply_add(&bytes, 0, NULL, 1, 60, "\1\2\3\4\5", 5);
    reply_add(&bytes, 0, NULL, 28, 60, "0123456789abcdef", 16); /* AAAA for a question of A */
    reply_send(&w, s, &bytes);
    s = last_sent(&w, 28);
    struct addr mapped = ip("10.0.0.1");
    reply_start(&bytes, s, 0);
    reply_add(&bytes, 0, NULL, 28, 60, mapped.b, 16); /* IPv4 dressed as IPv6 */
    reply_send(&w, s, &bytes);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_NONE);
}

Test(resolver, many_addresses_are_cut_fairly)
{
    char t[64];
    world_ask(&w, "many.example", &seen);
    for (unsigned f = 0; f < 2; f++) {
        struct sent *s = last_sent(&w, f ? 28 : 1);
        reply_start(&bytes, s, 0);
        for (unsigned i = 0; i < 20; i++) {
            snprintf(t, sizeof(t), f ? "2001:db9::%u" : "198.51.100.%u", i + 1);
            reply_ip(&bytes, NULL, 60, t);
        }
        reply_send(&w, s, &bytes);
    }
    cr_assert(seen.n == 8 && seen_is(0, "198.51.100.1") && seen_is(3, "198.51.100.4") &&
              seen_is(4, "2001:db9::1") && seen_is(7, "2001:db9::4"));
}

Test(resolver, who_asks_meanwhile_joins)
{
    struct answer_seen third;
    world_ask(&w, "example.com", &seen);
    world_ask(&w, "EXAMPLE.com.", &other);
    uint64_t ticket = world_ask(&w, "example.com", &third);
    cr_assert(w.n == 2 && resolver_counters(w.r)->resolver_joined_total == 2);
    resolver_cancel(w.r, ticket);
    resolver_cancel(w.r, ticket); /* twice does no harm */
    resolver_cancel(w.r, 0);
    resolver_cancel(w.r, 0xffffffffffffull);
    answer_with(&w, 1, "198.51.100.1", 60);
    answer_with(&w, 28, NULL, 60);
    cr_assert(seen.calls == 1 && other.calls == 1 && third.calls == 0);
}

Test(resolver, a_cancelled_lookup_goes_on_and_is_kept)
{
    uint64_t ticket = world_ask(&w, "example.com", &seen);
    resolver_cancel(w.r, ticket);
    answer_with(&w, 1, "198.51.100.1", 60);
    answer_with(&w, 28, NULL, 60);
    cr_assert_eq(seen.calls, 0);
    cr_assert_eq(world_ask(&w, "example.com", &other), 0);
    cr_assert(other.calls == 1 && other.n == 1);
}

static void ask_again(void *ctx, enum resolver_result result, const struct addr *a, unsigned n,
                      struct now now)
{
    unsigned *depth = ctx;
    char name[32];
    (void)result;
    (void)a;
    (void)n;
    if (++*depth > 40)
        return;
    snprintf(name, sizeof(name), "again%u.example", *depth);
    resolver_resolve(w.r, name, ask_again, ctx, now);
}

Test(resolver, a_callback_may_ask_again)
{
    unsigned depth = 0;
    resolver_resolve(w.r, "again.example", ask_again, &depth, w.now);
    for (unsigned i = 0; i < 41; i++) {
        answer_with(&w, 1, "198.51.100.1", 60);
        answer_with(&w, 28, NULL, 60);
        cr_assert_eq(depth, i + 1);
    }
    cr_assert_eq(resolver_counters(w.r)->resolver_in_flight, 0);
}

Test(resolver, addresses_and_impossible_names_are_answered_at_once)
{
    world_ask(&w, "192.0.2.7", &seen);
    cr_assert(seen.result == RESOLVER_OK && seen_is(0, "192.0.2.7"));
    world_ask(&w, "2001:db8::7", &seen);
    cr_assert(seen.result == RESOLVER_OK && seen_is(0, "2001:db8::7"));
    char longest[260];
    memset(longest, 'a', 255);
    longest[255] = '\0';
    const char *const bad[] = {"",      ".",         "a b",  "a..b",  "x/y",
                               "1.2.3", "256.1.1.1", "a.99", longest, "\xff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        cr_assert_eq(world_ask(&w, bad[i], &seen), 0);
        cr_assert(seen.calls == 1 && seen.result == RESOLVER_NONE, "%s", bad[i]);
    }
    cr_assert_eq(w.n, 0);
}

Test(resolver, too_many_in_flight_is_busy)
{
    char name[32];
    struct answer_seen many[17];
    for (unsigned i = 0; i < 17; i++) {
        snprintf(name, sizeof(name), "n%u.example", i);
        world_ask(&w, name, &many[i]);
        cr_assert_eq(many[i].calls, i == 16);
    }
    cr_assert_eq(many[16].result, RESOLVER_BUSY);
    world_ask(&w, "n3.example", &seen); /* joining costs no lookup */
    cr_assert_eq(seen.calls, 0);
    for (unsigned i = 0; i < 200; i++) /* but a waiter */
        world_ask(&w, "n3.example", &other);
    cr_assert(other.calls == 1 && other.result == RESOLVER_BUSY);
}

Test(resolver, the_names_kept_are_bounded_and_the_unused_go_first)
{
    char name[32];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "n%u.example", i);
        w.n = 0;
        world_ask(&w, name, &seen);
        answer_with(&w, 1, "198.51.100.1", 300);
        answer_with(&w, 28, NULL, 300);
        w.n = 0;
        world_ask(&w, "n0.example", &seen);
        cr_assert_eq(w.n, 0, "in use, so kept: %u", i);
        cr_assert(resolver_counters(w.r)->resolver_names <= 80);
    }
    world_ask(&w, "n1.example", &seen);
    cr_assert_eq(w.n, 2);
}

Test(resolver, a_host_that_takes_nothing_is_asked_again)
{
    w.refuse = true;
    world_ask(&w, "example.com", &seen);
    world_pass(&w, 200000);
    cr_assert_eq(w.n, 0);
    w.refuse = false;
    world_pass(&w, 100000);
    cr_assert_eq(w.n, 2);
    answer_with(&w, 1, "198.51.100.1", 60);
    answer_with(&w, 28, NULL, 60);
    cr_assert_eq(seen.result, RESOLVER_OK);
    w.refuse = true;
    world_ask(&w, "never.example", &seen);
    world_pass(&w, 7000000);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_TIMEOUT);
}

/* --- TCP ------------------------------------------------------------------------------------ */

static struct fake_stream *truncated(const char *name)
{
    world_ask(&w, name, &seen);
    struct sent *s = last_sent(&w, 1);
    reply_start(&bytes, s, 0x200);
    reply_send(&w, s, &bytes);
    answer_with(&w, 28, NULL, 60);
    cr_assert_eq(seen.calls, 0);
    struct fake_stream *f = &w.stream[w.streams - 1];
    cr_assert(endpoint_eq(&f->s.remote, &s->to));
    return f;
}

static void close_stream(struct fake_stream *f, enum stream_end why)
{
    f->open = false;
    f->s.events->closed(&f->s, why, w.now);
}

static void tcp_reply(struct fake_stream *f, size_t step)
{
    uint8_t framed[8194];
    struct sent *s = last_sent(&w, 1);
    reply_start(&bytes, s, 0);
    reply_ip(&bytes, NULL, 60, "198.51.100.9");
    framed[0] = (uint8_t)(bytes.n >> 8);
    framed[1] = (uint8_t)bytes.n;
    memcpy(framed + 2, bytes.b, bytes.n);
    for (size_t at = 0; at < bytes.n + 2; at += step) {
        size_t n = bytes.n + 2 - at < step ? bytes.n + 2 - at : step;
        cr_assert_eq(f->s.events->received(&f->s, framed + at, n, w.now), n);
    }
}

Test(resolver, a_cut_answer_is_fetched_by_tcp_in_any_pieces)
{
    static const size_t steps[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof(name), "big%zu.example", i);
        struct fake_stream *f = truncated(name);
        f->out_room = 5; /* the queue takes a few bytes at a time */
        f->s.events->opened(&f->s, w.now);
        while (f->out_len == f->out_room) {
            f->out_room += 5;
            f->s.events->writable(&f->s, w.now);
        }
        struct sent *s = last_sent(&w, 1);
        cr_assert(f->out_len == s->len + 2 && be(f->out, 2) == s->len);
        cr_assert(memcmp(f->out + 2, s->data, s->len) == 0);
        tcp_reply(f, steps[i]);
        cr_assert(seen.calls == 1 && seen.result == RESOLVER_OK && seen_is(0, "198.51.100.9"));
        cr_assert(f->aborted);
        close_stream(f, STREAM_ABORTED);
    }
}

Test(resolver, tcp_that_fails_leads_to_the_next_server)
{
    struct fake_stream *f = truncated("refused.example");
    unsigned before = w.n;
    close_stream(f, STREAM_REFUSED);
    cr_assert_eq(w.n, before + 1);
    answer_with(&w, 1, "198.51.100.1", 60);
    cr_assert_eq(seen.result, RESOLVER_OK);

    f = truncated("eof.example");
    before = w.n;
    f->s.events->opened(&f->s, w.now);
    f->s.events->eof(&f->s, w.now);
    cr_assert(w.n == before + 1 && f->aborted);
    close_stream(f, STREAM_ABORTED);
    cr_assert_eq(w.n, before + 1);

    w.no_connect = true;
    world_ask(&w, "none.example", &other);
    struct sent *s = last_sent(&w, 1);
    before = w.n;
    reply_start(&bytes, s, 0x200);
    reply_send(&w, s, &bytes);
    cr_assert_eq(w.n, before + 1);
}

Test(resolver, tcp_lengths_out_of_bounds_and_foreign_answers_fail)
{
    static const uint8_t lengths[][2] = {{0, 0}, {0, 11}, {0x10, 0x01}, {0xff, 0xff}};
    char name[32];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "len%zu.example", i);
        struct fake_stream *f = truncated(name);
        unsigned before = w.n;
        f->s.events->opened(&f->s, w.now);
        f->s.events->received(&f->s, lengths[i], 2, w.now);
        cr_assert(f->aborted && w.n == before + 1, "%zu", i);
        f->s.events->received(&f->s, (const uint8_t *)"more", 4, w.now);
        close_stream(f, STREAM_ABORTED);
        answer_with(&w, 1, "198.51.100.1", 60);
        cr_assert_eq(seen.calls, 1);
    }
    struct fake_stream *f = truncated("foreign.example");
    unsigned before = w.n;
    uint8_t m[64] = {0, 30, 1};
    f->s.events->received(&f->s, m, 32, w.now);
    cr_assert(f->aborted && w.n == before + 1);
}

Test(resolver, slow_tcp_times_out)
{
    struct fake_stream *f = truncated("slow.example");
    world_pass(&w, 1010000);
    cr_assert(f->aborted);
    close_stream(f, STREAM_ABORTED);
    answer_with(&w, 1, "198.51.100.1", 60);
    cr_assert(seen.calls == 1 && seen.result == RESOLVER_OK);
}

Test(resolver, tcp_queries_are_bounded)
{
    char name[32];
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "t%u.example", i);
        world_ask(&w, name, &other);
        struct sent *s = last_sent(&w, 1);
        reply_start(&bytes, s, 0x200);
        reply_send(&w, s, &bytes);
    }
    cr_assert_eq(w.streams, 8);
    world_pass(&w, 20000000);
    cr_assert_eq(resolver_counters(w.r)->resolver_in_flight, 0);
}

Test(resolver, a_long_mixed_life_leaves_nothing_behind)
{
    struct rng rng;
    unsigned asked = 0;
    rng_init_u64(&rng, 7);
    static struct answer_seen all[3000];
    for (unsigned i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "x%u.example", rng_below(&rng, 300));
        uint64_t ticket = world_ask(&w, name, &all[i]);
        bool cancelled = ticket && rng_below(&rng, 5) == 0;
        if (cancelled)
            resolver_cancel(w.r, ticket);
        asked += !cancelled;
        for (unsigned j = rng_below(&rng, 4); j > 0 && w.n > 0; j--) {
            struct sent *s = &w.sent[w.n - 1 - rng_below(&rng, w.n < 12 ? w.n : 12)];
            reply_start(&bytes, s, rng_below(&rng, 4) == 0 ? rng_below(&rng, 6) : 0);
            if (rng_below(&rng, 2))
                reply_ip(&bytes, NULL, rng_below(&rng, 20),
                         sent_type(s) == 1 ? "198.51.100.1" : "2001:db9::1");
            reply_send(&w, s, &bytes);
        }
        world_pass(&w, rng_below(&rng, 100000));
        if (w.n > SENT_MAX - 100)
            w.n = 0;
    }
    world_pass(&w, 10000000);
    unsigned called = 0;
    for (unsigned i = 0; i < 3000; i++) {
        cr_assert(all[i].calls <= 1);
        called += all[i].calls;
    }
    cr_assert_eq(called, asked, "each who asked and stayed was told once");
    cr_assert_eq(resolver_counters(w.r)->resolver_in_flight, 0);
    cr_assert_eq(resolver_deadline_us(w.r), UINT64_MAX);
}

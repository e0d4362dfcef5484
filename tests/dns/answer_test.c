/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/dns/text.h"

static struct dns_zone *zone;
static struct rng rng;
static struct dns_counters counters;
static struct text text;
static uint8_t query[2048];

static struct addr ip(const char *s)
{
    struct addr a;
    cr_assert(addr_parse(s, &a));
    return a;
}

/* Two members: one of both families, one of IPv4 only. */
static void setup(void)
{
    zone = dns_zone_new("Coral.Test.", 200);
    cr_assert(zone);
    zone->members = 2;
    zone->member[0] = (struct dns_member){ip("192.0.2.1"), ip("2001:db8::1"), "00aa11bb"};
    zone->member[1] = (struct dns_member){ip("192.0.2.2"), {{0}}, "cc22dd33"};
    zone->serial = 7;
    zone->soa_ttl_s = zone->ns_ttl_s = 3600;
    zone->proxy_ttl_s = 30;
    zone->negative_ttl_s = 10;
    rng_init_u64(&rng, 1);
}

static void teardown(void)
{
    free(zone);
}

TestSuite(answer, .init = setup, .fini = teardown);

static void answer(struct datagram *d, unsigned n)
{
    dns_zone_finish(zone);
    dns_answer(zone, d, n, &rng, &counters, (struct now){0, 0});
}

/* The same query, answered in its own memory, which has an exact allocation. */
static void check_in_place(const struct datagram *d, struct rng at)
{
    size_t room = d->room > d->len ? d->room : d->len;
    struct dns_counters ignored = {0};
    struct datagram same = *d;
    same.reply = malloc(room ? room : 1);
    same.data = same.reply;
    memcpy(same.reply, d->data, d->len);
    dns_answer(zone, &same, 1, &at, &ignored, (struct now){0, 0});
    cr_assert_eq(same.reply_len, d->reply_len);
    cr_assert(memcmp(same.reply, d->reply, d->reply_len) == 0);
    free(same.reply);
}

/* The reply as text, "" when there is none; query and reply stand in exact allocations. */
static const char *ask_room(size_t len, uint16_t room)
{
    uint8_t *q = malloc(len ? len : 1), *reply = malloc(room ? room : 1);
    memcpy(q, query, len);
    struct datagram d = {.from = {ip("198.51.100.1"), 4444},
                         .data = q,
                         .len = (uint16_t)len,
                         .room = room,
                         .reply = reply,
                         .reply_len = 99};
    struct rng before = rng;
    answer(&d, 1);
    cr_assert(d.reply_len <= room);
    check_in_place(&d, before);
    text.s[0] = '\0';
    if (d.reply_len)
        dns_text(&text, reply, d.reply_len);
    free(q);
    free(reply);
    return text.s;
}

static const char *ask(size_t len)
{
    return ask_room(len, 2048);
}

static const char *ask_name(const char *name, unsigned type)
{
    return ask(make_query(query, name, type, 0));
}

#define SOA_NEG                                                                                    \
    "coral.test. 10 SOA 00aa11bb.ns.coral.test. hostmaster.coral.test. 7 3600 600 604800 10"

Test(answer, the_apex_has_its_soa)
{
    cr_assert_str_eq(ask_name("coral.test", 6),
                     "1234 NOERROR qr aa rd | coral.test. IN SOA | coral.test. 3600 SOA "
                     "00aa11bb.ns.coral.test. hostmaster.coral.test. 7 3600 600 604800 10 | |");
}

Test(answer, the_apex_names_its_servers_with_addresses)
{
    cr_assert_str_eq(ask_name("coral.test", 2), "1234 NOERROR qr aa rd | coral.test. IN NS "
                                                "| coral.test. 3600 NS 00aa11bb.ns.coral.test.; "
                                                "coral.test. 3600 NS cc22dd33.ns.coral.test. | "
                                                "| 00aa11bb.ns.coral.test. 3600 A 192.0.2.1; "
                                                "00aa11bb.ns.coral.test. 3600 AAAA 2001:db8::1; "
                                                "cc22dd33.ns.coral.test. 3600 A 192.0.2.2");
}

Test(answer, the_apex_has_no_addresses)
{
    cr_assert_str_eq(ask_name("coral.test", 1),
                     "1234 NOERROR qr aa rd | coral.test. IN A | | " SOA_NEG " |");
    cr_assert_eq(counters.dns_nodata_total, 1);
}

Test(answer, nameservers_have_theirs)
{
    cr_assert_str_eq(ask_name("00aa11bb.ns.coral.test", 28),
                     "1234 NOERROR qr aa rd | 00aa11bb.ns.coral.test. IN AAAA | "
                     "00aa11bb.ns.coral.test. 3600 AAAA 2001:db8::1 | |");
    cr_assert_str_eq(ask_name("CC22dd33.NS.coral.test", 1),
                     "1234 NOERROR qr aa rd | CC22dd33.NS.coral.test. IN A | "
                     "CC22dd33.NS.coral.test. 3600 A 192.0.2.2 | |");
    cr_assert_str_eq(ask_name("cc22dd33.ns.coral.test", 28),
                     "1234 NOERROR qr aa rd | cc22dd33.ns.coral.test. IN AAAA | | " SOA_NEG " |");
    cr_assert_str_eq(ask_name("nobody.ns.coral.test", 1),
                     "1234 NXDOMAIN qr aa rd | nobody.ns.coral.test. IN A | | " SOA_NEG " |");
    cr_assert_str_eq(ask_name("x.00aa11bb.ns.coral.test", 1),
                     "1234 NXDOMAIN qr aa rd | x.00aa11bb.ns.coral.test. IN A | | " SOA_NEG " |");
    /* RFC 8020: what has names below it exists */
    cr_assert_str_eq(ask_name("ns.coral.test", 1),
                     "1234 NOERROR qr aa rd | ns.coral.test. IN A | | " SOA_NEG " |");
    cr_assert_str_eq(ask_name("ns.coral.test", 255),
                     "1234 NOERROR qr aa rd | ns.coral.test. IN ANY | | " SOA_NEG " |");
}

Test(answer, coralized_names_lead_to_live_proxies_and_keep_their_case)
{
    const char *got = ask_name("wWw.Example.com.CORAL.test", 1);
    cr_assert(strstr(got, "1234 NOERROR qr aa rd | wWw.Example.com.CORAL.test. IN A | "
                          "wWw.Example.com.CORAL.test. 30 A 192.0.2.") == got);
    cr_assert(strstr(got, "192.0.2.1") && strstr(got, "192.0.2.2"));
    cr_assert_str_eq(ask_name("www.example.com.8080.coral.test", 28),
                     "1234 NOERROR qr aa rd | www.example.com.8080.coral.test. IN AAAA | "
                     "www.example.com.8080.coral.test. 30 AAAA 2001:db8::1 | |");
    cr_assert_str_eq(ask_name("com.coral.test", 16),
                     "1234 NOERROR qr aa rd | com.coral.test. IN TYPE16 | | " SOA_NEG " |");
}

Test(answer, any_gets_one_small_record)
{
    cr_assert_str_eq(ask_name("www.example.com.coral.test", 255),
                     "1234 NOERROR qr aa rd | www.example.com.coral.test. IN ANY | "
                     "www.example.com.coral.test. 3600 HINFO 075246433834383200 | |");
}

Test(answer, byte_for_byte)
{
    static const uint8_t want[] = {
        0x12, 0x34, 0x85, 0x00, 0,    1,    0,   1,   0, 0,   0,   1, /* header */
        1,    'W',  5,    'c',  'o',  'r',  'a', 'l', 4, 't', 'e', 's', 't', 0, 0,
        28,   0,    1,    0xc0, 12,   0,    28,  0,   1, 0,   0,   0,   30,  0, 16,
        0x20, 1,    0xd,  0xb8, 0,    0,    0,   0,   0, 0,   0,   0,   0,   0, 0,
        1,    0,    0,    41,   0x04, 0xd0, 0,   0,   0, 0,   0,   0};
    uint8_t reply[512];
    struct datagram d = {
        .from = {ip("198.51.100.1"), 4444}, .data = query, .room = 512, .reply = reply};
    d.len = (uint16_t)make_query(query, "W.coral.test", 28, 1400);
    answer(&d, 1);
    cr_assert_eq(d.reply_len, sizeof(want));
    cr_assert(memcmp(reply, want, sizeof(want)) == 0);
}

Test(answer, outside_the_zone_is_refused)
{
    static const char *const names[] = {
        "example.com", "test", "xcoral.test", "coral.test.com", "", "oral.test", "a.b.c.d"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *got = ask_name(names[i], 1);
        cr_assert(strstr(got, "1234 REFUSED qr rd | ") == got && strstr(got, " | | |"), "%s", got);
    }
    /* a label that ends like the zone is not in it: \x0acoral.test as bytes of one label */
    size_t n = make_query(query, "x", 1, 0);
    memcpy(query + 12,
           "\x0b\x05"
           "coral\x04"
           "test\0\0\1\0\1",
           17);
    n = 12 + 17;
    (void)n;
    cr_assert(strstr(ask(n), "REFUSED"));
    cr_assert_eq(counters.dns_refused_total, 8);
}

Test(answer, other_classes_and_transfers_are_refused)
{
    size_t n = make_query(query, "coral.test", 6, 0);
    query[n - 1] = 3; /* CH */
    cr_assert_str_eq(ask(n), "1234 REFUSED qr rd | coral.test. ?? SOA | | |");
    cr_assert_str_eq(ask_name("coral.test", 252),
                     "1234 REFUSED qr rd | coral.test. IN TYPE252 | | |");
    cr_assert_str_eq(ask_name("coral.test", 251),
                     "1234 REFUSED qr rd | coral.test. IN TYPE251 | | |");
    cr_assert_str_eq(ask_name("coral.test", 249),
                     "1234 NOTIMP qr rd | coral.test. IN TYPE249 | | |");
}

Test(answer, what_is_no_query_is_dropped)
{
    size_t n = make_query(query, "www.coral.test", 1, 0);
    query[2] |= 0x80; /* a response */
    cr_assert_str_eq(ask(n), "");
    for (size_t i = 0; i < 12; i++)
        cr_assert_str_eq(ask(i), "");
    cr_assert_eq(counters.dns_dropped_total, 13);
    uint8_t reply[512];
    struct datagram d = {
        .from = {ip("198.51.100.1"), 0}, .data = query, .room = 512, .reply = reply};
    d.len = (uint16_t)make_query(query, "www.coral.test", 1, 0);
    answer(&d, 1);
    cr_assert_eq(d.reply_len, 0, "from port 0");
}

Test(answer, other_operations_are_not_implemented)
{
    size_t n = make_query(query, "www.coral.test", 1, 0);
    query[2] = 0x28; /* UPDATE */
    cr_assert_str_eq(ask(n), "1234 NOTIMP qr | | |");
    query[2] = 0x20; /* NOTIFY */
    cr_assert_str_eq(ask(n), "1234 NOTIMP qr | | |");
}

Test(answer, malformed_questions_are_format_errors)
{
    size_t n = make_query(query, "www.coral.test", 1, 0);
    query[5] = 2;
    cr_assert_str_eq(ask(n), "1234 FORMERR qr rd | | |");
    query[5] = 0;
    cr_assert_str_eq(ask(n), "1234 FORMERR qr rd | | |");
    query[5] = 1;
    for (size_t i = 12; i < n; i++)
        cr_assert_str_eq(ask(i), "1234 FORMERR qr rd | | |", "%zu", i);
    query[12] = 0xc0; /* a pointer in the question */
    cr_assert_str_eq(ask(n), "1234 FORMERR qr rd | | |");
    query[12] = 0x43;
    cr_assert_str_eq(ask(n), "1234 FORMERR qr rd | | |");
    n = make_query(query, "www.coral.test", 1, 0);
    query[7] = 1; /* an answer in a query */
    cr_assert(strstr(ask(n), "1234 FORMERR qr rd | www.coral.test. IN A"));
    query[7] = 0;
    cr_assert(strstr(ask(n + 1), "FORMERR"), "bytes behind the end");
}

Test(answer, names_of_the_greatest_length)
{
    char name[400] = "";
    /* 255 wire bytes: 12 of the zone, the rest 121 labels of one letter and one of two */
    for (unsigned i = 0; i < 120; i++)
        memcpy(name + strlen(name), "a.", 3);
    memcpy(name + strlen(name), "bb.coral.test", 14);
    size_t n = make_query(query, name, 1, 0);
    cr_assert_eq(n, 12 + 255 + 4);
    cr_assert(strstr(ask(n), "NOERROR"));
    n = make_query(query, "x", 1, 0);
    char longer[400];
    snprintf(longer, sizeof(longer), "a%s", name); /* aa. instead of a. : one more */
    n = make_query(query, longer, 1, 0);
    cr_assert_eq(n, 12 + 256 + 4);
    cr_assert_str_eq(ask(n), "1234 FORMERR qr rd | | |");
}

#define OPT0 "OPT size=1232 rcode=0 version=0 flags=0000 len=0"

Test(answer, edns_gets_an_opt_also_with_errors)
{
    size_t n = make_query(query, "x.example", 1, 4096);
    cr_assert_str_eq(ask(n), "1234 REFUSED qr rd | x.example. IN A | | | " OPT0);
    n = make_query(query, "nobody.ns.coral.test", 1, 4096);
    cr_assert(strstr(ask(n), SOA_NEG " | " OPT0));
    query[n - 4] = 0x80; /* DO comes back, RFC 3225 */
    cr_assert(strstr(ask(n), "flags=8000"));
    query[n - 4] = 0;
    query[n - 5] = 1; /* version 1 */
    cr_assert_str_eq(ask(n), "1234 NOERROR qr rd | nobody.ns.coral.test. IN A | | | "
                             "OPT size=1232 rcode=1 version=0 flags=0000 len=0");
    cr_assert_eq(counters.dns_badvers_total, 1);
}

Test(answer, edns_options_are_ignored_but_must_be_whole)
{
    size_t n = make_query(query, "x.example", 1, 4096);
    memcpy(query + n,
           "\0\x0a\0\x08"
           "12345678\xff\xff\0\0",
           16); /* a cookie, and another */
    query[n - 1] = 16;
    cr_assert(strstr(ask(n + 16), "REFUSED qr rd | x.example. IN A | | | " OPT0));
    query[n + 3] = 9;
    cr_assert(strstr(ask(n + 16), "FORMERR"));
    query[n + 3] = 8;
    query[n - 1] = 17; /* record longer than the message */
    cr_assert(strstr(ask(n + 16), "FORMERR"));
}

Test(answer, one_opt_whose_owner_is_the_root)
{
    size_t n = make_query(query, "x.example", 1, 4096);
    memcpy(query + n, query + n - 11, 11);
    query[11] = 2;
    cr_assert(strstr(ask(n + 11), "FORMERR"));
    n = make_query(query, "x.example", 1, 0);
    memcpy(query + n, "\1x\0\0\x29\x10\0\0\0\0\0\0\0", 13);
    query[11] = 1;
    cr_assert_str_eq(ask(n + 13), "1234 FORMERR qr rd | x.example. IN A | | |");
    /* another record there (a TSIG) does no harm */
    n = make_query(query, "x.example", 1, 0);
    memcpy(query + n, "\xc0\x0c\0\xfa\0\xff\0\0\0\0\0\2ab", 14);
    query[11] = 1;
    cr_assert(strstr(ask(n + 14), "REFUSED"));
    query[11] = 2; /* one that is not there */
    cr_assert(strstr(ask(n + 14), "FORMERR"));
    query[11] = 200;
    cr_assert(strstr(ask(n + 14), "FORMERR"));
}

Test(answer, what_does_not_fit_is_an_empty_answer_with_tc)
{
    for (unsigned i = 0; i < 100; i++) {
        zone->member[i] = (struct dns_member){ip("192.0.2.1"), ip("2001:db8::1"), ""};
        snprintf(zone->member[i].label, sizeof(zone->member[i].label), "%08x", i);
    }
    zone->members = 100;
    size_t n = make_query(query, "coral.test", 2, 0);
    const char *got = ask(n);
    cr_assert(strstr(got, "0000000b.ns.coral.test."), "twelve servers in 512 bytes");
    cr_assert(!strstr(got, "0000000c.ns.coral.test."));
    cr_assert(!strstr(got, " tc"), "addresses are left out before the servers are");
    got = ask(make_query(query, "coral.test", 2, 4096));
    cr_assert(strstr(got, "0000000b.ns.coral.test. 3600 AAAA 2001:db8::1; OPT"), "%s", got);

    n = make_query(query, "coral.test", 2, 4096);
    cr_assert_str_eq(ask_room(n, 120), "1234 NOERROR qr aa tc rd | coral.test. IN NS | | | " OPT0);
    cr_assert_eq(counters.dns_truncated_total, 1);
    for (uint16_t room = 0; room < 700; room++) {
        got = ask_room(n, room);
        cr_assert(*got == '\0' || strstr(got, " tc ") || strstr(got, "0000000b.ns."), "%u", room);
    }
    /* the EDNS size binds too, never below 512 */
    n = make_query(query, "www.coral.test", 28, 100);
    cr_assert(!strstr(ask(n), " tc "));
}

Test(answer, four_proxies_at_random_all_alike)
{
    static const unsigned sizes[] = {3, 4, 20, 64, 150};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        unsigned members = sizes[s], seen[200] = {0}, first[200] = {0}, total = 0;
        for (unsigned i = 0; i < members; i++) {
            zone->member[i] = (struct dns_member){addr_v4(0x0a000000 + i), {{0}}, "x"};
            if (i % 2)
                zone->member[i].v6 = (struct addr){{0x20, 1, [15] = (uint8_t)i}};
        }
        zone->members = members;
        for (unsigned round = 0; round < 4000; round++) {
            uint8_t reply[512];
            struct datagram d = {
                .from = {ip("198.51.100.1"), 4444}, .data = query, .room = 512, .reply = reply};
            d.len = (uint16_t)make_query(query, "w.coral.test", 1, 0);
            answer(&d, 1);
            unsigned n = reply[7], used = 0;
            cr_assert_eq(n, members < 4 ? members : 4);
            for (unsigned i = 0; i < n; i++, total++) {
                unsigned at = be(reply + d.len + 16 * i + 12, 4) - 0x0a000000;
                cr_assert(at < members);
                seen[at]++;
                first[at] += i == 0;
                for (unsigned j = 0; j < i; j++)
                    used += be(reply + d.len + 16 * j + 12, 4) - 0x0a000000 == at;
            }
            cr_assert_eq(used, 0, "no proxy twice");
        }
        double want = (double)total / members;
        for (unsigned i = 0; i < members; i++)
            cr_assert(seen[i] > want * 0.6 && seen[i] < want * 1.4, "%u of %u: %u for %f", i,
                      members, seen[i], want);
        want = 4000.0 / members; /* resolvers take the first one oftener */
        for (unsigned i = 0; i < members; i++)
            cr_assert(first[i] > want * 0.2 && first[i] < want * 2.2, "%u of %u first: %u for %f",
                      i, members, first[i], want);
    }
}

Test(answer, every_order_of_proxies_is_as_likely)
{
    unsigned seen[256] = {0}, orders = 0;
    for (unsigned i = 0; i < 4; i++)
        zone->member[i] = (struct dns_member){addr_v4(0x0a000000 + i), {{0}}, "x"};
    zone->members = 4;
    for (unsigned round = 0; round < 24000; round++) {
        uint8_t reply[512];
        struct datagram d = {
            .from = {ip("198.51.100.1"), 4444}, .data = query, .room = 512, .reply = reply};
        d.len = (uint16_t)make_query(query, "w.coral.test", 1, 0);
        answer(&d, 1);
        unsigned order = 0;
        for (unsigned i = 0; i < 4; i++)
            order = order << 2 | reply[d.len + 16 * i + 15];
        seen[order]++;
    }
    for (unsigned i = 0; i < 256; i++) {
        orders += seen[i] != 0;
        cr_assert(seen[i] == 0 || (seen[i] > 850 && seen[i] < 1150), "%02x: %u", i, seen[i]);
    }
    cr_assert_eq(orders, 24);
}

/* Words are compared, letters in any case: each byte of the zone's name counts, and no other. */
Test(answer, each_byte_of_the_zones_name_counts)
{
    static const char *const zones[] = {"a", "a-1.b2", "coral.test",
                                        "eight888.zone-16.cdn.example"};
    for (size_t k = 0; k < sizeof(zones) / sizeof(*zones); k++) {
        struct dns_zone *kept = zone;
        zone = dns_zone_new(zones[k], 1);
        for (unsigned above = 0; above < 12; above++) {
            char name[128];
            snprintf(name, sizeof(name), "%.*s%s%s", (int)above, "abcdefghijklm", above ? "." : "",
                     zones[k]);
            size_t n = make_query(query, name, 1, 0), from = 12 + (above ? above + 1 : 0);
            cr_assert(strstr(ask(n), "NOERROR"), "%s", name);
            for (size_t at = from; at < n - 5; at++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                    uint8_t was = query[at];
                    bool letter = (was | 0x20) >= 'a' && (was | 0x20) <= 'z';
                    query[at] ^= (uint8_t)(1u << bit);
                    const char *got = ask(n);
                    cr_assert_eq(strstr(got, "NOERROR") != NULL, letter && bit == 5, "%s, byte %zu",
                                 name, at);
                    query[at] = was;
                }
            }
        }
        free(zone);
        zone = kept;
    }
}

Test(answer, a_rare_family_is_found_among_many)
{
    for (unsigned i = 0; i < 200; i++)
        zone->member[i] = (struct dns_member){addr_v4(0x0a000000 + i), {{0}}, "x"};
    zone->member[77].v6 = ip("2001:db8::77");
    zone->members = 200;
    for (unsigned i = 0; i < 100; i++)
        cr_assert(strstr(ask_name("w.coral.test", 28), "AAAA 2001:db8::77 |"));
}

Test(answer, without_a_live_proxy_there_is_no_data)
{
    zone->member[0].v6 = (struct addr){{0}};
    cr_assert_str_eq(ask_name("www.coral.test", 28),
                     "1234 NOERROR qr aa rd | www.coral.test. IN AAAA | | " SOA_NEG " |");
    zone->members = 0;
    cr_assert_str_eq(ask_name("www.coral.test", 1),
                     "1234 NOERROR qr aa rd | www.coral.test. IN A | | coral.test. 10 SOA "
                     "ns.coral.test. hostmaster.coral.test. 7 3600 600 604800 10 |");
    cr_assert_eq(counters.dns_no_proxy_total, 2);
    cr_assert_str_eq(ask_name("coral.test", 2),
                     "1234 NOERROR qr aa rd | coral.test. IN NS | | coral.test. 10 SOA "
                     "ns.coral.test. hostmaster.coral.test. 7 3600 600 604800 10 |");
}

Test(answer, a_burst_is_answered_each_with_its_own)
{
    static uint8_t q[DATAGRAM_BURST][128], replies[DATAGRAM_BURST][512];
    struct datagram d[DATAGRAM_BURST];
    char name[64];
    for (unsigned i = 0; i < DATAGRAM_BURST; i++) {
        snprintf(name, sizeof(name), "host%u.%s", i, i % 5 ? "coral.test" : "else.where");
        d[i] = (struct datagram){
            .from = {ip("198.51.100.1"), 4444}, .data = q[i], .room = 512, .reply = replies[i]};
        d[i].len = (uint16_t)make_query(q[i], name, 28, 0);
        q[i][1] = (uint8_t)i;
    }
    answer(d, DATAGRAM_BURST);
    for (unsigned i = 0; i < DATAGRAM_BURST; i++) {
        snprintf(name, sizeof(name), "12%02x %s", i, i % 5 ? "NOERROR" : "REFUSED");
        cr_assert(strstr(dns_text(&text, replies[i], d[i].reply_len), name) == text.s);
    }
    cr_assert_eq(counters.dns_queries_total, DATAGRAM_BURST);
}

Test(answer, over_tcp_there_is_more_room)
{
    for (unsigned i = 0; i < 12; i++) {
        zone->member[i] = (struct dns_member){ip("192.0.2.1"), ip("2001:db8::1"), ""};
        snprintf(zone->member[i].label, sizeof(zone->member[i].label), "%08x", i);
    }
    zone->members = 12;
    dns_zone_finish(zone);
    uint8_t reply[4096];
    struct endpoint from = {ip("198.51.100.1"), 4444};
    size_t n = make_query(query, "coral.test", 2, 0);
    n = dns_answer_tcp(zone, &from, query, n, reply, sizeof(reply), &rng, &counters,
                       (struct now){0, 0});
    cr_assert(n > 512);
    cr_assert(strstr(dns_text(&text, reply, n), "0000000b.ns.coral.test. 3600 AAAA"));
}

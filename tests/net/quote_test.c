/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors about segments and datagrams of ours: what is handed on, and what is not. */
#include "tests/net/frames.h"

static struct lab lab;
static struct build f;

static void setup(void)
{
    lab_init(&lab);
}

static void teardown(void)
{
    lab_done(&lab);
}

TestSuite(quote, .init = setup, .fini = teardown);

/* An error message whose quote is a packet from `from` to `to` with the first `tcp_len` bytes of
 * its TCP header: ports 80 and 40000, sequence number 0x01020304; of UDP, a length of 0x0102. */
static struct build error_of(unsigned type, unsigned code, uint32_t word, const char *from,
                             const char *to, unsigned proto, size_t tcp_len)
{
    static const uint8_t tcp[20] = {0, 80, 0x9c, 0x40, 1, 2, 3, 4, 9, 9, 9, 9, 0x50, 0x10};
    struct build q, m = {.len = 0};

    put_ip(&q, from, to, proto, NULL, 0, tcp, tcp_len);
    put_be(&m, type << 8 | code, 2);
    put_be(&m, 0, 2);
    put_be(&m, word, 4);
    put(&m, q.b + 14, q.len - 14);
    return m;
}

static void hear(const char *from, const char *to, const struct build *m)
{
    put_icmp(&f, from, to, m->b, m->len);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
}

static void hear4(unsigned type, unsigned code, uint32_t word)
{
    struct build m = error_of(type, code, word, "192.0.2.1", "198.51.100.7", 6, 8);
    hear("203.0.113.1", "192.0.2.1", &m);
}

static void hear6(unsigned type, unsigned code, uint32_t word)
{
    struct build m = error_of(type, code, word, "2001:db8::1", "2001:db8:7::7", 6, 20);
    hear("2001:db8:1::1", "2001:db8::1", &m);
}

Test(quote, fragmentation_needed_names_segment_and_mtu)
{
    hear4(3, 4, 0x12341400 & 0xffff);
    struct addr us = ip("192.0.2.1"), them = ip("198.51.100.7");
    cr_assert(lab.errors == 1 && lab.error.kind == NET_ICMP_TOO_BIG && lab.error.mtu == 0x1400);
    cr_assert(addr_eq(&lab.error.local.ip, &us) && lab.error.local.port == 80);
    cr_assert(addr_eq(&lab.error.remote.ip, &them) && lab.error.remote.port == 40000);
    cr_assert_eq(lab.error.seq, 0x01020304);
    cr_assert(lab.sent == 0 && COUNT(&lab, icmp_quotes_total) == 1);
}

Test(quote, packet_too_big_carries_32_bits)
{
    hear6(2, 0, 1300);
    struct addr us = ip("2001:db8::1"), them = ip("2001:db8:7::7");
    cr_assert(lab.errors == 1 && lab.error.kind == NET_ICMP_TOO_BIG && lab.error.mtu == 1300);
    cr_assert(addr_eq(&lab.error.local.ip, &us) && addr_eq(&lab.error.remote.ip, &them));
    hear6(2, 0, 0x10000 + 1300);
    cr_assert(lab.errors == 2 && lab.error.mtu == 0, "no size that a packet of ours has");
}

Test(quote, hard_and_soft_are_as_rfc_9293_3_9_2_2_has_them)
{
    static const struct {
        unsigned type, code;
        bool v6, hard;
        enum net_icmp_kind kind;
    } is[] = {
        {3, 0, false, false, NET_ICMP_UNREACHABLE}, {3, 1, false, false, NET_ICMP_UNREACHABLE},
        {3, 2, false, true, NET_ICMP_UNREACHABLE},  {3, 3, false, true, NET_ICMP_UNREACHABLE},
        {3, 5, false, false, NET_ICMP_UNREACHABLE}, {3, 13, false, false, NET_ICMP_UNREACHABLE},
        {11, 0, false, false, NET_ICMP_TIME},       {12, 0, false, false, NET_ICMP_PARAMETER},
        {1, 0, true, false, NET_ICMP_UNREACHABLE},  {1, 1, true, true, NET_ICMP_UNREACHABLE},
        {1, 3, true, false, NET_ICMP_UNREACHABLE},  {1, 4, true, true, NET_ICMP_UNREACHABLE},
        {3, 0, true, false, NET_ICMP_TIME},         {4, 1, true, false, NET_ICMP_PARAMETER},
    };
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        if (is[i].v6)
            hear6(is[i].type, is[i].code, 0);
        else
            hear4(is[i].type, is[i].code, 0);
        cr_assert(lab.errors == i + 1 && lab.error.kind == is[i].kind, "%u", i);
        cr_assert(lab.error.hard == is[i].hard, "%u", i);
    }
}

Test(quote, what_is_no_segment_of_ours_is_not_handed_on)
{
    struct build m = error_of(3, 3, 0, "192.0.2.2", "198.51.100.7", 6, 8);
    hear("203.0.113.1", "192.0.2.1", &m); /* another's */
    m = error_of(3, 3, 0, "192.0.2.1", "198.51.100.7", 47, 8);
    hear("203.0.113.1", "192.0.2.1", &m); /* neither segment nor datagram */
    for (size_t cut = 0; cut < 8; cut++) {
        m = error_of(3, 3, 0, "192.0.2.1", "198.51.100.7", cut & 1 ? 6 : 17, cut);
        hear("203.0.113.1", "192.0.2.1", &m);
        m = error_of(1, 4, 0, "2001:db8::1", "2001:db8:7::7", 6, cut);
        hear("2001:db8:1::1", "2001:db8::1", &m);
    }
    m = error_of(3, 3, 0, "192.0.2.1", "198.51.100.7", 6, 8);
    m.b[8 + 6] = 0x20;
    m.b[8 + 7] = 1; /* a later fragment: these are no ports */
    hear("203.0.113.1", "192.0.2.1", &m);
    m = error_of(3, 3, 0, "192.0.2.1", "198.51.100.7", 6, 8);
    m.b[8] = 0x4f; /* options that go beyond the quote */
    hear("203.0.113.1", "192.0.2.1", &m);
    m.b[8] = 0x44; /* a header shorter than a header */
    hear("203.0.113.1", "192.0.2.1", &m);
    m.b[8] = 0x65; /* of the other family */
    hear("203.0.113.1", "192.0.2.1", &m);
    cr_assert(lab.errors == 0 && lab.datagrams == 0 && lab.sent == 0);
    cr_assert_eq(COUNT(&lab, icmp_quote_bad_total), 22);
}

static void hear_datagram(unsigned type, unsigned code, bool v4)
{
    struct build m = v4 ? error_of(type, code, 0, "192.0.2.1", "198.51.100.7", 17, 8)
                        : error_of(type, code, 0, "2001:db8::1", "2001:db8:7::7", 17, 20);
    hear(v4 ? "203.0.113.1" : "2001:db8:1::1", v4 ? "192.0.2.1" : "2001:db8::1", &m);
}

Test(quote, a_router_names_the_datagram_whose_time_it_saw_end)
{
    struct addr router = ip("203.0.113.1"), them = ip("198.51.100.7");
    hear_datagram(11, 0, true);
    cr_assert(lab.datagrams == 1 && !lab.datagram.port_unreachable);
    cr_assert(addr_eq(&lab.datagram.from, &router) && addr_eq(&lab.datagram.remote.ip, &them));
    cr_assert(lab.datagram.local_port == 80 && lab.datagram.remote.port == 40000);
    cr_assert_eq(lab.datagram.len, 0x0102);
    cr_assert(lab.errors == 0 && lab.sent == 0, "TCP hears nothing of it");

    router = ip("2001:db8:1::1");
    them = ip("2001:db8:7::7");
    hear_datagram(3, 0, false);
    cr_assert(lab.datagrams == 2 && !lab.datagram.port_unreachable);
    cr_assert(addr_eq(&lab.datagram.from, &router) && addr_eq(&lab.datagram.remote.ip, &them));
    cr_assert(lab.datagram.local_port == 80 && lab.datagram.len == 0x0102);
}

Test(quote, of_datagrams_nothing_else_but_a_closed_port_is_told)
{
    hear_datagram(3, 3, true);
    cr_assert(lab.datagrams == 1 && lab.datagram.port_unreachable);
    hear_datagram(1, 4, false);
    cr_assert(lab.datagrams == 2 && lab.datagram.port_unreachable);
    hear_datagram(11, 1, true); /* a fragment's reassembly */
    hear_datagram(3, 1, true);
    hear_datagram(3, 13, true);
    hear_datagram(12, 0, true);
    hear_datagram(2, 0, false);
    hear_datagram(3, 1, false);
    cr_assert_eq(lab.datagrams, 2);
    cr_assert_eq(COUNT(&lab, icmp_ignored_total), 6);
}

Test(quote, a_flood_about_datagrams_leaves_the_segments_alone)
{
    for (unsigned i = 0; i < 5000; i++)
        hear_datagram(11, 0, true);
    cr_assert_eq(lab.datagrams, 100);
    hear4(3, 4, 1400);
    cr_assert_eq(lab.errors, 1);
}

Test(quote, source_quench_says_nothing)
{
    hear4(4, 0, 0);
    cr_assert(lab.errors == 0 && COUNT(&lab, icmp_ignored_total) == 1);
}

Test(quote, a_thousand_a_second_are_looked_at)
{
    for (unsigned i = 0; i < 5000; i++)
        hear4(3, 4, 1400);
    cr_assert(lab.errors == 1000 && COUNT(&lab, icmp_quote_limited_total) == 4000);
    lab.now.mono_us += 100000;
    for (unsigned i = 0; i < 500; i++)
        hear6(2, 0, 1400);
    cr_assert_eq(lab.errors, 1100);
}

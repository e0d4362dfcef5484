/* SPDX-License-Identifier: BSD-3-Clause */
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

TestSuite(parse, .init = setup, .fini = teardown);

static void fix_header(void)
{
    f.b[24] = f.b[25] = 0;
    store_sum(f.b + 24, naive_sum(f.b + 14, (f.b[14] & 15u) * 4, 0));
}

#define DROPS(counter)                                                                             \
    do {                                                                                           \
        uint64_t before = COUNT(&lab, counter);                                                    \
        cr_expect_eq(lab_input(&lab, f.b, f.len), NET_DROP);                                       \
        cr_expect_eq(COUNT(&lab, counter), before + 1, #counter);                                  \
        cr_expect_eq(lab.sent, 0);                                                                 \
    } while (0)

Test(parse, a_udp_datagram_comes_out_exact_and_padding_stays_out)
{
    put_udp(&f, "192.0.2.9", "192.0.2.1", "hello", 5);
    memset(f.b + f.len, 0xee, 20);
    f.len = 60; /* Ethernet's minimum */
    struct net_packet p = {.frame = f.b, .frame_len = 60};
    net_input(lab.net, &p, 1, lab.now);
    cr_assert_eq(p.kind, NET_UDP);
    cr_assert_eq(p.sport, 5353);
    cr_assert_eq(p.dport, 53);
    cr_assert_eq(p.payload_len, 5);
    cr_assert(memcmp(p.payload, "hello", 5) == 0);
    struct addr src = ip("192.0.2.9"), dst = ip("192.0.2.1");
    cr_assert(addr_eq(&p.src, &src) && addr_eq(&p.dst, &dst));
    cr_assert_eq(p.hop_limit, 64);
}

Test(parse, the_same_over_ipv6)
{
    put_udp(&f, "2001:db8::9", "2001:db8::1", "hello", 5);
    struct net_packet p = {.frame = f.b, .frame_len = (uint32_t)f.len};
    net_input(lab.net, &p, 1, lab.now);
    cr_assert_eq(p.kind, NET_UDP);
    cr_assert(p.payload_len == 5 && memcmp(p.payload, "hello", 5) == 0);
}

Test(parse, a_tcp_segment_keeps_its_header_in_the_payload)
{
    uint8_t tcp[24] = {0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2};
    struct addr src = ip("192.0.2.9"), dst = ip("192.0.2.1");
    store_sum(tcp + 16, naive_sum(tcp, 24, naive_pseudo(&src, &dst, 6, 24)));
    put_ip(&f, "192.0.2.9", "192.0.2.1", 6, NULL, 0, tcp, 24);
    struct net_packet p = {.frame = f.b, .frame_len = (uint32_t)f.len};
    net_input(lab.net, &p, 1, lab.now);
    cr_assert_eq(p.kind, NET_TCP);
    cr_assert(p.payload == f.b + 34 && p.payload_len == 24);
    cr_assert(p.sport == 0x1234 && p.dport == 80);

    f.b[40] ^= 1;
    DROPS(drop_l4_checksum_total);
    put_ip(&f, "192.0.2.9", "192.0.2.1", 6, NULL, 0, tcp, 19);
    DROPS(drop_l4_total);
}

Test(parse, every_truncation_is_dropped)
{
    put_udp(&f, "192.0.2.9", "192.0.2.1", "hello", 5);
    for (size_t n = 0; n < f.len; n++)
        cr_assert_eq(lab_input(&lab, f.b, n), NET_DROP, "%zu", n);
    put_udp(&f, "2001:db8::9", "2001:db8::1", "hello", 5);
    for (size_t n = 0; n < f.len; n++)
        cr_assert_eq(lab_input(&lab, f.b, n), NET_DROP, "%zu", n);
}

Test(parse, vlan_tags_foreign_macs_and_unknown_types_are_dropped)
{
    put_udp(&f, "192.0.2.9", "192.0.2.1", "x", 1);
    struct build good = f;
    memmove(f.b + 16, f.b + 12, f.len - 12);
    memcpy(f.b + 12, "\x81\x00\x00\x05", 4);
    f.len += 4;
    DROPS(drop_vlan_total);
    f = good;
    f.b[5] ^= 1;
    DROPS(drop_mac_total);
    f = good;
    memcpy(f.b + 6, OUR_MAC, 6); /* our own, come back */
    DROPS(drop_mac_total);
    f = good;
    f.b[6] |= 1;
    DROPS(drop_mac_total);
    f = good;
    f.b[12] = 0x88;
    f.b[13] = 0xcc;
    DROPS(drop_frame_total);
}

Test(parse, ipv4_headers_that_lie)
{
    put_udp(&f, "192.0.2.9", "192.0.2.1", "hello", 5);
    struct build good = f;
    f.b[14] = 0x65;
    fix_header();
    DROPS(drop_header_total);
    f = good;
    f.b[14] = 0x44; /* IHL 4 */
    DROPS(drop_header_total);
    f = good;
    f.b[14] = 0x4f; /* IHL beyond total length */
    DROPS(drop_header_total);
    f = good;
    f.b[17]++; /* total length beyond the frame */
    fix_header();
    DROPS(drop_header_total);
    f = good;
    f.b[17] = 19;
    fix_header();
    DROPS(drop_header_total);
    f = good;
    f.b[22]--; /* TTL without the sum */
    DROPS(drop_ip_checksum_total);
    cr_assert_eq(lab_input_flagged(&lab, f.b, f.len, true).kind, NET_UDP, "port vouches for it");
}

Test(parse, fragments_are_dropped_and_df_is_not_one)
{
    put_udp(&f, "192.0.2.9", "192.0.2.1", "hello", 5);
    f.b[20] = 0x40;
    fix_header();
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP);
    f.b[20] = 0x20; /* more fragments */
    fix_header();
    DROPS(drop_fragment_total);
    f.b[20] = 0;
    f.b[21] = 1; /* offset 8 */
    fix_header();
    DROPS(drop_fragment_total);
}

Test(parse, ipv4_options_are_skipped_but_source_routes_are_not)
{
    uint8_t udp[8] = {0, 9, 0, 53, 0, 8, 0, 0};
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, "\1\7\7\4\0\0\0\0", 8, udp, 8); /* record route */
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP);
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, "\0\x83\7\4", 4, udp, 8); /* after the end */
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP);
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, "\1\x83\7\4\1\2\3\4", 8, udp, 8);
    DROPS(drop_source_route_total);
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, "\x89\7\4\1\2\3\4\0", 8, udp, 8);
    DROPS(drop_source_route_total);
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, "\7\0\0\0", 4, udp, 8); /* length 0 */
    DROPS(drop_header_total);
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, "\1\1\7\3", 4, udp, 8); /* beyond the header */
    DROPS(drop_header_total);
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, "\1\1\1\7", 4, udp, 8); /* length missing */
    DROPS(drop_header_total);
}

Test(parse, udp_lengths)
{
    uint8_t udp[12] = {0, 9, 0, 53, 0, 10, 0, 0, 'a', 'b', 'c', 'd'};
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, NULL, 0, udp, 12);
    struct net_packet p = lab_input_flagged(&lab, f.b, f.len, false);
    cr_assert(p.kind == NET_UDP && p.payload_len == 2, "what trails is trimmed");
    udp[5] = 7;
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, NULL, 0, udp, 12);
    DROPS(drop_l4_total);
    udp[5] = 13;
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, NULL, 0, udp, 12);
    DROPS(drop_l4_total);
    udp[5] = 7;
    put_ip(&f, "192.0.2.9", "192.0.2.1", 17, NULL, 0, udp, 7);
    DROPS(drop_l4_total);
}

Test(parse, udp_checksums)
{
    put_udp(&f, "192.0.2.9", "192.0.2.1", "hello", 5);
    f.b[f.len - 1] ^= 4;
    DROPS(drop_l4_checksum_total);
    cr_assert_eq(lab_input_flagged(&lab, f.b, f.len, true).kind, NET_UDP);
    f.b[40] = f.b[41] = 0; /* no checksum: IPv4 allows it */
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP);
    put_udp(&f, "2001:db8::9", "2001:db8::1", "hello", 5);
    f.b[60] = f.b[61] = 0; /* IPv6 does not, RFC 8200 8.1 */
    DROPS(drop_l4_checksum_total);
}

Test(parse, sources_that_nobody_can_have)
{
    static const char *const bad4[] = {"0.0.0.0",   "0.1.2.3",         "127.0.0.1", "224.0.0.1",
                                       "240.0.0.1", "255.255.255.255", "192.0.2.1", "192.0.2.255"};
    for (size_t i = 0; i < sizeof(bad4) / sizeof(*bad4); i++) {
        put_udp(&f, bad4[i], "192.0.2.1", "x", 1);
        DROPS(drop_source_total);
    }
    static const char *const bad6[] = {"::", "::1", "ff02::1", "2001:db8::1",
                                       "fe80::ff:fe00:1" /* our link-local */};
    for (size_t i = 0; i < sizeof(bad6) / sizeof(*bad6); i++) {
        put_udp(&f, bad6[i], "2001:db8::1", "x", 1);
        DROPS(drop_source_total);
    }
    put_udp(&f, "2001:db8::9", "2001:db8::1", "x", 1);
    struct addr mapped = ip("198.51.100.7");
    memcpy(f.b + 22, mapped.b, 16); /* would pass for IPv4 */
    DROPS(drop_source_total);
}

Test(parse, destinations_that_are_not_ours)
{
    put_udp(&f, "192.0.2.9", "192.0.2.2", "x", 1);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_NOT_OURS);
    put_udp(&f, "2001:db8::9", "2001:db8::2", "x", 1);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_NOT_OURS);
    cr_assert_eq(COUNT(&lab, not_ours_total), 2);
    put_udp(&f, "192.0.2.9", "192.0.2.255", "x", 1);
    DROPS(drop_group_total);
    put_udp(&f, "192.0.2.9", "224.0.0.251", "x", 1);
    DROPS(drop_group_total);
    put_udp(&f, "2001:db8::9", "ff02::fb", "x", 1);
    DROPS(drop_group_total);
    put_udp(&f, "2001:db8::9", "ff02::1", "x", 1); /* all nodes: for ND only */
    DROPS(drop_group_total);
    put_udp(&f, "192.0.2.9", "192.0.2.1", "x", 1); /* ours, but broadcast on the link */
    memset(f.b, 0xff, 6);
    DROPS(drop_group_total);
}

Test(parse, ipv6_headers_that_lie)
{
    put_udp(&f, "2001:db8::9", "2001:db8::1", "hello", 5);
    struct build good = f;
    f.b[14] = 0x45;
    DROPS(drop_header_total);
    f = good;
    f.b[19]++;
    DROPS(drop_header_total);
    f = good;
    f.b[20] = 1; /* ICMPv4 in IPv6 */
    DROPS(drop_extension_total);
    f = good;
    f.b[20] = 59;
    DROPS(drop_extension_total);
}

/* put_ip takes the first next-header value from the byte behind the extension headers */
static void with_extensions(const void *ext, size_t len, uint8_t first)
{
    uint8_t options[256], udp[9] = {0, 9, 0, 53, 0, 9, 0, 0, 'x'};
    struct addr src = ip("2001:db8::9"), dst = ip("2001:db8::1");
    memcpy(options, ext, len);
    options[len] = first;
    store_sum(udp + 6, naive_sum(udp, 9, naive_pseudo(&src, &dst, 17, 9)));
    put_ip(&f, "2001:db8::9", "2001:db8::1", 17, options, len, udp, 9);
}

Test(parse, ipv6_options_are_skipped_within_bounds)
{
    with_extensions("\x11\0\5\2\0\0\1\0", 8, 0); /* hop-by-hop: router alert, PadN 0 */
    struct net_packet p = lab_input_flagged(&lab, f.b, f.len, false);
    cr_assert(p.kind == NET_UDP && p.payload_len == 1);
    with_extensions("\x3c\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0", 16, 0);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP);
    with_extensions("\x11\0\0\0\0\0\0\0", 8, 60); /* six Pad1 */
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP);

    with_extensions("\x11\0\xc1\4\0\0\0\0", 8, 60); /* an option that must be known */
    DROPS(drop_extension_total);
    with_extensions("\x11\0\1\5\0\0\0\0", 8, 60); /* an option beyond its header */
    DROPS(drop_extension_total);
    with_extensions("\x00\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0", 16, 60); /* hop-by-hop not first */
    DROPS(drop_extension_total);
    with_extensions("\x11\x09\1\4\0\0\0\0", 8, 60); /* longer than the packet */
    DROPS(drop_header_total);
    with_extensions("\x11\0\0\0\0\0\0\0", 8, 43);
    DROPS(drop_source_route_total);
    with_extensions("\x11\0\0\0\0\0\0\0", 8, 44);
    DROPS(drop_fragment_total);
    with_extensions("\x11\0\0\0\0\0\0\0", 8, 51); /* authentication */
    DROPS(drop_extension_total);
    uint8_t many[40];
    for (unsigned i = 0; i < 5; i++)
        memcpy(many + 8 * i, i == 4 ? "\x11\0\1\4\0\0\0\0" : "\x3c\0\1\4\0\0\0\0", 8);
    with_extensions(many + 8, 32, 60);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP, "four are followed");
    with_extensions(many, 40, 60);
    DROPS(drop_extension_total);
}

Test(parse, a_whole_burst_keeps_its_order)
{
    struct build b[NET_BURST];
    struct net_packet p[NET_BURST];
    for (unsigned i = 0; i < NET_BURST; i++) {
        uint8_t c = (uint8_t)i;
        put_udp(&b[i], "192.0.2.9", i % 3 ? "192.0.2.1" : "192.0.2.7", &c, 1);
        p[i] = (struct net_packet){.frame = b[i].b, .frame_len = (uint32_t)b[i].len};
    }
    net_input(lab.net, p, NET_BURST, lab.now);
    for (unsigned i = 0; i < NET_BURST; i++) {
        cr_assert_eq(p[i].kind, i % 3 ? NET_UDP : NET_NOT_OURS);
        if (i % 3)
            cr_assert_eq(p[i].payload[0], i);
    }
    cr_assert_eq(COUNT(&lab, frames_total), NET_BURST);
}

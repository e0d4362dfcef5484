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

TestSuite(icmp, .init = setup, .fini = teardown);

Test(icmp, a_ping_is_answered_byte_for_byte)
{
    lab_meet(&lab, "192.0.2.9");
    put_icmp(&f, "192.0.2.9", "192.0.2.1", "\x08\0\0\0\x12\x34\0\1abcdefg", 15);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
    cr_assert(lab.sent == 1 && lab.len == 14 + 20 + 15);
    cr_assert(memcmp(lab.frame, PEER_MAC, 6) == 0 && memcmp(lab.frame + 6, OUR_MAC, 6) == 0);
    static const uint8_t want[] = {0x08, 0,    0x45, 0,   0, 35, 0, 0,   0x40, 0, 64,
                                   1,    0xb6, 0xad, 192, 0, 2,  1, 192, 0,    2, 9};
    uint8_t header[20];
    memcpy(header, lab.frame + 14, 20);
    cr_assert_eq(naive_sum(header, 20, 0), 0xffff);
    cr_assert(memcmp(lab.frame + 12, want, 12) == 0);
    cr_assert(memcmp(lab.frame + 26, want + 14, 8) == 0);
    cr_assert_eq(lab.frame[34], 0);
    cr_assert_eq(naive_sum(lab.frame + 34, 15, 0), 0xffff);
    cr_assert(memcmp(lab.frame + 38, "\x12\x34\0\1abcdefg", 11) == 0);
    cr_assert_eq(COUNT(&lab, echo_replies_total), 1);
}

Test(icmp, a_ping6_is_answered)
{
    lab_meet(&lab, "2001:db8::9");
    put_icmp(&f, "2001:db8::9", "2001:db8::1", "\x80\0\0\0\x12\x34\0\1abcdefg", 15);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
    cr_assert(lab.sent == 1 && lab.len == 14 + 40 + 15);
    struct addr s = ip("2001:db8::1"), d = ip("2001:db8::9");
    cr_assert(memcmp(lab.frame + 22, s.b, 16) == 0 && memcmp(lab.frame + 38, d.b, 16) == 0);
    cr_assert_eq(lab.frame[54], 129);
    cr_assert_eq(naive_sum(lab.frame + 54, 15, naive_pseudo(&s, &d, 58, 15)), 0xffff);
    cr_assert(memcmp(lab.frame + 58, "\x12\x34\0\1abcdefg", 11) == 0);
}

Test(icmp, the_largest_ping_of_the_mtu_fits)
{
    uint8_t m[1480] = {8};
    lab_meet(&lab, "192.0.2.9");
    put_icmp(&f, "192.0.2.9", "192.0.2.1", m, sizeof(m));
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.sent == 1 && lab.len == 1514);
}

Test(icmp, sums_are_checked_even_where_the_port_vouches)
{
    lab_meet(&lab, "192.0.2.9");
    put_icmp(&f, "192.0.2.9", "192.0.2.1", "\x08\0\0\0\x12\x34\0\1", 8);
    f.b[40] ^= 1;
    cr_assert_eq(lab_input_flagged(&lab, f.b, f.len, true).kind, NET_DROP);
    cr_assert(lab.sent == 0 && COUNT(&lab, drop_l4_checksum_total) == 1);
}

Test(icmp, broadcast_and_multicast_pings_are_not_answered)
{
    lab_meet(&lab, "192.0.2.9");
    lab_meet(&lab, "2001:db8::9");
    put_icmp(&f, "192.0.2.9", "192.0.2.255", "\x08\0\0\0\x12\x34\0\1", 8);
    lab_input(&lab, f.b, f.len);
    put_icmp(&f, "192.0.2.9", "192.0.2.1", "\x08\0\0\0\x12\x34\0\1", 8);
    memset(f.b, 0xff, 6);
    lab_input(&lab, f.b, f.len);
    put_icmp(&f, "2001:db8::9", "ff02::1", "\x80\0\0\0\x12\x34\0\1", 8);
    lab_input(&lab, f.b, f.len);
    put_icmp(&f, "::", "2001:db8::1", "\x80\0\0\0\x12\x34\0\1", 8);
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.sent == 0 && COUNT(&lab, drop_group_total) == 4);
}

Test(icmp, other_messages_are_taken_in_silence)
{
    static const uint8_t types4[] = {0, 3, 5, 11, 13, 17}, types6[] = {1, 2, 129, 130, 134, 137};
    lab_meet(&lab, "192.0.2.9");
    for (size_t i = 0; i < 6; i++) {
        uint8_t m[40] = {types4[i]};
        put_icmp(&f, "192.0.2.9", "192.0.2.1", m, 40);
        cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
        m[0] = types6[i];
        put_icmp(&f, "2001:db8::9", "2001:db8::1", m, 40);
        cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
    }
    put_icmp(&f, "192.0.2.9", "192.0.2.1", "\x08\0\0\0", 4);
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.sent == 0 && COUNT(&lab, icmp_ignored_total) == 8);
    cr_assert_eq(COUNT(&lab, icmp_quote_bad_total), 4);
    cr_assert_eq(COUNT(&lab, drop_l4_total), 1);
}

Test(icmp, a_port_that_nobody_serves_is_reported_with_a_quote)
{
    uint8_t big[1400];
    memset(big, 'x', sizeof(big));
    lab_meet(&lab, "192.0.2.9");
    lab_meet(&lab, "2001:db8::9");
    put_udp(&f, "192.0.2.9", "192.0.2.1", "hello", 5);
    struct net_packet p = {.frame = f.b, .frame_len = (uint32_t)f.len};
    net_input(lab.net, &p, 1, lab.now);
    net_unreachable(lab.net, &p, lab.now);
    cr_assert(lab.sent == 1 && lab.len == 14 + 20 + 8 + 33);
    cr_assert(lab.frame[34] == 3 && lab.frame[35] == 3);
    cr_assert(memcmp(lab.frame + 42, f.b + 14, 33) == 0);
    cr_assert_eq(naive_sum(lab.frame + 34, 41, 0), 0xffff);

    put_udp(&f, "2001:db8::9", "2001:db8::1", big, sizeof(big));
    p = (struct net_packet){.frame = f.b, .frame_len = (uint32_t)f.len};
    net_input(lab.net, &p, 1, lab.now);
    net_unreachable(lab.net, &p, lab.now);
    cr_assert(lab.sent == 2 && lab.len == 14 + 1280, "RFC 4443 2.4 c");
    cr_assert(lab.frame[54] == 1 && lab.frame[55] == 4);
    cr_assert(memcmp(lab.frame + 62, f.b + 14, 1232) == 0);
}

Test(icmp, errors_are_rate_limited)
{
    lab_meet(&lab, "192.0.2.9");
    put_udp(&f, "192.0.2.9", "192.0.2.1", "hello", 5);
    struct net_packet p = {.frame = f.b, .frame_len = (uint32_t)f.len};
    net_input(lab.net, &p, 1, lab.now);
    for (unsigned i = 0; i < 1000; i++)
        net_unreachable(lab.net, &p, lab.now);
    cr_assert_eq(lab.sent, 100);
    lab.now.mono_us += 100000;
    for (unsigned i = 0; i < 1000; i++)
        net_unreachable(lab.net, &p, lab.now);
    cr_assert_eq(lab.sent, 110);
    cr_assert_eq(COUNT(&lab, icmp_errors_limited_total), 1890);
}

Test(icmp, a_refusing_port_is_counted)
{
    lab_meet(&lab, "192.0.2.9");
    lab.refuse = true;
    put_icmp(&f, "192.0.2.9", "192.0.2.1", "\x08\0\0\0\x12\x34\0\1", 8);
    lab_input(&lab, f.b, f.len);
    cr_assert(COUNT(&lab, send_refused_total) == 1 && COUNT(&lab, echo_replies_total) == 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/net/frames.h"

static struct lab lab;
static struct build f;
static const uint8_t BROADCAST[6] = {255, 255, 255, 255, 255, 255};
static const uint8_t OTHER_MAC[6] = {2, 0, 0, 0, 0, 0x77};

static void setup(void)
{
    lab_init(&lab);
}

static void teardown(void)
{
    lab_done(&lab);
}

TestSuite(neighbour, .init = setup, .fini = teardown);

static const uint8_t *out(const char *to)
{
    static uint8_t room[NET_HEADROOM + 8];
    struct addr dst = ip(to), src;
    cr_assert(net_source(lab.net, &dst, &src));
    return net_output(lab.net, room + NET_HEADROOM, 8, &src, &dst, 17, lab.now);
}

static void second(void)
{
    lab.now.mono_us += 1000000;
    net_tick(lab.net, lab.now);
}

Test(neighbour, an_arp_request_is_answered_byte_for_byte)
{
    put_arp(&f, BROADCAST, 1, "192.0.2.9", PEER_MAC, "192.0.2.1");
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
    static const uint8_t want[42] = {
        0x02, 0,    0, 0, 0, 0x99, 0x02, 0,   0, 0, 0, 0x01, 0x08, 0x06, 0, 1, 8,    0,   6, 4, 0,
        2,    0x02, 0, 0, 0, 0,    0x01, 192, 0, 2, 1, 0x02, 0,    0,    0, 0, 0x99, 192, 0, 2, 9};
    cr_assert(lab.sent == 1 && lab.len == 42 && memcmp(lab.frame, want, 42) == 0);
    /* who asks for us will hear from us: learned, and told to the other workers */
    struct addr peer = ip("192.0.2.9");
    cr_assert(lab.learned == 1 && addr_eq(&lab.learned_ip, &peer));
    cr_assert(memcmp(lab.learned_mac, PEER_MAC, 6) == 0);
    cr_assert(out("192.0.2.9") != NULL);
}

Test(neighbour, arp_for_others_teaches_nothing_new_but_updates)
{
    put_arp(&f, BROADCAST, 1, "192.0.2.9", PEER_MAC, "192.0.2.7");
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.sent == 0 && lab.learned == 0);
    lab_meet(&lab, "192.0.2.9");
    put_arp(&f, BROADCAST, 1, "192.0.2.9", OTHER_MAC, "192.0.2.9"); /* it moved, and says so */
    lab_input(&lab, f.b, f.len);
    cr_assert(memcmp(out("192.0.2.9"), OTHER_MAC, 6) == 0);
}

Test(neighbour, malformed_arp_is_dropped)
{
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{15, 2}, {16, 9}, {18, 5}, {19, 5}, {21, 3}, {21, 0}, {22, 3 /* group MAC */}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        put_arp(&f, BROADCAST, 1, "192.0.2.9", PEER_MAC, "192.0.2.1");
        f.b[wrong[i].at] = wrong[i].value;
        lab_input(&lab, f.b, f.len);
        cr_assert_eq(COUNT(&lab, drop_arp_total), i + 1, "%zu", wrong[i].at);
    }
    put_arp(&f, BROADCAST, 1, "192.0.2.9", PEER_MAC, "192.0.2.1");
    for (size_t n = 14; n < 42; n++)
        lab_input(&lab, f.b, n);
    cr_assert(lab.sent == 0 && lab.learned == 0);
}

Test(neighbour, a_probe_is_answered_without_learning_and_a_conflict_is_counted)
{
    put_arp(&f, BROADCAST, 1, "0.0.0.0", PEER_MAC, "192.0.2.1"); /* RFC 5227 */
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.sent == 1 && lab.learned == 0);
    put_arp(&f, BROADCAST, 1, "192.0.2.1", PEER_MAC, "192.0.2.1");
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.sent == 1 && lab.learned == 0 && COUNT(&lab, conflicts_total) == 1);
    put_arp(&f, BROADCAST, 1, "198.51.100.1", PEER_MAC, "192.0.2.1"); /* not of this link */
    lab_input(&lab, f.b, f.len);
    cr_assert_eq(lab.learned, 0);
}

Test(neighbour, a_solicitation_is_answered_byte_for_byte)
{
    put_nd(&f, 135, 0, "2001:db8::9", "ff02::1:ff00:1", "2001:db8::1", PEER_MAC);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
    static const uint8_t want[86] = {
        2,    0,    0,    0,    0,    0x99, 2,    0,    0,    0, 0, 1, 0x86, 0xdd, /* Ethernet */
        0x60, 0,    0,    0,    0,    32,   58,   255,                             /* IPv6 */
        0x20, 0x01, 0x0d, 0xb8, 0,    0,    0,    0,    0,    0, 0, 0, 0,    0,
        0,    1,    0x20, 0x01, 0x0d, 0xb8, 0,    0,    0,    0, 0, 0, 0,    0,
        0,    0,    0,    9,    136,  0,    0x3d, 0x9a, 0x60, 0, 0, 0, /* solicited, override */
        0x20, 0x01, 0x0d, 0xb8, 0,    0,    0,    0,    0,    0, 0, 0, 0,    0,
        0,    1,    2,    1,    2,    0,    0,    0,    0,    1}; /* target link-layer address */
    uint8_t sum[2];
    struct addr src = ip("2001:db8::1"), dst = ip("2001:db8::9");
    uint8_t m[32];
    memcpy(m, want + 54, 32);
    m[2] = m[3] = 0;
    store_sum(sum, naive_sum(m, 32, naive_pseudo(&src, &dst, 58, 32)));
    cr_assert(lab.sent == 1 && lab.len == 86);
    cr_assert(memcmp(lab.frame, want, 56) == 0 && memcmp(lab.frame + 58, want + 58, 28) == 0);
    cr_assert(memcmp(lab.frame + 56, sum, 2) == 0);
    cr_assert(lab.learned == 1 && out("2001:db8::9") != NULL);
}

Test(neighbour, duplicate_address_detection_of_our_address_is_answered_to_all)
{
    put_nd(&f, 135, 0, "::", "ff02::1:ff00:1", "2001:db8::1", NULL);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_CONSUMED);
    cr_assert(lab.sent == 1 && lab.learned == 0);
    cr_assert(memcmp(lab.frame, "\x33\x33\0\0\0\1", 6) == 0);
    cr_assert_eq(lab.frame[58], 0x20, "not solicited");
}

Test(neighbour, link_local_address_is_made_of_the_mac_and_answers)
{
    struct addr ll = ip("fe80::ff:fe00:1"), src;
    cr_assert(net_is_ours(lab.net, &ll));
    put_nd(&f, 135, 0, "fe80::9", "ff02::1:ff00:1", "fe80::ff:fe00:1", PEER_MAC);
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.sent == 1 && memcmp(lab.frame + 22, ll.b, 16) == 0);
    struct addr peer = ip("fe80::9");
    cr_assert(net_source(lab.net, &peer, &src) && addr_eq(&src, &ll));
    cr_assert(out("fe80::9") != NULL);
}

Test(neighbour, discovery_that_rfc_4861_forbids)
{
    struct build good;
    put_nd(&good, 135, 0, "2001:db8::9", "2001:db8::1", "2001:db8::1", PEER_MAC);
    uint64_t bad = 0;
#define FORBIDDEN()                                                                                \
    do {                                                                                           \
        lab_input(&lab, f.b, f.len);                                                               \
        cr_expect(lab.sent == 0 && lab.learned == 0);                                              \
        cr_expect_eq(COUNT(&lab, drop_nd_total), ++bad);                                           \
    } while (0)
    f = good;
    f.b[21] = 254; /* came over a router */
    FORBIDDEN();
    put_nd(&f, 135, 0, "2001:db8::9", "2001:db8::1", "ff02::1", PEER_MAC); /* target a group */
    FORBIDDEN();
    put_nd(&f, 135, 0, "::", "ff02::1:ff00:1", "2001:db8::1", PEER_MAC); /* DAD with an option */
    FORBIDDEN();
    put_nd(&f, 135, 0, "::", "2001:db8::1", "2001:db8::1", NULL); /* DAD to unicast */
    FORBIDDEN();
    put_nd(&f, 136, 0x40, "2001:db8::9", "ff02::1", "2001:db8::9", PEER_MAC);
    FORBIDDEN(); /* a solicited answer to all */
    struct {
        uint8_t m[33];
        size_t len;
    } raw[] = {{{135}, 23},
               {{135, 1}, 24},
               {{135, [24] = 1, [25] = 0}, 32},
               {{135, [24] = 1, [25] = 2}, 32},
               {{135, [24] = 1, [25] = 1}, 31},
               {{135, [24] = 1, [25] = 1, [26] = 3}, 32}};
    struct addr us = ip("2001:db8::1");
    for (size_t i = 0; i < sizeof(raw) / sizeof(*raw); i++) {
        memcpy(raw[i].m + 8, us.b, raw[i].len < 24 ? 15 : 16);
        put_icmp(&f, "2001:db8::9", "2001:db8::1", raw[i].m, raw[i].len);
        f.b[21] = 255;
        FORBIDDEN();
    }
}

Test(neighbour, unknown_neighbours_are_asked_once_a_second_and_then_sent_to)
{
    cr_assert(!out("192.0.2.9"));
    cr_assert_eq(lab.sent, 1);
    static const uint8_t want[42] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0,   1, 8, 6,
                                     0,   1,   8,   0,   6,   4,   0, 1, 2, 0, 0,   0, 0, 1,
                                     192, 0,   2,   1,   0,   0,   0, 0, 0, 0, 192, 0, 2, 9};
    cr_assert(lab.len == 42 && memcmp(lab.frame, want, 42) == 0);
    for (unsigned i = 0; i < 50; i++)
        cr_assert(!out("192.0.2.9"));
    cr_assert(lab.sent == 1 && COUNT(&lab, unresolved_total) == 51);
    lab.now.mono_us += 1000000;
    cr_assert(!out("192.0.2.9"));
    cr_assert_eq(lab.sent, 2);
    put_arp(&f, OUR_MAC, 2, "192.0.2.9", PEER_MAC, "192.0.2.1");
    lab_input(&lab, f.b, f.len);
    cr_assert_eq(lab.sent, 2, "a reply is not answered");
    cr_assert(memcmp(out("192.0.2.9"), PEER_MAC, 6) == 0);
}

Test(neighbour, ipv6_neighbours_are_asked_at_their_group)
{
    cr_assert(!out("2001:db8::12:3456"));
    cr_assert(lab.sent == 1 && memcmp(lab.frame, "\x33\x33\xff\x12\x34\x56", 6) == 0);
    cr_assert(lab.frame[54] == 135 && lab.frame[21] == 255);
    struct addr s, d;
    memcpy(s.b, lab.frame + 22, 16);
    memcpy(d.b, lab.frame + 38, 16);
    cr_assert_eq(naive_sum(lab.frame + 54, 32, naive_pseudo(&s, &d, 58, 32)), 0xffff);
    put_nd(&f, 136, 0x60, "2001:db8::12:3456", "2001:db8::1", "2001:db8::12:3456", PEER_MAC);
    lab_input(&lab, f.b, f.len);
    cr_assert(lab.learned == 1 && memcmp(out("2001:db8::12:3456"), PEER_MAC, 6) == 0);
}

Test(neighbour, advertisements_follow_the_override_rules)
{
    put_nd(&f, 136, 0x20, "2001:db8::9", "ff02::1", "2001:db8::9", PEER_MAC);
    lab_input(&lab, f.b, f.len);
    cr_assert_eq(lab.learned, 0, "nobody asked for it: RFC 4861 7.2.5");
    lab_meet(&lab, "2001:db8::9");
    put_nd(&f, 136, 0x00, "2001:db8::9", "2001:db8::1", "2001:db8::9", OTHER_MAC);
    lab_input(&lab, f.b, f.len);
    cr_assert(memcmp(out("2001:db8::9"), PEER_MAC, 6) == 0, "no override");
    put_nd(&f, 136, 0x20, "2001:db8::9", "ff02::1", "2001:db8::9", OTHER_MAC);
    lab_input(&lab, f.b, f.len);
    cr_assert(memcmp(out("2001:db8::9"), OTHER_MAC, 6) == 0, "override");
}

Test(neighbour, an_answer_to_another_workers_question_is_passed_on)
{
    put_nd(&f, 136, 0x60, "2001:db8::9", "2001:db8::1", "2001:db8::9", PEER_MAC);
    lab_input(&lab, f.b, f.len);
    cr_assert_eq(lab.learned, 1);
    /* and the other worker takes it */
    struct addr ten = ip("192.0.2.10");
    net_neighbour_set(lab.net, &ten, PEER_MAC, lab.now);
    cr_assert(lab.learned == 1 && out("192.0.2.10") != NULL);
}

Test(neighbour, data_packets_teach_nothing)
{
    put_udp(&f, "192.0.2.9", "192.0.2.1", "x", 1);
    cr_assert_eq(lab_input(&lab, f.b, f.len), NET_UDP);
    cr_assert(!out("192.0.2.9"));
}

Test(neighbour, in_use_it_is_asked_again_after_a_minute_and_forgotten_after_three)
{
    lab_meet(&lab, "192.0.2.9");
    for (unsigned i = 0; i < 59; i++) {
        second();
        cr_assert(out("192.0.2.9"));
    }
    cr_assert_eq(lab.sent, 0);
    for (unsigned i = 0; i < 3; i++) {
        second();
        cr_assert(out("192.0.2.9"), "still usable while asked");
        cr_assert_eq(lab.sent, i + 1);
    }
    second();
    cr_assert_eq(COUNT(&lab, neighbours_lost_total), 1);
    cr_assert_eq(COUNT(&lab, neighbours), 0);
    cr_assert(!out("192.0.2.9"));
}

Test(neighbour, an_answer_makes_it_fresh_again)
{
    lab_meet(&lab, "192.0.2.9");
    for (unsigned i = 0; i < 200; i++) {
        second();
        cr_assert(out("192.0.2.9"));
        if (lab.sent) {
            put_arp(&f, OUR_MAC, 2, "192.0.2.9", PEER_MAC, "192.0.2.1");
            lab_input(&lab, f.b, f.len);
            cr_assert_eq(lab.sent, 1);
            lab.sent = 0;
        }
    }
    cr_assert_eq(COUNT(&lab, solicitations_total), 3);
}

Test(neighbour, unused_ones_are_not_asked_and_fade)
{
    lab_meet(&lab, "192.0.2.9");
    for (unsigned i = 0; i < 60; i++)
        second();
    lab.sent = 0;
    for (unsigned i = 0; i < 500; i++)
        second();
    cr_assert(lab.sent == 0 && COUNT(&lab, neighbours) == 1);
    for (unsigned i = 0; i < 60; i++)
        second();
    cr_assert_eq(COUNT(&lab, neighbours), 0);
}

Test(neighbour, a_full_table_displaces_the_unanswered_and_keeps_who_is_in_use)
{
    char text[ADDR_TEXT];
    lab_meet(&lab, "2001:db8::9");
    struct addr gateway = ip("2001:db8::fe");
    net_neighbour_set(lab.net, &gateway, PEER_MAC, lab.now);
    for (unsigned i = 0; i < 5000; i++) {
        lab.now.mono_us += 100;
        snprintf(text, sizeof(text), "2001:db8::1:%x", i + 1);
        out(text);
        cr_assert(out("2001:db8::9"), "%u", i);
    }
    cr_assert(out("2001:db8:1::1"), "the gateway is never displaced");
    cr_assert_eq(COUNT(&lab, neighbours), NET_NEIGHBOURS);
    cr_assert(COUNT(&lab, neighbours_evicted_total) > 3900);
    cr_assert(lab.sent < 400, "a scan is no storm: %u", lab.sent);
    cr_assert(COUNT(&lab, solicitations_limited_total) > 0);
    for (unsigned i = 0; i < 30; i++) {
        second();
        cr_assert(COUNT(&lab, neighbours) <= NET_NEIGHBOURS);
    }
}

Test(neighbour, the_gateway_outlives_any_number_of_neighbours_that_answer)
{
    char text[ADDR_TEXT];
    struct addr gateway = ip("2001:db8::fe");
    net_neighbour_set(lab.net, &gateway, PEER_MAC, lab.now);
    for (unsigned i = 0; i < 3 * NET_NEIGHBOURS; i++) {
        lab.now.mono_us += 100;
        snprintf(text, sizeof(text), "2001:db8::1:%x", i + 1);
        struct addr a = ip(text);
        net_neighbour_set(lab.net, &a, OTHER_MAC, lab.now);
    }
    cr_assert(memcmp(out("2001:db8:1::1"), PEER_MAC, 6) == 0);
    cr_assert_eq(COUNT(&lab, neighbours), NET_NEIGHBOURS);
}

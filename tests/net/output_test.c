/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/net/frames.h"

static struct lab lab;
static uint8_t room[NET_HEADROOM + 64];

static void setup(void)
{
    lab_init(&lab);
}

static void teardown(void)
{
    lab_done(&lab);
}

TestSuite(output, .init = setup, .fini = teardown);

static uint8_t *out(const char *from, const char *to)
{
    struct addr src = ip(from), dst = ip(to);
    return net_output(lab.net, room + NET_HEADROOM, 16, &src, &dst, 17, lab.now);
}

Test(output, what_we_send_we_would_accept)
{
    lab_meet(&lab, "192.0.2.9");
    struct addr src = ip("192.0.2.1"), dst = ip("192.0.2.9");
    memcpy(room + NET_HEADROOM + 8, "payload!", 8);
    net_udp_header(room + NET_HEADROOM, 53, 5353, &src, &dst, 8, true);
    uint8_t *frame = out("192.0.2.1", "192.0.2.9");
    cr_assert(frame == room + NET_HEADROOM - 34);

    struct lab peer;
    struct net_config c = {.mtu = 1500, .addresses = 1, .address = {{dst, 24}}};
    memcpy(c.mac, PEER_MAC, 6);
    struct net_host h = {.ctx = &peer, .send = lab_send};
    memset(&peer, 0, sizeof(peer));
    peer.net = net_create(&c, &h);
    struct net_packet p = {.frame = frame, .frame_len = 34 + 16};
    net_input(peer.net, &p, 1, lab.now);
    cr_assert(p.kind == NET_UDP && p.payload_len == 8 && p.sport == 53);
    cr_assert(memcmp(p.payload, "payload!", 8) == 0);
    net_destroy(peer.net);
}

Test(output, ipv6_header_byte_for_byte)
{
    lab_meet(&lab, "2001:db8::9");
    uint8_t *frame = out("2001:db8::1", "2001:db8::9");
    static const uint8_t want[54] = {
        2, 0,  0,    0,  0,    0x99, 2,   0,    0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0,
        0, 16, 17,   64, 0x20, 1,    0xd, 0xb8, 0, 0, 0, 0, 0,    0,    0,    0, 0, 0,
        0, 1,  0x20, 1,  0xd,  0xb8, 0,   0,    0, 0, 0, 0, 0,    0,    0,    0, 0, 9};
    cr_assert(frame == room + NET_HEADROOM - 54 && memcmp(frame, want, 54) == 0);
}

Test(output, far_destinations_go_by_the_gateway_of_their_family)
{
    static const uint8_t gw4[6] = {2, 0, 0, 0, 4, 4}, gw6[6] = {2, 0, 0, 0, 6, 6};
    struct addr g4 = ip("192.0.2.254"), g6 = ip("2001:db8::fe");
    cr_assert(!out("192.0.2.1", "198.51.100.1"));
    cr_assert(memcmp(lab.frame + 38, "\xc0\0\2\xfe", 4) == 0, "the gateway is asked for");
    net_neighbour_set(lab.net, &g4, gw4, lab.now);
    net_neighbour_set(lab.net, &g6, gw6, lab.now);
    cr_assert(memcmp(out("192.0.2.1", "198.51.100.1"), gw4, 6) == 0);
    cr_assert(memcmp(out("2001:db8::1", "2001:db8:1::1"), gw6, 6) == 0);
}

Test(output, without_a_gateway_there_is_no_route)
{
    struct net_config c = {.mtu = 1500, .addresses = 1, .address = {{ip("192.0.2.1"), 24}}};
    struct net_host h = {.ctx = &lab, .send = lab_send, .learned = lab_learned};
    net_destroy(lab.net);
    lab.net = net_create(&c, &h);
    cr_assert(!out("192.0.2.1", "198.51.100.1"));
    cr_assert(!out("192.0.2.1", "2001:db8::9"));
    cr_assert(lab.sent == 0 && COUNT(&lab, no_route_total) == 2);
    cr_assert(!out("192.0.2.1", "224.0.0.1"), "nothing is sent to groups");
    cr_assert(!out("fe80::1", "ff02::1"));
    cr_assert_eq(COUNT(&lab, no_route_total), 4);
}

Test(output, the_source_is_the_address_in_the_destinations_subnet)
{
    struct net_config c = {.mtu = 1500,
                           .addresses = 4,
                           .address = {{ip("192.0.2.1"), 24},
                                       {ip("198.51.100.1"), 25},
                                       {ip("2001:db8::1"), 64},
                                       {ip("2001:db8:0:1::1"), 64}}};
    struct net_host h = {.ctx = &lab, .send = lab_send};
    struct net *n = net_create(&c, &h);
    static const char *const pairs[][2] = {
        {"192.0.2.77", "192.0.2.1"},     {"198.51.100.127", "198.51.100.1"},
        {"198.51.100.128", "192.0.2.1"}, {"8.8.8.8", "192.0.2.1"},
        {"2001:db8::55", "2001:db8::1"}, {"2001:db8:0:1::55", "2001:db8:0:1::1"},
        {"2600::", "2001:db8::1"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        struct addr dst = ip(pairs[i][0]), want = ip(pairs[i][1]), got;
        cr_assert(net_source(n, &dst, &got) && addr_eq(&got, &want), "%s", pairs[i][0]);
    }
    net_destroy(n);
    c.addresses = 2;
    n = net_create(&c, &h);
    struct addr far = ip("2600::"), got;
    cr_assert(!net_source(n, &far, &got), "a link-local address does not reach that far");
    net_destroy(n);
}

Test(output, at_start_our_addresses_are_announced_and_gateways_asked)
{
    net_announce(lab.net);
    /* v4, v6, link-local, two gateways */
    cr_assert_eq(lab.sent, 5);
    cr_assert_eq(COUNT(&lab, solicitations_total), 3);
    cr_assert_eq(COUNT(&lab, neighbours), 0);
}

Test(output, a_hop_limit_of_choice_keeps_the_sum_right)
{
    lab_meet(&lab, "192.0.2.9");
    uint8_t *frame = out("192.0.2.1", "192.0.2.9");
    cr_assert(frame != NULL && frame[14 + 8] == 64);
    net_mark_hop_limit(room + NET_HEADROOM, true, 3);
    cr_assert_eq(frame[14 + 8], 3);
    cr_assert(net_sum_finish(net_sum(frame + 14, 20, 0)) == 0);
    uint8_t v6[48] = {0x60};
    net_mark_hop_limit(v6 + 40, false, 3);
    cr_assert_eq(v6[7], 3);
}

Test(output, a_mark_of_congestion_capability_keeps_the_sum_right)
{
    lab_meet(&lab, "192.0.2.9");
    uint8_t *frame = out("192.0.2.1", "192.0.2.9");
    cr_assert(frame != NULL);
    net_mark_ecn(room + NET_HEADROOM, true, 2);
    cr_assert(frame[14] == 0x45 && frame[15] == 2);
    cr_assert(net_sum_finish(net_sum(frame + 14, 20, 0)) == 0);
    uint8_t v6[48] = {0x60};
    net_mark_ecn(v6 + 40, false, 3);
    cr_assert(v6[0] == 0x60 && v6[1] == 0x30);
}

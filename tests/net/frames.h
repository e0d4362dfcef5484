/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for the tests of dataplane/net, built by other means than the code under test, and a
 * host that keeps what net sends. */
#ifndef CORAL_TESTS_NET_FRAMES_H
#define CORAL_TESTS_NET_FRAMES_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/net/net.h"

#define UNUSED __attribute__((unused))

static const uint8_t OUR_MAC[6] UNUSED = {0x02, 0, 0, 0, 0, 0x01};
static const uint8_t PEER_MAC[6] UNUSED = {0x02, 0, 0, 0, 0, 0x99};

struct lab {
    struct net *net;
    struct now now;
    unsigned sent, learned;
    size_t len;
    uint8_t frame[2048]; /* the last one sent */
    struct addr learned_ip;
    uint8_t learned_mac[6];
    unsigned errors;
    struct net_icmp_error error; /* the last one */
    unsigned datagrams;
    struct net_icmp_datagram datagram;
    bool refuse;
};

static bool lab_send(void *ctx, const void *frame, size_t len)
{
    struct lab *l = ctx;
    if (l->refuse)
        return false;
    l->sent++;
    l->len = len;
    memcpy(l->frame, frame, len < sizeof(l->frame) ? len : sizeof(l->frame));
    return true;
}

static void lab_learned(void *ctx, const struct addr *ip, const uint8_t mac[6])
{
    struct lab *l = ctx;
    l->learned++;
    l->learned_ip = *ip;
    memcpy(l->learned_mac, mac, 6);
}

static void UNUSED lab_icmp(void *ctx, const struct net_icmp_error *e)
{
    struct lab *l = ctx;
    l->errors++;
    l->error = *e;
}

static void UNUSED lab_icmp_datagram(void *ctx, const struct net_icmp_datagram *e)
{
    struct lab *l = ctx;
    l->datagrams++;
    l->datagram = *e;
}

static struct addr UNUSED ip(const char *text)
{
    struct addr a;
    cr_assert(addr_parse(text, &a), "%s", text);
    return a;
}

/* 192.0.2.1/24 and 2001:db8::1/64, gateways .254 and ::fe */
static void UNUSED lab_init(struct lab *l)
{
    struct net_config c = {.mtu = 1500, .addresses = 2};
    memset(l, 0, sizeof(*l));
    memcpy(c.mac, OUR_MAC, 6);
    c.address[0] = (struct net_address){ip("192.0.2.1"), 24};
    c.address[1] = (struct net_address){ip("2001:db8::1"), 64};
    c.gateway_v4 = ip("192.0.2.254");
    c.gateway_v6 = ip("2001:db8::fe");
    struct net_host h = {l, lab_send, lab_learned, lab_icmp, lab_icmp_datagram};
    l->now.mono_us = 1000000000;
    l->net = net_create(&c, &h);
    cr_assert(l->net);
}

static void UNUSED lab_done(struct lab *l)
{
    net_destroy(l->net);
}

/* A frame in an allocation of its exact size, so that ASan sees a byte too far. */
static struct net_packet UNUSED lab_input_flagged(struct lab *l, const void *frame, size_t len,
                                                  bool good)
{
    struct net_packet p = {.frame_len = (uint32_t)len, .checksum_good = good};
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, frame, len);
    p.frame = copy;
    net_input(l->net, &p, 1, l->now);
    if (p.kind == NET_UDP || p.kind == NET_TCP)
        cr_assert(p.payload >= copy && p.payload + p.payload_len <= copy + len);
    free(copy);
    return p;
}

static enum net_kind UNUSED lab_input(struct lab *l, const void *frame, size_t len)
{
    return lab_input_flagged(l, frame, len, false).kind;
}

#define COUNT(lab, name) counter_read(&net_counters((lab)->net)->net_##name)

/* --- naive building ------------------------------------------------------------------------ */

struct build {
    uint8_t b[2048];
    size_t len;
};

static void UNUSED put(struct build *f, const void *data, size_t n)
{
    if (n)
        memcpy(f->b + f->len, data, n);
    f->len += n;
}

static void UNUSED put_be(struct build *f, unsigned v, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;)
        f->b[f->len++] = (uint8_t)(v >> (8 * i));
}

/* RFC 1071, byte by byte */
static unsigned UNUSED naive_sum(const uint8_t *p, size_t n, unsigned sum)
{
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (unsigned)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static unsigned UNUSED naive_pseudo(const struct addr *src, const struct addr *dst, unsigned proto,
                                    size_t len)
{
    uint8_t t[4] = {0, (uint8_t)proto, (uint8_t)(len >> 8), (uint8_t)len};
    unsigned from = addr_is_v4(dst) ? 12 : 0;
    unsigned sum = naive_sum(src->b + from, 16 - from, 0);
    sum = naive_sum(dst->b + from, 16 - from, sum);
    return naive_sum(t, 4, sum);
}

static void UNUSED store_sum(uint8_t *at, unsigned sum)
{
    at[0] = (uint8_t)(~sum >> 8);
    at[1] = (uint8_t)~sum;
}

static void UNUSED put_ether(struct build *f, const uint8_t dst[6], const uint8_t src[6],
                             unsigned type)
{
    f->len = 0;
    put(f, dst, 6);
    put(f, src, 6);
    put_be(f, type, 2);
}

/* IP packet from the peer to us; `options` are IPv4 options or IPv6 extension headers. */
static void UNUSED put_ip(struct build *f, const char *from, const char *to, unsigned proto,
                          const void *options, size_t options_len, const void *l4, size_t l4_len)
{
    struct addr src = ip(from), dst = ip(to);
    bool v4 = addr_is_v4(&dst);

    put_ether(f, OUR_MAC, PEER_MAC, v4 ? 0x0800 : 0x86dd);
    if (v4) {
        put_be(f, 0x40 | (unsigned)(5 + options_len / 4), 1);
        put_be(f, 0, 1);
        put_be(f, (unsigned)(20 + options_len + l4_len), 2);
        put_be(f, 0x12340000, 4);
        put_be(f, 64u << 8 | proto, 2);
        put_be(f, 0, 2);
        put(f, src.b + 12, 4);
        put(f, dst.b + 12, 4);
        put(f, options, options_len);
        store_sum(f->b + 24, naive_sum(f->b + 14, 20 + options_len, 0));
    } else {
        put_be(f, 0x60000000, 4);
        put_be(f, (unsigned)(options_len + l4_len), 2);
        put_be(f, options_len ? ((const uint8_t *)options)[options_len] : proto, 1);
        put_be(f, 64, 1);
        put(f, src.b, 16);
        put(f, dst.b, 16);
        put(f, options, options_len);
    }
    put(f, l4, l4_len);
}

static void UNUSED put_udp(struct build *f, const char *from, const char *to, const void *data,
                           size_t len)
{
    struct build l4 = {.len = 0};
    struct addr src = ip(from), dst = ip(to);
    put_be(&l4, 5353, 2);
    put_be(&l4, 53, 2);
    put_be(&l4, (unsigned)(8 + len), 2);
    put_be(&l4, 0, 2);
    put(&l4, data, len);
    store_sum(l4.b + 6, naive_sum(l4.b, l4.len, naive_pseudo(&src, &dst, 17, l4.len)));
    put_ip(f, from, to, 17, NULL, 0, l4.b, l4.len);
}

/* ICMP or ICMPv6: checksum filled in at offset 2 */
static void UNUSED put_icmp(struct build *f, const char *from, const char *to, const void *msg,
                            size_t len)
{
    uint8_t m[1500];
    struct addr src = ip(from), dst = ip(to);
    bool v4 = addr_is_v4(&dst);
    memcpy(m, msg, len);
    store_sum(m + 2, naive_sum(m, len, v4 ? 0 : naive_pseudo(&src, &dst, 58, len)));
    put_ip(f, from, to, v4 ? 1 : 58, NULL, 0, m, len);
}

static void UNUSED put_arp(struct build *f, const uint8_t eth_dst[6], unsigned op,
                           const char *sender, const uint8_t mac[6], const char *target)
{
    static const uint8_t zero[6];
    struct addr s = ip(sender), t = ip(target);
    put_ether(f, eth_dst, mac, 0x0806);
    put(f, "\0\1\x08\0\6\4", 6);
    put_be(f, op, 2);
    put(f, mac, 6);
    put(f, s.b + 12, 4);
    put(f, zero, 6);
    put(f, t.b + 12, 4);
}

/* Neighbour solicitation (135) or advertisement (136), with a link-layer option if `mac`. */
static void UNUSED put_nd(struct build *f, unsigned type, unsigned flags, const char *from,
                          const char *to, const char *target, const uint8_t *mac)
{
    struct build m = {.len = 0};
    struct addr t = ip(target);
    put_be(&m, type << 8, 2);
    put_be(&m, 0, 2);
    put_be(&m, flags << 24, 4);
    put(&m, t.b, 16);
    if (mac) {
        put_be(&m, type == 135 ? 0x0101 : 0x0201, 2);
        put(&m, mac, 6);
    }
    put_icmp(f, from, to, m.b, m.len);
    f->b[14 + 7] = 255;
    if (t.b[0] != 0xff && ip(to).b[0] == 0xff) {
        struct addr d = ip(to);
        f->b[0] = f->b[1] = 0x33;
        memcpy(f->b + 2, d.b + 12, 4);
    }
}

/* The peer makes itself known by asking for us. */
static void UNUSED lab_meet(struct lab *l, const char *peer)
{
    struct build f;
    static const uint8_t bc[6] = {255, 255, 255, 255, 255, 255};
    struct addr a = ip(peer);
    if (addr_is_v4(&a))
        put_arp(&f, bc, 1, peer, PEER_MAC, "192.0.2.1");
    else
        put_nd(&f, 135, 0, peer, "ff02::1:ff00:1", "2001:db8::1", PEER_MAC);
    lab_input(l, f.b, f.len);
    l->sent = 0;
    l->learned = 0;
}

#endif

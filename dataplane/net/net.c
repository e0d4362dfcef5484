/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/net/net.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/net/private.h"

#define ICMP_ERRORS_PER_S    100
#define ICMP_QUOTES_PER_S    1000 /* that TCP looks at: each may be a guess (RFC 5927) */
#define ICMP_DATAGRAMS_PER_S 100  /* that whoever probes looks at: it sends a tenth of that */
#define SOLICITATIONS_PER_S  200  /* over all neighbours: a scan of our subnet is no storm */

bool rate_take(struct rate *r, struct now now)
{
    uint64_t full = r->per_s * 1000000ull;
    uint64_t elapsed = now.mono_us > r->last_us ? now.mono_us - r->last_us : 0;

    r->last_us = now.mono_us;
    r->micro_tokens = elapsed >= 1000000 || r->micro_tokens + elapsed * r->per_s > full
                          ? full
                          : r->micro_tokens + elapsed * r->per_s;
    if (r->micro_tokens < 1000000)
        return false;
    r->micro_tokens -= 1000000;
    return true;
}

static void load_words(uint64_t out[2], const struct addr *a)
{
    memcpy(out, a->b, 16);
}

static void own_add(struct net *n, const struct addr *ip, unsigned prefix)
{
    struct own *o = &n->own[n->owns++];
    struct addr mask = {{0}};

    o->ip = *ip;
    o->v4 = addr_is_v4(ip);
    o->link_local = !o->v4 && ip_is_link_local(ip);
    unsigned most = o->v4 ? 32 : 128;
    o->prefix = (uint8_t)(prefix > most ? most : prefix);
    unsigned bits = o->prefix + (o->v4 ? 96u : 0u);
    for (unsigned i = 0; i < bits; i++)
        mask.b[i / 8] |= (uint8_t)(0x80 >> (i % 8));
    load_words(o->mask, &mask);
    load_words(o->net, ip);
    o->net[0] &= o->mask[0];
    o->net[1] &= o->mask[1];
    if (!o->v4)
        return;
    uint32_t broadcast = 0; /* RFC 922; a subnet of one or two addresses has none (RFC 3021) */
    if (o->prefix < 31)
        broadcast = addr_get_v4(ip) | (uint32_t)(0xffffffffull >> o->prefix);
    n->v4[n->v4s++] =
        (struct own_v4){addr_get_v4_be(ip), addr_get_v4_be(&mask), htobe32(broadcast)};
}

/* RFC 4291 2.5.6 and appendix A: fe80::/64 and the MAC as a modified EUI-64 */
static struct addr link_local(const uint8_t mac[6])
{
    return (struct addr){{0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe,
                          mac[3], mac[4], mac[5]}};
}

struct net *net_create(const struct net_config *config, const struct net_host *host)
{
    size_t scratch = NET_HEADROOM + (config->mtu < 1280 ? 1280u : config->mtu);
    struct net *n = calloc(1, sizeof(*n) + scratch);

    if (!n)
        return NULL;
    n->config = *config;
    n->host = *host;
    n->scratch_size = scratch;
    n->errors.per_s = ICMP_ERRORS_PER_S;
    n->quotes.per_s = ICMP_QUOTES_PER_S;
    n->datagram_quotes.per_s = ICMP_DATAGRAMS_PER_S;
    n->solicitations.per_s = SOLICITATIONS_PER_S;
    for (unsigned i = 0; i < config->addresses && i < NET_ADDRESSES; i++)
        own_add(n, &config->address[i].ip, config->address[i].prefix);
    struct addr local = link_local(config->mac);
    if (!net_is_ours(n, &local))
        own_add(n, &local, 64);
    neighbour_init(n);
    return n;
}

void net_destroy(struct net *n)
{
    free(n);
}

const struct net_counters *net_counters(const struct net *n)
{
    return &n->counters;
}

bool net_is_ours(const struct net *n, const struct addr *ip)
{
    if (addr_is_v4(ip))
        return v4_kind(n, addr_get_v4_be(ip)) == V4_OURS;
    for (unsigned i = 0; i < n->owns; i++)
        if (addr_eq(ip, &n->own[i].ip))
            return true;
    return false;
}

static bool in_subnet(const struct own *o, const struct addr *ip)
{
    uint64_t w[2];
    load_words(w, ip);
    return (((w[0] & o->mask[0]) ^ o->net[0]) | ((w[1] & o->mask[1]) ^ o->net[1])) == 0;
}

bool net_on_link(const struct net *n, const struct addr *ip)
{
    if (addr_is_v4(ip)) {
        const uint32_t v4 = addr_get_v4_be(ip);
        for (unsigned i = 0; i < n->v4s; i++)
            if (((v4 ^ n->v4[i].ip) & n->v4[i].mask) == 0)
                return true;
        return false;
    }
    for (unsigned i = 0; i < n->owns; i++)
        if (in_subnet(&n->own[i], ip))
            return true;
    return false;
}

bool net_source(const struct net *n, const struct addr *dst, struct addr *out)
{
    const struct own *first = NULL;
    bool v4 = addr_is_v4(dst);

    for (unsigned i = 0; i < n->owns; i++) {
        const struct own *o = &n->own[i];
        if (in_subnet(o, dst)) {
            *out = o->ip;
            return true;
        }
        if (!first && o->v4 == v4 && !o->link_local) /* RFC 6724 rule 2: scope */
            first = o;
    }
    if (first)
        *out = first->ip;
    return first != NULL;
}

void net_send(struct net *n, const uint8_t *frame, size_t len, uint64_t *sent)
{
    counter_inc(n->host.send(n->host.ctx, frame, len) ? sent : &n->counters.net_send_refused_total);
}

/* RFC 1122 4.1.3.4, RFC 8200 8.1: zero means "no checksum" for UDP over IPv4 only. ICMP is summed
 * even where the port says good: few ports know it. */
static bool checksum_right(const struct net_packet *p, const struct parsed *in)
{
    bool icmp = p->kind == NET_CONSUMED;

    if (p->checksum_good && !icmp)
        return true;
    if (in->protocol == PROTO_ICMP)
        return net_sum_finish(net_sum(in->l4, in->l4_len, 0)) == 0;
    if (in->protocol == PROTO_UDP && get16(in->l4 + 6) == 0)
        return in->v4;
    uint64_t sum = net_sum_pseudo(&p->src, &p->dst, in->protocol, in->l4_len);
    return net_sum_finish(net_sum(in->l4, in->l4_len, sum)) == 0;
}

/* The last stage: sums, and the protocols that end here. */
static void act(struct net *n, struct net_packet *p, const struct parsed *in, struct now now)
{
    if (p->kind == NET_DROP || p->kind == NET_NOT_OURS)
        return;
    if (in->protocol == 0) {
        net_arp_input(n, in->l4, in->l4_len, now);
        return;
    }
    if (!checksum_right(p, in)) {
        counter_inc(&n->counters.net_drop_l4_checksum_total);
        p->kind = NET_DROP;
        return;
    }
    if (p->kind == NET_CONSUMED)
        net_icmp_input(n, p, in, now);
}

void net_input(struct net *n, struct net_packet *packets, unsigned count, struct now now)
{
    struct parsed in[NET_BURST];

    assert(count <= NET_BURST);
    for (unsigned i = 0; i < count; i++)
        __builtin_prefetch(packets[i].frame);
    for (unsigned i = 0; i < count; i++) {
        net_parse(n, &packets[i], &in[i]);
        if (in[i].l4)
            __builtin_prefetch(in[i].l4 + 64);
    }
    for (unsigned i = 0; i < count; i++)
        act(n, &packets[i], &in[i], now);
    counter_add(&n->counters.net_frames_total, count);
}

void net_announce(struct net *n)
{
    for (unsigned i = 0; i < n->owns; i++) {
        if (n->own[i].v4)
            net_arp_announce(n, &n->own[i].ip);
        else
            net_nd_announce(n, &n->own[i].ip);
    }
    /* their answers come before the first packet needs them */
    if (!addr_is_zero(&n->config.gateway_v4))
        net_arp_ask(n, &n->config.gateway_v4);
    if (!addr_is_zero(&n->config.gateway_v6))
        net_nd_ask(n, &n->config.gateway_v6);
}

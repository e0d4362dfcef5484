/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors with any quote. The first byte's low bit chooses the family, the rest is the message;
 * its sum is made right, and in every second round the quote's source becomes ours. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct net_config config = {
    .mac = {2, 0, 0, 0, 0, 1},
    .mtu = 1500,
    .addresses = 2,
    .address = {{{{[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}}, 24},
                {{{0x20, 1, 0xd, 0xb8, [15] = 1}}, 64}}};

static bool take(void *ctx, const void *frame, size_t len)
{
    (void)ctx, (void)frame, (void)len;
    return true;
}

/* What is handed on is about us, and says no more than was asked. */
static void hear(void *ctx, const struct net_icmp_error *e)
{
    bool v4 = addr_is_v4(&e->local.ip);
    if (v4 != *(bool *)ctx || v4 != addr_is_v4(&e->remote.ip) || e->kind > NET_ICMP_PARAMETER ||
        e->local.port == 0 || e->remote.port == 0 || (e->mtu && e->kind != NET_ICMP_TOO_BIG))
        abort();
}

static void hear_datagram(void *ctx, const struct net_icmp_datagram *e)
{
    if (*(bool *)ctx != addr_is_v4(&e->from) || *(bool *)ctx != addr_is_v4(&e->remote.ip) ||
        e->local_port == 0 || e->remote.port == 0)
        abort();
}

static void put16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static size_t header_write(uint8_t *frame, bool v4, size_t len)
{
    static const uint8_t peer4[4] = {198, 51, 100, 7}, peer6[16] = {0x20, 1, 0xd, 0xb8, 7};
    uint8_t *ip = frame + 14;

    memset(frame, 0, 54);
    memcpy(frame, config.mac, 6);
    frame[6] = 2;
    put16(frame + 12, v4 ? 0x0800 : 0x86dd);
    if (!v4) {
        ip[0] = 0x60;
        put16(ip + 4, len);
        ip[6] = 58;
        ip[7] = 64;
        memcpy(ip + 8, peer6, 16);
        memcpy(ip + 24, config.address[1].ip.b, 16);
        return 54;
    }
    ip[0] = 0x45;
    put16(ip + 2, 20 + len);
    ip[8] = 64;
    ip[9] = 1;
    memcpy(ip + 12, peer4, 4);
    memcpy(ip + 16, config.address[0].ip.b + 12, 4);
    uint16_t sum = net_sum_finish(net_sum(ip, 20, 0));
    memcpy(ip + 10, &sum, 2);
    return 34;
}

static void message_write(uint8_t *m, const uint8_t *data, size_t len, bool v4, bool ours)
{
    static const struct addr peer6 = {{0x20, 1, 0xd, 0xb8, 7}};

    memcpy(m, data, len);
    if (ours && v4 && len >= 8 + 20)
        memcpy(m + 8 + 12, config.address[0].ip.b + 12, 4);
    if (ours && !v4 && len >= 8 + 40)
        memcpy(m + 8 + 8, config.address[1].ip.b, 16);
    m[2] = m[3] = 0;
    uint64_t part = v4 ? 0 : net_sum_pseudo(&peer6, &config.address[1].ip, 58, len);
    uint16_t sum = net_sum_finish(net_sum(m, len, part));
    memcpy(m + 2, &sum, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5 || size > 1400)
        return 0;
    bool v4 = !(data[0] & 1);
    const struct net_host host = {
        .ctx = &v4, .send = take, .icmp = hear, .icmp_datagram = hear_datagram};
    struct net *n = net_create(&config, &host);
    for (unsigned round = 0; round < 2; round++) {
        uint8_t header[54];
        size_t len = size - 1, at = header_write(header, v4, len);
        uint8_t *frame = malloc(at + len); /* exact size: ASan sees a byte too far */
        memcpy(frame, header, at);
        message_write(frame + at, data + 1, len, v4, round);
        struct net_packet p = {.frame = frame, .frame_len = (uint32_t)(at + len)};
        net_input(n, &p, 1, (struct now){1000000, 0});
        free(frame);
    }
    net_destroy(n);
    return 0;
}

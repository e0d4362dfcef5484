/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames from a hostile link. The first byte chooses whether sums are believed; so that inputs
 * get past them either way, frames whose sums are wrong are tried with right ones too. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *ctx, const void *frame, size_t len)
{
    volatile uint8_t sink = 0;
    const uint8_t *p = frame;
    (void)ctx;
    for (size_t i = 0; i < len; i++) /* every byte sent must be readable */
        sink = (uint8_t)(sink ^ p[i]);
    if (len < 42 || len > 14 + 1500)
        abort();
    return true;
}

static void check(const struct net_packet *p)
{
    const uint8_t *end = p->frame + p->frame_len;
    if ((p->kind == NET_UDP || p->kind == NET_TCP) &&
        (p->payload < p->frame || p->payload > end || p->payload_len > (size_t)(end - p->payload)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct net_config config = {
        .mac = {2, 0, 0, 0, 0, 1},
        .mtu = 1500,
        .addresses = 2,
        .address = {{{{[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}}, 24},
                    {{{0x20, 1, 0xd, 0xb8, [15] = 1}}, 64}}};
    static const struct net_host host = {.send = take};
    struct now now = {1000000, 0};
    if (size < 1)
        return 0;
    struct net *n = net_create(&config, &host);
    for (unsigned round = 0; round < 4; round++) {
        uint8_t *copy = malloc(size); /* exact size: ASan sees a byte too far */
        memcpy(copy, data + 1, size - 1);
        struct net_packet p = {.frame = copy, .frame_len = (uint32_t)size - 1};
        p.checksum_good = (data[0] >> round) & 1;
        /* steer most inputs past the first gate */
        if (size > 15 && round > 0)
            memcpy(copy, config.mac, 6);
        if (size > 39 && copy[12] == 0x08 && copy[13] == 0 && round > 1) {
            copy[24] = copy[25] = 0;
            unsigned header = (copy[14] & 15u) * 4;
            if (header + 15 < size) {
                uint16_t sum = net_sum_finish(net_sum(copy + 14, header, 0));
                memcpy(copy + 24, &sum, 2);
            }
            if (header + 15 + 4 < size && copy[23] == 1) {
                copy[14 + header + 2] = copy[14 + header + 3] = 0;
                uint16_t sum = net_sum_finish(net_sum(copy + 14 + header, size - 15 - header, 0));
                memcpy(copy + 14 + header + 2, &sum, 2);
            }
        }
        if (size > 59 && copy[12] == 0x86 && copy[20] == 58 && round > 1) {
            struct addr src, dst;
            memcpy(src.b, copy + 22, 16);
            memcpy(dst.b, copy + 38, 16);
            copy[56] = copy[57] = 0;
            uint64_t s = net_sum_pseudo(&src, &dst, 58, size - 55);
            uint16_t sum = net_sum_finish(net_sum(copy + 54, size - 55, s));
            memcpy(copy + 56, &sum, 2);
        }
        net_input(n, &p, 1, now);
        check(&p);
        net_unreachable(n, &p, now);
        now.mono_us += 500000;
        net_tick(n, now);
        free(copy);
    }
    net_destroy(n);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071), over words in the memory's own order: the sum of swapped
 * words is the swapped sum, so no byte is turned. */
#include <string.h>

#include "dataplane/net/net.h"

/* 32-bit words into 64-bit sums: 2^32 of them fit, and the compiler makes vectors of it. */
uint64_t net_sum(const void *data, size_t len, uint64_t sum)
{
    const uint8_t *p = data;
    size_t words = len / 4;

    for (size_t i = 0; i < words; i++) {
        uint32_t w;
        memcpy(&w, p + 4 * i, 4);
        sum += w;
    }
    if (len & 3) {
        uint32_t w = 0; /* a last odd byte is padded with zero */
        memcpy(&w, p + 4 * words, len & 3);
        sum += w;
    }
    return sum;
}

uint64_t net_sum_copy(void *restrict to, const void *restrict from, size_t len, uint64_t sum)
{
    uint8_t *q = to;
    const uint8_t *p = from;
    size_t words = len / 4;

    for (size_t i = 0; i < words; i++) {
        uint32_t w;
        memcpy(&w, p + 4 * i, 4);
        memcpy(q + 4 * i, &w, 4);
        sum += w;
    }
    if (len & 3) {
        uint32_t w = 0;
        memcpy(&w, p + 4 * words, len & 3);
        memcpy(q + 4 * words, &w, len & 3);
        sum += w;
    }
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t net_sum_odd(uint64_t part)
{
    return __builtin_bswap16(fold(part));
}

uint16_t net_sum_finish(uint64_t sum)
{
    return (uint16_t)~fold(sum);
}

uint64_t net_sum_pseudo(const struct addr *src, const struct addr *dst, uint8_t protocol,
                        size_t l4_len)
{
    bool v4 = addr_is_v4(dst);
    uint64_t sum = net_sum(src->b + (v4 ? 12 : 0), v4 ? 4 : 16, 0);

    sum = net_sum(dst->b + (v4 ? 12 : 0), v4 ? 4 : 16, sum);
    const uint8_t tail[4] = {0, protocol, (uint8_t)(l4_len >> 8), (uint8_t)l4_len};
    return net_sum(tail, 4, sum);
}

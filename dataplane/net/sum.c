/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071), over words in the memory's own order: the sum of swapped
 * words is the swapped sum, so no byte is turned. */
#include <string.h>

#include "dataplane/net/net.h"

static inline uint64_t word(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, 4);
    return w;
}

/* 32-bit words into 64-bit sums: 2^32 of them fit, and the compiler makes vectors of it. */
uint64_t net_sum(const void *data, size_t len, uint64_t sum)
{
    const uint8_t *p = data;
    size_t words = len / 4;

    for (size_t i = 0; i < words; i++)
        sum += word(p + 4 * i);
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
    uint64_t sum = htobe16(protocol) + net_sum_length(l4_len);

    for (unsigned i = addr_is_v4(dst) ? 12 : 0; i < 16; i += 4)
        sum += word(src->b + i) + word(dst->b + i);
    return sum;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071), over words in the memory's own order: the sum of swapped
 * words is the swapped sum, so no byte is turned. */
#include <endian.h>
#include <string.h>

#include "dataplane/net/net.h"

/* A word more, what it carries over put in below (RFC 1071 2 A): no wider sum is needed. */
static inline uint64_t add(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word);
}

/* To 33 bits: partial sums are added by plain additions. */
static inline uint64_t narrow(uint64_t sum)
{
    return (sum & 0xffffffff) + (sum >> 32);
}

/* Four chains of additions, as each has to wait for its own carry. */
uint64_t net_sum(const void *data, size_t len, uint64_t sum)
{
    const uint8_t *p = data;
    uint64_t w[4], b = 0, c = 0, d = 0;

    for (; len >= 32; len -= 32, p += 32) {
        memcpy(w, p, 32);
        sum = add(sum, w[0]);
        b = add(b, w[1]);
        c = add(c, w[2]);
        d = add(d, w[3]);
    }
    for (; len >= 8; len -= 8, p += 8) {
        memcpy(w, p, 8);
        sum = add(sum, w[0]);
    }
    uint32_t four = 0;
    uint16_t two = 0, one = 0;
    if (len & 4) {
        memcpy(&four, p, 4);
        p += 4;
    }
    if (len & 2) {
        memcpy(&two, p, 2);
        p += 2;
    }
    if (len & 1)
        memcpy(&one, p, 1); /* padded with zero */
    return narrow(add(add(sum, b), add(c, d))) + four + two + one;
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
    const uint64_t tail = htobe16(protocol) + net_sum_length(l4_len);

    if (!addr_is_v4(dst))
        return net_sum(src->b, 16, net_sum(dst->b, 16, tail));
    return tail + addr_get_v4_be(src) + addr_get_v4_be(dst);
}

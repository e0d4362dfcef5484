/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/size.h"

void size_add(struct size *s, uint64_t x, uint8_t k, struct now now)
{
    if (k == 0)
        return;
    unsigned i = s->taken++ % SIZE_SAMPLES;
    s->sample[i] = (struct size_sample){x, now.mono_us};
    s->k[i] = k;
}

/* log2 of v > 0, digit by digit: squaring a number in [1, 2) doubles its logarithm. */
static uint32_t log2_256(uint64_t v)
{
    unsigned whole = 63 - (unsigned)__builtin_clzll(v);
    uint64_t m = whole >= 31 ? v >> (whole - 31) : v << (31 - whole); /* [1, 2) in 2^-31 */
    uint32_t log = whole;
    for (unsigned i = 0; i < 8; i++) {
        m = m * m >> 31;
        log <<= 1;
        if (m >> 32) {
            m >>= 1;
            log |= 1;
        }
    }
    return log;
}

uint32_t size_log2_256(const struct size *s, struct now now)
{
    uint64_t x = 0; /* an eighth of each: eight cannot overflow */
    uint32_t k = 0;
    for (unsigned i = 0; i < SIZE_SAMPLES; i++) {
        if (s->k[i] == 0 || now.mono_us - s->sample[i].at_us > SIZE_SAMPLE_US)
            continue;
        x += s->sample[i].x >> 3;
        k += s->k[i];
    }
    if (k < 2)
        return 0;
    /* (k - 1) 2^61 / x */
    uint32_t above = log2_256(k - 1) + 61 * 256, below = x ? log2_256(x) : 0;
    return above > below ? above - below : 0;
}

uint32_t size_of_members(uint32_t n)
{
    return log2_256(n);
}

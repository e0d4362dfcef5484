/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "base/mix.h"
#include "perf/trace/generate.h"

#define MEDIAN_BYTES 13300.0 /* CacheLib's CDN model: p50 13.3 KB, p90 78 KB, p99 274 KB */
#define SIGMA        1.38    /* p90 / p50 = e^(1.2816 sigma) */
#define MOST_BYTES   4200000.0
#define TAIL_BYTES   65536.0
#define TAIL_MOST    1e9
#define TAIL_SHAPE   1.1

/* splitmix64: uniform in (0, 1), by a counter */
static double uniform(uint64_t seed, uint64_t id, uint64_t which)
{
    uint64_t x = seed * 0xd1342543de82ef95u + id * 3 + which + 1;
    return ((double)(mix64(x * MIX_GOLDEN) >> 11) + 0.5) * 0x1p-53;
}

static uint32_t between(double bytes, double most)
{
    return bytes < 1 ? 1 : (uint32_t)(bytes > most ? most : bytes);
}

uint32_t generate_size(enum generate_sizes sizes, uint64_t seed, uint64_t id)
{
    if (sizes == SIZES_UNIT)
        return 1;
    if (sizes == SIZES_TAIL && uniform(seed, id, 2) < 0.05)
        return between(TAIL_BYTES * pow(uniform(seed, id, 0), -1 / TAIL_SHAPE), TAIL_MOST);
    double normal = sqrt(-2 * log(uniform(seed, id, 0))) *
                    cos(2 * M_PI * uniform(seed, id, 1)); /* Box-Muller */
    return between(MEDIAN_BYTES * exp(SIGMA * normal), MOST_BYTES);
}

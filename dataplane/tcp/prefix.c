/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/prefix.h"

#include <stdlib.h>

#include "base/hash.h"

static uint32_t *cell(const struct tcp_prefix *p, uint64_t hash, uint32_t row)
{
    return &p->count[(size_t)row * (p->mask + 1) + ((uint32_t)(hash >> (row * 21)) & p->mask)];
}

static uint64_t network_hash(const struct tcp_prefix *p, const struct addr *a)
{
    return siphash64(p->key, a->b, addr_is_v4(a) ? 16 : 8);
}

bool tcp_prefix_create(struct tcp_prefix *p, uint32_t connections, uint32_t limit,
                       const uint8_t key[16])
{
    /* a few connections to a cell are noise far below any sensible limit */
    uint32_t cells = 1024;
    while (cells < connections / 4 && cells < 1u << 16)
        cells *= 2;
    *p = (struct tcp_prefix){.mask = cells - 1, .limit = limit};
    for (unsigned i = 0; i < sizeof(p->key); i++)
        p->key[i] = key[i];
    p->count = limit ? calloc((size_t)cells * TCP_PREFIX_ROWS, sizeof(*p->count)) : NULL;
    return !limit || p->count;
}

void tcp_prefix_destroy(struct tcp_prefix *p)
{
    free(p->count);
}

bool tcp_prefix_take(struct tcp_prefix *p, const struct addr *a)
{
    if (!p->count)
        return true;
    uint64_t hash = network_hash(p, a);
    uint32_t least = UINT32_MAX;
    for (uint32_t row = 0; row < TCP_PREFIX_ROWS; row++) {
        uint32_t n = *cell(p, hash, row);
        least = n < least ? n : least;
    }
    if (least >= p->limit)
        return false;
    for (uint32_t row = 0; row < TCP_PREFIX_ROWS; row++)
        ++*cell(p, hash, row);
    return true;
}

void tcp_prefix_give(struct tcp_prefix *p, const struct addr *a)
{
    if (!p->count)
        return;
    uint64_t hash = network_hash(p, a);
    for (uint32_t row = 0; row < TCP_PREFIX_ROWS; row++)
        --*cell(p, hash, row);
}

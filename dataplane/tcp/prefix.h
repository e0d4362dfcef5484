/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many connections each network has, in fixed memory: a count-min sketch (Cormode,
 * Muthukrishnan 2005). Each of TCP_PREFIX_ROWS rows has a counter where the keyed hash of the
 * network points; the smallest of them is its count, or more when every row has a neighbour. So a
 * network is never granted more than the limit, and one that shares all its counters with a
 * crowd, which nobody can bring about without the key, is refused too early.
 *
 * A network is an IPv4 address or an IPv6 /64: what one customer has.
 */
#ifndef CORAL_TCP_PREFIX_H
#define CORAL_TCP_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define TCP_PREFIX_ROWS 3u

struct tcp_prefix {
    uint32_t *count; /* TCP_PREFIX_ROWS rows of mask + 1 */
    uint32_t mask, limit;
    uint8_t key[16];
};

/* `connections`: of all networks, at most. `limit` 0: there is none, and no memory is taken. False:
 * memory is short. */
bool tcp_prefix_create(struct tcp_prefix *p, uint32_t connections, uint32_t limit,
                       const uint8_t key[16]);
void tcp_prefix_destroy(struct tcp_prefix *p);
/* One more connection from `a`. False: its network has its share; nothing was counted. */
bool tcp_prefix_take(struct tcp_prefix *p, const struct addr *a);
/* One that was taken has gone. */
void tcp_prefix_give(struct tcp_prefix *p, const struct addr *a);

#endif

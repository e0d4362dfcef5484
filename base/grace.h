/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a QSBR grace period is over, asked by several threads of one variable.
 *
 * rte_rcu_qsbr_check() first looks at `acked_token` with a plain read, which another thread that
 * checks writes at the same time: a data race by C11, and a short cut without the acquire that
 * orders the readers' last use before our reuse. So the walk over the readers' counters behind it
 * is called directly: it acquires each of them. A thread that is offline, or was never
 * registered, counts as quiescent.
 */
#ifndef CORAL_BASE_GRACE_H
#define CORAL_BASE_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

static inline bool grace_over(struct rte_rcu_qsbr *v, uint64_t token)
{
    return __rte_rcu_qsbr_check_all(v, token, false) == 1;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QSBR grace periods as several threads start and ask after them, of one variable.
 *
 * rte_rcu_qsbr_check() first looks at `acked_token` with a plain read, which another thread that
 * checks writes at the same time: a data race by C11, and a short cut without the acquire that
 * orders the readers' last use before our reuse. So the walk over the readers' counters behind it
 * is called directly: it acquires each of them. A thread that is offline, or was never
 * registered, counts as quiescent.
 *
 * That is why a grace period begins with a fence. A reader that comes online stores its counter,
 * then loads what was published, with a fence between; we unlink, then load its counter. Without a
 * fence on our side too both may see the old value (store buffering): we take it for offline while
 * it follows what we have unlinked. On x86 the addition to the token is such a fence already, by
 * C11 it is not. tests/cache/test_barriers.c tries both without.
 */
#ifndef CORAL_BASE_GRACE_H
#define CORAL_BASE_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

/* After what is to be freed was unlinked; the token is for grace_over. */
static inline uint64_t grace_start(struct rte_rcu_qsbr *v)
{
    uint64_t token = rte_rcu_qsbr_start(v);
    rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
    return token;
}

static inline bool grace_over(struct rte_rcu_qsbr *v, uint64_t token)
{
    return __rte_rcu_qsbr_check_all(v, token, false) == 1;
}

#endif

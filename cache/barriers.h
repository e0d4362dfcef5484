/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every order between an owner and its readers, each with a name: what the code uses is what
 * tests/cache/test_barriers.c checks, over all interleavings of a model and all stores that a load
 * may see. Weakened to relaxed, each of those that are not relaxed already lets it find a race or a
 * torn object; what it does not miss is relaxed here. No other file of this folder names an order
 * but relaxed (tests/cache/barriers_test.sh).
 *
 *   owner                                    reader
 *   object, then SLOT_STORE  -------------->  SLOT_LOAD, then object
 *   bytes, CRC, map, then READY_STORE  ---->  READY_LOAD, then bytes, CRC of full chunks, map
 *   last bytes, READY_STORE, STATE_STORE -->  STATE_LOAD, then READY_LOAD is final, CRC of the tail
 *   PINS_LOAD is 0, then reuse  <-----------  reads, then UNPIN
 *   unlink, grace_start  ------------------>  rte_rcu_qsbr_quiescent, then other look-ups
 *   grace_over, then PINS_LOAD  <-----------  PIN and reads, then rte_rcu_qsbr_quiescent
 *   own link, then LINK_STORE  ------------>  LINK_LOAD, then the bucket's own link
 *
 * and the control thread, which purges (cache/purge.h):
 *
 *   rule, then  PURGE_STORE  -----------------> PURGE_LOAD, then rules up to that number
 *   table, what is forgotten, RULES_STORE ----> RULES_LOAD, then what was forgotten
 *   owner: unlinks, WALKED_STORE -> control: WALKED_LOAD, grace period, RULES_STORE
 *
 * Readers' steps are bounded: a look-up goes once over a chain, and since no bucket that it has
 * been in comes back before it is over (overflow.c), at most by the overflow buckets taken at
 * create; a body's read is one map walk. None waits for another thread and none tries again.
 */
#ifndef CORAL_CACHE_BARRIERS_H
#define CORAL_CACHE_BARRIERS_H

/* For tests alone: the number of one that a build gets wrong. */
#ifndef CACHE_WEAKEN
#define CACHE_WEAKEN 0
#endif
#define CACHE_ORDER(number, order) (CACHE_WEAKEN == (number) ? __ATOMIC_RELAXED : (order))

#define CACHE_SLOT_STORE  CACHE_ORDER(1, __ATOMIC_RELEASE)
#define CACHE_SLOT_LOAD   CACHE_ORDER(2, __ATOMIC_ACQUIRE)
#define CACHE_READY_STORE CACHE_ORDER(3, __ATOMIC_RELEASE)
#define CACHE_READY_LOAD  CACHE_ORDER(4, __ATOMIC_ACQUIRE)
#define CACHE_STATE_STORE CACHE_ORDER(5, __ATOMIC_RELEASE)
#define CACHE_STATE_LOAD  CACHE_ORDER(6, __ATOMIC_ACQUIRE)
#define CACHE_UNPIN       CACHE_ORDER(7, __ATOMIC_RELEASE)
#define CACHE_PINS_LOAD   CACHE_ORDER(8, __ATOMIC_ACQUIRE)

/* An overflow bucket may have been in another chain. */
#define CACHE_LINK_STORE CACHE_ORDER(9, __ATOMIC_RELEASE)
#define CACHE_LINK_LOAD  CACHE_ORDER(10, __ATOMIC_ACQUIRE)

#define CACHE_PURGE_STORE  CACHE_ORDER(11, __ATOMIC_RELEASE)
#define CACHE_PURGE_LOAD   CACHE_ORDER(12, __ATOMIC_ACQUIRE)
#define CACHE_RULES_STORE  CACHE_ORDER(13, __ATOMIC_RELEASE)
#define CACHE_RULES_LOAD   CACHE_ORDER(14, __ATOMIC_ACQUIRE)
#define CACHE_WALKED_STORE CACHE_ORDER(15, __ATOMIC_RELEASE)
#define CACHE_WALKED_LOAD  CACHE_ORDER(16, __ATOMIC_ACQUIRE)

/* A pin is seen by the owner because the reader's next quiescent report is (cache/reclaim.c). */
#define CACHE_PIN __ATOMIC_RELAXED
/* Undone by the thread that frees, which has seen all that the pin stood for. */
#define CACHE_UNPIN_HEIR __ATOMIC_RELAXED

#endif

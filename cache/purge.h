/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Purges by rule. A purge scans nothing: it takes the next number and leaves a rule; an object that
 * is older than the newest rule is looked at when somebody asks for it, or when its owner's walk
 * comes by, whichever is first.
 *
 *   control thread            any reader                       the owner
 *   rule{hash, number} ---.   object older than `newest`?      asked, or by a walk at most
 *   newest = number       '-> no (one compare): found          PURGE_LOOKS objects a poll:
 *   every worker quiescent    yes: does a rule newer than it     no rule: as new as `newest`
 *   -> the command is done         fit? then it is not found     hard: unlinked
 *                                                                soft: its stale copy stays
 *
 * What fits is found by hashes, so it costs the same for one rule and for two thousand: of the
 * object's URL, if there is a rule for any single one, of the borders of the object's key (the
 * host, then each '/', at most CACHE_SEGMENTS_MAX), if there is a prefix of that length, and of its
 * tags.
 *
 * Who writes: the control thread alone writes rules, `newest` and what is beside it; an object's
 * number is its owner's. Barriers: a rule is stored before `newest` is (release). A reader that
 * acquires `newest` sees every rule up to it; one that reads an older `newest` has not been
 * quiescent since the purge, which the command waits for, and may see the rule in part or not:
 * either verdict is right for it. The owner reads `newest`, then the rules, then gives the object
 * that number: it claims no more than it has seen, and a reader that sees the new number, or the
 * old one, comes to the same verdict.
 *
 * Rules are forgotten when the table is full, in one go: those that every owner's walk has been
 * through with, and a grace period after that, since a reader may have found an object just before
 * its owner unlinked it (a walk's end is release-stored, and the period's start carries it to all
 * readers). The others are copied to the second table, which takes the first one's place (release;
 * readers acquire it, and read what was forgotten after it); that one is written again after a
 * grace period only. Whatever is older than the newest rule forgotten (a fetch that has run for so
 * long; linked objects are not) counts as purged. A table whose rules no walk has been through yet
 * refuses the next one.
 */
#ifndef CORAL_CACHE_PURGE_H
#define CORAL_CACHE_PURGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"

#define PURGE_SLOTS (2u * CACHE_PURGE_RULES)
#define PURGE_AHEAD 16u /* objects whose heads are fetched at a time */
#define PURGE_LOOKS 64u /* objects a poll: some microseconds */
#define PURGE_TAKES 4u  /* of them, those that go: each may withdraw a reference */

struct purge_rule {
    uint64_t hash;       /* 0: none here */
    uint32_t hard, soft; /* the newest of either kind; 0: never */
};

struct purge_table {
    uint32_t used;
    uint64_t lengths; /* bit (length % 64): prefixes of such lengths are here */
    struct purge_rule rule[PURGE_SLOTS];
};

struct purge {
    uint32_t newest __attribute__((aligned(64))); /* read at each lookup, written by a purge only */
    uint32_t all_hard, all_soft;                  /* of everything */
    uint32_t tag_hard, tag_soft;                  /* the newest of any tag */
    uint32_t prefix;                              /* the newest of any prefix */
    uint32_t url;                                 /* and of any single URL */
    uint32_t forgotten;
    struct purge_table *table;
    /* the control thread's, `orders` and what is behind it read by worker 0 for its counters */
    uint32_t settling __attribute__((aligned(64))),
        settled;  /* walks are through with rules up to */
    bool waiting; /* for `token`, till settling is */
    uint64_t token, spare_token;
    uint32_t orders, refused, rules;
    struct purge_table room[2];
};

/* A worker's. */
struct purge_walk {
    uint32_t done; /* its objects have been held to the rules up to this one; release-stored */
    uint32_t to;
    uint32_t at; /* number of the next object of its table */
    bool runs;
    uint32_t orders, refused, rules; /* counted by worker 0 */
};

/* Numbers wrap; those that are compared are less than half of them apart. */
static inline bool purge_older(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

#endif

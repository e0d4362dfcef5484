/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing tables of a flat Kademlia (Maymounkov and Mazieres, IPTPS 2002), all nodes' together:
 * a bucket a bit of prefix that an ID shares with the node's, of at most k contacts each. An oracle
 * fills them, as if the network had run for ever; from then on they change by what the nodes see.
 *
 *   contact   node 0: [bucket 0: k][bucket 1: k]..[its deepest: fewer] node 1: [bucket 0]..
 *   end       node 0: where each bucket ends
 *
 * 4 bytes a contact: 700 bytes a node with 10^6 nodes, besides 128 for where buckets end. A bucket
 * has as many slots as nodes belong in it, k at most, so whoever belongs in a deep one has room.
 *
 * IDs are the upper 64 bits of the 160, which are enough to tell 10^7 nodes apart.
 */
#ifndef CORAL_TOOLS_SIM_KADEMLIA_TABLE_H
#define CORAL_TOOLS_SIM_KADEMLIA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define KADEMLIA_NOBODY UINT32_MAX
#define KADEMLIA_K_MAX  20u /* the paper's k, and libp2p's */

struct kademlia_tables;

/* id[node], copied; no two the same (asserted). Tables are empty. NULL: no memory. */
struct kademlia_tables *kademlia_tables_create(const uint64_t *id, uint32_t nodes, unsigned k,
                                               uint64_t seed);
void kademlia_tables_destroy(struct kademlia_tables *t);

/* Fills all tables anew from the nodes that are up: k at random of those that belong in a bucket,
 * but the nearest k where a bucket has some of the node's k nearest siblings. */
void kademlia_tables_fill(struct kademlia_tables *t, const bool *up);

/* The contacts of `node` that are closest to the key, closest first, k at most; returns how many.
 */
unsigned kademlia_table_closest(const struct kademlia_tables *t, uint32_t node, uint64_t key,
                                uint32_t closest[static KADEMLIA_K_MAX]);
/* `contact` was heard from: it enters its bucket if that has a free slot (section 2.2). */
void kademlia_table_learn(struct kademlia_tables *t, uint32_t node, uint32_t contact);
/* It did not answer: its slot is free. */
void kademlia_table_drop(struct kademlia_tables *t, uint32_t node, uint32_t contact);
/* How many contacts it has, and how many of these are down. */
void kademlia_table_count(const struct kademlia_tables *t, uint32_t node, const bool *up,
                          uint32_t *contacts, uint32_t *down);

uint64_t kademlia_id(const struct kademlia_tables *t, uint32_t node);

#endif

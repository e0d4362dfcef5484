/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is asked of a world's nodes: keys that some put and renew, and others get; and what came of
 * it. A key counts as put from the first put of it that ended well until the ttl of the last one is
 * over: a get in that time should find it.
 */
#ifndef CORAL_TOOLS_SIM_LOAD_H
#define CORAL_TOOLS_SIM_LOAD_H

#include "tools/sim/world.h"

#define LOAD_PUTTERS 4u

struct flat; /* flat.h */

struct load_key {
    struct dht_id key;
    uint64_t until_us; /* somebody's put is good up to this */
    uint32_t puts;     /* that ended well */
    uint32_t
        putter[LOAD_PUTTERS]; /* some of those who put it: a get of theirs leaves themselves out */
};

struct load {
    struct world *world;
    uint32_t keys;
    struct load_key *key;
    uint32_t ttl_ms;
    bool renew;          /* at half life, 10 % early or late */
    bool unput;          /* gets of keys that nobody has put are done, too */
    uint64_t measure_us; /* what begins before counts for nothing */
    /* gets of keys that were put */
    uint64_t gets, found, failed; /* failed: nobody answered, or no room for a lookup */
    uint64_t found_at[DHT_LEVELS];
    struct summary get_us[DHT_LEVELS], get_all_us, get_hops, get_asks;
    struct summary holder_us; /* the round trip to the nearest holder that was named */
    uint64_t puts, stored, saturated, put_failed;
    struct summary put_us, put_hops;
    void (*missed)(struct load *l, uint32_t node, uint32_t key);
    struct ask *free_ask;
    struct flat *flat; /* is told all that the load is told; or NULL */
};

/* NULL: no memory. The world's turns belong to the load from now on. */
struct load *load_create(struct world *w, uint32_t keys, uint32_t ttl_ms);
void load_destroy(struct load *l);
/* At a time from now. */
void load_put_at(struct load *l, uint32_t node, uint32_t key, uint64_t at_us);
void load_get_at(struct load *l, uint32_t node, uint32_t key, uint64_t at_us);
/* A node puts (gets) random keys, one each pause_us in the mean, for ever. */
void load_puts(struct load *l, uint32_t node, uint64_t pause_us);
void load_gets(struct load *l, uint32_t node, uint64_t pause_us);
double load_success(const struct load *l);
json_t *load_json(const struct load *l);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* One node's serving side on a bench: an arena, a store, routes, a clock that the test turns. */
#ifndef CORAL_TESTS_DHT_BENCH_H
#define CORAL_TESTS_DHT_BENCH_H

#include "dht/rpc.h"
#include "dht/store.h"

#define BENCH_CID1 0x1111u /* the clusters that it is in */
#define BENCH_CID2 0x2222u

struct bench {
    struct dht_config config;
    struct dht_arena *arena;
    struct dht_counters *c; /* the arena's */
    struct dht_mac *mac;
    struct dht_store *store;
    struct dht_routes routes; /* of contact 1 */
    struct dht_id key;        /* that questions are about */
    uint64_t ms;
    uint64_t tid; /* of the next question: each has its own */
    unsigned heard;
    struct dht_tidings told; /* the last */
};

/* 10.0.0.0 + i, port 8053, its proxy at port 80. */
struct dht_contact bench_contact(unsigned i);
struct dht_id bench_key(unsigned i);
/* With the default configuration, a store of 64 keys. A test that wants another one makes the
 * bench by _config. */
void bench_open(struct bench *b);
void bench_open_config(struct bench *b, const struct dht_config *config, uint32_t keys);
void bench_close(struct bench *b);
struct now bench_now(const struct bench *b);
/* A contact's question, at level 0 and with a good cookie, not written yet. */
struct rpc bench_question(struct bench *b, uint8_t type, unsigned by);
/* Serves it as if it came from an address; *len is its length and then the answer's. False: there
 * is no answer. The answer is written over the question. */
bool bench_exchange(struct bench *b, const struct rpc *ask, const struct endpoint *from,
                    struct rpc *answer, size_t *len);
/* The same, where an answer is expected. */
struct rpc bench_ask(struct bench *b, const struct rpc *ask);
/* An answer to another's question, by whom it was put to; with what all answers have. */
struct rpc bench_answer(const struct rpc *ask, const struct endpoint *to);
/* Routes to n contacts from number `first` on, sorted; the caller frees route and contact. */
void bench_route(struct bench *b, unsigned first, unsigned n, unsigned levels);

#endif

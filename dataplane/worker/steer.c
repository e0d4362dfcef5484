/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/worker/steer.h"

#include <assert.h>
#include <stdlib.h>

#define TUPLE_V4 12
#define TUPLE_V6 36

/* The ports of class c are port[start[c]] up to port[start[c + 1]]. */
struct classes {
    uint16_t start[STEER_RETA + 1];
    uint16_t port[STEER_PORT_COUNT];
};

struct steer {
    uint32_t nibble[TUPLE_V6 * 2][16]; /* the hash of half a byte in its place, all else zero */
    uint32_t mask;                     /* RETA's size less 1 */
    uint8_t worker[STEER_RETA];
    uint16_t entries[STEER_WORKERS];           /* of RETA that a worker has */
    uint16_t entry[STEER_WORKERS][STEER_RETA]; /* which */
    struct classes v4, v6;
};

/* 32 bits of the key from bit `at` on. */
static uint32_t window(const uint8_t *key, unsigned at)
{
    const uint8_t *k = key + at / 8;
    uint64_t five = (uint64_t)k[0] << 32 | (uint64_t)k[1] << 24 | (uint64_t)k[2] << 16 |
                    (uint64_t)k[3] << 8 | (at % 8 ? k[4] : 0u);
    return (uint32_t)(five >> (8 - at % 8));
}

static void nibbles_make(struct steer *s, const uint8_t *key)
{
    for (unsigned place = 0; place < TUPLE_V6 * 2; place++)
        for (unsigned value = 0; value < 16; value++)
            for (unsigned bit = 0; bit < 4; bit++)
                if (value & (8u >> bit))
                    s->nibble[place][value] ^= window(key, place * 4 + bit);
}

static uint32_t hash(const struct steer *s, const uint8_t *tuple, unsigned len, unsigned at)
{
    uint32_t h = 0;
    for (unsigned i = 0; i < len; i++)
        h ^= s->nibble[2 * (at + i)][tuple[i] >> 4] ^ s->nibble[2 * (at + i) + 1][tuple[i] & 15];
    return h;
}

/* T: a local port behind `at` bytes of tuple. */
static uint32_t port_hash(const struct steer *s, unsigned port, unsigned at)
{
    const uint8_t wire[2] = {(uint8_t)(port >> 8), (uint8_t)port};
    return hash(s, wire, 2, at);
}

/* Counting sort of the ports by class. */
static void classes_make(const struct steer *s, struct classes *c, unsigned at)
{
    uint16_t next[STEER_RETA] = {0};

    for (unsigned i = 0; i < STEER_PORT_COUNT; i++)
        next[port_hash(s, STEER_PORT_FIRST + i, at) & s->mask]++;
    for (unsigned k = 0; k <= s->mask; k++) {
        c->start[k + 1] = (uint16_t)(c->start[k] + next[k]);
        next[k] = c->start[k];
    }
    for (unsigned i = 0; i < STEER_PORT_COUNT; i++) {
        unsigned k = port_hash(s, STEER_PORT_FIRST + i, at) & s->mask;
        c->port[next[k]++] = (uint16_t)(STEER_PORT_FIRST + i);
    }
}

/* Whatever the rest hashes to, each worker has a port: a key of too few independent bits (all
 * zeros, or one word over and over) leaves classes empty. */
static bool reach_all(const struct steer *s, const struct classes *c, unsigned workers)
{
    for (unsigned w = 0; w < workers; w++)
        for (unsigned rest = 0; rest <= s->mask; rest++) {
            unsigned ports = 0;
            for (unsigned i = 0; i < s->entries[w] && ports == 0; i++) {
                unsigned k = s->entry[w][i] ^ rest;
                ports = c->start[k + 1] - c->start[k];
            }
            if (ports == 0)
                return false;
        }
    return true;
}

static bool reta_take(struct steer *s, const uint8_t *worker, unsigned size, unsigned workers)
{
    s->mask = size - 1;
    for (unsigned r = 0; r < size; r++) {
        unsigned w = worker[r];
        if (w >= workers)
            return false;
        s->worker[r] = (uint8_t)w;
        s->entry[w][s->entries[w]++] = (uint16_t)r;
    }
    return true;
}

struct steer *steer_create(const uint8_t *key, unsigned key_len, const uint8_t *worker,
                           unsigned size, unsigned workers)
{
    if (key_len < STEER_KEY_LEAST || key_len > STEER_KEY_MOST || size == 0 || size > STEER_RETA ||
        (size & (size - 1)) != 0 || workers == 0 || workers > STEER_WORKERS)
        return NULL;
    struct steer *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    nibbles_make(s, key);
    if (reta_take(s, worker, size, workers)) {
        classes_make(s, &s->v4, TUPLE_V4 - 2);
        classes_make(s, &s->v6, TUPLE_V6 - 2);
        if (reach_all(s, &s->v4, workers) && reach_all(s, &s->v6, workers))
            return s;
    }
    free(s);
    return NULL;
}

void steer_destroy(struct steer *s)
{
    free(s);
}

uint32_t steer_hash(const struct steer *s, const struct endpoint *local,
                    const struct endpoint *remote)
{
    const uint8_t ports[4] = {(uint8_t)(remote->port >> 8), (uint8_t)remote->port,
                              (uint8_t)(local->port >> 8), (uint8_t)local->port};
    unsigned from = addr_is_v4(&local->ip) ? 12 : 0, len = 16 - from;

    return hash(s, remote->ip.b + from, len, 0) ^ hash(s, local->ip.b + from, len, len) ^
           hash(s, ports, 4, 2 * len);
}

unsigned steer_worker(const struct steer *s, const struct endpoint *local,
                      const struct endpoint *remote)
{
    return s->worker[steer_hash(s, local, remote) & s->mask];
}

uint16_t steer_port(const struct steer *s, unsigned worker, const struct addr *local,
                    const struct endpoint *remote, uint32_t n)
{
    const struct endpoint any = {*local, 0};
    const struct classes *c = addr_is_v4(local) ? &s->v4 : &s->v6;
    unsigned entries = s->entries[worker];
    uint32_t k = (s->entry[worker][n % entries] ^ steer_hash(s, &any, remote)) & s->mask;
    unsigned ports = c->start[k + 1] - c->start[k];

    return ports ? c->port[c->start[k] + n / entries % ports] : 0;
}

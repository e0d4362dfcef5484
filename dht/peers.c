/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/peers.h"

#include <stdlib.h>

#define TIMEOUT_LEAST_US 200000u /* a busy node on a shared core may take this long */
#define HEDGE_LEAST_US   20000u

bool peers_init(struct peers *p, uint32_t peers, const struct hash_secret *secret)
{
    p->secret = secret;
    p->sets = (peers + PEERS_WAYS - 1) / PEERS_WAYS;
    p->sets = p->sets ? p->sets : 1;
    p->peer = calloc(p->sets, sizeof(p->peer[0]));
    return p->peer != NULL;
}

void peers_free(struct peers *p)
{
    free(p->peer);
}

static struct peer *set_of(const struct peers *p, const struct dht_id *id)
{
    return p->peer[hash64(p->secret, id->b, sizeof(id->b)) % p->sets];
}

struct peer *peers_find(const struct peers *p, const struct dht_id *id)
{
    struct peer *set = set_of(p, id);
    for (unsigned i = 0; i < PEERS_WAYS; i++)
        if (set[i].used && memcmp(set[i].id.b, id->b, DHT_ID_BYTES) == 0)
            return &set[i];
    return NULL;
}

struct peer *peers_get(struct peers *p, const struct dht_id *id, const struct endpoint *rpc,
                       struct now now)
{
    struct peer *at = peers_find(p, id);
    if (!at) {
        struct peer *set = set_of(p, id);
        at = &set[0];
        for (unsigned i = 0; i < PEERS_WAYS; i++) {
            if (!set[i].used) {
                at = &set[i];
                break;
            }
            if (set[i].last_us < at->last_us)
                at = &set[i];
        }
        *at = (struct peer){.id = *id, .rpc = *rpc, .used = true};
    } else if (!endpoint_eq(&at->rpc, rpc)) {
        *at = (struct peer){.id = *id, .rpc = *rpc, .used = true};
    }
    at->last_us = now.mono_us;
    return at;
}

/* RFC 6298, 2.2 and 2.3. */
void peer_sample(struct peer *p, uint32_t rtt_us)
{
    if (rtt_us == 0)
        rtt_us = 1;
    if (p->srtt_us == 0) {
        p->srtt_us = rtt_us;
        p->var_us = rtt_us / 2;
        return;
    }
    uint32_t off = p->srtt_us > rtt_us ? p->srtt_us - rtt_us : rtt_us - p->srtt_us;
    p->var_us = (uint32_t)(((uint64_t)p->var_us * 3 + off) / 4);
    p->srtt_us = (uint32_t)(((uint64_t)p->srtt_us * 7 + rtt_us) / 8);
    if (p->srtt_us == 0)
        p->srtt_us = 1;
}

uint64_t peer_timeout_us(const struct peer *p, uint64_t without_us)
{
    if (!p || p->srtt_us == 0)
        return without_us;
    uint64_t t = p->srtt_us + 4ull * p->var_us;
    if (t < TIMEOUT_LEAST_US)
        t = TIMEOUT_LEAST_US;
    return t < without_us ? t : without_us;
}

uint64_t peer_hedge_us(const struct peer *p, uint64_t without_us)
{
    if (!p || p->srtt_us == 0)
        return without_us / 2;
    uint64_t t = p->srtt_us + 2ull * p->var_us;
    return t < HEDGE_LEAST_US ? HEDGE_LEAST_US : t;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Somebody could not reach a proxy that our store named, and says so (REPORT). Its word counts for
 * nothing: the node is pinged, twice, and only when it stays silent while others answer us are its
 * values withdrawn. So a lie costs two pings, and there are as many checks at once as there is room
 * for; a node that is still dead is reported again.
 */
#include <stdlib.h>

#include "dht/member.h"

#define WAIT_US    1000000u /* for an answer: twice the time-out of an RPC to a stranger */
#define PINGS      2u       /* without an answer: dead */
#define PINGS_MOST 5u       /* while nobody answers: then it is us, and nothing is known */

bool member_check_create(struct dht_member *m)
{
    if (!m->host.forget)
        return true;
    m->check = calloc(CHECKS, sizeof(*m->check));
    return m->check != NULL;
}

void member_check_destroy(struct dht_member *m)
{
    free(m->check);
}

static void ping(struct dht_member *m, struct check *c, struct now now)
{
    struct dht_ping p = {.to = c->rpc, .has_who = true, .who = c->id};
    c->pings++;
    c->at_us = now.mono_us + WAIT_US;
    m->host.ping(m->host.ctx, &p);
}

/* Where its RPCs go: as it told us itself, or beside its proxy, if its ID is the hash of that. */
static bool rpc_of(const struct dht_member *m, const struct dht_id *id, const struct endpoint *http,
                   struct endpoint *out)
{
    uint32_t peer = book_find(m->book, id);
    *out = peer != BOOK_NONE ? m->book->contact[peer].rpc
                             : (struct endpoint){http->ip, m->config->port};
    struct dht_id is = dht_node_id(out);
    return id_eq(&is, id);
}

void member_check_asked(struct dht_member *m, const struct dht_id *id, const struct endpoint *http,
                        struct now now)
{
    struct check *place = NULL;
    if (!m->check || id_eq(id, &m->routes.self.id))
        return;
    for (unsigned i = 0; i < CHECKS; i++) {
        if (m->check[i].pings == 0)
            place = &m->check[i];
        else if (id_eq(&m->check[i].id, id))
            return;
    }
    struct endpoint rpc;
    if (!place || !rpc_of(m, id, http, &rpc))
        return;
    *place = (struct check){.id = *id, .rpc = rpc, .since_us = now.mono_us};
    ping(m, place, now);
}

void member_check_heard(struct dht_member *m, const struct dht_id *id)
{
    for (unsigned i = 0; m->check && i < CHECKS; i++)
        if (m->check[i].pings > 0 && id_eq(&m->check[i].id, id))
            m->check[i].pings = 0;
}

void member_dead(struct dht_member *m, uint32_t peer)
{
    if (m->host.forget)
        m->host.forget(m->host.ctx, &m->book->contact[peer].id);
}

void member_check_poll(struct dht_member *m, struct now now)
{
    for (unsigned i = 0; m->check && i < CHECKS; i++) {
        struct check *c = &m->check[i];
        if (c->pings == 0 || c->at_us > now.mono_us)
            continue;
        bool others = m->answered_us > c->since_us;
        if (c->pings >= PINGS && others)
            m->host.forget(m->host.ctx, &c->id);
        if (c->pings >= PINGS_MOST || (c->pings >= PINGS && others))
            c->pings = 0;
        else
            ping(m, c, now);
    }
}

uint64_t member_check_us(const struct dht_member *m)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; m->check && i < CHECKS; i++)
        if (m->check[i].pings > 0 && m->check[i].at_us < at)
            at = m->check[i].at_us;
    return at;
}

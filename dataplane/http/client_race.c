/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connecting: happy eyeballs (RFC 8305). The addresses of an upstream are tried in the order of
 * section 4, IPv6 first and then the families in turn; the next attempt starts when the last one
 * has gone on for 250 ms (section 5), or at once when one fails. The first that stands is the
 * exchange's, the others are reset. Which family won is remembered by upstream for ten minutes and
 * goes first then, so that a broken path costs its 250 ms once.
 */
#include <assert.h>

#include "dataplane/http/client_conn.h"

/* --- the order ------------------------------------------------------------------------------ */

static struct http_family *family_of(struct http_client *c, uint64_t tag)
{
    return &c->family[(tag ^ tag >> 32) % HTTP_FAMILIES];
}

static bool prefers_v4(struct http_client *c, uint64_t tag, struct now now)
{
    const struct http_family *f = family_of(c, tag);
    return tag && f->tag == tag && f->v4 && now.mono_us < f->until_us;
}

/* The winner's family goes first next time. Two upstreams that share a place forget each other,
 * which costs a delay. */
static void remember(struct http_exchange *x, const struct endpoint *to, struct now now)
{
    if (x->to.tag && x->mixed)
        *family_of(x->client, x->to.tag) =
            (struct http_family){x->to.tag, now.mono_us + HTTP_FAMILY_US, addr_is_v4(&to->ip)};
}

/* RFC 8305 4: families in turn, the preferred one first, each in the order given. */
static void order(struct http_exchange *x, struct now now)
{
    unsigned at[2] = {0, 0}, n = x->to.n, turn = prefers_v4(x->client, x->to.tag, now), out = 0;
    bool has[2] = {false, false};
    for (unsigned i = 0; i < n; i++)
        has[addr_is_v4(&x->to.at[i].ip)] = true;
    x->mixed = has[0] && has[1];
    while (out < n) {
        unsigned i = at[turn];
        while (i < n && addr_is_v4(&x->to.at[i].ip) != (bool)turn)
            i++;
        at[turn] = i + 1;
        if (i < n)
            x->order[out++] = (uint8_t)i;
        turn = !turn;
    }
}

void http_race_begin(struct http_exchange *x, struct now now)
{
    assert(x->to.n > 0 && x->to.n <= HTTP_UPSTREAM_ADDRESSES);
    order(x, now);
    x->next_at = 0;
    x->tried = 0;
}

/* --- attempts ------------------------------------------------------------------------------- */

static bool attempt(struct http_exchange *x, unsigned i, struct now now)
{
    struct http_client *c = x->client;
    struct http_client_conn *k = http_client_conn_take(c);
    if (!k)
        return false;
    k->to = x->to.at[i];
    k->stream = c->host.connect(c->host.ctx, &k->to, &http_client_events, k, now);
    if (!k->stream) {
        http_client_conn_free(k);
        return false;
    }
    k->exchange = x;
    k->index = (uint8_t)i;
    k->since_us = now.mono_us;
    x->attempt[i] = k;
    x->attempts++;
    x->latest = (uint8_t)i;
    counter_inc(&c->counters.http_client_connects_total);
    bool last = x->next_at == x->to.n;
    http_client_conn_arm(k, now.mono_us + (last ? http_connect_us(x) : HTTP_ATTEMPT_US));
    return true;
}

bool http_race_next(struct http_exchange *x, struct now now)
{
    while (x->next_at < x->to.n) {
        unsigned i = x->order[x->next_at++];
        if (attempt(x, i, now)) {
            if (x->attempts > 1)
                counter_inc(&x->client->counters.http_client_raced_total);
            return true;
        }
        x->tried |= (uint8_t)(1u << i); /* no route, or no room: as good as refused, */
        x->local = true;                /* but not by it */
    }
    return false;
}

static void forget(struct http_exchange *x, struct http_client_conn *k)
{
    x->attempt[k->index] = NULL;
    x->attempts--;
    k->exchange = NULL;
}

bool http_race_lost(struct http_client_conn *k, bool gone, struct now now)
{
    struct http_exchange *x = k->exchange;
    counter_inc(&x->client->counters.http_client_attempts_failed_total);
    x->tried |= (uint8_t)(1u << k->index);
    forget(x, k);
    if (gone)
        http_client_conn_free(k);
    else
        http_client_conn_kill(k);
    return http_race_next(x, now) || x->attempts > 0;
}

bool http_race_timer(struct http_client_conn *k, struct now now)
{
    struct http_exchange *x = k->exchange;
    uint64_t limit = http_connect_us(x);
    uint64_t age = now.mono_us - k->since_us;
    if (age >= limit) {
        counter_inc(&k->client->counters.http_client_connect_timeouts_total);
        return http_race_lost(k, false, now);
    }
    bool last = x->latest == k->index; /* else a younger attempt goes on */
    if (last && x->next_at < x->to.n && age < HTTP_ATTEMPT_US) {
        http_client_conn_arm(k, k->since_us + HTTP_ATTEMPT_US);
        return true;
    }
    if (last && x->next_at < x->to.n)
        http_race_next(x, now);
    http_client_conn_arm(k, k->since_us + limit);
    return true;
}

void http_race_end(struct http_exchange *x)
{
    for (unsigned i = 0; i < x->to.n && x->attempts; i++) {
        struct http_client_conn *k = x->attempt[i];
        if (!k)
            continue;
        forget(x, k);
        http_client_conn_kill(k);
    }
}

void http_race_won(struct http_client_conn *k, struct now now)
{
    struct http_exchange *x = k->exchange;
    if (x->order[0] != k->index)
        counter_inc(&x->client->counters.http_client_fallbacks_total);
    forget(x, k);
    http_race_end(x);
    x->conn = k;
    k->exchange = x;
    x->tried |= (uint8_t)(1u << k->index);
    remember(x, &k->to, now);
}

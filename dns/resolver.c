/* SPDX-License-Identifier: BSD-3-Clause */
/* The stub resolver: from a name to waiters told, over lookups in flight. */
#include "dns/resolver.h"

#include <stddef.h>
#include <stdlib.h>

#define WAITERS_A_LOOKUP 4     /* on average */
#define SETTLE_US        50000 /* how long one family waits for the other (RFC 8305 3) */
#define HALF_KNOWN_TTL_S 30    /* kept when the other family failed: asked again soon */
#define FAILURES_MAX     5  /* failures are kept 1 s, then twice as long each time, up to 2^5 s */
#define FIRES            64 /* timers a poll */

/* --- create, destroy ------------------------------------------------------------------------ */

static bool allocate(struct resolver *r)
{
    uint32_t n = r->config.queries, buckets = 64;

    while (buckets < 2 * n && buckets < 65536)
        buckets *= 2;
    r->id_mask = buckets - 1;
    r->waiter_count = n * WAITERS_A_LOOKUP;
    r->lookups = calloc(n, sizeof(*r->lookups));
    r->waiters = calloc(r->waiter_count, sizeof(*r->waiters));
    r->by_id = calloc(buckets, sizeof(*r->by_id));
    if (!names_init(&r->names, r->config.names + n, &r->rng) || !r->lookups || !r->waiters ||
        !r->by_id)
        return false;
    for (uint32_t i = n; i-- > 0;)
        LIST_INSERT_HEAD(&r->free_lookups, &r->lookups[i], link);
    for (uint32_t i = r->waiter_count; i-- > 0;)
        LIST_INSERT_HEAD(&r->free_waiters, &r->waiters[i], link);
    return true;
}

struct resolver *resolver_create(const struct resolver_config *config,
                                 const struct resolver_host *host, const uint8_t seed[32],
                                 struct now now)
{
    struct resolver *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->config = *config;
    r->host = *host;
    if (r->config.servers > RESOLVER_SERVERS)
        r->config.servers = RESOLVER_SERVERS;
    if (r->config.queries == 0)
        r->config.queries = 1;
    if (r->config.names == 0)
        r->config.names = 1;
    if (r->config.timeout_ms == 0)
        r->config.timeout_ms = 1000;
    rng_init(&r->rng, seed);
    wheel_init(&r->wheel, now.mono_us);
    if (!allocate(r)) {
        resolver_destroy(r);
        return NULL;
    }
    resolver_ports_choose(r);
    return r;
}

void resolver_destroy(struct resolver *r)
{
    if (!r)
        return;
    names_free(&r->names);
    free(r->lookups);
    free(r->waiters);
    free(r->by_id);
    free(r);
}

const struct resolver_counters *resolver_counters(const struct resolver *r)
{
    return &r->counters;
}

uint64_t resolver_deadline_us(const struct resolver *r)
{
    return wheel_next_us(&r->wheel);
}

/* --- the end of a lookup --------------------------------------------------------------------- */

static bool has_addresses(const struct question *q)
{
    return q->state == QUESTION_DONE && q->result == RESOLVER_OK;
}

/* IPv4 first; where both families have many, each keeps half. */
static void merge(struct entry *e, const struct question *v4, const struct question *v6)
{
    unsigned n4 = has_addresses(v4) ? v4->reply.n : 0, n6 = has_addresses(v6) ? v6->reply.n : 0;
    unsigned half = RESOLVER_ADDRESSES / 2;

    if (n4 + n6 > RESOLVER_ADDRESSES)
        n4 = n6 < half ? RESOLVER_ADDRESSES - n6 : n4 < half ? n4 : half;
    if (n4 + n6 > RESOLVER_ADDRESSES)
        n6 = RESOLVER_ADDRESSES - n4;
    memcpy(e->address, v4->reply.address, n4 * sizeof(struct addr));
    memcpy(e->address + n4, v6->reply.address, n6 * sizeof(struct addr));
    e->n = (uint8_t)(n4 + n6);
}

/* What both questions together say, and for how long. */
static uint32_t conclude(struct lookup *l)
{
    struct question *v4 = &l->question[0], *v6 = &l->question[1];
    struct entry *e = l->entry;
    uint32_t ttl_s = TTL_MAX_S;

    e->n = 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct question *q = &l->question[i];
        bool said =
            q->state == QUESTION_DONE && (q->result == RESOLVER_OK || q->result == RESOLVER_NONE);
        uint32_t its = said ? q->reply.ttl_s : HALF_KNOWN_TTL_S;
        if (its < ttl_s)
            ttl_s = its;
    }
    if (has_addresses(v4) || has_addresses(v6)) {
        merge(e, v4, v6);
        e->result = RESOLVER_OK;
        e->failures = 0;
        return ttl_s;
    }
    bool v4_none = v4->state == QUESTION_DONE && v4->result == RESOLVER_NONE;
    bool v6_none = v6->state == QUESTION_DONE && v6->result == RESOLVER_NONE;
    if ((v4_none && v6_none) || (v4_none && v4->reply.kind == REPLY_NXDOMAIN) ||
        (v6_none && v6->reply.kind == REPLY_NXDOMAIN)) {
        e->result = RESOLVER_NONE;
        e->failures = 0;
        return ttl_s;
    }
    bool failed = (v4->state == QUESTION_DONE && v4->result == RESOLVER_FAILED) ||
                  (v6->state == QUESTION_DONE && v6->result == RESOLVER_FAILED);
    e->result = failed ? RESOLVER_FAILED : RESOLVER_TIMEOUT;
    ttl_s = 1u << e->failures;
    if (e->failures < FAILURES_MAX)
        e->failures++;
    return ttl_s;
}

static void waiter_free(struct resolver *r, struct waiter *w)
{
    LIST_REMOVE(w, link);
    w->done = NULL;
    LIST_INSERT_HEAD(&r->free_waiters, w, link);
}

/* A callback may resolve and cancel as it likes. */
static void tell(struct resolver *r, struct lookup *l, struct now now)
{
    struct addr address[RESOLVER_ADDRESSES];
    enum resolver_result result = l->entry->result;
    unsigned n = l->entry->n;
    struct waiter *w;

    memcpy(address, l->entry->address, n * sizeof(*address));
    while ((w = LIST_FIRST(&l->waiters)) != NULL) {
        resolver_done *done = w->done;
        void *ctx = w->ctx;
        waiter_free(r, w);
        done(ctx, result, address, n, now);
    }
}

/* Ends a lookup and tells who waits: the result is kept before, and the lookup is given back after
 * all were told. */
static void finish(struct resolver *r, struct lookup *l, struct now now)
{
    struct entry *e = l->entry;

    question_stop(r, &l->question[0]);
    question_stop(r, &l->question[1]);
    wheel_stop(&r->wheel, &l->timer);
    e->lookup = NULL;
    names_keep(&r->names, e);
    counter_add(&r->counters.resolver_in_flight, (uint64_t)-1);
    counter_inc(&r->counters.resolver_names);
    tell(r, l, now);
    LIST_INSERT_HEAD(&r->free_lookups, l, link);
}

static void arm(struct resolver *r, struct lookup *l)
{
    uint64_t due = l->end_us;

    for (unsigned i = 0; i < 2; i++)
        if (l->question[i].state != QUESTION_DONE && l->question[i].due_us < due)
            due = l->question[i].due_us;
    if (l->settle_us && !l->half_told && l->settle_us < due)
        due = l->settle_us;
    wheel_arm(&r->wheel, &l->timer, due);
}

/* One family is known and the other late: who waits goes on with the one (RFC 8305 3), and so does
 * who asks meanwhile. The lookup goes on, so that the next ones have both. */
static void tell_half(struct resolver *r, struct lookup *l, struct now now)
{
    merge(l->entry, &l->question[0], &l->question[1]);
    l->entry->result = RESOLVER_OK;
    l->half_told = true;
    counter_inc(&r->counters.resolver_half_told_total);
    arm(r, l); /* before: what is told may ask again */
    tell(r, l, now);
}

/* Ends the lookup if all is known, else arms its timer. */
static void review(struct resolver *r, struct lookup *l, struct now now)
{
    struct question *v4 = &l->question[0], *v6 = &l->question[1];
    bool all = v4->state == QUESTION_DONE && v6->state == QUESTION_DONE;
    bool gone = false; /* no such name: that holds for every type, RFC 8020 */

    for (unsigned i = 0; i < 2; i++)
        gone |= l->question[i].state == QUESTION_DONE && l->question[i].result == RESOLVER_NONE &&
                l->question[i].reply.kind == REPLY_NXDOMAIN;
    if ((has_addresses(v4) || has_addresses(v6)) && !l->settle_us)
        l->settle_us = now.mono_us + SETTLE_US;
    if (all || gone || now.mono_us >= l->end_us) {
        l->entry->expires_us = now.mono_us + conclude(l) * 1000000ull;
        finish(r, l, now);
    } else if (l->settle_us && !l->half_told && now.mono_us >= l->settle_us) {
        tell_half(r, l, now);
    } else {
        arm(r, l);
    }
}

/* --- questions ------------------------------------------------------------------------------- */

static void question_done(struct question *q, enum resolver_result result,
                          const struct reply *reply)
{
    q->state = QUESTION_DONE;
    q->result = result;
    if (reply)
        q->reply = *reply;
    else
        q->reply.n = 0;
}

/* A try failed: the next one, unless there were enough. Only time-outs ask a server again. */
static void next_try(struct resolver *r, struct question *q, bool timeout, struct now now)
{
    if (!timeout)
        q->errors++;
    if (q->tries >= RESOLVER_TRIES || q->errors >= r->config.servers)
        question_done(q, timeout ? RESOLVER_TIMEOUT : RESOLVER_FAILED, NULL);
    else
        question_send(r, q, now);
}

void question_answered(struct resolver *r, struct question *q, const struct reply *reply,
                       struct now now)
{
    struct lookup *l = q->lookup;

    switch (reply ? reply->kind : REPLY_ERROR) {
    case REPLY_ADDRESSES:
        r->preferred = q->server;
        question_done(q, RESOLVER_OK, reply);
        break;
    case REPLY_NODATA:
    case REPLY_NXDOMAIN:
        r->preferred = q->server;
        question_done(q, RESOLVER_NONE, reply);
        break;
    default:
        counter_inc(&r->counters.resolver_failures_total);
        /* RFC 6891 6.2.2: a server from before EDNS is asked once more without */
        if (reply && reply->rcode == DNS_FORMERR && !q->plain) {
            q->plain = true;
            q->tries--;
            question_send(r, q, now);
        } else {
            next_try(r, q, false, now);
        }
    }
    review(r, l, now);
}

static bool server_fits(const struct resolver *r, const struct question *q,
                        const struct datagram *d)
{
    return q->port == d->to.port && endpoint_eq(&d->from, &r->config.server[q->server]);
}

void resolver_input(struct resolver *r, const struct datagram *d, struct now now)
{
    struct question *q = NULL;
    struct reply reply;

    if (d->len >= DNS_HEADER_LEN) {
        uint16_t id = (uint16_t)(d->data[0] << 8 | d->data[1]);
        LIST_FOREACH(q, &r->by_id[id & r->id_mask], by_id)
        if (q->id == id && server_fits(r, q, d) &&
            reply_matches(d->data, d->len, id, q->qname, q->qname_len, q->qtype))
            break;
    }
    if (!q) {
        counter_inc(&r->counters.resolver_ignored_total);
        return;
    }
    reply_read(&reply, d->data, d->len, q->qtype);
    question_stop(r, q);
    if (reply.kind == REPLY_TRUNCATED && question_to_tcp(r, q, now))
        arm(r, q->lookup);
    else
        question_answered(r, q, &reply, now);
}

/* --- time ------------------------------------------------------------------------------------ */

struct firing {
    struct resolver *resolver;
    struct now now;
};

static void on_timer(void *ctx, struct timer *t)
{
    struct firing *f = ctx;
    struct resolver *r = f->resolver;
    struct lookup *l = (struct lookup *)((char *)t - offsetof(struct lookup, timer));

    for (unsigned i = 0; i < 2; i++) {
        struct question *q = &l->question[i];
        if (q->state == QUESTION_DONE || f->now.mono_us < q->due_us)
            continue;
        if (q->state == QUESTION_UNSENT) {
            question_send(r, q, f->now);
            continue;
        }
        counter_inc(&r->counters.resolver_timeouts_total);
        question_stop(r, q);
        next_try(r, q, true, f->now);
    }
    review(r, l, f->now);
}

void resolver_poll(struct resolver *r, struct now now)
{
    struct firing f = {r, now};
    wheel_advance(&r->wheel, now.mono_us, FIRES, on_timer, &f);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void lookup_start(struct resolver *r, struct lookup *l, struct entry *e, struct now now)
{
    static const uint16_t types[2] = {DNS_A, DNS_AAAA};

    LIST_REMOVE(l, link);
    LIST_INIT(&l->waiters);
    l->entry = e;
    l->settle_us = 0;
    l->half_told = false;
    /* TCP may follow each UDP try */
    l->end_us = now.mono_us + 2 * RESOLVER_TRIES * r->config.timeout_ms * 1000ull;
    e->lookup = l;
    counter_inc(&r->counters.resolver_in_flight);
    for (unsigned i = 0; i < 2; i++) {
        struct question *q = &l->question[i];
        q->lookup = l;
        q->qtype = types[i];
        q->state = QUESTION_UNSENT;
        q->tries = q->errors = 0;
        q->plain = false;
        q->tcp = NULL;
        q->reply.n = 0;
        question_send(r, q, now);
    }
    arm(r, l);
}

static uint64_t wait_for(struct resolver *r, struct lookup *l, resolver_done *done, void *ctx)
{
    struct waiter *w = LIST_FIRST(&r->free_waiters);

    LIST_REMOVE(w, link);
    w->done = done;
    w->ctx = ctx;
    w->generation++;
    LIST_INSERT_HEAD(&l->waiters, w, link);
    return (uint64_t)w->generation << 32 | ((uint64_t)(w - r->waiters) + 1);
}

/* A last label of digits only would be an address somewhere else (WHATWG URL 3.5). */
static bool ends_in_number(const uint8_t *name, unsigned len)
{
    const uint8_t *last = name;

    for (const uint8_t *at = name; *at; at += 1 + *at)
        last = at;
    for (unsigned i = 1; i <= *last; i++)
        if (last[i] < '0' || last[i] > '9')
            return false;
    return len > 1;
}

/* Answers without a lookup where that is possible. */
static bool answer_at_once(struct resolver *r, const char *text, const uint8_t *name, unsigned len,
                           const struct entry *e, resolver_done *done, void *ctx, struct now now)
{
    struct addr address[RESOLVER_ADDRESSES];

    if (addr_parse(text, &address[0])) {
        done(ctx, RESOLVER_OK, address, 1, now);
    } else if (len == 0 || ends_in_number(name, len)) {
        done(ctx, RESOLVER_NONE, NULL, 0, now);
    } else if (e && (e->lookup ? e->lookup->half_told : now.mono_us < e->expires_us)) {
        counter_inc(&r->counters.resolver_kept_total);
        memcpy(address, e->address, sizeof(address)); /* done may displace the entry */
        done(ctx, e->result, address, e->n, now);
    } else if (LIST_EMPTY(&r->free_waiters) || r->config.servers == 0 ||
               (!(e && e->lookup) && LIST_EMPTY(&r->free_lookups))) {
        counter_inc(&r->counters.resolver_busy_total);
        done(ctx, r->config.servers ? RESOLVER_BUSY : RESOLVER_FAILED, NULL, 0, now);
    } else {
        return false;
    }
    return true;
}

uint64_t resolver_resolve(struct resolver *r, const char *name, resolver_done *done, void *ctx,
                          struct now now)
{
    uint8_t wire[DNS_NAME_MAX];
    unsigned len = dns_name_parse(name, wire);
    struct entry *e = len ? names_find(&r->names, wire, len) : NULL;

    counter_inc(&r->counters.resolver_lookups_total);
    if (e && !e->lookup) { /* used now: the last to be displaced */
        names_unkeep(&r->names, e);
        names_keep(&r->names, e);
    }
    if (answer_at_once(r, name, wire, len, e, done, ctx, now))
        return 0;
    if (e && e->lookup) {
        counter_inc(&r->counters.resolver_joined_total);
        return wait_for(r, e->lookup, done, ctx);
    }
    if (e) {
        names_unkeep(&r->names, e);
        counter_add(&r->counters.resolver_names, (uint64_t)-1);
    } else {
        if (LIST_EMPTY(&r->names.free))
            counter_add(&r->counters.resolver_names, (uint64_t)-1);
        e = names_take(&r->names, wire, len);
    }
    struct lookup *l = LIST_FIRST(&r->free_lookups);
    lookup_start(r, l, e, now);
    return wait_for(r, l, done, ctx);
}

void resolver_cancel(struct resolver *r, uint64_t ticket)
{
    uint32_t index = (uint32_t)ticket - 1;

    if (index >= r->waiter_count)
        return;
    struct waiter *w = &r->waiters[index];
    if (w->done && w->generation == (uint32_t)(ticket >> 32))
        waiter_free(r, w); /* the lookup goes on: its result is kept */
}

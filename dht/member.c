/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Membership: the bootstrap list and pings say who is there, walks to our own ID and to random ones
 * say who else. All by direct answers; what others name is only a candidate for a ping.
 *
 *   a member is pinged each interval; unanswered: again at once; `ping_misses` in a row: not alive,
 *   pinged ever more rarely, and forgotten after a minute; any answer, however late: alive
 */
#include <assert.h>
#include <stdlib.h>

#include "dht/table.h"

#define BOOTSTRAP_MAX    64
#define CANDIDATES       64
#define PINGED_EACH      64u      /* members pinged an interval; more take turns */
#define MISS_APART_US    150000u  /* several RPCs lost at once are one miss */
#define PING_LOST_US     3000000u /* neither answer nor time-out was reported */
#define DEAD_PING_US     250000u  /* first pause between pings to a dead one, doubling ... */
#define DEAD_PING_MAX_US 8000000u /* ... up to this */
#define FORGET_US        60000000u
#define OFFLINE_US       3000000u /* nothing answers: then it is us, and nobody is forgotten */
#define BOOTSTRAP_US     1000000u
#define BOOTSTRAP_MAX_US 5000000u
#define CANDIDATE_US     3000000u  /* a candidate is pinged once in this time */
#define FIND_FIRST_US    200000u   /* when the workers have the first contact in their view */
#define FIND_MAX_US      30000000u /* walks to our own ID */
#define REFRESH_FIRST_US 500000u
#define REFRESH_ROUNDS   2
#define REFRESH_MAX_US   60000000u /* walks to random IDs */

struct bootstrap {
    struct endpoint at;
    struct dht_id id;
    uint64_t next_us, pause_us;
};

struct candidate {
    struct dht_id id;
    struct endpoint rpc;
    bool used, pinged;
    uint64_t since_us;
};

struct dht_member {
    struct dht_config config;
    struct dht_contact self;
    struct dht_member_host host;
    struct rng rng;
    bool changed;
    uint64_t answered_us; /* the last answer of anybody, 0: none yet */
    uint64_t find_us, find_pause_us, refresh_us, refresh_pause_us; /* UINT64_MAX: not yet */
    unsigned refreshes;
    unsigned bootstraps;
    struct bootstrap bootstrap[BOOTSTRAP_MAX];
    struct candidate candidate[CANDIDATES];
    struct table table;
};

struct dht_member *dht_member_create(const struct dht_config *config,
                                     const struct dht_contact *self,
                                     const struct endpoint *bootstrap, unsigned n,
                                     const struct dht_member_host *host, const uint8_t seed[32],
                                     struct now now)
{
    assert(config->bucket >= 1 && config->ping_interval_ms >= 1 && config->ping_misses >= 1);
    struct dht_member *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->config = *config;
    m->self = *self;
    m->host = *host;
    rng_init(&m->rng, seed);
    m->changed = true;
    m->find_us = m->refresh_us = UINT64_MAX;
    m->find_pause_us = FIND_FIRST_US;
    m->refresh_pause_us = REFRESH_FIRST_US;
    m->table.self = self->id;
    m->table.k = config->bucket;
    for (unsigned i = 0; i < n && m->bootstraps < BOOTSTRAP_MAX; i++) {
        struct dht_id id = dht_node_id(&bootstrap[i]);
        if (!id_eq(&id, &self->id)) /* the same list may be given to all nodes */
            m->bootstrap[m->bootstraps++] =
                (struct bootstrap){bootstrap[i], id, now.mono_us, BOOTSTRAP_US};
    }
    return m;
}

void dht_member_destroy(struct dht_member *m)
{
    free(m);
}

/* --- events ----------------------------------------------------------------------------------- */

/* A table of more than PINGED_EACH takes turns; spread by up to a fifth, so that pings of many
 * nodes don't march in step. */
static uint64_t ping_pause_us(struct dht_member *m)
{
    uint64_t us = 1000ull * m->config.ping_interval_ms;
    if (m->table.n > PINGED_EACH)
        us = us * m->table.n / PINGED_EACH;
    return us - rng_below(&m->rng, (uint32_t)(us / 5 + 1));
}

static struct candidate *candidate_find(struct dht_member *m, const struct dht_id *id)
{
    for (unsigned i = 0; i < CANDIDATES; i++)
        if (m->candidate[i].used && id_eq(&m->candidate[i].id, id))
            return &m->candidate[i];
    return NULL;
}

/* Field by field: padding has no say. */
static bool contact_same(const struct dht_contact *a, const struct dht_contact *b)
{
    return endpoint_eq(&a->rpc, &b->rpc) && addr_eq(&a->v4, &b->v4) && addr_eq(&a->v6, &b->v6) &&
           a->http_port == b->http_port && a->services == b->services;
}

/* The first contact: join by walking to ourselves. */
static void joined(struct dht_member *m, struct now now)
{
    if (m->find_us == UINT64_MAX) {
        m->find_us = now.mono_us + FIND_FIRST_US;
        m->refresh_us = now.mono_us + REFRESH_FIRST_US;
    }
}

/* It was us who was away: the others get their full minute, and are asked at once. */
static void back_online(struct dht_member *m, struct now now)
{
    for (uint32_t i = 0; i < m->table.n; i++) {
        struct member *e = &m->table.member[i];
        if (e->alive)
            continue;
        e->dead_us = now.mono_us;
        e->backoff_us = DEAD_PING_US;
        e->ping_us = now.mono_us;
    }
}

void dht_member_answered(struct dht_member *m, const struct dht_contact *who, uint32_t rtt_us,
                         struct now now)
{
    if (id_eq(&who->id, &m->self.id))
        return;
    if (now.mono_us - m->answered_us > OFFLINE_US)
        back_online(m, now);
    m->answered_us = now.mono_us;
    joined(m, now);
    struct candidate *c = candidate_find(m, &who->id);
    if (c)
        c->used = false;
    struct member *e = table_find(&m->table, &who->id);
    if (!e) {
        e = table_insert(&m->table, who);
        m->changed |= e != NULL;
    } else if (!e->alive || !contact_same(&e->contact, who)) {
        m->changed = true;
    }
    if (!e)
        return;
    e->contact = *who;
    e->rtt_us = rtt_us;
    e->alive = true;
    e->misses = 0;
    e->pinged_us = 0;
    e->ping_us = now.mono_us + ping_pause_us(m);
}

void dht_member_timed_out(struct dht_member *m, const struct dht_id *who, struct now now)
{
    struct member *e = table_find(&m->table, who);
    if (!e)
        return;
    e->pinged_us = 0;
    if (!e->alive) {
        e->ping_us = now.mono_us + e->backoff_us;
        return;
    }
    e->ping_us = now.mono_us;
    if (e->misses > 0 && now.mono_us - e->missed_us < MISS_APART_US)
        return;
    e->missed_us = now.mono_us;
    if (++e->misses < m->config.ping_misses)
        return;
    e->alive = false;
    e->dead_us = now.mono_us;
    e->backoff_us = DEAD_PING_US;
    e->ping_us = now.mono_us + e->backoff_us;
    m->changed = true;
}

void dht_member_heard(struct dht_member *m, const struct dht_contact *who, struct now now)
{
    if (id_eq(&who->id, &m->self.id))
        return;
    struct member *e = table_find(&m->table, &who->id);
    if (e) {
        if (!e->alive && e->pinged_us == 0) /* it may be back */
            e->ping_us = now.mono_us;
        return;
    }
    if (candidate_find(m, &who->id) || !table_wants(&m->table, &who->id))
        return;
    struct candidate *place = NULL;
    for (unsigned i = 0; i < CANDIDATES && !place; i++)
        if (!m->candidate[i].used)
            place = &m->candidate[i];
    if (place) /* when all are taken it will be heard of again */
        *place = (struct candidate){who->id, who->rpc, true, false, now.mono_us};
}

/* --- time --------------------------------------------------------------------------------------
 */

static void poll_members(struct dht_member *m, struct now now)
{
    bool offline = now.mono_us - m->answered_us > OFFLINE_US;
    for (uint32_t i = 0; i < m->table.n;) {
        struct member *e = &m->table.member[i];
        if (e->pinged_us && now.mono_us - e->pinged_us >= PING_LOST_US)
            e->pinged_us = 0;
        if (!e->alive && !offline && now.mono_us - e->dead_us >= FORGET_US) {
            table_remove(&m->table, i);
            m->changed = true;
            continue;
        }
        if (e->pinged_us == 0 && e->ping_us <= now.mono_us) {
            e->pinged_us = now.mono_us ? now.mono_us : 1;
            if (!e->alive && e->backoff_us < DEAD_PING_MAX_US)
                e->backoff_us *= 2;
            m->host.ping(m->host.ctx, &e->contact.rpc, &e->contact.id);
        }
        i++;
    }
}

static void poll_bootstrap(struct dht_member *m, struct now now)
{
    for (unsigned i = 0; i < m->bootstraps; i++) {
        struct bootstrap *b = &m->bootstrap[i];
        if (b->next_us > now.mono_us)
            continue;
        const struct member *e = table_find(&m->table, &b->id);
        if (e && e->alive)
            b->pause_us = BOOTSTRAP_US;
        else
            m->host.ping(m->host.ctx, &b->at, NULL);
        b->next_us = now.mono_us + b->pause_us;
        if (b->pause_us < BOOTSTRAP_MAX_US)
            b->pause_us += BOOTSTRAP_US;
    }
}

static void poll_candidates(struct dht_member *m, struct now now)
{
    for (unsigned i = 0; i < CANDIDATES; i++) {
        struct candidate *c = &m->candidate[i];
        if (!c->used)
            continue;
        if (!c->pinged) {
            c->pinged = true;
            c->since_us = now.mono_us;
            m->host.ping(m->host.ctx, &c->rpc, &c->id);
        } else if (now.mono_us - c->since_us >= CANDIDATE_US) {
            c->used = false;
        }
    }
}

static void poll_finds(struct dht_member *m, struct now now)
{
    if (m->find_us <= now.mono_us) {
        m->find_us = now.mono_us + m->find_pause_us;
        if ((m->find_pause_us *= 2) > FIND_MAX_US)
            m->find_pause_us = FIND_MAX_US;
        m->host.find(m->host.ctx, &m->self.id);
    }
    if (m->refresh_us <= now.mono_us) {
        /* the buckets from the farthest to the nearest one that has somebody, in turn: quickly
         * twice, since a hole among them may hide a key's root, then rarely */
        unsigned buckets = m->table.n ? distance_prefix(&m->table.member[0].distance) + 1 : 1;
        if (m->refreshes >= REFRESH_ROUNDS * buckets && (m->refresh_pause_us *= 2) > REFRESH_MAX_US)
            m->refresh_pause_us = REFRESH_MAX_US;
        m->refresh_us = now.mono_us + m->refresh_pause_us;
        struct dht_id target = id_random(&m->rng, &m->self.id, m->refreshes++ % buckets);
        m->host.find(m->host.ctx, &target);
    }
}

void dht_member_poll(struct dht_member *m, struct now now)
{
    poll_bootstrap(m, now);
    poll_members(m, now);
    poll_candidates(m, now);
    poll_finds(m, now);
}

static void sooner(uint64_t *at, uint64_t us)
{
    if (us < *at)
        *at = us;
}

uint64_t dht_member_deadline_us(const struct dht_member *m)
{
    uint64_t at = m->find_us;
    sooner(&at, m->refresh_us);
    for (unsigned i = 0; i < m->bootstraps; i++)
        sooner(&at, m->bootstrap[i].next_us);
    for (uint32_t i = 0; i < m->table.n; i++) {
        const struct member *e = &m->table.member[i];
        sooner(&at, e->pinged_us ? e->pinged_us + PING_LOST_US : e->ping_us);
    }
    for (unsigned i = 0; i < CANDIDATES; i++)
        if (m->candidate[i].used)
            sooner(&at, m->candidate[i].since_us + (m->candidate[i].pinged ? CANDIDATE_US : 0));
    return at;
}

/* --- snapshots ---------------------------------------------------------------------------------
 */

bool dht_member_changed(const struct dht_member *m)
{
    return m->changed;
}

struct dht_routes *dht_member_routes(struct dht_member *m)
{
    struct dht_routes *r = calloc(1, sizeof(*r) + m->table.n * sizeof(r->route[0]));
    if (!r)
        return NULL;
    r->self = m->self;
    r->n = m->table.n;
    for (uint32_t i = 0; i < m->table.n; i++) {
        const struct member *e = &m->table.member[i];
        r->route[i] = (struct dht_route){e->contact, e->rtt_us, e->alive};
    }
    m->changed = false;
    return r;
}

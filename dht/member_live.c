/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is fit for DNS answers: live.h watches those of the table that are of our nearest cluster, of
 * a wider one where there are few, all of a small table. What it finds out goes into the routes'
 * `live` bits; the pings that it wants go out with its news in them.
 *
 * A ping that others ask of us (VIA) is answered by a ping to who asked, with one item of news in
 * it: REACHED as soon as the named node answers, NOT_REACHED after VIA_US.
 */
#include "dht/member.h"

#include <stdlib.h>

#define SMALL_TABLE 32u     /* watched whole */
#define ENOUGH      8u      /* members of a cluster to choose from; else a wider one is watched */
#define VIA_US      100000u /* as live_config's timeout_min_us: more would look like a cut */

static struct dht_ping ping_of(const struct dht_member *m, uint32_t peer)
{
    return (struct dht_ping){
        .to = m->book->contact[peer].rpc, .has_who = true, .who = m->book->contact[peer].id};
}

/* --- what the detector wants ------------------------------------------------------------------ */

static void host_ping(void *ctx, uint32_t peer)
{
    struct dht_member *m = ctx;
    struct dht_ping p = ping_of(m, peer);
    p.n_news = live_news_out(m->live, peer, p.news, m->live_now);
    m->host.ping(m->host.ctx, &p);
}

static void host_ping_via(void *ctx, uint32_t helper, uint32_t target, uint32_t token)
{
    struct dht_member *m = ctx;
    struct dht_ping p = ping_of(m, helper);
    p.is_via = true;
    p.via = m->book->contact[target].id;
    p.via_rpc = m->book->contact[target].rpc;
    m->asked[m->asks++ % VIAS] = (struct via){helper, token, p.via, m->live_now.mono_us};
    m->host.ping(m->host.ctx, &p);
}

static void host_rumour(void *ctx, uint32_t to, const struct dht_news *news, unsigned n)
{
    struct dht_member *m = ctx;
    struct dht_ping p = ping_of(m, to);
    p.n_news = n < DHT_NEWS ? n : DHT_NEWS;
    memcpy(p.news, news, p.n_news * sizeof(*news));
    m->host.ping(m->host.ctx, &p);
}

static void set_live(struct dht_member *m, uint32_t at, bool live)
{
    if (m->table.route[at].live == live)
        return;
    m->table.route[at].live = live;
    m->changed = true;
}

static void host_changed(void *ctx, uint32_t peer, enum live_state state)
{
    struct dht_member *m = ctx;
    uint32_t at = table_find(&m->table, peer);
    if (at < m->routes.n)
        set_live(m, at, state == LIVE_ALIVE && m->table.route[at].alive);
    if (state == LIVE_DEAD)
        member_dead(m, peer);
}

static void host_accused(void *ctx, uint32_t incarnation)
{
    struct dht_member *m = ctx;
    m->routes.incarnation = incarnation;
    m->changed = true;
}

bool member_live_create(struct dht_member *m, struct now now)
{
    struct live_config config = live_config_default();
    const struct live_host host = {.ctx = m,
                                   .ping = host_ping,
                                   .ping_via = host_ping_via,
                                   .rumour = host_rumour,
                                   .changed = host_changed,
                                   .self_accused = host_accused};
    uint64_t seed[4] = {member_random(m), member_random(m), member_random(m), member_random(m)};
    if (!m->config->liveness)
        return true;
    m->watched = calloc(LIVE_MEMBERS, sizeof(*m->watched));
    m->asked = calloc(2 * VIAS, sizeof(*m->asked));
    if (!m->watched || !m->asked)
        return false;
    m->helping = m->asked + VIAS;
    for (unsigned i = 0; i < VIAS; i++)
        m->asked[i].peer = m->helping[i].peer = BOOK_NONE;
    config.interval_us = 1000 * m->config->ping_interval_ms;
    m->live_now = now;
    m->live = live_create(&config, &m->routes.self.id, m->routes.incarnation, &host,
                          (const uint8_t *)seed, now);
    return m->live != NULL;
}

void member_live_destroy(struct dht_member *m)
{
    live_destroy(m->live);
    free(m->watched);
    free(m->asked);
}

/* --- whom it watches -------------------------------------------------------------------------- */

/* The nearest level that has members enough. */
static unsigned watched_level(const struct dht_member *m)
{
    unsigned level = m->config->levels - 1;
    if (m->routes.n <= SMALL_TABLE)
        return 0;
    while (level > 0 && table_count(&m->table, level) < ENOUGH)
        level--;
    return level;
}

/* After the table has changed: who came in is watched, who went is not. */
static void reconcile(struct dht_member *m, struct now now)
{
    unsigned kept = 0, level = watched_level(m);
    m->live_stale = false;
    for (unsigned i = 0; i < m->watches; i++) {
        uint32_t at = table_find(&m->table, m->watched[i]);
        if (at < m->routes.n && m->table.route[at].levels >> level & 1)
            m->watched[kept++] = m->watched[i];
        else
            live_remove(m->live, m->watched[i]);
    }
    m->watches = kept;
    for (uint32_t at = 0; at < m->routes.n; at++) {
        uint32_t peer = m->table.route[at].peer;
        if (!m->table.route[at].alive || !(m->table.route[at].levels >> level & 1))
            continue;
        if (m->watches < LIVE_MEMBERS && live_add(m->live, peer, &m->book->contact[peer].id,
                                                  m->book->note[peer].incarnation, now))
            m->watched[m->watches++] = peer;
    }
    for (uint32_t at = 0; at < m->routes.n; at++)
        member_live_keep(m, at);
}

/* One that is watched is fit by the detector's word. Of the others routing hears too late when they
 * die. */
void member_live_keep(struct dht_member *m, uint32_t at)
{
    enum live_state state;
    if (!m->live)
        set_live(m, at, m->table.route[at].alive);
    else
        set_live(m, at,
                 m->table.route[at].alive && live_get(m->live, m->table.route[at].peer, &state) &&
                     state == LIVE_ALIVE);
}

void member_live_forget(struct dht_member *m, uint32_t peer)
{
    for (unsigned i = 0; i < VIAS && m->live; i++) {
        if (m->asked[i].peer == peer)
            m->asked[i].peer = BOOK_NONE;
        if (m->helping[i].peer == peer)
            m->helping[i].peer = BOOK_NONE;
    }
    for (unsigned i = 0; i < m->watches; i++) {
        if (m->watched[i] != peer)
            continue;
        live_remove(m->live, peer);
        m->watched[i] = m->watched[--m->watches];
        return;
    }
}

/* --- what comes in ---------------------------------------------------------------------------- */

static void helper_said(struct dht_member *m, uint32_t helper, const struct dht_news *news,
                        struct now now)
{
    for (unsigned i = 0; i < VIAS; i++) {
        struct via *v = &m->asked[i];
        if (v->peer != helper || !id_eq(&v->target, &news->id))
            continue;
        v->peer = BOOK_NONE;
        live_helped(m->live, v->token, news->state == DHT_NEWS_REACHED, now);
        return;
    }
}

static void help_end(struct dht_member *m, struct via *v, bool reached)
{
    struct dht_ping p = ping_of(m, v->peer);
    p.n_news = 1;
    p.news[0] = (struct dht_news){.id = v->target,
                                  .state = reached ? DHT_NEWS_REACHED : DHT_NEWS_NOT_REACHED};
    v->peer = BOOK_NONE;
    m->host.ping(m->host.ctx, &p);
}

/* For one that we know ourselves; when all places are taken the asker hears nothing, as from one
 * that is down. */
static void help_begin(struct dht_member *m, uint32_t asker, const struct dht_tidings *t,
                       struct now now)
{
    uint32_t via = book_find(m->book, &t->via);
    if (via == BOOK_NONE || !endpoint_eq(&m->book->contact[via].rpc, &t->via_rpc))
        return;
    for (unsigned i = 0; i < VIAS; i++) {
        struct via *v = &m->helping[i];
        if (v->peer != BOOK_NONE)
            continue;
        *v = (struct via){asker, 0, t->via, now.mono_us};
        struct dht_ping p = {.to = t->via_rpc, .has_who = true, .who = t->via};
        m->host.ping(m->host.ctx, &p);
        return;
    }
}

void member_live_heard(struct dht_member *m, uint32_t peer, const struct dht_sender *who,
                       const struct dht_tidings *t, struct now now)
{
    struct dht_news news[DHT_NEWS];
    unsigned n = 0;
    if (!m->live)
        return;
    m->live_now = now;
    live_heard(m->live, peer, who->incarnation, t->rtt_us, now);
    for (unsigned i = 0; i < VIAS && t->rtt_us > 0; i++)
        if (m->helping[i].peer != BOOK_NONE && id_eq(&m->helping[i].target, &who->contact.id))
            help_end(m, &m->helping[i], true);
    for (unsigned i = 0; i < t->n_news; i++) {
        if (t->news[i].state <= DHT_NEWS_LEAVING)
            news[n++] = t->news[i];
        else if (t->news[i].state <= DHT_NEWS_NOT_REACHED)
            helper_said(m, peer, &t->news[i], now);
    }
    if (n > 0)
        live_news_in(m->live, peer, news, n, now);
    if (t->asks_via && !id_eq(&t->via, &m->routes.self.id))
        help_begin(m, peer, t, now);
}

void member_live_poll(struct dht_member *m, struct now now)
{
    if (!m->live)
        return;
    m->live_now = now;
    if (m->live_stale)
        reconcile(m, now);
    for (unsigned i = 0; i < VIAS; i++)
        if (m->helping[i].peer != BOOK_NONE && now.mono_us - m->helping[i].since_us >= VIA_US)
            help_end(m, &m->helping[i], false);
    live_poll(m->live, now);
}

uint64_t member_live_us(const struct dht_member *m)
{
    uint64_t at = UINT64_MAX;
    if (!m->live)
        return at;
    at = m->live_stale ? 0 : live_deadline_us(m->live);
    for (unsigned i = 0; i < VIAS; i++)
        if (m->helping[i].peer != BOOK_NONE && m->helping[i].since_us + VIA_US < at)
            at = m->helping[i].since_us + VIA_US;
    return at;
}

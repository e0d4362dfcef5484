/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routing's failure detector. An answer of any kind is a sign of life; the longest unheard of a
 * level is pinged in its turn. One that misses is pinged again soon, is no next hop after two
 * misses in a row, and goes after four and 15 s; but not while nobody answers: then it is us.
 */
#include "dht/member.h"

#define MISSES_SUSPECT 2
#define MISSES_GONE    4
#define SILENT_GONE_MS 15000u   /* ... and unheard for so long */
#define AGAIN_US       100000u  /* after the first miss; doubles */
#define AGAIN_MAX_US   8000000u /* while we are offline */
#define OFFLINE_US     3000000u /* nothing answers: then it is us, and nobody is given up */
#define CANDIDATE_US   3000000u /* a candidate is pinged once in this time */
#define RTT_MAX_US     0xffffffu

unsigned member_shared(const struct dht_member *m, const struct dht_sender *who)
{
    unsigned levels = 1;
    for (unsigned l = 1; l < m->config->levels; l++)
        if (who->level[l].cid != 0 && who->level[l].cid == m->routes.level[l].is.cid)
            levels |= 1u << l;
    return levels;
}

static uint32_t now_ms(struct now now)
{
    return (uint32_t)(now.mono_us / 1000);
}

static void suspect_drop(struct dht_member *m, uint32_t peer)
{
    for (unsigned i = 0; i < SUSPECTS; i++)
        if (m->suspect[i].peer == peer)
            m->suspect[i].peer = BOOK_NONE;
}

static void suspect_add(struct dht_member *m, uint32_t peer, uint64_t at_us)
{
    struct suspect *free_one = NULL;
    for (unsigned i = 0; i < SUSPECTS; i++) {
        if (m->suspect[i].peer == peer) {
            m->suspect[i].at_us = at_us;
            return;
        }
        if (m->suspect[i].peer == BOOK_NONE)
            free_one = &m->suspect[i];
    }
    if (free_one) /* else it is found when it is its turn again */
        *free_one = (struct suspect){peer, at_us};
}

/* Field by field: padding has no say. */
static bool contact_same(const struct dht_contact *a, const struct dht_contact *b)
{
    return endpoint_eq(&a->rpc, &b->rpc) && addr_eq(&a->v4, &b->v4) && addr_eq(&a->v6, &b->v6) &&
           a->http_port == b->http_port && a->services == b->services;
}

/* RFC 6298, 2.3: an eighth of the news. */
static uint32_t smoothed(uint32_t old, uint32_t rtt_us)
{
    if (rtt_us > RTT_MAX_US)
        rtt_us = RTT_MAX_US;
    return old == 0 || rtt_us == 0 ? rtt_us | old : old - old / 8 + rtt_us / 8;
}

/* It answered: keep it, if there is a place. */
void member_keep(struct dht_member *m, uint32_t peer, const struct dht_sender *who, uint32_t rtt_us,
                 struct now now)
{
    struct table *t = &m->table;
    bool leaving = who->leaving && !m->routes.leaving;
    m->answered_us = now.mono_us;
    for (unsigned i = 0; i < CANDIDATES; i++)
        if (m->candidate[i].peer == peer)
            m->candidate[i].peer = BOOK_NONE;
    suspect_drop(m, peer);
    uint32_t at = table_find(t, peer);
    bool known = at < m->routes.n;
    unsigned shared = leaving ? 0 : member_shared(m, who);
    unsigned had = known ? t->route[at].levels : 0;
    if (known && !contact_same(&m->book->contact[peer], &who->contact))
        m->changed = true;
    m->book->contact[peer] = who->contact;
    /* a level for which it is shared but has no place is tried again with each new bit only */
    if (!known || (had & ~shared) || leaving || (shared & ~had && t->note[at].fails == 0))
        at = table_put(t, peer, shared, rtt_us, now);
    if (at == m->routes.n) {
        m->changed |= known;
        m->live_stale |= known;
        return;
    }
    struct dht_route *r = &t->route[at];
    bool changed = !known || r->levels != had || !r->alive;
    m->changed |= changed;
    m->live_stale |= changed;
    r->rtt_us = smoothed(r->rtt_us, rtt_us) & RTT_MAX_US;
    r->alive = 1;
    t->note[at] = (struct table_note){.heard_ms = now_ms(now), .reached = t->note[at].reached};
    member_live_keep(m, at);
}

void member_reached(struct dht_member *m, uint32_t peer)
{
    uint32_t at = table_find(&m->table, peer);
    if (at < m->routes.n)
        m->table.note[at].reached = true;
}

void member_miss(struct dht_member *m, uint32_t peer, struct now now)
{
    uint32_t at = table_find(&m->table, peer);
    if (at == m->routes.n)
        return;
    struct table_note *n = &m->table.note[at];
    bool offline = now.mono_us - m->answered_us > OFFLINE_US;
    if (n->fails < UINT8_MAX)
        n->fails++;
    if (n->fails >= MISSES_GONE && !offline && now_ms(now) - n->heard_ms >= SILENT_GONE_MS) {
        suspect_drop(m, peer);
        member_lose(m, &m->book->contact[peer].rpc);
        table_remove(&m->table, at);
        member_dead(m, peer);
        member_clusters_gone(m, peer);
        m->changed = m->live_stale = true;
        return;
    }
    if (n->fails >= MISSES_SUSPECT && m->table.route[at].alive) {
        m->table.route[at].alive = m->table.route[at].live = 0;
        m->changed = true; /* watched or not: who is no next hop is no answer either */
    }
    uint64_t again = (uint64_t)AGAIN_US << (n->fails < 8 ? n->fails - 1 : 7);
    suspect_add(m, peer, now.mono_us + (again < AGAIN_MAX_US ? again : AGAIN_MAX_US));
}

/* Its number is another's from now on. */
void member_forget(struct dht_member *m, uint32_t peer)
{
    suspect_drop(m, peer);
    for (unsigned i = 0; i < CANDIDATES; i++)
        if (m->candidate[i].peer == peer)
            m->candidate[i].peer = BOOK_NONE;
    member_clusters_gone(m, peer);
    member_live_forget(m, peer);
}

void member_consider(struct dht_member *m, uint32_t peer, const struct dht_sender *who,
                     struct now now)
{
    uint32_t at = table_find(&m->table, peer);
    if (at < m->routes.n) {
        if (who->leaving)
            member_keep(m, peer, who, 0, now);
        else if (!m->table.route[at].alive) /* it may be back */
            suspect_add(m, peer, now.mono_us);
        return;
    }
    if (who->leaving || !table_wants(&m->table, peer, member_shared(m, who), 0))
        return;
    struct candidate *place = NULL;
    for (unsigned i = 0; i < CANDIDATES; i++) {
        if (m->candidate[i].peer == peer)
            return;
        if (m->candidate[i].peer == BOOK_NONE)
            place = &m->candidate[i];
    }
    if (place) /* when all are taken it will be heard of again */
        *place = (struct candidate){peer, false, now.mono_us};
    if (place && !m->config->mitigate.direct_only)
        member_keep(m, peer, who, 0, now);
}

/* --- time ------------------------------------------------------------------------------------- */

/* The longest unheard of a level, if that is long enough ago. */
static void refresh(struct dht_member *m, struct now now)
{
    unsigned level = m->refresh_level = (m->refresh_level + 1) % m->config->levels;
    uint32_t longest = m->config->refresh_ms / 2, at = m->routes.n;
    for (uint32_t i = 0; i < m->routes.n; i++) {
        uint32_t ago = now_ms(now) - m->table.note[i].heard_ms;
        if (m->table.route[i].levels >> level & 1 && ago > longest) {
            longest = ago;
            at = i;
        }
    }
    uint64_t pause = 1000ull * m->config->refresh_ms / m->config->levels;
    m->refresh_us = now.mono_us + pause - member_random(m) % (pause / 5 + 1);
    if (at < m->routes.n)
        member_ping(m, m->table.route[at].peer);
}

void member_detect(struct dht_member *m, struct now now)
{
    if (m->refresh_us <= now.mono_us)
        refresh(m, now);
    for (unsigned i = 0; i < SUSPECTS; i++) {
        struct suspect *s = &m->suspect[i];
        if (s->peer == BOOK_NONE || s->at_us > now.mono_us)
            continue;
        uint32_t peer = s->peer;
        s->peer = BOOK_NONE;
        member_ping(m, peer);
    }
    for (unsigned i = 0; i < CANDIDATES; i++) {
        struct candidate *c = &m->candidate[i];
        if (c->peer == BOOK_NONE)
            continue;
        if (!c->pinged) {
            c->pinged = true;
            c->since_us = now.mono_us;
            member_ping(m, c->peer);
        } else if (now.mono_us - c->since_us >= CANDIDATE_US) {
            c->peer = BOOK_NONE;
        }
    }
}

uint64_t member_detect_us(const struct dht_member *m)
{
    uint64_t at = m->refresh_us;
    for (unsigned i = 0; i < SUSPECTS; i++)
        if (m->suspect[i].peer != BOOK_NONE && m->suspect[i].at_us < at)
            at = m->suspect[i].at_us;
    for (unsigned i = 0; i < CANDIDATES; i++) {
        const struct candidate *c = &m->candidate[i];
        uint64_t due = c->since_us + (c->pinged ? CANDIDATE_US : 0);
        if (c->peer != BOOK_NONE && due < at)
            at = due;
    }
    return at;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Membership: the bootstrap list says who is there first; walks to our own ID and to random ones,
 * at each level, say who else. All by direct answers: what others name is a candidate for a ping.
 */
#include "dht/member.h"

#include <stdlib.h>

#include "base/mix.h"

#define BOOTSTRAP_US     1000000u
#define BOOTSTRAP_MAX_US 30000000u
#define FIND_FIRST_US    200000u /* when the workers have the first contact in their view */
#define FIND_QUICK_US    500000u /* between walks at the start ... */
#define FIND_ROUNDS      2u      /* ... for so many rounds */
#define SAVED_GOOD_S     600u    /* a state that is older says nothing about clusters */
#define MOVE_US          200000u /* between two updates of the coordinate */

/* A generator of eight bytes, splitmix64. What it decides an attacker may know. */
uint64_t member_random(struct dht_member *m)
{
    return mix64(m->random += MIX_GOLDEN);
}

struct dht_member *dht_member_create(const struct dht_config *config,
                                     const struct dht_contact *self, uint32_t incarnation,
                                     struct dht_book *book, const struct endpoint *bootstrap,
                                     unsigned n, const struct dht_member_host *host, uint64_t seed,
                                     struct now now)
{
    assert(config->bucket >= 1 && config->levels >= 1 && config->levels <= DHT_LEVELS);
    struct dht_member *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->config = config;
    m->host = *host;
    m->book = book;
    m->random = seed;
    m->changed = true;
    m->routes.self = *self;
    m->routes.incarnation = incarnation;
    table_init(&m->table, book, &m->routes, config->bucket);
    m->bootstrap = bootstrap;
    m->bootstraps = n;
    m->bootstrap_us = now.mono_us;
    m->bootstrap_pause_us = BOOTSTRAP_US;
    m->refresh_us = UINT64_MAX;
    m->coordinate = coordinate_start();
    /* somebody must begin: all say where they are from the start */
    m->routes.has_coordinate = true;
    coordinate_pack(&m->coordinate, m->routes.coordinate);
    for (unsigned i = 0; i < SUSPECTS; i++)
        m->suspect[i].peer = BOOK_NONE;
    for (unsigned i = 0; i < CANDIDATES; i++)
        m->candidate[i].peer = BOOK_NONE;
    for (unsigned l = 0; l < DHT_LEVELS; l++)
        m->find[l] = (struct walks){.at_us = UINT64_MAX};
    m->lost = calloc(config->lost ? config->lost : 1, sizeof(*m->lost));
    if (!m->lost || !member_clusters_create(m, now) || !member_live_create(m, now) ||
        !member_check_create(m)) {
        dht_member_destroy(m);
        return NULL;
    }
    return m;
}

void dht_member_destroy(struct dht_member *m)
{
    if (!m)
        return;
    member_check_destroy(m);
    member_live_destroy(m);
    member_clusters_destroy(m);
    table_free(&m->table);
    free(m->lost);
    free(m);
}

void member_ping(struct dht_member *m, uint32_t peer)
{
    struct dht_ping p = {
        .to = m->book->contact[peer].rpc, .has_who = true, .who = m->book->contact[peer].id};
    m->host.ping(m->host.ctx, &p);
}

/* --- events ----------------------------------------------------------------------------------- */

/* The first contact: join by walking to ourselves, at once and with the next ones soon. */
static void joined(struct dht_member *m, struct now now)
{
    if (m->refresh_us != UINT64_MAX)
        return;
    m->refresh_us = now.mono_us + 1000ull * m->config->refresh_ms / m->config->levels;
    for (unsigned l = 0; l < m->config->levels; l++)
        m->find[l].at_us = now.mono_us + FIND_FIRST_US;
}

static void move(struct dht_member *m, const struct dht_tidings *t, struct now now)
{
    struct coordinate other;
    if (!t->has_coordinate || t->rtt_us == 0 || now.mono_us - m->moved_us < MOVE_US ||
        !coordinate_unpack(t->coordinate, &other))
        return;
    m->moved_us = now.mono_us;
    coordinate_update(&m->coordinate, &other, t->rtt_us, member_random(m));
    coordinate_pack(&m->coordinate, m->routes.coordinate);
}

/* The number of a sender; BOOK_NONE: it is ourselves, has no room, or speaks of the past. An answer
 * to a question of ours is of the present, whatever it says: clocks that were wrong once, and those
 * who claim to be from the future, lock nobody out. */
static uint32_t sender(struct dht_member *m, const struct dht_sender *who, bool answers,
                       struct now now)
{
    uint32_t gone, peer = BOOK_NONE;
    if (!id_eq(&who->contact.id, &m->routes.self.id))
        peer = book_take(m->book, &who->contact, &gone, now);
    if (peer == BOOK_NONE)
        return BOOK_NONE;
    if (gone != BOOK_NONE)
        member_forget(m, gone);
    return book_fresh(m->book, peer, who, answers) ? peer : BOOK_NONE;
}

void dht_member_answered(struct dht_member *m, const struct dht_sender *who,
                         const struct dht_tidings *t, struct now now)
{
    uint32_t peer = sender(m, who, true, now);
    member_check_heard(m, &who->contact.id);
    if (peer == BOOK_NONE)
        return;
    joined(m, now);
    move(m, t, now);
    member_keep(m, peer, who, t->rtt_us, now);
    member_reached(m, peer);
    member_clusters_heard(m, peer, who, t->rtt_us, now);
    member_live_heard(m, peer, who, t, now);
}

void dht_member_timed_out(struct dht_member *m, const struct dht_id *who, struct now now)
{
    uint32_t peer = book_find(m->book, who);
    if (peer != BOOK_NONE)
        member_miss(m, peer, now);
}

void dht_member_heard(struct dht_member *m, const struct dht_sender *who,
                      const struct dht_tidings *t, struct now now)
{
    uint32_t peer = sender(m, who, false, now);
    member_check_heard(m, &who->contact.id);
    if (t->asks_check) /* our own proxy's, too */
        member_check_asked(m, &t->suspect, &t->suspect_http, now);
    if (peer == BOOK_NONE)
        return;
    member_clusters_heard(m, peer, who, 0, now);
    member_consider(m, peer, who, now);
    member_live_heard(m, peer, who, t, now);
}

/* --- walks ------------------------------------------------------------------------------------ */

/* To a random ID that shares a prefix of that length with ours; 160: to our own. */
struct dht_find member_find_near(struct dht_member *m, unsigned level, unsigned prefix)
{
    struct dht_find f = {.level = (uint8_t)level};
    struct dht_id random;
    uint64_t word[3] = {member_random(m), member_random(m), member_random(m)};
    memcpy(random.b, word, sizeof(random.b));
    f.target = id_sharing(&random, &m->routes.self.id, prefix);
    return f;
}

/* Our own ID first, then the buckets from the farthest to the nearest that has somebody, in turn,
 * then our own again: a hole among them may hide a key's root. */
static void walk(struct dht_member *m, unsigned level, struct now now)
{
    struct walks *w = &m->find[level];
    unsigned buckets = m->routes.n ? m->routes.route[0].prefix + 1u : 1u;
    unsigned turn = w->n++ % (buckets + 1);
    uint64_t slow = 1000ull * m->config->find_ms;
    if (w->n == 1)
        w->pause_us = FIND_QUICK_US;
    if (w->n > FIND_ROUNDS * (buckets + 1) && (w->pause_us *= 2) > slow)
        w->pause_us = slow;
    w->at_us = now.mono_us + w->pause_us - member_random(m) % (w->pause_us / 5 + 1);
    if (!(m->routes.populated >> level & 1))
        return;
    struct dht_find f = member_find_near(m, level, turn == 0 ? DHT_ID_BITS : turn - 1);
    m->host.find(m->host.ctx, &f);
}

void member_lose(struct dht_member *m, const struct endpoint *rpc)
{
    if (m->config->lost > 0)
        m->lost[m->losts++ % m->config->lost] = *rpc;
}

/* Asks one that is not in the table, or not alive. */
static void ask_again(struct dht_member *m, const struct endpoint *at)
{
    struct dht_ping p = {.to = *at};
    struct dht_id id = dht_node_id(at);
    uint32_t peer = book_find(m->book, &id);
    uint32_t i = peer == BOOK_NONE ? m->routes.n : table_find(&m->table, peer);
    bool known = i < m->routes.n && m->table.route[i].alive;
    if (!known && !id_eq(&id, &m->routes.self.id)) /* all nodes may be given the same list */
        m->host.ping(m->host.ctx, &p);
}

/* While nobody is alive, the whole list. Then one of it each time, and one of those that were lost:
 * a cut that heals is found by both sides. */
static void bootstrap(struct dht_member *m, struct now now)
{
    bool alive = false;
    for (uint32_t i = 0; i < m->routes.n && !alive; i++)
        alive = m->table.route[i].alive;
    m->bootstrap_us = now.mono_us + m->bootstrap_pause_us;
    if ((m->bootstrap_pause_us *= 2) > BOOTSTRAP_MAX_US)
        m->bootstrap_pause_us = BOOTSTRAP_MAX_US;
    unsigned lost = m->losts < m->config->lost ? m->losts : m->config->lost;
    unsigned from = m->bootstraps ? (unsigned)(member_random(m) % m->bootstraps) : 0;
    for (unsigned i = 0; i < m->bootstraps && (i == 0 || !alive || m->routes.n < m->bootstraps);
         i++)
        ask_again(m, &m->bootstrap[(from + i) % m->bootstraps]);
    for (unsigned i = 0; i < lost && (i == 0 || !alive); i++)
        ask_again(m, &m->lost[alive ? member_random(m) % lost : i]);
}

void dht_member_poll(struct dht_member *m, struct now now)
{
    if (m->bootstrap_us <= now.mono_us)
        bootstrap(m, now);
    for (unsigned l = 0; l < m->config->levels; l++)
        if (m->find[l].at_us <= now.mono_us)
            walk(m, l, now);
    member_detect(m, now);
    member_clusters_poll(m, now);
    member_live_poll(m, now);
    member_check_poll(m, now);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t dht_member_deadline_us(const struct dht_member *m)
{
    uint64_t at = sooner(m->bootstrap_us, member_detect_us(m));
    for (unsigned l = 0; l < m->config->levels; l++)
        at = sooner(at, m->find[l].at_us);
    at = sooner(at, member_check_us(m));
    return sooner(sooner(at, member_clusters_us(m)), member_live_us(m));
}

void dht_member_leave(struct dht_member *m, struct now now)
{
    if (m->live)
        live_leave(m->live, now);
    m->routes.leaving = true;
    m->routes.sequence++;
    m->changed = true;
}

/* --- restarts --------------------------------------------------------------------------------- */

/* Those of the table, the nearest by round trip first: they are of our clusters. */
void dht_member_save(const struct dht_member *m, struct dht_saved *out, struct now now)
{
    *out = (struct dht_saved){.incarnation = m->routes.incarnation};
    for (unsigned l = 1; l < m->config->levels; l++)
        out->level[l] = cluster_descriptor(m->cluster[l], now);
    uint32_t rtt_us[DHT_SAVED];
    for (uint32_t i = 0; i < m->routes.n; i++) {
        const struct dht_route *r = &m->routes.route[i];
        unsigned at = out->n < DHT_SAVED ? out->n++ : DHT_SAVED;
        if (!r->alive || (at == DHT_SAVED && rtt_us[DHT_SAVED - 1] <= r->rtt_us)) {
            out->n -= at < DHT_SAVED;
            continue;
        }
        at = at < DHT_SAVED ? at : DHT_SAVED - 1;
        for (; at > 0 && rtt_us[at - 1] > r->rtt_us; at--) {
            rtt_us[at] = rtt_us[at - 1];
            out->contact[at] = out->contact[at - 1];
        }
        rtt_us[at] = r->rtt_us;
        out->contact[at] = m->book->contact[r->peer].rpc;
    }
}

void dht_member_restore(struct dht_member *m, const struct dht_saved *saved, uint32_t age_s,
                        struct now now)
{
    for (unsigned l = 1; l < m->config->levels && age_s < SAVED_GOOD_S; l++) {
        const struct dht_descriptor *d = &saved->level[l];
        if (d->cid == 0)
            continue;
        cluster_restore(m->cluster[l], d->cid, d->age_s + age_s, now);
        m->routes.level[l].is = cluster_descriptor(m->cluster[l], now);
    }
    for (unsigned i = 0; i < saved->n && i < DHT_SAVED; i++)
        member_lose(m, &saved->contact[i]);
    m->changed = true;
}

/* --- snapshots -------------------------------------------------------------------------------- */

bool dht_member_changed(const struct dht_member *m)
{
    return m->changed;
}

const struct dht_routes *dht_member_view(const struct dht_member *m)
{
    return &m->routes;
}

/* One block: the head, the routes, and of the book the contacts that they name. */
struct dht_routes *dht_member_routes(struct dht_member *m)
{
    uint32_t n = m->routes.n;
    size_t routes = n * sizeof(struct dht_route), contacts = n * sizeof(struct dht_contact);
    struct dht_routes *r = malloc(sizeof(*r) + routes + contacts);
    if (!r)
        return NULL;
    struct dht_route *route = (struct dht_route *)(r + 1);
    struct dht_contact *contact = (struct dht_contact *)(route + n);
    *r = m->routes;
    r->route = route;
    r->contact = contact;
    for (uint32_t i = 0; i < n; i++) {
        route[i] = m->routes.route[i];
        contact[i] = m->book->contact[route[i].peer];
        route[i].peer = i & 0xffffff;
    }
    m->changed = false;
    return r;
}

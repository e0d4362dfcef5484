/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/live.h"

#include <assert.h>
#include <stdlib.h>

#include "dht/live_probe.h"

#define REFUTE_US 2000000u /* so rarely we answer accusations of us: news go round meanwhile */
#define NAMES_MIN 2u       /* members that anybody may name, however few we monitor */
#define RELAYS    8u       /* news of nobody we monitor, passed on for one teller in a window */

static_assert(sizeof(struct live) + LIVE_MEMBERS * sizeof(struct live_member) <= 32768, "promise");

struct live_config live_config_default(void)
{
    return (struct live_config){
        .members = LIVE_MEMBERS,
        .interval_us = 500000,
        .timeout_min_us = 100000,
        .timeout_max_us = 400000,
        .helpers = 3,
        .fanout = 3,
        .mult = 4,
        .suspicion_factor = 6,
        .accuser_percent = 20,
        .accuser_window_us = 10000000,
    };
}

static bool config_ok(const struct live_config *c)
{
    return c->members >= 1 && c->members <= LIVE_MEMBERS && c->interval_us >= 1000 &&
           c->timeout_min_us >= 1000 && c->timeout_max_us >= c->timeout_min_us &&
           c->helpers <= LIVE_HELPERS_MAX && c->fanout <= LIVE_HELPERS_MAX && c->mult >= 1 &&
           c->mult <= 100 && c->suspicion_factor >= 1 && c->suspicion_factor <= 100;
}

struct live *live_create(const struct live_config *config, const struct dht_id *self,
                         uint32_t incarnation, const struct live_host *host, const uint8_t seed[32],
                         struct now now)
{
    if (!config_ok(config))
        return NULL;
    struct live *l = calloc(1, sizeof(*l) + config->members * sizeof(l->member[0]));
    if (!l)
        return NULL;
    l->config = *config;
    l->host = *host;
    l->self = *self;
    l->incarnation = incarnation;
    l->retry = LIVE_NOBODY;
    rng_init(&l->rng, seed);
    l->tick_us = now.mono_us + rng_below(&l->rng, config->interval_us);
    l->next_us = l->tick_us;
    return l;
}

void live_destroy(struct live *l)
{
    free(l);
}

/* --- members ---------------------------------------------------------------------------------- */

uint32_t live_find_peer(const struct live *l, uint32_t peer)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->member[i].peer == peer)
            return i;
    return LIVE_NOBODY;
}

static struct live_member *find_id(struct live *l, const struct dht_id *id)
{
    for (struct live_member *m = l->member; m < l->member + l->n; m++)
        if (id_eq(&m->id, id))
            return m;
    return NULL;
}

bool live_add(struct live *l, uint32_t peer, const struct dht_id *id, uint32_t incarnation,
              struct now now)
{
    if (l->n == l->config.members || id_eq(id, &l->self) || find_id(l, id) ||
        live_find_peer(l, peer) != LIVE_NOBODY)
        return false;
    l->member[l->n] = (struct live_member){
        .heard_us = now.mono_us,
        .due_us = UINT64_MAX,
        .id = *id,
        .peer = peer,
        .incarnation = incarnation,
        .state = LIVE_ALIVE,
    };
    /* SWIM, section 4.3: a newcomer gets a random place in the round */
    uint32_t place = rng_below(&l->rng, l->n + 1);
    l->order[l->n] = l->order[place];
    l->order[place] = (uint16_t)l->n;
    l->n++;
    return true;
}

void live_remove(struct live *l, uint32_t peer)
{
    uint32_t i = live_find_peer(l, peer);
    if (i == LIVE_NOBODY)
        return;
    uint32_t last = --l->n, place = 0;
    while (l->order[place] != i)
        place++;
    for (; place < last; place++)
        l->order[place] = l->order[place + 1];
    for (place = 0; place < last; place++)
        if (l->order[place] == last)
            l->order[place] = (uint16_t)i;
    l->member[i] = l->member[last];
}

unsigned live_pick(struct live *l, uint32_t but, unsigned want, uint32_t *out)
{
    unsigned seen = 0;
    for (uint32_t i = 0; i < l->n && want > 0; i++) {
        if (i == but || l->member[i].state != LIVE_ALIVE || l->member[i].phase == LIVE_INDIRECT)
            continue;
        uint32_t at = seen < want ? seen : rng_below(&l->rng, seen + 1);
        if (at < want)
            out[at] = i;
        seen++;
    }
    return seen < want ? seen : want;
}

void live_heard(struct live *l, uint32_t peer, uint32_t incarnation, uint32_t rtt_us,
                struct now now)
{
    l->heard_us = now.mono_us;
    uint32_t i = live_find_peer(l, peer);
    if (i == LIVE_NOBODY)
        return;
    struct live_member *m = &l->member[i];
    if (incarnation < m->incarnation && rtt_us == 0)
        return;
    if (m->state == LIVE_LEAVING && incarnation <= m->incarnation)
        return;
    m->incarnation = incarnation;
    if (rtt_us && m->srtt_us == 0) {
        m->srtt_us = rtt_us;
        m->rttvar_us = rtt_us / 2;
    } else if (rtt_us) {
        uint32_t off = rtt_us > m->srtt_us ? rtt_us - m->srtt_us : m->srtt_us - rtt_us;
        m->rttvar_us = (uint32_t)((3ull * m->rttvar_us + off) / 4);
        m->srtt_us = (uint32_t)((7ull * m->srtt_us + rtt_us) / 8);
    }
    live_probe_alive(l, m, now);
}

/* --- news we tell ----------------------------------------------------------------------------- */

/* SWIM, section 4.1: lambda log n times, memberlist's mult * ceil(log10(n + 1)) */
unsigned live_retell(const struct live *l)
{
    unsigned digits = 0;
    for (uint32_t n = l->n; n > 0; n /= 10)
        digits++;
    return l->config.mult * (digits ? digits : 1);
}

unsigned live_news_out(struct live *l, uint32_t to, struct dht_news out[static DHT_NEWS],
                       struct now now)
{
    unsigned n = 0;
    const struct dht_id *skip = NULL;
    uint32_t i = live_find_peer(l, to);
    if (l->leaving)
        out[n++] = (struct dht_news){l->self, l->incarnation, LIVE_LEAVING};
    if (i != LIVE_NOBODY) {
        const struct live_member *m = &l->member[i];
        skip = &m->id;
        if (m->accused || m->state == LIVE_SUSPECT || m->state == LIVE_DEAD)
            out[n++] = (struct dht_news){m->id, m->incarnation, LIVE_SUSPECT};
    }
    return n + live_ring_take(&l->ring, skip, out + n, DHT_NEWS - n, now);
}

static void tell_some(struct live *l, const struct dht_news *about, struct now now)
{
    uint32_t to[LIVE_HELPERS_MAX];
    const struct live_member *m = find_id(l, &about->id);
    uint32_t but = m ? (uint32_t)(m - l->member) : LIVE_NOBODY;
    unsigned n = live_pick(l, but, l->config.fanout, to);
    for (unsigned i = 0; i < n; i++) {
        struct dht_news news[DHT_NEWS];
        unsigned told = live_news_out(l, l->member[to[i]].peer, news, now);
        if (told == 0)
            continue;
        counter_inc(&l->counters.live_rumours_total);
        l->host.rumour(l->host.ctx, l->member[to[i]].peer, news, told);
    }
}

void live_spread(struct live *l, const struct dht_news *news, struct now now)
{
    if (live_ring_add(&l->ring, news, live_retell(l) + l->config.fanout, true, now) == LIVE_TAKEN)
        tell_some(l, news, now);
}

void live_leave(struct live *l, struct now now)
{
    if (l->leaving)
        return;
    l->leaving = true;
    struct dht_news news = {l->self, l->incarnation, LIVE_LEAVING};
    tell_some(l, &news, now);
}

/* --- news we hear ----------------------------------------------------------------------------- */

static struct live_accuser *accuser_get(struct live *l, uint32_t peer, struct now now)
{
    struct live_accuser *oldest = &l->accuser[0];
    for (struct live_accuser *a = l->accuser; a < l->accuser + LIVE_ACCUSERS; a++) {
        if (a->since_us < oldest->since_us)
            oldest = a;
        if (a->since_us != 0 && a->peer == peer) {
            oldest = a;
            break;
        }
    }
    if (oldest->since_us == 0 || oldest->peer != peer ||
        now.mono_us - oldest->since_us >= l->config.accuser_window_us)
        *oldest = (struct live_accuser){.since_us = now.mono_us ? now.mono_us : 1, .peer = peer};
    return oldest;
}

void live_accuser_right(struct live *l, uint32_t peer, struct now now)
{
    struct live_accuser *a = accuser_get(l, peer, now);
    if (a->named > 0)
        a->named--;
}

/* May this one name another of our members? */
static bool accuser_admit(struct live *l, uint32_t from, struct now now)
{
    struct live_accuser *a = accuser_get(l, from, now);
    uint32_t most = l->n * l->config.accuser_percent / 100;
    if (a->named >= (most > NAMES_MIN ? most : NAMES_MIN)) {
        counter_inc(&l->counters.live_accusations_ignored_total);
        return false;
    }
    a->named++;
    return true;
}

/* Another says that it lives no more, or lives again: we ask it ourselves. */
static void check(struct live *l, struct live_member *m, uint32_t from, struct now now)
{
    if (m->peer == from || m->accused)
        return;
    if (m->state == LIVE_ALIVE && m->suspected_us && /* we just asked */
        now.mono_us - m->suspected_us < l->config.interval_us)
        return;
    if (!accuser_admit(l, from, now))
        return;
    counter_inc(&l->counters.live_checks_total);
    m->accused = m->state == LIVE_ALIVE;
    m->accuser = from;
    if (m->phase == LIVE_IDLE)
        live_probe_begin(l, m, now);
    else if (m->phase == LIVE_INDIRECT)
        live_probe_accused(l, m, now);
}

static void leaves(struct live *l, struct live_member *m, const struct dht_news *news,
                   struct now now)
{
    if (m->state == LIVE_LEAVING || news->incarnation < m->incarnation)
        return;
    if (m->suspected_us == now.mono_us) /* the answer to a check: who named it was right */
        live_accuser_right(l, m->accuser, now);
    m->incarnation = news->incarnation;
    m->state = LIVE_LEAVING;
    m->phase = LIVE_IDLE;
    m->accused = false;
    m->due_us = UINT64_MAX;
    counter_inc(&l->counters.live_leaving_total);
    l->host.changed(l->host.ctx, m->peer, LIVE_LEAVING);
    live_spread(l, news, now);
}

static void member_named(struct live *l, struct live_member *m, uint32_t from,
                         const struct dht_news *news, struct now now)
{
    if (news->state == LIVE_ALIVE) {
        bool raised = news->incarnation > m->incarnation;
        if (raised && m->state != LIVE_ALIVE && m->phase == LIVE_IDLE)
            check(l, m, from, now);
    } else if (news->state == LIVE_LEAVING && m->peer == from) {
        leaves(l, m, news, now);
    } else if (news->incarnation >= m->incarnation) {
        if (m->state == LIVE_ALIVE)
            check(l, m, from, now);
        else if (m->state == LIVE_SUSPECT && m->peer != from)
            live_probe_confirm(m, from);
    }
}

/* Of one that we do not monitor: others may. DEAD tells them nothing new. */
static void stranger_named(struct live *l, uint32_t from, const struct dht_news *news,
                           struct now now)
{
    if (news->state == LIVE_DEAD)
        return;
    struct live_accuser *a = accuser_get(l, from, now);
    bool rumour = news->state != LIVE_ALIVE;
    unsigned sends = live_retell(l) + (rumour ? l->config.fanout : 0);
    enum live_taken taken =
        a->relayed < RELAYS ? live_ring_add(&l->ring, news, sends, false, now) : LIVE_FULL;
    if (taken == LIVE_FULL)
        counter_inc(&l->counters.live_news_dropped_total);
    if (taken != LIVE_TAKEN)
        return;
    a->relayed++;
    if (rumour)
        tell_some(l, news, now);
}

/* Only what names our present incarnation is about us; the rest is late, or made up. */
static void self_named(struct live *l, const struct dht_news *news, struct now now)
{
    if (news->state == LIVE_ALIVE || news->incarnation != l->incarnation || l->leaving ||
        l->incarnation == UINT32_MAX || (l->refuted_us && now.mono_us - l->refuted_us < REFUTE_US))
        return;
    l->refuted_us = now.mono_us;
    l->incarnation++;
    live_health_change(l, 1);
    counter_inc(&l->counters.live_accused_total);
    struct dht_news refutation = {l->self, l->incarnation, LIVE_ALIVE};
    live_ring_add(&l->ring, &refutation, live_retell(l), true, now);
    l->host.self_accused(l->host.ctx, l->incarnation);
}

void live_news_in(struct live *l, uint32_t from, const struct dht_news *news, unsigned n,
                  struct now now)
{
    for (unsigned i = 0; i < n; i++) {
        struct live_member *m = find_id(l, &news[i].id);
        if (id_eq(&news[i].id, &l->self))
            self_named(l, &news[i], now);
        else if (m)
            member_named(l, m, from, &news[i], now);
        else
            stranger_named(l, from, &news[i], now);
    }
}

/* --- readers ---------------------------------------------------------------------------------- */

uint32_t live_self_incarnation(const struct live *l)
{
    return l->incarnation;
}

bool live_get(const struct live *l, uint32_t peer, enum live_state *state)
{
    uint32_t i = live_find_peer(l, peer);
    if (i != LIVE_NOBODY)
        *state = (enum live_state)l->member[i].state;
    return i != LIVE_NOBODY;
}

unsigned live_health(const struct live *l)
{
    return l->health;
}

const struct live_counters *live_counters(const struct live *l)
{
    return &l->counters;
}

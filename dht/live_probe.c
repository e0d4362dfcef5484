/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/live_probe.h"

#define REPING_US     125000u  /* the first pause between pings to a suspect, doubling ... */
#define REPING_MAX_US 1000000u /* ... up to this */
#define LATE_PART     5        /* of the interval: as late as this, it was us who slept */

static void arm(struct live *l, struct live_member *m, uint64_t due_us)
{
    m->due_us = due_us;
    if (due_us < l->next_us)
        l->next_us = due_us;
}

static uint32_t timeout_us(const struct live *l, const struct live_member *m)
{
    uint64_t t = m->srtt_us ? (uint64_t)m->srtt_us + 4ull * m->rttvar_us : UINT64_MAX;
    if (t < l->config.timeout_min_us)
        return l->config.timeout_min_us;
    return t < l->config.timeout_max_us ? (uint32_t)t : l->config.timeout_max_us;
}

void live_health_change(struct live *l, int by)
{
    int h = l->health + by;
    l->health = (uint8_t)(h < 0 ? 0 : h < LIVE_HEALTH_MAX ? h : LIVE_HEALTH_MAX);
}

/* --- suspicion -------------------------------------------------------------------------------- */

/* 1000 log10 n, at least 1000; log2 is taken as linear between powers of two (at most 3 % off) */
static uint64_t log10_permille(uint32_t n)
{
    if (n <= 10)
        return 1000;
    unsigned k = 31 - (unsigned)__builtin_clz(n);
    uint64_t log2_permille = 1000ull * k + 1000ull * (n - (1u << k)) / (1u << k);
    return log2_permille * 30103 / 100000;
}

/* How long it stays suspected: Lifeguard's max - (max - min) log(c + 1) / log(k + 1), k = 2. */
static uint64_t suspicion_us(const struct live *l, const struct live_member *m)
{
    static const uint64_t permille[LIVE_CONFIRMATIONS + 1] = {0, 631, 1000};
    uint64_t min = l->config.mult * log10_permille(l->n) * l->config.interval_us / 1000;
    uint64_t max = min * l->config.suspicion_factor;
    return max - (max - min) * permille[m->confirmations] / 1000;
}

void live_probe_confirm(struct live_member *m, uint32_t by)
{
    for (unsigned i = 0; i < m->confirmations; i++)
        if (m->by[i] == by)
            return;
    if (m->confirmations < LIVE_CONFIRMATIONS)
        m->by[m->confirmations++] = by;
}

/* A suspect's next ping, or its death when that is sooner. */
static void suspect_arm(struct live *l, struct live_member *m, struct now now)
{
    uint64_t ping = now.mono_us + ((uint64_t)REPING_US << m->pings);
    uint64_t death = m->suspected_us + suspicion_us(l, m);
    if ((uint64_t)REPING_US << m->pings < REPING_MAX_US)
        m->pings++;
    arm(l, m, ping < death ? ping : death);
}

static void suspect(struct live *l, struct live_member *m, struct now now)
{
    m->state = LIVE_SUSPECT;
    m->suspected_us = now.mono_us;
    m->pings = 0;
    suspect_arm(l, m, now);
    counter_inc(&l->counters.live_suspects_total);
    l->host.changed(l->host.ctx, m->peer, LIVE_SUSPECT);
    struct dht_news news = {m->id, m->incarnation, LIVE_SUSPECT};
    live_spread(l, &news, now);
}

static void suspect_due(struct live *l, struct live_member *m, struct now now)
{
    if (now.mono_us - m->suspected_us < suspicion_us(l, m)) {
        suspect_arm(l, m, now);
        l->host.ping(l->host.ctx, m->peer);
        return;
    }
    m->state = LIVE_DEAD;
    m->due_us = UINT64_MAX;
    counter_inc(&l->counters.live_dead_total);
    l->host.changed(l->host.ctx, m->peer, LIVE_DEAD);
}

/* --- one probe -------------------------------------------------------------------------------- */

void live_probe_begin(struct live *l, struct live_member *m, struct now now)
{
    m->phase = LIVE_DIRECT;
    m->start_us = now.mono_us;
    m->token = ++l->token;
    m->asked = m->nacks = 0;
    arm(l, m, now.mono_us + timeout_us(l, m));
    l->host.ping(l->host.ctx, m->peer);
}

static void probe_end(struct live_member *m)
{
    m->phase = LIVE_IDLE;
    m->accused = false;
    m->due_us = UINT64_MAX;
}

void live_probe_alive(struct live *l, struct live_member *m, struct now now)
{
    m->heard_us = now.mono_us;
    if (m->phase != LIVE_IDLE) {
        live_health_change(l, -1);
        if (m->accused) {
            counter_inc(&l->counters.live_accusations_false_total);
            m->suspected_us = now.mono_us;
        }
        probe_end(m);
    }
    if (m->state == LIVE_ALIVE)
        return;
    m->state = LIVE_ALIVE;
    m->due_us = UINT64_MAX;
    m->confirmations = 0;
    counter_inc(&l->counters.live_restored_total);
    l->host.changed(l->host.ctx, m->peer, LIVE_ALIVE);
    /* where it is withdrawn too, and under a lower incarnation, they ask it */
    struct dht_news news = {m->id, m->incarnation, LIVE_ALIVE};
    live_ring_add(&l->ring, &news, live_retell(l), true, now);
}

void live_probe_verdict(struct live *l, struct live_member *m, struct now now)
{
    /* Lifeguard, section IV.A: silent helpers speak against ourselves; that the member is silent
     * does only when nobody was asked. */
    if (m->state == LIVE_ALIVE)
        live_health_change(l, m->asked ? m->asked - m->nacks : !m->accused);
    bool cut_off = m->asked > 0 && l->heard_us < m->start_us;
    bool accused = m->accused;
    probe_end(m);
    if (m->state == LIVE_SUSPECT)
        suspect_arm(l, m, now);
    if (m->state != LIVE_ALIVE)
        return;
    if (cut_off) {
        counter_inc(&l->counters.live_withheld_total);
        l->retry = m->peer;
        return;
    }
    m->confirmations = 0;
    if (accused) {
        live_accuser_right(l, m->accuser, now);
        counter_inc(&l->counters.live_accusations_true_total);
        live_probe_confirm(m, m->accuser);
    }
    suspect(l, m, now);
}

void live_probe_accused(struct live *l, struct live_member *m, struct now now)
{
    m->asked = 0; /* they had no time to answer */
    live_probe_verdict(l, m, now);
}

/* No answer in time: helpers are asked, but not for one that others do not hear either, nor for one
 * that is withdrawn: it takes more than their word to come back. */
static void direct_due(struct live *l, struct live_member *m, struct now now)
{
    uint32_t helper[LIVE_HELPERS_MAX];
    unsigned n = 0;
    if (m->state == LIVE_ALIVE && !m->accused)
        n = live_pick(l, (uint32_t)(m - l->member), l->config.helpers, helper);
    if (n == 0) {
        live_probe_verdict(l, m, now);
        return;
    }
    uint64_t wait = timeout_us(l, m), least = 2ull * l->config.timeout_min_us;
    m->phase = LIVE_INDIRECT;
    m->start_us = now.mono_us;
    m->asked = (uint8_t)n;
    arm(l, m, now.mono_us + (wait > least ? wait : least) * (1 + l->health));
    counter_add(&l->counters.live_probes_indirect_total, n);
    for (unsigned i = 0; i < n; i++)
        l->host.ping_via(l->host.ctx, l->member[helper[i]].peer, m->peer, m->token);
}

void live_helped(struct live *l, uint32_t token, bool reached, struct now now)
{
    l->heard_us = now.mono_us;
    for (struct live_member *m = l->member; m < l->member + l->n; m++) {
        if (m->token != token || m->phase != LIVE_INDIRECT)
            continue;
        if (reached)
            live_probe_alive(l, m, now);
        else if (m->nacks < m->asked)
            m->nacks++;
        return;
    }
}

/* --- turns ------------------------------------------------------------------------------------ */

static bool wants_probe(const struct live *l, const struct live_member *m, struct now now)
{
    if (m->phase != LIVE_IDLE || m->state == LIVE_SUSPECT || m->state == LIVE_LEAVING)
        return false;
    return m->state == LIVE_DEAD || now.mono_us - m->heard_us >= l->config.interval_us;
}

/* SWIM, section 4.3: each member once a round, in an order that is new each time. */
static struct live_member *next_in_turn(struct live *l, struct now now)
{
    uint32_t retry = l->retry == LIVE_NOBODY ? LIVE_NOBODY : live_find_peer(l, l->retry);
    l->retry = LIVE_NOBODY;
    if (retry != LIVE_NOBODY && wants_probe(l, &l->member[retry], now))
        return &l->member[retry];
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->cursor >= l->n) {
            l->cursor = 0;
            for (uint32_t k = l->n - 1; k > 0; k--) {
                uint32_t other = rng_below(&l->rng, k + 1);
                uint16_t t = l->order[k];
                l->order[k] = l->order[other];
                l->order[other] = t;
            }
        }
        struct live_member *m = &l->member[l->order[l->cursor++]];
        if (wants_probe(l, m, now))
            return m;
    }
    return NULL;
}

static void tick(struct live *l, struct now now)
{
    struct live_member *m = next_in_turn(l, now);
    if (m) {
        counter_inc(&l->counters.live_probes_total);
        live_probe_begin(l, m, now);
    } else {
        live_health_change(l, -1); /* all were heard just now */
    }
    l->tick_us = now.mono_us + (uint64_t)l->config.interval_us * (1u + l->health);
}

static void member_due(struct live *l, struct live_member *m, bool late, struct now now)
{
    if (m->phase != LIVE_IDLE && late)
        m->due_us = now.mono_us + timeout_us(l, m);
    else if (m->phase == LIVE_DIRECT)
        direct_due(l, m, now);
    else if (m->phase == LIVE_INDIRECT)
        live_probe_verdict(l, m, now);
    else
        suspect_due(l, m, now);
}

void live_poll(struct live *l, struct now now)
{
    if (now.mono_us < l->next_us)
        return;
    bool late = now.mono_us - l->next_us > l->config.interval_us / LATE_PART;
    if (late)
        live_health_change(l, 1);
    for (struct live_member *m = l->member; m < l->member + l->n; m++)
        if (m->due_us <= now.mono_us)
            member_due(l, m, late, now);
    if (l->tick_us <= now.mono_us)
        tick(l, now);
    l->next_us = l->tick_us;
    for (const struct live_member *m = l->member; m < l->member + l->n; m++)
        if (m->due_us < l->next_us)
            l->next_us = m->due_us;
}

uint64_t live_deadline_us(const struct live *l)
{
    return l->next_us;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "live_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "dht/id.h"

struct dht_id id_of(uint32_t peer)
{
    struct dht_id id = {{(uint8_t)peer, 0x5a, [19] = 7}};
    return id;
}

struct dht_news news_of(uint32_t peer, uint32_t incarnation, enum live_state state)
{
    return (struct dht_news){id_of(peer), incarnation, (uint8_t)state};
}

static void on_ping(void *ctx, uint32_t peer)
{
    struct world *w = ctx;
    w->pings[peer]++;
    w->wait[w->waiting].via = false;
    w->wait[w->waiting++].target = peer;
}

static void on_ping_via(void *ctx, uint32_t helper, uint32_t target, uint32_t token)
{
    struct world *w = ctx;
    w->vias++;
    w->wait[w->waiting].via = true;
    w->wait[w->waiting].helper = helper;
    w->wait[w->waiting].token = token;
    w->wait[w->waiting++].target = target;
}

static void on_rumour(void *ctx, uint32_t to, const struct dht_news *news, unsigned n)
{
    struct world *w = ctx;
    cr_assert(n >= 1 && n <= DHT_NEWS && w->rumours < EVENTS);
    w->rumour[w->rumours].to = to;
    w->rumour[w->rumours++].news = news[0];
}

static void on_changed(void *ctx, uint32_t peer, enum live_state state)
{
    struct world *w = ctx;
    cr_assert(w->changes < EVENTS);
    w->change[w->changes].peer = peer;
    w->change[w->changes].us = w->now.mono_us;
    w->change[w->changes++].state = state;
}

static void on_self_accused(void *ctx, uint32_t incarnation)
{
    struct world *w = ctx;
    w->self_accused = incarnation;
}

struct live_host host_of(struct world *w)
{
    return (struct live_host){w, on_ping, on_ping_via, on_rumour, on_changed, on_self_accused};
}

struct world *make(unsigned n)
{
    struct world *w = calloc(1, sizeof(*w));
    struct live_host host = host_of(w);
    struct live_config config = live_config_default();
    struct dht_id self = id_of(0);
    uint8_t seed[32] = {1};
    w->now.mono_us = 1000 * SECOND;
    w->rtt_us = 10 * MS;
    w->live = live_create(&config, &self, 100, &host, seed, w->now);
    cr_assert(w->live);
    for (uint32_t peer = 1; peer <= n; peer++) {
        struct dht_id id = id_of(peer);
        w->incarnation[peer] = 1;
        cr_assert(live_add(w->live, peer, &id, 1, w->now));
        live_heard(w->live, peer, 1, (uint32_t)w->rtt_us, w->now);
    }
    return w;
}

void end(struct world *w)
{
    live_destroy(w->live);
    free(w);
}

void answer(struct world *w)
{
    for (unsigned i = 0; i < w->waiting; i++) {
        uint32_t target = w->wait[i].target;
        if (!w->wait[i].via) {
            if (!w->silent[target] && !w->deaf[target])
                live_heard(w->live, target, w->incarnation[target], (uint32_t)w->rtt_us, w->now);
        } else if (!w->silent[w->wait[i].helper]) {
            live_helped(w->live, w->wait[i].token, !w->silent[target], w->now);
        }
    }
    w->waiting = 0;
}

void run(struct world *w, uint64_t us)
{
    uint64_t until = w->now.mono_us + us;
    answer(w);
    while (live_deadline_us(w->live) <= until) {
        if (live_deadline_us(w->live) > w->now.mono_us)
            w->now.mono_us = live_deadline_us(w->live);
        live_poll(w->live, w->now);
        answer(w);
    }
    w->now.mono_us = until;
}

void all_silent(struct world *w, bool silent)
{
    for (unsigned i = 0; i < PEERS; i++)
        w->silent[i] = silent;
}

enum live_state state(const struct world *w, uint32_t peer)
{
    enum live_state s = LIVE_DEAD;
    cr_assert(live_get(w->live, peer, &s), "peer %u is not monitored", peer);
    return s;
}

void tell(struct world *w, uint32_t from, uint32_t about, uint32_t incarnation, enum live_state s)
{
    struct dht_news news = news_of(about, incarnation, s);
    live_heard(w->live, from, 1, 0, w->now);
    live_news_in(w->live, from, &news, 1, w->now);
}

bool is_about(const struct dht_news *n, uint32_t peer, uint32_t incarnation, enum live_state s)
{
    struct dht_id id = id_of(peer);
    return id_eq(&n->id, &id) && n->incarnation == incarnation && n->state == s;
}

uint64_t withdrawn_after(struct world *w, uint32_t peer, uint64_t most_us)
{
    uint64_t begin = w->now.mono_us;
    while (state(w, peer) == LIVE_ALIVE && w->now.mono_us < begin + most_us)
        run(w, MS);
    cr_assert_neq(state(w, peer), LIVE_ALIVE);
    return w->now.mono_us - begin;
}

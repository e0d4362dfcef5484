/* SPDX-License-Identifier: BSD-3-Clause */
/* One liveness detector, we, peer 0, among peers 1, 2, 3 ... that the test plays. */
#ifndef CORAL_TESTS_DHT_LIVE_WORLD_H
#define CORAL_TESTS_DHT_LIVE_WORLD_H

#include "dht/live.h"

#define MS     1000ull
#define SECOND 1000000ull
#define PEERS  64u /* handles */
#define EVENTS 1024u

struct world {
    struct live *live;
    struct now now;
    uint64_t rtt_us;
    bool silent[PEERS]; /* answers neither us nor helpers */
    bool deaf[PEERS];   /* answers helpers only */
    uint32_t incarnation[PEERS];
    unsigned pings[PEERS]; /* sent to it */
    unsigned changes;
    struct {
        uint32_t peer;
        enum live_state state;
        uint64_t us;
    } change[EVENTS];
    unsigned rumours, vias, self_accused;
    struct {
        uint32_t to;
        struct dht_news news;
    } rumour[EVENTS]; /* its first item */
    unsigned waiting; /* pings, and pings of helpers, to answer */
    struct {
        uint32_t target, token;
        bool via;
        uint32_t helper;
    } wait[EVENTS];
};

struct dht_id id_of(uint32_t peer);
struct dht_news news_of(uint32_t peer, uint32_t incarnation, enum live_state state);
bool is_about(const struct dht_news *n, uint32_t peer, uint32_t incarnation, enum live_state s);

/* What it does, for tests that make their own. */
struct live_host host_of(struct world *w);
/* Ourselves, peer 0 of incarnation 100, and n members of incarnation 1, heard with an RTT of 10 ms.
 */
struct world *make(unsigned n);
void end(struct world *w);
/* Those that are not silent answer what they were asked, at once. */
void answer(struct world *w);
/* Time goes on, and all are answered. */
void run(struct world *w, uint64_t us);
/* Runs until the peer was withdrawn, and says how long that took. */
uint64_t withdrawn_after(struct world *w, uint32_t peer, uint64_t most_us);
void all_silent(struct world *w, bool silent);
enum live_state state(const struct world *w, uint32_t peer);
/* `from` says something of another. */
void tell(struct world *w, uint32_t from, uint32_t about, uint32_t incarnation, enum live_state s);

#endif

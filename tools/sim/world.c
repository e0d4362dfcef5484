/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dht/direct.h"
#include "dht/mac.h"
#include "dht/member.h"
#include "dht/store.h"
#include "tools/sim/mix.h"
#include "tools/sim/oracle.h"

#define HEADERS_BYTES 42u /* Ethernet, IPv4, UDP */
#define START_US      1000000u
#define SHOWN         5u /* violations that are printed */

enum event_kind { EVENT_PACKET, EVENT_MEMBER, EVENT_CHANGE, EVENT_TURN, EVENT_JOIN };
enum purpose { MIX_LATENESS = MIX_CALLER, MIX_MEMBER };

struct message {
    struct message *next;
    uint32_t from;
    struct rpc rpc;
};

struct world_params world_params_default(uint32_t nodes, uint64_t seed)
{
    struct world_params p = {.nodes = nodes, .seed = seed};
    p.planet = planet_params_default();
    p.churn = churn_params_static();
    p.dht = dht_config_default();
    p.dht.liveness = false; /* DNS's affair; live_cluster_test.c has its worlds */
    p.dht.prefix_rate = 0;
    p.dht.source_percent = p.dht.prefix_percent = 0;
    p.dht.lost = 8;
    p.dht.replay_filter = false;
    p.dht.peers = 8;
    p.dht.store_keys = 64;
    p.dht.lookups = nodes / 8 + 4096 < 80000 ? nodes / 8 + 4096 : 80000;
    p.dht.pings = nodes / 8 + 4096 < 100000 ? nodes / 8 + 4096 : 100000;
    p.dht.holders = nodes + 1;
    for (unsigned l = 1; l < DHT_LEVELS; l++) {
        p.dht.cluster[l].known = 8;
        p.dht.cluster[l].members = 8;
    }
    p.codec_each = nodes <= 1000 ? 1 : 256;
    return p;
}

struct now world_now(const struct world *w)
{
    return (struct now){w->time_us, 1700000000 + (int64_t)(w->time_us / 1000000)};
}

const struct dht_routes *world_routes(const struct world *w, uint32_t node)
{
    return dht_member_view(w->node[node].member);
}

uint64_t world_resident(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &pages, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void world_violation(struct world *w, const char *format, ...)
{
    if (w->totals.violations++ >= SHOWN)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "violation at %.3f s: ", (double)(w->time_us - START_US) / 1e6);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

/* --- addresses: a node's number in 10.0.0.0/8 or fd00::/96 ------------------------------------ */

static struct endpoint address_of(const struct world *w, uint32_t node)
{
    if (planet_families(w->planet, node) & PLANET_V4)
        return (struct endpoint){addr_v4(0x0a000000u + node), w->config.port};
    struct endpoint e = {.port = w->config.port};
    e.ip.b[0] = 0xfd;
    for (unsigned i = 0; i < 4; i++)
        e.ip.b[15 - i] = (uint8_t)(node >> 8 * i);
    return e;
}

uint32_t world_number(const struct world *w, const struct endpoint *e)
{
    const uint8_t *b = e->ip.b;
    uint32_t n = (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15];
    return n < w->params.nodes && endpoint_eq(&w->contact[n].rpc, e) ? n : UINT32_MAX;
}

/* --- packets ---------------------------------------------------------------------------------- */

static void push(struct world *w, uint32_t source, uint64_t at_us, uint32_t target, uint16_t kind,
                 uint16_t detail, uint64_t payload)
{
    struct event e = {.time_us = at_us,
                      .source = source,
                      .counter = w->node[source].counter++,
                      .target = target,
                      .kind = kind,
                      .detail = detail,
                      .payload = payload};
    if (!queue_push(w->queue, &e)) {
        fprintf(stderr, "coral-sim: more events wait than were reserved; this run means nothing\n");
        exit(1);
    }
}

static struct message *message_new(struct world *w)
{
    struct message *m = w->free_message;
    if (m)
        w->free_message = m->next;
    else if (!(m = malloc(sizeof(*m)))) {
        fprintf(stderr, "coral-sim: no memory for another packet\n");
        exit(1);
    }
    return m;
}

static void message_free(struct world *w, struct message *m)
{
    m->next = w->free_message;
    w->free_message = m;
}

/* Of a sample of packets: over the wire and back. */
static void through_codec(struct world *w, struct rpc *rpc)
{
    uint8_t packet[RPC_MAX];
    struct rpc back = {0};
    struct endpoint from = rpc->from.contact.rpc;
    rpc->key_id = dht_mac_key_id(w->mac);
    size_t len = rpc_write(rpc, packet, sizeof(packet));
    if (len < RPC_TAG) {
        world_violation(w, "an RPC of type %u has no room in a packet", rpc->type);
        return;
    }
    dht_mac_sign(w->mac, packet, len - RPC_TAG, packet + len - RPC_TAG);
    if (rpc_read(packet, len, &from, &back) != RPC_OK ||
        !dht_mac_verify(w->mac, back.key_id, packet, len - RPC_TAG, packet + len - RPC_TAG))
        world_violation(w, "an RPC of type %u did not survive the wire", rpc->type);
    w->totals.codec++;
    *rpc = back;
}

static bool send(struct world *w, uint32_t from, uint32_t to, const struct rpc *rpc)
{
    struct world_node *x = &w->node[from];
    uint32_t delay = 1;
    if (to == from) {
        /* our own worker: no packet */
    } else {
        w->totals.packets++;
        w->totals.bytes += rpc_length(rpc) + HEADERS_BYTES;
        enum planet_fate fate =
            to == UINT32_MAX ? PLANET_BLOCKED
                             : planet_send(w->planet, from, to, w->time_us, x->counter, &delay);
        w->totals.lost += fate == PLANET_LOST;
        w->totals.blocked += fate == PLANET_BLOCKED;
        if (fate != PLANET_ARRIVES) {
            x->counter++;
            return true;
        }
    }
    struct message *m = message_new(w);
    m->from = from;
    m->rpc = *rpc;
    if (w->params.codec_each && w->totals.packets % w->params.codec_each == 0 && to != from)
        through_codec(w, &m->rpc);
    push(w, from, w->time_us + delay, to, EVENT_PACKET, 0, (uint64_t)(uintptr_t)m);
    return true;
}

/* --- a node's hosts --------------------------------------------------------------------------- */

static uint32_t number_of(const struct world_node *x)
{
    return (uint32_t)(x - x->world->node);
}

/* As the node sends it, or as it lies. What it tells itself is true. */
static bool say(struct world *w, uint32_t from, uint32_t to, const struct rpc *ask,
                const struct rpc *rpc)
{
    struct rpc said;
    if (!w->says || to == from)
        return send(w, from, to, rpc);
    said = *rpc;
    return !w->says(w->liars, from, to, ask, &said) || send(w, from, to, &said);
}

static bool host_send(void *ctx, const struct endpoint *to, const struct rpc *rpc)
{
    struct world_node *x = ctx;
    return say(x->world, number_of(x), world_number(x->world, to), NULL, rpc);
}

static void member_schedule(struct world *w, uint32_t node)
{
    struct world_node *x = &w->node[node];
    uint64_t at = dht_member_deadline_us(x->member);
    if (at < w->time_us)
        at = w->time_us;
    if (at == UINT64_MAX || (x->member_us > w->time_us && x->member_us <= at))
        return;
    x->member_us = at;
    push(w, node, at, node, EVENT_MEMBER, 0, 0);
}

static void host_answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                          struct now now)
{
    struct world_node *x = ctx;
    dht_member_answered(x->member, who, t, now);
    member_schedule(x->world, number_of(x));
}

static void host_timed_out(void *ctx, const struct dht_id *who, struct now now)
{
    struct world_node *x = ctx;
    dht_member_timed_out(x->member, who, now);
    member_schedule(x->world, number_of(x));
}

static void host_heard(void *ctx, const struct dht_sender *who, const struct dht_tidings *t)
{
    struct world_node *x = ctx;
    if (t->relay) {
        dht_relay(x->asker, t->relay, world_now(x->world));
        return;
    }
    dht_member_heard(x->member, who, t, world_now(x->world));
    member_schedule(x->world, number_of(x));
}

static void host_ping(void *ctx, const struct dht_ping *ping)
{
    struct world_node *x = ctx;
    if (x->asker)
        dht_ping(x->asker, ping, world_now(x->world));
}

/* What a walk of the member's ends with goes back to it, if it is still the same. The world has
 * them all, since a node that goes down ends none of its walks. */
struct walk {
    LIST_ENTRY(walk) link;
    struct world_node *node;
    uint32_t incarnation;
    struct dht_find find;
};

static void walk_done(void *ctx, const struct dht_result *result, struct now now)
{
    struct walk *k = ctx;
    struct world_node *x = k->node;
    if (x->up && x->incarnation == k->incarnation)
        dht_member_found(x->member, &k->find, result, now);
    LIST_REMOVE(k, link);
    free(k);
}

static void host_find(void *ctx, const struct dht_find *find)
{
    struct world_node *x = ctx;
    struct walk *k = malloc(sizeof(*k));
    if (!k)
        return;
    *k = (struct walk){.node = x, .incarnation = x->incarnation, .find = *find};
    LIST_INSERT_HEAD(&x->world->walks, k, link);
    dht_find(x->asker, find, walk_done, k, world_now(x->world));
}

static void host_switched(void *ctx, const struct dht_switch *why)
{
    struct world_node *x = ctx;
    x->world->totals.switches[why->level]++;
    if (x->world->switched)
        x->world->switched(x->world, number_of(x), why);
}

/* --- up and down ------------------------------------------------------------------------------ */

void world_up(struct world *w, uint32_t node)
{
    struct world_node *x = &w->node[node];
    const struct dht_asker_host asker = {
        .send_rpc = host_send, .ctx = x, .answered = host_answered, .timed_out = host_timed_out};
    const struct dht_member_host member = {
        .ctx = x, .ping = host_ping, .find = host_find, .switched = host_switched};
    x->incarnation++;
    x->member =
        dht_member_create(&w->config, &w->contact[node], x->incarnation, w->book, w->bootstrap,
                          sizeof(w->bootstrap) / sizeof(w->bootstrap[0]), &member,
                          mix(w->params.seed, node, x->incarnation, MIX_MEMBER), world_now(w));
    x->store = dht_store_create(w->arena, w->config.store_keys);
    x->asker = dht_asker_create(w->arena, NULL, &asker);
    if (!x->member || !x->store || !x->asker) {
        fprintf(stderr, "coral-sim: no memory for node %u of %u\n", node, w->params.nodes);
        exit(1);
    }
    dht_asker_routes(x->asker, dht_member_view(x->member));
    x->up = true;
    x->member_us = 0;
    if (w->came)
        w->came(w, node, true);
}

void world_down(struct world *w, uint32_t node)
{
    struct world_node *x = &w->node[node];
    if (!x->up)
        return;
    x->up = false;
    if (w->came)
        w->came(w, node, false);
    dht_asker_destroy(x->asker);
    dht_store_destroy(x->store);
    dht_member_destroy(x->member);
    x->asker = NULL;
    x->store = NULL;
    x->member = NULL;
}

static void change(struct world *w, uint32_t node)
{
    struct world_node *x = &w->node[node];
    if (x->up)
        world_down(w, node);
    else
        world_up(w, node);
    uint64_t begun_us = START_US + w->params.join_us; /* churn begins when all have joined */
    uint64_t next = churn_next(w->churn, node, x->up, w->time_us - begun_us, ++x->changes);
    if (next != CHURN_NEVER)
        push(w, node, next + begun_us, node, EVENT_CHANGE, 0, 0);
    if (x->up)
        member_schedule(w, node);
}

/* --- events ----------------------------------------------------------------------------------- */

static void packet(struct world *w, uint32_t node, struct message *m)
{
    struct world_node *x = &w->node[node];
    struct now now = world_now(w);
    struct rpc answer;
    if (x->up && m->rpc.flags & RPC_REPLY) {
        dht_asker_rpc(x->asker, &m->rpc, now);
    } else if (x->up) {
        if (w->served)
            w->served(w, node, &m->rpc);
        if (dht_serve_rpc(x->store, dht_member_view(x->member), &m->rpc, &answer, host_heard, x,
                          now))
            say(w, node, m->from, &m->rpc, &answer);
    }
    message_free(w, m);
}

static void handle(struct world *w, const struct event *e)
{
    struct world_node *x = &w->node[e->target];
    switch ((enum event_kind)e->kind) {
    case EVENT_PACKET:
        packet(w, e->target, (struct message *)(uintptr_t)e->payload); /* NOLINT */
        break;
    case EVENT_MEMBER:
        if (x->up && x->member_us == e->time_us) {
            x->member_us = 0;
            dht_member_poll(x->member, world_now(w));
            member_schedule(w, e->target);
        }
        break;
    case EVENT_CHANGE:
        change(w, e->target);
        break;
    case EVENT_JOIN:
        world_up(w, e->target);
        member_schedule(w, e->target);
        break;
    case EVENT_TURN:
        if (w->turn)
            w->turn(w, e->target, e->detail, e->payload);
        break;
    }
}

void world_turn(struct world *w, uint32_t node, uint64_t at_us, uint16_t detail, uint64_t payload)
{
    push(w, node, at_us, node, EVENT_TURN, detail, payload);
}

/* Timers of lookups and RPCs, a millisecond exact; what they send counts from their own time. */
static void timers(struct world *w, uint64_t until_us)
{
    if (until_us / 1000 == w->tick_us / 1000)
        return;
    for (;;) {
        uint64_t at = dht_arena_deadline_us(w->arena);
        if (at > until_us)
            break;
        if (at > w->time_us)
            w->time_us = at;
        dht_arena_poll(w->arena, world_now(w));
    }
    w->tick_us = until_us;
}

static void prefetch(const struct world *w)
{
    uint32_t next = queue_next_hint(w->queue, 4);
    if (next == QUEUE_NOBODY)
        return;
    __builtin_prefetch(&w->node[next]);
    next = queue_next_hint(w->queue, 2);
    if (next != QUEUE_NOBODY && w->node[next].member) {
        __builtin_prefetch(w->node[next].member);
        __builtin_prefetch(w->node[next].store);
    }
}

void world_run(struct world *w, uint64_t until_us)
{
    uint64_t at, end_us = until_us + START_US;
    uint64_t report_us = w->time_us + w->progress_us;
    struct event e;
    while (queue_peek_time(w->queue, &at) && at <= end_us) {
        timers(w, at);
        if (!queue_peek_time(w->queue, &at) || at > end_us)
            break;
        queue_pop(w->queue, &e);
        w->time_us = e.time_us > w->time_us ? e.time_us : w->time_us;
        w->totals.events++;
        w->hash = report_hash_event(w->hash, &e);
        prefetch(w);
        handle(w, &e);
        if (w->progress && w->time_us >= report_us) {
            report_us = w->time_us + w->progress_us;
            w->progress(w);
        }
    }
    timers(w, end_us);
    w->time_us = end_us;
}

/* --- invariants ------------------------------------------------------------------------------- */

/* Of a level: its nearest 2k, and of a bucket no more than k of the others. An oracle's is as it
 * is. */
static void check_level(struct world *w, uint32_t node, unsigned level)
{
    const struct dht_member *m = w->node[node].member;
    unsigned k = w->config.bucket, rank = 0, bucket = 0;
    for (uint32_t i = 0; i < m->routes.n; i++) {
        if (i > 0 && m->table.route[i - 1].prefix != m->table.route[i].prefix)
            bucket = 0;
        if (!(m->table.route[i].levels >> level & 1))
            continue;
        bucket++;
        if (rank++ >= 2 * k && bucket > k && !w->params.oracle)
            world_violation(w, "node %u: more than %u in a bucket of level %u", node, k, level);
    }
}

static void check_table(struct world *w, uint32_t node)
{
    const struct dht_member *m = w->node[node].member;
    for (uint32_t i = 0; i < m->routes.n; i++) {
        const struct dht_route *r = &m->table.route[i];
        if (i > 0 && m->table.route[i - 1].prefix < r->prefix)
            world_violation(w, "node %u: its table is out of order", node);
        if (!m->table.note[i].oracle && !m->table.note[i].reached && w->config.mitigate.direct_only)
            world_violation(w, "node %u: contact %u never answered it", node, (unsigned)r->peer);
    }
    for (unsigned l = 0; l < w->config.levels; l++)
        check_level(w, node, l);
    if (m->routes.n > TABLE_MAX)
        world_violation(w, "node %u: %u contacts", node, m->routes.n);
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        if (l < w->config.levels && m->routes.level[l].is.cid == 0)
            world_violation(w, "node %u: in no cluster of level %u", node, l);
}

void world_check(struct world *w)
{
    for (uint32_t i = 0; i < w->params.nodes; i++) {
        if (!w->node[i].up)
            continue;
        check_table(w, i);
        if (w->node[i].store->keys > w->config.store_keys)
            world_violation(w, "node %u: %u keys in a store of %u", i, w->node[i].store->keys,
                            w->config.store_keys);
    }
}

/* --- beginning and end ------------------------------------------------------------------------ */

static bool contacts(struct world *w)
{
    uint32_t gone;
    for (uint32_t i = 0; i < w->params.nodes; i++) {
        struct dht_contact c = {.rpc = address_of(w, i), .http_port = 80};
        c.id = dht_node_id(&c.rpc);
        if (addr_is_v4(&c.rpc.ip))
            c.v4 = c.rpc.ip;
        else
            c.v6 = c.rpc.ip;
        c.services = DHT_SERVICE_HTTP | DHT_SERVICE_DNS;
        if (book_take(w->book, &c, &gone, world_now(w)) != i)
            return false;
    }
    w->contact = w->book->contact;
    for (unsigned i = 0; i < sizeof(w->bootstrap) / sizeof(w->bootstrap[0]); i++)
        w->bootstrap[i] = w->contact[i % w->params.nodes].rpc;
    return true;
}

static void begin(struct world *w)
{
    for (uint32_t i = 0; i < w->params.nodes; i++) {
        bool up = true;
        w->node[i].world = w;
        uint64_t until = churn_start(w->churn, i, &up);
        if (w->params.join_us && up) {
            uint64_t late = mix(w->params.seed, i, 0, MIX_LATENESS) % w->params.join_us;
            push(w, i, w->time_us + late, i, EVENT_JOIN, 0, 0);
        } else if (up) {
            world_up(w, i);
        }
        if (until != CHURN_NEVER)
            push(w, i, until + START_US + w->params.join_us, i, EVENT_CHANGE, 0, 0);
    }
    if (w->params.oracle)
        oracle_fill(w);
    for (uint32_t i = 0; i < w->params.nodes; i++)
        if (w->node[i].up)
            member_schedule(w, i);
}

struct world *world_create(const struct world_params *params)
{
    struct world *w = calloc(1, sizeof(*w));
    uint8_t seed[32] = {0};
    struct dht_keys keys = {.n = 1, .key[0] = {.id = 1, .key = "a planet's key.."}};
    if (!w)
        return NULL;
    memcpy(seed, &params->seed, sizeof(params->seed));
    w->params = *params;
    w->config = params->dht;
    w->time_us = w->tick_us = START_US;
    w->progress_us = 10000000;
    w->planet = planet_create(&params->planet, params->nodes, params->seed);
    w->churn = w->planet ? churn_create(&params->churn, w->planet, params->seed) : NULL;
    w->queue = queue_create((size_t)params->nodes * 12 + 1000000);
    w->book = dht_book_create(params->nodes, seed);
    w->arena = dht_arena_create(&w->config, 0, seed, seed, world_now(w));
    w->node = calloc(params->nodes, sizeof(*w->node));
    w->mac = dht_mac_create(&keys);
    if (!w->planet || !w->churn || !w->queue || !w->book || !w->arena || !w->node || !w->mac ||
        !contacts(w)) {
        fprintf(stderr, "coral-sim: no memory for %u nodes\n", params->nodes);
        world_destroy(w);
        return NULL;
    }
    begin(w);
    return w;
}

void world_destroy(struct world *w)
{
    if (!w)
        return;
    struct event e;
    w->came = NULL;
    while (w->queue && queue_pop(w->queue, &e))
        if (e.kind == EVENT_PACKET)
            message_free(w, (struct message *)(uintptr_t)e.payload); /* NOLINT */
    for (uint32_t i = 0; w->node && i < w->params.nodes; i++)
        world_down(w, i);
    while (w->free_message) {
        struct message *m = w->free_message;
        w->free_message = m->next;
        free(m);
    }
    for (struct walk *k; (k = LIST_FIRST(&w->walks));) {
        LIST_REMOVE(k, link);
        free(k);
    }
    dht_mac_destroy(w->mac);
    dht_arena_destroy(w->arena);
    dht_book_destroy(w->book);
    queue_destroy(w->queue);
    churn_destroy(w->churn);
    planet_destroy(w->planet);
    free(w->node);
    free(w);
}

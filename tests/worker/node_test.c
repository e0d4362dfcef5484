/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three whole nodes, an origin and a client on in-memory links. Run with 1 and 2 workers a node,
 * with and without checksum offload, and with lost frames.
 */
#include <arpa/inet.h>
#include <string.h>

#include "dht/arena.h"
#include "world.h"

static uint64_t total(const struct world *w, unsigned i, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned k = 0; k < w->node[i]->workers; k++)
        sum += counter_read(
            (const uint64_t *)((const char *)&w->node[i]->worker[k]->counters + offset));
    return sum;
}
#define TOTAL(w, i, name) total(w, i, offsetof(struct worker_counters, name))

/* An echo request (RFC 792), from outside to node `i`. */
static void ping(struct world *w, unsigned i)
{
    struct worker *out = w->node[OUTSIDE]->worker[0];
    struct rte_mbuf *m = tx_frame(out, 0);
    uint8_t *icmp = m ? (uint8_t *)rte_pktmbuf_append(m, 64) : NULL;
    const struct addr from = world_ip(OUTSIDE), to = world_ip(i);

    CHECK(icmp);
    memset(icmp, 0x5a, 64);
    memcpy(icmp, (uint8_t[]){8, 0, 0, 0, 0, 1, 0, 1}, 8);
    uint16_t sum = net_sum_finish(net_sum(icmp, 64, 0));
    memcpy(icmp + 2, &sum, 2);
    out->now = w->now;
    CHECK(wait_add(out, 0, m, &from, &to, 1));
    out->neighbour_new = true;
}

/* "Fragmentation needed" (RFC 1191) from outside to node `i`, about a segment from its port 80. */
static void too_big(struct world *w, unsigned i, uint16_t client_port)
{
    struct worker *out = w->node[OUTSIDE]->worker[0];
    struct rte_mbuf *m = tx_frame(out, 0);
    uint8_t *icmp = m ? (uint8_t *)rte_pktmbuf_append(m, 36) : NULL;
    const struct addr from = world_ip(OUTSIDE), to = world_ip(i);

    CHECK(icmp);
    memset(icmp, 0, 36);
    memcpy(icmp, (uint8_t[]){3, 4, 0, 0, 0, 0, 5, 0x14, 0x45, 0, 5, 0xdc}, 12);
    icmp[8 + 9] = 6;
    memcpy(icmp + 8 + 12, to.b + 12, 4);
    memcpy(icmp + 8 + 16, from.b + 12, 4);
    icmp[29] = 80;
    icmp[30] = (uint8_t)(client_port >> 8);
    icmp[31] = (uint8_t)client_port;
    uint16_t sum = net_sum_finish(net_sum(icmp, 36, 0));
    memcpy(icmp + 2, &sum, 2);
    out->now = w->now;
    CHECK(wait_add(out, 0, m, &from, &to, 1));
    out->neighbour_new = true;
}

/* They come to worker 0, and to nobody but the one whose connection it would be. */
static void an_icmp_error_is_told_to_one_worker(struct world *w)
{
    uint64_t told = TOTAL(w, 0, worker_icmp_handed_over_total), heard = 0;

    for (uint16_t k = 0; k < 40; k++) {
        too_big(w, 0, (uint16_t)(1000 + k));
        world_run(w, 100);
    }
    world_run(w, 100000);
    for (unsigned k = 0; k < w->workers; k++)
        heard += tcp_counters(w->node[0]->worker[k]->tcp)->tcp_icmp_unmatched_total;
    CHECK(heard == 40);
    told = TOTAL(w, 0, worker_icmp_handed_over_total) - told;
    CHECK(w->workers == 1 ? told == 0 : told > 5 && told < 35);
}

static void a_ping_is_answered(struct world *w)
{
    uint64_t before =
        net_counters(w->node[OUTSIDE]->worker[0]->port[0].net)->net_icmp_ignored_total;
    for (unsigned i = 0; i < OUTSIDE; i++)
        ping(w, i);
    world_run(w, 100000);
    CHECK(net_counters(w->node[OUTSIDE]->worker[0]->port[0].net)->net_icmp_ignored_total ==
          before + OUTSIDE);
}

static void pages_come_whole_over_both_families(struct world *w)
{
    struct fetch f;
    for (unsigned v6 = 0; v6 < 2; v6++) {
        world_fetch(w, 0, v6, "/small", &f);
        CHECK(f.ok && f.status == 200 && f.bytes == 1000 && f.body_right);
        world_fetch(w, 0, v6, "/large", &f);
        CHECK(f.ok && f.status == 200 && f.bytes == BODY_BYTES && f.body_right);
    }
    CHECK(w->origin_requests == 2);
}

static void the_others_ask_the_peer(struct world *w)
{
    struct fetch f;
    for (unsigned i = 1; i < OUTSIDE; i++) {
        world_fetch(w, i, false, "/small", &f);
        CHECK(f.ok && f.status == 200 && f.bytes == 1000 && f.body_right);
        world_fetch(w, i, true, "/large", &f);
        CHECK(f.ok && f.status == 200 && f.bytes == BODY_BYTES && f.body_right);
    }
    CHECK(w->origin_requests == 2);
}

static void a_crowd_costs_the_origin_little(struct world *w)
{
    struct fetch f[OUTSIDE][20];
    unsigned before = w->origin_requests;

    for (unsigned k = 0; k < 20; k++)
        for (unsigned i = 0; i < OUTSIDE; i++)
            world_get(w, i, k & 1, "/crowd", &f[i][k]);
    world_run(w, 20000000);
    for (unsigned k = 0; k < 20; k++)
        for (unsigned i = 0; i < OUTSIDE; i++)
            if (f[i][k].over && !f[i][k].ok && f[i][k].why == HTTP_FAIL_CONNECT)
                world_fetch(w, i, k & 1, "/crowd", &f[i][k]); /* its SYN was lost */
    for (unsigned k = 0; k < 20; k++)
        for (unsigned i = 0; i < OUTSIDE; i++)
            CHECK(f[i][k].ok && f[i][k].bytes == BODY_BYTES && f[i][k].body_right);
    CHECK(w->origin_requests - before <= OUTSIDE);
}

struct names {
    bool over;
    enum resolver_result result;
    unsigned n;
};

static void resolved(void *ctx, enum resolver_result result, const struct addr *addresses,
                     unsigned n, struct now now)
{
    struct names *r = ctx;
    (void)addresses, (void)now;
    *r = (struct names){true, result, n};
}

static void dns_names_the_nodes(struct world *w)
{
    struct names r = {false};
    resolver_resolve(w->node[OUTSIDE]->worker[0]->resolver, "www.site.test.coral.test", resolved,
                     &r, w->now);
    for (unsigned i = 0; i < 100000 && !r.over; i++)
        world_step(w);
    CHECK(r.over && r.result == RESOLVER_OK && r.n >= 2);
}

/* Answers go out in the queries' frames, but not in one that somebody else reads. */
static void a_shared_query_is_left_alone(struct world *w)
{
    static const uint8_t query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\1w\5coral\4test\0\0\1\0\1";
    const size_t len = sizeof(query) - 1;
    const struct endpoint from = {world_ip(OUTSIDE), 4444}, to = {world_ip(0), 53};
    struct worker *out = w->node[OUTSIDE]->worker[0];
    const uint64_t *answers = &w->node[0]->worker[0]->dns_counters.dns_answers_total;
    const uint64_t *came = &out->counters.worker_udp_no_port_total; /* back to port 4444 */

    for (unsigned shared = 0; shared < 2; shared++) {
        const uint64_t answers_before = counter_read(answers), came_before = counter_read(came);
        struct rte_mbuf *m = tx_frame(out, 0);
        CHECK(m);
        uint8_t *at = rte_pktmbuf_mtod_offset(m, uint8_t *, 8);
        memcpy(at, query, len);
        if (shared)
            rte_mbuf_refcnt_update(m, 1);
        CHECK(emit_udp(out, 0, m, &from, &to, len));
        world_run(w, 100000);
        CHECK(counter_read(answers) == answers_before + 1 && counter_read(came) == came_before + 1);
        if (shared) {
            CHECK(memcmp(at, query, len) == 0);
            rte_pktmbuf_free(m);
        }
    }
}

struct indexed {
    bool over;
    struct dht_result result;
};

static void index_done(void *ctx, const struct dht_result *result, struct now now)
{
    struct indexed *x = ctx;
    (void)now;
    x->over = true;
    x->result = *result;
}

/* Any worker may ask about any key: the RPCs find the shard's owner, on every node. */
static void the_index_holds_what_is_put(struct world *w)
{
    for (unsigned k = 0; k < 16; k++) {
        char url[32];
        int len = snprintf(url, sizeof(url), "http://a/%u", k);
        struct dht_id key = dht_key(url, (size_t)len);
        struct indexed put = {false}, get = {false};
        unsigned a = k % OUTSIDE, b = (k + 1) % OUTSIDE, worker = k % w->workers;

        CHECK(dht_put(w->node[a]->worker[worker]->asker, &key, DHT_ALL_LEVELS, 20000, index_done,
                      &put, w->now));
        for (unsigned i = 0; i < 100000 && !put.over; i++)
            world_step(w);
        CHECK(put.over && put.result.end == DHT_FOUND);
        CHECK(dht_get(w->node[b]->worker[worker]->asker, &key, DHT_ALL_LEVELS, index_done, &get,
                      w->now));
        for (unsigned i = 0; i < 100000 && !get.over; i++)
            world_step(w);
        CHECK(get.over && get.result.end == DHT_FOUND && get.result.n >= 1);
        CHECK(memcmp(&get.result.value[0].node, &w->contact[a].id, sizeof(key)) == 0);
    }
}

/* A key whose nearest node is this one. */
static struct dht_id key_at(const struct world *w, unsigned node)
{
    for (unsigned k = 0;; k++) {
        struct dht_id key = dht_key(&k, sizeof(k));
        unsigned nearest = 0;
        for (unsigned i = 1; i < OUTSIDE; i++) {
            struct dht_distance d = distance_between(&w->contact[i].id, &key);
            struct dht_distance least = distance_between(&w->contact[nearest].id, &key);
            nearest = distance_less(&d, &least) ? i : nearest;
        }
        if (nearest == node)
            return key;
    }
}

static uint64_t relays(const struct world *w, unsigned node)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < w->workers; i++)
        n += dht_arena_counters(w->node[node]->worker[i]->arena)->dht_relays_total;
    return n;
}

/* Node 0 alone has it, and its answers do not reach node 1: node 2 asks for it, whichever of its
 * workers has the RELAY. */
static void a_broken_path_is_gone_around(struct world *w)
{
    struct dht_id key = key_at(w, 0);
    struct indexed put = {false}, get = {false};
    struct dht_arena *putter = w->node[2]->worker[0]->arena;
    unsigned copies = putter->config.copies;

    putter->config.copies = 1;
    CHECK(dht_put(w->node[2]->worker[0]->asker, &key, 1, 20000, index_done, &put, w->now));
    world_run(w, 1000000);
    putter->config.copies = copies;
    CHECK(put.over && put.result.end == DHT_FOUND);
    const uint64_t before = relays(w, 2); /* lost frames may have made some */
    w->deaf = true;
    CHECK(dht_get(w->node[1]->worker[w->workers - 1]->asker, &key, 1, index_done, &get, w->now));
    world_run(w, 5000000);
    w->deaf = false;
    CHECK(get.over && get.result.end == DHT_FOUND && get.result.n == 1);
    CHECK(id_eq(&get.result.value[0].node, &w->contact[2].id) &&
          id_eq(&get.result.teller, &w->contact[2].id));
    CHECK(relays(w, 2) > before);
}

static void forget_events(struct world *w)
{
    struct node_event e;
    while (node_event(w->node[0], &e)) {
    }
}

/* A ping that control lent comes back as soon as it is sent; who answers is told with all it says,
 * on the other side too; who does not, by its ID. */
static void control_is_told(struct world *w)
{
    struct dht_ping ping[2] = {
        {.to = w->contact[1].rpc, .has_who = true, .who = w->contact[1].id},
        {.to = {world_ip(77), 5300}},
    };
    const struct dht_id nobody = dht_node_id(&ping[1].to);
    struct node_event e;
    unsigned answered = 0, lost = 0, back = 0, heard = 0;

    forget_events(w);
    world_run(w, 1100000); /* node 1 tells of each once a second */
    while (node_event(w->node[1], &e)) {
    }
    for (unsigned i = 0; i < 2; i++) {
        struct message m = {.type = NODE_PING, .from = 0xffff, .ptr[0] = &ping[i]};
        CHECK(node_command(w->node[0], w->workers - 1, &m));
    }
    world_run(w, 1000000);
    while (node_event(w->node[0], &e)) {
        back += e.type == NODE_PINGED && (e.ptr == &ping[0] || e.ptr == &ping[1]);
        lost += e.type == NODE_TIMED_OUT && memcmp(&e.id, &nobody, sizeof(nobody)) == 0;
        if (e.type != NODE_ANSWERED)
            continue;
        CHECK(memcmp(&e.heard.who.contact.id, &w->contact[1].id, 20) == 0);
        CHECK(e.heard.who.contact.http_port == 80 && e.heard.tidings.ping);
        CHECK(e.heard.tidings.rtt_us > 0 && e.heard.tidings.rtt_us < 100000);
        answered++;
    }
    while (node_event(w->node[1], &e))
        heard += e.type == NODE_HEARD &&
                 memcmp(&e.heard.who.contact.id, &w->contact[0].id, 20) == 0 &&
                 e.heard.tidings.rtt_us == 0;
    CHECK(answered == 1 && lost == 1 && back == 2 && heard == 1);
}

/* What is dropped for damage is named to control, its first bytes if it is long. */
static void control_hears_of_damage(struct world *w)
{
    struct worker *k = w->node[0]->worker[w->workers - 1];
    char url[1000];
    struct node_event e;
    unsigned told = 0, cut = 0;

    memset(url, 'u', sizeof(url));
    forget_events(w);
    event_damaged(k, "http://a/b", 10);
    event_damaged(k, url, sizeof(url));
    while (node_event(w->node[0], &e)) {
        if (e.type != NODE_DAMAGED)
            continue;
        CHECK(e.worker == k->id);
        told += e.damaged.len == 10 && memcmp(e.damaged.url, "http://a/b", 10) == 0;
        cut += e.damaged.len == sizeof(e.damaged.url) && e.damaged.url[253] == 'u';
    }
    CHECK(told == 1 && cut == 1);
}

/* What one node's control puts, and how another's finds that, hop by hop; and a walk. */
static void control_looks_up(struct world *w)
{
    static struct node_lookup there, nowhere;
    static struct node_find find;
    struct message put = {.type = NODE_PUT, .from = 0xffff};
    const struct node_put body = {dht_key("router 10.0.0.1", 15), 60000};
    struct node_event e;
    unsigned back = 0;

    memcpy(put.body, &body, sizeof(body));
    CHECK(node_command(w->node[0], 0, &put));
    world_run(w, 100000);
    there.key = body.key;
    nowhere.key = dht_key("nothing", 7);
    find.find = (struct dht_find){.target = w->contact[1].id};
    struct message m[] = {{.type = NODE_LOOKUP, .ptr[0] = &there},
                          {.type = NODE_LOOKUP, .ptr[0] = &nowhere},
                          {.type = NODE_FIND, .ptr[0] = &find}};
    for (unsigned i = 0; i < 3; i++)
        CHECK(node_command(w->node[1], w->workers - 1, &m[i]));
    world_run(w, 1000000);
    while (node_event(w->node[1], &e)) {
        back += e.type == NODE_LOOKED_UP && (e.ptr == &there || e.ptr == &nowhere);
        back += e.type == NODE_FOUND && e.ptr == &find;
    }
    CHECK(back == 3);
    CHECK(there.result.end == DHT_FOUND && there.result.n == 1);
    CHECK(memcmp(&there.result.value[0].node, &w->contact[0].id, 20) == 0);
    CHECK(there.path.n >= 1 && there.path.hop[there.path.n - 1].end == DHT_HOP_FOUND);
    CHECK(nowhere.result.end == DHT_NOT_FOUND && nowhere.path.n >= 1);
    CHECK(find.result.end == DHT_FOUND && find.result.nearest == 2);
}

static unsigned values_of(struct world *w, struct node_lookup *l)
{
    struct message m = {.type = NODE_LOOKUP, .from = 0xffff, .ptr[0] = l};
    struct node_event e;

    CHECK(node_command(w->node[1], 0, &m));
    world_run(w, 1000000);
    while (node_event(w->node[1], &e))
        if (e.type == NODE_LOOKED_UP)
            return l->result.n;
    return UINT32_MAX;
}

/* Every worker is told, since each holds some of the keys. */
static void a_dead_node_is_forgotten_until_it_puts_again(struct world *w)
{
    static struct node_lookup lookup;
    struct message put = {.type = NODE_PUT, .from = 0xffff},
                   forget = {.type = NODE_FORGET, .from = 0xffff};
    const struct node_put body = {dht_key("router 10.0.0.2", 15), 60000};

    memcpy(put.body, &body, sizeof(body));
    memcpy(forget.body, &w->contact[0].id, sizeof(struct dht_id));
    lookup.key = body.key;
    CHECK(node_command(w->node[0], 0, &put));
    world_run(w, 100000);
    CHECK(values_of(w, &lookup) == 1);
    for (unsigned i = 0; i < OUTSIDE; i++)
        for (unsigned k = 0; k < w->workers; k++)
            CHECK(node_command(w->node[i], k, &forget));
    world_run(w, 100000);
    CHECK(values_of(w, &lookup) == 0);
    CHECK(node_command(w->node[0], 0, &put));
    world_run(w, 2000000);
    CHECK(values_of(w, &lookup) == 1);
}

static struct message probe_of(const struct addr *to, uint16_t token, uint8_t hop_limit)
{
    struct message m = {.type = NODE_PROBE, .from = 0xffff};
    const struct node_probe p = {*to, token, hop_limit};
    memcpy(m.body, &p, sizeof(p));
    return m;
}

/* All nodes are on one link: who is probed says that nobody listens, once; and who was not probed
 * is not believed. */
static void a_probe_finds_its_end(struct world *w)
{
    unsigned answers = 0;
    struct node_event e;

    for (unsigned worker = 0; worker < w->workers; worker++)
        for (unsigned v6 = 0; v6 < 2; v6++) {
            const uint16_t token = (uint16_t)(4095 - worker * 64 - v6);
            const struct addr to = v6 ? world_ip6(1) : world_ip(1);
            struct message m = probe_of(&to, token, 3);
            bool told = false;
            CHECK(node_command(w->node[0], worker, &m));
            world_run(w, 1000); /* the neighbour may have been unknown, and that one is lost */
            CHECK(node_command(w->node[0], worker, &m));
            world_run(w, 100000);
            while (node_event(w->node[0], &e)) {
                if (e.type != NODE_PROBED)
                    continue;
                CHECK(e.probed.token == token && e.probed.reached && e.worker == worker);
                CHECK(addr_eq(&e.probed.from, &to) && e.probed.rtt_us > 0 &&
                      e.probed.rtt_us < 100000);
                told = true;
                answers++;
            }
            CHECK(told);
        }
    CHECK(answers == TOTAL(w, 0, worker_probes_total));
    CHECK(answers == TOTAL(w, 0, worker_probes_answered_total));
    const struct addr self = world_ip(0), to = world_ip(1);
    struct message bad[] = {probe_of(&self, 1, 3), probe_of(&to, 4096, 3), probe_of(&to, 1, 0)};
    for (unsigned i = 0; i < 3; i++)
        CHECK(node_command(w->node[0], 0, &bad[i]));
    world_run(w, 100000);
    CHECK(answers == TOTAL(w, 0, worker_probes_total));
}

/* "Time exceeded" (RFC 792) from outside to node 0, about a datagram to node 1. */
static void time_exceeded(struct world *w, uint16_t from_port, uint16_t to_port, uint16_t len)
{
    struct worker *out = w->node[OUTSIDE]->worker[0];
    struct rte_mbuf *m = tx_frame(out, 0);
    uint8_t *icmp = m ? (uint8_t *)rte_pktmbuf_append(m, 36) : NULL;
    const struct addr from = world_ip(OUTSIDE), to = world_ip(0), target = world_ip(1);

    CHECK(icmp);
    memset(icmp, 0, 36);
    icmp[0] = 11;
    memcpy(icmp + 8, (uint8_t[]){0x45, 0, 0, 36}, 4);
    icmp[8 + 9] = 17;
    memcpy(icmp + 8 + 12, to.b + 12, 4);
    memcpy(icmp + 8 + 16, target.b + 12, 4);
    const uint16_t udp[] = {htons(from_port), htons(to_port), htons(len)};
    memcpy(icmp + 28, udp, sizeof(udp));
    uint16_t sum = net_sum_finish(net_sum(icmp, 36, 0));
    memcpy(icmp + 2, &sum, 2);
    out->now = w->now;
    CHECK(wait_add(out, 0, m, &from, &to, 1));
    out->neighbour_new = true;
}

/* A router's word counts for the worker that sent the probe, whoever of the node's hears it. */
static void a_router_is_heard_by_who_probed(struct world *w)
{
    const struct addr nobody = world_ip(77), to = world_ip(1), outside = world_ip(OUTSIDE);
    const unsigned prober = w->workers - 1;
    const uint16_t port = w->node[0]->worker[prober]->probe_port;
    struct node_event e;
    unsigned told = 0;

    /* one that the target would answer is not what we want: its end of the link is cut */
    w->cut = true;
    struct message m = probe_of(&to, 5 * 64 + 7, 1), other = probe_of(&nobody, 5 * 64 + 8, 1);
    CHECK(node_command(w->node[0], prober, &m) && node_command(w->node[0], prober, &other));
    world_run(w, 100000);
    w->cut = false;
    while (node_event(w->node[0], &e)) {
    }
    uint64_t unasked = TOTAL(w, 0, worker_probes_unasked_total);
    time_exceeded(w, (uint16_t)(port ^ 64), 33434 + 5, 16 + 7); /* guesses */
    time_exceeded(w, port, 33434 + 6, 16 + 7);
    time_exceeded(w, port, 33434 + 5, 16 + 8);
    time_exceeded(w, port, 53, 16 + 7);
    time_exceeded(w, port, 33434 + 5, 15);
    world_run(w, 100000);
    CHECK(TOTAL(w, 0, worker_probes_unasked_total) == unasked + 5);
    time_exceeded(w, port, 33434 + 5, 16 + 7);
    time_exceeded(w, port, 33434 + 5, 16 + 7); /* said twice */
    world_run(w, 100000);
    CHECK(TOTAL(w, 0, worker_probes_unasked_total) == unasked + 6);
    while (node_event(w->node[0], &e)) {
        if (e.type != NODE_PROBED)
            continue;
        CHECK(e.worker == prober && e.probed.token == 5 * 64 + 7 && !e.probed.reached);
        CHECK(addr_eq(&e.probed.from, &outside));
        told++;
    }
    CHECK(told == 1);
}

static void a_purge_forgets(struct world *w)
{
    static const char url[] = "http://www.site.test/small";
    struct node_purge *p = calloc(1, sizeof(*p) + sizeof(url));
    struct message m = {.type = NODE_PURGE, .from = 0xffff};
    struct node_event e;
    bool told = false;

    p->len = sizeof(url) - 1;
    memcpy(p->url, url, sizeof(url));
    m.ptr[0] = p;
    CHECK(node_command(w->node[0], node_owner(w->node[0], url, p->len), &m));
    world_run(w, 100000);
    while (node_event(w->node[0], &e))
        told |= e.type == NODE_PURGED && e.ptr == p;
    CHECK(told && p->found);
    free(p);
}

static uint64_t objects(const struct world *w, unsigned i)
{
    uint64_t sum = 0;
    for (unsigned k = 0; k < w->workers; k++)
        sum += counter_read(&cache_counters(w->node[i]->cache, k)->cache_objects);
    return sum;
}

/* What a rule names is gone when each worker has had a turn; a worker with a walk to do does not
 * sleep. */
static void a_purge_of_a_host_is_in_force(struct world *w)
{
    struct cache_purge what = {
        .kind = CACHE_PURGE_PREFIX, .text = "http://www.site.test/", .len = 21};
    struct node *n = w->node[0];
    uint64_t token, mark;
    CHECK(objects(w, 0) > 0);
    CHECK(node_purge(n, &what, &token) == CACHE_PURGE_TAKEN);
    mark = node_mark(n);
    CHECK(!cache_purge_in_force(n->cache, token) && !node_passed(n, mark));
    for (unsigned i = 0; i < 4; i++)
        world_step(w);
    CHECK(cache_purge_in_force(n->cache, token) && node_passed(n, mark));
    for (unsigned i = 0; i < w->workers; i++)
        CHECK(!cache_busy(n->cache, i) || worker_deadline_us(n, i) <= w->now.mono_us);
    world_run(w, 100000);
    CHECK(objects(w, 0) == 0);
}

/* A view is replaced while workers run; the old one is free after one turn of each. */
static void a_view_is_swapped(struct world *w)
{
    struct view next = w->view[0];
    next.version++;
    uint64_t token = node_view_publish(w->node[0], &next);
    CHECK(!node_view_done(w->node[0], token));
    for (unsigned i = 0; i < 4; i++)
        world_step(w);
    CHECK(node_view_done(w->node[0], token));
    w->view[0] = next;
    token = node_view_publish(w->node[0], &w->view[0]);
    for (unsigned i = 0; i < 4; i++)
        world_step(w);
    CHECK(node_view_done(w->node[0], token));
}

/* When the pool is dry, and all but the reserve is on its way, a segment with data is refused and a
 * frame without is still found. */
static void the_last_frames_are_not_for_bodies(struct world *w)
{
    struct worker *x = w->node[0]->worker[0];
    struct worker_port *p = &x->port[0];
    struct rte_mempool *pool = p->port->pool[0];
    struct rte_mbuf *out[RTE_DIM(p->spare.frame)];
    static void *dry[16384];
    unsigned n = 0, taken = 0;

    CHECK(tx_room_data(x, 0, 1));
    while (taken < RTE_DIM(dry) && rte_mempool_get(pool, &dry[taken]) == 0)
        taken++;
    while (tx_room_data(x, 0, 1))
        CHECK((out[n++] = tx_frame(x, 0)));
    CHECK(p->spare.n == WORKER_RESERVE && tx_room(x, 0));
    CHECK((out[n++] = tx_frame(x, 0)));
    rte_mempool_put_bulk(pool, dry, taken);
    CHECK(tx_room_data(x, 0, 1));
    rte_pktmbuf_free_bulk(out, n);
}

/* Every reference that went out in a frame has come back, and every buffer. */
static void nothing_is_lost(struct world *w)
{
    world_run(w, 90000000); /* idle connections close */
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        for (unsigned k = 0; k < w->node[i]->workers; k++) {
            struct worker *x = w->node[i]->worker[k];
            const struct rte_mempool *pool = x->port[0].port->pool[k];
            CHECK(rte_mempool_avail_count(pool) + x->port[0].spare.n + x->port[0].bare.n ==
                  pool->size);
            CHECK(x->waiting == 0 && rte_ring_empty(x->returns));
        }
        CHECK(TOTAL(w, i, worker_no_buffer_total) == (i == 0)); /* the story above */
        CHECK(TOTAL(w, i, worker_handover_full_total) == 0);
    }
    CHECK(TOTAL(w, 0, worker_tx_references_total) > 0);
    CHECK(w->workers == 1 || TOTAL(w, 0, worker_handed_over_total) > 0);
}

/* What was behind a lost frame waited in its object, not in the stack; no buffer waited at all. */
static void what_was_behind_a_loss_was_copied_once(struct world *w)
{
    uint64_t placed = 0, appended = 0;
    for (unsigned i = 0; i < OUTSIDE; i++)
        for (unsigned k = 0; k < w->workers; k++) {
            placed += tcp_counters(w->node[i]->worker[k]->tcp)->tcp_placed_bytes_total;
            appended += cache_counters(w->node[i]->cache, k)->cache_placed_bytes_total;
        }
    printf("  %lu bytes placed, %lu appended in place\n", placed, appended);
    CHECK(placed >= appended && appended > 10000);
}

static void story(unsigned workers, bool offload, unsigned lose)
{
    struct world w;

    printf("%u workers, offload %s, %s\n", workers, offload ? "on" : "off",
           lose ? "frames lost" : "none lost");
    fflush(stdout);
    world_new(&w, workers, offload);
    world_run(&w, 1500000);
    a_ping_is_answered(&w);
    an_icmp_error_is_told_to_one_worker(&w);
    w.lose = lose;
    pages_come_whole_over_both_families(&w);
    the_others_ask_the_peer(&w);
    a_crowd_costs_the_origin_little(&w);
    w.lose = 0;
    if (lose)
        what_was_behind_a_loss_was_copied_once(&w);
    dns_names_the_nodes(&w);
    a_shared_query_is_left_alone(&w);
    the_index_holds_what_is_put(&w);
    a_broken_path_is_gone_around(&w);
    control_is_told(&w);
    control_hears_of_damage(&w);
    control_looks_up(&w);
    a_dead_node_is_forgotten_until_it_puts_again(&w);
    a_probe_finds_its_end(&w);
    a_router_is_heard_by_who_probed(&w);
    a_purge_forgets(&w);
    a_purge_of_a_host_is_in_force(&w);
    a_view_is_swapped(&w);
    the_last_frames_are_not_for_bodies(&w);
    nothing_is_lost(&w);
    world_free(&w);
}

/*
 * As if node 0's port had RSS with a key that we know, and its table had been changed behind our
 * back: worker 0 gets every segment, also those of worker 1's connections. Each is handed to its
 * owner; nobody answers for another with a reset; connections out come from ports whose replies
 * belong to who opened them.
 */
static void rss_story(void)
{
    struct world w;
    struct fetch f;
    uint8_t key[40], worker[128];
    struct rng rng;

    printf("2 workers, RSS\n");
    fflush(stdout);
    world_new(&w, 2, false);
    rng_init_u64(&rng, 9);
    rng_bytes(&rng, key, sizeof(key));
    for (unsigned r = 0; r < 128; r++)
        worker[r] = r & 1;
    w.node[0]->steer[0] = steer_create(key, sizeof(key), worker, 128, 2);
    CHECK(w.node[0]->steer[0]);
    world_run(&w, 1500000);
    a_ping_is_answered(&w); /* and so outside and the nodes know each other */
    an_icmp_error_is_told_to_one_worker(&w);
    for (unsigned i = 0; i < 20; i++) {
        char path[16];
        snprintf(path, sizeof(path), "/rss%u", i);
        world_fetch(&w, 0, i & 1, path, &f);
        CHECK(f.ok && f.status == 200 && f.bytes == BODY_BYTES && f.body_right);
    }
    CHECK(TOTAL(&w, 0, worker_rss_elsewhere_total) > 0);
    for (unsigned k = 0; k < 2; k++) {
        const struct tcp_counters *c = tcp_counters(w.node[0]->worker[k]->tcp);
        CHECK(c->tcp_no_connection_total == 0 && c->tcp_rst_out_total == 0);
        CHECK(c->tcp_segments_in_total > 0 && c->tcp_connected_total > 0);
    }
    world_free(&w);
}

int main(void)
{
    world_start();
    story(1, false, 0);
    story(2, false, 0);
    story(1, true, 0);
    story(2, true, 97);
    rss_story();
    port_eal_stop();
    return 0;
}

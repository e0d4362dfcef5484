/* SPDX-License-Identifier: BSD-3-Clause */
/* Between workers, from control, and events to control. */
#include <string.h>

#include "dataplane/worker/worker.h"

bool message_post(void *ctx, unsigned to, const struct message *m)
{
    struct worker *w = ctx;

    if (to >= w->node->workers || !ring_post(w->node->worker[to]->messages, m)) {
        counter_inc(&w->counters.worker_message_full_total);
        return false;
    }
    w->wake |= 1u << to;
    return true;
}

void messages_wake(struct worker *w)
{
    struct node *n = w->node;

    for (uint32_t left = w->wake & ~(1u << w->id); left; left &= left - 1)
        sleeper_wake(&n->worker[__builtin_ctz(left)]->sleeper);
    w->wake = 0;
    if (w->event_new)
        sleeper_wake(&n->event);
    w->event_new = false;
}

/* --- neighbours: each worker has a table of its own, told by whoever heard -------------------- */

void neighbour_learned(void *ctx, const struct addr *ip, const uint8_t mac[6])
{
    struct worker_port *wp = ctx;
    struct worker *w = wp->worker;
    struct message m = {.type = WORKER_NEIGHBOUR, .from = (uint16_t)w->id};
    struct worker_neighbour *body = (struct worker_neighbour *)m.body;

    static_assert(sizeof(*body) <= MESSAGE_BODY, "fits a message");
    w->neighbour_new = true;
    body->port = wp->index;
    memcpy(body->mac, mac, 6);
    body->ip = *ip;
    for (unsigned i = 0; i < w->node->workers; i++)
        if (i != w->id)
            message_post(w, i, &m); /* full: that worker asks the neighbour itself */
}

static void neighbour_told(struct worker *w, const struct message *m)
{
    const struct worker_neighbour *body = (const struct worker_neighbour *)m->body;
    net_neighbour_set(w->port[body->port].net, &body->ip, body->mac, w->now);
    w->neighbour_new = true;
}

/* --- ICMP errors: a port hashes them by their own header, so they come to anybody ------------- */

static void icmp_take(struct worker *w, const struct net_icmp_error *e)
{
    const struct tcp_icmp i = {
        .local = e->local,
        .remote = e->remote,
        .seq = e->seq,
        .mtu = e->mtu,
        .too_big = e->kind == NET_ICMP_TOO_BIG,
        .hard = e->hard,
    };
    tcp_icmp(w->tcp, &i, w->now);
}

/* One worker can have the connection; net lets a bounded number a second come so far. */
void icmp_heard(void *ctx, const struct net_icmp_error *e)
{
    struct worker *w = ((struct worker_port *)ctx)->worker;
    unsigned owner = worker_of_tuple(w, &e->local, &e->remote);
    struct message m = {.type = WORKER_ICMP, .from = (uint16_t)w->id};

    static_assert(sizeof(*e) <= MESSAGE_BODY, "fits a message");
    if (owner == w->id) {
        icmp_take(w, e);
        return;
    }
    memcpy(m.body, e, sizeof(*e));
    if (message_post(w, owner, &m)) /* full: the segment is lost all the same, and found so */
        counter_inc(&w->counters.worker_icmp_handed_over_total);
}

/* --- control's commands ----------------------------------------------------------------------- */

#define EVENTS_LENT                                                                                \
    256u /* places that only answers to control take: more than it lends at a time */

/* An answer that finds no room in the event ring would be lost, and with it what was lent: it waits
 * for as many places as other workers may take at the same time. */
static bool event_room(const struct worker *w)
{
    return rte_ring_free_count(w->node->events) > 2 * NODE_WORKERS;
}

static void answer(struct worker *w, enum node_event_type type, void *ptr)
{
    event_post(w, &(struct node_event){.type = (uint16_t)type, .ptr = ptr});
}

static void lend(struct worker *w, struct node_lent *l, enum node_event_type type)
{
    *l = (struct node_lent){.worker = w, .answer = (uint16_t)type};
}

/* It waits in the list, since a lookup may end when the event ring is full. */
static void give_back(struct node_lent *l)
{
    struct worker *w = l->worker;
    if (!w->over)
        w->over_tail = &w->over;
    *w->over_tail = l;
    w->over_tail = &l->next;
}

static void find_done(void *ctx, const struct dht_result *result, struct now now)
{
    struct node_find *f = ctx;
    (void)now;
    f->result = *result;
    give_back(&f->lent);
}

static void lookup_done(void *ctx, const struct dht_result *result, struct now now)
{
    struct node_lookup *l = ctx;
    (void)now;
    l->result = *result;
    give_back(&l->lent);
}

static bool over_poll(struct worker *w)
{
    bool any = false;

    while (w->over && event_room(w)) {
        struct node_lent *l = w->over;
        w->over = l->next;
        answer(w, l->answer, l);
        any = true;
    }
    return any;
}

static void put(struct worker *w, const struct node_put *p)
{
    dht_put(w->asker, &p->key, DHT_ALL_LEVELS, p->ttl_ms, NULL, NULL, w->now);
}

static void command(struct worker *w, const struct message *m)
{
    switch ((enum node_command)m->type) {
    case NODE_PING:
        dht_ping(w->asker, m->ptr[0], w->now);
        answer(w, NODE_PINGED, m->ptr[0]);
        break;
    case NODE_FIND: {
        struct node_find *f = m->ptr[0];
        lend(w, &f->lent, NODE_FOUND);
        dht_find(w->asker, &f->find, find_done, f, w->now);
        break;
    }
    case NODE_LOOKUP: {
        struct node_lookup *l = m->ptr[0];
        lend(w, &l->lent, NODE_LOOKED_UP);
        dht_path_get(w->asker, &l->key, DHT_ALL_LEVELS, &l->path, lookup_done, l, w->now);
        break;
    }
    case NODE_PUT:
        put(w, (const struct node_put *)m->body);
        break;
    case NODE_FORGET:
        dht_forget(w->arena, (const struct dht_id *)m->body);
        break;
    case NODE_PURGE: {
        struct node_purge *purge = m->ptr[0];
        purge->found = proxy_purge(w->proxy, purge->url, purge->len, purge->soft, w->now);
        answer(w, NODE_PURGED, purge);
        break;
    }
    case NODE_FILLS: {
        struct node_fills *fills = m->ptr[0];
        fills->n = proxy_fills(w->proxy, fills->fill, 32);
        answer(w, NODE_FILLED, fills);
        break;
    }
    case NODE_ORIGINS: {
        struct node_origins *o = m->ptr[0];
        o->n =
            proxy_origins(w->proxy, *o->site ? o->site : NULL, o->info, NODE_ORIGIN_INFO, w->now);
        answer(w, NODE_ORIGINS_SHOWN, o);
        break;
    }
    case NODE_DRAIN:
        tcp_listen_stop(w->tcp);
        http_server_drain(w->server);
        break;
    case NODE_CUT:
        http_server_cut(w->server);
        break;
    case NODE_TCP: {
        struct node_tcp *show = m->ptr[0];
        show->next = NULL;
        if (!w->show)
            w->show_tail = &w->show;
        *w->show_tail = show;
        w->show_tail = &show->next;
        break;
    }
    case NODE_PROBE:
        probe_send(w, (const struct node_probe *)m->body);
        break;
    case NODE_SAVE:
        warm_save(w, m->ptr[0]);
        break;
    case NODE_LOAD:
        warm_load(w, m->ptr[0]);
        break;
    }
}

/* Some connections a turn, so that a large table holds nobody up. */
static bool show_poll(struct worker *w)
{
    struct node_tcp *s = w->show;

    if (!s)
        return false;
    struct tcp_shown to = {s->info + s->n, NODE_TCP_INFO - s->n, 0, 0};
    bool more = tcp_show(w->tcp, &s->filter, &s->cursor, WORKER_SHOWN, &to);
    s->n += to.n;
    s->matched += to.matched;
    if (!more) {
        w->show = s->next;
        answer(w, NODE_TCP_SHOWN, s);
    }
    return true;
}

bool messages_poll(struct worker *w)
{
    struct message m[WORKER_TURN];
    unsigned commands = 0, n;

    while (commands < WORKER_TURN && event_room(w) && ring_take(w->commands, m, 1) == 1) {
        command(w, &m[0]);
        commands++;
    }
    bool shown = event_room(w) && show_poll(w);
    shown |= over_poll(w);
    shown |= (w->save || w->load[0]) && event_room(w) && warm_poll(w);
    n = ring_take(w->messages, m, WORKER_TURN);
    for (unsigned i = 0; i < n; i++) {
        if (m[i].type == WORKER_NEIGHBOUR)
            neighbour_told(w, &m[i]);
        else if (m[i].type == WORKER_ICMP)
            icmp_take(w, (const struct net_icmp_error *)m[i].body);
        else if (m[i].type == WORKER_ICMP_DATAGRAM)
            probe_take(w, (const struct net_icmp_datagram *)m[i].body);
        else
            proxy_message(w->proxy, &m[i], w->now);
    }
    counter_add(&w->counters.worker_messages_total, n);
    return n + commands > 0 || shown;
}

/* --- events ----------------------------------------------------------------------------------- */

void event_post(struct worker *w, const struct node_event *e)
{
    struct node_event out = *e;

    static_assert(sizeof(out) % 4 == 0, "rte_ring's element size");
    out.worker = (uint16_t)w->id;
    if (rte_ring_mp_enqueue_bulk_elem(w->node->events, &out, sizeof(out), 1, NULL) == 0) {
        counter_inc(&w->counters.worker_events_lost_total);
        return;
    }
    w->event_new = true;
}

/* News of others may be lost, what was lent may not: they leave it the last places. */
static void event_news(struct worker *w, const struct node_event *e)
{
    if (rte_ring_free_count(w->node->events) < EVENTS_LENT)
        counter_inc(&w->counters.worker_events_lost_total);
    else
        event_post(w, e);
}

void event_heard(void *ctx, const struct dht_sender *from, const struct dht_tidings *t)
{
    struct worker *w = ctx;
    if (t->relay) { /* ours: the answer comes back to this worker */
        dht_relay(w->asker, t->relay, w->now);
        return;
    }
    event_news(ctx, &(struct node_event){.type = NODE_HEARD, .heard = {*from, *t}});
}

void event_answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                    struct now now)
{
    (void)now;
    event_news(ctx, &(struct node_event){.type = NODE_ANSWERED, .heard = {*who, *t}});
}

void event_damaged(void *ctx, const char *url, size_t len)
{
    struct node_event e = {.type = NODE_DAMAGED};

    static_assert(sizeof(e.damaged) <= sizeof(e.heard), "makes no event larger");
    e.damaged.len = (uint16_t)(len < sizeof(e.damaged.url) ? len : sizeof(e.damaged.url));
    memcpy(e.damaged.url, url, e.damaged.len);
    event_post(ctx, &e);
}

void event_origin(void *ctx, const char *site, const char *host, uint16_t port, unsigned why,
                  const struct proxy_found *found)
{
    struct node_event e = {.type = NODE_ORIGIN, .origin = {.why = (uint8_t)why, .port = port}};

    static_assert(sizeof(e.origin) <= sizeof(e.heard), "makes no event larger");
    if (found)
        e.origin.found = *found;
    snprintf(e.origin.site, sizeof(e.origin.site), "%s", site);
    snprintf(e.origin.host, sizeof(e.origin.host), "%s", host);
    event_post(ctx, &e);
}

void event_usage(void *ctx, const struct proxy_usage *u)
{
    static_assert(sizeof(*u) <= sizeof(struct node_heard), "makes no event larger");
    event_news(ctx, &(struct node_event){.type = NODE_USAGE, .usage = *u});
}

void event_timed_out(void *ctx, const struct dht_id *who, struct now now)
{
    (void)now;
    event_news(ctx, &(struct node_event){.type = NODE_TIMED_OUT, .id = *who});
}

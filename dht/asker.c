/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/asker.h"

#include <stdlib.h>

#include "dht/closer.h"
#include "dht/direct.h"
#include "dht/mac.h"
#include "dht/serve.h"

#define UNREACHABLE_US      60000000ull /* of a contact known by hearsay */
#define UNREACHABLE_OURS_US 2000000ull  /* of one in our table: its pings know better soon */
/* In a row. Two would do on clean links; with one packet in a hundred lost they hide live roots for
 * the whole minute: about 1 get in 5000 missed in the network test, with three 1 in 15000. */
#define UNREACHABLE_FAILURES 3
#define REPORT_US            50000ull

struct dht_asker *dht_asker_create(struct dht_arena *arena, struct dht_mac *mac,
                                   const struct dht_asker_host *host)
{
    struct dht_asker *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->arena = arena;
    a->mac = mac;
    a->host = *host;
    if (!peers_init(&a->peers, arena->config.peers, &arena->secret)) {
        dht_asker_destroy(a);
        return NULL;
    }
    return a;
}

void dht_asker_routes(struct dht_asker *a, const struct dht_routes *routes)
{
    a->routes = routes;
}

static bool is_self(const struct dht_asker *a, const struct dht_id *id)
{
    return id_eq(id, &a->routes->self.id);
}

/* --- slots ------------------------------------------------------------------------------------ */

static struct slot *slot_take(struct dht_arena *n, struct dht_asker *a)
{
    struct slot *s = n->free_first;
    if (!s)
        return NULL;
    n->free_first = s->next;
    if (!n->free_first)
        n->free_last = NULL;
    n->free_slots--;
    s->next = NULL;
    s->asker = a;
    a->waiting++;
    return s;
}

/* At the end: the longer the free ones rest, the later an answer may be. */
static void slot_give(struct dht_arena *n, struct slot *s)
{
    wheel_stop(&n->rpc_wheel, &s->timer);
    if (s->relay.is)
        relay_unlink(s);
    s->asker->waiting--;
    s->waiting = false;
    s->lookup = LOOKUP_NONE;
    s->next = NULL;
    if (n->free_last)
        n->free_last->next = s;
    else
        n->free_first = s;
    n->free_last = s;
    n->free_slots++;
}

/* Takes the slot out of its lookup, which is returned (NULL: none). */
static struct lookup *slot_detach(struct dht_arena *n, struct slot *s)
{
    if (s->lookup == LOOKUP_NONE)
        return NULL;
    struct lookup *l = &n->lookup[s->lookup];
    for (unsigned i = 0; i < LOOKUP_INFLIGHT; i++) {
        if (l->slot[i] == s) {
            l->slot[i] = NULL;
            l->inflight--;
            n->lookup_slots--;
        }
    }
    s->lookup = LOOKUP_NONE;
    return l;
}

bool asker_is_bound(struct dht_asker *a, const struct dht_id *id, const struct endpoint *rpc)
{
    const struct peer *p = peers_find(&a->peers, id);
    if ((p && p->verified && endpoint_eq(&p->rpc, rpc)) || !a->arena->config.mitigate.bound)
        return true;
    struct dht_id of = dht_node_id(rpc);
    if (id_eq(&of, id))
        return true;
    counter_inc(&a->arena->counters.dht_contacts_false_total);
    return false;
}

void asker_detach(struct dht_asker *a, struct lookup *l)
{
    for (unsigned i = 0; i < LOOKUP_INFLIGHT; i++)
        if (l->slot[i])
            slot_detach(a->arena, l->slot[i]);
}

void asker_detach_relay(struct dht_asker *a, struct lookup *l, unsigned hop)
{
    for (unsigned i = 0; i < LOOKUP_INFLIGHT; i++)
        if (l->slot[i] && l->slot[i]->type == RPC_RELAY && l->slot[i]->target == hop)
            slot_detach(a->arena, l->slot[i]);
}

void dht_asker_destroy(struct dht_asker *a)
{
    if (!a)
        return;
    for (uint32_t i = 0; a->lookups > 0 && i < a->arena->lookups; i++) {
        struct lookup *l = &a->arena->lookup[i];
        if (l->used && l->asker == a)
            lookup_drop(l);
    }
    for (uint32_t i = 0; a->waiting > 0 && i < a->arena->slots; i++) {
        struct slot *s = &a->arena->slot[i];
        if (s->asker == a && s->waiting)
            slot_give(a->arena, s);
    }
    peers_free(&a->peers);
    free(a);
}

/* Our proxy's address, as others name it: they take it only if it is where our packets come from.
 */
static struct endpoint own_http(const struct dht_contact *self)
{
    return (struct endpoint){self->rpc.ip, self->http_port};
}

/* Our coordinate rides on answers alone: who asks measures. */
static void fill_ping(const struct dht_ping *ping, struct rpc *ask)
{
    ask->via = (struct rpc_contact){ping->via, ping->via_rpc};
    ask->news = (uint8_t)(ping->n_news < DHT_NEWS ? ping->n_news : DHT_NEWS);
    memcpy(ask->news_item, ping->news, ask->news * sizeof(ping->news[0]));
    ask->has_usage = ping->has_usage;
    ask->usages = (uint8_t)(ping->n_usage < DHT_USAGE ? ping->n_usage : DHT_USAGE);
    memcpy(ask->usage, ping->usage, ask->usages * sizeof(ping->usage[0]));
}

static void fill_lookup(const struct dht_asker *a, const struct slot *s, struct rpc *ask)
{
    const struct lookup *l = &a->arena->lookup[s->lookup];
    unsigned down_to = l->kind == LOOKUP_GET ? l->lo : l->level;
    ask->wanted = (uint8_t)(l->levels & ((2u << l->level) - (1u << down_to)));
    ask->flags = l->guest ? RPC_GUEST : 0;
    ask->key = l->key;
    ask->ttl_ms = l->ttl_ms;
    ask->dead = l->dead;
    ask->http = own_http(&a->routes->self);
    if (l->hop[s->hop].cookie)
        ask->cookie = l->hop[s->hop].cookie;
    if (s->type == RPC_RELAY) {
        ask->target = l->hop[s->target].id;
        ask->relayed = l->kind == LOOKUP_GET ? RPC_GET : RPC_WALK;
    }
}

/* At the levels that the three share, and no more bytes than came. */
static void fill_relay(const struct dht_asker *a, const struct rpc *theirs, struct rpc *ask)
{
    ask->flags = RPC_GUEST;
    ask->wanted = (uint8_t)(theirs->wanted & serve_shared_levels(a->routes, theirs));
    ask->key = theirs->key;
    ask->ttl_ms = theirs->ttl_ms;
    if (ask->cookie == 0)
        ask->padded = theirs->padded < RPC_PADDED ? theirs->padded : RPC_PADDED;
}

bool asker_emit(struct dht_asker *a, const struct endpoint *to, const struct rpc *rpc)
{
    const struct dht_asker_host *h = &a->host;
    if (h->send_rpc)
        return h->send_rpc(h->ctx, to, rpc);
    uint8_t packet[RPC_MAX];
    size_t len = rpc_write(rpc, packet, sizeof(packet));
    assert(len > 0);
    dht_mac_sign(a->mac, packet, len - RPC_TAG, packet + len - RPC_TAG);
    return h->udp.send(h->udp.ctx, a->routes->self.rpc.port, to, packet, len);
}

/* A relay waits for another, too. */
static uint64_t timeout_us(const struct dht_asker *a, const struct slot *s, const struct peer *p)
{
    uint64_t without = 1000ull * a->arena->config.rpc_timeout_ms;
    uint64_t its =
        a->arena->config.mitigate.measured_timeouts ? peer_timeout_us(p, without) : without;
    return s->type == RPC_RELAY ? its + without : its;
}

/* Sends what the slot stands for, under a new tid: a lookup's question, a ping or another's
 * question. What the host does not take is lost as on the way. */
static void slot_send(struct dht_asker *a, struct slot *s, const struct dht_ping *ping,
                      const struct rpc *theirs, struct now now)
{
    struct dht_arena *n = a->arena;
    struct peer *p = peers_get(&a->peers, &s->id, &s->rpc, now);
    uint64_t number = (uint64_t)(s - n->slot);
    p->verified |= s->proven;
    s->tid = (uint64_t)n->worker << RPC_TID_WORKER | number << RPC_TID_SLOT |
             (rng_u64(&n->rng) & ((1ull << RPC_TID_SLOT) - 1));
    s->sent_us = now.mono_us;
    s->waiting = true;
    wheel_arm(&n->rpc_wheel, &s->timer, now.mono_us + timeout_us(a, s, p));

    struct rpc ask;
    memset(&ask, 0, offsetof(struct rpc, value));
    ask.type = s->type;
    ask.key_id = a->mac ? dht_mac_key_id(a->mac) : 0;
    ask.tid = s->tid;
    ask.cookie = p->cookie;
    ask.from = dht_routes_sender(a->routes);
    if (s->lookup != LOOKUP_NONE)
        fill_lookup(a, s, &ask);
    else if (theirs)
        fill_relay(a, theirs, &ask);
    else
        fill_ping(ping, &ask);
    if (s->type == RPC_RELAY) /* whom it is put to may be a stranger to the relay */
        ask.padded = RPC_PADDED;
    if (ask.cookie == 0 && s->lookup != LOOKUP_NONE && s->type != RPC_STORE &&
        s->type != RPC_REMOVE)
        ask.padded = RPC_PADDED;
    counter_inc(&n->counters.dht_rpcs_total);
    if (!asker_emit(a, &s->rpc, &ask))
        counter_inc(&n->counters.dht_rpcs_refused_total);
}

void asker_send_for(struct dht_asker *a, struct slot *s, const struct rpc *ask, struct now now)
{
    slot_send(a, s, NULL, ask, now);
}

bool asker_send(struct dht_asker *a, uint8_t type, struct lookup *l, unsigned hop, unsigned target,
                struct now now)
{
    struct slot *s = slot_take(a->arena, a);
    if (!s) {
        counter_inc(&a->arena->counters.dht_rpcs_refused_total);
        return false;
    }
    s->type = type;
    s->id = l->hop[hop].id;
    s->rpc = l->hop[hop].rpc;
    s->has_cookied = false;
    s->lookup = (uint32_t)(l - a->arena->lookup);
    s->hop = (uint8_t)hop;
    s->target = (uint8_t)target;
    s->proven = l->hop[hop].proven && a->arena->config.mitigate.bound;
    for (unsigned i = 0; i < LOOKUP_INFLIGHT; i++) {
        if (!l->slot[i]) {
            l->slot[i] = s;
            l->inflight++;
            a->arena->lookup_slots++;
            break;
        }
    }
    slot_send(a, s, NULL, NULL, now);
    return true;
}

/* Lookups always find the slots that their bound promises. */
struct slot *asker_spare_slot(struct dht_asker *a)
{
    struct dht_arena *n = a->arena;
    struct slot *s = NULL;
    if (a->routes && n->free_slots > (uint64_t)n->lookups * LOOKUP_INFLIGHT - n->lookup_slots)
        s = slot_take(n, a);
    if (!s)
        counter_inc(&n->counters.dht_rpcs_refused_total);
    return s;
}

void dht_ping(struct dht_asker *a, const struct dht_ping *ping, struct now now)
{
    /* others may have named it: "ping it for me" */
    if (ping->has_who && !asker_is_bound(a, &ping->who, &ping->to))
        return;
    struct slot *s = asker_spare_slot(a);
    if (!s)
        return;
    s->type = ping->is_via ? RPC_VIA : RPC_PING;
    s->id = ping->has_who ? ping->who : dht_node_id(&ping->to);
    s->rpc = ping->to;
    s->has_cookied = false;
    s->lookup = LOOKUP_NONE;
    s->proven = false;
    slot_send(a, s, ping, NULL, now);
}

/* --- replies ---------------------------------------------------------------------------------- */

/* The slot that a reply belongs to: by its tid, from the address asked, by the ID asked. */
static struct slot *reply_slot(struct dht_asker *a, const struct rpc *r)
{
    uint64_t number = r->tid >> RPC_TID_SLOT & ((1u << RPC_TID_SLOT_BITS) - 1);
    if (r->tid >> RPC_TID_WORKER != a->arena->worker || number >= a->arena->slots)
        return NULL;
    struct slot *s = &a->arena->slot[number];
    if (s->asker != a || s->tid != r->tid || s->tid == 0 ||
        !endpoint_eq(&s->rpc, &r->from.contact.rpc) || !id_eq(&s->id, &r->from.contact.id))
        return NULL;
    bool refusal = r->type == RPC_COOKIE || (r->type == RPC_NOT_MEMBER && s->type != RPC_RELAY);
    bool refusable = rpc_is_keyed(s->type) || s->type == RPC_RELAY;
    return r->type == s->type || (refusal && refusable) ? s : NULL;
}

/* Parsed, expected, authentic, and by whom it says? Else counted by its reason. */
static struct slot *reply_admit(struct dht_asker *a, const struct datagram *d, struct rpc *r,
                                struct now now)
{
    struct dht_counters *c = &a->arena->counters;
    enum rpc_error error = rpc_read(d->data, d->len, &d->from, r);
    if (error != RPC_OK) {
        rpc_count_error(c, error);
        return NULL;
    }
    if (!(r->flags & RPC_REPLY)) {
        counter_inc(&c->dht_drop_type_total);
        return NULL;
    }
    struct slot *s = reply_slot(a, r);
    if (!s) {
        counter_inc(&c->dht_drop_unexpected_total);
        return NULL;
    }
    size_t len = d->len - RPC_TAG;
    if (!dht_mac_verify(a->mac, r->key_id, d->data, len, d->data + len)) {
        counter_inc(&c->dht_drop_mac_total);
        return NULL;
    }
    struct peer *p = peers_get(&a->peers, &s->id, &s->rpc, now);
    struct dht_id id = p->verified ? s->id : dht_node_id(&d->from);
    if (!id_eq(&id, &r->from.contact.id)) {
        counter_inc(&c->dht_drop_id_total);
        return NULL;
    }
    p->verified = true;
    return s;
}

/* It lives, and it takes so long. */
static void reply_note(struct dht_asker *a, struct peer *p, const struct rpc *r, uint32_t rtt_us,
                       struct now now)
{
    bool news = p->failures > 0 || p->reported_us == 0 || r->news > 0 ||
                now.mono_us - p->reported_us >= REPORT_US || r->type == RPC_PING;
    peer_sample(p, rtt_us);
    p->cookie = r->cookie;
    p->failures = 0;
    p->unreachable_until_us = 0;
    if (!news || is_self(a, &p->id) || !a->host.answered)
        return;
    p->reported_us = now.mono_us;
    struct dht_tidings t;
    rpc_tidings(r, rtt_us, &t);
    a->host.answered(a->host.ctx, &r->from, &t, now);
}

/* An admitted reply. */
static void reply_take(struct dht_asker *a, struct slot *s, const struct rpc *r, struct now now)
{
    struct dht_counters *c = &a->arena->counters;
    uint64_t took = now.mono_us - s->sent_us;
    uint32_t rtt_us = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    bool waiting = s->waiting;
    struct peer *p = peers_get(&a->peers, &s->id, &s->rpc, now);
    s->tid = 0; /* before others hear of it: what they send may take the slot, if it is free */
    if (r->type == RPC_RELAY) /* it took another's time, too: that tells nothing of this one */
        p->cookie = r->cookie;
    else
        reply_note(a, p, r, rtt_us ? rtt_us : 1, now);
    if (!waiting) {
        counter_inc(&c->dht_answers_late_total);
        return;
    }
    if (r->type == RPC_COOKIE && !s->has_cookied && s->lookup != LOOKUP_NONE) {
        s->has_cookied = true;
        a->arena->lookup[s->lookup].hop[s->hop].cookie = r->cookie;
        slot_send(a, s, NULL, NULL, now); /* the same question, with the cookie that we have now */
        return;
    }
    counter_inc(&c->dht_answers_total);
    unsigned hop = s->hop, target = s->target;
    uint8_t type = s->type;
    struct slot_relay relay = s->relay;
    struct lookup *l = slot_detach(a->arena, s);
    slot_give(a->arena, s);
    if (relay.is)
        relay_answered(a, &relay, r, now);
    if (!l)
        return;
    l->hop[hop].cookie = r->cookie;
    if (r->type == RPC_RELAY)
        lookup_relayed(a, l, target, r, now);
    else if (r->type == RPC_COOKIE) /* takes no cookie, not even its own: no use */
        lookup_timed_out(a, l, hop, type, now);
    else
        lookup_answered(a, l, hop, r, rtt_us, now);
}

void dht_asker_input(struct dht_asker *a, const struct datagram *reply, struct now now)
{
    struct rpc r;
    if (!a->routes)
        return;
    struct slot *s = reply_admit(a, reply, &r, now);
    if (s)
        reply_take(a, s, &r, now);
}

void dht_asker_rpc(struct dht_asker *a, const struct rpc *answer, struct now now)
{
    struct slot *s = reply_slot(a, answer);
    if (s)
        reply_take(a, s, answer, now);
}

/* --- time ------------------------------------------------------------------------------------- */

static void note_silence(struct dht_asker *a, const struct slot *s, struct now now)
{
    struct peer *p = peers_get(&a->peers, &s->id, &s->rpc, now);
    if (p->failures < UINT8_MAX)
        p->failures++;
    if (p->failures >= UNREACHABLE_FAILURES && a->arena->config.mitigate.unreachable) {
        bool ours = routes_find(a->routes, &s->id) < a->routes->n;
        p->unreachable_until_us = now.mono_us + (ours ? UNREACHABLE_OURS_US : UNREACHABLE_US);
    }
}

/* That a relay is silent may be another's fault, and counts against nobody. */
void slot_fire(void *at, struct timer *t)
{
    struct now now = *(struct now *)at;
    struct slot *s = (struct slot *)((char *)t - offsetof(struct slot, timer));
    struct dht_asker *a = s->asker;
    unsigned hop = s->hop;
    uint8_t type = s->type;
    struct dht_id id = s->id;
    struct slot_relay relay = s->relay;
    counter_inc(&a->arena->counters.dht_timeouts_total);
    if (type != RPC_RELAY)
        note_silence(a, s, now);
    struct lookup *l = slot_detach(a->arena, s);
    slot_give(a->arena, s);
    if (l)
        lookup_timed_out(a, l, hop, type, now);
    if (relay.is)
        relay_answered(a, &relay, NULL, now);
    if (a->host.timed_out && type != RPC_RELAY && !is_self(a, &id))
        a->host.timed_out(a->host.ctx, &id, now);
}

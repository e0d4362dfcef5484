/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving a burst: parse all, check the tags together, touch the store, act, sign together. Each
 * stage goes through the whole burst before the next one begins, so that requests wait for memory
 * side by side; what a stage lets through it puts first.
 */
#include "dht/closer.h"
#include "dht/direct.h"
#include "dht/mac.h"
#include "dht/store.h"

/* As many as tags are computed side by side; twice as many would not stay in the first-level cache
 * from stage to stage. */
#define SERVE_BURST 16

struct job {
    struct datagram *packet;
    struct rpc ask;
    bool keyed;
    uint64_t hash;   /* keyed: of the key in the store */
    bool seen;       /* it showed a cookie of ours */
    uint64_t cookie; /* to give it */
};

struct serving {
    struct dht_store *store;
    const struct dht_routes *routes;
    struct dht_counters *counters;
    struct now now;
    dht_heard *heard;
    void *ctx;
    uint8_t key_id;         /* that signs */
    uint8_t head[RPC_HEAD]; /* of all answers */
};

/* --- may it be served, at which level? ---------------------------------------------------------
 */

/* What can be told without the tag. */
static bool request_parse(const struct serving *s, struct job *j)
{
    enum rpc_error error = rpc_read(j->packet->data, j->packet->len, &j->packet->from, &j->ask);
    if (error != RPC_OK) {
        rpc_count_error(s->counters, error);
        return false;
    }
    if (j->ask.flags & RPC_REPLY) {
        counter_inc(&s->counters->dht_drop_type_total);
        return false;
    }
    j->keyed = rpc_is_keyed(j->ask.type);
    return true;
}

static bool request_rate(const struct serving *s, const struct job *j)
{
    if (endpoint_eq(&j->packet->from, &s->routes->self.rpc) || /* our own lookups' first step */
        arena_rate(s->store->arena, &j->packet->from.ip, s->now))
        return true;
    counter_inc(&s->counters->dht_drop_rate_total);
    return false;
}

/* Do they receive where they say? Needs checked tags. */
static void check_cookies(const struct serving *s, struct job **job, unsigned n)
{
    struct cookie_claim claim[SERVE_BURST];
    for (unsigned i = 0; i < n; i++) {
        const struct rpc *ask = &job[i]->ask;
        claim[i].from = &ask->from.contact.rpc;
        claim[i].id = &ask->from.contact.id;
        claim[i].shown = ask->cookie;
    }
    cookie_check_many(&s->store->arena->cookies, claim, n, s->now);
    for (unsigned i = 0; i < n; i++) {
        job[i]->seen = claim[i].valid;
        job[i]->cookie = claim[i].fresh;
    }
}

/* Is it who it says? The hash that makes an ID of an address is spared where a cookie of ours says
 * that it was seen before. */
static bool request_admit(const struct serving *s, const struct job *j)
{
    const struct dht_contact *from = &j->ask.from.contact;
    if (j->seen)
        return true;
    struct dht_id id = dht_node_id(&from->rpc);
    if (id_eq(&id, &from->id))
        return true;
    counter_inc(&s->counters->dht_drop_id_total);
    return false;
}

static unsigned highest(unsigned levels)
{
    return 31 - (unsigned)__builtin_clz(levels);
}

/* The levels at which this node and the asker are of one cluster; level 0's is the planet. */
static unsigned shared_levels(const struct dht_routes *r, const struct rpc *ask)
{
    unsigned shared = 1;
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        if (r->level[l].is.cid != 0 && r->level[l].is.cid == ask->from.level[l].cid)
            shared |= 1u << l;
    return shared;
}

/* Where an asker of a cluster that we left a moment ago still gets answers. */
static unsigned moved_levels(const struct dht_routes *r, const struct rpc *ask)
{
    unsigned moved = 0;
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        if (r->level[l].previous != 0 && r->level[l].previous == ask->from.level[l].cid)
            moved |= 1u << l;
    return moved;
}

struct where {
    bool any, moved;
    unsigned level, shared;
};

static struct where where_of(const struct serving *s, const struct rpc *ask)
{
    struct where w = {.shared = shared_levels(s->routes, ask)};
    unsigned at = ask->wanted & w.shared;
    if (ask->type == RPC_FIND && ask->flags & RPC_GUEST)
        at = ask->wanted;
    if (!at && ask->type == RPC_GET) {
        at = ask->wanted & moved_levels(s->routes, ask);
        w.moved = at != 0;
    }
    w.any = at != 0;
    w.level = at ? highest(at) : 0;
    return w;
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* Room that is left goes to the closest of all, be they farther than we are: they have copies, or
 * may take one, and are asked where those before them are out of the asker's reach. */
static void add_closest(const struct serving *s, const struct rpc *ask, struct rpc *answer)
{
    struct rpc_contact more[RPC_CONTACTS];
    unsigned n =
        closest_contacts(s->routes, answer->contacts_level, &ask->key, &ask->from.contact.id, more);
    for (unsigned i = 0; i < n && answer->contacts < RPC_CONTACTS; i++) {
        bool again = false;
        for (unsigned j = 0; j < answer->contacts; j++)
            again |= id_eq(&answer->contact[j].id, &more[i].id);
        if (!again)
            answer->contact[answer->contacts++] = more[i];
    }
}

/* Contacts closer to the key, of the level served; where nobody there is closer, of the next lower
 * one that we share: the asker goes on with that one, and this saves a question. */
static void add_closer(const struct serving *s, const struct where *w, const struct rpc *ask,
                       struct rpc *answer)
{
    const struct dht_config *config = &s->store->arena->config;
    for (unsigned l = w->level + 1; l-- > 0 && answer->contacts == 0;) {
        if (!(w->shared >> l & 1))
            continue;
        answer->contacts = (uint8_t)closer_contacts(s->routes, l, &ask->key, &ask->from.contact.id,
                                                    config->prefix_bits[l], answer->contact);
        answer->contacts_level = (uint8_t)l;
    }
    if (answer->contacts < RPC_CONTACTS)
        add_closest(s, ask, answer);
}

/* The values seen at the level served end the walk. Those of a lower one that we share go with the
 * contacts: the asker falls back on them when it comes down there and has found no nearer ones, and
 * need not ask here twice. The asker's own value is no answer to it. */
static void serve_get(const struct serving *s, const struct where *w, const struct rpc *ask,
                      uint64_t hash, struct rpc *answer)
{
    const struct store_entry *e = store_find(s->store, &ask->key, hash);
    unsigned levels = (w->shared & ask->wanted) | 1u << w->level;
    counter_inc(&s->counters->dht_gets_total);
    for (unsigned l = w->level + 1; e && l-- > 0 && answer->values == 0;) {
        if (!(levels >> l & 1))
            continue;
        struct store_scope scope = store_scope(s->routes, l, w->moved && l == w->level, s->now);
        answer->values = answer->held =
            (uint8_t)store_values(s->store, e, &scope, &ask->from.contact.id, answer->value);
        answer->values_level = (uint8_t)l;
    }
    if (answer->values)
        counter_inc(&s->counters->dht_gets_found_total);
    if (answer->values == 0 || answer->values_level < w->level)
        add_closer(s, w, ask, answer);
}

/* Who else has it, whatever their levels. */
static void add_others(const struct serving *s, const struct rpc *ask, const struct store_entry *e,
                       struct rpc *answer)
{
    struct store_scope planet = store_scope(s->routes, 0, false, s->now);
    answer->values =
        (uint8_t)store_values(s->store, e, &planet, &ask->from.contact.id, answer->value);
}

/* A put's step forward; full and loaded ends it. Where nothing can be stored the asker learns at
 * least who holds the object. */
static void serve_walk(const struct serving *s, const struct where *w, const struct rpc *ask,
                       uint64_t hash, struct rpc *answer)
{
    struct store_entry *e = store_find(s->store, &ask->key, hash);
    struct store_scope scope = store_scope(s->routes, w->level, false, s->now);
    const struct dht_id *from = &ask->from.contact.id;
    struct store_state st = store_state(s->store, e, &scope, from, ask->ttl_ms);
    counter_inc(&s->counters->dht_walks_total);
    answer->held = st.held;
    answer->least_ms = st.least_ms;
    if (st.full || s->routes->leaving)
        answer->flags |= RPC_FULL;
    if (e && !s->routes->leaving && store_walk(s->store, e, &scope))
        answer->flags |= RPC_LOADED;
    if (st.full) /* no STORE will ask for them */
        add_others(s, ask, e, answer);
    if (st.full && (answer->flags & RPC_LOADED))
        counter_inc(&s->counters->dht_walks_ended_total);
    else
        add_closer(s, w, ask, answer);
}

/* A node may name itself only: its proxy is at the address that the datagram came from. */
static bool store_own(const struct rpc *ask)
{
    const struct dht_contact *c = &ask->from.contact;
    return ask->ttl_ms != 0 && ask->http.port != 0 && ask->http.port == c->http_port &&
           addr_eq(&ask->http.ip, &c->rpc.ip);
}

static void serve_store(const struct serving *s, const struct where *w, const struct rpc *ask,
                        uint64_t hash, struct rpc *answer)
{
    const struct dht_id *from = &ask->from.contact.id;
    answer->contacts_level = (uint8_t)w->level;
    counter_inc(&s->counters->dht_stores_total);
    if (!store_own(ask)) {
        counter_inc(&s->counters->dht_stores_foreign_total);
        answer->flags |= RPC_REFUSED;
        return;
    }
    if (s->routes->leaving) {
        answer->flags |= RPC_FULL;
        return;
    }
    const struct store_entry *e = store_find(s->store, &ask->key, hash);
    struct store_scope scope = store_scope(s->routes, w->level, false, s->now);
    add_others(s, ask, e, answer);
    uint32_t ttl = ask->ttl_ms < RPC_TTL_MAX_MS ? ask->ttl_ms : RPC_TTL_MAX_MS;
    switch (store_put(s->store, &ask->key, hash, &scope, from, &ask->http, ttl)) {
    case STORE_DONE:
        answer->flags |= RPC_STORED;
        add_closest(s, ask, answer); /* where copies belong, should the walk have ended too early */
        break;
    case STORE_FULL:
        answer->flags |= RPC_FULL;
        counter_inc(&s->counters->dht_stores_full_total);
        break;
    case STORE_TOO_MANY:
        answer->flags |= RPC_REFUSED;
        counter_inc(&s->counters->dht_stores_many_total);
        break;
    }
}

/* It may be a lie, or a broken path: our control thread asks the node itself. A report of our own
 * comes here too, as the first step of its walk. */
static void serve_report(const struct serving *s, const struct where *w, const struct rpc *ask,
                         uint64_t hash, struct rpc *answer)
{
    struct dht_tidings t;
    counter_inc(&s->counters->dht_reports_total);
    rpc_tidings(ask, 0, &t);
    t.asks_check = store_suspect(s->store, store_find(s->store, &ask->key, hash), &ask->dead,
                                 (uint32_t)(s->now.mono_us / 1000), &t.suspect_http);
    t.suspect = ask->dead;
    if (t.asks_check && s->heard)
        s->heard(s->ctx, &ask->from, &t);
    add_closer(s, w, ask, answer);
}

static void serve_keyed(const struct serving *s, const struct rpc *ask, uint64_t hash,
                        struct rpc *answer)
{
    struct where w = where_of(s, ask);
    if (!w.any) {
        answer->type = RPC_NOT_MEMBER;
        counter_inc(&s->counters->dht_not_member_total);
        return;
    }
    answer->served = (uint8_t)w.level;
    if (w.moved)
        answer->flags |= RPC_MOVED;
    switch (ask->type) {
    case RPC_GET:
        serve_get(s, &w, ask, hash, answer);
        break;
    case RPC_WALK:
        serve_walk(s, &w, ask, hash, answer);
        break;
    case RPC_STORE:
        serve_store(s, &w, ask, hash, answer);
        break;
    case RPC_REMOVE:
        counter_inc(&s->counters->dht_removes_total);
        store_remove(s->store, store_find(s->store, &ask->key, hash), &ask->from.contact.id);
        add_closer(s, &w, ask, answer);
        break;
    case RPC_REPORT:
        serve_report(s, &w, ask, hash, answer);
        break;
    case RPC_FIND:
        counter_inc(&s->counters->dht_finds_total);
        answer->contacts = (uint8_t)closest_contacts(s->routes, w.level, &ask->key,
                                                     &ask->from.contact.id, answer->contact);
        answer->contacts_level = (uint8_t)w.level;
        break;
    }
}

struct dht_sender dht_routes_sender(const struct dht_routes *r)
{
    struct dht_sender s = {.contact = r->self,
                           .incarnation = r->incarnation,
                           .sequence = r->sequence,
                           .leaving = r->leaving};
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        s.level[l] = r->level[l].is;
    return s;
}

/* What has an effect is done only for those who receive where they say that they are. */
static bool needs_cookie(uint8_t type)
{
    return type == RPC_STORE || type == RPC_REMOVE || type == RPC_REPORT;
}

/* The answer to an admitted request, but its sender. */
static void request_answer(const struct serving *s, const struct rpc *ask, uint64_t hash,
                           bool cookie, struct rpc *answer)
{
    answer->type = ask->type;
    answer->flags = RPC_REPLY;
    answer->served = answer->wanted = 0;
    answer->tid = ask->tid;
    answer->padded = 0;
    answer->values = answer->contacts = answer->held = answer->news = 0;
    answer->values_level = answer->contacts_level = 0;
    answer->least_ms = 0;
    answer->has_coordinate = false;
    if (!cookie && needs_cookie(ask->type)) {
        answer->type = RPC_COOKIE;
        counter_inc(&s->counters->dht_cookies_total);
    } else if (rpc_is_keyed(ask->type)) {
        serve_keyed(s, ask, hash, answer);
    } else {
        counter_inc(&s->counters->dht_pings_total);
        answer->has_coordinate = s->routes->has_coordinate && ask->type == RPC_PING;
        memcpy(answer->coordinate, s->routes->coordinate, sizeof(answer->coordinate));
    }
}

/* No more to one who has not shown that it receives than it sent. */
static void fit(struct rpc *answer, size_t room)
{
    while (rpc_length(answer) > room && answer->contacts > 0)
        answer->contacts--;
    while (rpc_length(answer) > room && answer->values > 0)
        answer->values--;
    if (rpc_length(answer) > room)
        answer->has_coordinate = false;
}

static void tell(const struct serving *s, const struct rpc *ask, bool cookie)
{
    const struct dht_id *self = &s->routes->self.id, *from = &ask->from.contact.id;
    if (!s->heard || id_eq(from, self))
        return;
    bool more = ask->news > 0 || ask->type == RPC_VIA || ask->from.leaving;
    if (!arena_heard_once(s->store->arena, self, from, s->now) && !more)
        return;
    struct dht_tidings t;
    rpc_tidings(ask, 0, &t);
    t.asks_via = t.asks_via && cookie;
    s->heard(s->ctx, &ask->from, &t);
}

/* Writes the reply, all but its tag. */
static bool request_act(const struct serving *s, struct job *j)
{
    struct rpc answer;
    request_answer(s, &j->ask, j->hash, j->seen, &answer);
    answer.key_id = s->key_id;
    answer.cookie = j->cookie;
    if (!j->seen)
        fit(&answer, j->packet->len);
    j->packet->reply_len =
        (uint16_t)rpc_write_as(s->head, &answer, j->packet->reply, j->packet->room);
    if (j->packet->reply_len == 0)
        counter_inc(&s->counters->dht_drop_room_total);
    return j->packet->reply_len > 0;
}

/* --- a burst -----------------------------------------------------------------------------------
 */

/* Puts what has a good tag first; returns how many have. */
static unsigned verify(const struct serving *s, struct dht_mac *mac, struct job **job, unsigned n)
{
    struct mac_job tag[SERVE_BURST];
    for (unsigned i = 0; i < n; i++) {
        tag[i].data = job[i]->packet->data;
        tag[i].len = job[i]->packet->len - RPC_TAG;
        tag[i].key_id = job[i]->ask.key_id;
    }
    mac_tag_many(mac, tag, n);
    unsigned good = 0;
    for (unsigned i = 0; i < n; i++) {
        if (tag[i].known && mac_tag_eq(tag[i].tag, tag[i].data + tag[i].len))
            job[good++] = job[i];
        else
            counter_inc(&s->counters->dht_drop_mac_total);
    }
    return good;
}

static void sign(struct dht_mac *mac, struct job **job, unsigned n)
{
    struct mac_job tag[SERVE_BURST];
    for (unsigned i = 0; i < n; i++) {
        tag[i].data = job[i]->packet->reply;
        tag[i].len = job[i]->packet->reply_len - RPC_TAG;
        tag[i].key_id = dht_mac_key_id(mac);
    }
    mac_tag_many(mac, tag, n);
    for (unsigned i = 0; i < n; i++)
        memcpy(job[i]->packet->reply + tag[i].len, tag[i].tag, RPC_TAG);
}

/* Is it to be carried out? What changes something and was here before is not, and gets no answer.
 */
static bool request_fresh(const struct serving *s, const struct job *j)
{
    const struct rpc *ask = &j->ask;
    if (!j->seen || (ask->type != RPC_STORE && ask->type != RPC_REMOVE && ask->type != RPC_VIA))
        return true;
    if (!arena_repeated(s->store->arena, ask->tid, &ask->from.contact.id, s->now))
        return true;
    counter_inc(&s->counters->dht_drop_repeat_total);
    return false;
}

/* Those that are to be looked at, into `job`. */
static unsigned parse(const struct serving *s, struct datagram *requests, unsigned n,
                      struct job *all, struct job **job)
{
    unsigned parsed = 0;
    for (unsigned i = 0; i < n; i++) {
        all[parsed].packet = &requests[i];
        requests[i].reply_len = 0;
        parsed += request_parse(s, &all[parsed]);
    }
    for (unsigned i = 0; i < parsed; i++) {
        if (all[i].keyed)
            all[i].hash = store_prepare(s->store, &all[i].ask.key);
        job[i] = &all[i];
    }
    return parsed;
}

/* Those by whom they say, at the address that they say; who sent them is told. */
static unsigned admit(const struct serving *s, struct job **job, unsigned n)
{
    unsigned admitted = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!request_rate(s, job[i]) || !request_admit(s, job[i]) || !request_fresh(s, job[i]))
            continue;
        counter_inc(&s->counters->dht_requests_total);
        tell(s, &job[i]->ask, job[i]->seen);
        job[admitted++] = job[i];
    }
    return admitted;
}

static void serve_burst(const struct serving *s, struct dht_mac *mac, struct datagram *requests,
                        unsigned n)
{
    struct job all[SERVE_BURST], *job[SERVE_BURST];
    n = parse(s, requests, n, all, job);
    n = verify(s, mac, job, n);
    for (unsigned i = 0; i < n; i++)
        if (job[i]->keyed)
            store_touch(s->store, job[i]->hash);
    check_cookies(s, job, n); /* while the entries come */
    for (unsigned i = 0; i < n; i++)
        if (job[i]->keyed)
            store_reach(s->store, job[i]->hash);
    n = admit(s, job, n);
    unsigned replies = 0;
    for (unsigned i = 0; i < n; i++)
        if (request_act(s, job[i]))
            job[replies++] = job[i];
    sign(mac, job, replies);
    counter_add(&s->counters->dht_replies_total, replies);
}

void dht_serve(struct dht_store *store, struct dht_mac *mac, const struct dht_routes *routes,
               struct datagram *requests, unsigned n, dht_heard *heard, void *ctx, struct now now)
{
    struct serving s = {.store = store,
                        .routes = routes,
                        .counters = &store->arena->counters,
                        .now = now,
                        .heard = heard,
                        .ctx = ctx,
                        .key_id = dht_mac_key_id(mac)};
    struct dht_sender self = dht_routes_sender(routes);
    rpc_head(&self, s.head);
    dht_store_poll(store, now);
    for (unsigned i = 0; i < n; i += SERVE_BURST) {
        unsigned burst = n - i < SERVE_BURST ? n - i : SERVE_BURST;
        serve_burst(&s, mac, requests + i, burst);
    }
    counter_set(&s.counters->dht_keys, store->keys);
}

void dht_serve_rpc(struct dht_store *store, const struct dht_routes *routes, const struct rpc *ask,
                   struct rpc *answer, dht_heard *heard, void *ctx, struct now now)
{
    const struct serving s = {.store = store,
                              .routes = routes,
                              .counters = &store->arena->counters,
                              .now = now,
                              .heard = heard,
                              .ctx = ctx};
    dht_store_poll(store, now);
    counter_inc(&s.counters->dht_requests_total);
    tell(&s, ask, true);
    uint64_t hash = rpc_is_keyed(ask->type) ? store_prepare(store, &ask->key) : 0;
    request_answer(&s, ask, hash, true, answer);
    answer->from = dht_routes_sender(routes);
    answer->cookie = 1;
}

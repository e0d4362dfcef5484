/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/serve.h"

#include "dht/closer.h"

void serving_init(struct serving *s, struct dht_store *store, const struct dht_routes *routes,
                  dht_heard *heard, void *ctx, struct now now)
{
    s->store = store;
    s->routes = routes;
    s->counters = &store->arena->counters;
    s->now = now;
    s->heard = heard;
    s->ctx = ctx;
    for (unsigned l = 0; l < DHT_LEVELS; l++)
        for (unsigned moved = 0; moved < 2; moved++)
            s->scope[l][moved] = store_scope(routes, l, moved, now);
}

/* --- at which level? -------------------------------------------------------------------------- */

static unsigned highest(unsigned levels)
{
    return 31 - (unsigned)__builtin_clz(levels);
}

unsigned serve_shared_levels(const struct dht_routes *r, const struct rpc *ask)
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
    unsigned level, shared;
    bool moved;
};

/* False: nowhere. */
static inline bool where_find(const struct serving *s, const struct rpc *ask, struct where *w)
{
    unsigned shared = serve_shared_levels(s->routes, ask), at = ask->wanted & shared;
    if (ask->type == RPC_FIND && ask->flags & RPC_GUEST)
        at = ask->wanted;
    w->moved = false;
    if (!at && ask->type == RPC_GET) {
        at = ask->wanted & moved_levels(s->routes, ask);
        w->moved = at != 0;
    }
    w->shared = shared;
    w->level = at ? highest(at) : 0;
    return at != 0;
}

/* Of a level served or shared. */
static const struct store_scope *scope_of(const struct serving *s, const struct where *w,
                                          unsigned level)
{
    return &s->scope[level][w->moved && level == w->level];
}

/* --- answers ---------------------------------------------------------------------------------- */

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

/* Whose value is no answer: the asker's own, unless it asks for another. */
static const struct dht_id *left_out(const struct rpc *ask)
{
    static const struct dht_id nobody;
    return ask->flags & RPC_GUEST ? &nobody : &ask->from.contact.id;
}

/* The levels at which a GET's values may be: those served and shared. */
static unsigned get_levels(const struct where *w, const struct rpc *ask)
{
    return (w->shared & ask->wanted) | 1u << w->level;
}

/* The values seen at the highest of the levels that has some; the asker's own is no answer to it.
 */
static void get_values(const struct serving *s, const struct where *w, const struct rpc *ask,
                       const struct store_entry *e, struct rpc *answer)
{
    answer->values = 0;
    for (unsigned l = w->level + 1; e && l-- > 0 && answer->values == 0;) {
        if (!(get_levels(w, ask) >> l & 1))
            continue;
        answer->values = (uint8_t)store_values(store_of(s->store, &ask->key), e, scope_of(s, w, l),
                                               left_out(ask), answer->value);
        answer->values_level = (uint8_t)l;
    }
    answer->held = answer->values;
}

/* The values seen at the level served end the walk. Those of a lower one that we share go with the
 * contacts: the asker falls back on them when it comes down there and has found no nearer ones, and
 * need not ask here twice. False: the owner of the key writes it all the time. */
static bool serve_get(const struct serving *s, const struct where *w, const struct rpc *ask,
                      uint64_t hash, struct rpc *answer)
{
    struct store_look look;
    unsigned looks = 0;
    do {
        if (looks++ == STORE_LOOKS ||
            !store_look(store_of(s->store, &ask->key), &ask->key, hash, &look)) {
            counter_inc(&s->counters->dht_drop_busy_total);
            return false;
        }
        get_values(s, w, ask, look.at, answer);
    } while (!store_stands(&look));
    counter_inc(&s->counters->dht_gets_total);
    if (answer->values)
        counter_inc(&s->counters->dht_gets_found_total);
    if (answer->values == 0 || answer->values_level < w->level)
        add_closer(s, w, ask, answer);
    return true;
}

size_t serve_found(const struct serving *s, const struct rpc *ask, const struct store_entry *e,
                   uint64_t cookie, uint8_t *reply, size_t room)
{
    const struct dht_store *store = store_of(s->store, &ask->key);
    struct where w;
    struct store_look look;
    if (!where_find(s, ask, &w) || room < RPC_MAX || !store_look_at(e, &ask->key, &look))
        return 0;
    unsigned n = store_write(store, e, scope_of(s, &w, w.level), left_out(ask),
                             reply + RPC_HEAD + RPC_ANSWER);
    if (n == 0 || !store_stands(&look))
        return 0;
    struct rpc answer; /* of which only this is read */
    answer.type = RPC_GET;
    answer.wanted = 0;
    answer.values = answer.held = (uint8_t)n;
    answer.contacts = answer.contacts_level = 0;
    answer.least_ms = 0;
    answer.flags = (uint8_t)(RPC_REPLY | (w.moved ? RPC_MOVED : 0));
    answer.served = answer.values_level = (uint8_t)w.level;
    answer.key_id = s->key_id;
    answer.tid = ask->tid;
    answer.cookie = cookie;
    rpc_write_before_values(s->head, &answer, reply);
    counter_inc(&s->counters->dht_gets_total);
    counter_inc(&s->counters->dht_gets_found_total);
    return RPC_HEAD + RPC_ANSWER + n * RPC_VALUE + RPC_TAG;
}

/* Who else has it, whatever their levels. */
static void add_others(const struct serving *s, const struct rpc *ask, const struct store_entry *e,
                       struct rpc *answer)
{
    answer->values =
        (uint8_t)store_values(s->store, e, &s->scope[0][false], left_out(ask), answer->value);
}

/* A put's step forward; full and loaded ends it. Where nothing can be stored the asker learns at
 * least who holds the object. */
static void serve_walk(const struct serving *s, const struct where *w, const struct rpc *ask,
                       uint64_t hash, struct rpc *answer)
{
    struct store_entry *e = store_find(s->store, &ask->key, hash);
    const struct store_scope *scope = &s->scope[w->level][false];
    const struct dht_id *from = left_out(ask);
    struct store_state st = store_state(s->store, e, scope, from, ask->ttl_ms);
    counter_inc(&s->counters->dht_walks_total);
    answer->held = st.held;
    answer->least_ms = st.least_ms;
    if (st.full || s->routes->leaving)
        answer->flags |= RPC_FULL;
    if (e && !s->routes->leaving && store_walk(s->store, e, scope))
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
    const struct store_scope *scope = &s->scope[w->level][false];
    add_others(s, ask, e, answer);
    uint32_t ttl = ask->ttl_ms < RPC_TTL_MAX_MS ? ask->ttl_ms : RPC_TTL_MAX_MS;
    switch (store_put(s->store, &ask->key, hash, scope, from, &ask->http, ttl)) {
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

/* It is our asker's affair, of the same thread. */
static void serve_relay(const struct serving *s, const struct rpc *ask)
{
    struct dht_tidings t;
    rpc_tidings(ask, 0, &t);
    t.relay = ask;
    if (s->heard)
        s->heard(s->ctx, &ask->from, &t);
}

static bool serve_keyed(const struct serving *s, const struct rpc *ask, uint64_t hash,
                        struct rpc *answer)
{
    struct where w;
    if (!where_find(s, ask, &w)) {
        answer->type = RPC_NOT_MEMBER;
        counter_inc(&s->counters->dht_not_member_total);
        return true;
    }
    answer->served = (uint8_t)w.level;
    if (w.moved)
        answer->flags |= RPC_MOVED;
    switch (ask->type) {
    case RPC_GET:
        return serve_get(s, &w, ask, hash, answer);
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
    return true;
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
    return type == RPC_STORE || type == RPC_REMOVE || type == RPC_REPORT || type == RPC_RELAY;
}

bool serve_answer(const struct serving *s, const struct rpc *ask, uint64_t hash, bool cookie,
                  struct rpc *answer)
{
    answer->type = ask->type;
    answer->flags = RPC_REPLY;
    answer->served = answer->wanted = 0;
    answer->tid = ask->tid;
    answer->padded = 0;
    answer->values = answer->contacts = answer->held = answer->news = answer->usages = 0;
    answer->has_usage = false;
    answer->values_level = answer->contacts_level = 0;
    answer->least_ms = 0;
    answer->has_coordinate = false;
    if (!cookie && needs_cookie(ask->type)) {
        answer->type = RPC_COOKIE;
        counter_inc(&s->counters->dht_cookies_total);
    } else if (ask->type == RPC_RELAY) {
        serve_relay(s, ask);
        return false;
    } else if (rpc_is_keyed(ask->type)) {
        return serve_keyed(s, ask, hash, answer);
    } else {
        counter_inc(&s->counters->dht_pings_total);
        answer->has_coordinate = s->routes->has_coordinate && ask->type == RPC_PING;
        memcpy(answer->coordinate, s->routes->coordinate, sizeof(answer->coordinate));
    }
    return true;
}

bool serve_tells(const struct serving *s, const struct rpc *ask)
{
    const struct dht_id *self = &s->routes->self.id, *from = &ask->from.contact.id;
    if (!s->heard || id_eq(from, self))
        return false;
    bool more = ask->news > 0 || ask->has_usage || ask->type == RPC_VIA || ask->from.leaving;
    return arena_heard_once(s->store->arena, self, from, s->now) || more;
}

void serve_tell(const struct serving *s, const struct rpc *ask, bool cookie)
{
    struct dht_tidings t;
    rpc_tidings(ask, 0, &t);
    t.asks_via = t.asks_via && cookie;
    s->heard(s->ctx, &ask->from, &t);
}

bool dht_serve_rpc(struct dht_store *store, const struct dht_routes *routes, const struct rpc *ask,
                   struct rpc *answer, dht_heard *heard, void *ctx, struct now now)
{
    struct serving s;
    serving_init(&s, store, routes, heard, ctx, now);
    dht_store_poll(store, now);
    counter_inc(&s.counters->dht_requests_total);
    if (serve_tells(&s, ask))
        serve_tell(&s, ask, true);
    uint64_t hash = rpc_is_keyed(ask->type) ? store_prepare(store, &ask->key) : 0;
    if (!serve_answer(&s, ask, hash, true, answer))
        return false;
    answer->from = dht_routes_sender(routes);
    answer->cookie = 1;
    return true;
}

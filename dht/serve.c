/* SPDX-License-Identifier: BSD-3-Clause */
/* Serving a burst: parse all, check the tags together, touch the store, act, sign together. */
#include <assert.h>

#include "dht/closer.h"
#include "dht/id.h"
#include "dht/mac.h"
#include "dht/rpc.h"
#include "dht/store.h"

struct job {
    struct datagram *packet;
    struct rpc ask;
    uint64_t hash; /* of the key in the store */
};

struct serving {
    struct dht_store *store;
    const struct dht_routes *routes;
    struct dht_counters *counters;
    struct now now;
    uint8_t key_id;
};

static bool keyed(const struct rpc *r)
{
    return r->type != RPC_PING;
}

/* What can be told without the tag. */
static bool request_parse(const struct serving *s, struct job *j)
{
    enum rpc_error error = rpc_read(j->packet->data, j->packet->len, &j->ask);
    if (error != RPC_OK) {
        rpc_count_error(s->counters, error);
        return false;
    }
    if (j->ask.flags & RPC_REPLY) {
        counter_inc(&s->counters->dht_drop_type_total);
        return false;
    }
    return true;
}

/* Who is it, where does it receive, at which levels does it ask? Needs a checked tag. The hash
 * that makes an ID of an address is spared where a cookie of ours says that it was seen before. */
static bool request_admit(const struct serving *s, const struct job *j, bool *cookie)
{
    const struct rpc *ask = &j->ask;
    if (!endpoint_eq(&ask->from.rpc, &j->packet->from)) {
        counter_inc(&s->counters->dht_drop_source_total);
        return false;
    }
    if (!(ask->wanted & RPC_LEVEL_0)) {
        counter_inc(&s->counters->dht_drop_level_total);
        return false;
    }
    *cookie = cookie_valid(&s->store->cookies, ask->cookie, &ask->from.rpc, &ask->from.id, s->now);
    if (!*cookie) {
        struct dht_id id = dht_node_id(&ask->from.rpc);
        if (!id_eq(&id, &ask->from.id)) {
            counter_inc(&s->counters->dht_drop_id_total);
            return false;
        }
    }
    return true;
}

static void add_closer(const struct serving *s, const struct rpc *ask, struct rpc *answer)
{
    answer->contacts = (uint8_t)closer_contacts(s->routes, &ask->key, &ask->from.id,
                                                s->store->prefix_bits, answer->contact);
}

static void serve_get(const struct serving *s, struct job *j, struct rpc *answer)
{
    const struct store_entry *e = store_find(s->store, &j->ask.key, j->hash);
    counter_inc(&s->counters->dht_gets_total);
    answer->values = answer->held = (uint8_t)store_values(e, NULL, s->now, answer->value);
    if (answer->values)
        counter_inc(&s->counters->dht_gets_found_total);
    else
        add_closer(s, &j->ask, answer);
}

/* A put's step forward; full and loaded ends it. Where nothing can be stored the asker learns at
 * least who holds the object. */
static void serve_walk(const struct serving *s, struct job *j, struct rpc *answer)
{
    struct store_entry *e = store_find(s->store, &j->ask.key, j->hash);
    struct store_state st = store_state(e, &j->ask.from.id, j->ask.ttl_ms, s->now);
    counter_inc(&s->counters->dht_walks_total);
    answer->held = st.held;
    answer->least_ms = st.least_ms;
    if (st.full)
        answer->flags |= RPC_FULL;
    if (e && store_walk(s->store, e, s->now))
        answer->flags |= RPC_LOADED;
    if (st.full) /* no STORE will ask for them */
        answer->values = (uint8_t)store_values(e, &j->ask.from.id, s->now, answer->value);
    if (st.full && (answer->flags & RPC_LOADED))
        counter_inc(&s->counters->dht_walks_ended_total);
    else
        add_closer(s, &j->ask, answer);
}

/* A node may name itself only: the proxy's address is one of the sender's. */
static bool store_own(const struct rpc *ask)
{
    const struct dht_contact *c = &ask->from;
    if (ask->ttl_ms == 0 || ask->http.port == 0 || ask->http.port != c->http_port ||
        addr_is_zero(&ask->http.ip))
        return false;
    return addr_eq(&ask->http.ip, &c->v4) || addr_eq(&ask->http.ip, &c->v6);
}

static void serve_store(const struct serving *s, struct job *j, struct rpc *answer)
{
    const struct rpc *ask = &j->ask;
    counter_inc(&s->counters->dht_stores_total);
    if (!store_own(ask)) {
        counter_inc(&s->counters->dht_stores_foreign_total);
        answer->flags |= RPC_REFUSED;
        return;
    }
    const struct store_entry *e = store_find(s->store, &ask->key, j->hash);
    answer->values = (uint8_t)store_values(e, &ask->from.id, s->now, answer->value);
    uint32_t ttl = ask->ttl_ms < RPC_TTL_MAX_MS ? ask->ttl_ms : RPC_TTL_MAX_MS;
    if (store_put(s->store, &ask->key, j->hash, &ask->from.id, &ask->http, ttl, s->now)) {
        answer->flags |= RPC_STORED;
    } else {
        answer->flags |= RPC_FULL;
        counter_inc(&s->counters->dht_stores_full_total);
    }
}

static void serve_answer(const struct serving *s, struct job *j, struct rpc *answer)
{
    switch (j->ask.type) {
    case RPC_PING:
        counter_inc(&s->counters->dht_pings_total);
        break;
    case RPC_GET:
        serve_get(s, j, answer);
        break;
    case RPC_WALK:
        serve_walk(s, j, answer);
        break;
    case RPC_STORE:
        serve_store(s, j, answer);
        break;
    case RPC_REMOVE:
        counter_inc(&s->counters->dht_removes_total);
        store_remove(store_find(s->store, &j->ask.key, j->hash), &j->ask.from.id);
        add_closer(s, &j->ask, answer);
        break;
    case RPC_FIND:
        counter_inc(&s->counters->dht_finds_total);
        answer->contacts =
            (uint8_t)closest_contacts(s->routes, &j->ask.key, &j->ask.from.id, answer->contact);
        break;
    }
}

/* Writes the reply, all but its tag. */
static bool request_act(const struct serving *s, struct job *j, bool cookie)
{
    struct rpc answer;
    memset(&answer, 0, sizeof(answer));
    answer.type = j->ask.type;
    answer.flags = RPC_REPLY;
    answer.served = RPC_LEVEL_0;
    answer.key_id = s->key_id;
    answer.tid = j->ask.tid;
    answer.from = s->routes->self;
    answer.cookie = cookie_make(&s->store->cookies, &j->ask.from.rpc, &j->ask.from.id, s->now);
    if (!cookie && keyed(&j->ask)) { /* no larger than what it asked */
        answer.type = RPC_COOKIE;
        counter_inc(&s->counters->dht_cookies_total);
    } else {
        serve_answer(s, j, &answer);
    }
    j->packet->reply_len = (uint16_t)rpc_write(&answer, j->packet->reply, j->packet->room);
    if (j->packet->reply_len == 0)
        counter_inc(&s->counters->dht_drop_room_total);
    return j->packet->reply_len > 0;
}

/* Puts what has a good tag first; returns how many have. */
static unsigned verify(const struct serving *s, struct dht_mac *mac, struct job **job, unsigned n)
{
    struct mac_job tag[DATAGRAM_BURST];
    for (unsigned i = 0; i < n; i++)
        tag[i] = (struct mac_job){.data = job[i]->packet->data,
                                  .len = job[i]->packet->len - RPC_TAG,
                                  .key_id = job[i]->ask.key_id};
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
    struct mac_job tag[DATAGRAM_BURST];
    for (unsigned i = 0; i < n; i++)
        tag[i] = (struct mac_job){.data = job[i]->packet->reply,
                                  .len = job[i]->packet->reply_len - RPC_TAG,
                                  .key_id = dht_mac_key_id(mac)};
    mac_tag_many(mac, tag, n);
    for (unsigned i = 0; i < n; i++)
        memcpy(job[i]->packet->reply + tag[i].len, tag[i].tag, RPC_TAG);
}

static void serve_burst(const struct serving *s, struct dht_mac *mac, struct datagram *requests,
                        unsigned n, dht_heard *heard, void *ctx)
{
    struct job all[DATAGRAM_BURST], *job[DATAGRAM_BURST];
    unsigned parsed = 0;
    for (unsigned i = 0; i < n; i++) {
        struct job *j = &all[parsed];
        j->packet = &requests[i];
        requests[i].reply_len = 0;
        if (!request_parse(s, j))
            continue;
        j->hash = keyed(&j->ask) ? store_prepare(s->store, &j->ask.key) : 0;
        job[parsed++] = j;
    }
    unsigned good = verify(s, mac, job, parsed);
    for (unsigned i = 0; i < good; i++)
        if (keyed(&job[i]->ask))
            store_touch(s->store, job[i]->hash);

    unsigned replies = 0;
    for (unsigned i = 0; i < good; i++) {
        bool cookie;
        if (!request_admit(s, job[i], &cookie))
            continue;
        counter_inc(&s->counters->dht_requests_total);
        const struct dht_contact *from = &job[i]->ask.from;
        if (heard && !id_eq(&from->id, &s->routes->self.id) &&
            store_heard_once(s->store, &from->id, s->now))
            heard(ctx, from);
        if (request_act(s, job[i], cookie))
            job[replies++] = job[i];
    }
    sign(mac, job, replies);
    counter_add(&s->counters->dht_replies_total, replies);
}

void dht_serve(struct dht_store *store, struct dht_mac *mac, const struct dht_routes *routes,
               struct datagram *requests, unsigned n, dht_heard *heard, void *ctx,
               struct dht_counters *counters, struct now now)
{
    struct serving s = {store, routes, counters, now, dht_mac_key_id(mac)};
    store_sweep(store, now);
    for (unsigned i = 0; i < n; i += DATAGRAM_BURST) {
        unsigned burst = n - i < DATAGRAM_BURST ? n - i : DATAGRAM_BURST;
        serve_burst(&s, mac, requests + i, burst, heard, ctx);
    }
    counter_set(&counters->dht_keys, store->keys);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving a burst: parse all, check the tags together, touch the store, act, sign together. Each
 * stage goes through the whole burst before the next one begins, so that requests wait for memory
 * side by side; what a stage lets through it puts first.
 */
#include "dht/mac.h"
#include "dht/serve.h"

/* As many as tags are computed side by side; twice as many would not stay in the first-level cache
 * from stage to stage. */
#define SERVE_BURST 16

struct job {
    struct datagram *packet;
    struct rpc ask;
    bool keyed;
    uint64_t hash;                   /* keyed: of the key in the store */
    const struct store_entry *entry; /* that may have the key; NULL: none has */
    bool seen;                       /* it showed a cookie of ours */
    uint64_t cookie;                 /* to give it */
};

/* What can be told without the tag. */
static bool request_parse(const struct serving *s, struct job *j)
{
    enum rpc_error error =
        rpc_read_most(j->packet->data, j->packet->len, &j->packet->from, &j->ask);
    if (error != RPC_OK) {
        rpc_count_error(s->counters, error);
        return false;
    }
    if (j->ask.flags & RPC_REPLY) {
        counter_inc(&s->counters->dht_drop_type_total);
        return false;
    }
    j->keyed = rpc_is_keyed(j->ask.type);
    cookie_prepare(&s->store->arena->cookies, &j->ask.from.contact.id);
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

/* Writes the reply, all but its tag. */
static bool request_act(const struct serving *s, struct job *j)
{
    struct rpc answer;
    if (j->seen && j->ask.type == RPC_GET && j->entry) {
        j->packet->reply_len = (uint16_t)serve_found(s, &j->ask, j->entry, j->cookie,
                                                     j->packet->reply, j->packet->room);
        if (j->packet->reply_len > 0)
            return true;
    }
    if (!serve_answer(s, &j->ask, j->hash, j->seen, &answer))
        return false;
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
    if (!j->seen || (ask->type != RPC_STORE && ask->type != RPC_REMOVE && ask->type != RPC_VIA &&
                     ask->type != RPC_RELAY))
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
        /* the reply is longer than the request, whose lines are here */
        __builtin_prefetch(requests[i].reply + 192, 1);
        __builtin_prefetch(requests[i].reply + 256, 1);
    }
    for (unsigned i = 0; i < parsed; i++) {
        if (all[i].keyed)
            all[i].hash = store_prepare(store_of(s->store, &all[i].ask.key), &all[i].ask.key);
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
        bool tells = serve_tells(s, &job[i]->ask);
        if (tells || job[i]->ask.type != RPC_GET)
            rpc_read_sender(job[i]->packet->data, &job[i]->ask);
        if (tells)
            serve_tell(s, &job[i]->ask, job[i]->seen);
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
        job[i]->entry =
            job[i]->keyed ? store_touch(store_of(s->store, &job[i]->ask.key), job[i]->hash) : NULL;
    check_cookies(s, job, n); /* while the entries come */
    for (unsigned i = 0; i < n; i++)
        if (job[i]->entry)
            store_reach(store_of(s->store, &job[i]->ask.key), job[i]->entry);
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
    struct serving s;
    struct dht_sender self = dht_routes_sender(routes);
    serving_init(&s, store, routes, heard, ctx, now);
    s.key_id = dht_mac_key_id(mac);
    rpc_head(&self, s.head);
    dht_store_poll(store, now);
    for (unsigned i = 0; i < n; i += SERVE_BURST) {
        unsigned burst = n - i < SERVE_BURST ? n - i : SERVE_BURST;
        serve_burst(&s, mac, requests + i, burst);
    }
    counter_set(&s.counters->dht_keys, store->keys);
}

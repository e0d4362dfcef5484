/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gets for random keys, side by side. Everybody else's answers are written and signed between the
 * measured stretches: each names four that share more bits with the key, as many more as the rule
 * of the level wants, and who knows nobody such has four values.
 *
 * Measured is all that the asker does: start and end of a get; of a hop the answer's parse, tag and
 * sender, what is learned from it, the choice of the next one, its question, that one's tag, the
 * timers. Handing the question over is a copy into a queue.
 */
#include <stdlib.h>

#include <rte_cycles.h>

#include "dht/id.h"
#include "dht/mac.h"
#include "perf/dht.h"

#define GETS   32
#define RTT_US 20000

struct packet {
    uint16_t to; /* the node asked */
    uint16_t len;
    uint8_t data[RPC_MAX];
};

struct dht_asking {
    struct dht_bench *b;
    struct dht_asker *asker;
    unsigned nodes;
    uint16_t order[DHT_BENCH_NODES]; /* by ID */
    unsigned questions, answers, done;
    struct packet question[GETS * 4], answer[GETS * 4];
    uint64_t told, *errors;
};

/* Bench nodes have addresses 10.0.x.y for number 256 (y - 1) + x. */
static uint16_t node_at(const struct endpoint *e)
{
    return (uint16_t)((e->ip.b[15] - 1) << 8 | e->ip.b[14]);
}

static bool take(void *ctx, uint16_t from_port, const struct endpoint *to, const void *data,
                 size_t len)
{
    struct dht_asking *a = ctx;
    (void)from_port;
    if (a->questions == sizeof(a->question) / sizeof(a->question[0]))
        return false;
    struct packet *p = &a->question[a->questions++];
    p->to = node_at(to);
    p->len = (uint16_t)len;
    memcpy(p->data, data, len);
    return true;
}

static void answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                     struct now now)
{
    struct dht_asking *a = ctx;
    (void)who, (void)t, (void)now;
    a->told++;
}

static void done(void *ctx, const struct dht_result *result, struct now now)
{
    struct dht_asking *a = ctx;
    (void)now;
    a->done++;
    *a->errors += result->end != DHT_FOUND || result->n != DHT_VALUES;
}

/* --- everybody else --------------------------------------------------------------------------- */

static int by_id(const void *x, const void *y, void *ctx)
{
    const struct dht_bench *b = ctx;
    const struct dht_id *i = &b->node[*(const uint16_t *)x].id;
    return memcmp(i->b, b->node[*(const uint16_t *)y].id.b, DHT_ID_BYTES);
}

/* The first of the order whose upper 64 bits are not below `id`. */
static unsigned first_from(const struct dht_asking *a, uint64_t id)
{
    unsigned lo = 0, hi = a->nodes;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (id_u64(a->b->node[a->order[mid]].id.b) < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Some of those that share `bits` leading bits with the key. */
static unsigned sharers(struct dht_asking *a, const struct dht_id *key, unsigned bits,
                        struct rpc_contact out[static RPC_CONTACTS])
{
    uint64_t rest = bits < 64 ? UINT64_MAX >> bits : 0, low = id_u64(key->b) & ~rest;
    unsigned from = first_from(a, low), to = first_from(a, low + rest), n = 0;
    unsigned step = (to - from) / RPC_CONTACTS + 1;
    for (unsigned i = from + (to > from ? rng_below(&a->b->rng, step) : 0);
         i < to && n < RPC_CONTACTS; i += step) {
        const struct dht_contact *c = &a->b->node[a->order[i]];
        out[n++] = (struct rpc_contact){c->id, c->rpc};
    }
    return n;
}

static void add_values(struct dht_asking *a, struct rpc *r)
{
    for (unsigned i = 0; i < DHT_VALUES; i++) {
        const struct dht_contact *c = &a->b->node[1 + rng_below(&a->b->rng, DHT_BENCH_NODES - 1)];
        r->value[r->values++] = (struct dht_value){c->id, {c->v4, c->http_port}, 20000, 1000 * i};
    }
    /* a result has each node once */
    for (unsigned i = 1; i < DHT_VALUES; i++)
        r->value[i].node.b[0] = (uint8_t)(r->value[0].node.b[0] + i);
}

static void answer_write(struct dht_asking *a, const struct packet *question, struct packet *out)
{
    static const uint8_t prefix_bits[DHT_LEVELS] = {3, 2, 1};
    struct dht_bench *b = a->b;
    struct rpc ask, r = {.flags = RPC_REPLY, .key_id = DHT_BENCH_KEY_ID};
    enum rpc_error error = rpc_read(question->data, question->len, &b->routes.self.rpc, &ask);
    *a->errors += error != RPC_OK || ask.type != RPC_GET;
    r.type = ask.type;
    r.tid = ask.tid;
    r.from = dht_bench_sender(b, question->to);
    r.cookie = 1;
    r.served = r.contacts_level = r.values_level = ask.wanted & 4 ? 2 : ask.wanted & 2 ? 1 : 0;
    unsigned shared = id_prefix(&r.from.contact.id, &ask.key);
    for (unsigned bits = prefix_bits[r.served]; bits > 0 && r.contacts == 0; bits--)
        r.contacts = (uint8_t)sharers(a, &ask.key, shared + bits, r.contact);
    if (r.contacts == 0)
        add_values(a, &r);
    out->to = question->to;
    out->len = (uint16_t)rpc_write(&r, out->data, sizeof(out->data));
    size_t len = out->len - RPC_TAG;
    dht_mac_sign(b->mac, out->data, len, out->data + len);
}

static void answers_write(struct dht_asking *a)
{
    for (unsigned i = 0; i < a->questions; i++)
        answer_write(a, &a->question[i], &a->answer[i]);
    a->answers = a->questions;
}

/* --- a window --------------------------------------------------------------------------------- */

struct dht_asking *dht_asking_new(struct dht_bench *b, unsigned nodes)
{
    struct dht_asking *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    struct dht_asker_host host = {.udp = {a, take}, .ctx = a, .answered = answered};
    a->b = b;
    a->nodes = nodes;
    a->asker = dht_asker_create(b->arena, b->mac, &host);
    if (!a->asker) {
        free(a);
        return NULL;
    }
    dht_asker_routes(a->asker, &b->routes);
    for (unsigned i = 0; i < nodes; i++)
        a->order[i] = (uint16_t)i;
    qsort_r(a->order, nodes, sizeof(a->order[0]), by_id, b);
    return a;
}

void dht_asking_free(struct dht_asking *a)
{
    if (!a)
        return;
    dht_asker_destroy(a->asker);
    free(a);
}

static void gets_start(struct dht_asking *a)
{
    struct dht_id key;
    for (unsigned i = 0; i < GETS; i++) {
        rng_bytes(&a->b->rng, key.b, sizeof(key.b));
        dht_get(a->asker, &key, DHT_ALL_LEVELS, done, a, a->b->now);
    }
}

static void answers_take(struct dht_asking *a)
{
    for (unsigned i = 0; i < a->answers; i++) {
        const struct datagram d = {.from = a->b->node[a->answer[i].to].rpc,
                                   .to = a->b->routes.self.rpc,
                                   .data = a->answer[i].data,
                                   .len = a->answer[i].len};
        dht_asker_input(a->asker, &d, a->b->now);
    }
    dht_arena_poll(a->b->arena, a->b->now);
}

static void tags_again(struct dht_asking *a)
{
    uint8_t tag[RPC_TAG];
    for (unsigned i = 0; i < a->answers; i++)
        dht_mac_sign(a->b->mac, a->answer[i].data, a->answer[i].len - RPC_TAG, tag);
    for (unsigned i = 0; i < a->questions; i++)
        dht_mac_sign(a->b->mac, a->question[i].data, a->question[i].len - RPC_TAG, tag);
}

struct dht_hops dht_asking_window(struct dht_asking *a, uint64_t *errors)
{
    uint64_t all = 0, tags = 0, hops = 0;
    a->errors = errors;
    a->done = a->questions = a->answers = 0;
    uint64_t began = rte_rdtsc_precise();
    gets_start(a);
    all += rte_rdtsc_precise() - began;
    while (a->questions > 0) {
        hops += a->questions;
        answers_write(a);
        a->questions = 0;
        a->b->now.mono_us += RTT_US;
        began = rte_rdtsc_precise();
        answers_take(a);
        uint64_t between = rte_rdtsc_precise();
        all += between - began;
        tags_again(a);
        tags += rte_rdtsc_precise() - between;
    }
    *errors += a->done != GETS;
    return (struct dht_hops){(double)all / (double)hops, (double)tags / (double)hops,
                             (double)hops / GETS};
}

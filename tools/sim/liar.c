/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/liar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dht/coordinate.h"
#include "dht/id.h"
#include "tools/sim/mix.h"

/* Addresses that a liar tried out beforehand, to have some whose IDs are near any key. */
#define GROUND   16384u
#define NEARNESS 2u /* bits that a made-up contact is nearer than who names it */

enum purpose { MIX_LIAR = MIX_CALLER + 112, MIX_LIE, MIX_SAID };

struct ring {
    uint32_t n;
    struct rpc_contact *at; /* by ID */
};

struct liars {
    struct world *world;
    uint8_t *lie; /* by node */
    struct ring dead, liars;
    uint64_t said; /* lies so far: each is another one */
};

const char *lie_name(enum lie lie)
{
    static const char *const name[] = {"none",   "dead",   "referral",   "frame", "ring", "cluster",
                                       "values", "keeper", "coordinate", "news",  "mixed"};
    return name[lie];
}

bool lie_named(const char *name, enum lie *out)
{
    for (int i = LIE_NONE; i <= LIE_MIXED; i++) {
        *out = (enum lie)i;
        if (strcmp(lie_name(*out), name) == 0)
            return true;
    }
    return false;
}

enum lie liars_lie(const struct liars *l, uint32_t node)
{
    return l->lie[node];
}

static uint64_t chance(struct liars *l, uint32_t from)
{
    return mix(l->world->params.seed, from, l->said++, MIX_SAID);
}

/* --- contacts --------------------------------------------------------------------------------- */

static int by_id(const void *x, const void *y)
{
    const struct rpc_contact *a = x, *b = y;
    return memcmp(a->id.b, b->id.b, DHT_ID_BYTES);
}

/* About the nearest to a key: its neighbours in the order of IDs. */
static unsigned ring_near(const struct ring *r, const struct dht_id *key,
                          struct rpc_contact out[static RPC_CONTACTS])
{
    unsigned n = r->n < RPC_CONTACTS ? r->n : RPC_CONTACTS;
    uint32_t lo = 0, hi = r->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (memcmp(r->at[mid].id.b, key->b, DHT_ID_BYTES) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (unsigned i = 0; i < n; i++)
        out[i] = r->at[(lo + r->n + i - n / 2) % r->n];
    return n;
}

static struct endpoint nowhere(const struct liars *l, uint64_t random)
{
    return (struct endpoint){addr_v4(0x0af00000u | (uint32_t)(random & 0xfffff)),
                             l->world->config.port};
}

/* Nearer to the key than the node is, and each nearer than the one before. */
static struct dht_id made_up(struct liars *l, uint32_t from, const struct dht_id *key, unsigned i)
{
    uint64_t word[3] = {chance(l, from), chance(l, from), chance(l, from)};
    struct dht_id random;
    memcpy(random.b, word, sizeof(random.b));
    unsigned prefix = id_prefix(&l->world->contact[from].id, key) + 1 + NEARNESS * i;
    return id_sharing(&random, key, prefix < DHT_ID_BITS ? prefix : DHT_ID_BITS);
}

static struct rpc_contact contact_of(const struct liars *l, uint32_t node)
{
    return (struct rpc_contact){l->world->contact[node].id, l->world->contact[node].rpc};
}

static uint32_t anybody(struct liars *l, uint32_t from)
{
    return (uint32_t)(chance(l, from) % l->world->params.nodes);
}

/* As one that has nothing and knows these. Those who ask for a key hear no refusal either. */
static void refer(struct liars *l, uint32_t from, const struct rpc *ask, struct rpc *answer)
{
    enum lie lie = l->lie[from];
    if (answer->type == RPC_NOT_MEMBER) {
        answer->type = ask->type;
        answer->served = (uint8_t)(31 - __builtin_clz(ask->wanted | 1u));
    }
    answer->values = answer->held = 0;
    answer->flags = RPC_REPLY;
    answer->contacts_level = answer->served;
    answer->contacts = 0;
    if (lie == LIE_DEAD)
        answer->contacts = (uint8_t)ring_near(&l->dead, &ask->key, answer->contact);
    if (lie == LIE_RING)
        answer->contacts = (uint8_t)ring_near(&l->liars, &ask->key, answer->contact);
    if (lie != LIE_REFERRAL && lie != LIE_FRAME)
        return;
    answer->contacts = RPC_CONTACTS;
    for (unsigned i = 0; i < RPC_CONTACTS; i++) {
        struct rpc_contact *c = &answer->contact[i];
        if (lie == LIE_REFERRAL)
            *c = (struct rpc_contact){made_up(l, from, &ask->key, i),
                                      l->liars.at[chance(l, from) % l->liars.n].rpc};
        else
            *c = (struct rpc_contact){contact_of(l, anybody(l, from)).id,
                                      nowhere(l, chance(l, from))};
    }
}

/* --- the other lies --------------------------------------------------------------------------- */

/* Of its own answers only, and of a true node in one of two. */
static void invent_values(struct liars *l, uint32_t from, const struct rpc *ask, struct rpc *answer)
{
    bool exist = chance(l, from) & 1;
    if (ask->type != RPC_GET)
        return;
    refer(l, from, ask, answer);
    answer->values = answer->held = DHT_VALUES;
    answer->values_level = answer->served;
    for (unsigned i = 0; i < DHT_VALUES; i++) {
        struct dht_value *v = &answer->value[i];
        struct rpc_contact c = contact_of(l, anybody(l, from));
        if (!exist)
            c = (struct rpc_contact){made_up(l, from, &ask->key, 0), nowhere(l, chance(l, from))};
        *v = (struct dht_value){c.id, {c.rpc.ip, 80}, 3600000, 1000};
    }
}

static void keep_nothing(struct liars *l, uint32_t from, const struct rpc *ask, struct rpc *answer)
{
    refer(l, from, ask, answer);
    if (ask->type == RPC_WALK)
        answer->flags |= RPC_FULL | RPC_LOADED;
    if (ask->type == RPC_STORE)
        answer->flags |= RPC_STORED;
}

static void join_all(struct liars *l, uint32_t from, uint32_t to, const struct rpc *ask,
                     struct rpc *rpc)
{
    bool theirs = chance(l, from) & 1;
    for (unsigned i = 1; i < l->world->config.levels; i++) {
        uint64_t cid = ask ? ask->from.level[i].cid
                       : to == UINT32_MAX || !l->world->node[to].up
                           ? 0
                           : world_routes(l->world, to)->level[i].is.cid;
        rpc->from.level[i] = (struct dht_descriptor){theirs && cid ? cid : chance(l, from) | 1,
                                                     UINT8_MAX, DHT_AGE_MAX_UNITS * DHT_AGE_UNIT_S};
    }
    if (ask && rpc_is_keyed(ask->type))
        refer(l, from, ask, rpc);
}

static void misplace(struct liars *l, uint32_t from, struct rpc *rpc)
{
    struct coordinate c = coordinate_start();
    uint64_t random = chance(l, from);
    if (rpc->type != RPC_PING)
        return;
    c.error = 0;
    c.x_us[0] = random & 1 ? 1.9e6f : -1.9e6f;
    if (random & 2)
        c.x_us[1] = random & 4 ? NAN : INFINITY;
    rpc->has_coordinate = true;
    coordinate_pack(&c, rpc->coordinate);
}

static void accuse(struct liars *l, uint32_t from, struct rpc *rpc)
{
    if (rpc->type != RPC_PING)
        return;
    rpc->news = DHT_NEWS;
    for (unsigned i = 0; i < DHT_NEWS; i++) {
        uint32_t whom = anybody(l, from);
        rpc->news_item[i] = (struct dht_news){
            l->world->contact[whom].id, l->world->node[whom].incarnation + (i & 1),
            (uint8_t)(DHT_NEWS_SUSPECT + chance(l, from) % (DHT_NEWS_NOT_REACHED))};
    }
}

static bool says(void *ctx, uint32_t from, uint32_t to, const struct rpc *ask, struct rpc *rpc)
{
    struct liars *l = ctx;
    bool keyed = ask && rpc_is_keyed(ask->type);
    switch ((enum lie)l->lie[from]) {
    case LIE_NONE:
    case LIES:
        break;
    case LIE_DEAD:
    case LIE_REFERRAL:
    case LIE_FRAME:
    case LIE_RING:
        if (keyed)
            refer(l, from, ask, rpc);
        break;
    case LIE_CLUSTER:
        join_all(l, from, to, ask, rpc);
        break;
    case LIE_VALUES:
        if (keyed)
            invent_values(l, from, ask, rpc);
        break;
    case LIE_KEEPER:
        if (keyed)
            keep_nothing(l, from, ask, rpc);
        break;
    case LIE_COORDINATE:
        misplace(l, from, rpc);
        break;
    case LIE_NEWS:
        accuse(l, from, rpc);
        break;
    }
    return true;
}

/* --- who lies --------------------------------------------------------------------------------- */

static bool rings(struct liars *l)
{
    const struct world *w = l->world;
    l->dead.at = calloc(GROUND, sizeof(*l->dead.at));
    l->liars.at = calloc(w->params.nodes, sizeof(*l->liars.at));
    if (!l->dead.at || !l->liars.at)
        return false;
    for (; l->dead.n < GROUND; l->dead.n++) {
        struct rpc_contact *c = &l->dead.at[l->dead.n];
        c->rpc = nowhere(l, l->dead.n);
        c->id = dht_node_id(&c->rpc);
    }
    for (uint32_t i = 0; i < w->params.nodes; i++)
        if (l->lie[i] != LIE_NONE)
            l->liars.at[l->liars.n++] = contact_of(l, i);
    qsort(l->dead.at, l->dead.n, sizeof(*l->dead.at), by_id);
    qsort(l->liars.at, l->liars.n, sizeof(*l->liars.at), by_id);
    return true;
}

struct liars *liars_create(struct world *w, uint32_t percent, enum lie lie)
{
    struct liars *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->world = w;
    l->lie = calloc(w->params.nodes, 1);
    for (uint32_t i = 0; l->lie && i < w->params.nodes; i++) {
        uint64_t random = mix(w->params.seed, i, 0, MIX_LIE);
        if (mix(w->params.seed, i, 0, MIX_LIAR) % 100 < percent)
            l->lie[i] = (uint8_t)(lie == LIE_MIXED ? 1 + random % (LIES - 1) : lie);
    }
    if (!l->lie || !rings(l)) {
        liars_destroy(l);
        return NULL;
    }
    w->says = says;
    w->liars = l;
    return l;
}

void liars_destroy(struct liars *l)
{
    if (!l)
        return;
    free(l->dead.at);
    free(l->liars.at);
    free(l->lie);
    free(l);
}

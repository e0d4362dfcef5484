/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Members that lie, and strangers that send what they like. Told elsewhere: what a false
 * accusation does (live_news_test.c, live_cluster_test.c), that coordinates out of bounds are
 * refused and one liar within them does bounded harm (coordinate_test.c), that nobody who has not
 * shown that it receives gets more than it sent (serve_test.c).
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "bench.h"
#include "dht/asker.h"
#include "dht/closer.h"
#include "dht/coordinate.h"
#include "dht/direct.h"
#include "dht/member.h"
#include "net.h"

/* --- an asker, whose every question the test answers, over bytes and under a tag -------------- */

#define SENT   256
#define GROUND 4096u /* addresses that a liar tries to have IDs near a key */
#define FIRST  1000u

struct desk {
    struct bench b;
    struct dht_asker *a;
    unsigned sent, taken; /* questions asked, and of these answered by the test */
    struct rpc question[SENT];
    struct endpoint to[SENT];
    unsigned ends, timed_out;
    uint64_t ended_ms;
    struct dht_result result;
    struct rpc_contact ground[GROUND]; /* nearest to the key first */
    unsigned named;
};

static bool keep(void *ctx, uint16_t port, const struct endpoint *to, const void *data, size_t len)
{
    struct desk *d = ctx;
    (void)port;
    cr_assert_lt(d->sent, SENT);
    cr_assert_eq(rpc_read(data, len, &d->b.routes.self.rpc, &d->question[d->sent]), RPC_OK);
    d->to[d->sent++] = *to;
    return true;
}

static void ended(void *ctx, const struct dht_result *result, struct now now)
{
    struct desk *d = ctx;
    d->ends++;
    d->ended_ms = now.mono_us / 1000;
    d->result = *result;
}

static void timed_out(void *ctx, const struct dht_id *who, struct now now)
{
    struct desk *d = ctx;
    (void)who, (void)now;
    d->timed_out++;
}

static int by_nearness(const void *x, const void *y, void *key)
{
    const struct rpc_contact *a = x, *b = y;
    struct dht_distance da = distance_between(&a->id, key), db = distance_between(&b->id, key);
    return distance_less(&da, &db) ? -1 : distance_less(&db, &da);
}

/* With `known` contacts in its table. */
static struct desk *desk_open(unsigned known)
{
    struct desk *d = calloc(1, sizeof(*d));
    bench_open(&d->b);
    bench_route(&d->b, 2, known, 1);
    struct dht_asker_host host = {.udp = {d, keep}, .ctx = d, .timed_out = timed_out};
    d->a = dht_asker_create(d->b.arena, d->b.mac, &host);
    dht_asker_routes(d->a, &d->b.routes);
    for (unsigned i = 0; i < GROUND; i++) {
        struct dht_contact c = bench_contact(FIRST + i);
        d->ground[i] = (struct rpc_contact){c.id, c.rpc};
    }
    qsort_r(d->ground, GROUND, sizeof(d->ground[0]), by_nearness, &d->b.key);
    return d;
}

static void desk_close(struct desk *d)
{
    dht_asker_destroy(d->a);
    bench_close(&d->b);
    free(d);
}

/* An answer by whom the next open question was put to. */
static struct rpc answer_to_next(struct desk *d)
{
    cr_assert_lt(d->taken, d->sent, "nothing was asked");
    unsigned i = d->taken++;
    return bench_answer(&d->question[i], &d->to[i]);
}

/* The asker hears it from an address. */
static void hear(struct desk *d, const struct rpc *r, const struct endpoint *from,
                 struct dht_mac *mac)
{
    uint8_t packet[RPC_MAX];
    size_t len = rpc_write(r, packet, sizeof(packet));
    dht_mac_sign(mac, packet, len - RPC_TAG, packet + len - RPC_TAG);
    struct datagram in = {
        .from = *from, .to = d->b.routes.self.rpc, .data = packet, .len = (uint16_t)len};
    dht_asker_input(d->a, &in, bench_now(&d->b));
}

static void answer(struct desk *d, const struct rpc *r)
{
    d->b.ms += 5;
    hear(d, r, &r->from.contact.rpc, d->b.mac);
}

static bool is_known(const struct desk *d, const struct endpoint *e)
{
    for (uint32_t i = 0; i < d->b.routes.n; i++)
        if (endpoint_eq(&dht_route_contact(&d->b.routes, i)->rpc, e))
            return true;
    return endpoint_eq(e, &d->b.routes.self.rpc);
}

/* Time passes until it is over. Whom the table has answers as it is told to, others never. */
static void run(struct desk *d, void (*lie)(struct desk *d, struct rpc *r), bool all_answer)
{
    for (unsigned ms = 0; ms < 30000 && d->ends == 0; ms++) {
        while (d->taken < d->sent && d->ends == 0) {
            if (!all_answer && !is_known(d, &d->to[d->taken])) {
                d->taken++;
                continue;
            }
            struct rpc r = answer_to_next(d);
            lie(d, &r);
            hear(d, &r, &r.from.contact.rpc, d->b.mac);
        }
        d->b.ms++;
        dht_arena_poll(d->b.arena, bench_now(&d->b));
    }
    cr_assert_eq(d->ends, 1, "it never ended");
}

/* --- contacts --------------------------------------------------------------------------------- */

static void name_four_others(struct desk *d, struct rpc *r)
{
    for (unsigned i = 0; i < RPC_CONTACTS; i++)
        r->contact[r->contacts++] = d->ground[d->named++ % 40];
}

Test(lies, told_of_forty_contacts_that_do_not_exist_a_get_ends_in_time)
{
    struct desk *d = desk_open(12);
    uint64_t begun_ms = d->b.ms;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, name_four_others, false);
    cr_assert_eq(d->result.end, DHT_NOT_FOUND);
    cr_assert_leq(d->sent, LOOKUP_ASKS);
    cr_assert_leq(d->ended_ms - begun_ms, 5001);
    cr_log_info("12 liars, 40 dead contacts: %u questions, %u ms\n", d->sent,
                (unsigned)(d->ended_ms - begun_ms));
    desk_close(d);
}

/* The farthest first, so that each is nearer than all before it. */
static void name_four_nearer(struct desk *d, struct rpc *r)
{
    for (unsigned i = 0; i < RPC_CONTACTS; i++)
        r->contact[r->contacts++] = d->ground[GROUND - 1 - d->named++ % GROUND];
}

Test(lies, a_referral_that_comes_closer_for_ever_ends)
{
    struct desk *d = desk_open(12);
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, name_four_nearer, true);
    cr_assert_eq(d->result.end, DHT_NOT_FOUND);
    cr_assert_leq(d->sent, LOOKUP_ASKS);
    desk_close(d);

    d = desk_open(12);
    dht_put(d->a, &d->b.key, 1, 20000, ended, d, bench_now(&d->b));
    run(d, name_four_nearer, true);
    cr_assert_leq(d->sent, LOOKUP_ASKS + 48, "a STORE at each, at most");
    desk_close(d);
}

static struct dht_counters *counters(struct desk *d)
{
    return dht_arena_counters(d->b.arena);
}

Test(lies, a_contact_whose_id_is_not_its_address_s_is_not_asked_and_counted)
{
    struct desk *d = desk_open(2);
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    struct rpc r = answer_to_next(d);
    struct endpoint liar = bench_contact(77).rpc;
    r.contacts = 1;
    r.contact[0] = (struct rpc_contact){d->b.key, liar}; /* nobody is nearer than that */
    answer(d, &r);
    cr_assert_eq(counters(d)->dht_contacts_false_total, 1);
    run(d, name_four_others, false);
    for (unsigned i = 0; i < d->sent; i++)
        cr_assert_not(endpoint_eq(&d->to[i], &liar));
    desk_close(d);
}

Test(lies, a_true_node_named_under_a_dead_address_is_asked_at_its_own)
{
    struct desk *d = desk_open(2);
    const struct dht_contact *known = dht_route_contact(&d->b.routes, 0);
    struct rpc_contact stranger = d->ground[0];
    struct endpoint nowhere = bench_contact(77).rpc;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    struct rpc r = answer_to_next(d);
    r.contacts = 3;
    r.contact[0] = (struct rpc_contact){known->id, nowhere};
    r.contact[1] = (struct rpc_contact){stranger.id, nowhere};
    r.contact[2] = stranger; /* who says the truth is heard, too */
    answer(d, &r);
    bool was_asked = false;
    for (unsigned ms = 0; ms < 6000 && d->ends == 0; ms++, d->b.ms++)
        dht_arena_poll(d->b.arena, bench_now(&d->b));
    for (unsigned i = 0; i < d->sent; i++) {
        cr_assert_not(endpoint_eq(&d->to[i], &nowhere));
        was_asked |= endpoint_eq(&d->to[i], &stranger.rpc);
    }
    cr_assert(was_asked);
    desk_close(d);
}

Test(lies, who_asks_for_a_ping_of_a_true_node_at_a_dead_address_withdraws_nobody)
{
    struct desk *d = desk_open(2);
    const struct dht_contact *true_one = dht_route_contact(&d->b.routes, 0);
    struct dht_ping via = {.to = bench_contact(77).rpc, .has_who = true, .who = true_one->id};
    dht_ping(d->a, &via, bench_now(&d->b));
    d->b.ms += 1000;
    dht_arena_poll(d->b.arena, bench_now(&d->b));
    cr_assert_eq(d->sent, 0, "nor is a packet sent to whom a liar chooses");
    cr_assert_eq(d->timed_out, 0);
    via.to = true_one->rpc;
    dht_ping(d->a, &via, bench_now(&d->b));
    cr_assert_eq(d->sent, 1);
    desk_close(d);
}

/* --- values ----------------------------------------------------------------------------------- */

/* The first one asked says that a stranger has it, and, asked again, another. */
static void one_invents(struct desk *d, struct rpc *r)
{
    bool lies = endpoint_eq(&r->from.contact.rpc, &d->b.routes.self.rpc);
    if (lies) {
        r->contacts = 2;
        r->contact[0] = d->ground[0];
        r->contact[1] = d->ground[1];
        return;
    }
    struct dht_contact holder =
        id_eq(&r->from.contact.id, &d->ground[1].id) ? bench_contact(9) : bench_contact(50);
    r->values = 1;
    r->value[0] = (struct dht_value){holder.id, {holder.v4, 80}, 60000, d->named++};
}

Test(lies, who_told_of_holders_that_have_nothing_is_not_asked_again)
{
    struct desk *d = desk_open(0);
    struct dht_useless useless = {0};
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, one_invents, true);
    unsigned before = d->sent;
    cr_assert(d->result.end == DHT_FOUND && d->result.n == 1);
    struct dht_id teller = d->result.teller, truth = bench_contact(9).id;
    if (id_eq(&d->result.value[0].node, &truth)) { /* it came to the honest one at once */
        cr_assert(id_eq(&teller, &d->ground[1].id));
        desk_close(d);
        return;
    }
    cr_assert(id_eq(&teller, &d->ground[0].id));
    dht_useless_add(&useless, &d->result);
    d->ends = 0;
    dht_get_again(d->a, &d->b.key, 1, &useless, ended, d, bench_now(&d->b));
    run(d, one_invents, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert(id_eq(&d->result.value[0].node, &truth));
    for (unsigned i = before; i < d->sent; i++)
        cr_assert_not(endpoint_eq(&d->to[i], &d->ground[0].rpc));
    desk_close(d);
}

/* Three holders, others each time. */
static void invent_three(struct desk *d, struct rpc *r)
{
    if (id_eq(&r->from.contact.id, &d->b.routes.self.id))
        return;
    for (unsigned i = 0; i < 3; i++) {
        struct dht_contact holder = bench_contact(200 + d->named++);
        r->value[r->values++] = (struct dht_value){holder.id, {holder.v4, 80}, 60000, 0};
    }
}

Test(lies, a_get_made_once_more_hears_four_and_two_holders_of_each)
{
    struct desk *d = desk_open(12);
    struct dht_useless useless = {.n = 1, .id = {bench_contact(50).id}};
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, invent_three, true);
    cr_assert_eq(d->result.n, 3, "the first time one is enough");
    d->ends = d->named = 0;
    dht_get_again(d->a, &d->b.key, 1, &useless, ended, d, bench_now(&d->b));
    run(d, invent_three, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert_eq(d->result.n, 8);
    cr_assert_eq(d->named, 4 * 3);
    desk_close(d);
}

static void invent_the_same(struct desk *d, struct rpc *r)
{
    (void)d;
    r->values = 1;
    r->value[0] = (struct dht_value){bench_contact(50).id, bench_contact(50).rpc, 60000, 0};
}

Test(lies, values_that_name_the_useless_are_none)
{
    struct desk *d = desk_open(6);
    struct dht_useless useless = {.n = 1, .id = {bench_contact(50).id}};
    dht_get_again(d->a, &d->b.key, 1, &useless, ended, d, bench_now(&d->b));
    run(d, invent_the_same, true);
    cr_assert(d->result.end == DHT_NOT_FOUND && d->result.n == 0);
    cr_assert_leq(d->sent, LOOKUP_ASKS);
    d->ends = 0;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, invent_the_same, true);
    cr_assert_eq(d->result.end, DHT_FOUND, "that was not remembered as not to be found");
    desk_close(d);
}

static void say_enough(struct desk *d, struct rpc *r)
{
    bool first = d->named == 0 && is_known(d, &r->from.contact.rpc) &&
                 !id_eq(&r->from.contact.id, &d->b.routes.self.id);
    if (r->type == RPC_STORE) {
        r->flags |= RPC_STORED;
    } else if (first) { /* and names nobody of them */
        d->named++;
        r->flags |= RPC_FULL | RPC_LOADED;
    }
}

Test(lies, who_says_that_enough_hold_it_must_name_them)
{
    struct desk *d = desk_open(12);
    dht_put(d->a, &d->b.key, 1, 20000, ended, d, bench_now(&d->b));
    run(d, say_enough, true);
    unsigned walks = 0;
    for (unsigned i = 0; i < d->sent; i++)
        walks += d->question[i].type == RPC_WALK;
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert_eq(d->named, 1);
    cr_assert_gt(walks, 2, "the walk went on");
    desk_close(d);
}

static void say_loaded(struct desk *d, struct rpc *r)
{
    const struct rpc *ask = &d->question[d->taken - 1];
    r->served = ask->wanted & 4 ? 2 : 0;
    if (r->type == RPC_STORE)
        r->flags |= RPC_STORED;
    else if (r->served == 2)
        r->flags |= RPC_LOADED;
}

Test(lies, who_says_that_many_want_it_and_names_nobody_does_not_keep_it_from_the_planet)
{
    struct desk *d = desk_open(12);
    for (uint32_t i = 0; i < d->b.routes.n; i++)
        ((struct dht_route *)&d->b.routes.route[i])->levels = 5;
    d->b.routes.populated = 5;
    dht_put(d->a, &d->b.key, 5, 20000, ended, d, bench_now(&d->b));
    run(d, say_loaded, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert_eq(d->result.level, 0);
    desk_close(d);
}

/* ground[0] has the object, one far away knows it, one that is nearer says nothing at all. */
struct silence {
    unsigned near, far;
};

static struct silence between_which(struct desk *d)
{
    struct dht_distance self = distance_between(&d->b.routes.self.id, &d->b.key);
    struct closer_step step = closer_step(&self, d->b.arena->config.prefix_bits[0]);
    struct silence s = {0, 0};
    for (unsigned i = 0; i < GROUND; i++) {
        struct dht_distance at = distance_between(&d->ground[i].id, &d->b.key);
        struct closer_merit m;
        if (!closer_merit(&step, &at, 0, &m))
            break;
        s.near = m.side == 0 ? i : s.near;
        s.far = i;
    }
    return s;
}

static void say_nothing(struct desk *d, struct rpc *r)
{
    struct silence s = between_which(d);
    if (id_eq(&r->from.contact.id, &d->b.routes.self.id)) {
        r->contacts = 2;
        r->contact[0] = d->ground[s.near];
        r->contact[1] = d->ground[s.far];
    } else if (id_eq(&r->from.contact.id, &d->ground[s.far].id)) {
        r->contacts = 1;
        r->contact[0] = d->ground[0];
    } else if (id_eq(&r->from.contact.id, &d->ground[0].id)) {
        invent_the_same(d, r);
    }
}

Test(lies, no_walk_ends_with_one_that_names_nobody)
{
    struct desk *d = desk_open(0);
    d->b.arena->config.mitigate.runner_up = false;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, say_nothing, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert_eq(d->sent, 4, "each once");
    desk_close(d);
}

/* Under addresses that are not theirs: as near to the key as one likes. */
static struct rpc_contact made_up(struct desk *d, unsigned i)
{
    struct rpc_contact c = {d->b.key, bench_contact(77).rpc};
    c.id.b[DHT_ID_BYTES - 1] ^= (uint8_t)(i + 1);
    return c;
}

/* ground[0] has the object, and one that is honest and farther knows it; between them a liar names
 * four that do not exist. */
static void name_the_made_up(struct desk *d, struct rpc *r)
{
    struct silence s = between_which(d);
    if (id_eq(&r->from.contact.id, &d->ground[s.near].id)) {
        for (unsigned i = 0; i < RPC_CONTACTS; i++)
            r->contact[r->contacts++] = made_up(d, d->named++);
    } else {
        say_nothing(d, r);
    }
}

Test(lies, no_walk_ends_with_one_that_names_none_but_the_made_up)
{
    struct desk *d = desk_open(0);
    d->b.arena->config.mitigate.runner_up = false;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, name_the_made_up, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert_eq(d->sent, 4, "each once");
    cr_assert_eq(d->named, RPC_CONTACTS, "the liar was asked");
    cr_assert_eq(counters(d)->dht_contacts_false_total, RPC_CONTACTS);
    desk_close(d);
}

/* Three made up, and the next one of the ground. */
static void name_one_true(struct desk *d, struct rpc *r)
{
    for (unsigned i = 0; i + 1 < RPC_CONTACTS; i++)
        r->contact[r->contacts++] = made_up(d, 3 * d->named + i);
    if (d->named < 20)
        r->contact[r->contacts++] = d->ground[20 - d->named];
    else
        invent_the_same(d, r);
    d->named++;
}

Test(lies, made_up_contacts_cost_neither_questions_nor_places)
{
    struct desk *d = desk_open(0);
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, name_one_true, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert_eq(d->sent, 21, "ourselves, and each true one");
    cr_assert_gt(3 * d->named, LOOKUP_HOPS, "more than there is room for");
    desk_close(d);
}

/* Of our table nobody lives in the key's quarter of the IDs; `named` is the last there. */
static void empty_quarter(struct desk *d)
{
    for (uint32_t i = 0; i < d->b.routes.n; i++)
        if (id_prefix(&dht_route_contact(&d->b.routes, i)->id, &d->b.key) >= 2)
            ((struct dht_route *)&d->b.routes.route[i])->alive = 0;
    while (id_prefix(&d->ground[d->named + 1].id, &d->b.key) >= 2)
        d->named++;
}

/* The liar names itself alone, through us; who is honest knows who has the object. */
static void name_one_s_like(struct desk *d, struct rpc *r)
{
    const struct dht_id *from = &r->from.contact.id;
    r->contacts = 1;
    r->contact[0] = d->ground[d->named];
    if (id_eq(from, &d->ground[d->named].id))
        r->contact[0] = d->ground[d->named - 1];
    else if (id_eq(from, &d->ground[0].id))
        invent_the_same(d, r);
    else if (is_known(d, &r->from.contact.rpc) && !id_eq(from, &d->b.routes.self.id))
        r->contact[0] = d->ground[0];
    else if (!id_eq(from, &d->b.routes.self.id))
        r->contact[0] = d->ground[d->named];
}

Test(lies, a_walk_that_ends_far_from_the_key_asks_those_that_nobody_named)
{
    struct desk *d = desk_open(24);
    empty_quarter(d);
    d->b.arena->config.mitigate.runner_up = false;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, name_one_s_like, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert(id_eq(&d->result.teller, &d->ground[0].id));
    cr_assert_leq(d->sent, 5, "ourselves, two liars, one of our table, who has it");
    desk_close(d);
}

static void dead_beside_the_key(struct desk *d, struct rpc *r)
{
    if (r->type == RPC_STORE)
        r->flags |= RPC_STORED;
    for (unsigned i = 0; i < 2; i++) {
        const struct dht_contact *c = dht_route_contact(&d->b.routes, d->named++ % d->b.routes.n);
        r->contact[r->contacts++] = d->ground[i];
        r->contact[r->contacts++] = (struct rpc_contact){c->id, c->rpc};
    }
}

/* The one closest to the key is of a ring that names none but its like, who are few. The walk comes
 * to it by another of them, and so not to the honest one that knows who has the object. */
#define RING_OF 40u

static void name_the_ring(struct desk *d, struct rpc *r)
{
    unsigned near = between_which(d).near;
    if (id_eq(&r->from.contact.id, &d->b.routes.self.id)) {
        r->contacts = 2;
        r->contact[0] = d->ground[near - 1];
        r->contact[1] = d->ground[near];
    } else if (id_eq(&r->from.contact.id, &d->ground[near].id)) {
        r->contacts = 1;
        r->contact[0] = d->ground[1];
    } else if (id_eq(&r->from.contact.id, &d->ground[1].id)) {
        invent_the_same(d, r);
    } else {
        for (unsigned i = 0; i < RPC_CONTACTS; i++)
            r->contact[r->contacts++] = d->ground[RING_OF * (d->named++ % (near / RING_OF))];
    }
}

Test(lies, a_ring_around_the_root_is_too_sparse_to_be_all_that_there_is)
{
    struct desk *d = desk_open(FIRST - 2);
    for (uint32_t i = 0; i < d->b.routes.n; i++) /* we know how far apart IDs are, no more */
        ((struct dht_route *)&d->b.routes.route[i])->alive = 0;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    run(d, name_the_ring, true);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert(id_eq(&d->result.teller, &d->ground[1].id));
    cr_assert_geq(d->named, 4 * (d->b.config.copies + 2), "more than should have copies lied");
    cr_assert_leq(d->sent, 16);
    desk_close(d);
}

Test(lies, dead_contacts_beside_the_key_do_not_take_the_copies_places)
{
    struct desk *d = desk_open(12);
    dht_put(d->a, &d->b.key, 1, 20000, ended, d, bench_now(&d->b));
    run(d, dead_beside_the_key, false);
    unsigned stored = 1; /* it ended with the first */
    for (unsigned ms = 0; ms < 15000; ms++, d->b.ms++) {
        while (d->taken < d->sent) {
            if (!is_known(d, &d->to[d->taken])) {
                d->taken++;
                continue;
            }
            struct rpc r = answer_to_next(d);
            stored += r.type == RPC_STORE;
            dead_beside_the_key(d, &r);
            hear(d, &r, &r.from.contact.rpc, d->b.mac);
        }
        dht_arena_poll(d->b.arena, bench_now(&d->b));
    }
    cr_assert_eq(stored, d->b.arena->config.copies);
    desk_close(d);
}

/* --- clusters, coordinates -------------------------------------------------------------------- */

Test(lies, a_far_one_that_claims_our_cluster_is_no_reason_to_stay_nor_one_far_away_to_go)
{
    struct cluster_config config = CLUSTER_CONFIG_DEFAULT;
    struct now now = {.mono_us = 1000000000};
    struct cluster_action a;
    struct cluster *c = cluster_create(&config, 2, 0x1122334455667788, 1, now);
    uint64_t ours = cluster_descriptor(c, now).cid;
    const struct dht_descriptor best = {1, UINT8_MAX, DHT_AGE_MAX_UNITS * DHT_AGE_UNIT_S};
    for (unsigned hour = 0; hour < 100; hour++) {
        for (uint32_t peer = 0; peer < 40; peer++) {
            struct dht_descriptor says = best;
            says.cid = peer < 20 ? ours : 1;
            cluster_heard(c, peer, &says, 90000, now);
        }
        while (cluster_poll(c, now, &a))
            cr_assert(a.what != CLUSTER_SWITCH || a.to.cid != 1, "its members are far");
        now.mono_us += 36000000;
    }
    cr_assert_neq(cluster_descriptor(c, now).cid, 1);
    cluster_destroy(c);
}

static struct net *small_net(void)
{
    struct dht_config config = dht_config_default();
    config.lookups = 16;
    struct net *net = net_create(5, &config, 20040329);
    net_settle(net, 8000);
    return net;
}

Test(lies, nobody_waits_for_others_to_have_a_coordinate_first)
{
    struct net *net = small_net();
    for (unsigned i = 0; i < net->n; i++)
        cr_assert_lt(net->node[i].member->coordinate.error, COORDINATE_ERROR_MAX);
    net_destroy(net);
}

Test(lies, a_coordinate_out_of_bounds_moves_nobody)
{
    struct net *net = small_net();
    struct net_node *x = &net->node[0];
    struct dht_tidings t = {.rtt_us = 10000, .ping = true, .has_coordinate = true};
    struct coordinate before = x->member->coordinate, c = coordinate_start();
    struct dht_sender who = dht_routes_sender(net->node[1].routes);
    const float bad[] = {NAN, INFINITY, 1e9f};
    for (unsigned i = 0; i < 3; i++) {
        c.x_us[0] = bad[i];
        coordinate_pack(&c, t.coordinate);
        struct now now = net_now(net);
        now.mono_us += 1000000 * (i + 1);
        dht_member_answered(x->member, &who, &t, now);
        cr_assert_arr_eq(&x->member->coordinate, &before, sizeof(before));
    }
    net_destroy(net);
}

/* --- strangers -------------------------------------------------------------------------------- */

/* A packet as a member may send it, but for the key. */
static size_t forge(struct dht_mac *mac, uint8_t type, uint8_t flags, const struct dht_contact *by,
                    const struct dht_id *key, uint8_t key_id, uint8_t out[static RPC_MOST])
{
    struct rpc r;
    memset(&r, 0, sizeof(r));
    r.type = type;
    r.flags = flags;
    r.wanted = 1;
    r.key_id = key_id;
    r.from.contact = *by;
    r.key = *key;
    r.ttl_ms = 60000;
    r.http = (struct endpoint){by->v4, 80};
    r.via = (struct rpc_contact){by->id, by->rpc};
    size_t len = rpc_write(&r, out, RPC_MOST);
    dht_mac_sign(mac, out, len - RPC_TAG, out + len - RPC_TAG);
    return len;
}

static uint64_t dropped(const struct net_node *x)
{
    const struct dht_counters *c = dht_arena_counters(x->arena);
    return c->dht_drop_short_total + c->dht_drop_version_total + c->dht_drop_type_total +
           c->dht_drop_malformed_total + c->dht_drop_rate_total + c->dht_drop_mac_total +
           c->dht_drop_id_total + c->dht_drop_unexpected_total;
}

/* A node's two ways in, as its workers use them: a reply's length, 0: none. */
static unsigned give(struct net_node *x, const struct endpoint *from, uint8_t *data, size_t len,
                     bool reply)
{
    uint8_t room[RPC_MAX];
    struct datagram d = {.from = *from,
                         .to = x->self.rpc,
                         .data = data,
                         .len = (uint16_t)len,
                         .room = sizeof(room),
                         .reply = room};
    if (reply)
        dht_asker_input(x->asker, &d, net_now(x->net));
    else
        dht_serve(x->store, x->mac, x->routes, &d, 1, NULL, NULL, net_now(x->net));
    return d.reply_len;
}

Test(lies, who_has_another_key_can_do_nothing_but_be_counted)
{
    struct net *net = small_net();
    struct net_node *x = &net->node[0], *by = &net->node[1];
    struct dht_keys keys = {.n = 1, .key[0] = {.id = 1, .key = "another key...."}};
    struct dht_mac *mac = dht_mac_create(&keys);
    struct dht_id key = dht_key("k", 1);
    uint8_t packet[RPC_MOST];
    for (unsigned type = RPC_PING; type <= RPC_NOT_MEMBER; type++) {
        for (unsigned reply = 0; reply < 2; reply++) {
            if (!reply && type >= RPC_COOKIE)
                continue;
            for (unsigned key_id = 1; key_id < 3; key_id++) {
                uint64_t before = dropped(x), sent = net->sent;
                size_t len = forge(mac, (uint8_t)type, reply ? RPC_REPLY : 0, &by->self, &key,
                                   (uint8_t)key_id, packet);
                for (unsigned way = 0; way < 2; way++)
                    cr_assert_eq(give(x, &by->self.rpc, packet, len, way), 0);
                cr_assert_eq(dropped(x) - before, 2);
                cr_assert_eq(net->sent, sent);
            }
        }
    }
    cr_assert_eq(net_get(net, 2, &key).end, DHT_NOT_FOUND, "nothing was stored");
    dht_mac_destroy(mac);
    net_destroy(net);
}

static struct rpc store_by(const struct net_node *by)
{
    struct rpc ask;
    memset(&ask, 0, sizeof(ask));
    ask.type = RPC_STORE;
    ask.wanted = 1;
    ask.from = dht_routes_sender(by->routes);
    ask.ttl_ms = 60000;
    return ask;
}

Test(lies, a_store_that_names_another_s_address_is_refused)
{
    struct net *net = small_net();
    struct net_node *x = &net->node[0], *by = &net->node[1];
    struct rpc ask = store_by(by), reply;
    ask.key = dht_key("k", 1);
    ask.http = (struct endpoint){net->node[2].self.v4, 80};
    dht_serve_rpc(x->store, x->routes, &ask, &reply, NULL, NULL, net_now(net));
    cr_assert_eq(reply.flags & (RPC_REFUSED | RPC_STORED), RPC_REFUSED);
    cr_assert_eq(dht_arena_counters(x->arena)->dht_stores_foreign_total, 1);
    net_destroy(net);
}

Test(lies, who_stores_names_the_closest_should_the_walk_have_been_led_astray)
{
    struct net *net = small_net();
    struct net_node *x = &net->node[0], *by = &net->node[1];
    struct rpc ask = store_by(by), reply;
    ask.key = net->node[2].self.id;
    ask.http = (struct endpoint){by->self.v4, 80};
    dht_serve_rpc(x->store, x->routes, &ask, &reply, NULL, NULL, net_now(net));
    cr_assert(reply.flags & RPC_STORED);
    cr_assert_eq(reply.contacts, 3, "all but itself and who asks");
    cr_assert(id_eq(&reply.contact[0].id, &net->node[2].self.id));
    net_destroy(net);
}

Test(lies, a_reply_from_another_address_or_under_another_id_is_dropped)
{
    struct desk *d = desk_open(3);
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    struct rpc to_self = answer_to_next(d);
    answer(d, &to_self);
    struct rpc r = answer_to_next(d), lie = r;
    invent_the_same(d, &r);
    invent_the_same(d, &lie);
    struct endpoint elsewhere = bench_contact(77).rpc;
    hear(d, &lie, &elsewhere, d->b.mac);
    lie.from.contact.id = bench_contact(77).id;
    hear(d, &lie, &elsewhere, d->b.mac);
    hear(d, &lie, &r.from.contact.rpc, d->b.mac);
    lie = r;
    lie.tid ^= 1;
    hear(d, &lie, &r.from.contact.rpc, d->b.mac);
    cr_assert_eq(counters(d)->dht_drop_unexpected_total, 4);
    cr_assert_eq(d->ends, 0);
    answer(d, &r);
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND);
    desk_close(d);
}

Test(lies, garbage_of_any_length_is_counted_and_gets_no_reply)
{
    struct net *net = small_net();
    struct net_node *x = &net->node[0];
    struct endpoint from = {addr_v4(0xc0000201), 9999};
    uint8_t packet[1300];
    for (size_t len = 0; len <= sizeof(packet); len++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            for (size_t i = 0; i < len; i++)
                packet[i] = (uint8_t)rng_below(&net->rng, 256);
            if (kind >= 1 && len > 0) /* of our version and of a type that there is */
                packet[0] = (uint8_t)(RPC_VERSION << 4 | (1 + rng_below(&net->rng, 7)));
            if (kind >= 2 && len > 96) { /* zero where it must be */
                packet[1] &= kind == 3 ? 0xfe : 0xff;
                packet[2] &= 0xe8;
                memset(packet + 93, 0, 3);
            }
            uint64_t before = dropped(x), sent = net->sent;
            cr_assert_eq(give(x, &from, packet, len, false), 0, "%zu bytes", len);
            cr_assert_eq(give(x, &from, packet, len, true), 0);
            cr_assert_eq(dropped(x) - before, 2, "%zu bytes", len);
            cr_assert_eq(net->sent, sent);
        }
    }
    net_destroy(net);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A question put through another: what the relay does for whom, and what a walk makes of it. In
 * part over bytes (who is let in), in part between the engines.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench.h"
#include "dht/asker.h"
#include "dht/direct.h"

#define SENT   512
#define GROUND 64u /* contacts by their nearness to the key */
#define FIRST  1000u

struct desk {
    struct bench b;
    struct dht_asker *a;
    unsigned sent, taken;
    struct rpc said[SENT];
    struct endpoint to[SENT];
    unsigned ends, answered, timed_out;
    uint64_t ended_ms;
    struct dht_result result;
    struct rpc_contact ground[GROUND]; /* nearest to the key first */
};

static bool keep(void *ctx, const struct endpoint *to, const struct rpc *rpc)
{
    struct desk *d = ctx;
    cr_assert_lt(d->sent, SENT);
    d->to[d->sent] = *to;
    d->said[d->sent++] = *rpc;
    return true;
}

static void ended(void *ctx, const struct dht_result *result, struct now now)
{
    struct desk *d = ctx;
    d->ends++;
    d->ended_ms = now.mono_us / 1000;
    d->result = *result;
}

static void host_answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                          struct now now)
{
    struct desk *d = ctx;
    (void)t, (void)now;
    d->answered += id_eq(&who->contact.id, &d->ground[0].id);
}

static void host_timed_out(void *ctx, const struct dht_id *who, struct now now)
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

static struct desk *desk_open(void)
{
    struct desk *d = calloc(1, sizeof(*d));
    bench_open(&d->b);
    struct dht_asker_host host = {
        .send_rpc = keep, .ctx = d, .answered = host_answered, .timed_out = host_timed_out};
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
    cr_assert_eq(d->b.arena->free_slots, d->b.arena->slots);
    bench_close(&d->b);
    free(d);
}

static void wait(struct desk *d, unsigned ms)
{
    while (ms--) {
        d->b.ms++;
        dht_arena_poll(d->b.arena, bench_now(&d->b));
    }
}

/* --- the relay -------------------------------------------------------------------------------- */

#define KNOWN 100u /* contacts from here on are in its table */

/* One's wish that a contact be asked. */
static struct rpc wish(struct desk *d, unsigned by, unsigned whom)
{
    struct rpc r = bench_question(&d->b, RPC_RELAY, by);
    r.relayed = RPC_GET;
    r.target = bench_contact(whom).id;
    r.padded = RPC_PADDED;
    return r;
}

static const struct rpc *last(const struct desk *d)
{
    return &d->said[d->sent - 1];
}

static bool is_to(const struct desk *d, unsigned contact)
{
    struct endpoint e = bench_contact(contact).rpc;
    return endpoint_eq(&d->to[d->sent - 1], &e);
}

Test(relay, puts_the_question_once_and_hands_the_answer_back)
{
    struct desk *d = desk_open();
    bench_route(&d->b, KNOWN, 8, 1);
    struct rpc ask = wish(d, 50, KNOWN);
    dht_relay(d->a, &ask, bench_now(&d->b));
    cr_assert_eq(d->sent, 1);
    cr_assert(is_to(d, KNOWN));
    cr_assert(last(d)->type == RPC_GET && last(d)->flags == RPC_GUEST);
    cr_assert(id_eq(&last(d)->key, &d->b.key) && last(d)->wanted == 1);
    cr_assert(id_eq(&last(d)->from.contact.id, &d->b.routes.self.id), "in its own name");

    struct rpc r = bench_answer(last(d), &d->to[0]);
    r.values = 2;
    r.value[0] = (struct dht_value){bench_contact(50).id, bench_contact(50).rpc, 1000, 5};
    r.value[1] = (struct dht_value){bench_contact(51).id, bench_contact(51).rpc, 1000, 5};
    r.contacts = 2;
    r.contact[0] = d->ground[3];
    r.contact[1] = (struct rpc_contact){bench_contact(50).id, bench_contact(50).rpc};
    r.flags |= RPC_MOVED;
    d->b.ms += 5;
    dht_asker_rpc(d->a, &r, bench_now(&d->b));
    cr_assert_eq(d->sent, 2);
    cr_assert(is_to(d, 50));
    cr_assert(last(d)->type == RPC_RELAY && last(d)->flags == (RPC_REPLY | RPC_MOVED));
    cr_assert(last(d)->tid == ask.tid && last(d)->cookie != 0);
    cr_assert_eq(last(d)->outcome, RPC_ANSWERED);
    cr_assert(last(d)->values == 1 && last(d)->contacts == 1, "without the asker itself");
    cr_assert(id_eq(&last(d)->value[0].node, &r.value[1].node));
    cr_assert(id_eq(&last(d)->contact[0].id, &d->ground[3].id));
    cr_assert_eq(d->b.c->dht_relays_total, 1);
    desk_close(d);
}

Test(relay, asks_nobody_but_whom_its_table_has_at_the_address_that_it_has)
{
    struct desk *d = desk_open();
    bench_route(&d->b, KNOWN, 8, 1);
    struct dht_route *dead = (struct dht_route *)&d->b.routes.route[0];
    dead->alive = 0;
    struct rpc unknown = wish(d, 50, 77), silent = wish(d, 50, 0), itself = wish(d, KNOWN, KNOWN),
               us = wish(d, 50, 1), apart = wish(d, 50, KNOWN);
    silent.target = dht_route_contact(&d->b.routes, 0)->id;
    if (id_eq(&itself.target, &silent.target))
        itself = wish(d, KNOWN + 1, KNOWN + 1);
    apart.wanted = 4; /* in a cluster that is not the asker's */
    const struct rpc *all[] = {&unknown, &silent, &itself, &us, &apart};
    for (unsigned i = 0; i < 5; i++) {
        dht_relay(d->a, all[i], bench_now(&d->b));
        cr_assert_eq(d->sent, i + 1, "the refusal alone");
        cr_assert(endpoint_eq(&d->to[i], &all[i]->from.contact.rpc));
        cr_assert(last(d)->type == RPC_RELAY && last(d)->flags & RPC_REPLY);
        cr_assert_eq(last(d)->outcome, RPC_NOT_PUT, "case %u", i);
        cr_assert_eq(last(d)->values + last(d)->contacts, 0);
    }
    cr_assert_eq(d->b.c->dht_relays_refused_total, 5);
    cr_assert_eq(d->b.c->dht_relays_total, 0);
    desk_close(d);
}

Test(relay, puts_one_question_for_each_and_so_many_in_all)
{
    struct desk *d = desk_open();
    bench_route(&d->b, KNOWN, 60, 1);
    struct rpc first = wish(d, 50, KNOWN), second = wish(d, 50, KNOWN + 1);
    dht_relay(d->a, &first, bench_now(&d->b));
    dht_relay(d->a, &second, bench_now(&d->b));
    cr_assert_eq(d->b.c->dht_relays_total, 1);
    cr_assert_eq(last(d)->outcome, RPC_NOT_PUT);
    for (unsigned i = 1; i < 60; i++) {
        struct rpc r = wish(d, 200 + i, KNOWN + i);
        dht_relay(d->a, &r, bench_now(&d->b));
    }
    cr_assert_eq(d->b.c->dht_relays_total, 32);
    cr_assert_eq(d->b.c->dht_relays_refused_total, 29);
    wait(d, 600); /* all have been silent */
    unsigned before = (unsigned)d->b.c->dht_relays_total;
    for (unsigned ms = 0; ms < 10000; ms += 5) { /* each at once */
        struct rpc r = wish(d, 300 + ms, KNOWN);
        d->sent = 0;
        dht_relay(d->a, &r, bench_now(&d->b));
        if (is_to(d, KNOWN)) {
            struct rpc answer = bench_answer(last(d), &d->to[0]);
            dht_asker_rpc(d->a, &answer, bench_now(&d->b));
        }
        wait(d, 5);
    }
    cr_assert_leq(d->b.c->dht_relays_total - before, 10 * 50 + 33, "fifty a second");
    cr_assert_geq(d->b.c->dht_relays_total - before, 10 * 50);
    desk_close(d);
}

Test(relay, says_that_it_was_not_answered_either_and_says_so_once)
{
    struct desk *d = desk_open();
    bench_route(&d->b, KNOWN, 8, 1);
    struct rpc ask = wish(d, 50, KNOWN);
    dht_relay(d->a, &ask, bench_now(&d->b));
    struct rpc late = bench_answer(last(d), &d->to[0]);
    wait(d, 510);
    cr_assert_eq(d->sent, 2);
    cr_assert(is_to(d, 50) && last(d)->outcome == RPC_SILENT && last(d)->tid == ask.tid);
    dht_asker_rpc(d->a, &late, bench_now(&d->b));
    cr_assert_eq(d->sent, 2);

    ask = wish(d, 50, KNOWN);
    dht_relay(d->a, &ask, bench_now(&d->b));
    struct rpc r = bench_answer(last(d), &d->to[d->sent - 1]);
    r.type = RPC_NOT_MEMBER;
    dht_asker_rpc(d->a, &r, bench_now(&d->b));
    cr_assert_eq(last(d)->outcome, RPC_NO_MEMBER_THERE);
    desk_close(d);
}

Test(relay, sends_no_more_than_it_was_sent)
{
    for (unsigned padded = 0; padded <= RPC_MAX; padded += 31) {
        struct desk *d = desk_open();
        bench_route(&d->b, KNOWN, 8, 1);
        struct rpc ask = wish(d, 50, KNOWN);
        ask.padded = (uint16_t)padded;
        ask.padded = (uint16_t)rpc_length(&ask); /* as it is read */
        dht_relay(d->a, &ask, bench_now(&d->b));
        cr_assert(is_to(d, KNOWN));
        cr_assert_leq(rpc_length(last(d)), ask.padded);
        cr_assert(padded < RPC_PADDED || rpc_length(last(d)) == RPC_PADDED, "room for an answer");
        desk_close(d);
    }
}

Test(relay, does_nothing_for_who_shows_no_cookie_nor_for_the_same_question_again)
{
    struct desk *d = desk_open();
    bench_route(&d->b, KNOWN, 8, 1);
    struct rpc ask = wish(d, 50, KNOWN), answer;
    size_t len;
    ask.cookie ^= 1;
    cr_assert(bench_exchange(&d->b, &ask, &ask.from.contact.rpc, &answer, &len));
    cr_assert(answer.type == RPC_COOKIE && len == RPC_HEAD + RPC_TAG);
    cr_assert_null(d->b.told.relay);
    ask.cookie ^= 1;
    unsigned heard = d->b.heard;
    cr_assert_not(bench_exchange(&d->b, &ask, &ask.from.contact.rpc, &answer, &len), "not yet");
    cr_assert_not_null(d->b.told.relay);
    cr_assert_gt(d->b.heard, heard);
    heard = d->b.heard;
    cr_assert_not(bench_exchange(&d->b, &ask, &ask.from.contact.rpc, &answer, &len));
    cr_assert_eq(d->b.heard, heard);
    cr_assert_eq(d->b.c->dht_drop_repeat_total, 1);
    desk_close(d);
}

/* --- the walk --------------------------------------------------------------------------------- */

/* What they do: we name ground[8], it names ground[0], which does not answer us. */
struct story {
    bool relays; /* ground[8] does, truly */
    bool lies;   /* ... or says at once what is not so */
    unsigned to_target, relayed, stores;
    struct rpc answer; /* the target's */
};

static void respond(struct desk *d, struct story *s)
{
    const struct rpc ask = d->said[d->taken];
    const struct endpoint to = d->to[d->taken++];
    struct rpc r = bench_answer(&ask, &to);
    bool is_self = endpoint_eq(&to, &d->b.routes.self.rpc);
    if (endpoint_eq(&to, &d->ground[0].rpc)) {
        s->to_target++;
        s->stores += ask.type == RPC_STORE;
        return;
    }
    if (ask.type == RPC_RELAY) {
        s->relayed++;
        cr_assert(endpoint_eq(&to, &d->ground[8].rpc), "through who named it");
        cr_assert(id_eq(&ask.target, &d->ground[0].id) && ask.padded == RPC_PADDED);
        if (!s->relays && !s->lies)
            return;
        r = s->answer;
        r.type = RPC_RELAY;
        r.flags = RPC_REPLY | s->answer.flags;
        r.tid = ask.tid;
        r.cookie = 1;
        r.from.contact.rpc = to;
        r.from.contact.id = d->ground[8].id;
    } else if (ask.type == RPC_STORE) {
        r.flags |= RPC_STORED;
    } else if (is_self) {
        r.contact[r.contacts++] = d->ground[8];
    } else if (endpoint_eq(&to, &d->ground[8].rpc)) {
        r.contact[r.contacts++] = d->ground[0];
        r.contact[r.contacts++] = d->ground[9]; /* farther: it answers, and knows nothing */
    }
    d->b.ms += 5;
    dht_asker_rpc(d->a, &r, bench_now(&d->b));
}

static void play(struct desk *d, struct story *s)
{
    for (unsigned ms = 0; ms < 20000 && d->ends == 0; ms++) {
        while (d->taken < d->sent && d->ends == 0)
            respond(d, s);
        wait(d, 1);
    }
    cr_assert_eq(d->ends, 1, "it never ended");
}

static struct story with_value(struct desk *d)
{
    struct story s = {.relays = true};
    (void)d;
    s.answer.values = 1;
    s.answer.value[0] = (struct dht_value){bench_contact(50).id, bench_contact(50).rpc, 60000, 0};
    return s;
}

Test(relay, a_get_finds_what_only_a_node_has_that_it_does_not_reach)
{
    struct desk *d = desk_open();
    struct story s = with_value(d);
    struct dht_path path = {0};
    dht_path_get(d->a, &d->b.key, 1, &path, ended, d, bench_now(&d->b));
    play(d, &s);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert(d->result.n == 1 && s.relayed == 1);
    cr_assert(path.n > 0 && path.hop[path.n - 1].end == DHT_HOP_RELAYED, "the path tells of it");
    cr_assert(id_eq(&path.hop[path.n - 1].id, &d->ground[0].id));
    cr_assert(id_eq(&d->result.teller, &d->ground[8].id), "the relay's word");
    cr_assert_eq(d->answered, 0, "nobody is in a table by that");
    const struct peer *p = peers_find(&d->a->peers, &d->ground[8].id);
    cr_assert_eq(p->srtt_us, 5000, "no sample of two ways");
    p = peers_find(&d->a->peers, &d->ground[0].id);
    cr_assert(p->srtt_us == 0 && p->failures > 0, "nor does it count as reached");
    cr_assert_eq(d->b.c->dht_relays_answered_total, 1);
    desk_close(d);

    d = desk_open();
    d->b.arena->config.mitigate.relay = false;
    s = with_value(d);
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    play(d, &s);
    cr_assert(d->result.end == DHT_NOT_FOUND && s.relayed == 0);
    desk_close(d);
}

Test(relay, a_get_goes_on_to_whom_the_unreached_one_names)
{
    struct desk *d = desk_open();
    struct story s = {.relays = true};
    s.answer.contacts = 1;
    s.answer.contact[0] = d->ground[3];
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    play(d, &s);
    bool was_asked = false;
    for (unsigned i = 0; i < d->sent; i++)
        was_asked |= endpoint_eq(&d->to[i], &d->ground[3].rpc);
    cr_assert(was_asked);
    cr_assert_eq(d->result.end, DHT_NOT_FOUND);
    desk_close(d);
}

Test(relay, a_put_hears_of_the_holders_there_and_stores_where_it_reaches)
{
    struct desk *d = desk_open();
    struct story s = with_value(d);
    dht_put(d->a, &d->b.key, 1, 20000, ended, d, bench_now(&d->b));
    play(d, &s);
    cr_assert_eq(d->result.end, DHT_FOUND);
    cr_assert(d->result.n == 1 && s.relayed == 1);
    for (unsigned i = 0; i < d->sent; i++)
        if (d->said[i].type == RPC_RELAY)
            cr_assert_eq(d->said[i].relayed, RPC_WALK);
    cr_assert_eq(s.stores, 0);
    desk_close(d);
}

/* How long does a get take that finds nothing? */
static unsigned fruitless_ms(struct story s, bool relay)
{
    struct desk *d = desk_open();
    d->b.arena->config.mitigate.relay = relay;
    uint64_t begun_ms = d->b.ms;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    play(d, &s);
    cr_assert_eq(d->result.end, DHT_NOT_FOUND);
    cr_assert_leq(s.relayed, 2);
    cr_assert_eq(d->timed_out, s.to_target, "a relay's silence is held against nobody");
    unsigned took = (unsigned)(d->ended_ms - begun_ms);
    desk_close(d);
    return took;
}

Test(relay, one_that_is_silent_or_lies_costs_a_bounded_delay)
{
    struct story silent = {0}, lies = {.lies = true};
    unsigned without = fruitless_ms(silent, false);
    unsigned with_silent = fruitless_ms(silent, true);
    cr_log_info("nothing found: %u ms, with a silent relay %u ms\n", without, with_silent);
    cr_assert_leq(with_silent, without + 1000);
    lies.answer.outcome = RPC_SILENT;
    cr_assert_leq(fruitless_ms(lies, true), without + 1000);
    lies.answer.outcome = RPC_ANSWERED; /* and names the made up */
    lies.answer.contacts = RPC_CONTACTS;
    for (unsigned i = 0; i < RPC_CONTACTS; i++) {
        struct bench b;
        bench_open(&b);
        lies.answer.contact[i] = (struct rpc_contact){b.key, bench_contact(77).rpc};
        lies.answer.contact[i].id.b[DHT_ID_BYTES - 1] ^= (uint8_t)i;
        bench_close(&b);
    }
    cr_assert_leq(fruitless_ms(lies, true), without + 1000);
}

Test(relay, what_a_liar_says_in_another_s_name_is_not_believed_twice)
{
    struct desk *d = desk_open();
    struct story s = with_value(d);
    struct dht_useless useless = {0};
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    play(d, &s);
    dht_useless_add(&useless, &d->result);
    d->ends = 0;
    s.relayed = 0;
    dht_get_again(d->a, &d->b.key, 1, &useless, ended, d, bench_now(&d->b));
    play(d, &s);
    cr_assert(d->result.end == DHT_NOT_FOUND && s.relayed == 0);
    desk_close(d);
}

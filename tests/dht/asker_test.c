/* SPDX-License-Identifier: BSD-3-Clause */
/* The asking side of one node, whose every question the test answers itself. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench.h"
#include "dht/asker.h"
#include "dht/direct.h"

#define SENT 256

struct desk {
    struct bench b;
    struct dht_asker *a;
    unsigned sent, taken; /* questions asked, and of these answered by the test */
    struct rpc question[SENT];
    struct endpoint to[SENT];
    unsigned ends;
    struct dht_result result;
};

static bool keep(void *ctx, const struct endpoint *to, const struct rpc *rpc)
{
    struct desk *d = ctx;
    cr_assert_lt(d->sent, SENT);
    d->to[d->sent] = *to;
    d->question[d->sent++] = *rpc;
    return true;
}

static void ended(void *ctx, const struct dht_result *result, struct now now)
{
    struct desk *d = ctx;
    (void)now;
    d->ends++;
    d->result = *result;
}

static struct desk *desk_open(void)
{
    struct desk *d = calloc(1, sizeof(*d));
    bench_open(&d->b);
    struct dht_asker_host host = {.send_rpc = keep, .ctx = d};
    d->a = dht_asker_create(d->b.arena, d->b.mac, &host);
    dht_asker_routes(d->a, &d->b.routes);
    d->b.routes.populated = DHT_ALL_LEVELS;
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

static void answer(struct desk *d, const struct rpc *r)
{
    d->b.ms += 5;
    dht_asker_rpc(d->a, r, bench_now(&d->b));
}

static void name(struct rpc *r, unsigned contact)
{
    struct dht_contact c = bench_contact(contact);
    r->contact[r->contacts++] = (struct rpc_contact){c.id, c.rpc};
}

/* Refuses all that is asked until the lookup is over; how many were asked of one contact? */
static unsigned refuse_all(struct desk *d, unsigned contact)
{
    struct endpoint e = bench_contact(contact).rpc;
    unsigned asked = 0;
    while (d->taken < d->sent && d->ends == 0) {
        asked += endpoint_eq(&d->to[d->taken], &e);
        struct rpc r = answer_to_next(d);
        r.type = RPC_NOT_MEMBER;
        answer(d, &r);
    }
    return asked;
}

Test(asker, a_find_asks_who_left_the_cluster_once)
{
    struct desk *d = desk_open();
    struct dht_find f = {.target = d->b.key, .level = 2, .seeds = 1};
    f.seed[0].id = bench_contact(2).id;
    f.seed[0].rpc = bench_contact(2).rpc;
    dht_find(d->a, &f, ended, d, bench_now(&d->b));
    struct rpc r = answer_to_next(d);
    r.served = r.contacts_level = 2;
    name(&r, 3);
    answer(d, &r);
    cr_assert_eq(refuse_all(d, 3), 1);
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND);
    desk_close(d);
}

/* The shard's worker may have heard of our switch before the asker's. */
Test(asker, a_put_does_not_ask_itself_again_and_again_while_it_changes_its_cluster)
{
    struct desk *d = desk_open();
    dht_put(d->a, &d->b.key, 1u << 2, 20000, ended, d, bench_now(&d->b));
    cr_assert_eq(refuse_all(d, 1), 1);
    cr_assert_eq(d->ends, 1);
    desk_close(d);
}

Test(asker, who_is_of_no_cluster_of_ours_is_asked_again_further_down)
{
    struct desk *d = desk_open();
    dht_put(d->a, &d->b.key, 5, 20000, ended, d, bench_now(&d->b));
    struct rpc r = answer_to_next(d);
    cr_assert_eq(d->question[0].wanted, 4);
    r.type = RPC_NOT_MEMBER;
    answer(d, &r);
    cr_assert_eq(d->sent, 2);
    cr_assert(endpoint_eq(&d->to[1], &d->b.routes.self.rpc));
    cr_assert_eq(d->question[1].wanted, 1);
    desk_close(d);
}

static uint64_t store_asked(struct desk *d)
{
    dht_put(d->a, &d->b.key, 1, 20000, ended, d, bench_now(&d->b));
    struct rpc r = answer_to_next(d);
    r.cookie = 0;
    answer(d, &r);
    cr_assert_eq(d->sent, 2);
    cr_assert_eq(d->question[1].type, RPC_STORE);
    return d->question[1].tid;
}

Test(asker, a_cookie_is_taken_and_the_store_repeated_once_under_a_new_tid)
{
    struct desk *d = desk_open();
    uint64_t tid = store_asked(d);
    struct rpc r = answer_to_next(d);
    r.type = RPC_COOKIE;
    r.cookie = 0x77;
    answer(d, &r);
    cr_assert_eq(d->sent, 3);
    cr_assert(d->question[2].type == RPC_STORE && d->question[2].cookie == 0x77);
    cr_assert_neq(d->question[2].tid, tid, "the old one is in the receiver's filter");
    answer(d, &r);
    cr_assert_eq(d->sent, 3, "the first answer again: nobody waits for it");
    r = answer_to_next(d);
    r.flags |= RPC_STORED;
    answer(d, &r);
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND && d->result.level == 0);
    desk_close(d);
}

Test(asker, one_that_gives_cookies_and_takes_none_is_no_place_for_a_value)
{
    struct desk *d = desk_open();
    store_asked(d);
    while (d->taken < d->sent) {
        struct rpc r = answer_to_next(d);
        r.type = RPC_COOKIE;
        answer(d, &r);
    }
    cr_assert_eq(d->ends, 1);
    cr_assert_neq(d->result.end, DHT_FOUND);
    cr_assert_leq(d->sent, 1 + 2 * 3, "asked twice in each of three tries");
    desk_close(d);
}

Test(asker, a_question_to_a_stranger_is_padded_and_to_who_gave_a_cookie_not)
{
    struct desk *d = desk_open();
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    cr_assert_eq(rpc_length(&d->question[0]), RPC_PADDED);
    struct rpc r = answer_to_next(d);
    r.values = 1;
    r.value[0] = (struct dht_value){bench_contact(9).id, bench_contact(9).rpc, 1000, 0};
    answer(d, &r);
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND && d->result.n == 1);
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    cr_assert_eq(d->question[1].cookie, 1);
    cr_assert_eq(rpc_length(&d->question[1]), RPC_HEAD + RPC_KEYED + RPC_TAG);
    desk_close(d);
}

Test(asker, gets_of_one_key_share_one_walk_and_what_was_not_found_is_remembered_a_moment)
{
    struct desk *d = desk_open();
    for (unsigned i = 0; i < 3; i++)
        cr_assert_neq(dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b)), 0);
    cr_assert_eq(d->sent, 1);
    struct rpc r = answer_to_next(d);
    answer(d, &r);
    cr_assert(d->ends == 3 && d->result.end == DHT_NOT_FOUND);
    cr_assert_eq(d->b.c->dht_joined_total, 2);
    cr_assert_eq(dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b)), 0);
    cr_assert(d->ends == 4 && d->sent == 1);
    d->b.ms += d->b.config.negative_ms;
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    cr_assert_eq(d->sent, 2);
    desk_close(d);
}

Test(asker, only_the_one_asked_can_answer)
{
    struct desk *d = desk_open();
    dht_get(d->a, &d->b.key, 1, ended, d, bench_now(&d->b));
    struct rpc good = answer_to_next(d), bad = good;
    bad.tid ^= 1;
    answer(d, &bad);
    bad = good;
    bad.type = RPC_WALK;
    answer(d, &bad);
    bad = good;
    bad.from.contact = bench_contact(3);
    answer(d, &bad);
    bad = good;
    bad.from.contact.rpc.port++;
    answer(d, &bad);
    cr_assert_eq(d->ends, 0);
    answer(d, &good);
    cr_assert_eq(d->ends, 1);
    desk_close(d);
}

/* --- claims ----------------------------------------------------------------------------------- */

#define KNOWN 6 /* contacts 2, 3 ... in our table */

/* Is contact a closer to the key than b? */
static bool is_closer(const struct desk *d, unsigned a, unsigned b)
{
    struct dht_contact ca = bench_contact(a), cb = bench_contact(b);
    struct dht_distance da = distance_between(&ca.id, &d->b.key);
    struct dht_distance db = distance_between(&cb.id, &d->b.key);
    return distance_less(&da, &db);
}

/* Our key is one that a contact is closest to, and we have answered our own question at the highest
 * of these levels. Returns that contact; *closer is a stranger that is closer yet. */
static unsigned claim_begun_at(struct desk *d, unsigned levels, unsigned *closer)
{
    unsigned nearest = 1, nearer = 0; /* than we, 1, are: two at least */
    bench_route(&d->b, 2, KNOWN, levels);
    for (unsigned k = 0; nearer < 2; k++) {
        d->b.key = bench_key(k);
        nearest = 1;
        nearer = 0;
        for (unsigned i = 2; i < 2 + KNOWN; i++) {
            nearer += is_closer(d, i, 1);
            if (is_closer(d, i, nearest))
                nearest = i;
        }
    }
    *closer = 2 + KNOWN;
    while (!is_closer(d, *closer, nearest))
        ++*closer;
    dht_claim(d->a, &d->b.key, levels, 20000, ended, d, bench_now(&d->b));
    struct rpc r = answer_to_next(d);
    cr_assert_eq(d->question[0].type, RPC_WALK);
    r.served = r.contacts_level = levels > 1 ? 2 : 0;
    answer(d, &r);
    return nearest;
}

static unsigned claim_begun(struct desk *d, unsigned *closer)
{
    return claim_begun_at(d, 1, closer);
}

static bool asked(const struct desk *d, unsigned question, uint8_t type, unsigned contact)
{
    struct endpoint e = bench_contact(contact).rpc;
    return question < d->sent && d->question[question].type == type &&
           endpoint_eq(&d->to[question], &e);
}

static void hold(struct rpc *r, unsigned contact)
{
    struct dht_contact c = bench_contact(contact);
    r->value[r->values++] = (struct dht_value){c.id, {c.v4, 80}, 20000, 100};
    r->held = r->values;
}

Test(asker, a_claim_is_stored_at_the_nearest_that_we_know_without_a_walk_to_it)
{
    struct desk *d = desk_open();
    unsigned closer, nearest = claim_begun(d, &closer);
    cr_assert(asked(d, 1, RPC_STORE, nearest));
    struct rpc r = answer_to_next(d);
    r.flags |= RPC_STORED;
    name(&r, nearest == 2 ? 3 : 2); /* who is farther than it */
    answer(d, &r);
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND && d->result.n == 0);
    desk_close(d);
}

Test(asker, a_claim_that_hears_of_one_nearer_is_stored_there_too)
{
    struct desk *d = desk_open();
    unsigned closer, nearest = claim_begun(d, &closer);
    struct rpc r = answer_to_next(d);
    r.flags |= RPC_STORED;
    name(&r, closer);
    answer(d, &r);
    cr_assert_eq(d->ends, 0);
    cr_assert(asked(d, 2, RPC_STORE, closer));
    r = answer_to_next(d);
    r.flags |= RPC_STORED;
    hold(&r, nearest);
    answer(d, &r);
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND && d->result.n == 1);
    struct dht_id teller = bench_contact(closer).id;
    cr_assert(id_eq(&d->result.teller, &teller));
    desk_close(d);
}

Test(asker, a_claim_whose_nearest_does_not_answer_walks)
{
    struct desk *d = desk_open();
    unsigned closer, nearest = claim_begun(d, &closer);
    d->b.ms += 3000;
    dht_arena_poll(d->b.arena, bench_now(&d->b));
    bool again = false;
    for (d->taken = 2; d->taken < d->sent && !again;) {
        cr_assert_eq(d->question[d->taken].type, RPC_WALK, "is it there at all?");
        again = asked(d, d->taken, RPC_WALK, nearest);
        struct rpc r = answer_to_next(d);
        answer(d, &r);
    }
    cr_assert(again);
    cr_assert(asked(d, d->taken, RPC_STORE, nearest));
    desk_close(d);
}

static unsigned asked_at(const struct desk *d, unsigned contact, unsigned wanted)
{
    struct endpoint e = bench_contact(contact).rpc;
    unsigned n = 0;
    for (unsigned i = 0; i < d->sent; i++)
        n += d->question[i].wanted == wanted && endpoint_eq(&d->to[i], &e);
    return n;
}

/* It left its cluster: the next nearest of it is found, and nobody is asked for ever. */
Test(asker, a_claim_whose_nearest_has_left_the_cluster_is_stored_at_the_next)
{
    struct desk *d = desk_open();
    unsigned closer, left = claim_begun_at(d, 5, &closer), others[DHT_LEVELS] = {0};
    cr_assert(asked(d, 1, RPC_STORE, left));
    cr_assert_eq(d->question[1].wanted, 4);
    struct rpc r = answer_to_next(d);
    r.type = RPC_NOT_MEMBER;
    answer(d, &r);
    while (d->taken < d->sent && d->ends == 0) {
        unsigned level = d->question[d->taken].wanted == 4 ? 2 : 0;
        bool own = endpoint_eq(&d->to[d->taken], &d->b.routes.self.rpc);
        bool again = level == 2 && asked(d, d->taken, d->question[d->taken].type, left);
        r = answer_to_next(d);
        r.served = r.contacts_level = level & 15;
        if (again) {
            r.type = RPC_NOT_MEMBER;
        } else if (r.type == RPC_STORE) {
            r.flags |= RPC_STORED;
            others[level] += !own;
        }
        answer(d, &r);
    }
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND);
    cr_expect_eq(asked_at(d, left, 4), 1);
    cr_expect_gt(others[2], 0, "at us, or nowhere in the cluster");
    cr_expect_gt(others[0], 0);
    cr_expect_gt(asked_at(d, left, 1), 0, "of the planet it is");
    desk_close(d);
}

/* Asked for the way on after it named those of the cluster only: it has our reference already, and
 * whom it would name now may follow us. */
Test(asker, a_claim_is_not_stored_twice_at_one_place)
{
    struct desk *d = desk_open();
    unsigned closer, nearest = claim_begun_at(d, 5, &closer), stores = 0;
    struct endpoint root = bench_contact(nearest).rpc;
    d->b.ms += 3000; /* the STORE in the WALK's place is lost */
    dht_arena_poll(d->b.arena, bench_now(&d->b));
    for (d->taken = 2; d->taken < d->sent && d->ends == 0;) {
        unsigned level = d->question[d->taken].wanted == 4 ? 2 : 0;
        bool there = endpoint_eq(&d->to[d->taken], &root);
        struct rpc r = answer_to_next(d);
        r.served = r.contacts_level = level & 15;
        if (r.type == RPC_STORE) {
            r.flags |= RPC_STORED;
            if (there && stores++ > 0)
                hold(&r, closer);
        }
        answer(d, &r);
    }
    cr_assert(d->ends == 1 && d->result.end == DHT_FOUND);
    cr_expect_eq(stores, 1);
    cr_expect_gt(asked_at(d, nearest, 1), 0, "but asked");
    cr_expect_eq(d->result.n, 0);
    desk_close(d);
}

Test(asker, a_claim_ends_with_who_names_as_many_holders_as_have_places)
{
    struct desk *d = desk_open();
    unsigned closer;
    claim_begun(d, &closer);
    struct rpc r = answer_to_next(d);
    r.flags |= RPC_FULL;
    for (unsigned i = 0; i < DHT_VALUES; i++)
        hold(&r, 20 + i);
    answer(d, &r);
    cr_assert(d->ends == 1 && d->result.end == DHT_NOT_FOUND && d->result.n == DHT_VALUES);
    cr_assert_eq(d->sent, 2);
    desk_close(d);
}

Test(asker, a_claim_goes_on_from_who_is_full_and_names_nobody)
{
    struct desk *d = desk_open();
    unsigned closer;
    claim_begun(d, &closer);
    struct rpc r = answer_to_next(d);
    r.flags |= RPC_FULL;
    answer(d, &r);
    cr_assert_eq(d->ends, 0);
    cr_assert_gt(d->sent, 2);
    desk_close(d);
}

Test(asker, one_that_is_let_go_is_told_to_nobody_and_goes_on)
{
    struct desk *d = desk_open();
    bench_route(&d->b, 2, KNOWN, 1);
    uint64_t ticket = dht_put(d->a, &d->b.key, 1, 20000, ended, d, bench_now(&d->b));
    dht_let_go(d->a, ticket);
    for (unsigned stored = 0; stored == 0;) {
        struct rpc r = answer_to_next(d);
        stored = r.type == RPC_STORE;
        r.flags |= stored ? RPC_STORED : 0;
        answer(d, &r);
    }
    cr_assert_eq(d->ends, 0);
    desk_close(d);
}

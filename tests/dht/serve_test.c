/* SPDX-License-Identifier: BSD-3-Clause */
/* One node's serving side: who is let in, at which level, and what it is given. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench.h"
#include "dht/direct.h"

Test(serve, who_asks_for_another_hears_of_its_own_value_too)
{
    struct bench b;
    bench_open(&b);
    struct rpc r = bench_question(&b, RPC_STORE, 2);
    cr_assert(bench_ask(&b, &r).flags & RPC_STORED);
    r = bench_question(&b, RPC_GET, 2);
    cr_assert_eq(bench_ask(&b, &r).values, 0);
    r = bench_question(&b, RPC_GET, 2);
    r.flags = RPC_GUEST;
    cr_assert_eq(bench_ask(&b, &r).values, 1);
    bench_close(&b);
}

/* --- cookies ---------------------------------------------------------------------------------- */

/* Four holders and many closer contacts: an answer that wants to be large. */
static void fill(struct bench *b)
{
    bench_route(b, 100, 64, DHT_ALL_LEVELS);
    for (unsigned i = 0; i < DHT_VALUES; i++) {
        struct rpc r = bench_question(b, RPC_STORE, 10 + i);
        cr_assert(bench_ask(b, &r).flags & RPC_STORED);
    }
}

Test(serve, who_shows_no_cookie_gets_no_more_than_it_sent)
{
    struct bench b;
    bench_open(&b);
    fill(&b);
    for (uint8_t type = RPC_PING; type <= RPC_RELAY; type++)
        for (unsigned padded = 0; padded <= RPC_MAX; padded += 19) {
            if (type == RPC_COOKIE || type == RPC_NOT_MEMBER) /* no questions */
                break;
            struct rpc r = bench_question(&b, type, 2), a;
            size_t len;
            b.routes.has_coordinate = true;
            r.cookie = 0;
            r.padded = (uint16_t)padded;
            r.relayed = RPC_GET;
            r.via = (struct rpc_contact){bench_contact(3).id, bench_contact(3).rpc};
            cr_assert(bench_exchange(&b, &r, &r.from.contact.rpc, &a, &len));
            cr_assert_leq(len, rpc_length(&r), "type %u padded to %u", type, padded);
            if (type == RPC_STORE || type == RPC_REMOVE || type >= RPC_REPORT)
                cr_assert(a.type == RPC_COOKIE && len == RPC_HEAD + RPC_TAG);
        }
    bench_close(&b);
}

/* A key far from this node and near many others, so that there are contacts to name. */
static void aim(struct bench *b)
{
    b->key = b->routes.self.id;
    b->key.b[0] ^= 0x80;
}

/* Its walk must learn the way: one that hears of nobody closer ends too early. */
Test(serve, a_padded_question_of_a_stranger_is_answered_in_full)
{
    struct bench b;
    bench_open(&b);
    aim(&b);
    fill(&b);
    static const uint8_t types[] = {RPC_GET, RPC_WALK, RPC_FIND};
    for (unsigned i = 0; i < 3; i++) {
        struct rpc r = bench_question(&b, types[i], 2), known = bench_ask(&b, &r);
        cr_assert_eq(known.values, types[i] == RPC_FIND ? 0 : DHT_VALUES);
        cr_assert_eq(known.contacts > 1, types[i] != RPC_GET);
        r.cookie = 0;
        cr_assert_lt(bench_ask(&b, &r).values, DHT_VALUES, "unpadded: cut");
        r.padded = RPC_PADDED;
        struct rpc a = bench_ask(&b, &r);
        cr_assert(a.values == known.values && a.contacts == known.contacts, "type %u", types[i]);
    }
    bench_close(&b);
}

Test(serve, a_store_without_a_cookie_is_told_one_and_done_when_it_shows_it)
{
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < 2; i++) {
        struct rpc r = bench_question(&b, i ? RPC_REMOVE : RPC_STORE, 2);
        r.cookie = 0;
        struct rpc a = bench_ask(&b, &r);
        cr_assert_eq(a.type, RPC_COOKIE);
        r.cookie = a.cookie ^ 1;
        cr_assert_eq(bench_ask(&b, &r).type, RPC_COOKIE, "a guess");
        struct rpc other = bench_question(&b, r.type, 3);
        other.cookie = a.cookie;
        cr_assert_eq(bench_ask(&b, &other).type, RPC_COOKIE, "somebody else's");
        cr_assert_eq(b.store->keys, i, "nothing was done yet");
        r.cookie = a.cookie;
        cr_assert_eq(bench_ask(&b, &r).type, r.type);
    }
    cr_assert_eq(b.c->dht_cookies_total, 6);
    bench_close(&b);
}

Test(serve, a_cookie_lasts_two_generations_and_is_the_same_at_all_workers_of_a_node)
{
    struct bench b, worker;
    static const uint8_t other[32] = {9}, own[32] = {7};
    bench_open(&b);
    bench_open(&worker);
    struct rpc r = bench_question(&b, RPC_STORE, 2);
    struct dht_arena *stranger = dht_arena_create(&b.config, 5, other, own, bench_now(&b));
    cr_assert_eq(bench_ask(&worker, &r).type, RPC_STORE);
    cr_assert_not(cookie_valid(&stranger->cookies, r.cookie, &r.from.contact.rpc,
                               &r.from.contact.id, bench_now(&b)));
    b.ms += 299999;
    r.tid++;
    cr_assert_eq(bench_ask(&b, &r).type, RPC_STORE);
    b.ms += 300001;
    r.tid++;
    cr_assert_eq(bench_ask(&b, &r).type, RPC_COOKIE);
    dht_arena_destroy(stranger);
    bench_close(&b);
    bench_close(&worker);
}

/* --- who is not let in ------------------------------------------------------------------------ */

static bool answered(struct bench *b, const struct rpc *r, const struct endpoint *from)
{
    struct rpc a;
    size_t len;
    return bench_exchange(b, r, from, &a, &len);
}

Test(serve, what_is_not_authentic_gets_no_answer_and_is_counted_by_reason)
{
    struct bench b;
    bench_open(&b);
    struct endpoint elsewhere = bench_contact(3).rpc;
    struct rpc r = bench_question(&b, RPC_GET, 2);
    cr_assert_not(answered(&b, &r, &elsewhere), "its ID is another address's hash");
    cr_assert_eq(b.c->dht_drop_id_total, 1);

    r = bench_question(&b, RPC_GET, 2);
    r.from.contact.id.b[0] ^= 1;
    cr_assert_not(answered(&b, &r, &r.from.contact.rpc));
    cr_assert_eq(b.c->dht_drop_id_total, 2);

    r = bench_question(&b, RPC_GET, 2);
    r.key_id = 9;
    cr_assert_not(answered(&b, &r, &r.from.contact.rpc));
    cr_assert_eq(b.c->dht_drop_mac_total, 1);

    r = bench_question(&b, RPC_GET, 2);
    r.flags = RPC_REPLY;
    cr_assert_not(answered(&b, &r, &r.from.contact.rpc));
    cr_assert_eq(b.c->dht_drop_type_total, 1);
    cr_assert_eq(b.c->dht_requests_total, 0);
    cr_assert_eq(b.heard, 0, "control hears nothing of it");
    bench_close(&b);
}

Test(serve, a_burst_answers_the_good_and_drops_the_bad_among_them)
{
    struct bench b;
    bench_open(&b);
    uint8_t packet[70][RPC_MAX];
    struct datagram d[70];
    for (unsigned i = 0; i < 70; i++) {
        struct rpc r = bench_question(&b, i % 3 ? RPC_STORE : RPC_PING, 2 + i);
        r.key.b[0] = (uint8_t)i;
        r.tid = i;
        size_t len = rpc_write(&r, packet[i], RPC_MAX);
        dht_mac_sign(b.mac, packet[i], len - RPC_TAG, packet[i] + len - RPC_TAG);
        if (i % 7 == 0)
            packet[i][40] ^= 1;
        d[i] = (struct datagram){.from = r.from.contact.rpc,
                                 .data = packet[i],
                                 .len = (uint16_t)len,
                                 .room = i == 68 ? 100 : RPC_MAX,
                                 .reply = packet[i]};
    }
    dht_serve(b.store, b.mac, &b.routes, d, 70, NULL, NULL, bench_now(&b));
    for (unsigned i = 0; i < 70; i++) {
        struct rpc a;
        size_t len = d[i].reply_len;
        cr_assert_eq(len == 0, i % 7 == 0 || i == 68, "%u", i);
        if (len == 0)
            continue;
        cr_assert_eq(rpc_read(packet[i], len, &b.routes.self.rpc, &a), RPC_OK);
        cr_assert_eq(a.tid, i);
        cr_assert(dht_mac_verify(b.mac, 1, packet[i], len - RPC_TAG, packet[i] + len - RPC_TAG));
        cr_assert_eq(!!(a.flags & RPC_STORED), i % 3 != 0);
    }
    cr_assert_eq(b.c->dht_drop_mac_total, 10);
    cr_assert_eq(b.c->dht_drop_room_total, 1);
    bench_close(&b);
}

Test(serve, a_network_that_asks_too_much_is_dropped_and_its_neighbours_are_not)
{
    struct bench b;
    struct dht_config config = dht_config_default();
    config.lookups = 4;
    config.prefix_rate = 100;
    bench_open_config(&b, &config, 64);
    unsigned served = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct rpc r = bench_question(&b, RPC_PING, 2 + i % 200);
        served += answered(&b, &r, &r.from.contact.rpc);
    }
    cr_assert(served >= 100 && served <= 102, "a second's worth: %u", served);
    cr_assert_eq(b.c->dht_drop_rate_total, 1000 - served);
    struct rpc neighbour = bench_question(&b, RPC_PING, 300);
    cr_assert(answered(&b, &neighbour, &neighbour.from.contact.rpc));
    b.ms += 500;
    for (unsigned i = 0; i < 1000; i++) {
        struct rpc r = bench_question(&b, RPC_PING, 2 + i % 200);
        served += answered(&b, &r, &r.from.contact.rpc);
    }
    cr_assert(served >= 149 && served <= 153, "and 100 a second: %u", served);
    bench_close(&b);
}

Test(serve, the_same_store_or_remove_does_its_work_once)
{
    struct bench b;
    bench_open(&b);
    struct rpc store = bench_question(&b, RPC_STORE, 2), get = bench_question(&b, RPC_GET, 3);
    struct rpc remove = bench_question(&b, RPC_REMOVE, 2);
    cr_assert(bench_ask(&b, &store).flags & RPC_STORED);
    cr_assert_not(answered(&b, &store, &store.from.contact.rpc));
    cr_assert_eq(b.c->dht_drop_repeat_total, 1);
    bench_ask(&b, &remove);
    cr_assert_not(answered(&b, &store, &store.from.contact.rpc), "nor does it undo the remove");
    cr_assert_eq(bench_ask(&b, &get).values, 0);
    cr_assert_eq(bench_ask(&b, &get).type, RPC_GET, "what changes nothing may come again");
    store.tid = b.tid++;
    cr_assert(bench_ask(&b, &store).flags & RPC_STORED, "a new one is another");
    cr_assert_not(answered(&b, &remove, &remove.from.contact.rpc));
    cr_assert_eq(bench_ask(&b, &get).values, 1);
    bench_close(&b);
}

/* --- levels ----------------------------------------------------------------------------------- */

static struct rpc question_at(struct bench *b, uint8_t type, unsigned by, unsigned wanted)
{
    struct rpc r = bench_question(b, type, by);
    r.wanted = (uint8_t)wanted;
    r.from.level[1].cid = BENCH_CID1;
    r.from.level[2].cid = BENCH_CID2;
    return r;
}

Test(serve, answers_at_the_highest_level_that_is_wanted_and_shared)
{
    struct bench b;
    bench_open(&b);
    for (unsigned shared = 1; shared < 8; shared += 2)
        for (unsigned wanted = 1; wanted < 8; wanted++) {
            struct rpc r = question_at(&b, RPC_GET, 2, wanted);
            r.from.level[1].cid += !(shared & 2);
            r.from.level[2].cid += !(shared & 4);
            struct rpc a = bench_ask(&b, &r);
            cr_assert_eq(a.type == RPC_NOT_MEMBER, (wanted & shared) == 0);
            if (wanted & shared)
                cr_assert_eq(a.served, 31 - __builtin_clz(wanted & shared), "%u, %u", wanted,
                             shared);
        }
    cr_assert_eq(b.c->dht_not_member_total, 5);
    bench_close(&b);
}

Test(serve, two_that_are_in_no_cluster_share_none)
{
    struct bench b;
    bench_open(&b);
    b.routes.level[2].is.cid = 0;
    struct rpc r = question_at(&b, RPC_GET, 2, 4);
    r.from.level[2].cid = 0;
    cr_assert_eq(bench_ask(&b, &r).type, RPC_NOT_MEMBER);
    bench_close(&b);
}

Test(serve, a_guest_finds_its_way_in_a_cluster_and_gets_nothing_else_there)
{
    struct bench b;
    bench_open(&b);
    bench_route(&b, 100, 30, 1u << 2);
    for (uint8_t type = RPC_GET; type <= RPC_FIND; type++) {
        struct rpc r = bench_question(&b, type, 2);
        r.wanted = 4;
        r.flags = RPC_GUEST;
        struct rpc a = bench_ask(&b, &r);
        cr_assert_eq(a.type, type == RPC_FIND ? RPC_FIND : RPC_NOT_MEMBER, "%u", type);
        if (type == RPC_FIND)
            cr_assert(a.served == 2 && a.contacts_level == 2 && a.contacts == RPC_CONTACTS);
        r.flags = 0;
        r.tid = b.tid++;
        cr_assert_eq(bench_ask(&b, &r).type, RPC_NOT_MEMBER);
    }
    bench_close(&b);
}

Test(serve, the_cluster_that_was_left_a_moment_ago_still_gets_but_stores_nothing)
{
    struct bench b;
    bench_open(&b);
    struct rpc r = question_at(&b, RPC_STORE, 10, 4);
    cr_assert(bench_ask(&b, &r).flags & RPC_STORED);
    b.routes.level[2].previous = BENCH_CID2;
    b.routes.level[2].is.cid = 0x3333;
    b.routes.level[2].epoch++;

    struct rpc get = question_at(&b, RPC_GET, 2, 4), a = bench_ask(&b, &get);
    cr_assert(a.flags & RPC_MOVED);
    cr_assert(a.values == 1 && a.served == 2);
    for (uint8_t type = RPC_WALK; type <= RPC_FIND; type++) {
        r = question_at(&b, type, 2, 4);
        cr_assert_eq(bench_ask(&b, &r).type, RPC_NOT_MEMBER, "%u", type);
    }
    get.from.level[2].cid = 0x3333;
    a = bench_ask(&b, &get);
    cr_assert(a.values == 0 && !(a.flags & RPC_MOVED), "the new one has nothing yet");
    get.wanted = 2;
    a = bench_ask(&b, &get);
    cr_assert_eq(a.values, 1, "further down it is still true");
    b.routes.level[2].previous = 0;
    get = question_at(&b, RPC_GET, 2, 4);
    cr_assert_eq(bench_ask(&b, &get).type, RPC_NOT_MEMBER, "the grace is over");
    bench_close(&b);
}

Test(serve, names_contacts_of_the_next_level_down_where_nobody_is_closer)
{
    struct bench b;
    bench_open(&b);
    bench_route(&b, 100, 40, 1);
    aim(&b);
    struct rpc r = question_at(&b, RPC_GET, 2, DHT_ALL_LEVELS), a = bench_ask(&b, &r);
    cr_assert(a.served == 2 && a.contacts > 0);
    cr_assert_eq(a.contacts_level, 0);
    bench_close(&b);
}

Test(serve, a_get_hears_of_values_of_a_lower_level_beside_the_contacts)
{
    struct bench b;
    bench_open(&b);
    bench_route(&b, 100, 40, DHT_ALL_LEVELS);
    aim(&b);
    struct rpc r = bench_question(&b, RPC_STORE, 10), a;
    bench_ask(&b, &r);
    r = question_at(&b, RPC_GET, 2, DHT_ALL_LEVELS);
    a = bench_ask(&b, &r);
    cr_assert(a.served == 2 && a.values == 1 && a.values_level == 0);
    cr_assert(a.contacts > 0 && a.contacts_level == 2, "the walk goes on");
    r.wanted = 6;
    cr_assert_eq(bench_ask(&b, &r).values, 0, "not wanted");
    r = question_at(&b, RPC_STORE, 11, 2);
    a = bench_ask(&b, &r);
    cr_assert(a.flags & RPC_STORED && a.values == 1, "a putter is told of all levels");
    r = question_at(&b, RPC_GET, 2, DHT_ALL_LEVELS);
    a = bench_ask(&b, &r);
    cr_assert(a.values == 1 && a.values_level == 1 && a.contacts > 0);
    r.wanted = 3;
    a = bench_ask(&b, &r);
    cr_assert(a.served == 1 && a.values == 1 && a.contacts == 0, "the level asked for ends it");
    bench_close(&b);
}

Test(serve, the_root_of_a_key_names_the_next_closest)
{
    struct bench b;
    bench_open(&b);
    bench_route(&b, 100, 40, 1);
    b.key = b.routes.self.id;
    static const uint8_t types[] = {RPC_GET, RPC_WALK, RPC_REMOVE};
    for (unsigned i = 0; i < 3; i++) {
        struct rpc r = question_at(&b, types[i], 2, DHT_ALL_LEVELS), a = bench_ask(&b, &r);
        cr_assert(a.served == 2 && a.contacts == RPC_CONTACTS && a.contacts_level == 0);
        for (unsigned j = 0; j < RPC_CONTACTS; j++)
            cr_assert(id_eq(&a.contact[j].id, &dht_route_contact(&b.routes, j)->id));
    }
    bench_close(&b);
}

/* --- stores ----------------------------------------------------------------------------------- */

Test(serve, takes_only_the_sender_s_own_address)
{
    struct bench b;
    bench_open(&b);
    struct rpc r = bench_question(&b, RPC_STORE, 10);
    r.http.ip = bench_contact(11).v4;
    cr_assert(bench_ask(&b, &r).flags & RPC_REFUSED);
    r = bench_question(&b, RPC_STORE, 10);
    r.http.port = 81;
    cr_assert(bench_ask(&b, &r).flags & RPC_REFUSED);
    r = bench_question(&b, RPC_STORE, 10);
    memset(&r.http.ip, 0, sizeof(r.http.ip)); /* equals its missing IPv6 address */
    cr_assert(bench_ask(&b, &r).flags & RPC_REFUSED);
    r = bench_question(&b, RPC_STORE, 10);
    r.ttl_ms = 0;
    cr_assert(bench_ask(&b, &r).flags & RPC_REFUSED);
    cr_assert_eq(b.c->dht_stores_foreign_total, 4);
    struct rpc get = bench_question(&b, RPC_GET, 2);
    cr_assert_eq(bench_ask(&b, &get).values, 0);
    r = bench_question(&b, RPC_STORE, 10);
    r.ttl_ms = UINT32_MAX;
    cr_assert(bench_ask(&b, &r).flags & RPC_STORED);
    cr_assert_eq(bench_ask(&b, &get).value[0].ttl_ms, RPC_TTL_MAX_MS);
    r = bench_question(&b, RPC_STORE, 11);
    addr_parse("2001:db8::11", &r.from.contact.v6);
    r.http.ip = r.from.contact.v6;
    cr_assert(bench_ask(&b, &r).flags & RPC_REFUSED, "a claim: it did not come from there");
    bench_close(&b);
}

Test(serve, who_is_leaving_takes_no_values_but_gives_what_it_has)
{
    struct bench b;
    bench_open(&b);
    struct rpc r = bench_question(&b, RPC_STORE, 10), get = bench_question(&b, RPC_GET, 2);
    cr_assert(bench_ask(&b, &r).flags & RPC_STORED);
    b.routes.leaving = true;
    r = bench_question(&b, RPC_STORE, 11);
    struct rpc a = bench_ask(&b, &r);
    cr_assert_eq(a.flags, RPC_REPLY | RPC_FULL | RPC_LEAVING);
    r = bench_question(&b, RPC_WALK, 11);
    cr_assert(bench_ask(&b, &r).flags & RPC_FULL);
    cr_assert_eq(bench_ask(&b, &get).values, 1);
    bench_close(&b);
}

Test(serve, a_putter_is_told_who_was_there_before_it_and_a_walk_when_there_is_no_room)
{
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < DHT_VALUES; i++) {
        struct rpc r = bench_question(&b, RPC_STORE, 10 + i), a = bench_ask(&b, &r);
        cr_assert(a.flags & RPC_STORED);
        cr_assert_eq(a.values, i, "those before");
        for (unsigned j = 0; j < i; j++)
            cr_assert_eq(a.value[j].age_ms, 100 * (i - j));
        b.ms += 100;
    }
    struct rpc r = bench_question(&b, RPC_STORE, 20), a = bench_ask(&b, &r);
    cr_assert_eq(a.flags & (RPC_FULL | RPC_STORED), RPC_FULL);
    cr_assert_eq(a.values, 4);
    cr_assert_eq(b.c->dht_stores_full_total, 1);
    r = bench_question(&b, RPC_WALK, 20);
    a = bench_ask(&b, &r);
    cr_assert(a.flags & RPC_FULL);
    cr_assert(a.values == 4 && a.held == 4 && a.least_ms == 19600);
    r = bench_question(&b, RPC_WALK, 11);
    cr_assert_not(bench_ask(&b, &r).flags & RPC_FULL, "its own place");
    r = bench_question(&b, RPC_GET, 11);
    cr_assert_eq(bench_ask(&b, &r).values, 3, "nobody is told of itself");
    bench_close(&b);
}

/* --- what control hears ----------------------------------------------------------------------- */

Test(serve, control_hears_of_a_sender_once_a_second_and_of_news_each_time)
{
    struct bench b;
    bench_open(&b);
    struct rpc r = bench_question(&b, RPC_PING, 2);
    for (unsigned i = 0; i < 10; i++)
        bench_ask(&b, &r);
    cr_assert_eq(b.heard, 1);
    r.news = 1;
    r.news_item[0] = (struct dht_news){bench_contact(4).id, 3, DHT_NEWS_DEAD};
    bench_ask(&b, &r);
    bench_ask(&b, &r);
    cr_assert(b.heard == 3 && b.told.n_news == 1 && b.told.news[0].incarnation == 3);
    b.ms += 1000;
    r = bench_question(&b, RPC_PING, 2);
    bench_ask(&b, &r);
    cr_assert_eq(b.heard, 4);
    r = bench_question(&b, RPC_VIA, 2);
    r.via = (struct rpc_contact){bench_contact(3).id, bench_contact(3).rpc};
    cr_assert_eq(bench_ask(&b, &r).type, RPC_VIA);
    cr_assert(b.heard == 5 && b.told.asks_via && id_eq(&b.told.via, &r.via.id));
    r = bench_question(&b, RPC_PING, 2);
    r.from.leaving = true;
    bench_ask(&b, &r);
    cr_assert_eq(b.heard, 6);
    r = bench_question(&b, RPC_GET, 1);
    bench_ask(&b, &r);
    cr_assert_eq(b.heard, 6, "itself is no news");
    bench_close(&b);
}

/* --- reports of dead nodes -------------------------------------------------------------------- */

static struct rpc report_of(struct bench *b, unsigned dead, unsigned by)
{
    struct rpc r = bench_question(b, RPC_REPORT, by);
    r.dead = bench_contact(dead).id;
    return r;
}

Test(serve, a_report_has_the_control_thread_look_and_changes_nothing_itself)
{
    struct bench b;
    bench_open(&b);
    bench_route(&b, 100, 64, DHT_ALL_LEVELS);
    aim(&b);
    struct rpc store = bench_question(&b, RPC_STORE, 10), get = bench_question(&b, RPC_GET, 2);
    bench_ask(&b, &store);
    bench_ask(&b, &get);
    unsigned heard = b.heard;
    struct rpc r = report_of(&b, 10, 2), a = bench_ask(&b, &r);
    cr_assert_eq(a.type, RPC_REPORT);
    cr_assert(a.contacts > 0 && a.values == 0, "its walk goes on");
    cr_assert_eq(b.heard, heard + 1);
    cr_assert(b.told.asks_check && id_eq(&b.told.suspect, &r.dead));
    cr_assert(endpoint_eq(&b.told.suspect_http, &store.http), "where it is, by its own STORE");
    cr_assert_eq(bench_ask(&b, &get).values, 1, "still told of");
    cr_assert_eq(b.c->dht_reports_total, 1);
    bench_close(&b);
}

Test(serve, control_is_asked_once_a_second_a_node_and_only_about_those_named)
{
    struct bench b;
    bench_open(&b);
    struct rpc store = bench_question(&b, RPC_STORE, 10), r;
    bench_ask(&b, &store);
    r = report_of(&b, 10, 1); /* this node's own proxy found it out */
    bench_ask(&b, &r);
    cr_assert(b.heard == 2 && b.told.asks_check);
    for (unsigned by = 20; by < 30; by++) {
        b.heard = 0;
        r = report_of(&b, 10, by);
        bench_ask(&b, &r);
        cr_assert(b.heard == 1 && !b.told.asks_check, "the sender is new, and that is all");
    }
    b.ms += 1000;
    b.heard = 0;
    r = report_of(&b, 10, 1);
    bench_ask(&b, &r);
    cr_assert(b.heard == 1 && b.told.asks_check, "a second later");

    b.ms += 1000;
    b.heard = 0;
    r = report_of(&b, 11, 1);
    bench_ask(&b, &r);
    b.key = bench_key(77);
    r = report_of(&b, 10, 1);
    bench_ask(&b, &r);
    cr_assert_eq(b.heard, 0, "nothing here names it, under this key or at all");
    bench_close(&b);
}

Test(serve, a_dead_node_is_not_told_of_until_it_stores_again)
{
    struct bench b;
    bench_open(&b);
    struct rpc store = bench_question(&b, RPC_STORE, 10), other = bench_question(&b, RPC_STORE, 11);
    struct rpc get = bench_question(&b, RPC_GET, 2);
    bench_ask(&b, &store);
    bench_ask(&b, &other);
    struct dht_id dead = bench_contact(10).id, stranger = bench_contact(12).id;
    dht_forget(b.arena, &dead);
    dht_forget(b.arena, &dead);
    dht_forget(b.arena, &stranger);
    cr_assert_eq(b.c->dht_forgotten_total, 1);
    struct rpc a = bench_ask(&b, &get);
    cr_assert(a.values == 1 && id_eq(&a.value[0].node, &other.from.contact.id));
    unsigned heard = b.heard;
    struct rpc r = report_of(&b, 10, 2);
    bench_ask(&b, &r);
    cr_assert_eq(b.heard, heard, "that is known");

    b.key = bench_key(5);
    store = bench_question(&b, RPC_STORE, 10);
    cr_assert(bench_ask(&b, &store).flags & RPC_STORED);
    cr_assert_eq(bench_ask(&b, &get).values, 2, "the old key's, too");
    bench_close(&b);
}

Test(serve, a_ping_is_answered_with_the_coordinate_and_who_this_is)
{
    struct bench b;
    bench_open(&b);
    b.routes.incarnation = 7;
    b.routes.sequence = 9;
    b.routes.has_coordinate = true;
    b.routes.coordinate[23] = 5;
    struct rpc r = bench_question(&b, RPC_PING, 2), a = bench_ask(&b, &r);
    cr_assert(a.has_coordinate && a.coordinate[23] == 5);
    cr_assert(a.from.incarnation == 7 && a.from.sequence == 9 && !a.from.leaving);
    cr_assert(a.from.level[1].cid == BENCH_CID1 && a.from.level[2].cid == BENCH_CID2);
    cr_assert_neq(a.cookie, 0);
    bench_close(&b);
}

Test(serve, the_simulator_s_way_in_gives_the_same_answer)
{
    struct bench b;
    bench_open(&b);
    fill(&b);
    struct rpc r = bench_question(&b, RPC_GET, 2), wire = bench_ask(&b, &r), direct;
    memset(&direct, 0, sizeof(direct));
    dht_serve_rpc(b.store, &b.routes, &r, &direct, NULL, NULL, bench_now(&b));
    cr_assert(direct.type == RPC_GET && direct.tid == r.tid && direct.values == wire.values);
    for (unsigned i = 0; i < wire.values; i++)
        cr_assert(id_eq(&direct.value[i].node, &wire.value[i].node));
    bench_close(&b);
}

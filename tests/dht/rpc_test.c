/* SPDX-License-Identifier: BSD-3-Clause */
/* The wire as rpc.h draws it; docs/wire.md's vectors are wire_test.c's. */
#include <criterion/criterion.h>

#include "dht/id.h"
#include "dht/rpc.h"

static const struct kind {
    uint8_t type;
    bool reply;
    size_t len; /* all of it: replies with four values and four contacts */
} kind[] = {{RPC_PING, false, 112},      {RPC_PING, true, 112},    {RPC_GET, false, 136},
            {RPC_GET, true, 456},        {RPC_WALK, false, 136},   {RPC_WALK, true, 456},
            {RPC_STORE, false, 154},     {RPC_STORE, true, 456},   {RPC_REMOVE, false, 136},
            {RPC_REMOVE, true, 456},     {RPC_FIND, false, 136},   {RPC_FIND, true, 456},
            {RPC_VIA, false, 150},       {RPC_VIA, true, 112},     {RPC_COOKIE, true, 112},
            {RPC_NOT_MEMBER, true, 112}, {RPC_REPORT, false, 156}, {RPC_REPORT, true, 456},
            {RPC_RELAY, false, 160},     {RPC_RELAY, true, 460}};
#define KINDS (sizeof(kind) / sizeof(kind[0]))

static const struct endpoint source = {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, 8053};

static struct rpc sample(const struct kind *k)
{
    struct rpc r;
    memset(&r, 0, sizeof(r));
    r.type = k->type;
    r.flags = k->reply ? RPC_REPLY | RPC_FULL : 0;
    r.wanted = 5;
    r.served = k->reply ? 2 : 0;
    r.key_id = 3;
    r.tid = 0xfc00000123456789;
    r.cookie = 0x1122334455667788;
    r.from.contact.rpc = source;
    r.from.contact.id = dht_node_id(&source);
    r.from.contact.v4 = source.ip;
    addr_parse("2001:db8::1", &r.from.contact.v6);
    r.from.contact.http_port = 80;
    r.from.contact.services = DHT_SERVICE_HTTP;
    r.from.level[1] = (struct dht_descriptor){0x0123456789abcdef, 57, 4000};
    r.from.level[2] = (struct dht_descriptor){0xfedcba9876543210, 8, 4u * 0xffffff};
    r.from.incarnation = 0x80000001;
    r.from.sequence = 0xfffe;
    r.key = dht_key("http://a.test/", 14);
    r.ttl_ms = 20000;
    r.http = (struct endpoint){source.ip, 80};
    r.via = (struct rpc_contact){r.key, {r.from.contact.v6, 8053}};
    r.dead = dht_key("a node", 6);
    r.relayed = RPC_WALK;
    r.target = dht_key("another", 7);
    r.outcome = RPC_NO_MEMBER_THERE;
    if (k->len >= 456) {
        r.values = DHT_VALUES;
        r.contacts = RPC_CONTACTS;
        r.held = 4;
        r.values_level = 2;
        r.contacts_level = 1;
        r.least_ms = 7;
        for (unsigned i = 0; i < 4; i++) {
            r.value[i] = (struct dht_value){r.key, {r.from.contact.v6, 80}, 1000 + i, 5 + i};
            r.contact[i] = (struct rpc_contact){r.from.contact.id, source};
        }
    }
    return r;
}

static void with_options(struct rpc *r)
{
    r->has_coordinate = true;
    for (unsigned i = 0; i < RPC_COORDINATE; i++)
        r->coordinate[i] = (uint8_t)(i + 1);
    r->news = DHT_NEWS;
    for (unsigned i = 0; i < DHT_NEWS; i++)
        r->news_item[i] = (struct dht_news){r->from.contact.id, 77 + i, (uint8_t)i};
    r->has_usage = true;
    r->usages = DHT_USAGE;
    for (unsigned i = 0; i < DHT_USAGE; i++)
        r->usage[i] = (struct dht_usage){0x1122334455667788 + i, 1000 + i, 60 * i};
}

Test(rpc, every_type_survives_the_wire_with_and_without_options)
{
    for (unsigned k = 0; k < 2 * KINDS; k++) {
        uint8_t packet[RPC_MAX] = {0}, again[RPC_MAX] = {0};
        struct rpc r = sample(&kind[k / 2]), back;
        if (k % 2)
            with_options(&r);
        size_t want = kind[k / 2].len + (k % 2 ? 2 + 24 + 2 + 150 + 2 + 128 : 0);
        memset(&back, 0xee, sizeof(back));
        cr_assert_eq(rpc_length(&r), want, "type %u: %zu", r.type, rpc_length(&r));
        cr_assert_eq(rpc_write(&r, packet, sizeof(packet)), want);
        cr_assert_eq(rpc_write(&r, again, want - 1), 0, "too little room");
        cr_assert_eq(rpc_read(packet, want, &source, &back), RPC_OK, "type %u", r.type);
        cr_assert_eq(back.padded, want);
        memset(again, 0, sizeof(again));
        cr_assert_eq(rpc_write(&back, again, sizeof(again)), want);
        cr_assert_arr_eq(packet, again, want, "type %u", r.type);
    }
}

Test(rpc, what_is_read_is_what_was_meant)
{
    uint8_t packet[RPC_MAX] = {0};
    struct rpc r = sample(&kind[7]), back;
    with_options(&r);
    r.from.leaving = true;
    r.from.level[1].age_s = 4003;
    size_t len = rpc_write(&r, packet, sizeof(packet));
    cr_assert_eq(rpc_read(packet, len, &source, &back), RPC_OK);
    const struct dht_sender *from = &back.from;
    cr_assert_eq(back.type, RPC_STORE);
    cr_assert_eq(back.flags, RPC_REPLY | RPC_FULL | RPC_LEAVING);
    cr_assert(back.wanted == 5 && back.served == 2 && back.key_id == 3);
    cr_assert(back.tid == r.tid && back.cookie == r.cookie);
    cr_assert(from->incarnation == 0x80000001 && from->sequence == 0xfffe && from->leaving);
    cr_assert(id_eq(&from->contact.id, &r.from.contact.id));
    cr_assert(endpoint_eq(&from->contact.rpc, &source), "of the datagram");
    cr_assert(addr_eq(&from->contact.v4, &r.from.contact.v4));
    cr_assert(addr_eq(&from->contact.v6, &r.from.contact.v6));
    cr_assert(from->contact.http_port == 80 && from->contact.services == DHT_SERVICE_HTTP);
    cr_assert_eq(from->level[0].cid, 0);
    cr_assert_eq(from->level[1].cid, 0x0123456789abcdef);
    cr_assert_eq(from->level[1].size, 57);
    cr_assert_eq(from->level[1].age_s, 4000, "in units of four seconds, rounded down");
    cr_assert_eq(from->level[2].age_s, 4u * 0xffffff);
    cr_assert(back.values_level == 2 && back.contacts_level == 1);
    cr_assert(back.held == 4 && back.least_ms == 7);
    cr_assert(back.value[3].ttl_ms == 1003 && back.value[3].age_ms == 8);
    cr_assert(endpoint_eq(&back.contact[3].rpc, &source));
    cr_assert_arr_eq(back.coordinate, r.coordinate, RPC_COORDINATE);
    cr_assert_eq(back.news, DHT_NEWS);
    cr_assert(back.news_item[5].incarnation == 82 &&
              back.news_item[5].state == DHT_NEWS_NOT_REACHED);
    cr_assert_eq(back.usages, DHT_USAGE);
    cr_assert(back.usage[7].site == 0x112233445566778f && back.usage[7].kib == 1007 &&
              back.usage[7].requests == 420);
}

Test(rpc, an_age_beyond_its_24_bits_is_the_most_that_they_say)
{
    uint8_t packet[RPC_MAX];
    struct rpc r = sample(&kind[0]), back;
    r.from.level[1].age_s = UINT32_MAX;
    size_t len = rpc_write(&r, packet, sizeof(packet));
    cr_assert_eq(rpc_read(packet, len, &source, &back), RPC_OK);
    cr_assert_eq(back.from.level[1].age_s, DHT_AGE_UNIT_S * DHT_AGE_MAX_UNITS);
}

Test(rpc, a_question_is_padded_to_any_length_but_one_more_than_its_own)
{
    for (size_t len = 0; len <= RPC_MAX; len++) {
        uint8_t packet[RPC_MAX];
        struct rpc r = sample(&kind[2]), back;
        r.padded = (uint16_t)len;
        size_t want = len < 138 ? 136 : len;
        cr_assert_eq(rpc_length(&r), want);
        cr_assert_eq(rpc_write(&r, packet, sizeof(packet)), want, "%zu", len);
        cr_assert_eq(rpc_read(packet, want, &source, &back), RPC_OK, "%zu", len);
        cr_assert_eq(back.padded, want);
        r.flags = RPC_REPLY;
        cr_assert_eq(rpc_length(&r), 120, "a reply is not");
    }
}

Test(rpc, a_padded_question_is_as_long_as_an_answer_and_none_is_shorter_than_a_refusal)
{
    struct rpc r = sample(&kind[3]);
    cr_assert_leq(rpc_length(&r), RPC_PADDED, "all values and all contacts");
    for (unsigned k = 0; k < KINDS; k++)
        cr_assert_geq(kind[k].len, RPC_HEAD + RPC_TAG);
}

/* What is cut is never read as something whole of another size. */
Test(rpc, any_cut_of_any_type_is_refused)
{
    for (unsigned k = 0; k < KINDS; k++) {
        uint8_t packet[RPC_MAX + 1] = {0};
        struct rpc r = sample(&kind[k]), back;
        size_t len = rpc_write(&r, packet, sizeof(packet));
        for (size_t cut = 0; cut < len; cut++)
            cr_assert_neq(rpc_read(packet, cut, &source, &back), RPC_OK, "type %u cut to %zu",
                          r.type, cut);
        cr_assert_eq(rpc_read(packet, len + 1, &source, &back), RPC_MALFORMED, "half an option");
    }
}

/* Appends an option to a GET and reads it. */
static enum rpc_error with_option(uint8_t type, uint8_t len, size_t bytes, struct rpc *back)
{
    uint8_t packet[RPC_MAX] = {0};
    struct rpc r = sample(&kind[2]);
    size_t at = rpc_write(&r, packet, sizeof(packet)) - RPC_TAG;
    packet[at] = type;
    packet[at + 1] = len;
    memset(packet + at + 2, 1, bytes);
    return rpc_read(packet, at + 2 + bytes + RPC_TAG, &source, back);
}

Test(rpc, options_that_nobody_knows_are_skipped_and_those_known_are_checked)
{
    struct rpc back;
    cr_assert_eq(with_option(200, 9, 9, &back), RPC_OK);
    cr_assert(!back.has_coordinate && back.news == 0);
    cr_assert_eq(with_option(200, 0, 0, &back), RPC_OK);
    cr_assert_eq(with_option(200, 9, 8, &back), RPC_MALFORMED, "cut off");
    cr_assert_eq(with_option(RPC_OPTION_PADDING, 255, 255, &back), RPC_OK);
    cr_assert_eq(with_option(RPC_OPTION_COORDINATE, 24, 24, &back), RPC_OK);
    cr_assert(back.has_coordinate);
    cr_assert_eq(with_option(RPC_OPTION_COORDINATE, 25, 25, &back), RPC_OK);
    cr_assert_not(back.has_coordinate, "another kind of coordinate than ours");
    cr_assert_eq(with_option(RPC_OPTION_NEWS, 150, 150, &back), RPC_OK);
    cr_assert_eq(back.news, 6);
    cr_assert_eq(with_option(RPC_OPTION_NEWS, 175, 175, &back), RPC_MALFORMED, "seven");
    cr_assert_eq(with_option(RPC_OPTION_NEWS, 24, 24, &back), RPC_MALFORMED);
}

Test(rpc, a_relay_is_of_gets_and_walks_and_its_zeros_are_zero)
{
    uint8_t packet[RPC_MAX];
    struct rpc r = sample(&kind[KINDS - 2]), back;
    size_t len = rpc_write(&r, packet, sizeof(packet));
    cr_assert_eq(rpc_read(packet, len, &source, &back), RPC_OK);
    cr_assert(id_eq(&back.key, &r.key) && id_eq(&back.target, &r.target));
    cr_assert(back.relayed == RPC_WALK && back.ttl_ms == r.ttl_ms);
    for (unsigned type = 0; type < 256; type++) {
        packet[RPC_HEAD + RPC_KEYED] = (uint8_t)type;
        cr_assert_eq(rpc_read(packet, len, &source, &back),
                     type == RPC_GET || type == RPC_WALK ? RPC_OK : RPC_MALFORMED, "%u", type);
    }
    packet[RPC_HEAD + RPC_KEYED] = RPC_GET;
    packet[RPC_HEAD + RPC_KEYED + 3] = 1;
    cr_assert_eq(rpc_read(packet, len, &source, &back), RPC_MALFORMED);

    r = sample(&kind[KINDS - 1]);
    len = rpc_write(&r, packet, sizeof(packet));
    cr_assert_eq(rpc_read(packet, len, &source, &back), RPC_OK);
    cr_assert(back.outcome == RPC_NO_MEMBER_THERE && back.values == 4 && back.contacts == 4);
    packet[RPC_HEAD] = RPC_OUTCOMES;
    cr_assert_eq(rpc_read(packet, len, &source, &back), RPC_MALFORMED);
    packet[RPC_HEAD] = RPC_SILENT;
    packet[RPC_HEAD + 1] = 1;
    cr_assert_eq(rpc_read(packet, len, &source, &back), RPC_MALFORMED);
}

Test(rpc, each_malformed_kind_has_its_name)
{
    uint8_t good[RPC_MAX] = {0}, bad[RPC_MAX];
    struct rpc r = sample(&kind[3]), back;
    size_t len = rpc_write(&r, good, sizeof(good));
    static const struct {
        size_t at;
        uint8_t value;
        enum rpc_error error;
    } wrong[] = {
        {0, 0x12, RPC_BAD_VERSION},
        {0, 0x32, RPC_BAD_VERSION},
        {0, 0x20, RPC_BAD_TYPE},
        {0, 0x2c, RPC_BAD_TYPE},
        {0, 0x2f, RPC_BAD_TYPE},
        {2, 0x01, RPC_MALFORMED},
        {2, 0x02, RPC_MALFORMED},
        {2, 0x0c, RPC_MALFORMED}, /* served at level 3 */
        {93, 1, RPC_MALFORMED},
        {95, 1, RPC_MALFORMED},
        {RPC_HEAD, 5, RPC_MALFORMED},
        {RPC_HEAD, 255, RPC_MALFORMED},
        {RPC_HEAD + 1, 5, RPC_MALFORMED},
        {RPC_HEAD + 3, 3, RPC_MALFORMED},
        {RPC_HEAD + 3, 0x30, RPC_MALFORMED},
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memcpy(bad, good, len);
        bad[wrong[i].at] = wrong[i].value;
        cr_assert_eq(rpc_read(bad, len, &source, &back), wrong[i].error, "case %u", i);
    }
    memcpy(bad, good, len);
    memset(bad + RPC_HEAD + 8 + 36, 0, 2);
    cr_assert_eq(rpc_read(bad, len, &source, &back), RPC_MALFORMED, "a value at port 0");
    memcpy(bad, good, len);
    memset(bad + RPC_HEAD + 8 + 4 * RPC_VALUE + 36, 0, 2);
    cr_assert_eq(rpc_read(bad, len, &source, &back), RPC_MALFORMED, "a contact at port 0");
    for (uint8_t type = RPC_COOKIE; type <= RPC_NOT_MEMBER; type++) {
        memcpy(bad, good, len);
        bad[0] = (uint8_t)(RPC_VERSION << 4 | type);
        bad[1] = 0;
        cr_assert_eq(rpc_read(bad, 112, &source, &back), RPC_BAD_TYPE, "no question");
    }
    uint8_t long_one[RPC_MOST + 1] = {RPC_VERSION << 4 | RPC_PING};
    cr_assert_eq(rpc_read(long_one, sizeof(long_one), &source, &back), RPC_MALFORMED);
}

Test(rpc, each_reason_has_its_counter)
{
    struct dht_counters c = {0};
    rpc_count_error(&c, RPC_SHORT);
    rpc_count_error(&c, RPC_BAD_VERSION);
    rpc_count_error(&c, RPC_BAD_TYPE);
    rpc_count_error(&c, RPC_MALFORMED);
    rpc_count_error(&c, RPC_OK);
    cr_assert(c.dht_drop_short_total == 1 && c.dht_drop_version_total == 1 &&
              c.dht_drop_type_total == 1 && c.dht_drop_malformed_total == 1);
}

Test(rpc, a_peek_says_where_a_packet_belongs)
{
    struct dht_peek peek;
    for (unsigned k = 0; k < KINDS; k++) {
        uint8_t packet[RPC_MAX];
        struct rpc r = sample(&kind[k]);
        size_t len = rpc_write(&r, packet, sizeof(packet));
        cr_assert(dht_peek(packet, len, &peek));
        cr_assert_eq(peek.reply, kind[k].reply);
        cr_assert_eq(peek.asker, 63);
        cr_assert_eq(peek.owned, !kind[k].reply && rpc_is_keyed(r.type) && r.type != RPC_GET &&
                                     r.type != RPC_FIND);
        if (peek.owned) {
            cr_assert_eq(peek.shard, r.key.b[19] & 63);
            cr_assert_not(dht_peek(packet, RPC_HEAD + RPC_TAG, &peek), "its key is cut off");
        }
        packet[0] = 0x10;
        cr_assert_not(dht_peek(packet, len, &peek), "another version");
    }
    cr_assert_not(dht_peek("", 0, &peek));
}

Test(rpc, control_hears_of_coordinate_news_and_of_whom_to_ping_for_others)
{
    struct dht_tidings t;
    struct rpc r = sample(&kind[12]);
    with_options(&r);
    rpc_tidings(&r, 0, &t);
    cr_assert(t.asks_via && !t.ping && t.rtt_us == 0);
    cr_assert(id_eq(&t.via, &r.via.id) && endpoint_eq(&t.via_rpc, &r.via.rpc));
    cr_assert_eq(t.n_news, DHT_NEWS);
    cr_assert_eq(t.news[5].incarnation, 82);
    cr_assert(t.has_usage && t.n_usage == DHT_USAGE && t.usage[7].kib == 1007);
    cr_assert(t.has_coordinate && t.coordinate[23] == 24);
    r = sample(&kind[13]);
    rpc_tidings(&r, 1500, &t);
    cr_assert(!t.asks_via && t.rtt_us == 1500 && t.n_news == 0 && !t.has_usage &&
              !t.has_coordinate);
    r = sample(&kind[1]);
    rpc_tidings(&r, 1500, &t);
    cr_assert(t.ping);
}

Test(id, distances_are_what_xor_makes_them)
{
    struct rng rng;
    rng_init_u64(&rng, 5);
    struct dht_id a, b, random;
    rng_bytes(&rng, &a, sizeof(a));
    for (unsigned p = 0; p <= 160; p++) {
        rng_bytes(&rng, &random, sizeof(random));
        b = id_sharing(&random, &a, p);
        struct dht_distance d = distance_between(&a, &b), half;
        cr_assert_eq(distance_prefix(&d), p);
        half = distance_halved(&d, 3);
        cr_assert_eq(distance_prefix(&half), p < 157 ? p + 3 : 160, "%u", p);
        cr_assert(p == 160 || distance_less(&half, &d));
    }
    /* the name of a key is the same for any tool: b2sum of the URL, its first 40 digits */
    char text[41];
    struct dht_id key = dht_key("abc", 3), back;
    cr_assert_str_eq(dht_id_text(&key, text), "ba80a53f981c4d0d6a2797b69f12f6e94c212f14");
    cr_assert(dht_id_parse(text, &back) && id_eq(&back, &key));
    cr_assert_not(dht_id_parse("ba80", &back));
    cr_assert_not(dht_id_parse("ba80a53f981c4d0d6a2797b69f12f6e94c212f1x", &back));
    cr_assert_not(dht_id_parse("ba80a53f981c4d0d6a2797b69f12f6e94c212f1400", &back));
}

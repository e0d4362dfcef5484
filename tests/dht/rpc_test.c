/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "dht/id.h"
#include "dht/rpc.h"

static struct rpc sample(uint8_t type, bool reply)
{
    struct rpc r;
    memset(&r, 0, sizeof(r));
    r.type = type;
    r.flags = reply ? RPC_REPLY | RPC_FULL : 0;
    r.wanted = 1;
    r.served = reply;
    r.key_id = 3;
    r.tid = 0xfc00000123456789;
    r.cookie = 0x1122334455667788;
    r.from.rpc = (struct endpoint){addr_v4(0xc0000201), 8053};
    r.from.id = dht_node_id(&r.from.rpc);
    r.from.v4 = r.from.rpc.ip;
    addr_parse("2001:db8::1", &r.from.v6);
    r.from.http_port = 80;
    r.from.services = DHT_SERVICE_HTTP;
    r.key = dht_key("http://a.test/", 14);
    r.ttl_ms = 20000;
    r.http = (struct endpoint){r.from.v4, 80};
    if (reply && type != RPC_PING && type != RPC_COOKIE) {
        r.values = DHT_VALUES;
        r.contacts = RPC_CONTACTS;
        r.held = 4;
        r.least_ms = 7;
        for (unsigned i = 0; i < 4; i++) {
            r.value[i] = (struct dht_value){r.key, {r.from.v6, 80}, 1000 + i, 5 + i};
            r.contact[i] = (struct rpc_contact){r.from.id, r.from.rpc};
        }
    }
    return r;
}

static const struct {
    uint8_t type;
    bool reply;
    size_t len;
} kind[] = {{RPC_PING, false, 122},  {RPC_PING, true, 122},  {RPC_GET, false, 146},
            {RPC_GET, true, 466},    {RPC_WALK, false, 146}, {RPC_WALK, true, 466},
            {RPC_STORE, false, 164}, {RPC_STORE, true, 466}, {RPC_REMOVE, false, 146},
            {RPC_REMOVE, true, 466}, {RPC_FIND, false, 146}, {RPC_FIND, true, 466},
            {RPC_COOKIE, true, 122}};
#define KINDS (sizeof(kind) / sizeof(kind[0]))

Test(rpc, every_type_survives_the_wire)
{
    for (unsigned k = 0; k < KINDS; k++) {
        uint8_t packet[RPC_MAX], again[RPC_MAX];
        struct rpc r = sample(kind[k].type, kind[k].reply), back;
        memset(&back, 0, sizeof(back));
        memset(packet, 0, sizeof(packet));
        memset(again, 0, sizeof(again));
        size_t len = rpc_write(&r, packet, sizeof(packet));
        cr_assert_eq(len, kind[k].len, "type %u: %zu", r.type, len);
        cr_assert_eq(rpc_read(packet, len, &back), RPC_OK, "type %u", r.type);
        cr_assert_eq(rpc_write(&back, again, sizeof(again)), len);
        cr_assert_arr_eq(packet, again, len, "type %u", r.type);
        cr_assert(addr_eq(&back.from.v6, &r.from.v6) && addr_eq(&back.from.v4, &r.from.v4));
        cr_assert_eq(back.tid, r.tid);
        cr_assert_eq(rpc_write(&r, packet, len - 1), 0, "too little room");
    }
}

Test(rpc, a_cookie_is_never_longer_than_its_question)
{
    for (unsigned k = 0; k < KINDS; k++)
        cr_assert_geq(kind[k].len, 122);
}

Test(rpc, any_cut_or_padding_is_rejected)
{
    for (unsigned k = 0; k < KINDS; k++) {
        uint8_t packet[RPC_MAX + 1] = {0};
        struct rpc r = sample(kind[k].type, kind[k].reply), back;
        size_t len = rpc_write(&r, packet, sizeof(packet));
        for (size_t cut = 0; cut < len; cut++)
            cr_assert_neq(rpc_read(packet, cut, &back), RPC_OK, "type %u cut to %zu", r.type, cut);
        cr_assert_eq(rpc_read(packet, len + 1, &back), RPC_MALFORMED);
    }
}

Test(rpc, each_malformed_kind_has_its_name)
{
    uint8_t good[RPC_MAX], bad[RPC_MAX];
    struct rpc r = sample(RPC_GET, true), back;
    size_t len = rpc_write(&r, good, sizeof(good));
    static const struct {
        size_t at;
        uint8_t value;
        enum rpc_error error;
    } wrong[] = {
        {0, 0x22, RPC_BAD_VERSION},
        {0, 0x10, RPC_BAD_TYPE},
        {0, 0x1f, RPC_BAD_TYPE},
        {2, 0x21, RPC_MALFORMED},
        {85, 1, RPC_MALFORMED},
        {RPC_HEAD, 5, RPC_MALFORMED},
        {RPC_HEAD, 3, RPC_MALFORMED},
        {RPC_HEAD + 1, 5, RPC_MALFORMED},
        {RPC_HEAD + 1, 255, RPC_MALFORMED},
        {RPC_HEAD + 3, 1, RPC_MALFORMED},
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memcpy(bad, good, len);
        bad[wrong[i].at] = wrong[i].value;
        cr_assert_eq(rpc_read(bad, len, &back), wrong[i].error, "case %u", i);
    }
    memcpy(bad, good, len);
    bad[0] = RPC_VERSION << 4 | RPC_COOKIE;
    bad[1] = 0;
    cr_assert_eq(rpc_read(bad, 122, &back), RPC_BAD_TYPE, "COOKIE is no question");
    memcpy(bad, good, len);
    bad[80] = bad[81] = 0;
    cr_assert_eq(rpc_read(bad, len, &back), RPC_MALFORMED, "port 0");

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
        struct rpc r = sample(kind[k].type, kind[k].reply);
        size_t len = rpc_write(&r, packet, sizeof(packet));
        cr_assert(dht_peek(packet, len, &peek));
        cr_assert_eq(peek.reply, kind[k].reply);
        cr_assert_eq(peek.asker, 63);
        cr_assert_eq(peek.keyed, !kind[k].reply && r.type != RPC_PING);
        if (peek.keyed) {
            cr_assert_eq(peek.shard, r.key.b[19] & 63);
            cr_assert_not(dht_peek(packet, RPC_HEAD + RPC_TAG, &peek));
        }
        packet[0] = 0x20;
        cr_assert_not(dht_peek(packet, len, &peek));
    }
    cr_assert_not(dht_peek("", 0, &peek));
}

Test(id, distances_are_what_xor_makes_them)
{
    struct rng rng;
    rng_init_u64(&rng, 5);
    struct dht_id a, b;
    rng_bytes(&rng, &a, sizeof(a));
    for (unsigned p = 0; p <= 160; p++) {
        b = id_random(&rng, &a, p);
        struct dht_distance d = distance_between(&a, &b), half;
        cr_assert_eq(distance_prefix(&d), p);
        half = distance_halved(&d, 3);
        cr_assert_eq(distance_prefix(&half), p < 157 ? p + 3 : 160, "%u", p);
        cr_assert(p == 160 || distance_less(&half, &d));
    }
    /* the name of a key is the same for any tool: b2sum of the URL, its first 40 digits */
    char text[41];
    struct dht_id key = dht_key("abc", 3);
    cr_assert_str_eq(dht_id_text(&key, text), "ba80a53f981c4d0d6a2797b69f12f6e94c212f14");
}

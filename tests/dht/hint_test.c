/* SPDX-License-Identifier: BSD-3-Clause */
/* Hints: the keys, what is put and when, and what is looked up. */
#include <criterion/criterion.h>

#include "dht/hint.h"
#include "dht/id.h"
#include "dht/trace.h"

#define S  1000000ull
#define HR (3600 * S)

static const uint8_t seed[32] = {7};

static struct addr ip(const char *text)
{
    struct addr a;
    cr_assert(addr_parse(text, &a), "%s", text);
    return a;
}

static struct dht_id prefix_key(const char *text)
{
    const struct addr a = ip(text);
    return dht_hint_prefix_key(&a);
}

static struct dht_id router_key(const char *text)
{
    const struct addr a = ip(text);
    return dht_hint_router_key(&a);
}

static bool same(struct dht_id a, struct dht_id b)
{
    return id_eq(&a, &b);
}

Test(hint, a_slash_24_has_one_key_and_its_neighbour_another)
{
    cr_assert(same(prefix_key("198.18.5.1"), prefix_key("198.18.5.254")));
    cr_assert_not(same(prefix_key("198.18.5.1"), prefix_key("198.18.6.1")));
    cr_assert(same(prefix_key("2a00:1:2:3::9"), prefix_key("2a00:1:2:ffff::1")));
    cr_assert_not(same(prefix_key("2a00:1:2::"), prefix_key("2a00:1:3::")));
}

Test(hint, routers_prefixes_and_families_do_not_share_keys)
{
    cr_assert_not(same(router_key("8.8.8.0"), prefix_key("8.8.8.0")));
    cr_assert_not(same(router_key("8.8.8.1"), router_key("8.8.8.2")));
    /* ::ffff/48 cut out of mapped addresses would be one key for all of IPv4 */
    cr_assert_not(same(prefix_key("8.8.8.8"), prefix_key("9.9.9.9")));
}

Test(hint, the_keys_are_the_same_on_every_node_of_every_version)
{
    char text[2 * DHT_ID_BYTES + 1];
    /* printf 'hint prefix \0\0\0\0\0\0\0\0\0\0\xff\xff\x08\x08\x08' | b2sum | cut -c -40 */
    const struct dht_id key = prefix_key("8.8.8.8");
    cr_assert_str_eq(dht_id_text(&key, text), "6be420a6a67bbc003e3a33efbdcdaab4ba6eaafb");
}

Test(hint, what_means_nothing_elsewhere_is_never_named)
{
    static const struct {
        const char *ip;
        bool open, special;
    } is[] = {
        {"8.8.8.8", true, true},
        {"2a00:1::1", true, true},
        {"10.0.0.1", false, true},
        {"192.168.0.1", false, true},
        {"100.64.0.1", false, true},
        {"fd00::1", false, true},
        {"127.0.0.1", false, false},
        {"0.0.0.0", false, false},
        {"224.0.0.1", false, false},
        {"169.254.1.1", false, false},
        {"::1", false, false},
        {"::", false, false},
        {"fe80::1", false, false},
        {"ff02::1", false, false},
        {"255.255.255.255", false, false},
    };
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        const struct addr a = ip(is[i].ip);
        cr_assert_eq(dht_hint_usable(&a, false), is[i].open, "%s", is[i].ip);
        cr_assert_eq(dht_hint_usable(&a, true), is[i].special, "%s in a private cluster", is[i].ip);
    }
}

/* --- what we put ------------------------------------------------------------------------------ */

static struct dht_hints h;
static struct now now;

static void init(const char *own)
{
    const struct dht_hint_config c = dht_hint_config_default();
    const struct addr a = ip(own);
    now = (struct now){50 * S, 0};
    dht_hints_init(&h, &c, &a, 1, seed, now);
}

static void meet(const char *router, unsigned hop)
{
    const struct addr a = ip(router);
    dht_hints_router(&h, &a, hop, now);
}

/* All that is put until `end`, each at its time. */
static unsigned put_until(uint64_t end_us, struct dht_id *last)
{
    unsigned n = 0;
    uint32_t ttl_ms;

    while (dht_hints_deadline_us(&h) <= end_us) {
        if (dht_hints_deadline_us(&h) > now.mono_us)
            now.mono_us = dht_hints_deadline_us(&h);
        if (!dht_hints_due(&h, last, &ttl_ms, now))
            continue;
        cr_assert_eq(ttl_ms, 3600000);
        n++;
    }
    now.mono_us = end_us;
    return n;
}

Test(hint, our_subnet_is_put_at_once_and_renewed_at_half_its_life)
{
    struct dht_id key;
    uint32_t ttl_ms;

    init("203.0.114.9");
    cr_assert_eq(put_until(60 * S, &key), 1);
    cr_assert(same(key, prefix_key("203.0.114.1")));
    cr_assert_not(dht_hints_due(&h, &key, &ttl_ms, now));
    uint64_t at = dht_hints_deadline_us(&h);
    cr_assert(at >= 50 * S + HR / 2 * 9 / 10 && at <= 60 * S + HR / 2 * 11 / 10);
    unsigned n = put_until(50 * S + 4 * HR, &key);
    cr_assert(n == 7 || n == 8, "about twice an hour, not %u times in four", n);
}

Test(hint, renewals_do_not_stay_together)
{
    struct dht_id key;
    init("203.0.114.9");
    meet("8.8.8.1", 1);
    meet("8.8.4.1", 2);
    cr_assert_eq(put_until(60 * S, &key), 5);
    uint64_t first = UINT64_MAX, last = 0;
    for (unsigned i = 0; i < h.n; i++) {
        first = h.hint[i].due_us < first ? h.hint[i].due_us : first;
        last = h.hint[i].due_us > last ? h.hint[i].due_us : last;
    }
    cr_assert(last - first > 30 * S, "spread over %.1f s", (double)(last - first) / 1e6);
}

Test(hint, a_private_subnet_is_left_out_unless_the_cluster_lives_in_it)
{
    struct dht_id key;
    init("10.1.2.3");
    meet("192.168.0.1", 1);
    cr_assert_eq(put_until(60 * S, &key), 0);
    cr_assert_eq(dht_hints_deadline_us(&h), UINT64_MAX);

    const struct dht_hint_config c = {.ttl_ms = 3600000, .special = true};
    const struct addr a = ip("10.1.2.3");
    dht_hints_init(&h, &c, &a, 1, seed, now);
    meet("192.168.0.1", 1);
    cr_assert_eq(put_until(120 * S, &key), 3);
}

Test(hint, a_router_is_put_as_itself_and_as_its_prefix_and_once)
{
    struct dht_id key;
    init("203.0.114.9");
    put_until(60 * S, &key);
    meet("8.8.8.1", 3);
    meet("8.8.8.1", 3);
    meet("8.8.8.2", 4);     /* of the same prefix */
    meet("203.0.114.1", 1); /* of our subnet */
    cr_assert_eq(put_until(75 * S, &key), 4, "three routers and one more prefix");
    meet("9.9.9.9", 6);
    cr_assert_eq(put_until(90 * S, &key), 0, "farther than five hops");
}

Test(hint, a_router_that_no_trace_meets_any_more_is_forgotten)
{
    struct dht_id key;
    init("203.0.114.9");
    meet("8.8.8.1", 1);
    meet("9.9.9.1", 2);
    for (unsigned hour = 1; hour <= 5; hour++) {
        put_until(50 * S + hour * HR, &key);
        meet("8.8.8.1", 1);
    }
    cr_assert_eq(h.n, 3);
    for (unsigned i = 0; i < h.n; i++)
        cr_assert_not(same(h.hint[i].key, router_key("9.9.9.1")));
}

Test(hint, a_put_that_failed_is_tried_again_in_a_minute)
{
    struct dht_id key;
    init("203.0.114.9");
    put_until(60 * S, &key);
    dht_hints_failed(&h, &key, now);
    cr_assert_eq(dht_hints_deadline_us(&h), 120 * S);
}

Test(hint, when_there_is_no_room_the_farthest_goes)
{
    struct dht_id key;
    init("203.0.114.9");
    for (unsigned i = 0; i < 100; i++) {
        struct addr a = addr_v4(0x08080001u + (i << 8));
        dht_hints_router(&h, &a, 5, now);
    }
    cr_assert_eq(h.n, DHT_HINT_KEYS);
    meet("9.9.9.1", 1);
    cr_assert_eq(h.n, DHT_HINT_KEYS);
    unsigned found = 0;
    for (unsigned i = 0; i < h.n; i++)
        found += same(h.hint[i].key, router_key("9.9.9.1")) ||
                 same(h.hint[i].key, prefix_key("9.9.9.1")) ||
                 same(h.hint[i].key, prefix_key("203.0.114.9"));
    cr_assert_eq(found, 3);
    cr_assert_eq(put_until(60 * S, &key), DHT_HINT_KEYS);
}

/* --- what we look up -------------------------------------------------------------------------- */

Test(hint, a_target_is_looked_up_from_its_prefix_outwards)
{
    struct dht_id key[DHT_HINT_LOOKUP];
    const struct dht_trace_result r = {
        .target = ip("8.8.8.8"),
        .n = 3,
        .router = {{ip("1.1.1.1"), 7, 1}, {ip("4.4.4.4"), 8, 1}, {ip("8.8.8.1"), 9, 1}}};
    cr_assert_eq(dht_hint_lookup(&r, false, key), 6, "the last router's prefix is the target's");
    cr_assert(same(key[0], prefix_key("8.8.8.8")));
    cr_assert(same(key[1], router_key("8.8.8.1")));
    cr_assert(same(key[2], router_key("4.4.4.4")));
    cr_assert(same(key[3], prefix_key("4.4.4.4")));
    cr_assert(same(key[4], router_key("1.1.1.1")));
    cr_assert(same(key[5], prefix_key("1.1.1.1")));
}

Test(hint, what_one_node_puts_another_looks_up)
{
    struct dht_id key[DHT_HINT_LOOKUP], put;
    uint32_t ttl_ms;
    bool found = false;

    init("203.0.114.9"); /* a node whose second router is the last one before the target */
    meet("4.4.4.4", 2);
    const struct dht_trace_result r = {
        .target = ip("8.8.8.8"), .n = 1, .router = {{ip("4.4.4.4"), 9, 1}}};
    unsigned n = dht_hint_lookup(&r, false, key);
    now.mono_us += 10 * S;
    while (dht_hints_due(&h, &put, &ttl_ms, now))
        for (unsigned i = 0; i < n; i++)
            found |= same(key[i], put);
    cr_assert(found);
}

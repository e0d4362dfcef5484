/* SPDX-License-Identifier: BSD-3-Clause */
/* From configuration and membership to what workers read. */
#include "tests/control/golden.h"

#include <sodium.h>

#include "control/view.h"
#include "dht/id.h"

#define CONFIG                                                                                     \
    "ports:\n"                                                                                     \
    "  - {device: a, addresses: [\"2001:db8::10/64\", 192.0.2.10/24]}\n"                           \
    "  - {device: b, addresses: [198.51.100.10/24]}\n"                                             \
    "dns: {zone: coral.test, proxy_ttl: 5s}\n"                                                     \
    "http: {shed_after: 7ms}\n"                                                                    \
    "open: {stale: 1h, allow_origins: [10.1.0.0/16]}\n"                                            \
    "resolver: 192.0.2.53\n"                                                                       \
    "sites:\n"                                                                                     \
    "  b.test: {origin: [\"o.test:81\", 10.9.0.2], allow: [10.9.1.0/24]}\n"                        \
    "  a.test: {origin: [10.9.0.1], ttl_override: 90s, compress: text/*,\n"                        \
    "    client_address: forwarded, trusted_proxies: 10.0.0.0/8, server_timing: true,\n"           \
    "    share: {bandwidth: 5KiB, over: refuse}}\n"

static struct addr ip(const char *text)
{
    struct addr a;
    cr_assert(addr_parse(text, &a), "%s", text);
    return a;
}

struct other {
    struct dht_contact contact;
    bool live;
};

static struct other other(const char *v4, uint16_t http_port, uint8_t services, bool live)
{
    struct other o = {.live = live};
    o.contact.rpc = (struct endpoint){ip(v4), 8053};
    o.contact.id = dht_node_id(&o.contact.rpc);
    o.contact.v4 = o.contact.rpc.ip;
    o.contact.http_port = http_port;
    o.contact.services = services;
    return o;
}

/* Nearest first, as the table is; contacts stay as they were named. Next hops are all of them: who
 * is no longer fit for DNS may still answer RPCs. */
static struct dht_routes *routes_of(const struct config *c, const struct other *o, uint32_t n)
{
    struct dht_routes *all = calloc(1, sizeof(*all) + n * (sizeof(*all->route) + sizeof(*o)));
    struct dht_route *route = (struct dht_route *)(all + 1);
    struct dht_contact *contact = (struct dht_contact *)(route + n);

    all->self = view_self(c);
    all->n = n;
    all->route = route;
    all->contact = contact;
    for (uint32_t i = 0; i < n; i++) {
        struct dht_distance d = distance_between(&all->self.id, &o[i].contact.id);
        uint32_t at = i;
        for (; at > 0; at--) {
            struct dht_distance x =
                distance_between(&all->self.id, &contact[route[at - 1].peer].id);
            if (distance_less(&x, &d))
                break;
            route[at] = route[at - 1];
        }
        contact[i] = o[i].contact;
        route[at] = (struct dht_route){.peer = i & 0xffffff,
                                       .levels = 1,
                                       .alive = 1,
                                       .live = o[i].live,
                                       .rtt_us = 500,
                                       .prefix = (uint8_t)distance_prefix(&d)};
    }
    return all;
}

static bool is_named(const struct dns_zone *z, const char *v4)
{
    struct addr a = ip(v4);
    for (uint32_t i = 0; i < z->members; i++)
        if (addr_eq(&z->member[i].v4, &a))
            return true;
    return false;
}

/* 0: in order, behind those that have one. */
Test(view, weights_and_limits_of_origins)
{
    struct report report = {0};
    struct config c;
    golden_good("ports: [{device: a, addresses: [192.0.2.10/24]}]\n"
                "sites:\n"
                "  a.test: {origin: [10.9.0.1, 10.9.0.2], between_bytes_timeout: 30s,\n"
                "    origin_connections: 20,\n"
                "    health: {path: /up?x, interval: 1s, rise: 4}}\n"
                "  b.test: {origin: [10.9.0.1 backup, 10.9.0.2, 10.9.0.3 weight=7]}\n",
                &c);
    struct proxy_policy *p = view_policy(&c, &report);
    cr_assert(p && p->sites == 2);
    cr_expect(p->site[0].origin[0].weight == 0 && p->site[0].origin[1].weight == 0);
    cr_expect(p->site[1].origin[0].weight == 0 && p->site[1].origin[1].weight == 1 &&
              p->site[1].origin[2].weight == 7);
    cr_expect(p->site[0].timeouts.connect_ms == 1500 && p->site[0].timeouts.first_byte_ms == 10000);
    cr_expect_eq(p->site[0].timeouts.between_bytes_ms, 30000u);
    const struct proxy_health *h = &p->site[0].health;
    cr_expect_str_eq(h->path, "/up?x");
    cr_expect(h->interval_ms == 1000 && h->timeout_ms == 2000 && h->fall == 3 && h->rise == 4);
    cr_expect(!*p->site[1].health.path);
    cr_expect(p->site[0].connections == 20 && p->site[1].connections == 0);
    view_policy_free(p);
    config_free(&c);
}

Test(view, a_node_is_known_by_its_first_address_and_serves_on_the_first_of_each_family)
{
    struct config c;

    golden_good(CONFIG, &c);
    struct dht_contact self = view_self(&c);
    struct addr v6 = ip("2001:db8::10"), v4 = ip("192.0.2.10");
    cr_expect(addr_eq(&self.rpc.ip, &v6) && self.rpc.port == 8053);
    cr_expect(addr_eq(&self.v6, &v6) && addr_eq(&self.v4, &v4));
    cr_expect_eq(self.services, DHT_SERVICE_HTTP | DHT_SERVICE_DNS);
    config_free(&c);
}

Test(view, dns_names_this_node_and_live_proxies_alone)
{
    struct config c;
    golden_good(CONFIG, &c);
    const struct other r[] = {
        other("192.0.2.11", 80, DHT_SERVICE_HTTP, true),
        other("192.0.2.12", 80, DHT_SERVICE_HTTP, false),  /* dead */
        other("192.0.2.13", 80, 0, true),                  /* draining, or no proxy */
        other("192.0.2.14", 8090, DHT_SERVICE_HTTP, true), /* where no client would look */
        other("192.0.2.15", 80, DHT_SERVICE_HTTP, true),
    };
    struct dht_routes *all = routes_of(&c, r, 5);
    struct dns_zone *z = view_zone(&c, all, true, 7);
    struct addr self = ip("192.0.2.10");

    cr_assert(z);
    cr_expect_eq(z->serial, 7u);
    cr_expect_eq(z->proxy_ttl_s, 5u);
    cr_expect_eq(z->ns_ttl_s, 3600u);
    cr_assert_eq(z->members, 3u);
    cr_expect(addr_eq(&z->member[0].v4, &self));
    cr_expect(is_named(z, "192.0.2.11") && is_named(z, "192.0.2.15"));
    cr_expect(addr_is_zero(&z->member[1].v6));
    cr_expect_eq(strlen(z->member[0].label), 8u);

    struct dns_zone *same = view_zone(&c, all, true, 8), *drained = view_zone(&c, all, false, 9);
    cr_expect(view_zone_same(z, same), "a serial alone is no change");
    cr_expect(!view_zone_same(z, drained));
    cr_expect_eq(drained->members, 2u);
    cr_expect(view_zone_same(NULL, NULL) && !view_zone_same(z, NULL));
    free(z);
    free(same);
    free(drained);
    free(all);
    config_free(&c);
}

Test(view, without_a_zone_there_is_no_dns)
{
    struct config c;
    golden_good(GOLDEN_PORT, &c);
    struct dht_routes *all = routes_of(&c, NULL, 0);
    cr_expect_null(view_zone(&c, all, true, 1));
    cr_expect_eq(view_self(&c).services, DHT_SERVICE_HTTP);
    free(all);
    config_free(&c);
}

Test(view, the_policy_is_the_configuration)
{
    struct config c;
    struct report *report = calloc(1, sizeof(*report));
    golden_good(CONFIG, &c);
    struct proxy_policy *p = view_policy(&c, report);

    cr_assert(p);
    cr_expect_str_eq(p->zone, "coral.test");
    cr_expect(!p->open && p->stale_s == 3600 && p->open_default_lifetime_s == 43200);
    cr_expect(p->short_ttl_ms == 20000 && p->long_ttl_ms == 3600000);
    cr_expect_eq(p->shed_us, 7000);
    cr_expect(p->allow == 1 && p->allow_prefix[0].bits == 16);
    cr_expect_eq(p->own, 3u);
    cr_expect_eq(p->sites, 2u);
    const struct proxy_site *a = &p->site[0], *b = &p->site[1];
    cr_expect_str_eq(a->host, "a.test");
    cr_expect(a->allow_special && a->ttl_override_s == 90, "its origins are written as addresses");
    cr_expect(!b->allow_special && b->ttl_override_s == -1 && b->origins == 2);
    cr_expect(a->compress == 1 && strcmp(a->compress_type[0], "text/*") == 0 && !b->compress);
    cr_expect(b->origin[0].port == 81 && !b->origin[0].is_address);
    cr_expect(a->tells == (PROXY_FORWARDED | PROXY_SERVER_TIMING) && a->trusted == 1 &&
              a->trusted_prefix[0].bits == 8);
    cr_expect(b->tells == 0 && b->trusted == 0);
    cr_expect(p->metered && a->fair.bytes_s == 5120 && a->fair.over == PROXY_OVER_REFUSE);
    cr_expect_str_empty(a->home, "its origin is a private address");
    cr_expect(!b->fair.bytes_s && !b->fair.requests_s);
    cr_expect_str_eq(b->home, "o.test:81");
    /* what it lists, and the one address that it names */
    cr_expect(b->allow == 2 && b->allow_prefix[0].bits == 24 && b->allow_prefix[1].bits == 32);
    view_policy_free(p);
    config_free(&c);
    free(report);
}

struct seen {
    unsigned up, down;
    struct dht_id last_up, last_down;
};

static void changed(void *ctx, const struct dht_contact *node, uint32_t rtt_us, bool live)
{
    struct seen *s = ctx;
    cr_expect_eq(rtt_us, 500u);
    if (live) {
        s->up++;
        s->last_up = node->id;
    } else {
        s->down++;
        s->last_down = node->id;
    }
}

Test(view, changes_are_told_once_each)
{
    struct config c;
    golden_good(CONFIG, &c);
    struct other a = other("192.0.2.11", 80, 1, true), b = other("192.0.2.12", 80, 1, true),
                 d = other("192.0.2.13", 80, 1, false);
    struct other before[] = {a, b, d}, after[] = {b, d};
    after[1].live = true;
    struct dht_routes *x = routes_of(&c, before, 3), *y = routes_of(&c, after, 2);
    struct seen s = {0};

    view_routes_diff(x, y, changed, &s);
    cr_expect(s.up == 1 && memcmp(&s.last_up, &d.contact.id, sizeof(s.last_up)) == 0);
    cr_expect(s.down == 1 && memcmp(&s.last_down, &a.contact.id, sizeof(s.last_down)) == 0);
    s = (struct seen){0};
    view_routes_diff(y, y, changed, &s);
    cr_expect(s.up == 0 && s.down == 0);
    view_routes_diff(NULL, x, changed, &s);
    cr_expect(s.up == 2 && s.down == 0);
    free(x);
    free(y);
    config_free(&c);
}

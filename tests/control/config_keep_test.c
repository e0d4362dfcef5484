/* SPDX-License-Identifier: BSD-3-Clause */
/* What of another configuration a node that runs can have, and what it says of the rest. */
#include "tests/control/golden.h"

#define RUNNING                                                                                    \
    "node: {name: n, workers: 2}\n"                                                                \
    "ports: [{device: eth1, addresses: [192.0.2.10/24]}]\n"                                        \
    "cache: {memory: 1GiB}\n"                                                                      \
    "sites: {a.test: {origin: 192.0.2.1}}\n"

static char told[1024];

static void kept(void *ctx, const char *path)
{
    (void)ctx;
    size_t n = strlen(told);
    snprintf(told + n, sizeof(told) - n, "%s ", path);
}

static void keep(const char *text, struct config *c, const char *expected)
{
    struct config running;
    golden_good(RUNNING, &running);
    golden_good(text, c);
    told[0] = 0;
    cr_assert(config_keep(c, &running, kept, NULL));
    cr_expect_str_eq(told, expected, "%s", text);
    cr_expect(c->workers == 2 && c->cache_bytes == 1u << 30 && c->ports == 1);
    cr_expect_str_eq(c->port[0].device, "eth1");
    cr_expect(c->resolver.n == 0 && !*c->zone);
    config_free(&running);
}

Test(config_keep, what_is_the_same_is_not_named)
{
    struct config c;
    keep(RUNNING, &c, "");
    cr_expect_eq(c.sites, 1u);
    config_free(&c);
}

Test(config_keep, what_is_live_is_taken)
{
    struct config c;
    keep("node: {name: n, workers: 2}\nports: [{device: eth1, addresses: [192.0.2.10/24]}]\n"
         "cache: {memory: 1GiB}\ndrain_timeout: 5s\nlog: {level: debug}\n"
         "sites: {a.test: {origin: 192.0.2.2}, b.test: {origin: 192.0.2.1}}\n",
         &c, "");
    cr_expect(c.sites == 2 && c.drain_timeout_ms == 5000 && c.log_level == 3);
    config_free(&c);
}

Test(config_keep, what_needs_a_restart_is_named_and_stays)
{
    static const struct {
        const char *text, *says;
    } t[] = {
        {"node: {name: n, workers: 3}\nports: [{device: eth1, addresses: [192.0.2.10/24]}]\n"
         "cache: {memory: 2GiB}\ndns: {zone: z.test}\n",
         "node.workers cache.memory dns.zone "},
        {"node: {name: m, workers: 2}\ncache: {memory: 1GiB}\n"
         "ports: [{device: eth1, mtu: 1400, addresses: [192.0.2.11/24, 192.0.2.12/24]}]\n",
         "ports[0].addresses ports[0].mtu node.name "},
        {"node: {name: n, workers: 2}\ncache: {memory: 1GiB}\nresolver: 192.0.2.53\n"
         "ports: [{device: eth1, addresses: [192.0.2.10/24]}, {device: eth2, addresses: "
         "[198.51.100.1/24]}]\n",
         "ports resolver "},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct config c;
        keep(t[i].text, &c, t[i].says);
        cr_expect(addr_is_v4(&c.port[0].address.item[0].ip) && c.port[0].address.n == 1 &&
                  c.port[0].mtu != 1400);
        config_free(&c);
    }
}

/* Good by itself, and not with what stays. */
Test(config_keep, what_then_does_not_fit_is_a_mistake)
{
    static const char text[] = "node: {name: n, workers: 2}\ncache: {memory: 1GiB}\n"
                               "ports: [{device: eth1, addresses: [192.0.2.10/24]}]\n"
                               "resolver: 192.0.2.53\nsites: {a.test: {origin: o.test}}\n";
    struct report *report = calloc(1, sizeof(*report));
    struct config c;
    keep(text, &c, "resolver ");
    report_init(report, "corald.yaml", text, sizeof(text) - 1);
    config_check(&c, report);
    cr_expect_eq(report->errors, 1u);
    cr_expect(report_has(report, "sites.a.test.origin"));
    report_free(report);
    free(report);
    config_free(&c);
}

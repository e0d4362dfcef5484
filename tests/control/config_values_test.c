/* SPDX-License-Identifier: BSD-3-Clause */
/* Values as they are meant, and the defaults. */
#include "tests/control/golden.h"

#include "control/access_format.h"
#include "control/log.h"
#include "control/units.h"

static struct addr ip(const char *text)
{
    struct addr a;
    cr_assert(addr_parse(text, &a), "%s", text);
    return a;
}

static bool is(const struct addr *a, const char *text)
{
    struct addr b = ip(text);
    return addr_eq(a, &b);
}

Test(config_values, the_least_configuration_has_every_default)
{
    struct config c;

    golden_good(GOLDEN_PORT, &c);
    cr_expect_eq(c.workers, 1u);
    cr_expect_eq(c.cache_bytes, 256u << 20);
    cr_expect_eq(c.http_port, 80u);
    cr_expect_eq(c.ping_interval_ms, 600u);
    cr_expect_eq(c.beta, 12u);
    cr_expect_eq(c.short_ttl_ms, 20000u);
    cr_expect_eq(c.long_ttl_ms, 3600000u);
    cr_expect_eq(c.proxy_ttl_ms, 30000u);
    cr_expect_eq(c.stale_ms, 24u * 3600000u);
    cr_expect_eq(c.shed_ms, 1u);
    cr_expect_eq(c.drain_timeout_ms, 30000u);
    cr_expect_eq(c.log_level, (unsigned)LOG_LEVEL_INFO);
    cr_expect_eq(c.controller, (unsigned)CONFIG_CUBIC);
    cr_expect(c.dns_enabled && !c.open && !c.spin && !*c.zone && !*c.name);
    cr_expect_eq(c.ports, 1u);
    cr_expect_eq(c.port[0].driver, (unsigned)CONFIG_AUTO);
    cr_expect_eq(c.port[0].mtu, 1500u);
    config_free(&c);
}

Test(config_values, every_option_says_what_it_is_and_its_default_can_be_read)
{
    char why[256];
    union {
        struct config_file file;
        struct config_origin origin;
        uint64_t number;
    } field;

    for (size_t i = 0; i < schema_option_count; i++) {
        const struct schema_option *o = &schema_options[i];
        cr_expect(strlen(o->text) > 20 && o->text[strlen(o->text) - 1] == '.', "%s", o->path);
        if (*o->standard)
            cr_expect(config_value(o, o->standard, &field, why, sizeof(why)), "%s: %s", o->path,
                      why);
        for (size_t k = 0; k < i; k++)
            cr_expect_str_neq(o->path, schema_options[k].path);
    }
}

Test(config_values, ten_lines_are_enough)
{
    struct config c;

    golden_good(
        "node:    {name: edge-1, workers: 2}\n"
        "ports:   [{device: eth1, addresses: [192.0.2.10/24, \"2001:db8::10/64\"], gateway: "
        "[192.0.2.1, \"fe80::1\"], driver: af_packet, mtu: 1400}]\n"
        "cache:   {memory: 4GiB}\n"
        "dns:     {zone: Coral.Example.NET., proxy_ttl: 5s}\n"
        "sites:\n"
        "  www.example.com: {origin: [\"in.example.com:8080\", 10.0.0.1, \"[::1]:81\"], "
        "ttl_override: 12h, allow: 10.0.0.0/8}\n"
        "  A.example.com: {origin: in.example.com, ttl_override: none, compress: [Text/*, "
        "application/*+json], client_address: x-forwarded-for, trusted_proxies: [0.0.0.0/0, "
        "\"::/0\"], request_id: true, cache_status_key: true, share: {requests: 500, bandwidth: "
        "2MiB, "
        "over: refuse, home: \"[2001:db8::7]:8080\"}}\n"
        "open: {share: {requests: 7}}\n"
        "resolver: [192.0.2.53, \"[2001:db8::53]:5353\"]\n"
        "tcp: {congestion_control: reno}\n"
        "drain_timeout: 500ms\n",
        &c);
    cr_expect_str_eq(c.name, "edge-1");
    cr_expect_eq(c.workers, 2u);
    cr_expect_eq(c.cache_bytes, 4ull << 30);
    cr_expect_eq(c.port[0].driver, (unsigned)CONFIG_AF_PACKET);
    cr_expect(c.port[0].address.n == 2 && c.port[0].address.item[1].bits == 64);
    cr_expect(is(&c.port[0].address.item[0].ip, "192.0.2.10"));
    cr_expect(c.port[0].gateway.n == 2 && is(&c.port[0].gateway.item[0], "192.0.2.1"));
    cr_expect_str_eq(c.zone, "coral.example.net");
    cr_expect_eq(c.proxy_ttl_ms, 5000u);
    cr_expect_eq(c.sites, 2u);
    cr_expect_str_eq(c.site[0].host, "a.example.com"); /* sorted, lower case */
    cr_expect_eq(c.site[0].ttl_override_s, -1);
    cr_expect(c.site[0].compress.n == 2 && c.site[1].compress.n == 0);
    cr_expect_str_eq(c.site[0].compress.item[0], "text/*");
    cr_expect_str_eq(c.site[0].compress.item[1], "application/*+json");
    const struct config_site *s = &c.site[0];
    cr_expect_eq(s->client_address, (unsigned)CONFIG_ADDRESS_X_FORWARDED_FOR);
    cr_expect(s->trusted_proxies.n == 2 && s->trusted_proxies.item[1].bits == 0);
    cr_expect(s->request_id && !s->server_timing && s->cache_status_key);
    cr_expect(s->fair.requests == 500 && s->fair.bytes == 2u << 20);
    cr_expect_eq(s->fair.over, (unsigned)CONFIG_OVER_REFUSE);
    cr_expect(s->home.is_address && s->home.port == 8080);
    cr_expect(c.open_fair.requests == 7 && !c.open_fair.bytes &&
              c.open_fair.over == CONFIG_OVER_REDIRECT);
    s = &c.site[1];
    cr_expect(!s->fair.requests && !s->fair.bytes && !*s->home.host);
    cr_expect(s->client_address == CONFIG_ADDRESS_NONE && !s->trusted_proxies.n && !s->request_id);
    cr_expect_eq(s->ttl_override_s, 12 * 3600);
    cr_expect_eq(s->origin.n, 3u);
    cr_expect_str_eq(s->origin.item[0].host, "in.example.com");
    cr_expect(!s->origin.item[0].is_address && s->origin.item[0].port == 8080);
    cr_expect(s->origin.item[1].is_address && s->origin.item[1].port == 80);
    cr_expect(is(&s->origin.item[2].address, "::1") && s->origin.item[2].port == 81);
    cr_expect(s->allow.n == 1 && s->allow.item[0].bits == 8);
    cr_expect(c.resolver.n == 2 && c.resolver.item[0].port == 0 && c.resolver.item[1].port == 5353);
    cr_expect_eq(c.drain_timeout_ms, 500u);
    cr_expect_eq(c.controller, (unsigned)CONFIG_RENO);
    config_free(&c);
}

Test(config_values, origins_with_weights)
{
    struct config c;

    golden_good(GOLDEN_PORT "resolver: 192.0.2.53\n"
                            "sites:\n"
                            "  a.test: {origin: [a.example.com:81 weight=3, \"[::1]:82  backup\", "
                            "192.0.2.9]}\n",
                &c);
    const struct config_origin *o = c.site[0].origin.item;
    cr_expect_str_eq(o[0].host, "a.example.com");
    cr_expect(o[0].port == 81 && o[0].weight == 3 && !o[0].backup);
    cr_expect(o[1].port == 82 && o[1].weight == 0 && o[1].backup);
    cr_expect(o[2].is_address && o[2].weight == 0 && !o[2].backup);
    config_free(&c);
}

Test(config_values, the_access_log)
{
    struct config c;

    golden_good(GOLDEN_PORT, &c);
    cr_expect(!*c.log_access.file && !c.log_access.journal && !c.log_access.peers);
    cr_expect_eq(c.log_access.format, (unsigned)ACCESS_COMBINED);
    cr_expect(c.log_access.max_bytes == 0 && c.log_access.keep == 5);
    config_free(&c);
    golden_good(GOLDEN_PORT
                "log: {level: error, access: {file: /var/log/coral/access.log,\n"
                "  format: json, max_size: 100MiB, keep: 3, journal: yes, peers: on}}\n",
                &c);
    cr_expect_str_eq(c.log_access.file, "/var/log/coral/access.log");
    cr_expect_eq(c.log_access.format, (unsigned)ACCESS_JSON);
    cr_expect(c.log_access.max_bytes == 100u << 20 && c.log_access.keep == 3);
    cr_expect(c.log_access.journal && c.log_access.peers);
    cr_expect_eq(c.log_level, (unsigned)LOG_LEVEL_ERROR);
    config_free(&c);
}

Test(config_values, sizes)
{
    static const struct {
        const char *text;
        enum units_result result;
        uint64_t bytes;
    } all[] = {
        {"4GiB", UNITS_OK, 4ull << 30},
        {"64 KiB", UNITS_OK, 65536},
        {"1B", UNITS_OK, 1},
        {"0", UNITS_OK, 0},
        {"16777215TiB", UNITS_OK, 16777215ull << 40},
        {"16777216TiB", UNITS_HUGE, 0},
        {"99999999999999999999B", UNITS_HUGE, 0},
        {"4096", UNITS_MISSING, 0},
        {"4gib", UNITS_NONSENSE, 0},
        {"4 GB", UNITS_NONSENSE, 0},
        {"-1B", UNITS_NONSENSE, 0},
        {"", UNITS_NONSENSE, 0},
        {"GiB", UNITS_NONSENSE, 0},
        {"1.5GiB", UNITS_NONSENSE, 0},
        {"4GiB ", UNITS_NONSENSE, 0},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        uint64_t bytes = 0;
        cr_expect_eq(units_size_parse(all[i].text, &bytes), all[i].result, "%s", all[i].text);
        if (all[i].result == UNITS_OK)
            cr_expect_eq(bytes, all[i].bytes, "%s", all[i].text);
    }
}

Test(config_values, times)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } all[] = {
        {"500ms", 500},    {"30s", 30000},   {"5min", 300000}, {"5m", 300000},
        {"12h", 43200000}, {"1d", 86400000}, {"0", 0},         {"0s", 0},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        uint64_t ms = 1;
        cr_expect_eq(units_time_parse(all[i].text, &ms), UNITS_OK, "%s", all[i].text);
        cr_expect_eq(ms, all[i].ms, "%s", all[i].text);
    }
}

Test(config_values, as_people_read_them)
{
    char t[UNITS_TEXT];

    cr_expect_str_eq(units_size_exact(4ull << 30, t), "4GiB");
    cr_expect_str_eq(units_size_exact(1500, t), "1500B");
    cr_expect_str_eq(units_size_exact(0, t), "0");
    cr_expect_str_eq(units_time_exact(90000, t), "90s");
    cr_expect_str_eq(units_time_exact(300000, t), "5min");
    cr_expect_str_eq(units_size_round(3328599655ull, t), "3.1 GiB");
    cr_expect_str_eq(units_size_round(64ull << 20, t), "64 MiB");
    cr_expect_str_eq(units_size_round(100, t), "100 B");
    cr_expect_str_eq(units_count_round(181512, t), "182 k");
    cr_expect_str_eq(units_count_round(9999, t), "9999");
    cr_expect_str_eq(units_latency_round(90, t), "0.09 ms");
    cr_expect_str_eq(units_latency_round(8000, t), "8.0 ms");
    cr_expect_str_eq(units_latency_round(12000000, t), "12 s");
    cr_expect_str_eq(units_span_round(11520, t), "3 h 12 min");
    cr_expect_str_eq(units_span_round(59, t), "59 s");
    cr_expect_str_eq(units_span_round(200000, t), "2 d 7 h");
}

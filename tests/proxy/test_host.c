/* SPDX-License-Identifier: BSD-3-Clause */
/* Policy as a pure function: URLs as people give them, addresses of origins, and the field by which
 * peers know each other. */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/proxy/peer.h"
#include "dataplane/proxy/proxy.h"

static struct proxy_site sites[3] = {{.host = "a.test"}, {.host = "m.test"}, {.host = "z.test"}};
static const struct proxy_policy policy = {.zone = "coral.test",
                                           .open = true,
                                           .sites = 3,
                                           .site = sites,
                                           .own = 1,
                                           .own_address = {{{0x20, 1, 0xd, 0xb8, [15] = 1}}},
                                           .allow = 1,
                                           .allow_prefix = {{{{[10] = 0xff, 0xff, 10}}, 8}}};

static const char *url(const char *in)
{
    static char out[HTTP_URL_MAX + 1];
    size_t n = proxy_url(&policy, in, strlen(in), out, HTTP_URL_MAX);
    out[n] = 0;
    return out;
}

Test(host, sites_are_found)
{
    cr_assert_eq(proxy_site_find(&policy, "a.test"), &sites[0]);
    cr_assert_eq(proxy_site_find(&policy, "m.test"), &sites[1]);
    cr_assert_eq(proxy_site_find(&policy, "z.test"), &sites[2]);
    cr_assert_null(proxy_site_find(&policy, ""));
    cr_assert_null(proxy_site_find(&policy, "zz.test"));
}

Test(host, urls_get_the_form_that_the_cache_has)
{
    cr_assert_str_eq(url("http://a.test/x"), "http://a.test/x");
    cr_assert_str_eq(url("HTTP://A.Test.Coral.TEST"), "http://a.test/");
    cr_assert_str_eq(url("http://e.example.8080.coral.test/%7Eb/./c?d"),
                     "http://e.example:8080/~b/c?d");
    cr_assert_str_eq(url("http://e.example:8080/"), "http://e.example:8080/");
    cr_assert_str_eq(url("http://192.0.2.1.coral.test/"), "http://192.0.2.1/");
    cr_assert_str_eq(url("http://192.0.2.1.81.coral.test/"), "http://192.0.2.1:81/");
    cr_assert_str_eq(url("https://a.test/"), "");
    cr_assert_str_eq(url("http://"), "");
    cr_assert_str_eq(url("http://coral.test/"), "");
    cr_assert_str_eq(url("a.test/x"), "");
}

Test(host, addresses_of_origins)
{
    struct proxy_site open_site = {.allow_special = true};
    struct addr a;
    static const struct {
        const char *text;
        bool open, site, special_site;
    } is[] = {
        {"8.8.8.8", true, true, true},       {"127.0.0.1", false, false, true},
        {"10.1.2.3", true, false, true},     {"192.168.0.1", false, false, true},
        {"169.254.1.1", false, false, true}, {"::1", false, false, true},
        {"fe80::1", false, false, true},     {"2001:db8::1", false, false, false}, /* ourselves */
        {"2606:4700::1", true, true, true},  {"::ffff:127.0.0.1", false, false, true},
    };
    for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        cr_assert(addr_parse(is[i].text, &a), "%s", is[i].text);
        cr_expect_eq(proxy_origin_allowed(&policy, NULL, &a), is[i].open, "%s", is[i].text);
        cr_expect_eq(proxy_origin_allowed(&policy, &sites[0], &a), is[i].site, "%s", is[i].text);
        cr_expect_eq(proxy_origin_allowed(&policy, &open_site, &a), is[i].special_site, "%s",
                     is[i].text);
    }
}

Test(host, the_peer_field_is_read_as_it_was_written)
{
    char line[PEER_FIELD_MAX];
    struct peer_field f = {.key_id = 3, .nonce = 0x0123456789abcdef, .path_len = DHT_PATH_MAX}, g;
    memset(f.node.b, 0xa5, sizeof(f.node.b));
    for (unsigned i = 0; i < DHT_PATH_MAX; i++)
        memset(f.path[i].b, (int)i, DHT_ID_BYTES);
    memset(f.mac, 0x77, sizeof(f.mac));
    size_t n = peer_field_write(&f, line, sizeof(line));
    cr_assert_gt(n, 0);
    size_t skip = strlen("Coral-Peer: ");
    struct http_text v = {line + skip, (uint32_t)(n - skip - 2)};
    cr_assert(peer_field_parse(v, &g));
    cr_assert_eq(memcmp(&f, &g, sizeof(f)), 0);
    for (uint32_t cut = 0; cut < v.len; cut++)
        cr_assert(!peer_field_parse((struct http_text){v.p, cut}, &g));
    cr_assert(peer_on_path(f.path, DHT_PATH_MAX, &f.path[7]));
    cr_assert(!peer_on_path(f.path, 7, &f.path[7]));
}

Test(host, a_mac_holds_for_one_url_range_and_answer)
{
    struct dht_keys keys = {.n = 1, .key[0] = {.id = 1, .key = "an example key."}};
    struct dht_mac *mac = dht_mac_create(&keys);
    struct peer_field f = {.nonce = 5};
    struct peer_claim c = {.method = "GET", .url = {"http://a/", 9}, .range = {"bytes=5-", 8}};
    peer_sign(mac, &c, &f);
    cr_assert(peer_verify(mac, &c, &f));
    struct peer_claim other = c;
    other.url.p = "http://b/";
    cr_assert(!peer_verify(mac, &other, &f));
    other = c;
    other.range.len = 0;
    cr_assert(!peer_verify(mac, &other, &f));
    other = c;
    other.answer = true;
    cr_assert(!peer_verify(mac, &other, &f));
    f.nonce++;
    cr_assert(!peer_verify(mac, &c, &f));
    dht_mac_destroy(mac);
}

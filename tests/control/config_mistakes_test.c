/* SPDX-License-Identifier: BSD-3-Clause */
/* What people get wrong, and exactly what they are told. */
#include "tests/control/golden.h"

#include <sys/stat.h>
#include <unistd.h>

Test(config_mistakes, several_are_told_in_one_run_in_the_order_of_the_file)
{
    golden_bad("# a node\n"
               "node:    {name: edge-1, workers: 17}\n"
               "ports:   [{device: eth1, addresses: [192.0.2.10/24]}]\n"
               "cache:   {memory: 12 parrots}\n"
               "cluster: {}\n"
               "dns:     {zoen: coral.example.net}\n",
               "corald.yaml:2:34: node.workers: \"17\" is out of range: 1 to 16\n"
               "    2 | node:    {name: edge-1, workers: 17}\n"
               "      |                                  ^~\n"
               "corald.yaml:4:19: cache.memory: \"12 parrots\" is not a size; write it like 4GiB\n"
               "    4 | cache:   {memory: 12 parrots}\n"
               "      |                   ^~~~~~~~~~\n"
               "corald.yaml:6:11: dns.zoen: no such key; did you mean \"zone\"?\n"
               "    6 | dns:     {zoen: coral.example.net}\n"
               "      |           ^~~~\n");
}

Test(config_mistakes, an_empty_file_lacks_ports)
{
    const char *said = "corald.yaml: ports: missing; write it like [{device: eth1, addresses: "
                       "[192.0.2.10/24]}]\n";
    golden_bad("", said);
    golden_bad("\n\n", said);
}

Test(config_mistakes, a_port_needs_device_and_addresses)
{
    golden_bad("ports:\n  - {mtu: 1500}\n",
               "corald.yaml:2:6: ports[0].addresses: missing; write it like [192.0.2.10/24]\n"
               "    2 |   - {mtu: 1500}\n"
               "      |      ^~~\n"
               "corald.yaml:2:6: ports[0].device: missing; write it like eth1\n"
               "    2 |   - {mtu: 1500}\n"
               "      |      ^~~\n");
}

Test(config_mistakes, a_wrong_value_is_not_missing_too)
{
    golden_bad(
        "ports: [{device: \"eth 1\", addresses: [192.0.2.10]}]\n",
        "corald.yaml:1:18: ports[0].device: \"eth 1\" is not a network interface; write it "
        "like eth1\n"
        "    1 | ports: [{device: \"eth 1\", addresses: [192.0.2.10]}]\n"
        "      |                  ^~~~~~~\n"
        "corald.yaml:1:39: ports[0].addresses[0]: \"192.0.2.10\" has no prefix length; write "
        "it like 192.0.2.10/24\n"
        "    1 | ports: [{device: \"eth 1\", addresses: [192.0.2.10]}]\n"
        "      |                                       ^~~~~~~~~~\n");
}

Test(config_mistakes, a_key_at_the_wrong_level_is_shown_its_place)
{
    golden_bad(GOLDEN_PORT "workers: 2\n",
               "corald.yaml:2:1: workers: no such key; did you mean \"node.workers\"?\n"
               "    2 | workers: 2\n"
               "      | ^~~~~~~\n");
    golden_bad(GOLDEN_PORT "something: 2\n",
               "corald.yaml:2:1: something: no such key; see corald.yaml(5)\n"
               "    2 | something: 2\n"
               "      | ^~~~~~~~~\n");
}

Test(config_mistakes, a_key_twice)
{
    golden_bad(GOLDEN_PORT "node: {workers: 1}\nnode: {workers: 2}\n",
               "corald.yaml:3:1: node: this key is here twice; first in line 2\n"
               "    3 | node: {workers: 2}\n"
               "      | ^~~~\n");
}

Test(config_mistakes, a_tab_indents)
{
    golden_bad("node:\n\tworkers: 1\n",
               "corald.yaml:2:1: tab character may not be used as indentation\n"
               "    2 |  workers: 1\n"
               "      | ^\n");
}

Test(config_mistakes, anchors_and_aliases_are_refused)
{
    golden_bad(GOLDEN_PORT "node: {name: &x edge}\ndns: {zone: *x}\n",
               "corald.yaml:2:17: anchors are not taken; write the value out where it is used\n"
               "    2 | node: {name: &x edge}\n"
               "      |                 ^~~~\n"
               "corald.yaml:3:14: dns.zone: aliases are not taken; write the value out\n"
               "    3 | dns: {zone: *x}\n"
               "      |              ^\n");
}

Test(config_mistakes, directives_are_refused)
{
    golden_bad("%YAML 1.2\n---\n" GOLDEN_PORT,
               "corald.yaml:1:1: directives are not taken; leave the line out\n"
               "    1 | %YAML 1.2\n"
               "      | ^\n");
}

Test(config_mistakes, only_text_is_read)
{
    static const char *const wrong[][2] = {
        {"node: {name: \xff\xfe}\n" GOLDEN_PORT, "corald.yaml:1:14: a byte 0xff here"},
        {"# caf\xc3\xa9 \x01\n" GOLDEN_PORT, "corald.yaml:1:8: a byte 0x01 here"},
        {"node:\r  {name: a}\n" GOLDEN_PORT, "corald.yaml:1:6: a byte 0x0d here"},
        {"\xed\xa0\x80", "corald.yaml:1:1: a byte 0xed here"}, /* half of a surrogate pair */
        {"\xc0\x80", "corald.yaml:1:1: a byte 0xc0 here"},
    };
    struct config c;
    bool good;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char *said = golden_said(wrong[i][0], &c, &good);
        cr_expect(!good && strstr(said, wrong[i][1]), "%zu: %s", i, said);
        free(said);
    }
    golden_good("# caf\xc3\xa9 \xf0\x9f\x90\x9a\r\n" GOLDEN_PORT, &c);
    config_free(&c);
}

Test(config_mistakes, times_and_sizes_want_units)
{
    golden_bad(GOLDEN_PORT "drain_timeout: 30\ncache: {memory: 4G}\ndns: {proxy_ttl: 2 weeks}\n",
               "corald.yaml:2:16: drain_timeout: \"30\" has no unit; write it like 30s\n"
               "    2 | drain_timeout: 30\n"
               "      |                ^~\n"
               "corald.yaml:3:17: cache.memory: \"4G\" is not a size; write it like 4GiB\n"
               "    3 | cache: {memory: 4G}\n"
               "      |                 ^~\n"
               "corald.yaml:4:18: dns.proxy_ttl: \"2 weeks\" is not a time; write it like 30s\n"
               "    4 | dns: {proxy_ttl: 2 weeks}\n"
               "      |                  ^~~~~~~\n");
}

Test(config_mistakes, ranges_are_told_in_units)
{
    golden_bad(GOLDEN_PORT "cache: {memory: 1MiB}\ndrain_timeout: 2d\n",
               "corald.yaml:2:17: cache.memory: \"1MiB\" is out of range: 16MiB to 4TiB\n"
               "    2 | cache: {memory: 1MiB}\n"
               "      |                 ^~~~\n"
               "corald.yaml:3:16: drain_timeout: \"2d\" is out of range: 0 to 1d\n"
               "    3 | drain_timeout: 2d\n"
               "      |                ^~\n");
}

Test(config_mistakes, choices_suggest_the_nearest)
{
    golden_bad(
        "ports: [{device: eth1, driver: af_xpd, addresses: [192.0.2.10/24]}]\n"
        "log: {level: loud}\n"
        "tcp: {congestion_control: vegas}\n",
        "corald.yaml:1:32: ports[0].driver: \"af_xpd\" is not a driver; did you mean "
        "\"af_xdp\"?\n"
        "    1 | ports: [{device: eth1, driver: af_xpd, addresses: [192.0.2.10/24]}]\n"
        "      |                                ^~~~~~\n"
        "corald.yaml:2:14: log.level: \"loud\" is not a log level; there are error, warning, "
        "info or debug\n"
        "    2 | log: {level: loud}\n"
        "      |              ^~~~\n"
        "corald.yaml:3:27: tcp.congestion_control: \"vegas\" is not a congestion control; there "
        "are cubic, reno or bbr\n"
        "    3 | tcp: {congestion_control: vegas}\n"
        "      |                           ^~~~~\n");
}

Test(config_mistakes, the_access_log)
{
    golden_bad(GOLDEN_PORT "log:\n"
                           "  access: {format: jason, max_size: 1KiB, fiel: /x}\n",
               "corald.yaml:3:20: log.access.format: \"jason\" is not a format of the access log; "
               "did you mean \"json\"?\n"
               "    3 |   access: {format: jason, max_size: 1KiB, fiel: /x}\n"
               "      |                    ^~~~~\n"
               "corald.yaml:3:37: log.access.max_size: \"1KiB\" is out of range: 1MiB to 1TiB\n"
               "    3 |   access: {format: jason, max_size: 1KiB, fiel: /x}\n"
               "      |                                     ^~~~\n"
               "corald.yaml:3:43: log.access.fiel: no such key; did you mean \"file\"?\n"
               "    3 |   access: {format: jason, max_size: 1KiB, fiel: /x}\n"
               "      |                                           ^~~~\n");
    golden_bad(
        GOLDEN_PORT "log: {access: {max_size: 1MiB, journal: true}}\n",
        "corald.yaml:2:16: log.access.max_size: is of log.access.file, and there is none; add "
        "it, like /var/log/coral/access.log\n"
        "    2 | log: {access: {max_size: 1MiB, journal: true}}\n"
        "      |                ^~~~~~~~\n");
}

Test(config_mistakes, shapes)
{
    golden_bad("ports: eth1\nnode: [1]\ndns: {zone: [a]}\nresolver: {a: 1}\ncache:\n  memory:\n",
               "corald.yaml:1:8: ports: a list is wanted here, like [{device: eth1, addresses: "
               "[192.0.2.10/24]}]\n"
               "    1 | ports: eth1\n"
               "      |        ^~~~\n"
               "corald.yaml:2:8: node: keys with values are wanted here\n"
               "    2 | node: [1]\n"
               "      |        ^\n"
               "corald.yaml:3:14: dns.zone: one value is wanted here, like coral.example.net\n"
               "    3 | dns: {zone: [a]}\n"
               "      |              ^\n"
               "corald.yaml:4:12: resolver: a list is wanted here, like [192.0.2.53 or "
               "192.0.2.53:PORT]\n"
               "    4 | resolver: {a: 1}\n"
               "      |            ^\n"
               "corald.yaml:6:3: cache.memory: has no value; write it like 4GiB\n"
               "    6 |   memory:\n"
               "      |   ^~~~~~\n");
}

Test(config_mistakes, addresses_and_gateways)
{
    golden_bad("ports:\n"
               "  - {device: a, addresses: [192.0.2.10/24, 127.0.0.1/8], gateway: 198.51.100.1}\n"
               "  - {device: a, addresses: [192.0.2.10/33, 192.0.2.10/24]}\n",
               "corald.yaml:2:6: ports[0].addresses[1]: 127.0.0.1 cannot be a port's address\n"
               "    2 |   - {device: a, addresses: [192.0.2.10/24, 127.0.0.1/8], gateway: "
               "198.51.100.1}\n"
               "      |      ^~~~~~\n"
               "corald.yaml:2:67: ports[0].gateway: 198.51.100.1 is in none of the networks of the "
               "addresses\n"
               "    2 |   - {device: a, addresses: [192.0.2.10/24, 127.0.0.1/8], gateway: "
               "198.51.100.1}\n"
               "      |                                                                   "
               "^~~~~~~~~~~~\n"
               "corald.yaml:3:6: ports[1].addresses[0]: 192.0.2.10 is ports[0].addresses[0] "
               "already\n"
               "    3 |   - {device: a, addresses: [192.0.2.10/33, 192.0.2.10/24]}\n"
               "      |      ^~~~~~\n"
               "corald.yaml:3:6: ports[1].device: a is ports[0].device already\n"
               "    3 |   - {device: a, addresses: [192.0.2.10/33, 192.0.2.10/24]}\n"
               "      |      ^~~~~~\n"
               "corald.yaml:3:29: ports[1].addresses[0]: \"192.0.2.10/33\" has a wrong prefix "
               "length: 0 to 32\n"
               "    3 |   - {device: a, addresses: [192.0.2.10/33, 192.0.2.10/24]}\n"
               "      |                             ^~~~~~~~~~~~~\n");
}

Test(config_mistakes, sites_and_origins)
{
    golden_bad(
        GOLDEN_PORT "dns: {zone: coral.test}\n"
                    "sites:\n"
                    "  a.test: {origin: [\"https://a.test\"]}\n"
                    "  b.test: {origin: [www.coral.test], allow: [10.1.2.3/8]}\n"
                    "  -c: {origin: [192.0.2.1]}\n"
                    "  d.test: {}\n"
                    "  e.test: {origin: origin.e.test}\n",
        "corald.yaml:4:21: sites.a.test.origin[0]: \"https://a.test\" is a URL; write HOST or "
        "HOST:PORT (plain HTTP)\n"
        "    4 |   a.test: {origin: [\"https://a.test\"]}\n"
        "      |                     ^~~~~~~~~~~~~~~~\n"
        "corald.yaml:5:3: sites.b.test.origin: www.coral.test is inside dns.zone: requests "
        "would come back to us\n"
        "    5 |   b.test: {origin: [www.coral.test], allow: [10.1.2.3/8]}\n"
        "      |   ^~~~~~\n"
        "corald.yaml:5:46: sites.b.test.allow[0]: \"10.1.2.3/8\" has bits beyond its prefix; "
        "did you mean 10.0.0.0/8?\n"
        "    5 |   b.test: {origin: [www.coral.test], allow: [10.1.2.3/8]}\n"
        "      |                                              ^~~~~~~~~~\n"
        "corald.yaml:6:3: sites.-c: \"-c\" is not a domain name; write it like "
        "coral.example.net\n"
        "    6 |   -c: {origin: [192.0.2.1]}\n"
        "      |   ^~\n"
        "corald.yaml:7:3: sites.d.test.origin: missing; write it like "
        "[origin.example.net:80]\n"
        "    7 |   d.test: {}\n"
        "      |   ^~~~~~\n"
        "corald.yaml:8:3: sites.e.test.origin: origin.e.test is a name, and nobody is there "
        "to resolve it; add \"resolver: [ADDRESS]\"\n"
        "    8 |   e.test: {origin: origin.e.test}\n"
        "      |   ^~~~~~\n");
}

Test(config_mistakes, what_stands_behind_an_origin)
{
    golden_bad(
        GOLDEN_PORT
        "sites:\n"
        "  a.test: {origin: [192.0.2.1 wieght=2, 192.0.2.2 weight=0, 192.0.2.3 weight=257]}\n",
        "corald.yaml:3:21: sites.a.test.origin[0]: \"wieght=2\" may not stand behind an origin; "
        "weight=N or backup may\n"
        "    3 |   a.test: {origin: [192.0.2.1 wieght=2, 192.0.2.2 weight=0, 192.0.2.3 "
        "weight=257]}\n"
        "      |                     ^~~~~~~~~~~~~~~~~~\n"
        "corald.yaml:3:41: sites.a.test.origin[1]: \"weight=0\" is a wrong weight: weight=1 to "
        "weight=256\n"
        "    3 |   a.test: {origin: [192.0.2.1 wieght=2, 192.0.2.2 weight=0, 192.0.2.3 "
        "weight=257]}\n"
        "      |                                         ^~~~~~~~~~~~~~~~~~\n"
        "corald.yaml:3:61: sites.a.test.origin[2]: \"weight=257\" is a wrong weight: weight=1 to "
        "weight=256\n"
        "    3 |   a.test: {origin: [192.0.2.1 wieght=2, 192.0.2.2 weight=0, 192.0.2.3 "
        "weight=257]}\n"
        "      |                                                             "
        "^~~~~~~~~~~~~~~~~~~~\n");
}

Test(config_mistakes, health)
{
    golden_bad(
        GOLDEN_PORT "sites:\n"
                    "  a.test: {origin: 192.0.2.1, health: {path: up, fall: 0, paht: /x}}\n",
        "corald.yaml:3:46: sites.a.test.health.path: \"up\" is not the path of a URL; write it "
        "like /healthz\n"
        "    3 |   a.test: {origin: 192.0.2.1, health: {path: up, fall: 0, paht: /x}}\n"
        "      |                                              ^~\n"
        "corald.yaml:3:56: sites.a.test.health.fall: \"0\" is out of range: 1 to 100\n"
        "    3 |   a.test: {origin: 192.0.2.1, health: {path: up, fall: 0, paht: /x}}\n"
        "      |                                                        ^\n"
        "corald.yaml:3:59: sites.a.test.health.paht: no such key; did you mean "
        "\"path\"?\n"
        "    3 |   a.test: {origin: 192.0.2.1, health: {path: up, fall: 0, paht: /x}}\n"
        "      |                                                           ^~~~\n");
}

Test(config_mistakes, a_site_twice_however_written)
{
    golden_bad(GOLDEN_PORT "resolver: [nobody]\n"
                           "sites:\n"
                           "  a.test: {origin: o.test}\n"
                           "  A.test: {origin: o.test}\n"
                           "  a.test: {origin: o.test}\n",
               "corald.yaml:2:12: resolver[0]: \"nobody\" is not an address; write it like "
               "192.0.2.53 or 192.0.2.53:PORT\n"
               "    2 | resolver: [nobody]\n"
               "      |            ^~~~~~\n"
               "corald.yaml:5:3: sites.a.test: this site is here twice; first in line 4\n"
               "    5 |   A.test: {origin: o.test}\n"
               "      |   ^~~~~~\n"
               "corald.yaml:6:3: sites.a.test: this site is here twice; first in line 5\n"
               "    6 |   a.test: {origin: o.test}\n"
               "      |   ^~~~~~\n");
}

Test(config_mistakes, a_url_is_no_host)
{
    golden_bad(GOLDEN_PORT "sites:\n  \"http://a.test/x\": {origin: 192.0.2.1}\n",
               "corald.yaml:3:3: sites.http://a.test/x: \"http://a.test/x\" is a URL; leave out "
               "\"http://\", write it like a.test\n"
               "    3 |   \"http://a.test/x\": {origin: 192.0.2.1}\n"
               "      |   ^~~~~~~~~~~~~~~~~\n");
}

Test(config_mistakes, paths_are_absolute)
{
    golden_bad(
        GOLDEN_PORT "log: {access: {file: access.log}}\nnode: {run_dir: run}\n",
        "corald.yaml:2:22: log.access.file: \"access.log\" is not an absolute path; write it "
        "like /var/log/coral/FILE\n"
        "    2 | log: {access: {file: access.log}}\n"
        "      |                      ^~~~~~~~~~\n"
        "corald.yaml:3:17: node.run_dir: \"run\" is not an absolute path of a folder; write "
        "it like /run/coral/edge-1\n"
        "    3 | node: {run_dir: run}\n"
        "      |                 ^~~\n");
}

Test(config_mistakes, media_types)
{
    golden_bad(
        GOLDEN_PORT "sites:\n"
                    "  a.test: {origin: [192.0.2.1], compress: [text, \"a/b; c\", \"*/*\"]}\n"
                    "  b.test: {origin: [192.0.2.1], compress: true}\n",
        "corald.yaml:3:44: sites.a.test.compress[0]: \"text\" is not a media type; write it "
        "like text/html, text/* or application/*+json\n"
        "    3 |   a.test: {origin: [192.0.2.1], compress: [text, \"a/b; c\", \"*/*\"]}\n"
        "      |                                            ^~~~\n"
        "corald.yaml:3:50: sites.a.test.compress[1]: \"a/b; c\" is not a media type; write it "
        "like text/html, text/* or application/*+json\n"
        "    3 |   a.test: {origin: [192.0.2.1], compress: [text, \"a/b; c\", \"*/*\"]}\n"
        "      |                                                  ^~~~~~~~\n"
        "corald.yaml:3:60: sites.a.test.compress[2]: \"*/*\" is not a media type; write it "
        "like text/html, text/* or application/*+json\n"
        "    3 |   a.test: {origin: [192.0.2.1], compress: [text, \"a/b; c\", \"*/*\"]}\n"
        "      |                                                            ^~~~~\n"
        "corald.yaml:4:43: sites.b.test.compress: \"true\" is not a media type; write it like "
        "text/html, text/* or application/*+json\n"
        "    4 |   b.test: {origin: [192.0.2.1], compress: true}\n"
        "      |                                           ^~~~\n");
}

Test(config_mistakes, what_origins_are_told)
{
    golden_bad(
        GOLDEN_PORT "sites:\n"
                    "  a.test: {origin: [192.0.2.1], client_address: x-forwarded}\n"
                    "  b.test: {origin: [192.0.2.1], trusted_proxies: [10.0.0.0/8]}\n",
        "corald.yaml:3:49: sites.a.test.client_address: \"x-forwarded\" is not a field for the "
        "client's address; did you mean \"x-forwarded-for\"?\n"
        "    3 |   a.test: {origin: [192.0.2.1], client_address: x-forwarded}\n"
        "      |                                                 ^~~~~~~~~~~\n"
        "corald.yaml:4:3: sites.b.test.trusted_proxies: nobody is told what they say; choose "
        "\"client_address: x-forwarded-for\" or forwarded, or leave it out\n"
        "    4 |   b.test: {origin: [192.0.2.1], trusted_proxies: [10.0.0.0/8]}\n"
        "      |   ^~~~~~\n");
}

Test(config_mistakes, shares)
{
    golden_bad(
        GOLDEN_PORT
        "sites:\n"
        "  a.test: {origin: [192.0.2.1], share: {requests: many, over: reject, home: a.test}}\n"
        "  b.test: {origin: [192.0.2.1], share: {bandwidth: 100, home: \"o.test weight=2\"}}\n",
        "corald.yaml:3:3: sites.a.test.share.home: a.test is served by us: clients would come "
        "back\n"
        "    3 |   a.test: {origin: [192.0.2.1], share: {requests: many, over: reject, home: "
        "a.test}}\n"
        "      |   ^~~~~~\n"
        "corald.yaml:3:51: sites.a.test.share.requests: \"many\" is not a number; write it like 4\n"
        "    3 |   a.test: {origin: [192.0.2.1], share: {requests: many, over: reject, home: "
        "a.test}}\n"
        "      |                                                   ^~~~\n"
        "corald.yaml:3:63: sites.a.test.share.over: \"reject\" is not what becomes of clients; "
        "there are "
        "redirect or refuse\n"
        "    3 |   a.test: {origin: [192.0.2.1], share: {requests: many, over: reject, home: "
        "a.test}}\n"
        "      |                                                               ^~~~~~\n"
        "corald.yaml:4:3: sites.b.test.share.home: one place has neither weight nor backup\n"
        "    4 |   b.test: {origin: [192.0.2.1], share: {bandwidth: 100, home: \"o.test "
        "weight=2\"}}\n"
        "      |   ^~~~~~\n"
        "corald.yaml:4:52: sites.b.test.share.bandwidth: \"100\" has no unit; write it like 4GiB\n"
        "    4 |   b.test: {origin: [192.0.2.1], share: {bandwidth: 100, home: \"o.test "
        "weight=2\"}}\n"
        "      |                                                    ^~~\n");
}

Test(config_mistakes, open_mode_needs_zone_and_resolver)
{
    golden_bad("open: {enabled: true}\n" GOLDEN_PORT,
               "corald.yaml:1:8: open.enabled: needs \"resolver: [ADDRESS]\", to find the origins\n"
               "    1 | open: {enabled: true}\n"
               "      |        ^~~~~~~\n"
               "corald.yaml:1:8: open.enabled: needs dns.zone, the zone of the open names\n"
               "    1 | open: {enabled: true}\n"
               "      |        ^~~~~~~\n");
    golden_bad("open: {enabled: true}\nresolver: eth0\ndns: {zone: coral.test}\n" GOLDEN_PORT,
               "corald.yaml:2:11: resolver: \"eth0\" is not an address; write it like 192.0.2.53 "
               "or 192.0.2.53:PORT\n"
               "    2 | resolver: eth0\n"
               "      |           ^~~~\n");
}

Test(config_mistakes, files_that_are_missing)
{
    golden_bad(GOLDEN_PORT "cluster: {key_file: /nonexistent/key}\n",
               "corald.yaml:2:21: cluster.key_file: cannot read /nonexistent/key: No such file or "
               "directory; (umask 077; openssl rand -hex 16 >/nonexistent/key) makes a key\n"
               "    2 | cluster: {key_file: /nonexistent/key}\n"
               "      |                     ^~~~~~~~~~~~~~~~\n");
    golden_bad(GOLDEN_PORT "cluster: {join: 192.0.2.11}\n",
               "corald.yaml:2:11: cluster.key_file: missing; cluster.join needs it (openssl rand "
               "-hex 16 makes a key)\n"
               "    2 | cluster: {join: 192.0.2.11}\n"
               "      |           ^~~~\n");
}

Test(config_mistakes, the_nearer_level_has_the_shorter_round_trips)
{
    golden_bad(GOLDEN_PORT "cluster: {rtt_regional: 80ms}\n",
               "corald.yaml:2:11: cluster.rtt_regional: 80ms is more than cluster.rtt_continental, "
               "60ms; level 2 is the nearer one\n"
               "    2 | cluster: {rtt_regional: 80ms}\n"
               "      |           ^~~~~~~~~~~~\n");
    golden_bad(GOLDEN_PORT "cluster: {rtt_continental: 10ms}\n",
               "corald.yaml:2:11: cluster.rtt_regional: 20ms is more than cluster.rtt_continental, "
               "10ms; level 2 is the nearer one\n"
               "    2 | cluster: {rtt_continental: 10ms}\n"
               "      |           ^~~~~~~~~~~~~~~\n");
}

Test(config_mistakes, what_comes_from_a_file_cannot_reach_the_terminal)
{
    golden_bad(GOLDEN_PORT "node: {name: \"\\e[31mred\"}\n",
               "corald.yaml:2:14: node.name: \"?[31mred\" is not a name; letters, digits, \".\", "
               "\"_\" and \"-\" make one, at most 63\n"
               "    2 | node: {name: \"\\e[31mred\"}\n"
               "      |              ^~~~~~~~~~~\n");
}

Test(config_mistakes, a_long_line_is_shown_around_the_mistake)
{
    char text[700];
    int n = snprintf(text, sizeof(text), "%s", GOLDEN_PORT "node: {name: ");
    memset(text + n, 'x', 300);
    snprintf(text + n + 300, sizeof(text) - (size_t)n - 300, ", workers: 99}\n");
    struct config c;
    bool good;
    char *said = golden_said(text, &c, &good);
    cr_expect(!good);
    cr_expect(strstr(said, "    2 | ..."), "%s", said);
    cr_expect(strlen(said) < 1200, "%s", said);
    free(said);
}

Test(config_mistakes, more_than_can_be_kept_are_counted)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    fputs(GOLDEN_PORT, to);
    for (int i = 0; i < 150; i++)
        fprintf(to, "wrong%d: 1\n", i);
    fclose(to);
    struct config c;
    bool good;
    char *said = golden_said(text, &c, &good);
    cr_expect(!good);
    cr_expect(strstr(said, "corald.yaml: 50 more\n"), "%s", said);
    free(said);
    free(text);
}

/* --- files of keys ------------------------------------------------------------------------- */

static char *key_said(const char *content, int mode, struct config *c, bool *good)
{
    char name[] = "coral-key-XXXXXX", text[256];
    int fd = mkstemp(name);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    fchmod(fd, (mode_t)mode);
    close(fd);
    snprintf(text, sizeof(text), GOLDEN_PORT "cluster: {key_file: %s}\n", name);
    char *said = golden_said(text, c, good);
    unlink(name);
    return said;
}

Test(config_mistakes, keys)
{
    struct config c;
    bool good;
    char *said = key_said("# of the cluster\n000102030405060708090A0b0c0d0e0f\n", 0600, &c, &good);
    cr_assert(good && !*said, "%s", said);
    cr_expect(c.keys == 1 && c.key[0].id == 0 && c.key[0].key[10] == 0x0a);
    config_free(&c);
    free(said);

    said = key_said("7 ffffffffffffffffffffffffffffffff\n8\t00000000000000000000000000000000", 0640,
                    &c, &good);
    cr_assert(good && !*said, "%s", said);
    cr_expect(c.keys == 2 && c.key[0].id == 7 && c.key[1].id == 8 && c.key[0].key[15] == 0xff);
    config_free(&c);
    free(said);

    said = key_said("000102030405060708090a0b0c0d0e0f\n", 0644, &c, &good);
    cr_expect(good && strstr(said, "warning: cluster.key_file: anybody can read"), "%s", said);
    config_free(&c);
    free(said);

    static const char *const wrong[][2] = {
        {"", "has no key"},
        {"0001\n", ":1 is no key: 32 hex digits make one"},
        {"300 000102030405060708090a0b0c0d0e0f\n", ":1 is no key"},
        {"x00102030405060708090a0b0c0d0e0f\n", ":1 is no key"},
        {"000102030405060708090a0b0c0d0e0f\n000102030405060708090a0b0c0d0e0f\n", "with the ID 0"},
        {"1 000102030405060708090a0b0c0d0e0f\n2 000102030405060708090a0b0c0d0e0f\n"
         "3 000102030405060708090a0b0c0d0e0f\n",
         "more than 2 keys"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        said = key_said(wrong[i][0], 0600, &c, &good);
        cr_expect(!good && strstr(said, wrong[i][1]), "%zu: %s", i, said);
        cr_expect(!strstr(said, "0405060708"), "a secret is shown: %s", said);
        free(said);
    }
}

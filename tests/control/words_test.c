/* SPDX-License-Identifier: BSD-3-Clause */
/* Words that were mistyped, names of nodes, and lines on the control socket. */
#include <criterion/criterion.h>

#include "control/nearest.h"
#include "control/request.h"
#include "control/rundir.h"

Test(words, distance_counts_the_slips_of_a_typist)
{
    cr_expect_eq(nearest_distance("zone", "zone"), 0u);
    cr_expect_eq(nearest_distance("zoen", "zone"), 1u); /* a swap */
    cr_expect_eq(nearest_distance("orgin", "origin"), 1u);
    cr_expect_eq(nearest_distance("ORIGIN", "origin"), 0u);
    cr_expect_eq(nearest_distance("", "abc"), 3u);
    cr_expect_eq(nearest_distance("abc", ""), 3u);
    cr_expect_eq(nearest_distance("kitten", "sitting"), 3u);
    char lengthy[200];
    memset(lengthy, 'a', sizeof(lengthy));
    lengthy[sizeof(lengthy) - 1] = '\0';
    cr_expect_eq(nearest_distance(lengthy, "a"), 64u);
}

Test(words, the_nearest_is_found_and_far_ones_are_not_suggested)
{
    static const char *const words[] = {"status", "stats", "purge", "stop"};
    cr_expect_str_eq(nearest_word("statu", words, 4), "status");
    cr_expect_str_eq(nearest_word("stat", words, 4), "status");
    cr_expect_str_eq(nearest_word("prge", words, 4), "purge");
    cr_expect_str_eq(nearest_word("Stop", words, 4), "stop");
    cr_expect_null(nearest_word("reload", words, 4));
    cr_expect_null(nearest_word("", words, 4));
    cr_expect_null(nearest_word("x", words, 0));
}

Test(words, names_of_nodes_are_folders_below_ours_and_nowhere_else)
{
    static const char *const good[] = {"edge-1", "demo/n1", "a", "A.b_c-d", "x/y/z"};
    static const char *const bad[] = {"",     "/",    "/a", "a/", "a//b", ".",    "..",
                                      "a/..", "../a", ".a", "-a", "a b",  "a\nb", "a/.b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect(rundir_name_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect(!rundir_name_valid(bad[i]), "%s", bad[i]);
    char path[RUNDIR_PATH], far[65];
    memset(far, 'n', 64);
    far[64] = '\0';
    cr_expect(rundir_path("demo/n1", path));
    cr_expect(rundir_path(far, path));
    setenv("CORAL_RUN", "/a/folder/that/is/rather/deep/in/the/tree", 1);
    cr_expect(!rundir_path(far, path), "a socket there could not be bound");
}

static bool parse(const char *line, struct request *r, char error[256])
{
    error[0] = '\0';
    return request_parse(line, strlen(line), r, error, 256);
}

Test(words, requests)
{
    struct request r;
    char why[256];

    cr_expect(parse("{\"verb\": \"status\"}", &r, why) && r.verb == REQUEST_STATUS);
    cr_expect(parse("{\"verb\": \"stats\", \"workers\": true}", &r, why) &&
              r.verb == REQUEST_STATS && r.workers);
    cr_expect(parse("{\"url\": \"http://a/\", \"verb\": \"purge\"}", &r, why) &&
              r.verb == REQUEST_PURGE && r.purge == REQUEST_PURGE_URL && !r.soft);
    cr_expect_str_eq(r.url, "http://a/");
    cr_expect(
        parse("{\"verb\": \"purge\", \"prefix\": \"http://a/b/\", \"soft\": true}", &r, why) &&
        r.purge == REQUEST_PURGE_PREFIX && r.soft);
    cr_expect_str_eq(r.url, "http://a/b/");
    cr_expect(parse("{\"verb\": \"purge\", \"tag\": \"news\", \"soft\": false}", &r, why) &&
              r.purge == REQUEST_PURGE_TAG && !r.soft);
    cr_expect_str_eq(r.url, "news");
    cr_expect(parse("{\"verb\": \"purge\", \"host\": \"a\"}", &r, why) &&
              r.purge == REQUEST_PURGE_HOST);
    cr_expect(parse("{\"all\": true, \"verb\": \"purge\"}", &r, why) &&
              r.purge == REQUEST_PURGE_ALL);
    cr_expect(parse("{\"verb\": \"stop\"}", &r, why) && r.verb == REQUEST_STOP && r.wait);
    cr_expect(parse("{\"verb\": \"stop\", \"wait\": false}", &r, why) && !r.wait);
    cr_expect(parse("{\"verb\": \"drain\"}", &r, why) && r.verb == REQUEST_DRAIN);
    cr_expect(parse("{\"verb\": \"tcp\"}", &r, why) && r.verb == REQUEST_TCP && !*r.address);
    cr_expect(parse("{\"verb\": \"tcp\", \"address\": \"[::1]:80\"}", &r, why));
    cr_expect_str_eq(r.address, "[::1]:80");
    cr_expect(parse("{\"verb\": \"log\"}", &r, why) && r.verb == REQUEST_LOG && !r.follow &&
              !r.reopen && r.most == 0 && r.filter.status_to == 0);
    cr_expect(parse("{\"verb\": \"log\", \"after\": 0, \"most\": 500, \"status\": \"5xx\", "
                    "\"client\": \"192.0.2.0/24\", \"slower\": \"1s\"}",
                    &r, why) &&
              r.follow && r.after == 0 && r.most == 500 && r.filter.status_from == 500 &&
              r.filter.bits == 24 && r.filter.slower_us == 1000000);
    cr_expect(parse("{\"verb\": \"log\", \"reopen\": true}", &r, why) && r.reopen);
    cr_expect(parse("{\"verb\": \"rules\"}", &r, why) && r.verb == REQUEST_RULES &&
              r.rules == REQUEST_RULES_STATUS);
    cr_expect(parse("{\"verb\": \"rules\", \"do\": \"load\", \"file\": \"/etc/x\"}", &r, why) &&
              r.rules == REQUEST_RULES_LOAD);
    cr_expect_str_eq(r.url, "/etc/x");
    cr_expect(parse("{\"verb\": \"peers\"}", &r, why) && r.verb == REQUEST_PEERS);
    cr_expect(parse("{\"verb\": \"clusters\"}", &r, why) && r.verb == REQUEST_CLUSTERS);
    cr_expect(parse("{\"verb\": \"origins\"}", &r, why) && r.verb == REQUEST_ORIGINS && !*r.url);
    cr_expect(parse("{\"verb\": \"origins\", \"site\": \"a.test\"}", &r, why));
    cr_expect_str_eq(r.url, "a.test");
    cr_expect(!parse("{\"verb\": \"origins\", \"host\": \"a.test\"}", &r, why));
    cr_expect(parse("{\"verb\": \"lookup\", \"key\": \"http://a/\"}", &r, why) &&
              r.verb == REQUEST_LOOKUP);
    cr_expect_str_eq(r.url, "http://a/");
    cr_expect(parse("{\"verb\": \"near\", \"address\": \"::1\"}", &r, why) &&
              r.verb == REQUEST_NEAR);
    cr_expect_str_eq(r.address, "::1");
}

Test(words, requests_that_are_none_are_told_why)
{
    static const struct {
        const char *line, *why;
    } all[] = {
        {"", "not JSON"},
        {"{", "not JSON"},
        {"[]", "a request is an object with a \"verb\""},
        {"{}", "a request is an object with a \"verb\""},
        {"{\"verb\": 1}", "a request is an object with a \"verb\""},
        {"{\"verb\": \"statsu\"}", "\"statsu\" is no verb; did you mean \"status\"?"},
        {"{\"verb\": \"explode\"}",
         "there are status, stats, tcp, origins, shares, peers, clusters, "
         "lookup, near, purge, log, rules, reload, drain and stop"},
        {"{\"verb\": \"status\", \"verb\": \"stop\"}", "not JSON"},
        {"{\"verb\": \"status\", \"url\": \"x\"}", "status does not take \"url\""},
        {"{\"verb\": \"stats\", \"workers\": 1}", "stats does not take \"workers\""},
        {"{\"verb\": \"purge\"}", "purge needs one of url, prefix, tag, host and all"},
        {"{\"verb\": \"purge\", \"soft\": true}", "purge needs one of"},
        {"{\"verb\": \"purge\", \"tag\": \"a\", \"all\": true}", "purge takes one of"},
        {"{\"verb\": \"purge\", \"all\": false}", "purge does not take \"all\""},
        {"{\"verb\": \"purge\", \"soft\": 1, \"all\": true}", "purge does not take \"soft\""},
        {"{\"verb\": \"purge\", \"tag\": \"\"}", "a tag has 1 to 4095 bytes"},
        {"{\"verb\": \"lookup\", \"tag\": \"a\"}", "lookup does not take \"tag\""},
        {"{\"verb\": \"rules\", \"do\": \"laod\"}",
         "rules does no \"laod\"; there are status, check"},
        {"{\"verb\": \"rules\", \"file\": \"x\"}", "\"x\" is no absolute path"},
        {"{\"verb\": \"rules\", \"file\": \"\"}", "a file's name has 1 to 4095 bytes"},
        {"{\"verb\": \"rules\", \"url\": \"x\"}", "rules does not take \"url\""},
        {"{\"verb\": \"lookup\"}", "lookup needs \"key\""},
        {"{\"verb\": \"lookup\", \"url\": \"http://a/\"}", "lookup does not take \"url\""},
        {"{\"verb\": \"lookup\", \"key\": \"\"}", "a key has 1 to 4095 bytes"},
        {"{\"verb\": \"near\"}", "near needs \"address\""},
        {"{\"verb\": \"peers\", \"address\": \"192.0.2.1\"}", "peers does not take \"address\""},
        {"{\"verb\": \"purge\", \"url\": \"\"}", "a URL has 1 to 4095 bytes"},
        {"{\"verb\": \"purge\", \"url\": \"a\\u0000b\"}", "not JSON"},
        {"{\"verb\": \"status\"} x", "not JSON"},
        {"{\"verb\": \"tcp\", \"address\": \"\"}", "an address has 1 to 63 bytes"},
        {"{\"verb\": \"log\", \"after\": -1}", "log does not take \"after\""},
        {"{\"verb\": \"log\", \"most\": 0}", "out of range: 1 to 500"},
        {"{\"verb\": \"log\", \"most\": 501}", "out of range: 1 to 500"},
        {"{\"verb\": \"log\", \"status\": 500}", "log does not take \"status\""},
        {"{\"verb\": \"log\", \"status\": \"5\"}", "\"5\" is no status"},
        {"{\"verb\": \"log\", \"client\": \"x\"}", "\"x\" is no client"},
        {"{\"verb\": \"log\", \"reopen\": false}", "log does not take \"reopen\""},
        {"{\"verb\": \"status\", \"status\": \"5xx\"}", "status does not take \"status\""},
        {"{\"verb\": \"drain\", \"wait\": false}", "drain does not take \"wait\""},
    };
    struct request r;
    char why[256];
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        cr_expect(!parse(all[i].line, &r, why), "%s", all[i].line);
        cr_expect(strstr(why, all[i].why), "%s: %s", all[i].line, why);
    }
}

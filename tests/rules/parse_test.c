/* SPDX-License-Identifier: BSD-3-Clause */
/* Mistakes in rules: each is told at its line and column, with what is wrong and what to write. */
#include <criterion/criterion.h>

#include "hand.h"

static char told[4096];

static const struct {
    const char *text, *says;
} mistakes[] = {
    {"www.example.com denny 403\n", "1:17: \"denny\" is no action; there are allow, deny,"},
    {"\n\n  www.example.com  deny\n", "3:24: a status, as 403, is missing after \"deny\""},
    {"a.b deny 200\n", "1:10: \"200\" is no status of an error"},
    {"a.b deny 4030\n", "1:10: \"4030\" is no status of an error"},
    {"a.b deny 401\n", "1:10: 401 must come with a field that deny does not send; take 403"},
    {"a.b deny 405\n", "1:10: 405 must"},
    {"a.b deny 407\n", "1:10: 407 must"},
    {"a.b deny 426\n", "1:10: 426 must"},
    {"a.b redirect 304 /x\n", "1:14: \"304\" is no redirection"},
    {"a.b redirect 301 ftp://x/\n", "1:18: \"ftp://x/\" is no URL; it begins with a slash, http"},
    {"a.b redirect 301 /$rest\n", "1:18: \"/$rest\": $rest is what follows the path"},
    {"a.b redirect 301 /$nix\n", "1:18: \"/$nix\": what follows $ is none of"},
    {"a.b redirect 301 \"/a b\"\n", "1:18: \"/a b\": there is a sign in it that no URL has"},
    {"a.b redirect 301 https://$uri\n", "1:18: \"https://$uri\": who asks could choose the host"},
    {"a.b path /x/ redirect 301 https://b.c$rest\n", "1:27: \"https://b.c$rest\": who asks could"},
    {"a.b path /x/ redirect 301 https://b.c$query$rest\n", "1:27: \"https://b.c$query$rest\": who"},
    {"a.b path /x/ redirect 301 https://$host$query$rest\n", "1:27: \"https://$host$query$rest\":"},
    {"a.b path /x/ redirect 301 https://b$$c$rest\n", "1:27: \"https://b$$c$rest\": who"},
    {"a.b rewrite http://x/\n", "1:13: \"http://x/\" is no path; it begins with a slash"},
    {"a.b path old deny 403\n", "1:10: \"old\" is no path; it begins with a slash"},
    {"a.b path /old?x deny 403\n", "1:10: a path has no \"?\"; use match for queries"},
    {"a.b path /%7efred deny 403\n",
     "1:10: requests are compared in their normal form; write it \"/~fred\""},
    {"a.b path /a/../b deny 403\n", "1:10: requests are compared in their normal form; write it"},
    {"http://a.b/ deny 403\n", "1:1: \"http://a.b/\" is no host; write it without http://"},
    {"a.b:80 deny 403\n", "1:1: \"a.b:80\": a rule is for a host at any port; leave it out"},
    {"a..b deny 403\n", "1:1: \"a..b\" is no host"},
    {"*x deny 403\n", "1:1: \"*x\" is no host"},
    {"a.b\n", "1:4: an action is missing after \"a.b\""},
    {"a.b match\n", "1:10: an expression is missing after \"match\""},
    {"a.b match \"\" deny 403\n", "1:11: an empty expression matches nothing"},
    {"a.b match \"x deny 403\n", "1:11: this quotation mark has no partner on its line"},
    {"a.b tag \"x\"y\n", "1:12: a blank is missing after the quotation mark"},
    {"a.b ttl 12parrots\n", "1:9: \"12parrots\" is no time; write it like 30s"},
    {"a.b ttl 400d\n", "1:9: \"400d\" is more than a year"},
    {"a.b tag a,b\n", "1:9: \"a,b\" is no tag"},
    {"a.b strip-query u*m\n", "1:17: \"u*m\" is no parameter's name; it may end with one *"},
    {"a.b set-request Host x\n", "1:17: Host is made by the node itself"},
    {"a.b set-request cdn-loop x\n", "1:17: cdn-loop is made by the node itself"},
    {"a.b remove-request CDN-Loop\n", "1:20: CDN-Loop is made by the node itself"},
    {"a.b set-response Content-Length 1\n", "1:18: Content-Length is made by the node itself"},
    {"a.b set-response X\n", "1:19: a value is missing after \"X\""},
    {"a.b set-response \"X y\" z\n", "1:18: \"X y\" is no field's name"},
    {"a.b rate slow\n", "1:10: there is no rate \"slow\"; define it: rate slow 100/s"},
    {"rate slow 0/s\n", "1:11: \"0/s\" is out of range: 1 to 1000000"},
    {"rate slow 5/h\n", "1:11: \"5/h\" is no rate; write it like 100/s or 10/min"},
    {"rate slow 5/s burst\n", "1:20: a number is missing after \"burst\""},
    {"rate slow 5/s bust 3\n", "1:15: \"bust\" is one word too many"},
    {"rate slow 5/s\nrate slow 6/s\n", "2:6: the rate \"slow\" is defined in line 1 already"},
    {"a.b match ( deny 403\n", "1:11: \"(\": Missing close parenthesis"},
    {"# x\na.b match a(b)\\1 deny 403\n", "2:11: \"a(b)\\1\": Back-references"},
    {"a.b match x* pass\n", "1:11: \"x*\": "},
    /* columns are characters, not bytes */
    {"a.b tag \xc3\xa4\n", "1:9: "},
    {"a.b set-response X \"\xc3\xa4\xc3\xa4\" denny\n", "1:25: \"denny\" is no action"},
};

Test(rules_parse, each_mistake_has_its_place)
{
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        told[0] = 0;
        struct rules_set *s = hand_set(mistakes[i].text, told);
        cr_expect_null(s, "%s", mistakes[i].text);
        cr_expect(strncmp(told, mistakes[i].says, strlen(mistakes[i].says)) == 0,
                  "%s  expected %s\n  got %s", mistakes[i].text, mistakes[i].says, told);
        rules_free(s);
    }
}

Test(rules_parse, all_mistakes_are_told)
{
    told[0] = 0;
    cr_assert_null(hand_set("a.b deny 1\na.b pass\na.b oops\nb.c match ( pass\n", told));
    cr_assert(strstr(told, "1:10: "));
    cr_assert(strstr(told, "3:5: "));
    told[0] = 0;
    cr_assert_null(hand_set("a.b match ( pass\na.b pass\nb.c match [ pass\n", told));
    cr_assert(strstr(told, "1:11: "));
    cr_assert(strstr(told, "3:11: "));
}

/* Of a text with other mistakes the expressions are there, to be looked at, whatever else is wrong
 * with their lines. */
Test(rules_parse, expressions_beside_other_mistakes)
{
    static const char text[] = "a.b match ( denny\nno/host match [ pass\na.b match ok pass\n"
                               "a.b path x pass\nc.d match ( pass\n";
    char *bytes = NULL;
    size_t len;
    told[0] = 0;
    struct rules_set *s = rules_parse_all(text, sizeof(text) - 1, hand_tell, told);
    cr_assert(s && rules_is_wrong(s));
    cr_expect_eq(rules_size(s).expressions, 3);
    cr_expect(!hand_compile(s, told, &bytes, &len));
    for (unsigned i = 0; i < 5; i++) {
        static const char *const says[] = {"1:13: \"denny\" is no action",
                                           "2:1: \"no/host\" is no host", "4:10: \"x\" is no path",
                                           "1:11: \"(\": ", "2:15: \"[\": "};
        cr_expect(strstr(told, says[i]), "%s in\n%s", says[i], told);
    }
    rules_free(s);
}

Test(rules_parse, a_nul_byte_is_no_text)
{
    told[0] = 0;
    cr_assert_null(rules_parse("a.b pass\n\0", 10, hand_tell, told));
    cr_assert(strncmp(told, "2:1: a NUL byte", 15) == 0);
}

Test(rules_parse, comments_quotes_and_the_last_line_without_its_end)
{
    struct rules_set *s =
        hand_set("# nothing\n\n a.b\tset-response X \"a \\\"b\\\" \\d\" # more\r\n"
                 "WWW.A.B. match \"x y\" tag t tag u",
                 told);
    cr_assert(s, "%s", told);
    struct rules_size n = rules_size(s);
    cr_assert_eq(n.rules, 2);
    cr_assert_eq(n.hosts, 2);
    cr_assert_eq(n.expressions, 1);
    struct rules_verdict v;
    const char *url = "http://a.b/";
    cr_assert(rules_apply(s, 0, url, strlen(url), &v));
    cr_assert_str_eq(rules_field(s, v.list[RULES_RESPONSE][0]).value, "a \"b\" \\d");
    url = "http://www.a.b:8080/?x%20y";
    cr_assert(rules_apply(s, 0, url, strlen(url), &v));
    cr_assert(!v.any); /* a blank is written %20 */
    url = "http://www.a.b/";
    cr_assert(rules_apply(s, 0, url, strlen(url), &v));
    cr_assert(!v.any);
    rules_free(s);
}

Test(rules_parse, an_empty_text_is_a_set_without_rules)
{
    struct rules_set *s = hand_set("", told);
    struct rules_verdict v;
    cr_assert(s);
    cr_assert(rules_apply(s, 0, "http://a/", 9, &v));
    cr_assert(!v.any);
    rules_free(s);
}

Test(rules_parse, the_key_is_of_the_expressions_alone)
{
    uint8_t a[RULES_KEY], b[RULES_KEY], c[RULES_KEY];
    struct rules_set *s = hand_set("a.b match ^/x/ pass\n", told);
    rules_key(s, a);
    rules_free(s);
    s = hand_set("c.d match ^/x/ deny 403\nc.d path /y deny 404", told);
    rules_key(s, b);
    rules_free(s);
    s = hand_set("a.b match ^/y/ pass\n", told);
    rules_key(s, c);
    rules_free(s);
    cr_assert(memcmp(a, b, sizeof(a)) == 0);
    cr_assert(memcmp(a, c, sizeof(a)) != 0);
}

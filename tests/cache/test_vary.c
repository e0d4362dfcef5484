/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that responses vary by, values that select among them, and the keys made of both. */
#include <criterion/criterion.h>
#include <string.h>

#include "cache/vary.h"
#include "world.h"

/* --- names (RFC 9110 12.5.5) -------------------------------------------------------------- */

Test(vary, names_are_a_set)
{
    static const struct {
        const char *lines[3];
        const char *text;
        bool any;
    } table[] = {
        {{"Accept-Encoding"}, "accept-encoding,", false},
        {{"Foo, Bar"}, "bar,foo,", false},
        {{"foo", "BAR,foo", "Bar"}, "bar,foo,", false}, /* several lines are one list */
        {{"a\t,, ,\tb ,"}, "a,b,", false},              /* empty members (5.6.1.2) */
        {{""}, "", false},
        {{" , "}, "", false},
        {{"ab, a, abc"}, "a,ab,abc,", false},
        {{"*"}, "", true},
        {{"a, *"}, "a,", true}, /* wherever it stands */
        {{"*, a"}, "a,", true},
        {{"a", "*"}, "a,", true},
        {{"a *"}, "", true}, /* no name: who knows what was meant */
        {{"a b"}, "", true},
        {{"a;q=1"}, "", true},
        {{"\"a\""}, "", true},
        {{"**"}, "**,", false}, /* a token */
        {{"h,g,f,e,d,c,b,a"}, "a,b,c,d,e,f,g,h,", false},
        {{"h,g,f,e,d,c,b,a,A,h"}, "a,b,c,d,e,f,g,h,", false},
        {{"i,h,g,f,e,d,c,b,a"}, "b,c,d,e,f,g,h,i,", true}, /* more than are told apart */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct cache_vary v = {0};
        for (unsigned k = 0; k < 3 && table[i].lines[k]; k++)
            cache_vary_parse(&v, table[i].lines[k], strlen(table[i].lines[k]));
        cr_assert_eq(v.any, table[i].any, "%s", table[i].lines[0]);
        cr_assert(v.len == strlen(table[i].text) && !memcmp(v.text, table[i].text, v.len),
                  "%s: %.*s", table[i].lines[0], (int)v.len, v.text);
    }
}

Test(vary, a_list_that_is_too_long_is_no_list)
{
    char name[CACHE_VARY_TEXT + 1];
    struct cache_vary v = {0};
    memset(name, 'x', sizeof(name));
    cache_vary_parse(&v, name, CACHE_VARY_TEXT - 1);
    cr_assert(!v.any && v.len == CACHE_VARY_TEXT);
    cache_vary_add(&v, "y", 1);
    cr_assert(v.any && v.names == 1);
    v = (struct cache_vary){0};
    cache_vary_parse(&v, name, CACHE_VARY_TEXT);
    cr_assert(v.any && v.names == 0);
}

static struct cache_vary names(const char *text)
{
    struct cache_vary v = {0};
    cache_vary_parse(&v, text, strlen(text));
    return v;
}

Test(vary, lists_are_compared_and_joined)
{
    struct cache_vary none = names(""), a = names("a"), ac = names("a, c"), abc = names("c, b, a"),
                      b = names("b");
    cr_assert(cache_vary_within(&none, &none) && cache_vary_within(&none, &a));
    cr_assert(cache_vary_within(&ac, &abc) && !cache_vary_within(&abc, &ac));
    cr_assert(!cache_vary_within(&b, &ac) && !cache_vary_within(&a, &none));
    cache_vary_join(&b, &ac);
    cr_assert(cache_vary_within(&abc, &b) && cache_vary_within(&b, &abc) && b.names == 3);
    struct cache_vary any = names("*");
    cache_vary_join(&b, &any);
    cr_assert(b.any && b.names == 3);
}

Test(vary, a_primary_keeps_names_and_nonce)
{
    char head[CACHE_VARY_STORED];
    struct cache_vary v = names("Accept, Origin"), out;
    v.nonce = 0x1122334455667788u;
    size_t len = cache_vary_write(&v, head);
    cr_assert(cache_vary_read(&out, head, len));
    cr_assert(out.nonce == v.nonce && out.names == 2 && cache_vary_within(&v, &out));
    cr_assert_not(cache_vary_read(&out, head, 8), "no names");
    cr_assert_not(cache_vary_read(&out, head, 5));
    cr_assert_not(cache_vary_read(&out, "12345678a b,", 12));
}

Test(vary, a_primary_of_slices_keeps_version_and_length)
{
    char head[CACHE_VARY_STORED + 1];
    struct cache_vary v, out, said = names(":slice, a");
    struct cache_name name;
    size_t at = 0;
    cr_assert(said.any && said.names == 1, "no field has that name");
    cache_vary_slices(&v, 77, 5u << 20);
    v.nonce = 0x1122334455667788u;
    size_t len = cache_vary_write(&v, head);
    cr_assert(cache_vary_read(&out, head, len));
    cr_assert(out.nonce == v.nonce && out.version == 77 && out.total == 5u << 20);
    cr_assert(cache_vary_next(&out, &at, &name) && name.len == 6 &&
              !cache_vary_next(&out, &at, &name));
    head[len] = 0;
    cr_assert_not(cache_vary_read(&out, head, len - 1));
    cr_assert_not(cache_vary_read(&out, head, len + 1));
    memset(head + len - 8, 0, 8);
    cr_assert_not(cache_vary_read(&out, head, len), "of no length");
}

/* --- values (RFC 9111 4.1) ---------------------------------------------------------------- */

/* What is between "\n=" and the end; "-": it is marked as absent. */
static const char *normal(const char *name, const char *raw)
{
    static char text[256];
    struct writer w = writer_of(text, sizeof(text) - 1);
    struct cache_name n = {name, strlen(name)};
    cache_value_write(&w, &n, raw, raw ? strlen(raw) : 0);
    cr_assert(!w.bad);
    *w.p = 0;
    cr_assert_eq(text[0], '\n');
    return text[1] == '=' ? text + 2 : text + 1;
}

Test(vary, what_means_the_same_is_the_same)
{
    static const struct {
        const char *name, *raw, *normal;
    } table[] = {
        {"accept-encoding", "gzip, deflate, br, zstd", "br, gzip"}, /* Chrome, Firefox */
        {"accept-encoding", "gzip, deflate, br", "br, gzip"},       /* Safari */
        {"accept-encoding", "br;q=1.0, gzip;q=0.8, *;q=0.1", "br, gzip"},
        {"accept-encoding", "GZIP", "gzip"},
        {"accept-encoding", "x-gzip", "gzip"},
        {"accept-encoding", "gzip;q=0", "identity"},
        {"accept-encoding", "gzip;q=0.000, br", "br"},
        {"accept-encoding", "gzip; Q = 0. ,br", "br"},
        {"accept-encoding", "gzip;q=0.001", "gzip"},
        {"accept-encoding", "gzip;q=00",
         "identity"}, /* no weight; nothing coded is the safe side */
        {"accept-encoding", "gzip;a=0", "gzip"},
        {"accept-encoding", "*", "br, gzip"},
        {"accept-encoding", "*;q=0", "identity"},
        {"accept-encoding", "*, br;q=0", "gzip"},
        {"accept-encoding", "br, *;q=0", "br"},
        {"accept-encoding", "gzip, gzip;q=0", "identity"},
        {"accept-encoding", "gzipped, brr", "identity"},
        {"accept-encoding", "deflate", "identity"},
        {"accept-encoding", "identity", "identity"},
        {"accept-encoding", "", "identity"},
        {"accept-encoding", NULL, "identity"},
        {"accept-language", "de-DE,de;q=0.9,en;q=0.8", "de-de,de;q=0.9,en;q=0.8"},
        {"accept-language", " DE-de , de ; q=0.9,,\ten;q=0.8 ,", "de-de,de;q=0.9,en;q=0.8"},
        {"accept-language", "en, de", "en,de"}, /* the order may count */
        {"accept-language", "", ""},
        {"accept-language", NULL, "-"},
        {"accept", "text/html , image/webp;q=0.8", "text/html,image/webp;q=0.8"},
        {"accept", "a/b;x=\"1, 2 ; 3\" ,c/D", "a/b;x=\"1, 2 ; 3\",c/D"},
        {"accept", ", ,", ""},
        {"x", "  a \t b,c  ", "a b,c"},
        {"x", "a,  b", "a, b"},
        {"x", "A", "A"}, /* case may count */
        {"x", "\"a  b\"  c", "\"a  b\" c"},
        {"x", "\"a\\\"  b\"  c", "\"a\\\"  b\" c"},
        {"x", "\"open  end", "\"open  end"},
        {"x", "a\nb", "a b"},
        {"x", "-", "-"},
        {"x", "", ""},
        {"x", NULL, "-"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        cr_assert_str_eq(normal(table[i].name, table[i].raw), table[i].normal, "%s: %s",
                         table[i].name, table[i].raw ? table[i].raw : "(absent)");
}

Test(vary, values_are_read_back)
{
    char text[64];
    struct writer w = writer_of(text, sizeof(text));
    struct cache_name x = {"x", 1};
    struct cache_value v;
    size_t at = 0;
    cache_value_write(&w, &x, "=a", 2);
    cache_value_write(&w, &x, NULL, 0);
    cache_value_write(&w, &x, "", 0);
    size_t len = sizeof(text) - writer_left(&w);
    cr_assert(cache_value_next(text, len, &at, &v) && v.present && v.len == 2 && v.p[0] == '=');
    cr_assert(cache_value_next(text, len, &at, &v) && !v.present && v.len == 0);
    cr_assert(cache_value_next(text, len, &at, &v) && v.present && v.len == 0);
    cr_assert_not(cache_value_next(text, len, &at, &v));
    at = 0;
    cr_assert_not(cache_value_next(text, 0, &at, &v));
}

/* --- keys, and how many there are --------------------------------------------------------- */

#define URL "http://www.example.org/a"

static struct world w;

static size_t variant(char key[static 256], uint64_t nonce, const char *url, unsigned i)
{
    cache_variant_begin(key, strlen(url), nonce);
    return CACHE_VARIANT_PREFIX + (size_t)snprintf(key + CACHE_VARIANT_PREFIX,
                                                   256 - CACHE_VARIANT_PREFIX, "%s\n=%u", url, i);
}

static struct cache_object *link_object(const void *key, size_t len, const char *head,
                                        size_t head_len, bool varies)
{
    struct cache_meta meta = {
        .status = 200, .lifetime_s = 100, .response_s = (uint32_t)w.now.wall_s, .varies = varies};
    struct cache_object *o =
        cache_begin(w.c, cache_hash(w.c, key, len), key, len, &meta, head, head_len, w.now);
    cr_assert(o && cache_complete(w.c, o));
    cache_link(w.c, o);
    cache_unpin(o, 0);
    return o;
}

static struct cache_object *link_primary(uint64_t nonce)
{
    char head[CACHE_VARY_STORED];
    struct cache_vary v = names("x");
    v.nonce = nonce;
    return link_object(URL, strlen(URL), head, cache_vary_write(&v, head), true);
}

static struct cache_object *link_variant(uint64_t nonce, unsigned i)
{
    char key[256];
    size_t len = variant(key, nonce, URL, i);
    return link_object(key, len, "", 0, false);
}

Test(vary, a_variant_has_its_urls_shard_and_its_own_hash)
{
    world_open(&w, 8 * MIB, 1000, 3);
    for (unsigned i = 0; i < 200; i++) {
        char url[64], key[256];
        snprintf(url, sizeof(url), "http://example.org/%u", i);
        size_t len = variant(key, i * 77 + 1, url, i);
        struct hash128 a = cache_hash(w.c, url, strlen(url)), b = cache_hash(w.c, key, len);
        cr_assert_eq(cache_shard(a), cache_shard(b));
        cr_assert_eq(cache_owner(w.c, a), cache_owner(w.c, b));
        cr_assert(a.lo != b.lo && a.hi != b.hi);
        struct cache_name back;
        uint64_t nonce;
        cr_assert(cache_variant_key(key, len, &back, &nonce) && nonce == i * 77 + 1);
        cr_assert(back.len == strlen(url) && memcmp(back.p, url, back.len) == 0);
        cr_assert_not(cache_variant_key(url, strlen(url), &back, &nonce));
        cr_assert_not(
            cache_variant_key(key, CACHE_VARIANT_PREFIX + strlen(url) - 1, &back, &nonce));
    }
    world_close(&w);
}

Test(vary, variants_are_counted_at_their_primary)
{
    world_open(&w, 8 * MIB, 1000, 1);
    struct cache_object *early = link_variant(7, 1);
    cr_assert_eq(cache_siblings(w.c, early), 0, "an orphan");
    struct cache_object *primary = link_primary(7), *a = link_variant(7, 2),
                        *b = link_variant(7, 3);
    cr_assert_eq(cache_siblings(w.c, primary), 2);
    cr_assert_eq(cache_siblings(w.c, a), 2);
    struct cache_object *again = link_variant(7, 2); /* in the place of `a` */
    cr_assert_eq(cache_siblings(w.c, again), 2);
    struct cache_object *fresh = cache_refresh(w.c, again, cache_meta(again), "A: 1\r\n", 6, w.now);
    cr_assert_eq(cache_siblings(w.c, fresh), 2);
    struct cache_object *other = link_variant(8, 2);
    cr_assert_eq(cache_siblings(w.c, other), 0, "of another list of names");
    cr_assert_eq(cache_siblings(w.c, primary), 2);
    cache_unlink(w.c, fresh);
    cr_assert_eq(cache_siblings(w.c, primary), 1);
    cache_unlink(w.c, early); /* counted as it goes, not as it came: one too few at most */
    cache_unlink(w.c, b);
    cr_assert_eq(cache_siblings(w.c, primary), 0);
    cr_assert_eq(cache_siblings(w.c, other), 0);
    world_close(&w);
}

Test(vary, who_does_not_vary_is_alone)
{
    world_open(&w, 8 * MIB, 1000, 1);
    struct cache_object *o = link_object(URL, strlen(URL), "", 0, false);
    cr_assert_eq(cache_siblings(w.c, o), 1);
    struct cache_object *v = link_variant(1, 1);
    cr_assert_eq(cache_siblings(w.c, v), 0, "what stands under its URL is no primary");
    world_close(&w);
}

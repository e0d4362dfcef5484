/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as Vary, as a primary's head, as a value and as a key: no read past their end, lists in
 * order, and values that stay as they are when they are normalised once more. */
#include <stdlib.h>
#include <string.h>

#include "cache/vary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

static bool name_less(const struct cache_name *a, const struct cache_name *b)
{
    int order = memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
    return order < 0 || (order == 0 && a->len < b->len);
}

static void names_hold(const struct cache_vary *v)
{
    struct cache_name name, last = {"", 0};
    unsigned n = 0;
    for (size_t at = 0; cache_vary_next(v, &at, &name); last = name, n++) {
        CHECK(name.len > 0 && (n == 0 || name_less(&last, &name)));
        for (size_t i = 0; i < name.len; i++)
            CHECK(!(name.p[i] >= 'A' && name.p[i] <= 'Z') && name.p[i] > ' ' && name.p[i] != ',');
    }
    CHECK(n == v->names && n <= CACHE_VARY_NAMES && v->len <= CACHE_VARY_TEXT);
    CHECK(cache_vary_within(v, v));
}

static void list(const char *text, size_t len)
{
    struct cache_vary v = {.nonce = 0x0102030405060708u}, again, both = {0};
    cache_vary_parse(&v, text, len);
    names_hold(&v);
    char head[CACHE_VARY_STORED];
    size_t n = cache_vary_write(&v, head);
    CHECK(cache_vary_read(&again, head, n) == (v.names > 0));
    CHECK(again.nonce == v.nonce && again.len == v.len && !memcmp(again.text, v.text, v.len));
    cache_vary_add(&both, "host", 4);
    cache_vary_join(&both, &v);
    names_hold(&both);
    CHECK(both.any || cache_vary_within(&v, &both));
    cache_vary_read(&again, text, len);
    names_hold(&again);
}

static void slices(const char *text, size_t len)
{
    struct cache_vary v, again;
    char head[CACHE_VARY_STORED];
    uint64_t total = 1;
    memcpy(&total, text, len < sizeof(total) ? len : sizeof(total));
    cache_vary_slices(&v, ~total, total ? total : 1);
    v.nonce = total;
    names_hold(&v);
    size_t n = cache_vary_write(&v, head);
    CHECK(cache_vary_read(&again, head, n) && again.version == v.version);
    CHECK(again.total == v.total && again.nonce == v.nonce && cache_vary_within(&v, &again));
    CHECK(!cache_vary_read(&again, head, n - 1));
}

static void value(const char *name, const char *text, size_t len)
{
    char once[2048], twice[2048];
    struct cache_name n = {name, strlen(name)};
    struct writer a = writer_of(once, sizeof(once)), b = writer_of(twice, sizeof(twice));
    cache_value_write(&a, &n, text, len);
    cache_value_write(&a, &n, NULL, 0);
    if (a.bad)
        return;
    struct cache_value v, absent;
    size_t at = 0, all = sizeof(once) - writer_left(&a);
    CHECK(cache_value_next(once, all, &at, &v) && v.present);
    for (size_t i = 0; i < v.len; i++)
        CHECK((unsigned char)v.p[i] >= ' ' || v.p[i] == '\t');
    CHECK(cache_value_next(once, all, &at, &absent) && !cache_value_next(once, all, &at, &absent));
    cache_value_write(&b, &n, v.p, v.len);
    size_t len_b = sizeof(twice) - writer_left(&b);
    CHECK(!b.bad && len_b == v.len + 2 && !memcmp(twice + 2, v.p, v.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len ? len : 1); /* its own piece, so that ASan sees its end */
    struct cache_name url;
    uint64_t nonce;
    if (len)
        memcpy(text, data, len);
    list(text, len);
    slices(text, len);
    value("accept-encoding", text, len);
    value("accept-language", text, len);
    value("accept", text, len);
    value("x", text, len);
    if (cache_variant_key(text, len, &url, &nonce))
        CHECK(url.p == text + CACHE_VARIANT_PREFIX && url.len <= len - CACHE_VARIANT_PREFIX);
    free(text);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of field names that responses vary by, and the keys of variants. */
#include "cache/vary.h"

#include <string.h>

#include "base/ascii.h"

static bool is_token(const char *p, size_t len)
{
    size_t n = 0;
    while (n < len && ascii_is_tchar(p[n]))
        n++;
    return len > 0 && n == len;
}

/* --- names ------------------------------------------------------------------------------------ */

bool cache_vary_next(const struct cache_vary *v, size_t *at, struct cache_name *name)
{
    if (*at >= v->len)
        return false;
    const char *p = v->text + *at, *end = memchr(p, ',', v->len - *at);
    *name = (struct cache_name){p, (size_t)(end - p)};
    *at += name->len + 1;
    return true;
}

/* Below 0: before `name`; 0: the same. */
static int name_compare(const char *name, size_t len, const struct cache_name *other)
{
    for (size_t i = 0; i < len && i < other->len; i++)
        if (ascii_lower(name[i]) != other->p[i])
            return (unsigned char)ascii_lower(name[i]) < (unsigned char)other->p[i] ? -1 : 1;
    return len < other->len ? -1 : len > other->len;
}

void cache_vary_add(struct cache_vary *v, const char *name, size_t len)
{
    struct cache_name n;
    size_t place = 0, at = 0;
    while (cache_vary_next(v, &at, &n)) {
        int order = name_compare(name, len, &n);
        if (order == 0)
            return;
        if (order < 0)
            break;
        place = at;
    }
    if (!is_token(name, len) || v->names == CACHE_VARY_NAMES ||
        v->len + len + 1 > CACHE_VARY_TEXT) {
        v->any = true;
        return;
    }
    memmove(v->text + place + len + 1, v->text + place, v->len - place);
    for (size_t i = 0; i < len; i++)
        v->text[place + i] = ascii_lower(name[i]);
    v->text[place + len] = ',';
    v->len = (uint16_t)(v->len + len + 1);
    v->names++;
}

void cache_vary_parse(struct cache_vary *v, const char *value, size_t len)
{
    for (size_t i = 0; i < len;) {
        const char *p = value + i, *comma = memchr(p, ',', len - i);
        size_t n = comma ? (size_t)(comma - p) : len - i;
        i += n + 1;
        while (n && (*p == ' ' || *p == '\t'))
            p++, n--;
        while (n && (p[n - 1] == ' ' || p[n - 1] == '\t'))
            n--;
        if (n == 1 && *p == '*') /* a member like any, wherever it stands (12.5.5) */
            v->any = true;
        else if (n)
            cache_vary_add(v, p, n);
    }
}

bool cache_vary_within(const struct cache_vary *inner, const struct cache_vary *outer)
{
    struct cache_name a, b;
    for (size_t i = 0, j = 0; cache_vary_next(inner, &i, &a);) {
        int order = 1;
        while (order > 0 && cache_vary_next(outer, &j, &b))
            order = name_compare(a.p, a.len, &b);
        if (order != 0)
            return false;
    }
    return true;
}

void cache_vary_join(struct cache_vary *to, const struct cache_vary *from)
{
    struct cache_name n;
    for (size_t at = 0; cache_vary_next(from, &at, &n);)
        cache_vary_add(to, n.p, n.len);
    to->any |= from->any;
}

#define SLICES     ":slice,"
#define SLICES_LEN (sizeof(SLICES) - 1)

void cache_vary_slices(struct cache_vary *v, uint64_t version, uint64_t total)
{
    *v = (struct cache_vary){
        .version = version, .total = total, .names = 1, .len = SLICES_LEN, .text = SLICES};
}

size_t cache_vary_write(const struct cache_vary *v, char out[static CACHE_VARY_STORED])
{
    struct writer w = writer_of(out, CACHE_VARY_STORED);
    write_u64(&w, v->nonce);
    write_bytes(&w, v->text, v->len);
    if (v->total) {
        write_u64(&w, v->version);
        write_u64(&w, v->total);
    }
    return CACHE_VARY_STORED - writer_left(&w);
}

static bool read_slices(struct cache_vary *v, struct reader *r)
{
    uint64_t nonce = v->nonce;
    read_bytes(r, SLICES_LEN);
    uint64_t version = read_u64(r), total = read_u64(r);
    if (r->bad || reader_left(r) > 0 || total == 0)
        return false;
    cache_vary_slices(v, version, total);
    v->nonce = nonce;
    return true;
}

bool cache_vary_read(struct cache_vary *v, const char *head, size_t len)
{
    struct reader r = reader_of(head, len);
    *v = (struct cache_vary){.nonce = read_u64(&r)};
    if (r.bad)
        return false;
    if (reader_left(&r) >= SLICES_LEN && memcmp(r.p, SLICES, SLICES_LEN) == 0)
        return read_slices(v, &r);
    cache_vary_parse(v, (const char *)r.p, reader_left(&r));
    return !v->any && v->names > 0;
}

/* --- keys ------------------------------------------------------------------------------------- */

void cache_variant_begin(char out[static CACHE_VARIANT_PREFIX], size_t url_len, uint64_t nonce)
{
    uint16_t len = htobe16((uint16_t)url_len);
    uint64_t n = htobe64(nonce);
    out[0] = CACHE_VARIANT_MARK;
    memcpy(out + 1, &len, sizeof(len));
    memcpy(out + 3, &n, sizeof(n));
}

bool cache_variant_key(const void *key, size_t len, struct cache_name *url, uint64_t *nonce)
{
    struct reader r = reader_of(key, len);
    if (len < CACHE_VARIANT_PREFIX || read_u8(&r) != CACHE_VARIANT_MARK)
        return false;
    url->len = read_u16(&r);
    *nonce = read_u64(&r);
    url->p = (const char *)read_bytes(&r, url->len);
    return url->p != NULL && url->len > 0;
}

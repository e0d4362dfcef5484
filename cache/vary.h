/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Variants: what a URL is stored under when its responses carry Vary (RFC 9110 12.5.5, RFC 9111
 * 4.1), or when it is stored in slices (RFC 9111 3.4). Pure functions over names and values; who
 * looks up, stores and forwards is the proxy.
 *
 *   URL ---> primary: no body; names {accept, accept-encoding}, nonce     (cache_meta.varies)
 *               |  names, nonce, and what a request says
 *               v
 *   variant's key: 0x01 | length of URL, 2 | nonce, 8 | URL | "\n=value" or "\n-" for each name
 *               |
 *               v
 *            an object like any other
 *
 * The nonce is drawn when the list of names is written: without its primary, or under another one,
 * a variant is found by nobody (an orphan) and ages out. So a purge of the URL takes all
 * of them at the cost of one.
 *
 * Slices are variants, too: their primary has one name, which no field can have, and a slice's
 * value is its number. What all of them must be parts of, a representation of one version and
 * length, stands behind the name. What varies is not stored in slices: its representations differ.
 *
 * A key is made of what an origin is sent, normalised, and that can be read back from the key.
 * No URL begins with the byte 1; values have no control characters but tab, so nothing else ends
 * them. The shard of a variant is its URL's (cache_hash), so one worker writes them all.
 */
#ifndef CORAL_CACHE_VARY_H
#define CORAL_CACHE_VARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"

enum {
    CACHE_VARY_NAMES = 8,  /* more are treated as `*`; responses in the wild have one to four */
    CACHE_VARY_TEXT = 192, /* and so are longer ones */
    CACHE_VARY_STORED = 8 + CACHE_VARY_TEXT, /* bytes of a primary's head, at most */
    CACHE_VALUES_MAX = 1024, /* bytes of a variant's values; longer ones are not stored */
    CACHE_VARIANT_MARK = 1,  /* the first byte of a variant's key */
    CACHE_VARIANT_PREFIX = 11,
    CACHE_VARIANTS = 64, /* of one primary; of slices, as many as its length makes */
};

struct cache_vary {
    uint64_t nonce;          /* 0: none drawn */
    uint64_t version, total; /* of what is in slices, as cache_meta has it, and its bytes; else 0 */
    bool any; /* `*`, no list of names, or beyond the limits: matches no other request */
    uint8_t names;
    uint16_t len;
    char text[CACHE_VARY_TEXT]; /* the names in lower case, ascending, once; "," behind each */
};

struct cache_name {
    const char *p;
    size_t len;
};

/* One Vary line; called for each. Starts as all zero. */
void cache_vary_parse(struct cache_vary *v, const char *value, size_t len);
/* Adds a name, any case. */
void cache_vary_add(struct cache_vary *v, const char *name, size_t len);
/* The names in order from *at (0 at first); false at the end. */
bool cache_vary_next(const struct cache_vary *v, size_t *at, struct cache_name *name);
/* Are all names of `inner` in `outer`? What `any` says is not looked at. */
bool cache_vary_within(const struct cache_vary *inner, const struct cache_vary *outer);
/* All names of `from` into `to`; none of them is of slices. */
void cache_vary_join(struct cache_vary *to, const struct cache_vary *from);

/* The list of slices of such a representation, of at least one byte, without a nonce. */
void cache_vary_slices(struct cache_vary *v, uint64_t version, uint64_t total);

/* A primary's head: nonce and names, of slices also version and length. Returns the length. */
size_t cache_vary_write(const struct cache_vary *v, char out[static CACHE_VARY_STORED]);
/* False: it is none. */
bool cache_vary_read(struct cache_vary *v, const char *head, size_t len);

/* --- values (vary_value.c) -------------------------------------------------------------------- */

/*
 * Appends what a request says by one of the names, normalised as RFC 9111 4.1 allows, so that
 * requests which mean the same share a variant. `raw` is the field's lines joined by ", "; NULL:
 * the request has no such field, which is not the same as an empty one, but for:
 *
 *   - accept-encoding: which of br and gzip are acceptable (RFC 9110 12.5.3: q=0 and * count), or
 *     "identity", also when it is absent. Browsers share one variant so; the price is that an
 *     origin is not told of other codings.
 *   - accept-language: lower case; white space about commas and semicolons, and empty members, are
 *     dropped.
 *   - accept: white space and empty members likewise.
 *   - others: runs of white space made one space, outside of quoted strings.
 */
void cache_value_write(struct writer *w, const struct cache_name *name, const char *raw,
                       size_t len);

/* The values of a key, in the order of the names. False at the end. */
struct cache_value {
    const char *p;
    size_t len;
    bool present;
};
bool cache_value_next(const char *values, size_t len, size_t *at, struct cache_value *out);

/* --- keys ------------------------------------------------------------------------------------- */

/* What stands before the URL. */
void cache_variant_begin(char out[static CACHE_VARIANT_PREFIX], size_t url_len, uint64_t nonce);
/* Is this a variant's key? Then its URL and nonce. */
bool cache_variant_key(const void *key, size_t len, struct cache_name *url, uint64_t *nonce);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects that an earlier run left: what must be true of one before it is believed, and how it
 * comes into the cache while the worker serves.
 */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* References are put at most this often a worker, 50 % more or less, the hottest first: a start is
 * no storm of puts. */
#define RESTORE_PUT_US 10000u
#define RESTORE_SMALL  65536u /* bytes: with less room than that nothing more is tried */

/* --- judging: pure, any thread ------------------------------------------------------------- */

static uint64_t print_number(uint64_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(&n, sizeof(n), seed);
}

static uint64_t print_text(const char *text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text, strlen(text), seed);
}

static uint64_t print_site(const struct proxy_site *site, uint64_t print)
{
    print = print_text(site->host, print);
    print = print_number((uint64_t)site->ttl_override_s, print);
    for (unsigned i = 0; i < site->origins; i++) {
        print = print_text(site->origin[i].host, print);
        print = print_number(site->origin[i].port, print);
    }
    for (unsigned i = 0; i < site->compress; i++)
        print = print_text(site->compress_type[i], print);
    return print;
}

/* Of a key: itself, or what its variant is of. */
static struct cache_name url_of(const char *key, size_t len)
{
    struct cache_name url;
    uint64_t nonce;
    return cache_variant_key(key, len, &url, &nonce) ? url : (struct cache_name){key, len};
}

uint64_t proxy_policy_print(const struct proxy_policy *policy, unsigned worker, const char *key,
                            size_t key_len)
{
    struct rules_verdict v;
    char same[HTTP_URL_MAX];
    struct url_parts parts;
    bool served;
    const struct cache_name name = url_of(key, key_len);
    const char *url = name.p;
    size_t len = name.len;
    if (len == 0 || len > sizeof(same) || proxy_url(policy, url, len, same, sizeof(same)) != len ||
        memcmp(same, url, len) != 0)
        return 0;
    url_split(url, len, &parts);
    const struct proxy_site *site = policy_site(policy, parts.host, parts.port, &served);
    if (!served)
        return 0;
    uint64_t print = print_number(policy->stale_s, 1);
    if (site) {
        print = print_site(site, print);
    } else {
        print = print_number(policy->open_default_lifetime_s, print);
        print = print_number(policy->open_min_lifetime_s, print);
    }
    if (policy->rules) {
        if (!rules_apply(policy->rules, worker, url, len, &v))
            return 0;
        print = rules_stored_print(&v, print);
    }
    return print | 1; /* 0 is none */
}

static bool primary_sane(const char *head, size_t len)
{
    char again[CACHE_VARY_STORED];
    struct cache_vary v;
    return cache_vary_read(&v, head, len) && v.nonce && cache_vary_write(&v, again) == len &&
           memcmp(again, head, len) == 0;
}

/* What stands in a variant's key behind its URL. */
static struct cache_name values_of(const char *key, size_t len)
{
    struct cache_name url = url_of(key, len);
    const char *values = url.p + url.len;
    return (struct cache_name){values, (size_t)(key + len - values)};
}

static bool values_sane(struct cache_name v)
{
    size_t at = 0;
    struct cache_value value;
    bool sane = v.len > 0 && v.len <= CACHE_VALUES_MAX;
    while (sane && at < v.len) {
        bool begins =
            v.len - at >= 2 && v.p[at] == '\n' && (v.p[at + 1] == '=' || v.p[at + 1] == '-');
        sane = begins && cache_value_next(v.p, v.len, &at, &value) &&
               (value.present || value.len == 0);
    }
    return sane;
}

/* The lines of a slice but for its place; 0: it has none, or says it in other words than ours. */
static size_t without_place(const char *head, size_t len, char out[static CACHE_HEAD_MAX])
{
    char text[128];
    struct head_writer w = {text, 0, sizeof(text), false};
    struct slice s;
    if (!slice_place(head, len, &s))
        return 0;
    slice_write_place(&w, &s);
    const char *place = memmem(head, len, text, w.len);
    if (!place)
        return 0;
    size_t before = (size_t)(place - head), after = len - before - w.len;
    memcpy(out, head, before);
    memcpy(out + before, place + w.len, after);
    return before + after;
}

/* Stored, they would be the very same lines. */
static bool lines_sane(const struct cache_meta *meta, const char *head, size_t len)
{
    const struct now now = {0}; /* for a Date where there is none: then they are not the same */
    char text[CACHE_HEAD_MAX + 64], again[CACHE_HEAD_MAX + 64];
    struct head_writer w = {text, 0, sizeof(text), false};
    struct http_head h;
    head_printf(&w, "HTTP/1.1 %u OK\r\n", meta->status);
    head_write(&w, head, len);
    head_text(&w, "\r\n");
    return !w.bad && meta->status < 500 && meta->status != 304 &&
           http_parse_response(text, w.len, true, &h) == HTTP_OK && h.head_len == w.len &&
           head_store(&h, false, now, again, sizeof(again)) == len && memcmp(again, head, len) == 0;
}

bool proxy_stored_sane(const struct cache_meta *meta, const char *key, size_t key_len,
                       const char *head, size_t head_len)
{
    bool variant = key_len && key[0] == CACHE_VARIANT_MARK;
    if (meta->varies)
        return !variant && meta->content_length == 0 && primary_sane(head, head_len);
    if (variant && !values_sane(values_of(key, key_len)))
        return false;
    if (meta->status != 206)
        return lines_sane(meta, head, head_len);
    char rest[CACHE_HEAD_MAX];
    size_t n = variant && head_len <= sizeof(rest) ? without_place(head, head_len, rest) : 0;
    return n && slice_sane(meta, values_of(key, key_len), head, head_len) &&
           lines_sane(meta, rest, n);
}

/* --- into the cache: the owner ------------------------------------------------------------- */

static void restore_drop(struct proxy *p)
{
    if (!p->restoring)
        return;
    cache_fail(p->cache, p->restoring); /* never linked: nobody has seen it */
    cache_unpin(p->restoring, p->config.worker);
    p->restoring = NULL;
}

/* Whether what is colder still and small would have room is another question. */
static void restore_refused(struct proxy *p)
{
    counter_inc(cache_has_room(p->cache, p->config.worker, RESTORE_SMALL)
                    ? &p->counters.proxy_restore_too_large_total
                    : &p->counters.proxy_restore_no_room_total);
}

static bool is_dropped(const struct proxy *p, const char *key, size_t len, struct now now)
{
    struct cache_name url = url_of(key, len);
    return proxy_dropped(p, cache_hash(p->cache, url.p, url.len).lo, now);
}

/* Is there something already where this would stand, or would it be found by nobody? A slice stands
 * under a primary that names its version, and nothing else does. */
static bool is_newer(struct proxy *p, struct hash128 hash, const char *key, size_t len,
                     const struct cache_meta *meta)
{
    struct cache_name url;
    struct cache_vary v;
    uint64_t nonce;
    if (cache_lookup_owner(p->cache, hash, key, len))
        return true;
    if (!cache_variant_key(key, len, &url, &nonce))
        return false;
    return !vary_names(p, (struct http_text){url.p, (unsigned)url.len}, &v) || v.nonce != nonce ||
           v.version != (meta->status == 206 ? meta->version : 0);
}

/* A primary comes before each of its variants; the first one stands. */
static bool is_again(struct proxy *p, const struct proxy_piece *piece)
{
    struct cache_vary stands, comes;
    return piece->meta.varies && cache_vary_read(&comes, piece->head, piece->head_len) &&
           vary_names(p, (struct http_text){piece->key, piece->key_len}, &stands) &&
           stands.nonce == comes.nonce;
}

static void restore_begin(struct proxy *p, const struct proxy_piece *piece, struct now now)
{
    struct hash128 hash = cache_hash(p->cache, piece->key, piece->key_len);
    if (!saved_useful(&piece->meta, now.wall_s) || is_dropped(p, piece->key, piece->key_len, now)) {
        counter_inc(&p->counters.proxy_restore_old_total);
        return;
    }
    if (is_again(p, piece)) {
        counter_inc(&p->counters.proxy_restore_again_total);
        return;
    }
    if (is_newer(p, hash, piece->key, piece->key_len, &piece->meta)) {
        counter_inc(&p->counters.proxy_restore_newer_total);
        return;
    }
    if (cache_has_room(p->cache, p->config.worker, piece->meta.content_length))
        p->restoring = cache_begin(p->cache, hash, piece->key, piece->key_len, &piece->meta,
                                   piece->head, piece->head_len, now);
    if (!p->restoring) {
        restore_refused(p);
        return;
    }
    cache_born(p->restoring, 0); /* it is older than any purge of this run */
    cache_heat_set(p->restoring, piece->heat);
}

static void put_later(struct proxy *p, const struct cache_object *o, struct cache_name url,
                      struct now now)
{
    struct slice s;
    const struct dht_id id = slice_read(o, &s)
                                 ? slice_key((struct http_text){url.p, (uint32_t)url.len}, s.first)
                                 : dht_key(url.p, url.len);
    uint64_t from = p->restore_put_us > now.mono_us ? p->restore_put_us : now.mono_us;
    p->restore_put_us = from + RESTORE_PUT_US / 2 + rng_below(&p->rng, RESTORE_PUT_US);
    refs_add_later(p, o, &id, p->restore_put_us);
}

/* What has come meanwhile is newer, and stays. */
static void restore_end(struct proxy *p, const struct proxy_piece *piece, struct now now)
{
    struct cache_object *o = p->restoring;
    char room[CACHE_KEY_MAX];
    size_t len;
    const char *key = cache_key(o, room, &len);
    struct hash128 hash = cache_hash(p->cache, key, len);
    if (!piece->good || !cache_complete(p->cache, o)) {
        restore_drop(p);
        return;
    }
    p->restoring = NULL;
    if (is_newer(p, hash, key, len, cache_meta(o)) || is_dropped(p, key, len, now)) {
        counter_inc(&p->counters.proxy_restore_newer_total);
        cache_unlink(p->cache, o);
    } else if (cache_link(p->cache, o)) { /* else it was purged meanwhile */
        counter_inc(&p->counters.proxy_restored_total);
        counter_add(&p->counters.proxy_restored_bytes_total, cache_ready(o));
        if (!cache_meta(o)->varies) /* others are told of what it has */
            put_later(p, o, url_of(key, len), now);
    }
    cache_unpin(o, p->config.worker);
}

size_t proxy_restore(struct proxy *p, const struct proxy_piece *piece, size_t from, size_t limit,
                     struct now now)
{
    size_t n = piece->len - from < limit ? piece->len - from : limit;
    p->now = now;
    if (p->restore_over) {
        restore_drop(p);
        return n;
    }
    if (piece->first && from == 0) {
        restore_drop(p); /* the one before has no end */
        restore_begin(p, piece, now);
    }
    if (p->restoring && n &&
        (!cache_has_room(p->cache, p->config.worker, n) ||
         cache_append(p->cache, p->restoring, piece->data + from, n) != n)) {
        restore_refused(p);
        restore_drop(p);
    }
    if (p->restoring && piece->last && from + n == piece->len)
        restore_end(p, piece, now);
    return n;
}

void proxy_restore_stop(struct proxy *p)
{
    restore_drop(p);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large objects by parts (RFC 9111 3.4): a URL of which a part is wanted first is kept in slices of
 * 1 MiB, each an object like any other and a variant of its URL (cache/vary.h). The status of a
 * slice is 206, and its head that of the whole with the Content-Range that it came with.
 *
 *   O: fill for `Range: bytes=N-`, N > 0, nothing known of the URL: asks for the slice that has N
 *      206, exactly that, strong ETag: a primary {version, length}, and the fill is the slice's
 *      206 that is the whole, 200: an object as ever;  else: the whole, as if nobody had said Range
 *   R: URL --primary--> slice of the first byte wanted --> head; at its end, or that of a range
 *      among several, the next one is looked up, under the same version or the response is reset
 *
 * So a seek costs the slices that it reads, whatever lies before them, and each slice is fetched
 * once. From the head on a response is of one version: the primary names it, each slice has it.
 * Not sliced: what varies, what has no strong ETag (parts of two versions could be combined),
 * what anybody may name the origin of, and what is asked for from its first byte to its end.
 */
#include <stdio.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* --- what is wanted --------------------------------------------------------------------------- */

enum http_range slice_range(const struct request *r, uint64_t version, int64_t total,
                            struct http_span span[static HTTP_RANGES], unsigned *n)
{
    static const struct http_text none = {"", 0};
    const struct http_text condition = {r->if_range, r->if_range_len};
    if (!r->range_len)
        return HTTP_RANGE_NONE;
    /* If-Range (RFC 9110 13.1.5): by the ETag, which it has; a date is no match */
    if (condition.len && head_version(head_validators(condition, none), total) != version)
        return HTTP_RANGE_NONE;
    return http_ranges((struct http_text){r->range, r->range_len}, (uint64_t)total, span, n);
}

bool slice_select(struct request *r, const struct cache_vary *v)
{
    struct http_span s[HTTP_RANGES];
    unsigned n = 0;
    if (r->head_sent) /* it goes on with the one that it needs */
        return true;
    bool part = slice_range(r, v->version, (int64_t)v->total, s, &n) == HTTP_RANGE_OK;
    r->slice = part ? s[0].first / PROXY_SLICE_BYTES : 0;
    return !r->peer || (n == 1 && r->slice == s[0].last / PROXY_SLICE_BYTES);
}

void slice_write_value(struct writer *w, uint64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "\n=%llu", (unsigned long long)number);
    write_bytes(w, text, (size_t)n);
}

bool slice_place(const char *head, size_t len, struct slice *s)
{
    return http_content_range(head_field(head, len, "Content-Range"), &s->first, &s->last,
                              &s->total);
}

void slice_write_place(struct head_writer *w, const struct slice *s)
{
    head_printf(w, "Content-Range: bytes %llu-%llu/%lld\r\n", (unsigned long long)s->first,
                (unsigned long long)s->last, (long long)s->total);
}

bool slice_read(const struct cache_object *o, struct slice *s)
{
    size_t len;
    if (cache_meta(o)->status != 206)
        return false;
    const char *head = cache_head(o, &len);
    return slice_place(head, len, s);
}

/* Does it begin and end where slices of a representation of that length do? */
static bool is_slice(const struct slice *s)
{
    uint64_t end = s->first + PROXY_SLICE_BYTES, total = (uint64_t)s->total;
    return s->total >= 0 && s->first % PROXY_SLICE_BYTES == 0 &&
           s->last + 1 == (total < end ? total : end);
}

bool slice_sane(const struct cache_meta *meta, struct cache_name values, const char *head,
                size_t len)
{
    static const struct http_text none = {"", 0};
    struct slice s;
    char value[24];
    struct writer w = writer_of(value, sizeof(value));
    if (!slice_place(head, len, &s) || !is_slice(&s) ||
        s.last - s.first + 1 != meta->content_length)
        return false;
    slice_write_value(&w, s.first / PROXY_SLICE_BYTES);
    size_t n = (size_t)(w.p - (uint8_t *)value);
    struct http_text etag = head_field(head, len, "ETag");
    return n == values.len && memcmp(value, values.p, n) == 0 && etag.len && etag.p[0] == '"' &&
           meta->version == head_version(head_validators(etag, none), s.total);
}

/* --- O: fills --------------------------------------------------------------------------------- */

struct dht_id slice_key(struct http_text url, uint64_t base)
{
    char text[HTTP_URL_MAX + 24];
    struct head_writer w = {text, 0, sizeof(text), false};
    head_write(&w, url.p, url.len);
    head_printf(&w, "\n%llu", (unsigned long long)(base / PROXY_SLICE_BYTES));
    return dht_key(text, w.len);
}

void slice_name(struct fill *f)
{
    if (f->part == f->part_named)
        return;
    struct dht_id key = f->part ? slice_key((struct http_text){f->url, f->url_len}, f->base)
                                : dht_key(f->url, f->url_len);
    index_move(f, &key);
    f->part_named = f->part;
}

static bool has_suffix(struct http_text range)
{
    for (uint32_t i = 1; i < range.len; i++)
        if (range.p[i] == '-' && (range.p[i - 1] < '0' || range.p[i - 1] > '9'))
            return true;
    return false;
}

/* Where parts alone are wanted of what nobody knows: the first one's first byte's slice. What goes
 * from the first byte to the end is the whole, and a suffix is somewhere in what has an end. */
static bool slice_wanted(const struct request *r, uint64_t *number)
{
    struct http_span s[HTTP_RANGES];
    unsigned n;
    const struct http_text range = {r->range, r->range_len};
    *number = r->slice;
    if (r->head_sent)
        return true;
    if (r->open || r->head_only || has_suffix(range) ||
        http_ranges(range, INT64_MAX, s, &n) != HTTP_RANGE_OK ||
        (s[0].first == 0 && s[0].last == INT64_MAX - 1))
        return false;
    *number = s[0].first / PROXY_SLICE_BYTES;
    return true;
}

void slice_begin(struct fill *f, const struct request *r)
{
    uint64_t number = r->slice;
    f->part = f->varies ? f->vary.total > 0
                        : !f->stale && cache_object_limit(f->proxy->cache) >= PROXY_SLICE_BYTES &&
                              slice_wanted(r, &number);
    f->base = f->part ? number * PROXY_SLICE_BYTES : 0;
    if (f->varies) /* of others, somebody may have the whole */
        slice_name(f);
}

bool slice_write_range(const struct fill *f, struct head_writer *w)
{
    uint64_t have = fill_taken(f);
    uint64_t length = f->object ? (uint64_t)f->length : PROXY_SLICE_BYTES;
    if (f->part)
        head_printf(w, "bytes=%llu-%llu", (unsigned long long)(f->base + have),
                    (unsigned long long)(f->base + length - 1));
    else if (have)
        head_printf(w, "bytes=%llu-", (unsigned long long)have);
    return f->part || have;
}

bool slice_answers(const struct fill *f, const struct http_head *h, struct slice *s)
{
    const struct http_field *range = http_known(h, HTTP_CONTENT_RANGE);
    if (h->status != 206 || !range ||
        !http_content_range(range->value, &s->first, &s->last, &s->total))
        return false;
    uint64_t length = s->last - s->first + 1;
    return s->first == f->base && is_slice(s) &&
           (h->framing != HTTP_BODY_LENGTH || h->content_length == length);
}

bool slice_combines(const struct fill *f, const struct http_head *h)
{
    const struct http_field *etag = http_known(h, HTTP_ETAG);
    return etag && etag->value.len > 1 && etag->value.p[0] == '"' && !f->said.any &&
           f->said.names == 0;
}

bool slice_confirms(const struct fill *f, const struct http_head *h)
{
    static const struct http_text none = {"", 0};
    const struct http_field *etag = http_known(h, HTTP_ETAG);
    return !f->part || !etag ||
           head_version(head_validators(etag->value, none), (int64_t)f->vary.total) ==
               f->vary.version;
}

/* --- R: in what is still arriving ------------------------------------------------------------- */

/* Does it want what is far from having come of a whole? */
static bool is_far(const struct request *r, const struct cache_object *o)
{
    struct http_span s[HTTP_RANGES];
    unsigned n;
    if (!r->range_len || r->head_only || r->head_sent || cache_state(o) != CACHE_FILLING ||
        cache_meta(o)->status != 200 || cache_length(o) <= PROXY_FAR_BYTES ||
        http_ranges((struct http_text){r->range, r->range_len}, (uint64_t)cache_length(o), s, &n) !=
            HTTP_RANGE_OK)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (s[i].first > cache_ready(o) + PROXY_FAR_BYTES)
            return true;
    return false;
}

bool slice_seek(struct proxy *p, struct request *r, const struct cache_object *o, struct now now)
{
    if (!is_far(r, o))
        return false;
    if (r->peer) {
        respond_status(p, r, 504, "it has not come so far", now);
        return true;
    }
    bool full = !p->fill_free && p->fills_used == p->config.fills;
    if (full || p->uploads >= p->config.fills / 4 || r->asks.only_if_cached)
        return false;
    r->counted = true;
    r->forward = FORWARD_PARTIAL;
    p->uploads++;
    pass_start(p, r, now);
    return true;
}

/* --- R: from one to the next ------------------------------------------------------------------ */

/* True: r->grip is of the object that has r->offset. */
static bool slice_take(struct proxy *p, struct request *r, struct now now)
{
    r->between = r->owned || r->post.queued; /* O has it yet, for a moment */
    if (r->between) {
        alarm_set(p, &r->alarm, now.mono_us + PROXY_BETWEEN_US);
        return false;
    }
    r->slice = r->offset / PROXY_SLICE_BYTES;
    const struct cache_object *o = request_look(p, r, now);
    return o && transfer_take(p, r, o, now);
}

bool slice_next(struct proxy *p, struct request *r, struct now now)
{
    pass_keep(r, r->grip->object);
    grip_drop(r->grip);
    r->grip = NULL;
    r->state = REQUEST_WAITING;
    r->tries = 0;
    r->waited = false;
    r->asks.only_if_cached = false; /* too late for a 504 */
    return slice_take(p, r, now);
}

void slice_go_on(struct proxy *p, struct request *r, struct now now)
{
    if (slice_take(p, r, now))
        transfer_run(p, r, now);
}

bool slice_aim(struct proxy *p, struct request *r, uint64_t number)
{
    struct writer w = writer_of(r->url + r->url_len, sizeof(r->url) - r->url_len);
    slice_write_value(&w, number);
    if (w.bad)
        return false;
    r->values_len = (uint16_t)(w.p - (uint8_t *)r->url - r->url_len);
    struct http_text key = request_key(r);
    r->slice = number;
    r->hash = cache_hash(p->cache, key.p, key.len);
    return true;
}

/* Is it here, and fresh, all of it? */
static bool is_here(struct proxy *p, struct request *r, uint64_t number, struct now now)
{
    if (!slice_aim(p, r, number))
        return false;
    struct http_text key = request_key(r);
    struct cache_probe probe = {.key = key.p, .key_len = key.len};
    cache_prepare(p->cache, &probe, 1);
    cache_touch(p->cache, &probe, 1);
    cache_act(p->cache, &probe, 1);
    return probe.found && cache_state(probe.found) == CACHE_COMPLETE &&
           cache_fresh(probe.found, now);
}

enum slice_there slice_look(struct proxy *p, struct request *r, const struct http_span *span,
                            unsigned n, struct now now)
{
    uint64_t first = r->slice;
    enum slice_there there = SLICES_ALL;
    unsigned looks = 0;
    for (unsigned i = 0; i < n && there == SLICES_ALL; i++)
        for (uint64_t s = span[i].first / PROXY_SLICE_BYTES;
             s <= span[i].last / PROXY_SLICE_BYTES && there == SLICES_ALL; s++) {
            if (s == first)
                continue;
            there = looks++ == SLICE_LOOKS  ? SLICES_UNKNOWN
                    : is_here(p, r, s, now) ? SLICES_ALL
                                            : SLICES_SOME;
        }
    slice_aim(p, r, first); /* as it was */
    return there;
}

/* Who says what he wants of a cache, or would not share a fill, has each fetched in its turn. */
void slice_ahead(struct proxy *p, struct request *r)
{
    uint64_t next = r->offset / PROXY_SLICE_BYTES + 1;
    if (r->ahead == next || r->owned || r->post.queued || r->asked || r->peer ||
        r->offset % PROXY_SLICE_BYTES < PROXY_SLICE_BYTES / 2 || next * PROXY_SLICE_BYTES >= r->end)
        return;
    r->ahead = next;
    if (vary_is_secret(r) || !slice_aim(p, r, next))
        return;
    struct http_text key = request_key(r);
    struct cache_probe probe = {.key = key.p, .key_len = key.len};
    cache_prepare(p->cache, &probe, 1);
    cache_touch(p->cache, &probe, 1);
    cache_act(p->cache, &probe, 1);
    if (!probe.found)
        want_ahead(p, r);
}

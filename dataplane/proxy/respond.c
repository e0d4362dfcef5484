/* SPDX-License-Identifier: BSD-3-Clause */
/* Response heads: a status line, the stored field lines, and what is made anew for each client. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* On the path of a hit: without the interpretation of a format (18 % of a hit's samples). */
static inline void head_number(struct head_writer *w, const char *before, uint64_t value,
                               const char *after)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    head_text(w, before);
    head_write(w, digits + at, sizeof(digits) - at);
    head_text(w, after);
}

void head_printf(struct head_writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = w->bad ? -1 : vsnprintf(w->p + w->len, w->room - w->len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= w->room - w->len)
        w->bad = true;
    else
        w->len += (size_t)n;
}

/* Framing and Connection, and the end of the head. */
static void write_framing(struct head_writer *w, const struct http_conn *c, int64_t length)
{
    bool close = !http_conn_keeps_alive(c);
    if (length >= 0) {
        head_number(w, "Content-Length: ", (uint64_t)length, "\r\n");
    } else if (http_conn_chunks(c))
        head_text(w, "Transfer-Encoding: chunked\r\n");
    else
        close = true;
    if (close)
        head_text(w, "Connection: close\r\n\r\n");
    else /* HTTP/1.0 has to be told (RFC 9112 9.3) */
        head_text(w, http_conn_chunks(c) ? "\r\n" : "Connection: keep-alive\r\n\r\n");
}

static void write_via(const struct proxy *p, struct head_writer *w)
{
    head_write(w, p->via, p->via_len);
}

void respond_conn(struct proxy *p, struct http_conn *c, bool head_only, bool open, unsigned status,
                  const char *text, const char *lines, struct now now)
{
    char head[1024 + sizeof(p->answer_lines)], date[30];
    struct head_writer w = {head, 0, sizeof(head), false};
    size_t n = strlen(text) + 1;

    http_date_write(now.wall_s, date);
    head_printf(&w, "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: text/plain\r\n", status,
                http_reason(status), date);
    if (status == 405 || status == 200)
        head_printf(&w, "Allow: GET, HEAD%s\r\n",
                    open ? "" : ", POST, PUT, PATCH, DELETE, OPTIONS");
    if (status == 503) /* those who are turned away together are not to be back together */
        head_printf(&w, "Retry-After: %u\r\n", 1 + rng_below(&p->rng, PROXY_RETRY_AFTER_S));
    write_via(p, &w);
    head_printf(&w, "Cache-Status: coral; detail=proxy\r\n%s%s",
                status == 301 || status == 308 ? "" : "Cache-Control: no-store\r\n", lines);
    write_framing(&w, c, (int64_t)n);
    http_conn_set_request(c, NULL);
    if (w.bad || !http_respond_head(c, head, w.len, head_only ? 0 : (int64_t)n) ||
        (!head_only &&
         (http_respond_copy(c, text, n - 1) != n - 1 || http_respond_copy(c, "\n", 1) != 1))) {
        http_respond_abort(c);
        return;
    }
    http_respond_end(c, now);
}

void respond_break(struct proxy *p, struct request *r)
{
    struct http_conn *c = r->conn;
    counter_inc(&p->counters.proxy_aborted_total);
    request_over(p, r);
    http_respond_abort(c);
}

void respond_status(struct proxy *p, struct request *r, unsigned status, const char *text,
                    struct now now)
{
    struct http_conn *c = r->conn;
    bool head_only = r->head_only, open = r->open;
    char lines[64] = "";
    if (!c)
        return;
    if (r->head_sent) { /* there is no second one */
        respond_break(p, r);
        return;
    }
    if (status == 502)
        counter_inc(&p->counters.proxy_bad_gateway_total);
    else if (status == 504)
        counter_inc(r->peer ? &p->counters.proxy_peer_refused_total
                            : &p->counters.proxy_timeouts_total);
    else if (status == 508 && r->peer)
        counter_inc(&p->counters.proxy_peer_refused_total);
    else if (status == 503 && r->reason != ACCESS_SHED)
        counter_inc(&p->counters.proxy_busy_total);
    hist_add(&p->latency, now.mono_us - r->started_us);
    r->made = r->whole = true;
    r->status = (uint16_t)status;
    r->body_out = respond_bytes(text, head_only);
    if (r->tells & PROXY_REQUEST_ID && !r->peer)
        snprintf(lines, sizeof(lines), "X-Request-ID: %s\r\n", r->id);
    request_over(p, r);
    respond_conn(p, c, head_only, open, status, text, lines, now);
}

/* If-None-Match (RFC 9110 13.1.2, weak comparison) and If-Modified-Since (13.1.3). */
static bool list_has_etag(struct http_text list, struct http_text etag)
{
    if (list.len == 1 && list.p[0] == '*')
        return true;
    /* an origin's that is not as it should be, x or w/"x", comes back as it was sent */
    if (list.len == etag.len && memcmp(list.p, etag.p, etag.len) == 0)
        return true;
    if (etag.len > 2 && etag.p[0] == 'W')
        etag.p += 2, etag.len -= 2;
    for (uint32_t i = 0; i < list.len;) {
        if (list.p[i] != '"') {
            i++;
            continue;
        }
        const char *close = memchr(list.p + i + 1, '"', list.len - i - 1);
        if (!close)
            return false;
        uint32_t n = (uint32_t)(close - list.p) + 1 - i;
        if (n == etag.len && memcmp(list.p + i, etag.p, n) == 0)
            return true;
        i += n;
    }
    return false;
}

static bool not_modified(const struct request *r, const char *head, size_t len)
{
    if (r->none_match_len) {
        struct http_text etag = head_field(head, len, "ETag");
        return list_has_etag((struct http_text){r->none_match, r->none_match_len}, etag) &&
               (etag.len || r->none_match[0] == '*');
    }
    if (r->if_modified_since < 0)
        return false;
    /* RFC 9111 4.3.2: where it names none, what was sent then can't have been made later */
    int64_t modified = http_date_parse(head_field(head, len, "Last-Modified"));
    if (modified < 0)
        modified = http_date_parse(head_field(head, len, "Date"));
    return modified >= 0 && modified <= r->if_modified_since;
}

/* If-Range (13.1.5): the range holds only for exactly this version. With a weak ETag there may be
 * other bytes of the same date: the same in another coding, made here or at the origin. So there
 * may where the date is that of the response itself (8.8.2.2): another version in the same second.
 */
static bool range_holds(const struct request *r, const char *head, size_t len)
{
    if (!r->if_range_len)
        return true;
    struct http_text mine = head_field(head, len, "ETag");
    if (r->if_range[0] == '"')
        return mine.len == r->if_range_len && memcmp(mine.p, r->if_range, mine.len) == 0;
    if (mine.len && mine.p[0] == 'W')
        return false;
    int64_t modified = http_date_parse(head_field(head, len, "Last-Modified"));
    return modified >= 0 && modified < http_date_parse(head_field(head, len, "Date")) &&
           modified == http_date_parse((struct http_text){r->if_range, r->if_range_len});
}

/* The fields that a 304 carries (RFC 9110 15.4.5). */
static void write_304_fields(struct head_writer *w, const char *head, size_t len)
{
    static const char *const kept[] = {"Cache-Control", "Content-Location", "Date", "ETag",
                                       "Expires",       "Last-Modified",    "Vary", "Via"};
    struct http_text name, line;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);)
        for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
            if (text_equals(name, kept[i]))
                head_write(w, line.p, line.len);
}

/* Lines that some responses go without. */
enum stored_drop {
    DROP_PLACE = 1, /* a Content-Range that came with the whole, and means nothing of a part */
    DROP_TYPE = 2,  /* Content-Type: that of several parts is not the whole's */
    DROP_ID = 4,    /* X-Request-ID: it is of the request that was then */
};

static bool is_dropped(struct http_text name, unsigned drop)
{
    return (drop & DROP_PLACE && text_equals(name, "Content-Range")) ||
           (drop & DROP_TYPE && text_equals(name, "Content-Type")) ||
           (drop & DROP_ID && text_equals(name, "X-Request-ID"));
}

/* Tags are for those who purge: other nodes of ours, not clients. */
static inline void write_stored(struct head_writer *w, const struct request *r, const char *head,
                                size_t len, unsigned drop)
{
    size_t at = r->peer ? 0 : cache_tag_lines(head, len);
    struct http_text name, line;
    if (r->tells & PROXY_REQUEST_ID && !r->peer)
        drop |= DROP_ID;
    if (!drop) {
        head_write(w, head + at, len - at);
        return;
    }
    while (head_line(head, len, &at, &name, &line))
        if (!is_dropped(name, drop))
            head_write(w, line.p, line.len);
}

static const char *const forward_text[] = {
    [FORWARD_NONE] = "miss",       [FORWARD_MISS] = "miss",    [FORWARD_VARY_MISS] = "vary-miss",
    [FORWARD_PARTIAL] = "partial", [FORWARD_STALE] = "stale",  [FORWARD_REQUEST] = "request",
    [FORWARD_BYPASS] = "bypass",   [FORWARD_METHOD] = "method"};

/* Who gave it, or why what is stale may be sent. */
static const char *status_detail(const struct request *r)
{
    if (!r->stale)
        return r->source == SOURCE_PEER ? "peer" : "origin";
    if (r->source != SOURCE_NONE)
        return "stale-if-error";
    return r->why == CACHE_WHY_STALE_REVALIDATE ? "stale-while-revalidate" : "max-stale";
}

static const char *status_word(const struct request *r, enum slice_there there)
{
    if (there != SLICES_ALL)
        return forward_text[FORWARD_PARTIAL];
    return r->source != SOURCE_NONE ? forward_text[r->forward] : r->stale ? "stale" : "hit";
}

/* What a hit's body needs that is not in the slice in hand: no hit, if somebody is to be asked for
 * it later. */
static enum slice_there others_there(struct proxy *p, struct request *r, unsigned status,
                                     unsigned parts, int64_t total, struct now now)
{
    const struct http_span whole = {0, (uint64_t)total - 1};
    if (r->source != SOURCE_NONE || r->stale || r->peer || r->head_only || total <= 0 ||
        (status != 200 && status != 206))
        return SLICES_ALL;
    return status == 206 ? slice_look(p, r, r->multipart.span, parts, now)
                         : slice_look(p, r, &whole, 1, now);
}

/* RFC 9211, as far as the head's object is concerned, and of slices whether the others are there:
 * the caches in order, the origin's side first. Where it is not known it says neither hit nor fwd.
 */
static void write_cache_status(struct head_writer *w, const struct request *r,
                               const struct cache_object *o, enum slice_there there, struct now now)
{
    int64_t ttl = (int64_t)cache_meta(o)->lifetime_s - cache_age(o, now);
    bool hit = r->source == SOURCE_NONE;
    if (there != SLICES_ALL) {
        head_printf(w, "Cache-Status: coral; %sttl=%lld; detail=sliced\r\n",
                    there == SLICES_SOME ? "fwd=partial; " : "", (long long)ttl);
        return;
    }
    if (hit && !r->stale) {
        head_number(w, "Cache-Status: coral; hit; ttl=", ttl > 0 ? (uint64_t)ttl : 0, "\r\n");
        return;
    }
    head_printf(w, "Cache-Status: %scoral; %s%s%s; ttl=%lld%s%s; detail=%s\r\n",
                r->source == SOURCE_PEER ? "coral-peer, " : "",
                hit ? "hit" : "fwd=", hit ? "" : forward_text[r->forward],
                r->refreshed ? "; fwd-status=304" : "", (long long)ttl,
                r->stale || r->refreshed ? "" : "; stored", r->collapsed ? "; collapsed" : "",
                status_detail(r));
}

/* A peer gets a signed head with the path that the object hangs on. */
static void write_peer(struct proxy *p, struct head_writer *w, const struct request *r,
                       int64_t length, unsigned status, const char *head, size_t len)
{
    char line[PEER_FIELD_MAX];
    uint64_t validators =
        head_validators(head_field(head, len, "ETag"), head_field(head, len, "Last-Modified"));
    struct peer_field f = {.node = p->config.node_id, .nonce = r->peer_field.nonce};
    f.path_len = r->path_len;
    memcpy(f.path, r->o.path, sizeof(f.path));
    struct peer_claim claim = {.answer = true,
                               .url = {r->url, r->url_len},
                               .status = (uint16_t)status,
                               .version = head_version(validators, length)};
    peer_sign(p->parts.mac, &claim, &f);
    head_write(w, line, peer_field_write(&f, line, sizeof(line)));
}

/* The parts of the object that are asked for; a slice's are those of the whole. */
static enum http_range choose_range(struct request *r, const struct cache_object *o,
                                    const char *head, size_t len, int64_t length, unsigned *n)
{
    if (cache_meta(o)->status == 206)
        return slice_range(r, cache_version(o), length, r->multipart.span, n);
    if (cache_meta(o)->status != 200 || !r->range_len || length < 0 || !range_holds(r, head, len))
        return HTTP_RANGE_NONE;
    return http_ranges((struct http_text){r->range, r->range_len}, (uint64_t)length,
                       r->multipart.span, n);
}

static unsigned choose_status(struct request *r, const struct cache_object *o, const char *head,
                              size_t len, int64_t length, unsigned *n)
{
    unsigned status = cache_meta(o)->status;
    if (status == 206)
        status = 200;
    if (status == 200 && not_modified(r, head, len))
        return 304;
    switch (choose_range(r, o, head, len, length, n)) {
    case HTTP_RANGE_OK:
        return 206;
    case HTTP_RANGE_UNSATISFIABLE:
        return 416;
    default:
        return status;
    }
}

static void write_status(struct head_writer *w, unsigned status)
{
    if (status == 200) {
        head_text(w, "HTTP/1.1 200 OK\r\n");
        return;
    }
    head_number(w, "HTTP/1.1 ", status, " ");
    head_text(w, http_reason(status));
    head_text(w, "\r\n");
}

/* Not of what is stored, but ours: so is its Date. */
static void write_unsatisfied(struct head_writer *w, int64_t length, struct now now)
{
    char date[30];
    http_date_write(now.wall_s, date);
    head_printf(w, "Date: %s\r\nContent-Range: bytes */%lld\r\n", date, (long long)length);
}

/* What of the object is sent, and its Content-Range or that of nothing; returns the length of the
 * body, -1: not known, -2: none by its status. */
static inline int64_t write_extent(struct proxy *p, struct head_writer *w, struct request *r,
                                   unsigned status, unsigned parts, struct http_text type,
                                   int64_t length)
{
    const struct http_span s = status == 206 ? r->multipart.span[0] : (struct http_span){0, 0};
    r->offset = r->end = s.first;
    r->parts = 0;
    if (status == 416) {
        write_unsatisfied(w, length, p->now);
        return 0;
    }
    if (status == 304 || status == 204)
        return -2;
    if (status == 206 && parts > 1) {
        int64_t body = multipart_begin(p, r, parts, type, length);
        multipart_write_type(r, w);
        return body;
    }
    if (status == 206) {
        head_printf(w, "Content-Range: bytes %llu-%llu/%lld\r\n", (unsigned long long)s.first,
                    (unsigned long long)s.last, (long long)length);
        length = (int64_t)(s.last - s.first + 1);
    }
    r->end = length >= 0 ? s.first + (uint64_t)length : UINT64_MAX;
    return length;
}

unsigned respond_write(struct proxy *p, struct request *r, const struct cache_object *o,
                       struct now now, struct head_writer *w, int64_t *body)
{
    char plain[PROXY_HEAD_ROOM];
    size_t len;
    const char *head = cache_head(o, &len);
    struct slice slice;
    bool part = slice_read(o, &slice);
    int64_t length = part ? slice.total : cache_length(o);
    if (r->varies && !r->gunzip && !(r->accepts & CODING_GZIP))
        gunzip_begin(p, r, o);
    if (r->gunzip) { /* the ranges that are meant are not of what is stored */
        len = coder_head_undone(head, len, plain, sizeof(plain));
        head = plain;
        length = -1;
    }
    unsigned parts = 0, status = choose_status(r, o, head, len, length, &parts);
    bool several = status == 206 && parts > 1;
    write_status(w, status);
    size_t fields = w->len;
    if (status == 304)
        write_304_fields(w, head, len);
    else if (status != 416)
        write_stored(w, r, head, len,
                     (part || status == 206 ? DROP_PLACE : 0) | (several ? DROP_TYPE : 0));
    struct http_text type = several ? head_field(head, len, "Content-Type") : (struct http_text){0};
    *body = write_extent(p, w, r, status, parts, type, length);
    if (status != 416)
        head_number(w, "Age: ", cache_age(o, now), "\r\n");
    write_via(p, w);
    enum slice_there there = part ? others_there(p, r, status, parts, length, now) : SLICES_ALL;
    if (!r->peer) /* who keeps it, and would tell his own clients */
        write_cache_status(w, r, o, there, now);
    if (r->tells && !r->peer)
        forward_answer(w, r, status_word(r, there), r->source == SOURCE_NONE ? NULL : r->o.spent_us,
                       now);
    if (r->peer)
        write_peer(p, w, r, length, status, head, len);
    else if (p->policy->rules)
        obey_response(p, r, w, fields);
    if (*body == -2) /* and says no length */
        head_printf(w, http_conn_keeps_alive(r->conn) ? "\r\n" : "Connection: close\r\n\r\n");
    else
        write_framing(w, r->conn, *body);
    return status;
}

/* A head of its own. */
static enum respond_end own_head(struct proxy *p, struct request *r, const struct cache_object *o,
                                 struct now now)
{
    char out[PROXY_HEAD_ROOM];
    struct head_writer w = {out, 0, sizeof(out), false};
    int64_t body;
    unsigned status = respond_write(p, r, o, now, &w, &body);
    if (r->head_only)
        r->end = r->offset;
    bool none = r->end == r->offset;
    if (w.bad)
        return RESPOND_TOO_LARGE;
    if (!http_respond_head(r->conn, out, w.len, none ? 0 : body))
        return RESPOND_NO_ROOM;
    r->status = (uint16_t)status;
    if (status == 304)
        counter_inc(&p->counters.proxy_not_modified_total);
    else if (status == 206)
        counter_inc(&p->counters.proxy_ranges_total);
    if (r->parts)
        counter_inc(&p->counters.proxy_multipart_total);
    if (r->gunzip)
        counter_inc(&p->counters.proxy_decoded_total);
    return RESPOND_SENT;
}

enum respond_end respond_object_head(struct proxy *p, struct request *r,
                                     const struct cache_object *o, struct now now)
{
    struct plain_head *s = plain_suits(p, r) ? plain_head(p, r, now) : NULL;
    r->version = cache_version(o);
    if (!s)
        return own_head(p, r, o, now);
    int64_t body = r->head_only ? 0 : cache_length(o);
    if (!http_respond_head_ref(r->conn, (struct ref){(const uint8_t *)s->bytes, s->len, &s->hold},
                               body))
        return RESPOND_NO_ROOM;
    r->offset = 0;
    r->end = (uint64_t)body;
    r->parts = 0;
    r->status = 200;
    r->plain = true;
    return RESPOND_SENT;
}

enum respond_end respond_pass_head(struct proxy *p, struct request *r, const struct pass_head *ph,
                                   const char *lines, size_t len, struct now now)
{
    char out[PROXY_HEAD_ROOM];
    struct head_writer w = {out, 0, sizeof(out), false};
    bool none = r->head_only || ph->status == 304 || ph->status == 204;
    if (r->authorized && r->forward == FORWARD_MISS)
        r->forward = FORWARD_BYPASS; /* it might have been for others, and is not */

    head_printf(&w, "HTTP/1.1 %u %s\r\n", ph->status, http_reason(ph->status));
    size_t fields = w.len;
    write_stored(&w, r, lines, len, 0);
    write_via(p, &w);
    head_printf(&w, "Cache-Status: coral; fwd=%s; stored=?0; detail=pass\r\n",
                forward_text[r->forward]);
    if (r->tells)
        forward_answer(&w, r, forward_text[r->forward], ph->spent_us, now);
    if (p->policy->rules)
        obey_response(p, r, &w, fields);
    if (ph->status == 304 || ph->status == 204)
        head_printf(&w, http_conn_keeps_alive(r->conn) ? "\r\n" : "Connection: close\r\n\r\n");
    else
        write_framing(&w, r->conn, ph->length);
    if (w.bad)
        return RESPOND_TOO_LARGE;
    if (!http_respond_head(r->conn, out, w.len, none ? 0 : ph->length))
        return RESPOND_NO_ROOM;
    r->status = (uint16_t)ph->status;
    r->passed = true;
    return RESPOND_SENT;
}

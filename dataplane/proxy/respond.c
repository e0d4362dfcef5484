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
                  const char *text, struct now now)
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
    if (status == 503)
        head_printf(&w, "Retry-After: 1\r\n");
    head_write(&w, p->answer_lines, p->answer_lines_len);
    p->answer_lines_len = 0;
    write_via(p, &w);
    head_printf(&w, "Cache-Status: coral; detail=proxy\r\nCache-Control: no-store\r\n");
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
    else if (status == 503)
        counter_inc(&p->counters.proxy_busy_total);
    hist_add(&p->latency, now.mono_us - r->started_us);
    r->made = r->whole = true;
    r->status = (uint16_t)status;
    r->body_out = respond_bytes(text, head_only);
    request_over(p, r);
    respond_conn(p, c, head_only, open, status, text, now);
}

/* If-None-Match (RFC 9110 13.1.2, weak comparison) and If-Modified-Since (13.1.3). */
static bool list_has_etag(struct http_text list, struct http_text etag)
{
    if (list.len == 1 && list.p[0] == '*')
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
 * other bytes of the same date: the same in another coding, made here or at the origin. */
static bool range_holds(const struct request *r, const char *head, size_t len)
{
    if (!r->if_range_len)
        return true;
    struct http_text mine = head_field(head, len, "ETag");
    if (r->if_range[0] != '"') {
        if (mine.len && mine.p[0] == 'W')
            return false;
        mine = head_field(head, len, "Last-Modified");
    }
    return mine.len == r->if_range_len && memcmp(mine.p, r->if_range, mine.len) == 0;
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

/* Tags are for those who purge: other nodes of ours, not clients. A Content-Range that came with
 * the whole means nothing, and goes with no part of it. */
static void write_stored(struct head_writer *w, const char *head, size_t len, bool peer, bool part)
{
    size_t at = peer ? 0 : cache_tag_lines(head, len);
    struct http_text name, line;
    if (!part)
        head_write(w, head + at, len - at);
    else
        while (head_line(head, len, &at, &name, &line))
            if (!text_equals(name, "Content-Range"))
                head_write(w, line.p, line.len);
}

static const char *const forward_text[] = {
    [FORWARD_MISS] = "miss",    [FORWARD_VARY_MISS] = "vary-miss", [FORWARD_PARTIAL] = "partial",
    [FORWARD_STALE] = "stale",  [FORWARD_REQUEST] = "request",     [FORWARD_BYPASS] = "bypass",
    [FORWARD_METHOD] = "method"};

/* Who gave it, or why what is stale may be sent. */
static const char *status_detail(const struct request *r)
{
    if (!r->stale)
        return r->source == SOURCE_PEER ? "peer" : "origin";
    if (r->source != SOURCE_NONE)
        return "stale-if-error";
    return r->why == CACHE_WHY_STALE_REVALIDATE ? "stale-while-revalidate" : "max-stale";
}

/* RFC 9211, as far as the head's object is concerned: the caches in order, the origin's side
 * first. */
static void write_cache_status(struct head_writer *w, const struct request *r,
                               const struct cache_object *o, struct now now)
{
    int64_t ttl = (int64_t)cache_meta(o)->lifetime_s - cache_age(o, now);
    bool hit = r->source == SOURCE_NONE;
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

/* The part of the object that is asked for; a slice's is one of the whole. */
static enum http_range choose_range(const struct request *r, const struct cache_object *o,
                                    const char *head, size_t len, int64_t length, uint64_t *first,
                                    uint64_t *last)
{
    if (cache_meta(o)->status == 206)
        return slice_range(r, cache_version(o), length, first, last);
    if (cache_meta(o)->status != 200 || !r->range_len || length < 0 || !range_holds(r, head, len))
        return HTTP_RANGE_NONE;
    return http_range((struct http_text){r->range, r->range_len}, (uint64_t)length, first, last);
}

static unsigned choose_status(const struct request *r, const struct cache_object *o,
                              const char *head, size_t len, int64_t length, uint64_t *first,
                              uint64_t *last)
{
    unsigned status = cache_meta(o)->status;
    if (status == 206)
        status = 200;
    if (status == 200 && not_modified(r, head, len))
        return 304;
    switch (choose_range(r, o, head, len, length, first, last)) {
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

bool respond_object_head(struct proxy *p, struct request *r, const struct cache_object *o,
                         struct now now)
{
    char out[PROXY_HEAD_ROOM];
    struct head_writer w = {out, 0, sizeof(out), false};
    size_t len;
    const char *head = cache_head(o, &len);
    struct slice slice;
    bool part = slice_read(o, &slice);
    int64_t length = part ? slice.total : cache_length(o), body;
    uint64_t first = 0, last = 0;
    unsigned status = choose_status(r, o, head, len, length, &first, &last);
    write_status(&w, status);
    size_t fields = w.len;
    if (status == 304)
        write_304_fields(&w, head, len);
    else if (status != 416)
        write_stored(&w, head, len, r->peer, part || status == 206);
    if (status == 206)
        head_printf(&w, "Content-Range: bytes %llu-%llu/%lld\r\n", (unsigned long long)first,
                    (unsigned long long)last, (long long)length);
    else if (status == 416)
        head_printf(&w, "Content-Range: bytes */%lld\r\n", (long long)length);
    if (status != 416)
        head_number(&w, "Age: ", cache_age(o, now), "\r\n");
    write_via(p, &w);
    write_cache_status(&w, r, o, now);
    if (r->peer)
        write_peer(p, &w, r, length, status, head, len);
    else if (p->policy->rules)
        obey_response(p, r, &w, fields);

    r->version = cache_version(o);
    r->offset = first;
    if (status == 304 || status == 416 || status == 204) {
        r->end = r->offset;
        body = status == 416 ? 0 : -2;
    } else {
        body = status == 206 ? (int64_t)(last - first + 1) : length;
        r->end = body >= 0 ? first + (uint64_t)body : UINT64_MAX;
    }
    if (body == -2) /* has no body by its status, and says no length */
        head_printf(&w, http_conn_keeps_alive(r->conn) ? "\r\n" : "Connection: close\r\n\r\n");
    else
        write_framing(&w, r->conn, body);
    if (r->head_only)
        r->end = r->offset;
    bool none = r->end == r->offset;
    if (w.bad || !http_respond_head(r->conn, out, w.len, none ? 0 : body))
        return false;
    r->status = (uint16_t)status;
    if (status == 304)
        counter_inc(&p->counters.proxy_not_modified_total);
    else if (status == 206)
        counter_inc(&p->counters.proxy_ranges_total);
    return true;
}

bool respond_pass_head(struct proxy *p, struct request *r, const struct pass_head *ph,
                       const char *lines, size_t len)
{
    char out[PROXY_HEAD_ROOM + 2048];
    struct head_writer w = {out, 0, sizeof(out), false};
    bool none = r->head_only || ph->status == 304 || ph->status == 204;

    head_printf(&w, "HTTP/1.1 %u %s\r\n", ph->status, http_reason(ph->status));
    size_t fields = w.len;
    write_stored(&w, lines, len, false, false);
    write_via(p, &w);
    head_printf(&w, "Cache-Status: coral; fwd=%s; stored=?0; detail=pass\r\n",
                forward_text[r->forward]);
    if (p->policy->rules)
        obey_response(p, r, &w, fields);
    if (ph->status == 304 || ph->status == 204)
        head_printf(&w, http_conn_keeps_alive(r->conn) ? "\r\n" : "Connection: close\r\n\r\n");
    else
        write_framing(&w, r->conn, ph->length);
    r->status = (uint16_t)ph->status;
    r->passed = true;
    return !w.bad && http_respond_head(r->conn, out, w.len, none ? 0 : ph->length);
}

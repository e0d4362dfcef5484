/* SPDX-License-Identifier: BSD-3-Clause */
/* A request from its head to the decision: cache, owner, or straight to the origin. */
#include <string.h>

#include "base/ascii.h"
#include "dataplane/proxy/proxy_internal.h"

static void post_sent(struct proxy *p, struct post *post)
{
    request_release(p, PROXY_OF(post, struct request, post));
}

struct request *request_new(struct proxy *p, struct http_conn *c, struct now now)
{
    struct request *r = p->request_free;
    if (r)
        p->request_free = r->next;
    else if (p->requests_used < p->config.requests)
        r = &p->requests[p->requests_used++];
    else
        return NULL;
    memset(r, 0, offsetof(struct request, post));
    r->conn = c;
    r->state = REQUEST_QUEUED;
    r->started_us = now.mono_us;
    r->alarm.kind = ALARM_REQUEST;
    r->post.sent = post_sent;
    r->blocks_tail = &r->blocks;
    r->if_modified_since = -1;
    counter_add(&p->counters.proxy_requests, 1);
    return r;
}

void request_release(struct proxy *p, struct request *r)
{
    if (r->state != REQUEST_OVER || r->owned || r->post.queued || r->forgetting)
        return;
    if (r->forget)
        forget_give(p, r->forget);
    p->uploads -= r->counted;
    p->resumed -= r->resumed;
    r->state = REQUEST_FREE;
    r->next = p->request_free;
    p->request_free = r;
    counter_add(&p->counters.proxy_requests, (uint64_t)-1);
}

void request_over(struct proxy *p, struct request *r)
{
    bool queued = r->state == REQUEST_QUEUED, passing = r->state == REQUEST_PASSING;
    alarm_stop(p, &r->alarm);
    grip_unwait(r);
    upload_gone(r);
    if (r->grip)
        grip_drop(r->grip);
    r->grip = NULL;
    pass_drop_blocks(p, r);
    if (r->gunzip)
        gunzip_drop(r);
    if (r->logged)
        access_end(p, r);
    if (r->conn)
        http_conn_set_request(r->conn, NULL);
    r->conn = NULL;
    if (queued) /* proxy_flush finds it without a connection */
        return;
    r->state = REQUEST_OVER;
    if (passing)
        pass_stop(p, r);
    request_release(p, r);
}

/* --- from the head -------------------------------------------------------- */

static bool copy_text(struct http_text t, char *out, size_t room, uint32_t *len)
{
    *len = 0;
    if (t.len > room)
        return false;
    memcpy(out, t.p, t.len);
    *len = t.len;
    return true;
}

/* Conditions and range; what is longer than any sane one is ignored, which is always allowed
 * (RFC 9110 13.1, 14.2: a full response). A range is a GET's alone (14.2). */
static void take_conditions(struct request *r, const struct http_head *h)
{
    const struct http_field *f;
    uint32_t n;
    if (!r->head_only && (f = http_known(h, HTTP_RANGE)) &&
        copy_text(f->value, r->range, sizeof(r->range), &n))
        r->range_len = (uint8_t)n;
    if (r->range_len && (f = http_known(h, HTTP_IF_RANGE))) {
        if (copy_text(f->value, r->if_range, sizeof(r->if_range), &n))
            r->if_range_len = (uint8_t)n;
        else
            r->range_len = 0;
    }
    if ((f = http_known(h, HTTP_IF_NONE_MATCH))) {
        if (copy_text(f->value, r->none_match, sizeof(r->none_match), &n))
            r->none_match_len = (uint16_t)n;
    } else if ((f = http_known(h, HTTP_IF_MODIFIED_SINCE))) {
        r->if_modified_since = http_date_parse(f->value);
    }
}

/* May this field go to the origin of an uncacheable response? In open mode only what can't carry
 * an identity from one site to another (CORAL.md 4). */
static bool field_passes(const struct http_head *h, const struct http_field *f, bool open)
{
    static const char *const harmless[] = {"Accept", "Accept-Language", "Accept-Encoding"};
    switch (f->known) {
    case HTTP_RANGE:
    case HTTP_IF_RANGE:
    case HTTP_IF_NONE_MATCH:
    case HTTP_IF_MODIFIED_SINCE:
        return true;
    case HTTP_AUTHORIZATION:
    case HTTP_COOKIE:
        return !open;
    case HTTP_HOST:
    case HTTP_USER_AGENT:
    case HTTP_VIA:
    case HTTP_CDN_LOOP:
    case HTTP_CONNECTION:
    case HTTP_CONTENT_LENGTH:
    case HTTP_EXPECT:
    case HTTP_KEEP_ALIVE:
    case HTTP_PROXY_AUTHENTICATE:
    case HTTP_PROXY_AUTHORIZATION:
    case HTTP_PROXY_CONNECTION:
    case HTTP_TE:
    case HTTP_TRAILER:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_UPGRADE:
    case HTTP_CORAL_PEER:
        return false;
    default:
        break;
    }
    if (open) {
        for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
            if (text_equals(f->name, harmless[i]))
                return true;
        return false;
    }
    return !text_equals(f->name, "HTTP2-Settings") && !http_connection_names(h, f->name);
}

bool request_field_selects(const struct http_head *h, const struct http_field *f, bool open)
{
    return f->known != HTTP_RANGE && f->known != HTTP_IF_RANGE && f->known != HTTP_IF_NONE_MATCH &&
           f->known != HTTP_IF_MODIFIED_SINCE && f->known != HTTP_AUTHORIZATION &&
           field_passes(h, f, open);
}

/* Fields by which many an origin takes a request for one of another URL, host or method: what comes
 * of that is not what the key names, and would be given to everybody (RFC 9110 5.1 lets a proxy be
 * configured to block them). */
static bool field_misleads(const char *name)
{
    static const char *const begins[] = {"forward",     "x-forward", "x-original",    "x-rewrite",
                                         "x-host",      "x-http-",   "x-method",      "x-override",
                                         "x-url",       "x-scheme",  "front-end-",    "x-real-",
                                         "true-client", "client-ip", "request-range", "if-"};
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

/* And those by which he may know somebody, as by Authorization and Cookie: whoever sends one
 * fetches for himself, and who sends one too long to be looked at. */
static bool field_is_secret(const char *name)
{
    static const char *const has[] = {"auth",   "token",     "session", "secret", "api-key",
                                      "apikey", "signature", "jwt",     "passw",  "credential"};
    for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
        if (strstr(name, has[i]))
            return true;
    return false;
}

/* In lower case, and as a gateway to CGI's variables would have it, which knows no other sign than
 * one. */
static const char *plain_name(const struct http_field *f, char out[static 64])
{
    size_t n = f->name.len < 63 ? f->name.len : 63;
    for (size_t i = 0; i < n; i++)
        out[i] = f->name.p[i] == '_' ? '-' : ascii_lower(f->name.p[i]);
    out[n] = 0;
    return out;
}

bool request_is_secret(const struct http_head *h)
{
    char name[64];
    for (unsigned i = 0; i < h->fields; i++)
        if (h->field[i].known == HTTP_OTHER && (h->field[i].name.len >= sizeof(name) ||
                                                field_is_secret(plain_name(&h->field[i], name))))
            return true;
    return false;
}

bool request_field_shared(const struct http_head *h, const struct http_field *f)
{
    char name[64];
    plain_name(f, name);
    return f->known != HTTP_COOKIE && f->name.len < sizeof(name) &&
           request_field_selects(h, f, false) && !field_misleads(name) && !field_is_secret(name);
}

static void write_fields(struct head_writer *w, const struct http_head *h, bool open,
                         const struct fill *fill)
{
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_field *f = &h->field[i];
        if (field_passes(h, f, open) && !text_equals(f->name, "Max-Forwards") &&
            !forward_makes(fill, f->name))
            head_field_write(w, f);
    }
}

/* Most requests never need their fields again: they are kept as they came, and read again when they
 * do. Of what is too long for that, the lines that are of use. */
static bool take_head(struct request *r, const struct http_head *h, bool open)
{
    const char *begin = h->method_text.p;
    size_t len = (size_t)(h->end - begin);
    r->open = open;
    r->head_raw = len <= sizeof(r->head) && !r->bare;
    if (r->head_raw) {
        memcpy(r->head, begin, len);
        r->head_len = (uint16_t)len;
        return true;
    }
    struct head_writer w = {r->head, 0, sizeof(r->head), false};
    for (unsigned i = 0; i < h->fields; i++)
        if (h->field[i].known == HTTP_CDN_LOOP || field_passes(h, &h->field[i], open))
            head_field_write(&w, &h->field[i]);
    r->head_len = (uint16_t)w.len;
    return !w.bad;
}

/* With a request line, lines alone are read as any head. */
bool request_head_parse(const struct request *r, char *text, size_t room, struct http_head *h)
{
    if (r->head_raw)
        return http_parse_request(r->head, r->head_len, h) == HTTP_OK;
    struct head_writer w = {text, 0, room, false};
    head_text(&w, "GET / HTTP/1.1\r\nHost: x\r\n");
    head_write(&w, r->head, r->head_len);
    head_text(&w, "\r\n");
    return !w.bad && http_parse_request(text, w.len, h) == HTTP_OK;
}

void request_write_fields(const struct request *r, const struct fill *f, struct head_writer *w)
{
    char text[PROXY_REQUEST_HEAD + 64];
    struct http_head h;
    if (request_head_parse(r, text, sizeof(text), &h))
        write_fields(w, &h, r->open, f);
    else
        w->bad = true; /* it was good before */
}

/* What the client says about caching. In open mode anybody may name the origin, which must not be
 * made to work by him: nothing counts there but what spares it. */
static void take_directives(struct request *r, const struct http_head *h, bool open)
{
    unsigned which = http_known(h, HTTP_CACHE_CONTROL) ? HTTP_CACHE_CONTROL
                     : http_known(h, HTTP_PRAGMA)      ? HTTP_PRAGMA
                                                       : HTTP_OTHER;
    if (which == HTTP_OTHER || r->peer)
        return;
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_text v = h->field[i].value;
        if (h->field[i].known != which)
            continue;
        if (which == HTTP_CACHE_CONTROL)
            cache_request_parse(&r->asks, v.p, v.len);
        else
            cache_request_pragma(&r->asks, v.p, v.len);
    }
    if (open)
        r->asks = (struct cache_request){.only_if_cached = r->asks.only_if_cached,
                                         .has_max_stale = r->asks.has_max_stale,
                                         .max_stale_s = r->asks.max_stale_s};
    r->asked = true;
}

static bool take_peer(struct proxy *p, struct request *r, const struct http_head *h)
{
    const struct http_field *f = http_known(h, HTTP_CORAL_PEER);
    if (!f || !p->parts.mac)
        return false;
    const struct http_field *range = http_known(h, HTTP_RANGE);
    struct peer_claim claim = {.method = r->head_only ? "HEAD" : "GET",
                               .url = {r->url, r->url_len},
                               .range = range ? range->value : (struct http_text){"", 0}};
    if (peer_field_parse(f->value, &r->peer_field) &&
        peer_verify(p->parts.mac, &claim, &r->peer_field))
        return true;
    counter_inc(&p->counters.proxy_peer_bad_mac_total);
    return false;
}

/* RFC 9110 7.6.2: how many may yet forward an OPTIONS; -1: as many as will. */
static int64_t max_forwards(const struct http_head *h)
{
    int64_t n = -1;
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_text v = h->field[i].value;
        if (!text_equals(h->field[i].name, "Max-Forwards") || v.len == 0 || v.len > 9)
            continue;
        n = 0;
        for (uint32_t k = 0; k < v.len; k++)
            n = v.p[k] >= '0' && v.p[k] <= '9' && n >= 0 ? n * 10 + (v.p[k] - '0') : -1;
    }
    return n;
}

/* A site of the operator's gets what was meant for it; in open mode, where anybody may name the
 * origin, only what changes nothing there. */
static unsigned take_method(struct request *r, const struct http_head *h, bool site,
                            const char **why)
{
    bool other = h->method == HTTP_OTHER_METHOD;
    r->open = !site;
    if (other && site && text_equals(h->method_text, "OPTIONS") && max_forwards(h) == 0) {
        *why = "no further, as Max-Forwards says";
        return 200;
    }
    if (other && site && text_equals(h->path, "*")) { /* OPTIONS (9.3.7): of the server itself */
        *why = "this server is there";
        return 200;
    }
    if (other && (!site || http_known(h, HTTP_CORAL_PEER) ||
                  text_equals(h->method_text, "CONNECT") || text_equals(h->method_text, "TRACE"))) {
        *why = site ? "this method is not served" : "only GET and HEAD are served";
        return 405;
    }
    if (!other && !http_has_body(h))
        return 0;
    if (!site) {
        *why = "this request may have no body";
        return 413;
    }
    r->max_forwards = text_equals(h->method_text, "OPTIONS") ? max_forwards(h) : -1;
    *why = "this method is not known";
    return upload_take(r, h) ? 0 : 501;
}

/* What open mode, where anybody names the origin, has none of. */
static void take_site(struct proxy *p, struct request *r, const struct http_head *h,
                      const struct proxy_site *site)
{
    const struct http_timeouts *t = &site->timeouts;
    r->asks.no_transform &= site->compress > 0;
    r->authorized |= http_known(h, HTTP_AUTHORIZATION) != NULL;
    r->has_cookie = http_known(h, HTTP_COOKIE);
    r->wait_ms = t->connect_ms + t->first_byte_ms + PROXY_MARGIN_MS / 2;
    r->stall_ms = t->between_bytes_ms + PROXY_MARGIN_MS;
    if (site->tells) {
        r->tells = site->tells & (r->peer ? PROXY_REQUEST_ID : 0xff);
        forward_take(p, r, h, site);
    }
}

/* Fills a request from its head; the status of a refusal, 0 when it is served. */
static unsigned take_request(struct proxy *p, struct request *r, const struct http_head *h,
                             const char **why)
{
    struct policy_route route;
    struct http_head bare;
    r->head_only = h->method == HTTP_HEAD_METHOD;
    policy_name(p->policy, h->host, &route);
    *why = route.why;
    r->reason = ACCESS_BAD_HOST;
    if (route.status)
        return route.status;
    unsigned refused = take_method(r, h, route.site != NULL, why);
    if (refused)
        return refused;
    struct http_text host = {route.host, (uint32_t)strlen(route.host)};
    r->url_len = (uint16_t)http_url_write(host, route.port, h->path, r->url, sizeof(r->url));
    *why = "the request target is no valid URL";
    r->reason = ACCESS_BAD_TARGET;
    if (r->url_len == 0)
        return 400;
    r->peer = take_peer(p, r, h);
    r->reason = ACCESS_LARGE_HEAD;
    if (!r->peer && loop_suspect(h) && (refused = loop_refuse(p, h, why)))
        return refused;
    *why = "this URL is on the deny list";
    if (deny_match(p->policy->deny, p->scratch, r->url, r->url_len)) {
        counter_inc(&p->counters.proxy_denied_total);
        return 403;
    }
    if (p->policy->rules && !r->peer) {
        refused = obey_rules(p, r, &route, why);
        if (refused)
            return refused;
        h = obey_bare(r, h, &bare);
    }
    *why = "the request's fields are too large";
    if (!take_head(r, h, !route.site))
        return 431;
    take_conditions(r, h);
    take_directives(r, h, !route.site);
    r->authorized = r->passes;
    r->verified = r->peer;
    r->reason = ACCESS_NO_REASON;
    r->looped = h->known[HTTP_CDN_LOOP] && !r->peer;
    if (route.site)
        take_site(p, r, h, route.site);
    else
        r->asks.no_transform = false;
    return 0;
}

/* What a request for the origin alone needs on its way. */
static bool take_means(struct proxy *p, struct request *r, const struct http_head *h,
                       struct now now)
{
    if (p->uploads >= p->config.fills / 4) /* slow ones may not have all fills */
        return false;
    if (!r->safe && !(r->forget = forget_take(p)))
        return false;
    r->counted = true;
    p->uploads++;
    return !r->has_body || http_conn_read_body(r->conn, h, now);
}

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now now)
{
    struct proxy *p = ctx;
    bool head_only = h->method == HTTP_HEAD_METHOD;
    const char *why = "";

    p->now = now;
    counter_inc(&p->counters.proxy_requests_total);
    struct request *r = p->policy ? request_new(p, c, now) : NULL;
    if (!r) {
        why = "too many requests in flight; try again";
        counter_inc(&p->counters.proxy_busy_total);
        access_refused(p, c, h, now.mono_us, false, 503, ACCESS_NO_REASON,
                       respond_bytes(why, head_only));
        respond_conn(p, c, head_only, true, 503, why, "", now);
        return;
    }
    unsigned status = take_request(p, r, h, &why);
    if (!status && r->other && !take_means(p, r, h, now)) {
        why = "too many requests in flight; try again";
        status = 503;
    }
    if (status) {
        counter_inc(&p->counters.proxy_refused_total);
        counter_add(&p->counters.proxy_loops_total, status == 508);
        bool open = r->open, peer = r->peer;
        /* the other statuses say it themselves */
        enum access_reason reason =
            status == 400 || status == 431 ? (enum access_reason)r->reason : ACCESS_NO_REASON;
        if (reason)
            http_conn_malformed(c, access_error(reason));
        else if (status == 508)
            reason = ACCESS_LOOP;
        r->state = REQUEST_OVER;
        r->conn = NULL;
        request_release(p, r);
        access_refused(p, c, h, now.mono_us, peer, status, reason, respond_bytes(why, head_only));
        respond_conn(p, c, head_only, open, status, why, p->answer_lines, now);
        p->answer_lines[0] = 0;
        return;
    }
    if (r->peer)
        counter_inc(&p->counters.proxy_peer_requests_total);
    if (p->access && (!r->peer || p->access & ACCESS_WANT_PEERS)) {
        access_begin(p, &r->access, c, h, r->tells & PROXY_REQUEST_ID ? r->id : "", now.mono_us);
        r->logged = true;
    }
    http_conn_set_request(c, r);
    r->next = NULL;
    *p->burst_tail = r;
    p->burst_tail = &r->next;
}

static void on_writable(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct proxy *p = ctx;
    struct request *r = request;
    (void)c;
    p->now = now;
    if (!r)
        return;
    if (r->state == REQUEST_SENDING && !r->wait_prev)
        transfer_run(p, r, now);
    else if (r->state == REQUEST_PASSING)
        pass_writable(p, r, now);
}

static void on_gone(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct proxy *p = ctx;
    struct request *r = request;
    p->now = now;
    if (!r)
        return;
    counter_inc(&p->counters.proxy_gone_total);
    enum http_error e = http_conn_refused(c);
    if (e) { /* not gone, but answered by the server */
        r->made = r->whole = true;
        r->status = (uint16_t)http_error_status(e);
        r->reason = (uint8_t)access_reason_of(e);
        r->body_out = r->head_only ? 0 : sizeof(HTTP_BODY_REFUSED) - 1;
    }
    r->gone = !e;
    r->conn = NULL;
    request_over(p, r);
}

static size_t on_body(void *ctx, struct http_conn *c, void *request, const uint8_t *data,
                      size_t len, struct now now)
{
    struct proxy *p = ctx;
    (void)c;
    p->now = now;
    return request ? upload_body(p, request, data, len, now) : len; /* answered: nobody needs it */
}

static void on_body_end(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct proxy *p = ctx;
    (void)c;
    p->now = now;
    if (request)
        upload_body_end(p, request, now);
}

static void on_refused(void *ctx, struct http_conn *c, const struct http_head *h, uint64_t since_us,
                       enum http_error why, size_t bytes, struct now now)
{
    struct proxy *p = ctx;
    p->now = now;
    access_refused(p, c, h, since_us, false, http_error_status(why), access_reason_of(why), bytes);
}

struct http_handler proxy_handler(struct proxy *p)
{
    return (struct http_handler){.ctx = p,
                                 .request = on_request,
                                 .body = on_body,
                                 .body_end = on_body_end,
                                 .writable = on_writable,
                                 .gone = on_gone,
                                 .refused = on_refused};
}

/* --- the burst ------------------------------------------------------------ */

/* What the rules make of `o` for this request; a peer gets what is fresh, and nothing else. */
static struct cache_reuse request_judge(const struct request *r, const struct cache_object *o,
                                        struct now now)
{
    bool fresh = o && cache_fresh(o, now);
    if (fresh && !r->asked)
        return (struct cache_reuse){.use = CACHE_USE_FRESH};
    if (r->peer)
        return (struct cache_reuse){.use = CACHE_USE_REVALIDATE};
    return cache_reuse(o ? cache_meta(o) : NULL, &r->asks, now.wall_s);
}

/* Nothing that is stored will do. */
static void request_fetch(struct proxy *p, struct request *r, const struct cache_object *o,
                          struct now now)
{
    bool secret = vary_is_secret(r);
    if (r->asks.no_store)
        r->forward = FORWARD_REQUEST;
    else if (secret)
        r->forward = FORWARD_BYPASS;
    else if (o)
        r->forward = cache_fresh(o, now) ? FORWARD_REQUEST : FORWARD_STALE;
    if (r->asks.no_store || secret || (!o && !r->peer && pass_known(p, r->hash, now)))
        pass_start(p, r, now);
    else
        want_send(p, r, o, now);
}

/* Returns what is to be sent now. */
static const struct cache_object *request_act(struct proxy *p, struct request *r,
                                              const struct cache_object *o, struct now now)
{
    if (r->other) {
        r->forward = FORWARD_METHOD;
        pass_start(p, r, now);
        return NULL;
    }
    if (r->peer ? r->alone : r->authorized || r->alone) {
        if (r->peer || r->asks.only_if_cached) {
            respond_status(p, r, 504, "only-if-cached, and none is stored for who asks", now);
        } else {
            r->forward = FORWARD_BYPASS;
            pass_start(p, r, now);
        }
        return NULL;
    }
    if (!o && r->vary_miss && !r->peer)
        o = vary_other(p, r, now);
    if (!o)
        r->forward = !r->vary_miss ? FORWARD_MISS : r->sliced ? FORWARD_PARTIAL : FORWARD_VARY_MISS;
    struct cache_reuse u = request_judge(r, o, now);
    switch (u.use) {
    case CACHE_USE_FRESH:
        if (slice_seek(p, r, o, now))
            break;
        if (!r->peer || r->path_known || cache_state(o) != CACHE_FILLING)
            return o;
        want_send(p, r, o, now);
        break;
    case CACHE_USE_STALE_REVALIDATE:
        want_behind(p, r, o, now);
        /* fall through */
    case CACHE_USE_STALE:
        r->stale = true;
        r->why = (uint8_t)u.reason;
        return o;
    case CACHE_USE_GATEWAY_TIMEOUT:
        respond_status(p, r, 504, "only-if-cached, and there is nothing that may be sent", now);
        break;
    default:
        /* a peer's copy would be as old as this one, for all we know; and whether there is one here
         * is nothing to who does not want what is stored (RFC 9111 5.2.1.1, 5.2.1.4) */
        r->to_origin = r->asks.no_cache || u.reason == CACHE_WHY_REQUEST_MAX_AGE ||
                       u.reason == CACHE_WHY_REQUEST_MIN_FRESH ||
                       (!o && r->asks.has_max_age && r->asks.max_age_s == 0);
        request_fetch(p, r, o, now);
        break;
    }
    return NULL;
}

const struct cache_object *request_look(struct proxy *p, struct request *r, struct now now)
{
    struct cache_probe probe = {.key = r->url, .key_len = r->url_len};
    r->varies = r->sliced = r->vary_miss = r->alone = false;
    if (r->gunzip)
        gunzip_drop(r);
    cache_prepare(p->cache, &probe, 1);
    cache_touch(p->cache, &probe, 1);
    cache_act(p->cache, &probe, 1);
    r->chain = probe.hash.lo;
    vary_select(p, &r, &probe, 1);
    r->hash = probe.hash;
    return request_act(p, r, probe.found, now);
}

void request_again(struct proxy *p, struct request *r, struct now now)
{
    if (r->tries++ == PROXY_TRIES) {
        respond_status(p, r, 502, "the object goes as fast as it comes", now);
        return;
    }
    const struct cache_object *o = request_look(p, r, now);
    if (o)
        transfer_start(p, r, o, now);
}

static unsigned burst_take(struct proxy *p, struct request **batch, struct cache_probe *probe)
{
    unsigned n = 0;
    while (n < p->config.burst && p->burst) {
        struct request *r = p->burst;
        p->burst = r->next;
        if (!p->burst)
            p->burst_tail = &p->burst;
        if (!r->conn) { /* the client left meanwhile */
            r->state = REQUEST_OVER;
            request_release(p, r);
            continue;
        }
        batch[n] = r;
        probe[n] = (struct cache_probe){.key = r->url, .key_len = r->url_len};
        n++;
    }
    return n;
}

void proxy_flush(struct proxy *p, struct now now)
{
    struct request *batch[PROXY_BURST];
    struct cache_probe probe[PROXY_BURST];

    p->now = now;
    unsigned n = burst_take(p, batch, probe);
    cache_prepare(p->cache, probe, n);
    cache_touch(p->cache, probe, n);
    cache_act(p->cache, probe, n);
    for (unsigned i = 0; i < n; i++)
        batch[i]->chain = probe[i].hash.lo;
    vary_select(p, batch, probe, n);
    for (unsigned i = 0; i < n; i++) {
        struct request *r = batch[i];
        r->state = REQUEST_WAITING;
        r->hash = probe[i].hash;
        r->owner = (uint16_t)cache_owner(p->cache, r->hash);
        const struct cache_object *o = request_act(p, r, probe[i].found, now);
        if (o)
            transfer_start(p, r, o, now);
    }
    if (post_waiting(p))
        post_flush(p, now);
}

void request_timeout(struct proxy *p, struct request *r, struct now now)
{
    if (r->between) {
        slice_go_on(p, r, now);
    } else if (r->state == REQUEST_WAITING || (r->state == REQUEST_PASSING && !r->head_sent)) {
        respond_status(p, r, 504, "no answer in time", now);
    } else if ((r->state == REQUEST_SENDING && r->wait_prev) || r->state == REQUEST_PASSING) {
        respond_break(p, r);
    }
}

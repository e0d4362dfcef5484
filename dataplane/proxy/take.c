/* SPDX-License-Identifier: BSD-3-Clause */
/* What is taken of a client's request head, and what of it may go on to an origin. */
#include <string.h>

#include "base/ascii.h"
#include "dataplane/proxy/proxy_internal.h"

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
    case HTTP_VIA:
        return !open;
    case HTTP_HOST:
    case HTTP_USER_AGENT:
    case HTTP_CDN_LOOP:
    case HTTP_EXPECT:
        return false;
    default:
        break;
    }
    if (field_is_hops(h, f))
        return false;
    if (open) {
        for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
            if (text_equals(f->name, harmless[i]))
                return true;
        return false;
    }
    return !text_equals(f->name, "HTTP2-Settings");
}

bool request_field_selects(const struct http_head *h, const struct http_field *f, bool open)
{
    return f->known != HTTP_RANGE && f->known != HTTP_IF_RANGE && f->known != HTTP_IF_NONE_MATCH &&
           f->known != HTTP_IF_MODIFIED_SINCE && f->known != HTTP_AUTHORIZATION &&
           f->known != HTTP_VIA && field_passes(h, f, open);
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

bool request_is_own(const struct request *r, const struct http_head *h)
{
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_field *f = &h->field[i];
        if (f->known != HTTP_AUTHORIZATION && f->known != HTTP_VIA && field_passes(h, f, r->open) &&
            !request_field_shared(h, f) && !forward_replaces(r, f->name))
            return true;
    }
    return false;
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
        if (!text_equals(h->field[i].name, "Max-Forwards") || v.len == 0)
            continue;
        n = cache_seconds_parse(v.p, v.len); /* a number without a sign, bounded */
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
    r->authorized = http_known(h, HTTP_AUTHORIZATION) && !r->peer;
    r->has_cookie = http_known(h, HTTP_COOKIE);
    r->wait_ms = t->connect_ms + t->first_byte_ms + PROXY_MARGIN_MS / 2;
    if (site->connections) /* all of that may come after it has waited for its turn */
        r->wait_ms += PROXY_QUEUE_US / 1000;
    r->stall_ms = t->between_bytes_ms + PROXY_MARGIN_MS;
    if (site->tells) {
        r->tells = site->tells & (r->peer ? PROXY_REQUEST_ID : 0xff);
        forward_take(p, r, h, site);
    }
}

/* By its URL, and by how lax origins read it: no spelling may go round the list. */
static bool is_denied(const struct proxy *p, const struct request *r)
{
    char loose[HTTP_URL_MAX];
    void *deny = p->policy->deny;
    size_t n = rules_loosen(r->url, r->url_len, loose, sizeof(loose));
    return deny_match(deny, p->scratch, r->url, r->url_len) ||
           (n && deny_match(deny, p->scratch, loose, n));
}

unsigned request_denied(struct proxy *p, struct request *r, const char **why)
{
    if (!p->policy->deny || !is_denied(p, r))
        return 0;
    r->reason = ACCESS_DENY_LIST;
    *why = "this URL is on the deny list";
    counter_inc(&p->counters.proxy_denied_total);
    return 403;
}

static bool is_simple(const struct request *r)
{
    return !r->peer && !r->other && !r->old && !r->tells && !r->asked && !r->authorized &&
           !r->passes && !r->range_len && !r->none_match_len && r->if_modified_since < 0;
}

/* --- fields that come again ----------------------------------------------- */

/* What we make of such fields (http.h, remark), by one policy: rules may change without the
 * configuration's number. */
struct take_memo {
    uint64_t view; /* p->views; 0: nothing is known */
    const struct proxy_site *site;
    uint16_t len; /* of the URL up to its path */
    bool open;    /* the fields were looked through, and hold no secret */
    char url[109];
};
static_assert(sizeof(struct take_memo) <= HTTP_REMARK, "it has its place there");

/* Keeps what they mean of a request that was taken, if they mean nothing beside whose URL it is:
 * whatever its method and its path. */
static void memo_keep(const struct proxy *p, const struct request *r, const struct http_head *h,
                      const struct policy_route *route)
{
    struct take_memo *m = h->remark;
    if (!m || !r->simple || h->known[HTTP_RANGE] || h->known[HTTP_CORAL_PEER] ||
        h->known[HTTP_CDN_LOOP])
        return;
    size_t len = (size_t)((char *)memchr(r->url + 7, '/', r->url_len - 7u) - r->url);
    if (len > sizeof(m->url))
        return;
    *m = (struct take_memo){
        .view = p->views, .site = route->site, .len = (uint16_t)len, .open = m->open};
    memcpy(m->url, r->url, len);
}

/* What a client may be known by is not kept (http.h); the proxy knows more such fields. */
static void memo_judge(const struct http_head *h)
{
    struct take_memo *m = h->remark;
    if (!m || m->open)
        return;
    m->open = !request_is_secret(h);
    if (!m->open)
        http_recent_forget(h);
}

/* The same as request_take, by a memo. */
static unsigned memo_take(struct proxy *p, struct request *r, const struct http_head *h,
                          const struct take_memo *m, const char **why)
{
    memcpy(r->url, m->url, sizeof(m->url));
    r->url_len = (uint16_t)http_url_path(h->path, r->url, m->len, sizeof(r->url));
    *why = "the request target is no valid URL";
    r->reason = ACCESS_BAD_TARGET;
    if (r->url_len == 0)
        return 400;
    unsigned refused = request_denied(p, r, why);
    if (refused)
        return refused;
    r->reason = ACCESS_LARGE_HEAD;
    *why = "the request's fields are too large";
    if (!take_head(r, h, !m->site))
        return 431;
    r->reason = ACCESS_NO_REASON;
    if (m->site)
        take_site(p, r, h, m->site);
    r->simple = true;
    return 0;
}

/* Fills a request from its head; the status of a refusal, 0 when it is served. */
unsigned request_take(struct proxy *p, struct request *r, const struct http_head *h,
                      const char **why)
{
    struct policy_route route;
    struct http_head bare;
    const struct take_memo *known = h->remark;
    bool plain = !p->policy->rules && !p->policy->metered; /* or each request is another matter */
    r->head_only = h->method == HTTP_HEAD_METHOD;
    if (known && known->view == p->views && plain && h->method != HTTP_OTHER_METHOD)
        return memo_take(p, r, h, known, why);
    memo_judge(h);
    r->old = h->minor == 0;
    policy_recall(p, h, &route);
    *why = route.why;
    r->reason = route.status == 400 ? ACCESS_BAD_HOST : ACCESS_NOT_SERVED;
    if (route.status)
        return route.status;
    unsigned refused = take_method(r, h, route.site != NULL, why);
    if (refused) {
        r->reason = refused == 200   ? ACCESS_NO_REASON
                    : refused == 413 ? ACCESS_BODY_REFUSED
                                     : ACCESS_METHOD_REFUSED;
        return refused;
    }
    struct http_text host = {route.host, route.host_len};
    r->url_len = (uint16_t)http_url_write(host, route.port, h->path, r->url, sizeof(r->url));
    *why = "the request target is no valid URL";
    r->reason = ACCESS_BAD_TARGET;
    if (r->url_len == 0)
        return 400;
    r->peer = take_peer(p, r, h);
    r->reason = ACCESS_LARGE_HEAD;
    if (!r->peer && loop_suspect(h) && (refused = loop_refuse(p, h, why))) {
        r->reason = refused == 508 ? ACCESS_LOOP : ACCESS_LARGE_HEAD;
        return refused;
    }
    if ((refused = request_denied(p, r, why)))
        return refused;
    if (p->policy->rules && !r->peer) {
        refused = obey_rules(p, r, h, &route, why);
        if (refused)
            return refused;
        h = obey_bare(r, h, &bare);
    }
    if (p->policy->metered && !r->peer && (refused = share_refuse(p, r, h, route.site, why)))
        return refused;
    r->reason = ACCESS_LARGE_HEAD;
    *why = "the request's fields are too large";
    if (!take_head(r, h, !route.site))
        return 431;
    take_conditions(r, h);
    take_directives(r, h, !route.site);
    r->verified = r->peer;
    r->reason = ACCESS_NO_REASON;
    r->looped = h->known[HTTP_CDN_LOOP] && !r->peer;
    if (route.site)
        take_site(p, r, h, route.site);
    else
        r->asks.no_transform = false;
    r->simple = is_simple(r);
    if (plain)
        memo_keep(p, r, h, &route);
    return 0;
}

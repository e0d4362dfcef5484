/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an origin is told of the request that a fill is for, and a client of its response, where the
 * site wants it.
 *
 * To origins: field lines made here, in place of what the client says in fields of these names.
 * They are made when the fill begins, of its first request, and go with every question of the fill
 * to an origin: they are in no key, no variant is selected by them, and what an origin says to vary
 * by one of them is for one request alone.
 */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "dataplane/proxy/proxy_internal.h"

static const char for_field[] = "X-Forwarded-For", forwarded_field[] = "Forwarded";

/* --- to origins ----------------------------------------------------------- */

/* As a gateway to CGI's variables would have it, which takes `X_Forwarded_For` for the other. */
static bool is_name(struct http_text a, struct http_text b)
{
    if (a.len != b.len)
        return false;
    for (uint32_t i = 0; i < a.len; i++)
        if ((a.p[i] == '_' ? '-' : ascii_lower(a.p[i])) !=
            (b.p[i] == '_' ? '-' : ascii_lower(b.p[i])))
            return false;
    return true;
}

static bool is_address_field(struct http_text name)
{
    static const struct http_text both[] = {{for_field, sizeof(for_field) - 1},
                                            {forwarded_field, sizeof(forwarded_field) - 1}};
    return is_name(name, both[0]) || is_name(name, both[1]);
}

bool forward_makes(const struct fill *f, struct http_text field)
{
    struct http_text name, line;
    for (size_t at = 0; head_line(f->forward, f->forward_len, &at, &name, &line);)
        if (is_name(name, field))
            return true;
    return f->tells & PROXY_ADDRESS && is_address_field(field); /* nor the other of the two */
}

bool forward_replaces(const struct request *r, struct http_text field)
{
    static const struct http_text id = {"X-Request-ID", 12};
    return (r->tells & PROXY_ADDRESS && is_address_field(field)) ||
           (r->tells & PROXY_REQUEST_ID && is_name(field, id));
}

/* RFC 7239 4: a string that does not end would go on in what is written after it. */
static bool is_open_string(struct http_text v)
{
    bool quoted = false;
    for (uint32_t i = 0; i < v.len; i++)
        if (v.p[i] == '"')
            quoted = !quoted;
        else if (v.p[i] == '\\' && quoted)
            i++;
    return quoted;
}

/* What a proxy that the site trusts says, before ours. What is too long is left out. */
static void write_before(struct head_writer *w, const struct http_head *h, const char *name)
{
    size_t len = 0;
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < h->fields && (pass == 0 || len <= FORWARD_BEFORE); i++) {
            const struct http_field *f = &h->field[i];
            if (f->value.len == 0 || !text_equals(f->name, name) || is_open_string(f->value))
                continue;
            if (pass == 0) {
                len += f->value.len + 2;
                continue;
            }
            head_write(w, f->value.p, f->value.len);
            head_text(w, ", ");
        }
}

static void write_address(struct head_writer *w, const struct request *r, const struct http_head *h)
{
    char text[ADDR_TEXT];
    bool forwarded = r->tells & PROXY_FORWARDED, v4 = addr_is_v4(&r->client);
    const char *name = forwarded ? forwarded_field : for_field;
    head_text(w, name);
    head_text(w, ": ");
    if (r->trusted && h)
        write_before(w, h, name);
    addr_text(&r->client, text);
    if (!forwarded)
        head_printf(w, "%s\r\n", text);
    else /* RFC 7239 6: an IPv6 address has brackets, and so the value quotation marks */
        head_printf(w, v4 ? "for=%s\r\n" : "for=\"[%s]\"\r\n", text);
}

struct addr forward_asks(const struct request *r, const struct http_head *h,
                         const struct proxy_site *site)
{
    const struct addr *peer = &http_conn_peer(r->conn)->ip;
    return site && site->tells & PROXY_ADDRESS ? forward_client(site, h, peer) : *peer;
}

void forward_begin(struct fill *f, const struct request *r)
{
    char text[PROXY_REQUEST_HEAD + 64];
    struct http_head head, *h = NULL;
    struct head_writer w = {f->forward, 0, sizeof(f->forward), false};
    if ((r->looped || r->trusted) && request_head_parse(r, text, sizeof(text), &head))
        h = &head;
    f->looped = r->looped;
    f->tells = r->tells;
    loop_write(f->proxy, h, &w);
    if (r->tells & PROXY_ADDRESS)
        write_address(&w, r, h);
    if (r->tells & PROXY_REQUEST_ID)
        head_printf(&w, "X-Request-ID: %s\r\n", r->id);
    f->forward_len = (uint16_t)(w.bad ? 0 : w.len);
}

void forward_said(struct fill *f)
{
    struct cache_name name;
    for (size_t at = 0; cache_vary_next(&f->said, &at, &name);)
        if (forward_makes(f, (struct http_text){name.p, (uint32_t)name.len}) ||
            (f->authorized &&
             text_equals((struct http_text){name.p, (uint32_t)name.len}, "Authorization")))
            f->said.any = true;
}

bool forward_doubtful(const struct fill *f, unsigned status)
{
    if (f->kind != SOURCE_ORIGIN || status < 400)
        return false;
    if (f->authorized)
        return true;
    if (status == 404 || status == 410)
        return false;
    return f->looped || (f->tells & PROXY_ADDRESS && (status < 500 || status == 503));
}

/* --- of a request --------------------------------------------------------- */

static bool is_trusted(const struct proxy_site *site, const struct addr *a)
{
    for (unsigned i = 0; i < site->trusted; i++)
        if (addr_in_prefix(a, &site->trusted_prefix[i].net, site->trusted_prefix[i].bits))
            return true;
    return false;
}

static struct http_text trimmed(struct http_text t)
{
    while (t.len && (*t.p == ' ' || *t.p == '\t'))
        t.p++, t.len--;
    while (t.len && (t.p[t.len - 1] == ' ' || t.p[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* Of an element of Forwarded (RFC 7239 4) what `for` says, without quotation marks; else nothing.
 */
static struct http_text said_for(struct http_text element)
{
    struct http_text none = {"", 0};
    for (uint32_t at = 0, end; at < element.len; at = end + 1) {
        for (end = at; end < element.len && element.p[end] != ';';)
            end++;
        struct http_text t = trimmed((struct http_text){element.p + at, end - at});
        if (t.len < 4 || strncasecmp(t.p, "for=", 4) != 0)
            continue;
        t.p += 4, t.len -= 4;
        if (t.len >= 2 && t.p[0] == '"' && t.p[t.len - 1] == '"')
            t.p++, t.len -= 2;
        return t;
    }
    return none;
}

static bool element_address(struct http_text element, bool forwarded, struct addr *out)
{
    char text[ENDPOINT_TEXT];
    struct endpoint at;
    struct http_text t = forwarded ? said_for(element) : trimmed(element);
    if (t.len == 0 || t.len >= sizeof(text))
        return false;
    memcpy(text, t.p, t.len);
    text[t.len] = '\0';
    if (!endpoint_parse(text, 0, &at))
        return false;
    *out = at.ip;
    return true;
}

/* From the end, where whom we trust has written; a comma in quotation marks ends it, too: what they
 * have not written may begin with one that has no partner. */
struct addr forward_client(const struct proxy_site *site, const struct http_head *h,
                           const struct addr *peer)
{
    bool forwarded = site->tells & PROXY_FORWARDED;
    const char *name = forwarded ? forwarded_field : for_field;
    struct addr who = *peer;
    for (unsigned i = h->fields; i-- > 0 && is_trusted(site, &who);) {
        struct http_text left = h->field[i].value;
        if (!text_equals(h->field[i].name, name))
            continue;
        while (left.len && is_trusted(site, &who)) {
            const char *comma = memrchr(left.p, ',', left.len);
            const char *begin = comma ? comma + 1 : left.p;
            struct http_text element = {begin, (uint32_t)(left.p + left.len - begin)};
            if (!element_address(element, forwarded, &who))
                return who;
            left.len = comma ? (uint32_t)(comma - left.p) : 0;
        }
    }
    return who;
}

/* A node of ours gives the ID of the request that it asks for. */
static bool take_id(char id[static PROXY_ID + 1], const struct http_head *h)
{
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_text v = h->field[i].value;
        if (!text_equals(h->field[i].name, "X-Request-ID") || v.len != PROXY_ID)
            continue;
        memcpy(id, v.p, PROXY_ID);
        id[PROXY_ID] = '\0';
        return strspn(id, "0123456789abcdef") == PROXY_ID;
    }
    return false;
}

static void make_id(struct proxy *p, char id[static PROXY_ID + 1])
{
    unsigned long long high = rng_u64(&p->rng), low = rng_u64(&p->rng);
    snprintf(id, PROXY_ID + 1, "%016llx%016llx", high, low);
}

void forward_take(struct proxy *p, struct request *r, const struct http_head *h,
                  const struct proxy_site *site)
{
    r->client = http_conn_peer(r->conn)->ip;
    r->trusted = r->tells & PROXY_ADDRESS && is_trusted(site, &r->client);
    if (r->tells & PROXY_REQUEST_ID && !(r->peer && take_id(r->id, h)))
        make_id(p, r->id);
}

void forward_refused(struct proxy *p, const struct request *r, const struct http_head *h,
                     char id[static PROXY_ID + 1])
{
    struct policy_route route = {0};
    id[0] = '\0';
    if (r && r->tells & PROXY_REQUEST_ID) {
        memcpy(id, r->id, PROXY_ID + 1);
        return;
    }
    if (p->policy)
        policy_name(p->policy, h->host, &route);
    if (route.site && route.site->tells & PROXY_REQUEST_ID && !(r && r->peer && take_id(id, h)))
        make_id(p, id);
}

/* --- to clients ----------------------------------------------------------- */

void forward_phase(struct fill *f, enum source_kind phase, struct now now)
{
    f->spent_us[f->phase] += (uint32_t)(now.mono_us - f->phase_us);
    f->phase = (uint8_t)phase;
    f->phase_us = now.mono_us;
}

void forward_spent(const struct fill *f, uint32_t *spent_us)
{
    uint64_t now_us = f->proxy->now.mono_us;
    memcpy(spent_us, f->spent_us, sizeof(f->spent_us));
    if (now_us > f->phase_us)
        spent_us[f->phase] += (uint32_t)(now_us - f->phase_us);
}

/* RFC 9211 2.7, an sf-string (RFC 9651 3.3.3); goes on with the line that was written last. */
static void write_key(struct head_writer *w, const struct request *r)
{
    for (unsigned i = 0; i < r->url_len; i++)
        if (r->url[i] < 0x20 || r->url[i] > 0x7e) /* it can't be said */
            return;
    w->len -= w->bad ? 0 : 2;
    head_text(w, "; key=\"");
    for (unsigned i = 0; i < r->url_len; i++) {
        if (r->url[i] == '"' || r->url[i] == '\\')
            head_text(w, "\\");
        head_write(w, &r->url[i], 1);
    }
    head_text(w, "\"\r\n");
}

static void write_time(struct head_writer *w, uint64_t us)
{
    head_printf(w, ";dur=%llu.%03u", (unsigned long long)us / 1000, (unsigned)(us % 1000));
}

/* Milliseconds, of what was waited for by this request itself. */
static void write_timing(struct head_writer *w, const struct request *r, const char *how,
                         const uint32_t *spent_us, struct now now)
{
    static const char *const name[] = {
        [SOURCE_INDEX] = "index", [SOURCE_PEER] = "peer", [SOURCE_ORIGIN] = "origin"};
    head_printf(w, "Server-Timing: cache;desc=%s", how);
    write_time(w, now.mono_us - r->started_us);
    for (unsigned i = SOURCE_INDEX; spent_us && i <= SOURCE_ORIGIN; i++)
        if (spent_us[i]) {
            head_printf(w, ", %s", name[i]);
            write_time(w, spent_us[i]);
        }
    head_text(w, "\r\n");
}

void forward_answer(struct head_writer *w, const struct request *r, const char *how,
                    const uint32_t *spent_us, struct now now)
{
    if (r->tells & PROXY_CACHE_KEY)
        write_key(w, r);
    if (r->tells & PROXY_SERVER_TIMING)
        write_timing(w, r, how, spent_us, now);
    if (r->tells & PROXY_REQUEST_ID)
        head_printf(w, "X-Request-ID: %s\r\n", r->id);
}

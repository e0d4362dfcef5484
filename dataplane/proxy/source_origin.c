/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetching from the origin: its name, its addresses, which of them are allowed, what it says. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

void url_split(const char *url, size_t len, struct url_parts *out)
{
    const char *host = url + 7; /* after "http://": normalised URLs begin so */
    const char *end = url + len, *slash = memchr(host, '/', (size_t)(end - host));
    if (!slash)
        slash = end;
    const char *colon = memchr(host, ':', (size_t)(slash - host));
    size_t n = (size_t)((colon ? colon : slash) - host);
    if (n > sizeof(out->host) - 1)
        n = sizeof(out->host) - 1;
    memcpy(out->host, host, n);
    out->host[n] = 0;
    out->port = 80;
    if (colon) {
        unsigned port = 0;
        for (const char *c = colon + 1; c < slash; c++)
            port = port * 10 + (unsigned)(*c - '0');
        out->port = (uint16_t)port;
    }
    out->path = slash;
    out->path_len = (size_t)(end - slash);
}

/* The conditions under which an old copy is still good, or the rest of a broken-off one. */
static void write_conditions(const struct fill *f, struct head_writer *w)
{
    size_t len;
    char range[64];
    struct head_writer rw = {range, 0, sizeof(range), false};
    const struct cache_object *o = f->object ? f->object : f->stale;
    bool ranged = slice_write_range(f, &rw);
    if (ranged)
        head_printf(w, "Range: %.*s\r\n", (int)rw.len, range);
    if (!o)
        return;
    const char *head = cache_head(o, &len);
    struct http_text etag = head_field(head, len, "ETag");
    struct http_text modified = head_field(head, len, "Last-Modified");
    if (f->object) {
        if (f->weakened)
            etag.p += 2, etag.len -= 2; /* W/ */
        /* If-Range (RFC 9110 13.1.5): the whole anew if it has changed */
        struct http_text v = head_strong(etag, modified, head_field(head, len, "Date"));
        if (ranged)
            head_printf(w, "If-Range: %.*s\r\n", (int)v.len, v.p);
        return;
    }
    if ((cache_meta(o)->status != 200 && cache_meta(o)->status != 206) ||
        cache_state(o) != CACHE_COMPLETE)
        return;
    if (etag.len)
        head_printf(w, "If-None-Match: %.*s\r\n", (int)etag.len, etag.p);
    if (modified.len)
        head_printf(w, "If-Modified-Since: %.*s\r\n", (int)modified.len, modified.p);
}

static bool origin_send(struct fill *f, const struct proxy_site *site, struct now now)
{
    struct proxy *p = f->proxy;
    char head[HTTP_URL_MAX + PROXY_REQUEST_HEAD + PROXY_FORWARD + CACHE_HEAD_MAX];
    struct head_writer w = {head, 0, sizeof(head), false};
    struct url_parts url;
    const struct request *r = f->pass ? f->streaming : NULL;
    bool to_head = r && r->head_only;

    url_split(f->url, f->url_len, &url);
    head_printf(&w, "%s %.*s HTTP/1.1\r\nHost: %s",
                f->once   ? r->method
                : to_head ? "HEAD"
                          : "GET",
                (int)url.path_len, url.path, url.host);
    head_printf(&w, url.port == 80 ? "\r\n" : ":%u\r\n", url.port);
    size_t fields = w.len;
    head_text(&w, "User-Agent: " PROXY_PRODUCT "/" CORAL_VERSION "\r\n");
    head_write(&w, f->forward, f->forward_len);
    if (r && r->resumed) {
        head_printf(&w, "Range: %.*s\r\nIf-Range: %.*s\r\n", r->range_len, r->range,
                    r->if_range_len, r->if_range);
    } else if (r) {
        request_write_fields(r, f, &w);
    } else {
        vary_write_fields(f, &w);
        vary_write_others(f, &w);
        write_conditions(f, &w);
    }
    /* behind those of who was on the way before (RFC 9110 7.6.3) */
    head_printf(&w, "Via: 1.%u %s (" PROXY_PRODUCT ")\r\n", r && r->old ? 0 : 1,
                p->config.node_name);
    if (f->once)
        upload_write_fields(r, &w);
    obey_origin(p, f->url, f->url_len, &w, fields);
    head_write(&w, "\r\n", 2);
    struct http_upstream to = {.tag = backend_tag(p, f->origin_name, f->port), .n = f->addresses};
    if (site)
        to.timeouts = site->timeouts;
    f->limit_ms =
        PROXY_MARGIN_MS + to.timeouts.connect_ms +
        (to.timeouts.first_byte_ms > to.timeouts.between_bytes_ms ? to.timeouts.first_byte_ms
                                                                  : to.timeouts.between_bytes_ms);
    for (unsigned i = 0; i < to.n; i++)
        to.at[i] = (struct endpoint){f->address[i], f->port};
    f->source = to.at[0];
    f->kind = SOURCE_ORIGIN;
    f->state = FILL_HEAD;
    f->path_len = 0;
    f->skip = 0;
    f->request_s = now.wall_s;
    f->progress_us = now.mono_us;
    counter_inc(&p->counters.proxy_origin_requests_total);
    f->x = w.bad ? NULL
                 : http_client_send(p->parts.client, &to, head, w.len,
                                    (to_head ? HTTP_SEND_HEAD : 0) | (f->once ? upload_how(r) : 0),
                                    &source_events, f, now);
    if (!f->x)
        return false;
    f->source = *http_exchange_remote(f->x);
    alarm_set(p, &f->alarm, now.mono_us + fill_origin_us(f));
    return true;
}

void origin_trouble(struct fill *f, enum access_reason why, struct now now)
{
    struct proxy *p = f->proxy;
    struct hash128 what = {.lo = backend_tag(p, f->origin_name, f->port), .hi = why};
    struct known *told = &p->trouble_known[((what.lo >> 32) + why) % PROXY_TROUBLE_KNOWN];
    struct url_parts url;
    bool served;

    f->reason = (uint8_t)why;
    if (!p->parts.log.origin || known_is(told, what, now))
        return;
    url_split(f->url, f->url_len, &url);
    if (!policy_site(p->policy, url.host, url.port, &served))
        return;
    known_note(told, what, now.mono_us + PROXY_TROUBLE_US);
    p->parts.log.origin(p->parts.log.ctx, url.host, f->origin_name, f->port, why, NULL);
}

static bool is_lost(const struct fill *f, const struct addr *a)
{
    return f->lost_family == (addr_is_v4(a) ? 4 : 6);
}

void origin_lost(struct fill *f, struct now now)
{
    if (f->lost_family)
        backend_failed(f, BACKEND_NO_CONNECTION, now);
}

static void on_resolved(void *ctx, enum resolver_result result, const struct addr *addresses,
                        unsigned n, struct now now)
{
    struct fill *f = ctx;
    f->resolve_ticket = 0;
    if (f->state != FILL_RESOLVE)
        return;
    if (result == RESOLVER_OK) {
        f->addresses = f->tried = 0;
        f->by_name = true;
        for (unsigned i = 0; i < n && f->addresses < RESOLVER_ADDRESSES; i++)
            if (!is_lost(f, &addresses[i]))
                f->address[f->addresses++] = addresses[i];
    } else {
        f->reason = ACCESS_NO_REASON;
        if (result != RESOLVER_BUSY)
            origin_trouble(f, result == RESOLVER_NONE ? ACCESS_NO_NAME : ACCESS_DNS, now);
        f->failure = result == RESOLVER_TIMEOUT ? 504 : result == RESOLVER_BUSY ? 503 : 502;
    }
    if (!f->addresses)
        origin_lost(f, now);
    f->find_origin = true;
    fill_agenda(f);
}

static void resolve(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    f->kind = SOURCE_ORIGIN;
    f->state = FILL_RESOLVE;
    alarm_set(p, &f->alarm, now.mono_us + PROXY_ORIGIN_US / 4);
    f->find_origin = false; /* true if it is known already */
    uint64_t ticket = resolver_resolve(p->parts.resolver, f->origin_name, on_resolved, f, now);
    if (!f->find_origin)
        f->resolve_ticket = ticket;
}

/* In open mode anybody names the origin: one address may hold a quarter of the fills. */
static bool is_crowded(const struct proxy *p, const struct addr *a)
{
    uint32_t n = 0;
    for (const struct fill *f = p->fill_busy; f; f = f->busy_next)
        n += f->x && f->kind == SOURCE_ORIGIN && addr_eq(&http_exchange_remote(f->x)->ip, a);
    return n > p->config.fills / 4;
}

/* Leaves the addresses that may be asked: policy allows them (DESIGN decision 11: checked after
 * resolution), they were not tried, and not too many fills are there already. */
static void addresses_choose(struct fill *f, const struct proxy_site *site, struct now now)
{
    struct proxy *p = f->proxy;
    unsigned n = 0;
    bool forbidden = false;
    for (unsigned i = 0; i < f->addresses; i++) {
        const struct addr *a = &f->address[i];
        if (f->tried >> i & 1)
            continue;
        if (!proxy_origin_allowed(p->policy, site, a)) {
            counter_inc(&p->counters.proxy_origin_forbidden_total);
            f->failure = 403;
            forbidden = true;
        } else if (!site && is_crowded(p, a)) {
            f->failure = 503;
            f->reason = ACCESS_NO_REASON;
        } else {
            f->address[n++] = *a;
        }
    }
    if (forbidden && n == 0 && f->failure == 403)
        origin_trouble(f, ACCESS_FORBIDDEN, now);
    f->addresses = (uint8_t)n;
    f->tried = 0;
}

/* Asks the addresses in hand: the first that stands (RFC 8305); or gives up, if that would be one
 * retry too many. False: there is none. */
static bool ask_addresses(struct fill *f, const char *host, const struct proxy_site *site,
                          struct now now)
{
    addresses_choose(f, site, now);
    if (!f->addresses)
        return false;
    if (!retry_allowed(f, host, now)) {
        fill_give_up(f, now);
        return true;
    }
    if (origin_send(f, site, now))
        return true;
    f->failure = 503; /* no exchange free, no way to any of them */
    f->reason = ACCESS_NO_REASON;
    f->addresses = 0;
    return false;
}

/* Weighted rendezvous hashing (Schindelhauer and Schomaker): the least of these has it, each origin
 * as often as its weight says, and who is not there moves nobody else's. A URL's origin is the same
 * on all nodes: what one says of a representation (ETag, what is a part of what) need not be true
 * of another's, and an origin that caches has each URL once. What is not for the cache has no such
 * reason, and may be one URL; it goes by chance. */
static double rank(const struct fill *f, const struct proxy_origin *o)
{
    uint64_t h = f->pass && !f->streaming->resumed
                     ? rng_u64(&f->proxy->rng)
                     : XXH3_64bits_withSeed(f->url, f->url_len,
                                            XXH3_64bits(o->host, strlen(o->host)) + o->port);
    return -log(((double)(h >> 11) + 0.5) * 0x1p-53) / o->weight;
}

/* Of the site's origins, or in open mode the host itself, the next one that was not in hand; -1:
 * there is none. */
static int origin_pick(const struct fill *f, const struct proxy_site *site, struct now now)
{
    int best = -1, in_order = -1;
    unsigned left_out = f->taken | (site ? health_down(f->proxy, site, now) : 0);
    double least = 0;
    for (unsigned i = site ? site->origins : 1; i-- > 0;) {
        if (left_out >> i & 1)
            continue;
        in_order = (int)i;
        if (!site || !site->origin[i].weight)
            continue;
        double r = rank(f, &site->origin[i]);
        if (best < 0 || r < least) {
            best = (int)i;
            least = r;
        }
    }
    return best >= 0 ? best : in_order;
}

static void origin_take(struct fill *f, const struct url_parts *url, const struct proxy_site *site,
                        unsigned i)
{
    f->taken |= (uint8_t)(1u << i);
    f->in_hand = (uint8_t)i;
    f->addresses = f->tried = f->lost_family = 0;
    f->by_name = false;
    if (!site) {
        memcpy(f->origin_name, url->host, sizeof(f->origin_name));
        f->port = url->port;
        f->addresses = addr_parse(url->host, &f->address[0]);
        return;
    }
    const struct proxy_origin *o = &site->origin[i];
    memcpy(f->origin_name, o->host, sizeof(f->origin_name));
    f->port = o->port;
    f->address[0] = o->address;
    f->addresses = o->is_address;
}

/* This worker's part of the connections that a site's origins may have; 0: any number. At least
 * one, or nobody would ever ask. */
static uint32_t share_of(const struct proxy *p, const struct proxy_site *site)
{
    uint32_t n = site ? site->connections : 0, workers = p->config.workers;
    uint32_t share = n / workers + (p->config.worker < n % workers);
    return n && !share ? 1 : share;
}

void origin_queue(struct fill *f, struct now now)
{
    uint64_t look_us = now.mono_us + PROXY_QUEUE_LOOK_US;
    f->state = FILL_QUEUE;
    alarm_set(f->proxy, &f->alarm, look_us < f->queue_until_us ? look_us : f->queue_until_us);
}

/* Why the origin in hand is none. */
static void refused(struct fill *f, enum backend_admission why)
{
    f->addresses = 0;
    if (why == BACKEND_UNWILLING) {
        f->unwilling |= (uint8_t)(1u << f->in_hand);
    } else if (why == BACKEND_FULL) {
        f->failure = 503;
    } else {
        counter_inc(&f->proxy->counters.proxy_origin_backoff_total);
        if (!f->reason)
            f->reason = ACCESS_BACKOFF;
    }
}

/* Takes the next origin that may be asked, now or, then f->queued, later. False: there is none. */
static bool next_origin(struct fill *f, const struct url_parts *url, const struct proxy_site *site,
                        struct now now)
{
    for (;;) {
        int i = origin_pick(f, site, now);
        if (i < 0 && f->unwilling && !f->last_resort) { /* rather one of these than none */
            f->last_resort = true;
            f->taken &= (uint8_t)~f->unwilling;
            continue;
        }
        if (i < 0)
            return false;
        origin_take(f, url, site, (unsigned)i);
        enum backend_admission may = backend_admit(f, share_of(f->proxy, site), now);
        if (may == BACKEND_ADMITTED || may == BACKEND_QUEUED)
            return true;
        refused(f, may);
    }
}

void origin_anew(struct fill *f)
{
    f->addresses = f->tried = f->taken = f->unwilling = 0;
    f->last_resort = false;
}

bool origin_deserted(const struct fill *f)
{
    if (f->streaming)
        return request_left(f->streaming);
    const struct request *r = f->object ? NULL : f->waiting;
    if (!r)
        return false;
    while (r && request_left(r))
        r = r->o.next;
    return !r;
}

/* Goes on with the origin: the next address of the one in hand, then the next one. One that was
 * released meanwhile is not taken again. */
void origin_start(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    struct url_parts url;
    bool served;
    url_split(f->url, f->url_len, &url);
    const struct proxy_site *site = policy_site(p->policy, url.host, url.port, &served);
    if (!served) { /* a reload took it away */
        f->failure = 403;
        fill_give_up(f, now);
        return;
    }
    if (f->state == FILL_QUEUE && origin_deserted(f)) { /* its turn is for who waits yet */
        fill_give_up(f, now);
        return;
    }
    f->kind = SOURCE_ORIGIN;
    forward_phase(f, SOURCE_ORIGIN, now);
    f->of_site = site != NULL;
    bool turn = f->state == FILL_QUEUE && f->backend; /* has come */
    if (!f->backend)
        f->addresses = 0;
    while (!f->queued && !ask_addresses(f, url.host, site, now)) {
        bool again = f->ask_again || turn;
        f->ask_again = turn = false;
        if (!again) {
            backend_release(f);
            if (!next_origin(f, &url, site, now)) {
                fill_give_up(f, now);
                return;
            }
        }
        if (!f->addresses && !f->queued) {
            resolve(f, now);
            return;
        }
    }
    if (f->queued)
        origin_queue(f, now);
}

void origin_answered(struct fill *f, struct http_exchange *x, const struct http_head *h,
                     struct now now)
{
    f->source = *http_exchange_remote(x);
    f->tried |= (uint8_t)http_exchange_tried(x); /* whatever it says: not this one again */
    f->reason = ACCESS_NO_REASON;
    f->backend->failed.status = h->status;
    if (h->status >= 502 && h->status <= 504) /* a 500 is the page's own matter */
        backend_failed(f, BACKEND_BAD_ANSWER, now);
    else
        backend_ok(f, now);
    alarm_set(f->proxy, &f->alarm, f->progress_us + fill_origin_us(f));
}

/* All that the resolver knew is of one family and does not connect: the answer for the other may
 * have come since (it was waited for 50 ms only, RFC 8305 3). */
static bool other_family_may_help(struct fill *f)
{
    bool v4 = false, v6 = false;
    for (unsigned i = 0; i < f->addresses; i++)
        *(addr_is_v4(&f->address[i]) ? &v4 : &v6) = true;
    if (!f->by_name || f->lost_family || v4 == v6)
        return false;
    f->lost_family = v4 ? 4 : 6;
    return true;
}

enum access_reason origin_reason(const struct http_exchange *x, enum http_failure why)
{
    switch (why) {
    case HTTP_FAIL_CONNECT:
        return http_exchange_refused(x) ? ACCESS_REFUSED : ACCESS_CONNECT;
    case HTTP_FAIL_EARLY:
        return ACCESS_CLOSED;
    case HTTP_FAIL_MALFORMED:
        return ACCESS_NONSENSE;
    case HTTP_FAIL_TRUNCATED:
        return ACCESS_BROKE_OFF;
    case HTTP_FAIL_TIMEOUT:
        break;
    }
    return ACCESS_TIMEOUT;
}

void origin_failed(struct fill *f, const struct http_exchange *x, enum http_failure why,
                   struct now now)
{
    struct proxy *p = f->proxy;
    unsigned status = why == HTTP_FAIL_TIMEOUT ? 504 : 502;
    counter_inc(&p->counters.proxy_origin_failures_total);
    origin_trouble(f, origin_reason(x, why), now);
    if (f->state == FILL_BODY) {
        source_failed(f, status, now);
        return;
    }
    /* no head: the next address; our own want of room says nothing of the origin */
    unsigned all = (1u << f->addresses) - 1;
    bool none_left = (f->tried & all) == all && !http_exchange_local(x);
    f->failure = (uint16_t)status;
    if (f->once && why != HTTP_FAIL_CONNECT) { /* it may have had an effect */
        backend_failed(f, BACKEND_NO_ANSWER, now);
        f->broken = true;
        fill_agenda(f);
        return;
    }
    if (why == HTTP_FAIL_CONNECT && none_left && other_family_may_help(f))
        f->ask_again = true;
    else if (why != HTTP_FAIL_CONNECT)
        backend_failed(f, BACKEND_NO_ANSWER, now);
    else if (none_left)
        backend_failed(f, BACKEND_NO_CONNECTION, now);
    f->find_origin = true;
    fill_agenda(f);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Origins that are asked how they are, whether anybody wants something of them or not: of sites
 * that have health.path, each by one worker of the node, by a GET on a connection of its own, past
 * the cache. Answers with 2xx and 3xx are good. `fall` bad ones in a row and it is down, `rise`
 * good ones and it is up.
 *
 * One that is down is not asked while another one of its site is up. If all are, they are treated
 * as if none were: then it is the probes that are wrong, or there is nothing to lose.
 *
 * One worker probes, so that an origin hears of a node once an interval, and finds out as soon as
 * with one worker. It tells all others each time that it finds one down. What they know ends by
 * itself a little later, so a message that found no room, or an end of the probing, needs no
 * care: at worst an origin is asked that is down, for which the breaker is there.
 */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* Of PROXY_HEALTH. */
struct health_note {
    uint64_t configuration; /* which `site` is of */
    uint32_t site;
    uint32_t for_ms; /* it counts for so long; 0: it is up again */
    uint8_t origin;
};
static_assert(sizeof(struct health_note) <= MESSAGE_BODY, "a note fits a message");

static struct hash128 name_of(const struct proxy *p, const struct proxy_site *site, unsigned origin)
{
    struct hash128 h = hash128(&p->secret, site->host, strlen(site->host));
    h.lo ^= backend_tag(p, site->origin[origin].host, site->origin[origin].port);
    return h;
}

static struct known *place_of(struct proxy *p, struct hash128 name)
{
    return &p->down_known[name.lo % PROXY_DOWN_KNOWN];
}

unsigned health_bits(struct proxy *p, const struct proxy_site *site, struct now now)
{
    unsigned down = 0;
    if (!*site->health.path)
        return 0;
    for (unsigned i = 0; i < site->origins; i++) {
        struct hash128 name = name_of(p, site, i);
        down |= (unsigned)known_is(place_of(p, name), name, now) << i;
    }
    return down;
}

unsigned health_down(struct proxy *p, const struct proxy_site *site, struct now now)
{
    unsigned down = health_bits(p, site, now), all = (1u << site->origins) - 1;
    return down == all ? 0 : down;
}

void health_told(struct proxy *p, const struct message *m, struct now now)
{
    struct health_note n;
    memcpy(&n, m->body, sizeof(n));
    if (!p->sites || n.configuration != p->configuration || n.site >= p->policy->sites)
        return;
    const struct proxy_site *site = &p->sites[n.site];
    if (n.origin >= site->origins)
        return;
    struct hash128 name = name_of(p, site, n.origin);
    struct known *k = place_of(p, name);
    if (n.for_ms) {
        known_note(k, name, now.mono_us + n.for_ms * 1000ull);
        return;
    }
    if (known_is(k, name, now))
        known_note(k, name, 0);
    backend_recovered(p, site->origin[n.origin].host, site->origin[n.origin].port);
}

static const struct proxy_site *site_of(const struct health *h)
{
    return &h->proxy->sites[h->site];
}

static void tell(struct health *h, bool changed, struct now now)
{
    struct proxy *p = h->proxy;
    const struct proxy_site *site = site_of(h);
    const struct proxy_origin *o = &site->origin[h->origin];
    struct message m = {.type = PROXY_HEALTH, .from = (uint16_t)p->config.worker};
    uint32_t for_ms = 3 * (site->health.interval_ms + site->health.timeout_ms);
    struct health_note n = {p->configuration, h->site, h->down ? for_ms : 0, h->origin};
    memcpy(m.body, &n, sizeof(n));
    for (unsigned w = 0; w < p->config.workers; w++)
        if (w == p->config.worker)
            health_told(p, &m, now);
        else
            p->parts.out.post(p->parts.out.ctx, w, &m);
    if (changed && p->parts.log.origin)
        p->parts.log.origin(p->parts.log.ctx, site->host, o->host, o->port,
                            h->down ? ACCESS_DOWN : ACCESS_UP, &h->found);
}

/* Each time a little earlier or later, so that nodes do not ask in step. */
static void again(struct health *h, struct now now)
{
    uint32_t ms = site_of(h)->health.interval_ms;
    alarm_set(h->proxy, &h->alarm,
              now.mono_us + (ms - ms / 10 + rng_below(&h->proxy->rng, ms / 5 + 1)) * 1000ull);
}

/* `why`, where there was no answer. */
static void found(struct health *h, bool good, enum access_reason why, struct now now)
{
    struct proxy *p = h->proxy;
    const struct proxy_health *c = &site_of(h)->health;
    h->found.why = (uint8_t)why;
    h->found.ms = why == ACCESS_TIMEOUT ? c->timeout_ms
                                        : (uint32_t)((now.mono_us - h->asked_us + 999) / 1000);
    if (!good) {
        h->bad = h->found;
        counter_inc(&p->counters.proxy_health_bad_total);
    }
    h->streak = good == h->down ? h->streak + 1 : 0;
    bool changed = h->streak >= (h->down ? c->rise : c->fall);
    if (changed) {
        h->down = !h->down;
        h->streak = 0;
        counter_add(&p->counters.proxy_health_down, h->down ? 1 : (uint64_t)-1);
    }
    if (h->down || changed)
        tell(h, changed, now);
    again(h, now);
}

/* --- the exchange ------------------------------------------------------------------------- */

static bool on_head(void *user, struct http_exchange *x, const struct http_head *head,
                    struct now now)
{
    struct health *h = user;
    (void)x, (void)now;
    h->good = head->status < 400;
    h->found.status = head->status;
    return true;
}

static size_t on_body(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                      struct now now)
{
    (void)user, (void)x, (void)data, (void)now;
    return len;
}

static void on_done(void *user, struct http_exchange *x, struct now now)
{
    struct health *h = user;
    (void)x;
    h->x = NULL;
    found(h, h->good, ACCESS_NO_REASON, now);
}

static void on_failed(void *user, struct http_exchange *x, enum http_failure why, struct now now)
{
    struct health *h = user;
    enum access_reason reason = origin_reason(x, why);
    h->x = NULL;
    found(h, false, reason, now);
}

static const struct http_exchange_events health_events = {
    .head = on_head, .body = on_body, .done = on_done, .failed = on_failed};

/* As any request for that path, by the operator's rules, too: an origin may want a field that they
 * set. */
static void write_probe(struct proxy *p, const struct proxy_site *site, struct head_writer *w)
{
    char url[HTTP_URL_MAX];
    struct http_text host = {site->host, (uint32_t)strlen(site->host)};
    struct http_text path = {site->health.path, (uint32_t)strlen(site->health.path)};
    size_t n = http_url_write(host, 0, path, url, sizeof(url));
    head_printf(w, "GET %s HTTP/1.1\r\nHost: %s\r\n", site->health.path, site->host);
    size_t fields = w->len;
    head_text(w, "User-Agent: " PROXY_PRODUCT "/" CORAL_VERSION "\r\nConnection: close\r\n");
    obey_origin(p, url, n, w, fields);
    head_text(w, "\r\n");
}

/* `none`: why there is no address. */
static void ask(struct health *h, const struct addr *address, unsigned n, enum access_reason none,
                struct now now)
{
    struct proxy *p = h->proxy;
    const struct proxy_site *site = site_of(h);
    struct http_upstream to = {.timeouts = site->timeouts};
    char head[PROXY_REQUEST_HEAD + CACHE_HEAD_MAX];
    struct head_writer w = {head, 0, sizeof(head), false};
    for (unsigned i = 0; i < n && to.n < HTTP_UPSTREAM_ADDRESSES; i++)
        if (proxy_origin_allowed(p->policy, site, &address[i]))
            to.at[to.n++] = (struct endpoint){address[i], site->origin[h->origin].port};
    if (to.n == 0) {
        found(h, false, n ? ACCESS_FORBIDDEN : none, now);
        return;
    }
    write_probe(p, site, &w);
    counter_inc(&p->counters.proxy_health_probes_total);
    h->good = false;
    h->x = w.bad ? NULL
                 : http_client_send(p->parts.client, &to, head, w.len, HTTP_SEND_ONCE,
                                    &health_events, h, now);
    if (!h->x) /* no exchange free, or no room for what is set: nothing was found out */
        again(h, now);
}

static void on_resolved(void *ctx, enum resolver_result result, const struct addr *address,
                        unsigned n, struct now now)
{
    struct health *h = ctx;
    h->ticket = 0;
    h->resolving = false;
    if (result == RESOLVER_BUSY)
        again(h, now);
    else
        ask(h, address, result == RESOLVER_OK ? n : 0,
            result == RESOLVER_NONE ? ACCESS_NO_NAME : ACCESS_DNS, now);
}

static void stop(struct health *h)
{
    struct proxy *p = h->proxy;
    if (h->x)
        http_exchange_abort(h->x);
    if (h->ticket)
        resolver_cancel(p->parts.resolver, h->ticket);
    h->x = NULL;
    h->ticket = 0;
    h->resolving = false;
}

void health_timer(struct health *h, struct now now)
{
    struct proxy *p = h->proxy;
    const struct proxy_site *site = site_of(h);
    const struct proxy_origin *o = &site->origin[h->origin];
    if (h->x || h->resolving) { /* all of it took too long */
        stop(h);
        found(h, false, ACCESS_TIMEOUT, now);
        return;
    }
    h->asked_us = now.mono_us;
    h->found = (struct proxy_found){0};
    alarm_set(p, &h->alarm, now.mono_us + site->health.timeout_ms * 1000ull);
    if (o->is_address) {
        ask(h, &o->address, 1, ACCESS_NO_NAME, now);
        return;
    }
    h->resolving = true;
    uint64_t ticket = resolver_resolve(p->parts.resolver, o->host, on_resolved, h, now);
    if (h->resolving)
        h->ticket = ticket;
}

/* --- whom this worker asks ---------------------------------------------------------------- */

/* Of all workers the same one, by any of them. */
static bool is_ours(const struct proxy *p, const struct proxy_site *site, unsigned origin)
{
    uint64_t h = XXH3_64bits_withSeed(site->host, strlen(site->host), origin);
    return h % p->config.workers == p->config.worker;
}

static void begin(struct proxy *p, const struct proxy_site *site, unsigned origin)
{
    struct health *h = &p->health[p->healths++];
    struct hash128 name = name_of(p, site, origin);
    *h = (struct health){.proxy = p,
                         .alarm.kind = ALARM_HEALTH,
                         .site = (uint32_t)(site - p->sites),
                         .origin = (uint8_t)origin,
                         .down = known_is(place_of(p, name), name, p->now)};
    counter_add(&p->counters.proxy_health_down, h->down);
    alarm_set(p, &h->alarm,
              p->now.mono_us + rng_below(&p->rng, site->health.interval_ms + 1) * 1000ull);
}

void health_view(struct proxy *p)
{
    for (uint32_t i = 0; i < p->healths; i++) {
        stop(&p->health[i]);
        alarm_stop(p, &p->health[i].alarm);
    }
    p->healths = 0;
    counter_set(&p->counters.proxy_health_down, 0);
    for (unsigned s = 0; p->policy && s < p->policy->sites; s++) {
        const struct proxy_site *site = &p->policy->site[s];
        for (unsigned i = 0; i < site->origins && *site->health.path; i++)
            if (is_ours(p, site, i) && p->healths < PROXY_HEALTHS)
                begin(p, site, i);
    }
}

void health_show(const struct proxy *p, const struct proxy_site *site, unsigned origin,
                 struct proxy_origin_info *out)
{
    for (uint32_t i = 0; i < p->healths; i++) {
        const struct health *h = &p->health[i];
        if (h->site != (uint32_t)(site - p->sites) || h->origin != origin)
            continue;
        out->asks = true;
        out->found = h->bad;
    }
}

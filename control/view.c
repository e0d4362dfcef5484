/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/view.h"

#include <stdlib.h>

#include "dht/closer.h"

/* --- the zone ------------------------------------------------------------------------------ */

static void member_add(struct dns_zone *z, const struct dht_contact *c)
{
    char id[2 * DHT_ID_BYTES + 1];
    struct dns_member *m = &z->member[z->members++];

    m->v4 = c->v4;
    m->v6 = c->v6;
    dht_id_text(&c->id, id);
    snprintf(m->label, sizeof(m->label), "%.8s", id);
}

static bool is_served_by(const struct dht_contact *c, uint16_t http_port)
{
    return (c->services & DHT_SERVICE_HTTP) && c->http_port == http_port &&
           (!addr_is_zero(&c->v4) || !addr_is_zero(&c->v6));
}

struct dns_zone *view_zone(const struct config *c, const struct dht_routes *routes, bool self,
                           uint32_t serial)
{
    if (!*c->zone || !c->dns_enabled)
        return NULL;
    struct dns_zone *z = dns_zone_new(c->zone, routes->n + 1);
    if (!z)
        return NULL;
    z->serial = serial;
    z->soa_ttl_s = z->ns_ttl_s = (uint32_t)(c->ns_ttl_ms / 1000);
    z->proxy_ttl_s = (uint32_t)(c->proxy_ttl_ms / 1000);
    z->negative_ttl_s = (uint32_t)(c->negative_ttl_ms / 1000);
    z->members = 0;
    if (self)
        member_add(z, &routes->self);
    for (uint32_t i = 0; i < routes->n; i++)
        if (routes->route[i].live &&
            is_served_by(dht_route_contact(routes, i), routes->self.http_port))
            member_add(z, dht_route_contact(routes, i));
    dns_zone_finish(z);
    return z;
}

bool view_zone_same(const struct dns_zone *a, const struct dns_zone *b)
{
    if (!a || !b)
        return a == b;
    if (a->members != b->members || a->proxy_ttl_s != b->proxy_ttl_s ||
        a->ns_ttl_s != b->ns_ttl_s || a->soa_ttl_s != b->soa_ttl_s ||
        a->negative_ttl_s != b->negative_ttl_s)
        return false;
    for (uint32_t i = 0; i < a->members; i++)
        if (!addr_eq(&a->member[i].v4, &b->member[i].v4) ||
            !addr_eq(&a->member[i].v6, &b->member[i].v6) ||
            strcmp(a->member[i].label, b->member[i].label) != 0)
            return false;
    return true;
}

/* --- the policy ---------------------------------------------------------------------------- */

static void tells_fill(struct proxy_site *to, const struct config_site *from)
{
    static const uint8_t address[] = {[CONFIG_ADDRESS_X_FORWARDED_FOR] = PROXY_X_FORWARDED_FOR,
                                      [CONFIG_ADDRESS_FORWARDED] = PROXY_FORWARDED};
    to->tells = address[from->client_address];
    to->tells |= from->request_id ? PROXY_REQUEST_ID : 0;
    to->tells |= from->server_timing ? PROXY_SERVER_TIMING : 0;
    to->tells |= from->cache_status_key ? PROXY_CACHE_KEY : 0;
    to->trusted = from->trusted_proxies.n;
    for (unsigned i = 0; i < to->trusted; i++)
        to->trusted_prefix[i] = (struct proxy_prefix){from->trusted_proxies.item[i].ip,
                                                      from->trusted_proxies.item[i].bits};
}

static struct proxy_fair fair_of(const struct config_fair *from)
{
    static const uint8_t over[] = {
        [CONFIG_OVER_REDIRECT] = PROXY_OVER_REDIRECT, [CONFIG_OVER_REFUSE] = PROXY_OVER_REFUSE};
    return (struct proxy_fair){from->bytes, (uint32_t)from->requests, over[from->over]};
}

/* Where a site's visitors find it without us: not at itself, which may be us. */
static void home_fill(struct proxy_site *to, const struct config_site *from)
{
    const struct config_origin *o = *from->home.host ? &from->home : &from->origin.item[0];
    bool here = strcmp(o->host, from->host) == 0 || (o->is_address && addr_is_special(&o->address));
    const char *form = o->is_address && !addr_is_v4(&o->address) ? "[%s]" : "%s";
    int n = o == &from->home || !here ? snprintf(to->home, sizeof(to->home), form, o->host) : 0;

    if (n && o->port != 80)
        snprintf(to->home + n, sizeof(to->home) - (size_t)n, ":%u", o->port);
}

static void site_fill(struct proxy_site *to, const struct config_site *from)
{
    memcpy(to->host, from->host, sizeof(to->host));
    to->ttl_override_s = from->ttl_override_s;
    to->origins = from->origin.n;
    to->connections = (uint32_t)from->origin_connections;
    static_assert(CONFIG_HEALTHS == PROXY_HEALTHS, "checked there, so that all are asked");
    to->health = (struct proxy_health){.interval_ms = (uint32_t)from->health_interval_ms,
                                       .timeout_ms = (uint32_t)from->health_timeout_ms,
                                       .fall = (uint8_t)from->health_fall,
                                       .rise = (uint8_t)from->health_rise};
    memcpy(to->health.path, from->health_path, sizeof(to->health.path));
    to->timeouts = (struct http_timeouts){.connect_ms = (uint32_t)from->connect_ms,
                                          .first_byte_ms = (uint32_t)from->first_byte_ms,
                                          .between_bytes_ms = (uint32_t)from->between_bytes_ms};
    to->allow = from->allow.n;
    for (unsigned i = 0; i < from->allow.n; i++)
        to->allow_prefix[i] =
            (struct proxy_prefix){from->allow.item[i].ip, from->allow.item[i].bits};
    static_assert(sizeof(to->compress_type) == sizeof(from->compress.item), "the same list");
    to->compress = from->compress.n;
    memcpy(to->compress_type, from->compress.item, sizeof(to->compress_type));
    tells_fill(to, from);
    to->fair = fair_of(&from->fair);
    home_fill(to, from);
    to->allow_special = true;
    bool in_order = true;
    for (unsigned i = 0; i < from->origin.n; i++)
        in_order &= !from->origin.item[i].weight && !from->origin.item[i].backup;
    for (unsigned i = 0; i < from->origin.n; i++) {
        const struct config_origin *o = &from->origin.item[i];
        struct proxy_origin *p = &to->origin[i];
        memcpy(p->host, o->host, sizeof(p->host));
        p->is_address = o->is_address;
        p->address = o->address;
        p->port = o->port;
        p->weight = in_order || o->backup ? 0 : o->weight ? o->weight : 1;
        to->allow_special = to->allow_special && o->is_address;
    }
    /* beside a name, an address that the site lists is allowed by itself: the name must not
     * gain by it */
    for (unsigned i = 0; i < from->origin.n && !to->allow_special; i++) {
        const struct config_origin *o = &from->origin.item[i];
        if (o->is_address && to->allow < sizeof(to->allow_prefix) / sizeof(to->allow_prefix[0]))
            to->allow_prefix[to->allow++] =
                (struct proxy_prefix){o->address, addr_is_v4(&o->address) ? 32 : 128};
    }
}

struct deny_report {
    struct report *report;
    const struct config_file *file;
};

static void deny_wrong(void *ctx, unsigned line, const char *pattern, const char *why)
{
    struct deny_report *d = ctx;
    report_add(d->report, d->file->place, "open.deny_file", "%s: deny list line %u: \"%s\": %s",
               d->file->path, line, pattern, why);
}

static bool deny_fill(struct proxy_policy *p, const struct config *c, struct report *report)
{
    char why[512];

    if (!c->deny_file.text)
        return true;
    p->deny = proxy_deny_compile(c->deny_file.text, c->deny_file.len, why, sizeof(why));
    struct deny_report d = {report, &c->deny_file};
    if (!p->deny && !proxy_deny_check(c->deny_file.text, c->deny_file.len, deny_wrong, &d))
        report_add(report, c->deny_file.place, "open.deny_file", "%s: %s", c->deny_file.path, why);
    return p->deny != NULL;
}

void view_deny_check(const struct config *c, struct report *report)
{
    struct deny_report d = {report, &c->deny_file};
    if (c->deny_file.text)
        proxy_deny_check(c->deny_file.text, c->deny_file.len, deny_wrong, &d);
}

struct proxy_policy *view_policy(const struct config *c, struct report *report)
{
    struct proxy_policy *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    memcpy(p->zone, c->zone, sizeof(p->zone));
    p->open = c->open;
    p->open_default_lifetime_s = (uint32_t)(c->open_default_ms / 1000);
    p->open_min_lifetime_s = (uint32_t)(c->open_min_ms / 1000);
    p->stale_s = (uint32_t)(c->stale_ms / 1000);
    p->shed_us = (uint32_t)c->shed_ms * 1000;
    p->open_fair = fair_of(&c->open_fair);
    p->metered = p->open && (p->open_fair.bytes_s || p->open_fair.requests_s);
    p->short_ttl_ms = (uint32_t)c->short_ttl_ms;
    p->long_ttl_ms = (uint32_t)c->long_ttl_ms;
    p->allow = c->allow_origins.n;
    for (unsigned i = 0; i < p->allow; i++)
        p->allow_prefix[i] =
            (struct proxy_prefix){c->allow_origins.item[i].ip, c->allow_origins.item[i].bits};
    for (unsigned i = 0; i < c->ports; i++)
        for (unsigned j = 0; j < c->port[i].address.n; j++)
            if (p->own < sizeof(p->own_address) / sizeof(p->own_address[0]))
                p->own_address[p->own++] = c->port[i].address.item[j].ip;
    p->site = calloc(c->sites ? c->sites : 1, sizeof(*p->site));
    if (!p->site || !deny_fill(p, c, report)) {
        view_policy_free(p);
        return NULL;
    }
    p->sites = c->sites;
    for (unsigned i = 0; i < c->sites; i++)
        site_fill(&p->site[i], &c->site[i]);
    for (unsigned i = 0; i < p->sites; i++)
        p->metered |= p->site[i].fair.bytes_s || p->site[i].fair.requests_s;
    return p;
}

void view_policy_free_but_rules(struct proxy_policy *p)
{
    if (!p)
        return;
    if (p->deny)
        proxy_deny_free(p->deny);
    free(p->site);
    free(p);
}

void view_policy_free(struct proxy_policy *p)
{
    if (p)
        rules_free((struct rules_set *)(uintptr_t)p->rules);
    view_policy_free_but_rules(p);
}

/* --- membership ---------------------------------------------------------------------------- */

struct dht_contact view_self(const struct config *c)
{
    struct dht_contact self = {.http_port = (uint16_t)c->http_port, .services = DHT_SERVICE_HTTP};

    for (unsigned i = 0; i < c->ports; i++)
        for (unsigned j = 0; j < c->port[i].address.n; j++) {
            const struct addr *a = &c->port[i].address.item[j].ip;
            struct addr *mine = addr_is_v4(a) ? &self.v4 : &self.v6;
            if (addr_is_zero(mine))
                *mine = *a;
        }
    self.rpc.ip = c->port[0].address.item[0].ip;
    self.rpc.port = (uint16_t)c->dht_port;
    self.id = dht_node_id(&self.rpc);
    if (*c->zone && c->dns_enabled)
        self.services |= DHT_SERVICE_DNS;
    return self;
}

static bool is_live_in(const struct dht_routes *r, const struct dht_id *id)
{
    uint32_t at = r ? routes_find(r, id) : 0;
    return r && at < r->n && r->route[at].live;
}

/* Those of `a` that live and do not in `b`. */
static void diff(const struct dht_routes *a, const struct dht_routes *b, bool live,
                 view_changed *changed, void *ctx)
{
    for (uint32_t i = 0; a && i < a->n; i++) {
        const struct dht_contact *node = dht_route_contact(a, i);
        if (a->route[i].live && !is_live_in(b, &node->id))
            changed(ctx, node, a->route[i].rtt_us, live);
    }
}

void view_routes_diff(const struct dht_routes *before, const struct dht_routes *after,
                      view_changed *changed, void *ctx)
{
    diff(before, after, false, changed, ctx);
    diff(after, before, true, changed, ctx);
}

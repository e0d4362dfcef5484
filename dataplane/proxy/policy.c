/* SPDX-License-Identifier: BSD-3-Clause */
/* Which hosts are served, and which addresses an origin may have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

const struct proxy_site *proxy_site_find(const struct proxy_policy *p, const char *host)
{
    unsigned lo = 0, hi = p->sites;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        int d = strcmp(host, p->site[mid].host);
        if (d == 0)
            return &p->site[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

bool proxy_origin_allowed(const struct proxy_policy *p, const struct proxy_site *site,
                          const struct addr *a)
{
    /* ourselves: never, whoever asks for it: a request would come back to us */
    for (unsigned i = 0; i < p->own; i++)
        if (addr_eq(&p->own_address[i], a))
            return false;
    if (!addr_is_special(a))
        return true;
    if (site && site->allow_special)
        return true;
    const struct proxy_prefix *allow = site ? site->allow_prefix : p->allow_prefix;
    unsigned n = site ? site->allow : p->allow;
    for (unsigned i = 0; i < n; i++)
        if (addr_in_prefix(a, &allow[i].net, allow[i].bits))
            return true;
    return false;
}

/* A host name that may stand in a URL of ours: LDH labels and '_' (lower case already). */
static bool host_valid(const char *host)
{
    size_t label = 0, n = 0;
    for (const char *c = host; *c; c++, n++) {
        if (*c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_') ||
            ++label > 63)
            return false;
    }
    return label > 0 && n <= 253;
}

/* `host` is `zone` itself, or ends with "." and it: the length before that, -1 when neither. */
static int below_zone(const char *host, const char *zone)
{
    size_t h = strlen(host), z = strlen(zone);
    if (z == 0 || h < z || strcmp(host + h - z, zone) != 0)
        return -1;
    if (h == z)
        return 0;
    return host[h - z - 1] == '.' ? (int)(h - z - 1) : -1;
}

/* Cuts ".PORT" off "host.PORT". An address (four numbers) keeps its last one. */
static bool cut_port(char *host, uint16_t *port)
{
    struct addr a;
    char *dot = strrchr(host, '.');
    if (addr_parse(host, &a) || !dot || strspn(dot + 1, "0123456789") != strlen(dot + 1))
        return true;
    unsigned long n = strtoul(dot + 1, NULL, 10);
    if (strlen(dot + 1) > 5 || n == 0 || n > 65535)
        return false;
    *port = (uint16_t)n;
    *dot = 0;
    return true;
}

static void refuse(struct policy_route *out, unsigned status, const char *why)
{
    out->status = status;
    out->why = why;
}

const struct proxy_site *policy_site(const struct proxy_policy *policy, const char *host,
                                     uint16_t port, bool *served)
{
    /* a site is its host at the usual port; another port is another server */
    const struct proxy_site *site = port == 80 ? proxy_site_find(policy, host) : NULL;
    *served = site || policy->open;
    return site;
}

void policy_host(const struct proxy_policy *policy, struct http_text authority,
                 struct policy_route *out)
{
    uint16_t ours; /* the port in Host is this service's, not the origin's */
    char host[256];
    if (!http_authority(authority, host, &ours))
        host[0] = 0;
    policy_name(policy, host, out);
}

static void find_route(const struct proxy_policy *policy, const char *host,
                       struct policy_route *out)
{
    out->status = 0;
    out->why = "";
    out->site = NULL;
    out->port = 80;
    memcpy(out->host, host, strlen(host) + 1);
    if (!*host) {
        refuse(out, 400, "the request names no valid host");
        return;
    }

    int below = below_zone(out->host, policy->zone);
    if (below < 0) { /* not Coralized: a site's own name, or nothing of ours */
        out->site = proxy_site_find(policy, out->host);
        if (!out->site)
            refuse(out, 421, "this host is not served here");
        return;
    }
    if (below == 0) {
        refuse(out, 404, "this is the zone itself; ask for host.zone");
        return;
    }
    out->host[below] = 0;
    bool served;
    if (below_zone(out->host, policy->zone) >= 0)
        refuse(out, 403, "the origin would be inside our own zone");
    else if (!cut_port(out->host, &out->port) || !host_valid(out->host))
        refuse(out, 400, "the name before the zone is no host");
    else if (below_zone(out->host, policy->zone) >= 0)
        refuse(out, 403, "the origin would be inside our own zone");
    else if (out->site = policy_site(policy, out->host, out->port, &served), !served)
        refuse(out, 403, "only configured sites are served here");
}

void policy_name(const struct proxy_policy *policy, const char *host, struct policy_route *out)
{
    find_route(policy, host, out);
    out->host_len = (uint16_t)strlen(out->host);
}

void policy_recall(struct proxy *p, const struct http_head *h, struct policy_route *out)
{
    struct http_text asked = h->authority;
    if (asked.len == 0 || asked.len > ROUTE_TEXT) {
        policy_name(p->policy, h->host, out);
        return;
    }
    struct route_memo *m = &p->route[hash64(&p->secret, asked.p, asked.len) % PROXY_ROUTES];
    if (m->asked_len == asked.len && memcmp(m->asked, asked.p, asked.len) == 0) {
        out->status = 0;
        out->why = "";
        out->site = m->site;
        out->port = m->port;
        out->host_len = m->host_len;
        memcpy(out->host, m->host, ROUTE_TEXT);
        return;
    }
    policy_name(p->policy, h->host, out);
    if (out->status || out->host_len >= ROUTE_TEXT)
        return;
    *m = (struct route_memo){.site = out->site,
                             .port = out->port,
                             .asked_len = (uint8_t)asked.len,
                             .host_len = (uint8_t)out->host_len};
    memcpy(m->asked, asked.p, asked.len);
    memcpy(m->host, out->host, out->host_len);
}

size_t proxy_url(const struct proxy_policy *policy, const char *url, size_t len, char *out,
                 size_t room)
{
    static const char scheme[] = "http://";
    struct policy_route route;
    size_t skip = sizeof(scheme) - 1;
    if (len <= skip || strncasecmp(url, scheme, skip) != 0)
        return 0;
    struct http_text authority = {url + skip, 0};
    while (skip + authority.len < len && !strchr("/?#", authority.p[authority.len]))
        authority.len++;
    struct http_text path = {authority.p + authority.len, (uint32_t)(len - skip - authority.len)};
    if (path.len == 0 || *path.p != '/')
        path = (struct http_text){"/", 1};

    char host[256];
    uint16_t port;
    policy_host(policy, authority, &route);
    bool other = policy->open && route.site && http_authority(authority, host, &port) && port &&
                 port != 80 && below_zone(host, policy->zone) < 0;
    if (route.status == 421 || other) { /* the URL as it stands in the cache: the origin's own */
        if (!http_authority(authority, host, &port))
            return 0;
        memcpy(route.host, host, sizeof(host));
        route.port = port ? port : 80;
    } else if (route.status) {
        return 0;
    }
    return http_url_normalise((struct http_text){route.host, (uint32_t)strlen(route.host)},
                              route.port, path, out, room);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Fair shares' host: what workers and other nodes say goes to fair.c, what it says into the view
 * and our pings; the answer to `shares`. */
#include <stdlib.h>

#include "control/control.h"
#include "control/fair.h"
#include "control/log.h"

#define SHOWN    64u
#define AFTER_US 1000000u /* a tick comes so long after the workers have told */

bool shares_start(struct control *c)
{
    c->fair = fair_create();
    return c->fair != NULL;
}

void shares_stop(struct control *c)
{
    fair_destroy(c->fair);
    c->fair = NULL;
}

/* Workers tell at each multiple of the tick. */
static uint64_t next_tick_us(uint64_t now_us)
{
    return (now_us - AFTER_US) / FAIR_TICK_US * FAIR_TICK_US + FAIR_TICK_US + AFTER_US;
}

void shares_used(struct control *c, const struct proxy_usage *u, uint64_t now_us)
{
    fair_used(c->fair, u);
    if (!c->fair_us)
        c->fair_us = next_tick_us(now_us);
}

void shares_heard(struct control *c, const struct node_heard *h, struct now now)
{
    if (h->tidings.has_usage)
        fair_heard(c->fair, &h->who.contact.id, h->tidings.usage, h->tidings.n_usage, now);
}

void shares_tell(const struct control *c, struct dht_ping *ping)
{
    ping->has_usage = c->view->policy->metered;
    ping->n_usage = ping->has_usage ? fair_tell(c->fair, ping->usage) : 0;
}

static uint64_t nodes(const struct control *c)
{
    const struct dht_routes *r = c->view->routes;
    uint64_t known = r->n + 1, estimate = index_size(r->level[0].is.size);
    return known > estimate ? known : estimate;
}

static uint32_t admitted(const struct proxy_shares *s, uint64_t site)
{
    for (unsigned i = 0; s && i < s->n; i++)
        if (s->share[i].site == site)
            return s->share[i].admitted;
    return PROXY_ALL;
}

/* Who has come over his share, or is within it again. */
static void tell(const struct control *c)
{
    const struct fair_site *s;
    unsigned heard, n = fair_sites(c->fair, &s, &heard);
    for (; n > 0; n--, s++) {
        bool over = s->admitted < PROXY_ALL;
        if (over == (admitted(c->view->shares, s->site) < PROXY_ALL))
            continue;
        if (over)
            log_warning("site %s is over its share of the network: requests_s=%.1f of %u, "
                        "bytes_s=%.0f of %llu; clients served: %.1f %%",
                        s->name, s->all_requests, s->fair.requests_s, s->all_bytes,
                        (unsigned long long)s->fair.bytes_s, 100.0 * s->admitted / PROXY_ALL);
        else
            log_info("site %s is within its share of the network again", s->name);
    }
}

static bool same(const struct proxy_shares *a, const struct proxy_shares *b)
{
    if (!a || !b || a->n != b->n)
        return !a && !b;
    for (unsigned i = 0; i < a->n; i++)
        if (a->share[i].site != b->share[i].site || a->share[i].admitted != b->share[i].admitted)
            return false;
    return true;
}

void shares_poll(struct control *c, struct now now)
{
    bool ok;
    if (!c->fair_us || now.mono_us < c->fair_us)
        return;
    fair_tick(c->fair, c->view->policy, nodes(c), now);
    const struct proxy_shares *before = c->view->shares;
    struct proxy_shares *after = fair_shares(c->fair, &ok);
    if (ok && !same(before, after)) {
        tell(c);
        if (!control_publish_shares(c, after))
            free(after); /* the next tick tries again */
    } else {
        free(after);
    }
    const struct fair_site *site;
    unsigned heard;
    c->fair_us = fair_sites(c->fair, &site, &heard) ? next_tick_us(now.mono_us) : 0;
}

uint64_t shares_deadline_us(const struct control *c)
{
    return c->fair_us ? c->fair_us : UINT64_MAX;
}

static json_t *site_json(const struct fair_site *s)
{
    return json_pack("{s:s%, s:f, s:f, s:f, s:f, s:I, s:I, s:f}", "site", s->name,
                     strnlen(s->name, sizeof(s->name)), "requests_s", s->requests, "bytes_s",
                     s->bytes, "network_requests_s", s->all_requests, "network_bytes_s",
                     s->all_bytes, "share_requests_s", (json_int_t)s->fair.requests_s,
                     "share_bytes_s", (json_int_t)s->fair.bytes_s, "served",
                     (double)s->admitted / PROXY_ALL);
}

json_t *shares_json(const struct control *c)
{
    const struct fair_site *s;
    unsigned heard, n = fair_sites(c->fair, &s, &heard);
    json_t *all = json_array();
    for (unsigned i = 0; i < n && i < SHOWN; i++)
        json_array_append_new(all, site_json(&s[i]));
    return json_pack("{s:b, s:b, s:I, s:I, s:I, s:o}", "ok", 1, "metered", c->view->policy->metered,
                     "nodes", (json_int_t)nodes(c), "heard", (json_int_t)heard, "matched",
                     (json_int_t)n, "sites", all);
}

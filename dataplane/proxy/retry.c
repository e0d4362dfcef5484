/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often a fill may ask an origin once more: for another address of it, for the next origin, for
 * the rest of what broke off. When all origins of a site fail, each of its fills would ask all
 * of them, so that what is overloaded gets a multiple of what it could not take. So a site's
 * further tries are at most a fifth of its first ones of the last ten seconds, and ten more, for
 * sites with little to do; beyond that the failure is given at once. By worker; hosts that
 * share a place share what it has.
 */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* Of a window that slides: this one's, and what is left of the one before. */
static uint64_t recent(const uint32_t n[2], uint64_t into_us)
{
    return n[0] + n[1] * (PROXY_RETRY_US - into_us) / PROXY_RETRY_US;
}

static void slide(struct retries *r, uint64_t window)
{
    if (r->window == window)
        return;
    bool next = r->window + 1 == window;
    r->first[1] = next ? r->first[0] : 0;
    r->again[1] = next ? r->again[0] : 0;
    r->first[0] = r->again[0] = 0;
    r->window = window;
}

bool retry_allowed(struct fill *f, const char *host, struct now now)
{
    struct proxy *p = f->proxy;
    struct retries *r = &p->retries[hash64(&p->secret, host, strlen(host)) % PROXY_RETRIES];
    uint64_t into_us = now.mono_us % PROXY_RETRY_US;
    slide(r, now.mono_us / PROXY_RETRY_US);
    if (!f->asked) {
        f->asked = true;
        r->first[0]++;
        return true;
    }
    if (recent(r->again, into_us) >= recent(r->first, into_us) / 5 + PROXY_RETRY_LEAST) {
        counter_inc(&p->counters.proxy_origin_retries_refused_total);
        return false;
    }
    r->again[0]++;
    counter_inc(&p->counters.proxy_origin_retries_total);
    return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/fair.h"

#include <stdlib.h>
#include <string.h>

#define NEWEST      0.5  /* how much the last tick counts for: half of a change is seen at once */
#define FORGOTTEN_S 0.01 /* requests a second of a site that is not used any more */
#define REQUEST_B   4096 /* what a request weighs beside its bytes */

struct fair {
    struct usage *others;
    uint64_t tick_us; /* the last one; 0: none */
    unsigned heard, n;
    struct fair_site site[FAIR_SITES];
};

struct fair *fair_create(void)
{
    struct fair *f = calloc(1, sizeof(*f));
    if (f && !(f->others = usage_create())) {
        free(f);
        return NULL;
    }
    return f;
}

void fair_destroy(struct fair *f)
{
    if (f)
        usage_destroy(f->others);
    free(f);
}

static double weight(const struct fair_site *s)
{
    return s->bytes + s->requests * REQUEST_B + (double)s->new_bytes +
           (double)s->new_requests * REQUEST_B;
}

void fair_used(struct fair *f, const struct proxy_usage *u)
{
    struct fair_site *s = f->site, *least = f->site;
    for (; s < f->site + f->n && s->site != u->site; s++)
        if (weight(s) < weight(least))
            least = s;
    if (s == f->site + f->n) {
        if (f->n < FAIR_SITES)
            f->n++;
        else if (weight(least) < (double)u->bytes + (double)u->requests * REQUEST_B)
            s = least;
        else
            return;
        *s = (struct fair_site){.site = u->site, .admitted = PROXY_ALL};
        memcpy(s->name, u->name, sizeof(s->name));
    }
    s->new_bytes += u->bytes;
    s->new_requests += u->requests;
    s->new_refused += u->refused;
}

void fair_heard(struct fair *f, const struct dht_id *who, const struct dht_usage *site, unsigned n,
                struct now now)
{
    usage_heard(f->others, who, site, n, now);
}

/* What was asked for: those refused would have had as much as those served. */
static void measure(struct fair_site *s, double seconds)
{
    uint64_t served = s->new_requests - s->new_refused;
    if (served) {
        double size = (double)s->new_bytes / (double)served;
        s->size += s->size > 0 ? (size - s->size) * NEWEST : size;
    }
    double requests = (double)s->new_requests / seconds;
    s->requests += (requests - s->requests) * NEWEST;
    s->bytes += (requests * s->size - s->bytes) * NEWEST;
    s->new_bytes = s->new_requests = s->new_refused = 0;
}

static double within(double part, double share, double all)
{
    return share > 0 && all * part > share ? share / all : part;
}

static void judge(struct fair *f, struct fair_site *s, const struct proxy_policy *policy,
                  uint64_t nodes, struct now now)
{
    const struct proxy_site *site = proxy_site_find(policy, s->name);
    struct usage_total t = usage_others(f->others, s->site, nodes, now);
    s->fair = site ? site->fair : policy->open_fair;
    s->all_bytes = s->bytes + t.kib * 1024 / 60;
    s->all_requests = s->requests + t.requests / 60;
    f->heard = t.heard;
    double part = within(1, (double)s->fair.bytes_s, s->all_bytes);
    part = within(part, s->fair.requests_s, s->all_requests);
    s->admitted = (uint32_t)(part * PROXY_ALL);
    if (s->admitted < FAIR_LEAST)
        s->admitted = FAIR_LEAST;
}

static int by_weight(const void *a, const void *b)
{
    double x = weight(a), y = weight(b);
    return x < y ? 1 : x > y ? -1 : 0;
}

void fair_tick(struct fair *f, const struct proxy_policy *policy, uint64_t nodes, struct now now)
{
    double seconds = (double)(f->tick_us ? now.mono_us - f->tick_us : FAIR_TICK_US) / 1e6;
    unsigned kept = 0;
    f->tick_us = now.mono_us;
    for (unsigned i = 0; i < f->n && seconds > 0; i++) {
        struct fair_site *s = &f->site[i];
        measure(s, seconds);
        judge(f, s, policy, nodes, now);
        if (s->requests >= FORGOTTEN_S)
            f->site[kept++] = *s;
    }
    if (seconds > 0)
        f->n = kept;
    qsort(f->site, f->n, sizeof(*f->site), by_weight);
}

static uint32_t minute(double a_second)
{
    double n = a_second * 60 + 0.5;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

unsigned fair_tell(const struct fair *f, struct dht_usage out[static DHT_USAGE])
{
    unsigned n = f->n < DHT_USAGE ? f->n : DHT_USAGE;
    for (unsigned i = 0; i < n; i++)
        out[i] = (struct dht_usage){f->site[i].site, minute(f->site[i].bytes / 1024),
                                    minute(f->site[i].requests)};
    return n;
}

static int by_site(const void *a, const void *b)
{
    const struct proxy_share *x = a, *y = b;
    return x->site < y->site ? -1 : x->site > y->site;
}

struct proxy_shares *fair_shares(const struct fair *f, bool *ok)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->n; i++)
        n += f->site[i].admitted < PROXY_ALL;
    *ok = true;
    if (n == 0)
        return NULL;
    struct proxy_shares *s = malloc(sizeof(*s) + n * sizeof(s->share[0]));
    *ok = s != NULL;
    if (!s)
        return NULL;
    s->n = 0;
    for (unsigned i = 0; i < f->n; i++)
        if (f->site[i].admitted < PROXY_ALL)
            s->share[s->n++] = (struct proxy_share){f->site[i].site, f->site[i].admitted};
    qsort(s->share, s->n, sizeof(s->share[0]), by_site);
    return s;
}

unsigned fair_sites(const struct fair *f, const struct fair_site **first, unsigned *heard)
{
    *first = f->site;
    *heard = f->heard;
    return f->n;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Origins that just failed to connect are not asked again at once (CORAL.md 4). Direct-mapped by a
 * keyed hash: two origins that share a place forget each other, which costs a try.
 */
#include <string.h>
#include <strings.h>

#include "dataplane/proxy/proxy_internal.h"

uint64_t negative_tag(const struct proxy *p, const char *host, uint16_t port)
{
    uint64_t h = hash64(&p->secret, host, strlen(host)) ^ (uint64_t)port * 0x9e3779b97f4a7c15ull;
    return h | 1; /* 0 is an empty place */
}

static struct negative_entry *entry(struct proxy *p, const char *host, uint16_t port, uint64_t *tag)
{
    *tag = negative_tag(p, host, port);
    return &p->negative[(*tag >> 32) % PROXY_NEGATIVE];
}

bool negative_blocked(struct proxy *p, const char *host, uint16_t port, struct now now)
{
    uint64_t tag;
    const struct negative_entry *e = entry(p, host, port, &tag);
    return e->tag == tag && now.mono_us < e->until_us;
}

/* Each failure after a pause doubles the pause; failures of requests that ran side by side count
 * as one. */
void negative_failed(struct proxy *p, const char *host, uint16_t port, struct now now)
{
    uint64_t tag;
    struct negative_entry *e = entry(p, host, port, &tag);
    if (e->tag == tag && now.mono_us < e->until_us)
        return;
    if (e->tag != tag) {
        e->tag = tag;
        e->step_us = PROXY_BACKOFF_FIRST_US;
    } else if (e->step_us < PROXY_BACKOFF_LAST_US) {
        e->step_us =
            e->step_us * 2 < PROXY_BACKOFF_LAST_US ? e->step_us * 2 : PROXY_BACKOFF_LAST_US;
    }
    e->until_us = now.mono_us + e->step_us;
}

void negative_ok(struct proxy *p, const char *host, uint16_t port)
{
    uint64_t tag;
    struct negative_entry *e = entry(p, host, port, &tag);
    if (e->tag == tag)
        memset(e, 0, sizeof(*e));
}

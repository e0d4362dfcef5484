/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this worker knows of an origin: HOST and port, whatever sites have it, however many
 * addresses the name has. Above all whether it is asked: a circuit breaker.
 *
 *            it cannot be connected to, or
 *            fails PROXY_BREAKER_FAILURES times in a row         its time is over, a fill comes
 *   CLOSED ----------------------------------------> OPEN -----------------------------> HALF-OPEN
 *     ^ ^                                            | ^                                   |   |
 *     | +--- an answer to what was asked before -----+ +-- it fails; open twice as long ---+   |
 *     +--------------------------- it answers -------------------------------------------------+
 *
 * While it is open it is refused at once. Half-open it is refused, too, but for the one fill that
 * goes to find out; if that one ends without having found out (its client left, another source was
 * faster), the next fill goes. So however many want it, an origin that is down has one request an
 * open time, and one that comes back is found by one. Failures of fills that ran side by side count
 * as one, since an open breaker listens to its probe alone. Open times have jitter, half of each,
 * or all workers and nodes would come back together.
 *
 * Who answers, if badly, is left for another origin alone: where a site has no other (that is not
 * open, too), its 503 is better than ours.
 */
#include <assert.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

uint64_t backend_tag(const struct proxy *p, const char *host, uint16_t port)
{
    uint64_t h = hash64(&p->secret, host, strlen(host)) ^ (uint64_t)port * 0x9e3779b97f4a7c15ull;
    return h | 1; /* 0: of none */
}

/* --- the table ---------------------------------------------------------------------------- */

static struct backend **bucket_of(struct proxy *p, uint64_t tag)
{
    return &p->backend_table[(tag >> 32) & p->backend_mask];
}

static void unlink_backend(struct proxy *p, const struct backend *b)
{
    struct backend **at = bucket_of(p, b->tag);
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
}

/* One that no fill has in hand, of the next 16 one that nothing is to be known of. A fill has one
 * in hand at most and there are twice as many, so there is one. */
static struct backend *least_worth(struct proxy *p)
{
    struct backend *idle = NULL;
    for (uint32_t i = 0; i < p->backends && !(idle && i >= 16); i++) {
        struct backend *b = &p->backend_pool[p->backend_hand++ % p->backends];
        if (b->in_flight)
            continue;
        if (b->state == BREAKER_CLOSED && b->failures == 0)
            return b;
        idle = b;
    }
    return idle;
}

static struct backend *backend_of(struct proxy *p, uint64_t tag, struct now now)
{
    struct backend **bucket = bucket_of(p, tag), *b = *bucket;
    while (b && b->tag != tag)
        b = b->next;
    if (b)
        return b;
    b = least_worth(p);
    assert(b);
    if (b->tag)
        unlink_backend(p, b);
    *b = (struct backend){.next = *bucket, .tag = tag, .since_us = now.mono_us};
    *bucket = b;
    return b;
}

/* --- the breaker -------------------------------------------------------------------------- */

static void move(struct backend *b, enum breaker_state to, struct now now)
{
    b->state = (uint8_t)to;
    b->since_us = now.mono_us;
    b->failures = 0;
}

static void trip(struct fill *f, bool answers, struct now now)
{
    struct proxy *p = f->proxy;
    struct backend *b = f->backend;
    uint64_t limit_us = f->of_site ? PROXY_OPEN_SITE_US : PROXY_OPEN_LAST_US;
    uint64_t next_us = b->open_us ? 2 * b->open_us : PROXY_OPEN_FIRST_US;
    b->open_us = next_us < limit_us ? next_us : limit_us;
    b->until_us = now.mono_us + b->open_us / 2 + rng_below(&p->rng, (uint32_t)(b->open_us / 2));
    b->answers = answers;
    move(b, BREAKER_OPEN, now);
    f->probe = false;
    counter_inc(&p->counters.proxy_origin_opened_total);
}

enum backend_admission backend_admit(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    struct backend *b = backend_of(p, backend_tag(p, f->origin_name, f->port), now);
    bool refused =
        b->state == BREAKER_HALF_OPEN || (b->state == BREAKER_OPEN && now.mono_us < b->until_us);
    assert(!f->backend);
    if (refused && !(b->answers && f->last_resort))
        return b->answers ? BACKEND_UNWILLING : BACKEND_REFUSED;
    if (b->state == BREAKER_OPEN && !refused) {
        move(b, BREAKER_HALF_OPEN, now);
        f->probe = true;
        counter_inc(&p->counters.proxy_origin_probes_total);
    }
    b->in_flight++;
    f->backend = b;
    return BACKEND_ADMITTED;
}

void backend_release(struct fill *f)
{
    struct backend *b = f->backend;
    if (!b)
        return;
    b->in_flight--;
    if (f->probe) { /* it has not found out */
        b->state = BREAKER_OPEN;
        b->until_us = 0;
    }
    f->backend = NULL;
    f->probe = false;
}

void backend_ok(struct fill *f, struct now now)
{
    struct backend *b = f->backend;
    b->failures = 0;
    b->open_us = 0;
    if (b->state != BREAKER_CLOSED)
        move(b, BREAKER_CLOSED, now);
    f->probe = false;
}

void backend_failed(struct fill *f, enum backend_failure why, struct now now)
{
    struct backend *b = f->backend;
    bool enough = why == BACKEND_NO_CONNECTION ||
                  (b->state == BREAKER_CLOSED && ++b->failures >= PROXY_BREAKER_FAILURES);
    if (f->probe || (b->state == BREAKER_CLOSED && enough))
        trip(f, why == BACKEND_BAD_ANSWER, now);
}

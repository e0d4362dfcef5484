/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this worker knows of an origin: HOST and port, whatever sites have it, however many
 * addresses the name has. In open mode, where anybody may name a site's origin, it is another one,
 * with its own failures and in no queue. Above all whether it is asked: a circuit breaker.
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
 * Where a site says how many connections an origin may have in use, fills beyond that wait, first
 * come, first served: who releases one hands it to the first who waits. Of several sites' numbers
 * the least counts. When the breaker opens all who wait are judged anew.
 *
 * Who can be connected to is left for another origin alone: where a site has no other (that is not
 * open, too), its 503 is better than ours, and its silence may be one page's, which anybody may ask
 * for five times.
 */
#include <assert.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

uint64_t backend_tag(const struct proxy *p, const char *host, uint16_t port)
{
    uint64_t h = hash64(&p->secret, host, strlen(host)) ^ (uint64_t)port * 0x9e3779b97f4a7c15ull;
    return h | 1; /* 0: of none */
}

/* What the table has it under: whether it is a site's is in the last bit but one. */
static uint64_t key_of(const struct proxy *p, const char *host, uint16_t port, bool of_site)
{
    return (backend_tag(p, host, port) & ~2ull) | (uint64_t)of_site << 1;
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
        if (b->in_flight || b->waiting)
            continue;
        if (b->state == PROXY_CLOSED && b->failures == 0)
            return b;
        idle = b;
    }
    return idle;
}

/* Of sites' that are left alone, or tried by one. */
static void count_open(struct proxy *p, const struct backend *b, enum proxy_breaker to)
{
    bool was = b->state != PROXY_CLOSED, is = to != PROXY_CLOSED;
    if (b->tag & 2 && was != is)
        counter_add(&p->counters.proxy_origins_open, is ? 1 : (uint64_t)-1);
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
    count_open(p, b, PROXY_CLOSED);
    *b = (struct backend){.next = *bucket, .tag = tag, .since_us = now.mono_us};
    b->wait_tail = &b->wait_first;
    *bucket = b;
    return b;
}

/* --- the breaker -------------------------------------------------------------------------- */

static void move(struct proxy *p, struct backend *b, enum proxy_breaker to, struct now now)
{
    count_open(p, b, to);
    b->state = (uint8_t)to;
    b->since_us = now.mono_us;
    b->failures = 0;
    b->probe = NULL;
}

static struct fill *queue_take(struct backend *b)
{
    struct fill *f = b->wait_first;
    b->wait_first = f->wait_next;
    if (!b->wait_first)
        b->wait_tail = &b->wait_first;
    b->waiting--;
    f->queued = false;
    f->find_origin = true;
    fill_agenda(f);
    return f;
}

static void queue_leave(struct fill *f)
{
    struct backend *b = f->backend;
    struct fill **at = &b->wait_first;
    while (*at != f)
        at = &(*at)->wait_next;
    *at = f->wait_next;
    if (!f->wait_next)
        b->wait_tail = at;
    b->waiting--;
    f->queued = false;
}

static bool queue_join(struct fill *f, struct backend *b, struct now now)
{
    struct proxy *p = f->proxy;
    if (now.mono_us >= f->queue_until_us) { /* it has waited for another */
        counter_inc(&p->counters.proxy_origin_queue_timeouts_total);
        return false;
    }
    if (b->waiting >= p->config.fills / 4) { /* one origin may not have all fills */
        counter_inc(&p->counters.proxy_origin_queue_full_total);
        return false;
    }
    counter_inc(&p->counters.proxy_origin_queued_total);
    f->queued = true;
    f->backend = b;
    f->wait_next = NULL;
    *b->wait_tail = f;
    b->wait_tail = &f->wait_next;
    b->waiting++;
    return true;
}

/* `limit` of a site that has it; what sites said before a reload counts no more. */
static void limit_note(struct backend *b, uint32_t limit, uint64_t configuration)
{
    if (b->configuration != configuration)
        b->limit = 0;
    b->configuration = configuration;
    if (limit && (!b->limit || limit < b->limit))
        b->limit = limit;
}

static bool is_full(const struct backend *b)
{
    return b->limit && b->in_flight >= b->limit;
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
    move(p, b, PROXY_OPEN, now);
    counter_inc(&p->counters.proxy_origin_opened_total);
    while (b->wait_first) {
        struct fill *next = queue_take(b);
        next->backend = NULL;
        next->taken &= (uint8_t) ~(1u << next->in_hand);
    }
}

enum backend_admission backend_admit(struct fill *f, uint32_t limit, struct now now)
{
    struct proxy *p = f->proxy;
    struct backend *b = backend_of(p, key_of(p, f->origin_name, f->port, f->of_site), now);
    bool due = b->state == PROXY_OPEN && now.mono_us >= b->until_us;
    bool refused = b->state != PROXY_CLOSED && !due;
    assert(!f->backend);
    if (refused && !(b->answers && f->last_resort))
        return b->answers ? BACKEND_UNWILLING : BACKEND_REFUSED;
    limit_note(b, limit, p->configuration);
    if (is_full(b) && due && !b->answers) /* what waited would find out nothing */
        return BACKEND_REFUSED;
    if (is_full(b))
        return queue_join(f, b, now) ? BACKEND_QUEUED : BACKEND_FULL;
    if (due) {
        move(p, b, PROXY_HALF_OPEN, now);
        b->probe = f;
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
    if (f->queued) {
        queue_leave(f);
        f->backend = NULL;
        return;
    }
    b->in_flight--;
    if (b->probe == f) { /* it has not found out */
        b->state = PROXY_OPEN;
        b->until_us = 0;
        b->probe = NULL;
    }
    f->backend = NULL;
    while (b->wait_first && !is_full(b)) {
        queue_take(b)->backend = b;
        b->in_flight++;
    }
}

/* A site's. */
static struct backend *backend_find(const struct proxy *p, const char *host, uint16_t port)
{
    uint64_t tag = key_of(p, host, port, true);
    struct backend *b = p->backend_table[(tag >> 32) & p->backend_mask];
    while (b && b->tag != tag)
        b = b->next;
    return b;
}

void backend_recovered(struct proxy *p, const char *host, uint16_t port)
{
    struct backend *b = backend_find(p, host, port);
    if (b && b->state == PROXY_OPEN)
        b->until_us = 0;
}

void backend_show(const struct proxy *p, struct proxy_origin_info *out, struct now now)
{
    const struct backend *b = backend_find(p, out->host, out->port);
    if (!b)
        return;
    out->breaker = b->state;
    out->since_us = now.mono_us - b->since_us + 1;
    out->retry_us =
        b->state == PROXY_OPEN && b->until_us > now.mono_us ? b->until_us - now.mono_us : 0;
    out->failures = b->failures;
    out->failed = b->failed;
    out->in_flight = b->in_flight;
    out->waiting = b->waiting;
}

void backend_ok(struct fill *f, struct now now)
{
    struct backend *b = f->backend;
    b->failures = 0;
    b->open_us = 0;
    if (b->state != PROXY_CLOSED)
        move(f->proxy, b, PROXY_CLOSED, now);
}

void backend_failed(struct fill *f, enum backend_failure why, struct now now)
{
    struct backend *b = f->backend;
    b->failed.why = why == BACKEND_BAD_ANSWER ? ACCESS_NO_REASON : f->reason;
    bool enough = why == BACKEND_NO_CONNECTION ||
                  (b->state == PROXY_CLOSED && ++b->failures >= PROXY_BREAKER_FAILURES);
    if (b->probe == f || (b->state == PROXY_CLOSED && enough))
        trip(f, why != BACKEND_NO_CONNECTION, now);
}

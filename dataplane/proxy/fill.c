/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fills in flight at the owner: one a key, however many requests wait.
 *
 *   GET -> (candidates?) -> HEAD(peer) -> BODY -> ENDED
 *      |        \-> (none of use: once) AGAIN -> HEAD(peer or origin)
 *      \-> PUT -> (older ones?) -> HEAD(peer)
 *                     \-> RESOLVE -> HEAD(origin) -> BODY -> ENDED
 *   a source that dies: back to PUT, then HEAD with `Range: bytes=N-`
 *   of a slice (slice.c): every HEAD has a Range; GET by URL, then by slice, where nothing is known
 */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* By rules, since it began; by those for tags only when its head has come and tells of its own. */
static bool fill_overtaken(struct fill *f)
{
    return f->purged || cache_purged_since(f->proxy->cache, f->url, f->url_len, f->object,
                                           f->born) != CACHE_PURGE_NOT;
}

/* What came of somebody's credentials is for others when it is known that it may be, and as long as
 * they need not ask the origin for that (RFC 9111 3.5: by the requirements of what permits it). */
static bool is_anothers(const struct fill *f)
{
    return f->authorized && (!f->object || f->share_only || !cache_fresh(f->object, f->proxy->now));
}

struct fill *fill_find(struct proxy *p, struct request *r)
{
    struct http_text key = request_key(r);
    struct fill *f = p->fill_table[r->chain & p->fill_mask];
    for (; f; f = f->next) {
        struct http_text mine = fill_key(f);
        if (!f->purged && !is_anothers(f) && f->hash.lo == r->hash.lo && f->hash.hi == r->hash.hi &&
            mine.len == key.len && memcmp(mine.p, key.p, key.len) == 0)
            break;
    }
    if (!f || !fill_overtaken(f)) {
        r->o.doubts = f && !f->object && cache_tags_purged_since(p->cache, f->born);
        return f;
    }
    fill_purge(f, p->now);
    return NULL; /* of those that are not purged there is one a key */
}

void fill_purge(struct fill *f, struct now now)
{
    f->purged = true;
    index_withdraw(f, now);
}

const struct cache_object *fill_lookup(const struct fill *f)
{
    struct http_text key = fill_key(f);
    return cache_lookup_owner(f->proxy->cache, f->hash, key.p, key.len);
}

static void table_insert(struct proxy *p, struct fill *f)
{
    struct fill **slot = &p->fill_table[f->chain & p->fill_mask];
    f->next = *slot;
    *slot = f;
    f->tabled = true;
}

static void table_remove(struct proxy *p, struct fill *f)
{
    if (!f->tabled)
        return;
    struct fill **at = &p->fill_table[f->chain & p->fill_mask];
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->tabled = false;
}

struct fill *fill_new(struct proxy *p, const struct request *r, const struct cache_vary *vary,
                      struct now now)
{
    struct fill *f = p->fill_free;
    if (f)
        p->fill_free = f->next;
    else if (p->fills_used < p->config.fills)
        f = &p->fill_pool[p->fills_used++];
    else
        return NULL;
    uint32_t gen = f->gen;
    memset(f, 0, offsetof(struct fill, variant));
    f->gen = gen;
    f->proxy = p;
    f->pass = vary == NULL;
    f->authorized = r->authorized;
    f->to_origin = r->to_origin || r->authorized ||
                   proxy_dropped(p, r->chain, now); /* peers may have it still */
    f->hash = r->hash;
    f->chain = r->chain;
    f->length = -1;
    f->failure = 502;
    f->alarm.kind = ALARM_FILL;
    f->renew.kind = ALARM_RENEW;
    f->progress_us = f->phase_us = now.mono_us;
    f->queue_until_us = now.mono_us + PROXY_QUEUE_US;
    f->url_len = r->url_len;
    memcpy(f->url, r->url, r->url_len);
    forward_begin(f, r);

    f->busy_next = p->fill_busy;
    f->busy_prev = &p->fill_busy;
    if (p->fill_busy)
        p->fill_busy->busy_prev = &f->busy_next;
    p->fill_busy = f;

    if (vary) {
        f->key = dht_key(f->url, f->url_len);
        f->born = cache_purge_clock(p->cache);
        vary_begin(f, r, vary);
        table_insert(p, f);
        f->stale = request_may_have(r, fill_lookup(f));
        if (f->stale)
            cache_pin(f->stale, p->config.worker);
        slice_begin(f, r);
    }
    counter_inc(&p->counters.proxy_fills_total);
    counter_add(&p->counters.proxy_fills, 1);
    return f;
}

/* --- those who wait ------------------------------------------------------- */

void fill_answer(struct fill *f, struct request *r, uint16_t type, uint32_t tag)
{
    struct proxy_note n = {.fill = f};
    if (type == PROXY_READY) {
        n.object = f->object;
        n.source = f->path_len ? SOURCE_PEER : SOURCE_ORIGIN;
        n.collapsed = r->o.joined;
        n.stale = f->old_copy;
        n.refreshed = f->refreshed;
        if (!r->o.joined)
            memcpy(r->o.spent_us, f->spent_us, sizeof(r->o.spent_us));
        f->unacked++;
    } else if (type == PROXY_FAILED && !r->o.joined) {
        forward_spent(f, r->o.spent_us);
    } else if (type == PROXY_RELEASE) {
        n.collapsed = tag != 0;
    }
    want_answer(f->proxy, r, type, tag, n);
}

/* A peer is told what the fill hangs on, and refused where that would tie a knot. */
static void answer_ready(struct fill *f, struct request *r)
{
    if (r->o.doubts && fill_overtaken(f)) { /* it came when a tag of this one was purged already */
        fill_answer(f, r, PROXY_AGAIN, 0);
        return;
    }
    if (r->peer) {
        if (f->old_copy) {
            fill_answer(f, r, PROXY_FAILED, 504);
            return;
        }
        if (f->path_len >= DHT_PATH_MAX ||
            peer_on_path(f->path, f->path_len, &r->peer_field.node)) {
            fill_answer(f, r, PROXY_FAILED, 508);
            return;
        }
        r->o.path_len = f->path_len;
        memcpy(r->o.path, f->path, sizeof(f->path));
    }
    fill_answer(f, r, PROXY_READY, 0);
}

static struct request *take_waiting(struct fill *f)
{
    struct request *r = f->waiting;
    f->waiting = r->o.next;
    return r;
}

void fill_ready_all(struct fill *f)
{
    while (f->waiting)
        answer_ready(f, take_waiting(f));
}

void fill_fail_all(struct fill *f, unsigned status)
{
    while (f->waiting) {
        struct request *r = take_waiting(f);
        fill_answer(f, r, PROXY_FAILED, r->peer ? 504 : PROXY_FAILED_TAG(status, f->reason));
    }
}

void fill_release_all(struct fill *f, bool remember)
{
    while (f->waiting) {
        struct request *r = take_waiting(f);
        if (r->peer)
            fill_answer(f, r, PROXY_FAILED, 504);
        else
            fill_answer(f, r, PROXY_RELEASE, remember);
    }
}

void fill_join(struct fill *f, struct request *r, struct now now)
{
    if (f->streaming) {
        fill_answer(f, r, r->peer ? PROXY_FAILED : PROXY_RELEASE,
                    r->peer ? 504 : pass_known(f->proxy, fill_known(f), now));
    } else if (f->object && (!r->peer || f->state == FILL_BODY)) {
        answer_ready(f, r); /* a peer must know the path: not while we look for a source */
    } else if (r->peer && peer_would_knot(f, &r->peer_field.node)) {
        fill_answer(f, r, PROXY_FAILED, 508);
    } else {
        r->o.next = f->waiting;
        f->waiting = r;
    }
}

/* --- each poll ------------------------------------------------------------ */

void fill_agenda(struct fill *f)
{
    struct proxy *p = f->proxy;
    if (f->on_agenda)
        return;
    f->on_agenda = true;
    f->agenda_next = p->agenda;
    p->agenda = f;
}

/* Gives an ended fill back when nobody needs it any more. */
static void fill_settle(struct fill *f)
{
    struct proxy *p = f->proxy;
    if (f->state != FILL_ENDED || f->unacked || f->notify || f->on_agenda)
        return;
    if (f->object)
        cache_unpin(f->object, p->config.worker);
    if (f->stale)
        cache_unpin(f->stale, p->config.worker);
    f->object = NULL;
    f->stale = NULL;
    *f->busy_prev = f->busy_next;
    if (f->busy_next)
        f->busy_next->busy_prev = f->busy_prev;
    f->gen++;
    f->state = FILL_FREE;
    f->next = p->fill_free;
    p->fill_free = f;
    counter_add(&p->counters.proxy_fills, (uint64_t)-1);
}

void fill_got(struct fill *f)
{
    f->unacked--;
    fill_settle(f);
}

/* At most one message a poll to each worker that waits; where a ring is full, again next poll. */
void fill_notify(struct fill *f)
{
    struct proxy *p = f->proxy;
    for (unsigned w = 0; f->notify && w < p->config.workers; w++) {
        uint32_t bit = 1u << w;
        if (!(f->notify & bit))
            continue;
        if (w == p->config.worker) {
            struct grip *g = grip_find(p, f->object);
            if (g)
                grip_progress(p, g, p->now);
        } else {
            struct message m = {.type = PROXY_PROGRESS, .from = (uint16_t)p->config.worker};
            struct proxy_note n = {.object = f->object};
            memcpy(m.body, &n, sizeof(n));
            if (!p->parts.out.post(p->parts.out.ctx, w, &m)) {
                counter_inc(&p->counters.proxy_messages_kept_total);
                continue;
            }
        }
        f->notify &= ~bit;
    }
    if (f->notify)
        fill_agenda(f);
}

void fill_step(struct fill *f, struct now now)
{
    if (f->state != FILL_ENDED && f->out_of_memory) {
        f->out_of_memory = false;
        counter_inc(&f->proxy->counters.proxy_fills_starved_total);
        pass_note(f->proxy, fill_known(f), now); /* next time it goes past the cache */
        fill_give_up(f, now);
    }
    if (f->state != FILL_ENDED && f->broken)
        fill_give_up(f, now);
    if (f->state != FILL_ENDED && f->find_next) {
        f->find_next = false;
        source_next(f, now);
    }
    if (f->state != FILL_ENDED && f->find_origin) {
        f->find_origin = false;
        origin_start(f, now);
    }
    if (f->open)
        pass_flush(f);
    fill_notify(f);
    fill_settle(f);
}

/* --- ends ----------------------------------------------------------------- */

void fill_end(struct fill *f)
{
    struct proxy *p = f->proxy;
    source_drop(f);
    alarm_stop(p, &f->alarm);
    alarm_stop(p, &f->renew);
    table_remove(p, f);
    if (f->starved)
        p->starved--;
    f->starved = false;
    if (f->coder)
        coder_give(p, f->coder);
    f->coder = NULL;
    f->find_next = f->find_origin = f->out_of_memory = false;
    f->state = FILL_ENDED;
    f->notify = f->object ? f->followers : 0;
    fill_agenda(f); /* settles there: callers still look at it */
}

/* A soft purge wants exactly this. */
bool fill_stale_usable(const struct fill *f, struct now now)
{
    return f->stale && !f->purged && cache_usable_stale(f->stale, now) &&
           cache_purged_since(f->proxy->cache, f->url, f->url_len, f->stale, f->born) !=
               CACHE_PURGE_HARD;
}

void fill_give_up(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    counter_inc(&p->counters.proxy_fills_failed_total);
    index_withdraw(f, now);
    if (f->streaming) {
        pass_end(f, false);
    } else if (f->object) {
        refs_forget(p, f->object, false);
        cache_fail(p->cache, f->object); /* unlinks it too */
    } else if (fill_stale_usable(f, now)) {
        /* old content is better than an error (CORAL.md 4; RFC 9111 4.2.4) */
        f->object = (struct cache_object *)(uintptr_t)f->stale;
        f->stale = NULL;
        f->old_copy = true;
        fill_ready_all(f);
    }
    fill_fail_all(f, f->failure);
    fill_end(f);
}

void fill_link(struct fill *f)
{
    struct proxy *p = f->proxy;
    if (fill_overtaken(f)) { /* for those who wait; nobody has come after the purge */
        fill_purge(f, p->now);
        return;
    }
    const struct cache_object *old = fill_lookup(f);
    if (old && old != f->object)
        refs_forget(p, old, false);
    f->linked = cache_link(p->cache, f->object);
}

void fill_complete(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    if (f->streaming) {
        pass_end(f, true);
        fill_end(f);
        return;
    }
    if (!f->refreshed) {
        if (f->length >= 0 && fill_taken(f) != (uint64_t)f->length) {
            f->asked = false;           /* a whole answer of a part is no failure */
            source_failed(f, 502, now); /* the rest from somebody else */
            return;
        }
        if (f->coder && !coder_end(f->coder, p, f->object)) {
            f->ended = true;
            if (!f->short_us)
                f->short_us = now.mono_us;
            alarm_set(p, &f->alarm, now.mono_us + PROXY_MEMORY_US);
            return;
        }
        if (!cache_complete(p->cache, f->object)) {
            fill_give_up(f, now);
            return;
        }
        if (!f->linked && !f->share_only && !f->purged)
            fill_link(f);
    }
    counter_inc(&p->counters.proxy_fills_complete_total);
    /* damage, or the index's own displacement, may have unlinked it meanwhile */
    if (f->linked && fill_lookup(f) != f->object)
        f->linked = false;
    f->path_len = 0; /* it hangs on nobody now */
    fill_ready_all(f);
    const struct cache_object *kept = f->linked ? cache_settle(p->cache, f->object) : NULL;
    if (kept) {
        refs_add(p, kept, &f->key, now);
    } else { /* it goes when those who have it are done */
        cache_unlink(p->cache, f->object);
        index_withdraw(f, now);
    }
    fill_end(f);
}

/* --- time-outs ------------------------------------------------------------ */

/* With the cache full for so long, the fill fails; till then the source waits. */
static void memory_timer(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    if (now.mono_us - f->short_us >= PROXY_MEMORY_LIMIT_US) {
        f->out_of_memory = true;
        fill_agenda(f);
        return;
    }
    alarm_set(p, &f->alarm, now.mono_us + PROXY_MEMORY_US);
    if (f->x)
        http_exchange_resume(f->x);
    else if (f->ended)
        fill_complete(f, now);
}

/* Behind the HTTP client's time-outs. */
uint64_t fill_origin_us(const struct fill *f)
{
    return f->limit_ms * 1000ull > PROXY_ORIGIN_US ? f->limit_ms * 1000ull : PROXY_ORIGIN_US;
}

static void exchange_timer(struct fill *f, uint64_t peer_us, struct now now)
{
    bool client = f->streaming && upload_pending(f->streaming); /* he may be who is slow */
    uint64_t limit_us = f->kind == SOURCE_PEER ? peer_us
                        : client               ? PROXY_BODY_US
                                               : fill_origin_us(f);
    if (f->starved || now.mono_us - f->progress_us < limit_us) {
        uint64_t from = f->starved ? now.mono_us : f->progress_us;
        alarm_set(f->proxy, &f->alarm, from + limit_us);
        return;
    }
    counter_inc(f->kind == SOURCE_PEER ? &f->proxy->counters.proxy_peer_failures_total
                                       : &f->proxy->counters.proxy_origin_failures_total);
    if (f->kind == SOURCE_ORIGIN) {
        origin_trouble(f, ACCESS_TIMEOUT, now);
        if (f->state == FILL_HEAD)
            backend_failed(f, BACKEND_NO_ANSWER, now);
    }
    /* it took our request; or it was left for another, before it had the time to */
    f->source_holds =
        f->x &&
        (http_exchange_connected(f->x) ||
         (f->state == FILL_HEAD && f->kind == SOURCE_PEER && f->head_us < PROXY_PEER_HEAD_US));
    source_failed(f, 504, now);
}

/* It waits for an origin: till somebody else may have its place, or it takes the next one. */
static void queue_timer(struct fill *f, struct now now)
{
    struct proxy_counters *c = &f->proxy->counters;
    if (now.mono_us >= f->queue_until_us) {
        counter_inc(&c->proxy_origin_queue_timeouts_total);
        source_drop(f);
        f->failure = 503;
        f->find_origin = true;
        fill_agenda(f);
    } else if (origin_deserted(f)) {
        counter_inc(&c->proxy_origin_queue_left_total);
        fill_give_up(f, now);
    } else {
        origin_queue(f, now);
    }
}

void fill_timer(struct fill *f, struct now now)
{
    if (f->find_next || f->find_origin) /* what it was set for has ended in this very poll */
        return;
    switch (f->state) {
    case FILL_GET:
    case FILL_PUT:
    case FILL_AGAIN:
        index_timer(f, now);
        break;
    case FILL_QUEUE:
        queue_timer(f, now);
        break;
    case FILL_RESOLVE:
        origin_lost(f, now);
        source_drop(f);
        origin_trouble(f, ACCESS_DNS, now);
        f->failure = 504;
        f->find_origin = true;
        fill_agenda(f);
        break;
    case FILL_HEAD:
        exchange_timer(f, f->head_us, now);
        break;
    case FILL_BODY:
        if (f->short_us)
            memory_timer(f, now);
        else /* where nobody could go on for a peer, there is nothing to be had by leaving it */
            exchange_timer(f, f->validators ? PROXY_PEER_STALL_US : PROXY_ORIGIN_US, now);
        break;
    default:
        break;
    }
}

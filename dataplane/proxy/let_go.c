/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers let go of objects that the cache has given up, when such objects keep more memory than
 * the draining budget (cache/drain.c).
 *
 *   O: cache_overdrawn --LET_GO{object}--> every worker, since pins don't say whose they are
 *   R: the grip is marked; rounds over the connections, until no hold of it is left
 *
 * What a connection has of it:
 *   queued, up to 64 KiB                      copied at once: nobody notices
 *   queued more, or the response has a rest   a second's grace. Who takes nothing in it is cut off.
 *      he takes some, the response is over      copied, if TCP's blocks have room; else cut off
 *      he takes some, there is a rest           what never went is taken back, what did is copied;
 *                                               the rest is fetched from the origin, by a range of
 *                                               the same version, through a window of blocks at
 *                                               his pace
 *
 * So a live reader of an evicted object gets his whole body, at the price of what he had not read
 * from the origin, and of 128 KiB here instead of the object. A node of ours is cut off: it goes on
 * with another source by itself. All copies come out of pools that have a bound.
 */
#include "dataplane/proxy/proxy_internal.h"

/* --- O --- */

/* False: some ring was full. */
static bool ask_all(struct proxy *p, struct now now)
{
    for (unsigned w = 0; w < p->config.workers && p->ask_workers; w++) {
        if (!(p->ask_workers >> w & 1))
            continue;
        if (w == p->config.worker) {
            let_go_asked(p, p->ask_object, now);
        } else {
            struct message m = {.type = PROXY_LET_GO, .from = (uint16_t)p->config.worker};
            struct proxy_note n = {.object = p->ask_object};
            memcpy(m.body, &n, sizeof(n));
            if (!p->parts.out.post(p->parts.out.ctx, w, &m)) {
                counter_inc(&p->counters.proxy_messages_kept_total);
                continue;
            }
        }
        p->ask_workers &= ~(1u << w);
    }
    return p->ask_workers == 0;
}

void let_go_ask(struct proxy *p, struct now now)
{
    for (unsigned n = 0; n < PROXY_ASKS; n++) {
        if (!p->ask_workers) {
            p->ask_object = cache_overdrawn(p->cache, p->config.worker, now);
            if (!p->ask_object)
                return;
            p->ask_workers = UINT32_MAX >> (PROXY_WORKERS - p->config.workers);
        }
        if (!ask_all(p, now))
            return;
    }
}

/* --- R --- */

/* Meanwhile the memory may be another object's, which we hold too: that one is in the index. */
void let_go_asked(struct proxy *p, const struct cache_object *o, struct now now)
{
    struct grip *g = grip_find(p, o);
    if (g && cache_state(o) != CACHE_FILLING && !cache_linked(p->cache, o))
        grip_let_go(p, g, now);
}

static const struct grip *grip_of(const struct hold *h)
{
    return grip_is(h) ? (const struct grip *)(const void *)h : NULL;
}
static_assert(offsetof(struct grip, hold) == 0, "a grip is known by its hold");

static bool is_let_go(const struct hold *h)
{
    const struct grip *g = grip_of(h);
    return g && g->let_go_us;
}

static bool is_late(const struct hold *h)
{
    const struct grip *g = grip_of(h);
    return g && g->let_go_us && g->proxy->now.mono_us - g->let_go_us >= PROXY_LET_GO_US;
}

static void cut(struct proxy *p, struct http_conn *c, struct request *r)
{
    counter_inc(&p->counters.proxy_let_go_cut_total);
    if (!r) {
        http_conn_reset(c);
        return;
    }
    request_over(p, r);
    http_respond_abort(c);
}

/* The response goes on without the object. False: it can't. */
static bool go_on(struct proxy *p, struct request *r, struct now now)
{
    if (r->peer || !r->head_sent)
        return false;
    uint64_t back = http_respond_take_back(r->conn, is_let_go);
    r->offset -= back;
    r->body_out -= back;
    counter_add(&p->counters.proxy_client_bytes_total, -back);
    return pass_resume(p, r, now);
}

static void look(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct proxy *p = ctx;
    struct request *r = request;
    bool still = http_conn_still_us(c, now) >= PROXY_LET_GO_US;
    bool sends = r && r->state == REQUEST_SENDING && r->grip->let_go_us;
    if (sends && (!is_late(&r->grip->hold) || r->owned || r->post.queued))
        return;
    bool late = sends || !http_conn_own(c, is_late, 0);
    if (late && still) {
        cut(p, c, r);
        return;
    }
    if (sends && !go_on(p, r, now)) {
        cut(p, c, r);
        return;
    }
    if (http_conn_own(c, is_let_go, 0)) /* it has nothing of it */
        return;
    if (http_conn_own(c, is_let_go, late ? SIZE_MAX : PROXY_OWN_BYTES))
        counter_inc(&p->counters.proxy_let_go_copied_total);
    else if (late)
        cut(p, c, r && r->conn == c ? r : NULL);
}

void let_go_poll(struct proxy *p, struct now now)
{
    if (!p->letting_go || !p->server || now.mono_us < p->look_us)
        return;
    p->look_us = 0;
    if (!http_server_look(p->server, &p->look_at, PROXY_LOOKS, look, p, now))
        p->look_us = now.mono_us + PROXY_LOOK_US;
}

uint64_t let_go_deadline_us(const struct proxy *p)
{
    if (p->ask_workers)
        return p->now.mono_us + 50;
    return p->letting_go && p->server ? p->look_us : UINT64_MAX;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a fill's bytes come from: peers in turn, then the origin; and what to do when one dies. */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

void source_drop(struct fill *f)
{
    struct proxy *p = f->proxy;
    struct http_exchange *x = f->x;
    f->x = NULL;
    if (x) {
        if (f->kind == SOURCE_ORIGIN)
            f->tried |= (uint8_t)http_exchange_tried(x);
        http_exchange_abort(x);
    }
    if (f->resolve_ticket)
        resolver_cancel(p->parts.resolver, f->resolve_ticket);
    if (f->get_ticket)
        dht_cancel(p->parts.asker, f->get_ticket);
    if (f->put_ticket)
        dht_cancel(p->parts.asker, f->put_ticket);
    f->resolve_ticket = f->get_ticket = f->put_ticket = 0;
    f->find_origin = f->ask_again = false;
    backend_release(f);
}

void source_failed(struct fill *f, unsigned status, struct now now)
{
    (void)now;
    f->failure = (uint16_t)status;
    f->find_next = true; /* not here: this may be inside an event of the exchange */
    fill_agenda(f);
}

static void source_pick(struct fill *f, struct now now)
{
    struct candidate *c;
    while ((c = index_pick(f))) {
        f->source_holds = false;
        if (peer_start(f, c, now))
            return;
    }
    if (!index_get_again(f, now))
        origin_start(f, now);
}

/* Called at the start, and when a stage of the index is done. */
void source_begin(struct fill *f, struct now now)
{
    if (f->pass || f->to_origin || !f->proxy->parts.asker)
        origin_start(f, now);
    else if (f->state == FILL_FREE)
        index_get(f, now);
    else
        source_pick(f, now);
}

/* The source failed, or died in the middle. Order after a death: learn who is older than us among
 * the living, those as peers, else the origin; each with a Range. */
void source_next(struct fill *f, struct now now)
{
    index_let_go(f, now);
    source_drop(f);
    f->short_us = 0;
    if (f->kind == SOURCE_PEER)
        index_useless(f);
    if (f->streaming) { /* what went to one client can't be asked for again */
        fill_give_up(f, now);
        return;
    }
    if (f->state != FILL_BODY && f->state != FILL_HEAD) {
        source_pick(f, now);
        return;
    }
    if (++f->rounds > PROXY_ROUNDS) {
        fill_give_up(f, now);
        return;
    }
    if (!f->object) {
        source_pick(f, now);
        return;
    }
    uint64_t have = fill_taken(f);
    f->barren = have == f->round_bytes ? f->barren + 1 : 0;
    f->round_bytes = have;
    if (f->refreshed ||
        (f->length >= 0 && have == (uint64_t)f->length)) { /* died after the last byte */
        fill_complete(f, now);
        return;
    }
    if (!f->validators || f->barren > PROXY_BARREN_ROUNDS) {
        fill_give_up(f, now);
        return;
    }
    counter_inc(&f->proxy->counters.proxy_fills_resumed_total);
    origin_anew(f);
    if (f->proxy->parts.asker)
        index_put(f, now);
    else
        origin_start(f, now);
}

/* Those who named it may not know yet. */
static void report_dead(struct fill *f, struct now now)
{
    dht_report(f->proxy->parts.asker, &f->key, &f->source_node, now);
}

/* The routes say that the peer that we fetch from is gone: no need to wait for time-outs. */
void source_check_alive(struct fill *f, struct now now)
{
    bool routed;
    if (f->kind != SOURCE_PEER || !f->x)
        return;
    bool alive = index_alive(f->proxy, &f->source_node, &routed);
    if (!alive || (f->source_routed && !routed)) {
        counter_inc(&f->proxy->counters.proxy_peer_failures_total);
        report_dead(f, now);
        source_failed(f, 502, now);
    }
}

/* --- the exchange's events ------------------------------------------------ */

static bool on_head(void *user, struct http_exchange *x, const struct http_head *h, struct now now)
{
    struct fill *f = user;
    bool ok;
    if (f->x != x)
        return false;
    if (f->find_next) { /* given up already, to be replaced at the next poll */
        f->x = NULL;
        return false;
    }
    f->proxy->now = now;
    f->progress_us = now.mono_us;
    forward_phase(f, SOURCE_NONE, now);
    f->x = NULL; /* while we are inside it, it is not ours to abort: `false` does that */
    if (f->kind == SOURCE_PEER)
        ok = peer_head(f, h, now) && fill_head(f, h, now);
    else {
        origin_answered(f, x, h, now);
        ok = fill_head(f, h, now);
    }
    if (ok)
        f->x = x;
    if (ok && f->kind == SOURCE_PEER && !f->validators) /* nobody could go on for it */
        http_exchange_patient(x);
    return ok;
}

static size_t on_body(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                      struct now now)
{
    struct fill *f = user;
    if (f->x != x || f->find_next || f->out_of_memory || f->broken)
        return 0; /* the exchange ends at our next poll */
    f->proxy->now = now;
    return fill_body(f, data, len, now);
}

static void on_done(void *user, struct http_exchange *x, struct now now)
{
    struct fill *f = user;
    if (f->x != x)
        return;
    f->proxy->now = now;
    f->x = NULL;
    fill_complete(f, now);
}

static void on_failed(void *user, struct http_exchange *x, enum http_failure why, struct now now)
{
    struct fill *f = user;
    if (f->x != x)
        return;
    f->proxy->now = now;
    f->x = NULL;
    if (f->kind == SOURCE_ORIGIN) {
        f->tried |= (uint8_t)http_exchange_tried(x);
        origin_failed(f, x, why, now);
        return;
    }
    counter_inc(&f->proxy->counters.proxy_peer_failures_total);
    if (why == HTTP_FAIL_CONNECT)
        report_dead(f, now);
    source_failed(f, why == HTTP_FAIL_TIMEOUT ? 504 : 502, now);
}

static void on_interim(void *user, struct http_exchange *x, const struct http_head *h)
{
    struct fill *f = user;
    if (f->x == x && f->kind == SOURCE_ORIGIN)
        upload_interim(f, h);
}

static void on_writable(void *user, struct http_exchange *x, struct now now)
{
    struct fill *f = user;
    f->proxy->now = now;
    if (f->x == x)
        upload_writable(f, x);
}

/* Also while the exchange waits for its end at our next poll: the object is there until then. */
static uint8_t *on_place(void *user, struct http_exchange *x, size_t ahead, size_t *len,
                         struct now now)
{
    struct fill *f = user;
    if (f->x != x)
        return NULL;
    f->proxy->now = now;
    return fill_place(f, ahead, len);
}

const struct http_exchange_events source_events = {.head = on_head,
                                                   .body = on_body,
                                                   .done = on_done,
                                                   .failed = on_failed,
                                                   .interim = on_interim,
                                                   .writable = on_writable,
                                                   .place = on_place};

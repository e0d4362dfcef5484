/* SPDX-License-Identifier: BSD-3-Clause */
/* A request from its head to the decision: cache, owner, or straight to the origin. */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

static void post_sent(struct proxy *p, struct post *post)
{
    request_release(p, PROXY_OF(post, struct request, post));
}

struct request *request_new(struct proxy *p, struct http_conn *c, struct now now)
{
    struct request *r = p->request_free;
    if (r)
        p->request_free = r->next;
    else if (p->requests_used < p->config.requests)
        r = &p->requests[p->requests_used++];
    else
        return NULL;
    memset(r, 0, offsetof(struct request, post));
    r->conn = c;
    r->state = REQUEST_QUEUED;
    r->started_us = now.mono_us;
    r->alarm.kind = ALARM_REQUEST;
    r->post.sent = post_sent;
    r->blocks_tail = &r->blocks;
    r->if_modified_since = -1;
    counter_add(&p->counters.proxy_requests, 1);
    return r;
}

void request_release(struct proxy *p, struct request *r)
{
    if (r->state != REQUEST_OVER || r->owned || r->post.queued || r->forgetting)
        return;
    if (r->forget)
        forget_give(p, r->forget);
    p->uploads -= r->counted;
    p->resumed -= r->resumed;
    r->state = REQUEST_FREE;
    r->next = p->request_free;
    p->request_free = r;
    counter_add(&p->counters.proxy_requests, (uint64_t)-1);
}

void request_over(struct proxy *p, struct request *r)
{
    bool queued = r->state == REQUEST_QUEUED, passing = r->state == REQUEST_PASSING;
    request_leave(r);
    alarm_stop(p, &r->alarm);
    grip_unwait(r);
    upload_gone(r);
    if (r->grip)
        grip_drop(r->grip);
    r->grip = NULL;
    pass_drop_blocks(p, r);
    if (r->gunzip)
        gunzip_drop(r);
    if (r->logged)
        access_end(p, r);
    if (r->metered)
        share_count(p, r);
    if (r->conn)
        http_conn_set_request(r->conn, NULL);
    r->conn = NULL;
    if (queued) /* proxy_flush finds it without a connection */
        return;
    r->state = REQUEST_OVER;
    if (passing)
        pass_stop(p, r);
    request_release(p, r);
}

/* --- from the head -------------------------------------------------------- */

/* What a request for the origin alone needs on its way. */
static bool take_means(struct proxy *p, struct request *r, const struct http_head *h,
                       struct now now)
{
    if (p->uploads >= p->config.fills / 4) /* slow ones may not have all fills */
        return false;
    if (!r->safe && !(r->forget = forget_take(p)))
        return false;
    r->counted = true;
    p->uploads++;
    return !r->has_body || http_conn_read_body(r->conn, h, now);
}

/* An answer of our own to what is no request yet. `lines`: of its head. */
static void refuse(struct proxy *p, struct http_conn *c, const struct http_head *h,
                   const struct request *r, unsigned status, enum access_reason reason,
                   const char *why, const char *lines)
{
    bool head_only = h->method == HTTP_HEAD_METHOD, peer = r && r->peer;
    char id[PROXY_ID + 1], all[sizeof(p->answer_lines) + PROXY_ID + 32];
    struct now now = p->now;
    forward_refused(p, r, h, id);
    snprintf(all, sizeof(all), "%s%s%s%s", lines, *id && !peer ? "X-Request-ID: " : "",
             peer ? "" : id, *id && !peer ? "\r\n" : "");
    access_refused(p, c, h, id, now.mono_us, peer, status, reason, respond_bytes(why, head_only));
    respond_conn(p, c, head_only, !r || r->open, status, why, all, now);
}

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now now)
{
    struct proxy *p = ctx;
    const char *why = "";

    p->now = now;
    counter_inc(&p->counters.proxy_requests_total);
    struct request *r = p->policy ? request_new(p, c, now) : NULL;
    if (!r) {
        why = "too many requests in flight; try again";
        counter_inc(&p->counters.proxy_busy_total);
        refuse(p, c, h, NULL, 503, ACCESS_BUSY, why, "");
        return;
    }
    unsigned status = request_take(p, r, h, &why);
    if (!status && r->other && !take_means(p, r, h, now)) {
        why = "too many requests in flight; try again";
        status = 503;
        r->reason = ACCESS_BUSY;
    }
    if (status) {
        enum access_reason reason = (enum access_reason)r->reason;
        counter_inc(&p->counters.proxy_refused_total);
        counter_add(&p->counters.proxy_loops_total, reason == ACCESS_LOOP);
        if (reason >= ACCESS_BAD_LINE)
            http_conn_malformed(c, access_error(reason));
        r->state = REQUEST_OVER;
        r->conn = NULL;
        refuse(p, c, h, r, status, reason, why, p->answer_lines);
        p->answer_lines[0] = 0;
        request_release(p, r);
        return;
    }
    if (r->peer)
        counter_inc(&p->counters.proxy_peer_requests_total);
    if (p->access && (!r->peer || p->access & ACCESS_WANT_PEERS)) {
        access_begin(p, &r->access, c, h, r->tells & PROXY_REQUEST_ID ? r->id : "", now.mono_us);
        r->logged = true;
    }
    http_conn_set_request(c, r);
    r->next = NULL;
    *p->burst_tail = r;
    p->burst_tail = &r->next;
}

static void on_writable(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct proxy *p = ctx;
    struct request *r = request;
    (void)c;
    p->now = now;
    if (!r)
        return;
    if (r->state == REQUEST_SENDING && !r->wait_prev)
        transfer_run(p, r, now);
    else if (r->state == REQUEST_PASSING)
        pass_writable(p, r, now);
}

static void on_gone(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct proxy *p = ctx;
    struct request *r = request;
    p->now = now;
    if (!r)
        return;
    counter_inc(&p->counters.proxy_gone_total);
    enum http_error e = http_conn_refused(c);
    if (e) { /* not gone, but answered by the server */
        r->made = r->whole = true;
        r->status = (uint16_t)http_error_status(e);
        r->reason = (uint8_t)access_reason_of(e);
        r->body_out = r->head_only ? 0 : sizeof(HTTP_BODY_REFUSED) - 1;
    }
    r->gone = !e;
    r->conn = NULL;
    request_over(p, r);
}

static size_t on_body(void *ctx, struct http_conn *c, void *request, const uint8_t *data,
                      size_t len, struct now now)
{
    struct proxy *p = ctx;
    (void)c;
    p->now = now;
    return request ? upload_body(p, request, data, len, now) : len; /* answered: nobody needs it */
}

static void on_body_end(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct proxy *p = ctx;
    (void)c;
    p->now = now;
    if (request)
        upload_body_end(p, request, now);
}

static void on_refused(void *ctx, struct http_conn *c, const struct http_head *h, uint64_t since_us,
                       enum http_error why, size_t bytes, struct now now)
{
    struct proxy *p = ctx;
    p->now = now;
    access_refused(p, c, h, "", since_us, false, http_error_status(why), access_reason_of(why),
                   bytes);
}

struct http_handler proxy_handler(struct proxy *p)
{
    return (struct http_handler){.ctx = p,
                                 .request = on_request,
                                 .body = on_body,
                                 .body_end = on_body_end,
                                 .writable = on_writable,
                                 .gone = on_gone,
                                 .refused = on_refused};
}

/* --- the burst ------------------------------------------------------------ */

/* What the rules make of `o` for this request; a peer gets what is fresh, and nothing else. */
static struct cache_reuse request_judge(const struct request *r, const struct cache_object *o,
                                        struct now now)
{
    bool fresh = o && cache_fresh(o, now);
    if (fresh && !r->asked)
        return (struct cache_reuse){.use = CACHE_USE_FRESH};
    if (r->peer)
        return (struct cache_reuse){.use = CACHE_USE_REVALIDATE};
    return cache_reuse(o ? cache_meta(o) : NULL, &r->asks, now.wall_s);
}

/* What comes of a request with credentials may be for others (RFC 9111 3.5), if it was not found to
 * be for nobody else a moment ago; a HEAD brings nothing, and a slice would want the next one. */
static bool fetches_for_itself(const struct proxy *p, const struct request *r, struct now now)
{
    return vary_is_secret(r) ||
           (r->authorized && (r->head_only || r->sliced || pass_known(p, request_known(r), now)));
}

bool proxy_sheds(struct proxy *p, enum shed_class which, bool peer)
{
    if (!p->shed.pressure || !shed_refuses(&p->shed, which, peer, &p->rng))
        return false;
    counter_inc(which == SHED_FETCH  ? &p->counters.proxy_shed_fetches_total
                : which == SHED_WAIT ? &p->counters.proxy_shed_waits_total
                                     : &p->counters.proxy_shed_hits_total);
    return true;
}

bool request_shed(struct proxy *p, struct request *r, enum shed_class which, struct now now)
{
    if (r->head_sent || !proxy_sheds(p, which, r->peer))
        return false;
    r->reason = ACCESS_SHED;
    r->metered = false; /* says nothing of how large its site's responses are */
    respond_status(p, r, 503, PROXY_SHED_TEXT, now);
    return true;
}

/* What is in the cache is the last that is refused, and not on a connection that was served before:
 * who is being served is served to the end. */
static const struct cache_object *request_hit(struct proxy *p, struct request *r,
                                              const struct cache_object *o, struct now now)
{
    if (!p->shed.pressure)
        return o;
    bool costly = memchr(r->range, ',', r->range_len) || gunzip_wanted(p, r, o);
    if (!costly && http_conn_served(r->conn))
        return o;
    return request_shed(p, r, costly ? SHED_WAIT : SHED_HIT, now) ? NULL : o;
}

/* Nothing that is stored will do. */
static void request_fetch(struct proxy *p, struct request *r, const struct cache_object *o,
                          struct now now)
{
    bool own = fetches_for_itself(p, r, now);
    if (r->asks.no_store)
        r->forward = FORWARD_REQUEST;
    else if (own)
        r->forward = FORWARD_BYPASS;
    else if (o)
        r->forward = cache_fresh(o, now) ? FORWARD_REQUEST : FORWARD_STALE;
    if (r->asks.no_store || own || (!o && !r->peer && pass_known(p, r->hash, now)))
        pass_start(p, r, now);
    else if (o || !request_shed(p, r, SHED_WAIT, now)) /* O may send what is old */
        want_send(p, r, o, now);
}

/* Returns what is to be sent now. */
static const struct cache_object *request_act(struct proxy *p, struct request *r,
                                              const struct cache_object *o, struct now now)
{
    if (r->other) {
        r->forward = FORWARD_METHOD;
        pass_start(p, r, now);
        return NULL;
    }
    if (r->peer ? r->alone : r->passes || r->alone) {
        if (r->peer || r->asks.only_if_cached) {
            respond_status(p, r, 504, "only-if-cached, and none is stored for who asks", now);
        } else {
            r->forward = FORWARD_BYPASS;
            pass_start(p, r, now);
        }
        return NULL;
    }
    o = request_may_have(r, o);
    if (!o && r->vary_miss && !r->peer && !r->authorized)
        o = vary_other(p, r, now);
    if (!o)
        r->forward = !r->vary_miss ? FORWARD_MISS : r->sliced ? FORWARD_PARTIAL : FORWARD_VARY_MISS;
    struct cache_reuse u = request_judge(r, o, now);
    switch (u.use) {
    case CACHE_USE_FRESH:
        if (slice_seek(p, r, o, now))
            break;
        if (!r->peer || r->path_known || cache_state(o) != CACHE_FILLING)
            return request_hit(p, r, o, now);
        if (!request_shed(p, r, SHED_WAIT, now))
            want_send(p, r, o, now);
        break;
    case CACHE_USE_STALE_REVALIDATE:
        want_behind(p, r, o, now);
        /* fall through */
    case CACHE_USE_STALE:
        r->stale = true;
        r->why = (uint8_t)u.reason;
        return request_hit(p, r, o, now);
    case CACHE_USE_GATEWAY_TIMEOUT:
        respond_status(p, r, 504, "only-if-cached, and there is nothing that may be sent", now);
        break;
    default:
        /* a peer's copy would be as old as this one, for all we know; and whether there is one here
         * is nothing to who does not want what is stored (RFC 9111 5.2.1.1, 5.2.1.4) */
        r->to_origin = r->asks.no_cache || u.reason == CACHE_WHY_REQUEST_MAX_AGE ||
                       u.reason == CACHE_WHY_REQUEST_MIN_FRESH ||
                       (!o && r->asks.has_max_age && r->asks.max_age_s == 0);
        request_fetch(p, r, o, now);
        break;
    }
    return NULL;
}

const struct cache_object *request_look(struct proxy *p, struct request *r, struct now now)
{
    struct cache_probe probe = {.key = r->url, .key_len = r->url_len};
    r->varies = r->sliced = r->vary_miss = r->alone = false;
    if (r->gunzip)
        gunzip_drop(r);
    cache_prepare(p->cache, &probe, 1);
    cache_touch(p->cache, &probe, 1);
    cache_act(p->cache, &probe, 1);
    r->chain = probe.hash.lo;
    vary_select(p, &r, &probe, 1);
    r->hash = probe.hash;
    return request_act(p, r, probe.found, now);
}

void request_again(struct proxy *p, struct request *r, struct now now)
{
    if (r->tries++ == PROXY_TRIES) {
        respond_status(p, r, 502, "the object goes as fast as it comes", now);
        return;
    }
    const struct cache_object *o = request_look(p, r, now);
    if (o)
        transfer_start(p, r, o, now);
}

static unsigned burst_take(struct proxy *p, struct request **batch, struct cache_probe *probe)
{
    unsigned n = 0;
    while (n < p->config.burst && p->burst) {
        struct request *r = p->burst;
        p->burst = r->next;
        if (!p->burst)
            p->burst_tail = &p->burst;
        if (!r->conn) { /* the client left meanwhile */
            r->state = REQUEST_OVER;
            request_release(p, r);
            continue;
        }
        batch[n] = r;
        probe[n] = (struct cache_probe){.key = r->url, .key_len = r->url_len};
        n++;
    }
    return n;
}

void proxy_flush(struct proxy *p, struct now now)
{
    struct request *batch[PROXY_BURST];
    struct cache_probe probe[PROXY_BURST];

    p->now = now;
    unsigned n = burst_take(p, batch, probe);
    cache_prepare(p->cache, probe, n);
    cache_touch(p->cache, probe, n);
    cache_act(p->cache, probe, n);
    for (unsigned i = 0; i < n; i++)
        batch[i]->chain = probe[i].hash.lo;
    vary_select(p, batch, probe, n);
    for (unsigned i = 0; i < n; i++) {
        struct request *r = batch[i];
        r->state = REQUEST_WAITING;
        if (probe[i].found && plain_answer(p, r, probe[i].found, now))
            continue;
        r->hash = probe[i].hash;
        r->owner = (uint16_t)cache_owner(p->cache, r->hash);
        const struct cache_object *o = request_act(p, r, probe[i].found, now);
        if (o)
            transfer_start(p, r, o, now);
    }
    if (post_waiting(p))
        post_flush(p, now);
}

void request_timeout(struct proxy *p, struct request *r, struct now now)
{
    if (r->between) {
        slice_go_on(p, r, now);
    } else if (r->state == REQUEST_WAITING || (r->state == REQUEST_PASSING && !r->head_sent)) {
        respond_status(p, r, 504, "no answer in time", now);
    } else if ((r->state == REQUEST_SENDING && r->wait_prev) || r->state == REQUEST_PASSING) {
        respond_break(p, r);
    }
}

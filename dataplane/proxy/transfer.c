/* SPDX-License-Identifier: BSD-3-Clause */
/* Sends an object by reference, also while it still fills. */
#include "dataplane/proxy/proxy_internal.h"

static void count_source(struct proxy *p, const struct request *r)
{
    struct proxy_counters *c = &p->counters;
    if (r->collapsed)
        counter_inc(&c->proxy_collapsed_total);
    if (r->stale)
        counter_inc(&c->proxy_stale_total);
    else if (r->source == SOURCE_PEER)
        counter_inc(&c->proxy_from_peer_total);
    else if (r->source == SOURCE_ORIGIN)
        counter_inc(&c->proxy_from_origin_total);
    else
        counter_inc(&c->proxy_hits_total);
}

void transfer_end(struct proxy *p, struct request *r, struct now now)
{
    struct http_conn *c = r->conn;
    count_source(p, r);
    hist_add(&p->latency, now.mono_us - r->started_us);
    r->whole = true;
    http_conn_serve(c);
    request_over(p, r);
    http_respond_end(c, now);
}

/* Never a truncated body that looks whole. */
static void transfer_break(struct proxy *p, struct request *r, struct now now)
{
    respond_status(p, r, r->peer ? 504 : 502, "the source broke off", now);
}

/* A checksum is wrong: the owner drops the object. */
static void transfer_damaged(struct proxy *p, struct request *r, struct now now)
{
    const struct cache_object *o = r->grip->object;
    bool told = !r->post.queued && !r->owned;
    if (told && r->sliced) /* the next one may have been asked for */
        told = slice_aim(p, r, r->base / PROXY_SLICE_BYTES);
    if (told)
        r->owned = true; /* until DONE */
    transfer_break(p, r, now);
    if (told)
        post_send(p, &r->post, r->owner, PROXY_DAMAGED, 0,
                  &(struct proxy_note){.request = r, .object = o});
}

/* Queues one span; false when the stream is full. */
static bool transfer_span(struct proxy *p, struct request *r, struct cache_span span)
{
    if (r->gunzip)
        return gunzip_put(p, r, span);
    uint64_t left = r->end - r->offset;
    uint32_t n = span.len < left ? span.len : (uint32_t)left;
    if (n == left && n <= PROXY_INLINE && !r->plain) { /* behind the head, which is a copy */
        n = (uint32_t)http_respond_copy(r->conn, span.data, n);
        if (n == 0)
            return false;
    } else if (!http_respond_ref(r->conn, (struct ref){span.data, n, &r->grip->hold})) {
        return false;
    }
    r->offset += n;
    r->body_out += n;
    counter_add(r->peer ? &p->counters.proxy_peer_out_bytes_total
                        : &p->counters.proxy_client_bytes_total,
                n);
    return true;
}

/* Is this a slice, and the next byte not in it? */
static bool slice_over(const struct request *r, const struct cache_object *o)
{
    return cache_meta(o)->status == 206 &&
           (r->offset < r->base || r->offset >= r->base + (uint64_t)cache_length(o));
}

/* What stands before the object's next bytes: of an earlier span, or of a part. False: no room. */
static bool transfer_before(struct proxy *p, struct request *r, struct now now)
{
    if (!r->gunzip)
        return multipart_next(r);
    enum gunzip_is is = gunzip_send(p, r);
    if (is == GUNZIP_BAD)
        transfer_break(p, r, now);
    return is == GUNZIP_READY;
}

/* Peers get what is verified, and no byte else; a client of a node that verifies for it gets what
 * has come last of a chunk that is not full yet. */
static struct cache_span next_bytes(const struct proxy *p, const struct request *r, uint64_t at,
                                    bool *damaged)
{
    const struct cache_object *o = r->grip->object;
    struct cache_span span = {0};
    if (r->verified || p->config.verify)
        span = cache_bytes_verified(o, at, damaged);
    if (span.len || *damaged || r->verified)
        return span;
    return cache_bytes(o, at);
}

/* Sends what there is of the object. True: it is out, and the response goes on with another. */
static bool transfer_object(struct proxy *p, struct request *r, struct now now)
{
    const struct cache_object *o = r->grip->object;
    if (r->sliced)
        slice_ahead(p, r);
    while (r->offset != r->end || r->parts) {
        bool damaged = false;
        if (r->parts || r->gunzip) {
            if (!transfer_before(p, r, now))
                return false; /* at writable */
            if (r->offset == r->end)
                break;
            if (slice_over(r, o))
                return true;
        }
        enum cache_state state = cache_state(o); /* before the bytes: then they are final too */
        uint64_t at = r->offset - r->base;
        struct cache_span span = next_bytes(p, r, at, &damaged);
        if (damaged) {
            transfer_damaged(p, r, now);
            return false;
        }
        if (state == CACHE_FAILED) { /* no byte more of what is damaged */
            transfer_break(p, r, now);
            return false;
        }
        if (span.len) {
            if (!transfer_span(p, r, span))
                return false; /* at writable */
            continue;
        }
        if (state == CACHE_COMPLETE && r->end == UINT64_MAX &&
            (int64_t)r->offset == cache_length(o) && (!r->gunzip || gunzip_ended(r)))
            break;
        if (slice_over(r, o))
            return true;
        if (state != CACHE_FILLING) {
            transfer_break(p, r, now);
            return false;
        }
        grip_wait(p, r->grip, r);
        alarm_set(p, &r->alarm, now.mono_us + request_stall_us(r));
        return false;
    }
    transfer_end(p, r, now);
    return false;
}

/* False: no room for a head now, or the object is broken. */
static bool transfer_head(struct proxy *p, struct request *r, struct now now)
{
    const struct cache_object *o = r->grip->object;
    if (cache_state(o) == CACHE_FAILED) {
        transfer_break(p, r, now);
        return false;
    }
    enum respond_end end = respond_object_head(p, r, o, now);
    if (end == RESPOND_TOO_LARGE) {
        respond_status(p, r, 502, RESPOND_TOO_LARGE_WHY, now);
        return false;
    }
    r->head_sent = end == RESPOND_SENT;
    if (r->head_sent && r->logged)
        access_head(p, r);
    return r->head_sent; /* at writable */
}

void transfer_run(struct proxy *p, struct request *r, struct now now)
{
    if (!r->head_sent && !transfer_head(p, r, now))
        return;
    while (transfer_object(p, r, now) && slice_next(p, r, now))
        ;
}

bool transfer_take(struct proxy *p, struct request *r, const struct cache_object *o, struct now now)
{
    struct slice slice;
    if (r->head_sent && cache_version(o) != r->version) { /* never a body of two versions */
        respond_break(p, r);
        return false;
    }
    r->grip = grip_take(p, o);
    if (!r->grip) {
        respond_status(p, r, 503, "too many objects in flight; try again", now);
        return false;
    }
    alarm_stop(p, &r->alarm);
    r->state = REQUEST_SENDING;
    r->base = slice_read(o, &slice) ? slice.first : 0;
    return true;
}

void transfer_start(struct proxy *p, struct request *r, const struct cache_object *o,
                    struct now now)
{
    if (transfer_take(p, r, o, now))
        transfer_run(p, r, now);
}

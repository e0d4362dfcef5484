/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heads that responses share. Most requests are hits that ask for an object and nothing else: of
 * those only Age and the rest of the lifetime change the head, and once a second. So it is written
 * once a second and object, rests with the grip, and goes by reference. A second later another
 * takes its place; that one goes when the last send queue has let go of it.
 *
 * A small body is put behind it when it is sent for the second time: from then on an answer is one
 * reference for all that is between HTTP and the port, and nothing of the object is looked at but
 * whether it is there and fresh. Not at the first time, since the body of what is asked for once is
 * never read by us otherwise.
 */
#include "dataplane/proxy/proxy_internal.h"

/* More than what stands in a head beside the stored lines. */
#define MADE_HERE 400

bool plain_suits(const struct proxy *p, const struct request *r)
{
    const struct cache_object *o = r->grip->object;
    size_t len;
    cache_head(o, &len);
    return !r->peer && r->source == SOURCE_NONE && !r->stale && !r->tells && !r->range_len &&
           !r->none_match_len && r->if_modified_since < 0 && !r->gunzip &&
           (!r->varies || r->accepts & CODING_GZIP) && !p->policy->rules &&
           cache_meta(o)->status == 200 && cache_length(o) >= 0 &&
           len <= PROXY_PLAIN_HEAD - MADE_HERE && http_conn_keeps_alive(r->conn) &&
           http_conn_chunks(r->conn);
}

/* The last hold has gone. */
static void give(struct hold *h)
{
    struct plain_head *s = PROXY_OF(h, struct plain_head, hold);
    s->next = s->proxy->plain_free;
    s->proxy->plain_free = s;
}

static struct plain_head *take(struct proxy *p)
{
    struct plain_head *s = p->plain_free;
    if (s)
        p->plain_free = s->next;
    else if (p->plain_used < p->plains)
        s = &p->plain_pool[p->plain_used++];
    else
        return NULL;
    s->hold = (struct hold){1, give};
    s->proxy = p;
    return s;
}

void plain_drop(struct grip *g)
{
    if (g->plain)
        ref_release(&(struct ref){.hold = &g->plain->hold});
    g->plain = NULL;
}

/* False: too long. */
static bool write(struct proxy *p, struct request *r, struct plain_head *s, struct now now)
{
    struct head_writer w = {s->bytes, 0, sizeof(s->bytes), false};
    int64_t body;
    respond_write(p, r, r->grip->object, now, &w, &body);
    s->len = (uint32_t)w.len;
    s->wall_s = now.wall_s;
    s->whole = false;
    return !w.bad;
}

static void add_body(const struct proxy *p, struct plain_head *s, const struct cache_object *o)
{
    struct cache_span span = {0};
    bool damaged = false;
    int64_t length = cache_length(o);
    if (cache_state(o) != CACHE_COMPLETE || length > (int64_t)(sizeof(s->bytes) - s->len))
        return;
    if (length > 0)
        span = p->config.verify ? cache_bytes_verified(o, 0, &damaged) : cache_bytes(o, 0);
    if (span.len != length) /* damaged: who sends it finds that, too */
        return;
    if (length > 0)
        memcpy(s->bytes + s->len, span.data, span.len);
    s->body = (uint16_t)span.len;
    s->whole = true;
}

struct plain_head *plain_head(struct proxy *p, struct request *r, struct now now)
{
    struct grip *g = r->grip;
    if (g->plain && g->plain->wall_s == now.wall_s) {
        if (!g->plain->whole) {
            add_body(p, g->plain, g->object);
            g->hot |= g->plain->whole; /* it has a hold of the request's: it does not linger */
        }
        return g->plain;
    }
    if (g->plain && g->plain->hold.count > 1) /* on its way somewhere */
        plain_drop(g);
    if (!g->plain)
        g->plain = take(p);
    if (!g->plain)
        counter_inc(&p->counters.proxy_plain_full_total);
    else if (!write(p, r, g->plain, now))
        plain_drop(g);
    return g->plain;
}

bool plain_answer(struct proxy *p, struct request *r, const struct cache_object *o, struct now now)
{
    struct http_conn *c = r->conn;
    if (!r->simple || r->varies || p->shed.pressure || p->policy->rules ||
        !http_conn_keeps_alive(c))
        return false;
    struct grip *g = grip_find(p, o);
    struct plain_head *s = g ? g->plain : NULL;
    if (!s || !s->whole || s->wall_s != now.wall_s || cache_state(o) != CACHE_COMPLETE ||
        !cache_fresh(o, now))
        return false;
    uint32_t body = r->head_only ? 0 : s->body;
    if (!http_respond_whole(c, (struct ref){(const uint8_t *)s->bytes, s->len + body, &s->hold},
                            now))
        return false;
    grip_again(g);
    counter_inc(&p->counters.proxy_hits_total);
    counter_add(&p->counters.proxy_client_bytes_total, body);
    hist_add(&p->latency, now.mono_us - r->started_us);
    http_conn_serve(c);
    if (r->logged || r->metered) {
        r->head_sent = r->whole = true;
        r->status = 200;
        r->body_out = body;
    }
    if (r->logged) {
        access_head(p, r);
        access_end(p, r);
    }
    if (r->metered)
        share_count(p, r);
    r->conn = NULL;
    r->state = REQUEST_OVER;
    request_release(p, r);
    return true;
}

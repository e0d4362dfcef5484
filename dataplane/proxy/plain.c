/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heads that responses share. Most requests are hits that ask for an object and nothing else: of
 * those only Age and the rest of the lifetime change the head, and once a second. So it is written
 * once a second and object, rests with the grip, and goes by reference. A second later another
 * takes its place; that one goes when the last send queue has let go of it.
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
    return !w.bad;
}

struct plain_head *plain_head(struct proxy *p, struct request *r, struct now now)
{
    struct grip *g = r->grip;
    if (g->plain && g->plain->wall_s == now.wall_s)
        return g->plain;
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

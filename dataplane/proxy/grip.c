/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects that this worker sends from: one pin an object, however many responses and spans use it
 * (base/ref.h holds), and one subscription to its progress while it fills.
 */
#include "dataplane/proxy/proxy_internal.h"

static struct grip **grip_slot(struct proxy *p, const struct cache_object *o)
{
    uint64_t h = (uint64_t)(uintptr_t)o * 0x9e3779b97f4a7c15ull;
    return &p->grip_table[(h >> 40) & p->grip_mask];
}

struct grip *grip_find(struct proxy *p, const struct cache_object *o)
{
    struct grip *g = *grip_slot(p, o);
    while (g && g->object != o)
        g = g->next;
    return g;
}

static void grip_free(struct grip *g)
{
    struct proxy *p = g->proxy;
    struct grip **at = grip_slot(p, g->object);
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    cache_unpin(g->object, p->config.worker);
    g->object = NULL;
    g->next = p->grip_free;
    p->grip_free = g;
}

/* The last release. O may still be about to answer FOLLOW with this memory: then later. */
static void grip_released(struct hold *h)
{
    struct grip *g = PROXY_OF(h, struct grip, hold);
    g->released = true;
    if (!g->asked)
        grip_free(g);
}

struct grip *grip_take(struct proxy *p, const struct cache_object *o)
{
    struct grip *g = grip_find(p, o);
    if (!g) {
        g = p->grip_free;
        if (!g)
            return NULL;
        p->grip_free = g->next;
        struct grip **slot = grip_slot(p, o);
        *g = (struct grip){.hold = {0, grip_released}, .proxy = p, .object = o, .next = *slot};
        *slot = g;
        cache_pin(o, p->config.worker);
    }
    g->released = false;
    g->hold.count++;
    return g;
}

void grip_drop(struct grip *g)
{
    struct ref r = {NULL, 0, &g->hold};
    ref_release(&r);
}

void grip_wait(struct proxy *p, struct grip *g, struct request *r)
{
    if (!r->wait_prev) {
        r->wait_next = g->waiting;
        r->wait_prev = &g->waiting;
        if (g->waiting)
            g->waiting->wait_prev = &r->wait_next;
        g->waiting = r;
    }
    if (g->following || g->asked)
        return;
    g->asked = true;
    post_send(p, &g->post, r->owner, PROXY_FOLLOW, 0,
              &(struct proxy_note){.grip = g, .object = g->object, .chain = r->chain});
}

void grip_unwait(struct request *r)
{
    if (!r->wait_prev)
        return;
    *r->wait_prev = r->wait_next;
    if (r->wait_next)
        r->wait_next->wait_prev = r->wait_prev;
    r->wait_prev = NULL;
    r->wait_next = NULL;
}

void grip_followed(struct proxy *p, struct grip *g, struct now now)
{
    g->asked = false;
    g->following = true;
    if (g->released)
        grip_free(g);
    else
        grip_progress(p, g, now);
}

void grip_progress(struct proxy *p, struct grip *g, struct now now)
{
    /* each is taken off first: it comes back to the list when it must wait again. The list
     * can't grow in a circle: what waits again is put in front of a list that we cut off. */
    struct request *list = g->waiting;
    if (list)
        list->wait_prev = &list;
    g->waiting = NULL;
    g->hold.count++; /* the last of them may let go of the object */
    while (list) {
        struct request *r = list;
        grip_unwait(r);
        transfer_run(p, r, now);
    }
    grip_drop(g);
}

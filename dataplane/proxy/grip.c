/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects that this worker sends from: one pin an object, however many responses and spans use it
 * (base/ref.h holds), and one subscription to its progress while it fills.
 *
 * The pin is undone some milliseconds after the last use: a flash crowd is one line in memory,
 * which all workers would write to for each response of theirs (100 cycles an atomic, among two).
 * A few hundred are kept so, for what is hot comes back among those: more would be misses for what
 * is not. What has come back is kept beside them, with its answer (plain.c), some thousands. When
 * grips run out, those that linger go first.
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

/* --- after the last hold: it stays for a moment, first in, first out --- */

static void linger(struct grip *g)
{
    struct lingering *l = &g->proxy->lingering[g->hot];
    g->idle_us = g->proxy->now.mono_us;
    g->lingers = true;
    l->n++;
    g->linger_next = NULL;
    g->linger_prev = l->tail;
    *l->tail = g;
    l->tail = &g->linger_next;
}

static void linger_end(struct grip *g)
{
    struct lingering *l = &g->proxy->lingering[g->hot];
    *g->linger_prev = g->linger_next;
    if (g->linger_next)
        g->linger_next->linger_prev = g->linger_prev;
    else
        l->tail = g->linger_prev;
    g->lingers = false;
    l->n--;
}

void grip_again(struct grip *g)
{
    if (!g->lingers || g->idle_us == g->proxy->now.mono_us) /* then it did already, in this burst */
        return;
    linger_end(g);
    linger(g);
}

static void grip_free(struct grip *g)
{
    struct proxy *p = g->proxy;
    if (g->lingers)
        linger_end(g);
    if (g->let_go_us)
        p->letting_go--;
    struct grip **at = grip_slot(p, g->object);
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    plain_drop(g);
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
    if (g->asked)
        return;
    if (g->let_go_us) {
        grip_free(g);
        return;
    }
    linger(g);
    struct lingering *l = &g->proxy->lingering[g->hot];
    if (l->n > (g->hot ? PROXY_LINGERING_HOT : PROXY_LINGERING))
        grip_free(l->first);
}

static void grip_use(struct grip *g)
{
    if (g->lingers)
        linger_end(g);
    g->released = false;
    g->hold.count++;
}

void grips_poll(struct proxy *p, struct now now)
{
    for (unsigned hot = 0; hot < 2; hot++) {
        const struct lingering *l = &p->lingering[hot];
        while (l->first && now.mono_us - l->first->idle_us >= PROXY_LINGER_US)
            grip_free(l->first);
    }
}

bool grip_is(const struct hold *h)
{
    return h->free == grip_released;
}

void grip_let_go(struct proxy *p, struct grip *g, struct now now)
{
    if (g->lingers) {
        grip_free(g);
    } else if (!g->let_go_us) {
        g->let_go_us = now.mono_us;
        p->letting_go++;
    }
}

struct grip *grip_take(struct proxy *p, const struct cache_object *o)
{
    struct grip *g = grip_find(p, o);
    if (!g) {
        for (unsigned hot = 0; !p->grip_free && hot < 2; hot++)
            if (p->lingering[hot].first)
                grip_free(p->lingering[hot].first);
        g = p->grip_free;
        if (!g)
            return NULL;
        p->grip_free = g->next;
        struct grip **slot = grip_slot(p, o);
        *g = (struct grip){.hold = {0, grip_released}, .proxy = p, .object = o, .next = *slot};
        *slot = g;
        cache_pin(o, p->config.worker);
        counter_inc(&p->counters.proxy_pins_total);
    }
    grip_use(g);
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
        grip_released(&g->hold);
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
    grip_use(g); /* the last of them may let go of the object */
    while (list) {
        struct request *r = list;
        grip_unwait(r);
        transfer_run(p, r, now);
    }
    grip_drop(g);
}

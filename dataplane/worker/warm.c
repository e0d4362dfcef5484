/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's side of a warm restart, in small steps a turn so that packets do not wait: it shows
 * control what is worth being kept, and takes over what an earlier run kept.
 *
 * Objects that are shown are pinned here and unpinned here, when the batch comes back; the thread
 * that writes the file only reads between. The event and command rings order both: it sees whole
 * what was complete before the pin, and has read it before the unpin. A complete object's bytes
 * never change, and unlinked, it is not freed while it is pinned.
 */
#include "dataplane/worker/worker.h"

#define WALK_BUCKETS 64u    /* a turn */
#define TAKE_BYTES   65536u /* a turn: some 20 us of copying and checksums */
#define TAKE_PIECES  32u    /* a turn */

/* --- to be saved --------------------------------------------------------------------------- */

static void unpin(struct worker *w, struct node_save *s)
{
    for (unsigned i = 0; i < s->n; i++)
        cache_unpin(s->object[i], w->id);
    s->n = 0;
    s->bytes = 0;
}

void warm_save(struct worker *w, struct node_save *s)
{
    unpin(w, s);
    if (s->enough)
        s->at.over = true;
    w->save = s;
}

/* Pins what is of use among the next buckets; true when the batch is to go back. */
bool node_save_step(struct node *n, unsigned worker, struct node_save *s, struct now now)
{
    const struct cache_object *found[CACHE_WALK_ROOM];
    for (unsigned i = 0; i < WALK_BUCKETS && !s->at.over; i++) {
        if (s->n > NODE_SAVE_OBJECTS - CACHE_WALK_ROOM || s->bytes >= NODE_SAVE_BYTES)
            return true;
        unsigned k = cache_walk(n->cache, worker, &s->at, s->heat, 1, found, CACHE_WALK_ROOM);
        for (unsigned j = 0; j < k; j++) {
            const struct cache_object *o = found[j];
            /* a primary is of no use without the variant behind it */
            const struct cache_object *judged = cache_meta(o)->varies ? found[j + 1] : o;
            if (!saved_useful(cache_meta(judged), now.wall_s))
                continue;
            cache_pin(o, worker);
            s->heat_of[s->n] = (uint8_t)cache_heat(o);
            s->object[s->n++] = o;
            s->bytes += cache_ready(o);
        }
    }
    return s->at.over;
}

/* --- to be taken over ---------------------------------------------------------------------- */

/* control sends a batch only after one of those two has come back from everybody. */
void warm_load(struct worker *w, struct node_load *l)
{
    l->at[w->id] = (struct node_load_at){0};
    w->load[w->load[0] ? 1 : 0] = l;
}

static bool load_step(struct worker *w, struct node_load *l)
{
    struct node_load_at *at = &l->at[w->id];
    size_t left = TAKE_BYTES;
    for (unsigned i = 0; i < TAKE_PIECES && left && at->piece < l->n; i++) {
        const struct proxy_piece *p = &l->piece[at->piece];
        if (p->owner == w->id) {
            /* before each step: what a purge took away after it was read must not come back */
            if (atomic_load_explicit(l->cancel, memory_order_acquire)) {
                at->piece = l->n;
                break;
            }
            size_t n = proxy_restore(w->proxy, p, at->byte, left, w->now);
            left -= n;
            at->byte += n;
            if (at->byte < p->len)
                break;
        }
        at->piece++;
        at->byte = 0;
    }
    if (l->last && at->piece == l->n)
        proxy_restore_stop(w->proxy);
    return at->piece == l->n;
}

/* --- a turn -------------------------------------------------------------------------------- */

/* There is something of the two. */
bool warm_poll(struct worker *w)
{
    if (w->save && node_save_step(w->node, w->id, w->save, w->now)) {
        event_post(w, &(struct node_event){.type = NODE_SAVED, .ptr = w->save});
        w->save = NULL;
    }
    if (w->load[0] && load_step(w, w->load[0])) {
        event_post(w, &(struct node_event){.type = NODE_LOADED, .ptr = w->load[0]});
        w->load[0] = w->load[1];
        w->load[1] = NULL;
    }
    return true;
}

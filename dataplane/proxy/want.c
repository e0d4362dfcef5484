/* SPDX-License-Identifier: BSD-3-Clause */
/* What passes between the worker that has the client, R, and the owner of the key, O. */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* --- R -------------------------------------------------------------------- */

void want_send(struct proxy *p, struct request *r, const struct cache_object *seen, struct now now)
{
    r->state = REQUEST_WAITING;
    if (!r->waited)
        alarm_set(p, &r->alarm, now.mono_us + request_wait_us(r));
    r->waited = true;
    r->owned = true;
    post_send(p, &r->post, r->owner, PROXY_WANT, 0,
              &(struct proxy_note){.request = r, .object = seen});
}

void want_behind(struct proxy *p, struct request *r, const struct cache_object *seen,
                 struct now now)
{
    struct known *lately = &p->behind_known[r->hash.lo % PROXY_BEHIND_KNOWN];
    if (known_is(lately, r->hash, now) || r->owned || r->post.queued)
        return;
    known_note(lately, r->hash, now.mono_us + PROXY_BEHIND_US);
    r->owned = true;
    post_send(p, &r->post, r->owner, PROXY_BEHIND, 0,
              &(struct proxy_note){.request = r, .object = seen});
}

void want_ahead(struct proxy *p, struct request *r)
{
    r->owned = true;
    post_send(p, &r->post, r->owner, PROXY_BEHIND, 0, &(struct proxy_note){.request = r});
}

static void on_ready(struct proxy *p, struct request *r, const struct proxy_note *n, struct now now)
{
    bool wanted = r->state == REQUEST_WAITING;
    if (!r->head_sent) { /* and r->hash may be a variant's by now */
        r->source = n->source;
        r->collapsed = n->collapsed;
        r->stale = n->stale;
        r->refreshed = n->refreshed;
        /* softly purged, it was not to be found here, but by its owner */
        if (r->refreshed && r->forward <= FORWARD_VARY_MISS)
            r->forward = FORWARD_STALE;
    }
    r->path_known = true;
    r->path_len = r->o.path_len;
    /* our pin first: O may let go of its own after GOT */
    struct grip *pinned = wanted ? grip_take(p, n->object) : NULL;
    post_send(p, &r->post, r->owner, PROXY_GOT, 0, &(struct proxy_note){.fill = n->fill});
    if (!wanted) {
        request_release(p, r);
        return;
    }
    if (pinned)
        transfer_start(p, r, n->object, now);
    else
        respond_status(p, r, 503, "too many objects in flight; try again", now);
    if (pinned)
        grip_drop(pinned);
}

static const char *failure_text(unsigned status, enum access_reason reason, bool open)
{
    if (reason == ACCESS_SHED)
        return PROXY_SHED_TEXT;
    switch (status) {
    case 403:
        return open ? "the origin's address is not allowed (the operator's open.allow_origins)"
                    : "the origin's address is not allowed (the operator's sites.*.allow)";
    case 503:
        return "too many fills in flight; try again";
    case 504:
        return "the origin did not answer in time";
    case 508:
        return "this node waits for you";
    default:
        return "the origin can't be reached, or answers nonsense";
    }
}

/* An answer that ends O's part in the request. */
static void on_answer(struct proxy *p, const struct message *m, struct request *r,
                      const struct proxy_note *n, struct now now)
{
    r->owned = false;
    if (m->type == PROXY_READY) {
        on_ready(p, r, n, now);
        return;
    }
    if (m->type == PROXY_RELEASE && n->collapsed)
        pass_note(p, request_known(r), now);
    if (m->type == PROXY_PASS_END && r->state == REQUEST_PASSING) {
        pass_ended(p, r, m->tag != 0, now);
        return;
    }
    if (r->state != REQUEST_WAITING) {
        request_release(p, r);
        return;
    }
    switch (m->type) {
    case PROXY_AGAIN: /* with what came since it asked */
        if (!m->tag)
            r->asks.no_cache = false;
        request_again(p, r, now);
        break;
    case PROXY_RELEASE:
        pass_start(p, r, now);
        break;
    case PROXY_DONE: /* of what was asked for while the slice before was sent */
        slice_go_on(p, r, now);
        break;
    case PROXY_FAILED:
        r->reason = (uint8_t)(m->tag >> 16);
        if (r->logged)
            access_waited(r, r->o.spent_us);
        respond_status(p, r, m->tag & 0xffff,
                       failure_text(m->tag & 0xffff, (enum access_reason)r->reason, r->open), now);
        break;
    default: /* PASS_END before a head */
        respond_status(p, r, 502, failure_text(502, ACCESS_NO_REASON, r->open), now);
        break;
    }
}

static void on_progress(struct proxy *p, const struct cache_object *o, struct now now)
{
    struct grip *g = grip_find(p, o);
    if (g) /* else all who waited here are gone */
        grip_progress(p, g, now);
}

/* --- O -------------------------------------------------------------------- */

void want_answer(struct proxy *p, struct request *r, uint16_t type, uint32_t tag,
                 struct proxy_note note)
{
    note.request = r;
    post_send(p, &r->o.post, r->o.worker, type, tag, &note);
}

/* Did it come, or was it made stale by a purge, between R's look and now? */
static bool look_again(const struct request *r, const struct cache_object *o,
                       const struct cache_object *seen, struct now now)
{
    if (!o || (o == seen && !r->peer))
        return false;
    return cache_fresh(o, now) ||
           (!r->peer && !r->to_origin &&
            cache_reuse(cache_meta(o), &r->asks, now.wall_s).use <= CACHE_USE_STALE_REVALIDATE);
}

/* It would begin a fetch, and this worker has too much to do: then it gets what is old, as when no
 * origin helps, or is refused. Not in the middle of a response. */
static bool fetch_shed(struct proxy *p, struct request *r, const struct cache_object *o,
                       const struct cache_vary *vary, struct now now)
{
    if (r->head_sent || !proxy_sheds(p, SHED_FETCH, r->peer))
        return false;
    struct fill *f = o && cache_usable_stale(o, now) ? fill_new(p, r, vary, now) : NULL;
    if (!f) {
        want_answer(p, r, PROXY_FAILED, PROXY_FAILED_TAG(503, ACCESS_SHED), (struct proxy_note){0});
        return true;
    }
    fill_join(f, r, now);
    f->failure = 503;
    f->reason = ACCESS_SHED;
    fill_give_up(f, now);
    return true;
}

static void on_want(struct proxy *p, struct request *r, unsigned from,
                    const struct cache_object *seen, struct now now)
{
    memset(&r->o, 0, sizeof(r->o));
    r->o.worker = (uint16_t)from;

    struct http_text key = request_key(r);
    struct cache_vary vary;
    struct fill *f = r->authorized ? NULL : fill_find(p, r); /* that is of another's credentials */
    if (f) {
        r->o.joined = true;
        fill_join(f, r, now);
        return;
    }
    const struct cache_object *o =
        request_may_have(r, cache_lookup_owner(p->cache, r->hash, key.p, key.len));
    if (!vary_in_force(p, r, &vary) || /* R looked before by what it varies was known, or purged */
        look_again(r, o, seen, now)) { /* came whole between R's look and now */
        want_answer(p, r, PROXY_AGAIN, 0, (struct proxy_note){0});
    } else if (r->peer) { /* a peer's request never recurses (DESIGN decision 5) */
        want_answer(p, r, PROXY_FAILED, 504, (struct proxy_note){0});
    } else if (pass_known(p, request_known(r), now)) {
        want_answer(p, r, PROXY_RELEASE, 0, (struct proxy_note){.collapsed = 1});
    } else if (fetch_shed(p, r, o, &vary, now)) {
        return;
    } else if ((f = fill_new(p, r, &vary, now))) {
        fill_join(f, r, now);
        source_begin(f, now);
    } else {
        want_answer(p, r, PROXY_FAILED, 503, (struct proxy_note){0});
    }
}

static void on_follow(struct proxy *p, unsigned from, const struct proxy_note *n)
{
    struct fill *f = p->fill_table[n->chain & p->fill_mask];
    while (f && f->object != n->object)
        f = f->next;
    if (f)
        f->followers |= 1u << from;
    post_send(p, &n->grip->answer, from, PROXY_FOLLOWED, 0, &(struct proxy_note){.grip = n->grip});
}

static void on_damaged(struct proxy *p, struct request *r, unsigned from,
                       const struct cache_object *damaged)
{
    memset(&r->o, 0, sizeof(r->o));
    r->o.worker = (uint16_t)from;
    /* only if that very object still stands there: its memory may be another's by now */
    struct http_text key = request_key(r);
    const struct cache_object *o = cache_lookup_owner(p->cache, r->hash, key.p, key.len);
    if (o && o == damaged)
        cache_damaged(p->cache, o);
    want_answer(p, r, PROXY_DONE, 0, (struct proxy_note){0});
}

/* Nobody waits for this fill; a second one for the same key there is not. */
static void on_behind(struct proxy *p, struct request *r, unsigned from,
                      const struct cache_object *seen, struct now now)
{
    memset(&r->o, 0, sizeof(r->o));
    r->o.worker = (uint16_t)from;
    struct http_text key = request_key(r);
    struct cache_vary vary;
    const struct cache_object *o = cache_lookup_owner(p->cache, r->hash, key.p, key.len);
    if (o == seen && !pass_known(p, request_known(r), now) && vary_in_force(p, r, &vary) &&
        !fill_find(p, r) && !p->shed.pressure) { /* nobody waits: the first to be left out */
        struct fill *f = fill_new(p, r, &vary, now);
        if (f) {
            counter_inc(seen ? &p->counters.proxy_behind_total
                             : &p->counters.proxy_slices_ahead_total);
            source_begin(f, now);
        }
    }
    want_answer(p, r, PROXY_DONE, 0, (struct proxy_note){0});
}

static void on_pass_stop(struct request *r, struct fill *f, uint32_t gen)
{
    if (f->gen == gen && f->streaming == r) {
        pass_end(f, false);
        fill_end(f);
    }
}

void want_deliver(struct proxy *p, const struct message *m, struct now now)
{
    struct proxy_note n;
    memcpy(&n, m->body, sizeof(n));
    switch (m->type) {
    case PROXY_WANT:
        on_want(p, n.request, m->from, n.object, now);
        break;
    case PROXY_BEHIND:
        on_behind(p, n.request, m->from, n.object, now);
        break;
    case PROXY_GOT:
        fill_got(n.fill);
        break;
    case PROXY_FOLLOW:
        on_follow(p, m->from, &n);
        break;
    case PROXY_FOLLOWED:
        grip_followed(p, n.grip, now);
        break;
    case PROXY_PROGRESS:
        on_progress(p, n.object, now);
        break;
    case PROXY_PASS:
        pass_received(p, n.request, m, now);
        break;
    case PROXY_INTERIM:
        pass_interim_received(p, n.request, n.block);
        break;
    case PROXY_PASS_STOP:
        on_pass_stop(n.request, n.fill, n.fill_gen);
        break;
    case PROXY_BLOCK:
        pass_credit(p, n.block);
        break;
    case PROXY_HEALTH:
        health_told(p, m, now);
        break;
    case PROXY_LET_GO:
        let_go_asked(p, n.object, now);
        break;
    case PROXY_DAMAGED:
        on_damaged(p, n.request, m->from, n.object);
        break;
    case PROXY_FORGET:
        forget_key(p, m->from, n.forget, now);
        break;
    case PROXY_FORGOTTEN:
        forget_done(p, n.forget, now);
        break;
    case PROXY_READY:
    case PROXY_AGAIN:
    case PROXY_FAILED:
    case PROXY_RELEASE:
    case PROXY_PASS_END:
    case PROXY_DONE:
        on_answer(p, m, n.request, &n, now);
        break;
    default:
        break;
    }
}

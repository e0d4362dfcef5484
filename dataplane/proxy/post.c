/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages on their way. A ring that is full keeps what is behind it waiting, in order, until the
 * next poll (DESIGN decision 3). What a worker sends itself is delivered from the same queue, never
 * from inside the call that sent it, so that no engine is entered twice.
 */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

void post_init(struct proxy *p)
{
    for (unsigned i = 0; i < PROXY_WORKERS; i++) {
        p->out[i].head = NULL;
        p->out[i].tail = &p->out[i].head;
    }
}

/* Once posted, a message and what it is about may belong to the receiver: nothing of it is touched
 * afterwards, unless the sender asked to be told (then the memory is its own). */
static bool post_try(struct proxy *p, struct post *post)
{
    void (*sent)(struct proxy *, struct post *) = post->sent;
    if (!p->parts.out.post(p->parts.out.ctx, post->to, &post->m))
        return false;
    if (sent)
        sent(p, post);
    return true;
}

static void post_keep(struct proxy *p, struct post *post)
{
    struct post_queue *q = &p->out[post->to];
    post->next = NULL;
    post->queued = true;
    *q->tail = post;
    q->tail = &post->next;
    p->posts++;
}

void post_send(struct proxy *p, struct post *post, unsigned to, uint16_t type, uint32_t tag,
               const struct proxy_note *note)
{
    memset(&post->m, 0, sizeof(post->m));
    post->m.type = type;
    post->m.from = (uint16_t)p->config.worker;
    post->m.tag = tag;
    memcpy(post->m.body, note, sizeof(*note));
    post->to = (uint16_t)to;
    post->queued = false;

    if (to != p->config.worker) {
        if (!p->out[to].head && post_try(p, post))
            return;
        counter_inc(&p->counters.proxy_messages_kept_total);
    }
    post_keep(p, post);
}

static struct post *post_take(struct proxy *p, struct post_queue *q)
{
    struct post *post = q->head;
    q->head = post->next;
    if (!q->head)
        q->tail = &q->head;
    post->queued = false;
    p->posts--;
    return post;
}

static void post_put_back(struct proxy *p, struct post_queue *q, struct post *post)
{
    post->next = q->head;
    if (!q->head)
        q->tail = &post->next;
    q->head = post;
    post->queued = true;
    p->posts++;
}

void post_flush(struct proxy *p, struct now now)
{
    for (unsigned to = 0; to < p->config.workers && p->posts; to++) {
        struct post_queue *q = &p->out[to];
        while (to != p->config.worker && q->head) {
            struct post *post = post_take(p, q);
            if (!post_try(p, post)) {
                post_put_back(p, q, post);
                break;
            }
        }
    }
    /* bounded: a message to ourselves makes at most one more, and none of those goes in a circle
     * without a request being looked up again, which is counted (PROXY_TRIES) */
    struct post_queue *own = &p->out[p->config.worker];
    while (own->head) {
        struct post *post = post_take(p, own);
        struct message m = post->m; /* the memory may be reused while it is delivered */
        if (post->sent)
            post->sent(p, post);
        want_deliver(p, &m, now);
    }
}

bool post_waiting(const struct proxy *p)
{
    return p->posts > 0;
}

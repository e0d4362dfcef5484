/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open loop. Each request is for a node picked at random, of a client near it, and goes out in
 * its time on a connection that has nothing to do, or on a new one; it is measured from its time in
 * the schedule. What is asked for follows Zipf's law by age, so that what has just appeared is what
 * most want at once. Status, length and all bytes of each answer are checked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/flash.h"
#include "perf/answer_head.h"

static void wrong(struct flash_clients *c, enum perf_error class)
{
    c->errors.n[class]++;
}

static void give_up(struct flash_client *f, enum perf_error class)
{
    wrong(f->all, class);
    stream_abort(f->stream);
}

static void to_idle(struct flash_client *f)
{
    struct flash_clients *c = f->all;
    f->next_idle = c->idle[f->node];
    c->idle[f->node] = (uint32_t)(f - c->client) + 1;
}

static void send_request(struct flash_client *f)
{
    char request[128];
    int n = snprintf(request, sizeof(request),
                     "GET /%08u.%u HTTP/1.1\r\nHost: " FLASH_SITE "\r\nAccept: */*\r\n\r\n",
                     f->object, f->all->seed);
    f->in_body = false;
    if (stream_copy(f->stream, request, (size_t)n) != (size_t)n)
        give_up(f, PERF_ERROR_send);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* By what the node says of it (RFC 9211). */
static enum flash_served served_by(const uint8_t *head, size_t len)
{
    const uint8_t *field = memmem(head, len, "\r\nCache-Status: ", 16);
    size_t left = field ? len - (size_t)(field - head) : 0;
    if (left > 16 + 11 && memcmp(field + 16, "coral-peer,", 11) == 0)
        return FLASH_PEER;
    return left > 16 + 10 && memcmp(field + 16, "coral; hit", 10) == 0 ? FLASH_OWN
                                                                       : FLASH_FROM_ORIGIN;
}

/* The head of an answer; 0: not whole yet, or the client gave up. */
static size_t take_head(struct flash_client *f, const uint8_t *data, size_t len)
{
    struct answer_head head;
    if (!answer_head_read(data, len, &head)) {
        if (len >= ANSWER_HEAD_MAX)
            give_up(f, PERF_ERROR_head);
        return 0;
    }
    if (head.status != 200 || head.body != f->all->bodies->size) {
        give_up(f, head.status != 200 ? PERF_ERROR_status : PERF_ERROR_head);
        return 0;
    }
    f->served = (uint8_t)served_by(data, head.len);
    f->left = f->all->bodies->size;
    f->in_body = true;
    return head.len;
}

static void finished(struct flash_client *f)
{
    struct flash_clients *c = f->all;
    f->busy = false;
    c->waiting--;
    if (f->counted) {
        double us = (double)c->world->now.mono_us - f->since_us;
        uint64_t ns = us > 0 ? (uint64_t)(us * 1000) : 0;
        c->verified++;
        hdr_add(&c->all, ns);
        hdr_add(&c->by_cluster[f->node / FLASH_CLUSTER_NODES], ns);
        hdr_add(&c->by_source[f->served], ns);
    }
    to_idle(f);
}

static size_t received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct flash_client *f = s->user;
    const struct flash_bodies *b = f->all->bodies;
    size_t used = 0;
    (void)now;

    if (!f->busy) {
        give_up(f, PERF_ERROR_head);
        return 0;
    }
    if (!f->in_body && (used = take_head(f, data, len)) == 0)
        return 0;
    size_t n = RTE_MIN(f->left, (uint64_t)(len - used));
    if (memcmp(data + used, flash_body(b, f->object) + (b->size - f->left), n) != 0) {
        give_up(f, PERF_ERROR_body);
        return 0;
    }
    f->left -= n;
    if (f->left == 0)
        finished(f);
    return used + n;
}

static void opened(struct stream *s, struct now now)
{
    struct flash_client *f = s->user;
    (void)now;
    f->open = true;
    send_request(f);
}

static void eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

/* One that was waiting has had no answer; what is closed in peace is opened anew when it is wanted.
 */
static void closed(struct stream *s, enum stream_end why, struct now now)
{
    struct flash_client *f = s->user;
    (void)now;
    f->stream = NULL;
    f->open = false;
    if (!f->busy)
        return;
    if (why != STREAM_ABORTED)
        wrong(f->all, perf_error_of(why));
    f->busy = false;
    f->all->waiting--;
    to_idle(f);
}

/* --- requests --------------------------------------------------------------------------------- */

static struct flash_client *take_client(struct flash_clients *c, unsigned node)
{
    uint32_t at = c->idle[node];
    if (at) {
        c->idle[node] = c->client[at - 1].next_idle;
        return &c->client[at - 1];
    }
    if (c->clients == c->room)
        return NULL;
    struct flash_client *f = &c->client[c->clients++];
    *f = (struct flash_client){.all = c, .node = node};
    return f;
}

static bool connect_to(struct flash_client *f)
{
    static const struct stream_events events = {
        .opened = opened, .received = received, .eof = eof, .closed = closed};
    struct flash_world *w = f->all->world;
    const struct addr ip = flash_client_ip(f->node / FLASH_CLUSTER_NODES);
    const struct endpoint to = {flash_node_ip(f->node), 80};
    f->stream = tcp_connect(w->host.tcp, &ip, &to, &events, f, w->now);
    return f->stream != NULL;
}

void flash_clients_ask(struct flash_clients *c, unsigned node, uint32_t object, double since_us)
{
    struct flash_client *f = take_client(c, node);
    if (!f) {
        wrong(c, PERF_ERROR_refused);
        return;
    }
    f->object = object;
    f->since_us = since_us;
    f->counted = c->counting;
    if (c->counting)
        c->wanted[object][node / FLASH_CLUSTER_NODES] = 1;
    flash_world_host(c->world);
    if (!f->stream && !connect_to(f)) {
        wrong(c, PERF_ERROR_refused);
        to_idle(f);
        return;
    }
    f->busy = true;
    c->waiting++;
    if (f->open)
        send_request(f);
}

void flash_clients_born(struct flash_clients *c, uint32_t objects)
{
    uint64_t state = c->zipf.state;
    c->objects = objects;
    c->zipf = zipf_make(objects, c->zipf.s, 1);
    c->zipf.state = state;
}

uint64_t flash_clients_due_us(const struct flash_clients *c)
{
    return (uint64_t)(c->schedule.due / 1000) + 1;
}

void flash_clients_turn(struct flash_clients *c)
{
    uint64_t now_ns = c->world->now.mono_us * 1000;
    while (schedule_due(&c->schedule, now_ns)) {
        double since_us = c->schedule.due / 1000;
        schedule_next(&c->schedule);
        unsigned node = rng_below(&c->rng, FLASH_NODES);
        flash_clients_ask(c, node, c->objects - 1 - zipf_next(&c->zipf), since_us);
    }
}

bool flash_clients_open(struct flash_clients *c, struct flash_world *w,
                        const struct flash_bodies *bodies, const struct perf_options *o,
                        uint32_t objects, uint32_t room)
{
    *c = (struct flash_clients){
        .world = w, .bodies = bodies, .room = room, .seed = o->seed + o->round};
    rng_init_u64(&c->rng, c->seed);
    c->zipf = zipf_make(o->objects, o->zipf, rng_u64(&c->rng));
    c->objects = o->objects;
    c->client = calloc(room, sizeof(*c->client));
    c->wanted = calloc(objects, sizeof(*c->wanted));
    if (!c->client || !c->wanted || !schedule_open(&c->schedule, o->rate, o->poisson, 1e9))
        return false;
    c->schedule.at = rng_u32(&c->rng); /* where in the distances drawn */
    return true;
}

void flash_clients_close(struct flash_clients *c)
{
    schedule_close(&c->schedule);
    free(c->client);
    free(c->wanted);
}

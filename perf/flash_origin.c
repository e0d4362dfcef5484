/* SPDX-License-Identifier: BSD-3-Clause */
/* The origin: has every object that exists, keeps its connections, answers after FLASH_THINK_US,
 * and counts who asked for what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/flash.h"

uint32_t flash_object(const uint8_t *request, size_t len)
{
    uint32_t object = 0;
    if (len < 13 || memcmp(request, "GET /", 5) != 0)
        return UINT32_MAX;
    for (unsigned i = 5; i < 13; i++) {
        if (request[i] < '0' || request[i] > '9')
            return UINT32_MAX;
        object = object * 10 + (uint32_t)(request[i] - '0');
    }
    return object;
}

static size_t received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct flash_conn *c = s->user;
    struct flash_origin *o = c->origin;
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    uint32_t object = flash_object(data, len);
    if (object >= o->objects || o->answers == o->room) {
        o->unknown++;
        stream_abort(s);
        return 0;
    }
    o->requests++;
    o->asked[object][flash_cluster_of(&s->remote.ip)]++;
    o->answer[(o->first + o->answers++) % o->room] =
        (struct flash_answer){now.mono_us + FLASH_THINK_US, c, c->life, object};
    return (size_t)(end - data) + 4;
}

static void eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static void closed(struct stream *s, enum stream_end why, struct now now)
{
    struct flash_conn *c = s->user;
    (void)why, (void)now;
    c->stream = NULL;
    c->next_free = c->origin->free_conn;
    c->origin->free_conn = (uint32_t)(c - c->origin->conn) + 1;
}

static bool accept_one(void *ctx, struct stream *s, struct now now)
{
    static const struct stream_events events = {.received = received, .eof = eof, .closed = closed};
    struct flash_origin *o = ctx;
    (void)now;
    if (!o->free_conn)
        return false;
    struct flash_conn *c = &o->conn[o->free_conn - 1];
    o->free_conn = c->next_free;
    c->stream = s;
    c->life++;
    s->events = &events;
    s->user = c;
    return true;
}

bool flash_origin_open(struct flash_origin *o, struct tcp_engine *tcp,
                       const struct flash_bodies *bodies, uint32_t objects, uint32_t connections)
{
    *o = (struct flash_origin){.bodies = bodies, .objects = objects, .room = connections};
    o->asked = calloc(objects, sizeof(*o->asked));
    o->conn = calloc(connections, sizeof(*o->conn));
    o->answer = calloc(connections, sizeof(*o->answer));
    if (!o->asked || !o->conn || !o->answer)
        return false;
    for (uint32_t i = connections; i-- > 0; o->free_conn = i + 1) {
        o->conn[i].origin = o;
        o->conn[i].next_free = o->free_conn;
    }
    o->head_len = (uint32_t)snprintf(o->head, sizeof(o->head),
                                     "HTTP/1.1 200 OK\r\nCache-Control: max-age=86400\r\n"
                                     "ETag: \"1\"\r\nContent-Length: %u\r\n\r\n",
                                     bodies->size);
    return tcp_listen(tcp, FLASH_ORIGIN_PORT, accept_one, o);
}

void flash_origin_close(struct flash_origin *o)
{
    free(o->asked);
    free(o->conn);
    free(o->answer);
}

uint64_t flash_origin_due_us(const struct flash_origin *o)
{
    return o->answers ? o->answer[o->first].due_us : UINT64_MAX;
}

bool flash_origin_turn(struct flash_origin *o, struct now now)
{
    bool any = false;
    while (flash_origin_due_us(o) <= now.mono_us) {
        const struct flash_answer a = o->answer[o->first];
        o->first = (o->first + 1) % o->room;
        o->answers--;
        struct stream *s = a.conn->life == a.life ? a.conn->stream : NULL;
        if (!s)
            continue;
        any = true;
        const struct ref head = {(const uint8_t *)o->head, o->head_len, NULL},
                         body = {flash_body(o->bodies, a.object), o->bodies->size, NULL};
        if (!stream_send(s, head) || !stream_send(s, body))
            stream_abort(s);
    }
    return any;
}

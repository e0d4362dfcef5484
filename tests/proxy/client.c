/* SPDX-License-Identifier: BSD-3-Clause */
/* A client of the world's nodes: sends what it is told to and looks at what comes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "world.h"

static void on_nothing(struct stream *s, struct now now)
{
    (void)s, (void)now;
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct client *c = s->user;
    (void)now;
    if (c->paused)
        return 0;
    if (c->len + len + 1 > c->room) {
        c->room = (c->len + len + 1) * 2;
        c->data = realloc(c->data, c->room);
    }
    memcpy(c->data + c->len, data, len);
    c->len += len;
    c->data[c->len] = '\0';
    return len;
}

static void on_eof(struct stream *s, struct now now)
{
    struct client *c = s->user;
    (void)now;
    c->eof = true;
    stream_shut(s);
}

static void on_closed(struct stream *s, enum stream_end why, struct now now)
{
    struct client *c = s->user;
    (void)now;
    c->closed = true;
    c->why = why;
    c->pipe = NULL;
}

static const struct stream_events client_events = {on_nothing, on_received, on_nothing,
                                                   on_eof,     on_closed,   NULL};

void client_send(struct world *w, struct client *c, unsigned node, unsigned worker,
                 const char *request)
{
    struct endpoint from = {addr_is_zero(&w->client) ? addr_v4(0x0a640001) : w->client, 50000},
                    to = {w->node[node].self.v4, 80};
    memset(c, 0, sizeof(*c));
    c->world = w;
    c->to_head = strncmp(request, "HEAD", 4) == 0;
    c->pipe = world_connect(w, &from, &w->clients_up, &to, (int)worker, &client_events, c);
    stream_copy(&c->pipe->a.s, request, strlen(request));
}

void client_more(struct client *c, const char *request)
{
    c->len = 0;
    c->whole = false;
    if (c->pipe)
        stream_copy(&c->pipe->a.s, request, strlen(request));
}

void client_get(struct world *w, struct client *c, unsigned node, unsigned worker, const char *host,
                const char *path, const char *fields)
{
    char request[4096];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host,
             fields ? fields : "");
    client_send(w, c, node, worker, request);
}

void client_leave(struct client *c)
{
    if (c->pipe)
        stream_abort(&c->pipe->a.s);
}

static bool take_chunked(struct client *c, const uint8_t *data, size_t len)
{
    struct http_chunked k;
    http_chunked_init(&k);
    for (size_t at = 0; at < len;) {
        size_t used;
        struct http_text span;
        enum http_error e = http_chunked_next(&k, data + at, len - at, &used, &span);
        if (span.len)
            memcpy(c->body + c->body_len, span.p, span.len);
        c->body_len += span.len;
        at += used;
        if (e == HTTP_OK)
            return true;
        if (e == HTTP_BAD_BODY || used == 0)
            return false;
    }
    return false;
}

bool client_parse(struct client *c)
{
    c->whole = false;
    c->body_len = 0;
    if (!c->data || http_parse_response(c->data, c->len, c->to_head, &c->head) != HTTP_OK)
        return false;
    size_t have = c->len - c->head.head_len;
    const uint8_t *data = (const uint8_t *)c->data + c->head.head_len;
    free(c->body);
    c->body = malloc(have + 1);
    if (c->head.framing == HTTP_BODY_CHUNKED) {
        c->whole = take_chunked(c, data, have);
        return c->whole;
    }
    memcpy(c->body, data, have);
    c->body_len = have;
    c->whole = c->head.framing == HTTP_BODY_NONE     ? have == 0
               : c->head.framing == HTTP_BODY_LENGTH ? have == c->head.content_length
                                                     : c->eof;
    return c->whole;
}

bool client_wait(struct client *c, unsigned ms)
{
    size_t looked = (size_t)-1;
    for (unsigned i = 0; i < ms; i++) {
        world_step(c->world);
        if (c->len != looked || c->eof || c->closed) {
            looked = c->len;
            if (client_parse(c) || c->closed)
                break;
        }
    }
    return c->whole;
}

void client_free(struct client *c)
{
    free(c->data);
    free(c->body);
    c->data = NULL;
    c->body = NULL;
    if (c->pipe)
        stream_abort(&c->pipe->a.s);
    while (c->pipe)
        world_step(c->world);
}

bool client_body_is(const struct client *c, uint64_t salt, uint64_t from, uint64_t length)
{
    if (!c->whole || c->body_len != length)
        return false;
    for (uint64_t i = 0; i < length; i++)
        if (c->body[i] != origin_byte(salt, from + i))
            return false;
    return true;
}

const char *client_field(const struct client *c, const char *name)
{
    static char value[1024];
    for (unsigned i = 0; i < c->head.fields; i++) {
        const struct http_field *f = &c->head.field[i];
        if (f->name.len == strlen(name) && strncasecmp(f->name.p, name, f->name.len) == 0) {
            snprintf(value, sizeof(value), "%.*s", (int)f->value.len, f->value.p);
            return value;
        }
    }
    return "";
}

unsigned world_get(struct world *w, struct client *c, unsigned node, const char *host,
                   const char *path, const char *fields)
{
    client_get(w, c, node, 0, host, path, fields);
    client_wait(c, 60000);
    return c->whole ? c->head.status : 0;
}

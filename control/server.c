/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/request.h"
#include "control/utf8.h"

#define SLOW_US 10000000u /* without taking a byte of its answer */

struct client {
    int fd; /* -1: free */
    uint32_t generation;
    bool waiting; /* its line is being worked on */
    bool ending;  /* it sends no more, or said nonsense: closed when all is sent */
    char *in;
    size_t in_len, in_room;
    char *out;
    size_t out_len, out_sent;
    uint64_t moved_us; /* when it last took bytes */
};

struct server {
    int listener, epoll;
    server_request *request;
    void *ctx;
    uint64_t now_us;
    struct client client[SERVER_CLIENTS];
};

static uint32_t client_name(const struct server *s, const struct client *c)
{
    return c->generation << 8 | (uint32_t)(c - s->client);
}

static void client_watch(struct server *s, struct client *c)
{
    struct epoll_event e = {.data.u32 = (uint32_t)(c - s->client)};
    /* while a line is being worked on nothing more is read: a client cannot fill memory */
    if (!c->waiting && !c->ending)
        e.events |= EPOLLIN;
    if (c->out_len > c->out_sent)
        e.events |= EPOLLOUT;
    epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void client_close(struct client *c)
{
    close(c->fd);
    free(c->in);
    free(c->out);
    *c = (struct client){.fd = -1, .generation = (c->generation + 1) & 0xffffff};
}

static void client_accept(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
        struct client *c = &s->client[i];
        if (c->fd >= 0)
            continue;
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
            break;
        *c = (struct client){.fd = fd, .generation = c->generation, .moved_us = s->now_us};
        return;
    }
    static const char full[] = "{\"ok\": false, \"error\": \"too many clients; try again\"}\n";
    ssize_t done = send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL);
    (void)done;
    close(fd);
}

/* False: the client is gone. */
static bool client_send(struct server *s, struct client *c)
{
    while (c->out_sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0) {
            client_close(c);
            return false;
        }
        c->out_sent += (size_t)n;
        c->moved_us = s->now_us;
    }
    if (c->out_sent == c->out_len) {
        free(c->out);
        c->out = NULL;
        c->out_len = c->out_sent = 0;
        if (c->ending && !c->waiting) {
            client_close(c);
            return false;
        }
    }
    return true;
}

/* Hands on the next whole line, if there is one and the last one is answered. */
static void client_lines(struct server *s, struct client *c)
{
    uint32_t name = client_name(s, c);

    while (c->fd >= 0 && client_name(s, c) == name && !c->waiting && c->out_len == 0 && c->in_len) {
        char *end = memchr(c->in, '\n', c->in_len);
        if (!end) {
            if (c->in_len < REQUEST_BYTES)
                break;
            c->ending = c->waiting = true;
            c->in_len = 0;
            server_refuse(s, name, "a request has at most 1 MiB");
            break;
        }
        size_t len = (size_t)(end - c->in), used = len + 1;
        if (len && c->in[len - 1] == '\r')
            len--;
        c->waiting = true;
        s->request(s->ctx, name, c->in, len);
        if (c->fd < 0 || client_name(s, c) != name)
            return;
        c->in_len -= used;
        memmove(c->in, c->in + used, c->in_len);
    }
}

static void client_receive(struct server *s, struct client *c)
{
    if (c->in_len == c->in_room) {
        size_t room = c->in_room ? 2 * c->in_room : 1024;
        char *in = room <= REQUEST_BYTES ? realloc(c->in, room) : NULL;
        if (!in) {
            client_close(c);
            return;
        }
        c->in = in;
        c->in_room = room;
    }
    ssize_t n = recv(c->fd, c->in + c->in_len, c->in_room - c->in_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        client_close(c);
        return;
    }
    uint32_t name = client_name(s, c);
    c->in_len += (size_t)n;
    client_lines(s, c);
    if (n == 0 && c->fd >= 0 && client_name(s, c) == name) {
        c->ending = true;
        if (!c->waiting && c->out_len == 0)
            client_close(c);
    }
}

struct server *server_open(const char *path, server_request *request, void *ctx, char *error,
                           size_t error_len)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct server *s = calloc(1, sizeof(*s));

    if (!s || strlen(path) >= sizeof(at.sun_path)) {
        snprintf(error, error_len, "cannot listen at %s: %s", path,
                 s ? "the name is too long" : "no memory");
        free(s);
        return NULL;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    for (unsigned i = 0; i < SERVER_CLIENTS; i++)
        s->client[i].fd = -1;
    s->request = request;
    s->ctx = ctx;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(path); /* of a node that was killed: the lock says that it is not running */
    mode_t mask = umask(0117);
    int bound = bind(s->listener, (struct sockaddr *)&at, sizeof(at));
    umask(mask);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = SERVER_CLIENTS};
    if (bound < 0 || listen(s->listener, SERVER_CLIENTS) < 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e) < 0) {
        snprintf(error, error_len, "cannot listen at %s: %s", path, strerror(errno));
        server_close(s);
        return NULL;
    }
    return s;
}

void server_close(struct server *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
        struct client *c = &s->client[i];
        struct pollfd wait = {.fd = c->fd, .events = POLLOUT};
        while (c->fd >= 0 && c->out_len && poll(&wait, 1, 1000) == 1 && client_send(s, c))
            ;
        if (c->fd >= 0)
            client_close(c);
    }
    if (s->listener >= 0)
        close(s->listener);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s);
}

int server_fd(const struct server *s)
{
    return s->epoll;
}

void server_poll(struct server *s, uint64_t mono_us)
{
    struct epoll_event events[SERVER_CLIENTS + 1];
    int n = epoll_wait(s->epoll, events, SERVER_CLIENTS + 1, 0);

    s->now_us = mono_us;
    for (int i = 0; i < n; i++) {
        uint32_t which = events[i].data.u32;
        if (which == SERVER_CLIENTS) {
            client_accept(s);
            continue;
        }
        struct client *c = &s->client[which];
        if (c->fd < 0)
            continue;
        if (events[i].events & (EPOLLERR | EPOLLHUP) && !(events[i].events & EPOLLIN)) {
            client_close(c);
            continue;
        }
        if (events[i].events & EPOLLOUT && client_send(s, c))
            client_lines(s, c);
        if (c->fd >= 0 && events[i].events & EPOLLIN && !c->waiting)
            client_receive(s, c);
        if (c->fd >= 0)
            client_watch(s, c);
    }
    for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
        struct client *c = &s->client[i];
        if (c->fd < 0)
            continue;
        if (c->out_len && mono_us - c->moved_us > SLOW_US) {
            client_close(c);
            continue;
        }
        client_lines(s, c); /* those behind one that was answered late */
        if (c->fd >= 0 && c->ending && !c->waiting && c->out_len == 0)
            client_close(c);
    }
}

uint64_t server_deadline_us(const struct server *s)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
        const struct client *c = &s->client[i];
        if (c->fd >= 0 && c->out_len && c->moved_us + SLOW_US < at)
            at = c->moved_us + SLOW_US;
    }
    return at;
}

void server_reply(struct server *s, uint32_t client, json_t *answer)
{
    struct client *c = &s->client[(client & 0xff) % SERVER_CLIENTS];

    if (c->fd >= 0 && client_name(s, c) == client && c->waiting) {
        char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
        size_t len = text ? strlen(text) : 0;
        c->waiting = false;
        c->out = text ? realloc(text, len + 1) : NULL;
        if (c->out) {
            c->out[len] = '\n'; /* in the place of the NUL: lengths rule from here on */
            c->out_len = len + 1;
            c->moved_us = s->now_us;
            if (client_send(s, c))
                client_watch(s, c);
        } else {
            free(text);
            client_close(c);
        }
    }
    json_decref(answer);
}

json_t *server_text(const char *text)
{
    size_t len = strlen(text);
    char *copy = strdup(text);
    for (size_t i = 0, n; copy && i < len; i += n) {
        n = utf8_character((const unsigned char *)copy + i, len - i);
        if (n == 0) {
            copy[i] = '?';
            n = 1;
        }
    }
    json_t *t = copy ? json_stringn_nocheck(copy, len) : NULL;
    free(copy);
    return t;
}

void server_refuse(struct server *s, uint32_t client, const char *error)
{
    server_reply(s, client, json_pack("{s:b, s:o}", "ok", 0, "error", server_text(error)));
}

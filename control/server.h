/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket's server: several clients, none of which can hold up the control thread.
 * Lines in, lines out; a client's next line is looked at when its last one is answered. Who
 * sends more than a request may have, or does not read, is cut.
 */
#ifndef CORAL_CONTROL_SERVER_H
#define CORAL_CONTROL_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_CLIENTS 32

struct server;

/* A request line; answered by server_reply, now or later. */
typedef void server_request(void *ctx, uint32_t client, const char *line, size_t len);

/* Listens at `path` with mode 0660. NULL with one line in `error`. */
struct server *server_open(const char *path, server_request *request, void *ctx, char *error,
                           size_t error_len);
/* Tries to send what is queued (at most 1 s), closes all. The path stays. */
void server_close(struct server *s);
/* Readable when server_poll has something to do; it is also called after late answers. */
int server_fd(const struct server *s);
void server_poll(struct server *s, uint64_t mono_us);
/* When server_poll must be called though nothing arrives. */
uint64_t server_deadline_us(const struct server *s);
/* Sends an answer and takes the reference to it. A client that has gone is no matter. */
void server_reply(struct server *s, uint32_t client, json_t *answer);
/* As JSON, whatever is in it: what is no UTF-8, as a character that was cut, is '?'. NULL: no
 * memory. */
json_t *server_text(const char *text);
/* {"ok": false, "error": ...} */
void server_refuse(struct server *s, uint32_t client, const char *error);

#endif

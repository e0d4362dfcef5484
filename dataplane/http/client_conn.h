/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Client connections and exchanges, private to client.c (an exchange's life) and client_pool.c
 * (idle connections by endpoint, memory).
 *
 * A connection serves one exchange at a time. It outlives an exchange that ends early, without
 * one, until the stream's `closed`.
 *
 *   CONNECT --opened--> HEAD --> BODY --> IDLE (pooled) --> HEAD ...
 *   any --> CLOSING --closed--> freed
 */
#ifndef CORAL_HTTP_CLIENT_CONN_H
#define CORAL_HTTP_CLIENT_CONN_H

#include "base/wheel.h"
#include "dataplane/http/syntax.h"

#define HTTP_REQUEST_MAX       16384u /* of a request's head, kept until the response begins */
#define HTTP_INTERIM_MAX       8      /* 1xx responses before the final one */
#define HTTP_IDLE_PER_ENDPOINT 8

enum http_client_phase {
    HTTP_CLIENT_FREE,
    HTTP_CLIENT_CONNECT,
    HTTP_CLIENT_HEAD,
    HTTP_CLIENT_BODY,
    HTTP_CLIENT_IDLE,
    HTTP_CLIENT_CLOSING,
};

struct http_client_conn {
    struct timer timer; /* first: the wheel's callback casts */
    struct http_client *client;
    struct stream *stream;
    struct http_exchange *exchange; /* NULL: idle or closing */
    struct endpoint to;
    uint64_t since_us; /* when the phase, or the last byte, began */
    uint8_t phase;
    bool eof;
    uint32_t unread;                        /* bytes offered and left */
    struct http_client_conn *next;          /* free list, or chain of a bucket, newest first */
    struct http_client_conn *older, *newer; /* idle ones by age */
};

struct http_exchange {
    struct http_exchange *next; /* free list */
    struct http_client *client;
    struct http_client_conn *conn;
    const struct http_exchange_events *events;
    void *user;
    uint32_t request_len, sent;
    bool to_head;
    bool reused;   /* on a pooled connection, no byte of a response yet: may move to a new one */
    bool paused;   /* the owner took less than given */
    bool resumed;  /* http_exchange_resume since the last look */
    bool in_event; /* inside an event of the owner's: freed after it */
    bool aborted;
    bool keep_alive;
    uint8_t framing, interim;
    uint64_t left;
    struct http_chunked chunked;
    char request[HTTP_REQUEST_MAX];
};

struct http_client {
    struct http_client_config config;
    struct http_client_host host;
    struct wheel wheel;
    struct now now; /* of the timers that fire */
    struct http_exchange *exchange, *exchange_free;
    struct http_client_conn *conn, *conn_free;
    uint32_t conns;
    struct http_client_conn **bucket; /* idle ones by endpoint */
    uint32_t bucket_mask, idle;
    struct http_client_conn *oldest, *newest;
    struct http_head head; /* the parser's, valid during one head() */
    struct http_counters counters;
};

struct http_client_conn *http_client_conn_take(struct http_client *c);
/* After the stream's `closed`. */
void http_client_conn_free(struct http_client_conn *k);
/* Resets it; `closed` frees it. */
void http_client_conn_kill(struct http_client_conn *k);
void http_client_conn_arm(struct http_client_conn *k, uint64_t due_us);

/* An idle connection to `to`, out of the pool; NULL: none. */
struct http_client_conn *http_client_pool_take(struct http_client *c, const struct endpoint *to);
/* Pools a connection; where that is too many, the oldest is closed. */
void http_client_pool_put(struct http_client_conn *k, struct now now);
void http_client_pool_remove(struct http_client_conn *k);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Client connections and exchanges, private to client.c (an exchange's life), client_race.c
 * (which address) and client_pool.c (idle connections by endpoint, memory).
 *
 * A connection serves one exchange at a time. It outlives an exchange that ends early, without
 * one, until the stream's `closed`. While an exchange connects it has no `conn` but attempts, one
 * an address at most; the first that stands becomes its conn.
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
#define HTTP_ATTEMPT_US        250000u    /* RFC 8305 5: from one attempt to the next */
#define HTTP_FAMILY_US         600000000u /* how long a winner's family is remembered */
#define HTTP_FAMILIES          256        /* upstreams whose family is remembered */

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
    uint8_t index; /* CONNECT: which of the exchange's addresses */
    bool eof;
    uint32_t unread;                        /* bytes offered and left */
    struct http_client_conn *next;          /* free list, or chain of a bucket, newest first */
    struct http_client_conn *older, *newer; /* idle ones by age */
};

/* A request's body in the chunked coding: the size line that is owed, and what is left of the chunk
 * that it began. */
struct http_chunks {
    uint64_t left;
    bool begun, ends; /* ends: the last chunk is owed */
    uint8_t at, len;
    char line[HTTP_FRAME_MAX];
};

struct http_exchange {
    struct http_exchange *next; /* free list */
    struct http_client *client;
    struct http_client_conn *conn;
    const struct http_exchange_events *events;
    void *user;
    uint64_t serial; /* no other exchange of the client has it */
    struct http_upstream to;
    struct http_client_conn *attempt[HTTP_UPSTREAM_ADDRESSES]; /* by index in to.at */
    uint8_t order[HTTP_UPSTREAM_ADDRESSES];                    /* indices, first to try first */
    uint8_t next_at;                                           /* in order: the next to try */
    uint8_t attempts;                                          /* that go on */
    uint8_t latest;                                            /* index of the youngest attempt */
    uint8_t tried; /* bits: addresses that failed, or the one that stands */
    bool mixed;    /* both families are there */
    uint32_t request_len, sent;
    uint8_t how;   /* of enum http_send */
    bool whole;    /* the request's body, too, or there is none */
    bool refused;  /* an attempt to connect was, */
    bool local;    /* or could not be begun here */
    bool reused;   /* on a pooled connection, no byte of a response yet: may move to a new one */
    bool paused;   /* the owner took less than given */
    bool resumed;  /* http_exchange_resume since the last look */
    bool patient;  /* http_exchange_patient */
    bool in_event; /* inside an event of the owner's: freed after it */
    bool aborted;
    bool last; /* no exchange follows on this connection: the server says so, or is in doubt */
    uint8_t framing, interim;
    uint64_t left;
    struct http_chunked chunked;
    struct http_chunks chunks; /* of the request's body */
    char request[HTTP_REQUEST_MAX];
};

/* The family that won last for an upstream. */
struct http_family {
    uint64_t tag; /* 0: free */
    uint64_t until_us;
    bool v4;
};

struct http_client {
    struct http_client_config config;
    struct http_client_host host;
    struct wheel wheel;
    struct now now; /* of the timers that fire */
    struct http_exchange *exchange, *exchange_free;
    uint64_t serial; /* of the last exchange */
    struct http_client_conn *conn, *conn_free;
    uint32_t conns;
    struct http_client_conn **bucket; /* idle ones by endpoint */
    uint32_t bucket_mask, idle;
    struct http_client_conn *oldest, *newest;
    struct http_family family[HTTP_FAMILIES];
    struct http_head head; /* the parser's, valid during one head() */
    struct http_counters counters;
};

struct http_client_conn *http_client_conn_take(struct http_client *c);
/* After the stream's `closed`. */
void http_client_conn_free(struct http_client_conn *k);
/* Resets it; `closed` frees it. */
void http_client_conn_kill(struct http_client_conn *k);
void http_client_conn_arm(struct http_client_conn *k, uint64_t due_us);

static inline uint64_t http_limit_us(uint32_t upstream_ms, uint32_t config_ms)
{
    return (uint64_t)(upstream_ms ? upstream_ms : config_ms) * 1000;
}
static inline uint64_t http_connect_us(const struct http_exchange *x)
{
    return http_limit_us(x->to.timeouts.connect_ms, x->client->config.connect_ms);
}
static inline uint64_t http_first_byte_us(const struct http_exchange *x)
{
    return http_limit_us(x->to.timeouts.first_byte_ms, x->client->config.first_byte_ms);
}
static inline uint64_t http_between_bytes_us(const struct http_exchange *x)
{
    return http_limit_us(x->to.timeouts.between_bytes_ms, x->client->config.between_bytes_ms);
}

/* client_body.c. Is the stream given the whole of the request's body? Moves its end on. */
bool http_client_body_sent(struct http_exchange *x);

/* An idle connection to `to`, out of the pool; NULL: none. */
struct http_client_conn *http_client_pool_take(struct http_client *c, const struct endpoint *to);
/* Pools a connection; where that is too many, the oldest is closed. */
void http_client_pool_put(struct http_client_conn *k, struct now now);
void http_client_pool_remove(struct http_client_conn *k);

extern const struct stream_events http_client_events;

/* client_race.c. Begins anew with all addresses. */
void http_race_begin(struct http_exchange *x, struct now now);
/* Starts the next attempt; false: none is left that could be started. */
bool http_race_next(struct http_exchange *x, struct now now);
/* This attempt stands: it becomes the exchange's connection. */
void http_race_won(struct http_client_conn *k, struct now now);
/* This attempt failed; `gone`: its stream is closed already. False: that was the last one. */
bool http_race_lost(struct http_client_conn *k, bool gone, struct now now);
/* The timer of an attempt. False: as above. */
bool http_race_timer(struct http_client_conn *k, struct now now);
/* Resets all attempts. */
void http_race_end(struct http_exchange *x);

#endif

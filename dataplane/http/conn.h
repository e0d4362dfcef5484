/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server connection, private to server.c (its life: accept, parse, time out, close) and
 * respond.c (the response in progress).
 *
 *   IDLE --first byte--> HEAD --complete--> BUSY --answered--> IDLE ... --> CLOSING --> freed
 *
 * Any of them --> DEAD by a reset of ours; `closed` frees from everywhere.
 *
 * What the stream's queue did not take whole is owed, in this order: `frame` (a chunk's size
 * line), `spill` (the rest of a head), `pending` (a reference). While anything is owed nothing
 * else is taken.
 */
#ifndef CORAL_HTTP_CONN_H
#define CORAL_HTTP_CONN_H

#include "base/wheel.h"
#include "dataplane/http/syntax.h"

#define HTTP_ROOM_HINT     (256u << 10) /* what we like to have queued on one stream */
#define HTTP_LINGER_US     2000000u /* from our FIN's delivery to our patience's end (9112 9.6) */
#define HTTP_DRAIN_IDLE_US 1000000u /* an idle connection's last chance when draining */

enum http_phase {
    HTTP_CONN_FREE,
    HTTP_CONN_IDLE,
    HTTP_CONN_HEAD,
    HTTP_CONN_BUSY,
    HTTP_CONN_CLOSING,
    HTTP_CONN_DEAD
};

struct http_spill {
    struct http_spill *next;
    uint32_t at, len;
    char bytes[HTTP_HEAD_MAX];
};

/* A request's body that is being read. */
struct http_upload {
    struct http_upload *next;
    uint64_t progress_us;
    uint64_t left; /* by Content-Length */
    struct http_chunked chunks;
    bool chunked;
    bool paused; /* the handler took less than given */
};

struct http_conn {
    struct timer timer; /* first: the wheel's callback casts */
    struct http_server *server;
    struct stream *stream;
    void *request;          /* the handler's */
    struct http_conn *next; /* free list */
    uint64_t since_us;      /* when the phase began */
    uint64_t progress_us;   /* when the peer last took bytes, or owed none */
    uint64_t given;         /* bytes given to the stream */
    uint64_t acked;         /* of these acknowledged, as last seen */
    uint32_t unread;        /* bytes offered and left in the receive buffer */
    uint8_t phase;
    bool keep_alive, eof, parsing;
    bool handed;   /* the handler owes an answer: `gone` when the client goes */
    bool persists; /* keep_alive, once the body has been read */
    bool served;   /* http_conn_serve */
    /* the response in progress */
    bool minor0, to_head, head_sent, until_close, chunked, chunks_begun, last_chunk, ended, wants;
    uint8_t frame_at, frame_len;
    uint8_t refused;     /* what http_conn_refused tells: enum http_error */
    uint64_t left;       /* bytes to come by the declared length */
    uint64_t chunk_left; /* bytes to come of the chunk that was begun */
    struct http_spill *spill;
    struct http_upload *upload; /* NULL: no body comes, or it has come */
    struct ref pending;
    char frame[HTTP_FRAME_MAX];
};

struct http_server {
    struct http_server_config config;
    struct http_handler handler;
    struct wheel wheel;
    struct now now;                /* as last told: for http_server_drain */
    struct http_conn *conn, *free; /* those given back; others from conn[used] on */
    uint32_t used;                 /* connections that ever were */
    uint32_t hand;                 /* the connection that is looked at next */
    uint32_t untold;               /* connections below this may not know yet of the drain */
    uint32_t live, reserve;
    bool draining;
    struct http_spill *spills, *spill_free;
    struct http_upload *uploads, *upload_free;
    struct http_recent recent; /* the parser's; a head is valid during one request() */
    struct http_counters counters;
};

/* Starts the response side of a new request; NULL: of one that could not be read. */
void http_response_begin(struct http_conn *c, const struct http_head *h);
/* Gives to the stream what is owed; true when nothing is left. */
bool http_response_flush(struct http_conn *c);
/* Moves an ended response on; completes it when all its bytes are queued. */
void http_response_finish(struct http_conn *c, struct now now);
/* Drops what is owed. */
void http_response_drop(struct http_conn *c);

/* upload.c. Takes what it can of the body that is being read, and may end it; `c` may be dead
 * after it. Returns the bytes consumed. */
size_t http_upload_read(struct http_conn *c, const uint8_t *data, size_t len, struct now now);
/* The rest is no body, or does not come: that is answered, or the connection ends. */
void http_upload_fail(struct http_conn *c, enum http_error why, struct now now);
void http_server_count(struct http_server *s, enum http_error why);
void http_upload_drop(struct http_conn *c);
/* The response is queued whole: next request, or close. */
void http_conn_answered(struct http_conn *c, struct now now);
/* Resets the connection; `closed` follows from the stream. */
void http_conn_kill(struct http_conn *c);

#endif

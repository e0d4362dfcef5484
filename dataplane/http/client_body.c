/* SPDX-License-Identifier: BSD-3-Clause */
/* The body of a request that we send: as long as its head says, or in the chunked coding. */
#include "dataplane/http/client_conn.h"

/* The size line that is owed; true when none is. */
static bool flush_line(struct http_exchange *x)
{
    struct http_chunks *c = &x->chunks;
    if (c->len) {
        size_t n = stream_copy(x->conn->stream, c->line + c->at, c->len);
        c->at = (uint8_t)(c->at + n);
        c->len = (uint8_t)(c->len - n);
    }
    return c->len == 0;
}

static bool put_line(struct http_exchange *x, uint64_t size)
{
    struct http_chunks *c = &x->chunks;
    c->at = 0;
    c->len = (uint8_t)http_chunk_line(c->line, size, c->begun);
    c->begun = true;
    return flush_line(x);
}

static size_t send_chunks(struct http_exchange *x, const uint8_t *data, size_t len)
{
    struct http_chunks *c = &x->chunks;
    size_t done = 0;
    while (done < len && flush_line(x)) {
        if (c->left == 0) {
            c->left = len - done;
            if (!put_line(x, c->left))
                break;
        }
        size_t ask = len - done < c->left ? len - done : (size_t)c->left;
        size_t n = stream_copy(x->conn->stream, data + done, ask);
        c->left -= n;
        done += n;
        if (n < ask)
            break;
    }
    return done;
}

size_t http_exchange_body(struct http_exchange *x, const uint8_t *data, size_t len, struct now now)
{
    struct http_client_conn *k = x->conn;
    if (!k || x->whole || x->sent < x->request_len || k->phase == HTTP_CLIENT_CONNECT)
        return 0;
    size_t n =
        x->how & HTTP_SEND_CHUNKED ? send_chunks(x, data, len) : stream_copy(k->stream, data, len);
    if (n)
        k->since_us = now.mono_us; /* it is not the server that we wait for */
    return n;
}

/* The last chunk, when all before it is out. */
static void finish_chunks(struct http_exchange *x)
{
    if (flush_line(x) && x->chunks.ends) {
        x->chunks.ends = false;
        put_line(x, 0);
    }
}

void http_exchange_body_end(struct http_exchange *x)
{
    if (x->whole || !x->conn)
        return;
    x->whole = true;
    x->chunks.ends = (x->how & HTTP_SEND_CHUNKED) != 0;
    if (x->sent == x->request_len) /* else behind the head (http_client_body_sent) */
        finish_chunks(x);
}

bool http_client_body_sent(struct http_exchange *x)
{
    if (x->whole)
        finish_chunks(x);
    return x->whole && x->chunks.len == 0;
}

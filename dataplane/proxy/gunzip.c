/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is stored as gzip, for a client that does not accept it (RFC 9110 12.5.3): undone while it
 * is sent, by ISA-L, at the reader's pace.
 *
 *   the object --bytes--> isal_inflate --> a buffer of 16 KiB --by reference--> the client
 *
 * A decoder has eight buffers, and goes on when the client has one of them: so a body that is large
 * only when it is unpacked takes no more memory than another, and no more time at once. One that is
 * large only when it is packed takes none either: all decoders share a few KiB of input a poll, and
 * who finds them spent takes his turn. A damaged or truncated one breaks the response
 * off: its last bytes are a CRC and the length (RFC 1952 2.3.1). There may be several members.
 */
#include <stdlib.h>
#include <string.h>

#include <isa-l/igzip_lib.h>

#include "dataplane/proxy/proxy_internal.h"

#define DECODERS_MOST  32u /* a worker's; 220 KB each, taken when they are first needed */
#define BUFFERS        8u
#define BUFFERS_ALL    ((1u << BUFFERS) - 1)
#define DECODER_BUFFER 16384u
#define POLL_INPUT                                                                                 \
    4096u /* of all decoders: each block has tables to be built, and may be of 10 bits */

struct buffer {
    struct hold hold;
    struct gunzip *gunzip;
    uint8_t data[DECODER_BUFFER];
};

struct gunzip {
    struct gunzip *next, *due_next; /* free list; the list of those that go on */
    struct gunzip *made;            /* all that there are */
    struct proxy *proxy;
    struct request *request; /* NULL: its response is over */
    uint32_t free;           /* buffers that nobody has, a bit each */
    struct buffer *buffer;   /* being filled, held; NULL: none */
    uint32_t at, len;        /* of it, what was given to the stream; what there is */
    bool waits, due;
    bool turn;  /* it is its turn */
    bool more;  /* it has output that did not fit */
    bool begun; /* a member, and not its end */
    bool bad;
    struct isal_gzip_header header; /* of this member, as far as it was read */
    struct inflate_state z;
    struct buffer pool[BUFFERS];
};

/* --- decoders --------------------------------------------------------------------------------- */

/* Given back when nobody has any of it. */
static void settle(struct gunzip *g)
{
    if (g->request || g->due || g->free != BUFFERS_ALL)
        return;
    g->next = g->proxy->gunzip_free;
    g->proxy->gunzip_free = g;
}

static void go_on_soon(struct gunzip *g)
{
    if (g->due)
        return;
    g->due = true;
    g->due_next = NULL;
    *(g->proxy->gunzip_due ? &g->proxy->gunzip_last->due_next : &g->proxy->gunzip_due) = g;
    g->proxy->gunzip_last = g;
}

static void buffer_released(struct hold *h)
{
    struct buffer *b = PROXY_OF(h, struct buffer, hold);
    struct gunzip *g = b->gunzip;
    g->free |= 1u << (b - g->pool);
    if (g->waits)
        go_on_soon(g);
    settle(g);
}

static void buffer_drop(struct gunzip *g)
{
    struct buffer *b = g->buffer;
    g->buffer = NULL;
    if (b)
        ref_release(&(struct ref){NULL, 0, &b->hold});
}

static struct gunzip *make(struct proxy *p)
{
    struct gunzip *g = p->gunzips < DECODERS_MOST ? malloc(sizeof(*g)) : NULL;
    if (!g)
        return NULL;
    p->gunzips++;
    g->proxy = p;
    g->made = p->gunzip_made;
    p->gunzip_made = g;
    for (unsigned i = 0; i < BUFFERS; i++)
        g->pool[i].gunzip = g;
    return g;
}

void gunzips_free(struct proxy *p)
{
    for (struct gunzip *g = p->gunzip_made, *next; g; g = next) {
        next = g->made;
        free(g);
    }
}

static void member_begin(struct gunzip *g)
{
    isal_gzip_header_init(&g->header);
    isal_inflate_init(&g->z);
    g->z.crc_flag = ISAL_GZIP;
}

static struct gunzip *gunzip_take(struct proxy *p, struct request *r)
{
    struct gunzip *g = p->gunzip_free;
    if (g)
        p->gunzip_free = g->next;
    else
        g = make(p);
    if (!g) {
        counter_inc(&p->counters.proxy_decoders_full_total);
        return NULL;
    }
    g->request = r;
    g->free = BUFFERS_ALL;
    g->buffer = NULL;
    g->at = g->len = 0;
    g->waits = g->due = g->turn = g->more = g->begun = g->bad = false;
    member_begin(g);
    return g;
}

bool gunzip_wanted(const struct proxy *p, const struct request *r, const struct cache_object *o)
{
    size_t len;
    const char *head = cache_head(o, &len);
    return r->varies && !(r->accepts & CODING_GZIP) && !r->peer && !r->open &&
           !r->asks.no_transform && cache_meta(o)->status != 206 &&
           coding_of(head, len) == CODING_GZIP &&
           coder_undoes(p, (struct http_text){r->url, r->url_len}, head, len);
}

bool gunzip_begin(struct proxy *p, struct request *r, const struct cache_object *o)
{
    r->gunzip = gunzip_wanted(p, r, o) ? gunzip_take(p, r) : NULL;
    return r->gunzip != NULL;
}

void gunzip_drop(struct request *r)
{
    struct gunzip *g = r->gunzip;
    r->gunzip = NULL;
    buffer_drop(g);
    g->request = NULL;
    g->waits = false;
    settle(g);
}

static void go_on(struct gunzip *g, struct now now)
{
    struct request *r = g->waits ? g->request : NULL;
    g->due = g->waits = false;
    settle(g);
    if (!r || r->state != REQUEST_SENDING || r->wait_prev)
        return;
    g->turn = true;
    transfer_run(g->proxy, r, now);
    g->turn = false;
}

void gunzips_poll(struct proxy *p, struct now now)
{
    struct gunzip *last = p->gunzip_due ? p->gunzip_last : NULL, *g = NULL;
    p->gunzip_input = POLL_INPUT;
    while (g != last && p->gunzip_input) {
        g = p->gunzip_due;
        p->gunzip_due = g->due_next;
        go_on(g, now);
    }
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* False: the client has all of them. */
static bool has_buffer(struct gunzip *g)
{
    if (g->buffer && g->len < DECODER_BUFFER)
        return true;
    buffer_drop(g);
    g->waits = !g->free;
    if (g->waits)
        return false;
    unsigned i = (unsigned)__builtin_ctz(g->free);
    g->free &= ~(1u << i);
    g->buffer = &g->pool[i];
    g->buffer->hold = (struct hold){1, buffer_released};
    g->at = g->len = 0;
    return true;
}

/* isal_inflate forgets what a header announced when its input ends within it. */
static int inflate_more(struct gunzip *g)
{
    int e = g->z.wrapper_flag ? 0 : isal_read_gzip_header(&g->z, &g->header);
    return e ? e : isal_inflate(&g->z);
}

/* Returns how many bytes were taken in. */
static uint32_t decode(struct gunzip *g, const uint8_t *data, uint32_t len)
{
    struct inflate_state *z = &g->z;
    uint32_t room = DECODER_BUFFER - g->len;
    if (z->block_state == ISAL_BLOCK_FINISH && len)
        member_begin(g);
    z->next_in = (uint8_t *)(uintptr_t)data;
    z->avail_in = len;
    z->next_out = g->buffer->data + g->len;
    z->avail_out = room;
    g->bad = inflate_more(g) < 0 || (len && z->avail_in == len && z->avail_out == room);
    g->len = DECODER_BUFFER - z->avail_out;
    g->more = z->avail_out == 0;
    g->begun = z->block_state != ISAL_BLOCK_FINISH;
    return len - z->avail_in;
}

static bool give(struct proxy *p, struct request *r)
{
    struct gunzip *g = r->gunzip;
    uint32_t n = g->len - g->at;
    if (n == 0)
        return true;
    struct buffer *b = g->buffer;
    if (!http_respond_ref(r->conn, (struct ref){b->data + g->at, n, &b->hold}))
        return false;
    g->at = g->len;
    r->body_out += n;
    counter_add(&p->counters.proxy_client_bytes_total, n);
    return true;
}

enum gunzip_is gunzip_send(struct proxy *p, struct request *r)
{
    struct gunzip *g = r->gunzip;
    while (!g->bad) {
        if (!give(p, r))
            return GUNZIP_WAITS; /* for writable */
        if (!g->more)
            return GUNZIP_READY;
        if (!has_buffer(g))
            return GUNZIP_WAITS; /* for a buffer */
        decode(g, NULL, 0);
    }
    return GUNZIP_BAD;
}

bool gunzip_put(struct proxy *p, struct request *r, struct cache_span span)
{
    struct gunzip *g = r->gunzip;
    if (!p->gunzip_input || (p->gunzip_due && !g->turn)) {
        g->waits = true;
        go_on_soon(g);
        return false;
    }
    if (!has_buffer(g))
        return false;
    uint32_t n = decode(g, span.data, span.len < p->gunzip_input ? span.len : p->gunzip_input);
    r->offset += n;
    p->gunzip_input -= n;
    return true;
}

bool gunzip_ended(const struct request *r)
{
    return !r->gunzip->begun;
}

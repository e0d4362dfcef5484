/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/http/odd.h"

#include <string.h>

#include "tests/http/vectors.h"

#define BYTES(text)  text, sizeof(text) - 1
#define COUNT(list)  (sizeof(list) / sizeof((list)[0]))
#define CHANGES_MOST 4

struct text {
    const char *p;
    size_t len;
};

/* Each is valid, and may be followed by another one. */
static const struct text plain_requests[] = {
    {BYTES("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")},
    {BYTES("GET /a/b?c=d&e HTTP/1.1\r\nhost:a.example:8080\r\nAccept: */*\r\nX-Empty:\r\n\r\n")},
    {BYTES("HEAD / HTTP/1.1\r\nHost: [2001:db8::1]\r\nConnection: close\r\n\r\n")},
    {BYTES("GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\nX: \t a \xe4 b \t\r\n\r\n")},
    {BYTES("OPTIONS * HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 0\r\n\r\n")},
    {BYTES("GET / HTTP/1.0\r\n\r\n")},
    {BYTES("GET / HTTP/1.0\r\nConnection: close\r\n\r\n")},
    {BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")},
    {BYTES("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")},
    {BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
           "5\r\nhello\r\n00a;x=y\r\n0123456789\r\n0\r\n\r\n")},
    {BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
           "B\r\nhello world\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n")},
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello")},
    {BYTES(
        "DELETE /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n\r\n")},
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y , CLOSE\r\n\r\n")},
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~0aZ: \"quoted, \\\" ( \r\n\r\n")},
};

static const struct text plain_responses[] = {
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")},
    {BYTES(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n0\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
           "5;a=\"b c\"\r\nhello\r\n0\r\nX: y\r\n\r\n")},
    {BYTES("HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n")},
    {BYTES("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n")},
    {BYTES("HTTP/1.1 404 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")},
    {BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")},
    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")},
    {BYTES(
        "HTTP/1.1 500 \xe4 \t\r\nContent-Length:5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nhello")},
};
/* ... until the connection's end. */
static const struct text open_responses[] = {
    {BYTES("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")},
    {BYTES("HTTP/1.0 200 OK\r\n\r\nhello\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")},
};

static const char interesting[] =
    "\r\n\0 \t:;,\v\f\x7f\x80\xff\x1b+-_./\\\"'#?@%=[]{}0159afxAFXzZ*";

static const char *const lines[] = {
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "transfer-encoding:\tChunked \r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 10\r\n",
    "Content-Length: 007\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: +5\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: Upgrade, close\r\n",
    "Proxy-Connection: keep-alive\r\n",
    "Keep-Alive: 5\r\n",
    "Upgrade: h2c\r\n",
    "Upgrade: websocket\r\nConnection: upgrade\r\n",
    "Expect: 100-continue\r\n",
    "Host: b\r\n",
    "Host: a:80\r\n",
    "Trailer: x\r\n",
    "TE: trailers\r\n",
    "X: y\r\n z\r\n",
    "X-Long: 0123456789abcdef0123456789abcdef0123456789abcdef\r\n",
    ": x\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "a;b\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 100 C\r\n\r\n",
};

static void put(struct odd *o, const char *p, size_t len)
{
    o->len = len < ODD_MAX ? len : ODD_MAX;
    memcpy(o->text, p, o->len);
}

static bool from(const struct text *list, unsigned n, unsigned *i, struct odd *out)
{
    if (*i >= n) {
        *i -= n;
        return false;
    }
    put(out, list[*i].p, list[*i].len);
    return true;
}

bool odd_base(unsigned i, struct odd *out)
{
    out->to_head = false;
    out->request = out->plain = true;
    if (from(plain_requests, COUNT(plain_requests), &i, out))
        return true;
    out->request = false;
    if (from(plain_responses, COUNT(plain_responses), &i, out) ||
        from(open_responses, COUNT(open_responses), &i, out))
        return true;
    out->plain = false;
    if (i < vector_responses_n) {
        put(out, vector_responses[i].text, vector_responses[i].len);
        out->to_head = vector_responses[i].how & VECTOR_HEAD;
        return true;
    }
    i -= vector_responses_n;
    if (i < vector_chunks_n) {
        out->len = vector_chunked_response(&vector_chunks[i], out->text, ODD_MAX);
        return true;
    }
    i -= vector_chunks_n;
    out->request = true;
    if (i < vector_requests_n) {
        put(out, vector_requests[i].text, vector_requests[i].len);
        return true;
    }
    i -= vector_requests_n;
    if (i < vector_chunks_n) {
        out->len = vector_chunked_request(&vector_chunks[i], out->text, ODD_MAX);
        return true;
    }
    return false;
}

/* --- changes ---------------------------------------------------------------------------------- */

static void cut(struct odd *o, size_t at, size_t n)
{
    memmove(o->text + at, o->text + at + n, o->len - at - n);
    o->len -= n;
}

static void insert(struct odd *o, size_t at, const char *p, size_t n)
{
    if (o->len + n > ODD_MAX)
        return;
    memmove(o->text + at + n, o->text + at, o->len - at);
    memcpy(o->text + at, p, n);
    o->len += n;
}

static size_t any(struct rng *r, size_t below)
{
    return rng_below(r, (uint32_t)below);
}

/* Where a line begins, mostly one of the first. */
static size_t line_start(struct rng *r, const struct odd *o)
{
    size_t at = 0;
    for (size_t n = any(r, 8); n > 0; n--) {
        const char *end = memchr(o->text + at, '\n', o->len - at);
        if (!end || end + 1 == o->text + o->len)
            break;
        at = (size_t)(end - o->text) + 1;
    }
    return at;
}

static size_t line_len(const struct odd *o, size_t at)
{
    const char *end = memchr(o->text + at, '\n', o->len - at);
    return end ? (size_t)(end + 1 - (o->text + at)) : o->len - at;
}

static void random_base(struct rng *r, struct odd *out)
{
    static unsigned bases;
    while (bases == 0 || odd_base(bases, out)) /* how many are there? */
        bases++;
    do /* half of them plain: most of the others stay refused */
        odd_base(
            (unsigned)any(r, any(r, 2) ? bases : COUNT(plain_requests) + COUNT(plain_responses)),
            out);
    while (out->len > 4096);
}

static void splice(struct rng *r, struct odd *o)
{
    static struct odd other;
    do
        random_base(r, &other);
    while (other.request != o->request);
    size_t to = line_start(r, o), from_at = any(r, 3) ? line_start(r, &other) : 0;
    if (any(r, 2))
        to = o->len; /* another message, or a part of one, behind it */
    o->len = to;
    insert(o, to, other.text + from_at, other.len - from_at);
}

static void change(struct rng *r, struct odd *o)
{
    size_t at = any(r, o->len), line = line_start(r, o), len = line_len(o, line);
    char line_text[512], c = interesting[any(r, sizeof(interesting) - 1)];
    const char *more = lines[any(r, COUNT(lines))];
    switch (any(r, 10)) {
    case 0:
        o->text[at] = c;
        break;
    case 1:
        insert(o, at, &c, 1);
        break;
    case 2:
        cut(o, at, 1);
        break;
    case 3:
    case 4:
        insert(o, line, more, strlen(more));
        break;
    case 5:
        if (len <= sizeof(line_text)) {
            memcpy(line_text, o->text + line, len);
            insert(o, line_start(r, o), line_text, len);
        }
        break;
    case 6:
        cut(o, line, len);
        break;
    case 7:
        splice(r, o);
        break;
    case 8:
        o->text[at] ^= 0x20;
        break;
    default:
        o->text[at] = (char)(o->text[at] + (any(r, 2) ? 1 : -1));
    }
}

void odd_make(struct rng *r, struct odd *out)
{
    random_base(r, out);
    for (size_t n = 1 + any(r, CHANGES_MOST); n > 0 && out->len > 0; n--)
        change(r, out);
    out->plain = false;
    if (any(r, 20) == 0)
        out->len = any(r, out->len + 1);
    if (!out->request && any(r, 16) == 0)
        out->to_head = true;
}

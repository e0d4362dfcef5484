/* SPDX-License-Identifier: BSD-3-Clause */
/* What could be read in two ways is refused (RFC 9112 11.2), with its status. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/syntax.h"

struct vector {
    const char *what, *text;
    size_t len; /* 0: strlen */
    unsigned status;
};

#define GET(fields)  "GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define BYTES(text)  text, sizeof(text) - 1

static const struct vector requests[] = {
    {"length and coding", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 0, 400},
    {"coding and length", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 0, 400},
    {"two lengths", POST("Content-Length: 5\r\nContent-Length: 6\r\n"), 0, 400},
    {"the same length twice", POST("Content-Length: 5\r\nContent-Length: 5\r\n"), 0, 400},
    {"a list of lengths", POST("Content-Length: 5, 5\r\n"), 0, 400},
    {"signed length", POST("Content-Length: +5\r\n"), 0, 400},
    {"negative length", POST("Content-Length: -5\r\n"), 0, 400},
    {"hexadecimal length", POST("Content-Length: 0x5\r\n"), 0, 400},
    {"empty length", POST("Content-Length:\r\n"), 0, 400},
    {"length with a space", POST("Content-Length: 1 2\r\n"), 0, 400},
    {"length beyond 64 bits", POST("Content-Length: 18446744073709551621\r\n"), 0, 400},
    {"bare LF in the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 0, 400},
    {"bare LF in a field", GET("X: y\nTransfer-Encoding: chunked\r\n"), 0, 400},
    {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 0, 400},
    {"bare CR in a field", GET("X: y\rZ: 1\r\n"), 0, 400},
    {"CR CR LF", GET("X: y\r\r\n"), 0, 400},
    {"obs-fold", GET("X: y\r\n z\r\n"), 0, 400},
    {"obs-fold of the coding", POST("Transfer-Encoding:\r\n chunked\r\n"), 0, 400},
    {"space before the colon", POST("Content-Length : 5\r\n"), 0, 400},
    {"tab before the colon", POST("Content-Length\t: 5\r\n"), 0, 400},
    {"space before a name", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 0, 400},
    {"a line of white space", GET(" \r\n"), 0, 400},
    {"no colon", GET("Host\r\n"), 0, 400},
    {"no name", GET(": x\r\n"), 0, 400},
    {"NUL in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"), 400},
    {"NUL in a name", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX\0: ab\r\n\r\n"), 400},
    {"NUL in the target", BYTES("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"DEL in a value",
     GET("X: a\x7f"
         "b\r\n"),
     0, 400},
    {"vertical tab in the coding",
     POST("Transfer-Encoding: \x0b"
          "chunked\r\n"),
     0, 400},
    {"control far inside a long value", GET("X: 0123456789abcdef0123\x01zzzzzzzzzzzzzzzz\r\n"), 0,
     400},
    {"byte above 127 in a name", GET("X\xff: a\r\n"), 0, 400},
    {"byte above 127 in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"unknown coding", POST("Transfer-Encoding: gzip\r\n"), 0, 501},
    {"another before chunked", POST("Transfer-Encoding: gzip, chunked\r\n"), 0, 501},
    {"chunked not last", POST("Transfer-Encoding: chunked, gzip\r\n"), 0, 400},
    {"chunked twice", POST("Transfer-Encoding: chunked, chunked\r\n"), 0, 400},
    {"chunked in two fields", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
     0, 400},
    {"nearly chunked", POST("Transfer-Encoding: xchunked\r\n"), 0, 501},
    {"quoted chunked", POST("Transfer-Encoding: \"chunked\"\r\n"), 0, 501},
    {"identity", POST("Transfer-Encoding: identity\r\n"), 0, 501},
    {"empty coding", POST("Transfer-Encoding:\r\n"), 0, 400},
    {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 0, 400},
    {"two Hosts", GET("Host: b\r\n"), 0, 400},
    {"the same Host twice", GET("Host: a\r\n"), 0, 400},
    {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 0, 400},
    {"two Hosts behind a full target", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0,
     400},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, 400},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, 400},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 0, 400},
    {"Host with a bad port", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 0, 400},
    {"list in Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 0, 400},
    {"two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 0, 400},
    {"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 0, 400},
    {"no version", "GET /\r\n\r\n", 0, 400},
    {"bad method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"endless method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ", 0, 400},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505},
    {"HTTP/0.9 by number", "GET / HTTP/0.9\r\n\r\n", 0, 505},
    {"TLS", "\x16\x03\x01\x02", 0, 400},
};

static struct http_head head;

/* The error must come whole or byte by byte, and never be HTTP_OK in between. */
Test(smuggling, requests)
{
    for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        const struct vector *v = &requests[i];
        size_t len = v->len ? v->len : strlen(v->text);
        enum http_error whole = http_parse_request(v->text, len, &head), e = HTTP_AGAIN;
        cr_expect(whole != HTTP_OK && whole != HTTP_AGAIN, "%s: accepted", v->what);
        cr_expect_eq(http_error_status(whole), v->status, "%s: %u", v->what,
                     http_error_status(whole));
        for (size_t n = 0; n <= len && e == HTTP_AGAIN; n++) {
            char *part = malloc(n ? n : 1);
            memcpy(part, v->text, n);
            e = http_parse_request(part, n, &head);
            free(part);
        }
        cr_expect_eq(e, whole, "%s: bit by bit", v->what);
    }
}

Test(smuggling, responses)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "<html>",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum http_error e = http_parse_response(bad[i], strlen(bad[i]), false, &head);
        cr_expect(e != HTTP_OK && e != HTTP_AGAIN, "%s: %d", bad[i], e);
    }
}

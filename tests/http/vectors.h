/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every trick that is known to make two parsers of HTTP/1.1 disagree about where a message ends, or
 * what it says; beside it what is like one and must be taken. With our answer, and where it is
 * known from: a CVE of somebody else's, a paper, a section of RFC 9110 or 9112.
 */
#ifndef CORAL_TESTS_VECTORS_H
#define CORAL_TESTS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>

#define VECTOR_HOST "www.site.test"
/* Follows each vector on its connection: is it seen, then after all of it, or never. */
#define VECTOR_NEXT "GET /next HTTP/1.1\r\nHost: " VECTOR_HOST "\r\n\r\n"

struct vector_request {
    const char *what, *source, *text;
    size_t len;
    unsigned status; /* of our answer; 0: the request is taken */
    /* What a handler that reads bodies is told, one behind the other: "POST /x:hello." with a body
     * that came whole, "POST /x:hel!" with one that did not. */
    const char *seen;
    bool open; /* another request may follow */
};

enum vector_how {
    VECTOR_HEAD = 1, /* it is the answer to a HEAD */
    VECTOR_FIN = 2,  /* the connection ends with it */
};

struct vector_response {
    const char *what, *source, *text;
    size_t len;
    unsigned how;
    const char *got; /* "200:hello", "malformed", "truncated" */
    bool open;       /* the connection is used again */
};

/* What follows the head of a message whose coding is chunked, and is none. */
struct vector_chunks {
    const char *what, *source, *text;
    size_t len;
    const char *body; /* of it that is told before that is found out */
};

extern const struct vector_request vector_requests[];
extern const struct vector_response vector_responses[];
extern const struct vector_chunks vector_chunks[];
extern const unsigned vector_requests_n, vector_responses_n, vector_chunks_n;

/* A POST, or a 200, with these chunks; returns the length. */
size_t vector_chunked_request(const struct vector_chunks *v, char *out, size_t room);
size_t vector_chunked_response(const struct vector_chunks *v, char *out, size_t room);

#endif

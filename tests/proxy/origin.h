/* SPDX-License-Identifier: BSD-3-Clause */
/* An origin to test against: serves a few files, well or badly, and counts who asked for what. */
#ifndef CORAL_TESTS_PROXY_ORIGIN_H
#define CORAL_TESTS_PROXY_ORIGIN_H

#include "dataplane/http/http.h"

enum origin_mode {
    ORIGIN_WELL,
    ORIGIN_CLOSES,  /* FIN after `cut` bytes of the body */
    ORIGIN_RESETS,  /* RST after `cut` bytes */
    ORIGIN_GARBAGE, /* what is no HTTP */
    ORIGIN_SILENT,  /* never answers */
    ORIGIN_STALLS,  /* sends nothing more after `cut` bytes */
    ORIGIN_LONG,    /* sends more than its Content-Length says */
};

struct origin_file {
    const char *path; /* "*": any */
    const char *when; /* this file only if it is in the request's head; NULL: always */
    uint64_t length, salt;
    const uint8_t *body; /* instead of origin_byte's */
    unsigned status;     /* 0: 200 */
    const char *fields;  /* further lines, each with CRLF */
    const char *etag;    /* NULL: none */
    enum origin_mode mode;
    uint64_t cut;
    unsigned cuts; /* answers that are cut; 0: all */
    unsigned rate; /* bytes a millisecond, 0: as fast as it goes */
    unsigned delay_ms;
    bool chunked, no_range;
    const char *raw; /* instead of an answer: `raw_len` bytes as they stand */
    size_t raw_len;
    bool raw_end;           /* and the connection's end */
    bool early;             /* answers before a request's body has come */
    bool any_range;         /* also of another version than If-Range says */
    const char *says_range; /* instead of a part's Content-Range */
    const char *says_etag;  /* in a 304, instead of its own */
    /* counted */
    unsigned requests, ranged, not_modified, heads;
    char last_range[64];
    char last_request[2048];
    uint64_t body_bytes, bodies; /* of requests: those that came whole */
    uint64_t body_wrong;         /* bytes that are not origin_byte(salt, i) */
};

struct origin {
    struct endpoint at;
    bool up;
    unsigned files;
    struct origin_file file[32]; /* the first that fits is sent */
    unsigned requests;
    void (*hears)(const char *head, size_t len); /* optional: each request's head */
    struct origin_conn *conns;
};

struct origin_file *origin_add(struct origin *o, struct origin_file f);
bool origin_accept(struct origin *o, struct stream *s);
void origin_step(struct origin *o, struct now now);
void origin_close(struct origin *o);
/* byte i of a file's body */
uint8_t origin_byte(uint64_t salt, uint64_t i);

#endif

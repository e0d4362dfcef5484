/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The formats in which traces are published. Bytes are fed as they come; a line or record that is
 * not as it should be is told by its number, counted and left out.
 *
 *   text      time,id,size, separated by commas or white space; further fields are ignored, so are
 *             empty lines, those that begin with '#', and a first line of words
 *   twitter   time,key,key size,value size,client,operation,TTL (Yang et al., OSDI 2020); get and
 *             gets are requests, of key and value size together, other operations are none
 *   wiki      Wikipedia's of 2019 (wikitech: Analytics/Data Lake/Traffic/Caching), tab separated:
 *             relative_unix, hashed_path_query, image_type, response_size, time_firstbyte of
 *             uploads; the same without image_type of texts. A first line of words is no request
 *   oracle    libCacheSim's oracleGeneral, without compression:
 *
 *            0        4                  12       16                  24
 *            +--------+------------------+--------+-------------------+
 *            | time s | id               | size   | next request, int |    little-endian, packed
 *            +--------+------------------+--------+-------------------+
 *
 *           The next request is computed anew, and not believed.
 *
 * An ID that is a decimal number below 2^64 is that number; any other is hashed to one.
 */
#ifndef CORAL_PERF_PARSE_H
#define CORAL_PERF_PARSE_H

#include "perf/trace/trace.h"

#define PARSE_LINE_MAX     4096
#define PARSE_RECORD_BYTES 24

enum parse_format { PARSE_TEXT, PARSE_TWITTER, PARSE_WIKI, PARSE_ORACLE, PARSE_FORMATS };

struct parser {
    enum parse_format format;
    struct trace *trace;
    void (*on_bad)(void *ctx, uint64_t number, const char *why); /* may be NULL */
    void *ctx;
    uint64_t number;     /* of the line or record, from 1 */
    uint64_t bad, other; /* left out: not as they should be; no requests */
    size_t held;         /* of an unfinished line or record */
    bool too_long;       /* the line; its end is awaited */
    char line[PARSE_LINE_MAX];
};

void parse_open(struct parser *p, enum parse_format format, struct trace *t);
/* False: the trace has no room for more. */
bool parse_feed(struct parser *p, const void *data, size_t len);
/* After the last byte: a last line without an end counts, part of a record is a bad one. */
bool parse_end(struct parser *p);
/* "text", "twitter", "wiki", "oracle". False: no such format. */
bool parse_format_named(const char *name, enum parse_format *format);

/* --- read.c ------------------------------------------------------------------------------------
 */

/* All of a file, "-" is standard input. False, and said on standard error in the name of `program`:
 * it cannot be read, there is no room for it, or there is no request in it. Bad lines are told,
 * too.
 */
bool parse_file(struct parser *p, const char *program, const char *file);

#endif

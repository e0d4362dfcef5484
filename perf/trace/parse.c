/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/hash.h"
#include "perf/trace/parse.h"

#define FIELDS_MAX 7

struct field {
    const char *at;
    size_t len;
};

static const char *const format_names[] = {"text", "twitter", "wiki", "oracle"};

bool parse_format_named(const char *name, enum parse_format *format)
{
    for (unsigned i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++) {
        if (strcmp(name, format_names[i]) == 0) {
            *format = (enum parse_format)i;
            return true;
        }
    }
    return false;
}

void parse_open(struct parser *p, enum parse_format format, struct trace *t)
{
    *p = (struct parser){.format = format, .trace = t};
}

static bool bad(struct parser *p, const char *why)
{
    p->bad++;
    if (p->on_bad)
        p->on_bad(p->ctx, p->number, why);
    return true; /* the trace goes on */
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Fields between commas or runs of blanks; a comma with blanks around it is one separator. */
static unsigned split(const char *line, size_t len, struct field *field)
{
    unsigned n = 0;
    size_t at = 0;
    while (at < len && is_blank(line[at]))
        at++;
    while (at < len && n < FIELDS_MAX) {
        size_t start = at;
        while (at < len && line[at] != ',' && !is_blank(line[at]))
            at++;
        field[n++] = (struct field){line + start, at - start};
        while (at < len && is_blank(line[at]))
            at++;
        if (at < len && line[at] == ',')
            at++;
        while (at < len && is_blank(line[at]))
            at++;
    }
    return n;
}

/* A whole field of digits below 2^64. */
static bool number(struct field f, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < f.len; i++) {
        unsigned digit = (unsigned)(f.at[i] - '0');
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return f.len > 0;
}

/* Seconds; a fraction is dropped. */
static bool seconds(struct field f, uint64_t *out)
{
    const char *point = memchr(f.at, '.', f.len);
    uint64_t fraction;
    if (!point)
        return number(f, out);
    size_t whole = (size_t)(point - f.at);
    struct field rest = {point + 1, f.len - whole - 1};
    return number((struct field){f.at, whole}, out) && (rest.len == 0 || number(rest, &fraction));
}

static bool bytes(struct field f, uint32_t *out)
{
    uint64_t v;
    if (!number(f, &v) || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

static uint64_t id_of(struct field f)
{
    uint64_t v;
    return number(f, &v) ? v : XXH3_64bits(f.at, f.len);
}

/* The fields of a line that begins with its time; 0: it is a comment, names of columns, or bad. */
static unsigned timed_fields(struct parser *p, const char *line, size_t len, struct field *f,
                             uint64_t *time_s)
{
    unsigned n = split(line, len, f);
    if (n == 0 || f[0].at[0] == '#')
        return 0;
    if (seconds(f[0], time_s))
        return n;
    if (p->number > 1) /* the first may have names of columns */
        bad(p, "the time is no number");
    return 0;
}

static bool text_line(struct parser *p, const char *line, size_t len)
{
    struct field f[FIELDS_MAX];
    uint64_t time_s;
    uint32_t size;
    unsigned n = timed_fields(p, line, len, f, &time_s);
    if (n == 0)
        return true;
    if (n < 3 || f[1].len == 0)
        return bad(p, "it has no three fields time,id,size");
    if (!bytes(f[2], &size))
        return bad(p, "the size is no number of bytes below 4 GiB");
    return trace_add(p->trace, time_s, id_of(f[1]), size);
}

static bool is(struct field f, const char *word)
{
    return f.len == strlen(word) && memcmp(f.at, word, f.len) == 0;
}

static bool twitter_line(struct parser *p, const char *line, size_t len)
{
    struct field f[FIELDS_MAX];
    uint64_t time_s;
    uint32_t key, value;
    unsigned n = split(line, len, f);
    if (n == 0 || f[0].at[0] == '#')
        return true;
    if (n < 6 || f[1].len == 0)
        return bad(p, "it has no seven fields time,key,key size,value size,client,operation,TTL");
    if (!seconds(f[0], &time_s))
        return p->number == 1 ? true : bad(p, "the time is no number");
    if (!bytes(f[2], &key) || !bytes(f[3], &value) || key > UINT32_MAX - value)
        return bad(p, "a size is no number of bytes below 4 GiB");
    if (!is(f[5], "get") && !is(f[5], "gets")) {
        p->other++;
        return true;
    }
    return trace_add(p->trace, time_s, id_of(f[1]), key + value);
}

static bool wiki_line(struct parser *p, const char *line, size_t len)
{
    struct field f[FIELDS_MAX];
    uint64_t time_s;
    uint32_t size;
    unsigned n = timed_fields(p, line, len, f, &time_s);
    if (n == 0)
        return true;
    if (n < 4)
        return bad(p, "it has neither the five fields of uploads nor the four of texts");
    if (!bytes(f[n > 4 ? 3 : 2], &size))
        return bad(p, "the size is no number of bytes below 4 GiB");
    return trace_add(p->trace, time_s, id_of(f[1]), size);
}

static bool oracle_record(struct parser *p, const char *record)
{
    uint32_t time_s, size;
    uint64_t id;
    memcpy(&time_s, record, sizeof(time_s)); /* as all that we run on, little-endian */
    memcpy(&id, record + 4, sizeof(id));
    memcpy(&size, record + 12, sizeof(size));
    return trace_add(p->trace, time_s, id, size);
}

static bool line_done(struct parser *p)
{
    bool ok;
    p->number++;
    if (p->too_long)
        ok = bad(p, "it is longer than 4096 bytes");
    else
        ok = (p->format == PARSE_TEXT   ? text_line
              : p->format == PARSE_WIKI ? wiki_line
                                        : twitter_line)(p, p->line, p->held);
    p->held = 0;
    p->too_long = false;
    return ok;
}

static bool feed_records(struct parser *p, const char *data, size_t len)
{
    while (len) {
        size_t n = PARSE_RECORD_BYTES - p->held < len ? PARSE_RECORD_BYTES - p->held : len;
        memcpy(p->line + p->held, data, n);
        p->held += n;
        data += n;
        len -= n;
        if (p->held < PARSE_RECORD_BYTES)
            return true;
        p->held = 0;
        p->number++;
        if (!oracle_record(p, p->line))
            return false;
    }
    return true;
}

bool parse_feed(struct parser *p, const void *bytes_in, size_t len)
{
    const char *data = bytes_in;
    if (p->format == PARSE_ORACLE)
        return feed_records(p, data, len);
    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len, room = PARSE_LINE_MAX - p->held;
        if (n > room)
            p->too_long = true;
        else
            room = n;
        memcpy(p->line + p->held, data, room);
        p->held += room;
        if (!end)
            return true;
        if (!line_done(p))
            return false;
        data = end + 1;
        len -= n + 1;
    }
    return true;
}

bool parse_end(struct parser *p)
{
    if (p->held == 0 && !p->too_long)
        return true;
    if (p->format != PARSE_ORACLE)
        return line_done(p);
    p->number++;
    p->held = 0;
    return bad(p, "the file ends within it");
}

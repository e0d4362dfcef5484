/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gzip while an object fills (RFC 9110 8.4.1.3, RFC 1952), by ISA-L's igzip at its level 1: once
 * for all who accept it, in this node and, since it is a variant like any other, in those that
 * fetch it from here.
 *
 *   source --bytes--> in, 16 KiB --isal_deflate--> out --cache_append--> the object
 *
 * Input goes to the compressor in whole blocks, each into an empty `out`, and it is flushed where
 * the body has come to 4, 12, 28 KiB and then each 32 KiB on: so that the same body makes the same
 * bytes however it came, and who reads it while it comes hears of it. What the cache has no memory
 * for stays in `out`, and then nothing more is taken: the source waits, as it does without a coder.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <isa-l/igzip_lib.h>

#include "base/ascii.h"
#include "dataplane/proxy/proxy_internal.h"

#define CODERS_MOST 32u /* a worker's; 280 KB each, taken when they are first needed */
#define CODER_IN    16384u
#define CODER_OUT   32768u
/* From one flush to the next: the first soon, the later ones rarely, since each begins a block of
 * its own. igzip itself says nothing before its level buffer is full. */
#define FLUSH_FIRST 4096u
#define FLUSH_MOST  32768u
/* Of a body whose length is known: with less, it would not get a packet shorter. */
#define CODER_LEAST 860

struct coder {
    struct coder *next;
    uint64_t taken; /* bytes of the source's body */
    uint32_t in_len, out_at, out_len;
    uint32_t span, left; /* from the last flush to the next, and what of it is to come */
    bool pending;        /* the compressor has input, or output that did not fit */
    struct isal_zstream z;
    uint8_t level[ISAL_DEF_LVL1_MEDIUM]; /* a token for each byte of a span */
    uint8_t in[CODER_IN], out[CODER_OUT];
};

/* --- what is coded ---------------------------------------------------------------------------- */

/* Of a stored line, "name: value CR LF". */
static struct http_text line_value(struct http_text name, struct http_text line)
{
    return (struct http_text){name.p + name.len + 2, line.len - name.len - 4};
}

/* "text/css; charset=x" by a pattern with at most one "*", in lower case. */
static bool type_matches(struct http_text type, const char *pattern)
{
    const char *star = strchr(pattern, '*'), *semicolon = memchr(type.p, ';', type.len);
    size_t len = semicolon ? (size_t)(semicolon - type.p) : type.len, all = strlen(pattern);
    while (len && (type.p[len - 1] == ' ' || type.p[len - 1] == '\t'))
        len--;
    if (!star)
        return len == all && strncasecmp(type.p, pattern, len) == 0;
    size_t before = (size_t)(star - pattern), behind = all - before - 1;
    return len >= before + behind && strncasecmp(type.p, pattern, before) == 0 &&
           strncasecmp(type.p + len - behind, star + 1, behind) == 0;
}

static bool type_listed(const struct proxy_site *site, struct http_text type)
{
    for (unsigned k = 0; k < site->compress; k++)
        if (type_matches(type, site->compress_type[k]))
            return true;
    return false;
}

/* Says that nobody may recode it, or something that would be false then? */
static bool fixes(struct http_text name, struct http_text value)
{
    static const char *const fixing[] = {"Content-MD5", "Digest", "Content-Digest", "Repr-Digest"};
    struct cache_directives d = {0};
    for (size_t k = 0; k < sizeof(fixing) / sizeof(fixing[0]); k++)
        if (text_equals(name, fixing[k]))
            return true;
    if (text_equals(name, "Cache-Control"))
        cache_control_parse(&d, value.p, value.len);
    return d.no_transform;
}

/* Of such a type, not coded yet, and not fixed? */
static bool is_codable(const struct proxy_site *site, const struct http_head *h)
{
    bool listed = false;
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_field *f = &h->field[i];
        if (text_equals(f->name, "Content-Encoding") || fixes(f->name, f->value))
            return false;
        listed |= text_equals(f->name, "Content-Type") && type_listed(site, f->value);
    }
    return listed;
}

bool coder_suits(const struct fill *f, const struct http_head *h)
{
    struct url_parts url;
    bool served;
    url_split(f->url, f->url_len, &url);
    const struct proxy_site *site = policy_site(f->proxy->policy, url.host, url.port, &served);
    return site && site->compress && (h->status == 200 || h->status == 206) &&
           (h->framing == HTTP_BODY_CHUNKED || h->framing == HTTP_BODY_CLOSE ||
            (h->framing == HTTP_BODY_LENGTH && h->content_length >= CODER_LEAST)) &&
           is_codable(site, h);
}

bool coder_undoes(const struct proxy *p, struct http_text url, const char *head, size_t len)
{
    struct url_parts parts;
    struct http_text name, line;
    bool served, listed = false;
    url_split(url.p, url.len, &parts);
    const struct proxy_site *site = policy_site(p->policy, parts.host, parts.port, &served);
    if (!site || !site->compress)
        return false;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);) {
        struct http_text value = line_value(name, line);
        if (fixes(name, value))
            return false;
        listed |= text_equals(name, "Content-Type") && type_listed(site, value);
    }
    return listed;
}

/* --- coders ----------------------------------------------------------------------------------- */

struct coder *coder_take(struct proxy *p)
{
    struct coder *c = p->coder_free;
    if (c)
        p->coder_free = c->next;
    else if (p->coders < CODERS_MOST && (c = malloc(sizeof(*c))))
        p->coders++;
    if (!c) {
        counter_inc(&p->counters.proxy_coders_full_total);
        return NULL;
    }
    memset(c, 0, offsetof(struct coder, z));
    isal_deflate_init(&c->z);
    c->z.level = 1;
    c->z.level_buf = c->level;
    c->z.level_buf_size = sizeof(c->level);
    c->z.gzip_flag = IGZIP_GZIP;
    c->span = c->left = FLUSH_FIRST;
    return c;
}

void coder_give(struct proxy *p, struct coder *c)
{
    c->next = p->coder_free;
    p->coder_free = c;
}

void coders_free(struct proxy *p)
{
    for (struct coder *c = p->coder_free, *next; c; c = next) {
        next = c->next;
        free(c);
    }
}

uint64_t coder_taken(const struct coder *c)
{
    return c->taken;
}

/* Until the compressor wants more. False: the cache has no memory now. */
static bool coder_run(struct coder *c, struct proxy *p, struct cache_object *o)
{
    for (;;) {
        if (c->out_at < c->out_len)
            c->out_at +=
                (uint32_t)cache_append(p->cache, o, c->out + c->out_at, c->out_len - c->out_at);
        if (c->out_at < c->out_len)
            return false;
        if (!c->pending)
            return true;
        c->z.next_out = c->out;
        c->z.avail_out = CODER_OUT;
        isal_deflate(&c->z);
        c->out_at = 0;
        c->out_len = CODER_OUT - c->z.avail_out;
        counter_add(&p->counters.proxy_coded_out_bytes_total, c->out_len);
        c->pending = c->z.avail_in > 0 || c->z.avail_out == 0;
    }
}

static void coder_feed(struct coder *c)
{
    c->z.next_in = c->in;
    c->z.avail_in = c->in_len;
    c->left -= c->in_len;
    c->z.flush = c->left ? NO_FLUSH : SYNC_FLUSH;
    if (!c->left)
        c->left = c->span = c->span < FLUSH_MOST ? 2 * c->span : FLUSH_MOST;
    c->in_len = 0;
    c->pending = true;
}

size_t coder_put(struct coder *c, struct proxy *p, struct cache_object *o, const uint8_t *data,
                 size_t len)
{
    size_t done = 0;
    while (coder_run(c, p, o) && done < len) {
        uint32_t block = c->left < CODER_IN ? c->left : CODER_IN;
        size_t room = block - c->in_len, n = len - done < room ? len - done : room;
        memcpy(c->in + c->in_len, data + done, n);
        c->in_len += (uint32_t)n;
        done += n;
        if (c->in_len == block)
            coder_feed(c);
    }
    c->taken += done;
    counter_add(&p->counters.proxy_coded_in_bytes_total, done);
    return done;
}

bool coder_end(struct coder *c, struct proxy *p, struct cache_object *o)
{
    if (!coder_run(c, p, o))
        return false;
    if (!c->z.end_of_stream) {
        coder_feed(c);
        c->z.end_of_stream = 1;
    }
    return coder_run(c, p, o);
}

/* --- stored heads ----------------------------------------------------------------------------- */

static bool lists(struct http_text list, const char *word)
{
    size_t n = strlen(word);
    for (uint32_t i = 0; i < list.len;) {
        const char *at = list.p + i, *comma = memchr(at, ',', list.len - i);
        size_t len = comma ? (size_t)(comma - at) : list.len - i;
        i += (uint32_t)len + 1;
        for (; len && (*at == ' ' || *at == '\t'); len--)
            at++;
        while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
            len--;
        if (len == n && strncasecmp(at, word, n) == 0)
            return true;
    }
    return false;
}

static bool says_vary(const char *head, size_t len)
{
    struct http_text name, line;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);)
        if (text_equals(name, "Vary") &&
            lists((struct http_text){name.p + name.len + 1, line.len - name.len - 3},
                  "Accept-Encoding"))
            return true;
    return false;
}

/* A weak ETag in the place of a strong one. */
static void write_weakened(struct head_writer *w, struct http_text name, struct http_text line)
{
    const char *value = name.p + name.len + 2;
    if (text_equals(name, "ETag") && *value == '"') {
        head_text(w, "ETag: W/");
        head_write(w, value, (size_t)(line.p + line.len - value));
    } else {
        head_write(w, line.p, line.len);
    }
}

size_t coder_head(const char *head, size_t len, bool coded, char *out, size_t room)
{
    struct head_writer w = {out, 0, room, false};
    struct http_text name, line;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);)
        if (coded)
            write_weakened(&w, name, line);
        else
            head_write(&w, line.p, line.len);
    if (!says_vary(head, len))
        head_text(&w, "Vary: Accept-Encoding\r\n");
    if (coded)
        head_text(&w, "Content-Encoding: gzip\r\n");
    return w.bad ? 0 : w.len;
}

size_t coder_head_undone(const char *head, size_t len, char *out, size_t room)
{
    struct head_writer w = {out, 0, room, false};
    struct http_text name, line;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);)
        if (!text_equals(name, "Content-Encoding") && !text_equals(name, "Accept-Ranges"))
            write_weakened(&w, name, line);
    if (!says_vary(head, len))
        head_text(&w, "Vary: Accept-Encoding\r\n");
    return w.bad ? 0 : w.len;
}

enum coding coding_of(const char *head, size_t len)
{
    struct http_text name, line;
    enum coding is = CODING_NONE;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);) {
        if (!text_equals(name, "Content-Encoding"))
            continue;
        struct http_text value = line_value(name, line);
        if (is != CODING_NONE)
            return CODING_OTHER;
        if (text_equals(value, "gzip") || text_equals(value, "x-gzip"))
            is = CODING_GZIP;
        else if (text_equals(value, "br"))
            is = CODING_BR;
        else if (value.len && !text_equals(value, "identity"))
            is = CODING_OTHER;
    }
    return is;
}

size_t coder_confirmed(const char *old, size_t old_len, char *fresh, size_t len, size_t room)
{
    struct http_text was = head_field(old, old_len, "ETag"), is = head_field(fresh, len, "ETag");
    struct http_text name, line;
    bool strong = is.len && is.p[0] == '"';
    bool same = strong && was.len > 2 && was.p[0] == 'W' && is.len == was.len - 2 &&
                memcmp(was.p + 2, is.p, is.len) == 0;
    for (size_t at = 0; same && head_line(fresh, len, &at, &name, &line);)
        if (text_equals(name, "ETag")) {
            size_t behind = (size_t)(fresh + len - (line.p + line.len));
            len -= line.len;
            memmove((char *)(uintptr_t)line.p, line.p + line.len, behind);
            break;
        }
    static const char vary[] = "Vary: Accept-Encoding\r\n";
    if (head_field(fresh, len, "Vary").len && says_vary(old, old_len) && !says_vary(fresh, len)) {
        if (len + sizeof(vary) - 1 > room)
            return 0;
        memcpy(fresh + len, vary, sizeof(vary) - 1);
        len += sizeof(vary) - 1;
    }
    return len;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Message heads (RFC 9112 2 to 5). One pass, in the order of the bytes: a prefix of a good head
 * is HTTP_AGAIN at every length, and the first bad byte is an error as soon as it is there.
 */
#include "dataplane/http/scan.h"

#include <string.h>

#define METHOD_MAX 32

struct scan {
    const char *p, *end;
};

/* A line's end is CR LF and nothing else (a bare LF, RFC 9112 2.2, is a smuggler's tool). */
static enum http_error line_end(struct scan *s, enum http_error bad)
{
    if (s->end - s->p >= 2 && memcmp(s->p, "\r\n", 2) == 0) {
        s->p += 2;
        return HTTP_OK;
    }
    if (s->p == s->end)
        return HTTP_AGAIN;
    if (*s->p != '\r')
        return bad;
    return s->p + 1 == s->end ? HTTP_AGAIN : bad;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static enum http_error parse_field(struct scan *s, struct http_head *h)
{
    const char *name = s->p, *p = scan_token(name, s->end);
    if (p == s->end)
        return HTTP_AGAIN;
    /* RFC 9112 5.1: no space before the colon; 5.2: no obs-fold */
    if (*p != ':' || p == name)
        return HTTP_BAD_FIELD;
    if (h->fields == HTTP_FIELDS)
        return HTTP_HEAD_TOO_LARGE;

    struct http_field *f = &h->field[h->fields];
    f->name = (struct http_text){name, (uint32_t)(p - name)};
    p++;
    if (p < s->end && *p == ' ') /* nearly always one */
        p++;
    while (p < s->end && is_blank(*p))
        p++;
    const char *value = p, *value_end = scan_value(p, s->end);
    s->p = value_end;
    enum http_error e = line_end(s, HTTP_BAD_FIELD);
    if (e)
        return e;
    while (value_end > value && is_blank(value_end[-1]))
        value_end--;
    f->value = (struct http_text){value, (uint32_t)(value_end - value)};

    enum http_known which = http_known_find(f->name);
    f->known = (uint8_t)which;
    h->fields++;
    if (which == HTTP_OTHER)
        return HTTP_OK;
    if (!h->known[which])
        h->known[which] = h->fields;
    else if (which == HTTP_CONTENT_LENGTH) /* RFC 9112 6.3 and 3.2: two of them, even alike */
        return HTTP_BAD_LENGTH;
    else if (which == HTTP_HOST && h->request)
        return HTTP_BAD_HOST;
    return HTTP_OK;
}

static enum http_error parse_fields(struct scan *s, struct http_head *h)
{
    for (;;) {
        if (s->p == s->end)
            return HTTP_AGAIN;
        if (*s->p == '\r')
            return line_end(s, HTTP_BAD_FIELD);
        enum http_error e = parse_field(s, h);
        if (e)
            return e;
    }
}

/* "HTTP/" DIGIT "." DIGIT (RFC 9112 2.3) */
static enum http_error parse_version(struct scan *s, char *major, char *minor)
{
    static const char form[] = "HTTP/0.0";
    if (s->end - s->p >= 8 && memcmp(s->p, "HTTP/1.1", 8) == 0) {
        *major = *minor = '1';
        s->p += 8;
        return HTTP_OK;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (s->p + i == s->end)
            return HTTP_AGAIN;
        if (form[i] == '0' ? !http_is_digit(s->p[i]) : s->p[i] != form[i])
            return HTTP_BAD_LINE;
    }
    *major = s->p[5];
    *minor = s->p[7];
    s->p += 8;
    return HTTP_OK;
}

static bool text_eq(struct http_text t, const char *exact)
{
    return t.len == strlen(exact) && memcmp(t.p, exact, t.len) == 0;
}

/* RFC 9112 3.2: origin-form, absolute-form, authority-form, asterisk-form */
static enum http_error split_target(struct http_head *h)
{
    struct http_text t = h->target;
    if (h->method == HTTP_OTHER_METHOD && text_eq(h->method_text, "CONNECT")) {
        h->authority = t;
    } else if (t.p[0] == '/') {
        h->path = t;
    } else if (text_eq(t, "*")) {
        if (!text_eq(h->method_text, "OPTIONS"))
            return HTTP_BAD_TARGET;
        h->path = t;
    } else {
        if (t.len <= 7 || !http_text_is((struct http_text){t.p, 7}, "http://"))
            return HTTP_BAD_TARGET;
        uint32_t at = 7;
        while (at < t.len && t.p[at] != '/' && t.p[at] != '?')
            at++;
        h->authority = (struct http_text){t.p + 7, at - 7};
        h->path = at < t.len ? (struct http_text){t.p + at, t.len - at}
                  : text_eq(h->method_text, "OPTIONS") /* 3.2.4: of the server itself */
                      ? (struct http_text){"*", 1}
                      : (struct http_text){"/", 1};
    }
    if (h->authority.p && !http_authority(h->authority, h->host, &h->port))
        return HTTP_BAD_TARGET;
    return HTTP_OK;
}

static enum http_error parse_method(struct scan *s, struct http_head *h)
{
    if (s->end - s->p > 4 && memcmp(s->p, "GET ", 4) == 0) { /* nearly always */
        h->method_text = (struct http_text){s->p, 3};
        h->method = HTTP_GET;
        s->p += 4;
        return HTTP_OK;
    }
    if (s->p < s->end && *s->p == '\r') { /* RFC 9112 2.2: one empty line before is forgiven */
        enum http_error e = line_end(s, HTTP_BAD_LINE);
        if (e)
            return e;
    }
    const char *method = s->p;
    s->p = scan_token(s->p, s->end);
    h->method_text = (struct http_text){method, (uint32_t)(s->p - method)};
    if (h->method_text.len > METHOD_MAX)
        return HTTP_BAD_LINE;
    if (s->p == s->end)
        return HTTP_AGAIN;
    if (*s->p != ' ' || h->method_text.len == 0)
        return HTTP_BAD_LINE;
    s->p++;
    h->method = text_eq(h->method_text, "GET")    ? HTTP_GET
                : text_eq(h->method_text, "HEAD") ? HTTP_HEAD_METHOD
                                                  : HTTP_OTHER_METHOD;
    return HTTP_OK;
}

static enum http_error parse_request_line(struct scan *s, struct http_head *h)
{
    enum http_error e = parse_method(s, h);
    if (e)
        return e;

    const char *target = s->p;
    s->p = scan_target(s->p, s->end);
    h->target = (struct http_text){target, (uint32_t)(s->p - target)};
    if (h->target.len > HTTP_URL_MAX)
        return HTTP_URI_TOO_LONG;
    if (s->p == s->end)
        return HTTP_AGAIN;
    if (*s->p == '#') /* RFC 9112 3.2 has no fragment: who strips it and who does not disagree */
        return HTTP_BAD_TARGET;
    if (*s->p != ' ' || h->target.len == 0)
        return HTTP_BAD_LINE;
    s->p++;

    char major, minor;
    e = parse_version(s, &major, &minor);
    if (!e)
        e = line_end(s, HTTP_BAD_LINE);
    if (e)
        return e;
    if (major != '1')
        return HTTP_BAD_VERSION;
    h->minor = minor != '0';
    return split_target(h);
}

static enum http_error parse_status_line(struct scan *s, struct http_head *h)
{
    char major, minor;
    enum http_error e = parse_version(s, &major, &minor);
    if (e)
        return e;
    for (unsigned i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end)
            return HTTP_AGAIN;
        if (i == 0 ? *s->p != ' ' : !http_is_digit(*s->p))
            return HTTP_BAD_LINE;
        if (i > 0)
            h->status = (uint16_t)(h->status * 10 + (*s->p - '0'));
    }
    if (h->status < 100 || h->status > 599) /* RFC 9110 15 */
        return HTTP_BAD_LINE;
    if (s->p < s->end && *s->p == ' ') { /* RFC 9112 4: the reason may be empty, some omit SP */
        s->p++;
        h->reason.p = s->p;
        s->p = scan_value(s->p, s->end);
        h->reason.len = (uint32_t)(s->p - h->reason.p);
    }
    e = line_end(s, HTTP_BAD_LINE);
    if (e)
        return e;
    if (major != '1')
        return HTTP_BAD_VERSION;
    h->minor = minor != '0';
    return HTTP_OK;
}

/* Transfer-Encoding must be "chunked", once (RFC 9112 6.1). */
static enum http_error check_coding(const struct http_head *h)
{
    bool chunked = false, other = false;
    for (unsigned i = 0; i < h->fields; i++) {
        if (h->field[i].known != HTTP_TRANSFER_ENCODING)
            continue;
        struct http_text rest = h->field[i].value, member;
        while (http_list_next(&rest, &member)) {
            if (member.len == 0 || chunked)
                return HTTP_BAD_FRAMING;
            if (http_text_is(member, "chunked"))
                chunked = true;
            else
                other = true;
        }
    }
    return other ? HTTP_BAD_CODING : HTTP_OK;
}

/* Each field is looked for among the members of Connection, by each hop of ours: a head must not
 * make that thousands. */
static bool names_too_many(const struct http_head *h)
{
    unsigned members = 0;
    if (!h->known[HTTP_CONNECTION])
        return false;
    for (unsigned i = h->known[HTTP_CONNECTION] - 1u; i < h->fields; i++) {
        struct http_text rest = h->field[i].value, member;
        while (h->field[i].known == HTTP_CONNECTION && http_list_next(&rest, &member))
            if (++members > HTTP_CONNECTION_OPTIONS)
                return true;
    }
    return false;
}

/* Where the body ends (RFC 9112 6.3); `none`: the message has none whatever its fields say. */
static enum http_error find_framing(struct http_head *h, bool none)
{
    const struct http_field *length = http_known(h, HTTP_CONTENT_LENGTH);
    const struct http_field *coding = http_known(h, HTTP_TRANSFER_ENCODING);
    if (names_too_many(h))
        return HTTP_HEAD_TOO_LARGE;
    if (coding) {
        if (length || h->minor == 0) /* 6.1: the two ways to smuggle */
            return HTTP_BAD_FRAMING;
        enum http_error e = check_coding(h);
        if (e)
            return e;
    }
    if (length && !http_text_number(length->value, &h->content_length))
        return HTTP_BAD_LENGTH;
    h->framing = none         ? HTTP_BODY_NONE
                 : coding     ? HTTP_BODY_CHUNKED
                 : length     ? HTTP_BODY_LENGTH
                 : h->request ? HTTP_BODY_NONE
                              : HTTP_BODY_CLOSE;
    /* RFC 9112 9.3; and who sends CONNECT may send what is for the tunnel right behind it, which is
     * no request: without a path */
    bool connect = h->request && !h->path.p;
    h->keep_alive = !connect && h->framing != HTTP_BODY_CLOSE &&
                    !http_list_has(h, HTTP_CONNECTION, "close") &&
                    (h->minor > 0 || http_list_has(h, HTTP_CONNECTION, "keep-alive"));
    return HTTP_OK;
}

/* RFC 9112 3.2: exactly one Host in HTTP/1.1, a valid one wherever it is */
static enum http_error check_host(struct http_head *h)
{
    const struct http_field *f = http_known(h, HTTP_HOST);
    if (!f)
        return h->minor > 0 ? HTTP_BAD_HOST : HTTP_OK;
    if (h->authority.p) { /* 3.2.2: the target's own goes before it */
        char host[256];
        uint16_t port;
        return http_authority(f->value, host, &port) ? HTTP_OK : HTTP_BAD_HOST;
    }
    h->authority = f->value;
    return http_authority(f->value, h->host, &h->port) ? HTTP_OK : HTTP_BAD_HOST;
}

/* What the first line says, and what it may say in the place of a field. */
#define LINE_BYTES  offsetof(struct http_head, authority)
#define FIRST_BYTES offsetof(struct http_head, keep_alive)

static void line_reset(struct http_head *h, bool request)
{
    memset(h, 0, FIRST_BYTES);
    h->request = request;
    h->host[0] = 0;
}

static void fields_reset(struct http_head *h)
{
    /* not field[], which `fields` bounds, nor the rest of host[] */
    memset((char *)h + FIRST_BYTES, 0, offsetof(struct http_head, field) - FIRST_BYTES);
}

static enum http_error bound(enum http_error e, const char *data, size_t head_len, size_t len,
                             struct http_head *h)
{
    if ((e == HTTP_AGAIN && len >= HTTP_HEAD_MAX) || (e == HTTP_OK && head_len > HTTP_HEAD_MAX))
        return HTTP_HEAD_TOO_LARGE;
    h->head_len = (uint32_t)head_len;
    h->end = data + head_len;
    return e;
}

static enum http_error parse_request_fields(struct scan *s, struct http_head *h)
{
    fields_reset(h);
    enum http_error e = parse_fields(s, h);
    if (!e)
        e = check_host(h);
    if (!e)
        e = find_framing(h, false);
    return e;
}

enum http_error http_parse_request(const char *data, size_t len, struct http_head *out)
{
    struct scan s = {data, data + len};
    line_reset(out, true);
    enum http_error e = parse_request_line(&s, out);
    if (!e)
        e = parse_request_fields(&s, out);
    return bound(e, data, (size_t)(s.p - data), len, out);
}

/* --- fields that came lately ------------------------------------------------------------------ */

/* Where fields are kept that end `n` bytes from here, if nothing follows them: by some letters of
 * the first one, which mostly is Host, and of the last one. */
static struct http_recent_fields *recent_set(struct http_recent *recent, const char *p, size_t n)
{
    uint64_t first, last;
    if (n < 20 || n > HTTP_RECENT_BYTES)
        return NULL;
    memcpy(&first, p + 6, sizeof(first));
    memcpy(&last, p + n - 12, sizeof(last));
    uint64_t print = (first + last * 0x9e3779b97f4a7c15ull + n) * 0xff51afd7ed558ccdull;
    return &recent->set[(print >> 32) % HTTP_RECENT];
}

static bool has_credentials(const struct http_head *h)
{
    return h->known[HTTP_AUTHORIZATION] || h->known[HTTP_COOKIE] ||
           h->known[HTTP_PROXY_AUTHORIZATION];
}

/* Reads fields in their place among those that are kept. */
static enum http_error recent_read(struct http_recent_fields *set, struct scan *s)
{
    struct scan copy = {set->bytes, set->bytes + (s->end - s->p)};
    memcpy(set->bytes, s->p, (size_t)(s->end - s->p));
    set->len = 0;
    memset((char *)&set->head + LINE_BYTES, 0, FIRST_BYTES - LINE_BYTES);
    enum http_error e = parse_request_fields(&copy, &set->head);
    size_t len = (size_t)(copy.p - set->bytes);
    s->p += len;
    if (!e && !has_credentials(&set->head)) {
        set->len = (uint32_t)len;
        set->head.remark = set->remark;
        memset(set->remark, 0, sizeof(set->remark));
    }
    return e;
}

void http_recent_forget(const struct http_head *h)
{
    struct http_recent_fields *set =
        (void *)((char *)h->remark - offsetof(struct http_recent_fields, remark));
    set->len = 0;
}

enum http_error http_parse_again(struct http_recent *recent, const char *data, size_t len,
                                 const struct http_head **out)
{
    struct scan s = {data, data + len};
    struct http_head *h = &recent->other;
    struct http_recent_fields *set = NULL;
    line_reset(h, true);
    enum http_error e = parse_request_line(&s, h);
    /* of these alone the fields mean the same whatever stands in the line */
    if (!e && h->minor > 0 && !h->authority.p)
        set = recent_set(recent, s.p, (size_t)(s.end - s.p));
    if (set) {
        memcpy(&set->head, h, LINE_BYTES);
        h = &set->head;
        if (set->len && set->len <= (size_t)(s.end - s.p) && memcmp(set->bytes, s.p, set->len) == 0)
            s.p += set->len;
        else
            e = recent_read(set, &s);
    } else if (!e) {
        e = parse_request_fields(&s, h);
    }
    *out = h;
    return bound(e, data, (size_t)(s.p - data), len, h);
}

enum http_error http_parse_response(const char *data, size_t len, bool to_head,
                                    struct http_head *out)
{
    struct scan s = {data, data + len};
    line_reset(out, false);
    fields_reset(out);
    enum http_error e = parse_status_line(&s, out);
    if (!e)
        e = parse_fields(&s, out);
    if (!e) {
        bool empty = out->status < 200 || out->status == 204;
        e = find_framing(out, to_head || empty || out->status == 304);
        /* RFC 9110 8.6, RFC 9112 6.1: these announce no body; who does anyhow may send one */
        if (!e && empty && (out->known[HTTP_TRANSFER_ENCODING] || out->content_length > 0))
            out->keep_alive = false;
    }
    return bound(e, data, (size_t)(s.p - data), len, out);
}

static bool list_has(const struct http_head *h, enum http_known which, struct http_text token)
{
    if (!h->known[which])
        return false;
    for (unsigned i = h->known[which] - 1u; i < h->fields; i++) {
        if (h->field[i].known != which)
            continue;
        struct http_text rest = h->field[i].value, member;
        while (http_list_next(&rest, &member))
            if (member.len == token.len && strncasecmp(member.p, token.p, token.len) == 0)
                return true;
    }
    return false;
}

bool http_list_has(const struct http_head *h, enum http_known which, const char *token)
{
    return list_has(h, which, (struct http_text){token, (uint32_t)strlen(token)});
}

bool http_connection_names(const struct http_head *h, struct http_text name)
{
    return list_has(h, HTTP_CONNECTION, name);
}

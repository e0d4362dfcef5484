/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/structured.h"

#include <string.h>

#include "base/ascii.h"

/* Each function below is a paragraph of RFC 9651 4.2, and consumes what it has read. They return
 * false when parsing fails; then the whole field has failed. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}
static bool is_token(char c) /* RFC 9110 5.6.2, ':' and '/' */
{
    return ascii_is_tchar(c) || c == ':' || c == '/';
}

static bool is_key(char c)
{
    return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

static bool at_char(const struct sf_reader *r, char c)
{
    return r->p < r->end && *r->p == c;
}
static bool take_char(struct sf_reader *r, char c)
{
    if (!at_char(r, c))
        return false;
    r->p++;
    return true;
}
static void skip_spaces(struct sf_reader *r)
{
    while (at_char(r, ' '))
        r->p++;
}
static void skip_ows(struct sf_reader *r)
{
    while (at_char(r, ' ') || at_char(r, '\t'))
        r->p++;
}

/* --- bare items (4.2.3.1) --------------------------------------------------------------------- */

/* 4.2.4: at most 15 digits, or 12 before the point and 1 to 3 after it */
static bool take_number(struct sf_reader *r, struct sf_value *v)
{
    bool minus = take_char(r, '-');
    int64_t n = 0;
    unsigned whole = 0, fraction = 0;
    for (; r->p < r->end && is_digit(*r->p); r->p++, whole++) {
        if (whole == 15)
            return false;
        n = n * 10 + (*r->p - '0');
    }
    if (whole == 0)
        return false;
    v->type = SF_INTEGER;
    if (at_char(r, '.')) {
        r->p++;
        for (; r->p < r->end && is_digit(*r->p); r->p++, fraction++) {
            if (fraction == 3)
                return false;
            n = n * 10 + (*r->p - '0');
        }
        if (whole > 12 || fraction == 0)
            return false;
        for (; fraction < 3; fraction++)
            n *= 10;
        v->type = SF_DECIMAL;
    }
    v->number = minus ? -n : n;
    return true;
}

/* 4.2.5 */
static bool take_string(struct sf_reader *r, struct sf_value *v)
{
    v->type = SF_STRING;
    v->p = ++r->p;
    for (; r->p < r->end; r->p++) {
        if (*r->p == '"') {
            v->len = (size_t)(r->p - v->p);
            r->p++;
            return true;
        }
        if (*r->p < 0x20 || *r->p > 0x7e)
            return false;
        if (*r->p == '\\') {
            r->p++;
            if (!at_char(r, '"') && !at_char(r, '\\'))
                return false;
        }
    }
    return false;
}

/* 4.2.6 */
static bool take_token(struct sf_reader *r, struct sf_value *v)
{
    v->type = SF_TOKEN;
    v->p = r->p;
    while (r->p < r->end && is_token(*r->p))
        r->p++;
    v->len = (size_t)(r->p - v->p);
    return true;
}

/* 4.2.7; padding may lack */
static bool take_bytes(struct sf_reader *r, struct sf_value *v)
{
    size_t pad = 0;
    v->type = SF_BYTES;
    v->p = ++r->p;
    for (; r->p < r->end && *r->p != ':'; r->p++) {
        if (*r->p == '=')
            pad++;
        else if (pad || !(is_alpha(*r->p) || is_digit(*r->p) || *r->p == '+' || *r->p == '/'))
            return false;
    }
    v->len = (size_t)(r->p - v->p);
    size_t digits = v->len - pad;
    return take_char(r, ':') && digits % 4 != 1 && (pad == 0 || (pad <= 2 && v->len % 4 == 0));
}

/* 4.2.8 */
static bool take_boolean(struct sf_reader *r, struct sf_value *v)
{
    r->p++;
    v->type = SF_BOOLEAN;
    v->number = at_char(r, '1');
    return take_char(r, '0') || take_char(r, '1');
}

/* 4.2.9 */
static bool take_date(struct sf_reader *r, struct sf_value *v)
{
    r->p++;
    if (!take_number(r, v) || v->type != SF_INTEGER)
        return false;
    v->type = SF_DATE;
    return true;
}

static int hex_lower(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* UTF-8 (RFC 3629) byte by byte: how many are to follow, and the range of the next one. */
struct utf8 {
    unsigned more;
    uint8_t low, high;
};

static bool utf8_next(struct utf8 *u, uint8_t b)
{
    if (u->more) {
        bool good = b >= u->low && b <= u->high;
        u->low = 0x80, u->high = 0xbf;
        u->more--;
        return good;
    }
    u->low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;  /* no longer than needed */
    u->high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf; /* no surrogates, nothing past 10FFFF */
    u->more = b < 0x80 ? 0 : b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
    return b < 0x80 || (b >= 0xc2 && b <= 0xf4);
}

/* 4.2.10 */
static bool take_display(struct sf_reader *r, struct sf_value *v)
{
    struct utf8 u = {0};
    r->p++;
    if (!take_char(r, '"'))
        return false;
    v->type = SF_DISPLAY;
    v->p = r->p;
    for (; r->p < r->end; r->p++) {
        uint8_t b = (uint8_t)*r->p;
        if (b == '"') {
            v->len = (size_t)(r->p - v->p);
            r->p++;
            return u.more == 0;
        }
        if (b < 0x20 || b > 0x7e)
            return false;
        if (b == '%') {
            if (r->end - r->p < 3)
                return false;
            int hi = hex_lower(r->p[1]), lo = hex_lower(r->p[2]);
            if (hi < 0 || lo < 0)
                return false;
            b = (uint8_t)(hi * 16 + lo);
            r->p += 2;
        }
        if (!utf8_next(&u, b))
            return false;
    }
    return false;
}

static bool take_bare(struct sf_reader *r, struct sf_value *v)
{
    *v = (struct sf_value){0};
    if (r->p == r->end)
        return false;
    switch (*r->p) {
    case '"':
        return take_string(r, v);
    case ':':
        return take_bytes(r, v);
    case '?':
        return take_boolean(r, v);
    case '@':
        return take_date(r, v);
    case '%':
        return take_display(r, v);
    case '-':
        return take_number(r, v);
    default:
        if (is_digit(*r->p))
            return take_number(r, v);
        return (is_alpha(*r->p) || *r->p == '*') && take_token(r, v);
    }
}

/* --- keys, parameters, items ------------------------------------------------------------------ */

/* 4.2.3.3 */
static bool take_key(struct sf_reader *r, struct sf_member *m)
{
    m->key = r->p;
    if (r->p == r->end || !(is_lower(*r->p) || *r->p == '*'))
        return false;
    while (r->p < r->end && is_key(*r->p))
        r->p++;
    m->key_len = (size_t)(r->p - m->key);
    return true;
}

static void set_true(struct sf_value *v)
{
    *v = (struct sf_value){.type = SF_BOOLEAN, .number = 1};
}

/* One parameter, after its ';' */
static bool take_param(struct sf_reader *r, struct sf_member *m)
{
    skip_spaces(r);
    if (!take_key(r, m))
        return false;
    set_true(&m->value);
    return !take_char(r, '=') || take_bare(r, &m->value);
}

/* 4.2.3.2 */
static bool take_params(struct sf_reader *r, struct sf_member *m)
{
    struct sf_member param;
    m->params = r->p;
    while (take_char(r, ';'))
        if (!take_param(r, &param))
            return false;
    m->params_len = (size_t)(r->p - m->params);
    return true;
}

/* 4.2.3 */
static bool take_item(struct sf_reader *r, struct sf_member *m)
{
    return take_bare(r, &m->value) && take_params(r, m);
}

/* 4.2.1.2 */
static bool take_inner(struct sf_reader *r, struct sf_member *m)
{
    const char *begin = ++r->p;
    struct sf_member item;
    for (;;) {
        skip_spaces(r);
        if (at_char(r, ')'))
            break;
        if (!take_item(r, &item) || !(at_char(r, ' ') || at_char(r, ')')))
            return false;
    }
    m->value = (struct sf_value){.type = SF_LIST, .p = begin, .len = (size_t)(r->p - begin)};
    r->p++;
    return take_params(r, m);
}

/* 4.2.1.1 */
static bool take_item_or_inner(struct sf_reader *r, struct sf_member *m)
{
    return at_char(r, '(') ? take_inner(r, m) : take_item(r, m);
}

/* --- the face --------------------------------------------------------------------------------- */

void sf_begin(struct sf_reader *r, const char *value, size_t len)
{
    *r = (struct sf_reader){.p = value, .end = value + len};
}

static bool fail(struct sf_reader *r)
{
    r->bad = true;
    r->p = r->end;
    return false;
}

/* To the next member of a list or dictionary. False: the end, or bad. */
static bool next_begins(struct sf_reader *r)
{
    if (r->bad)
        return false;
    if (!r->begun) {
        r->begun = true;
        skip_spaces(r);
        return r->p < r->end;
    }
    skip_ows(r);
    if (r->p == r->end)
        return false;
    if (!take_char(r, ','))
        return fail(r);
    skip_ows(r);
    return r->p < r->end || fail(r); /* a comma at the end */
}

bool sf_dictionary_next(struct sf_reader *r, struct sf_member *out)
{
    *out = (struct sf_member){0};
    if (!next_begins(r))
        return false;
    if (!take_key(r, out))
        return fail(r);
    if (take_char(r, '='))
        return take_item_or_inner(r, out) || fail(r);
    set_true(&out->value);
    return take_params(r, out) || fail(r);
}

bool sf_list_next(struct sf_reader *r, struct sf_member *out)
{
    *out = (struct sf_member){0};
    return next_begins(r) && (take_item_or_inner(r, out) || fail(r));
}

bool sf_item(struct sf_reader *r, struct sf_member *out)
{
    *out = (struct sf_member){0};
    skip_spaces(r);
    if (r->bad || !take_item(r, out))
        return fail(r);
    skip_spaces(r);
    return r->p == r->end || fail(r);
}

bool sf_inner_next(struct sf_reader *r, struct sf_member *out)
{
    *out = (struct sf_member){0};
    skip_spaces(r);
    return r->p < r->end && (take_item(r, out) || fail(r));
}

bool sf_param_next(struct sf_reader *r, struct sf_member *out)
{
    *out = (struct sf_member){0};
    return take_char(r, ';') && (take_param(r, out) || fail(r));
}

bool sf_key_is(const struct sf_member *m, const char *key)
{
    return strlen(key) == m->key_len && memcmp(m->key, key, m->key_len) == 0;
}

size_t sf_string_copy(const struct sf_value *v, char *out, size_t room)
{
    size_t n = 0;
    if (v->type != SF_STRING)
        return SIZE_MAX;
    for (size_t i = 0; i < v->len; i++) {
        if (v->p[i] == '\\')
            i++;
        if (n == room)
            return SIZE_MAX;
        out[n++] = v->p[i];
    }
    return n;
}

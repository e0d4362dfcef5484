/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common and combined are NCSA's, as Apache and nginx write them:
 *
 *   192.0.2.1 - - [29/Nov/2026:02:13:04 +0000] "GET /a HTTP/1.1" 200 1024
 *   ... "http://www.example.com/" "curl/7.88.1"
 *
 * with \" \\ and \xHH, of all that is not printable ASCII, between quotes; "-" for what is not
 * known. json is an object a line, always valid UTF-8: bytes that are none become U+FFFD. A text
 * that was cut ends in "...".
 */
#include "control/access_format.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/utf8.h"

const char *const access_served_words[ACCESS_SERVED] = {
    [ACCESS_NOT] = "-",     [ACCESS_HIT] = "hit",       [ACCESS_STALE] = "stale",
    [ACCESS_PEER] = "peer", [ACCESS_ORIGIN] = "origin", [ACCESS_COLLAPSED] = "collapsed",
    [ACCESS_PASS] = "pass", [ACCESS_ERROR] = "error",
};

const char *const access_reason_words[ACCESS_REASONS] = {
    [ACCESS_NO_REASON] = "-",
    [ACCESS_NO_NAME] = "no-name",
    [ACCESS_DNS] = "dns",
    [ACCESS_FORBIDDEN] = "forbidden",
    [ACCESS_REFUSED] = "refused",
    [ACCESS_CONNECT] = "connect",
    [ACCESS_CLOSED] = "closed",
    [ACCESS_NONSENSE] = "nonsense",
    [ACCESS_BROKE_OFF] = "broke-off",
    [ACCESS_TIMEOUT] = "timeout",
    [ACCESS_BACKOFF] = "backoff",
    [ACCESS_LOOP] = "loop",
    [ACCESS_SHARE] = "share",
    [ACCESS_DOWN] = "down",
    [ACCESS_UP] = "up",
    [ACCESS_NOT_SERVED] = "not-served",
    [ACCESS_METHOD_REFUSED] = "method-refused",
    [ACCESS_BODY_REFUSED] = "body-refused",
    [ACCESS_BUSY] = "busy",
    [ACCESS_DENY_LIST] = "deny-list",
    [ACCESS_RULE_DENY] = "rule-deny",
    [ACCESS_RULE_REDIRECT] = "rule-redirect",
    [ACCESS_RULE_RATE] = "rule-rate",
    [ACCESS_RULE_FAILS] = "rule-fails",
    [ACCESS_SHED] = "shed",
    [ACCESS_BAD_LINE] = "bad-line",
    [ACCESS_BAD_TARGET] = "bad-target",
    [ACCESS_BAD_FIELD] = "bad-field",
    [ACCESS_BAD_HOST] = "bad-host",
    [ACCESS_BAD_LENGTH] = "bad-length",
    [ACCESS_BAD_FRAMING] = "bad-framing",
    [ACCESS_BAD_BODY] = "bad-body",
    [ACCESS_SHORT_BODY] = "short-body",
    [ACCESS_SLOW_HEAD] = "slow-head",
    [ACCESS_SLOW_BODY] = "slow-body",
    [ACCESS_LONG_TARGET] = "long-target",
    [ACCESS_BAD_EXPECT] = "bad-expect",
    [ACCESS_LARGE_HEAD] = "large-head",
    [ACCESS_BAD_CODING] = "bad-coding",
    [ACCESS_BAD_VERSION] = "bad-version",
};

/* As Cache-Status has them (RFC 9211). */
const char *const access_why_words[ACCESS_WHYS] = {
    [ACCESS_NO_WHY] = "-",
    [ACCESS_WHY_MISS] = "miss",
    [ACCESS_WHY_VARY_MISS] = "vary-miss",
    [ACCESS_WHY_PARTIAL] = "partial",
    [ACCESS_WHY_STALE] = "stale",
    [ACCESS_WHY_REQUEST] = "request",
    [ACCESS_WHY_BYPASS] = "bypass",
    [ACCESS_WHY_METHOD] = "method",
    [ACCESS_WHY_REVALIDATE] = "stale-while-revalidate",
    [ACCESS_WHY_MAX_STALE] = "max-stale",
    [ACCESS_WHY_IF_ERROR] = "stale-if-error",
};

const char *access_text(const struct access_record *a, enum access_text which)
{
    const char *p = a->text;
    for (unsigned i = 0; i < which; i++)
        p += a->len[i];
    return p;
}

/* --- pieces: the caller has room for the longest line -------------------------------------- */

static char *put(char *p, const char *text)
{
    size_t n = strlen(text);
    memcpy(p, text, n);
    return p + n;
}

static char *put_number(char *p, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    memcpy(p, digits + at, sizeof(digits) - at);
    return p + sizeof(digits) - at;
}

static char *put_hex(char *p, unsigned char c)
{
    static const char digit[] = "0123456789abcdef";
    *p++ = digit[c >> 4];
    *p++ = digit[c & 15];
    return p;
}

/* Between quotes of NCSA's. */
static char *put_quoted(char *p, const struct access_record *a, enum access_text which)
{
    const char *text = access_text(a, which);
    for (unsigned i = 0; i < a->len[which]; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            *p++ = '\\';
            *p++ = (char)c;
        } else if (c < 0x20 || c >= 0x7f) {
            p = put_hex(put(p, "\\x"), c);
        } else {
            *p++ = (char)c;
        }
    }
    return a->cut >> which & 1 ? put(p, "...") : p;
}

/* Between quotes of JSON's (RFC 8259 7). */
static char *put_json(char *p, const struct access_record *a, enum access_text which)
{
    const unsigned char *text = (const unsigned char *)access_text(a, which);
    for (unsigned i = 0, n; i < a->len[which]; i += n) {
        n = utf8_character(text + i, a->len[which] - i);
        if (n == 0 || text[i] == 0) { /* many a reader takes no NUL */
            p = put(p, "\\ufffd");
            n = 1;
        } else if (text[i] == '"' || text[i] == '\\') {
            *p++ = '\\';
            *p++ = (char)text[i];
        } else if (text[i] < 0x20 || text[i] == 0x7f) {
            p = put_hex(put(p, "\\u00"), text[i]);
        } else if (n == 2 && text[i] == 0xc2 &&
                   text[i + 1] < 0xa0) { /* C1: a terminal's commands */
            p = put_hex(put(p, "\\u00"), text[i + 1]);
        } else {
            memcpy(p, text + i, n);
            p += n;
        }
    }
    return a->cut >> which & 1 ? put(p, "...") : p;
}

/* --- time ---------------------------------------------------------------------------------- */

/* Many lines are of one second. Returns the microseconds in it. */
static unsigned clock_set(struct access_clock *clock, uint64_t mono_us)
{
    static const char *const month[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t us = (int64_t)mono_us + clock->ahead_us, second = us / 1000000;
    struct tm t;
    time_t when = (time_t)second;

    if (second == clock->second || !gmtime_r(&when, &t))
        return (unsigned)(us % 1000000);
    clock->second = second;
    int year = (t.tm_year + 1900) % 10000;
    snprintf(clock->common, sizeof(clock->common), "%02d/%s/%04d:%02d:%02d:%02d +0000",
             t.tm_mday % 100, month[t.tm_mon % 12], year, t.tm_hour % 100, t.tm_min % 100,
             t.tm_sec % 100);
    snprintf(clock->iso, sizeof(clock->iso), "%04d-%02d-%02dT%02d:%02d:%02d", year,
             (t.tm_mon + 1) % 100, t.tm_mday % 100, t.tm_hour % 100, t.tm_min % 100,
             t.tm_sec % 100);
    return (unsigned)(us % 1000000);
}

/* --- lines --------------------------------------------------------------------------------- */

static char *put_field(char *p, const struct access_record *a, enum access_text which)
{
    p = put(p, " \"");
    p = a->len[which] ? put_quoted(p, a, which) : put(p, "-");
    return put(p, "\"");
}

static char *line_common(char *p, const struct access_record *a, const struct access_clock *clock)
{
    char client[ADDR_TEXT];

    p = put(put(p, addr_text(&a->client, client)), " - - [");
    p = put(put(p, clock->common), "] \"");
    if (a->minor == ACCESS_NO_VERSION) {
        p = put(p, "-");
    } else {
        p = put(put_quoted(p, a, ACCESS_METHOD), " ");
        p = put(put_quoted(p, a, ACCESS_TARGET), " HTTP/1.");
        p = put_number(p, a->minor);
    }
    p = put_number(put(p, "\" "), a->status);
    return put_number(put(p, " "), a->bytes);
}

/* What is not known is left out. */
static char *put_member(char *p, const char *name, const struct access_record *a,
                        enum access_text which)
{
    if (!a->len[which])
        return p;
    p = put(put(put(p, ",\""), name), "\":\"");
    return put(put_json(p, a, which), "\"");
}

static char *put_wait(char *p, const char *name, uint32_t us)
{
    return us ? put_number(put(put(put(p, ",\""), name), "\":"), us) : p;
}

static char *line_json(char *p, const struct access_record *a, const struct access_clock *clock,
                       unsigned us)
{
    char client[ADDR_TEXT];

    p = put(put(p, "{\"time\":\""), clock->iso);
    *p++ = '.';
    for (unsigned unit = 100000; unit; unit /= 10)
        *p++ = (char)('0' + us / unit % 10);
    p = put(put(p, "Z\",\"client\":\""), addr_text(&a->client, client));
    p = put(p, "\"");
    p = put_member(p, "method", a, ACCESS_METHOD);
    p = put_member(p, "host", a, ACCESS_HOST);
    p = put_member(p, "target", a, ACCESS_TARGET);
    if (a->minor != ACCESS_NO_VERSION)
        p = put(put_number(put(p, ",\"version\":\"1."), a->minor), "\"");
    p = put_number(put(p, ",\"status\":"), a->status);
    p = put_number(put(p, ",\"bytes\":"), a->bytes);
    p = put_number(put(p, ",\"duration_us\":"), a->duration_us);
    p = put(put(put(p, ",\"served\":\""), access_served_words[a->served % ACCESS_SERVED]), "\"");
    if (a->reason)
        p = put(put(put(p, ",\"reason\":\""), access_reason_words[a->reason % ACCESS_REASONS]),
                "\"");
    if (a->why)
        p = put(put(put(p, ",\"why\":\""), access_why_words[a->why % ACCESS_WHYS]), "\"");
    p = put_wait(p, "head_us", a->head_us);
    p = put_wait(p, "index_us", a->index_us);
    p = put_wait(p, "peer_us", a->peer_us);
    p = put_wait(p, "origin_us", a->origin_us);
    p = put_number(put(p, ",\"worker\":"), a->worker);
    p = put_member(p, "referer", a, ACCESS_REFERER);
    p = put_member(p, "agent", a, ACCESS_AGENT);
    p = put_member(p, "request_id", a, ACCESS_ID);
    p = put(p, a->flags & ACCESS_OF_PEER ? ",\"peer\":true" : "");
    p = put(p, a->flags & ACCESS_LEFT ? ",\"left\":true" : "");
    p = put(p, a->flags & ACCESS_BROKEN ? ",\"broken\":true" : "");
    p = put(p, a->flags & ACCESS_REVALIDATED ? ",\"revalidated\":true" : "");
    return put(p, a->cut ? ",\"cut\":true}" : "}");
}

size_t access_line(enum access_format format, const struct access_record *a,
                   struct access_clock *clock, char out[static ACCESS_LINE_MAX])
{
    unsigned us = clock_set(clock, a->start_us);
    char *p = out;

    if (format == ACCESS_JSON) {
        p = line_json(p, a, clock, us);
    } else {
        p = line_common(p, a, clock);
        if (format == ACCESS_COMBINED)
            p = put_field(put_field(p, a, ACCESS_REFERER), a, ACCESS_AGENT);
    }
    *p++ = '\n';
    return (size_t)(p - out);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Heads that are well formed: what the parser says about them, at every length. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"

static struct http_head head;

static enum http_error request(const char *text)
{
    return http_parse_request(text, strlen(text), &head);
}

static enum http_error response(const char *text)
{
    return http_parse_response(text, strlen(text), false, &head);
}

static void expect_text(struct http_text t, const char *want)
{
    cr_expect(t.len == strlen(want) && memcmp(t.p, want, t.len) == 0, "have \"%.*s\", want \"%s\"",
              (int)t.len, t.p, want);
}

Test(head, a_plain_request)
{
    const char *text =
        "GET /a/b?c=d HTTP/1.1\r\nHost: www.Example.com:8080\r\nUser-Agent: \t x y \t\r\n"
        "If-None-Match: \"q\"\r\nX-Empty:\r\n\r\nGET /next";
    cr_assert_eq(request(text), HTTP_OK);
    cr_expect_eq(head.method, HTTP_GET);
    expect_text(head.method_text, "GET");
    expect_text(head.target, "/a/b?c=d");
    expect_text(head.path, "/a/b?c=d");
    expect_text(head.authority, "www.Example.com:8080");
    cr_expect_eq(head.minor, 1);
    cr_expect_eq(head.fields, 4);
    expect_text(http_known(&head, HTTP_USER_AGENT)->value, "x y");
    expect_text(http_known(&head, HTTP_IF_NONE_MATCH)->value, "\"q\"");
    expect_text(head.field[3].value, "");
    cr_expect_null(http_known(&head, HTTP_RANGE));
    cr_expect_eq(head.framing, HTTP_BODY_NONE);
    cr_expect(head.keep_alive);
    cr_expect_eq(head.head_len, strlen(text) - strlen("GET /next"));
}

Test(head, forms_of_a_target)
{
    cr_assert_eq(request("GET http://a.example:81/x?y HTTP/1.1\r\nHost: b\r\n\r\n"), HTTP_OK);
    expect_text(head.authority, "a.example:81");
    expect_text(head.path, "/x?y");
    cr_assert_eq(request("GET HTTP://a.example HTTP/1.1\r\nHost: b\r\n\r\n"), HTTP_OK);
    expect_text(head.path, "/");
    cr_assert_eq(request("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n"), HTTP_OK);
    cr_expect_eq(head.method, HTTP_OTHER_METHOD);
    cr_assert_eq(request("CONNECT a.example:443 HTTP/1.1\r\nHost: b\r\n\r\n"), HTTP_OK);
    expect_text(head.authority, "a.example:443");
    const char *bad[] = {"*",           "a.example", "https://a/", "http:///x",
                         "http://u@a/", "http://",   "//",         NULL};
    for (unsigned i = 0; bad[i]; i++) {
        char text[128];
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: b\r\n\r\n", bad[i]);
        cr_expect_eq(request(text), strcmp(bad[i], "//") ? HTTP_BAD_TARGET : HTTP_OK, "%s", bad[i]);
    }
}

Test(head, who_keeps_the_connection)
{
    static const struct {
        const char *version, *connection;
        bool keeps;
    } t[] = {
        {"1.1", "keep-alive", true},         {"1.1", "Close", false},
        {"1.1", "x, close", false},          {"1.1", "closed", true},
        {"1.0", "Keep-Alive", true},         {"1.0", "x", false},
        {"1.0", "keep-alive, close", false}, {"1.7", "x", true},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\nConnection: %s\r\n\r\n",
                 t[i].version, t[i].connection);
        cr_assert_eq(request(text), HTTP_OK);
        cr_expect_eq(head.keep_alive, t[i].keeps, "%s", text);
    }
    cr_assert_eq(
        request("GET / HTTP/1.1\r\nHost: a\r\nConnection: a\r\nConnection: b ,\tCLOSE\r\n\r\n"),
        HTTP_OK);
    cr_expect(http_list_has(&head, HTTP_CONNECTION, "close"));
    cr_expect_not(http_list_has(&head, HTTP_CONNECTION, "clos"));
    cr_expect(http_connection_names(&head, (struct http_text){"B: x", 1}));
    cr_expect_not(http_connection_names(&head, (struct http_text){"B: x", 2}));
}

Test(head, a_request_of_1_0_may_name_no_host)
{
    cr_assert_eq(request("HEAD /x HTTP/1.0\r\n\r\n"), HTTP_OK);
    cr_expect_eq(head.method, HTTP_HEAD_METHOD);
    cr_expect_eq(head.authority.len, 0);
    cr_expect_not(head.keep_alive);
}

Test(head, one_empty_line_before_a_request_is_forgiven)
{
    cr_expect_eq(request("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_OK);
    cr_expect_eq(request("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_LINE);
}

Test(head, every_known_field_is_found_in_any_case)
{
    static const char *const name[HTTP_KNOWN] = {
        [HTTP_AGE] = "AGE",
        [HTTP_AUTHORIZATION] = "Authorization",
        [HTTP_CACHE_CONTROL] = "cache-CONTROL",
        [HTTP_CONNECTION] = "Connection",
        [HTTP_CONTENT_RANGE] = "Content-Range",
        [HTTP_CONTENT_TYPE] = "Content-Type",
        [HTTP_COOKIE] = "Cookie",
        [HTTP_DATE] = "Date",
        [HTTP_ETAG] = "ETag",
        [HTTP_EXPECT] = "Expect",
        [HTTP_EXPIRES] = "Expires",
        [HTTP_HOST] = "Host",
        [HTTP_IF_MODIFIED_SINCE] = "If-Modified-Since",
        [HTTP_IF_NONE_MATCH] = "If-None-Match",
        [HTTP_IF_RANGE] = "If-Range",
        [HTTP_KEEP_ALIVE] = "Keep-Alive",
        [HTTP_LAST_MODIFIED] = "Last-Modified",
        [HTTP_LOCATION] = "Location",
        [HTTP_PRAGMA] = "Pragma",
        [HTTP_PROXY_AUTHENTICATE] = "Proxy-Authenticate",
        [HTTP_PROXY_AUTHORIZATION] = "Proxy-Authorization",
        [HTTP_PROXY_CONNECTION] = "Proxy-Connection",
        [HTTP_RANGE] = "Range",
        [HTTP_RETRY_AFTER] = "Retry-After",
        [HTTP_SET_COOKIE] = "Set-Cookie",
        [HTTP_TE] = "tE",
        [HTTP_TRAILER] = "Trailer",
        [HTTP_UPGRADE] = "Upgrade",
        [HTTP_USER_AGENT] = "User-Agent",
        [HTTP_VARY] = "Vary",
        [HTTP_VIA] = "Via",
        [HTTP_CORAL_PEER] = "Coral-Peer",
    };
    for (unsigned k = 1; k < HTTP_KNOWN; k++) {
        char text[256];
        if (!name[k])
            continue;
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nX%s: a\r\n%s: v%u\r\n\r\n", name[k],
                 name[k], k);
        cr_assert_eq(response(text), HTTP_OK);
        snprintf(text, sizeof(text), "v%u", k);
        cr_assert_eq(head.known[k], 2, "%s", name[k]);
        expect_text(http_known(&head, (enum http_known)k)->value, text);
    }
}

Test(head, a_response_and_its_framing)
{
    static const struct {
        const char *text;
        bool to_head;
        enum http_framing framing;
        bool keeps;
    } t[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, HTTP_BODY_LENGTH, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, HTTP_BODY_NONE, true},
        {"HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", false, HTTP_BODY_CHUNKED, true},
        {"HTTP/1.1 200 \r\n\r\n", false, HTTP_BODY_CLOSE, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, HTTP_BODY_LENGTH, false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, HTTP_BODY_NONE, true},
        {"HTTP/1.1 204 No Content\r\n\r\n", false, HTTP_BODY_NONE, true},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, HTTP_BODY_NONE, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", false, HTTP_BODY_NONE, true},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        cr_assert_eq(http_parse_response(t[i].text, strlen(t[i].text), t[i].to_head, &head),
                     HTTP_OK, "%s", t[i].text);
        cr_expect_eq(head.framing, t[i].framing, "%s", t[i].text);
        cr_expect_eq(head.keep_alive, t[i].keeps, "%s", t[i].text);
    }
    cr_assert_eq(response("HTTP/1.1 404 Not\tFound \xc3\xa4\r\nContent-Length: 7\r\n\r\n"),
                 HTTP_OK);
    cr_expect_eq(head.status, 404);
    cr_expect_eq(head.content_length, 7);
    expect_text(head.reason, "Not\tFound \xc3\xa4");
}

/* Each prefix, in memory that ends where it ends, is incomplete and no error. */
Test(head, split_at_every_byte)
{
    const char *req =
        "\r\nGET http://a.example/b?c HTTP/1.1\r\nHost: a.example\r\nAccept: text/html, "
        "application/xhtml+xml;q=0.9\r\nConnection: keep-alive\r\n\r\n";
    const char *res =
        "HTTP/1.1 200 OK\r\nServer: a longer value than eight bytes\r\nTransfer-Encoding: "
        "chunked\r\n\r\n";
    for (unsigned which = 0; which < 2; which++) {
        const char *text = which ? res : req;
        for (size_t n = 0; n <= strlen(text); n++) {
            char *part = malloc(n ? n : 1);
            memcpy(part, text, n);
            enum http_error e = which ? http_parse_response(part, n, false, &head)
                                      : http_parse_request(part, n, &head);
            cr_expect_eq(e, n < strlen(text) ? HTTP_AGAIN : HTTP_OK, "at %zu of %u", n, which);
            free(part);
        }
    }
}

/* A head of `before`, `pad` times 'a', `after`. */
static const char *padded(const char *before, size_t pad, const char *after)
{
    static char text[2 * HTTP_HEAD_MAX];
    size_t n = strlen(before);
    memcpy(text, before, n);
    memset(text + n, 'a', pad);
    memcpy(text + n + pad, after, strlen(after) + 1);
    return text;
}

Test(head, limits_are_exact)
{
    const char *line = "GET / HTTP/1.1\r\nHost: a\r\n";
    const char *rest = " HTTP/1.1\r\nHost: a\r\n\r\n";
    cr_expect_eq(request(padded("GET /", HTTP_URL_MAX - 1, rest)), HTTP_OK);
    cr_expect_eq(request(padded("GET /", HTTP_URL_MAX, rest)), HTTP_URI_TOO_LONG);

    for (unsigned over = 0; over < 2; over++) {
        char text[2048];
        size_t n = (size_t)snprintf(text, sizeof(text), "%s", line);
        for (unsigned i = 0; i < HTTP_FIELDS - 1 + over; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "X: %u\r\n", i);
        snprintf(text + n, sizeof(text) - n, "\r\n");
        cr_expect_eq(request(text), over ? HTTP_HEAD_TOO_LARGE : HTTP_OK);
    }

    for (unsigned over = 0; over < 2; over++) { /* in two fields */
        char text[2048], more[HTTP_CONNECTION_OPTIONS + 1] = "";
        memset(more, ',', HTTP_CONNECTION_OPTIONS - 2 + over);
        snprintf(text, sizeof(text), "%sConnection: a\r\nX: y\r\nConnection: %s\r\n\r\n", line,
                 more);
        cr_expect_eq(request(text), over ? HTTP_HEAD_TOO_LARGE : HTTP_OK);
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nConnection: a\r\nConnection: %s\r\n\r\n",
                 more);
        cr_expect_eq(response(text), over ? HTTP_HEAD_TOO_LARGE : HTTP_OK);
    }

    const char *field = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    size_t pad = HTTP_HEAD_MAX - strlen(field) - 4;
    cr_expect_eq(request(padded(field, pad, "\r\n\r\n")), HTTP_OK);
    cr_expect_eq(http_parse_request(padded(field, pad, "\r\n\r\n"), HTTP_HEAD_MAX - 1, &head),
                 HTTP_AGAIN);
    cr_expect_eq(request(padded(field, pad + 1, "\r\n\r\n")), HTTP_HEAD_TOO_LARGE);
    cr_expect_eq(http_parse_request(padded(line, HTTP_HEAD_MAX, ""), HTTP_HEAD_MAX, &head),
                 HTTP_HEAD_TOO_LARGE);
}

Test(head, reasons)
{
    cr_expect_str_eq(http_reason(200), "OK");
    cr_expect_str_eq(http_reason(504), "Gateway Timeout");
    cr_expect_str_eq(http_reason(299), "Unknown");
}

/* --- fields that come again --- */

static struct http_recent recent;

static enum http_error again(const char *line, const char *fields, const struct http_head **h)
{
    static char text[HTTP_RECENT_BYTES + 256];
    int n = snprintf(text, sizeof(text), "%s\r\n%s", line, fields);
    return http_parse_again(&recent, text, (size_t)n, h);
}

Test(head, fields_that_come_again_say_the_same)
{
    static const char fields[] = "Host: www.Example.com:81\r\nAccept: a, b\r\nRange: x\r\n\r\n";
    const struct http_head *first, *h;
    cr_assert_eq(again("GET /1 HTTP/1.1", fields, &first), HTTP_OK);
    void *remark = first->remark;
    cr_assert_not_null(remark);
    memset(remark, 7, HTTP_REMARK);
    cr_assert_eq(again("HEAD /22?3 HTTP/1.1", fields, &h), HTTP_OK);
    cr_expect_eq(h->remark, remark);
    cr_expect_eq(*(char *)remark, 7, "it stays");
    cr_expect_eq(h->method, HTTP_HEAD_METHOD);
    expect_text(h->path, "/22?3");
    expect_text(h->authority, "www.Example.com:81");
    cr_expect_str_eq(h->host, "www.example.com");
    cr_expect_eq(h->port, 81);
    cr_expect_eq(h->fields, 3);
    cr_expect(h->keep_alive);
    expect_text(http_known(h, HTTP_RANGE)->value, "x");
    expect_text(h->field[1].value, "a, b");
    cr_expect_eq(h->head_len, strlen("HEAD /22?3 HTTP/1.1\r\n") + strlen(fields));
}

/* In their place, where these fields are known: lines in which they mean something else, */
Test(head, the_line_decides_what_known_fields_mean)
{
    static const char fields[] = "Host: www.example.com\r\nAccept: a, b\r\n\r\n";
    const struct http_head *h;
    cr_assert_eq(again("GET /1 HTTP/1.1", fields, &h), HTTP_OK);
    cr_assert_eq(again("GET /1 HTTP/1.0", fields, &h), HTTP_OK);
    cr_expect_not(h->keep_alive);
    cr_expect_null(h->remark);
    cr_assert_eq(again("GET http://other.example:8/x HTTP/1.1", fields, &h), HTTP_OK);
    cr_expect_str_eq(h->host, "other.example");
    cr_expect_eq(h->port, 8);
    cr_assert_eq(again("CONNECT other.example:443 HTTP/1.1", fields, &h), HTTP_OK);
    cr_expect_not(h->keep_alive);
    cr_expect_str_eq(h->host, "other.example");
    cr_assert_eq(again("GET / HTTP/2.0", fields, &h), HTTP_BAD_VERSION);
    cr_assert_eq(again("GET /1 HTTP/1.1", fields, &h), HTTP_OK);
    cr_expect_str_eq(h->host, "www.example.com");
    cr_expect_not_null(h->remark);
}

/* ... and fields that differ in a byte of the same print, that end early, or that have more. */
Test(head, other_fields_are_not_taken_for_known_ones)
{
    static char fields[] = "Host: www.example.com\r\nX: abcdefgh\r\nAccept: 12345678\r\n\r\n";
    const struct http_head *h;
    cr_assert_eq(again("GET / HTTP/1.1", fields, &h), HTTP_OK);
    char *remark = h->remark;
    memset(remark, 7, HTTP_REMARK);
    strchr(fields, 'X')[3] = 'A';
    cr_assert_eq(again("GET / HTTP/1.1", fields, &h), HTTP_OK);
    expect_text(h->field[1].value, "Abcdefgh");
    cr_expect_eq(h->remark, remark, "in the same place");
    cr_expect_eq(*remark, 0, "but new");
    strchr(fields, 'X')[3] = 0x01;
    cr_expect_eq(again("GET / HTTP/1.1", fields, &h), HTTP_BAD_FIELD);
    cr_expect_eq(again("GET / HTTP/1.1", "Host: www.example.com\r\nX: ", &h), HTTP_AGAIN);
    cr_expect_eq(again("GET / HTTP/1.1", "Host: a\r\nAccept: b\r\nHost: a\r\n\r\n", &h),
                 HTTP_BAD_HOST);
    cr_assert_eq(again("GET / HTTP/1.1", "Host: a\r\nAccept: b\r\n\r\nGET /next HT", &h), HTTP_OK);
    cr_expect_eq(h->fields, 2);
}

Test(head, fields_that_are_to_be_forgotten_are_read_anew)
{
    static const char fields[] = "Host: a.example\r\nX-Api-Key: abcdefgh\r\n\r\n";
    const struct http_head *h;
    cr_assert_eq(again("GET / HTTP/1.1", fields, &h), HTTP_OK);
    memset(h->remark, 7, HTTP_REMARK);
    http_recent_forget(h);
    expect_text(h->field[1].value, "abcdefgh");
    cr_assert_eq(again("GET / HTTP/1.1", fields, &h), HTTP_OK);
    cr_expect_eq(*(char *)h->remark, 0);
}

Test(head, fields_with_credentials_are_not_kept)
{
    static const char *const secret[] = {"Authorization", "Cookie", "Proxy-Authorization"};
    char fields[128];
    const struct http_head *h;
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++) {
        snprintf(fields, sizeof(fields), "Host: a.example\r\n%s: abcdefgh\r\n\r\n", secret[i]);
        for (unsigned j = 0; j < 2; j++) {
            cr_assert_eq(again("GET / HTTP/1.1", fields, &h), HTTP_OK);
            cr_expect_eq(h->fields, 2);
            cr_expect_null(h->remark, "%s", secret[i]);
        }
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Debian's libhttp-parser: NGINX's parser, made Node's, and for years in half of all tools. */
#include <http_parser.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tests/http/verdict.h"

struct theirs {
    struct verdict *v;
    bool to_head, in_body, whole, in_value;
    size_t fields; /* where in `text` they wait for the start line */
    char name[ODD_MAX], value[ODD_MAX], url[ODD_MAX]; /* come in pieces */
    size_t name_len, value_len, url_len;
};

static void field_over(struct theirs *t)
{
    if (t->name_len)
        verdict_put_field(t->v, t->name, t->name_len, t->value, t->value_len);
    t->name_len = t->value_len = 0;
    t->in_value = false;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    struct theirs *t = p->data;
    memcpy(t->url + t->url_len, at, n);
    t->url_len += n;
    return 0;
}

/* The version is known by the first field, or the end of the head. */
static void start_line(http_parser *p)
{
    struct theirs *t = p->data;
    char status[16];
    const char *method = http_method_str((enum http_method)p->method);
    if (t->v->len)
        return;
    if (p->type == HTTP_RESPONSE)
        verdict_put_start(t->v, status,
                          (size_t)snprintf(status, sizeof(status), "%u", p->status_code), NULL, 0,
                          p->http_minor != 0);
    else
        verdict_put_start(t->v, method, strlen(method), t->url, t->url_len, p->http_minor != 0);
}

static int on_name(http_parser *p, const char *at, size_t n)
{
    struct theirs *t = p->data;
    if (t->in_body)
        return 0; /* a trailer */
    start_line(p);
    if (t->in_value)
        field_over(t);
    memcpy(t->name + t->name_len, at, n);
    t->name_len += n;
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct theirs *t = p->data;
    if (t->in_body)
        return 0;
    t->in_value = true;
    memcpy(t->value + t->value_len, at, n);
    t->value_len += n;
    return 0;
}

static int on_head(http_parser *p)
{
    struct theirs *t = p->data;
    start_line(p);
    field_over(t);
    verdict_put(t->v, "\n", 1);
    t->in_body = true;
    /* 1: there is no body, whatever the fields say; it leaves this to the caller */
    return t->to_head || (p->type == HTTP_RESPONSE &&
                          (p->status_code < 200 || p->status_code == 204 || p->status_code == 304));
}

static int on_data(http_parser *p, const char *at, size_t n)
{
    struct theirs *t = p->data;
    verdict_put(t->v, at, n);
    return 0;
}

static int on_whole(http_parser *p)
{
    struct theirs *t = p->data;
    t->whole = true;
    t->v->keeps = http_should_keep_alive(p) != 0;
    http_parser_pause(p, 1);
    return 0;
}

void verdict_http_parser(const struct odd *o, size_t at, struct verdict *v)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_name,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_head,
                                                  .on_body = on_data,
                                                  .on_message_complete = on_whole};
    static struct theirs t;
    http_parser p;
    memset(&t, 0, offsetof(struct theirs, name));
    t.name_len = t.value_len = t.url_len = 0;
    t.v = v;
    t.to_head = o->to_head;
    v->len = 0;
    v->closes = false;
    http_parser_init(&p, o->request ? HTTP_REQUEST : HTTP_RESPONSE);
    p.data = &t;
    v->end = http_parser_execute(&p, &settings, o->text + at, o->len - at);
    if (!t.whole && HTTP_PARSER_ERRNO(&p) == HPE_OK && !o->request) {
        http_parser_execute(&p, &settings, NULL, 0); /* the connection's end */
        v->closes = t.whole;
        v->what = t.whole ? VERDICT_TAKEN : VERDICT_UNFINISHED;
        return;
    }
    v->what = t.whole                           ? VERDICT_TAKEN
              : HTTP_PARSER_ERRNO(&p) == HPE_OK ? VERDICT_UNFINISHED
                                                : VERDICT_REFUSED;
}

bool verdict_method_known(const char *method, size_t len)
{
    static const char *const known[] = {
#define XX(number, name, text) #text,
        HTTP_METHOD_MAP(XX)};
#undef XX
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i]) == len && memcmp(method, known[i], len) == 0)
            return true;
    return false;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an origin is told of the request that a fill is for: field lines made here, in place of what
 * the client says in fields of these names. They are made when the fill begins, of its first
 * request, and go with every question of the fill to an origin: they are in no key, no variant is
 * selected by them, and what an origin says to vary by one of them is for one request alone.
 */
#include <string.h>
#include <strings.h>

#include "dataplane/proxy/proxy_internal.h"

bool forward_makes(const struct fill *f, struct http_text field)
{
    struct http_text name, line;
    for (size_t at = 0; head_line(f->forward, f->forward_len, &at, &name, &line);)
        if (name.len == field.len && strncasecmp(name.p, field.p, name.len) == 0)
            return true;
    return false;
}

void forward_begin(struct fill *f, const struct request *r)
{
    char text[PROXY_REQUEST_HEAD + 64];
    struct http_head h;
    struct head_writer w = {f->forward, 0, sizeof(f->forward), false};
    bool heard = r->looped && request_head_parse(r, text, sizeof(text), &h);
    f->looped = heard;
    loop_write(f->proxy, heard ? &h : NULL, &w);
    f->forward_len = (uint16_t)(w.bad ? 0 : w.len);
}

void forward_said(struct fill *f)
{
    struct cache_name name;
    for (size_t at = 0; cache_vary_next(&f->said, &at, &name);)
        if (forward_makes(f, (struct http_text){name.p, (uint32_t)name.len}))
            f->said.any = true;
}

bool forward_doubtful(const struct fill *f, unsigned status)
{
    return f->looped && f->kind == SOURCE_ORIGIN && status >= 400 && status != 404 && status != 410;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Invalidation (RFC 9111 4.4): what an unsafe request may have changed at the origin is not served
 * any more. The owner of each key forgets it before the client hears that the request has worked,
 * so that whoever asks after that finds what is new.
 *
 *   R: FORGET{forget} --> O: unlinks, withdraws its reference, FORGOTTEN{forget} --> R: answers
 */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

struct forget *forget_take(struct proxy *p)
{
    struct forget *f = p->forget_free;
    if (f)
        p->forget_free = f->next;
    return f;
}

void forget_give(struct proxy *p, struct forget *f)
{
    f->next = p->forget_free;
    p->forget_free = f;
}

static void forget_send(struct proxy *p, struct request *r, struct forget *f)
{
    f->request = r;
    f->hash = cache_hash(p->cache, f->url, f->url_len);
    r->forgetting++;
    counter_inc(&p->counters.proxy_invalidations_total);
    post_send(p, &f->post, cache_owner(p->cache, f->hash), PROXY_FORGET, 0,
              &(struct proxy_note){.forget = f});
}

/* A reference (RFC 3986 5.2) into the same origin as `url`, in the cache's form; 0: it is of
 * another, or none. */
static size_t resolve(const struct url_parts *url, struct http_text ref, char *out, size_t room)
{
    char merged[HTTP_URL_MAX];
    struct head_writer w = {merged, 0, sizeof(merged), false};
    struct http_text host = {url->host, (uint32_t)strlen(url->host)};
    static const char scheme[] = "http:";
    if (ref.len >= sizeof(scheme) - 1 && text_equals((struct http_text){ref.p, 5}, scheme))
        ref.p += 5, ref.len -= 5;
    if (ref.len >= 2 && ref.p[0] == '/' && ref.p[1] == '/') {
        char named[256];
        uint16_t port;
        const char *begin = ref.p + 2, *end = ref.p + ref.len, *slash = begin;
        while (slash < end && !strchr("/?#", *slash))
            slash++;
        struct http_text authority = {begin, (uint32_t)(slash - begin)};
        if (!http_authority(authority, named, &port) || strcmp(named, url->host) != 0 ||
            (port ? port : 80) != url->port)
            return 0;
        ref = (struct http_text){slash, (uint32_t)(end - slash)};
        if (ref.len == 0 || *ref.p != '/')
            head_text(&w, "/");
    } else if (ref.len == 0 ||
               *ref.p != '/') { /* to the folder of the path, or to the path itself */
        const char *query = memchr(url->path, '?', url->path_len);
        size_t path = query ? (size_t)(query - url->path) : url->path_len;
        if (ref.len && *ref.p != '?' && *ref.p != '#')
            while (path && url->path[path - 1] != '/')
                path--;
        if (memchr(ref.p, ':', ref.len)) /* another scheme, for all we care */
            return 0;
        head_write(&w, url->path, path);
    }
    head_write(&w, ref.p, ref.len);
    return w.bad ? 0
                 : http_url_normalise(host, url->port, (struct http_text){merged, (uint32_t)w.len},
                                      out, room);
}

/* It MAY be invalidated, too: where there is room for it. */
static void forget_named(struct proxy *p, struct request *r, struct http_text ref)
{
    struct url_parts url;
    struct forget *f = ref.len ? forget_take(p) : NULL;
    if (!f)
        return;
    url_split(r->url, r->url_len, &url);
    f->url_len = (uint16_t)resolve(&url, ref, f->url, sizeof(f->url));
    if (f->url_len && (f->url_len != r->url_len || memcmp(f->url, r->url, f->url_len) != 0))
        forget_send(p, r, f);
    else
        forget_give(p, f);
}

void forget_begin(struct proxy *p, struct request *r, const struct http_head *h)
{
    struct forget *f = r->forget;
    if (!f || h->status < 200 || h->status >= 400)
        return;
    r->forget = NULL;
    memcpy(f->url, r->url, r->url_len);
    f->url_len = r->url_len;
    forget_send(p, r, f);
    const struct http_field *location = http_known(h, HTTP_LOCATION);
    if (location)
        forget_named(p, r, location->value);
    for (unsigned i = 0; i < h->fields; i++)
        if (text_equals(h->field[i].name, "Content-Location"))
            forget_named(p, r, h->field[i].value);
}

/* At the owner. */
void forget_key(struct proxy *p, unsigned from, struct forget *f, struct now now)
{
    proxy_drop(p, f->hash, f->url, f->url_len, now);
    post_send(p, &f->answer, from, PROXY_FORGOTTEN, 0, &(struct proxy_note){.forget = f});
}

void forget_done(struct proxy *p, struct forget *f, struct now now)
{
    struct request *r = f->request;
    forget_give(p, f);
    if (--r->forgetting > 0)
        return;
    if (r->state == REQUEST_PASSING)
        pass_writable(p, r, now);
    else
        request_release(p, r);
}

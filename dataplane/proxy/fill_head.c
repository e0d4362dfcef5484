/* SPDX-License-Identifier: BSD-3-Clause */
/* What a source's head means for a fill: store, share, pass, refresh, go on, or look elsewhere. */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

static struct http_text field_value(const struct http_head *h, enum http_known which)
{
    const struct http_field *f = http_known(h, which);
    return f ? f->value : (struct http_text){"", 0};
}

/* In a coding that is not identity? */
static bool is_coded(const struct http_head *h)
{
    for (unsigned i = 0; i < h->fields; i++)
        if (text_equals(h->field[i].name, "Content-Encoding"))
            return true;
    return false;
}

/* What must be the same for bytes of two responses to be put together: none when they may have been
 * coded on the fly, by whatever. */
static uint64_t validators_of(const struct http_head *h)
{
    struct http_text etag = field_value(h, HTTP_ETAG),
                     modified = field_value(h, HTTP_LAST_MODIFIED);
    if (is_coded(h) && !etag.len)
        return 0;
    return head_strong(etag, modified, field_value(h, HTTP_DATE)).len
               ? head_validators(etag, modified)
               : 0;
}

static int64_t body_length(const struct http_head *h)
{
    return h->framing == HTTP_BODY_NONE     ? 0
           : h->framing == HTTP_BODY_LENGTH ? (int64_t)h->content_length
                                            : -1;
}

/* Of responses that name none: between two minutes (a page under a flash crowd must not be asked
 * for each second) and a day. */
#define SITE_LEAST_S     120
#define SITE_HEURISTIC_S 86400
#define SITE_NEGATIVE_S  10
#define OPEN_NEGATIVE_S  60

/* Which field governs: Cache-Control, or one that is meant for us (RFC 9213). */
static void read_control(const struct http_head *h, struct cache_response *out)
{
    struct cache_control control = {0};
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_field *f = &h->field[i];
        if (f->known == HTTP_CACHE_CONTROL)
            cache_control_parse(&control.plain, f->value.p, f->value.len);
        else if (f->known == HTTP_OTHER)
            cache_target_parse(&control, cache_target(f->name.p, f->name.len), f->value.p,
                               f->value.len);
    }
    cache_control_choose(&control, out);
}

/* `h` governs; it is what has been received, or after a 304 what is stored. */
static void read_response(struct fill *f, const struct http_head *h,
                          const struct http_head *received, struct now now,
                          struct cache_response *out)
{
    /* a part is as cacheable as what it is of */
    *out = (struct cache_response){.status = h->status == 206 ? 200 : h->status,
                                   .request_s = f->request_s,
                                   .response_s = now.wall_s,
                                   .date_s = http_date_parse(field_value(h, HTTP_DATE)),
                                   .expires_s = -1,
                                   .age_s = -1};
    const struct http_field *x;
    if ((x = http_known(h, HTTP_EXPIRES))) {
        out->has_expires = true;
        out->expires_s = http_date_parse(x->value);
    }
    if ((x = http_known(received, HTTP_AGE)))
        out->age_s = cache_age_parse(x->value.p, x->value.len);
    out->modified_s = http_date_parse(field_value(h, HTTP_LAST_MODIFIED));
    out->has_modified = out->modified_s >= 0;
    out->has_validator = http_known(h, HTTP_ETAG) || http_known(h, HTTP_LAST_MODIFIED);
    vary_said(h, &f->said);
    forward_said(f);
    out->varies_any = f->said.any;
    out->authorized = f->authorized;
    out->has_set_cookie = http_known(h, HTTP_SET_COOKIE);
    read_control(h, out); /* and Expires is forgotten where it does not count */
}

static struct cache_verdict judge(struct fill *f, const struct http_head *h,
                                  const struct http_head *received, struct now now)
{
    const struct proxy_policy *policy = f->proxy->policy;
    struct cache_response r;
    struct url_parts url;
    bool served;
    url_split(f->url, f->url_len, &url);
    const struct proxy_site *site = policy_site(policy, url.host, url.port, &served);
    read_response(f, h, received, now, &r);
    struct cache_lifetimes l = {.default_s = policy->open_default_lifetime_s,
                                .minimum_s = policy->open_min_lifetime_s,
                                .negative_s = OPEN_NEGATIVE_S,
                                .override_s = -1,
                                .stale_error_s = policy->stale_s};
    if (site) {
        l.default_s = SITE_LEAST_S;
        l.heuristic_max_s = SITE_HEURISTIC_S;
        l.minimum_s = 0;
        l.negative_s = SITE_NEGATIVE_S;
        l.override_s = site->ttl_override_s;
    }
    obey_store(f, &r, &l);
    return cache_judge(&r, &l);
}

static struct cache_meta meta_of(const struct http_head *h, const struct cache_verdict *v,
                                 int64_t length, struct now now)
{
    struct cache_meta meta = {.status = h->status,
                              .response_s = (uint32_t)now.wall_s,
                              .content_length = cache_length_code(length),
                              .version = head_version(validators_of(h), length)};
    cache_verdict_keep(v, &meta);
    return meta;
}

/* What is stored of a 206: a slice, with its place as the last line, or the whole. Returns the
 * length of the body. */
static int64_t store_part(struct fill *f, const struct slice *s, struct cache_meta *meta,
                          char *head, size_t room, size_t *len)
{
    int64_t length = (int64_t)(s->last - s->first) + 1;
    struct head_writer w = {head, *len, room, *len == 0};
    meta->status = f->part ? 206 : 200;
    if (f->part) {
        meta->content_length = cache_length_code(length);
        slice_write_place(&w, s);
        counter_inc(&f->proxy->counters.proxy_slices_total);
    }
    *len = w.bad ? 0 : w.len;
    return length;
}

/* What comes is not stored, and goes on as it is: the coder is for another fill. */
static bool not_begun(struct fill *f)
{
    if (f->coder)
        coder_give(f->proxy, f->coder);
    f->coder = NULL;
    f->weakened = false;
    return false;
}

static bool begin_object(struct fill *f, const struct http_head *h, const struct cache_verdict *v,
                         struct now now)
{
    char head[CACHE_HEAD_MAX], coded[CACHE_HEAD_MAX];
    const char *stored = head;
    size_t len = obey_tags(f, head, head_store(h, false, now, head, sizeof(head)), sizeof(head));
    struct slice s;
    bool answers = f->part && slice_answers(f, h, &s);
    int64_t length = body_length(h);
    if (len && f->negotiated) {
        if (fill_accepts_gzip(f))
            f->coder = coder_take(f->proxy);
        len = coder_head(head, len, f->coder != NULL, coded, sizeof(coded));
        stored = coded;
    }
    struct cache_meta meta = meta_of(h, v, f->coder ? -1 : answers ? s.total : length, now);
    if (f->coder) {
        struct http_text etag = field_value(h, HTTP_ETAG);
        f->weakened = etag.len && etag.p[0] == '"';
        meta.version = 0; /* of another's bytes */
    }
    f->part = f->said.total > 0;
    f->base = f->part ? f->base : 0;
    slice_name(f);
    if (answers)
        length = store_part(f, &s, &meta, head, sizeof(head), &len);
    if (len == 0)
        return not_begun(f);
    struct http_text key = fill_key(f);
    f->object = cache_begin(f->proxy->cache, f->hash, key.p, key.len, &meta, stored, len, now);
    if (!f->object)
        return not_begun(f);
    if (f->coder)
        counter_inc(&f->proxy->counters.proxy_coded_total);
    cache_born(f->object, f->born);
    f->source_coded = is_coded(h);
    if (f->again && f->kind == SOURCE_PEER)
        counter_inc(&f->proxy->counters.proxy_index_again_found_total);
    f->length = length;
    f->validators = f->share_only ? 0 : validators_of(h);
    f->state = FILL_BODY;
    /* a good old copy stays until the new one is whole */
    if (!f->share_only && !f->purged && !fill_stale_usable(f, now))
        fill_link(f);
    fill_ready_all(f);
    return true;
}

/* What may not be stored takes the place of what was: it must not be served for a while longer. An
 * error that is neither 404 nor 410 says nothing about that. */
static void drop_stale(struct fill *f, uint16_t status)
{
    struct proxy *p = f->proxy;
    if (!f->stale || (status >= 400 && status != 404 && status != 410) ||
        fill_lookup(f) != f->stale)
        return;
    refs_forget(p, f->stale, false);
    cache_unlink(p->cache, f->stale);
}

/* All who wait fetch for themselves. */
static bool release(struct fill *f, uint16_t status, bool remember, struct now now)
{
    if (remember) {
        pass_note(f->proxy, fill_known(f), now);
        drop_stale(f, status);
    }
    fill_release_all(f, remember);
    index_withdraw(f, now);
    fill_end(f);
    return false;
}

/* The source is good, the question was not: the next one is no retry. */
static bool ask_otherwise(struct fill *f, struct now now)
{
    origin_anew(f);
    f->asked = false;
    source_failed(f, 502, now);
    return false;
}

/* No slice can be made of this. The whole can be had from the origin at its next question, if it
 * may be kept; nobody gets what was the answer to another's range. */
static bool not_a_slice(struct fill *f, const struct http_head *h, const struct slice *s,
                        struct now now)
{
    counter_inc(&f->proxy->counters.proxy_slices_refused_total);
    if (f->kind == SOURCE_PEER) {
        source_failed(f, 502, now);
        return false;
    }
    if (!f->waiting) { /* it was fetched ahead: the whole is for who asks for it */
        index_withdraw(f, now);
        fill_end(f);
        return false;
    }
    if (h->status == 416 && !f->varies) /* and the others may want something else */
        return release(f, h->status, false, now);
    if (s && s->total > 0 && (uint64_t)s->total > cache_object_limit(f->proxy->cache))
        return release(f, h->status, true, now);
    f->part = f->negotiated = false;
    f->base = 0;
    return ask_otherwise(f, now);
}

/* The first who may have it gets this response, the others fetch for themselves. A request with a
 * cookie does not: ours went without it; nor one that it was not selected for. */
static bool uncacheable(struct fill *f, const struct http_head *h, bool remember, struct now now)
{
    struct request **at = &f->waiting, *chosen = NULL;
    if (remember)
        pass_note(f->proxy, fill_known(f), now);
    /* the list is in order of arrival, backwards: the last that fits came first. What was made for
     * the fields of one is for nobody else */
    for (struct request **i = at; *i; i = &(*i)->o.next)
        if (!(*i)->peer && !(*i)->has_cookie && !(*i)->head_sent &&
            !(fill_is_own(f) && (*i)->o.joined) && vary_suits(f, *i))
            chosen = *i, at = i;
    if (chosen)
        *at = chosen->o.next;
    fill_release_all(f, remember);
    index_withdraw(f, now);
    if (remember)
        drop_stale(f, h->status);
    f->streaming = chosen;
    if (!chosen) {
        fill_end(f);
        return false;
    }
    return pass_head_begin(f, h, now);
}

/* After a 304 the stored head counts with what the 304 has put in its place (RFC 9111 3.2), and not
 * the 304 alone, which need not say again for how long (RFC 9110 15.4.5). */
static struct cache_verdict judge_stored(struct fill *f, const struct http_head *h, uint16_t status,
                                         const char *lines, size_t len, struct now now)
{
    char text[CACHE_HEAD_MAX + 64];
    struct head_writer w = {text, 0, sizeof(text), false};
    struct http_head stored;
    head_printf(&w, "HTTP/1.1 %u OK\r\n", status);
    head_write(&w, lines, len);
    head_text(&w, "\r\n");
    if (w.bad || http_parse_response(text, w.len, true, &stored) != HTTP_OK) {
        stored = *h; /* too long to be looked at in one piece */
        stored.status = status;
    }
    return judge(f, &stored, h, now);
}

/* A 304 with a strong ETag is about what has that, and must not renew anything else (RFC 9111
 * 4.3.4). That of coded bytes may have been weakened here. */
static bool is_about(const char *old, size_t len, const struct http_head *h)
{
    struct http_text is = field_value(h, HTTP_ETAG), was = head_field(old, len, "ETag");
    if (is.len == 0 || is.p[0] != '"')
        return true;
    if (was.len > 2 && was.p[0] == 'W' && head_field(old, len, "Content-Encoding").len)
        was.p += 2, was.len -= 2;
    return is.len == was.len && memcmp(is.p, was.p, is.len) == 0;
}

/* 304: the old copy is as good as new (RFC 9111 4.3.4). */
static bool refresh(struct fill *f, const struct http_head *h, struct now now)
{
    char fresh[CACHE_HEAD_MAX], merged[CACHE_HEAD_MAX];
    struct proxy *p = f->proxy;
    size_t old_len, n = head_store(h, false, now, fresh, sizeof(fresh));
    const struct cache_meta *was = cache_meta(f->stale);
    const char *old = cache_head(f->stale, &old_len);
    n = obey_tags(f, fresh, n, sizeof(fresh));
    n = coder_confirmed(old, old_len, fresh, n, sizeof(fresh));
    size_t len = n && is_about(old, old_len, h)
                     ? head_merge(old, old_len, fresh, n, merged, sizeof(merged))
                     : 0;

    struct cache_verdict v = judge_stored(f, h, was->status, merged, len, now);
    if (len && !v.storable) /* private, no-store: it may not stay */
        drop_stale(f, 200);
    if (fill_lookup(f) != f->stale || len == 0 || !vary_confirms(f) || !slice_confirms(f, h)) {
        /* purged or evicted meanwhile, not to be stored, or not here: a whole one is needed */
        cache_unpin(f->stale, p->config.worker);
        f->stale = NULL;
        return ask_otherwise(f, now);
    }
    struct cache_meta meta = *was;
    meta.response_s = (uint32_t)now.wall_s;
    cache_verdict_keep(&v, &meta);
    meta.has_validator = true; /* it has just served */
    refs_forget(p, f->stale, false);
    struct cache_object *stale = (struct cache_object *)(uintptr_t)f->stale;
    cache_born(stale, f->born); /* the 304 says how it was when we asked, perhaps with other tags */
    f->object = cache_refresh(p->cache, stale, &meta, merged, len, now);
    if (!f->object) {
        source_failed(f, 502, now);
        return false;
    }
    cache_pin(f->object, p->config.worker);
    f->linked = f->refreshed = true;
    f->state = FILL_BODY;
    counter_inc(&p->counters.proxy_revalidated_total);
    fill_ready_all(f);
    return true;
}

/* Another source goes on where one died: only with the very same version. */
static bool go_on(struct fill *f, const struct http_head *h, struct now now)
{
    uint64_t have = fill_taken(f), first = 0, last = 0;
    int64_t total = -1, known = f->part ? (int64_t)f->vary.total : f->length;
    if (h->status == 206) {
        if (!http_content_range(field_value(h, HTTP_CONTENT_RANGE), &first, &last, &total) ||
            first != f->base + have || (total < 0 && known < 0)) {
            source_failed(f, 502, now);
            return false;
        }
        f->skip = 0;
    } else if (h->status == 200) {
        total = body_length(h);
        f->skip = have;
    } else {
        source_failed(f, h->status >= 500 ? h->status : 502, now);
        return false;
    }
    bool whole = f->part && h->status == 200; /* not what If-Range says of this version */
    if (whole || validators_of(h) != f->validators || is_coded(h) != f->source_coded ||
        (known >= 0 && total >= 0 && known != total)) {
        if (f->kind == SOURCE_ORIGIN) /* it has changed: what we sent has no end any more */
            fill_give_up(f, now);
        else
            source_failed(f, 502, now);
        return false;
    }
    if (f->length < 0)
        f->length = total; /* a 206 may bring a part of the rest only */
    f->state = FILL_BODY;
    fill_ready_all(f); /* peers that came while there was no source */
    return true;
}

/* An answer for who began it, by his address or by what he sent. A 503 says that the origin has too
 * much to do, or that this client asks too much: who joined asks anew, together, or who is limited
 * could have the others refused. Each does so PROXY_DOUBTS times at most, then he gets our own, or
 * as many questions would follow as there are clients. */
static bool doubtful(struct fill *f, const struct http_head *h, struct now now)
{
    struct request *first = NULL;
    if (h->status != 503 || f->looped)
        return uncacheable(f, h, false, now);
    fill_purge(f, now); /* who asks anew is not to find this one */
    for (struct request **at = &f->waiting; *at;) {
        struct request *r = *at;
        if (r->o.joined && (r->peer || r->tries >= PROXY_DOUBTS)) {
            at = &r->o.next;
            continue;
        }
        *at = r->o.next;
        if (r->o.joined)
            fill_answer(f, r, PROXY_AGAIN, 503);
        else
            first = r;
    }
    fill_fail_all(f, 503);
    if (first)
        first->o.next = NULL;
    f->waiting = first;
    return uncacheable(f, h, false, now);
}

static bool server_error(struct fill *f, const struct http_head *h, struct now now)
{
    if (fill_stale_usable(f, now)) {
        f->failure = 502;
        fill_give_up(f, now);
        return false;
    }
    if (forward_doubtful(f, h->status))
        return doubtful(f, h, now);
    /* one answer for all who wait now, kept for nobody after them */
    struct cache_verdict v = {.lifetime_s = 0};
    f->share_only = true;
    vary_said(h, &f->said);
    forward_said(f);
    switch (vary_settle(f, now)) {
    case VARY_NOBODY:
        fill_end(f);
        return false;
    case VARY_NOT_STORED:
        return uncacheable(f, h, false, now);
    default:
        break;
    }
    if (begin_object(f, h, &v, now))
        return true;
    fill_fail_all(f, 502);
    fill_end(f);
    return false;
}

/* A fill has asked for a slice. */
static bool slice_head(struct fill *f, const struct http_head *h, struct now now)
{
    struct slice s;
    if (!slice_answers(f, h, &s))
        return not_a_slice(f, h, NULL, now);
    struct cache_verdict v = judge(f, h, h, now);
    if (!v.storable && f->kind == SOURCE_PEER) {
        f->source_holds = true;
        source_failed(f, 502, now);
        return false;
    }
    if (!v.storable)
        return release(f, h->status, true, now);
    if (f->kind == SOURCE_PEER && f->varies &&
        head_version(validators_of(h), s.total) != f->vary.version) {
        /* the origin alone says what the URL's version is: or two that peers have take turns */
        source_failed(f, 502, now);
        return false;
    }
    bool whole = s.first == 0 && s.last + 1 == (uint64_t)s.total;
    f->negotiated = coder_suits(f, h) && !f->said.any;
    if (!whole) {
        if (f->negotiated || !slice_combines(f, h)) /* what is gzipped here varies */
            return not_a_slice(f, h, &s, now);
        cache_vary_slices(&f->said, head_version(validators_of(h), s.total), (uint64_t)s.total);
    } else if (f->negotiated) {
        vary_add_coding(&f->said);
    }
    switch (vary_settle(f, now)) {
    case VARY_STORED:
        return begin_object(f, h, &v, now) || release(f, h->status, false, now);
    case VARY_NOT_STORED:
        return release(f, h->status, true, now);
    default:
        fill_end(f);
        return false;
    }
}

/* It can't be stored now. Where parts alone are wanted each asks for his own. */
static bool no_place(struct fill *f, const struct http_head *h, struct now now)
{
    for (const struct request *r = f->waiting; r; r = r->o.next)
        if (!r->range_len)
            return uncacheable(f, h, false, now);
    return release(f, h->status, false, now);
}

bool fill_head(struct fill *f, const struct http_head *h, struct now now)
{
    char text[HTTP_URL_MAX + 4096];
    struct http_head copy;
    const struct http_head *home = share_home(f, h, &copy, text, sizeof(text));
    if (home) {
        h = home;
        f->skip = UINT64_MAX; /* of its body */
    }
    if (f->pass)
        return pass_head_begin(f, h, now);
    if (f->object)
        return go_on(f, h, now);
    if (h->status == 304 && f->stale && f->kind == SOURCE_ORIGIN)
        return refresh(f, h, now);
    if (f->part && (h->status == 206 || h->status == 416))
        return slice_head(f, h, now);
    if (h->status == 206 && f->kind == SOURCE_ORIGIN && fill_is_own(f))
        return uncacheable(f, h, false, now); /* by those fields, for all we know */
    if (h->status < 200 || h->status == 206 || h->status == 304 || h->status == 416) {
        source_failed(f, 502, now); /* not what was asked for */
        return false;
    }
    struct cache_verdict v = judge(f, h, h, now);
    bool kept = v.storable && v.lifetime_s > 0;
    if (h->status >= 500 && (!kept || fill_stale_usable(f, now)))
        return server_error(f, h, now);
    if (forward_doubtful(f, h->status))
        return doubtful(f, h, now);
    if (!v.storable && f->kind == SOURCE_PEER) { /* it had it stored: it has aged on the way */
        f->source_holds = true;
        source_failed(f, 502, now);
        return false;
    }
    if (!v.storable) /* an error may be for the fields of who began it */
        return uncacheable(f, h, !(fill_is_own(f) && h->status >= 400), now);
    if (coder_suits(f, h) && !f->said.any) {
        f->negotiated = true;
        vary_add_coding(&f->said);
    }
    switch (vary_settle(f, now)) {
    case VARY_STORED:
        return begin_object(f, h, &v, now) || no_place(f, h, now);
    case VARY_NOT_STORED:
        return uncacheable(f, h, true, now);
    default: /* they look again, find by what it varies, and put our reference anew */
        fill_end(f);
        return false;
    }
}

size_t fill_body(struct fill *f, const uint8_t *data, size_t len, struct now now)
{
    struct proxy *p = f->proxy;
    size_t skipped = f->skip < len ? (size_t)f->skip : len;
    f->progress_us = now.mono_us;
    f->skip -= skipped;
    data += skipped;
    len -= skipped;
    if (len == 0 || f->refreshed)
        return skipped + len;

    size_t n = f->streaming ? pass_body(f, data, len)
               : f->coder   ? coder_put(f->coder, p, f->object, data, len)
                            : cache_append(p->cache, f->object, data, len);
    counter_add(f->kind == SOURCE_PEER ? &p->counters.proxy_peer_in_bytes_total
                                       : &p->counters.proxy_origin_in_bytes_total,
                n);
    if (!f->streaming) {
        if (n) {
            f->notify |= f->followers;
            fill_agenda(f);
        }
        if (n < len && cache_state(f->object) == CACHE_FAILED) { /* more than its length says */
            f->broken = true;
            fill_agenda(f);
        } else if (n < len && !f->short_us) {
            f->short_us = now.mono_us;
            alarm_set(p, &f->alarm, now.mono_us + PROXY_MEMORY_US);
        } else if (n == len && f->short_us) {
            f->short_us = 0;
        }
    }
    return skipped + n;
}

uint8_t *fill_place(struct fill *f, size_t ahead, size_t *len)
{
    /* a refreshed object has its body; what is skipped has been written already */
    if (f->streaming || !f->object || f->refreshed || ahead < f->skip)
        return NULL;
    return cache_place(f->proxy->cache, f->object, ahead - f->skip, len);
}

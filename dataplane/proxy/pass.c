/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Uncacheable responses: streamed to one client through a window of blocks. O (or R itself, when it
 * fetches for its own client) fills blocks; R sends them by reference and gives each back when the
 * client has it, and that is the credit. Nothing of it touches the cache.
 */
#include <stdio.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

/* --- what is known to be uncacheable: direct-mapped, a lost entry costs a joined wait --- */

void known_note(struct known *k, struct hash128 hash, uint64_t until_us)
{
    *k = (struct known){hash, until_us};
}

bool known_is(const struct known *k, struct hash128 hash, struct now now)
{
    return k->hash.lo == hash.lo && k->hash.hi == hash.hi && now.mono_us < k->until_us;
}

void pass_note(struct proxy *p, struct hash128 hash, struct now now)
{
    known_note(&p->pass_known[hash.lo % PROXY_PASS_KNOWN], hash, now.mono_us + PROXY_PASS_KNOWN_US);
}

bool pass_known(const struct proxy *p, struct hash128 hash, struct now now)
{
    return known_is(&p->pass_known[hash.lo % PROXY_PASS_KNOWN], hash, now);
}

/* --- the side that fetches ------------------------------------------------ */

bool pass_keep(struct request *r, const struct cache_object *o)
{
    size_t len;
    const char *head = cache_head(o, &len);
    struct http_text etag = head_field(head, len, "ETag");
    struct http_text modified = head_field(head, len, "Last-Modified");
    struct http_text v = head_strong(etag, modified, head_field(head, len, "Date"));
    r->if_range_len = 0;
    r->validators = head_validators(etag, modified);
    if (v.len == 0 || v.len > sizeof(r->if_range))
        return false;
    memcpy(r->if_range, v.p, v.len);
    r->if_range_len = (uint8_t)v.len;
    return true;
}

/* The rest of a response that has begun: its validators are kept, its end is known. False: it can't
 * be had, as of several ranges. Slow readers may not have all fills. */
static bool take_rest(struct proxy *p, struct request *r)
{
    if (r->peer || r->parts || !r->if_range_len || r->end == UINT64_MAX ||
        p->resumed >= p->config.fills / 4)
        return false;
    r->range_len = (uint8_t)snprintf(r->range, sizeof(r->range), "bytes=%llu-%llu",
                                     (unsigned long long)r->offset, (unsigned long long)r->end - 1);
    r->resumed = true;
    p->resumed++;
    return true;
}

void pass_start(struct proxy *p, struct request *r, struct now now)
{
    if (r->head_sent && !r->resumed && !take_rest(p, r)) {
        respond_break(p, r);
        return;
    }
    if (request_shed(p, r, SHED_FETCH, now))
        return;
    struct fill *f = fill_new(p, r, NULL, now);
    if (!f) {
        respond_status(p, r, 503, "too many fetches in flight; try again", now);
        return;
    }
    r->state = REQUEST_WAITING;
    if (!r->waited)
        alarm_set(p, &r->alarm,
                  now.mono_us + (upload_pending(r) ? PROXY_BODY_US : request_wait_us(r)));
    r->waited = true;
    r->owned = true;
    memset(&r->o, 0, sizeof(r->o));
    r->o.worker = (uint16_t)p->config.worker;
    f->streaming = r;
    f->once = r->other;
    if (r->has_body)
        r->upload = f;
    source_begin(f, now);
}

/* A node of ours asks others itself when we break off; what was sent for a variant is not kept with
 * the request, and nothing was for a slice; the rest is asked for without credentials. */
bool pass_resume(struct proxy *p, struct request *r, struct now now)
{
    const struct cache_object *o = r->grip->object;
    unsigned status = cache_meta(o)->status;
    if ((r->varies && !r->sliced) || r->authorized || cache_state(o) != CACHE_COMPLETE ||
        (status != 200 && status != 206) || !pass_keep(r, o))
        return false;
    if (r->end == UINT64_MAX)
        r->end = (uint64_t)cache_length(o);
    if (!take_rest(p, r))
        return false;
    r->waited = false; /* it waits anew */
    counter_inc(&p->counters.proxy_let_go_resumed_total);
    grip_unwait(r);
    grip_drop(r->grip);
    r->grip = NULL;
    pass_start(p, r, now);
    return true;
}

/* The rest must be of the very same bytes, and all that is missing. */
static bool is_the_rest(const struct request *r, const struct http_head *h)
{
    const struct http_field *range = http_known(h, HTTP_CONTENT_RANGE);
    const struct http_field *etag = http_known(h, HTTP_ETAG);
    const struct http_field *modified = http_known(h, HTTP_LAST_MODIFIED);
    const struct http_text none = {0};
    uint64_t first, last;
    int64_t total;
    return h->status == 206 && range && http_content_range(range->value, &first, &last, &total) &&
           first == r->offset && last + 1 == r->end &&
           head_validators(etag ? etag->value : none, modified ? modified->value : none) ==
               r->validators;
}

static struct block *block_take(struct fill *f)
{
    struct proxy *p = f->proxy;
    uint32_t window = p->blocks_free > PROXY_BLOCKS / 2 ? PROXY_BLOCK_WINDOW : 1;
    struct block *b = f->blocks_out < window ? p->block_free : NULL;
    if (!b)
        return NULL;
    p->block_free = b->next;
    p->blocks_free--;
    b->next = NULL;
    b->fill = f;
    b->fill_gen = f->gen;
    b->owner = (uint16_t)p->config.worker;
    b->head = false;
    b->len = 0;
    f->blocks_out++;
    return b;
}

static void block_post(struct fill *f, struct block *b)
{
    post_send(
        f->proxy, &b->post, f->streaming->o.worker, PROXY_PASS, 0,
        &(struct proxy_note){.request = f->streaming, .fill = f, .fill_gen = f->gen, .block = b});
}

bool pass_head_begin(struct fill *f, const struct http_head *h, struct now now)
{
    struct proxy *p = f->proxy;
    struct pass_head head = {.status = h->status, .length = -1};
    const struct http_field *length = http_known(h, HTTP_CONTENT_LENGTH);
    const struct http_field *range = http_known(h, HTTP_CONTENT_RANGE);
    struct url_parts url;
    bool served;

    if (f->streaming->resumed) { /* its head has gone out long ago */
        if (!is_the_rest(f->streaming, h)) {
            fill_give_up(f, now);
            return false;
        }
        f->head_passed = true;
        f->state = FILL_BODY;
        f->failure = 502;
        return true;
    }
    struct block *b = block_take(f);
    f->failure = 503;
    if (!b) {
        fill_give_up(f, now);
        return false;
    }
    forget_begin(p, f->streaming, h);
    url_split(f->url, f->url_len, &url);
    bool site = policy_site(p->policy, url.host, url.port, &served) != NULL;
    if (h->framing == HTTP_BODY_LENGTH)
        head.length = (int64_t)h->content_length;
    else if (h->framing == HTTP_BODY_NONE && length) /* the answer to a HEAD */
        head.length = (int64_t)h->content_length;
    if (!f->streaming->o.joined)
        memcpy(head.spent_us, f->spent_us, sizeof(head.spent_us));
    memcpy(b->data, &head, sizeof(head));
    struct head_writer w = {(char *)b->data + sizeof(head), 0, sizeof(b->data) - sizeof(head),
                            false};
    bool cookies = site && !obey_strips_cookies(f); /* they never cross sites in open mode */
    w.len = head_store(h, cookies, now, w.p, w.room);
    const struct http_field *age = http_known(h, HTTP_AGE); /* it may come from another cache */
    if (age)
        head_field_write(&w, age);
    if (range && (h->status == 206 || h->status == 416))
        head_printf(&w, "Content-Range: %.*s\r\n", (int)range->value.len, range->value.p);
    b->head = true;
    b->len = (uint32_t)(sizeof(head) + w.len);
    block_post(f, b);
    f->head_passed = true;
    f->state = FILL_BODY;
    f->failure = 502;
    return true;
}

void pass_interim(struct fill *f, struct request *r, const char *head, size_t len)
{
    struct block *b = len <= PROXY_BLOCK_BYTES ? block_take(f) : NULL;
    if (!b)
        return;
    memcpy(b->data, head, len);
    b->len = (uint32_t)len;
    post_send(f->proxy, &b->post, r->o.worker, PROXY_INTERIM, 0,
              &(struct proxy_note){.request = r, .block = b});
}

size_t pass_body(struct fill *f, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        struct block *b = f->open ? f->open : block_take(f);
        if (!b) {
            if (!f->starved)
                f->proxy->starved++;
            f->starved = true;
            break;
        }
        size_t n = PROXY_BLOCK_BYTES - b->len;
        if (n > len - done)
            n = len - done;
        memcpy(b->data + b->len, data + done, n);
        b->len += (uint32_t)n;
        done += n;
        f->open = b;
        if (b->len == PROXY_BLOCK_BYTES)
            pass_flush(f);
    }
    if (f->open)
        fill_agenda(f); /* what this poll brought goes in one block */
    return done;
}

static void block_give(struct proxy *p, struct block *b)
{
    b->next = p->block_free;
    p->block_free = b;
    p->blocks_free++;
}

void pass_flush(struct fill *f)
{
    struct block *b = f->open;
    f->open = NULL;
    if (!b)
        return;
    if (f->streaming)
        block_post(f, b);
    else
        block_give(f->proxy, b);
}

void pass_end(struct fill *f, bool whole)
{
    struct request *r = f->streaming;
    pass_flush(f);
    f->streaming = NULL;
    if (f->head_passed)
        fill_answer(f, r, PROXY_PASS_END, whole);
    else
        fill_answer(f, r, PROXY_FAILED, PROXY_FAILED_TAG(f->failure, f->reason));
}

static void wake(struct fill *f)
{
    f->starved = false;
    f->proxy->starved--;
    f->progress_us = f->proxy->now.mono_us;
    if (f->x)
        http_exchange_resume(f->x);
}

void pass_credit(struct proxy *p, struct block *b)
{
    struct fill *f = b->fill;
    if (f->gen == b->fill_gen)
        f->blocks_out--;
    block_give(p, b);
    for (f = p->fill_busy; f && p->starved; f = f->busy_next)
        if (f->starved && f->blocks_out < PROXY_BLOCK_WINDOW)
            wake(f);
}

/* --- the side that has the client ----------------------------------------- */

static void block_released(struct hold *h)
{
    struct block *b = PROXY_OF(h, struct block, hold);
    post_send(b->host, &b->post, b->owner, PROXY_BLOCK, 0, &(struct proxy_note){.block = b});
}

static void block_drop(struct block *b)
{
    struct ref r = {NULL, 0, &b->hold};
    ref_release(&r);
}

static struct block *blocks_take(struct request *r)
{
    struct block *b = r->blocks;
    r->blocks = b->next;
    if (!r->blocks)
        r->blocks_tail = &r->blocks;
    return b;
}

void pass_drop_blocks(struct proxy *p, struct request *r)
{
    (void)p;
    while (r->blocks)
        block_drop(blocks_take(r));
}

void pass_stop(struct proxy *p, struct request *r)
{
    if (r->pass_ended)
        return;
    post_send(
        p, &r->post, r->pass_fill_worker, PROXY_PASS_STOP, 0,
        &(struct proxy_note){.request = r, .fill = r->pass_fill, .fill_gen = r->pass_fill_gen});
}

void pass_received(struct proxy *p, struct request *r, const struct message *m, struct now now)
{
    struct proxy_note n;
    memcpy(&n, m->body, sizeof(n));
    struct block *b = n.block;
    b->host = p;
    b->hold = (struct hold){1, block_released};
    if (r->state != REQUEST_WAITING && r->state != REQUEST_PASSING) {
        if (b->head && r->state == REQUEST_OVER && !r->post.queued) {
            /* the client left before the first byte: nobody told O yet */
            r->pass_fill = n.fill;
            r->pass_fill_gen = n.fill_gen;
            r->pass_fill_worker = m->from;
            pass_stop(p, r);
        }
        block_drop(b);
        return;
    }
    r->state = REQUEST_PASSING;
    r->pass_fill = n.fill;
    r->pass_fill_gen = n.fill_gen;
    r->pass_fill_worker = m->from;
    b->next = NULL;
    *r->blocks_tail = b;
    r->blocks_tail = &b->next;
    pass_writable(p, r, now);
}

/* O has not answered yet, so that the request is still this one. */
void pass_interim_received(struct proxy *p, struct request *r, struct block *b)
{
    b->host = p;
    b->hold = (struct hold){1, block_released};
    if (r->conn && r->state == REQUEST_WAITING && !r->head_sent)
        http_respond_interim(r->conn, (const char *)b->data, b->len);
    block_drop(b);
}

static void pass_finish(struct proxy *p, struct request *r, struct now now)
{
    struct http_conn *c = r->conn;
    if (!r->resumed)
        counter_inc(&p->counters.proxy_pass_total);
    hist_add(&p->latency, now.mono_us - r->started_us);
    r->whole = true;
    http_conn_serve(c);
    request_over(p, r);
    http_respond_end(c, now);
}

/* The head block. False: no room now, or it can't be sent. */
static bool pass_send_head(struct proxy *p, struct request *r, const struct block *b,
                           bool *bodiless)
{
    struct pass_head head;
    memcpy(&head, b->data, sizeof(head));
    enum respond_end end = respond_pass_head(p, r, &head, (const char *)b->data + sizeof(head),
                                             b->len - sizeof(head), p->now);
    if (end == RESPOND_TOO_LARGE)
        respond_status(p, r, 502, RESPOND_TOO_LARGE_WHY, p->now);
    if (end != RESPOND_SENT)
        return false;
    r->head_sent = true;
    if (r->logged) {
        access_head(p, r);
        access_waited(r, head.spent_us);
    }
    *bodiless = r->head_only || head.status == 204 || head.status == 304;
    return true;
}

void pass_writable(struct proxy *p, struct request *r, struct now now)
{
    if (r->forgetting) /* the client hears of it when it is in force */
        return;
    alarm_set(p, &r->alarm, now.mono_us + request_stall_us(r));
    while (r->blocks) {
        struct block *b = r->blocks;
        bool bodiless = false;
        if (b->head) {
            if (!pass_send_head(p, r, b, &bodiless))
                return;
        } else if (!http_respond_ref(r->conn, (struct ref){b->data, b->len, &b->hold})) {
            return;
        } else {
            counter_add(&p->counters.proxy_client_bytes_total, b->len);
            r->body_out += b->len;
        }
        block_drop(blocks_take(r));
        if (bodiless) {
            pass_finish(p, r, now);
            return;
        }
    }
    if (r->pass_ended && r->pass_whole)
        pass_finish(p, r, now);
    else if (r->pass_ended)
        respond_break(p, r);
}

void pass_ended(struct proxy *p, struct request *r, bool whole, struct now now)
{
    r->pass_ended = true;
    r->pass_whole = whole;
    pass_writable(p, r, now);
}

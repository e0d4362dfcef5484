/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The access log's records. While nobody wants any, a request pays for two branches, and for a few
 * stores that are cheaper than to ask. Texts are copied when the head comes, since nothing else
 * keeps all of them; what became of it is added at the one end of all requests, request_over.
 */
#include "dataplane/proxy/proxy_internal.h"

static const uint16_t text_most[ACCESS_TEXTS] = {ACCESS_METHOD_MAX, ACCESS_HOST_MAX,
                                                 ACCESS_TARGET_MAX, ACCESS_REFERER_MAX,
                                                 ACCESS_AGENT_MAX,  ACCESS_ID_MAX};

/* In the order of enum access_text; *used: bytes of those before. */
static void text_take(struct access_record *a, enum access_text which, struct http_text t,
                      uint32_t *used)
{
    uint32_t n = t.len;
    if (n > text_most[which]) {
        n = text_most[which];
        a->cut |= (uint8_t)(1u << which);
    }
    if (n) /* absent ones are NULL */
        memcpy(a->text + *used, t.p, n);
    a->len[which] = (uint16_t)n;
    *used += n;
}

static struct http_text field_named(const struct http_head *h, const char *name)
{
    for (unsigned i = 0; i < h->fields; i++)
        if (h->field[i].known == HTTP_OTHER && text_equals(h->field[i].name, name))
            return h->field[i].value;
    return (struct http_text){"", 0};
}

void access_begin(const struct proxy *p, struct access_record *a, const struct http_conn *c,
                  const struct http_head *h, const char *id, uint64_t start_us)
{
    uint32_t used = 0;

    memset(a, 0, offsetof(struct access_record, text));
    a->client = http_conn_peer(c)->ip;
    a->worker = (uint8_t)p->config.worker;
    a->start_us = start_us;
    a->minor = h ? h->minor : ACCESS_NO_VERSION;
    if (h) {
        text_take(a, ACCESS_METHOD, h->method_text, &used);
        text_take(a, ACCESS_HOST, h->authority, &used);
        text_take(a, ACCESS_TARGET, h->target, &used);
    }
    if (h && p->access & ACCESS_WANT_FIELDS) {
        const struct http_field *agent = http_known(h, HTTP_USER_AGENT);
        text_take(a, ACCESS_REFERER, field_named(h, "Referer"), &used);
        if (agent)
            text_take(a, ACCESS_AGENT, agent->value, &used);
    }
    if (*id)
        text_take(a, ACCESS_ID, (struct http_text){id, (uint32_t)strlen(id)}, &used);
    size_t bytes = offsetof(struct access_record, text) + used;
    size_t units = (bytes + ACCESS_UNIT - 1) / ACCESS_UNIT;
    memset(a->text + used, 0, units * ACCESS_UNIT - bytes);
    a->units = (uint16_t)units;
}

static void give(const struct proxy *p, const struct access_record *a)
{
    if (p->parts.log.access)
        p->parts.log.access(p->parts.log.ctx, a);
}

static uint32_t since_us(const struct proxy *p, uint64_t start_us)
{
    uint64_t us = p->now.mono_us - start_us;
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void access_waited(struct request *r, const uint32_t *spent_us)
{
    r->access.index_us = spent_us[SOURCE_INDEX];
    r->access.peer_us = spent_us[SOURCE_PEER];
    r->access.origin_us = spent_us[SOURCE_ORIGIN];
}

void access_head(const struct proxy *p, struct request *r)
{
    r->access.head_us = since_us(p, r->started_us);
    if (!r->passed && r->source != SOURCE_NONE)
        access_waited(r, r->o.spent_us);
}

/* A response that was let go of and resumed is what it was before. */
static enum access_served served_how(const struct request *r)
{
    static const uint8_t by_source[] = {[SOURCE_NONE] = ACCESS_HIT,
                                        [SOURCE_INDEX] = ACCESS_PEER,
                                        [SOURCE_PEER] = ACCESS_PEER,
                                        [SOURCE_ORIGIN] = ACCESS_ORIGIN};
    if (r->made)
        return ACCESS_ERROR;
    if (!r->head_sent)
        return ACCESS_NOT;
    if (r->passed)
        return ACCESS_PASS;
    if (r->stale)
        return ACCESS_STALE;
    return r->collapsed ? ACCESS_COLLAPSED : (enum access_served)by_source[r->source];
}

/* A hit has looked in vain before, if it was told to look again. */
static enum access_why why_so(const struct request *r, enum access_served served)
{
    static_assert((int)ACCESS_WHY_METHOD == (int)FORWARD_METHOD, "the same ones");
    if (served == ACCESS_HIT)
        return ACCESS_NO_WHY;
    if (served != ACCESS_STALE)
        return (enum access_why)r->forward;
    if (r->source != SOURCE_NONE)
        return ACCESS_WHY_IF_ERROR;
    return r->why == CACHE_WHY_STALE_REVALIDATE ? ACCESS_WHY_REVALIDATE : ACCESS_WHY_MAX_STALE;
}

void access_end(struct proxy *p, struct request *r)
{
    struct access_record *a = &r->access;
    r->logged = false;
    a->served = (uint8_t)served_how(r);
    a->status = a->served == ACCESS_NOT ? ACCESS_STATUS_LEFT : r->status;
    a->reason = r->reason;
    a->bytes = r->body_out;
    a->duration_us = p->now.mono_us - r->started_us;
    a->why = (uint8_t)why_so(r, (enum access_served)a->served);
    a->flags = r->peer ? ACCESS_OF_PEER : 0;
    if (r->refreshed)
        a->flags |= ACCESS_REVALIDATED;
    if (r->made)
        a->head_us = since_us(p, r->started_us);
    if (r->gone)
        a->flags |= ACCESS_LEFT;
    else if (!r->whole)
        a->flags |= ACCESS_BROKEN;
    give(p, a);
}

enum access_reason access_reason_of(enum http_error e)
{
    static_assert(ACCESS_REASONS - ACCESS_BAD_LINE == HTTP_ERRORS - HTTP_BAD_LINE, "the same ones");
    return (enum access_reason)(e - HTTP_BAD_LINE + ACCESS_BAD_LINE);
}

enum http_error access_error(enum access_reason why)
{
    return (enum http_error)(why - ACCESS_BAD_LINE + HTTP_BAD_LINE);
}

void access_refused(struct proxy *p, const struct http_conn *c, const struct http_head *h,
                    const char *id, uint64_t start_us, bool peer, unsigned status,
                    enum access_reason why, uint64_t bytes)
{
    struct access_record a;
    if (!p->access || (peer && !(p->access & ACCESS_WANT_PEERS)))
        return;
    access_begin(p, &a, c, h, id, start_us);
    a.served = ACCESS_ERROR;
    a.flags = peer ? ACCESS_OF_PEER : 0;
    a.status = (uint16_t)status;
    a.reason = (uint8_t)why;
    a.bytes = bytes;
    a.duration_us = p->now.mono_us - start_us;
    a.head_us = since_us(p, start_us);
    give(p, &a);
}

void proxy_access(struct proxy *p, unsigned want)
{
    p->access = want;
}

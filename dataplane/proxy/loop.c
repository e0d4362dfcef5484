/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that come back to us. Each one that goes to an origin says in CDN-Loop (RFC 8586) that
 * it has been through this network, and a client's that says so is refused.
 *
 *   CDN-Loop = #cdn-info                     cdn-info = cdn-id *( OWS ";" OWS parameter )
 *   parameter = token "=" ( token / quoted-string )
 *
 * It is not written as structured fields are (RFC 9651): a uri-host is no token of theirs.
 */
#include "dataplane/proxy/loop.h"

#include <string.h>
#include <strings.h>

#include "base/ascii.h"
#include "dataplane/proxy/proxy_internal.h"

/* --- the field ------------------------------------------------------------ */

static void take(struct http_text *t, uint32_t n)
{
    t->p += n;
    t->len -= n;
}

static bool at(const struct http_text *t, char c)
{
    return t->len && *t->p == c;
}

static void skip_ows(struct http_text *t)
{
    while (at(t, ' ') || at(t, '\t'))
        take(t, 1);
}

static uint32_t token_length(const struct http_text *t)
{
    uint32_t n = 0;
    while (n < t->len && ascii_is_tchar(t->p[n]))
        n++;
    return n;
}

/* pseudonym is a token; uri-host has signs besides, and its own brackets (RFC 3986 3.2.2). The
 * comma and the semicolon of a reg-name can't be told from ours. */
static uint32_t id_length(const struct http_text *t)
{
    uint32_t n = 0;
    while (n < t->len && (ascii_is_tchar(t->p[n]) || (t->p[n] && strchr(":[]()=", t->p[n]))))
        n++;
    return n;
}

/* RFC 9110 5.6.4 */
static bool take_quoted(struct http_text *t)
{
    for (take(t, 1); t->len; take(t, 1)) {
        if (at(t, '"')) {
            take(t, 1);
            return true;
        }
        if (at(t, '\\') && t->len > 1)
            take(t, 1);
    }
    return false;
}

static bool take_parameter(struct http_text *t)
{
    uint32_t n = token_length(t);
    take(t, n);
    if (n == 0 || !at(t, '='))
        return false;
    take(t, 1);
    if (at(t, '"'))
        return take_quoted(t);
    n = token_length(t);
    take(t, n);
    return n > 0;
}

bool loop_next(struct http_text *rest, struct http_text *id)
{
    struct http_text t = *rest;
    for (skip_ows(&t); at(&t, ','); skip_ows(&t))
        take(&t, 1);
    *rest = t;
    *id = (struct http_text){t.p, id_length(&t)};
    if (id->len == 0)
        return false;
    take(&t, id->len);
    for (skip_ows(&t); at(&t, ';'); skip_ows(&t)) {
        take(&t, 1);
        skip_ows(&t);
        if (!take_parameter(&t))
            return false;
    }
    if (t.len && !at(&t, ','))
        return false;
    *rest = t;
    return true;
}

static bool same(struct http_text a, struct http_text b)
{
    return a.len == b.len && strncasecmp(a.p, b.p, a.len) == 0;
}

static bool has_word(struct http_text t, struct http_text word)
{
    while (t.len) {
        uint32_t n = 0;
        while (n < t.len && !strchr(" \t,;\"", t.p[n]))
            n++;
        if (same((struct http_text){t.p, n}, word))
            return true;
        take(&t, n < t.len ? n + 1 : n);
    }
    return false;
}

bool loop_names(struct http_text value, struct http_text id)
{
    struct http_text rest = value, member;
    while (loop_next(&rest, &member))
        if (same(member, id))
            return true;
    return rest.len && has_word(value, id);
}

bool loop_well_formed(struct http_text value)
{
    struct http_text member;
    while (loop_next(&value, &member))
        ;
    return value.len == 0;
}

/* --- requests ------------------------------------------------------------- */

/*
 * The cdn-id is the same on all nodes of a cluster, so that a loop through two of them is one: the
 * zone, a host name under the operator's control, as RFC 8586 2 prefers. Where there is none, a
 * pseudonym that all who have the cluster's key compute, and nobody else has by chance: neither a
 * node's name nor the product's, by which one cluster could not stand before another.
 */
void loop_init(struct proxy *p)
{
    static const char what[] = "cdn-id\n";
    uint8_t tag[16] = {0};
    struct head_writer w = {p->pseudonym, 0, sizeof(p->pseudonym), false};
    if (p->parts.mac)
        dht_mac_sign(p->parts.mac, what, sizeof(what) - 1, tag);
    head_text(&w, "coral-");
    for (unsigned i = 0; i < 8; i++)
        head_printf(&w, "%02x", tag[i]);
}

struct http_text loop_id(const struct proxy *p)
{
    const char *id = p->policy->zone[0] ? p->policy->zone : p->pseudonym;
    return (struct http_text){id, (uint32_t)strlen(id)};
}

/* Signs of a node of any cluster, which are all there is to go by where CDN-Loop is absent:
 * somebody on the way has taken it away, or it was a peer's. Where it is there it says through
 * whom. */
static bool came_through_coral(const struct http_head *h)
{
    static const char product[] = "(" PROXY_PRODUCT ")", agent[] = PROXY_PRODUCT "/";
    const struct http_field *user = http_known(h, HTTP_USER_AGENT);
    if (user && user->value.len >= sizeof(agent) - 1 &&
        memcmp(user->value.p, agent, sizeof(agent) - 1) == 0)
        return true;
    for (unsigned i = 0; http_known(h, HTTP_VIA) && i < h->fields; i++)
        if (h->field[i].known == HTTP_VIA &&
            memmem(h->field[i].value.p, h->field[i].value.len, product, sizeof(product) - 1))
            return true;
    return false;
}

unsigned loop_refuse(const struct proxy *p, const struct http_head *h, const char **why)
{
    uint32_t len = 0;
    bool loop = false;
    if (!http_known(h, HTTP_CDN_LOOP)) {
        loop = came_through_coral(h);
    } else {
        for (unsigned i = 0; i < h->fields; i++)
            if (h->field[i].known == HTTP_CDN_LOOP) {
                loop = loop || loop_names(h->field[i].value, loop_id(p));
                len += h->field[i].value.len + 2;
            }
    }
    *why = loop ? "this request has been through this network already"
                : "it has been through too many networks: CDN-Loop is too long";
    return loop ? 508 : len > LOOP_MAX ? 431 : 0;
}

void loop_write(const struct proxy *p, const struct http_head *h, struct head_writer *w)
{
    struct http_text id = loop_id(p);
    head_text(w, "CDN-Loop: ");
    /* what comes behind an open quotation mark would be part of it, so ours stands in front */
    for (int formed = 1; formed >= 0; formed--) {
        for (unsigned i = 0; h && i < h->fields; i++) {
            const struct http_field *f = &h->field[i];
            if (f->known != HTTP_CDN_LOOP || f->value.len == 0 ||
                loop_well_formed(f->value) != (bool)formed)
                continue;
            head_text(w, formed ? "" : ", ");
            head_write(w, f->value.p, f->value.len);
            head_text(w, formed ? ", " : "");
        }
        if (formed)
            head_write(w, id.p, id.len);
    }
    head_text(w, "\r\n");
}

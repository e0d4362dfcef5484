/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rules say of a request: the hot path. */
#include <hs/hs.h>

#include "dataplane/rules/rules_private.h"

bool rules_url_split(const char *url, size_t len, struct rules_url *out)
{
    const size_t scheme = sizeof("http://") - 1;
    const char *end = url + len;
    if (len <= scheme)
        return false;
    out->host = url + scheme;
    out->path = memchr(out->host, '/', len - scheme);
    if (!out->path)
        return false;
    out->host_len = (size_t)(out->path - out->host);
    const char *from = *out->host == '[' ? memchr(out->host, ']', out->host_len) : out->host;
    const char *colon = from ? memchr(from, ':', (size_t)(out->path - from)) : NULL;
    if (colon)
        out->host_len = (size_t)(colon - out->host);
    out->path_len = (size_t)(end - out->path);
    const char *query = memchr(out->path, '?', out->path_len);
    out->query = query ? (size_t)(query - out->path) : out->path_len;
    return true;
}

/* --- taking what matches -------------------------------------------------- */

static void take_many(struct rules_verdict *v, unsigned kind, uint32_t number)
{
    uint32_t *list = v->list[kind];
    unsigned n = v->many[kind], at = n;
    while (at > 0 && list[at - 1] > number)
        at--;
    if (at == RULES_LIST || (at > 0 && list[at - 1] == number))
        return;
    if (n == RULES_LIST)
        n--;
    memmove(list + at + 1, list + at, (n - at) * sizeof(*list));
    list[at] = number;
    v->many[kind] = (uint8_t)(n + 1);
}

static void take_rules(struct rules_verdict *v, uint32_t rule, uint32_t rules)
{
    const struct rules_set *s = v->set;
    if (!v->any) {
        v->any = true;
        memset(v->one, 0xff, sizeof(v->one));
        memset(v->many, 0, sizeof(v->many));
    }
    for (uint32_t i = rule; i < rule + rules; i++) {
        uint32_t a = s->rule[i].action, end = a + s->rule[i].actions;
        for (; a < end; a++) {
            unsigned kind = s->action[a].kind;
            if (kind >= RULES_ONES)
                take_many(v, kind - RULES_ONES, a);
            else if (a < v->one[kind])
                v->one[kind] = a;
        }
    }
}

/* --- paths ---------------------------------------------------------------- */

static void take_prefix(struct rules_verdict *v, uint32_t host, const char *path, size_t len)
{
    const struct rules_set *s = v->set;
    uint32_t at = (uint32_t)rules_prefix_hash(host, path, len);
    for (;; at++) {
        uint32_t n = s->prefix_table[at & s->prefix_mask];
        if (n == 0)
            return;
        const struct prefix *p = &s->prefix[n - 1];
        if (p->host == host && p->len == len && memcmp(text_at(s, p->text), path, len) == 0) {
            take_rules(v, p->rule, p->rules);
            return;
        }
    }
}

/* Borders: behind a slash, before one, and the path's end. Those are looked up that have a length
 * which some prefix of the host has. */
static void take_paths(struct rules_verdict *v, uint32_t number, const struct rules_url *u)
{
    const struct host *h = &v->set->host[number];
    size_t end = u->query < h->longest ? u->query : h->longest;
    for (size_t i = 1; i <= end; i++) {
        bool border = u->path[i - 1] == '/' || i == u->query || u->path[i] == '/';
        if (border && (h->lengths & rules_length_bit(i)))
            take_prefix(v, number, u->path, i);
    }
}

/* --- expressions ---------------------------------------------------------- */

struct scan {
    struct rules_verdict *v;
    const uint32_t *host;
    unsigned hosts;
};

/* The same expression may be many hosts': its rules stand in order of hosts. */
static int matched(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                   void *ctx)
{
    const struct scan *scan = ctx;
    const struct rules_set *s = scan->v->set;
    const struct expression *e = &s->expression[id];
    (void)from, (void)to, (void)flags;
    for (unsigned i = 0; i < scan->hosts; i++) {
        uint32_t low = e->rule, n = e->rules, end = e->rule + e->rules, host = scan->host[i];
        while (n > 0) {
            if (s->rule[low + n / 2].host < host) {
                low += n / 2 + 1;
                n -= n / 2 + 1;
            } else {
                n /= 2;
            }
        }
        for (; low < end && s->rule[low].host == host; low++)
            take_rules(scan->v, low, 1);
    }
    return 0;
}

bool rules_apply(const struct rules_set *s, unsigned worker, const char *url, size_t len,
                 struct rules_verdict *v)
{
    struct rules_url u;
    uint32_t host[RULES_COVER + 1], with[RULES_COVER + 1];
    unsigned hosts = 0, withs = 0;
    v->set = s;
    v->any = false;
    if (!rules_url_split(url, len, &u))
        return true;
    uint32_t h = rules_host_find(s, u.host, u.host_len, false);
    if (h == RULES_NONE)
        h = rules_cover(s, u.host, u.host_len);
    for (; h != RULES_NONE && hosts <= RULES_COVER; h = s->host[h].parent)
        host[hosts++] = h;
    for (unsigned i = 0; i < hosts; i++) {
        const struct host *x = &s->host[host[i]];
        if (x->rules)
            take_rules(v, x->rule, x->rules);
        if (x->lengths)
            take_paths(v, host[i], &u);
        if (x->matches)
            with[withs++] = host[i];
    }
    if (!withs)
        return true;
    struct scan scan = {v, with, withs};
    return hs_scan(s->database, u.path, (unsigned)u.path_len, 0, s->scratch[worker], matched,
                   &scan) == HS_SUCCESS;
}

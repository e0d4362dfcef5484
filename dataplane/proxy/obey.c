/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the operator's rules (dataplane/rules) do with a request. They are asked when it comes,
 * about the URL that the client names and the one that `rewrite` and `strip-query` make of it, and
 * when something is fetched, about that one. What is in between is not kept: it may be in another
 * worker, or for others, too. Nodes of ours are not judged: their clients were.
 */
#include <string.h>
#include <strings.h>

#include "dataplane/proxy/proxy_internal.h"

/* What of a request's verdict is for its response. Another set may be in force by then. */
static void keep_fields(struct request *r, const struct rules_verdict *v)
{
    r->edits = v->any ? v->many[RULES_RESPONSE] : 0;
    r->edits_by = rules_print(v->set);
    memcpy(r->edit, v->list[RULES_RESPONSE], r->edits * sizeof(r->edit[0]));
}

static unsigned redirect(struct proxy *p, struct request *r, const struct rules_verdict *v,
                         unsigned status, const char **why)
{
    char to[HTTP_URL_MAX];
    size_t n = rules_location(v, r->url, r->url_len, to, sizeof(to));
    *why = "the URL that this one leads to is too long";
    r->reason = ACCESS_RULE_FAILS;
    if (n == 0)
        return 414;
    r->reason = ACCESS_RULE_REDIRECT;
    struct head_writer w = {p->answer_lines, 0, sizeof(p->answer_lines), false};
    head_text(&w, "Location: ");
    head_write(&w, to, n);
    head_write(&w, "\r\n", 3); /* and the NUL */
    *why = "it is elsewhere; Location says where";
    counter_inc(&p->counters.proxy_rules_redirected_total);
    return status;
}

static unsigned limit(struct proxy *p, const struct rules_verdict *v, const struct addr *who,
                      const char **why)
{
    unsigned after = rules_take(p->meter, v, who, p->now);
    if (!after)
        return 0;
    struct head_writer w = {p->answer_lines, 0, sizeof(p->answer_lines), false};
    head_printf(&w, "Retry-After: %u\r\n", after);
    *why = "too many requests; try again later";
    counter_inc(&p->counters.proxy_rules_limited_total);
    return 429;
}

/* The request is for another URL from here on. */
static bool move(struct request *r, const struct policy_route *route, const struct rules_verdict *v)
{
    char path[HTTP_URL_MAX];
    struct http_text host = {route->host, route->host_len};
    size_t n = rules_path(v, r->url, r->url_len, path, sizeof(path));
    if (n)
        n = http_url_write(host, route->port, (struct http_text){path, (uint32_t)n}, r->url,
                           sizeof(r->url));
    r->url_len = (uint16_t)n;
    return n > 0;
}

/* Of a URL, and of how lax origins read it, where that is another one: no spelling may go round a
 * rule that denies. */
struct judgement {
    struct rules_verdict v, loose;
};

/* The status of a refusal, 0: none. */
static unsigned judge(struct proxy *p, struct request *r, struct judgement *j, const char **why)
{
    const struct rules_set *rules = p->policy->rules;
    char loose[HTTP_URL_MAX];
    unsigned status;
    size_t n = rules_loosen(r->url, r->url_len, loose, sizeof(loose));
    j->loose.any = false;
    *why = "the rules can't be looked at; try again later";
    r->reason = ACCESS_RULE_FAILS;
    if (!rules_apply(rules, p->config.worker, r->url, r->url_len, &j->v) ||
        (n && !rules_apply(rules, p->config.worker, loose, n, &j->loose)))
        return 503;
    if (rules_answer(&j->v, &status) != RULES_DENY &&
        rules_answer(&j->loose, &status) != RULES_DENY)
        return 0;
    *why = "denied by a rule";
    r->reason = ACCESS_RULE_DENY;
    counter_inc(&p->counters.proxy_rules_denied_total);
    return status;
}

/* By the rate of either. */
static unsigned count(struct proxy *p, struct request *r, const struct http_head *h,
                      const struct proxy_site *site, const struct judgement *j, const char **why)
{
    bool rated = j->v.any && j->v.one[RULES_RATE] != RULES_NONE;
    bool loose = j->loose.any && j->loose.one[RULES_RATE] != RULES_NONE &&
                 !(rated && j->v.one[RULES_RATE] == j->loose.one[RULES_RATE]);
    if (!rated && !loose)
        return 0;
    struct addr who = forward_asks(r, h, site);
    r->reason = ACCESS_RULE_RATE;
    unsigned refused = rated ? limit(p, &j->v, &who, why) : 0;
    return !refused && loose ? limit(p, &j->loose, &who, why) : refused;
}

/* From here on it is for another URL, which is not to be had by a detour where it is denied. */
static unsigned move_on(struct proxy *p, struct request *r, const struct policy_route *route,
                        struct judgement *j, const char **why)
{
    *why = "the rules make no valid URL of this one";
    r->reason = ACCESS_RULE_FAILS;
    if (!move(r, route, &j->v))
        return 400;
    unsigned refused = request_denied(p, r, why);
    return refused ? refused : judge(p, r, j, why);
}

unsigned obey_rules(struct proxy *p, struct request *r, const struct http_head *h,
                    const struct policy_route *route, const char **why)
{
    struct judgement j;
    unsigned status, refused = judge(p, r, &j, why);
    if (refused)
        return refused;
    if (!j.v.any && !j.loose.any)
        return 0;
    if (rules_answer(&j.v, &status) == RULES_REDIRECT)
        return redirect(p, r, &j.v, status, why);
    refused = count(p, r, h, route->site, &j, why);
    if (refused)
        return refused;
    r->passes = rules_passes(&j.v) || rules_passes(&j.loose);
    r->bare = rules_strips_cookies(&j.v);
    if (j.v.any && rules_moves(&j.v))
        refused = move_on(p, r, route, &j, why);
    keep_fields(r, &j.v);
    return refused;
}

const struct http_head *obey_bare(const struct request *r, const struct http_head *h,
                                  struct http_head *copy)
{
    if (!r->bare || !http_known(h, HTTP_COOKIE))
        return h;
    uint8_t n = 0;
    *copy = *h;
    memset(copy->known, 0, sizeof(copy->known));
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http_field *f = &h->field[i];
        if (f->known == HTTP_COOKIE)
            continue;
        copy->field[n++] = *f;
        if (f->known != HTTP_OTHER && !copy->known[f->known])
            copy->known[f->known] = n;
    }
    copy->fields = n;
    return copy;
}

/* --- about what is fetched ------------------------------------------------ */

static bool ask(struct proxy *p, const char *url, size_t len, struct rules_verdict *v)
{
    return p->policy->rules && rules_apply(p->policy->rules, p->config.worker, url, len, v) &&
           v->any;
}

/* Edits the lines from `from` on. */
static void edit(struct head_writer *w, size_t from, const struct rules_set *s,
                 const uint32_t *list, unsigned n)
{
    if (n == 0 || w->bad)
        return;
    size_t had = w->len - from, len = rules_edit(s, list, n, w->p + from, had, w->room - from);
    w->bad = len == 0 && had > 0;
    w->len = from + len;
}

void obey_origin(struct proxy *p, const char *url, size_t len, struct head_writer *w, size_t from)
{
    struct rules_verdict v;
    if (p->policy->rules && rules_edits(p->policy->rules, RULES_REQUEST) && ask(p, url, len, &v))
        edit(w, from, v.set, v.list[RULES_REQUEST], v.many[RULES_REQUEST]);
}

/* That of several parts has to name what is between them (RFC 9110 15.3.7.2). */
static unsigned without_type(const struct rules_set *s, const struct request *r,
                             uint32_t list[static RULES_LIST])
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->edits; i++)
        if (strcasecmp(rules_field(s, r->edit[i]).name, "Content-Type") != 0)
            list[n++] = r->edit[i];
    return n;
}

void obey_response(struct proxy *p, struct request *r, struct head_writer *w, size_t from)
{
    const struct rules_set *rules = p->policy->rules;
    uint32_t list[RULES_LIST];
    struct rules_verdict v = {.set = rules};
    if (!rules_edits(rules, RULES_RESPONSE))
        return;
    if (r->edits_by != rules_print(rules)) {
        rules_apply(rules, p->config.worker, r->url, r->url_len, &v);
        keep_fields(r, &v);
    }
    if (r->parts)
        edit(w, from, rules, list, without_type(rules, r, list));
    else
        edit(w, from, rules, r->edit, r->edits);
}

void obey_interim(const struct fill *f, struct head_writer *w, size_t from)
{
    struct rules_verdict v;
    if (ask(f->proxy, f->url, f->url_len, &v))
        edit(w, from, v.set, v.list[RULES_RESPONSE], v.many[RULES_RESPONSE]);
}

void obey_store(struct fill *f, struct cache_response *response, struct cache_lifetimes *lifetimes)
{
    struct rules_verdict v;
    if (!ask(f->proxy, f->url, f->url_len, &v))
        return;
    if (rules_strips_cookies(&v))
        response->has_set_cookie = false;
    rules_ttl(&v, &lifetimes->override_s); /* it stays as it is where no rule says */
}

bool obey_strips_cookies(const struct fill *f)
{
    struct rules_verdict v;
    return ask(f->proxy, f->url, f->url_len, &v) && rules_strips_cookies(&v);
}

size_t obey_tags(const struct fill *f, char *head, size_t len, size_t room)
{
    char line[RULES_LIST * 132 + 16];
    struct head_writer w = {line, 0, sizeof(line), false};
    struct http_text name, text;
    struct rules_verdict v;
    size_t kept = 0;
    if (!len || !ask(f->proxy, f->url, f->url_len, &v) || v.many[RULES_TAG] == 0)
        return len;
    for (size_t at = 0;
         head_line(head, len, &at, &name, &text);) { /* a peer's, of the same rules */
        if (text_equals(name, CACHE_TAG_OURS))
            continue;
        memmove(head + kept, text.p, text.len);
        kept += text.len;
    }
    head_text(&w, CACHE_TAG_OURS ":");
    for (unsigned i = 0; i < v.many[RULES_TAG]; i++) {
        head_text(&w, " ");
        head_text(&w, rules_tag(&v, i));
    }
    head_text(&w, "\r\n");
    if (w.bad || w.len > room - kept)
        return 0;
    memmove(head + w.len, head, kept);
    memcpy(head, line, w.len);
    return w.len + kept;
}

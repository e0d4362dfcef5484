/* SPDX-License-Identifier: BSD-3-Clause */
/* The words for what is done: a table, and what belongs to each. */
#include <stdlib.h>

#include "base/ascii.h"
#include "dataplane/http/http.h"
#include "dataplane/rules/rules_private.h"

static bool take_status(struct parse *p, struct action *a)
{
    const struct word *w = parse_next(p, a->op == RULES_DENY ? "a status, as 403," : "a status");
    char *end;
    if (!w)
        return false;
    long n = strtol(w->p, &end, 10);
    bool whole = w->len == 3 && *end == 0;
    a->status = (uint16_t)n;
    if (a->op == RULES_DENY && whole && (n == 401 || n == 405 || n == 407 || n == 426))
        return parse_wrong(p, w, "%ld must come with a field that deny does not send; take 403", n);
    if (a->op == RULES_DENY)
        return (whole && n >= 400 && n <= 599) ||
               parse_wrong(p, w, "\"%.40s\" is no status of an error; there are 400 to 599", w->p);
    return (whole && (n == 301 || n == 302 || n == 303 || n == 307 || n == 308)) ||
           parse_wrong(p, w, "\"%.40s\" is no redirection; there are 301, 302, 303, 307 and 308",
                       w->p);
}

static bool take_target(struct parse *p, struct action *a)
{
    bool redirect = a->kind == RULES_ANSWER;
    const struct word *w = parse_next(p, redirect ? "a URL" : "a path");
    if (!w)
        return false;
    if (*w->p != '/' && strncmp(w->p, "$path", 5) != 0 && strncmp(w->p, "$uri", 4) != 0 &&
        !(redirect && (strncmp(w->p, "http://", 7) == 0 || strncmp(w->p, "https://", 8) == 0)))
        return parse_wrong(p, w, "\"%.100s\" is no %s; it begins with a slash%s", w->p,
                           redirect ? "URL" : "path", redirect ? ", http:// or https://" : "");
    const char *wrong =
        target_wrong(w->p, p->rule->where == WHERE_PATH ? text_at(p->set, p->rule->text) : NULL);
    if (wrong)
        return parse_wrong(p, w, "\"%.100s\": %s", w->p, wrong);
    a->text = w->at;
    a->prefix = p->rule->len;
    return true;
}

static bool take_ttl(struct parse *p, struct action *a)
{
    static const struct {
        char unit;
        int64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const struct word *w = parse_next(p, "a time, as 12h,");
    char *end;
    if (!w)
        return false;
    a->number = -1;
    if (strcmp(w->p, "none") == 0)
        return true;
    unsigned long long n = strtoull(w->p, &end, 10);
    const char *unit = strcmp(end, "min") == 0 ? "m" : end;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (*w->p >= '0' && *w->p <= '9' && end - w->p <= 9 && unit[0] == units[i].unit && !unit[1])
            a->number = (int64_t)n * units[i].s;
    if (a->number > 365 * 86400)
        return parse_wrong(p, w, "\"%.40s\" is more than a year", w->p);
    return a->number >= 0 ||
           parse_wrong(p, w, "\"%.40s\" is no time; write it like 30s, 5min, 12h, 1d or none",
                       w->p);
}

static bool is_plain(const char *text, const char *besides)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text > '~' || strchr(besides, *text))
            return false;
    return true;
}

static bool take_query(struct parse *p, struct action *a)
{
    const struct word *w = parse_next(p, "a parameter's name, as utm_*,");
    if (!w)
        return false;
    const char *star = strchr(w->p, '*');
    a->text = w->at;
    return (w->len && is_plain(w->p, "&=#?") && (!star || !star[1])) ||
           parse_wrong(p, w, "\"%.60s\" is no parameter's name; it may end with one *", w->p);
}

static bool take_tag(struct parse *p, struct action *a)
{
    const struct word *w = parse_next(p, "a tag");
    if (!w)
        return false;
    a->text = w->at;
    return (w->len && w->len <= 128 && is_plain(w->p, ",")) ||
           parse_wrong(p, w, "\"%.60s\" is no tag: 1 to 128 signs, no blank, no comma", w->p);
}

/* The node makes these itself, or they say how the bytes are framed; CDN-Loop: RFC 8586 2. */
static bool is_ours(const char *name, bool request)
{
    static const char *const both[] = {
        "connection", "content-length", "keep-alive", "transfer-encoding", "te",
        "trailer",    "upgrade",        "via",        "coral-peer",        "proxy-connection"};
    static const char *const requests[] = {
        "host",    "range",        "if-range",   "if-match",          "if-none-match",
        "expect",  "max-forwards", "user-agent", "if-modified-since", "if-unmodified-since",
        "cdn-loop"};
    static const char *const responses[] = {"age", "content-range", "content-encoding", "date",
                                            "cache-status"};
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
        if (strcasecmp(name, both[i]) == 0)
            return true;
    for (size_t i = 0; request && i < sizeof(requests) / sizeof(requests[0]); i++)
        if (strcasecmp(name, requests[i]) == 0)
            return true;
    for (size_t i = 0; !request && i < sizeof(responses) / sizeof(responses[0]); i++)
        if (strcasecmp(name, responses[i]) == 0)
            return true;
    return false;
}

static bool take_name(struct parse *p, struct action *a)
{
    const struct word *w = parse_next(p, "a field's name");
    if (!w)
        return false;
    bool token = w->len > 0 && w->len < 64;
    for (uint32_t i = 0; i < w->len; i++)
        token &= ascii_is_tchar(w->p[i]);
    a->text = w->at;
    if (!token)
        return parse_wrong(p, w, "\"%.60s\" is no field's name", w->p);
    return !is_ours(w->p, a->kind == RULES_ONES + RULES_REQUEST) ||
           parse_wrong(p, w, "%.60s is made by the node itself; it can't be changed", w->p);
}

static bool take_field(struct parse *p, struct action *a)
{
    if (!take_name(p, a))
        return false;
    const struct word *w = parse_next(p, "a value");
    if (!w)
        return false;
    bool good = w->len <= 1024;
    for (uint32_t i = 0; i < w->len; i++)
        good &= w->p[i] == '\t' || ((unsigned char)w->p[i] >= ' ' && w->p[i] != 0x7f);
    a->value = w->at;
    return good || parse_wrong(p, w, "this is no field's value: at most 1024 bytes of text");
}

/* The name is looked up when all rates are known (find_rates); its place goes with it until then.
 */
static bool take_rate(struct parse *p, struct action *a)
{
    const struct word *w = parse_next(p, "a rate's name, or none,");
    if (!w)
        return false;
    a->text = w->at;
    a->number = strcmp(w->p, "none") == 0 ? -1 : (int64_t)w->length;
    a->prefix = w->column;
    return true;
}

static const struct {
    const char *word;
    uint8_t kind, op;
    bool (*take[2])(struct parse *p, struct action *a);
} words[] = {
    {"allow", RULES_ANSWER, RULES_ALLOW, {0}},
    {"deny", RULES_ANSWER, RULES_DENY, {take_status}},
    {"redirect", RULES_ANSWER, RULES_REDIRECT, {take_status, take_target}},
    {"rewrite", RULES_REWRITE, 0, {take_target}},
    {"pass", RULES_CACHE, CACHE_OP_PASS, {0}},
    {"cache", RULES_CACHE, CACHE_OP_CACHE, {0}},
    {"ttl", RULES_TTL, 0, {take_ttl}},
    {"rate", RULES_RATE, 0, {take_rate}},
    {"strip-cookies", RULES_COOKIES, 0, {0}},
    {"strip-query", RULES_ONES + RULES_QUERY, 0, {take_query}},
    {"tag", RULES_ONES + RULES_TAG, 0, {take_tag}},
    {"set-request", RULES_ONES + RULES_REQUEST, 0, {take_field}},
    {"remove-request", RULES_ONES + RULES_REQUEST, 0, {take_name}},
    {"set-response", RULES_ONES + RULES_RESPONSE, 0, {take_field}},
    {"remove-response", RULES_ONES + RULES_RESPONSE, 0, {take_name}},
};

bool parse_action(struct parse *p)
{
    struct rules_set *s = p->set;
    const struct word *w = &p->word[p->at++];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(w->p, words[i].word) != 0)
            continue;
        struct action a = {.kind = words[i].kind, .op = words[i].op};
        for (unsigned k = 0; k < 2 && words[i].take[k]; k++)
            if (!words[i].take[k](p, &a))
                return false;
        if (!rules_grow((void **)&s->action, s->actions, &s->room[1], sizeof(a))) {
            p->no_memory = true;
            return false;
        }
        s->action[s->actions++] = a;
        if (a.kind >= RULES_ONES)
            s->edits[a.kind - RULES_ONES] = true;
        return true;
    }
    return parse_wrong(p, w,
                       "\"%.60s\" is no action; there are allow, deny, redirect, rewrite, pass, "
                       "cache, ttl, rate, strip-cookies, strip-query, tag, set-request, "
                       "remove-request, set-response and remove-response",
                       w->p);
}

static bool take_number(struct parse *p, const char *what, uint64_t most, const char **rest,
                        uint64_t *out)
{
    const struct word *w = parse_next(p, what);
    char *end;
    if (!w)
        return false;
    *out = strtoull(w->p, &end, 10);
    *rest = end;
    return (*w->p >= '0' && *w->p <= '9' && w->len < 16 && *out >= 1 && *out <= most) ||
           parse_wrong(p, w, "\"%.40s\" is out of range: 1 to %llu", w->p,
                       (unsigned long long)most);
}

bool parse_rate(struct parse *p)
{
    struct rules_set *s = p->set;
    struct rate rate = {.line = p->line};
    const char *unit, *rest;
    uint64_t number, burst;
    const struct word *name = parse_next(p, "a rate's name");
    if (!name)
        return false;
    for (uint32_t i = 0; i < s->rates; i++)
        if (strcmp(text_at(s, s->rate[i].name), name->p) == 0)
            return parse_wrong(p, name, "the rate \"%.60s\" is defined in line %u already", name->p,
                               s->rate[i].line);
    if (!name->len || strcmp(name->p, "none") == 0)
        return parse_wrong(p, name, "\"%.60s\" is no rate's name", name->p);
    if (s->rates == RULES_RATES)
        return parse_wrong(p, name, "more than %u rates", RULES_RATES);
    if (!take_number(p, "a rate, as 100/s,", 1000000, &unit, &number))
        return false;
    if (strcmp(unit, "/s") != 0 && strcmp(unit, "/min") != 0)
        return parse_wrong(p, &p->word[p->at - 1],
                           "\"%.40s\" is no rate; write it like 100/s or 10/min",
                           p->word[p->at - 1].p);
    burst = number;
    if (p->at < p->words) {
        const struct word *w = &p->word[p->at++];
        if (strcmp(w->p, "burst") != 0)
            return parse_wrong(p, w, "\"%.40s\" is one word too many; \"burst\" may stand here",
                               w->p);
        if (!take_number(p, "a number", 1000000, &rest, &burst))
            return false;
        if (*rest || p->at < p->words)
            return parse_wrong(p, &p->word[p->words - 1], "\"%.40s\" is one word too many",
                               p->word[p->words - 1].p);
    }
    rate.name = name->at;
    rate.each_ns = (strcmp(unit, "/s") == 0 ? 1000000000ull : 60000000000ull) / number;
    rate.burst_ns = rate.each_ns * (burst - 1);
    s->rate[s->rates++] = rate;
    return true;
}

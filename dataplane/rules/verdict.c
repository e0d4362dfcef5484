/* SPDX-License-Identifier: BSD-3-Clause */
/* What a verdict says, kind by kind; fields that are edited. */
#include <strings.h>

#include "dataplane/rules/rules_private.h"

static const struct action *one(const struct rules_verdict *v, enum rules_one kind)
{
    return v->any && v->one[kind] != RULES_NONE ? &v->set->action[v->one[kind]] : NULL;
}

enum rules_answer rules_answer(const struct rules_verdict *v, unsigned *status)
{
    const struct action *a = one(v, RULES_ANSWER);
    *status = a ? a->status : 0;
    return a ? (enum rules_answer)a->op : RULES_ALLOW;
}

bool rules_passes(const struct rules_verdict *v)
{
    const struct action *a = one(v, RULES_CACHE);
    return a && a->op == CACHE_OP_PASS;
}

bool rules_strips_cookies(const struct rules_verdict *v)
{
    return one(v, RULES_COOKIES) != NULL;
}

bool rules_ttl(const struct rules_verdict *v, int64_t *ttl_s)
{
    const struct action *a = one(v, RULES_TTL);
    if (a)
        *ttl_s = a->number;
    return a != NULL;
}

const char *rules_tag(const struct rules_verdict *v, unsigned i)
{
    return text_at(v->set, v->set->action[v->list[RULES_TAG][i]].text);
}

static uint64_t print_text(const char *text, uint64_t print)
{
    return text ? XXH3_64bits_withSeed(text, strlen(text) + 1, print)
                : XXH3_64bits_withSeed("", 0, print);
}

uint64_t rules_stored_print(const struct rules_verdict *v, uint64_t seed)
{
    uint64_t print = seed;
    int64_t ttl_s;
    if (!v->any)
        return seed;
    if (rules_ttl(v, &ttl_s))
        print = XXH3_64bits_withSeed(&ttl_s, sizeof(ttl_s), print);
    if (rules_strips_cookies(v))
        print = print_text("strip-cookies", print);
    for (unsigned i = 0; i < v->many[RULES_TAG]; i++)
        print = print_text(rules_tag(v, i), print);
    for (unsigned i = 0; i < v->many[RULES_REQUEST]; i++) {
        const struct rules_field f = rules_field(v->set, v->list[RULES_REQUEST][i]);
        print = print_text(f.value, print_text(f.name, print));
    }
    return print;
}

/* --- fields --------------------------------------------------------------- */

struct rules_field rules_field(const struct rules_set *s, uint32_t action)
{
    const struct action *a = &s->action[action];
    return (struct rules_field){text_at(s, a->text), a->value ? text_at(s, a->value) : NULL};
}

bool rules_edits(const struct rules_set *s, enum rules_many which)
{
    return s->edits[which];
}

static bool names(const struct rules_set *s, const uint32_t *list, unsigned n, const char *line,
                  size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : 0;
    for (unsigned i = 0; i < n; i++) {
        const char *mine = rules_field(s, list[i]).name;
        if (strlen(mine) == name && strncasecmp(mine, line, name) == 0)
            return true;
    }
    return false;
}

/* The first in the text counts. */
static bool is_overruled(const struct rules_set *s, const uint32_t *list, unsigned i)
{
    const char *mine = rules_field(s, list[i]).name;
    for (unsigned k = 0; k < i; k++)
        if (strcasecmp(rules_field(s, list[k]).name, mine) == 0)
            return true;
    return false;
}

size_t rules_edit(const struct rules_set *s, const uint32_t *list, unsigned n, char *lines,
                  size_t len, size_t room)
{
    size_t kept = 0;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(lines + at, '\n', len - at);
        size_t line = end ? (size_t)(end - lines) + 1 - at : len - at;
        if (!names(s, list, n, lines + at, line)) {
            memmove(lines + kept, lines + at, line);
            kept += line;
        }
        at += line;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct rules_field f = rules_field(s, list[i]);
        if (!f.value || is_overruled(s, list, i))
            continue;
        size_t name = strlen(f.name), value = strlen(f.value);
        if (name + value + 4 > room - kept)
            return 0;
        memcpy(lines + kept, f.name, name);
        memcpy(lines + kept + name, ": ", 2);
        memcpy(lines + kept + name + 2, f.value, value);
        memcpy(lines + kept + name + 2 + value, "\r\n", 2);
        kept += name + value + 4;
    }
    return kept;
}

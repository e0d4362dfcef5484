/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of a set: each host once, its places in order, what covers it. */
#include <stdlib.h>

#include "dataplane/rules/rules_private.h"

/* The tables are the operator's, so a stranger can't fill one chain of them: no secret. */
uint64_t rules_host_hash(const char *name, size_t len, bool wildcard)
{
    return XXH3_64bits_withSeed(name, len, wildcard);
}

uint64_t rules_prefix_hash(uint32_t host, const char *path, size_t len)
{
    return XXH3_64bits_withSeed(path, len, host + 2ull);
}

static bool table_new(uint32_t **table, uint32_t *mask, uint32_t n)
{
    uint32_t size = 16;
    while (size < 2 * n)
        size *= 2;
    *table = calloc(size, sizeof(**table));
    *mask = size - 1;
    return *table != NULL;
}

uint32_t rules_host_find(const struct rules_set *s, const char *name, size_t len, bool wildcard)
{
    uint32_t at = (uint32_t)rules_host_hash(name, len, wildcard);
    for (;; at++) {
        uint32_t n = s->host_table[at & s->host_mask];
        if (n == 0)
            return RULES_NONE;
        const struct host *h = &s->host[n - 1];
        if (h->len == len && h->wildcard == wildcard && memcmp(text_at(s, h->name), name, len) == 0)
            return n - 1;
    }
}

static void table_add(uint32_t *table, uint32_t mask, uint64_t hash, uint32_t number)
{
    uint32_t at = (uint32_t)hash;
    while (table[at & mask])
        at++;
    table[at & mask] = number + 1;
}

/* Each rule came with a host of its own. */
static void hosts_unite(struct rules_set *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->rules; i++) {
        const struct host h = s->host[s->rule[i].host];
        const char *name = text_at(s, h.name);
        uint32_t n = rules_host_find(s, name, h.len, h.wildcard);
        if (n == RULES_NONE) {
            n = kept++;
            s->host[n] = h;
            table_add(s->host_table, s->host_mask, rules_host_hash(name, h.len, h.wildcard), n);
        }
        s->rule[i].host = n;
    }
    s->hosts = kept;
}

uint32_t rules_cover(const struct rules_set *s, const char *name, size_t len)
{
    const char *end = name + len;
    while (name < end) {
        const char *dot = memchr(name, '.', (size_t)(end - name));
        name = dot ? dot + 1 : end;
        uint32_t n = rules_host_find(s, name, (size_t)(end - name), true);
        if (n != RULES_NONE)
            return n;
    }
    return RULES_NONE;
}

static bool hosts_cover(struct parse *p)
{
    struct rules_set *s = p->set;
    for (uint32_t i = 0; i < s->hosts; i++)
        s->host[i].parent = rules_cover(s, text_at(s, s->host[i].name), s->host[i].len);
    for (uint32_t i = 0; i < s->rules; i++) {
        unsigned n = 0;
        for (uint32_t h = s->rule[i].host; h != RULES_NONE; h = s->host[h].parent)
            n++;
        p->line = s->rule[i].line;
        if (n > RULES_COVER)
            return parse_wrong(p, NULL, "more than %u hosts with * cover this one", RULES_COVER);
    }
    return true;
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* By where; hosts, texts; then as in the text. */
static int rule_order(const void *x, const void *y, void *ctx)
{
    const struct rules_set *s = ctx;
    const struct rule *a = x, *b = y;
    int d = compare(a->where, b->where);
    int host = compare(a->host, b->host);
    if (d == 0 && a->where != WHERE_MATCH)
        d = host;
    if (d == 0 && a->where != WHERE_ALL)
        d = strcmp(text_at(s, a->text), text_at(s, b->text));
    if (d == 0 && a->where == WHERE_MATCH)
        d = host;
    return d ? d : compare(a->action, b->action);
}

static bool same_place(const struct rules_set *s, const struct rule *a, const struct rule *b)
{
    return a->where == b->where && (a->where == WHERE_MATCH || a->host == b->host) &&
           (a->where == WHERE_ALL || strcmp(text_at(s, a->text), text_at(s, b->text)) == 0);
}

static void place_add(struct rules_set *s, uint32_t from, uint32_t n)
{
    const struct rule *r = &s->rule[from];
    struct host *h = &s->host[r->host];
    if (r->where == WHERE_ALL) {
        h->rule = from;
        h->rules = n;
    } else if (r->where == WHERE_PATH) {
        s->prefix[s->prefixes] = (struct prefix){r->host, r->text, r->len, from, n};
        table_add(s->prefix_table, s->prefix_mask,
                  rules_prefix_hash(r->host, text_at(s, r->text), r->len), s->prefixes);
        s->prefixes++;
        h->lengths |= rules_length_bit(r->len);
        h->longest = r->len > h->longest ? r->len : h->longest;
    } else {
        struct expression e = {from, n, from};
        for (uint32_t i = from; i < from + n; i++) {
            s->host[s->rule[i].host].matches = true;
            if (s->rule[i].action < s->rule[e.first].action)
                e.first = i;
        }
        s->expression[s->expressions++] = e;
    }
}

bool rules_build(struct parse *p)
{
    struct rules_set *s = p->set;
    uint32_t n = s->rules ? s->rules : 1;
    s->prefix = calloc(n, sizeof(*s->prefix));
    s->expression = calloc(n, sizeof(*s->expression));
    if (!s->prefix || !s->expression || !table_new(&s->host_table, &s->host_mask, n) ||
        !table_new(&s->prefix_table, &s->prefix_mask, n))
        return false;
    hosts_unite(s);
    if (!hosts_cover(p))
        return false;
    if (s->rules)
        qsort_r(s->rule, s->rules, sizeof(*s->rule), rule_order, s);
    for (uint32_t i = 0, k; i < s->rules; i = k) {
        for (k = i + 1; k < s->rules && same_place(s, &s->rule[i], &s->rule[k]);)
            k++;
        place_add(s, i, k - i);
    }
    for (uint32_t i = 0; i < s->rates; i++) {
        struct rate *r = &s->rate[i];
        const char *name = text_at(s, r->name);
        r->hash = XXH3_64bits_withSeed(name, strlen(name), r->each_ns ^ r->burst_ns << 1);
    }
    if (s->expressions > RULES_EXPRESSIONS) {
        p->line = s->rule[s->expression[RULES_EXPRESSIONS].first].line;
        return parse_wrong(p, NULL, "more than %u different expressions", RULES_EXPRESSIONS);
    }
    return true;
}

static int text_order(const void *x, const void *y, void *ctx)
{
    const struct rule *a = x, *b = y;
    int d = strcmp(text_at(ctx, a->text), text_at(ctx, b->text));
    return d ? d : compare(a->line, b->line);
}

bool rules_build_wrong(struct rules_set *s)
{
    uint32_t n = 0;
    s->wrong = true;
    free(s->expression);
    s->expressions = 0;
    s->expression = calloc(s->rules + 1ul, sizeof(*s->expression));
    if (!s->expression)
        return false;
    for (uint32_t i = 0; i < s->rules; i++)
        if (s->rule[i].where == WHERE_MATCH)
            s->rule[n++] = s->rule[i];
    s->rules = n;
    if (n)
        qsort_r(s->rule, n, sizeof(*s->rule), text_order, s);
    for (uint32_t i = 0; i < n && s->expressions < RULES_EXPRESSIONS; i++)
        if (i == 0 || strcmp(text_at(s, s->rule[i - 1].text), text_at(s, s->rule[i].text)) != 0)
            s->expression[s->expressions++] = (struct expression){i, 1, i};
    return true;
}

bool rules_is_wrong(const struct rules_set *s)
{
    return s->wrong;
}

uint64_t rules_text_print(const char *text, size_t len)
{
    return XXH3_64bits(text, len) | 1;
}

uint64_t rules_print(const struct rules_set *s)
{
    return s->print;
}

struct rules_size rules_size(const struct rules_set *s)
{
    return (struct rules_size){s->rules, s->hosts, s->prefixes, s->expressions, s->rates};
}

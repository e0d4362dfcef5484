/* SPDX-License-Identifier: BSD-3-Clause */
/* From text to rules: lines, words, hosts and places. What is wrong is told, and the next line
 * read.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/http/http.h"
#include "dataplane/rules/rules_private.h"

bool rules_grow(void **array, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room)
        return true;
    uint32_t more = *room ? *room * 2 : 64;
    void *p = realloc(*array, more * size);
    if (!p)
        return false;
    *array = p;
    *room = more;
    return true;
}

bool parse_wrong(struct parse *p, const struct word *w, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    p->mistakes++;
    p->tell(p->ctx, p->line, w ? w->column : 1, w ? w->length : 1, message);
    return false;
}

struct word *parse_next(struct parse *p, const char *what)
{
    if (p->at < p->words)
        return &p->word[p->at++];
    const struct word *last = &p->word[p->words - 1];
    struct word end = {.column = last->column + last->length, .length = 1};
    parse_wrong(p, &end, "%s is missing after \"%.60s\"", what, last->p);
    return NULL;
}

/* --- words ---------------------------------------------------------------- */

static unsigned characters(const char *p, const char *end)
{
    unsigned n = 0;
    for (; p < end; p++)
        n += ((unsigned char)*p & 0xc0) != 0x80;
    return n;
}

/* In quotes: a backslash takes a quote's meaning away, and is itself otherwise. Shrinks in place;
 * returns what follows. NULL: there is no end. */
static char *unquote(char *p, char *end, struct word *w)
{
    char *to = p;
    w->p = p;
    for (; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end && p[1] == '"')
            p++;
        *to++ = *p;
    }
    w->len = (uint32_t)(to - w->p);
    return p < end ? p + 1 : NULL;
}

/* Cuts a line into words; '#' where a word could begin ends it. */
static bool cut(struct parse *p, char *line, char *end)
{
    p->words = p->at = 0;
    for (char *c = line; c < end;) {
        if (*c == ' ' || *c == '\t' || *c == '\r') {
            c++;
            continue;
        }
        if (*c == '#')
            break;
        struct word w = {.p = c, .column = characters(line, c) + 1};
        char *begin = c;
        if (*c == '"') {
            c = unquote(c + 1, end, &w);
            if (!c) {
                w.length = characters(begin, end);
                return parse_wrong(p, &w, "this quotation mark has no partner on its line");
            }
        } else {
            while (c < end && *c != ' ' && *c != '\t' && *c != '\r')
                c++;
            w.len = (uint32_t)(c - begin);
        }
        w.length = characters(begin, c);
        w.at = (uint32_t)(w.p - p->set->text);
        if (p->words == RULES_WORDS)
            return parse_wrong(p, &w, "more than %u words in one line; make it several",
                               RULES_WORDS);
        if (c < end && *c != ' ' && *c != '\t' && *c != '\r') {
            w.column += w.length;
            w.length = 1;
            return parse_wrong(p, &w, "a blank is missing after the quotation mark");
        }
        p->word[p->words++] = w;
    }
    for (unsigned i = 0; i < p->words; i++)
        p->word[i].p[p->word[i].len] = 0;
    return true;
}

/* --- hosts ---------------------------------------------------------------- */

static uint32_t host_add(struct parse *p, const struct word *w, const char *name, bool wildcard)
{
    struct rules_set *s = p->set;
    if (!rules_grow((void **)&s->host, s->hosts, &s->room[2], sizeof(*s->host))) {
        p->no_memory = true;
        return RULES_NONE;
    }
    s->host[s->hosts] = (struct host){.name = w->at + (uint32_t)(name - w->p),
                                      .len = (uint32_t)strlen(name),
                                      .wildcard = wildcard,
                                      .parent = RULES_NONE};
    return s->hosts++;
}

/* The names are told apart later; here each line has one of its own. */
static bool parse_host(struct parse *p, const struct word *w)
{
    char normal[256];
    uint16_t port;
    const char *name = w->p;
    bool wildcard = *name == '*';
    if (strcmp(name, "*") == 0) {
        name++;
    } else {
        if (strncmp(name, "*.", 2) == 0)
            name += 2;
        struct http_text t = {name, (uint32_t)strlen(name)};
        if (strchr(name, '/'))
            return parse_wrong(p, w, "\"%.100s\" is no host; write it without http:// and path",
                               w->p);
        if (!http_authority(t, normal, &port))
            return parse_wrong(p, w,
                               "\"%.100s\" is no host; write it like www.example.com, "
                               "*.example.com or *",
                               w->p);
        if (strchr(name, ':') && *name != '[')
            return parse_wrong(p, w, "\"%.100s\": a rule is for a host at any port; leave it out",
                               w->p);
        if (strlen(normal) > t.len)
            return parse_wrong(p, w, "\"%.100s\" is no host", w->p);
        memcpy(w->p + (name - w->p), normal, strlen(normal) + 1);
    }
    p->rule->host = host_add(p, w, name, wildcard);
    return p->rule->host != RULES_NONE;
}

/* --- places --------------------------------------------------------------- */

static bool parse_path(struct parse *p, const struct word *w)
{
    char url[HTTP_URL_MAX];
    struct http_text path = {w->p, w->len};
    if (*w->p != '/')
        return parse_wrong(p, w, "\"%.100s\" is no path; it begins with a slash", w->p);
    if (strpbrk(w->p, "?#"))
        return parse_wrong(p, w, "a path has no %s; use match for queries",
                           strchr(w->p, '?') ? "\"?\"" : "\"#\"");
    size_t n = http_url_write((struct http_text){"h", 1}, 80, path, url, sizeof(url) - 1);
    if (n == 0)
        return parse_wrong(p, w, "\"%.100s\" is no path of a URL; write other signs as %%XX", w->p);
    url[n] = 0;
    if (strcmp(url + 8, w->p) != 0)
        return parse_wrong(p, w, "requests are compared in their normal form; write it \"%.200s\"",
                           url + 8);
    return true;
}

static bool parse_where(struct parse *p)
{
    struct rule *r = p->rule;
    const char *word = p->at < p->words ? p->word[p->at].p : "";
    bool path = strcmp(word, "path") == 0;
    if (!path && strcmp(word, "match") != 0)
        return true;
    p->at++;
    const struct word *w = parse_next(p, path ? "a path" : "an expression");
    if (!w)
        return false;
    r->where = path ? WHERE_PATH : WHERE_MATCH;
    r->text = w->at;
    r->len = w->len;
    r->column = w->column;
    r->length = w->length;
    if (path)
        return parse_path(p, w);
    return w->len > 0 || parse_wrong(p, w, "an empty expression matches nothing");
}

/* --- lines ---------------------------------------------------------------- */

static bool parse_actions(struct parse *p)
{
    if (!parse_next(p, "an action"))
        return false;
    for (p->at--; p->at < p->words;)
        if (!parse_action(p))
            return false;
    return true;
}

static bool parse_rule(struct parse *p)
{
    struct rules_set *s = p->set;
    struct rule rule = {.line = p->line, .action = s->actions};
    p->rule = &rule;
    if (s->rules == RULES_LINES)
        return parse_wrong(p, &p->word[0], "more than %u rules", RULES_LINES);
    bool good = parse_host(p, &p->word[p->at++]);
    if (!parse_where(p))
        return false;
    good = good && parse_actions(p);
    rule.actions = s->actions - rule.action;
    if (!rules_grow((void **)&s->rule, s->rules, &s->room[0], sizeof(*s->rule))) {
        p->no_memory = true;
        return false;
    }
    s->rule[s->rules++] = rule; /* its expression is looked at, whatever else is wrong */
    return good;
}

/* Rates are known before rules that name them: wherever they stand. */
static void parse_lines(struct parse *p, char *text, size_t len)
{
    p->line = 0;
    for (size_t at = 0; at < len && !p->no_memory;) {
        char *end = memchr(text + at, '\n', len - at);
        if (!end)
            end = text + len;
        p->line++;
        if (cut(p, text + at, end) && p->words) {
            if (strcmp(p->word[0].p, "rate") == 0) {
                p->at = 1;
                parse_rate(p);
            } else {
                parse_rule(p);
            }
        }
        at = (size_t)(end - text) + 1;
    }
}

/* Rates may be named before they are defined: action.text has the name until then. */
static void find_rates(struct parse *p)
{
    struct rules_set *s = p->set;
    for (uint32_t i = 0; i < s->rules; i++)
        for (uint32_t k = 0; k < s->rule[i].actions; k++) {
            struct action *a = &s->action[s->rule[i].action + k];
            uint32_t n = 0;
            if (a->kind != RULES_RATE || a->number < 0)
                continue;
            while (n < s->rates && strcmp(text_at(s, s->rate[n].name), text_at(s, a->text)) != 0)
                n++;
            const struct word w = {.column = a->prefix, .length = (unsigned)a->number};
            p->line = s->rule[i].line;
            if (n == s->rates)
                parse_wrong(p, &w, "there is no rate \"%.60s\"; define it: rate %.60s 100/s",
                            text_at(s, a->text), text_at(s, a->text));
            a->number = n;
        }
}

struct rules_set *rules_parse_all(const char *text, size_t len, rules_tell *tell, void *ctx)
{
    struct rules_set *s = calloc(1, sizeof(*s));
    struct parse p = {.set = s, .tell = tell, .ctx = ctx, .line = 1};
    const char *nul = len ? memchr(text, 0, len) : NULL;
    if (s)
        s->text = malloc(len + 1);
    p.word = calloc(RULES_WORDS, sizeof(*p.word));
    if (!s || !s->text || !p.word)
        goto fail;
    if (len > RULES_BYTES) {
        parse_wrong(&p, NULL, "more than %d MiB of rules", RULES_BYTES >> 20);
        goto fail;
    }
    if (nul) {
        for (const char *c = text; c < nul; c++)
            p.line += *c == '\n';
        parse_wrong(&p, NULL, "a NUL byte; this must be a text file");
        goto fail;
    }
    if (len)
        memcpy(s->text, text, len);
    s->text[len] = 0;
    s->len = len;
    s->print = rules_text_print(s->text, len);
    parse_lines(&p, s->text, len);
    if (!p.no_memory)
        find_rates(&p);
    if (p.no_memory || (!p.mistakes && !rules_build(&p) && !p.mistakes))
        goto fail;
    if (p.mistakes && !rules_build_wrong(s))
        goto fail;
    free(p.word);
    return s;
fail:
    free(p.word);
    rules_free(s);
    return NULL;
}

struct rules_set *rules_parse(const char *text, size_t len, rules_tell *tell, void *ctx)
{
    struct rules_set *s = rules_parse_all(text, len, tell, ctx);
    if (!s || !s->wrong)
        return s;
    rules_free(s);
    return NULL;
}

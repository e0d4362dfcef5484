/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/http/compare.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tests/http/verdict.h"

/* --- what we may take, and they not ----------------------------------------------------------- */

/* The next line that begins so, or NULL. */
static const char *next_line(const char *p, const char *end, const char *lower)
{
    size_t n = strlen(lower);
    while ((p = memchr(p, '\n', (size_t)(end - p))) && (size_t)(end - ++p) >= n)
        if (strncasecmp(p, lower, n) == 0)
            return p;
    return NULL;
}

static bool is_new_method(const struct odd *o, size_t at, const struct verdict *v)
{
    (void)at;
    return o->request && v->len && !verdict_method_known(v);
}

static bool is_connect(const struct odd *o, size_t at, const struct verdict *v)
{
    (void)at;
    return o->request && v->len > 8 && memcmp(v->text, "CONNECT ", 8) == 0;
}

static bool is_trailer(const struct odd *o, size_t at, const struct verdict *v)
{
    (void)o, (void)at;
    return v->trailers;
}

static bool is_tab(const struct odd *o, size_t at, const struct verdict *v)
{
    static const char *const name[] = {"content-length:", "transfer-encoding:"};
    const char *end = o->text + at + v->end;
    for (unsigned i = 0; i < 2; i++)
        for (const char *p = o->text + at; (p = next_line(p, end, name[i]));)
            if (memchr(p, '\t', strcspn(p, "\r")))
                return true;
    for (const char *p = o->text + at; (p = memchr(p, '\t', (size_t)(end - p))); p++)
        if (p[strspn(p, " \t")] == ';')
            return true;
    return false;
}

static bool is_longer_name(const struct odd *o, size_t at, const struct verdict *v)
{
    static const char name[] = "transfer-encoding";
    const char *end = o->text + at + v->end;
    for (const char *p = o->text + at; (p = next_line(p, end, name));)
        if (p[sizeof(name) - 1] != ':')
            return true;
    return false;
}

static bool is_empty_member(const struct odd *o, size_t at, const struct verdict *v)
{
    const char *end = o->text + at + v->end;
    for (const char *p = o->text + at; (p = next_line(p, end, "connection:"));)
        if (p[11 + strspn(p + 11, " \t")] == ',')
            return true;
    return false;
}

static const struct {
    const char *why;
    bool (*is)(const struct odd *o, size_t at, const struct verdict *ours);
} allowed[] = {
    {"a method that is not registered: it knows no others", is_new_method},
    {"CONNECT: its message ends with the head, whatever was asked", is_connect},
    {"trailers: it takes them for fields of the head", is_trailer},
    {"a tab around a length or a coding, or before an extension (RFC 9110 5.6.3)", is_tab},
    {"a name that begins with Transfer-Encoding: it takes it for that", is_longer_name},
    {"Connection: , keep-alive: it does not know what is behind an empty member", is_empty_member},
};
static unsigned used[sizeof(allowed) / sizeof(allowed[0])];

static bool is_allowed(const struct odd *o, size_t at, const struct verdict *v)
{
    for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        if (allowed[i].is(o, at, v)) {
            used[i]++;
            return true;
        }
    return false;
}

/* --- beside each other ------------------------------------------------------------------------ */

static void show(const char *text, size_t n)
{
    for (size_t i = 0; i < n && i < 2000; i++) {
        if (text[i] == '\n' || text[i] == '\r')
            fputs(text[i] == '\n' ? "\\n\n" : "\\r", stdout);
        else if ((unsigned char)text[i] < 32 || (unsigned char)text[i] > 126)
            printf("\\x%02x", (unsigned char)text[i]);
        else
            putchar(text[i]);
    }
    putchar('\n');
}

static void complain(struct comparison *all, const char *what, const struct odd *o, size_t at,
                     const struct verdict *a, const struct verdict *b)
{
    static const char *const word[] = {"refused", "unfinished", "taken"};
    if (is_allowed(o, at, a) || ++all->wrong > 20)
        return;
    printf("--- %s, %s%s: ours %s, end %zu, keeps %d; theirs %s, end %zu, keeps %d\n", what,
           o->request ? "request" : "response", o->to_head ? " to HEAD" : "", word[a->what], a->end,
           a->keeps, word[b->what], b->end, b->keeps);
    show(o->text + at, o->len - at);
    if (a->what == VERDICT_TAKEN && b->what == VERDICT_TAKEN &&
        (a->len != b->len || memcmp(a->text, b->text, a->len))) {
        printf("ours:\n");
        show(a->text, a->len);
        printf("theirs:\n");
        show(b->text, b->len);
    }
}

void compare(const struct odd *o, struct comparison *all)
{
    static struct verdict a, b;
    size_t at = 0;
    for (unsigned n = 0; n < COMPARE_MESSAGES && at < o->len; n++) {
        verdict_ours(o, at, &a);
        verdict_http_parser(o, at, &b);
        if (o->plain && (a.what != VERDICT_TAKEN || b.what != VERDICT_TAKEN))
            complain(all, "valid, and not taken by both", o, at, &a, &b);
        if (a.what == VERDICT_REFUSED) {
            b.what == VERDICT_REFUSED ? all->neither++ : all->less++;
            return;
        }
        if (a.what == VERDICT_UNFINISHED && b.what == VERDICT_REFUSED)
            return; /* it may well be refused yet */
        if (a.what != b.what) {
            all->more++;
            complain(all, "not alike", o, at, &a, &b);
            return;
        }
        if (a.what != VERDICT_TAKEN)
            return;
        all->both++;
        if (a.end != b.end || a.closes != b.closes || a.len != b.len ||
            memcmp(a.text, b.text, a.len))
            complain(all, "taken for different things", o, at, &a, &b);
        else if (a.keeps && !b.keeps)
            complain(all, "kept alive", o, at, &a, &b);
        if (a.end != b.end || a.closes)
            return;
        at += a.end;
    }
}

void compare_allowed(void)
{
    for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        printf("%8u %s\n", used[i], allowed[i].why);
}

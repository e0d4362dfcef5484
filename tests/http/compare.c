/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/http/compare.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tests/http/verdict.h"

/* --- what we may take, and they not ----------------------------------------------------------- */

/* The next line that begins so, or NULL. */
static char *next_line(char *p, const char *end, const char *lower)
{
    size_t n = strlen(lower);
    while ((p = memchr(p, '\n', (size_t)(end - p))) && (size_t)(end - ++p) >= n)
        if (strncasecmp(p, lower, n) == 0)
            return p;
    return NULL;
}

/* Each takes what it is about out of the message, so that all else of it is compared; false: there
 * is nothing of it. */

static void replace(struct odd *o, size_t at, size_t n, const char *by)
{
    size_t len = strlen(by);
    if (o->len - n + len > ODD_MAX)
        return;
    memmove(o->text + at + len, o->text + at + n, o->len - at - n);
    memcpy(o->text + at, by, len);
    o->len = o->len - n + len;
    o->text[o->len] = '\0';
}

static bool no_new_method(struct odd *o, size_t at, const struct verdict *v)
{
    size_t empty = o->len - at > 2 && o->text[at] == '\r' ? 2 : 0;
    const char *method = o->text + at + empty;
    if (!o->request || v->what == VERDICT_REFUSED)
        return false;
    size_t n = strcspn(method, " ");
    if (verdict_method_known(method, n))
        return false;
    replace(o, at + empty, n, "POST");
    return true;
}

/* The first of the lines behind the last chunk, whose fields are said no more of. */
static bool no_trailers(struct odd *o, size_t at, const struct verdict *v)
{
    if (!v->trailers)
        return false;
    size_t end = at + v->end - 2, first = end;
    for (size_t line = end; line > at; first = line) {
        for (line -= 2; line > at && o->text[line - 1] != '\n';)
            line--;
        if (o->text[line + strcspn(o->text + line, ";:\r")] != ':')
            break;
    }
    replace(o, first, end - first, "");
    return true;
}

static bool no_tabs(struct odd *o, size_t at, const struct verdict *v)
{
    static const char *const name[] = {"content-length:", "transfer-encoding:"};
    const char *end = o->text + at + v->end;
    bool any = false;
    for (unsigned i = 0; i < 2; i++)
        for (char *p = o->text + at; (p = next_line(p, end, name[i]));)
            for (char *tab = p; (tab = memchr(tab, '\t', strcspn(tab, "\r"))); any = true)
                *tab = ' ';
    for (char *p = o->text + at; (p = memchr(p, '\t', (size_t)(end - p))); p++)
        if (p[strspn(p, " \t")] == ';') {
            *p = ' ';
            any = true;
        }
    return any;
}

static bool no_longer_name(struct odd *o, size_t at, const struct verdict *v)
{
    static const char name[] = "transfer-encoding";
    const char *end = o->text + at + v->end;
    bool any = false;
    for (char *p = o->text + at; (p = next_line(p, end, name));)
        if (p[sizeof(name) - 1] != ':') {
            *p = 'x';
            any = true;
        }
    return any;
}

static bool no_empty_member(struct odd *o, size_t at, const struct verdict *v)
{
    const char *end = o->text + at + v->end;
    bool any = false;
    for (char *p = o->text + at; (p = next_line(p, end, "connection:"));)
        for (char *q = p + 11; q[strspn(q, " \t")] == ','; any = true)
            q[strspn(q, " \t")] = ' ';
    return any;
}

static const struct {
    const char *why;
    bool (*without)(struct odd *o, size_t at, const struct verdict *ours);
} allowed[] = {
    {"a method that is not registered: it knows no others", no_new_method},
    {"trailers: it takes them for fields of the head", no_trailers},
    {"a tab around a length or a coding, or before an extension (RFC 9110 5.6.3)", no_tabs},
    {"a name that begins with Transfer-Encoding: it takes it for that", no_longer_name},
    {"Connection: , keep-alive: it does not know what is behind an empty member", no_empty_member},
};
#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))
static unsigned used[ALLOWED], connects;

static size_t head_of(const struct verdict *v)
{
    const char *end = memmem(v->text, v->len, "\n\n", 2);
    return end ? (size_t)(end - v->text) + 2 : v->len;
}

/* CONNECT: its message ends with the head, ours with what the head says; neither goes on. */
static bool is_connect(const struct odd *o, const struct verdict *a, const struct verdict *b)
{
    size_t n = head_of(a);
    return o->request && n > 8 && memcmp(a->text, "CONNECT ", 8) == 0 && !a->keeps &&
           a->what != VERDICT_REFUSED && b->what == VERDICT_TAKEN && n == b->len &&
           memcmp(a->text, b->text, n) == 0 && (a->what != VERDICT_TAKEN || a->end > b->end);
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

/* What is wrong, or NULL. */
static const char *complaint(const struct odd *o, const struct verdict *a, const struct verdict *b)
{
    if (o->plain && (a->what != VERDICT_TAKEN || b->what != VERDICT_TAKEN))
        return "valid, and not taken by both";
    if (a->what == VERDICT_REFUSED || /* the other may be refused yet */
        (a->what == VERDICT_UNFINISHED && b->what == VERDICT_REFUSED))
        return NULL;
    if (a->what != b->what)
        return "not alike";
    if (a->what != VERDICT_TAKEN)
        return NULL;
    if (a->end != b->end || a->closes != b->closes || a->len != b->len ||
        memcmp(a->text, b->text, a->len))
        return "taken for different things";
    return a->keeps && !b->keeps ? "kept alive" : NULL;
}

static void complain(struct comparison *all, const char *what, const struct odd *o, size_t at,
                     const struct verdict *a, const struct verdict *b)
{
    static const char *const word[] = {"refused", "unfinished", "taken"};
    if (++all->wrong > 20)
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

/* Without what they may differ in, they do not, and ours is the verdict that it was. From then on
 * the text goes without. */
static bool excuse(struct odd *o, size_t at, struct verdict *a, struct verdict *b)
{
    static struct odd plain;
    enum verdict_what was = a->what;
    bool with[ALLOWED], any = false;
    if (is_connect(o, a, b)) {
        connects++;
        return true;
    }
    plain = *o;
    for (unsigned i = 0; i < ALLOWED; i++) {
        with[i] = allowed[i].without(&plain, at, a);
        any |= with[i];
        if (with[i])
            verdict_ours(&plain, at, a); /* it ends elsewhere */
    }
    if (any)
        verdict_http_parser(&plain, at, b);
    bool excused = any && a->what == was && (!complaint(&plain, a, b) || is_connect(&plain, a, b));
    for (unsigned i = 0; excused && i < ALLOWED; i++)
        used[i] += with[i];
    if (excused)
        *o = plain;
    return excused;
}

void compare(const struct odd *text, struct comparison *all)
{
    static struct verdict a, b;
    static struct odd o;
    size_t at = 0;
    o = *text;
    o.text[o.len] = '\0';
    for (unsigned n = 0; n < COMPARE_MESSAGES && at < o.len; n++) {
        verdict_ours(&o, at, &a);
        verdict_http_parser(&o, at, &b);
        const char *what = complaint(&o, &a, &b);
        all->more += what && a.what > b.what;
        if (what && !excuse(&o, at, &a, &b)) {
            verdict_ours(&o, at, &a);
            verdict_http_parser(&o, at, &b);
            complain(all, what, &o, at, &a, &b);
            return;
        }
        if (a.what == VERDICT_REFUSED)
            b.what == VERDICT_REFUSED ? all->neither++ : all->less++;
        if (a.what != VERDICT_TAKEN || a.what != b.what)
            return;
        all->both++;
        if (a.end != b.end || a.closes)
            return;
        at += a.end;
    }
}

void compare_allowed(void)
{
    for (unsigned i = 0; i < ALLOWED; i++)
        printf("%8u %s\n", used[i], allowed[i].why);
    printf("%8u CONNECT: its message ends with the head, whatever was asked\n", connects);
}

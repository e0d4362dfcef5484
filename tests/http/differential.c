/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our parser beside two that are not related to it, over odd messages: what both take they take for
 * the same thing, and they agree where the next message begins; what we take and the other refuses
 * is on a short list, each with its reason; what is valid all of them take.
 *
 *   http-differential [--cases N] [--seed N]      beside http_parser
 *   http-differential --dump [...]                for differential_h11.py, which compares
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/http/verdict.h"

#define MESSAGES_MOST 4 /* one behind the other */
#define CASES         200000
#define SEED          20261129

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

static unsigned wrong, both, more, less, neither;

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

static void complain(const char *what, const struct odd *o, size_t at, const struct verdict *a,
                     const struct verdict *b)
{
    static const char *const word[] = {"refused", "unfinished", "taken"};
    if (is_allowed(o, at, a) || ++wrong > 20)
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

/* The messages of a text one behind the other, as long as both take them. */
static void compare(const struct odd *o)
{
    static struct verdict a, b;
    size_t at = 0;
    for (unsigned n = 0; n < MESSAGES_MOST && at < o->len; n++) {
        verdict_ours(o, at, &a);
        verdict_http_parser(o, at, &b);
        if (o->plain && (a.what != VERDICT_TAKEN || b.what != VERDICT_TAKEN))
            complain("valid, and not taken by both", o, at, &a, &b);
        if (a.what == VERDICT_REFUSED) {
            b.what == VERDICT_REFUSED ? neither++ : less++;
            return;
        }
        if (a.what == VERDICT_UNFINISHED && b.what == VERDICT_REFUSED)
            return; /* it may well be refused yet */
        if (a.what != b.what) {
            more++;
            complain("not alike", o, at, &a, &b);
            return;
        }
        if (a.what != VERDICT_TAKEN)
            return;
        both++;
        if (a.end != b.end || a.closes != b.closes || a.len != b.len ||
            memcmp(a.text, b.text, a.len))
            complain("taken for different things", o, at, &a, &b);
        else if (a.keeps && !b.keeps)
            complain("kept alive", o, at, &a, &b);
        if (a.end != b.end || a.closes)
            return;
        at += a.end;
    }
}

/* For others: a line about the case, its bytes, then a line about our verdict of each message in it
 * and the normal form. */
static void dump(const struct odd *o)
{
    static struct verdict v;
    size_t at = 0;
    printf("%s %d %d %zu\n", o->request ? "request" : "response", o->to_head, o->plain, o->len);
    fwrite(o->text, 1, o->len, stdout);
    for (unsigned n = 0; n < MESSAGES_MOST && at < o->len; n++) {
        verdict_ours(o, at, &v);
        if (v.what != VERDICT_TAKEN)
            v.len = 0;
        printf("%d %zu %d %d %zu\n", v.what, v.what == VERDICT_TAKEN ? at + v.end : at, v.keeps,
               v.closes, v.len);
        fwrite(v.text, 1, v.len, stdout);
        if (v.what != VERDICT_TAKEN || v.closes)
            break;
        at += v.end;
    }
    printf("-\n");
}

int main(int argc, char **argv)
{
    static struct odd o;
    unsigned long cases = CASES, seed = SEED;
    bool dumps = false;
    struct rng r;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--cases") == 0 && i + 1 < argc) {
            cases = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--dump") == 0) {
            dumps = true;
        } else {
            fprintf(stderr, "usage: %s [--cases N] [--seed N] [--dump]\n", argv[0]);
            return 2;
        }
    }
    rng_init_u64(&r, seed);
    for (unsigned i = 0; odd_base(i, &o); i++)
        dumps ? dump(&o) : compare(&o);
    for (unsigned long i = 0; i < cases; i++) {
        odd_make(&r, &o);
        dumps ? dump(&o) : compare(&o);
    }
    if (dumps)
        return 0;
    printf("seed %lu: both take %u messages, both refuse %u, we alone refuse %u; alone not: %u\n",
           seed, both, neither, less, more);
    for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        printf("%8u %s\n", used[i], allowed[i].why);
    printf("%u not as they should be\n", wrong);
    return wrong != 0;
}

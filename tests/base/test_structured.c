/* SPDX-License-Identifier: BSD-3-Clause */
/* Structured fields by the sections of RFC 9651. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/structured.h"

#define ROWS(t) (sizeof(t) / sizeof((t)[0]))

/* What a field says, written in one way: i1 d1500 s"x" t:x b:x ?1 @1 %x, (inner), ;key=value. */
static void write_value(char *out, size_t room, const struct sf_value *v);

static void add(char *out, size_t room, const char *text, size_t len)
{
    size_t n = strlen(out);
    cr_assert_lt(n + len, room);
    memcpy(out + n, text, len);
    out[n + len] = 0;
}

static void write_params(char *out, size_t room, const struct sf_member *m)
{
    struct sf_reader r;
    struct sf_member param;
    sf_begin(&r, m->params, m->params_len);
    while (sf_param_next(&r, &param)) {
        add(out, room, ";", 1);
        add(out, room, param.key, param.key_len);
        add(out, room, "=", 1);
        write_value(out, room, &param.value);
    }
    cr_assert_not(r.bad, "checked before");
}

static void write_value(char *out, size_t room, const struct sf_value *v)
{
    static const char *const mark[] = {
        [SF_INTEGER] = "i", [SF_DECIMAL] = "d", [SF_STRING] = "s", [SF_TOKEN] = "t",
        [SF_BYTES] = "b",   [SF_BOOLEAN] = "?", [SF_DATE] = "@",   [SF_DISPLAY] = "%"};
    char text[64];
    if (v->type == SF_LIST) {
        struct sf_reader r;
        struct sf_member item;
        add(out, room, "(", 1);
        sf_begin(&r, v->p, v->len);
        while (sf_inner_next(&r, &item)) {
            write_value(out, room, &item.value);
            write_params(out, room, &item);
            add(out, room, " ", 1);
        }
        cr_assert_not(r.bad, "checked before");
        add(out, room, ")", 1);
        return;
    }
    add(out, room, mark[v->type], 1);
    if (v->p)
        add(out, room, v->p, v->len);
    else
        add(out, room, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v->number));
}

static void check(const char *kind, const char *in, const char *want)
{
    char out[512] = "";
    size_t len = strlen(in), n = 0;
    char *copy = malloc(len + 1); /* ASan sees its end */
    memcpy(copy, in, len);
    copy = realloc(copy, len ? len : 1);
    struct sf_reader r;
    struct sf_member m;
    sf_begin(&r, copy, len);
    bool (*next)(struct sf_reader *, struct sf_member *) = *kind == 'd'   ? sf_dictionary_next
                                                           : *kind == 'l' ? sf_list_next
                                                                          : sf_item;
    while (next(&r, &m)) {
        if (n++)
            add(out, sizeof(out), ", ", 2);
        if (m.key_len) {
            add(out, sizeof(out), m.key, m.key_len);
            add(out, sizeof(out), "=", 1);
        }
        write_value(out, sizeof(out), &m.value);
        write_params(out, sizeof(out), &m);
        if (*kind == 'i')
            break;
    }
    if (want == NULL)
        cr_assert(r.bad, "%s \"%s\" should fail, gave %s", kind, in, out);
    else {
        cr_assert_not(r.bad, "%s \"%s\" failed", kind, in);
        cr_assert_str_eq(out, want, "%s \"%s\": %s", kind, in, out);
    }
    free(copy);
}

Test(structured, bare_items)
{
    const struct {
        const char *in, *want; /* NULL: fails */
    } table[] = {
        /* 4.2.4 integers and decimals */
        {"0", "i0"},
        {"-0", "i0"},
        {"007", "i7"},
        {"-42", "i-42"},
        {"999999999999999", "i999999999999999"},
        {"-999999999999999", "i-999999999999999"},
        {"1000000000000000", NULL},
        {"1.5", "d1500"},
        {"-0.125", "d-125"},
        {"123456789012.123", "d123456789012123"},
        {"1234567890123.1", NULL},
        {"1.1234", NULL},
        {"1.", NULL},
        {".5", NULL},
        {"--1", NULL},
        {"-", NULL},
        {"- 1", NULL},
        {"+1", NULL},
        {"1e5", NULL},
        {"1 2", NULL},
        /* 4.2.5 strings */
        {"\"\"", "s"},
        {"\"a b,c\"", "sa b,c"},
        {"\"a\\\"b\\\\\"", "sa\\\"b\\\\"},
        {"\"a\\n\"", NULL},
        {"\"a", NULL},
        {"\"a\\", NULL},
        {"\"\x7f\"", NULL},
        {"\"\xc3\xa9\"", NULL},
        {"\"\t\"", NULL},
        {"'a'", NULL},
        /* 4.2.6 tokens */
        {"a", "ta"},
        {"*", "t*"},
        {"*a:b/c!#", "t*a:b/c!#"},
        {"A-Z", "tA-Z"},
        {"a(b", NULL},
        {"!a", NULL},
        /* 4.2.7 byte sequences */
        {"::", "b"},
        {":aGVsbG8=:", "baGVsbG8="},
        {":aGVsbG8:", "baGVsbG8"},
        {":aGVsbA==:", "baGVsbA=="},
        {":aG=VsbA=:", NULL},
        {":a:", NULL},
        {":aGVsbG8=", NULL},
        {":aGV sbG8=:", NULL},
        {":_-:", NULL},
        {":a===:", NULL},
        /* 4.2.8 booleans */
        {"?1", "?1"},
        {"?0", "?0"},
        {"?2", NULL},
        {"?", NULL},
        {"?T", NULL},
        {"?10", NULL},
        /* 4.2.9 dates */
        {"@1659578233", "@1659578233"},
        {"@-1", "@-1"},
        {"@1.0", NULL},
        {"@", NULL},
        /* 4.2.10 display strings */
        {"%\"f%c3%bc\"", "%f%c3%bc"},
        {"%\"\"", "%"},
        {"%\"%F0%9f\"", NULL}, /* upper case */
        {"%\"%c3\"", NULL},
        {"%\"%c3%28\"", NULL},
        {"%\"%ed%a0%80\"", NULL}, /* a surrogate */
        {"%\"%c0%80\"", NULL},
        {"%\"%f4%90%80%80\"", NULL},
        {"%\"%f4%8f%bf%bf\"", "%%f4%8f%bf%bf"},
        {"%\"%2\"", NULL},
        {"%a", NULL},
        /* 4.2: spaces around, nothing else */
        {"  1  ", "i1"},
        {"\t1", NULL},
        {"1\t", NULL},
        {"1,", NULL},
        {"", NULL},
        {" ", NULL},
    };
    for (size_t i = 0; i < ROWS(table); i++)
        check("item", table[i].in, table[i].want);
}

Test(structured, parameters_4_2_3_2)
{
    check("item", "a;b", "ta;b=?1");
    check("item", "a;b=1;  c=\"x\";b=2", "ta;b=i1;c=sx;b=i2");
    check("item", "a;b=?0;*k=tok", "ta;b=?0;*k=ttok");
    check("item", "a ;b", NULL);
    check("item", "a; b", "ta;b=?1");
    check("item", "a;B=1", NULL);
    check("item", "a;", NULL);
    check("item", "a;b=", NULL);
    check("item", "a;b= 1", NULL);
    check("item", "a;b=(1 2)", NULL);
}

Test(structured, lists_4_2_1)
{
    check("list", "", "");
    check("list", "  ", "");
    check("list", "1, 42", "i1, i42");
    check("list", "1 ,\t42\t", "i1, i42");
    check("list", "1,42;a , x", "i1, i42;a=?1, tx");
    check("list", "1,,42", NULL);
    check("list", "1,", NULL);
    check("list", ",1", NULL);
    check("list", "1 42", NULL);
    /* 4.2.1.2 */
    check("list", "(1 \"a\";q=2  b );p, ()", "(i1 sa;q=i2 tb );p=?1, ()");
    check("list", "( )", "()");
    check("list", "(1", NULL);
    check("list", "(", NULL);
    check("list", "(1,2)", NULL);
    check("list", "(a\tb)", NULL);
    check("list", "(\"a\"\"b\")", NULL);
    check("list", "((a))", NULL);
}

Test(structured, dictionaries_4_2_2)
{
    check("dictionary", "", "");
    check("dictionary", "a=1,b;x=2 , c=(1 2);y, d=?0", "a=i1, b=?1;x=i2, c=(i1 i2 );y=?1, d=?0");
    check("dictionary", "a=1, a=2, b", "a=i1, a=i2, b=?1"); /* the reader takes the last */
    check("dictionary", "*a_-.*9=x", "*a_-.*9=tx");
    check("dictionary", "A=1", NULL);
    check("dictionary", "1a=1", NULL);
    check("dictionary", "a=", NULL);
    check("dictionary", "a =1", NULL);
    check("dictionary", "a= 1", NULL);
    check("dictionary", "a=1,", NULL);
    check("dictionary", "a=1,,b=2", NULL);
    check("dictionary", "a=1 b=2", NULL);
    check("dictionary", "=1", NULL);
    check("dictionary", "a=1;b, ;c", NULL);
    check("dictionary", "max-age=60, &&&", NULL);
}

Test(structured, zeros_and_high_bytes_are_no_part_of_anything)
{
    static const char *const bad[] = {"a=\0",     "a\0=1", "\0",    "a=x\0y",
                                      "a=\"\0\"", "a;\0",  "\xff=1"};
    static const size_t len[] = {3, 4, 1, 5, 5, 3, 3};
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct sf_reader r;
        struct sf_member m;
        sf_begin(&r, bad[i], len[i]);
        while (sf_dictionary_next(&r, &m))
            ;
        cr_assert(r.bad, "row %zu", i);
    }
}

Test(structured, strings_are_copied_without_escapes)
{
    struct sf_reader r;
    struct sf_member m;
    char out[8];
    sf_begin(&r, "\"a\\\"b\\\\\"", 8);
    cr_assert(sf_item(&r, &m));
    cr_assert_eq(sf_string_copy(&m.value, out, sizeof(out)), 4);
    cr_assert_eq(memcmp(out, "a\"b\\", 4), 0);
    cr_assert_eq(sf_string_copy(&m.value, out, 3), SIZE_MAX);
    sf_begin(&r, "tok", 3);
    cr_assert(sf_item(&r, &m));
    cr_assert_eq(sf_string_copy(&m.value, out, sizeof(out)), SIZE_MAX);
    cr_assert(!sf_key_is(&m, "tok"));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte ranges asked for, and told. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"

static struct http_text text(const char *s)
{
    return (struct http_text){s, (uint32_t)strlen(s)};
}

Test(range, asked)
{
    static const struct {
        const char *value;
        uint64_t length;
        enum http_range want;
        uint64_t first, last;
    } t[] = {
        {"bytes=0-4", 10, HTTP_RANGE_OK, 0, 4},
        {"Bytes=5-", 10, HTTP_RANGE_OK, 5, 9},
        {"bytes=5-99", 10, HTTP_RANGE_OK, 5, 9},
        {"bytes=9-9", 10, HTTP_RANGE_OK, 9, 9},
        {"bytes=-3", 10, HTTP_RANGE_OK, 7, 9},
        {"bytes=-30", 10, HTTP_RANGE_OK, 0, 9},
        {"bytes=0-99999999999999999999999", 10, HTTP_RANGE_OK, 0, 9},
        {"bytes=10-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=99999999999999999999999-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-1", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=4-2", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=-", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=a-b", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes 0-4", 10, HTTP_RANGE_NONE, 0, 0},
        {"lines=0-4", 10, HTTP_RANGE_NONE, 0, 0},
        {"", 10, HTTP_RANGE_NONE, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct http_span s[HTTP_RANGES];
        unsigned n;
        cr_expect_eq(http_ranges(text(t[i].value), t[i].length, s, &n), t[i].want, "%s",
                     t[i].value);
        cr_expect_eq(n, t[i].want == HTTP_RANGE_OK);
        if (n)
            cr_expect(s[0].first == t[i].first && s[0].last == t[i].last, "%s", t[i].value);
    }
}

/* As "first-last first-last", or what it is instead. */
static const char *asked(const char *value, uint64_t length)
{
    static char out[512];
    struct http_span s[HTTP_RANGES];
    unsigned n;
    enum http_range is = http_ranges(text(value), length, s, &n);
    cr_expect_eq(n > 0, is == HTTP_RANGE_OK);
    if (is != HTTP_RANGE_OK)
        return is == HTTP_RANGE_NONE ? "none" : "unsatisfiable";
    size_t at = 0;
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%d-%d", i ? " " : "", (int)s[i].first,
                               (int)s[i].last);
    return out;
}

Test(range, several_asked)
{
    static const struct {
        const char *value, *want;
    } t[] = {
        {"bytes=0-9", "0-9"},
        {"bytes=0-9,200-209", "0-9 200-209"},
        {"bytes=200-209, 0-9", "200-209 0-9"}, /* in their order */
        {"bytes= 0-9 ,, \t,200-209 ,", "0-9 200-209"},
        {"BYTES=0-0,-1", "0-0 999-999"},
        {"bytes=0-9,5-14", "0-14"},
        {"bytes=0-9,10-19", "0-19"},
        {"bytes=0-9,89-99", "0-99"}, /* 79 between them */
        {"bytes=0-9,90-99", "0-9 90-99"},
        {"bytes=90-99,0-9", "90-99 0-9"},
        {"bytes=89-99,0-9", "0-99"},
        {"bytes=500-509,0-9,300-309,20-290", "500-509 0-309"}, /* the last joins two */
        {"bytes=0-9,500-509,0-999", "0-999"},
        {"bytes=0-,0-,0-,0-", "0-999"},
        {"bytes=5000-,0-9", "0-9"},
        {"bytes=5000-,6000-7000", "unsatisfiable"},
        {"bytes=5000-,-0", "unsatisfiable"},
        {"bytes=0-9,9-5", "none"}, /* one bad, all bad */
        {"bytes=0-9,x", "none"},
        {"bytes=0-9,5000-,1 -2", "none"},
        {"bytes=", "none"},
        {"bytes=,", "none"},
        {"bytes", "none"},
        {"lines=0-9,200-209", "none"},
        {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15",
         "0-15"},
        {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16",
         "none"},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        cr_expect_str_eq(asked(t[i].value, 1000), t[i].want, "%s", t[i].value);
    cr_expect_str_eq(asked("bytes=0-9,20-", 0), "unsatisfiable");
}

/* None is lost, none is in two, whatever the order. */
Test(range, several_at_random)
{
    srand(20261129);
    for (unsigned round = 0; round < 20000; round++) {
        char value[256] = "bytes=";
        bool wanted[1000] = {false}, sent[1000] = {false};
        unsigned specs = 1 + (unsigned)rand() % HTTP_RANGES, n;
        for (unsigned i = 0; i < specs; i++) {
            int first = rand() % 1000, last = first + rand() % (rand() % 200 + 1);
            snprintf(value + strlen(value), sizeof(value) - strlen(value), "%s%d-%d", i ? "," : "",
                     first, last);
            for (int b = first; b <= last && b < 1000; b++)
                wanted[b] = true;
        }
        struct http_span s[HTTP_RANGES];
        cr_assert_eq(http_ranges(text(value), 1000, s, &n), HTTP_RANGE_OK);
        for (unsigned i = 0; i < n; i++)
            for (uint64_t b = s[i].first; b <= s[i].last; b++) {
                cr_assert_not(sent[b], "%s", value);
                sent[b] = true;
            }
        for (unsigned b = 0, run = 0; b < 1000; b++) {
            cr_assert(sent[b] || !wanted[b], "%s", value);
            run = sent[b] && !wanted[b] ? run + 1 : 0;
            cr_assert_lt(run, HTTP_RANGE_GAP, "%s", value);
        }
    }
}

Test(range, told)
{
    uint64_t first, last;
    int64_t length;
    cr_assert(http_content_range(text("bytes 5-9/100"), &first, &last, &length));
    cr_expect(first == 5 && last == 9 && length == 100);
    cr_assert(http_content_range(text("bytes 5-9/*"), &first, &last, &length));
    cr_expect_eq(length, -1);
    const char *bad[] = {"bytes */100",
                         "bytes 9-5/100",
                         "bytes 5-9/9",
                         "bytes 5-9",
                         "5-9/100",
                         "bytes 5-9/",
                         "bytes -9/100",
                         "",
                         "bytes 5-99999999999999999999/*",
                         NULL};
    for (unsigned i = 0; bad[i]; i++)
        cr_expect_not(http_content_range(text(bad[i]), &first, &last, &length), "%s", bad[i]);
}

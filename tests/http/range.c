/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte ranges asked for, and told. */
#include <criterion/criterion.h>
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
        {"bytes=0-1,4-5", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=-", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=a-b", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes 0-4", 10, HTTP_RANGE_NONE, 0, 0},
        {"lines=0-4", 10, HTTP_RANGE_NONE, 0, 0},
        {"", 10, HTTP_RANGE_NONE, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint64_t first = 0, last = 0;
        cr_expect_eq(http_range(text(t[i].value), t[i].length, &first, &last), t[i].want, "%s",
                     t[i].value);
        if (t[i].want == HTTP_RANGE_OK)
            cr_expect(first == t[i].first && last == t[i].last, "%s", t[i].value);
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

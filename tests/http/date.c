/* SPDX-License-Identifier: BSD-3-Clause */
/* Dates in three forms, there and back. */
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "dataplane/http/http.h"

static int64_t parse(const char *s)
{
    return http_date_parse((struct http_text){s, (uint32_t)strlen(s)});
}

Test(date, three_forms)
{
    cr_expect_eq(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    cr_expect_eq(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    cr_expect_eq(parse("Sun Nov  6 08:49:37 1994"), 784111777);
    cr_expect_eq(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    cr_expect_eq(parse("Mon, 01 Jan 0001 00:00:00 GMT"), 0, "long ago is 0");
    cr_expect_eq(parse("SUN, 06 nov 1994 08:49:37 gmt"), 784111777, "in any case");
    cr_expect_eq(parse("Friday, 01-Jan-38 00:00:00 GMT"), 2145916800);
}

Test(date, none_of_them)
{
    const char *bad[] = {"",
                         "0",
                         "-1",
                         "Sun, 06 Nov 1994 08:49:37",
                         "Sun, 06 Nov 1994 08:49:37 CET",
                         "Sun, 31 Feb 1994 24:49:37 GMT",
                         "Xxx, 06 Nov 1994 08:49:37 GMT",
                         "Sun, 06 Nov 1994 08:60:37 GMT",
                         "Sun, 32 Nov 1994 08:49:37 GMT",
                         "Sun, 00 Nov 1994 08:49:37 GMT",
                         "Sun, 06 Nov 94 08:49:37 GMT",
                         "Sun, 06 Nov 1994 08:49:37 GMT ",
                         "now",
                         NULL};
    for (unsigned i = 0; bad[i]; i++)
        cr_expect_eq(parse(bad[i]), -1, "%s", bad[i]);
}

Test(date, there_and_back)
{
    struct rng r;
    rng_init_u64(&r, 1);
    for (unsigned i = 0; i < 20000; i++) {
        int64_t t = (int64_t)(rng_u64(&r) % 253402300800ull);
        char out[30], want[40];
        time_t tt = (time_t)t;
        struct tm tm;
        http_date_write(t, out);
        gmtime_r(&tt, &tm);
        strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        cr_assert_str_eq(out, want);
        cr_assert_eq(parse(out), t);
    }
    char out[30];
    http_date_write(-5, out);
    cr_expect_str_eq(out, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date_write(INT64_MAX, out);
    cr_expect_str_eq(out, "Fri, 31 Dec 9999 23:59:59 GMT");
}

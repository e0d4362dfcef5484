/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run writes down. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/sim/report.h"

static char *const command[] = {"coral-sim", "--nodes", "1000"};

static const char *text_of(const char *path)
{
    static char text[1024];
    FILE *f = fopen(path, "r");
    cr_assert(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    unlink(path);
    return text;
}

static void temporary(char *path)
{
    strcpy(path, "/tmp/sim-report-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
}

Test(summary, knows_mean_ends_and_percentiles)
{
    static struct summary a, b;
    for (uint64_t i = 1; i <= 500; i++)
        summary_add(&a, i);
    for (uint64_t i = 501; i <= 1000; i++)
        summary_add(&b, i);
    summary_merge(&a, &b);
    json_t *j = summary_json(&a);
    cr_assert_eq(json_integer_value(json_object_get(j, "n")), 1000);
    cr_assert_float_eq(json_real_value(json_object_get(j, "mean")), 500.5, 1e-9);
    cr_assert_eq(json_integer_value(json_object_get(j, "min")), 1);
    cr_assert_eq(json_integer_value(json_object_get(j, "max")), 1000);
    json_int_t p50 = json_integer_value(json_object_get(j, "p50"));
    cr_assert(p50 >= 490 && p50 <= 520, "%lld", (long long)p50);
    cr_assert_eq(summary_quantile(&a, 1), 1000);
    json_decref(j);
}

Test(summary, of_nothing_says_so)
{
    static struct summary none;
    json_t *j = summary_json(&none);
    cr_assert_eq(json_object_size(j), 1);
    cr_assert_eq(json_integer_value(json_object_get(j, "n")), 0);
    json_decref(j);
}

Test(hash, sees_order_and_each_field_but_no_pointer)
{
    struct event a = {.time_us = 1, .source = 2, .counter = 3, .target = 4, .kind = 5, .detail = 6};
    struct event b = a;
    b.target = 7;
    uint64_t ab = report_hash_event(report_hash_event(0, &a), &b);
    cr_assert_neq(ab, report_hash_event(report_hash_event(0, &b), &a));
    uint64_t one = report_hash_event(0, &a);
    b = a;
    b.payload = 99;
    cr_assert_eq(one, report_hash_event(0, &b));
    struct event other[] = {a, a, a, a, a, a};
    other[0].time_us++, other[1].source++, other[2].counter++;
    other[3].target++, other[4].kind++, other[5].detail++;
    for (unsigned i = 0; i < 6; i++)
        cr_assert_neq(one, report_hash_event(0, &other[i]), "field %u", i);
}

Test(report, names_command_and_seed_and_can_be_read_back)
{
    char path[32];
    temporary(path);
    json_t *report = report_create(3, command, UINT64_MAX);
    json_object_set_new(report, "events", report_hex(0x1234));
    cr_assert(report_write(report, path));
    json_t *back = json_loads(text_of(path), 0, NULL);
    cr_assert(back && json_equal(report, back));
    cr_assert_str_eq(json_string_value(json_object_get(back, "seed")), "0xffffffffffffffff");
    cr_assert_eq(json_array_size(json_object_get(back, "command")), 3);
    json_decref(back);
    json_decref(report);
    cr_assert_not(report_write(NULL, "/nowhere/at/all"));
}

Test(report, rows_are_for_gnuplot)
{
    char path[32];
    temporary(path);
    json_t *report = report_create(3, command, 7);
    struct tsv t;
    cr_assert(tsv_open(&t, path, report, "time_s\thops"));
    tsv_row(&t, (double[]){60, 6.5}, 2);
    tsv_row(&t, (double[]){120, 1e7}, 2);
    cr_assert(tsv_close(&t));
    cr_assert_str_eq(text_of(path),
                     "# [\"coral-sim\",\"--nodes\",\"1000\"] seed 0x0000000000000007\n"
                     "# time_s\thops\n60\t6.5\n120\t10000000\n");
    json_decref(report);
}

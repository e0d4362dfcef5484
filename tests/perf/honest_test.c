/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "perf/honest.h"

static bool agrees(double cpu_s, double empty_s, double ops_s)
{
    const struct account a = {cpu_s, empty_s, ops_s};
    return account_agrees(&a);
}

Test(honest, accounts_within_a_tenth_agree)
{
    cr_assert(agrees(2, 0, 2));
    cr_assert(agrees(2, 0, 1.81) && agrees(2, 0, 2.19));
    cr_assert_not(agrees(2, 0, 1.79));
    cr_assert_not(agrees(2, 0, 2.21));
    cr_assert_not(agrees(3, 3, 0.5), "no time but empty polls, and yet operations");
    cr_assert_not(agrees(3, 1, 0), "time, and no operation");
}

/* A worker that has next to nothing to do: its empty polls are not timed to the last bit. */
Test(honest, empty_polls_are_known_to_a_fiftieth)
{
    cr_assert(agrees(3, 2.95, 0.005));
    cr_assert_not(agrees(3, 2.9, 0.005));
}

Test(honest, without_the_kernels_account_there_is_no_verdict)
{
    cr_assert(agrees(-1, 0, 2));
}

Test(honest, errors_are_told_by_class)
{
    struct perf_errors e = {0};
    char text[64], little[8];
    errors_text(&e, text, sizeof(text));
    cr_assert_str_eq(text, "none");
    e.n[PERF_ERROR_status] = 3;
    e.n[PERF_ERROR_reset] = 1;
    errors_text(&e, text, sizeof(text));
    cr_assert_str_eq(text, "3 status, 1 reset");
    cr_assert_eq(errors_total(&e), 4);
    errors_text(&e, little, sizeof(little));
    cr_assert_str_eq(little, "3 statu");
    json_t *j = errors_json(&e);
    cr_assert_eq(json_object_size(j), PERF_ERROR_CLASSES);
    cr_assert_eq(json_integer_value(json_object_get(j, "status")), 3);
    json_decref(j);
}

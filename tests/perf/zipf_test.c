/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "perf/zipf.h"

#define RANKS 100
#define DRAWS 1000000

/* Each rank's share is what the law says, within six standard deviations. */
static void follows(double s)
{
    static unsigned seen[RANKS];
    struct zipf z = zipf_make(RANKS, s, 20261123);
    double sum = 0;
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < RANKS; i++)
        sum += pow(i + 1, -s);
    for (unsigned i = 0; i < DRAWS; i++) {
        uint32_t rank = zipf_next(&z);
        cr_assert_lt(rank, RANKS);
        seen[rank]++;
    }
    for (unsigned i = 0; i < RANKS; i++) {
        double want = DRAWS * pow(i + 1, -s) / sum;
        cr_assert_lt(fabs(seen[i] - want), 6 * sqrt(want), "s %.2f, rank %u: %u of %.0f", s, i,
                     seen[i], want);
    }
}

Test(zipf, ranks_have_their_shares)
{
    follows(0);
    follows(0.6);
    follows(0.99);
    follows(1);
    follows(1.2);
    follows(2);
}

Test(zipf, of_one_and_of_ten_million)
{
    struct zipf one = zipf_make(1, 0.99, 1), many = zipf_make(10000000, 0.99, 1);
    unsigned first = 0;
    for (unsigned i = 0; i < 100000; i++) {
        cr_assert_eq(zipf_next(&one), 0);
        uint32_t rank = zipf_next(&many);
        cr_assert_lt(rank, 10000000);
        first += rank == 0;
    }
    /* 1 of the generalised harmonic number, 18.07 */
    cr_assert(first > 5100 && first < 6000, "%u", first);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/rng.h"
#include "dht/size.h"

static struct now at_s(uint64_t s)
{
    return (struct now){.mono_us = s * 1000000};
}

/* x_k for a cluster of n whose ids are just where they should be */
static uint64_t ideal(unsigned k, unsigned n)
{
    return (uint64_t)((double)k / n * 0x1p64);
}

static double estimate(const struct size *s, struct now now)
{
    return exp2(size_log2_256(s, now) / 256.0);
}

Test(size, without_samples_we_are_alone)
{
    struct size s = {0};
    cr_assert_eq(size_log2_256(&s, at_s(5)), 0);
    size_add(&s, 12345, 0, at_s(5));
    cr_assert_eq(size_log2_256(&s, at_s(5)), 0, "k = 0 is no sample");
}

Test(size, a_sample_is_good_for_half_an_hour_and_eight_are_kept)
{
    struct size s = {0};
    size_add(&s, ideal(17, 1000), 17, at_s(100));
    /* (17 - 1) / (17 / 1000) = 941 */
    cr_assert_float_eq(estimate(&s, at_s(100)), 941, 3);
    cr_assert_float_eq(estimate(&s, at_s(1900)), 941, 3);
    cr_assert_eq(size_log2_256(&s, at_s(1901)), 0);

    for (unsigned i = 0; i < 8; i++)
        size_add(&s, ideal(16, 4000), 16, at_s(200));
    /* (128 - 1) / (128 / 4000), without the first */
    cr_assert_float_eq(estimate(&s, at_s(200)), 3969, 12);
}

Test(size, extremes_have_an_answer)
{
    struct size s = {0};
    for (unsigned i = 0; i < 8; i++)
        size_add(&s, 0, 255, at_s(1));
    cr_assert_geq(size_log2_256(&s, at_s(1)), 64 * 256, "all at one point");
    for (unsigned i = 0; i < 8; i++)
        size_add(&s, UINT64_MAX, 2, at_s(1));
    cr_assert_leq(size_log2_256(&s, at_s(1)), 256, "two of the whole space");
    for (unsigned i = 0; i < 8; i++)
        size_add(&s, UINT64_MAX, 1, at_s(1));
    cr_assert_eq(size_log2_256(&s, at_s(1)), 0, "never fewer than one");
}

static uint64_t kth(uint64_t *ids, unsigned n, uint64_t key, unsigned k)
{
    uint64_t best[16];
    unsigned have = 0;
    for (unsigned i = 0; i < n; i++) {
        uint64_t d = ids[i] ^ key;
        if (have == k && d >= best[k - 1])
            continue;
        unsigned at = have < k ? have++ : k - 1;
        for (; at > 0 && best[at - 1] > d; at--)
            best[at] = best[at - 1];
        best[at] = d;
    }
    return best[k - 1];
}

/* Many clusters of n random ids, k-th nearest of m random keys each: on average the estimate is n,
 * and it spreads as 1/sqrt(km - 2), less where km is most of the cluster. */
static void bias_and_spread(unsigned n, unsigned k, unsigned m, unsigned rounds)
{
    struct rng rng;
    rng_init_u64(&rng, n);
    uint64_t *ids = calloc(n, sizeof(*ids));
    double sum = 0, squares = 0;
    for (unsigned r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < n; i++)
            ids[i] = rng_u64(&rng);
        struct size s = {0};
        for (unsigned i = 0; i < m; i++)
            size_add(&s, kth(ids, n, rng_u64(&rng), k), (uint8_t)k, at_s(9));
        double e = estimate(&s, at_s(9)) / n;
        sum += e;
        squares += e * e;
    }
    free(ids);
    double mean = sum / rounds, sd = sqrt(squares / rounds - mean * mean) / mean;
    double expected = 1 / sqrt(k * m - 2.0);
    cr_log_info("n %u k %u m %u: mean %.3f, sd %.3f, expected %.3f\n", n, k, m, mean, sd, expected);
    cr_expect_float_eq(mean, 1, 4 * expected / sqrt(rounds) + 0.02, "n %u: mean %.3f", n, mean);
    cr_expect_float_eq(sd, expected, expected / 4, "n %u: sd %.3f not %.3f", n, sd, expected);
}

Test(size, fifty_members)
{
    bias_and_spread(50, 8, 4, 2000);
}

Test(size, a_thousand_members)
{
    bias_and_spread(1000, 16, 8, 1000);
}

Test(size, a_hundred_thousand_members)
{
    bias_and_spread(100000, 16, 8, 150);
}

Test(size, a_cluster_whose_members_were_counted_is_as_large_as_they_are_many)
{
    cr_assert_eq(size_of_members(1), 0);
    cr_assert_eq(size_of_members(2), 256);
    cr_assert_eq(size_of_members(17), 1046); /* 4.087 */
    cr_assert_eq(size_of_members(32), 5 * 256);
}

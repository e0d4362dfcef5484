/* SPDX-License-Identifier: BSD-3-Clause */
/* Each policy on sequences short enough to be followed by hand. */
#include <criterion/criterion.h>

#include "hand.h"
#include "perf/trace/generate.h"
#include "perf/trace/sketch.h"

static void comes_to(const struct policy *policy, uint64_t capacity, const char *text,
                     const char *expected)
{
    char out[256];
    hand_run(policy, text, capacity, out, sizeof(out));
    cr_assert_str_eq(out, expected, "%s: %s", policy->name, text);
}

Test(policy, fifo_forgets_the_oldest_however_used)
{
    comes_to(&policy_fifo, 2, "abaacab", "..hh...");
}

Test(policy, lru_keeps_what_was_used)
{
    comes_to(&policy_lru, 2, "abacab", "..h.h.");
    comes_to(&policy_lru, 4, "a1b3a1c2b3a1", "..h...");
}

Test(policy, sieve_keeps_the_marked_in_their_places)
{
    /* a is marked; c puts out b, the hand waits at c; d then puts out c */
    comes_to(&policy_sieve, 2, "abacadab", "..h.h.h.");
    /* the hand goes on from where it was: both marked, all marks go, the oldest is out */
    comes_to(&policy_sieve, 2, "ababcab", "..hh...");
}

Test(policy, s3fifo_takes_to_main_what_was_used_twice)
{
    /* small holds a tenth, so a scan passes through it; a, used twice, is in main */
    comes_to(&policy_s3fifo, 10, "aaa bcdefghijklmnop a", ".hh...............h");
}

Test(policy, s3fifo_remembers_ghosts)
{
    /* j puts out a, used once only; a comes again from the ghosts, into main, and outlives a scan
     */
    comes_to(&policy_s3fifo, 4, "abcde a fghi a", "..........h");
}

Test(policy, s3fifo_by_size_keeps_what_is_small)
{
    /* b, of a byte where the mean is 3.4, is in main without a use; so is a, used once of two
     * bytes. Without the rule both are gone. */
    comes_to(&policy_s3fifo, 20, "b1 a1 c5 d5 e5 a1 f5 g5 h5 i5 ab", ".....h......");
    comes_to(&policy_s3fifo_size, 20, "b1 a1 c5 d5 e5 a1 f5 g5 h5 i5 ab", ".....h....hh");
}

Test(policy, tinylfu_admits_by_frequency)
{
    /* window of 1, so b is compared when c comes: a was asked for more often and stays */
    comes_to(&policy_tinylfu, 2, "aaaabcba", ".hhh...h");
}

Test(policy, gdsf_gives_up_the_large_first)
{
    comes_to(&policy_gdsf, 8, "a6b2c3b2a6", "...h.");
    /* frequency makes up for size */
    comes_to(&policy_gdsf, 6, "a4a4a4a4a4 b2c2 a4b2", ".hhhh..h.");
}

Test(policy, belady_knows_what_comes)
{
    comes_to(&policy_belady, 2, "abcabc", "...hh.");
    /* what never comes again passes by */
    comes_to(&policy_belady, 1, "axayaza", "..h.h.h");
}

Test(policy, what_is_larger_than_the_cache_changes_nothing)
{
    for (unsigned i = 0; policies[i]; i++)
        if (policies[i] != &policy_coral)
            comes_to(policies[i], 5, "a1b1x9a1x9b1", "...h.h");
}

static struct trace small(enum generate_sizes sizes, const char *kind)
{
    struct generate_options o;
    struct trace t;
    generate_defaults(kind, &o);
    o.requests = 30000;
    o.objects = 2000;
    o.sizes = sizes;
    trace_open(&t, o.requests);
    cr_assert(generate(&o, &t) && trace_finish(&t));
    return t;
}

Test(policy, nothing_beats_the_bounds)
{
    for (unsigned k = 0; generate_kinds[k]; k++) {
        for (int sizes = SIZES_UNIT; sizes <= SIZES_TAIL; sizes++) {
            struct trace t = small((enum generate_sizes)sizes, generate_kinds[k]);
            uint64_t capacity = t.footprint_bytes / 20;
            struct counts requests, bytes, best, n;
            cr_assert(simulate(&policy_bound_requests, &t, capacity, 0, &requests));
            cr_assert(simulate(&policy_bound_bytes, &t, capacity, 0, &bytes));
            cr_assert(simulate(&policy_belady, &t, capacity, 0, &best));
            for (unsigned i = 0; policies[i]; i++) {
                if (!simulate(policies[i], &t, capacity, 0, &n))
                    continue;
                cr_assert_geq(n.misses, requests.misses, "%s, %s", policies[i]->name,
                              generate_kinds[k]);
                if (policies[i] != &policy_bound_requests)
                    cr_assert_geq(n.missed_bytes, bytes.missed_bytes, "%s, %s", policies[i]->name,
                                  generate_kinds[k]);
                if (sizes == SIZES_UNIT && policies[i]->request != policy_bound_bytes.request)
                    cr_assert_geq(n.misses, best.misses, "MIN is exact; %s, %s", policies[i]->name,
                                  generate_kinds[k]);
            }
            trace_close(&t);
        }
    }
}

Test(policy, a_cache_of_everything_misses_each_object_once)
{
    struct trace t = small(SIZES_CDN, "zipf");
    for (unsigned i = 0; policies[i]; i++) {
        struct counts n;
        /* room for what the policies set aside: W-TinyLFU's window, S3-FIFO's small queue */
        cr_assert(simulate(policies[i], &t, t.footprint_bytes * 2, 0, &n));
        cr_assert_eq(n.misses, t.objects, "%s", policies[i]->name);
        cr_assert_eq(n.missed_bytes, t.footprint_bytes, "%s", policies[i]->name);
        cr_assert(simulate(policies[i], &t, t.footprint_bytes * 2, t.requests / 2, &n));
        cr_assert_lt(n.misses, t.objects, "%s: the warm part does not count", policies[i]->name);
        cr_assert_eq(n.requests, t.requests - t.requests / 2);
    }
    trace_close(&t);
}

Test(sketch, counts_and_ages)
{
    struct sketch s;
    cr_assert(sketch_open(&s, 100));
    for (unsigned i = 0; i < 40; i++)
        sketch_count(&s, 7);
    cr_assert_eq(sketch_estimate(&s, 7), SKETCH_MAX);
    for (uint32_t i = 1000; i < 2000; i++)
        sketch_count(&s, i);
    cr_assert_leq(sketch_estimate(&s, 7), SKETCH_MAX / 2, "halved after ten times its entries");
    sketch_close(&s);
}

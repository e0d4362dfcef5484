/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/rng.h"
#include "dht/coordinate.h"

#define NODES 50

/* Nodes on a plane 160 ms wide, each behind an access line of 0.5 to 8 ms, paths bent by 10 %. */
struct world {
    uint32_t rtt_us[NODES][NODES];
    struct coordinate at[NODES];
    struct rng rng;
};

static double uniform(struct rng *rng, double lo, double hi)
{
    return lo + (hi - lo) * rng_u32(rng) / 4294967296.0;
}

static void build(struct world *w, uint64_t seed)
{
    double x[NODES], y[NODES], line[NODES];
    rng_init_u64(&w->rng, seed);
    for (unsigned i = 0; i < NODES; i++) {
        x[i] = uniform(&w->rng, 0, 160000);
        y[i] = uniform(&w->rng, 0, 80000);
        line[i] = uniform(&w->rng, 500, 8000);
        w->at[i] = coordinate_start();
    }
    for (unsigned i = 0; i < NODES; i++)
        for (unsigned j = 0; j < i; j++) {
            double path = hypot(x[i] - x[j], y[i] - y[j]) * uniform(&w->rng, 0.9, 1.1);
            w->rtt_us[i][j] = w->rtt_us[j][i] = (uint32_t)(path + line[i] + line[j]);
        }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Over all pairs of the first n. */
static double median_error(const struct world *w, unsigned n)
{
    double error[NODES * NODES];
    unsigned pairs = 0;
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++) {
            double real = w->rtt_us[i][j];
            error[pairs++] = fabs(coordinate_estimate_us(&w->at[i], &w->at[j]) - real) / real;
        }
    qsort(error, pairs, sizeof(error[0]), ascending);
    return error[pairs / 2];
}

/* Each node measures a random other. `lie`: what the last one claims to be, or NULL. */
static unsigned live(struct world *w, unsigned rounds, void (*lie)(struct world *, unsigned))
{
    unsigned refused = 0;
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned i = 0; i < NODES; i++) {
            unsigned j = rng_below(&w->rng, NODES);
            if (j == i)
                continue;
            if (lie)
                lie(w, r);
            uint32_t rtt = (uint32_t)(w->rtt_us[i][j] * uniform(&w->rng, 1, 1.06)); /* queues */
            refused += coordinate_update(&w->at[i], &w->at[j], rtt, rng_u64(&w->rng)) ==
                       COORDINATE_REFUSED;
        }
    return refused;
}

Test(coordinate, fifty_nodes_find_their_places)
{
    struct world w;
    build(&w, 1);
    cr_assert_gt(median_error(&w, NODES), 0.9, "nobody knows anything");
    live(&w, 200, NULL);
    double error = median_error(&w, NODES);
    cr_log_info("median relative error %.3f\n", error);
    cr_assert_lt(error, 0.20);
    live(&w, 20000, NULL);
    cr_assert_lt(median_error(&w, NODES), 0.20, "and they keep them");
    for (unsigned i = 0; i < NODES; i++)
        cr_assert(coordinate_valid(&w.at[i]));
}

static void claim_out_of_bounds(struct world *w, unsigned round)
{
    struct coordinate *c = &w->at[NODES - 1];
    *c = coordinate_start();
    if (round % 3 == 0)
        c->x_us[1] = 3e6f;
    else if (round % 3 == 1)
        c->height_us = INFINITY;
    else
        c->error = -1;
}

Test(coordinate, what_is_out_of_bounds_is_refused)
{
    struct world w;
    build(&w, 2);
    cr_assert_gt(live(&w, 200, claim_out_of_bounds), 100);
    cr_assert_lt(median_error(&w, NODES - 1), 0.20);
}

static void claim_wildly(struct world *w, unsigned round)
{
    w->at[NODES - 1] =
        (struct coordinate){.x_us = {round % 2 ? 1.9e6f : -1.9e6f}, .height_us = 1000, .error = 0};
}

Test(coordinate, one_liar_within_bounds_does_bounded_harm)
{
    struct world w;
    build(&w, 3);
    cr_assert_eq(live(&w, 400, claim_wildly), 0);
    double error = median_error(&w, NODES - 1);
    cr_log_info("median relative error beside a liar %.3f\n", error);
    cr_assert_lt(error, 0.25);

    struct coordinate before = w.at[0];
    uint32_t rtt = w.rtt_us[0][NODES - 1];
    coordinate_update(&w.at[0], &w.at[NODES - 1], rtt, 1);
    float moved = 0;
    for (unsigned i = 0; i < COORDINATE_DIMENSIONS; i++)
        moved += powf(before.x_us[i] - w.at[0].x_us[i], 2);
    cr_assert_leq(sqrtf(moved), 0.26f * (float)rtt, "by a quarter of what was measured at most");
    cr_assert_leq(w.at[0].error, before.error + 0.25f * 1.5f);
}

Test(coordinate, nan_starts_anew)
{
    struct coordinate self = coordinate_start(), other = coordinate_start();
    self.x_us[2] = NAN;
    cr_assert_eq(coordinate_update(&self, &other, 1000, 1), COORDINATE_RESET);
    struct coordinate fresh = coordinate_start();
    cr_assert_arr_eq(&self, &fresh, sizeof(self));
    other.x_us[0] = NAN;
    cr_assert_eq(coordinate_update(&self, &other, 1000, 1), COORDINATE_REFUSED);
    other = coordinate_start();
    cr_assert_eq(coordinate_update(&self, &other, 10000001, 1), COORDINATE_REFUSED);
    cr_assert_arr_eq(&self, &fresh, sizeof(self));
}

Test(coordinate, two_at_one_point_part)
{
    struct coordinate a = coordinate_start(), b = coordinate_start();
    for (uint64_t i = 0; i < 200; i++) {
        cr_assert_eq(coordinate_update(&a, &b, 40000, 0x123456789abcdef * i), COORDINATE_MOVED);
        cr_assert_eq(coordinate_update(&b, &a, 40000, ~(0x123456789abcdef * i)), COORDINATE_MOVED);
    }
    cr_assert_float_eq((double)coordinate_estimate_us(&a, &b), 40000, 1000);
    for (unsigned i = 0; i < 200; i++)
        coordinate_update(&a, &b, 0, 1);
    cr_assert(coordinate_valid(&a), "no round trip at all is one of a microsecond");
}

Test(coordinate, on_the_wire_it_is_six_big_endian_floats)
{
    struct coordinate c = {{1, -2, 0.5f, 123456.75f}, 10, 0.25f}, back;
    uint8_t wire[COORDINATE_BYTES];
    coordinate_pack(&c, wire);
    const uint8_t one_and_minus_two[8] = {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0};
    cr_assert_arr_eq(wire, one_and_minus_two, 8);
    cr_assert(coordinate_unpack(wire, &back));
    cr_assert_arr_eq(&back, &c, sizeof(c));

    const struct {
        float value;
        bool valid;
    } claim[] = {{NAN, false},     {INFINITY, false}, {-INFINITY, false}, {2.1e6f, false},
                 {-2.1e6f, false}, {1e38f, false},    {1.9e6f, true},     {-1.9e6f, true}};
    for (unsigned i = 0; i < sizeof(claim) / sizeof(claim[0]); i++) {
        c.x_us[0] = claim[i].value;
        coordinate_pack(&c, wire);
        cr_assert_eq(coordinate_unpack(wire, &back), claim[i].valid, "%f", claim[i].value);
    }
}

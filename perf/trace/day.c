/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CoralCDN's day, by what was told of it: URLs in four tiers, each with its share of requests and
 * of bytes. Within a tier a URL's requests fall with its rank by a power that meets the next tier
 * where it begins and gives the tier its share:
 *
 *      requests
 *         |\          top 0.01 %: 38 % of requests, 52 MB
 *         | '.        to 1 %: another 42 %, up to 1.8 GB in all
 *         |   '--.    to 30 %: what is left, at least 2 each
 *         |       '-- to 100 %: one each
 *         +-----------> rank (logarithmic)
 *
 * The order of the requests is random: nothing was told of the hours. Other numbers of URLs and
 * requests keep the shares (and the bytes a URL) as long as they leave two requests each for the
 * third tier.
 */
#include <math.h>
#include <stdlib.h>

#include "perf/trace/generate.h"

#define TIERS      4
#define BYTES_TOP  52e6 /* of 596,000 URLs */
#define BYTES_ONE  1.8e9
#define URLS       596000.0
#define ONCE_SHARE 0.7
#define TOP_SHARE  0.38
#define ONE_SHARE  0.80

struct tier {
    uint32_t first, end;    /* ranks from 0 */
    double requests, bytes; /* bytes 0: as they fall */
};

/* Requests of rank r, counted from the tier's last one, which has `least`. */
static double at_rank(const struct tier *c, uint32_t r, double least, double power)
{
    return least * pow((double)c->end / (r + 1.0), power);
}

static double total(const struct tier *c, double least, double power)
{
    double sum = 0;
    for (uint32_t r = c->first; r < c->end; r++)
        sum += at_rank(c, r, least, power);
    return sum;
}

/* The power by which the tier has its requests; 0 when it has too few. */
static double power_for(const struct tier *c, double least)
{
    double low = 0, high = 8;
    for (unsigned i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        if (total(c, least, middle) < c->requests)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Whole numbers, the rounding's rest carried on, so that the sum is right within one. */
static void count_tier(const struct tier *c, double least, uint32_t *count)
{
    double power = power_for(c, least), scale = c->requests / total(c, least, power), rest = 0;
    for (uint32_t r = c->first; r < c->end; r++) {
        double exact = at_rank(c, r, least, power) * scale + rest;
        count[r] = exact < 1 ? 1 : (uint32_t)exact;
        rest = exact - count[r];
    }
}

/* Sizes of the tier, scaled to its bytes. */
static void size_tier(const struct tier *c, uint64_t seed, uint32_t *size)
{
    double sum = 0;
    for (uint32_t r = c->first; r < c->end; r++)
        sum += size[r] = generate_size(SIZES_CDN, seed, r);
    for (uint32_t r = c->first; c->bytes > 0 && r < c->end; r++) {
        double scaled = size[r] * (c->bytes / sum);
        size[r] = scaled < 1 ? 1 : (uint32_t)scaled;
    }
}

static void plan(const struct generate_options *o, uint32_t *count, uint32_t *size)
{
    double n = o->objects, m = o->requests, scale = n / URLS;
    uint32_t top = (uint32_t)(n * 1e-4 + 0.5), one = (uint32_t)(n * 1e-2 + 0.5);
    uint32_t once = (uint32_t)(n * ONCE_SHARE + 0.5), more = o->objects - once;
    top = top ? top : 1;
    one = one > top ? one : top + 1;
    struct tier tier[TIERS] = {
        {0, top, TOP_SHARE * m, BYTES_TOP * scale},
        {top, one, (ONE_SHARE - TOP_SHARE) * m, (BYTES_ONE - BYTES_TOP) * scale},
        {one, more, (1 - ONE_SHARE) * m - once, 0},
        {more, o->objects, once, 0},
    };
    double least = 1;
    for (unsigned i = TIERS; i-- > 0;) {
        count_tier(&tier[i], least, count);
        size_tier(&tier[i], o->seed, size);
        least = count[tier[i].first];
        least = i == TIERS - 1 ? 2 : least;
    }
}

bool generate_day(const struct generate_options *o, struct trace *t)
{
    struct rng rng;
    rng_init_u64(&rng, o->seed);
    uint32_t *count = calloc(o->objects, sizeof(*count));
    uint32_t *size = calloc(o->objects, sizeof(*size));
    uint32_t *order = malloc((o->requests + (size_t)o->objects) * sizeof(*order)), n = 0;
    bool ok = count && size && order && o->objects >= 100;
    if (ok)
        plan(o, count, size);
    for (uint32_t rank = 0; ok && rank < o->objects; rank++)
        for (uint32_t k = 0; k < count[rank] && n < o->requests + (size_t)o->objects; k++)
            order[n++] = rank;
    while (ok && n < o->requests) /* what rounding has left */
        order[n++] = 0;
    for (uint32_t i = n; ok && i-- > 1;) {
        uint32_t j = rng_below(&rng, i + 1), rank = order[i];
        order[i] = order[j];
        order[j] = rank;
    }
    for (uint32_t i = 0; ok && i < n && i < o->requests; i++)
        ok = trace_add(t, (uint64_t)i * GENERATE_DAY_S / n, order[i],
                       o->sizes == SIZES_UNIT ? 1 : size[order[i]]);
    free(count);
    free(size);
    free(order);
    return ok;
}

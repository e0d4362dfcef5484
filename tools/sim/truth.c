/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/truth.h"

#include <stdlib.h>

#include "dht/id.h"
#include "tools/sim/mix.h"

enum purpose { MIX_PAIR = MIX_CALLER + 48, MIX_NEAR };

struct member_of {
    uint64_t cid;
    uint32_t node;
    uint8_t size;
};

static int member_compare(const void *x, const void *y)
{
    const struct member_of *a = x, *b = y;
    if (a->cid != b->cid)
        return a->cid < b->cid ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

static uint64_t cid_of(const struct world *w, uint32_t node, unsigned level)
{
    return world_routes(w, node)->level[level].is.cid;
}

/* log2 in eighths, of a whole number */
static int log2_8(uint32_t n)
{
    int whole = 31 - __builtin_clz(n);
    uint64_t part = ((uint64_t)n << 16 >> whole) - 65536; /* linear between powers: within 0.7 */
    return 8 * whole + (int)(part * 8 >> 16);
}

static void clusters(struct truth *t, struct member_of *m, uint32_t n)
{
    double error = 0, bias = 0;
    qsort(m, n, sizeof(*m), member_compare);
    for (uint32_t from = 0, to; from < n; from = to) {
        to = from;
        while (to < n && m[to].cid == m[from].cid)
            to++;
        t->clusters++;
        t->largest = to - from > t->largest ? to - from : t->largest;
        t->singletons += to - from == 1;
        for (uint32_t i = from; i < to; i++) {
            int off = (int)m[i].size - log2_8(to - from);
            error += abs(off) / 8.0;
            bias += off / 8.0;
        }
    }
    t->size_error = n ? error / n : 0;
    t->size_bias = n ? bias / n : 0;
}

struct truth truth_of(const struct world *w, unsigned level, uint32_t pairs)
{
    struct truth t = {0};
    uint32_t n = 0, threshold = w->config.cluster[level].threshold_us;
    uint64_t seed = w->params.seed, same = 0, pure = 0, near = 0, together = 0;
    struct member_of *m = calloc(w->params.nodes, sizeof(*m));
    if (!m)
        return t;
    for (uint32_t i = 0; i < w->params.nodes; i++)
        if (w->node[i].up)
            m[n++] = (struct member_of){cid_of(w, i, level), i,
                                        world_routes(w, i)->level[level].is.size};
    clusters(&t, m, n);
    /* pairs of one cluster: a node, and one beside it in the order of clusters */
    for (uint32_t i = 0; i < pairs && n > 1; i++) {
        uint32_t at = (uint32_t)(mix(seed, i, level, MIX_PAIR) % n), from = at, to = at + 1;
        while (from > 0 && m[from - 1].cid == m[at].cid)
            from--;
        while (to < n && m[to].cid == m[at].cid)
            to++;
        uint32_t other = from + (uint32_t)(mix(seed, i, level + 8, MIX_PAIR) % (to - from));
        if (other == at)
            continue;
        same++;
        pure += planet_rtt_us(w->planet, m[at].node, m[other].node) < threshold;
    }
    /* pairs that are near: anybody, and the next one found near it */
    for (uint32_t i = 0; i < pairs && n > 1; i++) {
        const struct member_of *a = &m[mix(seed, i, level, MIX_NEAR) % n];
        for (unsigned tries = 0; tries < 200; tries++) {
            const struct member_of *b = &m[mix(seed, i, level + 8 + tries, MIX_NEAR) % n];
            if (b == a || planet_rtt_us(w->planet, a->node, b->node) >= threshold / 2)
                continue;
            near++;
            together += a->cid == b->cid;
            break;
        }
    }
    t.purity = same ? (double)pure / (double)same : 1;
    t.recall = near ? (double)together / (double)near : 1;
    free(m);
    return t;
}

json_t *truth_json(const struct truth *t)
{
    return json_pack("{s:f, s:f, s:I, s:I, s:I, s:f, s:f}", "purity", t->purity, "recall",
                     t->recall, "clusters", (json_int_t)t->clusters, "largest",
                     (json_int_t)t->largest, "singletons", (json_int_t)t->singletons,
                     "size_error_log2", t->size_error, "size_bias_log2", t->size_bias);
}

uint32_t truth_closest(const struct world *w, const struct dht_id *key, unsigned skip)
{
    struct dht_distance floor = {{0}};
    uint32_t at = UINT32_MAX;
    for (unsigned round = 0; round <= skip; round++) {
        struct dht_distance best = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}};
        for (uint32_t i = 0; i < w->params.nodes; i++) {
            struct dht_distance d = distance_between(&w->contact[i].id, key);
            if (w->node[i].up && distance_less(&d, &best) &&
                (round == 0 || distance_less(&floor, &d))) {
                best = d;
                at = i;
            }
        }
        floor = best;
    }
    return at;
}

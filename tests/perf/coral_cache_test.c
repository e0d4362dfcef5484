/* SPDX-License-Identifier: BSD-3-Clause */
/* The model of cache/ beside cache/ itself, on the same trace and the same memory. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "perf/trace/coral.h"
#include "perf/trace/generate.h"
#include "perf/trace/policy.h"
#include "tests/cache/world.h"

#define KEY_BYTES 16

static char body[CORAL_PIECE_BYTES], head[CORAL_HEAD_BYTES - KEY_BYTES];

static void fill(struct world *w, struct hash128 h, const char *key, uint32_t bytes)
{
    struct cache_meta meta = {.content_length = cache_length_code(bytes),
                              .response_s = (uint32_t)w->now.wall_s,
                              .lifetime_s = 60,
                              .status = 200};
    struct cache_object *o =
        cache_begin(w->c, h, key, KEY_BYTES, &meta, head, sizeof(head), w->now);
    if (!o)
        return;
    cache_link(w->c, o);
    for (uint32_t at = 0, stuck = 0; at < bytes && stuck < 1000;) {
        size_t piece = bytes - at < sizeof(body) ? bytes - at : sizeof(body);
        size_t n = cache_append(w->c, o, body, piece);
        at += (uint32_t)n;
        if (n < piece) { /* as much as could be evicted at once; the grace period, and again */
            stuck++;
            world_poll(w);
        }
    }
    cr_assert(cache_complete(w->c, o));
    cache_unpin(o, 0);
}

static void compare(const char *kind, size_t memory)
{
    struct generate_options o;
    struct trace t;
    struct counts model;
    struct world w;
    generate_defaults(kind, &o);
    o.requests = 60000;
    o.objects = 4000;
    trace_open(&t, o.requests);
    cr_assert(generate(&o, &t) && trace_finish(&t));
    cr_assert(simulate(&policy_coral, &t, memory, 0, &model));
    world_open(&w, memory, (uint32_t)(memory / CACHE_CHUNK_BYTES), 1);
    uint64_t misses = 0, missed = 0;
    for (uint32_t i = 0; i < t.requests; i++) {
        const struct trace_request *r = &t.request[i];
        char key[KEY_BYTES + 1];
        snprintf(key, sizeof(key), "%016lx", t.id[r->object]);
        struct hash128 h = cache_hash(w.c, key, KEY_BYTES);
        struct cache_probe p = {.key = key, .key_len = KEY_BYTES};
        cache_prepare(w.c, &p, 1);
        cache_touch(w.c, &p, 1);
        cache_act(w.c, &p, 1);
        if (!p.found) {
            misses++;
            missed += r->bytes;
            fill(&w, h, key, r->bytes);
        }
        world_poll(&w);
    }
    world_close(&w);
    cr_expect_leq(fabs((double)misses - (double)model.misses) / t.requests, 0.01,
                  "%s: cache/ misses %lu, its model %lu", kind, misses, model.misses);
    cr_expect_leq(fabs((double)missed - (double)model.missed_bytes) / (double)model.bytes, 0.01,
                  "%s: cache/ misses %lu bytes, its model %lu", kind, missed, model.missed_bytes);
    trace_close(&t);
}

Test(coral, its_model_misses_what_cache_misses, .timeout = 60)
{
    compare("cdn", 8 * MIB);
    compare("cdn", 48 * MIB);
    compare("scan", 16 * MIB);
}

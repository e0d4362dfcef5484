/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What share of the memory that bodies take is bodies, over time, when the mix of sizes changes
 * completely: a CDN's, the same at a 22nd of the size, 16 times, and a CDN's again. Objects are
 * asked for by Zipf's law, what is missing is stored, and each mix has objects of its own. Once
 * with lengths that are known when a body begins, and once with none: those fill whole chunks, and
 * give back what they did not need.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/mix.h"
#include "perf/cache.h"
#include "perf/trace/generate.h"
#include "version.h"

#define OBJECT_BYTES                                                                               \
    2048u               /* of the budget for each of --objects: enough of them for the small mix */
#define FOOTPRINT   4.0 /* of a mix, in budgets */
#define LENGTH      3.0 /* of a mix: budgets stored */
#define POINTS      30u /* of a mix */
#define MEAN_BYTES  34000.0
#define PIECE_BYTES 65536u

static const struct mix {
    const char *name;
    double scale;
} mixes[] = {{"cdn", 1}, {"small", 1 / 22.0}, {"large", 16}, {"cdn again", 1}};
#define MIXES (sizeof(mixes) / sizeof(mixes[0]))

struct point {
    double written, useful, taken, mapped, heads; /* shares, but for `written`: budgets */
    uint64_t objects;
};

struct churn {
    bool known; /* lengths */
    struct cache *cache;
    struct rte_rcu_qsbr *qsbr;
    uint8_t *memory, *body;
    size_t budget, region;
    struct now now;
    uint64_t stored, gets, hits, refused;
    struct point point[MIXES * POINTS];
};

static void poll(const struct churn *c)
{
    cache_reclaim(c->cache, 0, c->now);
    rte_rcu_qsbr_quiescent(c->qsbr, 0);
}

/* Pieces come one by one, with polls between them. */
static bool fill(const struct churn *c, struct cache_object *o, uint64_t bytes)
{
    unsigned stuck = 0;
    for (uint64_t at = 0; at < bytes && stuck < 1000;) {
        size_t n = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        size_t done = cache_append(c->cache, o, c->body, n);
        at += done;
        stuck = done ? 0 : stuck + 1;
        poll(c);
    }
    return cache_complete(c->cache, o) && cache_settle(c->cache, o);
}

static void store(struct churn *c, const struct cache_probe *p, uint64_t id, double scale)
{
    static const char head[1024];
    uint64_t bytes = (uint64_t)(generate_size(SIZES_CDN, 1, id) * scale) + 1, mixed = mix64(id);
    if (bytes > cache_object_limit(c->cache))
        bytes = cache_object_limit(c->cache);
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)c->now.wall_s,
                              .lifetime_s = 3600,
                              .content_length = cache_length_code(c->known ? (int64_t)bytes : -1)};
    struct cache_object *o = cache_begin(c->cache, p->hash, p->key, p->key_len, &meta, head,
                                         150 + mixed % (150 + (mixed >> 32) % 600), c->now);
    if (!o) {
        c->refused++;
        poll(c);
        return;
    }
    cache_link(c->cache, o);
    c->stored += bytes;
    if (!fill(c, o, bytes))
        cache_fail(c->cache, o);
    cache_unpin(o, 0);
    poll(c);
}

static void request(struct churn *c, uint64_t id, double scale)
{
    char key[96];
    int n = snprintf(key, sizeof(key), "http://www.site.example/%0*llx", 16 + (int)(id % 48),
                     (unsigned long long)id);
    struct cache_probe p = {.key = key, .key_len = (uint32_t)n};
    cache_prepare(c->cache, &p, 1);
    cache_touch(c->cache, &p, 1);
    cache_act(c->cache, &p, 1);
    c->gets++;
    c->hits += p.found != NULL;
    if (!p.found)
        store(c, &p, id, scale);
}

static struct point look(const struct churn *c)
{
    const struct cache_counters *n = cache_counters(c->cache, 0);
    double used = (double)counter_read(&n->cache_chunks_used) * CACHE_CHUNK_BYTES;
    return (struct point){
        .written = (double)c->stored / (double)c->budget,
        .useful = (double)counter_read(&n->cache_body_bytes) / (used > 0 ? used : 1),
        .taken = used / ((double)counter_read(&n->cache_chunks) * CACHE_CHUNK_BYTES),
        .mapped = (double)counter_read(&n->cache_mapped_bytes) / (double)c->budget,
        .heads = (double)counter_read(&n->cache_heap_bytes) / (double)c->budget,
        .objects = counter_read(&n->cache_objects)};
}

static void run(struct churn *c)
{
    for (unsigned m = 0; m < MIXES; m++) {
        uint32_t catalogue =
            (uint32_t)(FOOTPRINT * (double)c->budget / (MEAN_BYTES * mixes[m].scale)) + 1;
        struct zipf z = zipf_make(catalogue, 0.9, m + 1);
        for (unsigned i = 0; i < POINTS; i++) {
            double until = (m + (i + 1.0) / POINTS) * LENGTH * (double)c->budget;
            while ((double)c->stored < until)
                request(c, (uint64_t)(m + 1) << 32 | zipf_next(&z), mixes[m].scale);
            c->point[m * POINTS + i] = look(c);
        }
    }
}

static bool open_cache(struct churn *c, uint32_t objects, bool known)
{
    struct cache_config config = {.bytes = (size_t)objects * OBJECT_BYTES,
                                  .objects = objects,
                                  .workers = 1,
                                  .seed = "coral-perf cache"};
    *c = (struct churn){.known = known, .budget = config.bytes, .now = {1000000, 1700000000}};
    c->region = cache_region(&config);
    config.memory = c->memory = memory_new(c->region, 1);
    config.qsbr = c->qsbr = memory_new(rte_rcu_qsbr_get_memsize(1), 1);
    c->body = memory_new(PIECE_BYTES, 1);
    if (c->region == 0 || !c->memory || !c->qsbr || !c->body || rte_rcu_qsbr_init(c->qsbr, 1) != 0)
        return false;
    rte_rcu_qsbr_thread_register(c->qsbr, 0);
    rte_rcu_qsbr_thread_online(c->qsbr, 0);
    return (c->cache = cache_create(&config)) != NULL;
}

static json_t *churn_json(const struct churn *c)
{
    json_t *useful = json_object();
    double most = 0;
    for (unsigned i = 0; i < MIXES * POINTS; i++) {
        most = c->point[i].mapped > most ? c->point[i].mapped : most;
        if (i % POINTS == POINTS - 1)
            json_object_set_new(useful, mixes[i / POINTS].name, json_real(c->point[i].useful));
    }
    return json_pack("{s:o, s:f, s:I, s:I, s:I}", "useful", useful, "mapped_most", most, "gets",
                     (json_int_t)c->gets, "hits", (json_int_t)c->hits, "refused",
                     (json_int_t)c->refused);
}

static void report(const struct churn run[2], json_t *result)
{
#ifdef CACHE_ARENAS
    const bool arenas = true;
#else
    const bool arenas = false; /* heads are the process heap's, which maps them as they come */
#endif
    json_object_update_new(result, json_pack("{s:s, s:b, s:I}", "op", "churn", "arenas", arenas,
                                             "budget_bytes", (json_int_t)run[0].budget));
    for (unsigned k = 0; k < 2; k++)
        json_object_set_new(result, run[k].known ? "known" : "unknown", churn_json(&run[k]));
}

/* For gnuplot (cache-churn.gp). */
static void print_table(const struct churn run[2])
{
    printf("# a budget of %zu MiB; stored in budgets, the others in shares of it; revision %s\n",
           run[0].budget >> 20, CORAL_REVISION);
    printf("stored\tuseful\tunknown lengths\ttaken\tmapped\theads\tobjects\tmix\n");
    for (unsigned i = 0; i < MIXES * POINTS; i++) {
        const struct point *p = &run[0].point[i];
        printf("%.3f\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%llu\t%s\n", p->written, p->useful,
               run[1].point[i].useful, p->taken, p->mapped, p->heads,
               (unsigned long long)p->objects, mixes[i / POINTS].name);
    }
}

bool cache_churn_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct churn churn[2];
    bool ok = true;
    for (unsigned k = 0; k < 2 && ok; k++) {
        struct churn *c = &churn[k];
        ok = open_cache(c, o->objects, k == 0);
        if (ok)
            run(c);
        cache_destroy(c->cache);
        memory_free(c->memory, c->region, 1);
        memory_free(c->qsbr, rte_rcu_qsbr_get_memsize(1), 1);
        memory_free(c->body, PIECE_BYTES, 1);
    }
    if (!ok)
        snprintf(error, error_len, "no memory for a cache of %zu MiB", churn[0].budget >> 20);
    else
        report(churn, result);
    if (ok && !o->json)
        print_table(churn);
    return ok;
}

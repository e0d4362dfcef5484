/* SPDX-License-Identifier: BSD-3-Clause */
/* A run: nodes and connections get warm on objects that were there before, then new ones appear,
 * and all that counts is asked for while they do. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "perf/flash.h"
#include "version.h"

#define SETTLE_US   200000
#define FETCH_US    1000         /* between two objects that all nodes are asked for first */
#define WARM_US     1000000      /* at the rate, before it is measured */
#define LEFT_US     30000000     /* for answers after the last request */
#define CONNECTIONS 4096         /* of clients to a node: as many requests as it takes at once */
#define HOST_BYTES  (160u << 20) /* of EAL memory: the frames of clients and origin */
#define CACHE_LEAST (64u << 20)
#define CACHE_ENTRY 8192u /* the cache has room for an object by so many bytes */

struct flash_run {
    const struct perf_options *options;
    uint32_t objects; /* that there will be */
    struct flash_bodies bodies;
    struct flash_world world;
    struct flash_origin origin;
    struct flash_clients clients;
    double wall_s;
};

/* How often the origin was asked for a new object that clients of a cluster wanted. */
struct flash_asked {
    uint32_t pairs;
    double mean;
    uint16_t p99, most;
};

/* --- the run ---------------------------------------------------------------------------------- */

static void run_until(struct flash_run *r, uint64_t end_us, bool offers)
{
    struct flash_world *w = &r->world;
    while (w->now.mono_us < end_us) {
        uint64_t next = RTE_MIN(end_us, flash_origin_due_us(&r->origin));
        if (offers)
            next = RTE_MIN(next, flash_clients_due_us(&r->clients));
        flash_world_step(w, next);
        if (flash_origin_turn(&r->origin, w->now))
            flash_world_host(w);
        if (offers)
            flash_clients_turn(&r->clients);
    }
}

static void warm_up(struct flash_run *r)
{
    struct flash_world *w = &r->world;
    run_until(r, w->now.mono_us + SETTLE_US, false);
    for (uint32_t i = 0; i < r->options->objects; i++) {
        for (unsigned n = 0; n < FLASH_NODES; n++)
            flash_clients_ask(&r->clients, n, i, (double)w->now.mono_us);
        run_until(r, w->now.mono_us + FETCH_US, false);
    }
    run_until(r, w->now.mono_us + SETTLE_US, false);
    schedule_begin(&r->clients.schedule, w->now.mono_us * 1000);
    run_until(r, w->now.mono_us + WARM_US, true);
}

/* Answers to what is under way come yet, but for those that never will. */
static void wait_for_all(struct flash_run *r)
{
    struct flash_world *w = &r->world;
    uint64_t end = w->now.mono_us + LEFT_US;
    r->clients.counting = false;
    while (r->clients.waiting > 0 && w->now.mono_us < end)
        run_until(r, w->now.mono_us + 1000, false);
    r->clients.errors.n[PERF_ERROR_stalled] += r->clients.waiting;
}

static void measure(struct flash_run *r)
{
    const struct perf_options *o = r->options;
    double began = (double)r->world.now.mono_us, end = began + o->seconds * 1e6;
    r->clients.counting = true;
    for (uint32_t i = o->objects; i < r->objects; i++) {
        run_until(r, (uint64_t)(began + (i - o->objects) * 1e6 / o->born), true);
        flash_clients_born(&r->clients, i + 1);
    }
    run_until(r, (uint64_t)end, true);
    wait_for_all(r);
}

/* What the nodes say that they asked the origin for is what it was asked for. */
static void check_counts(struct flash_run *r)
{
    uint64_t asked = 0;
    for (unsigned i = 0; i < FLASH_NODES; i++) {
        struct worker_stats s;
        node_stats(r->world.node[i], 0, &s);
        asked += s.proxy->proxy_origin_requests_total;
    }
    uint64_t came = r->origin.requests + r->origin.unknown;
    r->clients.errors.n[PERF_ERROR_lost] += asked > came ? asked - came : came - asked;
    r->clients.errors.n[PERF_ERROR_status] += r->origin.unknown;
    r->clients.errors.n[PERF_ERROR_lost] += r->world.links.dropped;
}

/* --- figures ---------------------------------------------------------------------------------- */

static int by_count(const void *x, const void *y)
{
    return *(const uint16_t *)x - *(const uint16_t *)y;
}

/* Of clusters [from, to). */
static struct flash_asked asked_of(const struct flash_run *r, unsigned from, unsigned to)
{
    struct flash_asked a = {.pairs = 0};
    uint64_t sum = 0;
    uint16_t *count = calloc((size_t)r->objects * FLASH_CLUSTERS, sizeof(*count));
    for (uint32_t i = r->options->objects; count && i < r->objects; i++)
        for (unsigned c = from; c < to; c++) {
            if (!r->clients.wanted[i][c])
                continue;
            count[a.pairs++] = r->origin.asked[i][c];
            sum += r->origin.asked[i][c];
        }
    if (a.pairs > 0) {
        qsort(count, a.pairs, sizeof(*count), by_count);
        a.mean = (double)sum / a.pairs;
        a.p99 = count[(uint64_t)a.pairs * 99 / 100];
        a.most = count[a.pairs - 1];
    }
    free(count);
    return a;
}

static double ms_of(const struct hdr *h, double q)
{
    return (double)hdr_quantile(h, q) / 1e6;
}

static json_t *times_json(const struct hdr *h)
{
    return json_pack("{s:I, s:f, s:f, s:f}", "requests", (json_int_t)hdr_total(h), "p50_us",
                     1000 * ms_of(h, 0.5), "p99_us", 1000 * ms_of(h, 0.99), "max_us",
                     1000 * ms_of(h, 1));
}

static void print_row(const char *name, const struct hdr *h, const struct flash_asked *a)
{
    printf("%-22s %10llu %9.1f %9.1f %9.1f", name, (unsigned long long)hdr_total(h), ms_of(h, 0.5),
           ms_of(h, 0.99), ms_of(h, 1));
    if (a)
        printf(" %12.3f %5u %5u", a->mean, a->p99, a->most);
    printf("\n");
}

static const char *const source_names[FLASH_SERVED] = {"own cache", "a peer", "the origin"};
static const char *const source_fields[FLASH_SERVED] = {"own", "peer", "origin"};

static void report(const struct flash_run *r, json_t *result)
{
    const struct perf_options *o = r->options;
    const struct flash_clients *c = &r->clients;
    struct flash_asked all = asked_of(r, 0, FLASH_CLUSTERS);
    json_t *clusters = json_array(), *served = json_object();

    if (!o->json)
        printf("%-22s %10s %9s %9s %9s %12s %5s %5s\n", "", "requests", "p50 ms", "p99 ms",
               "max ms", "origin, mean", "p99", "most");
    for (unsigned i = 0; i < FLASH_CLUSTERS; i++) {
        char name[32];
        struct flash_asked a = asked_of(r, i, i + 1);
        snprintf(name, sizeof(name), "cluster %u", i);
        json_t *j = times_json(&c->by_cluster[i]);
        json_object_update_new(j, json_pack("{s:f, s:i, s:i}", "origin_mean", a.mean, "origin_p99",
                                            a.p99, "origin_most", a.most));
        json_array_append_new(clusters, j);
        if (!o->json)
            print_row(name, &c->by_cluster[i], &a);
    }
    if (!o->json)
        print_row("all", &c->all, &all);
    for (unsigned i = 0; i < FLASH_SERVED; i++) {
        char name[32];
        snprintf(name, sizeof(name), "  from %s", source_names[i]);
        json_object_set_new(served, source_fields[i], times_json(&c->by_source[i]));
        if (!o->json)
            print_row(name, &c->by_source[i], NULL);
    }
    if (!o->json)
        printf("origin: requests for each of %u new objects, by cluster; %.0f requests/s, %s, "
               "Zipf %.2f, seed %u,\n%.1f s of virtual time, all in %.1f s of the clock, "
               "revision %s\n",
               r->objects - o->objects, o->rate, o->poisson ? "Poisson" : "evenly", o->zipf,
               o->seed + o->round, o->seconds, r->wall_s, CORAL_REVISION);
    json_object_update_new(result, times_json(&c->all));
    json_object_update_new(result,
                           json_pack("{s:f, s:i, s:i, s:o, s:o, s:I, s:f, s:f, s:f}", "origin_mean",
                                     all.mean, "origin_p99", all.p99, "origin_most", all.most,
                                     "clusters", clusters, "served", served, "verified",
                                     (json_int_t)c->verified, "seconds", o->seconds, "ops_per_s",
                                     (double)c->verified / o->seconds, "wall_s", r->wall_s));
    json_object_update_new(result, json_pack("{s:f, s:b, s:i, s:i, s:i, s:f, s:I}", "rate", o->rate,
                                             "poisson", o->poisson, "objects", o->objects, "new",
                                             o->born, "size", o->size, "zipf", o->zipf, "seed",
                                             (json_int_t)o->seed + o->round));
    json_object_update_new(result,
                           json_pack("{s:I, s:o}", "errors", (json_int_t)errors_total(&c->errors),
                                     "errors_by_class", errors_json(&c->errors)));
}

/* --- its life --------------------------------------------------------------------------------- */

static bool open_all(struct flash_run *r, char *error, size_t error_len)
{
    const struct perf_options *o = r->options;
    uint64_t seed = (uint64_t)o->seed + o->round;
    size_t cache = RTE_MAX((size_t)CACHE_LEAST, 2 * (size_t)r->objects * (o->size + CACHE_ENTRY));
    struct rng rng;

    rng_init_u64(&rng, seed);
    r->bodies.size = o->size;
    rng_bytes(&rng, r->bodies.bytes, sizeof(r->bodies.bytes));
    if (!flash_world_open(&r->world, seed, cache, CONNECTIONS, error, error_len))
        return false;
    if (flash_origin_open(&r->origin, r->world.host.tcp, &r->bodies, r->objects,
                          FLASH_NODES * CONNECTIONS) &&
        flash_clients_open(&r->clients, &r->world, &r->bodies, o, r->objects,
                           FLASH_NODES * CONNECTIONS))
        return true;
    snprintf(error, error_len, "not enough memory for the clients");
    return false;
}

bool flash_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct flash_run r;
    struct eal_config eal = {.memory_bytes = port_eal_memory(FLASH_NODES, 1) + HOST_BYTES,
                             .no_hugepages = o->no_huge};
    double began = measure_clock();

    r.options = o;
    r.objects = o->objects + (uint32_t)(o->seconds * o->born);
    snprintf(eal.name, sizeof(eal.name), "coral-perf-%d", (int)getpid());
    if (port_eal_start(&eal, error, error_len) < 0)
        return false;
    bool good = open_all(&r, error, error_len);
    if (good) {
        warm_up(&r);
        measure(&r);
        check_counts(&r);
        r.wall_s = measure_clock() - began;
        report(&r, result);
    }
    flash_world_close(&r.world);
    flash_origin_close(&r.origin);
    flash_clients_close(&r.clients);
    port_eal_stop();
    if (good && errors_total(&r.clients.errors) > 0) {
        char text[256];
        errors_text(&r.clients.errors, text, sizeof(text));
        snprintf(error, error_len, "errors: %s", text);
        good = false;
    }
    return good;
}

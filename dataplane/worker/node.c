/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node's life. Made in this order: ports, memory and cache, workers with their engines; undone
 * in reverse. Threads are sleep.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/worker/worker.h"

#define PAGE_BYTES (2u << 20)

static void *map(size_t bytes, int flags)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* A CDN's objects are 34 KB on average, and most half of that: one of 8 KiB is what objects, index
 * and heads have room for. */
#define OBJECT_BYTES 8192u

static struct cache_config cache_config_of(const struct node *n)
{
    return (struct cache_config){
        .bytes = n->config.cache_bytes,
        .objects = (uint32_t)RTE_MIN(n->config.cache_bytes / OBJECT_BYTES, (size_t)UINT32_MAX / 8),
        .workers = n->workers,
        .qsbr = n->qsbr,
        .memory = n->memory,
    };
}

/*
 * The cache's region, 2 MiB aligned: hugepages where enough are free (the kernel reserves them
 * here, so a later touch cannot fail), else ordinary memory that it is asked to back by large
 * pages. Nothing is touched.
 */
static bool make_memory(struct node *n)
{
    struct cache_config c = cache_config_of(n);
    size_t bytes = (cache_region(&c) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);

    n->memory_bytes = bytes;
    int lock = port_hugepages_lock();
    if (port_hugepages_free() >= bytes)
        n->memory = map(bytes, MAP_HUGETLB);
    port_hugepages_unlock(lock);
    if (n->memory)
        return true;
    uint8_t *p = map(bytes + PAGE_BYTES, MAP_NORESERVE);
    if (!p)
        return false;
    uint8_t *aligned = (uint8_t *)(((uintptr_t)p + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
    if (aligned > p)
        munmap(p, (size_t)(aligned - p));
    if (aligned < p + PAGE_BYTES)
        munmap(aligned + bytes, (size_t)(p + PAGE_BYTES - aligned));
    madvise(aligned, bytes, MADV_HUGEPAGE); /* a wish: no matter when it is not granted */
    n->memory = aligned;
    return true;
}

static bool make_qsbr(struct node *n)
{
    size_t bytes = rte_rcu_qsbr_get_memsize(n->workers);
    bytes = (bytes + RTE_CACHE_LINE_SIZE - 1) & ~(size_t)(RTE_CACHE_LINE_SIZE - 1);
    n->qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, bytes);
    if (!n->qsbr || rte_rcu_qsbr_init(n->qsbr, n->workers) != 0)
        return false;
    for (unsigned i = 0; i < n->workers; i++)
        rte_rcu_qsbr_thread_register(n->qsbr, i);
    return true;
}

static bool make_cache(struct node *n, struct rng *seeds)
{
    struct cache_config c = cache_config_of(n);
    rng_bytes(seeds, c.seed, sizeof(c.seed));
    n->cache = cache_create(&c);
    return n->cache != NULL;
}

static bool make_shared(struct node *n, struct rng *seeds, char *error, size_t error_len)
{
    struct cache_config wanted = cache_config_of(n);
    if (cache_region(&wanted) == 0) {
        snprintf(error, error_len, "cache.memory: %zu MiB is too little for %u workers",
                 n->config.cache_bytes >> 20, n->workers);
        return false;
    }
    if (!make_memory(n)) {
        snprintf(error, error_len, "cache.memory: %zu MiB cannot be had; make it smaller",
                 n->config.cache_bytes >> 20);
        return false;
    }
    rng_bytes(seeds, n->steering.bytes, sizeof(n->steering.bytes));
    rng_bytes(seeds, n->store_seed, sizeof(n->store_seed));
    n->events = ring_new(sizeof(struct node_event), WORKER_EVENTS);
    if (!n->events || !make_qsbr(n) || !make_cache(n, seeds) || !sleeper_init(&n->event)) {
        snprintf(error, error_len, "not enough memory");
        return false;
    }
    sleeper_arm(&n->event);
    return true;
}

/* Connections follow a port's RSS where each worker can be reached by it. */
static void make_steering(struct node *n)
{
    for (unsigned i = 0; i < n->config.ports; i++) {
        const struct port_rss *r = &n->port[i]->rss;
        uint8_t worker[PORT_RETA];

        for (unsigned k = 0; k < r->reta_size; k++)
            worker[k] = (uint8_t)(r->queue[k] % n->workers);
        if (r->known && n->workers > 1)
            n->steer[i] = steer_create(r->key, r->key_len, worker, r->reta_size, n->workers);
    }
}

static bool make_workers(struct node *n, const struct view *view, struct rng *seeds, struct now now,
                         char *error, size_t error_len)
{
    for (unsigned i = 0; i < n->workers; i++) {
        size_t bytes =
            (sizeof(struct worker) + RTE_CACHE_LINE_SIZE - 1) & ~(size_t)(RTE_CACHE_LINE_SIZE - 1);
        struct worker *w = aligned_alloc(RTE_CACHE_LINE_SIZE, bytes);
        if (!w) {
            snprintf(error, error_len, "not enough memory for worker %u", i);
            return false;
        }
        memset(w, 0, bytes);
        w->node = n;
        w->id = i;
        w->sleeper.fd = -1;
        n->worker[i] = w;
        if (!parts_create(w, view, seeds, now, error, error_len))
            return false;
    }
    return true;
}

/* GETs are served where they come in, from any worker's store. */
static void share_stores(struct node *n)
{
    for (unsigned shard = 0; shard < DHT_SHARDS; shard++)
        n->store_of[shard] = n->worker[worker_of_shard(n, shard)]->store;
    for (unsigned i = 0; i < n->workers; i++)
        dht_store_share(n->worker[i]->store, n->store_of);
}

static bool check(const struct node_config *c, char *error, size_t error_len)
{
    if (c->workers == 0 || c->workers > NODE_WORKERS)
        snprintf(error, error_len, "node.workers: %u is not possible; 1 to %d are", c->workers,
                 NODE_WORKERS);
    else if (c->ports == 0 || c->ports > NODE_PORTS)
        snprintf(error, error_len, "ports: %u are not possible; 1 to %d are", c->ports, NODE_PORTS);
    else if (c->connections == 0)
        snprintf(error, error_len, "node.connections: 0 would serve nobody");
    else
        return true;
    return false;
}

struct node *node_create(const struct node_config *config, const struct view *view, struct now now,
                         char *error, size_t error_len)
{
    struct rng seeds;

    if (!check(config, error, error_len))
        return NULL;
    struct node *n = calloc(1, sizeof(*n));
    if (!n) {
        snprintf(error, error_len, "not enough memory");
        return NULL;
    }
    n->config = *config;
    n->workers = config->workers;
    n->view = view;
    n->event.fd = -1;
    rng_init(&seeds, config->seed);
    for (unsigned i = 0; i < config->ports; i++) {
        n->port[i] = port_open(&config->port[i], config->workers, error, error_len);
        if (!n->port[i]) {
            node_destroy(n);
            return NULL;
        }
    }
    make_steering(n);
    if (make_shared(n, &seeds, error, error_len) &&
        make_workers(n, view, &seeds, now, error, error_len)) {
        share_stores(n);
        return n;
    }
    node_destroy(n);
    return NULL;
}

/* Frames first, since they may carry references: those come back into the workers' rings, and the
 * holds are released while the engines that they belong to still stand. */
static void drop_frames(struct node *n)
{
    for (unsigned i = 0; i < n->workers; i++)
        if (n->worker[i])
            tx_drop_all(n->worker[i]);
    for (unsigned i = 0; i < n->config.ports; i++) {
        port_close(n->port[i]);
        n->port[i] = NULL;
    }
    for (unsigned i = 0; i < n->workers; i++)
        if (n->worker[i] && n->worker[i]->returns)
            reference_returned(n->worker[i]);
}

void node_destroy(struct node *n)
{
    if (!n)
        return;
    drop_frames(n);
    for (unsigned i = 0; i < n->workers; i++)
        if (n->worker[i])
            parts_destroy(n->worker[i]);
    if (n->cache)
        cache_destroy(n->cache);
    for (unsigned i = 0; i < n->workers; i++)
        free(n->worker[i]);
    if (n->memory)
        munmap(n->memory, n->memory_bytes);
    for (unsigned i = 0; i < n->config.ports; i++)
        steer_destroy(n->steer[i]);
    free(n->qsbr);
    ring_free(n->events);
    sleeper_close(&n->event);
    free(n);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* One node of two workers, a large file at its origin, and what a client should get of it. */
#ifndef CORAL_TESTS_PROXY_SLICES_H
#define CORAL_TESTS_PROXY_SLICES_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SLICES_SEED 20261129u
#define MIB         (1u << 20)
#define LARGE       (5 * MIB + 123)
#define MANY        16

static struct world w;
static struct client many[MANY];

static inline void open_world(void)
{
    world_open(&w, 1, 2, SLICES_SEED);
}
static inline void close_world(void)
{
    world_close(&w);
}

static inline struct origin_file *page(struct origin_file f)
{
    if (!f.path)
        f.path = "/a";
    if (!f.fields)
        f.fields = "Cache-Control: max-age=60\r\n";
    if (!f.salt)
        f.salt = 9;
    if (!f.length)
        f.length = LARGE;
    return origin_add(&w.origin[0], f);
}

static inline struct origin_file *large(void)
{
    return page((struct origin_file){.etag = "\"1\""});
}

static inline void ask(struct client *c, unsigned node, unsigned worker, const char *fields)
{
    client_get(&w, c, node, worker, "www.site.test", "/a", fields);
}

static inline unsigned get(struct client *c, const char *fields)
{
    ask(c, 0, 0, fields);
    client_wait(c, 60000);
    return c->whole ? c->head.status : 0;
}

static inline const char *range_of(uint64_t first, uint64_t last)
{
    static char fields[64];
    snprintf(fields, sizeof(fields), "Range: bytes=%llu-%llu\r\n", (unsigned long long)first,
             (unsigned long long)last);
    return fields;
}

/* That range of a file of that length, as it should be, from a worker of a node. */
static inline void expect_at(unsigned node, unsigned worker, uint64_t salt, uint64_t first,
                             uint64_t last, uint64_t length)
{
    struct client c;
    char range[64];
    ask(&c, node, worker, range_of(first, last));
    client_wait(&c, 60000);
    cr_assert(c.whole && c.head.status == 206, "%u", c.head.status);
    cr_assert(client_body_is(&c, salt, first, last - first + 1));
    snprintf(range, sizeof(range), "bytes %llu-%llu/%llu", (unsigned long long)first,
             (unsigned long long)last, (unsigned long long)length);
    cr_assert_str_eq(client_field(&c, "Content-Range"), range);
    client_free(&c);
}

static inline void expect(uint64_t first, uint64_t last)
{
    expect_at(0, 0, 9, first, last, LARGE);
    expect_at(0, 1, 9, first, last, LARGE);
}

static inline void expect_whole(const char *fields, uint64_t salt, uint64_t length)
{
    struct client c;
    cr_assert_eq(get(&c, fields), 200);
    cr_assert(client_body_is(&c, salt, 0, length));
    cr_assert_str_eq(client_field(&c, "Content-Range"), "");
    client_free(&c);
}

static inline uint64_t cached(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 2; i++)
        n += counter_read(&cache_counters(w.node[0].cache, i)->cache_objects);
    return n;
}

static inline void nothing_is_left(void)
{
    for (unsigned i = 0; i < 20 && WORLD_COUNT(&w, 0, proxy_fills); i++)
        world_run(&w, 100);
    world_run(&w, 100);
    uint64_t held = 0;
    for (int i = 0; i < 2; i++)
        held += counter_read(&cache_counters(w.node[0].cache, (unsigned)i)->cache_held_objects) -
                counter_read(&cache_counters(w.node[0].cache, (unsigned)i)->cache_objects);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
    cr_assert_eq(held, 0);
}

#endif

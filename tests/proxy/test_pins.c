/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins: one for a hot object, none that keeps an object for long, and readers that take nothing do
 * not keep what the cache has given up. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"
#include "world.h"

#define SEED    20261130u
#define READERS 1000
#define FILES   14
#define LARGE   (2u << 20)
#define HOST    "www.site.test"
#define MIB     (1u << 20)

static struct world w;
static struct client reader[READERS];
static char path[FILES][8];

static void open_world(void)
{
    world_open(&w, 1, 2, SEED);
}
static void open_one(void)
{
    world_open(&w, 1, 1, SEED);
}
static void open_few(void)
{
    world_open_sized(&w, 1, 1, SEED, 0, 1, 4);
}
static void open_many(void)
{
    world_open_sized(&w, 1, 2, SEED, 0, 600, 64);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(pins, .init = open_world, .fini = close_world);
TestSuite(one, .init = open_one, .fini = close_world);
TestSuite(few, .init = open_few, .fini = close_world);
TestSuite(many, .init = open_many, .fini = close_world);

static struct origin_file *page(const char *at, uint64_t length, const char *etag)
{
    return origin_add(&w.origin[0],
                      (struct origin_file){.path = at,
                                           .length = length,
                                           .salt = 3,
                                           .etag = etag,
                                           .fields = "Cache-Control: max-age=60\r\n"});
}

static void fetch(const char *at)
{
    struct client c;
    cr_assert_eq(world_get(&w, &c, 0, HOST, at, NULL), 200);
    client_free(&c);
}

static void purge(const char *at)
{
    char url[64];
    int len = snprintf(url, sizeof(url), "http://" HOST "%s", at);
    bool found = false;
    for (unsigned i = 0; i < w.node[0].workers; i++)
        found |= proxy_purge(w.node[0].worker[i].proxy, url, (size_t)len, false, w.now);
    cr_assert(found);
}

static uint64_t cache_sum(size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w.node[0].workers; i++)
        sum += counter_read(
            (const uint64_t *)((const char *)cache_counters(w.node[0].cache, i) + offset));
    return sum;
}
#define CACHE(name) cache_sum(offsetof(struct cache_counters, name))

/* --- pins that stay for a moment ------------------------------------------------------------- */

Test(pins, a_hot_object_is_pinned_once_for_all_responses)
{
    enum { HITS = 300 };
    struct client c[2];
    page("/a", 3000, NULL);
    fetch("/a");
    world_run(&w, 50);
    uint64_t before = WORLD_COUNT(&w, 0, proxy_pins_total);
    for (unsigned i = 0; i < 2; i++)
        client_get(&w, &c[i], 0, i, HOST, "/a", NULL);
    for (unsigned i = 0; i < HITS; i++) {
        for (unsigned k = 0; k < 2; k++) {
            cr_assert(client_wait(&c[k], 5));
            cr_assert(client_body_is(&c[k], 3, 0, 3000));
            client_more(&c[k], "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
        }
    }
    cr_assert_geq(WORLD_COUNT(&w, 0, proxy_hits_total), 2 * HITS);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_pins_total) - before, 2, "one a worker");
    world_run(&w, 50); /* it has cooled down */
    client_more(&c[0], "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    cr_assert(client_wait(&c[0], 5));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_pins_total) - before, 3);
    client_free(&c[0]);
    client_free(&c[1]);
}

Test(pins, memory_is_back_soon_after_the_last_use)
{
    page("/a", 3000, NULL);
    fetch("/a");
    fetch("/a");
    purge("/a");
    world_run(&w, 20);
    cr_assert_eq(CACHE(cache_chunks_used), 0);
    cr_assert_eq(CACHE(cache_held_objects), 0);
}

/* Two grips are all there are: those that nobody uses make room. */
Test(few, pins_that_stay_do_not_keep_others_out)
{
    struct client c;
    char request[1024];
    size_t len = 0;
    for (unsigned i = 0; i < 10; i++) {
        snprintf(path[i], sizeof(path[i]), "/%u", i);
        page(path[i], 600, NULL);
        fetch(path[i]);
    }
    for (unsigned i = 0; i < 10; i++)
        len += (size_t)snprintf(request + len, sizeof(request) - len,
                                "GET /%u HTTP/1.1\r\nHost: " HOST "\r\n\r\n", i);
    client_send(&w, &c, 0, 0, request);
    world_run(&w, 30);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_hits_total), 10);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_busy_total), 0);
    client_free(&c);
}

/* --- readers that take nothing --------------------------------------------------------------- */

static void wake(struct client *c)
{
    c->paused = false;
    if (c->pipe)
        stream_resume(&c->pipe->a.s);
}

/* Runs, and lets `c` take what is there now and then, as one does on a slow line. */
static void run_slowly(struct client *c, unsigned ms)
{
    for (unsigned i = 0; i < ms && !c->closed; i += 200) {
        wake(c);
        world_step(&w);
        c->paused = true;
        world_run(&w, 199);
    }
}

static void slow_get(struct client *c, const char *at)
{
    client_get(&w, c, 0, 0, HOST, at, NULL);
    c->paused = true;
    world_run(&w, 20);
}

static uint64_t budget(void)
{
    return w.cache_bytes / 20;
}

/* What keeps more than the budget of one worker's share, in objects of its own. */
static void fill_budget(unsigned readers)
{
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(path[i], sizeof(path[i]), "/%u", i);
        page(path[i], MIB / 2, "\"1\"");
        fetch(path[i]);
    }
    for (unsigned i = 0; i < readers; i++) {
        client_get(&w, &reader[i], 0, i % 2, HOST, path[i % FILES], NULL);
        reader[i].paused = true;
    }
    world_run(&w, 20);
    for (unsigned i = 0; i < FILES; i++)
        purge(path[i]);
}

Test(many, a_thousand_clients_that_never_read_keep_nothing_and_who_reads_gets_all)
{
    struct client slow;
    page("/large", LARGE, "\"1\"");
    struct origin_file *large = &w.origin[0].file[w.origin[0].files - 1];
    fetch("/large");
    slow_get(&slow, "/large");
    purge("/large"); /* the first to go, and so the first to be asked for */
    world_run(&w, 20);
    fill_budget(READERS);
    world_run(&w, 100);
    cr_assert_gt(CACHE(cache_draining_bytes), 2 * budget());
    run_slowly(&slow, 4500);
    cr_assert_leq(CACHE(cache_draining_bytes), budget());
    cr_assert_leq(CACHE(cache_chunks_used) * CACHE_CHUNK_BYTES, budget() + MIB);
    cr_assert_gt(WORLD_COUNT(&w, 0, proxy_let_go_cut_total), READERS / 2);
    /* more than an object's: what it had not read, and no whole body again */
    run_slowly(&slow, 20000);
    cr_assert(client_parse(&slow));
    cr_assert(client_body_is(&slow, 3, 0, LARGE));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_let_go_resumed_total), 1);
    cr_assert_eq(large->ranged, 1);
    cr_assert_eq(large->requests, 2);
    client_free(&slow);
    for (unsigned i = 0; i < READERS; i++) {
        wake(&reader[i]);
        world_step(&w);
        cr_assert(!client_parse(&reader[i]) || client_body_is(&reader[i], 3, 0, MIB / 2));
        client_free(&reader[i]);
    }
    world_run(&w, 50);
    cr_assert_eq(CACHE(cache_draining_bytes), 0);
}

/* The memory of what was to go may be another object's by the time that a worker hears of it. */
Test(one, what_the_index_has_is_never_let_go)
{
    struct client slow;
    page("/large", LARGE, "\"1\"");
    fetch("/large");
    slow_get(&slow, "/large");
    struct cache_probe probe = {.key = "http://" HOST "/large"};
    probe.key_len = (uint32_t)strlen(probe.key);
    cache_prepare(w.node[0].cache, &probe, 1);
    cache_touch(w.node[0].cache, &probe, 1);
    cache_act(w.node[0].cache, &probe, 1);
    cr_assert(probe.found);
    struct message m = {.type = PROXY_LET_GO};
    struct proxy_note n = {.object = probe.found};
    memcpy(m.body, &n, sizeof(n));
    proxy_message(w.node[0].worker[0].proxy, &m, w.now);
    world_run(&w, 3000);
    wake(&slow);
    cr_assert(client_wait(&slow, 1000));
    cr_assert(client_body_is(&slow, 3, 0, LARGE));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_let_go_resumed_total), 0);
    client_free(&slow);
}

/* The rest can't be had: the client sees that it has not got all. */
Test(pins, without_a_validator_a_response_is_cut_visibly)
{
    struct client slow;
    page("/large", LARGE, NULL);
    fetch("/large");
    slow_get(&slow, "/large");
    purge("/large");
    run_slowly(&slow, 20000);
    cr_assert(slow.closed);
    cr_assert_eq(slow.why, STREAM_RESET);
    cr_assert(!client_parse(&slow));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_let_go_cut_total), 1);
    client_free(&slow);
}

/* Several ranges are not one rest: likewise. */
Test(pins, a_response_of_several_ranges_is_cut_visibly)
{
    struct client slow;
    page("/large", LARGE, "\"1\"");
    fetch("/large");
    client_get(&w, &slow, 0, 0, HOST, "/large", "Range: bytes=0-999999,2000000-3999999\r\n");
    slow.paused = true;
    world_run(&w, 20);
    purge("/large");
    run_slowly(&slow, 20000);
    cr_assert_eq(slow.why, STREAM_RESET);
    cr_assert(!client_parse(&slow));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_let_go_resumed_total), 0);
    client_free(&slow);
}

/* The origin has another version by now: likewise. */
Test(pins, a_rest_of_another_version_is_not_taken_for_it)
{
    struct client slow;
    struct origin_file *f = page("/large", LARGE, "\"1\"");
    fetch("/large");
    slow_get(&slow, "/large");
    purge("/large");
    f->etag = "\"2\"";
    f->any_range = true;
    f->salt = 4;
    run_slowly(&slow, 20000);
    cr_assert_eq(slow.why, STREAM_RESET);
    cr_assert(!client_parse(&slow));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_let_go_resumed_total), 1);
    client_free(&slow);
}

/* Small responses that are queued whole are copied, and nobody is cut. */
Test(one, what_is_queued_whole_is_copied)
{
    enum { SMALL = 100 };
    page("/small", 90000, NULL);
    fetch("/small");
    for (unsigned i = 0; i < SMALL; i++) {
        client_get(&w, &reader[i], 0, 0, HOST, "/small", NULL);
        reader[i].paused = true;
    }
    world_run(&w, 20);
    purge("/small");
    struct client slow; /* and something that overdraws the budget */
    page("/large", LARGE, "\"1\"");
    fetch("/large");
    slow_get(&slow, "/large");
    purge("/large");
    world_run(&w, 3000);
    cr_assert_geq(WORLD_COUNT(&w, 0, proxy_let_go_copied_total), SMALL);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_let_go_cut_total), 1); /* `slow`, which took nothing */
    for (unsigned i = 0; i < SMALL; i++) {
        wake(&reader[i]);
        cr_assert(client_wait(&reader[i], 50));
        cr_assert(client_body_is(&reader[i], 3, 0, 90000));
        client_free(&reader[i]);
    }
    client_free(&slow);
}

/* Of a slice the rest of the response is fetched, not of the slice alone. */
Test(pins, a_slow_reader_of_a_slice_that_was_let_go_gets_all_that_he_wanted)
{
    struct client slow;
    struct origin_file *f = page("/slices", 6 * MIB, "\"1\"");
    uint64_t token;
    const struct cache_purge all = {.kind = CACHE_PURGE_ALL};
    client_get(&w, &slow, 0, 0, HOST, "/slices", "Range: bytes=1048576-4194303\r\n");
    cr_assert(client_wait(&slow, 2000));
    client_free(&slow);
    client_get(&w, &slow, 0, 0, HOST, "/slices", "Range: bytes=1048586-4194303\r\n");
    slow.paused = true;
    world_run(&w, 20);
    cr_assert_eq(cache_purge(w.node[0].cache, &all, &token), CACHE_PURGE_TAKEN);
    unsigned before = f->requests;
    run_slowly(&slow, 20000);
    slow.paused = false;
    cr_assert(client_parse(&slow) && client_body_is(&slow, 3, 1048586, 3 * MIB - 10));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_let_go_resumed_total), 1);
    cr_assert_eq(f->requests, before + 1);
    client_free(&slow);
}

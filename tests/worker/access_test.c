/* SPDX-License-Identifier: BSD-3-Clause */
/* Access records through a worker's ring: whole, in order, dropped and counted when it is full. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "dataplane/worker/worker.h"

#define RECORDS 200000u

static struct worker *w;
static struct node *n;

static void open_ring(void)
{
    w = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*w));
    n = calloc(1, sizeof(*n));
    cr_assert(w && n);
    memset(w, 0, sizeof(*w));
    w->node = n;
    n->worker[0] = w;
    w->access = access_ring_new();
    cr_assert(w->access);
}
static void close_ring(void)
{
    ring_free(w->access);
    free(w);
    free(n);
}
TestSuite(access, .init = open_ring, .fini = close_ring);

/* Every length that there is, known again by its bytes. */
static void make(struct access_record *a, uint64_t i)
{
    size_t text = i * 37 % (ACCESS_TEXT_MAX + 1);
    memset(a, 0, offsetof(struct access_record, text));
    memset(a->text, (int)(i & 0xff), (text + 15) / 16 * 16);
    a->units =
        (uint16_t)((offsetof(struct access_record, text) + text + ACCESS_UNIT - 1) / ACCESS_UNIT);
    a->bytes = i;
}

static bool is(const struct access_record *a, uint64_t i)
{
    static struct access_record good;
    make(&good, i);
    return a->units == good.units && memcmp(a, &good, (size_t)good.units * ACCESS_UNIT) == 0;
}

Test(access, an_empty_ring_gives_nothing)
{
    struct access_record out;
    cr_expect(!node_access_take(n, 0, &out));
}

Test(access, in_order_and_whole_around_the_end)
{
    struct access_record a, out;
    for (uint64_t i = 0; i < 3 * WORKER_ACCESS / sizeof(a) * 2; i++) {
        make(&a, i);
        access_put(w, &a);
        cr_assert(node_access_take(n, 0, &out) && is(&out, i), "%llu", (unsigned long long)i);
    }
    cr_expect_eq(w->counters.worker_access_dropped_total, 0u);
}

Test(access, full_it_drops_and_counts_and_what_is_in_it_stays)
{
    struct access_record a, out;
    uint64_t kept = 0;
    make(&a, 0);
    const uint64_t room = WORKER_ACCESS / ACCESS_UNIT / a.units;
    for (uint64_t i = 0; i < room + 10; i++) {
        a.bytes = i;
        access_put(w, &a);
    }
    cr_expect_eq(w->counters.worker_access_records_total, room + 10);
    cr_expect_eq(w->counters.worker_access_dropped_total, 10u);
    while (node_access_take(n, 0, &out))
        cr_assert_eq(out.bytes, kept++);
    cr_expect_eq(kept, room);
    access_put(w, &a);
    cr_expect(node_access_take(n, 0, &out));
}

static void *put_all(void *ctx)
{
    struct access_record a;
    (void)ctx;
    for (uint64_t i = 0; i < RECORDS; i++) {
        make(&a, i % 1000);
        a.start_us = i;
        access_put(w, &a);
    }
    return NULL;
}

Test(access, beside_one_who_takes_nothing_is_torn_or_out_of_order)
{
    struct access_record out, good;
    pthread_t thread;
    uint64_t taken = 0, next = 0;
    bool over = false;
    cr_assert(pthread_create(&thread, NULL, put_all, NULL) == 0);
    while (!over) {
        over = counter_read(&w->counters.worker_access_records_total) == RECORDS;
        while (node_access_take(n, 0, &out)) {
            cr_assert_geq(out.start_us, next);
            next = out.start_us + 1;
            taken++;
            make(&good, out.start_us % 1000);
            cr_assert(out.units == good.units &&
                      memcmp(out.text, good.text, ((size_t)good.units - 5) * ACCESS_UNIT) == 0);
        }
    }
    pthread_join(thread, NULL);
    while (node_access_take(n, 0, &out))
        taken++;
    cr_expect_eq(taken + w->counters.worker_access_dropped_total, RECORDS);
    cr_expect_gt(taken, 0u);
}

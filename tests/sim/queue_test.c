/* SPDX-License-Identifier: BSD-3-Clause */
/* The event queue against a sorted list. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim/mix.h"
#include "tools/sim/queue.h"

#define SECOND 1000000ull
#define DAY    (86400 * SECOND)

static struct event at(uint64_t time_us, uint32_t source, uint32_t counter)
{
    return (struct event){.time_us = time_us,
                          .source = source,
                          .counter = counter,
                          .target = source + 1,
                          .payload = time_us ^ counter};
}

/* The reference: whatever is pending, in no order; the least is looked for. */
struct list {
    struct event event[4096];
    size_t n;
};

static struct event list_pop(struct list *l)
{
    size_t least = 0;
    for (size_t i = 1; i < l->n; i++)
        if (event_before(&l->event[i], &l->event[least]))
            least = i;
    struct event e = l->event[least];
    l->event[least] = l->event[--l->n];
    return e;
}

/* From now on: at this very moment, in the open slot, in milliseconds, seconds, hours, or beyond a
 * turn of the far ring. */
static uint64_t some_delay(uint64_t random)
{
    static const uint64_t span[] = {1,          2,           200,      64 * 24, 100000,
                                    SECOND / 2, 70 * SECOND, DAY / 24, 20 * DAY};
    uint64_t which = mix_below(random, sizeof(span) / sizeof(span[0]));
    return mix_below(mix64(random), span[which]);
}

static void push_both(struct queue *q, struct list *l, struct event e)
{
    cr_assert(queue_push(q, &e));
    l->event[l->n++] = e;
}

static uint64_t pop_both(struct queue *q, struct list *l, uint64_t seed)
{
    struct event want = list_pop(l), got;
    uint64_t peeked;
    cr_assert(queue_peek_time(q, &peeked));
    cr_assert(queue_pop(q, &got));
    cr_assert_eq(peeked, got.time_us);
    cr_assert_eq(memcmp(&want, &got, sizeof(got)), 0,
                 "seed %llu: %llu us by %u, wanted %llu us by %u", (unsigned long long)seed,
                 (unsigned long long)got.time_us, got.source, (unsigned long long)want.time_us,
                 want.source);
    return got.time_us;
}

Test(queue, gives_back_in_order_whatever_is_pushed_when)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        static struct list list;
        list.n = 0;
        struct queue *q = queue_create(4096);
        uint64_t now = 0;
        for (uint32_t i = 0; i < 4000; i++) {
            uint64_t random = mix(seed, i, 0, MIX_CALLER);
            /* grows to some hundreds, then shrinks */
            bool push = list.n == 0 || random % 100 < (i < 2000 ? 60 : 45);
            if (push)
                push_both(q, &list,
                          at(now + some_delay(mix64(random)), (uint32_t)(random >> 58), i));
            else
                now = pop_both(q, &list, seed);
            cr_assert_eq(queue_size(q), list.n);
        }
        while (list.n > 0)
            now = pop_both(q, &list, seed);
        struct event e;
        cr_assert_not(queue_pop(q, &e));
        queue_destroy(q);
    }
}

Test(queue, a_crowd_at_one_instant_comes_by_source)
{
    enum { N = 50000 };
    struct queue *q = queue_create(2 * N);
    for (uint32_t i = 0; i < N; i++) {
        struct event e = at(5 * SECOND, i * 7919 % N, 1);
        cr_assert(queue_push(q, &e));
    }
    for (uint32_t i = 0; i < N; i++) { /* and each causes one more in the same slot */
        struct event e;
        cr_assert(queue_pop(q, &e));
        cr_assert_eq(e.source, i);
        e = at(5 * SECOND + 1, i * 7919 % N, 2);
        cr_assert(queue_push(q, &e));
    }
    for (uint32_t i = 0; i < N; i++) {
        struct event e;
        cr_assert(queue_pop(q, &e));
        cr_assert_eq(e.source, i);
        cr_assert_eq(e.time_us, 5 * SECOND + 1);
    }
    queue_destroy(q);
}

Test(queue, a_look_far_ahead_does_not_bar_what_is_pushed_before_it)
{
    struct queue *q = queue_create(10);
    struct event late = at(300 * DAY, 1, 1), sooner = at(3600 * SECOND, 2, 1), e;
    cr_assert(queue_push(q, &late));
    uint64_t time_us;
    cr_assert(queue_peek_time(q, &time_us));
    cr_assert_eq(time_us, 300 * DAY);
    cr_assert(queue_push(q, &sooner));
    cr_assert(queue_pop(q, &e));
    cr_assert_eq(e.source, 2);
    cr_assert(queue_pop(q, &e));
    cr_assert_eq(e.source, 1);
    queue_destroy(q);
}

/* The most chunks that so many events can need, and while a far slot is spread still. */
Test(queue, holds_what_it_is_made_for_when_each_has_a_slot_of_its_own)
{
    enum { N = 5000 };
    struct queue *q = queue_create(N);
    for (unsigned round = 0; round < 3; round++) {
        uint64_t from = (200 + 3 * round) * 67108864ull;
        for (uint32_t i = 0; i < N; i++) {
            struct event e = at(from + 64 * (uint64_t)(i * 7919 % N), i, round);
            cr_assert(queue_push(q, &e));
        }
        for (uint32_t i = 0; i < N; i++) {
            struct event e;
            cr_assert(queue_pop(q, &e));
            cr_assert_eq(e.time_us, from + 64 * (uint64_t)i);
        }
    }
    queue_destroy(q);
}

Test(queue, says_when_it_is_full_and_hints_at_who_is_next)
{
    struct queue *q = queue_create(3);
    for (uint32_t i = 0; i < 3; i++) {
        struct event e = at(1000, i, 1);
        cr_assert(queue_push(q, &e));
    }
    struct event e = at(1000, 9, 1);
    cr_assert_not(queue_push(q, &e));
    cr_assert_eq(queue_next_hint(q, 0), QUEUE_NOBODY); /* its slot is not open yet */
    cr_assert(queue_pop(q, &e));
    cr_assert_eq(queue_next_hint(q, 0), 2);
    cr_assert_eq(queue_next_hint(q, 1), 3);
    cr_assert_eq(queue_next_hint(q, 2), QUEUE_NOBODY);
    queue_destroy(q);
}

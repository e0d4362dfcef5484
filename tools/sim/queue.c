/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/queue.h"

#include "base/memory.h"

#define NEAR_SHIFT   6u /* 64 us a slot */
#define NEAR_BITS    20u
#define NEAR_SLOTS   (1u << NEAR_BITS)
#define WINDOW_SHIFT (NEAR_SHIFT + NEAR_BITS) /* 67.1 s, a far slot */
#define FAR_SLOTS    (1u << 13)
#define NONE         0u /* chunk 0 is never given out */

/* 464 bytes: the more a chunk holds the fewer misses a long chain costs, and the more a slot wastes
 * that holds one event */
#define CHUNK_EVENTS 14u

struct chunk {
    uint32_t next, n;
    uint64_t spare; /* keeps events on 16 bytes' borders */
    struct event event[CHUNK_EVENTS];
};

/* a growing array of events over memory reserved once */
struct events {
    struct event *at;
    size_t head, end; /* [head, end) are pending */
};

struct queue {
    size_t size, max; /* events pending, and how many may be */
    uint64_t now_us;  /* of the last pop */
    uint64_t window;  /* number of the 67 s window that the near ring holds */
    uint64_t open_at; /* number of the slot that is given out: time_us >> NEAR_SHIFT */
    struct events open;
    struct events late;   /* a binary heap; head is 0 */
    size_t near_events;   /* in the near ring */
    uint32_t *near, *far; /* a slot: its chain's first chunk, the only one that may have room */
    uint64_t *near_used;  /* a bit a slot that is not empty */
    uint64_t far_used[FAR_SLOTS / 64];
    struct chunk *chunk; /* [0] unused */
    uint32_t chunks;     /* so many were ever given out */
    uint32_t chunks_max;
    uint32_t chunk_free; /* those given back */
};

/* A chain has one chunk with room, its first: so many suffice for max events in all slots. */
static size_t chunks_for(size_t max)
{
    size_t spread = NEAR_SLOTS + FAR_SLOTS + max / CHUNK_EVENTS;
    return 2 + (max < spread ? max : spread);
}

struct queue *queue_create(size_t max_events)
{
    struct queue *q = memory_new(1, sizeof(*q));
    if (!q)
        return NULL;
    assert(max_events < UINT32_MAX);
    q->max = max_events;
    q->chunks = 1;
    q->chunks_max = (uint32_t)chunks_for(max_events);
    q->chunk = memory_new(q->chunks_max, sizeof(struct chunk));
    q->open.at = memory_new(max_events + 1, sizeof(struct event));
    q->late.at = memory_new(max_events + 1, sizeof(struct event));
    q->near = memory_new(NEAR_SLOTS, sizeof(uint32_t));
    q->far = memory_new(FAR_SLOTS, sizeof(uint32_t));
    q->near_used = memory_new(NEAR_SLOTS / 64, sizeof(uint64_t));
    if (q->chunk && q->open.at && q->late.at && q->near && q->far && q->near_used)
        return q;
    queue_destroy(q);
    return NULL;
}

void queue_destroy(struct queue *q)
{
    if (!q)
        return;
    memory_free(q->chunk, q->chunks_max, sizeof(struct chunk));
    memory_free(q->open.at, q->max + 1, sizeof(struct event));
    memory_free(q->late.at, q->max + 1, sizeof(struct event));
    memory_free(q->near, NEAR_SLOTS, sizeof(uint32_t));
    memory_free(q->far, FAR_SLOTS, sizeof(uint32_t));
    memory_free(q->near_used, NEAR_SLOTS / 64, sizeof(uint64_t));
    memory_free(q, 1, sizeof(*q));
}

size_t queue_size(const struct queue *q)
{
    return q->size;
}

/* ---- chains of chunks ---- */

static uint32_t chunk_take(struct queue *q, uint32_t next)
{
    uint32_t c = q->chunk_free;
    if (c != NONE)
        q->chunk_free = q->chunk[c].next;
    else
        c = q->chunks++;
    assert(c < q->chunks_max);
    q->chunk[c].next = next;
    q->chunk[c].n = 0;
    return c;
}

static void slot_add(struct queue *q, uint32_t *ring, uint64_t *used, uint32_t i,
                     const struct event *e)
{
    if (ring[i] == NONE || q->chunk[ring[i]].n == CHUNK_EVENTS)
        ring[i] = chunk_take(q, ring[i]);
    struct chunk *c = &q->chunk[ring[i]];
    c->event[c->n++] = *e;
    used[i / 64] |= 1ull << (i % 64);
}

static uint32_t slot_detach(uint32_t *ring, uint64_t *used, uint32_t i)
{
    uint32_t chain = ring[i];
    ring[i] = NONE;
    used[i / 64] &= ~(1ull << (i % 64));
    return chain;
}

static uint32_t chunk_give_back(struct queue *q, uint32_t c)
{
    uint32_t next = q->chunk[c].next;
    q->chunk[c].next = q->chunk_free;
    q->chunk_free = c;
    return next;
}

/* The first used slot from i on; n: none. */
static uint32_t used_next(const uint64_t *used, uint32_t i, uint32_t n)
{
    if (i >= n)
        return n;
    uint32_t word = i / 64;
    uint64_t bits = used[word] & (~0ull << (i % 64));
    while (bits == 0 && ++word < n / 64)
        bits = used[word];
    return bits ? 64 * word + (uint32_t)__builtin_ctzll(bits) : n;
}

/* ---- the late heap ---- */

static void late_push(struct events *h, const struct event *e)
{
    size_t i = h->end++;
    for (; i > 0 && event_before(e, &h->at[(i - 1) / 2]); i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = *e;
}

static void late_drop_first(struct events *h)
{
    struct event last = h->at[--h->end];
    size_t i = 0;
    for (size_t child = 1; child < h->end; child = 2 * i + 1) {
        if (child + 1 < h->end && event_before(&h->at[child + 1], &h->at[child]))
            child++;
        if (!event_before(&h->at[child], &last))
            break;
        h->at[i] = h->at[child];
        i = child;
    }
    h->at[i] = last;
}

/* ---- sorting a slot ---- */

#define INSERTION_BELOW 24

static void sort_insertion(struct event *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct event x = e[i];
        size_t j = i;
        for (; j > 0 && event_before(&x, &e[j - 1]); j--)
            e[j] = e[j - 1];
        e[j] = x;
    }
}

static void swap(struct event *a, struct event *b)
{
    struct event x = *a;
    *a = *b;
    *b = x;
}

/* Quicksort by the median of three; the smaller part by recursion, so at most log2 n deep. */
static void sort(struct event *e, size_t n)
{
    while (n >= INSERTION_BELOW) {
        if (event_before(&e[n / 2], &e[0]))
            swap(&e[n / 2], &e[0]);
        if (event_before(&e[n - 1], &e[n / 2]))
            swap(&e[n - 1], &e[n / 2]);
        if (event_before(&e[n / 2], &e[0]))
            swap(&e[n / 2], &e[0]);
        struct event pivot = e[n / 2];
        size_t i = 0, j = n - 1;
        for (;;) {
            while (event_before(&e[i], &pivot))
                i++;
            while (event_before(&pivot, &e[j]))
                j--;
            if (i >= j)
                break;
            swap(&e[i++], &e[j--]);
        }
        if (i < n - i) {
            sort(e, i);
            e += i;
            n -= i;
        } else {
            sort(e + i, n - i);
            n = i;
        }
    }
    sort_insertion(e, n);
}

/* ---- turning the wheel ---- */

static void near_add(struct queue *q, const struct event *e)
{
    uint32_t i = (uint32_t)(e->time_us >> NEAR_SHIFT) & (NEAR_SLOTS - 1);
    slot_add(q, q->near, q->near_used, i, e);
    q->near_events++;
}

static void far_add(struct queue *q, const struct event *e)
{
    uint32_t i = (uint32_t)(e->time_us >> WINDOW_SHIFT) & (FAR_SLOTS - 1);
    slot_add(q, q->far, q->far_used, i, e);
}

/* Moves to the next window that may hold something and spreads its far slot over the near ring.
 * What belongs to a later turn of the far ring goes back. */
static void window_next(struct queue *q)
{
    uint32_t from = (uint32_t)(q->window + 1) & (FAR_SLOTS - 1);
    uint32_t i = used_next(q->far_used, from, FAR_SLOTS);
    uint64_t turn = (q->window + 1) / FAR_SLOTS;
    if (i == FAR_SLOTS) {
        i = used_next(q->far_used, 0, FAR_SLOTS);
        turn++;
    }
    q->window = turn * FAR_SLOTS + i;
    q->open_at = q->window << NEAR_BITS;
    for (uint32_t c = slot_detach(q->far, q->far_used, i); c != NONE;) {
        for (uint32_t k = 0; k < q->chunk[c].n; k++) {
            const struct event *e = &q->chunk[c].event[k];
            if (e->time_us >> WINDOW_SHIFT == q->window)
                near_add(q, e);
            else
                far_add(q, e);
        }
        c = chunk_give_back(q, c);
    }
}

static void slot_open(struct queue *q, uint32_t i)
{
    q->open_at = q->window << NEAR_BITS | i;
    q->open.head = q->open.end = 0;
    for (uint32_t c = slot_detach(q->near, q->near_used, i); c != NONE;) {
        const struct chunk *chunk = &q->chunk[c];
        if (chunk->next != NONE)
            __builtin_prefetch(&q->chunk[chunk->next]);
        for (uint32_t k = 0; k < chunk->n; k++)
            q->open.at[q->open.end++] = chunk->event[k];
        c = chunk_give_back(q, c);
    }
    q->near_events -= q->open.end;
    sort(q->open.at, q->open.end);
}

/* The queue's first event, or NULL. Opens the next slot when the open one is used up. */
static const struct event *first(struct queue *q)
{
    if (q->late.end > 0) {
        const struct event *late = &q->late.at[0];
        bool open = q->open.head < q->open.end;
        return open && event_before(&q->open.at[q->open.head], late) ? &q->open.at[q->open.head]
                                                                     : late;
    }
    if (q->open.head == q->open.end) {
        if (q->size == 0)
            return NULL;
        while (q->near_events == 0)
            window_next(q);
        slot_open(q, used_next(q->near_used, (uint32_t)q->open_at & (NEAR_SLOTS - 1), NEAR_SLOTS));
    }
    return &q->open.at[q->open.head];
}

bool queue_push(struct queue *q, const struct event *e)
{
    assert(e->time_us >= q->now_us);
    if (q->size == q->max)
        return false;
    q->size++;
    if (e->time_us >> NEAR_SHIFT <= q->open_at)
        late_push(&q->late, e);
    else if (e->time_us >> WINDOW_SHIFT == q->window)
        near_add(q, e);
    else
        far_add(q, e);
    return true;
}

bool queue_pop(struct queue *q, struct event *out)
{
    const struct event *e = first(q);
    if (!e)
        return false;
    *out = *e;
    if (e == &q->late.at[0])
        late_drop_first(&q->late);
    else
        q->open.head++;
    q->size--;
    q->now_us = out->time_us;
    return true;
}

bool queue_peek_time(struct queue *q, uint64_t *time_us)
{
    const struct event *e = first(q);
    if (e)
        *time_us = e->time_us;
    return e != NULL;
}

uint32_t queue_next_hint(const struct queue *q, size_t ahead)
{
    size_t i = q->open.head + ahead;
    return i < q->open.end ? q->open.at[i].target : QUEUE_NOBODY;
}

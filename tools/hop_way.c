/* SPDX-License-Identifier: BSD-3-Clause */
/* A direction's fate and schedule: a heap of frames by the time they are due. See hop_way.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "tools/hop_way.h"

#define TAKEN_MAX 256
#define ETHERNET  14u

struct waiting {
    uint64_t due_ns, order; /* frames due at the same time leave as they came */
    uint32_t slot, len;
};

struct hop_way {
    struct hop_config config;
    struct hop_stats stats;
    struct rng rng;
    uint64_t order, last_ns; /* last_ns: when the last frame that kept the order is due */
    uint64_t busy_ns;        /* the rate is done with what it has by then */
    uint64_t buffer_ns;      /* the time that a full buffer takes */
    uint32_t long_frames;    /* longer than drop_over, so far */
    uint32_t next_drop;      /* the first range of config.drop not behind us */
    bool bad;                /* Gilbert's state */
    uint32_t frames, frame_bytes;
    uint8_t *bytes;
    size_t mapped;
    uint32_t *free, frees; /* the slot used last is used next: it is in the cache */
    struct waiting *heap;
    uint32_t waits;
    uint32_t taken[TAKEN_MAX], takens;
};

/* What a frame draws; each member has one use. */
struct draw {
    uint32_t loss, burst, burst_loss, corrupt, bit, duplicate, jitter, reorder;
};

/* --- the heap ------------------------------------------------------------------------------ */

static bool before(const struct waiting *a, const struct waiting *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_put(struct hop_way *w, struct waiting x)
{
    uint32_t i = w->waits++;
    for (; i > 0 && before(&x, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static struct waiting heap_take(struct hop_way *w)
{
    struct waiting top = w->heap[0], x = w->heap[--w->waits];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < w->waits; i = child) {
        if (child + 1 < w->waits && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &x))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = x;
    return top;
}

/* --- fate ---------------------------------------------------------------------------------- */

static bool is_listed(struct hop_way *w, uint32_t len)
{
    const struct hop_config *c = &w->config;

    if (len <= c->drop_over)
        return false;
    uint32_t n = ++w->long_frames;
    while (w->next_drop < c->drops && c->drop[w->next_drop].last < n)
        w->next_drop++;
    return w->next_drop < c->drops && c->drop[w->next_drop].first <= n;
}

static bool is_lost(struct hop_way *w, const struct draw *d, uint32_t len)
{
    const struct hop_config *c = &w->config;
    bool listed = is_listed(w, len); /* each one counts, whatever else it meets */

    if (d->burst < (w->bad ? c->burst_leave : c->burst_enter))
        w->bad = !w->bad;
    if (listed)
        w->stats.listed++;
    else if (w->bad && d->burst_loss < c->burst_loss)
        w->stats.burst_lost++;
    else if (d->loss < c->loss)
        w->stats.lost++;
    else
        return false;
    return true;
}

/* Takes its turn before the rate limit: when its last bit has left, or false when the buffer is
 * full. */
static bool transmit(struct hop_way *w, uint32_t len, uint64_t now, uint64_t *left_ns)
{
    const struct hop_config *c = &w->config;

    *left_ns = now;
    if (c->rate_bps == 0)
        return true;
    uint64_t start = w->busy_ns > now ? w->busy_ns : now;
    uint64_t end = start + (uint64_t)len * 8 * 1000000000 / c->rate_bps;
    if (c->buffer_bytes && end - now > w->buffer_ns) {
        w->stats.overflowed++;
        return false;
    }
    *left_ns = w->busy_ns = end;
    return true;
}

static uint64_t due(struct hop_way *w, const struct draw *d, uint64_t left_ns)
{
    const struct hop_config *c = &w->config;
    uint64_t t = left_ns + c->delay_ns + (uint64_t)(((__uint128_t)c->jitter_ns * d->jitter) >> 32);

    if (d->reorder < c->reorder) {
        w->stats.reordered++;
        return t + c->reorder_ns;
    }
    if (t < w->last_ns)
        t = w->last_ns;
    w->last_ns = t;
    return t;
}

static void schedule(struct hop_way *w, const struct draw *d, const void *bytes, uint32_t len,
                     uint64_t now, bool corrupt)
{
    uint64_t left_ns;

    if (w->frees == 0) {
        w->stats.no_room++;
        return;
    }
    if (!transmit(w, len, now, &left_ns))
        return;
    uint32_t slot = w->free[--w->frees];
    uint8_t *copy = w->bytes + (size_t)slot * w->frame_bytes;
    memcpy(copy, bytes, len);
    if (corrupt) {
        uint64_t bit = ((uint64_t)d->bit * ((len - ETHERNET) * 8)) >> 32;
        copy[ETHERNET + bit / 8] ^= (uint8_t)(1u << (bit % 8));
        w->stats.corrupted++;
    }
    heap_put(w, (struct waiting){due(w, d, left_ns), w->order++, slot, len});
}

/* --- the face ------------------------------------------------------------------------------ */

void hop_way_put(struct hop_way *w, const void *bytes, uint32_t len, uint64_t now_ns)
{
    const struct hop_config *c = &w->config;
    struct draw d;

    w->stats.received++;
    w->stats.received_bytes += len;
    rng_bytes(&w->rng, &d, sizeof(d));
    if (is_lost(w, &d, len))
        return;
    bool corrupt = d.corrupt < c->corrupt && len > ETHERNET;
    schedule(w, &d, bytes, len, now_ns, corrupt);
    if (d.duplicate < c->duplicate) {
        w->stats.duplicated++;
        schedule(w, &d, bytes, len, now_ns, false);
    }
}

uint64_t hop_way_next_ns(const struct hop_way *w)
{
    return w->waits ? w->heap[0].due_ns : UINT64_MAX;
}

unsigned hop_way_take(struct hop_way *w, uint64_t now_ns, struct hop_frame *out, unsigned n)
{
    while (w->takens)
        w->free[w->frees++] = w->taken[--w->takens];
    if (n > TAKEN_MAX)
        n = TAKEN_MAX;
    while (w->takens < n && w->waits && w->heap[0].due_ns <= now_ns) {
        struct waiting x = heap_take(w);
        out[w->takens] = (struct hop_frame){w->bytes + (size_t)x.slot * w->frame_bytes, x.len};
        w->taken[w->takens++] = x.slot;
        w->stats.sent++;
        w->stats.sent_bytes += x.len;
    }
    return w->takens;
}

const struct hop_stats *hop_way_stats(const struct hop_way *w)
{
    return &w->stats;
}

struct hop_way *hop_way_new(const struct hop_config *config, uint64_t seed, uint32_t frames,
                            uint32_t frame_bytes)
{
    struct hop_way *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->config = *config;
    w->frames = frames;
    w->frame_bytes = frame_bytes;
    w->mapped = (size_t)frames * frame_bytes;
    w->bytes = mmap(NULL, w->mapped, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    w->free = calloc(frames, sizeof(*w->free));
    w->heap = calloc(frames, sizeof(*w->heap));
    if (w->bytes == MAP_FAILED || !w->free || !w->heap) {
        hop_way_free(w);
        return NULL;
    }
    while (w->frees < frames) {
        w->free[w->frees] = frames - 1 - w->frees;
        w->frees++;
    }
    if (config->rate_bps)
        w->buffer_ns =
            (uint64_t)((__uint128_t)config->buffer_bytes * 8 * 1000000000 / config->rate_bps);
    rng_init_u64(&w->rng, seed);
    return w;
}

void hop_way_free(struct hop_way *w)
{
    if (!w)
        return;
    if (w->bytes != MAP_FAILED)
        munmap(w->bytes, w->mapped);
    free(w->free);
    free(w->heap);
    free(w);
}

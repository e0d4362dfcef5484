/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eviction: S3-FIFO (Yang et al., SOSP 2023) in bytes with a rule for sizes, one for each worker's
 * share.
 *
 *   new --> [ small, 10 % ] --used twice--> [ main, 90 % ] <--used: again, one round less--.
 *                |                                |            '----------------------------'
 *                '--> ghost (fingerprint)         '--> gone
 *
 * A hit only counts, up to 3, in the object (index.c): it moves nothing, and a shared line is
 * written three times at most between two visits of the hand. The hand looks at the oldest of a
 * queue. What costs few bytes is kept longer: let c be log2(mean size / size), rounded, and 0 for
 * what is larger than the mean of those here. An object goes from small to main with 2 - c uses,
 * and in main the hand turns each use into 1 + c rounds, of which an object has 7 at most. A size
 * is all that an eviction frees: chunks, entry and heap.
 *
 * An object that comes back goes to main at once, if its ghost is among the last that would have
 * filled main: ghosts are kept by the bytes of their objects. What is of no more use goes before
 * all others and leaves no ghost (expiry.c).
 *
 * One queue pair a worker and not a shard: a shard's 64th of the memory would be too small for
 * large objects; when a shard changes hands its objects are filed anew.
 */
#include "cache/private.h"

#define EVICT_STEPS 64 /* a call: bounds the work of one append */
#define ROUNDS_MAX  7u

uint64_t cache_object_bytes(const struct cache_object *o)
{
    struct amount a = cache_body_whole(o);
    return sizeof(*o) + object_heap(o) + a.chunks * CACHE_CHUNK_BYTES + a.lines * LINE;
}

/* --- queues ----------------------------------------------------------------------------------- */

static struct fifo *queue_of(struct cache_worker *w, enum object_queue q)
{
    return q == QUEUE_MAIN ? &w->main : &w->small;
}

/* next: towards older; prev: towards newer */
void cache_queue_insert(struct cache *c, struct cache_worker *w, struct cache_object *o,
                        enum object_queue q)
{
    struct fifo *f = queue_of(w, q);
    uint32_t ref = object_ref(c, o);
    o->queue = q & 3;
    o->prev = 0;
    o->next = f->head;
    if (f->head)
        object_at(c, f->head)->prev = ref;
    else
        f->tail = ref;
    f->head = ref;
    f->bytes += cache_object_bytes(o);
    f->objects++;
}

void cache_queue_remove(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (o->queue == QUEUE_NONE)
        return;
    struct fifo *f = queue_of(w, (enum object_queue)o->queue);
    if (w->ahead.of == o)
        w->ahead.of = NULL;
    if (o->prev)
        object_at(c, o->prev)->next = o->next;
    else
        f->head = o->next;
    if (o->next)
        object_at(c, o->next)->prev = o->prev;
    else
        f->tail = o->prev;
    f->bytes -= cache_object_bytes(o);
    f->objects--;
    o->queue = QUEUE_NONE;
    o->next = o->prev = 0;
}

/* --- ghosts -------------------------------------------------------------------------------------
 *
 * A stamp is how many bytes had become ghosts, in 4096ths of what main may hold; one that is older
 * than main is no ghost. Stamps wrap after 16 mains: by then its place has been taken, or it gains
 * an object a second life in some thousands.
 */

#define GHOST_SPAN 4096u

uint64_t cache_ghost_unit(uint64_t bytes)
{
    return bytes / 10 * 9 / GHOST_SPAN;
}

static struct ghost_set *ghost_set(const struct cache_worker *w, struct hash128 h)
{
    return &w->ghost[h.lo & w->ghost_mask];
}

static uint16_t ghost_print(struct hash128 h)
{
    uint16_t print = (uint16_t)(h.lo >> 48);
    return print ? print : 1;
}

/* Of each of the set, in ticks; of none: more than a ghost may have. */
static __m128i ghost_ages(const struct cache_worker *w, __m128i print, __m128i stamp)
{
    __m128i age = _mm_sub_epi16(_mm_set1_epi16((short)w->ghost_tick), stamp);
    return _mm_or_si128(age, _mm_cmpeq_epi16(print, _mm_setzero_si128()));
}

/* In the place of the oldest. */
static void ghost_add(struct cache_worker *w, struct hash128 h, uint64_t bytes)
{
    struct ghost_set *set = ghost_set(w, h);
    w->ghost_bytes += bytes;
    if (w->ghost_bytes >= w->ghost_unit) {
        w->ghost_tick = (uint16_t)(w->ghost_tick + w->ghost_bytes / w->ghost_unit);
        w->ghost_bytes %= w->ghost_unit;
    }
    __m128i ages = ghost_ages(w, _mm_load_si128((const __m128i *)set->print),
                              _mm_load_si128((const __m128i *)set->stamp));
    __m128i least = _mm_minpos_epu16(_mm_xor_si128(ages, _mm_set1_epi16(-1)));
    unsigned i = (unsigned)_mm_extract_epi16(least, 1) % GHOST_WAYS;
    set->print[i] = ghost_print(h);
    set->stamp[i] = w->ghost_tick;
}

void cache_ghost_prefetch(const struct cache_worker *w, struct hash128 h)
{
    __builtin_prefetch(ghost_set(w, h), 1);
}

bool cache_ghost_take(struct cache_worker *w, struct hash128 h)
{
    struct ghost_set *set = ghost_set(w, h);
    __m128i same = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)set->print),
                                   _mm_set1_epi16((short)ghost_print(h)));
    for (unsigned match = (unsigned)_mm_movemask_epi8(same); match; match &= match - 1) {
        unsigned i = (unsigned)__builtin_ctz(match) / 2;
        match &= match - 1;
        if ((uint16_t)(w->ghost_tick - set->stamp[i]) <= GHOST_SPAN) {
            set->print[i] = 0;
            return true;
        }
    }
    return false;
}

/* --- eviction --------------------------------------------------------------------------------- */

void cache_object_evict(struct cache *c, struct cache_worker *w, struct cache_object *o,
                        struct hash128 h)
{
    if (w->on_evict)
        w->on_evict(w->on_evict_ctx, o);
    counter_inc(&w->counters.cache_evicted_total);
    counter_add(&w->counters.cache_evicted_bytes_total, cache_object_bytes(o));
    cache_object_drop(c, w, o, h);
}

/* The next look in this queue finds its object, and where the index has it, in the CPU's cache; the
 * object after that is on its way. An eviction is a chain of misses otherwise, each of which waits
 * for the last one. */
static void evict_ahead(struct cache *c, struct cache_worker *w, bool small)
{
    const struct cache_object *next = object_at(c, small ? w->small.tail : w->main.tail);
    if (!next)
        return;
    struct hash128 h = cache_object_hash(c, next);
    w->ahead = (struct known_hash){next, h};
    cache_index_prefetch(c, h);
    if (small)
        cache_ghost_prefetch(w, h);
    object_prefetch(object_at(c, next->prev));
}

/* c of the rule: how often the size doubles before it exceeds the mean, from sqrt(2), 1 + 53/128,
 * of it on; without a division. */
static unsigned smaller(const struct cache_worker *w, const struct cache_object *o)
{
    uint64_t bytes = w->small.bytes + w->main.bytes;
    uint64_t scaled = cache_object_bytes(o) * (w->small.objects + w->main.objects);
    unsigned c = 0;
    for (scaled += scaled / 128 * 53; scaled < bytes && c < ROUNDS_MAX; scaled *= 2)
        c++;
    return c;
}

/* The hand is at `o`: does it stay? Not for another round if its lines alone keep a chunk that is
 * half empty, while such are many: after the sizes have changed, what is left of the small ones
 * would hold their chunks for long. */
static bool judge(const struct cache *c, const struct cache_worker *w, struct cache_object *o)
{
    unsigned seen = __atomic_load_n(&o->uses, __ATOMIC_RELAXED), more = smaller(w, o);
    unsigned uses = seen & USES, rounds = 0;
    bool stays = uses + more >= 2;
    if (o->queue == QUEUE_MAIN) {
        rounds = seen / ROUND + uses * (1 + more);
        stays = rounds > 0 && !cache_cells_sparse(c, w, o);
        rounds = (rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds) - stays;
    }
    if (stays)
        __atomic_store_n(&o->uses, (uint8_t)(rounds * ROUND), __ATOMIC_RELAXED);
    return stays;
}

/* One look: at what is of no more use, else at the oldest of the queue whose turn it is. False: all
 * is empty. */
static bool evict_step(struct cache *c, struct cache_worker *w)
{
    struct cache_object *useless = cache_expiry_due(c, w);
    if (useless) {
        counter_inc(&w->counters.cache_evicted_useless_total);
        cache_object_evict(c, w, useless, cache_object_hash(c, useless));
        return true;
    }
    bool small = w->small.tail &&
                 (w->small.bytes > w->total.chunks * CACHE_CHUNK_BYTES / 10 || !w->main.tail);
    struct cache_object *o = object_at(c, small ? w->small.tail : w->main.tail);
    if (!o)
        return false;
    if (judge(c, w, o)) {
        cache_queue_remove(c, w, o);
        cache_queue_insert(c, w, o, QUEUE_MAIN);
    } else {
        struct hash128 h = w->ahead.of == o ? w->ahead.hash : cache_object_hash(c, o);
        if (small)
            ghost_add(w, h, cache_object_bytes(o));
        cache_object_evict(c, w, o, h);
    }
    evict_ahead(c, w, small);
    return true;
}

/* The reserve is a 64th: it lets fills go on while what was evicted waits for its grace period. */
static bool is_short(const struct cache_worker *w, uint64_t chunks)
{
    const struct amount *f = &w->pending_fresh, *g = &w->pending_waiting;
    uint64_t free_chunks = w->total.chunks - w->used.chunks + f->chunks + g->chunks +
                           (f->lines + g->lines + CHUNK_LINES - 1) / CHUNK_LINES;
    uint64_t free_objects = w->total.objects - w->used.objects + f->objects + g->objects;
    return free_chunks < chunks + w->total.chunks / 64 + 1 ||
           free_objects < w->total.objects / 64 + 1 ||
           w->used.heap - f->heap - g->heap > w->heap_limit;
}

bool cache_has_room(const struct cache *c, unsigned worker, uint64_t bytes)
{
    uint64_t chunks = chunks_for(bytes);
    return !is_short(&c->worker[worker], chunks + chunks / 512 + 2); /* and its maps */
}

/* What of this policy's state is kept over a restart: the queue, and uses, of which those that the
 * hand has seen are rounds now. */
unsigned cache_heat(const struct cache_object *o)
{
    unsigned seen = __atomic_load_n(&o->uses, __ATOMIC_RELAXED);
    unsigned uses = (seen & USES) + seen / ROUND;
    return (o->queue == QUEUE_MAIN ? 4u : 0u) + (uses > USES ? USES : uses);
}

void cache_heat_set(struct cache_object *o, unsigned heat)
{
    if (heat >= 4)
        o->flags |= OBJECT_TO_MAIN;
    __atomic_store_n(&o->uses, (uint8_t)(heat & USES), __ATOMIC_RELAXED);
}

void cache_evict_for(struct cache *c, struct cache_worker *w, uint64_t chunks)
{
    for (unsigned i = 0; i < EVICT_STEPS && is_short(w, chunks); i++) {
        if (!evict_step(c, w))
            return;
    }
}

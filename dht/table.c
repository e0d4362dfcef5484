/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/table.h"

#include <stdlib.h>

#define SUB_BITS 3 /* a bucket is kept even by the next bits of its IDs */
#define SUBS     (1u << SUB_BITS)
#define GROW     16u

void table_init(struct table *t, struct dht_book *book, struct dht_routes *routes, unsigned k)
{
    *t = (struct table){.book = book, .routes = routes, .k = k};
    routes->n = 0;
    routes->route = NULL;
    routes->contact = book->contact;
    routes->populated = 1;
}

static void populate(struct table *t)
{
    unsigned levels = 1;
    for (uint32_t i = 0; i < t->routes->n && levels != DHT_ALL_LEVELS; i++)
        levels |= t->route[i].levels;
    t->routes->populated = (uint8_t)levels;
}

void table_free(struct table *t)
{
    for (uint32_t i = 0; i < t->routes->n; i++)
        t->book->note[t->route[i].peer].tables--;
    t->routes->n = 0;
    free(t->route);
    free(t->note);
}

static const struct dht_id *id_of(const struct table *t, uint32_t peer)
{
    return &t->book->contact[peer].id;
}

/* the place of a distance: before the first that is not nearer */
static uint32_t place(const struct table *t, const struct dht_distance *d)
{
    struct closer_range r = closer_range(t->routes, distance_prefix(d));
    while (r.from < r.to) {
        uint32_t mid = r.from + (r.to - r.from) / 2;
        struct dht_distance m = distance_between(&t->routes->self.id, id_of(t, t->route[mid].peer));
        if (distance_less(&m, d))
            r.from = mid + 1;
        else
            r.to = mid;
    }
    return r.from;
}

uint32_t table_find(const struct table *t, uint32_t peer)
{
    struct closer_range r = closer_range(t->routes, id_prefix(&t->routes->self.id, id_of(t, peer)));
    for (uint32_t i = r.from; i < r.to; i++)
        if (t->route[i].peer == peer)
            return i;
    return t->routes->n;
}

static bool is_of(const struct table *t, uint32_t at, unsigned level)
{
    return t->route[at].levels >> level & 1;
}

unsigned table_count(const struct table *t, unsigned level)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < t->routes->n; i++)
        n += is_of(t, i, level);
    return n;
}

/* How many of a level are before an index, counted up to `most`. */
static unsigned rank(const struct table *t, uint32_t at, unsigned level, unsigned most)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < at && n < most; i++)
        n += is_of(t, i, level);
    return n;
}

/* The next three bits after the prefix and the bit that differs. */
static unsigned sub_prefix(const struct dht_id *id, unsigned prefix)
{
    unsigned from = prefix + 1, sub = 0;
    for (unsigned bit = from; bit < from + SUB_BITS && bit < DHT_ID_BITS; bit++)
        sub = sub << 1 | (id->b[bit / 8] >> (7 - bit % 8) & 1);
    return sub;
}

/* --- room in a bucket ------------------------------------------------------------------------- */

struct bucket {
    struct closer_range range;
    unsigned count, sub_count[SUBS];
    uint32_t dead, slowest[SUBS]; /* indices, routes->n: none; slowest: siblings stay */
};

static struct bucket bucket_look(const struct table *t, unsigned prefix, unsigned level)
{
    struct bucket b = {.range = closer_range(t->routes, prefix), .dead = t->routes->n};
    unsigned before = rank(t, b.range.from, level, 2 * t->k);
    for (unsigned i = 0; i < SUBS; i++)
        b.slowest[i] = t->routes->n;
    for (uint32_t i = b.range.from; i < b.range.to; i++) {
        if (!is_of(t, i, level))
            continue;
        unsigned sub = sub_prefix(id_of(t, t->route[i].peer), prefix);
        uint32_t *slow = &b.slowest[sub];
        b.count++;
        b.sub_count[sub]++;
        if (!t->route[i].alive)
            b.dead = i;
        if (before + b.count <= 2 * t->k)
            continue;
        if (*slow == t->routes->n || t->route[i].rtt_us > t->route[*slow].rtt_us)
            *slow = i;
    }
    return b;
}

/* Who of a full bucket gives way to a newcomer; routes->n: nobody. */
static uint32_t bucket_victim(const struct table *t, const struct bucket *b, unsigned sub,
                              uint32_t rtt_us)
{
    if (b->dead < t->routes->n)
        return b->dead;
    unsigned fullest = sub;
    for (unsigned i = 0; i < SUBS; i++)
        if (b->slowest[i] < t->routes->n && b->sub_count[i] > b->sub_count[fullest])
            fullest = i;
    if (b->sub_count[fullest] > b->sub_count[sub] + 1)
        return b->slowest[fullest];
    uint32_t slow = b->slowest[sub];
    if (slow < t->routes->n && rtt_us != 0 &&
        (uint64_t)rtt_us * 5 < (uint64_t)t->route[slow].rtt_us * 4)
        return slow;
    return t->routes->n;
}

struct chance {
    bool taken;
    uint32_t victim; /* loses its bit for it; routes->n: nobody */
};

/* Would a contact that is not of the level yet be taken for it? */
static struct chance chance_of(const struct table *t, uint32_t peer, unsigned level,
                               uint32_t rtt_us)
{
    const struct dht_id *id = id_of(t, peer);
    struct dht_distance d = distance_between(&t->routes->self.id, id);
    unsigned prefix = distance_prefix(&d);
    struct bucket b = bucket_look(t, prefix, level);
    struct chance c = {true, t->routes->n};
    if (b.count < t->k)
        return c;
    if (rank(t, place(t, &d), level, 2 * t->k) < 2 * t->k)
        return c;
    c.victim = bucket_victim(t, &b, sub_prefix(id, prefix), rtt_us);
    c.taken = c.victim < t->routes->n;
    return c;
}

unsigned table_wants(const struct table *t, uint32_t peer, unsigned levels, uint32_t rtt_us)
{
    unsigned wanted = 0;
    for (unsigned l = 0; l < DHT_LEVELS; l++)
        if (levels >> l & 1 && chance_of(t, peer, l, rtt_us).taken)
            wanted |= 1u << l;
    return wanted;
}

/* --- coming and going ------------------------------------------------------------------------- */

static bool grow(struct table *t, uint32_t room)
{
    if (room <= t->room)
        return true;
    if (room > TABLE_MAX)
        return false;
    struct dht_route *route = realloc(t->route, room * sizeof(*route));
    if (!route)
        return false;
    t->routes->route = t->route = route;
    struct table_note *note = realloc(t->note, room * sizeof(*note));
    if (!note)
        return false;
    t->note = note;
    t->room = room;
    return true;
}

void table_remove(struct table *t, uint32_t at)
{
    uint32_t after = t->routes->n - at - 1;
    t->book->note[t->route[at].peer].tables--;
    memmove(&t->route[at], &t->route[at + 1], after * sizeof(t->route[0]));
    memmove(&t->note[at], &t->note[at + 1], after * sizeof(t->note[0]));
    t->routes->n--;
    populate(t);
}

static void drop_level(struct table *t, uint32_t at, unsigned level)
{
    t->route[at].levels &= ~(1u << level) & 15;
    if (t->route[at].levels == 0)
        table_remove(t, at);
}

static uint32_t insert(struct table *t, uint32_t peer, struct now now)
{
    if (t->routes->n == t->room && !grow(t, t->room + GROW))
        return t->routes->n;
    struct dht_distance d = distance_between(&t->routes->self.id, id_of(t, peer));
    uint32_t at = place(t, &d), after = t->routes->n - at;
    memmove(&t->route[at + 1], &t->route[at], after * sizeof(t->route[0]));
    memmove(&t->note[at + 1], &t->note[at], after * sizeof(t->note[0]));
    t->routes->n++;
    t->route[at] = (struct dht_route){
        .peer = peer & 0xffffff, .alive = 1, .prefix = distance_prefix(&d) & 0xff};
    t->note[at] = (struct table_note){.heard_ms = (uint32_t)(now.mono_us / 1000)};
    t->book->note[peer].tables++;
    return at;
}

/* Who is no sibling of a level any more stays only if its bucket has room, or somebody dead: but
 * `peer`, that just answered, is none. */
static void trim(struct table *t, unsigned level, uint32_t peer)
{
    unsigned n = 0;
    uint32_t out = 0;
    while (out < t->routes->n && (n += is_of(t, out, level)) <= 2 * t->k)
        out++;
    if (out == t->routes->n)
        return;
    struct bucket b = bucket_look(t, t->route[out].prefix, level);
    bool dead = b.dead < t->routes->n && t->route[b.dead].peer != peer;
    if (b.count > t->k)
        drop_level(t, dead ? b.dead : out, level);
}

uint32_t table_put(struct table *t, uint32_t peer, unsigned levels, uint32_t rtt_us, struct now now)
{
    uint32_t at = table_find(t, peer);
    unsigned change = levels ^ (at < t->routes->n ? t->route[at].levels : 0);
    for (unsigned l = 0; l < DHT_LEVELS; l++) {
        if (!(change >> l & 1))
            continue;
        if (!(levels >> l & 1)) {
            drop_level(t, at, l);
            at = table_find(t, peer);
            continue;
        }
        struct chance c = chance_of(t, peer, l, rtt_us);
        if (!c.taken)
            continue;
        if (c.victim < t->routes->n)
            drop_level(t, c.victim, l);
        at = table_find(t, peer);
        if (at == t->routes->n)
            at = insert(t, peer, now);
        if (at == t->routes->n)
            return at;
        t->route[at].levels |= 1u << l & 15;
        trim(t, l, peer);
        at = table_find(t, peer);
    }
    populate(t);
    return at;
}

void table_clear_level(struct table *t, unsigned level)
{
    for (uint32_t i = t->routes->n; i-- > 0;)
        if (is_of(t, i, level))
            drop_level(t, i, level);
    populate(t);
}

bool table_fill(struct table *t, const struct dht_route *route, uint32_t n)
{
    if (!grow(t, n))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        t->route[i] = route[i];
        t->note[i] = (struct table_note){.oracle = 1};
        t->book->note[route[i].peer].tables++;
    }
    t->routes->n = n;
    populate(t);
    return true;
}

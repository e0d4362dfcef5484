/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>

#include "dht/member.h"
#include "tools/sim/mix.h"

#define SUBS        8u /* of a bucket, by the next three bits */
#define ENTRIES_MAX 1024u

enum purpose { MIX_PICK = MIX_CALLER + 16, MIX_FIRST };

/* Nodes by cluster, then by ID. */
struct order {
    uint32_t *node;
    uint64_t *id;    /* upper 64 bits, beside it */
    uint32_t *from;  /* by cluster: where it begins; one more at the end */
    uint32_t *where; /* by node: its cluster */
    uint32_t clusters;
};

struct entry {
    uint32_t node;
    unsigned levels;
    uint64_t distance;
};

struct filling {
    struct world *w;
    struct order order[DHT_LEVELS];
    struct entry entry[ENTRIES_MAX];
    unsigned entries;
};

static uint64_t id64(const struct world *w, uint32_t node)
{
    return id_u64(w->contact[node].id.b);
}

/* --- orders ----------------------------------------------------------------------------------- */

struct sortable {
    uint64_t id;
    uint32_t cluster, node;
};

static int sortable_compare(const void *x, const void *y)
{
    const struct sortable *a = x, *b = y;
    if (a->cluster != b->cluster)
        return a->cluster < b->cluster ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "coral-sim: no memory for the tables\n");
        exit(1);
    }
    return p;
}

static void order_make(struct order *o, const struct world *w, unsigned level)
{
    uint32_t n = w->params.nodes, up = 0;
    struct sortable *s = need(calloc(n, sizeof(*s)));
    o->clusters = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t cluster = planet_cluster(w->planet, i, level);
        o->clusters = cluster + 1 > o->clusters ? cluster + 1 : o->clusters;
        if (w->node[i].up)
            s[up++] = (struct sortable){id64(w, i), cluster, i};
    }
    qsort(s, up, sizeof(*s), sortable_compare);
    o->node = need(calloc(n, sizeof(*o->node)));
    o->id = need(calloc(n, sizeof(*o->id)));
    o->where = need(calloc(n, sizeof(*o->where)));
    o->from = need(calloc(o->clusters + 1, sizeof(*o->from)));
    for (uint32_t i = 0; i < up; i++) {
        o->node[i] = s[i].node;
        o->id[i] = s[i].id;
        o->where[s[i].node] = s[i].cluster;
    }
    for (uint32_t c = 0, at = 0; c <= o->clusters; c++) {
        while (at < up && s[at].cluster < c)
            at++;
        o->from[c] = at;
    }
    free(s);
}

static void order_free(struct order *o)
{
    free(o->node);
    free(o->id);
    free(o->from);
    free(o->where);
}

/* the first of [lo, hi) whose ID is not below */
static uint32_t first_from(const struct order *o, uint32_t lo, uint32_t hi, uint64_t id)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (o->id[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct range {
    uint32_t from, to;
};

/* Those of [r.from, r.to) whose first `bits` bits are those of id. */
static struct range range_of(const struct order *o, struct range r, uint64_t id, unsigned bits)
{
    uint64_t low = bits ? id & ~(UINT64_MAX >> bits) : 0,
             size = bits ? UINT64_MAX >> bits : UINT64_MAX;
    r.from = first_from(o, r.from, r.to, low);
    r.to = low + size == UINT64_MAX ? r.to : first_from(o, r.from, r.to, low + size + 1);
    return r;
}

/* --- tables ----------------------------------------------------------------------------------- */

static void entry_add(struct filling *f, uint32_t self, uint32_t node, unsigned level)
{
    uint64_t distance = id64(f->w, self) ^ id64(f->w, node);
    for (unsigned i = 0; i < f->entries; i++) {
        if (f->entry[i].distance == distance) {
            f->entry[i].levels |= 1u << level;
            return;
        }
    }
    if (f->entries < ENTRIES_MAX)
        f->entry[f->entries++] = (struct entry){node, 1u << level, distance};
}

/* Somebody of a bucket's part who is in the table already, for a nearer level; -1: nobody. */
static int entry_in(const struct filling *f, uint64_t self, uint64_t id, unsigned bits)
{
    for (unsigned i = 0; i < f->entries; i++)
        if ((((f->entry[i].distance ^ self) ^ id) >> (64 - bits)) == 0)
            return (int)i;
    return -1;
}

static void bucket(struct filling *f, uint32_t self, unsigned level, struct range r,
                   unsigned prefix)
{
    const struct order *o = &f->order[level];
    uint64_t me = id64(f->w, self), other = me ^ 1ull << (63 - prefix);
    if (r.to - r.from <= f->w->config.bucket) {
        for (uint32_t i = r.from; i < r.to; i++)
            entry_add(f, self, o->node[i], level);
        return;
    }
    for (unsigned sub = 0; sub < SUBS; sub++) {
        unsigned bits = prefix + 4;
        uint64_t id = (other & ~(UINT64_MAX >> (prefix + 1))) | (uint64_t)sub << (64 - bits);
        int have = entry_in(f, me, id, bits);
        if (have >= 0 && level < DHT_LEVELS - 1) {
            f->entry[have].levels |= 1u << level;
            continue;
        }
        struct range part = range_of(o, r, id, bits);
        if (part.from == part.to)
            continue;
        uint64_t chance =
            mix(f->w->params.seed, self, (uint64_t)level << 16 | prefix << 8 | sub, MIX_PICK);
        entry_add(f, self, o->node[part.from + chance % (part.to - part.from)], level);
    }
}

static void table_of(struct filling *f, uint32_t self, unsigned level)
{
    const struct order *o = &f->order[level];
    uint64_t me = id64(f->w, self);
    struct range all = {o->from[o->where[self]], o->from[o->where[self] + 1]};
    for (unsigned prefix = 0; prefix < 56 && all.to - all.from > 1; prefix++) {
        struct range own = range_of(o, all, me, prefix + 1);
        struct range first = {all.from, own.from}, last = {own.to, all.to};
        bucket(f, self, level, first.from < first.to ? first : last, prefix);
        all = own;
    }
}

static int entry_compare(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    return a->distance < b->distance ? -1 : a->distance > b->distance;
}

static void settle(struct filling *f, uint32_t self)
{
    struct world *w = f->w;
    struct dht_member *m = w->node[self].member;
    struct dht_route route[ENTRIES_MAX];
    struct now now = world_now(w);
    qsort(f->entry, f->entries, sizeof(f->entry[0]), entry_compare);
    for (unsigned i = 0; i < f->entries; i++) {
        const struct entry *e = &f->entry[i];
        route[i] = (struct dht_route){.peer = e->node & 0xffffff,
                                      .levels = e->levels & 15,
                                      .alive = 1,
                                      .live = 1,
                                      .rtt_us = planet_rtt_us(w->planet, self, e->node) & 0xffffff,
                                      .prefix = (uint8_t)__builtin_clzll(e->distance)};
    }
    if (!table_fill(&m->table, route, f->entries))
        need(NULL);
    m->answered_us = now.mono_us;
    m->bootstrap_us = UINT64_MAX;
    uint64_t chance = mix(w->params.seed, self, 0, MIX_FIRST);
    m->refresh_us = now.mono_us + chance % (1000ull * w->config.refresh_ms);
    for (unsigned l = 0; l < w->config.levels; l++) {
        const struct order *o = &f->order[l];
        uint32_t members = o->from[o->where[self] + 1] - o->from[o->where[self]];
        m->find[l].pause_us = 1000ull * w->config.find_ms;
        m->find[l].n = 1u << 20;
        m->find[l].at_us = now.mono_us + (chance >> 8 * l) % m->find[l].pause_us;
        for (unsigned i = 0; i < SIZE_SAMPLES && members > 8; i++)
            size_add(&m->size[l], UINT64_MAX / members * 8, 8, now);
        if (l == 0)
            continue;
        uint64_t cid = mix(w->params.seed, o->where[self], l, MIX_FIRST) | 1;
        cluster_restore(m->cluster[l], cid, 7200, now);
        cluster_size(m->cluster[l], size_log2_256(&m->size[l], now));
        m->routes.level[l].is = cluster_descriptor(m->cluster[l], now);
    }
}

void oracle_fill(struct world *w)
{
    struct filling *f = need(calloc(1, sizeof(*f)));
    f->w = w;
    for (unsigned l = 0; l < w->config.levels; l++)
        order_make(&f->order[l], w, l);
    for (uint32_t i = 0; i < w->params.nodes; i++) {
        if (!w->node[i].up)
            continue;
        f->entries = 0;
        for (unsigned l = w->config.levels; l-- > 0;)
            table_of(f, i, l);
        settle(f, i);
    }
    for (unsigned l = 0; l < w->config.levels; l++)
        order_free(&f->order[l]);
    free(f);
}

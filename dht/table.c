/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/table.h"

/* the place of a distance: before the first that is not nearer */
static uint32_t table_place(const struct table *t, const struct dht_distance *d)
{
    uint32_t lo = 0, hi = t->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (distance_less(&t->member[mid].distance, d))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct member *table_find(struct table *t, const struct dht_id *id)
{
    struct dht_distance d = distance_between(&t->self, id);
    uint32_t at = table_place(t, &d);
    return at < t->n && id_eq(&t->member[at].contact.id, id) ? &t->member[at] : NULL;
}

static uint32_t siblings(const struct table *t)
{
    return 2 * t->k;
}

/* How many share exactly this prefix, and which of them is dead (t->n: none)? */
static unsigned bucket_count(const struct table *t, unsigned prefix, uint32_t *dead)
{
    unsigned count = 0;
    *dead = t->n;
    for (uint32_t i = 0; i < t->n; i++) {
        if (distance_prefix(&t->member[i].distance) != prefix)
            continue;
        count++;
        if (!t->member[i].alive)
            *dead = i;
    }
    return count;
}

bool table_wants(const struct table *t, const struct dht_id *id)
{
    struct dht_distance d = distance_between(&t->self, id);
    uint32_t dead;
    unsigned count = bucket_count(t, distance_prefix(&d), &dead);
    if (dead < t->n)
        return true;
    return t->n < TABLE_MAX && (count < t->k || table_place(t, &d) < siblings(t));
}

void table_remove(struct table *t, uint32_t at)
{
    memmove(&t->member[at], &t->member[at + 1], (t->n - at - 1) * sizeof(t->member[0]));
    t->n--;
}

struct member *table_insert(struct table *t, const struct dht_contact *contact)
{
    struct dht_distance d = distance_between(&t->self, &contact->id);
    if (!table_wants(t, &contact->id))
        return NULL;
    uint32_t dead, at = table_place(t, &d);
    unsigned count = bucket_count(t, distance_prefix(&d), &dead);
    bool sibling = at < siblings(t);
    if (t->n == TABLE_MAX || (count >= t->k && !sibling)) {
        table_remove(t, dead);
        at = table_place(t, &d);
    }
    memmove(&t->member[at + 1], &t->member[at], (t->n - at) * sizeof(t->member[0]));
    t->n++;
    t->member[at] = (struct member){.contact = *contact, .distance = d, .alive = true};

    /* who is no sibling any more stays only if its bucket has room */
    uint32_t out = siblings(t);
    if (sibling && out < t->n &&
        bucket_count(t, distance_prefix(&t->member[out].distance), &dead) > t->k)
        table_remove(t, out);
    return &t->member[at];
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/book.h"

#include <stdlib.h>

#include "dht/id.h"

#define LOOK 64 /* places that a search for room looks at */

static_assert(sizeof(struct dht_contact) <= 76, "as many as there are nodes in a simulation");

struct dht_book *dht_book_create(uint32_t contacts, const uint8_t seed[32])
{
    struct dht_book *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    struct rng rng;
    rng_init(&rng, seed);
    rng_bytes(&rng, b->secret.bytes, sizeof(b->secret.bytes));
    uint32_t buckets = 1;
    while (buckets < contacts)
        buckets *= 2;
    b->room = contacts;
    b->bucket_mask = buckets - 1;
    b->bucket = calloc(buckets, sizeof(*b->bucket));
    b->contact = calloc(contacts, sizeof(*b->contact));
    b->note = calloc(contacts, sizeof(*b->note));
    if (!b->bucket || !b->contact || !b->note || contacts > 1u << 24) {
        dht_book_destroy(b);
        return NULL;
    }
    return b;
}

void dht_book_destroy(struct dht_book *b)
{
    if (!b)
        return;
    free(b->bucket);
    free(b->contact);
    free(b->note);
    free(b);
}

static uint32_t *bucket_of(const struct dht_book *b, const struct dht_id *id)
{
    return &b->bucket[hash64(&b->secret, id->b, sizeof(id->b)) & b->bucket_mask];
}

uint32_t book_find(const struct dht_book *b, const struct dht_id *id)
{
    for (uint32_t i = *bucket_of(b, id); i != 0; i = b->note[i - 1].next)
        if (id_eq(&b->contact[i - 1].id, id))
            return i - 1;
    return BOOK_NONE;
}

/* One of the next few places that is in no table, the one unheard for longest. */
static uint32_t book_victim(struct dht_book *b)
{
    uint32_t at = BOOK_NONE;
    for (unsigned i = 0; i < LOOK || (at == BOOK_NONE && i < b->room); i++) {
        b->hand = (b->hand + 1) % b->room;
        const struct book_note *n = &b->note[b->hand];
        if (n->tables == 0 && (at == BOOK_NONE || n->heard_s < b->note[at].heard_s))
            at = b->hand;
    }
    if (at == BOOK_NONE)
        return BOOK_NONE;
    uint32_t *link = bucket_of(b, &b->contact[at].id);
    while (*link != at + 1)
        link = &b->note[*link - 1].next;
    *link = b->note[at].next;
    return at;
}

uint32_t book_take(struct dht_book *b, const struct dht_contact *contact, uint32_t *gone,
                   struct now now)
{
    uint32_t at = book_find(b, &contact->id);
    *gone = BOOK_NONE;
    if (at == BOOK_NONE) {
        at = b->used < b->room ? b->used++ : (*gone = book_victim(b));
        if (at == BOOK_NONE)
            return BOOK_NONE;
        uint32_t *bucket = bucket_of(b, &contact->id);
        b->contact[at] = *contact;
        b->note[at] = (struct book_note){.next = *bucket};
        *bucket = at + 1;
    }
    b->note[at].heard_s = (uint32_t)(now.mono_us / 1000000);
    return at;
}

bool book_fresh(struct dht_book *b, uint32_t peer, const struct dht_sender *who, bool answers)
{
    struct book_note *n = &b->note[peer];
    if (!answers &&
        (who->incarnation < n->incarnation ||
         (who->incarnation == n->incarnation && (int16_t)(who->sequence - n->sequence) < 0)))
        return false;
    n->incarnation = who->incarnation;
    n->sequence = who->sequence;
    return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/live_news.h"

#include "dht/id.h"

/* An item is told for TELL_US and known for KNOW_US: news that went round the whole cluster
 * meanwhile are not taken for new ones again. */
#define TELL_US 4000000u
#define KNOW_US 10000000u

static bool item_is(const struct live_item *i, const struct dht_news *n)
{
    return i->heard_us != 0 && i->news.incarnation == n->incarnation && i->news.state == n->state &&
           id_eq(&i->news.id, &n->id);
}

enum live_taken live_ring_add(struct live_ring *r, const struct dht_news *news, unsigned sends,
                              bool own, struct now now)
{
    struct live_item *oldest = &r->item[0];
    for (struct live_item *i = r->item; i < r->item + LIVE_NEWS_RING; i++) {
        if (item_is(i, news) && now.mono_us - i->heard_us < KNOW_US)
            return LIVE_KNOWN;
        if (i->heard_us < oldest->heard_us)
            oldest = i;
    }
    if (!own && oldest->heard_us != 0 && now.mono_us - oldest->heard_us < KNOW_US)
        return LIVE_FULL;
    *oldest = (struct live_item){*news, (uint8_t)(sends < UINT8_MAX ? sends : UINT8_MAX),
                                 now.mono_us ? now.mono_us : 1};
    return LIVE_TAKEN;
}

/* a is told before b */
static bool item_before(const struct live_item *a, const struct live_item *b)
{
    return a->left != b->left ? a->left > b->left : a->heard_us > b->heard_us;
}

unsigned live_ring_take(struct live_ring *r, const struct dht_id *skip, struct dht_news *out,
                        unsigned room, struct now now)
{
    struct live_item *best[DHT_NEWS];
    unsigned n = 0;
    if (room > DHT_NEWS)
        room = DHT_NEWS;
    for (struct live_item *i = r->item; i < r->item + LIVE_NEWS_RING; i++) {
        if (i->heard_us == 0 || i->left == 0 || now.mono_us - i->heard_us >= TELL_US ||
            (skip && id_eq(&i->news.id, skip)))
            continue;
        unsigned at = n < room ? n++ : room;
        for (; at > 0 && item_before(i, best[at - 1]); at--)
            if (at < room)
                best[at] = best[at - 1];
        if (at < room)
            best[at] = i;
    }
    for (unsigned i = 0; i < n; i++) {
        out[i] = best[i]->news;
        best[i]->left--;
    }
    return n;
}

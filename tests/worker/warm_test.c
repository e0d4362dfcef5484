/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What workers show to be saved, and take over in the next life of the node, with another number of
 * them; the parts of control and of the file are played here.
 */
#include <string.h>

#include "world.h"

#define PAGES 6 /* of BODY_BYTES, so that they go into one batch of NODE_LOAD_BYTES */

static struct node_load load, nothing;
static _Atomic bool cancel;

static const char *page(unsigned i, char path[static 16])
{
    snprintf(path, 16, "/warm%u", i);
    return path;
}

static void give(struct world *w, unsigned worker, enum node_command command, void *ptr)
{
    const struct message m = {.type = (uint16_t)command, .from = 0xffff, .ptr[0] = ptr};
    CHECK(node_command(w->node[0], worker, &m));
}

/* Until `n` events of the type about `ptr` have come. */
static void await(struct world *w, enum node_event_type type, const void *ptr, unsigned n)
{
    struct node_event e;
    for (unsigned i = 0; i < 100000 && n; i++) {
        world_step(w);
        while (node_event(w->node[0], &e))
            n -= e.type == type && e.ptr == ptr;
    }
    CHECK(n == 0);
}

static uint32_t pins(const struct world *w)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < w->workers; i++)
        n += (uint32_t)counter_read(&cache_counters(w->node[0]->cache, i)->cache_held_objects);
    return n;
}

static void copy(struct world *w, const struct cache_object *o, size_t *used)
{
    char room[CACHE_KEY_MAX];
    struct proxy_piece *p = &load.piece[load.n++];
    size_t key_len, head_len;
    const char *key = cache_key(o, room, &key_len), *head = cache_head(o, &head_len);
    uint8_t *to = load.data + *used;
    (void)w;
    memcpy(to, key, key_len);
    memcpy(to + key_len, head, head_len);
    *p = (struct proxy_piece){.key = (char *)to,
                              .head = (char *)to + key_len,
                              .data = to + key_len + head_len,
                              .len = cache_ready(o),
                              .meta = *cache_meta(o),
                              .key_len = (uint16_t)key_len,
                              .head_len = (uint16_t)head_len,
                              .heat = (uint8_t)cache_heat(o),
                              .first = true,
                              .last = true,
                              .good = true};
    CHECK(*used + key_len + head_len + p->len <= sizeof(load.data));
    for (uint64_t at = 0; at < p->len;) {
        struct cache_span s = cache_bytes(o, at);
        memcpy((uint8_t *)(uintptr_t)p->data + at, s.data, s.len);
        at += s.len;
    }
    *used += key_len + head_len + p->len;
}

/* Every object is shown once; one that is purged while it is shown stays until it is given back. */
static void shown(struct world *w)
{
    static struct node_save s;
    size_t used = 0;
    load.n = 0;
    for (unsigned heat = CACHE_HEAT_CLASSES; heat-- > 0;) {
        for (unsigned i = 0; i < w->workers; i++) {
            s = (struct node_save){.heat = heat};
            do {
                give(w, i, NODE_SAVE, &s);
                await(w, NODE_SAVED, &s, 1);
                for (unsigned k = 0; k < s.n; k++)
                    copy(w, s.object[k], &used);
            } while (!s.at.over);
            uint32_t held = pins(w), n = s.n;
            for (unsigned k = 0; k < n; k++)
                CHECK(cache_unlink(w->node[0]->cache, s.object[k]));
            world_run(w, 100000);
            CHECK(pins(w) == held);
            s.enough = true;
            give(w, i, NODE_SAVE, &s);
            await(w, NODE_SAVED, &s, 1);
            CHECK(s.n == 0 && s.at.over);
            world_run(w, 100000);
            CHECK(pins(w) == held - n);
        }
    }
    CHECK(load.n == PAGES);
}

static void taken(struct world *w, struct node_load *l)
{
    l->cancel = &cancel;
    for (unsigned i = 0; i < l->n; i++) {
        l->piece[i].owner = (uint8_t)node_owner(w->node[0], l->piece[i].key, l->piece[i].key_len);
        l->piece[i].meta.response_s = (uint32_t)w->now.wall_s;
    }
    for (unsigned i = 0; i < w->workers; i++)
        give(w, i, NODE_LOAD, l);
}

static uint64_t restored(const struct world *w)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < w->workers; i++)
        n += counter_read(&proxy_counters(w->node[0]->worker[i]->proxy)->proxy_restored_total);
    return n;
}

static void one_life_and_the_next(unsigned before, unsigned after)
{
    static struct world w;
    struct fetch f;
    char path[16];

    printf("%u workers, then %u\n", before, after);
    fflush(stdout);
    world_new(&w, before, false);
    world_run(&w, 1500000);
    for (unsigned i = 0; i < PAGES; i++) {
        world_fetch(&w, 0, false, page(i, path), &f);
        CHECK(f.ok && f.body_right);
    }
    CHECK(w.origin_requests == PAGES);
    shown(&w);
    world_free(&w);

    world_new(&w, after, false);
    world_run(&w, 1500000);
    cancel = true; /* a purge, while it was on its way */
    load.last = false;
    taken(&w, &load);
    await(&w, NODE_LOADED, &load, after);
    CHECK(restored(&w) == 0);
    cancel = false;
    taken(&w, &load);
    nothing.last = true; /* a second batch behind it */
    taken(&w, &nothing);
    await(&w, NODE_LOADED, &nothing, after);
    CHECK(restored(&w) == PAGES);
    for (unsigned i = 0; i < PAGES; i++) {
        world_fetch(&w, 0, i & 1, page(i, path), &f);
        CHECK(f.ok && f.status == 200 && f.bytes == BODY_BYTES && f.body_right);
    }
    CHECK(w.origin_requests == 0);
    world_run(&w, 1000000); /* the index is told of all of them */
    world_fetch(&w, 1, false, page(0, path), &f);
    CHECK(f.ok && f.body_right && w.origin_requests == 0);
    world_free(&w);
}

int main(void)
{
    world_start();
    one_life_and_the_next(1, 2);
    one_life_and_the_next(2, 1);
    port_eal_stop();
    return 0;
}

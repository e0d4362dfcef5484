/* SPDX-License-Identifier: BSD-3-Clause */
/* The bounded pools: 2 KiB blocks and pieces of send queue. */
#include <stdlib.h>

#include "dataplane/tcp/tcp_conn.h"

/* Pieces of send queue: two for every connection, and enough besides that as many connections
 * as the blocks would serve can fill their queues with 4 KiB references. */
static uint32_t items_for(const struct tcp_config *c)
{
    uint64_t n = (uint64_t)c->connections * 2 + c->blocks / 2 + c->send_queue_bytes / 4096 + 16;
    return n < 1u << 24 ? (uint32_t)n : 1u << 24;
}

bool tcp_pool_create(struct tcp_engine *e)
{
    uint32_t n = e->config.blocks;
    e->items_total = items_for(&e->config);
    e->blocks = calloc(n, sizeof(*e->blocks));
    e->items = calloc(e->items_total, sizeof(*e->items));
    if (!e->blocks || !e->items)
        return false;
    e->free_block = TCP_NONE;
    for (uint32_t i = n; i-- > 0;) {
        e->blocks[i].engine = e;
        e->blocks[i].next_free = e->free_block;
        e->free_block = i;
    }
    for (uint32_t i = e->items_total; i-- > 0;) {
        e->items[i].next = e->free_items;
        e->free_items = &e->items[i];
    }
    e->blocks_free = n;
    e->items_free = e->items_total;
    /* what is out of order may not take the last eighth: in-order bytes come first */
    e->blocks_reserve = n / 8;
    return true;
}

void tcp_pool_destroy(struct tcp_engine *e)
{
    free(e->blocks);
    free(e->items);
}

static void copy_free(struct hold *h)
{
    struct tcp_block *b = (struct tcp_block *)((uint8_t *)h - offsetof(struct tcp_block, hold));
    tcp_block_give(b->engine, b);
}

struct tcp_block *tcp_block_take(struct tcp_engine *e, uint32_t reserve)
{
    if (e->blocks_free <= reserve) {
        counter_inc(&e->counters.tcp_no_block_total);
        return NULL;
    }
    struct tcp_block *b = &e->blocks[e->free_block];
    e->free_block = b->next_free;
    e->blocks_free--;
    counter_set(&e->counters.tcp_blocks_used, e->config.blocks - e->blocks_free);
    b->used = 0;
    b->hold = (struct hold){.count = 1, .free = copy_free};
    return b;
}

void tcp_block_give(struct tcp_engine *e, struct tcp_block *b)
{
    b->next_free = e->free_block;
    e->free_block = (uint32_t)(b - e->blocks);
    e->blocks_free++;
    counter_set(&e->counters.tcp_blocks_used, e->config.blocks - e->blocks_free);
}

struct tcp_items *tcp_items_take(struct tcp_engine *e)
{
    struct tcp_items *i = e->free_items;
    if (!i) {
        counter_inc(&e->counters.tcp_no_item_total);
        return NULL;
    }
    e->free_items = i->next;
    e->items_free--;
    i->next = NULL;
    return i;
}

void tcp_items_give(struct tcp_engine *e, struct tcp_items *i)
{
    i->next = e->free_items;
    e->free_items = i;
    e->items_free++;
}

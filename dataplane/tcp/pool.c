/* SPDX-License-Identifier: BSD-3-Clause */
/* The bounded pools: entries, 2 KiB blocks, send queues and their pieces. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

#define TX_SWEEP 64u /* how many are looked at for one that may go: bounds a poll */

bool tcp_pool_init(struct tcp_pool *p, uint32_t count, size_t size, size_t link)
{
    uint32_t shift = (uint32_t)__builtin_ctzll(size), odd = (uint32_t)(size >> shift),
             inverse = odd;
    for (int i = 0; i < 4; i++) /* Newton: of 3 bits right at first, 48 */
        inverse *= 2 - odd * inverse;
    *p = (struct tcp_pool){.base = memory_new(count, size),
                           .size = (uint32_t)size,
                           .link = (uint32_t)link,
                           .odd = inverse,
                           .shift = shift,
                           .count = count,
                           .left = count};
    return p->base != NULL;
}

void tcp_pool_fini(struct tcp_pool *p)
{
    memory_free(p->base, p->count, p->size);
}

void *tcp_pool_take(struct tcp_pool *p)
{
    if (p->left == 0)
        return NULL;
    p->left--;
    if (p->first == 0)
        return p->base + (size_t)p->top++ * p->size;
    uint8_t *element = p->base + (size_t)(p->first - 1) * p->size;
    memcpy(&p->first, element + p->link, sizeof(p->first));
    return element;
}

void tcp_pool_give(struct tcp_pool *p, void *element)
{
    memcpy((uint8_t *)element + p->link, &p->first, sizeof(p->first));
    /* an exact division, without dividing */
    size_t at = (size_t)((uint8_t *)element - p->base);
    p->first = (uint32_t)(at >> p->shift) * p->odd + 1;
    p->left++;
}

/* Pieces of send queue: one for every queue, and enough besides that the blocks find place in
 * queues, and one queue can be full of 4 KiB references. */
static uint32_t items_for(const struct tcp_config *c)
{
    uint64_t n = (uint64_t)c->active + c->blocks / 2 + c->send_queue_bytes / 4096 + 16;
    return n < 1u << 24 ? (uint32_t)n : 1u << 24;
}

bool tcp_pools_create(struct tcp_engine *e)
{
    const struct tcp_config *c = &e->config;
    bool ok = tcp_pool_init(&e->conn_pool, c->connections, sizeof(struct tcp_conn),
                            offsetof(struct tcp_conn, timer.next));
    ok = tcp_pool_init(&e->block_pool, c->blocks, sizeof(struct tcp_block),
                       offsetof(struct tcp_block, next_free)) &&
         ok;
    ok = tcp_pool_init(&e->items_pool, items_for(c), sizeof(struct tcp_items),
                       offsetof(struct tcp_items, next)) &&
         ok;
    ok = tcp_pool_init(&e->tx_pool, c->active, sizeof(struct tcp_tx),
                       offsetof(struct tcp_tx, next_free)) &&
         ok;
    e->conns = (struct tcp_conn *)(void *)e->conn_pool.base;
    e->blocks = (struct tcp_block *)(void *)e->block_pool.base;
    /* what is out of order may not take the last eighth: in-order bytes come first */
    e->blocks_reserve = c->blocks / 8;
    return ok;
}

void tcp_pools_destroy(struct tcp_engine *e)
{
    tcp_pool_fini(&e->conn_pool);
    tcp_pool_fini(&e->block_pool);
    tcp_pool_fini(&e->items_pool);
    tcp_pool_fini(&e->tx_pool);
}

static void copy_free(struct hold *h)
{
    struct tcp_block *b = (struct tcp_block *)((uint8_t *)h - offsetof(struct tcp_block, hold));
    tcp_block_give(b->engine, b);
}

static void count_blocks(struct tcp_engine *e)
{
    counter_set(&e->counters.tcp_blocks_used, e->config.blocks - tcp_blocks_free(e));
}

struct tcp_block *tcp_block_take(struct tcp_engine *e, uint32_t reserve)
{
    if (tcp_blocks_free(e) <= reserve) {
        counter_inc(&e->counters.tcp_no_block_total);
        return NULL;
    }
    struct tcp_block *b = tcp_pool_take(&e->block_pool);
    count_blocks(e);
    b->engine = e;
    b->used = 0;
    b->hold = (struct hold){.count = 1, .free = copy_free};
    return b;
}

void tcp_block_give(struct tcp_engine *e, struct tcp_block *b)
{
    tcp_pool_give(&e->block_pool, b);
    count_blocks(e);
}

struct tcp_items *tcp_items_take(struct tcp_engine *e)
{
    struct tcp_items *i = tcp_pool_take(&e->items_pool);
    if (!i) {
        counter_inc(&e->counters.tcp_no_item_total);
        return NULL;
    }
    i->next = NULL;
    return i;
}

void tcp_items_give(struct tcp_engine *e, struct tcp_items *i)
{
    tcp_pool_give(&e->items_pool, i);
}

static bool busy(const struct tcp_conn *c)
{
    return c->queued > 0 || tcp_conn_flight(c) > 0;
}

void tcp_tx_prefetch(const struct tcp_engine *e, unsigned n)
{
    const struct tcp_tx *all = (const struct tcp_tx *)(const void *)e->tx_pool.base;
    uint32_t count = e->tx_pool.count, hand = e->tx_hand;
    if (e->tx_pool.left >= n)
        return;
    for (unsigned i = 0; i < n && i < count; i++) {
        /* this one's connection, and the record that names one of a burst later */
        const struct tcp_conn *c = &e->conns[all[(hand + i) % count].conn];
        __builtin_prefetch(&c->snd_una, 1);
        __builtin_prefetch(&c->backoff, 1);
        __builtin_prefetch(&c->tx, 1);
        __builtin_prefetch(&all[(hand + n + i) % count].conn);
    }
}

/* All are taken: one whose connection has nothing to send goes on to another. */
static void tx_reclaim(struct tcp_engine *e)
{
    struct tcp_tx *all = (struct tcp_tx *)(void *)e->tx_pool.base;
    for (uint32_t n = 0; n < TX_SWEEP; n++) {
        struct tcp_conn *c = &e->conns[all[e->tx_hand].conn];
        e->tx_hand = (e->tx_hand + 1) % e->tx_pool.count;
        if (!busy(c)) {
            tcp_tx_close(e, c);
            return;
        }
    }
}

bool tcp_tx_open(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->tx)
        return true;
    if (e->tx_pool.left == 0)
        tx_reclaim(e);
    c->tx = tcp_pool_take(&e->tx_pool);
    if (!c->tx)
        return false;
    memset(c->tx, 0, sizeof(*c->tx));
    c->tx->conn = tcp_conn_index(e, c);
    if (c->state > TCP_SYN_RECEIVED)
        tcp_tx_start(e, c);
    return true;
}

void tcp_tx_start(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_tx *tx = c->tx;
    tx->cc.ops = e->config.cc;
    tx->cc.ops->init(&tx->cc, c->mss, (uint32_t)e->now.mono_us);
    tcp_pacer_init(&tx->pacer, (uint32_t)e->now.mono_us);
    tx->round_end = c->snd_max;
    tx->recover = c->snd_una - 1;
    tcp_path_open(c);
}

void tcp_tx_close(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!c->tx)
        return;
    tcp_path_close(c);
    tcp_pool_give(&e->tx_pool, c->tx);
    c->tx = NULL;
    if (c->state > TCP_SYN_RECEIVED)
        c->timing = false; /* what was timed went with it */
    /* so did what these speak of */
    c->recovering = c->in_rto = c->cwr = c->tlp_out = c->limited = c->was_limited = false;
    c->head_due = c->ecn_cwr_due = c->paced = false;
    c->dupacks = 0;
}

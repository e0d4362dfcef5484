/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects of an earlier run, from the file to the workers, while they serve. */
#include <stdlib.h>

#include "control/log.h"
#include "control/restart_private.h"

static void load_over(struct control *c, struct now now)
{
    struct restart *r = c->restart;
    for (unsigned i = 0; i < RESTART_BATCHES; i++) {
        free(r->batch[i].load);
        r->batch[i].load = NULL;
    }
    restart_read_end(&r->reader);
    r->phase = PHASE_IDLE;
    uint64_t n = restart_sum(c, "proxy_restored_total");
    r->changes = n; /* what else has come meanwhile is not in the file */
    log_info("warm: objects of an earlier run taken over objects=%llu bytes=%llu of=%llu old=%llu "
             "newer=%llu no_room=%llu refused=%llu ms=%llu%s",
             (unsigned long long)(n + restart_sum(c, "proxy_restore_again_total")),
             (unsigned long long)restart_sum(c, "proxy_restored_bytes_total"),
             (unsigned long long)r->reader.file.records,
             (unsigned long long)restart_sum(c, "proxy_restore_old_total"),
             (unsigned long long)restart_sum(c, "proxy_restore_newer_total"),
             (unsigned long long)restart_sum(c, "proxy_restore_no_room_total"),
             (unsigned long long)r->refused,
             (unsigned long long)((now.mono_us - r->began_us) / 1000),
             r->cancel ? "; a purge ended it early"
             : r->full ? "; then the cache was full"
                       : "");
}

/* What the MAC cannot say: that it would be stored, and under the same rules, today. */
static void judge(struct control *c, struct node_load *l)
{
    struct restart *r = c->restart;
    for (unsigned i = 0; i < l->n; i++) {
        struct proxy_piece *p = &l->piece[i];
        if (p->first) {
            bool good =
                proxy_policy_print(c->view->policy, c->workers, p->key, p->key_len) == p->policy &&
                p->policy && proxy_stored_sane(&p->meta, p->key, p->key_len, p->head, p->head_len);
            r->refused += !good;
            r->owner = good ? (uint8_t)node_owner(c->node, p->key, p->key_len) : NODE_WORKERS;
        }
        p->owner = r->owner;
    }
}

static void load_send(struct control *c)
{
    struct restart *r = c->restart;
    for (unsigned i = 0; i < RESTART_BATCHES; i++) {
        struct restart_batch *b = &r->batch[i];
        for (unsigned w = 0; b->unsent && w < c->workers; w++) {
            struct message m = {.type = NODE_LOAD, .from = 0xffff, .ptr[0] = b->load};
            if ((b->unsent >> w & 1) && node_command(c->node, w, &m))
                b->unsent &= ~(1u << w);
        }
    }
}

void restart_load_give(struct control *c, struct restart_batch *b)
{
    struct restart *r = c->restart;
    r->refused += r->reader.damaged + r->reader.insane + r->reader.lost - r->unreadable;
    r->unreadable = r->reader.damaged + r->reader.insane + r->reader.lost;
    judge(c, b->load);
    b->load->cancel = &r->cancel;
    r->last_sent = b->load->last;
    b->unsent = (1u << c->workers) - 1;
    b->waiting = c->workers;
    load_send(c);
}

void restart_loaded(struct control *c, struct node_load *load)
{
    struct restart *r = c->restart;
    struct restart_batch *b = r->batch[0].load == load ? &r->batch[0] : &r->batch[1];
    if (--b->waiting)
        return;
    b->busy = false;
    /* nothing of a batch found room: what is left is colder still */
    uint64_t restored = restart_sum(c, "proxy_restored_total");
    uint64_t no_room = restart_sum(c, "proxy_restore_no_room_total");
    r->full |= restored == r->restored && no_room != r->no_room;
    r->restored = restored;
    r->no_room = no_room;
}

/* Nothing more is read; workers are told that what is begun has no end. */
bool restart_load_stopped(const struct restart *r)
{
    return r->full || atomic_load_explicit(&r->cancel, memory_order_relaxed);
}

void restart_load_poll(struct control *c, struct now now)
{
    struct restart *r = c->restart;
    load_send(c);
    if (r->running)
        return;
    bool busy = false;
    struct restart_batch *idle = NULL;
    for (unsigned i = 0; i < RESTART_BATCHES; i++) {
        busy |= r->batch[i].busy;
        if (!r->batch[i].busy)
            idle = &r->batch[i];
    }
    if (r->last_sent && !busy) {
        load_over(c, now);
    } else if (idle && !r->last_sent) {
        idle->busy = true;
        r->turn = idle;
        if (restart_load_stopped(r)) {
            idle->load->n = 0;
            idle->load->last = true;
            restart_load_give(c, idle);
            return;
        }
        r->reading = idle->load;
        restart_tell(r, TASK_READ);
    }
}

void restart_load_begin(struct control *c, struct now now)
{
    struct restart *r = c->restart;
    if (r->why && r->there)
        log_warning("warm: %s is not used: %s; it is written anew in time", r->path, r->why);
    if (r->why || !r->there) {
        if (r->why)
            snprintf(r->error, sizeof(r->error), "%s is not used: %s", r->path, r->why);
        r->phase = PHASE_IDLE;
        return;
    }
    r->file_there =
        r->purges == 0 && !restart_load_stopped(r); /* else a purge has taken it away by now */
    r->saved_s = r->reader.file.saved_s;
    r->file_objects = r->saved_objects = r->reader.file.records;
    r->saved_bytes = r->reader.file.bytes;
    for (unsigned i = 0; i < RESTART_BATCHES; i++) {
        r->batch[i].load = malloc(sizeof(*r->batch[i].load));
        if (!r->batch[i].load) {
            log_warning("warm: not enough memory to load %s", r->path);
            load_over(c, now);
            return;
        }
    }
}

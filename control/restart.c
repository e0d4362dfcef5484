/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/restart.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/log.h"
#include "control/restart_private.h"
#include "control/stats.h"

/* --- the thread ---------------------------------------------------------------------------- */

static void run_task(struct restart *r, enum restart_task task)
{
    switch (task) {
    case TASK_OPEN:
        r->why = restart_read_open(&r->reader, r->path, r->key, r->keys, r->wall_s, &r->there);
        break;
    case TASK_READ:
        restart_read(&r->reader, r->reading);
        break;
    case TASK_BEGIN:
        r->good = restart_write_begin(&r->writer, r->path, &r->key[0], r->limit);
        break;
    case TASK_WRITE:
        restart_save_write(r);
        break;
    case TASK_COMMIT:
        r->good = restart_save_commit(r);
        break;
    case TASK_END:
        restart_write_end(&r->writer);
        break;
    case TASK_NONE:
    case TASK_QUIT:
        break;
    }
}

static void *thread_main(void *ctx)
{
    struct restart *r = ctx;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    pthread_mutex_lock(&r->lock);
    while (r->task != TASK_QUIT) {
        if (r->task == TASK_NONE) {
            pthread_cond_wait(&r->told, &r->lock);
            continue;
        }
        enum restart_task task = r->task;
        pthread_mutex_unlock(&r->lock);
        run_task(r, task);
        pthread_mutex_lock(&r->lock);
        if (r->task != TASK_QUIT)
            r->task = TASK_NONE;
        r->done = true;
        eventfd_write(r->fd, 1);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

void restart_tell(struct restart *r, enum restart_task task)
{
    pthread_mutex_lock(&r->lock);
    r->task = r->task_out = task;
    r->running = true;
    pthread_cond_signal(&r->told);
    pthread_mutex_unlock(&r->lock);
}

static bool take_done(struct restart *r)
{
    eventfd_t n;
    eventfd_read(r->fd, &n);
    pthread_mutex_lock(&r->lock);
    bool done = r->done;
    r->done = false;
    pthread_mutex_unlock(&r->lock);
    if (done)
        r->running = false;
    return done;
}

/* --- what both need ------------------------------------------------------------------------ */

uint64_t restart_sum(const struct control *c, const char *name)
{
    struct worker_stats w[NODE_WORKERS] = {0};
    for (unsigned i = 0; i < c->workers; i++)
        node_stats(c->node, i, &w[i]);
    return stats_sum(w, c->workers, name);
}

uint64_t restart_changes(const struct control *c)
{
    return restart_sum(c, "cache_linked_total") + restart_sum(c, "cache_refreshed_total");
}

void restart_complain(struct restart *r, const char *what, int error)
{
    snprintf(r->error, sizeof(r->error), "%s: %s: %s", r->path, what, strerror(error));
    log_warning("%s; %s", r->error,
                error == ENOSPC || error == EDQUOT || error == EFBIG
                    ? "make room, lower cache.restart_size or move cache.restart_file"
                    : "see to that disk and folder, or move cache.restart_file");
}

/* RFC 9111 4.4: what unsafe requests have invalidated must not come back either. Workers forget it
 * before the client hears, and nothing of it is loaded; the file goes at control's next turn,
 * within a second. */
static void see_invalidations(struct control *c)
{
    struct restart *r = c->restart;
    struct worker_stats w;
    uint64_t n = 0;
    for (unsigned i = 0; i < c->workers; i++) {
        node_stats(c->node, i, &w);
        n += counter_read(&w.proxy->proxy_invalidations_total);
    }
    if (n == r->invalidations)
        return;
    r->invalidations = n;
    restart_purge_ends(c); /* loading goes on: owners skip what they were told to forget */
}

/* --- control's turns ----------------------------------------------------------------------- */

void restart_poll(struct control *c, struct now now)
{
    struct restart *r = c->restart;
    if (!r)
        return;
    see_invalidations(c);
    enum restart_task was = r->task_out;
    if (r->running && take_done(r)) {
        if (r->phase == PHASE_SAVING)
            restart_save_done(c, was, now);
        else if (was == TASK_OPEN)
            restart_load_begin(c, now);
        else if (was == TASK_READ)
            restart_load_give(c, r->turn);
    }
    if (r->phase == PHASE_LOADING)
        restart_load_poll(c, now);
    else if (r->phase == PHASE_SAVING)
        restart_save_poll(c, now);
    else if (!c->draining && now.mono_us >= r->next_us)
        restart_save_begin(c, now);
}

uint64_t restart_deadline_us(const struct control *c)
{
    const struct restart *r = c->restart;
    if (!r)
        return UINT64_MAX;
    for (unsigned i = 0; i < RESTART_BATCHES; i++)
        if (r->batch[i].unsent)
            return control_now().mono_us + RESTART_AGAIN_US;
    if (r->phase == PHASE_SAVING)
        return r->ask ? r->next_us : UINT64_MAX;
    return r->phase == PHASE_IDLE && !c->draining ? r->next_us : UINT64_MAX;
}

void restart_purge_begins(struct control *c)
{
    if (c->restart)
        atomic_store_explicit(&c->restart->cancel, true, memory_order_release);
}

void restart_purge_ends(struct control *c)
{
    struct restart *r = c->restart;
    bool there;
    if (!r)
        return;
    pthread_mutex_lock(&r->name_lock);
    r->purges++;
    bool gone = restart_remove(r->path, &there);
    int error = errno;
    pthread_mutex_unlock(&r->name_lock);
    if (there && gone)
        restart_sync_folder(r->path); /* once a file, so that a power failure keeps to it, too */
    if (!gone) {
        restart_complain(r, "cannot take it away after a purge", error);
        log_error("what was purged may be back after a crash; remove %s by hand", r->path);
    }
    r->file_there = false;
    uint64_t soon = control_now().mono_us + RESTART_PURGED_US;
    if (r->phase == PHASE_IDLE && r->interval_us && r->next_us > soon)
        r->next_us = soon;
}

/* --- begin and end ------------------------------------------------------------------------- */

/* systemd's folder for what outlives a run; none: it is off unless a file is named. */
static bool choose_path(const struct config *config, char out[static RESTART_PATH])
{
    const char *folder = getenv("STATE_DIRECTORY");
    if (!config->restart)
        return false;
    if (*config->restart_file)
        snprintf(out, RESTART_PATH, "%s", config->restart_file);
    else if (folder && *folder == '/')
        snprintf(out, RESTART_PATH, "%.300s/cache.restart", folder);
    else
        return false;
    return true;
}

/* Of each key that the cluster has: while one is changed, a file under the other is ours, too. A
 * node without a key has its address alone, and that nobody else may write the file. */
static void make_keys(struct restart *r, const struct control *c)
{
    static const uint8_t none[sizeof(c->config->key[0].key)];
    char self[ENDPOINT_TEXT];
    endpoint_text(&c->self.rpc, self);
    r->keys = c->config->keys ? c->config->keys : 1;
    for (unsigned i = 0; i < r->keys; i++)
        saved_key_make(&r->key[i], c->config->keys ? c->config->key[i].key : none, sizeof(none),
                       self);
}

void restart_start(struct control *c)
{
    char path[RESTART_PATH];
    struct now now = control_now();
    if (!choose_path(c->config, path))
        return;
    struct restart *r = calloc(1, sizeof(*r));
    if (!r) {
        log_warning("warm: not enough memory; nothing is kept over a restart");
        return;
    }
    memcpy(r->path, path, sizeof(path));
    make_keys(r, c);
    r->limit = c->config->restart_bytes ? c->config->restart_bytes : c->config->cache_bytes;
    r->interval_us = c->config->restart_interval_ms * 1000;
    r->began_us = now.mono_us;
    r->next_us = r->interval_us ? now.mono_us + r->interval_us : UINT64_MAX;
    r->wall_s = now.wall_s;
    r->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->name_lock, NULL);
    pthread_cond_init(&r->told, NULL);
    if (r->fd < 0 || pthread_create(&r->thread, NULL, thread_main, r) != 0) {
        log_warning("warm: no thread to be had; nothing is kept over a restart");
        if (r->fd >= 0)
            close(r->fd);
        free(r);
        return;
    }
    c->restart = r;
    r->phase = PHASE_LOADING;
    restart_tell(r, TASK_OPEN);
}

int restart_fd(const struct control *c)
{
    return c->restart ? c->restart->fd : -1;
}

void restart_stop(struct control *c, int signals)
{
    struct restart *r = c->restart;
    if (!r)
        return;
    see_invalidations(c);
    pthread_mutex_lock(&r->lock);
    r->task = TASK_QUIT;
    pthread_cond_signal(&r->told);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    restart_write_end(&r->writer);
    restart_read_end(&r->reader);
    for (unsigned i = 0; i < RESTART_BATCHES; i++)
        free(r->batch[i].load);
    if (r->phase == PHASE_LOADING && r->file_there && !restart_load_stopped(r))
        log_info("warm: stopped before %s was read: it is left as it was", r->path);
    else
        restart_save_at_stop(c, r, signals);
    c->restart = NULL;
    close(r->fd);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->name_lock);
    pthread_cond_destroy(&r->told);
    free(r);
}

json_t *restart_json(const struct control *c)
{
    const struct restart *r = c->restart;
    if (!r)
        return NULL;
    json_int_t age = r->file_there ? (json_int_t)(control_now().wall_s - r->saved_s) : -1;
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "file",
                     r->path, "state",
                     r->phase == PHASE_LOADING  ? "loading"
                     : r->phase == PHASE_SAVING ? "saving"
                                                : "idle",
                     "age_s", age, "objects", (json_int_t)(r->file_there ? r->saved_objects : 0),
                     "bytes", (json_int_t)(r->file_there ? r->saved_bytes : 0), "saves",
                     (json_int_t)r->saves, "save_failures", (json_int_t)r->save_failures, "loaded",
                     (json_int_t)(restart_sum(c, "proxy_restored_total") +
                                  restart_sum(c, "proxy_restore_again_total")),
                     "loaded_of", (json_int_t)r->file_objects, "too_old",
                     (json_int_t)restart_sum(c, "proxy_restore_old_total"), "no_room",
                     (json_int_t)restart_sum(c, "proxy_restore_no_room_total"), "refused",
                     (json_int_t)r->refused, "error", r->error);
}

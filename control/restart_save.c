/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects of this run to the file: beside the workers, and when they have stopped. */
#include <poll.h>
#include <systemd/sd-daemon.h>

#include "control/log.h"
#include "control/restart_private.h"

#define BACKOFF_US   (3600ull * 1000000) /* between tries at most, unless the interval is longer */
#define BYTES_US     64u                 /* a file that nobody waits for is written at 64 MB/s */
#define REST         4u                  /* and at most a fifth of the time */
#define EXTEND_BYTES (256u << 20)        /* so often systemd is told that the stop goes on */

/* --- the thread's -------------------------------------------------------------------------- */

void restart_save_write(struct restart *r)
{
    r->written = RESTART_WRITTEN;
    for (unsigned i = 0; i < r->save.n && r->written != RESTART_FAILED; i++) {
        if (!r->print[i]) /* of a site that is served no more */
            continue;
        r->written = restart_write(&r->writer, r->save.object[i], r->save.heat_of[i], r->print[i]);
        r->left_out += r->written == RESTART_LEFT_OUT;
        if (r->written == RESTART_FULL)
            return;
    }
}

/* False with no error in the writer: a purge came. */
bool restart_save_commit(struct restart *r)
{
    bool good = restart_write_finish(&r->writer, r->wall_s);
    pthread_mutex_lock(&r->name_lock);
    good = good && r->purges == r->purges_begun && restart_write_rename(&r->writer);
    pthread_mutex_unlock(&r->name_lock);
    if (good)
        restart_sync_folder(r->path);
    restart_write_end(&r->writer);
    return good;
}

/* --- beside the workers -------------------------------------------------------------------- */

static bool is_stale(const struct restart *r)
{
    return r->purges != r->purges_begun; /* control alone writes it */
}

static void save_schedule(struct restart *r, uint64_t now_us)
{
    uint64_t took_us = now_us - r->began_us;
    uint64_t wait_us =
        is_stale(r) && r->interval_us > RESTART_PURGED_US ? RESTART_PURGED_US : r->interval_us;
    for (unsigned i = 0; i < r->failures && wait_us < BACKOFF_US; i++)
        wait_us = 2 * wait_us < BACKOFF_US ? 2 * wait_us : BACKOFF_US;
    if (wait_us < REST * took_us)
        wait_us = REST * took_us;
    r->next_us = r->interval_us ? now_us + wait_us : UINT64_MAX;
}

static void save_over(struct restart *r, struct now now)
{
    r->phase = PHASE_IDLE;
    save_schedule(r, now.mono_us);
}

/* A file has been written, or not: the same at any time. */
static void save_result(struct restart *r, int64_t wall_s, uint64_t ms)
{
    if (r->good) {
        r->saves++;
        r->failures = 0;
        r->file_there = true;
        r->changes = r->changes_begun;
        r->saved_s = wall_s;
        r->saved_objects = r->writer.file.records;
        r->saved_bytes = r->writer.file.bytes;
        *r->error = '\0';
        log_info("warm: saved objects=%llu bytes=%llu ms=%llu damaged=%llu%s",
                 (unsigned long long)r->saved_objects, (unsigned long long)r->saved_bytes,
                 (unsigned long long)ms, (unsigned long long)r->left_out,
                 r->over_limit ? "; the coldest did not fit cache.restart_size" : "");
    } else if (r->writer.error) {
        r->failures++;
        r->save_failures++;
        restart_complain(r, "cannot write it", r->writer.error);
    }
}

void restart_save_begin(struct control *c, struct now now)
{
    struct restart *r = c->restart;
    uint64_t changes = restart_changes(c);
    r->began_us = now.mono_us;
    if (r->file_there && changes == r->changes) {
        save_schedule(r, now.mono_us);
        return;
    }
    r->phase = PHASE_SAVING;
    r->changes_begun = changes;
    pthread_mutex_lock(&r->name_lock);
    r->purges_begun = r->purges;
    pthread_mutex_unlock(&r->name_lock);
    r->save = (struct node_save){.heat = CACHE_HEAT_CLASSES - 1};
    r->worker = 0;
    r->left_out = 0;
    r->ending = r->over_limit = r->ask = false;
    restart_tell(r, TASK_BEGIN);
}

/* The next worker, the next class; false: there are none. */
static bool save_next(struct restart *r, unsigned workers)
{
    if (++r->worker == workers) {
        r->worker = 0;
        if (r->save.heat == 0)
            return false;
        r->save.heat--;
    }
    r->save.at = (struct cache_walk){0};
    return true;
}

static void print_batch(const struct control *c, struct restart *r)
{
    for (unsigned i = 0; i < r->save.n; i++) {
        char room[CACHE_KEY_MAX];
        size_t len;
        const char *key = cache_key(r->save.object[i], room, &len);
        r->print[i] = proxy_policy_print(c->view->policy, c->workers, key, len);
    }
}

void restart_saved(struct control *c, struct node_save *save)
{
    struct restart *r = c->restart;
    (void)save;
    if (r->save.n && !r->ending) {
        print_batch(c, r);
        restart_tell(r, TASK_WRITE);
        return;
    }
    r->wall_s = control_now().wall_s; /* no object that was shown is from later */
    if (r->save.n) {                  /* these pins have to go back, too */
        r->ask = true;
    } else if (r->ending) {
        restart_tell(r, r->over_limit && !is_stale(r) ? TASK_COMMIT : TASK_END);
    } else if (save_next(r, c->workers)) {
        r->ask = true;
    } else {
        restart_tell(r, is_stale(r) ? TASK_END : TASK_COMMIT);
    }
}

static void save_wrote(struct restart *r, struct now now)
{
    r->over_limit |= r->written == RESTART_FULL;
    r->ending |= r->over_limit || r->written == RESTART_FAILED || is_stale(r);
    r->ask = true;
    r->next_us = r->ending ? 0 : now.mono_us + r->save.bytes / BYTES_US;
}

void restart_save_done(struct control *c, enum restart_task task, struct now now)
{
    struct restart *r = c->restart;
    switch (task) {
    case TASK_BEGIN:
        if (!r->good) { /* nobody has pins of ours */
            restart_tell(r, TASK_END);
            return;
        }
        r->ask = true;
        r->next_us = 0;
        break;
    case TASK_WRITE:
        save_wrote(r, now);
        break;
    default:
        r->good &= task == TASK_COMMIT;
        save_result(r, now.wall_s, (now.mono_us - r->began_us) / 1000);
        save_over(r, now);
        break;
    }
}

void restart_save_poll(struct control *c, struct now now)
{
    struct restart *r = c->restart;
    struct message m = {.type = NODE_SAVE, .from = 0xffff, .ptr[0] = &r->save};
    if (!r->ask || r->running || now.mono_us < r->next_us)
        return;
    r->ending |= is_stale(r);
    r->save.enough = r->ending || r->save.at.over;
    r->ask = !node_command(c->node, r->worker, &m);
    if (r->ask)
        r->next_us = now.mono_us + RESTART_AGAIN_US;
}

/* --- when they have stopped --------------------------------------------------------------- */

static bool is_told(int signals)
{
    struct pollfd p = {.fd = signals, .events = POLLIN};
    return signals >= 0 && poll(&p, 1, 0) > 0;
}

/* All of one class and worker. False: it failed, is full, or was told to end. */
static bool stop_write(struct control *c, struct restart *r, struct now now, int signals)
{
    uint64_t next = r->writer.file.bytes + EXTEND_BYTES;
    while (!r->save.at.over) {
        r->save.n = 0;
        r->save.bytes = 0;
        while (!node_save_step(c->node, r->worker, &r->save, now))
            ;
        print_batch(c, r);
        restart_save_write(r);
        r->over_limit |= r->written == RESTART_FULL;
        if (r->written == RESTART_FAILED || r->over_limit || is_told(signals))
            return false;
        if (r->writer.file.bytes >= next) {
            sd_notify(0, "EXTEND_TIMEOUT_USEC=30000000");
            next = r->writer.file.bytes + EXTEND_BYTES;
        }
    }
    return true;
}

void restart_save_at_stop(struct control *c, struct restart *r, int signals)
{
    struct now now = control_now();
    uint64_t changes = restart_changes(c);
    if (r->file_there && changes == r->changes)
        return;
    r->changes_begun = changes;
    r->purges_begun = r->purges;
    r->left_out = 0;
    r->over_limit = false;
    r->save = (struct node_save){.heat = CACHE_HEAT_CLASSES - 1};
    r->worker = 0;
    r->wall_s = now.wall_s;
    bool more = restart_write_begin(&r->writer, r->path, &r->key[0], r->limit);
    while (more && stop_write(c, r, now, signals))
        more = save_next(r, c->workers);
    bool told = more && !r->over_limit && !r->writer.error;
    r->good = !r->writer.error && !told && restart_save_commit(r);
    restart_write_end(&r->writer);
    if (told)
        log_warning("warm: told to end at once: %s is left as it was", r->path);
    else
        save_result(r, now.wall_s, (control_now().mono_us - now.mono_us) / 1000);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The warm restart's own: what its files share. restart.h tells the whole. */
#ifndef CORAL_CONTROL_RESTART_PRIVATE_H
#define CORAL_CONTROL_RESTART_PRIVATE_H

#include <pthread.h>

#include "control/control.h"
#include "control/restart_file.h"

#define RESTART_BATCHES   2
#define RESTART_AGAIN_US  1000u     /* a worker's ring was full */
#define RESTART_PURGED_US 10000000u /* after a purge, until the next file is begun */

enum restart_task {
    TASK_NONE,
    TASK_OPEN,
    TASK_READ,
    TASK_BEGIN,
    TASK_WRITE,
    TASK_COMMIT,
    TASK_END,
    TASK_QUIT
};
enum restart_phase { PHASE_IDLE, PHASE_LOADING, PHASE_SAVING };

struct restart_batch {
    struct node_load *load; /* NULL: no memory for it */
    uint32_t unsent;        /* workers that have not been told */
    unsigned waiting;       /* workers that have not answered */
    bool busy;              /* being read, or at the workers */
};

struct restart {
    char path[RESTART_PATH];
    struct saved_key key[CONFIG_KEYS];
    unsigned keys;
    uint64_t limit, interval_us; /* 0: only at the stop */

    /* the thread */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told;
    enum restart_task task; /* under `lock` */
    bool done;              /* under `lock`: the result is there and not taken */
    int fd;                 /* written when `done` */
    bool running;           /* control's: a task is out, this one */
    enum restart_task task_out;

    /* the running task's; else control's */
    struct restart_writer writer;
    struct restart_reader reader;
    struct node_load *reading;
    struct node_save save;
    uint64_t print[NODE_SAVE_OBJECTS];
    enum restart_written written;
    uint64_t left_out;
    const char *why; /* not opened; NULL: it is */
    bool there;
    bool good;
    int64_t wall_s;

    /* control's */
    enum restart_phase phase;
    uint64_t next_us; /* when the next file is begun, or the next batch is asked for */
    uint64_t began_us;
    unsigned failures;

    unsigned worker; /* saving: whose objects are written */
    bool ask, ending, over_limit;
    uint64_t changes, changes_begun; /* of the cache, at the last file and at this one's begin */
    bool file_there;                 /* under its name, with all that was there at `changes` */

    struct restart_batch batch[RESTART_BATCHES];
    struct restart_batch *turn; /* being read */
    uint8_t owner;              /* of the object whose pieces come */
    _Atomic bool cancel;
    bool full, last_sent;
    uint64_t refused, unreadable; /* records; those of them that the reader refused */
    uint64_t restored, no_room;   /* when the last batch came back */

    /* A file gets its name only under this lock, and only when no purge has come since its begin.
     */
    pthread_mutex_t name_lock;
    uint64_t purges, purges_begun;
    uint64_t invalidations; /* of the workers, as seen */

    /* for the status */
    int64_t saved_s;
    uint64_t saved_objects, saved_bytes, file_objects, saves, save_failures;
    char error[512];
};

/* restart.c */
void restart_tell(struct restart *r, enum restart_task task); /* none runs */
uint64_t restart_sum(const struct control *c, const char *counter);
/* Grows whenever the cache gets what a file has not. */
uint64_t restart_changes(const struct control *c);
void restart_complain(struct restart *r, const char *what, int error);

/* restart_load.c */
void restart_load_begin(struct control *c, struct now now); /* the file has been opened, or not */
void restart_load_give(struct control *c, struct restart_batch *b); /* a batch has been read */
void restart_load_poll(struct control *c, struct now now);
/* Nothing more is to be read: a purge came, or the cache is full. */
bool restart_load_stopped(const struct restart *r);

/* restart_save.c */
void restart_save_begin(struct control *c, struct now now);
void restart_save_done(struct control *c, enum restart_task task, struct now now);
void restart_save_poll(struct control *c, struct now now);
void restart_save_at_stop(struct control *c, struct restart *r, int signals);
/* The thread's. */
void restart_save_write(struct restart *r);
bool restart_save_commit(struct restart *r); /* false with no error in the writer: a purge came */

#endif

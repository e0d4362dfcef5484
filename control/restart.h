/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The warm restart: objects go to a file at a graceful stop, and now and then before, and come back
 * at the next start while the node serves already.
 *
 *   saving    worker: walks, pins a batch --NODE_SAVED--> control --WRITE--> thread: file beside
 *             worker: unpins, walks on <---NODE_SAVE---- control <--done---     ... fsync, rename
 *   loading   thread: READ a batch, MACs -done-> control: policy, owner -NODE_LOAD-> all workers
 *
 * The thread does what may block (reads, writes, fsync) and nothing else, one task at a time; it
 * touches a task's memory between being told and telling, control outside of that (the mutex orders
 * both). No worker waits for it. Objects of a purge must not come back: it stops the loading before
 * the workers are told, and takes the file away before it is answered, and no file that was begun
 * before gets the name. What an unsafe request invalidates (RFC 9111 4.4) takes the file away
 * within a second: a node killed before that may have it back.
 */
#ifndef CORAL_CONTROL_RESTART_H
#define CORAL_CONTROL_RESTART_H

#include <jansson.h>

#include "base/now.h"

struct control;
struct node_save;
struct node_load;

/* Before control's loop: begins to load. Nothing where it is off or cannot be (a line says why). */
void restart_start(struct control *c);
int restart_fd(const struct control *c); /* readable when there is something to do; -1: never */
void restart_poll(struct control *c, struct now now);
uint64_t restart_deadline_us(const struct control *c);
void restart_saved(struct control *c, struct node_save *save);  /* NODE_SAVED */
void restart_loaded(struct control *c, struct node_load *load); /* NODE_LOADED */

/* Around every purge, whatever it names: before its first worker is told, and when it has been
 * done, before it is answered. After the second no object that was here before is loaded, nor will
 * be at a later start. */
void restart_purge_begins(struct control *c);
void restart_purge_ends(struct control *c);

/* The workers have stopped: writes what they have, unless the signalfd `signals` says to end at
 * once. */
void restart_stop(struct control *c, int signals);
json_t *restart_json(const struct control *c); /* NULL: it is off */

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `coralctl reload`: the configuration is read anew, and what of it can be taken over by a node
 * that runs is, at once, or nothing.
 *
 *   a thread of its own: load_read, with the compilers -> mistakes: told; what is in force stays
 *     -> control_publish_policy: a new view -> when no worker uses the old policy: answered
 *
 * A thread, since a large file and a deny list take longer than the cluster may hear nothing of us.
 * Nothing is shared with it while it runs but the configuration in force, which nobody changes.
 */
#ifndef CORAL_CONTROL_RELOAD_H
#define CORAL_CONTROL_RELOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct control;
struct request;
struct reload;

/* For `status`. */
struct reload_last {
    int64_t at_s;      /* when a configuration was taken over, wall clock; 0: at the start */
    int64_t refused_s; /* when the last one that came after it was not; 0: there is none */
    unsigned errors;   /* in that */
    uint64_t number;   /* of the configuration in force */
    json_t *restart;   /* paths of what its file has otherwise since; NULL: nothing */
};

/* {"file", "since"}, what of the file has to wait for a restart, "restart", and of the last reload
 * that failed since: "refused", "errors". */
json_t *control_reload_json(const struct control *c);

void control_reload_begin(struct control *c, uint32_t client, const struct request *r);
bool control_reload_busy(const struct control *c);
void control_reload_poll(struct control *c);
uint64_t control_reload_deadline_us(const struct control *c, uint64_t now_us);
/* The workers have stopped. A reader that has not ended in a second is left to itself. */
void control_reload_stop(struct control *c);

#endif

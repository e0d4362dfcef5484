/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The access log: a thread of its own takes the workers' records, so that a disk that is slow holds
 * up nobody but it, writes them to a file, the journal or both, and keeps the latest in memory for
 * `coralctl log`. What it does not come to take in time is dropped by the workers.
 *
 *   access.c         the thread, the journal      access_recent.c  the latest, for coralctl
 *   access_format.c  a record as a line           access_filter.c  what coralctl wants to see
 *   access_file.c    the file, its rotation
 */
#ifndef CORAL_CONTROL_ACCESS_H
#define CORAL_CONTROL_ACCESS_H

#include <jansson.h>

#include "control/access_filter.h"
#include "control/config.h"
#include "control/counters.h"
#include "dataplane/worker/node.h"

struct access;

#define ACCESS_JOURNAL "/run/systemd/journal/socket"
#define ACCESS_NO_JOURNAL                                                                          \
    "there is no journal here (" ACCESS_JOURNAL "); leave it out: log.access.file names a file"

/* Opens the file that the configuration names, if any. NULL with one line in `error`. */
struct access *access_new(const struct config *config, char *error, size_t len);
/* Begins, before or after the workers. SIGHUP is blocked in all threads: this one takes it, and
 * opens the file anew. False: no thread. `a` stays the caller's. */
bool access_start(struct access *a, struct node *node, unsigned workers);
/* The workers have ended: takes what they left, and ends. NULL is fine. */
void access_stop(struct access *a);

/* Has the file opened anew; returns what access_reopened is asked with. */
uint32_t access_reopen(struct access *a);
/* Whether that is done; `error`: "" or why it could not be. */
bool access_reopened(struct access *a, uint32_t ticket, char *error, size_t len);

/* Has all records taken that there are, of requests that were over by now; returns what
 * access_gathered is asked with, which says when that is done. */
uint32_t access_gather(struct access *a);
bool access_gathered(struct access *a, uint32_t ticket);

/* What `coralctl log` asks: of the records from number `after` on those that match, the oldest
 * `most`; without `follow`, the latest. Whoever asks has records gathered for some seconds, though
 * no file or journal is configured. {"ok", "next", "missed", "more", "begun", "records"}; "begun":
 * nothing was noted before this question. */
struct access_ask {
    struct access_filter filter;
    bool follow;
    uint64_t after;
    unsigned most; /* 0: ACCESS_ASK_USUAL */
};
#define ACCESS_ASK_USUAL 20u
json_t *access_recent_json(struct access *a, const struct access_ask *ask);

/* For `status`: {"format", "file", "journal", "lines", "dropped"}, with what workers dropped; NULL:
 * none is configured. */
json_t *access_json(const struct access *a, uint64_t worker_dropped);
const struct log_counters *access_counters(const struct access *a);

#endif

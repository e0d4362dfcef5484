/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that answer requests share: jobs.c's, for those with files of their own. */
#ifndef CORAL_CONTROL_JOBS_H
#define CORAL_CONTROL_JOBS_H

#include "control/control.h"

/* NULL: too many at once. */
struct job *job_new(struct control *c, uint32_t client, const struct request *r,
                    uint64_t deadline_us);
struct job *job_find(struct control *c, uint32_t serial);
void job_end(struct control *c, struct job *j, json_t *answer);
/* Answers so when every worker has been between two turns since now. */
void job_end_passed(struct control *c, struct job *j, uint64_t token, json_t *answer);
/* What the request itself has wrong: coralctl ends with 2. */
void refuse_wrong(struct control *c, uint32_t client, const char *error);
/* A URL that a person gave in a request, as the proxy has it; returns its length, 0 after an
 * answer. */
size_t job_url(struct control *c, uint32_t client, const struct request *r, const char *given,
               char *url, size_t room);

/* Asks all workers to fill what begins as `question`, and answers with what those say who have done
 * so in time (status, tcp, origins). */
void jobs_ask(struct control *c, uint32_t client, const struct request *r, uint64_t wait_us,
              uint16_t type, const void *question, size_t len);

/* purge.c */
void purge_begin(struct control *c, uint32_t client, const struct request *r);

#endif

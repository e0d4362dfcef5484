/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a run may be believed: what was measured is held to what the kernel counted, and what
 * went wrong is told by its class. */
#ifndef CORAL_PERF_HONEST_H
#define CORAL_PERF_HONEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define HONEST_SHARE  0.1  /* of the busy time, by which the two accounts may differ, */
#define HONEST_EMPTY  0.02 /* and of the empty polls', which are timed one by one */
#define HONEST_CLIENT 0.7  /* from so busy a client on the figure may be the client's */

/* Classes of errors: name, and what is counted. */
#define PERF_ERRORS(X)                                                                             \
    X(status, "answers with another status")                                                       \
    X(head, "heads that are none, or of another length")                                           \
    X(body, "bodies of a sample that differ")                                                      \
    X(closed, "connections that the server closed")                                                \
    X(reset, "connections that it reset")                                                          \
    X(timeout, "connections that died of silence; queries without an answer for a second")         \
    X(refused, "connections and queries that were refused")                                        \
    X(truncated, "answers that did not fit (DNS)")                                                 \
    X(wrong_id, "answers to what nobody asked, or had given up (DNS)")                             \
    X(send, "requests that found no room in a queue")                                              \
    X(lost, "answers that the server counts and the client does not, or the other way round")      \
    X(stalled, "seconds without an answer; connections without one, all the time")                 \
    X(queue, "segments that came to another worker's queue")                                       \
    X(repeated, "segments that were sent again, though nothing was lost")

enum perf_error {
#define X(name, text) PERF_ERROR_##name,
    PERF_ERRORS(X)
#undef X
        PERF_ERROR_CLASSES
};

struct perf_errors {
    uint64_t n[PERF_ERROR_CLASSES];
};

uint64_t errors_total(const struct perf_errors *e);
/* {class: count} of all classes. */
json_t *errors_json(const struct perf_errors *e);
/* "3 status, 1 reset"; "none". */
void errors_text(const struct perf_errors *e, char *out, size_t len);

/* The worker's time by two accounts. */
struct account {
    double cpu_s;   /* the kernel's, of its thread; below 0: it is not the worker's alone */
    double empty_s; /* of it, polls that found nothing */
    double ops_s;   /* operations times what one costs */
};
/* Of cpu_s - empty_s, how much the operations are. */
double account_share(const struct account *a);
/* Do they agree? Where nothing was held against it, they do. */
bool account_agrees(const struct account *a);

#endif

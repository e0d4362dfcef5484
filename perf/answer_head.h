/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of an answer as a load's client reads it: where it ends, its status, its length. The
 * server is not ours: anything may stand there. */
#ifndef CORAL_PERF_ANSWER_HEAD_H
#define CORAL_PERF_ANSWER_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_HEAD_MAX     1024       /* bytes of a head, at most */
#define ANSWER_HEAD_UNKNOWN UINT64_MAX /* there is no Content-Length that is a number */

struct answer_head {
    size_t len;      /* with the empty line */
    unsigned status; /* 0: this is no head of HTTP/1.1 */
    uint64_t body;   /* Content-Length; ANSWER_HEAD_UNKNOWN */
};

/* False: it is not whole, and never will be if `len` is ANSWER_HEAD_MAX or more. Nothing behind the
 * head is looked at: in a frame that is in parts, what lies there is not of the answer. */
bool answer_head_read(const uint8_t *data, size_t len, struct answer_head *out);

#endif

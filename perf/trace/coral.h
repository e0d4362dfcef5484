/* SPDX-License-Identifier: BSD-3-Clause */
/* What the model of cache/ takes for granted; its test gives the real one the same. */
#ifndef CORAL_PERF_CORAL_H
#define CORAL_PERF_CORAL_H

#define CORAL_HEAD_BYTES  512u   /* an object's key and head */
#define CORAL_PIECE_BYTES 65536u /* of a body that is appended at once */

#endif

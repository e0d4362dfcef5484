/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a node keeps over restarts, as a file: its incarnation, its clusters, whom to ask.
 *
 *   {"version": 1, "address": "192.0.2.10:8053", "saved_s": 1767225600, "incarnation": 1767220000,
 *    "clusters": [{"level": 1, "cluster": "00f3...", "size": 24, "age_s": 7200}, ...],
 *    "contacts": ["192.0.2.11:8053", ...]}
 */
#ifndef CORAL_CONTROL_STATE_H
#define CORAL_CONTROL_STATE_H

#include "dht/dht.h"

enum state_found {
    STATE_GOOD,
    STATE_NONE, /* there is no file */
    STATE_BAD,  /* broken, or of another node: a sentence in `why` */
};

/* Reads the state of the node with RPC address `self`; *saved_s is when it was saved, wall clock.
 * Whatever stands in the file, only a whole and sane one is good. */
enum state_found state_read(const char *path, const struct endpoint *self, struct dht_saved *out,
                            int64_t *saved_s, char *why, size_t why_len);
/* Writes it beside and renames: a reader finds the old one or the new one. It is not flushed to the
 * disk: after a power failure it may be broken, and is ignored then. */
bool state_write(const char *path, const struct endpoint *self, const struct dht_saved *state,
                 int64_t saved_s, char *why, size_t why_len);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* "did you mean": the known word nearest to one that was mistyped. */
#ifndef CORAL_CONTROL_NEAREST_H
#define CORAL_CONTROL_NEAREST_H

#include <stddef.h>

/* Edits that turn a into b: insertions, deletions, changes, and swaps of neighbours count 1 each
 * (optimal string alignment; case is ignored). Words longer than 64 differ by 64 at least. */
unsigned nearest_distance(const char *a, const char *b);

/* The word of words[0..n) with the least distance (the first of several), NULL when even that
 * one is no likely slip: more than a third of its letters, at least 1. A known word that `word`
 * begins, or that begins `word`, counts as one edit. */
const char *nearest_word(const char *word, const char *const *words, size_t n);

#endif

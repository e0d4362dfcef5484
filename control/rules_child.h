/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expressions are compiled by a process of its own, which may take long, grow or crash without
 * harm to the node: corald itself, called with --compile-rules.
 *
 *   parent --memfd: secret, expressions--> child --memfd: database, or what is wrong--> parent
 *                                            +---> FOLDER/rules-HASH.hs, for the next time
 *
 * The file's name is of the expressions and the library's version. What is in it is used when its
 * MAC is right: the library doesn't check what it is given.
 */
#ifndef CORAL_CONTROL_RULES_CHILD_H
#define CORAL_CONTROL_RULES_CHILD_H

#include <sys/types.h>

#include "dataplane/rules/rules.h"

#define RULES_CHILD_OPTION "--compile-rules"
#define RULES_CHILD_CHECK  "check" /* behind the file: nothing is made, mistakes are told */
#define RULES_CHILD_PATH   320
#define RULES_CHILD_FILES  8 /* that are kept in a folder */

/* How and for whom it is done. */
struct rules_maker {
    const char *program; /* corald */
    char folder[256];    /* "": nothing is kept */
    uint8_t secret[32];
    uint64_t limit_us;
    unsigned workers;
};

struct rules_child {
    pid_t pid;  /* 0: none runs */
    pid_t left; /* 0: none; was killed, and has not ended yet */
    int out;    /* memfd of the answer */
    uint64_t until_us;
};

enum rules_end {
    RULES_RUNS,
    RULES_LOADED,
    RULES_WRONG,  /* expressions are: told */
    RULES_FAILED, /* a sentence in `error` */
};

/* The child is zero, or as rules_make_stop left it. Loads a set from its folder's file, or begins
 * to compile it: RULES_LOADED, RULES_RUNS, RULES_FAILED. Of a set that is wrong the expressions are
 * looked at only, and it ends with RULES_WRONG. */
enum rules_end rules_make(struct rules_child *k, struct rules_set *s, const struct rules_maker *m,
                          uint64_t now_us, char *error, size_t error_len);
/* To be called each few ms while it runs, with the same set. */
enum rules_end rules_make_poll(struct rules_child *k, struct rules_set *s,
                               const struct rules_maker *m, uint64_t now_us, rules_tell *tell,
                               void *ctx, char *error, size_t error_len);
/* Ends it and forgets it; waits for that for 20 ms at most. */
void rules_make_stop(struct rules_child *k);
/* The same in one go: waits. */
enum rules_end rules_make_now(struct rules_set *s, const struct rules_maker *m, rules_tell *tell,
                              void *ctx, char *error, size_t error_len);

/* An image: a database with its MAC. Checks it and loads the set with it. Pure but for memory. */
bool rules_image_load(const uint8_t *image, size_t len, struct rules_set *s,
                      const struct rules_maker *m);
/* Its head for these bytes. */
#define RULES_IMAGE_HEAD 80
void rules_image_head(uint8_t head[static RULES_IMAGE_HEAD], const uint8_t key[static RULES_KEY],
                      const uint8_t secret[static 32], const char *bytes, size_t len);

/* The child's whole life; its exit status. */
int rules_child_main(int argc, char **argv);

#endif

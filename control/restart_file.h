/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The restart file on disk, by cache/saved.h: written beside and renamed, so that whoever looks
 * finds the old one or the new one, whole, whenever the node is killed; read in pieces and never
 * believed before its MACs are right. It is read rather than mapped: a file that shrinks under a
 * mapping ends the process by SIGBUS, and one that changes would change behind its MAC.
 *
 * A value each, used by one thread at a time.
 */
#ifndef CORAL_CONTROL_RESTART_FILE_H
#define CORAL_CONTROL_RESTART_FILE_H

#include <stdio.h>

#include "cache/saved.h"
#include "dataplane/worker/node.h"

#define RESTART_PATH   320
#define RESTART_BUFFER (256u << 10) /* between us and the file: the struct is large for that */

/* --- writing ------------------------------------------------------------------------------- */

struct restart_writer {
    char path[RESTART_PATH], beside[RESTART_PATH + 8];
    const struct saved_key *key;
    struct saved_file file;
    uint64_t limit; /* bytes that the file may have */
    FILE *out;      /* NULL: not begun */
    int error;      /* errno of what failed first; 0: nothing */
    char buffer[RESTART_BUFFER];
};

enum restart_written {
    RESTART_WRITTEN,
    RESTART_LEFT_OUT, /* a chunk's checksum is wrong: it stays out */
    RESTART_FULL,     /* it would be longer than the limit */
    RESTART_FAILED,   /* errno is in ->error; only restart_write_end may follow */
};

/* Creates the file beside `path`, mode 0600. False: ->error. */
bool restart_write_begin(struct restart_writer *w, const char *path, const struct saved_key *key,
                         uint64_t limit);
/* A complete object that is pinned, or whose owner stands still. `policy` is what
 * proxy_policy_print says of its key. */
enum restart_written restart_write(struct restart_writer *w, const struct cache_object *o,
                                   unsigned heat, uint64_t policy);
/* The head, and all of it to the disk; not yet under its name. False: ->error. */
bool restart_write_finish(struct restart_writer *w, int64_t wall_s);
/* After restart_write_finish: it takes the name. False: ->error. */
bool restart_write_rename(struct restart_writer *w);
/* Closes; what has not been renamed is removed. At any time, more than once. */
void restart_write_end(struct restart_writer *w);
/* Has the folder's entries on the disk. */
void restart_sync_folder(const char *path);
/* Takes a file out of use for good: removed, else emptied. False: errno. True also when there is
 * none; `there` says whether there was. */
bool restart_remove(const char *path, bool *there);

/* --- reading ------------------------------------------------------------------------------- */

struct restart_reader {
    FILE *in; /* NULL: not open */
    struct saved_file file;
    uint64_t number, left; /* of the next record; bytes of the file from there on */
    bool over;

    /* the record that is being read */
    bool headed; /* its head has been, its key not */
    bool begun;  /* its key has been, its body not all */
    uint64_t body_left;
    uint8_t head[SAVED_HEAD];
    struct saved_record record;
    struct saved_sum sum;

    uint64_t damaged, insane,
        lost; /* records: MAC wrong; values out of range; not found any more */
    char buffer[RESTART_BUFFER];
};

/* Opens and judges. NULL, or why not: a sentence. *there: there is such a file. */
const char *restart_read_open(struct restart_reader *r, const char *path,
                              const struct saved_key *keys, unsigned n, int64_t wall_s,
                              bool *there);
/* Fills a batch with the next pieces; `owner` is left to the caller. Sets ->over when there are no
 * more after it. */
void restart_read(struct restart_reader *r, struct node_load *l);
void restart_read_end(struct restart_reader *r);

#endif

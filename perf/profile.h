/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-perf profile: the cost of an operation by stage: of the processor's counters, of samples of
 * its time, or of instructions that callgrind counts.
 *
 *   profile.c         the command line, the table
 *   profile_run.c     a run under perf, or under valgrind
 *   profile_read.c    callgrind's file
 *   profile_sample.c  perf's samples; flame.h draws them
 *   profile_stage.c   which stage a function is of
 */
#ifndef CORAL_PERF_PROFILE_H
#define CORAL_PERF_PROFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "perf/flame.h"

#define PROFILE_STAGES(X)                                                                          \
    X(rx, "frames in, and whose they are")                                                         \
    X(tx, "frames out")                                                                            \
    X(port, "packet buffers, rings")                                                               \
    X(worker, "poll loop, messages")                                                               \
    X(net, "Ethernet, IP, UDP, sums")                                                              \
    X(tcp_in, "TCP: segments in")                                                                  \
    X(tcp_out, "TCP: segments out")                                                                \
    X(timers, "timers")                                                                            \
    X(http, "HTTP heads")                                                                          \
    X(proxy, "a request's life, rules")                                                            \
    X(cache, "cache")                                                                              \
    X(dns, "DNS")                                                                                  \
    X(dht, "index")                                                                                \
    X(base, "hashes, random numbers, counters")                                                    \
    X(bytes, "libc's copies and comparisons")                                                      \
    X(crypto, "libsodium, IPsec_MB")                                                               \
    X(other, "what is not known")

enum profile_stage {
#define X(name, text) PROFILE_##name,
    PROFILE_STAGES(X)
#undef X
        PROFILE_STAGE_COUNT
};

enum profile_event { PROFILE_CYCLES, PROFILE_NS, PROFILE_INSTRUCTIONS, PROFILE_EVENTS };

struct profile {
    uint64_t count[PROFILE_EVENTS][PROFILE_STAGE_COUNT];
    uint64_t samples; /* 0: all was counted */
    double ops;       /* 0: not known */
};

/* argv[0] is "profile", of main's own. Returns the exit status. */
int profile_main(int argc, char **argv);

/* --- profile_run.c: both false if it failed, which was said ------------------------------------
 */

/* Does the processor count cycles for us? */
bool profile_counters(void);
/* coral-perf with these words, worker and load in turns on one core, under callgrind; */
bool profile_callgrind(int argc, char **argv, struct profile *p);
/* or sampled by perf, by its counters or else by time; with a `flame` into that, too. */
bool profile_perf(int argc, char **argv, struct profile *p, struct flame *flame);

/* Adds up what a callgrind file has. False, and said on standard error: it is none. */
bool profile_read(const char *path, uint64_t instructions[PROFILE_STAGE_COUNT]);
/* Adds up the samples of worker_poll. False: no memory. */
bool profile_read_samples(FILE *f, struct profile *p, struct flame *flame);
/* By the source file, where debug information tells it ("???" or "": unknown), else by the
 * function's name, else by the object file. */
enum profile_stage profile_stage_of(const char *file, const char *function, const char *object);

#endif

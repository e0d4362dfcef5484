/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-perf profile: the instructions of an operation by stage, from what callgrind counts.
 *
 *   profile.c         the command line; a run under valgrind
 *   profile_read.c    callgrind's file
 *   profile_stage.c   which stage a function is of
 */
#ifndef CORAL_PERF_PROFILE_H
#define CORAL_PERF_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#define PROFILE_STAGES(X)                                                                          \
    X(port, "rx, tx, packet buffers")                                                              \
    X(worker, "poll loop, sorting, frames out")                                                    \
    X(net, "Ethernet, IP, UDP, sums")                                                              \
    X(tcp, "TCP")                                                                                  \
    X(http, "HTTP heads")                                                                          \
    X(proxy, "a request's life, rules")                                                            \
    X(cache, "cache")                                                                              \
    X(dns, "DNS")                                                                                  \
    X(dht, "index")                                                                                \
    X(base, "hashes, random numbers, timers, counters")                                            \
    X(bytes, "libc's copies and comparisons")                                                      \
    X(crypto, "libsodium, IPsec_MB")                                                               \
    X(other, "what is not known")

enum profile_stage {
#define X(name, text) PROFILE_##name,
    PROFILE_STAGES(X)
#undef X
        PROFILE_STAGE_COUNT
};

/* argv[0] is "profile", of main's own. Returns the exit status. */
int profile_main(int argc, char **argv);

/* Adds up what a callgrind file has. False, and said on standard error: it is none. */
bool profile_read(const char *path, uint64_t instructions[PROFILE_STAGE_COUNT]);
/* By the source file, where debug information tells it ("???" or "": unknown), else by the
 * function's name, else by the object file. */
enum profile_stage profile_stage_of(const char *file, const char *function, const char *object);

#endif

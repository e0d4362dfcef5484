/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thousands of drawn lives of two engines, one with short cuts and one without (twins.h): what the
 * fuzzer does, with every compiler and build that the unit tests run in.
 *
 *   tcp-plain [--lives N] [--seed S] [--trace]     N lives from seed S on (default 4000 from 1)
 *   tcp-plain FILE...                              of inputs of the fuzzer, told
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tcp/twins.h"

/* These told the two apart: who is looked at first by a poll, who waits for a block. */
static const uint64_t once[] = {15510, 22343, 32171};

static uint8_t life[TWINS_HEAD + TWINS_MAX * TWINS_STEP];

static int play(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 2;
    }
    size_t n = fread(life, 1, sizeof(life), f);
    fclose(f);
    const char *why = twins_live(life, n, stdout);
    printf("%s: %s\n", path, why ? why : "no difference");
    return why ? 1 : 0;
}

static bool differs(uint64_t seed, FILE *trace)
{
    const char *why = twins_live(life, twins_draw(seed, life, sizeof(life)), trace);
    if (why)
        printf("FAILED life %" PRIu64 ": %s\n", seed, why);
    return why != NULL;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, lives = 4000, failed = 0;
    FILE *trace = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            trace = stdout;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--lives") == 0 && i + 1 < argc)
            lives = strtoull(argv[++i], NULL, 10);
        else
            return play(argv[i]);
    }
    for (unsigned i = 0; i < sizeof(once) / sizeof(once[0]); i++)
        failed += differs(once[i], NULL);
    for (uint64_t s = seed; s < seed + lives && failed < 10; s++)
        failed += differs(s, trace);
    printf("%" PRIu64 " lives from seed %" PRIu64 ", %" PRIu64 " failed\n", lives, seed, failed);
    return failed ? 1 : 0;
}

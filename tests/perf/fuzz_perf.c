/* SPDX-License-Identifier: BSD-3-Clause */
/* What coral-perf reads that others wrote: callgrind's files, percentiles, documents, and the heads
 * of answers of a server that is not ours. The first byte says which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "perf/compare.h"
#include "perf/answer_head.h"
#include "perf/perf.h"
#include "perf/plot.h"
#include "perf/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* options.c's, which needs all of coral-perf. */
int perf_refuse(const char *what, const char *value, const char *remedy)
{
    (void)what, (void)value, (void)remedy;
    return STATUS_USAGE;
}

struct file {
    int fd;
    char path[32];
};

static struct file file_of(const uint8_t *data, size_t len)
{
    struct file f = {.fd = memfd_create("fuzz", 0)};
    snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
    if (f.fd < 0 || write(f.fd, data, len) != (ssize_t)len)
        abort();
    return f;
}

static void read_profile(const uint8_t *data, size_t len)
{
    uint64_t instructions[PROFILE_STAGE_COUNT] = {0};
    struct file f = file_of(data, len);
    profile_read(f.path, instructions);
    close(f.fd);
}

/* What perf writes of samples, and the graph of it. */
static void read_samples(const uint8_t *data, size_t len)
{
    struct profile p = {0};
    struct flame flame = {0};
    struct file f = file_of(data, len);
    FILE *in = fopen(f.path, "r"), *out = fopen("/dev/null", "w");
    if (!in || !out || !profile_read_samples(in, &p, &flame) || !flame_write(&flame, "a", out))
        abort();
    flame_free(&flame);
    fclose(in);
    fclose(out);
    close(f.fd);
}

static void plot(const uint8_t *data, size_t len, bool percentiles)
{
    struct file f = file_of(data, len);
    struct plot p = {.file = {f.path}, .files = 1};
    char *script = NULL;
    size_t n;
    FILE *out = open_memstream(&script, &n);
    if (percentiles)
        plot_percentiles(&p, out);
    else
        plot_points(&p, out);
    fclose(out);
    free(script);
    close(f.fd);
}

/* Two files, cut where the first byte says. */
static void compare(const uint8_t *data, size_t len, bool json)
{
    size_t n = len ? (len - 1) * data[0] / 255 : 0;
    struct file a = file_of(data + (len > 0), n),
                b = file_of(data + (len > 0) + n, len - (len > 0) - n);
    char compare_word[] = "compare", json_word[] = "--json";
    char *words[] = {compare_word, a.path, b.path, json_word};
    compare_main(json ? 4 : 3, words);
    close(a.fd);
    close(b.fd);
}

/* A head ends where it ends: none of its beginnings is one, and what stands behind it is not looked
 * at. */
static void read_head(const uint8_t *data, size_t len)
{
    struct answer_head head, again;
    uint8_t *copy = malloc(len ? len : 1); /* its own piece, so that ASan sees its end */
    if (len)
        memcpy(copy, data, len);
    if (answer_head_read(copy, len, &head)) {
        if (head.len > len || head.len > ANSWER_HEAD_MAX || head.len < 4 ||
            memcmp(copy + head.len - 4, "\r\n\r\n", 4) != 0 || head.status > 999 ||
            answer_head_read(copy, head.len - 1, &again))
            abort();
        copy = realloc(copy, head.len);
        if (!answer_head_read(copy, head.len, &again) || head.len != again.len ||
            head.status != again.status || head.body != again.body)
            abort();
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    switch (data[0] % 6) {
    case 0:
        read_profile(data + 1, len - 1);
        break;
    case 1:
        plot(data + 1, len - 1, true);
        break;
    case 2:
        plot(data + 1, len - 1, false);
        break;
    case 3:
        compare(data + 1, len - 1, data[0] & 8);
        break;
    case 4:
        read_samples(data + 1, len - 1);
        break;
    default:
        read_head(data + 1, len - 1);
    }
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The child: reads expressions, compiles them, writes the image or what is wrong. */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/rules_child.h"

enum { IN = 0, OUT = 1 }; /* memfds of the parent's */

struct job {
    uint8_t secret[32], key[RULES_KEY];
    const char *expression[RULES_EXPRESSIONS];
    unsigned n;
};

/* Secret, key, then the expressions, each with its NUL. */
static bool job_read(struct job *j)
{
    struct stat st;
    size_t head = sizeof(j->secret) + sizeof(j->key);
    if (fstat(IN, &st) < 0 || (size_t)st.st_size <= head)
        return false;
    const char *text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, IN, 0);
    const char *end = text + st.st_size;
    if (text == MAP_FAILED || end[-1] != 0)
        return false;
    memcpy(j->secret, text, sizeof(j->secret));
    memcpy(j->key, text + sizeof(j->secret), sizeof(j->key));
    for (const char *at = text + head; at < end; at += strlen(at) + 1) {
        if (j->n == RULES_EXPRESSIONS)
            return false;
        j->expression[j->n++] = at;
    }
    return true;
}

static void wrong(void *ctx, unsigned i, const char *why)
{
    (void)ctx;
    dprintf(OUT, "%u %.300s\n", i, why);
}

static bool write_all(int fd, const void *bytes, size_t len)
{
    for (const char *p = bytes; len > 0;) {
        ssize_t n = write(fd, p, len);
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static int older(const void *a, const void *b)
{
    struct stat x, y;
    if (stat(*(char *const *)a, &x) < 0 || stat(*(char *const *)b, &y) < 0)
        return 0;
    return x.st_mtime < y.st_mtime ? -1 : x.st_mtime > y.st_mtime;
}

/* Of the folder's files that are named so all go but for the `most` newest. */
static void prune(const char *path, const char *name, size_t most)
{
    char pattern[RULES_CHILD_PATH + 32];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%.*s/%s", (int)(strrchr(path, '/') - path), path, name);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    qsort(found.gl_pathv, found.gl_pathc, sizeof(*found.gl_pathv), older);
    for (size_t i = 0; i + most < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
}

/* Beside, then in its place: a reader finds all of it or nothing. That there is none is no harm. */
static void keep(const char *path, const uint8_t *head, const char *bytes, size_t len)
{
    char beside[RULES_CHILD_PATH + 32];
    prune(path, "rules-*.hs.*", 0); /* of processes that were ended while they wrote */
    snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid());
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    bool good = write_all(fd, head, RULES_IMAGE_HEAD) && write_all(fd, bytes, len);
    good = close(fd) == 0 && good;
    if (!good || rename(beside, path) < 0)
        unlink(beside);
    else
        prune(path, "rules-*.hs", RULES_CHILD_FILES);
}

/* The first to go when memory is short, behind all others on the CPU, and not without a parent. */
static void be_modest(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpriority(PRIO_PROCESS, 0, 10);
    if (fd >= 0) {
        write_all(fd, "1000", 4);
        close(fd);
    }
}

int rules_child_main(int argc, char **argv)
{
    static struct job job;
    uint8_t head[RULES_IMAGE_HEAD];
    char *bytes;
    size_t len;

    be_modest();
    if (sodium_init() < 0 || !job_read(&job))
        return 2;
    if (argc > 1 && strcmp(argv[1], RULES_CHILD_CHECK) == 0)
        return rules_check(job.expression, job.n, wrong, NULL) ? 0 : 1;
    if (!rules_compile(job.expression, job.n, &bytes, &len, wrong, NULL))
        return 1;
    rules_image_head(head, job.key, job.secret, bytes, len);
    if (!write_all(OUT, head, sizeof(head)) || !write_all(OUT, bytes, len))
        return 2;
    if (argc > 0 && strchr(argv[0], '/') && strlen(argv[0]) < RULES_CHILD_PATH)
        keep(argv[0], head, bytes, len);
    free(bytes);
    return 0;
}

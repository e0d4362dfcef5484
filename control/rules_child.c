/* SPDX-License-Identifier: BSD-3-Clause */
/* The parent's side: starts a child, looks whether it is done, and ends it when its time is over.
 */
#include "control/rules_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 2000
#define STOP_US 20000

/* "": nothing is kept. */
static void file_path(const struct rules_set *s, const struct rules_maker *m,
                      char out[static RULES_CHILD_PATH])
{
    uint8_t key[RULES_KEY];
    rules_key(s, key);
    out[0] = 0;
    if (!*m->folder)
        return;
    int n = snprintf(out, RULES_CHILD_PATH, "%s/rules-", m->folder);
    for (unsigned i = 0; i < 16; i++)
        n += snprintf(out + n, RULES_CHILD_PATH - (size_t)n, "%02x", key[i]);
    snprintf(out + n, RULES_CHILD_PATH - (size_t)n, ".hs");
}

/* All of a file. Read, not mapped: one that shrinks must not end the process. NULL: none, or none
 * of ours. */
static uint8_t *file_read(int fd, size_t *len)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 1 << 30)
        return NULL;
    uint8_t *p = malloc((size_t)st.st_size + 1);
    size_t n = 0;
    ssize_t got;
    while (p && n < (size_t)st.st_size &&
           (got = pread(fd, p + n, (size_t)st.st_size - n, (off_t)n)) > 0)
        n += (size_t)got;
    *len = n;
    return p;
}

static bool image_from(int fd, struct rules_set *s, const struct rules_maker *m)
{
    size_t len;
    uint8_t *image = fd < 0 ? NULL : file_read(fd, &len);
    bool good = image && rules_image_load(image, len, s, m);
    free(image);
    return good;
}

static bool kept(struct rules_set *s, const struct rules_maker *m, const char *path)
{
    int fd = *path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
    bool good = image_from(fd, s, m);
    if (fd >= 0)
        close(fd);
    return good;
}

/* What the child reads. -1: no memory. */
static int job_write(const struct rules_set *s, const struct rules_maker *m)
{
    uint8_t key[RULES_KEY];
    FILE *f = NULL;
    int fd = memfd_create("rules", MFD_CLOEXEC), copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy >= 0)
        f = fdopen(copy, "w");
    if (!f)
        goto fail;
    rules_key(s, key);
    fwrite(m->secret, sizeof(m->secret), 1, f);
    fwrite(key, sizeof(key), 1, f);
    for (unsigned i = 0; i < rules_size(s).expressions; i++) {
        const char *e = rules_expression(s, i);
        fwrite(e, strlen(e) + 1, 1, f);
    }
    if (fclose(f) == 0)
        return fd;
    copy = -1;
fail:
    if (copy >= 0)
        close(copy);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Its descriptors are 0, 1 and our stderr; its signals as they are by default. */
static int spawn(pid_t *pid, const struct rules_maker *m, const char *path, bool check, int in,
                 int out)
{
    char *const argv[] = {"corald", RULES_CHILD_OPTION, (char *)(uintptr_t)path,
                          check ? RULES_CHILD_CHECK : NULL, NULL};
    char *const envp[] = {"LC_ALL=C", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    int error = posix_spawn(pid, m->program, &files, &attr, argv, envp);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return error;
}

/* One that is killed is gone in a moment, but for one that waits for a disk. */
static void left_wait(struct rules_child *k)
{
    for (unsigned us = 0; k->left > 0; us += LOOK_US) {
        pid_t done = waitpid(k->left, NULL, WNOHANG);
        if (done > 0 || (done < 0 && errno != EINTR))
            k->left = 0;
        else if (us >= STOP_US)
            return;
        else
            usleep(LOOK_US);
    }
}

enum rules_end rules_make(struct rules_child *k, struct rules_set *s, const struct rules_maker *m,
                          uint64_t now_us, char *error, size_t error_len)
{
    char path[RULES_CHILD_PATH];
    left_wait(k);
    *k = (struct rules_child){.out = -1, .until_us = now_us + m->limit_us, .left = k->left};
    if (rules_is_wrong(s) && rules_size(s).expressions == 0)
        return RULES_WRONG;
    if (rules_size(s).expressions == 0)
        return rules_load(s, NULL, 0, m->workers) ? RULES_LOADED : RULES_FAILED;
    file_path(s, m, path);
    if (rules_is_wrong(s))
        path[0] = 0;
    else if (kept(s, m, path))
        return RULES_LOADED;
    if (k->left) {
        snprintf(
            error, error_len,
            "the process that compiled other expressions has not ended yet (PID %d); try again "
            "in a moment",
            (int)k->left);
        return RULES_FAILED;
    }
    int in = job_write(s, m);
    k->out = memfd_create("database", MFD_CLOEXEC);
    int why = in < 0 || k->out < 0 ? errno : spawn(&k->pid, m, path, rules_is_wrong(s), in, k->out);
    if (in >= 0)
        close(in);
    if (why == 0)
        return RULES_RUNS;
    k->pid = 0;
    rules_make_stop(k);
    snprintf(error, error_len, "cannot start the process that compiles expressions: %s",
             strerror(why));
    return RULES_FAILED;
}

void rules_make_stop(struct rules_child *k)
{
    if (k->pid > 0) {
        kill(k->pid, SIGKILL);
        k->left = k->pid;
    }
    left_wait(k);
    if (k->out >= 0)
        close(k->out);
    *k = (struct rules_child){.out = -1, .left = k->left};
}

/* A line each: "NUMBER WHY". */
static unsigned tell_wrong(int fd, const struct rules_set *s, rules_tell *tell, void *ctx)
{
    size_t len;
    unsigned told = 0;
    uint8_t *text = file_read(fd, &len);
    if (!text)
        return 0;
    text[len] = 0;
    for (char *at = (char *)text, *end; (end = strchr(at, '\n')); at = end + 1) {
        char *why;
        *end = 0;
        unsigned long i = strtoul(at, &why, 10);
        if (why > at && *why == ' ' && i < rules_size(s).expressions) {
            rules_expression_wrong(s, (unsigned)i, why + 1, tell, ctx);
            told++;
        }
    }
    free(text);
    return told;
}

enum rules_end rules_make_poll(struct rules_child *k, struct rules_set *s,
                               const struct rules_maker *m, uint64_t now_us, rules_tell *tell,
                               void *ctx, char *error, size_t error_len)
{
    int status;
    pid_t done = waitpid(k->pid, &status, WNOHANG);
    enum rules_end end = RULES_FAILED;

    if (done == 0 && now_us < k->until_us)
        return RULES_RUNS;
    if (done == 0 && !rules_is_wrong(s) && image_from(k->out, s, m)) {
        end = RULES_LOADED; /* it is whole: what takes its time is to keep it */
    } else if (done == 0) {
        snprintf(error, error_len,
                 "expressions took longer than %.1f s to compile; make them simpler or fewer, or "
                 "rules.compile_timeout longer",
                 (double)m->limit_us / 1e6);
    } else {
        k->pid = 0;
        bool exited = done > 0 && WIFEXITED(status);
        if (exited && WEXITSTATUS(status) == 0 && rules_is_wrong(s))
            end = RULES_WRONG; /* for other reasons, which were told */
        else if (exited && WEXITSTATUS(status) == 0 && image_from(k->out, s, m))
            end = RULES_LOADED;
        else if (exited && WEXITSTATUS(status) == 1 && tell_wrong(k->out, s, tell, ctx))
            end = RULES_WRONG;
        else if (done > 0 && WIFSIGNALED(status))
            snprintf(error, error_len,
                     "the process that compiles expressions was ended by a signal (%s); was there "
                     "too little memory?",
                     strsignal(WTERMSIG(status)));
        else
            snprintf(error, error_len, "the process that compiles expressions has failed");
    }
    rules_make_stop(k);
    return end;
}

static uint64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

enum rules_end rules_make_now(struct rules_set *s, const struct rules_maker *m, rules_tell *tell,
                              void *ctx, char *error, size_t error_len)
{
    struct rules_child k = {.out = -1};
    enum rules_end end = rules_make(&k, s, m, clock_us(), error, error_len);
    while (end == RULES_RUNS) {
        usleep(LOOK_US);
        end = rules_make_poll(&k, s, m, clock_us(), tell, ctx, error, error_len);
    }
    return end;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/access_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/log.h"

#define PATH_ROOM 300

/* What is no file would block, or lose lines without a word: refused. */
bool access_file_open(struct access_file *f, char *error, size_t len)
{
    struct stat st;
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

    if (fd < 0 || fstat(fd, &st) < 0) {
        int why = errno;
        snprintf(error, len, "log.access.file: cannot open %s: %s; see to its folder", f->path,
                 strerror(why));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(error, len, "log.access.file: %s is no file; name another", f->path);
        close(fd);
        return false;
    }
    access_file_close(f);
    f->fd = fd;
    f->size = (uint64_t)st.st_size;
    return true;
}

void access_file_close(struct access_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

static uint64_t count_lines(const char *p, size_t len)
{
    uint64_t n = 0;
    for (const char *end = p + len; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        n++;
    return n;
}

/* --- rotation ------------------------------------------------------------------------------ */

static const char *numbered(const struct access_file *f, unsigned n, char out[static PATH_ROOM])
{
    snprintf(out, PATH_ROOM, "%.255s.%u", f->path, n);
    return out;
}

/* Makes room for path.1; the oldest is written over, unless there is a gap before it, as a rotation
 * that failed leaves one: to shift each time would lose one each time. */
static void shift(const struct access_file *f)
{
    char from[PATH_ROOM], to[PATH_ROOM];
    unsigned n = 1;

    while (n < f->keep && access(numbered(f, n, to), F_OK) == 0)
        n++;
    for (; n > 1; n--)
        rename(numbered(f, n - 1, from), numbered(f, n, to));
}

/* False with a sentence in `error`: all is as before, or tried again next time. */
static bool rotate_now(struct access_file *f, char *error, size_t len)
{
    char to[PATH_ROOM];
    bool there = access(f->path, F_OK) == 0; /* else it was moved: a new one is wanted, no more */

    if (there)
        shift(f);
    bool moved = there && rename(f->path, numbered(f, 1, to)) == 0;
    int why = errno;
    if (there && !moved && why != ENOENT) {
        snprintf(error, len, "log.access.file: cannot rotate %s: %s", f->path, strerror(why));
        return false;
    }
    if (access_file_open(f, error, len)) {
        counter_add(&f->counters->log_rotations_total, moved);
        return true;
    }
    if (moved) /* what is open has its name again */
        rename(to, f->path);
    return false;
}

/* Where it can't be, lines go on into the file that there is. */
static void rotate(struct access_file *f)
{
    char error[512];
    bool done = rotate_now(f, error, sizeof(error));

    if (!done)
        f->size = 0; /* it is tried again when as much has come once more */
    if (!done && !f->rotation_fails)
        log_warning("%s; it grows", error);
    f->rotation_fails = !done;
}

/* --- lines --------------------------------------------------------------------------------- */

static size_t write_some(int fd, const char *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(fd, data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

/* Half a line would make one with the next: it is taken back, or ended. Returns the bytes of whole
 * lines. */
static size_t keep_whole(struct access_file *f, const char *lines, size_t done)
{
    struct stat st;
    const char *last = memrchr(lines, '\n', done);
    size_t whole = last ? (size_t)(last - lines) + 1 : 0;
    off_t half = (off_t)(done - whole);

    f->torn |= half && (fstat(f->fd, &st) < 0 || ftruncate(f->fd, st.st_size - half) < 0);
    return whole;
}

static void complain(struct access_file *f, int why)
{
    if (!f->failing)
        log_error("log.access.file: cannot write %s: %s; lines are dropped and counted "
                  "(log_dropped_total), it is tried again; %s",
                  f->path, strerror(why),
                  why == ENOSPC || why == EDQUOT || why == EFBIG ? "make room"
                                                                 : "see to that disk");
    f->failing = true;
}

void access_file_write(struct access_file *f, const char *lines, size_t len)
{
    if (f->max_bytes && f->size && f->size + len > f->max_bytes)
        rotate(f);
    if (f->torn)
        f->torn = write_some(f->fd, "\n", 1) != 1;
    size_t done = f->torn ? 0 : write_some(f->fd, lines, len);
    int why = errno;
    if (done < len)
        done = keep_whole(f, lines, done);
    uint64_t lost = count_lines(lines + done, len - done);
    f->size += done;
    counter_add(&f->counters->log_bytes_total, done);
    counter_add(&f->counters->log_lines_total, count_lines(lines, done));
    counter_add(&f->counters->log_dropped_total, lost);
    if (done < len)
        complain(f, why);
    else if (f->failing) {
        log_info("log.access.file: %s is written again lost=%llu", f->path,
                 (unsigned long long)f->lost);
        f->failing = false;
        lost = -f->lost;
    }
    f->lost += lost;
}

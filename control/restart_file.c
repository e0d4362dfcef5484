/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/restart_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *stream(int fd, const char *mode, char buffer[static RESTART_BUFFER])
{
    FILE *f = fd < 0 ? NULL : fdopen(fd, mode);
    if (f)
        setvbuf(f, buffer, _IOFBF, RESTART_BUFFER);
    else if (fd >= 0)
        close(fd);
    return f;
}

/* --- writing ------------------------------------------------------------------------------- */

static bool fail(struct restart_writer *w)
{
    if (!w->error)
        w->error = errno ? errno : EIO;
    return false;
}

static bool put(struct restart_writer *w, struct saved_sum *sum, const void *data, size_t len)
{
    if (sum)
        saved_sum_add(sum, data, len);
    return fwrite(data, 1, len, w->out) == len || fail(w);
}

bool restart_write_begin(struct restart_writer *w, const char *path, const struct saved_key *key,
                         uint64_t limit)
{
    static const uint8_t none[SAVED_HEAD];
    uint8_t nonce[SAVED_NONCE];
    *w = (struct restart_writer){.key = key, .limit = limit};
    snprintf(w->path, sizeof(w->path), "%s", path);
    snprintf(w->beside, sizeof(w->beside), "%s.new", w->path);
    randombytes_buf(nonce, sizeof(nonce));
    saved_file_begin(&w->file, key, nonce);
    w->file.bytes = SAVED_HEAD;
    errno = 0;
    unlink(w->beside); /* of a run that was killed; and we follow no link there */
    errno = 0;
    w->out = stream(open(w->beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
                    "w", w->buffer);
    return w->out ? put(w, NULL, none, sizeof(none)) : fail(w);
}

static bool is_damaged(const struct cache_object *o)
{
    bool damaged = false;
    for (uint64_t at = 0, end = cache_ready(o); at < end && !damaged;)
        at += cache_bytes_verified(o, at, &damaged).len;
    return damaged;
}

#define SMALL 65536u /* bytes: with less than that left it is full */

enum restart_written restart_write(struct restart_writer *w, const struct cache_object *o,
                                   unsigned heat, uint64_t policy)
{
    char room[CACHE_KEY_MAX];
    size_t key_len, head_len;
    const char *key = cache_key(o, room, &key_len), *head = cache_head(o, &head_len);
    struct saved_record r = {.number = w->file.records,
                             .body_len = cache_ready(o),
                             .policy = policy,
                             .meta = cache_meta_saved(o),
                             .key_len = (uint16_t)key_len,
                             .head_len = (uint16_t)head_len,
                             .heat = (uint8_t)heat};
    uint8_t text[SAVED_HEAD], mac[SAVED_BODY_MAC];
    struct saved_sum sum;
    if (saved_record_bytes(&r) > w->limit - w->file.bytes)
        return w->limit - w->file.bytes < SMALL ? RESTART_FULL : RESTART_LEFT_OUT;
    if (is_damaged(o))
        return RESTART_LEFT_OUT;
    saved_record_write(&r, &w->file, text);
    saved_sum_begin(&sum, &w->file, text);
    errno = 0;
    bool good = put(w, NULL, text, sizeof(text)) && put(w, &sum, key, key_len) &&
                put(w, &sum, head, head_len);
    for (uint64_t at = 0; good && at < r.body_len;) {
        struct cache_span s = cache_bytes(o, at);
        good = put(w, &sum, s.data, s.len);
        at += s.len;
    }
    saved_sum_end(&sum, mac);
    if (!good || !put(w, NULL, mac, sizeof(mac)))
        return RESTART_FAILED;
    w->file.records++;
    w->file.bytes += saved_record_bytes(&r);
    return RESTART_WRITTEN;
}

bool restart_write_finish(struct restart_writer *w, int64_t wall_s)
{
    uint8_t head[SAVED_HEAD];
    w->file.saved_s = wall_s;
    saved_file_write(&w->file, w->key, head);
    errno = 0;
    /* the head last, so that on the disk, too, there is none before there is the rest */
    return (fflush(w->out) == 0 && fdatasync(fileno(w->out)) == 0 &&
            pwrite(fileno(w->out), head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
            fsync(fileno(w->out)) == 0) ||
           fail(w);
}

bool restart_write_rename(struct restart_writer *w)
{
    errno = 0;
    if (rename(w->beside, w->path) != 0)
        return fail(w);
    *w->beside = '\0';
    return true;
}

void restart_write_end(struct restart_writer *w)
{
    if (w->out)
        fclose(w->out);
    if (*w->beside)
        unlink(w->beside);
    w->out = NULL;
    *w->beside = '\0';
}

void restart_sync_folder(const char *path)
{
    char folder[RESTART_PATH];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash)
        return;
    slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd); /* where it cannot be done, as on some network's, a power failure may undo it */
    close(fd);
}

bool restart_remove(const char *path, bool *there)
{
    *there = true;
    if (unlink(path) == 0)
        return true;
    *there = errno != ENOENT && errno != ENOTDIR;
    return !*there || truncate(path, 0) == 0;
}

/* --- reading ------------------------------------------------------------------------------- */

/* Another user's file, or one that another may write to, says what he wants it to. */
static const char *owner_wrong(const struct stat *s)
{
    return !S_ISREG(s->st_mode)               ? "it is no plain file"
           : s->st_uid != geteuid()           ? "it belongs to another user"
           : s->st_mode & (S_IWGRP | S_IWOTH) ? "others may write to it"
                                              : NULL;
}

const char *restart_read_open(struct restart_reader *r, const char *path,
                              const struct saved_key *keys, unsigned n, int64_t wall_s, bool *there)
{
    uint8_t head[SAVED_HEAD];
    struct stat s;
    *r = (struct restart_reader){.over = true};
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *there = fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
    if (fd < 0)
        return *there ? strerror(errno) : NULL;
    const char *why = fstat(fd, &s) != 0 ? strerror(errno) : owner_wrong(&s);
    if (why) {
        close(fd);
        return why;
    }
    r->in = stream(fd, "r", r->buffer);
    if (!r->in)
        return "not enough memory";
    enum saved_result result = SAVED_NOT;
    if (fread(head, 1, sizeof(head), r->in) == sizeof(head)) {
        result = SAVED_FOREIGN;
        for (unsigned i = 0; i < n && result == SAVED_FOREIGN; i++)
            result = saved_file_read(&r->file, &keys[i], head, (uint64_t)s.st_size, wall_s);
    }
    if (result != SAVED_GOOD) {
        restart_read_end(r);
        return saved_text(result);
    }
    r->left = r->file.bytes - SAVED_HEAD;
    r->over = false;
    return NULL;
}

static void lose_rest(struct restart_reader *r)
{
    r->lost += r->file.records - r->number;
    r->over = true;
}

/* The next record's head. False: there is no further record. */
static bool read_head(struct restart_reader *r)
{
    if (r->number == r->file.records) {
        r->over = true;
        return false;
    }
    enum saved_result result =
        fread(r->head, 1, SAVED_HEAD, r->in) == SAVED_HEAD
            ? saved_record_read(&r->record, &r->file, r->head, r->number, r->left)
            : SAVED_TORN;
    if (result != SAVED_GOOD && result != SAVED_INSANE) {
        lose_rest(r);
        return false;
    }
    r->left -= saved_record_bytes(&r->record);
    r->number++;
    if (result == SAVED_INSANE) {
        uint64_t skip = saved_record_bytes(&r->record) - SAVED_HEAD;
        r->insane++;
        if (fseeko(r->in, (off_t)skip, SEEK_CUR) != 0)
            lose_rest(r);
        return !r->over;
    }
    r->headed = true;
    return true;
}

/* Its end cannot be read: what was begun is no object. */
static void torn(struct restart_reader *r, struct proxy_piece *p)
{
    r->damaged++;
    r->begun = false;
    p->last = true;
    p->good = false;
    lose_rest(r);
}

/* One piece into the batch, which has `room` bytes from `at` on; returns how many it took. */
static size_t read_piece(struct restart_reader *r, struct node_load *l, uint8_t *at, size_t room)
{
    struct proxy_piece *p = &l->piece[l->n++];
    uint8_t mac[SAVED_BODY_MAC];
    size_t front = 0;
    *p = (struct proxy_piece){.first = r->headed};
    if (r->headed) {
        front = (size_t)r->record.key_len + r->record.head_len;
        p->key = (const char *)at;
        p->head = p->key + r->record.key_len;
        p->key_len = r->record.key_len;
        p->head_len = r->record.head_len;
        p->heat = r->record.heat;
        p->meta = r->record.meta;
        p->policy = r->record.policy;
        r->body_left = r->record.body_len;
        saved_sum_begin(&r->sum, &r->file, r->head);
        r->headed = false;
        r->begun = true;
    }
    p->data = at + front;
    p->len = r->body_left < room - front ? (size_t)r->body_left : room - front;
    if (fread(at, 1, front + p->len, r->in) != front + p->len) {
        torn(r, p);
        return front + p->len;
    }
    saved_sum_add(&r->sum, at, front + p->len);
    r->body_left -= p->len;
    if (r->body_left == 0) {
        if (fread(mac, 1, sizeof(mac), r->in) != sizeof(mac)) {
            torn(r, p);
            return front + p->len;
        }
        p->last = true;
        p->good = saved_sum_is(&r->sum, mac);
        r->damaged += !p->good;
        r->begun = false;
    }
    return front + p->len;
}

void restart_read(struct restart_reader *r, struct node_load *l)
{
    size_t used = 0;
    l->n = 0;
    while (!r->over && l->n < NODE_LOAD_PIECES) {
        if (!r->headed && !r->begun && (!read_head(r) || !r->headed))
            continue; /* over, or left out */
        size_t front = r->headed ? (size_t)r->record.key_len + r->record.head_len : 0;
        if (sizeof(l->data) - used < front + (r->record.body_len > 0))
            break;
        used += read_piece(r, l, l->data + used, sizeof(l->data) - used);
    }
    l->last = r->over;
}

void restart_read_end(struct restart_reader *r)
{
    if (r->in)
        fclose(r->in);
    r->in = NULL;
}

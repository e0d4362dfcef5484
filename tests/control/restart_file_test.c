/* SPDX-License-Identifier: BSD-3-Clause */
/* The restart file: round trip, every kind of damage, a disk that fails. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/restart_file.h"
#include "tests/cache/world.h"

#define OBJECTS 60
#define NOW     1700000100

static struct world w;
static struct saved_key key[2];
static struct restart_writer writer;
static struct restart_reader reader;
static struct node_load batch;
static char folder[] = "/tmp/coral-restart-XXXXXX", path[64];

static void setup(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    saved_key_make(&key[0], "0123456789abcdef", 16, "node");
    saved_key_make(&key[1], "an older key ...", 16, "node");
    world_open(&w, 16 * MIB, 4000, 2);
}

static void teardown(void)
{
    char beside[80];
    snprintf(beside, sizeof(beside), "%s.new", path);
    unlink(path);
    cr_assert_neq(unlink(beside), 0, "nothing is left beside");
    rmdir(folder);
    world_close(&w);
}
TestSuite(restart_file, .init = setup, .fini = teardown);

static size_t length_of(unsigned i)
{
    static const size_t edge[] = {0, 1, 4095, 4096, 4097, 16384, 70000, 2500000};
    return i < 8 ? edge[i] : i * 37;
}

static void key_of(unsigned i, char out[128])
{
    /* some keys are longer than what stands in the object */
    snprintf(out, 128, "http://www.site.test/%u%s", i,
             i % 2 ? "/a/path/that/is/longer/than/sixty-four/bytes/in/all/of/it" : "");
}

static void fill(unsigned n)
{
    char k[128];
    for (unsigned i = 0; i < n; i++) {
        key_of(i, k);
        cr_assert(world_store(&w, k, i, length_of(i)));
    }
}

/* All objects, as a node that has stopped does it. */
static bool save(const struct saved_key *with, uint64_t limit)
{
    bool more = restart_write_begin(&writer, path, with, limit);
    for (unsigned heat = CACHE_HEAT_CLASSES; heat-- > 0;) {
        for (unsigned i = 0; i < w.workers; i++) {
            for (struct cache_walk at = {0}; more && !at.over;) {
                const struct cache_object *o[CACHE_WALK_ROOM];
                unsigned n = cache_walk(w.c, i, &at, heat, 1, o, CACHE_WALK_ROOM);
                for (unsigned j = 0; more && j < n; j++)
                    more = restart_write(&writer, o[j], cache_heat(o[j]), 5) <= RESTART_LEFT_OUT;
            }
        }
    }
    bool good =
        !writer.error && restart_write_finish(&writer, NOW) && restart_write_rename(&writer);
    restart_write_end(&writer);
    return good;
}

static const char *open_file(int64_t wall_s)
{
    bool there;
    return restart_read_open(&reader, path, key, 2, wall_s, &there);
}

/* Reads the open file; each object that is said to be good must be what it was. Returns how many.
 */
static unsigned read_all(void)
{
    unsigned good = 0, number = 0;
    uint64_t at = 0, length = 0;
    bool right = true;
    do {
        restart_read(&reader, &batch);
        for (unsigned i = 0; i < batch.n; i++) {
            const struct proxy_piece *p = &batch.piece[i];
            if (p->first) {
                char k[128];
                const char *slash = memchr(p->key + 7, '/', p->key_len > 7 ? p->key_len - 7u : 0);
                number = slash ? (unsigned)atoi(slash + 1) : 0;
                key_of(number, k);
                length = length_of(number);
                at = 0;
                right = p->key_len == strlen(k) && memcmp(p->key, k, p->key_len) == 0 &&
                        p->head_len == strlen(k) && memcmp(p->head, k, p->head_len) == 0 &&
                        p->meta.lifetime_s == 100 && p->meta.status == 200 &&
                        p->meta.version == 7 && p->meta.response_s == w.now.wall_s &&
                        p->meta.content_length == (int64_t)length && p->policy == 5 && p->heat == 0;
            }
            for (size_t b = 0; b < p->len; b++)
                right &= p->data[b] == world_byte(number, at + b);
            at += p->len;
            if (p->last && p->good) {
                cr_assert(right && at == length, "object %u is not what it was", number);
                good++;
            }
        }
    } while (!batch.last);
    restart_read_end(&reader);
    return good;
}

static uint8_t *slurp(size_t *len)
{
    struct stat s;
    int fd = open(path, O_RDONLY);
    cr_assert(fd >= 0 && fstat(fd, &s) == 0);
    *len = (size_t)s.st_size;
    uint8_t *all = malloc(*len);
    cr_assert(read(fd, all, *len) == s.st_size);
    close(fd);
    return all;
}

static void put(const uint8_t *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert(fd >= 0 && write(fd, data, len) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0);
    close(fd);
}

Test(restart_file, round_trip)
{
    fill(OBJECTS);
    cr_assert(save(&key[0], UINT64_MAX));
    struct stat s;
    cr_assert(stat(path, &s) == 0 && (s.st_mode & 0777) == 0600);
    cr_assert_eq((uint64_t)s.st_size, writer.file.bytes);
    cr_assert_null(open_file(NOW));
    cr_assert_eq(reader.file.records, OBJECTS);
    cr_assert_eq(read_all(), OBJECTS);
    cr_assert_eq(reader.damaged + reader.insane + reader.lost, 0);
}

Test(restart_file, the_older_of_two_keys_is_ours_too)
{
    fill(5);
    cr_assert(save(&key[1], UINT64_MAX));
    cr_assert_null(open_file(NOW));
    cr_assert_eq(read_all(), 5);
}

Test(restart_file, any_byte_may_be_wrong)
{
    static const unsigned n = 3;
    char k[128];
    size_t len;
    for (unsigned i = 8; i < 8 + n; i++) {
        key_of(i, k);
        cr_assert(world_store(&w, k, i, length_of(i)));
    }
    cr_assert(save(&key[0], UINT64_MAX));
    uint8_t *all = slurp(&len);
    unsigned whole = 0, one = 0, rest = 0;
    for (size_t at = 0; at < len; at++) {
        all[at] ^= (uint8_t)(1 << at % 8);
        put(all, len);
        all[at] ^= (uint8_t)(1 << at % 8);
        if (open_file(NOW)) {
            whole++;
            continue;
        }
        unsigned good = read_all();
        cr_assert_lt(good, n, "byte %zu", at);
        cr_assert_eq(good + reader.damaged + reader.lost, n);
        one += reader.damaged == 1;
        rest += reader.lost > 0;
    }
    cr_assert_eq(whole, SAVED_HEAD);
    cr_assert_eq(rest, n * SAVED_HEAD);
    cr_assert_eq(one, len - whole - rest);
    free(all);
}

Test(restart_file, any_length_but_its_own_is_torn)
{
    size_t len;
    fill(3);
    cr_assert(save(&key[0], UINT64_MAX));
    uint8_t *all = slurp(&len);
    for (size_t n = 0; n < len; n += n < 300 ? 1 : 97) {
        put(all, n);
        cr_assert_not_null(open_file(NOW), "%zu of %zu bytes", n, len);
    }
    free(all);
}

/* Cut behind our back when its head has been believed. */
Test(restart_file, it_may_shrink_while_it_is_read)
{
    size_t len;
    fill(7);
    cr_assert(save(&key[0], UINT64_MAX));
    uint8_t *all = slurp(&len);
    for (size_t n = SAVED_HEAD; n < len; n += n < 30000 ? 501 : 9973) {
        put(all, len);
        cr_assert_null(open_file(NOW));
        cr_assert_eq(truncate(path, (off_t)n), 0);
        unsigned good = read_all();
        /* what the stream had read before it was cut may be there yet */
        cr_assert_eq(good + reader.damaged + reader.lost, 7);
    }
    free(all);
}

Test(restart_file, a_clock_set_back)
{
    fill(1);
    cr_assert(save(&key[0], UINT64_MAX));
    cr_assert_str_eq(open_file(NOW - 1), saved_text(SAVED_CLOCK));
}

Test(restart_file, others_files_are_not_read)
{
    char other[80];
    bool there;
    fill(1);
    cr_assert(save(&key[0], UINT64_MAX));
    cr_assert_eq(chmod(path, 0620), 0);
    cr_assert_str_eq(open_file(NOW), "others may write to it");
    cr_assert_eq(chmod(path, 0600), 0);
    if (geteuid() == 0) {
        cr_assert_eq(chown(path, 65534, 65534), 0);
        cr_assert_str_eq(open_file(NOW), "it belongs to another user");
        cr_assert_eq(chown(path, 0, 0), 0);
    }
    snprintf(other, sizeof(other), "%s/link", folder);
    cr_assert_eq(symlink(path, other), 0);
    cr_assert_not_null(restart_read_open(&reader, other, key, 2, NOW, &there));
    unlink(other);
    cr_assert_eq(mkfifo(other, 0600), 0);
    cr_assert_not_null(restart_read_open(&reader, other, key, 2, NOW, &there));
    unlink(other);
    cr_assert_null(restart_read_open(&reader, other, key, 2, NOW, &there));
    cr_assert(!there);
}

/* Killed at any moment of a write: the old one is whole, and what was begun is no file. */
Test(restart_file, what_is_not_finished_is_no_file)
{
    char k[128];
    fill(4);
    cr_assert(save(&key[0], UINT64_MAX));
    cr_assert(restart_write_begin(&writer, path, &key[0], UINT64_MAX));
    key_of(2, k);
    cr_assert_eq(restart_write(&writer, world_find(&w, k), 0, 5), RESTART_WRITTEN);
    cr_assert_null(open_file(NOW));
    cr_assert_eq(read_all(), 4);
    fflush(writer.out);
    cr_assert_eq(rename(writer.beside, path), 0);
    cr_assert_str_eq(open_file(NOW), saved_text(SAVED_NOT));
    restart_write_end(&writer);
    cr_assert(save(&key[0], UINT64_MAX), "and the next one is not in its way");
}

/* EFBIG where a full disk has ENOSPC. */
Test(restart_file, a_disk_that_is_full)
{
    fill(OBJECTS);
    cr_assert(save(&key[0], UINT64_MAX));
    struct rlimit was, small = {100000, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &was);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    bool good = save(&key[0], UINT64_MAX);
    setrlimit(RLIMIT_FSIZE, &was);
    cr_assert(!good);
    cr_assert_eq(writer.error, EFBIG);
    cr_assert_null(open_file(NOW), "the old one is there");
    cr_assert_eq(read_all(), OBJECTS);
    snprintf(path, sizeof(path), "%s/none/file", folder);
    cr_assert(!save(&key[0], UINT64_MAX));
    cr_assert_eq(writer.error, ENOENT);
    snprintf(path, sizeof(path), "%s/file", folder);
}

Test(restart_file, no_longer_than_its_limit)
{
    fill(OBJECTS);
    cr_assert(save(&key[0], 300000));
    struct stat s;
    cr_assert(stat(path, &s) == 0 && s.st_size <= 300000);
    cr_assert_null(open_file(NOW));
    unsigned good = read_all();
    cr_assert(good == reader.file.records && good < OBJECTS);
}

Test(restart_file, a_damaged_chunk_stays_out)
{
    char k[128];
    fill(10);
    key_of(6, k);
    struct cache_span s = cache_bytes(world_find(&w, k), 50000);
    *(uint8_t *)(uintptr_t)s.data ^= 1;
    cr_assert(save(&key[0], UINT64_MAX));
    cr_assert_null(open_file(NOW));
    cr_assert_eq(read_all(), 9);
    cr_assert_eq(reader.damaged, 0);
}

Test(restart_file, taken_away)
{
    bool there;
    fill(1);
    cr_assert(save(&key[0], UINT64_MAX));
    cr_assert(restart_remove(path, &there) && there);
    cr_assert(restart_remove(path, &there) && !there);
}

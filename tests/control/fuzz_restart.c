/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a restart file, as they are, and with MACs that are right: then all the rest of the
 * judging is reached. What is given on is within the limits, and in order.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cursor.h"
#include "cache/vary.h"
#include "control/restart_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)
#define NOW 1700000000

static struct restart_reader reader;
static struct node_load batch;
static char path[] = "/dev/shm/coral-fuzz-XXXXXX"; /* a file for each run: not on a disk */

static void remove_file(void)
{
    unlink(path);
}

/* The values stay what they are where they can; lengths that lead on are the fuzzer's to find. */
static void seal(uint8_t *file, size_t len, const struct saved_key *key)
{
    struct saved_file f;
    if (len < SAVED_HEAD)
        return;
    saved_file_begin(&f, key, file + 32);
    f.bytes = len;
    f.records = file[23];
    f.saved_s = NOW - file[31];
    saved_file_write(&f, key, file);
    for (size_t at = SAVED_HEAD, n = 0; len - at >= SAVED_HEAD; n++) {
        uint8_t *head = file + at;
        struct writer w = {head, head + SAVED_HEAD, false};
        write_u32(&w, 0x43726563);
        write_u16(&w, (uint16_t)(head[4] << 8 | head[5]));
        write_u16(&w, (uint16_t)(head[6] << 8 | head[7]));
        write_u64(&w, (uint64_t)(head[14] << 8 | head[15]));
        write_u64(&w, n);
        crypto_generichash(head + 80, 16, head, 80, f.record.b, sizeof(f.record.b));
        uint64_t front = SAVED_HEAD + (uint64_t)(head[4] << 8 | head[5]) +
                         (uint64_t)(head[6] << 8 | head[7]) + (uint64_t)(head[14] << 8 | head[15]);
        if (front + SAVED_BODY_MAC > len - at)
            return;
        struct saved_sum s;
        saved_sum_begin(&s, &f, head);
        saved_sum_add(&s, head + SAVED_HEAD, front - SAVED_HEAD);
        if (!(head[79] & 1)) /* else its body is damaged */
            saved_sum_end(&s, head + front);
        at += front + SAVED_BODY_MAC;
    }
}

/* What control asks of an object before a worker gets it. */
static void judge(const struct proxy_piece *p)
{
    const struct proxy_policy open = {.open = true};
    if (proxy_policy_print(&open, 0, p->key, p->key_len))
        CHECK(p->key_len > 8 &&
              (memcmp(p->key, "http://", 7) == 0 || p->key[0] == CACHE_VARIANT_MARK));
    if (proxy_stored_sane(&p->meta, p->key, p->key_len, p->head, p->head_len))
        CHECK(p->head_len >= 2 && p->head[p->head_len - 1] == (p->meta.varies ? ',' : '\n'));
}

static void read_all(const struct saved_key *key)
{
    bool there, open = false;
    uint64_t left = 0, objects = 0, bytes = 0;
    if (restart_read_open(&reader, path, key, 1, NOW, &there))
        return;
    do {
        restart_read(&reader, &batch);
        CHECK(batch.n <= NODE_LOAD_PIECES);
        for (unsigned i = 0; i < batch.n; i++) {
            const struct proxy_piece *p = &batch.piece[i];
            CHECK(p->first == !open);
            if (p->first) {
                CHECK(p->key_len > 0 && p->key_len <= CACHE_KEY_MAX);
                CHECK(p->head_len <= CACHE_HEAD_MAX && p->heat <= CACHE_HEAT_MAX);
                CHECK((const uint8_t *)p->key >= batch.data);
                CHECK((const uint8_t *)p->head + p->head_len == p->data);
                CHECK(p->meta.content_length >= 0 && p->meta.response_s <= NOW);
                left = (uint64_t)p->meta.content_length;
                if (p->last && p->good)
                    judge(p);
            }
            CHECK(p->data + p->len <= batch.data + sizeof(batch.data));
            CHECK(p->len <= left);
            left -= p->len;
            open = !p->last;
            CHECK(!(p->last && p->good) || left == 0);
            objects += p->last;
            bytes += p->len;
        }
    } while (!batch.last);
    CHECK(!open);
    CHECK(objects + reader.insane + reader.lost == reader.file.records ||
          (reader.lost && objects + reader.insane + reader.lost <= reader.file.records + 1));
    CHECK(bytes <= reader.file.bytes);
    restart_read_end(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static int fd = -1;
    struct saved_key key;
    if (fd < 0) {
        fd = mkstemp(path);
        CHECK(fd >= 0);
        atexit(remove_file);
    }
    saved_key_make(&key, "0123456789abcdef", 16, "node");
    uint8_t *file = malloc(len + 1);
    memcpy(file, data, len);
    for (int sealed = 0; sealed < 2; sealed++) {
        if (sealed)
            seal(file, len, &key);
        CHECK(pwrite(fd, file, len, 0) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0);
        read_all(&key);
    }
    free(file);
    return 0;
}

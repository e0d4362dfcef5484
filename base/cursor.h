/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A byte cursor over (pointer, length) in network order. Reading or writing past the end sets
 * `bad` and yields zeros, so a parser tests once after a group of fields.
 */
#ifndef CORAL_BASE_CURSOR_H
#define CORAL_BASE_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const uint8_t *p, *end;
    bool bad;
};

struct writer {
    uint8_t *p, *end;
    bool bad;
};

static inline struct reader reader_of(const void *data, size_t len)
{
    return (struct reader){data, (const uint8_t *)data + len, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

/* `n` bytes, or NULL (and bad) when fewer are left */
static inline const uint8_t *read_bytes(struct reader *r, size_t n)
{
    if (reader_left(r) < n) {
        r->bad = true;
        r->p = r->end;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += n;
    return at;
}

static inline uint8_t read_u8(struct reader *r)
{
    const uint8_t *at = read_bytes(r, 1);
    return at ? *at : 0;
}
static inline uint16_t read_u16(struct reader *r)
{
    const uint8_t *at = read_bytes(r, 2);
    uint16_t v = 0;
    if (at)
        memcpy(&v, at, sizeof(v));
    return be16toh(v);
}
static inline uint32_t read_u32(struct reader *r)
{
    const uint8_t *at = read_bytes(r, 4);
    uint32_t v = 0;
    if (at)
        memcpy(&v, at, sizeof(v));
    return be32toh(v);
}
static inline uint64_t read_u64(struct reader *r)
{
    const uint8_t *at = read_bytes(r, 8);
    uint64_t v = 0;
    if (at)
        memcpy(&v, at, sizeof(v));
    return be64toh(v);
}

static inline struct writer writer_of(void *data, size_t len)
{
    return (struct writer){data, (uint8_t *)data + len, false};
}

static inline size_t writer_left(const struct writer *w)
{
    return (size_t)(w->end - w->p);
}

static inline uint8_t *write_space(struct writer *w, size_t n)
{
    if (writer_left(w) < n) {
        w->bad = true;
        w->p = w->end;
        return NULL;
    }
    uint8_t *at = w->p;
    w->p += n;
    return at;
}

static inline void write_bytes(struct writer *w, const void *data, size_t n)
{
    uint8_t *at = write_space(w, n);
    if (at && n)
        memcpy(at, data, n);
}

static inline void write_u8(struct writer *w, uint8_t v)
{
    write_bytes(w, &v, 1);
}
static inline void write_u16(struct writer *w, uint16_t v)
{
    v = htobe16(v);
    write_bytes(w, &v, sizeof(v));
}
static inline void write_u32(struct writer *w, uint32_t v)
{
    v = htobe32(v);
    write_bytes(w, &v, sizeof(v));
}
static inline void write_u64(struct writer *w, uint64_t v)
{
    v = htobe64(v);
    write_bytes(w, &v, sizeof(v));
}

#endif

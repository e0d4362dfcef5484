/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/saved.h"

#include <string.h>

#include "base/cursor.h"
#include "cache/freshness.h"

#define FILE_MAGIC   0x43727374u /* "Crst" */
#define RECORD_MAGIC 0x43726563u /* "Crec" */
#define FILE_MACED   64u
#define RECORD_MACED 80u
#define BODY_MAX     (1ull << 48) /* no sum of lengths overflows; the cache's own limit is below */

enum {
    FLAG_MUST_REVALIDATE = 1,
    FLAG_NO_CACHE = 2,
    FLAG_IMMUTABLE = 4,
    FLAG_VALIDATOR = 8,
    FLAG_VARIES = 16,
    FLAG_FOR_AUTHORIZED = 32
};

#define SAVED_TEXT(name, text) [name] = text,

const char *saved_text(enum saved_result r)
{
    static const char *const text[] = {SAVED_RESULTS(SAVED_TEXT)};
    return (unsigned)r < SAVED_RESULTS_COUNT ? text[r] : "?";
}

/* --- keys ---------------------------------------------------------------------------------- */

static void mac(const struct saved_key *k, const uint8_t *data, size_t len, uint8_t *out,
                size_t out_len)
{
    crypto_generichash(out, out_len, data, len, k->b, sizeof(k->b));
}

void saved_key_make(struct saved_key *k, const void *secret, size_t secret_len, const char *node)
{
    static const char purpose[] = "coral restart file";
    crypto_generichash_state s;
    crypto_generichash_init(&s, secret, secret_len, sizeof(k->b));
    crypto_generichash_update(&s, (const uint8_t *)purpose, sizeof(purpose));
    crypto_generichash_update(&s, (const uint8_t *)node, strlen(node));
    crypto_generichash_final(&s, k->b, sizeof(k->b));
}

void saved_file_begin(struct saved_file *f, const struct saved_key *k,
                      const uint8_t nonce[static SAVED_NONCE])
{
    uint8_t text[1 + SAVED_NONCE];
    *f = (struct saved_file){0};
    memcpy(f->nonce, nonce, SAVED_NONCE);
    memcpy(text + 1, nonce, SAVED_NONCE);
    text[0] = 'r';
    mac(k, text, sizeof(text), f->record.b, sizeof(f->record.b));
    text[0] = 'b';
    mac(k, text, sizeof(text), f->body.b, sizeof(f->body.b));
}

/* --- the file's head ----------------------------------------------------------------------- */

void saved_file_write(const struct saved_file *f, const struct saved_key *k,
                      uint8_t out[static SAVED_HEAD])
{
    struct writer w = {out, out + SAVED_HEAD, false};
    memset(out, 0, SAVED_HEAD);
    write_u32(&w, FILE_MAGIC);
    write_u32(&w, SAVED_VERSION);
    write_u64(&w, f->bytes);
    write_u64(&w, f->records);
    write_u64(&w, (uint64_t)f->saved_s);
    write_bytes(&w, f->nonce, SAVED_NONCE);
    mac(k, out, FILE_MACED, out + FILE_MACED, SAVED_HEAD - FILE_MACED);
}

enum saved_result saved_file_read(struct saved_file *f, const struct saved_key *k,
                                  const uint8_t in[static SAVED_HEAD], uint64_t size,
                                  int64_t wall_s)
{
    uint8_t right[SAVED_HEAD - FILE_MACED];
    struct reader r = reader_of(in, FILE_MACED);
    if (read_u32(&r) != FILE_MAGIC)
        return SAVED_NOT;
    if (read_u32(&r) != SAVED_VERSION)
        return SAVED_VERSION_OTHER;
    mac(k, in, FILE_MACED, right, sizeof(right));
    if (sodium_memcmp(right, in + FILE_MACED, sizeof(right)) != 0)
        return SAVED_FOREIGN;
    uint64_t bytes = read_u64(&r), records = read_u64(&r);
    int64_t saved_s = (int64_t)read_u64(&r);
    saved_file_begin(f, k, read_bytes(&r, SAVED_NONCE));
    f->bytes = bytes;
    f->records = records;
    f->saved_s = saved_s;
    if (bytes != size)
        return SAVED_TORN;
    if (saved_s < 0 || records > bytes / SAVED_HEAD)
        return SAVED_INSANE;
    return saved_s > wall_s ? SAVED_CLOCK : SAVED_GOOD;
}

/* --- records ------------------------------------------------------------------------------- */

uint64_t saved_record_bytes(const struct saved_record *r)
{
    return SAVED_HEAD + (uint64_t)r->key_len + r->head_len + r->body_len + SAVED_BODY_MAC;
}

static uint8_t flags_of(const struct cache_meta *m)
{
    return (uint8_t)((m->must_revalidate ? FLAG_MUST_REVALIDATE : 0) |
                     (m->no_cache ? FLAG_NO_CACHE : 0) | (m->immutable ? FLAG_IMMUTABLE : 0) |
                     (m->has_validator ? FLAG_VALIDATOR : 0) | (m->varies ? FLAG_VARIES : 0) |
                     (m->for_authorized ? FLAG_FOR_AUTHORIZED : 0));
}

void saved_record_write(const struct saved_record *r, const struct saved_file *f,
                        uint8_t out[static SAVED_HEAD])
{
    const struct cache_meta *m = &r->meta;
    struct writer w = {out, out + SAVED_HEAD, false};
    memset(out, 0, SAVED_HEAD);
    write_u32(&w, RECORD_MAGIC);
    write_u16(&w, r->key_len);
    write_u16(&w, r->head_len);
    write_u64(&w, r->body_len);
    write_u64(&w, r->number);
    write_u64(&w, r->policy);
    write_u64(&w, m->version);
    write_u64(&w, m->response_s);
    write_u32(&w, m->initial_age_s);
    write_u32(&w, m->lifetime_s);
    write_u16(&w, m->stale_revalidate);
    write_u16(&w, m->stale_error);
    write_u16(&w, m->status);
    write_u8(&w, flags_of(m));
    write_u8(&w, (uint8_t)(m->lifetime_by << 4 | m->control));
    write_u8(&w, r->heat);
    mac(&f->record, out, RECORD_MACED, out + RECORD_MACED, SAVED_HEAD - RECORD_MACED);
}

static void meta_read(struct reader *in, struct cache_meta *m, bool *sane)
{
    uint64_t version = read_u64(in);
    uint64_t response_s = read_u64(in);
    *m = (struct cache_meta){.version = version, .response_s = (uint32_t)response_s};
    m->initial_age_s = read_u32(in);
    m->lifetime_s = read_u32(in);
    m->stale_revalidate = read_u16(in);
    m->stale_error = read_u16(in);
    m->status = read_u16(in);
    unsigned flags = read_u8(in), by = read_u8(in);
    m->must_revalidate = flags & FLAG_MUST_REVALIDATE;
    m->no_cache = flags & FLAG_NO_CACHE;
    m->immutable = flags & FLAG_IMMUTABLE;
    m->has_validator = flags & FLAG_VALIDATOR;
    m->varies = flags & FLAG_VARIES;
    m->for_authorized = flags & FLAG_FOR_AUTHORIZED;
    m->lifetime_by = by >> 4 & 15;
    m->control = by & 3;
    bool status = m->varies ? m->status == 0 && version == 0 : m->status >= 200 && m->status < 600;
    *sane = flags < 2 * FLAG_FOR_AUTHORIZED && status && by >> 4 < CACHE_LIFETIME_REASONS_COUNT &&
            (by & 15) < CACHE_CONTROL_FIELDS_COUNT && response_s <= UINT32_MAX &&
            m->initial_age_s <= CACHE_SECONDS_MAX && m->lifetime_s <= CACHE_SECONDS_MAX &&
            (!m->must_revalidate || (m->stale_revalidate == 0 && m->stale_error == 0));
}

enum saved_result saved_record_read(struct saved_record *r, const struct saved_file *f,
                                    const uint8_t in[static SAVED_HEAD], uint64_t number,
                                    uint64_t left)
{
    uint8_t right[SAVED_HEAD - RECORD_MACED];
    struct reader at = reader_of(in, RECORD_MACED);
    bool sane;
    if (left < SAVED_HEAD || read_u32(&at) != RECORD_MAGIC)
        return SAVED_NOT;
    mac(&f->record, in, RECORD_MACED, right, sizeof(right));
    if (sodium_memcmp(right, in + RECORD_MACED, sizeof(right)) != 0)
        return SAVED_FOREIGN;
    r->key_len = read_u16(&at);
    r->head_len = read_u16(&at);
    r->body_len = read_u64(&at);
    r->number = read_u64(&at);
    r->policy = read_u64(&at);
    meta_read(&at, &r->meta, &sane);
    r->heat = read_u8(&at);
    if (r->number != number || r->body_len > BODY_MAX)
        return SAVED_FOREIGN;
    if (saved_record_bytes(r) > left)
        return SAVED_TORN;
    r->meta.content_length = cache_length_code((int64_t)r->body_len);
    return sane && r->key_len > 0 && r->key_len <= CACHE_KEY_MAX && r->head_len <= CACHE_HEAD_MAX &&
                   r->meta.response_s <= f->saved_s && r->heat <= CACHE_HEAT_MAX
               ? SAVED_GOOD
               : SAVED_INSANE;
}

/* --- bodies -------------------------------------------------------------------------------- */

void saved_sum_begin(struct saved_sum *s, const struct saved_file *f,
                     const uint8_t head[static SAVED_HEAD])
{
    crypto_generichash_init(&s->state, f->body.b, sizeof(f->body.b), SAVED_BODY_MAC);
    saved_sum_add(s, head, SAVED_HEAD);
}

void saved_sum_add(struct saved_sum *s, const void *data, size_t len)
{
    crypto_generichash_update(&s->state, data, len);
}

void saved_sum_end(struct saved_sum *s, uint8_t out[static SAVED_BODY_MAC])
{
    crypto_generichash_final(&s->state, out, SAVED_BODY_MAC);
}

bool saved_sum_is(struct saved_sum *s, const uint8_t right[static SAVED_BODY_MAC])
{
    uint8_t sum[SAVED_BODY_MAC];
    saved_sum_end(s, sum);
    return sodium_memcmp(sum, right, sizeof(sum)) == 0;
}

bool saved_useful(const struct cache_meta *m, int64_t wall_s)
{
    uint32_t age = cache_current_age(m, wall_s);
    return m->response_s <= wall_s &&
           ((uint64_t)m->lifetime_s + cache_window_s(m->stale_revalidate) > age ||
            cache_stale_allowed(m, wall_s));
}

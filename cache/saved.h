/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects as a file: what a node that starts again had. Encoding and judging only; whoever calls
 * does the I/O. All numbers in network order.
 *
 *   [file head] [record 0] [record 1] ...        hottest first
 *
 *   file head, 96 bytes                   record: head, 96 bytes, then key, stored head, body, MAC
 *    0  "Crst"                             0  "Crec"
 *    4  version, 32 bits: 1                4  key's length, 16 bits
 *    8  bytes of the file, 64              6  stored head's length, 16
 *   16  records, 64                        8  body's length, 64
 *   24  when it was written, wall s, 64   16  number of the record, from 0, 64
 *   32  nonce, 16 bytes                   24  print of the policy it was stored under, 64
 *   48  zeros                             32  version of the representation, 64
 *   64  MAC of all that, 32 bytes         40  response_s, 64
 *                                         48  initial_age_s, 32
 *                                         52  lifetime_s, 32
 *                                         56  windows of stale_revalidate, stale_error, 16 each
 *                                         60  status, 16
 *                                         62  flags: 1 must_revalidate, 2 no_cache, 4 immutable,
 *                                             8 has_validator, 16 varies: a primary, of which
 *                                             the stored head is nonce and names,
 *                                             32 for_authorized
 *                                         63  lifetime_by, high 4 bits; control, low 4
 *                                         64  heat
 *                                         65  zeros
 *                                         80  MAC of all that, 16 bytes
 *                                         96  key, stored head, body
 *                                          .  MAC of the record up to here, 32 bytes
 *
 * A MAC is keyed BLAKE2b (RFC 7693): of the file head by the node's key, of records by keys that
 * are made of it and the nonce, so that nothing of one file is believed in another. A checksum
 * would find what a disk does; this finds what somebody else does, too, and a CRC that can be made
 * to fit says nothing about a body. The file head is written last: it is the commit record, and a
 * file without it is no file. A record's lengths are believed when its head's MAC is right, so
 * damage to a key, head or body costs one object; damage to a record's head costs those after it.
 *
 * Not defended against: an older file of this node, with its own key, put back by who may write
 * into the folder. Its objects have aged.
 */
#ifndef CORAL_CACHE_SAVED_H
#define CORAL_CACHE_SAVED_H

#include <sodium.h>

#include "cache/cache.h"

#define SAVED_VERSION  1u
#define SAVED_HEAD     96u /* bytes of a file's or a record's head */
#define SAVED_NONCE    16u
#define SAVED_BODY_MAC 32u

#define SAVED_RESULTS(X)                                                                           \
    X(SAVED_GOOD, "good")                                                                          \
    X(SAVED_NOT, "not such a file, or one that was not finished")                                  \
    X(SAVED_VERSION_OTHER, "written by another version")                                           \
    X(SAVED_FOREIGN, "not written under this node's key and address, or damaged")                  \
    X(SAVED_TORN, "longer or shorter than it was written")                                         \
    X(SAVED_CLOCK, "written in the future: the clock was set back")                                \
    X(SAVED_INSANE, "a value is out of its range")
#define SAVED_ENUM(name, text) name,
enum saved_result { SAVED_RESULTS(SAVED_ENUM) SAVED_RESULTS_COUNT };

struct saved_key {
    uint8_t b[32];
};

struct saved_file {
    uint64_t bytes, records;
    int64_t saved_s; /* wall */
    uint8_t nonce[SAVED_NONCE];
    struct saved_key record, body; /* made of the node's key and the nonce */
};

struct saved_record {
    uint64_t number, body_len;
    uint64_t policy;        /* whoever judges freshness says under which rules; opaque here */
    struct cache_meta meta; /* content_length is body_len */
    uint16_t key_len, head_len;
    uint8_t heat;
};

/* The MAC of a record's bytes as they go by. */
struct saved_sum {
    crypto_generichash_state state;
};

const char *saved_text(enum saved_result r);

/* The node's key, of a secret (16 to 64 bytes) and what tells the node from others. */
void saved_key_make(struct saved_key *k, const void *secret, size_t secret_len, const char *node);

/* A new file: keys for its records. `nonce`: random, never used before. */
void saved_file_begin(struct saved_file *f, const struct saved_key *k,
                      const uint8_t nonce[static SAVED_NONCE]);
/* The file head; bytes, records and saved_s are set. */
void saved_file_write(const struct saved_file *f, const struct saved_key *k,
                      uint8_t out[static SAVED_HEAD]);
/* Judges a file head; `size`: of the file as it lies there, `wall_s`: now. *f is of use only when
 * SAVED_GOOD is returned. */
enum saved_result saved_file_read(struct saved_file *f, const struct saved_key *k,
                                  const uint8_t in[static SAVED_HEAD], uint64_t size,
                                  int64_t wall_s);

/* Bytes of a whole record. */
uint64_t saved_record_bytes(const struct saved_record *r);
void saved_record_write(const struct saved_record *r, const struct saved_file *f,
                        uint8_t out[static SAVED_HEAD]);
/* Judges a record's head, of which `number` is expected and behind which, it included, `left`
 * bytes of the file are. When SAVED_GOOD: lengths are within the cache's limits and `left`, values
 * within their ranges. SAVED_INSANE: the lengths are right, so the next record can be found, but
 * nothing of this one is to be used. Else the rest of the file is lost. */
enum saved_result saved_record_read(struct saved_record *r, const struct saved_file *f,
                                    const uint8_t in[static SAVED_HEAD], uint64_t number,
                                    uint64_t left);

/* Over a record's head, key, stored head and body, in any pieces. */
void saved_sum_begin(struct saved_sum *s, const struct saved_file *f,
                     const uint8_t head[static SAVED_HEAD]);
void saved_sum_add(struct saved_sum *s, const void *data, size_t len);
void saved_sum_end(struct saved_sum *s, uint8_t out[static SAVED_BODY_MAC]);
bool saved_sum_is(struct saved_sum *s, const uint8_t mac[static SAVED_BODY_MAC]);

/* Whether an object may be of use at `wall_s`: fresh, or to be served stale. */
bool saved_useful(const struct cache_meta *m, int64_t wall_s);

#endif

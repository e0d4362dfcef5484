/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES by the processor's instructions. A block's ten rounds wait for one another (4 cycles each on
 * Zen 4, 3 on Ice Lake), while two rounds of other blocks could begin in every cycle: so eight
 * lanes cost what one does. VAES does four blocks in an instruction.
 *
 * Only these functions are compiled for more than the baseline; cmac_lanes_* say who may call them.
 */
#include <assert.h>
#include <cpuid.h>
#include <immintrin.h>

#include <string.h>

#include "dht/mac_cmac.h"

#define ROUNDS      10 /* of AES-128 */
#define AESNI_LANES 8
#define VAES_WIDE   4 /* registers of four lanes each */

#define FOR_AESNI __attribute__((target("aes,sse4.1")))
#define FOR_VAES  __attribute__((target("vaes,avx512f")))

static_assert(VAES_WIDE * 4 <= CMAC_LANES && AESNI_LANES <= CMAC_LANES, "lanes");

/*
 * In both: a state is kept with the first round key already in it, which the last round adds, so
 * that one XOR, not two, stands between a block's rounds and the next one's.
 *
 * --- AES-NI ---------------------------------------------------------------------------------- */

FOR_AESNI static inline void step_aesni(__m128i *x, const __m128i *block, const __m128i *round,
                                        __m128i end, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        x[i] = _mm_xor_si128(x[i], block[i]);
    for (unsigned r = 1; r < ROUNDS; r++)
        for (unsigned i = 0; i < n; i++)
            x[i] = _mm_aesenc_si128(x[i], round[r]);
    for (unsigned i = 0; i < n; i++)
        x[i] = _mm_aesenclast_si128(x[i], end);
}

/* n is a constant where this is called: all loops over lanes are unrolled. */
FOR_AESNI static inline __attribute__((always_inline)) void
run_sse(uint8_t state[][16], const uintptr_t *at, const uint8_t last[][16], size_t from, size_t to,
        const struct cmac_key *key, const unsigned n)
{
    const __m128i *round = (const __m128i *)key->round;
    __m128i x[AESNI_LANES], block[AESNI_LANES], end = _mm_xor_si128(round[ROUNDS], round[0]);

    for (unsigned i = 0; i < n; i++)
        x[i] = from ? _mm_xor_si128(_mm_load_si128((const __m128i *)state[i]), round[0]) : round[0];
    for (size_t step = from; step < to; step++) {
        for (unsigned i = 0; i < n; i++)
            block[i] = _mm_loadu_si128((const __m128i *)(at[i] + 16 * step));
        step_aesni(x, block, round, end, n);
    }
    if (last) {
        for (unsigned i = 0; i < n; i++)
            block[i] = _mm_load_si128((const __m128i *)last[i]);
        step_aesni(x, block, round, end, n);
    }
    for (unsigned i = 0; i < n; i++)
        _mm_store_si128((__m128i *)state[i], _mm_xor_si128(x[i], round[0]));
}

FOR_AESNI static void run_aesni(uint8_t state[][16], const uintptr_t *at, const uint8_t last[][16],
                                size_t from, size_t to, const struct cmac_key *key)
{
    run_sse(state, at, last, from, to, key, AESNI_LANES);
}

FOR_AESNI static void run_one(uint8_t state[][16], const uintptr_t *at, const uint8_t last[][16],
                              size_t from, size_t to, const struct cmac_key *key)
{
    run_sse(state, at, last, from, to, key, 1);
}

/* --- VAES ------------------------------------------------------------------------------------ */

FOR_VAES static inline __m512i gather(const void *a, const void *b, const void *c, const void *d)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128(a));
    v = _mm512_inserti32x4(v, _mm_loadu_si128(b), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128(c), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128(d), 3);
}

FOR_VAES static inline void step_vaes(__m512i x[VAES_WIDE], const __m512i block[VAES_WIDE],
                                      const __m512i round[ROUNDS + 1])
{
    for (unsigned i = 0; i < VAES_WIDE; i++)
        x[i] = _mm512_xor_si512(x[i], block[i]);
    for (unsigned r = 1; r < ROUNDS; r++)
        for (unsigned i = 0; i < VAES_WIDE; i++)
            x[i] = _mm512_aesenc_epi128(x[i], round[r]);
    for (unsigned i = 0; i < VAES_WIDE; i++)
        x[i] = _mm512_aesenclast_epi128(x[i], round[ROUNDS]);
}

FOR_VAES static void run_vaes(uint8_t state[][16], const uintptr_t *at, const uint8_t last[][16],
                              size_t from, size_t to, const struct cmac_key *key)
{
    __m512i x[VAES_WIDE], block[VAES_WIDE], round[ROUNDS + 1];

    for (unsigned r = 0; r <= ROUNDS; r++)
        round[r] = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)key->round[r]));
    round[ROUNDS] = _mm512_xor_si512(round[ROUNDS], round[0]);
    for (unsigned i = 0; i < VAES_WIDE; i++)
        x[i] = from ? _mm512_xor_si512(_mm512_load_si512(state[4 * i]), round[0]) : round[0];
    for (size_t step = from; step < to; step++) {
        for (unsigned i = 0; i < VAES_WIDE; i++) {
            const uintptr_t *a = at + 4 * i;
            size_t offset = 16 * step;
            block[i] = gather((const void *)(a[0] + offset), (const void *)(a[1] + offset),
                              (const void *)(a[2] + offset), (const void *)(a[3] + offset));
        }
        step_vaes(x, block, round);
    }
    if (last) { /* each was written alone, and is read alone: a wider load would wait for them */
        for (unsigned i = 0; i < VAES_WIDE; i++)
            block[i] = gather(last[4 * i], last[4 * i + 1], last[4 * i + 2], last[4 * i + 3]);
        step_vaes(x, block, round);
    }
    for (unsigned i = 0; i < VAES_WIDE; i++)
        _mm512_store_si512(state[4 * i], _mm512_xor_si512(x[i], round[0]));
}

/* --- last blocks ----------------------------------------------------------------------------- */

/* 16 of these from index 16 - rest on: the shuffle that brings the last `rest` bytes to the front,
 * with zeros behind, and the one bit that pads them. */
static const uint8_t front[32] = {0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
                                  11,   12,   13,   14,   15,   0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                  0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
static const uint8_t pad[32] = {[16] = 0x80};

/* What turns the last 16 bytes of a message into its last block, of which `rest` bytes are left. */
struct last {
    __m128i front, mask;
};

FOR_AESNI static inline struct last last_of(const struct cmac_key *key, size_t rest)
{
    __m128i subkey = _mm_load_si128((const __m128i *)(rest == 16 ? key->k1 : key->k2));
    return (struct last){
        _mm_loadu_si128((const __m128i *)(front + 16 - rest)),
        _mm_xor_si128(_mm_loadu_si128((const __m128i *)(pad + 16 - rest)), subkey)};
}

FOR_AESNI static inline __m128i last_make(const struct last *l, const void *last16)
{
    return _mm_xor_si128(_mm_shuffle_epi8(_mm_loadu_si128(last16), l->front), l->mask);
}

FOR_AESNI void cmac_last_blocks_same(const struct cmac_key *key, const uintptr_t *at, size_t len,
                                     uint8_t out[][16], unsigned lanes)
{
    const struct last l = last_of(key, len - 16 * cmac_body_blocks(len));
    for (unsigned i = 0; i < lanes; i++)
        _mm_store_si128((__m128i *)out[i], last_make(&l, (const void *)(at[i] + len - 16)));
}

FOR_AESNI void cmac_last_blocks(const struct cmac_key *key, struct mac_job *const *job, unsigned n,
                                uint8_t out[][16], unsigned lanes)
{
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *data = job[i]->data;
        size_t len = job[i]->len, rest = len - 16 * cmac_body_blocks(len);
        struct last l = last_of(key, rest);
        uint8_t few[16] = {0};
        if (len >= 16) { /* nothing is read before or behind the message */
            _mm_store_si128((__m128i *)out[i], last_make(&l, data + len - 16));
            continue;
        }
        if (len)
            memcpy(few + 16 - len, data, len);
        _mm_store_si128((__m128i *)out[i], last_make(&l, few));
    }
    for (unsigned i = n; i < lanes; i++)
        _mm_store_si128((__m128i *)out[i], _mm_load_si128((const __m128i *)out[0]));
}

/* --- round keys ------------------------------------------------------------------------------ */

/* FIPS 197, 5.2: `mixed` is RotWord and SubWord of the last word, with the round's constant. */
FOR_AESNI static __m128i round_next(__m128i k, __m128i mixed)
{
    k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
    k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
    return _mm_xor_si128(k, _mm_shuffle_epi32(mixed, 0xff));
}

FOR_AESNI void cmac_rounds_expand(struct cmac_key *out, const uint8_t key[16])
{
    __m128i *round = (__m128i *)out->round;

    round[0] = _mm_loadu_si128((const __m128i *)key);
    round[1] = round_next(round[0], _mm_aeskeygenassist_si128(round[0], 0x01));
    round[2] = round_next(round[1], _mm_aeskeygenassist_si128(round[1], 0x02));
    round[3] = round_next(round[2], _mm_aeskeygenassist_si128(round[2], 0x04));
    round[4] = round_next(round[3], _mm_aeskeygenassist_si128(round[3], 0x08));
    round[5] = round_next(round[4], _mm_aeskeygenassist_si128(round[4], 0x10));
    round[6] = round_next(round[5], _mm_aeskeygenassist_si128(round[5], 0x20));
    round[7] = round_next(round[6], _mm_aeskeygenassist_si128(round[6], 0x40));
    round[8] = round_next(round[7], _mm_aeskeygenassist_si128(round[7], 0x80));
    round[9] = round_next(round[8], _mm_aeskeygenassist_si128(round[8], 0x1b));
    round[10] = round_next(round[9], _mm_aeskeygenassist_si128(round[9], 0x36));
}

/* --- who may --------------------------------------------------------------------------------- */

static const struct cmac_lanes one = {1, run_one, NULL};
static const struct cmac_lanes aesni = {AESNI_LANES, run_aesni, &one};
static const struct cmac_lanes vaes = {4 * VAES_WIDE, run_vaes, &aesni};

const struct cmac_lanes *cmac_lanes_aesni(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1") ? &aesni : NULL;
}

/* The built-in also asks whether the kernel keeps the wide registers; clang 14's does not know
 * VAES, so that comes from CPUID. */
const struct cmac_lanes *cmac_lanes_vaes(void)
{
    unsigned a, b, c, d;
    if (!cmac_lanes_aesni() || !__builtin_cpu_supports("avx512f") ||
        !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & bit_VAES))
        return NULL;
    return &vaes;
}

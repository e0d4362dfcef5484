/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A burst's messages, longest first, take the lanes in groups. A group ends together: its longest
 * message begins at once, a shorter one when as many blocks are left as it has. Until then, and in
 * a lane that has no message at all, the lane reads what lane 0 reads, and its state is dropped: so
 * nothing is read that is not a message's, and the lanes need no branch.
 *
 *     lane 0   | m0 | m1 | m2 | m3 | last      blocks of an 80-byte message, then its last one,
 *     lane 1   |  . |  . | m0 | m1 | last      which is padded and masked by K1 or K2
 *     lane 2   |  . |  . |  . |  . | last      16 bytes or fewer
 */
#include "dht/mac_cmac.h"

#include <sodium.h>
#include <string.h>

/* Above the blocks of any datagram (2048 bytes). Longer messages, of text, go alone. */
#define SORTED_BLOCKS 128

/* RFC 4493, 2.3: a doubling in GF(2^128). Without a branch on what is secret. */
static void key_double(const uint8_t in[16], uint8_t out[16])
{
    uint8_t carry = in[0] >> 7;
    for (unsigned i = 0; i < 15; i++)
        out[i] = (uint8_t)(in[i] << 1 | in[i + 1] >> 7);
    out[15] = (uint8_t)(in[15] << 1 ^ (carry * 0x87));
}

void cmac_key_expand(const struct cmac_lanes *lanes, struct cmac_key *out, const uint8_t key[16])
{
    static const uint8_t zero[16];
    _Alignas(64) uint8_t state[CMAC_LANES][16];
    uintptr_t at[CMAC_LANES];

    for (unsigned i = 0; i < CMAC_LANES; i++)
        at[i] = (uintptr_t)zero;
    cmac_rounds_expand(out, key);
    lanes->run(state, at, NULL, 0, 1, out);
    key_double(state[0], out->k1);
    key_double(out->k1, out->k2);
    sodium_memzero(state, sizeof(state));
}

/* At most as many messages as there are lanes, longest first. */
static void group_tag(const struct cmac_lanes *lanes, const struct cmac_key *key,
                      struct mac_job *const *job, unsigned n)
{
    _Alignas(64) uint8_t state[CMAC_LANES][16];
    _Alignas(16) uint8_t last[CMAC_LANES][16];
    uintptr_t at[CMAC_LANES];
    size_t steps = cmac_body_blocks(job[0]->len), next;
    unsigned awake = 0;

    while (lanes->narrow && n <= lanes->narrow->n)
        lanes = lanes->narrow;
    for (unsigned i = 0; i < lanes->n; i++)
        at[i] = (uintptr_t)job[0]->data;
    cmac_last_blocks(key, job, n, last, lanes->n);
    for (size_t step = 0;; step = next) {
        for (; awake < n && cmac_body_blocks(job[awake]->len) == steps - step; awake++) {
            at[awake] = (uintptr_t)job[awake]->data - 16 * step;
            if (step)
                memset(state[awake], 0, 16);
        }
        next = awake < n ? steps - cmac_body_blocks(job[awake]->len) : steps;
        lanes->run(state, at, awake < n ? NULL : last, step, next, key);
        if (awake == n)
            break;
    }
    for (unsigned i = 0; i < n; i++)
        memcpy(job[i]->tag, state[i], 16);
}

/* The same for messages of one length, as most bursts are: the lanes go in step. */
static void group_tag_same(const struct cmac_lanes *lanes, const struct cmac_key *key,
                           struct mac_job *const *job, unsigned n)
{
    _Alignas(64) uint8_t state[CMAC_LANES][16];
    _Alignas(16) uint8_t last[CMAC_LANES][16];
    uintptr_t at[CMAC_LANES];
    size_t len = job[0]->len;

    while (lanes->narrow && n <= lanes->narrow->n)
        lanes = lanes->narrow;
    for (unsigned i = 0; i < n; i++)
        at[i] = (uintptr_t)job[i]->data;
    for (unsigned i = n; i < lanes->n; i++)
        at[i] = at[0];
    cmac_last_blocks_same(key, at, len, last, lanes->n);
    lanes->run(state, at, last, 0, cmac_body_blocks(len), key);
    for (unsigned i = 0; i < n; i++)
        memcpy(job[i]->tag, state[i], 16);
}

static bool are_same(struct mac_job *const *job, unsigned n)
{
    size_t differ = 0;
    for (unsigned i = 1; i < n; i++)
        differ |= job[i]->len ^ job[0]->len;
    return differ == 0;
}

/* Longest first, by counting, into `out`, unless all have as many blocks. Returns how many of the
 * first are too long to be sorted, and go alone. */
static unsigned sort(struct mac_job *const **job, unsigned n, struct mac_job **out)
{
    uint8_t at[SORTED_BLOCKS + 1] = {0}; /* how many, then where the next one goes */
    uint8_t place[DATAGRAM_BURST];
    unsigned low = SORTED_BLOCKS, high = 0, from = 0;

    for (unsigned i = 0; i < n; i++) {
        size_t blocks = cmac_body_blocks((*job)[i]->len);
        place[i] = (uint8_t)(blocks < SORTED_BLOCKS ? blocks : SORTED_BLOCKS);
        low = place[i] < low ? place[i] : low;
        high = place[i] > high ? place[i] : high;
    }
    if (low == high) /* as most bursts are */
        return low == SORTED_BLOCKS ? n : 0;
    for (unsigned i = 0; i < n; i++)
        at[place[i]]++;
    unsigned alone = at[SORTED_BLOCKS];
    for (unsigned p = high + 1; p-- > low;) {
        unsigned count = at[p];
        at[p] = (uint8_t)from;
        from += count;
    }
    for (unsigned i = 0; i < n; i++)
        out[at[place[i]]++] = (*job)[i];
    *job = out;
    return alone;
}

void cmac_tag_many(const struct cmac_lanes *lanes, const struct cmac_key *key,
                   struct mac_job *const *job, unsigned n)
{
    struct mac_job *sorted[DATAGRAM_BURST];
    unsigned group;

    if (job[0]->len >= 16 && are_same(job, n)) {
        for (unsigned i = 0; i < n; i += group) {
            group = n - i < lanes->n ? n - i : lanes->n;
            group_tag_same(lanes, key, job + i, group);
        }
        return;
    }
    unsigned alone = sort(&job, n, sorted);
    for (unsigned i = 0; i < n; i += group) {
        group = n - i < lanes->n ? n - i : lanes->n;
        if (i < alone)
            group = 1;
        group_tag(lanes, key, job + i, group);
    }
}

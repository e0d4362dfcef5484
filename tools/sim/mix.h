/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counter-based randomness: what chance decides is a hash of the seed, of what is decided and of
 * who asks, never the next number of a shared generator. So the order in which questions come, the
 * number of threads, and questions that are added later change no other answer.
 */
#ifndef CORAL_TOOLS_SIM_MIX_H
#define CORAL_TOOLS_SIM_MIX_H

#include "base/mix.h"

/* What a number is drawn for: a key of its own each. Append only; golden hashes hang on them. */
enum mix_purpose {
    MIX_SITE_METRO,    /* in which metro a site is */
    MIX_SITE_KIND,     /* servers or homes, IP families */
    MIX_SITE_HEIGHT,   /* how far a site of servers is from its exchange */
    MIX_NODE_HEIGHT,   /* the same of a home */
    MIX_PATH,          /* detour of a pair of sites */
    MIX_PACKET,        /* loss and jitter of a packet */
    MIX_BURST,         /* is a pair in a burst of loss */
    MIX_BLOCKED_SITES, /* pairs of sites that cannot talk */
    MIX_BLOCKED_NODES, /* pairs of nodes that cannot talk */
    MIX_SESSION,       /* how long a node stays up or down */
    MIX_START,         /* is it up at the start */
    MIX_SITE_OUTAGE,   /* when a whole site fails */
    MIX_STORM,         /* whom a storm hits and when */
    MIX_CALLER = 64,   /* from here on: purposes of whoever uses the world */
};

/* The key of a purpose (enum mix_purpose or above MIX_CALLER), for mix_pair(). */
static inline uint64_t mix_key(uint64_t seed, uint32_t purpose)
{
    return mix64(mix64(seed + MIX_GOLDEN) + (purpose + 1) * MIX_GOLDEN);
}

/* 64 random bits for (a, b); not the same as for (b, a). */
static inline uint64_t mix_pair(uint64_t key, uint64_t a, uint64_t b)
{
    return mix64((mix64((key ^ a) + MIX_GOLDEN) ^ b) + MIX_GOLDEN);
}

static inline uint64_t mix(uint64_t seed, uint64_t a, uint64_t b, uint32_t purpose)
{
    return mix_pair(mix_key(seed, purpose), a, b);
}

/* uniform in [0, bound) from 64 random bits; its bias of bound / 2^64 is nobody's concern here */
static inline uint64_t mix_below(uint64_t random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)random * bound) >> 64);
}

/* A probability in millionths as a bound on 32 random bits: chance iff random < mix_bound(ppm). */
static inline uint64_t mix_bound(uint32_t ppm)
{
    return ((uint64_t)ppm << 32) / 1000000;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * splitmix64's finaliser (Steele, Lea and Flood, OOPSLA 2014; Stafford's variant 13): a bijection of
 * 64 bits that scatters what is counted. Good statistics, no secrets; keyed hashes are hash.h's.
 */
#ifndef CORAL_BASE_MIX_H
#define CORAL_BASE_MIX_H

#include <stdint.h>

#define MIX_GOLDEN 0x9e3779b97f4a7c15u /* splitmix64's step: hash what is counted by it */

static inline uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/cookie.h"

#include <string.h>

#include "base/hash.h"

#define LOW24     0xffffffu
#define TS_BITS   6
#define TS_MASK   ((1u << TS_BITS) - 1)
#define TS_SACK   0x10u
#define TS_ECN    0x20u
#define SCALE_OFF 15u

/* What peers announce, by both families: Ethernet's, and less what tunnels take; the least MTUs'.
 */
#define SIZES      8u
#define SIZE_SHIFT 21u /* how far apart: 2 MiB, where no first window reaches */
static const uint16_t sizes[SIZES] = {64, 256, 536, 1220, 1300, 1380, 1440, 1460};

static uint64_t tuple_hash(const uint8_t key[16], const struct tcp_cookie_tuple *t, uint64_t minute)
{
    uint8_t in[44];
    memcpy(in, t->local.b, 16);
    memcpy(in + 16, t->remote.b, 16);
    memcpy(in + 32, &t->lport, 2);
    memcpy(in + 34, &t->rport, 2);
    memcpy(in + 36, &minute, 8);
    return siphash64(key, in, sizeof(in));
}

/* what makes the number, but for the size */
static uint32_t base(const struct tcp_cookie_key *k, const struct tcp_cookie_tuple *t, uint32_t irs,
                     uint64_t minute)
{
    return (uint32_t)tuple_hash(k->of_tuple, t, 0) + irs + (uint32_t)(minute << 24);
}

uint32_t tcp_cookie_make(const struct tcp_cookie_key *k, const struct tcp_cookie_tuple *t,
                         uint32_t irs, uint16_t mss, uint64_t minute)
{
    uint32_t size = SIZES - 1;
    while (size > 0 && sizes[size] > mss)
        size--;
    uint32_t low = ((uint32_t)tuple_hash(k->of_minute, t, minute) + (size << SIZE_SHIFT)) & LOW24;
    return base(k, t, irs, minute) + low;
}

bool tcp_cookie_check(const struct tcp_cookie_key *k, const struct tcp_cookie_tuple *t,
                      uint32_t irs, uint32_t cookie, uint64_t minute, uint16_t *mss)
{
    /* with this minute's taken off, the upper byte says how many minutes ago, negative */
    uint32_t rest = cookie - base(k, t, irs, minute);
    uint32_t age = -(rest >> 24) & 0xff;
    if (age >= TCP_COOKIE_MINUTES || age > minute)
        return false;
    uint32_t word = (rest - (uint32_t)tuple_hash(k->of_minute, t, minute - age)) & LOW24;
    if (word & ((1u << SIZE_SHIFT) - 1))
        return false;
    *mss = sizes[word >> SIZE_SHIFT];
    return true;
}

uint32_t tcp_cookie_ts_make(uint32_t clock_ms, const struct tcp_cookie_options *o)
{
    uint32_t bits = o->scale_on ? o->scale : SCALE_OFF;
    bits |= (o->sack_on ? TS_SACK : 0) | (o->ecn_on ? TS_ECN : 0);
    uint32_t ts = (clock_ms & ~TS_MASK) | bits;
    return (int32_t)(clock_ms - ts) < 0 ? ts - (TS_MASK + 1) : ts;
}

bool tcp_cookie_ts_check(uint32_t ts, uint32_t clock_ms, struct tcp_cookie_options *o)
{
    if (clock_ms - ts > TCP_COOKIE_LIFE_US / 1000 + TS_MASK)
        return false;
    uint32_t scale = ts & 0xf;
    *o = (struct tcp_cookie_options){
        .scale_on = scale != SCALE_OFF,
        .sack_on = ts & TS_SACK,
        .ecn_on = ts & TS_ECN,
        .scale = (uint8_t)(scale == SCALE_OFF ? 0 : scale),
    };
    return true;
}

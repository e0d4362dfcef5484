/* SPDX-License-Identifier: BSD-3-Clause */
/* Cookies from any number, for any peer: what is taken says what could have been made, and what was
 * made is taken. Input: two addresses, ports, irs, cookie, clock, options; 60 bytes. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TAKE(x) (memcpy(&(x), data, sizeof(x)), data += sizeof(x))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tcp_cookie_key key = {{7}, {8}};
    struct tcp_cookie_tuple t;
    struct tcp_cookie_options o = {0}, back;
    uint32_t irs, cookie, clock, minute;
    uint16_t mss, kept;
    uint8_t bits;
    if (size < sizeof(t) + 4 * sizeof(irs) + sizeof(mss) + sizeof(bits))
        return 0;
    TAKE(t);
    TAKE(irs);
    TAKE(cookie);
    TAKE(clock);
    TAKE(minute);
    TAKE(mss);
    TAKE(bits);
    /* found by chance or by diligence: then it is what we would have said in one of two minutes */
    if (tcp_cookie_check(&key, &t, irs, cookie, minute, &kept) &&
        tcp_cookie_make(&key, &t, irs, kept, minute) != cookie &&
        tcp_cookie_make(&key, &t, irs, kept, minute - 1ull) != cookie)
        abort();
    cookie = tcp_cookie_make(&key, &t, irs, mss, minute);
    if (!tcp_cookie_check(&key, &t, irs, cookie, minute + 1ull, &kept) || (mss >= 64 && kept > mss))
        abort();
    o.scale_on = (bits & 15) != 15;
    o.scale = o.scale_on ? bits & 15 : 0;
    o.sack_on = bits & 16;
    o.ecn_on = bits & 32;
    uint32_t ts = tcp_cookie_ts_make(clock, &o);
    if (clock - ts >= 64 || !tcp_cookie_ts_check(ts, clock, &back) || back.scale != o.scale ||
        back.scale_on != o.scale_on || back.sack_on != o.sack_on || back.ecn_on != o.ecn_on)
        abort();
    if (tcp_cookie_ts_check(cookie, clock, &back) && back.scale > 14)
        abort();
    return 0;
}

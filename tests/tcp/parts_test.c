/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts that are values of their own: options, RTT, NewReno. */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

static bool parse(struct tcp_segment *s, const uint8_t *options, uint32_t n)
{
    uint8_t b[64] = {0, 80, 1, 0, 0, 0, 0, 7, 0, 0, 0, 9};
    b[12] = (uint8_t)((20 + n) / 4 << 4);
    b[13] = TCP_SYN;
    if (n > 0)
        memcpy(b + 20, options, n);
    struct tcp_packet p = {.segment = b, .len = 20 + n};
    return tcp_segment_parse(s, &p);
}

Test(parts, header_fields)
{
    struct tcp_segment s;
    cr_assert(parse(&s, NULL, 0));
    cr_assert(s.rport == 80 && s.lport == 256 && s.seq == 7 && s.ack == 9 && s.len == 0);
}

Test(parts, header_lengths_are_checked)
{
    uint8_t b[64] = {0};
    struct tcp_segment s;
    for (uint32_t len = 0; len < 64; len++)
        for (unsigned offset = 0; offset < 16; offset++) {
            b[12] = (uint8_t)(offset << 4);
            struct tcp_packet p = {.segment = b, .len = len};
            bool ok = tcp_segment_parse(&s, &p);
            cr_assert(ok == (offset >= 5 && len >= offset * 4 && len >= 20), "%u %u", len, offset);
            cr_assert(!ok || s.len == len - offset * 4);
        }
}

Test(parts, options)
{
    struct tcp_segment s;
    const uint8_t usual[20] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6};
    cr_assert(parse(&s, usual, 20));
    cr_assert(s.opt.mss == 1460 && s.opt.scale == 7 && s.opt.tsval == 5 && s.opt.tsecr == 6);

    const uint8_t steep[4] = {3, 3, 200, 0}; /* RFC 7323 2.3: counts as 14 */
    cr_assert(parse(&s, steep, 4) && s.opt.scale == 14);
    const uint8_t odd[4] = {2, 3, 1, 0}; /* known kind, wrong length: ignored */
    cr_assert(parse(&s, odd, 4) && !s.opt.has_mss);
    const uint8_t unknown[8] = {99, 4, 1, 1, 2, 4, 1, 0};
    cr_assert(parse(&s, unknown, 8) && s.opt.mss == 256);
    const uint8_t ended[8] = {0, 2, 2, 2, 2, 4, 1, 0};
    cr_assert(parse(&s, ended, 8) && !s.opt.has_mss);
    const uint8_t zero[4] = {99, 0, 0, 0}, one[4] = {99, 1, 0, 0}, past[4] = {2, 40, 0, 0},
                  cut[4] = {1, 1, 1, 8};
    cr_assert(!parse(&s, zero, 4) && !parse(&s, one, 4) && !parse(&s, past, 4) &&
              !parse(&s, cut, 4));
}

Test(parts, rto_follows_rfc_6298)
{
    struct rtt r = {0};
    cr_assert(tcp_rtt_rto_us(&r, 0) == 1000000);
    cr_assert(tcp_rtt_rto_us(&r, 2) == 4000000);
    cr_assert(tcp_rtt_rto_us(&r, 30) == TCP_RTO_MAX_US);
    tcp_rtt_sample(&r, 100000);
    cr_assert(tcp_rtt_rto_us(&r, 0) == 300000); /* SRTT + max(200 ms, 4 * R/2) */
    tcp_rtt_sample(&r, 500000);
    cr_assert(r.srtt8_us / 8 == 150000);
    cr_assert(r.var4_us / 4 == 137500);
    for (unsigned i = 0; i < 200; i++)
        tcp_rtt_sample(&r, 20);
    cr_assert(r.srtt8_us > 0 && r.srtt8_us / 8 < 100);
    cr_assert(tcp_rtt_rto_us(&r, 0) >= 200000 && tcp_rtt_rto_us(&r, 0) < 201000);
    tcp_rtt_sample(&r, 0);
    tcp_rtt_sample(&r, UINT32_MAX);
    cr_assert(tcp_rtt_rto_us(&r, 0) <= TCP_RTO_MAX_US);
}

Test(parts, sack_options)
{
    struct tcp_segment s;
    const uint8_t permitted[4] = {1, 1, 4, 2};
    cr_assert(parse(&s, permitted, 4) && s.opt.sack_permitted && s.opt.sacks == 0);
    struct tcp_out o = {.option_len = 0};
    struct tcp_range b[4] = {{10, 20}, {0xfffffff0, 4}, {5, 6}, {7, 8}};
    tcp_option_sack(&o, b, 4);
    cr_assert(o.option_len == 36 && parse(&s, o.option, 36) && s.opt.sacks == 4);
    cr_assert(memcmp(s.opt.sack, b, sizeof(b)) == 0);
    tcp_option_ts(&(struct tcp_out){.option_len = 28}, 1, 2); /* three and timestamps are 40 */
    const uint8_t ragged[12] = {1, 5, 11, 0, 0, 0, 1, 0, 0, 0, 2, 9};
    cr_assert(parse(&s, ragged, 12) && s.opt.sacks == 0);
    const uint8_t none[4] = {5, 2, 1, 1};
    cr_assert(parse(&s, none, 4) && s.opt.sacks == 0);
}

static struct cc reno(uint32_t mss)
{
    struct cc cc = {.ops = &cc_newreno};
    cc.ops->init(&cc, mss, 0);
    return cc;
}

Test(parts, newreno_slow_start_and_avoidance)
{
    struct cc r = reno(1000);
    cr_assert(r.cwnd == 10000 && reno(9000).cwnd == 18000 && reno(1460).cwnd == 14600);
    struct cc_ack a = {.mss = 1000, .acked = 2000, .flight = 10000, .cwnd_limited = true};
    r.ops->ack(&r, &a);
    cr_assert(r.cwnd == 12000);
    a.cwnd_limited = false;
    r.ops->ack(&r, &a);
    cr_assert(r.cwnd == 12000);
    r.ssthresh = 12000;
    a.cwnd_limited = true;
    a.acked = 1000;
    for (unsigned i = 0; i < 12; i++)
        r.ops->ack(&r, &a);
    cr_assert(r.cwnd == 13000); /* one segment a window */
}

Test(parts, newreno_reductions)
{
    struct cc r = reno(1000);
    r.cwnd = 20000;
    r.ops->loss(&r, 1000, 20000, 0);
    cr_assert(r.ssthresh == 10000);
    r.ops->recovered(&r, 1000, 4000, 0);
    cr_assert(r.cwnd == 10000);
    r.ops->timeout(&r, 1000, 5000, 0, true);
    cr_assert(r.cwnd == 1000 && r.ssthresh == 2500);
    r.ops->timeout(&r, 1000, 1000, 0, false); /* the second in a row reduces nothing more */
    cr_assert(r.ssthresh == 2500);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections as a person wants to see them (`coralctl tcp ADDRESS`): copies, taken by the engine's
 * own worker, a bounded number of table entries at a time. */
#ifndef CORAL_TCP_SHOW_H
#define CORAL_TCP_SHOW_H

#include "base/addr.h"

struct tcp_engine;

struct tcp_info {
    struct endpoint local, remote;
    /* static texts */
    const char *state;      /* "ESTABLISHED" ... */
    const char *controller; /* congestion control */
    const char *timer;      /* the one that is armed: "rto", "probe", "ack"; "": none */
    uint32_t timer_ms;      /* until it fires */
    bool passive;           /* the peer opened it */
    bool timestamps, sack, scale;
    uint8_t snd_scale, rcv_scale;
    bool recovering;
    uint32_t backoff;    /* time-outs or probes in a row */
    uint32_t retries;    /* retransmissions without a sign of life since */
    uint32_t duplicates; /* duplicate ACKs in a row */
    uint32_t mss, rcv_mss;
    uint32_t cwnd, ssthresh; /* bytes; ssthresh UINT32_MAX: no loss yet */
    uint32_t srtt_us, rttvar_us, rto_us;
    uint32_t snd_wnd, rcv_wnd;
    uint32_t unacked; /* bytes sent and not acknowledged */
    uint32_t queued;  /* bytes given by the application, not acknowledged: unacked and unsent */
    uint32_t kept;    /* bytes received in order that the application has not taken */
    uint32_t idle_ms; /* since a byte or an acknowledgement came */
};

/* Which connections: those with a remote address, and with its port unless that is 0. */
struct tcp_filter {
    struct endpoint remote;
};

struct tcp_shown {
    struct tcp_info *info;
    uint32_t max;     /* room in info */
    uint32_t n;       /* set: filled */
    uint32_t matched; /* set: connections that fit the filter, with room or not */
};

/* Looks at `entries` of the table from *cursor on (0: the start) and moves it. True: there are more
 * to look at. Connections that come or go between two calls may be missed. */
bool tcp_show(const struct tcp_engine *e, const struct tcp_filter *filter, uint32_t *cursor,
              uint32_t entries, struct tcp_shown *out);

#endif

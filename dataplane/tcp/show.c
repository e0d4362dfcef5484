/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection's state in words and units. What a connection learns to keep is added in fill(). */
#include "dataplane/tcp/show.h"

#include "dataplane/tcp/tcp_conn.h"

static const char *state_text(enum tcp_state s)
{
    switch (s) {
    case TCP_CLOSED:
        return "CLOSED";
    case TCP_SYN_SENT:
        return "SYN-SENT";
    case TCP_SYN_RECEIVED:
        return "SYN-RECEIVED";
    case TCP_ESTABLISHED:
        return "ESTABLISHED";
    case TCP_FIN_WAIT_1:
        return "FIN-WAIT-1";
    case TCP_FIN_WAIT_2:
        return "FIN-WAIT-2";
    case TCP_CLOSING:
        return "CLOSING";
    case TCP_CLOSE_WAIT:
        return "CLOSE-WAIT";
    case TCP_LAST_ACK:
        return "LAST-ACK";
    }
    return "?";
}

static uint32_t left_ms(const struct tcp_engine *e, uint32_t due_ms)
{
    return (int32_t)(due_ms - e->now_ms) > 0 ? due_ms - e->now_ms : 0;
}

static void fill_timer(const struct tcp_engine *e, const struct tcp_conn *c, struct tcp_info *out)
{
    out->timer = "";
    if (c->rtx_armed) {
        out->timer = c->probing ? "probe" : "rto";
        out->timer_ms = left_ms(e, c->rtx_ms);
    } else if (c->ack_armed) {
        out->timer = "ack";
        out->timer_ms = left_ms(e, c->ack_ms);
    }
}

static void fill(const struct tcp_engine *e, const struct tcp_conn *c, struct tcp_info *out)
{
    *out = (struct tcp_info){
        .local = c->stream.local,
        .remote = c->stream.remote,
        .state = state_text((enum tcp_state)c->state),
        .controller = e->config.cc->name,
        .sack = c->sack_on,
        .passive = c->passive,
        .timestamps = c->ts_on,
        .scale = c->scale_on,
        .snd_scale = c->snd_scale,
        .rcv_scale = c->rcv_scale,
        .recovering = c->recovering,
        .backoff = c->backoff,
        .retries = c->retries,
        .duplicates = c->dupacks,
        .mss = c->mss,
        .rcv_mss = c->rcv_mss,
        .cwnd = c->tx ? c->tx->cc.cwnd : 0,
        .ssthresh = c->tx ? c->tx->cc.ssthresh : 0,
        .srtt_us = c->rtt.srtt8_us / 8,
        .rttvar_us = c->rtt.var4_us / 4,
        .rto_us = tcp_rtt_rto_us(&c->rtt, c->backoff),
        .snd_wnd = c->snd_wnd,
        .rcv_wnd = c->rcv_edge - c->rcv_nxt,
        .unacked = tcp_conn_flight(c),
        .queued = c->queued,
        .kept = tcp_conn_kept(c),
        .idle_ms = e->now_ms - c->active_ms,
    };
    fill_timer(e, c, out);
}

static bool fits(const struct tcp_conn *c, const struct tcp_filter *f)
{
    const struct endpoint *remote = &c->stream.remote;
    return c->used && addr_eq(&remote->ip, &f->remote.ip) &&
           (f->remote.port == 0 || f->remote.port == remote->port);
}

bool tcp_show(const struct tcp_engine *e, const struct tcp_filter *filter, uint32_t *cursor,
              uint32_t entries, struct tcp_shown *out)
{
    uint32_t size = e->config.connections, left = size - *cursor;
    uint32_t end = *cursor + (left < entries ? left : entries);

    out->n = out->matched = 0;
    for (; *cursor < end; ++*cursor) {
        const struct tcp_conn *c = &e->conns[*cursor];
        if (!fits(c, filter))
            continue;
        out->matched++;
        if (out->n < out->max)
            fill(e, c, &out->info[out->n++]);
    }
    return *cursor < size;
}

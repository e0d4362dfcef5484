/* SPDX-License-Identifier: BSD-3-Clause */
/* How connections begin: listeners, a peer's SYN, our own; sequence numbers and ports. */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

#define PORT_FIRST 32768u
#define PORT_COUNT 28232u /* up to 60999 */
#define PORT_TRIES 4096u

bool tcp_listen(struct tcp_engine *e, uint16_t port, tcp_accept *accept, void *ctx)
{
    struct tcp_listener *spare = NULL;
    if (port == 0)
        return false;
    for (unsigned i = TCP_LISTENERS; i-- > 0;) {
        if (e->listener[i].port == port)
            return false;
        if (e->listener[i].port == 0)
            spare = &e->listener[i];
    }
    if (!spare)
        return false;
    *spare = (struct tcp_listener){.port = port, .accept = accept, .ctx = ctx};
    return true;
}

void tcp_listen_stop(struct tcp_engine *e)
{
    for (unsigned i = 0; i < TCP_LISTENERS; i++)
        e->listener[i].stopped = true;
}

struct tcp_listener *tcp_listener_find(struct tcp_engine *e, uint16_t port)
{
    for (unsigned i = 0; i < TCP_LISTENERS; i++)
        if (port != 0 && e->listener[i].port == port && !e->listener[i].stopped)
            return &e->listener[i];
    return NULL;
}

static uint64_t keyed(const struct tcp_engine *e, const struct addr *local, uint16_t lport,
                      const struct addr *remote, uint16_t rport, uint8_t use)
{
    uint8_t in[37];
    memcpy(in, local->b, 16);
    memcpy(in + 16, remote->b, 16);
    memcpy(in + 32, &lport, 2);
    memcpy(in + 34, &rport, 2);
    in[36] = use;
    return siphash64(e->key, in, sizeof(in));
}

/* RFC 6528 3: a 4 us clock and a keyed hash of the tuple */
static uint32_t initial_seq(const struct tcp_engine *e, const struct stream *s)
{
    uint64_t f = keyed(e, &s->local.ip, s->local.port, &s->remote.ip, s->remote.port, 'i');
    return (uint32_t)(e->now.mono_us / 4 + f);
}

/* By address pair only: a peer's view of our clock rises from one connection to the next, as
 * RFC 6191 wants, and tells nobody the uptime. */
uint32_t tcp_ts_offset(const struct tcp_engine *e, const struct addr *local,
                       const struct addr *remote)
{
    return (uint32_t)keyed(e, local, 0, remote, 0, 't');
}

/* the smallest that lets 16 bits say the whole window */
static uint8_t window_scale(uint32_t window)
{
    uint8_t scale = 0;
    while (scale < 14 && window >> scale > UINT16_MAX)
        scale++;
    return scale;
}

static void conn_start(struct tcp_engine *e, struct tcp_conn *c, uint32_t iss)
{
    c->snd_una = iss;
    c->snd_nxt = c->snd_max = c->snd_end = iss + 1;
    c->rcv_scale = window_scale(e->config.receive_window_bytes);
    c->ts_offset = tcp_ts_offset(e, &c->stream.local.ip, &c->stream.remote.ip);
    c->rcv_mss = 536;
    c->syn_due = true;
    tcp_conn_ready(c);
    tcp_timer_rtx(e, c, false); /* though the host may not take the SYN now: that counts as lost */
}

void tcp_conn_negotiate(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    bool v4 = addr_is_v4(&c->stream.local.ip);
    uint32_t ours = v4 ? e->config.mss_v4 : e->config.mss_v6;
    uint32_t mss = s->opt.has_mss ? s->opt.mss : v4 ? 536u : 1220u; /* RFC 9293 3.7.1 */
    mss = mss < TCP_MSS_MIN ? TCP_MSS_MIN : mss < ours ? mss : ours;
    c->ts_on = s->opt.has_ts;
    c->sack_on = s->opt.sack_permitted;
    tcp_ecn_negotiate(e, c, s);
    c->scale_on = s->opt.has_scale;
    c->snd_scale = c->scale_on ? s->opt.scale : 0;
    if (!c->scale_on)
        c->rcv_scale = 0;
    tcp_path_start(c, mss);
    c->ts_recent = s->opt.tsval;
    c->ts_recent_ms = e->now_ms;
    c->rcv_nxt = c->app_nxt = c->offered = c->ack_sent = s->seq + 1;
    uint32_t window = e->config.receive_window_bytes;
    c->rcv_edge = c->rcv_nxt + (window < UINT16_MAX ? window : UINT16_MAX);
    c->snd_wnd = c->snd_wnd_max = s->window;
    c->snd_wl1 = s->seq;
}

/* A bounded share of the table for handshakes in progress; the oldest makes room. */
static struct tcp_conn *half_open_new(struct tcp_engine *e, uint64_t tag)
{
    bool full = tcp_conn_full(e);
    if (e->half_open.count >= e->half_open_max || (full && e->half_open.count > 0)) {
        counter_inc(&e->counters.tcp_half_open_dropped_total);
        tcp_conn_end(e, &e->conns[e->half_open.head], STREAM_EVICTED);
    } else if (full) {
        counter_inc(&e->counters.tcp_syn_dropped_total);
        return NULL;
    }
    return tcp_conn_new(e, tag);
}

void tcp_open_passive(struct tcp_engine *e, const struct tcp_segment *s, uint32_t iss_floor,
                      bool floor)
{
    struct tcp_listener *l = tcp_listener_find(e, s->lport);
    if (!l) {
        tcp_answer_rst(e, s);
        return;
    }
    if (!tcp_prefix_take(&e->prefixes, &s->packet->src)) {
        counter_inc(&e->counters.tcp_prefix_refused_total);
        return;
    }
    struct tcp_conn *c = half_open_new(e, s->tag);
    if (!c) {
        tcp_prefix_give(&e->prefixes, &s->packet->src);
        return;
    }
    c->prefixed = true;
    c->passive = true;
    c->state = TCP_SYN_RECEIVED;
    c->listener = (uint8_t)(l - e->listener);
    c->stream.local = (struct endpoint){s->packet->dst, s->lport};
    c->stream.remote = (struct endpoint){s->packet->src, s->rport};
    uint32_t iss = initial_seq(e, &c->stream);
    if (floor && seq_lt(iss, iss_floor))
        iss = iss_floor;
    conn_start(e, c, iss);
    tcp_conn_negotiate(e, c, s);
    tcp_list_push(e, &e->half_open, c);
    counter_set(&e->counters.tcp_half_open, e->half_open.count);
}

/* RFC 6056 3.3.3: an offset by destination that nobody else can compute, and a counter */
static uint16_t port_choose(struct tcp_engine *e, const struct addr *local,
                            const struct endpoint *remote, uint64_t *tag)
{
    uint32_t offset = (uint32_t)keyed(e, local, 0, &remote->ip, remote->port, 'p');
    for (uint32_t n = 0; n < PORT_TRIES; n++) {
        uint32_t at = offset + e->port_counter++;
        uint16_t port = (uint16_t)(PORT_FIRST + at % PORT_COUNT);
        if (e->host.port_try)
            port = e->host.port_try(e->host.ctx, local, remote, at);
        if (port == 0)
            continue;
        *tag = tcp_tuple_tag(e, local, port, &remote->ip, remote->port);
        if (!tcp_conn_find(e, *tag, local, port, &remote->ip, remote->port) &&
            !tcp_time_wait_has(e, *tag) && !tcp_listener_find(e, port))
            return port;
    }
    return 0;
}

struct stream *tcp_connect(struct tcp_engine *e, const struct addr *local,
                           const struct endpoint *remote, const struct stream_events *events,
                           void *user, struct now now)
{
    tcp_time_set(e, now);
    uint64_t tag = 0;
    /* RFC 9293 MUST-46: not to a group */
    bool one = remote->port != 0 && tcp_unicast(&remote->ip);
    uint16_t port = one ? port_choose(e, local, remote, &tag) : 0;
    struct tcp_conn *c = port ? tcp_conn_new(e, tag) : NULL;
    if (!c) {
        counter_inc(&e->counters.tcp_no_port_total);
        return NULL;
    }
    c->state = TCP_SYN_SENT;
    c->owned = true;
    c->stream.events = events;
    c->stream.user = user;
    c->stream.local = (struct endpoint){*local, port};
    c->stream.remote = *remote;
    conn_start(e, c, initial_seq(e, &c->stream));
    return &c->stream;
}

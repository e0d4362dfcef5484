/* SPDX-License-Identifier: BSD-3-Clause */
/* How connections begin: listeners, our own SYN; sequence numbers and ports. What peers begin is
 * passive.c's. */
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

/* a 4 us clock and a keyed hash of the tuple */
uint32_t tcp_initial_seq(const struct tcp_engine *e, const struct addr *local, uint16_t lport,
                         const struct addr *remote, uint16_t rport, const uint32_t *floor)
{
    uint64_t f = keyed(e, local, lport, remote, rport, 'i');
    uint32_t iss = (uint32_t)(e->now.mono_us / 4 + f);
    return floor && seq_lt(iss, *floor) ? *floor : iss;
}

/* By address pair only: a peer's view of our clock rises from one connection to the next, as
 * RFC 6191 wants, and tells nobody the uptime. */
uint32_t tcp_ts_offset(const struct tcp_engine *e, const struct addr *local,
                       const struct addr *remote)
{
    return (uint32_t)keyed(e, local, 0, remote, 0, 't');
}

/* the smallest that lets 16 bits say the whole window */
uint8_t tcp_window_scale(const struct tcp_engine *e)
{
    uint8_t scale = 0;
    while (scale < 14 && e->config.receive_window_bytes >> scale > UINT16_MAX)
        scale++;
    return scale;
}

uint32_t tcp_first_window(const struct tcp_engine *e)
{
    uint32_t window = e->config.receive_window_bytes;
    return window < UINT16_MAX ? window : UINT16_MAX;
}

/* RFC 9293 3.7.1 */
uint16_t tcp_mss_agreed(const struct tcp_engine *e, const struct tcp_segment *s)
{
    bool v4 = addr_is_v4(&s->packet->dst);
    uint32_t ours = v4 ? e->config.mss_v4 : e->config.mss_v6;
    uint32_t mss = s->opt.has_mss ? s->opt.mss : v4 ? 536u : 1220u;
    return (uint16_t)(mss < TCP_MSS_MIN ? TCP_MSS_MIN : mss < ours ? mss : ours);
}

static void conn_start(struct tcp_engine *e, struct tcp_conn *c, uint32_t iss)
{
    c->snd_una = iss;
    c->snd_nxt = c->snd_max = c->snd_end = iss + 1;
    c->rcv_scale = tcp_window_scale(e);
    c->ts_offset = tcp_ts_offset(e, &c->stream.local.ip, &c->stream.remote.ip);
    c->rcv_mss = 536;
    c->syn_due = true;
    tcp_conn_ready(c);
    tcp_timer_rtx(e, c, false); /* though the host may not take the SYN now: that counts as lost */
    tcp_timer_update(e, c);
}

void tcp_conn_negotiate(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    c->ts_on = s->opt.has_ts;
    c->sack_on = s->opt.sack_permitted;
    tcp_ecn_negotiate(c, s);
    c->scale_on = s->opt.has_scale;
    c->snd_scale = c->scale_on ? s->opt.scale : 0;
    if (!c->scale_on)
        c->rcv_scale = 0;
    tcp_path_start(c, tcp_mss_agreed(e, s));
    c->ts_recent = s->opt.tsval;
    c->ts_recent_ms = e->now_ms;
    c->rcv_nxt = c->app_nxt = c->offered = c->ack_sent = s->seq + 1;
    c->rcv_edge = c->rcv_nxt + tcp_first_window(e);
    c->snd_wnd = c->snd_wnd_max = s->window;
    c->snd_wl1 = s->seq;
}

/* RFC 6056 3.3.3: an offset by destination that nobody else can compute, and a counter. A port in
 * TIME-WAIT serves again when its clock tells the two connections apart (RFC 6191). */
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
        if (!tcp_table_find(e, *tag, local, port, &remote->ip, remote->port) &&
            tcp_time_wait_port(e, *tag) != TCP_PORT_TAKEN && !tcp_listener_find(e, port))
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
    uint32_t floor;
    bool again = tcp_time_wait_take(e, tag, &floor);
    conn_start(e, c,
               tcp_initial_seq(e, local, port, &remote->ip, remote->port, again ? &floor : NULL));
    return &c->stream;
}

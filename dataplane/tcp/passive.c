/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What peers open: a SYN begins an entry of the SYN table or, when that is three quarters full, is
 * answered by a cookie; the third segment makes either a connection, and is then a segment like
 * any other of it. The last quarter is for SYNs that a cookie cannot answer: those that follow a
 * TIME-WAIT record, whose connection must start above the old one's numbers.
 */
#include "dataplane/tcp/tcp_conn.h"

static uint64_t minute(const struct tcp_engine *e)
{
    return e->now.mono_us / 60000000;
}

static struct tcp_cookie_tuple cookie_tuple(const struct tcp_segment *s)
{
    return (struct tcp_cookie_tuple){s->packet->dst, s->packet->src, s->lport, s->rport};
}

/* What the SYN of the peer said, and what of it we grant. */
static struct tcp_syn negotiate(struct tcp_engine *e, const struct tcp_segment *s,
                                const struct tcp_listener *l)
{
    return (struct tcp_syn){
        .remote = s->packet->src,
        .local = s->packet->dst,
        .rport = s->rport,
        .mss = tcp_mss_agreed(e, s),
        .irs = s->seq,
        .ts_recent = s->opt.tsval,
        .listener = (uint8_t)(l - e->listener),
        .snd_scale = s->opt.has_scale ? s->opt.scale : 0,
        .ts_on = s->opt.has_ts,
        .scale_on = s->opt.has_scale,
        .sack_on = s->opt.sack_permitted,
        .ecn_on = tcp_ecn_granted(e, s),
    };
}

/* Nothing is kept: not even a refusal of the port, the peer asks again. */
static void cookie_send(struct tcp_engine *e, const struct tcp_segment *s, struct tcp_syn *y)
{
    const struct tcp_cookie_tuple t = cookie_tuple(s);
    uint32_t tsval = 0;
    y->iss = tcp_cookie_make(&e->syn.key, &t, y->irs, y->mss, minute(e));
    if (y->ts_on) {
        const struct tcp_cookie_options o = {y->scale_on, y->sack_on, y->ecn_on, y->snd_scale};
        tsval = tcp_cookie_ts_make(e->now_ms, &o) + tcp_ts_offset(e, &y->local, &y->remote);
    } else { /* no place to keep them */
        y->scale_on = y->sack_on = y->ecn_on = false;
    }
    if (!tcp_syn_answer(e, y, tsval))
        return;
    e->syn.cookie_until_us = e->now.mono_us + TCP_COOKIE_LIFE_US;
    counter_inc(&e->counters.tcp_cookie_sent_total);
}

static bool crowded(const struct tcp_engine *e)
{
    return (uint64_t)tcp_syn_count(e) * 4 >= (uint64_t)e->syn.pool.count * 3;
}

bool tcp_open_passive(struct tcp_engine *e, const struct tcp_segment *s, const uint32_t *iss_floor)
{
    struct tcp_listener *l = tcp_listener_find(e, s->lport);
    if (!l) {
        tcp_answer_rst(e, s);
        return false;
    }
    if (tcp_conn_full(e)) { /* a promise that could not be kept */
        counter_inc(&e->counters.tcp_syn_dropped_total);
        return false;
    }
    struct tcp_syn y = negotiate(e, s, l);
    if (!iss_floor && crowded(e)) {
        cookie_send(e, s, &y);
        return true;
    }
    y.iss = tcp_initial_seq(e, &y.local, s->lport, &y.remote, y.rport, iss_floor);
    if (tcp_syn_add(e, &y, s->tag))
        return true;
    counter_inc(&e->counters.tcp_syn_dropped_total);
    return false;
}

/* The connection that `y` becomes, still in SYN-RECEIVED and outside the table. NULL, counted:
 * there is no room for it. The entry or the cookie stays good: the peer sends again, and may find
 * room. */
static struct tcp_conn *conn_begin(struct tcp_engine *e, const struct tcp_syn *y)
{
    if (!tcp_prefix_take(&e->prefixes, &y->remote)) {
        counter_inc(&e->counters.tcp_prefix_refused_total);
        return NULL;
    }
    struct tcp_conn *c = tcp_conn_take(e);
    if (!c) {
        tcp_prefix_give(&e->prefixes, &y->remote);
        counter_inc(&e->counters.tcp_handshake_dropped_total);
        return NULL;
    }
    c->prefixed = true;
    c->passive = true;
    c->state = TCP_SYN_RECEIVED;
    c->listener = y->listener;
    c->stream.local = (struct endpoint){y->local, e->listener[y->listener].port};
    c->stream.remote = (struct endpoint){y->remote, y->rport};
    c->ts_offset = tcp_ts_offset(e, &y->local, &y->remote);
    c->ts_on = y->ts_on;
    c->scale_on = y->scale_on;
    c->sack_on = y->sack_on;
    c->ecn_on = y->ecn_on;
    c->snd_scale = y->snd_scale;
    c->rcv_scale = y->scale_on ? tcp_window_scale(e) : 0;
    c->rcv_mss = 536;
    tcp_path_start(c, y->mss);
    c->snd_una = y->iss;
    c->snd_nxt = c->snd_max = c->snd_end = y->iss + 1;
    c->rcv_nxt = c->app_nxt = c->offered = c->ack_sent = y->irs + 1;
    c->rcv_edge = c->rcv_nxt + tcp_first_window(e);
    c->ts_recent = y->ts_recent;
    c->ts_recent_ms = e->now_ms;
    c->retries = y->retries; /* RFC 6298 5.7 asks */
    c->timing = !y->again && !y->unsent;
    c->syn_us = y->at_us;
    return c;
}

/* The third segment, once nothing speaks against it, goes through the connection's own checks:
 * they find what the entry's have found, then its ACK, text and FIN. */
static void complete(struct tcp_engine *e, struct tcp_conn *c, struct tcp_segment *s)
{
    tcp_conn_segment(e, c, s);
    tcp_timer_update(e, c);
}

static void syn_challenge(struct tcp_engine *e, const struct tcp_syn *y,
                          const struct tcp_segment *s)
{
    uint32_t window = tcp_first_window(e) >> (y->scale_on ? tcp_window_scale(e) : 0);
    const struct tcp_bare a = {y->iss + 1, y->irs + 1, (uint16_t)window, y->ts_on, y->ts_recent};
    if (tcp_answer_ack(e, s, &a))
        counter_inc(&e->counters.tcp_challenge_ack_total);
}

/* Second check, by RFC 5961 3.2 */
static void syn_reset(struct tcp_engine *e, struct tcp_syn *y, const struct tcp_segment *s)
{
    uint32_t ahead = s->seq - (y->irs + 1);
    if (ahead == 0) { /* RFC 9293 3.10.7.4: back to LISTEN */
        counter_inc(&e->counters.tcp_reset_in_total);
        tcp_syn_drop(e, y);
    } else if (ahead < tcp_first_window(e)) {
        syn_challenge(e, y, s);
    } else {
        counter_inc(&e->counters.tcp_out_of_window_total);
    }
}

/* First check: PAWS (RFC 7323 5.3), then the window. */
static bool syn_acceptable(struct tcp_engine *e, const struct tcp_syn *y,
                           const struct tcp_segment *s)
{
    if (y->ts_on && s->opt.has_ts && (int32_t)(s->opt.tsval - y->ts_recent) < 0) {
        counter_inc(&e->counters.tcp_paws_total);
        return false;
    }
    uint32_t wnd = tcp_first_window(e), ahead = s->seq - (y->irs + 1);
    uint32_t len = s->len + ((s->flags & TCP_FIN) ? 1 : 0);
    if (ahead < wnd || (len > 0 && ahead + len - 1 < wnd))
        return true;
    counter_inc(&e->counters.tcp_out_of_window_total);
    return false;
}

void tcp_syn_segment(struct tcp_engine *e, struct tcp_syn *y, struct tcp_segment *s)
{
    if (s->flags & TCP_RST) {
        syn_reset(e, y, s);
        return;
    }
    if ((s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && s->seq == y->irs) {
        /* our SYN,ACK was lost, maybe for its flags: the peer's second SYN has none */
        y->ecn_on = tcp_ecn_granted(e, s);
        tcp_syn_repeat(e, y);
        return;
    }
    if ((s->flags & TCP_SYN) || !syn_acceptable(e, y, s)) { /* fourth check: RFC 5961 4.2 */
        syn_challenge(e, y, s);
        return;
    }
    if (s->ack != y->iss + 1) { /* fifth check; who is sane has ACK here */
        tcp_answer_rst(e, s);
        return;
    }
    struct tcp_conn *c = conn_begin(e, y);
    if (!c)
        return;
    tcp_syn_replace(e, y, c, s->tag);
    complete(e, c, s);
}

/* The entry that the SYN would have got. False: this ACK answers no cookie. */
static bool cookie_read(struct tcp_engine *e, const struct tcp_segment *s, struct tcp_syn *y)
{
    const struct tcp_cookie_tuple t = cookie_tuple(s);
    struct tcp_cookie_options o = {0};
    uint16_t mss, ours = addr_is_v4(&t.local) ? e->config.mss_v4 : e->config.mss_v6;
    if (!tcp_cookie_check(&e->syn.key, &t, s->seq - 1, s->ack - 1, minute(e), &mss))
        return false;
    if (s->opt.has_ts) {
        uint32_t echo = s->opt.tsecr - tcp_ts_offset(e, &t.local, &t.remote);
        if (!tcp_cookie_ts_check(echo, e->now_ms, &o))
            return false;
    }
    *y = (struct tcp_syn){
        .remote = t.remote,
        .local = t.local,
        .rport = t.rport,
        .mss = mss < ours ? mss : ours,
        .irs = s->seq - 1,
        .iss = s->ack - 1,
        .ts_recent = s->opt.tsval,
        .snd_scale = o.scale,
        .ts_on = s->opt.has_ts,
        .scale_on = o.scale_on,
        .sack_on = o.sack_on,
        .ecn_on = o.ecn_on,
        .again = true, /* when the SYN,ACK went is forgotten */
    };
    return true;
}

bool tcp_cookie_segment(struct tcp_engine *e, struct tcp_segment *s)
{
    if (e->now.mono_us >= e->syn.cookie_until_us)
        return false;
    struct tcp_syn y;
    struct tcp_listener *l = e->listener; /* a stopped one too: the handshake was begun before */
    while (l < e->listener + TCP_LISTENERS && l->port != s->lport)
        l++;
    if (l == e->listener + TCP_LISTENERS)
        return false;
    if (!cookie_read(e, s, &y)) {
        counter_inc(&e->counters.tcp_cookie_refused_total);
        return false;
    }
    y.listener = (uint8_t)(l - e->listener);
    struct tcp_conn *c = conn_begin(e, &y);
    if (!c)
        return true;
    counter_inc(&e->counters.tcp_cookie_accepted_total);
    tcp_conn_hash(e, c, s->tag);
    complete(e, c, s);
    return true;
}

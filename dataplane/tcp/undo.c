/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking back what was reduced for nothing. An episode was none when
 *
 *   Eifel   the ACK that moves snd_una echoes a timestamp from before the first retransmission:
 *           the original had arrived (RFC 3522 3.2, RFC 4015)
 *   D-SACK  the peer reports every retransmission as a duplicate (RFC 3708)
 *   F-RTO   after an RTO, what was sent once before it is acknowledged (RFC 5682 3.1)
 *
 * The state before the first reduction is a copy of the controller's value.
 */
#include "dataplane/tcp/tcp_conn.h"

void tcp_undo_save(struct tcp_conn *c)
{
    c->rec->undo = (struct tcp_undo){.cc = c->tx->cc, .mark = c->snd_una, .armed = true};
}

void tcp_undo_sent(struct tcp_engine *e, struct tcp_conn *c, uint32_t bytes)
{
    struct tcp_undo *u = &c->rec->undo;
    if (!u->armed)
        return;
    if (!u->sent)
        u->ts = tcp_ts_now(e, c->ts_offset);
    u->sent = true;
    u->bytes += bytes;
}

static void undo(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_undo *u = &c->rec->undo;
    uint32_t cwnd = c->tx->cc.cwnd, ssthresh = c->tx->cc.ssthresh;
    counter_inc(&e->counters.tcp_undo_total);
    c->tx->cc = u->cc;
    if (c->tx->cc.cwnd < cwnd)
        c->tx->cc.cwnd = cwnd;
    if (c->tx->cc.ssthresh < ssthresh)
        c->tx->cc.ssthresh = ssthresh;
    tcp_records_forget(e, c, TCP_RECORD_LOST);
    if (c->in_rto)
        c->backoff = 0;
    c->recovering = c->in_rto = c->head_due = c->ecn_cwr_due = false;
    c->rec->frto = c->rec->frto_new = 0;
    u->armed = false;
}

/* The peer has had [start, end) twice. */
static void note_dsack(const struct tcp_conn *c, struct tcp_range d)
{
    struct tcp_undo *u = &c->rec->undo;
    if (seq_lt(d.start, u->mark))
        return;
    uint32_t len = d.end - d.start;
    u->bytes -= len < u->bytes ? len : u->bytes;
}

bool tcp_undo_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_ack_news *n,
                  bool advanced)
{
    struct tcp_undo *u = &c->rec->undo;
    const struct tcp_options *o = &n->segment->opt;
    if (!u->armed || !u->sent)
        return false;
    if (n->has_dsack)
        note_dsack(c, n->dsack);
    bool eifel = advanced && (c->recovering || c->in_rto) && c->ts_on && o->has_ts &&
                 !c->echo_dead && o->tsecr != 0 && (int32_t)(o->tsecr - u->ts) < 0;
    if (!eifel && u->bytes > 0)
        return false;
    undo(e, c);
    return true;
}

/* New data may be sent in place of lost data: there is some, and the peer has room. */
static bool has_new(const struct tcp_conn *c)
{
    return seq_lt(c->snd_nxt, c->snd_end) && c->snd_nxt - c->snd_una + c->mss <= c->snd_wnd;
}

bool tcp_frto_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_ack_news *n,
                  bool advanced)
{
    struct tcp_recovery *r = c->rec;
    if (!c->in_rto || !r->frto)
        return false;
    if (n->original && r->undo.armed) { /* step 3.b */
        undo(e, c);
        return true;
    }
    if (seq_leq(c->tx->recover, c->snd_una))
        return false;                             /* all of it is here; no more can be told */
    if (r->frto == 1 && advanced && has_new(c)) { /* step 2.b */
        r->frto = 2;
        r->frto_new = 2;
    } else if (advanced || n->sacked > 0 || r->frto == 2) { /* step 3.a: it was real */
        r->frto = r->frto_new = 0;
    }
    return false;
}

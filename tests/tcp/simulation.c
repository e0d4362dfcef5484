/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/tcp/simulation.h"

#include <inttypes.h>
#include <stdlib.h>

#define PORT      80
#define SECOND_US 1000000ull
/* After the link has healed the longest a flow may need: a retransmission backed off to 60 s, a
 * forgotten peer that idles out, a slow reader, an MTU hole found by time-outs. */
#define PATIENCE_US (600 * SECOND_US)
#define STEPS_MAX   4000000u /* a world that takes more runs in circles */

static void broken(struct sim *s, const char *where, const char *what)
{
    if (what && s->broken[0] == 0)
        snprintf(s->broken, sizeof(s->broken), "%s: %s, %.6f s in", where, what,
                 (double)(s->now.mono_us - s->start_us) / 1e6);
}

static void check(struct sim *s, const char *after)
{
    if (s->unchecked)
        return;
    for (unsigned side = 0; side < 2; side++)
        broken(s, after, tcp_check(s->engine[side]));
}

/* What the host sees of a segment (RFC 9293 3.7.1: the peer's MSS less our options). */
static const char *malformed(const struct sim *s, unsigned side, const struct tcp_out *o)
{
    const struct tcp_config *peer = &s->config[!side];
    uint32_t sum = 0;
    for (unsigned i = 0; i < o->refs; i++)
        sum += o->ref[i].len;
    if (sum != o->len || o->refs > TCP_OUT_REFS)
        return "references sum up to the length";
    if (o->option_len % 4 != 0 || o->option_len > TCP_OPTION_MAX)
        return "options are whole words";
    if (o->len + o->option_len > (addr_is_v4(&o->dst) ? peer->mss_v4 : peer->mss_v6))
        return "a segment within the peer's MSS";
    if ((o->flags & TCP_RST) && o->len > 0)
        return "a reset without data";
    return NULL;
}

/* What a port does that cuts segments itself (TSO): piece `at` of a burst. */
static struct tcp_out cut(const struct tcp_out *o, uint32_t at)
{
    struct tcp_out p = *o;
    uint32_t left = o->len - at < o->mss ? o->len - at : o->mss, skip = at;
    p.seq += at;
    p.refs = 0;
    p.len = left;
    if (at + left < o->len)
        p.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    for (unsigned i = 0; i < o->refs && left > 0; i++) {
        struct ref r = o->ref[i];
        uint32_t over = skip < r.len ? skip : r.len;
        skip -= over;
        r.data += over;
        r.len = r.len - over < left ? r.len - over : left;
        left -= r.len;
        if (r.len > 0)
            p.ref[p.refs++] = r;
    }
    return p;
}

static bool emit(void *ctx, const struct tcp_out *o)
{
    struct sim_host *h = ctx;
    struct sim *s = h->sim;
    const struct tcp_config *c = &s->config[h->side];
    if (s->refuse_ppm && rng_below(&s->rng, 1000000) < s->refuse_ppm)
        return false;
    if (o->len > o->mss && o->mss > 0) {
        if (o->len > c->burst_bytes)
            broken(s, "emit", "a burst that the host can cut");
        s->bursts++;
        for (uint32_t at = 0; at < o->len; at += o->mss) {
            struct tcp_out p = cut(o, at);
            broken(s, "emit", malformed(s, h->side, &p));
            link_send(s->link, h->side, &p, s->now.mono_us);
        }
        return true;
    }
    broken(s, "emit", malformed(s, h->side, o));
    link_send(s->link, h->side, o, s->now.mono_us);
    return true;
}

/* the newest flow from that port that nobody has accepted */
static struct flow *flow_of_port(struct sim *s, unsigned from, uint16_t port)
{
    struct flow *best = NULL;
    for (unsigned i = 0; i < s->flows; i++) {
        struct flow *f = &s->flow[i];
        if (f->begun && f->from == from && f->port == port && !f->side[FLOW_ACCEPTOR].accepted &&
            (!best || f->start_us > best->start_us))
            best = f;
    }
    return best;
}

/* The segment that answered a cookie, when it comes again after its connection was reset: nothing
 * remembers that, and it opens another (RFC 4987 3.6). */
static bool is_ghost(const struct sim_host *h, uint16_t port, bool by_cookie)
{
    const struct sim *s = h->sim;
    for (unsigned i = 0; i < s->flows && by_cookie; i++) {
        const struct flow_side *side = &s->flow[i].side[FLOW_ACCEPTOR];
        if (s->flow[i].from != h->side && s->flow[i].port == port && side->accepted && side->closed)
            return true;
    }
    return false;
}

static bool on_accept(void *ctx, struct stream *stream, struct now now)
{
    struct sim_host *h = ctx;
    struct flow *f = flow_of_port(h->sim, !h->side, stream->remote.port);
    uint64_t cookies = tcp_counters(h->sim->engine[h->side])->tcp_cookie_accepted_total;
    bool by_cookie = cookies > h->cookies;
    h->cookies = cookies;
    if (!f) {
        if (!is_ghost(h, stream->remote.port, by_cookie))
            broken(h->sim, "accept", "a connection that nobody opened");
        return false;
    }
    if (f->refused)
        return false;
    flow_accepted(f, stream, now);
    return true;
}

struct sim *sim_new(uint64_t seed, void (*configure)(struct sim *s))
{
    struct sim *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->seed = seed;
    rng_init_u64(&s->rng, seed);
    s->link = link_new(seed ^ 0x6c696e6b);
    s->now.mono_us = SECOND_US;
    configure(s);
    s->start_us = s->now.mono_us;
    for (unsigned side = 0; side < 2; side++) {
        uint8_t key[32];
        rng_bytes(&s->rng, key, sizeof(key));
        s->host[side] = (struct sim_host){.sim = s, .side = side};
        struct tcp_host host = {.ctx = &s->host[side], .emit = emit};
        s->engine[side] = tcp_create(&s->config[side], &host, key, s->now);
        tcp_listen(s->engine[side], PORT, on_accept, &s->host[side]);
    }
    return s;
}

void sim_free(struct sim *s)
{
    tcp_destroy(s->engine[0]);
    tcp_destroy(s->engine[1]);
    link_free(s->link);
    for (unsigned i = 0; i < s->flows; i++)
        flow_free(&s->flow[i]);
    free(s);
}

static void flow_begin(struct sim *s, struct flow *f)
{
    struct flow_side *side = &f->side[FLOW_OPENER];
    struct endpoint to = {s->addr[!f->from], PORT};
    f->begun = true;
    side->stream =
        tcp_connect(s->engine[f->from], &s->addr[f->from], &to, &flow_events, side, s->now);
    f->no_entry = side->stream == NULL;
    if (side->stream)
        f->port = side->stream->local.port;
}

static void applications(struct sim *s, unsigned side)
{
    for (unsigned i = 0; i < s->flows; i++) {
        struct flow *f = &s->flow[i];
        if (f->from == side && !f->begun && s->now.mono_us >= f->start_us)
            flow_begin(s, f);
        flow_tick(&f->side[f->from == side ? FLOW_OPENER : FLOW_ACCEPTOR], s->now);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_us(const struct sim *s)
{
    uint64_t at = link_next_us(s->link);
    for (unsigned side = 0; side < 2; side++)
        at = earlier(at, tcp_deadline_us(s->engine[side]));
    for (unsigned i = 0; i < s->flows; i++) {
        const struct flow *f = &s->flow[i];
        if (!f->begun)
            at = earlier(at, f->start_us);
        at = earlier(at, earlier(flow_next_us(&f->side[0]), flow_next_us(&f->side[1])));
    }
    return at;
}

static void turn(struct sim *s, unsigned side)
{
    struct tcp_packet burst[TCP_BURST];
    unsigned n;
    while ((n = link_take(s->link, side, s->now.mono_us, burst,
                          1 + rng_below(&s->rng, TCP_BURST))) > 0) {
        tcp_input(s->engine[side], burst, n, s->now);
        check(s, "tcp_input");
    }
    applications(s, side);
    check(s, "an application's call");
    tcp_poll(s->engine[side], s->now);
    check(s, "tcp_poll");
}

bool sim_step(struct sim *s, uint64_t end_us)
{
    s->steps++;
    unsigned first = rng_below(&s->rng, 2);
    turn(s, first);
    turn(s, !first);
    uint64_t at = next_us(s);
    if (at <= s->now.mono_us)
        at = s->now.mono_us + 10;
    if (s->late_us && at < end_us)
        at += rng_below(&s->rng, s->late_us);
    s->now.mono_us = earlier(at, end_us);
    s->now.wall_s = (int64_t)(s->now.mono_us / SECOND_US);
    return at < end_us;
}

static bool over(const struct sim *s)
{
    for (unsigned i = 0; i < s->flows; i++) {
        const struct flow *f = &s->flow[i];
        if (!f->begun || f->side[0].stream || f->side[1].stream)
            return false;
    }
    return true;
}

/* Runs until `end_us`, or until all flows are over and nothing is left to do. */
static void run_until(struct sim *s, uint64_t end_us)
{
    while (s->broken[0] == 0 && sim_step(s, end_us)) {
        if (s->steps > STEPS_MAX)
            broken(s, "world", "no end of events");
        if (over(s) && next_us(s) == UINT64_MAX)
            return;
    }
}

/* Everything the engine had lent is back. */
static const char *at_rest(const struct tcp_engine *e)
{
    if (tcp_connections(e) != 0)
        return "a connection is left";
    if (e->block_pool.left != e->block_pool.count)
        return "blocks are missing";
    if (e->items_pool.left != e->items_pool.count)
        return "queue items are missing";
    if (e->tx_pool.left != e->tx_pool.count)
        return "send queues are missing";
    if (tcp_syn_count(e) != 0)
        return "a half-open connection is left";
    if (e->tw.pool.left != e->tw.pool.count)
        return "a TIME-WAIT record is left";
    if (tcp_deadline_us(e) != UINT64_MAX)
        return "a deadline is left";
    return NULL;
}

/* The tables were too small for what was asked of them. */
static bool tight(const struct sim *s)
{
    uint64_t n = 0;
    for (unsigned side = 0; side < 2; side++) {
        const struct tcp_counters *c = tcp_counters(s->engine[side]);
        n += c->tcp_syn_dropped_total + c->tcp_handshake_dropped_total + c->tcp_no_port_total;
        n += c->tcp_cookie_sent_total; /* without a handshake timer a lost ACK is nobody's loss */
    }
    return n > 0;
}

const char *sim_run(struct sim *s)
{
    run_until(s, s->heal_us);
    link_heal(s->link);
    s->refuse_ppm = 0;
    run_until(s, s->heal_us + PATIENCE_US);
    if (s->broken[0] == 0 && !over(s))
        broken(s, "world", "not done in time");
    for (unsigned i = 0; i < s->flows && s->broken[0] == 0; i++) {
        char name[24];
        snprintf(name, sizeof(name), "flow %u", i);
        broken(s, name, flow_verdict(&s->flow[i], s->lossy, tight(s)));
    }
    s->now.mono_us += 1000ull * (s->config[0].time_wait_ms + s->config[1].time_wait_ms) + SECOND_US;
    for (unsigned side = 0; side < 2 && s->broken[0] == 0; side++) {
        tcp_poll(s->engine[side], s->now);
        broken(s, "at rest", at_rest(s->engine[side]));
    }
    return s->broken[0] ? s->broken : NULL;
}

static void flow_print(const struct flow *f, FILE *to)
{
    static const char *const end[] = {"done", "reset", "timeout", "refused", "aborted", "evicted"};
    for (unsigned i = 0; i < 2; i++) {
        const struct flow_side *s = &f->side[i];
        fprintf(to,
                "    %s engine %u port %u: sent %" PRIu64 " of %" PRIu64 ", got %" PRIu64
                "%s%s%s%s%s, %s; piece %u%s, reads %u sends %u each %u us\n",
                i == FLOW_OPENER ? "opener" : "acceptor", i ? !f->from : f->from, f->port, s->sent,
                s->total, s->got, s->opened ? ", opened" : "", s->shut ? ", shut" : "",
                s->eof ? ", eof" : "", s->aborted ? ", aborted" : "", s->wrong ? ", WRONG" : "",
                s->closed ? end[s->why] : "not closed", s->piece, s->by_copy ? " copied" : "",
                s->read_step, s->send_step, s->tick_us);
    }
}

static void way_print(const struct link_way *w, FILE *to)
{
    const struct link_config *c = &w->config;
    const struct link_stats *n = &w->stats;
    fprintf(to,
            "    delay %u jitter %u us, rate %" PRIu64
            " bit/s, buffer %u, mtu %u, strip %u, no timestamps from %u: "
            "sent %" PRIu64 " delivered %" PRIu64 " lost %" PRIu64 " corrupted %" PRIu64
            " too big %" PRIu64 " overflowed %" PRIu64 " dark %" PRIu64 " duplicated %" PRIu64
            " thinned %" PRIu64 "\n",
            c->delay_us, c->jitter_us, c->rate_bps, c->buffer_bytes, c->mtu, c->strip,
            c->strip_ts_after, n->sent, n->delivered, n->lost, n->corrupted, n->too_big,
            n->overflowed, n->dark, n->duplicated, n->thinned);
}

void sim_print(const struct sim *s, FILE *to)
{
    fprintf(to, "seed %" PRIu64 ": %u flows, %" PRIu64 " steps, %.3f s, healed at %.3f s%s\n",
            s->seed, s->flows, s->steps, (double)(s->now.mono_us - s->start_us) / 1e6,
            (double)(s->heal_us - s->start_us) / 1e6, s->lossy ? ", lossy" : "");
    for (unsigned side = 0; side < 2; side++) {
        const struct tcp_counters *c = tcp_counters(s->engine[side]);
        fprintf(to,
                "  engine %u: window %u queue %u blocks %u mss %u; connections %" PRIu64
                ", retransmitted %" PRIu64 ", RTOs %" PRIu64 ", no block %" PRIu64 "\n",
                side, s->config[side].receive_window_bytes, s->config[side].send_queue_bytes,
                s->config[side].blocks, s->config[side].mss_v4, (uint64_t)c->tcp_connections,
                (uint64_t)c->tcp_retransmit_total, (uint64_t)c->tcp_rto_total,
                (uint64_t)c->tcp_no_block_total);
        way_print(&s->link->way[side], to);
    }
    for (unsigned i = 0; i < s->flows; i++)
        flow_print(&s->flow[i], to);
}

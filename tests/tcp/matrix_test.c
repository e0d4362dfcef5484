/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every state against every mix of SYN, ACK, RST and FIN, with and without text, at every kind of
 * sequence and acknowledgement number. What must happen is worked out here from the tables of
 * RFC 9293 3.10.7 and RFC 5961, without a look at the engine.
 *
 * Where the RFC leaves a choice, ours is: SYN with FIN or RST, and segments without SYN, RST and
 * ACK, are dropped unanswered; text on a SYN,ACK is not taken; a SYN seen again in SYN-RECEIVED
 * gets the SYN,ACK again; a peer that sent FIN may reset without counting it; TIME-WAIT ignores
 * RST (RFC 1337) and opens for a SYN above the old numbers (RFC 6191).
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/tcp/script.h"

#define EDGE     4097 /* what every setup has promised the peer: the window never shrinks */
#define PEER_WND 65535
#define TEXT     10

enum answer {
    QUIET,   /* nothing */
    ACKED,   /* an ACK: SEQ = our next number, ACK = the peer's next number */
    EITHER,  /* nothing or that ACK */
    RESET,   /* RST, SEQ = the segment's ACK */
    REFUSED, /* RST,ACK, SEQ 0, ACK = the end of the segment */
    OPENED,  /* SYN,ACK */
};

struct row {
    const char *name;
    const char *lines[10];  /* how to get there */
    int64_t next;           /* the peer's number that we wait for */
    int64_t una, nxt;       /* ours */
    bool text, ended;       /* takes text; the peer's FIN has come */
    const char *after_ack;  /* where an ACK of all that we sent leads */
    const char *after_fin;  /* where a FIN in order leads */
    const char *after_both; /* where both in one segment lead */
    const char *after_reset;
};

#define OPEN                                                                                       \
    "config window 4096", "passive <mss 1460>", "0.200 < P. 1(10) ack 1", "> . 1(0) ack 11",       \
        "0.200 send 100", "0.200 > P. 1(100) ack 11"

static const struct row rows[] = {
    {"CLOSED", {"config window 4096"}, .after_reset = "CLOSED"},
    {"LISTEN", {"config window 4096", "listen"}, .after_reset = "LISTEN"},
    {"SYN-SENT", {"config window 4096", "connect", "> S 0(0)"}, 0, 0, 1, .after_reset = "CLOSED"},
    {"SYN-RECEIVED",
     {"config window 4096", "listen", "0.000 < S 0(0) <mss 1460>", "> S. 0(0) ack 1"},
     1,
     0,
     1,
     true,
     false,
     "ESTABLISHED",
     "CLOSE-WAIT",
     "CLOSE-WAIT",
     "LISTEN"},
    {"ESTABLISHED",
     {OPEN},
     11,
     1,
     101,
     true,
     false,
     "ESTABLISHED",
     "CLOSE-WAIT",
     "CLOSE-WAIT",
     "LISTEN"},
    {"FIN-WAIT-1",
     {OPEN, "0.200 shut", "> F. 101(0) ack 11"},
     11,
     1,
     102,
     true,
     false,
     "FIN-WAIT-2",
     "CLOSING",
     "TIME-WAIT",
     "LISTEN"},
    {"FIN-WAIT-2",
     {OPEN, "0.200 shut", "> F. 101(0) ack 11", "0.200 < . 11(0) ack 102"},
     11,
     102,
     102,
     true,
     false,
     "FIN-WAIT-2",
     "TIME-WAIT",
     "TIME-WAIT",
     "LISTEN"},
    {"CLOSE-WAIT",
     {OPEN, "0.200 < F. 11(0) ack 1", "> . 101(0) ack 12"},
     12,
     1,
     101,
     false,
     true,
     "CLOSE-WAIT",
     "CLOSE-WAIT",
     "CLOSE-WAIT",
     "LISTEN"},
    {"CLOSING",
     {OPEN, "0.200 shut", "> F. 101(0) ack 11", "0.200 < F. 11(0) ack 1", "> . 102(0) ack 12"},
     12,
     1,
     102,
     false,
     true,
     "TIME-WAIT",
     "CLOSING",
     "TIME-WAIT",
     "LISTEN"},
    {"LAST-ACK",
     {OPEN, "0.200 < F. 11(0) ack 1", "> . 101(0) ack 12", "0.200 shut", "> F. 101(0) ack 12"},
     12,
     1,
     102,
     false,
     true,
     "LISTEN",
     "LAST-ACK",
     "LISTEN",
     "LISTEN"},
    {"TIME-WAIT",
     {OPEN, "0.200 shut", "> F. 101(0) ack 11", "0.200 < F. 11(0) ack 102", "> . 102(0) ack 12"},
     12,
     102,
     102,
     false,
     true,
     "TIME-WAIT",
     "TIME-WAIT",
     "TIME-WAIT",
     "TIME-WAIT"},
};

struct segment {
    bool syn, ack, rst, fin;
    int64_t seq, ackno, len; /* len: text */
};

struct verdict {
    enum answer answer;
    const char *state;
    int64_t next;     /* the peer's number that we wait for, after */
    int64_t received; /* bytes given to the application by this segment */
};

/* RFC 9293 3.10.7.1 to 3.10.7.3 */
static struct verdict unsynchronized(const struct row *r, const struct segment *s)
{
    struct verdict v = {QUIET, r->name, 0, 0};
    if (strcmp(r->name, "SYN-SENT") == 0) {
        bool good = s->ack && s->ackno > r->una && s->ackno <= r->nxt;
        if (s->ack && !good) {
            v.answer = s->rst ? QUIET : RESET;
        } else if (s->rst) {
            v.state = good ? r->after_reset : r->name;
        } else if (s->syn) {
            v.answer = good ? ACKED : OPENED;
            v.state = good ? "ESTABLISHED" : "SYN-RECEIVED";
            v.next = s->seq + 1;
        }
        return v;
    }
    if (s->rst)
        return v;
    if (s->ack) {
        v.answer = RESET;
    } else if (strcmp(r->name, "CLOSED") == 0) {
        v.answer = REFUSED;
    } else if (s->syn) {
        v.answer = OPENED;
        v.state = "SYN-RECEIVED";
        v.next = s->seq + 1;
    }
    return v;
}

static bool inside(const struct row *r, int64_t seq)
{
    return seq >= r->next && seq < EDGE;
}

static bool acceptable(const struct row *r, const struct segment *s)
{
    int64_t len = s->len + s->fin + s->syn;
    return len == 0 ? inside(r, s->seq) : inside(r, s->seq) || inside(r, s->seq + len - 1);
}

static struct verdict time_wait(const struct row *r, const struct segment *s)
{
    struct verdict v = {ACKED, r->name, r->next, 0};
    if (s->rst) {
        v.answer = QUIET;
    } else if (s->syn && !s->ack && s->seq > r->next) {
        v = (struct verdict){OPENED, "SYN-RECEIVED", s->seq + 1, 0};
    } else if (!s->syn && !s->fin && acceptable(r, s)) {
        v.answer = s->seq == r->next && s->len == 0 ? QUIET : EITHER;
    }
    return v;
}

/* Sixth to eighth check, once the ACK was taken. */
static void text_and_fin(const struct row *r, const struct segment *s, struct verdict *v)
{
    bool all = s->ackno == r->nxt;
    if (!r->text) {
        v->answer = s->len > 0 || s->fin ? EITHER : QUIET;
        return;
    }
    if (s->len == 0 && !s->fin)
        return;
    v->answer = ACKED;
    int64_t end = s->seq + s->len;
    if (s->seq > r->next || end < r->next) /* behind a gap, or old */
        return;
    v->next = end < EDGE ? end : EDGE;
    v->received = v->next - r->next;
    if (s->fin && end <= EDGE) {
        v->next = end + 1;
        v->state = all ? r->after_both : r->after_fin;
    }
}

/* RFC 9293 3.10.7.4 in its order, RFC 5961 where it changes it */
static struct verdict synchronized(const struct row *r, const struct segment *s)
{
    struct verdict v = {QUIET, r->name, r->next, 0};
    bool half_open = strcmp(r->name, "SYN-RECEIVED") == 0;
    if (s->rst) {
        if (s->seq == r->next || (r->ended && s->seq == r->next - 1))
            v.state = r->after_reset;
        else if (inside(r, s->seq))
            v.answer = ACKED;
        return v;
    }
    if (s->syn) {
        v.answer = half_open && !s->ack && s->seq == r->next - 1 ? OPENED : ACKED;
        return v;
    }
    if (!acceptable(r, s)) {
        v.answer = ACKED;
        return v;
    }
    if (half_open && s->ackno != r->nxt) {
        v.answer = RESET;
        return v;
    }
    if (s->ackno > r->nxt || s->ackno < r->una - PEER_WND) {
        v.answer = ACKED;
        return v;
    }
    if (s->ackno == r->nxt)
        v.state = r->after_ack;
    if (strcmp(v.state, r->name) != 0 && !r->text)
        return v; /* CLOSING and LAST-ACK are over */
    text_and_fin(r, s, &v);
    return v;
}

static struct verdict judge(const struct row *r, const struct segment *s)
{
    if ((s->syn && (s->fin || s->rst)) || (!s->syn && !s->rst && !s->ack))
        return (struct verdict){QUIET, r->name, r->next, 0};
    if (!r->after_ack)
        return unsynchronized(r, s);
    return strcmp(r->name, "TIME-WAIT") == 0 ? time_wait(r, s) : synchronized(r, s);
}

/* What the engine said, in the oracle's words. */
static bool answered(const struct row *r, const struct segment *s, const struct verdict *v,
                     struct script *p)
{
    const struct script_output *o;
    unsigned n = script_outputs(p, &o);
    if (n == 0)
        return v->answer == QUIET || v->answer == EITHER;
    const struct script_base *b = script_base(p);
    const struct tcp_out *t = &o->out;
    int64_t seq = (int32_t)(t->seq - b->ours), ack = (int32_t)(t->ack - b->peer);
    if (n != 1 || t->len != 0)
        return false;
    switch (v->answer) {
    case ACKED:
    case EITHER:
        return t->flags == TCP_ACK && seq == r->nxt && ack == v->next;
    case RESET:
        return t->flags == TCP_RST && seq == (int32_t)s->ackno;
    case REFUSED:
        return t->flags == (TCP_RST | TCP_ACK) && t->seq == 0 &&
               ack == s->seq + s->len + s->syn + s->fin;
    case OPENED:
        return t->flags == (TCP_SYN | TCP_ACK) && ack == v->next;
    default:
        return false;
    }
}

static const char *const answer_name[] = {"nothing", "an ACK",  "nothing or an ACK",
                                          "RST",     "RST,ACK", "SYN,ACK"};

static bool play(const struct row *r, const struct segment *s)
{
    struct script *p = script_new();
    char line[128], got[128] = "nothing";
    bool good = true;
    script_line(p, "config blocks 16");
    for (unsigned i = 0; i < 10 && r->lines[i]; i++)
        good = good && script_line(p, r->lines[i]);
    cr_assert(good, "%s: %s", r->name, script_error(p));
    if (strcmp(r->name, "CLOSED") == 0)
        script_line(p, "state CLOSED");
    struct verdict v = judge(r, s);
    snprintf(line, sizeof(line), "0.210 < %s%s%s%s%s %lld(%lld) ack %lld", s->syn ? "S" : "",
             s->fin ? "F" : "", s->rst ? "R" : "", s->ack ? "." : "",
             s->syn || s->fin || s->rst || s->ack ? "" : "-", (long long)s->seq, (long long)s->len,
             (long long)s->ackno);
    script_line(p, line);
    script_run(p, 60000); /* a delayed ACK comes within that, a retransmission after it */
    int64_t before = strcmp(r->name, "SYN-RECEIVED") == 0 || !r->after_ack ? 0 : 10;
    const struct script_output *o;
    if (script_outputs(p, &o) > 0)
        script_segment_print(script_base(p), &o->out, got, sizeof(got));
    good = answered(r, s, &v, p) && strcmp(script_state(p), v.state) == 0 &&
           script_received(p) == before + v.received && script_error(p)[0] == '\0';
    if (!good)
        fprintf(stderr, "%s: %s: wanted %s ack %lld, %s, %lld bytes; got %s, %s, %lld bytes %s\n",
                r->name, line, answer_name[v.answer], (long long)v.next, v.state,
                (long long)v.received, got, script_state(p), (long long)script_received(p) - before,
                script_error(p));
    script_free(p);
    return good;
}

static void play_all(const char *name)
{
    const struct row *r = rows;
    while (strcmp(r->name, name) != 0)
        r++;
    int64_t seqs[] = {r->next - 1000, r->next - TEXT, r->next - 1, r->next,      r->next + 1,
                      EDGE - TEXT,    EDGE - 1,       EDGE,        EDGE + 100000};
    int64_t acks[] = {r->una - PEER_WND - 1,
                      r->una - PEER_WND,
                      r->una - 1,
                      r->una,
                      (r->una + r->nxt) / 2,
                      r->nxt,
                      r->nxt + 1};
    unsigned bad = 0, all = 0;
    for (unsigned flags = 0; flags < 16; flags++)
        for (unsigned text = 0; text < 2; text++)
            for (unsigned i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++)
                for (unsigned k = 0; k < sizeof(acks) / sizeof(acks[0]); k++) {
                    bool ack = flags >> 1 & 1;
                    if (!ack && k > 0)
                        continue;
                    struct segment s = {flags & 1,      ack,     flags >> 2 & 1,
                                        flags >> 3 & 1, seqs[i], ack ? acks[k] : 0,
                                        text ? TEXT : 0};
                    if (all++ % PART != 0)
                        continue;
                    bad += bad < 20 && !play(r, &s);
                }
    cr_assert(bad == 0, "%s: %u of %u differ", name, bad, all);
}

#define STATE(test, name)                                                                          \
    Test(matrix, test)                                                                             \
    {                                                                                              \
        play_all(name);                                                                            \
    }
STATE(closed, "CLOSED")
STATE(listen, "LISTEN")
STATE(syn_sent, "SYN-SENT")
STATE(syn_received, "SYN-RECEIVED")
STATE(established, "ESTABLISHED")
STATE(fin_wait_1, "FIN-WAIT-1")
STATE(fin_wait_2, "FIN-WAIT-2")
STATE(close_wait, "CLOSE-WAIT")
STATE(closing, "CLOSING")
STATE(last_ack, "LAST-ACK")
STATE(time_wait, "TIME-WAIT")

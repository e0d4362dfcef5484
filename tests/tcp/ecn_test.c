/* SPDX-License-Identifier: BSD-3-Clause */
/* Explicit congestion notification, RFC 3168. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

struct marks {
    unsigned mark_at, n;            /* the n-th data segment of the server is marked CE */
    unsigned echoes, cwrs, capable; /* seen */
    unsigned bare_capable, again_capable;
    uint8_t syn, syn_ack;
    uint32_t high;
    unsigned lose_at;
};

static bool tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct marks *m = w->tap_ctx;
    if (o->flags & TCP_SYN) {
        *(from == CLIENT ? &m->syn : &m->syn_ack) = o->flags;
        m->bare_capable += o->ecn != 0;
        return true;
    }
    if (from == CLIENT) {
        m->echoes += (o->flags & TCP_ECE) != 0;
        return true;
    }
    if (o->len == 0) {
        m->bare_capable += o->ecn != 0;
        return true;
    }
    m->n++;
    m->cwrs += (o->flags & TCP_CWR) != 0;
    m->capable += o->ecn == TCP_ECN_ECT0;
    if (m->n > 1 && seq_lt(o->seq, m->high))
        m->again_capable += o->ecn != 0;
    else
        m->high = o->seq + o->len;
    if (m->n == m->mark_at && o->ecn)
        o->ecn = TCP_ECN_CE;
    return m->n != m->lose_at;
}

static struct world *open_world(struct marks *m, bool client, bool server)
{
    struct tcp_config c = world_config(), s = world_config();
    c.ecn_active = client;
    s.ecn_passive = server;
    struct world *w = world_new(4, &c, &s);
    w->delay_us = 10000;
    w->tap = tap;
    w->tap_ctx = m;
    world_connect(w);
    world_run(w, 1000000);
    return w;
}

Test(ecn, both_must_want_it)
{
    for (unsigned i = 0; i < 4; i++) {
        struct marks m = {0};
        struct world *w = open_world(&m, i & 1, i & 2);
        bool on = i == 3;
        cr_assert((m.syn & (TCP_ECE | TCP_CWR)) == (i & 1 ? TCP_ECE | TCP_CWR : 0));
        cr_assert((m.syn_ack & (TCP_ECE | TCP_CWR)) == (on ? TCP_ECE : 0));
        cr_assert(world_conn(w, CLIENT)->ecn_on == on && world_conn(w, SERVER)->ecn_on == on);
        w->app[SERVER].send_total = 20000;
        app_push(&w->app[SERVER]);
        world_run(w, 1000000);
        cr_assert((m.capable > 0) == on && m.bare_capable == 0);
        world_free(w);
    }
    struct tcp_config c = tcp_config_default(); /* servers answer, clients do not ask */
    cr_assert(c.ecn_passive && !c.ecn_active);
}

Test(ecn, a_mark_is_echoed_until_the_sender_has_reduced)
{
    struct marks m = {.mark_at = 12};
    struct world *w = open_world(&m, true, true);
    w->app[SERVER].send_total = 400 * 1448;
    app_push(&w->app[SERVER]);
    world_run(w, 5000000);
    const struct tcp_conn *c = world_conn(w, SERVER);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(w->app[CLIENT].got == 400 * 1448 && n->tcp_retransmit_total == 0);
    cr_assert(c->tx->cc.ssthresh < UINT32_MAX && m.cwrs == 1, "%u", m.cwrs);
    cr_assert(m.echoes >= 1 && n->tcp_ecn_echo_in_total == m.echoes);
    cr_assert(!world_conn(w, CLIENT)->ecn_echo); /* CWR stopped it */
    cr_assert(!w->broken, "%s", w->broken);
    world_free(w);
}

Test(ecn, retransmissions_are_not_capable_and_a_loss_is_told_too)
{
    struct marks m = {.lose_at = 15};
    struct world *w = open_world(&m, true, true);
    w->app[SERVER].send_total = 400 * 1448;
    app_push(&w->app[SERVER]);
    world_run(w, 5000000);
    cr_assert(w->app[CLIENT].got == 400 * 1448 && m.again_capable == 0);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_retransmit_total == 1 && m.cwrs == 1);
    world_free(w);
}

Test(ecn, a_repeated_syn_asks_for_nothing)
{
    struct tcp_config c = world_config();
    c.ecn_active = true;
    struct marks m = {0};
    struct world *w = world_new(4, &c, NULL);
    w->tap = tap;
    w->tap_ctx = &m;
    w->loss_permille = 1000;
    world_connect(w);
    world_run(w, 500000);
    cr_assert(m.syn & TCP_ECE);
    w->loss_permille = 0;
    world_run(w, 3000000);
    cr_assert(!(m.syn & TCP_ECE) && !(m.syn_ack & TCP_ECE));
    cr_assert(world_conn(w, CLIENT)->state == TCP_ESTABLISHED);
    world_free(w);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a script's assertions look at inside of the engine: the only part of the driver that
 * knows more of it than tcp.h. */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"
#include "tests/tcp/script_play.h"

const char *look_state(const struct script *p)
{
    static const char *const names[] = {
        [TCP_CLOSED] = "CLOSED",
        [TCP_SYN_SENT] = "SYN-SENT",
        [TCP_SYN_RECEIVED] = "SYN-RECEIVED",
        [TCP_ESTABLISHED] = "ESTABLISHED",
        [TCP_FIN_WAIT_1] = "FIN-WAIT-1",
        [TCP_FIN_WAIT_2] = "FIN-WAIT-2",
        [TCP_CLOSE_WAIT] = "CLOSE-WAIT",
        [TCP_CLOSING] = "CLOSING",
        [TCP_LAST_ACK] = "LAST-ACK",
    };
    if (p->app.stream && tcp_conn_of(p->app.stream)->state != TCP_CLOSED)
        return names[tcp_conn_of(p->app.stream)->state];
    const struct tcp_counters *n = tcp_counters(p->engine);
    if (n->tcp_half_open > 0)
        return "SYN-RECEIVED";
    if (n->tcp_time_wait > 0)
        return "TIME-WAIT";
    return p->listening ? "LISTEN" : "CLOSED";
}

bool look_counter(const struct script *p, const char *name, uint64_t *value)
{
    const struct tcp_counters *n = tcp_counters(p->engine);
#define LOOK(field, unit, text)                                                                    \
    if (strcmp(name, #field) == 0) {                                                               \
        *value = n->field;                                                                         \
        return true;                                                                               \
    }
    TCP_COUNTERS(LOOK)
#undef LOOK
    return false;
}

uint32_t look_cwnd(const struct script *p)
{
    const struct tcp_conn *c = p->app.stream ? tcp_conn_of(p->app.stream) : NULL;
    if (!c)
        return 0;
    return c->tx ? c->tx->cc.cwnd : cc_initial_window(c->mss); /* to be */
}

const char *look_end(enum stream_end why)
{
    static const char *const names[] = {
        [STREAM_DONE] = "DONE",       [STREAM_RESET] = "RESET",     [STREAM_TIMEOUT] = "TIMEOUT",
        [STREAM_REFUSED] = "REFUSED", [STREAM_ABORTED] = "ABORTED", [STREAM_EVICTED] = "EVICTED",
    };
    return names[why];
}

const char *look_invariants(const struct script *p)
{
    return tcp_check(p->engine);
}

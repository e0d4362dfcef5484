/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a connection may stay that does nothing, or next to nothing.
 *
 *   silence      no byte either way for config.idle_timeout_ms: reset
 *   keep-alive   nothing queued, and silence for config.keepalive_ms: is the peer still there?
 *                (RFC 9293 3.8.4; off by default.) An answer counts as life
 *   progress     bytes are queued, the peer answers, and yet takes fewer than
 *                config.floor_bytes_s * PROGRESS_MS: what it holds is wanted elsewhere. RFC 9293
 *                3.8.6.1 lets a closed window last for ever; the node that has to serve others
 *                does not (slow-read attacks). Off by default, for an engine alone
 */
#include "dataplane/tcp/tcp_conn.h"

#define PROGRESS_MS      20000u
#define SILENT_RETRIES   4u     /* in a row: no answer for 3 s at the least */
#define SILENT_MS        5000u  /* until one that was silent is looked at again */
#define KEEPALIVE_GAP_MS 75000u /* between questions that have no answer */
#define KEEPALIVE_TRIES  9u

/* RFC 9293 has no limit for silence; a node does. Once both we have closed and the peer has
 * acknowledged that, it gets a minute and a quarter to close its side: a peer that has lost what
 * it sent for a while tries again within 60 s, and is heard if the path is well by then. */
static uint32_t idle_limit_ms(const struct tcp_engine *e, const struct tcp_conn *c)
{
    uint32_t limit = e->config.idle_timeout_ms;
    if (c->state == TCP_FIN_WAIT_2 && (limit == 0 || limit > TCP_FIN_WAIT_2_MS))
        limit = TCP_FIN_WAIT_2_MS;
    return limit;
}

static bool keeps_alive(const struct tcp_engine *e, const struct tcp_conn *c)
{
    return e->config.keepalive_ms > 0 && !c->rtx_armed &&
           (c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT);
}

static uint32_t keepalive_ms(const struct tcp_engine *e, const struct tcp_conn *c)
{
    return c->active_ms + e->config.keepalive_ms + c->keepalives * KEEPALIVE_GAP_MS;
}

static bool watched(const struct tcp_engine *e, const struct tcp_conn *c)
{
    return e->config.floor_bytes_s > 0 && c->queued > 0;
}

void tcp_stay_queue(const struct tcp_engine *e, struct tcp_conn *c)
{
    c->tx->progress_ms = e->now_ms + PROGRESS_MS;
    c->tx->progress_una = c->snd_una;
}

static void sooner(uint32_t now_ms, int32_t *wait, uint32_t due_ms)
{
    int32_t ms = (int32_t)(due_ms - now_ms);
    *wait = ms < *wait ? ms : *wait;
}

int32_t tcp_stay_wait_ms(const struct tcp_engine *e, const struct tcp_conn *c)
{
    int32_t wait = INT32_MAX;
    uint32_t idle = idle_limit_ms(e, c);
    if (idle)
        sooner(e->now_ms, &wait, c->active_ms + idle);
    if (keeps_alive(e, c))
        sooner(e->now_ms, &wait, keepalive_ms(e, c));
    if (watched(e, c))
        sooner(e->now_ms, &wait, c->tx->progress_ms);
    return wait;
}

static bool due(const struct tcp_engine *e, uint32_t at_ms)
{
    return (int32_t)(e->now_ms - at_ms) >= 0;
}

static bool crawls(const struct tcp_engine *e, const struct tcp_conn *c)
{
    uint64_t least = (uint64_t)e->config.floor_bytes_s * PROGRESS_MS / 1000;
    return c->snd_una - c->tx->progress_una < least;
}

/* The round is over: whether the connection is, too. A peer that does not answer at all is the
 * retransmission timer's, and has some time to catch up once it is back; a retry or two are not
 * silence, or who loses a packet when he is looked at could stay. */
static bool progress_over(const struct tcp_engine *e, struct tcp_conn *c)
{
    if (!crawls(e, c)) {
        tcp_stay_queue(e, c);
        return false;
    }
    if (c->retries >= SILENT_RETRIES) {
        c->tx->progress_ms = e->now_ms + SILENT_MS;
        return false;
    }
    return true;
}

bool tcp_stay_fire(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t idle = idle_limit_ms(e, c);
    bool over = idle && due(e, c->active_ms + idle);
    if (!over && watched(e, c) && due(e, c->tx->progress_ms)) {
        over = progress_over(e, c);
        if (over)
            counter_inc(&e->counters.tcp_slow_reader_total);
    }
    if (!over && keeps_alive(e, c) && due(e, keepalive_ms(e, c))) {
        over = c->keepalives >= KEEPALIVE_TRIES;
        if (!over) {
            c->keepalives++;
            counter_inc(&e->counters.tcp_keepalive_total);
            tcp_send_probe(e, c);
        }
    }
    if (!over)
        return false;
    if (c->state != TCP_CLOSED)
        tcp_send_rst(e, c);
    tcp_conn_end(e, c, STREAM_TIMEOUT);
    return true;
}

void tcp_stay_heard(const struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->keepalives == 0)
        return;
    c->keepalives = 0;
    c->active_ms = e->now_ms;
}

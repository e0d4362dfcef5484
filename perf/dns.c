/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node with one worker that answers for a zone, and a resolver's worth of clients: A of one of so
 * many names, picked uniformly or by Zipf's law, a fixed number of them in flight. Every answer's
 * header is looked at; of one in 64 all that is in it: the question, and that each address is one
 * of the zone's members.
 *
 * A client has to cost less than a server: a query is a template with its name's digits, its ID
 * and its port put in, its sum corrected (RFC 1624).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/cursor.h"
#include "perf/schedule.h"
#include "perf/server.h"
#include "perf/zipf.h"

#define IN_FLIGHT 1024 /* closed loop */
#define SAMPLED   64
#define DIGITS    8
#define ETHER     14
#define IP        20
#define UDP       8
#define HEADERS   (ETHER + IP + UDP)
#define NAME      (HEADERS + 12) /* the question begins with the label's length */
#define DIGITS_AT (NAME + 2)
#define PORT_BASE 20000 /* of the client: a query's port is told by its place */
#define WARM_US   300000
#define SCATTER   2654435761u /* a prime: its multiples visit all names in no order */

struct slot {           /* for a query in flight */
    uint64_t asked_tsc; /* from here on it is timed: by schedule, it may have been sent later, */
    uint64_t sent_tsc;  /* and from here on it is waited for */
    uint32_t name;
    uint16_t round; /* its ID */
    bool busy;
};

struct dns {
    const struct perf_options *options;
    struct server server;
    struct host host; /* until the template is known: it speaks ARP */
    uint64_t hz;
    /* a query: its frame, with zeros where each has its own; words of its sum that change */
    uint8_t frame[NET_HEADROOM + 128];
    uint32_t frame_len, name_end; /* offsets in the frame */
    uint64_t sum;
    struct slot slot[IN_FLIGHT];
    uint32_t next, in_flight;
    uint64_t sent, checked_tsc;
    uint64_t state; /* of the names' generator */
    struct zipf zipf;
    struct schedule schedule;
    bool began, found; /* found: the node has answered the first query */
    struct latency latency;
    struct perf_errors errors;
    uint64_t ops, verified, given_up;
};

/* --- queries ---------------------------------------------------------------------------------- */

/* A name is "n", eight digits, and the zone: its digits stand at an even offset. */
static size_t write_query(uint8_t *out, size_t room)
{
    static const char name[] = "\x09n00000000\x05"
                               "coral\x04"
                               "test"; /* its last byte is the root */
    struct writer w = writer_of(out, room);
    write_u16(&w, 0);
    write_u16(&w, 0x0100); /* recursion desired, as resolvers' clients have it */
    write_u16(&w, 1);
    write_u16(&w, 0);
    write_u32(&w, 0);
    write_bytes(&w, name, sizeof(name));
    write_u16(&w, 1); /* A, IN */
    write_u16(&w, 1);
    return (size_t)(w.p - out);
}

static void make_template(struct dns *d)
{
    const struct addr from = addr_v4(CLIENT_NET), to = addr_v4(SERVER_NET);
    uint8_t *l4 = d->frame + NET_HEADROOM;
    size_t len = write_query(l4 + UDP, sizeof(d->frame) - NET_HEADROOM - UDP);
    net_udp_header(l4, 0, 53, &from, &to, len, false);
    uint8_t *frame = net_output(d->host.net, l4, UDP + len, &from, &to, 17, d->host.now);
    if (!frame)
        return;
    d->frame_len = (uint32_t)(HEADERS + len);
    memmove(d->frame, frame, d->frame_len);
    d->name_end = d->frame_len - 4;
    memset(d->frame + DIGITS_AT, 0, DIGITS);
    d->sum = net_sum(d->frame + ETHER + IP, UDP + len, net_sum_pseudo(&from, &to, 17, UDP + len));
    d->found = true;
}

static uint32_t pick(struct dns *d)
{
    if (d->options->zipf > 0)
        return (uint32_t)((uint64_t)zipf_next(&d->zipf) * SCATTER % d->options->objects);
    d->state = d->state * 6364136223846793005ull + 1442695040888963407ull; /* Knuth's */
    return (uint32_t)((d->state >> 32) * d->options->objects >> 32);
}

static uint64_t digits_of(uint32_t name)
{
    uint64_t text;
    uint8_t digit[DIGITS];
    for (unsigned i = DIGITS; i-- > 0; name /= 10)
        digit[i] = (uint8_t)('0' + name % 10);
    memcpy(&text, digit, DIGITS);
    return text;
}

/* Whose query a reply answers is told by its ID and port: slot, and the round in it. */
static void fill(struct dns *d, struct rte_mbuf *m, uint32_t at, uint64_t since_tsc,
                 uint64_t now_tsc)
{
    struct slot *s = &d->slot[at];
    uint8_t *f = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)d->frame_len);
    s->asked_tsc = since_tsc;
    s->sent_tsc = now_tsc;
    s->name = pick(d);
    s->busy = true;
    s->round++;
    const uint64_t digits = digits_of(s->name);
    const uint16_t id = htons(s->round), port = htons((uint16_t)(PORT_BASE + at));
    memcpy(f, d->frame, d->frame_len);
    memcpy(f + DIGITS_AT, &digits, DIGITS);
    memcpy(f + HEADERS, &id, 2);
    memcpy(f + ETHER + IP, &port, 2);
    if (!d->options->offload) {
        uint16_t field = net_sum_finish(net_sum(&digits, DIGITS, d->sum) + id + port);
        field = field ? field : 0xffff; /* RFC 768 */
        memcpy(f + ETHER + IP + 6, &field, 2);
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

/* All that is in an answer: the question, and addresses of members. */
static bool is_right(const struct dns *d, const uint8_t *f, uint32_t len, uint32_t name)
{
    const uint64_t digits = digits_of(name);
    const unsigned answers = f[HEADERS + 6] << 8 | f[HEADERS + 7];
    const uint8_t *rr = f + d->name_end + 4;
    if (len < d->frame_len + answers * 16 || memcmp(f + DIGITS_AT, &digits, DIGITS) != 0 ||
        memcmp(f + NAME, d->frame + NAME, DIGITS_AT - NAME) != 0 ||
        memcmp(f + DIGITS_AT + DIGITS, d->frame + DIGITS_AT + DIGITS,
               d->name_end - DIGITS_AT - DIGITS) != 0)
        return false;
    for (unsigned i = 0; i < answers; i++, rr += 16) {
        static const uint8_t head[] = {0xc0, 0x0c, 0, 1, 0, 1}; /* the name, A, IN */
        const uint32_t ip = (uint32_t)rr[12] << 24 | rr[13] << 16 | rr[14] << 8 | rr[15];
        if (memcmp(rr, head, sizeof(head)) != 0 || rr[11] != 4 ||
            ip - SERVER_MEMBER >= SERVER_MEMBERS)
            return false;
    }
    return true;
}

static void take(struct dns *d, struct rte_mbuf *m, uint64_t now)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    if (m->data_len < HEADERS + 12 || f[12] != 8 || f[23] != 17)
        return; /* ARP and the like */
    uint32_t at = ((uint32_t)f[ETHER + IP + 2] << 8 | f[ETHER + IP + 3]) - PORT_BASE;
    struct slot *s = at < IN_FLIGHT ? &d->slot[at] : NULL;
    uint16_t id = (uint16_t)(f[HEADERS] << 8 | f[HEADERS + 1]);
    if (!s || !s->busy || id != s->round) {
        counter_inc(&d->errors.n[PERF_ERROR_lost]); /* nobody asked, or it was given up */
        return;
    }
    s->busy = false;
    d->in_flight--;
    latency_add(&d->latency, now - s->asked_tsc);
    counter_inc(&d->ops);
    if (!(f[HEADERS + 2] & 0x80) || f[HEADERS + 3] & 15)
        counter_inc(&d->errors.n[PERF_ERROR_status]);
    else if (f[HEADERS + 7] == 0 || f[HEADERS + 6])
        counter_inc(&d->errors.n[PERF_ERROR_head]);
    if (d->ops % SAMPLED == 0) {
        counter_inc(&d->verified);
        if (!is_right(d, f, m->data_len, s->name))
            counter_inc(&d->errors.n[PERF_ERROR_body]);
    }
}

/* Queries of which nothing came for a second are errors, and their places free. */
static void give_up(struct dns *d, uint64_t now)
{
    d->checked_tsc = now;
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        if (d->slot[i].busy && now - d->slot[i].sent_tsc > d->hz) {
            d->slot[i].busy = false;
            d->in_flight--;
            counter_inc(&d->errors.n[PERF_ERROR_timeout]);
        }
}

/* --- turns ------------------------------------------------------------------------------------ */

/* The time of the next query, 0: none is due. A place is taken in turn. */
static uint64_t due(struct dns *d, uint64_t now)
{
    if (d->options->rate <= 0)
        return d->in_flight < IN_FLIGHT && !d->slot[d->next % IN_FLIGHT].busy ? now : 0;
    if (!d->began)
        schedule_begin(&d->schedule, now);
    d->began = true;
    uint64_t at = schedule_due(&d->schedule, now);
    while (at && now - at > d->hz) { /* no place has been free for a second */
        schedule_next(&d->schedule);
        counter_inc(&d->given_up);
        at = schedule_due(&d->schedule, now);
    }
    if (!at || d->slot[d->next % IN_FLIGHT].busy)
        return 0;
    schedule_next(&d->schedule);
    return at;
}

static unsigned ask(struct dns *d, uint64_t now)
{
    struct rte_mbuf *m[PORT_BURST];
    unsigned n = 0;
    if (rte_pktmbuf_alloc_bulk(d->host.pool, m, PORT_BURST) != 0)
        return 0;
    for (uint64_t at; n < PORT_BURST && (at = due(d, now)) != 0; n++) {
        fill(d, m[n], d->next++ % IN_FLIGHT, at, now);
        d->in_flight++;
    }
    unsigned sent = port_link_send(d->server.link, 1, m, n);
    rte_pktmbuf_free_bulk(m + sent, PORT_BURST - sent); /* those that were refused time out */
    return sent;
}

static bool load_turn(void *ctx)
{
    struct dns *d = ctx;
    struct rte_mbuf *m[PORT_BURST];
    if (!d->found) {
        host_turn(&d->host);
        make_template(d);
        return true;
    }
    unsigned n = port_link_receive(d->server.link, 1, m, PORT_BURST);
    uint64_t now = rte_rdtsc();
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
    for (unsigned i = 0; i < n; i++)
        take(d, m[i], now);
    if (n)
        rte_pktmbuf_free_bulk(m, n);
    unsigned sent = ask(d, now);
    if (now - d->checked_tsc > d->hz / 10)
        give_up(d, now);
    return n + sent > 0;
}

/* Both in turn, on one core. */
static bool both_turn(void *ctx)
{
    struct dns *d = ctx;
    bool busy = server_turn(&d->server);
    return load_turn(d) || busy;
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool measure(struct dns *d, struct perf_result *r, char *error, size_t error_len)
{
    uint32_t stop = 0;
    bool two = d->options->cores == 2;
    struct perf_thread worker = {.turn = two ? server_turn : both_turn,
                                 .ctx = two ? (void *)&d->server : d,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)perf_cpu(0)};
    struct perf_thread load = {
        .turn = load_turn, .ctx = d, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};
    const struct measured m = {.ops = &d->server.stats.dns->dns_queries_total,
                               .busy_tsc = &d->server.stats.worker->worker_busy_cycles_total,
                               .worker = two ? &worker : NULL,
                               .client = two ? &load : NULL,
                               .slowest = d->options->rate,
                               .live = d->options->live,
                               .calibration = &worker.calibration,
                               .latency = &d->latency,
                               .errors = &d->errors};

    perf_thread_start(&worker);
    if (two)
        perf_thread_start(&load);
    for (unsigned i = 0; i < 5000 && counter_read(&d->ops) == 0; i++)
        usleep(1000);
    bool ok = counter_read(&d->ops) > 0;
    if (ok) {
        usleep(WARM_US);
        uint64_t given_up = counter_read(&d->given_up), came = counter_read(&d->ops);
        latency_begin(&d->latency);
        measure_windows(d->options->seconds, &m, r);
        latency_end(&d->latency);
        came = counter_read(&d->ops) - came;
        r->given_up = counter_read(&d->given_up) - given_up;
        uint64_t apart = came > r->ops ? came - r->ops : r->ops - came;
        if (apart > 2 * IN_FLIGHT)
            r->errors.n[PERF_ERROR_lost] += apart;
    } else {
        snprintf(error, error_len, "no answer came within 5 s");
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    if (two)
        perf_thread_join(&load);
    r->ratio = worker.calibration.ratio;
    r->latency = d->latency.hdr;
    r->verified = d->verified;
    r->ops_total = counter_read(&d->server.stats.dns->dns_queries_total);
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        r->errors.n[i] += d->errors.n[i];
    return ok;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct dns d;
    const struct net_address ip = {addr_v4(CLIENT_NET), 24};
    bool ok = false;

    d = (struct dns){.options = o, .hz = rte_get_tsc_hz(), .state = 1};
    d.zipf = zipf_make(o->objects, o->zipf, 1);
    if (server_open(&d.server, o, 64, 16u << 20, error, error_len)) {
        if (host_new(&d.host, d.server.link, &ip, 1, 16, o->offload, perf_now()) &&
            (o->rate <= 0 || schedule_open(&d.schedule, o->rate, o->poisson, (double)d.hz)))
            ok = measure(&d, r, error, error_len);
        else
            snprintf(error, error_len, "not enough memory for the client");
        host_free(&d.host);
    }
    server_close(&d.server);
    schedule_close(&d.schedule);
    return ok;
}

bool dns_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o, run, result, error, error_len);
}

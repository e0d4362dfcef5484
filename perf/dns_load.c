/* SPDX-License-Identifier: BSD-3-Clause */
#include "perf/dns_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "dns/wire.h"

#define SAMPLED   64
#define IN_FLIGHT 1024 /* unless --active says another number */
#define ETHER     14
#define UDP       8
#define PORT_BASE 20000 /* a query's port is told by its place */
#define WARM_US   300000
#define WAIT_MS   3000

/* --- queries ---------------------------------------------------------------------------------- */

static void make_template(struct dns_load *d)
{
    uint8_t *udp = d->frame + NET_HEADROOM;
    struct writer w = writer_of(udp + UDP, DNS_HEADER_LEN);
    write_u16(&w, 0);
    write_u16(&w, DNS_RD); /* as resolvers' clients have it */
    write_u16(&w, 1);
    write_u16(&w, 0);
    write_u32(&w, 0);
    const size_t len = UDP + DNS_HEADER_LEN + d->names.question_len;
    memset(udp + UDP + DNS_HEADER_LEN, 0, d->names.question_len);
    net_udp_header(udp, 0, d->to.port, &d->from.ip, &d->to.ip, len - UDP, false);
    uint8_t *frame =
        net_output(d->host.net, udp, len, &d->from.ip, &d->to.ip, IPPROTO_UDP, d->host.now);
    if (!frame)
        return;
    d->udp_at = (uint32_t)(udp - frame);
    d->v4 = addr_is_v4(&d->to.ip);
    d->frame_len = d->udp_at + (uint32_t)len;
    memmove(d->frame, frame, d->frame_len);
    __atomic_store_n(&d->found, true, __ATOMIC_RELEASE);
}

/* Shorter than the template's. */
static void set_length(const struct dns_load *d, uint8_t *f, uint32_t udp_len)
{
    uint8_t *ip = f + ETHER;
    const uint16_t udp_field = htons((uint16_t)udp_len),
                   ip_field = htons((uint16_t)(udp_len + (d->v4 ? d->udp_at - ETHER : 0)));
    memcpy(f + d->udp_at + 4, &udp_field, 2);
    memcpy(ip + (d->v4 ? 2 : 4), &ip_field, 2);
    if (!d->v4)
        return;
    memset(ip + 10, 0, 2);
    const uint16_t sum = net_sum_finish(net_sum(ip, d->udp_at - ETHER, 0));
    memcpy(ip + 10, &sum, 2);
}

static uint32_t pick(struct dns_load *d)
{
    if (d->options->zipf > 0)
        return keys_next(&d->keys);
    d->state = d->state * 6364136223846793005ull + 1442695040888963407ull; /* Knuth's */
    return (uint32_t)((d->state >> 32) * d->names.count >> 32);
}

/* Whose query a reply answers is told by its ID and port: slot, and the round in it. */
static void fill(struct dns_load *d, struct rte_mbuf *m, uint32_t at, uint64_t since_tsc,
                 uint64_t now_tsc)
{
    struct slot *s = &d->slot[at];
    uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *), *udp = f + d->udp_at;
    s->asked_tsc = since_tsc;
    s->sent_tsc = now_tsc;
    s->name = pick(d);
    s->busy = true;
    s->round++;
    const uint16_t id = htons(s->round), port = htons((uint16_t)(PORT_BASE + at));
    memcpy(f, d->frame, d->udp_at + UDP + DNS_HEADER_LEN);
    memcpy(udp, &port, 2);
    memcpy(udp + UDP, &id, 2);
    const uint32_t len =
        UDP + DNS_HEADER_LEN + dns_names_write(&d->names, s->name, udp + UDP + DNS_HEADER_LEN);
    if (d->udp_at + len != d->frame_len)
        set_length(d, f, len);
    if (!d->options->offload) {
        uint16_t field = net_sum_finish(
            net_sum(udp, len, net_sum_pseudo(&d->from.ip, &d->to.ip, IPPROTO_UDP, len)));
        field = field ? field : 0xffff; /* RFC 768 */
        memcpy(udp + 6, &field, 2);
    }
    rte_pktmbuf_append(m, (uint16_t)(d->udp_at + len));
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Is a record one of those that the zone has? */
static bool is_member(const struct dns_load *d, uint16_t type, uint16_t len, const uint8_t *data)
{
    return type == DNS_A && len == 4 &&
           ((uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3]) - d->first_member <
               d->members;
}

/* All that is in an answer: the question as it was asked, and records that end where it does. */
static bool is_right(const struct dns_load *d, const uint8_t *dns, uint32_t len, uint32_t name)
{
    uint8_t question[DNS_NAMES_QUESTION];
    const uint32_t asked = dns_names_write(&d->names, name, question);
    struct reader r = reader_of(dns, len);
    read_bytes(&r, 6);
    const uint32_t answers = read_u16(&r), others = read_u16(&r) + (uint32_t)read_u16(&r);
    const uint8_t *repeated = read_bytes(&r, asked);
    if (!repeated || memcmp(repeated, question, asked) != 0)
        return false;
    for (uint32_t i = 0; i < answers + others; i++) {
        if (!dns_name_skip(&r))
            return false;
        const uint16_t type = read_u16(&r);
        read_bytes(&r, 6); /* class, TTL */
        const uint16_t data_len = read_u16(&r);
        const uint8_t *data = read_bytes(&r, data_len);
        if (r.bad || (d->members && i < answers && !is_member(d, type, data_len, data)))
            return false;
    }
    return reader_left(&r) == 0;
}

/* Does UDP's own checksum hold, where there is one? */
static bool is_whole(const struct dns_load *d, const uint8_t *udp, uint32_t len)
{
    return d->options->offload || (udp[6] == 0 && udp[7] == 0) ||
           net_sum_finish(
               net_sum(udp, len, net_sum_pseudo(&d->to.ip, &d->from.ip, IPPROTO_UDP, len))) == 0;
}

/* What is wrong with an answer's header, and nothing: PERF_ERROR_CLASSES. */
static enum perf_error look(const uint8_t *dns)
{
    const unsigned flags = (unsigned)dns[2] << 8 | dns[3], rcode = flags & DNS_RCODE;
    if (!(flags & DNS_QR))
        return PERF_ERROR_head;
    if (rcode != DNS_NOERROR)
        return rcode == DNS_REFUSED ? PERF_ERROR_refused : PERF_ERROR_status;
    if (flags & DNS_TC)
        return PERF_ERROR_truncated;
    return dns[4] == 0 && dns[5] == 1 && (dns[6] || dns[7]) ? PERF_ERROR_CLASSES : PERF_ERROR_head;
}

static void free_place(struct dns_load *d, uint32_t at)
{
    d->slot[at].busy = false;
    d->unused[(d->first_unused + d->unused_n++) % d->places] = (uint16_t)at;
}

/* A datagram to one of our ports. */
static void take_answer(struct dns_load *d, const uint8_t *udp, uint32_t len, uint64_t now)
{
    const uint8_t *dns = udp + UDP;
    const uint32_t at = ((uint32_t)udp[2] << 8 | udp[3]) - PORT_BASE;
    struct slot *s = at < d->places ? &d->slot[at] : NULL;
    if (len < UDP + DNS_HEADER_LEN) {
        counter_inc(&d->errors.n[PERF_ERROR_head]);
        return;
    }
    if (!s || !s->busy || (dns[0] << 8 | dns[1]) != s->round) {
        counter_inc(&d->errors.n[PERF_ERROR_wrong_id]); /* nobody asked, or it was given up */
        return;
    }
    free_place(d, at);
    latency_add(&d->latency, now - s->asked_tsc);
    enum perf_error class = look(dns);
    if (class != PERF_ERROR_CLASSES)
        counter_inc(&d->errors.n[class]);
    if (d->ops % SAMPLED == 0) {
        counter_inc(&d->verified);
        if (class == PERF_ERROR_CLASSES &&
            (!is_whole(d, udp, len) || !is_right(d, dns, len - UDP, s->name)))
            counter_inc(&d->errors.n[PERF_ERROR_body]);
    }
    counter_inc(&d->ops);
}

/* From the server, by UDP, without IP options? Else it is for the host. */
static bool take(struct dns_load *d, const struct rte_mbuf *m, uint64_t now)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *), *udp = f + d->udp_at;
    const unsigned size = d->v4 ? 4 : 16;
    if (m->data_len < d->udp_at + UDP || memcmp(f + 12, d->frame + 12, d->v4 ? 3 : 2) != 0 ||
        f[ETHER + (d->v4 ? 9 : 6)] != IPPROTO_UDP ||
        memcmp(udp - 2 * size, d->frame + d->udp_at - size, size) != 0 ||
        memcmp(udp, d->frame + d->udp_at + 2, 2) != 0)
        return false;
    const uint32_t len = (uint32_t)udp[4] << 8 | udp[5];
    if (len < UDP || d->udp_at + len > m->data_len)
        counter_inc(&d->errors.n[PERF_ERROR_head]);
    else
        take_answer(d, udp, len, now);
    return true;
}

/* Nobody listens there. */
static void refused(void *ctx, const struct net_icmp_datagram *why)
{
    struct dns_load *d = ctx;
    (void)why;
    counter_inc(&d->errors.n[PERF_ERROR_refused]);
}

/* Queries of which nothing came for a second are errors, and their places free. */
static void give_up(struct dns_load *d, uint64_t now)
{
    d->checked_tsc = now;
    for (uint32_t i = 0; i < d->places; i++)
        if (d->slot[i].busy && now - d->slot[i].sent_tsc > d->hz) {
            free_place(d, i);
            counter_inc(&d->errors.n[PERF_ERROR_timeout]);
        }
}

/* --- turns ------------------------------------------------------------------------------------ */

/* The time of the next query, 0: none is due. */
static uint64_t due(struct dns_load *d, uint64_t now)
{
    if (d->options->rate <= 0)
        return d->unused_n > 0 ? now : 0;
    if (!d->began)
        schedule_begin(&d->schedule, now);
    d->began = true;
    uint64_t at = schedule_due(&d->schedule, now);
    while (at && now - at > d->hz) { /* no place has been free for a second */
        schedule_next(&d->schedule);
        counter_inc(&d->given_up);
        at = schedule_due(&d->schedule, now);
    }
    if (!at || d->unused_n == 0)
        return 0;
    schedule_next(&d->schedule);
    return at;
}

static unsigned ask(struct dns_load *d, uint64_t now)
{
    struct rte_mbuf *m[PORT_BURST];
    unsigned n = 0;
    if (rte_pktmbuf_alloc_bulk(d->host.pool, m, PORT_BURST) != 0)
        return 0;
    for (uint64_t at; n < PORT_BURST && (at = due(d, now)) != 0; n++) {
        const uint32_t place = d->unused[d->first_unused];
        d->first_unused = (d->first_unused + 1) % d->places;
        d->unused_n--;
        fill(d, m[n], place, at, now);
    }
    unsigned sent = host_send(&d->host, m, n);
    rte_pktmbuf_free_bulk(m + sent, PORT_BURST - sent); /* those that were refused time out */
    return sent;
}

/* Frames of others (ARP, ND, ICMP) go to the host. */
static void sort_burst(struct dns_load *d, struct rte_mbuf **m, unsigned n, uint64_t now)
{
    struct rte_mbuf *others[PORT_BURST];
    unsigned k = 0, taken = 0;
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
    for (unsigned i = 0; i < n; i++)
        if (take(d, m[i], now))
            m[taken++] = m[i];
        else
            others[k++] = m[i];
    if (taken)
        rte_pktmbuf_free_bulk(m, taken);
    if (k) {
        d->host.now = perf_now();
        host_input(&d->host, others, k);
        host_flush(&d->host);
    }
}

bool dns_load_turn(void *ctx)
{
    struct dns_load *d = ctx;
    struct rte_mbuf *m[PORT_BURST];
    if (!d->found) {
        host_turn(&d->host);
        make_template(d);
        d->host.udp_refused = refused;
        d->host.udp_ctx = d;
        return true;
    }
    unsigned n = host_receive(&d->host, m, PORT_BURST);
    uint64_t now = rte_rdtsc();
    sort_burst(d, m, n, now);
    unsigned sent = ask(d, now);
    if (now - d->checked_tsc > d->hz / 10)
        give_up(d, now);
    return n + sent > 0;
}

/* --- for the run ------------------------------------------------------------------------------ */

bool dns_load_open(struct dns_load *d, const struct perf_options *o, const struct dns_names *names,
                   const struct endpoint *from, const struct endpoint *to)
{
    *d = (struct dns_load){.options = o,
                           .names = *names,
                           .from = *from,
                           .to = *to,
                           .hz = rte_get_tsc_hz(),
                           .state = 1,
                           .places = o->active ? o->active : IN_FLIGHT};
    d->keys = keys_make(d->names.count, o->zipf, 1, NULL);
    for (uint32_t i = 0; i < d->places; i++)
        free_place(d, i);
    return o->rate <= 0 || schedule_open(&d->schedule, o->rate, o->poisson, (double)d->hz);
}

void dns_load_close(struct dns_load *d)
{
    schedule_close(&d->schedule);
    dns_names_free(&d->names);
}

bool dns_load_wait(void *ctx, char *error, size_t error_len)
{
    struct dns_load *d = ctx;
    char to[ENDPOINT_TEXT];
    for (unsigned i = 0; i < WAIT_MS && counter_read(&d->ops) + errors_total(&d->errors) == 0; i++)
        usleep(1000);
    if (errors_total(&d->errors) == 0 && counter_read(&d->ops) > 0)
        usleep(WARM_US);
    if (errors_total(&d->errors) > 0) {
        char text[256];
        errors_text(&d->errors, text, sizeof(text));
        snprintf(error, error_len, "%s: errors before it was measured: %s",
                 endpoint_text(&d->to, to), text);
        return false;
    }
    if (counter_read(&d->ops) > 0)
        return true;
    if (__atomic_load_n(&d->found, __ATOMIC_ACQUIRE))
        snprintf(error, error_len, "%s: no answer came within %d s", endpoint_text(&d->to, to),
                 WAIT_MS / 1000);
    else
        snprintf(error, error_len,
                 "%s: nobody there has this address: asked for %d s who it is (%s)",
                 endpoint_text(&d->to, to), WAIT_MS / 1000,
                 addr_is_v4(&d->to.ip) ? "ARP" : "neighbour discovery");
    return false;
}

void dns_load_result(const struct dns_load *d, struct perf_result *r)
{
    r->latency = d->latency.hdr;
    r->verified = d->verified;
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        r->errors.n[i] += d->errors.n[i];
}

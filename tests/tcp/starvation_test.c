/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that take all they can of a node with TCP and HTTP as shipped, and one that only wants
 * a page: it gets it. Two engines on virtual time; segments arrive at once, in order. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "dataplane/http/http.h"
#include "dataplane/tcp/tcp.h"

#define CLIENT    0
#define SERVER    1
#define SOON_MS   1000 /* the one that only wants a page waits no longer */
#define A_REQUEST "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

struct segment {
    struct segment *next;
    struct tcp_packet packet;
    uint8_t bytes[2048];
};

struct visitor {
    struct stream *s;
    const char *text; /* what it sends */
    size_t len, sent, got;
    bool reads;
    char answer[13];
};

struct side {
    struct tcp_engine *tcp;
    struct segment *first, **last; /* on their way to it */
};

static struct side side[2];
static struct http_server *server;
static struct now now;
static struct visitor *visitors;
static unsigned parses;

/* Heads looked at: the program is linked with --wrap=http_parse_again. */
typedef enum http_error parse(struct http_recent *recent, const char *p, size_t len,
                              const struct http_head **h);
parse __real_http_parse_again, __wrap_http_parse_again;
enum http_error __wrap_http_parse_again(struct http_recent *recent, const char *p, size_t len,
                                        const struct http_head **h)
{
    parses++;
    return __real_http_parse_again(recent, p, len, h);
}

/* --- the link ------------------------------------------------------------- */

static bool emit(void *ctx, const struct tcp_out *o)
{
    struct side *to = ctx;
    struct segment *s = calloc(1, sizeof(*s));
    struct writer w = writer_of(s->bytes, sizeof(s->bytes));
    write_u16(&w, o->sport);
    write_u16(&w, o->dport);
    write_u32(&w, o->seq);
    write_u32(&w, o->ack);
    write_u8(&w, (uint8_t)((20 + o->option_len) / 4 << 4));
    write_u8(&w, o->flags);
    write_u16(&w, o->window);
    write_u32(&w, 0);
    write_bytes(&w, o->option, o->option_len);
    for (unsigned i = 0; i < o->refs; i++)
        write_bytes(&w, o->ref[i].data, o->ref[i].len);
    s->packet.src = o->src;
    s->packet.dst = o->dst;
    s->packet.segment = s->bytes;
    s->packet.len = (uint32_t)(w.p - s->bytes);
    *to->last = s;
    to->last = &s->next;
    return true;
}

static struct segment *take(struct side *s)
{
    struct segment *p = s->first;
    if (p) {
        s->first = p->next;
        if (!s->first)
            s->last = &s->first;
    }
    return p;
}

static void run(unsigned ms)
{
    struct segment *p;
    for (unsigned i = 0; i < ms; i++) {
        for (unsigned at = 0; at < 2; at++) {
            while ((p = take(&side[at]))) {
                tcp_input(side[at].tcp, &p->packet, 1, now);
                free(p);
            }
            if (at == SERVER)
                http_server_poll(server, now);
            tcp_poll(side[at].tcp, now);
        }
        now.mono_us += 1000;
    }
}

/* --- visitors ------------------------------------------------------------- */

static void on_writable(struct stream *s, struct now at)
{
    struct visitor *v = s->user;
    (void)at;
    while (v->s && v->sent < v->len) {
        size_t n = stream_copy(s, v->text + v->sent, v->len - v->sent);
        v->sent += n;
        if (n == 0)
            break;
    }
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now at)
{
    struct visitor *v = s->user;
    (void)at;
    if (!v->reads)
        return 0;
    if (v->got == 0 && len >= 12)
        memcpy(v->answer, data, 12);
    v->got += len;
    return len;
}

static void on_eof(struct stream *s, struct now at)
{
    (void)at;
    stream_shut(s);
}

static void on_closed(struct stream *s, enum stream_end why, struct now at)
{
    (void)why, (void)at;
    if (s->user)
        ((struct visitor *)s->user)->s = NULL;
}

static const struct stream_events visitor_events = {on_writable, on_received, on_writable,
                                                    on_eof,      on_closed,   NULL};

static void nothing(struct stream *s, struct now at)
{
    (void)s, (void)at;
}

static size_t all(struct stream *s, const uint8_t *data, size_t len, struct now at)
{
    (void)s, (void)data, (void)at;
    return len;
}

static const struct stream_events quiet_events = {nothing, all, nothing, nothing, on_closed, NULL};

static void visit(struct visitor *v, unsigned from, const char *text, size_t len)
{
    struct addr me = addr_v4(0x0a000100u + from);
    struct endpoint to = {addr_v4(0x0a000002), 80};
    v->text = text;
    v->len = len;
    v->s = tcp_connect(side[CLIENT].tcp, &me, &to, &visitor_events, v, now);
    cr_assert_not_null(v->s);
}

/* n that never read, a thousand an address. */
static void crowd(unsigned n, const char *text, size_t len)
{
    visitors = calloc(n, sizeof(*visitors));
    for (unsigned i = 0; i < n; i++) {
        visit(&visitors[i], 1 + i / 1000, text, len);
        if (i % 200 == 199)
            run(5);
    }
    run(1000);
}

static void one_more_gets_its_page(void)
{
    struct visitor v = {.reads = true};
    visit(&v, 0, A_REQUEST, strlen(A_REQUEST));
    for (unsigned ms = 0; v.got == 0 && ms < SOON_MS; ms++)
        run(1);
    cr_assert_str_eq(v.answer, "HTTP/1.1 404");
}

/* --- the node ------------------------------------------------------------- */

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now at)
{
    static char text[900];
    (void)ctx;
    if (h->path.len == 5 && memcmp(h->path.p, "/slow", 5) == 0)
        return; /* its answer takes longer than the story */
    memset(text, 'x', sizeof(text) - 1);
    http_respond_error(c, 404, text, 0, false, at);
}

static void on_http(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)c, (void)request, (void)at;
}

static bool accept_quiet(void *ctx, struct stream *s, struct now at)
{
    (void)ctx, (void)at;
    s->events = &quiet_events;
    return true;
}

/* `clients` that the HTTP server takes; 0: as many as the engine does. */
static void open_node(uint32_t clients, uint32_t connections)
{
    static const struct http_handler handler = {
        .request = on_request, .writable = on_http, .gone = on_http};
    struct tcp_config c = tcp_config_default(), many = c;
    const uint8_t seed[32] = {1};
    if (connections)
        c.connections = connections;
    many.blocks = 1 << 17;
    many.connections = 16000;
    now = (struct now){1000000, 1700000000};
    parses = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct tcp_host host = {.ctx = &side[!i], .emit = emit};
        side[i].first = NULL;
        side[i].last = &side[i].first;
        side[i].tcp = tcp_create(i == CLIENT ? &many : &c, &host, seed, now);
    }
    struct http_server_config config = {clients ? clients : c.connections, 60000, 10000, 60000};
    server = http_server_create(&config, &handler, now);
    tcp_listen(side[SERVER].tcp, 80, http_server_accept, server);
    tcp_listen(side[CLIENT].tcp, 81, accept_quiet, NULL);
}

static void close_node(void)
{
    struct segment *p;
    for (unsigned i = 0; i < 2; i++) {
        tcp_destroy(side[i].tcp);
        while ((p = take(&side[i])))
            free(p);
    }
    http_server_destroy(server);
    free(visitors);
    visitors = NULL;
}
TestSuite(starvation, .fini = close_node);

/* The story is about pressure: at least three quarters of the blocks are in use. */
static void blocks_are_short(void)
{
    struct tcp_config c = tcp_config_default();
    cr_assert_geq(tcp_counters(side[SERVER].tcp)->tcp_blocks_used, c.blocks / 4 * 3);
}

/* --- stories -------------------------------------------------------------- */

Test(starvation, windows_full_of_what_nobody_takes_leave_room_for_a_request)
{
    static char text[400000] = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t head = strlen(text);
    memset(text + head, 'G', sizeof(text) - head);
    open_node(0, 0);
    crowd(130, text, sizeof(text));
    blocks_are_short();
    one_more_gets_its_page();
}

Test(starvation, answers_that_nobody_reads_leave_room_for_an_answer)
{
    static char text[400000];
    size_t len = 0;
    for (; len + sizeof(A_REQUEST) < sizeof(text); len += sizeof(A_REQUEST) - 1)
        memcpy(text + len, A_REQUEST, sizeof(A_REQUEST) - 1);
    open_node(0, 0);
    crowd(70, text, len);
    blocks_are_short();
    one_more_gets_its_page();
}

/* Each half of a request holds a block until its client says more or is given up. */
Test(starvation, halves_of_requests_leave_room_for_a_whole_one)
{
    static const char half[] = "GET /x HTTP/1.1\r\nHo";
    struct tcp_config c = tcp_config_default();
    open_node(0, 0);
    crowd(c.blocks / 2 + 108, half, sizeof(half) - 1);
    blocks_are_short();
    one_more_gets_its_page();
}

/* A node's table is larger than what its HTTP server takes: idle clients make room for one
 * another and never hold the entries that the node connects out with. */
Test(starvation, idle_clients_leave_entries_to_connect_out_with)
{
    struct addr own = addr_v4(0x0a000002);
    struct endpoint out = {addr_v4(0x0a000101), 81};
    open_node(1024, 1024 + 128 + 64);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(tcp_connect(side[SERVER].tcp, &own, &out, &quiet_events, NULL, now));
    run(50);
    crowd(1100, "", 0);
    cr_assert_gt(http_server_counters(server)->http_connections_evicted_total, 0);
    cr_assert_eq(tcp_counters(side[SERVER].tcp)->tcp_syn_dropped_total, 0);
    cr_assert(tcp_connect(side[SERVER].tcp, &own, &out, &quiet_events, NULL, now));
    run(50);
    cr_assert_eq(tcp_counters(side[SERVER].tcp)->tcp_connected_total, 101);
    one_more_gets_its_page();
}

/* A head that comes a byte a segment costs a look for each of its lines, not for each byte. */
Test(starvation, a_head_of_single_bytes_is_parsed_once_a_line)
{
    static char text[10000] = "GET /x HTTP/1.1\r\nHost: a\r\n";
    static struct visitor v = {.reads = true};
    unsigned lines = 3;
    size_t len = strlen(text);
    for (; len + 160 < sizeof(text); lines++)
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "Cookie%02u: %0140u\r\n", lines, 7u);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "\r\n");
    open_node(0, 0);
    visit(&v, 0, text, 0);
    run(5);
    while (v.s && v.len < len && v.got == 0) {
        v.len++;
        on_writable(v.s, now);
        run(1);
    }
    run(5);
    cr_assert_str_eq(v.answer, "HTTP/1.1 404");
    cr_assert_geq(tcp_counters(side[SERVER].tcp)->tcp_segments_in_total, len);
    cr_assert(parses <= lines + 2, "%u looks at %u lines", parses, lines);
}

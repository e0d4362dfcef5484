/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-flood: for the lab, frames without state at a rate, from sources that need not exist.
 * Bounded by a count and by a time, both at once. Each frame is the one before with some fields
 * changed, so that the sender costs less than what it attacks.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/lab/frame.h"

#define BATCH       64u
#define SECONDS_MAX 120.0
#define COUNT_MAX   100000000ull
#define BEHIND_NS   500000000ull /* what a sender that was kept waiting makes up for */
#define ETHERNET    14u

enum { DONE = 0, FAILED = 1, USAGE = 2 };

static const char usage[] =
    "usage: coral-flood [OPTION...] KIND       prints what was sent as a line of JSON\n"
    "  echo         ICMP echo requests: what a port takes\n"
    "  syn ack rst  TCP segments; all but the ports and the size is drawn at random\n"
    "  --interface NAME      where frames leave (eth0)\n"
    "  --mac ADDRESS         to whom; needed\n"
    "  --to ADDRESS          IPv4 or IPv6, needed; --port N: TCP port (80)\n"
    "  --from ADDRESS/BITS   network of the sources, needed\n"
    "  --ports A-B           source ports (1024-65535)\n"
    "  --rate N              frames a second (0: as many as go)\n"
    "  --count N --seconds S the bounds, whichever comes first (1000000, 1)\n"
    "  --seed N              of what is drawn (1)\n";

struct flood {
    const char *kind, *interface;
    struct frame_path path;
    unsigned prefix;
    uint32_t port_first, port_last, port;
    uint64_t rate, count, seed;
    double seconds;
    uint8_t frame[BATCH][FRAME_MAX];
    unsigned len;
};

static int complain(const char *thing, const char *value, const char *remedy)
{
    fprintf(stderr, "coral-flood: %s: \"%s\" %s\n", thing, value, remedy);
    return USAGE;
}

static uint64_t draw(struct flood *f) /* splitmix64 */
{
    uint64_t z = f->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The bits behind the prefix; of IPv6 the last 64 at most. */
static void draw_source(struct flood *f, uint8_t *frame)
{
    unsigned bytes = f->path.v6 ? 16 : 4, first = f->prefix / 8;
    uint8_t address[16];
    uint64_t bits = draw(f);
    if (bytes - first > 8)
        first = bytes - 8;
    memcpy(address, f->path.from, bytes);
    for (unsigned i = first; i < bytes; i++, bits >>= 8) {
        uint8_t keep = i == f->prefix / 8 ? (uint8_t)(0xff00 >> f->prefix % 8) : 0;
        address[i] = (uint8_t)((address[i] & keep) | ((uint8_t)bits & ~keep));
    }
    if (f->prefix < bytes * 8)
        frame_set(frame, &f->path, frame_from_at(&f->path), address, bytes);
}

static void change(struct flood *f, uint8_t *frame)
{
    unsigned body = ETHERNET + frame_ip_len(&f->path);
    draw_source(f, frame);
    if (strcmp(f->kind, "echo") == 0) {
        uint64_t bits = draw(f);
        frame_set(frame, &f->path, body + 4, &bits, 4); /* identifier, sequence number */
        return;
    }
    uint64_t bits = draw(f);
    uint32_t port = f->port_first + (uint32_t)(draw(f) % (f->port_last - f->port_first + 1));
    uint8_t sport[2] = {(uint8_t)(port >> 8), (uint8_t)port};
    frame_set(frame, &f->path, body, sport, 2);
    frame_set(frame, &f->path, body + 4, &bits, strcmp(f->kind, "syn") == 0 ? 4 : 8);
}

static void prepare(struct flood *f)
{
    /* what a client of today asks for: MSS 1460, SACK, timestamps, a scale of 7 */
    static const uint8_t option[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 1,
                                       2, 3, 0, 0,    0, 0, 1, 3,  3, 7};
    bool syn = strcmp(f->kind, "syn") == 0;
    struct frame_tcp t = {.sport = (uint16_t)f->port_first,
                          .dport = (uint16_t)f->port,
                          .window = 64240,
                          .flags = syn                           ? FRAME_SYN
                                   : strcmp(f->kind, "ack") == 0 ? FRAME_ACK
                                                                 : FRAME_RST,
                          .option_len = syn ? sizeof(option) : 0};
    memcpy(t.option, option, sizeof(option));
    for (unsigned i = 0; i < BATCH; i++)
        f->len = strcmp(f->kind, "echo") == 0 ? frame_echo(f->frame[i], &f->path, 1, 1)
                                              : frame_tcp(f->frame[i], &f->path, &t);
}

/* Sends up to `n` frames; returns how many the interface took. */
static unsigned send_some(struct flood *f, int fd, unsigned n)
{
    struct mmsghdr m[BATCH];
    struct iovec v[BATCH];
    memset(m, 0, sizeof(m));
    for (unsigned i = 0; i < n; i++) {
        change(f, f->frame[i]);
        v[i] = (struct iovec){f->frame[i], f->len};
        m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
    }
    int took = sendmmsg(fd, m, n, 0);
    return took < 0 ? 0 : (unsigned)took;
}

static int flood(struct flood *f, int fd)
{
    uint64_t begin = frame_now_ns(), now = begin, lost = 0, sent = 0, refused = 0;
    uint64_t limit = (uint64_t)(f->seconds * 1e9);
    while (sent + refused < f->count && (now = frame_now_ns()) - begin < limit) {
        uint64_t left = f->count - sent - refused, n = left < BATCH ? left : BATCH;
        if (f->rate > 0) {
            double per_ns = (double)f->rate / 1e9;
            uint64_t due = (uint64_t)((double)(now - begin - lost) * per_ns), had = sent + refused;
            if (due > had && (double)(due - had) / per_ns > (double)BEHIND_NS)
                lost += (uint64_t)((double)(due - had) / per_ns) - BEHIND_NS;
            n = due - had < n ? due - had : n;
            if (due <= had) {
                nanosleep(&(struct timespec){0, 20000}, NULL);
                continue;
            }
        }
        unsigned took = send_some(f, fd, (unsigned)n);
        sent += took;
        if (took < n && errno != ENOBUFS && errno != EAGAIN && errno != EINTR && took == 0) {
            fprintf(stderr, "coral-flood: %s: %s\n", f->interface, strerror(errno));
            return FAILED;
        }
        refused += took == 0;
    }
    double s = (double)(frame_now_ns() - begin) / 1e9;
    printf("{\"kind\": \"%s\", \"sent\": %llu, \"refused\": %llu, \"seconds\": %.3f, "
           "\"rate\": %.0f, \"bytes\": %u}\n",
           f->kind, (unsigned long long)sent, (unsigned long long)refused, s,
           s > 0 ? (double)sent / s : 0, f->len);
    return DONE;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno && *out <= max;
}

static bool network(struct flood *f, const char *text, bool *v6)
{
    char address[64];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    uint64_t bits;
    if (n >= sizeof(address))
        return false;
    memcpy(address, text, n);
    address[n] = 0;
    if (!frame_address(address, f->path.from, v6))
        return false;
    unsigned all = *v6 ? 128 : 32;
    if (!slash)
        bits = all;
    else if (!number(slash + 1, all, &bits))
        return false;
    f->prefix = (unsigned)bits;
    return true;
}

static bool ports(struct flood *f, const char *text)
{
    char end;
    return sscanf(text, "%u-%u%c", &f->port_first, &f->port_last, &end) == 2 && f->port_first > 0 &&
           f->port_first <= f->port_last && f->port_last < 65536;
}

static int option(struct flood *f, int c, const char *arg, unsigned *seen, bool v6[2])
{
    uint64_t n;
    char *end;
    switch (c) {
    case 'i':
        f->interface = arg;
        return DONE;
    case 'm':
        *seen |= 1;
        return frame_mac(arg, f->path.mac_to)
                   ? DONE
                   : complain("--mac", arg, "is no MAC address; write 02:00:00:00:00:01");
    case 't':
        *seen |= 2;
        return frame_address(arg, f->path.to, &v6[0])
                   ? DONE
                   : complain("--to", arg, "is no IP address; write 10.1.0.11 or fd00:1::11");
    case 'f':
        *seen |= 4;
        return network(f, arg, &v6[1])
                   ? DONE
                   : complain("--from", arg, "is no network; write it like 198.18.0.0/16");
    case 'P':
        return ports(f, arg) ? DONE : complain("--ports", arg, "are none; write 1024-65535");
    case 'p':
        f->port = number(arg, 65535, &n) && n > 0 ? (uint32_t)n : 0;
        return f->port ? DONE : complain("--port", arg, "is no port from 1 to 65535");
    case 'r':
        return number(arg, COUNT_MAX, &f->rate) ? DONE : complain("--rate", arg, "is no rate");
    case 'c':
        return number(arg, COUNT_MAX, &f->count)
                   ? DONE
                   : complain("--count", arg, "is no number up to 100000000");
    case 'd':
        return number(arg, UINT64_MAX, &f->seed) ? DONE : complain("--seed", arg, "is no number");
    case 's':
        f->seconds = strtod(arg, &end);
        return f->seconds > 0 && f->seconds <= SECONDS_MAX && !*end
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
        {"interface", 1, NULL, 'i'}, {"mac", 1, NULL, 'm'},   {"to", 1, NULL, 't'},
        {"port", 1, NULL, 'p'},      {"from", 1, NULL, 'f'},  {"ports", 1, NULL, 'P'},
        {"rate", 1, NULL, 'r'},      {"count", 1, NULL, 'c'}, {"seconds", 1, NULL, 's'},
        {"seed", 1, NULL, 'd'},      {"help", 0, NULL, 'h'},  {NULL, 0, NULL, 0},
    };
    static struct flood f = {.interface = "eth0",
                             .port_first = 1024,
                             .port_last = 65535,
                             .port = 80,
                             .count = 1000000,
                             .seed = 1,
                             .seconds = 1};
    unsigned seen = 0;
    bool v6[2] = {false, false};
    int c;
    while ((c = getopt_long(argc, argv, "", long_option, NULL)) != -1) {
        int status = option(&f, c, optarg, &seen, v6);
        if (status)
            return status;
    }
    if (optind + 1 != argc || seen != 7 || v6[0] != v6[1]) {
        fputs(v6[0] != v6[1] && seen == 7 ? "coral-flood: --to and --from: not of one family\n"
                                          : usage,
              stderr);
        return USAGE;
    }
    f.kind = argv[optind];
    if (strcmp(f.kind, "echo") && strcmp(f.kind, "syn") && strcmp(f.kind, "ack") &&
        strcmp(f.kind, "rst"))
        return complain("kind", f.kind, "is none; write echo, syn, ack or rst");
    f.path.v6 = v6[0];
    int fd = frame_socket("flood", f.interface, false, &f.path);
    if (fd < 0)
        return FAILED;
    prepare(&f);
    return flood(&f, fd);
}

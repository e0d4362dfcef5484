/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-hop: a link with delay, loss and the rest between two interfaces, for machines without
 * netem. Frames come and go by AF_PACKET sockets; hop_way.h decides what becomes of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/hop_options.h"

#define BURST         64
#define SOCKET_BYTES  (64 << 20) /* what the kernel keeps for us while we don't run */
#define ETHERNET_MORE 22         /* beyond the MTU: Ethernet header, two VLAN tags */
#define SEND_TRIES    64
#define SIGNAL_TURNS  64 /* busy turns between looks at the signals */

/* An interface and what comes in there. */
struct side {
    const char *name;
    int fd;
    uint32_t mtu;
    struct hop_way *way;
    uint64_t oversize, unfinished, refused, overruns;
    uint8_t *bytes; /* BURST frames of frame_bytes */
};

struct hop {
    struct side side[2];
    uint32_t frame_bytes;
    int signals;
    uint64_t started_ns, seed;
    bool json;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- opening ------------------------------------------------------------------------------- */

static int complain(const char *interface, const char *what)
{
    fprintf(stderr, "coral-hop: %s: %s\n", interface, what);
    return HOP_FAILED;
}

static int interface_check(struct side *s, int *index)
{
    struct ifreq r = {0};
    char text[96];

    *index = (int)if_nametoindex(s->name);
    if (!*index)
        return complain(s->name, "no such interface here; ip link lists them, ip netns exec NAME "
                                 "coral-hop runs it in another namespace");
    strncpy(r.ifr_name, s->name, IFNAMSIZ - 1);
    if (ioctl(s->fd, SIOCGIFFLAGS, &r) != 0)
        return complain(s->name, strerror(errno));
    if (!(r.ifr_flags & IFF_UP)) {
        snprintf(text, sizeof(text), "is down; ip link set %s up", s->name);
        return complain(s->name, text);
    }
    if (ioctl(s->fd, SIOCGIFMTU, &r) != 0)
        return complain(s->name, strerror(errno));
    s->mtu = (uint32_t)r.ifr_mtu;
    return -1;
}

static int side_open(struct side *s)
{
    const int on = 1, space = SOCKET_BYTES;
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};

    s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        complain(s->name, errno == EPERM ? "not permitted; run it as root or with CAP_NET_RAW"
                                         : strerror(errno));
        return errno == EPERM ? HOP_NOT_PERMITTED : HOP_FAILED;
    }
    int status = interface_check(s, &at.sll_ifindex);
    if (status >= 0)
        return status;
    all.mr_ifindex = at.sll_ifindex;
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &space, sizeof(space)) != 0)
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &space, sizeof(space));
    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &space, sizeof(space));
    setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
    if (setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) != 0 ||
        bind(s->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        return complain(s->name, strerror(errno));
    return -1;
}

static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int hop_open(struct hop *h, const struct hop_options *o)
{
    h->seed = o->seed;
    h->json = o->json;
    for (unsigned i = 0; i < 2; i++) {
        h->side[i].name = o->interface[i];
        int status = side_open(&h->side[i]);
        if (status >= 0)
            return status;
        if (h->frame_bytes < h->side[i].mtu + ETHERNET_MORE)
            h->frame_bytes = h->side[i].mtu + ETHERNET_MORE;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct side *s = &h->side[i];
        s->way = hop_way_new(&o->way[i], o->seed * 2 + i, o->frames, h->frame_bytes);
        s->bytes = malloc((size_t)BURST * h->frame_bytes);
        if (!s->way || !s->bytes)
            return complain(s->name, "not enough memory for its frames; give a smaller --frames");
    }
    h->signals = signals_open();
    if (h->signals < 0)
        return complain("signals", strerror(errno));
    prctl(PR_SET_TIMERSLACK, 1);
    h->started_ns = now_ns();
    return -1;
}

/* --- counters ------------------------------------------------------------------------------ */

static void count_overruns(struct side *s)
{
    struct tpacket_stats seen; /* since the last look */
    socklen_t len = sizeof(seen);
    if (getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &seen, &len) == 0)
        s->overruns += seen.tp_drops;
}

static void report_json(const struct hop *h)
{
    printf("{\"seed\": %llu, \"seconds\": %.3f", (unsigned long long)h->seed,
           (double)(now_ns() - h->started_ns) / 1e9);
    for (unsigned i = 0; i < 2; i++) {
        const struct side *s = &h->side[i];
        const struct hop_stats *n = hop_way_stats(s->way);
        printf(", \"%s\": {\"from\": \"%s\", \"to\": \"%s\"", i ? "ba" : "ab", s->name,
               h->side[!i].name);
#define X(name, text) printf(", \"" #name "\": %llu", (unsigned long long)n->name);
        HOP_COUNTERS(X)
#undef X
        printf(", \"oversize\": %llu, \"unfinished\": %llu, \"refused\": %llu, \"overruns\": %llu}",
               (unsigned long long)s->oversize, (unsigned long long)s->unfinished,
               (unsigned long long)h->side[!i].refused, (unsigned long long)s->overruns);
    }
    printf("}\n");
}

static void report_line(const char *name, uint64_t ab, uint64_t ba, const char *text)
{
    if (ab || ba)
        printf(" %-16s %14llu %14llu  %s\n", name, (unsigned long long)ab, (unsigned long long)ba,
               text);
}

static void report_table(const struct hop *h)
{
    const struct side *a = &h->side[0], *b = &h->side[1];
    const struct hop_stats *ab = hop_way_stats(a->way), *ba = hop_way_stats(b->way);

    printf("coral-hop: A is %s, B is %s; seed %llu; %.1f s\n %-16s %14s %14s\n", a->name, b->name,
           (unsigned long long)h->seed, (double)(now_ns() - h->started_ns) / 1e9, "", "A to B",
           "B to A");
#define X(name, text) report_line(#name, ab->name, ba->name, text);
    HOP_COUNTERS(X)
#undef X
    report_line("oversize", a->oversize, b->oversize, "lost, longer than the interfaces' MTU");
    report_line("unfinished", a->unfinished, b->unfinished, "their checksums were not computed");
    report_line("refused", b->refused, a->refused, "lost, the interface took them not");
    report_line("overruns", a->overruns, b->overruns, "lost before us, we were too slow");
}

/* What makes a measurement worthless is said, with the remedy. */
static void report_trouble(const struct side *s)
{
    if (s->oversize)
        fprintf(stderr,
                "coral-hop: %s: %llu frames were longer than the MTU; at the far end: ethtool -K "
                "IF tso off gso off, and here: ethtool -K %s gro off\n",
                s->name, (unsigned long long)s->oversize, s->name);
    if (s->unfinished)
        fprintf(stderr,
                "coral-hop: %s: %llu frames came with unfinished checksums, which receivers drop; "
                "at the far end: ethtool -K IF tx off\n",
                s->name, (unsigned long long)s->unfinished);
    if (s->overruns)
        fprintf(stderr,
                "coral-hop: %s: %llu frames were lost before coral-hop saw them; give it "
                "a core or the link a --rate\n",
                s->name, (unsigned long long)s->overruns);
}

static void report(struct hop *h)
{
    count_overruns(&h->side[0]);
    count_overruns(&h->side[1]);
    if (h->json)
        report_json(h);
    else
        report_table(h);
    fflush(stdout);
    report_trouble(&h->side[0]);
    report_trouble(&h->side[1]);
}

/* --- forwarding ---------------------------------------------------------------------------- */

/* The kernel says beside a frame whether its checksum is yet to be computed. */
static bool is_unfinished(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct tpacket_auxdata aux;
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        memcpy(&aux, CMSG_DATA(c), sizeof(aux));
        return aux.tp_status & TP_STATUS_CSUMNOTREADY;
    }
    return false;
}

/* Frames that came; -1: the interface is gone. */
static int side_receive(struct hop *h, struct side *s)
{
    struct mmsghdr m[BURST];
    struct iovec at[BURST];
    char beside[BURST][CMSG_SPACE(sizeof(struct tpacket_auxdata))];

    for (unsigned i = 0; i < BURST; i++) {
        at[i] = (struct iovec){s->bytes + (size_t)i * h->frame_bytes, h->frame_bytes};
        m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &at[i],
                                            .msg_iovlen = 1,
                                            .msg_control = beside[i],
                                            .msg_controllen = sizeof(beside[i])}};
    }
    int n = recvmmsg(s->fd, m, BURST, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (n < 0)
        return errno == ENXIO || errno == ENODEV ? -1 : 0;
    uint64_t now = now_ns();
    for (int i = 0; i < n; i++) {
        s->unfinished += is_unfinished(&m[i].msg_hdr);
        if (m[i].msg_len > h->frame_bytes)
            s->oversize++;
        else
            hop_way_put(s->way, at[i].iov_base, m[i].msg_len, now);
    }
    return n;
}

/* What is due of `way` goes out at `to`. A veth whose peer has no room for a moment refuses: we
 * ask a few times, as a NIC's queue would wait. */
static unsigned side_send(struct side *to, struct hop_way *way)
{
    struct hop_frame frame[BURST];
    struct mmsghdr m[BURST];
    struct iovec at[BURST];
    unsigned n = hop_way_take(way, now_ns(), frame, BURST), done = 0, tries = 0;

    for (unsigned i = 0; i < n; i++) {
        at[i] = (struct iovec){(void *)frame[i].bytes, frame[i].len};
        m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &at[i], .msg_iovlen = 1}};
    }
    while (done < n) {
        int sent = sendmmsg(to->fd, m + done, n - done, MSG_DONTWAIT);
        if (sent > 0) {
            done += (unsigned)sent;
            tries = 0;
        } else if ((errno != ENOBUFS && errno != EAGAIN) || ++tries == SEND_TRIES) {
            to->refused++;
            done++;
            tries = 0;
        } else {
            sched_yield();
        }
    }
    return n;
}

static void hop_sleep(struct hop *h)
{
    struct pollfd p[3] = {
        {h->side[0].fd, POLLIN, 0}, {h->side[1].fd, POLLIN, 0}, {h->signals, POLLIN, 0}};
    uint64_t a = hop_way_next_ns(h->side[0].way), b = hop_way_next_ns(h->side[1].way);
    uint64_t next = a < b ? a : b, now = now_ns(), wait = next > now ? next - now : 0;
    struct timespec t = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};

    ppoll(p, 3, next == UINT64_MAX ? NULL : &t, NULL);
}

/* false: time to end */
static bool hop_signals(struct hop *h)
{
    struct signalfd_siginfo s;
    while (read(h->signals, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
        if (s.ssi_signo != SIGUSR1)
            return false;
        report(h);
    }
    return true;
}

static int hop_run(struct hop *h)
{
    for (unsigned turn = 0;; turn++) {
        unsigned moved = 0;
        for (unsigned i = 0; i < 2; i++) {
            int n = side_receive(h, &h->side[i]);
            if (n < 0) {
                report(h);
                return complain(h->side[i].name, "the interface is gone");
            }
            moved += (unsigned)n + side_send(&h->side[!i], h->side[i].way);
        }
        if (moved == 0)
            hop_sleep(h);
        if ((moved == 0 || turn % SIGNAL_TURNS == 0) && !hop_signals(h)) {
            report(h);
            return HOP_DONE;
        }
    }
}

int main(int argc, char **argv)
{
    struct hop_options o;
    struct hop h = {.side = {{.fd = -1}, {.fd = -1}}, .signals = -1};
    int status = hop_options_read(argc, argv, &o);

    if (status >= 0)
        return status;
    if (!o.seed_given) {
        uint32_t drawn = 1; /* short, to be typed again */
        if (getrandom(&drawn, sizeof(drawn), 0) == (ssize_t)sizeof(drawn))
            o.seed = drawn;
    }
    status = hop_open(&h, &o);
    if (status < 0) {
        fprintf(stderr, "coral-hop: %s <-> %s, seed %llu\n", h.side[0].name, h.side[1].name,
                (unsigned long long)h.seed);
        status = hop_run(&h);
    }
    for (unsigned i = 0; i < 2; i++) {
        hop_way_free(h.side[i].way);
        free(h.side[i].bytes);
        if (h.side[i].fd >= 0)
            close(h.side[i].fd);
    }
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/lab/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_BYTES (16 << 20)
#define IP4_LEN      20u
#define IP6_LEN      40u
#define TCP_LEN      20u
#define ECHO_LEN     8u

unsigned frame_ip_len(const struct frame_path *p)
{
    return p->v6 ? IP6_LEN : IP4_LEN;
}

unsigned frame_from_at(const struct frame_path *p)
{
    return ETH_HLEN + (p->v6 ? 8 : 12);
}

static void put16(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
}

static void put32(uint8_t *to, uint32_t v)
{
    put16(to, v >> 16);
    put16(to + 2, v & 0xffff);
}

static uint32_t get16(const uint8_t *from)
{
    return (uint32_t)from[0] << 8 | from[1];
}

static uint32_t get32(const uint8_t *from)
{
    return get16(from) << 16 | get16(from + 2);
}

static uint32_t sum(const uint8_t *data, unsigned len, uint32_t so_far)
{
    for (unsigned i = 0; i + 1 < len; i += 2)
        so_far += get16(data + i);
    return len & 1 ? so_far + ((uint32_t)data[len - 1] << 8) : so_far;
}

static uint16_t fold(uint32_t s)
{
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t)((s & 0xffff) + (s >> 16));
}

/* Where the checksum over pseudo-header and payload lies. */
static unsigned checksum_at(const uint8_t *frame, const struct frame_path *p)
{
    unsigned ip = ETH_HLEN + frame_ip_len(p);
    bool tcp = frame[ETH_HLEN + (p->v6 ? 6 : 9)] == IPPROTO_TCP;
    return ip + (tcp ? 16 : 2);
}

/* Ethernet and IP around `len` bytes that are there already, and both checksums. */
static unsigned wrap(uint8_t *frame, const struct frame_path *p, uint8_t protocol, unsigned len)
{
    uint8_t *ip = frame + ETH_HLEN, *body = ip + frame_ip_len(p);
    uint32_t pseudo = 0;
    memcpy(frame, p->mac_to, 6);
    memcpy(frame + 6, p->mac_from, 6);
    put16(frame + 12, p->v6 ? ETH_P_IPV6 : ETH_P_IP);
    memset(ip, 0, frame_ip_len(p));
    if (p->v6) {
        ip[0] = 0x60;
        put16(ip + 4, len);
        ip[6] = protocol;
        ip[7] = 64;
        memcpy(ip + 8, p->from, 16);
        memcpy(ip + 24, p->to, 16);
        pseudo = sum(ip + 8, 32, 0);
    } else {
        ip[0] = 0x45;
        put16(ip + 2, IP4_LEN + len);
        put16(ip + 6, 0x4000); /* don't fragment */
        ip[8] = 64;
        ip[9] = protocol;
        memcpy(ip + 12, p->from, 4);
        memcpy(ip + 16, p->to, 4);
        put16(ip + 10, (uint16_t)~fold(sum(ip, IP4_LEN, 0)));
        pseudo = sum(ip + 12, 8, 0);
    }
    if (protocol == IPPROTO_ICMP) /* has no pseudo-header */
        pseudo = 0;
    else
        pseudo += protocol + len;
    put16(frame + checksum_at(frame, p), (uint16_t)~fold(sum(body, len, pseudo)));
    return ETH_HLEN + frame_ip_len(p) + len;
}

unsigned frame_tcp(uint8_t frame[FRAME_MAX], const struct frame_path *p, const struct frame_tcp *t)
{
    uint8_t *h = frame + ETH_HLEN + frame_ip_len(p);
    memset(h, 0, TCP_LEN);
    put16(h, t->sport);
    put16(h + 2, t->dport);
    put32(h + 4, t->seq);
    put32(h + 8, t->ack);
    h[12] = (uint8_t)((TCP_LEN + t->option_len) / 4 << 4);
    h[13] = t->flags;
    put16(h + 14, t->window);
    memcpy(h + TCP_LEN, t->option, t->option_len);
    if (t->len > 0)
        memcpy(h + TCP_LEN + t->option_len, t->data, t->len);
    return wrap(frame, p, IPPROTO_TCP, TCP_LEN + t->option_len + t->len);
}

unsigned frame_echo(uint8_t frame[FRAME_MAX], const struct frame_path *p, uint16_t id,
                    uint16_t sequence)
{
    uint8_t *h = frame + ETH_HLEN + frame_ip_len(p);
    memset(h, 0, ECHO_LEN);
    h[0] = p->v6 ? 128 : 8;
    put16(h + 4, id);
    put16(h + 6, sequence);
    return wrap(frame, p, p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, ECHO_LEN);
}

/* RFC 1624: HC' = ~(~HC + ~m + m') */
static void amend(uint8_t *checksum, const uint8_t *old, const uint8_t *value, unsigned bytes)
{
    uint32_t s = (uint16_t)~get16(checksum);
    for (unsigned i = 0; i < bytes; i += 2)
        s += (uint16_t)~get16(old + i) + get16(value + i);
    put16(checksum, (uint16_t)~fold(s));
}

void frame_set(uint8_t *frame, const struct frame_path *p, unsigned at, const void *value,
               unsigned bytes)
{
    bool address = at < ETH_HLEN + frame_ip_len(p);
    uint8_t protocol = frame[ETH_HLEN + (p->v6 ? 6 : 9)];
    if (address && !p->v6)
        amend(frame + ETH_HLEN + 10, frame + at, value, bytes);
    if (!address || protocol != IPPROTO_ICMP)
        amend(frame + checksum_at(frame, p), frame + at, value, bytes);
    memcpy(frame + at, value, bytes);
}

/* The sender's timestamp among the options; 0: none. */
static uint32_t timestamp(const uint8_t *option, unsigned len)
{
    for (unsigned i = 0; i + 1 < len && option[i] != 0;) {
        if (option[i] == 8 && option[i + 1] == 10 && i + 10 <= len)
            return get32(option + i + 2);
        i += option[i] == 1 ? 1 : option[i + 1] > 1 ? option[i + 1] : len;
    }
    return 0;
}

bool frame_read(const uint8_t *frame, unsigned len, struct frame_seen *out)
{
    *out = (struct frame_seen){.v6 = len >= ETH_HLEN && get16(frame + 12) == ETH_P_IPV6};
    const uint8_t *ip = frame + ETH_HLEN;
    unsigned ip_len = out->v6 ? IP6_LEN : IP4_LEN;
    if (len < ETH_HLEN + ip_len + TCP_LEN || (!out->v6 && get16(frame + 12) != ETH_P_IP) ||
        ip[out->v6 ? 6 : 9] != IPPROTO_TCP)
        return false;
    const uint8_t *h = ip + ip_len;
    unsigned all = out->v6 ? get16(ip + 4) : get16(ip + 2) - IP4_LEN, head = (h[12] >> 4) * 4u;
    if (all > len - ETH_HLEN - ip_len || head < TCP_LEN || head > all)
        return false;
    out->timestamp = timestamp(h + TCP_LEN, head - TCP_LEN);
    out->from = ip + (out->v6 ? 8 : 12);
    out->to = ip + (out->v6 ? 24 : 16);
    out->tcp = (struct frame_tcp){.sport = (uint16_t)get16(h),
                                  .dport = (uint16_t)get16(h + 2),
                                  .seq = get32(h + 4),
                                  .ack = get32(h + 8),
                                  .flags = h[13],
                                  .window = (uint16_t)get16(h + 14),
                                  .data = h + head,
                                  .len = (uint16_t)(all - head)};
    return true;
}

bool frame_address(const char *text, uint8_t out[16], bool *v6)
{
    *v6 = strchr(text, ':') != NULL;
    return inet_pton(*v6 ? AF_INET6 : AF_INET, text, out) == 1;
}

bool frame_mac(const char *text, uint8_t out[6])
{
    char end;
    return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &out[0], &out[1], &out[2], &out[3],
                  &out[4], &out[5], &end) == 6;
}

int frame_socket(const char *name, const char *interface, bool receive, struct frame_path *p)
{
    const int on = 1, space = SOCKET_BYTES;
    struct sockaddr_ll at = {.sll_family = AF_PACKET};
    struct ifreq r = {0};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    const char *what = "raw socket";
    if (fd < 0)
        goto fail;
    what = interface;
    strncpy(r.ifr_name, interface, IFNAMSIZ - 1);
    if (ioctl(fd, SIOCGIFHWADDR, &r) != 0)
        goto fail;
    memcpy(p->mac_from, r.ifr_hwaddr.sa_data, 6);
    at.sll_ifindex = (int)if_nametoindex(interface);
    at.sll_protocol = receive ? htons(ETH_P_ALL) : 0; /* 0: nothing is queued for us */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &space, sizeof(space));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &space, sizeof(space));
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        goto fail;
    return fd;
fail:
    fprintf(stderr, "coral-%s: %s: %s%s\n", name, what, strerror(errno),
            errno == EPERM ? "; run it as root" : "");
    if (fd >= 0)
        close(fd);
    return -1;
}

uint64_t frame_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

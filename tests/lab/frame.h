/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ethernet frames with TCP segments or echo requests, made for the lab's attackers. A frame is
 * drawn once; afterwards only fields change, and the checksums with them (RFC 1624).
 */
#ifndef CORAL_TESTS_LAB_FRAME_H
#define CORAL_TESTS_LAB_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX     1514u
#define FRAME_OPTIONS 40u

enum { FRAME_FIN = 1, FRAME_SYN = 2, FRAME_RST = 4, FRAME_PSH = 8, FRAME_ACK = 16 };

/* Who speaks to whom. IPv4 addresses are the first four bytes. */
struct frame_path {
    bool v6;
    uint8_t mac_from[6], mac_to[6];
    uint8_t from[16], to[16];
};

/* In host order. `option_len`: a multiple of 4. */
struct frame_tcp {
    uint16_t sport, dport, window;
    uint32_t seq, ack;
    uint8_t flags, option_len;
    uint8_t option[FRAME_OPTIONS];
    const void *data;
    uint16_t len;
};

/* A frame received, as far as it is a TCP segment. */
struct frame_seen {
    struct frame_tcp tcp;
    const uint8_t *from, *to; /* 4 or 16 bytes */
    uint32_t timestamp;       /* 0: none */
    bool v6;
};

/* Where fields lie. */
unsigned frame_ip_len(const struct frame_path *p);  /* of the IP header */
unsigned frame_from_at(const struct frame_path *p); /* of the source address, in the frame */

/* Draw a frame with right checksums; return its length. */
unsigned frame_tcp(uint8_t frame[FRAME_MAX], const struct frame_path *p, const struct frame_tcp *t);
unsigned frame_echo(uint8_t frame[FRAME_MAX], const struct frame_path *p, uint16_t id,
                    uint16_t sequence);

/* Writes `value` over the even number of bytes at the even offset `at`. Addresses count in both
 * checksums of an IPv4 frame; what lies behind the IP header in the second only. */
void frame_set(uint8_t *frame, const struct frame_path *p, unsigned at, const void *value,
               unsigned bytes);

/* False: no TCP segment. */
bool frame_read(const uint8_t *frame, unsigned len, struct frame_seen *out);

/* "10.1.0.11" or "fd00:1::11" into 4 or 16 bytes; false: neither. */
bool frame_address(const char *text, uint8_t out[16], bool *v6);
bool frame_mac(const char *text, uint8_t out[6]);

/* A raw socket that sends and receives on an interface, its own MAC address in p->mac_from. A
 * negative answer: complained of, as coral-NAME. */
int frame_socket(const char *name, const char *interface, bool receive, struct frame_path *p);

uint64_t frame_now_ns(void);

#endif

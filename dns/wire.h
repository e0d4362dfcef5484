/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS on the wire (RFC 1035 4): constants and names. Private to dns/. */
#ifndef CORAL_DNS_WIRE_H
#define CORAL_DNS_WIRE_H

#include <stdbool.h>

#include "base/cursor.h"
#include "dns/dns.h"

/*
 * Header, 12 bytes:
 *    0    2                                                  4         6         8         10
 *   | ID | QR, opcode:4, AA, TC, RD | RA, Z, AD, CD, rcode:4 | QDCOUNT | ANCOUNT | NSCOUNT |
 * ARCOUNT |
 */
#define DNS_HEADER_LEN 12
#define DNS_LABEL_MAX  63
#define DNS_LABELS_MAX 127 /* of one byte each, in 255 bytes */
#define DNS_TYPE_LEN   4   /* type and class behind a question's name */
#define DNS_OPT_LEN    11  /* an OPT record without options */
#define DNS_POINTER    0xc000

enum dns_flag {
    DNS_QR = 0x8000,
    DNS_OPCODE = 0x7800,
    DNS_AA = 0x0400,
    DNS_TC = 0x0200,
    DNS_RD = 0x0100,
    DNS_RCODE = 0x000f,
};

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16, /* RFC 6891 6.1.3 */
};

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_HINFO = 13,
    DNS_AAAA = 28,
    DNS_OPT = 41,
    DNS_META = 128, /* 128 to 255 are questions, not data: RFC 6895 3.1 */
    DNS_IXFR = 251,
    DNS_AXFR = 252,
    DNS_ANY = 255,
};

enum { DNS_IN = 1, DNS_EDNS_DO = 0x8000 };

/*
 * Reads a name that may be compressed (RFC 1035 4.1.4) at the reader, which covers the message
 * from `message` on, and leaves the reader behind it. Pointers must go backwards, so it ends.
 * `out` gets the wire form without compression, case kept. Returns its length, 0 when malformed.
 */
unsigned dns_name_read(struct reader *r, const uint8_t *message, uint8_t out[DNS_NAME_MAX]);
/* Skips one. False: malformed. */
bool dns_name_skip(struct reader *r);
/* Wire form of a domain name in text ("example.com", a final dot allowed): letters, digits,
 * hyphens and underscores, in lower case. Returns its length, 0 when it is none. */
unsigned dns_name_parse(const char *text, uint8_t out[DNS_NAME_MAX]);
/* ASCII letters to lower case; length bytes are below 'A' and stay. */
void dns_name_lower(uint8_t *to, const uint8_t *from, size_t len);

#endif

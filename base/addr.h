/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses: IPv6 in network order, IPv4 as the mapped ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so
 * that one comparison and one hash serve both families.
 */
#ifndef CORAL_BASE_ADDR_H
#define CORAL_BASE_ADDR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct addr {
    uint8_t b[16];
};

struct endpoint {
    struct addr ip;
    uint16_t port; /* host order */
};

/* longest text of an address and of an endpoint, with the final NUL */
#define ADDR_TEXT     46
#define ENDPOINT_TEXT 54

static inline struct addr addr_v4(uint32_t host_order)
{
    struct addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (uint8_t)(host_order >> 24),
                      (uint8_t)(host_order >> 16), (uint8_t)(host_order >> 8),
                      (uint8_t)host_order}};
    return a;
}

/* of four bytes in network order */
static inline struct addr addr_mapped(const uint8_t v4[4])
{
    struct addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    memcpy(a.b + 12, v4, 4);
    return a;
}

static inline bool addr_is_v4(const struct addr *a)
{
    uint64_t first; /* compared as words: of memcmp compilers make a call now and then */
    uint32_t second;
    memcpy(&first, a->b, 8);
    memcpy(&second, a->b + 8, 4);
    return first == 0 && second == htobe32(0xffff);
}

/* the IPv4 address in host order; only where addr_is_v4() */
static inline uint32_t addr_get_v4(const struct addr *a)
{
    return (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 | (uint32_t)a->b[14] << 8 | a->b[15];
}

/* the same in network order, as packets have it */
static inline uint32_t addr_get_v4_be(const struct addr *a)
{
    uint32_t v4;
    memcpy(&v4, a->b + 12, 4);
    return v4;
}

static inline bool addr_eq(const struct addr *x, const struct addr *y)
{
    return memcmp(x->b, y->b, 16) == 0;
}

static inline bool endpoint_eq(const struct endpoint *x, const struct endpoint *y)
{
    return x->port == y->port && addr_eq(&x->ip, &y->ip);
}

static inline bool addr_is_zero(const struct addr *a)
{
    static const struct addr zero;
    return addr_eq(a, &zero);
}

/* True for addresses that no public origin has: private, loopback, link-local, multicast,
 * unspecified, documentation, shared (RFC 6598), benchmark, reserved, IPv4 hidden in 6to4,
 * NAT64 or Teredo forms of any of these (RFC 6890, RFC 8190). */
bool addr_is_special(const struct addr *a);

/* True when `a` is in `net`/`prefix`; prefix counts bits of the family of `net`. */
bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned prefix);

/* Parses an address ("192.0.2.1", "2001:db8::1"); false when it is none. */
bool addr_parse(const char *text, struct addr *out);

/* Parses "ADDR", "ADDR:PORT" (IPv4) or "[ADDR]:PORT"; a missing port becomes `default_port`. */
bool endpoint_parse(const char *text, uint16_t default_port, struct endpoint *out);

/* Writes the text; returns `out`. */
const char *addr_text(const struct addr *a, char out[static ADDR_TEXT]);
const char *endpoint_text(const struct endpoint *e, char out[static ENDPOINT_TEXT]);

#endif

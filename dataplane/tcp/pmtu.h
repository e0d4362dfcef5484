/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The largest packet that a path carries (RFC 8899; RFC 4821 for TCP): a value without a
 * connection, sizes are those of IP packets.
 *
 *   start ----> size = most: what our port and the peer's MSS allow; nearly every path carries it
 *   black hole  two RTOs of the same segment, larger than floor: size = base, and again: floor
 *   too big     ICMP named a smaller MTU: size = that
 *   search      size < most: one segment of the next size at a time; three lost in a row end the
 *               search for PMTU_RAISE_S
 */
#ifndef CORAL_TCP_PMTU_H
#define CORAL_TCP_PMTU_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define PMTU_FLOOR_V4 576u  /* what every host takes (RFC 791) */
#define PMTU_FLOOR_V6 1280u /* what every link carries (RFC 8200 5) */
#define PMTU_BASE     1200u /* BASE_PLPMTU, RFC 8899 5.1.2; no less than the floor */
#define PMTU_PROBES   3u    /* MAX_PROBES, 5.1.2 */
#define PMTU_RAISE_S  600u  /* PMTU_RAISE_TIMER, 5.1.1 */

struct pmtu {
    uint32_t at;       /* first byte of the probe that is out; else of the full segment lost last */
    uint16_t size;     /* packets are at most so large */
    uint16_t most;     /* and never larger than this */
    uint16_t probe;    /* size of the probe that is out; 0: none */
    uint16_t largest;  /* sent since size last fell */
    uint16_t search_s; /* when the search goes on, in seconds modulo 2^16 */
    uint8_t tries;     /* probes of the next size lost in a row */
    uint8_t lost : 2;  /* RTOs in a row of the full-sized segment `at` */
    uint8_t waits : 1; /* search_s counts */
    uint8_t repair : 1; /* the probe is lost, and what it carried is being sent again */
};
static_assert(sizeof(struct pmtu) == 16, "a quarter of a cache line");

static inline uint32_t pmtu_floor(bool v4)
{
    return v4 ? PMTU_FLOOR_V4 : PMTU_FLOOR_V6;
}

void pmtu_init(struct pmtu *p, uint32_t most);
/* Size of the next probe; 0: none is due. */
uint32_t pmtu_next(const struct pmtu *p, uint32_t now_s);
void pmtu_probe_sent(struct pmtu *p, uint32_t at, uint32_t size);
void pmtu_probe_acked(struct pmtu *p);
/* Its payload is being repaired until pmtu_probe_over. */
void pmtu_probe_lost(struct pmtu *p, uint32_t now_s);
void pmtu_probe_over(struct pmtu *p);
/* An RTO of the segment at `seq`; `full`: its packet is larger than the floor. True: size fell. */
bool pmtu_rto(struct pmtu *p, uint32_t seq, bool full, bool v4);
/* A hop's MTU by ICMP. True: floor <= mtu < size and such a size was sent; taken over. */
bool pmtu_too_big(struct pmtu *p, uint32_t mtu, bool v4, uint32_t now_s);

#endif

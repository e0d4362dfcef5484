/* SPDX-License-Identifier: BSD-3-Clause */
/* Queries to the authoritative side. The first byte chooses the room for the reply. */
#include <stdlib.h>
#include <string.h>

#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dns_zone *zone;
    static struct rng rng;
    static struct dns_counters counters;
    struct now now = {0, 0};

    if (!zone) {
        zone = dns_zone_new("coral.test", 20);
        zone->members = 20;
        for (unsigned i = 0; i < 20; i++) {
            zone->member[i].v4 = addr_v4(0x0a000000 + i);
            zone->member[i].v6.b[0] = 0x20;
            memcpy(zone->member[i].label, "0000aaaa", 8);
        }
        dns_zone_finish(zone);
        rng_init_u64(&rng, 1);
    }
    if (size < 1 || size > 60000)
        return 0;
    size_t room = data[0] * 8u;
    uint8_t *q = malloc(size), *reply = malloc(room + 1); /* exact: ASan sees a byte too far */
    memcpy(q, data + 1, size - 1);
    struct datagram d = {.from = {{{0}}, 4444},
                         .data = q,
                         .len = (uint16_t)(size - 1),
                         .room = (uint16_t)room,
                         .reply = reply};
    struct rng before = rng;
    dns_answer(zone, &d, 1, &rng, &counters, now);
    /* over the query itself the same is written */
    uint8_t *both = malloc(size + room);
    memcpy(both, q, size - 1);
    struct datagram same = d;
    same.data = same.reply = both;
    dns_answer(zone, &same, 1, &before, &counters, now);
    if (same.reply_len != d.reply_len || memcmp(both, reply, d.reply_len) != 0)
        abort();
    free(both);
    /* nothing answers an answer; what is answered keeps the ID and says that it is one */
    if (d.reply_len > room || (d.reply_len > 0 && (d.reply_len < 12 || (q[2] & 0x80) ||
                                                   memcmp(q, reply, 2) != 0 || !(reply[2] & 0x80))))
        abort();
    /* amplification is bounded: the largest answer is the limit that the asker named */
    if (d.reply_len > DNS_UDP_MAX)
        abort();
    size_t n = dns_answer_tcp(zone, &d.from, q, size - 1, reply, room, &rng, &counters, now);
    if (n > room)
        abort();
    free(q);
    free(reply);
    return 0;
}

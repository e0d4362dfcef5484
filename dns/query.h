/* SPDX-License-Identifier: BSD-3-Clause */
/* One query as the authoritative side understood it. Private to dns/. */
#ifndef CORAL_DNS_QUERY_H
#define CORAL_DNS_QUERY_H

#include "dns/wire.h"

struct dns_query {
    bool drop;      /* no query: nothing is answered */
    uint8_t rcode;  /* what the parser found, DNS_NOERROR when it may be looked up */
    bool question;  /* there is one, and the reply repeats it */
    bool edns;      /* it had an OPT record, so the reply has one */
    bool dnssec_ok; /* copied to the reply, RFC 3225 3 */
    uint8_t qname_len;
    uint8_t labels; /* without the root */
    uint16_t flags, qtype, qclass;
    uint16_t udp_size;                    /* what the asker can take: 512 without EDNS,
                                             RFC 6891 6.2.5 */
    const uint8_t *qname;                 /* in the query, case as asked */
    uint8_t label_at[DNS_LABELS_MAX + 1]; /* of each label in qname, the root's too */
};

/* Checks a message in the order that costs least: header, question, counts, OPT. */
void dns_query_parse(struct dns_query *q, const uint8_t *data, size_t len);

#endif

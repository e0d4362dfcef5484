/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/query.h"

#define ADDITIONAL_MAX                                                                             \
    8                   /* records behind the question: OPT, perhaps a TSIG; no more make sense    \
                         */
#define OPTIONS_MAX  64 /* EDNS options in one OPT */
#define UDP_SIZE_MIN 512

/* RFC 1035 4.1.2. A compressed name in the question has nothing before it to point to. */
static bool read_question(struct dns_query *q, struct reader *r)
{
    const uint8_t *name = r->p;
    size_t left = reader_left(r), most = DNS_NAME_MAX;
    unsigned at = 0, labels = 0, n;

    if (left < DNS_TYPE_LEN)
        return false;
    if (most > left - DNS_TYPE_LEN)
        most = left - DNS_TYPE_LEN;
    for (; at < most && (n = name[at]) != 0; at += 1 + n) {
        if (n > DNS_LABEL_MAX)
            return false;
        q->label_at[labels++] = (uint8_t)at;
    }
    if (at >= most)
        return false;
    q->label_at[labels] = (uint8_t)at;
    q->labels = (uint8_t)labels;
    q->qname = name;
    q->qname_len = (uint8_t)(at + 1);
    r->p = name + at + 1;
    q->qtype = read_u16(r);
    q->qclass = read_u16(r);
    q->question = true;
    return true;
}

/* RFC 6891 6.1.2: {code, length, data} up to the end of the record. None is understood here, so
 * all are ignored (6.1.2), but they must be whole. */
static bool options_whole(const uint8_t *data, uint16_t len)
{
    struct reader r = reader_of(data, len);
    unsigned n = 0;

    while (reader_left(&r) > 0 && n++ < OPTIONS_MAX) {
        read_u16(&r);
        read_bytes(&r, read_u16(&r));
        if (r.bad)
            return false;
    }
    return reader_left(&r) == 0;
}

/* One record of the additional section; only OPT matters. */
static bool read_additional(struct dns_query *q, struct reader *r)
{
    bool root = reader_left(r) > 0 && *r->p == 0;

    if (!dns_name_skip(r))
        return false;
    uint16_t type = read_u16(r), class = read_u16(r);
    uint32_t ttl = read_u32(r);
    uint16_t len = read_u16(r);
    const uint8_t *data = read_bytes(r, len);
    if (!data)
        return false;
    if (type != DNS_OPT)
        return true;
    if (q->edns || !root || !options_whole(data, len)) /* RFC 6891 6.1.1: one, owner the root */
        return false;
    q->edns = true;
    q->dnssec_ok = (ttl & DNS_EDNS_DO) != 0;
    q->udp_size = class < UDP_SIZE_MIN ? UDP_SIZE_MIN : class;
    if ((ttl >> 16 & 0xff) != 0)
        q->rcode = DNS_BADVERS;
    return true;
}

void dns_query_parse(struct dns_query *q, const uint8_t *data, size_t len)
{
    struct reader r = reader_of(data, len);

    q->drop = q->question = q->edns = q->dnssec_ok = false;
    q->rcode = DNS_NOERROR;
    q->udp_size = UDP_SIZE_MIN;
    const uint8_t *header = read_bytes(&r, DNS_HEADER_LEN);
    q->flags = header ? (uint16_t)(header[2] << 8 | header[3]) : DNS_QR;
    if (q->flags & DNS_QR) { /* answering answers would make loops */
        q->drop = true;
        return;
    }
    if (q->flags & DNS_OPCODE) {
        q->rcode = DNS_NOTIMP;
        return;
    }
    struct reader counts = reader_of(header + 4, 8);
    uint16_t qd = read_u16(&counts);
    uint32_t answers_and_authority = read_u32(&counts);
    uint16_t ar = read_u16(&counts);
    q->rcode = DNS_FORMERR;
    if (qd != 1 || !read_question(q, &r) || answers_and_authority != 0 || ar > ADDITIONAL_MAX)
        return;
    q->rcode = DNS_NOERROR;
    for (; ar > 0; ar--) {
        if (!read_additional(q, &r)) {
            q->rcode = DNS_FORMERR;
            return;
        }
    }
    if (reader_left(&r) > 0)
        q->rcode = DNS_FORMERR;
}

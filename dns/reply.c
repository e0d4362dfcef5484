/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/resolver.h"

#define RECORDS 64 /* looked at in a section */
#define CHAIN   8  /* aliases followed */

struct record {
    const uint8_t *owner, *data; /* in the message */
    uint16_t type, len;
    uint32_t ttl_s;
};

bool reply_matches(const uint8_t *m, size_t len, uint16_t id, const uint8_t *qname,
                   unsigned qname_len, uint16_t qtype)
{
    struct reader r = reader_of(m, len);

    bool ours = read_u16(&r) == id;
    uint16_t flags = read_u16(&r);
    ours &= (flags & (DNS_QR | DNS_OPCODE)) == DNS_QR;
    ours &= read_u16(&r) == 1;
    read_bytes(&r, 6);
    const uint8_t *name = read_bytes(&r, qname_len);
    ours &= read_u16(&r) == qtype;
    ours &= read_u16(&r) == DNS_IN;
    return ours && !r.bad && memcmp(name, qname, qname_len) == 0;
}

static bool read_record(struct reader *r, struct record *out)
{
    out->owner = r->p;
    if (!dns_name_skip(r))
        return false;
    out->type = read_u16(r);
    uint16_t class = read_u16(r);
    out->ttl_s = read_u32(r);
    out->len = read_u16(r);
    out->data = read_bytes(r, out->len);
    if (!out->data)
        return false;
    if (out->ttl_s & 0x80000000u) /* RFC 2181 8 */
        out->ttl_s = 0;
    if (class != DNS_IN)
        out->type = 0; /* counts as nothing */
    return true;
}

/* The name at `at`, in lower case; 0 when malformed. `end` bounds what is read unpointed. */
static unsigned name_at(const uint8_t *m, const uint8_t *at, const uint8_t *end,
                        uint8_t out[DNS_NAME_MAX], const uint8_t **after)
{
    struct reader r = {at, end, false};
    unsigned len = dns_name_read(&r, m, out);
    dns_name_lower(out, out, len);
    if (after)
        *after = r.p;
    return len;
}

static uint32_t clamp_ttl(uint32_t ttl_s)
{
    return ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s;
}

static void take_address(struct reply *out, const struct record *rec)
{
    struct addr a;

    if (rec->len == 4)
        a = addr_v4((uint32_t)rec->data[0] << 24 | (uint32_t)rec->data[1] << 16 |
                    (uint32_t)rec->data[2] << 8 | rec->data[3]);
    else
        memcpy(a.b, rec->data, 16);
    if (rec->len == 16 && addr_is_v4(&a)) /* IPv4 dressed as IPv6 is nobody's address */
        return;
    if (out->n < RESOLVER_ADDRESSES)
        out->address[out->n++] = a;
}

/* One link of the chain: collects addresses whose owner is `name`, or replaces `name` by its
 * alias. Returns true when an alias is to be followed. Records of other owners don't count. */
static bool follow(struct reply *out, const uint8_t *m, const uint8_t *end,
                   const struct record *rec, unsigned n, uint16_t qtype, uint8_t name[DNS_NAME_MAX],
                   unsigned *name_len)
{
    uint8_t owner[DNS_NAME_MAX], alias[DNS_NAME_MAX];
    unsigned alias_len = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct record *c = &rec[i];
        bool address = c->type == qtype && c->len == (qtype == DNS_A ? 4 : 16);
        if (!address && c->type != DNS_CNAME)
            continue;
        if (name_at(m, c->owner, end, owner, NULL) != *name_len ||
            memcmp(owner, name, *name_len) != 0)
            continue;
        if (c->ttl_s < out->ttl_s)
            out->ttl_s = c->ttl_s;
        if (address)
            take_address(out, c);
        else if (!alias_len)
            alias_len = name_at(m, c->data, c->data + c->len, alias, NULL);
    }
    if (out->n > 0 || alias_len == 0)
        return false;
    memcpy(name, alias, alias_len);
    *name_len = alias_len;
    return true;
}

/* RFC 2308 5: how long a negative answer is kept: the least of the SOA's TTL and minimum. The
 * SOA must be of the name or above it. */
static uint32_t negative_ttl(const uint8_t *m, struct reader *r, unsigned authority,
                             const uint8_t *name, unsigned name_len)
{
    uint8_t owner[DNS_NAME_MAX], skipped[DNS_NAME_MAX];
    struct record rec;

    for (unsigned i = 0; i < authority && i < RECORDS && read_record(r, &rec); i++) {
        if (rec.type != DNS_SOA)
            continue;
        unsigned len = name_at(m, rec.owner, r->end, owner, NULL);
        if (len == 0 || len > name_len || memcmp(name + name_len - len, owner, len) != 0)
            continue;
        const uint8_t *end = rec.data + rec.len, *at = rec.data;
        if (!name_at(m, at, end, skipped, &at) || !name_at(m, at, end, skipped, &at) ||
            end - at != 20)
            continue;
        struct reader minimum = reader_of(at + 16, 4);
        uint32_t least = read_u32(&minimum);
        return clamp_ttl(least < rec.ttl_s ? least : rec.ttl_s);
    }
    return TTL_MIN_S;
}

void reply_read(struct reply *out, const uint8_t *m, size_t len, uint16_t qtype)
{
    struct reader r = reader_of(m, len);
    struct record rec[RECORDS];
    uint8_t name[DNS_NAME_MAX];
    unsigned n = 0;

    *out = (struct reply){.kind = REPLY_ERROR, .ttl_s = TTL_MAX_S};
    read_u16(&r);
    uint16_t flags = read_u16(&r);
    read_u16(&r);
    unsigned answers = read_u16(&r), authority = read_u16(&r);
    read_u16(&r);
    out->rcode = flags & DNS_RCODE;
    if (flags & DNS_TC) {
        out->kind = REPLY_TRUNCATED;
        return;
    }
    if (out->rcode != DNS_NOERROR && out->rcode != DNS_NXDOMAIN)
        return;
    const uint8_t *question = r.p;
    unsigned name_len = name_at(m, question, r.end, name, &r.p);
    read_bytes(&r, DNS_TYPE_LEN);
    if (name_len == 0 || answers > RECORDS)
        return;
    while (n < answers) {
        if (!read_record(&r, &rec[n++]))
            return;
    }
    for (unsigned i = 0; i <= CHAIN; i++) {
        if (i == CHAIN)
            return; /* a loop, or as good as one */
        if (!follow(out, m, r.end, rec, n, qtype, name, &name_len))
            break;
    }
    if (out->n > 0 && out->rcode == DNS_NOERROR) {
        out->kind = REPLY_ADDRESSES;
        out->ttl_s = clamp_ttl(out->ttl_s);
        return;
    }
    out->n = 0;
    out->kind = out->rcode == DNS_NXDOMAIN ? REPLY_NXDOMAIN : REPLY_NODATA;
    out->ttl_s = negative_ttl(m, &r, authority, name, name_len);
}

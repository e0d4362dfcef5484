/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authoritative answer, in three stages over a burst: prepare parses a query and finds what
 * is asked for, touch draws the members and prefetches them, act writes.
 *
 *   <zone>                SOA, NS and the nameservers' addresses
 *   ns.<zone>             an empty non-terminal (RFC 8020): exists, has no records
 *   <label>.ns.<zone>     a nameserver: A, AAAA
 *   anything else below   a Coralized name: A and AAAA of live proxies
 */
#include "dns/query.h"

#define NAMESERVERS 12 /* named in NS; CORAL.md: 10 to 12 primaries */
#define SAMPLED     64 /* up to so many members all are shuffled, above that some are drawn */
#define DRAWS       24

/* SOA timers that no secondary of ours uses (RFC 1912 2.2) */
#define SOA_REFRESH_S 3600
#define SOA_RETRY_S   600
#define SOA_EXPIRE_S  604800

enum target {
    TARGET_NONE, /* rcode says it all */
    TARGET_APEX,
    TARGET_EMPTY,   /* exists without records */
    TARGET_MISSING, /* NXDOMAIN */
    TARGET_NAMESERVER,
    TARGET_PROXIES,
};

struct answer {
    struct dns_query q;
    enum target target;
    unsigned chosen;
    const struct dns_member *member[DNS_ANSWERS];
};

static bool has_family(const struct dns_member *m, uint16_t type)
{
    return !addr_is_zero(type == DNS_A ? &m->v4 : &m->v6);
}

/* --- prepare ------------------------------------------------------------------------------- */

static const struct dns_member *find_nameserver(const struct dns_zone *z, const uint8_t *label)
{
    for (uint32_t i = 0; i < z->members; i++) {
        const char *have = z->member[i].label;
        size_t len = strnlen(have, sizeof(z->member[i].label));
        if (len == label[0] && memcmp(have, label + 1, len) == 0)
            return &z->member[i];
    }
    return NULL;
}

/* The names under "ns.<zone>"; `above` labels stand in front of the zone's. */
static void find_below_ns(const struct dns_zone *z, struct answer *a, unsigned above)
{
    a->target = above == 1 ? TARGET_EMPTY : TARGET_MISSING;
    if (above != 2)
        return;
    a->member[0] = find_nameserver(z, a->q.lower);
    if (a->member[0]) {
        a->target = TARGET_NAMESERVER;
        a->chosen = 1;
    }
}

static void find_target(const struct dns_zone *z, struct answer *a)
{
    struct dns_query *q = &a->q;
    unsigned above = 0;

    if (q->qclass != DNS_IN || q->qtype == DNS_AXFR || q->qtype == DNS_IXFR) {
        q->rcode = DNS_REFUSED;
        return;
    }
    while (above < q->labels && q->qname_len - q->label_at[above] > z->apex_len)
        above++;
    unsigned at = q->label_at[above];
    if (q->qname_len - at != z->apex_len || memcmp(q->lower + at, z->apex, z->apex_len) != 0) {
        q->rcode = DNS_REFUSED;
        return;
    }
    if (q->qtype >= DNS_META && q->qtype < DNS_ANY) {
        q->rcode = DNS_NOTIMP;
        return;
    }
    if (above == 0)
        a->target = TARGET_APEX;
    else if (memcmp(q->lower + q->label_at[above - 1], "\2ns", 3) == 0)
        find_below_ns(z, a, above);
    else
        a->target = TARGET_PROXIES;
}

static void prepare(const struct dns_zone *z, struct answer *a, const uint8_t *data, size_t len)
{
    a->target = TARGET_NONE;
    a->chosen = 0;
    dns_query_parse(&a->q, data, len);
    if (!a->q.drop && a->q.rcode == DNS_NOERROR)
        find_target(z, a);
}

/* --- touch --------------------------------------------------------------------------------- */

static bool is_chosen(const struct answer *a, const struct dns_member *m)
{
    for (unsigned i = 0; i < a->chosen; i++)
        if (a->member[i] == m)
            return true;
    return false;
}

static void choose(const struct dns_zone *z, struct answer *a, uint32_t i)
{
    const struct dns_member *m = &z->member[i];
    if (has_family(m, a->q.qtype) && !is_chosen(a, m))
        a->member[a->chosen++] = m;
}

/* Every live member of the family with the same chance, in random order. */
static void choose_among_few(const struct dns_zone *z, struct answer *a, struct rng *rng)
{
    uint8_t order[SAMPLED];

    for (uint32_t i = 0; i < z->members; i++)
        order[i] = (uint8_t)i;
    for (uint32_t i = 0; i < z->members && a->chosen < DNS_ANSWERS; i++) {
        uint32_t j = i + rng_below(rng, z->members - i);
        uint8_t drawn = order[j];
        order[j] = order[i];
        choose(z, a, drawn);
    }
}

static void choose_among_many(const struct dns_zone *z, struct answer *a, struct rng *rng)
{
    for (unsigned i = 0; i < DRAWS && a->chosen < DNS_ANSWERS; i++)
        choose(z, a, rng_below(rng, z->members));
    if (a->chosen > 0)
        return;
    uint32_t start = rng_below(rng, z->members); /* hardly any has the family: look at all */
    for (uint32_t i = 0; i < z->members && a->chosen < DNS_ANSWERS; i++)
        choose(z, a, (start + i) % z->members);
}

static void touch(const struct dns_zone *z, struct answer *a, struct rng *rng)
{
    if (a->target != TARGET_PROXIES || (a->q.qtype != DNS_A && a->q.qtype != DNS_AAAA) ||
        z->members == 0)
        return;
    if (z->members <= SAMPLED)
        choose_among_few(z, a, rng);
    else
        choose_among_many(z, a, rng);
}

/* --- act ----------------------------------------------------------------------------------- */

struct reply {
    struct writer w;
    uint8_t *start;
    uint16_t apex_at; /* where the question spells the zone's name: for compression */
    uint16_t answers, authority, additional;
    bool truncated;
};

static void write_pointer(struct writer *w, unsigned at)
{
    write_u16(w, (uint16_t)(0xc000 | at));
}

static void write_record(struct writer *w, uint16_t type, uint32_t ttl_s, uint16_t len)
{
    write_u16(w, type);
    write_u16(w, DNS_IN);
    write_u32(w, ttl_s);
    write_u16(w, len);
}

static void write_address(struct reply *r, uint16_t type, const struct dns_member *m,
                          uint32_t ttl_s)
{
    if (type == DNS_A) {
        write_record(&r->w, DNS_A, ttl_s, 4);
        write_bytes(&r->w, m->v4.b + 12, 4);
    } else {
        write_record(&r->w, DNS_AAAA, ttl_s, 16);
        write_bytes(&r->w, m->v6.b, 16);
    }
}

/* "<label>.ns.<zone>", the zone by a pointer into the question. Its length is label + 6. */
static void write_nameserver(struct reply *r, const struct dns_member *m)
{
    size_t n = strnlen(m->label, sizeof(m->label));
    write_u8(&r->w, (uint8_t)n);
    write_bytes(&r->w, m->label, n);
    write_bytes(&r->w, "\2ns", 3);
    write_pointer(&r->w, r->apex_at);
}

static void write_soa(struct reply *r, const struct dns_zone *z, uint32_t ttl_s)
{
    static const struct dns_member none;
    const struct dns_member *primary = z->members ? &z->member[0] : &none;
    struct writer *w = &r->w;

    write_pointer(w, r->apex_at);
    write_record(w, DNS_SOA, ttl_s, 0);
    uint8_t *len_at = w->p - 2, *start = w->p;
    if (primary->label[0]) {
        write_nameserver(r, primary);
    } else {
        write_bytes(w, "\2ns", 3);
        write_pointer(w, r->apex_at);
    }
    write_bytes(w, "\12hostmaster", 11);
    write_pointer(w, r->apex_at);
    write_u32(w, z->serial);
    write_u32(w, SOA_REFRESH_S);
    write_u32(w, SOA_RETRY_S);
    write_u32(w, SOA_EXPIRE_S);
    write_u32(w, z->negative_ttl_s);
    if (!w->bad) {
        size_t len = (size_t)(w->p - start);
        len_at[0] = (uint8_t)(len >> 8);
        len_at[1] = (uint8_t)len;
    }
}

/* RFC 2308 3: the SOA with the negative TTL in authority */
static void write_negative(struct reply *r, const struct dns_zone *z)
{
    write_soa(r, z, z->negative_ttl_s < z->soa_ttl_s ? z->negative_ttl_s : z->soa_ttl_s);
    r->authority = 1;
}

static void write_nameservers(struct reply *r, const struct dns_zone *z)
{
    const struct dns_member *named[NAMESERVERS];
    uint16_t name_at[NAMESERVERS];
    unsigned n = 0;

    for (uint32_t i = 0; i < z->members && n < NAMESERVERS; i++)
        if (z->member[i].label[0])
            named[n++] = &z->member[i];
    for (unsigned i = 0; i < n; i++) {
        write_pointer(&r->w, r->apex_at);
        write_record(&r->w, DNS_NS, z->ns_ttl_s,
                     (uint16_t)(strnlen(named[i]->label, sizeof(named[i]->label)) + 6));
        name_at[i] = (uint16_t)(r->w.p - r->start);
        write_nameserver(r, named[i]);
        r->answers++;
    }
    if (r->w.bad)
        return;
    /* addresses are a courtesy here: those that fit (RFC 2181 9 asks TC for required data only) */
    for (unsigned i = 0; i < n; i++) {
        for (unsigned v6 = 0; v6 < 2; v6++) {
            const struct dns_member *m = named[i];
            uint16_t type = v6 ? DNS_AAAA : DNS_A;
            if (!has_family(m, type) || writer_left(&r->w) < 2u + 10 + (v6 ? 16 : 4))
                continue;
            write_pointer(&r->w, name_at[i]);
            write_address(r, type, m, z->ns_ttl_s);
            r->additional++;
        }
    }
}

/* RFC 8482 4.2: ANY gets one small record */
static void write_hinfo(struct reply *r, uint32_t ttl_s)
{
    write_pointer(&r->w, DNS_HEADER_LEN);
    write_record(&r->w, DNS_HINFO, ttl_s, 9);
    write_bytes(&r->w, "\7RFC8482\0", 9);
    r->answers = 1;
}

static void write_addresses(struct reply *r, const struct answer *a, uint32_t ttl_s)
{
    for (unsigned i = 0; i < a->chosen; i++) {
        if (!has_family(a->member[i], a->q.qtype))
            continue;
        write_pointer(&r->w, DNS_HEADER_LEN);
        write_address(r, a->q.qtype, a->member[i], ttl_s);
        r->answers++;
    }
}

static void write_sections(struct reply *r, const struct dns_zone *z, struct answer *a)
{
    uint16_t type = a->q.qtype;
    bool address = type == DNS_A || type == DNS_AAAA;

    r->apex_at = (uint16_t)(DNS_HEADER_LEN + a->q.qname_len - z->apex_len);
    if (a->target == TARGET_MISSING) {
        a->q.rcode = DNS_NXDOMAIN;
    } else if (type == DNS_ANY && a->target != TARGET_EMPTY) {
        write_hinfo(r, z->soa_ttl_s);
    } else if (a->target == TARGET_APEX && type == DNS_SOA) {
        write_soa(r, z, z->soa_ttl_s);
        r->answers = 1;
    } else if (a->target == TARGET_APEX && type == DNS_NS) {
        write_nameservers(r, z);
    } else if (address) {
        write_addresses(r, a, a->target == TARGET_PROXIES ? z->proxy_ttl_s : z->ns_ttl_s);
    }
    if (r->answers == 0)
        write_negative(r, z);
}

static void write_opt(struct writer *w, const struct dns_query *q)
{
    write_u8(w, 0);
    write_u16(w, DNS_OPT);
    write_u16(w, DNS_UDP_MAX);
    write_u8(w, (uint8_t)(q->rcode >> 4));
    write_u8(w, 0);
    write_u16(w, q->dnssec_ok ? DNS_EDNS_DO : 0);
    write_u16(w, 0);
}

static void count(const struct answer *a, const struct reply *r, struct dns_counters *c)
{
    switch (a->q.rcode) {
    case DNS_NOERROR:
        if (r->truncated)
            counter_inc(&c->dns_truncated_total);
        else
            counter_inc(r->answers ? &c->dns_answers_total : &c->dns_nodata_total);
        if (a->target == TARGET_PROXIES && a->chosen == 0 &&
            (a->q.qtype == DNS_A || a->q.qtype == DNS_AAAA))
            counter_inc(&c->dns_no_proxy_total);
        break;
    case DNS_NXDOMAIN:
        counter_inc(&c->dns_nxdomain_total);
        break;
    case DNS_REFUSED:
        counter_inc(&c->dns_refused_total);
        break;
    case DNS_NOTIMP:
        counter_inc(&c->dns_notimp_total);
        break;
    case DNS_BADVERS:
        counter_inc(&c->dns_badvers_total);
        break;
    default:
        counter_inc(&c->dns_formerr_total);
    }
}

/* Returns the reply's length, 0 when there is none. */
static size_t act(const struct dns_zone *z, struct answer *a, uint8_t *out, size_t room,
                  struct dns_counters *c)
{
    struct dns_query *q = &a->q;
    size_t opt = q->edns ? 11 : 0;
    size_t question = q->question ? q->qname_len + (size_t)DNS_TYPE_LEN : 0;

    if (q->drop || room < DNS_HEADER_LEN + question + opt) {
        counter_inc(&c->dns_dropped_total);
        return 0;
    }
    struct reply r = {.start = out, .w = writer_of(out, room - opt)};
    write_space(&r.w, DNS_HEADER_LEN);
    if (question)
        write_bytes(&r.w, q->qname, question);
    uint8_t *after_question = r.w.p;
    if (a->target != TARGET_NONE)
        write_sections(&r, z, a);
    if (r.w.bad) { /* never part of a record set: nothing, and the asker comes by TCP */
        r.truncated = true;
        r.answers = r.authority = r.additional = 0;
        r.w = writer_of(after_question, (size_t)(out + room - after_question));
    }
    r.w.end = out + room;
    if (q->edns)
        write_opt(&r.w, q);

    bool authoritative = a->target != TARGET_NONE;
    struct writer h = writer_of(out, DNS_HEADER_LEN);
    write_u16(&h, q->id);
    write_u16(&h, (uint16_t)(DNS_QR | (q->flags & (DNS_OPCODE | DNS_RD)) |
                             (authoritative ? DNS_AA : 0) | (r.truncated ? DNS_TC : 0) |
                             (q->rcode & DNS_RCODE)));
    write_u16(&h, q->question);
    write_u16(&h, r.answers);
    write_u16(&h, r.authority);
    write_u16(&h, (uint16_t)(r.additional + q->edns));
    count(a, &r, c);
    return (size_t)(r.w.p - out);
}

static size_t udp_room(const struct dns_query *q, size_t room)
{
    size_t most = q->udp_size < DNS_UDP_MAX ? q->udp_size : DNS_UDP_MAX;
    return room < most ? room : most;
}

#define STAGED 8 /* answers in the making: what fits the first-level cache beside their packets */

void dns_answer(const struct dns_zone *zone, struct datagram *queries, unsigned n, struct rng *rng,
                struct dns_counters *counters, struct now now)
{
    struct answer a[STAGED];

    (void)now; /* all that depends on time is in the zone */
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(queries[i].data);
    for (unsigned first = 0; first < n; first += STAGED) {
        struct datagram *d = queries + first;
        unsigned m = n - first < STAGED ? n - first : STAGED;
        for (unsigned i = 0; i < m; i++) {
            prepare(zone, &a[i], d[i].data, d[i].len);
            a[i].q.drop |= d[i].from.port == 0; /* nobody listens there */
            __builtin_prefetch(d[i].reply, 1);
        }
        for (unsigned i = 0; i < m; i++)
            touch(zone, &a[i], rng);
        for (unsigned i = 0; i < m; i++)
            d[i].reply_len =
                (uint16_t)act(zone, &a[i], d[i].reply, udp_room(&a[i].q, d[i].room), counters);
    }
    counter_add(&counters->dns_queries_total, n);
}

size_t dns_answer_tcp(const struct dns_zone *zone, const struct endpoint *from, const void *query,
                      size_t len, void *reply, size_t room, struct rng *rng,
                      struct dns_counters *counters, struct now now)
{
    struct answer a;

    (void)from;
    (void)now;
    counter_inc(&counters->dns_queries_total);
    prepare(zone, &a, query, len);
    touch(zone, &a, rng);
    return act(zone, &a, reply, room < 65535 ? room : 65535, counters);
}

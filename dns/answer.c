/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authoritative answer: parse the query, find what is asked for, write. What is written is the
 * query itself with another header, and records behind its question; those of proxies are copied
 * from what dns_zone_finish has prepared.
 *
 *   <zone>                SOA, NS and the nameservers' addresses
 *   ns.<zone>             an empty non-terminal (RFC 8020): exists, has no records
 *   <label>.ns.<zone>     a nameserver: A, AAAA
 *   anything else below   a Coralized name: A and AAAA of live proxies
 */
#include <strings.h>

#include "base/mix.h"
#include "dns/query.h"

#define NAMESERVERS 12 /* named in NS; CORAL.md: 10 to 12 primaries */

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
    const struct dns_member *nameserver;
};

static bool has_family(const struct dns_member *m, uint16_t type)
{
    return !addr_is_zero(type == DNS_A ? &m->v4 : &m->v6);
}

/* --- find ---------------------------------------------------------------------------------- */

/* `label` has its length first, and its case as asked. */
static const struct dns_member *find_nameserver(const struct dns_zone *z, const uint8_t *label)
{
    for (uint32_t i = 0; i < z->members; i++) {
        const char *have = z->member[i].label;
        size_t len = strnlen(have, sizeof(z->member[i].label));
        if (len == label[0] && strncasecmp(have, (const char *)label + 1, len) == 0)
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
    a->nameserver = find_nameserver(z, a->q.qname);
    if (a->nameserver)
        a->target = TARGET_NAMESERVER;
}

/* Do a name's last bytes spell the apex, in any case? A header's 12 bytes are before the name, so
 * that the last word may begin before it. */
static bool ends_in_apex(const struct dns_zone *z, const uint8_t *end)
{
    uint64_t differ = 0;

    for (unsigned i = 0; i < z->apex_words; i++) {
        uint64_t word;
        memcpy(&word, end - 8 * (i + 1), sizeof(word));
        differ |= (word ^ z->apex_word[i].name) & z->apex_word[i].mask;
    }
    return differ == 0;
}

static bool is_ns(const uint8_t *label)
{
    return label[0] == 2 && (label[1] | 0x20) == 'n' && (label[2] | 0x20) == 's';
}

static void find_target(const struct dns_zone *z, struct answer *a)
{
    struct dns_query *q = &a->q;
    unsigned above = (unsigned)q->labels - z->apex_labels;

    if (q->labels < z->apex_labels || q->label_at[above] + z->apex_len != q->qname_len ||
        !ends_in_apex(z, q->qname + q->qname_len) || q->qclass != DNS_IN || q->qtype == DNS_AXFR ||
        q->qtype == DNS_IXFR) {
        q->rcode = DNS_REFUSED;
        return;
    }
    if (q->qtype >= DNS_META && q->qtype < DNS_ANY) {
        q->rcode = DNS_NOTIMP;
        return;
    }
    if (above == 0)
        a->target = TARGET_APEX;
    else if (is_ns(q->qname + q->label_at[above - 1]))
        find_below_ns(z, a, above);
    else
        a->target = TARGET_PROXIES;
}

/* --- draw ---------------------------------------------------------------------------------- */

/*
 * Numbers to draw members by: splitmix64 (base/mix.h), seeded by the worker's generator once a
 * burst. They have to be even; nobody need be kept from guessing them, since all members are public
 * and who asks again gets others. What must not be guessed never comes from here.
 */
struct draws {
    uint64_t state;
};

static struct draws draws_of(struct rng *rng)
{
    return (struct draws){rng_u64(rng)};
}

static uint64_t draws_next(struct draws *d)
{
    return mix64(d->state += MIX_GOLDEN);
}

/*
 * Different numbers below `bound`, DNS_ANSWERS of them or all that there are, in random order, each
 * choice as likely but for one part in 2^32 / bound: each time one of those that are left, counted
 * past the ones that are taken. It always draws as many, and no branch depends on what is drawn,
 * since none could be predicted. Returns how many of `out` hold.
 */
static unsigned draw(struct draws *d, uint32_t bound, uint32_t out[DNS_ANSWERS])
{
    uint32_t taken[DNS_ANSWERS]; /* in order */
    uint64_t random = 0;

    for (uint32_t i = 0; i < DNS_ANSWERS; i++) {
        random = i % 2 ? random >> 32 : draws_next(d);
        uint32_t x = (uint32_t)((random & 0xffffffff) * (bound - i) >> 32);
        for (uint32_t k = 0; k < i; k++)
            x += x >= taken[k];
        out[i] = x;
        for (uint32_t k = 0; k < i; k++) {
            uint32_t less = x < taken[k] ? x : taken[k];
            x = x < taken[k] ? taken[k] : x;
            taken[k] = less;
        }
        taken[i] = x;
    }
    return bound < DNS_ANSWERS ? bound : DNS_ANSWERS;
}

/* --- write --------------------------------------------------------------------------------- */

struct reply {
    struct writer w;
    uint8_t *start;
    uint16_t apex_at; /* where the question spells the zone's name: for compression */
    uint16_t answers, authority, additional;
    bool truncated;
};

static void write_pointer(struct writer *w, unsigned at)
{
    write_u16(w, (uint16_t)(DNS_POINTER | at));
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

/* The addresses of the nameserver that is asked for. */
static void write_address_of(struct reply *r, const struct dns_zone *z, const struct answer *a)
{
    if (!has_family(a->nameserver, a->q.qtype))
        return;
    write_pointer(&r->w, DNS_HEADER_LEN);
    write_address(r, a->q.qtype, a->nameserver, z->ns_ttl_s);
    r->answers = 1;
}

/* Those of live proxies: all of the records or, without room for them, none and `bad`. */
static void write_proxies(struct writer *w, const struct dns_zone *z, uint16_t type, unsigned n,
                          const uint32_t chosen[DNS_ANSWERS])
{
    const size_t one = type == DNS_A ? DNS_HEAD + 4 : DNS_HEAD + 16;
    uint8_t *at = write_space(w, n * one), head[DNS_HEAD];

    memcpy(head, type == DNS_A ? z->head_a : z->head_aaaa, DNS_HEAD);
    if (!at)
        return;
    if (type == DNS_A) {
        uint8_t(*const v4)[4] = z->v4;
        for (unsigned i = 0; i < n; i++, at += one) {
            memcpy(at, head, DNS_HEAD);
            memcpy(at + DNS_HEAD, v4[chosen[i]], 4);
        }
        return;
    }
    for (unsigned i = 0; i < n; i++, at += one) {
        memcpy(at, head, DNS_HEAD);
        memcpy(at + DNS_HEAD, z->v6[chosen[i]].b, 16);
    }
}

/* By value, so that those of the usual answer stay in registers. */
static struct reply write_sections(struct reply r, const struct dns_zone *z, struct answer *a)
{
    uint16_t type = a->q.qtype;
    bool address = type == DNS_A || type == DNS_AAAA;

    r.apex_at = (uint16_t)(DNS_HEADER_LEN + a->q.qname_len - z->apex_len);
    if (a->target == TARGET_MISSING) {
        a->q.rcode = DNS_NXDOMAIN;
    } else if (type == DNS_ANY && a->target != TARGET_EMPTY) {
        write_hinfo(&r, z->soa_ttl_s);
    } else if (a->target == TARGET_APEX && type == DNS_SOA) {
        write_soa(&r, z, z->soa_ttl_s);
        r.answers = 1;
    } else if (a->target == TARGET_APEX && type == DNS_NS) {
        write_nameservers(&r, z);
    } else if (a->target == TARGET_NAMESERVER && address) {
        write_address_of(&r, z, a);
    }
    if (r.answers == 0)
        write_negative(&r, z);
    return r;
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
        if (a->target == TARGET_PROXIES && r->answers == 0 && !r->truncated &&
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

static void write_header(uint8_t *out, const struct answer *a, const struct reply *r)
{
    const struct dns_query *q = &a->q;
    struct writer w = writer_of(out + 2, DNS_HEADER_LEN - 2); /* its ID stays */

    write_u16(&w, (uint16_t)(DNS_QR | (q->flags & (DNS_OPCODE | DNS_RD)) |
                             (a->target != TARGET_NONE ? DNS_AA : 0) | (r->truncated ? DNS_TC : 0) |
                             (q->rcode & DNS_RCODE)));
    write_u16(&w, q->question);
    write_u16(&w, r->answers);
    write_u16(&w, r->authority);
    write_u16(&w, (uint16_t)(r->additional + q->edns));
}

/* Writes the reply to a query that was parsed, maybe over it: nothing of the query is read later
 * but its first `kept` bytes. Returns its length, 0 when there is none. */
static size_t reply_to(const struct dns_zone *z, struct answer *a, const uint8_t *query,
                       uint8_t *out, size_t room, struct draws *draws, struct dns_counters *c)
{
    struct dns_query *q = &a->q;
    size_t opt = q->edns ? DNS_OPT_LEN : 0;
    size_t kept = DNS_HEADER_LEN + (q->question ? q->qname_len + (size_t)DNS_TYPE_LEN : 0);

    if (q->drop || room < kept + opt) {
        counter_inc(&c->dns_dropped_total);
        return 0;
    }
    if (out != query)
        memcpy(out, query, kept);
    struct reply r = {.start = out, .w = writer_of(out + kept, room - opt - kept)};
    uint32_t chosen[DNS_ANSWERS];
    if (a->target == TARGET_PROXIES && (q->qtype == DNS_A || q->qtype == DNS_AAAA))
        r.answers = (uint16_t)draw(draws, q->qtype == DNS_A ? z->v4s : z->v6s, chosen);
    if (r.answers)
        write_proxies(&r.w, z, q->qtype, r.answers, chosen);
    else if (a->target != TARGET_NONE)
        r = write_sections(r, z, a);
    if (r.w.bad) { /* never part of a record set: nothing, and the asker comes by TCP */
        r.truncated = true;
        r.answers = r.authority = r.additional = 0;
        r.w = writer_of(out + kept, room - kept);
    }
    r.w.end = out + room;
    if (q->edns)
        write_opt(&r.w, q);
    write_header(out, a, &r);
    count(a, &r, c);
    return (size_t)(r.w.p - out);
}

static void understand(const struct dns_zone *z, struct answer *a, const uint8_t *query, size_t len)
{
    a->target = TARGET_NONE;
    dns_query_parse(&a->q, query, len);
    if (!a->q.drop && a->q.rcode == DNS_NOERROR)
        find_target(z, a);
}

static size_t udp_room(const struct dns_query *q, size_t room)
{
    size_t most = q->udp_size < DNS_UDP_MAX ? q->udp_size : DNS_UDP_MAX;
    return room < most ? room : most;
}

void dns_answer(const struct dns_zone *zone, struct datagram *queries, unsigned n, struct rng *rng,
                struct dns_counters *counters, struct now now)
{
    struct draws draws = draws_of(rng);

    (void)now; /* all that depends on time is in the zone */
    for (unsigned i = 0; i < n; i++) {
        struct datagram *d = &queries[i];
        struct answer a;
        understand(zone, &a, d->data, d->len);
        a.q.drop |= d->from.port == 0; /* nobody listens there */
        d->reply_len = (uint16_t)reply_to(zone, &a, d->data, d->reply, udp_room(&a.q, d->room),
                                          &draws, counters);
    }
    counter_add(&counters->dns_queries_total, n);
}

size_t dns_answer_tcp(const struct dns_zone *zone, const struct endpoint *from, const void *query,
                      size_t len, void *reply, size_t room, struct rng *rng,
                      struct dns_counters *counters, struct now now)
{
    struct draws draws = draws_of(rng);
    struct answer a;

    (void)from;
    (void)now;
    counter_inc(&counters->dns_queries_total);
    understand(zone, &a, query, len);
    return reply_to(zone, &a, query, reply, room < 65535 ? room : 65535, &draws, counters);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stub resolver's inside. A *lookup* is one name being resolved for any number of *waiters*;
 * it asks two *questions*, A and AAAA, side by side. An *entry* is a name that is known: its
 * lookup while in flight, its result afterwards. Private to dns/.
 */
#ifndef CORAL_DNS_RESOLVER_H
#define CORAL_DNS_RESOLVER_H

#include <sys/queue.h>

#include "base/hash.h"
#include "base/wheel.h"
#include "dns/wire.h"

#define RESOLVER_PORTS     32 /* random local ports a server */
#define RESOLVER_TRIES     3
#define RESOLVER_TCP       8 /* TCP queries in flight */
#define RESOLVER_TCP_MAX   4096
#define RESOLVER_SERVERS   4
#define RESOLVER_QUERY_MAX (DNS_HEADER_LEN + DNS_NAME_MAX + DNS_TYPE_LEN + 11)

#define TTL_MIN_S 1
#define TTL_MAX_S 300

/* --- reply.c: what a reply says ------------------------------------------------------------ */

enum reply_kind {
    REPLY_ADDRESSES,
    REPLY_NODATA,
    REPLY_NXDOMAIN,
    REPLY_TRUNCATED,
    REPLY_ERROR, /* SERVFAIL, REFUSED, malformed ...: another server may do better */
};

struct reply {
    enum reply_kind kind;
    uint8_t rcode;
    uint32_t ttl_s; /* within TTL_MIN_S and TTL_MAX_S */
    unsigned n;
    struct addr address[RESOLVER_ADDRESSES];
};

/* RFC 5452 9.1, draft-vixie-dnsext-dns0x20: ID and question as sent, letter by letter. */
bool reply_matches(const uint8_t *m, size_t len, uint16_t id, const uint8_t *qname,
                   unsigned qname_len, uint16_t qtype);
/* Reads a reply that matches. */
void reply_read(struct reply *out, const uint8_t *m, size_t len, uint16_t qtype);

/* --- questions ------------------------------------------------------------------------------ */

enum question_state {
    QUESTION_UNSENT, /* the host did not take it; again soon */
    QUESTION_UDP,
    QUESTION_TCP,
    QUESTION_DONE,
};

struct lookup;
struct tcp_query;

struct question {
    LIST_ENTRY(question) by_id; /* while QUESTION_UDP */
    struct lookup *lookup;
    uint8_t state;
    uint8_t tries, errors;
    uint8_t server;
    uint8_t port_slot;
    uint8_t qname_len;
    bool plain; /* without EDNS: a server did not understand it */
    uint16_t qtype, id, port;
    uint64_t due_us;       /* end of this try */
    struct tcp_query *tcp; /* while QUESTION_TCP */
    enum resolver_result result;
    struct reply reply;          /* when QUESTION_DONE */
    uint8_t qname[DNS_NAME_MAX]; /* in the case of this try */
};
LIST_HEAD(question_list, question);

struct waiter {
    LIST_ENTRY(waiter) link; /* in its lookup, or in the free list */
    resolver_done *done;     /* NULL: free */
    void *ctx;
    uint32_t generation;
};
LIST_HEAD(waiter_list, waiter);

struct lookup {
    LIST_ENTRY(lookup) link; /* in the free list */
    struct timer timer;      /* the earliest of what is due */
    struct entry *entry;
    struct waiter_list waiters;
    struct question question[2]; /* A, AAAA */
    uint64_t settle_us; /* one family is known: how long the other is waited for; 0: not yet */
    bool half_told;     /* that time is over: the entry holds what is known */
    uint64_t end_us;    /* when all ends, sent or not */
};
LIST_HEAD(lookup_list, lookup);

struct tcp_query {
    struct resolver *resolver;
    struct stream *stream;     /* NULL: free */
    struct question *question; /* NULL: given up, waits for closed */
    uint16_t sent, got;
    uint16_t query_len; /* with its 2-byte length, as the answer's */
    uint8_t query[2 + RESOLVER_QUERY_MAX];
    uint8_t answer[2 + RESOLVER_TCP_MAX];
};

/* --- names.c: entries ----------------------------------------------------------------------- */

struct entry {
    LIST_ENTRY(entry) link;    /* in its bucket, or in the free list */
    TAILQ_ENTRY(entry) by_use; /* kept ones, longest unused first */
    struct lookup *lookup;     /* in flight; NULL: kept */
    uint64_t expires_us;
    enum resolver_result result;
    uint8_t n, failures, name_len;
    struct addr address[RESOLVER_ADDRESSES];
    uint8_t name[DNS_NAME_MAX]; /* wire form, lower case */
};
LIST_HEAD(entry_list, entry);
TAILQ_HEAD(entry_queue, entry);

struct names {
    struct hash_secret secret;
    struct entry *entries;
    struct entry_list *buckets;
    uint32_t mask;
    struct entry_list free;
    struct entry_queue kept;
};

struct port_slot {
    uint16_t port; /* 0: none found that fits */
    uint16_t in_flight;
    uint32_t uses;
};

struct resolver {
    struct resolver_config config;
    struct resolver_host host;
    struct resolver_counters counters;
    struct rng rng;
    struct wheel wheel;
    struct names names;
    struct lookup *lookups;
    struct lookup_list free_lookups;
    struct waiter *waiters;
    uint32_t waiter_count;
    struct waiter_list free_waiters;
    struct question_list *by_id;
    uint32_t id_mask;
    uint8_t preferred; /* server that answered last */
    struct port_slot port[RESOLVER_SERVERS][RESOLVER_PORTS];
    struct tcp_query tcp[RESOLVER_TCP];
};

bool names_init(struct names *t, uint32_t count, struct rng *rng);
void names_free(struct names *t);
struct entry *names_find(struct names *t, const uint8_t *name, unsigned len);
/* A new entry, not kept yet; the kept one that is longest unused makes room. Never fails as long
 * as fewer are in flight than the table has. */
struct entry *names_take(struct names *t, const uint8_t *name, unsigned len);
void names_keep(struct names *t, struct entry *e);
void names_unkeep(struct names *t, struct entry *e);

/* --- try.c: one try ------------------------------------------------------- */

void resolver_ports_choose(struct resolver *r);
/* Sends the next try of a question that is not in flight. */
void question_send(struct resolver *r, struct question *q, struct now now);
/* Takes a question out of flight, whatever it waits for. */
void question_stop(struct resolver *r, struct question *q);
/* Goes on over TCP. False: not possible now. */
bool question_to_tcp(struct resolver *r, struct question *q, struct now now);

/* --- resolver.c: called by the above -------------------------------------------------------- */

/* A matching reply has come, or the TCP connection failed (reply == NULL). The question may be
 * gone afterwards. */
void question_answered(struct resolver *r, struct question *q, const struct reply *reply,
                       struct now now);

#endif

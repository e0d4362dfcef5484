/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire format of the index's RPCs: UDP, network order, at most 1200 bytes. docs/wire.md has it
 * in prose, with the rules for senders and receivers and test vectors.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+-------+---------------+-----+-----+---+---------------+
 * 0 |version| type  |     flags     | wanted|served | |  MAC key ID |
 *   +-------+-------+---------------+-----+-----+---+---------------+
 * 4 | worker (6)| slot (18)                     | random (40) ...   |  tid: chosen by the asker,
 * 8 |                                                               |  echoed in the reply
 *   +---------------------------------------------------------------+
 *12 |                       sender ID (20)                          |
 *   +---------------------------------------------------------------+
 *32 |                        cookie (8)                             |  in a request: what the
 *   |                                                               |  receiver gave us, 0: none;
 *   +---------------------------------------------------------------+  in a reply: what to use
 *40 |   descriptors of levels 1 and 2, 12 bytes each: cluster ID (8),|
 *   |   size (1), age in 4 s (3); zeros: in no cluster              |
 *   +---------------------------------------------------------------+
 *64 |                       incarnation                             |
 *   +-------------------------------+-------------------------------+
 *68 |           sequence            |           HTTP port           |
 *   +-------------------------------+-------------------------------+
 *72 |              IPv4 service address; zeros: none                |
 *   +---------------------------------------------------------------+
 *76 |              IPv6 service address (16); zeros: none           |
 *   +---------------+---------------+-------------------------------+
 *92 |   services    |     zero      |             zero              |
 *   +---------------+---------------+-------------------------------+
 *96  body, by type:
 *       PING, both ways, COOKIE, NOT_MEMBER      nothing
 *       GET, WALK, REMOVE, FIND                  key (20), ttl in ms (4; of use to WALK only)
 *       STORE                                    the same, then address (16) and port (2) of the
 *                                                sender's proxy
 *       REPORT                                   the same, then the ID (20) of a node that does not
 *                                                answer; ttl 0
 *       VIA                                      a contact; its reply: nothing
 *       RELAY                                    key (20), ttl (4), the type to ask (1), zero (3),
 *                                                the ID (20) of whom; its reply: the outcome (1),
 *                                                zero (3), then as the others
 *       the replies to these but VIA             values (1), contacts (1), values held (1),
 *                                                levels of the values (4 bits) and the contacts
 *                                                (4 bits), least remaining ttl in ms (4), then
 *                                                the values, then the contacts:
 *           value    node ID (20), address (16), port (2), remaining ttl (4), age (4), in ms
 *           contact  node ID (20), RPC address (16), RPC port (2)
 *     options: type (1), length (1), that many bytes; unknown ones are skipped
 *       0 padding     1 coordinate (24)    2 news: up to 6 of ID (20), incarnation (4), state (1)
 *       3 usage: up to 8 of a site (8), KiB (4) and requests (4) a minute
 *  end-16  the tag (mac.h) over all before it
 *
 * The sender's RPC address is the datagram's source: its ID, under the tag, is the hash of it.
 * Addresses are IPv6, IPv4 mapped, but the IPv4 service address.
 *
 * Cookies: who has not shown yet that it receives at the address that it claims gets no answer
 * larger than its question, and for STORE, REMOVE, REPORT and RELAY a COOKIE alone, with which it
 * repeats them. So a question to a stranger is padded to what an answer may need.
 */
#ifndef CORAL_DHT_RPC_H
#define CORAL_DHT_RPC_H

#include <endian.h>
#include <string.h>

#include "dht/dht.h"

#define RPC_VERSION    2
#define RPC_TAG        16
#define RPC_HEAD       96
#define RPC_KEYED      24 /* key and ttl */
#define RPC_ANSWER     8  /* before the values */
#define RPC_VALUE      46
#define RPC_CONTACT    38
#define RPC_CONTACTS   4 /* in a reply, at most */
#define RPC_NEWS_ITEM  25
#define RPC_COORDINATE 24
#define RPC_USAGE_ITEM 16
#define RPC_MOST       1200
#define RPC_MAX                                                                                    \
    (RPC_HEAD + 4 + RPC_ANSWER + DHT_VALUES * RPC_VALUE + RPC_CONTACTS * RPC_CONTACT + 2 +         \
     RPC_COORDINATE + 2 + DHT_NEWS * RPC_NEWS_ITEM + 2 + DHT_USAGE * RPC_USAGE_ITEM + RPC_TAG)
/* A padded question: an answer with all values and all contacts is not larger. */
#define RPC_PADDED                                                                                 \
    (RPC_HEAD + RPC_ANSWER + DHT_VALUES * RPC_VALUE + RPC_CONTACTS * RPC_CONTACT + RPC_TAG)
#define RPC_TID_WORKER    58 /* shift */
#define RPC_TID_SLOT      40
#define RPC_TID_SLOT_BITS 18
#define RPC_TTL_MAX_MS    86400000u /* a reference of more than a day is taken as one of a day */

enum rpc_type {
    RPC_PING = 1,
    RPC_GET,        /* the values under a key, or contacts closer to it */
    RPC_WALK,       /* a put's forward step: would a value fit here; and contacts closer */
    RPC_STORE,      /* the sender's own reference, under a key */
    RPC_REMOVE,     /* forget the sender's own reference; and contacts closer to the key */
    RPC_FIND,       /* the contacts closest to a key */
    RPC_VIA,        /* ping somebody for me */
    RPC_COOKIE,     /* only as a reply */
    RPC_NOT_MEMBER, /* only as a reply: we share no cluster at the levels wanted */
    RPC_REPORT,     /* a node that values under the key name is dead; and contacts closer to it */
    RPC_RELAY,      /* put a GET or WALK to one that you know, and that I do not reach */
};

enum rpc_flag {
    RPC_REPLY = 1,
    RPC_FULL = 2,     /* WALK, STORE: no room for a value with this ttl */
    RPC_LOADED = 4,   /* WALK: more walks than the leak lets through */
    RPC_STORED = 8,   /* STORE */
    RPC_REFUSED = 16, /* STORE: not the sender's own address, or too many of it */
    RPC_GUEST = 32,   /* FIND: in the receiver's cluster of the level, though it is not mine; GET,
                         WALK: for another, so that a value of mine is an answer, too */
    RPC_MOVED = 64,   /* reply: from the cluster that I left a moment ago */
    RPC_LEAVING = 128 /* I stop soon */
};

enum rpc_option { RPC_OPTION_PADDING, RPC_OPTION_COORDINATE, RPC_OPTION_NEWS, RPC_OPTION_USAGE };

enum rpc_outcome {
    RPC_ANSWERED,        /* what follows is its answer */
    RPC_SILENT,          /* it did not answer me either */
    RPC_NOT_PUT,         /* I do not know it, or have no room for this */
    RPC_NO_MEMBER_THERE, /* it shares no cluster at the levels wanted */
    RPC_OUTCOMES
};

struct rpc_contact {
    struct dht_id id;
    struct endpoint rpc;
};

struct rpc {
    uint8_t type, flags, key_id;
    uint8_t wanted, served; /* levels: a set of them; the one */
    uint64_t tid, cookie;
    struct dht_sender from; /* contact.rpc: the datagram's source, set by who reads */
    uint16_t padded;        /* request: its whole length; to write: pad to this */
    /* requests but PING */
    struct dht_id key;
    uint32_t ttl_ms;
    struct endpoint http;   /* STORE */
    struct rpc_contact via; /* VIA */
    struct dht_id dead;     /* REPORT */
    struct dht_id target;   /* RELAY: whom to ask */
    uint8_t relayed;        /* RELAY: the type to ask, GET or WALK */
    /* reply to RELAY */
    uint8_t outcome; /* enum rpc_outcome */
    /* replies to requests about a key */
    uint8_t values, contacts, held, values_level, contacts_level;
    uint32_t least_ms;
    /* options */
    bool has_coordinate, has_usage;
    uint8_t news, usages;
    uint8_t coordinate[RPC_COORDINATE];
    struct dht_value value[DHT_VALUES];
    struct rpc_contact contact[RPC_CONTACTS];
    struct dht_news news_item[DHT_NEWS];
    struct dht_usage usage[DHT_USAGE];
};

enum rpc_error {
    RPC_OK,
    RPC_SHORT, /* shorter than its type needs */
    RPC_BAD_VERSION,
    RPC_BAD_TYPE,  /* unknown */
    RPC_MALFORMED, /* counts over their limit, an option cut off, zero fields that are not */
};

/* Reads a packet from `from`, its tag unchecked. On RPC_OK every field of its type is set. */
enum rpc_error rpc_read(const void *data, size_t len, const struct endpoint *from, struct rpc *out);
/* The same in two steps, for those to whom a sender's ID and clusters (no more of descriptors) and
 * whether it leaves are enough for most packets: the second one's `data` is the first one's. */
enum rpc_error rpc_read_most(const void *data, size_t len, const struct endpoint *from,
                             struct rpc *out);
void rpc_read_sender(const void *data, struct rpc *out);
/* Writes all but the tag, for which the last RPC_TAG bytes are left. Returns the whole length, 0
 * when it does not fit. */
size_t rpc_write(const struct rpc *r, void *data, size_t room);
/* The same by one who answers many: `head` is what rpc_head gave for r->from, which is not read. */
size_t rpc_write_as(const uint8_t head[RPC_HEAD], const struct rpc *r, void *data, size_t room);
/* All before the values of an answer about a key that the caller writes itself, RPC_HEAD +
 * RPC_ANSWER bytes from the start; of r it reads no more than the fields of these. */
void rpc_write_before_values(const uint8_t head[RPC_HEAD], const struct rpc *r, void *data);
/* The part of the head that says who the sender is; all else is zero. */
void rpc_head(const struct dht_sender *from, uint8_t head[RPC_HEAD]);
/* How long rpc_write will make it. */
size_t rpc_length(const struct rpc *r);

/* Has it a key, so that it goes to the owner of a shard? */
bool rpc_is_keyed(uint8_t type);
void rpc_count_error(struct dht_counters *counters, enum rpc_error error);
/* A value's bytes from 36 on: behind the ID and the address. */
static inline void rpc_write_value_rest(uint8_t *p, uint16_t port, uint32_t ttl_ms, uint32_t age_ms)
{
    uint32_t w[2] = {htobe32(ttl_ms), htobe32(age_ms)};
    port = htobe16(port);
    memcpy(p + 36, &port, 2);
    memcpy(p + 38, w, 8);
}
/* What the control thread hears of it. */
void rpc_tidings(const struct rpc *r, uint32_t rtt_us, struct dht_tidings *out);

#endif

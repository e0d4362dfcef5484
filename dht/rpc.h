/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire format of the index's RPCs: UDP, network order, at most 466 bytes.
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
 *40 |   descriptors of levels 1 and 2, 12 bytes each: cluster ID's   |
 *   |   first 64 bits, size (8), age (24); zeros: in no cluster      |
 *   +---------------------------------------------------------------+
 *64 |                   RPC address of the sender (16)              |
 *   +-------------------------------+-------------------------------+
 *80 |           RPC port            |           HTTP port           |
 *   +---------------+---------------+-------------------------------+
 *84 |   services    |     zero      |    IPv4 service address ...   |
 *   +---------------+---------------+-------------------------------+
 *88 |    ... IPv4 service address   |   IPv6 service address (16)   |
 *   +-------------------------------+-------------------------------+
 *106  body, by type:
 *       PING, both ways, COOKIE                  nothing
 *       GET, WALK, REMOVE, FIND                  key (20), ttl in ms (4; of use to WALK only)
 *       STORE                                    the same, then address (16) and port (2) of the
 *                                                sender's proxy
 *       the replies to these five                values (1), contacts (1), values held (1),
 *                                                zero (1), least remaining ttl in ms (4),
 *                                                then the values, then the contacts:
 *           value    node ID (20), address (16), port (2), remaining ttl (4), age (4), in ms
 *           contact  node ID (20), RPC address (16), RPC port (2)
 *  end-16  AES-128-CMAC (RFC 4493) over all before it
 *
 * Addresses are IPv6, IPv4 mapped, but the IPv4 service address; zeros: none.
 *
 * A node asks for level 0 alone now (wanted = 1); the levels' descriptors have their place.
 *
 * Cookies: who has not shown yet that it receives at the address that it claims gets, for anything
 * but a PING, a COOKIE reply: shorter than its question. It repeats the question with it.
 */
#ifndef CORAL_DHT_RPC_H
#define CORAL_DHT_RPC_H

#include "dht/dht.h"

#define RPC_VERSION       1
#define RPC_TAG           16
#define RPC_HEAD          106
#define RPC_KEYED         24 /* key and ttl */
#define RPC_VALUE         46
#define RPC_CONTACT       38
#define RPC_CONTACTS      4 /* in a reply, at most */
#define RPC_MAX           (RPC_HEAD + 8 + DHT_VALUES * RPC_VALUE + RPC_CONTACTS * RPC_CONTACT + RPC_TAG)
#define RPC_LEVEL_0       1
#define RPC_TID_WORKER    58 /* shift */
#define RPC_TID_SLOT      40
#define RPC_TID_SLOT_BITS 18
#define RPC_TTL_MAX_MS    86400000u /* a reference of more than a day is taken as one of a day */

enum rpc_type {
    RPC_PING = 1,
    RPC_GET,    /* the values under a key, or contacts closer to it */
    RPC_WALK,   /* a put's forward step: would a value fit here; and contacts closer to the key */
    RPC_STORE,  /* the sender's own reference, under a key */
    RPC_REMOVE, /* forget the sender's own reference; and contacts closer to the key */
    RPC_FIND,   /* the contacts closest to a key */
    RPC_COOKIE, /* only as a reply */
};

enum rpc_flag {
    RPC_REPLY = 1,
    RPC_FULL = 2,    /* WALK, STORE: no room for a value with this ttl */
    RPC_LOADED = 4,  /* WALK: more walks than the leak lets through */
    RPC_STORED = 8,  /* STORE */
    RPC_REFUSED = 16 /* STORE: not the sender's own address */
};

struct rpc_contact {
    struct dht_id id;
    struct endpoint rpc;
};

struct rpc {
    uint8_t type, flags, wanted, served, key_id;
    uint64_t tid, cookie;
    struct dht_contact from;
    /* requests but PING */
    struct dht_id key;
    uint32_t ttl_ms;
    struct endpoint http; /* STORE */
    /* replies but to PING, and COOKIE */
    uint8_t values, contacts, held;
    uint32_t least_ms;
    struct dht_value value[DHT_VALUES];
    struct rpc_contact contact[RPC_CONTACTS];
};

enum rpc_error {
    RPC_OK,
    RPC_SHORT, /* shorter than its type needs */
    RPC_BAD_VERSION,
    RPC_BAD_TYPE,  /* unknown */
    RPC_MALFORMED, /* counts over their limit, trailing bytes, zero fields that are not */
};

/* Reads a packet, its tag unchecked. On RPC_OK every field of its type is set. */
enum rpc_error rpc_read(const void *data, size_t len, struct rpc *out);
/* Writes all but the tag, for which the last RPC_TAG bytes are left. Returns the whole length, 0
 * when it does not fit. */
size_t rpc_write(const struct rpc *r, void *data, size_t room);

void rpc_count_error(struct dht_counters *counters, enum rpc_error error);

#endif

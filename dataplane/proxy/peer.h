/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The field `Coral-Peer`, by which nodes of one cluster know each other's requests and heads:
 *
 *   Coral-Peer: v=1; node=<40 hex>; key=<2 hex>; nonce=<16 hex>; path=<40 hex>[.<40 hex>...];
 *               mac=<32 hex>                                            (one line; path optional)
 *
 * In a request `node` is the asker. In a response it is the node that answers, `path` the nodes
 * that its own fill hangs on, nearest first (absent when it has the whole object). The nonce is the
 * asker's; a response is authentic only for the request that it answers. The MAC (AES-128-CMAC,
 * the cluster's key) is over
 *
 *   "ask\n"    node nonce method "\n" url "\n" range "\n"
 *   "answer\n" node nonce path status version "\n" url "\n"
 *
 * (node and path binary, nonce and version 8 bytes, status 2, network order), so a request can't be
 * replayed for another URL or range, nor a head be passed off as another version's.
 */
#ifndef CORAL_PROXY_PEER_H
#define CORAL_PROXY_PEER_H

#include "dataplane/http/http.h"
#include "dht/dht.h"

#define PEER_FIELD_MAX 640 /* longest field line with its name and CRLF */

struct peer_field {
    struct dht_id node;
    uint8_t key_id;
    uint64_t nonce;
    uint8_t path_len;
    struct dht_id path[DHT_PATH_MAX];
    uint8_t mac[16];
};

/* Reads the value; false when it is anything but well formed (its MAC is not looked at). */
bool peer_field_parse(struct http_text value, struct peer_field *out);
/* "Coral-Peer: ...\r\n" into `out`; returns its length, 0 when it does not fit. */
size_t peer_field_write(const struct peer_field *f, char *out, size_t room);

/* What a MAC is made over besides the field itself. */
struct peer_claim {
    bool answer;
    struct http_text url;
    const char *method;     /* asks */
    struct http_text range; /* asks; empty: none */
    uint16_t status;        /* answers */
    uint64_t version;       /* answers: head_version() */
};
void peer_sign(struct dht_mac *mac, const struct peer_claim *c, struct peer_field *f);
bool peer_verify(struct dht_mac *mac, const struct peer_claim *c, const struct peer_field *f);

bool peer_on_path(const struct dht_id *path, unsigned n, const struct dht_id *node);

#endif

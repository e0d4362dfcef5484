/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP of the clients on an in-memory link, which neither loses frames nor reorders them: what such
 * a client needs of TCP and no more, so that the client is no limit to the node. Connections are
 * numbered, and a number is a client's address, a server's and a port, so there is no table. IPv4;
 * one request is under way on each; with the options that browsers offer (MSS, SACK, timestamps,
 * window scale).
 *
 * Nothing is sent again: the link takes a frame or says that it is full, then what was to go waits.
 * What the node sends again, since it was not acknowledged in time, is acknowledged with a DSACK
 * (RFC 2883); a gap is an error, and ends the connection. As a receiver does whose port joins
 * segments (GRO), a connection acknowledges what one burst of at most 32 frames brought of it at
 * once, in the next turn: by its next request, if that goes before, else by an ACK.
 */
#ifndef CORAL_PERF_FLOW_H
#define CORAL_PERF_FLOW_H

#include "perf/perf.h"

#define FLOW_CLIENTS 16
#define FLOW_SERVERS 4

struct flows;

/* Room for so many connections, from these addresses to those. NULL: no memory, or more than there
 * are ports for. */
struct flows *flows_new(struct host *h, const struct net_address *client, unsigned clients,
                        const struct endpoint *server, unsigned servers, uint32_t connections,
                        struct perf_errors *errors);
void flows_free(struct flows *f);
/* The next connection, by number; comes as opened or closed. Its stream's ops are send, of one
 * reference without a hold at a time, and abort; its received event is called for each piece of a
 * segment as it lies in memory, and is to consume it, else the connection ends as an error. */
struct stream *flow_connect(struct flows *f, const struct stream_events *events, void *user);
/* Takes what is theirs of a burst of at most NET_BURST frames and frees it; the others are moved to
 * the front. Returns how many these are. */
unsigned flows_receive(struct flows *f, struct rte_mbuf **m, unsigned n);
/* At the begin of each turn: the ACKs of the last one, and what has waited for room or for the
 * server's MAC. */
void flows_turn(struct flows *f);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes into the workers' view, made from configuration and membership. Pure: no clock, no
 * I/O, no state.
 */
#ifndef CORAL_CONTROL_VIEW_H
#define CORAL_CONTROL_VIEW_H

#include "control/config.h"
#include "dataplane/proxy/proxy.h"
#include "dht/dht.h"
#include "dns/dns.h"

/*
 * The zone, NULL where there is none (no dns.zone, dns.enabled off) or no memory. Its members
 * are this node, if `self`, and each live node of `routes` that runs the proxy on the port that
 * this one has: clients are sent there without a word about ports. Freed by free().
 */
struct dns_zone *view_zone(const struct config *c, const struct dht_routes *routes, bool self,
                           uint32_t serial);
/* Whether two zones (or none) name the same members, in the same order, for the same times. */
bool view_zone_same(const struct dns_zone *a, const struct dns_zone *b);

/* Whether the files that corald is to write can be written, as far as that is to be seen without
 * writing, and the journal is there: what can't be is a mistake in `report`. */
void files_check(const struct config *c, struct report *report);
/* The policy; a deny list that does not compile is a mistake in `report`: NULL then. */
struct proxy_policy *view_policy(const struct config *c, struct report *report);
/* Tells what is wrong with deny_file, of a configuration that has other mistakes. */
void view_deny_check(const struct config *c, struct report *report);
void view_policy_free(struct proxy_policy *p);
void view_policy_free_but_rules(struct proxy_policy *p); /* they go on */

/* This node as others see it. */
struct dht_contact view_self(const struct config *c);

/* Calls `changed` for each node that lives (as DNS has it) in one of two routes and not in the
 * other. */
typedef void view_changed(void *ctx, const struct dht_contact *node, uint32_t rtt_us, bool live);
void view_routes_diff(const struct dht_routes *before, const struct dht_routes *after,
                      view_changed *changed, void *ctx);

#endif

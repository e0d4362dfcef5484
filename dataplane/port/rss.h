/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive side scaling: asked for where a port can do it with a key that we know. Private to
 * dataplane/port. */
#ifndef CORAL_PORT_RSS_H
#define CORAL_PORT_RSS_H

#include "dataplane/port/port.h"

/* Before rte_eth_dev_configure: asks for it in `conf`, with a key of this start's own, which
 * strangers who aim at one queue do not know. */
void rss_ask(struct port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf);
/* After start: what the port says that it does. Anything short of certainty leaves known false. */
void rss_read(struct port *p, const struct rte_eth_dev_info *info);

#endif

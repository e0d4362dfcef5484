/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/rss.h"

#include <string.h>
#include <sys/random.h>

#define TCP_TUPLES (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)
#define UDP_TUPLES (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)

static bool able(const struct port *p, const struct rte_eth_dev_info *info)
{
    return p->rx_queues > 1 && info->reta_size > 0 && info->reta_size <= PORT_RETA &&
           info->hash_key_size >= PORT_RSS_KEY_LEAST && info->hash_key_size <= PORT_RSS_KEY &&
           (info->flow_type_rss_offloads & TCP_TUPLES) == TCP_TUPLES;
}

void rss_ask(struct port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
    struct port_rss *r = &p->rss;

    if (!able(p, info) || getrandom(r->key, info->hash_key_size, 0) != (ssize_t)info->hash_key_size)
        return;
    conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf->rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
        .rss_key = r->key,
        .rss_key_len = info->hash_key_size,
        .rss_hf = TCP_TUPLES | (info->flow_type_rss_offloads & UDP_TUPLES),
    };
}

void rss_read(struct port *p, const struct rte_eth_dev_info *info)
{
    struct port_rss *r = &p->rss;
    struct rte_eth_rss_conf conf = {.rss_key = r->key, .rss_key_len = PORT_RSS_KEY};
    struct rte_eth_rss_reta_entry64 reta[PORT_RETA / RTE_ETH_RETA_GROUP_SIZE];

    r->known = false;
    if (!able(p, info) || rte_eth_dev_rss_hash_conf_get(p->id, &conf) < 0 || !conf.rss_key ||
        (conf.rss_hf & TCP_TUPLES) != TCP_TUPLES)
        return;
    memset(reta, 0, sizeof(reta));
    for (unsigned i = 0; i < PORT_RETA / RTE_ETH_RETA_GROUP_SIZE; i++)
        reta[i].mask = UINT64_MAX;
    if (rte_eth_dev_rss_reta_query(p->id, reta, info->reta_size) < 0)
        return;
    for (unsigned i = 0; i < info->reta_size; i++) {
        uint16_t q = reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
        if (q >= p->rx_queues)
            return;
        r->queue[i] = (uint8_t)q;
    }
    r->key_len = info->hash_key_size;
    r->reta_size = info->reta_size;
    r->known = true;
}

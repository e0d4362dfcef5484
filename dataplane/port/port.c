/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/port.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <strings.h>
#include <sys/socket.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/port/link.h"
#include "dataplane/port/probe.h"
#include "dataplane/port/quiet.h"
#include "dataplane/port/rss.h"

#define TX_DESCRIPTORS 1024
#define MBUFS_RX       8191 /* AF_XDP's fill ring takes 2048 before a packet is here */
#define MBUFS_TX       4095
#define MBUF_CACHE     256

struct report { /* where an error goes */
    const struct port_config *config;
    char *text;
    size_t len;
};

static void __attribute__((format(printf, 3, 4)))
fail(const struct report *r, const char *key, const char *format, ...)
{
    va_list args;
    int n = snprintf(r->text, r->len, "%s.%s: ", r->config->name, key);
    if (n < 0 || (size_t)n >= r->len)
        return;
    va_start(args, format);
    vsnprintf(r->text + n, r->len - (size_t)n, format, args);
    va_end(args);
}

static const char *const driver_text[] = {
    [PORT_AUTO] = "auto", [PORT_AF_XDP] = "af_xdp", [PORT_AF_PACKET] = "af_packet",
    [PORT_TAP] = "tap",   [PORT_RING] = "ring",     [PORT_DPDK] = "dpdk",
};

const char *port_driver_text(enum port_driver d)
{
    return driver_text[d];
}

bool port_driver_parse(const char *text, enum port_driver *out)
{
    for (unsigned i = 0; i < sizeof(driver_text) / sizeof(driver_text[0]); i++)
        if (strcasecmp(text, driver_text[i]) == 0) {
            *out = (enum port_driver)i;
            return true;
        }
    return false;
}

/* --- the device, by driver -------------------------------------------------------------------- */

/* A ring port's MAC: locally administered, made of its first address. */
static void ring_mac(const struct port_config *c, uint8_t mac[6])
{
    uint8_t fold[4] = {0};
    for (unsigned i = 0; i < 16; i++)
        fold[i % 4] ^= c->address[0].ip.b[i];
    mac[0] = 0x02;
    mac[1] = 0xca;
    memcpy(mac + 2, fold, 4);
}

static int make_ring(struct port *p)
{
    struct port_link *l = p->config.link;
    char name[RTE_ETH_NAME_MAX_LEN];

    if (!l)
        return -1;
    struct rte_ring *rx[PORT_QUEUES], *tx[PORT_QUEUES];
    for (unsigned q = 0; q < p->rx_queues; q++) {
        rx[q] = l->way[p->config.end + 2 * q].ring;
        tx[q] = l->way[(p->config.end ^ 1) + 2 * q].ring;
    }
    snprintf(name, sizeof(name), "%.24s", rx[0]->name);
    int id = rte_eth_from_rings(name, rx, p->rx_queues, tx, p->tx_queues, 0);
    if (id < 0)
        return -1;
    p->id = (uint16_t)id;
    p->pretend = p->config.offload;
    return 0;
}

static int make_device(struct port *p, unsigned queues)
{
    char args[160];
    const char *device = p->config.device;

    p->rx_queues = p->tx_queues = (uint16_t)queues;
    switch (p->driver) {
    case PORT_AF_XDP:
        /* busy_budget: else each empty poll is a system call */
        snprintf(args, sizeof(args), "iface=%s,start_queue=0,queue_count=%u,busy_budget=0", device,
                 queues);
        return probe_device("net_af_xdp", args, &p->id);
    case PORT_AF_PACKET:
        snprintf(args, sizeof(args), "iface=%s,qpairs=%u", device, queues);
        return probe_device("net_af_packet", args, &p->id);
    case PORT_TAP:
        snprintf(args, sizeof(args), "iface=%s", device);
        return probe_device("net_tap", args, &p->id);
    case PORT_DPDK:
        return probe_devargs(device, &p->id);
    default:
        return make_ring(p);
    }
}

/* --- start, step by step ---------------------------------------------------------------------- */

static int make_pools(struct port *p, unsigned workers)
{
    static unsigned made; /* pools have names that EAL wants unique in the process */
    char name[RTE_MEMPOOL_NAMESIZE];
    for (unsigned w = 0; w < workers; w++) {
        snprintf(name, sizeof(name), "coral%u", __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED));
        p->pool[w] =
            rte_pktmbuf_pool_create(name, w < p->rx_queues ? MBUFS_RX : MBUFS_TX, MBUF_CACHE,
                                    PORT_PRIVATE, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
        if (!p->pool[w])
            return -1;
    }
    return 0;
}

static int configure(struct port *p)
{
    struct rte_eth_dev_info info;
    struct rte_eth_conf conf = {0};
    const uint64_t sums = RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    const uint64_t rx_sums =
        RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;

    if (rte_eth_dev_info_get(p->id, &info) < 0)
        return -1;
    /* Never MBUF_FAST_FREE: it skips the callback that gives references back. */
    p->multi_seg = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    /* AF_PACKET copies anyhow: one copy of ours, summed on the way, is less. A device's DMA does
     * not reach the cache's memory. */
    if (p->driver == PORT_AF_PACKET || p->driver == PORT_DPDK)
        p->multi_seg = false;
    if (p->multi_seg)
        conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    if (p->config.offload && (info.tx_offload_capa & sums) == sums) {
        conf.txmode.offloads |= sums;
        p->tx_checksum = true;
        /* net_tap adds up each segment as if it began at an even place (22.11.11) */
        p->even_parts = p->driver == PORT_TAP;
    }
    if (p->config.offload && (info.rx_offload_capa & rx_sums) == rx_sums) {
        conf.rxmode.offloads |= rx_sums;
        p->rx_checksum = true;
    }
    /* not TAP: it cuts by rte_gso, in pieces that its own sums get wrong (even_parts), IPv4 only */
    const uint64_t tso = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
    if (p->tx_checksum && p->multi_seg && p->driver != PORT_TAP &&
        (info.tx_offload_capa & tso) == tso) {
        conf.txmode.offloads |= tso;
        p->tso = true;
    }
    if (p->pretend)
        p->rx_checksum = p->tx_checksum = true;
    rss_ask(p, &info, &conf);
    conf.intr_conf.rxq = p->driver == PORT_TAP;
    return rte_eth_dev_configure(p->id, p->rx_queues, p->tx_queues, &conf);
}

/* Sets up queues; AF_XDP's sockets appear here, one a queue. */
static int queues_up(struct port *p)
{
    struct sockets before, after;

    for (uint16_t q = 0; q < p->rx_queues; q++) {
        unsigned owner = q % PORT_WORKERS;
        struct rte_mempool *pool = p->pool[owner] ? p->pool[owner] : p->pool[0];
        probe_sockets(AF_XDP, &before);
        /* checked: rte_eth_dev_start would return 0 all the same, with a mute port */
        if (rte_eth_rx_queue_setup(p->id, q, PORT_RX_FRAMES, SOCKET_ID_ANY, NULL, pool) < 0)
            return -1;
        probe_sockets(AF_XDP, &after);
        if (p->driver == PORT_AF_XDP)
            probe_sockets_new(&before, &after, &p->fd[q], 1);
    }
    for (uint16_t q = 0; q < p->tx_queues; q++)
        if (rte_eth_tx_queue_setup(p->id, q, TX_DESCRIPTORS, SOCKET_ID_ANY, NULL) < 0)
            return -1;
    return 0;
}

static int start(struct port *p)
{
    struct rte_ether_addr mac;
    struct rte_eth_dev_info info;

    if (rte_eth_dev_start(p->id) < 0 || rte_eth_dev_info_get(p->id, &info) < 0)
        return -1;
    rss_read(p, &info);
    /* neighbour discovery comes by multicast; not every driver knows the fine way, and virtual
     * ones need neither */
    if (rte_eth_allmulticast_enable(p->id) < 0)
        rte_eth_promiscuous_enable(p->id);
    if (p->driver == PORT_RING) {
        ring_mac(&p->config, p->mac);
        for (unsigned q = 0; q < p->rx_queues; q++)
            p->fd[q] = port_link_fd(p->config.link, p->config.end + 2 * q);
        if (p->rx_queues > 1)
            port_link_rss(p->rx_queues, &p->rss);
        return 0;
    }
    if (rte_eth_macaddr_get(p->id, &mac) < 0)
        return -1;
    memcpy(p->mac, mac.addr_bytes, 6);
    if (p->driver == PORT_TAP)
        p->mac[5] ^= 1; /* the driver gives its own to the kernel's end, too */
    for (uint16_t q = 0; p->driver == PORT_TAP && q < p->rx_queues; q++)
        p->fd[q] = rte_eth_dev_rx_intr_ctl_q_get_fd(p->id, q);
    return 0;
}

static void drop_device(struct port *p)
{
    struct quiet q;
    struct rte_eth_dev_info info = {0};

    quiet_begin(&q);
    rte_eth_dev_info_get(p->id, &info);
    rte_eth_dev_stop(p->id);
    rte_eth_dev_close(p->id);
    if (info.device)
        rte_dev_remove(info.device);
    quiet_end(&q, false);
    for (unsigned w = 0; w < PORT_WORKERS; w++)
        if (p->pool[w]) {
            /* frames of ours may still lie in the rings of others: then their pool stays */
            if (rte_mempool_full(p->pool[w]))
                rte_mempool_free(p->pool[w]);
            p->pool[w] = NULL;
        }
}

/* Makes, configures and starts the device. false with what was said in the error. */
static bool bring_up(struct port *p, unsigned workers, unsigned queues, const struct report *r)
{
    char said[160], lacks[96];
    struct sockets before, after;
    struct quiet q;

    for (unsigned i = 0; i < PORT_QUEUES; i++)
        p->fd[i] = -1;
    if (!probe_may(p->driver, lacks, sizeof(lacks))) {
        fail(r, "driver", "%s needs the capabilities %s; run as root, or grant them",
             port_driver_text(p->driver), lacks);
        return false;
    }
    probe_sockets(AF_PACKET, &before);
    if (make_device(p, queues) < 0) {
        port_eal_said(said, sizeof(said));
        fail(r, "device", "%s on \"%s\" could not be started (%s)", port_driver_text(p->driver),
             p->config.device, said[0] ? said : "the driver gives no reason");
        return false;
    }
    probe_sockets(AF_PACKET, &after);
    if (p->driver == PORT_AF_PACKET)
        probe_merge_off(p->config.device);
    if (p->driver == PORT_AF_PACKET)
        probe_sockets_new(&before, &after, p->fd, queues);

    port_said_clear();
    if (make_pools(p, workers) < 0) {
        fail(r, "device", "not enough memory for packet buffers (%s); free some, or fewer workers",
             rte_strerror(rte_errno));
        drop_device(p);
        return false;
    }
    quiet_begin(&q);
    bool ok = configure(p) >= 0 && queues_up(p) >= 0 && start(p) >= 0;
    quiet_end(&q, !ok);
    if (ok)
        return true;
    port_eal_said(said, sizeof(said));
    fail(r, "device", "%s could not take \"%s\" (%s); does another process use it?",
         port_driver_text(p->driver), p->config.device,
         said[0] ? said : "the driver gives no reason");
    drop_device(p);
    return false;
}

/* AF_XDP with one socket a channel, so that no packet goes where nobody looks. */
static unsigned queue_count(const struct port *p, unsigned workers, unsigned channels)
{
    unsigned n = p->driver == PORT_AF_XDP ? channels
                 : p->driver == PORT_RING ? RTE_MIN(p->config.link->queues, workers)
                                          : workers;
    return n < PORT_QUEUES ? n : PORT_QUEUES;
}

static bool check_interface(struct port *p, struct interface *i, const struct report *r)
{
    probe_interface(p->config.device, i);
    if (!i->exists) {
        fail(r, "device", "no interface \"%s\"; `ip link` lists those there are", p->config.device);
        return false;
    }
    if (!i->up) {
        fail(r, "device", "\"%s\" is down; try: ip link set %s up", p->config.device,
             p->config.device);
        return false;
    }
    if (p->config.mtu > i->mtu) {
        fail(r, "mtu", "%u is more than the %u of \"%s\"", p->config.mtu, i->mtu, p->config.device);
        return false;
    }
    return true;
}

static bool open_driver(struct port *p, unsigned workers, const struct report *r)
{
    struct interface i = {.mtu = 1500, .channels = 1};
    bool kernel = p->config.driver != PORT_RING && p->config.driver != PORT_TAP &&
                  p->config.driver != PORT_DPDK;

    if (kernel && !check_interface(p, &i, r))
        return false;
    if (p->config.driver != PORT_RING && (p->claim = probe_claim(p->config.device)) < 0) {
        fail(r, "device",
             "\"%s\" belongs to another corald that runs; stop that one first, or take "
             "another interface",
             p->config.device);
        return false;
    }
    p->mtu = p->config.mtu ? p->config.mtu : (uint16_t)RTE_MIN(i.mtu, PORT_MTU_MAX);
    if (p->config.driver != PORT_AUTO) {
        p->driver = p->config.driver;
        return bring_up(p, workers, queue_count(p, workers, i.channels), r);
    }
    p->driver = PORT_AF_XDP;
    if (bring_up(p, workers, queue_count(p, workers, i.channels), r))
        return true;
    snprintf(p->note, sizeof(p->note), "%.*s", (int)RTE_MIN(r->len, sizeof(p->note) - 1), r->text);
    p->multi_seg = p->rx_checksum = p->tx_checksum = false;
    p->tso = p->even_parts = false;
    p->driver = PORT_AF_PACKET;
    return bring_up(p, workers, queue_count(p, workers, i.channels), r);
}

struct port *port_open(const struct port_config *config, unsigned workers, char *error,
                       size_t error_len)
{
    const struct report r = {config, error, error_len};
    struct port *p = calloc(1, sizeof(*p));

    if (!p) {
        fail(&r, "device", "out of memory");
        return NULL;
    }
    p->config = *config;
    p->claim = -1;
    if (workers == 0 || workers > PORT_WORKERS) {
        fail(&r, "device", "%u workers; 1 to %u are possible", workers, PORT_WORKERS);
    } else if (config->mtu && (config->mtu < 1280 || config->mtu > PORT_MTU_MAX)) {
        fail(&r, "mtu", "%u is not possible; 1280 to %u are", config->mtu, PORT_MTU_MAX);
    } else if (open_driver(p, workers, &r)) {
        return p;
    }
    if (p->claim >= 0)
        close(p->claim);
    free(p);
    return NULL;
}

void port_close(struct port *p)
{
    if (!p)
        return;
    drop_device(p);
    if (p->claim >= 0)
        close(p->claim);
    free(p);
}

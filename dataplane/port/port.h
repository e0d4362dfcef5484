/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: EAL started from our own configuration, and Ethernet ports of DPDK behind one small
 * struct that says what each of them can do. What a port lacks is done above it in software
 * (DESIGN decision 9): nothing is assumed.
 *
 *   port_eal_start()           once a process
 *   port_open() ... port_close()    by the thread that creates a node
 *   port_rx(), port_tx()       by the worker that has the queue, no other
 *
 * Queue q of a port is polled by worker q mod workers; worker w sends on queue w where there is
 * one, else its frames leave through worker 0 (dataplane/worker/tx.c).
 */
#ifndef CORAL_PORT_H
#define CORAL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/net/net.h"

#define PORT_WORKERS   16
#define PORT_QUEUES    16
#define PORT_BURST     32
#define PORT_RX_FRAMES 1024 /* that a queue has room for, until they are taken */
#define PORT_MTU_MAX   1900 /* a frame fits one mbuf */

/* --- EAL -------------------------------------------------------------------------------------- */

struct eal_config {
    char name[48];       /* file prefix: one a process */
    size_t memory_bytes; /* what ports and rings will take: port_eal_memory() */
    bool no_hugepages;   /* do not even try */
};

/* What `ports` ports with `workers` workers take, for eal_config.memory_bytes. */
size_t port_eal_memory(unsigned ports, unsigned workers);
/* Starts EAL. 0, or -1 with one clear line in `error`; nothing of EAL's own reaches stdout or
 * stderr. Once a process: EAL cannot be started again after a failure. */
int port_eal_start(const struct eal_config *config, char *error, size_t error_len);
void port_eal_stop(void);
/* Whether EAL's memory is in hugepages. */
bool port_eal_hugepages(void);
/* Free 2 MiB pages of the machine, in bytes. */
size_t port_hugepages_free(void);
/* Held from asking what is free to having taken it: nodes that start at the same time on one
 * machine would all count the same pages, and EAL has no second try. Waits a few seconds at most.
 */
int port_hugepages_lock(void);
void port_hugepages_unlock(int lock);
/* The last line that EAL or a driver logged as an error, "" when there was none. */
void port_eal_said(char *out, size_t len);

/* --- ports ------------------------------------------------------------------------------------ */

enum port_driver { PORT_AUTO, PORT_AF_XDP, PORT_AF_PACKET, PORT_TAP, PORT_RING, PORT_DPDK };
const char *port_driver_text(enum port_driver d);
/* "af_xdp" and so on; false when it is none. */
bool port_driver_parse(const char *text, enum port_driver *out);

struct port_link;

struct port_config {
    char name[32]; /* how messages call it: "ports[0]" */
    enum port_driver driver;
    char device[96]; /* the interface; TAP: the one to make; DPDK: as rte_dev_probe takes it */
    uint16_t mtu;    /* 0: the device's own */
    /* Use the port's checksum offloads where it has them. RING: pretend to have them: what
     * arrives counts as verified, what leaves carries none. */
    bool offload;
    unsigned addresses;
    struct net_address address[NET_ADDRESSES];
    struct addr gateway_v4, gateway_v6; /* zero: none */
    struct port_link *link;             /* RING: the cable, and the end that is ours */
    unsigned end;
};

/* How a port spreads TCP over its queues: Toeplitz over (source, destination, their ports) of
 * IPv4 and IPv6, the hash's low bits an index into a table of queues. */
#define PORT_RSS_KEY       52
#define PORT_RSS_KEY_LEAST 40
#define PORT_RETA          512
struct port_rss {
    bool known; /* else the port has one queue, or its own secret way */
    uint8_t key_len;
    uint8_t key[PORT_RSS_KEY];
    uint16_t reta_size;
    uint8_t queue[PORT_RETA];
};

struct port {
    struct port_config config;
    enum port_driver driver; /* the one taken: never PORT_AUTO */
    char note[192];          /* AUTO: why AF_XDP was not taken; else "" */
    uint16_t id;             /* ethdev's number */
    uint16_t rx_queues, tx_queues, mtu;
    uint8_t mac[6];
    bool rx_checksum, tx_checksum; /* done by the port */
    bool tso;                      /* it cuts large segments itself */
    bool even_parts;               /* its sums are wrong after a part of odd length */
    bool pretend;                  /* RING with offload */
    struct port_rss rss;
    bool multi_seg;                         /* takes frames of several segments */
    struct rte_mempool *pool[PORT_WORKERS]; /* worker w allocates frames for this port here */
    int claim;                              /* probe_claim's, -1: none */
    int fd[PORT_QUEUES];                    /* readable when queue q has a packet; -1: none */
};

/* Opens and starts a port for so many workers. NULL with one clear line in `error`. */
struct port *port_open(const struct port_config *config, unsigned workers, char *error,
                       size_t error_len);
void port_close(struct port *p);

/* --- in-memory links -------------------------------------------------------------------------- */

/*
 * A cable with two ends. A PORT_RING port is plugged into one; a test's switch, or a load
 * generator, holds the other. Frames are mbufs, handed over without a copy: who receives one
 * frees it. Each end has an eventfd, written only while that end says that it sleeps.
 */
struct port_link *port_link_new(const char *name, unsigned slots); /* slots: a power of two */
/* With so many queues, PORT_QUEUES at most and no more than the node's workers, each a cable: `end`
 * is then 0 or 1, and 2 more a queue, in all that follows; the port plugged in has one of 0 or 1.
 * Who sends spreads TCP as port_link_rss says. */
struct port_link *port_link_new_queues(const char *name, unsigned slots, unsigned queues);
void port_link_rss(unsigned queues, struct port_rss *rss);
void port_link_free(struct port_link *l);
/* Frees the frames that lie in it, both ways; before the nodes whose bytes they may carry. */
void port_link_drain(struct port_link *l);
/* From and to `end`, for what is no port. Both return how many frames they moved. */
unsigned port_link_send(struct port_link *l, unsigned end, struct rte_mbuf **m, unsigned n);
unsigned port_link_receive(struct port_link *l, unsigned end, struct rte_mbuf **m, unsigned n);
/* The sleeper's side: arm, look at port_link_pending once more, poll port_link_fd, disarm. */
int port_link_fd(const struct port_link *l, unsigned end);
void port_link_arm(struct port_link *l, unsigned end);
void port_link_disarm(struct port_link *l, unsigned end);
bool port_link_pending(const struct port_link *l, unsigned end);
/* Wakes the other end if it sleeps; after frames were put into its ring. */
void port_link_wake(struct port_link *l, unsigned end);

/* For writing, out of another core's cache in one step instead of two: what frees a frame is often
 * another core. The instruction does nothing where it is not known. */
static inline void port_prefetch_write(const void *p)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
    __builtin_prefetch(p, 1);
#endif
}

/* --- bursts ----------------------------------------------------------------------------------- */

static inline unsigned port_rx(struct port *p, uint16_t queue, struct rte_mbuf **m, unsigned n)
{
    return rte_eth_rx_burst(p->id, queue, m, (uint16_t)n);
}

/* Returns how many frames the port took; the rest stay the caller's. */
static inline unsigned port_tx(struct port *p, uint16_t queue, struct rte_mbuf **m, unsigned n)
{
    unsigned sent = rte_eth_tx_burst(p->id, queue, m, (uint16_t)n);
    if (p->driver == PORT_RING && sent)
        port_link_wake(p->config.link, p->config.end + 2u * queue);
    return sent;
}

/* Whether the port has verified this frame's IP and L4 checksums. */
static inline bool port_checksum_good(const struct port *p, const struct rte_mbuf *m)
{
    if (p->pretend)
        return true;
    uint64_t ip = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    uint64_t l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    /* IPv6 has no header checksum, ports then leave the first field alone */
    return p->rx_checksum && l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD &&
           (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD || (m->packet_type & RTE_PTYPE_L3_IPV6));
}

/* Per-packet state of the worker, in each mbuf's private area. */
#define PORT_PRIVATE 128

#endif

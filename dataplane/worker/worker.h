/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to worker/: a node and its workers from inside.
 *
 *   node.c      a node's life            rx.c      frames in, whose they are
 *   parts.c     a worker's engines       udp.c     DNS, index and resolver datagrams
 *   loop.c      one turn                 tx.c      frames out
 *   sleep.c     threads, idling          emit.c    TCP segments and datagrams into frames
 *   messages.c  between workers          wait.c    frames that wait for a neighbour
 *   view.c      from and to control      dns_tcp.c DNS over TCP
 *   steer.c     RSS: tuples and ports     probe.c   datagrams that show the way
 *   warm.c      objects that outlive a run         access.c  records of the access log
 *   reference.c bytes sent from where they rest
 */
#ifndef CORAL_WORKER_WORKER_H
#define CORAL_WORKER_WORKER_H

#include <pthread.h>

#include <rte_rcu_qsbr.h>

#include "dataplane/worker/counters.h"
#include "dataplane/worker/node.h"
#include "dataplane/worker/sleeper.h"
#include "dataplane/worker/steer.h"

#define WORKER_DNS_PORT 53
#define WORKER_OUT      64 /* frames that wait for a port, per worker and port */
#define WORKER_SPARE    32 /* empty frames kept at hand, per worker and port */
#define WORKER_RESERVE                                                                             \
    16 /* of both, what only frames without TCP data may take: answers to SYNs, ACKs,              \
        * resets, DNS, index, ARP, ND and ICMP go out when bodies cannot */
#define WORKER_CUT      16   /* segments of a burst that is cut here, at most */
#define WORKER_WAIT     64   /* frames that wait for a neighbour */
#define WORKER_MESSAGES 4096 /* ring of messages, per worker */
#define WORKER_COMMANDS 256
#define WORKER_HANDOVER 1024 /* frames on their way to another worker */
#define WORKER_EVENTS   2048
#define WORKER_ACCESS   (4u << 20) /* bytes of access records: 100 ms of 200 000 a second */
#define WORKER_TURN     64         /* messages handled a turn */
#define WORKER_PROBES   32         /* that an answer is known by: more than control has under way */
#define WORKER_SHOWN    4096       /* connections looked at a turn, for who asks to see them */
#define WORKER_COPY     512        /* a span up to this is copied rather than referenced */
#define PROTOCOL_TCP    6
#define PROTOCOL_UDP    17

/* Worker's own messages. */
enum worker_message {
    WORKER_NEIGHBOUR = MESSAGE_WORKER, /* body: struct worker_neighbour */
    WORKER_ICMP,                       /* body: struct net_icmp_error */
    WORKER_ICMP_DATAGRAM,              /* body: struct net_icmp_datagram */
};
struct worker_neighbour {
    uint8_t port, mac[6];
    struct addr ip;
};

/* What a frame's private area holds: the parse, while it goes to another worker. */
struct frame_parsed {
    struct net_packet packet;
    uint8_t port;
};
static_assert(sizeof(struct frame_parsed) <= PORT_PRIVATE, "fits the private area");

struct worker;
struct frame_reference;

/* Empty frames, taken from the pool and not yet looked at. */
struct worker_frames {
    unsigned n;
    struct rte_mbuf *frame[WORKER_RESERVE + WORKER_CUT + WORKER_SPARE];
};

/* A worker's side of one port. */
struct worker_port {
    struct worker *worker;
    uint8_t index;
    struct port *port;
    struct net *net;
    struct rte_ring *inbox; /* frames of workers without a queue of their own */
    unsigned n;             /* frames in out[] */
    struct rte_mbuf *out[WORKER_OUT];
    struct worker_frames spare;     /* to be written into */
    struct worker_frames bare;      /* to carry a reference */
    struct frame_reference *record; /* of the last reference in out[], if none has gone out since */
};

/* A frame that waits for its next hop's MAC. Linear, complete but for Ethernet and IP. */
struct worker_wait {
    struct rte_mbuf *frame; /* NULL: free */
    struct addr src, dst;
    uint8_t port, protocol;
    uint64_t until_us;
};

/* A probe that went out. */
struct worker_probe {
    struct addr to;
    uint16_t token;
    uint64_t sent_us; /* 0: answered, or none */
};

struct worker {
    struct node *node;
    unsigned id;
    struct now now; /* of this turn */
    bool online;    /* in QSBR */
    bool announced;
    bool busy;               /* the turn before had work */
    bool full;               /* a port's ring had more than it holds, when that was looked at */
    uint64_t probed_us;      /* the last time, */
    uint32_t behind;         /* turns that these are long then, at most, in this one */
    bool neighbour_new;      /* frames in wait[] may go now */
    uint32_t wake;           /* bit w: worker w got something this turn */
    bool event_new;          /* control did */
    unsigned waiting;        /* frames in wait[] */
    uint64_t tick_us;        /* when net_tick is due */
    const struct view *view; /* of this turn */
    uint64_t view_version;
    struct rng rng;
    struct worker_counters counters;
    struct worker_port port[NODE_PORTS];
    struct tcp_engine *tcp;
    struct http_server *server;
    struct http_client *client;
    struct proxy *proxy;
    struct dht_mac *mac;
    struct dht_arena *arena;
    struct dht_store *store;
    struct dht_asker *asker;
    struct resolver *resolver;
    struct dns_tcp *dns_tcp;
    struct dns_counters dns_counters;
    struct node_tcp *show, **show_tail;  /* being answered, oldest first */
    struct node_lent *over, **over_tail; /* to be given back to control, oldest first */
    struct node_save *save;              /* being filled; NULL: none */
    struct node_load *load[2];           /* being taken over, in order */
    unsigned access_want;                /* as told to the proxy */
    uint16_t probe_port;                 /* where probes come from, nothing else does */
    unsigned probes;                     /* sent; the latest are in probe[] */
    struct worker_probe probe[WORKER_PROBES];
    struct worker_wait wait[WORKER_WAIT];
    struct frame_reference *reference, *reference_free;
    unsigned references_left;
    pthread_t thread;
    bool started;
    struct net_counters net_total; /* control's: the sum over ports that node_stats gives */
    /* written by others */
    struct sleeper sleeper __rte_cache_aligned;
    struct rte_ring *messages, *commands;
    struct rte_ring *handover; /* struct rte_mbuf * */
    struct rte_ring *returns;  /* struct frame_reference *: a slot for each */
    struct rte_ring *access;   /* access records, in units */
};

struct node {
    struct node_config config;
    unsigned workers;
    struct worker *worker[NODE_WORKERS];
    struct dht_store *store_of[DHT_SHARDS]; /* the workers' */
    struct port *port[NODE_PORTS];
    struct cache *cache;
    void *memory; /* the cache's */
    size_t memory_bytes;
    struct rte_rcu_qsbr *qsbr;
    struct hash_secret steering; /* which worker a tuple belongs to */
    /* the same by the port's own RSS where that is known, else NULL; immutable */
    struct steer *steer[NODE_PORTS];
    uint8_t store_seed[32];
    const struct view *view; /* release-stored by control */
    unsigned access_want;    /* enum access_want, stored by control */
    struct rte_ring *events;
    struct sleeper event; /* asleep: 1 when control wants the eventfd written */
    bool stop;
};

/* parts.c */
bool parts_create(struct worker *w, const struct view *view, struct rng *seeds, struct now now,
                  char *error, size_t error_len);
void parts_destroy(struct worker *w);

/* rx.c: all that waits, at most a burst a queue; true when there was something. Sets `behind`. */
bool rx_poll(struct worker *w);
/* Puts a frame into the ring of worker `to`; drops it when that is full. */
void rx_hand_over(struct worker *w, unsigned to, struct rte_mbuf *m, const struct net_packet *p,
                  uint8_t port);
/* Which worker a parsed packet belongs to; -1: nobody. */
int rx_owner(struct worker *w, const struct net_packet *p);
/* The one worker that has, or may have, the TCP connection of a tuple: every segment and every
 * word about it goes there first, so only that one answers with a reset. */
unsigned worker_of_tuple(const struct worker *w, const struct endpoint *local,
                         const struct endpoint *remote);
unsigned worker_of_shard(const struct node *n, unsigned shard);

/* udp.c */
struct udp_packet { /* a datagram, its frame, and the port that it came through */
    const struct net_packet *packet;
    struct rte_mbuf *frame;
    uint8_t port;
};
/* Takes the frames: answers go out in them. */
void udp_dns(struct worker *w, const struct udp_packet *p, unsigned n);
void udp_dht(struct worker *w, const struct udp_packet *p, unsigned n);
void udp_other(struct worker *w, const struct udp_packet *p);

/* emit.c */
bool emit_segment(void *ctx, const struct tcp_out *out); /* tcp_host.emit */
unsigned emit_room(void *ctx, const struct addr *src, const struct addr *dst,
                   unsigned wanted); /* tcp_host.room */
bool emit_datagram(void *ctx, uint16_t from_port, const struct endpoint *to, const void *data,
                   size_t len); /* datagram_out.send */
/* Sends the datagram whose data, `len` bytes, start 8 bytes into the frame's data. Takes the
 * frame, whatever happens. */
bool emit_udp(struct worker *w, uint8_t port, struct rte_mbuf *m, const struct endpoint *from,
              const struct endpoint *to, size_t len);
/* The port that has this address of ours. */
uint8_t emit_port(const struct worker *w, const struct addr *ours);
/* Our address and port that talk to `dst`; false: none of its family. */
bool emit_route(struct worker *w, const struct addr *dst, uint8_t *port, struct addr *src);

/* tx.c */
struct rte_mbuf *tx_frame(struct worker *w, uint8_t port);     /* NULL: counted */
struct rte_mbuf *tx_reference(struct worker *w, uint8_t port); /* one that bytes are attached to */
/* Makes a frame that came in an empty one, whose data start at `l4` in it and may have `most`
 * bytes. False: others read it, too, or it has no such room. */
bool tx_reuse(struct rte_mbuf *m, const uint8_t *l4, size_t most);
bool tx_room(struct worker *w, uint8_t port); /* may one more be sent now? */
/* The same for segments with data, which leave the reserve alone: how many, of `wanted`, at most
 * WORKER_CUT; with them there are frames for all references of a burst. */
unsigned tx_room_data(struct worker *w, uint8_t port, unsigned wanted);
void tx_send(struct worker *w, uint8_t port, struct rte_mbuf *m); /* after tx_room */
bool tx_raw(void *ctx, const void *frame, size_t len); /* net_host.send; ctx: worker_port */
/* Hands everything to ports and rings; true when some had to stay. */
bool tx_flush(struct worker *w);
void tx_drop_all(struct worker *w);

/* reference.c */
bool reference_create(struct worker *w);
void reference_destroy(struct worker *w);
/* A frame's segment that is the span itself. NULL: no buffer. */
struct rte_mbuf *reference_frame(struct worker *w, uint8_t port, const struct ref *ref);
/* Before frames go out. */
void reference_close(struct worker *w, struct worker_port *wp);
void reference_returned(struct worker *w); /* takes back what the frames gave back */

/* wait.c */
bool wait_add(struct worker *w, uint8_t port, struct rte_mbuf *m, const struct addr *src,
              const struct addr *dst, uint8_t protocol); /* takes the frame; false: dropped */
void wait_poll(struct worker *w);
uint64_t wait_deadline_us(const struct worker *w);

/* messages.c */
bool messages_poll(struct worker *w);
bool message_post(void *ctx, unsigned worker, const struct message *m); /* message_out.post */
void neighbour_learned(void *ctx, const struct addr *ip, const uint8_t mac[6]);
void icmp_heard(void *ctx, const struct net_icmp_error *e); /* net_host.icmp; ctx: worker_port */
void event_post(struct worker *w, const struct node_event *e);
void event_heard(void *ctx, const struct dht_sender *from, const struct dht_tidings *t);
void event_answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                    struct now now);
void event_damaged(void *ctx, const char *url, size_t len); /* proxy_log.damaged */
void event_origin(void *ctx, const char *site, const char *host, uint16_t port, unsigned why,
                  const struct proxy_found *found);       /* proxy_log.origin */
void event_usage(void *ctx, const struct proxy_usage *u); /* proxy_log.usage */
void event_timed_out(void *ctx, const struct dht_id *who, struct now now);
void messages_wake(struct worker *w); /* whom this turn gave something to */

/* probe.c */
void probe_init(struct worker *w);
void probe_send(struct worker *w, const struct node_probe *p);
void probe_heard(void *ctx, const struct net_icmp_datagram *e);       /* net_host.icmp_datagram */
void probe_take(struct worker *w, const struct net_icmp_datagram *e); /* by its port's owner */

/* warm.c */
void warm_save(struct worker *w, struct node_save *s);
void warm_load(struct worker *w, struct node_load *l);
bool warm_poll(struct worker *w);

/* access.c */
struct rte_ring *access_ring_new(void);
void access_put(void *ctx, const struct access_record *a); /* proxy_log.access */
void access_load(struct worker *w);                        /* what is wanted, once a turn */

/* view.c */
void view_load(struct worker *w);

/* dns_tcp.c */
struct dns_tcp *dns_tcp_create(struct worker *w);
void dns_tcp_destroy(struct dns_tcp *d);
bool dns_tcp_accept(void *ctx, struct stream *s, struct now now);
void dns_tcp_poll(struct dns_tcp *d, struct now now);
uint64_t dns_tcp_deadline_us(const struct dns_tcp *d);

#endif

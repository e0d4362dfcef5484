/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A flash crowd on virtual time: eight whole nodes in one process, in two clusters, the clients
 * and the origin, and between them links that have a delay and nothing else.
 *
 *   clients of cluster 0 --1-- 4 nodes --40-- 4 nodes --1-- clients of cluster 1     ms, one way
 *                              0.5 among them, 20 from each to the origin
 *
 *   flash.c         a run, its figures        flash_clients.c   the open loop
 *   flash_world.c   nodes and their clock     flash_origin.c    who asks it for what
 *   flash_links.c   frames on their way
 *
 * Time goes from one frame, timer or request to the next, and a seed replays a run: its figures are
 * the same on any machine.
 */
#ifndef CORAL_PERF_FLASH_H
#define CORAL_PERF_FLASH_H

#include "base/rng.h"
#include "dataplane/worker/node.h"
#include "perf/perf.h"
#include "perf/schedule.h"
#include "perf/zipf.h"

#define FLASH_CLUSTERS      2
#define FLASH_CLUSTER_NODES 4
#define FLASH_NODES         (FLASH_CLUSTERS * FLASH_CLUSTER_NODES)
#define FLASH_HOST          FLASH_NODES /* the place of clients and origin */
#define FLASH_PLACES        (FLASH_NODES + 1)

/* One way, microseconds. */
#define FLASH_NEAR_US   500   /* between nodes of a cluster: a round trip of 1 ms, */
#define FLASH_FAR_US    40000 /* of two: 80 ms */
#define FLASH_CLIENT_US 1000  /* between clients and the nodes of their cluster */
#define FLASH_ORIGIN_US 20000 /* between any node and the origin, */
#define FLASH_THINK_US  10000 /* which answers after so long */

#define FLASH_SITE        "www.perf.test"
#define FLASH_ORIGIN_PORT 8000
#define FLASH_SIZE_MAX    65536
#define FLASH_SALT        4096 /* bodies differ by where in `bytes` they begin */

/* --- flash_links.c ---------------------------------------------------------------------------- */

/* Frames that take equally long, in the order in which they came: a ring. */
struct flash_way {
    uint32_t delay_us;
    uint32_t first, n, room; /* room: a power of two */
    struct flash_frame {
        uint64_t due_us;
        struct rte_mbuf *frame;
        uint32_t to; /* place */
    } * at;
};
enum { FLASH_AT_ONCE, FLASH_NEAR, FLASH_CLIENT, FLASH_ORIGIN, FLASH_FAR, FLASH_WAYS };
struct flash_links {
    struct flash_way way[FLASH_WAYS];
    uint64_t dropped; /* of nobody's, or found no room */
};

struct addr flash_node_ip(unsigned node);
struct addr flash_client_ip(unsigned cluster);
struct addr flash_origin_ip(void);
/* Which cluster the node or client with this address is in. */
unsigned flash_cluster_of(const struct addr *ip);

bool flash_links_open(struct flash_links *l);
void flash_links_close(struct flash_links *l);
/* A frame leaves. */
void flash_links_take(struct flash_links *l, unsigned from, struct rte_mbuf *m, uint64_t now_us);
/* When the next one comes; UINT64_MAX: there is none. */
uint64_t flash_links_due_us(const struct flash_links *l);
/* One that has come by now and its place; NULL: none. */
struct rte_mbuf *flash_links_give(struct flash_links *l, uint64_t now_us, unsigned *to);

/* --- flash_world.c ---------------------------------------------------------------------------- */

struct flash_world {
    struct now now;
    struct port_link *link[FLASH_PLACES]; /* of nodes end 1 is ours, of the host end 0 */
    struct node *node[FLASH_NODES];
    struct view view[FLASH_NODES];
    struct dht_contact contact[FLASH_NODES];
    struct proxy_policy policy;
    struct proxy_site site;
    struct host host;
    struct flash_links links;
    uint64_t due_us[FLASH_PLACES], turned_us[FLASH_PLACES]; /* the next turn, the last one */
};

/* After EAL. False with `error`. */
bool flash_world_open(struct flash_world *w, uint64_t seed, size_t cache_bytes,
                      uint32_t connections, char *error, size_t error_len);
void flash_world_close(struct flash_world *w);
/* Time goes on to what comes next, at most to `until_us`, and who has something to do has a turn.
 */
void flash_world_step(struct flash_world *w, uint64_t until_us);
/* The host has been given something to send. */
void flash_world_host(struct flash_world *w);

/* --- bodies ----------------------------------------------------------------------------------- */

struct flash_bodies {
    uint32_t size; /* of each */
    uint8_t bytes[FLASH_SALT + FLASH_SIZE_MAX];
};
static inline const uint8_t *flash_body(const struct flash_bodies *b, uint32_t object)
{
    return b->bytes + object % FLASH_SALT;
}
/* The number in "GET /00000017.1 ...", behind which is the seed. */
uint32_t flash_object(const uint8_t *request, size_t len);

/* --- flash_origin.c --------------------------------------------------------------------------- */

struct flash_origin;
struct flash_conn {
    struct flash_origin *origin;
    struct stream *stream; /* NULL: closed */
    uint32_t life;         /* which one in this place */
    uint32_t next_free;
};
struct flash_origin {
    const struct flash_bodies *bodies;
    uint32_t objects;
    uint16_t (*asked)[FLASH_CLUSTERS]; /* by object: how often, from where */
    uint64_t requests, unknown;        /* unknown: for what does not exist */
    char head[160];
    uint32_t head_len;
    struct flash_conn *conn;
    uint32_t free_conn, room; /* free_conn: + 1; room: connections, and answers under way */
    struct flash_answer {     /* in the order of their time: a ring */
        uint64_t due_us;
        struct flash_conn *conn;
        uint32_t life, object;
    } * answer;
    uint32_t first, answers;
};
bool flash_origin_open(struct flash_origin *o, struct tcp_engine *tcp,
                       const struct flash_bodies *bodies, uint32_t objects, uint32_t connections);
void flash_origin_close(struct flash_origin *o);
uint64_t flash_origin_due_us(const struct flash_origin *o);
/* Answers what is due. Whether there was any. */
bool flash_origin_turn(struct flash_origin *o, struct now now);

/* --- flash_clients.c -------------------------------------------------------------------------- */

enum flash_served { FLASH_OWN, FLASH_PEER, FLASH_FROM_ORIGIN, FLASH_SERVED };

struct flash_clients;
struct flash_client {
    struct flash_clients *all;
    struct stream *stream; /* NULL: none yet, or closed */
    uint32_t node, next_idle;
    uint32_t object;
    uint64_t left; /* of the body */
    double since_us;
    uint8_t served; /* enum flash_served */
    bool busy, in_body, counted, open;
};
struct flash_clients {
    struct flash_world *world;
    const struct flash_bodies *bodies;
    struct flash_client *client;
    uint32_t clients, room;
    uint32_t idle[FLASH_NODES]; /* the first of those that have nothing to do, + 1; 0: none */
    struct schedule schedule;   /* in nanoseconds */
    struct rng rng;
    struct zipf zipf;
    uint32_t seed;    /* in the names, too: they have other places in the index by it */
    uint32_t objects; /* that exist; the newest is asked for most */
    bool counting;    /* what is asked for now belongs to the measured time */
    uint8_t (*wanted)[FLASH_CLUSTERS]; /* by object: did a client there ask for it? */
    uint64_t waiting;
    uint64_t verified; /* of those that count */
    struct perf_errors errors;
    struct hdr by_cluster[FLASH_CLUSTERS], by_source[FLASH_SERVED], all;
};
bool flash_clients_open(struct flash_clients *c, struct flash_world *w,
                        const struct flash_bodies *bodies, const struct perf_options *o,
                        uint32_t objects, uint32_t room);
void flash_clients_close(struct flash_clients *c);
/* So many exist from now on. */
void flash_clients_born(struct flash_clients *c, uint32_t objects);
/* A request of a client near that node, which is due since then. */
void flash_clients_ask(struct flash_clients *c, unsigned node, uint32_t object, double since_us);
/* When the schedule has the next one. */
uint64_t flash_clients_due_us(const struct flash_clients *c);
/* Asks what is due. */
void flash_clients_turn(struct flash_clients *c);

#endif

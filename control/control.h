/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread: slow and patient beside the workers. It drives membership with what they
 * hear, builds the view that they read, answers the control socket and ends the node. It holds
 * no algorithm of the engines, and waits for no worker: what is replaced is freed when its grace
 * period has passed, what is asked is answered by an event.
 *
 *   main.c      corald's start, step by step       status.c   the answer to `status`
 *   plan.c      configuration -> node              stats.c    the counters' table
 *   control.c   the thread's loop, its end         view.c     parts of the view
 *   publish.c   the view: build, swap, free        server.c   the control socket
 *   jobs.c      requests, at once and later        request.c  a request's line
 *   purge.c     the answers to `purge`
 *   tcp.c       the answers to `tcp`       hints.c    the routers around us
 *   member.c    membership's host          state.c    what is kept over restarts
 *   index.c     the answers to `peers`, `clusters` and `lookup`
 *   restart.c   what the cache had, over restarts; restart_file.c  its file
 *   access*.c   the access log: a thread, its file, the answer to `log`
 *   near.c      who is near an address: the answer to `near`
 *   shares.c    fair shares by site, and the answer to `shares`; fair.c  who is over them
 *   rules.c     the operator's rules: at the start, the answers to `rules`; rules_child.c,
 *               rules_compile.c  the process that compiles expressions; rules_image.c  its bytes
 *   config*.c   the configuration's reader, by schema.h; report.c prints its mistakes
 *   load.c      it, and all that it names; reload.c  the answer to `reload`
 */
#ifndef CORAL_CONTROL_CONTROL_H
#define CORAL_CONTROL_CONTROL_H

#include "control/access.h"
#include "control/config.h"
#include "control/fair.h"
#include "control/near.h"
#include "control/reload.h"
#include "control/request.h"
#include "control/restart.h"
#include "control/rules.h"
#include "control/server.h"
#include "control/view.h"
#include "dataplane/worker/node.h"
#include "dht/hint.h"
#include "dht/trace.h"

#define CONTROL_RETIRED  256 /* replaced parts that wait for their grace period */
#define CONTROL_COMMANDS 256 /* commands that wait for room in a worker's ring */
#define CONTROL_JOBS     SERVER_CLIENTS
/* Pools of what is lent to workers. Pings: the saved contacts at the start and the suspects and
 * candidates of a turn. Walks: those that validate a cluster, at both levels, and the table's. */
#define CONTROL_PINGS   128
#define CONTROL_FINDS   32
#define CONTROL_LOOKUPS 8

/* A part of a view that was replaced. */
struct retired {
    uint64_t token;
    void *part;
    void (*free)(void *part);
};

/* What a worker fills for us; ours again with the answering event. */
struct lent {
    uint32_t job; /* serial of the job that asked */
    bool back;
    max_align_t body[]; /* of the verb: node_fills, node_tcp, node_origins */
};

struct lent_ping {
    struct dht_ping ping;
    bool lent;
};
struct lent_find {
    struct node_find find;
    bool lent;
};
struct lent_lookup {
    uint32_t job;             /* that asked; else */
    struct near_search *near; /* the search that did */
    bool lent;
    struct node_lookup lookup;
};

/* The last change of a cluster. */
struct control_switch {
    struct dht_switch why;
    uint64_t at_us;
    unsigned n; /* so far */
};

/* A request that is answered later. */
struct job {
    bool used;
    uint32_t serial;
    struct request request;
    uint32_t client;
    uint64_t deadline_us;
    unsigned waiting; /* workers that have not answered */
    json_t *answer;   /* it is sent when all workers have passed `token`; NULL: there is none yet */
    uint64_t token;
    struct addr target; /* near: of what */
    uint32_t ticket;    /* log: of the file's opening, or of what is gathered */
    struct lent *lent[NODE_WORKERS];
};

/* Rates are of the last second. */
struct sample {
    uint64_t at_us, requests, queries;
    uint64_t cycles[NODE_WORKERS], busy[NODE_WORKERS];
};

/* Trouble with sites' origins that was told a moment ago: of all workers, so that each is told once
 * a minute, and no more lines in it than there are places. */
#define CONTROL_ORIGINS 32
struct origin_told {
    struct node_origin what;
    uint64_t until_us; /* 0: free */
};

struct control {
    const struct config *config;
    struct config *reloaded; /* that one, if it came by a reload */
    const char *instance;    /* name of the run folder; NULL: by node.name */
    bool hugepages;          /* there were enough for all at the start */
    struct node *node;
    unsigned workers;
    struct dht_member *member;
    struct dht_book *book;
    struct endpoint join[32]; /* the engine refers to them */
    unsigned joins;
    struct control_switch switched[DHT_LEVELS]; /* [0]: unused */
    char state_path[320];
    uint64_t saved_us;
    bool save_failed;
    struct server *server;
    struct access *access;
    struct dht_contact self;
    uint64_t started_us;

    /* view */
    struct view *view;
    uint32_t zone_serial;
    struct retired retired[CONTROL_RETIRED];
    unsigned retirements;

    /* commands that a worker's ring had no room for */
    struct {
        unsigned worker;
        struct message message;
    } command[CONTROL_COMMANDS];
    unsigned commands;

    struct origin_told origin_told[CONTROL_ORIGINS];

    struct lent_ping ping[CONTROL_PINGS];
    struct lent_find find[CONTROL_FINDS];
    struct lent_lookup lookup[CONTROL_LOOKUPS];

    struct job job[CONTROL_JOBS];
    uint32_t job_serial;

    struct sample sample, before;

    struct dht_trace *trace; /* NULL: cluster.hints is off */
    struct dht_hints hints;  /* where we are to be found */
    uint64_t hints_round_us; /* when our surroundings are traced next */
    uint64_t hints_wait_us;  /* from then to the next time */
    struct near near;
    struct restart *restart; /* NULL: the cache starts cold */
    struct control_rules rules;
    struct reload *reload; /* NULL: none runs */
    struct reload_last reloads;
    struct fair *fair;
    uint64_t fair_us; /* its next tick; 0: nothing is used */

    bool draining; /* takes no new connections, finishes what runs */
    bool drained;  /* has finished, or cut what did not */
    bool ending;   /* then the node ends */
    bool stopped;  /* the workers have ended: what was lent to them is ours */
    uint64_t drain_from_us, drain_until_us;
    uint32_t drain_cut; /* connections that were cut when draining was over */
    uint32_t cut;       /* and at the node's end */
};

/* Runs until a signal, or `coralctl stop`, has ended the node. The node is started and its first
 * view published; `view` and its parts become control's. SIGTERM and SIGINT are blocked. Returns
 * the exit status. */
int control_run(struct control *c);
/* Frees view, member, lent memory; the workers are stopped. */
void control_free(struct control *c);

/* publish.c */
/* A first view, before there is a node. NULL: no memory. */
struct view *control_view_first(const struct config *config, struct proxy_policy *policy,
                                struct dht_routes *routes, uint32_t serial);
/* Takes over the membership's table, if it changed, in a new view. */
void control_publish(struct control *c);
/* Has workers judge by another set, which is the view's then. False: no memory, or too many
 * replaced parts wait; `set` is the caller's yet. *token: node_view_done says when none uses the
 * one before. */
bool control_publish_rules(struct control *c, struct rules_set *set, uint64_t *token);
/* Has workers serve by another configuration's policy, likewise; c->config is that one. Its rules
 * may be those of the policy in force. */
bool control_publish_policy(struct control *c, struct proxy_policy *policy, uint64_t *token);
/* Has workers know who is over its share. False: as above, and `shares` is the caller's yet. */
bool control_publish_shares(struct control *c, struct proxy_shares *shares);
/* Frees what no worker can see any more. */
void control_reclaim(struct control *c);

/* jobs.c */
void control_request(void *ctx, uint32_t client, const char *line, size_t len);
/* What jobs_ask lent comes back. */
void control_shown(struct control *c, void *body);
/* What that worker has filled; NULL: it has not answered. */
const void *job_lent(const struct job *j, unsigned worker);
/* Has a worker look up a key for a search; near_looked_up comes. False: too many at once. */
bool control_lookup(struct control *c, unsigned worker, const struct dht_id *key,
                    struct near_search *near);
void control_looked_up(struct control *c, struct node_lookup *lookup, struct now now);
/* It is known who is near a prefix, or that nobody is: who waits for that is told. */
void control_near_done(struct control *c, const struct near_found *found);
/* Answers those whose time is over; returns when to come again. */
uint64_t control_jobs_poll(struct control *c, uint64_t now_us);
/* The node has stopped: last answers. */
void control_jobs_end(struct control *c);
/* Sends a command now, or when there is a node and its worker has room; false: too many wait
 * already. */
bool control_command(struct control *c, unsigned worker, const struct message *m);

/* origins.c */
void origins_failed(struct control *c, const struct node_origin *o,
                    uint64_t now_us); /* NODE_ORIGIN */

/* `origins` */
void origins_begin(struct control *c, uint32_t client, const struct request *r);
json_t *origins_json(const struct control *c, const struct job *job);
/* For `status`: how many there are, how many are left alone. */
json_t *origins_sums_json(const struct control *c, const struct worker_stats *w);

/* shares.c */
bool shares_start(struct control *c); /* false: no memory */
void shares_stop(struct control *c);
void shares_used(struct control *c, const struct proxy_usage *u, uint64_t now_us); /* NODE_USAGE */
void shares_heard(struct control *c, const struct node_heard *h, struct now now);
void shares_tell(const struct control *c, struct dht_ping *ping);
void shares_poll(struct control *c, struct now now);
uint64_t shares_deadline_us(const struct control *c);
json_t *shares_json(const struct control *c);

/* purge.c */
void control_purged(struct control *c, struct node_purge *purge); /* NODE_PURGED */

/* control.c */
/* Begins to drain; `end`: the node ends after it. Asked to end again, it ends at once. */
void control_drain(struct control *c, const char *why, bool end);
struct now control_now(void);

/* status.c */
json_t *status_json(const struct control *c, const struct job *job);
/* How far draining is: the answer to `drain`. */
json_t *status_drain_json(const struct control *c);
uint64_t status_half_open(const struct control *c); /* handshakes in progress */
const char *status_state(const struct control *c);
void status_sample(struct control *c, uint64_t now_us);

/* tcp.c: the answers to `tcp` */
json_t *tcp_counters_json(const struct control *c);
json_t *tcp_connections_json(const struct job *job);

/* member.c */
/* With what an earlier run left in state_path. `plan` must outlive the membership. False: no
 * memory. */
bool member_start(struct control *c, const struct node_config *plan, struct now now);
void member_stop(struct control *c);
void member_poll(struct control *c, struct now now);
uint64_t member_deadline_us(const struct control *c);
void member_save(struct control *c, struct now now);
void member_pinged(struct control *c, struct dht_ping *ping);                 /* NODE_PINGED */
void member_found(struct control *c, struct node_find *find, struct now now); /* NODE_FOUND */

/* index.c */
/* Of a descriptor's size: how many members. */
uint64_t index_size(uint8_t size);
json_t *index_peers_json(const struct control *c);
json_t *index_clusters_json(const struct control *c);
json_t *index_lookup_json(const struct node_lookup *lookup);

/* hints.c */
/* False: no memory. */
bool hints_start(struct control *c, const struct node_config *plan, struct now now);
void hints_stop(struct control *c);
void hints_poll(struct control *c, struct now now);
uint64_t hints_deadline_us(const struct control *c);
void hints_probed(struct control *c, const struct node_event *e); /* NODE_PROBED */
json_t *hints_json(const struct control *c);

/* plan.c */
/* The node that a configuration means. Random numbers come from the kernel. */
void plan_node(const struct config *c, struct node_config *out);
/* What a start needs and lacks: capabilities, memory. 0, or an exit status with one line. */
int plan_check(const struct config *c, char *error, size_t len);
/* Memory that node and EAL will take, in bytes. */
size_t plan_memory(const struct config *c);

#endif

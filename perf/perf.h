/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-perf: one worker on one core, a load generator on the other, an in-memory link between
 * them. What is measured is the worker's busy time.
 *
 *   main.c      commands                    echo.c   the bare wire
 *   options.h   the command line            http.c   a node and HTTP clients
 *                                           dns.c    a node and DNS; dns_load.h, dns_names.h
 *   repeat.c    runs, each a process        host.c   the generator's end of the link: IP, TCP
 *   report.c    a run's result and table    tcp.c    the TCP engine alone
 *   document.h  what --json writes          mac.c    the index's tags alone, on one core
 *   require.h   --assert                    dht.h    the index alone, on one core
 *   compare.h   of two documents            cache.h  the cache alone
 *   honest.h    may it be believed?         server.h the node that a load is put on
 *   hdr.h       times of answers            schedule.h  the open loop
 *   wire.h      a port instead of the link   http_load.h  the clients; flow.h  their TCP
 *   find_rate.c the rate, if none is given   find_max.c  the highest one under a bound
 *   plot.h, profile.h  of what was measured
 *   cores.c     core cycles, threads        rules.c  the operator's rules alone
 *   measure.c   the measured time, in windows   progress.h  a line a second about it
 *   answer_head.h what an unknown server answers  keys.h  which object is asked for
 *   flash.h     nodes of two clusters, on virtual time
 */
#ifndef CORAL_PERF_H
#define CORAL_PERF_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/counter.h"
#include "dataplane/port/port.h"
#include "dataplane/tcp/tcp.h"
#include "perf/hdr.h"
#include "perf/honest.h"
#include "perf/require.h"
#include "perf/trace/parse.h"

enum perf_status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

enum perf_command_number {
    PERF_ECHO,
    PERF_HTTP,
    PERF_DNS,
    PERF_TCP,
    PERF_DHT,
    PERF_CACHE,
    PERF_MAC,
    PERF_RULES,
    PERF_FLASH,
    PERF_COMMANDS
};

#define PERF_REPEATS      1000
#define PERF_REQUIREMENTS 16

struct wire;
struct perf_options {
    enum perf_command_number command;
    const char *op;   /* NULL: not given */
    uint32_t objects; /* cache, dht, http, dns: that there are; flash: at first */
    uint32_t born;    /* flash: further ones a second */
    uint32_t seed;    /* flash: of all chance */
    uint32_t batch;   /* cache: gets at a time; dht: requests; 0: not given */
    double zipf;      /* cache, http, dns: exponent of the law by which objects are asked for */
    double rate;      /* http, dns: requests a second by schedule; 0: as soon as answers come */
    bool closed;      /* as soon as answers come, and not by schedule */
    /* http, dns: no rate was given, so that it follows from a closed loop; and what that was */
    bool calibrate;
    double closed_per_s, closed_cycles;
    bool poisson;  /* of the schedule: exponential distances */
    bool find_max; /* the highest rate at which p99 stays under p99_us */
    double p99_us;
    uint32_t reply;    /* echo: bytes of the frames that come back */
    struct wire *wire; /* echo, http, dns: a port; NULL: worker and load in this process */
    const char *hgrm, *hlog, *csv; /* files for the times of answers; NULL: none */
    double seconds;
    uint32_t repeat, round; /* so many runs; which this is, from 0 on */
    uint32_t connections;
    double think_ms; /* http: between an answer and the client's next request */
    /* http, cache: what is asked for; NULL: by Zipf's law. Its objects are o->objects, the largest
     * has o->size bytes */
    const struct trace *trace;
    const char *trace_file;
    enum parse_format trace_format;
    bool trace_told;
    uint32_t limit;  /* requests of it; 0: all */
    uint32_t misses; /* http: of 100 requests, those for what is not in the cache */
    double shed_ms;  /* http: http.shed_after of the node; 0: it refuses nothing */
    /* http: requests in flight, on connections picked at random; 0: one on each. dns: queries; 0:
     * 1024 */
    uint32_t active;
    uint32_t size;    /* bytes of the object (cache: of its body); echo: of the frame */
    uint32_t cores;   /* http: 2: worker and generator have one each; 1: they take turns on one */
    uint32_t workers; /* http: of the node; above 1 each takes turns with a generator of its own */
    bool offload, json, no_huge;
    bool live;      /* a line a second on the terminal */
    uint64_t given; /* bits of options.c's: which were */
    unsigned requirements;
    struct requirement requirement[PERF_REQUIREMENTS];
};

/* Runs once, adds fields to `result` and, without o->json, prints its table. False with `error`;
 * the result then has what there is. */
typedef bool perf_run(const struct perf_options *o, json_t *result, char *error, size_t error_len);

struct perf_command {
    const char *name;
    perf_run *run;
};
extern const struct perf_command perf_commands[PERF_COMMANDS];

/* Says on standard error what is wrong with which value, and what would be right; returns
 * STATUS_USAGE. */
int perf_refuse(const char *what, const char *value, const char *remedy);
/* -1: all is well; else the exit status, and all is said. */
int perf_read_options(int argc, char **argv, struct perf_options *o);
/* The results of o->repeat runs, a JSON list. `good`: all were. What is wrong is said on standard
 * error. */
json_t *perf_repeat(struct perf_options *o, bool *good);
/* Runs once, in a process of its own, whatever o->repeat says; NULL: no result. */
json_t *perf_run_apart(const struct perf_options *o, bool *good);
/* o->calibrate: a short closed loop, from which the rate follows. False, and said: it failed. */
bool perf_find_rate(struct perf_options *o);
/* --find-max: the same of all rates that were tried; `found` is what came of it. */
json_t *perf_find_max(struct perf_options *o, json_t **found, bool *good);

/* What a run came to, measured between start and end of the measured time. */
struct perf_result {
    uint64_t ops, verified;
    uint64_t ops_total; /* before and after the measured time, too; 0: not counted */
    struct perf_errors errors;
    struct account account;
    double client_busy; /* share of its time; below 0: it has no thread of its own */
    uint64_t busy_tsc;  /* the worker's busy turns */
    double tsc_per_op;  /* the median over windows, by operations */
    double seconds;
    double ratio; /* core cycles a TSC cycle, on the worker's core during the run */
    struct hdr latency;
    uint32_t size;     /* of the answers of a server elsewhere */
    uint64_t given_up; /* --rate: requests that found no connection free for a second */
    /* http --misses: hits that were served, of which latency is, misses, and what got 503 */
    uint64_t hits, misses, refused;
    struct hdr miss_latency;
    /* tcp --op idle: opening; and the same requests among no others */
    double opens_per_s, tsc_per_open, bytes_per_connection, few_tsc_per_op;
    double few_p50_us;
};

/* As what the end of a connection counts that nobody wanted. */
static inline enum perf_error perf_error_of(enum stream_end why)
{
    return why == STREAM_RESET     ? PERF_ERROR_reset
           : why == STREAM_TIMEOUT ? PERF_ERROR_timeout
           : why == STREAM_REFUSED ? PERF_ERROR_refused
                                   : PERF_ERROR_closed;
}

/* Times of answers, while it is on: the load's thread writes, main switches it on and off. */
struct latency {
    uint32_t on;
    double ns_per_tsc;
    struct hdr hdr;
};
static inline void latency_add(struct latency *l, uint64_t tsc)
{
    if (__atomic_load_n(&l->on, __ATOMIC_RELAXED))
        hdr_add(&l->hdr, (uint64_t)((double)tsc * l->ns_per_tsc));
}
/* From here on, from nothing. Not while it is on. */
void latency_begin(struct latency *l);
void latency_end(struct latency *l);

/* --- cores.c ---------------------------------------------------------------------------------- */

/* Core cycles a TSC cycle: a chain of dependent adds takes one core cycle each. The fastest window
 * is the one that nobody disturbed. One window (16384 adds, about 5 us) a call. */
struct calibration {
    double ratio;
};
void calibrate(struct calibration *c);

/* A thread that runs turns until told to stop. A turn says whether it found work. */
struct perf_thread {
    bool (*turn)(void *ctx);
    void *ctx;
    bool calibrates;
    struct calibration calibration;
    uint32_t *stop;
    unsigned cpu;
    unsigned long id;
    /* counters: TSC cycles of turns that found work, and of others */
    uint64_t busy_tsc, empty_tsc;
};
bool perf_thread_start(struct perf_thread *t);
void perf_thread_join(struct perf_thread *t);
/* Its CPU time by the kernel, seconds; below 0: not to be had. */
double perf_thread_cpu(const struct perf_thread *t);
/* The i-th CPU that we may use; -1: there are fewer. */
int perf_cpu(unsigned i);
/* The calling thread goes on that CPU alone. */
void perf_pin(unsigned cpu);
/* Resident memory of the process. */
double perf_resident_bytes(void);
struct now perf_now(void);

/* --- measure.c -------------------------------------------------------------------------------- */

/* What is watched: counters of the worker's operations and of the TSC cycles of its busy turns, and
 * the threads. */
struct measured {
    const uint64_t *ops, *busy_tsc;
    const struct perf_thread *worker; /* NULL: its thread does other things, too */
    const struct perf_thread *client; /* NULL: it has none of its own */
    double slowest;                   /* operations a second that there are at least; 0: many */
    /* for the line on the terminal, while it is measured; live: there is one */
    bool live;
    const struct calibration *calibration;
    const struct latency *latency;
    const struct perf_errors *errors; /* NULL: counted elsewhere */
};
/* Watches for so long. Fills all of `r` that follows from it. */
void measure_windows(double seconds, const struct measured *m, struct perf_result *r);
/* Sorts them. */
double measure_median(double *value, unsigned n);
double measure_clock(void); /* seconds */

/* --- runs ------------------------------------------------------------------------------------- */

/* With EAL, a worker and a load; false with `error`. */
typedef bool perf_measured(const struct perf_options *o, struct perf_result *r, char *error,
                           size_t error_len);
/* A perf_run of one: starts EAL for it, and reports what came of it. */
bool perf_measure(const struct perf_options *o, perf_measured *run, json_t *result, char *error,
                  size_t error_len);

perf_measured http_wire_run;
perf_run echo_run, tcp_run, http_run, dns_run;
/* Without EAL. */
perf_run mac_run, dht_run, cache_run, rules_run;
/* Starts EAL itself. */
perf_run flash_run;

/* --- host.c ----------------------------------------------------------------------------------- */

#define HOST_OUT   64
#define HOST_SPARE 32

struct flows;

/* A host at end 1 of a link, or on a port: what a client needs of one, and no more. */
struct host {
    struct port_link *link; /* NULL: */
    struct port *port;
    /* Of a link with several queues: ours, and which tuples go there; set after host_new. */
    unsigned queue;
    const struct steer *steer;
    struct rte_mempool *pool;
    struct net *net;
    struct tcp_engine *tcp;
    bool offload;
    struct now now;
    unsigned n;
    struct rte_mbuf *out[HOST_OUT];
    unsigned spares;
    struct rte_mbuf *spare[HOST_SPARE];
    struct flows *flows; /* whose frames never reach the engine; NULL: there are none */
    /* Datagrams, each from its own frame, which is freed afterwards; NULL: none wanted. And that
     * nobody listens where one went. */
    void (*udp)(void *ctx, const struct net_packet *p);
    void (*udp_refused)(void *ctx, const struct net_icmp_datagram *why);
    void *udp_ctx;
};
bool host_new(struct host *h, struct port_link *link, const struct net_address *ip,
              unsigned addresses, uint32_t connections, bool offload, struct now now);
/* The same on a port, with one address, and software's sums. */
bool host_new_port(struct host *h, struct port *port, const struct net_address *ip,
                   uint32_t connections, struct now now);
void host_free(struct host *h);
/* A frame to be filled and sent. NULL: the wire is full, or no buffer is left. */
struct rte_mbuf *host_frame(struct host *h);
void host_put(struct host *h, struct rte_mbuf *m);
/* Sends a datagram. False: no buffer, or the neighbour has not answered yet. */
bool host_udp(struct host *h, const struct endpoint *from, const struct endpoint *to,
              const void *data, size_t len);
/* Receives, lets TCP act, sends. Whether there was anything to do. */
bool host_turn(struct host *h);
/* The same on a clock of the caller's. */
bool host_turn_at(struct host *h, struct now now);
/* The same in parts, for who looks at frames himself: receives some, gives to the engines what is
 * theirs, which frees it; sends some, of which it returns how many went, the rest stay the
 * caller's. */
unsigned host_receive(struct host *h, struct rte_mbuf **m, unsigned n);
void host_input(struct host *h, struct rte_mbuf **m, unsigned n);
unsigned host_send(struct host *h, struct rte_mbuf **m, unsigned n);
void host_flush(struct host *h); /* what the engines had to say */

#endif

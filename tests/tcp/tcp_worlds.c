/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random worlds for two TCP engines, each from a seed; and goodput over a lossy link.
 *
 *   tcp-worlds [--seeds N] [--seed S] [--verbose]    N worlds from seed S on (default 200 from 1)
 *   tcp-worlds --goodput                             against loss, for each controller: lines of
 *                                                    fields between tabs (perf/goodput.sh plots
 *                                                    them); 200 Mbit/s, 20 ms, a buffer of one BDP
 *
 * A failing world prints its seed, what was wrong and what was drawn; `--seed S --seeds 1` plays
 * it again. The short form runs with the unit tests; before a release run for an hour or so,
 * each worker with seeds of its own:
 *
 *   tests/tcp/tcp-worlds --seed 1000000 --seeds 300000
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/cc.h"
#include "tests/tcp/simulation.h"

struct options {
    uint64_t seed, seeds;
    bool verbose, goodput;
};

/* What a run of worlds met with: a fault that never comes is not tested. */
struct tally {
    uint64_t flows, steps, ends[STREAM_EVICTED + 1];
    uint64_t retransmitted, timeouts, bursts;
    struct link_stats link;
};

static void tally_add(struct tally *t, const struct sim *s)
{
    t->steps += s->steps;
    t->flows += s->flows;
    t->bursts += s->bursts;
    for (unsigned i = 0; i < s->flows; i++)
        for (unsigned k = 0; k < 2; k++)
            if (s->flow[i].side[k].closed)
                t->ends[s->flow[i].side[k].why]++;
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t *from = (const uint64_t *)&s->link->way[i].stats;
        uint64_t *to = (uint64_t *)&t->link;
        for (unsigned k = 0; k < sizeof(t->link) / sizeof(*to); k++)
            to[k] += from[k];
        t->retransmitted += tcp_counters(s->engine[i])->tcp_retransmit_total;
        t->timeouts += tcp_counters(s->engine[i])->tcp_rto_total;
    }
}

static void tally_print(const struct tally *t)
{
    const struct link_stats *n = &t->link;
    printf("%" PRIu64 " flows, ends: %" PRIu64 " done, %" PRIu64 " reset, %" PRIu64
           " timed out, %" PRIu64 " refused, %" PRIu64 " aborted; %" PRIu64 " steps\n",
           t->flows, t->ends[STREAM_DONE], t->ends[STREAM_RESET], t->ends[STREAM_TIMEOUT],
           t->ends[STREAM_REFUSED], t->ends[STREAM_ABORTED], t->steps);
    printf("%" PRIu64 " bursts cut by hosts; %" PRIu64 " segments: %" PRIu64 " lost, %" PRIu64
           " corrupted, %" PRIu64 " too big, %" PRIu64 " overflowed, %" PRIu64
           " in the dark, %" PRIu64 " duplicated, %" PRIu64 " ACKs thinned; %" PRIu64
           " retransmitted, %" PRIu64 " RTOs\n",
           t->bursts, n->sent, n->lost, n->corrupted, n->too_big, n->overflowed, n->dark,
           n->duplicated, n->thinned, t->retransmitted, t->timeouts);
}

static int worlds(const struct options *o)
{
    uint64_t failed = 0, run = 0;
    struct tally tally = {0};
    for (uint64_t seed = o->seed; seed < o->seed + o->seeds; seed++) {
        struct sim *s = sim_new(seed, sim_draw);
        const char *bad = sim_run(s);
        if (bad) {
            failed++;
            printf("FAILED seed %" PRIu64 ": %s\n", seed, bad);
        }
        if (bad || o->verbose)
            sim_print(s, stdout);
        tally_add(&tally, s);
        sim_free(s);
        run++;
        if (failed == 10)
            break;
    }
    tally_print(&tally);
    printf("%" PRIu64 " worlds from seed %" PRIu64 ", %" PRIu64 " failed\n", run, o->seed, failed);
    return failed ? 1 : 0;
}

#define GOODPUT_RATE  200000000ull
#define GOODPUT_US    60000000ull
#define GOODPUT_RUNS  5
#define GOODPUT_BDP   (GOODPUT_RATE / 8 / 50) /* 20 ms */
#define GOODPUT_BYTES (1ull << 40)            /* more than fits the time */

struct controller {
    const char *name;
    void (*choose)(struct tcp_config *c);
};

static void newreno(struct tcp_config *c)
{
    c->cc = &cc_newreno;
}

static void cubic(struct tcp_config *c)
{
    c->cc = &cc_cubic;
}

static void bbr(struct tcp_config *c)
{
    c->cc = &cc_bbr;
}

static const struct controller controllers[] = {
    {"newreno", newreno}, {"cubic", cubic}, {"bbr", bbr}};

static const struct controller *chosen;
static uint32_t loss_ppm;

static void goodput_configure(struct sim *s)
{
    for (unsigned i = 0; i < 2; i++) {
        s->config[i] = tcp_config_default();
        s->config[i].connections = 16;
        s->config[i].blocks = 8192;
        s->config[i].receive_window_bytes = 4 * GOODPUT_BDP; /* all that a store holds: 448 KiB */
        s->config[i].send_queue_bytes = 4 * GOODPUT_BDP;
        chosen->choose(&s->config[i]);
        s->addr[i] = addr_v4(0x0a000001u + i);
        s->link->way[i].config = (struct link_config){
            .delay_us = 10000, .rate_bps = GOODPUT_RATE, .buffer_bytes = GOODPUT_BDP};
    }
    s->link->way[0].config.loss_ppm = loss_ppm;
    s->unchecked = true;
    s->flows = 1;
    struct flow *f = &s->flow[0];
    f->start_us = s->now.mono_us;
    for (unsigned i = 0; i < 2; i++)
        f->side[i] = (struct flow_side){.flow = f,
                                        .hold = {1, NULL},
                                        .piece = 16384,
                                        .abort_us = FLOW_NEVER,
                                        .abort_at = FLOW_NEVER,
                                        .next_us = FLOW_NEVER};
    f->side[FLOW_OPENER].total = GOODPUT_BYTES;
}

static double goodput_mbit(uint64_t seed)
{
    struct sim *s = sim_new(seed, goodput_configure);
    uint64_t end = s->now.mono_us + GOODPUT_US;
    while (sim_step(s, end)) {
    }
    const struct flow_side *to = &s->flow[0].side[FLOW_ACCEPTOR];
    if (to->wrong || s->broken[0])
        printf("wrong: %s\n", to->wrong ? to->wrong : s->broken);
    double mbit = (double)to->got * 8 / (double)GOODPUT_US;
    sim_free(s);
    return mbit;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double goodput_median(void)
{
    double run[GOODPUT_RUNS];
    for (unsigned i = 0; i < GOODPUT_RUNS; i++)
        run[i] = goodput_mbit(1 + i);
    qsort(run, GOODPUT_RUNS, sizeof(run[0]), ascending);
    return run[GOODPUT_RUNS / 2];
}

static int goodput(void)
{
    static const uint32_t losses[] = {0,    10,   20,   50,    100,   200,   500,
                                      1000, 2000, 5000, 10000, 20000, 50000, 100000};
    const unsigned n = sizeof(controllers) / sizeof(controllers[0]);
    printf("# goodput in Mbit/s of one flow against loss; 200 Mbit/s, 20 ms, a buffer of one BDP; "
           "median of %u seeds, %llu s each\n# loss %%",
           GOODPUT_RUNS, GOODPUT_US / 1000000);
    for (unsigned c = 0; c < n; c++)
        printf("\t%s", controllers[c].name);
    printf("\n");
    for (unsigned l = 0; l < sizeof(losses) / sizeof(losses[0]); l++) {
        loss_ppm = losses[l];
        printf("%g", loss_ppm / 1e4);
        for (unsigned c = 0; c < n; c++) {
            chosen = &controllers[c];
            printf("\t%.1f", goodput_median());
            fflush(stdout);
        }
        printf("\n");
    }
    return 0;
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            o->verbose = true;
        else if (strcmp(argv[i], "--goodput") == 0)
            o->goodput = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            o->seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            o->seeds = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .seeds = 200};
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: tcp-worlds [--seeds N] [--seed S] [--verbose] [--goodput]\n");
        return 2;
    }
    flow_noise_init();
    return o.goodput ? goodput() : worlds(&o);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader and a writer, a core each. The writer owns all shards; it writes for a while, by a
 * schedule, and follows it without writing for as long, in turn. Where other jobs want the writer's
 * core too it falls behind: only those windows of the reader count, of either kind, in which it
 * kept up with nine tenths of the schedule.
 */
#include <pthread.h>

#include <rte_cycles.h>

#include "perf/cache.h"

#define TURN_S 0.02
#define BEHIND 64 /* writes that it makes up for */

struct writer {
    struct cache_load *load;
    double rate;
    unsigned cpu;
    uint32_t writes, stop; /* told by the reader */
    uint64_t done;
};

static void *writer_run(void *arg)
{
    struct writer *w = arg;
    const struct cache_bench *b = w->load->b;
    perf_pin(w->cpu);
    rte_rcu_qsbr_thread_online(b->qsbr, 0);
    double began = measure_clock();
    uint64_t done = 0;
    while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
        uint64_t due = (uint64_t)((measure_clock() - began) * w->rate);
        if (done + BEHIND < due) { /* lost, and not done */
            began += (double)(due - done - BEHIND) / w->rate;
            due = done + BEHIND;
        }
        if (done == due) {
            rte_rcu_qsbr_quiescent(b->qsbr, 0);
            continue;
        }
        if (__atomic_load_n(&w->writes, __ATOMIC_RELAXED))
            cache_update(w->load);
        __atomic_store_n(&w->done, ++done, __ATOMIC_RELAXED);
    }
    rte_rcu_qsbr_thread_offline(b->qsbr, 0);
    return NULL;
}

struct turns {
    double cost[CACHE_PAIR_WINDOWS];
    unsigned n;
    uint64_t writes;
    double seconds;
};

static void read_turn(struct cache_load *l, struct writer *w, unsigned n, bool writes,
                      struct turns *t)
{
    double now = measure_clock(), end = now + TURN_S;
    uint64_t done = __atomic_load_n(&w->done, __ATOMIC_RELAXED);
    __atomic_store_n(&w->writes, writes, __ATOMIC_RELAXED);
    while (now < end && t->n < CACHE_PAIR_WINDOWS) {
        double began = now;
        uint64_t before = done;
        double cost = cache_get_window(l, n);
        rte_rcu_qsbr_quiescent(l->b->qsbr, 1);
        now = measure_clock();
        done = __atomic_load_n(&w->done, __ATOMIC_RELAXED);
        if ((double)(done - before) < 0.9 * (now - began) * w->rate)
            continue;
        t->cost[t->n++] = cost;
        t->writes += done - before;
        t->seconds += now - began;
    }
}

bool cache_pair_run(const struct cache_bench *b, double s, unsigned n, double rate, double seconds,
                    unsigned cpu, struct cache_pair *out)
{
    static struct turns turn[2];
    struct cache_load *reader = cache_load_new(b, s, 2);
    struct writer w = {.load = cache_load_new(b, s, 3), .rate = rate, .cpu = cpu};
    pthread_t thread;
    bool ok = reader && w.load;

    rte_rcu_qsbr_thread_offline(b->qsbr, 0);
    rte_rcu_qsbr_thread_online(b->qsbr, 1);
    ok = ok && pthread_create(&thread, NULL, writer_run, &w) == 0;
    for (double end = measure_clock() + seconds; ok && measure_clock() < end;)
        for (unsigned on = 0; on < 2; on++)
            read_turn(reader, &w, n, on, &turn[on]);
    if (ok) {
        __atomic_store_n(&w.stop, 1, __ATOMIC_RELEASE);
        pthread_join(thread, NULL);
        *out = (struct cache_pair){.alone = measure_median(turn[0].cost, turn[0].n),
                                   .beside = measure_median(turn[1].cost, turn[1].n),
                                   .updates_per_s =
                                       turn[1].n ? (double)turn[1].writes / turn[1].seconds : 0,
                                   .windows = turn[0].n < turn[1].n ? turn[0].n : turn[1].n,
                                   .gets = reader->gets,
                                   .errors = reader->errors + w.load->errors};
    }
    rte_rcu_qsbr_thread_offline(b->qsbr, 1);
    rte_rcu_qsbr_thread_online(b->qsbr, 0);
    cache_load_free(reader);
    cache_load_free(w.load);
    return ok;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "perf/perf.h"

#define WINDOW_ADDS     16384
#define CALIBRATE_EVERY 100000 /* turns */

/* Of a register, not of a constant: from Intel's Golden Cove on, adding a small constant costs
 * nothing, six or seven of them a cycle, and cores seemed to run at 16 GHz. */
static inline void adds_64(uint64_t *x)
{
    uint64_t v = *x;
    const uint64_t one = 1;
#define ADD4  "add %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\t"
#define ADD16 ADD4 ADD4 ADD4 ADD4
    __asm__ volatile(ADD16 ADD16 ADD16 ADD16 : "+r"(v) : "r"(one));
    *x = v;
}

void calibrate(struct calibration *c)
{
    uint64_t x = 0;
    uint64_t began = rte_rdtsc_precise();
    for (unsigned i = 0; i < WINDOW_ADDS / 64; i++)
        adds_64(&x);
    uint64_t took = rte_rdtsc_precise() - began;
    double ratio = (double)x / (double)took;
    if (ratio > c->ratio)
        c->ratio = ratio;
}

int perf_cpu(unsigned i)
{
    cpu_set_t may;
    if (sched_getaffinity(0, sizeof(may), &may) < 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &may) && i-- == 0)
            return cpu;
    return -1;
}

void perf_pin(unsigned cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

double perf_resident_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

struct now perf_now(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    return (struct now){(uint64_t)((double)rte_rdtsc() * 1e6 / (double)rte_get_tsc_hz()),
                        wall.tv_sec};
}

/* An empty turn is some hundred nanoseconds; one of this many was off its core, and costs nothing.
 */
#define EMPTY_MOST_US 20

void latency_begin(struct latency *l)
{
    memset(&l->hdr, 0, sizeof(l->hdr));
    l->ns_per_tsc = 1e9 / (double)rte_get_tsc_hz();
    __atomic_store_n(&l->on, 1, __ATOMIC_RELEASE);
}

void latency_end(struct latency *l)
{
    __atomic_store_n(&l->on, 0, __ATOMIC_RELEASE);
}

static void *run(void *ctx)
{
    struct perf_thread *t = ctx;

    perf_pin(t->cpu);
    bool registered = rte_thread_register() == 0;
    const uint64_t most = rte_get_tsc_hz() / 1000000 * EMPTY_MOST_US;
    uint64_t began = rte_rdtsc();
    for (uint64_t i = 0; !__atomic_load_n(t->stop, __ATOMIC_ACQUIRE); i++) {
        bool busy = t->turn(t->ctx);
        uint64_t now = rte_rdtsc(), took = now - began;
        if (busy)
            counter_add(&t->busy_tsc, took);
        else if (took < most)
            counter_add(&t->empty_tsc, took);
        began = now;
        if (t->calibrates && i % CALIBRATE_EVERY == 0)
            calibrate(&t->calibration);
    }
    for (unsigned i = 0; t->calibrates && i < 1000; i++)
        calibrate(&t->calibration);
    if (registered)
        rte_thread_unregister();
    return NULL;
}

double perf_thread_cpu(const struct perf_thread *t)
{
    struct timespec cpu;
    clockid_t clock;
    if (pthread_getcpuclockid(t->id, &clock) != 0 || clock_gettime(clock, &cpu) != 0)
        return -1;
    return (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
}

bool perf_thread_start(struct perf_thread *t)
{
    pthread_t id;
    if (pthread_create(&id, NULL, run, t) != 0)
        return false;
    t->id = id;
    return true;
}

void perf_thread_join(struct perf_thread *t)
{
    pthread_join(t->id, NULL);
}

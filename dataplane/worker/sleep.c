/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads, and how they rest (DESIGN decision 12): after SLEEP_POLLS empty turns, with no timer
 * due within SLEEP_MIN_US, a worker sleeps in ppoll on its ports' descriptors and its eventfd.
 *
 * Packets: sockets and TAPs are level-triggered, a frame that came before ppoll ends it at once;
 * in-memory links have a flag of their own (port/link.c). Messages, commands, frames handed over
 * or to be sent for others: sleeper.h. A worker is offline in QSBR while it sleeps, so that
 * control's grace periods and the cache's reclaim do not wait for it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <rte_lcore.h>

#include "dataplane/worker/worker.h"

#define SLEEP_POLLS    64
#define SLEEP_MIN_US   50
#define SLEEP_BLIND_US 100 /* a queue without a descriptor is looked at this often */

static struct now clock_now(void)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    return (struct now){(uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000,
                        wall.tv_sec};
}

static bool stopping(const struct node *n)
{
    return __atomic_load_n(&n->stop, __ATOMIC_ACQUIRE);
}

/* Anything in a ring that others fill? After sleeper_arm. */
static bool work_waits(struct worker *w)
{
    if (ring_waits(w->messages) || ring_waits(w->commands) || ring_waits(w->handover) ||
        stopping(w->node))
        return true;
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        const struct worker_port *wp = &w->port[i];
        const struct port_config *c = &wp->port->config;
        if (wp->inbox && ring_waits(wp->inbox))
            return true;
        if (wp->port->driver == PORT_RING && w->id < wp->port->rx_queues &&
            port_link_pending(c->link, c->end + 2 * w->id))
            return true;
    }
    return ring_waits(w->returns);
}

static void arm_links(struct worker *w, bool on)
{
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        const struct port *p = w->port[i].port;
        if (p->driver != PORT_RING || w->id >= p->rx_queues)
            continue;
        if (on)
            port_link_arm(p->config.link, p->config.end + 2 * w->id);
        else
            port_link_disarm(p->config.link, p->config.end + 2 * w->id);
    }
}

static unsigned descriptors(struct worker *w, struct pollfd *fds, bool *blind)
{
    unsigned n = 0;

    fds[n++] = (struct pollfd){.fd = w->sleeper.fd, .events = POLLIN};
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        const struct port *p = w->port[i].port;
        for (unsigned q = w->id; q < p->rx_queues; q += w->node->workers) {
            if (p->fd[q] < 0)
                *blind = true;
            else
                fds[n++] = (struct pollfd){.fd = p->fd[q], .events = POLLIN};
        }
    }
    return n;
}

static void rest(struct worker *w, uint64_t us)
{
    struct pollfd fds[1 + NODE_PORTS * PORT_QUEUES];
    bool blind = false;
    unsigned n = descriptors(w, fds, &blind);

    if (blind && us > SLEEP_BLIND_US)
        us = SLEEP_BLIND_US;
    struct timespec limit = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    rte_rcu_qsbr_thread_offline(w->node->qsbr, w->id);
    w->online = false;
    counter_inc(&w->counters.worker_sleeps_total);
    /* interrupted (TAP signals its frames), timed out or woken: the next turn finds out */
    if (ppoll(fds, n, &limit, NULL) <= 0)
        return;
    if (fds[0].revents & POLLIN)
        sleeper_drain(&w->sleeper);
    /* a link that went down leaves an error on its socket, and ppoll returns until it is read */
    for (unsigned i = 1; i < n; i++) {
        int error;
        socklen_t len = sizeof(error);
        if (fds[i].revents & POLLERR)
            (void)getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
    }
}

static void sleep_until(struct worker *w, uint64_t us)
{
    sleeper_arm(&w->sleeper);
    arm_links(w, true);
    if (!work_waits(w))
        rest(w, us);
    arm_links(w, false);
    sleeper_disarm(&w->sleeper);
}

void worker_run(struct node *n, unsigned worker)
{
    struct worker *w = n->worker[worker];
    unsigned empty = 0;

    /* for the mempools' caches; a thread that is one of EAL's already, or one too many, goes on */
    bool registered = rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0;
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    while (!stopping(n)) {
        struct now now = clock_now();
        if (worker_poll(n, worker, now)) {
            empty = 0;
            continue;
        }
        if (n->config.spin || ++empty < SLEEP_POLLS)
            continue;
        uint64_t due = worker_deadline_us(n, worker);
        if (due > now.mono_us + SLEEP_MIN_US)
            sleep_until(w, RTE_MIN(due - now.mono_us, (uint64_t)1000000));
    }
    tcp_abort_all(w->tcp); /* whoever is cut hears of it */
    tx_flush(w);
    rte_rcu_qsbr_thread_offline(n->qsbr, worker);
    w->online = false;
    if (registered)
        rte_thread_unregister();
}

static void *thread_main(void *ctx)
{
    struct worker *w = ctx;
    worker_run(w->node, w->id);
    return NULL;
}

/* The i-th CPU that this process may use, counted around. */
static void pin_to(pthread_attr_t *attr, unsigned i)
{
    cpu_set_t may, one;

    if (sched_getaffinity(0, sizeof(may), &may) < 0 || CPU_COUNT(&may) == 0)
        return;
    unsigned skip = i % (unsigned)CPU_COUNT(&may);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &may) || skip-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_attr_setaffinity_np(attr, sizeof(one), &one);
        return;
    }
}

bool node_start(struct node *n, bool pin)
{
    __atomic_store_n(&n->stop, false, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < n->workers; i++) {
        struct worker *w = n->worker[i];
        pthread_attr_t attr;
        char name[16];

        pthread_attr_init(&attr);
        if (pin)
            pin_to(&attr, i);
        w->started = pthread_create(&w->thread, &attr, thread_main, w) == 0;
        pthread_attr_destroy(&attr);
        if (!w->started) {
            node_stop(n);
            return false;
        }
        snprintf(name, sizeof(name), "worker %u", i);
        pthread_setname_np(w->thread, name);
    }
    return true;
}

void node_stop(struct node *n)
{
    __atomic_store_n(&n->stop, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < n->workers; i++)
        sleeper_write(&n->worker[i]->sleeper);
    for (unsigned i = 0; i < n->workers; i++)
        if (n->worker[i]->started) {
            pthread_join(n->worker[i]->thread, NULL);
            n->worker[i]->started = false;
        }
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "control/log.h"

#define EVENTS_A_TURN      4096
#define SAMPLE_US          1000000u
#define RECLAIM_US         20000u   /* how often it is asked whether a grace period is over */
#define DRAIN_LEAST_US     50000u   /* until every worker has seen NODE_DRAIN */
#define DRAIN_HALF_OPEN_US 1000000u /* how long handshakes in progress are waited for */

struct now control_now(void)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    return (struct now){(uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000,
                        wall.tv_sec};
}

/* --- ending -------------------------------------------------------------------------------- */

void control_drain(struct control *c, const char *why, bool end)
{
    uint64_t now_us = control_now().mono_us;
    struct message m = {.type = NODE_DRAIN, .from = 0xffff};

    if (c->draining) {
        if (end && c->ending) /* asked again: now */
            c->drain_until_us = now_us;
        else if (end)
            log_info("stopping, %s", why);
        if (end && !c->ending)
            sd_notify(0, "STOPPING=1");
        c->ending |= end;
        return;
    }
    c->draining = true;
    c->ending = end;
    c->drain_from_us = now_us;
    c->drain_until_us = now_us + c->config->drain_timeout_ms * 1000;
    log_info("%s, %s connections=%u drain_timeout_ms=%llu", end ? "stopping" : "draining", why,
             node_connections(c->node), (unsigned long long)c->config->drain_timeout_ms);
    if (end)
        sd_notify(0, "STOPPING=1");
    dht_member_leave(c->member, control_now()); /* others hear of it with our next packets */
    control_publish(c);                         /* out of our own DNS answers first */
    for (unsigned i = 0; i < c->workers; i++)
        control_command(c, i, &m);
}

static bool is_drained(struct control *c, uint64_t now_us)
{
    if (!c->draining || c->commands || now_us < c->drain_from_us + DRAIN_LEAST_US)
        return c->draining && now_us >= c->drain_until_us;
    if (now_us >= c->drain_until_us)
        return true;
    /* handshakes that were begun are accepted yet; those that nobody ends are not waited for */
    if (node_connections(c->node) > 0 ||
        (now_us < c->drain_from_us + DRAIN_HALF_OPEN_US && status_half_open(c) > 0))
        return false;
    return true;
}

/* Draining is over, and the node stays: it answers coralctl, and its part of the index. */
static void drained(struct control *c)
{
    struct message m = {.type = NODE_CUT, .from = 0xffff};

    c->drained = true;
    c->drain_cut = node_connections(c->node);
    for (unsigned i = 0; c->drain_cut && i < c->workers; i++)
        control_command(c, i, &m);
    if (c->drain_cut)
        log_warning("drained; connections that did not end in time were cut cut=%u", c->drain_cut);
    else
        log_info("drained");
}

/* --- what comes in ------------------------------------------------------------------------- */

static void handle_event(struct control *c, const struct node_event *e, struct now now)
{
    switch (e->type) {
    case NODE_ANSWERED:
        dht_member_answered(c->member, &e->heard.who, &e->heard.tidings, now);
        break;
    case NODE_TIMED_OUT:
        dht_member_timed_out(c->member, &e->id, now);
        break;
    case NODE_HEARD:
        dht_member_heard(c->member, &e->heard.who, &e->heard.tidings, now);
        shares_heard(c, &e->heard, now);
        break;
    case NODE_PINGED:
        member_pinged(c, e->ptr);
        break;
    case NODE_FOUND:
        member_found(c, e->ptr, now);
        break;
    case NODE_LOOKED_UP:
        control_looked_up(c, e->ptr, now);
        break;
    case NODE_PURGED:
        control_purged(c, e->ptr);
        break;
    case NODE_FILLED:
    case NODE_TCP_SHOWN:
    case NODE_ORIGINS_SHOWN:
        control_shown(c, e->ptr);
        break;
    case NODE_PROBED:
        hints_probed(c, e);
        break;
    case NODE_DAMAGED:
        log_warning("damaged in memory, dropped; if it happens again test the memory url=%.*s",
                    (int)e->damaged.len, e->damaged.url);
        break;
    case NODE_ORIGIN:
        origins_failed(c, &e->origin, now.mono_us);
        break;
    case NODE_USAGE:
        shares_used(c, &e->usage, now.mono_us);
        break;
    case NODE_SAVED:
        restart_saved(c, e->ptr);
        break;
    case NODE_LOADED:
        restart_loaded(c, e->ptr);
        break;
    }
}

static void handle_signals(struct control *c, int fd)
{
    struct signalfd_siginfo s;
    while (read(fd, &s, sizeof(s)) == (ssize_t)sizeof(s))
        control_drain(c, s.ssi_signo == SIGINT ? "interrupted" : "told by SIGTERM", true);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the thread must be awake again though nothing happens. */
static uint64_t next_deadline(const struct control *c, uint64_t jobs_us, uint64_t now_us)
{
    uint64_t at = earlier(jobs_us, c->sample.at_us + SAMPLE_US);

    at = earlier(at, member_deadline_us(c));
    at = earlier(at, hints_deadline_us(c));
    at = earlier(at, near_deadline_us(c, now_us));
    at = earlier(at, server_deadline_us(c->server));
    at = earlier(at, restart_deadline_us(c));
    at = earlier(at, control_rules_deadline_us(c, now_us));
    at = earlier(at, control_reload_deadline_us(c, now_us));
    at = earlier(at, shares_deadline_us(c));
    if (c->retirements || dht_member_changed(c->member) || (c->draining && !c->drained))
        at = earlier(at, now_us + RECLAIM_US);
    return at;
}

static void turn(struct control *c)
{
    struct now now = control_now();
    struct node_event e;

    for (unsigned i = 0; i < EVENTS_A_TURN && node_event(c->node, &e); i++)
        handle_event(c, &e, now);
    member_poll(c, now);
    hints_poll(c, now);
    near_poll(c);
    restart_poll(c, now);
    control_rules_poll(c, now.mono_us);
    control_reload_poll(c);
    shares_poll(c, now);
    if (dht_member_changed(c->member))
        control_publish(c);
    if (c->retirements)
        control_reclaim(c);
    if (now.mono_us >= c->sample.at_us + SAMPLE_US)
        status_sample(c, now.mono_us);
}

static bool watch(int epoll, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    return fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static void loop(struct control *c, int epoll, int signals)
{
    uint64_t jobs_us = UINT64_MAX;
    struct epoll_event ready[4];

    for (;;) {
        uint64_t now_us = control_now().mono_us, at = next_deadline(c, jobs_us, now_us);
        int wait_ms = at <= now_us ? 0 : (int)earlier((at - now_us + 999) / 1000, 1000);
        if (epoll_wait(epoll, ready, 4, wait_ms) < 0 && errno != EINTR)
            log_error("epoll_wait: %s", strerror(errno));
        handle_signals(c, signals);
        turn(c);
        now_us = control_now().mono_us;
        server_poll(c->server, now_us);
        jobs_us = control_jobs_poll(c, now_us);
        bool over = is_drained(c, now_us);
        if (over && c->ending)
            return;
        if (over && !c->drained)
            drained(c);
    }
}

int control_run(struct control *c)
{
    sigset_t mask;
    int status = 1;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    int signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll >= 0 && watch(epoll, signals) && watch(epoll, node_event_fd(c->node)) &&
        watch(epoll, server_fd(c->server))) {
        status_sample(c, control_now().mono_us);
        restart_start(c);
        if (restart_fd(c) >= 0)
            watch(epoll, restart_fd(c));
        sd_notify(0, "READY=1");
        loop(c, epoll, signals);
        status = 0;
    } else {
        log_error("cannot watch descriptors: %s", strerror(errno));
    }
    c->cut = node_connections(c->node);
    node_stop(c->node);
    access_stop(c->access);
    c->access = NULL;
    c->stopped = true;
    struct node_event e;
    while (node_event(c->node, &e)) /* what workers had of ours comes back */
        if (e.type == NODE_PURGED)
            control_purged(c, e.ptr);
        else if (e.type == NODE_FILLED || e.type == NODE_TCP_SHOWN || e.type == NODE_ORIGINS_SHOWN)
            control_shown(c, e.ptr);
    restart_stop(c, signals);
    control_rules_stop(c);
    control_reload_stop(c);
    control_jobs_end(c);
    member_save(c, control_now());
    if (c->cut)
        log_warning("stopped; connections that did not end in time were cut cut=%u", c->cut);
    else if (status == 0)
        log_info("stopped");
    if (signals >= 0)
        close(signals);
    if (epoll >= 0)
        close(epoll);
    return status;
}

void control_free(struct control *c)
{
    for (unsigned i = 0; i < c->retirements; i++)
        c->retired[i].free(c->retired[i].part);
    c->retirements = 0;
    if (c->view) {
        free((void *)(uintptr_t)c->view->zone);
        free((void *)(uintptr_t)c->view->routes);
        free((void *)(uintptr_t)c->view->shares);
        view_policy_free((struct proxy_policy *)(uintptr_t)c->view->policy);
        free(c->view);
        c->view = NULL;
    }
    member_stop(c);
    hints_stop(c);
    if (c->reloaded) {
        config_free(c->reloaded);
        free(c->reloaded);
    }
    shares_stop(c);
}

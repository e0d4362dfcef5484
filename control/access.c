/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread sleeps in poll while nothing is gathered, else it comes by every 20 ms, or 100 ms when
 * there was nothing. It alone takes from the workers' rings, writes the file and the counters.
 *
 * `lock` covers what the control thread shares with it: the latest records, until when coralctl has
 * them gathered, and what is asked and answered about opening the file anew. It is never held over
 * I/O, so control waits for a disk as little as a worker does.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "control/access.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "control/access_file.h"
#include "control/access_format.h"
#include "control/access_recent.h"
#include "control/log.h"

#define BUSY_MS      20
#define IDLE_MS      100
#define LEASE_US     3000000u /* coralctl asks four times a second */
#define RECORDS_TURN 4096u
#define RECORDS_EACH 64u /* of a worker before it is another's turn */
#define BATCH_BYTES  (256u << 10)

struct access {
    const struct config *config;
    struct node *node;
    unsigned workers;
    pthread_t thread;
    bool running;
    _Atomic bool quit;
    int wake, hup; /* eventfd, signalfd */

    /* the thread's */
    struct access_file file; /* .path NULL: none */
    bool journal, journal_failing;
    unsigned wanted; /* as the workers were told */
    struct access_clock clock;
    struct log_counters counters;
    struct access_record taken[RECORDS_EACH];
    size_t batch_len;
    char batch[BATCH_BYTES];

    pthread_mutex_t lock;
    uint64_t lease_until_us;
    struct access_recent recent;
    uint32_t reopen_asked, reopen_done;
    uint32_t gather_asked, gather_done;
    char reopen_error[512]; /* of the last one */
};

static uint64_t time_us(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- the journal --------------------------------------------------------------------------- */

static void journal_send(struct access *a, const struct access_record *r, const char *line,
                         size_t len)
{
    char message[ACCESS_LINE_MAX + 16], client[ADDR_TEXT], text[5][128];
    struct iovec field[7] = {
        {message, (size_t)snprintf(message, sizeof(message), "MESSAGE=%.*s", (int)len - 1, line)},
        {(void *)(uintptr_t) "SYSLOG_IDENTIFIER=coral-access", 30}};
    const char *const name[5] = {"PRIORITY", "CORAL_NODE", "CORAL_CLIENT", "CORAL_STATUS",
                                 "CORAL_SERVED"};
    char status[8];
    snprintf(status, sizeof(status), "%u", r->status);
    const char *const value[5] = {"6", a->config->name, addr_text(&r->client, client), status,
                                  access_served_words[r->served % ACCESS_SERVED]};

    for (unsigned i = 0; i < 5; i++) {
        int n = snprintf(text[i], sizeof(text[i]), "%s=%.80s", name[i], value[i]);
        field[2 + i] = (struct iovec){text[i], (size_t)n};
    }
    int result = sd_journal_sendv(field, 7);
    counter_inc(result < 0 ? &a->counters.log_journal_dropped_total
                           : &a->counters.log_journal_total);
    if (result < 0 && !a->journal_failing)
        log_error("log.access.journal: the journal does not take lines: %s; they are dropped and "
                  "counted (log_journal_dropped_total)",
                  strerror(-result));
    a->journal_failing = result < 0;
}

/* --- records ------------------------------------------------------------------------------- */

static void flush(struct access *a)
{
    if (a->batch_len)
        access_file_write(&a->file, a->batch, a->batch_len);
    a->batch_len = 0;
}

static void write_down(struct access *a, const struct access_record *r)
{
    if (sizeof(a->batch) - a->batch_len < ACCESS_LINE_MAX)
        flush(a);
    char *line = a->batch + a->batch_len;
    size_t len = access_line((enum access_format)a->config->log_access.format, r, &a->clock, line);
    if (a->journal)
        journal_send(a, r, line, len);
    if (a->file.path)
        a->batch_len += len;
}

static bool is_logged(const struct access *a, const struct access_record *r)
{
    bool somewhere = a->file.path || a->journal;
    return somewhere && (a->config->log_access.peers || !(r->flags & ACCESS_OF_PEER));
}

/* Some of a worker's; returns how many. coralctl sees those of peers too. */
static unsigned take(struct access *a, unsigned worker)
{
    unsigned n = 0;
    while (n < RECORDS_EACH && node_access_take(a->node, worker, &a->taken[n]))
        n++;
    if (n == 0)
        return 0;
    pthread_mutex_lock(&a->lock);
    for (unsigned i = 0; i < n; i++)
        access_recent_add(&a->recent, &a->taken[i]);
    pthread_mutex_unlock(&a->lock);
    for (unsigned i = 0; i < n; i++)
        if (is_logged(a, &a->taken[i]))
            write_down(a, &a->taken[i]);
    return n;
}

/* Takes what there is, of each worker in turn. */
static unsigned drain(struct access *a)
{
    unsigned n = 0, before;

    a->clock.ahead_us = (int64_t)(time_us(CLOCK_REALTIME) - time_us(CLOCK_MONOTONIC));
    do {
        before = n;
        for (unsigned w = 0; w < a->workers; w++)
            n += take(a, w);
    } while (n > before && n < RECORDS_TURN);
    flush(a);
    return n;
}

/* --- the thread ---------------------------------------------------------------------------- */

static unsigned want_always(const struct access *a)
{
    bool fields = a->config->log_access.format != ACCESS_COMMON;
    if (!a->file.path && !a->journal)
        return 0;
    return ACCESS_WANTED | (fields ? ACCESS_WANT_FIELDS : 0) |
           (a->config->log_access.peers ? ACCESS_WANT_PEERS : 0);
}

/* Tells the workers what is wanted now; returns it. */
static unsigned want(struct access *a)
{
    unsigned now = want_always(a);
    pthread_mutex_lock(&a->lock);
    if (time_us(CLOCK_MONOTONIC) < a->lease_until_us)
        now = ACCESS_WANTED | ACCESS_WANT_FIELDS | ACCESS_WANT_PEERS;
    pthread_mutex_unlock(&a->lock);
    if (now != a->wanted)
        node_access_want(a->node, now);
    a->wanted = now;
    return now;
}

static void reopen(struct access *a, uint32_t ticket)
{
    char error[sizeof(a->reopen_error)] = "";

    if (a->file.path && !access_file_open(&a->file, error, sizeof(error)))
        log_error("%s; lines go on into the old one", error);
    pthread_mutex_lock(&a->lock);
    memcpy(a->reopen_error, error, sizeof(error));
    a->reopen_done = ticket;
    pthread_mutex_unlock(&a->lock);
}

/* A hang-up, or control's word. */
static void hear(struct access *a)
{
    struct signalfd_siginfo s;
    eventfd_t n;
    bool again = false;

    while (read(a->hup, &s, sizeof(s)) == (ssize_t)sizeof(s))
        again = true;
    eventfd_read(a->wake, &n);
    pthread_mutex_lock(&a->lock);
    uint32_t ticket = a->reopen_asked;
    again |= ticket != a->reopen_done;
    pthread_mutex_unlock(&a->lock);
    if (again)
        reopen(a, ticket);
}

/* Before a drain; */
static uint32_t gather_begin(struct access *a)
{
    pthread_mutex_lock(&a->lock);
    uint32_t ticket = a->gather_asked;
    pthread_mutex_unlock(&a->lock);
    return ticket;
}

/* after one that found the rings empty. */
static void gather_end(struct access *a, uint32_t ticket)
{
    pthread_mutex_lock(&a->lock);
    a->gather_done = ticket;
    pthread_mutex_unlock(&a->lock);
}

static void *thread_main(void *ctx)
{
    struct access *a = ctx;
    struct pollfd fds[2] = {{.fd = a->wake, .events = POLLIN}, {.fd = a->hup, .events = POLLIN}};

    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
    while (!atomic_load_explicit(&a->quit, memory_order_acquire)) {
        uint32_t ticket = gather_begin(a);
        unsigned wanted = want(a), n = drain(a);
        if (n < RECORDS_TURN)
            gather_end(a, ticket);
        int ms = !wanted ? -1 : n >= RECORDS_TURN ? 0 : n ? BUSY_MS : IDLE_MS;
        if (poll(fds, 2, ms) > 0)
            hear(a);
    }
    while (drain(a) > 0)
        ;
    return NULL;
}

/* --- begin and end ------------------------------------------------------------------------- */

static bool make_descriptors(struct access *a)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    a->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    a->hup = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    return a->wake >= 0 && a->hup >= 0;
}

struct access *access_new(const struct config *config, char *error, size_t len)
{
    struct access *a = calloc(1, sizeof(*a));

    if (!a) {
        snprintf(error, len, "not enough memory");
        return NULL;
    }
    a->config = config;
    a->wake = a->hup = -1;
    a->journal = config->log_access.journal;
    a->file =
        (struct access_file){.path = *config->log_access.file ? config->log_access.file : NULL,
                             .max_bytes = config->log_access.max_bytes,
                             .keep = (unsigned)config->log_access.keep,
                             .counters = &a->counters,
                             .fd = -1};
    pthread_mutex_init(&a->lock, NULL);
    if (!make_descriptors(a))
        snprintf(error, len, "cannot make descriptors: %s", strerror(errno));
    else if (a->journal && access(ACCESS_JOURNAL, F_OK) < 0)
        snprintf(error, len, "log.access.journal: " ACCESS_NO_JOURNAL);
    else if (!a->file.path || access_file_open(&a->file, error, len))
        return a;
    access_stop(a);
    return NULL;
}

bool access_start(struct access *a, struct node *node, unsigned workers)
{
    a->node = node;
    a->workers = workers;
    a->running = pthread_create(&a->thread, NULL, thread_main, a) == 0;
    if (a->running)
        pthread_setname_np(a->thread, "access log");
    return a->running;
}

void access_stop(struct access *a)
{
    if (!a)
        return;
    if (a->running) {
        atomic_store_explicit(&a->quit, true, memory_order_release);
        eventfd_write(a->wake, 1);
        pthread_join(a->thread, NULL);
    }
    access_file_close(&a->file);
    access_recent_free(&a->recent);
    pthread_mutex_destroy(&a->lock);
    if (a->wake >= 0)
        close(a->wake);
    if (a->hup >= 0)
        close(a->hup);
    free(a);
}

/* --- what control asks --------------------------------------------------------------------- */

uint32_t access_reopen(struct access *a)
{
    pthread_mutex_lock(&a->lock);
    uint32_t ticket = ++a->reopen_asked;
    pthread_mutex_unlock(&a->lock);
    eventfd_write(a->wake, 1);
    return ticket;
}

bool access_reopened(struct access *a, uint32_t ticket, char *error, size_t len)
{
    pthread_mutex_lock(&a->lock);
    bool done = (int32_t)(a->reopen_done - ticket) >= 0;
    if (done)
        snprintf(error, len, "%s", a->reopen_error);
    pthread_mutex_unlock(&a->lock);
    return done;
}

uint32_t access_gather(struct access *a)
{
    pthread_mutex_lock(&a->lock);
    uint32_t ticket = ++a->gather_asked;
    pthread_mutex_unlock(&a->lock);
    eventfd_write(a->wake, 1);
    return ticket;
}

bool access_gathered(struct access *a, uint32_t ticket)
{
    pthread_mutex_lock(&a->lock);
    bool done = (int32_t)(a->gather_done - ticket) >= 0;
    pthread_mutex_unlock(&a->lock);
    return done;
}

/* Those that match, from number `from` on: the first `most`, or the last. Returns how many. */
static unsigned choose(struct access *a, const struct access_ask *ask, unsigned most,
                       struct access_record *found, uint64_t *next)
{
    struct access_recent_at at = {0};
    struct access_record r;
    unsigned n = 0;

    while ((!ask->follow || n < most) &&
           access_recent_next(&a->recent, &at, ask->follow ? ask->after : 0, &r))
        if (access_filter_match(&ask->filter, &r))
            memcpy(&found[n++ % most], &r, (size_t)r.units * ACCESS_UNIT);
    *next = at.begun ? at.number : 0;
    return n;
}

json_t *access_recent_json(struct access *a, const struct access_ask *ask)
{
    unsigned most = ask->most ? ask->most : ACCESS_ASK_USUAL;
    struct access_record *found = calloc(most, sizeof(*found));
    struct access_clock clock = {.ahead_us =
                                     (int64_t)(time_us(CLOCK_REALTIME) - time_us(CLOCK_MONOTONIC))};
    char line[ACCESS_LINE_MAX];
    json_t *all = json_array();
    uint64_t next = 0;

    if (!found)
        return NULL;
    pthread_mutex_lock(&a->lock);
    uint64_t now_us = time_us(CLOCK_MONOTONIC);
    bool asleep = a->lease_until_us <= now_us;
    bool begun = asleep && !want_always(a);
    a->lease_until_us = now_us + LEASE_US;
    bool missed = ask->follow && ask->after < a->recent.first_number;
    unsigned n = choose(a, ask, most, found, &next);
    bool more = next < a->recent.number;
    pthread_mutex_unlock(&a->lock);
    if (asleep)
        eventfd_write(a->wake, 1);
    for (unsigned i = n > most ? n - most : 0; i < n; i++)
        json_array_append_new(
            all,
            json_loadb(line, access_line(ACCESS_JSON, &found[i % most], &clock, line), 0, NULL));
    free(found);
    return json_pack("{s:b, s:I, s:b, s:b, s:b, s:o}", "ok", 1, "next", (json_int_t)next, "missed",
                     missed, "more", more, "begun", begun, "records", all);
}

json_t *access_json(const struct access *a, uint64_t worker_dropped)
{
    static const char *const format[] = {"common", "combined", "json"};
    const struct log_counters *n = &a->counters;

    if (!a->file.path && !a->journal)
        return NULL;
    json_t *o = json_pack(
        "{s:s, s:b, s:I, s:I}", "format", format[a->config->log_access.format], "journal",
        a->journal, "lines",
        (json_int_t)(counter_read(&n->log_lines_total) + counter_read(&n->log_journal_total)),
        "dropped",
        (json_int_t)(counter_read(&n->log_dropped_total) +
                     counter_read(&n->log_journal_dropped_total) + worker_dropped));
    if (a->file.path)
        json_object_set_new(o, "file", json_string(a->file.path));
    return o;
}

const struct log_counters *access_counters(const struct access *a)
{
    return &a->counters;
}

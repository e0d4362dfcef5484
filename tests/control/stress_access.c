/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The access log's thread beside two workers that put records in, and a control thread that asks
 * for the latest, has the file opened anew and hangs up. Every record ends as a line or as a count
 * of one dropped. usage: stress-control-access [SECONDS]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "access_hand.h"
#include "control/access.h"
#include "control/access_format.h"
#include "control/log.h"
#include "dataplane/worker/worker.h"

#define WORKERS 2

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "stress-control-access: %s:%d: not so: %s\n", __FILE__, __LINE__,      \
                    #what);                                                                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct node node;
static _Atomic bool over;

static void *put(void *ctx)
{
    struct worker *w = ctx;
    for (uint64_t i = 0; !over; i++) {
        struct access_record a = access_hand("GET", "h", "/some/path", "", "an agent");
        a.bytes = i;
        if (__atomic_load_n(&node.access_want, __ATOMIC_RELAXED))
            access_put(w, &a);
        if (i % 64 == 0)
            usleep(100);
    }
    return NULL;
}

/* Asks on from where it was; what it gets is whole. */
static void ask(struct access *a, uint64_t *next)
{
    struct access_ask ask = {.follow = true, .after = *next, .most = 100};
    json_t *answer = access_recent_json(a, &ask), *record;
    size_t i;
    CHECK(answer);
    json_array_foreach(json_object_get(answer, "records"), i, record)
        CHECK(strcmp(json_string_value(json_object_get(record, "agent")), "an agent") == 0);
    uint64_t now = (uint64_t)json_integer_value(json_object_get(answer, "next"));
    CHECK(now >= *next);
    *next = now;
    json_decref(answer);
}

static void control(struct access *a, time_t seconds)
{
    uint64_t next = 0;
    char error[512];
    for (time_t end = time(NULL) + seconds; time(NULL) < end;) {
        uint32_t ticket = access_reopen(a);
        kill(getpid(), SIGHUP);
        for (unsigned i = 0; i < 20; i++)
            ask(a, &next);
        while (!access_reopened(a, ticket, error, sizeof(error)))
            usleep(100);
        CHECK(!*error);
    }
    CHECK(next > 0);
}

int main(int argc, char **argv)
{
    static struct config config;
    char folder[] = "/tmp/coral-access-XXXXXX", command[64], error[512];
    pthread_t thread[WORKERS];
    uint64_t put_in = 0, dropped = 0;
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    CHECK(mkdtemp(folder));
    log_open(LOG_LEVEL_WARNING);
    snprintf(config.log_access.file, sizeof(config.log_access.file), "%s/log", folder);
    config.log_access.format = ACCESS_JSON;
    config.log_access.max_bytes = 1u << 20;
    config.log_access.keep = 2;
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *w = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*w));
        CHECK(w);
        memset(w, 0, sizeof(*w));
        w->node = &node;
        w->access = access_ring_new();
        CHECK(w->access);
        node.worker[i] = w;
    }
    struct access *a = access_new(&config, error, sizeof(error));
    CHECK(a && access_start(a, &node, WORKERS));
    for (unsigned i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&thread[i], NULL, put, node.worker[i]) == 0);
    control(a, argc > 1 ? atoi(argv[1]) : 1);
    over = true;
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(thread[i], NULL);
    while (ring_waits(node.worker[0]->access) || ring_waits(node.worker[1]->access))
        usleep(1000);
    usleep(300000); /* the last batch */
    for (unsigned i = 0; i < WORKERS; i++) {
        put_in += counter_read(&node.worker[i]->counters.worker_access_records_total);
        dropped += counter_read(&node.worker[i]->counters.worker_access_dropped_total);
    }
    const struct log_counters *n = access_counters(a);
    uint64_t lines = counter_read(&n->log_lines_total);
    printf("%llu records, %llu lines, %llu dropped, %llu rotations\n", (unsigned long long)put_in,
           (unsigned long long)lines, (unsigned long long)dropped,
           (unsigned long long)counter_read(&n->log_rotations_total));
    CHECK(lines > 0 && lines + dropped == put_in && counter_read(&n->log_dropped_total) == 0);
    access_stop(a);
    for (unsigned i = 0; i < WORKERS; i++) {
        ring_free(node.worker[i]->access);
        free(node.worker[i]);
    }
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    CHECK(system(command) == 0);
    return 0;
}

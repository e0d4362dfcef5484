/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings between threads and the wake that goes with them (worker/sleeper.h): two workers that bat
 * messages back and forth and a control thread that sends commands to both, all of them asleep
 * as often as they can. A lost wake shows as a sleep that runs into its limit with work
 * waiting; a lost or torn message as a wrong number. Longer by hand: stress-worker-wake SECONDS
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dataplane/worker/sleeper.h"

#define BATTED   8 /* messages in flight between the workers */
#define LIMIT_MS 2000

struct side {
    struct sleeper sleeper;
    struct rte_ring *messages, *commands;
    struct side *other;
    uint64_t batted, commanded, sleeps, lost_wakes, wrong;
    unsigned *stop;
};

static bool stopping(const struct side *s)
{
    return __atomic_load_n(s->stop, __ATOMIC_ACQUIRE);
}

static bool waits(struct side *s)
{
    return ring_waits(s->messages) || ring_waits(s->commands) || stopping(s);
}

/* As sleep.c's sleep_until. */
static void rest(struct side *s)
{
    sleeper_arm(&s->sleeper);
    if (!waits(s)) {
        struct pollfd p = {.fd = s->sleeper.fd, .events = POLLIN};
        s->sleeps++;
        if (poll(&p, 1, LIMIT_MS) == 0 && waits(s))
            s->lost_wakes++;
        sleeper_drain(&s->sleeper);
    }
    sleeper_disarm(&s->sleeper);
}

static void check(struct side *s, const struct message *m)
{
    for (unsigned i = 1; i < MESSAGE_BODY / 8; i++)
        if (m->word[i] != m->word[0] * i)
            s->wrong++;
}

static struct message numbered(uint16_t type, uint64_t n)
{
    struct message m = {.type = type};
    m.word[0] = n;
    for (unsigned i = 1; i < MESSAGE_BODY / 8; i++)
        m.word[i] = n * i;
    return m;
}

static void bat(struct side *s, const struct message *m)
{
    struct message back = numbered(1, m->word[0] + 1);
    check(s, m);
    s->batted++;
    if (!ring_post(s->other->messages, &back)) /* BATTED fit: never */
        s->wrong++;
}

static void *worker(void *ctx)
{
    struct side *s = ctx;
    struct message m[4];

    while (!stopping(s)) {
        unsigned n = ring_take(s->messages, m, 4);
        for (unsigned i = 0; i < n; i++)
            bat(s, &m[i]);
        if (n)
            sleeper_wake(&s->other->sleeper);
        unsigned k = ring_take(s->commands, m, 4);
        for (unsigned i = 0; i < k; i++) {
            check(s, &m[i]);
            s->wrong += m[i].word[0] != s->commanded + 1; /* in order */
            s->commanded = m[i].word[0];
        }
        if (n + k == 0)
            rest(s);
    }
    return NULL;
}

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void control(struct side side[2], uint64_t end_ms)
{
    uint64_t sent[2] = {0, 0};
    unsigned r = 1;

    while (clock_ms() < end_ms) {
        for (unsigned i = 0; i < 2; i++) {
            struct message m = numbered(2, sent[i] + 1);
            if (!ring_post(side[i].commands, &m))
                continue; /* full: later */
            sent[i]++;
            sleeper_wake(&side[i].sleeper);
        }
        r = r * 1103515245u + 12345u;
        struct timespec pause = {0, (long)(r >> 16 & 0xff) * 200};
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    struct side side[2] = {{.other = &side[1]}, {.other = &side[0]}};
    unsigned stop = 0;
    pthread_t thread[2];

    for (unsigned i = 0; i < 2; i++) {
        side[i].stop = &stop;
        side[i].messages = ring_new(sizeof(struct message), 64);
        side[i].commands = ring_new(sizeof(struct message), 16);
        if (!side[i].messages || !side[i].commands || !sleeper_init(&side[i].sleeper))
            return 1;
    }
    for (unsigned i = 0; i < BATTED; i++) {
        struct message m = numbered(1, i);
        ring_post(side[i & 1].messages, &m);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, worker, &side[i]);
    control(side, clock_ms() + seconds * 1000);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 2; i++)
        sleeper_write(&side[i].sleeper);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    int status = 0;
    for (unsigned i = 0; i < 2; i++) {
        printf("side %u: %llu batted, %llu commands, %llu sleeps, %llu wakes lost, %llu wrong\n", i,
               (unsigned long long)side[i].batted, (unsigned long long)side[i].commanded,
               (unsigned long long)side[i].sleeps, (unsigned long long)side[i].lost_wakes,
               (unsigned long long)side[i].wrong);
        if (side[i].lost_wakes || side[i].wrong || !side[i].batted || !side[i].commanded)
            status = 1;
        ring_free(side[i].messages);
        ring_free(side[i].commands);
        sleeper_close(&side[i].sleeper);
    }
    return status;
}

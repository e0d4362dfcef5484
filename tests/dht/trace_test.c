/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces over a made-up path, on virtual time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dht/trace.h"

#define S 1000000ull

static const uint8_t seed[32] = {9};

static struct addr ip(const char *text)
{
    struct addr a;
    cr_assert(addr_parse(text, &a), "%s", text);
    return a;
}

/* The network: `hops` routers 1.0.k.1 (k: the hop) and then whatever target; each takes 10 ms. */
static struct {
    struct now now;
    struct dht_trace *trace;
    unsigned hops;
    uint32_t silent;        /* bit k: router k never answers */
    uint32_t lose_once;     /* bit k: the first probe that ends there is lost */
    bool dead;              /* the target does not answer */
    uint64_t late_us;       /* answers take so much longer */
    struct addr far;        /* 38 hops away, and answers take a second */
    unsigned feed;          /* so many more traces are asked for, each when one is over */
    struct addr router[40]; /* where they are not 1.0.k.1 */
    struct flight {
        uint64_t at_us;
        uint16_t token;
        uint8_t ttl;
        bool end;
    } flight[64];
    unsigned flights, most_in_flight;
    unsigned probes, probes_at[40];
    uint64_t sent_us[512];
    uint16_t flow; /* of the last probe */
    unsigned done, reached;
    struct dht_trace_result result; /* the last one */
} w;

static void probe(void *ctx, const struct addr *to, uint8_t ttl, uint16_t token)
{
    (void)ctx;
    cr_assert(ttl >= 1 && ttl <= DHT_TRACE_TTL_MAX && w.probes < 512 && w.flights < 64);
    cr_assert(token < DHT_TRACE_FLOWS * DHT_TRACE_STEPS);
    w.sent_us[w.probes++] = w.now.mono_us;
    w.probes_at[ttl]++;
    w.flow = token / DHT_TRACE_STEPS;
    bool far = addr_eq(to, &w.far);
    unsigned hops = far ? 38 : w.hops, at = ttl > hops ? hops + 1 : ttl;
    bool lost = w.lose_once >> at & 1;
    w.lose_once &= ~(1u << at);
    if (lost || (at > hops ? w.dead : w.silent >> at & 1))
        return;
    w.flight[w.flights++] = (struct flight){
        w.now.mono_us + at * 10000 + w.late_us + (far ? 600000 : 0), token, ttl, at > hops};
    w.most_in_flight = w.flights > w.most_in_flight ? w.flights : w.most_in_flight;
}

static void done(void *ctx, const struct dht_trace_result *r, struct now now)
{
    (void)ctx;
    w.done++;
    w.reached += r->reached;
    if (w.feed == 0 || addr_eq(&r->target, &w.far))
        w.result = *r;
    if (w.feed) {
        const struct dht_trace_result *known;
        const struct addr next = addr_v4(0x08080008u + (w.feed-- << 8));
        dht_trace_towards(w.trace, &next, &known, now);
    }
}

static void init(const struct dht_trace_config *config, unsigned hops)
{
    const struct dht_trace_host host = {NULL, probe, done};
    memset(&w, 0, sizeof(w));
    w.now.mono_us = 100 * S;
    w.hops = hops;
    for (unsigned k = 1; k < 40; k++)
        w.router[k] = addr_v4(0x01000001u + (k << 8));
    w.trace = dht_trace_create(config, &host, seed, w.now);
    w.now.mono_us += 10 * S; /* the bucket is full */
}

static void arrive(unsigned i)
{
    const struct flight f = w.flight[i];
    w.flight[i] = w.flight[--w.flights];
    if (f.end)
        dht_trace_port_unreachable(w.trace, f.token);
    else
        dht_trace_time_exceeded(w.trace, f.token, &w.router[f.ttl], f.ttl * 10000u);
}

/* Until nothing is to be done. */
static void run(void)
{
    for (unsigned turn = 0; turn < 10000; turn++) {
        unsigned first = 0;
        dht_trace_poll(w.trace, w.now);
        for (unsigned i = 1; i < w.flights; i++)
            if (w.flight[i].at_us < w.flight[first].at_us)
                first = i;
        uint64_t due = dht_trace_deadline_us(w.trace);
        if (w.flights && w.flight[first].at_us <= due) {
            if (w.flight[first].at_us > w.now.mono_us)
                w.now.mono_us = w.flight[first].at_us;
            arrive(first);
        } else if (due == UINT64_MAX) {
            return;
        } else if (due > w.now.mono_us) {
            w.now.mono_us = due;
        }
    }
    cr_assert(false, "a trace does not end");
}

static enum dht_trace_answer towards_addr(struct addr target)
{
    const struct dht_trace_result *known;
    enum dht_trace_answer answer = dht_trace_towards(w.trace, &target, &known, w.now);
    if (answer == DHT_TRACE_KNOWN)
        w.result = *known;
    return answer;
}

static enum dht_trace_answer towards(const char *target)
{
    return towards_addr(ip(target));
}

/* 8.0.i.8, and on with 8.1.0.8 */
static enum dht_trace_answer towards_number(unsigned i)
{
    return towards_addr(addr_v4(0x08000008 + (i << 8)));
}

static enum dht_trace_answer near(const char *target)
{
    const struct addr a = ip(target);
    return dht_trace_near(w.trace, &a, w.now);
}

static void start(unsigned hops)
{
    const struct dht_trace_config c = dht_trace_config_default();
    init(&c, hops);
}

static void finish(void)
{
    dht_trace_destroy(w.trace);
}

TestSuite(trace, .fini = finish);

/* The routers' hops, "3 4 5 6 7". */
static const char *hops(void)
{
    static char text[64];
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < w.result.n; i++) {
        int n = snprintf(text + len, sizeof(text) - len, i ? " %u" : "%u", w.result.router[i].hop);
        len += (size_t)n;
        cr_assert_lt(len, sizeof(text));
    }
    return text;
}

Test(trace, the_last_five_routers_before_a_target)
{
    start(12);
    cr_assert_eq(towards("8.8.8.8"), DHT_TRACE_WAITING);
    run();
    cr_assert(w.done == 1 && w.result.reached && !w.result.near);
    cr_assert_str_eq(hops(), "8 9 10 11 12");
    cr_assert(addr_eq(&w.result.router[4].ip, &w.router[12]) &&
              w.result.router[4].rtt_us == 120000);
    cr_assert(w.probes <= 14, "one a hop and one too far at most, not %u", w.probes);
    cr_assert_eq(w.most_in_flight, 2);
}

Test(trace, our_surroundings_are_the_first_five_hops)
{
    start(12);
    cr_assert_eq(near("8.8.8.8"), DHT_TRACE_WAITING);
    run();
    cr_assert(w.done == 1 && w.result.near && !w.result.reached);
    cr_assert_str_eq(hops(), "1 2 3 4 5");
    cr_assert_eq(w.probes, 5);
}

Test(trace, a_near_target_ends_it_early)
{
    start(2);
    near("8.8.8.8");
    run();
    cr_assert(w.result.reached);
    cr_assert_str_eq(hops(), "1 2");
    cr_assert(w.probes <= 4);
}

Test(trace, a_lost_probe_is_repeated_once_after_a_second)
{
    start(6);
    w.lose_once = 1u << 3 | 1u << 7;
    towards("8.8.8.8");
    run();
    cr_assert(w.result.reached);
    cr_assert_str_eq(hops(), "2 3 4 5 6");
    cr_assert_eq(w.probes_at[3], 2);
}

Test(trace, silent_routers_are_passed_by)
{
    start(8);
    w.silent = 1u << 5 | 1u << 6;
    towards("8.8.8.8");
    run();
    cr_assert(w.result.reached);
    cr_assert_str_eq(hops(), "2 3 4 7 8");
    cr_assert(w.probes_at[5] == 2 && w.probes_at[6] == 2, "no more than one repetition");
}

Test(trace, three_silent_hops_in_a_row_are_the_end)
{
    start(20);
    w.silent = 0xffffff80;
    towards("8.8.8.8");
    run();
    cr_assert(w.done == 1 && !w.result.reached);
    cr_assert_str_eq(hops(), "2 3 4 5 6");
    cr_assert(w.probes_at[9] == 2 && w.probes_at[11] == 0, "one beside it was in flight");
}

Test(trace, a_dead_target_does_not_hold_it_for_ever)
{
    start(4);
    w.dead = true;
    towards("8.8.8.8");
    uint64_t from = w.now.mono_us;
    run();
    cr_assert(w.done == 1 && !w.result.reached);
    cr_assert_str_eq(hops(), "1 2 3 4");
    cr_assert(w.now.mono_us - from < 5 * S);
}

Test(trace, somebody_in_the_targets_prefix_is_near_enough)
{
    start(12);
    w.router[7] = ip("8.8.8.1");
    towards("8.8.8.8");
    run();
    cr_assert(w.result.reached);
    cr_assert_str_eq(hops(), "3 4 5 6 7");
    cr_assert_eq(w.probes_at[9], 0);
}

Test(trace, a_path_longer_than_thirty_hops_is_given_up)
{
    start(38);
    towards("8.8.8.8");
    run();
    cr_assert(w.done == 1 && !w.result.reached);
    cr_assert_str_eq(hops(), "26 27 28 29 30");
    cr_assert_eq(w.probes, 30);
}

Test(trace, private_routers_answer_and_are_not_named)
{
    start(7);
    w.router[1] = ip("192.168.0.1");
    w.router[6] = ip("10.0.0.1");
    towards("8.8.8.8");
    run();
    cr_assert_str_eq(hops(), "2 3 4 5 7");
    cr_assert_eq(towards("10.0.0.9"), DHT_TRACE_REFUSED, "nor traced to");
    cr_assert_eq(near("127.0.0.1"), DHT_TRACE_REFUSED);
}

Test(trace, a_private_cluster_names_them)
{
    struct dht_trace_config c = dht_trace_config_default();
    c.special = true;
    init(&c, 2);
    w.router[1] = ip("192.168.0.1");
    near("10.0.0.9");
    run();
    cr_assert_str_eq(hops(), "1 2");
}

Test(trace, a_loop_names_each_router_once)
{
    start(38);
    for (unsigned k = 3; k < 40; k++)
        w.router[k] = w.router[k & 1 ? 1 : 2];
    towards("8.8.8.8");
    run();
    cr_assert_str_eq(hops(), "1 2");
}

Test(trace, all_probes_of_a_trace_take_the_same_path)
{
    start(6);
    towards("8.8.8.8");
    dht_trace_poll(w.trace, w.now);
    uint16_t flow = w.flow;
    run();
    cr_assert_eq(w.flow, flow);
    towards("9.9.9.9");
    run();
    cr_assert_neq(w.flow, flow, "and the next trace another");
}

Test(trace, a_slow_trace_is_not_mixed_with_the_many_that_end_beside_it)
{
    struct dht_trace_config c = dht_trace_config_default();
    c.probes_per_s = 100;
    c.burst = 10;
    init(&c, 1);
    w.far = ip("9.9.9.9");
    w.feed = 130; /* twice as many as there are flows */
    towards("9.9.9.9");
    towards("8.9.9.9");
    run();
    cr_assert(w.done == 132 && w.reached == 131, "%u of %u", w.reached, w.done);
    towards("9.9.9.1");
    cr_assert(!w.result.reached);
    cr_assert_str_eq(hops(), "26 27 28 29 30");
}

Test(trace, a_whole_prefix_is_traced_once_an_hour)
{
    start(6);
    towards("8.8.8.8");
    cr_assert_eq(towards("8.8.8.9"), DHT_TRACE_WAITING);
    run();
    cr_assert_eq(w.done, 1);
    unsigned probes = w.probes;
    memset(&w.result, 0, sizeof(w.result));
    cr_assert_eq(towards("8.8.8.200"), DHT_TRACE_KNOWN);
    cr_assert_str_eq(hops(), "2 3 4 5 6");
    w.now.mono_us += 3590 * S;
    cr_assert_eq(towards("8.8.8.8"), DHT_TRACE_KNOWN);
    cr_assert_eq(w.probes, probes);
    w.now.mono_us += 20 * S;
    cr_assert_eq(towards("8.8.8.8"), DHT_TRACE_WAITING);
    run();
    cr_assert_eq(w.done, 2);
}

Test(trace, ten_probes_a_second_over_all_traces)
{
    start(12);
    for (unsigned i = 0; i < 8; i++)
        towards_number(i);
    run();
    cr_assert_eq(w.done, 8);
    for (unsigned i = 0; i < w.probes; i++) { /* in any second: the burst, and ten */
        unsigned n = 0;
        for (unsigned k = i; k < w.probes && w.sent_us[k] < w.sent_us[i] + S; k++)
            n++;
        cr_assert(n <= 15, "%u in the second after probe %u", n, i);
    }
}

Test(trace, four_at_once_sixteen_wait_and_the_next_is_refused)
{
    start(6);
    for (unsigned i = 0; i < 4; i++)
        towards_number(i);
    dht_trace_poll(w.trace, w.now);
    for (unsigned i = 4; i < 20; i++)
        cr_assert_eq(towards_number(i), DHT_TRACE_WAITING);
    cr_assert_eq(towards("9.9.9.9"), DHT_TRACE_REFUSED);
    cr_assert_eq(towards("8.0.7.1"), DHT_TRACE_WAITING, "that one waits already");
    run();
    cr_assert_eq(w.done, 20);
    cr_assert_eq(towards("9.9.9.9"), DHT_TRACE_WAITING);
}

Test(trace, the_oldest_of_256_results_makes_room)
{
    start(1);
    for (unsigned i = 0; i < 257; i++) {
        w.probes = 0;
        cr_assert_eq(towards_number(i), DHT_TRACE_WAITING);
        run();
    }
    cr_assert_eq(towards("8.0.1.8"), DHT_TRACE_KNOWN);
    cr_assert_eq(towards("8.1.0.8"), DHT_TRACE_KNOWN);
    cr_assert_eq(towards("8.0.0.8"), DHT_TRACE_WAITING);
}

Test(trace, turned_off_it_sends_nothing)
{
    struct dht_trace_config c = dht_trace_config_default();
    c.probes_per_s = 0;
    init(&c, 6);
    cr_assert_eq(towards("8.8.8.8"), DHT_TRACE_REFUSED);
    cr_assert_eq(near("8.8.8.8"), DHT_TRACE_REFUSED);
    run();
    cr_assert_eq(w.probes, 0);
}

Test(trace, tokens_of_no_probe_and_second_answers_change_nothing)
{
    const struct addr liar = {{0x2a, 1}};
    start(6);
    for (uint32_t token = 0; token <= UINT16_MAX; token++) /* before any */
        dht_trace_time_exceeded(w.trace, (uint16_t)token, &liar, 1);
    towards("8.8.8.8");
    dht_trace_poll(w.trace, w.now);
    uint16_t first = w.flight[0].token;
    arrive(0);
    dht_trace_time_exceeded(w.trace, first, &liar, 1);
    dht_trace_port_unreachable(w.trace, first);
    for (uint32_t token = 0; token <= UINT16_MAX; token++)
        if (token >> 6 != first >> 6)
            dht_trace_port_unreachable(w.trace, (uint16_t)token);
    run();
    cr_assert(w.result.reached && w.done == 1);
    cr_assert_str_eq(hops(), "2 3 4 5 6");
}

Test(trace, an_answer_after_the_repetition_still_counts)
{
    start(3);
    w.late_us = 1500000;
    towards("8.8.8.8");
    run();
    cr_assert(w.result.reached);
    cr_assert_str_eq(hops(), "1 2 3");
    cr_assert_eq(w.probes_at[1], 2);
}

Test(trace, any_world_ends_and_names_only_what_is_there)
{
    for (unsigned round = 0; round < 300; round++) {
        srand(round);
        start(1 + (unsigned)rand() % 35);
        w.silent = (uint32_t)rand() & (uint32_t)rand() & (uint32_t)rand();
        w.lose_once = (uint32_t)rand() & (uint32_t)rand();
        w.dead = rand() & 1;
        w.late_us = (uint64_t)rand() % 1200000;
        if (rand() & 1)
            near("8.8.8.8");
        towards("8.8.8.8");
        run();
        cr_assert(w.done >= 1, "round %u", round);
        for (unsigned i = 0; i < w.result.n; i++) {
            unsigned k = w.result.router[i].hop;
            cr_assert(k >= 1 && k <= w.hops && k <= 30, "round %u", round);
            cr_assert(addr_eq(&w.result.router[i].ip, &w.router[k]), "round %u", round);
            cr_assert(i == 0 || k > w.result.router[i - 1].hop, "round %u", round);
        }
        if (round < 299)
            finish();
    }
}

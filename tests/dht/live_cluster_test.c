/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole clusters: how fast the dead are withdrawn, how rarely the living, and what it costs. The
 * figures are printed with --verbose. */
#include <criterion/criterion.h>

#include "live_cluster.h"

#define SECOND 1000000ull
#define KILLS  (120u / PART)

static void report_quantiles(const char *what, struct swim_samples *s)
{
    cr_log_info("%s: %u samples, median %lu ms, p90 %lu, p99 %lu, longest %lu", what, s->n,
                swim_quantile_us(s, 500) / 1000, swim_quantile_us(s, 900) / 1000,
                swim_quantile_us(s, 990) / 1000, swim_quantile_us(s, 1000) / 1000);
}

/* Kills a random node, waits until all its observers withdrew it (8 s at most), brings it back, and
 * lets it rest: KILLS times. Gives the time until the last of each kill's observers. */
static void kill_many(struct swim *c, struct swim_samples *last)
{
    for (unsigned k = 0; k < KILLS; k++) {
        unsigned victim, all = 1, withdrew = 0;
        do
            victim = rng_below(&c->rng, c->n);
        while (c->node[victim].lying_helper);
        swim_kill(c, victim);
        uint64_t begin = c->us;
        while (withdrew < all && c->us < begin + 8 * SECOND) {
            swim_run(c, 10000);
            swim_observers(c, victim, &all, &withdrew);
        }
        last->us[last->n++] = c->us - begin;
        cr_assert_eq(withdrew, all, "kill %u: node %u is withdrawn by %u of %u", k, victim,
                     withdrew, all);
        swim_run(c, SECOND);
        swim_start(c, victim);
        swim_run(c, SECOND + rng_below(&c->rng, 2000000));
    }
}

static void kills_are_seen_in_time(struct swim *c, const char *what)
{
    uint64_t room[KILLS];
    struct swim_samples last = {.us = room};
    swim_run(c, 30 * SECOND);
    swim_measure(c);
    kill_many(c, &last);
    cr_log_info("%s:", what);
    report_quantiles("  kill to withdrawal, each observer", &c->withdrawals);
    report_quantiles("  kill to withdrawal, the last observer", &last);
    report_quantiles("  wrong withdrawals, until healed", &c->wrong);
    cr_assert_leq(swim_quantile_us(&c->withdrawals, 500), 2 * SECOND);
    cr_assert_leq(swim_quantile_us(&c->withdrawals, 990), 4 * SECOND);
    cr_assert_leq(swim_quantile_us(&last, 500), 2 * SECOND);
    cr_assert_leq(swim_quantile_us(&last, 990), 4 * SECOND);
    swim_destroy(c);
}

Test(live_cluster, of_six_that_know_each_other_the_dead_are_withdrawn_in_time)
{
    kills_are_seen_in_time(swim_create(6, 5, 10, 1), "6 nodes, 1 % loss");
}

Test(live_cluster, of_300_that_know_40_each_the_dead_are_withdrawn_in_time)
{
    kills_are_seen_in_time(swim_create(300, 40, 10, 2), "300 nodes, 1 % loss");
}

Test(live_cluster, one_helper_in_twenty_that_vouches_for_anybody_does_not_keep_the_dead)
{
    struct swim *c = swim_create(300, 40, 10, 3);
    for (unsigned i = 0; i < c->n; i += 20)
        c->node[i].lying_helper = true;
    kills_are_seen_in_time(c, "300 nodes, 1 % loss, 5 % of helpers lie");
}

static void idle_is_cheap(unsigned n, unsigned each)
{
    struct swim *c = swim_create(n, each, 10, 4);
    uint64_t seconds = 600 / PART, sent = 0, bytes = 0, most = 0;
    swim_run(c, 30 * SECOND);
    swim_measure(c);
    swim_run(c, seconds * SECOND);
    for (unsigned i = 0; i < n; i++) {
        sent += c->node[i].sent;
        bytes += c->node[i].sent_bytes;
        most = c->node[i].sent_bytes > most ? c->node[i].sent_bytes : most;
    }
    double hours = (double)(n * seconds) / 3600;
    cr_log_info("%u nodes, %u members each, idle, 1 %% loss: %.2f packets/s, %.2f kbit/s a node, "
                "%.2f the busiest; %.3f wrong withdrawals a node and hour",
                n, each, (double)sent / (double)(n * seconds),
                (double)bytes * 8e-3 / (double)(n * seconds), (double)most * 8e-3 / (double)seconds,
                c->wrong_begun / hours);
    report_quantiles("  wrong withdrawals, until healed", &c->wrong);
    cr_assert_leq(most * 8 / seconds, 8000, "bits/s");
    cr_assert_leq(c->wrong_begun / hours, 1.0);
    cr_assert_leq(swim_quantile_us(&c->wrong, 500), SECOND);
    swim_destroy(c);
}

Test(live_cluster, a_small_one_at_rest_costs_less_than_8_kbits_a_node)
{
    idle_is_cheap(6, 5);
}

Test(live_cluster, a_large_one_at_rest_costs_less_than_8_kbits_a_node)
{
    idle_is_cheap(300, 40);
}

Test(live_cluster, wrong_withdrawals_heal_within_a_second)
{
    struct swim *c = swim_create(100, 40, 100, 5); /* a tenth is lost, so that there are many */
    swim_run(c, 300 * SECOND);
    report_quantiles("100 nodes, 10 % loss, wrong withdrawals until healed", &c->wrong);
    cr_assert_geq(c->wrong.n, 20, "nothing to look at");
    cr_assert_leq(swim_quantile_us(&c->wrong, 500), SECOND / 2);
    cr_assert_leq(swim_quantile_us(&c->wrong, 900), SECOND);
    swim_destroy(c);
}

/* `dead` of 300, all at once: what is left of them in answers after `seconds`, in permille. */
static unsigned left_after(unsigned dead, unsigned seconds)
{
    struct swim *c = swim_create(300, 40, 10, 6);
    unsigned left = 0, most = 0;
    swim_run(c, 30 * SECOND);
    swim_measure(c);
    for (unsigned i = 0; i < dead; i++)
        swim_kill(c, i);
    swim_run(c, seconds * SECOND);
    for (unsigned i = 0; i < dead; i++) {
        unsigned all, withdrew;
        swim_observers(c, i, &all, &withdrew);
        left += all - withdrew;
        most += all;
    }
    cr_log_info("%u of 300 die at once: after %u s %u of %u are left", dead, seconds, left, most);
    report_quantiles("  each observer that withdrew", &c->withdrawals);
    report_quantiles("  wrong withdrawals", &c->wrong);
    cr_assert_leq(c->wrong_begun, 30);
    swim_destroy(c);
    return left * 1000 / most;
}

Test(live_cluster, a_rack_that_dies_is_withdrawn_though_all_name_many)
{
    cr_assert_leq(left_after(30, 4), 20);
}

Test(live_cluster, a_third_that_dies_is_withdrawn_within_a_round)
{
    cr_assert_leq(left_after(100, 25), 20);
}

/* Sleeps of half a second, each minute: others withdraw it meanwhile, rightly; but it does not
 * think that it is they who sleep. */
Test(live_cluster, a_node_that_stalls_does_not_make_others_flap)
{
    struct swim *c = swim_create(50, 40, 10, 7);
    unsigned by_it = 0, elsewhere = 0;
    swim_run(c, 10 * SECOND);
    for (unsigned minute = 0; minute < 30; minute++) {
        c->node[0].asleep_until_us = c->us + 500000;
        for (unsigned t = 0; t < 200; t++) {
            swim_run(c, 10000);
            for (unsigned i = 1; i < c->n; i++)
                by_it += c->monitors[0][i] && !swim_alive(c, 0, i);
            for (unsigned i = 1; i + 1 < c->n; i++)
                elsewhere += c->monitors[i][i + 1] && !swim_alive(c, i, i + 1);
        }
        swim_run(c, 58 * SECOND);
        for (unsigned i = 1; i < c->n; i++)
            if (c->monitors[i][0])
                cr_assert(swim_alive(c, i, 0), "node %u still thinks that it sleeps", i);
    }
    cr_log_info("30 stalls: withdrawn at the sleeper %u, elsewhere %u (in 10 ms)", by_it,
                elsewhere);
    cr_assert_leq(by_it, 20);
    cr_assert_leq(elsewhere, 20);
    swim_destroy(c);
}

Test(live_cluster, who_is_cut_off_blames_nobody)
{
    struct swim *c = swim_create(50, 40, 0, 8);
    swim_run(c, 10 * SECOND);
    c->node[0].cut = true;
    swim_run(c, 30 * SECOND);
    unsigned withdrawn = 0;
    for (unsigned i = 1; i < c->n; i++)
        withdrawn += c->monitors[0][i] && !swim_alive(c, 0, i);
    cr_assert_leq(withdrawn, 1, "the one that it asked when it happened, at most: %u", withdrawn);
    c->node[0].cut = false;
    uint64_t back = c->us;
    for (unsigned all = 1, withdrew = 1; withdrew > 0;) {
        swim_run(c, SECOND / 10);
        swim_observers(c, 0, &all, &withdrew);
        cr_assert_lt(c->us, back + 20 * SECOND);
    }
    cr_log_info("back after 30 s: in all answers again after %lu ms", (c->us - back) / 1000);
    for (unsigned i = 1; i < c->n; i++)
        cr_assert(!c->monitors[0][i] || swim_alive(c, 0, i));
    swim_destroy(c);
}

/* Each of three liars tells everybody, four times a second, that five random nodes are dead, or
 * leave, or (of a dead one) that it lives again. */
Test(live_cluster, liars_neither_empty_dns_nor_fill_it)
{
    struct swim *c = swim_create(100, 40, 10, 9);
    c->node[0].lying_helper = c->node[1].lying_helper = c->node[2].lying_helper = true;
    swim_run(c, 30 * SECOND);
    swim_kill(c, 99);
    swim_run(c, 8 * SECOND);
    swim_measure(c);
    unsigned withdrawn = 0, looks = 0, dead_back = 0;
    for (unsigned round = 0; round < 240; round++) {
        for (unsigned liar = 0; liar < 3; liar++) {
            for (unsigned to = 3; to < 99; to++) {
                struct dht_news lie[DHT_NEWS];
                for (unsigned i = 0; i < 5; i++) {
                    unsigned about = 3 + rng_below(&c->rng, 96);
                    enum live_state state = i == 0   ? LIVE_LEAVING
                                            : i == 1 ? LIVE_DEAD
                                                     : LIVE_SUSPECT;
                    lie[i] = (struct dht_news){c->node[about].id, 1, (uint8_t)state};
                    if (c->node[about].live && i > 2)
                        lie[i].incarnation = live_self_incarnation(c->node[about].live);
                }
                lie[5] = (struct dht_news){c->node[99].id, UINT32_MAX, LIVE_ALIVE};
                swim_tell(c, liar, to, lie, 6);
            }
        }
        swim_run(c, SECOND / 4);
        for (unsigned i = 3; i < 99; i++) {
            for (unsigned k = 3; k < 99; k++) {
                looks += c->monitors[i][k];
                withdrawn += c->monitors[i][k] && !swim_alive(c, i, k);
            }
            dead_back += c->monitors[i][99] && swim_alive(c, i, 99);
        }
    }
    uint64_t bytes = 0;
    for (unsigned i = 3; i < 99; i++)
        bytes += c->node[i].sent_bytes;
    cr_log_info("3 liars among 100: %.3f %% of members withdrawn at a time, %u begun; "
                "%.1f kbit/s a node",
                100.0 * withdrawn / looks, c->wrong_begun, (double)bytes * 8e-3 / 96 / 60);
    report_quantiles("  until healed", &c->wrong);
    cr_assert_eq(dead_back, 0);
    cr_assert_leq(withdrawn * 100.0, 1.0 * looks, "1 %% at most");
    swim_destroy(c);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What one detector makes of what others tell it, true or not. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "live_world.h"

/* --- what others say -------------------------------------------------------------------------- */

Test(live_news, an_accused_that_answers_stays)
{
    struct world *w = make(10);
    struct dht_news out[DHT_NEWS];
    tell(w, 1, 5, 1, LIVE_SUSPECT);
    cr_assert_eq(w->pings[5], 1, "asked at once");
    cr_assert_geq(live_news_out(w->live, 5, out, w->now), 1);
    cr_assert(is_about(&out[0], 5, 1, LIVE_SUSPECT), "and told, so that it can refute");
    cr_assert_eq(state(w, 5), LIVE_ALIVE);
    run(w, SECOND);
    cr_assert_eq(w->changes + w->rumours, 0, "nor is the lie passed on");
    cr_assert_eq(live_counters(w->live)->live_accusations_false_total, 1);
    end(w);
}

Test(live_news, an_accused_that_does_not_answer_is_withdrawn_after_one_time_out)
{
    struct world *w = make(10);
    w->silent[5] = true;
    tell(w, 1, 5, 1, LIVE_SUSPECT);
    cr_assert_leq(withdrawn_after(w, 5, SECOND), 101 * MS);
    cr_assert_eq(w->vias, 0);
    cr_assert_eq(w->rumours, 3);
    end(w);
}

Test(live_news, an_accusation_of_one_that_failed_already_needs_no_more_time)
{
    struct world *w = make(10);
    w->silent[5] = true;
    while (w->vias == 0)
        run(w, MS);
    tell(w, 1, 5, 1, LIVE_SUSPECT);
    cr_assert_eq(state(w, 5), LIVE_SUSPECT);
    cr_assert_eq(live_health(w->live), 0);
    end(w);
}

Test(live_news, an_accusation_of_an_earlier_incarnation_is_nothing)
{
    struct world *w = make(10);
    live_heard(w->live, 5, 2, 0, w->now);
    tell(w, 1, 5, 1, LIVE_SUSPECT);
    tell(w, 5, 5, 2, LIVE_SUSPECT); /* nor is one of oneself */
    cr_assert_eq(w->pings[5], 0);
    end(w);
}

Test(live_news, confirmations_by_others_bring_death_sooner_but_not_by_one_alone)
{
    struct world *w = make(10);
    w->silent[4] = w->silent[5] = true;
    tell(w, 1, 4, 1, LIVE_SUSPECT);
    tell(w, 2, 5, 1, LIVE_SUSPECT);
    run(w, 200 * MS);
    for (unsigned i = 0; i < 5; i++)
        tell(w, 1, 4, 1, LIVE_SUSPECT);
    tell(w, 3, 5, 1, LIVE_SUSPECT);
    run(w, 2100 * MS);
    cr_assert_eq(state(w, 4), LIVE_SUSPECT, "named by one, however often");
    cr_assert_eq(state(w, 5), LIVE_DEAD, "named by two: 4 * 0.5 s");
    end(w);
}

Test(live_news, who_names_a_fifth_that_lives_is_not_listened_to_for_ten_seconds)
{
    struct world *w = make(40);
    for (uint32_t p = 2; p <= 40; p++)
        tell(w, 1, p, 1, LIVE_SUSPECT);
    unsigned asked = 0;
    for (uint32_t p = 2; p <= 40; p++)
        asked += w->pings[p];
    cr_assert_eq(asked, 8);
    cr_assert_eq(live_counters(w->live)->live_accusations_ignored_total, 31);
    run(w, 2 * SECOND);
    w->silent[30] = true;
    unsigned before = w->pings[30];
    tell(w, 1, 30, 1, LIVE_SUSPECT);
    cr_assert_eq(w->pings[30], before);
    tell(w, 2, 30, 1, LIVE_SUSPECT);
    cr_assert_eq(w->pings[30], before + 1, "others are listened to");
    run(w, 9 * SECOND);
    before = w->pings[31];
    tell(w, 1, 31, 1, LIVE_SUSPECT);
    cr_assert_eq(w->pings[31], before + 1, "and it, after a while");
    end(w);
}

Test(live_news, who_names_many_that_are_dead_is_listened_to)
{
    struct world *w = make(40);
    for (uint32_t p = 21; p <= 40; p++) {
        w->silent[p] = true;
        tell(w, 1, p, 1, LIVE_SUSPECT);
        run(w, 110 * MS);
    }
    for (uint32_t p = 21; p <= 40; p++)
        cr_assert_neq(state(w, p), LIVE_ALIVE);
    cr_assert_eq(live_counters(w->live)->live_accusations_ignored_total, 0);
    end(w);
}

Test(live_news, hearsay_that_a_dead_one_lives_makes_us_ask_it_and_no_more)
{
    struct world *w = make(10);
    w->silent[4] = true;
    withdrawn_after(w, 4, 10 * SECOND);
    run(w, 15 * SECOND);
    cr_assert_eq(state(w, 4), LIVE_DEAD);
    run(w, SECOND);
    unsigned before = w->pings[4];
    tell(w, 1, 4, 1, LIVE_ALIVE); /* known to be false */
    cr_assert_eq(w->pings[4], before);
    tell(w, 1, 4, UINT32_MAX, LIVE_ALIVE);
    cr_assert_eq(w->pings[4], before + 1);
    run(w, 2 * SECOND);
    cr_assert_eq(state(w, 4), LIVE_DEAD);
    w->silent[4] = false;
    w->incarnation[4] = 2;
    tell(w, 1, 4, 2, LIVE_ALIVE);
    answer(w);
    cr_assert_eq(state(w, 4), LIVE_ALIVE);
    end(w);
}

Test(live_news, hearsay_that_a_suspect_lives_does_not_put_off_its_death)
{
    struct world *w = make(10);
    w->silent[4] = true;
    withdrawn_after(w, 4, 10 * SECOND);
    tell(w, 1, 4, 2, LIVE_ALIVE);
    run(w, 13 * SECOND);
    cr_assert_eq(state(w, 4), LIVE_DEAD);
    end(w);
}

/* --- restarts and leaving --------------------------------------------------------------------- */

Test(live_news, a_late_packet_of_an_earlier_life_restores_nobody_but_an_answer_does)
{
    struct world *w = make(10);
    live_heard(w->live, 4, 50, 0, w->now);
    w->silent[4] = true;
    withdrawn_after(w, 4, 10 * SECOND);
    live_heard(w->live, 4, 49, 0, w->now);
    cr_assert_eq(state(w, 4), LIVE_SUSPECT);
    live_heard(w->live, 4, 49, 9000, w->now); /* its clock went back */
    cr_assert_eq(state(w, 4), LIVE_ALIVE);
    end(w);
}

Test(live_news, who_says_that_it_leaves_is_withdrawn_at_once_until_it_starts_again)
{
    struct world *w = make(10);
    tell(w, 4, 4, 1, LIVE_LEAVING);
    cr_assert_eq(state(w, 4), LIVE_LEAVING);
    cr_assert_eq(w->rumours, 3);
    cr_assert(is_about(&w->rumour[0].news, 4, 1, LIVE_LEAVING));
    live_heard(w->live, 4, 1, 9000, w->now);
    cr_assert_eq(state(w, 4), LIVE_LEAVING, "it still answers");
    live_heard(w->live, 4, 2, 0, w->now);
    cr_assert_eq(state(w, 4), LIVE_ALIVE);
    end(w);
}

Test(live_news, that_another_leaves_is_believed_when_it_says_so_itself)
{
    struct world *w = make(10);
    tell(w, 1, 4, 1, LIVE_LEAVING);
    cr_assert_eq(w->pings[4], 1);
    answer(w);
    cr_assert_eq(state(w, 4), LIVE_ALIVE, "a lie");
    w->now.mono_us += SECOND;
    tell(w, 1, 5, 1, LIVE_LEAVING);
    w->waiting = 0;
    tell(w, 5, 5, 1, LIVE_LEAVING); /* with its answer */
    cr_assert_eq(state(w, 5), LIVE_LEAVING);
    end(w);
}

Test(live_news, who_says_of_many_that_they_leave_is_listened_to_when_they_do)
{
    struct world *w = make(40);
    for (uint32_t p = 21; p <= 40; p++) {
        tell(w, 1, p, 1, LIVE_LEAVING);
        tell(w, p, p, 1, LIVE_LEAVING); /* with its answer */
        cr_assert_eq(state(w, p), LIVE_LEAVING);
    }
    cr_assert_eq(live_counters(w->live)->live_accusations_ignored_total, 0);
    end(w);
}

Test(live_news, our_own_leaving_is_told_to_some_and_in_all_that_we_send)
{
    struct world *w = make(10);
    struct dht_news out[DHT_NEWS];
    live_leave(w->live, w->now);
    live_leave(w->live, w->now);
    cr_assert_eq(w->rumours, 3);
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_geq(live_news_out(w->live, 1 + i % 10, out, w->now), 1);
        cr_assert(is_about(&out[0], 0, 100, LIVE_LEAVING));
    }
    tell(w, 1, 0, 100, LIVE_SUSPECT);
    cr_assert_eq(w->self_accused, 0, "and not denied");
    end(w);
}

Test(live_news, an_accusation_of_ourselves_is_refuted_but_not_each_of_a_flood)
{
    struct world *w = make(10);
    struct dht_news out[DHT_NEWS];
    tell(w, 1, 0, 99, LIVE_SUSPECT);
    tell(w, 1, 0, UINT32_MAX - 1, LIVE_DEAD); /* made up: our incarnations would end */
    tell(w, 1, 0, 100, LIVE_ALIVE);
    cr_assert_eq(w->self_accused, 0);
    tell(w, 1, 0, 100, LIVE_SUSPECT);
    cr_assert_eq(w->self_accused, 101);
    cr_assert_eq(live_self_incarnation(w->live), 101);
    cr_assert_eq(live_health(w->live), 1);
    cr_assert_eq(live_news_out(w->live, 2, out, w->now), 1);
    cr_assert(is_about(&out[0], 0, 101, LIVE_ALIVE));
    for (unsigned i = 0; i < 100; i++) {
        tell(w, 1, 0, live_self_incarnation(w->live), LIVE_SUSPECT);
        run(w, 100 * MS);
    }
    cr_assert_leq(live_self_incarnation(w->live), 101 + 5, "at most each 2 s");
    cr_assert_leq(live_health(w->live), 1);
    end(w);
}

/* --- passing on ------------------------------------------------------------------------------- */

Test(live_news, news_of_strangers_go_to_three_once)
{
    struct world *w = make(10);
    tell(w, 1, 50, 7, LIVE_SUSPECT);
    cr_assert_eq(w->rumours, 3);
    tell(w, 1, 50, 7, LIVE_SUSPECT);
    tell(w, 2, 50, 7, LIVE_SUSPECT);
    tell(w, 2, 51, 7, LIVE_DEAD);
    cr_assert_eq(w->rumours, 3);
    tell(w, 2, 50, 8, LIVE_SUSPECT);
    cr_assert_eq(w->rumours, 6, "another incarnation is news");
    end(w);
}

Test(live_news, nobody_makes_us_pass_on_much)
{
    struct world *w = make(10);
    for (uint32_t i = 0; i < 200; i++)
        tell(w, 1, 50, i, LIVE_SUSPECT);
    cr_assert_eq(w->rumours, 8 * 3);
    cr_assert_eq(live_counters(w->live)->live_news_dropped_total, 192);
    for (uint32_t from = 2; from < 60; from++)
        for (uint32_t i = 0; i < 8; i++)
            tell(w, from, 60, from * 8 + i, LIVE_SUSPECT);
    cr_assert_leq(w->rumours, LIVE_NEWS_RING * 3, "nor all together");
    end(w);
}

Test(live_news, an_item_rides_in_a_few_packets_six_in_one_and_not_to_whom_it_is_about)
{
    struct live_ring *r = calloc(1, sizeof(*r));
    struct dht_news out[DHT_NEWS];
    struct now now = {.mono_us = SECOND};
    for (uint32_t i = 1; i <= 10; i++) {
        struct dht_news n = news_of(i, 1, LIVE_SUSPECT);
        now.mono_us++;
        cr_assert_eq(live_ring_add(r, &n, 2, false, now), LIVE_TAKEN);
        cr_assert_eq(live_ring_add(r, &n, 2, false, now), LIVE_KNOWN);
    }
    struct dht_id ten = id_of(10);
    cr_assert_eq(live_ring_take(r, &ten, out, 6, now), 6);
    for (unsigned i = 0; i < 6; i++)
        cr_assert(is_about(&out[i], 9 - i, 1, LIVE_SUSPECT), "the newest first");
    cr_assert_eq(live_ring_take(r, NULL, out, 6, now), 6);
    for (unsigned i = 0; i < 4; i++)
        cr_assert(is_about(&out[i], i == 0 ? 10 : 4 - i, 1, LIVE_SUSPECT), "the least told first");
    unsigned rest = 0;
    for (unsigned i = 0; i < 10; i++)
        rest += live_ring_take(r, NULL, out, 6, now);
    cr_assert_eq(rest, 20 - 12);
    free(r);
}

Test(live_news, a_full_ring_takes_only_our_own)
{
    struct live_ring *r = calloc(1, sizeof(*r));
    struct now now = {.mono_us = SECOND};
    for (uint32_t i = 0; i < LIVE_NEWS_RING; i++) {
        struct dht_news n = news_of(1, i, LIVE_SUSPECT);
        cr_assert_eq(live_ring_add(r, &n, 2, false, now), LIVE_TAKEN);
    }
    struct dht_news more = news_of(2, 1, LIVE_SUSPECT), own = news_of(3, 1, LIVE_SUSPECT);
    cr_assert_eq(live_ring_add(r, &more, 2, false, now), LIVE_FULL);
    cr_assert_eq(live_ring_add(r, &own, 2, true, now), LIVE_TAKEN);
    now.mono_us += 10 * SECOND;
    cr_assert_eq(live_ring_add(r, &more, 2, false, now), LIVE_TAKEN);
    free(r);
}

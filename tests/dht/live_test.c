/* SPDX-License-Identifier: BSD-3-Clause */
/* What one detector finds out itself. */
#include <criterion/criterion.h>

#include "live_world.h"

/* --- probing ---------------------------------------------------------------------------------- */

Test(live, each_member_is_asked_once_a_round_and_stays)
{
    struct world *w = make(10);
    run(w, 25 * SECOND); /* five rounds of 10 half seconds */
    for (uint32_t p = 1; p <= 10; p++) {
        cr_assert(w->pings[p] >= 4 && w->pings[p] <= 6, "%u: %u pings", p, w->pings[p]);
        cr_assert_eq(state(w, p), LIVE_ALIVE);
    }
    cr_assert_eq(w->changes + w->rumours + w->vias, 0);
    end(w);
}

Test(live, who_was_just_heard_needs_no_ping)
{
    struct world *w = make(10);
    for (unsigned t = 0; t < 200; t++) {
        for (uint32_t p = 1; p <= 10; p++)
            live_heard(w->live, p, 1, 0, w->now);
        run(w, 100 * MS);
    }
    for (uint32_t p = 1; p <= 10; p++)
        cr_assert_eq(w->pings[p], 0);
    end(w);
}

Test(live, the_silent_are_asked_through_helpers_then_withdrawn_told_of_and_dead)
{
    struct world *w = make(10);
    w->silent[4] = true;
    while (w->pings[4] == 0)
        run(w, MS);
    run(w, 98 * MS);
    cr_assert_eq(w->vias, 0, "the floor of the time-out is 100 ms");
    run(w, 2 * MS);
    cr_assert_eq(w->vias, 3);
    run(w, 198 * MS);
    cr_assert_eq(state(w, 4), LIVE_ALIVE);
    run(w, 4 * MS);
    cr_assert_eq(state(w, 4), LIVE_SUSPECT);
    cr_assert_eq(w->rumours, 3);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(is_about(&w->rumour[i].news, 4, 1, LIVE_SUSPECT));
        cr_assert_neq(w->rumour[i].to, 4);
        cr_assert(i == 0 || w->rumour[i].to != w->rumour[i - 1].to);
    }
    cr_assert_eq(live_health(w->live), 0, "all helpers heard us: we are well");
    run(w, 11 * SECOND); /* 6 * 4 * 0.5 s unconfirmed */
    cr_assert_eq(state(w, 4), LIVE_SUSPECT);
    run(w, 2 * SECOND);
    cr_assert_eq(state(w, 4), LIVE_DEAD);
    cr_assert_eq(w->changes, 2);
    end(w);
}

Test(live, the_time_out_follows_the_rtt_up_to_400_ms)
{
    struct world *w = make(5);
    w->deaf[2] = true;
    for (unsigned i = 0; i < 200; i++)
        live_heard(w->live, 2, 1, 150000, w->now);
    while (w->pings[2] == 0)
        run(w, MS);
    run(w, 148 * MS);
    cr_assert_eq(w->vias, 0);
    run(w, 10 * MS);
    cr_assert_eq(w->vias, 3);

    live_heard(w->live, 2, 1, 3000000, w->now);
    run(w, 600 * MS);
    unsigned pings = w->pings[2], vias = w->vias;
    while (w->pings[2] == pings)
        run(w, MS);
    run(w, 398 * MS);
    cr_assert_eq(w->vias, vias);
    run(w, 3 * MS);
    cr_assert_eq(w->vias, vias + 3);
    end(w);
}

Test(live, a_broken_path_between_two_is_no_death)
{
    struct world *w = make(10);
    w->deaf[3] = true;
    run(w, 30 * SECOND);
    cr_assert_eq(state(w, 3), LIVE_ALIVE);
    cr_assert_eq(w->changes, 0);
    cr_assert_geq(w->vias, 3);
    end(w);
}

Test(live, a_suspect_is_asked_again_and_restored_when_it_answers)
{
    struct world *w = make(10);
    w->silent[4] = true;
    withdrawn_after(w, 4, 10 * SECOND);
    w->silent[4] = false;
    run(w, 126 * MS);
    cr_assert_eq(state(w, 4), LIVE_ALIVE);
    run(w, 30 * SECOND);
    cr_assert_eq(w->changes, 2, "no death of a suspicion that is over");
    end(w);
}

Test(live, a_helper_keeps_a_member_but_brings_none_back)
{
    struct world *w = make(10);
    w->silent[4] = true;
    withdrawn_after(w, 4, 10 * SECOND);
    w->silent[4] = false;
    w->deaf[4] = true;
    for (uint32_t token = 0; token < 100; token++)
        live_helped(w->live, token, true, w->now);
    run(w, 60 * SECOND);
    cr_assert_eq(state(w, 4), LIVE_DEAD);
    cr_assert_eq(live_health(w->live), 0, "its silence does not make us ill");
    w->deaf[4] = false;
    run(w, 10 * SECOND);
    cr_assert_eq(state(w, 4), LIVE_ALIVE);
    end(w);
}

Test(live, the_only_other_one_is_withdrawn_without_helpers)
{
    struct world *w = make(1);
    w->silent[1] = true;
    cr_assert_leq(withdrawn_after(w, 1, 2 * SECOND), 1100 * MS);
    end(w);
}

Test(live, who_hears_nobody_withdraws_nobody)
{
    struct world *w = make(10);
    all_silent(w, true);
    run(w, 60 * SECOND);
    cr_assert_eq(w->changes + w->rumours, 0);
    cr_assert_gt(live_counters(w->live)->live_withheld_total, 0);
    cr_assert_eq(live_health(w->live), 7);
    unsigned pings = 0;
    for (uint32_t p = 1; p <= 10; p++)
        pings += w->pings[p];
    cr_assert_leq(pings, 30, "a sick node asks more rarely");
    all_silent(w, false);
    w->silent[7] = true;
    withdrawn_after(w, 7, 30 * SECOND);
    run(w, 20 * SECOND);
    cr_assert_eq(live_health(w->live), 0);
    end(w);
}

Test(live, who_slept_waits_once_more_before_it_judges)
{
    struct world *w = make(10);
    unsigned pings = 0;
    while (pings == 0) {
        w->now.mono_us += MS;
        live_poll(w->live, w->now);
        for (uint32_t p = 1; p <= 10; p++)
            pings += w->pings[p];
    }
    w->now.mono_us += 900 * MS; /* both the time-out and the next turn are long over */
    live_poll(w->live, w->now);
    w->now.mono_us += 50 * MS;
    live_poll(w->live, w->now);
    cr_assert_eq(w->vias, 0);
    cr_assert_eq(live_health(w->live), 1);
    run(w, 20 * SECOND);
    cr_assert_eq(w->changes, 0);
    end(w);
}

/* --- bounds ----------------------------------------------------------------------------------- */

Test(live, members_come_and_go_and_are_bounded)
{
    struct live_config config = live_config_default();
    struct world *w = make(0);
    struct live_host host = host_of(w);
    struct dht_id self = id_of(0), id;
    uint8_t seed[32] = {2};
    config.members = LIVE_MEMBERS + 1;
    cr_assert_null(live_create(&config, &self, 1, &host, seed, w->now));
    config.members = 40;
    live_destroy(w->live);
    w->live = live_create(&config, &self, 1, &host, seed, w->now);
    cr_assert_not(live_add(w->live, 9, &self, 1, w->now), "ourselves");
    for (uint32_t p = 1; p <= 40; p++) {
        id = id_of(p);
        w->incarnation[p] = 1;
        cr_assert(live_add(w->live, p, &id, 1, w->now));
    }
    cr_assert_not(live_add(w->live, 1, &id, 1, w->now), "known");
    id = id_of(41);
    cr_assert_not(live_add(w->live, 41, &id, 1, w->now), "full");
    w->silent[13] = true;
    run(w, 5 * SECOND);
    for (uint32_t p = 1; p <= 40; p += 2)
        live_remove(w->live, p);
    live_remove(w->live, 1);
    memset(w->pings, 0, sizeof(w->pings));
    run(w, 20 * SECOND); /* two rounds of the twenty that are left */
    for (uint32_t p = 1; p <= 40; p++)
        cr_assert(p % 2 ? w->pings[p] == 0 : w->pings[p] >= 1 && w->pings[p] <= 3, "%u: %u", p,
                  w->pings[p]);
    for (uint32_t p = 2; p <= 40; p += 2)
        live_remove(w->live, p);
    run(w, 5 * SECOND);
    end(w);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of a site's origins is asked, which is left alone and for how long. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../rules/hand.h"
#include "world.h"

static struct world w;
static uint64_t seed = 4711;
static unsigned pages; /* each one's path is new */

#define SITE "www.site.test"

static struct proxy_site *site(void)
{
    return &w.node[0].site[0];
}

static struct origin_file *serve(unsigned origin, unsigned status)
{
    w.origin[origin].files = 0;
    return origin_add(&w.origin[origin], (struct origin_file){.path = "*",
                                                              .length = 100 + origin,
                                                              .salt = 7,
                                                              .status = status,
                                                              .fields = "Cache-Control: "
                                                                        "max-age=60\r\n"});
}

/* Origins 0 and 2, of which the site has the first. */
static void open_world(void)
{
    world_open(&w, 1, 1, seed);
    pages = 0;
    w.origin[2].at.ip = addr_v4(0x0a090002);
    serve(0, 200);
    serve(2, 200);
    site()->origin[1] = site()->origin[0];
    site()->origin[1].address = w.origin[2].at.ip;
    memcpy(site()->origin[1].host, "10.9.0.2", 9);
}

static void close_world(void)
{
    world_close(&w);
}

static void begin(struct client *c)
{
    char path[32];
    snprintf(path, sizeof(path), "/page%u", pages++);
    client_get(&w, c, 0, 0, SITE, path, "");
}

static unsigned end(struct client *c)
{
    unsigned status = client_wait(c, 60000) && client_parse(c) ? c->head.status : 0;
    client_free(c);
    return status;
}

/* The status of a page that is not in the cache. */
static unsigned get(void)
{
    struct client c;
    begin(&c);
    return end(&c);
}

static uint64_t connects(void)
{
    return counter_read(
        &http_client_counters(w.node[0].worker[0].client)->http_client_connects_total);
}

TestSuite(backends, .init = open_world, .fini = close_world);

/* --- the breaker -------------------------------------------------------------------------- */

Test(backends, one_that_refuses_is_left_alone_for_longer_each_time)
{
    uint64_t last = 0;
    w.origin[0].up = false;
    cr_expect_eq(get(), 502);
    for (unsigned i = 0; i < 9; i++) { /* 1, 2, 4, 8, 16, then 30 s, from half of it on */
        static const unsigned step_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
        unsigned step = step_ms[i < 6 ? i : 6];
        uint64_t from = w.now.mono_us, before = connects();
        while (connects() == before) {
            cr_expect_eq(get(), 502);
            world_run(&w, 50);
        }
        last = (w.now.mono_us - from) / 1000;
        cr_expect(last >= step / 2 && last <= step + 200, "%u: %u ms", i, (unsigned)last);
        cr_expect_eq(connects(), before + 1);
    }
    w.origin[0].up = true;
    world_run(&w, 30000);
    cr_expect_eq(get(), 200);
    cr_expect_eq(get(), 200);
    w.origin[0].up = false; /* and it begins anew, with the connection that is kept gone */
    world_run(&w, 10);
    cr_expect_eq(get(), 502);
    world_run(&w, 1000);
    w.origin[0].up = true;
    cr_expect_eq(get(), 200);
}

Test(backends, open_times_differ)
{
    unsigned seen[3] = {0};
    for (unsigned i = 0; i < 30; i++) {
        uint64_t from = 0, before;
        world_close(&w);
        seed++;
        open_world();
        w.origin[0].up = false;
        get();
        from = w.now.mono_us;
        for (before = connects(); connects() == before;)
            get();
        uint64_t ms = (w.now.mono_us - from) / 1000;
        cr_assert(ms >= 490 && ms <= 1020, "%u ms", (unsigned)ms);
        seen[ms < 660 ? 0 : ms < 830 ? 1 : 2]++;
    }
    cr_expect(seen[0] >= 3 && seen[1] >= 3 && seen[2] >= 3, "%u %u %u", seen[0], seen[1], seen[2]);
}

Test(backends, half_open_lets_one_through)
{
    struct client c[5];
    w.origin[0].up = false;
    cr_expect_eq(get(), 502);
    world_run(&w, 1000);
    w.origin[0].up = true;
    w.origin[0].file[0].delay_ms = 300;
    unsigned before = w.origin[0].requests;
    for (unsigned i = 0; i < 5; i++)
        begin(&c[i]);
    world_run(&w, 100);
    cr_expect_eq(w.origin[0].requests, before + 1);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_backoff_total), 4);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_probes_total), 1);
    unsigned good = 0;
    for (unsigned i = 0; i < 5; i++)
        good += end(&c[i]) == 200;
    cr_expect_eq(good, 1);
    for (unsigned i = 0; i < 5; i++)
        begin(&c[i]);
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(end(&c[i]), 200);
}

/* Who was to find out has left: the next one goes. */
Test(backends, a_probe_without_an_end_is_made_again)
{
    struct client c;
    char path[32];
    w.origin[0].up = false;
    cr_expect_eq(get(), 502);
    world_run(&w, 1000);
    w.origin[0].up = true;
    w.origin[0].file[0].delay_ms = 5000;
    snprintf(path, sizeof(path), "/page%u", pages++);
    client_send(&w, &c, 0, 0,
                "POST /x HTTP/1.1\r\nHost: " SITE "\r\nContent-Length: 10\r\n\r\nabc");
    world_run(&w, 100);
    cr_expect_eq(get(), 502);
    client_leave(&c);
    world_run(&w, 10);
    client_free(&c);
    w.origin[0].file[0].delay_ms = 0;
    cr_expect_eq(get(), 200);
}

/* What was asked before has found out meanwhile. */
Test(backends, a_probe_that_is_not_needed_any_more_changes_nothing)
{
    struct client old, probe;
    w.origin[0].file[0].delay_ms = 3000;
    begin(&old);
    world_run(&w, 100);
    w.hole = w.origin[0].at.ip;
    cr_expect_eq(get(), 502);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);
    world_run(&w, 1000);
    w.hole = (struct addr){0};
    client_send(&w, &probe, 0, 0,
                "POST /x HTTP/1.1\r\nHost: " SITE "\r\nContent-Length: 10\r\n\r\nabc");
    world_run(&w, 100);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_probes_total), 1);
    cr_expect_eq(end(&old), 200);
    w.origin[0].file[0].delay_ms = 0;
    client_leave(&probe);
    world_run(&w, 10);
    client_free(&probe);
    cr_expect_eq(get(), 200);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_probes_total), 1, "it was closed");
}

Test(backends, silence_five_times_in_a_row_opens)
{
    struct client c[5];
    w.origin[0].file[0].mode = ORIGIN_SILENT;
    for (unsigned i = 0; i < 4; i++)
        begin(&c[i]);
    for (unsigned i = 0; i < 4; i++)
        cr_expect_eq(end(&c[i]), 504);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 0);
    w.origin[0].file[0].mode = ORIGIN_WELL; /* an answer between them: not in a row */
    cr_expect_eq(get(), 200);
    w.origin[0].file[0].mode = ORIGIN_SILENT;
    for (unsigned i = 0; i < 5; i++)
        begin(&c[i]);
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(end(&c[i]), 504);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);
    site()->origins = 2;
    unsigned before = w.origin[0].requests;
    cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[0].requests, before, "it is left for the other one");
}

/* Anybody may ask for one page again and again. */
Test(backends, a_silent_page_does_not_take_its_site_along)
{
    struct client c[6];
    struct origin_file *f = serve(0, 200);
    f[1] = f[0];
    f[0].when = "GET /silent";
    f[0].mode = ORIGIN_SILENT;
    w.origin[0].files = 2;
    for (unsigned i = 0; i < 6; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/silent?%u", i);
        client_get(&w, &c[i], 0, 0, SITE, path, "");
    }
    for (unsigned i = 0; i < 6; i++)
        cr_expect_eq(end(&c[i]), 504);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);
    cr_expect_eq(get(), 200);
    cr_expect_eq(get(), 200);
}

Test(backends, who_answers_503_is_left_for_another_alone)
{
    serve(0, 503);
    for (unsigned i = 0; i < 9; i++)
        cr_expect_eq(get(), 503, "%u", i);
    cr_expect_eq(w.origin[0].requests, 9, "there is no other");
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);

    site()->origins = 2;
    cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[0].requests, 9);
    w.origin[2].up = false; /* now there is none again */
    world_run(&w, 10);
    cr_expect_eq(get(), 503);
    w.origin[2].up = true;
    serve(0, 200);
    world_run(&w, 1000);
    unsigned before = w.origin[0].requests;
    cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[0].requests, before + 1, "the first one again");
}

Test(backends, a_500_is_the_page_s_own_matter)
{
    serve(0, 500);
    site()->origins = 2;
    for (unsigned i = 0; i < 12; i++)
        cr_expect_eq(get(), 500);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 0);
}

/* More origins than are remembered, in open mode. */
Test(backends, of_many_the_least_worth_knowing_is_forgotten)
{
    struct client c;
    char host[64];
    w.origin[0].up = false;
    cr_expect_eq(get(), 502);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(host, sizeof(host), "h%u.example.com.coral.test", i);
        world_get(&w, &c, 0, host, "/", "");
        client_free(&c);
        world_run(&w, 1);
    }
    world_run(&w, 1000);
    cr_expect_eq(get(), 502);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_probes_total), 1, "it is known yet");
}

/* --- order and weights -------------------------------------------------------------------- */

Test(backends, without_weights_the_first_one_has_all)
{
    site()->origins = 2;
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[0].requests, 20);
    w.origin[0].up = false;
    world_run(&w, 10);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[2].requests, 20);
}

/* Which origin has a page is asked of its length. */
static unsigned origin_of(unsigned page)
{
    struct client c;
    char path[32];
    snprintf(path, sizeof(path), "/page%u", page);
    unsigned status = world_get(&w, &c, 0, SITE, path, "Cache-Control: no-cache\r\n");
    cr_assert_eq(status, 200);
    unsigned at = (unsigned)c.head.content_length - 100;
    client_free(&c);
    return at;
}

Test(backends, weights_share_urls_and_who_fails_moves_its_own_alone)
{
    unsigned at[200], n[3] = {0};
    site()->origins = 2;
    site()->origin[0].weight = 3;
    site()->origin[1].weight = 1;
    for (unsigned i = 0; i < 200; i++)
        n[at[i] = origin_of(i)]++;
    cr_expect(n[0] > 125 && n[0] < 175, "3 of 4: %u, %u", n[0], n[2]);
    for (unsigned i = 0; i < 200; i++)
        cr_assert_eq(origin_of(i), at[i], "a URL stays where it is");
    cr_assert_eq(w.origin[0].requests + w.origin[2].requests, 400);

    w.origin[1].at.ip = addr_v4(0x0a090003); /* a third one */
    serve(1, 200);
    site()->origins = 3;
    site()->origin[2] = site()->origin[1];
    site()->origin[2].address = w.origin[1].at.ip;
    memcpy(site()->origin[2].host, "10.9.0.3", 9);
    unsigned moved = 0;
    for (unsigned i = 0; i < 200; i++) {
        unsigned now = origin_of(i);
        cr_assert(now == at[i] || now == 1, "it takes some, and nothing moves between the others");
        moved += now != at[i];
        at[i] = now;
    }
    cr_expect(moved > 20 && moved < 65, "1 of 5: %u", moved);
    w.origin[2].up = false;
    world_run(&w, 10);
    for (unsigned i = 0; i < 200; i++)
        cr_assert(at[i] == 2 ? origin_of(i) != 2 : origin_of(i) == at[i]);
}

Test(backends, what_is_not_for_the_cache_goes_by_chance)
{
    struct client c;
    site()->origins = 2;
    site()->origin[0].weight = site()->origin[1].weight = 1;
    for (unsigned i = 0; i < 60; i++) {
        client_send(&w, &c, 0, 0,
                    "POST /one HTTP/1.1\r\nHost: " SITE "\r\nContent-Length: 0\r\n\r\n");
        cr_expect_eq(end(&c), 200);
    }
    cr_expect_eq(w.origin[0].requests + w.origin[2].requests, 60);
    cr_expect(w.origin[0].requests > 15 && w.origin[2].requests > 15, "%u", w.origin[0].requests);
}

Test(backends, a_backup_serves_when_all_others_fail)
{
    site()->origins = 2;
    site()->origin[0].weight = 0; /* the backup is written first */
    site()->origin[1].weight = 2;
    for (unsigned i = 0; i < 10; i++)
        cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[2].requests, 10);
    w.origin[2].up = false;
    world_run(&w, 10);
    for (unsigned i = 0; i < 10; i++)
        cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[0].requests, 10);
    w.origin[2].up = true;
    world_run(&w, 30000);
    for (unsigned i = 0; i < 10; i++)
        cr_expect_eq(get(), 200);
    cr_expect_eq(w.origin[2].requests, 20, "and no longer than that");
}

/* --- retries ------------------------------------------------------------------------------ */

/* Both origins answer nonsense: 50 fills would ask 100 times. */
Test(backends, retries_are_a_fifth_of_the_tries_and_ten)
{
    struct client c[50];
    site()->origins = 2;
    for (unsigned i = 0; i < 50; i++) /* 50 first tries, that are good */
        cr_expect_eq(get(), 200);
    unsigned before = w.origin[0].requests + w.origin[2].requests;
    w.origin[0].file[0].mode = w.origin[2].file[0].mode = ORIGIN_GARBAGE;
    for (unsigned i = 0; i < 50;
         i++) /* and 50 that are not: nobody is left alone before they end */
        begin(&c[i]);
    for (unsigned i = 0; i < 50; i++)
        cr_expect_eq(end(&c[i]), 502);
    unsigned n = w.origin[0].requests + w.origin[2].requests - before;
    cr_expect_eq(n, 50 + 100 / 5 + 10, "%u", n);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_retries_total), 30);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_retries_refused_total), 20);

    w.origin[2].file[0].mode = ORIGIN_WELL; /* nor is a good one asked now */
    world_run(&w, 1100);
    cr_expect_eq(get(), 502);
    world_run(&w, 20000); /* but later: ten, for those with little to do */
    cr_expect_eq(get(), 200);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_retries_total), 31);
}

/* --- time-outs ---------------------------------------------------------------------------- */

static unsigned timed(unsigned *ms)
{
    uint64_t from = w.now.mono_us;
    unsigned status = get();
    *ms = (unsigned)((w.now.mono_us - from) / 1000);
    return status;
}

Test(backends, each_phase_has_its_own_time)
{
    unsigned ms;
    site()->timeouts = (struct http_timeouts){200, 700, 1500};
    w.hole = w.origin[0].at.ip;
    cr_expect_eq(timed(&ms), 502);
    cr_expect(ms >= 200 && ms < 260, "connect: %u ms", ms);
    w.hole = (struct addr){0};
    world_run(&w, 1000);
    w.origin[0].file[0].delay_ms = 600;
    cr_expect_eq(timed(&ms), 200);
    w.origin[0].file[0].delay_ms = 800;
    cr_expect_eq(timed(&ms), 504);
    cr_expect(ms >= 700 && ms < 760, "first byte: %u ms", ms);
    w.origin[0].file[0].delay_ms = 0;

    struct client c; /* a pause in the body, which nobody can go on with */
    w.origin[0].file[0].mode = ORIGIN_STALLS;
    w.origin[0].file[0].cut = 50;
    begin(&c);
    uint64_t from = w.now.mono_us;
    cr_expect(!client_wait(&c, 5000) && c.closed);
    ms = (unsigned)((w.now.mono_us - from) / 1000);
    cr_expect(ms >= 1500 && ms < 1560, "between bytes: %u ms", ms);
    client_free(&c);
}

/* Longer than what a client waits otherwise, and than the backstops. */
Test(backends, a_patient_site_has_patient_clients)
{
    unsigned ms;
    site()->timeouts = (struct http_timeouts){1500, 90000, 10000};
    w.origin[0].file[0].delay_ms = 80000;
    struct client c;
    begin(&c);
    uint64_t from = w.now.mono_us;
    cr_expect(client_wait(&c, 100000));
    ms = (unsigned)((w.now.mono_us - from) / 1000);
    cr_expect(client_parse(&c) && c.head.status == 200 && ms >= 80000, "%u ms", ms);
    client_free(&c);
}

/* --- connections in use ------------------------------------------------------------------- */

Test(backends, a_full_origin_is_waited_for_in_order)
{
    struct client c[7];
    site()->connections = 2;
    w.origin[0].file[0].delay_ms = 100;
    for (unsigned i = 0; i < 7; i++) {
        begin(&c[i]);
        world_run(&w, 2);
    }
    for (unsigned i = 0; i < 4; i++) { /* two at a time, the first two first */
        world_run(&w, 50);
        cr_expect_eq(w.origin[0].requests, i < 3 ? 2 * i + 2 : 7, "%u", w.origin[0].requests);
        for (unsigned k = 0; k < 7; k++)
            cr_expect_eq(client_parse(&c[k]), k < 2 * i, "%u %u", i, k);
        world_run(&w, 60);
    }
    for (unsigned i = 0; i < 7; i++)
        client_free(&c[i]);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_queued_total), 5);
    cr_expect_leq(connects(), 2);
}

Test(backends, who_waits_too_long_or_with_too_many_gets_503_or_the_next_origin)
{
    struct client c[19];
    unsigned bad = 0;
    site()->connections = 2;
    site()->timeouts.first_byte_ms = 15000;
    w.origin[0].file[0].delay_ms = 12000;
    for (unsigned i = 0; i < 19; i++)
        begin(&c[i]); /* 2 run, 16 wait: a quarter of the fills */
    world_run(&w, 100);
    for (unsigned i = 0; i < 19; i++)
        bad += client_parse(&c[i]) && c[i].head.status == 503;
    cr_expect_eq(bad, 1);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_queue_full_total), 1);
    world_run(&w, 10000);
    bad = 0;
    for (unsigned i = 0; i < 19; i++)
        bad += client_parse(&c[i]) && c[i].head.status == 503;
    cr_expect_eq(bad, 17);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_queue_timeouts_total), 16);
    for (unsigned i = 0; i < 19; i++)
        client_free(&c[i]);
    world_run(&w, 3000);
    cr_expect_eq(w.origin[0].requests, 2);

    site()->origins = 2; /* and now the second one serves who has waited */
    for (unsigned i = 0; i < 4; i++)
        begin(&c[i]);
    for (unsigned i = 0; i < 4; i++)
        cr_expect_eq(end(&c[i]), 200);
    cr_expect_eq(w.origin[2].requests, 2);
}

Test(backends, who_waits_for_one_that_breaks_down_goes_on_at_once)
{
    struct client c[6];
    unsigned status[6];
    site()->connections = 1;
    site()->origins = 2;
    w.hole = w.origin[0].at.ip; /* 500 ms until that is known */
    uint64_t from = w.now.mono_us;
    for (unsigned i = 0; i < 6; i++)
        begin(&c[i]);
    for (unsigned i = 0; i < 6; i++)
        status[i] = end(&c[i]);
    for (unsigned i = 0; i < 6; i++)
        cr_expect_eq(status[i], 200);
    cr_expect_lt(w.now.mono_us - from, 700000);
    cr_expect_eq(w.origin[2].requests, 6);
}

Test(backends, who_leaves_the_queue_holds_nobody_up)
{
    struct client c[4];
    site()->connections = 1;
    w.origin[0].file[0].delay_ms = 100;
    for (unsigned i = 0; i < 4; i++) {
        client_send(&w, &c[i], 0, 0,
                    "POST /x HTTP/1.1\r\nHost: " SITE "\r\nContent-Length: 1\r\n\r\n");
        if (i == 0 || i == 3)
            client_more(&c[i], "x");
    }
    world_run(&w, 20);
    client_leave(&c[1]); /* in the middle of their bodies */
    client_leave(&c[2]);
    cr_expect_eq(end(&c[0]), 200);
    cr_expect_eq(end(&c[3]), 200);
    cr_expect_eq(w.origin[0].requests, 2);
    client_free(&c[1]);
    client_free(&c[2]);
    cr_expect_eq(get(), 200);
}

/* Its place is for the next one, long before its turn. */
Test(backends, who_leaves_a_full_queue_makes_room)
{
    struct client c[18], next;
    site()->connections = 1;
    w.origin[0].file[0].delay_ms = 3000;
    for (unsigned i = 0; i < 17; i++)
        begin(&c[i]); /* one runs, 16 wait: a quarter of the fills */
    client_get(&w, &c[17], 0, 0, SITE, "/page5", ""); /* joins one of them */
    world_run(&w, 20);
    cr_expect_eq(get(), 503);
    for (unsigned i = 1; i < 17; i++)
        client_leave(&c[i]);
    world_run(&w, 200);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_queue_left_total), 15);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_fills), 2);
    begin(&next);
    cr_expect_eq(end(&c[17]), 200, "somebody waits for this one yet");
    cr_expect_eq(end(&next), 200);
    for (unsigned i = 0; i < 17; i++)
        client_free(&c[i]);
}

/* The queue, the connection and the first byte, each as long as it may take: its client has the
 * answer. And it waits in queues for as long as in one. */
Test(backends, who_has_waited_in_a_queue_has_time_for_the_rest)
{
    struct client first, second;
    site()->connections = 1;
    site()->timeouts = (struct http_timeouts){1500, 12000, 12000};
    w.origin[0].file[0].delay_ms = 9900;
    begin(&first);
    world_run(&w, 20);
    begin(&second);
    world_run(&w, 5000);
    w.origin[0].file[0].delay_ms = 11500; /* in all 21.4 s */
    cr_expect_eq(end(&first), 200);
    uint64_t from = w.now.mono_us;
    cr_expect_eq(end(&second), 200);
    cr_expect_gt(w.now.mono_us - from, 11000000);
}

Test(backends, one_deadline_for_all_queues)
{
    struct client busy[2], c;
    site()->connections = 1;
    site()->origins = 2;
    site()->timeouts = (struct http_timeouts){1500, 30000, 30000};
    w.origin[0].file[0].delay_ms = w.origin[2].file[0].delay_ms = 25000;
    begin(&busy[0]);
    world_run(&w, 20);
    begin(&busy[1]); /* waits, and has the other one then */
    world_run(&w, 5000);
    begin(&c);
    uint64_t from = w.now.mono_us;
    cr_expect_eq(end(&c), 503);
    uint64_t ms = (w.now.mono_us - from) / 1000;
    cr_expect(ms >= 9900 && ms < 10200, "%lu ms", ms);
    for (unsigned i = 0; i < 2; i++)
        client_free(&busy[i]);
}

/* Anybody may name a site's origin in open mode, and is in the way of nobody. */
Test(backends, open_mode_moves_nothing_of_a_site)
{
    struct client c[3], evil;
    site()->connections = 1;
    w.origin[0].file[0].delay_ms = 3000;
    for (unsigned i = 0; i < 3; i++)
        begin(&c[i]);
    world_run(&w, 20);
    cr_expect_eq(w.origin[0].requests, 1);
    cr_expect_eq(world_get(&w, &evil, 0, "10.9.0.1.coral.test", "/x", ""), 403);
    client_free(&evil);
    world_run(&w, 50);
    cr_expect_eq(w.origin[0].requests, 1, "the others wait yet");
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(end(&c[i]), 200);
}

/* Nor do failures there count against it. */
Test(backends, open_mode_opens_no_breaker_of_a_site)
{
    struct client c;
    w.origin[1].up = false;
    site()->origin[0].address = w.origin[1].at.ip;
    snprintf(site()->origin[0].host, sizeof(site()->origin[0].host), "www.example.com");
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {w.origin[1].at.ip}});
    cr_expect_eq(world_get(&w, &c, 0, "www.example.com.coral.test", "/x", ""), 502);
    client_free(&c);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_origin_opened_total), 1);
    w.origin[1].up = true;
    serve(1, 200);
    cr_expect_eq(get(), 200);
}

/* Two sites with one origin: the least of their numbers counts, whoever comes last. */
Test(backends, of_two_sites_the_lesser_number_counts)
{
    struct client c[4];
    struct proxy_site *other_site = &w.node[0].site[1];
    *other_site = *site();
    memcpy(other_site->host, "xxx", 3);
    w.node[0].policy.sites = 2;
    site()->connections = 1;
    w.origin[0].file[0].delay_ms = 1000;
    for (unsigned i = 0; i < 4; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/both%u", i);
        client_get(&w, &c[i], 0, 0, i == 2 ? other_site->host : SITE, path, "");
        world_run(&w, 5);
    }
    world_run(&w, 100);
    cr_expect_eq(w.origin[0].requests, 1);
    for (unsigned i = 0; i < 4; i++)
        cr_expect_eq(end(&c[i]), 200);
}

/* Nor who has asked, whole, and left: the origin is not asked in vain. */
Test(backends, who_has_left_has_no_turn)
{
    struct client c[6];
    site()->connections = 1;
    w.origin[0].file[0].delay_ms = 3000;
    for (unsigned i = 0; i < 5; i++) {
        begin(&c[i]);
        world_run(&w, 2);
    }
    client_send(&w, &c[5], 0, 0, "DELETE /x HTTP/1.1\r\nHost: " SITE "\r\n\r\n");
    world_run(&w, 20);
    for (unsigned i = 1; i < 6; i++)
        client_leave(&c[i]);
    world_run(&w, 10);
    for (unsigned i = 1; i < 6; i++)
        client_free(&c[i]);
    begin(&c[1]);
    cr_expect_eq(end(&c[0]), 200);
    cr_expect_eq(end(&c[1]), 200);
    world_run(&w, 10000);
    cr_expect_eq(w.origin[0].requests, 2);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
}

/* One of those who wait for a page has left, the other one gets it. */
Test(backends, who_has_left_takes_nobody_along)
{
    struct client c[3];
    site()->connections = 1;
    w.origin[0].file[0].delay_ms = 1000;
    begin(&c[0]);
    world_run(&w, 2);
    client_get(&w, &c[1], 0, 0, SITE, "/both", "");
    client_get(&w, &c[2], 0, 0, SITE, "/both", "");
    world_run(&w, 20);
    client_leave(&c[1]);
    world_run(&w, 10);
    client_free(&c[1]);
    cr_expect_eq(end(&c[0]), 200);
    cr_expect_eq(end(&c[2]), 200);
}

/* --- health ------------------------------------------------------------------------------- */

static struct proxy_policy other;

/* The site's origins are asked for /up by one of two workers, each second. */
/* A view with other sites. */
static void see(unsigned worker, const struct proxy_policy *policy)
{
    proxy_view(w.node[0].worker[worker].proxy, NULL, w.node[0].routes);
    proxy_view(w.node[0].worker[worker].proxy, policy, w.node[0].routes);
}

static void open_with_health(void)
{
    world_open(&w, 1, 2, seed);
    pages = 0;
    w.origin[2].at.ip = addr_v4(0x0a090002);
    serve(0, 200);
    serve(2, 200);
    site()->origin[1] = site()->origin[0];
    site()->origin[1].address = w.origin[2].at.ip;
    memcpy(site()->origin[1].host, "10.9.0.2", 9);
    site()->origins = 2;
    site()->health = (struct proxy_health){"/up", 1000, 300, 3, 2};
    other = w.node[0].policy;
    for (unsigned i = 0; i < 2; i++)
        see(i, &other);
}

/* How /up is answered from now on. */
static void answer_up(unsigned origin, unsigned status)
{
    struct origin_file *f = serve(origin, 200);
    f[1] = f[0];
    f[0].path = "/up";
    f[0].status = status;
    w.origin[origin].files = 2;
}

static unsigned probed(unsigned origin)
{
    return w.origin[origin].file[0].requests;
}

static unsigned asked(unsigned origin)
{
    return w.origin[origin].file[1].requests;
}

TestSuite(health, .init = open_with_health, .fini = close_world);

static void expect_told(enum access_reason why)
{
    char text[64];
    snprintf(text, sizeof(text), "www.site.test 10.9.0.1:80 %u", why);
    cr_expect_str_eq(w.node[0].trouble, text);
}

/* What it found goes with the news, and is shown by the worker that asks. */
static void expect_found(enum access_reason why, unsigned status, unsigned ms)
{
    struct proxy_origin_info info[4];
    unsigned asks = 0;
    const struct proxy_found *f = &w.node[0].found;
    cr_expect(f->why == why && f->status == status && f->ms >= 1 && f->ms <= ms,
              "why %u, status %u, %u ms", f->why, f->status, f->ms);
    for (unsigned i = 0; i < 2; i++) {
        unsigned n = proxy_origins(w.node[0].worker[i].proxy, NULL, info, 4, w.now);
        for (unsigned k = 0; k < n; k++) {
            if (!info[k].asks || strcmp(info[k].host, "10.9.0.1") != 0)
                continue;
            asks++;
            cr_expect(info[k].found.why == why && info[k].found.status == status);
        }
    }
    cr_expect_eq(asks, 1, "one of two workers asks");
}

Test(health, what_is_down_says_what_it_answered)
{
    answer_up(0, 500);
    answer_up(2, 200);
    world_run(&w, 6000);
    expect_told(ACCESS_DOWN);
    expect_found(ACCESS_NO_REASON, 500, 50);
    answer_up(0, 200);
    world_run(&w, 6000);
    expect_told(ACCESS_UP);
    cr_expect_eq(w.node[0].found.status, 200);
    w.origin[0].file[0].mode = ORIGIN_SILENT;
    world_run(&w, 12000);
    expect_told(ACCESS_DOWN);
    expect_found(ACCESS_TIMEOUT, 0, site()->health.timeout_ms);
    cr_expect_eq(w.node[0].found.ms, site()->health.timeout_ms);
}

Test(health, down_after_three_and_up_after_two)
{
    answer_up(0, 200);
    answer_up(2, 200);
    world_run(&w, 10000);
    cr_expect(probed(0) >= 9 && probed(0) <= 11, "by one worker: %u", probed(0));
    cr_expect(probed(2) >= 9 && probed(2) <= 11, "%u", probed(2));
    answer_up(0, 404);
    while (probed(0) < 2)
        world_step(&w);
    world_run(&w, 100);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 0);
    cr_expect_eq(get(), 200);
    cr_expect_eq(asked(0), 1, "it is up yet");
    while (probed(0) < 3)
        world_step(&w);
    world_run(&w, 100);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 1);
    expect_told(ACCESS_DOWN);
    for (unsigned i = 0; i < 20; i++) /* of both workers' keys */
        cr_expect_eq(get(), 200);
    cr_expect(asked(0) == 1 && asked(2) == 20);
    world_run(&w, 20000); /* it stays so */
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(get(), 200);
    cr_expect(asked(0) == 1 && asked(2) == 40);
    w.origin[0].file[0].status = 302;
    unsigned before = probed(0);
    while (probed(0) < before + 1)
        world_step(&w);
    world_run(&w, 100);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 1);
    while (probed(0) < before + 2)
        world_step(&w);
    world_run(&w, 100);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 0);
    expect_told(ACCESS_UP);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(get(), 200);
    cr_expect_eq(asked(0), 21);
}

/* Other rules are no other sites: what is known of origins stays. */
Test(health, goes_on_over_a_change_of_rules)
{
    static struct proxy_policy same;
    answer_up(0, 404);
    answer_up(2, 200);
    for (unsigned i = 0; i < 10; i++) {
        world_run(&w, 1000);
        same = w.node[0].policy;
        for (unsigned k = 0; k < w.node[0].workers; k++)
            proxy_view(w.node[0].worker[k].proxy, i % 2 ? &w.node[0].policy : &same,
                       w.node[0].routes);
    }
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 1);
}

/* Another configuration may stand where that of before the last one stood: its number tells. */
Test(health, a_configuration_in_the_place_of_an_older_one_is_another)
{
    answer_up(0, 200);
    answer_up(2, 200);
    world_run(&w, 3000);
    unsigned before = w.origin[0].requests;
    cr_assert_gt(before, 0);
    site()->health.path[0] = '\0';
    other.number++;
    for (unsigned i = 0; i < 2; i++)
        proxy_view(w.node[0].worker[i].proxy, &other, w.node[0].routes);
    world_run(&w, 5000);
    cr_expect_eq(w.origin[0].requests, before, "nobody is asked how he is any more");
}

/* What an origin is told with each request. */
Test(health, probes_have_the_fields_that_rules_set)
{
    static char told[4096];
    struct rules_set *rules =
        hand_set("www.site.test set-request X-Key \"0b1a 77\" set-request Accept x/y\n"
                 "www.site.test path /down set-request X-Not 1\n",
                 told);
    cr_assert(rules, "%s", told);
    struct proxy_policy with = other;
    with.rules = rules;
    for (unsigned i = 0; i < 2; i++)
        proxy_view(w.node[0].worker[i].proxy, &with, w.node[0].routes);
    answer_up(0, 200);
    answer_up(2, 200);
    world_run(&w, 3000);
    const struct origin_file *f = &w.origin[0].file[0];
    cr_assert_gt(f->requests, 0);
    cr_expect(strstr(f->last_request, "GET /up HTTP/1.1\r\nHost: www.site.test\r\n"));
    cr_expect(strstr(f->last_request, "\r\nX-Key: 0b1a 77\r\nAccept: x/y\r\n\r\n"), "%s",
              f->last_request);
    cr_expect(strstr(f->last_request, "\r\nConnection: close\r\n"));
    cr_expect(!strstr(f->last_request, "X-Not"));
    for (unsigned i = 0; i < 2; i++)
        proxy_view(w.node[0].worker[i].proxy, &other, w.node[0].routes);
    rules_free(rules);
}

Test(health, silence_and_refusal_are_bad)
{
    answer_up(0, 200);
    answer_up(2, 200);
    w.origin[0].file[0].mode = ORIGIN_SILENT;
    world_run(&w, 6000);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 1);
    w.origin[2].up = false;
    world_run(&w, 6000);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 2);
    for (unsigned i = 0; i < 10; i++) /* all are down: as if none were */
        cr_expect_eq(get(), 200);
    cr_expect_eq(asked(0), 10);
}

/* Alone, so that it is asked though it is down. */
Test(health, one_that_is_well_is_tried_again_at_once)
{
    site()->origins = 1;
    for (unsigned i = 0; i < 2; i++)
        see(i, &w.node[0].policy);
    answer_up(0, 200);
    world_run(&w, 100);
    w.origin[0].up = false;
    for (unsigned i = 0; i < 200; i++) { /* its breaker is open, for long by now */
        cr_expect_eq(get(), 502);
        world_run(&w, 200);
    }
    w.origin[0].up = true;
    world_run(&w, 2500);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(get(), 200);
    cr_expect_eq(asked(0), 20);
}

/* Who is told nothing any more does not believe it for ever. */
Test(health, what_is_not_asked_any_more_is_not_down)
{
    answer_up(0, 500);
    answer_up(2, 200);
    world_run(&w, 6000);
    cr_expect_eq(get(), 200);
    cr_expect_eq(asked(0), 0);
    site()->health.path[0] = 0;
    for (unsigned i = 0; i < 2; i++)
        see(i, &w.node[0].policy);
    unsigned before = probed(0);
    world_run(&w, 5000);
    cr_expect_eq(probed(0), before);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 0);
    cr_expect_eq(get(), 200);
    cr_expect_eq(asked(0), 1);
    strcpy(site()->health.path, "/up");
    for (unsigned i = 0; i < 2; i++)
        see(i, &other);
    cr_expect_eq(get(), 200);
    cr_expect_eq(asked(0), 2, "and what was known has ended");
}

Test(health, names_are_resolved)
{
    site()->origins = 1;
    memcpy(site()->origin[0].host, "o.site.test", 12);
    site()->origin[0].is_address = false;
    answer_up(0, 200);
    see(0, &w.node[0].policy);
    see(1, &w.node[0].policy);
    world_run(&w, 5000);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 1, "there is no such name");
    world_name(&w, (struct name){"o.site.test", RESOLVER_OK, 1, {w.origin[0].at.ip}});
    world_run(&w, 4000);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_health_down), 0);
    cr_expect_gt(probed(0), 1);
}

/* --- what is shown of them ---------------------------------------------------------------- */

Test(backends, what_coralctl_shows)
{
    struct proxy_origin_info o[3];
    struct client c[3];
    struct proxy *p = w.node[0].worker[0].proxy;
    site()->origins = 2;
    site()->connections = 1;
    site()->origin[1].weight = 5;
    cr_assert_eq(proxy_origins(p, NULL, o, 3, w.now), 2);
    cr_expect_str_eq(o[0].site, SITE);
    cr_expect_str_eq(o[1].host, "10.9.0.2");
    cr_expect(o[1].port == 80 && o[1].weight == 5 && o[1].since_us == 0 && !o[1].probed);
    w.origin[2].file[0].delay_ms = 1000;
    for (unsigned i = 0; i < 3; i++)
        begin(&c[i]);
    world_run(&w, 500);
    cr_assert_eq(proxy_origins(p, SITE, o, 3, w.now), 2);
    cr_expect(o[1].breaker == PROXY_CLOSED && o[1].in_flight == 1 && o[1].waiting == 2);
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(end(&c[i]), 200);
    w.origin[2].up = false;
    world_run(&w, 10);
    cr_expect_eq(get(), 200);
    cr_assert_eq(proxy_origins(p, SITE, o, 3, w.now), 2);
    cr_expect(o[1].breaker == PROXY_OPEN && o[1].in_flight == 0 && o[1].retry_us > 400000 &&
              o[1].retry_us < 1000000);
    cr_expect_eq(proxy_origins(p, SITE, o, 1, w.now), 1);
    cr_expect_eq(proxy_origins(p, "other.test", o, 3, w.now), 0);
}

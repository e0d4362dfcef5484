/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker refuses when it has more to do than it can. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/proxy/proxy_internal.h"
#include "world.h"

#define SEED   20261129u
#define HOST   "www.site.test"
#define TARGET 5000u /* us */

/* --- pressure alone ----------------------------------------------------------------------- */

static struct shed s;
static struct now t;
static struct rng dice;
static unsigned asks = 1; /* each so many-th turn has a request; 0: none */

static void open_shed(void)
{
    s = (struct shed){0};
    t = (struct now){1000000, 0};
    rng_init_u64(&dice, SEED);
}

/* Turns of so many us, with rings that are so many turns long, for some ms. */
static uint64_t turns(uint64_t us, uint32_t behind, unsigned ms)
{
    uint64_t end = t.mono_us + ms * 1000ull, wait = 0;
    for (unsigned n = 0; t.mono_us < end; n++) {
        t.mono_us += us;
        wait = shed_note(
            &s, &(struct shed_turn){.busy = true, .behind = behind, .asked = asks && n % asks == 0},
            TARGET, t);
    }
    return wait;
}

static unsigned refused_of_1000(enum shed_class which, bool peer)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++)
        n += shed_refuses(&s, which, peer, &dice);
    return n;
}

TestSuite(shed, .init = open_shed);

Test(shed, rings_that_are_emptied_are_no_overload_however_busy_it_is)
{
    cr_expect_eq(turns(4000, 0, 5000), 4000);
    cr_expect_eq(s.pressure, 0);
}

Test(shed, nor_is_a_full_ring_that_is_worked_through_in_time)
{
    turns(100, 32, 5000); /* 1024 frames, 3 us each */
    cr_expect_eq(s.pressure, 0);
}

Test(shed, nor_a_burst_or_a_thread_that_was_put_to_sleep)
{
    for (unsigned i = 0; i < 50; i++) {
        turns(1000, 32, 95); /* 32 ms to work through it */
        turns(100, 0, 5);
    }
    cr_expect_eq(s.pressure, 0);
    for (unsigned i = 0; i < 50; i++) {
        turns(200000, 0, 200);
        turns(100, 0, 5);
    }
    cr_expect_eq(s.pressure, 0);
    t.mono_us += 1000000; /* it slept, and had nothing to do */
    cr_expect_eq(shed_note(&s, &(struct shed_turn){.busy = false}, TARGET, t), 0);
}

Test(shed, a_ring_waits_no_longer_than_since_it_was_empty)
{
    turns(1000, 0, 200);
    cr_expect_leq(turns(1000, 100, 3), 3000);
    uint64_t wait = turns(1000, 100, 500);
    cr_expect(wait > 95000 && wait < 101000, "%lu", wait);
}

Test(shed, a_queue_that_stands_is_and_so_are_long_turns_and_requests_that_wait)
{
    turns(500, 32, 90);
    cr_expect_eq(s.pressure, 0);
    turns(500, 32, 40);
    cr_expect_gt(s.pressure, 0);
    open_shed();
    turns(8000, 0, 200);
    cr_expect_gt(s.pressure, 0);
    open_shed();
    for (unsigned i = 0; i < 300; i++) {
        t.mono_us += 1000;
        shed_note(&s, &(struct shed_turn){.busy = true, .asked = true, .oldest_us = 6000}, TARGET,
                  t);
    }
    cr_expect_gt(s.pressure, 0);
    shed_note(&s, &(struct shed_turn){.busy = true, .asked = true, .oldest_us = 6000}, 0, t);
    cr_expect_eq(s.pressure, 0, "it was switched off");
}

/* Who sends frames and asks for nothing has nobody refused. */
Test(shed, a_flood_without_requests_is_none)
{
    asks = 8;
    turns(500, 32, 5000);
    cr_expect_eq(s.pressure, 0);
    asks = 3;
    turns(500, 32, 500);
    cr_expect_gt(s.pressure, 0);
    asks = 0;
    turns(500, 32, 8000);
    cr_expect_eq(s.pressure, 0);
}

Test(shed, the_costliest_first_and_peers_after_clients)
{
    static const struct {
        enum shed_class which;
        bool peer;
    } order[] = {{SHED_FETCH, false},
                 {SHED_WAIT, false},
                 {SHED_WAIT, true},
                 {SHED_HIT, false},
                 {SHED_HIT, true}};
    turns(500, 32, 100);
    for (unsigned i = 0; i < 5; i++) {
        while (s.pressure < i * SHED_STEP + SHED_STEP / 2)
            turns(500, 32, 1);
        for (unsigned k = 0; k < 5; k++) {
            unsigned n = refused_of_1000(order[k].which, order[k].peer);
            if (k == i)
                cr_expect(n > 420 && n < 660, "step %u: %u", i, n);
            else
                cr_expect_eq(n, k < i ? 1000 : 0, "step %u, class %u: %u", i, k, n);
        }
        cr_expect_eq(shed_level(&s), i < 1 ? 1 : i < 3 ? 2 : 3);
    }
    turns(500, 32, 5000);
    cr_expect_eq(s.pressure, 5 * SHED_STEP, "and no further");
}

Test(shed, falls_slowly_at_first_and_is_forgotten_in_five_seconds)
{
    turns(500, 32, 5000);
    turns(500, 0, 1000);
    cr_expect(s.pressure > 4.5 * SHED_STEP && s.pressure < 5 * SHED_STEP, "%u", s.pressure);
    turns(500, 0, 5000);
    cr_expect_eq(s.pressure, 0);
}

/* --- whole proxies: who is refused at which pressure -------------------------------------- */

static struct world w;
static struct client c;

static struct origin_file *page(const char *path, const char *fields)
{
    return origin_add(&w.origin[0], (struct origin_file){.path = path,
                                                         .length = 20000,
                                                         .salt = 7,
                                                         .etag = "\"1\"",
                                                         .fields = fields ? fields
                                                                          : "Cache-Control: "
                                                                            "max-age=60\r\n"});
}

static void open_nodes(unsigned nodes)
{
    world_open_sized(&w, nodes, 1, SEED, 0, 2048, 256);
    for (unsigned i = 0; i < nodes; i++) {
        w.node[i].policy.shed_us = TARGET;
        proxy_access(w.node[i].worker[0].proxy, ACCESS_WANTED | ACCESS_WANT_PEERS);
    }
    page("/a", NULL);
    page("/b", NULL);
}

static void open_world(void)
{
    open_nodes(2);
}

static void close_world(void)
{
    world_close(&w);
}

static unsigned get(unsigned node, const char *path, const char *fields)
{
    unsigned status = world_get(&w, &c, node, HOST, path, fields);
    client_free(&c);
    return status;
}

/* Until all of the steps before that one are refused whole, and little of it. */
static void press(unsigned steps)
{
    struct shed *of = &w.node[0].worker[0].proxy->shed;
    of->pressure = steps * SHED_STEP - 1;
    of->rose_us = of->fell_us = w.now.mono_us;
    world_run(&w, 3); /* and what shows it */
    of->pressure = steps * SHED_STEP;
}

static void hold(unsigned steps)
{
    w.node[0].worker[0].proxy->shed.pressure = steps * SHED_STEP;
}

TestSuite(overload, .init = open_world, .fini = close_world);

Test(overload, a_miss_is_refused_and_told_why)
{
    struct node *n = &w.node[0];
    press(1);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_level), 1);
    unsigned seen = 0;
    for (unsigned i = 0; i < 40; i++) {
        hold(1);
        cr_assert_eq(world_get(&w, &c, 0, HOST, "/a", NULL), 503);
        int after = atoi(client_field(&c, "Retry-After"));
        cr_assert(after >= 1 && after <= 4);
        seen |= 1u << after;
        client_free(&c);
    }
    cr_expect_eq(seen, 0x1e, "not all at once");
    cr_expect(n->access.status == 503 && n->access.reason == ACCESS_SHED &&
              n->access.served == ACCESS_ERROR);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_fetches_total), 40);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_busy_total), 0, "no table was full");
    cr_expect_eq(w.origin[0].requests, 0);
    world_run(&w, 8000);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_level), 0);
    cr_expect_eq(get(0, "/a", NULL), 200);
}

Test(overload, first_what_would_be_fetched)
{
    struct client first, second;
    struct origin_file *slow = page("/slow", NULL);
    slow->delay_ms = 200;
    cr_assert_eq(get(0, "/a", NULL), 200);
    client_get(&w, &first, 0, 0, HOST, "/slow", NULL);
    world_run(&w, 50);
    press(1);
    hold(1);
    cr_expect_eq(get(0, "/b", NULL), 503);
    cr_expect_eq(get(0, "/a", "Authorization: me\r\n"), 503, "it would be passed");
    client_send(&w, &c, 0, 0, "POST /a HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 1\r\n\r\nx");
    cr_expect(client_wait(&c, 1000) && c.head.status == 503);
    client_free(&c);
    hold(1);
    cr_expect_eq(get(0, "/a", NULL), 200);
    cr_expect_eq(get(0, "/a", "Range: bytes=0-9,1000-1009\r\n"), 206);
    slow->delay_ms = 0;
    client_get(&w, &second, 0, 0, HOST, "/slow", NULL); /* joins, if that runs yet */
    cr_expect(client_wait(&first, 1000) || client_parse(&first));
    cr_expect(client_wait(&second, 1000) || client_parse(&second));
    cr_expect(first.head.status == 200 && second.head.status == 200);
    client_free(&first);
    client_free(&second);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_fetches_total), 3);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_waits_total), 0);
}

Test(overload, then_what_waits_or_costs_more)
{
    struct client first;
    struct origin_file *slow = page("/slow", NULL);
    cr_assert_eq(get(0, "/a", NULL), 200);
    slow->delay_ms = 3000;
    client_get(&w, &first, 0, 0, HOST, "/slow", NULL);
    world_run(&w, 20);
    press(2);
    hold(2);
    cr_expect_eq(get(0, "/slow", NULL), 503, "it would wait");
    cr_expect_eq(get(0, "/a", "Range: bytes=0-9,1000-1009\r\n"), 503);
    cr_expect_eq(get(0, "/a", "Range: bytes=0-9\r\n"), 206);
    cr_expect_eq(get(0, "/a", NULL), 200);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_waits_total), 2);
    cr_expect(client_wait(&first, 4000) && first.head.status == 200);
    client_free(&first);
}

Test(overload, at_last_hits_of_new_connections_and_no_others)
{
    struct client old;
    client_get(&w, &old, 0, 0, HOST, "/a", NULL);
    cr_assert(client_wait(&old, 1000) && old.head.status == 200);
    press(4);
    for (unsigned i = 0; i < 20; i++) {
        hold(4);
        cr_expect_eq(get(0, "/a", NULL), 503);
        client_more(&old, "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
        cr_assert(client_wait(&old, 1000) && old.head.status == 200);
    }
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_hits_total), 20);
    client_get(&w, &c, 0, 0, HOST, "/a", NULL); /* who was refused is no old one yet */
    cr_assert(client_wait(&c, 1000) && c.head.status == 503);
    client_more(&c, "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    cr_assert(client_wait(&c, 1000) && c.head.status == 503);
    client_free(&c);
    client_free(&old);
}

/* What stands here is better than nothing, as where no origin helps. */
Test(overload, what_is_old_is_sent_where_it_would_be_revalidated)
{
    struct origin_file *f = page("/old", "Cache-Control: max-age=1\r\n");
    cr_assert_eq(get(0, "/old", NULL), 200);
    world_run(&w, 3000);
    press(1);
    hold(1);
    cr_expect_eq(world_get(&w, &c, 0, HOST, "/old", NULL), 200);
    cr_expect(strstr(client_field(&c, "Cache-Status"), "stale-if-error"), "%s",
              client_field(&c, "Cache-Status"));
    client_free(&c);
    cr_expect_eq(f->requests, 1);
    world_run(&w, 8000);
    cr_expect_eq(get(0, "/old", NULL), 200);
    cr_expect_eq(f->requests, 2);
}

/* Nobody waits for what is fetched behind a stale copy. */
Test(overload, nothing_is_fetched_behind_or_ahead)
{
    struct origin_file *f = page("/swr", "Cache-Control: max-age=1, stale-while-revalidate=60\r\n");
    cr_assert_eq(get(0, "/swr", NULL), 200);
    world_run(&w, 3000);
    press(1);
    cr_expect_eq(get(0, "/swr", NULL), 200);
    world_run(&w, 100);
    cr_expect_eq(f->requests, 1);
    world_run(&w, 8000);
    cr_expect_eq(get(0, "/swr", NULL), 200);
    world_run(&w, 100);
    cr_expect_eq(f->requests, 2);
}

Test(overload, a_response_that_goes_from_slice_to_slice_comes_to_its_end)
{
    struct origin_file *f = page("/big", NULL);
    f->length = 5u << 20;
    f->rate = 4000;
    client_get(&w, &c, 0, 0, HOST, "/big", "Range: bytes=0-5242879\r\n");
    world_run(&w, 200);
    press(5);
    for (unsigned i = 0; i < 5000 && !client_parse(&c); i++) {
        hold(5);
        world_run(&w, 10);
    }
    cr_expect(c.whole && c.head.status == 206 && client_body_is(&c, 7, 0, 5u << 20), "%zu",
              c.body_len);
    client_free(&c);
    cr_expect_gt(f->ranged, 3);
}

Test(overload, peers_are_served_when_clients_are_not)
{
    cr_assert_eq(get(0, "/a", NULL), 200);
    world_run(&w, 1000);
    press(4);
    hold(4);
    cr_expect_eq(get(0, "/a", NULL), 503, "a client");
    cr_expect_eq(world_get(&w, &c, 1, HOST, "/a", NULL), 200);
    cr_expect(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
    cr_expect_eq(w.origin[0].requests, 1);
}

Test(overload, a_node_whose_peer_refuses_goes_to_the_origin)
{
    cr_assert_eq(get(0, "/a", NULL), 200);
    world_run(&w, 1000);
    press(5);
    hold(5);
    cr_expect_eq(get(1, "/a", NULL), 200);
    cr_expect_eq(w.origin[0].requests, 2);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_hits_total), 1);
    cr_expect(w.node[0].access.reason == ACCESS_SHED && w.node[0].access.flags & ACCESS_OF_PEER);
}

/* --- a load, and what it costs the worker ------------------------------------------------- */

#define HIT_US    20
#define REFUSE_US 10
#define OLD       16    /* connections that were served before */
#define MOST      20000 /* requests of a load */

struct asked {
    struct client c;
    uint64_t at_us, took_us;
    bool hit, old, over;
    unsigned status;
};
struct load {
    struct asked *all;
    unsigned n, first;      /* those before `first` are over */
    uint64_t next_us;       /* the next one comes then, */
    unsigned every_us;      /* and each so much later */
    unsigned misses, fresh; /* of ten: misses; of ten hits: those on new connections */
    unsigned fetch_us, hit_us;
};
static struct client old[OLD];
static struct load l;

static uint64_t work_done(void)
{
    uint64_t fetches = WORLD_COUNT(&w, 0, proxy_fills_total);
    uint64_t refused = WORLD_COUNT(&w, 0, proxy_shed_fetches_total) +
                       WORLD_COUNT(&w, 0, proxy_shed_hits_total) +
                       WORLD_COUNT(&w, 0, proxy_busy_total);
    return fetches * l.fetch_us + refused * REFUSE_US +
           WORLD_COUNT(&w, 0, proxy_hits_total) * l.hit_us;
}

static void arrive(void)
{
    static char path[64];
    struct asked *a = &l.all[l.n];
    cr_assert_lt(l.n, MOST);
    *a = (struct asked){.at_us = l.next_us, .hit = rng_below(&dice, 10) >= l.misses};
    snprintf(path, sizeof(path), a->hit ? "/a" : "/page%u", l.n);
    a->old = a->hit && rng_below(&dice, 10) >= l.fresh;
    if (!a->old)
        client_get(&w, &a->c, 0, 0, HOST, path, NULL);
    l.n++;
    l.next_us += l.every_us;
}

static void look(struct asked *a, struct client *by)
{
    if (by->len == 0 || !client_parse(by))
        return;
    a->over = true;
    a->status = by->head.status;
    a->took_us = w.now.mono_us - a->at_us;
}

/* Those on old connections ask one at a time each, in turn. */
static void serve_old(void)
{
    static struct asked *busy[OLD];
    static unsigned next;
    if (l.n == 0)
        next = 0, memset(busy, 0, sizeof(busy));
    for (unsigned i = 0; i < OLD; i++) {
        if (busy[i]) {
            look(busy[i], &old[i]);
            if (!busy[i]->over)
                continue;
            busy[i] = NULL;
        }
        while (next < l.n && !l.all[next].old)
            next++;
        if (next == l.n)
            continue;
        busy[i] = &l.all[next++];
        client_more(&old[i], "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    }
}

/* What the worker does takes time, in which more comes. */
static void run_load(unsigned ms)
{
    uint64_t end = w.now.mono_us + ms * 1000ull;
    l.next_us = w.now.mono_us;
    while (w.now.mono_us < end) {
        uint64_t before = work_done();
        while (l.next_us <= w.now.mono_us)
            arrive();
        serve_old();
        world_step(&w);
        uint64_t cost = work_done() - before;
        w.now.mono_us += cost;
        for (unsigned i = l.first; i < l.n; i++) {
            struct asked *a = &l.all[i];
            if (!a->over && !a->old)
                look(a, &a->c);
            if (a->over && a->c.pipe)
                client_leave(&a->c);
            l.first += i == l.first && a->over;
        }
    }
}

/* Of those asked since that time. */
struct outcome {
    unsigned n, good, refused;
    uint64_t p99_us;
};

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static struct outcome outcome(uint64_t since_us, bool hit, bool of_old)
{
    static uint64_t took[MOST];
    struct outcome o = {0};
    for (unsigned i = 0; i < l.n; i++) {
        const struct asked *a = &l.all[i];
        if (a->at_us < since_us || a->hit != hit || a->old != of_old)
            continue;
        o.n++;
        o.good += a->status == 200;
        o.refused += a->status == 503;
        if (a->status == 200 || !a->over) /* who waits yet counts as long as he has */
            took[o.p99_us++] = a->over ? a->took_us : w.now.mono_us - a->at_us;
    }
    qsort(took, o.p99_us, sizeof(took[0]), by_time);
    o.p99_us = o.p99_us ? took[o.p99_us * 99 / 100] : 0;
    return o;
}

static void open_load(void)
{
    open_nodes(1);
    rng_init_u64(&dice, SEED);
    page("*", NULL)->length = 100;
    w.origin[0].file[2].etag = NULL;
    l = (struct load){.all = calloc(MOST, sizeof(*l.all)), .fetch_us = 3000, .hit_us = HIT_US};
    for (unsigned i = 0; i < OLD; i++) {
        client_get(&w, &old[i], 0, 0, HOST, "/a", NULL);
        cr_assert(client_wait(&old[i], 1000));
    }
}

static void close_load(void)
{
    for (unsigned i = 0; i < l.n; i++)
        client_free(&l.all[i].c);
    for (unsigned i = 0; i < OLD; i++)
        client_free(&old[i]);
    free(l.all);
    world_close(&w);
}

TestSuite(load, .init = open_load, .fini = close_load, .timeout = 60);

/* 600 misses a second of 3 ms each, and 400 hits: twice what can be done. */
static uint64_t twice_too_many(void)
{
    l.every_us = 1000;
    l.misses = 6;
    l.fresh = 5;
    run_load(2000);
    uint64_t since = w.now.mono_us;
    run_load(4000);
    return since;
}

Test(load, hits_are_served_quickly_and_of_misses_as_many_as_can_be)
{
    uint64_t since = twice_too_many();
    struct outcome fresh = outcome(since, true, false), known = outcome(since, true, true);
    struct outcome miss = outcome(since, false, false);
    cr_expect_leq(WORLD_COUNT(&w, 0, proxy_shed_level), 2);
    cr_expect_eq(fresh.refused + known.refused, 0, "%u %u", fresh.refused, known.refused);
    cr_expect(fresh.n > 500 && known.n > 500);
    cr_expect_lt(fresh.p99_us, 40000, "%lu us", fresh.p99_us);
    cr_expect_lt(known.p99_us, 40000, "%lu us", known.p99_us);
    cr_expect(miss.refused > miss.n / 4 && miss.refused < miss.n * 3 / 4, "%u of %u", miss.refused,
              miss.n);
    cr_expect_gt(miss.good, miss.n / 4, "%u of %u", miss.good, miss.n);
    cr_expect_lt(miss.p99_us, 100000, "%lu us", miss.p99_us);
    l.every_us = 100000; /* it is over */
    run_load(8000);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_level), 0);
    since = w.now.mono_us;
    run_load(2000);
    miss = outcome(since, false, false);
    cr_expect(miss.n > 5 && miss.refused == 0, "%u of %u", miss.refused, miss.n);
}

/* Without it all wait for all. */
Test(load, which_is_not_so_by_itself)
{
    w.node[0].policy.shed_us = 0;
    struct outcome hit = outcome(twice_too_many(), true, false);
    cr_expect_gt(hit.p99_us, 300000, "%lu us", hit.p99_us);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_level), 0);
}

/* Hits alone are too many: who is new waits until others have gone. */
Test(load, of_hits_those_on_connections_that_stand_are_served)
{
    l.every_us = 1000;
    l.fresh = 9;
    l.hit_us = 2000;
    run_load(4000);
    uint64_t since = w.now.mono_us;
    run_load(4000);
    struct outcome fresh = outcome(since, true, false), known = outcome(since, true, true);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_shed_level), 3);
    cr_expect(known.n > 200 && known.refused == 0);
    cr_expect_lt(known.p99_us, 100000, "%lu us", known.p99_us);
    cr_expect(fresh.refused > fresh.n / 4 && fresh.good > fresh.n / 8, "%u and %u of %u",
              fresh.refused, fresh.good, fresh.n);
}

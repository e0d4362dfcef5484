/* SPDX-License-Identifier: BSD-3-Clause */
/* References in the index to complete objects: renewed while the object is here, withdrawn when it
 * goes. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "world.h"

#define SEED  20261128u
#define FILES 16

static struct world w;
static char path[FILES][8];

/* All files, by node 0, at once or in turn. */
static void fill_all(uint64_t length, bool at_once)
{
    struct client c[FILES];
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(path[i], sizeof(path[i]), "/%u", i);
        origin_add(&w.origin[0], (struct origin_file){.path = path[i],
                                                      .length = length,
                                                      .salt = i,
                                                      .fields = "Cache-Control: max-age=600\r\n"});
        client_get(&w, &c[i], 0, 0, "www.site.test.coral.test", path[i], NULL);
        cr_assert(at_once || client_wait(&c[i], 3000));
    }
    for (unsigned i = 0; i < FILES; i++) {
        cr_assert(client_wait(&c[i], 3000));
        client_free(&c[i]);
    }
}

static uint64_t stores(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w.nodes; i++)
        sum += counter_read(&dht_arena_counters(w.node[i].worker[0].arena)->dht_stores_total);
    return sum;
}

struct found {
    bool over, any;
};

static void found(void *ctx, const struct dht_result *result, struct now now)
{
    (void)now;
    *(struct found *)ctx = (struct found){true, result->end == DHT_FOUND};
}

/* How many of the files node 1 finds in the index. */
static unsigned findable(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FILES; i++) {
        char url[64];
        struct found f = {false, false};
        int len = snprintf(url, sizeof(url), "http://www.site.test%s", path[i]);
        struct dht_id key = dht_key(url, (size_t)len);
        dht_get(w.node[1].worker[0].asker, &key, DHT_ALL_LEVELS, found, &f, w.now);
        while (!f.over)
            world_step(&w);
        n += f.any;
    }
    return n;
}

Test(refs, a_reference_is_renewed_at_about_half_its_life)
{
    world_open(&w, 2, 1, SEED);
    w.node[0].policy.long_ttl_ms = 30000;
    fill_all(1000, true);
    uint64_t filled = w.now.mono_us, before = stores();
    unsigned most = 0, each = 100;
    for (; w.now.mono_us < filled + 12900000; before = stores())
        world_run(&w, each); /* the first put of the last file may be on its way yet */
    cr_assert_eq(stores(), before);
    uint64_t renewed = 0;
    for (; w.now.mono_us < filled + 17000000; before = stores()) {
        world_run(&w, each);
        unsigned now = (unsigned)(stores() - before);
        renewed += now;
        most = now > most ? now : most;
    }
    cr_assert_geq(renewed, FILES, "all of them, between 45 and 55 %% of 30 s: %u",
                  (unsigned)renewed);
    cr_assert_leq(most, renewed / 2, "not in one burst: %u of %u in %u ms", most, (unsigned)renewed,
                  each);
    world_run(&w, 60000);
    cr_assert_eq(findable(), FILES, "after three lives of what was put first");
    world_close(&w);
}

Test(refs, what_is_evicted_is_withdrawn)
{
    world_open_sized(&w, 2, 1, SEED, 1u << 20, 0, 0);
    fill_all(200000, false); /* some five of them fit */
    world_run(&w, 1000);
    unsigned n = findable(), held = (unsigned)WORLD_COUNT(&w, 0, proxy_references);
    cr_assert(n > 0 && n < FILES / 2, "%u", n);
    cr_assert_eq(n, held, "%u found, %u held", n, held);
    world_close(&w);
}

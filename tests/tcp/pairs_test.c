/* SPDX-License-Identifier: BSD-3-Clause */
/* Every pair of options over every kind of bad path: all bytes arrive, all connections end, and
 * no invariant breaks on the way. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

/* one bit an option or a trouble */
enum {
    NO_SACK = 1,
    NO_TS = 2,
    ECN = 4,
    LOSS = 8,
    REORDER = 16,
    DUPLICATE = 32,
    REFUSE = 64,
    SMALL_WINDOW = 128,
    KINDS = 256,
};

static void run(unsigned kind, uint64_t seed)
{
    struct tcp_config config = world_config();
    config.ecn_active = kind & ECN;
    if (kind & SMALL_WINDOW)
        config.receive_window_bytes = 5000;
    struct world *w = world_new(seed * KINDS + kind, &config, &config);
    w->no_sack = kind & NO_SACK;
    w->no_ts = kind & NO_TS;
    w->loss_permille = kind & LOSS ? 40 : 0;
    w->duplicate_permille = kind & DUPLICATE ? 40 : 0;
    w->reorder_permille = kind & REORDER ? 200 : 0;
    w->jitter_us = 3000;
    w->refuse_permille = kind & REFUSE ? 100 : 0;
    for (unsigned side = 0; side < 2; side++) {
        w->app[side].send_total = 60000 + 7 * seed;
        w->app[side].piece = seed % 2 ? 0 : 700;
        w->app[side].by_copy = seed % 3 == 0;
        w->app[side].shut_after = true;
    }
    world_connect(w);
    bool done = world_run_closed(w, 600000000);
    cr_assert(!w->broken, "kind %x seed %lu: %s", kind, (unsigned long)seed, w->broken);
    cr_assert(done && !w->app[0].wrong && !w->app[1].wrong &&
                  w->app[0].got == w->app[1].send_total && w->app[1].got == w->app[0].send_total,
              "kind %x seed %lu: %d %lu %lu", kind, (unsigned long)seed, done,
              (unsigned long)w->app[0].got, (unsigned long)w->app[1].got);
    world_free(w);
}

Test(worlds, every_kind_of_path_is_crossed)
{
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (uint64_t seed = 0; seed < 2; seed++)
            run(kind, seed);
}

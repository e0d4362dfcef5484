/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole node and its slow readers, over TCP: what the cache has given up comes back, who reads
 * slowly gets all, and who does not read is reset. Frames on their way hold bytes too, and persist
 * timers run, which the proxy's own tests don't have.
 */
#include <string.h>

#include "world.h"

#define IDLERS 3

static uint64_t used_bytes(const struct world *w)
{
    return counter_read(&cache_counters(w->node[0]->cache, 0)->cache_chunks_used) *
           CACHE_CHUNK_BYTES;
}

static uint64_t draining_bytes(const struct world *w)
{
    return counter_read(&cache_counters(w->node[0]->cache, 0)->cache_draining_bytes);
}

static void purge(struct world *w, const char *path)
{
    char url[64];
    int len = snprintf(url, sizeof(url), "http://www.site.test%s", path);
    CHECK(proxy_purge(w->node[0]->worker[0]->proxy, url, (size_t)len, false, w->now));
}

static void take(struct world *w, struct fetch *f, uint64_t bytes)
{
    f->takes = bytes;
    if (f->x)
        http_exchange_resume(f->x);
    world_run(w, 200000);
}

static void story(bool offload, unsigned lose)
{
    struct world w;
    struct fetch f, slow, idle[IDLERS];

    printf("%s, %u\n", offload ? "offload" : "sums", lose);
    fflush(stdout);
    world_new(&w, 1, offload);
    world_run(&w, 1500000);
    world_fetch(&w, 0, false, "/huge", &f);
    CHECK(f.ok && f.bytes == HUGE_BYTES && f.body_right);
    w.lose = lose;

    world_get(&w, 0, false, "/huge", &slow);
    slow.slow = true;
    for (unsigned i = 0; i < IDLERS; i++) {
        world_get(&w, 0, i & 1, "/huge", &idle[i]);
        idle[i].slow = true;
    }
    world_run(&w, 1000000);
    CHECK(used_bytes(&w) >= HUGE_BYTES);
    purge(&w, "/huge");
    for (unsigned i = 0; i < 15; i++)
        take(&w, &slow, 100000);
    CHECK(draining_bytes(&w) == 0);
    CHECK(used_bytes(&w) < HUGE_BYTES / 20);
    const struct proxy_counters *c = proxy_counters(w.node[0]->worker[0]->proxy);
    CHECK(counter_read(&c->proxy_let_go_resumed_total) == 1);
    CHECK(counter_read(&c->proxy_let_go_cut_total) == IDLERS);

    while (!slow.over && slow.bytes < HUGE_BYTES)
        take(&w, &slow, 1000000);
    CHECK(slow.ok && slow.status == 200 && slow.bytes == HUGE_BYTES && slow.body_right);
    for (unsigned i = 0; i < IDLERS; i++) {
        take(&w, &idle[i], HUGE_BYTES);
        CHECK(idle[i].over && !idle[i].ok && idle[i].bytes < HUGE_BYTES && idle[i].body_right);
    }
    CHECK(counter_read(&c->proxy_requests) == 0);
    world_free(&w);
}

int main(void)
{
    world_start();
    story(true, 0);
    story(false, 53);
    port_eal_stop();
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two workers of one node on two threads, each with clients of its own that fetch, check, leave and
 * purge: what the workers hand each other must not be touched by both. A third swaps the rules that
 * both judge by, and frees those before, dozens of times a second. Run it under TSan:
 * stress-proxy-workers SECONDS [SEED]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_rcu_qsbr.h>

#include "base/grace.h"
#include "base/rng.h"
#include "dataplane/proxy/proxy.h"
#include "../rules/hand.h"
#include "origin.h"
#include "pipe.h"

#define WORKERS 2
#define CLIENTS 24
#define SLEEPY  6 /* of them, who take nothing for a while: what is purged meanwhile is let go */
#define SMALL   12
#define FILES   14 /* the others are kept in slices */
#define RING    512
#define CACHE   (8u << 20)

struct side;

struct visitor {
    struct side *side;
    struct pipe *pipe;
    char *data;
    size_t len;
    unsigned file;
    uint64_t first; /* of its range; UINT64_MAX: it has none */
    uint64_t last;
    bool other;        /* asks for the other variant of those files that vary */
    size_t leave_at;   /* bytes after which it leaves; 0: it stays */
    uint64_t awake_us; /* until then it takes nothing */
};

struct side { /* a worker and its world */
    unsigned number;
    struct rng rng;
    struct proxy *proxy;
    struct http_server *server;
    struct http_client *client;
    struct origin origin;
    struct pipe *pipes;
    struct visitor visitor[CLIENTS];
    pthread_mutex_t lock; /* of the ring */
    struct message ring[RING];
    unsigned ring_len;
    uint64_t good, broken, busy, wrong;
};

static struct side side[WORKERS];
static struct proxy_policy *_Atomic current;
static struct cache *cache;
static void *memory;
static struct rte_rcu_qsbr *qsbr;
static struct proxy_policy policy;
static struct proxy_site site;
static atomic_bool stop;
static const bool up = true;
static char path[FILES][16];

static struct now time_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct now){(uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000,
                        1700000000 + t.tv_sec};
}

static uint64_t file_length(unsigned i)
{
    return i < SMALL ? 100ull << i : 2500000 + i; /* 100 bytes to 200 KiB, 2.5 MB */
}

static bool varies(unsigned i)
{
    return i % 3 == 1 && i < SMALL;
}

static bool post(void *ctx, unsigned worker, const struct message *m)
{
    struct side *to = &side[worker];
    (void)ctx;
    pthread_mutex_lock(&to->lock);
    bool room = to->ring_len < RING;
    if (room)
        to->ring[to->ring_len++] = *m;
    pthread_mutex_unlock(&to->lock);
    return room;
}

static struct stream *connect_origin(void *ctx, const struct endpoint *to,
                                     const struct stream_events *events, void *user, struct now now)
{
    struct side *s = ctx;
    struct pipe *p = pipe_new(to, to, &up, &up);
    (void)now;
    p->a.s.events = events;
    p->a.s.user = user;
    p->next = s->pipes;
    s->pipes = p;
    origin_accept(&s->origin, &p->b.s);
    return &p->a.s;
}

/* --- visitors ------------------------------------------------------------- */

static void on_nothing(struct stream *s, struct now now)
{
    (void)s, (void)now;
}

static void on_eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct visitor *v = s->user;
    if (now.mono_us < v->awake_us)
        return 0;
    v->data = realloc(v->data, v->len + len);
    memcpy(v->data + v->len, data, len);
    v->len += len;
    if (v->leave_at && v->len >= v->leave_at)
        stream_abort(s);
    return len;
}

/* A response that looks whole must be right. */
static void judge(struct visitor *v)
{
    static _Thread_local struct http_head h;
    struct side *s = v->side;
    if (!v->len || http_parse_response(v->data, v->len, false, &h) != HTTP_OK) {
        s->broken++;
        return;
    }
    size_t body = v->len - h.head_len;
    bool part = h.status == 206 && v->first != UINT64_MAX;
    if (h.status != 200 && !part) {
        s->busy++;
    } else if (h.framing != HTTP_BODY_LENGTH || body != h.content_length) {
        s->broken++;
    } else {
        uint64_t from = part ? v->first : 0;
        bool right = body == (part ? v->last - v->first + 1 : file_length(v->file));
        uint64_t salt = v->file + (v->other && varies(v->file) ? FILES : 0);
        for (size_t i = 0; right && i < body; i++)
            right = (uint8_t)v->data[h.head_len + i] == origin_byte(salt, from + i);
        right ? s->good++ : s->wrong++;
    }
}

static void on_closed(struct stream *st, enum stream_end why, struct now now)
{
    struct visitor *v = st->user;
    (void)why, (void)now;
    judge(v);
    free(v->data);
    v->data = NULL;
    v->len = 0;
    v->pipe = NULL;
}

static const struct stream_events events = {on_nothing, on_received, on_nothing,
                                            on_eof,     on_closed,   NULL};

/* A part of the file, mostly of a large one. */
static void choose_range(struct side *s, struct visitor *v, char *out, size_t room)
{
    uint32_t length = (uint32_t)file_length(v->file);
    v->first = UINT64_MAX;
    out[0] = 0;
    if (rng_below(&s->rng, 8) < (v->file < SMALL ? 7 : 1))
        return;
    v->first = rng_below(&s->rng, length);
    v->last = v->first + rng_below(&s->rng, (length - (uint32_t)v->first) / 4 + 1);
    snprintf(out, room, "Range: bytes=%llu-%llu\r\n", (unsigned long long)v->first,
             (unsigned long long)v->last);
}

static void visit(struct side *s, struct visitor *v, struct now now)
{
    char request[256], range[64];
    struct endpoint e = {addr_v4(0x0a010001), 80};
    v->side = s;
    v->file = rng_below(&s->rng, FILES);
    v->other = rng_below(&s->rng, 2);
    v->leave_at = rng_below(&s->rng, 8) ? 0 : 1 + rng_below(&s->rng, 60000);
    bool sleeps = v < s->visitor + SLEEPY;
    v->awake_us = sleeps ? now.mono_us + rng_below(&s->rng, 1500000) : 0;
    v->pipe = pipe_new(&e, &e, &up, &up);
    v->pipe->a.s.events = &events;
    v->pipe->a.s.user = v;
    v->pipe->next = s->pipes;
    s->pipes = v->pipe;
    http_server_accept(s->server, &v->pipe->b.s, now);
    choose_range(s, v, range, sizeof(range));
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: www.site.test\r\nConnection: close\r\n%s%s%s\r\n",
                     path[v->file], v->other ? "kind: other\r\n" : "", range,
                     rng_below(&s->rng, 16) ? "" : "Cache-Control: no-cache\r\n");
    stream_copy(&v->pipe->a.s, request, (size_t)n);
}

/* --- a worker ------------------------------------------------------------- */

static void step_pipes(struct side *s, struct now now)
{
    for (struct pipe *p = s->pipes; p; p = p->next) {
        pipe_step(&p->a, now);
        pipe_step(&p->b, now);
    }
    for (struct pipe **at = &s->pipes; *at;) {
        struct pipe *p = *at;
        if (!pipe_over(p)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        pipe_free(p);
    }
}

/* A URL by its owner; by one of the two, as the control thread would, by rule. */
static void purge(struct side *s, struct now now)
{
    char url[64];
    uint64_t token;
    struct cache_purge what = {CACHE_PURGE_TAG, rng_below(&s->rng, 2), "even", 4};
    int len = snprintf(url, sizeof(url), "http://www.site.test%s", path[rng_below(&s->rng, FILES)]);
    proxy_purge(s->proxy, url, (size_t)len, what.soft, now);
    if (s->number != 0)
        return;
    if (rng_below(&s->rng, 2))
        what = (struct cache_purge){rng_below(&s->rng, 2) ? CACHE_PURGE_PREFIX : CACHE_PURGE_URL,
                                    what.soft, url, (size_t)len};
    if (cache_purge(cache, &what, &token) != CACHE_PURGE_TAKEN)
        s->wrong++; /* there is room for so few */
}

static void step(struct side *s, bool calm)
{
    struct message batch[RING];
    struct now now = time_now();
    origin_step(&s->origin, now);
    step_pipes(s, now);
    proxy_flush(s->proxy, now);
    pthread_mutex_lock(&s->lock);
    unsigned n = s->ring_len;
    memcpy(batch, s->ring, n * sizeof(batch[0]));
    s->ring_len = 0;
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < n; i++)
        proxy_message(s->proxy, &batch[i], now);
    http_server_poll(s->server, now);
    http_client_poll(s->client, now);
    proxy_poll(s->proxy, now);
    cache_reclaim(cache, s->number, now);
    rte_rcu_qsbr_quiescent(qsbr, s->number);
    proxy_view(s->proxy, atomic_load(&current), NULL); /* the one before may be gone from here on */
    for (unsigned i = 0; i < SLEEPY; i++)
        if (s->visitor[i].pipe && now.mono_us >= s->visitor[i].awake_us)
            stream_resume(&s->visitor[i].pipe->a.s);
    for (unsigned i = 0; i < CLIENTS && !calm; i++)
        if (!s->visitor[i].pipe)
            visit(s, &s->visitor[i], now);
    if (!calm && rng_below(&s->rng, 50) == 0)
        purge(s, now);
}

static uint64_t in_flight(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        n += counter_read(&proxy_counters(side[i].proxy)->proxy_requests) +
             counter_read(&proxy_counters(side[i].proxy)->proxy_fills);
    return n;
}

static void *run(void *arg)
{
    struct side *s = arg;
    while (!atomic_load(&stop))
        step(s, false);
    /* what runs comes to its end, on a busy machine slowly, and who sleeps is woken: it has been
     * sent what its node still pins; then what is unlinked is given back */
    for (unsigned i = 0; i < SLEEPY; i++)
        s->visitor[i].awake_us = 0;
    uint64_t begun_us = time_now().mono_us, idle_us = begun_us, now_us = begun_us;
    while (now_us - idle_us < 500000 && now_us - begun_us < 10000000) {
        step(s, true);
        now_us = time_now().mono_us;
        if (in_flight())
            idle_us = now_us;
    }
    return NULL;
}

static struct rules_set *make_rules(uint64_t n, char **bytes, size_t *len)
{
    static char told[4096];
    char text[256];
    snprintf(text, sizeof(text),
             "www.site.test match ^/f[0-9]+$ set-response X-Set %llu tag t%llu\n"
             "www.site.test path /old rewrite /f1\n* match denied deny 403\n",
             (unsigned long long)n, (unsigned long long)n % 3);
    struct rules_set *s = rules_parse(text, strlen(text), hand_tell, told);
    if (!s || (!*bytes && !hand_compile(s, told, bytes, len)) ||
        !rules_load(s, *bytes, *len, WORKERS))
        abort();
    return s;
}

/* As control does it: a new policy for a new set, and the old ones go when no worker sees them. */
static uint64_t swap_rules(const struct proxy_policy *base, unsigned seconds)
{
    uint64_t swaps = 0, end_us = time_now().mono_us + seconds * 1000000ull;
    char *bytes = NULL;
    size_t len = 0;
    while (time_now().mono_us < end_us) {
        struct proxy_policy *p = malloc(sizeof(*p));
        *p = *base;
        p->rules = swaps % 4 ? make_rules(swaps, &bytes, &len) : NULL;
        struct proxy_policy *old = atomic_exchange(&current, p);
        for (uint64_t token = grace_start(qsbr); !grace_over(qsbr, token);)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        rules_free((struct rules_set *)(uintptr_t)old->rules);
        free(old);
        swaps++;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    free(bytes);
    return swaps;
}

static void *aligned(size_t alignment, size_t bytes)
{
    void *p = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (!p)
        abort();
    return p;
}

static void make_side(unsigned i, uint64_t seed)
{
    static const char *const says[] = {
        "Cache-Control: max-age=1\r\nCache-Tag: even\r\n",
        "Cache-Control: max-age=1, stale-while-revalidate=1\r\n",
        "CDN-Cache-Control: max-age=0, stale-while-revalidate=60\r\nSurrogate-Key: even\r\n",
        "Cache-Control: no-store\r\n"};
    static const char *const also[] = {
        "Vary: Kind\r\nCache-Control: max-age=1\r\n",
        "Vary: Kind\r\nCache-Control: max-age=1, stale-while-revalidate=1\r\n",
        "Vary: Kind\r\nCDN-Cache-Control: max-age=0, stale-while-revalidate=60\r\n",
        "Vary: Kind\r\nCache-Control: no-store\r\n"};
    struct side *s = &side[i];
    uint8_t bytes[32];
    rng_init_u64(&s->rng, seed + i);
    rng_bytes(&s->rng, bytes, sizeof(bytes));
    s->number = i;
    s->origin = (struct origin){.at = {addr_v4(0x0a090001), 80}, .up = true};
    pthread_mutex_init(&s->lock, NULL);
    for (unsigned f = 0; f < FILES; f++) {
        struct origin_file file = {.path = path[f],
                                   .length = file_length(f),
                                   .salt = f,
                                   .etag = f % 2 || f >= SMALL ? "\"1\"" : NULL,
                                   .rate = f % 3 ? 0 : 20000,
                                   .fields = varies(f) ? also[f % 4] : says[f % 4]};
        struct origin_file other = file;
        other.salt += FILES;
        other.when = "kind: other\r\n";
        other.etag = f % 2 ? "\"2\"" : NULL;
        if (varies(f))
            origin_add(&s->origin, other);
        origin_add(&s->origin, file);
    }
    struct http_client_config cc = {.exchanges = 256,
                                    .idle_pool = 32,
                                    .connect_ms = 5000,
                                    .first_byte_ms = 10000,
                                    .between_bytes_ms = 10000,
                                    .idle_ms = 10000};
    struct http_client_host ch = {s, connect_origin};
    s->client = http_client_create(&cc, &ch, time_now());
    struct proxy_config pc = {.worker = i,
                              .workers = WORKERS,
                              .requests = 64,
                              .fills = 64,
                              .burst = 32,
                              .node_name = "stress"};
    struct proxy_parts parts = {.cache = cache, .client = s->client, .out = {s, post}};
    s->proxy = proxy_create(&pc, &parts, bytes, time_now());
    struct http_server_config sc = {
        .connections = 64, .idle_ms = 60000, .head_ms = 10000, .stall_ms = 30000};
    struct http_handler handler = proxy_handler(s->proxy);
    s->server = http_server_create(&sc, &handler, time_now());
    if (!s->client || !s->proxy || !s->server)
        abort();
    proxy_serve(s->proxy, s->server);
    proxy_view(s->proxy, atomic_load(&current), NULL);
}

static void make_world(uint64_t seed)
{
    struct cache_config cc = {.bytes = cache_budget(CACHE / CACHE_CHUNK_BYTES, 1024, WORKERS),
                              .objects = 1024,
                              .workers = WORKERS};
    memory = aligned(2u << 20, cache_region(&cc));
    cc.memory = memory;
    cc.qsbr = qsbr = aligned(64, rte_rcu_qsbr_get_memsize(WORKERS));
    memcpy(cc.seed, &seed, sizeof(seed));
    rte_rcu_qsbr_init(qsbr, WORKERS);
    for (unsigned i = 0; i < WORKERS; i++) {
        rte_rcu_qsbr_thread_register(qsbr, i);
        rte_rcu_qsbr_thread_online(qsbr, i);
    }
    cache = cache_create(&cc);
    if (!cache)
        abort();
    strncpy(site.host, "www.site.test", sizeof(site.host));
    site.origins = 1;
    site.origin[0] = (struct proxy_origin){
        .host = "10.9.0.1", .is_address = true, .address = addr_v4(0x0a090001), .port = 80};
    site.ttl_override_s = -1;
    site.allow_special = true;
    policy = (struct proxy_policy){.zone = "coral.test",
                                   .stale_s = 60,
                                   .sites = 1,
                                   .site = &site,
                                   .short_ttl_ms = 20000,
                                   .long_ttl_ms = 3600000};
    struct proxy_policy *first = malloc(sizeof(*first));
    *first = policy;
    atomic_store(&current, first);
    for (unsigned f = 0; f < FILES; f++)
        snprintf(path[f], sizeof(path[f]), "/f%u", f);
    for (unsigned i = 0; i < WORKERS; i++)
        make_side(i, seed);
}

static void close_side(struct side *s)
{
    http_server_destroy(s->server);
    http_client_destroy(s->client);
    origin_close(&s->origin);
    while (s->pipes) {
        struct pipe *p = s->pipes;
        s->pipes = p->next;
        pipe_free(p);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        free(s->visitor[i].data);
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 20261123;
    pthread_t thread[WORKERS];
    uint64_t good = 0, wrong = 0, left = 0, busy = 0, held = 0, let_go = 0, slices = 0;
    make_world(seed);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_create(&thread[i], NULL, run, &side[i]);
    uint64_t swaps = swap_rules(&policy, seconds);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(thread[i], NULL);
    left = in_flight();
    for (unsigned i = 0; i < WORKERS; i++) {
        good += side[i].good;
        wrong += side[i].wrong;
        busy += side[i].busy;
        const struct proxy_counters *c = proxy_counters(side[i].proxy);
        let_go += counter_read(&c->proxy_let_go_copied_total) +
                  counter_read(&c->proxy_let_go_resumed_total) +
                  counter_read(&c->proxy_let_go_cut_total);
        slices += counter_read(&c->proxy_slices_total);
        held += counter_read(&cache_counters(cache, i)->cache_held_objects) -
                counter_read(&cache_counters(cache, i)->cache_objects);
        close_side(&side[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        proxy_destroy(side[i].proxy);
    rules_free((struct rules_set *)(uintptr_t)atomic_load(&current)->rules);
    free(atomic_load(&current));
    cache_destroy(cache);
    free(qsbr);
    free(memory);
    printf("seed %llu: %llu right, %llu wrong, %llu refused, %llu let go, %llu slices, %llu swaps, "
           "%llu in flight at the end, %llu pinned\n",
           (unsigned long long)seed, (unsigned long long)good, (unsigned long long)wrong,
           (unsigned long long)busy, (unsigned long long)let_go, (unsigned long long)slices,
           (unsigned long long)swaps, (unsigned long long)left, (unsigned long long)held);
    return good > 100 && slices > 0 && swaps > 4 && wrong == 0 && left == 0 && held == 0 ? 0 : 1;
}

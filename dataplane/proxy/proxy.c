/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole: memory taken at start, the view, the poll, purge and status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "dataplane/proxy/proxy_internal.h"

/* power of two, at least n */
static uint32_t table_size(uint32_t n)
{
    uint32_t size = 16;
    while (size < n)
        size *= 2;
    return size;
}

/* References of variants that nobody finds without their primary. */
static void forget_variants(struct proxy *p, const struct cache_object *primary)
{
    char room[CACHE_KEY_MAX];
    size_t len;
    if (!p->parts.asker)
        return;
    const char *key = cache_key(primary, room, &len);
    struct dht_id id = dht_key(key, len);
    dht_remove(p->parts.asker, &id, DHT_ALL_LEVELS, p->now);
}

/* What is gone here may be at others still, or in the restart file. */
static void note_dropped(struct proxy *p, uint64_t chain, struct now now)
{
    struct known *dropped = &p->dropped_known[chain % PROXY_DROPPED_KNOWN];
    if (dropped->until_us > now.mono_us && dropped->hash.lo != chain)
        p->restore_over = true; /* what is forgotten here might come back from an earlier run */
    known_note(dropped, (struct hash128){.lo = chain}, now.mono_us + PROXY_DROPPED_US);
}

static void note_purged(struct proxy *p, const struct cache_object *o)
{
    char room[CACHE_KEY_MAX];
    size_t len;
    uint64_t nonce;
    const char *key = cache_key(o, room, &len);
    struct cache_name url;
    if (!cache_variant_key(key, len, &url, &nonce))
        url = (struct cache_name){key, len};
    note_dropped(p, cache_hash(p->cache, url.p, url.len).lo, p->now);
}

static void on_evict(void *ctx, const struct cache_object *o)
{
    struct proxy *p = ctx;
    if (cache_object_purged(p->cache, o))
        note_purged(p, o);
    uint64_t siblings = cache_siblings(p->cache, o);
    bool slice = cache_meta(o)->status == 206; /* which has a reference of its own */
    refs_forget(p, o, slice ? siblings > 0 : siblings == 1);
    if (cache_meta(o)->varies)
        forget_variants(p, o);
}

static void on_damage(void *ctx, const struct cache_object *o, const char *url, size_t len)
{
    struct proxy *p = ctx;
    refs_forget(p, o, true);
    if (p->parts.log.damaged)
        p->parts.log.damaged(p->parts.log.ctx, url, len);
}

static bool take_memory(struct proxy *p)
{
    uint32_t fills = table_size(p->config.fills), grips = table_size(p->grips);
    p->fill_mask = fills - 1;
    p->grip_mask = grips - 1;
    p->backends = 2 * p->config.fills;
    p->backend_mask = table_size(p->backends) - 1;
    p->requests = memory_new(p->config.requests, sizeof(*p->requests));
    p->grip_pool = calloc(p->grips, sizeof(*p->grip_pool));
    p->grip_table = calloc(grips, sizeof(struct grip *));
    p->plain_pool = memory_new(p->plains, sizeof(*p->plain_pool));
    p->fill_pool = calloc(p->config.fills, sizeof(*p->fill_pool));
    p->fill_table = calloc(fills, sizeof(struct fill *));
    p->backend_pool = calloc(p->backends, sizeof(*p->backend_pool));
    p->backend_table = calloc(p->backend_mask + 1, sizeof(struct backend *));
    p->block_pool = calloc(PROXY_BLOCKS, sizeof(*p->block_pool));
    p->ref_pool = calloc(PROXY_REFS, sizeof(*p->ref_pool));
    p->ref_table = calloc(PROXY_REFS, sizeof(struct reference *));
    p->forget_pool = calloc(PROXY_FORGETS, sizeof(*p->forget_pool));
    p->meter = rules_meter_new(&p->secret);
    return share_init(p) && p->meter && p->requests && p->grip_pool && p->grip_table &&
           p->plain_pool && p->fill_pool && p->fill_table && p->backend_pool && p->backend_table &&
           p->block_pool && p->ref_pool && p->ref_table && p->forget_pool;
}

static void make_lists(struct proxy *p)
{
    for (uint32_t i = p->grips; i-- > 0;) {
        p->grip_pool[i].next = p->grip_free;
        p->grip_free = &p->grip_pool[i];
    }
    for (uint32_t i = PROXY_BLOCKS; i-- > 0;) {
        p->block_pool[i].next = p->block_free;
        p->block_free = &p->block_pool[i];
        p->blocks_free++;
    }
    for (uint32_t i = PROXY_REFS; i-- > 0;) {
        p->ref_pool[i].next = p->ref_free;
        p->ref_free = &p->ref_pool[i];
    }
    for (uint32_t i = PROXY_FORGETS; i-- > 0;)
        forget_give(p, &p->forget_pool[i]);
    p->burst_tail = &p->burst;
    for (unsigned hot = 0; hot < 2; hot++)
        p->lingering[hot].tail = &p->lingering[hot].first;
    post_init(p);
}

struct proxy *proxy_create(const struct proxy_config *config, const struct proxy_parts *parts,
                           const uint8_t seed[32], struct now now)
{
    struct proxy *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->config = *config;
    p->parts = *parts;
    p->cache = parts->cache;
    p->now = now;
    p->via_len = (size_t)snprintf(p->via, sizeof(p->via), "Via: 1.1 %.64s (" PROXY_PRODUCT ")\r\n",
                                  p->config.node_name);
    loop_init(p);
    if (p->config.burst == 0 || p->config.burst > PROXY_BURST)
        p->config.burst = PROXY_BURST;
    if (p->config.requests == 0)
        p->config.requests = 1;
    if (p->config.fills == 0)
        p->config.fills = 1;
    /* an object that is still in send queues after its request is answered needs one too */
    p->grips = 2 * p->config.requests;
    p->plains = p->grips < PROXY_PLAIN_HEADS ? p->grips : PROXY_PLAIN_HEADS;
    rng_init(&p->rng, seed);
    rng_bytes(&p->rng, &p->secret, sizeof(p->secret));
    wheel_init(&p->wheel, now.mono_us);
    if (config->workers == 0 || config->workers > PROXY_WORKERS ||
        config->worker >= config->workers || !take_memory(p)) {
        proxy_destroy(p);
        return NULL;
    }
    make_lists(p);
    cache_on_evict(p->cache, config->worker, on_evict, p);
    cache_on_damage(p->cache, config->worker, on_damage, p);
    return p;
}

void proxy_destroy(struct proxy *p)
{
    if (!p)
        return;
    deny_scratch_free(p->scratch);
    for (struct fill *f = p->fill_busy; f; f = f->busy_next)
        if (f->coder)
            coder_give(p, f->coder);
    coders_free(p);
    gunzips_free(p);
    memory_free(p->requests, p->config.requests, sizeof(*p->requests));
    free(p->grip_pool);
    free(p->grip_table);
    memory_free(p->plain_pool, p->plains, sizeof(*p->plain_pool));
    free(p->fill_pool);
    free(p->fill_table);
    free(p->backend_pool);
    free(p->backend_table);
    free(p->block_pool);
    free(p->ref_pool);
    free(p->ref_table);
    free(p->forget_pool);
    rules_meter_free(p->meter);
    share_free(p);
    free(p);
}

void proxy_serve(struct proxy *p, struct http_server *server)
{
    p->server = server;
}

void proxy_view(struct proxy *p, const struct proxy_policy *policy, const struct dht_routes *routes)
{
    /* the old one may be gone, and this one stand in its place: compared by what was kept of it */
    bool same = policy && policy->site == p->sites && policy->number == p->configuration;
    if (policy != p->policy || !same) { /* same: other rules alone */
        p->policy = policy;
        p->sites = policy ? policy->site : NULL;
        p->configuration = policy ? policy->number : 0;
        p->views++;
        memset(p->route, 0, sizeof(p->route));
        deny_scratch(&p->scratch, policy ? policy->deny : NULL);
        if (!same)
            health_view(p);
    }
    if (routes == p->routes)
        return;
    p->routes = routes;
    for (struct fill *f = p->fill_busy; f; f = f->busy_next)
        source_check_alive(f, p->now);
}

void proxy_message(struct proxy *p, const struct message *m, struct now now)
{
    p->now = now;
    want_deliver(p, m, now);
}

void proxy_load(struct proxy *p, bool busy, uint32_t behind, struct now now)
{
    uint64_t oldest_us = p->burst ? now.mono_us - p->burst->started_us : 0;
    const struct shed_turn t = {
        .busy = busy, .behind = behind, .asked = p->burst != NULL, .oldest_us = oldest_us};
    uint32_t before = p->shed.pressure;
    shed_note(&p->shed, &t, p->policy ? p->policy->shed_us : 0, now);
    if (p->shed.pressure != before)
        counter_set(&p->counters.proxy_shed_level, shed_level(&p->shed));
}

static void fire(void *ctx, struct timer *t)
{
    struct proxy *p = ctx;
    struct alarm *a = PROXY_OF(t, struct alarm, timer);
    switch (a->kind) {
    case ALARM_REQUEST:
        request_timeout(p, PROXY_OF(a, struct request, alarm), p->now);
        break;
    case ALARM_FILL:
        fill_timer(PROXY_OF(a, struct fill, alarm), p->now);
        break;
    case ALARM_RENEW:
        index_renew(PROXY_OF(a, struct fill, renew), p->now);
        break;
    case ALARM_HEALTH:
        health_timer(PROXY_OF(a, struct health, alarm), p->now);
        break;
    case ALARM_REF:
        refs_renew(p, PROXY_OF(a, struct reference, alarm), p->now);
        break;
    default:
        break;
    }
}

static void run_agenda(struct proxy *p, struct now now)
{
    struct fill *list = p->agenda;
    p->agenda = NULL;
    while (list) {
        struct fill *f = list;
        list = f->agenda_next;
        f->on_agenda = false;
        fill_step(f, now);
    }
}

void proxy_poll(struct proxy *p, struct now now)
{
    p->now = now;
    grips_poll(p, now);
    let_go_ask(p, now);
    let_go_poll(p, now);
    if (p->gunzips)
        gunzips_poll(p, now);
    share_poll(p, now);
    wheel_advance(&p->wheel, now.mono_us, 256, fire, p);
    if (post_waiting(p))
        post_flush(p, now);
    /* a fill's step may need another (a name that is known already, a peer that is gone): a few
     * now, the rest at the next poll */
    for (int i = 0; i < 3 && p->agenda; i++) {
        run_agenda(p, now);
        if (post_waiting(p))
            post_flush(p, now);
    }
}

uint64_t proxy_deadline_us(const struct proxy *p)
{
    if (p->burst || p->agenda || p->gunzip_due || p->out[p->config.worker].head)
        return p->now.mono_us;
    uint64_t next = let_go_deadline_us(p), timers = wheel_next_us(&p->wheel);
    uint64_t usage = share_deadline_us(p);
    next = timers < next ? timers : next;
    next = usage < next ? usage : next;
    for (unsigned hot = 0; hot < 2; hot++) {
        const struct grip *first = p->lingering[hot].first;
        if (first && first->idle_us + PROXY_LINGER_US < next)
            next = first->idle_us + PROXY_LINGER_US;
    }
    if (p->posts && p->now.mono_us + 50 < next)
        next = p->now.mono_us + 50;
    return next;
}

/* Of all variants: those who wait get it, nobody after them. True: there was one. */
static bool purge_fills(struct proxy *p, struct hash128 hash, struct http_text url, struct now now)
{
    bool found = false;
    for (struct fill *f = p->fill_table[hash.lo & p->fill_mask]; f; f = f->next) {
        if (f->purged || f->url_len != url.len || memcmp(f->url, url.p, url.len) != 0)
            continue;
        fill_purge(f, now);
        found = true;
        if (f->linked) {
            refs_forget(p, f->object, true);
            cache_unlink(p->cache, f->object);
        }
        f->linked = false;
    }
    return found;
}

/* What is one object and whole becomes stale here and now. Variants are found by nobody but who
 * asks for them, and what a fetch brings is as old as its question: that takes a rule. */
static enum proxy_purged purge_soft(struct proxy *p, struct hash128 hash, struct http_text url,
                                    struct now now)
{
    note_dropped(p, hash.lo, now);
    for (const struct fill *f = p->fill_table[hash.lo & p->fill_mask]; f; f = f->next)
        if (f->url_len == url.len && memcmp(f->url, url.p, url.len) == 0)
            return PROXY_PURGED_BY_RULE;
    const struct cache_object *o = cache_lookup_owner(p->cache, hash, url.p, url.len);
    if (!o)
        return PROXY_PURGED_NOTHING;
    if (cache_meta(o)->varies || cache_state(o) != CACHE_COMPLETE)
        return PROXY_PURGED_BY_RULE;
    if (cache_fresh(o, now)) /* else it is what it would become */
        cache_expire(p->cache, o);
    return PROXY_PURGED;
}

enum proxy_purged proxy_purge(struct proxy *p, const char *url, size_t len, bool soft,
                              struct now now)
{
    char key[HTTP_URL_MAX];
    size_t n = p->policy ? proxy_url(p->policy, url, len, key, sizeof(key)) : 0;
    p->now = now;
    if (n == 0)
        return PROXY_PURGED_NOTHING;
    struct hash128 hash = cache_hash(p->cache, key, n);
    if (cache_owner(p->cache, hash) != p->config.worker)
        return PROXY_PURGED_NOTHING;
    enum proxy_purged found = soft ? purge_soft(p, hash, (struct http_text){key, (uint32_t)n}, now)
                              : proxy_drop(p, hash, key, n, now) ? PROXY_PURGED
                                                                 : PROXY_PURGED_NOTHING;
    counter_inc(found ? &p->counters.proxy_purges_total : &p->counters.proxy_purges_vain_total);
    return found;
}

bool proxy_drop(struct proxy *p, struct hash128 hash, const char *key, size_t n, struct now now)
{
    bool found = purge_fills(p, hash, (struct http_text){key, (uint32_t)n}, now);
    note_dropped(p, hash.lo, now);
    const struct cache_object *o = cache_lookup_owner(p->cache, hash, key, n);
    if (!o)
        return found;
    refs_forget(p, o, true);
    if (cache_meta(o)->varies)
        forget_variants(p, o);
    return cache_unlink(p->cache, o);
}

static void fill_source_text(const struct fill *f, char *out, size_t room)
{
    char at[ENDPOINT_TEXT], id[2 * DHT_ID_BYTES + 1];
    if (f->kind == SOURCE_PEER)
        snprintf(out, room, "peer %s %.8s", endpoint_text(&f->source, at),
                 dht_id_text(&f->source_node, id));
    else if (f->kind == SOURCE_ORIGIN && f->source.port)
        snprintf(out, room, "origin %s", endpoint_text(&f->source, at));
    else
        snprintf(out, room, "%s", f->kind == SOURCE_ORIGIN ? "origin" : "index");
}

unsigned proxy_fills(const struct proxy *p, struct proxy_fill_info *out, unsigned room)
{
    unsigned n = 0;
    for (const struct fill *f = p->fill_busy; f && n < room; f = f->busy_next) {
        if (f->state == FILL_ENDED)
            continue;
        struct proxy_fill_info *i = &out[n++];
        snprintf(i->url, sizeof(i->url), "%.*s", (int)f->url_len, f->url);
        fill_source_text(f, i->source, sizeof(i->source));
        i->bytes = f->object ? cache_ready(f->object) : 0;
        i->length = f->length;
    }
    return n;
}

static void origin_info(struct proxy *p, const struct proxy_site *site, unsigned i,
                        struct proxy_origin_info *out, struct now now)
{
    const struct proxy_origin *o = &site->origin[i];
    *out = (struct proxy_origin_info){.port = o->port,
                                      .weight = o->weight,
                                      .probed = *site->health.path,
                                      .down = health_bits(p, site, now) >> i & 1};
    memcpy(out->site, site->host, sizeof(out->site));
    memcpy(out->host, o->host, sizeof(out->host));
    health_show(p, site, i, out);
    backend_show(p, out, now);
}

unsigned proxy_origins(struct proxy *p, const char *host, struct proxy_origin_info *out,
                       unsigned room, struct now now)
{
    const struct proxy_policy *policy = p->policy;
    const struct proxy_site *only = host && policy ? proxy_site_find(policy, host) : NULL;
    unsigned first = only ? (unsigned)(only - policy->site) : 0, n = 0;
    unsigned end = only ? first + 1 : host || !policy ? 0 : policy->sites;
    for (unsigned s = first; s < end && n < room; s++)
        for (unsigned i = 0; i < policy->site[s].origins && n < room; i++)
            origin_info(p, &policy->site[s], i, &out[n++], now);
    return n;
}

const struct proxy_counters *proxy_counters(const struct proxy *p)
{
    return &p->counters;
}

const struct hist *proxy_latency(const struct proxy *p)
{
    return &p->latency;
}

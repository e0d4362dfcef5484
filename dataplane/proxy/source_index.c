/* SPDX-License-Identifier: BSD-3-Clause */
/* The index's part in a fill: who has it, our short reference, and who was there before us. */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"
#include "dht/closer.h"

bool index_alive(const struct proxy *p, const struct dht_id *node, bool *routed)
{
    uint32_t at = p->routes ? routes_find(p->routes, node) : 0;
    *routed = p->routes && at < p->routes->n;
    return !*routed || p->routes->route[at].alive; /* beyond our table trying tells */
}

static uint32_t rtt_to(const struct proxy *p, const struct dht_id *node)
{
    uint32_t at = p->routes ? routes_find(p->routes, node) : 0;
    return p->routes && at < p->routes->n ? p->routes->route[at].rtt_us : UINT32_MAX;
}

/* A peer that waits for us must not be asked: it would wait for itself. */
static bool waits_for_us(const struct fill *f, const struct dht_id *node)
{
    for (const struct request *r = f->waiting; r; r = r->o.next)
        if (r->peer && memcmp(r->peer_field.node.b, node->b, DHT_ID_BYTES) == 0)
            return true;
    return false;
}

static bool may_be_asked(const struct fill *f, const struct candidate *c, bool *routed)
{
    return !c->tried && index_alive(f->proxy, &c->node, routed) && !waits_for_us(f, &c->node);
}

struct candidate *index_pick(struct fill *f)
{
    for (unsigned i = 0; i < f->candidates; i++) {
        struct candidate *c = &f->candidate[i];
        if (!may_be_asked(f, c, &f->source_routed))
            continue;
        c->tried = true;
        return c;
    }
    return NULL;
}

bool index_has_other(const struct fill *f)
{
    bool routed;
    for (unsigned i = 0; i < f->candidates; i++)
        if (f->candidate[i].whole && may_be_asked(f, &f->candidate[i], &routed))
            return true;
    return false;
}

static bool is_us(const struct proxy *p, const struct dht_value *v)
{
    return memcmp(v->node.b, p->config.node_id.b, DHT_ID_BYTES) == 0;
}

/* Makes room for another. False: all may still be of use. */
static bool candidate_forget(struct fill *f)
{
    unsigned at = 0;
    while (at < f->candidates && !f->candidate[at].useless)
        at++;
    if (at == f->candidates)
        return false;
    f->candidates--;
    memmove(&f->candidate[at], &f->candidate[at + 1],
            (f->candidates - at) * sizeof(f->candidate[0]));
    return true;
}

/* Its power of two: an order of its own, unlike "less than half as far". */
static unsigned nearness(const struct candidate *c)
{
    return c->rtt_us ? 32u - (unsigned)__builtin_clz(c->rtt_us) : 0;
}

/* Whole copies come before fills, and of those the nearest first; among fills, and among whole
 * copies that are about as near, the place is random, so that those who ask spread over those who
 * have. */
static unsigned place_of(const struct fill *f, const struct candidate *new)
{
    unsigned at = 0, whole = 0;
    while (whole < f->candidates && f->candidate[whole].whole)
        whole++;
    if (!new->whole)
        return whole + rng_below(&f->proxy->rng, f->candidates - whole + 1u);
    while (at < whole && nearness(&f->candidate[at]) < nearness(new))
        at++;
    return at;
}

static bool is_whole(const struct fill *f, const struct dht_value *v)
{
    return v->ttl_ms > f->proxy->policy->short_ttl_ms;
}

/* Remembers a holder. */
static void candidate_add(struct fill *f, const struct dht_value *v)
{
    struct proxy *p = f->proxy;
    for (unsigned i = 0; i < f->candidates; i++)
        if (memcmp(f->candidate[i].node.b, v->node.b, DHT_ID_BYTES) == 0)
            return;
    if (is_us(p, v) || v->http.port == 0)
        return;
    if (f->candidates == PROXY_CANDIDATES && !candidate_forget(f))
        return;
    const struct candidate new = {
        .node = v->node, .http = v->http, .rtt_us = rtt_to(p, &v->node), .whole = is_whole(f, v)};
    unsigned at = place_of(f, &new);
    memmove(&f->candidate[at + 1], &f->candidate[at],
            (f->candidates - at) * sizeof(f->candidate[0]));
    f->candidate[at] = new;
    f->candidates++;
}

static void on_put(void *ctx, const struct dht_result *result, struct now now);

/* Others must find us before we fetch: this makes the tree. */
static void index_claim(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    uint32_t ttl = p->policy->short_ttl_ms;
    if (!f->put_us)
        f->put_us = now.mono_us;
    alarm_set(p, &f->renew, now.mono_us + (uint64_t)ttl * 500);
    uint64_t ticket = dht_claim(p->parts.asker, &f->key, DHT_ALL_LEVELS, ttl, on_put, f, now);
    if (ticket)
        f->put_ticket = ticket;
}

/* Waits for the claim's answer. */
static void index_wait(struct fill *f, struct now now)
{
    f->state = FILL_PUT;
    alarm_set(f->proxy, &f->alarm, now.mono_us + PROXY_INDEX_US);
}

/*
 * Who has it whole can be asked at once. Who fetches it, only if our own claim finds it before us:
 * a reference of one level is seen at those below, so one that has put its own at its cluster only
 * is found from another cluster. Who followed it from here, and showed himself at the next level
 * first, would be found there by it, and the two would wait for each other.
 */
static void on_get(void *ctx, const struct dht_result *result, struct now now)
{
    struct fill *f = ctx;
    f->get_ticket = 0;
    if (f->state != FILL_GET)
        return;
    unsigned start = result->n ? rng_below(&f->proxy->rng, result->n) : 0;
    bool of_whole = f->part && !f->part_named; /* who fetches that waits for no slice */
    if (result->end == DHT_FOUND) {
        for (unsigned i = 0; i < result->n; i++) {
            const struct dht_value *v = &result->value[(start + i) % result->n];
            if (of_whole || is_whole(f, v))
                candidate_add(f, v);
        }
        f->named = result->n > 0;
        f->teller = result->teller;
    }
    if (of_whole && !f->candidates) { /* nobody has the whole */
        slice_name(f);
        index_get(f, now);
    } else if (!f->put_ticket && !f->put_done_us) {
        index_put(f, now);
    } else if (f->put_ticket && f->candidates == 0) {
        index_wait(f, now);
    } else { /* the claim goes on beside what follows */
        source_begin(f, now);
    }
}

/* Our claim goes out beside the get, since it is wanted in any case: where nobody has it yet, its
 * answer is all that a fetch waits for. Not of a slice, whose key the get has to find. */
void index_get(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    f->state = FILL_GET;
    f->kind = SOURCE_INDEX;
    forward_phase(f, SOURCE_INDEX, now);
    alarm_set(p, &f->alarm, now.mono_us + PROXY_INDEX_US);
    uint64_t ticket = dht_get(p->parts.asker, &f->key, DHT_ALL_LEVELS, on_get, f, now);
    if (!ticket) /* it is over, and the fill further on */
        return;
    f->get_ticket = ticket;
    if (!f->part && !f->purged)
        index_claim(f, now);
}

/* Is this holder before us in the order in which fills may hang on each other? At our first put
 * everybody who was there is (order of arrival at the store). Later ages tell; those that can't be
 * told apart from ours (it began between the call and the end of our first put) are ordered by ID,
 * so that of many who lost one source at once, few go to the origin. */
static bool before_us(const struct fill *f, const struct dht_value *v, bool first, struct now now)
{
    uint64_t most_us = now.mono_us - f->put_us;
    uint64_t least_us = f->put_done_us ? now.mono_us - f->put_done_us : 0;
    uint64_t age_us = (uint64_t)v->age_ms * 1000;
    if (first || age_us > most_us + PROXY_AGE_MARGIN_US)
        return true;
    return age_us + PROXY_AGE_MARGIN_US >= least_us &&
           memcmp(v->node.b, f->proxy->config.node_id.b, DHT_ID_BYTES) < 0;
}

/* --- once more ------------------------------------------------------------ */

void index_useless(struct fill *f)
{
    bool brought = f->object && cache_ready(f->object) > f->round_bytes;
    for (unsigned i = 0; !brought && !f->source_holds && i < f->candidates; i++)
        if (memcmp(f->candidate[i].node.b, f->source_node.b, DHT_ID_BYTES) == 0)
            f->candidate[i].useless = true;
}

/* Was nobody true of those who were named? */
static bool all_useless(const struct fill *f, struct dht_useless *out)
{
    bool routed;
    *out = (struct dht_useless){.n = 1, .id = {f->teller}};
    for (unsigned i = 0; i < f->candidates; i++) {
        const struct candidate *c = &f->candidate[i];
        if (!c->useless && index_alive(f->proxy, &c->node, &routed))
            return false;
        out->id[out->n++] = c->node;
    }
    return true;
}
static_assert(PROXY_CANDIDATES < DHT_USELESS, "and who told of them");

/* Only those before us: whoever found our reference may wait for us. A whole copy waits for nobody.
 */
static void on_again(void *ctx, const struct dht_result *result, struct now now)
{
    struct fill *f = ctx;
    f->get_ticket = 0;
    if (f->state != FILL_AGAIN)
        return;
    for (unsigned i = 0; result->end == DHT_FOUND && i < result->n; i++) {
        const struct dht_value *v = &result->value[i];
        if (is_whole(f, v) || before_us(f, v, false, now))
            candidate_add(f, v);
    }
    source_begin(f, now);
}

/* The index cannot tell a true value from a false one; who has asked the holders can, and another
 * path may lead to others than the one that was told lies. */
bool index_get_again(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    struct dht_useless useless;
    if (!f->named || !f->candidates || f->again || !f->put_us ||
        now.mono_us - f->put_us >= PROXY_AGAIN_US || !all_useless(f, &useless))
        return false;
    f->again = true;
    f->state = FILL_AGAIN;
    f->kind = SOURCE_INDEX;
    forward_phase(f, SOURCE_INDEX, now);
    counter_inc(&p->counters.proxy_index_again_total);
    alarm_set(p, &f->alarm, now.mono_us + PROXY_INDEX_US);
    uint64_t ticket =
        dht_get_again(p->parts.asker, &f->key, DHT_ALL_LEVELS, &useless, on_again, f, now);
    if (ticket)
        f->get_ticket = ticket;
    return true;
}

/* --- our own reference ---------------------------------------------------- */

/* A claim hears those alone at whom it is stored, the nearest to the key. One of them that came or
 * began anew a moment ago has nothing, and those with copies are asked by the get, which is a step
 * behind: it has the time of one more. */
static void index_listen(struct fill *f, struct now now)
{
    uint64_t more_us = now.mono_us - f->put_us;
    alarm_set(f->proxy, &f->alarm,
              now.mono_us + (more_us < PROXY_LISTEN_US ? more_us : PROXY_LISTEN_US));
}

static void on_put(void *ctx, const struct dht_result *result, struct now now)
{
    struct fill *f = ctx;
    bool first = !f->put_done_us, failed = result->end == DHT_FAILED;
    f->put_ticket = 0;
    if (first && !(failed && f->state == FILL_GET)) /* or there will be another */
        f->put_done_us = now.mono_us;
    if (f->state != FILL_PUT && (f->state != FILL_GET || failed))
        return;
    if (f->get_ticket && result->n == 0) {
        index_listen(f, now);
        return;
    }
    for (unsigned i = 0; !failed && i < result->n; i++)
        if (before_us(f, &result->value[i], first, now))
            candidate_add(f, &result->value[i]);
    if (f->get_ticket) { /* it would find the same */
        dht_cancel(f->proxy->parts.asker, f->get_ticket);
        f->get_ticket = 0;
        f->named = f->candidates > 0;
        f->teller = result->teller;
    }
    source_begin(f, now);
}

/* References are renewed while a slow fill runs, and nobody waits for that. */
static void on_renewed(void *ctx, const struct dht_result *result, struct now now)
{
    (void)ctx, (void)result, (void)now;
}

void index_move(struct fill *f, const struct dht_id *key)
{
    struct proxy *p = f->proxy;
    bool named = f->put_us && !f->removed;
    if (named)
        dht_remove(p->parts.asker, &f->key, DHT_ALL_LEVELS, p->now);
    f->key = *key;
    if (named)
        dht_put(p->parts.asker, &f->key, DHT_ALL_LEVELS, p->policy->short_ttl_ms, on_renewed, NULL,
                p->now);
}

/* Also who fetches from a peer shows himself. Only who knows of no holder waits for the reply. */
void index_put(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    uint32_t ttl = p->policy->short_ttl_ms;
    bool wait = true;
    slice_name(f);
    if (f->purged) { /* those who have it get the rest; nobody else is to find it */
        f->state = FILL_PUT;
        source_begin(f, now);
        return;
    }
    for (unsigned i = 0; i < f->candidates; i++)
        wait = wait && f->candidate[i].tried;
    f->kind = SOURCE_INDEX;
    index_wait(f, now);
    forward_phase(f, SOURCE_INDEX, now);
    if (wait) {
        index_claim(f, now);
        return;
    }
    if (!f->put_us)
        f->put_us = now.mono_us;
    alarm_set(p, &f->renew, now.mono_us + (uint64_t)ttl * 500);
    dht_put(p->parts.asker, &f->key, DHT_ALL_LEVELS, ttl, on_renewed, NULL, now);
    if (!f->put_done_us)
        f->put_done_us = now.mono_us;
    source_begin(f, now);
}

void index_let_go(struct fill *f, struct now now)
{
    if (!f->put_ticket)
        return;
    dht_let_go(f->proxy->parts.asker, f->put_ticket);
    f->put_ticket = 0;
    if (!f->put_done_us)
        f->put_done_us = now.mono_us;
}

/* The index is slow: go on without it. */
void index_timer(struct fill *f, struct now now)
{
    index_let_go(f, now);
    source_drop(f);
    if (f->state == FILL_GET && !f->put_done_us)
        index_put(f, now);
    else
        source_begin(f, now);
}

void index_renew(struct fill *f, struct now now)
{
    struct proxy *p = f->proxy;
    dht_put(p->parts.asker, &f->key, DHT_ALL_LEVELS, p->policy->short_ttl_ms, on_renewed, NULL,
            now);
    alarm_set(p, &f->renew, now.mono_us + (uint64_t)p->policy->short_ttl_ms * 500);
}

void index_withdraw(struct fill *f, struct now now)
{
    if (f->put_us && !f->removed)
        dht_remove(f->proxy->parts.asker, &f->key, DHT_ALL_LEVELS, now);
    f->removed = true;
    alarm_stop(f->proxy, &f->renew);
}

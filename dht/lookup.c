/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookups, driven from here (iterative): each answer names contacts closer to the key, the next one
 * to ask is chosen by closer.h's rule, the distance only falls, and "nobody closer" is the end of a
 * level. The next one down goes on from the same distance.
 *
 *   get, remove,  WALK 2, WALK 1, WALK 0 -> RUNNER: the next closest -> who missed, again -> done
 *   report
 *   put           at each level: WALK; full and loaded ends it all; else STORE: closest first, the
 *                 next one when refused; on to the next level unless this one is loaded. Done; then
 *                 COPY: at the last level to the next closest too, since nodes come and go
 *   a claim       the same, but a STORE in the place of the last WALK, where it looks like the last
 *   find          WALK at one level until the closest few have all answered -> done
 *
 * The walk starts at this node itself, through its own RPC endpoint. One RPC is in flight, two
 * while one is slow; who misses is asked again when there is nobody else, so that a lost
 * packet does not move a key's root. A get, for which somebody waits, asks those with copies first:
 * who misses may be one that never was.
 *
 * Gets of one key run as one: the first leads a list, the others wait in it for its result.
 *
 *   lookup_start.c   how they begin, and are called off
 *   lookup_chain.c   who finds them by their key
 */
#include "dht/asker.h"
#include "dht/closer.h"

#define ASK_TRIES   3 /* with one packet in a hundred lost, two would lose a root in 2500 */
#define STORE_TRIES 3
#define ASTRAY      2 /* spacings of IDs: an honest root is farther from 1 key in 7 (e^-2) */
#define ASTRAY_ASKS 3
#define SPACING_OF  8u
/* Who says that enough hold the object must name them: all that fit under a key but our own. */
#define FULL_NAMES (DHT_VALUES - 1u)
#define RELAYS     2 /* questions put through others */
#define TELLERS    4 /* heard in a get made once more: one may lie again */
#define TELLS      2 /* holders that each may name then */
#define RUNNERS    2 /* asked beyond those that should have copies: who joined since has none */

/* --- results ---------------------------------------------------------------------------------- */

void lookup_free(struct lookup *l)
{
    struct dht_arena *n = l->asker->arena;
    asker_detach(l->asker, l);
    wheel_stop(&n->lookup_wheel, &l->timer);
    l->used = false;
    l->next_free = n->free_lookup;
    n->free_lookup = lookup_number(l);
    l->asker->lookups--;
    n->running--;
    counter_set(&n->counters.dht_lookups, n->running);
}

/* The closest that answered a find. */
static void result_nearest(struct lookup *l)
{
    struct dht_result *r = &l->result;
    r->nearest = 0;
    for (unsigned i = 0; i < l->hops; i++) {
        uint64_t d = l->hop[i].distance.w[0];
        if (l->hop[i].state != HOP_ANSWERED)
            continue;
        unsigned at = r->nearest;
        while (at > 0 && r->distance[at - 1] > d)
            at--;
        if (at == DHT_NEAREST)
            continue;
        if (r->nearest < DHT_NEAREST)
            r->nearest++;
        memmove(&r->distance[at + 1], &r->distance[at],
                (r->nearest - 1 - at) * sizeof(r->distance[0]));
        r->distance[at] = d;
    }
}

static void count_end(struct dht_asker *a, const struct lookup *l, const struct dht_result *r)
{
    struct dht_counters *c = &a->arena->counters;
    counter_add(&c->dht_hops_total, r->hops);
    if (l->kind == LOOKUP_PUT && r->end == DHT_NOT_FOUND)
        counter_inc(&c->dht_puts_saturated_total);
    counter_inc(r->end == DHT_FOUND       ? &c->dht_lookups_found_total
                : r->end == DHT_NOT_FOUND ? &c->dht_lookups_not_found_total
                                          : &c->dht_lookups_failed_total);
}

/* A lookup is gone when its done is called: that may start another, or cancel one of those that
 * wait for this result. */
static void lookup_finish(struct dht_asker *a, struct lookup *l, enum dht_end end, struct now now)
{
    if (lookup_is_chained(l))
        chain_leave(l);
    if (l->kind == LOOKUP_FIND)
        result_nearest(l);
    struct dht_result result = l->result;
    result.end = end;
    result.asks = l->asks;
    count_end(a, l, &result);
    uint32_t generation = l->generation;
    while (l && l->used && l->generation == generation) {
        struct lookup *next = l->next_joined;
        dht_done *done = l->done;
        void *ctx = l->ctx;
        if (next) {
            next->prev_joined = NULL;
            generation = next->generation;
        }
        lookup_free(l);
        if (done)
            done(ctx, &result, now);
        l = next;
    }
}

/* A put has its result; what still runs is for others' sake. */
static void lookup_report(struct lookup *l, enum dht_end end, struct now now)
{
    struct dht_result result = l->result;
    dht_done *done = l->done;
    l->done = NULL;
    result.end = end;
    result.asks = l->asks;
    if (done)
        done(l->ctx, &result, now);
}

/* A get once more: it hears several, whatever their levels. */
static bool is_again(const struct lookup *l)
{
    return l->useless.n > 0;
}

static unsigned useful_values(const struct lookup *l, const struct rpc *answer)
{
    unsigned n = 0;
    for (unsigned i = 0; i < answer->values; i++)
        n += !path_shuns(l, &answer->value[i].node);
    return n;
}

/* Adds values; of one node the older account stays. A put does not hear of itself; a get keeps
 * those of one level, the highest that it heard of. */
static void result_add(struct dht_asker *a, struct lookup *l, const struct rpc *answer)
{
    struct dht_result *res = &l->result;
    unsigned most = sizeof(res->value) / sizeof(res->value[0]);
    if (l->kind == LOOKUP_GET && useful_values(l, answer) > 0) {
        if (is_again(l))
            most = ++l->tellers * TELLS < most ? l->tellers * TELLS : most;
        else if (res->n > 0 && answer->values_level < res->level)
            return;
        else if (res->n > 0 && answer->values_level > res->level)
            res->n = 0;
        res->level = answer->values_level;
        res->teller = answer->from.contact.id;
    }
    unsigned before = res->n;
    for (unsigned i = 0; i < answer->values; i++) {
        const struct dht_value *v = &answer->value[i];
        if ((l->kind == LOOKUP_PUT && id_eq(&v->node, &a->routes->self.id)) ||
            path_shuns(l, &v->node))
            continue;
        unsigned at = 0;
        while (at < res->n && !id_eq(&res->value[at].node, &v->node))
            at++;
        if (at == most)
            continue;
        if (at == res->n)
            res->value[res->n++] = *v;
        else if (res->value[at].age_ms < v->age_ms)
            res->value[at] = *v;
    }
    if (l->kind == LOOKUP_PUT && res->n > before)
        res->teller = answer->from.contact.id;
}

/* Has a get found what ends it? */
static bool get_is_over(const struct lookup *l)
{
    return l->kind == LOOKUP_GET && l->result.n > 0 &&
           (is_again(l) ? l->tellers >= TELLERS : l->result.level >= l->level);
}

static void trace_hop(struct lookup *l, const struct hop *h, unsigned level, uint32_t rtt_us,
                      enum dht_hop_end end)
{
    struct dht_path *t = l->trace;
    if (!t || t->n == DHT_PATH_HOPS)
        return;
    t->hop[t->n++] = (struct dht_hop){.id = h->id,
                                      .rpc = h->rpc,
                                      .rtt_us = rtt_us,
                                      .level = (uint8_t)level,
                                      .prefix = (uint8_t)distance_prefix(&h->distance),
                                      .end = (uint8_t)end};
}

/* Did anybody answer? Our own word counts where nobody else was asked. */
static bool is_answered(const struct lookup *l)
{
    return l->answered || !l->asked;
}

/* --- steps ------------------------------------------------------------------------------------ */

static const uint8_t step_type[] = {[LOOKUP_GET] = RPC_GET,
                                    [LOOKUP_PUT] = RPC_WALK,
                                    [LOOKUP_REMOVE] = RPC_REMOVE,
                                    [LOOKUP_REPORT] = RPC_REPORT,
                                    [LOOKUP_FIND] = RPC_FIND};

static void ask(struct dht_asker *a, struct lookup *l, int at, uint8_t type, struct now now)
{
    struct hop *h = &l->hop[at];
    l->asks++;
    l->asked |= at > 0 || !path_has_self(l);
    l->hedge_us = now.mono_us + path_hedge_us(a, l, h);
    if (asker_send(a, type, l, (unsigned)at, 0, now))
        h->state = HOP_ASKED;
    else /* slots are short, which is not its fault */
        h->state = ++h->misses < ASK_TRIES ? HOP_MISSED : HOP_DEAD;
}

/* The nearest that does not answer is asked through the one that named it: it may be the path
 * between the two of us alone that is broken (Freedman, Lakshminarayanan, Rhea and Stoica, WORLDS
 * 2005, section 4.3). For gets and a put's way forward. */
static bool ask_relayed(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (!a->arena->config.mitigate.relay || (l->kind != LOOKUP_GET && l->kind != LOOKUP_PUT) ||
        l->relays == RELAYS || l->asks >= LOOKUP_ASKS || l->inflight == LOOKUP_INFLIGHT)
        return false;
    int at = path_unreached(a, l, now);
    if (at == NOBODY)
        return false;
    if (l->inflight == 0)
        l->hedge_us = l->end_us; /* there is nobody else */
    l->relays++;
    l->asks++;
    l->hop[at].relayed = true;
    if (l->hop[at].state == HOP_NEW) { /* its place is its own while we wait */
        l->hop[at].state = HOP_DEAD;
        l->hop[at].misses = 1;
    }
    counter_inc(&a->arena->counters.dht_relays_asked_total);
    return asker_send(a, RPC_RELAY, l, l->hop[at].by, (unsigned)at, now);
}

/* The next level down that is wanted, from the same distance. False: this was the last. */
static bool level_down(struct lookup *l)
{
    do {
        if (l->level == l->lo)
            return false;
        l->level--;
    } while (!(l->levels >> l->level & 1));
    l->phase = PHASE_WALK;
    l->loaded = false;
    l->again = path_again(l);
    return true;
}

/* Whom to ask beyond the closest: those that answer count, and of those that do not there may be as
 * many again. */
static bool copies_want(const struct dht_asker *a, struct lookup *l)
{
    unsigned most = a->arena->config.copies + (l->kind == LOOKUP_PUT ? 0 : RUNNERS);
    return l->copies < most && l->tries++ < 2 * most;
}

/* How far apart are IDs? By those nearest to us, who answered us: what others say of the size is
 * hearsay. UINT64_MAX: they are too few to tell. */
static uint64_t id_spacing(const struct dht_routes *r)
{
    if (r->n < SPACING_OF)
        return UINT64_MAX;
    struct dht_distance d =
        distance_between(&r->self.id, &dht_route_contact(r, SPACING_OF - 1)->id);
    return d.w[0] / SPACING_OF;
}

/* Is it near enough to the key to be of those that should have copies? Liars near a key name each
 * other, and there are not so many of them: they are farther apart than all IDs are. */
static bool is_near_root(const struct dht_asker *a, const struct hop *h)
{
    return h->distance.w[0] / (ASTRAY * (a->arena->config.copies + RUNNERS)) <=
           id_spacing(a->routes);
}

/* Did the planet's walk end farther from the key than its root is likely to be? Who names none but
 * his like ends it there (Castro, Druschel, Ganesh, Rowstron and Wallach, OSDI 2002, section 5.2).
 * Then those of our own table are asked, whom nobody named to us. */
static bool ask_own(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (!a->arena->config.mitigate.own || l->level > 0 || l->phase != PHASE_WALK ||
        l->strays == ASTRAY_ASKS || l->d.w[0] / ASTRAY <= id_spacing(a->routes))
        return false;
    int at = path_own(a, l, now);
    if (at == NOBODY)
        return false;
    l->strays++;
    ask(a, l, at, step_type[l->kind], now);
    return true;
}

/* To the next closest to the key, until there are copies enough. False: the put is over, and gone.
 */
static bool put_copy(struct dht_asker *a, struct lookup *l, struct now now)
{
    int at = NOBODY;
    if (l->phase != PHASE_COPY) {
        uint32_t generation = l->generation;
        l->phase = PHASE_COPY;
        l->copies = 1;
        lookup_report(l, DHT_FOUND, now);
        if (!l->used || l->generation != generation) /* done cancelled it */
            return false;
    }
    if (l->level == 0 && copies_want(a, l))
        at = path_copy_next(a, l, now);
    if (at == NOBODY) {
        lookup_finish(a, l, DHT_FOUND, now);
        return false;
    }
    ask(a, l, at, RPC_STORE, now);
    return true;
}

/* A put is done with a level: what answered is no place for the next one, except the one that has
 * it: it is seen there too. */
static bool put_down(struct dht_asker *a, struct lookup *l, struct now now)
{
    bool enough = l->loaded || l->claim; /* if there are others, who must have been named */
    if ((enough && l->result.n > 0) || !level_down(l)) {
        if (l->stored)
            return put_copy(a, l, now);
        lookup_finish(a, l, DHT_NOT_FOUND, now);
        return false;
    }
    for (unsigned i = 0; i < l->hops; i++)
        if (l->hop[i].state == HOP_ANSWERED)
            l->hop[i].state = HOP_SEEN;
    return true;
}

/* The reverse phase: at the closest that takes it. False: the lookup is over, and gone. */
static bool put_turn(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (l->phase == PHASE_WALK && !is_answered(l)) {
        lookup_finish(a, l, DHT_FAILED, now);
        return false;
    }
    if (l->phase == PHASE_COPY)
        return put_copy(a, l, now);
    if (!l->over && l->phase == PHASE_WALK && ask_relayed(a, l, now))
        return true;
    if (!l->over && ask_own(a, l, now))
        return true;
    l->phase = PHASE_STORE;
    int at = path_store_next(l);
    if (at != NOBODY && l->hop[at].state == HOP_ANSWERED) {
        ask(a, l, at, RPC_STORE, now);
        return true;
    }
    if (at != NOBODY) /* it holds it */
        l->result.level = l->level;
    if (l->over) {
        lookup_finish(a, l, l->stored ? DHT_FOUND : DHT_NOT_FOUND, now);
        return false;
    }
    return put_down(a, l, now);
}

/* Nothing is in flight: what follows? False: the lookup is over, and gone. */
static bool lookup_turn(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (l->kind == LOOKUP_FIND) {
        lookup_finish(a, l, is_answered(l) ? DHT_FOUND : DHT_FAILED, now);
        return false;
    }
    if (l->kind == LOOKUP_PUT)
        return put_turn(a, l, now);
    if (l->phase == PHASE_WALK && level_down(l)) {
        if (l->result.n == 0 || l->result.level < l->level || is_again(l))
            return true;
        lookup_finish(a, l, DHT_FOUND, now); /* it was heard of on the way */
        return false;
    }
    if (ask_own(a, l, now))
        return true;
    if (l->copies == 0)
        l->copies = 1; /* the closest */
    if (a->arena->config.mitigate.runner_up && copies_want(a, l)) {
        l->phase = PHASE_RUNNER;
        int at = path_runner_up(a, l, now);
        if (at != NOBODY) {
            ask(a, l, at, step_type[l->kind], now);
            return true;
        }
    }
    l->phase = PHASE_WALK;
    if (!l->last && path_missed(a, l) != NOBODY) {
        l->last = true;
        return true;
    }
    if (ask_relayed(a, l, now))
        return true;
    if (lookup_is_shared(l) && is_answered(l) && l->result.n == 0)
        negative_note(a, l, now);
    lookup_finish(a, l,
                  l->kind == LOOKUP_GET && l->result.n > 0 ? DHT_FOUND
                  : is_answered(l)                         ? DHT_NOT_FOUND
                                                           : DHT_FAILED,
                  now);
    return false;
}

/*
 * Somebody waits for a claim, and half of its time would be the round trip of a WALK that finds
 * nobody closer. So where the nearest that we know is as near to the key as its root should be, it
 * is taken for that; what it answers names those that are closer, if there are any.
 */
static void claim_straight(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (!l->claim || l->winding || l->over || l->phase != PHASE_WALK || l->inflight > 0 ||
        l->asks >= LOOKUP_ASKS || l->hop[0].state == HOP_NEW || l->again != NOBODY)
        return;
    int at = path_runner_up(a, l, now);
    if (at == NOBODY || !distance_less(&l->hop[at].distance, &l->d) ||
        l->hop[at].distance.w[0] / ASTRAY > id_spacing(a->routes))
        return;
    ask(a, l, at, RPC_STORE, now);
    if (l->inflight == 0)
        return;
    l->phase = PHASE_STRAIGHT;
}

/* Asks as many as may be in flight, and turns to what follows when none is. */
void lookup_step(struct dht_asker *a, struct lookup *l, struct now now)
{
    for (;;) {
        if (l->inflight == 0)
            l->hedged = false;
        claim_straight(a, l, now);
        unsigned most = l->kind == LOOKUP_FIND || l->hedged ? LOOKUP_INFLIGHT : 1;
        while (l->phase == PHASE_WALK && !l->over && l->inflight < most && l->asks < LOOKUP_ASKS) {
            int at = path_next(a, l, now);
            if (at == NOBODY)
                break;
            if (l->hedged && l->inflight > 0)
                counter_inc(&a->arena->counters.dht_hedges_total);
            bool again = l->hop[at].state == HOP_MISSED;
            ask(a, l, at, step_type[l->kind], now);
            if (again) /* at the same time by another way */
                ask_relayed(a, l, now);
        }
        if (l->inflight > 0)
            break;
        if (!lookup_turn(a, l, now))
            return;
    }
    bool hedge = l->phase == PHASE_WALK && !l->hedged && l->kind != LOOKUP_FIND &&
                 a->arena->config.mitigate.hedge;
    wheel_arm(&a->arena->lookup_wheel, &l->timer,
              hedge && l->hedge_us < l->end_us ? l->hedge_us : l->end_us);
}

void lookup_fire(void *at, struct timer *t)
{
    struct now now = *(struct now *)at;
    struct lookup *l = (struct lookup *)((char *)t - offsetof(struct lookup, timer));
    struct dht_asker *a = l->asker;
    if (now.mono_us >= l->end_us) {
        bool good = l->answered && (l->kind == LOOKUP_FIND || l->stored ||
                                    (l->kind == LOOKUP_GET && l->result.n > 0));
        lookup_finish(a, l,
                      good                                    ? DHT_FOUND
                      : !l->answered || l->kind == LOOKUP_PUT ? DHT_FAILED
                                                              : DHT_NOT_FOUND,
                      now);
        return;
    }
    if (now.mono_us >= l->hedge_us)
        l->hedged = true;
    lookup_step(a, l, now);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Does it hold so many that one more is of no use? Who claims wants no more than their names. */
static bool is_enough(const struct lookup *l, const struct rpc *answer)
{
    return answer->flags & RPC_FULL && (answer->flags & RPC_LOADED || l->claim) &&
           answer->values >= FULL_NAMES;
}

/* The reverse phase: stored, and the next level goes on from here; or pop and try the next. */
static void store_answered(struct dht_asker *a, struct lookup *l, struct hop *h,
                           const struct rpc *answer, struct now now)
{
    bool straight = l->phase == PHASE_STRAIGHT;
    result_add(a, l, answer);
    path_learn(a, l, answer, (unsigned)(h - l->hop));
    if (straight) /* h->told stays 0: it is not asked for the way on, which our own table knows */
        l->phase = PHASE_WALK;
    if (l->claim && l->phase != PHASE_COPY && is_enough(l, answer)) {
        lookup_finish(a, l, l->stored ? DHT_FOUND : DHT_NOT_FOUND, now);
        return;
    }
    if (!(answer->flags & RPC_STORED) || l->phase == PHASE_COPY) {
        l->copies = (uint8_t)(l->copies + ((answer->flags & RPC_STORED) != 0));
        h->state = HOP_SPENT;
        lookup_step(a, l, now);
        return;
    }
    h->state = HOP_HOLDS;
    h->holds = true;
    l->stored = true;
    l->result.level = l->level;
    l->d = h->distance;
    if (l->over)
        lookup_finish(a, l, DHT_FOUND, now);
    else if ((straight && l->result.n == 0) || put_down(a, l, now))
        lookup_step(a, l, now); /* it may be at the copies already: then it only waits */
}

static void walk_answered(struct dht_asker *a, struct lookup *l, struct hop *h,
                          const struct rpc *answer)
{
    if (answer->type == RPC_NOT_MEMBER) { /* not at this level, but it may be the root of a lower */
        h->not_of |= (uint8_t) ~((1u << l->level) - 1);
        h->levels &= (uint8_t)~h->not_of;
        h->state = h->levels && l->kind != LOOKUP_FIND ? HOP_NEW : HOP_SPENT;
        return;
    }
    /* stored once more it would name those who came after us, too */
    h->state = h->holds ? HOP_HOLDS : HOP_ANSWERED;
    h->told = answer->contacts_level;
    bool names = path_learn(a, l, answer, (unsigned)(h - l->hop));
    if (answer->served == l->level && distance_less(&h->distance, &l->d)) {
        /* an honest one has others to name: with no other a walk ends */
        if (names || path_vouch(a, l, answer))
            l->d = h->distance;
        l->loaded = answer->flags & RPC_LOADED;
    }
    result_add(a, l, answer);
    if (l->kind == LOOKUP_PUT && (answer->flags & RPC_FULL)) {
        h->state = HOP_SPENT;
        if (is_enough(l, answer)) { /* no further */
            l->over = true;
            asker_detach(a, l);
        }
    }
}

void lookup_answered(struct dht_asker *a, struct lookup *l, unsigned hop, const struct rpc *answer,
                     uint32_t rtt_us, struct now now)
{
    struct hop *h = &l->hop[hop];
    l->answered |= hop > 0 || !path_has_self(l);
    asker_detach_relay(a, l, hop);
    if (answer->type == RPC_STORE) {
        store_answered(a, l, h, answer, now);
        return;
    }
    if (hop > 0 || !path_has_self(l))
        l->result.hops++;
    if (l->phase == PHASE_STRAIGHT) /* it is of no such cluster: a walk may find who is */
        l->phase = PHASE_WALK;
    if (l->phase == PHASE_RUNNER) { /* it may know the way */
        l->phase = PHASE_WALK;
        l->copies = (uint8_t)(l->copies + is_near_root(a, h));
    }
    trace_hop(l, h, answer->type == RPC_NOT_MEMBER ? l->level : answer->served, rtt_us,
              answer->type == RPC_NOT_MEMBER ? DHT_HOP_NOT_MEMBER
              : answer->values > 0           ? DHT_HOP_FOUND
                                             : DHT_HOP_CLOSER);
    walk_answered(a, l, h, answer);
    if (get_is_over(l)) {
        lookup_finish(a, l, DHT_FOUND, now);
        return;
    }
    lookup_step(a, l, now);
}

/* It is the relay's word, and the walk stays where it is: whom the answer names is asked himself,
 * and nothing can be stored at whom we do not reach. */
void lookup_relayed(struct dht_asker *a, struct lookup *l, unsigned target,
                    const struct rpc *answer, struct now now)
{
    struct hop *h = &l->hop[target];
    if (answer->outcome == RPC_ANSWERED) {
        counter_inc(&a->arena->counters.dht_relays_answered_total);
        l->result.hops++;
        trace_hop(l, h, answer->served, 0, DHT_HOP_RELAYED);
        if (h->state != HOP_ASKED && h->state != HOP_ANSWERED)
            h->state = HOP_SPENT;
        l->hedged |= l->inflight > 0; /* need not wait for the direct one */
        path_learn(a, l, answer, BY_NOBODY);
        result_add(a, l, answer);
        if (get_is_over(l)) {
            lookup_finish(a, l, DHT_FOUND, now);
            return;
        }
    }
    lookup_step(a, l, now);
}

void lookup_timed_out(struct dht_asker *a, struct lookup *l, unsigned hop, uint8_t type,
                      struct now now)
{
    if (type == RPC_RELAY) {
        lookup_step(a, l, now);
        return;
    }
    struct hop *h = &l->hop[hop];
    bool straight =
        l->phase == PHASE_STRAIGHT; /* it was not asked yet whether it is there at all */
    l->winding |= straight;
    if (l->phase == PHASE_RUNNER || straight)
        l->phase = PHASE_WALK;
    trace_hop(l, h, l->level, 0, DHT_HOP_TIMED_OUT);
    if (type == RPC_STORE && !straight) /* once more at the same: it may be stored there already */
        h->state = ++h->store_misses < STORE_TRIES ? HOP_ANSWERED : HOP_DEAD;
    else
        h->state =
            ++h->misses < ASK_TRIES && (hop > 0 || !path_has_self(l)) ? HOP_MISSED : HOP_DEAD;
    lookup_step(a, l, now);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Membership's host: pings and walks go to a worker, what comes of them is told to the engine, what
 * it decides is logged, and what it knows is kept over restarts.
 *
 * Pings and walks are lent to the worker from pools of our own: when one is empty the wish is
 * dropped, as if a packet were lost, and the engine wishes again; at the node's end nothing has to
 * be gathered.
 */
#include "control/control.h"
#include "control/log.h"
#include "control/state.h"

#define WORKER  0 /* who sends for us */
#define BOOK    16384
#define SAVE_US 30000000u

static void member_ping(void *ctx, const struct dht_ping *ping)
{
    struct control *c = ctx;
    struct message m = {.type = NODE_PING, .from = 0xffff};

    for (unsigned i = 0; i < CONTROL_PINGS; i++) {
        struct lent_ping *lent = &c->ping[i];
        if (lent->lent)
            continue;
        lent->ping = *ping;
        shares_tell(c, &lent->ping);
        m.ptr[0] = &lent->ping;
        lent->lent = control_command(c, WORKER, &m);
        return;
    }
}

void member_pinged(struct control *c, struct dht_ping *ping)
{
    (void)c;
    ((struct lent_ping *)(void *)((char *)ping - offsetof(struct lent_ping, ping)))->lent = false;
}

static void member_find(void *ctx, const struct dht_find *find)
{
    struct control *c = ctx;
    struct message m = {.type = NODE_FIND, .from = 0xffff};

    for (unsigned i = 0; i < CONTROL_FINDS; i++) {
        struct lent_find *lent = &c->find[i];
        if (lent->lent)
            continue;
        lent->find.find = *find;
        m.ptr[0] = &lent->find;
        lent->lent = control_command(c, WORKER, &m);
        return;
    }
}

void member_found(struct control *c, struct node_find *find, struct now now)
{
    struct lent_find *lent =
        (struct lent_find *)(void *)((char *)find - offsetof(struct lent_find, find));

    dht_member_found(c->member, &find->find, &find->result, now);
    lent->lent = false;
}

static void member_switched(void *ctx, const struct dht_switch *why)
{
    struct control *c = ctx;
    struct control_switch *last = &c->switched[why->level];

    last->why = *why;
    last->at_us = control_now().mono_us;
    last->n++;
    log_info("cluster changed level=%u from=%016llx to=%016llx reason=\"%s\" from_size=%llu "
             "to_size=%llu share_percent=%u measured=%u",
             why->level, (unsigned long long)why->from.cid, (unsigned long long)why->to.cid,
             why->reason, (unsigned long long)index_size(why->from.size),
             (unsigned long long)index_size(why->to.size), why->share_percent, why->measured);
}

/* Workers that have no room for it name a dead node on, until it is reported again. */
static void member_forget(void *ctx, const struct dht_id *who)
{
    struct control *c = ctx;
    struct message m = {.type = NODE_FORGET, .from = 0xffff};
    char id[2 * DHT_ID_BYTES + 1];

    static_assert(sizeof(*who) <= MESSAGE_BODY, "an ID fits a message");
    memcpy(m.body, who, sizeof(*who));
    for (unsigned i = 0; i < c->workers; i++)
        control_command(c, i, &m);
    log_debug("node does not answer, what it stored here is not told of id=%.8s",
              dht_id_text(who, id));
}

/* --- over restarts ------------------------------------------------------------------------- */

/* What was saved, how many seconds ago; false: nothing of use. */
static bool state_load(const struct control *c, struct dht_saved *saved, uint32_t *age_s,
                       struct now now)
{
    char why[512];
    int64_t at_s;

    switch (state_read(c->state_path, &c->self.rpc, saved, &at_s, why, sizeof(why))) {
    case STATE_NONE:
        return false;
    case STATE_BAD:
        log_warning("state of an earlier run ignored: %s", why);
        return false;
    case STATE_GOOD:
        break;
    }
    /* one from the future tells that the clock was set back: who knows how old it is */
    int64_t age = now.wall_s - at_s;
    *age_s = age < 0 || age > UINT32_MAX ? UINT32_MAX : (uint32_t)age;
    log_info("state of an earlier run age_s=%lld contacts=%u", (long long)age, saved->n);
    return true;
}

void member_save(struct control *c, struct now now)
{
    struct dht_saved saved;
    char why[512];

    c->saved_us = now.mono_us;
    dht_member_save(c->member, &saved, now);
    bool good = state_write(c->state_path, &c->self.rpc, &saved, now.wall_s, why, sizeof(why));
    if (!good && !c->save_failed) /* once, not each half minute */
        log_warning("state not saved: %s", why);
    c->save_failed = !good;
}

void member_poll(struct control *c, struct now now)
{
    dht_member_poll(c->member, now);
    if (now.mono_us >= c->saved_us + SAVE_US)
        member_save(c, now);
}

uint64_t member_deadline_us(const struct control *c)
{
    uint64_t at = dht_member_deadline_us(c->member);
    return c->saved_us + SAVE_US < at ? c->saved_us + SAVE_US : at;
}

/* --- start and end ------------------------------------------------------------------------- */

static void join_list(struct control *c, const struct node_config *plan)
{
    for (unsigned i = 0; i < c->config->join.n; i++) {
        struct endpoint e = c->config->join.item[i];
        if (!e.port)
            e.port = (uint16_t)c->config->dht_port;
        if (!endpoint_eq(&e, &plan->self.rpc))
            c->join[c->joins++] = e;
    }
}

bool member_start(struct control *c, const struct node_config *plan, struct now now)
{
    const struct dht_member_host host = {c, member_ping, member_find, member_switched,
                                         member_forget};
    struct dht_saved saved;
    uint32_t age_s = 0, incarnation = (uint32_t)now.wall_s;
    uint64_t seed;

    bool old = state_load(c, &saved, &age_s, now);
    if (old && saved.incarnation >= incarnation)
        incarnation = saved.incarnation + 1;
    join_list(c, plan);
    memcpy(&seed, plan->seed, sizeof(seed));
    c->book = dht_book_create(BOOK, plan->seed);
    c->member = c->book ? dht_member_create(&plan->dht, &plan->self, incarnation, c->book, c->join,
                                            c->joins, &host, seed, now)
                        : NULL;
    if (c->member && old)
        dht_member_restore(c->member, &saved, age_s, now);
    c->saved_us = now.mono_us;
    return c->member != NULL;
}

void member_stop(struct control *c)
{
    dht_member_destroy(c->member);
    c->member = NULL;
    dht_book_destroy(c->book);
    c->book = NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "live_cluster.h"

#include "dht/rpc.h"

#include <assert.h>
#include <stdlib.h>

#define HELPER_US 100000u /* when a helper says "not reached" */

enum kind { PING, ANSWER, VIA, HELPED, NEWS, HELPER_TIMER };

struct swim_packet {
    struct swim_packet *next;
    enum kind kind;
    unsigned from, to;
    uint32_t incarnation;
    uint64_t asked_us; /* PING, ANSWER: when the question left; 0: asked for another */
    unsigned job;      /* PING, ANSWER, HELPER_TIMER: the helper's, plus one; 0: none */
    unsigned target;   /* VIA */
    uint32_t token;    /* VIA, HELPED */
    bool reached;      /* HELPED */
    unsigned n;
    struct dht_news news[DHT_NEWS];
};

struct now swim_now(const struct swim *c)
{
    return (struct now){c->us, (int64_t)(c->us / 1000000)};
}

static void enqueue(struct swim *c, const struct swim_packet *p, uint64_t after_us)
{
    uint64_t ms = after_us / 1000;
    assert(ms < CLUSTER_SLOTS);
    unsigned slot = (unsigned)((c->us / 1000 + (ms ? ms : 1)) % CLUSTER_SLOTS);
    struct swim_packet *copy = malloc(sizeof(*copy));
    assert(copy);
    *copy = *p;
    copy->next = NULL;
    *c->last[slot] = copy;
    c->last[slot] = &copy->next;
}

/* One way, 0.5 to 10 ms, the same for a pair at all times. */
static uint64_t delay_us(unsigned a, unsigned b)
{
    uint64_t h = ((uint64_t)(a < b ? a : b) << 32 | (a < b ? b : a)) * 0x9e3779b97f4a7c15ull;
    return 500 + (h >> 40) % 9501;
}

static void transmit(struct swim *c, struct swim_packet *p)
{
    struct swim_node *from = &c->node[p->from], *to = &c->node[p->to];
    p->incarnation = live_self_incarnation(from->live);
    if (p->kind != NEWS) /* a rumour has its own */
        p->n = live_news_out(from->live, p->to, p->news, swim_now(c));
    from->sent++;
    from->sent_bytes += CLUSTER_PACKET_BYTES + p->n * RPC_NEWS_ITEM;
    if (from->cut || to->cut || rng_below(&c->rng, 1000) < c->loss_permille)
        return;
    enqueue(c, p, delay_us(p->from, p->to));
}

/* --- the host --------------------------------------------------------------------------------- */

static void host_ping(void *ctx, uint32_t peer)
{
    struct swim_node *node = ctx;
    struct swim_packet p = {
        .kind = PING, .from = node->number, .to = peer, .asked_us = node->cluster->us};
    transmit(node->cluster, &p);
}

static void host_ping_via(void *ctx, uint32_t helper, uint32_t target, uint32_t token)
{
    struct swim_node *node = ctx;
    struct swim_packet p = {
        .kind = VIA, .from = node->number, .to = helper, .target = target, .token = token};
    transmit(node->cluster, &p);
}

static void host_rumour(void *ctx, uint32_t to, const struct dht_news *news, unsigned n)
{
    struct swim_node *node = ctx;
    swim_tell(node->cluster, node->number, to, news, n);
}

static void sample(struct swim_samples *s, uint64_t us)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 256;
        s->us = realloc(s->us, s->room * sizeof(s->us[0]));
        assert(s->us);
    }
    s->us[s->n++] = us;
}

static void host_changed(void *ctx, uint32_t peer, enum live_state state)
{
    struct swim_node *node = ctx;
    struct swim *c = node->cluster;
    uint64_t *withdrawn = &c->withdrawn_us[node->number][peer];
    if (state == LIVE_ALIVE && *withdrawn) {
        if (*withdrawn >= c->node[peer].started_us && c->node[peer].up && !c->node[peer].cut)
            sample(&c->wrong, c->us - *withdrawn);
        *withdrawn = 0;
    } else if (state != LIVE_ALIVE && !*withdrawn) {
        *withdrawn = c->us;
        if (!c->node[peer].up)
            sample(&c->withdrawals, c->us - c->node[peer].killed_us);
        else if (!c->node[peer].cut)
            c->wrong_begun++;
    }
}

static void host_self_accused(void *ctx, uint32_t incarnation)
{
    (void)ctx;
    (void)incarnation; /* transmit asks for it */
}

/* --- the RPC layer ---------------------------------------------------------------------------- */

static void help(struct swim *c, struct swim_node *node, const struct swim_packet *via)
{
    struct swim_packet p = {.from = node->number, .to = via->from};
    if (node->lying_helper) {
        p.kind = HELPED;
        p.token = via->token;
        p.reached = true;
        transmit(c, &p);
        return;
    }
    unsigned j = 0;
    while (j < CLUSTER_JOBS && node->job[j].used)
        j++;
    if (j == CLUSTER_JOBS)
        return;
    node->job[j] = (struct swim_job){true, via->from, via->token};
    p = (struct swim_packet){
        .kind = PING, .from = node->number, .to = via->target, .asked_us = c->us, .job = j + 1};
    transmit(c, &p);
    p.kind = HELPER_TIMER;
    p.to = node->number;
    p.token = via->token;
    enqueue(c, &p, HELPER_US);
}

static void helper_end(struct swim *c, struct swim_node *node, unsigned job, bool reached)
{
    struct swim_job *j = &node->job[job - 1];
    if (!j->used)
        return;
    struct swim_packet p = {.kind = HELPED,
                            .from = node->number,
                            .to = j->asker,
                            .token = j->token,
                            .reached = reached};
    j->used = false;
    transmit(c, &p);
}

static void receive(struct swim *c, struct swim_node *node, const struct swim_packet *p)
{
    struct now now = swim_now(c);
    if (p->kind == HELPER_TIMER) {
        if (node->job[p->job - 1].token == p->token)
            helper_end(c, node, p->job, false);
        return;
    }
    uint64_t rtt = p->kind == ANSWER ? c->us - p->asked_us : 0;
    live_heard(node->live, p->from, p->incarnation, (uint32_t)rtt, now);
    live_news_in(node->live, p->from, p->news, p->n, now);
    if (p->kind == PING) {
        struct swim_packet answer = *p;
        answer.kind = ANSWER;
        answer.from = p->to;
        answer.to = p->from;
        transmit(c, &answer);
    } else if (p->kind == ANSWER && p->job) {
        helper_end(c, node, p->job, true);
    } else if (p->kind == VIA) {
        help(c, node, p);
    } else if (p->kind == HELPED) {
        live_helped(node->live, p->token, p->reached, now);
    }
}

void swim_tell(struct swim *c, unsigned from, unsigned to, const struct dht_news *news, unsigned n)
{
    struct swim_packet p = {.kind = NEWS, .from = from, .to = to, .n = n};
    memcpy(p.news, news, n * sizeof(news[0]));
    transmit(c, &p);
}

static void deliver(struct swim *c)
{
    unsigned slot = (unsigned)(c->us / 1000 % CLUSTER_SLOTS);
    struct swim_packet *p = c->slot[slot], *next;
    c->slot[slot] = NULL;
    c->last[slot] = &c->slot[slot];
    for (; p; p = next) {
        struct swim_node *to = &c->node[p->to];
        next = p->next;
        if (to->up && c->us < to->asleep_until_us)
            enqueue(c, p, to->asleep_until_us - c->us);
        else if (to->up)
            receive(c, to, p);
        free(p);
    }
}

void swim_run(struct swim *c, uint64_t us)
{
    for (uint64_t end = c->us + us; c->us < end;) {
        c->us += 1000;
        deliver(c);
        for (struct swim_node *n = c->node; n < c->node + c->n; n++)
            if (n->up && c->us >= n->asleep_until_us && live_deadline_us(n->live) <= c->us)
                live_poll(n->live, swim_now(c));
    }
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void node_start(struct swim *c, unsigned i, uint32_t incarnation)
{
    static const struct live_host host = {NULL,        host_ping,    host_ping_via,
                                          host_rumour, host_changed, host_self_accused};
    struct swim_node *node = &c->node[i];
    struct live_host mine = host;
    uint8_t seed[32];
    mine.ctx = node;
    rng_bytes(&c->rng, seed, sizeof(seed));
    node->live = live_create(&c->config, &node->id, incarnation, &mine, seed, swim_now(c));
    assert(node->live);
    node->up = true;
    node->started_us = c->us;
    memset(node->job, 0, sizeof(node->job));
    memset(c->withdrawn_us[i], 0, sizeof(c->withdrawn_us[i]));
    for (unsigned k = 0; k < c->n; k++) {
        if (!c->monitors[i][k])
            continue;
        uint32_t known = c->node[k].live ? live_self_incarnation(c->node[k].live) : 1;
        bool added = live_add(node->live, k, &c->node[k].id, known, swim_now(c));
        assert(added);
    }
}

struct swim *swim_create(unsigned n, unsigned each, unsigned loss_permille, uint64_t seed)
{
    struct swim *c = calloc(1, sizeof(*c));
    assert(c && n <= CLUSTER_MAX && each < n);
    rng_init_u64(&c->rng, seed);
    c->us = 1000000;
    c->n = n;
    c->loss_permille = loss_permille;
    c->config = live_config_default();
    for (unsigned i = 0; i < CLUSTER_SLOTS; i++)
        c->last[i] = &c->slot[i];
    for (unsigned i = 0; i < n; i++) {
        c->node[i].cluster = c;
        c->node[i].number = i;
        rng_bytes(&c->rng, c->node[i].id.b, DHT_ID_BYTES);
        for (unsigned left = each; left > 0;) {
            unsigned k = rng_below(&c->rng, n);
            if (k == i || c->monitors[i][k])
                continue;
            c->monitors[i][k] = true;
            left--;
        }
    }
    for (unsigned i = 0; i < n; i++)
        node_start(c, i, 1);
    return c;
}

void swim_destroy(struct swim *c)
{
    for (unsigned i = 0; i < CLUSTER_SLOTS; i++) {
        struct swim_packet *p = c->slot[i], *next;
        for (; p; p = next) {
            next = p->next;
            free(p);
        }
    }
    for (unsigned i = 0; i < c->n; i++)
        live_destroy(c->node[i].live);
    free(c->withdrawals.us);
    free(c->wrong.us);
    free(c);
}

void swim_kill(struct swim *c, unsigned i)
{
    c->node[i].up = false;
    c->node[i].killed_us = c->us;
}

void swim_start(struct swim *c, unsigned i)
{
    uint32_t incarnation = live_self_incarnation(c->node[i].live) + 1000;
    live_destroy(c->node[i].live);
    c->node[i].live = NULL;
    node_start(c, i, incarnation);
}

bool swim_alive(const struct swim *c, unsigned observer, unsigned subject)
{
    enum live_state state;
    return live_get(c->node[observer].live, subject, &state) && state == LIVE_ALIVE;
}

void swim_observers(const struct swim *c, unsigned subject, unsigned *all, unsigned *withdrew)
{
    *all = *withdrew = 0;
    for (unsigned i = 0; i < c->n; i++) {
        if (!c->node[i].up || !c->monitors[i][subject])
            continue;
        ++*all;
        *withdrew += !swim_alive(c, i, subject);
    }
}

void swim_measure(struct swim *c)
{
    c->counted_from_us = c->us;
    c->withdrawals.n = c->wrong.n = c->wrong_begun = 0;
    for (unsigned i = 0; i < c->n; i++)
        c->node[i].sent = c->node[i].sent_bytes = 0;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t swim_quantile_us(struct swim_samples *s, unsigned permille)
{
    if (s->n == 0)
        return 0;
    qsort(s->us, s->n, sizeof(s->us[0]), by_size);
    unsigned at = (unsigned)((uint64_t)s->n * permille / 1000);
    return s->us[at < s->n ? at : s->n - 1];
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/member.h"
#include "dht/rpc.h"

#define DESCRIBE_US    30000000u /* ages grow: descriptors are written anew */
#define VALIDATE_WALKS 5

static const char *const reason_text[] = {[CLUSTER_TOO_FAR] = "too far",
                                          [CLUSTER_LARGER] = "larger",
                                          [CLUSTER_LOWER_CID] = "lower cluster ID"};

bool member_clusters_create(struct dht_member *m, struct now now)
{
    for (unsigned l = 1; l < m->config->levels; l++) {
        m->cluster[l] = cluster_create(&m->config->cluster[l], l, id_u64(m->routes.self.id.b),
                                       member_random(m), now);
        if (!m->cluster[l])
            return false;
        m->routes.level[l].is = cluster_descriptor(m->cluster[l], now);
    }
    m->described_us = now.mono_us;
    return true;
}

void member_clusters_destroy(struct dht_member *m)
{
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        cluster_destroy(m->cluster[l]);
}

void member_clusters_heard(struct dht_member *m, uint32_t peer, const struct dht_sender *who,
                           uint32_t rtt_us, struct now now)
{
    for (unsigned l = 1; l < m->config->levels; l++)
        if (who->leaving)
            cluster_gone(m->cluster[l], peer);
        else
            cluster_heard(m->cluster[l], peer, &who->level[l], rtt_us, now);
}

void member_clusters_gone(struct dht_member *m, uint32_t peer)
{
    for (unsigned l = 1; l < m->config->levels; l++)
        cluster_gone(m->cluster[l], peer);
}

/* --- sizes ------------------------------------------------------------------------------------ */

/* From the walks, and from how far the last of our siblings (table.h) is: our own place is as
 * good as any, and they are known without asking. */
static uint32_t estimate(const struct dht_member *m, unsigned level, unsigned siblings,
                         struct now now)
{
    struct size all = m->size[level];
    uint32_t at = 0;
    for (unsigned n = 0; at < m->routes.n; at++)
        if (m->table.route[at].levels >> level & 1 && ++n == siblings)
            break;
    const struct dht_id *last = &m->book->contact[m->table.route[at].peer].id;
    struct dht_distance d = distance_between(&m->routes.self.id, last);
    size_add(&all, d.w[0], (uint8_t)siblings, now);
    return size_log2_256(&all, now);
}

/* As few as siblings are counted: the table has all of them. */
static void describe(struct dht_member *m, unsigned level, struct now now)
{
    unsigned others = table_count(&m->table, level), siblings = 2 * m->config->bucket;
    uint32_t size =
        others <= siblings ? size_of_members(others + 1) : estimate(m, level, siblings, now);
    struct dht_descriptor *d = &m->routes.level[level].is;
    if (level == 0) {
        d->size = (uint8_t)(size / 32 < 255 ? size / 32 : 255);
        return;
    }
    cluster_size(m->cluster[level], size);
    *d = cluster_descriptor(m->cluster[level], now);
    m->routes.level[level].previous = cluster_previous(m->cluster[level], now);
}

/* A walk ended at the closest to a random target: how dense is the cluster there? An answer names
 * so few contacts that of more the nearest are not sure to be known: of those that answered beyond
 * them some are missing, and the cluster would seem to be half as large. */
void dht_member_found(struct dht_member *m, const struct dht_find *find,
                      const struct dht_result *result, struct now now)
{
    if (find->guest || result->end != DHT_FOUND || result->nearest < RPC_CONTACTS)
        return;
    size_add(&m->size[find->level], result->distance[RPC_CONTACTS - 1], RPC_CONTACTS, now);
}

/* --- decisions -------------------------------------------------------------------------------- */

/* Walks to random keys inside a cluster that is not ours; who answers is heard. */
static void validate(struct dht_member *m, unsigned level, const struct cluster_action *a)
{
    for (unsigned i = 0; i < VALIDATE_WALKS; i++) {
        struct dht_find f = member_find_near(m, level, 0);
        f.guest = true;
        f.target.b[0] ^= (uint8_t)(member_random(m) & 0x80);
        for (unsigned j = 0; j < a->members && f.seeds < DHT_SEEDS; j++) {
            const struct dht_contact *c = &m->book->contact[a->member[(i + j) % a->members]];
            f.seed[f.seeds].id = c->id;
            f.seed[f.seeds++].rpc = c->rpc;
        }
        m->host.find(m->host.ctx, &f);
    }
}

/* We are in another cluster now: those found good are its first members in the table; they and
 * the next ones learn of it from our next packets, and a walk to ourselves makes us known. */
static void switched(struct dht_member *m, unsigned level, const struct cluster_action *a,
                     struct now now)
{
    struct dht_level *l = &m->routes.level[level];
    table_clear_level(&m->table, level);
    m->size[level] = (struct size){0};
    l->epoch = (uint8_t)cluster_switches(m->cluster[level]);
    m->routes.sequence++;
    for (unsigned i = 0; i < a->members && a->what == CLUSTER_SWITCH; i++) {
        uint32_t at = table_find(&m->table, a->member[i]);
        unsigned had = at < m->routes.n ? m->table.route[at].levels : 0;
        table_put(&m->table, a->member[i], had | 1u << level, 0, now);
        member_reached(m, a->member[i]); /* it was measured */
    }
    describe(m, level, now);
    m->find[level] = (struct walks){.at_us = now.mono_us};
    m->changed = m->live_stale = true;
    if (m->host.switched) {
        struct dht_switch why = {.level = level,
                                 .from = a->from,
                                 .to = a->to,
                                 .reason = reason_text[a->reason],
                                 .share_percent = a->share_percent,
                                 .measured = a->measured};
        m->host.switched(m->host.ctx, &why);
    }
}

void member_clusters_poll(struct dht_member *m, struct now now)
{
    struct cluster_action a;
    bool due = now.mono_us - m->described_us >= DESCRIBE_US;
    for (unsigned l = 1; l < m->config->levels; l++) {
        if (cluster_next_us(m->cluster[l]) > now.mono_us)
            continue;
        describe(m, l, now);
        while (cluster_poll(m->cluster[l], now, &a)) {
            if (a.what == CLUSTER_VALIDATE)
                validate(m, l, &a);
            else
                switched(m, l, &a, now);
        }
    }
    if (!due)
        return;
    m->described_us = now.mono_us;
    for (unsigned l = 0; l < m->config->levels; l++)
        describe(m, l, now);
    m->changed = true;
}

uint64_t member_clusters_us(const struct dht_member *m)
{
    uint64_t at = m->described_us + DESCRIBE_US;
    for (unsigned l = 1; l < m->config->levels; l++)
        if (cluster_next_us(m->cluster[l]) < at)
            at = cluster_next_us(m->cluster[l]);
    return at;
}

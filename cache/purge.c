/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of purges: the control thread leaves them, and anybody holds an object to them. */
#include <string.h>

#include "base/grace.h"
#include "base/mix.h"
#include "cache/private.h"

/* Keys are URLs of this scheme; their host, and perhaps a port, is behind it. */
#define SCHEME (sizeof("http://") - 1)

static uint64_t rule_hash(const struct cache *c, enum cache_purge_kind kind, const char *text,
                          size_t len)
{
    uint64_t h = mix64(hash64(&c->secret, text, len) + (uint64_t)kind);
    return h ? h : 1;
}

/* --- the verdict ------------------------------------------------------------------------------ */

/* Kept together on the way through an object's borders and tags. */
struct judge {
    const struct cache *c;
    const struct purge_table *t;
    uint32_t born;
    enum cache_purge_verdict verdict;
};

static bool newer(const uint32_t *number, uint32_t born)
{
    uint32_t n = __atomic_load_n(number, __ATOMIC_RELAXED);
    return n != 0 && purge_older(born, n);
}

static void judge_numbers(struct judge *j, const uint32_t *hard, const uint32_t *soft)
{
    if (newer(hard, j->born))
        j->verdict = CACHE_PURGE_HARD;
    else if (j->verdict == CACHE_PURGE_NOT && newer(soft, j->born))
        j->verdict = CACHE_PURGE_SOFT;
}

static void judge_text(struct judge *j, enum cache_purge_kind kind, const char *text, size_t len)
{
    uint64_t h = rule_hash(j->c, kind, text, len), there;
    for (size_t i = h;; i++) { /* half of the slots are empty */
        const struct purge_rule *r = &j->t->rule[i % PURGE_SLOTS];
        there = __atomic_load_n(&r->hash, __ATOMIC_RELAXED);
        if (there == h)
            judge_numbers(j, &r->hard, &r->soft);
        if (there == h || there == 0)
            return;
    }
}

static void judge_border(struct judge *j, const char *key, size_t len)
{
    uint64_t lengths = __atomic_load_n(&j->t->lengths, __ATOMIC_RELAXED);
    if (lengths >> len % 64 & 1)
        judge_text(j, CACHE_PURGE_PREFIX, key, len);
}

/* http://host/  http://host/a  http://host/a/  http://host/a/b  http://host/a/b?c */
static void judge_borders(struct judge *j, const char *key, size_t len)
{
    unsigned slashes = 0;
    size_t i = SCHEME;
    for (; i < len && key[i] != '?' && slashes <= CACHE_SEGMENTS_MAX; i++) {
        if (key[i] != '/')
            continue;
        if (slashes > 0)
            judge_border(j, key, i);
        if (slashes++ < CACHE_SEGMENTS_MAX)
            judge_border(j, key, i + 1);
    }
    if (i < len && key[i] == '?')
        judge_border(j, key, i);
    if (slashes <= CACHE_SEGMENTS_MAX)
        judge_border(j, key, len);
}

/* A variant is purged by its URL (cache/vary.h). */
static void judge_key(struct judge *j, const char *key, size_t len)
{
    struct cache_name url = {key, len};
    uint64_t nonce;
    if (len && key[0] == CACHE_VARIANT_MARK)
        cache_variant_key(key, len, &url, &nonce);
    if (newer(&j->c->purge.prefix, j->born))
        judge_borders(j, url.p, url.len);
    if (newer(&j->c->purge.url, j->born))
        judge_text(j, CACHE_PURGE_URL, url.p, url.len);
}

static void judge_tags(struct judge *j, const char *head, size_t len)
{
    const struct purge *p = &j->c->purge;
    const char *tag;
    size_t at = 0, n;
    for (unsigned i = 0; cache_tag_next(head, len, &at, &tag, &n); i++) {
        if (i == CACHE_TAGS_MAX || n > CACHE_TAG_MAX) {
            judge_numbers(j, &p->tag_hard, &p->tag_soft);
            return;
        }
        judge_text(j, CACHE_PURGE_TAG, tag, n);
    }
}

/* What is older than the newest. `o`: has the tags; NULL: they are not known, and not looked at.
 * The table first: who sees the second table sees what was forgotten with the first one. */
static enum cache_purge_verdict judge(const struct cache *c, const char *key, size_t key_len,
                                      const struct cache_object *o, uint32_t born)
{
    const struct purge *p = &c->purge;
    struct judge j = {c, __atomic_load_n(&p->table, CACHE_RULES_LOAD), born, CACHE_PURGE_NOT};
    if (newer(&p->forgotten, born))
        return CACHE_PURGE_HARD;
    judge_numbers(&j, &p->all_hard, &p->all_soft);
    if (newer(&p->prefix, born) || newer(&p->url, born))
        judge_key(&j, key, key_len);
    if (o && o->tagged && (newer(&p->tag_hard, born) || newer(&p->tag_soft, born))) {
        size_t len;
        const char *head = cache_head(o, &len);
        judge_tags(&j, head, len);
    }
    return j.verdict;
}

bool cache_tags_purged_since(const struct cache *c, uint32_t born)
{
    return newer(&c->purge.tag_hard, born) || newer(&c->purge.tag_soft, born);
}

enum cache_purge_verdict cache_purge_judge(const struct cache *c, const struct cache_object *o,
                                           uint32_t *upto)
{
    char room[CACHE_KEY_MAX];
    *upto = purge_newest(c);
    enum cache_purge_verdict v = judge(c, cache_object_key(o, room), o->key_len, o, object_born(o));
    /* a primary has nothing to get stale; its variants do */
    return v == CACHE_PURGE_SOFT && o->meta.varies ? CACHE_PURGE_NOT : v;
}

bool cache_object_purged(const struct cache *c, const struct cache_object *o)
{
    uint32_t upto;
    return cache_purge_judge(c, o, &upto) != CACHE_PURGE_NOT;
}

enum cache_purge_verdict cache_purged_since(const struct cache *c, const void *key, size_t key_len,
                                            const struct cache_object *o, uint32_t born)
{
    return purge_older(born, purge_newest(c)) ? judge(c, key, key_len, o, born) : CACHE_PURGE_NOT;
}

uint32_t cache_purge_clock(const struct cache *c)
{
    return purge_newest(c);
}

/* --- the control thread ----------------------------------------------------------------------- */

void cache_purge_create(struct cache *c)
{
    c->purge.table = &c->purge.room[0];
}

static void number_store(uint32_t *to, uint32_t number)
{
    __atomic_store_n(to, number, __ATOMIC_RELAXED);
}

/* The walks have been through with all rules up to here. */
static uint32_t walks_done(const struct cache *c)
{
    uint32_t least = c->purge.newest;
    for (unsigned i = 0; i < c->workers; i++) {
        uint32_t done = __atomic_load_n(&c->worker[i].walk.done, CACHE_WALKED_LOAD);
        if (purge_older(done, least))
            least = done;
    }
    return least;
}

/* Which rules nobody needs any more; where there is news, the grace period for it begins. */
static void settle(struct cache *c)
{
    struct purge *p = &c->purge;
    if (p->waiting && grace_over(c->qsbr, p->token)) {
        p->settled = p->settling;
        p->waiting = false;
    }
    uint32_t done = p->waiting ? p->settling : walks_done(c);
    if (purge_older(p->settled, done) && !p->waiting) {
        p->settling = done;
        p->waiting = true;
        p->token = grace_start(c->qsbr);
    }
}

static struct purge_rule *rule_place(struct purge_table *t, uint64_t hash)
{
    size_t i = hash;
    while (t->rule[i % PURGE_SLOTS].hash != 0 && t->rule[i % PURGE_SLOTS].hash != hash)
        i++;
    return &t->rule[i % PURGE_SLOTS];
}

static bool needed(const struct purge *p, const struct purge_rule *r)
{
    return r->hash && ((r->hard && purge_older(p->settled, r->hard)) ||
                       (r->soft && purge_older(p->settled, r->soft)));
}

/* The rules that are needed yet go to the other table. False: they are all, or readers may be in
 * the other table yet. */
static bool forget(struct cache *c)
{
    struct purge *p = &c->purge;
    const struct purge_table *old = p->table;
    struct purge_table *t = &p->room[old == &p->room[0]];
    unsigned kept = 0;
    for (unsigned i = 0; i < PURGE_SLOTS; i++)
        kept += needed(p, &old->rule[i]);
    if (kept == old->used || (p->spare_token && !grace_over(c->qsbr, p->spare_token)))
        return false;
    memset(t, 0, sizeof(*t));
    t->used = kept;
    t->lengths = old->lengths; /* a hash does not tell its length; `lengths` wears out slowly */
    for (unsigned i = 0; i < PURGE_SLOTS; i++)
        if (needed(p, &old->rule[i]))
            *rule_place(t, old->rule[i].hash) = old->rule[i];
    if (kept == 0)
        t->lengths = 0;
    number_store(&p->forgotten, p->settled);
    __atomic_store_n(&p->table, t, CACHE_RULES_STORE);
    p->spare_token = grace_start(c->qsbr);
    return true;
}

/* False: no room. */
static bool rule_add(struct cache *c, const struct cache_purge *what, uint32_t number)
{
    struct purge *p = &c->purge;
    uint64_t hash = rule_hash(c, what->kind, what->text, what->len);
    struct purge_rule *r = rule_place(p->table, hash);
    if (r->hash == 0 && p->table->used == CACHE_PURGE_RULES) {
        if (!forget(c))
            return false;
        r = rule_place(p->table, hash);
    }
    number_store(what->soft ? &r->soft : &r->hard, number);
    if (what->kind == CACHE_PURGE_PREFIX)
        __atomic_store_n(&p->table->lengths, p->table->lengths | (uint64_t)1 << what->len % 64,
                         __ATOMIC_RELAXED);
    p->table->used += r->hash == 0;
    __atomic_store_n(&r->hash, hash, __ATOMIC_RELAXED);
    return true;
}

/* Only what an object's borders and tags can be. */
static bool possible(const struct cache_purge *what)
{
    unsigned slashes = 0;
    size_t i = 0;
    switch (what->kind) {
    case CACHE_PURGE_ALL:
        return true;
    case CACHE_PURGE_URL:
        return what->len > SCHEME && what->len <= CACHE_KEY_MAX;
    case CACHE_PURGE_TAG:
        while (i < what->len && (unsigned char)what->text[i] > ' ' && what->text[i] != ',' &&
               what->text[i] != 0x7f)
            i++;
        return i > 0 && i == what->len && i <= CACHE_TAG_MAX;
    default:
        for (i = SCHEME; i < what->len && what->text[i] != '?'; i++)
            slashes += what->text[i] == '/';
        return what->len <= CACHE_KEY_MAX && slashes > 0 && slashes <= CACHE_SEGMENTS_MAX;
    }
}

enum cache_purge_end cache_purge(struct cache *c, const struct cache_purge *what, uint64_t *token)
{
    struct purge *p = &c->purge;
    uint32_t number = p->newest + 1;
    number += number == 0; /* which is "never" */
    if (!possible(what))
        return CACHE_PURGE_WRONG;
    settle(c);
    if (what->kind != CACHE_PURGE_ALL && !rule_add(c, what, number)) {
        number_store(&p->refused, p->refused + 1);
        return CACHE_PURGE_FULL;
    }
    if (what->kind == CACHE_PURGE_ALL)
        number_store(what->soft ? &p->all_soft : &p->all_hard, number);
    else if (what->kind == CACHE_PURGE_TAG)
        number_store(what->soft ? &p->tag_soft : &p->tag_hard, number);
    else
        number_store(what->kind == CACHE_PURGE_URL ? &p->url : &p->prefix, number);
    number_store(&p->rules, p->table->used);
    number_store(&p->orders, p->orders + 1);
    __atomic_store_n(&p->newest, number, CACHE_PURGE_STORE);
    *token = grace_start(c->qsbr);
    return CACHE_PURGE_TAKEN;
}

bool cache_purge_in_force(struct cache *c, uint64_t token)
{
    return grace_over(c->qsbr, token);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What purges by prefix, tag and host, and of all, take and what they leave; when rules are
 * forgotten. */
#include <criterion/criterion.h>

#include "cache/vary.h"
#include "world.h"

#define TAGGED "Surrogate-Key: red  green\r\nCache-Tag: blue,big-one , red\r\nETag: \"1\"\r\n"

static struct cache_object *begin_with(struct world *w, const char *key, const char *head)
{
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)w->now.wall_s,
                              .lifetime_s = 100,
                              .content_length = 5};
    return cache_begin(w->c, cache_hash(w->c, key, strlen(key)), key, strlen(key), &meta, head,
                       strlen(head), w->now);
}

static struct cache_object *finish(struct world *w, struct cache_object *o)
{
    cr_assert_eq(cache_append(w->c, o, "12345", 5), 5);
    cr_assert(cache_complete(w->c, o));
    cache_link(w->c, o);
    cache_unpin(o, 0);
    return o;
}

static struct cache_object *store_with(struct world *w, const char *key, const char *head)
{
    return finish(w, begin_with(w, key, head));
}

static const struct cache_object *owner_find(struct world *w, const char *key)
{
    return cache_lookup_owner(w->c, cache_hash(w->c, key, strlen(key)), key, strlen(key));
}

static enum cache_purge_end purge(struct world *w, enum cache_purge_kind kind, const char *text,
                                  bool soft)
{
    uint64_t token;
    struct cache_purge what = {kind, soft, text, strlen(text)};
    return cache_purge(w->c, &what, &token);
}

static void purged(struct world *w, enum cache_purge_kind kind, const char *text, bool soft)
{
    cr_assert_eq(purge(w, kind, text, soft), CACHE_PURGE_TAKEN, "%s", text);
}

Test(purge, prefixes_end_at_borders)
{
    static const struct {
        const char *prefix, *key;
        bool taken;
    } all[] = {
        {"http://h/", "http://h/", true},
        {"http://h/", "http://h/a/b?c=/d", true},
        {"http://h/", "http://h.test/", false},
        {"http://h/", "http://h:81/", false},
        {"http://h:81/", "http://h:81/a", true},
        {"http://h/a", "http://h/a", true},
        {"http://h/a", "http://h/a/", true},
        {"http://h/a", "http://h/a/b/c", true},
        {"http://h/a", "http://h/a?q", true},
        {"http://h/a", "http://h/ab", false},
        {"http://h/a", "http://h/b/a", false},
        {"http://h/a/", "http://h/a", false},
        {"http://h/a/", "http://h/a/", true},
        {"http://h/a/", "http://h/a/b?q", true},
        {"http://h/a/", "http://h/a?q=/", false},
        {"http://h/a/b", "http://h/a/", false},
        {"http://h/a?q=1", "http://h/a?q=1", true},
        {"http://h/a?q=1", "http://h/a?q=12", false},
        {"http://h/a?q=1", "http://h/a", false},
        {"http://h/a?q=x", "http://h/a?q=x/y", false}, /* slashes of a query are no borders */
        {"http://h/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
         "http://h/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18", true},
        {"http://h/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
         "http://h/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", true},
        {"http://h/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
         "http://h/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/167", false},
        {"http://h/a/path/that/is/longer/than/what/stands/in/the/object/it",
         "http://h/a/path/that/is/longer/than/what/stands/in/the/object/itself", false},
        {"http://h/a/path/that/is/longer/than/what/stands/in/the/object/itself",
         "http://h/a/path/that/is/longer/than/what/stands/in/the/object/itself/", true},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct world w;
        world_open(&w, 4 * MIB, 100, 1);
        store_with(&w, all[i].key, TAGGED);
        cr_assert(world_find(&w, all[i].key));
        purged(&w, CACHE_PURGE_PREFIX, all[i].prefix, false);
        cr_expect_eq(world_find(&w, all[i].key) == NULL, all[i].taken, "%s of %s", all[i].prefix,
                     all[i].key);
        cr_expect_eq(owner_find(&w, all[i].key) == NULL, all[i].taken);
        world_settle(&w);
        cr_expect_eq(WORLD_SUM(&w, cache_held_objects), !all[i].taken);
        world_close(&w);
    }
}

Test(purge, a_url_is_that_one_alone)
{
    static const char *const all[] = {"http://h/",
                                      "http://h/a",
                                      "http://h/a/",
                                      "http://h/a?q",
                                      "http://h/a?q=1",
                                      ("http://h/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/"
                                       "17/18?x=/")};
    const size_t n = sizeof(all) / sizeof(all[0]);
    for (size_t gone = 0; gone < n; gone++) {
        struct world w;
        world_open(&w, 4 * MIB, 100, 1);
        for (size_t i = 0; i < n; i++)
            store_with(&w, all[i], TAGGED);
        purged(&w, CACHE_PURGE_URL, all[gone], false);
        for (size_t i = 0; i < n; i++)
            cr_expect_eq(world_find(&w, all[i]) == NULL, i == gone, "%s of %s", all[gone], all[i]);
        world_settle(&w);
        cr_expect_eq(WORLD_SUM(&w, cache_held_objects), n - 1);
        world_close(&w);
    }
}

Test(purge, tags_are_words_of_two_fields)
{
    static const struct {
        const char *tag, *head;
        bool taken;
    } all[] = {
        {"red", TAGGED, true},
        {"green", TAGGED, true},
        {"blue", TAGGED, true},
        {"big-one", TAGGED, true},
        {"big", TAGGED, false},
        {"RED", TAGGED, false},
        {"\"1\"", TAGGED, false},
        {"red", "ETag: \"1\"\r\nCache-Tag: red\r\n", false}, /* tags come first, or not at all */
        {"red", "cache-tag:red\r\n", true},
        {"red", "SURROGATE-KEY: ,, red", true},
        {"red", "Cache-Tags: red\r\n", false},
        {"red", "Cache-Tag: \r\nSurrogate-Key: red\r\n", true},
        {"Cache-Tag", "Cache-Tag: red\r\n", false},
        {"Cache-Tag:", "Cache-Tag: red\r\n", false},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct world w;
        world_open(&w, 4 * MIB, 100, 1);
        store_with(&w, "http://h/a", all[i].head);
        store_with(&w, "http://h/red", "ETag: red\r\n");
        purged(&w, CACHE_PURGE_TAG, all[i].tag, false);
        cr_expect_eq(world_find(&w, "http://h/a") == NULL, all[i].taken, "%s of %s", all[i].tag,
                     all[i].head);
        cr_expect(world_find(&w, "http://h/red"));
        world_close(&w);
    }
}

/* It is not known what else it has: better once too often than never. */
Test(purge, too_many_tags_count_as_all)
{
    struct world w;
    char head[1024] = "Cache-Tag:";
    size_t len = strlen(head);
    for (unsigned i = 0; i < CACHE_TAGS_MAX; i++)
        len += (size_t)snprintf(head + len, sizeof(head) - len, " t%u", i);
    world_open(&w, 4 * MIB, 100, 1);
    store_with(&w, "http://h/64", head);
    snprintf(head + len, sizeof(head) - len, " one-more");
    store_with(&w, "http://h/65", head);
    char longest[CACHE_TAG_MAX + 2] = {0}, line[200];
    memset(longest, 'x', CACHE_TAG_MAX);
    snprintf(line, sizeof(line), "Cache-Tag: %s", longest);
    store_with(&w, "http://h/128", line);
    snprintf(line, sizeof(line), "Cache-Tag: %sx", longest);
    store_with(&w, "http://h/129", line);
    cr_expect_eq(WORLD_SUM(&w, cache_tags_excess_total), 2);
    purged(&w, CACHE_PURGE_TAG, "another", true);
    cr_expect(world_find(&w, "http://h/64") && world_find(&w, "http://h/128"));
    cr_expect(!world_find(&w, "http://h/65") && !world_find(&w, "http://h/129"));
    cr_expect(!cache_fresh(owner_find(&w, "http://h/65"), w.now), "it was a soft one");
    purged(&w, CACHE_PURGE_TAG, "another", false);
    cr_expect(!owner_find(&w, "http://h/65") && !owner_find(&w, "http://h/129"));
    purged(&w, CACHE_PURGE_TAG, "t63", false);
    cr_expect(!world_find(&w, "http://h/64"));
    world_close(&w);
}

Test(purge, what_can_be_nothing_s_name_is_told)
{
    struct world w;
    char text[CACHE_KEY_MAX + 2] = "http://h/";
    world_open(&w, 4 * MIB, 100, 1);
    cr_expect_eq(purge(&w, CACHE_PURGE_TAG, "", false), CACHE_PURGE_WRONG);
    cr_expect_eq(purge(&w, CACHE_PURGE_TAG, "a b", false), CACHE_PURGE_WRONG);
    cr_expect_eq(purge(&w, CACHE_PURGE_TAG, "a,b", false), CACHE_PURGE_WRONG);
    cr_expect_eq(purge(&w, CACHE_PURGE_TAG, "a\r\n", false), CACHE_PURGE_WRONG);
    cr_expect_eq(purge(&w, CACHE_PURGE_PREFIX, "", false), CACHE_PURGE_WRONG);
    cr_expect_eq(purge(&w, CACHE_PURGE_PREFIX, "http://h", false), CACHE_PURGE_WRONG);
    cr_expect_eq(purge(&w, CACHE_PURGE_URL, "http://", false), CACHE_PURGE_WRONG);
    memset(text + strlen(text), 'x', CACHE_KEY_MAX + 1 - strlen(text));
    cr_expect_eq(purge(&w, CACHE_PURGE_PREFIX, text, false), CACHE_PURGE_WRONG);
    text[CACHE_KEY_MAX] = 0;
    cr_expect_eq(purge(&w, CACHE_PURGE_PREFIX, text, false), CACHE_PURGE_TAKEN);
    cr_expect_eq(purge(&w, CACHE_PURGE_PREFIX, "http://h/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/", 0),
                 CACHE_PURGE_TAKEN);
    cr_expect_eq(
        purge(&w, CACHE_PURGE_PREFIX, "http://h/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16//", 0),
        CACHE_PURGE_WRONG);
    world_poll(&w);
    cr_expect_eq(WORLD_SUM(&w, cache_purges_total), 2);
    cr_expect_eq(WORLD_SUM(&w, cache_purge_rules), 2);
    cr_expect_eq(WORLD_SUM(&w, cache_purges_refused_total), 0);
    world_close(&w);
}

Test(purge, of_nothing_does_nothing)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 2);
    store_with(&w, "http://h/a", TAGGED);
    const struct cache_object *o = world_find(&w, "http://h/a");
    purged(&w, CACHE_PURGE_TAG, "of-nobody", false);
    purged(&w, CACHE_PURGE_PREFIX, "http://nobody/", false);
    world_settle(&w);
    cr_expect_eq(world_find(&w, "http://h/a"), o);
    cr_expect_eq(WORLD_SUM(&w, cache_purged_total), 0);
    cr_expect_eq(WORLD_SUM(&w, cache_purges_total), 2);
    world_close(&w);
}

Test(purge, what_comes_after_it_stays)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 2);
    for (int i = 0; i < 3; i++) {
        store_with(&w, "http://h/a", TAGGED);
        cr_expect(world_find(&w, "http://h/a"));
        world_settle(&w);
        cr_expect(world_find(&w, "http://h/a"));
        if (i == 0)
            purged(&w, CACHE_PURGE_TAG, "red", false);
        else if (i == 1)
            purged(&w, CACHE_PURGE_ALL, "", false);
        else
            purged(&w, CACHE_PURGE_PREFIX, "http://h/", false);
        cr_expect(!world_find(&w, "http://h/a"));
    }
    world_close(&w);
}

/* Nobody asks: the owner comes by. */
Test(purge, memory_comes_back_by_the_walk)
{
    struct world w;
    char key[32];
    world_open(&w, 32 * MIB, 6000, 3);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "http://h%u/%u", i % 3, i);
        store_with(&w, key, TAGGED);
    }
    purged(&w, CACHE_PURGE_PREFIX, "http://h1/", false);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(!cache_busy(w.c, i));
    world_poll(&w);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(cache_busy(w.c, i));
    world_settle(&w);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(!cache_busy(w.c, i));
    cr_expect_eq(WORLD_SUM(&w, cache_purged_total), 1000);
    cr_expect_eq(w.evicted, 1000, "each reference is withdrawn");
    cr_expect_eq(WORLD_SUM(&w, cache_held_objects), 2000);
    cr_expect_eq(WORLD_SUM(&w, cache_evicted_total), 0);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "http://h%u/%u", i % 3, i);
        cr_expect_eq(world_find(&w, key) == NULL, i % 3 == 1);
    }
    world_close(&w);
}

Test(purge, a_soft_one_leaves_a_stale_copy)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 2);
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)w.now.wall_s,
                              .lifetime_s = 100,
                              .content_length = 5,
                              .has_validator = true};
    const char *key = "http://h/a";
    struct cache_object *o = cache_begin(w.c, cache_hash(w.c, key, strlen(key)), key, strlen(key),
                                         &meta, TAGGED, strlen(TAGGED), w.now);
    cache_pin(o, 0); /* somebody sends it meanwhile */
    finish(&w, o);
    w.now.wall_s += 30;
    world_poll(&w);
    purged(&w, CACHE_PURGE_TAG, "red", true);
    cr_expect(!world_find(&w, key), "a reader asks the owner first");
    const struct cache_object *copy = owner_find(&w, key);
    cr_assert(copy && copy != o && world_find(&w, key) == copy);
    cr_expect_eq(cache_meta(copy)->lifetime_s, 30, "its life ended with the purge");
    cr_expect_eq(cache_meta(o)->lifetime_s, 100);
    cr_expect(!cache_fresh(copy, w.now) && cache_meta(copy)->has_validator);
    cr_expect_eq(cache_ready(copy), 5);
    cr_expect_eq(w.evicted, 1);
    purged(&w, CACHE_PURGE_TAG, "blue", true);
    world_settle(&w); /* again, and this time nobody asks */
    copy = world_find(&w, key);
    cr_assert(copy);
    cr_expect_eq(cache_meta(copy)->lifetime_s, 30, "not longer");
    cr_expect_eq(WORLD_SUM(&w, cache_purged_stale_total), 2);
    cr_expect_eq(WORLD_SUM(&w, cache_purged_total), 0);
    cr_expect_eq(WORLD_SUM(&w, cache_refreshed_total), 0);
    cr_expect_eq(memcmp(cache_bytes(o, 0).data, "12345", 5), 0);
    cache_unpin(o, 0);
    purged(&w, CACHE_PURGE_TAG, "red", false);
    world_settle(&w);
    cr_expect(!world_find(&w, key));
    cr_expect_eq(WORLD_SUM(&w, cache_held_objects), 0);
    world_close(&w);
}

Test(purge, a_hard_one_counts_beside_a_soft_one)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    store_with(&w, "http://h/a", TAGGED);
    purged(&w, CACHE_PURGE_TAG, "red", false);
    purged(&w, CACHE_PURGE_TAG, "red", true);
    purged(&w, CACHE_PURGE_ALL, "", true);
    cr_expect(!owner_find(&w, "http://h/a"));
    cr_expect_eq(WORLD_SUM(&w, cache_purged_total), 1);
    world_close(&w);
}

/* Its bytes are from before the purge, whenever they come. */
Test(purge, a_fetch_that_began_before_it_is_not_kept)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    const char *key = "http://h/a";
    uint32_t began = cache_purge_clock(w.c);
    cr_expect_eq(cache_purged_since(w.c, key, strlen(key), NULL, began), CACHE_PURGE_NOT);
    purged(&w, CACHE_PURGE_TAG, "red", true);
    cr_expect_eq(cache_purged_since(w.c, key, strlen(key), NULL, began), CACHE_PURGE_NOT);
    cr_expect(cache_tags_purged_since(w.c, began), "it may bring any tag");
    struct cache_object *o = begin_with(&w, key, TAGGED);
    cache_born(o, began);
    cr_expect_eq(cache_purged_since(w.c, key, strlen(key), o, began), CACHE_PURGE_SOFT);
    finish(&w, o);
    cr_expect(!world_find(&w, key) && !owner_find(&w, key));
    cr_expect_eq(WORLD_SUM(&w, cache_purged_fills_total), 1);
    cache_unlink(w.c, o);

    o = begin_with(&w, key, "Cache-Tag: yellow\r\n");
    cache_born(o, began);
    cr_expect_eq(cache_purged_since(w.c, key, strlen(key), o, began), CACHE_PURGE_NOT);
    finish(&w, o);
    cr_expect(world_find(&w, key));
    world_settle(&w);
    cr_expect_eq(WORLD_SUM(&w, cache_held_objects), 1);
    world_close(&w);
}

/* What grows is unlinked by either purge; who holds it gets the rest. */
Test(purge, an_object_that_grows_is_let_go)
{
    for (int soft = 0; soft < 2; soft++) {
        struct world w;
        world_open(&w, 4 * MIB, 100, 1);
        struct cache_object *o = begin_with(&w, "http://h/a", TAGGED);
        cache_link(w.c, o);
        cr_expect(world_find(&w, "http://h/a"));
        purged(&w, CACHE_PURGE_PREFIX, "http://h/a", soft);
        cr_expect(!world_find(&w, "http://h/a"));
        world_settle(&w);
        cr_expect(!owner_find(&w, "http://h/a"));
        cr_expect_eq(cache_append(w.c, o, "12345", 5), 5);
        cr_expect(cache_complete(w.c, o));
        cache_unpin(o, 0);
        world_settle(&w);
        cr_expect_eq(WORLD_SUM(&w, cache_held_objects), 0);
        world_close(&w);
    }
}

/* A 304 says that it is current as of when it was asked for, not when it came. */
Test(purge, a_refreshed_object_is_as_old_as_its_question)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    store_with(&w, "http://h/a", "Cache-Tag: red\r\n");
    for (int before = 0; before < 2; before++) {
        uint32_t asked = cache_purge_clock(w.c);
        if (!before)
            purged(&w, CACHE_PURGE_TAG, "blue", false);
        struct cache_object *o = (struct cache_object *)(uintptr_t)owner_find(&w, "http://h/a");
        cr_assert(o);
        if (before) { /* the purge was before the question */
            purged(&w, CACHE_PURGE_TAG, "blue", false);
            asked = cache_purge_clock(w.c);
            o = (struct cache_object *)(uintptr_t)owner_find(&w, "http://h/a");
        }
        cache_born(o, asked);
        o = cache_refresh(w.c, o, cache_meta(o), "Cache-Tag: blue\r\n", 17, w.now);
        cr_assert(o);
        cr_expect_eq(world_find(&w, "http://h/a") != NULL, before);
        if (!before) {
            cr_expect(!owner_find(&w, "http://h/a"));
            store_with(&w, "http://h/a", "Cache-Tag: red\r\n");
        }
    }
    world_close(&w);
}

Test(purge, it_is_in_force_when_each_worker_has_been_quiescent)
{
    struct world w;
    uint64_t token;
    struct cache_purge all = {.kind = CACHE_PURGE_ALL};
    world_open(&w, 4 * MIB, 100, 3);
    cr_assert_eq(cache_purge(w.c, &all, &token), CACHE_PURGE_TAKEN);
    rte_rcu_qsbr_quiescent(w.qsbr, 0);
    rte_rcu_qsbr_quiescent(w.qsbr, 2);
    cr_expect(!cache_purge_in_force(w.c, token));
    rte_rcu_qsbr_quiescent(w.qsbr, 1);
    cr_expect(cache_purge_in_force(w.c, token));
    cr_assert_eq(cache_purge(w.c, &all, &token), CACHE_PURGE_TAKEN);
    rte_rcu_qsbr_thread_offline(w.qsbr, 1);
    rte_rcu_qsbr_quiescent(w.qsbr, 0);
    rte_rcu_qsbr_quiescent(w.qsbr, 2);
    cr_expect(cache_purge_in_force(w.c, token), "who sleeps sees it when he wakes");
    world_close(&w);
}

/* --- variants --------------------------------------------------------------------------------- */

#define VARIED "http://h/v/page"

static size_t variant_key(char *out, uint64_t nonce, const char *values)
{
    size_t n = sizeof(VARIED) - 1, len = strlen(values);
    cache_variant_begin(out, n, nonce);
    memcpy(out + CACHE_VARIANT_PREFIX, VARIED, n);
    memcpy(out + CACHE_VARIANT_PREFIX + n, values, len);
    return CACHE_VARIANT_PREFIX + n + len;
}

static struct cache_object *store_key(struct world *w, const char *key, size_t len, bool primary,
                                      const char *head, size_t head_len)
{
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)w->now.wall_s,
                              .lifetime_s = 100,
                              .content_length = 5,
                              .varies = primary};
    return finish(
        w, cache_begin(w->c, cache_hash(w->c, key, len), key, len, &meta, head, head_len, w->now));
}

/* A variant has its URL's borders and tags of its own; a primary has neither tags nor freshness. */
Test(purge, of_variants_by_their_url_and_their_tags)
{
    for (unsigned soft = 0; soft < 2; soft++) {
        struct world w;
        struct cache_vary v = {.nonce = 12345};
        char head[CACHE_VARY_STORED], key[2][64];
        size_t len[2];
        world_open(&w, 4 * MIB, 100, 1);
        cache_vary_add(&v, "accept-encoding", 15);
        const struct cache_object *primary =
            store_key(&w, VARIED, strlen(VARIED), true, head, cache_vary_write(&v, head));
        for (unsigned i = 0; i < 2; i++) {
            len[i] = variant_key(key[i], 12345, i ? "\n=gzip" : "\n=br");
            store_key(&w, key[i], len[i], false, i ? "Cache-Tag: zip\r\n" : "ETag: 1\r\n",
                      i ? 16 : 9);
        }
        cr_expect_eq(cache_siblings(w.c, primary), 2);
        purged(&w, CACHE_PURGE_TAG, "zip", soft);
        world_settle(&w);
        cr_expect_eq(world_find(&w, VARIED), primary);
        cr_expect_eq(cache_siblings(w.c, primary), soft ? 2 : 1);
        for (unsigned i = 0; i < 2; i++) {
            const struct cache_object *o =
                cache_lookup_owner(w.c, cache_hash(w.c, key[i], len[i]), key[i], len[i]);
            cr_expect_eq(o != NULL, soft || i == 0);
            cr_expect(!o || cache_fresh(o, w.now) == (i == 0));
        }
        purged(&w, CACHE_PURGE_PREFIX, "http://h/v/", soft);
        world_settle(&w);
        cr_expect_eq(world_find(&w, VARIED), soft ? primary : NULL);
        cr_expect_eq(WORLD_SUM(&w, cache_objects), soft ? 3 : 0);
        for (unsigned i = 0; i < 2; i++) {
            const struct cache_object *o =
                cache_lookup_owner(w.c, cache_hash(w.c, key[i], len[i]), key[i], len[i]);
            cr_expect(soft ? o && !cache_fresh(o, w.now) : !o);
        }
        world_close(&w);
    }
}

/* --- the table of rules ----------------------------------------------------------------------- */

static unsigned fill_table(struct world *w, unsigned from)
{
    char tag[16];
    enum cache_purge_end end = CACHE_PURGE_TAKEN;
    unsigned i = from;
    for (; i < from + 10000; i++) {
        snprintf(tag, sizeof(tag), "t%u", i);
        if ((end = purge(w, CACHE_PURGE_TAG, tag, i % 2)) != CACHE_PURGE_TAKEN)
            break;
    }
    cr_assert_eq(end, CACHE_PURGE_FULL);
    return i;
}

Test(purge, a_full_table_refuses_until_the_walks_are_through)
{
    struct world w;
    world_open(&w, 8 * MIB, 1000, 2);
    store_with(&w, "http://h/a", TAGGED);
    store_with(&w, "http://h/t4", "Cache-Tag: t4\r\n");
    unsigned n = fill_table(&w, 0);
    cr_expect_eq(n, 2048);
    purged(&w, CACHE_PURGE_TAG, "t0", false); /* it has its place */
    purged(&w, CACHE_PURGE_ALL, "", true);    /* needs none */
    cr_expect_eq(purge(&w, CACHE_PURGE_PREFIX, "http://h/", false), CACHE_PURGE_FULL);

    for (int i = 0; i < 20; i++) { /* worker 1 does not come to its walk */
        cache_reclaim(w.c, 0, w.now);
        rte_rcu_qsbr_quiescent(w.qsbr, 0);
        rte_rcu_qsbr_quiescent(w.qsbr, 1);
        cr_expect_eq(purge(&w, CACHE_PURGE_TAG, "new", false), CACHE_PURGE_FULL);
    }
    for (int i = 0; i < 20; i++) { /* it does, and may have looked at something before */
        cache_reclaim(w.c, 0, w.now);
        cache_reclaim(w.c, 1, w.now);
        rte_rcu_qsbr_quiescent(w.qsbr, 0);
        cr_expect_eq(purge(&w, CACHE_PURGE_TAG, "new", false), CACHE_PURGE_FULL);
    }
    rte_rcu_qsbr_quiescent(w.qsbr, 1);
    purged(&w, CACHE_PURGE_TAG, "new", false);
    world_poll(&w);
    cr_expect_eq(WORLD_SUM(&w, cache_purge_rules), 1);
    cr_expect_eq(WORLD_SUM(&w, cache_purges_refused_total), 42);
    cr_expect(world_find(&w, "http://h/a"), "what was held to them stays");
    cr_expect(!world_find(&w, "http://h/t4"));

    /* the second table is full at once, and readers may be in the first one yet */
    unsigned again = fill_table(&w, n);
    cr_expect_eq(again - n, 2047);
    world_settle(&w);
    cr_expect_eq(purge(&w, CACHE_PURGE_TAG, "t1", false), CACHE_PURGE_FULL, "news takes a period");
    world_settle(&w);
    purged(&w, CACHE_PURGE_TAG, "t1", false);
    cr_expect(world_find(&w, "http://h/a"));
    world_close(&w);
}

Test(purge, rules_that_no_walk_has_seen_are_kept)
{
    struct world w;
    world_open(&w, 8 * MIB, 1000, 1);
    store_with(&w, "http://h/a", TAGGED);
    fill_table(&w, 0);
    world_settle(&w); /* through with all of those */
    purge(&w, CACHE_PURGE_TAG, "x", false);
    world_settle(&w);
    purged(&w, CACHE_PURGE_TAG, "t2", false);
    purged(&w, CACHE_PURGE_TAG, "t4", true);
    purged(&w, CACHE_PURGE_TAG, "x", false); /* the others are forgotten */
    store_with(&w, "http://h/b", "Cache-Tag: z\r\n");
    world_poll(&w);
    cr_expect_eq(WORLD_SUM(&w, cache_purge_rules), 3);
    cr_expect(world_find(&w, "http://h/a"));
    world_close(&w);
}

/* Nobody knows any more: the fetch ran for longer than rules are kept. */
Test(purge, who_is_older_than_what_was_forgotten_counts_as_purged)
{
    struct world w;
    const char *key = "http://h/a";
    world_open(&w, 8 * MIB, 1000, 1);
    uint32_t began = cache_purge_clock(w.c);
    fill_table(&w, 0);
    cr_expect_eq(cache_purged_since(w.c, key, strlen(key), begin_with(&w, key, TAGGED), began),
                 CACHE_PURGE_NOT);
    world_settle(&w);
    purge(&w, CACHE_PURGE_TAG, "x", false);
    world_settle(&w);
    purged(&w, CACHE_PURGE_TAG, "x", false);
    struct cache_object *o = begin_with(&w, key, TAGGED);
    cr_expect_eq(cache_purged_since(w.c, key, strlen(key), o, began), CACHE_PURGE_HARD);
    cache_born(o, began);
    finish(&w, o);
    cr_expect(!world_find(&w, key));
    cache_unlink(w.c, o);
    world_close(&w);
}

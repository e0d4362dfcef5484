/* SPDX-License-Identifier: BSD-3-Clause */
/* What an earlier run left, piece by piece into the cache of a proxy that serves; and what is not
 * believed though nobody has touched it. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "../rules/hand.h"
#include "world.h"

#define SEED  20261128u
#define LONG  300000
#define LINES "Cache-Control: max-age=3600\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static struct world w;
static struct origin_file *file;
static uint8_t body[LONG];
static char lines[200]; /* a stored head, of now */
static const char url[] = "http://www.site.test/a";

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
    file = origin_add(
        &w.origin[0],
        (struct origin_file){
            .path = "/a", .length = LONG, .salt = 9, .fields = "Cache-Control: max-age=3600\r\n"});
    char date[30];
    http_date_write(w.now.wall_s, date);
    snprintf(lines, sizeof(lines), "Cache-Control: max-age=3600\r\nDate: %s\r\n", date);
    for (size_t i = 0; i < LONG; i++)
        body[i] = origin_byte(9, i);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(restore, .init = open_world, .fini = close_world);

static struct worker *owner(void)
{
    struct node *n = &w.node[0];
    return &n->worker[cache_owner(n->cache, cache_hash(n->cache, url, sizeof(url) - 1))];
}

static struct proxy_piece piece_of(uint32_t lifetime_s)
{
    return (struct proxy_piece){.key = url,
                                .head = lines,
                                .data = body,
                                .len = LONG,
                                .meta = {.response_s = (uint32_t)w.now.wall_s,
                                         .content_length = LONG,
                                         .lifetime_s = lifetime_s,
                                         .status = 200},
                                .key_len = sizeof(url) - 1,
                                .head_len = (uint16_t)strlen(lines),
                                .heat = 5,
                                .first = true,
                                .last = true,
                                .good = true};
}

static void restore(const struct proxy_piece *p)
{
    for (size_t at = 0; at < p->len;) {
        size_t n = proxy_restore(owner()->proxy, p, at, 7000, w.now);
        cr_assert(n > 0 && n <= 7000);
        at += n;
        world_step(&w);
    }
}

static void expect(unsigned node, unsigned asked, const char *cache_status)
{
    struct client c;
    cr_assert_eq(world_get(&w, &c, node, "www.site.test", "/a", NULL), 200);
    cr_assert(client_body_is(&c, 9, 0, LONG));
    cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "%s",
              client_field(&c, "Cache-Status"));
    client_free(&c);
    cr_assert_eq(file->requests, asked);
}

Test(restore, is_a_hit_and_named_to_others)
{
    struct proxy_piece p = piece_of(3600);
    restore(&p);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_bytes_total), LONG);
    expect(0, 0, "; hit");
    world_run(&w, 500); /* the reference is put in its turn */
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 1);
    expect(1, 0, "; fwd=miss");
    cr_assert_eq(WORLD_COUNT(&w, 1, proxy_from_peer_total), 1);
}

Test(restore, in_pieces_and_a_bad_end_leaves_nothing)
{
    struct proxy_piece first = piece_of(3600), last = first;
    first.len = 100000;
    first.last = false;
    last.first = false;
    last.data += 100000;
    last.len -= 100000;
    last.good = false;
    restore(&first);
    restore(&last);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 0);
    last.good = true;
    restore(&first);
    restore(&last);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 1);
    expect(0, 0, "; hit");
}

/* It was not there, but the file may have it yet. */
Test(restore, what_is_purged_does_not_come_back)
{
    struct proxy_piece first = piece_of(3600), last = first;
    first.len = 100000;
    first.last = false;
    last.first = false;
    last.data += 100000;
    last.len -= 100000;
    restore(&first);
    cr_assert(!proxy_purge(owner()->proxy, url, sizeof(url) - 1, false, w.now));
    restore(&last);
    struct proxy_piece whole = piece_of(3600);
    restore(&whole);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 0);
    expect(0, 1, "; fwd=miss");
}

/* An object of an earlier run is older than any purge of this one, whenever it comes. */
Test(restore, what_a_rule_names_does_not_come_back)
{
    struct proxy_piece first = piece_of(3600), last = first, whole = first;
    struct cache_purge what = {CACHE_PURGE_PREFIX, true, url, sizeof(url) - 1};
    uint64_t token;
    first.len = 100000;
    first.last = false;
    last.first = false;
    last.data += 100000;
    last.len -= 100000;
    restore(&first);
    cr_assert_eq(cache_purge(w.node[0].cache, &what, &token), CACHE_PURGE_TAKEN);
    restore(&last);
    restore(&whole);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 0);
    world_run(&w, 100);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 0);
    const struct cache_counters *c = cache_counters(w.node[0].cache, owner()->number);
    cr_assert_eq(counter_read(&c->cache_held_objects), 0);
    expect(0, 1, "; fwd=miss");
}

Test(restore, what_has_no_end_goes)
{
    struct proxy_piece first = piece_of(3600);
    first.len = 100000;
    first.last = false;
    restore(&first);
    proxy_restore_stop(owner()->proxy);
    restore(&first); /* and one that the next one's begin ends */
    struct proxy_piece whole = piece_of(3600);
    restore(&whole);
    expect(0, 0, "; hit");
    world_run(&w, 100);
    const struct cache_counters *c = cache_counters(w.node[0].cache, owner()->number);
    cr_assert_eq(counter_read(&c->cache_held_objects), 1);
}

Test(restore, what_came_meanwhile_stays)
{
    struct proxy_piece p = piece_of(3600), first = p, last = p;
    first.len = 1000;
    first.last = false;
    last.first = false;
    last.data += 1000;
    last.len -= 1000;
    static uint8_t other[LONG];
    last.data = other;
    restore(&first);
    expect(0, 1, "; fwd=miss"); /* fetched while it comes */
    restore(&last);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restore_newer_total), 1);
    expect(0, 1, "; hit");
    p.data = other;
    restore(&p);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restore_newer_total), 2);
    expect(0, 1, "; hit");
}

Test(restore, age_goes_on)
{
    struct proxy_piece p = piece_of(10);
    p.meta.response_s -= 10;
    restore(&p);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restore_old_total), 1);
    p.meta.response_s = (uint32_t)(w.now.wall_s + 5); /* in the future: the clock was set back */
    restore(&p);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restore_old_total), 2);
    p.meta.response_s = (uint32_t)(w.now.wall_s - 6);
    restore(&p);
    expect(0, 0, "; hit");
    world_run(&w, 5000);
    expect(0, 1, "; fwd=");
}

Test(restore, pushes_nothing_out)
{
    struct node *n = &w.node[0];
    struct proxy_piece p = piece_of(3600);
    char key[64];
    unsigned i = 0;
    while (cache_has_room(n->cache, owner()->number, LONG) && i < 100000) {
        p.key_len = (uint16_t)snprintf(key, sizeof(key), "http://www.site.test/f%u", i++);
        p.key = key;
        if (cache_owner(n->cache, cache_hash(n->cache, key, p.key_len)) == owner()->number)
            restore(&p);
    }
    uint64_t before = WORLD_COUNT(&w, 0, proxy_restored_total);
    p = piece_of(3600);
    restore(&p);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restore_too_large_total), 1, "a small one may fit yet");
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), before);
    cr_assert_eq(counter_read(&cache_counters(n->cache, owner()->number)->cache_evicted_total), 0);
}

/* --- variants ------------------------------------------------------------------------------ */

#define KEPT 16

/* What a walk shows, as a file would have it. */
static struct kept {
    char key[CACHE_KEY_MAX], head[CACHE_HEAD_MAX];
    uint8_t body[1 << 20];
    struct proxy_piece piece;
} kept[KEPT];

static unsigned keep_all(void)
{
    struct node *n = &w.node[0];
    unsigned count = 0;
    for (unsigned worker = 0; worker < 2; worker++)
        for (unsigned heat = CACHE_HEAT_CLASSES; heat-- > 0;)
            for (struct cache_walk at = {0}; !at.over;) {
                const struct cache_object *o[CACHE_WALK_ROOM];
                unsigned found = cache_walk(n->cache, worker, &at, heat, 1, o, CACHE_WALK_ROOM);
                for (unsigned i = 0; i < found; i++) {
                    cr_assert_lt(count, KEPT);
                    struct kept *k = &kept[count++];
                    size_t key_len, head_len;
                    char room[CACHE_KEY_MAX];
                    const char *key = cache_key(o[i], room, &key_len);
                    const char *head = cache_head(o[i], &head_len);
                    memcpy(k->key, key, key_len);
                    memcpy(k->head, head, head_len);
                    size_t len = cache_ready(o[i]);
                    for (size_t done = 0; done < len;) {
                        struct cache_span s = cache_bytes(o[i], done);
                        memcpy(k->body + done, s.data, s.len);
                        done += s.len;
                    }
                    k->piece = (struct proxy_piece){.key = k->key,
                                                    .head = k->head,
                                                    .data = k->body,
                                                    .len = len,
                                                    .meta = cache_meta_saved(o[i]),
                                                    .key_len = (uint16_t)key_len,
                                                    .head_len = (uint16_t)head_len,
                                                    .heat = (uint8_t)cache_heat(o[i]),
                                                    .first = true,
                                                    .last = true,
                                                    .good = true};
                    k->piece.meta.content_length = (uint32_t)len;
                    cr_assert(proxy_policy_print(&n->policy, 0, k->key, key_len));
                    cr_assert(
                        proxy_stored_sane(&k->piece.meta, k->key, key_len, k->head, head_len));
                }
            }
    return count;
}

static void give(struct proxy_piece *p)
{
    struct node *n = &w.node[0];
    unsigned worker = cache_owner(n->cache, cache_hash(n->cache, p->key, p->key_len));
    if (p->len == 0)
        proxy_restore(n->worker[worker].proxy, p, 0, 7000, w.now);
    for (size_t at = 0; at < p->len;)
        at += proxy_restore(n->worker[worker].proxy, p, at, 7000, w.now);
    world_step(&w);
}

static void kind(const char *fields, uint64_t salt, const char *cache_status)
{
    struct client c;
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/v", fields), 200);
    cr_assert(client_body_is(&c, salt, 0, 5000), "%s", fields);
    cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "%s%s", fields,
              client_field(&c, "Cache-Status"));
    client_free(&c);
}

static void add_kinds(void)
{
    static const char *const when[] = {"kind: a", "kind: b", NULL};
    for (unsigned i = 0; i < 3; i++)
        origin_add(&w.origin[0],
                   (struct origin_file){.path = "/v",
                                        .when = when[i],
                                        .length = 5000,
                                        .salt = 20 + i,
                                        .fields = "Cache-Control: max-age=3600\r\nVary: Kind\r\n"});
}

static void begin_again(void)
{
    world_close(&w);
    world_open(&w, 2, 2, SEED + 1); /* which draws other nonces */
    world_run(&w, 5000);            /* and is later */
    add_kinds();
}

/* Each comes with its primary before it, and is found under the nonce that it had. */
Test(restore, variants_are_hits_for_whom_they_are)
{
    add_kinds();
    kind("kind: a\r\n", 20, "; fwd=miss");
    kind("kind: b\r\n", 21, "; fwd");
    unsigned n = keep_all();
    cr_assert_eq(n, 4, "two variants, each with its primary");
    begin_again();
    for (unsigned i = 0; i < n; i++)
        give(&kept[i].piece);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 3);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restore_newer_total), 0);
    kind("kind: a\r\n", 20, "; hit");
    kind("kind: b\r\n", 21, "; hit");
    kind("", 22, "; fwd");
    kind("kind: a\r\n", 20, "; hit");
    cr_assert_eq(keep_all(), 6, "the third one is their sibling");
    world_run(&w, 500);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 3,
                 "each is named to others, the primary not");
}

/* Without its primary a variant is found by nobody, and beside another one is of another list. */
Test(restore, variants_of_another_primary_stay_out)
{
    add_kinds();
    kind("kind: a\r\n", 20, "; fwd=miss");
    unsigned n = keep_all();
    cr_assert_eq(n, 2);
    begin_again();
    give(&kept[1].piece);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 0, "its primary is not there");
    kind("kind: b\r\n", 21, "; fwd=miss"); /* a nonce of this run */
    for (unsigned i = 0; i < n; i++)
        give(&kept[i].piece);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 0);
    kind("kind: b\r\n", 21, "; hit");
    kind("kind: a\r\n", 20, "; fwd");
}

/* --- slices -------------------------------------------------------------------------------- */

#define FILM (2 * 1048576 + 500)

static struct origin_file *film(const char *etag)
{
    return origin_add(&w.origin[0],
                      (struct origin_file){.path = "/film",
                                           .length = FILM,
                                           .salt = 30,
                                           .etag = etag,
                                           .fields = "Cache-Control: max-age=600\r\n"});
}

static void part(uint64_t first, uint64_t last, const char *cache_status)
{
    struct client c;
    char range[64];
    snprintf(range, sizeof(range), "Range: bytes=%llu-%llu\r\n", (unsigned long long)first,
             (unsigned long long)last);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/film", range), 206);
    cr_assert(client_body_is(&c, 30, first, last - first + 1));
    cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "%s",
              client_field(&c, "Cache-Status"));
    client_free(&c);
}

static unsigned keep_film(void)
{
    film("\"1\"");
    part(1500000, 1500009, "; fwd=miss");
    part(FILM - 10, FILM - 1, "; fwd=partial");
    world_run(&w, 500); /* what nobody waited for is there, too */
    unsigned n = keep_all();
    cr_assert_eq(n, 4, "two slices, each with its primary");
    begin_again();
    return n;
}

Test(restore, slices_are_hits_under_their_version)
{
    unsigned n = keep_film();
    struct origin_file *f = film("\"1\"");
    for (unsigned i = 0; i < n; i++)
        give(&kept[i].piece);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 3);
    part(1048576, 2 * 1048576 - 1, "; hit");
    part(FILM - 500, FILM - 1, "; hit");
    cr_assert_eq(f->requests, 0);
    part(5, 9, "; fwd=partial");
    cr_assert_eq(f->requests, 1);
    world_run(&w, 500);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 3);
}

/* As when the primary that stands is of another version under the same nonce, which none is. */
Test(restore, slices_of_another_version_stay_out)
{
    unsigned n = keep_film();
    for (unsigned i = 0; i < n; i++) {
        kept[i].piece.meta.version += !kept[i].piece.meta.varies;
        give(&kept[i].piece);
    }
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 1, "the primary");
}

Test(restore, slices_that_we_would_not_store)
{
    unsigned n = keep_film(), slices = 0;
    for (unsigned i = 0; i < n; i++) {
        struct proxy_piece *p = &kept[i].piece;
        if (p->meta.varies)
            continue;
        slices++;
        struct cache_meta m = p->meta;
        cr_assert(proxy_stored_sane(&m, p->key, p->key_len, p->head, p->head_len));
        m.content_length--;
        cr_assert(!proxy_stored_sane(&m, p->key, p->key_len, p->head, p->head_len));
        m.content_length++;
        m.version++;
        cr_assert(!proxy_stored_sane(&m, p->key, p->key_len, p->head, p->head_len));
        m.version--;
        m.status = 200;
        cr_assert(proxy_stored_sane(&m, p->key, p->key_len, p->head, p->head_len),
                  "its place says nothing then");
        m.status = 206;
        cr_assert(!proxy_stored_sane(&m, url, sizeof(url) - 1, p->head, p->head_len));
        kept[i].key[p->key_len - 1]++; /* the number of another slice */
        cr_assert(!proxy_stored_sane(&m, p->key, p->key_len, p->head, p->head_len));
        kept[i].key[p->key_len - 1]--;
        char *place = strstr(kept[i].head, "Content-Range: ");
        cr_assert_not_null(place);
        place[14] = '\t'; /* in other words */
        cr_assert(!proxy_stored_sane(&m, p->key, p->key_len, p->head, p->head_len));
        place[14] = ' ';
        cr_assert(!proxy_stored_sane(&m, p->key, p->key_len, p->head, p->head_len - 1));
    }
    cr_assert_eq(slices, 2);
}

/* --- and none of what was purged ----------------------------------------------------------- */

/* A purge of the URL takes what would come back under it. */
Test(restore, variants_of_a_purged_url_stay_out)
{
    static const char purged[] = "http://www.site.test/v";
    add_kinds();
    kind("kind: a\r\n", 20, "; fwd=miss");
    unsigned n = keep_all();
    begin_again();
    struct node *node = &w.node[0];
    unsigned by = cache_owner(node->cache, cache_hash(node->cache, purged, sizeof(purged) - 1));
    proxy_purge(node->worker[by].proxy, purged, sizeof(purged) - 1, false, w.now);
    for (unsigned i = 0; i < n; i++)
        give(&kept[i].piece);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_restored_total), 0);
}

Test(restore, primaries_and_variants_that_we_would_not_store)
{
    static const struct {
        const char *key, *head;
        size_t key_len, head_len;
        bool varies, sane;
    } t[] = {
#define PRIMARY(head, sane) {url, head, sizeof(url) - 1, sizeof(head) - 1, true, sane}
        PRIMARY("\0\0\0\0\0\0\0\1accept,kind,", true),
        PRIMARY("\0\0\0\0\0\0\0\0accept,", false), /* no nonce */
        PRIMARY("\0\0\0\0\0\0\0\1", false),
        PRIMARY("\0\0\0\0\0\0\0\1*,", false),
        PRIMARY("\0\0\0\0\0\0\0\1kind,accept,", false), /* not in order */
        PRIMARY("\0\0\0\0\0\0\0\1Kind,", false),
        PRIMARY("\0\0\0\0\0\0\0\1kind", false),
        PRIMARY("\0\0\0", false),
#define VARIANT(values, varies, sane)                                                              \
    {"\1\0\3\0\0\0\0\0\0\0\1url" values,                                                           \
     LINES,                                                                                        \
     14 + sizeof(values) - 1,                                                                      \
     sizeof(LINES) - 1,                                                                            \
     varies,                                                                                       \
     sane}
        VARIANT("\n=a\n-\n=", false, true),
        VARIANT("\n=a", true, false), /* a variant is no primary */
        VARIANT("", false, false),
        VARIANT("\n", false, false),
        VARIANT("=a", false, false),
        VARIANT("\n?a", false, false),
        VARIANT("\n-a", false, false),
        VARIANT("\n=a\n", false, false),
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct cache_meta m = {.status = t[i].varies ? 0 : 200, .varies = t[i].varies};
        cr_assert_eq(proxy_stored_sane(&m, t[i].key, t[i].key_len, t[i].head, t[i].head_len),
                     t[i].sane, "%zu", i);
    }
}

/* --- judging ------------------------------------------------------------------------------- */

static uint64_t print(const struct proxy_policy *p, const char *text)
{
    return proxy_policy_print(p, 0, text, strlen(text));
}

Test(restore, the_rules_it_was_stored_under)
{
    struct proxy_site site[2];
    struct proxy_policy policy = w.node[0].policy, was = policy;
    memcpy(site, w.node[0].site, sizeof(site));
    policy.site = site;
    uint64_t first = print(&policy, url);
    cr_assert(first && first == print(&was, url) &&
              first == print(&policy, "http://www.site.test/b"));
    for (unsigned i = 0; i < 2; i++)
        site[i].ttl_override_s = 5;
    cr_assert_neq(print(&policy, url), first);
    memcpy(site, w.node[0].site, sizeof(site));
    for (unsigned i = 0; i < 2; i++)
        site[i].origin[0].port++;
    cr_assert_neq(print(&policy, url), first);
    memcpy(site, w.node[0].site, sizeof(site));
    policy.stale_s++;
    cr_assert_neq(print(&policy, url), first);
    policy = was;
    policy.open = true;
    uint64_t open = print(&policy, "http://elsewhere.test/a");
    cr_assert(open && open != first);
    policy.open_min_lifetime_s++;
    cr_assert_neq(print(&policy, "http://elsewhere.test/a"), open);
    policy.open = false;
    cr_assert_eq(print(&policy, "http://elsewhere.test/a"), 0, "served no more");
}

/* What a set would store, and what it would send for it; who is denied or redirected is no matter.
 */
Test(restore, the_operators_rules_it_was_stored_under)
{
    static const struct {
        const char *rules;
        bool same;
    } t[] = {
        {"www.site.test path /b ttl 10min\n", true}, /* another URL's */
        {"www.site.test deny 403\n", true},
        {"www.site.test path /a set-response X-A 1 rate r\nrate r 1/s\n", true},
        {"www.site.test ttl 10min\n", false},
        {"www.site.test match ^/a ttl 11min\n", false},
        {"www.site.test ttl none\n", false},
        {"www.site.test tag news\n", false},
        {"www.site.test tag news tag sport\n", false},
        {"www.site.test strip-cookies\n", false},
        {"www.site.test set-request X-A 1\n", false},
        {"www.site.test set-request X-A 2\n", false},
    };
    struct proxy_policy policy = w.node[0].policy;
    uint64_t seen[16] = {print(&policy, url)};
    unsigned n = 1;
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char told[4096] = "";
        struct rules_set *set = hand_set(t[i].rules, told);
        cr_assert(set, "%s: %s", t[i].rules, told);
        policy.rules = set;
        uint64_t p = print(&policy, url);
        cr_expect(p && p == print(&policy, url), "%s", t[i].rules);
        cr_expect_eq(p == seen[0], t[i].same, "%s", t[i].rules);
        for (unsigned k = 1; !t[i].same && k < n; k++)
            cr_expect_neq(p, seen[k], "%s", t[i].rules);
        if (!t[i].same)
            seen[n++] = p;
        rules_free(set);
    }
}

Test(restore, no_url_of_ours)
{
    static const char *const bad[] = {"",
                                      "http://",
                                      "http:///",
                                      "/a",
                                      "https://www.site.test/a",
                                      "HTTP://www.site.test/a",
                                      "http://WWW.site.test/a",
                                      "http://www.site.test",
                                      "http://www.site.test:80/a",
                                      "http://www.site.test/x/../a",
                                      "http://www.site.test/a b",
                                      "http://www.site.test/%7e",
                                      "http://www.site.test/a#b",
                                      "http://www.site.test.coral.test/a",
                                      "http://www.site.test/a\r\nX: y"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(print(&w.node[0].policy, bad[i]), 0, "%s", bad[i]);
    cr_assert_eq(proxy_policy_print(&w.node[0].policy, 0, "http://www.site.test/a\0b", 24), 0);
}

Test(restore, heads_that_we_would_not_store)
{
    static const struct {
        const char *lines;
        bool sane;
    } heads[] = {
        {LINES, true},
        {LINES "ETag: \"1\"\r\nX-Empty: \r\n", true},
        {"Cache-Control: max-age=3600\r\n", false}, /* no Date */
        {LINES "Content-Length: 5\r\n", false},
        {LINES "Transfer-Encoding: chunked\r\n", false},
        {LINES "Connection: close\r\n", false},
        {LINES "Set-Cookie: a=b\r\n", false},
        {LINES "Age: 0\r\n", false},
        {LINES "\r\n", false},
        {LINES "\r\nHTTP/1.1 200 OK\r\n", false},
        {LINES "no colon\r\n", false},
        {LINES "X: y", false},
        {LINES "X: y\n", false},
        {LINES "X:y\r\n", false},
        {LINES " folded\r\n", false},
        {"\r\n" LINES, false},
    };
    struct cache_meta m = {.status = 200};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        cr_assert_eq(
            proxy_stored_sane(&m, url, sizeof(url) - 1, heads[i].lines, strlen(heads[i].lines)),
            heads[i].sane, "%zu", i);
    static const uint16_t never[] = {206, 304, 500, 599};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        m.status = never[i];
        cr_assert(!proxy_stored_sane(&m, url, sizeof(url) - 1, LINES, sizeof(LINES) - 1));
    }
}

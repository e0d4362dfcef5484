/* SPDX-License-Identifier: BSD-3-Clause */
/* What a cache tells and takes over a restart: the walk, heat, room; and records as bytes. */
#include <criterion/criterion.h>

#include "cache/saved.h"
#include "world.h"

#define MANY 3000

/* --- the walk ------------------------------------------------------------------------------ */

static void name_of(unsigned i, char key[32])
{
    snprintf(key, 32, "o%u", i);
}

Test(warm, a_walk_finds_every_complete_object_once_and_the_hottest_first)
{
    struct world w;
    char key[32];
    static unsigned seen[MANY];
    memset(seen, 0, sizeof(seen));
    world_open(&w, 64 * MIB, 8000, 3);
    for (unsigned i = 0; i < MANY; i++) {
        name_of(i, key);
        cr_assert(world_store(&w, key, i, 100));
        for (unsigned k = 0; k < i % 4; k++)
            world_find(&w, key);
    }
    struct cache_object *filling = world_begin(&w, "filling", 10);
    cache_link(w.c, filling);
    unsigned found = 0, last_heat = CACHE_HEAT_MAX;
    for (unsigned heat = CACHE_HEAT_CLASSES; heat-- > 0;) {
        unsigned hottest = 0;
        for (unsigned worker = 0; worker < w.workers; worker++) {
            for (struct cache_walk at = {0}; !at.over;) {
                const struct cache_object *o[20];
                unsigned n = cache_walk(w.c, worker, &at, heat, 5, o, 20);
                cr_assert_leq(n, 20);
                for (unsigned i = 0; i < n; i++) {
                    char room[CACHE_KEY_MAX];
                    size_t len;
                    const char *k = cache_key(o[i], room, &len);
                    cr_assert_eq(cache_owner(w.c, cache_hash(w.c, k, len)), worker);
                    snprintf(key, sizeof(key), "%.*s", (int)len, k);
                    cr_assert_str_neq(key, "filling");
                    seen[atoi(key + 1)]++;
                    hottest = cache_heat(o[i]) > hottest ? cache_heat(o[i]) : hottest;
                    found++;
                }
            }
        }
        cr_assert_leq(hottest, last_heat);
        last_heat = hottest ? hottest : last_heat;
    }
    cr_assert_eq(found, MANY);
    for (unsigned i = 0; i < MANY; i++)
        cr_assert_eq(seen[i], 1, "%u", i);
    cache_fail(w.c, filling);
    cache_unpin(filling, 0);
    world_close(&w);
}

static struct cache_object *with_heat(struct world *w, const char *key, unsigned heat)
{
    static const uint8_t body[4000];
    struct cache_object *o = world_begin(w, key, sizeof(body));
    if (!o)
        return NULL;
    cache_heat_set(o, heat);
    if (cache_append(w->c, o, body, sizeof(body)) != sizeof(body))
        return NULL;
    cr_assert(cache_complete(w->c, o));
    cache_link(w->c, o);
    cr_assert_eq(cache_heat(o), heat);
    cache_unpin(o, 0);
    return o;
}

Test(warm, heat_counts_again)
{
    struct world w;
    char key[32];
    unsigned hot = 0, cold = 0;
    world_open(&w, 4 * MIB, 4000, 1);
    for (unsigned i = 0; i < 600; i++) { /* the hottest first, as a file has them */
        name_of(i, key);
        cr_assert(with_heat(&w, key, i < 300 ? 5 : 0));
    }
    for (unsigned i = 0; i < 600; i++) {
        snprintf(key, sizeof(key), "new%u", i);
        world_store(&w, key, i, 4000);
        world_poll(&w);
    }
    for (unsigned i = 0; i < 600; i++) {
        name_of(i, key);
        struct hash128 h = cache_hash(w.c, key, strlen(key));
        unsigned *n = i < 300 ? &hot : &cold;
        *n += cache_lookup_owner(w.c, h, key, strlen(key)) != NULL;
    }
    cr_assert_eq(hot, 300);
    cr_assert_lt(cold, 150);
    world_close(&w);
}

Test(warm, room_is_what_is_free_without_an_eviction)
{
    struct world w;
    char key[32];
    unsigned n = 0;
    world_open(&w, 4 * MIB, 4000, 1);
    while (cache_has_room(w.c, 0, 9000)) {
        name_of(n++, key);
        cr_assert(world_store(&w, key, n, 9000));
    }
    cr_assert_eq(w.evicted, 0);
    cr_assert_gt(n * 3 * CACHE_CHUNK_BYTES, 39 * MIB / 10 - 64 * CACHE_CHUNK_BYTES);
    cr_assert(!cache_has_room(w.c, 0, 4 * MIB));
    world_close(&w);
}

/* --- bytes --------------------------------------------------------------------------------- */

static const struct cache_meta meta = {.response_s = 1000,
                                       .content_length = 5,
                                       .version = 0x1122334455667788,
                                       .initial_age_s = 7,
                                       .lifetime_s = 60,
                                       .stale_revalidate = 3,
                                       .stale_error = 4,
                                       .status = 404,
                                       .immutable = true,
                                       .has_validator = true,
                                       .for_authorized = true,
                                       .lifetime_by = 2,
                                       .control = 1};

struct files {
    struct saved_key key;
    struct saved_file file;
    struct saved_record record;
    uint8_t head[SAVED_HEAD], of_record[SAVED_HEAD];
};

static void setup(struct files *f)
{
    static const uint8_t secret[16] = "0123456789abcde", nonce[SAVED_NONCE] = "fedcba987654321";
    saved_key_make(&f->key, secret, sizeof(secret), "192.0.2.1:8053");
    saved_file_begin(&f->file, &f->key, nonce);
    f->file.bytes = 10000;
    f->file.records = 2;
    f->file.saved_s = 2000;
    saved_file_write(&f->file, &f->key, f->head);
    f->record = (struct saved_record){.number = 1,
                                      .body_len = 5,
                                      .policy = 99,
                                      .meta = meta,
                                      .key_len = 20,
                                      .head_len = 30,
                                      .heat = 6};
    saved_record_write(&f->record, &f->file, f->of_record);
}

Test(saved, heads_come_back)
{
    struct files f;
    struct saved_file file;
    struct saved_record r;
    setup(&f);
    cr_assert_eq(saved_file_read(&file, &f.key, f.head, 10000, 2000), SAVED_GOOD);
    cr_assert(file.records == 2 && file.saved_s == 2000);
    cr_assert_eq(memcmp(&file.body, &f.file.body, sizeof(file.body)), 0);
    cr_assert_eq(saved_record_read(&r, &file, f.of_record, 1, 500), SAVED_GOOD);
    cr_assert_eq(memcmp(&r.meta, &meta, sizeof(meta)), 0);
    cr_assert(r.policy == 99 && r.key_len == 20 && r.head_len == 30 && r.heat == 6);
    cr_assert_eq(saved_record_bytes(&r), SAVED_HEAD + 20 + 30 + 5 + SAVED_BODY_MAC);
}

Test(saved, a_head_says_what_is_wrong)
{
    struct files f;
    struct saved_file file;
    struct saved_record r;
    setup(&f);
    cr_assert_eq(saved_file_read(&file, &f.key, f.head, 9999, 2000), SAVED_TORN);
    cr_assert_eq(saved_file_read(&file, &f.key, f.head, 10000, 1999), SAVED_CLOCK);
    cr_assert_eq(saved_record_read(&r, &f.file, f.of_record, 0, 500), SAVED_FOREIGN, "its number");
    cr_assert_eq(saved_record_read(&r, &f.file, f.of_record, 1, 182), SAVED_TORN);
    for (unsigned i = 0; i < SAVED_HEAD; i++) {
        f.head[i] ^= 1;
        f.of_record[i] ^= 1;
        enum saved_result result = saved_file_read(&file, &f.key, f.head, 10000, 2000);
        cr_assert_eq(result, i < 4 ? SAVED_NOT : i < 8 ? SAVED_VERSION_OTHER : SAVED_FOREIGN);
        cr_assert_neq(saved_record_read(&r, &f.file, f.of_record, 1, 500), SAVED_GOOD);
        f.head[i] ^= 1;
        f.of_record[i] ^= 1;
    }
    f.file.record.b[0] ^= 1; /* of another file */
    cr_assert_eq(saved_record_read(&r, &f.file, f.of_record, 1, 500), SAVED_FOREIGN);
}

Test(saved, another_key_or_node_is_foreign)
{
    struct files f;
    struct saved_file file;
    struct saved_key other;
    setup(&f);
    saved_key_make(&other, "0123456789abcde", 16, "192.0.2.2:8053");
    cr_assert_eq(saved_file_read(&file, &other, f.head, 10000, 2000), SAVED_FOREIGN);
    saved_key_make(&other, "0123456789abcdf", 16, "192.0.2.1:8053");
    cr_assert_eq(saved_file_read(&file, &other, f.head, 10000, 2000), SAVED_FOREIGN);
}

/* Under the right key, too: a node of another make, or its fault. */
Test(saved, values_out_of_range_are_insane)
{
    static const struct {
        struct saved_record r;
        const char *what;
    } bad[] = {
        {{.key_len = 0}, "no key"},
        {{.key_len = CACHE_KEY_MAX + 1}, "key"},
        {{.key_len = 1, .head_len = CACHE_HEAD_MAX + 1}, "head"},
        {{.key_len = 1, .heat = CACHE_HEAT_MAX + 1}, "heat"},
        {{.key_len = 1, .meta.status = 199}, "status"},
        {{.key_len = 1, .meta.status = 600}, "status"},
        {{.key_len = 1, .meta = {.varies = true, .status = 200}}, "a primary has no status"},
        {{.key_len = 1, .meta = {.varies = true, .version = 1}}, "a primary has no version"},
        {{.key_len = 1, .meta.response_s = UINT32_MAX}, "response_s"},
        {{.key_len = 1, .meta.response_s = 2001}, "response_s after the file's"},
        {{.key_len = 1, .meta.lifetime_s = UINT32_MAX}, "lifetime_s"},
        {{.key_len = 1, .meta.initial_age_s = UINT32_MAX}, "initial_age_s"},
        {{.key_len = 1, .meta.lifetime_by = 15}, "lifetime_by"},
        {{.key_len = 1, .meta = {.must_revalidate = true, .stale_error = 1}},
         "never, and for a while"},
    };
    struct files f;
    setup(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct saved_record r = bad[i].r, out;
        r.number = 1;
        r.meta.status = r.meta.status || r.meta.varies ? r.meta.status : 200;
        saved_record_write(&r, &f.file, f.of_record);
        cr_assert_eq(saved_record_read(&out, &f.file, f.of_record, 1, 100000), SAVED_INSANE, "%s",
                     bad[i].what);
        cr_assert_eq(saved_record_bytes(&out), saved_record_bytes(&r));
    }
}

/* A time that does not fit, under a MAC of ours. */
Test(saved, a_time_beyond_2106_is_insane)
{
    struct files f;
    setup(&f);
    struct saved_record r = {.number = 1, .key_len = 5, .meta = meta}, out;
    saved_record_write(&r, &f.file, f.of_record);
    cr_assert_eq(saved_record_read(&out, &f.file, f.of_record, 1, 1000), SAVED_GOOD);
    f.of_record[40 + 3] = 1; /* 2^32 s more */
    crypto_generichash(f.of_record + 80, 16, f.of_record, 80, f.file.record.b,
                       sizeof(f.file.record.b));
    cr_assert_eq(saved_record_read(&out, &f.file, f.of_record, 1, 1000), SAVED_INSANE);
}

Test(saved, a_primary_says_that_it_is_one)
{
    struct files f;
    setup(&f);
    struct saved_record r = {.number = 1, .key_len = 5, .head_len = 9, .meta.varies = true}, out;
    saved_record_write(&r, &f.file, f.of_record);
    cr_assert_eq(saved_record_read(&out, &f.file, f.of_record, 1, 1000), SAVED_GOOD);
    cr_assert(out.meta.varies && out.meta.status == 0 && out.meta.variants == 0);
}

Test(saved, of_use_is_what_may_be_served)
{
    struct cache_meta m = {.response_s = 1000, .lifetime_s = 60, .initial_age_s = 10};
    cr_assert(saved_useful(&m, 1049));
    cr_assert(!saved_useful(&m, 1050));
    cr_assert(!saved_useful(&m, 999), "not of the future");
    m.stale_error = 30;
    cr_assert(saved_useful(&m, 1079));
    cr_assert(!saved_useful(&m, 1081));
}

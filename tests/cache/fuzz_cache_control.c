/* SPDX-License-Identifier: BSD-3-Clause */
/* Any line as Cache-Control, targeted field, Age and a request's directives: no read past its end,
 * and rules that hold for every verdict. */
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/freshness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

static void reused(const struct cache_verdict *v, const struct cache_request *q)
{
    struct cache_meta m = {.response_s = 1001, .status = 200};
    cache_verdict_keep(v, &m);
    for (int64_t wall = 900; wall < 1ll << 40; wall = wall * 2 + 1) {
        struct cache_reuse u = cache_reuse(&m, q, wall);
        bool sent = u.use <= CACHE_USE_STALE_REVALIDATE;
        CHECK(u.age_s <= CACHE_SECONDS_MAX && u.age_s >= v->initial_age_s);
        CHECK(u.ttl_s == (int64_t)v->lifetime_s - u.age_s);
        CHECK(!sent || !(v->no_cache || q->no_cache));
        CHECK(u.use != CACHE_USE_FRESH || u.ttl_s > 0);
        CHECK(u.use == CACHE_USE_FRESH || !sent || !v->must_revalidate);
        CHECK((u.use == CACHE_USE_GATEWAY_TIMEOUT) == (q->only_if_cached && !sent));
    }
}

static void judged(struct cache_response *r, const struct cache_request *q)
{
    struct cache_lifetimes policy = {.default_s = 60, .override_s = -1, .stale_error_s = 600};
    struct cache_verdict v = cache_judge(r, &policy);
    CHECK(v.storable == (v.reason == CACHE_STORABLE));
    CHECK(v.lifetime_s <= CACHE_SECONDS_MAX && v.initial_age_s <= CACHE_SECONDS_MAX);
    CHECK(!v.storable || !r->cc.is_private);
    CHECK(!v.storable || !r->cc.no_store || r->cc.must_understand);
    CHECK(!v.must_revalidate || (v.stale_error_s == 0 && v.stale_revalidate_s == 0));
    CHECK(r->cc.lists <= CACHE_NAME_LISTS);
    if (v.storable)
        reused(&v, q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *line = malloc(len ? len : 1); /* its own piece, so that ASan sees its end */
    if (len)
        memcpy(line, data, len);
    struct cache_response r = {.status = 200,
                               .request_s = 1000,
                               .response_s = 1001,
                               .date_s = -1,
                               .expires_s = -1,
                               .age_s = cache_age_parse(line, len)};
    struct cache_control c = {0};
    struct cache_request q = {0}, pragma = {0};
    cache_request_parse(&q, line, len);
    cache_request_pragma(&pragma, line, len);
    CHECK(q.no_cache == pragma.no_cache);
    cache_control_parse(&c.plain, line, len);
    cache_control_choose(&c, &r);
    cache_directives_list(&r.cc, "set-cookie", 10);
    judged(&r, &q);
    cache_target_parse(&c, cache_target("CDN-Cache-Control", 17), line, len);
    cache_control_choose(&c, &r);
    cache_directives_list(&r.cc, "set-cookie", 10);
    judged(&r, &q);
    free(line);
    return 0;
}

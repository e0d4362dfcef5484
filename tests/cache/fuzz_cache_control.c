/* SPDX-License-Identifier: BSD-3-Clause */
/* Any Cache-Control line: no read past its end, and rules that hold for every verdict. */
#include <stdlib.h>
#include <string.h>

#include "cache/freshness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *line = malloc(len + 1); /* its own piece, so that ASan sees its end */
    if (len)
        memcpy(line, data, len);
    line = realloc(line, len ? len : 1);
    struct cache_response r = {.status = 200,
                               .request_s = 1000,
                               .response_s = 1001,
                               .date_s = -1,
                               .expires_s = -1,
                               .age_s = len ? cache_seconds_parse(line, len) : -1};
    cache_control_parse(&r.cc, line, len);
    free(line);
    struct cache_lifetimes policy = {.default_s = 60, .override_s = -1};
    struct cache_verdict v = cache_judge(&r, &policy);
    if (v.storable != (v.reason == CACHE_STORABLE) || v.lifetime_s > CACHE_SECONDS_MAX ||
        v.initial_age_s > CACHE_SECONDS_MAX || (r.cc.no_store && v.storable) ||
        (r.cc.is_private && v.storable))
        abort();
    return 0;
}

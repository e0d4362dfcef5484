/* SPDX-License-Identifier: BSD-3-Clause */
/* CDN-Loop: an id is within the value and has no separator in it; each that is told is found; and
 * what a node appends is found behind anything that is well formed, and before anything else. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char ours[] = "zone.test";
    const struct http_text own = {ours, sizeof(ours) - 1};
    char *copy = malloc(size + 2 * sizeof(ours) + 4);
    if (size > 4096)
        size = 4096;
    memcpy(copy, data, size);
    struct http_text all = {copy, (uint32_t)size}, rest = all, id;
    while (loop_next(&rest, &id)) {
        if (id.len == 0 || id.p < all.p || id.p + id.len > all.p + all.len ||
            rest.p + rest.len != all.p + all.len || rest.p < id.p + id.len)
            abort();
        for (uint32_t i = 0; i < id.len; i++)
            if (!id.p[i] || strchr(" \t,;\"", id.p[i]))
                abort();
        if (!loop_names(all, id))
            abort();
    }
    bool good = loop_well_formed(all);
    if (good != (rest.len == 0))
        abort();
    size_t n = good ? size : 0;
    memmove(copy + sizeof(ours) + 1, data, good ? 0 : size);
    memcpy(copy + n, good ? ", " : "", good ? 2 : 0);
    n += good ? 2 : 0;
    memcpy(copy + n, ours, sizeof(ours) - 1);
    n += sizeof(ours) - 1;
    if (!good) {
        memcpy(copy + n, ", ", 2);
        n += 2 + size;
    }
    if (!loop_names((struct http_text){copy, (uint32_t)n}, own))
        abort();
    free(copy);
    return 0;
}

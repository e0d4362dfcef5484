/* SPDX-License-Identifier: BSD-3-Clause */
/* A host from the wire: never served when it lies in our own zone, and what is served makes a URL
 * that is its own normal form. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool in_zone(const char *host, const char *zone)
{
    size_t h = strlen(host), z = strlen(zone);
    return h >= z && strcmp(host + h - z, zone) == 0 && (h == z || host[h - z - 1] == '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct proxy_site site = {.host = "www.site.test"};
    static struct proxy_policy policy = {.zone = "z.test", .sites = 1, .site = &site};
    struct policy_route route;
    char first[HTTP_URL_MAX], second[HTTP_URL_MAX], *copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (size && size < 65536) {
        policy.open = data[0] & 1;
        policy_host(&policy, (struct http_text){copy, (uint32_t)size}, &route);
        if (route.status == 0 &&
            (in_zone(route.host, policy.zone) || route.port == 0 || (!route.site && !policy.open)))
            abort();
        size_t n = proxy_url(&policy, copy, size, first, sizeof(first));
        if (n) {
            struct url_parts parts;
            url_split(first, n, &parts);
            size_t m = proxy_url(&policy, first, n, second, sizeof(second));
            if (m && (m != n || memcmp(first, second, n) != 0) && !in_zone(parts.host, policy.zone))
                abort();
        }
    }
    free(copy);
    return 0;
}

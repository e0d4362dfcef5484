/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "dns/wire.h"

struct dns_zone *dns_zone_new(const char *name, uint32_t members)
{
    uint8_t apex[DNS_NAME_MAX];
    unsigned len = dns_name_parse(name, apex);
    struct dns_zone *z;

    if (len == 0)
        return NULL;
    z = calloc(1, sizeof(*z) + (size_t)members * sizeof(z->member[0]));
    if (!z)
        return NULL;
    memcpy(z->apex, apex, len);
    z->apex_len = (uint8_t)len;
    z->serial = 1;
    z->soa_ttl_s = z->ns_ttl_s = 3600;
    z->proxy_ttl_s = 30;
    z->negative_ttl_s = 30;
    return z;
}

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
    z = calloc(1, sizeof(*z) +
                      (size_t)members * (sizeof(*z->member) + sizeof(*z->v4) + sizeof(*z->v6)));
    if (!z)
        return NULL;
    memcpy(z->apex, apex, len);
    z->apex_len = (uint8_t)len;
    for (unsigned at = 0; apex[at] != 0; at += 1u + apex[at])
        z->apex_labels++;
    z->v4 = (void *)(z->member + members);
    z->v6 = (void *)(z->v4 + members);
    z->serial = 1;
    z->soa_ttl_s = z->ns_ttl_s = 3600;
    z->proxy_ttl_s = 30;
    z->negative_ttl_s = 30;
    return z;
}

static void write_head(uint8_t out[DNS_HEAD], uint16_t type, uint32_t ttl_s, uint16_t len)
{
    struct writer w = writer_of(out, DNS_HEAD);
    write_u16(&w, DNS_POINTER | DNS_HEADER_LEN); /* the question's name */
    write_u16(&w, type);
    write_u16(&w, DNS_IN);
    write_u32(&w, ttl_s);
    write_u16(&w, len);
}

void dns_zone_finish(struct dns_zone *z)
{
    uint8_t name[sizeof(z->apex_word) / 2] = {0}, mask[sizeof(name)] = {0};
    uint8_t *end = name + sizeof(name), *mask_end = mask + sizeof(mask);

    for (unsigned i = 1; i <= z->apex_len; i++) {
        uint8_t c = z->apex[z->apex_len - i];
        *(end - i) = c;
        *(mask_end - i) = c >= 'a' && c <= 'z' ? 0xdf : 0xff;
    }
    z->apex_words = (z->apex_len + 7u) / 8;
    for (unsigned i = 0; i < z->apex_words; i++) {
        memcpy(&z->apex_word[i].name, end - 8 * (i + 1), 8);
        memcpy(&z->apex_word[i].mask, mask_end - 8 * (i + 1), 8);
    }

    write_head(z->head_a, DNS_A, z->proxy_ttl_s, 4);
    write_head(z->head_aaaa, DNS_AAAA, z->proxy_ttl_s, 16);
    z->v4s = z->v6s = 0;
    for (uint32_t i = 0; i < z->members; i++) {
        const struct dns_member *m = &z->member[i];
        if (!addr_is_zero(&m->v4))
            memcpy(z->v4[z->v4s++], m->v4.b + 12, 4);
        if (!addr_is_zero(&m->v6))
            z->v6[z->v6s++] = m->v6;
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned prefix)
{
    unsigned bits = addr_is_v4(net) ? prefix + 96 : prefix;
    unsigned bytes = bits / 8, rest = bits % 8;

    if (bits > 128 || memcmp(a->b, net->b, bytes) != 0)
        return false;
    if (rest == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return (a->b[bytes] & mask) == (net->b[bytes] & mask);
}

static bool v4_is_special(uint32_t a)
{
    /* RFC 6890 table, plus multicast and class E */
    static const struct {
        uint32_t net;
        uint8_t prefix;
    } table[] = {
        {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
        {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16},
        {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 4},  {0xf0000000, 4},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if ((a ^ table[i].net) >> (32 - table[i].prefix) == 0)
            return true;
    return false;
}

bool addr_is_special(const struct addr *a)
{
    if (addr_is_v4(a))
        return v4_is_special(addr_get_v4(a));
    /* forms that carry an IPv4 address: NAT64 (RFC 6052) at 12, 6to4 (RFC 3056) at 2 */
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (memcmp(a->b, nat64, 12) == 0)
        return v4_is_special(addr_get_v4(a));
    if (a->b[0] == 0x20 && a->b[1] == 0x02)
        return v4_is_special((uint32_t)a->b[2] << 24 | (uint32_t)a->b[3] << 16 |
                             (uint32_t)a->b[4] << 8 | a->b[5]);
    if ((a->b[0] & 0xe0) != 0x20) /* all but global unicast 2000::/3 */
        return true;
    if (a->b[0] == 0x20 && a->b[1] == 0x01) {
        if (a->b[2] < 0x02) /* 2001::/23: Teredo, ORCHID, benchmarking */
            return true;
        if (a->b[2] == 0x0d && a->b[3] == 0xb8) /* documentation */
            return true;
    }
    return false;
}

bool addr_parse(const char *text, struct addr *out)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = addr_v4(ntohl(v4.s_addr));
        return true;
    }
    return inet_pton(AF_INET6, text, out->b) == 1;
}

static bool port_parse(const char *text, uint16_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long port = strtoul(text, &end, 10);
    if (*end != '\0' || port == 0 || port > 65535)
        return false;
    *out = (uint16_t)port;
    return true;
}

bool endpoint_parse(const char *text, uint16_t default_port, struct endpoint *out)
{
    char host[ADDR_TEXT];
    const char *start = text, *end, *port = NULL;

    if (*text == '[') {
        start++;
        end = strchr(text, ']');
        if (!end)
            return false;
        if (end[1] == ':')
            port = end + 2;
        else if (end[1] != '\0')
            return false;
    } else {
        end = strchr(text, ':');
        if (end && !strchr(end + 1, ':'))
            port = end + 1;
        else
            end = text + strlen(text);
    }
    size_t n = (size_t)(end - start);
    if (n >= sizeof(host))
        return false;
    memcpy(host, start, n);
    host[n] = '\0';
    out->port = default_port;
    if (port && !port_parse(port, &out->port))
        return false;
    return addr_parse(host, &out->ip);
}

const char *addr_text(const struct addr *a, char out[static ADDR_TEXT])
{
    if (addr_is_v4(a))
        inet_ntop(AF_INET, a->b + 12, out, ADDR_TEXT);
    else
        inet_ntop(AF_INET6, a->b, out, ADDR_TEXT);
    return out;
}

const char *endpoint_text(const struct endpoint *e, char out[static ENDPOINT_TEXT])
{
    char ip[ADDR_TEXT];
    addr_text(&e->ip, ip);
    snprintf(out, ENDPOINT_TEXT, addr_is_v4(&e->ip) ? "%s:%u" : "[%s]:%u", ip, e->port);
    return out;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/wire.h"

/* A length byte is at most 63, below 'A': no table and no branch tells letters from lengths. */
void dns_name_lower(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)(from[i] | ((uint8_t)(from[i] - 'A') < 26 ? 0x20 : 0));
}

unsigned dns_name_read(struct reader *r, const uint8_t *message, uint8_t out[DNS_NAME_MAX])
{
    struct reader at = *r;
    const uint8_t *limit = r->p; /* a pointer must go before what was read so far */
    bool jumped = false;
    unsigned len = 0;

    for (;;) {
        uint8_t n = read_u8(&at);
        if (at.bad)
            return 0;
        if (n >= 0xc0) {
            size_t to = (size_t)(n & 0x3f) << 8 | read_u8(&at);
            if (at.bad || to >= (size_t)(limit - message))
                return 0;
            if (!jumped)
                *r = at;
            jumped = true;
            limit = message + to;
            at.p = limit;
            continue;
        }
        if (n > DNS_LABEL_MAX || len + 1u + n > DNS_NAME_MAX)
            return 0;
        const uint8_t *label = read_bytes(&at, n);
        if (!label)
            return 0;
        out[len++] = n;
        memcpy(out + len, label, n);
        len += n;
        if (n == 0)
            break;
    }
    if (!jumped)
        *r = at;
    return len;
}

bool dns_name_skip(struct reader *r)
{
    for (unsigned len = 0;;) {
        uint8_t n = read_u8(r);
        if (n >= 0xc0) {
            read_u8(r);
            return !r->bad;
        }
        len += 1u + n;
        if (r->bad || n > DNS_LABEL_MAX || len > DNS_NAME_MAX || !read_bytes(r, n))
            return false;
        if (n == 0)
            return true;
    }
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

unsigned dns_name_parse(const char *text, uint8_t out[DNS_NAME_MAX])
{
    unsigned len = 0;

    while (*text) {
        unsigned n = 0;
        while (is_name_char(text[n]) && n < DNS_LABEL_MAX)
            n++;
        if (n == 0 || (text[n] != '.' && text[n] != '\0') || len + 1 + n + 1 > DNS_NAME_MAX)
            return 0;
        out[len++] = (uint8_t)n;
        dns_name_lower(out + len, (const uint8_t *)text, n);
        len += n;
        text += n;
        if (*text == '.')
            text++;
    }
    if (len == 0)
        return 0;
    out[len++] = 0;
    return len;
}

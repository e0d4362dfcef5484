/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS messages as text, read by other means than the code under test:
 * "1234 NOERROR qr aa rd | WwW.x. IN A | WwW.x. 30 A 192.0.2.1; ... | authority | additional". */
#ifndef CORAL_TESTS_DNS_TEXT_H
#define CORAL_TESTS_DNS_TEXT_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/dns.h"

#define UNUSED __attribute__((unused))

struct text {
    char s[8192];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void UNUSED add(struct text *t, const char *format,
                                                             ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->s + t->n, sizeof(t->s) - t->n, format, ap);
    va_end(ap);
    cr_assert(n >= 0 && t->n + (size_t)n < sizeof(t->s));
    t->n += (size_t)n;
}

static unsigned be(const uint8_t *p, unsigned bytes)
{
    unsigned v = 0;
    while (bytes--)
        v = v << 8 | *p++;
    return v;
}

/* Appends the name at `at`; returns where it ends. */
static size_t add_name(struct text *t, const uint8_t *m, size_t len, size_t at)
{
    size_t end = 0;
    for (unsigned steps = 0;; steps++) {
        cr_assert(at < len && steps < 200, "name runs off");
        unsigned n = m[at];
        if (n >= 0xc0) {
            cr_assert(at + 1 < len);
            if (!end)
                end = at + 2;
            at = (n & 0x3fu) << 8 | m[at + 1];
            continue;
        }
        cr_assert(n < 64 && at + 1 + n <= len);
        at++;
        if (n == 0)
            break;
        add(t, "%.*s.", (int)n, (const char *)m + at);
        at += n;
    }
    return end ? end : at;
}

static const char *type_text(unsigned type)
{
    static char other[16];
    switch (type) {
    case 1:
        return "A";
    case 2:
        return "NS";
    case 5:
        return "CNAME";
    case 6:
        return "SOA";
    case 13:
        return "HINFO";
    case 28:
        return "AAAA";
    case 255:
        return "ANY";
    }
    snprintf(other, sizeof(other), "TYPE%u", type);
    return other;
}

static size_t add_record(struct text *t, const uint8_t *m, size_t len, size_t at)
{
    char ip[64];
    if (m[at] == 0 && be(m + at + 1, 2) == 41) {
        add(t, "OPT size=%u rcode=%u version=%u flags=%04x len=%u", be(m + at + 3, 2), m[at + 5],
            m[at + 6], be(m + at + 7, 2), be(m + at + 9, 2));
        return at + 11 + be(m + at + 9, 2);
    }
    at = add_name(t, m, len, at);
    cr_assert(at + 10 <= len);
    unsigned type = be(m + at, 2), n = be(m + at + 8, 2);
    cr_assert_eq(be(m + at + 2, 2), 1);
    add(t, " %u %s ", be(m + at + 4, 4), type_text(type));
    at += 10;
    cr_assert(at + n <= len);
    size_t end = at + n;
    if (type == 1 && n == 4) {
        add(t, "%s", inet_ntop(AF_INET, m + at, ip, sizeof(ip)));
    } else if (type == 28 && n == 16) {
        add(t, "%s", inet_ntop(AF_INET6, m + at, ip, sizeof(ip)));
    } else if (type == 2 || type == 5) {
        cr_assert_eq(add_name(t, m, len, at), end);
    } else if (type == 6) {
        at = add_name(t, m, len, at);
        add(t, " ");
        at = add_name(t, m, len, at);
        add(t, " %u %u %u %u %u", be(m + at, 4), be(m + at + 4, 4), be(m + at + 8, 4),
            be(m + at + 12, 4), be(m + at + 16, 4));
        cr_assert_eq(at + 20, end);
    } else {
        for (unsigned i = 0; i < n; i++)
            add(t, "%02x", m[at + i]);
    }
    return end;
}

static UNUSED const char *dns_text(struct text *t, const uint8_t *m, size_t len)
{
    static const char *const rcodes[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                         "NXDOMAIN", "NOTIMP",  "REFUSED"};
    t->n = 0;
    t->s[0] = '\0';
    cr_assert(len >= 12);
    unsigned flags = be(m + 2, 2), at = 12;
    cr_assert((flags & 15) < 6);
    add(t, "%04x %s%s%s%s%s%s", be(m, 2), rcodes[flags & 15], flags & 0x8000 ? " qr" : "",
        flags & 0x400 ? " aa" : "", flags & 0x200 ? " tc" : "", flags & 0x100 ? " rd" : "",
        flags & 0x80 ? " ra" : "");
    cr_assert_eq(flags & 0x70, 0);
    size_t end = at;
    for (unsigned i = 0; i < be(m + 4, 2); i++) {
        add(t, " | ");
        end = add_name(t, m, len, end);
        add(t, " %s %s", be(m + end + 2, 2) == 1 ? "IN" : "??", type_text(be(m + end, 2)));
        end += 4;
    }
    for (unsigned section = 0; section < 3; section++) {
        unsigned n = be(m + 6 + 2 * section, 2);
        add(t, " |");
        for (unsigned i = 0; i < n; i++) {
            add(t, i ? "; " : " ");
            end = add_record(t, m, len, end);
        }
    }
    cr_assert_eq(end, len, "bytes left: %s", t->s);
    return t->s;
}

/* Wire form of a name, no checks: "www.Example.com" */
static size_t UNUSED wire_name(uint8_t *out, const char *text)
{
    size_t n = 0;
    while (*text) {
        size_t label = strcspn(text, ".");
        out[n++] = (uint8_t)label;
        memcpy(out + n, text, label);
        n += label;
        text += label + (text[label] == '.');
    }
    out[n++] = 0;
    return n;
}

/* A query with RD. edns: 0 none, else the UDP size. */
static size_t UNUSED make_query(uint8_t *out, const char *name, unsigned type, unsigned edns)
{
    static const uint8_t header[12] = {0x12, 0x34, 0x01, 0, 0, 1};
    memcpy(out, header, 12);
    out[11] = edns != 0;
    size_t n = 12 + wire_name(out + 12, name);
    out[n++] = (uint8_t)(type >> 8);
    out[n++] = (uint8_t)type;
    out[n++] = 0;
    out[n++] = 1;
    if (edns) {
        const uint8_t opt[11] = {0, 0, 41, (uint8_t)(edns >> 8), (uint8_t)edns};
        memcpy(out + n, opt, 11);
        n += 11;
    }
    return n;
}

#endif

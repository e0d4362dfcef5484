/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns/wire.h"
#include "tests/dns/text.h"

Test(name, text_to_wire)
{
    uint8_t w[DNS_NAME_MAX];
    cr_assert_eq(dns_name_parse("WWW.Example_1-2.com", w), 21);
    cr_assert(memcmp(w, "\3www\13example_1-2\3com", 21) == 0);
    cr_assert_eq(dns_name_parse("a.", w), 3);

    static const char *const bad[] = {"",    ".",        "a..b", ".a",    "a b",
                                      "a/b", "\xc3\xa4", "a*",   "a\\.b", "a.b.."};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_assert_eq(dns_name_parse(bad[i], w), 0, "%s", bad[i]);
}

Test(name, limits_of_labels_and_names)
{
    uint8_t w[DNS_NAME_MAX];
    char t[300];
    memset(t, 'a', sizeof(t));
    t[63] = '\0';
    cr_assert_eq(dns_name_parse(t, w), 65);
    t[63] = 'a';
    t[64] = '\0';
    cr_assert_eq(dns_name_parse(t, w), 0);
    memset(t, 'a', sizeof(t));
    t[63] = t[127] = t[191] = '.';
    t[253] = '\0'; /* 3 * 64 + 62 and the root: 255 */
    cr_assert_eq(dns_name_parse(t, w), 255);
    t[253] = 'a';
    t[254] = '\0';
    cr_assert_eq(dns_name_parse(t, w), 0);
}

static unsigned read_at(const uint8_t *m, size_t len, size_t at, uint8_t out[DNS_NAME_MAX],
                        size_t *end)
{
    uint8_t *copy = malloc(len);
    memcpy(copy, m, len);
    struct reader r = reader_of(copy, len);
    r.p += at;
    unsigned n = dns_name_read(&r, copy, out);
    *end = (size_t)(r.p - copy);
    free(copy);
    return n;
}

Test(name, compression_goes_backwards_only)
{
    uint8_t out[DNS_NAME_MAX];
    size_t end;
    const uint8_t m[] = {1, 'a', 0, 1, 'b', 0xc0, 0, 0xc0, 3, 0xc0, 9, 0xc0, 12, 1, 'c', 0xc0, 13};
    cr_assert_eq(read_at(m, sizeof(m), 3, out, &end), 5);
    cr_assert(memcmp(out, "\1b\1a", 5) == 0 && end == 7);
    cr_assert_eq(read_at(m, sizeof(m), 7, out, &end), 5); /* pointer to a name with a pointer */
    cr_assert_eq(end, 9);
    cr_assert_eq(read_at(m, sizeof(m), 9, out, &end), 0);  /* to itself */
    cr_assert_eq(read_at(m, sizeof(m), 11, out, &end), 0); /* forwards */
    cr_assert_eq(read_at(m, sizeof(m), 13, out, &end), 0); /* a loop over a label */
    cr_assert_eq(read_at(m, 4, 3, out, &end), 0);          /* cut short */
    cr_assert_eq(read_at(m, 6, 3, out, &end), 0);
    const uint8_t reserved[] = {0x40, 0};
    cr_assert_eq(read_at(reserved, 2, 0, out, &end), 0);
}

Test(name, a_zone_wants_a_domain_name)
{
    cr_assert_null(dns_zone_new("", 1));
    cr_assert_null(dns_zone_new("not a name", 1));
    struct dns_zone *z = dns_zone_new("CORAL.test", 3);
    cr_assert(z && z->apex_len == 12 && memcmp(z->apex, "\5coral\4test", 12) == 0);
    cr_assert(z->members == 0 && z->proxy_ttl_s > 0 && z->negative_ttl_s > 0);
    free(z);
}

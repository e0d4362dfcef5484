/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/rng.h"
#include "tests/net/frames.h"

static unsigned net_to_host(uint16_t field)
{
    uint8_t b[2];
    memcpy(b, &field, 2);
    return (unsigned)b[0] << 8 | b[1];
}

Test(sum, example_of_rfc_1071)
{
    const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    /* RFC 1071 3: the sum is ddf2 */
    cr_assert_eq(net_to_host(net_sum_finish(net_sum(data, 8, 0))), 0xffff & ~0xddf2u);
}

Test(sum, agrees_with_byte_by_byte_at_every_length_and_offset)
{
    uint8_t data[300], copy[300];
    struct rng r;
    rng_init_u64(&r, 1);
    rng_bytes(&r, data, sizeof(data));
    for (size_t at = 0; at < 8; at++)
        for (size_t len = 0; len < 260; len++) {
            unsigned want = 0xffff & ~naive_sum(data + at, len, 0);
            cr_assert_eq(net_to_host(net_sum_finish(net_sum(data + at, len, 0))), want,
                         "at %zu len %zu", at, len);
            memset(copy, 0xa5, sizeof(copy));
            uint64_t s = net_sum_copy(copy + 3, data + at, len, 0);
            cr_assert_eq(net_to_host(net_sum_finish(s)), want);
            cr_assert(memcmp(copy + 3, data + at, len) == 0);
            cr_assert(copy[2] == 0xa5 && copy[3 + len] == 0xa5);
        }
}

Test(sum, parts_add_up_also_at_odd_offsets)
{
    uint8_t data[500];
    struct rng r;
    rng_init_u64(&r, 2);
    rng_bytes(&r, data, sizeof(data));
    for (unsigned i = 0; i < 2000; i++) {
        size_t cut = rng_below(&r, sizeof(data));
        uint64_t tail = net_sum(data + cut, sizeof(data) - cut, 0);
        uint64_t s = net_sum(data, cut, 0) + (cut % 2 ? net_sum_odd(tail) : tail);
        cr_assert_eq(net_sum_finish(s), net_sum_finish(net_sum(data, sizeof(data), 0)), "cut %zu",
                     cut);
    }
}

Test(sum, does_not_overflow_on_64_kib_of_ones)
{
    uint8_t *data = malloc(65536);
    memset(data, 0xff, 65536);
    cr_assert_eq(net_sum_finish(net_sum(data, 65536, UINT32_MAX)), 0);
    cr_assert_eq(net_sum_finish(0), 0xffff);
    free(data);
}

Test(sum, udp_header_writes_ffff_for_zero_and_zero_for_none)
{
    struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");
    uint8_t udp[10];
    for (unsigned v = 0; v < 65536; v++) { /* one of these values makes the sum come out as 0 */
        udp[8] = (uint8_t)(v >> 8);
        udp[9] = (uint8_t)v;
        net_udp_header(udp, 1, 2, &a, &b, 2, true);
        cr_assert(udp[6] || udp[7]);
        unsigned s = naive_sum(udp, 10, naive_pseudo(&a, &b, 17, 10));
        cr_assert_eq(s, 0xffff);
    }
    net_udp_header(udp, 0x1234, 0xabcd, &a, &b, 2, false);
    cr_assert(memcmp(udp, "\x12\x34\xab\xcd\0\x0a\0\0", 8) == 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Toeplitz classes against DPDK's own software RSS. */
#include <criterion/criterion.h>

#include <rte_ip.h>
#include <rte_thash.h>

#include "base/rng.h"
#include "dataplane/worker/steer.h"

static struct rng rng;

static struct steer *steer_of(unsigned key_len, unsigned size, unsigned workers, uint8_t *key,
                              uint8_t *worker)
{
    rng_bytes(&rng, key, key_len);
    for (unsigned r = 0; r < size; r++)
        worker[r] = (uint8_t)(r % workers);
    struct steer *s = steer_create(key, key_len, worker, size, workers);
    cr_assert_not_null(s);
    return s;
}

static struct endpoint random_endpoint(bool v4)
{
    struct endpoint e = {.port = (uint16_t)rng_u32(&rng)};
    if (v4)
        e.ip = addr_v4(rng_u32(&rng));
    else
        rng_bytes(&rng, e.ip.b, 16);
    return e;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What rte_thash.h says for a segment from `remote` to `local`: words in host order, L4 last. */
static uint32_t reference(const uint8_t *key, const struct endpoint *local,
                          const struct endpoint *remote)
{
    uint32_t word[9];
    unsigned n = 0;
    bool v4 = addr_is_v4(&local->ip);
    for (unsigned i = v4 ? 12 : 0; i < 16; i += 4)
        word[n++] = be32(remote->ip.b + i);
    for (unsigned i = v4 ? 12 : 0; i < 16; i += 4)
        word[n++] = be32(local->ip.b + i);
    word[n++] = (uint32_t)remote->port << 16 | local->port;
    return rte_softrss(word, n, key);
}

Test(steer, the_hash_is_the_one_that_ports_compute)
{
    static const unsigned key_lens[] = {40, 52};
    rng_init_u64(&rng, 1);
    for (unsigned k = 0; k < 8; k++) {
        uint8_t key[52], worker[128];
        struct steer *s = steer_of(key_lens[k % 2], 128, 4, key, worker);
        for (unsigned i = 0; i < 2000; i++) {
            struct endpoint local = random_endpoint(i & 1), remote = random_endpoint(i & 1);
            uint32_t want = reference(key, &local, &remote);
            cr_assert_eq(steer_hash(s, &local, &remote), want);
            cr_assert_eq(steer_worker(s, &local, &remote), worker[want % 128]);
        }
        steer_destroy(s);
    }
}

/* The well-known key and tuple of Microsoft's verification suite. */
Test(steer, the_published_vectors_come_out)
{
    static const uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                    0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                    0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    uint8_t worker[128] = {0};
    struct steer *s = steer_create(key, 40, worker, 128, 1);
    struct endpoint from = {addr_v4(0x420995bb), 2794}, to = {addr_v4(0xa18e6450), 1766};
    cr_assert_eq(steer_hash(s, &to, &from), 0x51ccc178);
    steer_destroy(s);
}

Test(steer, replies_to_every_port_that_is_picked_come_to_the_picker)
{
    static const unsigned sizes[] = {2, 64, 128, 512};
    rng_init_u64(&rng, 2);
    for (unsigned k = 0; k < 12; k++) {
        unsigned size = sizes[k % 4], workers = size == 2 ? 2 : 2 + k % 7;
        uint8_t key[52], worker[512];
        struct steer *s = steer_of(k & 1 ? 40 : 52, size, workers, key, worker);
        for (unsigned i = 0; i < 3000; i++) {
            struct endpoint local = random_endpoint(i & 1), remote = random_endpoint(i & 1);
            unsigned me = i % workers;
            local.port = steer_port(s, me, &local.ip, &remote, rng_u32(&rng));
            cr_assert(local.port >= 32768 && local.port <= 60999, "%u", local.port);
            cr_assert_eq(worker[reference(key, &local, &remote) % size], me);
        }
        steer_destroy(s);
    }
}

Test(steer, counting_up_meets_each_port_of_ours_and_no_other_worker_s)
{
    static bool taken[65536];
    uint8_t key[40], worker[128];
    rng_init_u64(&rng, 3);
    struct steer *s = steer_of(40, 128, 3, key, worker);
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct endpoint local = random_endpoint(!v6), remote = random_endpoint(!v6);
        unsigned found = 0;
        memset(taken, 0, sizeof(taken));
        for (unsigned me = 0; me < 3; me++)
            for (uint32_t n = 0; n < 2 * STEER_PORT_COUNT / 3; n++) {
                uint16_t port = steer_port(s, me, &local.ip, &remote, n);
                found += !taken[port];
                taken[port] = true;
                local.port = port;
                cr_assert_eq(steer_worker(s, &local, &remote), me);
            }
        cr_assert_eq(found, STEER_PORT_COUNT);
    }
    steer_destroy(s);
}

Test(steer, keys_and_tables_that_cannot_reach_everybody_are_refused)
{
    uint8_t key[52] = {0}, worker[512];
    for (unsigned r = 0; r < 512; r++)
        worker[r] = (uint8_t)(r % 4);
    cr_assert_null(steer_create(key, 40, worker, 128, 4), "all zeros");
    memset(key, 0xff, sizeof(key));
    cr_assert_null(steer_create(key, 40, worker, 128, 4), "all ones");
    rng_init_u64(&rng, 4);
    rng_bytes(&rng, key, sizeof(key));
    cr_assert_null(steer_create(key, 39, worker, 128, 4), "too short for IPv6");
    cr_assert_null(steer_create(key, 53, worker, 128, 4));
    cr_assert_null(steer_create(key, 40, worker, 100, 4), "no power of two");
    cr_assert_null(steer_create(key, 40, worker, 1024, 4));
    cr_assert_null(steer_create(key, 40, worker, 0, 4));
    cr_assert_null(steer_create(key, 40, worker, 128, 3), "a fourth worker's entry");
    cr_assert_null(steer_create(key, 40, worker, 128, 5), "the fifth has none");
    cr_assert_null(steer_create(key, 40, worker, 2, 4), "fewer entries than workers");
}

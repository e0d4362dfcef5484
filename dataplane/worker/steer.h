/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker a port's RSS gives a TCP tuple to, and local ports whose replies come to a given
 * worker. The hash (Toeplitz) is linear: of
 *
 *   H(remote ip, local ip, remote port, local port) = H(all but the local port) ^ T(local port)
 *
 * the second part depends on the key alone. So ports are sorted once into classes by the low bits
 * of T, the bits that index the redirection table (RETA); a port that leads to RETA entry r is then
 * any of class r ^ H(rest): one pick, however many workers there are.
 *
 * A value without DPDK; immutable once made, shared by all workers.
 */
#ifndef CORAL_WORKER_STEER_H
#define CORAL_WORKER_STEER_H

#include "base/addr.h"

#define STEER_KEY_LEAST  40 /* bytes: 36 of an IPv6 tuple, and the hash's own 4 */
#define STEER_KEY_MOST   52
#define STEER_RETA       512
#define STEER_WORKERS    16
#define STEER_PORT_FIRST 32768u /* ports that connections out are made from: tcp.h's port_try */
#define STEER_PORT_COUNT 28232u

struct steer;

/*
 * `worker[r]`: who polls the queue of RETA entry r; `size` a power of two. NULL when replies cannot
 * be steered to each of the workers by this key and table, or memory is short: then tuples are
 * hashed by software as for ports without RSS.
 */
struct steer *steer_create(const uint8_t *key, unsigned key_len, const uint8_t *worker,
                           unsigned size, unsigned workers);
void steer_destroy(struct steer *s);

/* The hash as the port computes it for a segment from `remote` to `local`. */
uint32_t steer_hash(const struct steer *s, const struct endpoint *local,
                    const struct endpoint *remote);
/* Who gets such segments. */
unsigned steer_worker(const struct steer *s, const struct endpoint *local,
                      const struct endpoint *remote);
/* The n-th local port whose replies from `remote` come to `worker`; they repeat after about
 * STEER_PORT_COUNT / workers. 0: none by this number, another has one. */
uint16_t steer_port(const struct steer *s, unsigned worker, const struct addr *local,
                    const struct endpoint *remote, uint32_t n);

#endif

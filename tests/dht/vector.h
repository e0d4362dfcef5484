/* SPDX-License-Identifier: BSD-3-Clause */
/* docs/wire.md's test vectors: a packet beside what it says, field by field. */
#ifndef CORAL_TESTS_DHT_VECTOR_H
#define CORAL_TESTS_DHT_VECTOR_H

#include "dht/rpc.h"

/* Writes the lines of a vector block that say what is in a packet, in the order of the wire; those
 * that its type has. Returns their length; what does not fit is left out. */
size_t vector_fields(const struct rpc *r, char *out, size_t room);

#endif

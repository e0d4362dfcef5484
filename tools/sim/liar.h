/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Members that lie: they have the cluster's key, and their RPCs say what is not true. What a lie
 * may not do, since receivers check it where packets are read: give another sender than the one at
 * the address, or be malformed.
 */
#ifndef CORAL_TOOLS_SIM_LIAR_H
#define CORAL_TOOLS_SIM_LIAR_H

#include "dht/rpc.h"
#include "tools/sim/world.h"

enum lie {
    LIE_NONE,
    LIE_DEAD,       /* names contacts near the key at which nobody is: their IDs are right */
    LIE_REFERRAL,   /* names contacts that are closer and closer, under addresses of liars */
    LIE_FRAME,      /* names true nodes, under addresses at which nobody is */
    LIE_RING,       /* names none but the liars closest to the key */
    LIE_CLUSTER,    /* says that it is of the other's clusters, old and large; has nothing there */
    LIE_VALUES,     /* says that others hold the object, that do not or do not exist */
    LIE_KEEPER,     /* takes each value and keeps none; says that enough hold it; names nobody */
    LIE_COORDINATE, /* is nowhere, or on the other side of the world */
    LIE_NEWS,       /* says that everybody is dead, leaves, or was reached */
    LIES,
    LIE_MIXED = LIES, /* each liar one of them */
};
const char *lie_name(enum lie lie);
/* False: there is none of that name. */
bool lie_named(const char *name, enum lie *out);

struct liars;

/* `percent` of the world's nodes, which the seed chooses, tell this lie from now on. NULL: no
 * memory. */
struct liars *liars_create(struct world *w, uint32_t percent, enum lie lie);
void liars_destroy(struct liars *l);
/* What a node lies about, LIE_NONE: it is honest. */
enum lie liars_lie(const struct liars *l, uint32_t node);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Access records by hand. */
#ifndef CORAL_TESTS_CONTROL_ACCESS_HAND_H
#define CORAL_TESTS_CONTROL_ACCESS_HAND_H

#include <string.h>

#include "dataplane/proxy/access.h"

/* Texts in the order of enum access_text, with their lengths. */
static inline struct access_record access_hand_n(const char *const text[ACCESS_TEXTS],
                                                 const size_t len[ACCESS_TEXTS])
{
    struct access_record a = {.status = 200,
                              .minor = 1,
                              .served = ACCESS_HIT,
                              .start_us = 5000123,
                              .duration_us = 250,
                              .bytes = 1024,
                              .client = addr_v4(0xc0000201)};
    size_t used = 0;
    for (unsigned i = 0; i < ACCESS_TEXTS; i++) {
        memcpy(a.text + used, text[i], len[i]);
        a.len[i] = (uint16_t)len[i];
        used += len[i];
    }
    a.units =
        (uint16_t)((offsetof(struct access_record, text) + used + ACCESS_UNIT - 1) / ACCESS_UNIT);
    return a;
}

static inline struct access_record access_hand(const char *method, const char *host,
                                               const char *target, const char *referer,
                                               const char *agent)
{
    const char *const text[ACCESS_TEXTS] = {method, host, target, referer, agent, ""};
    size_t len[ACCESS_TEXTS];
    for (unsigned i = 0; i < ACCESS_TEXTS; i++)
        len[i] = strlen(text[i]);
    return access_hand_n(text, len);
}

#endif

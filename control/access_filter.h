/* SPDX-License-Identifier: BSD-3-Clause */
/* Which exchanges `coralctl log` shows: all that a filter names must hold. */
#ifndef CORAL_CONTROL_ACCESS_FILTER_H
#define CORAL_CONTROL_ACCESS_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/proxy/access.h"

#define ACCESS_FILTERS_TEXT "status, host, client, path, slower, served, id and url"
enum access_filter_key {
    ACCESS_FILTER_STATUS, /* "404", "5xx" */
    ACCESS_FILTER_HOST,   /* of any port, unless it names one */
    ACCESS_FILTER_CLIENT, /* an address or a network */
    ACCESS_FILTER_PATH,   /* how it begins */
    ACCESS_FILTER_SLOWER, /* "200ms" */
    ACCESS_FILTER_SERVED, /* of access_served_words */
    ACCESS_FILTER_ID,     /* of a request, all 32 digits */
    ACCESS_FILTER_URL,    /* host and whole path, with its query, as the client named them */
    ACCESS_FILTER_KEYS
};
/* Members of requests, and but for the URL coralctl's options, in enum order. */
extern const char *const access_filter_words[ACCESS_FILTER_KEYS];

struct access_filter { /* zeros: any */
    unsigned status_from, status_to;
    bool of_client;
    struct addr net;
    uint8_t bits; /* of its family */
    uint64_t slower_us;
    unsigned served; /* bits of enum access_served; 0: any */
    char host[ACCESS_HOST_MAX];
    char path[1024];
    bool whole_path; /* it is that, and does not only begin so */
    char id[ACCESS_ID_MAX + 1];
};

/* Parses a value; false with a sentence in `why`. */
bool access_filter_set(struct access_filter *f, enum access_filter_key key, const char *text,
                       char *why, size_t len);
bool access_filter_match(const struct access_filter *f, const struct access_record *a);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests on the control socket: a JSON object a line, at most 1 MiB.
 *
 *   {"verb": "status"}
 *   {"verb": "stats", "workers": true}
 *   {"verb": "tcp", "address": "192.0.2.1:80"}
 *   {"verb": "origins", "site": "www.example.com"}
 *   {"verb": "shares"}
 *   {"verb": "peers"}
 *   {"verb": "clusters"}
 *   {"verb": "lookup", "key": "http://www.example.com/page"}
 *   {"verb": "near", "address": "192.0.2.1"}
 *   {"verb": "purge", "url": "http://www.example.com/page", "soft": true}
 *   {"verb": "purge", "prefix": "http://www.example.com/shop/"}, or "tag": "news",
 *       "host": "www.example.com", "all": true in its place; each may be soft
 *   {"verb": "log", "after": 1234, "most": 100, "status": "5xx"}, or other filters of
 *       control/access_filter.h; or "reopen": true. coralctl trace asks so, too, with a "url"
 *   {"verb": "rules", "do": "load", "file": "/etc/coral/rules"}, or "check" or "status"
 *   {"verb": "reload"}
 *   {"verb": "drain"}
 *   {"verb": "stop", "wait": false}
 *
 * Answers are an object a line too: {"ok": true, ...} or {"ok": false, "error": "..."}, where the
 * request itself was wrong with "status": 2, which is coralctl's exit status then.
 */
#ifndef CORAL_CONTROL_REQUEST_H
#define CORAL_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "control/access_filter.h"

#define REQUEST_BYTES   (1u << 20)
#define REQUEST_URL     4096
#define REQUEST_ADDRESS 64
#define REQUEST_RECORDS 500u /* that one answer may have */

enum request_verb {
    REQUEST_STATUS,
    REQUEST_STATS,
    REQUEST_TCP,
    REQUEST_ORIGINS,
    REQUEST_SHARES,
    REQUEST_PEERS,
    REQUEST_CLUSTERS,
    REQUEST_LOOKUP,
    REQUEST_NEAR,
    REQUEST_PURGE,
    REQUEST_LOG,
    REQUEST_RULES,
    REQUEST_RELOAD,
    REQUEST_DRAIN,
    REQUEST_STOP,
    REQUEST_VERBS
};
/* All of them in a sentence. */
#define REQUEST_VERBS_TEXT                                                                         \
    "status, stats, tcp, origins, shares, peers, clusters, lookup, near, purge, log, rules, "      \
    "reload, drain and stop"

/* What a purge names. */
#define REQUEST_PURGES_TEXT "url, prefix, tag, host and all"
enum request_purge {
    REQUEST_PURGE_NONE,
    REQUEST_PURGE_URL,
    REQUEST_PURGE_PREFIX,
    REQUEST_PURGE_TAG,
    REQUEST_PURGE_HOST,
    REQUEST_PURGE_ALL,
    REQUEST_PURGES
};

/* What is done with rules. */
enum request_rules {
    REQUEST_RULES_STATUS,
    REQUEST_RULES_CHECK,
    REQUEST_RULES_LOAD,
    REQUEST_RULES_WORDS
};
#define REQUEST_RULES_TEXT "status, check and load"

struct request {
    enum request_verb verb;
    enum request_rules rules;
    bool workers; /* stats: of each worker too */
    bool soft;    /* purge: make it stale */
    enum request_purge purge;
    bool wait;           /* stop: answer when it is done */
    bool reopen, follow; /* log: the file is to be opened anew; the records from `after` on */
    uint64_t after;
    unsigned most; /* log: records; 0: as usual */
    struct access_filter filter;
    char
        address[REQUEST_ADDRESS]; /* tcp: ADDRESS or ADDRESS:PORT; empty: counters. near: ADDRESS */
    char url[REQUEST_URL]; /* purge: what it names; lookup: a URL, or a key's 40 hexadecimal digits;
                              origins: a site, or empty;
                              rules: an absolute path, empty: the one of the configuration */
};

/* The verbs' words, in enum order: coralctl's too. */
extern const char *const request_words[REQUEST_VERBS];
/* What a purge names, likewise: members of requests, and coralctl's options. */
extern const char *const request_purge_words[REQUEST_PURGES];
extern const char *const request_rules_words[REQUEST_RULES_WORDS];

/* Parses a line without its newline. False with a sentence in `error`. */
bool request_parse(const char *line, size_t len, struct request *out, char *error,
                   size_t error_len);

#endif

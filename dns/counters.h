/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_DNS_COUNTERS_H
#define CORAL_DNS_COUNTERS_H

#include "base/counter.h"

#define DNS_COUNTERS(X)                                                                            \
    X(dns_queries_total, "queries", "DNS queries received")                                        \
    X(dns_answers_total, "answers", "Answered with records")                                       \
    X(dns_nodata_total, "answers", "Answered: the name exists, records of the type do not")        \
    X(dns_nxdomain_total, "answers", "Answered: no such name (NXDOMAIN)")                          \
    X(dns_refused_total, "answers", "Refused: outside the zone, class or transfer not served")     \
    X(dns_formerr_total, "answers", "Answered FORMERR: malformed query")                           \
    X(dns_notimp_total, "answers", "Answered NOTIMP: operation or type not served")                \
    X(dns_badvers_total, "answers", "Answered BADVERS: unknown EDNS version")                      \
    X(dns_truncated_total, "answers", "Answered with TC: did not fit")                             \
    X(dns_no_proxy_total, "answers", "No live proxy had an address of the family asked for")       \
    X(dns_dropped_total, "queries", "Dropped: no query, or nobody to answer")

#define RESOLVER_COUNTERS(X)                                                                       \
    X(resolver_lookups_total, "lookups", "Names asked for")                                        \
    X(resolver_kept_total, "lookups", "Answered from what was kept")                               \
    X(resolver_joined_total, "lookups", "Joined a lookup of the same name in flight")              \
    X(resolver_half_told_total, "lookups",                                                         \
      "Gone on with one address family, the other being late")                                     \
    X(resolver_busy_total, "lookups", "Refused: too many in flight")                               \
    X(resolver_sent_total, "queries", "Queries sent")                                              \
    X(resolver_tcp_total, "queries", "Queries taken to TCP after a truncated answer")              \
    X(resolver_timeouts_total, "queries", "Tries without an answer in time")                       \
    X(resolver_failures_total, "answers", "Answers that were errors or nonsense")                  \
    X(resolver_ignored_total, "datagrams", "Ignored: not the answer to a query in flight")         \
    X(resolver_in_flight, "lookups", "Lookups in flight")                                          \
    X(resolver_names, "names", "Answers kept")

COUNTER_STRUCT(dns_counters, DNS_COUNTERS)
COUNTER_STRUCT(resolver_counters, RESOLVER_COUNTERS)

#endif

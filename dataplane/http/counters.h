/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters of dataplane/http. A server and a client each fill the part that is theirs. */
#ifndef CORAL_HTTP_COUNTERS_H
#define CORAL_HTTP_COUNTERS_H

#include "base/counter.h"

#define HTTP_COUNTERS(X)                                                                           \
    X(http_connections_total, "connections", "Client connections accepted")                        \
    X(http_connections, "connections", "Client connections open now")                              \
    X(http_connections_refused_total, "connections", "Connections refused: table full")            \
    X(http_connections_evicted_total, "connections", "Idle connections closed to make room")       \
    X(http_requests_total, "requests", "Requests parsed and handed on")                            \
    X(http_responses_total, "responses", "Responses sent whole")                                   \
    X(http_bad_request_total, "requests", "Requests whose head was refused as malformed (400)")    \
    X(http_bad_line_total, "requests", "Requests refused for their request line (400)")            \
    X(http_bad_target_total, "requests", "Requests refused for their target (400)")                \
    X(http_bad_field_total, "requests", "Requests refused for a line that is no field (400)")      \
    X(http_bad_host_total, "requests", "Requests refused for their Host (400)")                    \
    X(http_bad_length_total, "requests", "Requests refused for their Content-Length (400)")        \
    X(http_bad_framing_total, "requests", "Requests refused for their Transfer-Encoding (400)")    \
    X(http_uri_too_long_total, "requests", "Requests refused for their URL's length (414)")        \
    X(http_head_too_large_total, "requests", "Requests refused for their head's size (431)")       \
    X(http_bad_version_total, "requests", "Requests of another HTTP version (505)")                \
    X(http_bad_coding_total, "requests", "Requests with an unknown transfer coding (501)")         \
    X(http_bodies_total, "requests", "Requests whose body was read")                               \
    X(http_body_bytes_total, "bytes", "Bytes of requests' bodies")                                 \
    X(http_body_timeouts_total, "requests", "Requests whose body stalled (408)")                   \
    X(http_body_broken_total, "requests", "Requests whose body did not come whole")                \
    X(http_bad_body_total, "requests", "Requests whose body was badly framed (400)")               \
    X(http_short_body_total, "requests", "Requests whose body ended early (400)")                  \
    X(http_body_full_total, "requests", "Requests refused: too many bodies being read (503)")      \
    X(http_expect_refused_total, "requests", "Requests with an unknown expectation (417)")         \
    X(http_head_timeouts_total, "connections", "Request heads that did not end in time (408)")     \
    X(http_idle_timeouts_total, "connections", "Connections closed as idle")                       \
    X(http_stall_timeouts_total, "connections", "Connections reset: the client reads nothing")     \
    X(http_clients_gone_total, "connections", "Clients gone before their response ended")          \
    X(http_responses_aborted_total, "responses", "Responses aborted rather than cut short")        \
    X(http_spill_full_total, "responses", "Responses aborted: no buffer for a queued head")        \
    X(http_client_exchanges_total, "exchanges", "Requests sent to peers and origins")              \
    X(http_client_exchanges, "exchanges", "Exchanges in progress")                                 \
    X(http_client_connects_total, "connections", "Connections opened to peers and origins")        \
    X(http_client_raced_total, "connections", "Connections opened beside one that tarried")        \
    X(http_client_fallbacks_total, "connections", "Races that another address won than the first") \
    X(http_client_attempts_failed_total, "connections", "Addresses that did not connect")          \
    X(http_client_connect_timeouts_total, "connections", "Addresses given up: no answer in time")  \
    X(http_client_idle_timeouts_total, "connections", "Pooled connections closed as idle")         \
    X(http_client_reused_total, "exchanges", "Exchanges on a pooled connection")                   \
    X(http_client_retries_total, "exchanges", "Exchanges moved from a dead pooled connection")     \
    X(http_client_unasked_total, "connections", "Pooled connections that sent what nobody asked")  \
    X(http_client_idle, "connections", "Idle connections pooled")                                  \
    X(http_client_evicted_total, "connections", "Idle connections closed: pool full")              \
    X(http_client_full_total, "exchanges", "Exchanges refused: no memory for them")                \
    X(http_client_connect_failed_total, "exchanges", "Exchanges whose connection never stood")     \
    X(http_client_early_total, "exchanges", "Exchanges closed before a complete head")             \
    X(http_client_malformed_total, "exchanges", "Responses with a bad head or framing")            \
    X(http_client_truncated_total, "exchanges", "Responses that ended early")                      \
    X(http_client_timeouts_total, "exchanges", "Exchanges that timed out")

COUNTER_STRUCT(http_counters, HTTP_COUNTERS)

#endif

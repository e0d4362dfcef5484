/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_DHT_COUNTERS_H
#define CORAL_DHT_COUNTERS_H

#include "base/counter.h"

#define DHT_COUNTERS(X)                                                                            \
    /* serving */                                                                                  \
    X(dht_requests_total, "requests", "authenticated RPCs received")                               \
    X(dht_replies_total, "replies", "RPC replies sent")                                            \
    X(dht_pings_total, "requests", "PING served")                                                  \
    X(dht_gets_total, "requests", "GET served")                                                    \
    X(dht_gets_found_total, "requests", "GET answered with values")                                \
    X(dht_walks_total, "requests", "WALK served")                                                  \
    X(dht_walks_ended_total, "requests", "WALK ended here: full and loaded for the key")           \
    X(dht_stores_total, "requests", "STORE served")                                                \
    X(dht_stores_full_total, "requests", "STORE refused: no room under the key or for the key")    \
    X(dht_stores_foreign_total, "requests", "STORE refused: the value is not the sender's own")    \
    X(dht_removes_total, "requests", "REMOVE served")                                              \
    X(dht_finds_total, "requests", "FIND served")                                                  \
    X(dht_reports_total, "requests", "REPORT served: a node that we may name is said to be dead")  \
    X(dht_relays_total, "requests", "RELAY served: put to one that the asker does not reach")      \
    X(dht_relays_refused_total, "requests", "RELAY refused: one not known here, or too many")      \
    X(dht_forgotten_total, "nodes", "nodes whose values are not told of: they do not answer")      \
    X(dht_stores_many_total, "requests", "STORE refused: too many values of the node or network")  \
    X(dht_not_member_total, "requests", "refused: the asker is in no cluster of ours it wants")    \
    X(dht_cookies_total, "requests", "requests answered with no more than a cookie")               \
    X(dht_keys, "keys", "keys in the store")                                                       \
    /* dropped, both sides */                                                                      \
    X(dht_drop_short_total, "packets", "dropped: shorter than its type needs")                     \
    X(dht_drop_version_total, "packets", "dropped: another version")                               \
    X(dht_drop_type_total, "packets", "dropped: unknown type, or not the expected direction")      \
    X(dht_drop_malformed_total, "packets", "dropped: counts, fields or trailing bytes are wrong")  \
    X(dht_drop_rate_total, "packets", "dropped: too many from one network")                        \
    X(dht_drop_repeat_total, "packets", "dropped: was here before, and is to be done once")        \
    X(dht_drop_mac_total, "packets", "dropped: unknown key or wrong authentication tag")           \
    X(dht_drop_id_total, "packets", "dropped: the ID is not the hash of the sender's address")     \
    X(dht_drop_busy_total, "packets", "dropped: GET of a key that was being written all the time") \
    X(dht_drop_room_total, "packets", "dropped: no room for the reply")                            \
    X(dht_drop_unexpected_total, "packets", "dropped: a reply that nobody waits for")              \
    /* asking */                                                                                   \
    X(dht_rpcs_total, "requests", "RPCs sent")                                                     \
    X(dht_answers_total, "replies", "RPCs answered in time")                                       \
    X(dht_answers_late_total, "replies", "RPCs answered after their time-out")                     \
    X(dht_timeouts_total, "requests", "RPCs not answered in time")                                 \
    X(dht_hedges_total, "requests", "RPCs sent because an earlier one is slow")                    \
    X(dht_rpcs_refused_total, "requests", "RPCs not sent: no slot free or not taken by the port")  \
    X(dht_relays_asked_total, "requests", "RPCs put through the one that named who is silent")     \
    X(dht_relays_answered_total, "replies", "RPCs that were answered through another")             \
    X(dht_contacts_false_total, "contacts", "named by others under an address not their own")      \
    X(dht_lookups_total, "lookups", "lookups started")                                             \
    X(dht_lookups_found_total, "lookups", "lookups that found, stored or reached")                 \
    X(dht_lookups_not_found_total, "lookups", "lookups that ended without")                        \
    X(dht_lookups_failed_total, "lookups", "lookups that nobody answered")                         \
    X(dht_lookups_refused_total, "lookups", "lookups refused: too many in flight")                 \
    X(dht_puts_saturated_total, "lookups", "puts that found no room on their path")                \
    X(dht_joined_total, "lookups", "gets that joined one that was running")                        \
    X(dht_negative_total, "lookups", "gets of a key that was not found a moment ago")              \
    X(dht_hops_total, "replies", "answers on the paths of lookups")                                \
    X(dht_lookups, "lookups", "lookups in flight")

COUNTER_STRUCT(dht_counters, DHT_COUNTERS)

#endif

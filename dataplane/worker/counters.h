/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_WORKER_COUNTERS_H
#define CORAL_WORKER_COUNTERS_H

#include "base/counter.h"

#define WORKER_COUNTERS(X)                                                                         \
    X(worker_polls_total, "polls", "Turns of the poll loop")                                       \
    X(worker_busy_polls_total, "polls", "Turns that found work")                                   \
    X(worker_busy_cycles_total, "cycles", "TSC cycles spent in turns that found work")             \
    X(worker_cycles_total, "cycles", "TSC cycles spent in all turns")                              \
    X(worker_sleeps_total, "sleeps", "Times the worker went to sleep")                             \
    X(worker_rx_packets_total, "packets", "Frames received from ports")                            \
    X(worker_rx_bytes_total, "bytes", "Bytes received from ports")                                 \
    X(worker_tx_packets_total, "packets", "Frames that ports took")                                \
    X(worker_tx_bytes_total, "bytes", "Bytes that ports took")                                     \
    X(worker_tx_full_total, "bursts", "Bursts that a port took only in part: kept for later")      \
    X(worker_tx_dropped_total, "frames", "Frames dropped: port or ring full")                      \
    X(worker_tx_references_total, "references", "Spans sent from where they rest")                 \
    X(worker_no_buffer_total, "frames", "Packet buffers wanted and not had")                       \
    X(worker_handed_over_total, "packets", "Packets handed over to another worker")                \
    X(worker_handover_full_total, "packets", "Dropped: the other worker's ring was full")          \
    X(worker_rss_elsewhere_total, "segments",                                                      \
      "TCP segments that a port with RSS brought to another worker than their owner")              \
    X(worker_icmp_handed_over_total, "messages", "ICMP errors told to the segment's owner")        \
    X(worker_linearised_total, "frames", "Received frames of several segments made one")           \
    X(worker_drop_segments_total, "frames", "Dropped: several segments and too long for one")      \
    X(worker_udp_no_port_total, "packets", "UDP packets to a port that nobody listens on")         \
    X(worker_dht_malformed_total, "packets", "Packets to the index's port that are none")          \
    X(worker_probes_total, "packets", "Probes sent to find the routers on a path")                 \
    X(worker_probes_answered_total, "packets", "ICMP errors about such probes")                    \
    X(worker_probes_unasked_total, "packets",                                                      \
      "ICMP errors about datagrams that are none of these")                                        \
    X(worker_neighbour_waits_total, "frames", "Frames kept until the next hop answers")            \
    X(worker_neighbour_wait_lost_total, "frames", "Such frames dropped: too many, or too late")    \
    X(worker_messages_total, "messages", "Messages received from other workers")                   \
    X(worker_message_full_total, "messages", "Messages not taken: the other's ring was full")      \
    X(worker_access_records_total, "records", "Exchanges with clients noted for the access log")   \
    X(worker_access_dropped_total, "records", "Of them, those dropped: the log's ring was full")   \
    X(worker_events_lost_total, "events", "Events not taken: control's ring was full")             \
    X(worker_dns_tcp_connections_total, "connections", "DNS connections over TCP accepted")        \
    X(worker_dns_tcp_refused_total, "connections", "DNS connections over TCP refused: too many")   \
    X(worker_dns_tcp_idle_total, "connections", "DNS connections over TCP closed: idle")

COUNTER_STRUCT(worker_counters, WORKER_COUNTERS)

#endif

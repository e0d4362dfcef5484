/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_TCP_COUNTERS_H
#define CORAL_TCP_COUNTERS_H

#include "base/counter.h"

#define TCP_COUNTERS(X)                                                                            \
    X(tcp_segments_in_total, "segments", "TCP segments received")                                  \
    X(tcp_segments_out_total, "segments", "TCP segments sent")                                     \
    X(tcp_bytes_in_total, "bytes", "TCP payload bytes delivered in order")                         \
    X(tcp_bytes_out_total, "bytes", "TCP payload bytes sent, retransmissions included")            \
    X(tcp_connections, "connections", "TCP connections in the table, half-open ones not counted")  \
    X(tcp_half_open, "connections", "handshakes that peers began and have not completed")          \
    X(tcp_time_wait, "records", "TIME-WAIT records held")                                          \
    X(tcp_accepted_total, "connections", "TCP connections accepted")                               \
    X(tcp_accept_refused_total, "connections",                                                     \
      "handshakes completed and then refused by the node")                                         \
    X(tcp_connected_total, "connections", "active opens that succeeded")                           \
    X(tcp_connect_failed_total, "connections", "active opens refused or not answered")             \
    X(tcp_done_total, "connections", "connections closed in order by both sides")                  \
    X(tcp_reset_in_total, "connections", "connections reset by the peer")                          \
    X(tcp_aborted_total, "connections", "connections reset by the node")                           \
    X(tcp_timeout_total, "connections", "connections given up because the peer did not answer")    \
    X(tcp_slow_reader_total, "connections", "connections reset: the peer hardly took its bytes")   \
    X(tcp_rst_out_total, "segments", "RST segments sent")                                          \
    X(tcp_rst_limited_total, "segments", "RST segments withheld by their rate limit")              \
    X(tcp_challenge_ack_total, "segments", "challenge ACKs sent (RFC 5961)")                       \
    X(tcp_challenge_limited_total, "segments", "challenge ACKs withheld by their rate limit")      \
    X(tcp_bad_header_total, "segments", "segments dropped: header length or options malformed")    \
    X(tcp_bad_flags_total, "segments", "segments dropped: flags that exclude each other")          \
    X(tcp_bad_address_total, "segments", "segments dropped: addresses no connection can have")     \
    X(tcp_no_connection_total, "segments", "segments for no connection")                           \
    X(tcp_out_of_window_total, "segments", "segments outside the receive window")                  \
    X(tcp_paws_total, "segments", "segments dropped as older than what was seen (PAWS)")           \
    X(tcp_out_of_order_total, "segments", "segments received out of order and kept")               \
    X(tcp_out_of_order_dropped_total, "segments",                                                  \
      "segments received out of order, one island too many, and forgotten")                        \
    X(tcp_placed_bytes_total, "bytes",                                                             \
      "bytes that could not be offered yet, copied straight to where they belong")                 \
    X(tcp_place_lost_total, "connections", "connections reset: such a place was taken back")       \
    X(tcp_retransmit_total, "segments", "segments sent again")                                     \
    X(tcp_fast_retransmit_total, "episodes", "losses found without a time-out")                    \
    X(tcp_tlp_total, "segments", "tail loss probes sent (RFC 8985)")                               \
    X(tcp_tlp_repaired_total, "losses", "tail losses that a probe repaired")                       \
    X(tcp_undo_total, "episodes", "reductions taken back: nothing had been lost")                  \
    X(tcp_dsack_in_total, "segments", "duplicates that peers reported (D-SACK)")                   \
    X(tcp_ecn_ce_in_total, "segments", "segments received that a router had marked")               \
    X(tcp_ecn_echo_in_total, "segments", "segments by which peers echo a mark")                    \
    X(tcp_reneged_total, "episodes", "peers that gave up what they had SACKed")                    \
    X(tcp_no_recovery_total, "refusals", "flights begun without a free recovery block")            \
    X(tcp_no_record_total, "refusals", "times that no flight record was free")                     \
    X(tcp_rto_total, "timeouts", "retransmission timeouts")                                        \
    X(tcp_probe_total, "segments", "zero-window probes sent")                                      \
    X(tcp_keepalive_total, "segments", "keep-alives sent to idle peers")                           \
    X(tcp_emit_refused_total, "segments", "segments that the port did not take at once")           \
    X(tcp_syn_dropped_total, "segments", "SYN dropped because a table was full")                   \
    X(tcp_prefix_refused_total, "segments",                                                        \
      "third segments dropped: their network has its share of connections")                        \
    X(tcp_handshake_dropped_total, "segments",                                                     \
      "third segments of a handshake dropped because the connection table was full")               \
    X(tcp_half_open_expired_total, "connections", "handshakes that the peer did not complete")     \
    X(tcp_cookie_sent_total, "segments",                                                           \
      "SYN cookies sent, the SYN table being three quarters full")                                 \
    X(tcp_cookie_accepted_total, "connections", "connections begun by a SYN cookie")               \
    X(tcp_cookie_refused_total, "segments",                                                        \
      "ACKs to no connection, while cookies were out, that are none")                              \
    X(tcp_time_wait_dropped_total, "records", "TIME-WAIT records dropped for newer ones")          \
    X(tcp_time_wait_reused_total, "records", "TIME-WAIT records replaced by a new connection")     \
    X(tcp_no_port_total, "connections", "active opens without a free port or table entry")         \
    X(tcp_no_block_total, "refusals", "times that no 2 KiB block was free")                        \
    X(tcp_no_item_total, "refusals", "times that no send queue item was free")                     \
    X(tcp_no_queue_total, "refusals", "times that no send queue was free for a connection")        \
    X(tcp_icmp_unmatched_total, "messages", "ICMP errors that quote nothing in flight")            \
    X(tcp_icmp_soft_total, "messages", "ICMP errors noted only: advice, or the handshake is done") \
    X(tcp_icmp_aborted_total, "connections", "active opens ended by an ICMP error")                \
    X(tcp_icmp_too_big_total, "messages", "ICMP errors whose smaller MTU was taken over")          \
    X(tcp_icmp_mtu_refused_total, "messages",                                                      \
      "ICMP errors with an MTU below the floor, not smaller, or of a size never sent")             \
    X(tcp_pmtu_probe_total, "segments", "segments sent larger, to see whether the path has room")  \
    X(tcp_pmtu_probe_lost_total, "segments", "such segments lost")                                 \
    X(tcp_pmtu_raised_total, "connections", "times that a larger size was found to pass")          \
    X(tcp_pmtu_black_hole_total, "connections", "times that a path swallowed full-sized segments") \
    X(tcp_blocks_used, "blocks", "2 KiB blocks in use")

COUNTER_STRUCT(tcp_counters, TCP_COUNTERS)

#endif

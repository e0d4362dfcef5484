/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_NET_COUNTERS_H
#define CORAL_NET_COUNTERS_H

#include "base/counter.h"

#define NET_COUNTERS(X)                                                                            \
    X(net_frames_total, "frames", "Frames received")                                               \
    X(net_drop_frame_total, "frames", "Dropped: too short, or an unknown Ethernet type")           \
    X(net_drop_vlan_total, "frames", "Dropped: VLAN-tagged")                                       \
    X(net_drop_mac_total, "frames", "Dropped: to or from a MAC address that makes no sense here")  \
    X(net_drop_header_total, "packets", "Dropped: malformed IP header, or lengths that disagree")  \
    X(net_drop_ip_checksum_total, "packets", "Dropped: IPv4 header checksum wrong")                \
    X(net_drop_l4_checksum_total, "packets", "Dropped: UDP, TCP or ICMP checksum wrong")           \
    X(net_drop_l4_total, "packets", "Dropped: malformed UDP, TCP or ICMP header")                  \
    X(net_drop_fragment_total, "packets", "Dropped: IP fragments")                                 \
    X(net_drop_source_route_total, "packets", "Dropped: source routes and routing headers")        \
    X(net_drop_extension_total, "packets", "Dropped: IPv6 extension headers or options not known") \
    X(net_drop_source_total, "packets", "Dropped: from an address that nobody can have")           \
    X(net_drop_group_total, "packets", "Dropped: broadcast or multicast that no service takes")    \
    X(net_drop_protocol_total, "packets", "Dropped: IP protocol not spoken")                       \
    X(net_not_ours_total, "packets", "Packets for an address that is not ours")                    \
    X(net_drop_arp_total, "frames", "Dropped: malformed ARP")                                      \
    X(net_drop_nd_total, "packets", "Dropped: neighbour discovery that RFC 4861 forbids")          \
    X(net_arp_replies_total, "frames", "ARP requests answered")                                    \
    X(net_nd_replies_total, "packets", "Neighbour solicitations answered")                         \
    X(net_echo_replies_total, "packets", "Echo requests answered")                                 \
    X(net_icmp_ignored_total, "packets", "ICMP messages of other kinds")                           \
    X(net_icmp_quotes_total, "packets", "ICMP errors that quote a TCP segment of ours")            \
    X(net_icmp_datagram_quotes_total, "packets", "ICMP errors that quote a datagram of ours")      \
    X(net_icmp_quote_bad_total, "packets", "ICMP errors without a usable quote: none of ours")     \
    X(net_icmp_quote_limited_total, "packets", "ICMP errors not looked at: over the rate limit")   \
    X(net_icmp_errors_total, "packets", "ICMP errors sent")                                        \
    X(net_icmp_errors_limited_total, "packets", "ICMP errors not sent: over the rate limit")       \
    X(net_no_route_total, "packets", "Not sent: no gateway towards the destination")               \
    X(net_unresolved_total, "packets", "Not sent yet: next hop's MAC address not known")           \
    X(net_send_refused_total, "frames", "Replies that the port did not take")                      \
    X(net_solicitations_total, "frames", "ARP requests and neighbour solicitations sent")          \
    X(net_solicitations_limited_total, "frames", "Solicitations not sent: over the rate limit")    \
    X(net_conflicts_total, "frames", "Others who claim an address of ours")                        \
    X(net_neighbours, "entries", "Neighbours in the table")                                        \
    X(net_neighbours_lost_total, "entries", "Neighbours forgotten after three unanswered asks")    \
    X(net_neighbours_evicted_total, "entries", "Neighbours displaced because the table was full")

COUNTER_STRUCT(net_counters, NET_COUNTERS)

#endif

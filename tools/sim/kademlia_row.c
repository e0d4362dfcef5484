/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/kademlia.h"

void kademlia_row_add(struct kademlia_row *row, const struct kademlia_result *r)
{
    bool well = r->end == KADEMLIA_FOUND || r->end == KADEMLIA_REACHED;
    row->end[r->end]++;
    summary_add(&row->hops, r->hops);
    summary_add(&row->asks, r->asks);
    summary_add(well ? &row->well_us : &row->ill_us, r->latency_us);
    if (r->end == KADEMLIA_FOUND)
        summary_add(&row->holder_us, r->holder_rtt_us);
}

json_t *kademlia_row_json(const struct kademlia_row *row)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "found",
        (json_int_t)row->end[KADEMLIA_FOUND], "not_found", (json_int_t)row->end[KADEMLIA_NOT_FOUND],
        "reached", (json_int_t)row->end[KADEMLIA_REACHED], "failed",
        (json_int_t)row->end[KADEMLIA_FAILED], "hops", summary_json(&row->hops), "asks",
        summary_json(&row->asks), "well_us", summary_json(&row->well_us), "ill_us",
        summary_json(&row->ill_us), "holder_us", summary_json(&row->holder_us));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/rack.h"

bool rack_sent_after(uint32_t a_us, uint32_t a_end, uint32_t b_us, uint32_t b_end)
{
    return (int32_t)(a_us - b_us) > 0 || (a_us == b_us && (int32_t)(a_end - b_end) > 0);
}

void rack_delivered(struct rack *r, struct reordering *o, const struct rack_segment *s,
                    uint32_t now_us, uint32_t min_rtt_us)
{
    uint32_t rtt = now_us - s->sent_us;
    /* Step 3: delivered below what was delivered before, and sent once */
    if ((int32_t)(s->end - r->fack) > 0)
        r->fack = s->end;
    else if ((int32_t)(s->end - r->fack) < 0 && !s->again)
        o->seen = true;
    /* Step 2: an ACK of the first sending says nothing about the second */
    if (s->again && (s->echo_older || rtt < min_rtt_us))
        return;
    /* What was sent before it may have arrived long ago, the report of that lost: how long it took
     * is nothing to wait for. */
    if (r->any && rack_sent_after(r->sent_us, r->end, s->sent_us, s->end))
        return;
    r->rtt_us = rtt ? rtt : 1;
    r->sent_us = s->sent_us;
    r->end = s->end;
    r->any = true;
}

void rack_dsack(struct rack *r, struct reordering *o, uint32_t snd_una, uint32_t snd_nxt)
{
    if (r->in_dsack_round && (int32_t)(snd_una - r->dsack_round) < 0)
        return;
    r->in_dsack_round = true;
    r->dsack_round = snd_nxt;
    if (o->extra < UINT8_MAX)
        o->extra++;
    o->persist = RACK_REO_PERSIST;
}

void rack_recovered(struct reordering *o)
{
    if (o->persist > 0)
        o->persist--;
    if (o->persist == 0)
        o->extra = 0;
}

uint32_t rack_reo_wnd_us(const struct reordering *o, bool recovering, uint32_t sacked_segments,
                         uint32_t min_rtt_us, uint32_t srtt_us)
{
    if (!o->seen && (recovering || sacked_segments >= RACK_DUP_THRESHOLD))
        return 0;
    uint64_t wnd = (uint64_t)(o->extra + 1u) * min_rtt_us / 4;
    return wnd < srtt_us ? (uint32_t)wnd : srtt_us;
}

bool rack_lost(const struct rack *r, uint32_t sent_us, uint32_t end, uint32_t now_us,
               uint32_t reo_wnd_us, uint32_t *wait_us)
{
    *wait_us = 0;
    if (!r->any || !rack_sent_after(r->sent_us, r->end, sent_us, end))
        return false;
    int32_t left = (int32_t)(sent_us + r->rtt_us + reo_wnd_us - now_us);
    if (left <= 0)
        return true;
    *wait_us = (uint32_t)left;
    return false;
}

bool rack_lost_at_rto(const struct rack *r, uint32_t sent_us, uint32_t now_us, uint32_t reo_wnd_us)
{
    return !r->any || (int32_t)(sent_us + r->rtt_us + reo_wnd_us - now_us) <= 0;
}

uint32_t rack_pto_us(uint32_t srtt_us, bool lone)
{
    if (srtt_us == 0)
        return RACK_TLP_FIRST_US;
    return 2 * srtt_us + (lone ? RACK_TLP_ACK_US : RACK_TLP_GRANULAR_US);
}

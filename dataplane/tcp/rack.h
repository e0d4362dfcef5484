/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RACK-TLP, RFC 8985: a segment is lost when one sent later has been delivered and enough time
 * has passed since it was sent. Values and functions without a connection. Times are
 * microseconds of a clock that wraps: they are compared within the age of a flight only.
 */
#ifndef CORAL_TCP_RACK_H
#define CORAL_TCP_RACK_H

#include <stdbool.h>
#include <stdint.h>

#define RACK_DUP_THRESHOLD   3u
#define RACK_REO_PERSIST     16u      /* recoveries for which a widened window is kept (5.2) */
#define RACK_TLP_FIRST_US    1000000u /* the probe time-out before any sample (7.2) */
#define RACK_TLP_ACK_US      200000u  /* longest that a peer is thought to delay an ACK (7.2) */
#define RACK_TLP_GRANULAR_US 2000u    /* two ticks of the wheel: a probe must not race the ACK */

/* What a connection learns about the reordering of its path; survives the flight. */
struct reordering {
    bool seen;
    uint8_t extra;   /* reo_wnd_mult - 1 */
    uint8_t persist; /* recoveries left until extra falls back to 0 */
};

/* The flight: RFC 8985 5.3. */
struct rack {
    uint32_t sent_us, end; /* of the segment sent last among those delivered */
    uint32_t rtt_us;       /* its round trip */
    uint32_t fack;         /* the highest sequence delivered */
    uint32_t dsack_round;  /* reo_wnd widens once a round trip: until snd_una passes this */
    bool any;              /* sent_us, end and rtt_us are set */
    bool in_dsack_round;
};

/* A segment that an ACK delivered. */
struct rack_segment {
    uint32_t sent_us, end;
    bool again;      /* was sent more than once */
    bool echo_older; /* the ACK echoes a timestamp from before its last sending */
};

/* Was (a_us, a_end) sent after (b_us, b_end)? 6.1 */
bool rack_sent_after(uint32_t a_us, uint32_t a_end, uint32_t b_us, uint32_t b_end);
/* Steps 1 to 3 of 6.2 for one segment. */
void rack_delivered(struct rack *r, struct reordering *o, const struct rack_segment *s,
                    uint32_t now_us, uint32_t min_rtt_us);
/* An ACK reports a duplicate: the window widens, once a round. Step 4 of 6.2. */
void rack_dsack(struct rack *r, struct reordering *o, uint32_t snd_una, uint32_t snd_nxt);
/* A recovery ended. */
void rack_recovered(struct reordering *o);
/* How much longer than a round trip a segment may take: step 4. */
uint32_t rack_reo_wnd_us(const struct reordering *o, bool recovering, uint32_t sacked_segments,
                         uint32_t min_rtt_us, uint32_t srtt_us);
/* Step 5 for one segment that is neither delivered nor marked lost. True: lost now. Else *wait_us
 * is how long until it would be, 0 when nothing sent later was delivered. */
bool rack_lost(const struct rack *r, uint32_t sent_us, uint32_t end, uint32_t now_us,
               uint32_t reo_wnd_us, uint32_t *wait_us);
/* Is a segment lost when the retransmission timer expires? 6.3 */
bool rack_lost_at_rto(const struct rack *r, uint32_t sent_us, uint32_t now_us, uint32_t reo_wnd_us);
/* The probe time-out, 7.2; `lone`: one segment is in flight. */
uint32_t rack_pto_us(uint32_t srtt_us, bool lone);

#endif

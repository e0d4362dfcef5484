/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tags of the index's messages, computed by each algorithm and in each way that this processor has.
 * Ways, sizes and bursts are measured in turn, again and again, so that a busy minute spoils all of
 * them alike; the cost is the median over rounds. The messages lie as far apart as packet buffers
 * do. Needs neither EAL nor a second CPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "dht/mac.h"
#include "perf/perf.h"
#include "version.h"

#define ROUNDS   1000 /* at most */
#define MESSAGES 1024 /* in a window */
#define STRIDE   2304 /* a packet buffer with its header */
#define MIXED    0    /* a size: the other four in turn */

static const char *const algorithm[MAC_WAYS + 1] = {"CMAC VAES", "CMAC AES-NI", "CMAC library",
                                                    "SipHash-2-4"};
#define ALGORITHMS (MAC_WAYS + 1)

/* an RPC's least, usual and longest packets */
static const unsigned size[] = {64, 128, 200, 466, MIXED};
#define SIZES (sizeof(size) / sizeof(size[0]))
static const unsigned burst[] = {1, 8, 32};
#define BURSTS (sizeof(burst) / sizeof(burst[0]))

struct mac_run {
    struct dht_mac *mac[ALGORITHMS]; /* NULL: not on this processor */
    struct calibration calibration;
    unsigned rounds;
    double cost[ALGORITHMS][SIZES][BURSTS][ROUNDS]; /* TSC cycles a message */
    uint8_t data[DATAGRAM_BURST][STRIDE];
};

static void make_macs(struct mac_run *r)
{
    struct dht_keys keys = {.n = 1, .key[0] = {.id = 1, .key = "an example key."}};
    for (enum mac_way way = 0; way < MAC_WAYS; way++)
        r->mac[way] = mac_create(&keys, way);
    keys.key[0].id = MAC_SIPHASH_ID;
    r->mac[MAC_WAYS] = dht_mac_create(&keys);
}

static void make_jobs(struct mac_run *r, unsigned a, unsigned bytes, struct mac_job *job)
{
    for (unsigned i = 0; i < DATAGRAM_BURST; i++)
        job[i] = (struct mac_job){.data = r->data[i],
                                  .len = bytes == MIXED ? size[i % (SIZES - 1)] : bytes,
                                  .key_id = dht_mac_key_id(r->mac[a])};
}

static double window(struct mac_run *r, unsigned a, unsigned bytes, unsigned n)
{
    struct mac_job job[DATAGRAM_BURST];
    make_jobs(r, a, bytes, job);
    mac_tag_many(r->mac[a], job, n);
    uint64_t began = rte_rdtsc_precise();
    for (unsigned done = 0; done < MESSAGES; done += n) /* all messages have their turn */
        mac_tag_many(r->mac[a], job + done % DATAGRAM_BURST, n);
    return (double)(rte_rdtsc_precise() - began) / MESSAGES;
}

static void round_measure(struct mac_run *r)
{
    for (unsigned s = 0; s < SIZES; s++)
        for (unsigned b = 0; b < BURSTS; b++)
            for (unsigned a = 0; a < ALGORITHMS; a++) {
                if (!r->mac[a])
                    continue;
                calibrate(&r->calibration);
                r->cost[a][s][b][r->rounds] = window(r, a, size[s], burst[b]);
            }
    r->rounds++;
}

/* Do all ways give the tags that the library gives? */
static bool same_tags(struct mac_run *r)
{
    struct mac_job standard[DATAGRAM_BURST], job[DATAGRAM_BURST];
    make_jobs(r, MAC_LIBRARY, MIXED, standard);
    mac_tag_many(r->mac[MAC_LIBRARY], standard, DATAGRAM_BURST);
    for (enum mac_way way = 0; way < MAC_LIBRARY; way++) {
        if (!r->mac[way])
            continue;
        make_jobs(r, way, MIXED, job);
        mac_tag_many(r->mac[way], job, DATAGRAM_BURST);
        for (unsigned i = 0; i < DATAGRAM_BURST; i++)
            if (!mac_tag_eq(job[i].tag, standard[i].tag))
                return false;
    }
    return true;
}

/* In core cycles, the median over rounds. */
static double cycles(struct mac_run *r, unsigned a, unsigned s, unsigned b)
{
    return measure_median(r->cost[a][s][b], r->rounds) * r->calibration.ratio;
}

static void size_text(unsigned bytes, char out[static 16])
{
    if (bytes == MIXED)
        snprintf(out, 16, "mixed");
    else
        snprintf(out, 16, "%u", bytes);
}

static void print_table(struct mac_run *r)
{
    printf("core cycles a message, in bursts of\n%-12s %6s %9u %9u %9u\n", "algorithm", "size",
           burst[0], burst[1], burst[2]);
    for (unsigned a = 0; a < ALGORITHMS; a++)
        for (unsigned s = 0; r->mac[a] && s < SIZES; s++) {
            char text[16];
            size_text(size[s], text);
            printf("%-12s %6s %9.1f %9.1f %9.1f\n", algorithm[a], text, cycles(r, a, s, 0),
                   cycles(r, a, s, 1), cycles(r, a, s, 2));
        }
    printf("%.3f core cycles a TSC cycle, median of %u rounds, revision %s\n", r->calibration.ratio,
           r->rounds, CORAL_REVISION);
}

static void report(struct mac_run *r, json_t *result)
{
    json_t *costs = json_array();
    for (unsigned a = 0; a < ALGORITHMS; a++)
        for (unsigned s = 0; r->mac[a] && s < SIZES; s++)
            for (unsigned b = 0; b < BURSTS; b++) {
                char text[16];
                size_text(size[s], text);
                json_array_append_new(
                    costs, json_pack("{s:s, s:s, s:i, s:f}", "algorithm", algorithm[a], "size",
                                     text, "burst", burst[b], "cycles_per_op", cycles(r, a, s, b)));
            }
    json_object_update_new(result,
                           json_pack("{s:f, s:i, s:o}", "core_per_tsc", r->calibration.ratio,
                                     "rounds", r->rounds, "costs", costs));
}

bool mac_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct mac_run r;
    perf_pin((unsigned)perf_cpu(0));
    make_macs(&r);
    bool ok = r.mac[MAC_LIBRARY] && r.mac[MAC_WAYS] && same_tags(&r);
    if (!ok)
        snprintf(error, error_len, "the ways to compute a tag disagree, or the library has none");
    for (double end = measure_clock() + o->seconds;
         ok && r.rounds < ROUNDS && measure_clock() < end;)
        round_measure(&r);
    if (ok)
        report(&r, result);
    if (ok && !o->json)
        print_table(&r);
    for (unsigned a = 0; a < ALGORITHMS; a++)
        dht_mac_destroy(r.mac[a]);
    return ok;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The answers to `tcp`: counters by what they are about, and connections as workers copied them. */
#include <string.h>

#include "control/control.h"
#include "control/stats.h"

/* A counter is of the first group of which a word is in its name: so a new one finds its place. */
static const struct {
    const char *name;
    const char *words[12];
} groups[] = {
    {"recovery",
     {"retransmit", "_rto", "probe", "sack", "rack", "tlp", "undo", "spurious", "recover",
      "reordering"}},
    {"limits",
     {"limited", "half_open_dropped", "syn_dropped", "time_wait_dropped", "no_port", "no_block",
      "no_item", "refused", "cookie", "evicted"}},
    {"dropped",
     {"bad_", "no_connection", "out_of_window", "paws", "dropped", "ignored", "invalid"}},
    {"ends", {"done", "reset", "aborted", "timeout", "rst_", "challenge", "connect_failed"}},
    {"connections",
     {"connections", "accepted", "connected", "half_open", "time_wait", "blocks_used"}},
    {"segments", {"tcp_"}},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static size_t group_of(const char *name)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = 0; i < 12 && groups[g].words[i]; i++)
            if (strstr(name, groups[g].words[i]))
                return g;
    return GROUPS - 1;
}

json_t *tcp_counters_json(const struct control *c)
{
    struct worker_stats w[NODE_WORKERS] = {0};
    json_t *all = json_array(), *in[GROUPS];

    for (unsigned i = 0; i < c->workers; i++)
        node_stats(c->node, i, &w[i]);
    for (size_t g = GROUPS; g-- > 0;) { /* the common first */
        in[g] = json_array();
        json_array_append_new(all,
                              json_pack("{s:s, s:o}", "group", groups[g].name, "counters", in[g]));
    }
    for (size_t i = 0; i < stats_count; i++) {
        const struct stats_counter *s = &stats_table[i];
        uint64_t sum = 0;
        if (strncmp(s->name, "tcp_", 4) != 0)
            continue;
        for (unsigned k = 0; k < c->workers; k++)
            sum += stats_read(&w[k], s);
        json_array_append_new(in[group_of(s->name)],
                              json_pack("{s:s, s:s, s:s, s:I}", "name", s->name, "unit", s->unit,
                                        "text", s->text, "value", (json_int_t)sum));
    }
    return json_pack("{s:b, s:s, s:o}", "ok", 1, "name", c->config->name, "groups", all);
}

/* What tcp_info gains is added here and in coralctl's table. */
static json_t *info_json(const struct tcp_info *t, unsigned worker)
{
    char local[ENDPOINT_TEXT], remote[ENDPOINT_TEXT];
    json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:b, s:s, s:b, s:b, s:b, s:i, s:i, s:b}", "worker",
                          (int)worker, "local", endpoint_text(&t->local, local), "remote",
                          endpoint_text(&t->remote, remote), "state", t->state, "passive",
                          t->passive, "controller", t->controller, "timestamps", t->timestamps,
                          "sack", t->sack, "scale", t->scale, "snd_scale", t->snd_scale,
                          "rcv_scale", t->rcv_scale, "recovering", t->recovering);
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {
        {"backoff", t->backoff}, {"retries", t->retries},     {"duplicates", t->duplicates},
        {"mss", t->mss},         {"rcv_mss", t->rcv_mss},     {"cwnd", t->cwnd},
        {"srtt_us", t->srtt_us}, {"rttvar_us", t->rttvar_us}, {"rto_us", t->rto_us},
        {"snd_wnd", t->snd_wnd}, {"rcv_wnd", t->rcv_wnd},     {"unacked", t->unacked},
        {"queued", t->queued},   {"kept", t->kept},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        json_object_set_new(o, numbers[i].name, json_integer(numbers[i].value));
    if (t->ssthresh < UINT32_MAX / 2) /* absent until the first loss */
        json_object_set_new(o, "ssthresh", json_integer(t->ssthresh));
    json_object_set_new(o, "idle_us", json_integer((json_int_t)t->idle_ms * 1000));
    if (*t->timer) {
        json_object_set_new(o, "timer", json_string(t->timer));
        json_object_set_new(o, "timer_us", json_integer((json_int_t)t->timer_ms * 1000));
    }
    return o;
}

json_t *tcp_connections_json(const struct job *job)
{
    json_t *all = json_array();
    json_int_t matched = 0;

    for (unsigned i = 0; i < NODE_WORKERS; i++) {
        const struct node_tcp *tcp = job_lent(job, i);
        matched += tcp ? tcp->matched : 0;
        for (uint32_t k = 0; tcp && k < tcp->n; k++)
            json_array_append_new(all, info_json(&tcp->info[k], i));
    }
    return json_pack("{s:b, s:s, s:I, s:o}", "ok", 1, "address", job->request.address, "matched",
                     matched, "connections", all);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The index's table, clusters, lookups and hints, as people read them. */
#include <string.h>

#include "control/units.h"
#include "tools/coralctl_table.h"

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "-";
}

static unsigned long long number(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (unsigned long long)n : 0;
}

static bool yes(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

/* --- peers --------------------------------------------------------------------------------- */

void table_peers(const json_t *answer, FILE *to)
{
    const json_t *all = json_object_get(answer, "peers"), *peer, *level;
    char rtt[UNITS_TEXT];
    size_t i, j;

    if (json_array_size(all) == 0) {
        fprintf(to, "no other node is known\n");
        return;
    }
    fprintf(to, "%-10s %-30s %-7s %-10s %s\n", "id", "address", "levels", "rtt", "state");
    json_array_foreach(all, i, peer)
    {
        char levels[16] = "";
        size_t at = 0;
        json_array_foreach(json_object_get(peer, "levels"), j, level) if (at < sizeof(levels)) at +=
            (size_t)snprintf(levels + at, sizeof(levels) - at, "%s%d", at ? " " : "",
                             (int)json_integer_value(level));
        fprintf(to, "%-10.8s %-30s %-7s %-10s %s\n", text(peer, "id"), text(peer, "address"),
                levels, units_latency_round(number(peer, "rtt_us"), rtt),
                !yes(peer, "alive")  ? "not alive"
                : !yes(peer, "live") ? "alive, not for DNS"
                                     : "alive");
    }
}

/* --- clusters ------------------------------------------------------------------------------ */

static void cluster_show(const json_t *c, FILE *to)
{
    const json_t *last = json_object_get(c, "last_switch");
    char age[UNITS_TEXT], near[UNITS_TEXT], ago[UNITS_TEXT];
    unsigned long long level = number(c, "level"), size = number(c, "size");

    if (level == 0) {
        fprintf(to, "level 0  the planet            about %llu node%s, %llu known here\n", size,
                plural(size), number(c, "known"));
        return;
    }
    fprintf(
        to,
        "level %llu  %s      about %llu node%s, %llu known here, round trips below %s, %s old\n",
        level, text(c, "cluster"), size, plural(size), number(c, "known"),
        units_latency_round(number(c, "threshold_us"), near),
        units_span_round(number(c, "age_s"), age));
    if (!json_is_object(last))
        return;
    fprintf(to, "         from %s %s ago: %s", text(last, "from"),
            units_span_round(number(last, "ago_s"), ago), text(last, "reason"));
    if (strcmp(text(last, "reason"), "too far") == 0)
        fprintf(to, " (%llu %% of the last %llu answers)", number(last, "share_percent"),
                number(last, "measured"));
    else
        fprintf(to, " (about %llu for %llu, %llu %% of %llu near)", number(last, "to_size"),
                number(last, "from_size"), number(last, "share_percent"), number(last, "measured"));
    fputc('\n', to);
}

void table_clusters(const json_t *answer, FILE *to)
{
    const json_t *c;
    size_t i;

    json_array_foreach(json_object_get(answer, "clusters"), i, c) cluster_show(c, to);
}

/* --- lookups ------------------------------------------------------------------------------- */

void table_lookup(const json_t *answer, FILE *to)
{
    const json_t *hop, *value;
    const char *end = text(answer, "end");
    char a[UNITS_TEXT], b[UNITS_TEXT];
    size_t i;

    fprintf(to, "key %s\n", text(answer, "key"));
    fprintf(to, "%-6s %-10s %-30s %-10s %-5s %s\n", "level", "id", "address", "rtt", "bits",
            "said");
    json_array_foreach(json_object_get(answer, "path"), i, hop)
        fprintf(to, "%-6llu %-10.8s %-30s %-10s %-5llu %s\n", number(hop, "level"), text(hop, "id"),
                text(hop, "address"),
                number(hop, "rtt_us") ? units_latency_round(number(hop, "rtt_us"), a) : "-",
                number(hop, "prefix_bits"), text(hop, "said"));
    if (strcmp(end, "found") != 0) {
        fprintf(to, "%s\n", strcmp(end, "failed") == 0 ? "failed: nobody answered" : end);
        return;
    }
    json_array_foreach(json_object_get(answer, "values"), i, value)
        fprintf(to, "at %-30s for %s, since %s  node %.8s\n", text(value, "address"),
                units_span_round(number(value, "ttl_us") / 1000000, a),
                units_span_round(number(value, "age_us") / 1000000, b), text(value, "node"));
}

/* --- near ---------------------------------------------------------------------------------- */

void table_near(const json_t *answer, FILE *to)
{
    const json_t *all = json_object_get(answer, "nodes"), *node;
    const char *router = text(answer, "router"), *prefix = text(answer, "prefix");
    char rtt[UNITS_TEXT];
    size_t i;

    if (*router != '-')
        fprintf(to, "near %s: found under router %s\n", text(answer, "address"), router);
    else if (*prefix != '-')
        fprintf(to, "near %s: found under %s\n", text(answer, "address"), prefix);
    else if (json_array_size(all) > 0)
        fprintf(to, "nobody is known near %s; near this node, level %llu:\n",
                text(answer, "address"), number(answer, "level"));
    else
        fprintf(to, "nobody is known near %s, and no other node is known\n",
                text(answer, "address"));
    json_array_foreach(all, i, node)
    {
        bool routed = json_object_get(node, "live") != NULL;
        fprintf(to, "%-10.8s %-30s %-10s %s\n", text(node, "id"), text(node, "address"),
                number(node, "rtt_us") ? units_latency_round(number(node, "rtt_us"), rtt) : "-",
                yes(node, "self")             ? "this node"
                : routed && yes(node, "live") ? "alive"
                : routed                      ? "not alive"
                                              : "not in the routing table");
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/coralctl_table.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "control/units.h"

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "-";
}

static uint64_t number(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (uint64_t)n : 0;
}

static double real(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static bool yes(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100 * (double)part / (double)whole : 0;
}

static void status_ports(const json_t *answer, FILE *to)
{
    const json_t *port, *address;
    size_t i, j;

    json_array_foreach(json_object_get(answer, "ports"), i, port)
    {
        uint64_t queues = number(port, "queues");
        fprintf(to, " port %s  %s  %llu queue%s  %schecksum offload ", text(port, "device"),
                text(port, "driver"), (unsigned long long)queues, queues == 1 ? "" : "s",
                yes(port, "tx_checksum") ? "" : "no ");
        json_array_foreach(json_object_get(port, "addresses"), j, address)
            fprintf(to, " %s", json_string_value(address));
        fputc('\n', to);
        if (*text(port, "note") && strcmp(text(port, "note"), "-") != 0)
            fprintf(to, "   %s\n", text(port, "note"));
    }
}

static void status_workers(const json_t *answer, FILE *to)
{
    const json_t *worker;
    size_t i;

    json_array_foreach(json_object_get(answer, "workers"), i, worker)
    {
        fprintf(to, "%s worker %llu", i ? "  " : "", (unsigned long long)number(worker, "worker"));
        if (json_object_get(worker, "busy"))
            fprintf(to, "   busy %.0f %%", 100 * real(worker, "busy"));
    }
    if (i)
        fprintf(to, "   memory in %s\n",
                yes(answer, "hugepages")          ? "hugepages"
                : yes(answer, "packet_hugepages") ? "ordinary pages but for packet buffers"
                                                  : "ordinary pages (no hugepages free)");
}

static void status_http(const json_t *answer, FILE *to)
{
    const json_t *h = json_object_get(answer, "http");
    char rate[UNITS_TEXT], p50[UNITS_TEXT], p99[UNITS_TEXT], total[UNITS_TEXT];
    uint64_t n = number(h, "requests");

    fprintf(to, " http       %s/s   %s request%s   p50 %s  p99 %s   %llu connection%s\n",
            units_count_round(real(h, "rate"), rate), units_count_round((double)n, total),
            plural(n), units_latency_round(number(h, "p50_us"), p50),
            units_latency_round(number(h, "p99_us"), p99),
            (unsigned long long)number(h, "connections"), plural(number(h, "connections")));
    uint64_t served = number(h, "own") + number(h, "peer") + number(h, "origin");
    fprintf(to, "            own %.1f %%  peer %.1f %%  origin %.1f %%",
            percent(number(h, "own"), n), percent(number(h, "peer"), n),
            percent(number(h, "origin"), n));
    if (n > served) /* else nothing, or counters were read while they moved */
        fprintf(to, "  other %.1f %% (errors, uncached, under way)", percent(n - served, n));
    fputc('\n', to);
}

/* Only while something is refused. */
static void status_shed(const json_t *answer, FILE *to)
{
    const json_t *s = json_object_get(answer, "shed");
    uint64_t level = number(s, "level"),
             n = number(s, "fetches") + number(s, "waits") + number(s, "hits");
    char total[UNITS_TEXT];

    if (level > 0)
        fprintf(to, " overload   refuses what is not cached%s%s   %s request%s so far\n",
                level > 1 ? ", what waits" : "", level > 2 ? ", new connections" : "",
                units_count_round((double)n, total), plural(n));
}

static void status_cache(const json_t *answer, FILE *to)
{
    const json_t *c = json_object_get(answer, "cache");
    char used[UNITS_TEXT], bytes[UNITS_TEXT], objects[UNITS_TEXT];

    fprintf(to, " cache      %s of %s   %s object%s\n", units_size_round(number(c, "used"), used),
            units_size_round(number(c, "bytes"), bytes),
            units_count_round((double)number(c, "objects"), objects), plural(number(c, "objects")));
}

static void status_index(const json_t *answer, FILE *to)
{
    const json_t *x = json_object_get(answer, "index"), *member;
    char rtt[UNITS_TEXT];
    size_t i;

    fprintf(to, " index      %llu other node%s alive, id %.8s...\n",
            (unsigned long long)number(x, "alive"), plural(number(x, "alive")), text(x, "id"));
    json_array_foreach(json_object_get(x, "members"), i, member)
        fprintf(to, "   %.8s  %-24s %s%s\n", text(member, "id"), text(member, "address"),
                yes(member, "alive") ? "" : "not alive, ",
                units_latency_round(number(member, "rtt_us"), rtt));
}

static void status_fills(const json_t *answer, FILE *to)
{
    const json_t *fill;
    char bytes[UNITS_TEXT], length[UNITS_TEXT];
    size_t i;

    json_array_foreach(json_object_get(answer, "fills"), i, fill)
        fprintf(to, " filling    %s  %s of %s  from %s\n", text(fill, "url"),
                units_size_round(number(fill, "bytes"), bytes),
                json_integer_value(json_object_get(fill, "length")) < 0
                    ? "unknown length"
                    : units_size_round(number(fill, "length"), length),
                text(fill, "source"));
}

static void status_restart(const json_t *answer, FILE *to)
{
    const json_t *r = json_object_get(answer, "restart");
    char objects[UNITS_TEXT], bytes[UNITS_TEXT], age[UNITS_TEXT], loaded[UNITS_TEXT],
        of[UNITS_TEXT];

    if (!json_is_object(r))
        return;
    if (json_integer_value(json_object_get(r, "age_s")) >= 0)
        fprintf(to, " restart    %s object%s, %s saved %s ago",
                units_count_round((double)number(r, "objects"), objects),
                plural(number(r, "objects")), units_size_round(number(r, "bytes"), bytes),
                units_span_round(number(r, "age_s"), age));
    else
        fprintf(to, " restart    no file yet");
    if (strcmp(text(r, "state"), "idle") != 0)
        fprintf(to, "   %s", text(r, "state"));
    if (number(r, "loaded_of"))
        fprintf(to, "   at the start %s of %s taken over",
                units_count_round((double)number(r, "loaded"), loaded),
                units_count_round((double)number(r, "loaded_of"), of));
    if (number(r, "refused"))
        fprintf(to, ", %llu refused", (unsigned long long)number(r, "refused"));
    fprintf(to, "\n");
    if (*text(r, "error"))
        fprintf(to, "            %s\n", text(r, "error"));
}

static void status_log(const json_t *answer, FILE *to)
{
    const json_t *l = json_object_get(answer, "log");
    char lines[UNITS_TEXT];

    if (!json_is_object(l))
        return;
    fprintf(to, " log        %s %s  %s line%s, %llu dropped\n", text(l, "format"),
            json_object_get(l, "file") ? text(l, "file") : "to the journal",
            units_count_round((double)number(l, "lines"), lines), plural(number(l, "lines")),
            (unsigned long long)number(l, "dropped"));
}

static void status_origins(const json_t *answer, FILE *to)
{
    const json_t *o = json_object_get(answer, "origins");
    uint64_t n = number(o, "origins"), down = number(o, "down"), open = number(o, "open");

    if (n == 0)
        return;
    fprintf(to, " origins    %llu of %llu site%s   ", (unsigned long long)n,
            (unsigned long long)number(o, "sites"), plural(number(o, "sites")));
    if (down || open)
        fprintf(to, "%llu down, %llu left alone: see coralctl origins\n", (unsigned long long)down,
                (unsigned long long)open);
    else
        fprintf(to, "none down\n");
}

static const char *when(const json_t *o, const char *key, char out[static 40])
{
    const time_t at = (time_t)number(o, key);
    struct tm tm;

    out[0] = '\0';
    if (localtime_r(&at, &tm))
        strftime(out, 40, "%F %T", &tm);
    return out;
}

/* What an operator loaded last, and what he could not. */
static void status_rules(const json_t *answer, FILE *to)
{
    const json_t *r = json_object_get(answer, "rules");
    uint64_t n = number(r, "rules");
    char at[40];

    if (*text(r, "file") && strcmp(text(r, "file"), "-") != 0)
        fprintf(to, " rules      %llu rule%s   %.8s, since %s\n", (unsigned long long)n, plural(n),
                text(r, "hash"), when(r, "since", at));
    if (json_object_get(r, "refused"))
        fprintf(to, " rules      refused at %s: %s\n", when(r, "refused", at), text(r, "error"));
}

/* Keys of the configuration, if there are any. */
static void restart_put(const char *before, const json_t *keys, FILE *to)
{
    const json_t *key;
    size_t i;

    if (json_array_size(keys) == 0)
        return;
    fprintf(to, "%sneeds a restart, and is as it was: ", before);
    json_array_foreach(keys, i, key) fprintf(to, "%s%s", i ? ", " : "", json_string_value(key));
    fputc('\n', to);
}

static void status_config(const json_t *answer, FILE *to)
{
    const json_t *c = json_object_get(answer, "config");
    uint64_t n = number(c, "errors");
    char at[40];

    restart_put(" config     ", json_object_get(c, "restart"), to);
    if (json_object_get(c, "refused"))
        fprintf(to, " config     reload refused at %s: %llu error%s in %s\n",
                when(c, "refused", at), (unsigned long long)n, plural(n), text(c, "file"));
}

void table_status(const json_t *answer, FILE *to)
{
    char up[UNITS_TEXT], rate[UNITS_TEXT];
    const json_t *dns = json_object_get(answer, "dns");

    fprintf(to, "node %s (corald %s, DPDK %s)  up %s  %s\n", text(answer, "name"),
            text(answer, "version"), text(answer, "dpdk"),
            units_span_round(number(answer, "uptime_s"), up), text(answer, "state"));
    status_ports(answer, to);
    status_workers(answer, to);
    status_http(answer, to);
    status_shed(answer, to);
    status_origins(answer, to);
    status_rules(answer, to);
    status_config(answer, to);
    status_cache(answer, to);
    status_restart(answer, to);
    status_log(answer, to);
    status_index(answer, to);
    if (json_is_object(dns))
        fprintf(to, " dns        %s/s   zone %s, %llu %s named\n",
                units_count_round(real(dns, "rate"), rate), text(dns, "zone"),
                (unsigned long long)number(dns, "members"),
                number(dns, "members") == 1 ? "proxy" : "proxies");
    status_fills(answer, to);
}

void table_stats(const json_t *answer, const char *word, bool all, FILE *to)
{
    json_t *counters = json_object_get(answer, "counters");
    const char *name;
    json_t *counter;
    unsigned shown = 0;

    json_object_foreach(counters, name, counter)
    {
        json_t *value = json_object_get(counter, "value"), *each;
        size_t i;
        if ((word && !strstr(name, word)) || (!all && json_integer_value(value) == 0))
            continue;
        fprintf(to, "%-38s %16llu  %s\n", name, (unsigned long long)json_integer_value(value),
                text(counter, "text"));
        json_array_foreach(json_object_get(counter, "workers"), i, each) fprintf(
            to, "  worker %-29zu %16llu\n", i, (unsigned long long)json_integer_value(each));
        shown++;
    }
    if (shown == 0)
        fprintf(to, "no counter%s%s%s\n", word ? " holds \"" : " to show", word ? word : "",
                word ? (all ? "\"" : "\" and is not 0; --all shows the others too") : "");
}

static void origin_breaker(const json_t *o, FILE *to)
{
    char since[UNITS_TEXT], retry[UNITS_TEXT];
    uint64_t open = number(o, "workers") - number(o, "workers_closed");

    if (number(o, "since_us") == 0) {
        fprintf(to, "not asked yet");
        return;
    }
    fprintf(to, "%s for %s", text(o, "breaker"),
            units_span_round(number(o, "since_us") / 1000000, since));
    if (open && number(o, "workers") > 1)
        fprintf(to, " at %llu of %llu workers", (unsigned long long)open,
                (unsigned long long)number(o, "workers"));
    if (number(o, "retry_us"))
        fprintf(to, ", tried again in %s", units_latency_round(number(o, "retry_us"), retry));
}

void table_origins(const json_t *answer, FILE *to)
{
    const json_t *all = json_object_get(answer, "origins"), *o;
    const char *site = "";
    size_t i;

    json_array_foreach(all, i, o)
    {
        if (strcmp(site, text(o, "site")) != 0)
            fprintf(to, "%s\n", text(o, "site"));
        site = text(o, "site");
        fprintf(to, "  %-32s ", text(o, "origin"));
        if (number(o, "weight"))
            fprintf(to, "weight %llu  ", (unsigned long long)number(o, "weight"));
        else if (yes(o, "backup"))
            fprintf(to, "backup  ");
        if (strcmp(text(o, "health"), "-") != 0)
            fprintf(to, "%s  ", text(o, "health"));
        origin_breaker(o, to);
        fprintf(to, "  %llu in flight", (unsigned long long)number(o, "in_flight"));
        if (number(o, "waiting"))
            fprintf(to, ", %llu waiting", (unsigned long long)number(o, "waiting"));
        if (number(o, "failures"))
            fprintf(to, ", %llu failure%s in a row", (unsigned long long)number(o, "failures"),
                    plural(number(o, "failures")));
        fputc('\n', to);
        if (json_object_get(o, "why"))
            fprintf(to, "    %s\n", text(o, "why"));
    }
    if (number(answer, "matched") > json_array_size(all))
        fprintf(to, "and %llu more; name a site\n",
                (unsigned long long)(number(answer, "matched") - json_array_size(all)));
    else if (json_array_size(all) == 0)
        fprintf(to, "no sites; there is open mode alone\n");
}

/* A rate, and behind it what a share is, if one is set. */
static void share_rates(double requests, double bytes, FILE *to)
{
    char size[UNITS_TEXT];
    fprintf(to, "%10.1f %12s", requests, units_size_round((uint64_t)bytes, size));
}

void table_shares(const json_t *answer, FILE *to)
{
    const json_t *all = json_object_get(answer, "sites"), *s;
    size_t i;

    if (!yes(answer, "metered")) {
        fprintf(to, "no site has a share: nothing is counted (sites.*.share, open.share)\n");
        return;
    }
    fprintf(to, "%llu node%s of about %llu heard beside this one; a second:\n",
            (unsigned long long)number(answer, "heard"), plural(number(answer, "heard")),
            (unsigned long long)number(answer, "nodes"));
    fprintf(to, "%-28s %10s %12s %10s %12s %10s %12s %8s\n", "site", "here: req", "bytes",
            "all: req", "bytes", "share: req", "bytes", "served");
    json_array_foreach(all, i, s)
    {
        double limit = json_number_value(json_object_get(s, "share_requests_s"));
        double bytes = json_number_value(json_object_get(s, "share_bytes_s"));
        char size[UNITS_TEXT] = "-", count[24] = "-";
        fprintf(to, "%-28s ", text(s, "site"));
        share_rates(json_number_value(json_object_get(s, "requests_s")),
                    json_number_value(json_object_get(s, "bytes_s")), to);
        fputc(' ', to);
        share_rates(json_number_value(json_object_get(s, "network_requests_s")),
                    json_number_value(json_object_get(s, "network_bytes_s")), to);
        if (limit > 0)
            snprintf(count, sizeof(count), "%.0f", limit);
        if (bytes > 0)
            units_size_round((uint64_t)bytes, size);
        fprintf(to, " %10s %12s %7.1f%%\n", count, size,
                100 * json_number_value(json_object_get(s, "served")));
    }
    if (number(answer, "matched") > json_array_size(all))
        fprintf(to, "and %llu more, used less\n",
                (unsigned long long)(number(answer, "matched") - json_array_size(all)));
}

void table_stop(const json_t *answer, FILE *to)
{
    uint64_t cut = number(answer, "cut");

    if (!yes(answer, "stopped"))
        fprintf(to, "stopping\n");
    else if (cut)
        fprintf(to, "stopped; %llu connection%s did not end in time and %s cut\n",
                (unsigned long long)cut, plural(cut), cut == 1 ? "was" : "were");
    else
        fprintf(to, "stopped\n");
}

void table_reload(const json_t *answer, FILE *to)
{
    uint64_t sites = number(answer, "sites");

    if (json_object_get(answer, "warnings"))
        fputs(text(answer, "warnings"), stderr);
    fprintf(to, "%s: in force, %llu site%s\n", text(answer, "file"), (unsigned long long)sites,
            plural(sites));
    restart_put("", json_object_get(answer, "restart"), to);
}

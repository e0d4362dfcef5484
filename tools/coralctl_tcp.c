/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP's counters and connections, and draining, as people read them. */
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

static double in_ms(const json_t *o, const char *key)
{
    return (double)number(o, key) / 1000;
}

/* --- counters ------------------------------------------------------------------------------ */

void table_tcp_counters(const json_t *answer, bool all, FILE *to)
{
    const json_t *group, *counter;
    size_t i, j;

    json_array_foreach(json_object_get(answer, "groups"), i, group)
    {
        bool named = false;
        json_array_foreach(json_object_get(group, "counters"), j, counter)
        {
            if (!all && number(counter, "value") == 0)
                continue;
            if (!named)
                fprintf(to, "%s\n", text(group, "group"));
            named = true;
            fprintf(to, " %-34s %14llu  %s\n", text(counter, "name"), number(counter, "value"),
                    text(counter, "text"));
        }
    }
}

/* --- connections --------------------------------------------------------------------------- */

static void connection_path(const json_t *c, FILE *to)
{
    fprintf(to, "   cwnd %llu", number(c, "cwnd"));
    if (json_object_get(c, "ssthresh"))
        fprintf(to, " ssthresh %llu", number(c, "ssthresh"));
    fprintf(to, "  mss %llu (peer's %llu)", number(c, "mss"), number(c, "rcv_mss"));
    if (number(c, "srtt_us"))
        fprintf(to, "  rtt %.3f/%.3f ms", in_ms(c, "srtt_us"), in_ms(c, "rttvar_us"));
    fprintf(to, "  rto %.0f ms  %s%s%s", in_ms(c, "rto_us"), text(c, "controller"),
            yes(c, "timestamps") ? " ts" : "", yes(c, "sack") ? " sack" : "");
    if (yes(c, "scale"))
        fprintf(to, " wscale %llu,%llu", number(c, "snd_scale"), number(c, "rcv_scale"));
    fputc('\n', to);
}

static void connection_now(const json_t *c, FILE *to)
{
    fprintf(to, "   unacked %llu  queued %llu  kept %llu  sndwnd %llu  rcvwnd %llu",
            number(c, "unacked"), number(c, "queued"), number(c, "kept"), number(c, "snd_wnd"),
            number(c, "rcv_wnd"));
    if (number(c, "retries") || number(c, "backoff"))
        fprintf(to, "  retries %llu backoff %llu", number(c, "retries"), number(c, "backoff"));
    if (number(c, "duplicates"))
        fprintf(to, "  dupacks %llu", number(c, "duplicates"));
    fprintf(to, "%s  idle %.1f s", yes(c, "recovering") ? "  recovering" : "",
            in_ms(c, "idle_us") / 1000);
    if (json_object_get(c, "timer"))
        fprintf(to, "  timer %s %.0f ms", text(c, "timer"), in_ms(c, "timer_us"));
    fputc('\n', to);
}

void table_tcp(const json_t *answer, FILE *to)
{
    const json_t *all = json_object_get(answer, "connections"), *c;
    unsigned long long matched = number(answer, "matched");
    size_t i;

    json_array_foreach(all, i, c)
    {
        fprintf(to, "%-12s %s %s %s  worker %llu\n", text(c, "state"), text(c, "local"),
                yes(c, "passive") ? "<-" : "->", text(c, "remote"), number(c, "worker"));
        connection_path(c, to);
        connection_now(c, to);
    }
    if (matched == 0)
        fprintf(to, "no connection to %s\n", text(answer, "address"));
    else if (matched > json_array_size(all))
        fprintf(to, "%llu more are not shown; a port narrows it down: ADDRESS:PORT\n",
                matched - json_array_size(all));
}

/* --- draining ------------------------------------------------------------------------------ */

void table_drain(const json_t *answer, unsigned seconds, FILE *to)
{
    unsigned long long n = number(answer, "connections"), r = number(answer, "requests");
    unsigned long long cut = number(answer, "cut");

    if (strcmp(text(answer, "state"), "draining") == 0)
        fprintf(to, "[%3us] %llu connection%s left, %llu request%s in flight; cut in %llu s\n",
                seconds, n, plural(n), r, plural(r),
                (number(answer, "left_us") + 999999) / 1000000);
    else if (cut)
        fprintf(to, "[%3us] drained; %llu connection%s did not end in time and %s cut\n", seconds,
                cut, plural(cut), cut == 1 ? "was" : "were");
    else
        fprintf(to, "[%3us] drained; nothing was cut\n", seconds);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "perf/compare.h"
#include "perf/document.h"
#include "perf/perf.h"
#include "perf/plot.h"
#include "perf/profile.h"
#include "perf/rivals.h"

const struct perf_command perf_commands[PERF_COMMANDS] = {
    [PERF_ECHO] = {"echo", echo_run},    [PERF_HTTP] = {"http", http_run},
    [PERF_DNS] = {"dns", dns_run},       [PERF_TCP] = {"tcp", tcp_run},
    [PERF_DHT] = {"dht", dht_run},       [PERF_CACHE] = {"cache", cache_run},
    [PERF_MAC] = {"mac", mac_run},       [PERF_RULES] = {"rules", rules_run},
    [PERF_FLASH] = {"flash", flash_run},
};

int main(int argc, char **argv)
{
    struct perf_options o;
    bool good;

    if (argc > 1 && strcmp(argv[1], "compare") == 0)
        return compare_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "plot") == 0)
        return plot_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "profile") == 0)
        return profile_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "rivals") == 0)
        return rivals_main(argc - 1, argv + 1);
    json_t *command = document_command(argc, argv);
    int status = perf_read_options(argc, argv, &o);
    if (status >= 0) {
        json_decref(command);
        return status;
    }
    if (o.calibrate && !perf_find_rate(&o)) {
        json_decref(command);
        return STATUS_FAILED;
    }
    json_t *found = NULL;
    json_t *results = o.find_max ? perf_find_max(&o, &found, &good) : perf_repeat(&o, &good);
    json_t *summary = json_array_size(results) > 1 && !found ? document_summary(results) : NULL;
    for (unsigned i = 0; i < o.requirements && json_array_size(results) > 0; i++)
        good = require_check(&o.requirement[i], results) && good;
    if (summary && !o.json)
        document_print_summary(summary, (unsigned)json_array_size(results));
    if (o.json && json_array_size(results) > 0) {
        json_t *d = document_make(json_incref(command), perf_commands[o.command].name,
                                  json_incref(results));
        if (summary)
            json_object_set(d, "summary", summary);
        if (found)
            json_object_set(d, "find_max", found);
        document_print(d);
        json_decref(d);
    }
    json_decref(summary);
    json_decref(found);
    json_decref(results);
    json_decref(command);
    return good ? STATUS_DONE : STATUS_FAILED;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* coral-sim: the index on a planet in a box. coral-sim(1). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim/liar.h"
#include "tools/sim/scenario.h"
#include "version.h"

static void usage(FILE *f)
{
    fprintf(f, "usage: coral-sim --scenario NAME [--nodes N] [--seed S] [--json[=FILE]] ...\n"
               "  --nodes N        of the world (1 to 1000000)\n"
               "  --seed S         the same seed gives the same run, event for event\n"
               "  --b BITS         bits of the prefix corrected a hop, at level 0 (1 to 3)\n"
               "  --levels N       1: one flat index; 3: with clusters\n"
               "  --keys N         keys that are put\n"
               "  --minutes N      of virtual time\n"
               "  --liars PERCENT  of the members, that lie\n"
               "  --lie WHAT       this lie alone: dead referral frame ring cluster values keeper\n"
               "                   coordinate news, or all of them mixed\n"
               "  --without WHAT   a mitigation off: hedge unreachable direct runner timeouts "
               "copies\n                   relay\n"
               "  --one-way PERCENT  of pairs, that reach each other in one direction only\n"
               "  --alone          no Kademlia beside hops, latency, hammer and churn\n"
               "  --json[=FILE]    what was found, as JSON; without FILE on standard output\n"
               "  --quiet          no progress\n"
               "scenarios:\n");
    for (unsigned i = 0; i < scenarios_n; i++)
        fprintf(f, "  %-9s %s (%u nodes)\n", scenarios[i].name, scenarios[i].what,
                scenarios[i].nodes);
}

static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    bool digit = *text >= '0' && *text <= '9'; /* strtoull takes "-1" for the largest */
    if (!digit || errno || *end || v < least || v > most) {
        fprintf(stderr, "coral-sim: --%s: \"%s\" is not a number from %llu to %llu\n", option, text,
                (unsigned long long)least, (unsigned long long)most);
        exit(2);
    }
    return v;
}

static const struct scenario *find(const char *name)
{
    for (unsigned i = 0; i < scenarios_n; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    fprintf(stderr, "coral-sim: there is no scenario \"%s\"; --help names them\n", name);
    exit(2);
}

static bool mitigation_known(const char *name)
{
    static const char *const known[] = {"hedge",    "unreachable", "direct", "runner",
                                        "timeouts", "copies",      "relay"};
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return false;
}

static void replay_line(int argc, char *const *argv, const struct sim_options *o)
{
    bool seeded = false;
    fprintf(stderr, "replay it:");
    for (int i = 0; i < argc; i++) {
        seeded |= strncmp(argv[i], "--seed", 6) == 0;
        fprintf(stderr, " %s", argv[i]);
    }
    if (!seeded)
        fprintf(stderr, " --seed %llu", (unsigned long long)o->seed);
    fprintf(stderr, "\n");
}

/* What is to be run. */
struct order {
    struct sim_options options;
    const struct scenario *scenario;
    const char *json; /* the file of the report, "-" for standard output, NULL: none */
    uint32_t given;   /* a bit an option */
};

enum {
    NODES = 1,
    SEED,
    SCENARIO,
    JSON,
    B,
    LEVELS,
    KEYS,
    MINUTES,
    LIARS,
    LIE,
    ONE_WAY,
    WITHOUT,
    ALONE,
    QUIET,
    HELP,
    VERSION
};

static const struct option options[] = {{"nodes", required_argument, NULL, NODES},
                                        {"seed", required_argument, NULL, SEED},
                                        {"scenario", required_argument, NULL, SCENARIO},
                                        {"json", optional_argument, NULL, JSON},
                                        {"b", required_argument, NULL, B},
                                        {"levels", required_argument, NULL, LEVELS},
                                        {"keys", required_argument, NULL, KEYS},
                                        {"minutes", required_argument, NULL, MINUTES},
                                        {"liars", required_argument, NULL, LIARS},
                                        {"lie", required_argument, NULL, LIE},
                                        {"one-way", required_argument, NULL, ONE_WAY},
                                        {"without", required_argument, NULL, WITHOUT},
                                        {"alone", no_argument, NULL, ALONE},
                                        {"quiet", no_argument, NULL, QUIET},
                                        {"help", no_argument, NULL, HELP},
                                        {"version", no_argument, NULL, VERSION},
                                        {0}};

/* Ends the process where there is nothing to run: 0 when that was asked for, 2 for a mistake. */
static void option_take(struct order *order, int c)
{
    struct sim_options *o = &order->options;
    order->given |= c > 0 && c < 32 ? 1u << c : 0;
    switch (c) {
    case NODES:
        o->nodes = (uint32_t)number("nodes", optarg, 1, 1000000);
        break;
    case SEED:
        o->seed = number("seed", optarg, 0, UINT64_MAX);
        break;
    case SCENARIO:
        order->scenario = find(optarg);
        break;
    case JSON:
        order->json = optarg ? optarg : "-";
        break;
    case B:
        o->b = (unsigned)number("b", optarg, 1, 3);
        break;
    case LEVELS:
        o->levels = (unsigned)number("levels", optarg, 1, DHT_LEVELS);
        break;
    case KEYS:
        o->keys = (uint32_t)number("keys", optarg, 1, 1u << 24);
        break;
    case MINUTES:
        o->minutes = number("minutes", optarg, 1, 100000);
        break;
    case LIARS:
        o->liar_percent = (uint32_t)number("liars", optarg, 1, 90);
        break;
    case LIE:
        o->lie = optarg;
        if (!lie_named(optarg, &(enum lie){0})) {
            fprintf(stderr, "coral-sim: --lie: there is no lie \"%s\"\n", optarg);
            exit(2);
        }
        break;
    case ONE_WAY:
        o->one_way_percent = (uint32_t)number("one-way", optarg, 1, 50);
        break;
    case WITHOUT:
        o->without = optarg;
        if (!mitigation_known(optarg)) {
            fprintf(stderr, "coral-sim: --without: there is no mitigation \"%s\"\n", optarg);
            exit(2);
        }
        break;
    case ALONE:
        o->alone = true;
        break;
    case QUIET:
        o->quiet = true;
        break;
    case HELP:
        usage(stdout);
        exit(0);
    case VERSION:
        printf("coral-sim %s (%s)\n", CORAL_VERSION, CORAL_REVISION);
        exit(0);
    default:
        usage(stderr);
        exit(2);
    }
}

static bool is_word_of(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
            return true;
    return false;
}

/* What would change nothing is a mistake: somebody believes that it did. */
static void order_check(const struct order *order)
{
    const struct scenario *s = order->scenario;
    for (const struct option *o = options; o->name; o++)
        if (order->given >> o->val & 1 && !is_word_of("nodes seed scenario json quiet", o->name) &&
            !is_word_of(s->takes, o->name)) {
            fprintf(stderr, "coral-sim: --%s changes nothing in scenario %s; it takes %s\n",
                    o->name, s->name, s->takes);
            exit(2);
        }
}

static struct order order_read(int argc, char **argv)
{
    struct order order = {.options.seed = 20040329};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        option_take(&order, c);
    if (optind == argc && order.scenario) {
        order_check(&order);
        if (order.options.nodes == 0)
            order.options.nodes = order.scenario->nodes;
        return order;
    }
    if (optind < argc)
        fprintf(stderr, "coral-sim: \"%s\" is no option\n", argv[optind]);
    else
        fprintf(stderr, "coral-sim: which --scenario?\n");
    usage(stderr);
    exit(2);
}

/* Better known now than after an hour. */
static bool can_be_written(const char *json)
{
    if (strcmp(json, "-") == 0)
        return true;
    FILE *f = fopen(json, "a");
    return f && fclose(f) == 0;
}

int main(int argc, char **argv)
{
    struct order order = order_read(argc, argv);
    const char *json = order.json;
    if (json && !can_be_written(json)) {
        fprintf(stderr, "coral-sim: %s: %s\n", json, strerror(errno));
        return 2;
    }
    json_t *report = report_create(argc, argv, order.options.seed);
    json_object_set_new(report, "scenario", json_string(order.scenario->name));
    bool good = order.scenario->run(&order.options, report);
    json_object_set_new(report, "good", json_boolean(good));
    json_object_set_new(report, "broken", scenario_broken());
    report_say(report, json && strcmp(json, "-") == 0 ? stderr : stdout);
    fflush(stdout);
    if (!good)
        replay_line(argc, argv, &order.options);
    if (json && !report_write(report, json)) {
        fprintf(stderr, "coral-sim: %s: %s\n", json, strerror(errno));
        good = false;
    }
    json_decref(report);
    return good ? 0 : 1;
}

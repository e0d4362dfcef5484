/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of coral-hop. Each has one place in the table, which says what its value looks like. */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hop_options.h"
#include "version.h"

#define FRAMES_DEFAULT 32768

static const char usage[] =
    "usage: coral-hop [options] INTERFACE-A INTERFACE-B\n"
    "\n"
    "A lossy, slow link between two network interfaces. Options before --ab and --ba are for both\n"
    "directions, those behind --ab for frames from A to B, behind --ba for B to A.\n"
    "\n"
    "  --delay TIME         e.g. 10ms, 250us, 1s         --loss PERCENT       e.g. 1%, 0.01%\n"
    "  --jitter TIME        up to so much more           --duplicate PERCENT\n"
    "  --rate BITS          a second: 200Mbit, 64kbit    --corrupt PERCENT    a bit flips\n"
    "  --buffer BYTES       before the rate: 500000,     --reorder PERCENT    are held back\n"
    "                       64KiB                        --reorder-by TIME    for so long (1ms)\n"
    "  --burst-enter PERCENT, --burst-leave PERCENT, --burst-loss PERCENT (100%)\n"
    "                       Gilbert's bursts of loss\n"
    "  --drop LIST          lose these frames: 3,8-10    --drop-over BYTES    count longer ones\n"
    "\n"
    "  --seed N             the same seed, the same fates (default: drawn, and told)\n"
    "  --frames N           in flight a direction at most (default 32768)\n"
    "  --json               counters as JSON\n"
    "  --help, --version\n"
    "\n"
    "Counters go to standard output at SIGTERM and SIGINT, which end it, and at SIGUSR1. Turn\n"
    "offloads off at both far ends (ethtool -K IF tx off tso off gso off gro off). Exit status:\n"
    "0 done, 1 failed, 2 wrong usage, 5 not permitted. More: coral-hop(1).\n";

struct unit {
    const char *name;
    double factor;
};

enum kind { KIND_TIME, KIND_CHANCE, KIND_RATE, KIND_BYTES, KINDS };

static const struct {
    const char *example;
    double max; /* in the kind's base unit */
    struct unit unit[9];
} kinds[KINDS] = {
    [KIND_TIME] = {"no time from 0 to 60s; write it like 10ms or 250us",
                   60e9,
                   {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}},
    [KIND_CHANCE] = {"no share from 0% to 100%; write it like 1% or 0.05%",
                     (double)HOP_ALWAYS,
                     {{"%", (double)HOP_ALWAYS / 100}}},
    [KIND_RATE] = {"no rate up to 100Gbit; write it like 200Mbit or 64kbit (bits a second)",
                   100e9,
                   {{"bit", 1}, {"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}}},
    [KIND_BYTES] = {"no size up to 4GiB; write it like 500000, 64KiB or 1MiB",
                    4294967296.0,
                    {{"", 1},
                     {"B", 1},
                     {"kB", 1e3},
                     {"MB", 1e6},
                     {"KiB", 1024},
                     {"MiB", 1048576},
                     {"GiB", 1073741824}}},
};

#define WAY(name, kind, field)                                                                     \
    {                                                                                              \
        name, kind, offsetof(struct hop_config, field)                                             \
    }
static const struct {
    const char *name;
    enum kind kind;
    size_t at;
} values[] = {
    WAY("delay", KIND_TIME, delay_ns),
    WAY("jitter", KIND_TIME, jitter_ns),
    WAY("loss", KIND_CHANCE, loss),
    WAY("burst-enter", KIND_CHANCE, burst_enter),
    WAY("burst-leave", KIND_CHANCE, burst_leave),
    WAY("burst-loss", KIND_CHANCE, burst_loss),
    WAY("reorder", KIND_CHANCE, reorder),
    WAY("reorder-by", KIND_TIME, reorder_ns),
    WAY("duplicate", KIND_CHANCE, duplicate),
    WAY("corrupt", KIND_CHANCE, corrupt),
    WAY("rate", KIND_RATE, rate_bps),
    WAY("buffer", KIND_BYTES, buffer_bytes),
};
#define VALUES (sizeof(values) / sizeof(values[0]))

enum {
    OTHER_AB = VALUES,
    OTHER_BA,
    OTHER_DROP,
    OTHER_DROP_OVER,
    OTHER_SEED,
    OTHER_FRAMES,
    OTHER_JSON,
    OTHER_HELP,
    OTHER_VERSION,
    OPTIONS
};
static const struct option others[] = {
    {"ab", no_argument, NULL, OTHER_AB},
    {"ba", no_argument, NULL, OTHER_BA},
    {"drop", required_argument, NULL, OTHER_DROP},
    {"drop-over", required_argument, NULL, OTHER_DROP_OVER},
    {"seed", required_argument, NULL, OTHER_SEED},
    {"frames", required_argument, NULL, OTHER_FRAMES},
    {"json", no_argument, NULL, OTHER_JSON},
    {"help", no_argument, NULL, OTHER_HELP},
    {"version", no_argument, NULL, OTHER_VERSION},
};

static int refuse(const char *option, const char *value, const char *why)
{
    fprintf(stderr, "coral-hop: --%s: \"%s\" is %s\n", option, value, why);
    return HOP_USAGE;
}

static bool read_value(const char *text, enum kind kind, uint64_t *out)
{
    char *end;

    if ((*text < '0' || *text > '9') && *text != '.') /* strtod knows more than we want */
        return false;
    double v = strtod(text, &end);
    for (const struct unit *u = kinds[kind].unit; u->name; u++)
        if (strcmp(end, u->name) == 0 && v * u->factor <= kinds[kind].max) {
            *out = (uint64_t)(v * u->factor + 0.5);
            return true;
        }
    return *text == '0' && end == text + 1 && *end == 0 && (*out = 0, true);
}

static bool read_number(const char *text, uint64_t low, uint64_t high, uint64_t *out, char **end)
{
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, end, 10);
    return errno == 0 && *out >= low && *out <= high;
}

/* "3,8-10": ascending numbers and ranges. */
static bool read_list(const char *text, struct hop_config *c)
{
    uint64_t first, last, past = 0;
    char *end = (char *)text;

    for (c->drops = 0; c->drops < HOP_DROPS; end++) {
        if (!read_number(end, past + 1, UINT32_MAX, &first, &end))
            return false;
        last = first;
        if (*end == '-' && !read_number(end + 1, first, UINT32_MAX, &last, &end))
            return false;
        c->drop[c->drops++] = (struct hop_range){(uint32_t)first, (uint32_t)last};
        past = last;
        if (*end != ',')
            return *end == 0;
    }
    return false;
}

/* An option that is not in `values`; `to` has a bit for each direction meant. */
static int read_other(struct hop_options *o, int option, const char *arg, unsigned to)
{
    char *end = NULL;
    uint64_t n = 0;

    for (unsigned i = 0; i < 2; i++) {
        if (!(to >> i & 1))
            continue;
        if (option == OTHER_DROP && !read_list(arg, &o->way[i]))
            return refuse("drop", arg,
                          "no ascending list of at most 32 numbers and ranges, like 3,8-10");
        if (option == OTHER_DROP_OVER) {
            if (!read_value(arg, KIND_BYTES, &n) || n > 65535)
                return refuse("drop-over", arg, "no size of a frame; write it like 100");
            o->way[i].drop_over = (uint32_t)n;
        }
    }
    if (option == OTHER_SEED) {
        o->seed_given = true;
        if (!read_number(arg, 0, UINT64_MAX, &o->seed, &end) || *end)
            return refuse("seed", arg, "no number from 0 to 18446744073709551615");
    }
    if (option == OTHER_FRAMES) {
        if (!read_number(arg, 1, 1 << 22, &n, &end) || *end)
            return refuse("frames", arg, "no number from 1 to 4194304");
        o->frames = (uint32_t)n;
    }
    o->json |= option == OTHER_JSON;
    if (option == OTHER_HELP)
        fputs(usage, stdout);
    if (option == OTHER_VERSION)
        printf("coral-hop %s (%s)\n", CORAL_VERSION, CORAL_REVISION);
    return option == OTHER_HELP || option == OTHER_VERSION ? HOP_DONE : -1;
}

static int read_interfaces(int argc, char **argv, struct hop_options *o)
{
    if (argc - optind != 2) {
        fprintf(stderr,
                "coral-hop: %d interface%s given, two are needed: coral-hop [options] A B; "
                "--help shows all\n",
                argc - optind, argc - optind == 1 ? "" : "s");
        return HOP_USAGE;
    }
    for (unsigned i = 0; i < 2; i++) {
        o->interface[i] = argv[optind + (int)i];
        if (strlen(o->interface[i]) >= IFNAMSIZ || !*o->interface[i]) {
            fprintf(stderr, "coral-hop: \"%.40s\" is no name of an interface; ip link lists them\n",
                    o->interface[i]);
            return HOP_USAGE;
        }
    }
    if (strcmp(o->interface[0], o->interface[1]) == 0) {
        fprintf(stderr, "coral-hop: %s is named twice; a hop is between two interfaces\n",
                o->interface[0]);
        return HOP_USAGE;
    }
    return -1;
}

/* What only means something beside something else. */
static int check_together(const struct hop_options *o)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct hop_config *c = &o->way[i];
        const char *wrong = NULL;
        if (c->buffer_bytes && !c->rate_bps)
            wrong = "--buffer: nothing waits without a --rate; give one";
        else if (c->rate_bps && c->buffer_bytes && c->buffer_bytes < 1514)
            wrong = "--buffer: holds not even one frame; give 1514 bytes or more";
        else if (c->burst_enter && !c->burst_leave)
            wrong = "--burst-enter: the first burst would never end; give --burst-leave";
        if (wrong) {
            fprintf(stderr, "coral-hop: %s\n", wrong);
            return HOP_USAGE;
        }
    }
    return -1;
}

int hop_options_read(int argc, char **argv, struct hop_options *o)
{
    struct option options[OPTIONS + 1] = {0};
    unsigned to = 3;

    for (unsigned i = 0; i < VALUES; i++)
        options[i] = (struct option){values[i].name, required_argument, NULL, (int)i};
    memcpy(options + VALUES, others, sizeof(others));
    *o = (struct hop_options){.frames = FRAMES_DEFAULT};
    for (unsigned i = 0; i < 2; i++) {
        o->way[i].reorder_ns = 1000000;
        o->way[i].burst_loss = HOP_ALWAYS;
    }
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?')
            return HOP_USAGE; /* getopt has said what */
        if (c == OTHER_AB || c == OTHER_BA) {
            to = c == OTHER_AB ? 1 : 2;
        } else if (c < (int)VALUES) {
            uint64_t v;
            if (!read_value(optarg, values[c].kind, &v))
                return refuse(values[c].name, optarg, kinds[values[c].kind].example);
            for (unsigned i = 0; i < 2; i++)
                if (to >> i & 1)
                    memcpy((char *)&o->way[i] + values[c].at, &v, sizeof(v));
        } else {
            int status = read_other(o, c, optarg, to);
            if (status >= 0)
                return status;
        }
    }
    int status = read_interfaces(argc, argv, o);
    return status >= 0 ? status : check_together(o);
}

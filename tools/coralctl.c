/* SPDX-License-Identifier: BSD-3-Clause */
/* coralctl: asks a running corald over its control socket. See docs/coralctl.1. */
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <jansson.h>
#include <rte_version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "control/nearest.h"
#include "control/request.h"
#include "control/rundir.h"
#include "tools/coralctl_help.h"
#include "tools/coralctl_log.h"
#include "tools/coralctl_node.h"
#include "tools/coralctl_purge.h"
#include "tools/coralctl_rules.h"
#include "tools/coralctl_table.h"
#include "tools/coralctl_trace.h"
#include "version.h"

#define LOG_OPTION 256 /* and enum access_filter_key: getopt's name of such an option */
#define LOG_US     250000
#define TRACE      "trace" /* our own verb: of what log says */
#define END_S      10      /* from a node's last answer until its process is gone: usually 50 ms */

enum { DONE = 0, FAILED = 1, USAGE = 2, PARTLY = 3, NOT_RUNNING = 4, NOT_PERMITTED = 5 };

struct options {
    const char *name, *socket;
    bool json, no_wait, workers, all;
    struct coralctl_purge purge;
    struct coralctl_log log;
    unsigned seconds; /* since drain was asked for */
    int argc;         /* verb and what follows */
    char **argv;
};

/* A failure of coralctl's own: a line for a person, an object like corald's for a script. */
__attribute__((format(printf, 3, 4))) static int complain(const struct options *o, int status,
                                                          const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (!o->json) {
        fprintf(stderr, "coralctl: %s\n", text);
        return status;
    }
    json_t *told = json_pack("{s:b, s:o, s:i}", "ok", 0, "error",
                             json_string(text) ?: json_string("wrong usage"), "status", status);
    json_dumpf(told, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(told);
    return status;
}

#define USAGE_MORE "; coralctl --help shows all"

/* --- where the socket is ------------------------------------------------------------------- */

/* The one node that is there; several are a question of which. */
static int socket_only(const struct options *o, char out[static 108])
{
    char pattern[RUNDIR_PATH + 32];
    glob_t found;
    size_t nodes = 0;

    snprintf(pattern, sizeof(pattern), "%.80s/*/control.sock", rundir_base());
    glob(pattern, 0, NULL, &found);
    snprintf(pattern, sizeof(pattern), "%.80s/*/*/control.sock", rundir_base());
    glob(pattern, found.gl_pathc ? GLOB_APPEND : 0, NULL, &found);
    for (size_t i = 0; found.gl_pathc > 1 && i < found.gl_pathc; i++)
        if (node_alive(found.gl_pathv[i])) {
            char *killed = found.gl_pathv[nodes];
            found.gl_pathv[nodes++] = found.gl_pathv[i];
            found.gl_pathv[i] = killed;
        }
    if (found.gl_pathc == 1) /* it says itself that nobody answers there */
        nodes = 1;
    int status = DONE;
    if (nodes == 0) {
        status =
            complain(o, NOT_RUNNING, "no node in %s; is corald running? (systemctl status corald)",
                     rundir_base());
    } else if (nodes > 1) {
        size_t base = strlen(rundir_base()) + 1, tail = strlen("/control.sock"), at = 0;
        char names[512] = "";
        for (size_t i = 0; i < nodes && at < sizeof(names); i++)
            at += (size_t)snprintf(names + at, sizeof(names) - at, " %.*s",
                                   (int)(strlen(found.gl_pathv[i]) - base - tail),
                                   found.gl_pathv[i] + base);
        status = complain(o, USAGE, "several nodes are here; name one with -n:%s", names);
    } else {
        snprintf(out, 108, "%s", found.gl_pathv[0]);
    }
    globfree(&found);
    return status;
}

static int socket_path(const struct options *o, char out[static 108])
{
    char folder[RUNDIR_PATH];

    if (o->socket) {
        if (strlen(o->socket) > 107)
            return complain(o, USAGE, "\"%.40s...\" is too long for a socket" USAGE_MORE,
                            o->socket);
        snprintf(out, 108, "%s", o->socket);
        return DONE;
    }
    if (!o->name)
        return socket_only(o, out);
    if (!rundir_name_valid(o->name) || !rundir_path(o->name, folder))
        return complain(o, USAGE, "\"%.70s\" is no name of a node" USAGE_MORE, o->name);
    snprintf(out, 108, "%s/control.sock", folder);
    return DONE;
}

/* --- one question, one answer -------------------------------------------------------------- */

static int ask(const struct options *o, const char *path, const char *question, json_t **answer)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(question), sent = 0;
    json_error_t where;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        int reason = errno;
        if (fd >= 0)
            close(fd);
        if (reason == EACCES || reason == EPERM)
            return complain(o, NOT_PERMITTED, "not permitted to use %s; ask as its owner or root",
                            path);
        return complain(o, NOT_RUNNING,
                        "nobody answers at %s (%s); is corald running? (systemctl status corald)",
                        path, strerror(reason));
    }
    while (sent < len) {
        ssize_t n = send(fd, question + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    FILE *in = fdopen(fd, "r");
    *answer = in ? json_loadf(in, JSON_DISABLE_EOF_CHECK, &where) : NULL;
    if (in)
        fclose(in);
    if (!json_is_object(*answer)) {
        json_decref(*answer);
        *answer = NULL;
        return complain(o, FAILED, "corald at %s went away before it answered", path);
    }
    return DONE;
}

static char *question_make(enum request_verb verb, const struct options *o)
{
    json_t *q = json_pack("{s:s}", "verb", request_words[verb]);
    if (verb == REQUEST_STATS && o->workers)
        json_object_set_new(q, "workers", json_true());
    if (verb == REQUEST_STOP && o->no_wait)
        json_object_set_new(q, "wait", json_false());
    if ((verb == REQUEST_TCP || verb == REQUEST_NEAR) && o->argc > 1)
        json_object_set_new(q, "address", json_string(o->argv[1]));
    if (verb == REQUEST_PURGE)
        purge_question(&o->purge, q);
    if (verb == REQUEST_LOG)
        log_question(&o->log, q);
    if (verb == REQUEST_ORIGINS && o->argc > 1)
        json_object_set_new(q, "site", json_string(o->argv[1]));
    if (verb == REQUEST_RULES)
        rules_question(o->argc, o->argv, q);
    if (verb == REQUEST_LOOKUP)
        json_object_set_new(q, "key", json_string(o->argv[1]));
    char *line = json_dumps(q, JSON_COMPACT), *out = NULL;
    if (line && asprintf(&out, "%s\n", line) < 0)
        out = NULL;
    free(line);
    json_decref(q);
    return out;
}

static int answer_show(enum request_verb verb, const struct options *o, const json_t *answer)
{
    bool ok = json_is_true(json_object_get(answer, "ok"));

    if (ok && verb == REQUEST_LOG && o->log.trace) {
        const json_t *record = trace_found(&o->log, answer);
        if (record)
            trace_show(record, o->json, stdout);
        else if (o->no_wait)
            return complain(o, FAILED, "%s", trace_none(answer));
    } else if (ok && verb == REQUEST_LOG) {
        log_show(answer, o->json, stdout);
        if (o->no_wait && !o->json) /* a script may take both outputs as one */
            log_hint(answer);
    } else if (o->json) { /* of drain several follow one another: a line each */
        json_dumpf(answer, stdout, verb == REQUEST_DRAIN ? JSON_COMPACT : JSON_INDENT(1));
        putchar('\n');
    } else if (!ok) {
        const char *error = json_string_value(json_object_get(answer, "error"));
        fprintf(stderr, "coralctl: %s\n", error ? error : "refused");
    } else {
        switch (verb) {
        case REQUEST_STATUS:
            table_status(answer, stdout);
            break;
        case REQUEST_STATS:
            table_stats(answer, o->argc > 1 ? o->argv[1] : NULL, o->all, stdout);
            break;
        case REQUEST_TCP:
            if (o->argc > 1)
                table_tcp(answer, stdout);
            else
                table_tcp_counters(answer, o->all, stdout);
            break;
        case REQUEST_ORIGINS:
            table_origins(answer, stdout);
            break;
        case REQUEST_SHARES:
            table_shares(answer, stdout);
            break;
        case REQUEST_PEERS:
            table_peers(answer, stdout);
            break;
        case REQUEST_CLUSTERS:
            table_clusters(answer, stdout);
            break;
        case REQUEST_LOOKUP:
            table_lookup(answer, stdout);
            break;
        case REQUEST_NEAR:
            table_near(answer, stdout);
            break;
        case REQUEST_DRAIN:
            table_drain(answer, o->seconds, stdout);
            break;
        case REQUEST_PURGE:
            purge_show(&o->purge, stdout);
            break;
        case REQUEST_RULES:
            rules_show(o->argc > 1 ? o->argv[1] : NULL, answer, stdout);
            break;
        case REQUEST_RELOAD:
            table_reload(answer, stdout);
            break;
        case REQUEST_STOP:
            table_stop(answer, stdout);
            break;
        case REQUEST_LOG:
        case REQUEST_VERBS:
            break;
        }
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return FAILED;
    if (!ok) {
        json_int_t status = json_integer_value(json_object_get(answer, "status"));
        return status > 0 && status <= NOT_PERMITTED ? (int)status : FAILED;
    }
    bool partly = json_integer_value(json_object_get(answer, "cut")) > 0 ||
                  (verb == REQUEST_RELOAD && json_array_size(json_object_get(answer, "restart")));
    return partly ? PARTLY : DONE;
}

/* --- words --------------------------------------------------------------------------------- */

/* An option that the verb does not take is a mistake, perhaps in the verb. */
static int option_foreign(const struct options *o, enum request_verb verb)
{
    bool all =
        verb == REQUEST_STATS || verb == REQUEST_PURGE || (verb == REQUEST_TCP && o->argc == 1);
    bool waits = verb == REQUEST_STOP || verb == REQUEST_DRAIN || verb == REQUEST_LOG;
    bool host = verb == REQUEST_LOG && o->purge.option && strcmp(o->purge.option, "--host") == 0;
    const char *option = o->workers && verb != REQUEST_STATS                 ? "--workers"
                         : o->all && !all                                    ? "--all"
                         : verb != REQUEST_PURGE && o->purge.option && !host ? o->purge.option
                         : verb != REQUEST_LOG && o->log.option              ? o->log.option
                         : o->no_wait && !waits                              ? "--no-wait"
                                                                             : NULL;
    if (!option)
        return DONE;
    return complain(o, USAGE, "%s does not take %s" USAGE_MORE, o->argv[0], option);
}

/* A trace asks as a log does. REQUEST_VERBS: it is none. */
static enum request_verb verb_of(struct options *o, const char *word)
{
    unsigned verb = 0;

    o->log.trace = strcmp(word, TRACE) == 0;
    o->log.latest = o->no_wait;
    if (o->log.trace)
        return REQUEST_LOG;
    while (verb < REQUEST_VERBS && strcmp(word, request_words[verb]) != 0)
        verb++;
    return (enum request_verb)verb;
}

static int verb_unknown(const struct options *o, const char *word)
{
    const char *all[REQUEST_VERBS + 1] = {TRACE};

    memcpy(all + 1, request_words, sizeof(request_words));
    const char *near = nearest_word(word, all, REQUEST_VERBS + 1);
    if (near)
        return complain(o, USAGE, "\"%.40s\" is no verb; did you mean \"%s\"?", word, near);
    return complain(o, USAGE, "\"%.40s\" is no verb; there are " REQUEST_VERBS_TEXT ", and trace",
                    word);
}

static int verb_find(struct options *o, enum request_verb *verb)
{
    static const int most[REQUEST_VERBS] = {1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 3, 1, 1, 1};
    const char *word = o->argc ? o->argv[0] : NULL;

    if (!word)
        return complain(o, USAGE, "%s is missing" USAGE_MORE, "a verb");
    *verb = verb_of(o, word);
    if (*verb == REQUEST_VERBS)
        return verb_unknown(o, word);
    bool wants_url = *verb == REQUEST_LOOKUP;
    if (wants_url && o->argc < 2)
        return complain(o, USAGE, "%s needs a URL or a key" USAGE_MORE, word);
    if (o->argc > most[*verb])
        return complain(o, USAGE, "\"%.40s\" is one word too many" USAGE_MORE,
                        o->argv[most[*verb]]);
    if (wants_url && (!*o->argv[1] || strlen(o->argv[1]) >= REQUEST_URL))
        return complain(o, USAGE, "%s takes a URL of 1 to 4095 bytes" USAGE_MORE, word);
    struct endpoint to;
    if (*verb == REQUEST_TCP && o->argc > 1 && !endpoint_parse(o->argv[1], 0, &to))
        return complain(o, USAGE,
                        "\"%.60s\" is no address; write it like 192.0.2.1, 192.0.2.1:80 or "
                        "[2001:db8::1]:80",
                        o->argv[1]);
    if (*verb == REQUEST_NEAR && o->argc < 2)
        return complain(o, USAGE, "%s needs an address" USAGE_MORE, word);
    const char *why = *verb == REQUEST_PURGE ? purge_wrong(&o->purge) : NULL;
    if (why)
        return complain(o, USAGE, "%s" USAGE_MORE, why);
    char wrong[256];
    if (*verb == REQUEST_RULES && !rules_words(o->argc, o->argv, wrong, sizeof(wrong)))
        return complain(o, USAGE, "%s" USAGE_MORE, wrong);
    if (*verb == REQUEST_LOG &&
        !log_words(&o->log, o->argc > 1 ? o->argv[1] : NULL, wrong, sizeof(wrong)))
        return complain(o, USAGE, "%s", wrong);
    struct addr near;
    if (*verb == REQUEST_NEAR && !addr_parse(o->argv[1], &near))
        return complain(o, USAGE, "\"%.60s\" is no address; write it like 192.0.2.1 or 2001:db8::1",
                        o->argv[1]);
    return option_foreign(o, *verb);
}

static int options_read(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"name", required_argument, NULL, 'n'},
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"no-wait", no_argument, NULL, 'w'},
        {"workers", no_argument, NULL, 'W'},
        {"all", no_argument, NULL, 'a'},
        {"soft", no_argument, NULL, 'S'},
        {"prefix", required_argument, NULL, REQUEST_PURGE_PREFIX},
        {"tag", required_argument, NULL, REQUEST_PURGE_TAG},
        {"host", required_argument, NULL, REQUEST_PURGE_HOST},
        {"status", required_argument, NULL, LOG_OPTION + ACCESS_FILTER_STATUS},
        {"client", required_argument, NULL, LOG_OPTION + ACCESS_FILTER_CLIENT},
        {"path", required_argument, NULL, LOG_OPTION + ACCESS_FILTER_PATH},
        {"slower", required_argument, NULL, LOG_OPTION + ACCESS_FILTER_SLOWER},
        {"served", required_argument, NULL, LOG_OPTION + ACCESS_FILTER_SERVED},
        {"id", required_argument, NULL, LOG_OPTION + ACCESS_FILTER_ID},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    int c;
    bool help = false;

    for (int i = 1; i < argc; i++) /* first: it decides how mistakes are told */
        o->json |= strcmp(argv[i], "--json") == 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":n:h", known, NULL)) != -1) {
        switch (c) {
        case 'n':
            o->name = optarg;
            break;
        case 's':
            o->socket = optarg;
            break;
        case 'j':
            o->json = true;
            break;
        case 'w':
            o->no_wait = true;
            break;
        case 'W':
            o->workers = true;
            break;
        case 'a':
            o->all = true;
            break;
        case 'S':
        case REQUEST_PURGE_PREFIX:
        case REQUEST_PURGE_TAG:
        case REQUEST_PURGE_HOST:
            purge_option(&o->purge, c, optarg);
            if (c == REQUEST_PURGE_HOST)
                log_option(&o->log, ACCESS_FILTER_HOST, optarg);
            break;
        case LOG_OPTION + ACCESS_FILTER_STATUS:
        case LOG_OPTION + ACCESS_FILTER_CLIENT:
        case LOG_OPTION + ACCESS_FILTER_PATH:
        case LOG_OPTION + ACCESS_FILTER_SLOWER:
        case LOG_OPTION + ACCESS_FILTER_SERVED:
        case LOG_OPTION + ACCESS_FILTER_ID:
            log_option(&o->log, (unsigned)c - LOG_OPTION, optarg);
            break;
        case 'h':
            help = true;
            break;
        case 'v':
            printf("coralctl %s (%s), DPDK %d.%02d.%d\n", CORAL_VERSION, CORAL_REVISION,
                   RTE_VER_YEAR, RTE_VER_MONTH, RTE_VER_MINOR);
            exit(DONE);
        case ':':
            return complain(o, USAGE, "%s wants a value" USAGE_MORE, argv[optind - 1]);
        default:
            return complain(o, USAGE, "\"%.40s\" is no option" USAGE_MORE, argv[optind - 1]);
        }
    }
    o->argc = argc - optind;
    o->argv = argv + optind;
    if (help) {
        fputs(help_text(o->argc ? o->argv[0] : NULL), stdout);
        exit(DONE);
    }
    purge_words(&o->purge, o->argc > 1 ? o->argv[1] : NULL, o->all);
    return DONE;
}

/* Asks and shows; a drain again each second until it is over, a log for as long as it is let, a
 * trace until there is one. */
static int run(const struct options *given, enum request_verb verb, const char *path)
{
    struct options o = *given;
    json_t *answer = NULL;
    bool ended = true;

    for (;; o.seconds++) {
        char *question = question_make(verb, &o);
        if (!question)
            return complain(&o, USAGE, "\"%.40s\" is not text in UTF-8" USAGE_MORE,
                            o.argv[o.argc - 1]);
        int lock = verb == REQUEST_STOP && !o.no_wait ? node_lock_open(path) : -1;
        int status = ask(&o, path, question, &answer);
        free(question);
        if (status == DONE && lock >= 0 && json_is_true(json_object_get(answer, "stopped"))) {
            ended = node_lock_wait(lock, END_S);
            lock = -1;
        }
        if (lock >= 0)
            close(lock);
        if (status != DONE)
            return status;
        if (!ended) {
            json_decref(answer);
            return complain(&o, FAILED,
                            "the node has stopped, but its process has not ended in %d s; its log "
                            "may tell why, the file \"lock\" beside %s has its pid",
                            END_S, path);
        }
        const char *state = json_string_value(json_object_get(answer, "state"));
        bool more = verb == REQUEST_DRAIN && !o.no_wait && state && strcmp(state, "draining") == 0;
        bool follow = verb == REQUEST_LOG && !o.no_wait && !o.log.reopen &&
                      !(o.log.trace && trace_found(&o.log, answer));
        status = answer_show(verb, &o, answer);
        bool at_once = follow && log_next(&o.log, answer);
        json_decref(answer);
        if (status != DONE || !(more || follow))
            return status;
        if (!at_once)
            usleep(follow ? LOG_US : 1000000);
    }
}

int main(int argc, char **argv)
{
    struct options given = {0}, *o = &given;
    enum request_verb verb = REQUEST_VERBS;
    char path[108];

    int status = options_read(argc, argv, o);
    if (status == DONE)
        status = verb_find(o, &verb);
    if (status == DONE)
        status = socket_path(o, path);
    if (status != DONE)
        return status;
    return run(o, verb, path);
}

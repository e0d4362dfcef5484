/* SPDX-License-Identifier: BSD-3-Clause */
/* corald: one node. Its start, step by step; a step that fails undoes those before it. */
#include <getopt.h>
#include <rte_version.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control/control.h"
#include "control/load.h"
#include "control/log.h"
#include "control/rundir.h"
#include "version.h"

enum { DONE = 0, FAILED = 1, USAGE = 2, NOT_PERMITTED = 5 };

#define CONFIG_FILE "/etc/coral/corald.yaml"

struct options {
    const char *file, *name;
    bool check;
};

static const char help[] =
    "usage: corald [-c FILE] [-n NAME] [--check]\n"
    "\n"
    "A node of Coral: web cache, index and nameserver on its own network ports.\n"
    "Stays in the foreground and logs to stderr.\n"
    "\n"
    "  -c, --config FILE    the configuration (" CONFIG_FILE ")\n"
    "  -n, --name NAME      name of the run folder, /run/coral/NAME (node.name)\n"
    "      --check          tell all mistakes in the configuration, start nothing\n"
    "      --help           this text\n"
    "      --version        version, revision, DPDK\n"
    "\n"
    "SIGTERM and SIGINT: finish what runs, then end; again: end now.\n"
    "SIGHUP: open the access log's file anew.\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage or configuration,\n"
    "5 not permitted. More: corald(8), corald.yaml(5), coralctl(1).\n";

static int usage(const char *format, const char *word)
{
    fprintf(stderr, "corald: ");
    fprintf(stderr, format, word);
    fprintf(stderr, "; corald --help shows all\n");
    return USAGE;
}

static int options_read(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"name", required_argument, NULL, 'n'},
        {"check", no_argument, NULL, 'k'},        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},      {0},
    };
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, ":c:n:h", known, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->file = optarg;
            break;
        case 'n':
            o->name = optarg;
            break;
        case 'k':
            o->check = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(DONE);
        case 'v':
            printf("corald %s (%s), %s\n", CORAL_VERSION, CORAL_REVISION, rte_version());
            exit(DONE);
        case ':':
            return usage("%s wants a value", argv[optind - 1]);
        default:
            return usage("\"%.40s\" is no option", argv[optind - 1]);
        }
    }
    if (optind < argc)
        return usage("\"%.40s\" is one word too many", argv[optind]);
    if (o->name && !rundir_name_valid(o->name))
        return usage("-n \"%.70s\" is no name: letters, digits, \"._-\", \"/\" between parts",
                     o->name);
    return DONE;
}

/* --- configuration ------------------------------------------------------------------------- */

static int read_config(const struct options *o, struct load *l)
{
    l->file = o->file;
    l->instance = o->name;
    load_read(l);
    report_print(&l->report, stderr);
    if (l->report.errors)
        fprintf(stderr, "%u error%s%s\n", l->report.errors, l->report.errors == 1 ? "" : "s",
                o->check ? "" : "; nothing was started");
    else if (!l->policy)
        fprintf(stderr, "corald: not enough memory\n");
    int status = load_status(l);
    report_free(&l->report);
    return status;
}

/* --- start --------------------------------------------------------------------------------- */

static int fail(int status, const char *error)
{
    log_error("%s", error);
    return status;
}

static int take_rundir(const struct config *c, const char *instance, struct rundir *r)
{
    char path[RUNDIR_PATH], error[512];
    const char *systemd = getenv("RUNTIME_DIRECTORY");
    const char *given = *c->run_dir ? c->run_dir : instance ? NULL : systemd;

    r->lock = -1;
    if (given && strlen(given) < sizeof(path))
        snprintf(path, sizeof(path), "%s", given);
    else if (given || !rundir_path(instance ? instance : c->name, path))
        return fail(FAILED,
                    "the run folder's name is too long; -n NAME or node.run_dir changes it");
    int status = rundir_take(r, path, error, sizeof(error));
    return status ? fail(status, error) : DONE;
}

/* *huge: all memory will be in hugepages, not packet buffers alone. */
static int start_eal(const struct config *c, const struct rundir *r, bool *huge)
{
    struct eal_config eal = {.memory_bytes = port_eal_memory(c->ports, (unsigned)c->workers)};
    char error[512];
    size_t from = strlen(r->path) > 36 ? strlen(r->path) - 36 : 0;

    /* unique on the machine as the run folder is, and a plain word */
    snprintf(eal.name, sizeof(eal.name), "coral%.40s", r->path + from);
    for (char *p = eal.name; *p; p++)
        if (*p == '/')
            *p = '-';
    size_t had = port_hugepages_free();
    bool wanted = had >= plan_memory(c);
    if (port_eal_start(&eal, error, sizeof(error)) != 0)
        return fail(FAILED, error);
    *huge = port_eal_hugepages() && wanted;
    if (!*huge)
        log_info("not enough hugepages free: running with ordinary pages%s (%zu more, by sysctl "
                 "vm.nr_hugepages, would do)",
                 port_eal_hugepages() ? " but for packet buffers" : "",
                 (plan_memory(c) - RTE_MIN(plan_memory(c), had) + (2u << 20) - 1) / (2u << 20));
    return DONE;
}

static void log_ports(const struct control *c)
{
    for (unsigned i = 0; i < c->config->ports; i++) {
        const struct port *p = node_port(c->node, i);
        char ip[ADDR_TEXT];
        if (!p)
            continue;
        if (*p->note)
            log_info("%s", p->note);
        log_info("port %s driver=%s queues=%u tx_checksum=%d address=%s", p->config.device,
                 port_driver_text(p->driver), p->rx_queues, p->tx_checksum,
                 addr_text(&p->config.address[0].ip, ip));
    }
}

/* What is said of a port begins with its key: then with its place in the configuration, too. */
static int fail_port(const struct config *c, const char *error)
{
    char text[1024];
    unsigned i;

    if (sscanf(error, "ports[%u].", &i) != 1 || i >= c->ports)
        return fail(FAILED, error);
    snprintf(text, sizeof(text), "%s:%u:%u: %s", c->file, c->port[i].place.line,
             c->port[i].place.column, error);
    return fail(FAILED, text);
}

/* From here on the ports are open. */
static int serve(struct control *c, const struct node_config *plan, const struct rundir *r)
{
    char path[108], error[512];
    int status = FAILED;

    c->access = access_new(c->config, error, sizeof(error));
    if (!c->access)
        return fail(FAILED, error);
    c->node = node_create(plan, c->view, control_now(), error, sizeof(error));
    if (!c->node) {
        access_stop(c->access);
        return fail_port(c->config, error);
    }
    rundir_socket(r, path);
    c->server = server_open(path, control_request, c, error, sizeof(error));
    if (!c->server)
        fail(FAILED, error);
    else if (!access_start(c->access, c->node, c->workers) ||
             !node_start(c->node, c->config->pin)) {
        fail(FAILED, "cannot start all threads; look at the limits of processes (ulimit -u)");
    } else {
        log_ports(c);
        log_info("serving name=%s version=%s workers=%u id=%02x%02x%02x%02x http_port=%u",
                 c->config->name, CORAL_VERSION, c->workers, c->self.id.b[0], c->self.id.b[1],
                 c->self.id.b[2], c->self.id.b[3], plan->http_port);
        status = control_run(c);
    }
    server_close(c->server);
    access_stop(c->access); /* before the node, whose rings it reads */
    node_destroy(c->node);
    return status;
}

/* systemd's folder for what outlives a run, and a boot; else the run folder. */
static void state_path(const struct rundir *r, char *out, size_t len)
{
    const char *folder = getenv("STATE_DIRECTORY");
    snprintf(out, len, "%.300s/state.json", folder && *folder == '/' ? folder : r->path);
}

static int run(const struct config *config, const char *instance, struct proxy_policy *policy,
               const struct rundir *r, bool huge)
{
    static struct control c; /* large; one a process */
    struct node_config *plan = calloc(1, sizeof(*plan));
    struct now now = control_now();
    int status = FAILED;

    if (!plan)
        return fail(FAILED, "not enough memory");
    plan_node(config, plan);
    c.config = config;
    c.instance = instance;
    c.hugepages = huge;
    c.workers = plan->workers;
    c.self = plan->self;
    c.started_us = now.mono_us;
    control_rules_started(&c, policy, now.wall_s);
    c.zone_serial = (uint32_t)now.wall_s; /* grows over restarts (RFC 1912 2.2) */
    state_path(r, c.state_path, sizeof(c.state_path));
    bool started = member_start(&c, plan, now) && hints_start(&c, plan, now) && shares_start(&c);
    struct dht_routes *routes = started ? dht_member_routes(c.member) : NULL;
    c.view = routes ? control_view_first(config, policy, routes, c.zone_serial) : NULL;
    if (c.view)
        status = serve(&c, plan, r);
    else {
        fail(FAILED, "not enough memory");
        free(routes);
        view_policy_free(policy);
    }
    control_free(&c);
    free(plan);
    return status;
}

/* Inherited by every thread that EAL and the node start. */
static void set_signals(void)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_DFL);  /* nohup(1) has it ignored: then the access log would not get it */
    signal(SIGXFSZ, SIG_IGN); /* a file over its limit is an error of the write */
}

static int start(const struct options *o, const struct config *c, struct proxy_policy *policy)
{
    struct rundir rundir = {.lock = -1};
    char error[512];
    bool huge = false;

    log_open((enum log_level)c->log_level);
    set_signals();
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &all); /* AF_XDP's rings; where it is refused the port will tell */
    int status = take_rundir(c, o->name, &rundir);
    if (status == DONE) {
        status = plan_check(c, error, sizeof(error));
        if (status)
            fail(status, error);
    }
    if (status == DONE)
        status = start_eal(c, &rundir, &huge);
    if (status == DONE) {
        status = run(c, o->name, policy, &rundir, huge); /* the policy is the view's now */
        port_eal_stop();
    } else {
        view_policy_free(policy);
    }
    rundir_leave(&rundir);
    return status;
}

int main(int argc, char **argv)
{
    struct options o = {.file = CONFIG_FILE};
    static struct load load; /* large; one a process */

    /* the process that a node starts to compile expressions; nobody else calls it so */
    if (argc > 1 && strcmp(argv[1], RULES_CHILD_OPTION) == 0)
        return rules_child_main(argc - 2, argv + 2);
    signal(SIGCHLD, SIG_DFL); /* whoever started us may ignore it: then nobody could wait for it */
    int status = options_read(argc, argv, &o);
    if (status != DONE)
        return status;
    if (sodium_init() < 0) {
        fprintf(stderr, "corald: no random numbers from the kernel\n");
        return FAILED;
    }
    status = read_config(&o, &load);
    if (status != DONE)
        return status;
    if (o.check) {
        printf("%s: fine\n", o.file);
        view_policy_free(load.policy);
    } else {
        status = start(&o, &load.config, load.policy);
    }
    config_free(&load.config);
    return status;
}

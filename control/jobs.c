/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of the control socket. Some are answered at once, others when workers have: a job
 * waits for them, and answers without them when its time is over. Memory that was lent to a
 * worker is freed when it comes back, whether its job still waits or not.
 */
#include <stdlib.h>
#include <string.h>

#include "control/jobs.h"
#include "control/stats.h"

#define PASSED_US      200u /* how often it is asked whether the workers have gone on */
#define FILLS_US       1000000u
#define TCP_US         5000000u
#define LOOKUP_US      8000000u /* an engine's lookup ends after 5 s at most */
#define REOPEN_US      5000000u /* a disk may be slow */
#define GATHER_US      1000000u
#define REOPEN_LOOK_US 2000u
#define NEAR_US        30000000u /* a trace of many silent hops, then some lookups */

/* --- commands ------------------------------------------------------------------------------ */

bool control_command(struct control *c, unsigned worker, const struct message *m)
{
    if (c->node && node_command(c->node, worker, m))
        return true;
    if (c->commands == CONTROL_COMMANDS)
        return false;
    c->command[c->commands].worker = worker;
    c->command[c->commands++].message = *m;
    return true;
}

/* --- jobs ---------------------------------------------------------------------------------- */

struct job *job_new(struct control *c, uint32_t client, const struct request *r,
                    uint64_t deadline_us)
{
    for (unsigned i = 0; i < CONTROL_JOBS; i++) {
        struct job *j = &c->job[i];
        if (j->used)
            continue;
        *j = (struct job){.used = true,
                          .serial = ++c->job_serial,
                          .request = *r,
                          .client = client,
                          .deadline_us = deadline_us};
        return j;
    }
    return NULL;
}

struct job *job_find(struct control *c, uint32_t serial)
{
    for (unsigned i = 0; i < CONTROL_JOBS; i++)
        if (c->job[i].used && c->job[i].serial == serial)
            return &c->job[i];
    return NULL;
}

void job_end(struct control *c, struct job *j, json_t *answer)
{
    server_reply(c->server, j->client, answer);
    for (unsigned i = 0; i < NODE_WORKERS; i++) {
        if (j->lent[i] && (j->lent[i]->back || c->stopped))
            free(j->lent[i]);
    }
    if (j->answer)
        json_decref(j->answer);
    j->used = false;
}

void job_end_passed(struct control *c, struct job *j, uint64_t token, json_t *answer)
{
    if (node_passed(c->node, token)) {
        job_end(c, j, answer);
        return;
    }
    j->token = token;
    j->answer = answer;
}

/* --- asked of all workers ------------------------------------------------------------------ */

const void *job_lent(const struct job *j, unsigned worker)
{
    return j->lent[worker] && j->lent[worker]->back ? j->lent[worker]->body : NULL;
}

/* As far as workers have answered. */
static json_t *lent_json(const struct control *c, const struct job *j)
{
    return j->request.verb == REQUEST_STATUS ? status_json(c, j)
           : j->request.verb == REQUEST_TCP  ? tcp_connections_json(j)
                                             : origins_json(c, j);
}

static bool job_lend(struct control *c, struct job *j, unsigned worker, uint16_t type,
                     const void *question, size_t len)
{
    struct message m = {.type = type, .from = 0xffff};
    struct lent *lent = calloc(1, sizeof(*lent) + len);
    if (!lent)
        return false;
    lent->job = j->serial;
    memcpy(lent->body, question, len);
    m.ptr[0] = lent->body;
    if (!control_command(c, worker, &m)) {
        free(lent);
        return false;
    }
    j->lent[worker] = lent;
    return true;
}

void jobs_ask(struct control *c, uint32_t client, const struct request *r, uint64_t wait_us,
              uint16_t type, const void *question, size_t len)
{
    struct job *j = job_new(c, client, r, control_now().mono_us + wait_us);
    if (!j) {
        server_refuse(c->server, client, "too many requests at once; try again");
        return;
    }
    for (unsigned i = 0; i < c->workers; i++)
        j->waiting += job_lend(c, j, i, type, question, len);
    if (j->waiting == 0)
        job_end(c, j, lent_json(c, j));
}

void control_shown(struct control *c, void *body)
{
    struct lent *lent = (struct lent *)(void *)((char *)body - offsetof(struct lent, body));
    struct job *j = job_find(c, lent->job);

    if (!j) {
        free(lent);
        return;
    }
    lent->back = true;
    if (--j->waiting == 0)
        job_end(c, j, lent_json(c, j));
}

static void status_begin(struct control *c, uint32_t client, const struct request *r)
{
    const struct node_fills fills = {0};
    jobs_ask(c, client, r, FILLS_US, NODE_FILLS, &fills, sizeof(fills));
}

/* --- tcp ----------------------------------------------------------------------------------- */

void refuse_wrong(struct control *c, uint32_t client, const char *error)
{
    server_reply(c->server, client,
                 json_pack("{s:b, s:o, s:i}", "ok", 0, "error", server_text(error), "status", 2));
}

static void tcp_begin(struct control *c, uint32_t client, const struct request *r)
{
    struct node_tcp tcp = {0};

    if (!*r->address)
        server_reply(c->server, client, tcp_counters_json(c));
    else if (!endpoint_parse(r->address, 0, &tcp.filter.remote))
        refuse_wrong(c, client,
                     "this is no address; write it like 192.0.2.1, 192.0.2.1:80 or "
                     "[2001:db8::1]:80");
    else
        jobs_ask(c, client, r, TCP_US, NODE_TCP, &tcp, sizeof(tcp));
}

/* --- URLs ---------------------------------------------------------------------------------- */

/* At most that many bytes of what was given are said back: whole characters. */
#define SAID_BYTES 100

static void refuse_url(struct control *c, uint32_t client, bool lookup, const char *given)
{
    char error[SAID_BYTES + 256];
    size_t len = strlen(given), said = len < SAID_BYTES ? len : SAID_BYTES;

    while (said < len && said && ((unsigned char)given[said] & 0xc0) == 0x80)
        said--;
    snprintf(error, sizeof(error),
             "\"%.*s%s\" is %s; write it like http://www.example.com/page%s%s", (int)said, given,
             said < len ? "..." : "", lookup ? "neither a URL nor a key" : "no URL",
             lookup ? ", or as 40 hexadecimal digits" : "",
             strncasecmp(given, "https:", 6) == 0 ? "; only http is taken" : "");
    refuse_wrong(c, client, error);
}

size_t job_url(struct control *c, uint32_t client, const struct request *r, const char *given,
               char *url, size_t room)
{
    size_t len = proxy_url(c->view->policy, given, strlen(given), url, room);

    if (len == 0) {
        /* one that no node would serve is wrong, one that only this one does not is refused */
        const struct proxy_policy any = {.open = true};
        if (proxy_url(&any, given, strlen(given), url, room) == 0)
            refuse_url(c, client, r->verb == REQUEST_LOOKUP, given);
        else
            server_refuse(c->server, client, "this node does not serve that host");
    }
    return len;
}

/* --- lookup -------------------------------------------------------------------------------- */

static struct lent_lookup *lookup_free(struct control *c)
{
    for (unsigned i = 0; i < CONTROL_LOOKUPS; i++)
        if (!c->lookup[i].lent)
            return &c->lookup[i];
    return NULL;
}

static void lookup_begin(struct control *c, uint32_t client, const struct request *r)
{
    char url[REQUEST_URL + 64];
    struct message m = {.type = NODE_LOOKUP, .from = 0xffff};
    struct dht_id key;

    if (!dht_id_parse(r->url, &key)) {
        size_t len = job_url(c, client, r, r->url, url, sizeof(url));
        if (len == 0)
            return;
        key = dht_key(url, len);
    }
    struct lent_lookup *lent = lookup_free(c);
    struct job *j = lent ? job_new(c, client, r, control_now().mono_us + LOOKUP_US) : NULL;
    if (j) {
        lent->job = j->serial;
        lent->near = NULL;
        lent->lookup.key = key;
        m.ptr[0] = &lent->lookup;
        lent->lent = control_command(c, 0, &m);
        if (lent->lent)
            return;
        j->used = false;
    }
    server_refuse(c->server, client, "too many requests at once; try again");
}

bool control_lookup(struct control *c, unsigned worker, const struct dht_id *key,
                    struct near_search *near)
{
    struct message m = {.type = NODE_LOOKUP, .from = 0xffff};
    struct lent_lookup *lent = lookup_free(c);

    if (!lent)
        return false;
    lent->near = near;
    lent->lookup.key = *key;
    m.ptr[0] = &lent->lookup;
    lent->lent = control_command(c, worker, &m);
    return lent->lent;
}

void control_looked_up(struct control *c, struct node_lookup *lookup, struct now now)
{
    struct lent_lookup *lent =
        (struct lent_lookup *)(void *)((char *)lookup - offsetof(struct lent_lookup, lookup));
    struct job *j = lent->near ? NULL : job_find(c, lent->job);

    lent->lent = false;
    if (lent->near)
        near_looked_up(c, lent->near, lookup, now);
    else if (j)
        job_end(c, j, index_lookup_json(lookup));
}

/* --- near ---------------------------------------------------------------------------------- */

static void near_begin(struct control *c, uint32_t client, const struct request *r)
{
    struct now now = control_now();
    const struct near_found *found;
    struct addr target;

    if (!addr_parse(r->address, &target)) {
        refuse_wrong(c, client, "this is no address; write it like 192.0.2.1 or 2001:db8::1");
        return;
    }
    struct job *j = job_new(c, client, r, now.mono_us + NEAR_US);
    if (!j) {
        server_refuse(c->server, client, "too many requests at once; try again");
        return;
    }
    j->target = target;
    if (near_find(c, &target, &found, now) != NEAR_WAITING)
        job_end(c, j, near_json(c, &target, found));
}

void control_near_done(struct control *c, const struct near_found *found)
{
    for (unsigned i = 0; i < CONTROL_JOBS; i++) {
        struct job *j = &c->job[i];
        const struct addr prefix = dht_hint_prefix(&j->target);
        if (j->used && j->request.verb == REQUEST_NEAR && addr_eq(&prefix, &found->prefix))
            job_end(c, j, near_json(c, &j->target, found));
    }
}

/* --- all ----------------------------------------------------------------------------------- */

static void stats_answer(struct control *c, uint32_t client, const struct request *r)
{
    struct worker_stats w[NODE_WORKERS] = {0};

    for (unsigned i = 0; i < c->workers; i++)
        node_stats(c->node, i, &w[i]);
    w[0].log = access_counters(c->access);
    server_reply(c->server, client,
                 json_pack("{s:b, s:s, s:o}", "ok", 1, "name", c->config->name, "counters",
                           stats_json(w, c->workers, r->workers)));
}

/* --- log ----------------------------------------------------------------------------------- */

static json_t *log_json(const struct control *c, const struct request *r)
{
    const struct access_ask ask = {r->filter, r->follow, r->after, r->most};
    return access_recent_json(c->access, &ask);
}

static void log_begin(struct control *c, uint32_t client, const struct request *r)
{
    if (!r->reopen && r->follow) { /* what is not there yet comes with the next question */
        server_reply(c->server, client, log_json(c, r));
    } else if (!r->reopen) {
        struct job *j = job_new(c, client, r, control_now().mono_us + GATHER_US);
        if (j)
            j->ticket = access_gather(c->access);
        else
            server_refuse(c->server, client, "too many requests at once; try again");
    } else if (!*c->config->log_access.file) {
        server_refuse(c->server, client,
                      "there is no file to open: log.access.file is not set, see corald.yaml(5)");
    } else {
        struct job *j = job_new(c, client, r, control_now().mono_us + REOPEN_US);
        if (j)
            j->ticket = access_reopen(c->access);
        else
            server_refuse(c->server, client, "too many requests at once; try again");
    }
}

/* False: it is not done yet. */
static bool log_done(struct control *c, struct job *j, uint64_t now_us)
{
    char error[512];
    if (j->request.verb != REQUEST_LOG)
        return false;
    if (!j->request.reopen) {
        /* a slow disk holds up the thread: then what is known is shown */
        if (!access_gathered(c->access, j->ticket) && now_us < j->deadline_us)
            return false;
        job_end(c, j, log_json(c, &j->request));
        return true;
    }
    if (!access_reopened(c->access, j->ticket, error, sizeof(error)))
        return false;
    job_end(c, j,
            *error ? json_pack("{s:b, s:s}", "ok", 0, "error", error)
                   : json_pack("{s:b, s:s}", "ok", 1, "file", c->config->log_access.file));
    return true;
}

void control_request(void *ctx, uint32_t client, const char *line, size_t len)
{
    struct control *c = ctx;
    struct request r;
    char error[256];

    if (!request_parse(line, len, &r, error, sizeof(error))) {
        refuse_wrong(c, client, error);
        return;
    }
    switch (r.verb) {
    case REQUEST_STATUS:
        status_begin(c, client, &r);
        break;
    case REQUEST_STATS:
        stats_answer(c, client, &r);
        break;
    case REQUEST_PURGE:
        purge_begin(c, client, &r);
        break;
    case REQUEST_TCP:
        tcp_begin(c, client, &r);
        break;
    case REQUEST_ORIGINS:
        origins_begin(c, client, &r);
        break;
    case REQUEST_SHARES:
        server_reply(c->server, client, shares_json(c));
        break;
    case REQUEST_PEERS:
        server_reply(c->server, client, index_peers_json(c));
        break;
    case REQUEST_CLUSTERS:
        server_reply(c->server, client, index_clusters_json(c));
        break;
    case REQUEST_LOOKUP:
        lookup_begin(c, client, &r);
        break;
    case REQUEST_NEAR:
        near_begin(c, client, &r);
        break;
    case REQUEST_LOG:
        log_begin(c, client, &r);
        break;
    case REQUEST_RULES:
        control_rules_begin(c, client, &r);
        break;
    case REQUEST_RELOAD:
        control_reload_begin(c, client, &r);
        break;
    case REQUEST_DRAIN:
        control_drain(c, "asked by coralctl", false);
        server_reply(c->server, client, status_drain_json(c));
        break;
    case REQUEST_STOP:
        if (!r.wait || !job_new(c, client, &r, UINT64_MAX))
            server_reply(c->server, client, json_pack("{s:b}", "ok", 1));
        control_drain(c, "asked by coralctl", true);
        break;
    case REQUEST_VERBS:
        break;
    }
}

uint64_t control_jobs_poll(struct control *c, uint64_t now_us)
{
    uint64_t at = UINT64_MAX;

    while (c->commands && node_command(c->node, c->command[0].worker, &c->command[0].message)) {
        c->commands--;
        memmove(&c->command[0], &c->command[1], c->commands * sizeof(c->command[0]));
    }
    if (c->commands)
        at = now_us + 1000;
    for (unsigned i = 0; i < CONTROL_JOBS; i++) {
        struct job *j = &c->job[i];
        if (!j->used)
            continue;
        if (log_done(c, j, now_us))
            continue;
        if (j->answer && node_passed(c->node, j->token))
            job_end(c, j, json_incref(j->answer));
        else if (j->request.verb == REQUEST_LOG && j->deadline_us > now_us)
            at = now_us + REOPEN_LOOK_US < at ? now_us + REOPEN_LOOK_US : at;
        else if (j->answer && j->deadline_us > now_us)
            at = now_us + PASSED_US < at ? now_us + PASSED_US : at;
        else if (j->deadline_us > now_us)
            at = j->deadline_us < at ? j->deadline_us : at;
        else if (j->waiting)
            job_end(c, j, lent_json(c, j));
        else if (j->request.verb == REQUEST_NEAR)
            job_end(c, j, near_json(c, &j->target, NULL));
        else
            job_end(c, j,
                    json_pack("{s:b, s:s}", "ok", 0, "error",
                              j->request.verb == REQUEST_LOG
                                  ? "the disk did not answer in time"
                                  : "the worker did not answer in time"));
    }
    return at;
}

void control_jobs_end(struct control *c)
{
    for (unsigned i = 0; i < CONTROL_JOBS; i++) {
        struct job *j = &c->job[i];
        if (j->used && j->request.verb == REQUEST_STOP)
            job_end(c, j,
                    json_pack("{s:b, s:b, s:I}", "ok", 1, "stopped", 1, "cut", (json_int_t)c->cut));
        else if (j->used)
            job_end(c, j, json_pack("{s:b, s:s}", "ok", 0, "error", "the node has stopped"));
    }
}

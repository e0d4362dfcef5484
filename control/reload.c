/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/reload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "control/jobs.h"
#include "control/load.h"
#include "control/log.h"

#define LOOK_US   5000u
#define STOP_S    1
#define NO_MEMORY "not enough memory; the configuration in force stays as it is"

struct reload {
    uint32_t job;
    pthread_t thread;
    _Atomic bool read; /* release-stored: `load` is the control thread's */
    bool joined, published;
    uint64_t token;
    json_t *answer;
    struct load load;
};

static void *reader(void *ctx)
{
    struct reload *r = ctx;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
    load_read(&r->load);
    atomic_store_explicit(&r->read, true, memory_order_release);
    return NULL;
}

/* --- answers ------------------------------------------------------------------------------- */

/* Everything that is said of the text, as at a start; NULL: nothing. */
static char *said(struct report *report)
{
    char *text = NULL;
    size_t len;
    FILE *f = report->n ? open_memstream(&text, &len) : NULL;
    if (f) {
        report_print(report, f);
        fclose(f);
    }
    return text;
}

static json_t *mistakes_json(const struct report *report)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < report->n; i++) {
        const struct report_error *e = &report->error[i];
        if (!e->warning)
            json_array_append_new(
                all, json_pack("{s:i, s:i, s:i, s:o, s:o}", "line", (int)e->at.line, "column",
                               (int)e->at.column, "length", (int)e->at.length, "path",
                               server_text(e->path), "message", server_text(e->message)));
    }
    return all;
}

/* "cache.memory, node.workers" */
static void kept_text(const json_t *kept, char *out, size_t len)
{
    const json_t *path;
    size_t i, n = 0;
    *out = '\0';
    json_array_foreach(kept, i, path)
    {
        if (n < len)
            n += (size_t)snprintf(out + n, len - n, "%s%s", i ? ", " : "", json_string_value(path));
    }
}

static json_t *refusal_json(struct load *l)
{
    char kept[400] = "", *text = said(&l->report), *error = NULL;
    unsigned n = l->report.errors;
    if (json_array_size(l->kept))
        kept_text(l->kept, kept, sizeof(kept));
    if (n == 0 || !text ||
        asprintf(&error, "%s%u error%s%s%s; the configuration in force stays as it is", text, n,
                 n == 1 ? "" : "s", *kept ? ", where this has to wait for a restart: " : "",
                 kept) < 0)
        error = NULL;
    json_t *o =
        json_pack("{s:b, s:o, s:o}", "ok", 0, "error", server_text(error ? error : NO_MEMORY),
                  "mistakes", mistakes_json(&l->report));
    if (load_status(l) != 1)
        json_object_set_new(o, "status", json_integer(load_status(l)));
    free(error);
    free(text);
    return o;
}

static json_t *done_json(const struct control *c, struct load *l)
{
    json_t *o = json_pack("{s:b, s:s, s:i, s:O}", "ok", 1, "file", c->config->file, "sites",
                          (int)c->config->sites, "restart", l->kept);
    char *text = said(&l->report);
    if (text)
        json_object_set_new(o, "warnings", server_text(text));
    free(text);
    return o;
}

json_t *control_reload_json(const struct control *c)
{
    const struct reload_last *last = &c->reloads;
    uint64_t up_s = (control_now().mono_us - c->started_us) / 1000000;
    json_int_t since = last->at_s ? last->at_s : control_now().wall_s - (int64_t)up_s;
    json_t *o = json_pack("{s:s, s:I}", "file", c->config->file, "since", since);
    if (last->restart)
        json_object_set(o, "restart", last->restart);
    if (last->refused_s) {
        json_object_set_new(o, "refused", json_integer(last->refused_s));
        json_object_set_new(o, "errors", json_integer(last->errors));
    }
    return o;
}

/* --- the reload ---------------------------------------------------------------------------- */

bool control_reload_busy(const struct control *c)
{
    return c->reload != NULL;
}

void control_reload_begin(struct control *c, uint32_t client, const struct request *q)
{
    bool busy = c->reload || c->rules.busy;
    struct reload *r = busy ? NULL : calloc(1, sizeof(*r));
    struct job *j = r ? job_new(c, client, q, UINT64_MAX) : NULL;
    if (j) {
        const struct rules_set *rules = c->view->policy->rules;
        r->job = j->serial;
        r->load = (struct load){.file = c->config->file,
                                .instance = c->instance,
                                .running = c->config,
                                .has_rules = rules != NULL,
                                .rules_print = rules ? rules_print(rules) : 0};
        if (pthread_create(&r->thread, NULL, reader, r) == 0) {
            pthread_setname_np(r->thread, "reload");
            c->reload = r;
            return;
        }
        j->used = false;
    }
    free(r);
    server_refuse(c->server, client,
                  c->reload ? "the configuration is being read already; try again in a moment"
                  : busy    ? "rules are being compiled; try again in a moment"
                            : "too many requests at once; try again");
}

static void finish(struct control *c, json_t *answer)
{
    struct reload *r = c->reload;
    struct job *j = job_find(c, r->job);
    if (j)
        job_end(c, j, answer);
    else
        json_decref(answer);
    report_free(&r->load.report);
    json_decref(r->load.kept);
    free(r);
    c->reload = NULL;
}

static void refuse(struct control *c)
{
    struct load *l = &c->reload->load;
    log_warning("configuration refused, the one in force stays file=%s errors=%u", l->file,
                l->report.errors);
    c->reloads.refused_s = control_now().wall_s;
    c->reloads.errors = l->report.errors;
    finish(c, refusal_json(l));
}

/* What is read from the configuration in the time between is of this thread: there is none. */
static void take(struct control *c)
{
    struct reload *r = c->reload;
    struct load *l = &r->load;
    struct config *next = malloc(sizeof(*next));
    const struct config *before = c->config;
    char kept[400];

    l->policy->number = c->reloads.number + 1;
    if (l->rules_stay)
        l->policy->rules = c->view->policy->rules;
    if (next) {
        *next = l->config;
        c->config = next;
    }
    if (!next || !control_publish_policy(c, l->policy, &r->token)) {
        c->config = before; /* again at the next turn */
        free(next);
        return;
    }
    r->published = true;
    if (c->reloaded) {
        config_free(c->reloaded);
        free(c->reloaded);
    }
    c->reloaded = next;
    json_decref(c->reloads.restart);
    c->reloads =
        (struct reload_last){.at_s = control_now().wall_s,
                             .number = l->policy->number,
                             .restart = json_array_size(l->kept) ? json_incref(l->kept) : NULL};
    log_open((enum log_level)next->log_level);
    control_rules_reloaded(c, l->rules_stay);
    log_info("configuration taken over file=%s sites=%u", next->file, next->sites);
    kept_text(l->kept, kept, sizeof(kept));
    if (*kept)
        log_warning("needs a restart, and is as it was: %s", kept);
    r->answer = done_json(c, l);
}

void control_reload_poll(struct control *c)
{
    struct reload *r = c->reload;
    if (!r || !atomic_load_explicit(&r->read, memory_order_acquire))
        return;
    if (!r->joined)
        pthread_join(r->thread, NULL);
    r->joined = true;
    if (!r->load.policy)
        refuse(c);
    else if (!r->published)
        take(c);
    else if (node_view_done(c->node, r->token))
        finish(c, r->answer);
}

uint64_t control_reload_deadline_us(const struct control *c, uint64_t now_us)
{
    return c->reload ? now_us + LOOK_US : UINT64_MAX;
}

void control_reload_stop(struct control *c)
{
    struct reload *r = c->reload;
    struct timespec until;
    json_decref(c->reloads.restart);
    c->reloads.restart = NULL;
    if (!r)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_S;
    if (!r->joined && pthread_timedjoin_np(r->thread, NULL, &until) != 0) {
        c->reload = NULL; /* the process ends, and what it reads is not freed */
        c->reloaded = NULL;
        return;
    }
    if (r->load.policy && !r->published) {
        if (r->load.rules_stay)
            view_policy_free_but_rules(r->load.policy);
        else
            view_policy_free(r->load.policy);
        config_free(&r->load.config);
    }
    if (r->answer)
        json_decref(r->answer);
    finish(c, json_pack("{s:b, s:s}", "ok", 0, "error", "the node has stopped"));
}

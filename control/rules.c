/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/rules.h"

#include <stdlib.h>

#include "control/jobs.h"
#include "control/log.h"

#define LOOK_US  2000u
#define TOLD     20   /* mistakes in a sentence; all are in the list */
#define LISTED   1000 /* and in the list */
#define NOT_MADE "not enough memory"

static struct rules_maker maker_of(const struct config *c)
{
    struct rules_maker m = {.program = "/proc/self/exe",
                            .limit_us = c->rules_limit_ms * 1000,
                            .workers = (unsigned)c->workers + 1}; /* and control */
    const char *folder = getenv("STATE_DIRECTORY");
    if (folder && *folder == '/' && strlen(folder) < sizeof(m.folder))
        memcpy(m.folder, folder, strlen(folder) + 1);
    if (c->keys)
        memcpy(m.secret, c->key[0].key, sizeof(c->key[0].key));
    return m;
}

/* --- at the start -------------------------------------------------------------------------- */

struct start {
    const struct config *config;
    struct report *report;
};

static void start_tell(void *ctx, unsigned line, unsigned column, unsigned length,
                       const char *message)
{
    const struct start *s = ctx;
    const struct config_file *f = &s->config->rules_file;
    (void)length;
    report_add(s->report, f->place, "rules.file", "%s:%u:%u: %s", f->path, line, column, message);
}

void rules_at_start(const struct config *c, struct proxy_policy *policy, struct report *report)
{
    const struct config_file *f = &c->rules_file;
    struct rules_maker m = maker_of(c);
    struct start s = {c, report};
    unsigned before = report->errors;
    char error[512] = NOT_MADE;

    if (!f->text)
        return;
    struct rules_set *set = rules_parse_all(f->text, f->len, start_tell, &s);
    enum rules_end end =
        set ? rules_make_now(set, &m, start_tell, &s, error, sizeof(error)) : RULES_FAILED;
    if (end == RULES_LOADED) {
        policy->rules = set;
        return;
    }
    rules_free(set);
    if (report->errors == before) {
        report_add(report, f->place, "rules.file", "%s: %s", f->path, error);
        report->failed++;
    }
}

/* They are rules.file's. */
static void known_take(struct control *c, const struct proxy_policy *policy, int64_t wall_s)
{
    struct control_rules *r = &c->rules;
    r->known = (struct rules_known){0};
    r->refused.at_s = 0;
    if (!policy->rules)
        return;
    snprintf(r->known.file, sizeof(r->known.file), "%s", c->config->rules_file.path);
    r->known.size = rules_size(policy->rules);
    r->known.print = rules_print(policy->rules);
    r->known.since_s = wall_s;
}

void control_rules_started(struct control *c, const struct proxy_policy *policy, int64_t wall_s)
{
    c->rules.maker = maker_of(c->config);
    c->rules.child.out = -1;
    known_take(c, policy, wall_s);
}

void control_rules_reloaded(struct control *c, bool stay)
{
    c->rules.maker = maker_of(c->config);
    if (!stay)
        known_take(c, c->view->policy, control_now().wall_s);
    else if (*c->config->rules_file.path) /* the same text, perhaps elsewhere */
        snprintf(c->rules.known.file, sizeof(c->rules.known.file), "%s",
                 c->config->rules_file.path);
}

/* --- answers ------------------------------------------------------------------------------- */

static json_t *known_json(const struct rules_known *k)
{
    char hash[20];
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)k->print);
    return json_pack("{s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "ok", 1, "file", k->file,
                     "hash", *k->file ? hash : "", "rules", (json_int_t)k->size.rules, "hosts",
                     (json_int_t)k->size.hosts, "prefixes", (json_int_t)k->size.prefixes,
                     "expressions", (json_int_t)k->size.expressions, "rates",
                     (json_int_t)k->size.rates, "since", (json_int_t)k->since_s, "compile_s",
                     (double)k->compiled_us / 1e6);
}

json_t *control_rules_json(const struct control *c)
{
    const struct control_rules *r = &c->rules;
    json_t *o = known_json(&r->known);
    json_object_del(o, "ok");
    if (r->refused.at_s) {
        json_object_set_new(o, "refused", json_integer(r->refused.at_s));
        json_object_set_new(o, "error", server_text(r->refused.error));
    }
    return o;
}

static bool stands_before(unsigned line, unsigned column, const json_t *mistake)
{
    json_int_t other = json_integer_value(json_object_get(mistake, "line"));
    return line < other ||
           (line == other && column < json_integer_value(json_object_get(mistake, "column")));
}

/* Those of expressions come last, and stand where their lines do. */
static void tell(void *ctx, unsigned line, unsigned column, unsigned length, const char *message)
{
    struct control_rules *r = ctx;
    size_t at = json_array_size(r->mistakes);
    if (at == LISTED)
        return;
    while (at > 0 && stands_before(line, column, json_array_get(r->mistakes, at - 1)))
        at--;
    json_array_insert_new(r->mistakes, at,
                          json_pack("{s:I, s:I, s:I, s:o}", "line", (json_int_t)line, "column",
                                    (json_int_t)column, "length", (json_int_t)length, "message",
                                    server_text(message)));
}

/* "FILE:3:24: what", a line each, and what that means. */
static json_t *mistakes_json(struct control_rules *r, const char *error)
{
    char *text = NULL;
    size_t len, n = json_array_size(r->mistakes);
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return NULL;
    for (size_t i = 0; i < n && i < TOLD; i++) {
        const json_t *m = json_array_get(r->mistakes, i);
        fprintf(f, "%s:%lld:%lld: %s\n", r->next_known.file,
                json_integer_value(json_object_get(m, "line")),
                json_integer_value(json_object_get(m, "column")),
                json_string_value(json_object_get(m, "message")));
    }
    if (n > TOLD)
        fprintf(f, "and %zu more\n", n - TOLD);
    if (n == 0)
        fprintf(f, "%s: %s", r->next_known.file, error);
    else
        fprintf(f, "%zu mistake%s", n, n == 1 ? "" : "s");
    fputs("; the rules in force stay as they are", f);
    fclose(f);
    json_t *answer = json_pack("{s:b, s:s, s:O}", "ok", 0, "error", text, "mistakes", r->mistakes);
    free(text);
    return answer;
}

/* The request is over. */
static void finish(struct control *c, json_t *answer)
{
    struct control_rules *r = &c->rules;
    struct job *j = job_find(c, r->job);
    if (j)
        job_end(c, j, answer);
    else
        json_decref(answer);
    rules_make_stop(&r->child);
    rules_free(r->next);
    json_decref(r->mistakes);
    r->next = NULL;
    r->mistakes = NULL;
    r->busy = r->publish = r->published = false;
}

/* --- load, check --------------------------------------------------------------------------- */

/* The first mistake, or what else it was. */
static void refused_text(struct control_rules *r, const char *error)
{
    const json_t *m = json_array_get(r->mistakes, 0);
    size_t n = json_array_size(r->mistakes), room = sizeof(r->refused.error);
    char more[40] = "";
    if (n > 1)
        snprintf(more, sizeof(more), ", and %zu more", n - 1);
    if (m)
        snprintf(r->refused.error, room, "%.120s:%lld:%lld: %.80s%s", r->next_known.file,
                 json_integer_value(json_object_get(m, "line")),
                 json_integer_value(json_object_get(m, "column")),
                 json_string_value(json_object_get(m, "message")), more);
    else
        snprintf(r->refused.error, room, "%.120s: %.120s", r->next_known.file, error);
}

static void refuse(struct control *c, const char *error)
{
    struct control_rules *r = &c->rules;
    size_t n = json_array_size(r->mistakes);
    const struct job *j = job_find(c, r->job);
    if (j && j->request.rules == REQUEST_RULES_LOAD) {
        r->refused.at_s = control_now().wall_s;
        refused_text(r, error);
    }
    log_warning("rules refused, those in force stay file=%s mistakes=%zu%s%s",
                c->rules.next_known.file, n, n ? "" : ": ", n ? "" : error);
    finish(c, mistakes_json(&c->rules, error));
}

static void made(struct control *c, uint64_t compiled_us)
{
    struct control_rules *r = &c->rules;
    struct job *j = job_find(c, r->job);
    r->next_known.compiled_us = compiled_us;
    if (!j || j->request.rules == REQUEST_RULES_CHECK)
        finish(c, known_json(&r->next_known));
    else
        r->publish = true;
}

static void publish(struct control *c)
{
    struct control_rules *r = &c->rules;
    if (!control_publish_rules(c, r->next, &r->token))
        return;     /* again at the next turn */
    r->next = NULL; /* the view's */
    r->publish = false;
    r->published = true;
    r->next_known.since_s = control_now().wall_s;
    r->known = r->next_known;
    r->refused.at_s = 0;
    log_info("rules taken over file=%s rules=%u hosts=%u expressions=%u compile_ms=%llu",
             r->known.file, r->known.size.rules, r->known.size.hosts, r->known.size.expressions,
             (unsigned long long)r->known.compiled_us / 1000);
}

static void make(struct control *c)
{
    struct control_rules *r = &c->rules;
    char error[512] = NOT_MADE;
    size_t len;
    char *text = config_slurp(r->next_known.file, &len, error, sizeof(error));
    if (text) {
        snprintf(error, sizeof(error), NOT_MADE);
        r->next = rules_parse_all(text, len, tell, r);
        free(text);
    }
    if (!r->next) {
        refuse(c, error);
        return;
    }
    r->next_known.size = rules_size(r->next);
    r->next_known.print = rules_print(r->next);
    r->began_us = control_now().mono_us;
    enum rules_end end =
        rules_make(&r->child, r->next, &r->maker, r->began_us, error, sizeof(error));
    if (end == RULES_LOADED)
        made(c, 0);
    else if (end != RULES_RUNS)
        refuse(c, error);
}

void control_rules_begin(struct control *c, uint32_t client, const struct request *q)
{
    struct control_rules *r = &c->rules;
    const char *file = *q->url ? q->url : c->config->rules_file.path;

    if (q->rules == REQUEST_RULES_STATUS) {
        server_reply(c->server, client, known_json(&r->known));
        return;
    }
    if (!*file) {
        server_refuse(c->server, client,
                      "no file is named, and rules.file is not set, see corald.yaml(5)");
        return;
    }
    bool busy = r->busy || control_reload_busy(c);
    struct job *j = busy ? NULL : job_new(c, client, q, UINT64_MAX);
    if (!j) {
        server_refuse(c->server, client,
                      r->busy ? "other rules are being compiled; try again in a moment"
                      : busy  ? "a configuration is being read; try again in a moment"
                              : "too many requests at once; try again");
        return;
    }
    r->busy = true;
    r->job = j->serial;
    r->next_known = (struct rules_known){0};
    snprintf(r->next_known.file, sizeof(r->next_known.file), "%s", file);
    r->mistakes = json_array();
    make(c);
}

void control_rules_poll(struct control *c, uint64_t now_us)
{
    struct control_rules *r = &c->rules;
    char error[512] = "";

    if (r->child.pid) {
        enum rules_end end =
            rules_make_poll(&r->child, r->next, &r->maker, now_us, tell, r, error, sizeof(error));
        if (end == RULES_LOADED)
            made(c, now_us - r->began_us);
        else if (end != RULES_RUNS)
            refuse(c, error);
    }
    if (r->publish)
        publish(c);
    if (r->published && node_view_done(c->node, r->token))
        finish(c, known_json(&r->known));
}

uint64_t control_rules_deadline_us(const struct control *c, uint64_t now_us)
{
    return c->rules.busy ? now_us + LOOK_US : UINT64_MAX;
}

void control_rules_stop(struct control *c)
{
    if (c->rules.busy)
        finish(c, json_pack("{s:b, s:s}", "ok", 0, "error", "the node has stopped"));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/load.h"

#include "control/rules.h"

enum { DONE = 0, FAILED = 1, USAGE = 2, NOT_PERMITTED = 5 };

static void keep(void *ctx, const char *path)
{
    struct load *l = ctx;
    json_array_append_new(l->kept, json_string(path));
}

/* A configuration that is good by itself, and with what of it has to wait for a restart. */
static bool stay(struct load *l)
{
    l->kept = json_array();
    if (!config_keep(&l->config, l->running, keep, l))
        return false;
    config_check(&l->config, &l->report);
    return true;
}

/* Rules that were loaded by hand stay where the configuration has never named any. */
static void take_rules(struct load *l)
{
    const struct config_file *f = &l->config.rules_file;
    l->rules_stay =
        l->running && (f->text ? l->has_rules && rules_text_print(f->text, f->len) == l->rules_print
                               : !*l->running->rules_file.path);
    if (!l->rules_stay)
        rules_at_start(&l->config, l->policy, &l->report);
}

void load_read(struct load *l)
{
    l->policy = NULL;
    if (config_read_file(l->file, &l->config, &l->report)) {
        files_check(&l->config, &l->report);
        config_name(&l->config, l->instance);
        if (!l->running || stay(l))
            l->policy = view_policy(&l->config, &l->report);
        if (l->policy)
            take_rules(l);
    } else {
        view_deny_check(&l->config, &l->report);
    }
    if (!l->policy || l->report.errors) {
        view_policy_free(l->policy);
        l->policy = NULL;
        config_free(&l->config);
    }
}

int load_status(const struct load *l)
{
    const struct report *r = &l->report;
    if (l->policy)
        return DONE;
    if (r->errors && r->errors == r->denied)
        return NOT_PERMITTED;
    return r->errors && r->errors != r->failed ? USAGE : FAILED;
}

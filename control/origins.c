/* SPDX-License-Identifier: BSD-3-Clause */
/* Sites' origins: what the log says of those that fail, and how the workers see each. */
#include <stdlib.h>
#include <string.h>

#include "control/jobs.h"
#include "control/log.h"
#include "control/stats.h"

#define TOLD_US    60000000u
#define ORIGINS_US 1000000u

static const char *sentence(unsigned why)
{
    static const char *const text[ACCESS_REASONS] = {
        [ACCESS_NO_NAME] = "no such name, or no address of it",
        [ACCESS_DNS] = "its name cannot be resolved: the resolver fails or is silent",
        [ACCESS_FORBIDDEN] = "its address is not allowed; sites.*.allow lists networks that are",
        [ACCESS_REFUSED] = "it refuses connections, or is unreachable",
        [ACCESS_CONNECT] = "no connection in time",
        [ACCESS_CLOSED] = "it closes before it has answered",
        [ACCESS_NONSENSE] = "what it answers is no HTTP/1",
        [ACCESS_BROKE_OFF] = "it breaks off its answers",
        [ACCESS_TIMEOUT] = "it does not answer in time",
    };
    return why < ACCESS_REASONS && text[why] ? text[why] : "it fails";
}

/* What it did: "status 500 after 3 ms", "timed out after 2000 ms". */
static void found_text(const struct proxy_found *f, char *out, size_t len)
{
    if (f->why == ACCESS_NO_REASON && f->ms)
        snprintf(out, len, "status %u after %u ms", f->status, f->ms);
    else if (f->why == ACCESS_NO_REASON)
        snprintf(out, len, "status %u", f->status);
    else if (f->why == ACCESS_TIMEOUT && f->ms)
        snprintf(out, len, "timed out after %u ms", f->ms);
    else
        snprintf(out, len, "%s", sentence(f->why));
}

/* Down, or up again. Names in events may be cut: then the site is not found, and its numbers are
 * left out. */
static void changed_text(const struct control *c, const struct node_origin *o, char *out,
                         size_t len)
{
    const struct proxy_site *site = proxy_site_find(c->view->policy, o->site);
    bool down = o->why == ACCESS_DOWN;
    char found[200], times[64] = "";

    found_text(&o->found, found, sizeof(found));
    if (site && down)
        snprintf(times, sizeof(times), ", %u time%s in a row (health.fall)", site->health.fall,
                 site->health.fall == 1 ? "" : "s");
    else if (site)
        snprintf(times, sizeof(times), ", well %u time%s in a row (health.rise)", site->health.rise,
                 site->health.rise == 1 ? "" : "s");
    snprintf(out, len, "%s: %s: %s%s%s%s", down ? "down" : "up again",
             site ? site->health.path : "health.path", found,
             down && o->found.why == ACCESS_TIMEOUT ? " (health.timeout)" : "", times,
             down ? "; it is left alone while another is up" : "");
}

void origins_failed(struct control *c, const struct node_origin *o, uint64_t now_us)
{
    struct origin_told *place = NULL;
    bool changed = o->why == ACCESS_DOWN || o->why == ACCESS_UP; /* the last word must be true */

    for (unsigned i = 0; i < CONTROL_ORIGINS; i++) {
        struct origin_told *t = &c->origin_told[i];
        if (t->until_us <= now_us)
            place = t;
        else if (!changed && t->what.why == o->why && t->what.port == o->port &&
                 strcmp(t->what.host, o->host) == 0 && strcmp(t->what.site, o->site) == 0)
            return;
    }
    if (!place && !changed)
        return;
    if (!changed)
        *place = (struct origin_told){*o, now_us + TOLD_US};
    char text[640];
    snprintf(text, sizeof(text), "%s", sentence(o->why));
    if (changed)
        changed_text(c, o, text, sizeof(text));
    if (o->why == ACCESS_UP)
        log_info("site %s: origin %s:%u: %s", o->site, o->host, o->port, text);
    else
        log_warning("site %s: origin %s:%u: %s", o->site, o->host, o->port, text);
}

/* --- coralctl origins ---------------------------------------------------------------------- */

void origins_begin(struct control *c, uint32_t client, const struct request *r)
{
    if (*r->url && !proxy_site_find(c->view->policy, r->url)) {
        char error[320];
        snprintf(error, sizeof(error),
                 "there is no site \"%.255s\"; sites in corald.yaml(5) lists them", r->url);
        server_refuse(c->server, client, error);
        return;
    }
    struct node_origins origins = {0};
    snprintf(origins.site, sizeof(origins.site), "%.255s", r->url);
    jobs_ask(c, client, r, ORIGINS_US, NODE_ORIGINS, &origins, sizeof(origins));
}

/* It is asked where those before it, or those that have a weight, do not help. */
static bool is_backup(const struct control *c, const struct proxy_origin_info *o)
{
    const struct proxy_site *site = proxy_site_find(c->view->policy, o->site);
    bool weighed = false, first = false;

    if (!site || o->weight)
        return false;
    for (unsigned i = 0; i < site->origins; i++)
        weighed |= site->origin[i].weight > 0;
    first = strcmp(site->origin[0].host, o->host) == 0 && site->origin[0].port == o->port;
    return weighed || !first;
}

/* How requests failed; a limit is the site's. */
static void failed_text(const struct control *c, const struct proxy_origin_info *o, char *out,
                        size_t len)
{
    const struct proxy_site *site = proxy_site_find(c->view->policy, o->site);
    struct proxy_found f = o->failed;

    if (site && f.why == ACCESS_TIMEOUT)
        f.ms = site->timeouts.first_byte_ms;
    if (site && f.why == ACCESS_CONNECT)
        snprintf(out, len, "no connection after %u ms", site->timeouts.connect_ms);
    else
        found_text(&f, out, len);
}

/* Why it is left alone: by what its probes find, else by what requests did. */
static void why_text(const struct control *c, const struct proxy_origin_info *worst,
                     const struct proxy_found *probe, bool down, char *out, size_t len)
{
    *out = '\0';
    if (down && probe && (probe->why || probe->status))
        found_text(probe, out, len);
    else if (worst->breaker != PROXY_CLOSED)
        failed_text(c, worst, out, len);
}

/* One origin as all workers see it: the sums, and what the worst off says of its breaker. */
static json_t *origin_json(const struct control *c, const struct job *job,
                           const struct node_origins *first, unsigned k)
{
    static const char *const words[] = {
        [PROXY_CLOSED] = "closed", [PROXY_OPEN] = "open", [PROXY_HALF_OPEN] = "half-open"};
    static const uint8_t worse[] = {[PROXY_CLOSED] = 0, [PROXY_HALF_OPEN] = 1, [PROXY_OPEN] = 2};
    const struct proxy_origin_info *worst = &first->info[k];
    json_int_t in_flight = 0, waiting = 0, failures = 0, closed = 0, workers = 0;
    const struct proxy_found *probe = NULL;
    bool down = false;
    char at[300], why[200];

    for (unsigned i = 0; i < NODE_WORKERS; i++) {
        const struct node_origins *all = job_lent(job, i);
        if (!all || k >= all->n)
            continue;
        const struct proxy_origin_info *o = &all->info[k];
        in_flight += o->in_flight;
        waiting += o->waiting;
        failures += o->failures;
        closed += o->breaker == PROXY_CLOSED;
        workers++;
        down |= o->down;
        if (o->asks)
            probe = &o->found;
        if (worse[o->breaker] > worse[worst->breaker] || !worst->since_us)
            worst = o;
    }
    snprintf(at, sizeof(at), strchr(worst->host, ':') ? "[%s]:%u" : "%s:%u", worst->host,
             worst->port);
    why_text(c, worst, probe, down, why, sizeof(why));
    json_t *told = json_pack(
        "{s:s, s:s, s:i, s:b, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "site", worst->site,
        "origin", at, "weight", (int)worst->weight, "backup", is_backup(c, worst), "breaker",
        words[worst->breaker], "since_us", (json_int_t)worst->since_us, "retry_us",
        (json_int_t)worst->retry_us, "workers", workers, "workers_closed", closed, "health",
        !worst->probed ? "-"
        : down         ? "down"
                       : "up",
        "in_flight", in_flight, "waiting", waiting, "failures", failures);
    if (*why)
        json_object_set_new(told, "why", json_string(why));
    return told;
}

/* All that there are, of which workers show the first. */
static json_int_t origins_count(const struct control *c, const char *host)
{
    const struct proxy_policy *policy = c->view->policy;
    const struct proxy_site *only = *host ? proxy_site_find(policy, host) : NULL;
    json_int_t n = 0;

    for (unsigned i = 0; i < policy->sites; i++)
        if (!only || only == &policy->site[i])
            n += policy->site[i].origins;
    return n;
}

json_t *origins_sums_json(const struct control *c, const struct worker_stats *w)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "sites", (json_int_t)c->view->policy->sites, "origins",
                     origins_count(c, ""), "down",
                     (json_int_t)stats_sum(w, c->workers, "proxy_health_down"), "open",
                     (json_int_t)stats_most(w, c->workers, "proxy_origins_open"));
}

json_t *origins_json(const struct control *c, const struct job *job)
{
    json_t *all = json_array();
    const struct node_origins *first = NULL;

    for (unsigned i = 0; i < NODE_WORKERS && !first; i++)
        first = job_lent(job, i);
    for (unsigned k = 0; first && k < first->n; k++)
        json_array_append_new(all, origin_json(c, job, first, k));
    return json_pack("{s:b, s:I, s:o}", "ok", 1, "matched", origins_count(c, job->request.url),
                     "origins", all);
}

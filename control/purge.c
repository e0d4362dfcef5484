/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Purges. That of a URL goes to the worker that owns it; any other, and a soft one of a URL that
 * has variants or is being fetched, leaves a rule in the cache, which all workers heed from their
 * next turn on. Either is answered when no turn is left that began before it: then no client can be
 * sent any more of what was purged but who had asked before.
 */
#include <stdlib.h>
#include <string.h>

#include "control/jobs.h"
#include "control/log.h"
#include "control/restart.h"

#define PURGE_US 5000000u

struct lent_purge {
    uint32_t job;
    struct node_purge purge; /* with the URL behind it */
};

/* {"ok": true, "tag": "news", "soft": false} */
static json_t *purge_json(const struct request *r)
{
    json_t *o = json_pack("{s:b, s:b}", "ok", 1, "soft", r->soft);
    json_object_set_new(o, request_purge_words[r->purge],
                        r->purge == REQUEST_PURGE_ALL ? json_true() : json_string(r->url));
    return o;
}

static void purge_log(const struct request *r)
{
    log_info("purged %s=%s soft=%d", request_purge_words[r->purge],
             r->purge == REQUEST_PURGE_ALL ? "yes" : r->url, r->soft);
}

/* --- of a URL ------------------------------------------------------------------------------ */

static void purge_url(struct control *c, uint32_t client, const struct request *r)
{
    char url[REQUEST_URL + 64];
    size_t len = job_url(c, client, r, r->url, url, sizeof(url));
    struct message m = {.type = NODE_PURGE, .from = 0xffff};

    if (len == 0)
        return;
    struct lent_purge *lent = calloc(1, sizeof(*lent) + len + 1);
    struct job *j = job_new(c, client, r, control_now().mono_us + PURGE_US);
    if (lent && j) {
        lent->job = j->serial;
        lent->purge.soft = r->soft;
        lent->purge.len = len;
        memcpy(lent->purge.url, url, len);
        m.ptr[0] = &lent->purge;
        restart_purge_begins(c);
        if (control_command(c, node_owner(c->node, url, len), &m))
            return;
    }
    free(lent);
    if (j)
        j->used = false;
    server_refuse(c->server, client, "too many requests at once; try again");
}

/* --- by rule ------------------------------------------------------------------------------- */

/* What the cache knows it by; returns its length, 0 after an answer. */
static size_t rule_text(struct control *c, uint32_t client, const struct request *r, char *text,
                        size_t room)
{
    char url[REQUEST_URL + 64];

    switch (r->purge) {
    case REQUEST_PURGE_TAG:
        return (size_t)snprintf(text, room, "%s", r->url);
    case REQUEST_PURGE_PREFIX:
        if (r->url[strlen(r->url) - 1] == '*') {
            refuse_wrong(c, client,
                         "a prefix has no \"*\" at its end; write it like "
                         "http://www.example.com/shop/");
            return 0;
        }
        return job_url(c, client, r, r->url, text, room);
    case REQUEST_PURGE_HOST:
        if (strpbrk(r->url, "/?#@ ")) {
            refuse_wrong(c, client,
                         "this is no host; write it like www.example.com or "
                         "www.example.com:8080, and a URL behind --prefix");
            return 0;
        }
        snprintf(url, sizeof(url), "http://%s/", r->url);
        return job_url(c, client, r, url, text, room);
    default:
        return 1; /* of all */
    }
}

static void rule_wrong(struct control *c, uint32_t client, const struct request *r)
{
    char why[128];

    if (r->purge == REQUEST_PURGE_TAG)
        snprintf(why, sizeof(why), "this is no tag; one has 1 to %d bytes, and no space or comma",
                 CACHE_TAG_MAX);
    else
        snprintf(why, sizeof(why),
                 "this prefix is too deep; %d slashes behind the host are the most",
                 CACHE_SEGMENTS_MAX);
    refuse_wrong(c, client, why);
}

static void rule_full(struct control *c, uint32_t client)
{
    char why[160];

    snprintf(
        why, sizeof(why),
        "%d purges are being applied; try again in a second, or purge what they have in common: "
        "a prefix, a host, all",
        CACHE_PURGE_RULES);
    server_refuse(c->server, client, why);
}

/* Leaves the rule, and ends the job with what came of it. */
static void rule_leave(struct control *c, struct job *j, const struct cache_purge *what)
{
    uint64_t token;

    switch (node_purge(c->node, what, &token)) {
    case CACHE_PURGE_TAKEN:
        restart_purge_begins(c);
        restart_purge_ends(c); /* what is loaded yet is older than the rule, and so not kept */
        purge_log(&j->request);
        job_end_passed(c, j, token, purge_json(&j->request));
        return;
    case CACHE_PURGE_FULL:
        rule_full(c, j->client);
        break;
    case CACHE_PURGE_WRONG:
        rule_wrong(c, j->client, &j->request);
        break;
    }
    j->used = false;
}

static void purge_rule(struct control *c, uint32_t client, const struct request *r)
{
    char text[REQUEST_URL + 64];
    struct cache_purge what = {.soft = r->soft, .text = text};

    what.kind = r->purge == REQUEST_PURGE_ALL   ? CACHE_PURGE_ALL
                : r->purge == REQUEST_PURGE_TAG ? CACHE_PURGE_TAG
                                                : CACHE_PURGE_PREFIX;
    what.len = rule_text(c, client, r, text, sizeof(text));
    if (what.len == 0)
        return;
    struct job *j = job_new(c, client, r, control_now().mono_us + PURGE_US);
    if (!j) {
        server_refuse(c->server, client, "too many requests at once; try again");
        return;
    }
    rule_leave(c, j, &what);
}

/* --- both ---------------------------------------------------------------------------------- */

void control_purged(struct control *c, struct node_purge *purge)
{
    struct lent_purge *lent =
        (struct lent_purge *)(void *)((char *)purge - offsetof(struct lent_purge, purge));
    struct job *j = job_find(c, lent->job);

    restart_purge_ends(c); /* found or not: the file may have it yet */
    if (j && purge->found == PROXY_PURGED_BY_RULE) {
        rule_leave(
            c, j,
            &(struct cache_purge){
                .kind = CACHE_PURGE_URL, .soft = true, .text = purge->url, .len = purge->len});
    } else if (j && purge->found) {
        purge_log(&j->request);
        job_end_passed(c, j, node_mark(c->node), purge_json(&j->request));
    } else if (j) {
        job_end(c, j,
                json_pack("{s:b, s:s, s:s}", "ok", 0, "error", "not in this node's cache", "url",
                          j->request.url));
    }
    free(lent);
}

void purge_begin(struct control *c, uint32_t client, const struct request *r)
{
    if (r->purge == REQUEST_PURGE_URL)
        purge_url(c, client, r);
    else
        purge_rule(c, client, r);
}

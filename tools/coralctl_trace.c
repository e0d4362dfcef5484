/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A line a step, with the time since the request's head had come:
 *
 *   14:02:11.123Z 192.0.2.1 asked for http://www.example.com/a (GET, HTTP/1.1), worker 0
 *          +0.0 ms  not in the cache (miss)
 *          +7.7 ms  the index named nobody who has it, after 7.7 ms
 *         +24.7 ms  the origin's head, after 17.0 ms
 *         +24.8 ms  response 200 begins
 *         +26.0 ms  1024 bytes of the body sent; it is in the cache now
 *
 * A record has how long each kind of source was waited for in all, in the order in which they are
 * asked for the first time; who is asked twice is told of once.
 */
#include "tools/coralctl_trace.h"

#include <string.h>

#include "control/access_format.h"

/* How it begins, by why it was no hit or is stale. */
static const char *const why_text[ACCESS_WHYS] = {
    [ACCESS_WHY_MISS] = "not in the cache (miss)",
    [ACCESS_WHY_VARY_MISS] = "in the cache, but not the variant that it asks for (vary-miss)",
    [ACCESS_WHY_PARTIAL] = "in the cache, but not the part that it asks for (partial)",
    [ACCESS_WHY_STALE] = "in the cache, but stale (stale)",
    [ACCESS_WHY_REQUEST] = "it does not want what is in the cache (request)",
    [ACCESS_WHY_BYPASS] = "it may not be answered from the cache (bypass)",
    [ACCESS_WHY_METHOD] = "not a plain GET or HEAD: it is for the origin (method)",
    [ACCESS_WHY_REVALIDATE] =
        "in the cache, stale; sent while it is fetched anew (stale-while-revalidate)",
    [ACCESS_WHY_MAX_STALE] = "in the cache, stale; such a one may be sent (max-stale)",
    [ACCESS_WHY_IF_ERROR] = "in the cache, but stale",
};

/* Behind "this node answers 502 itself: ". */
static const char *const reason_text[ACCESS_REASONS] = {
    [ACCESS_NO_NAME] = "the origin's name does not exist, or has no address",
    [ACCESS_DNS] = "the origin's name could not be resolved",
    [ACCESS_FORBIDDEN] = "the origin's address is not allowed",
    [ACCESS_REFUSED] = "the origin refuses to connect, or is unreachable",
    [ACCESS_CONNECT] = "no connection to the origin in time",
    [ACCESS_CLOSED] = "the origin closed before it had answered",
    [ACCESS_NONSENSE] = "what the origin says is no HTTP",
    [ACCESS_BROKE_OFF] = "the origin's answer broke off",
    [ACCESS_TIMEOUT] = "the origin did not answer, or go on, in time",
    [ACCESS_BACKOFF] = "the origin was not asked, since it failed a moment ago",
    [ACCESS_LOOP] = "it has been through this cluster: a loop",
    [ACCESS_SHED] = "it has more to do than it can, and what is cheaper goes before",
    [ACCESS_SHARE] = "its site is over its share of the network",
    [ACCESS_NOT_SERVED] = "its host is not served here",
    [ACCESS_METHOD_REFUSED] = "its method is not served",
    [ACCESS_BODY_REFUSED] = "it may have no body",
    [ACCESS_BUSY] = "there were too many requests",
    [ACCESS_DENY_LIST] = "the deny list has its URL",
    [ACCESS_RULE_DENY] = "a rule denies it",
    [ACCESS_RULE_REDIRECT] = "a rule sends it elsewhere",
    [ACCESS_RULE_RATE] = "a rule's rate was used up",
    [ACCESS_RULE_FAILS] = "the rules make no URL of it, or could not be looked at",
    [ACCESS_BAD_LINE] = "it has no request line",
    [ACCESS_BAD_TARGET] = "its target is no path or URL",
    [ACCESS_BAD_FIELD] = "a line of its head is no field",
    [ACCESS_BAD_HOST] = "its host is missing, or none",
    [ACCESS_BAD_LENGTH] = "its Content-Length is no number, or there are two",
    [ACCESS_BAD_FRAMING] = "its Transfer-Encoding contradicts the rest of its head",
    [ACCESS_BAD_BODY] = "its body is not as its head says",
    [ACCESS_SHORT_BODY] = "its body ended early",
    [ACCESS_SLOW_HEAD] = "its head did not come in time",
    [ACCESS_SLOW_BODY] = "its body did not come in time",
    [ACCESS_LONG_TARGET] = "its target is too long",
    [ACCESS_BAD_EXPECT] = "it expects what is not known here",
    [ACCESS_LARGE_HEAD] = "its head is too large",
    [ACCESS_BAD_CODING] = "its transfer coding is not known here",
    [ACCESS_BAD_VERSION] = "its version of HTTP is not known here",
};

const json_t *trace_found(const struct coralctl_log *l, const json_t *answer)
{
    return l->latest || l->next >= 0 ? json_array_get(json_object_get(answer, "records"), 0) : NULL;
}

const char *trace_none(const json_t *answer)
{
    if (json_is_true(json_object_get(answer, "begun")))
        return "no access log is configured (log.access), so nothing was noted before this "
               "question; for some seconds now requests are: ask again, or without --no-wait";
    return "no request that fits is remembered; without --no-wait the next one is waited for";
}

/* --- pieces -------------------------------------------------------------------------------- */

static const char *text(const json_t *record, const char *key, const char *none)
{
    const char *s = json_string_value(json_object_get(record, key));
    return s ? s : none;
}

static uint64_t number(const json_t *record, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(record, key));
    return n > 0 ? (uint64_t)n : 0;
}

/* A later corald may say what is not known here: the word stands for itself then. */
static const char *sentence(const char *word, const char *const *words,
                            const char *const *sentences, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return sentences[i];
    return NULL;
}

static void at(uint64_t us, FILE *out)
{
    char since[32];
    snprintf(since, sizeof(since), "+%.1f", (double)us / 1000);
    fprintf(out, "%12s ms  ", since);
}

static void say(uint64_t us, const char *what, FILE *out)
{
    at(us, out);
    log_put(what, out);
    fputc('\n', out);
}

static void waited(uint64_t *since_us, uint64_t us, const char *what, FILE *out)
{
    *since_us += us;
    at(*since_us, out);
    fprintf(out, "%s%.1f ms\n", what, (double)us / 1000);
}

/* --- the story ----------------------------------------------------------------------------- */

static void show_asked(const json_t *r, FILE *out)
{
    const char *time = text(r, "time", ""), *target = text(r, "target", NULL);
    const char *id = text(r, "request_id", NULL);

    fprintf(out, "%.12sZ ", strlen(time) > 11 ? time + 11 : "-");
    log_put(text(r, "client", "-"), out);
    fputs(json_object_get(r, "peer") ? ", a node of this cluster," : "", out);
    if (target) {
        fputs(" asked for ", out);
        if (*target == '/') {
            fputs("http://", out);
            log_put(text(r, "host", "-"), out);
        }
        log_put(target, out);
        fputs(" (", out);
        log_put(text(r, "method", "-"), out);
        fputs(", HTTP/", out);
        log_put(text(r, "version", "?"), out);
        fputc(')', out);
    } else {
        fputs(" sent what could not be read", out);
    }
    fprintf(out, ", worker %llu", (unsigned long long)number(r, "worker"));
    if (id) {
        fputs(", ID ", out);
        log_put(id, out);
    }
    fputc('\n', out);
}

static void show_look(const json_t *r, const char *served, FILE *out)
{
    const char *why = text(r, "why", NULL);
    const char *known = why ? sentence(why, access_why_words, why_text, ACCESS_WHYS) : NULL;

    if (strcmp(served, "hit") == 0)
        say(0, "in the cache, and fresh (hit)", out);
    else if (why)
        say(0, known ? known : why, out);
    if (strcmp(served, "collapsed") == 0)
        say(0, "a fetch of it for another request ran already: joined that (collapsed)", out);
}

static void show_waits(const json_t *r, const char *served, FILE *out)
{
    uint64_t index = number(r, "index_us"), peer = number(r, "peer_us");
    uint64_t origin = number(r, "origin_us"), us = 0;
    bool by_peer = strcmp(served, "peer") == 0, failed = strcmp(served, "error") == 0;
    bool holds = json_object_get(r, "revalidated");

    if (index)
        waited(&us, index,
               peer || by_peer ? "the index named who has it, after "
               : origin        ? "the index named nobody who has it, after "
                               : "asked the index, for ",
               out);
    if (peer)
        waited(&us, peer, by_peer ? "a peer's head, after " : "asked peers, who did not help, for ",
               out);
    if (origin)
        waited(&us, origin,
               holds                                    ? "the origin says that what is "
                                                          "in the cache still holds "
                                                          "(304), after "
               : failed || strcmp(served, "stale") == 0 ? "asked the origin, in vain, for "
                                                        : "the origin's head, after ",
               out);
    else if (holds)
        say(number(r, "head_us"), "the origin says that what is in the cache still holds (304)",
            out);
    if (strcmp(text(r, "why", ""), access_why_words[ACCESS_WHY_IF_ERROR]) == 0)
        say(number(r, "head_us"),
            "nobody else helped: what is in the cache is sent (stale-if-error)", out);
}

static void show_head(const json_t *r, const char *served, FILE *out)
{
    unsigned long long status = number(r, "status");
    const char *reason = text(r, "reason", NULL);

    at(number(r, "head_us"), out);
    if (strcmp(served, "error") != 0) {
        fprintf(out, "response %llu begins\n", status);
        return;
    }
    fprintf(out, "this node answers %llu itself", status);
    if (reason) {
        const char *known = sentence(reason, access_reason_words, reason_text, ACCESS_REASONS);
        fputs(": ", out);
        log_put(known ? known : reason, out);
    }
    fputc('\n', out);
}

static void show_end(const json_t *r, const char *served, FILE *out)
{
    unsigned long long bytes = number(r, "bytes");
    const char *unit = bytes == 1 ? "byte" : "bytes";
    bool head = strcmp(text(r, "method", ""), "HEAD") == 0; /* may be all that was asked for */
    bool fetched = strcmp(served, "peer") == 0 || strcmp(served, "origin") == 0 ||
                   strcmp(served, "collapsed") == 0;

    at(number(r, "duration_us"), out);
    if (strcmp(served, "-") == 0)
        fprintf(out, "%s before there was an answer\n",
                json_object_get(r, "broken") ? "the connection was reset" : "the client left");
    else if (json_object_get(r, "left"))
        fprintf(out, "the client left before the end; %llu %s of the body had been sent\n", bytes,
                unit);
    else if (json_object_get(r, "broken"))
        fprintf(out, "broken off after %llu %s of the body: the rest could not be had\n", bytes,
                unit);
    else
        fprintf(out, "%llu %s of the body sent%s\n", bytes, unit,
                fetched && !head              ? "; it is in the cache now"
                : strcmp(served, "pass") == 0 ? "; it is not kept for others"
                                              : "");
}

void trace_show(const json_t *record, bool json, FILE *out)
{
    const char *served = text(record, "served", "-");

    if (json) {
        json_dumpf(record, out, JSON_INDENT(1) | JSON_ENSURE_ASCII);
        fputc('\n', out);
        return;
    }
    show_asked(record, out);
    show_look(record, served, out);
    show_waits(record, served, out);
    if (strcmp(served, "-") != 0)
        show_head(record, served, out);
    show_end(record, served, out);
}

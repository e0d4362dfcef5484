/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/coralctl_log.h"

#include <string.h>

#include "control/access_format.h"
#include "control/units.h"

void log_option(struct coralctl_log *l, unsigned key, const char *text)
{
    static const char *const word[] = {
        [ACCESS_FILTER_STATUS] = "--status", [ACCESS_FILTER_CLIENT] = "--client",
        [ACCESS_FILTER_PATH] = "--path",     [ACCESS_FILTER_SLOWER] = "--slower",
        [ACCESS_FILTER_SERVED] = "--served", [ACCESS_FILTER_ID] = "--id",
    };
    if (l->filter[key]) {
        l->again = text;
        l->twice = key;
        return;
    }
    l->filter[key] = text;
    if (key != ACCESS_FILTER_HOST && !l->option)
        l->option = word[key];
}

bool log_words(struct coralctl_log *l, const char *word, char *why, size_t len)
{
    struct access_filter f = {0};

    l->reopen = word && !l->trace && strcmp(word, "reopen") == 0;
    l->next = -1;
    if (l->again) {
        snprintf(why, len, "--%s is given twice, \"%.40s\" and \"%.40s\": all filters must hold",
                 access_filter_words[l->twice], l->filter[l->twice], l->again);
        return false;
    }
    if (l->trace && word && (l->filter[ACCESS_FILTER_HOST] || l->filter[ACCESS_FILTER_PATH])) {
        snprintf(why, len, "trace takes a URL, or --host and --path, not both");
        return false;
    }
    if (l->trace)
        l->filter[ACCESS_FILTER_URL] = word;
    else if (word && !l->reopen) {
        snprintf(why, len, "log takes \"reopen\" and nothing else, not \"%.40s\"", word);
        return false;
    }
    for (unsigned i = 0; i < ACCESS_FILTER_KEYS; i++) {
        json_t *text = l->filter[i] ? json_string(l->filter[i]) : NULL;
        bool good = !l->filter[i] || text;
        json_decref(text);
        if (!good) {
            snprintf(why, len, "%s%s takes text in UTF-8", i == ACCESS_FILTER_URL ? "" : "--",
                     access_filter_words[i]);
            return false;
        }
        if (l->filter[i] &&
            !access_filter_set(&f, (enum access_filter_key)i, l->filter[i], why, len))
            return false;
        if (l->filter[i] && l->reopen) {
            snprintf(why, len, "log reopen does not take --%s", access_filter_words[i]);
            return false;
        }
    }
    return true;
}

void log_question(const struct coralctl_log *l, json_t *question)
{
    if (l->reopen)
        json_object_set_new(question, "reopen", json_true());
    if (l->next >= 0) {
        json_object_set_new(question, "after", json_integer(l->next));
        json_object_set_new(question, "most", json_integer(l->trace ? 1 : 500));
    } else if (l->trace) {
        json_object_set_new(question, "most", json_integer(1));
    }
    for (unsigned i = 0; i < ACCESS_FILTER_KEYS; i++)
        if (l->filter[i])
            json_object_set_new(question, access_filter_words[i], json_string(l->filter[i]));
}

/* --- lines --------------------------------------------------------------------------------- */

/* A terminal must not take it for its own commands, C0 or C1. */
void log_put(const char *text, FILE *out)
{
    const unsigned char *p = (const unsigned char *)text;
    for (; *p; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        fputc(c1 || *p < 0x20 || *p == 0x7f ? '?' : *p, out);
        p += c1;
    }
}

static const char *text(const json_t *o, const char *key, const char *none)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : none;
}

/* Whose fault it says: the request's, an origin's, or nobody's. */
static const char *at_fault(const char *reason)
{
    unsigned i = 0;
    if (!reason)
        return "";
    while (i < ACCESS_REASONS && strcmp(reason, access_reason_words[i]) != 0)
        i++;
    bool nobody = i == ACCESS_REASONS || i == ACCESS_LOOP || i == ACCESS_SHARE || i == ACCESS_SHED;
    return nobody                   ? ", "
           : i >= ACCESS_BAD_LINE   ? ", request "
           : i >= ACCESS_NOT_SERVED ? ", "
                                    : ", origin ";
}

/* 02:13:04.123Z 192.0.2.1 GET www.example.com/a 200 1024 B 0.12 ms hit */
static void show_record(const json_t *o, FILE *out)
{
    const char *time = text(o, "time", ""), *target = text(o, "target", "-");
    char latency[UNITS_TEXT];
    json_int_t us = json_integer_value(json_object_get(o, "duration_us"));

    fprintf(out, "%.12sZ %s ", strlen(time) > 11 ? time + 11 : "-", text(o, "client", "-"));
    log_put(text(o, "method", "-"), out);
    fputc(' ', out);
    if (*target == '/')
        log_put(text(o, "host", ""), out);
    log_put(target, out);
    const char *reason = text(o, "reason", NULL);
    fprintf(out, " %lld %lld B %s %s%s%s%s%s%s\n",
            (long long)json_integer_value(json_object_get(o, "status")),
            (long long)json_integer_value(json_object_get(o, "bytes")),
            units_latency_round((uint64_t)us, latency), text(o, "served", "-"), at_fault(reason),
            reason ? reason : "", json_object_get(o, "peer") ? ", to a peer" : "",
            json_object_get(o, "left") ? ", the client left" : "",
            json_object_get(o, "broken") ? ", broken off" : "");
}

void log_show(const json_t *answer, bool json, FILE *out)
{
    const json_t *record;
    size_t i;

    if (json_object_get(answer, "file")) {
        if (json)
            json_dumpf(answer, out, JSON_COMPACT);
        else
            fprintf(out, "opened anew: %s", text(answer, "file", ""));
        fputc('\n', out);
    }
    if (json_is_true(json_object_get(answer, "missed")))
        fputs("coralctl: some are left out here: they come faster than they are asked for\n",
              stderr);
    json_array_foreach(json_object_get(answer, "records"), i, record)
    {
        if (!json) {
            show_record(record, out);
            continue;
        }
        json_dumpf(record, out, JSON_COMPACT | JSON_ENSURE_ASCII);
        fputc('\n', out);
    }
}

void log_hint(const json_t *answer)
{
    if (json_is_true(json_object_get(answer, "begun")) &&
        json_array_size(json_object_get(answer, "records")) == 0)
        fputs(
            "coralctl: no access log is configured (log.access), so nothing was noted before this "
            "question;\ncoralctl: for some seconds now requests are: ask again, or without "
            "--no-wait\n",
            stderr);
}

bool log_next(struct coralctl_log *l, const json_t *answer)
{
    l->next = json_integer_value(json_object_get(answer, "next"));
    return json_is_true(json_object_get(answer, "more"));
}

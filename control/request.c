/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/request.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "control/nearest.h"

const char *const request_words[REQUEST_VERBS] = {
    "status", "stats", "tcp", "origins", "shares", "peers", "clusters", "lookup",
    "near",   "purge", "log", "rules",   "reload", "drain", "stop"};

const char *const request_purge_words[REQUEST_PURGES] = {"", "url", "prefix", "tag", "host", "all"};

const char *const request_rules_words[REQUEST_RULES_WORDS] = {"status", "check", "load"};

static bool verb_parse(const char *word, enum request_verb *out, char *error, size_t len)
{
    for (unsigned i = 0; i < REQUEST_VERBS; i++)
        if (strcmp(word, request_words[i]) == 0) {
            *out = (enum request_verb)i;
            return true;
        }
    const char *near = nearest_word(word, request_words, REQUEST_VERBS);
    if (near)
        snprintf(error, len, "\"%.40s\" is no verb; did you mean \"%s\"?", word, near);
    else
        snprintf(error, len, "\"%.40s\" is no verb; there are " REQUEST_VERBS_TEXT, word);
    return false;
}

/* A text for r->url. */
static bool text_take(struct request *r, const char *what, const json_t *value, char *error,
                      size_t len)
{
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    if (n == 0 || n >= sizeof(r->url) || strlen(text) != n) {
        snprintf(error, len, "a %s has 1 to %d bytes", what, REQUEST_URL - 1);
        return false;
    }
    memcpy(r->url, text, n + 1);
    return true;
}

/* 1: it was one, and good; 0: it was bad; -1: it is none of purge's. */
static int purge_member(struct request *r, const char *key, const json_t *value, char *error,
                        size_t len)
{
    if (strcmp(key, "soft") == 0 && json_is_boolean(value)) {
        r->soft = json_is_true(value);
        return 1;
    }
    for (unsigned i = REQUEST_PURGE_URL; i < REQUEST_PURGES; i++) {
        bool all = i == REQUEST_PURGE_ALL;
        if (strcmp(key, request_purge_words[i]) != 0 ||
            !(all ? json_is_true(value) : json_is_string(value)))
            continue;
        if (r->purge != REQUEST_PURGE_NONE) {
            snprintf(error, len, "purge takes one of " REQUEST_PURGES_TEXT);
            return 0;
        }
        r->purge = (enum request_purge)i;
        return all || text_take(r, i == REQUEST_PURGE_URL ? "URL" : key, value, error, len);
    }
    return -1;
}

/* As purge_member. */
static int log_member(struct request *r, const char *key, const json_t *value, char *error,
                      size_t len)
{
    json_int_t n = json_integer_value(value);

    if (strcmp(key, "reopen") == 0 && json_is_true(value))
        return r->reopen = true;
    if (strcmp(key, "after") == 0 && json_is_integer(value) && n >= 0) {
        r->after = (uint64_t)n;
        return r->follow = true;
    }
    if (strcmp(key, "most") == 0 && json_is_integer(value)) {
        if (n >= 1 && n <= REQUEST_RECORDS) {
            r->most = (unsigned)n;
            return 1;
        }
        snprintf(error, len, "\"most\" is out of range: 1 to %u", REQUEST_RECORDS);
        return 0;
    }
    for (unsigned i = 0; i < ACCESS_FILTER_KEYS; i++)
        if (strcmp(key, access_filter_words[i]) == 0 && json_is_string(value))
            return access_filter_set(&r->filter, (enum access_filter_key)i,
                                     json_string_value(value), error, len);
    return -1;
}

/* As purge_member. */
static int rules_member(struct request *r, const char *key, const json_t *value, char *error,
                        size_t len)
{
    if (strcmp(key, "file") == 0 && json_is_string(value)) {
        if (!text_take(r, "file's name", value, error, len))
            return 0;
        if (*r->url == '/')
            return 1;
        snprintf(error, len, "\"%.100s\" is no absolute path", r->url);
        return 0;
    }
    if (strcmp(key, "do") != 0 || !json_is_string(value))
        return -1;
    for (unsigned i = 0; i < REQUEST_RULES_WORDS; i++)
        if (strcmp(json_string_value(value), request_rules_words[i]) == 0) {
            r->rules = (enum request_rules)i;
            return 1;
        }
    snprintf(error, len, "rules does no \"%.40s\"; there are " REQUEST_RULES_TEXT,
             json_string_value(value));
    return 0;
}

/* One member; unknown ones and wrong types are refused, so that a misspelt one is noticed. */
static bool member(struct request *r, const char *key, const json_t *value, char *error, size_t len)
{
    if (strcmp(key, "verb") == 0)
        return true;
    if (strcmp(key, "workers") == 0 && r->verb == REQUEST_STATS && json_is_boolean(value)) {
        r->workers = json_is_true(value);
        return true;
    }
    if (strcmp(key, "wait") == 0 && r->verb == REQUEST_STOP && json_is_boolean(value)) {
        r->wait = json_is_true(value);
        return true;
    }
    if (strcmp(key, "address") == 0 && (r->verb == REQUEST_TCP || r->verb == REQUEST_NEAR) &&
        json_is_string(value)) {
        size_t n = json_string_length(value);
        if (n == 0 || n >= sizeof(r->address)) {
            snprintf(error, len, "an address has 1 to %d bytes", REQUEST_ADDRESS - 1);
            return false;
        }
        memcpy(r->address, json_string_value(value), n + 1);
        return true;
    }
    if (strcmp(key, "site") == 0 && r->verb == REQUEST_ORIGINS && json_is_string(value))
        return text_take(r, key, value, error, len);
    if (strcmp(key, "key") == 0 && r->verb == REQUEST_LOOKUP && json_is_string(value))
        return text_take(r, key, value, error, len);
    if (r->verb == REQUEST_PURGE || r->verb == REQUEST_LOG || r->verb == REQUEST_RULES) {
        int taken = r->verb == REQUEST_LOG     ? log_member(r, key, value, error, len)
                    : r->verb == REQUEST_RULES ? rules_member(r, key, value, error, len)
                                               : purge_member(r, key, value, error, len);
        if (taken >= 0)
            return taken;
    }
    snprintf(error, len, "%s does not take \"%.40s\"", request_words[r->verb], key);
    return false;
}

bool request_parse(const char *line, size_t len, struct request *out, char *error, size_t error_len)
{
    json_error_t where;
    json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
    const char *key;
    json_t *value;
    bool good = false;

    memset(out, 0, sizeof(*out));
    out->wait = true;
    if (!o) {
        snprintf(error, error_len, "not JSON: %s, at byte %d", where.text, where.position);
        return false;
    }
    const char *verb = json_string_value(json_object_get(o, "verb"));
    if (!verb) {
        snprintf(error, error_len, "a request is an object with a \"verb\"");
        goto out;
    }
    if (!verb_parse(verb, &out->verb, error, error_len))
        goto out;
    json_object_foreach(o, key, value) if (!member(out, key, value, error, error_len)) goto out;
    if (out->verb == REQUEST_PURGE && out->purge == REQUEST_PURGE_NONE) {
        snprintf(error, error_len, "purge needs one of " REQUEST_PURGES_TEXT);
        goto out;
    }
    if (out->verb == REQUEST_LOOKUP && !*out->url) {
        snprintf(error, error_len, "lookup needs \"key\"");
        goto out;
    }
    if (out->verb == REQUEST_NEAR && !*out->address) {
        snprintf(error, error_len, "near needs \"address\"");
        goto out;
    }
    good = true;
out:
    json_decref(o);
    return good;
}

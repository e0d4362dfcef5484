/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/access_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/access_format.h"
#include "control/nearest.h"
#include "control/units.h"

const char *const access_filter_words[ACCESS_FILTER_KEYS] = {"status", "host",   "client", "path",
                                                             "slower", "served", "id",     "url"};

/* --- from words ---------------------------------------------------------------------------- */

static bool status_set(struct access_filter *f, const char *text, char *why, size_t len)
{
    bool good = strlen(text) == 3 && text[0] >= '1' && text[0] <= '5';

    if (good && strcasecmp(text + 1, "xx") == 0) {
        f->status_from = (unsigned)(text[0] - '0') * 100;
        f->status_to = f->status_from + 99;
    } else if (good && strspn(text, "0123456789") == 3) {
        f->status_from = f->status_to = (unsigned)strtoul(text, NULL, 10);
    } else {
        snprintf(why, len, "\"%.40s\" is no status; write it like 404 or 5xx", text);
        return false;
    }
    return true;
}

static bool client_set(struct access_filter *f, const char *text, char *why, size_t len)
{
    char address[ADDR_TEXT] = "";
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);

    if (n < sizeof(address))
        memcpy(address, text, n);
    bool good = addr_parse(address, &f->net);
    unsigned long most = good && addr_is_v4(&f->net) ? 32 : 128, bits = most;
    if (good && slash) {
        size_t digits = strspn(slash + 1, "0123456789");
        bits = strtoul(slash + 1, NULL, 10);
        good = digits > 0 && digits <= 3 && slash[1 + digits] == '\0' && bits <= most;
    }
    if (!good) {
        snprintf(why, len,
                 "\"%.60s\" is no client; write it like 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
                 text);
        return false;
    }
    f->bits = (uint8_t)bits;
    f->of_client = true;
    return true;
}

static bool text_set(char *out, size_t room, const char *what, const char *text, char *why,
                     size_t len)
{
    if (!*text || strlen(text) >= room) {
        snprintf(why, len, "a %s has 1 to %zu bytes", what, room - 1);
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool slower_set(struct access_filter *f, const char *text, char *why, size_t len)
{
    uint64_t ms = 0;
    if (units_time_parse(text, &ms) != UNITS_OK || ms > 86400000) {
        snprintf(why, len, "\"%.40s\" is no time up to a day; write it like 200ms", text);
        return false;
    }
    f->slower_us = ms * 1000;
    return true;
}

static bool served_set(struct access_filter *f, const char *text, char *why, size_t len)
{
    for (unsigned i = ACCESS_HIT; i < ACCESS_SERVED; i++)
        if (strcmp(text, access_served_words[i]) == 0) {
            f->served = 1u << i;
            return true;
        }
    const char *near =
        nearest_word(text, access_served_words + ACCESS_HIT, ACCESS_SERVED - ACCESS_HIT);
    if (near)
        snprintf(why, len, "\"%.40s\" is not how it is served; did you mean \"%s\"?", text, near);
    else
        snprintf(why, len,
                 "\"%.40s\" is not how it is served; there are hit, stale, peer, origin, "
                 "collapsed, pass and error",
                 text);
    return false;
}

static bool id_set(struct access_filter *f, const char *text, char *why, size_t len)
{
    if (strlen(text) != ACCESS_ID_MAX || strspn(text, "0123456789abcdef") != ACCESS_ID_MAX) {
        snprintf(why, len,
                 "\"%.40s\" is no ID of a request; X-Request-ID has one, of %d hex digits", text,
                 ACCESS_ID_MAX);
        return false;
    }
    memcpy(f->id, text, sizeof(f->id));
    return true;
}

/* A host is compared as policy does, a path byte by byte: nothing but :80 is made the same. */
static bool url_set(struct access_filter *f, const char *text, char *why, size_t len)
{
    static const char scheme[] = "http://";
    const char *host = text + sizeof(scheme) - 1;
    bool good = strncasecmp(text, scheme, sizeof(scheme) - 1) == 0;
    size_t n = good ? strcspn(host, "/?#") : 0, path = good ? strcspn(host + n, "#") : 0;

    if (!n || n >= sizeof(f->host) || path + 1 >= sizeof(f->path)) {
        snprintf(why, len,
                 "\"%.60s\" is no URL up to %zu bytes; write it like http://www.example.com/a",
                 text, sizeof(f->path) - 2);
        return false;
    }
    snprintf(f->path, sizeof(f->path), "%s%.*s", host[n] == '/' ? "" : "/", (int)path, host + n);
    if (n > 3 && memcmp(host + n - 3, ":80", 3) == 0)
        n -= 3;
    snprintf(f->host, sizeof(f->host), "%.*s", (int)n, host);
    return f->whole_path = true;
}

bool access_filter_set(struct access_filter *f, enum access_filter_key key, const char *text,
                       char *why, size_t len)
{
    switch (key) {
    case ACCESS_FILTER_STATUS:
        return status_set(f, text, why, len);
    case ACCESS_FILTER_HOST:
        return text_set(f->host, sizeof(f->host), "host", text, why, len);
    case ACCESS_FILTER_CLIENT:
        return client_set(f, text, why, len);
    case ACCESS_FILTER_PATH:
        return text_set(f->path, sizeof(f->path), "path", text, why, len);
    case ACCESS_FILTER_SLOWER:
        return slower_set(f, text, why, len);
    case ACCESS_FILTER_SERVED:
        return served_set(f, text, why, len);
    case ACCESS_FILTER_ID:
        return id_set(f, text, why, len);
    case ACCESS_FILTER_URL:
        return url_set(f, text, why, len);
    case ACCESS_FILTER_KEYS:
        break;
    }
    return false;
}

/* --- on records ---------------------------------------------------------------------------- */

static bool host_is(const struct access_filter *f, const struct access_record *a)
{
    size_t n = strlen(f->host), len = a->len[ACCESS_HOST];
    const char *host = access_text(a, ACCESS_HOST);
    return len >= n && strncasecmp(host, f->host, n) == 0 && (len == n || host[n] == ':');
}

/* The path of a target, which may be a whole URL (RFC 9112 3.2.2). */
static bool path_begins(const struct access_filter *f, const struct access_record *a)
{
    size_t n = strlen(f->path), len = a->len[ACCESS_TARGET];
    const char *target = access_text(a, ACCESS_TARGET), *end = target + len;
    const char *scheme = len && *target != '/' ? memmem(target, len, "://", 3) : NULL;
    if (scheme) {
        target = memchr(scheme + 3, '/', (size_t)(end - scheme - 3));
        target = target ? target : end;
    }
    size_t most = (size_t)(end - target);
    return (f->whole_path ? most == n : most >= n) && memcmp(target, f->path, n) == 0;
}

static bool id_is(const struct access_filter *f, const struct access_record *a)
{
    return a->len[ACCESS_ID] == ACCESS_ID_MAX &&
           memcmp(access_text(a, ACCESS_ID), f->id, ACCESS_ID_MAX) == 0;
}

bool access_filter_match(const struct access_filter *f, const struct access_record *a)
{
    return (!f->status_to || (a->status >= f->status_from && a->status <= f->status_to)) &&
           (!f->of_client || addr_in_prefix(&a->client, &f->net, f->bits)) &&
           a->duration_us >= f->slower_us && (!f->served || f->served >> a->served & 1) &&
           (!*f->host || host_is(f, a)) && (!*f->path || path_begins(f, a)) &&
           (!*f->id || id_is(f, a));
}

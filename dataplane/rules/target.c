/* SPDX-License-Identifier: BSD-3-Clause */
/* Where redirections and rewritten requests lead, and queries without some parameters. */
#include "dataplane/rules/rules_private.h"

static const char *const names[] = {"host", "path", "query", "uri", "rest"};
enum { NAME_HOST, NAME_PATH, NAME_QUERY, NAME_URI, NAME_REST, NAMES };

/* The name behind a '$', and where it ends. NAMES: there is none. */
static unsigned name_find(const char *at, const char **end)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (strncmp(at, names[i], strlen(names[i])) == 0) {
            *end = at + strlen(names[i]);
            return i;
        }
    *end = at;
    return NAMES;
}

/* Where a client could choose the host by his path: no redirection may lead just anywhere. */
static bool is_open(const char *target, const char *prefix)
{
    const char *at = strstr(target, "://"), *end = "";
    if (strncmp(target, "http", 4) != 0 || !at)
        return false;
    at += 3;
    if (strchr("/?", *at) || (*at == '$' && name_find(at + 1, &end) != NAME_HOST))
        return true;
    size_t n = prefix ? strlen(prefix) : 0;
    for (; *at && !strchr("/?", *at); at++) {
        if (*at != '$')
            continue;
        if (at[1] == '$') {
            at++;
            continue;
        }
        unsigned name = name_find(at + 1, &end);
        if (name == NAME_REST) /* what it begins with, unless a slash is there before it */
            return n > 0 && prefix[n - 1] == '/';
        if (name == NAME_PATH || name == NAME_URI)
            return false;
        at = end - 1; /* $query may be empty: the host goes on behind it */
    }
    return false;
}

const char *target_wrong(const char *target, const char *prefix)
{
    const char *end;
    for (const char *c = target; *c; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c > '~' || strchr("\"<>\\^`{|}", *c))
            return "there is a sign in it that no URL has; write it as %XX";
        if (*c != '$' || c[1] == '$') {
            c += *c == '$';
            continue;
        }
        unsigned name = name_find(c + 1, &end);
        if (name == NAMES)
            return "what follows $ is none of host, path, query, uri and rest; $$ is the sign";
        if (name == NAME_REST && !prefix)
            return "$rest is what follows the path of a rule with one; this has none";
        c = end - 1;
    }
    if (is_open(target, prefix))
        return "who asks could choose the host; write a slash behind it";
    return NULL;
}

struct out {
    char *p;
    size_t len, room;
    bool bad;
};

static void put(struct out *o, const char *p, size_t len)
{
    if (o->bad || len > o->room - o->len) {
        o->bad = true;
        return;
    }
    memcpy(o->p + o->len, p, len);
    o->len += len;
}

static void put_name(struct out *o, unsigned name, const struct rules_url *u, size_t prefix)
{
    switch (name) {
    case NAME_HOST:
        put(o, u->host, u->host_len);
        break;
    case NAME_PATH:
        put(o, u->path, u->query);
        break;
    case NAME_QUERY:
        put(o, u->path + u->query, u->path_len - u->query);
        break;
    case NAME_URI:
        put(o, u->path, u->path_len);
        break;
    default:
        put(o, u->path + prefix, u->path_len - prefix);
    }
}

static void expand(const struct rules_set *s, const struct action *a, const struct rules_url *u,
                   struct out *o)
{
    for (const char *c = text_at(s, a->text); *c;) {
        const char *end = c + 1;
        if (*c != '$')
            put(o, c, 1);
        else if (*end == '$')
            put(o, end++, 1);
        else
            put_name(o, name_find(end, &end), u, a->prefix);
        c = end;
    }
}

size_t rules_location(const struct rules_verdict *v, const char *url, size_t len, char *out,
                      size_t room)
{
    struct rules_url u;
    struct out o = {out, 0, room, false};
    if (!rules_url_split(url, len, &u))
        return 0;
    expand(v->set, &v->set->action[v->one[RULES_ANSWER]], &u, &o);
    if (o.bad)
        return 0;
    /* "//x" and, to browsers, "/\\x" would be another host's (RFC 3986 4.2) */
    size_t more = 0;
    while (o.len > 1 + more && *out == '/' && strchr("/\\", out[1 + more]))
        more++;
    memmove(out + 1, out + 1 + more, o.len - 1 - more);
    return o.len - more;
}

/* "utm_*" and the like. */
static bool is_named(const char *pattern, const char *name, size_t len)
{
    size_t n = strlen(pattern);
    bool star = n > 0 && pattern[n - 1] == '*';
    n -= star;
    return (star ? len >= n : len == n) && memcmp(pattern, name, n) == 0;
}

static bool is_stripped(const struct rules_verdict *v, const char *piece, size_t len)
{
    const char *equals = memchr(piece, '=', len);
    size_t name = equals ? (size_t)(equals - piece) : len;
    for (unsigned i = 0; i < v->many[RULES_QUERY]; i++) {
        const struct action *a = &v->set->action[v->list[RULES_QUERY][i]];
        if (is_named(text_at(v->set, a->text), piece, name))
            return true;
    }
    return false;
}

/* In place: what is left of the query, or neither it nor its '?'. */
static size_t strip(const struct rules_verdict *v, char *path, size_t len)
{
    char *query = memchr(path, '?', len), *end = path + len;
    if (!query || v->many[RULES_QUERY] == 0)
        return len;
    char *to = query;
    for (char *at = query + 1; at <= end;) {
        char *amp = memchr(at, '&', (size_t)(end - at));
        size_t n = (size_t)((amp ? amp : end) - at);
        if (!is_stripped(v, at, n)) {
            *to = to == query ? '?' : '&';
            memmove(to + 1, at, n);
            to += n + 1;
        }
        at += n + 1;
    }
    return (size_t)(to - path);
}

size_t rules_path(const struct rules_verdict *v, const char *url, size_t len, char *out,
                  size_t room)
{
    struct rules_url u;
    struct out o = {out, 0, room, false};
    if (!rules_url_split(url, len, &u))
        return 0;
    if (v->one[RULES_REWRITE] != RULES_NONE)
        expand(v->set, &v->set->action[v->one[RULES_REWRITE]], &u, &o);
    else
        put(&o, u.path, u.path_len);
    return o.bad ? 0 : strip(v, out, o.len);
}

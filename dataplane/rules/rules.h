/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operator's rules: what is done with requests for some hosts, paths and expressions. A text
 * (coral-rules(5)) becomes an immutable set, which workers ask by URL:
 *
 *   text --rules_parse--> set --expressions--> rules_compile (a process of its own) --bytes--+
 *                          ^                                                                |
 *                          +----------------------- rules_load (scratch a worker) <---------+
 *
 *   URL -> host: a hash of names, then the wildcards that cover it, nearest first
 *       -> rules of the host; of path prefixes: a hash of the borders of the path, those whose
 *          length some prefix of this host has; of expressions: one scan of one database of all
 *          distinct ones, whose matches count where a rule of this host has them
 *       -> of each kind of action the first one in the text, of those that add up all (verdict)
 *
 * Engine: no I/O, no clock. A set is built by one thread, then read by all; a worker's scratch is
 * its own.
 */
#ifndef CORAL_RULES_H
#define CORAL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/hash.h"
#include "base/now.h"

enum {
    RULES_BYTES = 16 << 20,    /* of a text */
    RULES_LINES = 100000,      /* rules in it */
    RULES_EXPRESSIONS = 16384, /* distinct ones */
    RULES_RATES = 64,
    RULES_COVER = 16, /* wildcards that cover one host */
    RULES_LIST = 16,  /* actions of a kind that add up, for one request; those after them are not
                         taken */
    RULES_WORKERS = 64,
    RULES_KEY = 32,
};

struct rules_set;

/* A mistake: line and column from 1, in characters; `length` of what is wrong. The message names
 * what, and the remedy. */
typedef void rules_tell(void *ctx, unsigned line, unsigned column, unsigned length,
                        const char *message);

/* NULL: mistakes were told, all but those of expressions; or there is no memory, and none was. */
struct rules_set *rules_parse(const char *text, size_t len, rules_tell *tell, void *ctx);
/* The same, but of a text with mistakes the set is there for its expressions, and nothing else:
 * rules_is_wrong. So those can be looked at, too. */
struct rules_set *rules_parse_all(const char *text, size_t len, rules_tell *tell, void *ctx);
bool rules_is_wrong(const struct rules_set *s);
void rules_free(struct rules_set *s);

struct rules_size {
    unsigned rules, hosts, prefixes, expressions, rates;
};
struct rules_size rules_size(const struct rules_set *s);
/* A number for the text: sets of the same one number their actions alike. Never 0. */
uint64_t rules_print(const struct rules_set *s);
uint64_t rules_text_print(const char *text, size_t len); /* the same, of what is not a set yet */

/* --- expressions ---------------------------------------------------------- */

const char *rules_expression(const struct rules_set *s, unsigned i);
/* Tells a mistake of an expression at its first place in the text. */
void rules_expression_wrong(const struct rules_set *s, unsigned i, const char *why,
                            rules_tell *tell, void *ctx);
/* What their database is known by: a hash of all of them in order, and of the library's version. */
void rules_key(const struct rules_set *s, uint8_t key[static RULES_KEY]);

/* Compiles expressions to a database's bytes (freed by free()); false: `wrong` has each that is
 * bad. May take seconds and gigabytes. */
typedef void rules_wrong(void *ctx, unsigned i, const char *why);
bool rules_compile(const char *const *expression, unsigned n, char **bytes, size_t *len,
                   rules_wrong *wrong, void *ctx);
/* As rules_compile tells them, and true if there are none; takes milliseconds an expression. */
bool rules_check(const char *const *expression, unsigned n, rules_wrong *wrong, void *ctx);
/* Readies a set for `workers` threads; without expressions no bytes are needed. The bytes must be
 * rules_compile's, unaltered: the library does not check them. False: no memory, or they are of
 * another machine or version. */
bool rules_load(struct rules_set *s, const char *bytes, size_t len, unsigned workers);

/* --- a request ------------------------------------------------------------ */

/* Kinds of actions. Of these the first in the text counts, */
enum rules_one {
    RULES_ANSWER, /* allow, deny, redirect */
    RULES_REWRITE,
    RULES_CACHE, /* cache, pass */
    RULES_TTL,
    RULES_COOKIES,
    RULES_RATE,
    RULES_ONES,
};
/* and all of these. */
enum rules_many { RULES_QUERY, RULES_TAG, RULES_REQUEST, RULES_RESPONSE, RULES_MANY };

#define RULES_NONE UINT32_MAX

struct rules_verdict {
    const struct rules_set *set;
    bool any;                 /* some rule matches; else nothing else is set */
    uint32_t one[RULES_ONES]; /* numbers of actions, RULES_NONE */
    uint8_t many[RULES_MANY]; /* how many there are in */
    uint32_t list[RULES_MANY][RULES_LIST];
};

/* What the rules say of a URL in its normal form (http_url_write). `worker`: below those of
 * rules_load, one call at a time for each. False: the expressions could not be looked at, which
 * the verdict lacks then; who asks must not take that for leave. */
bool rules_apply(const struct rules_set *s, unsigned worker, const char *url, size_t len,
                 struct rules_verdict *v);

/* The same URL as lax origins read it: %XX of what need not be encoded (RFC 3986 3.3), of slashes
 * and backslashes decoded, slashes in a row as one, then dot segments resolved. 0: it is no other,
 * as most. */
size_t rules_loosen(const char *url, size_t len, char *out, size_t room);

enum rules_answer { RULES_ALLOW, RULES_DENY, RULES_REDIRECT };
/* RULES_ALLOW where there is none. `status`: of the other two. */
enum rules_answer rules_answer(const struct rules_verdict *v, unsigned *status);
/* Where a redirect leads; 0: it does not fit. */
size_t rules_location(const struct rules_verdict *v, const char *url, size_t len, char *out,
                      size_t room);
static inline bool rules_moves(const struct rules_verdict *v)
{
    return v->one[RULES_REWRITE] != RULES_NONE || v->many[RULES_QUERY] > 0;
}
/* Path and query after `rewrite` and `strip-query`, of a request that rules_moves; 0: no room. */
size_t rules_path(const struct rules_verdict *v, const char *url, size_t len, char *out,
                  size_t room);
bool rules_passes(const struct rules_verdict *v);
bool rules_strips_cookies(const struct rules_verdict *v);
/* False: no rule says. Else `ttl_s` is what one says, -1 where that is none. */
bool rules_ttl(const struct rules_verdict *v, int64_t *ttl_s);
const char *rules_tag(const struct rules_verdict *v, unsigned i);
/* A number for what of a verdict what is stored depends on: ttl, tags, cookies, what the origin is
 * told. `seed` where there is nothing of that. */
uint64_t rules_stored_print(const struct rules_verdict *v, uint64_t seed);

/* A field that is set, or removed where `value` is NULL, in requests to origins (RULES_REQUEST) or
 * in responses to clients (RULES_RESPONSE). */
struct rules_field {
    const char *name, *value;
};
struct rules_field rules_field(const struct rules_set *s, uint32_t action);
/* Any rule for such fields at all? */
bool rules_edits(const struct rules_set *s, enum rules_many which);
/* Edits field lines ("name: value CR LF" each): what is named goes, what is set comes at the end.
 * Returns the new length, 0: no room. `list`: actions. */
size_t rules_edit(const struct rules_set *s, const uint32_t *list, unsigned n, char *lines,
                  size_t len, size_t room);

/* --- rates ---------------------------------------------------------------- */

/* Who asks how often, a worker's: an IPv4 address or an IPv6 /64 and a rate. Where there is no
 * room who has been quiet for longest is forgotten, as if he had never asked. */
struct rules_meter;
struct rules_meter *rules_meter_new(const struct hash_secret *secret);
void rules_meter_free(struct rules_meter *m);
/* Takes one request. 0: it may go on; else after so many seconds. */
unsigned rules_take(struct rules_meter *m, const struct rules_verdict *v, const struct addr *who,
                    struct now now);

#endif

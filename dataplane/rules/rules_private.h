/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set in memory: the text, its words ended by NUL in place, and tables of numbers into it.
 *
 *   host_table --hash of name--> host --parent--> the next wildcard that covers it
 *                                 |
 *            its rules for all ---+--- lengths of its prefixes, a bit each
 *   prefix_table --hash of host and prefix--> prefix --> rules
 *   database --id--> expression --> its rules, in order of hosts
 *   rule --> actions, in the order of the text: an action's number is its place in the text
 */
#ifndef CORAL_RULES_PRIVATE_H
#define CORAL_RULES_PRIVATE_H

#include <string.h>

#include "dataplane/rules/rules.h"

struct hs_database;
struct hs_scratch;

enum rule_where { WHERE_ALL, WHERE_PATH, WHERE_MATCH };

/* Kinds of actions in one: those that count once, then those that add up. */
#define RULES_KINDS (RULES_ONES + RULES_MANY)

enum cache_op { CACHE_OP_CACHE, CACHE_OP_PASS };

struct action {
    uint8_t kind;         /* enum rules_one, or RULES_ONES + enum rules_many */
    uint8_t op;           /* enum rules_answer, enum cache_op; else 0 */
    uint16_t status;      /* deny, redirect */
    uint32_t text, value; /* offsets: target, name, tag; value of a field, 0: it is removed */
    uint32_t prefix;      /* length of its rule's path prefix, for $rest */
    int64_t number;       /* ttl: seconds, -1: none; rate: which, -1: none */
};

struct rule {
    uint32_t host, text, len; /* text: prefix or expression */
    uint32_t action, actions;
    uint32_t line, column, length; /* of that text */
    uint8_t where;
};

struct host {
    uint32_t name, len; /* of a wildcard what is behind "*."; len 0: "*" */
    bool wildcard;
    bool matches;         /* there are rules of expressions */
    uint32_t parent;      /* RULES_NONE: none */
    uint32_t rule, rules; /* for all its requests */
    uint64_t lengths;     /* of its prefixes, a bit each; the last one is of all longer ones */
    uint32_t longest;     /* prefix */
};

struct prefix {
    uint32_t host, text, len;
    uint32_t rule, rules;
};

struct expression {
    uint32_t rule, rules; /* in order of hosts */
    uint32_t first;       /* the one that stands first in the text */
};

struct rate {
    uint32_t name;
    uint32_t line;
    uint64_t each_ns, burst_ns; /* between two; as gcra.h has it */
    uint64_t hash;              /* of its name and numbers: the same in the next set */
};

struct rules_set {
    char *text;
    size_t len;
    uint64_t print;
    bool wrong; /* its text has mistakes: there are expressions, and no tables */
    struct rule *rule;
    struct action *action;
    struct host *host;
    struct prefix *prefix;
    struct expression *expression;
    uint32_t rules, actions, hosts, prefixes, expressions, rates;
    uint32_t *host_table, *prefix_table; /* number + 1; 0: free */
    uint32_t host_mask, prefix_mask;
    struct rate rate[RULES_RATES];
    bool edits[RULES_MANY];
    struct hs_database *database;
    struct hs_scratch *scratch[RULES_WORKERS];
    uint32_t room[4]; /* of rule, action, host while it is read */
};

static inline const char *text_at(const struct rules_set *s, uint32_t at)
{
    return s->text + at;
}

/* Makes room for one more element. */
bool rules_grow(void **array, uint32_t n, uint32_t *room, size_t size);

/* --- while a text is read ------------------------------------------------- */

struct word {
    char *p; /* ended by NUL once the line is cut */
    uint32_t at, len;
    unsigned column, length;
};

struct parse {
    struct rules_set *set;
    rules_tell *tell;
    void *ctx;
    unsigned line;
    unsigned mistakes;
    bool no_memory;
    struct word *word;  /* of the line */
    unsigned words, at; /* at: the next to be read */
    struct rule *rule;  /* being read */
};

#define RULES_WORDS 256 /* of a line */

/* Notes a mistake; returns false. */
bool parse_wrong(struct parse *p, const struct word *w, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The next word of the line; NULL after a mistake: `what` is missing. */
struct word *parse_next(struct parse *p, const char *what);
/* actions.c: reads one action with what belongs to it. */
bool parse_action(struct parse *p);
/* "rate NAME 10/s burst 20", the first word is read. */
bool parse_rate(struct parse *p);

/* build.c: tables of what was read. False: no memory, or a mistake was told. */
bool rules_build(struct parse *p);
/* Of a text with mistakes: of its expressions alone. */
bool rules_build_wrong(struct rules_set *s);

uint64_t rules_host_hash(const char *name, size_t len, bool wildcard);
uint64_t rules_prefix_hash(uint32_t host, const char *path, size_t len);
/* The bit of struct host.lengths. */
static inline uint64_t rules_length_bit(size_t len)
{
    return 1ull << (len < 63 ? len : 63);
}
/* RULES_NONE: there is none. */
uint32_t rules_host_find(const struct rules_set *s, const char *name, size_t len, bool wildcard);
/* The nearest wildcard that covers a host, or what is below a wildcard's. */
uint32_t rules_cover(const struct rules_set *s, const char *name, size_t len);

struct rules_url {
    const char *host, *path;          /* path with the query */
    size_t host_len, path_len, query; /* query: where it begins in path, path_len: there is none */
};
bool rules_url_split(const char *url, size_t len, struct rules_url *out);

/* target.c: what is written in `redirect` and `rewrite`. NULL: good; else a sentence about it.
 * `prefix`: of the rule's path, NULL: it has none. */
const char *target_wrong(const char *target, const char *prefix);

#endif

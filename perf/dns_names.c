/* SPDX-License-Identifier: BSD-3-Clause */
#include "perf/dns_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "dns/wire.h"

#define NAMES_MAX 10000000u

/* RFC 1035 3.2.2, 3596, 2782, 6844 */
static const struct {
    const char *name;
    uint16_t type;
} types[] = {{"A", 1},   {"NS", 2},   {"CNAME", 5}, {"SOA", 6},  {"PTR", 12},
             {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"SRV", 33}, {"CAA", 257}};

static uint16_t type_of(const char *text)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(text, types[i].name) == 0)
            return types[i].type;
    return 0;
}

/* Returns the question's length, 0: it is no name. */
static uint32_t make_question(const char *name, uint16_t type, uint8_t out[DNS_NAMES_QUESTION])
{
    unsigned len = dns_name_parse(name, out);
    struct writer w = writer_of(out + len, 4);
    write_u16(&w, type);
    write_u16(&w, DNS_IN);
    return len ? len + 4 : 0;
}

bool dns_names_pattern(struct dns_names *n, const char *pattern, uint32_t count, char *error,
                       size_t error_len)
{
    char name[256];
    const char *hash = strchr(pattern, '#');
    *n = (struct dns_names){.count = hash ? count : 1};
    n->digits = hash ? (uint32_t)strspn(hash, "#") : 0;
    n->digits_at = hash ? (uint32_t)(hash - pattern) + 1 : 0; /* behind the first label's length */
    snprintf(name, sizeof(name), "%s", pattern);
    if (hash && n->digits <= DNS_NAMES_DIGITS && strlen(pattern) < sizeof(name))
        memset(name + (hash - pattern), '0', n->digits);
    n->question_len = make_question(name, DNS_A, n->question);
    if (n->question_len == 0 || strlen(pattern) >= sizeof(name)) {
        snprintf(error, error_len,
                 "--name: \"%.200s\" is no name, with one run of 1 to 8 # at most for a number",
                 pattern);
        return false;
    }
    uint64_t most = 1;
    for (uint32_t i = 0; i < n->digits; i++)
        most *= 10;
    if (n->count > most) {
        snprintf(error, error_len,
                 "--name: \"%.200s\" has %u digits, too few for %u names; say --objects", pattern,
                 n->digits, n->count);
        return false;
    }
    return true;
}

/* Room for one more question. */
static bool make_room(struct dns_names *n, size_t *room, uint32_t len)
{
    const uint32_t end = n->count ? n->at[n->count] : 0;
    if (end + len > *room) {
        uint8_t *all = realloc(n->all, 2 * *room + 65536);
        if (!all)
            return false;
        n->all = all;
        *room = 2 * *room + 65536;
    }
    if (n->count % 4096 == 0) {
        uint32_t *at = realloc(n->at, (n->count + 4096 + 1) * sizeof(n->at[0]));
        if (!at)
            return false;
        n->at = at;
    }
    n->at[n->count] = end;
    return true;
}

/* One line of a file. NULL: well; else what is wrong with it, for people. */
static const char *take_line(struct dns_names *n, const char *line, size_t *room)
{
    char name[256] = "", type[16] = "A";
    uint8_t question[DNS_NAMES_QUESTION];
    if (sscanf(line, "%255s %15s", name, type) < 1 || name[0] == '#')
        return NULL;
    const uint16_t code = type_of(type);
    const uint32_t len = make_question(name, code, question);
    if (len == 0)
        return "is no name, of letters, digits, hyphens and underscores";
    if (code == 0)
        return "has a type that is none of A, AAAA, CNAME, NS, SOA, PTR, MX, TXT, SRV, CAA";
    if (n->count == NAMES_MAX)
        return "is one more than the 10000000 that there may be";
    if (!make_room(n, room, len))
        return "finds no memory";
    memcpy(n->all + n->at[n->count], question, len);
    n->count++;
    n->at[n->count] = n->at[n->count - 1] + len;
    n->question_len = len > n->question_len ? len : n->question_len;
    return NULL;
}

bool dns_names_file(struct dns_names *n, const char *path, char *error, size_t error_len)
{
    char *line = NULL;
    const char *why = NULL;
    size_t line_room = 0, room = 0, number = 0;
    FILE *f = fopen(path, "re");

    *n = (struct dns_names){0};
    if (!f) {
        snprintf(error, error_len, "--names: %s: %s", path, strerror(errno));
        return false;
    }
    while (!why && getline(&line, &line_room, f) > 0) {
        number++;
        why = take_line(n, line, &room);
    }
    if (why)
        snprintf(error, error_len, "--names: %s:%zu: \"%.*s\" %s", path, number,
                 (int)strcspn(line, "\n"), line, why);
    else if (n->count == 0)
        snprintf(error, error_len, "--names: %s: no name is in it", path);
    free(line);
    fclose(f);
    return !why && n->count > 0;
}

void dns_names_free(struct dns_names *n)
{
    free(n->all);
    free(n->at);
    *n = (struct dns_names){0};
}

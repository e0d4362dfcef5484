/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk over a YAML document, led by the table of options. libfyaml parses; it resolves
 * nothing (an alias bomb would take gigabytes), so aliases and anchors are refused here, and it
 * is told to let doubled keys pass, so that they are reported together with all else.
 */
#include "control/config.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "control/nearest.h"

#define LEVEL_KEYS 64 /* known keys of one mapping: suggestions */

struct walk {
    struct config *config;
    struct report *report;
    char folder[CONFIG_TEXT]; /* of the configuration, for relative file names */
    unsigned site_room;
};

/* A mapping's place in the document and in the table. */
struct level {
    const char *path;    /* as people see it: "ports[1]." */
    const char *pattern; /* as the table has it: "ports[]." */
    void *base;          /* the group's struct */
};

static struct place place_from(const struct fy_mark *start, const struct fy_mark *end, bool quoted)
{
    struct place at = {
        .line = (unsigned)start->line + 1, .column = (unsigned)start->column + 1, .length = 1};
    if (end && end->line == start->line && end->column > start->column)
        at.length = (unsigned)(end->column - start->column);
    if (quoted && at.column > 1) { /* marks leave the quotes out */
        at.column--;
        at.length += 2;
    }
    return at;
}

/* Where a node stands: a scalar itself, the first one inside of a collection. */
static struct place node_place(struct fy_node *n, struct place fallback)
{
    for (unsigned depth = 0; n && depth < 64; depth++) {
        void *prev = NULL;
        switch (fy_node_get_type(n)) {
        case FYNT_SCALAR: {
            struct fy_token *t = fy_node_get_scalar_token(n);
            const struct fy_mark *start = t ? fy_token_start_mark(t) : NULL;
            enum fy_node_style style = fy_node_get_style(n);
            if (!start)
                return fallback;
            return place_from(start, fy_token_end_mark(t),
                              style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED);
        }
        case FYNT_MAPPING: {
            struct fy_node_pair *pair = fy_node_mapping_iterate(n, &prev);
            n = pair ? fy_node_pair_key(pair) : NULL;
            break;
        }
        case FYNT_SEQUENCE:
            n = fy_node_sequence_iterate(n, &prev);
            break;
        }
    }
    return fallback;
}

/* The text of a plain or quoted scalar, NULL when the node is none or too long for any value. */
static const char *scalar_text(struct fy_node *n, char *out, size_t out_len)
{
    size_t len = 0;
    const char *s = n && fy_node_is_scalar(n) ? fy_node_get_scalar(n, &len) : NULL;

    if (!s || len >= out_len || memchr(s, '\0', len))
        return NULL;
    memcpy(out, s, len);
    out[len] = '\0';
    return out;
}

/* `key:` with nothing behind it */
static bool is_nothing(struct fy_node *n)
{
    return !n || (fy_node_is_scalar(n) && !fy_node_is_alias(n) && !fy_node_get_scalar_token(n)) ||
           (fy_node_is_scalar(n) && fy_node_get_scalar_token(n) &&
            !fy_token_start_mark(fy_node_get_scalar_token(n)));
}

/* What YAML can do and a configuration does not need. */
static bool is_refused(struct walk *w, struct fy_node *n, struct place at, const char *path)
{
    size_t len;
    if (n && fy_node_is_alias(n)) {
        report_add(w->report, at, path, "aliases are not taken; write the value out");
        return true;
    }
    if (n && fy_node_get_tag(n, &len)) {
        report_add(w->report, at, path, "tags are not taken; write the value without \"!\"");
        return true;
    }
    return false;
}

/* --- files that the configuration names ---------------------------------------------------- */

static void file_read(struct walk *w, const char *path, struct config_file *file)
{
    char why[128], full[CONFIG_TEXT * 2];
    bool is_key = strcmp(path, "cluster.key_file") == 0;
    struct stat st;

    if (file->path[0] != '/') {
        snprintf(full, sizeof(full), "%s/%s", w->folder, file->path);
        if (strlen(full) >= sizeof(file->path)) {
            report_add(w->report, file->place, path, "the file's name is too long");
            return;
        }
        memcpy(file->path, full, strlen(full) + 1);
    }
    free(file->text);
    file->text = config_slurp(file->path, &file->len, why, sizeof(why));
    if (!file->text) {
        int reason = errno;
        w->report->denied += reason == EACCES;
        if (is_key && reason == ENOENT)
            report_add(w->report, file->place, path,
                       "cannot read %s: %s; (umask 077; openssl rand -hex 16 >%s) makes a key",
                       file->path, why, file->path);
        else
            report_add(w->report, file->place, path, "cannot read %s: %s", file->path, why);
    } else if (is_key && stat(file->path, &st) == 0 && (st.st_mode & S_IROTH))
        report_warn(w->report, file->place, path, "anybody can read %s; chmod o= %s", file->path,
                    file->path);
}

/* --- values -------------------------------------------------------------------------------- */

static void read_value(struct walk *w, const struct schema_option *o, struct fy_node *n,
                       struct place key_at, const char *path, void *field)
{
    char text[1024], why[512];
    struct place at = node_place(n, key_at);

    if (is_refused(w, n, at, path))
        return;
    if (is_nothing(n)) {
        report_add(w->report, key_at, path, "has no value; write it like %s",
                   schema_type_example(o->type));
        return;
    }
    if (!fy_node_is_scalar(n)) {
        report_add(w->report, at, path, "one value is wanted here, like %s",
                   schema_type_example(o->type));
        return;
    }
    if (!scalar_text(n, text, sizeof(text))) {
        report_add(w->report, at, path, "the value is too long");
        return;
    }
    if (!config_value(o, text, field, why, sizeof(why))) {
        report_add(w->report, at, path, "%s", why);
        return;
    }
    if (o->type == OPTION_FILE) {
        struct config_file *file = field;
        file->place = at;
        file_read(w, path, file);
    }
}

/* Checks that come when all is read point at a gateway's own place. */
static void place_keep(const struct schema_option *o, void *base, unsigned i, struct place at)
{
    struct config_port *p = base;
    if (o->group == GROUP_PORT && strcmp(o->path, "ports[].gateway[]") == 0 && i < 2)
        p->gateway_place[i] = at;
}

static void read_list(struct walk *w, const struct schema_option *o, struct fy_node *n,
                      struct place key_at, const char *path, void *base)
{
    unsigned *count = (unsigned *)((char *)base + o->offset);
    char *item = (char *)base + o->item_offset, item_path[REPORT_PATH + 16];
    size_t size = schema_type_size(o->type);
    void *prev = NULL;
    struct fy_node *element;

    if (n && fy_node_is_scalar(n)) {
        unsigned before = w->report->errors;
        read_value(w, o, n, key_at, path, item);
        place_keep(o, base, 0, node_place(n, key_at));
        *count = before == w->report->errors;
        return;
    }
    if (!n || !fy_node_is_sequence(n)) {
        report_add(w->report, node_place(n, key_at), path, "a list is wanted here, like [%s]",
                   schema_type_example(o->type));
        return;
    }
    if (is_refused(w, n, key_at, path))
        return;
    *count = 0;
    for (unsigned i = 0; (element = fy_node_sequence_iterate(n, &prev)); i++) {
        snprintf(item_path, sizeof(item_path), "%s[%u]", path, i);
        if (i == o->max) {
            report_add(w->report, node_place(element, key_at), item_path, "too many: %llu at most",
                       (unsigned long long)o->max);
            return;
        }
        unsigned before = w->report->errors;
        read_value(w, o, element, key_at, item_path, item + *count * size);
        place_keep(o, base, *count, node_place(element, key_at));
        *count += before == w->report->errors;
    }
}

/* --- keys ---------------------------------------------------------------------------------- */

static void report_unknown(struct walk *w, const struct level *l, const char *key, struct place at,
                           const char *path)
{
    char keys[LEVEL_KEYS][SCHEMA_KEY], full[64];
    const char *words[LEVEL_KEYS];
    size_t n = schema_keys(l->pattern, keys, LEVEL_KEYS);

    for (size_t i = 0; i < n; i++)
        words[i] = keys[i];
    const char *near = nearest_word(key, words, n);
    if (!near)
        near = schema_belongs(key, full, sizeof(full));
    if (near)
        report_add(w->report, at, path, "no such key; did you mean \"%s\"?", near);
    else
        report_add(w->report, at, path, "no such key; see corald.yaml(5)");
}

static void read_mapping(struct walk *w, struct fy_node *n, struct place at, const struct level *l);

static void read_section(struct walk *w, struct fy_node *n, struct place at, const char *path,
                         const char *pattern, void *base)
{
    char inner_path[REPORT_PATH + 2], inner_pattern[64];

    if (is_refused(w, n, node_place(n, at), path) || is_nothing(n))
        return;
    if (!fy_node_is_mapping(n)) {
        report_add(w->report, node_place(n, at), path, "keys with values are wanted here");
        return;
    }
    snprintf(inner_path, sizeof(inner_path), "%s.", path);
    snprintf(inner_pattern, sizeof(inner_pattern), "%s.", pattern);
    read_mapping(w, n, at, &(struct level){inner_path, inner_pattern, base});
}

static void read_ports(struct walk *w, struct fy_node *n, struct place at)
{
    struct config *c = w->config;
    struct fy_node *element;
    char path[REPORT_PATH];
    void *prev = NULL;

    if (is_refused(w, n, node_place(n, at), "ports") || is_nothing(n))
        return;
    if (!fy_node_is_sequence(n)) {
        report_add(w->report, node_place(n, at), "ports",
                   "a list is wanted here, like [{device: eth1, addresses: [192.0.2.10/24]}]");
        return;
    }
    c->ports = 0;
    for (unsigned i = 0; (element = fy_node_sequence_iterate(n, &prev)); i++) {
        struct place here = node_place(element, at);
        snprintf(path, sizeof(path), "ports[%u]", i);
        if (i == CONFIG_PORTS) {
            report_add(w->report, here, path, "too many: %d at most", CONFIG_PORTS);
            return;
        }
        struct config_port *p = &c->port[c->ports++];
        memset(p, 0, sizeof(*p));
        config_defaults(GROUP_PORT, p);
        p->place = here;
        read_section(w, element, here, path, "ports[]", p);
    }
}

static void read_site(struct walk *w, const char *host, struct fy_node *n, struct place at,
                      const char *path)
{
    static const struct schema_option domain = {.path = "sites", .type = OPTION_DOMAIN};
    struct config *c = w->config;
    char why[512];

    if (c->sites == w->site_room) {
        unsigned room = w->site_room ? 2 * w->site_room : 16;
        struct config_site *site = NULL;
        if (room <= CONFIG_SITES)
            site = realloc(c->site, room * sizeof(*site));
        if (!site) {
            report_add(w->report, at, path, "too many sites: %d at most", CONFIG_SITES);
            return;
        }
        c->site = site;
        w->site_room = room;
    }
    struct config_site *s = &c->site[c->sites];
    memset(s, 0, sizeof(*s));
    s->place = at;
    config_defaults(GROUP_SITE, s);
    if (config_value(&domain, host, s->host, why, sizeof(why)))
        c->sites++;
    else
        report_add(w->report, at, path, "%s", why);
    read_section(w, n, at, path, "sites.*", s);
}

static void read_pair(struct walk *w, const struct level *l, const char *key, struct place at,
                      struct fy_node *value)
{
    char path[REPORT_PATH], pattern[64];
    const struct schema_option *o = NULL;

    snprintf(path, sizeof(path), "%s%s", l->path, key);
    enum schema_kind kind = schema_find(l->pattern, key, &o);
    if ((kind == SCHEMA_VALUE || kind == SCHEMA_LIST) && o->group == GROUP_NODE)
        w->config->place[o - schema_options] = at;
    switch (kind) {
    case SCHEMA_UNKNOWN:
        report_unknown(w, l, key, at, path);
        break;
    case SCHEMA_VALUE:
        read_value(w, o, value, at, path, (char *)l->base + o->offset);
        break;
    case SCHEMA_LIST:
        read_list(w, o, value, at, path, l->base);
        break;
    case SCHEMA_SECTION:
        snprintf(pattern, sizeof(pattern), "%s%.*s", l->pattern, 31, key);
        read_section(w, value, at, path, pattern, l->base);
        break;
    case SCHEMA_SECTIONS:
        read_ports(w, value, at);
        break;
    case SCHEMA_ANY:
        read_site(w, key, value, at, path);
        break;
    }
}

struct key_seen {
    const char *text;
    struct place at;
};

static int by_text(const void *a, const void *b)
{
    const struct key_seen *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    if (order)
        return order;
    return x->at.line != y->at.line ? (x->at.line < y->at.line ? -1 : 1)
                                    : (x->at.column < y->at.column ? -1 : 1);
}

static void report_doubles(struct walk *w, struct key_seen *seen, size_t n, const char *prefix)
{
    char path[REPORT_PATH];

    if (n > 1)
        qsort(seen, n, sizeof(*seen), by_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(seen[i - 1].text, seen[i].text) == 0) {
            snprintf(path, sizeof(path), "%s%s", prefix, seen[i].text);
            report_add(w->report, seen[i].at, path, "this key is here twice; first in line %u",
                       seen[i - 1].at.line);
        }
}

static void read_mapping(struct walk *w, struct fy_node *n, struct place at, const struct level *l)
{
    int pairs = fy_node_mapping_item_count(n);
    struct key_seen *seen = pairs > 0 ? calloc((size_t)pairs, sizeof(*seen)) : NULL;
    struct fy_node_pair *pair;
    size_t count = 0;
    void *prev = NULL;

    while (seen && (pair = fy_node_mapping_iterate(n, &prev)) && count < (size_t)pairs) {
        struct fy_node *key = fy_node_pair_key(pair);
        struct place key_at = node_place(key, at);
        char text[CONFIG_TEXT];

        if (is_refused(w, key, key_at, l->path))
            continue;
        if (is_nothing(key) || !scalar_text(key, text, sizeof(text)) || !*text) {
            report_add(w->report, key_at, l->path, "a key is wanted here, a plain word");
            continue;
        }
        read_pair(w, l, text, key_at, fy_node_pair_value(pair));
        seen[count].text = strdup(text);
        seen[count].at = key_at;
        count += seen[count].text != NULL;
    }
    if (strcmp(l->pattern, "sites.") != 0) /* config_check looks for these, however written */
        report_doubles(w, seen, count, l->path);
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)seen[i].text);
    free(seen);
}

/* --- the document -------------------------------------------------------------------------- */

static void report_syntax(struct report *report, struct fy_diag *diag)
{
    struct fy_diag_error *e;
    void *prev = NULL;
    unsigned before = report->errors;

    report->broken = true;
    while ((e = fy_diag_errors_iterate(diag, &prev)))
        report_add(report,
                   (struct place){e->line > 0 ? (unsigned)e->line : 0,
                                  e->column > 0 ? (unsigned)e->column : 0, 1},
                   "", "%s", e->msg ? e->msg : "not YAML");
    if (report->errors == before)
        report_add(report, (struct place){0}, "", "not a YAML text in UTF-8");
}

static void read_document(struct walk *w, struct fy_document *doc)
{
    struct place top = {1, 1, 1};
    struct fy_node *root = fy_document_root(doc);
    struct fy_anchor *anchor;
    void *prev = NULL;

    while ((anchor = fy_document_anchor_iterate(doc, &prev)))
        report_add(w->report, node_place(fy_anchor_node(anchor), top), "",
                   "anchors are not taken; write the value out where it is used");
    if (is_nothing(root))
        return;
    if (!fy_node_is_mapping(root)) {
        report_add(w->report, node_place(root, top), "",
                   "keys with values are wanted here, like \"ports: ...\"");
        return;
    }
    read_mapping(w, root, top, &(struct level){"", "", w->config});
}

/* Only blanks and comments: no document, and no mistake of syntax. */
static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '#')
            while (i + 1 < len && text[i + 1] != '\n')
                i++;
        else if (!strchr(" \t\r\n", text[i]) || text[i] == '\0')
            return false;
    }
    return true;
}

static void read_yaml(struct walk *w, const char *text, size_t len)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    struct fy_parse_cfg cfg = {
        .diag = diag, .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_ALLOW_DUPLICATE_KEYS};
    fy_diag_set_collect_errors(diag, true);
    struct fy_parser *parser = fy_parser_create(&cfg);
    struct fy_document *doc = NULL, *second = NULL;

    if (diag && parser && fy_parser_set_string(parser, text, len) == 0)
        doc = fy_parse_load_document(parser);
    if (doc) {
        read_document(w, doc);
        second = fy_parse_load_document(parser);
        if (second)
            report_add(w->report, node_place(fy_document_root(second), (struct place){0}), "",
                       "a second document begins here; one is taken");
        else if (fy_diag_got_error(diag))
            report_syntax(w->report, diag);
    } else {
        report_syntax(w->report, diag);
    }
    if (second)
        fy_parse_document_destroy(parser, second);
    if (doc)
        fy_parse_document_destroy(parser, doc);
    if (parser)
        fy_parser_destroy(parser);
    fy_diag_destroy(diag);
}

static int by_host(const void *a, const void *b)
{
    const struct config_site *x = a, *y = b;
    int order = strcmp(x->host, y->host);
    if (order)
        return order;
    return x->place.line != y->place.line ? (x->place.line < y->place.line ? -1 : 1)
                                          : (x->place.column < y->place.column ? -1 : 1);
}

bool config_read_text(const char *name, const char *text, size_t len, struct config *out,
                      struct report *report)
{
    struct walk w = {.config = out, .report = report, .folder = "."};
    const char *slash = strrchr(name, '/');

    memset(out, 0, sizeof(*out));
    out->file = name;
    report_init(report, name, text, len);
    if (slash && (size_t)(slash - name) < sizeof(w.folder))
        snprintf(w.folder, sizeof(w.folder), "%.*s", (int)(slash - name), name);
    config_defaults(GROUP_NODE, out);
    if (!report->text || len > CONFIG_FILE_BYTES)
        report_add(report, (struct place){0}, "", "larger than 16 MiB, or no memory");
    else if (!config_is_plain(report, text, len))
        report->broken = true;
    else if (!is_blank(text, len))
        read_yaml(&w, report->text, len);
    if (out->sites)
        qsort(out->site, out->sites, sizeof(out->site[0]), by_host);
    if (!report->broken) /* of what could not be read nothing is missing */
        config_check(out, report);
    if (report->errors == 0)
        return true;
    struct config_file deny = out->deny_file;
    out->deny_file.text = NULL;
    config_free(out);
    out->deny_file = deny;
    return false;
}

bool config_read_file(const char *path, struct config *out, struct report *report)
{
    char why[512];
    size_t len;
    char *text = config_slurp(path, &len, why, sizeof(why));

    memset(out, 0, sizeof(*out));
    if (!text) {
        int reason = errno;
        report_init(report, path, "", 0);
        report->denied += reason == EACCES;
        report_add(report, (struct place){0}, "", "cannot be read: %s; %s", why,
                   reason == ENOENT ? "-c FILE names another, corald.yaml(5) has one to begin with"
                   : reason == EACCES ? "run as root, or name another by -c FILE"
                                      : "-c FILE names another");
        return false;
    }
    bool good = config_read_text(path, text, len, out, report);
    free(text);
    return good;
}

void config_free(struct config *c)
{
    free(c->key_file.text);
    free(c->deny_file.text);
    free(c->rules_file.text);
    free(c->site);
    memset(c, 0, sizeof(*c));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/coralctl_purge.h"

#include <string.h>

static void name(struct coralctl_purge *p, enum request_purge kind, const char *text)
{
    p->named++;
    p->kind = kind;
    p->text = text;
}

void purge_option(struct coralctl_purge *p, int option, const char *text)
{
    static const char *const word[] = {[REQUEST_PURGE_PREFIX] = "--prefix",
                                       [REQUEST_PURGE_TAG] = "--tag",
                                       [REQUEST_PURGE_HOST] = "--host"};
    if (!p->option || p->option == word[REQUEST_PURGE_HOST]) /* log has a --host, too */
        p->option = option == 'S' ? "--soft" : word[option];
    if (option == 'S')
        p->soft = true;
    else
        name(p, (enum request_purge)option, text);
}

void purge_words(struct coralctl_purge *p, const char *url, bool all)
{
    if (url)
        name(p, REQUEST_PURGE_URL, url);
    if (all)
        name(p, REQUEST_PURGE_ALL, "");
}

const char *purge_wrong(const struct coralctl_purge *p)
{
    if (p->named == 0)
        return "purge needs a URL, --prefix, --tag, --host or --all";
    if (p->named > 1)
        return "purge takes one of a URL, --prefix, --tag, --host and --all";
    if (p->kind != REQUEST_PURGE_ALL && (!*p->text || strlen(p->text) >= REQUEST_URL))
        return "purge takes a URL, prefix, tag or host of 1 to 4095 bytes";
    return NULL;
}

void purge_question(const struct coralctl_purge *p, json_t *question)
{
    json_object_set_new(question, request_purge_words[p->kind],
                        p->kind == REQUEST_PURGE_ALL ? json_true() : json_string(p->text));
    if (p->soft)
        json_object_set_new(question, "soft", json_true());
}

/* What a rule takes is not known yet. */
void purge_show(const struct coralctl_purge *p, FILE *out)
{
    static const char *const what[REQUEST_PURGES] = {
        "", "", "what begins with ", "what has the tag ", "all of ", "the whole cache"};
    fprintf(out, "%s %s%s\n", p->soft ? "made stale:" : "purged", what[p->kind], p->text);
    if (p->kind != REQUEST_PURGE_URL)
        fputs("in force; \"coralctl stats purge\" counts what it takes as it is found\n", out);
}

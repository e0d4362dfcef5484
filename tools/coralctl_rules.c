/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/coralctl_rules.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/nearest.h"
#include "control/request.h"
#include "tools/coralctl_table.h"

bool rules_words(int argc, char **argv, char *wrong, size_t len)
{
    if (argc < 2)
        return true;
    for (unsigned i = 0; i < REQUEST_RULES_WORDS; i++)
        if (strcmp(argv[1], request_rules_words[i]) == 0) {
            if (i != REQUEST_RULES_STATUS || argc < 3)
                return true;
            snprintf(wrong, len, "\"%.40s\" is one word too many", argv[2]);
            return false;
        }
    const char *near = nearest_word(argv[1], request_rules_words, REQUEST_RULES_WORDS);
    if (near)
        snprintf(wrong, len, "rules does no \"%.40s\"; did you mean \"%s\"?", argv[1], near);
    else
        snprintf(wrong, len, "rules does no \"%.40s\"; there are " REQUEST_RULES_TEXT, argv[1]);
    return false;
}

/* corald has a folder of its own: it is told the whole path. */
void rules_question(int argc, char **argv, json_t *q)
{
    char folder[2048], path[REQUEST_URL];
    json_object_set_new(q, "do", json_string(argc > 1 ? argv[1] : request_rules_words[0]));
    if (argc < 3)
        return;
    if (*argv[2] == '/' || !getcwd(folder, sizeof(folder)))
        snprintf(path, sizeof(path), "%s", argv[2]);
    else
        snprintf(path, sizeof(path), "%s/%s", folder, argv[2]);
    json_object_set_new(q, "file", json_string(path));
}

static long long number(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

static void count(FILE *out, const json_t *answer, const char *key, const char *one,
                  const char *more)
{
    long long n = number(answer, key);
    fprintf(out, "%s%lld %s%s", strcmp(key, "hosts") == 0 ? " " : "  ", n, one, n == 1 ? "" : more);
}

void rules_show(const char *word, const json_t *answer, FILE *out)
{
    const char *file = json_string_value(json_object_get(answer, "file"));
    const char *hash = json_string_value(json_object_get(answer, "hash"));
    const time_t since = (time_t)number(answer, "since");
    double compile_s = json_real_value(json_object_get(answer, "compile_s"));
    bool check = word && strcmp(word, "check") == 0;
    char when[40] = "";
    struct tm tm;

    if (!file || !*file) {
        fputs("there are no rules; rules.file or coralctl rules load FILE names some\n", out);
        return;
    }
    if (!check && localtime_r(&since, &tm))
        strftime(when, sizeof(when), ", in force since %F %T", &tm);
    fprintf(out, "%s: %s%lld rule%s%s", file, check ? "fine, " : "", number(answer, "rules"),
            plural((uint64_t)number(answer, "rules")), when);
    fprintf(out, hash ? ", %.8s\n" : "\n", hash);
    count(out, answer, "hosts", "host", "s");
    count(out, answer, "prefixes", "path prefix", "es");
    count(out, answer, "expressions", "expression", "s");
    count(out, answer, "rates", "rate", "s");
    if (compile_s > 0)
        fprintf(out, "  compiled in %.2f s", compile_s);
    fputc('\n', out);
}

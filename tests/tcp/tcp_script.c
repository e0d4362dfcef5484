/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plays the scripts of one topic: usage tcp_script FOLDER TOPIC (FOLDER/TOPIC-*.tcp), or
 * tcp_script FILE..., or tcp_script --wrong FOLDER: each of these must fail, with the words of
 * its first comment in the message.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tcp/script.h"

/* Returns the number of the line that failed, 0: none; the message is left in `why`. */
static unsigned play(const char *path, char *why, size_t size)
{
    FILE *f = fopen(path, "r");
    char line[512];
    unsigned number = 0, failed = 0;
    if (!f) {
        snprintf(why, size, "cannot be opened");
        return 1;
    }
    struct script *p = script_new();
    while (!failed && fgets(line, sizeof(line), f)) {
        number++;
        if (!script_line(p, line))
            failed = number;
    }
    if (!failed && !script_end(p))
        failed = number + 1;
    snprintf(why, size, "%s", script_error(p));
    fclose(f);
    script_free(p);
    return failed;
}

static bool play_right(const char *path)
{
    char why[640];
    unsigned line = play(path, why, sizeof(why));
    if (line)
        fprintf(stderr, "%s:%u: %s\n", path, line, why);
    return line == 0;
}

static bool play_wrong(const char *path)
{
    char why[640], first[256] = "";
    FILE *f = fopen(path, "r");
    if (f) {
        if (!fgets(first, sizeof(first), f))
            first[0] = '\0';
        fclose(f);
    }
    first[strcspn(first, "\n")] = '\0';
    unsigned line = play(path, why, sizeof(why));
    bool good = line > 0 && strlen(first) > 2 && strstr(why, first + 2);
    if (!good)
        fprintf(stderr, "%s: should fail with \"%s\", but: %s\n", path, first + 2, why);
    return good;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

static int play_folder(const char *folder, const char *topic, bool wrong)
{
    char path[1024], *names[1024];
    unsigned n = 0, bad = 0;
    DIR *d = opendir(folder);
    size_t len = strlen(topic);
    for (struct dirent *e; d && (e = readdir(d)) && n < 1024;) {
        size_t all = strlen(e->d_name);
        if (all > 4 && strcmp(e->d_name + all - 4, ".tcp") == 0 &&
            strncmp(e->d_name, topic, len) == 0 && (len == 0 || e->d_name[len] == '-'))
            names[n++] = strdup(e->d_name);
    }
    if (d)
        closedir(d);
    qsort(names, n, sizeof(names[0]), by_name);
    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        bad += !(wrong ? play_wrong(path) : play_right(path));
        free(names[i]);
    }
    printf("%s: %u scripts, %u failed\n", *topic ? topic : folder, n, bad);
    return bad > 0 || n == 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--wrong") == 0)
        return play_folder(argv[2], "", true);
    if (argc == 3 && !strstr(argv[1], ".tcp"))
        return play_folder(argv[1], argv[2], false);
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad += !play_right(argv[i]);
    return bad > 0;
}

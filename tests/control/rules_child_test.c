/* SPDX-License-Identifier: BSD-3-Clause */
/* Expressions are compiled by another process, kept by hash, and used only when they are whole. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/rules_child.h"

static struct rules_maker maker;
static char told[4096], error[512];

static void prepare(void)
{
    const char *corald = getenv("CORALD");
    cr_assert(corald, "CORALD names the program");
    maker = (struct rules_maker){
        .program = corald, .secret = {1, 2, 3}, .limit_us = 20000000, .workers = 2};
    snprintf(maker.folder, sizeof(maker.folder), "/tmp/coral-rules-XXXXXX");
    cr_assert(mkdtemp(maker.folder));
    told[0] = error[0] = 0;
}

static unsigned files(char *one)
{
    char pattern[300];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/*", maker.folder);
    unsigned n = glob(pattern, 0, NULL, &found) == 0 ? (unsigned)found.gl_pathc : 0;
    if (n)
        strcpy(one, found.gl_pathv[0]);
    globfree(&found);
    return n;
}

static void clean(void)
{
    char file[300];
    while (files(file))
        unlink(file);
    rmdir(maker.folder);
}
TestSuite(rules_child, .init = prepare, .fini = clean);

static void tell(void *ctx, unsigned line, unsigned column, unsigned length, const char *message)
{
    (void)ctx, (void)length;
    snprintf(told + strlen(told), sizeof(told) - strlen(told), "%u:%u: %s\n", line, column,
             message);
}

static struct rules_set *parse(const char *text)
{
    struct rules_set *s = rules_parse(text, strlen(text), tell, NULL);
    cr_assert(s, "%s", told);
    return s;
}

static enum rules_end make(struct rules_set *s)
{
    return rules_make_now(s, &maker, tell, NULL, error, sizeof(error));
}

/* Did it take a child? */
static bool runs(struct rules_set *s)
{
    struct rules_child k = {.out = -1};
    enum rules_end end = rules_make(&k, s, &maker, 0, error, sizeof(error));
    cr_assert_neq(end, RULES_FAILED, "%s", error);
    rules_make_stop(&k);
    return end == RULES_RUNS;
}

static bool matches(struct rules_set *s, const char *url)
{
    struct rules_verdict v;
    cr_assert(rules_apply(s, 1, url, strlen(url), &v));
    return v.any;
}

Test(rules_child, compiled_once_and_kept)
{
    char file[300];
    struct stat st;
    struct rules_set *s = parse("a.b match ^/x[0-9]+$ pass\na.b match y=1 deny 403\n");
    cr_assert_eq(make(s), RULES_LOADED, "%s", error);
    cr_assert(matches(s, "http://a.b/x12") && matches(s, "http://a.b/?y=1"));
    cr_assert(!matches(s, "http://a.b/x"));
    rules_free(s);
    cr_assert_eq(files(file), 1);
    cr_assert(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
    s = parse("c.d match y=1 pass\nc.d match ^/x[0-9]+$ pass\n"); /* the same expressions */
    cr_assert(!runs(s));
    cr_assert(matches(s, "http://c.d/x12"));
    rules_free(s);
    s = parse("c.d match y=2 pass\n");
    cr_assert(runs(s));
    rules_free(s);
    cr_assert_eq(files(file), 1);
}

/* Of a text that is wrong nothing is made nor kept, and what its expressions have wrong is told. */
Test(rules_child, expressions_of_a_wrong_text_are_looked_at)
{
    static const struct {
        const char *text, *says;
    } t[] = {
        {"a.b match x denny\n", "1:13: \"denny\""},
        {"a.b denny\n", "1:5: \"denny\""},
        {"a.b match ( pass\na.b denny\n", "1:11: \"(\""},
    };
    char file[300];
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        told[0] = 0;
        struct rules_set *s = rules_parse_all(t[i].text, strlen(t[i].text), tell, NULL);
        cr_assert(s);
        cr_expect_eq(make(s), RULES_WRONG, "%s", error);
        cr_expect(strstr(told, t[i].says), "%s", told);
        cr_expect_eq(files(file), 0);
        rules_free(s);
    }
}

Test(rules_child, a_damaged_or_foreign_file_is_made_again)
{
    static const char text[] = "a.b match ^/x[0-9]+$ pass\n";
    char file[300];
    struct stat st;
    struct rules_set *s = parse(text);
    cr_assert_eq(make(s), RULES_LOADED, "%s", error);
    rules_free(s);
    cr_assert_eq(files(file), 1);
    stat(file, &st);
    for (off_t at = 0; at <= st.st_size; at += at < 90 ? 1 : 97) {
        uint8_t was = 0, is;
        int fd = open(file, O_RDWR);
        if (at == st.st_size) {
            cr_assert_eq(ftruncate(fd, at - 1), 0);
        } else {
            cr_assert_eq(pread(fd, &was, 1, at), 1);
            is = was ^ 0x10;
            cr_assert_eq(pwrite(fd, &is, 1, at), 1);
        }
        s = parse(text);
        cr_assert(runs(s), "byte %ld", (long)at);
        rules_free(s);
        if (at < st.st_size)
            cr_assert_eq(pwrite(fd, &was, 1, at), 1);
        close(fd);
    }
    s = parse(text);
    cr_assert_eq(make(s), RULES_LOADED, "%s", error);
    rules_free(s);
    s = parse(text);
    cr_assert(!runs(s)); /* it is whole again */
    rules_free(s);
    maker.secret[0]++;
    s = parse(text);
    cr_assert(runs(s));
    rules_free(s);
}

Test(rules_child, the_oldest_files_go)
{
    char file[300], text[64];
    for (unsigned i = 0; i < RULES_CHILD_FILES + 3; i++) {
        snprintf(text, sizeof(text), "a.b match x%u pass\n", i);
        struct rules_set *s = parse(text);
        cr_assert_eq(make(s), RULES_LOADED, "%s", error);
        rules_free(s);
    }
    cr_assert_eq(files(file), RULES_CHILD_FILES);
}

Test(rules_child, without_a_folder_nothing_is_kept)
{
    char file[300];
    struct rules_set *s = parse("a.b match x pass\n");
    char folder[256];
    memcpy(folder, maker.folder, sizeof(folder));
    maker.folder[0] = 0;
    cr_assert_eq(make(s), RULES_LOADED, "%s", error);
    rules_free(s);
    snprintf(maker.folder, sizeof(maker.folder), "/nope/nope");
    s = parse("a.b match x pass\n");
    cr_assert_eq(make(s), RULES_LOADED, "%s", error);
    rules_free(s);
    memcpy(maker.folder, folder, sizeof(folder));
    cr_assert_eq(files(file), 0);
}

Test(rules_child, each_wrong_expression_is_told_at_its_first_place)
{
    char file[300];
    struct rules_set *s = parse("a.b path /x pass\n  a.b match \"( (\" pass\nb.c match good pass\n"
                                "c.d match \"( (\" pass\nb.c match [a- pass\n");
    cr_assert_eq(make(s), RULES_WRONG, "%s", error);
    cr_assert(strstr(told, "2:13: \"( (\": Missing close parenthesis"), "%s", told);
    cr_assert(strstr(told, "5:11: \"[a-\": "), "%s", told);
    unsigned lines = 0;
    for (const char *c = told; *c; c++)
        lines += *c == '\n';
    cr_assert_eq(lines, 2);
    cr_assert_eq(files(file), 0);
    rules_free(s);
}

Test(rules_child, what_was_left_by_one_that_was_ended_goes)
{
    char file[300];
    snprintf(file, sizeof(file), "%s/rules-0123.hs.77", maker.folder);
    fclose(fopen(file, "w"));
    struct rules_set *s = parse("a.b match x pass\n");
    cr_assert_eq(make(s), RULES_LOADED, "%s", error);
    rules_free(s);
    cr_assert_eq(files(file), 1);
    cr_assert_str_eq(file + strlen(file) - 3, ".hs");
}

/* A program that is a line of a shell. */
static void program(char path[static 300], const char *line)
{
    snprintf(path, 300, "%s/slow", maker.folder);
    FILE *f = fopen(path, "w");
    fprintf(f, "#!/bin/sh\n%s\n", line);
    fclose(f);
    chmod(path, 0700);
    maker.program = path;
}

/* The disk is slow, or whatever comes after that. */
Test(rules_child, an_answer_that_is_whole_is_in_time)
{
    char path[300], line[400];
    struct rules_child k = {.out = -1};
    struct stat st = {0};
    snprintf(line, sizeof(line), "\"%s\" \"$@\"\nexec sleep 1000", getenv("CORALD"));
    program(path, line);
    struct rules_set *s = parse("a.b match x pass\n");
    cr_assert_eq(rules_make(&k, s, &maker, 0, error, sizeof(error)), RULES_RUNS);
    for (unsigned i = 0; i < 1000 && st.st_size == 0; i++) {
        usleep(10000);
        cr_assert_eq(fstat(k.out, &st), 0);
    }
    usleep(300000);
    cr_assert_eq(rules_make_poll(&k, s, &maker, maker.limit_us, tell, NULL, error, sizeof(error)),
                 RULES_LOADED, "%s", error);
    cr_assert(matches(s, "http://a.b/x"));
    cr_assert_eq(k.pid, 0);
    rules_free(s);
}

/* As if it waited for a disk. */
Test(rules_child, one_that_does_not_end_is_not_waited_for)
{
    struct rules_child k = {.out = -1};
    struct rules_set *s = parse("a.b match x pass\n");
    k.left = fork();
    if (k.left == 0) {
        pause();
        _exit(0);
    }
    pid_t left = k.left;
    rules_make_stop(&k);
    cr_assert_eq(k.left, left);
    cr_assert_eq(rules_make(&k, s, &maker, 0, error, sizeof(error)), RULES_FAILED);
    cr_assert(strstr(error, "has not ended yet"), "%s", error);
    kill(left, SIGKILL);
    cr_assert_eq(rules_make(&k, s, &maker, 0, error, sizeof(error)), RULES_RUNS, "%s", error);
    rules_make_stop(&k);
    cr_assert_eq(k.left, 0);
    rules_free(s);
}

Test(rules_child, what_takes_too_long_is_ended)
{
    char path[300], line[64];
    struct rules_child k = {.out = -1};
    program(path, "exec sleep 1000");
    maker.limit_us = 200000;
    struct rules_set *s = parse("a.b match x pass\n");
    cr_assert_eq(rules_make(&k, s, &maker, 0, error, sizeof(error)), RULES_RUNS);
    pid_t pid = k.pid;
    cr_assert_eq(rules_make_poll(&k, s, &maker, 199999, tell, NULL, error, sizeof(error)),
                 RULES_RUNS);
    cr_assert_eq(rules_make_poll(&k, s, &maker, 200000, tell, NULL, error, sizeof(error)),
                 RULES_FAILED);
    cr_assert(strstr(error, "took longer than 0.2 s"), "%s", error);
    snprintf(line, sizeof(line), "/proc/%d", (int)pid);
    cr_assert_neq(access(line, F_OK), 0); /* gone, and not a zombie */
    cr_assert_eq(k.pid, 0);
    cr_assert_eq(make(s), RULES_FAILED);
    rules_free(s);
}

Test(rules_child, what_fails_or_is_not_there_says_so)
{
    struct rules_set *s = parse("a.b match x pass\n");
    maker.program = "/bin/false";
    cr_assert_eq(make(s), RULES_FAILED);
    cr_assert(strstr(error, "has failed"), "%s", error);
    maker.program = "/bin/true"; /* and writes nothing */
    cr_assert_eq(make(s), RULES_FAILED);
    maker.program = "/nope";
    cr_assert_eq(make(s), RULES_FAILED);
    cr_assert(strstr(error, "cannot start"), "%s", error);
    rules_free(s);
}

Test(rules_child, a_set_without_expressions_needs_nobody)
{
    maker.program = "/nope";
    struct rules_set *s = parse("a.b path /x pass\n");
    cr_assert_eq(make(s), RULES_LOADED);
    cr_assert(matches(s, "http://a.b/x"));
    rules_free(s);
}

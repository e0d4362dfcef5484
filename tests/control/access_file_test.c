/* SPDX-License-Identifier: BSD-3-Clause */
/* The access log's file: whole lines, new ones when it was moved, rotation, no room. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/access_file.h"

static char folder[] = "/tmp/coral-access-XXXXXX", path[64], error[512];
static struct log_counters counters;
static struct access_file file;

static void open_file(uint64_t max, unsigned keep)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/access.log", folder);
    file = (struct access_file){
        .path = path, .max_bytes = max, .keep = keep, .counters = &counters, .fd = -1};
    cr_assert(access_file_open(&file, error, sizeof(error)), "%s", error);
}

static void close_file(void)
{
    char command[128];
    access_file_close(&file);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert(system(command) == 0);
}

static void write_text(const char *text)
{
    access_file_write(&file, text, strlen(text));
}

static const char *read_text(const char *suffix)
{
    static char text[4096], name[128];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? "(none)" : text;
}

Test(access_file, lines_are_appended_and_counted, .fini = close_file)
{
    struct stat st;
    open_file(0, 5);
    write_text("a\nb\n");
    write_text("c\n");
    cr_expect_str_eq(read_text(""), "a\nb\nc\n");
    cr_expect_eq(counters.log_lines_total, 3u);
    cr_expect_eq(counters.log_bytes_total, 6u);
    cr_expect_eq(counters.log_dropped_total, 0u);
    cr_assert(stat(path, &st) == 0);
    cr_expect_eq(st.st_mode & 0137u, 0u, "0640, less by the umask");
}

Test(access_file, one_that_was_moved_is_left_when_it_is_opened_anew, .fini = close_file)
{
    char moved[80];
    open_file(0, 5);
    snprintf(moved, sizeof(moved), "%s.moved", path);
    write_text("a\n");
    cr_assert(rename(path, moved) == 0);
    write_text("b\n");
    cr_expect_str_eq(read_text(".moved"), "a\nb\n");
    cr_assert(access_file_open(&file, error, sizeof(error)));
    write_text("c\n");
    cr_expect_str_eq(read_text(".moved"), "a\nb\n");
    cr_expect_str_eq(read_text(""), "c\n");
    file.path = "/nowhere/access.log"; /* then what was open stays */
    cr_expect(!access_file_open(&file, error, sizeof(error)));
    cr_expect(strstr(error, "log.access.file: cannot open /nowhere/access.log: No such file"));
    write_text("d\n");
    cr_expect_str_eq(read_text(""), "c\nd\n");
}

Test(access_file, what_is_no_file_is_refused)
{
    static const char *const no[] = {"/dev/null", "/tmp"};
    for (unsigned i = 0; i < 2; i++) {
        struct access_file f = {.path = no[i], .fd = -1};
        cr_expect(!access_file_open(&f, error, sizeof(error)), "%s", no[i]);
    }
}

Test(access_file, rotation, .fini = close_file)
{
    open_file(10, 2);
    write_text("1111\n");
    write_text("2222\n");
    cr_expect_str_eq(read_text(""), "1111\n2222\n"); /* just 10 */
    write_text("3333\n");
    cr_expect_str_eq(read_text(""), "3333\n");
    cr_expect_str_eq(read_text(".1"), "1111\n2222\n");
    write_text("4444\n");
    write_text("5555\n");
    write_text("66666666666666\n"); /* larger than a file may be: one by itself */
    cr_expect_str_eq(read_text(""), "66666666666666\n");
    cr_expect_str_eq(read_text(".1"), "5555\n");
    cr_expect_str_eq(read_text(".2"), "3333\n4444\n");
    cr_expect_str_eq(read_text(".3"), "(none)");
    cr_expect_eq(counters.log_rotations_total, 3u);
    cr_expect_eq(counters.log_dropped_total, 0u);
}

/* No descriptor is left: the file has its name again, and what was rotated before is not shifted
 * away, however often it fails. */
Test(access_file, a_rotation_that_fails_loses_nothing, .fini = close_file)
{
    struct rlimit limit, none;
    open_file(5, 2);
    write_text("1111\n");
    write_text("2222\n");
    write_text("3333\n"); /* .1: 2222, .2: 1111 */
    int lowest = dup(0);
    close(lowest);
    getrlimit(RLIMIT_NOFILE, &none);
    limit = none;
    limit.rlim_cur = (rlim_t)lowest;
    setrlimit(RLIMIT_NOFILE, &limit);
    write_text("4444\n");
    write_text("5555\n");
    write_text("6666\n");
    cr_expect(file.rotation_fails);
    setrlimit(RLIMIT_NOFILE, &none);
    cr_expect_str_eq(read_text(""), "3333\n4444\n5555\n6666\n");
    cr_expect_str_eq(read_text(".1"), "(none)");
    cr_expect_str_eq(read_text(".2"), "2222\n");
    write_text("7777\n");
    cr_expect(!file.rotation_fails);
    cr_expect_str_eq(read_text(""), "7777\n");
    cr_expect_str_eq(read_text(".1"), "3333\n4444\n5555\n6666\n");
    cr_expect_str_eq(read_text(".2"), "2222\n");
    cr_expect_eq(counters.log_dropped_total, 0u);
    cr_expect_eq(counters.log_rotations_total, 3u);
}

Test(access_file, one_that_was_moved_before_it_was_rotated, .fini = close_file)
{
    open_file(5, 2);
    write_text("1111\n");
    write_text("2222\n");
    cr_assert(unlink(path) == 0);
    write_text("3333\n");
    cr_expect_str_eq(read_text(""), "3333\n");
    cr_expect_str_eq(read_text(".1"), "1111\n");
    cr_expect_str_eq(read_text(".2"), "(none)");
    cr_expect(!file.rotation_fails && counters.log_rotations_total == 1);
}

Test(access_file, without_room_no_line_is_halved_and_it_goes_on_later, .fini = close_file)
{
    struct rlimit limit = {13, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    open_file(0, 5);
    setrlimit(RLIMIT_FSIZE, &limit);
    write_text("1111\n2222\n3333\n4444\n");
    write_text("5555\n");
    setrlimit(RLIMIT_FSIZE, &none);
    cr_expect_str_eq(read_text(""), "1111\n2222\n");
    cr_expect_eq(counters.log_lines_total, 2u);
    cr_expect_eq(counters.log_dropped_total, 3u);
    cr_expect(file.failing);
    write_text("6666\n");
    cr_expect_str_eq(read_text(""), "1111\n2222\n6666\n");
    cr_expect(!file.failing && file.lost == 0);
    cr_expect_eq(counters.log_lines_total, 3u);
    cr_expect_eq(counters.log_bytes_total, 15u);
}

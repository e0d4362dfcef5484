/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration as bytes, before anybody takes it for YAML. */
#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/utf8.h"

char *config_slurp(const char *path, size_t *len, char *why, size_t why_len)
{
    char *text = NULL;
    struct stat st;
    errno = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0) {
        snprintf(why, why_len, "%s", strerror(errno));
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        snprintf(why, why_len, "it is a folder");
        goto out;
    }
    text = malloc((size_t)CONFIG_FILE_BYTES + 1);
    if (!text) {
        snprintf(why, why_len, "no memory");
        goto out;
    }
    size_t n = 0;
    ssize_t got;
    while (n <= CONFIG_FILE_BYTES && (got = read(fd, text + n, CONFIG_FILE_BYTES + 1 - n)) > 0)
        n += (size_t)got;
    if (n > CONFIG_FILE_BYTES || got < 0) {
        if (got < 0)
            snprintf(why, why_len, "%s", strerror(errno));
        else
            snprintf(why, why_len, "it is larger than 16 MiB");
        free(text);
        text = NULL;
        goto out;
    }
    text[n] = '\0';
    *len = n;
    char *fit = realloc(text, n + 1);
    text = fit ? fit : text;
out:
    if (fd >= 0)
        close(fd);
    return text;
}

/* Line breaks of old YAML (RFC 3629 forms of NEL, LS, PS) and the byte order mark. */
static bool is_odd(const unsigned char *p, unsigned n)
{
    return (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) ||
           (n == 3 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0 ||
                       memcmp(p, "\xef\xbb\xbf", 3) == 0));
}

/*
 * What no configuration needs is kept from libfyaml 0.7.12, which loops for ever over some
 * directives (lines with "%" first) and falls over a NUL: only plain text in UTF-8 goes on. False
 * after a report.
 */
bool config_is_plain(struct report *report, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    struct place at = {1, 1, 1};

    for (size_t i = 0; i < len;) {
        unsigned n = utf8_character(p + i, len - i);
        bool control = (p[i] < 0x20 && !strchr("\t\r\n", p[i])) || p[i] == 0 || p[i] == 0x7f ||
                       (p[i] == '\r' && (i + 1 == len || p[i + 1] != '\n'));
        if (n == 0 || control || is_odd(p + i, n)) {
            report_add(report, at, "", "a byte 0x%02x here: plain text in UTF-8 is wanted", p[i]);
            return false;
        }
        if (p[i] == '%' && at.column == 1) {
            report_add(report, at, "", "directives are not taken; leave the line out");
            return false;
        }
        at.column++;
        if (p[i] == '\n')
            at = (struct place){at.line + 1, 1, 1};
        i += n;
    }
    return true;
}

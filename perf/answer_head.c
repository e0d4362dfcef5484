/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perf/answer_head.h"

static unsigned status_of(const uint8_t *line, size_t len)
{
    if (len < 12 || memcmp(line, "HTTP/1.1 ", 9) != 0 || !isdigit(line[9]) || !isdigit(line[10]) ||
        !isdigit(line[11]))
        return 0;
    return (unsigned)(line[9] - '0') * 100 + (unsigned)(line[10] - '0') * 10 +
           (unsigned)(line[11] - '0');
}

/* Of a line with its CR, at which strtoull ends. One that does not fit is no length. */
static void take_length(const char *line, size_t len, struct answer_head *out)
{
    const char *value = line + 15;
    if (len < 17 || strncasecmp(line, "content-length:", 15) != 0)
        return;
    value += strspn(value, " \t");
    out->body = isdigit((unsigned char)*value) ? strtoull(value, NULL, 10) : ANSWER_HEAD_UNKNOWN;
}

bool answer_head_read(const uint8_t *data, size_t len, struct answer_head *out)
{
    const uint8_t *line = data, *at = data, *cr;
    const uint8_t *most = data + (len < ANSWER_HEAD_MAX ? len : ANSWER_HEAD_MAX);
    *out = (struct answer_head){.body = ANSWER_HEAD_UNKNOWN};
    while ((cr = memchr(at, '\r', (size_t)(most - at))) && cr + 1 < most) {
        at = cr + 1;
        if (*at != '\n')
            continue;
        at++;
        if (line == data)
            out->status = status_of(line, (size_t)(cr - line));
        else if (cr > line)
            take_length((const char *)line, (size_t)(cr + 1 - line), out);
        else {
            out->len = (size_t)(at - data);
            return true;
        }
        line = at;
    }
    return false;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "perf/http_head.h"

/* NULL: there is none yet. */
static const uint8_t *end_of(const uint8_t *data, size_t len, size_t last)
{
    if (last >= 4 && last <= len && memcmp(data + last - 4, "\r\n\r\n", 4) == 0)
        return data + last - 4; /* as long as the last one, nearly always */
    return memmem(data, len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX, "\r\n\r\n", 4);
}

static unsigned status_of(const uint8_t *data, size_t len)
{
    if (len < 12 || memcmp(data, "HTTP/1.1 ", 9) != 0 || !isdigit(data[9]) || !isdigit(data[10]) ||
        !isdigit(data[11]))
        return 0;
    return (unsigned)(data[9] - '0') * 100 + (unsigned)(data[10] - '0') * 10 +
           (unsigned)(data[11] - '0');
}

bool http_head_read(const uint8_t *data, size_t len, size_t last, struct http_head *out)
{
    const uint8_t *end = end_of(data, len, last);
    if (!end)
        return false;
    out->len = (size_t)(end - data) + 4;
    out->status = status_of(data, out->len);
    const uint8_t *field = memmem(data, out->len, "\r\nContent-Length: ", 18);
    if (!field)
        field = memmem(data, out->len, "\r\ncontent-length: ", 18);
    /* a digit: strtoull would look for one behind the head; one that does not fit is no length */
    out->body = field && isdigit(field[18]) ? strtoull((const char *)field + 18, NULL, 10)
                                            : HTTP_HEAD_UNKNOWN;
    return true;
}

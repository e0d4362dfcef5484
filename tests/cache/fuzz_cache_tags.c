/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of tags at the begin of any head: each tag is a word of it, in order, and none is in a
 * line that is not counted among them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *head = malloc(size + 1); /* of its size, so that an overrun shows */
    if (!head)
        return 0;
    memcpy(head, data, size);
    size_t lines = cache_tag_lines(head, size), at = 0, n, before = 0;
    const char *tag;
    if (lines > size || (lines > 0 && lines < size && head[lines - 1] != '\n'))
        abort();
    while (cache_tag_next(head, size, &at, &tag, &n)) {
        size_t from = (size_t)(tag - head);
        if (n == 0 || from < before || from + n > lines || at != from + n)
            abort();
        for (size_t i = 0; i < n; i++)
            if (strchr(" \t,\r\n", tag[i]) && tag[i])
                abort();
        before = from + n;
    }
    if (at != size)
        abort();
    free(head);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Response heads, to GET and to HEAD. */
#include <stdlib.h>

#include "dataplane/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head h;
    const char *text = (const char *)data;
    enum http_error get = http_parse_response(text, size, false, &h);
    if (get == HTTP_OK && (h.head_len > size || h.status < 100 || h.status > 999))
        abort();
    enum http_error head = http_parse_response(text, size, true, &h);
    if (get != head || (head == HTTP_OK && h.framing != HTTP_BODY_NONE))
        abort();
    return 0;
}

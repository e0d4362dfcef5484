/* SPDX-License-Identifier: BSD-3-Clause */
/* Beside http_parser: see differential.c. The first byte says what the rest is. */
#include <stdlib.h>
#include <string.h>

#include "tests/http/compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct odd o;
    struct comparison all = {0};
    if (size < 2 || size > ODD_MAX)
        return 0;
    o.request = data[0] & 1;
    o.to_head = !o.request && data[0] & 2;
    o.len = size - 1;
    memcpy(o.text, data + 1, o.len);
    compare(&o, &all);
    if (all.wrong)
        abort();
    return 0;
}

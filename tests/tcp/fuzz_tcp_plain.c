/* SPDX-License-Identifier: BSD-3-Clause */
/* Short cuts against the long way: see twins.h, which says what the input is. */
#include <stdlib.h>

#include "tests/tcp/twins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = twins_live(data, size, NULL);
    if (why) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Any line on the control socket. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request r;
    char why[256] = "";
    bool good = request_parse((const char *)data, size, &r, why, sizeof(why));

    if (good ? r.verb >= REQUEST_VERBS : !*why)
        abort();
    bool one = r.purge > REQUEST_PURGE_NONE && r.purge < REQUEST_PURGES;
    if (good && r.verb == REQUEST_PURGE && (!one || (r.purge == REQUEST_PURGE_ALL) != !*r.url))
        abort();
    return 0;
}

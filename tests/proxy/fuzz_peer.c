/* SPDX-License-Identifier: BSD-3-Clause */
/* The Coral-Peer field: what is read must be written the same again. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer_field f;
    char line[PEER_FIELD_MAX], *copy = malloc(size + 1); /* exactly as long, so that ASan sees */
    memcpy(copy, data, size);
    if (size < 65536 && peer_field_parse((struct http_text){copy, (uint32_t)size}, &f)) {
        size_t skip = strlen("Coral-Peer: "), n = peer_field_write(&f, line, sizeof(line));
        if (n != size + skip + 2 || memcmp(line + skip, data, size) != 0)
            abort();
    }
    free(copy);
    return 0;
}

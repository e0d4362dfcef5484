/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser: whatever it takes, it can write again, and reads the same from that. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dht/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct endpoint source = {{{[15] = 1}}, 8053};

/* An RPC is written in exactly the bytes that rpc_length says. */
static size_t write_exactly(const struct rpc *r, uint8_t *out)
{
    size_t len = rpc_length(r);
    if (len > RPC_MOST || rpc_write(r, out, len) != len || rpc_write(r, out, len - 1) != 0)
        abort();
    rpc_write(r, out, len);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t first[RPC_MOST] = {0}, second[RPC_MOST] = {0};
    struct rpc r, back;
    struct dht_peek peek;
    struct dht_tidings tidings;
    bool peeked = dht_peek(data, size, &peek);
    if (peeked && (peek.shard > 63 || peek.asker > 63 || (peek.reply && peek.owned)))
        abort();
    if (rpc_read(data, size, &source, &r) != RPC_OK)
        return 0;
    if (!peeked || peek.reply != !!(r.flags & RPC_REPLY) ||
        peek.owned !=
            (!peek.reply && rpc_is_keyed(r.type) && r.type != RPC_GET && r.type != RPC_FIND) ||
        peek.asker != r.tid >> 58)
        abort();
    rpc_tidings(&r, 1, &tidings);

    size_t len = write_exactly(&r, first);
    if (len > size || (!peek.reply && len != size))
        abort();
    if (rpc_read(first, len, &source, &back) != RPC_OK)
        abort();
    if (write_exactly(&back, second) != len || memcmp(first, second, len - RPC_TAG) != 0)
        abort();
    return 0;
}

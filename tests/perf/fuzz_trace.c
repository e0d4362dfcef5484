/* SPDX-License-Identifier: BSD-3-Clause */
/* Any file in any format, in any pieces: the same trace as in one piece, and policies that run on
 * it. The first byte names format and piece. */
#include <stdlib.h>
#include <string.h>

#include "perf/trace/parse.h"
#include "perf/trace/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct parser p;

static void parse(struct trace *t, enum parse_format format, const uint8_t *data, size_t len,
                  size_t piece)
{
    trace_open(t, 5000);
    parse_open(&p, format, t);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        uint8_t *copy = malloc(n); /* its own piece, so that ASan sees its end */
        memcpy(copy, data + at, n);
        bool room = parse_feed(&p, copy, n);
        free(copy);
        if (!room)
            break;
    }
    parse_end(&p);
    if (!trace_finish(t))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct trace whole, pieces;
    if (len < 1)
        return 0;
    enum parse_format format = (enum parse_format)(data[0] % PARSE_FORMATS);
    size_t piece = 1u + data[0] / PARSE_FORMATS;
    parse(&whole, format, data + 1, len - 1, len);
    parse(&pieces, format, data + 1, len - 1, piece);
    if (whole.requests != pieces.requests || whole.objects != pieces.objects ||
        (whole.requests &&
         memcmp(whole.request, pieces.request, whole.requests * sizeof(*whole.request)) != 0))
        abort();
    for (unsigned i = 0; policies[i]; i++) {
        struct counts n;
        if (simulate(policies[i], &whole, 1 + whole.footprint_bytes / 3, 0, &n) &&
            (n.misses > n.requests || n.bytes != whole.requested_bytes))
            abort();
    }
    trace_close(&whole);
    trace_close(&pieces);
    return 0;
}

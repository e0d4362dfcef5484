/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our parser beside two that are not related to it, over odd messages: what both take they take for
 * the same thing, and they agree where the next message begins; what we take and the other refuses
 * is on a short list, each with its reason; what is valid all of them take.
 *
 *   http-differential [--cases N] [--seed N]      beside http_parser
 *   http-differential --dump [...]                for differential_h11.py, which compares
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/http/compare.h"
#include "tests/http/verdict.h"

#define CASES 200000
#define SEED  20261129

/* For others: a line about the case, its bytes, then a line about our verdict of each message in it
 * and the normal form. */
static void dump(const struct odd *o)
{
    static struct verdict v;
    size_t at = 0;
    printf("%s %d %d %zu\n", o->request ? "request" : "response", o->to_head, o->plain, o->len);
    fwrite(o->text, 1, o->len, stdout);
    for (unsigned n = 0; n < COMPARE_MESSAGES && at < o->len; n++) {
        verdict_ours(o, at, &v);
        if (v.what != VERDICT_TAKEN)
            v.len = 0;
        printf("%d %zu %d %d %zu\n", v.what, v.what == VERDICT_TAKEN ? at + v.end : at, v.keeps,
               v.closes, v.len);
        fwrite(v.text, 1, v.len, stdout);
        if (v.what != VERDICT_TAKEN || v.closes)
            break;
        at += v.end;
    }
    printf("-\n");
}

int main(int argc, char **argv)
{
    static struct odd o;
    unsigned long cases = CASES, seed = SEED;
    bool dumps = false;
    struct comparison all = {0};
    struct rng r;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--cases") == 0 && i + 1 < argc) {
            cases = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--dump") == 0) {
            dumps = true;
        } else {
            fprintf(stderr, "usage: %s [--cases N] [--seed N] [--dump]\n", argv[0]);
            return 2;
        }
    }
    rng_init_u64(&r, seed);
    for (unsigned i = 0; odd_base(i, &o); i++)
        dumps ? dump(&o) : compare(&o, &all);
    for (unsigned long i = 0; i < cases; i++) {
        odd_make(&r, &o);
        dumps ? dump(&o) : compare(&o, &all);
    }
    if (dumps)
        return 0;
    printf("seed %lu: both take %u messages, both refuse %u, we alone refuse %u; alone not: %u\n",
           seed, all.both, all.neither, all.less, all.more);
    compare_allowed();
    printf("%u not as they should be\n", all.wrong);
    return all.wrong != 0;
}

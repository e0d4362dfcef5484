/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/nearest.h"

#include <string.h>
#include <strings.h>

#define NEAREST_LONGEST 64u

static unsigned min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

unsigned nearest_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned row[3][NEAREST_LONGEST + 1]; /* rows i - 2, i - 1 and i of the edit matrix, in turn */

    if (n > NEAREST_LONGEST || m > NEAREST_LONGEST)
        return NEAREST_LONGEST;
    for (unsigned j = 0; j <= m; j++)
        row[0][j] = j;
    for (unsigned i = 1; i <= n; i++) {
        unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            unsigned change = lower(a[i - 1]) != lower(b[j - 1]);
            now[j] = min2(min2(up[j], now[j - 1]) + 1, up[j - 1] + change);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = min2(now[j], up2[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    unsigned least = NEAREST_LONGEST;
    size_t typed = strlen(word);

    if (typed == 0)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(words[i]), common = typed < len ? typed : len;
        unsigned d = nearest_distance(word, words[i]);
        if (common >= 3 && strncasecmp(word, words[i], common) == 0)
            d = min2(d, 1);
        unsigned allowed = (unsigned)(len > typed ? len : typed) / 3;
        if (d < least && d <= (allowed ? allowed : 1)) {
            least = d;
            best = words[i];
        }
    }
    return best;
}

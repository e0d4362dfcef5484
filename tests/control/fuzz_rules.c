/* SPDX-License-Identifier: BSD-3-Clause */
/* An image of compiled expressions: nothing is loaded but what was made under the same secret. The
 * input is an image, or three bytes: where a good one is altered, and how. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/rules_child.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "a.b match ^/x[0-9]+$ pass\n";

static void tell(void *ctx, unsigned line, unsigned column, unsigned length, const char *message)
{
    (void)ctx, (void)line, (void)column, (void)length, (void)message;
    abort();
}

static void wrong(void *ctx, unsigned i, const char *why)
{
    (void)ctx, (void)i, (void)why;
    abort();
}

static uint8_t *good_image(const struct rules_set *s, const struct rules_maker *m, size_t *len)
{
    uint8_t key[RULES_KEY], *image;
    const char *expression = rules_expression(s, 0);
    char *bytes;
    if (!rules_compile(&expression, 1, &bytes, len, wrong, NULL))
        abort();
    image = malloc(*len + RULES_IMAGE_HEAD);
    rules_key(s, key);
    rules_image_head(image, key, m->secret, bytes, *len);
    memcpy(image + RULES_IMAGE_HEAD, bytes, *len);
    *len += RULES_IMAGE_HEAD;
    free(bytes);
    return image;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rules_maker m = {.secret = {9}, .workers = 1};
    static uint8_t *good;
    static size_t len;
    struct rules_set *s = rules_parse(text, sizeof(text) - 1, tell, NULL);
    if (!good && sodium_init() >= 0)
        good = good_image(s, &m, &len);
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (rules_image_load(copy, size, s, &m) && (size != len || memcmp(copy, good, len) != 0))
        abort();
    free(copy);
    if (size == 3) {
        size_t at = (size_t)(data[0] << 8 | data[1]) % len;
        copy = malloc(len);
        memcpy(copy, good, len);
        copy[at] ^= data[2];
        if (rules_image_load(copy, len, s, &m) != (data[2] == 0))
            abort();
        free(copy);
    }
    rules_free(s);
    return 0;
}

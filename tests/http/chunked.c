/* SPDX-License-Identifier: BSD-3-Clause */
/* The chunked coding, whole, bit by bit, and wrong. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/syntax.h"

/* Decodes in pieces of `step` bytes; returns the last result, the body in out. */
static enum http_error decode(const char *text, size_t len, size_t step, char *out, size_t *used)
{
    struct http_chunked c;
    enum http_error e = HTTP_AGAIN;
    size_t at = 0, n = 0;
    http_chunked_init(&c);
    while (at < len && e == HTTP_AGAIN) {
        size_t part = len - at < step ? len - at : step, eaten;
        uint8_t *view = malloc(part);
        struct http_text span;
        memcpy(view, text + at, part);
        e = http_chunked_next(&c, view, part, &eaten, &span);
        memcpy(out + n, span.p ? span.p : "", span.len);
        n += span.len;
        at += eaten;
        free(view);
    }
    out[n] = 0;
    *used = at;
    return e;
}

Test(chunked, any_split_gives_the_same_body)
{
    const char *text =
        "5\r\nhello\r\n1;a=b;c=\"d e\"\r\n \r\n00A\r\n0123456789\r\n0\r\nX-T: y\r\nZ:\r\n\r\nnext";
    char out[64];
    size_t used;
    for (size_t step = 1; step <= strlen(text); step++) {
        cr_assert_eq(decode(text, strlen(text), step, out, &used), HTTP_OK);
        cr_expect_str_eq(out, "hello 0123456789");
        cr_expect_eq(used, strlen(text) - 4);
    }
}

Test(chunked, wrong_ones)
{
    static char many[1024] = "1;";
    memset(many + 2, 'x', sizeof(many) - 3);
    const char *bad[] = {"\r\n",
                         "g\r\n",
                         "-1\r\n",
                         "+1\r\n",
                         "0x1\r\na\r\n",
                         " 1\r\na\r\n",
                         "1 \r\na\r\n",
                         "1\na\r\n0\r\n\r\n",
                         "1\r\nab\r\n",
                         "1\r\na\n0\r\n\r\n",
                         "1\r\na0\r\n\r\n",
                         "8000000000000000\r\n",
                         "ffffffffffffffff1\r\n",
                         "10000000000000000\r\n",
                         "1;a\nb\r\na\r\n",
                         "1;a\x01\r\na\r\n",
                         "0\r\n folded: x\r\n\r\n",
                         "0\r\nX y\r\n\r\n",
                         "0\r\n\n",
                         "0\r\nX: y\n\r\n",
                         "1\r\ra",
                         many,
                         NULL};
    for (unsigned i = 0; bad[i]; i++)
        for (size_t step = 1; step < 9; step += 7) {
            char out[2048];
            size_t used;
            cr_expect_eq(decode(bad[i], strlen(bad[i]), step, out, &used), HTTP_BAD_BODY, "%s",
                         bad[i]);
        }
}

Test(chunked, the_largest_size_and_a_bounded_trailer)
{
    struct http_chunked c;
    size_t used;
    struct http_text span;
    http_chunked_init(&c);
    cr_expect_eq(http_chunked_next(&c, (const uint8_t *)"7fffffffffffffff\r\nab", 20, &used, &span),
                 HTTP_AGAIN);
    cr_expect_eq(span.len, 2);
    cr_expect_eq(c.left, 0x7ffffffffffffffdull);

    http_chunked_init(&c);
    cr_expect_eq(http_chunked_next(&c, (const uint8_t *)"0\r\n", 3, &used, &span), HTTP_AGAIN);
    enum http_error e = HTTP_AGAIN;
    unsigned lines = 0;
    while (e == HTTP_AGAIN && lines++ < 100000)
        e = http_chunked_next(&c, (const uint8_t *)"X: y\r\n", 6, &used, &span);
    cr_expect_eq(e, HTTP_BAD_BODY);
    cr_expect_lt(lines, 2000);
}

Test(chunked, what_was_not_taken_comes_again)
{
    struct http_chunked c;
    size_t used;
    struct http_text span;
    const uint8_t *text = (const uint8_t *)"3\r\nabc\r\n0\r\n\r\n";
    http_chunked_init(&c);
    cr_assert_eq(http_chunked_next(&c, text, 13, &used, &span), HTTP_AGAIN);
    cr_assert_eq(span.len, 3);
    http_chunked_unread(&c, 2);
    used -= 2;
    size_t more;
    cr_assert_eq(http_chunked_next(&c, text + used, 13 - used, &more, &span), HTTP_AGAIN);
    cr_expect(span.len == 2 && memcmp(span.p, "bc", 2) == 0);
    used += more;
    cr_expect_eq(http_chunked_next(&c, text + used, 13 - used, &more, &span), HTTP_OK);
}

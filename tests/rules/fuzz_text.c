/* SPDX-License-Identifier: BSD-3-Clause */
/* A text of rules, and then a URL: whatever is read can be asked, and what comes out is bounded and
 * has no line's end in it. Expressions are hyperscan's: they are not compiled here. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "dataplane/rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void told(void *ctx, unsigned line, unsigned column, unsigned length, const char *message)
{
    (void)length;
    if (line == 0 || column == 0 || !*message)
        abort();
    ++*(unsigned *)ctx;
}

static void check(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] == '\r' || p[i] == '\n')
            abort();
}

static void ask(const struct rules_set *s, const char *url, size_t len)
{
    char out[HTTP_URL_MAX], again[HTTP_URL_MAX];
    struct rules_verdict v;
    unsigned status;
    size_t n = rules_loosen(url, len, out, sizeof(out));
    check(out, n);
    if (n > len || (n && rules_loosen(out, n, again, sizeof(again))))
        abort(); /* there is no looser one */
    rules_apply(s, 0, url, len, &v);
    if (!v.any)
        return;
    if (rules_answer(&v, &status) == RULES_REDIRECT)
        check(out, rules_location(&v, url, len, out, sizeof(out)));
    if (rules_moves(&v))
        check(out, rules_path(&v, url, len, out, sizeof(out)));
    char lines[256] = "A: b\r\nX: y\r\n";
    rules_edit(s, v.list[RULES_RESPONSE], v.many[RULES_RESPONSE], lines, strlen(lines),
               sizeof(lines));
    int64_t ttl_s;
    rules_ttl(&v, &ttl_s);
    for (unsigned i = 0; i < v.many[RULES_TAG]; i++)
        check(rules_tag(&v, i), strlen(rules_tag(&v, i)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* the last line is a URL without its scheme */
    const uint8_t *last = size ? memrchr(data, '\n', size) : NULL;
    size_t text = last ? (size_t)(last - data) + 1 : size;
    unsigned mistakes = 0;
    char *copy = malloc(text + 1), url[HTTP_URL_MAX], host[256];
    memcpy(copy, data, text);
    struct rules_set *s = rules_parse(copy, text, told, &mistakes);
    free(copy); /* the set has its own */
    if (s && last && size - text < 2000) {
        const char *u = (const char *)data + text, *slash = memchr(u, '/', size - text);
        uint16_t port;
        if (slash && http_authority((struct http_text){u, (uint32_t)(slash - u)}, host, &port)) {
            size_t n = http_url_write(
                (struct http_text){host, (uint32_t)strlen(host)}, port,
                (struct http_text){slash, (uint32_t)(size - (size_t)(slash - (const char *)data))},
                url, sizeof(url));
            if (n)
                ask(s, url, n);
        }
    }
    if (s && mistakes)
        abort();
    rules_free(s);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Who asks, by X-Forwarded-For or Forwarded: a line is a field. Who is not trusted is who asks, and
 * whatever is said farther from us changes nobody that was found. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct proxy_site site = {
    .trusted = 1, .trusted_prefix = {{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10}}, 8}}};

static bool trusts(const struct addr *a)
{
    return addr_in_prefix(a, &site.trusted_prefix[0].net, site.trusted_prefix[0].bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const name[] = {"X-Forwarded-For", "Forwarded"};
    static const char far[] = "for=1.2.3.4, 9.9.9.9";
    static struct http_head h;
    struct addr near = site.trusted_prefix[0].net, other;
    if (size == 0)
        return 0;
    bool forwarded = data[0] & 1;
    char *text = malloc(size);
    size_t len = size - 1;
    memcpy(text, data + 1, len);
    site.tells = forwarded ? PROXY_FORWARDED : PROXY_X_FORWARDED_FOR;
    struct http_field field = {{name[forwarded], (uint32_t)strlen(name[forwarded])}, {far, 0}, 0};
    h.fields = 1; /* the farthest is empty at first */
    h.field[0] = field;
    for (char *at = text, *end = text + len; at < end && h.fields < HTTP_FIELDS;) {
        char *line = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((line ? line : end) - at);
        field.value = (struct http_text){at, (uint32_t)n};
        h.field[h.fields++] = field;
        at += n + 1;
    }
    struct addr who = forward_client(&site, &h, &near);
    h.field[0].value.len = sizeof(far) - 1;
    other = forward_client(&site, &h, &near);
    if (!trusts(&who) && !addr_eq(&who, &other))
        abort();
    near.b[12] = 11;
    other = forward_client(&site, &h, &near);
    if (!addr_eq(&other, &near))
        abort();
    free(text);
    return 0;
}

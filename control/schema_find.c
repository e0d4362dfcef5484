/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of a document looked up in the table of options. */
#include <stdio.h>
#include <string.h>

#include "control/schema.h"

enum schema_kind schema_find(const char *pattern, const char *key, const struct schema_option **o)
{
    size_t base = strlen(pattern), len = strlen(key);

    if (strpbrk(key, ".[]*"))
        len = 0; /* the table's own signs: no plain key */
    for (size_t i = 0; i < schema_option_count; i++) {
        const char *path = schema_options[i].path;
        if (strncmp(path, pattern, base) != 0)
            continue;
        path += base;
        if (path[0] == '*')
            return SCHEMA_ANY;
        if (len == 0 || strncmp(path, key, len) != 0)
            continue;
        path += len;
        *o = &schema_options[i];
        if (*path == '\0')
            return SCHEMA_VALUE;
        if (*path == '.')
            return SCHEMA_SECTION;
        if (strcmp(path, "[]") == 0)
            return SCHEMA_LIST;
        if (strncmp(path, "[].", 3) == 0)
            return SCHEMA_SECTIONS;
    }
    return SCHEMA_UNKNOWN;
}

size_t schema_keys(const char *pattern, char keys[][SCHEMA_KEY], size_t room)
{
    size_t n = 0, base = strlen(pattern);

    for (size_t i = 0; i < schema_option_count && n < room; i++) {
        const char *path = schema_options[i].path;
        if (strncmp(path, pattern, base) != 0)
            continue;
        size_t len = strcspn(path + base, ".[");
        if (len >= sizeof(keys[0]))
            continue;
        memcpy(keys[n], path + base, len);
        keys[n][len] = '\0';
        n += n == 0 || strcmp(keys[n - 1], keys[n]) != 0;
    }
    return n;
}

const char *schema_belongs(const char *key, char *out, size_t room)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < schema_option_count && len; i++) {
        const char *path = schema_options[i].path, *last = strrchr(path, '.');
        if (last && strncmp(last + 1, key, len) == 0 &&
            (last[1 + len] == '\0' || last[1 + len] == '[')) {
            snprintf(out, room, "%.*s", (int)(last + 1 + len - path), path);
            return out;
        }
    }
    return NULL;
}

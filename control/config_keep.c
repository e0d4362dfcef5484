/* SPDX-License-Identifier: BSD-3-Clause */
/* What a running node can't take over of another configuration stays as it is, and is named. */
#include <stdlib.h>

#include "control/config.h"

static bool same_text(const void *a, const void *b)
{
    return strcmp(a, b) == 0;
}

static bool same_file(const struct config_file *a, const struct config_file *b)
{
    return same_text(a->path, b->path) && a->len == b->len &&
           (a->len == 0 || memcmp(a->text, b->text, a->len) == 0);
}

static bool same_prefix(const struct config_prefix *a, const struct config_prefix *b)
{
    return addr_eq(&a->ip, &b->ip) && a->bits == b->bits;
}

/* Not by their bytes: between members there may be any. */
static bool same_value(enum option_type type, const void *a, const void *b)
{
    switch (type) {
    case OPTION_NAME:
    case OPTION_DEVICE:
    case OPTION_DOMAIN:
    case OPTION_PATH:
    case OPTION_FOLDER:
    case OPTION_TARGET:
    case OPTION_MEDIA_TYPE:
        return same_text(a, b);
    case OPTION_FILE:
        return same_file(a, b);
    case OPTION_ADDRESS:
        return addr_eq(a, b);
    case OPTION_NETWORK_ADDRESS:
    case OPTION_PREFIX:
        return same_prefix(a, b);
    case OPTION_ENDPOINT:
        return endpoint_eq(a, b);
    default: /* numbers; origins are taken over */
        return memcmp(a, b, schema_type_size(type)) == 0;
    }
}

static bool same_option(const struct schema_option *o, const void *a, const void *b)
{
    const char *x = a, *y = b;
    size_t size = schema_type_size(o->type);
    if (!o->list)
        return same_value(o->type, x + o->offset, y + o->offset);
    unsigned n = *(const unsigned *)(const void *)(x + o->offset);
    if (n != *(const unsigned *)(const void *)(y + o->offset))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!same_value(o->type, x + o->item_offset + i * size, y + o->item_offset + i * size))
            return false;
    return true;
}

static void tell(config_kept *kept, void *ctx, const struct schema_option *o, unsigned port)
{
    char path[80];
    size_t len = strlen(o->path) - (o->list ? 2 : 0);
    if (o->group == GROUP_PORT) /* "ports[]." */
        snprintf(path, sizeof(path), "ports[%u]%.*s", port, (int)len - 7, o->path + 7);
    else
        snprintf(path, sizeof(path), "%.*s", (int)len, o->path);
    kept(ctx, path);
}

static void keep_ports(struct config *to, const struct config *running, config_kept *kept,
                       void *ctx)
{
    if (to->ports != running->ports)
        kept(ctx, "ports");
    for (unsigned p = 0; to->ports == running->ports && p < to->ports; p++)
        for (size_t i = 0; i < schema_option_count; i++) {
            const struct schema_option *o = &schema_options[i];
            if (o->group == GROUP_PORT && !o->live &&
                !same_option(o, &to->port[p], &running->port[p]))
                tell(kept, ctx, o, p);
        }
    to->ports = running->ports;
    memcpy(to->port, running->port, sizeof(to->port));
}

/* False: no memory. */
static bool keep_option(const struct schema_option *o, struct config *to,
                        const struct config *running)
{
    char *x = (char *)to;
    const char *y = (const char *)running;
    size_t size = schema_type_size(o->type);
    if (o->type == OPTION_FILE) {
        struct config_file *mine = (struct config_file *)(void *)(x + o->offset);
        char *text = mine->text;
        memcpy(mine, y + o->offset, sizeof(*mine));
        free(text);
        if (!mine->text)
            return true;
        text = malloc(mine->len + 1);
        if (text)
            memcpy(text, mine->text, mine->len + 1);
        mine->text = text;
        return text != NULL;
    }
    if (!o->list) {
        memcpy(x + o->offset, y + o->offset, size);
        return true;
    }
    memcpy(x + o->offset, y + o->offset, sizeof(unsigned));
    memcpy(x + o->item_offset, y + o->item_offset, o->max * size);
    return true;
}

bool config_keep(struct config *to, const struct config *running, config_kept *kept, void *ctx)
{
    bool good = true;
    keep_ports(to, running, kept, ctx);
    for (size_t i = 0; i < schema_option_count; i++) {
        const struct schema_option *o = &schema_options[i];
        if (o->group != GROUP_NODE || o->live || same_option(o, to, running))
            continue;
        tell(kept, ctx, o, 0);
        good &= keep_option(o, to, running);
    }
    to->keys = running->keys;
    memcpy(to->key, running->key, sizeof(to->key));
    return good;
}

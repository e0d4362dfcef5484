/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/state.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define STATE_VERSION 1
#define STATE_BYTES   65536u /* DHT_SAVED contacts are a few thousand */
#define STATE_PATH    320

/* --- reading ------------------------------------------------------------------------------- */

static bool cluster_read(const json_t *o, struct dht_saved *out)
{
    const char *cid = json_string_value(json_object_get(o, "cluster"));
    json_int_t level = json_integer_value(json_object_get(o, "level"));
    json_int_t size = json_integer_value(json_object_get(o, "size"));
    json_int_t age_s = json_integer_value(json_object_get(o, "age_s"));

    if (!cid || strlen(cid) != 16 || strspn(cid, "0123456789abcdef") != 16 || level < 1 ||
        level >= DHT_LEVELS || size < 0 || size > UINT8_MAX || age_s < 0 ||
        age_s > (json_int_t)DHT_AGE_MAX_UNITS * DHT_AGE_UNIT_S)
        return false;
    out->level[level] =
        (struct dht_descriptor){strtoull(cid, NULL, 16), (uint8_t)size, (uint32_t)age_s};
    return true;
}

/* NULL, or what is wrong. */
static const char *document_read(const json_t *o, const struct endpoint *self,
                                 struct dht_saved *out, int64_t *saved_s)
{
    const char *address = json_string_value(json_object_get(o, "address"));
    const json_t *saved = json_object_get(o, "saved_s"), *item;
    json_int_t incarnation = json_integer_value(json_object_get(o, "incarnation"));
    struct endpoint e;
    size_t i;

    if (json_integer_value(json_object_get(o, "version")) != STATE_VERSION)
        return "another version's";
    if (!address || !endpoint_parse(address, 0, &e))
        return "it has no address";
    if (!endpoint_eq(&e, self))
        return "another node's";
    if (!json_is_integer(saved) || incarnation <= 0 || incarnation >= UINT32_MAX)
        return "saved_s or incarnation is no such number";
    *saved_s = json_integer_value(saved);
    out->incarnation = (uint32_t)incarnation;
    json_array_foreach(json_object_get(o, "clusters"), i, item)
    {
        if (!cluster_read(item, out))
            return "a cluster is none";
    }
    json_array_foreach(json_object_get(o, "contacts"), i, item)
    {
        const char *text = json_string_value(item);
        if (!text || !endpoint_parse(text, 0, &e) || e.port == 0)
            return "a contact is no address";
        if (out->n < DHT_SAVED)
            out->contact[out->n++] = e;
    }
    return NULL;
}

enum state_found state_read(const char *path, const struct endpoint *self, struct dht_saved *out,
                            int64_t *saved_s, char *why, size_t why_len)
{
    json_error_t where;
    const char *wrong = NULL;
    FILE *f = fopen(path, "re");

    *out = (struct dht_saved){0};
    if (!f && errno == ENOENT)
        return STATE_NONE;
    char *text = f ? malloc(STATE_BYTES) : NULL;
    if (!f) {
        wrong = strerror(errno);
    } else if (!text) {
        wrong = "no memory";
    } else {
        size_t n = fread(text, 1, STATE_BYTES, f);
        json_t *o = n < STATE_BYTES ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &where) : NULL;
        wrong = n == STATE_BYTES     ? "too large"
                : !json_is_object(o) ? "not a JSON object"
                                     : document_read(o, self, out, saved_s);
        json_decref(o);
    }
    free(text);
    if (f)
        fclose(f);
    if (!wrong)
        return STATE_GOOD;
    *out = (struct dht_saved){0};
    snprintf(why, why_len, "%s: %s", path, wrong);
    return STATE_BAD;
}

/* --- writing ------------------------------------------------------------------------------- */

static json_t *document_make(const struct endpoint *self, const struct dht_saved *s,
                             int64_t saved_s)
{
    json_t *clusters = json_array(), *contacts = json_array();
    char text[ENDPOINT_TEXT];

    for (unsigned l = 1; l < DHT_LEVELS; l++) {
        const struct dht_descriptor *d = &s->level[l];
        char cid[17];
        snprintf(cid, sizeof(cid), "%016llx", (unsigned long long)d->cid);
        if (d->cid)
            json_array_append_new(clusters,
                                  json_pack("{s:i, s:s, s:i, s:I}", "level", (int)l, "cluster", cid,
                                            "size", (int)d->size, "age_s", (json_int_t)d->age_s));
    }
    for (unsigned i = 0; i < s->n && i < DHT_SAVED; i++)
        json_array_append_new(contacts, json_string(endpoint_text(&s->contact[i], text)));
    return json_pack("{s:i, s:s, s:I, s:I, s:o, s:o}", "version", STATE_VERSION, "address",
                     endpoint_text(self, text), "saved_s", (json_int_t)saved_s, "incarnation",
                     (json_int_t)s->incarnation, "clusters", clusters, "contacts", contacts);
}

bool state_write(const char *path, const struct endpoint *self, const struct dht_saved *state,
                 int64_t saved_s, char *why, size_t why_len)
{
    char beside[STATE_PATH];
    json_t *o = document_make(self, state, saved_s);

    snprintf(beside, sizeof(beside), "%.300s.new", path);
    errno = ENOMEM; /* unless a call says otherwise */
    bool good = o && json_dump_file(o, beside, JSON_INDENT(1)) == 0 && rename(beside, path) == 0;
    if (!good)
        snprintf(why, why_len, "%s: %s", path, strerror(errno));
    json_decref(o);
    return good;
}

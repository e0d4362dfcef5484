/* SPDX-License-Identifier: BSD-3-Clause */
/* The expressions' database: compiled somewhere else, loaded here, a scratch for each worker. */
#include <hs/hs.h>
#include <sodium.h>
#include <stdlib.h>

#include "dataplane/rules/rules_private.h"

/* Once each is enough: whether it matches is all there is to know. */
#define FLAGS (HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL)

static void unload(struct rules_set *s)
{
    for (unsigned i = 0; i < RULES_WORKERS; i++) {
        if (s->scratch[i])
            hs_free_scratch(s->scratch[i]);
        s->scratch[i] = NULL;
    }
    hs_free_database(s->database);
    s->database = NULL;
}

void rules_free(struct rules_set *s)
{
    if (!s)
        return;
    unload(s);
    free(s->text);
    free(s->rule);
    free(s->action);
    free(s->host);
    free(s->prefix);
    free(s->expression);
    free(s->host_table);
    free(s->prefix_table);
    free(s);
}

const char *rules_expression(const struct rules_set *s, unsigned i)
{
    return text_at(s, s->rule[s->expression[i].first].text);
}

void rules_expression_wrong(const struct rules_set *s, unsigned i, const char *why,
                            rules_tell *tell, void *ctx)
{
    const struct rule *r = &s->rule[s->expression[i].first];
    char message[512];
    snprintf(message, sizeof(message), "\"%.200s\": %s", text_at(s, r->text), why);
    tell(ctx, r->line, r->column, r->length, message);
}

void rules_key(const struct rules_set *s, uint8_t key[static RULES_KEY])
{
    crypto_generichash_state h;
    const char *version = hs_version();
    crypto_generichash_init(&h, NULL, 0, RULES_KEY);
    crypto_generichash_update(&h, (const uint8_t *)version, strlen(version) + 1);
    for (uint32_t i = 0; i < s->expressions; i++) {
        const char *e = rules_expression(s, i);
        crypto_generichash_update(&h, (const uint8_t *)e, strlen(e) + 1);
    }
    crypto_generichash_final(&h, key, RULES_KEY);
}

/* The compiler stops at the first; a person wants them all. */
bool rules_check(const char *const *expression, unsigned n, rules_wrong *wrong, void *ctx)
{
    bool told = false;
    for (unsigned i = 0; i < n; i++) {
        hs_expr_info_t *info = NULL;
        hs_compile_error_t *e = NULL;
        if (hs_expression_info(expression[i], FLAGS, &info, &e) != HS_SUCCESS) {
            wrong(ctx, i, e ? e->message : "no memory");
            told = true;
        } else if (info->min_width == 0) {
            wrong(ctx, i,
                  "it matches also where there is nothing, so everywhere; anchor it or "
                  "leave the rule's match out");
            told = true;
        }
        free(info);
        hs_free_compile_error(e);
    }
    return !told;
}

bool rules_compile(const char *const *expression, unsigned n, char **bytes, size_t *len,
                   rules_wrong *wrong, void *ctx)
{
    unsigned *flags = calloc(n + 1ul, sizeof(*flags)), *id = calloc(n + 1ul, sizeof(*id));
    hs_database_t *db = NULL;
    hs_compile_error_t *e = NULL;
    bool good = false;
    *bytes = NULL;
    for (unsigned i = 0; flags && id && i < n; i++) {
        flags[i] = FLAGS;
        id[i] = i;
    }
    if (!flags || !id)
        goto out;
    if (!rules_check(expression, n, wrong, ctx))
        goto out;
    if (hs_compile_multi(expression, flags, id, n, HS_MODE_BLOCK, NULL, &db, &e) != HS_SUCCESS) {
        wrong(ctx, e && e->expression >= 0 ? (unsigned)e->expression : 0,
              e ? e->message : "no memory");
        goto out;
    }
    good = hs_serialize_database(db, bytes, len) == HS_SUCCESS;
out:
    hs_free_compile_error(e);
    hs_free_database(db);
    free(flags);
    free(id);
    return good;
}

bool rules_load(struct rules_set *s, const char *bytes, size_t len, unsigned workers)
{
    if (s->expressions == 0)
        return true;
    if (workers > RULES_WORKERS || hs_deserialize_database(bytes, len, &s->database) != HS_SUCCESS)
        return false;
    for (unsigned i = 0; i < workers; i++)
        if (hs_alloc_scratch(s->database, &s->scratch[i]) != HS_SUCCESS) {
            unload(s);
            return false;
        }
    return true;
}

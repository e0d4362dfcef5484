/* SPDX-License-Identifier: BSD-3-Clause */
/* One value: from its text into the field of its option. */
#include "control/config.h"

#include <ctype.h>
#include <net/if.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "control/nearest.h"
#include "control/units.h"

static const char *const driver_words[] = {"auto", "af_xdp", "af_packet", "tap"};
static const char *const level_words[] = {"error", "warning", "info", "debug"};
static const char *const controller_words[] = {"cubic", "reno", "bbr"};
static const char *const client_address_words[] = {"none", "x-forwarded-for", "forwarded"};
static const char *const over_words[] = {"redirect", "refuse"};
static const char *const log_format_words[] = {"common", "combined", "json"};
#define WORDS(list) list, sizeof(list) / sizeof((list)[0])

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The general complaint; values are clipped, since anything may stand there. */
static bool is_not(const struct schema_option *o, const char *text, char *why, size_t len)
{
    snprintf(why, len, "\"%.60s\" is not %s; write it like %s", text, schema_type_noun(o->type),
             schema_type_example(o->type));
    return false;
}

static bool bool_value(const struct schema_option *o, const char *text, bool *out, char *why,
                       size_t len)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2;
            return true;
        }
    snprintf(why, len, "\"%.60s\" is neither true nor false", text);
    (void)o;
    return false;
}

static bool choice_value(const struct schema_option *o, const char *text, const char *const *words,
                         size_t n, unsigned *out, char *why, size_t len)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return true;
        }
    const char *near = nearest_word(text, words, n);
    if (near)
        snprintf(why, len, "\"%.60s\" is not %s; did you mean \"%s\"?", text,
                 schema_type_noun(o->type), near);
    else
        snprintf(why, len, "\"%.60s\" is not %s; there are %s", text, schema_type_noun(o->type),
                 schema_type_example(o->type));
    return false;
}

static bool uint_value(const struct schema_option *o, const char *text, uint64_t *out, char *why,
                       size_t len)
{
    uint64_t v = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || text[digits] != '\0')
        return is_not(o, text, why, len);
    if (digits <= 19)
        v = strtoull(text, NULL, 10);
    if (digits > 19 || v < o->min || v > o->max) {
        snprintf(why, len, "\"%.60s\" is out of range: %llu to %llu", text,
                 (unsigned long long)o->min, (unsigned long long)o->max);
        return false;
    }
    *out = v;
    return true;
}

/* SIZE and TIME */
static bool unit_value(const struct schema_option *o, const char *text, uint64_t *out, char *why,
                       size_t len)
{
    char least[UNITS_TEXT], most[UNITS_TEXT];
    bool size = o->type == OPTION_SIZE;
    uint64_t v;
    enum units_result r = size ? units_size_parse(text, &v) : units_time_parse(text, &v);

    if (r == UNITS_NONSENSE)
        return is_not(o, text, why, len);
    if (r == UNITS_MISSING) {
        snprintf(why, len, "\"%.60s\" has no unit; write it like %s", text,
                 schema_type_example(o->type));
        return false;
    }
    if (r == UNITS_HUGE || v < o->min || v > o->max) {
        snprintf(why, len, "\"%.60s\" is out of range: %s to %s", text,
                 size ? units_size_exact(o->min, least) : units_time_exact(o->min, least),
                 size ? units_size_exact(o->max, most) : units_time_exact(o->max, most));
        return false;
    }
    *out = v;
    return true;
}

static bool ttl_value(const struct schema_option *o, const char *text, int64_t *out, char *why,
                      size_t len)
{
    const struct schema_option time = {.type = OPTION_TTL, .max = 365 * SCHEMA_D};
    uint64_t ms;

    (void)o;
    if (strcmp(text, "none") == 0) {
        *out = -1;
        return true;
    }
    if (!unit_value(&time, text, &ms, why, len))
        return false;
    *out = (int64_t)(ms / 1000);
    return true;
}

static bool name_value(const struct schema_option *o, const char *text, char *out, char *why,
                       size_t len)
{
    size_t n = strlen(text);
    bool good = n > 0 && n < 64 && is_alnum(text[0]);

    for (size_t i = 0; i < n && good; i++)
        good = is_alnum(text[i]) || strchr("._-", text[i]);
    if (!good) {
        snprintf(why, len,
                 "\"%.60s\" is not a name; letters, digits, \".\", \"_\" and \"-\" make one, at "
                 "most 63",
                 text);
        return false;
    }
    snprintf(out, CONFIG_TEXT, "%s", text);
    (void)o;
    return true;
}

static bool device_value(const struct schema_option *o, const char *text, char *out, char *why,
                         size_t len)
{
    size_t n = strlen(text);
    bool good = n > 0 && n < IFNAMSIZ && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;

    /* a comma would end the word in EAL's device arguments */
    for (size_t i = 0; i < n && good; i++)
        good = isgraph((unsigned char)text[i]) && !strchr("/,:=", text[i]);
    if (!good)
        return is_not(o, text, why, len);
    snprintf(out, CONFIG_TEXT, "%s", text);
    return true;
}

/* A name of hosts (RFC 1123 2.1, with "_" as people have it), lower case, without final dot. */
static bool domain_parse(const char *text, size_t n, char out[CONFIG_TEXT])
{
    size_t label = 0;

    if (n > 0 && text[n - 1] == '.')
        n--;
    if (n == 0 || n > 253)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '.') {
            if (label == 0 || text[i - 1] == '-')
                return false;
            label = 0;
        } else if (is_alnum(c) || c == '_' || (c == '-' && label > 0)) {
            if (++label > 63)
                return false;
        } else {
            return false;
        }
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    out[n] = '\0';
    return label > 0 && text[n - 1] != '-';
}

static bool domain_value(const struct schema_option *o, const char *text, char *out, char *why,
                         size_t len)
{
    const char *host = strstr(text, "://");

    if (domain_parse(text, strlen(text), out))
        return true;
    if (!host)
        return is_not(o, text, why, len);
    host += 3;
    size_t scheme = (size_t)(host - text), name = strcspn(host, "/:?#");
    snprintf(why, len, "\"%.60s\" is a URL; leave out \"%.*s\", write it like %.*s", text,
             scheme < 20 ? (int)scheme : 20, text, name < 253 ? (int)name : 253, host);
    return false;
}

static bool path_value(const struct schema_option *o, const char *text, char *out, char *why,
                       size_t len)
{
    if (text[0] != '/' || strlen(text) >= CONFIG_TEXT)
        return is_not(o, text, why, len);
    snprintf(out, CONFIG_TEXT, "%s", text);
    return true;
}

static bool prefix_value(const struct schema_option *o, const char *text, struct config_prefix *out,
                         char *why, size_t len)
{
    char host[ADDR_TEXT];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);

    if (n >= sizeof(host))
        return is_not(o, text, why, len);
    memcpy(host, text, n);
    host[n] = '\0';
    if (!addr_parse(host, &out->ip))
        return is_not(o, text, why, len);
    if (!slash) {
        const char *one = addr_is_v4(&out->ip) ? "32" : "128";
        const char *net = addr_is_v4(&out->ip) ? "24" : "64";
        snprintf(why, len, "\"%.60s\" has no prefix length; write it like %s/%s", text, text,
                 o->type == OPTION_PREFIX ? one : net);
        return false;
    }
    unsigned most = addr_is_v4(&out->ip) ? 32 : 128;
    size_t digits = strspn(slash + 1, "0123456789");
    unsigned long bits = digits && digits <= 3 ? strtoul(slash + 1, NULL, 10) : 999;
    if (slash[1 + digits] != '\0' || bits > most) {
        snprintf(why, len, "\"%.60s\" has a wrong prefix length: 0 to %u", text, most);
        return false;
    }
    out->bits = (uint8_t)bits;
    if (o->type == OPTION_PREFIX) {
        struct addr net = out->ip;
        for (unsigned bit = 128 - most + (unsigned)bits; bit < 128; bit++)
            net.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        if (!addr_eq(&net, &out->ip)) {
            char good[ADDR_TEXT];
            snprintf(why, len, "\"%.60s\" has bits beyond its prefix; did you mean %s/%lu?", text,
                     addr_text(&net, good), bits);
            return false;
        }
    }
    return true;
}

/* What stands behind an origin: weight=N or backup. */
static bool origin_role(const char *role, struct config_origin *out, char *why, size_t len)
{
    static const char weight[] = "weight=";
    const struct schema_option number = {.type = OPTION_UINT, .min = 1, .max = 256};
    size_t n = sizeof(weight) - 1;
    uint64_t w = 0;
    char ignored[1];

    out->backup = strcmp(role, "backup") == 0;
    out->weight = 0;
    if (!out->backup && strncmp(role, weight, n) != 0) {
        snprintf(why, len, "\"%.60s\" may not stand behind an origin; weight=N or backup may",
                 role);
        return false;
    }
    if (!out->backup && !uint_value(&number, role + n, &w, ignored, sizeof(ignored))) {
        snprintf(why, len, "\"%.60s\" is a wrong weight: weight=1 to weight=256", role);
        return false;
    }
    out->weight = (uint16_t)w;
    return true;
}

static bool host_value(const struct schema_option *o, const char *text, struct config_origin *out,
                       char *why, size_t len)
{
    struct endpoint e;

    if (strstr(text, "://")) {
        snprintf(why, len, "\"%.60s\" is a URL; write HOST or HOST:PORT (plain HTTP)", text);
        return false;
    }
    if (endpoint_parse(text, 80, &e)) {
        *out = (struct config_origin){.is_address = true, .address = e.ip, .port = e.port};
        addr_text(&e.ip, out->host);
        return true;
    }
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    if (!domain_parse(text, n, out->host))
        return is_not(o, text, why, len);
    /* all digits and dots: an address that is none */
    if (strspn(out->host, "0123456789.") == strlen(out->host))
        return is_not(o, text, why, len);
    uint64_t port = 80;
    const struct schema_option port_option = {.type = OPTION_UINT, .min = 1, .max = 65535};
    char ignored[1];
    if (colon && !uint_value(&port_option, colon + 1, &port, ignored, sizeof(ignored))) {
        snprintf(why, len, "\"%.60s\" has a wrong port: 1 to 65535", text);
        return false;
    }
    out->is_address = false;
    out->port = (uint16_t)port;
    return true;
}

static bool origin_value(const struct schema_option *o, const char *text, struct config_origin *out,
                         char *why, size_t len)
{
    char host[CONFIG_TEXT + 16];
    const char *role = strchr(text, ' ');
    size_t n = role ? (size_t)(role - text) : strlen(text);

    *out = (struct config_origin){0};
    if (!role)
        return host_value(o, text, out, why, len);
    if (n >= sizeof(host))
        return is_not(o, text, why, len);
    memcpy(host, text, n);
    host[n] = '\0';
    return host_value(o, host, out, why, len) &&
           origin_role(role + strspn(role, " "), out, why, len);
}

/* RFC 9112 3.2.1 */
static bool target_value(const struct schema_option *o, const char *text, char *out, char *why,
                         size_t len)
{
    size_t n = 0;
    while (isgraph((unsigned char)text[n]) && text[n] != '#')
        n++;
    if (text[0] != '/' || text[n] != '\0' || n >= CONFIG_TEXT)
        return is_not(o, text, why, len);
    snprintf(out, CONFIG_TEXT, "%s", text);
    return true;
}

/* RFC 9110 8.3.1, without parameters: they say nothing about what it is worth to compress. */
static bool media_type_value(const struct schema_option *o, const char *text,
                             char out[CONFIG_MEDIA_TYPE], char *why, size_t len)
{
    size_t n = strlen(text), slashes = 0, stars = 0, in_part = 0;
    bool good = n > 0 && n < CONFIG_MEDIA_TYPE;
    for (size_t i = 0; i < n && good; i++) {
        bool slash = text[i] == '/';
        good = ascii_is_tchar(text[i]) || (slash && in_part > 0);
        in_part = slash ? 0 : in_part + 1;
        slashes += slash;
        stars += text[i] == '*';
        out[i] = (char)ascii_lower(text[i]);
    }
    if (!good || slashes != 1 || stars > 1 || in_part == 0)
        return is_not(o, text, why, len);
    out[n] = '\0';
    return true;
}

bool config_value(const struct schema_option *o, const char *text, void *field, char *why,
                  size_t len)
{
    switch (o->type) {
    case OPTION_BOOL:
        return bool_value(o, text, field, why, len);
    case OPTION_UINT:
        return uint_value(o, text, field, why, len);
    case OPTION_SIZE:
    case OPTION_TIME:
        return unit_value(o, text, field, why, len);
    case OPTION_TTL:
        return ttl_value(o, text, field, why, len);
    case OPTION_NAME:
        return name_value(o, text, field, why, len);
    case OPTION_DEVICE:
        return device_value(o, text, field, why, len);
    case OPTION_DOMAIN:
        return domain_value(o, text, field, why, len);
    case OPTION_PATH:
    case OPTION_FOLDER:
        return path_value(o, text, field, why, len);
    case OPTION_FILE:
        if (text[0] == '\0' || strlen(text) >= CONFIG_TEXT)
            return is_not(o, text, why, len);
        snprintf(((struct config_file *)field)->path, CONFIG_TEXT, "%s", text);
        return true;
    case OPTION_DRIVER:
        return choice_value(o, text, WORDS(driver_words), field, why, len);
    case OPTION_LEVEL:
        return choice_value(o, text, WORDS(level_words), field, why, len);
    case OPTION_CONTROLLER:
        return choice_value(o, text, WORDS(controller_words), field, why, len);
    case OPTION_LOG_FORMAT:
        return choice_value(o, text, WORDS(log_format_words), field, why, len);
    case OPTION_CLIENT_ADDRESS:
        return choice_value(o, text, WORDS(client_address_words), field, why, len);
    case OPTION_OVER:
        return choice_value(o, text, WORDS(over_words), field, why, len);
    case OPTION_ADDRESS:
        return addr_parse(text, field) || is_not(o, text, why, len);
    case OPTION_NETWORK_ADDRESS:
    case OPTION_PREFIX:
        return prefix_value(o, text, field, why, len);
    case OPTION_ENDPOINT:
        return endpoint_parse(text, 0, field) || is_not(o, text, why, len);
    case OPTION_ORIGIN:
        return origin_value(o, text, field, why, len);
    case OPTION_TARGET:
        return target_value(o, text, field, why, len);
    case OPTION_MEDIA_TYPE:
        return media_type_value(o, text, field, why, len);
    case OPTION_TYPES:
        break;
    }
    return false;
}

void config_defaults(enum option_group group, void *base)
{
    char why[256];
    for (size_t i = 0; i < schema_option_count; i++) {
        const struct schema_option *o = &schema_options[i];
        if (o->group == group && !o->list && *o->standard)
            config_value(o, o->standard, (char *)base + o->offset, why, sizeof(why));
    }
}

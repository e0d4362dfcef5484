/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config.h"

#include <assert.h>

#define STRUCT_NODE struct config
#define STRUCT_PORT struct config_port
#define STRUCT_SITE struct config_site
#define LIVE        true
#define RESTART     false

#define ONE(group_, path_, type_, field_, standard_, min_, max_, change_, text_)                   \
    {.path = path_,                                                                                \
     .type = OPTION_##type_,                                                                       \
     .group = GROUP_##group_,                                                                      \
     .live = change_,                                                                              \
     .offset = offsetof(STRUCT_##group_, field_),                                                  \
     .standard = standard_,                                                                        \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .text = text_},
#define LIST(group_, path_, type_, field_, standard_, min_, max_, change_, text_)                  \
    {.path = path_,                                                                                \
     .type = OPTION_##type_,                                                                       \
     .group = GROUP_##group_,                                                                      \
     .list = true,                                                                                 \
     .live = change_,                                                                              \
     .offset = offsetof(STRUCT_##group_, field_.n),                                                \
     .item_offset = offsetof(STRUCT_##group_, field_.item),                                        \
     .standard = standard_,                                                                        \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .text = text_},

const struct schema_option schema_options[] = {SCHEMA_OPTIONS(ONE, LIST)};
const size_t schema_option_count = sizeof(schema_options) / sizeof(schema_options[0]);
static_assert(sizeof(schema_options) / sizeof(schema_options[0]) <= CONFIG_OPTIONS,
              "config.place has room for each");

static const struct {
    const char *noun, *example;
    size_t size;
} types[OPTION_TYPES] = {
    [OPTION_BOOL] = {"a yes or no", "true or false", sizeof(bool)},
    [OPTION_UINT] = {"a number", "4", sizeof(uint64_t)},
    [OPTION_SIZE] = {"a size", "4GiB", sizeof(uint64_t)},
    [OPTION_TIME] = {"a time", "30s", sizeof(uint64_t)},
    [OPTION_TTL] = {"a time", "12h, or none", sizeof(int64_t)},
    [OPTION_NAME] = {"a name", "edge-1", CONFIG_TEXT},
    [OPTION_DEVICE] = {"a network interface", "eth1", CONFIG_TEXT},
    [OPTION_DOMAIN] = {"a domain name", "coral.example.net", CONFIG_TEXT},
    [OPTION_PATH] = {"an absolute path", "/var/log/coral/FILE", CONFIG_TEXT},
    [OPTION_FOLDER] = {"an absolute path of a folder", "/run/coral/edge-1", CONFIG_TEXT},
    [OPTION_FILE] = {"a file", "/etc/coral/FILE", sizeof(struct config_file)},
    [OPTION_DRIVER] = {"a driver", "auto, af_xdp, af_packet or tap", sizeof(unsigned)},
    [OPTION_LEVEL] = {"a log level", "error, warning, info or debug", sizeof(unsigned)},
    [OPTION_CONTROLLER] = {"a congestion control", "cubic, reno or bbr", sizeof(unsigned)},
    [OPTION_LOG_FORMAT] = {"a format of the access log", "common, combined or json",
                           sizeof(unsigned)},
    [OPTION_CLIENT_ADDRESS] = {"a field for the client's address",
                               "none, x-forwarded-for or forwarded", sizeof(unsigned)},
    [OPTION_OVER] = {"what becomes of clients", "redirect or refuse", sizeof(unsigned)},
    [OPTION_ADDRESS] = {"an address", "192.0.2.1 or 2001:db8::1", sizeof(struct addr)},
    [OPTION_NETWORK_ADDRESS] = {"an address with its prefix length",
                                "192.0.2.10/24 or 2001:db8::10/64", sizeof(struct config_prefix)},
    [OPTION_PREFIX] = {"a network", "10.1.0.0/16 or fd00::/8", sizeof(struct config_prefix)},
    [OPTION_ENDPOINT] = {"an address", "192.0.2.53 or 192.0.2.53:PORT", sizeof(struct endpoint)},
    [OPTION_ORIGIN] = {"an origin", "origin.example.net:80, 192.0.2.1 or [2001:db8::1]:80",
                       sizeof(struct config_origin)},
    [OPTION_TARGET] = {"the path of a URL", "/healthz", CONFIG_TEXT},
    [OPTION_MEDIA_TYPE] = {"a media type", "text/html, text/* or application/*+json",
                           CONFIG_MEDIA_TYPE},
};

const char *schema_type_noun(enum option_type type)
{
    return types[type].noun;
}

const char *schema_type_example(enum option_type type)
{
    return types[type].example;
}

size_t schema_type_size(enum option_type type)
{
    return types[type].size;
}

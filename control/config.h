/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration as values: read from YAML by the table in control/schema.h, every mistake of
 * a file reported in one run. No I/O but reading the files that are named.
 */
#ifndef CORAL_CONTROL_CONFIG_H
#define CORAL_CONTROL_CONFIG_H

#include "base/addr.h"
#include "control/report.h"
#include "control/schema.h"

#define CONFIG_TEXT        256
#define CONFIG_FILE_BYTES  (16u << 20) /* of the configuration and of files that it names */
#define CONFIG_PORTS       4
#define CONFIG_ADDRESSES   16 /* of all ports */
#define CONFIG_KEYS        2
#define CONFIG_SITES       65536
#define CONFIG_MEDIA_TYPES 12  /* of a site */
#define CONFIG_OPTIONS     96  /* room for those of schema.h */
#define CONFIG_HEALTHS     256 /* origins, of all sites, that are asked how they are */
#define CONFIG_MEDIA_TYPE  48  /* bytes of one, its NUL included */

enum config_driver { CONFIG_AUTO, CONFIG_AF_XDP, CONFIG_AF_PACKET, CONFIG_TAP };
enum config_client_address {
    CONFIG_ADDRESS_NONE,
    CONFIG_ADDRESS_X_FORWARDED_FOR,
    CONFIG_ADDRESS_FORWARDED
};
enum config_over { CONFIG_OVER_REDIRECT, CONFIG_OVER_REFUSE };
enum config_controller { CONFIG_CUBIC, CONFIG_RENO, CONFIG_BBR };

struct config_prefix {
    struct addr ip;
    uint8_t bits; /* of its family */
};

struct config_origin {
    char host[CONFIG_TEXT]; /* a domain, lower case, or the text of an address */
    bool is_address;
    struct addr address;
    uint16_t port;
    uint16_t weight; /* 0: none is written */
    bool backup;
};

struct config_fair {
    uint64_t requests, bytes; /* a second; 0: any number */
    unsigned over;            /* enum config_over */
};

struct config_file {
    char path[CONFIG_TEXT]; /* "": none */
    char *text;             /* NUL after it */
    size_t len;
    struct place place; /* where the configuration names it */
};

struct config_port {
    char device[CONFIG_TEXT];
    unsigned driver;
    uint64_t mtu;
    struct {
        unsigned n;
        struct config_prefix item[16];
    } address;
    struct {
        unsigned n;
        struct addr item[2];
    } gateway;
    struct place gateway_place[2];
    struct place place;
};

struct config_site {
    char host[CONFIG_TEXT];
    struct {
        unsigned n;
        struct config_origin item[4];
    } origin;
    uint64_t connect_ms, first_byte_ms, between_bytes_ms, origin_connections;
    char health_path[CONFIG_TEXT]; /* "": none */
    uint64_t health_interval_ms, health_timeout_ms, health_fall, health_rise;
    struct config_fair fair;
    struct config_origin home; /* host "": none */
    int64_t ttl_override_s;
    struct {
        unsigned n;
        struct config_prefix item[8];
    } allow;
    struct {
        unsigned n;
        char item[CONFIG_MEDIA_TYPES][CONFIG_MEDIA_TYPE];
    } compress;
    unsigned client_address; /* enum config_client_address */
    struct {
        unsigned n;
        struct config_prefix item[8];
    } trusted_proxies;
    bool request_id, server_timing, cache_status_key;
    struct place place;
};

struct config_key {
    uint8_t id, key[16];
};

struct config {
    char name[CONFIG_TEXT], run_dir[CONFIG_TEXT];
    uint64_t workers;
    bool pin, spin;
    unsigned ports;
    struct config_port port[CONFIG_PORTS];
    uint64_t cache_bytes, http_port, connections, shed_ms;
    bool restart, verify;
    char restart_file[CONFIG_TEXT];              /* "": by STATE_DIRECTORY */
    uint64_t restart_bytes, restart_interval_ms; /* bytes 0: as cache_bytes */
    unsigned controller;                         /* enum config_controller */
    uint64_t network_limit, reader_floor, keepalive_ms;
    struct config_file key_file;
    unsigned keys;
    struct config_key key[CONFIG_KEYS]; /* from key_file; [0] signs */
    struct {
        unsigned n;
        struct endpoint item[32];
    } join;
    uint64_t dht_port, ping_interval_ms, rpc_timeout_ms, refresh_ms, bucket, beta, store_keys,
        lookups, probe_rate, short_ttl_ms, long_ttl_ms;
    uint64_t levels, rtt_ms[3], reconsider_ms, prefix_bits[3]; /* by level; rtt_ms[0]: unused */
    bool hints;
    char zone[CONFIG_TEXT];
    bool dns_enabled;
    uint64_t proxy_ttl_ms, ns_ttl_ms, negative_ttl_ms;
    unsigned sites;
    struct config_site *site; /* sorted by host */
    bool open;
    uint64_t open_default_ms, open_min_ms, stale_ms;
    struct config_fair open_fair; /* of each host */
    struct config_file deny_file, rules_file;
    uint64_t rules_limit_ms;
    struct {
        unsigned n;
        struct config_prefix item[16];
    } allow_origins;
    struct {
        unsigned n;
        struct endpoint item[4];
    } resolver;
    unsigned log_level;
    struct {
        unsigned format;        /* enum access_format */
        char file[CONFIG_TEXT]; /* "": none */
        uint64_t max_bytes, keep;
        bool journal, peers;
    } log_access;
    uint64_t drain_timeout_ms;
    const char *file; /* as people named it; borrowed */
    struct place
        place[CONFIG_OPTIONS]; /* of a key, by its number in schema_options; line 0: unset */
};

/*
 * Reads a configuration. False: `report` has the mistakes, at least one, and *out is all zeros but
 * for deny_file, whose patterns may be judged yet (view_deny_check). *out is owned by the caller
 * (config_free). `report` is empty before; it holds the text
 * afterwards, for mistakes found later at a `struct place`. Any thread, no global state.
 */
bool config_read_file(const char *path, struct config *out, struct report *report);
bool config_read_text(const char *name, const char *text, size_t len, struct config *out,
                      struct report *report);
void config_free(struct config *c);
/* The name of a run folder, or the host's without its domain, where node.name names none; NULL:
 * there is no such folder. */
void config_name(struct config *c, const char *instance);
/* Makes of another configuration one that a node which runs by `running` can have: what is RESTART
 * in schema.h stays, and of that what differs is told by its path, "ports[1].mtu". It may hold
 * mistakes then that neither has: config_check. False: no memory. */
typedef void config_kept(void *ctx, const char *path);
bool config_keep(struct config *to, const struct config *running, config_kept *kept, void *ctx);

/* --- private to the reader ----------------------------------------------------------------- */

/* Parses one value of an option into `field`; false with a sentence about it in `why`. */
bool config_value(const struct schema_option *o, const char *text, void *field, char *why,
                  size_t why_len);
/* Sets every field of a group to its default. */
void config_defaults(enum option_group group, void *base);
/* What one option alone cannot say: needed ones, doubles, gateways, keys (where key_file's text is
 * there; it is changed). */
void config_check(struct config *c, struct report *report);
/* Whether this is plain text that libfyaml can be given; false after a report. */
bool config_is_plain(struct report *report, const char *text, size_t len);
/* Reads a whole file; NULL with a reason in `why`, without the file's name, and in errno. The
 * caller frees. */
char *config_slurp(const char *path, size_t *len, char *why, size_t why_len);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one table of options. The parser, the checks, the defaults and the list in corald.yaml(5)
 * all come from it, so they cannot disagree.
 *
 *   X(group, path, type, field, default, min, max, change, text)
 *
 * path: as people write it; "[]" is an element of a list, "*" any key. L instead of X, with a
 * path that ends in "[]", is a list of plain values; one may stand there without a list.
 * default: as people would write it, read by the same code; "" leaves it unset.
 * min, max: of UINT, in bytes of SIZE, in ms of TIME; of a list: elements.
 * change: LIVE options are taken over by a reload, RESTART ones when corald starts.
 */
#ifndef CORAL_CONTROL_SCHEMA_H
#define CORAL_CONTROL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEMA_KIB 1024ull
#define SCHEMA_MIB (1024 * SCHEMA_KIB)
#define SCHEMA_GIB (1024 * SCHEMA_MIB)
#define SCHEMA_TIB (1024 * SCHEMA_GIB)
#define SCHEMA_S   1000ull
#define SCHEMA_H   (3600 * SCHEMA_S)
#define SCHEMA_D   (24 * SCHEMA_H)

/* clang-format off */
#define SCHEMA_OPTIONS(X, L) \
X(NODE, "node.name", NAME, name, "", 0, 0, RESTART, \
  "Name of the node in status, logs and the Via header. Default: the host's name.") \
X(NODE, "node.workers", UINT, workers, "1", 1, 16, RESTART, \
  "Worker threads; each polls its share of the ports and wants a core.") \
X(NODE, "node.pin", BOOL, pin, "false", 0, 0, RESTART, \
  "Bind worker i to the i-th core that corald may use.") \
X(NODE, "node.spin", BOOL, spin, "false", 0, 0, RESTART, \
  "Never sleep when idle: microseconds less latency for a whole core.") \
X(NODE, "node.run_dir", FOLDER, run_dir, "", 0, 0, RESTART, \
  "Folder of the control socket and the lock. Default: see FILES.") \
X(PORT, "ports[].device", DEVICE, device, "", 0, 0, RESTART, \
  "Network interface that the port takes. Needed. With driver tap: the name of the new one.") \
X(PORT, "ports[].driver", DRIVER, driver, "auto", 0, 0, RESTART, \
  "How packets come from the device: auto (af_xdp where it works, else af_packet), " \
  "af_xdp, af_packet or tap.") \
L(PORT, "ports[].addresses[]", NETWORK_ADDRESS, address, "", 1, 16, RESTART, \
  "Service addresses with their prefix lengths, 192.0.2.10/24 or 2001:db8::10/64. Needed. " \
  "They must not be configured in the kernel too.") \
L(PORT, "ports[].gateway[]", ADDRESS, gateway, "", 0, 2, RESTART, \
  "Next hop to everything outside the port's networks; at most one of each family.") \
X(PORT, "ports[].mtu", UINT, mtu, "1500", 1280, 1900, RESTART, \
  "Largest IP packet, in bytes.") \
X(NODE, "cache.memory", SIZE, cache_bytes, "256MiB", 16 * SCHEMA_MIB, 4 * SCHEMA_TIB, RESTART, \
  "Memory of the cache, its index and its objects' heads included, taken at start; from " \
  "hugepages where enough are free.") \
X(NODE, "cache.restart", BOOL, restart, "true", 0, 0, RESTART, \
  "Keep what is cached over a restart, in cache.restart_file.") \
X(NODE, "cache.restart_file", PATH, restart_file, "", 0, 0, RESTART, \
  "File of the cached objects, hottest first: written at a graceful stop and each restart_interval, " \
  "read at the start while the node serves. Default: cache.restart in $STATE_DIRECTORY; nothing is " \
  "kept where that is not set. It is bound to the cluster's key and this node's address; a purge " \
  "takes it away until the next one is written.") \
X(NODE, "cache.restart_interval", TIME, restart_interval_ms, "10min", 0, 7 * SCHEMA_D, RESTART, \
  "How long after one such file the next is written, if the cache has changed. 0: only at a stop.") \
X(NODE, "cache.restart_size", SIZE, restart_bytes, "", 1 * SCHEMA_MIB, 4 * SCHEMA_TIB, RESTART, \
  "Bytes that the file may have; what is colder stays out. Default: as cache.memory.") \
X(NODE, "cache.verify", BOOL, verify, "false", 0, 0, RESTART, \
  "Verify the checksum of each 4 KiB that go to a client, as is done for other nodes; without it " \
  "bits that flip in memory may reach clients until the scrub comes by, within the hour.") \
X(NODE, "http.port", UINT, http_port, "80", 1, 65535, RESTART, \
  "TCP port of the proxy. It may differ from node to node.") \
X(NODE, "http.connections", UINT, connections, "16384", 64, 4194304, RESTART, \
  "Connections a worker keeps at most; beyond it the one that idles longest is closed.") \
X(NODE, "http.shed_after", TIME, shed_ms, "1ms", 0, 10 * SCHEMA_S, LIVE, \
  "How long requests may wait for a worker, over a tenth of a second on end, until it refuses some of " \
  "them with 503: see OVERLOAD in corald(8). 0: none is refused.") \
X(NODE, "tcp.congestion_control", CONTROLLER, controller, "cubic", 0, 0, RESTART, \
  "How TCP finds its rate: cubic (RFC 9438), reno (RFC 6582) or bbr.") \
X(NODE, "tcp.connections_per_network", UINT, network_limit, "4096", 0, 4194304, RESTART, \
  "Connections that one IPv4 address or IPv6 /64 may have at a worker; further ones wait " \
  "until some are closed. 0: any number.") \
X(NODE, "tcp.reader_floor", UINT, reader_floor, "256", 0, 1000000, RESTART, \
  "Bytes a second that a client must take of what waits for it, over 20 s; who takes less is " \
  "reset, so that nobody holds memory by not reading. 0: nobody is.") \
X(NODE, "tcp.keepalive", TIME, keepalive_ms, "0s", 0, 7 * SCHEMA_D, RESTART, \
  "Silence after which an idle peer is asked whether it is there; nine questions without an " \
  "answer end the connection. 0: nobody is asked. HTTP's own time-outs come first.") \
X(NODE, "cluster.key_file", FILE, key_file, "", 0, 0, RESTART, \
  "File with the cluster's secret: a line of 32 hex digits (openssl rand -hex 16). While " \
  "a key is changed, two lines \"ID HEX\"; the first one signs. The ID names the algorithm of " \
  "the index's packets: 0 (also of a line without one) to 127 AES-128-CMAC, 128 to 255 " \
  "SipHash-2-4-128. Needed with cluster.join. Without it the node is a cluster of its own.") \
L(NODE, "cluster.join[]", ENDPOINT, join, "", 0, 32, RESTART, \
  "Nodes to ask at start, ADDRESS or ADDRESS:PORT. A few that are usually up are enough; a " \
  "node's own address among them does no harm, so all nodes can have the same list.") \
X(NODE, "cluster.port", UINT, dht_port, "8053", 1, 65535, RESTART, \
  "UDP port of the index; the same on every node of the cluster.") \
X(NODE, "cluster.ping_interval", TIME, ping_interval_ms, "600ms", 50, 60 * SCHEMA_S, RESTART, \
  "How often a node that DNS may name is asked whether it lives.") \
X(NODE, "cluster.refresh", TIME, refresh_ms, "5s", 200, 600 * SCHEMA_S, RESTART, \
  "How often, at each level, the contact that was unheard for longest is pinged.") \
X(NODE, "cluster.levels", UINT, levels, "3", 1, 3, RESTART, \
  "Levels of clusters in the index: 1 is the planet alone, 2 adds a cluster of near nodes, 3 one " \
  "of nodes nearer still. Lookups ask near nodes first. Nodes with different numbers go together.") \
X(NODE, "cluster.rtt_regional", TIME, rtt_ms[2], "20ms", 1, 400, RESTART, \
  "Level 2: members of a cluster have round trips below this to each other, for the most part.") \
X(NODE, "cluster.rtt_continental", TIME, rtt_ms[1], "60ms", 1, 500, RESTART, \
  "The same of level 1, whose clusters are larger.") \
X(NODE, "cluster.reconsider", TIME, reconsider_ms, "5min", 1 * SCHEMA_S, 1 * SCHEMA_D, RESTART, \
  "How often a node looks whether another cluster is better for it. Soon after the start and after " \
  "a change it looks more often.") \
X(NODE, "cluster.rpc_timeout", TIME, rpc_timeout_ms, "500ms", 20, 30 * SCHEMA_S, RESTART, \
  "Time-out of a question to a node whose round trip has not been measured yet.") \
X(NODE, "cluster.bucket_size", UINT, bucket, "8", 1, 64, RESTART, \
  "Contacts kept at each distance in the routing table (k).") \
X(NODE, "cluster.bits_per_hop", UINT, prefix_bits[0], "3", 1, 4, RESTART, \
  "Bits of the key's prefix that a hop corrects (b) at level 0, where hops are long: more is fewer " \
  "hops and more load on a hot key's last nodes.") \
X(NODE, "cluster.bits_per_hop_continental", UINT, prefix_bits[1], "2", 1, 4, RESTART, \
  "The same at level 1, in a cluster.") \
X(NODE, "cluster.bits_per_hop_regional", UINT, prefix_bits[2], "1", 1, 4, RESTART, \
  "The same at level 2, in a near one.") \
X(NODE, "cluster.walks_per_minute", UINT, beta, "12", 1, 100000, RESTART, \
  "Stores that a node full for a key lets through to it in a minute (beta).") \
X(NODE, "cluster.store_keys", UINT, store_keys, "65536", 1024, 100000000, RESTART, \
  "Keys whose values this node holds for the index at most.") \
X(NODE, "cluster.lookups", UINT, lookups, "1024", 16, 1048576, RESTART, \
  "Lookups in flight a worker at most.") \
X(NODE, "cluster.hints", BOOL, hints, "true", 0, 0, RESTART, \
  "Find the routers around this node, and those before a client that nobody has measured, by " \
  "datagrams with a small TTL to UDP ports 33434 to 33497, as traceroute does. false: none are sent.") \
X(NODE, "cluster.probe_rate", UINT, probe_rate, "10", 1, 100, RESTART, \
  "Such datagrams a second at most.") \
X(NODE, "cluster.short_reference", TIME, short_ttl_ms, "20s", 1 * SCHEMA_S, 1 * SCHEMA_H, LIVE, \
  "Lifetime of \"I am fetching this\" in the index; renewed while the fetch runs.") \
X(NODE, "cluster.long_reference", TIME, long_ttl_ms, "1h", 10 * SCHEMA_S, 1 * SCHEMA_D, LIVE, \
  "Lifetime of \"I have this\" in the index; renewed while the object is used.") \
X(NODE, "dns.zone", DOMAIN, zone, "", 0, 0, RESTART, \
  "Zone that the node answers for: any name below it is a web site through this cluster, " \
  "www.example.com.ZONE. Without it there is no DNS and no open mode.") \
X(NODE, "dns.enabled", BOOL, dns_enabled, "true", 0, 0, RESTART, \
  "Answer DNS on port 53 of the service addresses, once dns.zone is set.") \
X(NODE, "dns.proxy_ttl", TIME, proxy_ttl_ms, "30s", 1 * SCHEMA_S, 1 * SCHEMA_D, LIVE, \
  "TTL of proxy addresses: how long a client may go on with a node that died.") \
X(NODE, "dns.ns_ttl", TIME, ns_ttl_ms, "1h", 1 * SCHEMA_S, 7 * SCHEMA_D, LIVE, \
  "TTL of NS and SOA records and the addresses of nameservers.") \
X(NODE, "dns.negative_ttl", TIME, negative_ttl_ms, "60s", 1 * SCHEMA_S, 3 * SCHEMA_H, LIVE, \
  "TTL of \"no such record\".") \
L(SITE, "sites.*.origin[]", ORIGIN, origin, "", 1, 4, LIVE, \
  "Where the site's content comes from, HOST, HOST:PORT or [IPV6]:PORT, plain HTTP, port 80 " \
  "by default. Needed. Several are tried in order, unless weight=N or backup stands behind one of " \
  "them: see SEVERAL ORIGINS.") \
X(SITE, "sites.*.connect_timeout", TIME, connect_ms, "1500ms", 10, 60 * SCHEMA_S, LIVE, \
  "How long connecting to one address of an origin may take.") \
X(SITE, "sites.*.first_byte_timeout", TIME, first_byte_ms, "10s", 10, 600 * SCHEMA_S, LIVE, \
  "How long an origin may take from the request to the head of its answer. A client waits for it " \
  "for 20 s at least.") \
X(SITE, "sites.*.between_bytes_timeout", TIME, between_bytes_ms, "10s", 10, 600 * SCHEMA_S, LIVE, \
  "How long an origin may pause in its answer.") \
X(SITE, "sites.*.origin_connections", UINT, origin_connections, "0", 0, 1000000, LIVE, \
  "Connections that this node may have in use to each of the site's origins at once, split evenly " \
  "between workers, at least one each. What is fetched beyond that waits for its turn, for 10 s at " \
  "most; then it is 503. 0: any number.") \
X(SITE, "sites.*.health.path", TARGET, health_path, "", 0, 0, LIVE, \
  "What each of the site's origins is asked for now and then, like /healthz; it is well if it answers " \
  "with 2xx or 3xx. One that is down is left alone while another is up. None by default; at most 256 " \
  "origins of a node are asked.") \
X(SITE, "sites.*.health.interval", TIME, health_interval_ms, "5s", 100, 1 * SCHEMA_H, LIVE, \
  "How often each of them is asked.") \
X(SITE, "sites.*.health.timeout", TIME, health_timeout_ms, "2s", 10, 60 * SCHEMA_S, LIVE, \
  "How long the whole answer may take.") \
X(SITE, "sites.*.health.fall", UINT, health_fall, "3", 1, 100, LIVE, \
  "Bad answers, or none, in a row until an origin is down.") \
X(SITE, "sites.*.health.rise", UINT, health_rise, "2", 1, 100, LIVE, \
  "Good ones in a row until it is up again.") \
X(SITE, "sites.*.share.requests", UINT, fair.requests, "0", 0, 1000000000, LIVE, \
  "Requests a second that the site may have of the whole network, all nodes together; see FAIR SHARES. " \
  "0: any number.") \
X(SITE, "sites.*.share.bandwidth", SIZE, fair.bytes, "", 1 * SCHEMA_KIB, 1 * SCHEMA_TIB, LIVE, \
  "The same of the bytes of bodies a second, as 50MiB. Default: any number.") \
X(SITE, "sites.*.share.over", OVER, fair.over, "redirect", 0, 0, LIVE, \
  "What becomes of clients beyond that: redirect sends them to the site's home (302), refuse answers 403.") \
X(SITE, "sites.*.share.home", ORIGIN, home, "", 0, 0, LIVE, \
  "Where clients are sent then, HOST or HOST:PORT, plain HTTP. Default: the first origin, if that is no " \
  "private address; where there is none it is 403.") \
X(SITE, "sites.*.ttl_override", TTL, ttl_override_s, "none", 0, 0, LIVE, \
  "How long responses that may be stored stay fresh, whatever the origin says of that; none: as it says. " \
  "What has no-store or private, or sets a cookie, is not stored all the same.") \
L(SITE, "sites.*.allow[]", PREFIX, allow, "", 0, 8, LIVE, \
  "Networks, as 10.9.0.0/16, that the names in origin may resolve into although they are " \
  "private, loopback or link-local. An address written in origin needs none.") \
L(SITE, "sites.*.compress[]", MEDIA_TYPE, compress, "", 0, CONFIG_MEDIA_TYPES, LIVE, \
  "Media types of bodies that are gzipped once, when they come, for clients that accept it, and " \
  "unpacked for those that don't, as text/*, application/json or application/*+xml. None by " \
  "default.") \
X(SITE, "sites.*.client_address", CLIENT_ADDRESS, client_address, "none", 0, 0, LIVE, \
  "The field in which origins are told the client's address, in place of what clients say in either: " \
  "x-forwarded-for, forwarded (RFC 7239) or none. See WHAT AN ORIGIN IS TOLD.") \
L(SITE, "sites.*.trusted_proxies[]", PREFIX, trusted_proxies, "", 0, 8, LIVE, \
  "Networks of load balancers and the like in front of the node: what they say in that field is kept, " \
  "and their address appended. Of others it is not believed.") \
X(SITE, "sites.*.request_id", BOOL, request_id, "false", 0, 0, LIVE, \
  "Give each request an ID of 32 hex digits, which origins, nodes that are asked, the client and the " \
  "access log are told (X-Request-ID).") \
X(SITE, "sites.*.server_timing", BOOL, server_timing, "false", 0, 0, LIVE, \
  "Tell clients what a response waited for, in Server-Timing.") \
X(SITE, "sites.*.cache_status_key", BOOL, cache_status_key, "false", 0, 0, LIVE, \
  "Tell clients under which URL a response is cached, in Cache-Status (RFC 9211).") \
X(NODE, "rules.file", FILE, rules_file, "", 0, 0, LIVE, \
  "File of rules about requests: what is denied, redirected, passed by the cache and so on, by " \
  "host, path and expression; see coral-rules(5). coralctl rules load takes it over while the node runs.") \
X(NODE, "rules.compile_timeout", TIME, rules_limit_ms, "10s", 100, 3600 * SCHEMA_S, LIVE, \
  "How long the expressions in it may take to be compiled; then the rules are refused.") \
X(NODE, "open.enabled", BOOL, open, "false", 0, 0, LIVE, \
  "Serve any host's pages under dns.zone, for anyone, as CoralCDN did.") \
X(NODE, "open.default_lifetime", TIME, open_default_ms, "12h", 1 * SCHEMA_S, 365 * SCHEMA_D, LIVE, \
  "Freshness of responses that name none, in open mode.") \
X(NODE, "open.min_lifetime", TIME, open_min_ms, "5min", 0, 365 * SCHEMA_D, LIVE, \
  "Least freshness in open mode: shorter ones are raised to it.") \
X(NODE, "open.share.requests", UINT, open_fair.requests, "0", 0, 1000000000, LIVE, \
  "Requests a second that each host may have of the whole network in open mode. 0: any number.") \
X(NODE, "open.share.bandwidth", SIZE, open_fair.bytes, "", 1 * SCHEMA_KIB, 1 * SCHEMA_TIB, LIVE, \
  "The same of the bytes of bodies a second. Default: any number.") \
X(NODE, "open.share.over", OVER, open_fair.over, "redirect", 0, 0, LIVE, \
  "What becomes of clients beyond that: redirect to the host itself, or refuse.") \
X(NODE, "open.stale", TIME, stale_ms, "24h", 0, 365 * SCHEMA_D, LIVE, \
  "How long after its freshness ended an object is better than an error of the origin, in open mode and " \
  "at sites, where the origin does not say so itself (stale-if-error) or forbids it (must-revalidate).") \
X(NODE, "open.deny_file", FILE, deny_file, "", 0, 0, LIVE, \
  "File of URL patterns that are refused with 403: a regular expression a line, # comments. A URL is " \
  "looked for as it came and as lax origins read it, as with rules: //x, /%2Fx and /a/..%2Fx are /x, too.") \
L(NODE, "open.allow_origins[]", PREFIX, allow_origins, "", 0, 16, LIVE, \
  "Private, loopback or link-local networks that origins may have in open mode, as " \
  "10.1.0.0/16. None by default.") \
L(NODE, "resolver[]", ENDPOINT, resolver, "", 0, 4, RESTART, \
  "Recursive nameservers that resolve origins' names, ADDRESS or ADDRESS:PORT. Needed where " \
  "an origin is a name and in open mode. They must be reached through ports.") \
X(NODE, "log.level", LEVEL, log_level, "info", 0, 0, LIVE, \
  "Least severity that is logged: error, warning, info or debug.") \
X(NODE, "log.access.file", PATH, log_access.file, "", 0, 0, RESTART, \
  "File that each request is noted in when it is over, a line each. See ACCESS LOG in corald(8). None by " \
  "default.") \
X(NODE, "log.access.journal", BOOL, log_access.journal, "false", 0, 0, RESTART, \
  "Note requests in systemd's journal, as SYSLOG_IDENTIFIER=coral-access.") \
X(NODE, "log.access.format", LOG_FORMAT, log_access.format, "combined", 0, 0, RESTART, \
  "What a line is: common, combined (with Referer and User-Agent) or json (with all that is known).") \
X(NODE, "log.access.peers", BOOL, log_access.peers, "false", 0, 0, RESTART, \
  "Note requests of the cluster's other nodes, too.") \
X(NODE, "log.access.max_size", SIZE, log_access.max_bytes, "", 1 * SCHEMA_MIB, 1 * SCHEMA_TIB, RESTART, \
  "Size at which the file becomes FILE.1, the one before FILE.2 and so on. Default: it is left to " \
  "others, as logrotate(8), who send SIGHUP then.") \
X(NODE, "log.access.keep", UINT, log_access.keep, "5", 1, 1000, RESTART, \
  "How many such files are kept.") \
X(NODE, "drain_timeout", TIME, drain_timeout_ms, "30s", 0, 24 * SCHEMA_H, LIVE, \
  "How long a stopping node waits for requests that run; then they are cut.")
/* clang-format on */

enum option_type {
    OPTION_BOOL,            /* bool */
    OPTION_UINT,            /* uint64_t */
    OPTION_SIZE,            /* uint64_t, bytes */
    OPTION_TIME,            /* uint64_t, ms */
    OPTION_TTL,             /* int64_t, seconds; -1: none */
    OPTION_NAME,            /* char[CONFIG_TEXT] */
    OPTION_DEVICE,          /* char[CONFIG_TEXT] */
    OPTION_DOMAIN,          /* char[CONFIG_TEXT], lower case, no final dot */
    OPTION_PATH,            /* char[CONFIG_TEXT], absolute */
    OPTION_FOLDER,          /* the same, of a folder */
    OPTION_FILE,            /* struct config_file: its text is read too */
    OPTION_DRIVER,          /* unsigned: enum config_driver */
    OPTION_LEVEL,           /* unsigned: enum log_level */
    OPTION_CONTROLLER,      /* unsigned: enum config_controller */
    OPTION_LOG_FORMAT,      /* unsigned: enum access_format */
    OPTION_CLIENT_ADDRESS,  /* unsigned: enum config_client_address */
    OPTION_OVER,            /* unsigned: enum config_over */
    OPTION_ADDRESS,         /* struct addr */
    OPTION_NETWORK_ADDRESS, /* struct config_prefix, host bits kept */
    OPTION_PREFIX,          /* struct config_prefix, host bits zero */
    OPTION_ENDPOINT,        /* struct endpoint; port 0 where none is written */
    OPTION_ORIGIN,          /* struct config_origin */
    OPTION_TARGET,          /* char[CONFIG_TEXT]: the path of a URL, perhaps with a query */
    OPTION_MEDIA_TYPE,      /* char[CONFIG_MEDIA_TYPE], lower case, at most one '*' */
    OPTION_TYPES,
};

enum option_group {
    GROUP_NODE, /* struct config */
    GROUP_PORT, /* struct config_port */
    GROUP_SITE, /* struct config_site */
};

struct schema_option {
    const char *path;
    enum option_type type;
    enum option_group group;
    bool list;            /* the field is {unsigned n; TYPE item[max];} */
    bool live;            /* a reload takes it over */
    size_t offset;        /* of the field, of a list's n, in the group's struct */
    size_t item_offset;   /* of a list's item[0] */
    const char *standard; /* the default; "": unset */
    uint64_t min, max;
    const char *text;
};

extern const struct schema_option schema_options[];
extern const size_t schema_option_count;

/* What a key may be. */
enum schema_kind {
    SCHEMA_UNKNOWN,
    SCHEMA_VALUE,
    SCHEMA_LIST,     /* of values */
    SCHEMA_SECTION,  /* a mapping with known keys */
    SCHEMA_SECTIONS, /* a list of such mappings */
    SCHEMA_ANY,      /* any key, with such a mapping */
};
#define SCHEMA_KEY 32 /* longest known key, with its NUL */

/* What the table knows under pattern + key ("ports[]." + "mtu"); *o for a value or list. */
enum schema_kind schema_find(const char *pattern, const char *key, const struct schema_option **o);
/* The known keys of the mapping `pattern`, each once; returns how many. */
size_t schema_keys(const char *pattern, char keys[][SCHEMA_KEY], size_t room);
/* "node.workers" for "workers": where a key that stands at the wrong level belongs, or NULL. */
const char *schema_belongs(const char *key, char *out, size_t room);

/* What people call a value of this type, with an example: "a size", "4GiB". */
const char *schema_type_noun(enum option_type type);
const char *schema_type_example(enum option_type type);
/* Bytes of one value in memory. */
size_t schema_type_size(enum option_type type);

#endif

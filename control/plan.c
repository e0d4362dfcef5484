/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/random.h>

#include "control/control.h"
#include "control/units.h"
#include "dataplane/tcp/cc.h"

/* capabilities(7) by number, as /proc/self/status shows them */
enum {
    CAP_BIT_NET_ADMIN = 12,
    CAP_BIT_NET_RAW = 13,
    CAP_BIT_IPC_LOCK = 14,
    CAP_BIT_SYS_ADMIN = 21
};

static void port_fill(const struct config_port *from, unsigned number, struct port_config *to)
{
    static const enum port_driver driver[] = {PORT_AUTO, PORT_AF_XDP, PORT_AF_PACKET, PORT_TAP};

    snprintf(to->name, sizeof(to->name), "ports[%u]", number);
    snprintf(to->device, sizeof(to->device), "%.31s", from->device);
    to->driver = driver[from->driver];
    to->mtu = (uint16_t)from->mtu;
    to->offload = true;
    to->addresses = from->address.n;
    for (unsigned i = 0; i < from->address.n; i++)
        to->address[i] = (struct net_address){from->address.item[i].ip, from->address.item[i].bits};
    for (unsigned i = 0; i < from->gateway.n; i++) {
        const struct addr *a = &from->gateway.item[i];
        *(addr_is_v4(a) ? &to->gateway_v4 : &to->gateway_v6) = *a;
    }
}

static void random_fill(void *out, size_t len)
{
    /* up to 256 bytes never come in parts and never fail once the system is up: getrandom(2) */
    if (getrandom(out, len, 0) != (ssize_t)len)
        memset(out, 0x5a, len);
}

static void dht_fill(const struct config *c, struct node_config *out)
{
    struct dht_config *d = &out->dht;

    *d = dht_config_default();
    d->port = (uint16_t)c->dht_port;
    d->bucket = (unsigned)c->bucket;
    d->beta = (unsigned)c->beta;
    d->levels = (unsigned)c->levels;
    for (unsigned l = 0; l < DHT_LEVELS; l++)
        d->prefix_bits[l] = (uint8_t)c->prefix_bits[l];
    for (unsigned l = 1; l < DHT_LEVELS; l++) {
        struct cluster_config *k = &d->cluster[l];
        k->threshold_us = (uint32_t)c->rtt_ms[l] * 1000;
        k->tick_s = (unsigned)(c->reconsider_ms / 1000);
        k->fast_tick_s = k->tick_s < k->fast_tick_s ? k->tick_s : k->fast_tick_s;
    }
    d->store_keys = (uint32_t)c->store_keys;
    d->lookups = (uint32_t)c->lookups;
    d->ping_interval_ms = (uint32_t)c->ping_interval_ms;
    d->refresh_ms = (uint32_t)c->refresh_ms;
    d->rpc_timeout_ms = (uint32_t)c->rpc_timeout_ms;
    out->keys.n = c->keys;
    for (unsigned i = 0; i < c->keys; i++) {
        out->keys.key[i].id = c->key[i].id;
        memcpy(out->keys.key[i].key, c->key[i].key, sizeof(out->keys.key[i].key));
    }
    if (c->keys == 0) { /* a cluster of its own: nobody else knows the key */
        out->keys.n = 1;
        out->keys.key[0].id = 0;
        random_fill(out->keys.key[0].key, sizeof(out->keys.key[0].key));
    }
}

static const struct cc_ops *const controllers[] = {
    [CONFIG_CUBIC] = &cc_cubic, [CONFIG_RENO] = &cc_newreno, [CONFIG_BBR] = &cc_bbr};

void plan_node(const struct config *c, struct node_config *out)
{
    memset(out, 0, sizeof(*out));
    snprintf(out->name, sizeof(out->name), "%.63s", c->name);
    out->workers = (unsigned)c->workers;
    out->spin = c->spin;
    out->ports = c->ports;
    for (unsigned i = 0; i < c->ports; i++)
        port_fill(&c->port[i], i, &out->port[i]);
    out->cache_bytes = c->cache_bytes;
    out->connections = (uint32_t)c->connections;
    out->http_port = (uint16_t)c->http_port;
    out->verify = c->verify;
    out->cc = controllers[c->controller];
    out->network_limit = (uint32_t)c->network_limit;
    out->reader_floor = (uint32_t)c->reader_floor;
    out->keepalive_ms = (uint32_t)c->keepalive_ms;
    dht_fill(c, out);
    out->self = view_self(c);
    out->resolver = (struct resolver_config){
        .servers = c->resolver.n, .queries = 512, .names = 4096, .timeout_ms = 1000};
    for (unsigned i = 0; i < c->resolver.n; i++) {
        out->resolver.server[i] = c->resolver.item[i];
        if (!out->resolver.server[i].port)
            out->resolver.server[i].port = 53;
    }
    random_fill(out->seed, sizeof(out->seed));
}

/* --- what the machine gives ---------------------------------------------------------------- */

/* The number behind "KEY:" in a file of /proc; `base` of its digits. */
static bool proc_number(const char *file, const char *key, int base, uint64_t *out)
{
    char line[256];
    size_t len = strlen(key);
    bool found = false;
    FILE *f = fopen(file, "re");

    while (f && !found && fgets(line, sizeof(line), f))
        if (strncmp(line, key, len) == 0 && line[len] == ':') {
            *out = strtoull(line + len + 1, NULL, base);
            found = true;
        }
    if (f)
        fclose(f);
    return found;
}

static int check_capabilities(const struct config *c, char *error, size_t len)
{
    static const struct {
        uint64_t bits;
        const char *words;
    } needs[] = {
        [CONFIG_AUTO] = {1u << CAP_BIT_NET_RAW | 1u << CAP_BIT_NET_ADMIN, "NET_RAW and NET_ADMIN"},
        [CONFIG_AF_XDP] = {1u << CAP_BIT_NET_RAW | 1u << CAP_BIT_NET_ADMIN |
                               1u << CAP_BIT_SYS_ADMIN | 1u << CAP_BIT_IPC_LOCK,
                           "NET_RAW, NET_ADMIN, SYS_ADMIN and IPC_LOCK"},
        [CONFIG_AF_PACKET] = {1u << CAP_BIT_NET_RAW, "NET_RAW"},
        [CONFIG_TAP] = {1u << CAP_BIT_NET_ADMIN, "NET_ADMIN"},
    };
    uint64_t have;

    if (!proc_number("/proc/self/status", "CapEff", 16, &have))
        return 0; /* the port itself will say what it misses */
    for (unsigned i = 0; i < c->ports; i++) {
        unsigned driver = c->port[i].driver;
        if ((have & needs[driver].bits) != needs[driver].bits) {
            snprintf(error, len,
                     "not permitted to open %s: that needs the capabilities %s; run as root, or "
                     "give them (setcap, AmbientCapabilities=)",
                     c->port[i].device, needs[driver].words);
            return 5;
        }
    }
    return 0;
}

size_t plan_memory(const struct config *c)
{
    return c->cache_bytes + port_eal_memory(c->ports, (unsigned)c->workers);
}

int plan_check(const struct config *c, char *error, size_t len)
{
    char want[UNITS_TEXT], have[UNITS_TEXT], cache[UNITS_TEXT];
    uint64_t kib;

    int status = check_capabilities(c, error, len);
    if (status)
        return status;
    if (!proc_number("/proc/meminfo", "MemAvailable", 10, &kib))
        return 0;
    uint64_t free_bytes = kib * 1024 + port_hugepages_free();
    if (plan_memory(c) <= free_bytes)
        return 0;
    snprintf(error, len,
             "cache.memory: %s needs %s of memory in all, and %s are free; make it smaller, or "
             "free some",
             units_size_exact(c->cache_bytes, cache), units_size_round(plan_memory(c), want),
             units_size_round(free_bytes, have));
    return 1;
}

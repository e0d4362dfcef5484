/* SPDX-License-Identifier: BSD-3-Clause */
/* What holds between options: needed ones, doubles, networks, names, the cluster's key. */
#include "control/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/rundir.h"

static const struct place nowhere;

/* Of the key, where it is written. */
static struct place key_place(const struct config *c, const char *path)
{
    for (size_t i = 0; i < schema_option_count; i++)
        if (strcmp(schema_options[i].path, path) == 0)
            return c->place[i];
    return nowhere;
}

/* --- ports --------------------------------------------------------------------------------- */

static bool is_usable(const struct addr *a)
{
    if (addr_is_v4(a)) {
        uint32_t v4 = addr_get_v4(a);
        return v4 >> 24 != 0 && v4 >> 24 != 127 && v4 >> 28 < 14;
    }
    static const struct addr loopback = {{[15] = 1}};
    return !addr_is_zero(a) && !addr_eq(a, &loopback) && a->b[0] != 0xff;
}

static void check_addresses(const struct config *c, unsigned i, struct report *report)
{
    const struct config_port *p = &c->port[i];
    char path[64], text[ADDR_TEXT];

    for (unsigned j = 0; j < p->address.n; j++) {
        const struct addr *a = &p->address.item[j].ip;
        snprintf(path, sizeof(path), "ports[%u].addresses[%u]", i, j);
        if (!is_usable(a))
            report_add(report, p->place, path, "%s cannot be a port's address", addr_text(a, text));
        for (unsigned k = 0; k <= i; k++)
            for (unsigned m = 0; m < (k == i ? j : c->port[k].address.n); m++)
                if (addr_eq(a, &c->port[k].address.item[m].ip))
                    report_add(report, p->place, path, "%s is ports[%u].addresses[%u] already",
                               addr_text(a, text), k, m);
    }
}

static void check_gateways(const struct config_port *p, unsigned i, struct report *report)
{
    char path[64], text[ADDR_TEXT];

    snprintf(path, sizeof(path), "ports[%u].gateway", i);
    for (unsigned g = 0; g < p->gateway.n; g++) {
        const struct addr *a = &p->gateway.item[g];
        /* RFC 4861: routers are known by their link-local addresses */
        bool near = !addr_is_v4(a) && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
        for (unsigned j = 0; j < p->address.n; j++)
            near = near || (addr_is_v4(a) == addr_is_v4(&p->address.item[j].ip) &&
                            addr_in_prefix(a, &p->address.item[j].ip, p->address.item[j].bits));
        if (!near && p->address.n)
            report_add(report, p->gateway_place[g], path,
                       "%s is in none of the networks of the addresses", addr_text(a, text));
    }
    if (p->gateway.n == 2 && addr_is_v4(&p->gateway.item[0]) == addr_is_v4(&p->gateway.item[1]))
        report_add(report, p->gateway_place[1], path,
                   "two gateways of one family; one of each is taken");
}

static void check_ports(const struct config *c, struct report *report)
{
    char path[64];

    if (c->ports == 0 && !report_has(report, "ports"))
        report_add(report, nowhere, "ports",
                   "missing; write it like [{device: eth1, addresses: [192.0.2.10/24]}]");
    unsigned addresses = 0;
    for (unsigned i = 0; i < c->ports; i++) {
        const struct config_port *p = &c->port[i];
        addresses += p->address.n;
        if (addresses > CONFIG_ADDRESSES && addresses - p->address.n <= CONFIG_ADDRESSES)
            report_add(report, p->place, "ports", "too many addresses in all: %d at most",
                       CONFIG_ADDRESSES);
        snprintf(path, sizeof(path), "ports[%u].device", i);
        if (!*p->device && !report_has(report, path))
            report_add(report, p->place, path, "missing; write it like eth1");
        snprintf(path, sizeof(path), "ports[%u].addresses", i);
        if (p->address.n == 0 && !report_has(report, path))
            report_add(report, p->place, path, "missing; write it like [192.0.2.10/24]");
        for (unsigned k = 0; k < i; k++)
            if (*p->device && strcmp(p->device, c->port[k].device) == 0) {
                snprintf(path, sizeof(path), "ports[%u].device", i);
                report_add(report, p->place, path, "%s is ports[%u].device already", p->device, k);
            }
        check_addresses(c, i, report);
        check_gateways(p, i, report);
    }
}

/* --- sites and open mode ------------------------------------------------------------------- */

static bool in_zone(const char *host, const char *zone)
{
    size_t h = strlen(host), z = strlen(zone);
    return z && h >= z && strcmp(host + h - z, zone) == 0 && (h == z || host[h - z - 1] == '.');
}

static void check_home(const struct config *c, const struct config_site *s, struct report *report)
{
    char path[REPORT_PATH];

    snprintf(path, sizeof(path), "sites.%s.share.home", s->host);
    if (s->home.weight || s->home.backup)
        report_add(report, s->place, path, "one place has neither weight nor backup");
    if (*s->home.host && !s->home.is_address &&
        (in_zone(s->home.host, c->zone) || strcmp(s->home.host, s->host) == 0))
        report_add(report, s->place, path, "%s is served by us: clients would come back",
                   s->home.host);
}

static void check_sites(const struct config *c, struct report *report)
{
    char path[REPORT_PATH];
    bool asked = c->resolver.n > 0 || report_has(report, "resolver");

    for (unsigned i = 0; i < c->sites; i++) {
        const struct config_site *s = &c->site[i];
        snprintf(path, sizeof(path), "sites.%s", s->host);
        if (i && strcmp(c->site[i - 1].host, s->host) == 0)
            report_add(report, s->place, path, "this site is here twice; first in line %u",
                       c->site[i - 1].place.line);
        snprintf(path, sizeof(path), "sites.%s.trusted_proxies", s->host);
        if (s->trusted_proxies.n && s->client_address == CONFIG_ADDRESS_NONE)
            report_add(
                report, s->place, path,
                "nobody is told what they say; choose \"client_address: x-forwarded-for\" or "
                "forwarded, or leave it out");
        check_home(c, s, report);
        snprintf(path, sizeof(path), "sites.%s.origin", s->host);
        if (s->origin.n == 0 && !report_has(report, path))
            report_add(report, s->place, path, "missing; write it like [origin.example.net:80]");
        for (unsigned j = 0; j < s->origin.n; j++) {
            const struct config_origin *o = &s->origin.item[j];
            if (!o->is_address && in_zone(o->host, c->zone))
                report_add(report, s->place, path,
                           "%s is inside dns.zone: requests would come back to us", o->host);
            else if (!o->is_address && !asked) {
                report_add(report, s->place, path,
                           "%s is a name, and nobody is there to resolve it; add \"resolver: "
                           "[ADDRESS]\"",
                           o->host);
                asked = true; /* once is enough */
            }
        }
    }
}

static void check_health(const struct config *c, struct report *report)
{
    char path[REPORT_PATH];
    unsigned n = 0;

    for (unsigned i = 0; i < c->sites; i++) {
        const struct config_site *s = &c->site[i];
        unsigned before = n;
        n += *s->health_path ? s->origin.n : 0;
        if (n <= CONFIG_HEALTHS || before > CONFIG_HEALTHS)
            continue;
        snprintf(path, sizeof(path), "sites.%s.health.path", s->host);
        report_add(report, s->place, path,
                   "so many origins cannot be asked how they are: %d of all sites at most",
                   CONFIG_HEALTHS);
    }
}

static void check_open(const struct config *c, struct report *report)
{
    struct place at = key_place(c, "open.enabled");

    if (c->open && !*c->zone && !report_has(report, "dns.zone"))
        report_add(report, at, "open.enabled", "needs dns.zone, the zone of the open names");
    if (c->open && c->resolver.n == 0 && !report_has(report, "resolver"))
        report_add(report, at, "open.enabled",
                   "needs \"resolver: [ADDRESS]\", to find the origins");
}

/* --- the cluster's key --------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "HEX" or "ID HEX". Never quotes the line: it may be most of a secret. */
static bool key_line(char *line, struct config_key *key)
{
    char *hex = line, *blank = strpbrk(line, " \t");
    unsigned long id = 0;

    if (blank) {
        *blank = '\0';
        hex = blank + 1 + strspn(blank + 1, " \t");
        char *end;
        if (!isdigit((unsigned char)*line))
            return false;
        id = strtoul(line, &end, 10);
        if (*end != '\0' || id > 255)
            return false;
    }
    if (strlen(hex) != 32)
        return false;
    for (unsigned i = 0; i < 32; i++) {
        int digit = hex_digit(hex[i]);
        if (digit < 0)
            return false;
        key->key[i / 2] = (uint8_t)(key->key[i / 2] << 4 | digit);
    }
    key->id = (uint8_t)id;
    return true;
}

static void read_keys(struct config *c, struct report *report)
{
    const struct config_file *f = &c->key_file;
    const char *path = "cluster.key_file";
    char *line = f->text;

    for (unsigned number = 1; line; number++) {
        char *next = strchr(line, '\n'), *end = next ? next : line + strlen(line);
        while (end > line && isspace((unsigned char)end[-1]))
            end--;
        if (next)
            *next = '\0';
        *end = '\0';
        line += strspn(line, " \t");
        if (*line && *line != '#') {
            struct config_key key = {0};
            if (!key_line(line, &key)) {
                report_add(report, f->place, path,
                           "%s:%u is no key: 32 hex digits make one (openssl rand -hex 16), "
                           "with an ID before it if there are two",
                           f->path, number);
                return;
            }
            if (c->keys == CONFIG_KEYS) {
                report_add(report, f->place, path, "%s has more than %d keys", f->path,
                           CONFIG_KEYS);
                return;
            }
            if (c->keys && c->key[0].id == key.id) {
                report_add(report, f->place, path, "%s has two keys with the ID %u", f->path,
                           key.id);
                return;
            }
            c->key[c->keys++] = key;
        }
        line = next ? next + 1 : NULL;
    }
    if (c->keys == 0)
        report_add(report, f->place, path, "%s has no key; openssl rand -hex 16 >%s makes one",
                   f->path, f->path);
}

static void check_levels(const struct config *c, struct report *report)
{
    const char *path = "cluster.rtt_regional";
    struct place at = key_place(c, path);
    if (c->rtt_ms[2] > c->rtt_ms[1] && !report_has(report, path))
        report_add(report, at.line ? at : key_place(c, "cluster.rtt_continental"), path,
                   "%llums is more than cluster.rtt_continental, %llums; level 2 is the nearer one",
                   (unsigned long long)c->rtt_ms[2], (unsigned long long)c->rtt_ms[1]);
}

static void check_log(const struct config *c, struct report *report)
{
    if (c->log_access.max_bytes && !*c->log_access.file && !report_has(report, "log.access.file"))
        report_add(report, key_place(c, "log.access.max_size"), "log.access.max_size",
                   "is of log.access.file, and there is none; add it, like "
                   "/var/log/coral/access.log");
}

void config_check(struct config *c, struct report *report)
{
    check_ports(c, report);
    check_sites(c, report);
    check_health(c, report);
    check_open(c, report);
    check_levels(c, report);
    check_log(c, report);
    if (c->key_file.text && c->keys == 0)
        read_keys(c, report);
    if (c->join.n && !*c->key_file.path && !report_has(report, "cluster.key_file"))
        report_add(report, key_place(c, "cluster.join[]"), "cluster.key_file",
                   "missing; cluster.join needs it (openssl rand -hex 16 makes a key)");
}

void config_name(struct config *c, const char *instance)
{
    char host[CONFIG_TEXT] = "";
    const char *last = instance ? strrchr(instance, '/') : NULL;

    if (*c->name)
        return;
    if (instance) {
        snprintf(c->name, sizeof(c->name), "%s", last ? last + 1 : instance);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    snprintf(c->name, sizeof(c->name), "%s", rundir_name_valid(host) ? host : "corald");
}

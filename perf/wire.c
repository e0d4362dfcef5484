/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/wire.h"

int wire_take_device(struct wire *w, const char *text)
{
    char driver[16];
    const char *colon = strchr(text, ':');
    w->driver = PORT_AUTO;
    if (colon && (size_t)(colon - text) < sizeof(driver)) {
        snprintf(driver, sizeof(driver), "%.*s", (int)(colon - text), text);
        if (!port_driver_parse(driver, &w->driver) || w->driver == PORT_RING ||
            w->driver == PORT_TAP)
            return perf_refuse("--wire", text, "is not DEVICE, af_xdp:DEVICE or af_packet:DEVICE");
        text = colon + 1;
    }
    if (!*text || strlen(text) >= sizeof(w->device))
        return perf_refuse("--wire", text, "is no name of an interface");
    snprintf(w->device, sizeof(w->device), "%s", text);
    return -1;
}

int wire_take_client(struct wire *w, const char *text)
{
    char address[64];
    const char *slash = strchr(text, '/');
    char *end = NULL;
    unsigned long length = slash ? strtoul(slash + 1, &end, 10) : 0;
    snprintf(address, sizeof(address), "%.*s", slash ? (int)(slash - text) : 0, text);
    if (!slash || !end || end == slash + 1 || *end || !addr_parse(address, &w->client.ip) ||
        length < 1 || length > (addr_is_v4(&w->client.ip) ? 32 : 128))
        return perf_refuse("--address", text, "is not ADDRESS/LENGTH, as 10.0.0.9/24");
    w->client.prefix = (uint8_t)length;
    return -1;
}

int wire_take_server(struct wire *w, const char *text)
{
    if (!endpoint_parse(text, 80, &w->server))
        return perf_refuse("--server", text, "is not ADDRESS or ADDRESS:PORT, as 10.0.0.1:80");
    if (!w->host[0])
        snprintf(w->host, sizeof(w->host), "%s", text);
    return -1;
}

int wire_check(struct wire *w)
{
    const bool none = addr_is_zero(&w->client.ip) && addr_is_zero(&w->server.ip);
    if (!w->device[0])
        return none && !w->path && !w->host[0]
                   ? -1
                   : perf_refuse("--address, --server, --host, --path", "",
                                 "go with --wire, which is missing");
    if (addr_is_zero(&w->client.ip) || addr_is_zero(&w->server.ip))
        return perf_refuse("--wire", w->device, "needs --address and --server");
    if (addr_is_v4(&w->client.ip) != addr_is_v4(&w->server.ip))
        return perf_refuse("--server", w->host, "is of another family than --address");
    if (!w->path)
        w->path = "/";
    if (w->path[0] != '/')
        return perf_refuse("--path", w->path, "does not begin with a slash");
    return -1;
}

struct port *wire_open(const struct wire *w, char *error, size_t error_len)
{
    struct port_config c = {
        .name = "--wire", .driver = w->driver, .addresses = 1, .address = {w->client}};
    snprintf(c.device, sizeof(c.device), "%s", w->device);
    return port_open(&c, 1, error, error_len);
}

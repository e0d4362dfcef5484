/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/probe.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "dataplane/port/quiet.h"

void probe_sockets(int family, struct sockets *out)
{
    out->n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) && out->n < PROBE_SOCKETS;) {
        int fd = atoi(e->d_name), domain = -1;
        socklen_t len = sizeof(domain);
        if (e->d_name[0] != '.' && fd != dirfd(d) &&
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == family)
            out->fd[out->n++] = fd;
    }
    closedir(d);
}

int probe_claim(const char *device)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "coral-port:%s", device);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&name,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool has(const struct sockets *s, int fd)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->fd[i] == fd)
            return true;
    return false;
}

unsigned probe_sockets_new(const struct sockets *before, const struct sockets *after, int *fd,
                           unsigned room)
{
    unsigned n = 0;
    for (unsigned i = 0; i < after->n && n < room; i++)
        if (!has(before, after->fd[i]))
            fd[n++] = after->fd[i];
    return n;
}

void probe_interface(const char *device, struct interface *out)
{
    struct ifreq r = {0};
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

    *out = (struct interface){.mtu = 1500, .channels = 1};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
    if (if_nametoindex(device) && ioctl(s, SIOCGIFFLAGS, &r) == 0) {
        out->exists = true;
        out->up = r.ifr_flags & IFF_UP;
        if (ioctl(s, SIOCGIFMTU, &r) == 0)
            out->mtu = (unsigned)r.ifr_mtu;
        r.ifr_data = (void *)&channels;
        if (ioctl(s, SIOCETHTOOL, &r) == 0 && channels.combined_count)
            out->channels = channels.combined_count;
    }
    close(s);
}

void probe_merge_off(const char *device)
{
    struct ethtool_value v = {.cmd = ETHTOOL_SGRO};
    struct ifreq r = {.ifr_data = (void *)&v};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
    ioctl(s, SIOCETHTOOL, &r); /* no matter when it knows none */
    v = (struct ethtool_value){.cmd = ETHTOOL_GFLAGS};
    if (ioctl(s, SIOCETHTOOL, &r) == 0 && (v.data & ETH_FLAG_LRO)) {
        v.cmd = ETHTOOL_SFLAGS;
        v.data &= ~(uint32_t)ETH_FLAG_LRO;
        ioctl(s, SIOCETHTOOL, &r);
    }
    close(s);
}

static uint64_t capabilities(void)
{
    char line[256];
    unsigned long long mask = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "CapEff: %llx", &mask) == 1)
            break;
    if (f)
        fclose(f);
    return mask;
}

bool probe_may(enum port_driver driver, char *text, size_t len)
{
    static const struct {
        unsigned bit;
        const char *name;
        bool xdp, packet, tap;
    } needs[] = {
        {CAP_NET_ADMIN, "NET_ADMIN", true, true, true},
        {CAP_NET_RAW, "NET_RAW", true, true, false},
        {CAP_SYS_ADMIN, "SYS_ADMIN", true, false, false},
        {CAP_IPC_LOCK, "IPC_LOCK", true, false, false},
    };
    uint64_t have = capabilities();
    size_t at = 0;

    text[0] = 0;
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        bool need = driver == PORT_AF_XDP      ? needs[i].xdp
                    : driver == PORT_AF_PACKET ? needs[i].packet
                    : driver == PORT_TAP       ? needs[i].tap
                                               : false;
        if (need && !(have >> needs[i].bit & 1) && at < len)
            at += (size_t)snprintf(text + at, len - at, "%s%s", at ? ", " : "", needs[i].name);
    }
    return at == 0;
}

int probe_device(const char *driver, const char *args, uint16_t *id)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    struct quiet q;

    for (unsigned i = 0; i < RTE_MAX_ETHPORTS; i++) {
        snprintf(name, sizeof(name), "%s%u", driver, i);
        if (rte_eth_dev_get_port_by_name(name, id) == 0)
            continue; /* taken */
        port_said_clear();
        quiet_begin(&q);
        int r = rte_eal_hotplug_add("vdev", name, args);
        quiet_end(&q, r < 0);
        /* success with no port is a failure too: EAL says so */
        return r < 0 || rte_eth_dev_get_port_by_name(name, id) < 0 ? -1 : 0;
    }
    return -1;
}

int probe_devargs(const char *devargs, uint16_t *id)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    struct quiet q;

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(devargs, ","), devargs);
    port_said_clear();
    quiet_begin(&q);
    int r = rte_dev_probe(devargs);
    quiet_end(&q, r < 0);
    return r < 0 || rte_eth_dev_get_port_by_name(name, id) < 0 ? -1 : 0;
}

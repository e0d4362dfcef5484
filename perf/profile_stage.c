/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "perf/profile.h"

/* Longer ones before those that they begin with. */
static const struct {
    const char *part;
    enum profile_stage stage;
} files[] =
    {
        {"dataplane/port/", PROFILE_port},
        {"dataplane/worker/", PROFILE_worker},
        {"dataplane/net/", PROFILE_net},
        {"dataplane/tcp/", PROFILE_tcp},
        {"dataplane/http/", PROFILE_http},
        {"dataplane/proxy/", PROFILE_proxy},
        {"dataplane/rules/", PROFILE_proxy},
        {"cache/", PROFILE_cache},
        {"dns/", PROFILE_dns},
        {"dht/", PROFILE_dht},
        {"base/", PROFILE_base},
        {"rte_mbuf", PROFILE_port},
        {"rte_ring", PROFILE_port},
        {"rte_mempool", PROFILE_port},
        {"rte_ethdev", PROFILE_port},
        {"rte_rcu", PROFILE_cache},
        {"string/", PROFILE_bytes},
        {"memmove", PROFILE_bytes},
},
  prefixes[] =
      {
          {"rte_rcu", PROFILE_cache},
          {"rte_", PROFILE_port},
          {"eth_ring", PROFILE_port},
          {"port_", PROFILE_port},
          {"worker_", PROFILE_worker},
          {"emit_", PROFILE_worker},
          {"tx_", PROFILE_worker},
          {"rx_", PROFILE_worker},
          {"udp_", PROFILE_worker},
          {"net_", PROFILE_net},
          {"tcp_", PROFILE_tcp},
          {"http_", PROFILE_http},
          {"proxy_", PROFILE_proxy},
          {"rules_", PROFILE_proxy},
          {"cache_", PROFILE_cache},
          {"dns_", PROFILE_dns},
          {"dht_", PROFILE_dht},
          {"rng_", PROFILE_base},
          {"hash128", PROFILE_base},
          {"__memcpy", PROFILE_bytes},
          {"__memmove", PROFILE_bytes},
          {"__memset", PROFILE_bytes},
          {"__memcmp", PROFILE_bytes},
          {"__memchr", PROFILE_bytes},
          {"memcpy", PROFILE_bytes},
          {"memmem", PROFILE_bytes},
          {"__strncasecmp", PROFILE_bytes},
},
  objects[] = {
      {"libsodium", PROFILE_crypto},
      {"libIPSec", PROFILE_crypto},
      {"librte_", PROFILE_port},
      {"/libc.so", PROFILE_bytes},
};

enum profile_stage profile_stage_of(const char *file, const char *function, const char *object)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (strstr(file, files[i].part))
            return files[i].stage;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(function, prefixes[i].part, strlen(prefixes[i].part)) == 0)
            return prefixes[i].stage;
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        if (strstr(object, objects[i].part))
            return objects[i].stage;
    return PROFILE_other;
}

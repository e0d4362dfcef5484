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
        {"dataplane/worker/rx.c", PROFILE_rx},
        {"dataplane/worker/steer.c", PROFILE_rx},
        {"dataplane/worker/tx.c", PROFILE_tx},
        {"dataplane/worker/emit.c", PROFILE_tx},
        {"dataplane/worker/", PROFILE_worker},
        {"dataplane/tcp/timers.c", PROFILE_timers},
        {"dataplane/tcp/wheel.c", PROFILE_timers},
        {"dataplane/tcp/tlp.c", PROFILE_timers},
        {"dataplane/tcp/engine.c", PROFILE_tcp_out},
        {"dataplane/tcp/output.c", PROFILE_tcp_out},
        {"dataplane/tcp/queue.c", PROFILE_tcp_out},
        {"dataplane/tcp/pace", PROFILE_tcp_out},
        {"dataplane/tcp/path.c", PROFILE_tcp_out},
        {"dataplane/tcp/stream.c", PROFILE_tcp_out},
        {"dataplane/net/", PROFILE_net},
        {"dataplane/tcp/", PROFILE_tcp_in}, /* what arrives, and what follows of it */
        {"dataplane/http/", PROFILE_http},
        {"dataplane/proxy/", PROFILE_proxy},
        {"dataplane/rules/", PROFILE_proxy},
        {"cache/", PROFILE_cache},
        {"dns/", PROFILE_dns},
        {"dht/", PROFILE_dht},
        {"base/wheel", PROFILE_timers},
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
          {"rte_rcu", PROFILE_cache},    {"rte_", PROFILE_port},
          {"eth_ring_rx", PROFILE_rx},   {"eth_ring_tx", PROFILE_tx},
          {"eth_ring", PROFILE_port},    {"port_rx", PROFILE_rx},
          {"port_tx", PROFILE_tx},       {"port_", PROFILE_port},
          {"worker_", PROFILE_worker},   {"emit_", PROFILE_tx},
          {"tx_", PROFILE_tx},           {"rx_", PROFILE_rx},
          {"udp_", PROFILE_worker},      {"net_", PROFILE_net},
          {"tcp_timer", PROFILE_timers}, {"tcp_wheel", PROFILE_timers},
          {"tcp_tlp", PROFILE_timers},   {"wheel_", PROFILE_timers},
          {"tcp_poll", PROFILE_tcp_out}, {"tcp_conn_output", PROFILE_tcp_out},
          {"tcp_emit", PROFILE_tcp_out}, {"tcp_queue", PROFILE_tcp_out},
          {"tcp_pace", PROFILE_tcp_out}, {"tcp_path", PROFILE_tcp_out},
          {"tcp_tx", PROFILE_tcp_out},   {"tcp_", PROFILE_tcp_in},
          {"http_", PROFILE_http},       {"proxy_", PROFILE_proxy},
          {"rules_", PROFILE_proxy},     {"cache_", PROFILE_cache},
          {"dns_", PROFILE_dns},         {"dht_", PROFILE_dht},
          {"rng_", PROFILE_base},        {"hash128", PROFILE_base},
          {"__memcpy", PROFILE_bytes},   {"__memmove", PROFILE_bytes},
          {"__memset", PROFILE_bytes},   {"__memcmp", PROFILE_bytes},
          {"__memchr", PROFILE_bytes},   {"memcpy", PROFILE_bytes},
          {"memmem", PROFILE_bytes},     {"__strncasecmp", PROFILE_bytes},
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

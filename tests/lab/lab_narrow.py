# SPDX-License-Identifier: BSD-3-Clause
"""A client behind a link of MTU 1300: pages come whole and soon, over IPv4 and IPv6, when the router
says that packets are too big, and when its word is filtered."""
import time

from story import Lab, run, tell


def counter(s, name):
    """Of node 1, all workers together."""
    return int(s.lab.ctl(1, "stats", "--all", name)["counters"][name]["value"])


def fetch(s, path, want, seconds, what):
    for v6 in (False, True):
        family = "IPv6" if v6 else "IPv4"
        start = time.time()
        status, body, _ = s.curl("c2", 1, path, v6=v6)
        took = time.time() - start
        s.expect(status == 200 and body == want and took < seconds,
                 f"{what}, {family}: status {status}, {len(body)} bytes in {took:.2f} s")


def story(s):
    lab = s.lab
    files = {"/1m": s.rng.randbytes(1 << 20), "/100k": s.rng.randbytes(102400)}
    lab.router()
    lab.client(2, 2)
    lab.origin(files)
    lab.node(1, workers=2)
    lab.node_wait((1,))
    fetch(s, "/1m", files["/1m"], 5, "a wide path")
    s.expect(counter(s, "tcp_icmp_too_big_total") == 0, "nobody said that anything was too big")

    run("ip", "-n", lab.ns("router"), "link", "set", "br2", "mtu", "1300")
    fetch(s, "/1m", files["/1m"], 5, "a narrow path that says so")
    s.expect(counter(s, "tcp_icmp_too_big_total") >= 2, "the router's word was taken: "
             f"{counter(s, 'tcp_icmp_too_big_total')} times")
    holes = counter(s, "tcp_pmtu_black_hole_total")
    s.expect(holes == 0, f"and before any time-outs: {holes} black holes")

    for rule in ("add table inet lab", "add chain inet lab out { type filter hook output priority 0; }",
                 "add rule inet lab out icmp type destination-unreachable drop",
                 "add rule inet lab out icmpv6 type packet-too-big drop"):
        run(*lab.inside("router", "nft", rule))
    told = counter(s, "tcp_icmp_too_big_total")
    fetch(s, "/100k", files["/100k"], 4, "a narrow path that is silent")
    s.expect(counter(s, "tcp_icmp_too_big_total") == told, "no word came")
    holes = counter(s, "tcp_pmtu_black_hole_total")
    s.expect(holes == 2, f"each connection found the black hole: {holes}")
    run(*lab.inside("c2", "ping", "-c", "1", "-w", "2", Lab.node_v4(1)))


tell("narrow", story)

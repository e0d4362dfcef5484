# SPDX-License-Identifier: BSD-3-Clause
"""Two nodes with two routers between them: each sees both, and its neighbour first; a node that is
told not to look sends nothing.

    n1 10.1.0.11 --- .1 router .1 --- 10.2.0.254 edge 10.3.0.1 --- n2 10.3.0.12
"""
import time

from story import Lab, run, tell

SEEN = {1: {("10.1.0.1", 1), ("10.2.0.254", 2), ("fd00:1::1", 1), ("fd00:2::fe", 2)},
        2: {("10.3.0.1", 1), ("10.2.0.1", 2), ("fd00:3::1", 1), ("fd00:2::1", 2)}}


def edge(lab):
    """A second router, behind the first one's net 2, with net 3 behind it."""
    lab.host("edge")
    lab.link("edge", 2, ["10.2.0.254/24", "fd00:2::fe/64"])
    lab.host("n2")
    for which in ("default", "all"): # the interface is the node's alone
        lab.sysctl("n2", f"net.ipv6.conf.{which}.disable_ipv6", 1)
    run("ip", "-n", lab.ns("edge"), "link", "add", "n2", "type", "veth", "peer", "name", "eth0",
        "netns", lab.ns("n2"))
    for ns, device in (("edge", "n2"), ("n2", "eth0")):
        run(*lab.inside(ns, "ethtool", "-K", device, "tx", "off"))
        run("ip", "-n", lab.ns(ns), "link", "set", device, "up")
    for a in ("10.3.0.1/24", "fd00:3::1/64"):
        run("ip", "-n", lab.ns("edge"), "addr", "add", a, "dev", "n2", "nodad")
    lab.sysctl("edge", "net.ipv4.ip_forward", 1)
    lab.sysctl("edge", "net.ipv6.conf.all.forwarding", 1)
    for net, via in (("10.3.0.0/24", "10.2.0.254"), ("fd00:3::/64", "fd00:2::fe")):
        run("ip", "-n", lab.ns("router"), "route", "add", net, "via", via)


def configure(lab, i, cluster=""):
    path = lab.node_config(i)
    with open(path) as f:
        text = f.read().replace("cluster: {", "cluster: {" + cluster)
    if i == 2:
        for old, new in ((Lab.node_v4(2), "10.3.0.12"), (Lab.node_v6(2), "fd00:3::12"),
                         ("gateway: [10.2.0.1, \"fd00:2::1\"]", "gateway: [10.3.0.1, \"fd00:3::1\"]")):
            text = text.replace(old, new)
    with open(path, "w") as f:
        f.write(text + "log: {level: debug}\n")


def seen(lab, i):
    return {(r["router"], r["hop"]) for r in lab.ctl(i, "status")["surroundings"]}


def counter(lab, i, name):
    return int(lab.ctl(i, "stats", "--all", name)["counters"][name]["value"])


def story(s):
    lab = s.lab
    lab.router(nets=(1, 2))
    lab.node(1)
    edge(lab)
    configure(lab, 2)
    lab.node_start(2)
    lab.node_wait((1, 2), members=1)
    deadline = time.time() + 90 # n1 may have looked before it knew n2: it looks again in a minute
    while time.time() < deadline and any(not SEEN[i] <= seen(lab, i) for i in SEEN):
        time.sleep(0.5)
    for i in SEEN:
        s.expect(seen(lab, i) == SEEN[i], f"n{i} sees both routers, over both families: "
                 f"{sorted(seen(lab, i))}")
        n = counter(lab, i, "worker_probes_total")
        s.expect(0 < n < 60, f"n{i} sent {n} probes")
    s.expect("surroundings traced" in open(lab.logs["n2"]).read(), "its log tells of it")

    lab.node_kill(2)
    configure(lab, 2, "hints: false, ")
    lab.node_start(2)
    lab.node_wait((2,), members=1)
    time.sleep(7)
    s.expect(counter(lab, 2, "worker_probes_total") == 0 and seen(lab, 2) == set(),
             "turned off it sends no probe")


tell("hints", story)

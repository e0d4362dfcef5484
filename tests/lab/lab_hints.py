# SPDX-License-Identifier: BSD-3-Clause
"""Two nodes with two routers between them: each sees both, and its neighbour first; a node that is
told not to look sends nothing. Under what it saw a node is found in the index by the other, and by
an address that nobody has measured (coralctl near).

    n1 10.1.0.11 --- .1 router .1 --- 10.2.0.254 edge 10.3.0.1 --- n2 10.3.0.12
"""
import hashlib
import ipaddress
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
    # a prefix at the edge in which no node has an address
    run("ip", "-n", lab.ns("edge"), "addr", "add", "10.4.0.1/24", "dev", "lo")
    run("ip", "-n", lab.ns("router"), "route", "add", "10.4.0.0/24", "via", "10.2.0.254")


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


def hinted(lab, asker, word, address, length=16):
    """Who is found in the index under a router or, with 15 bytes of an IPv4 address, its prefix."""
    mapped = ipaddress.ip_address("::ffff:" + address).packed[:length]
    key = hashlib.blake2b(f"hint {word} ".encode() + mapped).hexdigest()[:40]
    return [v["address"] for v in lab.ctl(asker, "lookup", key)["values"]]


def near(lab, asker, address):
    """What the answer rests on, and whom it names."""
    a = lab.ctl(asker, "near", address)
    rests = [f"{k} {a[k]}" for k in ("prefix", "router", "level") if k in a]
    return rests, {n["address"] for n in a["nodes"]}


def tell_near(s, n1, n2):
    lab = s.lab
    for asker, address, rests, named in (
            (1, "10.3.0.77", "prefix 10.3.0.0/24", {n2}),    # nobody has it: the trace ends in silence
            (2, "10.1.0.1", "prefix 10.1.0.0/24", {n1}),
            (1, "10.2.0.254", "prefix 10.2.0.0/24", {n1, n2}), # both have a router there
            (1, "10.4.0.1", "router 10.1.0.1", {n1}),          # before it is our own router
            (1, "fd00:3::77", "prefix fd00:3::/48", {n2})):
        got = near(lab, asker, address)
        s.expect(got == ([rests], named), f"n{asker} near {address}: {got}")
    rests, named = near(lab, 2, "10.4.0.1")
    s.expect(rests[0].startswith("level") and named == {n1},
             f"nobody is under what n2 sees there: its cluster, {rests} {named}")
    before = counter(lab, 1, "worker_probes_total")
    began = time.time()
    s.expect(near(lab, 1, "10.3.0.78") == (["prefix 10.3.0.0/24"], {n2}) and time.time() - began < 1 and
             counter(lab, 1, "worker_probes_total") == before, "asked again it needs no probe")


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
    deadline = time.time() + 20 # what is new is put within 10 s
    n1, n2 = f"{Lab.node_v4(1)}:80", "10.3.0.12:80"
    for asker, node, where in ((2, n1, ("router", "10.1.0.1")), (2, n1, ("prefix", "10.1.0.1", 15)),
                               (2, n1, ("router", "10.2.0.254")), (1, n2, ("router", "10.3.0.1")),
                               (1, n2, ("prefix", "10.3.0.1", 15))):
        while node not in (found := hinted(lab, asker, *where)) and time.time() < deadline:
            time.sleep(0.5)
        s.expect(node in found, f"n{asker} finds the other under {where[0]} {where[1]}: {found}")
    tell_near(s, n1, n2)
    s.expect("surroundings traced" in open(lab.logs["n2"]).read(), "its log tells of it")

    lab.node_kill(2)
    configure(lab, 2, "hints: false, ")
    lab.node_start(2)
    lab.node_wait((2,), members=1)
    time.sleep(7)
    s.expect(counter(lab, 2, "worker_probes_total") == 0 and seen(lab, 2) == set(),
             "turned off it sends no probe")
    rests, named = near(lab, 2, "10.1.0.1")
    s.expect(rests[0].startswith("level") and named == {n1}, f"and knows its cluster only: {rests} {named}")


tell("hints", story)

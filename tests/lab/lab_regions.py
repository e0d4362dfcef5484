# SPDX-License-Identifier: BSD-3-Clause
"""Three regions of three nodes, with the distances of a planet between them (coral-hop on each
region's uplink): the clusters that form, who is asked first, a node killed and started again, and a
region cut off for half a minute.

    A: n1 n4 n7, client c1 --- 10 ms ---+
                                        +--- router --- origin        A to B  40 ms there and back
    B: n2 n5 n8 -------------- 10 ms ---+                             A to C 120 ms
                                        |                             B to C 120 ms
    C: n3 n6 n9, client c3 --- 50 ms ---+

A and B are one continent (level 1, below 60 ms), each is a region of its own (level 2, below 20 ms),
C is a continent for itself.
"""
import json
import os
import statistics
import time

from story import HOST, Lab, run, tell

NODES = range(1, 10)
REGION = {"A": (1, 4, 7), "B": (2, 5, 8), "C": (3, 6, 9)}
FAR = {"A": "10ms", "B": "10ms", "C": "50ms"} # from the router, one way
NET = {"A": 1, "B": 2, "C": 3}
Lab.nets = {i: NET[r] for r, members in REGION.items() for i in members}
ORIGIN = '{origin: ["10.9.0.2:80"], allow: [10.9.0.0/24]}'
CUT_S = 30


def clusters(lab, i):
    """{level: cluster ID}, and {level: the node's whole answer}."""
    told = {c["level"]: c for c in lab.ctl(i, "clusters")["clusters"]}
    return {level: c["cluster"] for level, c in told.items()}, told


def all_clusters(lab):
    return {i: clusters(lab, i)[0] for i in NODES}


def near(level):
    """The groups of nodes that are to be one cluster of this level."""
    a, b, c = REGION.values()
    return {2: (a, b, c), 1: (a + b, c), 0: (a + b + c,)}[level]


def as_the_planet(of):
    """Each group has one cluster, and no two groups have the same."""
    for level in (2, 1, 0):
        ids = [{of[i][level] for i in group} for group in near(level)]
        if any(len(x) != 1 for x in ids) or len(set.union(*ids)) != len(ids):
            return False
    return True


def known(lab, i, level):
    """How many of its level's cluster a node has in its table, alive."""
    return sum(level in p["levels"] and p["alive"] for p in lab.ctl(i, "peers")["peers"])


def whole(lab):
    """All are in each other's tables, level by level."""
    return all(known(lab, i, level) == len(group) - 1
               for level in (2, 1, 0) for group in near(level) for i in group)


def across(lab, i):
    """How many beyond region C's uplink a node has in its table."""
    c = i in REGION["C"]
    return sum(p["alive"] and p["address"].startswith("10.3.") != c
               for p in lab.ctl(i, "peers")["peers"])


def show(of):
    return "; ".join(f"level {level}: " + ", ".join(
        f"{' '.join(f'n{i}' for i in group)} in {of[group[0]][level][:8]}" for group in near(level))
        for level in (2, 1))


def asked(lab, path):
    return len([x for x in lab.origin_log() if x["path"] == path])


def distances(s):
    """What nodes measure is what the hops were told."""
    lab = s.lab
    rtt = {}
    for i in NODES:
        for p in lab.ctl(i, "peers")["peers"]:
            net = int(p["address"].split(".")[1])
            rtt.setdefault(tuple(sorted((Lab.node_net(i), net))), []).append(p["rtt_us"] / 1000)
    for (x, y), (low, high) in {(1, 1): (0, 10), (2, 2): (0, 10), (3, 3): (0, 10), (1, 2): (40, 60),
                                (1, 3): (120, 160), (2, 3): (120, 160)}.items():
        middle = statistics.median(rtt[x, y])
        s.expect(low <= middle < high, f"round trips {'ABC'[x - 1]} to {'ABC'[y - 1]}, "
                 f"as the nodes measure them: {middle:.1f} ms")


def form(s, began):
    lab = s.lab
    lab.wait(lambda: as_the_planet(all_clusters(lab)), 60,
             f"the clusters are not those of the regions: {show(all_clusters(lab))}")
    formed = time.time() - began
    lab.wait(lambda: whole(lab), 30, "not all are in each other's tables")
    of = all_clusters(lab)
    s.expect(as_the_planet(of), f"clusters {formed:.1f} s after the start, whole tables after "
             f"{time.time() - began:.1f} s: {show(of)}")
    for i in (1, 3):
        told = clusters(lab, i)[1]
        s.expect([told[level]["size"] for level in (2, 1, 0)] == ([3, 6, 9] if i == 1 else [3, 3, 9]),
                 f"n{i} counts {[told[level]['size'] for level in (2, 1, 0)]} at levels 2, 1, 0")
    return of


def pages(s, files):
    """A page of region A is found in A, and the origin hears of it once."""
    lab = s.lab
    status, body, _ = s.curl("c1", 1, "/page")
    s.expect(status == 200 and body == files["/page"], f"n1 fetches a page: {status}")
    url = f"http://{HOST}/page"
    for i in (4, 2, 3): # of the same region, of the same continent, of neither
        found = lab.ctl(i, "lookup", url)
        levels = [h["level"] for h in found["path"]]
        where = {1: 2, 2: 1, 3: 0}[Lab.node_net(i)]
        s.expect(found["end"] == "found" and found["level"] == where and
                 found["values"][0]["address"] == f"{Lab.node_v4(1)}:80" and
                 levels == sorted(levels, reverse=True) and levels[0] == 2,
                 f"n{i} finds it at level {found.get('level')}, by way of "
                 f"{[(h['level'], h['address'].split(':')[0], round(h['rtt_us'] / 1000), h['said']) for h in found['path']]}")
    before = lab.ctl(4, "status")["http"]["peer"]
    start = time.time()
    status, body, _ = s.curl("c1", 4, "/page")
    took = (time.time() - start) * 1000
    peer = lab.ctl(4, "status")["http"]["peer"] - before
    s.expect(status == 200 and body == files["/page"] and peer == 1 and asked(lab, "/page") == 1,
             f"n4 has it from n1, in {took:.0f} ms; origin requests: {asked(lab, '/page')}")
    status, body, _ = s.curl("c3", 3, "/page")
    s.expect(status == 200 and body == files["/page"] and asked(lab, "/page") == 1,
             f"and n3, far away, from one of them; origin requests: {asked(lab, '/page')}")


def cut(s, of, files):
    """Region C alone for a while: it goes on, and comes back by itself."""
    lab = s.lab
    lab.hop("region3", "--loss", "100%")
    began = time.time()
    others = near(1)[0]
    lab.wait(lambda: all(known(lab, i, 0) == 2 for i in REGION["C"]) and
             all(known(lab, i, 0) == 5 for i in others), CUT_S,
             "a region is cut off and nobody noticed")
    noticed = time.time() - began
    status, body, _ = s.curl("c3", 6, "/page")
    s.expect(status == 200 and body == files["/page"],
             f"cut off, which all knew after {noticed:.1f} s, C serves what it has: {status}")
    time.sleep(max(0, began + CUT_S - time.time()))
    s.expect(all_clusters(lab) == of, f"after {time.time() - began:.0f} s all are in their clusters")
    lab.hop("region3", "--delay", FAR["C"])
    began = time.time()
    lab.wait(lambda: all(across(lab, i) for i in NODES), 60, "healed, but some know nobody beyond the cut")
    s.expect(all_clusters(lab) == of, f"healed: {time.time() - began:.1f} s later all know somebody beyond "
             f"the cut ({min(across(lab, i) for i in NODES)} at least), in the clusters of before")
    status, body, _ = s.curl("c3", 9, "/late")
    s.expect(status == 200 and body == files["/late"], f"and C reaches the origin: {status}")


def kill(s, of):
    """Out of the answers of its region in seconds; back in its clusters when it starts."""
    lab = s.lab
    alive = [i for i in REGION["A"] if i != 4]
    named = lambda: all(Lab.node_v4(4) in run(*lab.inside(
        "c1", "dig", "+short", "+time=1", "+tries=1", f"@{Lab.node_v4(i)}", HOST), check=False).stdout
        for i in alive)
    lab.wait(named, 10, "n4 is not in the answers of its region")
    began = time.time()
    lab.node_kill(4)
    p = run(*lab.inside("c1", "/usr/bin/python3",
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), "dns_watch.py"),
                        repr(began), "5", HOST, ",".join(Lab.node_v4(i) for i in alive),
                        Lab.node_v4(4)))
    gone = json.loads(p.stdout)
    s.expect(len(gone) == len(alive) and max(gone.values()) <= 4,
             f"n4 killed: out of DNS after {', '.join(f'{x:.1f}' for x in gone.values())} s at "
             f"{' '.join(f'n{i}' for i in alive)}")
    began = time.time()
    lab.node_start(4)
    lab.node_wait((4,))
    lab.wait(lambda: clusters(lab, 4)[0] == of[4], 20, f"n4 is not back: {clusters(lab, 4)[0]}")
    back = time.time() - began
    lab.wait(lambda: known(lab, 4, 2) == 2 and known(lab, 4, 0) == 8, 20, "n4 does not know the others")
    s.expect(all_clusters(lab) == of, f"started again it is in its clusters after {back:.1f} s and knows "
             f"all the others after {time.time() - began:.1f} s")
    lab.wait(named, 15, "n4 does not come back into the answers of its region")
    s.expect(True, f"and in DNS {time.time() - began:.1f} s after its start")


def story(s):
    lab = s.lab
    files = {f"/{name}": s.rng.randbytes(30000) for name in ("page", "late")}
    lab.router(nets=(9,))
    for region, net in NET.items():
        lab.region(net, "--delay", FAR[region])
    lab.origin(files)
    lab.client(1, 1)
    lab.client(3, 3)
    began = time.time()
    for i in NODES:
        lab.node(i, cache="32MiB", sites=ORIGIN, cluster="reconsider: 10s, ")
    lab.node_wait(NODES, members=8)
    of = form(s, began)
    distances(s)
    pages(s, files)
    cut(s, of, files)
    kill(s, of)
    s.expect(True, f"all of it took {time.time() - began:.0f} s")


tell("regions", story)

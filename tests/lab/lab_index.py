# SPDX-License-Identifier: BSD-3-Clause
"""The index's levels between four nodes: pages come before there are clusters; all become one at each
level; a lookup shows its path; a node that restarts is back in its clusters at once, from a state that
it kept, and one without a good state makes its own way; who is killed is reported and not named any more; who drains says so."""
import json
import os
import signal
import time

from story import HOST, Lab, tell

NODES = (1, 2, 3, 4)


def cids(lab, i):
    return {c["level"]: c["cluster"] for c in lab.ctl(i, "clusters")["clusters"]}


def one_cluster(lab, numbers=NODES):
    return all(len({cids(lab, i)[level] for i in numbers}) == 1 for level in (1, 2))


def levels_known(lab, i, level):
    return sum(level in p["levels"] for p in lab.ctl(i, "peers")["peers"])


def state_path(lab, i):
    return os.path.join("/run/coral", lab.node_name(i), "state.json")


def stop(lab, i):
    """Ends a node in peace; returns the state that it left."""
    lab.nodes[i].send_signal(signal.SIGTERM)
    lab.nodes[i].wait(15)
    with open(state_path(lab, i)) as f:
        return json.load(f)


def start(lab, i):
    began = time.time()
    lab.node_start(i)
    lab.node_wait((i,), members=3)
    return time.time() - began


def holders(lab, path):
    """Whom the index names to n1."""
    return {v["address"] for v in lab.ctl(1, "lookup", f"http://{HOST}{path}")["values"]}


def tell_death(s):
    """n4 dies; n2 is sent to it, says so, and nobody is any more."""
    lab = s.lab
    n2, n3, n4 = (f"{Lab.node_v4(i)}:80" for i in (2, 3, 4))
    lab.node_wait(NODES, members=3)
    s.curl("c1", 4, "/gone")
    lab.wait(lambda: holders(lab, "/late") == {n3, n4} and holders(lab, "/gone") == {n4}, 10,
             "n4 is not named for what it has")
    lab.node_kill(4)
    began = time.time()
    status, _, _ = s.curl("c1", 2, "/gone")
    reports = sum(int(lab.ctl(i, "stats", "--all", "dht_reports")["counters"]["dht_reports_total"]["value"])
                  for i in (1, 2, 3))
    s.expect(status == 200 and reports > 0, f"n2 found it dead, and served: {status}, {reports} reports")
    lab.wait(lambda: holders(lab, "/late") == {n3} and holders(lab, "/gone") == {n2}, 40,
             "who was killed is still named")
    s.expect(True, f"its references of an hour are gone {time.time() - began:.1f} s after it was killed")


def story(s):
    lab = s.lab
    files = {f"/{name}": s.rng.randbytes(3000) for name in ("early", "late", "gone")}
    lab.router()
    lab.origin(files)
    lab.client(1, 1)
    for i in NODES:
        lab.node(i)
    lab.node_wait(NODES, members=3)

    status, body, _ = s.curl("c1", 1, "/early")
    s.expect(status == 200 and body == files["/early"], f"a page as soon as they know each other: {status}")
    status, body, _ = s.curl("c1", 2, "/early")
    asked = len([x for x in lab.origin_log() if x["path"] == "/early"])
    s.expect(status == 200 and body == files["/early"] and asked == 1,
             f"the next node has it from the first: {status}, {asked} origin requests")

    began = time.time()
    lab.wait(lambda: one_cluster(lab), 90, "they did not become one cluster at each level")
    s.expect(True, f"one cluster at levels 1 and 2, {time.time() - began:.0f} s later: {cids(lab, 1)}")
    lab.wait(lambda: all(levels_known(lab, i, 2) == 3 for i in NODES), 30,
             "they are not in each other's tables at level 2")
    log = "".join(open(lab.logs[f"n{i}"]).read() for i in NODES)
    s.expect("cluster changed level=2" in log and "reason=" in log, "the logs say why")

    s.curl("c1", 3, "/late")
    url = f"http://{HOST}/late"
    found = lab.ctl(1, "lookup", url)
    s.expect(found["end"] == "found" and found["level"] == 2 and found["path"] and
             found["values"][0]["address"] == f"{Lab.node_v4(3)}:80",
             f"a lookup of what n3 has, near: level {found.get('level')}, "
             f"{[(h['level'], h['said']) for h in found['path']]}")
    nothing = lab.ctl(1, "lookup", "00" * 20)
    s.expect(nothing["end"] == "not found" and not nothing["values"], f"of nothing: {nothing['end']}")
    wrong = lab.ctl(1, "lookup", "no url")
    s.expect(wrong["ok"] is False and wrong["status"] == 2, f"of no URL: {wrong['error']}")

    before = cids(lab, 4)
    first = stop(lab, 4)
    seconds = start(lab, 4)
    s.expect(before == cids(lab, 4), f"n4 is back in its clusters after {seconds:.1f} s")
    lab.wait(lambda: levels_known(lab, 4, 2) == 3, 10, "n4 does not find the members of its clusters")
    state = stop(lab, 4)
    s.expect(state["incarnation"] > first["incarnation"] and len(state["contacts"]) == 3,
             f"incarnation {first['incarnation']}, then {state['incarnation']}; {state['contacts']}")
    with open(state_path(lab, 4), "w") as f:
        f.write(json.dumps(state)[:100])
    start(lab, 4)
    s.expect("state of an earlier run ignored" in open(lab.logs["n4"]).read(), "a broken state is said and ignored")
    status, _, _ = s.curl("c1", 4, "/late")
    s.expect(status == 200, f"and the node serves: {status}")

    tell_death(s)
    lab.ctl(3, "drain", "--no-wait")
    lab.wait(lambda: all(f"{Lab.node_v4(3)}:8053" not in
                         [p["address"] for p in lab.ctl(i, "peers")["peers"] if p["live"]]
                         for i in (1, 2)), 15, "who drains is still fit for DNS")
    s.expect(True, "who drains is soon out of the others' answers")


tell("index", story)

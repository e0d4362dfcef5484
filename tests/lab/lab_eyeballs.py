# SPDX-License-Identifier: BSD-3-Clause
"""An origin with an IPv6 address that swallows everything: a page still comes in under a second,
and the next one at once; the pooled connections keep to their bounds."""
import time

from story import Lab, run, tell


def story(s):
    lab = s.lab
    files = {f"/{i}": s.rng.randbytes(2000) for i in range(12)}
    lab.router()
    lab.origin(files)
    lab.client(1, 1)
    lab.node(1)
    lab.node_wait([1])
    # IPv6 of a bridge that has just come up answers a second later; the story is not of that
    for address in ("fd00:9::2", Lab.node_v6(1)):
        lab.wait(lambda: run(*lab.inside("c1", "ping", "-n", "-c", "1", "-W", "1", address),
                             check=False).returncode == 0, 10, f"no ping from {address}")
    s.curl("c1", 1, "/11", v6=True)
    time.sleep(1.2)
    v6 = ("-d", "fd00:9::2", "-p", "tcp", "--dport", "80", "-j", "DROP")
    run(*lab.inside("router", "ip6tables", "-A", "FORWARD", *v6))
    lab.nodes[1].terminate() # what it pooled by IPv6 goes
    lab.nodes[1].wait(10)
    lab.node_start(1)
    lab.node_wait([1])

    def get(path):
        start = time.time()
        status, body, _ = s.curl("c1", 1, path)
        return status == 200 and body == files[path], time.time() - start

    def count(name):
        return lab.ctl(1, "stats")["counters"][name]["value"]

    good, seconds = get("/0")
    s.expect(good and seconds < 1, f"IPv6 is a black hole: the first page after {seconds:.3f} s")
    s.expect(count("http_client_fallbacks_total") == 1, "IPv4 won the race")
    good, seconds = get("/1")
    s.expect(good and seconds < 0.2, f"the second one after {seconds:.3f} s")
    # a node that knows nothing of it yet would race again; this one remembers for ten minutes
    before = count("http_client_raced_total")
    many = [get(f"/{i}") for i in range(2, 10)]
    s.expect(all(g for g, _ in many) and max(t for _, t in many) < 0.2,
             f"eight more, the slowest after {max(t for _, t in many):.3f} s")
    s.expect(count("http_client_raced_total") == before, "without another race")
    run(*lab.inside("router", "ip6tables", "-D", "FORWARD", *v6))
    run(*lab.inside("router", "iptables", "-A", "FORWARD", "-d", "10.9.0.2", "-p", "tcp",
                    "-j", "REJECT", "--reject-with", "tcp-reset"))
    # pooled connections die with the first packet; then IPv4 refuses, and IPv6 is there
    good, seconds = get("/10")
    s.expect(good and seconds < 1, f"IPv4 refuses now: a page after {seconds:.3f} s")
    served = {x["from"].startswith("fd00") for x in lab.origin_log() if x["path"] == "/10"}
    s.expect(served == {True}, "by IPv6")


tell("eyeballs", story)

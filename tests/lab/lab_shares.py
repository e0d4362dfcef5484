# SPDX-License-Identifier: BSD-3-Clause
"""A site's share of a network of three nodes: they count what they are asked for, tell one another,
and together serve the share; the other clients are sent home, and nobody else feels it."""
import subprocess
import time

from story import HOST, Lab, SITE, run, tell

SHARE = 20
CLIENTS = 48

# Each address asks once a turn, from its own connection: ADDRESS FIRST COUNT RATE SECONDS
LOAD = """
import http.client, sys, time
host, node, net, first, count, rate, seconds = sys.argv[1:4] + [int(x) for x in sys.argv[4:]]
began, done, at = time.time(), [], 0
conns = [http.client.HTTPConnection(node, 80, 5, (f"10.{net}.0.{first + i}", 0)) for i in range(count)]
while time.time() < began + seconds:
    c = conns[at % count]
    c.request("GET", "/1k", headers={"Host": host})
    r = c.getresponse()
    r.read()
    done.append((time.time() - began, r.status))
    at += 1
    time.sleep(max(0, began + at / rate - time.time()))
late = [s for t, s in done if t > seconds - 10]
print(len(late), late.count(200), late.count(302), len(done))
"""


def story(s):
    lab = s.lab
    page = s.rng.randbytes(1024)
    lab.router()
    lab.origin({"/1k": page})
    sites = ('{origin: ["origin.site.test:80"], allow: [10.9.0.0/24], '
             f'share: {{requests: {SHARE}, home: "10.9.0.2"}}}}\n'
             '  other.test: {origin: ["origin.site.test:80"], allow: [10.9.0.0/24], share: {requests: 1000}}')
    for i in (1, 2):
        lab.client(i, i)
        for k in range(CLIENTS):
            run("ip", "-n", lab.ns(f"c{i}"), "addr", "add", f"10.{i}.0.{150 + k}/24", "dev", "eth0")
    for i in (1, 2, 3):
        lab.node(i, sites=sites)
    lab.node_wait([1, 2, 3], members=2)

    # 30 requests a second at node 1, 10 at node 2, none at node 3; another site beside them
    loads = [subprocess.Popen(lab.inside(f"c{i}", "/usr/bin/python3", "-c", LOAD, host, Lab.node_v4(i),
                                         str(i), str(first), str(CLIENTS // 2), str(rate), "42"),
                              stdout=subprocess.PIPE, text=True)
             for i, first, rate, host in ((1, 150, 30, HOST), (2, 150, 10, HOST), (1, 174, 20, "other.test"))]
    sums = [[int(x) for x in p.communicate(timeout=80)[0].split()] for p in loads]
    asked, served, home = (sums[0][k] + sums[1][k] for k in range(3))
    s.expect(0.5 * SHARE * 10 < served < 1.6 * SHARE * 10 and served + home == asked,
             f"in the last 10 s {asked} requests, {served} served, {home} sent home: {sums}")
    s.expect(sums[2][1] == sums[2][0] > 150, f"of the other site all: {sums[2]}")
    shares = {i: lab.ctl(i, "shares") for i in (1, 2, 3)}
    for i in (1, 2):
        one = [x for x in shares[i]["sites"] if x["site"] == SITE]
        s.expect(one and shares[i]["heard"] == 2 and 30 < one[0]["network_requests_s"] < 50 and
                 0.35 < one[0]["served"] < 0.75, f"node {i} knows of all: {one}")
    s.expect("is over its share" in lab.log_tail("n1", 20), "the log says so")
    for k in range(CLIENTS):
        status, _, _ = s.curl("c1", 1, "/1k", "--interface", f"10.1.0.{150 + k}")
        if status == 302:
            break
    status, body, _ = s.curl("c1", 1, "/1k", "-L", "--interface", f"10.1.0.{150 + k}")
    s.expect(status == 200 and body == page, f"who is sent home finds the page there: {status}")
    s.expect("/1k?coral-no-serve" in "".join(map(str, lab.origin_log())), "marked, so that it is not sent back")
    stats = subprocess.run([f"{lab.build}/tools/coralctl", "-n", lab.node_name(1), "shares"],
                           stdout=subprocess.PIPE, text=True, timeout=10)
    print(stats.stdout)
    s.expect(stats.returncode == 0 and SITE in stats.stdout, "coralctl shares")


tell("shares", story)

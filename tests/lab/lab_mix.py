# SPDX-License-Identifier: BSD-3-Clause
"""Mixed requests (whole, by ranges, for heads, conditional, gzip, broken off, with bodies) for things
of 0 to 100 MiB whose origin changes, fails and breaks off, through three nodes; every byte and the
fields that have rules are compared with a model.

usage: lab_mix.py [--long]      a short run; --long: 200,000 requests, 20 GB, up to 100 MiB"""
import collections
import json
import os
import subprocess
import sys

from story import HOST, SITE, Lab, tell

HERE = os.path.dirname(os.path.abspath(__file__))
LONG = sys.argv[1:] == ["--long"]
if sys.argv[1:] and not LONG:
    sys.exit(__doc__)
REQUESTS, BYTES, CLIENTS = (200_000, 20_000_000_000, 8) if LONG else (2_000, 60_000_000, 4)
THINGS, LARGEST = (8_000, 100 << 20) if LONG else (800, 16 << 20)


def clients(s):
    """Their results, in sum."""
    each = REQUESTS // CLIENTS
    running = [subprocess.Popen(s.lab.inside(
        f"c{1 + i % 2}", "/usr/bin/python3", os.path.join(HERE, "mix_client.py"), str(i), str(each),
        str(BYTES // CLIENTS), str(THINGS), str(LARGEST), HOST,
        *(Lab.node_v4(n) for n in (1, 2, 3))), stdout=subprocess.PIPE, text=True)
        for i in range(CLIENTS)]
    count, size, wrong, unpacked = collections.Counter(), 0, [], 0
    for p in running:
        out, _ = p.communicate(timeout=3000)
        if not s.expect(p.returncode == 0, f"a client ended with {p.returncode}"):
            continue
        r = json.loads(out)
        count.update(r["count"])
        size += r["bytes"]
        wrong += r["wrong"]
        unpacked += r["unpacked"]
    s.expect(unpacked > 0, f"{unpacked} were unpacked for who takes no gzip")
    return count, size, wrong


def story(s):
    lab = s.lab
    lab.router()
    lab.origin({"/index.html": b"x"})
    lab.spawn("origin", "mix_origin", "/usr/bin/python3", os.path.join(HERE, "mix_origin.py"), "8080",
              str(LARGEST))
    lab.client(1, 1)
    lab.client(2, 2)
    for i in (1, 2, 3):
        lab.node(i, workers=2 if i == 1 else 1, cache="256MiB", sites=
                 '{origin: ["10.9.0.2:8080"], compress: text/*}')
    lab.node_wait([1, 2, 3], members=2)
    count, size, wrong = clients(s)
    for line in wrong:
        print(f"        {line}")
    if wrong:
        for i in (1, 2, 3):
            print(f"        n{i}:", {k: v["value"] for k, v in lab.ctl(i, "stats")["counters"].items()
                                    if v["value"] and k.startswith(("proxy_", "cache_"))})
    told = ", ".join(f"{n} {how}" for how, n in count.most_common())
    s.expect(sum(count.values()) == REQUESTS and not count["wrong"], f"{size / 1e6:.0f} MB: {told}")
    for kind in ("200", "206", "304", "416", "gzip", "HEAD", "POST", "5xx", "aborted"):
        s.expect(count[kind] > 0, f"{kind}: {count[kind]}")
    s.expect(count["cut"] + count["closed before"] < REQUESTS / 50, f"cut: {count['cut']}")
    for i in (1, 2, 3):
        s.expect(lab.nodes[i].poll() is None, f"n{i} serves on")


tell("mix", story)

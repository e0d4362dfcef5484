# SPDX-License-Identifier: BSD-3-Clause
"""coral-perf profile: stages of a callgrind file that is made here, and of a short run if there is
valgrind. usage: perf_profile_test.py CORAL-PERF [run]"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.dom.minidom

import checks
from checks import expect

PERF, ROW = sys.argv[1], 17 # pixels of a frame's height, as perf/flame.c has it
# names by number, code of another file within a function, relative lines, calls whose costs are
# another function's
FILE = """# callgrind format
events: Ir
positions: line

ob=(1) /usr/bin/coral-perf
fl=(1) ../dataplane/tcp/input.c
fn=(1) act
10 100
+2 20
fi=(2) ../base/hash.c
* 7
fe=(1)
12 3
cob=(2) /usr/lib/libsodium.so.23
cfi=(3) ???
cfn=(2) crypto
calls=1 5
-1 5000

ob=(2)
fl=(3)
fn=(2)
0 11
cfn=(1)
calls=2 0
0 9999
fn=(3) dns_answer
0 13

ob=(1)
fl=(3)
fn=(4) touch
0 17

fn=(6) http_respond
0 23
cfn=(5) helper
calls=1 0
0 19

fn=(5)
0 19
cfn=(7) deeper
calls=1 0
0 5

fn=(7)
0 5

fn=(8) alone
0 2
totals: 220
"""
# helper and deeper are their caller's; nobody calls touch and alone
WANTED = {"tcp_in": 123, "base": 7, "crypto": 11, "dns": 13, "http": 23 + 19 + 5, "other": 17 + 2}


def profile(*args, timeout=30):
    return subprocess.run((PERF, "profile") + args, capture_output=True, text=True, timeout=timeout)


def refused(status, message, *args):
    p = profile(*args)
    expect(args, p.returncode == status and message in p.stderr and not p.stdout, p.stderr)


def flames():
    """Samples by stage, and a picture of them in which every frame stands on its caller."""
    with tempfile.TemporaryDirectory() as where:
        svg = os.path.join(where, "out.svg")
        p = profile("dns", "--seconds", "0.5", "--json", "--flame", svg, timeout=100)
        expect("samples", p.returncode == 0, p.stderr)
        r = json.loads(p.stdout)["results"][0]
        expect("their stages", r["samples"] > 50 and {"dns", "net"} <= {x["stage"] for x in r["stages"]}, r)
        tree = xml.dom.minidom.parse(svg)
        frames = tree.getElementsByTagName("g")
        names = [g.getElementsByTagName("title")[0].firstChild.data for g in frames]
        expect("frames", names[0] == "worker_poll 100.00 %" and len(names) > 5, names)
        rects = [tuple(float(g.getElementsByTagName("rect")[0].getAttribute(a)) for a in ("x", "y", "width"))
                 for g in frames]
        for x, y, w in rects:
            expect("within the picture", x >= 0 and y > 0 and x + w <= 1201, (x, y, w))
            expect("on its caller", y == rects[0][1] or any(
                b == y + ROW and a <= x + 0.2 and x + w <= a + c + 0.2 for a, b, c in rects), (x, y, w))


def main():
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "out")
        with open(path, "w") as f:
            f.write(FILE)
        p = profile("--file", path, "--json")
        expect("a file", p.returncode == 0, p.stderr)
        d = json.loads(p.stdout)
        expect("all of it", d["instructions"] == 220, d)
        stages = {x["stage"]: round(220 * x["share"]) for x in d["stages"]}
        expect("stages", stages == WANTED, stages)
        p = profile("--file", path)
        expect("a table", p.returncode == 0 and "tcp_in      55.9%" in p.stdout, p.stdout)
        with open(path, "w") as f:
            f.write("events: Ir\nfn=nothing\n")
        refused(1, "out:2: this is no file of callgrind", "--file", path)
        with open(path, "w") as f:
            f.write(FILE.replace("positions: line", "positions: instr line"))
        refused(1, "out:3: this is no file of callgrind", "--file", path)
        with open(path, "w") as f:
            f.write("")
        refused(1, "out:0: this is no file of callgrind", "--file", path)
    refused(1, "/nowhere/x: No such file", "--file", "/nowhere/x")
    refused(2, "it takes http or dns")
    refused(2, '"mac" has no worker', "mac")
    refused(2, "is not one file", "--file")
    refused(2, "needs a file: --flame FILE.svg", "dns", "--flame")
    refused(1, "/nowhere/x: No such file", "dns", "--flame", "/nowhere/x")
    p = subprocess.run((PERF, "profile", "dns", "--flame", "/dev/null"), capture_output=True, text=True,
                       timeout=30, env={"PATH": "/nowhere"})
    expect("no perf", p.returncode == 1 and "(package linux-perf)" in p.stderr, p.stderr)
    if len(sys.argv) > 2 and shutil.which("valgrind"):
        p = profile("dns", "--seconds", "0.1", "--json", timeout=100)
        expect("a run", p.returncode == 0, p.stderr)
        d = json.loads(p.stdout)
        r = d["results"][0]
        expect("its operations", 500 < r["instructions_per_op"] < 50000, r)
        expect("what was run", d["command"] == "coral-perf profile dns --seconds 0.1 --json", d)
        p = profile("dns", "--seconds", "x")
        expect("its options", p.returncode == 1 and '--seconds: "x"' in p.stderr, p.stderr)
    if len(sys.argv) > 2 and shutil.which("perf") and os.geteuid() == 0:
        flames()
    return checks.bad > 0


sys.exit(main())

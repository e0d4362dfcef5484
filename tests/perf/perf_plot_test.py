# SPDX-License-Identifier: BSD-3-Clause
"""coral-perf plot: SVGs of documents and of percentiles, and what it says of files that are neither.
usage: perf_plot_test.py CORAL-PERF"""
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import checks
from checks import expect

PERF = sys.argv[1]


def plot(*args):
    return subprocess.run((PERF, "plot") + args, capture_output=True, text=True, timeout=30)


def refused(status, message, *args):
    p = plot(*args)
    expect(args, p.returncode == status and message in p.stderr and "<svg" not in p.stdout, p.stderr)


def main():
    if not shutil.which("gnuplot"):
        print("SKIPPED: there is no gnuplot here")
        return 77
    with tempfile.TemporaryDirectory() as where:
        a, b, csv, hgrm, other, svg = (os.path.join(where, x) for x in
                                       ("a_1.json", "b.json", "t.csv", "u.hgrm", "v.csv", "out.svg"))
        for path, cost in ((a, 100), (b, 200)):
            with open(path, "w") as f:
                for n in (1, 10, 100):
                    json.dump({"results": [{"connections": n, "size": 64, "ops_per_s": cost * n + i}
                                           for i in range(3)]}, f)
        with open(csv, "w") as f:
            f.write('"Value","Percentile","TotalCount","1/(1-Percentile)"\n1,0,1,1\n5,0.5,10,2\n9,1,20,Infinity\n')
        with open(hgrm, "w") as f:
            f.write("  Value  Percentile\n\n 1.0 0.0 1 1.0\n 7.0 0.9 9 10.0\n 8.0 1.0 10\n#[Mean = 1]\n")
        with open(other, "w") as f:
            f.write("nothing\n")
        p = plot(a, b, "--title", "Rates {of} a_b")
        expect("documents", p.returncode == 0 and not p.stderr, p.stderr)
        for text in ("connections", "ops_per_s", "a_1", "b", "Rates {of} a_b"):
            expect("a text of it", text in re.sub(r"<[^>]*>", "", p.stdout), text)
        odd = os.path.join(where, "it's \\n `echo not`.json")
        shutil.copy(a, odd)
        p = plot(odd, "--title", "a `echo not` title", "--y", "ops_per_s")
        texts = html.unescape(re.sub(r"<[^>]*>", "", p.stdout))
        expect("no text is a command", p.returncode == 0 and "a `echo not` title" in texts and
               "it's \\n `echo not`" in texts, (texts, p.stderr))
        p = plot(a, "--x", "ops_per_s", "--y", "size", "--output", svg)
        expect("a file", p.returncode == 0 and not p.stdout and not p.stderr, p.stderr)
        with open(svg) as f:
            expect("its axis", "size" in re.sub(r"<[^>]*>", "", f.read()))
        p = plot(csv, hgrm)
        expect("percentiles", p.returncode == 0 and not p.stderr and ">90<" in p.stdout and
               "microseconds" in p.stdout, p.stderr)
        refused(2, "it takes what --json, --hgrm or --csv wrote")
        refused(2, "of another kind than the first file", a, csv)
        refused(2, '--y: "p99_us" goes with documents', csv, "--y", "p99_us")
        refused(1, "/nowhere/x.csv: No such file", "/nowhere/x.csv")
        refused(1, "/nowhere/x: No such file", "/nowhere/x")
        refused(1, "v.csv: there is no percentile", other)
        refused(1, 'no result has both "connections" and "colour"', a, "--y", "colour")
        with open(b, "w") as f:
            json.dump({"results": [{"size": 64, "ops_per_s": 1}]}, f)
        refused(1, "nothing was varied", b)
        p = subprocess.run((PERF, "plot", a), capture_output=True, text=True, timeout=30,
                           env=dict(os.environ, PATH="/nowhere"))
        expect("no gnuplot", p.returncode == 1 and "it is not installed" in p.stderr, (p.returncode, p.stderr))
    return checks.bad > 0


sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""A small flash crowd holds the bounds that the large one has to, and a seed replays it.
usage: perf_flash_test.py CORAL-PERF"""
import json
import subprocess
import sys

import checks
from checks import expect

PERF = sys.argv[1]
SMALL = ("flash", "--seconds", "0.4", "--objects", "40", "--rate", "4000", "--no-huge", "--json")
BOUNDS = ("origin_mean<=1.2", "origin_most<=3", "p99_us<250000", "max_us<1000000", "errors=0")


def flash(*args):
    return subprocess.run((PERF,) + SMALL + args, capture_output=True, text=True, timeout=100)


def figures(ran, at=0):
    result = json.loads(ran.stdout)["results"][at]
    return {k: v for k, v in result.items() if k not in ("began_s", "wall_s")}


ran = flash("--repeat", "2", *(x for b in BOUNDS for x in ("--assert", b)))
expect("the bounds hold", ran.returncode == 0, ran.stderr)
first, second = figures(ran), figures(ran, 1)
expect("all are answered", first["requests"] == first["verified"] == 1600, first)
expect("new objects are fetched",
       first["origin_mean"] > 0 and first["served"]["peer"]["requests"] > 0, first)
expect("a run repeated has the next seed", (first["seed"], second["seed"]) == (1, 2), second)
expect("by which it differs", first["clusters"] != second["clusters"], second)
ran = flash("--seed", "2", "--assert", "p99_us<1000")
expect("a seed replays it", figures(ran) == second, ran.stdout)
expect("a bound that does not hold is told", ran.returncode == 1 and "p99_us" in ran.stderr,
       ran.stderr)
sys.exit(checks.bad > 0)

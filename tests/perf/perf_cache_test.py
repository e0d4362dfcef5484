# SPDX-License-Identifier: BSD-3-Clause
"""coral-perf cache, and rules: short runs of each operation, their JSON and its sums; wrong usage.
usage: perf_cache_test.py CORAL-PERF"""
import json
import subprocess
import sys

import checks
from checks import expect

PERF = sys.argv[1]
COMMON = ("cache", "--seconds", "0.1", "--objects", "3000")
REFUSED = (
    (("cache", "--op", "steal"), ('"steal"', "get, put, mixed, memory, churn, purge")),
    (("cache", "--batch", "0"), ('"0"', "1 to 512")),
    (("cache", "--batch", "513"), ('"513"', "1 to 512")),
    (("cache", "--objects", "999"), ('"999"', "1000 to 10000000")),
    (("cache", "--objects", "10000001"), ('"10000001"', "1 to 10000000")),
    (("cache", "--zipf", "-1"), ('"-1"', "0 to 2")),
    (("cache", "--zipf", "steep"), ('"steep"', "0 to 2")),
    (("stash",), ('"stash"', "cache")),
    (("cache", "--connections", "5"), ('"cache"', "http, tcp")),
)


def raw(*args):
    p = subprocess.run((PERF,) + COMMON + args + ("--json",), capture_output=True, text=True,
                       timeout=60)
    expect(args, p.returncode == 0 and not p.stderr, f"status {p.returncode}: {p.stderr.strip()}")
    document = json.loads(p.stdout)
    expect(args, document["name"] == "cache" and len(document["results"]) == 1, document)
    return document["results"][0]


def run(*args):
    r = raw(*args)
    expect(args, r["errors"] == 0 and r["rounds"] > 0, r)
    expect(args, r["cycles_per_op"] > 0 and r["bytes_per_object"] > 0, r)
    return r


def main():
    for args in ((), ("--batch", "1"), ("--batch", "512", "--zipf", "0"), ("--zipf", "1")):
        r = run("--op", "get", *args)
        expect(args, r["hit_share"] == 1 and r["puts"] == 0 and r["gets"] > 0, r)
        expect(args, r["single_cycles_per_op"] > 0, r)
    for args in ((), ("--batch", "512"), ("--size", "5000")):
        r = run("--op", "put", *args)
        expect(args, r["gets"] == 0 and 0 < r["puts"], r)
        expect("each new object puts one out", r["evicted"] >= r["puts"], r)
    r = run("--op", "mixed")
    # what is missing is put; a cache of half the objects finds more than half of the gets
    expect("mixed", 0.5 < r["hit_share"] < 1 and 0 < r["puts"], r)
    if "loss_percent" in r:
        expect("two cores", r["get_cycles_alone"] > 0, r)
    r = run("--op", "purge")
    expect("purge", r["gets"] > 0 and r["get_cycles"] > 0 and r["walk_cycles_per_object"] > 0, r)
    r = raw("--op", "memory")
    expect("memory", r["chunk_cycles"] > 0 and r["cells_cycles"] > 0 and r["head_cycles"] > 0, r)
    r = raw("--op", "churn", "--objects", "20000")
    for lengths in ("known", "unknown"):
        # some points less than what is measured: a small cache is coarse; in builds with a
        # sanitizer heads are the process heap's, which maps them as they come
        least = 0.98 if r["arenas"] else 0.75
        expect("the budget is held", least < r[lengths]["mapped_most"] <= 1, r)
        expect("there is room for all", r[lengths]["refused"] * 100 < r[lengths]["gets"], r)
        for mix, share in r[lengths]["useful"].items():
            expect(f"useful memory, lengths {lengths}, {mix}", share > 0.9, r)
    p = subprocess.run((PERF, "rules", "--seconds", "0.2", "--json"), capture_output=True, text=True, timeout=100)
    r = json.loads(p.stdout)["results"][0]
    expect("rules", p.returncode == 0 and r["rules"] == 10000 and r["expressions"] == 1000 and r["rounds"] > 0, r)
    expect("each host's rules are found", [c["matched"] for c in r["costs"]] == [1, 1, 0] and
           all(c["cycles_per_op"] > 0 and c["ns"] > 0 for c in r["costs"]), r)
    for args, words in REFUSED:
        p = subprocess.run((PERF,) + args, capture_output=True, text=True, timeout=10)
        expect(args, p.returncode == 2 and not p.stdout and all(w in p.stderr for w in words),
               f"status {p.returncode}: {p.stderr.strip()}")
    sys.exit(checks.bad != 0)


main()

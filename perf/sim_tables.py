#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns coral-sim's reports into tables for gnuplot and for RESULTS.md.

usage: sim_tables.py REPORTS FOLDER   writes FOLDER/sim-*.tsv; tables of Markdown on standard output
"""
import glob
import json
import os
import sys

reports, folder = sys.argv[1:3]
QUANTILES = [("p1", 0.01), ("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)]


def read(pattern):
    """The reports of a kind: (parts of the name after the kind, report), sorted."""
    found = []
    for path in glob.glob(os.path.join(reports, pattern)):
        name = os.path.basename(path)[: -len(".json")].split("-")
        with open(path) as f:
            found.append((name[1:], json.load(f)))
    return sorted(found, key=lambda x: [int(p) if p.isdigit() else 0 for p in x[0]])


def write(name, columns, rows):
    with open(os.path.join(folder, f"sim-{name}.tsv"), "w") as f:
        f.write("# perf/sim.sh\n# " + "\t".join(columns) + "\n")
        for row in rows:
            f.write("\t".join("nan" if x is None else f"{x:.6g}" for x in row) + "\n")


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def markdown(title, columns, rows):
    print(f"\n{title}\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join("" if x is None else x if isinstance(x, str) else f"{x:.5g}" for x in row) + " |")


def hops():
    columns = ["nodes", "b", "seeds", "get, RPCs answered", "p99", "path alone", "put", "expected",
               "Kademlia: rounds", "Kademlia: RPCs", "index: RPCs"]
    rows, runs, paths = [], {}, {}
    for kind, store in (("hops", runs), ("path", paths)):
        for (n, b, _), r in read(kind + "-*.json"):
            store.setdefault((int(n), int(b)), []).append(r)
    for key in sorted(runs):
        all_of, alone = runs[key], paths.get(key, [])
        beside = [r["kademlia"]["gets"] for r in all_of if "kademlia" in r]
        rows.append([*key, len(all_of), mean(r["hops_mean"] for r in all_of),
                     max(r["hops_p99"] for r in all_of), mean(r["hops_mean"] for r in alone),
                     mean(r["put_hops_mean"] for r in all_of), all_of[0]["hops_expected"],
                     mean(k["hops"]["mean"] for k in beside), mean(k["asks"]["mean"] for k in beside),
                     mean(r["load"]["get_asks"]["mean"] for r in all_of)])
    write("hops", columns, rows)
    markdown("hops", columns, rows)


def latency():
    found = {int(levels): r for (levels, seed), r in reversed(read("latency-*.json"))}
    if 3 not in found or 1 not in found:
        return
    ours, flat, beside = found[3], found[1], found[3]["kademlia"]["gets"]
    series = [ours["load"]["get_us"], flat["load"]["get_us"], beside["well_us"],
              ours["load"]["holder_us"], flat["load"]["holder_us"], beside["holder_us"]]
    write("latency", ["share", "three levels, ms", "one level, ms", "Kademlia, ms", "holder: three levels, ms",
                      "holder: one level, ms", "holder: Kademlia, ms"],
          [[q, *(s[name] / 1000 for s in series)] for name, q in QUANTILES])
    rows = []
    for (levels, seed), r in read("latency-*.json"):
        load = r["load"]
        rows.append([f"{levels} level{'s' if levels != '1' else ''}, seed {seed}", r["get_success"],
                     load["get_us"]["p50"] / 1000, load["get_us"]["p99"] / 1000, load["holder_us"]["p50"] / 1000,
                     load["get_asks"]["mean"], *(lv["found"] / load["found"] for lv in reversed(load["levels"]))])
        if "kademlia" in r:
            k = r["kademlia"]
            rows.append([f"Kademlia, seed {seed}", k["success"], k["gets"]["well_us"]["p50"] / 1000,
                         k["gets"]["well_us"]["p99"] / 1000, k["gets"]["holder_us"]["p50"] / 1000,
                         k["gets"]["asks"]["mean"], None, None, None])
    markdown("latency", ["world", "found", "median, ms", "p99, ms", "to the holder, median, ms", "RPCs",
                         "found at level 2", "1", "0"], rows)


def root():
    rows = []
    for (n, b), r in read("hammer-*.json"):
        k = r.get("kademlia", {}).get("busiest", {})
        rows.append([int(n), int(b), r["keys"], r["puts_a_minute_and_key"], r["root_rate_mean"], r["root_rate_p99"],
                     r["root_rate_max"], r["root_rate_min"], r["root_rate_bound"], k.get("mean"), k.get("max")])
    columns = ["nodes", "b", "keys", "puts a minute and key", "root: mean", "p99", "most", "least", "bound",
               "Kademlia's busiest: mean", "most"]
    write("root", columns, rows)
    markdown("root", columns, rows)


def cold():
    found = read("cold-*.json")
    if not found:
        return
    write("cold", ["minutes", "purity 1", "recall 1", "clusters 1", "alone 1", "purity 2", "recall 2", "clusters 2",
                   "alone 2"], found[0][1]["minutes_purity_recall_clusters_alone"])
    rows = []
    for kind in ("cold", "heal", "half"):
        for (seed,), r in read(kind + "-*.json"):
            for when in ("after 12 ticks", "at rest", "before the cut", "at its end", "before", "20 minutes after"):
                for level in ("level_1", "level_2"):
                    if when in r:
                        t = r[when][level]
                        rows.append([f"{kind}, seed {seed}", when, level[-1], t["purity"], t["recall"], t["clusters"],
                                     t["singletons"], t["size_error_log2"], t["size_bias_log2"],
                                     (r.get("switches_an_hour_and_node") or [None, None])[int(level[-1]) - 1]
                                     if when == "at rest" else None, r["get_success"]])
    markdown("clusters", ["run", "when", "level", "purity", "recall", "clusters", "alone", "size off by, log2", "bias",
                          "switches an hour and node", "gets found"], rows)


def life():
    rows = []
    for (without, seed), r in read("churn-*.json"):
        load, k = r["load"], r.get("kademlia")
        rows.append([f"without {without}, seed {seed}", r["get_success"], str(load["gets"]),
                     load["get_us"]["p50"] / 1000, load["get_us"]["p99"] / 1000, load["get_asks"]["mean"]])
        if k:
            rows.append([f"Kademlia, seed {seed}", k["success"], str(k["gets"]["hops"]["n"]),
                         k["gets"]["well_us"]["p50"] / 1000, k["gets"]["well_us"]["p99"] / 1000,
                         k["gets"]["asks"]["mean"]])
    markdown("churn", ["run", "found", "gets", "median, ms", "p99, ms", "RPCs"], rows)
    rows = [[r["nodes"], r["origin_fetches"], r["of_a_cluster_and_object_mean"], r["of_a_cluster_and_object_max"],
             r["took_us"]["p50"] / 1e6, r["took_us"]["p99"] / 1e6] for _, r in read("crowd-*.json")]
    markdown("crowd", ["proxies", "origin fetches", "a cluster and object", "most", "whole after, s, median", "p99"], rows)
    rows = [[r["nodes"], r["packets_s_a_node"], r["bits_s_a_node"]] for _, r in read("idle-*.json")]
    markdown("idle", ["nodes", "packets a second", "bit/s"], rows)


hops()
latency()
root()
cold()
life()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns coral-trace's reports into tables for gnuplot and for RESULTS.md.

usage: trace_tables.py REPORTS FOLDER NAME...   writes FOLDER/trace-NAME.tsv; Markdown on standard output
"""
import json
import os
import sys

reports, folder = sys.argv[1:3]
LOW, HIGH = 0.01, 0.1  # shares of the footprint that stand in RESULTS.md
POLICIES = ["fifo", "lru", "sieve", "s3fifo", "coral", "s3fifo-size", "w-tinylfu", "gdsf",
            "belady", "bound-requests", "bound-bytes"]


def rows_of(name):
    """{share: {policy: (request, byte miss ratio)}}"""
    with open(os.path.join(reports, name + ".json")) as f:
        report = json.load(f)
    by = {}
    for r in report["results"]:
        share = float(f"{r['capacity_share']:.3g}")
        by.setdefault(share, {})[r["policy"]] = (r["request_miss_ratio"], r["byte_miss_ratio"])
    return report["trace"], by


def write(name, by):
    with open(os.path.join(folder, f"trace-{name}.tsv"), "w") as f:
        columns = [f"{p}, {what}" for what in ("requests", "bytes") for p in POLICIES]
        f.write("# perf/trace.sh\n# share of footprint\t" + "\t".join(columns) + "\n")
        for share in sorted(by):
            values = [by[share].get(p, (None, None))[i] for i in (0, 1) for p in POLICIES]
            f.write(f"{share:.6g}\t" + "\t".join("nan" if v is None else f"{v:.4f}" for v in values) + "\n")


def markdown(share, tables):
    names = [n for n in tables if share in tables[n]]
    print(f"\n{share:.0%} of the footprint\n\n| | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for p in POLICIES:
        cells = []
        for n in names:
            v = tables[n][share].get(p)
            one = {"bound-requests": 0, "bound-bytes": 1}.get(p)
            cells.append("" if v is None else f"{v[one]:.3f}" if one is not None else f"{v[0]:.3f} / {v[1]:.3f}")
        print(f"| {p} | " + " | ".join(cells) + " |")


tables = {}
for name in sys.argv[3:]:
    trace, tables[name] = rows_of(name)
    write(name, tables[name])
    print(f"{name}: {trace['requests']} requests, {trace['objects']} objects, "
          f"{trace['objects_once_share']:.1%} of them once, {trace['footprint_bytes'] / 1e9:.2f} GB, "
          f"{trace['requested_bytes'] / 1e9:.1f} GB asked for")
for share in (LOW, HIGH):
    markdown(share, tables)

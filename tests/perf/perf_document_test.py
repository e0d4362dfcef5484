# SPDX-License-Identifier: BSD-3-Clause
"""What coral-perf writes and reads of runs: --json, --repeat, --assert, compare, and wrong usage.
usage: perf_document_test.py CORAL-PERF"""
import json
import os
import shlex
import subprocess
import sys
import tempfile

PERF = sys.argv[1]
SHORT = ("mac", "--seconds", "0.1")
REFUSED = (
    ((), "Usage: coral-perf"),
    (("fly",), 'command: "fly" is not known; there are echo, http'),
    (("mac", "dht"), 'command line: "dht" is one word too many'),
    (("mac", "--size", "4"), '--size: "mac" takes none; it goes with echo'),
    (("mac", "--repeat", "0"), '--repeat: "0" is no number from 1 to 1000'),
    (("mac", "--repeat", "1.5"), '--repeat: "1.5" is no number'),
    (("mac", "--seconds", "nan"), '--seconds: "nan" is no time'),
    (("mac", "--assert", "p99_us"), '--assert: "p99_us" is not FIELD<NUMBER'),
    (("mac", "--assert", "p99_us<fast"), '--assert: "p99_us<fast" is not FIELD<NUMBER'),
    (("mac", "--assert", "<5"), '--assert: "<5" is not FIELD<NUMBER'),
    (("tcp",), '--op: "" is none of those that tcp has: idle, connect'),
    (("dht", "--op", "get-"), '--op: "get-" is none of those that dht has: get, get-one'),
    (("tcp", "--op", "idle", "--size", "1401"), '--size: "1401" is more than tcp'),
    (("http", "--connections", "20001"), '"20001" is above 20000 and needs --active'),
    (("http", "--connections", "100", "--active", "51"), '"51" is more than half'),
    (("echo", "--size", "59"), '--size: "59" is no size of a frame'),
    (("http", "--poisson"), '--poisson: "" is a kind of --rate'),
    (("dns", "--find-max"), '--find-max: "" needs a bound: --p99 US'),
    (("dns", "--p99", "5"), '--p99: "" is the bound of --find-max'),
    (("dns", "--p99", "5", "--find-max", "--rate", "5"), '"--rate" has no place beside it'),
    (("dns", "--csv", "x", "--repeat", "2"), '"x" is the file of one run'),
    (("dns", "--size", "2"), '--size: "dns" takes none'),
    (("cache", "--objects", "999"), '--objects: "999" is no number from 1000'),
    (("http", "--workers", "17"), '--workers: "17" is no number from 1 to 16'),
    (("dns", "--workers", "2"), '--workers: "dns" takes none'),
    (("http", "--objects", "0"), '--objects: "0" is no number from 1'),
    (("rivals", "apache"), '"apache" is no server; there are coral, nginx'),
    (("rivals", "--seconds", "0"), '--seconds: "0" is no number above 0'),
    (("rivals", "--kind", "smtp"), "rivals: argument --kind: invalid choice: 'smtp'"),
    (("rivals", "--client", "telnet"), "rivals: argument --client: invalid choice: 'telnet'"),
    (("rivals", "--client", "wrk", "--rate", "5"), '--client: "wrk" has no --rate'),
    (("cache", "--no-huge"), '--no-huge: "cache" takes none; it goes with echo'),
    (("compare", "a.json"), 'compare: "a.json" is not two files'),
    (("compare", "a", "b", "c"), 'compare: "c" is one file too many'),
    (("compare", "--op", "b", "c"), 'compare: "--op" is no option of it'),
)
bad = 0


def expect(what, good, text=""):
    global bad
    if not good:
        bad += 1
        print(f"NOT OK  {what}: {text}")


def perf(*args):
    return subprocess.run((PERF,) + args, capture_output=True, text=True, timeout=60)


def check_documents():
    p = perf(*SHORT, "--json", "--repeat", "3", "--assert", "rounds>0", "--assert", "costs.0.burst==1")
    expect("a document", p.returncode == 0, p.stderr)
    d = json.loads(p.stdout)
    for field in ("command", "revision", "kernel", "machine", "versions"):
        expect(field, d[field], d)
    expect("its command", d["command"] == "coral-perf mac --seconds 0.1 --json --repeat 3 --assert "
           "'rounds>0' --assert costs.0.burst==1", d["command"])
    expect("its machine", d["machine"]["cpus"] == os.cpu_count() and d["machine"]["cpu"], d["machine"])
    expect("three runs", len(d["results"]) == 3 and d["format"] == 1, d)
    ratio = sorted(r["core_per_tsc"] for r in d["results"])
    s = d["summary"]["core_per_tsc"]
    # JSON has 13 digits
    expect("a median", all(abs(s[k] / v - 1) < 1e-9 for k, v in
                           zip(("least", "median", "most"), ratio)), (s, ratio))
    # 3 to 6 GHz cores, a TSC within half and three times of it: else adds are no longer a cycle each
    expect("core cycles", 0.3 < ratio[1] < 3, ratio)
    p = perf(*SHORT, "--assert", "rounds<0", "--assert", "rounds>0")
    expect("an assertion that fails", p.returncode == 1 and "rounds<0 is not so: it is" in p.stderr
           and "rounds>0" not in p.stderr, p.stderr)
    p = perf(*SHORT, "--assert", "speed<0")
    expect("a field that is not there", p.returncode == 1 and 'no number "speed"; they have' in p.stderr
           and "rounds" in p.stderr, p.stderr)


def check_servers(where):
    """Nodes under load, both on one core: no time is asserted."""
    hgrm, hlog, csv = (os.path.join(where, x) for x in ("it's hgrm", "hlog", "csv"))
    for args in (("dns",), ("dns", "--zipf", "1", "--objects", "1000", "--offload", "off"),
                 ("dns", "--rate", "20000", "--poisson"), ("http", "--connections", "20"),
                 ("http", "--connections", "40", "--active", "10", "--objects", "200"),
                 ("http", "--connections", "40", "--objects", "50", "--workers", str(min(2, os.cpu_count()))),
                 ("http", "--connections", "20", "--objects", "200", "--zipf", "0.9", "--rate", "2000",
                  "--hgrm", hgrm, "--hlog", hlog, "--csv", csv)):
        p = perf(*args, "--cores", "1", "--no-huge", "--seconds", "0.3", "--json", "--assert",
                 "errors=0", "--assert", "verified>0")
        expect(args, p.returncode == 0 and not p.stderr, p.stderr)
        d = json.loads(p.stdout)
        expect("a shell reads its command", shlex.split(d["command"])[1:len(args) + 1] == list(args), d["command"])
        r = d["results"][0]
        expect(args, r["ops_per_s"] > 0 and r["cycles_per_op"] > 0 and 0 < r["p50_us"] <= r["p99_us"]
               <= r["max_us"] and not any(r["errors_by_class"].values()), r)
    p = perf("http", "--misses", "20", "--connections", "50", "--cores", "1", "--no-huge", "--seconds",
             "1.2", "--json")
    r = json.loads(p.stdout)["results"][0]
    # all clients have answers, of whom one has its bodies compared
    expect("misses", p.returncode == 0 and r["misses_per_s"] > 0 and r["hits_per_s"] > r["misses_per_s"]
           and r["errors"] == 0 and r["verified"] * 5 < r["ops_total"], (r, p.stderr))
    with open(csv) as f:
        lines = f.read().splitlines()
    total = int(lines[-1].split(",")[2])
    expect("the last percentile", lines[-1].endswith("Infinity") and ",1.0000" in lines[-1], lines[-1])
    with open(hgrm) as f:
        expect("the same in .hgrm", f"Total count    = {total:12}]" in f.read(), total)
    with open(hlog) as f:
        expect("a log", "\"Interval_Compressed_Histogram\"\n" in f.read())
    p = perf("dns", "--cores", "1", "--no-huge", "--seconds", "0.1", "--csv", "/nowhere/x")
    expect("no file", p.returncode == 1 and "/nowhere/x: No such file" in p.stderr, p.stderr)
    p = perf("dns", "--cores", "1", "--no-huge", "--seconds", "0.1", "--find-max", "--p99", "9000000",
             "--repeat", "1", "--json")
    d = json.loads(p.stdout)
    expect("a highest rate", p.returncode == 0 and d["find_max"]["rate"] > 0 and
           any(t["held"] for t in d["find_max"]["tries"]), p.stderr)


def write(path, values, first, step):
    """A file of as many documents as values."""
    with open(path, "w") as f:
        for i, v in enumerate(values):
            json.dump({"name": "x", "results": [{"began_s": first + i * step, "cost": v, "same": 7}]}, f)


def compare(a, b):
    p = perf("compare", a, b, "--json")
    expect("compare", p.returncode == 0, p.stderr)
    d = json.loads(p.stdout)
    expect("one field differs", [r["field"] for r in d["fields"]] == ["cost"], d)
    return d["fields"][0], d


def check_compare(where):
    a, b = os.path.join(where, "a"), os.path.join(where, "b")
    write(a, (100, 200, 400, 800), 0, 10)
    write(b, (110, 221, 441, 878), 5, 10)
    row, d = compare(a, b)
    expect("turns", d["took_turns"] and not d["notes"] and row["verdict"] == "more", d)
    expect("a ratio", 1.09 < row["low"] < row["ratio"] < row["high"] < 1.12, row)
    write(b, (110, 221, 441, 878), 500, 10)
    row, d = compare(a, b)
    expect("no turns", not d["took_turns"] and "take turns" in d["notes"][0] and
           row["verdict"] == "can't tell", d)
    write(a, (100, 101, 102), 0, 10)
    write(b, (50, 51, 50, 51), 500, 10)
    row, d = compare(a, b)
    expect("less", row["verdict"] == "less" and 0.48 < row["low"] < row["high"] < 0.52, row)
    write(b, (50, 51), 500, 10)
    row, d = compare(a, b)
    expect("too few", row["verdict"] == "can't tell" and "ratio" not in row and
           "fewer than 3 runs" in d["notes"][0], d)
    write(a, (100, None, 200, 400, 800), 0, 10)
    write(b, (200, 400, 800, 1600, None), 5, 10)
    row, d = compare(a, b)
    expect("gaps leave no pairs", d["took_turns"] and row["verdict"] == "can't tell", row)
    write(b, (50, 51), 500, 10)
    p = perf("compare", a, b)
    expect("a table", p.returncode == 0 and "can't tell" in p.stdout and "note: " in p.stdout, p.stdout)
    for text, message in (("", "it is empty"), ("{", "b:"), ('{"results": []}', 'no "results"'),
                          ('{"name": "x"} trailing', 'no "results"')):
        with open(b, "w") as f:
            f.write(text)
        p = perf("compare", a, b)
        expect(f"a file with {text!r}", p.returncode == 1 and message in p.stderr, p.stderr)
    p = perf("compare", a, "/nowhere/b")
    expect("no file", p.returncode == 1 and "/nowhere/b: No such file" in p.stderr, p.stderr)
    row, d = compare(a, a)
    expect("itself", row["ratio"] == 1 and row["verdict"] == "can't tell", row)
    write(a, (5, 5, 5), 0, 10)
    p = perf("compare", a, a)
    expect("nothing", p.returncode == 1 and "no number differs" in p.stderr, p.stderr)


def bars(*args):
    return subprocess.run((sys.executable, os.path.join(os.path.dirname(__file__), "../../perf/bars.py"), "--build",
                           os.path.join(os.path.dirname(PERF), "..")) + args, capture_output=True, text=True)


def check_bars():
    p = bars("hit")
    expect("no such row", p.returncode == 2 and '"hit" is no row; there are dns, dns-sums' in p.stderr, p.stderr)
    p = bars("--build", "/nowhere", "connect")
    expect("no such build", p.returncode == 2 and '"/nowhere" has no perf/coral-perf' in p.stderr, p.stderr)
    p = bars("--seconds", "0.5", "--repeat", "2", "--json", "connect")
    r = json.loads(p.stdout)["rows"][0]
    expect("a row", r.get("runs") == 2 and 0 < r["least"] <= r["median"] <= r["most"] and r["bar"] == 3000 and
           p.returncode == (0 if r["holds"] else 1), (p.returncode, r))
    p = bars("--seconds", "1000", "--repeat", "1", "connect")
    expect("a row that can't be had", p.returncode == 3 and 'not to be had: coral-perf: --seconds: "1000' in p.stdout,
           p.stdout)


def main():
    for args, message in REFUSED:
        p = perf(*args)
        expect(args, p.returncode == 2 and not p.stdout and message in p.stderr,
               f"status {p.returncode}: {p.stderr.strip()}")
    check_documents()
    check_bars()
    with tempfile.TemporaryDirectory() as where:
        check_compare(where)
        check_servers(where)
    sys.exit(bad != 0)


main()

# SPDX-License-Identifier: BSD-3-Clause
"""What coral-perf writes and reads of runs: --json, --repeat, --assert, compare, and wrong usage.
usage: perf_document_test.py CORAL-PERF"""
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile

import checks
from checks import expect

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
    (("http", "--poisson", "--active", "5"), '--poisson: "--active" has no place beside it'),
    (("http", "--closed", "--rate", "5"), '--closed: "--rate" has no place beside it'),
    (("tcp", "--op", "idle", "--closed"), '--closed: "tcp" takes none; it goes with http, dns'),
    (("dns", "--find-max"), '--find-max: "" needs a bound: --p99 US'),
    (("dns", "--p99", "5"), '--p99: "" is the bound of --find-max'),
    (("dns", "--p99", "5", "--find-max", "--rate", "5"), '"--rate" has no place beside it'),
    (("dns", "--csv", "x", "--repeat", "2"), '"x" is the file of one run'),
    (("http", "--think", "5", "--rate", "5"), '--think: "--rate" has no place beside it'),
    (("http", "--format", "wiki"), '--format, --limit: "" go with --trace'),
    (("http", "--trace", "x", "--size", "5"), '--trace: "x" goes without --objects'),
    (("http", "--trace", "x", "--format", "csv"), '--format: "csv" is none of text, twitter'),
    (("cache", "--trace", "x", "--op", "put"), '--trace: "put" asks'),
    (("dns", "--trace", "x"), '--trace: "dns" takes none; it goes with http, cache'),
    (("dht", "--batch", "33"), '--batch: "33" is more than a burst'),
    (("dns", "--size", "2"), '--size: "dns" takes none'),
    (("cache", "--objects", "999"), '--objects: "999" is no number from 1000'),
    (("http", "--workers", "17"), '--workers: "17" is no number from 1 to 16'),
    (("dns", "--workers", "2"), '--workers: "dns" takes none'),
    (("http", "--objects", "0"), '--objects: "0" is no number from 1'),
    (("flash", "--connections", "5"), '--connections: "flash" takes none; it goes with http, tcp'),
    (("flash", "--size", "65537"), '"65537" is more than flash'),
    (("flash", "--objects", "100001"), '"100001" is more than flash'),
    (("flash", "--new", "10001"), '--new: "10001" is no number from 0 to 10000'),
    (("http", "--seed", "4"), '--seed: "http" takes none; it goes with flash'),
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
    for args in (("dns", "--poisson"), ("dns", "--closed", "--zipf", "1", "--objects", "1000", "--offload", "off"),
                 ("dns", "--rate", "20000", "--poisson"), ("http", "--closed", "--connections", "20"),
                 ("http", "--connections", "40", "--active", "10", "--objects", "200"),
                 ("http", "--closed", "--connections", "40", "--objects", "50", "--workers", str(min(2, os.cpu_count()))),
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
        found = r.get("closed_loop_per_s", 0)
        expect("the rate follows where none is given", (found > 0 and abs(r["rate"] / found - 0.7) < 1e-6)
               if args == ("dns", "--poisson") else not found, r)
    check_trace(where)
    status, out, shown = terminal("http", "--closed", "--misses", "20", "--connections", "50", "--cores", "1",
                                  "--no-huge", "--seconds", "1.2", "--json")
    r = json.loads(out)["results"][0]
    expect("no progress beside JSON", not shown, repr(shown))
    # of one answer in 64 the body is compared
    expect("misses", status == 0 and r["misses_per_s"] > 0 and r["hits_per_s"] > r["misses_per_s"]
           and r["errors"] == 0 and r["verified"] * 5 < r["ops_total"], r)
    with open(csv) as f:
        lines = f.read().splitlines()
    total = int(lines[-1].split(",")[2])
    expect("the last percentile", lines[-1].endswith("Infinity") and ",1.0000" in lines[-1], lines[-1])
    with open(hgrm) as f:
        expect("the same in .hgrm", f"Total count    = {total:12}]" in f.read(), total)
    with open(hlog) as f:
        expect("a log", "\"Interval_Compressed_Histogram\"\n" in f.read())
    p = perf("dns", "--closed", "--cores", "1", "--no-huge", "--seconds", "0.1", "--csv", "/nowhere/x")
    expect("no file", p.returncode == 1 and "/nowhere/x: No such file" in p.stderr, p.stderr)
    p = perf("dns", "--cores", "1", "--no-huge", "--seconds", "0.1", "--find-max", "--p99", "9000000",
             "--repeat", "1", "--json")
    d = json.loads(p.stdout)
    expect("a highest rate", p.returncode == 0 and d["find_max"]["rate"] > 0 and
           any(t["held"] for t in d["find_max"]["tries"]), p.stderr)


def terminal(*args):
    """What stands on a terminal that is standard error, and on standard output."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen((PERF,) + args, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    out, shown = p.communicate(timeout=60)[0], b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # nobody has its other end any more
        pass
    os.close(ours)
    return p.returncode, out.decode(), shown.decode()


def check_progress():
    """A line a second, each in the place of the last one, and gone in the end."""
    status, out, shown = terminal("dns", "--closed", "--cores", "1", "--no-huge", "--objects", "1000", "--seconds",
                                  "1.2")
    line = re.fullmatch(r"\r(1 of 1 s  (\d+) ops/s  [\d.]+ cycles/op  p99 [\d.]+ us  0 errors *)\r *\r", shown)
    expect("progress", status == 0 and line and len(line[1]) == 79 and int(line[2]) > 0, repr(shown))
    expect("the table is elsewhere", "cycles/op  p99" not in out and "core cycles/op" in out, out)


def check_trace(where):
    """Objects and sizes are the trace's, one of which is too large; think times bound the rate."""
    trace = os.path.join(where, "trace")
    with open(trace, "w") as f:
        f.write("relative_unix\thashed_path_query\timage_type\tresponse_size\ttime_firstbyte\n")
        for i in range(3000):
            f.write(f"{i}\t-{i * i % 97}\tjpeg\t{20 + i * i % 97 * 300}\t1.5E-4\n")
        f.write(f"3000\t7\ttiff\t{(16 << 20) + 1}\t2.0\n")
    for args in (("http", "--closed", "--connections", "20", "--cores", "1", "--no-huge"), ("cache", "--op", "mixed")):
        p = perf(*args, "--trace", trace, "--format", "wiki", "--seconds", "0.3", "--json", "--assert",
                 "errors=0")
        expect(args, p.returncode == 0 and "1 of 3001 requests are for objects larger than 16 MiB" in p.stderr,
               p.stderr)
        r = json.loads(p.stdout)["results"][0]
        t = r["trace"]
        objects = {i * i % 97 for i in range(3000)}
        expect("its objects", t["requests"] == 3000 and t["objects"] == len(objects)
               and t["footprint_bytes"] == sum(20 + i * 300 for i in objects), t)
        expect("a hit share", args[0] == "http" or 0 < r["hit_share"] < 1, r)
    p = perf("http", "--trace", trace)
    expect("another format", p.returncode == 1 and "is --format right?" in p.stderr, p.stderr)
    p = perf("http", "--think", "50", "--connections", "20", "--cores", "1", "--no-huge", "--seconds", "0.5",
             "--json")
    r = json.loads(p.stdout)["results"][0]
    expect("think times", p.returncode == 0 and 0 < r["ops_per_s"] < 20 / 0.05 * 1.05 and r["think_ms"] == 50,
           (r, p.stderr))


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
    check_progress()
    sys.exit(checks.bad != 0)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every bar that Coral's speed is held to, measured: a row each, with its figure, its spread and its bar.

usage: perf/bars.py [--build FOLDER] [--seconds S] [--repeat N] [--json] [--list] [ROW...]
Runs the row's command N times (5), each S seconds (2), and tells the median, the least and the most; rows that
compare two things run them in turn. On a quiet machine with two CPUs, as root (but for rows of coral-perf
alone), with the servers that coral-perf rivals names for its rows. Exit status 0: all hold; 1: some do not;
3: some could not be had, and it is said why."""
import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.join(HERE, "../tests/lab")
SEGMENT = 1448  # bytes of a full one: MTU 1500, timestamps
FRAMES = ("--size", "80", "--reply", "144")  # of a query for n########.coral.test and its answer


class Absent(Exception):
    """Why a row can't be had, in one line."""


class Bars:
    def __init__(self, o):
        self.o = o
        self.perf = os.path.join(o.build, "perf/coral-perf")
        self.notes = set()
        self.memo = {}  # what several rows tell of

    def once(self, key, how):
        if key not in self.memo:
            self.memo[key] = how()
        return self.memo[key]

    def timed(self, *args):
        return (self.perf,) + args + ("--seconds", str(self.o.seconds), "--json")

    def result(self, out, err, what):
        """One run's result. What coral-perf holds against it is noted beside the figure."""
        try:
            r = json.loads(out)["results"][0]
        except (ValueError, IndexError):
            raise Absent((err.strip().splitlines() or [f"{what} gave nothing"])[-1]) from None
        if err.strip():
            if "ops_per_s" not in r and "costs" not in r and "origin_mean" not in r:
                raise Absent(err.strip().splitlines()[-1])
            self.notes.add(re.sub(r"[:.] .*", "", err.strip().splitlines()[-1].replace("coral-perf: ", "")))
        if r.get("errors"):
            raise Absent(f"{what}: {r['errors']} errors")
        if r.get("client_limited"):
            self.notes.add("client-limited")
        return r

    def run(self, *args):
        p = subprocess.run(self.timed(*args), capture_output=True, text=True,
                           timeout=300 + 10 * self.o.seconds)
        return self.result(p.stdout, p.stderr, args[0])

    def cost(self, command, field="cycles_per_op", per=1.0):
        words = command.split()
        return [pick(self.run(*words), field) / per for _ in range(self.o.repeat)]

    def flash(self, field, per=1.0):
        runs = self.once("flash", lambda: [self.run("flash", "--seed", str(i + 1)) for i in range(self.o.repeat)])
        return [pick(r, field) / per for r in runs]

    def rivals(self, *args):
        """{server: a result a round} of coral-perf rivals."""
        def ask():
            p = subprocess.run((self.perf, "rivals", "--json", "--seconds", str(max(1, round(self.o.seconds))),
                                "--repeat", str(self.o.repeat)) + args, capture_output=True, text=True,
                               timeout=600 + 60 * self.o.repeat * self.o.seconds)
            found = {d["name"].split()[-1]: d["results"] for d in json.loads(p.stdout or "[]")}
            lacks = [a for a in args if a in SERVERS and len(found.get(a, ())) < self.o.repeat]
            if lacks:
                raise Absent(f"rivals: {lacks[0]}: " + (p.stderr.strip().splitlines() or ["no result"])[-1])
            if any(x["errors"] for r in found.values() for x in r):
                self.notes.add("errors")
            return found
        return self.once(args, ask)

    def beside(self, args, ours, others, value):
        """value(our round, that of each other) of all rounds."""
        found = self.rivals(*args, ours, *others)
        return [value(*rounds) for rounds in zip(found[ours], *(found[x] for x in others))]

    def workers(self):
        """Of two workers, by the first one's, to one that takes turns with its load, too."""
        def turn():
            alone = self.run("http", "--closed", "--cores", "1")["cycles_per_op"]
            return self.run("http", "--closed", "--workers", "2")["cycles_per_op"] / alone
        return [turn() for _ in range(self.o.repeat)]

    def past_saturation(self):
        ratios = []
        for _ in range(self.o.repeat):
            peak = self.run("http", "--closed")["ops_per_s"]
            ratios.append(100 * self.run("http", "--rate", str(int(2 * peak)))["ops_per_s"] / peak)
        return ratios

    def two(self, command, folder, serve, load):
        """Worker and load as two processes, by memif; the worker's result."""
        memif = f"net_memif0,socket={folder}/memif,socket-abstract=no,role="
        pin = ("taskset", "-c")
        s = subprocess.Popen(pin + ("0",) + self.timed(command, "--serve", memif + "server") + serve,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            ready = s.stderr.readline()
            if "serves on" not in ready:
                raise Absent(ready.strip())
            p = subprocess.run(pin + ("1",) + self.timed(command, "--wire", memif + "client") + load,
                               capture_output=True, text=True, timeout=60 + self.o.seconds)
            self.result(p.stdout, p.stderr, command)
            out, err = s.communicate(timeout=90)
        finally:
            s.kill()
        return self.result(out, err, command)

    def memif(self):
        """What DNS costs beyond the echo of frames as long."""
        more = []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(self.o.repeat):
                echo = self.two("echo", folder, (), FRAMES)
                dns = self.two("dns", folder, ("--address", "10.0.0.1/24"),
                               ("--closed", "--address", "10.0.0.2/24", "--server", "10.0.0.1", "--name",
                                "n########.coral.test"))
                more.append(dns["cycles_per_op"] - echo["cycles_per_op"])
        return more

    def lab(self, story, pattern, *args):
        """What a story of the lab tells: all numbers that the pattern finds."""
        if os.geteuid() != 0:
            raise Absent("it makes network namespaces: run it as root")
        p = self.once((story,) + args, lambda: subprocess.run(
            (sys.executable, os.path.join(LAB, story)) + args, capture_output=True, text=True, timeout=300,
            env=dict(os.environ, CORAL_BUILD=os.path.abspath(self.o.build))))
        found = [float(x) for x in re.findall(pattern, p.stdout)]
        if not found:
            raise Absent(f"{story}: " + ((p.stderr or p.stdout).strip().splitlines() or ["said nothing"])[-1])
        return found

    def kill(self):
        return self.lab("lab_start.py", r"first answer: median ([\d.]+) s \([\d.]+ to [\d.]+\)", "--kill", "9")


def pick(result, path):
    for word in path.split("."):
        result = result[int(word) if isinstance(result, list) else word]
    return result


def rate(r):
    return r["ops_per_s"]


def cpu(r):
    return r["cpu_us_per_op"] + r["softirq_us_per_op"]


SERVERS = ("coral", "nginx", "nginx-file", "echo", "coral-dns", "knot-xdp", "echo-dns")
WIRE = ("--client", "coral-perf", "--connections", "256")
NGINX = ("nginx", "nginx-file")  # at its best: whichever is the better
LARGE = "http --closed --connections {} --size {}"
REST = r"at rest uses ([\d.]+) %"
# name: what is measured, its unit, the bar, whether it is the least or the most that is wanted, how
ROWS = {
    "dns": ("DNS answers, ring, 1 M names", "cycles", 350, "most", lambda b: b.cost("dns --closed")),
    "dns-sums": ("the same, with software sums both ways", "cycles", 440, "most",
                 lambda b: b.cost("dns --closed --offload off")),
    "dht": ("DHT gets with MAC both ways, 1 M keys", "cycles", 360, "most",
            lambda b: b.cost("dht --op get", "costs.0.cycles_per_op")),
    "hits": ("HTTP 1 KiB hits, ring, 1000 connections", "cycles", 1400, "most", lambda b: b.cost("http --closed")),
    "hits-1m": ("the same, 1 M connections active at random", "cycles", 1700, "most",
                lambda b: b.cost("http --connections 1000000 --active 1000")),
    "hits-1m-256k": ("the same, and 256 k objects", "cycles", 2400, "most",
                     lambda b: b.cost("http --connections 1000000 --active 1000 --objects 256000")),
    "connect": ("connection, one request, close", "cycles", 3000, "most",
                lambda b: b.cost("tcp --op connect")),
    "64k": ("objects of 64 KiB, port with checksums", "cycles a segment", 520, "most",
            lambda b: b.cost(LARGE.format(100, 65536), per=65536 / SEGMENT)),
    "1m": ("objects of 1 MiB, port with checksums", "cycles a segment", 520, "most",
           lambda b: b.cost(LARGE.format(100, 1 << 20), per=(1 << 20) / SEGMENT)),
    "100m": ("objects of 100 MiB, port with checksums", "cycles a segment", 520, "most",
             lambda b: b.cost(LARGE.format(8, 100 << 20), per=(100 << 20) / SEGMENT)),
    "copy-l2": ("64 KiB in L2, port that copies and has no checksums", "cycles a segment", 1040, "most",
                lambda b: b.cost(LARGE.format(100, 65536) + " --offload off", per=65536 / SEGMENT)),
    "copy-dram": ("the same, bodies in DRAM", "cycles a segment", 1670, "most",
                  lambda b: b.cost(LARGE.format(100, 65536) + " --offload off --objects 8192",
                                   per=65536 / SEGMENT)),
    "workers": ("two workers on a two-queue ring: cycles to one's", "times", 1.15, "most", Bars.workers),
    "saturation": ("offered twice the capacity: goodput to the peak", "%", 90, "least", Bars.past_saturation),
    "dns-memif": ("DNS over memif, two processes, beyond the echo", "cycles", 350, "most", Bars.memif),
    "wire": ("AF_XDP, coral-perf asks for 1 KiB: to 5 times nginx or 90 % of the echo, the less", "times", 1,
             "least", lambda b: b.beside(WIRE, "coral", NGINX + ("echo",), lambda us, n, f, e: rate(us) / min(
                 5 * max(rate(n), rate(f)), 0.9 * rate(e)))),
    "wire-cpu": ("the same, CPU time a request to nginx'", "times", 0.2, "most",
                 lambda b: b.beside(WIRE, "coral", NGINX + ("echo",), lambda us, n, f, e: cpu(us) / min(
                     cpu(n), cpu(f)))),
    "wire-wrk": ("AF_XDP, wrk asks: requests to nginx', files and cache, the better", "times", 1.5, "least",
                 lambda b: b.beside((), "coral", NGINX, lambda us, n, f: rate(us) / max(rate(n), rate(f)))),
    "wire-dns": ("AF_XDP, kxdpgun asks: to Knot's XDP mode or 90 % of the echo, the less", "times", 1, "least",
                 lambda b: b.beside(("--client", "kxdpgun"), "coral-dns", ("knot-xdp", "echo-dns"),
                                    lambda us, k, e: rate(us) / min(rate(k), 0.9 * rate(e)))),
    "idle": ("idle node, of a core", "%", 0.5, "most", lambda b: [max(b.lab("lab_rest.py", REST))]),
    "pings": ("six nodes on two cores, a ping stream each: RTT", "us", 100, "most",
              lambda b: [1000 * x for x in b.lab("lab_rest.py", r"over IPv4: .* median ([\d.]+) ms")]),
    "pings-cpu": ("the same, of a core a node", "%", 5, "most",
                  lambda b: b.lab("lab_rest.py", r"over IPv4: .* with ([\d.]+) %")),
    "kill": ("kill -9 to the first answer, 256 MiB, cold, median of 9", "s", 1, "most", Bars.kill),
    "flash-origin": ("flash crowd: origin's requests an object and cluster, mean", "", 1.2, "most",
                     lambda b: b.flash("origin_mean")),
    "flash-most": ("the same, the most of any", "", 3, "most", lambda b: [max(b.flash("origin_most"))]),
    "flash-p99": ("the same, p99 of answers", "ms", 250, "most", lambda b: b.flash("p99_us", 1000)),
}


def measure(bars, name):
    """The row's outcome, as --json has it."""
    what, unit, bar, sense, how = ROWS[name]
    row = {"row": name, "what": what, "unit": unit, "bar": bar, "wanted": f"at {sense}"}
    bars.notes = set()
    try:
        values = how(bars)
        median = statistics.median(values)
        row.update(median=median, least=min(values), most=max(values), runs=len(values),
                   holds=median <= bar if sense == "most" else median >= bar)
    except (Absent, OSError, LookupError, ArithmeticError, ValueError, subprocess.TimeoutExpired) as e:
        row["absent"] = f"{type(e).__name__}: {e}" if not isinstance(e, Absent) else str(e)
    row["notes"] = sorted(bars.notes)
    return row


def number(x):
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def table_row(row):
    if "absent" in row:
        figure = f"not to be had: {row['absent']}"
    else:
        figure = f"{number(row['median'])} ({number(row['least'])} to {number(row['most'])}), " \
            f"{'holds' if row['holds'] else 'missed by ' + factor(row)}"
    return f"| {row['row']} | {row['what']} | {row['wanted']} {row['bar']} {row['unit']} | " \
        f"{'; '.join([figure] + row['notes'])} |"


def factor(row):
    a, b = sorted((row["median"], row["bar"]))
    return f"{b / a:.2f}" if a > 0 else "all"


def main():
    class Parser(argparse.ArgumentParser):
        def error(self, message):
            print(f"bars.py: {message}", file=sys.stderr)
            sys.exit(2)
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--build", default=os.path.join(HERE, "../build"))
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true")
    o = parser.parse_args()
    unknown = [r for r in o.rows if r not in ROWS]
    if unknown:
        parser.error(f"\"{unknown[0]}\" is no row; there are {', '.join(ROWS)}")
    if o.list:
        print("\n".join(f"{name:14} {row[0]}" for name, row in ROWS.items()))
        return 0
    if not os.access(os.path.join(o.build, "perf/coral-perf"), os.X_OK):
        parser.error(f"--build: \"{o.build}\" has no perf/coral-perf; build it there")
    bars, rows = Bars(o), []
    if not o.json:
        print("| row | what | bar | median (least to most) |\n|---|---|---|---|")
    for name in o.rows or ROWS:
        rows.append(measure(bars, name))
        if not o.json:
            print(table_row(rows[-1]), flush=True)
    if o.json:
        version = subprocess.run((bars.perf, "--version"), capture_output=True, text=True).stdout.strip()
        print(json.dumps({"command": shlex.join(sys.argv), "version": version, "rows": rows}, indent=1))
    if any("absent" in r for r in rows):
        return 3
    return 0 if all(r["holds"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

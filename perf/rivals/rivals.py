#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same load on Coral and on other servers: one machine, one run, one veth pair, in turn.

usage: coral-perf rivals [--kind http|dns] [--client wrk|dnsperf|kxdpgun|coral-perf] [--seconds S] [--repeat N]
                         [--size BYTES] [--connections N] [--rate R] [--memory N] [--out FOLDER] [--json] [NAME...]
  NAME: coral nginx nginx-file varnish trafficserver h2o memcached echo
        coral-dns knot knot-xdp nsd echo-dns

Each server has CPU 0 and the client CPU 1; in each round each is started, warmed, loaded for S seconds
(default 3) and ended. HTTP: wrk asks for one object on N connections (64). DNS: dnsperf, or kxdpgun (past
the kernel, R queries a second, 700000 by default), asks for A of 100,000 names. --client coral-perf: both are
asked past the kernel by coral-perf --wire, and so are memcached, for a value as large as the object, and the
echo, of frames as long as theirs: what the wire itself can do. With --rate R a second are asked by it, by
Poisson's schedule, and times count from it: what they are at a rate that all can do. What is told: medians over
rounds (3) of answers a second, and CPU time an answer: the server's own (user and system, by /proc) and the
softirq time of its CPU. --memory: then memory an object, of N of them (Coral's cache, memcached, Varnish).
--out: a document of each server, for coral-perf compare and plot. Needs root, and what is compared: nginx-light
varnish trafficserver h2o memcached knot nsd wrk dnsperf knot-dnsutils; what is absent is said and left out.
Exit status 3: some rounds of some servers failed, 1: there were errors."""
import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from servers import ORIGIN, SERVER, all_servers  # noqa: E402

CLIENT, WIRE = ORIGIN.split(":")[0], "10.77.0.19"
NAMES = 100000
QPS = 700000 # of kxdpgun: about what it can send here
CLIENTS = {"wrk": ("http", "wrk"), "dnsperf": ("dns", "dnsperf"), "kxdpgun": ("dns", "knot-dnsutils"),
           "coral-perf": (None, "coral-perf")} # whom they can ask, and their packages
HEADERS = 14 + 20 + 32 # Ethernet, IPv4, TCP with timestamps
REQUEST = "GET /object HTTP/1.1\r\nHost: www.site.test\r\nUser-Agent: coral-perf\r\nAccept: */*\r\n\r\n"
MEMCACHED = """
import socket, sys
s = socket.create_connection((sys.argv[1], 11211), timeout=2)
with open(sys.argv[2], "rb") as f:
    value = f.read()
s.sendall(b"set object 0 0 %d\\r\\n" % len(value) + value + b"\\r\\n")
sys.exit(s.recv(100) != b"STORED\\r\\n")
"""
HZ = os.sysconf("SC_CLK_TCK")


def fail(why):
    print(f"coral-perf: rivals: {why}", file=sys.stderr)
    sys.exit(1)


def run(*args, check=True, timeout=60):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    if check and p.returncode != 0:
        fail(f"{' '.join(args)}: {p.stdout.strip()}")
    return p.stdout


class Network:
    """Two namespaces and a veth pair, no offloads: both ends finish their checksums, and segments are
    as long as on a wire. Each end's packets are taken in on its own CPU."""

    def __init__(self):
        self.server, self.client = (f"rivals{os.getpid()}-{x}" for x in ("server", "client"))
        for ns in (self.server, self.client):
            run("ip", "netns", "add", ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "-n", self.server, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
            "netns", self.client)
        for ns, cpu in ((self.server, 1), (self.client, 2)):
            run("ip", "netns", "exec", ns, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso",
                "off", "gro", "off")
            run("ip", "netns", "exec", ns, "sh", "-c",
                f"echo {cpu} > /sys/class/net/eth0/queues/rx-0/rps_cpus")
            run("ip", "netns", "exec", ns, "sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=1")
            run("ip", "-n", ns, "link", "set", "eth0", "up")
        run("ip", "-n", self.client, "addr", "add", f"{CLIENT}/24", "dev", "eth0")

    def address(self, has):
        """Of the server's kernel: not while a server that goes past it has the interface."""
        run("ip", "-n", self.server, "addr", "flush", "dev", "eth0")
        if has:
            run("ip", "-n", self.server, "addr", "add", f"{SERVER}/24", "dev", "eth0")
        run("ip", "-n", self.client, "neigh", "flush", "all")

    def close(self):
        for ns in (self.server, self.client):
            run("ip", "netns", "del", ns, check=False)

    def inside(self, ns, cpu, *args):
        return ("ip", "netns", "exec", ns, "taskset", "-c", str(cpu)) + args


def find(pattern, out):
    """What a client told of itself; without it the round is none."""
    found = re.search(pattern, out)
    if not found:
        raise RuntimeError(f"the client said {(out.strip().splitlines() or ['nothing'])[-1]!r}")
    return found


def tree(pid):
    """A process and all below it."""
    found, below = [], {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    below.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
            except OSError:
                pass
    todo = [pid]
    while todo:
        found.append(todo.pop())
        todo += below.get(found[-1], [])
    return found


def cpu_seconds(pid):
    ticks = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/stat") as f:
                words = f.read().rsplit(")", 1)[1].split()
            ticks += int(words[11]) + int(words[12])
        except OSError:
            pass
    with open("/proc/stat") as f:
        words = next(line for line in f if line.startswith("cpu0 ")).split()
    return ticks / HZ, (int(words[6]) + int(words[7])) / HZ


def client_of(o, server):
    """Who asks it."""
    return o.client or ("coral-perf" if o.rate else "wrk" if server.kind == "http" else "dnsperf")


class Rivals:
    """The lab, and what is done in it."""

    def __init__(self, options):
        self.o = options
        self.folder = tempfile.mkdtemp(prefix="rivals-", dir="/dev/shm")
        os.chmod(self.folder, 0o755)
        self.www = os.path.join(self.folder, "www")
        os.mkdir(self.www)
        with open(os.path.join(self.www, "object"), "wb") as f:
            f.write(bytes(i * 131 % 251 for i in range(options.size)))
        self.net = Network()
        self.procs = []
        self.head = 300 # bytes of a response's; then what corald's has

    def spawn(self, ns, cpu, name, *args):
        with open(os.path.join(self.folder, f"{name}.log"), "ab") as log:
            p = subprocess.Popen(self.net.inside(ns, cpu, *args), stdout=log, stderr=log,
                                 start_new_session=True)
        self.procs.append(p)
        return p

    def end(self, p):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(p.pid, sig)
                p.wait(5)
                break
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.procs.remove(p)

    def close(self):
        for p in list(self.procs):
            self.end(p)
        self.net.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def origin(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "origin.conf")) as f:
            text = f.read()
        for word, value in (("FOLDER", self.folder), ("ORIGIN", ORIGIN), ("WWW", self.www)):
            text = text.replace(f"@{word}@", value)
        with open(os.path.join(self.folder, "origin.conf"), "w") as f:
            f.write(text)
        self.spawn(self.net.client, 1, "origin", "nginx", "-c", f"{self.folder}/origin.conf", "-e",
                   f"{self.folder}/origin.log")

    def names(self):
        """The zone's file, and dnsperf's queries, all names in no order."""
        with open(os.path.join(self.folder, "zone"), "w") as f:
            f.write("$ORIGIN rivals.test.\n$TTL 30\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
                    f"ns A {SERVER}\n")
            for i in range(NAMES):
                f.write("".join(f"n{i:08} A 192.0.2.{1 + (i + k) % 16}\n" for k in range(4)))
        with open(os.path.join(self.folder, "queries"), "w") as f:
            f.writelines(f"n{i * 7919 % NAMES:08}.rivals.test A\n" for i in range(NAMES))

    def ask(self, server):
        """Is it there, and right?"""
        if server.echo:
            with open(os.path.join(self.folder, f"{server.name}.log")) as f:
                return "serves on" in f.read()
        if server.name == "memcached":
            return subprocess.run(self.net.inside(self.net.client, 1, sys.executable, "-c", MEMCACHED, SERVER,
                                                  f"{self.www}/object"), stderr=subprocess.DEVNULL).returncode == 0
        if server.kind == "http":
            p = subprocess.run(self.net.inside(self.net.client, 1, "curl", "-s", "-m", "2", "-w",
                                               "%{stderr}%{size_header}", "-H", "Host: www.site.test",
                                               f"http://{SERVER}/object"), capture_output=True)
            if server.name == "coral" and p.stderr.isdigit():
                self.head = int(p.stderr)
            with open(os.path.join(self.www, "object"), "rb") as f:
                return p.stdout == f.read()
        out = run(*self.net.inside(self.net.client, 1, "dig", "+short", "+time=1", "+tries=1",
                                   f"@{SERVER}", "n00000007.rivals.test"), check=False)
        return ("192.0.2." if server.name != "coral-dns" else SERVER) in out

    def load(self, server):
        """Answers a second, p99 in us or None, errors."""
        if server.alien or client_of(self.o, server) == "coral-perf":
            return self.load_past_kernel(server)
        if client_of(self.o, server) == "kxdpgun":
            return self.load_kxdpgun()
        if server.kind == "http":
            out = run(*self.net.inside(
                self.net.client, 1, "wrk", "-t", "1", "-c", str(self.o.connections), "-d",
                f"{self.o.seconds}s", "--latency", "-H", "Host: www.site.test",
                f"http://{SERVER}/object"), timeout=self.o.seconds + 30)
            rate = float(find(r"Requests/sec: +([\d.]+)", out).group(1))
            n, unit = find(r"99% +([\d.]+)(us|ms|s)", out).groups()
            bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
            gone = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
            return (rate, float(n) * {"us": 1, "ms": 1e3, "s": 1e6}[unit],
                    (int(bad.group(1)) if bad else 0) + sum(map(int, gone.groups()) if gone else ()))
        out = run(*self.net.inside(
            self.net.client, 1, "dnsperf", "-s", SERVER, "-d", f"{self.folder}/queries", "-l",
            str(self.o.seconds), "-T", "1", "-c", "4", "-q", "100"), timeout=self.o.seconds + 30)
        rate = float(find(r"Queries per second: +([\d.]+)", out).group(1))
        lost = int(find(r"Queries lost: +(\d+)", out).group(1))
        codes = find(r"Response codes: +(.*)", out).group(1)
        return rate, None, lost + (0 if re.fullmatch(r"NOERROR \d+ \(100.00%\)", codes.strip()) else 1)

    def load_kxdpgun(self):
        """More than a server can do is offered: what it does not answer is no error."""
        out = run(*self.net.inside(
            self.net.client, 1, "kxdpgun", "-t", str(self.o.seconds), "-Q", str(self.o.rate or QPS), "-b", "32",
            "-F", "1", "-i", f"{self.folder}/queries", SERVER), timeout=self.o.seconds + 30)
        replies, rate = find(r"total replies: +(\d+) \((\d+) pps\)", out).groups()
        right = find(r"responded NOERROR: +(\d+)", out).group(1)
        return float(rate), None, int(replies) - int(right)

    def load_past_kernel(self, server):
        """Whether coral-perf's own account is whole does not matter here: errors do."""
        what = ["--address", f"{WIRE}/24", "--server", SERVER]
        if server.echo:
            reply = HEADERS + self.head + self.o.size if server.kind == "http" else 145
            what = ["--size", str(HEADERS + len(REQUEST) if server.kind == "http" else 81), "--reply",
                    str(min(reply, 1514))]
        elif server.kind == "dns":
            what += ["--name", "n########.rivals.test", "--objects", str(NAMES), "--active", "256"]
        elif server.name == "memcached":
            what += ["--memcached", "object", "--connections", str(self.o.connections)]
        else:
            what += ["--host", "www.site.test", "--path", "/object", "--connections", str(self.o.connections)]
        if self.o.rate and not server.echo:
            what += ["--rate", str(self.o.rate), "--poisson"]
        elif server.kind == "http" and not server.echo:
            what += ["--closed"]
        p = subprocess.run(self.net.inside(
            self.net.client, 1, os.environ.get("CORAL_PERF", "coral-perf"),
            "echo" if server.echo else server.kind, "--wire", "af_xdp:eth0", *what, "--seconds",
            str(self.o.seconds), "--no-huge", "--json"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=self.o.seconds + 60)
        try:
            r = json.loads(p.stdout)["results"][0]
            return r["ops_per_s"], r["p99_us"], r["errors"] + r.get("given_up", 0)
        except (ValueError, KeyError):
            raise RuntimeError(p.stderr.strip().splitlines()[-1] if p.stderr else "no result") from None

    def measured(self, server, results, turn):
        """Thrice at most: who had the interface by XDP before may not have let go of it yet."""
        for left in (2, 1, 0):
            try:
                results.append(self.measure(server))
                return True
            except (RuntimeError, subprocess.TimeoutExpired) as e:
                why = e
            time.sleep(left)
        print(f"{server.name}: round {turn + 1}: {why}", file=sys.stderr)
        return False

    def measure(self, server):
        folder = os.path.join(self.folder, server.name)
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        with open(os.path.join(folder, "cluster.key"), "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("00112233445566778899aabbccddeeff\n")
        if server.kind == "dns":
            os.link(os.path.join(self.folder, "zone"), os.path.join(folder, "zone"))
        command = server.write(folder, self.www)
        self.net.address(not server.xdp)
        open(os.path.join(self.folder, f"{server.name}.log"), "w").close()
        p = self.spawn(self.net.server, 0, server.name, *command)
        try:
            until = time.time() + 20
            while not self.ask(server):
                if p.poll() is not None or time.time() > until:
                    with open(os.path.join(self.folder, f"{server.name}.log"), errors="replace") as f:
                        raise RuntimeError((f.read().strip().splitlines() or ["no answer"])[-1])
                time.sleep(0.2)
            began, before = time.time(), cpu_seconds(p.pid)
            rate, p99, errors = self.load(server)
            after = cpu_seconds(p.pid)
        finally:
            self.end(p)
        if rate <= 0:
            raise RuntimeError("no answers")
        answers = rate * self.o.seconds
        result = {"began_s": began, "ops_per_s": rate, "errors": errors,
                  "cpu_us_per_op": 1e6 * (after[0] - before[0]) / answers,
                  "softirq_us_per_op": 1e6 * (after[1] - before[1]) / answers}
        if p99 is not None:
            result["p99_us"] = p99
        return result


def table(servers, results, first):
    print(f"{'server':14} {'answers/s':>10} {'least':>10} {'most':>10} {'cpu us':>8} {'softirq':>8} "
          f"{'p99 us':>9} {'errors':>7}  ratio to {first}")
    for s in servers:
        r = results[s.name]
        if not r:
            continue

        def mid(field):
            return statistics.median(x.get(field, 0) for x in r)
        ratio = mid("ops_per_s") / statistics.median(x["ops_per_s"] for x in results[first]) \
            if results.get(first) else 0
        print(f"{s.name:14} {mid('ops_per_s'):10.0f} {min(x['ops_per_s'] for x in r):10.0f} "
              f"{max(x['ops_per_s'] for x in r):10.0f} {mid('cpu_us_per_op'):8.2f} "
              f"{mid('softirq_us_per_op'):8.2f} {mid('p99_us'):9.0f} "
              f"{sum(x['errors'] for x in r):7}  {ratio:.2f}" + (f"  ({s.note})" if s.note else ""))


def memory(objects, size):
    """Bytes an object takes beside its body, by memory.py, which says what is absent."""
    script = next(p for p in (os.path.join(os.path.dirname(os.path.abspath(__file__)), x, "memory.py")
                              for x in ("", "..")) if os.path.exists(p))
    p = subprocess.run((sys.executable, script, "--objects", str(objects), "--size", str(size)),
                       stdout=sys.stderr, env=dict(os.environ, CORAL=os.environ.get("CORAL_PERF", "coral-perf")))
    return p.returncode


def document(server, results, revision):
    with open("/proc/cpuinfo") as f:
        cpu = re.search(r"model name\s*: (.*)", f.read())
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", server.package],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return {"format": 1, "name": f"rivals {server.name}",
            "command": " ".join(["coral-perf", "rivals"] + sys.argv[1:]), "revision": revision,
            "kernel": platform.release(),
            "machine": {"cpus": os.cpu_count(), "cpu": cpu.group(1) if cpu else "",
                        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")},
            "versions": {server.package: version or revision}, "results": results}


def main():
    class Parser(argparse.ArgumentParser):
        def error(self, message):
            print(f"coral-perf: rivals: {message}", file=sys.stderr)
            sys.exit(2)
    parser = Parser(prog="coral-perf rivals", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--kind", choices=("http", "dns"), default=None)
    parser.add_argument("--client", choices=CLIENTS, default=None)
    for name, default in (("seconds", 3), ("repeat", 3), ("size", 1024), ("connections", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--out")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    servers = all_servers()
    unknown = set(o.names) - {s.name for s in servers}
    if unknown:
        parser.error(f"\"{sorted(unknown)[0]}\" is no server; there are " +
                     ", ".join(s.name for s in servers))
    for name in ("seconds", "repeat", "size", "connections"):
        if getattr(o, name) < 1:
            parser.error(f"--{name}: \"{getattr(o, name)}\" is no number above 0")
    for name in ("rate", "memory"):
        if getattr(o, name) < 0:
            parser.error(f"--{name}: \"{getattr(o, name)}\" is no number above 0")
    if o.rate and o.client in ("wrk", "dnsperf"):
        parser.error(f"--client: \"{o.client}\" has no --rate; coral-perf and kxdpgun have")
    if os.geteuid() != 0:
        fail("it makes network namespaces: run it as root")
    if len(os.sched_getaffinity(0)) < 2:
        fail("it needs two CPUs")
    wanted = [s for s in servers if (s.name in o.names or not o.names) and (not o.kind or s.kind == o.kind)]
    for s in list(wanted):
        client = client_of(o, s)
        kind, package = CLIENTS[client]
        if kind not in (None, s.kind) or (s.alien and client != "coral-perf" and s.name not in o.names):
            wanted.remove(s)
        elif client != "coral-perf" and not s.alien and not shutil.which(client):
            print(f"{s.name}: left out, its client {client} (package {package}) is not here", file=sys.stderr)
            wanted.remove(s)
        elif s.missing():
            print(f"{s.name}: left out, {s.missing()} is not here", file=sys.stderr)
            wanted.remove(s)
    results = {s.name: [] for s in wanted}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # what was made goes then, too
    rivals = Rivals(o)
    try:
        rivals.origin()
        if any(s.kind == "dns" for s in wanted):
            rivals.names()
        for turn in range(o.repeat):
            for s in wanted:
                if not rivals.measured(s, results[s.name], turn):
                    continue
                print(f"{s.name}: round {turn + 1}: {results[s.name][-1]['ops_per_s']:.0f} a second",
                      file=sys.stderr)
    finally:
        rivals.close()
    revision = os.environ.get("CORAL_REVISION", "unknown")
    documents = {s.name: document(s, results[s.name], revision) for s in wanted if results[s.name]}
    if o.out:
        os.makedirs(o.out, exist_ok=True)
        for name, d in documents.items():
            with open(os.path.join(o.out, f"{name}.json"), "w") as f:
                json.dump(d, f, indent=1)
    spoilt = memory(o.memory, o.size) if o.memory else 0
    if o.json:
        json.dump(list(documents.values()), sys.stdout, indent=1)
        print()
    else:
        for kind, first in (("http", "coral"), ("dns", "coral-dns")):
            some = [s for s in wanted if s.kind == kind]
            if some:
                table(some, results, first)
    if any(x["errors"] for r in results.values() for x in r) or not documents or spoilt:
        sys.exit(1)
    sys.exit(3 if any(len(results[s.name]) < o.repeat for s in wanted) else 0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on one node, each bounded in count and time, while real clients go on being served.

    (nothing)      every story once, about 45 s
    --long         floods of 20 s, abuses of 10 s, both families of all, and what attackers leave
                   behind without a word; some 8 minutes
    --only NAMES   of syn, neighbours, ports, ack, rst, live, abuse, readers: these alone

The port's echo rate is how many echo requests of 42 bytes a second the node answers when as many
come as one sender can make: the best of three tries. Floods have 80 % of it, in frames. Real
clients are curl: during each attack five small pages and one of 4 MiB from the cache and a page
that is new, over both families, one after the other, each whole within 10 s.

What an attack costs is told as worker_busy_cycles_total by worker_rx_packets_total, beside the
same of wrk's requests for 1 KiB in the same run. Ten times that is the bound: no claim of speed,
but less than a segment that makes the node send hundreds, or walk through all that it holds.
"""
import argparse
import json
import os
import subprocess
import time

from story import HOST, Lab, run, tell

SHARE = 0.8          # of the echo rate
REACHED = 0.7        # of what a flood should have: a machine has other work too
CYCLES_BOUND = 10    # times ordinary traffic's cycles a packet
ANSWERS_BOUND = 3    # segments out for one in
A_SECOND = 1500      # challenge ACKs, and RSTs without a connection: 1000 on average
A_CONNECTION = 2     # challenge ACKs a second of one connection
LIVE_PORT = 5100     # and above: of clients that are attacked
NETWORK_LIMIT = 300  # connections_per_network of this node
FLOOR = 1000         # tcp.reader_floor of this node
READER_ROUND = 20    # seconds that a reader is measured over
HALF_OPEN_MAX = 6144 # three quarters of the SYN table
BLOCKS_MAX = 14336   # seven eighths: the last are for bytes in order
HALF_OPEN_LIFE = 31  # seconds
NEW_PAGES = 600
SMALL, BIG, HUGE = "/small", "/big", "/huge"
ATTACKER, ABUSER = ("10.1.0.66", "fd00:1::66"), ("10.1.0.67", "fd00:1::67")

# Readers of one object: a count that never reads, a count that reads BYTES a second. They are told
# apart in the end by who was reset.
READERS = """
import json, select, socket, sys, time
address, own, host, path, still, slow, fair, seconds = sys.argv[1:]
kinds = ["still"] * int(still) + ["slow"] * int(slow) + ["fair"] * int(fair)
pace = {"still": 0, "slow": 100, "fair": 8000}
socks = []
for kind in kinds:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(5)
    s.bind((own, 0))
    s.connect((address, 80))
    s.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    s.setblocking(False)
    socks.append([s, kind, 0, False])
print("ready", flush=True)
start = time.time()
while (now := time.time() - start) < float(seconds):
    for x in socks:
        s, kind, taken, gone = x
        if gone:
            continue
        try:
            x[3] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
            if not x[3] and pace[kind] * now > taken:
                x[2] += len(s.recv(max(1, int(pace[kind] * now - taken))))
        except BlockingIOError:
            pass
        except OSError:
            x[3] = True
    time.sleep(0.05)
print(json.dumps({k: sum(x[3] for x in socks if x[1] == k) for k in pace}))
"""

# Opens and closes: each request on a connection of its own, which the server closes first.
CLOSERS = """
import socket, sys, time
address, host, path, count, size = sys.argv[1:]
done = failed = 0
until = time.time() + 30
request = f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode()
while done + failed < int(count) and time.time() < until:
    try:
        s = socket.create_connection((address, 80), 5)
        s.sendall(request)
        got = b""
        while block := s.recv(65536):
            got += block
        s.close()
        head, _, body = got.partition(b"\\r\\n\\r\\n")
        if not head.startswith(b"HTTP/1.1 200") or len(body) != int(size):
            raise OSError
        done += 1
    except OSError:
        failed += 1
print(done, failed)
"""

# Connections that only stand there.
STANDERS = """
import socket, sys, time
address, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
socks = []
for i in range(count):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((address, 80))
    except OSError:
        continue
    socks.append(s)
print(len(socks), flush=True)
time.sleep(seconds)
"""


class Attack:
    def __init__(self, s, long):
        self.s, self.lab, self.long = s, s.lab, long
        self.new = 0
        self.files = {SMALL: s.rng.randbytes(1024), BIG: s.rng.randbytes(4 << 20),
                      HUGE: s.rng.randbytes(12 << 20)}
        self.files.update({f"/new/{i}": s.rng.randbytes(20000) for i in range(NEW_PAGES)})
        lab = s.lab
        lab.router()
        lab.origin(self.files)
        lab.client(1, 1)
        lab.host("a1")
        lab.link("a1", 1, [f"{ATTACKER[0]}/24", f"{ATTACKER[1]}/64", f"{ABUSER[0]}/24",
                           f"{ABUSER[1]}/64"])
        # abusers have a TCP of their own: the kernel's must not speak for them
        for tables, address in zip(("iptables", "ip6tables"), ABUSER):
            run(*lab.inside("a1", tables, "-I", "INPUT", "-d", address, "-p", "tcp", "--sport",
                            "80", "-j", "DROP"))
        # answers to sources that do not exist end here
        for net in ("198.18.0.0/16", "fd00:bad::/64"):
            run("ip", "-n", lab.ns("router"), "route", "add", "blackhole", net)
        lab.node(1, extra=f"tcp: {{connections_per_network: {NETWORK_LIMIT}, "
                 f"reader_floor: {FLOOR}}}\n")
        lab.node_wait([1])
        self.mac = json.loads(run("ip", "-j", "-n", lab.ns("n1"), "link", "show",
                                  "eth0").stdout)[0]["address"]
        for path in (SMALL, BIG, HUGE):
            s.expect(s.curl("c1", 1, path)[1] == self.files[path], f"{path} is in the cache")

    # --- what the node says --------------------------------------------------------------------
    def stats(self):
        got = self.lab.ctl(1, "stats", "--all")["counters"]
        return {name: int(c["value"]) for name, c in got.items()}

    def during(self, attack):
        """attack() and what the node counted meanwhile: (its answer, differences, seconds)."""
        before, start = self.stats(), time.time()
        answer = attack()
        after = self.stats()
        return answer, {k: after[k] - before.get(k, 0) for k in after}, time.time() - start

    # --- real clients --------------------------------------------------------------------------
    def clients(self, what, attack=None):
        """Five small pages, one big, one new, over both families: how long the slowest took. Once;
        in a long run again as long as the attack lasts."""
        pages, worst, wrong = 0, 0.0, []
        while not pages or self.long and attack and attack.poll() is None and not wrong:
            self.new = (self.new + 1) % (NEW_PAGES // 2)
            for v6 in (False, True):
                for path in [SMALL] * 5 + [BIG, f"/new/{2 * self.new + v6}"]:
                    start = time.time()
                    status, body, _ = self.s.curl("c1", 1, path, "--max-time", "10", v6=v6)
                    worst = max(worst, time.time() - start)
                    pages += 1
                    if status != 200 or body != self.files[path]:
                        wrong.append(f"{path} over {'IPv6' if v6 else 'IPv4'}: {status}")
        return self.s.expect(not wrong and worst < 10, f"{what}: {pages} pages, the slowest in "
                             f"{worst:.2f} s{'; wrong: ' + ', '.join(wrong) if wrong else ''}")

    # --- attackers -----------------------------------------------------------------------------
    def flood(self, kind, *options, v6=False):
        # before the others: in earnest it has a machine of its own
        return subprocess.Popen(self.lab.inside(
            "a1", "nice", "-n", "-10",
            os.path.join(self.lab.build, "tests", "lab", "coral-flood"), "--mac", self.mac, "--to",
            Lab.node_v6(1) if v6 else Lab.node_v4(1), "--seed", str(time.time_ns()), "--count",
            "50000000", *options, kind), stdout=subprocess.PIPE, text=True)

    def abuse(self, kind, seconds, *options, v6=False):
        return subprocess.Popen(self.lab.inside(
            "a1", os.path.join(self.lab.build, "tests", "lab", "coral-abuse"), "--mac", self.mac,
            "--to", Lab.node_v6(1) if v6 else Lab.node_v4(1), "--from", ABUSER[v6], "--host", HOST,
            "--path", HUGE, "--seconds", str(seconds), "--count", "50000000", *options, kind),
            stdout=subprocess.PIPE, text=True)

    @staticmethod
    def ended(p, seconds=150):
        out = p.communicate(timeout=seconds)[0]
        if p.returncode != 0:
            raise KeyError(f"{' '.join(p.args[4:])}: status {p.returncode}")
        return json.loads(out.splitlines()[-1])

    def script(self, host, text, *args):
        return subprocess.Popen(self.lab.inside(host, "/usr/bin/python3", "-c", text, *args),
                                stdout=subprocess.PIPE, text=True)


def cycles(d):
    return d["worker_busy_cycles_total"] / max(d["worker_rx_packets_total"], 1)


# --- floods ------------------------------------------------------------------------------------

def echo_rate(a):
    best = 0
    for _ in range(3):
        told, d, _ = a.during(lambda: a.ended(a.flood("echo", "--from", ATTACKER[0], "--seconds",
                                                      "1")))
        best = max(best, d["net_echo_replies_total"] / told["seconds"])
    a.s.expect(best > 1000, f"the port's echo rate: {best / 1000:.0f} k/s")
    return int(best)


def one_flood(a, name, kind, rate, *options, v6=False, beside=lambda: ()):
    """The flood and its clients. Returns what it sent, the node's differences and the time. A
    sender that the machine kept from its core has attacked nobody: it tries again. beside() is
    called before each try and gives further options."""
    def attack():
        p = a.flood(kind, "--rate", str(rate), "--seconds", "20" if a.long else "2", *options,
                    *beside(), v6=v6)
        time.sleep(0.2)
        a.clients(name, p)
        return a.ended(p)
    for _ in range(3):
        told, d, seconds = a.during(attack)
        if told["rate"] > REACHED * rate:
            break
    came = d["net_frames_total"] / max(told["sent"], 1)
    a.s.expect(told["rate"] > REACHED * rate and came > 0.5,
               f"{name}: {told['rate'] / 1000:.0f} k/s of {rate / 1000:.0f} k/s sent for "
               f"{told['seconds']:.1f} s, {min(came, 1) * 100:.0f} % came in, "
               f"{cycles(d):.0f} cycles a packet")
    return told, d, seconds


def families(a):
    """IPv4 and, in a long run, IPv6: (over IPv6, its name, sources that do not exist)."""
    for v6 in ((False, True) if a.long else (False,)):
        yield v6, "IPv6" if v6 else "IPv4", ("--from", "fd00:bad::/64" if v6 else "198.18.0.0/16")


def syn_story(a):
    for v6, source in ((False, "198.18.0.0/16"), (True, "fd00:bad::/64")):
        family = "IPv6" if v6 else "IPv4"
        told, d, _ = one_flood(a, f"SYN flood over {family}", "syn", a.rate, "--from", source,
                               v6=v6)
        half, came = a.stats()["tcp_half_open"], d["tcp_segments_in_total"]
        answered = d["tcp_cookie_sent_total"] + max(d["tcp_half_open"], 0)
        a.s.expect(answered > 0.9 * came - 10000 and half <= HALF_OPEN_MAX and
                   d["tcp_syn_dropped_total"] == 0,
                   f"of {came} segments {d['tcp_cookie_sent_total']} had a cookie, "
                   f"{d['tcp_syn_dropped_total']} were dropped; half-open: {half}")


def ack_story(a):
    for v6, family, source in families(a):
        told, d, seconds = one_flood(a, f"ACK flood over {family}", "ack", a.rate, *source, v6=v6)
        rsts, held = d["tcp_rst_out_total"], d["tcp_rst_limited_total"]
        stray = d["tcp_no_connection_total"]
        a.s.expect(stray > 0.45 * told["sent"] and rsts + held >= stray - 100 and
                   0 < rsts < A_SECOND * (seconds + 1),
                   f"{stray} ACKs for no connection: {rsts} had an RST ({rsts / seconds:.0f}/s), "
                   f"{held} none; {d['tcp_cookie_refused_total']} looked at as cookies")


def rst_story(a):
    for v6, family, source in families(a):
        told, d, _ = one_flood(a, f"RST flood over {family}", "rst", a.rate, *source, v6=v6)
        a.s.expect(d["tcp_no_connection_total"] > 0.45 * told["sent"] and
                   d["tcp_rst_out_total"] < 50,
                   f"{d['tcp_no_connection_total']} RSTs for no connection; "
                   f"{d['tcp_rst_out_total']} RSTs sent")


def live_story(a):
    """All of it at one tuple that lives, as if somebody knew it. By the rule of RFC 793 an RST
    anywhere in the window counts: some dozens of these would."""
    downloads = []
    def download():
        port = LIVE_PORT + len(downloads)
        into = os.path.join(a.lab.folder, f"download-{port}") # nobody reads a pipe meanwhile
        downloads.append((subprocess.Popen(a.lab.inside(
            "c1", "curl", "-sS", "--limit-rate", "300K" if a.long else "3M", "--local-port",
            str(port), "-H", f"Host: {HOST}", "--max-time", "90", "-o", into,
            f"http://{Lab.node_v4(1)}{HUGE}")), into))
        time.sleep(0.3)
        return "--ports", f"{port}-{port}"
    for kind in ("rst", "ack"):
        told, d, seconds = one_flood(a, f"{kind.upper()} flood at a live tuple", kind, a.rate,
                                     "--from", "10.1.0.101", beside=download)
        sent, held = d["tcp_challenge_ack_total"], d["tcp_challenge_limited_total"]
        outside = d["tcp_out_of_window_total"]
        a.s.expect(d["tcp_reset_in_total"] == 0 and 0 < sent < A_CONNECTION * (seconds + 1) and
                   outside + sent + held > 0.2 * told["sent"], # it may be over before the flood
                   f"a download on it goes on; {outside} segments outside its window, {sent} "
                   f"challenge ACKs, {held} withheld")
    whole = []
    for p, into in downloads:
        p.wait(100)
        with open(into, "rb") as f:
            whole.append(p.returncode == 0 and f.read() == a.files[HUGE])
    a.s.expect(all(whole), f"and ends whole: {whole}")


def neighbours_story(a):
    """Sources on the node's own link, none of which exists."""
    s = a.s
    for v6 in ((False, True) if a.long else (True,)):
        source = "fd00:1::/64" if v6 else "10.1.0.128/25"
        family = "IPv6" if v6 else "IPv4"
        told, d, seconds = one_flood(a, f"SYN flood from neighbours that are none, {family}",
                                     "syn", 20000, "--from", source, v6=v6)
        asked = d["net_solicitations_total"]
        s.expect(0 < asked < 200 * (seconds + 2), f"{asked} solicitations, "
                 f"{d['net_solicitations_limited_total']} withheld; "
                 f"{d['net_neighbours_evicted_total']} neighbours displaced")


# --- readers -----------------------------------------------------------------------------------

class Readers:
    """Those that hold what they asked for: begun early, judged when their time is over."""
    STILL, SLOW, FAIR = 40, 8, 2

    def __init__(self, a):
        self.a, self.before, self.start = a, a.stats(), time.time()
        self.readers = [a.script("a1", READERS, address, own, HOST, BIG, str(self.STILL),
                                 str(self.SLOW), str(self.FAIR), str(READER_ROUND + 10))
                        for address, own in ((Lab.node_v4(1), ATTACKER[0]),
                                             (Lab.node_v6(1), ATTACKER[1]))]
        for p in self.readers:
            p.stdout.readline()
        now = a.stats()
        held = now["tcp_connections"] - self.before["tcp_connections"]
        a.s.expect(held == 2 * (self.STILL + self.SLOW + self.FAIR), f"{held} readers hold "
                   f"connections, {now['tcp_blocks_used']} blocks are in use")

    def judge(self):
        a = self.a
        told = [json.loads(p.communicate(timeout=60)[0].splitlines()[-1]) for p in self.readers]
        d = {k: v - self.before[k] for k, v in a.stats().items()}
        bad = 2 * (self.STILL + self.SLOW)
        a.s.expect(d["tcp_slow_reader_total"] == bad, f"below {FLOOR} bytes a second for "
                   f"{READER_ROUND} s: {d['tcp_slow_reader_total']} of {bad} reset, "
                   f"{d['tcp_probe_total']} zero-window probes before")
        a.s.expect(all(t["still"] == self.STILL and t["slow"] == self.SLOW and t["fair"] == 0
                       for t in told), f"as they saw it: {told}")


# --- ports -------------------------------------------------------------------------------------

def ports_story(a):
    s, lab = a.s, a.lab
    count = 20000 if a.long else 2000
    lab.sysctl("c1", "net.ipv4.ip_local_port_range", "50000 50255")
    def closers():
        p = a.script("c1", CLOSERS, Lab.node_v4(1), HOST, SMALL, str(count), "1024")
        return [int(x) for x in p.communicate(timeout=60)[0].split()]
    (done, failed), d, seconds = a.during(closers)
    reused = d["tcp_time_wait_reused_total"]
    s.expect(failed == 0 and done > 256 and reused > done / 2,
             f"{done} connections of 256 ports in {seconds:.1f} s, {failed} failed: "
             f"{reused} began where the one before was in TIME-WAIT")
    lab.sysctl("c1", "net.ipv4.ip_local_port_range", "10000 65000")

    def standers():
        p = a.script("a1", STANDERS, Lab.node_v4(1), str(NETWORK_LIMIT + 200), "3")
        stood = int(p.stdout.readline())
        a.clients(f"{stood} connections of one address stand there")
        now = lab.ctl(1, "tcp", ATTACKER[0])["matched"]
        p.wait(20)
        return now
    now, d, _ = a.during(standers)
    refused = d["tcp_prefix_refused_total"]
    s.expect(refused > 100 and now <= NETWORK_LIMIT, f"{now} connections of {NETWORK_LIMIT} "
             f"that a network may have; {refused} third segments dropped")


# --- abuses ------------------------------------------------------------------------------------

# kind, connections, frames a second: islands so that they take all blocks that they may
ABUSES = (("islands", 250, 100000), ("tiny", 32, 20000), ("sack", 4, 20000), ("holes", 8, 20000),
          ("mss", 4, 20000))


def abuse_story(a):
    s, lab = a.s, a.lab
    seconds = 10 if a.long else 2
    def ordinary():
        p = run(*lab.inside("c1", "wrk", "-t1", "-c16", f"-d{seconds}s", "-H", f"Host: {HOST}",
                            f"http://{Lab.node_v4(1)}{SMALL}"), timeout=60)
        return next((x for x in p.stdout.splitlines() if "Requests/sec" in x), p.stdout)
    told, d, _ = a.during(ordinary)
    usual = cycles(d)
    connections_then = a.stats()["tcp_connections"]
    s.expect(d["worker_rx_packets_total"] > 1000, f"ordinary traffic, {told.strip()}: "
             f"{usual:.0f} cycles a packet")
    for v6, family, _ in families(a):
        for i, (kind, connections, rate) in enumerate(ABUSES):
            one_abuse(a, kind, seconds, usual, "--connections", str(connections), "--rate",
                      str(rate), "--ports", str(20000 + 1000 * i), *(["--leave"] if v6 else []),
                      v6=v6)
            if not v6: # the others are the node's to clear away
                lab.wait(lambda: a.stats()["tcp_connections"] <= connections_then + 2, 3,
                         f"after {kind}: {a.stats()['tcp_connections']} connections of "
                         f"{connections_then}")


def one_abuse(a, kind, seconds, usual, *options, v6=False):
    def attack():
        p = a.abuse(kind, seconds, *options, v6=v6)
        time.sleep(0.5)
        seen.append(a.stats()["tcp_blocks_used"])
        a.clients(f"{kind} over {'IPv6' if v6 else 'IPv4'}", p)
        while p.poll() is None:
            seen.append(a.stats()["tcp_blocks_used"])
            time.sleep(0.1)
        return a.ended(p)
    seen = []
    told, d, _ = a.during(attack)
    blocks = max(seen)
    ratio, out = cycles(d) / usual, d["tcp_segments_out_total"] / max(d["tcp_segments_in_total"], 1)
    worth = kind != "mss" or told["bytes"] > 40 * told["received"] # the floor under an MSS is 64
    a.s.expect(told["opened"] > 0 and told["sent"] > 1000 and ratio < CYCLES_BOUND and
               out < ANSWERS_BOUND and worth and
               (kind != "islands" or blocks <= BLOCKS_MAX),
               f"{kind}: {told['sent']} sent, {told['received']} received, {ratio:.1f} times "
               f"ordinary cycles a packet, {out:.1f} segments out for one in, {blocks} blocks, "
               f"{told['bytes'] / max(told['received'], 1):.0f} bytes a segment")


# --- the end -----------------------------------------------------------------------------------

def quiet(a):
    """What attackers held is given back, all of it."""
    def held():
        now = a.stats()
        return {k: now[k] for k in ("tcp_half_open", "http_connections", "tcp_blocks_used",
                                    "proxy_requests", "proxy_fills", "tcp_time_wait")
                if now[k]}, now["tcp_connections"] - now["http_client_idle"]
    until = time.time() + (150 if a.long else HALF_OPEN_LIFE + 10)
    while time.time() < until and held() != ({}, 0):
        time.sleep(0.2)
    a.s.expect(held() == ({}, 0), f"nothing is held in the end: {held()}")
    a.s.expect(a.lab.nodes[1].poll() is None, "the node lives")
    a.lab.nodes[1].terminate()
    a.s.expect(a.lab.nodes[1].wait(15) == 0, f"SIGTERM: status {a.lab.nodes[1].returncode}")


# first those whose half-open connections take longest to go
STORIES = {"ports": ports_story, "syn": syn_story, "neighbours": neighbours_story,
           "ack": ack_story, "rst": rst_story, "live": live_story, "abuse": abuse_story,
           "readers": None} # begin with the first, are judged after the last


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--long", action="store_true")
    p.add_argument("--only", default=",".join(STORIES), metavar="NAMES")
    p.add_argument("--name", default="attacks", help="of the namespaces, to run beside another")
    o = p.parse_args()
    only = o.only.split(",")
    if strange := [x for x in only if x not in STORIES]:
        p.error(f"--only: no story {strange[0]}; there are {', '.join(STORIES)}")

    def story(s):
        a = Attack(s, o.long or bool(os.environ.get("CORAL_LONG")))
        readers = Readers(a) if "readers" in only else None
        if set(only) & {"syn", "ack", "rst", "live"}:
            a.rate = int(echo_rate(a) * SHARE)
        for name, tale in STORIES.items():
            if name in only and tale:
                tale(a)
        if readers:
            readers.judge()
        quiet(a)

    tell(o.name, story)


main()

# SPDX-License-Identifier: BSD-3-Clause
"""Our TCP against the kernel's, through coral-hop, in both roles and over both families.

    (nothing)        hashes under loss, bursts, reordering, duplication and damage, over veth and
                     TAP; a few seconds
    --long           10 GiB at 1 % and 5 % loss, 1 GiB at 100 ms, 32 MiB at 100 ms and 1 %; hours?
                     --gib N takes N GiB in place of 10
    --ratio          goodput against Linux to Linux on the named link, median of --pairs N (9)
    --jain           fairness beside a Linux CUBIC flow on the named link
    --tail           completion times of 1, 10 and 100 KiB with the tail lost, against Linux

The named link: 200 Mbit/s, 20 ms there and back, a buffer of one bandwidth-delay product, segments
only (no GSO, TSO, GRO at either end). tools/check --long lab gives --long.

What is compared with Linux runs at real-time priority, node and hop: the kernel answers in softirqs,
and on a machine with other work a process that waits for its turn would measure the scheduler.
"""
import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import threading
import time

from story import Lab, run, tell

HERE = os.path.dirname(os.path.abspath(__file__))
NAMED = ("--delay", "10ms", "--rate", "200Mbit", "--buffer", "500000")
SERVER, SERVER_V6 = "10.1.0.77", "fd00:1::77"
SITE_V4, SITE_V6 = "four.test", "six.test"
SITES = f"""{{origin: ["10.9.0.2:80"], allow: [10.9.0.0/24]}}
  {SITE_V4}: {{origin: ["10.9.0.2:8080"], allow: [10.9.0.0/24]}}
  {SITE_V6}: {{origin: ["[fd00:9::2]:8080"], allow: ["fd00:9::/64"]}}"""


def url(address, path):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


class Net:
    """Client c1 behind a hop; n1 (corald) and s1 (Linux) beside it; an origin behind another hop.
    Both servers give out the same objects: stream.py's, /BYTES/SEED."""

    def __init__(self, s, options=(), cache="256MiB", extra=""):
        lab = self.lab = s.lab
        self.s = s
        lab.behind = {"c1", "origin"}
        lab.router()
        lab.client(1, 1)
        lab.host("s1")
        lab.link("s1", 1, [f"{SERVER}/24", f"{SERVER_V6}/64"])
        lab.segments_only("s1")
        lab.host("origin")
        lab.link("origin", 9, ["10.9.0.2/24", "fd00:9::2/64"])
        self.stream("origin", "8080")
        self.server = None
        self.linux("cubic")
        lab.node(1, sites=SITES, cache=cache, extra=extra)
        lab.node_wait([1])
        if options:
            lab.hop("c1", *options)

    def stream(self, host, *args):
        return self.lab.spawn(host, f"stream-{host}", "/usr/bin/python3",
                              os.path.join(HERE, "stream.py"), *args)

    def linux(self, controller):
        """The Linux server beside the node, under this controller."""
        if self.server:
            self.server.terminate()
            self.server.wait(5)
        self.server = self.stream("s1", "80", controller)
        self.lab.wait(lambda: run(*self.lab.inside("s1", "curl", "-s", "http://127.0.0.1/1/1"),
                                  check=False).returncode == 0, 5,
                      f"no Linux server with {controller}: {self.lab.log_tail('stream-s1')}")

    def fetch(self, address, *paths, host=SITE_V4, seconds=30):
        """The SHA-256 of what curl got, one connection for all paths, and curl's status."""
        urls = [url(address, p) for p in paths]
        p = subprocess.Popen(self.lab.inside("c1", "curl", "-sS", "--max-time", str(seconds), "-H",
                                             f"Host: {host}", *urls),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        h, n = hashlib.sha256(), 0
        while block := p.stdout.read1(1 << 20):
            h.update(block)
            n += len(block)
        error = p.stderr.read().decode().strip()
        return h.hexdigest(), n, p.wait() or error

    def identical(self, what, address, *paths, host=SITE_V4, seconds=30):
        want = hashlib.sha256()
        for path in paths:
            for block in stream_of(path):
                want.update(block)
        start = time.time()
        got, n, error = self.fetch(address, *paths, host=host, seconds=seconds)
        took = time.time() - start
        self.s.expect(got == want.hexdigest(), f"{what}: {n} bytes in {took:.2f} s, "
                      f"{n * 8 / took / 1e6:.0f} Mbit/s{f', curl: {error}' if error else ''}")

    def timed(self, address, path, seconds, host=SITE_V4):
        """Bytes a second that curl got, in `seconds` at most."""
        p = subprocess.run(self.lab.inside(
            "c1", "curl", "-s", "-o", "/dev/null", "--max-time", str(seconds), "-H",
            f"Host: {host}", "-w", "%{http_code} %{size_download} %{time_total}",
            url(address, path)), stdout=subprocess.PIPE, text=True)
        code, size, took = p.stdout.split()
        return float(size) / float(took) if code == "200" else 0.0


def stream_of(path):
    sys.path.insert(0, HERE)
    import stream
    return stream.blocks(path)


# --- hashes ------------------------------------------------------------------------------------

ROUGH = ("--delay", "1ms", "--jitter", "200us", "--reorder", "2%", "--duplicate", "1%")
LINKS = (("1 % loss", ("--loss", "1%")),
         ("bursts", ("--burst-enter", "0.3%", "--burst-leave", "30%")),
         ("damage", ("--corrupt", "0.5%")))


def rough(net, node, what, options, seed):
    """An object each family, over links that are rough in each direction."""
    s, lab = net.s, net.lab
    for site, address in ((SITE_V4, Lab.node_v4(node)), (SITE_V6, Lab.node_v6(node))):
        family = "IPv6" if site == SITE_V6 else "IPv4"
        path = f"/{4 << 20}/{seed}"
        # first from the origin over a rough link, then from the cache over another
        lab.hop("origin", *ROUGH, *options, "--seed", str(seed))
        net.identical(f"{what}, {family}, corald fetches from Linux", address, path, host=site)
        seen = lab.hop("origin")
        lab.hop("c1", *ROUGH, *options, "--seed", str(seed))
        net.identical(f"{what}, {family}, corald serves Linux", address, path, host=site)
        served = lab.hop("c1")
        hurt = [sum(x[k] for k in ("lost", "burst_lost", "corrupted"))
                for x in (seen["ba"], served["ab"])]
        s.expect(min(hurt) > 5 and all(x["reordered"] and x["duplicated"] for x in
                                       (seen["ba"], served["ab"])),
                 f"and the links were rough: {hurt[0]} and {hurt[1]} segments lost or damaged")


def short(s):
    """Each direction of each link is rough; what is the object's role changes."""
    net = Net(s)
    lab = net.lab
    for n, (what, options) in enumerate(LINKS):
        rough(net, 1, what, options, n)
    # a TAP sums in the driver, both ways, and takes frames of several parts
    lab.driver = "tap"
    lab.node(2, sites=SITES)
    lab.node_wait([2])
    port = lab.ctl(2, "status")["ports"][0]
    s.expect(port["driver"] == "tap", f"the other node runs on a TAP: {port}")
    for n, (what, options) in enumerate(LINKS):
        rough(net, 2, f"TAP, {what}", options, 10 + n)
    stats = lab.ctl(1, "stats", "--all")["counters"]
    early, there, lost = (int(stats[k]["value"]) for k in (
        "tcp_placed_bytes_total", "cache_placed_bytes_total", "tcp_place_lost_total"))
    s.expect(there > 1 << 20 and early >= there and lost == 0,
             f"and {early} bytes that came out of order were written to their objects at once")
    for i in (1, 2):
        s.expect(lab.nodes[i].poll() is None, f"node {i} lives")


def long(s, gib):
    net = Net(s, cache="2304MiB") # an object may have half of it
    big = f"/{1 << 30}/1"
    address, six = Lab.node_v4(1), Lab.node_v6(1)
    net.identical("1 GiB into the cache, no delay", address, big, seconds=600)
    net.lab.hop("c1", "--delay", "50ms")
    net.identical("1 GiB at 100 ms, corald serves", address, big, seconds=1800)
    net.lab.hop("c1", "--delay", "50ms", "--loss", "1%", "--seed", "1")
    net.identical("32 MiB at 100 ms and 1 %, corald serves", six, f"/{32 << 20}/2", host=SITE_V6,
                  seconds=1800)
    net.lab.hop("c1")
    net.lab.hop("origin", "--delay", "50ms")
    net.identical("1 GiB at 100 ms, corald fetches", address, f"/{1 << 30}/3", seconds=1800)
    net.lab.hop("origin", "--delay", "50ms", "--loss", "1%", "--seed", "1")
    net.identical("32 MiB at 100 ms and 1 %, corald fetches", six, f"/{32 << 20}/4", host=SITE_V6,
                  seconds=1800)
    net.lab.hop("origin")
    for loss in ("1%", "5%"):
        net.lab.hop("c1", "--delay", "100us", "--loss", loss, "--seed", "2")
        net.identical(f"{gib} GiB in one connection at {loss} loss and < 1 ms, corald serves",
                      address, *[big] * gib, seconds=7200)
    net.lab.hop("c1")
    for loss in ("1%", "5%"):
        net.lab.hop("origin", "--delay", "100us", "--loss", loss, "--seed", "2")
        net.identical(f"{gib} GiB at {loss} loss and < 1 ms, corald fetches", six,
                      f"/{gib << 30}/private", host=SITE_V6, seconds=7200)


# --- against Linux -----------------------------------------------------------------------------

def controller(net, name):
    """Restarts the node and turns the Linux server to the same controller."""
    lab = net.lab
    path = os.path.join(lab.folder, "n1.yaml")
    with open(path) as f:
        text = "\n".join(x for x in f.read().splitlines() if not x.startswith("tcp:"))
    with open(path, "w") as f:
        f.write(f"{text}\ntcp: {{congestion_control: {name}}}\n")
    lab.nodes[1].terminate()
    lab.nodes[1].wait(40)
    lab.node_start(1)
    lab.node_wait([1])
    net.linux(name)
    # a path's history must not seed the next connection (corald keeps none)
    run(*lab.inside("s1", "sysctl", "-q", "-w", "net.ipv4.tcp_no_metrics_save=1"))


def ratio(s, pairs, seconds, controllers, losses):
    net = Net(s)
    path = f"/{120 << 20}/1"
    for cc in controllers:
        controller(net, cc)
        net.lab.hop("c1")
        net.timed(Lab.node_v4(1), path, 60) # into the cache
        for loss in losses:
            got = []
            for i in range(pairs):
                pair = []
                order = (Lab.node_v4(1), SERVER) if i % 2 else (SERVER, Lab.node_v4(1))
                for address in order:
                    net.lab.hop("c1", *NAMED, "--ab", "--loss", loss, "--seed", str(i))
                    pair.append(net.timed(address, path, seconds))
                got.append(pair if i % 2 else pair[::-1])
            of = [a / max(b, 1) for a, b in got]
            median = statistics.median(of)
            s.expect(median >= 0.95, f"{cc}, {loss} loss: ratio {median:.3f} "
                     f"(corald {statistics.median(a for a, _ in got) * 8e-6:.1f}, Linux "
                     f"{statistics.median(b for _, b in got) * 8e-6:.1f} Mbit/s; pairs "
                     f"{' '.join(f'{x:.2f}' for x in of)})")


def jain(s, rounds, seconds, controllers):
    """Two downloads into one client at once, one from each, which neither ends early."""
    net = Net(s, cache="1152MiB") # an object may have half of it; a larger one is passed on instead
    path = f"/{480 << 20}/1"
    for cc in controllers:
        controller(net, cc)
        net.linux("cubic")
        net.lab.hop("c1")
        net.timed(Lab.node_v4(1), path, 60)
        for pair in ((Lab.node_v4(1), SERVER), (SERVER, SERVER)):
            index, shares = [], []
            for i in range(rounds):
                net.lab.hop("c1", *NAMED, "--seed", str(i))
                rate = [0.0, 0.0]
                def one(k, address):
                    rate[k] = net.timed(address, path, seconds)
                threads = [threading.Thread(target=one, args=x) for x in enumerate(pair)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
                index.append(sum(rate) ** 2 / (2 * max(sum(x * x for x in rate), 1)))
                shares.append(rate[0] / max(sum(rate), 1))
            what = f"corald's {cc}" if pair[0] != SERVER else "Linux's CUBIC"
            median = statistics.median(index)
            s.expect(median >= 0.9 or pair[0] == SERVER,
                     f"{what} beside Linux's CUBIC: Jain {median:.3f}, its share "
                     f"{statistics.median(shares):.2f} ({' '.join(f'{x:.2f}' for x in shares)}), "
                     f"{rounds} rounds of {seconds} s")


def tail(s, rounds, delay="10ms"):
    """The last one or two segments of an answer are lost once."""
    net = Net(s)
    controller(net, "cubic")
    for size in (1 << 10, 10 << 10, 100 << 10):
        for lost in (1, 2):
            took = {}
            for i in range(rounds):
                for name, address in (("corald", Lab.node_v4(1)), ("Linux", SERVER)):
                    took.setdefault(name, []).append(tail_once(net, address, size, lost, delay))
            mine, other = (statistics.median(took[x]) for x in ("corald", "Linux"))
            s.expect(mine <= other * 1.05 + 2, f"{size >> 10} KiB, the last {lost} lost: corald {mine:.0f} ms, "
                     f"Linux {other:.0f} ms (worst {max(took['corald']):.0f}, "
                     f"{max(took['Linux']):.0f})")


def tail_once(net, address, size, lost, delay):
    """Milliseconds; the answers' heads differ in length, so the number of segments is computed."""
    lab, path = net.lab, f"/{size}/1"
    lab.hop("c1")
    p = run(*lab.inside("c1", "curl", "-sS", "-o", "/dev/null", "-w", "%{size_header}", "-H",
                        f"Host: {SITE_V4}", url(address, path)))
    segments = -(-(int(p.stdout) + size) // 1448)
    first = max(1, segments - lost + 1)
    lab.hop("c1", "--delay", delay, "--ab", "--drop", f"{first}-{segments}", "--drop-over", "100")
    p = run(*lab.inside("c1", "curl", "-sS", "-o", "/dev/null", "--max-time", "20", "-w",
                        "%{time_total} %{http_code} %{size_download}", "-H", f"Host: {SITE_V4}",
                        url(address, path)))
    seconds, code, got = p.stdout.split()
    seen = lab.hop("c1")
    if (code, int(got)) != ("200", size) or seen["ab"]["listed"] != segments - first + 1:
        net.s.expect(False, f"{path} of {address}: {p.stdout}, {seen['ab']}")
    return float(seconds) * 1000


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in ("long", "ratio", "jain", "tail"):
        p.add_argument(f"--{kind}", action="store_true")
    p.add_argument("--gib", type=int, default=10)
    p.add_argument("--pairs", type=int, default=9)
    p.add_argument("--seconds", type=float, default=5, help="of each measured transfer")
    p.add_argument("--cc", default="cubic,reno")
    p.add_argument("--loss", default="0%,0.1%,1%,3%")
    p.add_argument("--name", default="tcp", help="of the namespaces, to run beside another")
    o = p.parse_args()

    def story(s):
        if o.ratio or o.jain or o.tail:
            s.lab.own_core = ("chrt", "--rr", "5")
        if o.ratio:
            ratio(s, o.pairs, o.seconds, o.cc.split(","), o.loss.split(","))
        if o.jain:
            jain(s, o.pairs, o.seconds * 4, o.cc.split(","))
        if o.tail:
            tail(s, o.pairs)
        if o.long or not (o.ratio or o.jain or o.tail) and os.environ.get("CORAL_LONG"):
            long(s, o.gib)
        elif not (o.ratio or o.jain or o.tail):
            short(s)

    tell(o.name, story)


main()

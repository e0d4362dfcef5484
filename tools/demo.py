# SPDX-License-Identifier: BSD-3-Clause
"""The demonstration that tools/demo runs once corald is built. Every step checks what it shows; the
exit status tells a script the truth."""
import argparse
import collections
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
from lab import Lab, LabError, SITE, ZONE, run  # noqa: E402

PREFIX = "demo"
FOLDER = "/run/coral-demo"
HOST = f"{SITE}.{ZONE}"
BIG = "/slow/big"
BIG_SIZE = 20 << 20
NODE_PAGES = 160  # 2 MiB pages that a node's cache of 256 MiB and its packet buffers take
CLIENTS = {1: 1, 2: 2, 3: 2}  # client host: its network


class Demo:
    def __init__(self, options):
        self.o = options
        self.start = time.time()
        self.tty = sys.stdout.isatty()
        self.problems = []
        self.rng = random.Random(options.seed)
        self.lab = Lab(PREFIX, FOLDER)
        self.files = {}

    # --- talking --------------------------------------------------------------------------------
    def say(self, text):
        print(f" [{time.time() - self.start:3.0f}s] {text}", flush=True)

    def live(self, text):
        if self.tty:
            print(f"\r        {text}\033[K", end="", flush=True)

    def check(self, good, text):
        """Says what was seen; a thing that did not hold makes the whole fail."""
        if not good:
            self.problems.append(text)
        self.say(("" if good else "NOT AS IT SHOULD BE: ") + text)
        return good

    # --- the steps ------------------------------------------------------------------------------
    def make_files(self):
        def body(n):
            return self.rng.randbytes(n)
        self.files = {"/index.html": b"<h1>A small site</h1>\n", "/get/1k": body(1 << 10),
                      "/get/100k": body(100 << 10), "/get/20m": body(20 << 20),
                      BIG: body(BIG_SIZE)}
        for i, name in enumerate("abcdefghijkl"):
            size = [1 << 10, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10][i % 6]
            self.files[f"/crowd/{name}"] = body(size)
        self.files["/crowd/m"] = body(100 << 10)
        self.sha = {p: hashlib.sha256(b).hexdigest() for p, b in self.files.items()}
        self.crowd = sorted(p for p in self.files if p.startswith("/crowd/"))

    def choose_driver(self):
        if self.o.driver:
            self.lab.driver = self.o.driver
            return self.o.driver
        return "AF_XDP, else AF_PACKET"

    def hugepages(self):
        want = self.o.nodes * NODE_PAGES
        try:
            with open("/proc/sys/vm/nr_hugepages") as f:
                self.pages_before = int(f.read())
            with open("/proc/sys/vm/nr_hugepages", "w") as f:
                f.write(str(max(want, self.pages_before)))
            with open("/proc/meminfo") as f:
                free = next(int(x.split()[1]) for x in f if x.startswith("HugePages_Free"))
        except (OSError, StopIteration):
            self.pages_before, free = None, 0
        if free >= want:
            return f"{free} x 2 MiB pages"
        return f"only {free} of {want} x 2 MiB pages to be had: nodes without run with ordinary ones"

    def up(self):
        o, lab = self.o, self.lab
        Lab.remove_stale(PREFIX)
        run("rm", "-rf", FOLDER) # what an earlier one left would be this one's cache and log
        os.makedirs(FOLDER)
        pages = self.hugepages()
        print(f"coral demo: {o.nodes} nodes, {len(CLIENTS)} client hosts, 1 origin (nginx), "
              f"{self.choose_driver()} on veth, {pages}", flush=True)
        self.make_files()
        lab.router()
        lab.origin(self.files, slow=["/slow/"], rate="2560k")
        for c, net in CLIENTS.items():
            lab.client(c, net)
        for i in range(1, o.nodes + 1):
            lab.node(i, workers=2 if i == 2 else 1,
                     cache=f"256MiB, restart_file: {FOLDER}/n{i}.restart")
        lab.node_wait(range(1, o.nodes + 1), seconds=30)
        status = [lab.ctl(i, "status") for i in lab.nodes]
        drivers = collections.Counter(p["driver"] for s in status for p in s["ports"])
        huge = sum(s["packet_hugepages"] for s in status)
        t = time.time()
        lab.node_wait(range(1, o.nodes + 1), members=o.nodes - 1, seconds=20)
        ports = ", ".join(f"{n} on {d}" for d, n in drivers.items())
        self.say(f"nodes up: {o.nodes}/{o.nodes} ({ports}; {huge} with packet buffers in hugepages; "
                 f"n2 has 2 workers), index joined: {o.nodes}/{o.nodes} after another {time.time() - t:.1f} s")

    def dig(self, server, kind="A"):
        out = run(*self.lab.inside("c1", "dig", "+noall", "+answer", "+time=2", "+tries=2",
                                   f"@{server}", HOST, kind), check=False).stdout
        rows = [x.split() for x in out.splitlines() if x and not x.startswith(";")]
        rows = [r for r in rows if len(r) == 5 and r[3] == kind]
        return [r[4] for r in rows], (int(rows[0][1]) if rows else None)

    def names(self):
        found, ttl = self.dig(Lab.node_v4(1))
        known = {Lab.node_v4(i) for i in self.lab.nodes}
        self.check(found and set(found) <= known and ttl == 5,
                   f"dig {HOST} -> {' '.join(found) or 'nothing'} (TTL {ttl})")
        found, ttl = self.dig(Lab.node_v6(2), "AAAA")
        known = {Lab.node_v6(i) for i in self.lab.nodes}
        self.check(found and set(found) <= known,
                   f"dig over IPv6, AAAA -> {' '.join(found) or 'nothing'} (TTL {ttl})")

    def curls(self):
        good, tried, notes = 0, 0, []
        for path in ("/get/1k", "/get/100k", "/get/20m"):
            for v6 in (False, True):
                i = 1 + tried % self.o.nodes
                address = f"[{Lab.node_v6(i)}]" if v6 else Lab.node_v4(i)
                tried += 1
                p = subprocess.run(self.lab.inside(
                    "c2", "curl", "-sS", "--max-time", "20", "--resolve", f"{HOST}:80:{address}",
                    f"http://{HOST}{path}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    timeout=30)
                if hashlib.sha256(p.stdout).hexdigest() == self.sha[path]:
                    good += 1
                else:
                    notes.append(f"{path} from {address}: {p.stderr.decode().strip() or 'differs'}")
        self.check(good == tried, f"curl 1 KiB, 100 KiB, 20 MiB over IPv4 and IPv6: {good} of {tried} "
                                  f"identical to the origin{'; ' if notes else ''}{'; '.join(notes)}")

    # --- the crowd ------------------------------------------------------------------------------
    def launch_crowd(self, seconds):
        lab = self.lab
        urls = os.path.join(FOLDER, "urls")
        with open(urls, "w") as f:
            f.write("\n".join(self.crowd) + "\n")
        manifest = os.path.join(FOLDER, "manifest.json")
        with open(manifest, "w") as f:
            json.dump({p: {"sha256": self.sha[p], "size": len(self.files[p])}
                       for p in self.crowd}, f)
        servers = ",".join(Lab.node_v4(i) for i in lab.nodes)
        self.wrks, self.checkers = {}, {}
        here = os.path.join(ROOT, "tests", "lab")
        for c in CLIENTS:
            self.checkers[c] = lab.spawn(
                f"c{c}", f"check{c}", "/usr/bin/python3", os.path.join(here, "checking_client.py"),
                str(seconds), HOST, servers, manifest, "0.02", stdout=subprocess.PIPE)
            for i in lab.nodes:
                self.wrks[c, i] = lab.spawn(
                    f"c{c}", f"wrk{c}-{i}", "nice", "-n", "10", "wrk", "-t1", "-c2",
                    f"-d{seconds}s", "--timeout", "10s", "-s", os.path.join(here, "load.lua"),
                    f"http://{Lab.node_v4(i)}:80", "--", urls, str(100 * c + i), HOST,
                    stdout=subprocess.PIPE)
        # their output is read while they run: no pipe fills up
        self.out = {}
        for key, p in list(self.wrks.items()) + [(c, p) for c, p in self.checkers.items()]:
            t = threading.Thread(target=lambda k=key, q=p: self.out.__setitem__(k, q.stdout.read()),
                                 daemon=True)
            t.start()
            p.reader = t

    def requests_now(self):
        total = collections.Counter()
        for i, p in self.lab.nodes.items():
            if p.poll() is None:
                s = self.lab.ctl(i, "status", check=False)
                if s:
                    for k in ("requests", "own", "peer", "origin"):
                        total[k] += s["http"][k]
        return total

    def big_fetch(self, i, client):
        """curl of the slow large object through node i; judged at the end."""
        return subprocess.Popen(self.lab.inside(
            f"c{client}", "curl", "-sS", "--max-time", "60", "-o",
            os.path.join(FOLDER, f"big-{i}"), "-w", "%{http_code} %{size_download} %{time_total}",
            "--resolve", f"{HOST}:80:{Lab.node_v4(i)}", f"http://{HOST}{BIG}"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def who_fills(self):
        """{node: fill} of the large object."""
        found = {}
        for i, p in self.lab.nodes.items():
            if p.poll() is None:
                s = self.lab.ctl(i, "status", check=False)
                for f in (s or {}).get("fills", []):
                    if f["url"].endswith(BIG):
                        found[i] = f
        return found

    def kill_two(self):
        """Kills the node that fills the large object from the origin, between 30 and 70 %, and one
        more; others read from it at that moment."""
        nodes = list(self.lab.nodes)
        self.big = {nodes[0]: self.big_fetch(nodes[0], 1)}
        time.sleep(0.7)
        for i in nodes[1:min(4, len(nodes) - 1)]:
            self.big[i] = self.big_fetch(i, 2)
        deadline = time.time() + 15
        victim = None
        while time.time() < deadline:
            fills = self.who_fills()
            for i, f in fills.items():
                share = f["bytes"] / BIG_SIZE
                self.live(f"large object: n{i} has {share:.0%} from {f['source']}")
                if f["source"].startswith("origin") and 0.30 <= share <= 0.70:
                    victim, self.victim_share, self.fills_at_kill = i, share, fills
            if victim:
                break
            time.sleep(0.15)
        if not victim:
            self.check(False, f"nobody was seen filling {BIG} from the origin at 30 to 70 %: {self.who_fills()}")
            return
        # the second one: no reader of the large object, so that its loss is only a loss of a node
        second = next(i for i in reversed(nodes) if i != victim and i not in self.big)
        self.kill_time = time.time()
        self.killed = [victim, second]
        for i in self.killed:
            self.lab.nodes[i].send_signal(signal.SIGKILL)
        self.watch_dns()
        for i in self.killed:
            self.lab.nodes[i].wait()
        if self.tty:
            print("\r\033[K", end="")
        late = max(self.gone.values()) if len(self.gone) == len(self.survivors()) else None
        self.check(late is not None and late <= 3.0,
                   f"killed n{victim} (filling {BIG} from the origin, at {self.victim_share:.0%}) and "
                   f"n{second}: " + (f"out of DNS after {late:.1f} s" if late is not None else
                                     "still named by DNS after 3 s"))

    def survivors(self):
        return [i for i in self.lab.nodes if i not in self.killed]

    def watch_dns(self):
        """Until when each surviving node's DNS still names a killed one."""
        dead = ",".join(Lab.node_v4(i) for i in self.killed)
        servers = ",".join(Lab.node_v4(i) for i in self.survivors())
        p = run(*self.lab.inside("c3", "/usr/bin/python3",
                                 os.path.join(ROOT, "tests", "lab", "dns_watch.py"),
                                 repr(self.kill_time), "4.5", HOST, servers, dead), check=False)
        self.gone = {}
        try:
            self.gone = json.loads(p.stdout)
        except ValueError:
            self.problems.append(f"watching DNS failed: {p.stdout.strip()[-200:]}")

    def crowd_run(self):
        seconds = self.o.seconds
        before = self.requests_now()
        self.killed = []
        self.last_of_dead = {}
        self.say(f"flash crowd on {len(self.crowd)} objects that no node has seen, {seconds} s")
        self.launch_crowd(seconds)
        began = time.time()
        while time.time() < began + 5:
            time.sleep(0.5)
            now = self.requests_now() - before
            self.live(f"00:{int(time.time() - began):02d}  {now['requests']} requests")
        for i in self.lab.nodes:  # what the killed ones had done until here
            s = self.lab.ctl(i, "status", check=False)
            self.last_of_dead[i] = s["http"] if s else None
        self.kill_two()
        while any(p.poll() is None for p in list(self.wrks.values()) + list(self.checkers.values())):
            if time.time() > began + seconds + 20:
                break
            time.sleep(0.3)
            self.live(f"00:{int(time.time() - began):02d}")
        if self.tty:
            print("\r\033[K", end="")
        for p in list(self.wrks.values()) + list(self.checkers.values()):
            p.reader.join(3)

    def judge_crowd(self):
        total, fail_alive, fail_dead, q = collections.Counter(), 0, 0, []
        for (c, i), _ in self.wrks.items():
            try:
                r = json.loads(self.out.get((c, i), b"").decode().strip().splitlines()[-1])
            except (ValueError, IndexError):
                self.problems.append(f"wrk of c{c} on n{i} gave no result: {self.lab.log_tail(f'wrk{c}-{i}')}")
                continue
            errors = r["connect"] + r["read"] + r["write"] + r["status"] + r["timeout"]
            if i in self.killed:
                fail_dead += errors
            else:
                fail_alive += errors
                if errors:
                    self.problems.append(f"wrk c{c} -> n{i}: " + ", ".join(
                        f"{k} {r[k]}" for k in ("connect", "read", "write", "status", "timeout") if r[k]))
            total["requests"] += r["requests"]
            total["bytes"] += r["bytes"]
            q += [(x, r["requests"] / 200) for x in r["q"]]
        q.sort()
        weight = sum(w for _, w in q) or 1

        def quantile(p):
            acc = 0
            for x, w in q:
                acc += w
                if acc >= p * weight:
                    return x / 1000
            return 0
        http = collections.Counter()
        for i in self.lab.nodes:
            s = self.last_of_dead.get(i) if i in self.killed else self.lab.ctl(i, "status")["http"]
            for k in ("requests", "own", "peer", "origin"):
                http[k] += (s or {}).get(k, 0)
        n = http["requests"] or 1
        print()
        print("   requests    rate/s   p50 ms   p99 ms       MiB    own cache      peer    origin")
        print(f"   {total['requests']:8d}  {total['requests'] / self.o.seconds:8.0f}  {quantile(.5):7.2f}"
              f"  {quantile(.99):7.2f}  {total['bytes'] / 2**20:8.0f}    {http['own'] / n:8.3%}"
              f"  {http['peer'] / n:8.3%}  {http['origin'] / n:8.3%}")
        print()
        self.check(fail_alive == 0, f"load: {total['requests']} requests, {fail_alive} to surviving nodes "
                                    f"failed (to the killed ones: {fail_dead})")
        good = wrong = 0
        bad = []
        asked = collections.Counter()
        alive_v4 = {Lab.node_v4(i) for i in self.survivors()}
        for c in self.checkers:
            try:
                r = json.loads(self.out.get(c, b"").decode().strip().splitlines()[-1])
            except (ValueError, IndexError):
                self.problems.append(f"the checking client of c{c} gave no result")
                continue
            good += r["good"]
            wrong += r["wrong"]
            bad += [f for f in r["failed"] if f[1] in alive_v4]
            asked["dead"] += len([f for f in r["failed"] if f[1] not in alive_v4])
            asked["after"] += r["good"]
        self.check(good > 0 and wrong == 0 and not bad,
                   f"checking clients: {good} bodies hashed, {wrong} wrong, {len(bad)} failed at surviving "
                   f"nodes, {asked['dead']} met a killed one and were served after they resolved again"
                   + (f"; first: {bad[0][1:]}" if bad else ""))

    def judge_big(self):
        good, seen, late = 0, 0, []
        for i, p in self.big.items():
            if i in self.killed:
                p.kill()
                p.wait()
                continue
            seen += 1
            try:
                out, err = p.communicate(timeout=40)
            except subprocess.TimeoutExpired:
                p.kill()
                out, err = p.communicate()
            path = os.path.join(FOLDER, f"big-{i}")
            same = False
            if os.path.exists(path):
                with open(path, "rb") as f:
                    same = hashlib.sha256(f.read()).hexdigest() == self.sha[BIG]
            good += same
            if not same:
                late.append(f"n{i}: {out} {err.strip()}")
        self.check(seen > 0 and good == seen,
                   f"{BIG} through the surviving nodes: {good} of {seen} identical, though its source died"
                   + (f"; {'; '.join(late)}" if late else ""))
        log = self.lab.origin_log()
        ranges = [x for x in log if x["path"] == BIG and x["range"] not in ("-", "")]
        who = {at(i): f"n{i}" for i in self.lab.nodes for at in (Lab.node_v4, Lab.node_v6)}
        if ranges:
            r = ranges[0]
            self.check(r["status"] == 206, f"the fill went on by Range: the origin's log has \"{r['range']}\" from "
                       f"{who.get(r['from'], r['from'])}, status {r['status']}, {r['bytes']} bytes")
        else:
            peers = [i for i in self.survivors() if (self.lab.ctl(i, "stats", check=False) or {})
                     .get("counters", {}).get("proxy_fills_resumed_total", {}).get("value", 0)]
            self.check(bool(peers), f"the fill went on by Range from a peer (nodes "
                       f"{', '.join(f'n{i}' for i in peers) or 'none'})")

    def judge_origin(self):
        count = collections.Counter(x["path"] for x in self.lab.origin_log() if x["method"] == "GET")
        victim = {Lab.node_v4(i) for i in self.killed[:1]}
        cut = not any(x["path"] == BIG and x["from"] in victim for x in self.lab.origin_log())
        count[BIG] += cut
        print()
        print("   object          size   origin requests")
        for p in self.crowd + [BIG]:
            size = len(self.files[p])
            text = f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
            note = "   one of them cut by the kill, not in the log yet" if p == BIG and cut else ""
            print(f"   {p:<12} {text:>8}   {count[p]:4d}{note}")
        print()
        worst = max(count[p] for p in self.crowd)
        least = min(count[p] for p in self.crowd)
        self.check(1 <= least and worst <= 3, f"{self.o.nodes} cold nodes and a crowd: at most {worst} origin "
                                              f"requests an object, {sum(count[p] for p in self.crowd)} for "
                                              f"{len(self.crowd)} objects in all")

    def clusters(self):
        """{level: {cluster ID: its nodes}} as the surviving nodes tell."""
        found = {}
        for i in self.survivors():
            for c in (self.lab.ctl(i, "clusters", check=False) or {"clusters": []})["clusters"]:
                found.setdefault(c["level"], collections.defaultdict(list))[c["cluster"]].append(f"n{i}")
        return found

    def judge_clusters(self):
        """Each node started alone in its clusters; near as they are, all end up in one at each level."""
        levels, deadline = self.clusters(), time.time() + 45
        while any(len(c) > 1 for c in levels.values()) and time.time() < deadline:
            self.live(f"clusters: {', '.join(f'{len(c)} at level {n}' for n, c in levels.items())}")
            time.sleep(0.5)
            levels = self.clusters()
        if self.tty:
            print("\r\033[K", end="")
        text = "; ".join(f"level {n}: " + " and ".join(f"{' '.join(nodes)} in {cid[:8]}" for cid, nodes in c.items())
                         for n, c in sorted(levels.items(), reverse=True) if n > 0)
        self.check(levels and all(len(c) == 1 for c in levels.values()), f"clusters of the index: {text}")

    def come_back(self):
        """A graceful stop and a start: it has what it had, before anybody is asked."""
        i, lab = self.survivors()[-1], self.lab
        fetch = lab.inside("c2", "curl", "-sS", "-i", "--max-time", "20", "--resolve",
                           f"{HOST}:80:{Lab.node_v4(i)}")
        for path in self.crowd:
            run(*fetch, "-o", "/dev/null", f"http://{HOST}{path}", check=False)
        lab.ctl(i, "stop", timeout=40)
        lab.nodes[i].wait(10)
        t = time.time()
        lab.node_start(i)
        lab.node_wait([i])
        lab.wait(lambda: lab.ctl(i, "status")["restart"]["state"] != "loading", 20,
                 f"n{i} did not read its restart file: {lab.log_tail(f'n{i}')}")
        took, warm = time.time() - t, lab.ctl(i, "status")["restart"]
        before, hits, right = len(lab.origin_log()), 0, 0
        for path in self.crowd:
            p = subprocess.run([*fetch, f"http://{HOST}{path}"], stdout=subprocess.PIPE, timeout=30)
            head, _, body = p.stdout.partition(b"\r\n\r\n")
            hits += b"; hit" in head
            right += hashlib.sha256(body).hexdigest() == self.sha[path]
        time.sleep(0.3)
        asked, n = len(lab.origin_log()) - before, len(self.crowd)
        self.check(hits == right == n and asked == 0,
                   f"n{i} stopped and came back warm: {warm['loaded']} of {warm['loaded_of']} objects "
                   f"{took:.1f} s after its start; {hits} of {n} fetches hits, {right} identical, "
                   f"{asked} asked of the origin")

    def down(self):
        self.lab.close()
        if getattr(self, "pages_before", None) is not None:
            try:
                with open("/proc/sys/vm/nr_hugepages", "w") as f:
                    f.write(str(self.pages_before))
            except OSError:
                pass

    def keep(self):
        c = os.path.join(ROOT, "build", "tools", "coralctl")
        i = self.survivors()[0]
        print(f"""
 Left up. Try next:
   ip netns exec demo-c1 dig @{Lab.node_v4(i)} {HOST}
   ip netns exec demo-c1 curl -v --resolve {HOST}:80:{Lab.node_v4(i)} http://{HOST}/crowd/a
   {c} -n demo/n{i} status
   {c} -n demo/n{i} stats
   {c} -n demo/n{i} clusters
   {c} -n demo/n{i} peers
   {c} -n demo/n{i} lookup http://{HOST}/crowd/a
   {c} -n demo/n{i} purge http://{HOST}/crowd/a
   ls {FOLDER}    (configurations and logs)
   tools/demo --remove""")

    def run(self):
        self.up()
        self.names()
        self.curls()
        self.crowd_run()
        self.judge_crowd()
        self.judge_big()
        self.judge_origin()
        self.judge_clusters()
        self.come_back()
        for i in self.survivors():
            if self.lab.nodes[i].poll() is not None:
                self.check(False, f"n{i} died: {self.lab.log_tail(f'n{i}')}")


def main():
    a = argparse.ArgumentParser(prog="tools/demo", add_help=False)
    a.add_argument("--nodes", type=int, default=6)
    a.add_argument("--seconds", type=int, default=20)
    a.add_argument("--keep", action="store_true")
    a.add_argument("--remove", action="store_true")
    a.add_argument("--driver", choices=["af_xdp", "af_packet"])
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    if not 4 <= o.nodes <= 12 or not 16 <= o.seconds <= 60:
        print("tools/demo: --nodes takes 4 to 12, --seconds 16 to 60; see --help", file=sys.stderr)
        return 2
    if o.remove:
        Lab.remove_stale(PREFIX)
        run("rm", "-rf", FOLDER)
        return 0

    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    demo = Demo(o)
    left_up = False
    try:
        demo.run()
        if demo.problems:
            print(f" [{time.time() - demo.start:3.0f}s] {len(demo.problems)} things were not as they should be:")
            for p in demo.problems:
                print(f"   - {p}")
        else:
            print(f" [{time.time() - demo.start:3.0f}s] All of it worked.")
        if o.keep:
            left_up = True
            demo.keep()
        return 1 if demo.problems else 0
    except KeyboardInterrupt:
        print("\n interrupted; removing what was made", file=sys.stderr)
        return 130
    except (LabError, subprocess.TimeoutExpired) as e:
        print(f"tools/demo: {e}", file=sys.stderr)
        if o.keep:
            left_up = True
        return 1
    finally:
        if not left_up:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            demo.down()


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""An origin that is down, slow, resets, lies about its length, sends garbage or closes early: 502
or 504, or the stale copy; never a truncated body that looks whole, nothing broken in the cache."""
import os
import time

from story import Lab, tell

HERE = os.path.dirname(os.path.abspath(__file__))


def story(s):
    lab = s.lab
    lab.router()
    lab.origin({"/index.html": b"x"})
    lab.client(1, 1)
    lab.spawn("origin", "bad_origin", "/usr/bin/python3", os.path.join(HERE, "bad_origin.py"), "8080")
    extra = """  bad.test: {origin: ["10.9.0.2:8080"], allow: [10.9.0.0/24]}
  down.test: {origin: ["10.9.0.2:8081"], allow: [10.9.0.0/24]}
  nohost.test: {origin: ["10.9.0.77:80"], allow: [10.9.0.0/24]}
  evil.test: {origin: ["evil.site.test:8080"]}
  unknown.test: {origin: ["nobody.site.test:80"], allow: [10.9.0.0/24]}
  pair.test: {origin: ["10.9.0.2:8083 weight=2", "10.9.0.2:8084 backup"]}
  asked.test: {origin: ["10.9.0.2:8083", "10.9.0.2:8084"], health: {path: /good, interval: 500ms, rise: 1}}
"""
    path = lab.node_config(1)
    with open(path) as f:
        text = f.read().replace("resolver:", extra + "resolver:")
    lab.host("n1")
    lab.link("n1", Lab.node_net(1), [])
    lab.sysctl("n1", "net.ipv6.conf.eth0.disable_ipv6", 1)
    with open(path, "w") as f:
        f.write(text)
    lab.node_start(1)
    lab.node_wait([1])

    def get(path, host="bad.test"):
        start = time.time()
        status, body, code = s.curl("c1", 1, path, host=host)
        return status, body, code, time.time() - start

    def counter(name):
        return lab.ctl(1, "stats")["counters"][name]["value"]

    status, body, code, _ = get("/good")
    s.expect((status, body) == (200, b"hello"), f"a good answer: {status}")
    for path, why in (("/garbage", "garbage"), ("/reset", "a reset"), ("/close", "an early close"),
                      ("/twolengths", "two lengths")):
        status, body, code, _ = get(path)
        s.expect(status == 502, f"{why}: {status}")
    for path in ("/short", "/resetbody", "/badchunk"):
        for again in range(2):
            status, body, code, _ = get(path)
            s.expect(code != 0 or status in (502, 504), f"{path}: status {status}, curl says {code}: "
                     "cut short, and seen to be")
    status, body, code, _ = get("/long")
    s.expect((status == 200 and body == b"hello") or status == 502, f"more than it said: {status}")
    status, body, code, _ = get("/chunked")
    s.expect((status, body) == (200, b"hello world"), f"chunked: {status} {body!r}")
    status, body, code, _ = get("/close-delimited")
    s.expect((status, len(body), code) == (200, 10000, 0), f"until close: {status} {len(body)}")
    seen = [get("/nostore")[1] for _ in range(3)]
    s.expect(len(set(seen)) == 3, f"no-store is fetched each time: {seen}")
    reused, unasked = counter("http_client_reused_total"), counter("http_client_unasked_total")
    s.expect(reused > 0 and unasked == 0, f"{reused} requests on pooled connections, {unasked} that were spoilt")
    seen = [get("/twice")[1], time.sleep(0.3), get("/nostore")[1]]
    s.expect(seen[0] == b"first" and seen[2].isdigit(), f"a second response is nobody's: {seen}")
    s.expect(counter("http_client_unasked_total") == 1, "and is counted")
    status, body, code, _ = get("/private")
    s.expect((status, len(body)) == (200, 200000), f"private, passed through: {status} {len(body)}")
    status, body, code, _ = get("/fail")
    s.expect((status, body) == (500, b"oops"), f"an origin's own 500: {status}")
    status, body, code, _ = get("/stale")
    time.sleep(2.2)
    again = get("/stale")
    s.expect((status, again[0], again[1]) == (200, 200, b"stale"), f"the stale copy: {again[:2]}")
    status, body, code, took = get("/x", host="down.test")
    s.expect(status in (502, 504), f"an origin that is down: {status} after {took:.1f} s")
    status, body, code, took = get("/x", host="nohost.test")
    s.expect(status in (502, 504), f"an origin that is not there: {status} after {took:.1f} s")
    status, body, code, _ = get("/good", host="evil.test")
    s.expect(status in (403, 502), f"a name that resolves to loopback and private addresses: {status}")
    status, body, code, _ = get("/x", host="unknown.test")
    s.expect(status in (502, 504), f"a name that does not exist: {status}")
    pair(s)
    log = lab.log_tail("n1", 1000)
    for site, why in (("bad.test: origin 10.9.0.2:8080", "no HTTP/1"), ("bad.test: origin 10.9.0.2:8080", "closes before"),
                      ("down.test: origin 10.9.0.2:8081", "refuses"), ("nohost.test: origin 10.9.0.77:80", ""),
                      ("evil.test: origin evil.site.test:8080", "not allowed"),
                      ("unknown.test: origin nobody.site.test:80", "no such name")):
        s.expect(any(f"site {site}: " in x and why in x for x in log.split(" / ")), f"the log says so of {site}: {why}")
    s.expect(log.count("site bad.test: ") <= 6, "once for each kind of trouble")
    status, body, code, took = get("/silent")
    s.expect(status == 504, f"a silent origin: {status} after {took:.1f} s")
    status, body, code, _ = get("/good")
    s.expect((status, body) == (200, b"hello"), f"and the good one is still good: {status}")


def pair(s):
    """One of two origins is killed and comes back: no client sees it."""
    def start(port):
        return s.lab.spawn("origin", f"pair{port}", "/usr/bin/python3", os.path.join(HERE, "bad_origin.py"), str(port))

    def ask(n, first):
        return [s.curl("c1", 1, f"/good?{first + i}", host="pair.test")[0] for i in range(n)]

    def seen(site, port):
        return next(o for o in s.lab.ctl(1, "origins", site)["origins"] if o["origin"] == f"10.9.0.2:{port}")

    def becomes(site, port, key, value, seconds=6):
        end = time.time() + seconds
        while time.time() < end and seen(site, port)[key] != value:
            time.sleep(0.1)
        return seen(site, port)[key] == value

    first = start(8083)
    start(8084)
    s.expect(becomes("asked.test", 8083, "health", "up"), "probed, and up")
    time.sleep(1)
    s.expect(ask(10, 0) == [200] * 10 and seen("pair.test", 8084)["since_us"] == 0, "the backup is not asked")
    first.kill()
    first.wait()
    s.expect(ask(30, 100) == [200] * 30, "one is killed: 30 of 30 requests are answered, by the backup")
    s.expect(seen("pair.test", 8083)["breaker"] != "closed", f"it is left alone: {seen('pair.test', 8083)}")
    s.expect("refuses" in seen("pair.test", 8083)["why"], f"and why: {seen('pair.test', 8083)['why']!r}")
    s.expect([seen("pair.test", x)["backup"] for x in (8083, 8084)] == [False, True] and
             [seen("asked.test", x)["backup"] for x in (8083, 8084)] == [False, True], "the second ones are backups")
    s.expect(becomes("asked.test", 8083, "health", "down"), "and its health says so")
    s.expect("refuses" in seen("asked.test", 8083)["why"] and "why" not in seen("asked.test", 8084),
             f"and why: {seen('asked.test', 8083)}")
    all_of = s.lab.ctl(1, "status")["origins"]
    s.expect(all_of["down"] == 1 and all_of["open"] >= 1, f"status counts them: {all_of}")
    s.expect("origin 10.9.0.2:8083: down: /good: it refuses connections" in s.lab.log_tail("n1", 50), "the log has it")
    start(8083)
    s.expect(becomes("asked.test", 8083, "health", "up"), "it is back, and up")
    s.expect("up again: /good: status 200 after " in s.lab.log_tail("n1", 50), "and so says the log")
    s.expect(ask(10, 200) == [200] * 10 and seen("pair.test", 8083)["breaker"] == "closed", "and it is asked again")


tell("origin", story)

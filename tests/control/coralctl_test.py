# SPDX-License-Identifier: BSD-3-Clause
"""coralctl against a socket that answers as told: what it prints, and its exit statuses."""
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

coralctl = os.path.abspath(sys.argv[1])
base = tempfile.mkdtemp(prefix="coralctl-")
env = dict(os.environ, CORAL_RUN=base)
failed = 0


def expect(condition, what):
    global failed
    if not condition:
        failed += 1
        print("NOT OK ", what)
    else:
        print("ok     ", what)


def run(*args):
    p = subprocess.run([coralctl, *args], env=env, stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=20)
    return p.returncode, p.stdout, p.stderr


class Node:
    """A socket in the place of corald's; answers one request with the given bytes or object, or
    several with those of a list."""

    def __init__(self, name, answer):
        os.makedirs(os.path.join(base, name), exist_ok=True)
        self.path = os.path.join(base, name, "control.sock")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen()
        self.answers = [x if isinstance(x, bytes) else (json.dumps(x) + "\n").encode()
                        for x in (answer if isinstance(answer, list) else [answer])]
        self.asked = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        for answer in self.answers:
            line = b""
            while not line.endswith(b"\n"):
                if not line: # at first, and after one who only looked whether somebody is here
                    c, _ = self.socket.accept()
                line += c.recv(65536)
            self.asked = json.loads(line)
            c.sendall(answer)
            c.close()

    def close(self):
        self.socket.close()
        os.unlink(self.path)


status = {
    "ok": True, "name": "n1", "version": "0.1.0", "dpdk": "22.11", "uptime_s": 11520,
    "state": "serving", "hugepages": False,
    "ports": [{"device": "eth1", "driver": "af_xdp", "queues": 1, "tx_checksum": False, "note": "",
               "addresses": ["10.1.0.12/24"]}],
    "workers": [{"worker": 0, "busy": 0.41}, {"worker": 1, "busy": 0.38}],
    "http": {"requests": 1000, "own": 992, "peer": 7, "origin": 1, "rate": 181000.0, "p50_us": 90,
             "p99_us": 610, "connections": 12},
    "cache": {"bytes": 4 << 30, "used": 3328599655, "objects": 212000},
    "index": {"id": "0123456789", "alive": 1, "members": [
        {"id": "aabbccddee", "address": "10.1.0.13:8053", "alive": True, "rtt_us": 8000}]},
    "dns": {"zone": "coral.test", "rate": 2100.0, "members": 2},
    "fills": [{"url": "http://www.test/big", "source": "origin 192.0.2.1:80", "bytes": 1 << 20,
               "length": 20 << 20},
              {"url": "http://www.test/more", "source": "index", "bytes": 0, "length": -1}],
}
table = """node n1 (corald 0.1.0, DPDK 22.11)  up 3 h 12 min  serving
 port eth1  af_xdp  1 queue  no checksum offload  10.1.0.12/24
 worker 0   busy 41 %   worker 1   busy 38 %   memory in ordinary pages (no hugepages free)
 http       181 k/s   1000 requests   p50 0.09 ms  p99 0.61 ms   12 connections
            own 99.2 %  peer 0.7 %  origin 0.1 %
 cache      3.1 GiB of 4.0 GiB   212 k objects
 index      1 other node alive, id 01234567...
   aabbccdd  10.1.0.13:8053           8.0 ms
 dns        2100/s   zone coral.test, 2 proxies named
 filling    http://www.test/big  1.0 MiB of 20 MiB  from origin 192.0.2.1:80
 filling    http://www.test/more  0 B of unknown length  from index
"""

try:
    code, out, err = run("status")
    expect(code == 4 and "is corald running?" in err and base in err, f"nobody is there: {code} {err!r}")
    code, out, err = run("-n", "n9", "status")
    expect(code == 4 and "n9/control.sock" in err, f"that one is not there: {code}")

    for args, want in (([], "verb is missing"), (["statsu"], 'did you mean "stat'),
                       (["explode"], "there are status"), (["purge"], "needs a URL, --prefix"), (["lookup"], "needs a URL or a key"), (["peers", "x"], "one word too many"),
                       (["status", "x"], "one word too many"), (["--colour"], "no option"),
                       (["-n"], "wants a value"), (["-n", "../x", "status"], "no name"),
                       (["purge", "x" * 5000], "4095"), (["purge", "--tag", ""], "1 to 4095"),
                       (["purge", "http://a/", "--all"], "takes one of a URL"),
                       (["purge", "--tag", "a", "--tag", "b"], "takes one of a URL"),
                       (["purge", "--soft"], "needs a URL"), (["purge", "--tag"], "wants a value"),
                       (["purge", "a", "b"], "one word too many"),
                       (["stats", "--tag", "a"], "stats does not take --tag"),
                       (["stop", "--soft"], "stop does not take --soft"),
                       (["tcp", "here"], "no address"),
                       (["near"], "needs an address"), (["near", "192.0.2.1:80"], "no address"),
                       (["rules", "laod"], 'rules does no "laod"; did you mean "load"?'),
                       (["rules", "status", "x"], "one word too many"), (["rules", "load", "a", "b"], "one word too many"),
                       (["rules", "load", "--all"], "rules does not take --all"),
                       (["log", "again"], 'log takes "reopen" and nothing else'),
                       (["log", "--status", "700"], '"700" is no status; write it like 404 or 5xx'),
                       (["log", "--status", "200", "--host", "a", "--status", "404"],
                        '--status is given twice, "200" and "404": all filters must hold'),
                       (["trace", "--host", "a", "--host", "b"], '--host is given twice, "a" and "b"'),
                       (["log", "--client", "me"], "is no client"), (["log", "--slower", "9"], "no time"),
                       (["log", "--served", "hits"], 'did you mean "hit"?'),
                       (["log", "reopen", "--status", "404"], "log reopen does not take --status"),
                       (["log", "--host", "a", "--tag", "b"], "log does not take --tag"),
                       (["trcae"], 'did you mean "trace"?'),
                       (["trace", "www.example.com/a"], "is no URL"), (["trace", "http://a/", "b"], "one word too many"),
                       (["trace", "http://a/", "--host", "a"], "a URL, or --host and --path, not both"),
                       (["trace", "--served", "hits"], 'did you mean "hit"?'), (["trace", "--all"], "trace does not take --all"),
                       (["log", "--soft"], "log does not take --soft"),
                       (["purge", "http://a/", "--path", "/"], "purge does not take --path"),
                       (["stats", "--host", "a"], "stats does not take --host"),
                       (["stop", "--workers"], "stop does not take --workers"),
                       (["stop", "--all"], "stop does not take --all"),
                       (["status", "--no-wait"], "status does not take --no-wait"),
                       (["tcp", "192.0.2.1", "--all"], "tcp does not take --all")):
        code, out, err = run(*args)
        expect(code == 2 and want in err and not out, f"coralctl {' '.join(args)[:30]}: {code} {err.strip()!r}")
        code, out, err = run("--json", *args)
        told = json.loads(out) if out else {}
        expect(code == 2 and not err and told.get("ok") is False and told.get("status") == 2 and
               want in told.get("error", ""), f"the same as JSON: {told.get('error')!r}")
    code, out, err = run("log", "--path", b"/\xff")
    expect(code == 2 and "text in UTF-8" in err, "a filter that is no text")
    code, out, err = run("--json", "status")
    expect(code == 4 and not err and json.loads(out)["status"] == 4, "nobody is there, as JSON")

    code, out, err = run("--help")
    expect(code == 0 and out.count("\n") <= 24 and max(map(len, out.splitlines())) <= 80,
           "--help fits a screen")
    for verb, option in (("purge", "--tag"), ("log", "--slower"), ("trace", "--no-wait"), ("stats", "--workers")):
        for args in ((verb, "--help"), ("--help", verb)):
            code, out, err = run(*args)
            expect(code == 0 and out.startswith("usage: ") and verb in out.splitlines()[0] and option in out and
                   max(map(len, out.splitlines())) <= 80, f"coralctl {' '.join(args)}")
    expect(run("peers", "--help")[1] == run("--help")[1], "a verb without options of its own: all")
    code, out, err = run("--version")
    expect(code == 0 and out.startswith("coralctl ") and "DPDK" in out, out.strip())

    n = Node("n1", status)
    code, out, err = run("status")
    expect(code == 0 and out == table, f"the only node is found; the table\n{out}" if out != table else "status")
    expect(n.asked == {"verb": "status"}, f"asked {n.asked}")
    n.close()

    n = Node("n1", status)
    code, out, err = run("-n", "n1", "--json", "status")
    expect(code == 0 and json.loads(out) == status, "--json is what the node said")
    m = Node("deep/n2", status)
    code, out, err = run("status")
    expect(code == 2 and "n1" in err and "deep/n2" in err, f"two nodes: {err.strip()}")
    n.close()
    code, out, err = run("-n", "deep/n2", "status")
    expect(code == 0, "a name with parts")
    m.close()
    for name in ("n1", "deep/n2"): # as a killed node leaves it
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(os.path.join(base, name, "control.sock"))
    code, out, err = run("status")
    expect(code == 4 and "no node in" in err, f"two that were killed: {err.strip()}")
    n = Node("n3", status)
    code, out, err = run("status")
    expect(code == 0 and out == table, f"one lives beside two that were killed: {err.strip()}")
    n.close()
    for name in ("n1", "deep/n2"):
        os.unlink(os.path.join(base, name, "control.sock"))

    counters = {"ok": True, "counters": {
        "http_requests_total": {"unit": "requests", "kind": "counter", "text": "Requests", "value": 7, "workers": [3, 4]},
        "dns_dropped_total": {"unit": "queries", "kind": "counter", "text": "Dropped", "value": 0}}}
    n = Node("n1", counters)
    code, out, err = run("stats", "--workers")
    expect(code == 0 and n.asked == {"verb": "stats", "workers": True} and "Requests" in out and
           "worker 1" in out and "Dropped" not in out, "stats of each worker")
    n.close()
    n = Node("n1", counters)
    code, out, err = run("stats", "dns", "--all")
    expect(code == 0 and "Dropped" in out and "Requests" not in out, "stats of a word")
    n.close()

    known = {"ok": True, "file": "/etc/coral/rules", "rules": 3, "hosts": 2, "prefixes": 1, "expressions": 1, "rates": 0,
             "since": 1767225600, "compile_s": 0.25}
    for args, asked, want in (
            ([], {"do": "status"}, "/etc/coral/rules: 3 rules, in force since 2"),
            (["status"], {"do": "status"}, " 2 hosts  1 path prefix  1 expression  0 rates  compiled in 0.25 s\n"),
            (["check", "/x"], {"do": "check", "file": "/x"}, "/etc/coral/rules: fine, 3 rules\n"),
            (["load", "x"], {"do": "load", "file": os.path.join(os.getcwd(), "x")}, "3 rules, in force since 2")):
        n = Node("n1", known)
        code, out, err = run("rules", *args)
        expect(code == 0 and want in out and n.asked == dict(asked, verb="rules"), f"rules {args}: {out!r} {n.asked}")
        n.close()
    n = Node("n1", dict(known, rules=1, hosts=1, rates=1, hash="00a3f9c2d1e4b5f6"))
    code, out, err = run("rules", "check")
    expect(out == "/etc/coral/rules: fine, 1 rule, 00a3f9c2\n 1 host  1 path prefix  1 expression  1 rate"
           "  compiled in 0.25 s\n", f"one rule: {out!r}")
    n.close()
    n = Node("n1", dict(known, file=""))
    expect("there are no rules" in run("rules")[1], "no rules")
    n.close()
    n = Node("n1", {"ok": False, "error": "/x:1:2: bad", "mistakes": []})
    code, out, err = run("rules", "load")
    expect(code == 1 and err == "coralctl: /x:1:2: bad\n" and not out, f"rules that are wrong: {code} {err!r}")
    n.close()

    n = Node("n1", {"ok": True, "file": "/etc/c.yaml", "sites": 1, "restart": []})
    expect(run("reload") == (0, "/etc/c.yaml: in force, 1 site\n", "") and n.asked == {"verb": "reload"}, "reload")
    n.close()
    n = Node("n1", {"ok": True, "file": "/etc/c.yaml", "sites": 2, "restart": ["node.workers", "ports[0].mtu"],
                    "warnings": "c.yaml: warning: x\n"})
    expect(run("reload") == (3, "/etc/c.yaml: in force, 2 sites\nneeds a restart, and is as it was: node.workers, "
                             "ports[0].mtu\n", "c.yaml: warning: x\n"), "reload, but for what needs a restart")
    n.close()
    n = Node("n1", {"ok": False, "error": "c.yaml:1:2: bad", "mistakes": [], "status": 2})
    expect(run("reload") == (2, "", "coralctl: c.yaml:1:2: bad\n"), "reload of what is wrong")
    n.close()

    n = Node("n1", {"ok": True, "url": "http://a/"})
    code, out, err = run("purge", "http://a/")
    expect(code == 0 and out == "purged http://a/\n" and n.asked["url"] == "http://a/", "purge")
    n.close()
    n = Node("n1", {"ok": False, "error": "not in this node's cache"})
    code, out, err = run("purge", "http://a/")
    expect(code == 1 and "not in this node's cache" in err and not out, "a refusal: 1")
    n.close()
    for args, asked, want in (
            (["--soft", "http://a/"], {"url": "http://a/", "soft": True}, "made stale: http://a/\n"),
            (["--prefix", "http://a/b/"], {"prefix": "http://a/b/"},
             "purged what begins with http://a/b/\nin force"),
            (["--soft", "--tag", "news"], {"tag": "news", "soft": True},
             "made stale: what has the tag news\nin force"),
            (["--host", "a.test"], {"host": "a.test"}, "purged all of a.test\nin force"),
            (["--all"], {"all": True}, "purged the whole cache\nin force")):
        n = Node("n1", {"ok": True})
        code, out, err = run("purge", *args)
        expect(code == 0 and out.startswith(want) and n.asked == dict(asked, verb="purge"),
               f"purge {' '.join(args)}: {out!r}")
        n.close()
    n = Node("n1", {"ok": False, "error": "this is no URL", "status": 2})
    code, out, err = run("purge", "notaurl")
    expect(code == 2 and "this is no URL" in err and not out, "a request that is wrong: 2")
    n.close()

    n = Node("n1", dict(status, origins={"sites": 1, "origins": 2, "down": 0, "open": 0},
                        rules={"file": "", "rules": 0, "hash": ""}, config={"file": "/etc/c.yaml", "since": 1}))
    out = run("status")[1]
    expect(" origins    2 of 1 site   none down\n" in out and " rules " not in out and " config " not in out,
           f"status of a node that is well\n{out}")
    n.close()
    n = Node("n1", dict(status, origins={"sites": 3, "origins": 5, "down": 2, "open": 1},
                        rules={"file": "/r", "rules": 1, "hash": "00a3f9c2d1e4b5f6", "since": 1767225600,
                               "refused": 1767225660, "error": "/r:2:3: bad, and 4 more"},
                        config={"file": "/etc/c.yaml", "since": 1, "refused": 1767225660, "errors": 1,
                                "restart": ["node.workers", "ports[0].mtu"]}))
    out = run("status")[1]
    expect(" origins    5 of 3 sites   2 down, 1 left alone: see coralctl origins\n" in out and
           " rules      1 rule   00a3f9c2, since 20" in out and ": /r:2:3: bad, and 4 more\n" in out and
           " config     needs a restart, and is as it was: node.workers, ports[0].mtu\n" in out and
           " config     reload refused at 20" in out and ": 1 error in /etc/c.yaml\n" in out and
           len(out.splitlines()) <= 24, f"status at night\n{out}")
    n.close()
    n = Node("n1", dict(status, log={"format": "json", "file": "/var/log/a.log", "journal": False, "lines": 77523,
                                     "dropped": 0}))
    expect(" log        json /var/log/a.log  78 k lines, 0 dropped\n" in run("status")[1],
           "status says how the access log does")
    n.close()

    n = Node("n1", dict(status, packet_hugepages=True, http=dict(status["http"], own=250, peer=0, origin=500)))
    out = run("status")[1]
    expect("own 25.0 %  peer 0.0 %  origin 50.0 %  other 25.0 % (" in out, "shares sum up to 100 %")
    expect("memory in ordinary pages but for packet buffers\n" in out, "where memory is")
    n.close()

    one = dict(status, http=dict(status["http"], requests=1, connections=1),
               cache=dict(status["cache"], objects=1), dns=dict(status["dns"], members=1))
    n = Node("n1", one)
    code, out, err = run("status")
    expect(all(x in out for x in (" 1 object\n", " 1 connection\n", " 1 request ", "1 proxy named")),
           "one of each is no plural")
    n.close()

    n = Node("n1", {"ok": True, "groups": [
        {"group": "connections", "counters": [{"name": "tcp_connections", "text": "Now", "value": 3}]},
        {"group": "dropped", "counters": [{"name": "tcp_paws_total", "text": "Old", "value": 0}]}]})
    code, out, err = run("tcp")
    expect(code == 0 and n.asked == {"verb": "tcp"} and "connections\n" in out and "dropped" not in out,
           "tcp: counters in groups, empty ones left out")
    n.close()
    connection = {"worker": 1, "local": "10.1.0.12:80", "remote": "10.1.0.101:40000",
                  "state": "ESTABLISHED", "passive": True, "controller": "cubic", "timestamps": True,
                  "sack": True, "scale": True, "snd_scale": 7, "rcv_scale": 3, "mss": 1448,
                  "rcv_mss": 1448, "cwnd": 14480, "srtt_us": 1234, "rttvar_us": 600,
                  "rto_us": 201234, "snd_wnd": 64256, "rcv_wnd": 65535, "unacked": 2896,
                  "queued": 5792, "kept": 0, "idle_us": 1500000, "timer": "rto", "timer_us": 180000}
    n = Node("n1", {"ok": True, "address": "10.1.0.101", "matched": 5, "connections": [connection]})
    code, out, err = run("tcp", "10.1.0.101")
    expect(code == 0 and n.asked == {"verb": "tcp", "address": "10.1.0.101"} and out == (
        "ESTABLISHED  10.1.0.12:80 <- 10.1.0.101:40000  worker 1\n"
        "   cwnd 14480  mss 1448 (peer's 1448)  rtt 1.234/0.600 ms  rto 201 ms  cubic ts sack wscale 7,3\n"
        "   unacked 2896  queued 5792  kept 0  sndwnd 64256  rcvwnd 65535  idle 1.5 s  timer rto 180 ms\n"
        "4 more are not shown; a port narrows it down: ADDRESS:PORT\n"), f"tcp ADDRESS\n{out}")
    n.close()
    n = Node("n1", {"ok": True, "address": "10.1.0.101", "matched": 0, "connections": []})
    code, out, err = run("tcp", "10.1.0.101")
    expect(code == 0 and out == "no connection to 10.1.0.101\n", "tcp ADDRESS of nobody")
    n.close()

    n = Node("n1", {"ok": True, "id": "0" * 40, "address": "10.1.0.12:8053", "peers": [
        {"id": "aabbccddee", "address": "10.1.0.13:8053", "levels": [2, 1, 0], "rtt_us": 8000, "alive": True,
         "live": True, "prefix_bits": 3},
        {"id": "bbccddeeff", "address": "[fd00::14]:8053", "levels": [0], "rtt_us": 91000, "alive": True,
         "live": False, "prefix_bits": 0},
        {"id": "ccddeeff00", "address": "10.1.0.15:8053", "levels": [1, 0], "rtt_us": 30000, "alive": False,
         "live": False, "prefix_bits": 0}]})
    code, out, err = run("peers")
    expect(code == 0 and n.asked == {"verb": "peers"} and out == (
        "id         address                        levels  rtt        state\n"
        "aabbccdd   10.1.0.13:8053                 2 1 0   8.0 ms     alive\n"
        "bbccddee   [fd00::14]:8053                0       91 ms      alive, not for DNS\n"
        "ccddeeff   10.1.0.15:8053                 1 0     30 ms      not alive\n"), f"peers\n{out}")
    n.close()
    n = Node("n1", {"ok": True, "peers": []})
    expect(run("peers") == (0, "no other node is known\n", ""), "peers of a node that is alone")
    n.close()
    origin = {"site": "a.test", "weight": 0, "breaker": "closed", "since_us": 7200000001, "retry_us": 0, "workers": 2,
              "workers_closed": 2, "health": "-", "in_flight": 4, "waiting": 0, "failures": 0}
    n = Node("n1", {"ok": True, "matched": 5, "origins": [
        dict(origin, origin="10.9.0.1:80"),
        dict(origin, origin="o.a.test:8080", since_us=0, in_flight=0, backup=True),
        dict(origin, site="b.test", origin="[fd00::1]:80", weight=3, breaker="open", since_us=12000000, retry_us=800000,
             workers_closed=1, health="down", in_flight=1, waiting=2, failures=1, why="status 500 after 3 ms")]})
    code, out, err = run("origins")
    expect(code == 0 and n.asked == {"verb": "origins"} and out == (
        "a.test\n"
        "  10.9.0.1:80                      closed for 2 h 0 min  4 in flight\n"
        "  o.a.test:8080                    backup  not asked yet  0 in flight\n"
        "b.test\n"
        "  [fd00::1]:80                     weight 3  down  open for 12 s at 1 of 2 workers, tried again in 800 ms"
        "  1 in flight, 2 waiting, 1 failure in a row\n"
        "    status 500 after 3 ms\n"
        "and 2 more; name a site\n"), f"origins\n{out}")
    n.close()
    n = Node("n1", {"ok": True, "matched": 0, "origins": []})
    expect(run("origins", "a.test")[1] == "no sites; there is open mode alone\n" and
           n.asked == {"verb": "origins", "site": "a.test"}, "origins of a site")
    n.close()
    site = {"requests_s": 28.44, "bytes_s": 29100.8, "network_requests_s": 40.2, "network_bytes_s": 5e6,
            "share_requests_s": 20, "share_bytes_s": 0, "served": 0.497}
    n = Node("n1", {"ok": True, "metered": True, "nodes": 7, "heard": 1, "matched": 3, "sites": [
        dict(site, site="a.test"), dict(site, site="b.test:81", share_requests_s=0, share_bytes_s=1 << 20, served=1.0)]})
    code, out, err = run("shares")
    expect(code == 0 and n.asked == {"verb": "shares"} and out == (
        "1 node of about 7 heard beside this one; a second:\n"
        "site                          here: req        bytes   all: req        bytes share: req        bytes   served\n"
        "a.test                             28.4       28 KiB       40.2      4.8 MiB         20            -    49.7%\n"
        "b.test:81                          28.4       28 KiB       40.2      4.8 MiB          -      1.0 MiB   100.0%\n"
        "and 1 more, used less\n"), f"shares\n{out}")
    n.close()
    n = Node("n1", {"ok": True, "metered": False, "nodes": 7, "heard": 0, "matched": 0, "sites": []})
    expect("no site has a share" in run("shares")[1], "shares where there are none")
    n.close()
    n = Node("n1", {"ok": True, "clusters": [
        {"level": 2, "cluster": "00f312aa00f312aa", "size": 3, "known": 2, "threshold_us": 20000, "age_s": 7200,
         "last_switch": {"from": "11f312aa00f312aa", "to": "00f312aa00f312aa", "reason": "lower cluster ID",
                         "from_size": 1, "to_size": 3, "share_percent": 100, "measured": 2, "ago_s": 60}},
        {"level": 1, "cluster": "22f312aa00f312aa", "size": 1, "known": 0, "threshold_us": 60000, "age_s": 30,
         "last_switch": {"from": "33f312aa00f312aa", "to": "22f312aa00f312aa", "reason": "too far",
                         "from_size": 5, "to_size": 1, "share_percent": 70, "measured": 64, "ago_s": 30}},
        {"level": 0, "cluster": "0" * 16, "size": 240, "known": 61}]})
    code, out, err = run("clusters")
    expect(code == 0 and n.asked == {"verb": "clusters"} and out == (
        "level 2  00f312aa00f312aa      about 3 nodes, 2 known here, round trips below 20 ms, 2 h 0 min old\n"
        "         from 11f312aa00f312aa 1 min 0 s ago: lower cluster ID (about 3 for 1, 100 % of 2 near)\n"
        "level 1  22f312aa00f312aa      about 1 node, 0 known here, round trips below 60 ms, 30 s old\n"
        "         from 33f312aa00f312aa 30 s ago: too far (70 % of the last 64 answers)\n"
        "level 0  the planet            about 240 nodes, 61 known here\n"), f"clusters\n{out}")
    n.close()
    looked = {"ok": True, "key": "ab" * 20, "end": "found", "level": 2, "asks": 3, "hops": 1, "path": [
        {"level": 2, "id": "0123456789", "address": "10.1.0.12:8053", "rtt_us": 20, "prefix_bits": 1, "said": "closer"},
        {"level": 2, "id": "1123456789", "address": "10.1.0.13:8053", "rtt_us": 0, "prefix_bits": 4, "said": "no answer"},
        {"level": 2, "id": "aabbccddee", "address": "10.1.0.14:8053", "rtt_us": 8000, "prefix_bits": 9, "said": "found"}],
        "values": [{"node": "ddeeff0011", "address": "10.1.0.15:80", "ttl_us": 3599000000, "age_us": 1000000}]}
    n = Node("n1", looked)
    code, out, err = run("lookup", "http://a/")
    expect(code == 0 and n.asked == {"verb": "lookup", "key": "http://a/"} and out == (
        f"key {'ab' * 20}\n"
        "level  id         address                        rtt        bits  said\n"
        "2      01234567   10.1.0.12:8053                 0.02 ms    1     closer\n"
        "2      11234567   10.1.0.13:8053                 -          4     no answer\n"
        "2      aabbccdd   10.1.0.14:8053                 8.0 ms     9     found\n"
        "at 10.1.0.15:80                   for 59 min 59 s, since 1 s  node ddeeff00\n"), f"lookup\n{out}")
    n.close()
    n = Node("n1", dict(looked, end="not found", values=[]))
    code, out, err = run("lookup", "ab" * 20)
    expect(code == 0 and out.endswith("found\nnot found\n"), "lookup of what is not there")
    n.close()
    n = Node("n1", dict(looked, end="failed", values=[], path=[]))
    expect(run("lookup", "ab" * 20)[1].endswith("failed: nobody answered\n"), "lookup that nobody answered")
    n.close()

    near = {"ok": True, "address": "10.3.0.7", "router": "10.3.0.1", "nodes": [
        {"id": "01234567" * 5, "address": "10.1.0.12:80", "self": True},
        {"id": "11234567" * 5, "address": "10.3.0.12:80", "rtt_us": 8000, "live": True},
        {"id": "21234567" * 5, "address": "10.3.0.13:80"}]}
    n = Node("n1", near)
    code, out, err = run("near", "10.3.0.7")
    expect(code == 0 and n.asked == {"verb": "near", "address": "10.3.0.7"} and out == (
        "near 10.3.0.7: found under router 10.3.0.1\n"
        "01234567   10.1.0.12:80                   -          this node\n"
        "11234567   10.3.0.12:80                   8.0 ms     alive\n"
        "21234567   10.3.0.13:80                   -          not in the routing table\n"), f"near\n{out}")
    n.close()
    n = Node("n1", {"ok": True, "address": "10.3.0.7", "level": 2, "nodes": near["nodes"][1:2]})
    expect(run("near", "10.3.0.7")[1].startswith("nobody is known near 10.3.0.7; near this node, level 2:\n"),
           "near an address that nobody is near")
    n.close()
    n = Node("n1", {"ok": True, "address": "10.3.0.7", "level": 0, "nodes": []})
    expect(run("near", "10.3.0.7")[1] == "nobody is known near 10.3.0.7, and no other node is known\n",
           "near, alone")
    n.close()

    noted = {"time": "2026-11-29T02:13:04.123456Z", "client": "192.0.2.1", "method": "GET", "host": "a.test",
             "target": "/x\u009b\x1b[2J\u00e4", "status": 200, "bytes": 1024, "duration_us": 1200, "served": "hit",
             "worker": 0}
    bad = {"time": "2026-11-29T02:13:05.000000Z", "client": "192.0.2.2", "status": 400, "bytes": 31,
           "duration_us": 0, "served": "error", "worker": 0, "reason": "dns", "left": True}
    first = {"ok": True, "next": 7, "missed": False, "more": False, "records": [noted]}
    n = Node("n1", [first, dict(first, next=9, missed=True, records=[bad]), {"ok": False, "error": "over"}])
    code, out, err = run("log", "--status", "2xx", "--host", "a.test")
    expect(code == 1 and out == "02:13:04.123Z 192.0.2.1 GET a.test/x??[2J\u00e4 200 1024 B 1.2 ms hit\n"
           "02:13:05.000Z 192.0.2.2 - - 400 31 B 0 ms error, origin dns, the client left\n" and
           "some are left out" in err and "over" in err and
           n.asked == {"verb": "log", "after": 9, "most": 500, "status": "2xx", "host": "a.test"},
           f"log goes on until it is told otherwise\n{out}{err}{n.asked}")
    n.close()
    n = Node("n1", [first])
    code, out, err = run("log", "--no-wait", "--json", "--slower", "1ms")
    expect(code == 0 and json.loads(out) == noted and out.count("\n") == 1 and
           n.asked == {"verb": "log", "slower": "1ms"}, f"log --no-wait --json: a record a line\n{out}")
    n.close()
    n = Node("n1", [dict(first, begun=True, records=[dict(bad, reason="bad-field")])])
    expect("error, request bad-field" in run("log", "--no-wait")[1], "log says whose fault it was")
    n.close()
    for reason in ("shed", "share", "loop", "busy"):
        n = Node("n1", [dict(first, begun=True, records=[dict(bad, reason=reason)])])
        expect(f"error, {reason}" in run("log", "--no-wait")[1], f"log: {reason} is nobody's fault")
        n.close()
    for begun, records, hint in ((True, [], True), (False, [], False), (True, [bad], False)):
        n = Node("n1", [dict(first, begun=begun, records=records)])
        code, out, err = run("log", "--no-wait")
        expect(code == 0 and bool(out) == bool(records) and ("no access log is configured" in err) == hint,
               f"log --no-wait, begun {begun}: {err.strip()!r}")
        n.close()
    empty = dict(first, records=[])
    n = Node("n1", [first, dict(empty, next=8), dict(first, next=9)])
    code, out, err = run("trace", "http://a.test/x", "--client", "192.0.2.0/24")
    expect(code == 0 and not err and out == (
        "02:13:04.123Z 192.0.2.1 asked for http://a.test/x??[2J\u00e4 (GET, HTTP/?), worker 0\n"
        "        +0.0 ms  in the cache, and fresh (hit)\n"
        "        +0.0 ms  response 200 begins\n"
        "        +1.2 ms  1024 bytes of the body sent\n") and
        n.asked == {"verb": "log", "after": 8, "most": 1, "client": "192.0.2.0/24", "url": "http://a.test/x"},
        f"trace waits for the next, not what was before\n{out}{err}{n.asked}")
    n.close()
    n = Node("n1", [first])
    code, out, err = run("trace", "--no-wait", "--json")
    expect(code == 0 and json.loads(out) == noted and n.asked == {"verb": "log", "most": 1}, f"trace --json\n{out}")
    n.close()
    for begun, why in ((True, "no access log is configured"), (False, "is remembered")):
        n = Node("n1", [dict(empty, begun=begun)])
        code, out, err = run("trace", "--no-wait", "--path", "/x")
        expect(code == 1 and not out and why in err, f"trace --no-wait, nothing fits: {err.strip()!r}")
        n.close()

    def story(**is_too):
        n = Node("n1", [dict(first, records=[dict(
            {"time": "2026-11-29T02:13:04.123456Z", "client": "192.0.2.1", "method": "GET", "host": "a.test",
             "target": "/a", "version": "1.1", "status": 200, "bytes": 1, "duration_us": 26000, "worker": 1}, **is_too)])])
        code, out, err = run("trace", "--no-wait")
        n.close()
        expect(code == 0 and out.startswith("02:13:04.123Z 192.0.2.1"), f"a story {err}")
        return [x.strip() for x in out.splitlines()]

    asked = "02:13:04.123Z 192.0.2.1 asked for http://a.test/a (GET, HTTP/1.1), worker 1"
    miss, begins = "+0.0 ms  not in the cache (miss)", "+24.8 ms  response 200 begins"
    sent, now_in = "+26.0 ms  1 byte of the body sent", "+26.0 ms  1 byte of the body sent; it is in the cache now"
    for is_too, want in (
            ({"served": "origin", "why": "miss", "index_us": 7700, "origin_us": 17000, "head_us": 24800},
             [asked, miss, "+7.7 ms  the index named nobody who has it, after 7.7 ms",
              "+24.7 ms  the origin's head, after 17.0 ms", begins, now_in]),
            ({"served": "peer", "why": "miss", "index_us": 7700, "peer_us": 17000, "head_us": 24800, "request_id": "ab"},
             [asked + ", ID ab", miss, "+7.7 ms  the index named who has it, after 7.7 ms",
              "+24.7 ms  a peer's head, after 17.0 ms", begins, now_in]),
            ({"served": "origin", "why": "miss", "index_us": 700, "peer_us": 7000, "origin_us": 17000, "head_us": 24800},
             [asked, miss, "+0.7 ms  the index named who has it, after 0.7 ms",
              "+7.7 ms  asked peers, who did not help, for 7.0 ms", "+24.7 ms  the origin's head, after 17.0 ms",
              begins, now_in]),
            ({"served": "collapsed", "why": "vary-miss", "head_us": 24800},
             [asked, "+0.0 ms  in the cache, but not the variant that it asks for (vary-miss)",
              "+0.0 ms  a fetch of it for another request ran already: joined that (collapsed)", begins, now_in]),
            ({"served": "stale", "why": "stale-while-revalidate", "head_us": 24800},
             [asked, "+0.0 ms  in the cache, stale; sent while it is fetched anew (stale-while-revalidate)", begins, sent]),
            ({"served": "stale", "why": "stale-if-error", "origin_us": 24000, "head_us": 24800},
             [asked, "+0.0 ms  in the cache, but stale", "+24.0 ms  asked the origin, in vain, for 24.0 ms",
              "+24.8 ms  nobody else helped: what is in the cache is sent (stale-if-error)", begins, sent]),
            ({"served": "origin", "why": "stale", "origin_us": 24000, "head_us": 24800, "revalidated": True},
             [asked, "+0.0 ms  in the cache, but stale (stale)",
              "+24.0 ms  the origin says that what is in the cache still holds (304), after 24.0 ms", begins, now_in]),
            ({"served": "pass", "why": "method", "origin_us": 24000, "head_us": 24800, "broken": True},
             [asked, "+0.0 ms  not a plain GET or HEAD: it is for the origin (method)",
              "+24.0 ms  the origin's head, after 24.0 ms", begins,
              "+26.0 ms  broken off after 1 byte of the body: the rest could not be had"]),
            ({"served": "pass", "why": "bypass", "head_us": 24800},
             [asked, "+0.0 ms  it may not be answered from the cache (bypass)", begins,
              sent + "; it is not kept for others"]),
            ({"served": "error", "why": "miss", "status": 502, "reason": "refused", "origin_us": 24000, "head_us": 26000},
             [asked, miss, "+24.0 ms  asked the origin, in vain, for 24.0 ms",
              "+26.0 ms  this node answers 502 itself: the origin refuses to connect, or is unreachable", sent]),
            ({"served": "hit", "left": True, "peer": True},
             [asked.replace(" asked", ", a node of this cluster, asked"), "+0.0 ms  in the cache, and fresh (hit)",
              "+0.0 ms  response 200 begins", "+26.0 ms  the client left before the end; 1 byte of the body had been sent"]),
            ({"served": "origin", "method": "HEAD", "why": "miss", "head_us": 24800},
             [asked.replace("GET", "HEAD"), miss, begins, sent]),
            ({"served": "-", "status": 499, "left": True},
             [asked, "+26.0 ms  the client left before there was an answer"]),
            ({"served": "hit", "why": "\u009bnew"},
             [asked, "+0.0 ms  in the cache, and fresh (hit)", "+0.0 ms  response 200 begins", sent]),
            ({"served": "error", "reason": "\x1bnew", "why": "\u009bnew", "status": 500},
             [asked, "+0.0 ms  ?new", "+0.0 ms  this node answers 500 itself: ?new", sent])):
        got = story(**is_too)
        expect(got == want, f"the story of {is_too}" + ("" if got == want else "\n" + "\n".join(got)))
    n = Node("n1", [dict(first, records=[bad])])
    code, out, err = run("trace", "--no-wait")
    expect("192.0.2.2 sent what could not be read, worker 0\n" in out and
           "answers 400 itself: the origin's name could not be resolved" in out, f"what could not be read\n{out}")
    n.close()
    n = Node("n1", [{"ok": True, "file": "/var/log/access.log"}])
    code, out, err = run("log", "reopen")
    expect((code, out) == (0, "opened anew: /var/log/access.log\n") and n.asked == {"verb": "log", "reopen": True},
           f"log reopen {out}")
    n.close()

    going = {"ok": True, "state": "draining", "connections": 2, "requests": 1, "left_us": 29500000, "cut": 0}
    over = dict(going, state="drained", connections=0, requests=0, left_us=0)
    n = Node("n1", [going, over])
    code, out, err = run("drain")
    expect(code == 0 and n.asked == {"verb": "drain"} and out.splitlines() == [
        "[  0s] 2 connections left, 1 request in flight; cut in 30 s",
        "[  1s] drained; nothing was cut"], f"drain tells each second\n{out}")
    n.close()
    n = Node("n1", [going, dict(over, cut=1)])
    code, out, err = run("--json", "drain")
    expect(code == 3 and [json.loads(x)["state"] for x in out.splitlines()] == ["draining", "drained"],
           "drain that had to cut: 3; an object a line")
    n.close()
    n = Node("n1", [going])
    code, out, err = run("drain", "--no-wait")
    expect(code == 0 and len(out.splitlines()) == 1, "drain --no-wait")
    n.close()

    n = Node("n1", {"ok": True, "stopped": True, "cut": 0})
    expect(run("stop") == (0, "stopped\n", "") and n.asked == {"verb": "stop"}, "stop")
    n.close()
    with open(os.path.join(base, "n1", "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        n = Node("n1", {"ok": True, "stopped": True, "cut": 0})
        began = time.monotonic()
        threading.Timer(0.5, os.unlink, [lock.name]).start()
        threading.Timer(0.6, fcntl.flock, [lock, fcntl.LOCK_UN]).start()
        code, out, err = run("stop")
        took = time.monotonic() - began
        expect(code == 0 and out == "stopped\n" and 0.6 <= took < 5, f"stop waits for the lock: {took:.2f} s")
        n.close()
    with open(os.path.join(base, "n1", "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        n = Node("n1", {"ok": True, "stopped": True, "cut": 0})
        code, out, err = run("stop")
        expect(code == 1 and not out and "has not ended in 10 s" in err, f"... not for ever: {err.strip()}")
        n.close()
        n = Node("n1", {"ok": True})
        expect(run("stop", "--no-wait")[:2] == (0, "stopping\n"), "... not with --no-wait")
        n.close()
        os.unlink(lock.name)
    n = Node("n1", {"ok": True, "stopped": True, "cut": 2})
    code, out, err = run("stop")
    expect(code == 3 and "2 connections" in out, "stop that had to cut: 3")
    n.close()
    n = Node("n1", {"ok": True})
    expect(run("stop", "--no-wait")[:2] == (0, "stopping\n") and n.asked["wait"] is False, "--no-wait")
    n.close()

    for answer in (b"", b"{\"ok\": tr", b"[]\n", b"\xff\n"):
        n = Node("n1", answer)
        code, out, err = run("status")
        expect(code == 1 and "went away" in err, f"an answer of {answer!r}: {code} {err.strip()!r}")
        n.close()
    n = Node("n1", {"ok": True})
    code, out, err = run("status")
    expect(code == 0, "an answer that lacks everything")
    n.close()

    if os.geteuid() == 0:
        n = Node("n1", status)
        os.chmod(base, 0o755)
        os.chmod(os.path.join(base, "n1"), 0o755)
        os.chmod(n.path, 0o600)
        copy = os.path.join(base, "coralctl")
        shutil.copy(coralctl, copy)
        p = subprocess.run([copy, "status"], env=env, capture_output=True, text=True, user=65534, timeout=20)
        expect(p.returncode == 5 and "not permitted" in p.stderr, f"somebody else: {p.returncode} {p.stderr.strip()}")
        n.close()
finally:
    shutil.rmtree(base)
sys.exit(failed != 0)

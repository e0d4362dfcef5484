# SPDX-License-Identifier: BSD-3-Clause
"""coralctl against a socket that answers as told: what it prints, and its exit statuses."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

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
    """A socket in the place of corald's; answers one request with the given bytes."""

    def __init__(self, name, answer):
        os.makedirs(os.path.join(base, name), exist_ok=True)
        self.path = os.path.join(base, name, "control.sock")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen()
        self.answer = answer if isinstance(answer, bytes) else (json.dumps(answer) + "\n").encode()
        self.asked = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        c, _ = self.socket.accept()
        line = b""
        while not line.endswith(b"\n"):
            line += c.recv(65536)
        self.asked = json.loads(line)
        c.sendall(self.answer)
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
 index      1 other nodes alive, id 01234567...
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
                       (["explode"], "there are status"), (["purge"], "needs a URL"),
                       (["status", "x"], "one word too many"), (["--colour"], "no option"),
                       (["-n"], "wants a value"), (["-n", "../x", "status"], "no name"),
                       (["purge", "x" * 5000], "4095")):
        code, out, err = run(*args)
        expect(code == 2 and want in err and not out, f"coralctl {' '.join(args)[:30]}: {code} {err.strip()!r}")

    code, out, err = run("--help")
    expect(code == 0 and out.count("\n") <= 24 and max(map(len, out.splitlines())) <= 80,
           "--help fits a screen")
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

    n = Node("n1", {"ok": True, "url": "http://a/"})
    code, out, err = run("purge", "http://a/")
    expect(code == 0 and out == "purged http://a/\n" and n.asked["url"] == "http://a/", "purge")
    n.close()
    n = Node("n1", {"ok": False, "error": "not in this node's cache"})
    code, out, err = run("purge", "http://a/")
    expect(code == 1 and "not in this node's cache" in err and not out, "a refusal: 1")
    n.close()
    n = Node("n1", {"ok": True, "stopped": True, "cut": 0})
    expect(run("stop") == (0, "stopped\n", "") and n.asked == {"verb": "stop"}, "stop")
    n.close()
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

# SPDX-License-Identifier: BSD-3-Clause
"""Starts that must not half succeed: one clear line and the right exit status for each. A node that was
killed answers again in a moment. usage: lab_start.py [--kill N]   (alone, so many times)"""
import os
import statistics
import subprocess
import sys
import time

from story import HOST, Lab, run, tell

# Asks until it is answered, from a line on; then says when that was.
ASK = f"""
import sys, time
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from checking_client import dns_query
sys.stdin.readline()
while not dns_query(sys.argv[1], sys.argv[2], timeout=0.02):
    pass
print(time.monotonic())
"""


def corald(s, host, text, *options, name="bad"):
    path = os.path.join(s.lab.folder, "bad.yaml")
    with open(path, "w") as f:
        f.write(text)
    p = subprocess.run(s.lab.inside(host, os.path.join(s.lab.build, "control", "corald"), "-c", path,
                                    "-n", f"{s.prefix}/{name}", *options), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=20)
    return p.returncode, p.stdout


def killed(s, times):
    """From kill -9 to the first answer of the one started after it, with 256 MiB of cache, cold."""
    took = []
    for _ in range(times):
        p = subprocess.Popen(s.lab.inside("c1", "/usr/bin/python3", "-c", ASK, Lab.node_v4(1), HOST),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(0.5) # it is there
        began = time.monotonic()
        s.lab.node_kill(1)
        s.lab.node_start(1)
        took.append(float(p.communicate("go\n", timeout=20)[0]) - began)
    s.expect(statistics.median(took) < 10, f"kill -9 to the first answer: median {statistics.median(took):.3f} s "
             f"({min(took):.3f} to {max(took):.3f}) of {times}")


def story(s):
    lab = s.lab
    lab.router(nets=(1, 2))
    lab.client(1, 1)
    lab.node(1)
    lab.node_wait([1])
    killed(s, int(sys.argv[2]) if "--kill" in sys.argv[1:2] else 1)
    if "--kill" in sys.argv:
        return
    lab.node_wait([1])
    with open(os.path.join(lab.folder, "n1.yaml")) as f:
        good = f.read()

    def bad(text, status, words, what, **kw):
        code, out = corald(s, "n1", text, **kw)
        lines = [x for x in out.splitlines() if x.strip()]
        s.expect(code == status and all(w in out for w in words) and "EAL" not in out,
                 f"{what}: status {code}, {' | '.join(lines[:4])}")

    bad(good.replace("256MiB", "12 parrots"), 2, ["cache.memory", "12 parrots", "4GiB", "^"],
        "a value that is no size")
    bad(good.replace("zone:", "zoen:").replace("256MiB", "x"), 2,
        ["dns.zoen", "zone", "cache.memory", "2 errors"], "two mistakes in one run")
    bad(good.replace("device: eth0", "device: eth9"), 1, ["eth9"], "no such interface")
    bad(good.replace(os.path.join(lab.folder, "cluster.key"), "/nonexistent/key"), 2,
        ["/nonexistent/key"], "a key file that is missing")
    bad(good, 1, ["running"], "a second one of the same name", name="n1")
    for driver in ("auto", "af_xdp", "af_packet"):
        bad(good.replace("driver: auto", f"driver: {driver}"), 1, ["eth0", "another corald"],
            f"an interface that another node has, by {driver}")
    code, out = corald(s, "n1", good.replace("device: eth0", "device: lo").replace("256MiB", "900GiB"))
    s.expect(code == 1 and "memory" in out, f"more memory than there is: {code}, {out.strip()[:200]}")
    code, out = corald(s, "n1", good, "--check")
    s.expect(code == 0, f"--check of a good file: {code} {out.strip()}")
    p = subprocess.run([os.path.join(lab.build, "control", "corald"), "-c", "/nonexistent.yaml"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    s.expect(p.returncode == 2 and "/nonexistent.yaml" in p.stdout, f"no file: {p.stdout.strip()}")
    p = subprocess.run([os.path.join(lab.build, "tools", "coralctl"), "-n", f"{s.prefix}/none",
                        "status"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    s.expect(p.returncode == 4 and "running" in p.stdout, f"coralctl without a node: "
             f"{p.returncode} {p.stdout.strip()}")
    s.expect(lab.ctl(1, "status")["ok"], "the node that ran before all this still answers")
    p = run(*lab.inside("c1", "ping", "-c", "3", "-i", "0.2", "-w", "3", Lab.node_v4(1)), check=False)
    s.expect(" 0% packet loss" in p.stdout, "and still has its port")


tell("start", story)

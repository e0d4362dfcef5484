# SPDX-License-Identifier: BSD-3-Clause
"""The operator's rules in a node that runs: at its start, swapped under load without a request lost,
refused with their places while the old ones stay; a compiler that takes too long."""
import os
import subprocess
import time

from story import HOST, Lab, SITE, run, tell

LOAD = """
import socket, sys, time
host, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
request = f"GET /1k HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode()
done, failed, versions = 0, 0, set()
until = time.time() + seconds
s = socket.create_connection((address, 80), 3)
f = s.makefile("rb")
while time.time() < until:
    s.sendall(request)
    head = []
    while (line := f.readline()) not in (b"\\r\\n", b""):
        head.append(line.lower().strip())
    if not head or b" 200 " not in head[0] or len(f.read(1024)) != 1024:
        failed += 1
        break
    versions |= {h for h in head if h.startswith(b"x-version: ")}
    done += 1
print(done, failed, len(versions))
"""


def story(s):
    lab = s.lab
    page = s.rng.randbytes(1024)
    rules = os.path.join(lab.folder, "rules")

    def write(text, name=rules):
        with open(name, "w") as f:
            f.write(text)

    def swap(n):
        write(f"{SITE} path /old/ redirect 301 http://{HOST}/new/$rest\n"
              f"{SITE} match ^/(secret|private){n}/ deny 403\n"
              f"{SITE} set-response X-Version {n}\n")

    lab.router()
    lab.origin({"/1k": page})
    lab.client(1, 1)
    swap(0)
    lab.node(1, workers=2, extra="rules: {file: rules, compile_timeout: 3s}\n")
    lab.node_wait([1])
    status, body, _ = s.curl("c1", 1, "/1k")
    s.expect(status == 200 and body == page, f"a page: {status}")
    status, head, _ = s.curl("c1", 1, "/old/x?y", "-I", text=True)
    s.expect(status == 301 and f"location: http://{HOST}/new/x?y" in head.lower(), f"a redirection: {status}")
    s.expect(s.curl("c1", 1, "/private0/x")[0] == 403, "what the start's rules deny")
    r = lab.ctl(1, "rules")
    s.expect(r["ok"] and r["rules"] == 3 and r["expressions"] == 1 and r["file"].endswith("/rules"),
             f"coralctl rules: {r}")

    loads = [subprocess.Popen(lab.inside("c1", "/usr/bin/python3", "-c", LOAD, HOST, Lab.node_v4(1), "6"),
                              stdout=subprocess.PIPE, text=True) for _ in range(4)]
    swaps, until = 0, time.time() + 5
    while time.time() < until:
        swaps += 1
        swap(swaps)
        r = lab.ctl(1, "rules", "load")
        if not r.get("ok"):
            break
    s.expect(r["ok"] and swaps > 5, f"{swaps} swaps in 5 s, the last: {r}")
    sums = [[int(x) for x in p.communicate(timeout=30)[0].split()] for p in loads]
    s.expect(all(x[1] == 0 and x[0] > 100 and x[2] > 5 for x in sums),
             f"{sum(x[0] for x in sums)} requests, {sum(x[1] for x in sums)} failed, answers by "
             f"{min(x[2] for x in sums)} sets at least")
    s.expect(s.curl("c1", 1, f"/private{swaps}/x")[0] == 403 and s.curl("c1", 1, "/private0/x")[0] == 404,
             "the last rules are in force")

    write(f"{SITE} path /1k deny 403\n{SITE} denny\n{SITE} match ( pass\n", rules)
    r = lab.ctl(1, "rules", "load")
    s.expect(r["ok"] is False and f"{rules}:2:{len(SITE) + 2}: \"denny\" is no action" in r["error"] and
             [m["line"] for m in r["mistakes"]] == [2, 3] and "stay" in r["error"], f"bad rules, all of them: {r}")
    known = lab.ctl(1, "status")["rules"]
    s.expect(known["rules"] == 3 and len(known["hash"]) == 16 and "denny" in known["error"] and
             known["error"].endswith("and 1 more"), f"status says so: {known}")
    write(f"{SITE} path /1k deny 403\n{SITE} match ( pass\n", rules)
    r = lab.ctl(1, "rules", "check")
    s.expect(r["ok"] is False and f"{rules}:2:{len(SITE) + 8}: \"(\"" in r["error"],
             f"a bad expression: {r['error']!r}")
    other = os.path.join(lab.folder, "slow")
    write("".join(f"h{i}.test match ^/dir{i}/[^/]+\\.(jpg|png|css)$ pass\n" for i in range(9000)), other)
    began = time.time()
    slow = subprocess.Popen([os.path.join(lab.build, "tools", "coralctl"), "-n", lab.node_name(1), "rules",
                             "load", other], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(0.5)
    asked = time.time()
    busy, status = lab.ctl(1, "rules", "load"), lab.ctl(1, "status")
    s.expect(busy["ok"] is False and "being compiled" in busy["error"] and status["ok"] and
             time.time() - asked < 1, "meanwhile the node answers")
    said = slow.communicate(timeout=30)[0]
    s.expect(slow.returncode == 1 and "took longer than 3.0 s" in said and 2.9 < time.time() - began < 6,
             f"a compiler that takes too long: {said!r}")
    s.expect(s.curl("c1", 1, f"/private{swaps}/x")[0] == 403 and s.curl("c1", 1, "/1k")[1] == page and
             lab.ctl(1, "rules")["expressions"] == 1, "after all that the old rules are in force")
    left = run("pgrep", "-f", "corald --compile-rules", check=False).stdout
    s.expect(not left, f"no compiler is left: {left!r}")
    s.expect(lab.ctl(1, "stop")["ok"] and lab.nodes[1].wait(10) == 0, "the node ends")


tell("rules", story)

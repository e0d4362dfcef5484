# SPDX-License-Identifier: BSD-3-Clause
"""coralctl drain under load: nobody who was accepted fails, who comes is refused at once, the
downloads in flight end whole; what takes too long is cut and said so."""
import json
import os
import subprocess
import time

from story import HOST, Lab, tell

LOAD = """
import socket, sys, time
host, address, bytes_ = sys.argv[1], sys.argv[2], int(sys.argv[3])
request = f"GET /1k HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode()
done = failed = refused = 0
until = time.time() + 12
while time.time() < until and refused < 3:
    try:
        s = socket.create_connection((address, 80), 3)
    except ConnectionRefusedError:
        refused += 1
        time.sleep(0.05)
        continue
    f = s.makefile("rb")
    for i in range(200):
        try:
            s.sendall(request)
            head = []
            while (line := f.readline()) not in (b"\\r\\n", b""):
                head.append(line.lower())
            if not head or b" 200 " not in head[0] or len(f.read(bytes_)) != bytes_:
                raise ConnectionError
        except OSError:
            failed += 1
            break
        done += 1
        if b"connection: close\\r\\n" in head:
            break
    s.close()
print(done, failed, refused)
"""


def load(s, n):
    return [subprocess.Popen(s.lab.inside("c1", "/usr/bin/python3", "-c", LOAD, HOST,
                                          Lab.node_v4(1), "1024"), stdout=subprocess.PIPE,
                             text=True) for _ in range(n)]


def drain(s, *options):
    return subprocess.Popen([os.path.join(s.lab.build, "tools", "coralctl"), "-n",
                             s.lab.node_name(1), *options, "drain"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def story(s):
    lab = s.lab
    big = s.rng.randbytes(8 << 20)
    lab.router()
    lab.origin({"/1k": s.rng.randbytes(1024), "/big": big})
    lab.client(1, 1)
    lab.node(1, extra="drain_timeout: 20s\n")
    lab.node_wait([1])
    s.expect(s.curl("c1", 1, "/big")[1] == big, "the page is in the cache")
    s.curl("c1", 1, "/1k")

    address = Lab.node_v4(1)
    slow = subprocess.Popen(lab.inside(
        "c1", "curl", "-sS", "--max-time", "30", "--limit-rate", "2M", "-H", f"Host: {HOST}",
        f"http://{address}/big"), stdout=subprocess.PIPE)
    clients = load(s, 4)
    time.sleep(1)
    shown = lab.ctl(1, "tcp", "10.1.0.101")
    s.expect(shown["matched"] >= 2 and all(c["remote"].startswith("10.1.0.101:") and c["mss"] > 0
                                           for c in shown["connections"]),
             f"coralctl tcp ADDRESS: {shown['matched']} connections")
    told = drain(s)
    body, _ = slow.communicate(timeout=40)
    lines, _ = told.communicate(timeout=40)
    lines = lines.splitlines()
    s.expect(slow.returncode == 0 and body == big, "a download in flight ended whole")
    s.expect(told.returncode == 0 and len(lines) >= 2 and "in flight" in lines[0] and
             lines[-1].endswith("drained; nothing was cut"), f"told: {' / '.join(lines)}")
    sums = [[int(x) for x in c.communicate(timeout=30)[0].split()] for c in clients]
    s.expect(all(x[1] == 0 for x in sums) and all(x[0] > 10 for x in sums),
             f"{sum(x[0] for x in sums)} requests, {sum(x[1] for x in sums)} failed")
    s.expect(all(x[2] == 3 for x in sums), "and who comes later is refused at once")
    status = lab.ctl(1, "status")
    s.expect(status["state"] == "drained", "the node is there yet, and says that it is drained")
    s.expect(lab.ctl(1, "stop") == {"ok": True, "stopped": True, "cut": 0} and
             lab.nodes[1].wait(10) == 0, "stop ends it at once")

    # what does not end in time
    path = os.path.join(lab.folder, "n1.yaml")
    with open(path) as f:
        text = f.read().replace("drain_timeout: 20s", "drain_timeout: 2s")
    with open(path, "w") as f:
        f.write(text)
    lab.node_start(1)
    lab.node_wait([1])
    slow = subprocess.Popen(lab.inside(
        "c1", "curl", "-sS", "--max-time", "30", "--limit-rate", "200k", "-o", "/dev/null", "-H",
        f"Host: {HOST}", f"http://{address}/big"), stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    told = drain(s, "--json")
    lines, _ = told.communicate(timeout=30)
    last = json.loads(lines.splitlines()[-1])
    s.expect(told.returncode == 3 and last["state"] == "drained" and last["cut"] == 1,
             f"a reader too slow: status {told.returncode}, {last}")
    s.expect(slow.wait(20) != 0, "its client notices: no truncated body that looks whole")
    lab.nodes[1].terminate()
    s.expect(lab.nodes[1].wait(10) == 0, "SIGTERM ends the drained node")


tell("drain", story)

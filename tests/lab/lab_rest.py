# SPDX-License-Identifier: BSD-3-Clause
"""Six nodes at rest on this machine's cores: a ping is answered in under 1 ms (median), over IPv4
and IPv6, and no node uses more than 2 % of a core."""
import os
import re
import statistics
import time

from story import Lab, run, tell


def cpu_seconds(pid):
    """user + system of a process, threads included."""
    with open(f"/proc/{pid}/stat") as f:
        part = f.read().rsplit(")", 1)[1].split()
    return (int(part[11]) + int(part[12])) / os.sysconf("SC_CLK_TCK")


def pings(s, address):
    p = run(*s.lab.inside("c1", "ping", "-n", "-i", "0.05", "-c", "20", "-w", "5", address),
            check=False)
    return [float(x) for x in re.findall(r"time=([\d.]+) ms", p.stdout)]


def story(s):
    s.lab.router(nets=(1, 2))
    s.lab.client(1, 1)
    for i in range(1, 7):
        s.lab.node(i, workers=2 if i == 2 else 1)
    s.lab.node_wait(range(1, 7), members=5, seconds=30)
    time.sleep(2)
    # ip netns exec becomes corald: its process is the node's
    pid = {i: p.pid for i, p in s.lab.nodes.items()}
    before = {i: cpu_seconds(p) for i, p in pid.items()}
    time.sleep(10)
    used = {i: (cpu_seconds(p) - before[i]) / 10 for i, p in pid.items()}
    for i, share in used.items():
        s.expect(share < 0.02, f"n{i} at rest uses {share:.1%} of a core")
    for name, address in (("IPv4", Lab.node_v4), ("IPv6", Lab.node_v6)):
        for i in (1, 2):
            times = pings(s, address(i))
            s.expect(len(times) >= 19 and statistics.median(times) < 1,
                     f"ping n{i} over {name}: {len(times)} of 20 answered, median "
                     f"{statistics.median(times) if times else 0:.3f} ms")


tell("rest", story)

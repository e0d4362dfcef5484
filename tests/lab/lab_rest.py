# SPDX-License-Identifier: BSD-3-Clause
"""Six nodes on this machine's cores: at rest no node uses more than 2 % of a core; a ping to each at a
time, a hundred a second, is answered in under 1 ms (median), over IPv4 and IPv6."""
import os
import re
import statistics
import subprocess
import time

from story import Lab, run, tell


def cpu_seconds(pid):
    """Of a process, threads included, by the scheduler: its ticks would be too coarse."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def used(pid, work):
    """Shares of a core that processes use while something is done, and what came of that."""
    before, began = {i: cpu_seconds(p) for i, p in pid.items()}, time.monotonic()
    result = work()
    took = time.monotonic() - began
    return {i: (cpu_seconds(p) - before[i]) / took for i, p in pid.items()}, result


def pings(s, addresses):
    """Times of a hundred pings to each, all at once."""
    procs = [subprocess.Popen(s.lab.inside("c1", "ping", "-n", "-i", "0.01", "-c", "100", "-w", "5", a),
                              stdout=subprocess.PIPE, text=True) for a in addresses]
    return [[float(x) for x in re.findall(r"time=([\d.]+) ms", p.communicate()[0])] for p in procs]


def story(s):
    s.lab.router(nets=(1, 2))
    s.lab.client(1, 1)
    for i in range(1, 7):
        s.lab.node(i, workers=2 if i == 2 else 1)
    s.lab.node_wait(range(1, 7), members=5, seconds=30)
    time.sleep(2)
    # ip netns exec becomes corald: its process is the node's
    pid = {i: p.pid for i, p in s.lab.nodes.items()}
    shares, _ = used(pid, lambda: time.sleep(10))
    for i, share in shares.items():
        s.expect(share < 0.02, f"n{i} at rest uses {100 * share:.2f} % of a core")
    for name, address in (("IPv4", Lab.node_v4), ("IPv6", Lab.node_v6)):
        shares, times = used(pid, lambda: pings(s, [address(i) for i in pid]))
        for i, t in zip(pid, times):
            s.expect(len(t) >= 99 and statistics.median(t) < 1,
                     f"ping n{i} over {name}: {len(t)} of 100 answered, median "
                     f"{statistics.median(t) if t else 0:.3f} ms, with {100 * shares[i]:.2f} % of a core")


tell("rest", story)

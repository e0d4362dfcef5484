# SPDX-License-Identifier: BSD-3-Clause
"""A node that comes back has what it had: after a graceful stop, with another number of workers, and
after kill -9 beside a write. What is purged, torn, another's or under another key stays away."""
import os
import random
import shutil
import subprocess
import time

from story import HOST, SITE, Lab, tell

PAGES = 40
VARIED = b"by language"


def configure(s, workers=1, interval="10min", key=None):
    """n1's configuration, which is taken over at its next start."""
    lab = s.lab
    path = lab.node_config(1, workers=workers, cache=f"64MiB, restart_file: {s.file}, "
                                                     f"restart_interval: {interval}")
    if key:
        with open(path) as f:
            text = f.read().replace(os.path.join(lab.folder, "cluster.key"), key)
        with open(path, "w") as f:
            f.write(text)


def start(s):
    """Until it has read what there is."""
    s.lab.node_start(1)
    s.lab.node_wait([1])
    s.lab.wait(lambda: s.lab.ctl(1, "status")["restart"]["state"] != "loading", 10, "it still loads")
    return s.lab.ctl(1, "status")["restart"]


def stop(s):
    s.lab.ctl(1, "stop")
    return s.lab.nodes[1].wait(15)


def pages(s, names):
    """(bodies that are right, hits, requests that the origin saw)"""
    before = len(s.lab.origin_log())
    right = hits = 0
    for path in names:
        status, out, _ = s.curl("c1", 1, path, "-i")
        head, _, body = out.partition(b"\r\n\r\n")
        right += status == 200 and body == s.files[path]
        hits += b"; hit" in head
    time.sleep(0.2)
    return right, hits, len(s.lab.origin_log()) - before


def varied(s):
    """What varies is back for each for whom it was, whoever owns it now, and parts of what is large."""
    def ask(language):
        before = len(s.lab.origin_log())
        status, out, _ = s.curl("c1", 1, "/varied", "-i", "-H", f"Accept-Language: {language}")
        head, _, body = out.partition(b"\r\n\r\n")
        time.sleep(0.2)
        return status, body == VARIED, b"; hit" in head, len(s.lab.origin_log()) - before

    def part():
        before = len(s.lab.origin_log())
        status, out, _ = s.curl("c1", 1, "/film", "-i", "-r", "2000000-3000000")
        head, _, body = out.partition(b"\r\n\r\n")
        time.sleep(0.2)
        return status, body == s.film[2000000:3000001], b"; hit" in head, \
            len(s.lab.origin_log()) - before

    cold = [ask("da"), ask("en, fr")]
    cold_part = part()
    s.expect(stop(s) == 0, "stopped")
    configure(s, workers=2)
    told = start(s)
    warm = [ask("da"), ask("EN,fr"), ask("fr")]
    s.expect(cold == [(200, True, False, 1)] * 2 and
             warm == [(200, True, True, 0)] * 2 + [(200, True, False, 1)],
             f"two variants: {cold}, with two workers then {warm}; {told['loaded']} objects loaded")
    warm_part = part()
    s.expect(cold_part == (206, True, False, 2) and warm_part == (206, True, True, 0),
             f"two slices of a film: {cold_part}, then {warm_part}")
    stop(s)
    os.unlink(s.file)
    configure(s)
    start(s)


def graceful(s):
    got = pages(s, s.files)
    s.expect(got == (len(s.files), 0, len(s.files)), f"cold: {got}")
    pages(s, s.hot)
    s.expect(stop(s) == 0 and os.stat(s.file).st_mode & 0o777 == 0o600,
             f"stopped; the file has {os.path.getsize(s.file)} bytes")
    for workers in (2, 1):
        configure(s, workers=workers)
        told = start(s)
        got = pages(s, s.files)
        s.expect(got == (len(s.files), len(s.files), 0) and told["loaded"] == len(s.files),
                 f"{workers} workers: {got} right, hits, asked of the origin; {told}")
        s.expect(stop(s) == 0, "stopped")


def purged(s):
    """Purged and killed at once: the purge holds."""
    gone, kept = s.hot[0], s.hot[1]
    start(s)
    s.expect(s.lab.ctl(1, "purge", f"http://{SITE}{gone}")["ok"], "purged")
    s.lab.node_kill(1)
    s.expect(not os.path.exists(s.file), "killed; the file went before the answer")
    configure(s, interval="1s")
    start(s)
    got = pages(s, [gone])
    s.expect(got == (1, 0, 1), f"what was purged is fetched again: {got}")
    pages(s, s.files)
    s.lab.wait(lambda: s.lab.ctl(1, "status")["restart"]["objects"] == len(s.files), 20,
               "no file was written while it runs")
    s.lab.node_kill(1)
    told = start(s)
    got = pages(s, [gone, kept])
    s.expect(got == (2, 2, 0), f"killed; back from the file that was written beside: {got} {told}")
    s.lab.node_kill(1)


def killed(s):
    """Killed at any moment of a write: a start, and right bodies."""
    rng = random.Random(3)
    for _ in range(6):
        start(s)
        for path in s.hot:
            s.lab.ctl(1, "purge", f"http://{SITE}{path}", check=False)
        names = rng.sample(sorted(s.files), 8)
        pages(s, names)
        time.sleep(rng.uniform(0.5, 1.6))
        s.lab.node_kill(1)
    told = start(s)
    right, hits, _ = pages(s, s.files)
    s.expect(right == len(s.files), f"killed six times: {right} right, {hits} hits; {told}")
    s.expect(stop(s) == 0, "stopped")


def refused(s):
    good = s.file + ".good"
    shutil.copy2(s.file, good)
    size = os.path.getsize(good)
    other = os.path.join(s.lab.folder, "other.key")
    with open(other, "w") as f:
        f.write("11" * 16 + "\n")
    os.chmod(other, 0o600)
    configure(s, key=other)
    told = start(s)
    got = pages(s, s.hot)
    s.expect(told["loaded"] == 0 and "key" in told["error"] and got[:2] == (len(s.hot), 0),
             f"another key: {told['error']}")
    stop(s)
    configure(s)
    for what, change in (("torn", lambda f: f.truncate(size // 2)),
                         ("open to others", lambda f: os.chmod(f.name, 0o666)),
                         ("garbage", lambda f: f.write(b"x" * 200))):
        shutil.copy2(good, s.file)
        with open(s.file, "r+b") as f:
            change(f)
        told = start(s)
        right, hits, _ = pages(s, s.hot)
        s.expect(told["loaded"] == 0 and told["error"] and (right, hits) == (len(s.hot), 0),
                 f"{what}: {told['error']}")
        s.lab.node_kill(1)
        os.chmod(s.file, 0o600)
    shutil.copy2(good, s.file)
    with open(s.file, "r+b") as f:
        for at in range(size // 3, size, size // 3):
            f.seek(at)
            b = f.read(1)
            f.seek(at)
            f.write(bytes([b[0] ^ 1]))
    told = start(s)
    right, hits, asked = pages(s, s.files)
    s.expect(0 < told["refused"] < len(s.files) and right == len(s.files) and asked,
             f"damaged inside: {told['refused']} refused, {hits} hits, all right")
    s.lab.node_kill(1)


def full_disk(s):
    """A file system of a MiB; the node goes on."""
    folder = os.path.join(s.lab.folder, "small")
    os.makedirs(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    s.file = os.path.join(folder, "cache.restart")
    try:
        configure(s, interval="1s")
        start(s)
        pages(s, s.files)
        s.lab.wait(lambda: s.lab.ctl(1, "status")["restart"]["save_failures"] > 0, 10,
                   "nothing was said of the full disk")
        told = s.lab.ctl(1, "status")["restart"]
        got = pages(s, s.files)
        s.expect("No space" in told["error"] and got == (len(s.files), len(s.files), 0),
                 f"a full disk: {told['error']}; it serves on: {got}")
        s.expect(stop(s) == 0 and set(os.listdir(folder)) <= {"cache.restart"},
                 "what could not be finished is not left there")
    finally:
        subprocess.run(["umount", folder], check=False)


def story(s):
    lab = s.lab
    s.file = os.path.join(lab.folder, "cache.restart")
    s.files = {f"/p{i}": s.rng.randbytes(s.rng.choice([200, 5000, 70000])) for i in range(PAGES)}
    s.files["/big"] = s.rng.randbytes(5 << 20)
    s.files["/empty"] = b""
    s.hot = sorted(s.files)[:5]
    lab.router()
    s.film = s.rng.randbytes(5 << 20)
    lab.origin({**s.files, "/varied": VARIED, "/film": s.film}, varied=["/varied"])
    lab.client(1, 1)
    lab.host("n1")
    for which in ("default", "all"):
        lab.sysctl("n1", f"net.ipv6.conf.{which}.disable_ipv6", 1)
    lab.link("n1", 1, [])
    configure(s)
    start(s)
    varied(s)
    graceful(s)
    purged(s)
    killed(s)
    refused(s)
    full_disk(s)


tell("warm", story)

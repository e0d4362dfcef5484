# SPDX-License-Identifier: BSD-3-Clause
"""The access log of a node says what curl saw: in each format, of each way that a request is served;
whoever moves the file gets a new one; a full disk costs lines, which are counted, and nothing else;
coralctl shows what passes, with a log and without."""
import json
import os
import re
import socket
import subprocess
import time

from story import HOST, Lab, run, tell

COMBINED = re.compile(r'(\S+) - - \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+) '
                      r'"((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"\n')


def lines(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode("ascii").splitlines(keepends=True)
    except FileNotFoundError:
        return []


def configure(s, access):
    s.lab.node_config(1, extra=f"log: {{access: {{{access}}}}}\n")


def restart(s, access):
    s.lab.ctl(1, "stop")
    s.expect(s.lab.nodes[1].wait(15) == 0, f"stopped; next: {access}")
    configure(s, access)
    s.lab.node_start(1)
    s.lab.node_wait([1])


def counter(s, name):
    return s.lab.ctl(1, "stats")["counters"][name]["value"]


def told(s, *words):
    """What coralctl log --no-wait shows: records."""
    p = run(os.path.join(s.lab.build, "tools", "coralctl"), "-n", s.lab.node_name(1), "--json", "log",
            "--no-wait", *words, check=False)
    return [json.loads(x) for x in p.stdout.splitlines()]


def raw(s, request):
    """Bytes to the node, as no client would send them."""
    subprocess.run(s.lab.inside("c1", "python3", "-c", f"""
import socket
c = socket.create_connection(("{Lab.node_v4(1)}", 80), 5)
c.sendall({request!r})
while c.recv(65536): pass
"""), timeout=20, check=True)


def unlogged(s):
    """Nothing is configured: coralctl has it gathered for as long as it asks."""
    s.curl("c1", 1, "/1k")
    p = run(os.path.join(s.lab.build, "tools", "coralctl"), "-n", s.lab.node_name(1), "log", "--no-wait")
    s.expect("no access log is configured" in p.stdout, "no log: whoever asks is told so")
    s.expect(told(s) == [], "no log: what passed before anybody asked is not known")
    time.sleep(0.3)
    s.curl("c1", 1, "/1k", "-A", "asked")
    s.lab.wait(lambda: len(told(s)) == 1, 5, "coralctl log does not see a request")
    r = told(s)[0]
    s.expect((r["agent"], r["served"], r["status"], r["bytes"]) == ("asked", "hit", 200, 1024),
             f"asked for, it is shown: {r}")
    noted = counter(s, "worker_access_records_total")
    time.sleep(4)
    s.curl("c1", 1, "/1k")
    s.expect(counter(s, "worker_access_records_total") == noted, "nobody asks: nothing is noted")


def combined(s, path):
    tell_agent = 'evil" 200 1 "\\ \tx'
    s.curl("c1", 1, "/100k", "-A", tell_agent, "-e", "http://from.test/ä")
    s.curl("c1", 1, "/100k", "-I", v6=True)
    s.curl("c1", 1, "/nothing?a=1&b=%22")
    s.curl("c1", 1, "/100k", "-r", "0-99")
    s.curl("c1", 1, "/100k", host="other.test")
    raw(s, b"GET / nonsense\r\n\r\n")
    s.lab.wait(lambda: len(lines(path)) == 6, 5, "six requests, not six lines")
    got = [COMBINED.fullmatch(x) for x in lines(path)]
    if not s.expect(all(got), "combined lines are such" if all(got) else str(lines(path))):
        return
    g = [x.groups() for x in got]
    s.expect([x[2] for x in g] == ["GET /100k HTTP/1.1", "HEAD /100k HTTP/1.1",
                                   "GET /nothing?a=1&b=%22 HTTP/1.1", "GET /100k HTTP/1.1",
                                   "GET /100k HTTP/1.1", "-"], f"request lines: {[x[2] for x in g]}")
    s.expect([x[3:5] for x in g[:4]] == [("200", "102400"), ("200", "0"), g[2][3:5], ("206", "100")] and
             g[2][3] == "404" and g[4][3][0] in "45" and g[5][3] == "400",
             f"statuses and bytes: {[x[3:5] for x in g]}")
    s.expect({x[0] for x in g} == {"10.1.0.101", "fd00:1::101"}, f"clients: {[x[0] for x in g]}")
    s.expect(g[0][5] == "http://from.test/\\xc3\\xa4" and
             g[0][6] == 'evil\\" 200 1 \\"\\\\ \\x09x', f"nothing is forged: {g[0][5:]}")
    when = time.mktime(time.strptime(g[0][1], "%d/%b/%Y:%H:%M:%S +0000")) - time.timezone
    s.expect(abs(when - time.time()) < 30, f"the time: {g[0][1]}")


def moved(s, path):
    for how in ("coralctl", "SIGHUP"):
        before = len(lines(path))
        os.rename(path, path + ".moved")
        s.curl("c1", 1, "/1k")
        s.lab.wait(lambda: len(lines(path + ".moved")) == before + 1, 5, "the moved file was left")
        if how == "SIGHUP":
            s.lab.nodes[1].send_signal(1)
            s.lab.wait(lambda: os.path.exists(path), 5, "SIGHUP opened no new file")
        else:
            r = s.lab.ctl(1, "log", "reopen")
            s.expect(r == {"ok": True, "file": path}, f"log reopen: {r}")
        s.curl("c1", 1, "/1k")
        s.lab.wait(lambda: len(lines(path)) == 1, 5, "nothing in the new file")
        s.expect(os.stat(path).st_mode & 0o777 == 0o640, f"by {how} there is a new file, 0640")


def as_json(s, path):
    s.curl("c1", 1, "/1k")
    s.curl("c1", 1, "/1k")
    s.curl("c1", 1, "/slow/big", "--max-time", "0.7")
    s.lab.wait(lambda: len(lines(path)) == 3, 5, "three requests, not three lines")
    r = [json.loads(x) for x in lines(path)]
    s.expect([x["served"] for x in r] == ["origin", "hit", "origin"] and "left" not in r[0] and
             r[2]["left"] is True and 0 < r[2]["bytes"] < 1 << 20 and r[2]["duration_us"] > 400000,
             f"origin, hit, and one who left: {r}")
    s.expect(all(x["host"] == HOST and x["client"] == "10.1.0.101" and x["version"] == "1.1"
                 for x in r) and r[0]["target"] == "/1k", "host, client, version, target")
    s.expect([x["target"] for x in told(s, "--slower", "300ms", "--served", "origin", "--client",
                                        "10.1.0.0/24", "--host", HOST.upper())] == ["/slow/big"] and
             told(s, "--status", "5xx") == [] and len(told(s, "--path", "/1k")) == 2,
             "filters of coralctl log")
    p = subprocess.Popen([os.path.join(s.lab.build, "tools", "coralctl"), "-n", s.lab.node_name(1),
                          "log", "--path", "/100k"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    s.curl("c1", 1, "/1k")
    s.curl("c1", 1, "/100k")
    line = p.stdout.readline()
    p.terminate()
    p.wait(5)
    s.expect(re.fullmatch(rf"\d\d:\d\d:\d\d\.\d\d\dZ 10\.1\.0\.101 GET {HOST}/100k 200 102400 B "
                          r"\S+ ms origin\n", line), f"live: {line!r}")


def at_once(s):
    """What is over before coralctl asks is shown, though the log's thread comes by now and then only."""
    missed = []
    for i in range(20):
        s.curl("c1", 1, "/1k", "-A", f"now{i}")
        if not any(r.get("agent") == f"now{i}" for r in told(s)):
            missed.append(i)
    s.expect(not missed, f"log --no-wait misses none that is over: {missed}")


def journal(s):
    """Entries as systemd's journal has them; it is we who listen, where there is none."""
    where = "/run/systemd/journal/socket"
    if os.path.exists(where):
        print("left out: there is a journal here")
        return
    os.makedirs(os.path.dirname(where), exist_ok=True)
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(where)
    heard.settimeout(5)
    try:
        configure(s, "journal: true, format: common")
        s.lab.node_start(1)
        s.lab.node_wait([1])
        s.curl("c1", 1, "/nothing")
        fields = dict(x.split("=", 1) for x in heard.recv(65536).decode().splitlines())
        s.expect(re.fullmatch(r'10\.1\.0\.101 - - \[[^]]+\] "GET /nothing HTTP/1\.1" 404 \d+',
                              fields.pop("MESSAGE", "")) and
                 fields == {"SYSLOG_IDENTIFIER": "coral-access", "PRIORITY": "6", "CORAL_STATUS": "404",
                            "CORAL_CLIENT": "10.1.0.101", "CORAL_NODE": "n1", "CORAL_SERVED": "origin"},
                 f"in the journal: {fields}")
        s.expect(counter(s, "log_journal_total") == 1 and s.lab.ctl(1, "status")["log"]["journal"] is True,
                 "it is counted, and status says so")
        heard.close() # nobody listens any more
        s.curl("c1", 1, "/1k")
        s.lab.wait(lambda: counter(s, "log_journal_dropped_total") == 1, 5, "a line is lost and not counted")
        s.expect("the journal does not take lines" in s.lab.log_tail("n1", 20), "a journal that is gone is told of")
    finally:
        heard.close()
        os.unlink(where)


def traced(s):
    """coralctl trace waits for the request, whose story is that of a page from a slow origin."""
    ctl = [os.path.join(s.lab.build, "tools", "coralctl"), "-n", s.lab.node_name(1), "trace"]
    url = f"http://{HOST}/slow/page?a=1"
    p = subprocess.Popen([*ctl, url], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    s.curl("c1", 1, "/slow/page?a=12")
    s.curl("c1", 1, "/slow/page?a=1")
    out, _ = p.communicate(timeout=10)
    s.expect(p.returncode == 0 and re.fullmatch(
        rf"\d\d:\d\d:\d\d\.\d\d\dZ 10\.1\.0\.101 asked for {re.escape(url)} \(GET, HTTP/1\.1\), worker \d\n"
        r" +\+0\.0 ms  not in the cache \(miss\)\n"
        r"( +\+\S+ ms  the index named nobody who has it, after \S+ ms\n)?"
        r" +\+\S+ ms  the origin's head, after \S+ ms\n"
        r" +\+\S+ ms  response 200 begins\n"
        r" +\+\S+ ms  10240 bytes of the body sent; it is in the cache now\n", out), f"trace:\n{out}")
    s.curl("c1", 1, "/slow/page?a=1")
    s.lab.wait(lambda: "(hit)" in run(*ctl, url, "--no-wait").stdout, 5, "the latest is no hit")
    p = run(*ctl, "--json", f"http://{HOST}/nobody/asked", "--no-wait", check=False)
    s.expect(p.returncode == 1 and json.loads(p.stdout)["status"] == 1, "trace: nothing that fits: 1")


def full(s, folder):
    """1 MiB of disk: lines are lost, not halved, and it goes on when there is room."""
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)
    try:
        path, ballast = os.path.join(folder, "access.log"), os.path.join(folder, "ballast")
        restart(s, f"file: {path}, format: json")
        with open(ballast, "wb") as f:
            f.write(bytes(1000 << 10))
        run(*s.lab.inside("c1", "wrk", "-t1", "-c4", "-d1s", "-H", f"Host: {HOST}",
                          f"http://{Lab.node_v4(1)}/1k"), timeout=20)
        s.lab.wait(lambda: counter(s, "log_dropped_total") > 0, 5, "no line was dropped")
        got = lines(path)
        s.expect(all(json.loads(x)["status"] == 200 for x in got) and
                 len(got) == counter(s, "log_lines_total"), f"{len(got)} whole lines, then it is full")
        os.unlink(ballast)
        s.curl("c1", 1, "/1k", "-A", "later")
        s.lab.wait(lambda: '"later"' in lines(path)[-1], 5, "it does not go on")
        log = s.lab.log_tail("n1", 50)
        s.expect(log.count("cannot write") == 1 and log.count("is written again") == 1,
                 "told once, and once that it goes on")
    finally:
        s.lab.ctl(1, "stop")
        s.lab.nodes[1].wait(15)
        run("umount", folder)


def rotated(s, path):
    run(*s.lab.inside("c1", "wrk", "-t1", "-c16", "-d2s", "-H", f"Host: {HOST}", "-H",
                      "User-Agent: " + "rotate" * 60, f"http://{Lab.node_v4(1)}/1k"), timeout=20)
    lost = lambda: counter(s, "log_dropped_total") + counter(s, "worker_access_dropped_total")
    noted = lambda: counter(s, "worker_access_records_total")
    s.lab.wait(lambda: counter(s, "log_lines_total") + lost() == noted(), 5,
               "what was noted is neither written nor counted as dropped")
    names = [path] + [f"{path}.{i}" for i in (1, 2)]
    sizes = [os.path.getsize(x) if os.path.exists(x) else -1 for x in names]
    s.expect(counter(s, "log_rotations_total") >= 2 and max(sizes) <= 1 << 20 < min(sizes[1:]) * 2 and
             not os.path.exists(path + ".3"),
             f"{counter(s, 'log_rotations_total')} rotations, two files kept, of {sizes} bytes, "
             f"{counter(s, 'log_lines_total')} lines, {lost()} lost of {noted()}")


def shown(s, path):
    r = s.lab.ctl(1, "status")["log"]
    s.expect(r["format"] == "json" and r["file"] == path and
             r["dropped"] == counter(s, "worker_access_dropped_total") and
             r["lines"] == counter(s, "log_lines_total"), f"status: {r}")


def story(s):
    lab = s.lab
    folder = os.path.join(lab.folder, "log")
    small = os.path.join(lab.folder, "small")
    for x in (folder, small):
        os.makedirs(x, exist_ok=True)
    path = os.path.join(folder, "access.log")
    lab.router()
    lab.origin({"/1k": s.rng.randbytes(1024), "/100k": s.rng.randbytes(100 << 10),
                "/slow/big": s.rng.randbytes(1 << 20),
                "/slow/page": s.rng.randbytes(10 << 10)}, slow=("/slow",), rate="200k")
    lab.client(1, 1)
    lab.node(1)
    lab.node_wait([1])
    unlogged(s)
    restart(s, f"file: {path}")
    combined(s, path)
    moved(s, path)
    for x in os.listdir(folder):
        os.unlink(os.path.join(folder, x))
    restart(s, f"file: {path}, format: json, max_size: 1MiB, keep: 2")
    as_json(s, path)
    at_once(s)
    traced(s)
    rotated(s, path)
    shown(s, path)
    full(s, small)
    journal(s)


tell("log", story)

# SPDX-License-Identifier: BSD-3-Clause
"""coralctl reload: sites come and go under load without a request lost; a mistake is told with its
place and changes nothing; what needs a restart is named and stays; rules and deny list go along."""
import os
import subprocess
import time

from story import HOST, Lab, SITE, tell

LOAD = """
import socket, sys, time
host, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
request = f"GET /1k HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode()
done, failed = 0, 0
until = time.time() + seconds
s = socket.create_connection((address, 80), 3)
f = s.makefile("rb")
while time.time() < until:
    s.sendall(request)
    head = []
    while (line := f.readline()) not in (b"\\r\\n", b""):
        head.append(line)
    if not head or b" 200 " not in head[0] or len(f.read(1024)) != 1024:
        failed += 1
        break
    done += 1
print(done, failed)
"""


def reload(s, *options):
    p = subprocess.run([os.path.join(s.lab.build, "tools", "coralctl"), "-n", s.lab.node_name(1), *options,
                        "reload"], capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout, p.stderr


def story(s):
    lab = s.lab
    page = s.rng.randbytes(1024)
    path = os.path.join(lab.folder, "n1.yaml")

    def change(old, new):
        with open(path) as f:
            text = f.read()
        assert old in text, f"{old!r} in {text!r}"
        with open(path, "w") as f:
            f.write(text.replace(old, new, 1))

    lab.router()
    lab.origin({"/1k": page})
    lab.client(1, 1)
    lab.node(1, workers=2)
    lab.node_wait([1])
    s.expect(s.curl("c1", 1, "/1k")[1] == page, "a page")
    s.expect(s.curl("c1", 1, "/1k", host="new.test")[0] == 421, "a site that is none yet")
    with open(path) as f:
        first = f.read()
    site = next(x for x in first.splitlines() if SITE in x)
    indent = site[:len(site) - len(site.lstrip())]

    code, out, err = reload(s)
    s.expect(code == 0 and out == f"{path}: in force, 1 site\n" and not err, f"nothing new: {code} {out!r} {err!r}")
    change(site + "\n", site + "\n" + site.replace(SITE, "new.test") + "\n")
    code, out, err = reload(s)
    s.expect(code == 0 and out == f"{path}: in force, 2 sites\n", f"another site: {code} {out!r} {err!r}")
    s.expect(s.curl("c1", 1, "/1k", host="new.test")[1] == page, "it is served at once")
    r = lab.ctl(1, "origins")
    s.expect({o["site"] for o in r["origins"]} == {SITE, "new.test"}, "coralctl origins has it")
    error = lab.ctl(1, "origins", "nosuch.test")["error"]
    s.expect('"nosuch.test"' in error, f"and not another: {error}")

    with open(path) as f:
        good = f.read()
    change(site.replace(SITE, "new.test"), site.replace(SITE, "new.test") + f"\n{indent}bad.test: {{orign: 10.0.0.1}}")
    line = good.count("\n", 0, good.index("new.test")) + 2
    code, out, err = reload(s)
    s.expect(code == 2 and f"{path}:{line}:" in err and 'did you mean "origin"?' in err and
             "stays as it is" in err and not out, f"a mistake: {code} {err!r}")
    r = lab.ctl(1, "reload")
    s.expect(r["ok"] is False and r["mistakes"][0]["line"] == line, f"for a script: {r}")
    r = lab.ctl(1, "status")["config"]
    s.expect(r["errors"] == len(lab.ctl(1, "reload")["mistakes"]) and r["refused"] > 0, f"status has it: {r}")
    s.expect(s.curl("c1", 1, "/1k", host="new.test")[1] == page, "what was in force is yet")

    with open(path, "w") as f:
        f.write(good + "rules: {file: rules}\ndrain_timeout: 3s\nhttp: {connections: 1000}\n")
    with open(os.path.join(lab.folder, "rules"), "w") as f:
        f.write(f"{SITE} path /no/ deny 451\n")
    code, out, err = reload(s)
    s.expect(code == 3 and out.endswith("needs a restart, and is as it was: http.connections\n"),
             f"what needs a restart: {code} {out!r} {err!r}")
    s.expect(lab.ctl(1, "status")["config"].get("restart") == ["http.connections"], "status remembers it")
    s.expect(s.curl("c1", 1, "/no/x")[0] == 451 and lab.ctl(1, "rules")["rules"] == 1, "the rules are in force")
    since = lab.ctl(1, "rules")["since"]
    with open(os.path.join(lab.folder, "rules"), "a") as f:
        f.write(f"{SITE} denny\n{SITE} match ( pass\n")
    code, out, err = reload(s)
    s.expect(code == 2 and "rules:2:" in err and "rules:3:" in err and s.curl("c1", 1, "/no/x")[0] == 451,
             f"rules that are wrong: {code} {err!r}")
    with open(os.path.join(lab.folder, "rules"), "w") as f:
        f.write(f"{SITE} path /no/ deny 451\n")
    time.sleep(1.1)
    reload(s)
    s.expect(lab.ctl(1, "rules")["since"] == since, "the same rules are not taken anew")
    os.rename(os.path.join(lab.folder, "rules"), os.path.join(lab.folder, "rules.new"))
    change("{file: rules}", "{file: rules.new}")
    reload(s)
    r = lab.ctl(1, "rules")
    s.expect(r["since"] == since and r["file"].endswith("/rules.new"), f"though their file is another: {r}")
    os.rename(os.path.join(lab.folder, "rules.new"), os.path.join(lab.folder, "rules"))

    loads = [subprocess.Popen(lab.inside("c1", "/usr/bin/python3", "-c", LOAD, HOST, Lab.node_v4(1), "6"),
                              stdout=subprocess.PIPE, text=True) for _ in range(4)]
    n, until, bad = 0, time.time() + 5, []
    while time.time() < until:
        n += 1
        text = good if n % 2 else first
        with open(path, "w") as f:
            f.write(text + (f"rules: {{file: rules}}\nopen: {{stale: {n}h}}\n" if n % 3 else ""))
        code, out, err = reload(s)
        if code != 0:
            bad.append((code, out, err))
        status = s.curl("c1", 1, "/1k", host="new.test")[0] if n % 8 < 2 else 0
        if status and status != (200 if n % 2 else 421):
            bad.append((n, status))
    s.expect(n > 5 and not bad, f"{n} reloads in 5 s: {bad[:3]}")
    sums = [[int(x) for x in p.communicate(timeout=30)[0].split()] for p in loads]
    s.expect(all(x[1] == 0 and x[0] > 100 for x in sums),
             f"{sum(x[0] for x in sums)} requests meanwhile, {sum(x[1] for x in sums)} failed")
    s.expect(lab.ctl(1, "stop")["ok"] and lab.nodes[1].wait(10) == 0, "the node ends")


tell("reload", story)

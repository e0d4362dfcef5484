# SPDX-License-Identifier: BSD-3-Clause
"""corald without a network: --check, usage, exit statuses, and corald.yaml(5) as it was built."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

corald, page, schema, example = map(os.path.abspath, sys.argv[1:5])
base = tempfile.mkdtemp(prefix="corald-")
env = dict(os.environ, CORAL_RUN=os.path.join(base, "run"))
failed = 0


def expect(condition, what):
    global failed
    failed += not condition
    print("ok     " if condition else "NOT OK ", what)


def run(*args, text=None, **kw):
    if text is not None:
        with open(os.path.join(base, "node.yaml"), "w") as f:
            f.write(text)
        args = ("-c", "node.yaml", *args)
    p = subprocess.run([corald, *args], env=env, cwd=base, stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=30, **kw)
    return p.returncode, p.stdout, p.stderr


good = "ports: [{device: nodev0, addresses: [192.0.2.10/24]}]\n"
try:
    expect(run("--check", text=good) == (0, "node.yaml: fine\n", ""), "a good file")
    code, out, err = run("--check", text=good + "cahce: {}\n")
    expect(code == 2 and not out and err == 'node.yaml:2:1: cahce: no such key; did you mean "cache"?\n'
           "    2 | cahce: {}\n      | ^~~~~\n1 error\n", f"a bad file: {code} {err}")
    code, out, err = run(text=good + "cahce: {}\nx: 1\n")
    expect(code == 2 and err.endswith("2 errors; nothing was started\n"), "a start with a bad file")

    with open(os.path.join(base, "denied"), "w") as f:
        f.write("# fine\n^http://bad\\.test/\n")
    deny = good + "dns: {zone: coral.test}\nresolver: 192.0.2.53\nopen: {deny_file: denied}\n"
    expect(run("--check", text=deny)[0] == 0, "a deny list beside the configuration")
    with open(os.path.join(base, "denied"), "a") as f:
        f.write("(unclosed\n/good\n[a-\n")
    code, out, err = run("--check", text=deny)
    expect(code == 2 and err.count("node.yaml:4:19: open.deny_file:") == 2 and "line 3" in err and
           "line 5" in err and "2 errors" in err, f"patterns that are none, all of them: {err!r}")

    with open(os.path.join(base, "rules"), "w") as f:
        f.write("www.example.com match ^/x[0-9]+ deny 403\n")
    rules = good + "rules: {file: rules}\n"
    state = os.path.join(base, "state")
    os.mkdir(state)
    expect(run("--check", text=rules) == (0, "node.yaml: fine\n", "") and not os.listdir(state), "rules")
    expect(run("--check", text=rules, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))[0] == 0,
           "started by who ignores SIGCHLD")
    env["STATE_DIRECTORY"] = state
    expect(run("--check", text=rules)[0] == 0 and len(os.listdir(state)) == 1, "compiled expressions are kept")
    del env["STATE_DIRECTORY"]
    with open(os.path.join(base, "rules"), "a") as f:
        f.write("a.b match (unclosed pass\na.b match [a- pass\n")
    code, out, err = run("--check", text=rules)
    expect(code == 2 and "rules.file: ./rules:2:11: \"(unclosed\": " in err and "./rules:3:11: " in err and
           "2 errors" in err, f"expressions that are none, all of them: {err!r}")
    with open(os.path.join(base, "rules"), "a") as f:
        f.write("a.b denny\n")
    code, out, err = run("--check", text=rules)
    expect(code == 2 and "./rules:4:5: \"denny\" is no action" in err and "./rules:2:11: \"(unclosed\"" in err and
           "./rules:3:11: " in err and "3 errors" in err, f"a word that is none, and the expressions: {err!r}")
    with open(os.path.join(base, "rules"), "w") as f:
        f.writelines(f"h{i}.t match ^/dir{i}/[^/]+\\.(jpg|png|css)$ pass\n" for i in range(5000))
    code, out, err = run("--check", text=good + "rules: {file: rules, compile_timeout: 100ms}\n")
    expect(code == 1 and "took longer than 0.1 s to compile" in err, f"a time limit: {err!r}")

    for key, text in (("log.access.file", "log: {access: {file: /nope/dir/access.log}}"),
                      ("log.access.file", "log: {access: {file: /dev/null}}"),
                      ("cache.restart_file", "cache: {restart_file: /nope/dir/restart}"),
                      ("log.access.journal", "log: {access: {journal: true}}")):
        if key.endswith("journal") and os.path.exists("/run/systemd/journal/socket"):
            continue
        for args in ((), ("--check",)):
            code, out, err = run(*args, text=good + text + "\n")
            expect(code == 2 and not out and f"{key}: " in err and "1 error" in err, f"{text}: {code} {err!r}")
    files = f"log: {{access: {{file: {base}/access.log}}}}\ncache: {{restart_file: {base}/cache}}\n"
    expect(run("--check", text=good + files) == (0, "node.yaml: fine\n", ""), "files that can be written")
    expect(not os.path.exists(os.path.join(base, "access.log")), "... and are not by --check")

    with open(os.path.join(base, "cluster.key"), "w") as f:
        f.write("0f" * 16 + "\n")
    os.chmod(os.path.join(base, "cluster.key"), 0o600)
    with open(example) as f:
        text = f.read()
    code, out, err = run("--check", text=text.replace("/etc/coral/", ""))
    expect((code, err) == (0, ""), f"the example: {code} {err}")
    code, out, err = run("--check", text=text.replace("/etc/coral/", "").replace("# open", "open").replace("# log", "log")
                         .replace("# allow", "allow").replace("/var/log/coral", base))
    expect((code, err) == (0, ""), f"and with what it leaves out: {code} {err}")

    code, out, err = run("--check", text=deny + "cahce: {}\n")
    expect(code == 2 and "line 3" in err and "line 5" in err and "3 errors" in err,
           f"and beside other mistakes: {err!r}")

    code, out, err = run("-c", "/nonexistent.yaml")
    expect(code == 2 and err.count("/nonexistent.yaml") == 1 and "-c FILE" in err, err.strip())
    for args, want in ((["--chekc"], "no option"), (["-c"], "wants a value"), (["x"], "too many"),
                       (["-n", "../x"], "no name")):
        code, out, err = run(*args)
        expect(code == 2 and want in err, f"corald {' '.join(args)}: {code} {err.strip()!r}")
    code, out, err = run("--help")
    expect(code == 0 and out.count("\n") <= 24 and max(map(len, out.splitlines())) <= 80,
           "--help fits a screen")
    expect("DPDK" in run("--version")[1], "--version")

    if os.geteuid() == 0:
        code, out, err = run(text=good)
        expect(code == 1 and "node.yaml:1:10: ports[0].device: " in err and "nodev0" in err and
               "EAL" not in out + err, f"no such interface: {code} {err!r}")
        expect(not os.path.exists(os.path.join(base, "run", "edge")) and
               not [f for _, _, fs in os.walk(os.path.join(base, "run")) for f in fs],
               "nothing is left behind")
        copy = os.path.join(base, "corald")
        shutil.copy(corald, copy)
        os.chmod(base, 0o755)
        os.makedirs(env["CORAL_RUN"], exist_ok=True)
        os.chmod(env["CORAL_RUN"], 0o777)
        p = subprocess.run([copy, "-c", os.path.join(base, "node.yaml")], env=env, capture_output=True,
                           text=True, user=65534, cwd="/", timeout=30)
        expect(p.returncode == 5 and "NET_RAW" in p.stderr, f"no permission: {p.returncode} {p.stderr.strip()}")
        key = os.path.join(base, "key")
        with open(key, "w") as f:
            f.write("00" * 16 + "\n")
        os.chmod(key, 0o600)
        with open(os.path.join(base, "node.yaml"), "w") as f:
            f.write(good + f"cluster: {{key_file: {key}}}\n")
        p = subprocess.run([copy, "-c", os.path.join(base, "node.yaml")], env=env, capture_output=True,
                           text=True, user=65534, cwd="/", timeout=30)
        expect(p.returncode == 5 and "Permission denied" in p.stderr,
               f"a key that may not be read: {p.returncode} {p.stderr.strip()}")
        env["CORAL_RUN"] = "/proc/coral"
        code, out, err = run(text=good)
        expect(code in (1, 5) and "run folder" in err, f"no run folder: {code} {err.strip()!r}")

    with open(schema) as f:
        paths = [line.split('"')[1] for line in f if line.startswith(("X(", "L("))]
    with open(page) as f:
        text = f.read()
    missing = [p for p in paths if f".It Ic {p.removesuffix('[]')} : " not in text]
    expect(len(paths) > 30 and not missing and "@OPTIONS@" not in text,
           f"the manual has all {len(paths)} options {missing}")
finally:
    shutil.rmtree(base)
sys.exit(failed != 0)

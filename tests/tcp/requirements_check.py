#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks tests/tcp/requirements.txt against the tree: every row names code and tests that exist,
no MUST or SHOULD of RFC 9293 is missing, no gap is open, every script is named by a row and by a
topic in meson.build, and no two scripts are the same. usage: requirements_check.py ROOT"""
import fnmatch
import os
import re
import sys

root = sys.argv[1] if len(sys.argv) > 1 else "."
here = os.path.join(root, "tests/tcp")
LEAST_SCRIPTS = 200
errors, pending, departures, done = [], [], [], 0


def text(path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def code_exists(ref):
    path, _, name = ref.partition(":")
    if not os.path.isfile(os.path.join(root, path)):
        return f"no file {path}"
    if not re.search(rf"\b{re.escape(name)}\(", text(path)):
        return f"no function {name} in {path}"
    return None


def test_exists(ref):
    program, _, name = ref.partition(":")
    if program == "script":
        found = fnmatch.filter(scripts, name)
        named.update(found)
        return None if found else f"no script {name}"
    path = f"tests/{program}_test.c" if "/" in program else f"tests/tcp/{program}_test.c"
    if program == "closing":
        path = "tests/tcp/close_test.c"
    if not os.path.isfile(os.path.join(root, path)):
        return f"no file {path}"
    if not re.search(rf"\b(Test\(\w+, |STATE\(){re.escape(name)}\b", text(path)):
        return f"no story {name} in {path}"
    return None


scripts = sorted(f[:-4] for f in os.listdir(os.path.join(here, "scripts")) if f.endswith(".tcp"))
named, ids = set(), set()
for number, line in enumerate(text("tests/tcp/requirements.txt").splitlines(), 1):
    if not line.strip() or line.startswith("#"):
        continue
    field = [x.strip() for x in line.split(" | ")]
    if len(field) != 6 or not all(field):
        errors.append(f"line {number}: six fields are wanted")
        continue
    key, section, rule, code, tests, state = field
    kind, _, reason = state.partition(":")
    if key in ids:
        errors.append(f"{key} twice")
    ids.add(key)
    if kind == "gap":
        errors.append(f"{key} is a gap: {rule}")
    elif kind not in ("done", "departure", "pending") or (kind != "done" and not reason.strip()):
        errors.append(f"{key}: state {state}")
    waits = kind == "pending"
    for refs, exists in ((code, code_exists), (tests, test_exists)):
        if refs == "-":
            if kind == "done":
                errors.append(f"{key} is done without code or test")
            continue
        for ref in refs.split(", "):
            bad = exists(ref)
            if bad and not waits:
                errors.append(f"{key}: {bad}")
    if waits:
        pending.append(key)
    elif kind == "departure":
        departures.append(key)
    elif kind == "done":
        done += 1

for n in range(1, 70):
    if f"MUST-{n}" not in ids:
        errors.append(f"MUST-{n} is missing")
for n in range(1, 32):
    if f"SHLD-{n}" not in ids:
        errors.append(f"SHLD-{n} is missing")

topics = set(re.findall(r"'([a-z-]+)'", text("tests/tcp/meson.build")))
bodies = {}
for name in scripts:
    lines = text(f"tests/tcp/scripts/{name}.tcp").splitlines()
    body = "\n".join(x for x in lines if x and not x.startswith("#"))
    if not lines[0].startswith("# "):
        errors.append(f"script {name} does not say what its story is")
    if body in bodies:
        errors.append(f"scripts {name} and {bodies[body]} are the same")
    bodies[body] = name
    if not any(name == t or name.startswith(t + "-") for t in topics):
        errors.append(f"script {name} is of no topic in meson.build")
    if name not in named:
        errors.append(f"script {name} is named by no row")
if len(scripts) < LEAST_SCRIPTS:
    errors.append(f"only {len(scripts)} scripts")

print(f"{len(ids)} rules: {done} done, {len(departures)} departures, {len(pending)} pending; "
      f"{len(scripts)} scripts")
if pending:
    print("pending: " + " ".join(pending))
for e in errors:
    print(e)
sys.exit(1 if errors else 0)

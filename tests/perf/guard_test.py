#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The instructions that an operation of each main path takes, by callgrind, beside the record of them.

One that has grown by more than 3 % fails, unless the record was changed: so whoever makes a path
dearer says so, and why, in the same commit.
usage: guard_test.py GUARD RECORD              the check
       guard_test.py GUARD RECORD --record WHY [NAME...]   writes what is counted now, of all that
                                               have moved by more than 0.5 %, or of those named"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
GROWN = 0.03
MOVED = 0.005


def skip(why):
    print(f"SKIPPED: {why}; instructions are not counted")
    sys.exit(SKIP)


def compiler_of(text, where):
    found = re.search(r"^(?:# )?compiler: (.+)$", text, re.M)
    if not found:
        sys.exit(f"{where}: no line \"compiler: NAME VERSION\"")
    return found.group(1)


def read_record(path):
    """Its text, and {name: instructions}."""
    with open(path) as f:
        text = f.read()
    record = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(None, 2)
        if len(words) != 3 or not words[1].isdigit():
            sys.exit(f"{path}:{number}: \"{line}\" is not NAME INSTRUCTIONS REASON")
        record[words[0]] = int(words[1])
    return text, record


def count(program):
    """{name: instructions an operation}, and the compiler."""
    with tempfile.TemporaryDirectory() as where:
        out = os.path.join(where, "out")
        p = subprocess.run(
            ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
             "--toggle-collect=measured_poll", "--toggle-collect=dht_serve", "--dump-after=run_over",
             program), capture_output=True, text=True, timeout=100)
        if p.returncode != 0:
            print(p.stdout + p.stderr)
            sys.exit(1)
        counted = {}
        for i, (name, ops) in enumerate(re.findall(r"^(\S+) ops=(\d+)$", p.stdout, re.M), 1):
            with open(f"{out}.{i}") as f:
                total = int(re.search(r"^(?:totals|summary): (\d+)", f.read(), re.M).group(1))
            counted[name] = total / int(ops)
    return counted, compiler_of(p.stdout, program)


def change_record(path, counted, why, names):
    text, record = read_record(path)
    for name, cost in counted.items():
        if names and name not in names or name in record and not names and \
                abs(cost / record[name] - 1) <= MOVED:
            continue
        line = f"{name:16} {round(cost):6}  {why}"
        text, n = re.subn(rf"^{re.escape(name)}\s.*$", lambda _: line, text, flags=re.M)
        if n == 0:
            text += line + "\n"
        print(line)
    with open(path, "w") as f:
        f.write(text)


def compare(record, counted, path):
    bad = 0
    for name in sorted(record.keys() | counted.keys()):
        if name not in record or name not in counted:
            print(f"NOT OK  {name}: " + ("not in " + path if name in counted else
                                         f"in {path}, and not counted"))
            bad += 1
            continue
        grown = counted[name] / record[name] - 1
        dearer = grown > GROWN
        bad += dearer
        print(f"{'NOT OK ' if dearer else 'ok     '} {name:16} {counted[name]:8.0f} instructions, "
              f"{record[name]} recorded ({grown:+.2%})" +
              ("; it has become cheaper: record it" if grown < -GROWN else ""))
    if bad:
        print(f"If that is meant, say so in {path}, in the same commit: "
              f"{sys.argv[0]} {sys.argv[1]} {path} --record 'WHY'")
    return bad > 0


def main():
    if len(sys.argv) < 3 or len(sys.argv) > 3 and (sys.argv[3] != "--record" or len(sys.argv) < 5):
        print(__doc__, file=sys.stderr)
        return 2
    program, path = sys.argv[1:3]
    if not shutil.which("valgrind"):
        skip("there is no valgrind here")
    with open("/proc/cpuinfo") as f:
        if not re.search(r"^flags\b.*\bavx2\b", f.read(), re.M):
            skip("this processor has no AVX2, whose paths are recorded")
    counted, compiler = count(program)
    text, record = read_record(path)
    if len(sys.argv) > 3:
        change_record(path, counted, sys.argv[4], sys.argv[5:])
        return 0
    if compiler != compiler_of(text, path):
        skip(f"the record is of {compiler_of(text, path)}, this was built by {compiler}")
    return compare(record, counted, path)


if __name__ == "__main__":
    sys.exit(main())

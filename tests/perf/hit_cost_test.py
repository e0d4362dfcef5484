# SPDX-License-Identifier: BSD-3-Clause
"""A hit costs by its segments and not by its bytes: instructions of the worker, by callgrind.

Twice the bytes in as many segments cost the same but for the spans that are queued (one a chunk of
4 KiB, some 120 instructions), and not an instruction more in what goes over bytes: copies and sums.
Twice the segments cost twice. On a port that wants copies both are seen, or this would prove nothing.
usage: hit_cost_test.py HIT-COST"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
OVER_BYTES = re.compile(r"mem(cpy|move|set|cmp)|net_sum")
SAME = 0.08  # of twice the bytes; a copy makes it 0.15
DOUBLE = (1.8, 2.1)  # of twice the segments: beside them there is the request
LOGGED = 0.06
bad = 0


def expect(what, good):
    global bad
    bad += not good
    print(("ok      " if good else "NOT OK  ") + what)


def read_dump(path):
    """Instructions in all, and of functions that go over bytes."""
    text = subprocess.run(("callgrind_annotate", "--threshold=100", path), capture_output=True,
                          text=True, check=True, timeout=60).stdout
    total = over_bytes = 0
    for number, what in re.findall(r"^ *([\d,]+) \(.*?%\) +(\S+)", text, re.M):
        count = int(number.replace(",", ""))
        if what == "PROGRAM":
            total = count
        elif OVER_BYTES.search(what.split(":")[-1]):
            over_bytes += count
    return total, over_bytes


def measure(program):
    runs = {}
    with tempfile.TemporaryDirectory() as where:
        out = os.path.join(where, "out")
        p = subprocess.run(
            ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
             "--toggle-collect=measured_poll", "--dump-after=run_over", program),
            capture_output=True, text=True, timeout=110)
        if p.returncode != 0:
            print(p.stdout + p.stderr)
            sys.exit(1)
        lines = [x for x in p.stdout.splitlines() if "payload=" in x]
        for i, line in enumerate(lines):
            name, r = line.split()[0], {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}
            r["cost"], r["over bytes"] = (n / r["answers"] for n in read_dump(f"{out}.{i + 1}"))
            print(f"{name:12} {r['payload']:>5} bytes a segment, {r['segments']:6} segments,"
                  f" {r['cost']:8.0f} instructions an answer, {r['over bytes']:6.0f} over bytes")
            runs[name] = r
    return runs


def main():
    if not shutil.which("valgrind"):
        print("SKIPPED: there is no valgrind here; a hit's instructions are not counted")
        return SKIP
    runs = measure(sys.argv[1])

    def more(of, name, than):
        return runs[name][of] / runs[than][of] - 1

    expect("as many segments of both sizes", runs["half"]["segments"] == runs["full"]["segments"])
    grown = more("cost", "full", "half")
    expect(f"twice the bytes, as many segments: {grown:+.2%}", abs(grown) <= SAME)
    grown = more("over bytes", "full", "half")
    expect(f"of them, over bytes: {grown:+.2%}", grown <= 0.01)
    ratio = more("cost", "twice", "half") + 1
    expect(f"twice the segments: {ratio:.2f} of it", DOUBLE[0] <= ratio <= DOUBLE[1])
    grown = more("cost", "full-copied", "half-copied")
    expect(f"twice the bytes on a port that wants copies: {grown:+.2%}", grown > 1.5 * SAME)
    grown = more("over bytes", "full-copied", "half-copied")
    expect(f"of them, over bytes: {grown:+.2%}", grown > 0.1)
    grown = more("cost", "page-logged", "page")
    expect(f"a hit of one segment with an access record: {grown:+.2%}", 0 < grown <= LOGGED)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())

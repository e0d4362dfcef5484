# SPDX-License-Identifier: BSD-3-Clause
"""coral-hop's answers to wrong usage: the value, the place, the remedy, status 2, nothing started.
usage: hop_usage_test.py CORAL-HOP"""
import subprocess
import sys

CASES = (
    (("--delay", "12 parrots", "a", "b"), ("--delay", "12 parrots", "10ms")),
    (("--delay", "10", "a", "b"), ("--delay", '"10"', "10ms")),
    (("--delay", "nan", "a", "b"), ("--delay", "nan")),
    (("--delay", "-1ms", "a", "b"), ("--delay", "-1ms")),
    (("--delay", "61s", "a", "b"), ("--delay", "61s", "60s")),
    (("--loss", "101%", "a", "b"), ("--loss", "101%", "1%")),
    (("--loss", "0.5", "a", "b"), ("--loss", "0.5", "0.05%")),
    (("--rate", "200", "a", "b"), ("--rate", "200", "200Mbit")),
    (("--rate", "1Mbit", "--buffer", "9cats", "a", "b"), ("--buffer", "9cats", "64KiB")),
    (("--buffer", "64KiB", "a", "b"), ("--buffer", "--rate")),
    (("--rate", "1Mbit", "--buffer", "100", "a", "b"), ("--buffer", "1514")),
    (("--burst-enter", "1%", "a", "b"), ("--burst-enter", "--burst-leave")),
    (("--drop", "5,3", "a", "b"), ("--drop", "5,3", "3,8-10")),
    (("--drop", "", "a", "b"), ("--drop", "3,8-10")),
    (("--drop", ",".join(str(i) for i in range(1, 40)), "a", "b"), ("--drop", "32")),
    (("--seed", "-1", "a", "b"), ("--seed", "-1")),
    (("--seed", "99999999999999999999999", "a", "b"), ("--seed",)),
    (("--frames", "0", "a", "b"), ("--frames", "4194304")),
    (("--dealy", "1ms", "a", "b"), ("dealy",)),
    (("a",), ("1 interface given", "two")),
    (("a", "b", "c"), ("3 interfaces", "--help")),
    (("a", "a"), ("a is named twice",)),
    (("a", "an-interface-with-a-long-name"), ("an-interface-with-a-long-name", "ip link")),
)


def main():
    bad = 0
    for args, words in CASES:
        p = subprocess.run((sys.argv[1],) + args, capture_output=True, text=True, timeout=10)
        if p.returncode != 2 or p.stdout or not all(w in p.stderr for w in words):
            bad += 1
            print(f"NOT OK  {args}: status {p.returncode}: {p.stderr.strip()}")
    for option in ("--help", "--version"):
        p = subprocess.run((sys.argv[1], option), capture_output=True, text=True, timeout=10)
        if p.returncode != 0 or p.stderr or len(p.stdout.splitlines()) > 40:
            bad += 1
            print(f"NOT OK  {option}: {p}")
    sys.exit(bad != 0)


main()

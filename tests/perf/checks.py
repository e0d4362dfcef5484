# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of coral-perf have in common: checks that are counted, and told when they fail."""
bad = 0


def expect(what, good, text=""):
    global bad
    if not good:
        bad += 1
        print(f"NOT OK  {what}: {text}")

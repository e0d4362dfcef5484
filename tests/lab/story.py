# SPDX-License-Identifier: BSD-3-Clause
"""What every lab story shares: a Lab of its own, expectations with a text, an exit status."""
import hashlib
import os
import random
import subprocess
import sys

from lab import Lab, LabError, SITE, ZONE, run

HOST = f"{SITE}.{ZONE}"


class Story:
    def __init__(self, name):
        self.name, self.failures = name, 0
        self.prefix = f"ct{name}"
        Lab.remove_stale(self.prefix)
        folder = f"/run/coral-test-{name}"
        os.makedirs(folder, exist_ok=True)
        self.lab = Lab(self.prefix, folder, os.environ.get("CORAL_BUILD") or "build")
        self.rng = random.Random(7)

    def expect(self, good, text):
        print(("ok      " if good else "NOT OK  ") + text, flush=True)
        self.failures += not good
        return good

    def curl(self, client, node, path, *options, v6=False, host=HOST, text=False):
        """(status, body, curl's exit status) of a fetch through a node."""
        address = f"[{Lab.node_v6(node)}]" if v6 else Lab.node_v4(node)
        p = subprocess.run(self.lab.inside(
            client, "curl", "-sS", "--max-time", "15", "-w", "%{stderr}%{http_code}", "--resolve",
            f"{host}:80:{address}", *options, f"http://{host}{path}"), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=30)
        err = p.stderr.decode()
        status = int(err[-3:]) if err[-3:].isdigit() else 0
        return status, p.stdout.decode() if text else p.stdout, p.returncode

    @staticmethod
    def sha(data):
        return hashlib.sha256(data).hexdigest()


def tell(name, story):
    """Runs story(Story) and exits with the truth."""
    s = Story(name)
    try:
        story(s)
    except (LabError, subprocess.TimeoutExpired, KeyError) as e:
        s.expect(False, f"{type(e).__name__}: {e}")
        for name_ in s.lab.logs:
            if name_.startswith("n"):
                print(f"--- {name_}: {s.lab.log_tail(name_, 5)}")
    finally:
        s.lab.close()
    sys.exit(1 if s.failures else 0)


__all__ = ["HOST", "SITE", "ZONE", "Lab", "LabError", "Story", "run", "tell"]

# SPDX-License-Identifier: BSD-3-Clause
"""A client that behaves as a browser in a crowd, and checks: it resolves a Coralized name by DNS,
resolves again when the TTL ends, fetches, hashes every body and times each fetch. One JSON line
of results at the end.

usage: checking_client.py SECONDS NAME SERVERS MANIFEST [PAUSE]
  SERVERS   comma list of the nodes' addresses, asked in turn
  MANIFEST  JSON file {path: {"sha256": hex, "size": n}}
"""
import hashlib
import http.client
import json
import random
import re
import socket
import struct
import sys
import time


def dns_query(server, name, qtype=1, timeout=1.0):
    """(addresses, ttl) or None."""
    qid = random.randrange(65536)
    q = struct.pack(">HHHHHH", qid, 0, 1, 0, 0, 0)
    q += b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    q += struct.pack(">HH", qtype, 1)
    s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    try:
        s.connect((server, 53))
        s.send(q)
        r = s.recv(2048)
    except OSError:
        return None
    finally:
        s.close()
    if len(r) < 12 or r[:2] != q[:2] or r[3] & 15:
        return None
    answers, at = struct.unpack(">H", r[6:8])[0], len(q)
    found, ttl = [], None
    for _ in range(answers):
        at += 2  # owner: a pointer to the question
        kind, _, t, n = struct.unpack(">HHIH", r[at:at + 10])
        at += 10
        if kind == 1 and n == 4:
            found.append(socket.inet_ntoa(r[at:at + 4]))
            ttl = t if ttl is None else min(ttl, t)
        at += n
    return (found, ttl) if found else None


class Client:
    def __init__(self, seconds, name, servers, manifest, pause):
        self.end = time.time() + seconds
        self.name, self.servers, self.manifest, self.pause = name, servers, manifest, pause
        self.addresses, self.expires = [], 0
        self.good = self.wrong = self.bytes = 0
        self.failed = []   # [time, address, path, why]
        self.times = []    # milliseconds
        self.names = []    # [time, addresses] of each answer
        self.by = {}

    def resolve(self):
        for server in random.sample(self.servers, len(self.servers)):
            answer = dns_query(server, self.name)
            if answer:
                self.addresses, self.expires = answer[0], time.time() + answer[1]
                self.names.append([time.time(), answer[0], server])
                return True
        return False

    def fetch(self, address, path):
        want = self.manifest[path]
        c = http.client.HTTPConnection(address, 80, timeout=15)
        start = time.time()
        try:
            c.request("GET", path, headers={"Host": self.name})
            r = c.getresponse()
            h, n = hashlib.sha256(), 0
            while True:
                data = r.read(65536)
                if not data:
                    break
                h.update(data)
                n += len(data)
            ms = (time.time() - start) * 1000
            if r.status != 200:
                self.failed.append([start, address, path, f"status {r.status}"])
                return False
            if n != want["size"]:
                self.failed.append([start, address, path, f"{n} of {want['size']} bytes"])
                return False
            if h.hexdigest() != want["sha256"]:
                self.wrong += 1
                self.failed.append([start, address, path, "body differs"])
                return False
        except (OSError, http.client.HTTPException) as e:
            self.failed.append([start, address, path, f"{type(e).__name__} {e}".strip()])
            return False
        finally:
            c.close()
        self.good += 1
        self.bytes += n
        self.times.append(ms)
        how = re.sub("; ttl=-?[0-9]+", "", r.getheader("Cache-Status") or "?")
        self.by[how] = self.by.get(how, 0) + 1
        return True

    def run(self):
        paths = sorted(self.manifest)
        while time.time() < self.end:
            if time.time() >= self.expires and not self.resolve():
                self.failed.append([time.time(), "dns", self.name, "no answer"])
                time.sleep(0.2)
                continue
            if not self.fetch(random.choice(self.addresses), random.choice(paths)):
                self.expires = 0  # as a browser would: look again, go elsewhere
            time.sleep(self.pause)
        return {"good": self.good, "wrong": self.wrong, "bytes": self.bytes, "failed": self.failed,
                "times": sorted(self.times), "names": self.names, "by": self.by}


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    with open(sys.argv[4]) as f:
        manifest_ = json.load(f)
    client = Client(float(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), manifest_,
                    float(sys.argv[5]) if len(sys.argv) > 5 else 0.01)
    print(json.dumps(client.run()))

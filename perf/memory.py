#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What an object costs in memory beside its body: Coral's cache, memcached and Varnish, each
filled with the same number of objects of the same size.

usage: perf/memory.py [--objects N] [--size BYTES] [--json] [NAME...]   NAME: coral memcached varnish
  CORAL=PATH  coral-perf (build/perf/coral-perf)
Needs root (a network namespace of its own), and of Debian memcached, varnish and nginx-light, which
is Varnish's origin; each one that is absent is said and left out. Keys have 41 bytes. A process's memory is
what it has resident; of it is taken what it had before the first object. Some minutes for a million."""
import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CORAL = os.environ.get("CORAL", os.path.join(HERE, "../build/perf/coral-perf"))
KEY = "http://www.example.com/object/%011d"
BURST = 200  # requests written before their answers are read
MEMCACHED, ORIGIN, VARNISH = 11311, 8180, 8181


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def connect(port):
    until = time.time() + 20
    while True:
        try:
            s = socket.create_connection(("127.0.0.1", port), timeout=60)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return s
        except OSError:
            if time.time() > until:
                sys.exit(f"memory.py: nobody listens on port {port}")
            time.sleep(0.1)


def receive(s, length):
    while length > 0:
        got = s.recv(min(length, 1 << 20))
        if not got:
            sys.exit("memory.py: the connection was closed")
        length -= len(got)


def coral(objects, size):
    out = subprocess.run([CORAL, "cache", "--op", "get", "--objects", str(objects), "--size", str(size),
                          "--seconds", "1", "--json"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)["results"][0]["bytes_per_object"], subprocess.run(
        [CORAL, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()


def memcached(objects, size):
    version = subprocess.run(["memcached", "-V"], stdout=subprocess.PIPE, text=True).stdout.strip()
    p = subprocess.Popen(["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(MEMCACHED), "-U", "0", "-t", "1", "-m",
                          str(64 + objects * (size + 400) // 1000000)])
    try:
        s = connect(MEMCACHED)
        s.sendall(b"version\r\n")
        s.recv(100)
        before, body = resident(p.pid), b"x" * size
        for first in range(0, objects, BURST):
            n = min(BURST, objects - first)
            s.sendall(b"".join(b"set %s 0 0 %d\r\n%s\r\n" % ((KEY % i).encode(), size, body)
                               for i in range(first, first + n)))
            receive(s, 8 * n)  # STORED
        s.sendall(b"stats\r\n")
        text = b""
        while not text.endswith(b"END\r\n"):
            text += s.recv(65536)
        held = int(next(x for x in text.decode().splitlines() if " curr_items " in x).split()[2])
        return (resident(p.pid) - before) / held, version
    finally:
        p.terminate()
        p.wait()


def origin(folder, size):
    with open(f"{folder}/nginx.conf", "w") as f:
        f.write(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 1000; }}
http {{ access_log off; keepalive_requests 100000000; default_type text/plain;
  server {{ listen 127.0.0.1:{ORIGIN};
    location / {{ add_header Cache-Control max-age=86400; return 200 "{"x" * size}"; }} }} }}""")
    return subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL)


def child_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return int(f.read().split()[0])


def varnish(objects, size):
    version = subprocess.run(["varnishd", "-V"], stderr=subprocess.PIPE, text=True).stderr.splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        nginx = origin(folder, size)
        p = subprocess.Popen(["varnishd", "-F", "-j", "none", "-n", f"{folder}/varnish", "-a", f"127.0.0.1:{VARNISH}",
                              "-b", f"127.0.0.1:{ORIGIN}", "-s", f"malloc,{objects * (size + 8192)}",
                              "-t", "86400"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            s = connect(VARNISH)
            connect(ORIGIN).close()

            def get(i):
                return f"GET /object/{i:011d} HTTP/1.1\r\nHost: www.example.com\r\n\r\n".encode()

            s.sendall(get(objects))
            time.sleep(1)
            s.recv(65536)
            pid = child_of(p.pid)
            before = resident(pid)
            whole = 0
            for first in range(0, objects, BURST):
                n = min(BURST, objects - first)
                s.sendall(b"".join(get(i) for i in range(first, first + n)))
                buffered, answers = b"", 0
                while answers < n:  # heads differ in length: their digits do
                    if not buffered.count(b"\r\n\r\n"):
                        buffered += s.recv(1 << 20)
                        continue
                    head, buffered = buffered.split(b"\r\n\r\n", 1)
                    while len(buffered) < size:
                        buffered += s.recv(1 << 20)
                    buffered = buffered[size:]
                    whole += head.startswith(b"HTTP/1.1 200")
                    answers += 1
            if whole != objects:
                sys.exit(f"memory.py: varnish answered {whole} of {objects}")
            return (resident(pid) - before) / objects, version
        finally:
            p.terminate()
            p.wait()
            nginx.terminate()
            nginx.wait()


def main():
    kinds = {"coral": (coral, CORAL), "memcached": (memcached, "memcached"), "varnish": (varnish, "varnishd")}
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--objects", type=int, default=1000000)
    p.add_argument("--size", type=int, default=1024)
    p.add_argument("--json", action="store_true")
    p.add_argument("names", nargs="*", metavar="NAME")
    o = p.parse_args()
    unknown = [n for n in o.names if n not in kinds]
    if unknown or o.objects < 1 or o.size < 0:
        p.error(f"there is no {unknown[0]}" if unknown else "--objects from 1, --size from 0")
    if os.environ.get("CORAL_MEMORY_INSIDE") is None:
        os.environ["CORAL_MEMORY_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name in o.names or kinds:
        run, needs = kinds[name]
        if not shutil.which(needs):
            print(f"{name}: {needs} is absent", file=sys.stderr)
            continue
        each, version = run(o.objects, o.size)
        row = {"name": name, "version": version, "objects": o.objects, "size": o.size,
               "bytes_per_object": round(each, 1), "overhead": round(each - o.size, 1)}
        print(json.dumps(row) if o.json else
              f"{name:10} {each:8.1f} bytes an object, {each - o.size:7.1f} beside its body of {o.size}   {version}")


if __name__ == "__main__":
    main()

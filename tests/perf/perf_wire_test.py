# SPDX-License-Identifier: BSD-3-Clause
"""coral-perf --wire: nginx, and a nameserver, in another namespace are asked over a veth pair, past the
client's kernel; a server that says no, is not there, stops, or lies, has no rate. echo and dns with --serve at
the other end. usage: perf_wire_test.py CORAL-PERF"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import checks
from checks import expect

PERF, SKIP = sys.argv[1], 77
A, B = (f"pw{os.getpid()}-{x}" for x in ("server", "client"))
SERVER, BODY = "10.78.0.1", bytes(i * 7 % 256 for i in range(3000))
CONF = """worker_processes 1; daemon off; pid {0}/pid; error_log {0}/log crit; user root;
events {{ worker_connections 256; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {0}/1; proxy_temp_path {0}/2;
  fastcgi_temp_path {0}/3; uwsgi_temp_path {0}/4; scgi_temp_path {0}/5;
  server {{ listen {1}:80; root {0}; }} }}
"""
ODD = """
import socket, sys, threading
HEADS = {"/empty": "200 OK\\r\\nContent-Length: ", "/words": "200 OK\\r\\nContent-Length: five",
         "/minus": "200 OK\\r\\nContent-Length: -1", "/none": "200 OK\\r\\nDate: x",
         "/busy": "503 No\\r\\nContent-Length: 5"}


def serve(c):
    path = c.recv(1000).decode().split()[1]
    c.sendall(f"HTTP/1.1 {HEADS[path]}\\r\\n\\r\\n".encode())
    c.recv(1000)
s = socket.create_server((sys.argv[1], 80))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""
# the first label says how the answer is wrong
DNS = """
import socket, sys


def answer(q):
    word = q[13:13 + q[12]].decode().rstrip("0123456789")
    head, question = q[:2] + bytes.fromhex("85000001000100000000"), q[12:]
    record = bytes.fromhex("c00c00010001000000050004c0000201")
    if word == "junk": return b"x" * 40
    if word == "short": return q[:7]
    if word == "tc": return q[:2] + bytes.fromhex("87000001000000000000") + question
    if word == "refused": return q[:2] + bytes.fromhex("85050001000000000000") + question
    if word == "other": return head + question[:1] + b"X" + question[2:] + record
    if word == "long": return head + question + record[:11] + b"\\xff" + record[12:]
    return head + question + record
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    q, client = s.recvfrom(2000)
    if not q[13:].startswith(b"mute"):
        s.sendto(answer(q), client)
"""


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, timeout=20)


def perf_start(*args, seconds="0.5"):
    return subprocess.Popen(("ip", "netns", "exec", B, PERF, "http", "--wire", "af_packet:eth0",
                             "--address", "10.78.0.9/24", "--server", SERVER, "--connections", "20",
                             "--no-huge", "--closed", "--seconds", seconds, "--json") + args,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def perf(*args):
    p = perf_start(*args)
    out, err = p.communicate(timeout=60)
    return p.returncode, out, err


def network():
    for ns in (A, B):
        run("ip", "netns", "add", ns)
    run("ip", "-n", A, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", B)
    for ns in (A, B):
        run("ip", "netns", "exec", ns, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off")
        run("ip", "netns", "exec", ns, "sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=1")
        run("ip", "-n", ns, "link", "set", "eth0", "up")
    run("ip", "-n", A, "addr", "add", f"{SERVER}/24", "dev", "eth0")


def stories(folder):
    nginx = subprocess.Popen(("ip", "netns", "exec", A, "nginx", "-c", f"{folder}/conf", "-e",
                              f"{folder}/log"))
    time.sleep(1)
    _, out, err = perf("--path", "/object")
    expect("a rate", out, err)
    r = json.loads(out)["results"][0]
    # on a busy machine the accounts may differ; nothing else may be wrong
    expect("a rate", r["ops_per_s"] > 0 and r["errors"] == 0 and r["verified"] > 0 and r["size"] == 3000 and
           "client_cycles_per_op" in r and "cycles_per_op" not in r, (r, err))
    code, out, err = perf("--path", "/none")
    expect("404", code == 1 and "status" in err and not json_of(out), err)
    p = perf_start("--path", "/object", seconds="4")
    time.sleep(2.5)
    children = subprocess.run(("pgrep", "-P", str(nginx.pid)), stdout=subprocess.PIPE, text=True).stdout.split()
    for pid in children + [str(nginx.pid)]:
        os.kill(int(pid), signal.SIGSTOP)
    out, err = p.communicate(timeout=60)
    expect("a server that stops", p.returncode == 1 and "stalled" in err, err)
    for pid in children + [str(nginx.pid)]:
        os.kill(int(pid), signal.SIGCONT)
    nginx.terminate()
    nginx.wait(10)
    code, out, err = perf()
    expect("nobody there", code == 1 and "refused" in err and not json_of(out), err)


def odd_answers():
    """A head whose length is none: all that is behind it is not for the client to read."""
    server = subprocess.Popen(("ip", "netns", "exec", A, "/usr/bin/python3", "-c", ODD, SERVER),
                              stdout=subprocess.PIPE)
    server.stdout.readline()
    for head in ("/empty", "/words", "/minus", "/none"):
        code, out, err = perf("--path", head)
        expect(head, code == 1 and "head" in err and not json_of(out), (code, err))
    code, out, err = perf("--path", "/busy")
    expect("503", code == 1 and "status" in err and not json_of(out), (code, err))
    server.kill()
    server.wait(10)


def start(ns, *args):
    return subprocess.Popen(("ip", "netns", "exec", ns, PERF) + args + ("--no-huge", "--json"),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def dns_start(*args, server=SERVER):
    return start(B, "dns", "--wire", "af_packet:eth0", "--address", "10.78.0.9/24", "--server", server,
                 "--active", "32", "--seconds", "0.2", *args)


def dns(*args):
    p = dns_start(*args)
    out, err = p.communicate(timeout=60)
    return p.returncode, out, err


def nameserver(folder):
    code, out, err = dns("--name", "n########.test")
    expect("no nameserver", code == 1 and "refused" in err and not json_of(out), (code, err))
    server = subprocess.Popen(("ip", "netns", "exec", A, "/usr/bin/python3", "-c", DNS, SERVER),
                              stdout=subprocess.PIPE)
    server.stdout.readline()
    with open(f"{folder}/names", "w") as f:
        f.write("# two lengths\na.test\n\nlonger.name.test AAAA\n")
    for args in (("--name", "n########.test"), ("--names", f"{folder}/names", "--rate", "2000")):
        _, out, err = dns(*args)
        r = json_of(out)
        expect(args, r and r[0]["ops_per_s"] > 0 and r[0]["errors"] == 0 and r[0]["verified"] > 0 and
               "client_cycles_per_op" in r[0], (out, err))
    for word, error in (("junk", "wrong_id"), ("short", "head"), ("tc", "truncated"), ("refused", "refused"),
                        ("other", "body"), ("long", "body"), ("mute", "timeout")):
        code, out, err = dns("--name", word + "#######.test")
        expect(word, code == 1 and error in err and not json_of(out), (code, err))
    server.kill()
    server.wait(10)


def served(command, serve, wire, *load, address=()):
    """The worker in one process, its load in another."""
    s = start(A, command, "--serve", serve, "--seconds", "0.2", *address)
    s.stderr.readline()
    p = start(B, command, "--wire", wire, "--seconds", "0.4", *load)
    for what, (out, err) in (("client_cycles_per_op", p.communicate(timeout=30)),
                             ("cycles_per_op", s.communicate(timeout=30))):
        r = json_of(out)
        expect((command, what), r and r[0][what] > 0 and r[0]["errors"] == 0, (out, err))
    expect("the worker times no answers", "p99_us" not in out, out)


def ends(folder):
    """Nobody at the other end of the veth pair, meanwhile DNS by memif; then echo."""
    lone = start(A, "echo", "--wire", "af_packet:eth0")
    p = dns_start("--name", "n########.test", server="10.78.0.77")
    memif = f"net_memif0,socket={folder}/memif,socket-abstract=no,role="
    served("dns", memif + "server", memif + "client", "--address", "10.0.0.2/24", "--server", "10.0.0.1", "--name",
           "n########.coral.test", address=("--address", "10.0.0.1/24"))
    out, err = p.communicate(timeout=20)
    expect("no such address", "10.78.0.77:53: nobody there" in err and not json_of(out), err)
    out, err = lone.communicate(timeout=20)
    expect("no echo", "no frame came back" in err and not json_of(out), err)
    served("echo", "af_packet:eth0", "af_packet:eth0", "--size", "100", "--reply", "1300")


def json_of(out):
    """The results, if there are figures."""
    return [r for r in json.loads(out)["results"] if "ops_per_s" in r] if out else []


def refused():
    for args, message in ((("--wire", "eth0"), '"eth0" needs --address and --server'),
                          (("--wire", "ring:x"), '"ring:x" is not DEVICE, af_xdp:DEVICE'),
                          (("--wire", "eth0", "--wire", "eth1"), '"eth1" is one device too many'),
                          (("--server", SERVER), "go with --wire, which is missing"),
                          (("--address", "10.0.0.1"), '"10.0.0.1" is not ADDRESS/LENGTH'),
                          (("--address", "10.0.0.1/33"), '"10.0.0.1/33" is not ADDRESS/LENGTH'),
                          (("--wire", "eth0", "--address", "10.0.0.9/24", "--server", SERVER, "--misses",
                            "5"), '"eth0" goes without --objects'),
                          (("--server", "here"), '"here" is not ADDRESS or ADDRESS:PORT')):
        usage("http", args, 2, message)
    ends = ("--wire", "eth0", "--address", "10.0.0.9/24", "--server", SERVER)
    usage("dns", ends, 2, "needs --name or --names, one of them")
    usage("dns", ends + ("--name", "a", "--names", "b"), 2, "needs --name or --names, one of them")
    usage("dns", ends + ("--name", "a", "--active", "20000"), 2, '"20000" is more than dns\'s 16384')
    usage("dns", ends + ("--name", "a#b#.test", "--no-huge"), 1, '"a#b#.test" is no name')
    usage("dns", ends + ("--name", "a##.test", "--no-huge"), 1, "too few for 1000000 names")
    usage("dns", ends + ("--names", "/nowhere/x", "--no-huge"), 1, "/nowhere/x: No such file")
    usage("http", ends + ("--memcached", "a b"), 2, '"a b" is no key')
    usage("dns", ("--serve", "eth0"), 2, '"eth0" needs --address')
    usage("echo", ("--serve", "eth0", "--size", "64"), 2, "goes without what is a load's")
    usage("echo", ("--reply", "1515"), 2, '"1515" is no size of a frame')
    usage("echo", ("--wire", "net_memif0,socket=/nowhere/x,socket-abstract=no", "--no-huge"), 1,
          'dpdk on "net_memif0,socket=/nowhere/x,')


def usage(command, args, status, message):
    p = subprocess.run((PERF, command) + args, capture_output=True, text=True, timeout=10)
    expect((command,) + args, p.returncode == status and message in p.stderr, p.stderr)


def main():
    if os.geteuid() != 0 or not shutil.which("nginx"):
        print("SKIPPED: it needs root and nginx")
        return SKIP
    refused()
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    with open(f"{folder}/conf", "w") as f:
        f.write(CONF.format(folder, SERVER))
    with open(f"{folder}/object", "wb") as f:
        f.write(BODY)
    try:
        network()
        stories(folder)
        odd_answers()
        nameserver(folder)
        ends(folder)
    finally:
        for ns in (A, B):
            subprocess.run(("ip", "netns", "del", ns))
        shutil.rmtree(folder)
    return checks.bad > 0


sys.exit(main())

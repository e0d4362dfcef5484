# SPDX-License-Identifier: BSD-3-Clause
"""coral-perf http --wire: nginx in another namespace is asked over a veth pair, past the client's kernel;
a server that says no, is not there, or stops, has no rate. usage: perf_wire_test.py CORAL-PERF"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

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
bad = 0


def expect(what, good, text=""):
    global bad
    if not good:
        bad += 1
        print(f"NOT OK  {what}: {text}")


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


def json_of(out):
    """The results, if there are figures."""
    return [r for r in json.loads(out)["results"] if "ops_per_s" in r] if out else []


def refused():
    for args, message in ((("--wire", "eth0"), '"eth0" needs --address and --server'),
                          (("--wire", "tap:x"), '"tap:x" is not DEVICE, af_xdp:DEVICE'),
                          (("--server", SERVER), "go with --wire, which is missing"),
                          (("--address", "10.0.0.1"), '"10.0.0.1" is not ADDRESS/LENGTH'),
                          (("--address", "10.0.0.1/33"), '"10.0.0.1/33" is not ADDRESS/LENGTH'),
                          (("--wire", "eth0", "--address", "10.0.0.9/24", "--server", SERVER, "--misses",
                            "5"), '"eth0" goes without --objects'),
                          (("--server", "here"), '"here" is not ADDRESS or ADDRESS:PORT')):
        p = subprocess.run((PERF, "http") + args, capture_output=True, text=True, timeout=10)
        expect(args, p.returncode == 2 and message in p.stderr, p.stderr)


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
    finally:
        for ns in (A, B):
            subprocess.run(("ip", "netns", "del", ns))
        shutil.rmtree(folder)
    return bad > 0


sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""An internet of our own in network namespaces: a router with bridges for its networks, an origin
(nginx) with a nameserver (nsd) beside it, client hosts, and nodes (corald). Everything that a Lab
makes has its prefix in the name and goes away with close().

    net 1: 10.1.0.0/24 fd00:1::/64    nodes n1 n3 n5 (.11 .13 .15), client c1 (.101)
    net 2: 10.2.0.0/24 fd00:2::/64    nodes n2 n4 n6 (.12 .14 .16), clients c2 c3 (.102 .103)
    net 9: 10.9.0.0/24 fd00:9::/64    origin (.2), nameserver (.53)
    router: .1 of each; kernel forwarding between them

A region is one more such network, far from the others: between its bridge and the router there is a
coral-hop, and all that is in it is near to each other.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ZONE = "coral.test"
SITE = "www.site.test"


class LabError(Exception):
    """What went wrong, in one line for a person."""


def run(*args, check=True, timeout=30, **kw):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=timeout, **kw)
    if check and p.returncode != 0:
        raise LabError(f"{' '.join(args)}: {p.stdout.strip()}")
    return p


class Lab:
    """prefix: of namespaces and of the folder under /run/coral that nodes use."""

    nets = {} # node: its network, where that does not go by odd and even

    def __init__(self, prefix, folder, build=os.path.join(ROOT, "build")):
        self.prefix, self.folder, self.build = prefix, folder, build
        self.spaces, self.procs, self.nodes = [], [], {}
        self.behind, self.hops = set(), {} # hosts with a hop before them; their coral-hops
        self.bridges = {} # network: the host that has its bridge, where that is not the router
        self.driver = "auto"
        self.own_core = () # before corald and coral-hop: what gives them a core when they need one
        self.logs = {}
        self.closed = False

    # --- hosts and links -----------------------------------------------------------------------
    def ns(self, host):
        return f"{self.prefix}-{host}"

    def inside(self, host, *args):
        return ("ip", "netns", "exec", self.ns(host)) + args

    def host(self, name):
        run("ip", "netns", "add", self.ns(name))
        self.spaces.append(name)
        run("ip", "-n", self.ns(name), "link", "set", "lo", "up")

    def sysctl(self, host, key, value):
        run(*self.inside(host, "sysctl", "-q", "-w", f"{key}={value}"), check=False)

    def link(self, host, net, addresses, device="eth0"):
        """A veth pair between the host and its network's bridge, in the router or in the region."""
        port = f"{host}"[:15]
        at = self.bridges.get(net, "router")
        if host in self.behind:
            self.hop_link(host, port, device)
        else:
            run("ip", "-n", self.ns(at), "link", "add", port, "type", "veth", "peer", "name",
                device, "netns", self.ns(host))
        run("ip", "-n", self.ns(at), "link", "set", port, "master", f"br{net}", "up")
        # a veth hands over unfinished checksums unless told not to: every end finishes its own
        run(*self.inside(at, "ethtool", "-K", port, "tx", "off"))
        run(*self.inside(host, "ethtool", "-K", device, "tx", "off"))
        for a in addresses:
            run("ip", "-n", self.ns(host), "addr", "add", a, "dev", device, "nodad")
        run("ip", "-n", self.ns(host), "link", "set", device, "up")
        if addresses:
            run("ip", "-n", self.ns(host), "route", "add", "default", "via", f"10.{net}.0.1")
            run("ip", "-n", self.ns(host), "-6", "route", "add", "default", "via", f"fd00:{net}::1")

    def hop_link(self, host, port, device):
        """Two veth pairs, from the router to a namespace for coral-hop and on to the host."""
        hop = f"hop-{host}"
        self.host(hop)
        for ns, outer, inner in (("router", port, "near"), (host, device, "far")):
            run("ip", "-n", self.ns(ns), "link", "add", outer, "type", "veth", "peer", "name",
                inner, "netns", self.ns(hop))
            self.sysctl(hop, f"net.ipv6.conf.{inner}.disable_ipv6", 1)
            run(*self.inside(hop, "ethtool", "-K", inner, "tx", "off", "gro", "off"))
            run("ip", "-n", self.ns(hop), "link", "set", inner, "up")
        self.segments_only(host, device)
        self.hop(host)

    def region(self, net, *options):
        """A network whose bridge is in a host of its own, region{net}, behind a coral-hop with these
        options; hop(f"region{net}", ...) changes them. The router has .1 in it."""
        host = f"region{net}"
        self.host(host)
        self.bridges[net] = host
        run("ip", "-n", self.ns(host), "link", "add", f"br{net}", "type", "bridge", "stp_state", "0",
            "mcast_snooping", "0")
        self.sysctl(host, f"net.ipv6.conf.br{net}.disable_ipv6", 1)
        self.hop_link(host, f"far{net}", "out")
        self.segments_only("router", f"far{net}")
        for a in (f"10.{net}.0.1/24", f"fd00:{net}::1/64"):
            run("ip", "-n", self.ns("router"), "addr", "add", a, "dev", f"far{net}", "nodad")
        run("ip", "-n", self.ns("router"), "link", "set", f"far{net}", "up")
        run("ip", "-n", self.ns(host), "link", "set", "out", "master", f"br{net}", "up")
        run("ip", "-n", self.ns(host), "link", "set", f"br{net}", "up")
        self.hop(host, *options)

    def segments_only(self, host, device="eth0"):
        """The host's kernel sends and takes segments as a wire would carry them."""
        run(*self.inside(host, "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off",
                         "gro", "off"))

    def hop(self, host, *options):
        """What the link of a host (one of self.behind) or region does from now on: coral-hop's
        options, A is the router. Returns the counters of what it did before, or None."""
        before = self.hop_end(host)
        name = f"hop-{host}"
        out = os.path.join(self.folder, f"{name}.json")
        log = os.path.join(self.folder, f"{name}.log")
        open(log, "w").close()
        with open(out, "w") as f:
            self.hops[host] = self.spawn(name, name, *self.own_core,
                                         os.path.join(self.build, "tools", "coral-hop"),
                                         "--json", *options, "near", "far", stdout=f)
        def ready():
            with open(log) as f:
                if self.hops[host].poll() is not None:
                    raise LabError(f"coral-hop {' '.join(options)}: {f.read().strip()}")
                return "seed" in f.read()
        self.wait(ready, 5, f"coral-hop of {host} did not start")
        return before

    def hop_end(self, host):
        p = self.hops.pop(host, None)
        if not p:
            return None
        p.terminate()
        p.wait(5)
        self.procs.remove(p)
        with open(os.path.join(self.folder, f"hop-{host}.json")) as f:
            return json.loads(f.read().splitlines()[-1])

    def router(self, nets=(1, 2, 9)):
        self.host("router")
        for n in nets:
            run("ip", "-n", self.ns("router"), "link", "add", f"br{n}", "type", "bridge",
                "stp_state", "0", "mcast_snooping", "0")
            run(*self.inside("router", "ethtool", "-K", f"br{n}", "tx", "off"), check=False)
            run("ip", "-n", self.ns("router"), "addr", "add", f"10.{n}.0.1/24", "dev", f"br{n}")
            run("ip", "-n", self.ns("router"), "addr", "add", f"fd00:{n}::1/64", "dev", f"br{n}",
                "nodad")
            run("ip", "-n", self.ns("router"), "link", "set", f"br{n}", "up")
        self.sysctl("router", "net.ipv4.ip_forward", 1)
        self.sysctl("router", "net.ipv6.conf.all.forwarding", 1)
        self.sysctl("router", "net.ipv4.conf.all.rp_filter", 0)

    def client(self, i, net):
        name = f"c{i}"
        self.host(name)
        self.link(name, net, [f"10.{net}.0.{100 + i}/24", f"fd00:{net}::{100 + i}/64"])
        self.sysctl(name, "net.ipv4.ip_local_port_range", "10000 65000")
        self.sysctl(name, "net.ipv4.tcp_tw_reuse", 1)
        return name

    # --- the origin -----------------------------------------------------------------------------
    def origin(self, files, slow=(), rate="2560k", varied=()):
        """files: {path: bytes}. slow: path prefixes that nginx limits to `rate` a connection; varied:
        those whose answers vary by Accept-Language."""
        self.host("origin")
        self.link("origin", 9, ["10.9.0.2/24", "10.9.0.53/24", "fd00:9::2/64"])
        base = os.path.join(self.folder, "origin")
        www = os.path.join(base, "www")
        for path, data in files.items():
            where = os.path.join(www, path.lstrip("/"))
            os.makedirs(os.path.dirname(where), exist_ok=True)
            with open(where, "wb") as f:
                f.write(data)
        for p in [self.folder, base, www]:
            os.chmod(p, 0o755)
        limits = "".join(f"    location {p} {{ limit_rate {rate}; }}\n" for p in slow)
        limits += "".join(f"    location {p} {{ add_header Cache-Control max-age=3600; "
                          f"add_header Vary Accept-Language; }}\n" for p in varied)
        conf = os.path.join(base, "nginx.conf")
        with open(conf, "w") as f:
            f.write(f"""daemon off; worker_processes 1; pid {base}/nginx.pid; error_log {base}/error.log;
user root; # reads and writes in the lab's own folder only
events {{ worker_connections 512; }}
http {{
  log_format lab '$msec $remote_addr "$request_method $request_uri" $status $body_bytes_sent "$http_range" "$http_via" '
    '"$http_cdn_loop" "$http_x_forwarded_for" "$http_x_request_id"';
  access_log {base}/access.log lab;
  client_body_temp_path {base}/t1; proxy_temp_path {base}/t2; fastcgi_temp_path {base}/t3;
  uwsgi_temp_path {base}/t4; scgi_temp_path {base}/t5;
  sendfile on; tcp_nodelay on; keepalive_timeout 60;
  server {{
    listen 80; listen [::]:80; server_name _; root {www};
    add_header Cache-Control "public, max-age=3600"; add_header Cache-Tag "lab, page";
{limits}  }}
}}
""")
        self.spawn("origin", "nginx", "nginx", "-c", conf, "-e", f"{base}/error.log")
        self.nameserver(base)
        self.wait(lambda: run(*self.inside("origin", "curl", "-sf", "-o", "/dev/null",
                                           "http://10.9.0.2/"), check=False).returncode in (0, 22),
                  10, "the origin's nginx did not start")

    def nameserver(self, base):
        zones = os.path.join(base, "zones")
        os.makedirs(zones, exist_ok=True)
        with open(os.path.join(zones, "site.test"), "w") as f:
            f.write("""$ORIGIN site.test.
$TTL 60
@ SOA ns.site.test. hostmaster.site.test. 1 3600 600 86400 60
@ NS ns
ns A 10.9.0.53
origin A 10.9.0.2
origin AAAA fd00:9::2
www A 10.9.0.2
evil A 127.0.0.1
evil A 10.9.0.2
""")
        conf = os.path.join(base, "nsd.conf")
        with open(conf, "w") as f:
            f.write(f"""server:
  ip-address: 10.9.0.53
  username: ""
  chroot: ""
  zonesdir: "{zones}"
  pidfile: "{base}/nsd.pid"
  database: ""
  xfrdfile: "{base}/xfrd.state"
  xfrdir: "{base}"
  zonelistfile: "{base}/zone.list"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: site.test
  zonefile: site.test
""")
        self.spawn("origin", "nsd", "nsd", "-d", "-c", conf)
        self.wait(lambda: "10.9.0.2" in run(*self.inside(
            "origin", "dig", "+short", "+time=1", "+tries=1", "@10.9.0.53", "origin.site.test"),
            check=False).stdout, 10, "the origin's nameserver (nsd) did not answer")

    def origin_log(self):
        """The origin's requests as dicts, oldest first."""
        out = []
        try:
            with open(os.path.join(self.folder, "origin", "access.log")) as f:
                for line in f:
                    part = line.split('"')
                    msec, addr = part[0].split()[:2]
                    status, sent = part[2].split()[:2]
                    method, path = part[1].split(" ", 1)
                    out.append({"t": float(msec), "from": addr, "method": method, "path": path,
                                "status": int(status), "bytes": int(sent), "range": part[3],
                                "via": part[5], "loop": part[7], "for": part[9], "id": part[11]})
        except FileNotFoundError:
            pass
        return out

    # --- nodes ----------------------------------------------------------------------------------
    @staticmethod
    def node_net(i):
        return Lab.nets.get(i) or (1 if i % 2 else 2)

    @staticmethod
    def node_v4(i):
        return f"10.{Lab.node_net(i)}.0.{10 + i}"

    @staticmethod
    def node_v6(i):
        return f"fd00:{Lab.node_net(i)}::{10 + i}"

    def node_name(self, i):
        return f"{self.prefix}/n{i}"

    def node_config(self, i, workers=1, cache="256MiB", extra="", sites=None, cluster=""):
        """cluster: more of its keys, as "KEY: VALUE, "; extra: further lines."""
        net = self.node_net(i)
        key = os.path.join(self.folder, "cluster.key")
        if not os.path.exists(key):
            fd = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, (bytes(random.randrange(256) for _ in range(16)).hex() + "\n").encode())
            os.close(fd)
        joins = ", ".join(self.node_v4(j) for j in (1, 2, 3) if j != i)
        text = f"""# one node of the lab; corald.yaml(5) describes every key
node:    {{name: n{i}, workers: {workers}}}
ports:   [{{device: eth0, driver: {self.driver}, addresses: [{self.node_v4(i)}/24, "{self.node_v6(i)}/64"], gateway: [10.{net}.0.1, "fd00:{net}::1"]}}]
cache:   {{memory: {cache}}}
cluster: {{{cluster}key_file: {key}, join: [{joins}]}}
dns:     {{zone: {ZONE}, proxy_ttl: 5s}}
sites:
  {SITE}: {sites or '{origin: ["origin.site.test:80"], allow: [10.9.0.0/24, "fd00:9::/64"], compress: text/html}'}
resolver: [10.9.0.53]
{extra}"""
        path = os.path.join(self.folder, f"n{i}.yaml")
        with open(path, "w") as f:
            f.write(text)
        return path

    def node(self, i, **config):
        """Makes the host, writes its configuration and starts corald."""
        self.host(f"n{i}")
        # the interface is the node's alone: its kernel must not answer on it
        for which in ("default", "all"):
            self.sysctl(f"n{i}", f"net.ipv6.conf.{which}.disable_ipv6", 1)
        self.link(f"n{i}", self.node_net(i), [], "up0" if self.driver == "tap" else "eth0")
        self.node_config(i, **config)
        self.node_start(i)

    def node_start(self, i):
        path = os.path.join(self.folder, f"n{i}.yaml")
        self.nodes[i] = self.spawn(f"n{i}", f"n{i}", *self.own_core,
                                   os.path.join(self.build, "control", "corald"),
                                   "-c", path, "-n", self.node_name(i))
        if self.driver == "tap":
            self.tap_bridge(i)

    def tap_bridge(self, i):
        """A TAP port's end in the kernel, which corald makes at its start, is bridged to the link."""
        ns = self.ns(f"n{i}")
        run("ip", "-n", ns, "link", "add", "br0", "type", "bridge", "stp_state", "0",
            "mcast_snooping", "0", check=False) # it outlives corald
        self.wait(lambda: self.nodes[i].poll() is not None or not run(
            "ip", "-n", ns, "link", "set", "eth0", "master", "br0", check=False).returncode, 20,
            f"corald n{i} made no TAP: {self.log_tail(f'n{i}')}")
        for device in ("up0", "eth0", "br0"):
            run("ip", "-n", ns, "link", "set", device, "up",
                *(() if device == "br0" else ("master", "br0")), check=False)

    def ctl(self, i, *verb, check=True, timeout=10):
        """coralctl --json VERB, parsed; None when the node does not answer."""
        p = subprocess.run([os.path.join(self.build, "tools", "coralctl"), "-n", self.node_name(i),
                            "--json", *verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, timeout=timeout)
        try:
            answer = json.loads(p.stdout)
            if answer.get("ok") is False and answer.get("status", 2) != 2:
                raise ValueError(answer["error"]) # coralctl's own: nobody answered
            return answer
        except ValueError:
            if check:
                raise LabError(f"coralctl -n {self.node_name(i)} {' '.join(verb)}: "
                               f"{(p.stderr or p.stdout).strip()}") from None
            return None

    def node_wait(self, numbers, members=None, seconds=20):
        """Waits until the nodes answer and each knows `members` others."""
        deadline = time.time() + seconds
        waiting = list(numbers)
        while waiting:
            still = []
            for i in waiting:
                if self.nodes[i].poll() is not None:
                    raise LabError(f"corald n{i} ended with status {self.nodes[i].returncode}: "
                                   f"{self.log_tail(f'n{i}')}")
                s = self.ctl(i, "status", check=False)
                if not s or (members is not None and s["index"]["alive"] < members):
                    still.append(i)
            waiting = still
            if waiting and time.time() > deadline:
                raise LabError(f"after {seconds} s still waiting for "
                               f"{', '.join(f'n{i}' for i in waiting)}: "
                               f"{self.log_tail(f'n{waiting[0]}')}")
            if waiting:
                time.sleep(0.1)

    def node_kill(self, i):
        self.nodes[i].send_signal(signal.SIGKILL)
        self.nodes[i].wait()

    # --- processes ------------------------------------------------------------------------------
    def spawn(self, host, name, *args, **kw):
        log = open(os.path.join(self.folder, f"{name}.log"), "ab")
        p = subprocess.Popen(self.inside(host, *args), stdin=subprocess.DEVNULL,
                             stdout=kw.pop("stdout", log), stderr=log, start_new_session=True, **kw)
        log.close()
        self.logs[name] = log.name
        self.procs.append(p)
        return p

    def log_tail(self, name, lines=3):
        try:
            with open(os.path.join(self.folder, f"{name}.log"), errors="replace") as f:
                return " / ".join(x.strip() for x in f.readlines()[-lines:])
        except OSError:
            return "(no log)"

    @staticmethod
    def wait(condition, seconds, what):
        deadline = time.time() + seconds
        while not condition():
            if time.time() > deadline:
                raise LabError(what)
            time.sleep(0.05)

    def close(self):
        if self.closed:
            return
        self.closed = True
        for p in self.procs:
            if p.poll() is None:
                try:
                    os.killpg(p.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
        deadline = time.time() + 3
        for p in self.procs:
            try:
                p.wait(max(0.05, deadline - time.time()))
            except subprocess.TimeoutExpired:
                pass
        for p in self.procs:
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            p.wait()
        for host in reversed(self.spaces):
            # nothing of ours survives its host
            pids = run("ip", "netns", "pids", self.ns(host), check=False).stdout.split()
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except (ProcessLookupError, ValueError):
                    pass
            run("ip", "netns", "del", self.ns(host), check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(os.path.join("/run/coral", self.prefix), ignore_errors=True)

    @staticmethod
    def remove_stale(prefix):
        """What an earlier run under this prefix left behind (a kill -9 of the script)."""
        for line in run("ip", "netns", "list", check=False).stdout.splitlines():
            name = line.split()[0] if line.split() else ""
            if name.startswith(prefix + "-"):
                for pid in run("ip", "netns", "pids", name, check=False).stdout.split():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except (ProcessLookupError, ValueError):
                        pass
                run("ip", "netns", "del", name, check=False)
        shutil.rmtree(os.path.join("/run/coral", prefix), ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

# SPDX-License-Identifier: BSD-3-Clause
"""The servers that are compared: how each is started, and where the configuration that suits it best
here lies. Each has one core, and the same address and port on the same veth pair."""
import os
import shutil

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER, ORIGIN = "10.77.0.1", "10.77.0.9:8000"


class Server:
    """name; kind: http or dns; program: what has to be installed; xdp: takes the interface, whose
    kernel address must not answer; files: of this folder, with @WORDS@ to be filled in. Of its kind in
    speed, but not in what it speaks: memcached and the echo, which coral-perf alone can ask."""

    def __init__(self, name, kind, program, package, files, command, xdp=False, note=""):
        self.name, self.kind, self.program, self.package = name, kind, program, package
        self.files, self.command, self.xdp, self.note = files, command, xdp, note

    @property
    def alien(self):
        return self.program == "memcached" or self.echo

    @property
    def echo(self):
        return "echo" in self.command

    def missing(self):
        return None if shutil.which(self.program) or os.path.exists(self.program) else self.package

    def write(self, folder, www):
        """Its configuration, in a folder of its own."""
        words = {"FOLDER": folder, "WWW": www, "SERVER": f"{SERVER}", "ORIGIN": ORIGIN,
                 "SERVER_HOST": SERVER, "ORIGIN_HOST": ORIGIN.split(":")[0],
                 "ORIGIN_PORT": ORIGIN.split(":")[1]}
        for file in self.files:
            with open(os.path.join(HERE, file)) as f:
                text = f.read()
            for word in sorted(words, key=len, reverse=True):
                text = text.replace(f"@{word}@", words[word])
            with open(os.path.join(folder, os.path.basename(file)), "w") as f:
                f.write(text)
        return [x.replace("@FOLDER@", folder) for x in self.command]


def all_servers():
    corald, perf = os.environ.get("CORALD", "corald"), os.environ.get("CORAL_PERF", "coral-perf")
    echo = [perf, "echo", "--serve", "af_xdp:eth0", "--no-huge", "--seconds", "0.5"]
    return [
        Server("coral", "http", corald, "corald", ["corald.yaml"],
               [corald, "-c", "@FOLDER@/corald.yaml", "-n", "rivals"], xdp=True),
        Server("nginx", "http", "nginx", "nginx-light", ["nginx.conf"],
               ["nginx", "-c", "@FOLDER@/nginx.conf", "-e", "@FOLDER@/error.log"]),
        Server("nginx-file", "http", "nginx", "nginx-light", ["nginx-file.conf"],
               ["nginx", "-c", "@FOLDER@/nginx-file.conf", "-e", "@FOLDER@/error.log"],
               note="files, no cache"),
        Server("varnish", "http", "varnishd", "varnish", ["varnish.vcl"],
               ["varnishd", "-F", "-n", "@FOLDER@/v", "-f", "@FOLDER@/varnish.vcl", "-a",
                f"{SERVER}:80", "-s", "malloc,256m", "-p", "thread_pools=1", "-p",
                "thread_pool_min=100", "-p", "timeout_idle=600"]),
        Server("trafficserver", "http", "traffic_server", "trafficserver",
               ["trafficserver/records.config", "trafficserver/remap.config",
                "trafficserver/storage.config", "trafficserver/ip_allow.yaml"],
               ["env", "PROXY_CONFIG_CONFIG_DIR=@FOLDER@", "traffic_server"]),
        Server("h2o", "http", "h2o", "h2o", ["h2o.conf"], ["h2o", "-c", "@FOLDER@/h2o.conf"],
               note="files, it has no cache"),
        Server("memcached", "http", "memcached", "memcached", [],
               ["memcached", "-u", "root", "-l", SERVER, "-t", "1", "-m", "256"],
               note="gets of the same bytes, by its text protocol"),
        Server("echo", "http", perf, "coral-perf", [], echo, xdp=True, note="the wire's ceiling"),
        Server("coral-dns", "dns", corald, "corald", ["corald.yaml"],
               [corald, "-c", "@FOLDER@/corald.yaml", "-n", "rivals"], xdp=True),
        Server("knot", "dns", "knotd", "knot", ["knot.conf"], ["knotd", "-c", "@FOLDER@/knot.conf"]),
        Server("knot-xdp", "dns", "knotd", "knot", ["knot-xdp.conf"],
               ["knotd", "-c", "@FOLDER@/knot-xdp.conf"]),
        Server("nsd", "dns", "nsd", "nsd", ["nsd.conf"], ["nsd", "-d", "-c", "@FOLDER@/nsd.conf"]),
        Server("echo-dns", "dns", perf, "coral-perf", [], echo, xdp=True, note="the wire's ceiling"),
    ]

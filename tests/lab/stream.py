# SPDX-License-Identifier: BSD-3-Clause
"""A server whose objects are computed: GET /BYTES/SEED gives that many bytes, the same each time, no
two MiB of them alike. /BYTES/private may not be cached. usage: stream.py PORT [CONGESTION-CONTROL]"""
import functools
import http.server
import random
import socket
import sys

MIB = 1 << 20


@functools.lru_cache(maxsize=64)
def base(seed):
    return random.Random(seed).randbytes(MIB - 8)


def blocks(path):
    size, seed = path.strip("/").split("/")
    left, number = int(size), 0
    while left > 0:
        block = number.to_bytes(8, "big") + base(seed)
        yield block if left >= MIB else block[:left]
        left -= MIB
        number += 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 128 << 10 # head and a small body leave as one write

    def setup(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def do_GET(self):
        try:
            size = int(self.path.strip("/").split("/")[0])
        except ValueError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control",
                         "private" if self.path.endswith("private") else "max-age=3600")
        self.end_headers()
        for block in blocks(self.path):
            self.wfile.write(block)

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("::", int(sys.argv[1])), Handler)
    if len(sys.argv) > 2: # connections inherit the listener's; a namespace's default can't be set
        server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[2].encode())
    server.serve_forever()

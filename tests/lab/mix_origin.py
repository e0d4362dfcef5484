# SPDX-License-Identifier: BSD-3-Clause
"""The origin of a site of made-up things (mix_model.py). usage: mix_origin.py PORT LARGEST"""
import itertools
import random
import socket
import struct
import sys
import threading
import time

import mix_model as model

SERIAL = itertools.count(1)
REASON = {200: "OK", 206: "Partial Content", 304: "Not Modified", 404: "Not Found",
          416: "Range Not Satisfiable", 500: "Internal Server Error"}


def read_head(f):
    """(method, path, fields in lower case), or None at the end."""
    line = f.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    fields = {}
    for line in iter(f.readline, b"\r\n"):
        if not line:
            return None
        name, _, value = line.decode("latin-1").partition(":")
        fields[name.strip().lower()] = value.strip()
    return method, path, fields


def read_body(f, fields):
    if "chunked" in fields.get("transfer-encoding", ""):
        body = b""
        while size := int(f.readline().split(b";")[0], 16):
            body += f.read(size)
            f.readline()
        while f.readline() != b"\r\n":
            pass
        return body
    return f.read(int(fields.get("content-length", 0)))


class Answer:
    def __init__(self, t, fields):
        now = time.time()
        self.t, self.version = t, t.version(now)
        self.language = "da" if fields.get("accept-language", "").startswith("da") else "en"
        if not t.varies:
            self.language = "en"
        self.length = t.length(self.version)
        self.status, self.first, self.last = 200, 0, self.length - 1
        self.lines = [f"Date: {model.http_date(now)}", f"X-Version: {self.version}",
                      f"X-Language: {self.language}", f"X-Serial: {next(SERIAL)}"]
        self.etag, self.modified = t.etag(self.version, self.language), t.modified(self.version)
        if self.etag:
            self.lines.append(f"ETag: {self.etag}")
        if self.modified:
            self.lines.append(f"Last-Modified: {model.http_date(self.modified)}")
        life = "no-store" if t.life is None else f"max-age={t.life}"
        if t.revalidates_behind:
            life += ", stale-while-revalidate=10"
        self.lines.append(f"Cache-Control: {life}")
        if t.varies:
            self.lines.append("Vary: Accept-Language")
        if t.hop:
            self.lines += ["Connection: x-hop", "X-Hop: 1"]
        self.condition(fields)

    def condition(self, fields):
        weak = lambda tag: tag.strip().removeprefix("W/")
        if "if-none-match" in fields:
            if self.etag and weak(self.etag) in map(weak, fields["if-none-match"].split(",")):
                self.status = 304
                return
        elif self.modified and fields.get("if-modified-since") == model.http_date(self.modified):
            self.status = 304
            return
        if not self.t.ranges or "range" not in fields:
            return
        unless = fields.get("if-range")
        strong = self.etag and not self.etag.startswith("W/") and unless == self.etag
        if unless and not strong and unless != (self.modified and model.http_date(self.modified)):
            return
        wanted = model.ranges_of(fields["range"], self.length)
        if wanted == []:
            self.status = 416
            self.lines.append(f"Content-Range: bytes */{self.length}")
        elif wanted and len(wanted) == 1: # several: the whole
            self.status = 206
            self.first, self.last = wanted[0]
            self.lines.append(f"Content-Range: bytes {self.first}-{self.last}/{self.length}")


def send_body(c, a, framing, cut):
    sent = 0
    for span in a.t.spans(a.version, a.language, a.first, a.last):
        for at in range(0, len(span), 65536):
            piece = span[at:at + 65536]
            if cut is not None and sent + len(piece) > cut:
                c.sendall(piece[:cut - sent])
                return False
            if framing == "chunked":
                c.sendall(b"%x\r\n" % len(piece) + bytes(piece) + b"\r\n")
            else:
                c.sendall(piece)
            sent += len(piece)
            if a.t.fails == "slow":
                time.sleep(0.02)
    if framing == "chunked":
        c.sendall(b"0\r\n\r\n")
    return True


def answer(c, method, path, fields, largest):
    """False: the connection is over."""
    t = model.thing(int(path.split("/")[2]), largest)
    dice = random.random()
    if t.fails == "500" and dice < 0.3:
        c.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops")
        return True
    a = Answer(t, fields)
    body = method == "GET" and a.status in (200, 206)
    framing = t.framing if body and a.status == 200 else "length"
    length = a.last - a.first + 1 if a.status in (200, 206) else 0
    if framing == "chunked":
        a.lines.append("Transfer-Encoding: chunked")
    elif framing == "close":
        a.lines.append("Connection: close")
    elif a.status != 304:
        a.lines.append(f"Content-Length: {length}")
    a.lines.append("Content-Type: " + ("text/plain" if t.text else "application/octet-stream"))
    c.sendall("\r\n".join([f"HTTP/1.1 {a.status} {REASON[a.status]}", *a.lines, "\r\n"]).encode())
    if not body:
        return True
    cut = int(length * dice / 0.3) if t.fails == "cut" and dice < 0.3 and framing != "close" else None
    if not send_body(c, a, framing, cut):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    return framing != "close"


def serve(c, largest):
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with c, c.makefile("rb") as f:
            while request := read_head(f):
                method, path, fields = request
                body = read_body(f, fields)
                if method == "POST": # what was sent comes back
                    c.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n"
                              % len(body) + body)
                elif not answer(c, method, path, fields, largest):
                    return
    except OSError:
        pass


def main():
    listener = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=512)
    largest = int(sys.argv[2])
    while True:
        c, _ = listener.accept()
        threading.Thread(target=serve, args=(c, largest), daemon=True).start()


if __name__ == "__main__":
    main()

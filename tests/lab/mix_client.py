# SPDX-License-Identifier: BSD-3-Clause
"""A client of a site of made-up things (mix_model.py) that compares every byte, and the fields that
have rules, with the model. A JSON object at the end: how many of what, and what was wrong.

usage: mix_client.py SEED REQUESTS BYTES THINGS LARGEST HOST NODE...
"""
import collections
import json
import random
import re
import socket
import sys
import time
import zlib

import mix_model as model

PATIENCE_S = 30


class Wrong(Exception):
    """A rule that does not hold."""


class Cut(Exception):
    """The connection ended in the middle of a response."""


def need(good, text):
    if not good:
        raise Wrong(text)


class Response:
    """Strict: what a lenient reader would make sense of is wrong here."""

    def __init__(self, connection):
        self.f = connection.f
        line = self.line()
        found = re.fullmatch(r"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*", line)
        need(found, f"status line {line!r}")
        self.status, self.fields = int(found[1]), {}
        while line := self.line():
            found = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", line)
            need(found, f"field line {line!r}")
            name = found[1].lower()
            need(name not in self.fields or name in ("vary", "via", "cache-control", "cache-status"),
                 f"{name} twice")
            self.fields[name] = ", ".join(filter(None, (self.fields.get(name), found[2])))

    def line(self):
        line = self.f.readline(65536)
        if not line.endswith(b"\n"):
            raise Cut
        need(line.endswith(b"\r\n"), f"line {line!r}")
        return line[:-2].decode("latin-1")

    def get(self, name):
        return self.fields.get(name)

    def pieces(self, method):
        """The body as it comes."""
        coding = self.get("transfer-encoding")
        need(not (coding and self.get("content-length")), "both framings")
        if method == "HEAD" or self.status in (204, 304):
            need(not coding or method == "HEAD", "a coding where there is no body")
            return
        if coding:
            need(coding == "chunked", f"coding {coding}")
            yield from self.chunks()
            return
        length = self.get("content-length")
        need(length and length.isdigit(), f"length {length!r}")
        yield from self.exactly(int(length))

    def chunks(self):
        while True:
            line = self.line()
            need(re.fullmatch("[0-9A-Fa-f]+", line), f"chunk size {line!r}")
            size = int(line, 16)
            if not size:
                while self.line():
                    pass
                return
            yield from self.exactly(size)
            need(not self.line(), "no line end behind a chunk")

    def exactly(self, left):
        while left:
            piece = self.f.read(min(left, 1 << 16))
            if not piece:
                raise Cut
            left -= len(piece)
            yield piece


class Connection:
    def __init__(self, node):
        self.s = socket.create_connection((node, 80), PATIENCE_S)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.f = self.s.makefile("rb", 1 << 16)

    def close(self):
        self.f.close()
        self.s.close()


class Expected:
    """Compares a body with spans of the model as it comes."""

    def __init__(self, spans):
        self.spans, self.span, self.at = iter(spans), memoryview(b""), 0

    def take(self, data):
        data = memoryview(data)
        while data:
            if self.at == len(self.span):
                self.span, self.at = next(self.spans, None), 0
                need(self.span is not None, "more bytes than there are")
            n = min(len(data), len(self.span) - self.at)
            need(data[:n] == self.span[self.at:self.at + n], "bytes differ")
            data, self.at = data[n:], self.at + n

    def end(self):
        need(self.at == len(self.span) and next(self.spans, None) is None, "bytes are missing")


class Ask:
    """One request: what it says, and what its answer must be."""

    def __init__(self, client):
        r, self.client = client.rng, client
        self.n = client.pick()
        self.t = model.thing(self.n, client.largest)
        self.method, self.lines, self.range, self.known = "GET", [], None, None
        self.abort = False
        self.language = r.choice(("en", "da"))
        self.gzip = r.random() < 0.3
        dice = r.random()
        # what is large is asked for by parts, and seldom taken whole
        small = self.t.size <= client.budget
        if dice < 0.05:
            self.method = "HEAD"
        elif dice < 0.15 or (not small and dice < 0.7):
            self.want_range(r)
        elif dice < 0.3 and client.etags.get(self.n):
            self.known = r.choice(sorted(client.etags[self.n]))
            self.lines.append(f"If-None-Match: {self.known}")
        self.abort = r.random() < (0.03 if small else 0.99)
        if self.t.varies or r.random() < 0.2:
            self.lines.append(f"Accept-Language: {self.language}")
        else:
            self.language = "en"
        if not self.t.varies:
            self.language = "en"
        if self.gzip:
            self.lines.append("Accept-Encoding: gzip")

    def want_range(self, r):
        size, budget = max(1, self.t.size), self.client.budget
        def one():
            first = r.randrange(size)
            last = min(size + 5, first + r.randrange(budget))
            near = size - first < budget
            return r.choice((f"{first}-{last}", f"{first}-{last}", f"-{r.randrange(budget)}",
                             f"{first}-" if near else f"{first}-{first}", f"{size + 10}-"))
        self.range = "bytes=" + ",".join(one() for _ in range(r.choice((1, 1, 1, 1, 1, 2, 3))))
        self.lines.append(f"Range: {self.range}")
        if self.n in self.client.etags and r.random() < 0.3:
            self.condition = r.choice(sorted(self.client.etags[self.n]))
            self.lines.append(f"If-Range: {self.condition}")

    def text(self, host):
        return "\r\n".join([f"{self.method} /t/{self.n} HTTP/1.1", f"Host: {host}", *self.lines,
                            "\r\n"]).encode()

    def may_fail(self):
        return self.t.fails is not None

    # --- rules ---------------------------------------------------------------------------------
    def check(self, r, asked_s):
        """Raises Wrong; returns what to call it in the table."""
        if r.status >= 500:
            need(self.may_fail(), f"status {r.status}: {r.get('cache-status')}")
            for _ in r.pieces(self.method):
                pass
            return "5xx"
        need("coral" in (r.get("cache-status") or ""), "no Cache-Status")
        for hop in ("x-hop", "keep-alive", "cache-tag"):
            need(r.get(hop) is None, f"{hop} came through")
        need(r.get("date") and r.get("via"), "no Date or Via")
        if r.status == 416:
            return self.unsatisfiable(r)
        if r.status == 304:
            return self.unchanged(r, asked_s)
        need(r.get("x-version"), "no X-Version")
        self.version = int(r.get("x-version"))
        self.whole = self.t.length(self.version)
        need(r.get("x-language") == self.language, f"language {r.get('x-language')}")
        self.fresh(r, asked_s)
        self.validators(r)
        return self.body(r)

    def unchanged(self, r, asked_s):
        need(self.known and self.known.removeprefix("W/") == r.get("etag").removeprefix("W/"),
             f"304 for {self.known}, it has {r.get('etag')}")
        self.version = int(r.get("etag").split("-")[1])
        self.whole = self.t.length(self.version)
        self.fresh(r, asked_s)
        for _ in r.pieces(self.method):
            raise Wrong("a body")
        return "304"

    def unsatisfiable(self, r):
        need(self.range, "416")
        total = re.fullmatch(r"bytes \*/([0-9]+)", r.get("content-range") or "")
        need(total, f"416 with Content-Range {r.get('content-range')}")
        need(model.ranges_of(self.range, int(total[1])) == [], f"416 of {self.range}, {total[1]}")
        for _ in r.pieces(self.method):
            pass
        return "416"

    def fresh(self, r, asked_s):
        t, age = self.t, r.get("age")
        if age is not None:
            need(age.isdigit(), f"Age {age}")
        if t.life is None:
            need("hit" not in r.get("cache-status").split(";")[1], "a hit of what is not stored")
            serial = r.get("x-serial")
            need(not serial or serial not in self.client.serials, "one answer twice")
            self.client.serials.add(serial)
        if t.fails:
            return # then stale is better than nothing
        if age is not None:
            need(int(age) <= (t.life or 0) + t.stale_s() + 1, f"Age {age}")
        if t.moves:
            # rounding of ages, and the time that the answer was on its way
            over = (self.version + 1) * model.EPOCH_S + (t.life or 0) + t.stale_s() + 2.5
            need(over >= asked_s and self.version * model.EPOCH_S <= time.time() + 0.1,
                 f"version {self.version} at {asked_s:.1f}")

    def validators(self, r):
        etag, want = r.get("etag"), self.t.etag(self.version, self.language)
        self.coded = r.get("content-encoding")
        need(self.coded in (None, "gzip") and (not self.coded or self.gzip), f"coding {self.coded}")
        if want and self.coded:
            need(etag == (want if want.startswith("W/") else "W/" + want), f"ETag {etag}")
        elif r.status != 304:
            # what is kept as gzip is unpacked for who does not take it
            unpacked = self.t.text and r.status == 200 and want and etag == "W/" + want
            need(etag == want or (unpacked and "accept-encoding" in (r.get("vary") or "").lower()),
                 f"ETag {etag}, not {want}")
            self.client.count["unpacked"] += bool(unpacked)
        if etag:
            self.client.etags.setdefault(self.n, set()).add(etag)
        if self.coded:
            need("accept-encoding" in (r.get("vary") or "").lower(), "gzip without Vary")
        if self.t.modified(self.version):
            need(r.get("last-modified") == model.http_date(self.t.modified(self.version)), "modified")

    def body(self, r):
        if r.status == 206:
            return self.part(r)
        need(r.status == 200, f"status {r.status}")
        if self.range and self.t.ranges and not self.coded and not hasattr(self, "condition") and \
                "," not in self.range and self.t.framing == "length" and self.t.size and \
                self.t.validator == "strong" and self.t.life is not None and not self.t.fails:
            need(not model.ranges_of(self.range, self.whole), f"200 for {self.range}")
        if r.get("content-length") and not self.coded:
            need(int(r.get("content-length")) == self.whole, f"length {r.get('content-length')}")
        want = Expected(self.t.spans(self.version, self.language, 0, self.whole - 1))
        unzip = zlib.decompressobj(31) if self.coded else None
        taken = 0
        for piece in r.pieces(self.method):
            taken += len(piece)
            want.take(unzip.decompress(piece) if unzip else piece)
            self.client.bytes += len(piece)
            if self.abort and taken > self.client.budget // 4:
                return "aborted"
        if self.method != "HEAD":
            if unzip:
                want.take(unzip.flush())
                need(unzip.eof and not unzip.unused_data, "gzip without an end")
            want.end()
        return "HEAD" if self.method == "HEAD" else "gzip" if self.coded else "200"

    def part(self, r):
        need(self.range, "206")
        if self.coded: # a part of what was coded on the way, which the model does not know
            for piece in r.pieces(self.method):
                self.client.bytes += len(piece)
            return "206 of gzip"
        if hasattr(self, "condition"):
            need(self.condition == r.get("etag") and not self.condition.startswith("W/"),
                 f"206 for If-Range {self.condition}, it has {r.get('etag')}")
        wanted = model.ranges_of(self.range, self.whole)
        kind = re.fullmatch("multipart/byteranges; *boundary=\"?([^\"]+)\"?",
                            r.get("content-type") or "")
        if kind:
            return self.parts(r, wanted, kind[1])
        got = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)", r.get("content-range") or "")
        need(got, f"Content-Range {r.get('content-range')}")
        first, last, total = map(int, got.groups())
        need(total == self.whole, f"of {total}, not {self.whole}")
        # of several the one that is left, or all of them as one, when they are that near
        joined = "," in self.range and wanted and \
            (first, last) == (min(w[0] for w in wanted), max(w[1] for w in wanted))
        need((first, last) in wanted or joined, f"{first}-{last} for {self.range} of {self.whole}")
        need(int(r.get("content-length")) == last - first + 1, "length of a part")
        want = Expected(self.t.spans(self.version, self.language, first, last))
        for piece in r.pieces(self.method):
            want.take(piece)
            self.client.bytes += len(piece)
        want.end()
        return "206"

    def parts(self, r, wanted, boundary):
        need("," in self.range and r.get("content-range") is None, "multipart")
        body = b"".join(r.pieces(self.method))
        self.client.bytes += len(body)
        mark = b"\r\n--" + boundary.encode()
        pieces = (b"\r\n" + body.removeprefix(b"\r\n")).split(mark)
        need(pieces[0] == b"" and pieces[-1].startswith(b"--"), "parts' borders")
        covered = set()
        for piece in pieces[1:-1]:
            head, _, data = piece.partition(b"\r\n\r\n")
            got = re.search(rb"(?i)\r\ncontent-range: bytes ([0-9]+)-([0-9]+)/([0-9]+)", head)
            need(got, "a part without Content-Range")
            first, last, total = map(int, got.groups())
            need(total == self.whole and len(data) == last - first + 1, "a part's length")
            want = Expected(self.t.spans(self.version, self.language, first, last))
            want.take(data)
            want.end()
            covered.update(w for w in wanted if first <= w[0] and w[1] <= last)
        need(covered == set(wanted), f"parts for {self.range}: {sorted(covered)}")
        return "multipart"


class Client:
    def __init__(self, seed, requests, size, things, largest, host, nodes):
        self.rng, self.requests, self.things, self.largest = random.Random(seed), requests, things, largest
        self.host, self.nodes = host, nodes
        self.budget = 4 * size // requests  # of one response; what most are far below
        self.bytes, self.etags, self.serials = 0, {}, set()
        self.count, self.wrong = collections.Counter(), []
        self.connections = {}

    def pick(self):
        """Some are asked for often, others once."""
        return int(self.things * self.rng.random() ** 3)

    def connection(self, node):
        if node not in self.connections:
            self.connections[node] = Connection(node)
        return self.connections[node]

    def drop(self, node):
        c = self.connections.pop(node, None)
        if c:
            c.close()

    def post(self, c):
        n = min(int(self.rng.paretovariate(0.5)), 200000)
        start = self.rng.randrange(model.MIB)
        body = model.BLOCK[False][start:start + n]
        if self.rng.random() < 0.5:
            c.s.sendall(f"POST /p/{n} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {n}\r\n\r\n".encode())
            c.s.sendall(body)
        else:
            c.s.sendall(f"POST /p/{n} HTTP/1.1\r\nHost: {self.host}\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n".encode() + b"%x\r\n" % n + bytes(body) +
                        b"\r\n0\r\n\r\n")
        r = Response(c)
        need(r.status == 200, f"POST: {r.status}")
        need(b"".join(r.pieces("POST")) == body, "POST: the body that came back differs")
        return "POST"

    def one(self):
        node = self.rng.choice(self.nodes)
        fresh = node not in self.connections
        ask = None
        try:
            c = self.connection(node)
            if self.rng.random() < 0.02:
                how = self.post(c)
            else:
                ask = Ask(self)
                asked_s = time.time()
                c.s.sendall(ask.text(self.host))
                r = Response(c)
                how = ask.check(r, asked_s)
                if how == "aborted" or (r.get("connection") or "").lower() == "close":
                    self.drop(node)
            self.count[how] += 1
        except (Cut, ConnectionError) as e:
            self.drop(node)
            if not fresh and ask and not hasattr(ask, "whole"):
                self.count["closed before"] += 1 # a connection may end between two requests
            elif ask and (ask.may_fail() or ask.t.moves):
                self.count["cut"] += 1  # seen to be cut, of an origin that does so
            else:
                self.tell(ask, f"cut short: {type(e).__name__}")
        except (Wrong, zlib.error) as e:
            self.drop(node)
            self.tell(ask, str(e))
        except OSError as e:
            self.drop(node)
            if ask and ask.t.fails == "slow":
                self.count["slow"] += 1
            else:
                self.tell(ask, f"{type(e).__name__} {e}")

    def tell(self, ask, why):
        self.count["wrong"] += 1
        if len(self.wrong) < 10:
            self.wrong.append(f"{why}: {ask.method} /t/{ask.n} {ask.lines} {vars(ask.t)}" if ask else why)

    def run(self):
        for _ in range(self.requests):
            self.one()
        unpacked = self.count.pop("unpacked", 0)
        return {"unpacked": unpacked, "count": dict(self.count), "bytes": self.bytes, "wrong": self.wrong}


if __name__ == "__main__":
    seed_, requests_, bytes_, things_, largest_ = map(int, sys.argv[1:6])
    print(json.dumps(Client(seed_, requests_, bytes_, things_, largest_, sys.argv[6],
                            sys.argv[7:]).run()))

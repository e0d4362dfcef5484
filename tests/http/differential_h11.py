# SPDX-License-Identifier: BSD-3-Clause
"""Our parser beside python3-h11 over odd messages, as differential.c does beside libhttp-parser: what
both take is the same thing and ends in the same place; what we take and h11 refuses is on the list
below; what is valid both take. usage: differential_h11.py http-differential [--cases N] [--seed N]"""
import re
import subprocess
import sys

import h11

CASES = 30000
REFUSED, UNFINISHED, TAKEN = range(3)
HUGE = 1 << 24

# What we may take and h11 not, and why. Each takes it out of the message, so that all else of it is
# compared; our normal form of it stays the same.
LAST = rb"(\n0+(?:;[^\r]*)?\r\n(?:[^\r\n]+\r\n)*?)(transfer-encoding|content-length):"


def without(pattern, by):
    pattern = re.compile(pattern, re.I)

    def change(text, end):
        n = 1
        while n: # one behind the other
            message, n = pattern.subn(by, text[:end])
            text, end = message + text[end:], len(message)
        return text, end
    return change


def in_sizes(pattern, by):
    """Of the lines that give chunks their sizes, not of what is in them."""
    pattern = re.compile(pattern, re.I)

    def change(text, end):
        head = text.find(b"\r\n\r\n")
        if b"chunked" not in text[:max(head, 0)].lower():
            return text, end
        at, out = head + 4, text[:head + 4]
        while at < end and (size := re.match(rb"[0-9A-F]+", text[at:end], re.I)):
            line = text.find(b"\r\n", at) + 2
            behind = line + int(size[0], 16) + 2
            if line < 2 or behind > end or int(size[0], 16) == 0:
                behind = end
            if line >= 2:
                out, at = out + pattern.sub(by, text[at:line]), line
            out, at = out + text[at:behind], behind
        out += text[at:]
        return out, end + len(out) - len(text)
    return change


ALLOWED = [
    ("an empty line before the request line (RFC 9112 2.2)", without(rb"\A\r\n", rb"")),
    ("trailers: it holds them to what it wants of fields of the head", without(LAST, rb"\1x:")),
    ("white space before a chunk's extension (RFC 9112 7.1.1)",
     in_sizes(rb"\A([0-9A-F]+)[ \t]+;", rb"\1;")),
    ("a chunk's size of more than 20 digits", in_sizes(rb"\A0+([0-9A-F]{20})", rb"\1")),
]
OLD = "HTTP/1.0: it never keeps a connection alive"


def normal(head, body):
    """As verdict.h has it."""
    minor = b"0" if head.http_version == b"1.0" else b"1"
    if isinstance(head, h11.Request):
        start = head.method + b" " + head.target
    else:
        start = b"%d" % head.status_code
    fields = b"".join(name + b":" + value + b"\n" for name, value in head.headers)
    return start + b" " + minor + b"\n" + fields + b"\n" + body


def connection(request, to_head):
    if request:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=HUGE), h11.CLIENT
    c = h11.Connection(h11.CLIENT, max_incomplete_event_size=HUGE)
    c.send(h11.Request(method="HEAD" if to_head else "GET", target="/", headers=[("Host", "a")]))
    c.send(h11.EndOfMessage())
    return c, h11.SERVER


def verdict(request, to_head, text):
    """(what, end, keeps, closes, normal form) of the first message."""
    c, them = connection(request, to_head)
    head, body, ended = None, b"", False
    try:
        c.receive_data(text)
        while True:
            event = c.next_event()
            if event is h11.NEED_DATA:
                if ended or request:
                    return UNFINISHED, 0, False, False, b""
                ended = True
                try:
                    c.receive_data(b"")
                    event = c.next_event()
                except h11.RemoteProtocolError:
                    return UNFINISHED, 0, False, False, b""
                if not isinstance(event, h11.EndOfMessage):
                    return UNFINISHED, 0, False, False, b""
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.InformationalResponse):
                return TAKEN, len(text) - len(c.trailing_data[0]), True, False, normal(event, b"")
            elif isinstance(event, h11.EndOfMessage):
                # what follows a message that is not the last of its connection waits for its turn
                keeps = c.states[them] not in (h11.MUST_CLOSE, h11.CLOSED) and not ended
                return TAKEN, len(text) - len(c.trailing_data[0]), keeps, ended, normal(head, body)
            elif isinstance(event, (h11.Request, h11.Response)):
                head = event
            else:
                return REFUSED, 0, False, False, b""
    except h11.RemoteProtocolError as e:
        return REFUSED, 0, False, False, str(e).encode()


def lower_coding(text):
    """h11 writes the value of Transfer-Encoding in lower case."""
    head, empty, body = text.partition(b"\n\n")
    return re.sub(rb"\ntransfer-encoding:.*", lambda m: m[0].lower(), head) + empty + body


class Cases:
    def __init__(self, program, options):
        self.run = subprocess.Popen([program, "--dump", *options], stdout=subprocess.PIPE)
        self.f = self.run.stdout

    def __iter__(self):
        while line := self.f.readline():
            kind, to_head, plain, length = line.split()
            text = self.f.read(int(length))
            ours = []
            while (line := self.f.readline()) != b"-\n":
                what, end, keeps, closes, n = (int(x) for x in line.split())
                ours.append((what, end, bool(keeps), bool(closes), lower_coding(self.f.read(n))))
            yield kind == b"request", to_head == b"1", plain == b"1", text, ours
        if self.run.wait() != 0:
            sys.exit("the cases broke off")


class Comparison:
    def __init__(self):
        self.both = self.neither = self.less = self.more = self.wrong = 0
        self.used = {}

    def complaint(self, plain, mine, theirs, at):
        """What is wrong, or None; ours is of a message that begins `at`."""
        a, b = mine[0], theirs[0]
        if plain and (a, b) != (TAKEN, TAKEN):
            return "valid, and not taken by both"
        if a == REFUSED or (a, b) == (UNFINISHED, REFUSED):
            return None
        if a != b:
            return "not alike"
        if a == TAKEN and (mine[1] - at, mine[3], mine[4]) != (theirs[1], theirs[3], theirs[4]):
            return "taken for different things"
        if a == TAKEN and mine[2] and not theirs[2]:
            if mine[4].split(b"\n")[0].endswith(b" 0"):
                self.used[OLD] = self.used.get(OLD, 0) + 1
                return None
            return "kept alive"
        return None

    def excused(self, request, to_head, plain, rest, mine, at):
        end = mine[1] - at if mine[0] == TAKEN else len(rest)
        text, whys = rest, []
        for why, change in ALLOWED:
            before = text
            text, end = change(text, end)
            if text != before:
                whys.append(why)
        if not whys:
            return None
        ours = (mine[0], end if mine[0] == TAKEN else mine[1], *mine[2:])
        theirs = verdict(request, to_head, text)
        if self.complaint(plain, ours, theirs, 0 if mine[0] == TAKEN else at):
            return None
        for why in whys:
            self.used[why] = self.used.get(why, 0) + 1
        return theirs

    def case(self, request, to_head, plain, text, ours):
        at = 0
        for mine in ours:
            rest = text[at:]
            theirs = verdict(request, to_head, rest)
            what = self.complaint(plain, mine, theirs, at)
            if what:
                self.more += mine[0] > theirs[0]
                other = self.excused(request, to_head, plain, rest, mine, at)
                if other is None:
                    self.wrong += 1
                    if self.wrong <= 20:
                        print(f"--- {what}\n{rest[:2000]!r}\nours:   {mine}\ntheirs: {theirs}")
                    return
                theirs = other
            if mine[0] == REFUSED:
                self.neither += theirs[0] == REFUSED
                self.less += theirs[0] != REFUSED
            if mine[0] != TAKEN:
                return
            self.both += 1
            at = mine[1]


def main():
    options = sys.argv[2:]
    if "--cases" not in options:
        options += ["--cases", str(CASES)]
    c = Comparison()
    for case in Cases(sys.argv[1], options):
        c.case(*case)
    print(f"h11 {h11.__version__}: both take {c.both} messages, both refuse {c.neither}, "
          f"we alone refuse {c.less}; alone not: {c.more}")
    for why, n in c.used.items():
        print(f"{n:8} {why}")
    print(f"{c.wrong} not as they should be")
    return c.wrong != 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""A site of made-up things, each known by its number: what it is, how its origin behaves, and which
bytes it has at a time. Origin and clients compute the same, so that every byte can be compared."""
import functools
import math
import random
import time

MIB = 1 << 20
EPOCH_S = 5     # of those that change

_noise = random.Random(5).randbytes(MIB)
_words = random.Random(6)
_text = b"".join(_words.choice((b"lorem", b"ipsum", b"dolor", b"sit", b"amet", b"a", b"\n")) + b" "
                 for _ in range(MIB // 3))[:MIB]
# twice, so that any MiB of either can be had in one piece
BLOCK = {False: memoryview(_noise + _noise), True: memoryview(_text + _text)}


class Thing:
    """n: its number; largest: bytes. Sizes are log-uniform."""

    def __init__(self, n, largest):
        r = random.Random(n * 7919 + 1)
        self.n = n
        self.size = 0 if r.random() < 0.03 else int(math.exp(r.uniform(0, math.log(largest))))
        self.text = r.random() < 0.5            # of a type that the site has compressed
        self.validator = r.choice(("strong", "strong", "strong", "weak", "date", "none"))
        self.life = r.choice((600, 600, 600, 2, 0, None)) # None: no-store
        self.revalidates_behind = self.life == 2 and r.random() < 0.5 # stale-while-revalidate=10
        self.moves = self.life in (2, 0) and r.random() < 0.5
        self.framing = r.choice(("length", "length", "chunked", "close"))
        self.ranges = r.random() < 0.7
        self.varies = r.random() < 0.1
        self.fails = r.choice((None,) * 16 + ("500", "cut", "slow"))
        self.hop = r.random() < 0.2             # sends a field that is for its neighbour alone

    def version(self, now):
        return int(now / EPOCH_S) if self.moves else 0

    def length(self, version):
        return self.size + version % 7 if self.moves else self.size

    def etag(self, version, language):
        if self.validator not in ("strong", "weak"):
            return None
        return ("W/" if self.validator == "weak" else "") + f'"{self.n}-{version}-{language}"'

    def modified(self, version):
        """Wall seconds, or None."""
        return 1700000000 + version if self.validator == "date" else None

    def spans(self, version, language, first, last):
        """The bytes from first to last, as views."""
        block = BLOCK[self.text]
        at = (self.n * 104729 + version * 7907 + (31 if language == "da" else 0) + first) % MIB
        left = last - first + 1
        while left > 0:
            piece = min(left, MIB)
            yield block[at:at + piece]
            left -= piece
            at = (at + piece) % MIB

    def stale_s(self):
        """How long after its freshness ended it may be served, the origin being well."""
        return 10 if self.revalidates_behind else 0


@functools.lru_cache(maxsize=None)
def thing(n, largest):
    return Thing(n, largest)


def ranges_of(text, length):
    """The satisfiable ones of a Range field as (first, last), in order; [] if none is; None if the
    field is to be ignored (RFC 9110 14.2)."""
    if not text.startswith("bytes="):
        return None
    out = []
    for part in text[6:].split(","):
        first, dash, last = part.strip().partition("-")
        if not dash or not (first or last) or not (first + last).isdigit():
            return None
        if not first:
            if int(last) and length:
                out.append((max(0, length - int(last)), length - 1))
        elif last and int(last) < int(first):
            return None
        elif int(first) < length:
            out.append((int(first), min(int(last or length), length - 1)))
    return out


def http_date(wall_s):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(wall_s))

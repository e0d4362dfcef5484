#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Policies once more, ours too, but written from the papers alone and as plainly as can be: lists that
are searched from end to end, no state shared with perf/trace. Slow.

usage: naive.py POLICY CAPACITY <TRACE     fifo lru sieve s3fifo s3fifo-size gdsf belady; time,id,size lines
prints: requests misses bytes missed_bytes
"""
import math
import sys
from collections import OrderedDict, deque


class Lru:
    renew = True

    def __init__(self, capacity, trace):
        self.capacity, self.held, self.used = capacity, OrderedDict(), 0

    def request(self, now, key, size):
        if key in self.held:
            if self.renew:
                self.held.move_to_end(key)
            return True
        if size <= self.capacity:
            while self.used + size > self.capacity:
                self.used -= self.held.popitem(last=False)[1]
            self.held[key] = size
            self.used += size
        return False


class Fifo(Lru):
    renew = False


class Sieve:
    """Zhang et al., NSDI 2024, algorithm 1; the queue is a list, its tail at index 0."""

    def __init__(self, capacity, trace):
        self.capacity, self.queue, self.visited, self.size, self.used = capacity, [], {}, {}, 0
        self.hand = 0

    def request(self, now, key, size):
        if key in self.visited:
            self.visited[key] = True
            return True
        if size > self.capacity:
            return False
        while self.used + size > self.capacity:
            while self.visited[self.queue[self.hand % len(self.queue)]]:
                self.hand %= len(self.queue)
                self.visited[self.queue[self.hand]] = False
                self.hand += 1
            self.hand %= len(self.queue)
            out = self.queue.pop(self.hand)
            self.used -= self.size.pop(out)
            del self.visited[out]
            if self.hand == len(self.queue):
                self.hand = 0  # the head was evicted: from the tail again
        self.queue.append(key)
        self.visited[key], self.size[key] = False, size
        self.used += size
        return False


class S3Fifo:
    """Yang et al., SOSP 2023, algorithm 1, with sizes for numbers of objects."""

    def __init__(self, capacity, trace):
        self.capacity = capacity
        self.S, self.M, self.G = deque(), deque(), OrderedDict()
        self.freq, self.size, self.of = {}, {}, {"S": 0, "M": 0, "G": 0}

    def request(self, now, x, size):
        if x in self.freq:
            self.freq[x] = min(self.freq[x] + 1, 3)
            return True
        if size > self.capacity:
            return False
        ghost = x in self.G
        if ghost:
            self.of["G"] -= self.G.pop(x)
        while self.of["S"] + self.of["M"] + size > self.capacity:
            if self.S and (self.of["S"] >= self.capacity // 10 or not self.M):
                self.evict_s()
            else:
                self.evict_m()
        self.freq[x], self.size[x] = 0, size
        self.put("M" if ghost else "S", x)
        return False

    def put(self, q, x):
        getattr(self, q).append(x)
        self.of[q] += self.size[x]

    def evict_s(self):
        t = self.S.popleft()
        self.of["S"] -= self.size[t]
        if self.freq[t] > 1:
            self.freq[t] = 0
            self.put("M", t)
            return
        self.G[t] = self.size.pop(t)
        self.of["G"] += self.G[t]
        del self.freq[t]
        while self.of["G"] > self.capacity - self.capacity // 10:
            self.of["G"] -= self.G.popitem(last=False)[1]

    def evict_m(self):
        t = self.M.popleft()
        self.of["M"] -= self.size[t]
        if self.freq[t] > 0:
            self.freq[t] -= 1
            self.put("M", t)
        else:
            del self.freq[t], self.size[t]


class S3FifoSize(S3Fifo):
    """The rule for sizes that perf/trace/s3fifo.c states: no paper's, so this is the only second one."""

    def __init__(self, capacity, trace):
        super().__init__(capacity, trace)
        self.rounds = {}

    def smaller(self, x):
        mean = (self.of["S"] + self.of["M"]) / (len(self.S) + len(self.M))
        return min(7, max(0, math.ceil(math.log2(mean / self.size[x]) - 0.5)))

    def evict_s(self):
        t = self.S[0]
        if self.freq[t] + self.smaller(t) < 2:
            super().evict_s()
            return
        self.S.popleft()
        self.of["S"] -= self.size[t]
        self.freq[t], self.rounds[t] = 0, 0
        self.put("M", t)

    def evict_m(self):
        t = self.M[0]
        rounds = min(7, self.rounds.get(t, 0) + self.freq[t] * (1 + self.smaller(t)))
        self.M.popleft()
        self.of["M"] -= self.size[t]
        if rounds:
            self.freq[t], self.rounds[t] = 0, rounds - 1
            self.put("M", t)
        else:
            del self.freq[t], self.size[t]
            self.rounds.pop(t, None)


class Gdsf:
    """Cherkasova, HPL-98-69: Pr(f) = Clock + Fr(f) / Size(f); the least goes, Clock takes its Pr."""

    def __init__(self, capacity, trace):
        self.capacity, self.used, self.clock, self.held = capacity, 0, 0.0, {}

    def request(self, now, key, size):
        hit = key in self.held
        if not hit and size > self.capacity:
            return False
        while not hit and self.used + size > self.capacity:
            out = min(self.held, key=lambda k: self.held[k][:2])
            pr, _, _, bytes_out = self.held.pop(out)
            self.clock = pr
            self.used -= bytes_out
        _, _, fr, held = self.held.get(key, (0, 0, 0, size))
        self.held[key] = (self.clock + (fr + 1) / held, now, fr + 1, held)
        self.used += 0 if hit else size
        return hit


class Belady:
    """Belady 1966, with bypass: among those held and the newcomer the one wanted last goes."""

    def __init__(self, capacity, trace):
        self.capacity, self.used, self.held, self.next = capacity, 0, {}, [None] * len(trace)
        later = {}
        for i in range(len(trace) - 1, -1, -1):
            self.next[i] = later.get(trace[i][0], float("inf"))
            later[trace[i][0]] = i

    def request(self, now, key, size):
        again = self.next[now]
        if key in self.held:
            self.held[key] = (again, self.held[key][1])
            return True
        if size > self.capacity or again == float("inf"):
            return False
        while self.used + size > self.capacity:
            out = max(self.held, key=lambda k: self.held[k][0])
            if self.held[out][0] <= again:
                return False
            self.used -= self.held.pop(out)[1]
        self.held[key] = (again, size)
        self.used += size
        return False


POLICIES = {"fifo": Fifo, "lru": Lru, "sieve": Sieve, "s3fifo": S3Fifo, "s3fifo-size": S3FifoSize,
            "gdsf": Gdsf, "belady": Belady}


def main():
    trace = [(int(f[1]), int(f[2])) for f in (line.split(",") for line in sys.stdin)]
    policy = POLICIES[sys.argv[1]](int(sys.argv[2]), trace)
    misses = missed = 0
    for now, (key, size) in enumerate(trace):
        if not policy.request(now, key, size):
            misses += 1
            missed += size
    print(len(trace), misses, sum(size for _, size in trace), missed)


if __name__ == "__main__":
    main()

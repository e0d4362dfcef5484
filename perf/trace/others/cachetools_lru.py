#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""LRU by cachetools. usage: cachetools_lru.py CAPACITY <TRACE; prints requests misses bytes missed_bytes"""
import sys

import cachetools

cache = cachetools.LRUCache(int(sys.argv[1]), getsizeof=lambda size: size)
requests = misses = total = missed = 0
for line in sys.stdin:
    _, key, size = line.split(",")
    size = int(size)
    requests += 1
    total += size
    if cache.get(key) is None:
        misses += 1
        missed += size
        if size <= cache.maxsize:
            cache[key] = size
print(requests, misses, total, missed)

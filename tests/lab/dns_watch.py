# SPDX-License-Identifier: BSD-3-Clause
"""Asks nameservers again and again until when each still names one of some addresses.

usage: dns_watch.py START SECONDS NAME SERVERS ADDRESSES    (START: unix time; comma lists)
Prints {server: seconds from START to the last answer that named one of ADDRESSES, or to the first
answer where none did}; a server that never answered is left out.
"""
import json
import sys
import time

from checking_client import dns_query


def watch(start, seconds, name, servers, addresses):
    last = {}
    while time.time() < start + seconds:
        for server in servers:
            for _ in range(2):
                answer = dns_query(server, name, timeout=0.5)
                if answer:
                    now = time.time() - start
                    last.setdefault(server, now)
                    if addresses & set(answer[0]):
                        last[server] = now
        time.sleep(0.05)
    return last


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    print(json.dumps(watch(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3],
                           sys.argv[4].split(","), set(sys.argv[5].split(",")))))

# SPDX-License-Identifier: BSD-3-Clause
"""Asks nameservers again and again until when each still names one of some addresses.

usage: dns_watch.py SECONDS NAME SERVERS ADDRESSES    (comma lists)
Prints {server: seconds from the start to the last answer that named one of ADDRESSES}; a server
that never answered is left out.
"""
import json
import sys
import time

from checking_client import dns_query


def watch(seconds, name, servers, addresses):
    start = time.time()
    last = {}
    while time.time() < start + seconds:
        for server in servers:
            for _ in range(2):
                answer = dns_query(server, name, timeout=0.5)
                if answer:
                    last.setdefault(server, 0.0)
                    if addresses & set(answer[0]):
                        last[server] = time.time() - start
        time.sleep(0.05)
    return last


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    print(json.dumps(watch(float(sys.argv[1]), sys.argv[2], sys.argv[3].split(","),
                           set(sys.argv[4].split(",")))))

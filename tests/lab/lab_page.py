# SPDX-License-Identifier: BSD-3-Clause
"""curl gets pages through nodes: with one worker and with two on a one-queue port, over AF_XDP and
AF_PACKET, over both families; ranges, HEAD, the kernel's own idea of a connection's end."""
import json
import os
import re
import time

from story import HOST, SITE, ZONE, Lab, run, tell


TELLS = ('{origin: ["origin.site.test:80"], allow: [10.9.0.0/24, "fd00:9::/64"], compress: text/html, '
         'client_address: x-forwarded-for, request_id: true, server_timing: true, cache_status_key: true}')


def fetch_all(s, node, files):
    for path, body in files.items():
        for v6 in (False, True):
            status, got, _ = s.curl("c1", node, path, v6=v6)
            s.expect(status == 200 and got == body,
                     f"n{node} {path} over {'IPv6' if v6 else 'IPv4'}: {status}, {len(got)} bytes")


def counter(s, node, name):
    return s.lab.ctl(node, "stats")["counters"][name]["value"]


def purge_all(s, files):
    """By tag, softly, and by host: in force at once, gone soon after; pages come again, the same."""
    lab = s.lab
    _, head, _ = s.curl("c1", 2, "/1k", "-I", text=True)
    s.expect("cache-control" in head.lower() and "cache-tag" not in head.lower(),
             "clients don't see tags")
    r = lab.ctl(2, "purge", "--soft", "--tag", "lab")
    s.expect(r == {"ok": True, "tag": "lab", "soft": True}, f"a soft purge of a tag: {r}")
    lab.wait(lambda: counter(s, 2, "cache_purged_stale_total") == len(files), 5,
             "not all objects became stale")
    fetch_all(s, 2, files)
    for node, words in ((2, ("--host", HOST)), (3, ("--prefix", f"http://{HOST}/"))):
        r = lab.ctl(node, "purge", *words)
        s.expect(r["ok"] is True, f"purge {' '.join(words)}: {r}")
        lab.wait(lambda: counter(s, node, "cache_objects") == 0, 5, "not all objects went")
        fetch_all(s, node, files)
    for words, why in ((("--host", "a/b"), "no host"), (("--tag", "a b"), "no tag"),
                       (("--prefix", f"http://{HOST}/*"), "no \"*\""),
                       (("--prefix", f"http://{HOST}/" + "a/" * 16), "too deep")):
        r = lab.ctl(3, "purge", *words)
        s.expect(r["ok"] is False and r["status"] == 2 and why in r["error"], f"{words}: {r}")


def seeks(s, film):
    """A part of what nobody has costs the slices that it lies in, once for all nodes."""
    part = film[5000000:6500001]
    for node in (1, 2, 3):
        status, body, _ = s.curl("c1", node, "/film", "-r", "5000000-6500000")
        s.expect(status == 206 and body == part, f"n{node} a seek: {status}, {len(body)} bytes")
    asked = sorted(x["range"] for x in s.lab.origin_log() if x["path"] == "/film")
    s.expect(asked == [f"bytes={i << 20}-{((i + 1) << 20) - 1}" for i in (4, 5, 6)],
             f"three slices in all: {asked}")
    status, body, _ = s.curl("c1", 1, "/film")
    asked = [x for x in s.lab.origin_log() if x["path"] == "/film"]
    s.expect(status == 200 and body == film and len(asked) == 8,
             f"all of it: {status}, each of 8 slices asked for once: {len(asked)}")


def compressed(s, page):
    """Once, for all nodes and all who accept it; unpacked for the others."""
    sizes = []
    for node in (1, 2, 3):
        for path in ("/page.html", "/page.html"):
            status, body, _ = s.curl("c1", node, path, "--compressed", "-D", f"{s.lab.folder}/head")
            with open(f"{s.lab.folder}/head") as f:
                head = f.read().lower()
            s.expect(status == 200 and body == page and "content-encoding: gzip" in head and
                     "vary: accept-encoding" in head and 'etag: w/"' in head,
                     f"n{node} gzip: {status}, {len(body)} bytes")
        sizes.append(len(s.curl("c1", node, "/page.html", "-H", "Accept-Encoding: gzip, br")[1]))
        status, body, _ = s.curl("c1", node, "/page.html")
        s.expect(status == 200 and body == page, f"n{node} as it is: {status}, {len(body)} bytes")
    asked = len([x for x in s.lab.origin_log() if x["path"] == "/page.html"])
    s.expect(asked == 1 and len(set(sizes)) == 1 and sizes[0] < len(page) / 20,
             f"{asked} origin requests, one for both; {sizes} bytes of {len(page)}")


def told(s):
    """What a site has origins and clients told; through two nodes it is one story, by one ID."""
    ctl = os.path.join(s.lab.build, "tools", "coralctl")
    heads = []
    for node in (1, 2, 2):
        run(ctl, "-n", s.lab.node_name(node), "log", "--no-wait")  # for some seconds it is noted then
        time.sleep(0.3)
        s.curl("c1", node, "/told", "-D", f"{s.lab.folder}/head", "-H", "X-Forwarded-For: 1.2.3.4",
               "-H", "X-Request-ID: mine", "-H", "CDN-Loop: other.test; a=b")
        with open(f"{s.lab.folder}/head") as f:
            heads.append(dict(x.strip().lower().split(": ", 1) for x in f if ": " in x))
    ids = [x.get("x-request-id", "") for x in heads]
    asked = [x for x in s.lab.origin_log() if x["path"] == "/told"]
    s.expect(len(asked) == 1 and asked[0]["for"] == "10.1.0.101" and asked[0]["id"] == ids[0] and
             asked[0]["loop"] == f"other.test; a=b, {ZONE}", f"the origin is told: {asked}")
    s.expect(len(set(ids)) == 3 and all(re.fullmatch("[0-9a-f]{32}", x) for x in ids), f"IDs: {ids}")
    timing = [x.get("server-timing", "") for x in heads]
    s.expect("origin;dur=" in timing[0] and "peer;dur=" in timing[1] and
             re.fullmatch(r"cache;desc=hit;dur=\d+\.\d{3}", timing[2]), f"timings: {timing}")
    s.expect(all(f'; key="http://{SITE}/told"' in x["cache-status"] for x in heads), "keys")
    for node, which in ((1, 0), (2, 1), (2, 2)):
        noted = lambda: [json.loads(x) for x in run(
            ctl, "-n", s.lab.node_name(node), "--json", "log", "--no-wait", "--id",
            ids[which]).stdout.splitlines()]
        s.lab.wait(noted, 5, f"n{node} has not noted {ids[which]}")
        s.expect([(x["target"], x["request_id"]) for x in noted()] == [("/told", ids[which])],
                 f"n{node} has noted it: {noted()}")
    status, _, _ = s.curl("c1", 1, "/told", "-H", f"CDN-Loop: other.test, {ZONE}")
    s.expect(status == 508 and counter(s, 1, "proxy_loops_total") == 1, f"a loop: {status}")


def story(s):
    lab = s.lab
    files = {"/1k": s.rng.randbytes(1024), "/100k": s.rng.randbytes(100 << 10),
             "/5m": s.rng.randbytes(5 << 20), "/empty": b""}
    page = b"<p>the same words again and again</p>" * 3000
    lab.router()
    film = s.rng.randbytes(8 << 20)
    lab.origin({**files, "/page.html": page, "/film": film, "/told": b"a story"})
    lab.client(1, 1)
    lab.node(1, workers=1, sites=TELLS)
    lab.node(2, workers=2, sites=TELLS)
    lab.driver = "af_packet"
    lab.node(3, workers=2)
    lab.node_wait((1, 2, 3), members=2)
    for node in (1, 2, 3):
        fetch_all(s, node, files)
    asked = len([x for x in lab.origin_log() if x["path"] == "/5m"])
    s.expect(asked == 1, f"three nodes, one origin request for /5m: {asked}")

    status, body, _ = s.curl("c1", 2, "/100k", "-r", "1000-1999")
    s.expect(status == 206 and body == files["/100k"][1000:2000], f"a range from cache: {status}")
    status, body, _ = s.curl("c1", 2, "/100k", "-r", "200000-")
    s.expect(status == 416, f"a range beyond the end: {status}")
    status, body, _ = s.curl("c1", 2, "/100k", "-r", "0-9,1000-1999")
    parts = [x.split(b"\r\n\r\n", 1)[1] for x in re.split(rb"(?:\r\n)?--[0-9a-f]{16}", body)[1:-1]]
    s.expect(status == 206 and parts == [files["/100k"][:10], files["/100k"][1000:2000]],
             f"two ranges: {status}")
    status, body, _ = s.curl("c1", 1, "/100k", "-I", text=True)
    s.expect(status == 200 and "content-length: 102400" in body.lower(), f"HEAD: {status}")
    status, _, _ = s.curl("c1", 1, "/1k", "-X", "POST", "-d", "x")
    s.expect(status == 405, f"POST: {status}")
    status, _, _ = s.curl("c1", 1, "/nothing")
    s.expect(status == 404, f"what the origin does not have: {status}")
    p = run(*lab.inside("c1", "curl", "-sS", "-o", "/dev/null", "-w", "%{num_connects} ",
                        "--resolve", f"{HOST}:80:{Lab.node_v4(2)}", f"http://{HOST}/1k",
                        "-o", "/dev/null", f"http://{HOST}/100k"), check=False)
    s.expect(p.stdout.split() == ["1", "0"], f"keep-alive: connections {p.stdout.strip()}")
    p = run(*lab.inside("c1", "wrk", "-t1", "-c64", "-d2s", "-H", f"Host: {HOST}",
                        f"http://{Lab.node_v4(2)}/1k"), timeout=20)
    s.expect("Socket errors" not in p.stdout and "Non-2xx" not in p.stdout and
             "Requests/sec" in p.stdout, "wrk with 64 connections on two workers: " +
             next((x for x in p.stdout.splitlines() if "Requests/sec" in x), p.stdout))

    # purge and stop, as an operator does
    url = f"http://{HOST}/1k"
    r = lab.ctl(1, "purge", "--soft", url)
    s.expect(r == {"ok": True, "url": url, "soft": True}, f"purge --soft {url}: {r}")
    _, head, _ = s.curl("c1", 1, "/1k", "-I", text=True)
    s.expect("fwd=stale" in head, f"it is asked about: {head}")
    r = lab.ctl(1, "purge", url)
    s.expect(r.get("ok") is True, f"purge {url}: {r}")
    r = lab.ctl(1, "purge", url)
    s.expect(r.get("ok") is False and "not in" in r["error"], f"and again: {r}")
    purge_all(s, files)
    compressed(s, page)
    seeks(s, film)
    told(s)
    lab.nodes[1].terminate()
    s.expect(lab.nodes[1].wait(15) == 0, f"SIGTERM: status {lab.nodes[1].returncode}")


tell("page", story)

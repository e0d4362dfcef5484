# SPDX-License-Identifier: BSD-3-Clause
"""An origin with every vice, by path; see the table. usage: bad_origin.py PORT"""
import socket
import struct
import sys
import threading
import time

HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
COUNT = {}
LOCK = threading.Lock()


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(c, path):
    name = path.split("?")[0]
    if name == "/good":
        c.sendall(HEAD + b"Content-Length: 5\r\n\r\nhello")
    elif name == "/short":      # closes before Content-Length
        c.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
        return False
    elif name == "/long":       # more than it said
        c.sendall(HEAD + b"Content-Length: 5\r\n\r\nhello and more")
        return False
    elif name == "/garbage":
        c.sendall(bytes(range(256)) * 4)
        return False
    elif name == "/reset":
        reset(c)
        return False
    elif name == "/resetbody":
        c.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
        time.sleep(0.2)
        reset(c)
        return False
    elif name == "/silent":
        time.sleep(30)
        return False
    elif name == "/close":
        return False
    elif name == "/twolengths":
        c.sendall(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
        return False
    elif name == "/chunked":
        c.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    elif name == "/badchunk":
        c.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
        return False
    elif name == "/nostore":
        with LOCK:
            COUNT[path] = COUNT.get(path, 0) + 1
            n = COUNT[path]
        c.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 8\r\n\r\n%08d" % n)
    elif name == "/twice":      # a second response, that nobody asked for
        c.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 5\r\n\r\nfirst")
        time.sleep(0.1)
        c.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil")
    elif name == "/private":
        c.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 200000\r\n\r\n" +
                  b"p" * 200000)
    elif name == "/close-delimited":
        c.sendall(HEAD + b"Connection: close\r\n\r\n" + b"d" * 10000)
        return False
    elif name == "/fail":
        c.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")
    elif name == "/stale":      # fresh for one second, then the origin breaks
        with LOCK:
            COUNT[path] = COUNT.get(path, 0) + 1
            n = COUNT[path]
        if n > 1:
            reset(c)
            return False
        c.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=1\r\nContent-Length: 5\r\n\r\nstale")
    else:
        c.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    return True


def serve(c):
    data = b""
    try:
        while True:
            while b"\r\n\r\n" not in data:
                more = c.recv(4096)
                if not more:
                    return
                data += more
            head, data = data.split(b"\r\n\r\n", 1)
            if not answer(c, head.split()[1].decode()):
                return
    except OSError:
        pass
    finally:
        c.close()


def main():
    s = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=128)
    while True:
        c, _ = s.accept()
        threading.Thread(target=serve, args=(c,), daemon=True).start()


if __name__ == "__main__":
    main()

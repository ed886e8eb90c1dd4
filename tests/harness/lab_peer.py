# SPDX-License-Identifier: Apache-2.0
"""A process of the lab: it runs in a pod, on a node or outside, serves, and asks other servers, as it is told by JSON
lines on its standard input; each has an id, and its answer on standard output the same. It ends with its input.

Served on TCP, a line at a time:  who | get BYTES | put BYTES (and then that many bytes)
on UDP, a datagram:               who [BYTES of the answer]
The answer to `who` is JSON: the server's name, the client and the own address as the server sees them."""

import contextlib
import errno
import json
import os
import socket
import struct
import sys
import threading
import time
import zlib

NAME = sys.argv[1]
PATTERN = bytes(range(256)) * 256
IP_RECVERR, IPV6_RECVERR, IPV6_DONTFRAG, IP_MTU_DISCOVER = 11, 25, 62, 10
SO_MARK = 36


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def plain(address):
    """(address, port), an IPv4-mapped one as IPv4."""
    return [address[0].removeprefix("::ffff:"), address[1]]


def reason(error):
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "TIMEOUT"
    return errno.errorcode.get(error.errno or 0, str(error))


def said(sock, client, **more):
    return json.dumps({"name": NAME, "client": plain(client), "local": plain(sock.getsockname()), **more}).encode()


class Lines:
    """Lines and counted bytes of a stream."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def line(self):
        while b"\n" not in self.rest:
            more = self.sock.recv(65536)
            if not more:
                return None
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()

    def checksum(self, count):
        value, data = 0, self.rest[:count]
        self.rest = self.rest[count:]
        while True:
            value, count = zlib.crc32(data, value), count - len(data)
            if not count:
                return value
            data = self.sock.recv(min(count, 65536))
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "short")


def send_pattern(sock, count):
    value = 0
    while count:
        data = PATTERN[:count]
        sock.sendall(data)
        value, count = zlib.crc32(data, value), count - len(data)
    return value


def serve_connection(sock):
    lines = Lines(sock)
    with sock, contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = sock.getpeername()
        while (line := lines.line()) is not None:
            word, _, count = line.partition(" ")
            if word == "get":
                send_pattern(sock, int(count))
            else:
                more = {"crc": lines.checksum(int(count))} if word == "put" else {}
                sock.sendall(said(sock, client, **more) + b"\n")


def accept(listener):
    while True:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.EBADF, errno.EINVAL):
                return
            continue
        spawn(serve_connection, sock)


def answer_datagrams(sock):
    while True:
        try:
            data, client = sock.recvfrom(65536)
        except OSError as error:
            if error.errno == errno.EBADF:
                return
            continue
        _, _, size = data[:20].decode("ascii", "replace").partition(" ")
        size = int(size.split()[0]) if size.split() and size.split()[0].isdigit() else 0
        reply = said(sock, client, size=len(data), crc=zlib.crc32(data))
        with contextlib.suppress(OSError):
            sock.sendto(reply.ljust(size), client)


def spawn(work, *arguments):
    threading.Thread(target=work, args=arguments, daemon=True).start()


class Peer:
    def __init__(self):
        self.listeners = {}
        self.handles = {}
        self.stops = {}
        self.lock = threading.Lock()

    # ---- serving

    def do_serve(self, tcp=(), udp=(), addresses=("::",)):
        for address in addresses:
            for port in tcp:
                self.listen(address, port)
            for port in udp:
                for place in ("0.0.0.0", "::") if address == "::" else (address,):
                    sock = socket.socket(family_of(place), socket.SOCK_DGRAM)
                    if ":" in place:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                    sock.bind((place, port))
                    self.listeners.setdefault(("udp", port), []).append(sock)
                    spawn(answer_datagrams, sock)
        return {}

    def listen(self, address, port):
        sock = socket.socket(family_of(address), socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((address, port))
        sock.listen(512)
        self.listeners.setdefault(("tcp", port), []).append(sock)
        spawn(accept, sock)

    def do_unserve(self, proto, port):
        for sock in self.listeners.pop((proto, port), []):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        return {}

    def do_bind(self, proto, address, port):
        """Only tries."""
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        with socket.socket(family_of(address), kind) as sock:
            sock.bind((address, port))
        return {}

    # ---- asking

    def connect(self, to, port, timeout=3, source=None, source_port=0, mapped=False):
        sock = socket.socket(socket.AF_INET6 if mapped else family_of(to), socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source or source_port:
                sock.bind((source or ("::" if ":" in to else "0.0.0.0"), source_port))
            sock.connect(("::ffff:" + to if mapped else to, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def do_tcp(self, to, port, get=0, put=0, **options):
        """A connection: who answers, and optionally bytes there and back, compared."""
        with self.connect(to, port, **options) as sock:
            lines = Lines(sock)
            sock.sendall(b"who\n")
            line = lines.line()
            if line is None:
                raise ConnectionResetError(errno.ECONNRESET, "closed")
            answer = json.loads(line)
            answer["peer"], answer["from"] = plain(sock.getpeername()), plain(sock.getsockname())
            if put:
                sock.sendall(f"put {put}\n".encode())
                sent = send_pattern(sock, put)
                answer["put_whole"] = json.loads(lines.line())["crc"] == sent
            if get:
                sock.sendall(f"get {get}\n".encode())
                answer["get_whole"] = lines.checksum(get) == zlib.crc32((PATTERN * (get // 65536 + 1))[:get])
            return answer

    def do_udp(self, to, port, connected=True, size=0, reply=0, timeout=3, source=None, source_port=0, tries=1, dontfrag=None):
        """A datagram of `size` bytes, answered by one of `reply` bytes. `by` is who the answer seems to come from."""
        family = family_of(to)
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout / tries)
            v6 = family == socket.AF_INET6
            sock.setsockopt(*((socket.IPPROTO_IPV6, IPV6_RECVERR, 1) if v6 else (socket.IPPROTO_IP, IP_RECVERR, 1)))
            if dontfrag is not None and not v6:
                sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 2 if dontfrag else 0)
            if source or source_port:
                sock.bind((source or ("::" if v6 else "0.0.0.0"), source_port))
            data = f"who {reply} ".encode().ljust(size, b".")
            if connected:
                sock.connect((to, port))
            for attempt in range(tries):
                try:
                    sock.send(data) if connected else sock.sendto(data, (to, port))
                    got, by = sock.recvfrom(65536)
                    break
                except OSError as error:  # the first may find the path's MTU out
                    if attempt == tries - 1 or reason(error) not in ("TIMEOUT", "EMSGSIZE", "ENOBUFS"):
                        raise
            answer = json.loads(got)
            whole = answer["size"] == len(data) and answer["crc"] == zlib.crc32(data) and len(got) >= reply
            answer.update(by=plain(by), whole=whole, peer=plain(sock.getpeername()) if connected else None)
            answer["from"] = plain(sock.getsockname())
            return answer

    def do_many(self, to, port, count, proto="tcp", timeout=1, **options):
        """How often each server answered, of `count` connections or datagrams, and each error; three errors are enough."""
        found, errors = {}, 0
        for _ in range(count):
            try:
                who = (self.do_tcp if proto == "tcp" else self.do_udp)(to, port, timeout=timeout, **options)["name"]
            except OSError as error:
                who, errors = reason(error), errors + 1
            found[who] = found.get(who, 0) + 1
            if errors == 3:
                break
        return {"found": found}

    # ---- what stays open

    def do_open(self, handle, to, port, **options):
        sock = self.connect(to, port, **options)
        self.handles[handle] = sock, Lines(sock)
        return self.do_ask(handle)

    def do_ask(self, handle, timeout=3):
        sock, lines = self.handles[handle]
        sock.settimeout(timeout)
        sock.sendall(b"who\n")
        line = lines.line()
        if line is None:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        return json.loads(line)

    def do_open_udp(self, handle, to, port, source_port=0):
        sock = socket.socket(family_of(to), socket.SOCK_DGRAM)
        if source_port:
            sock.bind(("::" if ":" in to else "0.0.0.0", source_port))
        sock.connect((to, port))
        self.handles[handle] = sock, None
        return self.do_ask_udp(handle)

    def do_ask_udp(self, handle, timeout=3):
        sock, _ = self.handles[handle]
        sock.settimeout(timeout)
        sock.send(b"who")
        return json.loads(sock.recv(65536))

    def do_close(self, handle):
        self.handles.pop(handle)[0].close()
        return {}

    # ---- load

    def do_load(self, handle, to, port, kind, interval_ms=2, timeout=3, seconds=120, parallel=1):
        """Until `end_load`, or so many seconds: `requests` on kept connections, `connections` anew each time, or numbered
        `datagrams` whose answers are counted. Returns when it is over: counts, errors, the longest wait in ms."""
        stop = self.stops[handle] = threading.Event()
        total = {"done": 0, "sent": 0, "errors": {}, "names": {}, "longest_ms": 0}
        work = {"requests": self.load_requests, "connections": self.load_connections, "datagrams": self.load_datagrams}[kind]
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self.guard, args=(work, total, stop, end, to, port, interval_ms / 1000, timeout))
                   for _ in range(parallel)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {**total, "lost": total["sent"] - total["done"]} if kind == "datagrams" else total

    def guard(self, work, total, *arguments):
        try:
            work(total, *arguments)
        except OSError as error:
            self.fault(total, error)

    def do_end_load(self, handle):
        self.stops.pop(handle).set()
        return {}

    def fault(self, total, error):
        with self.lock:
            total["errors"][reason(error)] = total["errors"].get(reason(error), 0) + 1

    def count(self, total, name, start):
        with self.lock:
            total["done"] += 1
            total["names"][name] = total["names"].get(name, 0) + 1
            total["longest_ms"] = max(total["longest_ms"], round((time.monotonic() - start) * 1000))

    def load_requests(self, total, stop, end, to, port, interval, timeout):
        with self.connect(to, port, timeout=timeout) as sock:
            lines = Lines(sock)
            while not stop.is_set() and time.monotonic() < end:
                start = time.monotonic()
                sock.sendall(b"who\n")
                line = lines.line()
                if line is None:
                    raise ConnectionResetError(errno.ECONNRESET, "closed")
                self.count(total, json.loads(line)["name"], start)
                time.sleep(interval)

    def load_connections(self, total, stop, end, to, port, interval, timeout):
        while not stop.is_set() and time.monotonic() < end:
            start = time.monotonic()
            try:
                self.count(total, self.do_tcp(to, port, timeout=timeout)["name"], start)
            except OSError as error:
                self.fault(total, error)
            time.sleep(interval)

    def load_datagrams(self, total, stop, end, to, port, interval, timeout):
        with socket.socket(family_of(to), socket.SOCK_DGRAM) as sock:
            sock.connect((to, port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            while not stop.is_set() and time.monotonic() < end:
                sock.settimeout(interval)
                with self.lock:
                    total["sent"] += 1
                start = time.monotonic()
                try:
                    sock.send(b"who")
                except OSError as error:
                    self.fault(total, error)
                self.receive(total, sock, start)
                time.sleep(interval)
            sock.settimeout(0.3)
            while self.receive(total, sock, time.monotonic()):
                pass

    def receive(self, total, sock, start):
        try:
            self.count(total, json.loads(sock.recv(65536))["name"], start)
            return True
        except (TimeoutError, socket.timeout):
            return False
        except OSError as error:
            self.fault(total, error)
            return True

    # ---- packets made by hand

    def do_send_frames(self, device, frames):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            for frame in frames:
                sock.sendto(bytes.fromhex(frame), (device, 0))
        return {}

    def do_capture(self, device, seconds, match=""):
        """Frames on a device, as hex, of a time; `match` is hex that they must hold."""
        found, end = [], time.monotonic() + seconds
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as sock:
            sock.bind((device, 3))
            while (left := end - time.monotonic()) > 0:
                sock.settimeout(left)
                with contextlib.suppress(TimeoutError, socket.timeout):
                    frame = sock.recv(65536).hex()
                    if match in frame:
                        found.append(frame)
        return {"frames": found}

    def do_ping(self, to, size=56, timeout=2, ttl=0):
        """An echo request by an unprivileged ICMP socket's twin, a raw one. Says who answered, and with what."""
        v6 = ":" in to
        with socket.socket(family_of(to), socket.SOCK_RAW, 58 if v6 else 1) as sock:
            sock.settimeout(timeout)
            if ttl:
                sock.setsockopt(*((41, 16, ttl) if v6 else (0, 2, ttl)))
            sock.connect((to, 0))
            ident = os.getpid() & 0xFFFF
            body = struct.pack(">BBHHH", 128 if v6 else 8, 0, 0, ident, 1) + PATTERN[:size]
            sock.send(body if v6 else body[:2] + struct.pack(">H", checksum(body)) + body[4:])
            while True:
                data = sock.recv(65536)
                data = data if v6 else data[(data[0] & 15) * 4:]
                if data[0] in (129, 0) and data[4:6] == struct.pack(">H", ident):
                    return {"whole": data[8:] == PATTERN[:size]}


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def handle(peer, request, lock):
    ident, op = request.pop("id"), request.pop("op")
    start = time.monotonic()
    try:
        answer = getattr(peer, "do_" + op)(**request)
    except OSError as error:
        answer = {"error": reason(error)}
    except Exception as error:  # pylint: disable=broad-except
        answer = {"error": f"{type(error).__name__}: {error}"}
    answer.update(id=ident, ms=round((time.monotonic() - start) * 1000, 1))
    with lock:
        print(json.dumps(answer), flush=True)


def main():
    peer, lock = Peer(), threading.Lock()
    threading.stack_size(256 * 1024)
    print("{}", flush=True)
    for line in sys.stdin:
        spawn(handle, peer, json.loads(line), lock)
    os._exit(0)


main()

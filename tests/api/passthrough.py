#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""What the API server passes on: logs, exec, attach and port-forward to kubelets, requests to nodes, pods and services. The
kubelets are fakes on 127/8; everything is in a network namespace without a way out."""

import hashlib
import os
import resource
import select
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import rss_kb  # noqa: E402
from fake_kubelet import FakeKubelet  # noqa: E402
from kubectl import programs  # noqa: E402

NS = "/api/v1/namespaces/default"
POD_IP = "198.51.100.7"  # for documentation (RFC 5737); here an address of lo
MANY = 10 << 20


def enter_namespace():
    """Pods' addresses must not be loopback ones, so they live in a network namespace of this test."""
    if os.environ.get("FL_PASSTHROUGH_NS"):
        for command in ("ip link set lo up", f"ip addr add {POD_IP}/32 dev lo"):
            subprocess.run(command.split(), check=True)
        return
    os.environ["FL_PASSTHROUGH_NS"] = "1"
    flags = ["--net"] if os.getuid() == 0 else ["--net", "--map-root-user"]
    os.execvp("unshare", ["unshare", *flags, sys.executable, "-B", *sys.argv])


def pod(name, *containers, node="n1", init=(), ip=None):
    body = {"metadata": {"name": name}, "spec": {
        "containers": [{"name": c, "image": "x", "ports": [{"containerPort": 8080}]} for c in containers]}}
    if init:
        body["spec"]["initContainers"] = [{"name": c, "image": "x"} for c in init]
    if node:
        body["spec"]["nodeName"] = node
    return body


def make_pod(server, *args, ip=None, **more):
    made = server.post(NS + "/pods", pod(*args, **more))
    assert made.status == 201, made.body
    if ip:
        body = made.json()
        body["status"] = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
        done = server.put(f"{NS}/pods/{args[0]}/status", body)
        assert done.status == 200, done.body


def message(answer):
    body = answer.json()
    return answer.status, body.get("reason", ""), body["message"]


# ---- logs ----

def logs(server, kubelet):
    kubelet.on("/containerLogs/", lambda h: h.text(200, "one\ntwo\n", Content_Type="text/plain"))
    answer = server.get(NS + "/pods/web/log", Authorization="Bearer secret")
    tap.is_((answer.status, answer.body, answer.headers["Content-Type"]), (200, b"one\ntwo\n", "text/plain"),
            "a log comes as the kubelet gave it")
    seen = kubelet.seen[-1]
    tap.is_((seen.method, seen.target, seen.user), ("GET", "/containerLogs/default/web/main", "kube-apiserver-kubelet-client"),
            "asked by upstream's path, with the API server's certificate")
    tap.ok("Authorization" not in seen.headers, "what the client is known by is not passed on")
    server.get(NS + "/pods/web/log?tailLines=5&follow=true&container=main&previous=true&timestamps=1&sinceSeconds=7"
               "&limitBytes=100&sinceTime=")
    tap.is_(kubelet.seen[-1].target, "/containerLogs/default/web/main?follow=true&limitBytes=100&previous=true"
            "&sinceSeconds=7&tailLines=5&timestamps=true", "parameters are passed on in Go's order")


def log_checks(server, kubelet):
    count = len(kubelet.seen)
    for path, want, name in (
            ("/pods/none/log", (404, "NotFound", 'pods "none" not found'), "no such pod"),
            ("/pods/two/log", (400, "BadRequest", "a container name must be specified for pod two, choose one of: [a b] "
                               "or one of the init containers: [first]"), "several containers"),
            ("/pods/two/log?container=c", (400, "BadRequest", "container c is not valid for pod two"), "no such container"),
            ("/pods/web/log?tailLines=-1", (422, "Invalid", 'Pod "web" is invalid: tailLines: Invalid value: -1: must be '
                                            "greater than or equal to 0"), "a negative number of lines"),
            ("/pods/free/exec?command=x", (400, "BadRequest", "pod free does not have a host assigned"), "exec without a node"),
            ("/pods/lost/log", (404, "NotFound", 'nodes "gone" not found'), "a node that is gone")):
        tap.is_(message(server.get(NS + path)), want, f"{name}: a clear error")
    tap.is_(server.get(NS + "/pods/free/log").status, 204, "a pod without a node has no log yet")
    tap.is_(len(kubelet.seen), count, "no kubelet was asked for any of these")
    kubelet.on("/containerLogs/default/two/first", lambda h: h.text(400, 'container "first" in pod "two" is waiting to start'))
    tap.is_(message(server.get(NS + "/pods/two/log?container=first")),
            (400, "BadRequest", 'container "first" in pod "two" is waiting to start'), "a kubelet's refusal is a Status")
    kubelet.on("/containerLogs/default/two/a", lambda h: h.text(500, "no such file"))
    tap.is_(message(server.get(NS + "/pods/two/log?container=a")),
            (500, "InternalError", "Internal error occurred: no such file"), "so is its failure")


def follow(server, kubelet):
    go = threading.Semaphore(0)
    gone = threading.Event()

    def lines(h):
        h.begin_chunks()
        for i in range(3):
            h.chunk(b"line %d\n" % i)
            go.acquire(timeout=5)
        try:
            while True:
                h.chunk(b"more\n")
                time.sleep(0.01)
        except OSError:
            gone.set()

    kubelet.on("/containerLogs/default/web/", lines)
    connection = server.connect()
    connection.request("GET", NS + "/pods/web/log?follow=true")
    answer = connection.getresponse()
    got = []
    for _ in range(3):
        got.append(answer.readline())
        go.release()
    tap.is_(got, [b"line 0\n", b"line 1\n", b"line 2\n"], "a followed log comes line by line, as it is written")
    connection.close()
    tap.ok(gone.wait(5), "the kubelet's connection ends when the client leaves")


def slow_reader(server, kubelet):
    sent = []
    block = b"x" * 65536

    def pour(h):
        h.begin_chunks()
        try:
            for _ in range(1 << 10):
                h.chunk(block)
                sent.append(len(block))
        except OSError:
            pass
        h.close_connection = True

    kubelet.on("/containerLogs/default/web/", pour)
    before = rss_kb(server)
    clients = [server.connect() for _ in range(8)]
    for c in clients:
        c.request("GET", NS + "/pods/web/log?follow=true")
    time.sleep(1.5)
    half = sum(sent)
    time.sleep(0.5)
    grown = rss_kb(server) - before  # sanitizers keep what was freed
    tap.ok(0 < half == sum(sent) < (256 << 20), "clients that do not read stop the kubelet (what sockets hold aside)",
           f"{half >> 20} and then {sum(sent) >> 20} of 512 MiB were sent")
    tap.ok(grown < (300000 if apiserver.BUILD.endswith("san") else 8192), "and the server's memory does not grow", f"{grown} kB for {len(clients)} of them")
    for c in clients:
        c.close()


def fast_and_broken(server, kubelet):
    data = os.urandom(1 << 20) * 10

    def all_at_once(h):
        h.begin_chunks()
        for i in range(0, len(data), 100000):
            h.chunk(data[i:i + 100000])
        h.chunk(b"")

    kubelet.on("/containerLogs/default/web/", all_at_once)
    answer = server.get(NS + "/pods/web/log")
    tap.is_(hashlib.sha256(answer.body).hexdigest(), hashlib.sha256(data).hexdigest(), "10 MB of log arrive unchanged")

    def dies(h):
        h.begin_chunks()
        h.chunk(b"half of it\n")
        h.connection.shutdown(socket.SHUT_RDWR)
        h.close_connection = True

    kubelet.on("/containerLogs/default/web/", dies)
    connection = server.connect()
    connection.request("GET", NS + "/pods/web/log")
    answer = connection.getresponse()
    try:
        answer.read()
        tap.not_ok("a kubelet that dies is no end of the log")
    except Exception as error:  # pylint: disable=broad-except
        tap.ok(True, f"a kubelet that dies is no end of the log ({type(error).__name__})")
    connection.close()
    tap.is_(server.get(NS).status, 200, "and the server goes on")


# ---- upgrades ----

def raw(server):
    sock = socket.create_connection(("127.0.0.1", server.port), 10)
    return server.context().wrap_socket(sock, server_hostname="127.0.0.1")


def read_head(sock):
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(1)
        if not more:
            break
        head += more
    return head.decode()


def ask_upgrade(server, path, method="POST", protocol="SPDY/3.1", early=b""):
    sock = raw(server)
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n"
                 "X-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n".encode() + early)
    return sock, read_head(sock)


def echo(h):
    sock = h.upgrade()
    while True:
        data = sock.recv(65536)
        if not data:
            break
        sock.sendall(data)
    sock.unwrap()


def exec_sessions(server, kubelet):
    kubelet.on("/exec/", echo)
    sock, head = ask_upgrade(server, NS + "/pods/two/exec?command=sh&command=-c&command=echo%20%22a%26b%22&container=b&stdin=true"
                             "&stdout=true&stderr=false&tty=1", early=b"early")
    tap.like(head, r"^HTTP/1.1 101 Switching Protocols\r\n", "exec: 101")
    tap.like(head, r"\r\nX-Kubelet: fake\r\n", "with the kubelet's headers")
    tap.like(head, r"\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n", "and its protocol")
    seen = kubelet.seen[-1]
    tap.is_((seen.method, seen.target), ("POST", "/exec/default/two/b?command=sh&command=-c&command=echo%20%22a%26b%22&input=1"
                                         "&output=1&tty=1"), "asked by upstream's path and names")
    tap.is_((seen.headers.get("Upgrade"), seen.headers.get("X-Stream-Protocol-Version")),
            ("SPDY/3.1", "v4.channel.k8s.io"), "headers of the protocol are passed on")
    tap.is_(sock.recv(5), b"early", "what was sent behind the head is not lost")
    echo_many(sock)
    sock.close()
    for path, want in (("attach?stdout=1", "/attach/default/web/main?output=1"),
                       ("portforward?ports=80&ports=81", "/portForward/default/web?port=80%2C81")):
        kubelet.on("/attach/", echo)
        kubelet.on("/portForward/", echo)
        sock, head = ask_upgrade(server, NS + "/pods/web/" + path, "GET", "websocket")
        tap.is_((head[:12], kubelet.seen[-1].target), ("HTTP/1.1 101", want), path.split("?", maxsplit=1)[0])
        sock.close()


def echo_many(sock):
    """One thread, because OpenSSL's connections are not for two at a time."""
    block = os.urandom(1 << 16)
    data = memoryview(b"".join(bytes([i % 256]) + block[1:] for i in range(MANY // len(block))))
    got, sent, count = hashlib.sha256(), 0, 0
    begin = time.monotonic()
    sock.setblocking(False)
    while count < MANY:
        try:
            if sent < MANY:
                sent += sock.send(data[sent:sent + 16384])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            piece = sock.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            select.select([sock], [sock] if sent < MANY else [], [], 5)
            continue
        if not piece:
            break
        got.update(piece)
        count += len(piece)
    sock.setblocking(True)
    tap.is_((count, got.hexdigest()), (MANY, hashlib.sha256(data).hexdigest()), "10 MB go there and back unchanged")
    tap.diag(f"10 MiB there and back in {time.monotonic() - begin:.2f} s")


def endings(server, kubelet):
    def bye(h):
        sock = h.upgrade()
        sock.sendall(b"bye")
        sock.unwrap()

    kubelet.on("/exec/", bye)
    sock, _ = ask_upgrade(server, NS + "/pods/web/exec?command=x&stdout=1")
    got = b""
    while data := sock.recv(10):
        got += data
    tap.is_(got, b"bye", "the kubelet ends a session: the client has all of it, and a proper end")
    sock.close()

    left = threading.Event()

    def wait_for_end(h):
        sock = h.upgrade()
        try:
            sock.recv(1)
        except OSError:
            pass
        left.set()

    kubelet.on("/exec/", wait_for_end)
    sock, _ = ask_upgrade(server, NS + "/pods/web/exec?command=x&stdout=1")
    sock.close()
    tap.ok(left.wait(5), "the client leaves: the kubelet is told")

    def die(h):
        sock = h.upgrade()
        sock.recv(1)
        os.close(os.dup(sock.fileno()))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    kubelet.on("/exec/", die)
    sock, _ = ask_upgrade(server, NS + "/pods/web/exec?command=x&stdin=1")
    sock.sendall(b"x")
    sock.settimeout(5)
    try:
        data = sock.recv(1)
    except (ssl.SSLError, ConnectionError):
        data = b""
    tap.is_(data, b"", "the kubelet dies: the client's session ends")
    sock.close()

    kubelet.on("/exec/", lambda h: h.text(404, "container not found"))
    sock, head = ask_upgrade(server, NS + "/pods/web/exec?command=x&stdin=1")
    tap.like(head, "^HTTP/1.1 404 Not Found", "a kubelet's refusal to upgrade is passed on")
    sock.close()


# ---- kubelets that are not there ----

def broken_kubelets(server):
    with FakeKubelet(server, "down", "127.0.0.3") as kubelet:
        kubelet.register()
        where = f"127.0.0.3:{kubelet.port}"
    make_pod(server, "on-down", "main", node="down")
    answer = server.get(NS + "/pods/on-down/log")
    tap.is_(message(answer), (500, "", f'Get "https://{where}/containerLogs/default/on-down/main": dial tcp {where}: connect: '
                              "connection refused"), "a kubelet that is down: log")
    answer = server.post(NS + "/pods/on-down/exec?command=x", "")
    tap.is_(message(answer), (500, "", f"error dialing backend: dial tcp {where}: connect: connection refused"), "exec")
    answer = server.get("/api/v1/nodes/down/proxy/healthz")
    tap.is_(message(answer)[0::2], (503, f"error trying to reach service: dial tcp {where}: connect: connection refused"), "proxy")

    with FakeKubelet(server, "liar", "127.0.0.4", certificate_of="somebody-else") as kubelet:
        kubelet.register()
        make_pod(server, "on-liar", "main", node="liar")
        answer = server.get(NS + "/pods/on-liar/log")
        tap.like(answer.json()["message"], "tls: failed to verify certificate: .*name", "a certificate for another node is refused")
        tap.is_(kubelet.seen, [], "before anything is asked")

    for node, purpose, good in (("client", "clientAuth", False), ("server", "serverAuth", True)):
        with FakeKubelet(server, node, "127.0.0.6", purpose=purpose) as kubelet:
            kubelet.register()
            kubelet.on("/containerLogs/", lambda h: h.text(200, "mine"))
            make_pod(server, f"on-{node}", "main", node=node)
            answer = server.get(f"{NS}/pods/on-{node}/log")
            if good:
                tap.is_(answer.body, b"mine", "a certificate of its name, made for servers, is taken")
            else:
                tap.like(answer.json()["message"], "tls: failed to verify certificate: .*purpose",
                         "the same made for clients is refused")
                tap.is_(kubelet.seen, [], "before anything is asked")

    with socket.create_server(("127.0.0.5", 0)) as silent:
        with FakeKubelet(server, "mute", "127.0.0.5") as kubelet:
            kubelet.port = silent.getsockname()[1]
            kubelet.register()
        make_pod(server, "on-mute", "main", node="mute")
        waiting = [server.connect() for _ in range(100)]  # more than there are workers
        for c in waiting:
            c.request("GET", NS + "/pods/on-mute/log")
        begin = time.monotonic()
        made = server.post(NS + "/configmaps", {"metadata": {"name": "meanwhile"}})
        tap.ok(made.status == 201 and time.monotonic() - begin < 2, "while kubelets keep silent, others are served")
        for c in waiting[1:]:
            c.close()
        answer = waiting[0].getresponse()
        tap.ok(answer.status == 500 and b"i/o timeout" in answer.read() and 8 < time.monotonic() - begin < 14,
               "who keeps silent is given up after ten seconds")
        waiting[0].close()


def endless_errors(server, kubelet):
    def never_ends(h):
        h.begin_chunks(500)
        try:
            h.chunk(b"disk full")
            h.connection.settimeout(30)
            h.connection.recv(1)
        except OSError:
            pass
        h.close_connection = True

    kubelet.on("/containerLogs/default/web/", never_ends)
    begin = time.monotonic()
    tap.is_(message(server.get(NS + "/pods/web/log")), (500, "InternalError", "Internal error occurred: disk full"),
            "an error whose text does not end is told")
    tap.ok(4 < time.monotonic() - begin < 9, "after five seconds")


# ---- proxies ----

def proxies(server, kubelet):
    kubelet.on("/", lambda h: h.text(200, f"{h.command} {h.path} {h.seen.body.decode()}", X_Own="1"))
    answer = server.put("/api/v1/nodes/n1/proxy/stats/a%2Fb?x=%20y", "hello", content_type="text/plain")
    tap.is_((answer.status, answer.body, answer.headers["X-Own"]), (200, b"PUT /stats/a%2Fb?x=%20y hello", "1"),
            "nodes/proxy: any method, the path as it was, headers")
    tap.is_(server.get(f"/api/v1/nodes/n1:{kubelet.port}/proxy/pods/").body, b"GET /pods/ ", "with the kubelet's port named")
    answer = server.get("/api/v1/nodes/n1/proxy?a=b")
    tap.is_((answer.status, answer.headers["Location"]), (301, "/api/v1/nodes/n1/proxy/?a=b"), "no path: redirected to a slash")
    answer = server.post("/api/v1/nodes/n1/proxy?a=b", "hello", content_type="text/plain")
    tap.is_((answer.status, answer.body), (200, b"POST /?a=b hello"), "but a POST is not: it would arrive as a GET")
    kubelet.on("/?upgrade", echo)
    sock, head = ask_upgrade(server, "/api/v1/nodes/n1/proxy?upgrade", "GET", "websocket")
    tap.like(head, "^HTTP/1.1 101 ", "nor an upgrade")
    sock.close()
    tap.is_(message(server.get("/api/v1/nodes/n1:1/proxy/")), (400, "BadRequest", "address not allowed"),
            "other ports of a loopback address are not reached")
    with FakeKubelet(server, "app", POD_IP, 8080, tls=False) as app:
        app.on("/", lambda h: h.text(200, f"{h.command} {h.path}"))
        make_pod(server, "app", "main", ip=POD_IP)
        for name in ("app", "app:8080", "http:app:8080"):
            answer = server.get(f"{NS}/pods/{name}/proxy/x/y?z=1", Authorization="Bearer secret")
            tap.is_(answer.body, b"GET /x/y?z=1", f"pods/proxy: {name}")
        tap.is_((app.seen[-1].headers.get("X-Forwarded-For"), app.seen[-1].headers.get("Authorization")), ("127.0.0.1", None),
                "who asks is named, and his secrets stay")
        services(server)
        forged_endpoints(server)
    tap.is_(message(server.get(f"{NS}/pods/app:9/proxy/"))[0::2],
            (503, f"error trying to reach service: dial tcp {POD_IP}:9: connect: connection refused"), "nobody listens")
    tap.is_(message(server.get(f"{NS}/pods/a:b:c:d/proxy/")), (400, "BadRequest", 'invalid pod request "a:b:c:d"'), "a bad name")


def endpoint(address, name, ready=True, **ref):
    return {"addresses": [address], "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": name, **ref}}


def forged_endpoints(server):
    """The API server asks nobody but pods of the namespace, whatever an EndpointSlice says."""
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    server.post(NS + "/services", {"metadata": {"name": "forged"}, "spec": {"ports": [{"port": 80}]}})
    for name, forged in (("without a pod", {"addresses": [POD_IP], "conditions": {"ready": True}}),
                         ("of a pod that is not there", endpoint(POD_IP, "nobody")),
                         ("of another namespace", endpoint(POD_IP, "app", namespace="kube-system")),
                         ("of something else than a pod", endpoint(POD_IP, "app", kind="Node")),
                         ("with an address that its pod has not", endpoint("198.51.100.9", "app"))):
        made = server.post(slices, {"metadata": {"name": "forged-1", "labels": {"kubernetes.io/service-name": "forged"}},
                                    "addressType": "IPv4", "endpoints": [forged], "ports": [{"port": 8080, "protocol": "TCP"}]})
        tap.is_((made.status, message(server.get(f"{NS}/services/forged/proxy/"))),
                (201, (503, "ServiceUnavailable", 'no endpoints available for service "forged"')), f"an endpoint {name}: nobody is asked")
        server.delete(slices + "/forged-1")


def services(server):
    server.post(NS + "/services", {"metadata": {"name": "app"}, "spec": {"ports": [
        {"name": "web", "port": 80, "targetPort": 8080}, {"name": "none", "port": 81}]}})
    server.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
        "metadata": {"name": "app-1", "labels": {"kubernetes.io/service-name": "app"}}, "addressType": "IPv4",
        "endpoints": [endpoint(POD_IP, "app"), endpoint("198.51.100.8", "app", ready=False)],
        "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}]})
    for name in ("app:web", "app:80", "http:app:web"):
        tap.is_(server.get(f"{NS}/services/{name}/proxy/q").body, b"GET /q", f"services/proxy: {name}, by a ready endpoint")
    tap.is_(message(server.get(f"{NS}/services/app:none/proxy/")),
            (503, "ServiceUnavailable", 'no endpoints available for service "app:none"'), "a port without endpoints")
    tap.is_(message(server.get(f"{NS}/services/app:82/proxy/")),
            (503, "ServiceUnavailable", 'no service port 82 found for service "app"'), "a port that is none")
    tap.is_(message(server.get(f"{NS}/services/nope/proxy/")), (404, "NotFound", 'services "nope" not found'), "no such service")


def with_kubectl(server, kubelet):
    there, _ = programs()
    if not there:
        tap.skip("kubectl logs", "kubectl is not on this machine")
        return
    kubelet.on("/containerLogs/", lambda h: h.text(200, "one\ntwo\n"))
    for name, program in there[:1] + there[-1:]:
        def run(*words, program=program):
            return subprocess.run([program, "--kubeconfig", server.kubeconfig, *words], capture_output=True, text=True,
                                  check=False, env={**os.environ, "HOME": server.tmp}, timeout=30)
        tap.is_(run("logs", "web").stdout, "one\ntwo\n", f"kubectl ({name}) logs")
        tap.is_(run("logs", "on-down").stderr.split(": dial ")[-1].strip(),
                run("exec", "on-down", "--", "ls").stderr.split(": dial ")[-1].strip(), "logs and exec say why a kubelet is not there")
        tap.like(run("exec", "on-down", "--", "ls").stderr, "error dialing backend: dial tcp 127.0.0.3", "as upstream does")
        tap.like(run("get", "--raw", "/api/v1/nodes/n1/proxy/x").stdout, "^GET /x", "get --raw")


def stopping(server, kubelet):
    kubelet.on("/exec/", echo)
    sock, _ = ask_upgrade(server, NS + "/pods/web/exec?command=x&stdin=1")
    begin = time.monotonic()
    tap.is_(server.stop(), 0, "the server ends with a session open")
    tap.ok(time.monotonic() - begin < 4, "at once")
    sock.settimeout(5)
    tap.is_(sock.recv(1), b"", "and the session with it")
    sock.close()


def main():
    enter_namespace()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with apiserver.Server() as server, FakeKubelet(server, "n1", "127.0.0.2") as kubelet:
        kubelet.register()
        make_pod(server, "web", "main")
        make_pod(server, "two", "a", "b", init=("first",))
        make_pod(server, "free", "main", node=None)
        make_pod(server, "lost", "main", node="gone")
        for story in (logs, log_checks, follow, slow_reader, fast_and_broken, exec_sessions, endings):
            story(server, kubelet)
        broken_kubelets(server)
        endless_errors(server, kubelet)
        proxies(server, kubelet)
        with_kubectl(server, kubelet)
        stopping(server, kubelet)
    tap.done()


if __name__ == "__main__":
    main()

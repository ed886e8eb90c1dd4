#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=180
"""Bad input of all kinds: a Status with the right code, reason and causes, the server alive, its memory bounded."""

import os
import random
import re
import socket
import ssl
import sys
import time
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import Client, causes, config_map, context_of, is_status, rss_kb, run_story, said  # noqa: E402

NS = "/api/v1/namespaces/default"
CM, PODS = NS + "/configmaps", NS + "/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
YAML, PROTO = "application/yaml", "application/vnd.kubernetes.protobuf"
RSS_MAX_KB = 150 * 1024

# name, path, content type, body, code, reason, what the message is like
BODIES = [
    ("an empty body", CM, None, b"", 400, "BadRequest", "unexpected end of JSON input"),
    ("no JSON", CM, None, b"nonsense", 400, "BadRequest", "ConfigMap"),
    ("an unclosed object", CM, None, b'{"metadata":{"name":"x"', 400, "BadRequest", "ConfigMap"),
    ("two values", CM, None, b'{"metadata":{"name":"x"}} {}', 400, "BadRequest", "."),
    ("a list", CM, None, b"[1,2]", 400, "BadRequest", "."),
    ("a string", CM, None, b'"x"', 400, "BadRequest", "."),
    ("null", CM, None, b"null", 422, "Invalid", "name or generateName is required"),
    ("a trailing comma", CM, None, b'{"metadata":{"name":"x",}}', 400, "BadRequest", "."),
    ("a comment", CM, None, b'{/* */"metadata":{"name":"x"}}', 400, "BadRequest", "."),
    ("single quotes", CM, None, b"{'metadata':{}}", 400, "BadRequest", "."),
    ("NaN", CM, None, b'{"metadata":{"name":"x","generation":NaN}}', 400, "BadRequest", "."),
    ("a leading zero", CM, None, b'{"metadata":{"name":"x","generation":01}}', 400, "BadRequest", "."),
    ("bad UTF-8", CM, None, b'{"metadata":{"name":"x"},"data":{"a":"\xff\xfe"}}', (201, 400), None, "."),
    ("a NUL byte", CM, None, b'{"metadata":{"name":"x\x00y"}}', 400, "BadRequest", "."),
    ("an escaped NUL in a name", CM, None, b'{"metadata":{"name":"x\\u0000y"}}', (400, 422), None, "."),
    ("a lone surrogate", CM, None, b'{"metadata":{"name":"sur"},"data":{"a":"\\ud800"}}', (201, 400), None, "."),
    ("100,000 brackets", CM, None, b"[" * 100000, 400, "BadRequest", "."),
    ("100,000 objects deep", CM, None, b'{"a":' * 100000 + b"1" + b"}" * 100000, 400, "BadRequest", "."),
    ("a number where a string is due", CM, None, b'{"metadata":{"name":5}}', 400, "BadRequest",
     "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: .*metadata.name|cannot unmarshal number"),
    ("a string where an object is due", CM, None, b'{"metadata":"x"}', 400, "BadRequest", "cannot be handled as a ConfigMap"),
    ("a list where a map is due", CM, None, b'{"metadata":{"name":"x"},"data":[]}', 400, "BadRequest", "cannot be handled"),
    ("a string where a number is due", DEPLOYMENTS, None, b'{"metadata":{"name":"x"},"spec":{"replicas":"3"}}', 400,
     "BadRequest", "Deployment in version \"v1\" cannot be handled as a Deployment"),
    ("a fraction where an integer is due", DEPLOYMENTS, None, b'{"metadata":{"name":"x"},"spec":{"replicas":1.5}}', 400,
     "BadRequest", "cannot be handled as a Deployment"),
    ("a number beyond 32 bits", DEPLOYMENTS, None, b'{"metadata":{"name":"x"},"spec":{"replicas":4294967296}}', 400,
     "BadRequest", "cannot be handled as a Deployment"),
    ("a number of 400 digits", DEPLOYMENTS, None, b'{"metadata":{"name":"x"},"spec":{"replicas":' + b"9" * 400 + b"}}", 400,
     "BadRequest", "."),
    ("1e999", DEPLOYMENTS, None, b'{"metadata":{"name":"x"},"spec":{"replicas":1e999}}', 400, "BadRequest", "."),
    ("a bad quantity", PODS, None, b'{"metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"i","resources":'
     b'{"limits":{"cpu":"lots"}}}]}}', 400, "BadRequest", "quantit"),
    ("a bad time", CM, None, b'{"metadata":{"name":"x","deletionTimestamp":"yesterday"}}', 400, "BadRequest", "."),
    ("bad base64", NS + "/secrets", None, b'{"metadata":{"name":"x"},"data":{"a":"!!"}}', 400, "BadRequest", "."),
    ("bad YAML", CM, YAML, b"metadata: {name: [x", 400, "BadRequest", "yaml|YAML"),
    ("YAML with tabs", CM, YAML, b"metadata:\n\tname: x\n", 400, "BadRequest", "."),
    ("a YAML bomb", CM, YAML, b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n".encode() for i in range(12)), 400, "BadRequest", "."),
    ("a YAML alias of itself", CM, YAML, b"metadata: &a {name: x, labels: *a}\n", 400, "BadRequest", "."),
    ("protobuf without its magic", CM, PROTO, b"\x0a\x00", 400, "BadRequest", "."),
    ("protobuf cut short", CM, PROTO, b"k8s\x00\x0a\x10\x0a\x02v1", 400, "BadRequest", "."),
    ("protobuf with a huge length", CM, PROTO, b"k8s\x00\x12\xff\xff\xff\xff\x0f", 400, "BadRequest", "."),
    ("protobuf of noise", CM, PROTO, b"k8s\x00" + bytes(random.Random(1).randrange(256) for _ in range(4096)), 400, "BadRequest", "."),
]

# name, kind, body, code, what the message is like
PATCHES = [
    ("a JSON patch that is no list", "json", b'{"op":"add"}', 400, "."),
    ("an unknown operation", "json", b'[{"op":"twist","path":"/a"}]', (400, 422), "."),
    ("no path", "json", b'[{"op":"add","value":1}]', (400, 422), "."),
    ("a bad pointer", "json", b'[{"op":"add","path":"a/b","value":1}]', (400, 422), "."),
    ("a missing parent", "json", b'[{"op":"add","path":"/x/y/z","value":1}]', 422, "."),
    ("removing what is not there", "json", b'[{"op":"remove","path":"/data/none"}]', 422, "."),
    ("a failing test", "json", b'[{"op":"test","path":"/data/a","value":"2"}]', 422, "."),
    ("a huge index", "json", b'[{"op":"add","path":"/metadata/finalizers/99999999999","value":"x"}]', (400, 422), "."),
    ("20,000 operations", "json", b"[" + b",".join([b'{"op":"add","path":"/data/a","value":"1"}'] * 20000) + b"]", (400, 413),
     "The allowed maximum operations in a JSON patch is 10000, got 20000"),
    ("copies that grow and grow", "json", b'[{"op":"add","path":"/data/a","value":"' + b"x" * 1000 + b'"}' + b"".join(
        b',{"op":"copy","from":"/data","path":"/data/k%d"}' % i for i in range(40)) + b"]", (400, 413, 422), "."),
    ("a merge patch that is no object", "merge", b"[1]", 400, "."),
    ("a merge patch of wrong types", "merge", b'{"data":5}', (400, 422), "."),
    ("a merge patch that is no JSON", "merge", b"{", 400, "."),
    ("an unknown $patch", "strategic", b'{"metadata":{"ownerReferences":[{"$patch":"mangle","uid":"x"}]}}', (400, 422), "."),
    ("no merge key", "strategic", b'{"metadata":{"ownerReferences":[{"name":"x"}]}}', (400, 422), "."),
    ("a $setElementOrder of another kind", "strategic", b'{"metadata":{"$setElementOrder/ownerReferences":5}}', (400, 422), "."),
    ("an apply without kind", "apply", b"metadata: {name: victim}", 400, "."),
    ("an apply of another kind", "apply", b"apiVersion: v1\nkind: Secret\nmetadata: {name: victim}", 400, "."),
    ("an apply of no YAML", "apply", b"{{{{", 400, "."),
    ("an apply with managedFields", "apply", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: victim, managedFields: [{}]}", 400,
     "managedFields must be nil"),
    ("200 levels deep", "merge", b'{"data":' + b'{"a":' * 20000 + b"1" + b"}" * 20001, (400, 422), "."),
]


def alive(server, name):
    c = Client(server, 10)
    good = c.get("/readyz").status == 200 and server.process.poll() is None
    c.close()
    return tap.ok(good, f"{name}: the server answers on")


def one_of(answer, code, name, pattern="."):
    codes = code if isinstance(code, tuple) else (code,)
    body = answer.json()
    good = answer.status in codes and (answer.status < 300 or (body.get("kind") == "Status" and body.get("code") == answer.status
                                       and body.get("reason") and re.search(pattern, body.get("message", ""))))
    return tap.ok(good, name, f"got:  {said(answer)}\nwant: {codes}, like /{pattern}/")


def bodies(server, c):
    for name, path, kind, body, code, _, pattern in BODIES:
        one_of(c.request("POST", path, body, kind or "application/json"), code, f"body: {name}", pattern)
    answer = c.post(CM + "?fieldValidation=Strict", b'{"metadata":{"name":"x","name":"y"},"dta":{}}')
    is_status(answer, 400, "BadRequest", 'strict decoding error: .*duplicate field "metadata.name".*unknown field "dta"|'
              'strict decoding error: .*unknown field "dta".*duplicate field "metadata.name"', "body: duplicate and unknown fields, Strict")
    bad = c.post(PODS, {"metadata": {"name": "x"}, "spec": {"restartPolicy": "Maybe", "containers": [
        {"name": "C", "image": ""}, {"name": "d", "image": "i", "ports": [{"containerPort": 70000}]}]}})
    fields = sorted(f for _, f, _ in causes(bad))
    tap.is_(fields, ["spec.containers[0].image", "spec.containers[0].name", "spec.containers[1].ports[0].containerPort",
                     "spec.restartPolicy"], "body: each of several mistakes has its cause and path")
    names = [i["metadata"]["name"] for i in c.get(CM).json()["items"]]
    tap.ok("y" not in names and c.get(PODS).json()["items"] == [], "body: nothing was half-written", names)
    alive(server, "bad bodies")


def patches(server, c):
    c.post(CM, config_map("victim", a="1"))
    before = c.get(CM + "/victim").json()
    for name, kind, body, code, pattern in PATCHES:
        query = "?fieldManager=t" if kind == "apply" else ""
        one_of(c.patch(f"{CM}/victim{query}", body, kind), code, f"patch: {name}", pattern)
    tap.is_(c.get(CM + "/victim").json(), before, "patch: none of them changed the object")
    alive(server, "bad patches")


def addresses(server, c):
    for path in ("/api/v1/namespaces/default/configmaps/%00", "/api/v1/namespaces/default/configmaps/a%2Fb",
                 "/api/v1/namespaces/%ff/configmaps", "/api/v1/namespaces/default/configmaps/" + "x" * 5000, "/api//v1/pods",
                 "/../../etc/passwd", "/api/v1/../../x", "/api/v1/%zz", "/apis/apps/v1/deployments/x/y/z/w/v", "/" + "a/" * 500):
        answer = c.get(path)
        tap.ok(answer.status in (200, 400, 404, 414) and (answer.status != 200 or not
               answer.json().get("items")), f"path: {path[:50]}", said(answer))
    for query in ("labelSelector=" + quote("a in (" + "x," * 20000 + "x)"), "limit=-1", "limit=99999999999999999999", "%zz=1",
                  "labelSelector=%ff", "fieldSelector=" + quote("a" * 3000), "resourceVersion=-1",
                  "resourceVersion=99999999999999999999999", "watch=maybe", "dryRun=None", "&" * 3000, "timeoutSeconds=1e9&watch=1"):
        answer = c.get(f"{CM}?{query}")
        tap.ok(answer.status in (200, 400, 404, 414, 422, 431) and (answer.status == 200 or answer.json()["kind"] == "Status"),
               f"query: {query[:40]}", said(answer))
    c.close()
    alive(server, "bad addresses")


def tls(server):
    return context_of(server).wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="127.0.0.1")


def exchange(server, data, wait_s=3):
    """Sends raw bytes over TLS; what comes back until the end or for so long."""
    got = b""
    try:
        with tls(server) as sock:
            sock.sendall(data)
            sock.settimeout(wait_s)
            while True:
                more = sock.recv(65536)
                if not more:
                    break
                got += more
    except (OSError, ssl.SSLError):
        pass
    return got


def statuses(got):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", got)]


def raw(server, _):
    get = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    post = f"POST {CM} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    smuggled = f"DELETE {CM}/victim HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    tap.is_(statuses(exchange(server, get * 5, 1)), [200] * 5, "pipelining: five requests, five answers in order")
    for name, data in (
            ("Content-Length and Transfer-Encoding", post + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled),
            ("Transfer-Encoding and Content-Length", post + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled),
            ("two Content-Lengths", post + b"Content-Length: 2\r\nContent-Length: 90\r\n\r\n{}" + smuggled),
            ("a list of Content-Lengths", post + b"Content-Length: 2, 90\r\n\r\n{}" + smuggled),
            ("Content-Length +2", post + b"Content-Length: +2\r\n\r\n{}" + smuggled),
            ("Content-Length 0x2", post + b"Content-Length: 0x2\r\n\r\n{}" + smuggled),
            ("Transfer-Encoding: xchunked", post + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled),
            ("Transfer-Encoding twice", post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled),
            ("a blank before the colon", post + b"Content-Length : 2\r\n\r\n{}" + smuggled),
            ("a folded header", post + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}" + smuggled),
            ("a bare LF", b"GET /readyz HTTP/1.1\nHost: x\n\n" + smuggled),
            ("a NUL in a header", b"GET /readyz HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n" + smuggled),
            ("a bad chunk size", post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + smuggled),
            ("a chunk size of 20 digits", post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n" + smuggled)):
        got = statuses(exchange(server, data, 1))
        tap.ok(len(got) <= 1 and (not got or got[0] in (400, 411, 501)), f"smuggling: {name} is refused and ends the connection", got)
    tap.is_(Client(server).get(CM + "/victim").status, 200, "smuggling: nothing hidden was done")
    for name, data, codes in (
            ("HTTP/0.9", b"GET /readyz\r\n\r\n", (400, 505)), ("HTTP/3.0", b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", (400, 505)),
            ("noise", bytes(random.Random(2).randrange(256) for _ in range(2000)) + b"\r\n\r\n", (400, 414, 431)),
            ("a line of 100,000 bytes", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400, 414, 431)),
            ("5,000 headers", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n", (400, 431)),
            ("no Host", b"GET /readyz HTTP/1.1\r\n\r\n", (400,)),
            ("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 405, 505))):
        got = statuses(exchange(server, data, 1))
        tap.ok(got and got[0] in codes, f"head: {name}", got)
    big = post + b"Content-Length: 4000000\r\n\r\n" + b"x" * 4000000
    got = exchange(server, big, 2)
    tap.ok(statuses(got)[:1] == [413], "a body of 4,000,000 bytes is 413", got[:200])
    got = exchange(server, post + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 4, 2)
    tap.ok(statuses(got)[:1] == [413], "a chunked one, too", got[:200])
    with tls(server) as sock:
        sock.sendall(post + b'Content-Length: 100\r\n\r\n{"metadata":{"name":"half"}')
    tap.is_(Client(server).get(CM + "/half").status, 404, "a truncated body is not written")
    alive(server, "raw bytes")


def sockets(server, _):
    before = rss_kb(server)
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 1000, os.urandom(5000), b""):
        with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
            try:
                sock.sendall(data)
                sock.settimeout(0.3)
                sock.recv(100)
            except OSError:
                pass
    alive(server, "garbage in the place of TLS")
    idle = [tls(server) for _ in range(300)]
    half = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(100)]
    alive(server, "300 idle and 100 half-open connections")
    slow = [tls(server) for _ in range(20)]
    for i in range(15):
        for sock in slow:
            try:
                sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nA: "[i * 2:i * 2 + 2])
            except OSError:
                pass
        time.sleep(0.05)
    alive(server, "slow-loris clients")
    used = rss_kb(server) - before
    tap.ok(used < 60 * 1024, "420 connections that say nothing cost less than 60 MiB", f"{used} KiB")
    for sock in idle + half + slow:
        sock.close()
    alive(server, "all of them gone")


def main():
    with apiserver.Server() as server:
        c = Client(server)
        for story in (bodies, patches, addresses, raw, sockets):
            run_story(story, server, c)
            rss = rss_kb(server)
            tap.ok(rss < RSS_MAX_KB, f"{story.__name__}: memory is bounded", f"{rss} KiB")
            tap.diag(f"{rss} KiB")
    tap.done()


main()

# SPDX-License-Identifier: Apache-2.0
"""A kubelet that answers as a test says: HTTPS on an address of 127/8 with a certificate of the server's CA.

    with FakeKubelet(server, "n1", "127.0.0.2") as kubelet:
        kubelet.on("/containerLogs/", lambda h: h.text(200, "hello\\n"))
        server.get("/api/v1/namespaces/default/pods/web/log")
        kubelet.seen[-1]        # Seen(method, target, headers, user, body)
"""

import http.server
import os
import ssl
import subprocess
import threading
from dataclasses import dataclass

from apiserver import BUILD


@dataclass
class Seen:
    method: str
    target: str
    headers: dict
    user: str
    body: bytes


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def user(self):
        subject = self.connection.getpeercert().get("subject", ()) if isinstance(self.connection, ssl.SSLSocket) else ()
        return next((value for pair in subject for key, value in pair if key == "commonName"), "")

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(self.command, self.path, dict(self.headers), self.user(), body)
        self.server.owner.seen.append(seen)
        self.seen = seen
        for prefix, fn in self.server.owner.answers:
            if self.path.startswith(prefix):
                return fn(self)
        return self.text(404, f"no answer for {self.path}\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = answer

    def text(self, status, text, **headers):
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin_chunks(self, status=200):
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def upgrade(self):
        """101 with the protocol that was asked for; returns the connection."""
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("X-Kubelet", "fake")
        self.end_headers()
        self.close_connection = True
        return self.connection


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # connections that break are what some tests want

    def get_request(self):
        sock, address = super().get_request()
        if self.context:  # the handshake is the thread's, not the listener's
            sock = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return sock, address


def issue(pki, name, purpose):
    """Replaces kubelet-NAME.crt by one of the same key and name for that purpose."""
    path = f"{pki}/kubelet-{name}"
    with open(f"{path}.ext", "w", encoding="utf-8") as file:
        file.write(f"subjectAltName=DNS:{name}\nextendedKeyUsage={purpose}\n")
    for words in (f"req -new -key {path}.key -subj /CN={name} -out {path}.csr",
                  f"x509 -req -in {path}.csr -CA {pki}/ca.crt -CAkey {pki}/ca.key -set_serial 7 -days 1 -extfile {path}.ext -out {path}.crt"):
        subprocess.run(["openssl", *words.split()], check=True, capture_output=True)


class FakeKubelet:
    def __init__(self, server, node, address, port=0, tls=True, certificate_of=None, purpose=None):
        self.server, self.node, self.address = server, node, address
        self.seen, self.answers = [], []
        self.listener = Listener((address, port), Handler)
        self.listener.owner = self
        self.purpose = purpose  # the extended key usage of its certificate, as OpenSSL calls it; None: fairctl pki's
        self.listener.context = self.context(certificate_of or node) if tls else None
        self.port = self.listener.server_address[1]
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True)

    def context(self, name):
        pki = os.path.join(self.server.data, "pki")
        subprocess.run([os.path.join(BUILD, "fairctl"), "pki", "init", pki, "--server", self.server.url, "--node", name],
                       check=True, stdout=subprocess.DEVNULL)
        if self.purpose:
            issue(pki, name, self.purpose)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{pki}/kubelet-{name}.crt", f"{pki}/kubelet-{name}.key")
        context.load_verify_locations(f"{pki}/ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def on(self, prefix, fn):
        self.answers.insert(0, (prefix, fn))

    def register(self):
        """The Node object, with where it listens."""
        made = self.server.post("/api/v1/nodes", {"metadata": {"name": self.node}})
        assert made.status == 201, made.body
        node = made.json()
        node["status"] = {"addresses": [{"type": "Hostname", "address": self.node},
                                        {"type": "InternalIP", "address": self.address}],
                          "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}}}
        put = self.server.put(f"/api/v1/nodes/{self.node}/status", node)
        assert put.status == 200, put.body

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown()
        self.listener.server_close()

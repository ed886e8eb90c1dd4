# SPDX-License-Identifier: Apache-2.0
"""A fairlead-apiserver of one's own for a test script, in a temporary folder, on a free port of 127.0.0.1.

    with apiserver.Server() as server:
        answer = server.get("/api/v1/namespaces/default")
        tap.is_(answer.status, 200, "the namespace is there")
"""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import yaml

TOP = os.environ.get("FL_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FL_BUILD") or os.path.join(TOP, "build")
READY_S = 20


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)


class Server:
    """Attributes: url, port, data (its folder), tmp (the test's own folder), kubeconfig (admin), log, process."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.tmp = tempfile.mkdtemp(prefix="fairlead-test.")
        self.data = os.path.join(self.tmp, "data")
        self.log = os.path.join(self.tmp, "apiserver.log")
        self.kubeconfig = os.path.join(self.data, "pki", "admin.kubeconfig")
        self.port, self.process = None, None

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that __exit__ runs
        try:
            self.start()
        except BaseException:
            self.cleanup()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            with open(self.log, encoding="utf-8", errors="replace") as file:
                print("# the server's log ended so:\n#   " + "#   ".join(file.readlines()[-20:]), flush=True)
        self.cleanup()

    def cleanup(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.tmp, ignore_errors=True)

    def spawn(self):
        argv = [os.path.join(BUILD, "fairlead-apiserver"), "--data-dir", self.data, "--bind-address", "127.0.0.1",
                "--secure-port", str(self.port), *self.arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ready(self):
        try:
            context = ssl._create_unverified_context()  # before it has made its CA there is nothing to verify by
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=2, context=context)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def start(self):
        """Returns when it is ready. Started again it keeps its port, which the kubeconfig names."""
        again = os.path.exists(self.kubeconfig)
        for _ in range(1 if again else 3):  # another test may take the port before the server has it
            if not again:
                shutil.rmtree(self.data, ignore_errors=True)
                self.port = free_port()
            self.spawn()
            if self.wait_ready():
                return
            self.kill()
        raise RuntimeError("fairlead-apiserver does not get ready")

    def wait_ready(self):
        end = time.monotonic() + READY_S
        while self.process.poll() is None and time.monotonic() < end:
            if self.ready():
                return True
            time.sleep(0.02)
        return False

    def stop(self):
        """Gracefully. Returns its exit code."""
        self.process.terminate()
        return self.process.wait(15)

    def kill(self):
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def context(self):
        """TLS as the admin kubeconfig says: its CA, its client certificate."""
        with open(self.kubeconfig, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        files = {}
        for place, key in ((cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key")):
            if key + "-data" in place:
                files[key] = os.path.join(self.tmp, key + ".pem")
                with open(os.open(files[key], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(base64.b64decode(place[key + "-data"]))
            else:
                files[key] = os.path.join(os.path.dirname(self.kubeconfig), place[key])
        context = ssl.create_default_context(cafile=files["certificate-authority"])
        context.load_cert_chain(files["client-certificate"], files["client-key"])
        return context

    def connect(self, timeout_s=10):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=self.context())

    def request(self, method, path, body=None, content_type="application/json", **headers):
        """One request on a connection of its own. body: bytes as they are, str in UTF-8, else encoded as JSON. Header
        names are given with _ for -."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            names["Content-Type"] = content_type
        connection = self.connect()
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, names)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def put(self, path, body, **more):
        return self.request("PUT", path, body, **more)

    def patch(self, path, body, kind="merge", **more):
        """kind: json, merge, strategic-merge or apply."""
        types = {"json": "application/json-patch+json", "apply": "application/apply-patch+yaml"}
        return self.request("PATCH", path, body, types.get(kind, f"application/{kind}-patch+json"), **more)

    def delete(self, path, body=None, **more):
        return self.request("DELETE", path, body, **more)

# SPDX-License-Identifier: Apache-2.0
"""The lab's API server by plain HTTPS, as administrator: for tests that write more than kubectl can."""

import base64
import http.client
import json
import os
import ssl
import tempfile

import lab_kernel
import yaml

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


class ApiError(RuntimeError):
    def __init__(self, method, path, status, text):
        super().__init__(f"{method} {path}: {status} {text[:300]}")
        self.status = status


class Connection(http.client.HTTPSConnection):
    """http.client opens a connection again by itself when the server has closed it: also that one must be the lab's, and
    never one of this machine's own namespace, which would ask a stranger of that address."""

    def __init__(self, lab, address, context, timeout_s):
        super().__init__(address, 6443, context=context, timeout=timeout_s)
        self.lab = lab

    def connect(self):
        with lab_kernel.in_netns(self.lab.api.netns):
            super().connect()


class Api:
    """One kept connection; not for several threads at once. What answers with an error raises an ApiError."""

    def __init__(self, lab, address, timeout_s=20):
        pki = os.path.join(lab.tmp, "api", "pki")
        self.lab, self.address, self.timeout_s = lab, address, timeout_s
        self.context = ssl.create_default_context(cafile=os.path.join(pki, "ca.crt"))
        with open(os.path.join(pki, "admin.kubeconfig"), encoding="utf-8") as file:
            user = yaml.safe_load(file)["users"][0]["user"]
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            pem.flush()
            self.context.load_cert_chain(pem.name)
        self.connection = None

    def send(self, method, path, body=None, kind="application/json"):
        """The parsed answer. OSError and http.client.HTTPException when the server is away; then it connects anew."""
        if not self.connection:
            self.connection = Connection(self.lab, self.address, self.context, self.timeout_s)
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": kind})
            answer = self.connection.getresponse()
            text = answer.read()
        except BaseException:
            self.close()
            raise
        if answer.status >= 300:
            raise ApiError(method, path, answer.status, text.decode(errors="replace"))
        return json.loads(text)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

# SPDX-License-Identifier: Apache-2.0
"""Debian's docker-registry on a loopback address: plain or with TLS by a CA of its own, with or without a password.

    with registry.Registry(folder, tls=True, users={"ann": "secret"}) as r:
        image.push(layout, "v1", f"{r.address}/demo:1", *r.push_options("ann"))
"""

import json
import os
import shutil
import socket
import subprocess
import time
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt  # glibc's bcrypt, which is what the registry reads


def free_port(host):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, capture_output=True)


class Registry:
    def __init__(self, folder, host="127.0.0.1", tls=False, users=None):
        self.folder, self.host, self.tls, self.users, self.process = folder, host, tls, users or {}, None
        os.makedirs(folder)
        self.address = f"{host}:{free_port(host)}"
        self.ca = f"{folder}/ca"  # a folder, as skopeo's --cert-dir wants it
        if tls:
            self.make_certificates()
        self.configure()

    def make_certificates(self):
        os.mkdir(self.ca)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=registry-ca",
                "-keyout", f"{self.folder}/ca.key", "-out", f"{self.ca}/ca.crt")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=registry",
                "-keyout", f"{self.folder}/tls.key", "-out", f"{self.folder}/tls.csr")
        with open(f"{self.folder}/san", "w", encoding="utf-8") as file:
            file.write(f"subjectAltName=IP:{self.host}\n")
        openssl("x509", "-req", "-days", "2", "-in", f"{self.folder}/tls.csr", "-CA", f"{self.ca}/ca.crt", "-CAkey",
                f"{self.folder}/ca.key", "-CAcreateserial", "-extfile", f"{self.folder}/san", "-out", f"{self.folder}/tls.crt")

    def configure(self):
        http = {"addr": self.address, "secret": "for tests", "relativeurls": True}
        if self.tls:
            http["tls"] = {"certificate": f"{self.folder}/tls.crt", "key": f"{self.folder}/tls.key"}
        config = {"version": "0.1", "log": {"level": "error"}, "http": http,
                  "storage": {"filesystem": {"rootdirectory": f"{self.folder}/storage"}, "delete": {"enabled": True}}}
        if self.users:
            with open(f"{self.folder}/htpasswd", "w", encoding="utf-8") as file:
                for user, password in self.users.items():
                    file.write(f"{user}:{crypt.crypt(password, '$2b$04$' + 'fairleadfairleadfairle')}\n")
            config["auth"] = {"htpasswd": {"realm": "fairlead", "path": f"{self.folder}/htpasswd"}}
        with open(f"{self.folder}/config.yml", "w", encoding="utf-8") as file:
            json.dump(config, file)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.stop()

    def start(self):
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", f"{self.folder}/config.yml"], stdout=log, stderr=log)
        host, port = self.address.rsplit(":", 1)
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.01)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def push_options(self, user=None):
        options = ["--dest-cert-dir", self.ca] if self.tls else ["--dest-tls-verify=false"]
        return options + (["--dest-creds", f"{user}:{self.users[user]}"] if user else [])

    def log(self):
        """Requests that it has answered, a line each ("GET /v2/demo/manifests/1")."""
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return [line.split('"')[1].rsplit(" ", 1)[0] for line in file if '"GET ' in line or '"HEAD ' in line]

    def blob(self, digest):
        """The file that holds a blob."""
        return f"{self.folder}/storage/docker/registry/v2/blobs/sha256/{digest[7:9]}/{digest[7:]}/data"


def insecure(*registries):
    """Text of a registries.conf that lets plain HTTP be spoken with them."""
    return "".join(f'[[registry]]\nlocation = "{r.address}"\ninsecure = true\n' for r in registries)


def mirror(name, through):
    """Text of a registries.conf in which one registry is asked instead of another ("docker.io")."""
    return f'[[registry]]\nprefix = "{name}"\nlocation = "{name}"\n[[registry.mirror]]\nlocation = "{through.address}"\ninsecure = true\n'


def available():
    return all(shutil.which(name) for name in ("docker-registry", "skopeo", "openssl"))

# SPDX-License-Identifier: Apache-2.0
"""A containerd of one's own: private root, state, mounts and pids, in the caller's network namespace, driven by CRI. The
messages are made by hand, for the few that are needed.

    with containerd.Containerd(conflist, plugin) as cri:
        ident = cri.run_pod("web-1", ports=[("TCP", 80, 8080)])
"""

import glob
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

import grpc

IMAGE = "localhost/pause:1"
CONFIG = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
                    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{bin}"
    conf_dir = "{conf}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
"""


# ---- protobuf, the little of it

def _varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(fields):
    """fields: [(number, value)]; a value is text, bytes, a number, or again such a list."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
            continue
        data = encode(value) if isinstance(value, list) else value.encode() if isinstance(value, str) else value
        out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return out


def decode(data):
    """{number: [values]}; values are bytes or numbers."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = varint()
            value = data[at:at + size]
            at += size
        fields.setdefault(key >> 3, []).append(value)
    return fields


# ---- an image that sleeps

def _tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def image_archive(path):
    """An OCI layout in a tar, of busybox asleep."""
    with open("/bin/busybox", "rb") as file:
        layer = _tar([("busybox", file.read(), 0o755)])
    blobs = []

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        blobs.append((f"blobs/sha256/{digest}", data, 0o644))
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    packed = blob(gzip.compress(layer, mtime=0), "layer.v1.tar+gzip")
    config = blob(json.dumps({"architecture": "amd64" if os.uname().machine == "x86_64" else "arm64", "os": "linux",
                              "config": {"Entrypoint": ["/busybox", "sleep", "3600"]},
                              "rootfs": {"type": "layers",
                                         "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode(),
                  "config.v1+json")
    manifest = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": [packed]}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": IMAGE}
    index = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    with open(path, "wb") as file:
        file.write(_tar(blobs + [("index.json", index, 0o644), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)]))


class Containerd:
    def __init__(self, conflist, plugin, snapshotter="native", folder=None):
        self.conflist, self.plugin, self.snapshotter, self.folder = conflist, plugin, snapshotter, folder
        self.child = self.channel = None

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="fl-ctrd.", dir=self.folder)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _path(self, name):
        return os.path.join(self.dir, name)

    def _start(self):
        for name in ("bin", "conf"):
            os.mkdir(self._path(name))
        os.symlink(self.plugin, self._path("bin/fairlead-cni"))
        os.symlink("/usr/lib/cni/loopback", self._path("bin/loopback"))
        with open(self._path("conf/05-fairlead.conflist"), "w", encoding="utf-8") as file:
            json.dump(self.conflist, file)
        with open(self._path("config.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.format(root=self._path("root"), state="/run/ctrd", socket=self._path("sock"), image=IMAGE,
                                     bin=self._path("bin"), conf=self._path("conf"), snapshotter=self.snapshotter))
        # Its pid 1 takes everything along when it ends; its /run is its own.
        script = f"mount -t tmpfs tmpfs /run && exec containerd -c {self._path('config.toml')}"
        self.log = open(self._path("log"), "wb")
        self.child = subprocess.Popen(["unshare", "-m", "-p", "-f", "-i", "--propagation", "private", "--mount-proc",
                                       "--kill-child=SIGKILL", "sh", "-c", script], stdout=self.log, stderr=self.log,
                                      stdin=subprocess.DEVNULL)
        self.channel = grpc.insecure_channel(f"unix:{self._path('sock')}")
        grpc.channel_ready_future(self.channel).result(timeout=20)
        self._import()

    def _import(self):
        image_archive(self._path("image.tar"))
        done = subprocess.run(["ctr", "-a", self._path("sock"), "-n", "k8s.io", "images", "import", "--snapshotter", self.snapshotter,
                               self._path("image.tar")], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ctr images import: {done.stderr}")

    def __exit__(self, *_):
        if self.channel:
            self.channel.close()
        if self.child:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.log.close()
            self._drop_cgroups()
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def _drop_cgroups():
        """They can go once their processes, which are being killed, have gone."""
        name, end = f"fl-ctrd-{os.getpid()}", time.monotonic() + 5
        roots = [path for base in ("/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*")) if os.path.isdir(
            path := os.path.join(base, name))]
        for root in roots:
            for folder, _, _ in os.walk(root, topdown=False):
                while os.path.isdir(folder) and time.monotonic() < end:
                    try:
                        os.rmdir(folder)
                    except OSError:
                        time.sleep(0.02)

    def tail(self, lines=20):
        with open(self._path("log"), encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def call(self, method, fields, timeout=30):
        ask = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", request_serializer=None,
                                       response_deserializer=None)
        return decode(ask(encode(fields), timeout=timeout))

    def pod_config(self, name, ports=(), annotations=(), attempt=0):
        """ports: (protocol, container port, host port)."""
        config = [(1, [(1, name), (2, f"uid-of-{name}"), (3, "default"), (4, attempt)]), (2, name),
                  (3, self._path("pod-logs"))]
        for protocol, inside, outside in ports:
            config.append((5, [(1, {"TCP": 0, "UDP": 1, "SCTP": 2}[protocol]), (2, inside), (3, outside)]))
        for key, value in annotations:
            config.append((7, [(1, key), (2, value)]))
        config.append((8, [(1, f"/fl-ctrd-{os.getpid()}")]))
        return config

    def run_pod(self, name, **fields):
        """Returns the sandbox's id; grpc.RpcError when it fails."""
        return self.call("RunPodSandbox", [(1, self.pod_config(name, **fields))])[1][0].decode()

    def create(self, sandbox, name):
        """A container that sleeps in the sandbox of the pod of that name. Returns its id."""
        config = [(1, [(1, "app")]), (2, [(1, IMAGE)]), (11, "app.log")]
        return self.call("CreateContainer", [(1, sandbox), (2, config), (3, self.pod_config(name))])[1][0].decode()

    def start(self, container):
        self.call("StartContainer", [(1, container)])

    def exec_sync(self, container, argv):
        """The exit code."""
        answer = self.call("ExecSync", [(1, container), *[(2, word) for word in argv], (3, 10)])
        return answer.get(3, [0])[0]

    def status(self, ident):
        """(addresses, pid of the sandbox) of a pod."""
        answer = self.call("PodSandboxStatus", [(1, ident), (2, 1)])
        network = decode(decode(answer[1][0]).get(5, [b""])[0])
        addresses = [network[1][0].decode()] + [decode(ip)[1][0].decode() for ip in network.get(2, [])]
        info = [decode(entry)[2][0] for entry in answer.get(2, []) if decode(entry)[1][0] == b"info"]
        return addresses, json.loads(info[0])["pid"] if info else None

    def stop_pod(self, ident):
        self.call("StopPodSandbox", [(1, ident)])

    def remove_pod(self, ident):
        self.call("RemovePodSandbox", [(1, ident)])

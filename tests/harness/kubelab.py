# SPDX-License-Identifier: Apache-2.0
"""One node with a whole control plane, in namespaces of its own (podlab.py): API server, controllers, scheduler, and a
fairlead-kubelet with Debian's bridge plugin. For stories of the kubelet that need no second node and no dataplane.

    def story(k):                       # a KubeLab
        k.apply(pod("web", argv=["httpd", "-f"]))
        k.wait(lambda: k.is_ready("web"), 10, "the pod is ready")
        k.kubelet.kill(); k.kubelet.start()

    kubelab.main(story)
"""

import glob
import json
import os
import subprocess
import time

import image
import podlab
import tap
from cluster import Child, Cluster, is_ready, program

NODE, NODE_IP = "node-1", "10.99.0.1"
IMAGE = "docker.io/library/busybox:1"
CONFLIST = {"cniVersion": "1.0.0", "name": "lab", "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "dataDir": "%s/ipam"}},
    {"type": "portmap", "capabilities": {"portMappings": True}}]}


def run(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def container(name="c", argv=("sleep", "3600"), **fields):
    return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": list(argv), **fields}


def pod(name, *containers, argv=("sleep", "3600"), labels=None, **spec):
    """A Pod that ends at once when it is told to. Without containers it has one, of argv."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": list(containers) or [container(argv=argv)], **spec}}


class KubeLab(Cluster):
    """A Cluster whose node is real. In kubelet_args "{folder}" is the lab's folder."""

    def __init__(self, lab, kubelet_args=(), **more):
        super().__init__(nodes=0, **more)
        self.lab, self.kubelet_args, self.kubelet = lab, kubelet_args, None

    def start(self):
        self.furnish()
        super().start()
        run(program("fairctl"), "pki", "init", os.path.join(self.server.data, "pki"), "--server", self.server.url, "--node", NODE)
        self.kubelet = Child(self.folder, "kubelet", self.kubelet_argv(), ready=self.kubelet_ready)
        self.kubelet.start()
        self.until(self.has_image, 20)

    def has_image(self):
        """The kubelet has taken in what lay in its folder for images."""
        nodes = self.items("/api/v1/nodes")
        return any(IMAGE in i["names"] for n in nodes for i in n["status"].get("images", []))

    def furnish(self):
        """Addresses and the pod network's configuration: all in the lab's own network namespace, which has no way out."""
        run("ip", "link", "set", "lo", "up")
        run("ip", "addr", "add", f"{NODE_IP}/32", "dev", "lo")
        os.makedirs(f"{self.lab.folder}/netconf")
        with open(f"{self.lab.folder}/netconf/10-lab.conflist", "w", encoding="utf-8") as file:
            file.write(json.dumps(CONFLIST) % self.lab.folder)
        image.busybox(self.path("layout"), "1")
        image.drop(self.path("images"), IMAGE, self.path("layout"))

    def path(self, name):
        return f"{self.lab.folder}/{name}"

    def kubelet_argv(self):
        pki = os.path.join(self.server.data, "pki")
        argv = [program("fairlead-kubelet"), "--kubeconfig", f"{pki}/kubelet-{NODE}.kubeconfig", "--node-name", NODE,
                "--node-ip", NODE_IP, "--address", NODE_IP, "--client-ca-file", f"{pki}/ca.crt", "--cni-conf-dir", self.path("netconf"),
                "--cni-bin-dir", "/usr/lib/cni", "--root-dir", self.path("kubelet"), "--image-dir", self.path("images"),
                "--run-dir", self.path("run"), "--log-dir", self.path("log"), "--pod-manifest-path", self.path("manifests"),
                "--node-status-update-frequency", "1s"]
        if os.path.exists(f"{pki}/kubelet-{NODE}.crt"):
            argv += ["--tls-cert-file", f"{pki}/kubelet-{NODE}.crt", "--tls-private-key-file", f"{pki}/kubelet-{NODE}.key"]
        return [*argv, *(arg.replace("{folder}", self.lab.folder) for arg in self.kubelet_args)]

    def children(self):
        return [*super().children(), *([self.kubelet] if self.kubelet else [])]

    @staticmethod
    def kubelet_ready(_):
        return subprocess.run(["curl", "-sf", "http://127.0.0.1:10248/healthz"], capture_output=True, check=False).returncode == 0

    # -- pods --

    def apply(self, *objects, namespace="default"):
        for o in objects:
            plural = o["kind"].lower() + "s"
            answer = self.api().post(f"/api/v1/namespaces/{namespace}/{plural}", o)
            if answer.status != 201:
                raise RuntimeError(f"{o['metadata']['name']}: {answer.status} {answer.body[:500]!r}")

    def pod(self, name, namespace="default"):
        return self.get(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def is_ready(self, name):
        found = self.pod(name)
        return found is not None and is_ready(found)

    def phase(self, name):
        return (self.pod(name) or {}).get("status", {}).get("phase")

    def container_status(self, name, of="c"):
        statuses = (self.pod(name) or {}).get("status", {})
        both = statuses.get("containerStatuses", []) + statuses.get("initContainerStatuses", [])
        return next((s for s in both if s["name"] == of), None)

    def reason(self, name, of="c"):
        """Why a container waits, or ended."""
        state = (self.container_status(name, of) or {}).get("state", {})
        return next(iter(state.values()), {}).get("reason")

    def delete(self, name, namespace="default", **options):
        return self.api().delete(f"/api/v1/namespaces/{namespace}/pods/{name}", options or None)

    def events(self, name, namespace="default"):
        """(reason, message) of all Events about an object of that name."""
        return [(e["reason"], e["message"]) for e in self.items(f"/api/v1/namespaces/{namespace}/events")
                if e["involvedObject"]["name"] == name]

    def gone(self, name):
        return self.pod(name) is None

    def until(self, condition, seconds=60):
        """Waits without being a check."""
        end = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s; the pods are {[(p['metadata']['name'], p['status'].get('phase')) for p in self.pods()]}")
            time.sleep(0.05)

    # -- the node --

    def log(self, name, of="c", namespace="default"):
        """What a container has said: its newest log, without times and streams."""
        folder = next(f for f in os.listdir(self.path("log")) if f.startswith(f"{namespace}_{name}_"))
        files = sorted(os.listdir(self.path(f"log/{folder}/{of}")), key=lambda f: int(f.split(".")[0]))
        with open(self.path(f"log/{folder}/{of}/{files[-1]}"), encoding="utf-8") as file:
            return "".join(line.split(" ", 3)[3] for line in file)

    def pid(self, name, of="c"):
        """Of a container's first process, on the node."""
        wanted = self.container_status(name, of)["containerID"].rpartition("/")[2]
        with open(glob.glob(self.path(f"run/pods/*/*/{wanted}/pid"))[0], encoding="utf-8") as file:
            return int(file.read())

    def in_container(self, name, *argv, of="c"):
        done = subprocess.run(["nsenter", "-t", str(self.pid(name, of)), "-a", *argv], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def left(self):
        """What there is on the node of pods: folders, groups, mounts, network interfaces, addresses, processes."""
        found = glob.glob(self.path("run/pods/*")) + glob.glob(self.path("kubelet/pods/*")) + glob.glob(self.path("kubelet/containers/*"))
        found += glob.glob("/sys/fs/cgroup/**/kubepods/**/pod*", recursive=True)
        found += [a for a in glob.glob(self.path("ipam/lab/*")) if os.path.basename(a)[0].isdigit()]
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            found += [line.split()[4] for line in file if f"{self.lab.folder}/run/" in line or f"{self.lab.folder}/kubelet/" in line]
        found += [i for i in os.listdir("/sys/class/net") if i.startswith("veth")]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    name, _, rest = file.read().partition("(")[2].rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, parent = rest.split()[:2]
            if name == "fairlead-shim" and not (state == "Z" and parent == "1"):  # the lab's first process waits for nobody
                found.append(f"{name} {pid} {state}")
        return found


def main(story, **more):
    def inside(lab):
        with KubeLab(lab, **more) as k:
            k.wait(lambda: any(c["type"] == "Ready" and c["status"] == "True" for n in k.items("/api/v1/nodes")
                               for c in n["status"].get("conditions", [])), 10, "the node is ready")
            story(k)

    podlab.need(os.path.exists("/usr/lib/cni/bridge"), "needs containernetworking-plugins")
    podlab.main(inside, make=False)

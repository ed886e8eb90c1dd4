# SPDX-License-Identifier: Apache-2.0
"""A control plane of one's own for a test script: API server, controller manager, scheduler and hollow nodes as child
processes, in a temporary folder, on free ports of 127.0.0.1.

    with cluster.Cluster(nodes=3) as c:
        kubectl = c.kubectl()
        kubectl.run("create deployment web --image=nginx --replicas=3")
        c.wait(lambda: c.ready_pods("default") == 3, 10, "three pods are ready")
        c.manager.kill()                # kill -9
        c.manager.start()               # again, with the same arguments
        c.hollow.tell("kill hollow-1")  # a node's kubelet stops

`with Cluster(manager=False, scheduler=False)` has what is left: pods with a nodeName run on the hollow nodes. managers=2
starts two that elect a leader (c.managers; c.leader(c.managers) is the one). Arguments of the programs are added by
apiserver_args and so on: manager_args=("--controllers=replicaset,deployment",). New nodes have the taint
node.kubernetes.io/not-ready until a node controller takes it off them; untaint=True has the hollow nodes do it.

A child that ends without having been told to is an error: wait() raises at once, and so does the end of the block. When a
test breaks off, the end of each log is printed."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time

import apiserver
import kubectl as kubectl_module
import tap
from client import Client

READY_S = 20
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")
# One alone does not wait for the Lease of the one that was killed; of several, another takes over soon.
ALONE = ("--leader-elect=false",)
ELECT = ("--leader-elect-lease-duration=5s", "--leader-elect-renew-deadline=4s", "--leader-elect-retry-period=500ms")


class Child:
    """A process that can be killed and started again. Attributes: name, argv, log, process."""

    def __init__(self, folder, name, argv, ready=None):
        self.name, self.argv = name, [str(word) for word in argv]
        self.log = os.path.join(folder, f"{name}.log")
        self.process, self.wanted, self.is_ready = None, False, ready

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait=True):
        """Returns when it is ready."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wanted = True
        if wait:
            self.wait_ready()

    def wait_ready(self):
        end = time.monotonic() + READY_S
        while self.is_ready and not self.is_ready(self):
            self.check()
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not get ready")
            time.sleep(0.02)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def check(self):
        if self.wanted and not self.alive():
            raise RuntimeError(f"{self.name} has ended by itself (exit code {self.process.returncode})")

    def kill(self):
        """As a power cut would."""
        self.end(signal.SIGKILL)

    def stop(self):
        """Gracefully. Returns its exit code; -9 when it had to be killed after 10 s."""
        return self.end(signal.SIGTERM)

    def end(self, number):
        self.wanted = False
        if self.alive():
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else 0

    def freeze(self):
        """SIGSTOP: it stands still, as in a long pause or behind a partition, until thaw()."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def rss_mb(self):
        return self.memory_mb("VmRSS")

    def peak_mb(self):
        return self.memory_mb("VmHWM")

    def memory_mb(self, what):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(what + ":")) / 1024

    def cpu_s(self):
        """User and system time so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            words = file.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def log_tail(self, lines=20):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])


class ApiServer(Child):
    """What the others have, of apiserver.Server, which starts and kills it."""

    def __init__(self, server):
        super().__init__(server.tmp, "apiserver", [])
        self.server = server

    @property
    def pid(self):
        return self.server.process.pid


class Component(Child):
    """A program of which one replica leads (control/runtime): it has probes and metrics at its port."""

    def __init__(self, folder, name, argv):
        self.port = apiserver.free_port()
        super().__init__(folder, name, [*argv, f"--listen=127.0.0.1:{self.port}"], Component.is_up)

    def ask(self, path):
        """(status, text); (0, "") when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def is_up(self):
        return self.ask("/readyz")[0] == 200

    def metrics(self):
        """{'name{label="value"}': number}"""
        lines = (line.rpartition(" ") for line in self.ask("/metrics")[1].splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines if name}

    def leads(self):
        return any(value for name, value in self.metrics().items() if name.startswith("leader_election_master_status"))


class Hollow(Child):
    """fairlead-hollow; tell() gives it a command (tools/hollow/README.md)."""

    def __init__(self, folder, argv, control):
        super().__init__(folder, "hollow", argv, lambda child: child.ask_ready())
        self.control = control

    def tell(self, command):
        """Sends one command line and returns the lines of the answer; RuntimeError when it is refused."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.control)
            sock.sendall(command.encode() + b"\n")
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
        lines = answer.decode().splitlines()
        if not lines or lines[-1] != "ok":
            raise RuntimeError(f"hollow: {command}: {lines[-1] if lines else 'no answer'}")
        return lines[:-1]

    def stats(self):
        """{name: number} of what it counts."""
        return {name: int(value) for name, value in (line.split("=") for line in self.tell("stats"))}

    def ask_ready(self):
        try:
            return self.stats()["ready"] == 1
        except OSError:
            return False


class Cluster:
    """Attributes: server (apiserver.Server), apiserver (its memory and CPU), managers, schedulers, manager and scheduler (the
    first of each), hollow (None without nodes), folder."""

    def __init__(self, nodes=3, manager=True, scheduler=True, managers=1, schedulers=1, untaint=True, apiserver_args=(),
                 manager_args=(), scheduler_args=(), hollow_args=()):
        self.server = apiserver.Server(*apiserver_args)
        self.folder, self.apiserver = self.server.tmp, ApiServer(self.server)
        self.managers, self.schedulers, self.hollow = [], [], None
        self.plan = {"nodes": nodes, "managers": managers if manager else 0, "schedulers": schedulers if scheduler else 0}
        self.args = {"manager": manager_args, "scheduler": scheduler_args, "hollow": hollow_args}
        if untaint:
            self.args["hollow"] = ("--untaint", *hollow_args)
        self.kept = None

    manager = property(lambda self: self.managers[0])
    scheduler = property(lambda self: self.schedulers[0])

    # -- life --

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that __exit__ runs
        try:
            self.start()
        except BaseException:
            self.tell_logs()
            self.cleanup()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                self.check()
            elif not isinstance(error, SystemExit):
                self.tell_logs()
        except RuntimeError:
            self.tell_logs()
            raise
        finally:
            self.cleanup(error is None)

    def start(self):
        self.server.start()
        for i in range(self.plan["managers"]):
            self.managers.append(self.component("controller-manager", i, self.args["manager"]))
        for i in range(self.plan["schedulers"]):
            self.schedulers.append(self.component("scheduler", i, self.args["scheduler"]))
        if self.plan["nodes"]:
            self.hollow = self.hollow_nodes(self.plan["nodes"], self.args["hollow"])
        for child in self.children():
            child.start(wait=False)
        for child in self.children():
            child.wait_ready()

    def children(self):
        return [*self.managers, *self.schedulers, *([self.hollow] if self.hollow else [])]

    def cleanup(self, judge=False):
        if self.kept:
            self.kept.close()
        for child in self.children():
            if child.process:
                if child.alive():
                    child.thaw()
                child.end(signal.SIGTERM)
        if judge:
            self.judge_logs()
        self.server.cleanup()

    def judge_logs(self):
        """What a build with sanitizers has complained of is a failure."""
        for child in self.children():
            with open(child.log, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
            first = next((i for i, line in enumerate(lines) if SANITIZER.search(line)), None)
            if first is not None:
                tap.not_ok(f"{child.name} does not offend a sanitizer", "\n".join(lines[first:first + 30]))

    def check(self):
        """RuntimeError when a process has ended by itself."""
        for child in self.children():
            child.check()

    def tell_logs(self):
        with open(self.server.log, encoding="utf-8", errors="replace") as file:
            tap.diag("the log of the API server ended so:\n  " + "  ".join(file.readlines()[-10:]))
        for child in self.children():
            tap.diag(f"the log of {child.name} ended so:\n  " + child.log_tail().replace("\n", "\n  "))

    # -- the programs --

    def kubeconfig(self, user):
        return os.path.join(self.server.data, "pki", f"{user}.kubeconfig")

    def component(self, name, i, arguments):
        several = self.plan["managers" if name == "controller-manager" else "schedulers"] > 1
        argv = [program(f"fairlead-{name}"), f"--kubeconfig={self.kubeconfig(name)}", *(ELECT if several else ALONE), *arguments]
        return Component(self.folder, name if i == 0 else f"{name}-{i + 1}", argv)

    @staticmethod
    def leader(components):
        """The one that leads; None for now."""
        return next((c for c in components if c.alive() and c.leads()), None)

    def hollow_nodes(self, count, arguments):
        control = os.path.join(self.folder, "hollow.sock")
        return Hollow(self.folder, [program("fairlead-hollow"), "--kubeconfig", self.server.kubeconfig, "--nodes", count,
                                    "--control", control, *arguments], control)

    # -- asking --

    def api(self):
        """A kept connection of the admin's, for this thread."""
        self.kept = self.kept or Client(self.server)
        return self.kept

    def kubectl(self, wanted="PATH"):
        path = next(path for name, path in kubectl_module.programs()[0] if name == wanted)
        return kubectl_module.Kubectl(self.server, wanted, path)

    def get(self, path):
        """The object at a path; None when there is none."""
        answer = self.api().get(path)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:300]!r}")
        return answer.json()

    def items(self, path):
        return self.get(path)["items"]

    def pods(self, namespace="default", selector=""):
        query = f"?labelSelector={selector}" if selector else ""
        return self.items(f"/api/v1/namespaces/{namespace}/pods{query}")

    def ready_pods(self, namespace="default", selector=""):
        return sum(is_ready(pod) for pod in self.pods(namespace, selector))

    def wait(self, condition, seconds, what):
        """Its value as soon as it is true. A check of that name: it fails after that time, or when a process has ended."""
        end, value = time.monotonic() + seconds, None
        while time.monotonic() < end:
            self.check()
            try:
                value = condition()
            except (OSError, http.client.HTTPException):  # the API server is being started again
                value = None
            if value:
                tap.ok(True, what)
                return value
            time.sleep(0.05)
        tap.not_ok(what, f"not within {seconds} s; it is {value!r}")
        return value


def program(name):
    path = os.path.join(apiserver.BUILD, name)
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is missing: make all")
    return path


def condition(obj, kind):
    """The status of a condition of an object: "True", "False", "Unknown", or None."""
    for c in obj.get("status", {}).get("conditions", []):
        if c["type"] == kind:
            return c["status"]
    return None


def is_ready(pod):
    return condition(pod, "Ready") == "True" and "deletionTimestamp" not in pod["metadata"]

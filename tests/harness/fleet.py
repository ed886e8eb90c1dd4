# SPDX-License-Identifier: Apache-2.0
"""A cluster of `fairctl up` for a test: a control plane, nodes with agent and kubelet, and a client outside.

    with Fleet(nodes=3) as fleet:
        fleet.kubectl("create deployment web --image=web --replicas=3")
        answer = fleet.client.run("curl -s http://node-1:30080/")
        fleet.kill_node(2)

It is gone afterwards, also when the test fails or is killed: a keeper waits for the test's end. What even the keeper could
not end is swept when the next fleet starts."""

import contextlib
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import tap
from apiserver import BUILD
from lab_place import alive

FAIRCTL = os.path.join(BUILD, "fairctl")
CLUSTERS = "/var/lib/fairlead/clusters"
PREFIX = "fl-test-"
PATIENCE_S = float(os.environ.get("FL_PATIENCE_S", "20"))  # of a machine that has much else to do: only what fails takes so long
NUMBERS = itertools.count(1)
# Its input ends with the test.
KEEPER = 'cat >/dev/null; exec "$0" down --name "$1"'


def words_of(argv):
    return shlex.split(argv) if isinstance(argv, str) else list(argv)


def fairctl(*words, check=True, stdin=None, timeout_s=120):
    """(exit code, output, errors); RuntimeError when it fails, unless check=False."""
    done = subprocess.run([FAIRCTL, *words], input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=timeout_s)
    if check and done.returncode:
        raise RuntimeError(f"fairctl {' '.join(words)}: exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.returncode, done.stdout, done.stderr


def has_kubelet():
    return os.access(os.path.join(BUILD, "fairlead-kubelet"), os.X_OK)


def requirements():
    """Skips the test where no cluster can be."""
    if os.getuid() != 0:
        tap.skip_all("network namespaces and BPF need root")
    for program in ("fairctl", "fairlead-apiserver", "fairlead-controller-manager", "fairlead-scheduler", "fairlead-agent"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            tap.skip_all(f"{program} has not been built")


def sweep():
    """Takes down the clusters of tests that are no more."""
    if not os.path.isdir(CLUSTERS):
        return
    for name in os.listdir(CLUSTERS):
        pid = name.removeprefix(PREFIX).partition("-")[0]
        if name.startswith(PREFIX) and pid.isdigit() and not alive(int(pid)):
            fairctl("down", "--name", name, check=False)


def until(condition, seconds=10.0):
    """The condition's first true value, or its last one, when it did not come in so many seconds and PATIENCE_S more."""
    end = time.monotonic() + seconds + PATIENCE_S
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


class Machine:
    """A node, the control plane, the client or the fabric."""

    def __init__(self, fleet, name):
        self.fleet, self.name = fleet, name

    def argv(self, argv):
        return [FAIRCTL, "shell", "--name", self.fleet.name, self.name, "--", *words_of(argv)]

    def run(self, argv, stdin=None, check=True, timeout_s=60):
        """Output of a program there; with check=False (exit code, output, errors)."""
        done = subprocess.run(self.argv(argv), input=stdin or "", capture_output=True, text=True, check=False,
                              timeout=timeout_s)
        if not check:
            return done.returncode, done.stdout, done.stderr
        if done.returncode:
            raise RuntimeError(f"{self.name}: {argv}: exit code {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def start(self, argv, **options):
        """A Popen of `fairctl shell`, which ends with the program."""
        return subprocess.Popen(self.argv(argv), **{"stdin": subprocess.DEVNULL, **options})

    def status(self):
        return next(row for row in self.fleet.status() if row["machine"] == self.name)

    @property
    def pid(self):
        """Of its first process."""
        return self.status()["pid"]

    def program(self, name):
        """{pid (inside), starts, last} of one of its programs."""
        return next(p for p in self.status()["programs"] if p["name"] == name)

    def inside(self, path):
        """A path of the machine's own mounts, for the test."""
        return f"/proc/{self.pid}/root{path}"

    @property
    def addresses(self):
        return self.status()["addresses"].split(",")


class Fleet:
    """Attributes: name, tmp (a folder), kubeconfig."""

    def __init__(self, nodes=3, name=None, words=(), keep=False, show=False):
        """words: further flags of `fairctl up`. keep: it stays when everything went well. show: what `fairctl up` says is
        seen."""
        self.keep, self.show = keep, show
        self.name = name or f"{PREFIX}{os.getpid()}-{next(NUMBERS)}"
        self.nodes, self.words = nodes, words_of(words)
        self.folder = os.path.join(CLUSTERS, self.name)
        self.kubeconfig = os.path.join(self.folder, "kubeconfig")
        self.keeper, self.tmp, self.up_s = None, None, None

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that __exit__ runs
        sweep()
        self.tmp = tempfile.mkdtemp(prefix="fairlead-fleet.")
        self.keeper = subprocess.Popen(["sh", "-c", KEEPER, FAIRCTL, self.name], stdin=subprocess.PIPE, start_new_session=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.up()
        except BaseException:
            self.show_logs()
            self.end()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            self.show_logs()
        if os.environ.get("FL_KEEP") and error is None and sys.stdin.isatty():
            input(f"the cluster stays until you press return: KUBECONFIG={self.kubeconfig} ")
        self.end(self.keep and error is None)

    def up(self):
        start = time.monotonic()
        words = ("up", "--nodes", str(self.nodes), *self.words)
        if self.show:
            subprocess.run([FAIRCTL, *words, "--name", self.name], check=True, stdin=subprocess.DEVNULL)
        else:
            self.fairctl(*words)
        self.up_s = time.monotonic() - start

    def end(self, keep=False):
        """Takes it down; the keeper does, and is waited for."""
        if keep:
            self.keeper.kill()
        self.keeper.stdin.close()
        self.keeper.wait(60)
        subprocess.run(["rm", "-rf", "--one-file-system", self.tmp], check=False)

    # -- asking --

    def fairctl(self, *words, **options):
        """(exit code, output, errors)"""
        return fairctl(*words, "--name", self.name, **options)

    def kubectl(self, words, stdin=None, check=True, timeout_s=60):
        """Output of kubectl, as administrator, from the host; stdin may be an object. check=False: (exit code, output,
        errors)."""
        if stdin is not None and not isinstance(stdin, str):
            stdin = json.dumps(stdin)
        argv = ["kubectl", "--kubeconfig", self.kubeconfig, "--cache-dir", os.path.join(self.tmp, "cache"), *words_of(words)]
        done = subprocess.run(argv, input=stdin or "", capture_output=True, text=True, check=False, timeout=timeout_s,
                              env={**os.environ, "HOME": self.tmp})
        if not check:
            return done.returncode, done.stdout, done.stderr
        if done.returncode:
            raise RuntimeError(f"kubectl {words}: exit code {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def get(self, words):
        """The object that `kubectl get ... -o json` prints."""
        return json.loads(self.kubectl(["get", *words_of(words), "-o", "json"]))

    def apply(self, *objects):
        self.kubectl("apply --server-side --force-conflicts -f -", {"apiVersion": "v1", "kind": "List", "items": list(objects)})

    def status(self):
        """The rows of `fairctl status`."""
        return json.loads(self.fairctl("status", "-o", "json", check=False)[1])

    def machine(self, name):
        return Machine(self, name)

    def node(self, number):
        return Machine(self, f"node-{number}")

    @property
    def client(self):
        return Machine(self, "client")

    @property
    def control_plane(self):
        return Machine(self, "control-plane")

    def logs(self, component):
        return self.fairctl("logs", component)[1]

    def show_logs(self):
        """Where every program has got to, for a test that fails."""
        machines = os.path.join(self.folder, "machines")
        for machine in sorted(os.listdir(machines)) if os.path.isdir(machines) else ():
            folder = os.path.join(machines, machine, "log")
            for log in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                with open(os.path.join(folder, log), encoding="utf-8", errors="replace") as file:
                    lines = file.readlines()[-8:]
                tap.diag(f"{machine}: {log} ended so:\n  " + "  ".join(lines))

    # -- machines --

    def kill_node(self, number):
        """A power cut."""
        self.fairctl("node", "kill", f"node-{number}")

    def restart_node(self, number):
        self.fairctl("node", "restart", f"node-{number}")

    def nodes_ready(self):
        return sum(c["type"] == "Ready" and c["status"] == "True" for node in self.get("nodes")["items"]
                   for c in node.get("status", {}).get("conditions", ()))

    # -- images --

    def load_image(self, path, name=None):
        """An OCI layout or archive, into all nodes."""
        self.fairctl("image", "load", path, *([name] if name else []))


@contextlib.contextmanager
def fleets(*plans):
    """Several at once: fleets({"nodes": 3}, {"nodes": 1, "words": "--dual-stack"})."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Fleet(**plan)) for plan in plans]

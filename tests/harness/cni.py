# SPDX-License-Identifier: Apache-2.0
"""A lab for CNI plugins: a "host" and pods, each a network namespace without a way out, and a stand-in for the agent.

    with cni.Lab(plugin) as lab:            # this process is now in the host's namespace
        lab.node(["10.244.1.0/24"])
        agent = lab.agent()
        pod = lab.pod()
        answer = lab.call("ADD", pod)       # answer.code, answer.output (parsed), answer.text
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def enter(path):
    """Moves this thread into a network namespace."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(fd)


def run(*argv, check=True):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


@dataclass
class Answer:
    exit_code: int
    output: object
    text: str

    @property
    def code(self):
        """The CNI error code; 0 when it succeeded."""
        return self.output.get("code", -1) if self.exit_code and isinstance(self.output, dict) else self.exit_code

    @property
    def message(self):
        return self.output.get("msg", "") if isinstance(self.output, dict) else ""


@dataclass
class Pod:
    name: str  # of the namespace
    container: str
    ifname: str = "eth0"

    @property
    def netns(self):
        return f"/run/netns/{self.name}"


class Agent:
    """Answers like the agent; what it is asked is in asked. refuse: an error text; silent: never an answer."""

    def __init__(self, run_dir):
        self.path = os.path.join(run_dir, "agent.sock")
        self.asked, self.refuse, self.silent = [], None, False
        self.status = {"ok": True, "ready": True, "problem": ""}
        self.changed = threading.Condition()
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(128)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        try:
            self._converse(connection)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the plugin waits for no answer to a detach, and may be killed

    def _converse(self, connection):
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                asked = json.loads(line)
                with self.changed:
                    self.asked.append(asked)
                    self.changed.notify_all()
                if self.silent:
                    threading.Event().wait(5)
                answer = {"ok": True}
                if asked["op"] == "status":
                    answer = self.status
                elif asked["op"] == "attach" and self.refuse:
                    answer = {"ok": False, "error": self.refuse}
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def wait_for(self, op, ident, timeout=2.0):
        with self.changed:
            return self.changed.wait_for(lambda: {"op": op, "id": ident} in self.asked, timeout)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.path)


class Lab:
    def __init__(self, plugin, tag="cni"):
        self.plugin = plugin
        self.prefix = f"fl-{tag}-{os.getpid()}"
        self.names, self.agents, self.count = [], [], 0
        self.dir = self.run_dir = None

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        # In memory, as /run is on a real node.
        self.dir = tempfile.mkdtemp(prefix="fairlead-test.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.run_dir = os.path.join(self.dir, "run")
        os.mkdir(self.run_dir)
        try:
            host = self.netns("host")
            enter(f"/run/netns/{host}")
            run("ip", "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for agent in self.agents:
            try:
                agent.close()
            except OSError:
                pass
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def netns(self, what):
        name = f"{self.prefix}-{what}"
        run("ip", "netns", "add", name)
        self.names.append(name)
        return name

    def pod(self, container=None, ifname="eth0"):
        self.count += 1
        return Pod(self.netns(f"p{self.count}"), container or f"container{self.count}", ifname)

    def drop(self, pod):
        run("ip", "netns", "delete", pod.name)
        self.names.remove(pod.name)

    def node(self, cidrs, mtu=1450, **other):
        node = {"version": 1, "nodeName": "n1", "podCIDRs": cidrs, "mtu": mtu, "gateways": ["169.254.1.1", "fe80::1"],
                "hostAddresses": ["192.0.2.1"], **other}
        with open(os.path.join(self.run_dir, "node.json"), "w", encoding="utf-8") as file:
            json.dump(node, file)

    def agent(self):
        self.agents.append(Agent(self.run_dir))
        return self.agents[-1]

    def conf(self, version="1.0.0", **other):
        return {"cniVersion": version, "name": "fairlead", "type": "fairlead-cni", "runDir": self.run_dir, **other}

    def environment(self, verb, pod=None, **other):
        env = {"CNI_COMMAND": verb, "CNI_PATH": "/usr/lib/cni", "PATH": os.environ.get("PATH", "/usr/bin:/usr/sbin")}
        if pod:
            env.update(CNI_CONTAINERID=pod.container, CNI_NETNS=pod.netns, CNI_IFNAME=pod.ifname)
        env.update(other)
        return {key: value for key, value in env.items() if value is not None}

    def start(self, verb, pod=None, conf=None, env=None, plugin=None):
        text = conf if isinstance(conf, (str, bytes)) else json.dumps(self.conf() if conf is None else conf)
        child = subprocess.Popen([plugin or self.plugin], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=self.environment(verb, pod, **(env or {})))
        try:
            child.stdin.write(text if isinstance(text, bytes) else text.encode())
            child.stdin.close()
        except BrokenPipeError:
            pass
        child.stdin = None
        return child

    @staticmethod
    def finish(child, timeout=30):
        out, _ = child.communicate(timeout=timeout)
        text = out.decode(errors="replace")
        try:
            output = json.loads(text) if text else None
        except ValueError:
            output = None
        return Answer(child.returncode, output, text)

    def call(self, verb, pod=None, conf=None, env=None, plugin=None):
        return self.finish(self.start(verb, pod, conf, env, plugin))

    # What there is.

    def links(self, pod=None):
        where = ["-n", pod.name] if pod else []
        return {link["ifname"]: link for link in json.loads(run("ip", "-j", *where, "link", "show") or "[]")}

    def addresses(self, pod):
        found = json.loads(run("ip", "-j", "-n", pod.name, "address", "show", "dev", pod.ifname))
        return [f'{a["local"]}/{a["prefixlen"]}' for link in found for a in link.get("addr_info", [])
                if a["scope"] != "link"]

    def records(self):
        folder = os.path.join(self.run_dir, "attachments")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def record(self, pod):
        with open(os.path.join(self.run_dir, "attachments", f"{pod.container}-{pod.ifname}.json"), encoding="utf-8") as f:
            return json.load(f)

    def leases(self):
        folder = os.path.join(self.run_dir, "ipam")
        found = os.listdir(folder) if os.path.isdir(folder) else []
        return {name: os.readlink(os.path.join(folder, name)) for name in found if name != "lock"}

    def host_sides(self):
        return [name for name in self.links() if name.startswith("fl")]

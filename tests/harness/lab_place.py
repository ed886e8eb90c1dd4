# SPDX-License-Identifier: Apache-2.0
"""Places of the lab: namespaces with a cgroup, in which programs and peers (lab_peer.py) run. Every process of a lab is in
its cgroup, fairlead-lab-<pid of the test>, whose end is the end of them all: a keeper waits for the end of the test, also
of one that is killed, and ends the lab. What even the keeper could not end is swept when the next lab starts."""

import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = "fairlead-lab-"
PYTHON = ["/usr/bin/python3", "-I", "-S", "-B"]

# Its input ends with the test. cgroup.kill came with Linux 5.14.
KEEPER = """
cat >/dev/null
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -d "$1" ] || break
        echo 1 >"$1/cgroup.kill" 2>/dev/null
        find "$1" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.05
done
rm -rf --one-file-system "$2"
"""

# A place's first process: it makes the namespaces what they should be and holds them.
HOLDER = """
set -e
echo 0 >"$1/cgroup.procs"
exec unshare $2 sh -ec "$3
echo ready
exec sleep infinity"
"""

# As a node sees it: a /run, /sys and BPF file system of its own, and its cgroup as the root of all cgroups.
NODE_MOUNTS = """
umount -R -l /sys
mount -t tmpfs run /run
mount -t sysfs sys /sys
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname {name}
mkdir -p /run/netns /run/cni/net.d
"""
# The hybrid layout: v1 controllers would be beside `unified`.
HYBRID_MOUNTS = NODE_MOUNTS.replace("mount -t cgroup2 cgroup2 /sys/fs/cgroup\n", """mount -t tmpfs cgroup /sys/fs/cgroup
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
""")


def cgroup2():
    """Where cgroup v2 is on this machine; None when nowhere."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[2] == "cgroup2":
                return words[1]
    return None


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def end_cgroup(path, patience_s=40):
    """Kills what runs there and below, and removes it."""
    end = time.monotonic() + patience_s
    while os.path.isdir(path):
        with contextlib.suppress(OSError), open(path + "/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")
        for folder, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if time.monotonic() > end:
            raise TimeoutError(f"{path} cannot be removed")
        if os.path.isdir(path):
            time.sleep(0.005)


def folder_of(pid):
    return f"/tmp/{PREFIX}{pid}"


def sweep():
    """Ends the labs of tests that are no more."""
    for top in (cgroup2(), "/tmp"):
        for name in os.listdir(top):
            pid = name.removeprefix(PREFIX)
            if name.startswith(PREFIX) and pid.isdigit() and not alive(int(pid)):
                if top == "/tmp":
                    shutil.rmtree(os.path.join(top, name), ignore_errors=True)
                else:
                    end_cgroup(os.path.join(top, name))


class Peer:
    """A running lab_peer.py. peer.tcp("10.96.0.9", 80) returns its answer as a dict; peer.begin(...) one to wait for."""

    def __init__(self, process):
        self.process = process
        self.numbers = itertools.count()
        self.waiting = {}
        self.lock = threading.Lock()
        if not process.stdout.readline():
            raise RuntimeError("a peer does not start")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            self.waiting.pop(answer.pop("id")).put(answer)
        with self.lock:
            for waiting in self.waiting.values():
                waiting.put({"error": "the peer has died"})

    def begin(self, op, *arguments, **options):
        """Returns a queue that gets the answer."""
        names = {"tcp": ("to", "port"), "udp": ("to", "port"), "many": ("to", "port", "count"), "open": ("handle", "to", "port"),
                 "open_udp": ("handle", "to", "port"), "ask": ("handle",), "ask_udp": ("handle",), "close": ("handle",),
                 "load": ("handle", "to", "port", "kind"), "end_load": ("handle",), "ping": ("to",),
                 "bind": ("proto", "address", "port"), "unserve": ("proto", "port")}.get(op, ())
        number = next(self.numbers)
        answer = self.waiting[number] = queue.Queue()
        request = {"id": number, "op": op, **dict(zip(names, arguments)), **options}
        try:
            with self.lock:
                self.process.stdin.write(json.dumps(request) + "\n")
                self.process.stdin.flush()
        except OSError:
            answer.put({"error": "the peer has died"})
        return answer

    def __getattr__(self, op):
        return lambda *arguments, **options: self.begin(op, *arguments, **options).get(timeout=150)


class Place:
    """Attributes: name, cgroup, pid (who holds its namespaces)."""

    def __init__(self, lab, name, unshare="-n", setup="ip link set lo up", cgroup=None):
        self.lab, self.name = lab, name
        self.cgroup = cgroup or os.path.join(lab.cgroup, name)
        os.makedirs(self.cgroup, exist_ok=True)
        self.unshare, self.setup = unshare, setup
        self.peer_, self.processes = None, []
        self.holder = subprocess.Popen(["sh", "-c", HOLDER, "holder", self.cgroup, unshare, setup], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pid = self.holder.pid

    def ready(self):
        """Waits for the holder, which then leaves the place's cgroup: what ends the place's processes must spare it."""
        if self.holder.stdout.readline() != "ready\n":
            raise RuntimeError(f"{self.name} cannot be made: {self.holder.stderr.read()}")
        with open(os.path.join(self.lab.cgroup, "holders", "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(self.pid))
        return self

    @property
    def netns(self):
        return f"/proc/{self.pid}/ns/net"

    def entered(self, argv, cgroup=None):
        kinds = ["net", *(["mount", "uts", "ipc", "cgroup"] if "-m" in self.unshare else [])]
        enter = [f"--{kind}=/proc/{self.pid}/ns/{'mnt' if kind == 'mount' else kind}" for kind in kinds]
        return ["sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec nsenter "$@"', cgroup or self.cgroup, *enter, *argv]

    def start(self, argv, cgroup=None, **options):
        """A Popen; the process has the pid of the Popen."""
        process = subprocess.Popen(self.entered(argv, cgroup), **{"stdin": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def run(self, argv, stdin=None, check=True, timeout_s=30, cgroup=None, env=None):
        """Output of a program; with check=False (exit code, output, errors)."""
        if isinstance(argv, str):
            argv = argv.split()
        done = subprocess.run(self.entered(argv, cgroup), input=stdin or "", capture_output=True, text=True, check=False,
                              timeout=timeout_s, env={**os.environ, **env} if env else None)
        if not check:
            return done.returncode, done.stdout, done.stderr
        if done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(argv)}: exit code {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def ip(self, lines):
        """Commands of `ip`, a line each."""
        self.run(["ip", "-batch", "-"], stdin=lines)

    def start_peer(self, cgroup=None, argv=(), name=None):
        return self.start([*argv, *PYTHON, os.path.join(HERE, "lab_peer.py"), name or self.name], cgroup,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def peer(self):
        """The place's own process, for which it is a host."""
        if not self.peer_ or self.peer_.process.poll() is not None:
            self.peer_ = Peer(self.start_peer())
        return self.peer_

    def power_off(self):
        """Every process dies at once; the namespaces stay."""
        with open(self.cgroup + "/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")
        for process in self.processes:
            process.wait(5)
        self.processes.clear()


class Base:
    """The lab's cgroup and folder, and their end."""

    def __init__(self):
        sweep()
        self.cgroup = os.path.join(cgroup2(), PREFIX + str(os.getpid()))
        self.tmp = folder_of(os.getpid())
        os.makedirs(os.path.join(self.cgroup, "holders"))
        os.makedirs(self.tmp, mode=0o700)
        self.keeper = subprocess.Popen(["sh", "-c", KEEPER, "keeper", self.cgroup, self.tmp], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def end(self):
        end_cgroup(self.cgroup)
        shutil.rmtree(self.tmp, ignore_errors=True)
        self.keeper.stdin.close()
        self.keeper.wait(5)

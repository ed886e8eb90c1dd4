# SPDX-License-Identifier: Apache-2.0
"""A node without a cluster for the kubelet's runtime: mount, pid, network and cgroup namespaces of its own, groups below one
of the test's own, a busybox image, and the program that drives the runtime (tests/e2e/kubelet_runtime.c).

    podlab.main(story)      # makes the lab, runs story(lab) inside, takes all of it away; TAP comes from inside
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import tap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("FL_BUILD", os.environ.get("BUILD", "build")))
V1 = ("cpu", "memory", "pids")
LIBC = ctypes.CDLL(None, use_errno=True)


def need(condition, why):
    if not condition:
        tap.skip_all(why)


def mount(source, target, kind, options=""):
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount {kind} on {target}")


def hierarchies():
    """Where cgroups are mounted: {"unified" or a v1 controller: folder}."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            kind, _, options = right.split()[:3]
            if kind == "cgroup2":
                found["unified"] = left.split()[4]
            elif kind == "cgroup":
                found.update({c: left.split()[4] for c in options.split(",") if c in V1})
    return found


class Driver:
    """The runtime in a process that can be killed; requests by tag, many at a time."""

    def __init__(self, lab, cni_timeout_ms=0):
        self.lab, self.answers, self.changes, self.count = lab, {}, [], 0
        self.news = threading.Condition()
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "kubelet_runtime"), f"{lab.folder}/run", f"{lab.folder}/state",
             os.path.join(BUILD, "fairlead-shim"), "/usr/bin/crun", f"{lab.folder}/cni", f"{lab.folder}/plugins:/usr/lib/cni",
             str(cni_timeout_ms)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise RuntimeError("the driver did not start")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self.news:
                if "changed" in answer:
                    self.changes.append(answer["changed"])
                else:
                    self.answers[answer["tag"]] = answer
                self.news.notify_all()

    def send(self, op, **fields):
        self.count += 1
        tag = str(self.count)
        self.process.stdin.write(json.dumps({"op": op, "tag": tag, **fields}) + "\n")
        self.process.stdin.flush()
        return tag

    def wait(self, tag, seconds=30):
        with self.news:
            if not self.news.wait_for(lambda: tag in self.answers, seconds):
                raise TimeoutError(f"no answer to request {tag}")
            return self.answers.pop(tag)

    def ask(self, op, **fields):
        return self.wait(self.send(op, **fields))

    def good(self, op, **fields):
        answer = self.ask(op, **fields)
        if answer["result"]:
            raise RuntimeError(f"{op}: {answer}")
        return answer

    def pod(self, number, **fields):
        return self.good("run", **self.lab.pod(number, **fields))["id"]

    def container(self, sandbox, argv, **fields):
        return self.good("create", sandbox=sandbox, image=self.lab.image, argv=argv, **fields)["id"]

    def running(self, sandbox, argv, **fields):
        container = self.container(sandbox, argv, **fields)
        self.good("start", id=container)
        return container

    def status(self, container):
        return next((c for c in self.ask("list")["containers"] if c["id"] == container), None)

    def until(self, container, state, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = self.status(container)
            if status and status["state"] == state:
                return status
            time.sleep(0.01)
        raise TimeoutError(f"{container} is {self.status(container)}, not {state}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


class Lab:
    def __init__(self, folder):
        self.folder, self.image = folder, f"{folder}/image"
        self.mount_cgroups()
        self.make_image()
        self.network({"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "none"}]})
        self.plugin("none", """[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.88.0.2/16"}]}'; true""")

    def mount_cgroups(self):
        """The namespace's own roots, laid out as the machine's are."""
        names = hierarchies()
        mount("tmpfs", "/sys/fs/cgroup", "tmpfs")
        if len(names) == 1:
            mount("cgroup2", "/sys/fs/cgroup", "cgroup2")
        for name in names if len(names) > 1 else ():
            os.mkdir(f"/sys/fs/cgroup/{name}")
            mount(name, f"/sys/fs/cgroup/{name}", "cgroup2" if name == "unified" else "cgroup",
                  "" if name == "unified" else name)

    def make_image(self):
        for name in ("bin", "proc", "dev", "sys", "tmp", "etc", "root"):
            os.makedirs(f"{self.image}/{name}")
        shutil.copy("/bin/busybox", f"{self.image}/bin/busybox")
        for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if applet != "busybox":
                os.symlink("busybox", f"{self.image}/bin/{applet}")
        with open(f"{self.image}/etc/passwd", "w", encoding="utf-8") as file:
            file.write("root:x:0:0::/root:/bin/sh\napp:x:1234:55::/tmp:/bin/sh\n")
        with open(f"{self.image}/etc/group", "w", encoding="utf-8") as file:
            file.write("root:x:0:\nextra:x:77:app\n")

    def network(self, conf, name="10-lab.conflist"):
        """The node's CNI configuration; None: none."""
        os.makedirs(f"{self.folder}/cni", exist_ok=True)
        if conf is None:
            os.unlink(f"{self.folder}/cni/{name}")
            return
        with open(f"{self.folder}/cni/.new", "w", encoding="utf-8") as file:
            file.write(conf if isinstance(conf, str) else json.dumps(conf))
        os.rename(f"{self.folder}/cni/.new", f"{self.folder}/cni/{name}")

    def plugin(self, name, script):
        """A CNI plugin of the shell; at first there is "none", which gives each pod one address and makes nothing."""
        os.makedirs(f"{self.folder}/plugins", exist_ok=True)
        with open(f"{self.folder}/plugins/{name}", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/busybox sh\n{script}\n")
        os.chmod(f"{self.folder}/plugins/{name}", 0o755)

    def pod(self, number, **fields):
        return {"uid": f"uid-{number}", "name": f"pod-{number}", "hostname": f"pod-{number}", "logs": f"{self.folder}/log/{number}",
                "cgroup": f"kubepods/burstable/pod{number}", **fields}

    def log(self, number, path="c/0.log"):
        with open(f"{self.folder}/log/{number}/{path}", encoding="utf-8", newline="\n") as file:
            return file.read()

    sleep = staticmethod(time.sleep)

    def until(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("it did not come to be")
            time.sleep(0.01)

    @staticmethod
    def pss(name):
        """KiB of all processes of that name."""
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm, open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as maps:
                    if comm.read().strip() == name:
                        total += next(int(line.split()[1]) for line in maps if line.startswith("Pss:"))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total

    @staticmethod
    def rss(pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def settled(self, wanted, seconds=5):
        """things(), which is waited for to become as wanted: zombies of other parents and network namespaces take a moment."""
        end = time.monotonic() + seconds
        while self.things() != wanted and time.monotonic() < end:
            time.sleep(0.05)
        return self.things()

    def things(self):
        """What may be left behind, counted. Orphans that ended are waited for first, as the machine's first process does."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = len(file.readlines())
        processes = [p for p in os.listdir("/proc") if p.isdigit()]
        groups = sum("/pod" in path for path, _, _ in os.walk("/sys/fs/cgroup"))
        below = {name: sum(len(f) for _, _, f in os.walk(f"{self.folder}/{name}")) for name in ("run", "state")}
        nets = len({os.readlink(f"/proc/{p}/ns/net") for p in processes if os.path.exists(f"/proc/{p}/ns/net")})
        return {"mounts": mounts, "processes": len(processes), "groups": groups, "nets": nets, **below}


def inside(folder, story):
    try:
        story(Lab(folder))
        tap.done()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code or 0)
    except BaseException as error:  # pylint: disable=broad-except
        tap.not_ok("the story comes to its end", repr(error))
        import traceback
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)


def remove_groups(folders):
    for folder in folders:
        for path, _, _ in sorted(os.walk(folder), key=lambda w: -len(w[0])):
            for _ in range(100):
                try:
                    os.rmdir(path)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)


def main(story, make=True):
    if len(sys.argv) > 2 and sys.argv[1] == "--inside":
        inside(sys.argv[2], story)
    need(os.geteuid() == 0, "needs root")
    need(shutil.which("crun") and os.path.exists("/bin/busybox"), "needs crun and busybox-static")
    if make:
        build = os.path.relpath(BUILD, TOP)
        subprocess.run(["make", "-s", "-C", TOP, f"O={build}", f"{build}/kubelet_runtime", f"{build}/fairlead-shim", f"{build}/fairlead-cni"],
                       stdout=subprocess.DEVNULL, check=True)
    name = f"fl-podlab-{os.getpid()}"
    groups = [os.path.join(root, name) for root in hierarchies().values()]
    folder = tempfile.mkdtemp(prefix="fl-podlab-")
    for group in groups:
        os.mkdir(group)

    def enter():
        for group in groups:
            with open(f"{group}/cgroup.procs", "w", encoding="utf-8") as file:
                file.write("0")

    try:
        mount_it = f"mount -t tmpfs lab {folder} && exec \"$@\""
        argv = ["unshare", "-m", "-p", "-f", "-C", "-n", "-u", "-i", "--kill-child", "--propagation", "private", "--mount-proc",
                "sh", "-c", mount_it, "sh", sys.executable, "-B", os.path.abspath(sys.argv[0]), "--inside", folder]
        code = subprocess.run(argv, preexec_fn=enter, check=False).returncode  # pylint: disable=subprocess-popen-preexec-fn
    finally:
        remove_groups(groups)
        os.rmdir(folder)
    sys.exit(code)

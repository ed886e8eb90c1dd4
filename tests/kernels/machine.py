# SPDX-License-Identifier: Apache-2.0
"""An emulated machine that runs Debian's kernel for virtual machines: what is in its memory file system, and its run.

Nothing of it touches this machine's network: it has no network device at all. QEMU emulates the processor too (TCG), so
that neither /dev/kvm nor a processor of a certain kind is needed."""

import os
import re
import shutil
import subprocess
import time

QEMU = "qemu-system-x86_64"
MEMORY_MB, CPUS = 3072, 2
MODULES = ("veth", "vxlan", "bridge", "sch_ingress", "cls_bpf", "tun", "nf_tables")  # and what they depend on; loaded when they are asked for
PROGRAMS = ("/usr/bin/busybox", "/usr/sbin/ip", "/usr/sbin/tc", "/usr/bin/unshare", "/usr/bin/nsenter", "/usr/sbin/sysctl",
            "/usr/bin/python3", "/usr/bin/mount", "/usr/bin/umount")
PYTHON_LEFT_OUT = ("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data", "__pycache__",
                   "dist-packages", "unittest", "distutils")


class Problem(Exception):
    """Why there is no result; for people."""


class Image:
    """A root file system in a folder: `folder`/root, and what becomes of it: `folder`/initrd."""

    def __init__(self, folder, kernel):
        self.folder, self.kernel = folder, kernel
        self.root = os.path.join(folder, "root")
        shutil.rmtree(self.root, ignore_errors=True)
        for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "proc", "sys", "dev", "run", "tmp", "root", "etc", "var",
                     "src", "busybox"):
            os.makedirs(os.path.join(self.root, name))
        for name in ("bin", "sbin", "lib", "lib64"):
            os.symlink("usr/" + name, os.path.join(self.root, name))
        self.modules = {}

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def put(self, source, to):
        """A file, or a folder with all that is in it."""
        target = self.root + to
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("__pycache__", *PYTHON_LEFT_OUT))
        elif not os.path.exists(target):
            shutil.copy2(source, target)

    def program(self, source, to):
        """With the shared libraries that it needs."""
        self.put(os.path.realpath(source), to)
        told = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", told):
            self.put(path, path if path.startswith("/usr") else "/usr" + path)

    def base(self, init):
        for path in PROGRAMS:
            if not os.path.exists(path):
                raise Problem(f"{path} is missing: `tools/dev/deps.sh kernels` and `make deps` install it")
            self.program(path, path)
        self.program("/usr/bin/dash", "/usr/bin/sh")
        if shutil.which("kubectl"):
            self.program(shutil.which("kubectl"), "/usr/bin/kubectl")
        os.symlink("/busybox/modprobe", self.root + "/usr/sbin/modprobe")
        self.put(init, "/init")

    def python(self):
        """The standard library, and the shared libraries of its compiled modules."""
        folder = subprocess.run(["/usr/bin/python3", "-c", "import os; print(os.path.dirname(os.__file__))"],
                                capture_output=True, text=True, check=True).stdout.strip()
        self.put(folder, folder)
        self.put("/usr/lib/python3/dist-packages/yaml", "/usr/lib/python3/dist-packages/yaml")
        for name in sorted(os.listdir(os.path.join(folder, "lib-dynload"))):
            self.program(os.path.join(folder, "lib-dynload", name), os.path.join(folder, "lib-dynload", name))

    def kernel_modules(self):
        top = os.path.join(self.kernel.folder, "lib/modules", self.kernel.release)
        for parent, _, files in os.walk(top):
            for name in files:
                if name.endswith(".ko"):
                    self.modules[name[:-3].replace("-", "_")] = os.path.join(parent, name)
                elif parent == top:
                    self.put(os.path.join(top, name), f"/usr/lib/modules/{self.kernel.release}/{name}")
        for name in MODULES:
            self.module(name)
        subprocess.run(["busybox", "depmod", "-b", self.root, self.kernel.release], check=True)

    def module(self, name):
        path = self.modules.get(name)
        if not path:
            return  # built in
        self.put(path, "/usr/" + os.path.relpath(path, self.kernel.folder))
        with open(path, "rb") as file:
            needs = re.search(rb"\0depends=([^\0]*)\0", file.read())
        for other in needs.group(1).decode().split(",") if needs else ():
            if other:
                self.module(other.replace("-", "_"))

    def pack(self, commands):
        """commands: (name, seconds, command line of a shell)."""
        with open(self.root + "/commands", "w", encoding="utf-8") as file:
            file.writelines(f"{name}\t{seconds}\t{command}\n" for name, seconds, command in commands)
        path = os.path.join(self.folder, "initrd")
        with open(path, "wb") as file:
            names = subprocess.run(["find", "."], cwd=self.root, capture_output=True, check=True).stdout
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=self.root, input=names, stdout=file, check=True)
        return path


class Run:
    """Boots, and gives what comes on the second serial line, a line at a time. Attributes: console (a path)."""

    def __init__(self, folder, kernel, initrd, seconds):
        self.console, self.results = os.path.join(folder, "console.log"), os.path.join(folder, "results.log")
        for path in (self.console, self.results):
            with open(path, "wb"):
                pass
        self.end = time.monotonic() + seconds
        self.seconds = seconds
        self.process = subprocess.Popen(
            [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none", "-machine", "q35",
             "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(CPUS), "-m", str(MEMORY_MB),
             "-serial", "file:" + self.console, "-serial", "file:" + self.results, "-kernel", kernel.image, "-initrd", initrd,
             "-append", "console=ttyS0 panic=-1 oops=panic quiet"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def lines(self):
        """Until the machine is off; Problem when it stays on for too long."""
        with open(self.results, encoding="utf-8", errors="replace") as file:
            rest = ""
            while True:
                off = self.process.poll() is not None
                rest += file.read()
                *whole, rest = rest.split("\n")
                yield from (line.rstrip("\r") for line in whole)
                if off:
                    return
                if time.monotonic() > self.end:
                    raise Problem(f"the emulated machine was not off after {self.seconds:.0f} s")
                time.sleep(0.1)

    def stop(self):
        """Ends QEMU when it is still there; what it complained of, the first time."""
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stderr.closed:
            return ""
        return self.process.communicate()[1].strip()

    def console_tail(self, lines=40):
        with open(self.console, encoding="utf-8", errors="replace") as file:
            return [line.rstrip() for line in file.readlines()[-lines:]]

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Images from a registry on loopback to a container's root: ours (skopeo, umoci, one record), and containerd's client with the
overlayfs snapshotter, taking turns; all files are in memory. `large` has 6 layers, 9,000 files and 216 MB. CPU is of all
programs that take part but the registry. Mounts: of one lower folder, as ours are, and of as many as an image has layers."""

import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import image  # noqa: E402
import imagelab  # noqa: E402
import registry  # noqa: E402

ROUNDS_OF_ITS_OWN = True
QUICK = bool(os.environ.get("FL_QUICK"))
ROUNDS = 2 if QUICK else 7
LAYERS, FILES, SIZE = 6, 1500, 24000
CONFIG = """version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
                    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{root}/sock"
[ttrpc]
  address = "{root}/sock.ttrpc"
"""


def figure(name, values, unit, **more):
    print(json.dumps({"name": name, "value": round(statistics.median(values), 3), "unit": unit, "min": round(min(values), 3),
                      "max": round(max(values), 3), "rounds": len(values), **more}), flush=True)


def large_layers():
    """Files that compress to about half, the same in each run."""
    dice = random.Random(1)
    for n in range(LAYERS):
        yield image.layer(*(image.entry(f"l{n}/d{i % 100}/f{i}", dice.randbytes(SIZE // 2).hex().encode()) for i in range(FILES)))


def cpu_ms(pid, children):
    """User and system time of a process, or of its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    first = 13 if children else 11
    return sum(int(f) for f in fields[first:first + 2]) * 1000 / os.sysconf("SC_CLK_TCK")


class Ours:
    def __init__(self, lab, reg):
        self.driver = lab.driver(registriesConf=lab.write("plain.conf", registry.insecure(reg)))

    def pull(self, name):
        """Milliseconds and milliseconds of CPU."""
        pid = self.driver.process.pid
        before = cpu_ms(pid, True) + cpu_ms(pid, False)
        begin = time.perf_counter()
        self.driver.good("pull", reference=name)
        took = (time.perf_counter() - begin) * 1000
        return took, cpu_ms(pid, True) + cpu_ms(pid, False) - before

    def forget(self):
        self.driver.ask("collect")
        while self.driver.things()["trash"]:
            time.sleep(0.01)


class Containerd:
    def __init__(self, lab):
        self.root = lab.path("containerd")
        os.mkdir(self.root)
        config = lab.write("containerd/config.toml", CONFIG.format(root=self.root))
        self.log = open(f"{self.root}/log", "wb")
        self.process = subprocess.Popen(["containerd", "-c", config], stdout=self.log, stderr=self.log)
        while not os.path.exists(f"{self.root}/sock"):
            time.sleep(0.01)

    def ctr(self, *argv):
        subprocess.run(["ctr", "-a", f"{self.root}/sock", "images", *argv], check=True, capture_output=True)

    def pull(self, name):
        before = cpu_ms(self.process.pid, False) + cpu_ms("self", True)
        begin = time.perf_counter()
        self.ctr("pull", "--plain-http", "--snapshotter", "overlayfs", name)
        took = (time.perf_counter() - begin) * 1000
        return took, cpu_ms(self.process.pid, False) + cpu_ms("self", True) - before

    def forget(self):
        names = subprocess.run(["ctr", "-a", f"{self.root}/sock", "images", "ls", "-q"], capture_output=True, text=True, check=True)
        for name in names.stdout.split():
            self.ctr("rm", "--sync", name)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def pulls(lab, reg):
    ours, theirs = Ours(lab, reg), Containerd(lab)
    for size in ("small", "large"):
        name, times = f"{reg.address}/{size}:1", {"ours": [], "containerd": [], "again": []}
        for _ in range(ROUNDS):
            for who, one in (("ours", ours), ("containerd", theirs)):
                one.forget()
                times[who].append(one.pull(name))
            times["again"].append(ours.pull(name))
        for i, (what, unit) in enumerate((("ms", "ms"), ("cpu_ms", "ms"))):
            peers = {"containerd": f"pull_{size}_containerd_{what}"}
            figure(f"pull_{size}_{what}", [t[i] for t in times["ours"]], unit, peers=peers)
            figure(f"pull_{size}_containerd_{what}", [t[i] for t in times["containerd"]], unit)
        figure(f"pull_{size}_again_ms", [t[0] for t in times["again"]], "ms")
    figure("driver_rss_mb", [lab.rss(ours.driver) / 1024], "MB")
    theirs.end()
    mounts(lab, ours.driver.find(f"{reg.address}/large:1")["rootfs"])
    ours.driver.end()


def mounts(lab, root):
    """A mount and the first look at each of 500 files, with the files in one lower folder or spread over many."""
    libc = ctypes.CDLL(None, use_errno=True)
    target = lab.path("m/target")
    for name in ("upper", "work", "target"):
        os.makedirs(lab.path(f"m/{name}"))
    for lowers in (1, 6, 40):
        folders = [root]
        for i in range(lowers - 1):
            folders.append(lab.path(f"m/lower{lowers}-{i}/l0/d0"))
            os.makedirs(folders[-1])
        lower = ":".join(f if f == root else f.removesuffix("/l0/d0") for f in reversed(folders))
        options = f"lowerdir={lower},upperdir={lab.path('m/upper')},workdir={lab.path('m/work')}".encode()
        mounting, looking = [], []
        for _ in range(30):
            begin = time.perf_counter()
            if libc.mount(b"overlay", target.encode(), b"overlay", 0, options):
                raise OSError(ctypes.get_errno(), f"overlayfs of {lowers}")
            mounting.append((time.perf_counter() - begin) * 1e6)
            begin = time.perf_counter()
            for i in range(0, 500):
                os.stat(f"{target}/l0/d{i % 100}/f{i}")
            looking.append((time.perf_counter() - begin) * 1e6 / 500)
            libc.umount2(target.encode(), 0)
        figure(f"mount_of_{lowers}_us", mounting, "us")
        figure(f"first_stat_of_{lowers}_us", looking, "us")


def story(lab):
    with registry.Registry(lab.path("registry"), "127.0.0.24") as reg:
        image.busybox(lab.path("layout"), "small")
        image.write(lab.path("layout"), list(large_layers()), "large")
        for size in ("small", "large"):
            image.push(lab.path("layout"), size, f"{reg.address}/{size}:1", *reg.push_options())
        pulls(lab, reg)
    sys.stdout.flush()
    os._exit(0)


imagelab.main(story, registry.available)

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The lab itself: what the other tests here stand on. Nodes reach each other and nobody else, two labs do not meet, and
one that is killed leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import lab_kernel  # noqa: E402
import lab_place  # noqa: E402
import tap  # noqa: E402
from lab import CLIENT, Lab, requirements, until  # noqa: E402


def reach(lab, family):
    one, two = lab.nodes["n1"], lab.nodes["n2"]
    there = one.peer.tcp(two.ips[family], 80, get=300000, put=300000)
    tap.is_((there.get("name"), there.get("get_whole"), there.get("put_whole")), ("n2", True, True),
            f"IPv{family}: a node reaches another one")
    there = lab.client.peer.udp(two.ips[family], 80, size=4000, reply=4000)
    tap.is_((there.get("client", [0])[0], there.get("whole")), (CLIENT[family], True),
            f"IPv{family}: the client's datagrams, also in fragments, come from its own address")
    tap.is_(one.peer.tcp(two.ips[family], 81).get("error"), "ECONNREFUSED", f"IPv{family}: nobody answers on another port")
    tap.is_(lab.client.peer.ping(lab.nodes["n3"].ips[family]).get("whole"), True, f"IPv{family}: nodes answer echo requests")


def loads(lab):
    for kind in ("requests", "connections", "datagrams"):
        load = lab.client.peer.begin("load", kind, lab.nodes["n2"].ips[4], 80, kind)
        time.sleep(1)
        lab.client.peer.end_load(kind)
        total = load.get(timeout=5)
        tap.ok(total["done"] > 10 and not total["errors"] and not total.get("lost"), f"a load of {kind} goes through", total)
    load = lab.client.peer.begin("load", "cut", lab.nodes["n2"].ips[4], 80, "datagrams")
    lab.fabric.ip("link set n2 down\n")
    time.sleep(0.1)
    lab.fabric.ip("link set n2 up\n")
    time.sleep(0.1)
    lab.client.peer.end_load("cut")
    tap.ok(load.get(timeout=5)["lost"] > 0, "and what a pulled cable loses is counted")


def cgroups(lab):
    for node in lab.nodes.values():
        lines = node.run("cat /proc/self/cgroup").splitlines()
        tap.ok("0::/" in lines, f"{node.name} sees its own cgroup as the root", lines)


def witness(lab):
    with lab_kernel.in_netns(lab.client.netns):
        eye = lab_kernel.Witness()
    for to in ("10.96.0.1", "10.244.1.2", "192.168.1.1", "172.20.0.1", "198.18.7.80", lab.nodes["n1"].ips[4], lab.nodes["n1"].ips[6]):
        eye.count()
        lab.client.peer.udp(to, 9, timeout=0.05)
        tap.ok(eye.count(), f"a packet to {to} would be seen")
    eye.close()


def killed(lab):
    script = ("import sys, time; sys.path.insert(0, sys.argv[1]); from lab import Lab\n"
              "with Lab(agents=False) as lab: print(lab.cgroup, lab.tmp, flush=True); time.sleep(60)")
    child = subprocess.Popen([sys.executable, "-B", "-c", script, os.path.dirname(lab_place.__file__)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    paths = child.stdout.readline().split()
    tap.ok(len(paths) == 2 and all(map(os.path.isdir, paths)), "another lab runs beside", paths)
    child.kill()
    child.wait()
    gone = until(lambda: not any(map(os.path.exists, paths)), 5)
    tap.ok(gone, "of a lab that is killed nothing is left", [p for p in paths if os.path.exists(p)])


def swept():
    """Even its keeper was killed: the next lab ends what is left of it."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    cgroup = os.path.join(lab_place.cgroup2(), lab_place.PREFIX + str(dead.pid))
    os.makedirs(cgroup + "/n1")
    os.makedirs(lab_place.folder_of(dead.pid))
    with subprocess.Popen(["sh", "-c", 'echo 0 >"$0/cgroup.procs" && echo in && exec sleep 60', cgroup + "/n1"],
                          stdout=subprocess.PIPE) as left:
        left.stdout.readline()
        lab_place.sweep()
        code = left.wait(5)
    tap.is_((code, os.path.exists(cgroup), os.path.exists(lab_place.folder_of(dead.pid))), (-signal.SIGKILL, False, False),
            "what a killed lab has left is swept by the next one")


def main():
    requirements("fairlead-apiserver")
    swept()
    with Lab(agents=False) as lab:
        lab.nodes["n2"].peer.serve(tcp=[80], udp=[80])
        lab.story(reach, 4)
        lab.story(reach, 6)
        lab.story(loads)
        lab.story(cgroups)
        lab.story(witness)
        lab.story(killed)
        lab.check_no_way_out()
        lab.check_no_packet_filter()
    tap.done()


main()

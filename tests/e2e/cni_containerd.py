#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=180
"""Debian's containerd and runc as callers of fairlead-cni that know nothing of it: pods come and go by CRI, with host ports
and bandwidth; what fails is undone."""

import os
import shutil
import subprocess
import sys
import time

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("FL_BUILD", os.path.join(TOP, "build"))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import cni  # noqa: E402
import tap  # noqa: E402

if os.geteuid() != 0:
    tap.skip_all("containers need root")
for tool in ("containerd", "ctr", "runc", "unshare", "/bin/busybox", "/usr/lib/cni/loopback"):
    if not shutil.which(tool):
        tap.skip_all(f"{tool} is missing (make deps)")
try:
    import grpc
    import containerd
except ImportError:
    tap.skip_all("python3-grpcio is missing (make deps)")


def eventually(condition, seconds=3.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def conflist(lab):
    """As the agent writes it."""
    return {"cniVersion": "0.4.0", "cniVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"], "name": "fairlead", "plugins": [
        {"type": "fairlead-cni", "runDir": lab.run_dir,
         "capabilities": {"portMappings": True, "bandwidth": True, "ips": True, "mac": True}}]}


def inside(cri, pid, *argv):
    """Runs a command in the network namespace of a process of containerd's pid namespace."""
    root = int(subprocess.run(["pgrep", "-P", str(cri.child.pid)], capture_output=True, text=True, check=True).stdout.split()[0])
    return cni.run("nsenter", "-t", str(root), "-m", "-p", "nsenter", f"--net=/proc/{pid}/ns/net", *argv)


def nothing_left(lab, name):
    eventually(lambda: not (lab.records() or lab.leases() or lab.host_sides()))
    tap.is_((lab.records(), lab.leases(), lab.host_sides()), ([], {}, []), name)


def a_pod_comes_and_goes(lab, agent, cri):
    ident = cri.run_pod("web-1", ports=[("TCP", 80, 8080), ("UDP", 53, 0)], annotations=[
        ("kubernetes.io/ingress-bandwidth", "1M"), ("kubernetes.io/egress-bandwidth", "2M")])
    addresses, pid = cri.status(ident)
    record = lab.record(cni.Pod("", ident))
    tap.is_(addresses, record["addresses"], "CRI tells the pod's addresses, IPv4 first")
    tap.is_((record["podNamespace"], record["podName"], record["containerID"]), ("default", "web-1", ident),
            "the record says whose they are")
    tap.is_(record["portMappings"], [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}],
            "the host port is recorded, the port without one is not")
    tap.is_((record["bandwidth"]["ingressRate"], record["bandwidth"]["egressRate"]), (1000000, 2000000),
            "so are the limits of its annotations")
    tap.ok(agent.wait_for("attach", f"{ident}-eth0"), "the agent was asked")
    shown = inside(cri, pid, "ip", "-4", "-o", "address", "show", "dev", "eth0")
    tap.like(shown, rf"inet {addresses[0]}/32", "the address is in the pod")
    tap.like(inside(cri, pid, "ip", "route"), r"default via 169\.254\.1\.1 dev eth0", "and the default route")
    tap.is_(lab.host_sides(), [record["hostIfname"]], "the host side is on the host")
    cri.stop_pod(ident)
    nothing_left(lab, "stopping the pod leaves nothing")
    tap.ok(agent.wait_for("detach", f"{ident}-eth0"), "and the agent is told")
    cri.stop_pod(ident)
    cri.remove_pod(ident)
    tap.ok(True, "stopping once more and removing (DEL with an empty CNI_NETNS) is fine")


def a_failure_is_undone(lab, agent, cri):
    agent.refuse = "not today"
    try:
        cri.run_pod("web-2")
        tap.not_ok("a pod that the agent refuses does not start")
    except grpc.RpcError as error:
        tap.like(error.details(), "fairlead-agent refuses: not today", "a pod that the agent refuses says why")
    agent.refuse = None
    nothing_left(lab, "and leaves nothing")
    ident = cri.run_pod("web-2", attempt=1)
    tap.is_(len(cri.status(ident)[0]), 2, "the next attempt succeeds")
    cri.stop_pod(ident)
    cri.remove_pod(ident)
    nothing_left(lab, "and goes")


def many_pods(lab, agent, cri):
    start = time.monotonic()
    idents = [cri.run_pod(f"many-{i}") for i in range(5)]
    tap.diag(f"a sandbox: {(time.monotonic() - start) * 200:.0f} ms")
    found = [address for ident in idents for address in cri.status(ident)[0]]
    tap.is_(len(set(found)), 10, "five pods have ten addresses")
    agent.close()
    for ident in idents:
        cri.stop_pod(ident)
        cri.remove_pod(ident)
    nothing_left(lab, "they go without an agent, too")


def main():
    with cni.Lab(os.path.join(BUILD, "fairlead-cni"), "ctrd") as lab:
        lab.node(["10.244.1.0/24", "fd00:1::/64"])
        agent = lab.agent()
        with containerd.Containerd(conflist(lab), lab.plugin) as cri:
            try:
                for story in (a_pod_comes_and_goes, a_failure_is_undone, many_pods):
                    story(lab, agent, cri)
            except Exception as error:  # what containerd says about it is what one needs to see
                tap.not_ok("the story is told to its end", f"{error}\n{cri.tail()}")
    tap.done()


if __name__ == "__main__":
    main()

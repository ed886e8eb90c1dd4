#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What a runtime waits for: ADD and DEL of fairlead-cni, and of Debian's bridge + host-local, taking turns. The agent is a
stand-in that answers at once; then, by itself and on a node of a cluster, the real one. Pods are namespaces that are there
before the clock starts. /run and the peer's files are in memory, as /run is everywhere."""

import json
import os
import socket
import statistics
import sys
import time

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("FL_BUILD", os.path.join(TOP, "build"))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import cni  # noqa: E402
import lab as cluster  # noqa: E402

ROUNDS = 50
BRIDGE = "/usr/lib/cni/bridge"


def quick_agent(run_dir):
    """A process that says yes, one connection after the other. Returns its pid."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.join(run_dir, "agent.sock"))
    listening.listen(64)
    pid = os.fork()
    if pid:
        listening.close()
        return pid
    while True:
        connection, _ = listening.accept()
        try:
            if connection.recv(4096):
                connection.send(b'{"ok":true}\n')
        except OSError:
            pass
        connection.close()


def timed(lab, plugin, verb, pod, conf_path):
    """Milliseconds from the start of the program to its end."""
    out = os.path.join(lab.dir, "out")
    actions = [(os.POSIX_SPAWN_OPEN, 0, conf_path, os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
    env = lab.environment(verb, pod)
    start = time.perf_counter()
    _, status = os.waitpid(os.posix_spawn(plugin, [plugin], env, file_actions=actions), 0)
    took = (time.perf_counter() - start) * 1000
    if status:
        with open(out, encoding="utf-8") as file:
            raise SystemExit(f"{verb} of {plugin} failed: {file.read()}")
    return took


def figure(name, values):
    print(json.dumps({"name": f"{name}_ms", "value": round(statistics.median(values), 3), "unit": "ms"}), flush=True)


def write(lab, name, conf):
    path = os.path.join(lab.dir, name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(conf, file)
    return path


ON_NODE = """
import json, os, subprocess, sys, time
plugin, rounds = sys.argv[1], int(sys.argv[2])
times = {"ADD": [], "DEL": []}
for i in range(rounds):
    name = f"bench-{i}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    for verb in times:
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": name, "CNI_NETNS": "/run/netns/" + name, "CNI_IFNAME": "eth0",
               "CNI_PATH": "/usr/lib/cni"}
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/run/bench.json", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, "/run/bench.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
        start = time.perf_counter()
        _, status = os.waitpid(os.posix_spawn(plugin, [plugin], env, file_actions=actions), 0)
        times[verb].append((time.perf_counter() - start) * 1000)
        if status:
            sys.exit(open("/run/bench.out").read())
    subprocess.run(["ip", "netns", "delete", name], check=True)
    time.sleep(0.05)
print(json.dumps(times))
"""


def with_the_agent(plugin):
    with cluster.Lab(nodes=("n1",)) as lab:
        node = lab.nodes["n1"]
        with open(node.inside("/run/bench.json"), "w", encoding="utf-8") as file:
            json.dump(node.cni_config()[0], file)
        times = json.loads(node.run(["/usr/bin/python3", "-c", ON_NODE, plugin, str(ROUNDS)], timeout_s=120))
        for verb, values in times.items():
            figure(f"{verb.lower()}_with_agent", values)


def with_a_stand_in(plugin):
    with cni.Lab(plugin, "bench") as lab:
        lab.node(["10.244.1.0/24", "fd00:1::/64"])
        agent = quick_agent(lab.run_dir)
        try:
            peers = [("", plugin, write(lab, "own.json", lab.conf()))]
            if os.path.exists(BRIDGE):
                conf = {"cniVersion": "1.0.0", "name": "peer", "type": "bridge", "bridge": "br0", "isGateway": True,
                        "ipam": {"type": "host-local", "dataDir": os.path.join(lab.dir, "host-local"),
                                 "subnet": "10.245.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}
                peers.append(("bridge_", BRIDGE, write(lab, "bridge.json", conf)))
            times = {}
            for _ in range(ROUNDS):
                for name, program, conf in peers:
                    pod = lab.pod()
                    for verb in ("ADD", "DEL"):
                        times.setdefault(name + verb.lower(), []).append(timed(lab, program, verb, pod, conf))
                    lab.drop(pod)
                    time.sleep(0.05)  # until the kernel has removed what it removes later
            for name, values in times.items():
                figure(name, values)
        finally:
            os.kill(agent, 9)
            os.waitpid(agent, 0)


def main():
    plugin = os.path.join(BUILD, "fairlead-cni")
    # Each puts the process where it measures: one of them does so in a child.
    child = os.fork()
    if not child:
        with_a_stand_in(plugin)
        sys.exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("the measurement without an agent has failed")
    with_the_agent(plugin)


if __name__ == "__main__":
    main()

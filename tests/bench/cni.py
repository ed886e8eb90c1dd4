#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What a runtime waits for: ADD and DEL of fairlead-cni, and of Debian's bridge + host-local, taking turns. The agent is a
stand-in that answers at once; pods are namespaces that are there before the clock starts."""

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


def main():
    plugin = os.path.join(BUILD, "fairlead-cni")
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


if __name__ == "__main__":
    main()

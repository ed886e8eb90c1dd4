#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The API server from the outside: start-up, memory, writes, reads, lists, watches. Durable on disk, over TLS with client
certificates; the load client (build/load) shares the machine with the server. Prints name=number lines."""

import json
import os
import signal
import subprocess
import sys
import time

TOP = os.environ.get("FL_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import apiserver  # noqa: E402

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
ENDPOINTS = 10


def service():
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "svc-{n}", "namespace": "default", "labels": {"app": "app-{n}"}},
            "spec": {"selector": {"app": "app-{n}"},
                     "ports": [{"name": "http", "port": 80, "targetPort": 8080},
                               {"name": "https", "port": 443, "targetPort": 8443}]}}


def endpoint(i):
    return {"addresses": [f"10.1.2.{i + 1}"], "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": f"node-{i}", "zone": "zone-a",
            "targetRef": {"kind": "Pod", "name": f"app-6b7f9c5d8-{i:05}", "namespace": "default",
                          "uid": f"3af258fb-ae67-4d0a-a046-4e1a82e7b8{i:02}"}}


def endpoint_slice():
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "slice-{n}", "namespace": "default",
                         "labels": {"kubernetes.io/service-name": "svc-{n}", "load-sent": "{now}"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [endpoint(i) for i in range(ENDPOINTS)]}


def configmap():
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cm-{n}", "namespace": "default", "labels": {"load-sent": "{now}"}}, "data": {"a": "b"}}


def say(name, value):
    print(f"{name}={value:.6g}", flush=True)


class Bench:
    def __init__(self, server):
        self.server = server
        self.next = 0
        self.bodies = {}
        server.context()  # writes the client's certificate and key beside the data
        self.cert, self.key = (os.path.join(server.tmp, f"client-{name}.pem") for name in ("certificate", "key"))
        for name, body in (("service", service()), ("slice", endpoint_slice()), ("configmap", configmap())):
            self.bodies[name] = os.path.join(server.tmp, name + ".json")
            with open(self.bodies[name], "w", encoding="utf-8") as file:
                json.dump(body, file)

    def command(self, *arguments):
        return [os.path.join(apiserver.BUILD, "load"), "--server", f"127.0.0.1:{self.server.port}", "--cert", self.cert,
                "--key", self.key, *map(str, arguments)]

    def load(self, *arguments):
        out = subprocess.run(self.command(*arguments), check=True, capture_output=True, text=True).stdout
        result = json.loads(out.splitlines()[-1])
        if result["errors"]:
            sys.exit(f"{result['errors']} requests failed, the first with status {result['first_error']}")
        return result

    def create(self, kind, path, connections, count):
        result = self.load("--connections", connections, "--count", count, "--method", "POST", "--path", path, "--body",
                           self.bodies[kind], "--first", self.next)
        self.next += count
        return result

    def revision(self):
        return self.server.get("/api/v1/namespaces?limit=1").json()["metadata"]["resourceVersion"]

    def rss_mb(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def writes(bench):
    for kind, path in (("service", SERVICES), ("slice", SLICES)):
        for connections, count in ((1, 1500), (16, 3000), (32, 3500), (64, 2000)):
            result = bench.create(kind, path, connections, count)
            say(f"create_{kind}_per_s_{connections}", result["per_s"])
            if connections == 1:
                say(f"create_{kind}_p99_ms_1", result["p99_us"] / 1000)


def reads(bench):
    for connections in (1, 32):
        result = bench.load("--connections", connections, "--duration", 2, "--path", SERVICES + "/svc-0")
        say(f"get_per_s_{connections}", result["per_s"])
    result = bench.load("--connections", 1, "--count", 7, "--path", SLICES)
    say("list_10000_slices_ms", result["p50_us"] / 1000)
    result = bench.load("--connections", 1, "--count", 50, "--path", SLICES + "?limit=500")
    say("list_500_slices_ms", result["p50_us"] / 1000)


def watch(bench, name, kind, path, *load):
    """From the moment before a create is sent to its event's arrival, over all watchers and events."""
    result = bench.load("--watch", path + "?watch=true&resourceVersion=" + bench.revision(), "--method", "POST", "--path",
                        path, "--body", bench.bodies[kind], "--first", bench.next, *load)
    bench.next += result["requests"]
    say(f"{name}_p50_ms", result["watch_p50_us"] / 1000)
    say(f"{name}_p99_ms", result["watch_p99_us"] / 1000)


def watches(bench):
    watch(bench, "watch_1", "slice", SLICES, "--watchers", 1, "--count", 1000)
    watch(bench, "watch_1_at_200_per_s", "slice", SLICES, "--watchers", 1, "--count", 500, "--rate", 200)
    watch(bench, "watch_100", "slice", SLICES, "--watchers", 100, "--count", 200, "--rate", 50)
    watch(bench, "watch_1000", "slice", SLICES, "--watchers", 1000, "--count", 60, "--rate", 10)
    watch(bench, "watch_1000_small", "configmap", CONFIGMAPS, "--watchers", 1000, "--count", 60, "--rate", 10)


def idle_watchers(bench):
    before = bench.rss_mb()
    holder = subprocess.Popen(
        bench.command("--watchers", 5000, "--watch", "/api/v1/configmaps?watch=true&allowWatchBookmarks=true", "--hold",
                      120), stdout=subprocess.PIPE, text=True)
    try:
        line = holder.stdout.readline()
        if '"open"' not in line:
            sys.exit(f"the idle watchers did not open: {line}")
        time.sleep(1)
        say("idle_5000_watchers_mb", bench.rss_mb() - before)
    finally:
        holder.kill()
        holder.wait()


def restart(bench, name):
    bench.server.process.send_signal(signal.SIGKILL)
    bench.server.process.wait()
    start = time.monotonic()
    bench.server.start()
    say(name, time.monotonic() - start)


def main():
    with apiserver.Server() as server:
        say("restart_empty_ready_s", empty_start(server))
        bench = Bench(server)
        say("rss_idle_mb", bench.rss_mb())
        writes(bench)
        say("rss_loaded_mb", bench.rss_mb())
        restart(bench, "restart_loaded_ready_s")
        say("rss_restarted_mb", bench.rss_mb())
        reads(bench)
        watches(bench)
        idle_watchers(bench)
        restart(bench, "restart_after_all_ready_s")


def empty_start(server):
    """Ready again on a folder that has its certificates."""
    server.process.terminate()
    server.process.wait()
    start = time.monotonic()
    server.start()
    return time.monotonic() - start


if __name__ == "__main__":
    main()

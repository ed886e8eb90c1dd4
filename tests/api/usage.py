#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""metrics.k8s.io out of kubelets' /metrics/resource: rates of two looks, selectors, what is missing, and kubectl top."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from fake_kubelet import FakeKubelet  # noqa: E402
from kubectl import programs  # noqa: E402

NS = "/api/v1/namespaces/default"
API = "/apis/metrics.k8s.io/v1beta1"


def exposition(handler):
    """A quarter of a processor for main, a tenth for side, half of one for the node."""
    now = time.time()
    ms = int(now * 1000)
    lines = ["# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time", "scrape_error 0",
             f"node_cpu_usage_seconds_total {ms / 2000} {ms}", f"node_memory_working_set_bytes 1073741824 {ms}"]
    for name, share, memory in (("main", 0.25, 104857600), ("side", 0.1, 1000)):
        labels = f'{{container="{name}",namespace="default",pod="web"}}'
        lines += [f"container_cpu_usage_seconds_total{labels} {ms / 1000 * share:.6f} {ms}",
                  f"container_memory_working_set_bytes{labels} {memory:e} {ms}"]
    handler.text(200, "\n".join(lines) + "\n", Content_Type="text/plain; version=0.0.4")


def cores(text):
    return int(text.removesuffix("n")) / 1e9


def near(got, want):
    return abs(got - want) < want * 0.05


def main():
    with apiserver.Server() as server, FakeKubelet(server, "n1", "127.0.0.2") as kubelet:
        begin = time.monotonic()
        tap.is_(server.get(API + "/nodes").json()["items"], [], "a cluster without nodes uses nothing")
        tap.ok(time.monotonic() - begin < 2, "and says so at once")
        kubelet.on("/metrics/resource", exposition)
        kubelet.register()
        server.post("/api/v1/nodes", {"metadata": {"name": "silent", "labels": {"x": "y"}}})
        for name, node in (("web", "n1"), ("new", "n1"), ("free", None)):
            spec = {"containers": [{"name": "main", "image": "x"}, {"name": "side", "image": "x"}]}
            server.post(NS + "/pods", {"metadata": {"name": name, "labels": {"app": name}}, "spec": {**spec, **({"nodeName": node} if node else {})}})
        time.sleep(1.5)
        tap.is_(kubelet.seen, [], "kubelets are not asked before somebody asks, nor after nobody was there to ask")
        begin = time.monotonic()
        nodes = server.get(API + "/nodes").json()
        tap.ok(0.5 < time.monotonic() - begin < 5, "the first answer takes two looks")
        tap.is_((nodes["kind"], [n["metadata"]["name"] for n in nodes["items"]]), ("NodeMetricsList", ["n1"]),
                "nodes of which something is known")
        usage = nodes["items"][0]["usage"]
        tap.ok(near(cores(usage["cpu"]), 0.5), "a node's processors, by two looks", usage)
        tap.is_(usage["memory"], "1048576Ki", "a node's memory")
        tap.is_(kubelet.seen[-1].user, "kube-apiserver-kubelet-client", "kubelets know who asks")
        begin = time.monotonic()
        pods = server.get(f"{API}/namespaces/default/pods").json()
        tap.ok(time.monotonic() - begin < 0.3, "further answers are at hand")
        tap.is_([p["metadata"]["name"] for p in pods["items"]], ["web"], "pods of which something is known")
        web = pods["items"][0]
        tap.is_([(c["name"], c["usage"]["memory"]) for c in web["containers"]], [("main", "102400Ki"), ("side", "1Ki")],
                "their containers' memory")
        tap.ok(near(cores(web["containers"][0]["usage"]["cpu"]), 0.25) and near(cores(web["containers"][1]["usage"]["cpu"]), 0.1),
               "and processors", web["containers"])
        for query, want in (("app=web", 1), ("app=new", 0), ("app!=web", 0)):
            tap.is_(len(server.get(f"{API}/pods?labelSelector={query}").json()["items"]), want, f"labelSelector {query}")
        tap.is_(server.get(f"{API}/namespaces/default/pods/web").json()["kind"], "PodMetrics", "one pod")
        tap.is_(server.get(f"{API}/namespaces/default/pods/new").json()["message"], 'pods.metrics.k8s.io "new" not found',
                "one of which nothing is known")
        tap.is_(server.delete(f"{API}/nodes/n1").status, 405, "figures cannot be deleted")
        tap.is_({r["name"] for r in server.get(API).json()["resources"]}, {"nodes", "pods"}, "discovery")
        service = server.get("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io").json()
        tap.is_([c["type"] + c["status"] for c in service["status"]["conditions"]], ["AvailableTrue"], "the APIService is available")
        there, _ = programs()
        for name, program in there[:1] + there[-1:]:
            def top(*words, program=program):
                return subprocess.run([program, "--kubeconfig", server.kubeconfig, "top", *words], capture_output=True, text=True,
                                      check=False, env={**os.environ, "HOME": server.tmp}, timeout=30).stdout
            tap.like(top("pod", "--containers", "--no-headers"), r"^web +main +2[345]\dm +100Mi", f"kubectl ({name}) top pod --containers")
            tap.like(top("pod", "-l", "app=web"), r"^web +3[34567]\dm +100Mi", f"kubectl ({name}) top pod")
            tap.like(top("node", "n1"), r"^n1 +[45]\d\dm +.* 1024Mi", f"kubectl ({name}) top node")
        tap.is_(server.stop(), 0, "the server ends")
    tap.done()


if __name__ == "__main__":
    main()

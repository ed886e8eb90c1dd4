#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Pods on a real node, with the real API server and scheduler: their life from the first container to the last, as users
see it. All pods of a story run side by side."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubelab
import tap
from kubelab import container, pod

SHELL = ("sh", "-c")
MAX_PIDS = 300
STAY = "trap exit TERM; sleep 3600 & wait"


def sh(script, name="c", **fields):
    return container(name, (*SHELL, script), **fields)


def first_pod(k):
    begin = time.monotonic()
    k.apply(pod("first", sh("echo hello; " + STAY), terminationGracePeriodSeconds=5))
    k.wait(lambda: k.is_ready("first"), 10, "a pod gets ready")
    tap.diag(f"created to Ready, scheduler included: {(time.monotonic() - begin) * 1000:.0f} ms")
    status = k.pod("first")["status"]
    tap.is_(status["phase"], "Running", "it is Running")
    tap.ok(status["podIP"].startswith("10.88."), "it has an address of the pod network", status.get("podIP"))
    tap.is_(status["hostIP"], kubelab.NODE_IP, "and its node's")
    tap.is_({c["type"]: c["status"] for c in status["conditions"]},
            dict.fromkeys(("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"), "True"),
            "all its conditions are True")
    reasons = [r for r, _ in k.events("first")]
    tap.ok({"Scheduled", "Pulled", "Created", "Started"} <= set(reasons), "Events tell how it came to be", reasons)
    begin = time.monotonic()
    k.delete("first")
    k.wait(lambda: k.gone("first"), 5, "deleted, it is gone before its grace is over")
    tap.ok(time.monotonic() - begin < 4, "because it listens to TERM")
    tap.ok("Killing" in [r for r, _ in k.events("first")], "an Event tells that it was ended")


def phases(k):
    k.apply(pod("done", sh("exit 0"), restartPolicy="Never"),
            pod("fails", sh("echo why > /dev/termination-log; exit 3"), restartPolicy="Never"),
            pod("again", sh("test -e /v/once || { touch /v/once; exit 1; }", volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                restartPolicy="OnFailure", volumes=[{"name": "v", "emptyDir": {}}]),
            pod("crash", sh("exit 7")),
            pod("late", sh(STAY), restartPolicy="Never", activeDeadlineSeconds=1))
    k.wait(lambda: k.phase("done") == "Succeeded", 10, "a pod whose container ends well is Succeeded")
    k.wait(lambda: k.phase("fails") == "Failed", 10, "one whose container does not is Failed")
    ended = k.container_status("fails")["state"]["terminated"]
    tap.is_((ended["exitCode"], ended["reason"], ended.get("message", "").strip()), (3, "Error", "why"),
            "with its exit code, and its own words")
    k.wait(lambda: k.phase("again") == "Succeeded", 20, "restartPolicy OnFailure: the second try is a success")
    tap.is_(k.container_status("again")["restartCount"], 1, "which counts as one restart")
    k.wait(lambda: k.reason("crash") == "CrashLoopBackOff", 20, "one that ends again and again is in CrashLoopBackOff")
    tap.is_(k.container_status("crash")["lastState"]["terminated"]["exitCode"], 7, "and its last exit code can be read")
    k.wait(lambda: (k.pod("late")["status"].get("reason"), k.phase("late")) == ("DeadlineExceeded", "Failed"), 10,
           "activeDeadlineSeconds ends a pod")


def init_and_sidecars(k):
    v = [{"name": "v", "mountPath": "/v"}]
    k.apply(pod("ordered", sh("echo main >> /v/order; " + STAY, volumeMounts=v),
                initContainers=[sh("echo one >> /v/order", "one", volumeMounts=v),
                                sh("echo side >> /v/order; touch /v/up; " + STAY, "side", restartPolicy="Always", volumeMounts=v,
                                   startupProbe={"exec": {"command": ["test", "-e", "/v/up"]}, "periodSeconds": 1}),
                                sh("echo two >> /v/order", "two", volumeMounts=v)],
                volumes=[{"name": "v", "hostPath": {"path": k.path("order"), "type": "DirectoryOrCreate"}}]),
            pod("stuck", container(), initContainers=[sh("exit 1", "init")]))
    k.wait(lambda: k.is_ready("ordered"), 20, "a pod with init containers and a sidecar gets ready")
    with open(k.path("order/order"), encoding="utf-8") as file:
        tap.is_(file.read().split(), ["one", "side", "two", "main"], "they began in their order")
    tap.is_(k.reason("ordered", "one"), "Completed", "the first init container has ended")
    tap.ok(k.container_status("ordered", "side")["started"], "the sidecar runs on")
    k.wait(lambda: k.reason("stuck", "init") == "CrashLoopBackOff", 20, "an init container that fails is tried again")
    tap.is_(k.reason("stuck"), "PodInitializing", "and the others wait for it")


def probes(k):
    ready = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
    alive = {"exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 1}
    k.apply(pod("unready", sh("sleep 1.5; touch /tmp/ready; " + STAY, readinessProbe=ready)),
            pod("dies", sh("sleep 1; touch /tmp/dead; " + STAY, livenessProbe=alive)),
            pod("web", sh("mkdir /w; echo hi > /w/index.html; exec httpd -f -h /w -p 8080", ports=[{"name": "http", "containerPort": 8080}],
                          readinessProbe={"httpGet": {"port": "http"}, "periodSeconds": 1},
                          livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})),
            pod("hooked", sh(STAY, lifecycle={"postStart": {"exec": {"command": [*SHELL, "echo start > /h/start"]}},
                                              "preStop": {"exec": {"command": [*SHELL, "echo stop > /h/stop"]}}},
                             volumeMounts=[{"name": "h", "mountPath": "/h"}]),
                terminationGracePeriodSeconds=5,
                volumes=[{"name": "h", "hostPath": {"path": k.path("hooks"), "type": "DirectoryOrCreate"}}]))
    k.wait(lambda: k.phase("unready") == "Running" and not k.is_ready("unready"), 10, "it runs before it is ready")
    k.wait(lambda: k.is_ready("unready"), 10, "and is ready when its probe says so")
    k.wait(lambda: k.is_ready("web"), 10, "httpGet by a port's name and tcpSocket find their server")
    k.wait(lambda: (k.container_status("dies") or {}).get("restartCount", 0) >= 1, 15, "a container whose liveness probe fails is started anew")
    tap.ok("Unhealthy" in [r for r, _ in k.events("dies")], "an Event tells why", k.events("dies"))
    k.wait(lambda: k.is_ready("hooked"), 10, "a pod with hooks gets ready")
    k.delete("hooked", gracePeriodSeconds=5)
    k.wait(lambda: k.gone("hooked"), 10, "and ends")
    tap.ok(os.path.exists(k.path("hooks/start")) and os.path.exists(k.path("hooks/stop")), "both hooks were run")


def environment(k):
    k.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"color": "blue", "a.txt": "first"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"pass": "word"}})
    k.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"ports": [{"port": 5432}], "selector": {"a": "b"}}})
    env = [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "color"}}},
           {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "key", "key": "pass"}}},
           {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
           {"name": "BOTH", "value": "$(ME)-$(COLOR)-$$(ME)-$(NONE)"},
           {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}]
    script = "env; echo FILE=$(cat /c/a.txt); echo MODE=$(stat -L -c %a /s/pass); echo HOST=$(hostname)"
    k.apply(pod("env", sh(script, env=env, resources={"limits": {"memory": "64Mi"}},
                          volumeMounts=[{"name": "c", "mountPath": "/c"}, {"name": "s", "mountPath": "/s"}]),
                restartPolicy="Never", hostname="myhost",
                volumes=[{"name": "c", "configMap": {"name": "conf"}}, {"name": "s", "secret": {"secretName": "key", "defaultMode": 0o400}}]),
            pod("live", sh(STAY, volumeMounts=[{"name": "c", "mountPath": "/c"}]), volumes=[{"name": "c", "configMap": {"name": "conf"}}]))
    k.wait(lambda: k.phase("env") == "Succeeded", 10, "a pod with all kinds of environment runs")
    said = dict(line.split("=", 1) for line in k.log("env").splitlines() if "=" in line)
    for name, value in {"COLOR": "blue", "PASS": "word", "ME": "env", "BOTH": "env-blue-$(ME)-$(NONE)", "CPU": "64", "FILE": "first",
                        "MODE": "400", "HOST": "myhost", "DB_SERVICE_PORT": "5432", "KUBERNETES_SERVICE_PORT": "443"}.items():
        tap.is_(said.get(name), value, f"{name} is {value}")
    k.wait(lambda: k.is_ready("live"), 10, "a pod reads a ConfigMap")
    k.api().patch("/api/v1/namespaces/default/configmaps/conf", {"data": {"a.txt": "second"}}, "merge")
    k.wait(lambda: k.in_container("live", "cat", "/c/a.txt") == "second", 5, "and sees its change")


def limits(k):
    k.apply(pod("oom", sh("head -c 200m /dev/zero | tail -c 200m > /dev/null", resources={"limits": {"memory": "16Mi"}}), restartPolicy="Never"),
            pod("forks", sh("i=0; while [ $i -lt 50 ]; do sleep 100 & i=$((i+1)); done; wait", resources={"limits": {"cpu": "100m", "memory": "32Mi"}})))
    k.wait(lambda: k.reason("oom") == "OOMKilled", 15, "a container that takes more memory than it may is OOMKilled")
    tap.is_(k.pod("forks")["status"]["qosClass"], "Guaranteed", "equal limits and requests are Guaranteed")


def fork_bomb(k):
    k.apply(pod("bomb", sh("bomb() { bomb | bomb & }; bomb; sleep 3600 & wait")), pod("beside", sh(STAY)))
    k.wait(lambda: k.is_ready("beside"), 10, "beside a fork bomb another pod gets ready")
    time.sleep(0.5)
    processes = len([p for p in os.listdir("/proc") if p.isdigit()])
    tap.ok(processes < 2 * MAX_PIDS, "the bomb has no more processes than a pod may have", processes)
    k.delete("bomb", gracePeriodSeconds=0)
    k.wait(lambda: len([p for p in os.listdir("/proc") if p.isdigit()]) < MAX_PIDS, 10, "and ends when it is deleted")


def main(k):
    first_pod(k)
    for story in (phases, init_and_sidecars, probes, environment, limits, fork_bomb):
        story(k)
    names = [p["metadata"]["name"] for p in k.pods()]
    for name in names:
        k.delete(name, gracePeriodSeconds=1)
    k.wait(lambda: not k.pods(), 20, "all pods end")
    k.wait(lambda: k.left() == [], 10, "and nothing of them is left")


if __name__ == "__main__":
    kubelab.main(main, kubelet_args=("--pod-max-pids", str(MAX_PIDS)))

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""Probes of a running kubelet: all kinds of handlers, what their failures do, what people are told, and the kubelet's own restart."""

import os
import sys
import time
from concurrent import futures

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import tap  # noqa: E402
import kubelab  # noqa: E402
from kubelab import NODE_IP, container, pod  # noqa: E402

try:
    import grpc
except ImportError:
    grpc = None

STAY = "trap 'exit 0' TERM; sleep 3600 & wait"


def sh(script, **fields):
    return container(argv=["sh", "-c", script], **fields)


class Health(grpc.GenericRpcHandler if grpc else object):
    """A server of grpc.health.v1 as its library makes it, for the service "web" alone."""

    def __init__(self):
        self.status, self.agents = 2, set()

    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check":
            return None
        self.agents |= {value for key, value in details.invocation_metadata if key == "user-agent"}
        return grpc.unary_unary_rpc_method_handler(self.check)

    def check(self, request, context):
        if request != b"\n\x03web":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return bytes([8, self.status])


def serve_grpc(health):
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[health])
    port = server.add_insecure_port(f"{NODE_IP}:0")
    server.start()
    return server, port


def told(k, name, reason, words):
    return any(r == reason and words in message for r, message in k.events(name))


def last_transition(k, name):
    return next(c for c in k.pod(name)["status"]["conditions"] if c["type"] == "Ready")["lastTransitionTime"]


def readiness(k, health, port):
    quick = {"periodSeconds": 1, "failureThreshold": 1}
    web = "mkdir -p /w/cgi-bin; echo well > /w/ok; printf '#!/bin/sh\\necho Status: 302; echo Location: http://192.0.2.7/; echo\\n' > /w/cgi-bin/away; "
    k.apply(pod("exec", sh(STAY, readinessProbe={"exec": {"command": ["cat", "/tmp/ready"]}, **quick})),
            pod("http", sh(web + "chmod +x /w/cgi-bin/away; httpd -f -p 8080 -h /w & " + STAY, ports=[{"name": "web", "containerPort": 8080}],
                           readinessProbe={"httpGet": {"port": "web", "path": "/ok", "httpHeaders": [{"name": "X-A", "value": "b"}]}, **quick},
                           livenessProbe={"httpGet": {"port": 8080, "path": "/cgi-bin/away"}, "periodSeconds": 1, "initialDelaySeconds": 1})),
            pod("hangs", sh(STAY, readinessProbe={"exec": {"command": ["sleep", "60"]}, "timeoutSeconds": 1, **quick})))
    if port:
        k.apply(pod("rpc", sh(STAY, readinessProbe={"grpc": {"port": port, "service": "web"}, **quick}), hostNetwork=True))
    k.wait(lambda: k.is_ready("http"), 10, "httpGet by a port's name makes ready")
    k.wait(lambda: told(k, "exec", "Unhealthy", "Readiness probe failed: cat: can't open '/tmp/ready': No such file"), 10,
           "a command that fails is told with its words")
    tap.ok(not k.is_ready("exec"), "and makes nobody ready")
    k.in_container("exec", "touch", "/tmp/ready")
    k.wait(lambda: k.is_ready("exec"), 5, "until it succeeds")
    k.in_container("exec", "rm", "/tmp/ready")
    k.wait(lambda: not k.is_ready("exec"), 5, "and again when it does not any more")
    k.wait(lambda: told(k, "hangs", "Unhealthy", 'Readiness probe failed: command "sleep 60" timed out'), 10, "one that hangs is out of time")
    left = k.in_container("hangs", "sh", "-c", "ps | grep -c 'sleep [6]0'")
    tap.ok(int(left) <= 1, "and none of them pile up", left)
    k.wait(lambda: told(k, "http", "ProbeWarning", "Liveness probe warning: Probe terminated redirects"), 10, "a redirect elsewhere is a warning")
    tap.is_(k.container_status("http")["restartCount"], 0, "but no failure")
    if not port:
        return
    k.wait(lambda: told(k, "rpc", "Unhealthy", 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'), 10,
           "a gRPC server that does not serve is told")
    health.status = 1
    k.wait(lambda: k.is_ready("rpc"), 5, "and makes ready when it does")
    tap.ok(any(agent.startswith("kube-probe/") for agent in health.agents), "it is asked as upstream asks", health.agents)


def liveness(k):
    fail = {"periodSeconds": 1, "failureThreshold": 2, "exec": {"command": ["sh", "-c", "echo bad; exit 1"]}}
    k.apply(pod("slow", sh("sleep 2; touch /tmp/up; " + STAY, livenessProbe={**fail, "exec": {"command": ["test", "-e", "/tmp/up"]}},
                           startupProbe={"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 30})),
            pod("never", sh(STAY, startupProbe=fail), restartPolicy="Never"),
            pod("dies", sh("trap 'sleep 60' TERM; while :; do sleep 1; done", livenessProbe={**fail, "terminationGracePeriodSeconds": 1}),
                restartPolicy="Never", terminationGracePeriodSeconds=60))
    k.wait(lambda: k.phase("dies") == "Failed", 15, "liveness ends a container, within the grace of the probe")
    k.wait(lambda: told(k, "dies", "Killing", "Container c failed liveness probe"), 5, "which is told")
    k.wait(lambda: k.phase("never") == "Succeeded" or k.phase("never") == "Failed", 15, "so does startup")
    k.wait(lambda: told(k, "never", "Unhealthy", "Startup probe failed: bad"), 5, "with the words of its failure")
    k.wait(lambda: k.is_ready("slow"), 15, "a startup probe holds the others back")
    tap.is_([k.container_status("slow")["restartCount"], k.container_status("slow")["started"]], [0, True], "so that nobody is restarted")


def restart(k):
    before = last_transition(k, "http"), k.container_status("http")["containerID"]
    k.kubelet.kill()
    k.kubelet.start()
    time.sleep(2.5)
    tap.ok(k.is_ready("http"), "the kubelet's restart leaves a pod ready")
    tap.is_((last_transition(k, "http"), k.container_status("http")["containerID"]), before, "all the while")


def story(k):
    health = Health() if grpc else None
    server, port = serve_grpc(health) if grpc else (None, None)
    readiness(k, health, port)
    liveness(k)
    restart(k)
    if server:
        server.stop(None)


if __name__ == "__main__":
    kubelab.main(story)

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""What kubectl asks of a node through the API server: logs, exec, attach, cp, port-forward, run, debug; by versions of
kubectl that speak SPDY (before 1.30) and WebSocket."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubelab
import tap
from kubelab import container, pod

SHELL = ("sh", "-c")


def sh(script, name="c", **fields):
    return container(name, (*SHELL, script), **fields)


def pods(k):
    k.apply(pod("web", sh("echo one; echo two >&2; echo three; exec httpd -f -p 80")))
    k.wait(lambda: k.is_ready("web"), 10, "the pods are ready")


def logs(k, kubectl):
    kubectl.want("logs web", "one\ntwo\nthree\n")
    kubectl.want("exec web -- echo hello", "hello\n")


def story(k):
    pods(k)
    for version in sys.argv[1:] if False else ("1.27", "1.33"):
        logs(k, k.kubectl(version))


if __name__ == "__main__":
    kubelab.main(story)

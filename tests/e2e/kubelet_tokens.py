#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""What a pod gets of the API by itself (token, CA, namespace), whether that token is good for as long as the pod lives, and what
kubectl top says of it."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubelab
import tap
from kubectl import programs
from kubelab import container, pod

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount/"


def run(k, *words):
    _, program = programs()[0][-1]
    done = subprocess.run([program, "--kubeconfig", k.server.kubeconfig, *words], capture_output=True, text=True, timeout=60,
                          check=False)
    if done.returncode:
        tap.diag(done.stderr)
    return done.stdout


def review(k, token):
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    return k.api().post("/apis/authentication.k8s.io/v1/tokenreviews", body).json()["status"]


def story(k):
    k.apply(pod("busy", container(argv=("sh", "-c", "while :; do :; done"), resources={"limits": {"cpu": "200m"}})),
            pod("plain", automountServiceAccountToken=False))
    k.wait(lambda: k.is_ready("busy") and k.is_ready("plain"), 30, "pods with and without a token start")
    tap.is_(run(k, "exec", "busy", "--", "ls", FOLDER).split(), ["ca.crt", "namespace", "token"], "token, CA and namespace are there")
    tap.is_(run(k, "exec", "busy", "--", "cat", FOLDER + "namespace"), "default", "the namespace is the pod's")
    with open(os.path.join(k.server.data, "pki", "ca.crt"), encoding="utf-8") as file:
        tap.is_(run(k, "exec", "busy", "--", "cat", FOLDER + "ca.crt").strip(), file.read().strip(), "the CA is the cluster's")
    token = run(k, "exec", "busy", "--", "cat", FOLDER + "token")
    status = review(k, token)
    tap.is_((status["authenticated"], status.get("user", {}).get("username")), (True, "system:serviceaccount:default:default"),
            "the token is good")
    tap.is_(status["user"]["extra"]["authentication.kubernetes.io/pod-name"], ["busy"], "and bound to the pod")
    tap.like(run(k, "top", "pod", "--no-headers"), r"^busy +[12]\d\dm +\d+Mi", "kubectl top sees what the pod uses, at its limit")
    tap.like(run(k, "top", "node", "--no-headers"), r"^node-1 +\d+m +\d+% +\d+Mi", "and the node")
    k.delete("busy")
    k.wait(lambda: k.gone("busy"), 20, "the pod goes")
    tap.is_((review(k, token)["authenticated"]), False, "and its token is worth nothing any more")


kubelab.main(story)

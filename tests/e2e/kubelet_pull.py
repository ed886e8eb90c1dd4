#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Images as pods see them: from a registry with a password and a CA of its own, from the node's disk, and not at all. All pods
run side by side."""

import base64
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import image  # noqa: E402
import kubelab  # noqa: E402
import registry  # noqa: E402
import tap  # noqa: E402
from kubelab import container, pod  # noqa: E402

ARGS = ("--registry-certs", "{folder}/registry/ca", "--image-disk-folder", "{folder}", "--crash-backoff", "1s")


def of(name, ref, policy="IfNotPresent", **fields):
    """A pod of an image, with the image's own command."""
    only = {k: v for k, v in container(image=ref, imagePullPolicy=policy).items() if k != "command"}
    return pod(name, only, **fields)


def make_images(k, reg):
    layout = k.path("images-of-ours")
    image.busybox(layout, "app", Entrypoint=["/bin/sh", "-c"], Cmd=["id -u; pwd; echo $WORD; trap exit QUIT; sleep 3600 & wait"], User="app",
                  WorkingDir="/var", Env=["PATH=/bin", "WORD=from the image"], StopSignal="SIGQUIT")
    image.busybox(layout, "bad", Env=["=nameless"])
    for tag in ("app", "bad"):
        image.push(layout, tag, f"{reg.address}/team/{tag}:1", *reg.push_options("ann"))
    return layout


def secret(k, reg, name, password):
    auth = {"auths": {reg.address: {"username": "ann", "password": password,
                                    "auth": base64.b64encode(f"ann:{password}".encode()).decode()}}}
    k.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
             "data": {".dockerconfigjson": base64.b64encode(json.dumps(auth).encode()).decode()}})


def waiting(k, name):
    return (k.container_status(name) or {}).get("state", {}).get("waiting", {})


def failed(k, name, reasons, words, what):
    """It waits for one of these reasons, and an Event has the words."""
    k.wait(lambda: waiting(k, name).get("reason") in reasons, 20, f"{what}: {reasons[0]}")
    told = [m for _, m in k.events(name)]
    tap.ok(any(words in m for m in [*told, waiting(k, name).get("message", "")]), f"and it is said: {words}", told)


def story(k):
    with registry.Registry(k.path("registry"), "127.0.0.41", tls=True, users={"ann": "pass:word"}) as reg:
        layout = make_images(k, reg)
        secret(k, reg, "good", "pass:word")
        secret(k, reg, "wrong", "guess")
        app, keys = f"{reg.address}/team/app:1", [{"name": "wrong"}, {"name": "good"}]
        k.apply(of("private", app, imagePullSecrets=keys),
                of("closed", f"{reg.address}/team/app:2"),
                of("missing", f"{reg.address}/team/none:1", imagePullSecrets=keys),
                of("broken", f"{reg.address}/team/bad:1", imagePullSecrets=keys),
                of("away", "127.0.0.41:1/x:1"), of("never", "docker.io/library/absent:1", "Never"), of("name", "No:Name:At:All"),
                of("disk", f"oci:{layout}:app"), of("elsewhere", "oci:/etc:app"))
        k.wait(lambda: k.is_ready("private"), 20, "a pod of a private registry runs, by the second of its secrets")
        status = k.container_status("private")
        digest = status["imageID"].rpartition("@")[2]
        tap.ok(status["image"] in (app, f"{app}") and digest.startswith("sha256:") and f"{reg.address}/team/app@" in status["imageID"],
               "its status has the image's name and its digest at the registry", status)
        tap.is_(k.log("private").splitlines()[:3], ["1234", "/var", "from the image"], "user, folder, environment and command are the image's")
        told = [f"{r}: {m}" for r, m in k.events("private")]
        tap.ok(any(m.startswith(f'Pulling: Pulling image "{app}"') for m in told) and
               any(m.startswith(f'Pulled: Successfully pulled image "{app}" in ') for m in told), "Events tell of the pull", told)
        failed(k, "closed", ("ErrImagePull", "ImagePullBackOff"), "pull access denied", "without a secret")
        failed(k, "missing", ("ErrImagePull", "ImagePullBackOff"), "team/none:1: not found", "a name that is not there")
        failed(k, "broken", ("ErrImagePull", "ImagePullBackOff"), "config.Env[0]: \"NAME=value\" is expected", "a broken image")
        failed(k, "away", ("RegistryUnavailable", "ImagePullBackOff"), "no connection to the registry", "no registry")
        failed(k, "never", ("ErrImageNeverPull",), "is not present with pull policy of Never", "policy Never")
        failed(k, "name", ("InvalidImageName",), "invalid reference format", "a bad name")
        failed(k, "elsewhere", ("ErrImagePull", "ImagePullBackOff"), "--image-disk-folder", "a folder that is not for images")
        k.wait(lambda: k.is_ready("disk"), 20, "a pod of an OCI layout on the node's disk runs")
        k.wait(lambda: any(f"{reg.address}/team/app@{digest}" in i["names"] for n in k.items("/api/v1/nodes") for i in n["status"]["images"]),
               20, "the node tells what images it has")
        image.push(layout, "app", f"{reg.address}/team/none:1", *reg.push_options("ann"))
        k.wait(lambda: k.is_ready("missing"), 40, "what was missing runs once it is there")


if __name__ == "__main__":
    if not registry.available() or not image.available():
        tap.skip_all("needs skopeo, umoci and docker-registry")
    kubelab.main(story, kubelet_args=ARGS)

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""StatefulSets and DaemonSets as a user meets them: kubectl get, describe, scale, rollout status, history, undo and restart;
claims that stay; nodes that are tainted and go; a manager that is killed in the middle of a rollout."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import kubectl  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: NAME}
spec:
  replicas: 3
  serviceName: NAME
  podManagementPolicy: POLICY
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: c, image: "app:1"}]}
"""

CLAIMS = """
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""

DAEMON = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: c, image: "app:1"}]}
"""


VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-of-NAME}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /tmp/nowhere}
  claimRef: {namespace: default, name: NAME}
"""


def apply(k, text, name, policy="OrderedReady"):
    code, _, errors = k.run("apply -f -", text.replace("NAME", name).replace("POLICY", policy))
    if code:
        raise RuntimeError(errors)


def images(c, app):
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in c.pods("default", f"app={app}")}


def bind_claims(c, k):
    """What the volume controllers would do; pods of unbound claims are not scheduled."""
    for claim in c.items("/api/v1/namespaces/default/persistentvolumeclaims"):
        if claim["status"].get("phase") != "Bound":
            name, base = claim["metadata"]["name"], "/api/v1/namespaces/default/persistentvolumeclaims/"
            apply(k, VOLUME, name)
            bound = {"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
                     "spec": {"volumeName": f"volume-of-{name}"}}
            k.run(["patch", "pvc", name, "--type=merge", "-p", json.dumps(bound)])
            c.api().patch(base + name + "/status", {"status": {"phase": "Bound"}})
    return True


def every_kubectl_rolls(c, version, path):
    k = kubectl.Kubectl(c.server, version, path)
    web, log = "web" + version.replace(".", "").lower(), "log" + version.replace(".", "").lower()
    apply(k, STATEFUL, web)
    apply(k, DAEMON, log)
    k.like(f"rollout status statefulset/{web} --timeout=20s", r"partitioned roll out complete: 3 new pods|rolling update complete 3 pods")
    k.like(f"rollout status daemonset/{log} --timeout=20s", r"successfully rolled out")
    k.like(f"get statefulset {web}", rf"{web}\s+3/3")
    k.like(f"get daemonset {log}", rf"{log}\s+3\s+3\s+3\s+3\s+3\s+<none>")
    for kind, name in (("statefulset", web), ("daemonset", log)):
        k.like(f"set image {kind}/{name} c=app:2", "image updated")
        k.like(f"rollout status {kind}/{name} --timeout=20s", r"complete|successfully rolled out")
        tap.is_(set(images(c, name).values()), {"app:2"}, f"{version}: all pods of the {kind} have the new image")
        k.like(f"rollout history {kind}/{name}", r"REVISION +CHANGE-CAUSE\n1 +\S+\n2 +\S+")
        k.like(f"rollout history {kind}/{name} --revision=1", r"Image:\s+app:1")
        k.like(f"rollout undo {kind}/{name}", "rolled back")
        k.like(f"rollout status {kind}/{name} --timeout=20s", r"complete|successfully rolled out")
        tap.is_(set(images(c, name).values()), {"app:1"}, f"{version}: it is as it was")
        k.like(f"rollout history {kind}/{name}", r"REVISION +CHANGE-CAUSE\n2 +\S+\n3 +\S+")
        if version == "PATH":
            k.like(f"rollout restart {kind}/{name}", "restarted")
            k.like(f"rollout status {kind}/{name} --timeout=20s", r"complete|successfully rolled out")
        k.like(f"delete {kind} {name}", "deleted")


def a_set_grows_and_shrinks(c, k):
    apply(k, STATEFUL.rstrip() + CLAIMS, "db")
    k.like("scale statefulset db --replicas=5", "scaled")
    c.wait(lambda: bind_claims(c, k) and c.ready_pods("default", "app=db") == 5, 15,
           "it grows to five, each with its claim")
    tap.is_(sorted(images(c, "db")), [f"db-{i}" for i in range(5)], "which are called by number")
    k.like("scale statefulset db --replicas=1", "scaled")
    c.wait(lambda: list(images(c, "db")) == ["db-0"], 10, "it shrinks to the first")
    k.want("get pvc -l app=db -o name", "\n".join(f"persistentvolumeclaim/data-db-{i}" for i in range(5)))
    k.like("get pod db-0 -o jsonpath={.spec.hostname}/{.spec.subdomain}/{.metadata.labels}",
           r'db-0/db/.*"apps.kubernetes.io/pod-index":"0".*"statefulset.kubernetes.io/pod-name":"db-0"')
    c.wait(lambda: "delete Pod db-4" in k.run("describe statefulset db")[1], 5, "Events come")
    k.like("describe statefulset db",
           r"Pods Status: +1 Running / 0 Waiting / 0 Succeeded / 0 Failed.*"
           r"Normal +SuccessfulCreate +\S+ +statefulset-controller +create Claim data-db-0 Pod db-0 in StatefulSet db success\n"
           r".*create Pod db-0 in StatefulSet db successful.*delete Pod db-4 in StatefulSet db successful")
    # Without waiting: kubectl 1.32 misses an end that comes between its GET and its list when the next pod is there a millisecond later.
    uid = c.pods("default", "app=db")[0]["metadata"]["uid"]
    k.like("delete pod db-0 --wait=false", "deleted")
    c.wait(lambda: c.ready_pods("default", "app=db") == 1 and c.pods("default", "app=db")[0]["metadata"]["uid"] != uid, 10,
           "a pod that is deleted comes back under its name")


def daemons_follow_the_nodes(c, k):
    apply(k, DAEMON, "agent")
    k.run("rollout status daemonset/agent --timeout=20s")
    k.like("taint node hollow-1 dedicated=x:NoExecute", "tainted")
    k.like("cordon hollow-2", "cordoned")
    c.wait(lambda: len(images(c, "agent")) == 2, 10, "a taint drives the daemon out, a cordon does not")
    k.like("taint node hollow-1 dedicated-", "untainted")
    k.like("uncordon hollow-2", "uncordoned")
    c.wait(lambda: c.ready_pods("default", "app=agent") == 3, 10, "and it comes back")
    nodes = {pod["spec"]["nodeName"] for pod in c.pods("default", "app=agent")}
    tap.is_(nodes, {"hollow-0", "hollow-1", "hollow-2"}, "there is one on each node")
    k.like("drain hollow-0 --ignore-daemonsets --timeout=10s", "drained")
    tap.is_(c.ready_pods("default", "app=agent"), 3, "a drain leaves it")
    k.run("uncordon hollow-0")
    c.wait(lambda: "SuccessfulDelete" in k.run("describe daemonset agent")[1], 5, "Events come")
    k.like("describe daemonset agent",
           r"Desired Number of Nodes Scheduled: 3\nCurrent Number of Nodes Scheduled: 3\n"
           r"Number of Nodes Scheduled with Up-to-date Pods: 3\nNumber of Nodes Scheduled with Available Pods: 3\n"
           r"Number of Nodes Misscheduled: 0\nPods Status: +3 Running / 0 Waiting / 0 Succeeded / 0 Failed.*"
           r"Normal +SuccessfulCreate +\S+ +daemonset-controller +Created pod: agent-\w+\n.*"
           r"Normal +SuccessfulDelete +\S+ +daemonset-controller +Deleted pod: agent-\w+")


def a_manager_that_is_killed(c, k):
    apply(k, STATEFUL, "killed", "Parallel")
    apply(k, DAEMON, "killer")
    k.run("scale statefulset killed --replicas=8")
    for image in ("app:2", "app:3", "app:4"):
        k.run(f"set image statefulset/killed c={image}")
        k.run(f"set image daemonset/killer c={image}")
        time.sleep(0.1)
        c.manager.kill()
        c.manager.start()
    k.like("rollout status statefulset/killed --timeout=30s", "complete")
    k.like("rollout status daemonset/killer --timeout=30s", "successfully rolled out")
    tap.is_(images(c, "killed"), {f"killed-{i}": "app:4" for i in range(8)}, "eight pods have the newest template")
    tap.is_(sorted(images(c, "killer").values()), ["app:4"] * 3, "and so has one on each node")


def main():
    with cluster.Cluster(nodes=3) as c:
        k = c.kubectl()
        for version, path in kubectl.programs()[0]:
            run_story(every_kubectl_rolls, c, version, path)
        for story in (a_set_grows_and_shrinks, daemons_follow_the_nodes, a_manager_that_is_killed):
            run_story(story, c, k)
    tap.done()


if __name__ == "__main__":
    main()

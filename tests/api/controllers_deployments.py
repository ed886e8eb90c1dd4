#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Deployments as a user rolls them out: every kubectl on this machine drives rollout status, history, undo, pause, resume, restart and
scale; then what goes wrong: a template that never becomes ready, pods that the server refuses, a manager that is killed in the middle,
and ReplicaSets and ReplicationControllers on their own."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import kubectl  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

CONTROLLERS = "--controllers=deployment,replicaset,replicationcontroller,garbage-collector"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  progressDeadlineSeconds: {deadline}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{{annotations}}}}}
    spec: {{containers: [{{name: c, image: "app:1"}}]}}
"""


def deployment(name, replicas=3, deadline=60, annotations=""):
    return DEPLOYMENT.format(name=name, replicas=replicas, deadline=deadline, annotations=annotations)


def apply(k, text):
    k.like("apply --validate=false -f -" if k.version < (1, 27) else "apply -f -", "(created|configured)", stdin=text)


def rolled_out(k, name):
    k.like(f"rollout status deployment/{name} --timeout=20s", f'deployment "{name}" successfully rolled out$')


def every_kubectl_rolls(c, name, path):
    k = kubectl.Kubectl(c.server, name, path)
    web = "web-" + name.replace(".", "-").lower()
    apply(k, deployment(web))
    rolled_out(k, web)
    k.like(f"set image deployment/{web} c=app:2", "image updated")
    rolled_out(k, web)
    k.want(f"rollout history deployment/{web}", f"deployment.apps/{web} \nREVISION  CHANGE-CAUSE\n1  <none>\n2  <none>")
    k.like(f"rollout history deployment/{web} --revision=2", r"Image:\s+app:2")
    k.like(f"rollout undo deployment/{web}", "rolled back")
    rolled_out(k, web)
    k.want(f"rollout history deployment/{web}", f"deployment.apps/{web} \nREVISION  CHANGE-CAUSE\n2  <none>\n3  <none>")
    k.want(f"get deployment {web} -o jsonpath={{.spec.template.spec.containers[0].image}}", "app:1")
    k.like(f"rollout pause deployment/{web}", "paused")
    k.like(f"set image deployment/{web} c=app:3", "image updated")
    k.like(f"scale deployment/{web} --replicas=5", "scaled")
    c.wait(lambda: c.ready_pods("default", f"app={web}") == 5, 10, f"{name}: it scales while it is paused")
    k.want(f"get deployment {web} -o jsonpath={{.status.updatedReplicas}}", "")
    k.like(f"rollout resume deployment/{web}", "resumed")
    rolled_out(k, web)
    k.like(f"rollout restart deployment/{web}", "restarted")
    rolled_out(k, web)
    k.like(f"get deployment {web}", rf"{web}\s+5/5\s+5\s+5")
    k.like(f"delete deployment {web}", "deleted")


def describe_tells_it(c, k):
    apply(k, deployment("told"))
    rolled_out(k, "told")
    c.wait(lambda: "ScalingReplicaSet" in k.run("describe deployment told")[1], 5, "Events come")
    k.like("describe deployment told",
           r"Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable.*"
           r"Available +True +MinimumReplicasAvailable\n +Progressing +True +NewReplicaSetAvailable\n"
           r"OldReplicaSets: +<none>\nNewReplicaSet: +told-\w+ \(3/3 replicas created\).*"
           r"Normal +ScalingReplicaSet +\S+ +deployment-controller +Scaled up replica set told-\w+ from 0 to 3")


def a_template_that_never_becomes_ready(c, k):
    apply(k, deployment("slow", deadline=3))
    rolled_out(k, "slow")
    apply(k, deployment("slow", deadline=3, annotations="hollow.fairlead.dev/never-ready: 'true'"))
    code, output, errors = k.run("rollout status deployment/slow --timeout=20s")
    tap.ok(code == 1 and 'deployment "slow" exceeded its progress deadline' in errors, "the rollout is told to be late", output + errors)
    k.like("get deployment slow", r"slow\s+3/3\s+1\s+3")
    k.like("rollout undo deployment/slow", "rolled back")
    rolled_out(k, "slow")
    c.wait(lambda: len(c.pods("default", "app=slow")) == 3, 5, "the pods of the template that failed are gone")


def pods_that_are_refused(c, k):
    text = deployment("refused").replace("spec: {containers", "spec: {priorityClassName: gold, containers")
    apply(k, text)
    c.wait(lambda: cluster.condition(c.get("/apis/apps/v1/namespaces/default/deployments/refused"), "ReplicaFailure") == "True", 5,
           "a Deployment whose pods are refused says so")
    k.like(["get", "deployment", "refused", "-o", "jsonpath={.status.conditions[?(@.type=='ReplicaFailure')].message}"],
           "no PriorityClass with name gold was found")
    k.like("describe rs -l app=refused", r"Warning +FailedCreate +.*replicaset-controller +Error creating: pods \"refused-")
    k.run("create priorityclass gold --value=7")
    rolled_out(k, "refused")


def a_manager_that_is_killed(c, k):
    apply(k, deployment("killed", replicas=12))
    rolled_out(k, "killed")
    for image in ("app:2", "app:3", "app:4"):
        k.run(f"set image deployment/killed c={image}")
        time.sleep(0.05)
        c.manager.kill()
        c.manager.start()
    rolled_out(k, "killed")
    tap.is_(len(c.pods("default", "app=killed")), 12, "there are as many pods as there should be")
    tap.is_({p["spec"]["containers"][0]["image"] for p in c.pods("default", "app=killed")}, {"app:4"}, "of the newest template")


SET = """
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: alone}
spec:
  replicas: 2
  selector: {matchLabels: {app: alone}}
  template: {metadata: {labels: {app: alone}}, spec: {containers: [{name: c, image: i}]}}
"""
OLD = """
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 2
  template: {metadata: {labels: {app: old}}, spec: {containers: [{name: c, image: i}]}}
"""


def sets_on_their_own(c, k):
    k.run("run found --image=i --labels=app=alone")
    apply(k, SET)
    c.wait(lambda: c.ready_pods("default", "app=alone") == 2, 10, "a pod is made beside the one that is adopted")
    k.want("get pod found -o jsonpath={.metadata.ownerReferences[0].name}", "alone")
    k.run("label pod found app=debug --overwrite")
    c.wait(lambda: c.ready_pods("default", "app=alone") == 2, 10, "one whose label changes is replaced")
    k.want("get pod found -o jsonpath={.metadata.ownerReferences}", "")
    k.run("delete rs alone --cascade=orphan")
    c.wait(lambda: not any("ownerReferences" in p["metadata"] for p in c.pods("default", "app=alone")), 5, "its pods outlive it as orphans")
    apply(k, OLD)
    c.wait(lambda: c.ready_pods("default", "app=old") == 2, 10, "a ReplicationController has its pods")
    k.like("describe rc old", r"Normal +SuccessfulCreate +\S+ +replication-controller +Created pod: old-")
    k.like("scale rc old --replicas=1", "scaled")
    c.wait(lambda: len(c.pods("default", "app=old")) == 1, 10, "and gives them back")


def main():
    with cluster.Cluster(nodes=3, manager_args=(CONTROLLERS,)) as c:
        k = c.kubectl()
        for name, path in kubectl.programs()[0]:
            run_story(every_kubectl_rolls, c, name, path)
        for story in (describe_tells_it, a_template_that_never_becomes_ready, pods_that_are_refused, a_manager_that_is_killed,
                      sets_on_their_own):
            run_story(story, c, k)
    tap.done()


if __name__ == "__main__":
    main()

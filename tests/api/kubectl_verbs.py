#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=600
"""Every verb of kubectl that needs no kubelet, by each kubectl of this machine, against a server of its own each."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import kubectl as kubectl_  # noqa: E402
import tap  # noqa: E402
from client import Client, eventually, pod, run_story  # noqa: E402

NS = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"

WEB = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1
        ports: [{containerPort: 80}]
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
      - {name: side, image: "busybox:1"}
"""
SITE = """apiVersion: v1
kind: ConfigMap
metadata: {name: site}
data: {region: %s}
"""


def reading(k, c):
    k.like("get ns", r"^NAME  STATUS  AGE\ndefault  Active  AGE\nkube-node-lease  Active  AGE\n")
    k.want("get ns -o name", "namespace/default\nnamespace/kube-node-lease\nnamespace/kube-public\nnamespace/kube-system")
    k.like("get ns default -o yaml", r"^apiVersion: v1\nkind: Namespace\nmetadata:\n  creationTimestamp: .*phase: Active$")
    k.like("get ns -o json", r'"kind": "List"')
    k.want("get svc kubernetes -o jsonpath={.spec.clusterIP}", "10.96.0.1")
    k.want("get svc", f"NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE\nkubernetes  ClusterIP  10.96.0.1  <none>  443/TCP  AGE")
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        c.post(NS + "/pods", {**pod(name), "metadata": {"name": name, "labels": {"app": app}}})
    k.want("get pods", "NAME  READY  STATUS  RESTARTS  AGE\na  0/1  Pending  0  AGE\nb  0/1  Pending  0  AGE\nc  0/1  Pending  0  AGE")
    k.like("get pods -o wide", r"^NAME  READY  STATUS  RESTARTS  AGE  IP  NODE  NOMINATED NODE  READINESS GATES\n"
                               r"a  0/1  Pending  0  AGE  <none>  <none>  <none>  <none>\n")
    k.want("get pods -l app=x -o name", "pod/a\npod/c")
    k.want(["get", "pods", "-l", "app notin (x)", "-o", "name"], "pod/b")
    k.want("get pods --field-selector metadata.name!=a,status.phase=Pending -o name", "pod/b\npod/c")
    k.want("get pods --sort-by=.metadata.name -o custom-columns=N:.metadata.name,I:.spec.containers[*].image --no-headers",
           "a  nginx\nb  nginx\nc  nginx")
    k.like("get pods -A", r"^NAMESPACE  NAME  READY  STATUS  RESTARTS  AGE\ndefault  a  0/1  Pending  0  AGE")
    k.want("get pods -A -o name", "pod/a\npod/b\npod/c")
    k.like("get pods a b --show-labels", r"LABELS\na  .*app=x\nb  .*app=y")
    k.like("get pods -L app", r"AGE  APP\na .*  x\nb .*  y\n")
    k.fails("get pods nosuch", r'Error from server \(NotFound\): pods "nosuch" not found')
    k.fails("get nosuch", r'the server doesn\'t have a resource type "nosuch"')
    k.like("get pods,svc", r"pod/a .*service/kubernetes ")
    k.want("get --raw /readyz", "ok")
    k.like("get --raw /version", '"gitVersion"')
    k.like("get all", r"^NAME  READY.*pod/a .*\n\nNAME  TYPE.*service/kubernetes ")
    k.like("get pods --chunk-size=1", "a .*b .*c ")
    watching = k.start("get pods -w --request-timeout=3s")
    time.sleep(0.8)
    c.patch(NS + "/pods/a/status", {"status": {"phase": "Running", "containerStatuses": [
        {"name": "c", "ready": True, "started": True, "restartCount": 3, "image": "nginx", "imageID": "x",
         "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}})
    time.sleep(0.5)
    c.delete(NS + "/pods/c")
    output, _ = watching.communicate(timeout=20)
    tap.like(kubectl_.normalise(output), r"c  0/1  Pending  0  AGE\na  1/1  Running  3  AGE\nc  0/1  Pending  0  AGE",
             k.title("get pods -w"))


def creating(k, c):
    k.want("create -f -", "deployment.apps/web created", WEB)
    k.fails("create -f -", r'Error from server \(AlreadyExists\).*deployments.apps "web" already exists', WEB)
    k.want("create -f -", "configmap/j created", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"a":"b"}}')
    k.fails("create -f -", r'unknown field "(spec\.)?replicsa"|unknown field "replicsa"', WEB.replace("replicas", "replicsa").replace("name: web\n", "name: wrong\n"))
    k.want("create ns team", "namespace/team created")
    k.want("create deployment made --image=nginx --replicas=2", "deployment.apps/made created")
    k.want("create configmap cm --from-literal=a=1 --from-literal=b=2", "configmap/cm created")
    k.want("get cm cm -o jsonpath={.data}", '{"a":"1","b":"2"}')
    k.want("create secret generic sec --from-literal=p=w", "secret/sec created")
    k.want("get secret sec", "NAME  TYPE  DATA  AGE\nsec  Opaque  1  AGE")
    k.want("create service clusterip svc --tcp=80:8080", "service/svc created")
    k.want("create service nodeport np --tcp=80:8080 --node-port=30123", "service/np created")
    k.like("get svc np", r"NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT\(S\)  AGE\nnp  NodePort  10\.96\.\d+\.\d+  <none>  80:30123/TCP  AGE")
    k.want("create service externalname ext --external-name=db.example.com", "service/ext created")
    k.want("create sa bot", "serviceaccount/bot created")
    k.want("create job once --image=busybox -- true", "job.batch/once created")
    if k.version >= (1, 21):  # before, it created batch/v1beta1, which is gone
        k.want("create cronjob tick --image=busybox --schedule='*/5 * * * *' -- true", "cronjob.batch/tick created")
        k.want("create job now --from=cronjob/tick", "job.batch/now created")
        k.like("get cronjob tick", r"^NAME  SCHEDULE .*\ntick  \*/5 \* \* \* \* ")
    k.want("create role reader --verb=get --verb=list --resource=pods", "role.rbac.authorization.k8s.io/reader created")
    k.want("create rolebinding rb --role=reader --serviceaccount=default:bot", "rolebinding.rbac.authorization.k8s.io/rb created")
    k.want("create clusterrole cr --verb=get --resource=nodes", "clusterrole.rbac.authorization.k8s.io/cr created")
    k.want("create clusterrolebinding crb --clusterrole=cr --user=eve", "clusterrolebinding.rbac.authorization.k8s.io/crb created")
    k.like("get rolebinding rb", r"^NAME  ROLE  AGE\nrb  Role/reader  AGE$")
    k.want("create quota q --hard=pods=100", "resourcequota/q created")
    if k.version >= (1, 21):  # before, it created policy/v1beta1, which is gone
        k.want("create pdb guard --selector=app=web --min-available=1", "poddisruptionbudget.policy/guard created")
    k.want("create priorityclass high --value=1000 --description=d", "priorityclass.scheduling.k8s.io/high created")
    k.want("create ingress ing --rule=foo.com/*=svc:80", "ingress.networking.k8s.io/ing created")
    k.like("get ing ing", r"^NAME  CLASS  HOSTS  ADDRESS  PORTS  AGE\ning  <none>  foo.com  \s*80  AGE$")
    dry = " (server dry run)"
    k.want("create deployment dry --image=x --dry-run=server", "deployment.apps/dry created" + dry)
    k.fails("get deployment dry", "NotFound")
    k.want("run r --image=nginx --dry-run=server", "pod/r created" + dry)
    k.fails("get pod r", "NotFound")
    k.want("run r --image=nginx --labels=app=r", "pod/r created")
    k.want("get deployment", "NAME  READY  UP-TO-DATE  AVAILABLE  AGE\nmade  0/2  0  0  AGE\nweb  0/2  0  0  AGE")
    k.want("get deployment made -o wide", "NAME  READY  UP-TO-DATE  AVAILABLE  AGE  CONTAINERS  IMAGES  SELECTOR\n"
           "made  0/2  0  0  AGE  nginx  nginx  app=made")


def applying(k, c):
    k.want("apply -f -", "configmap/site created", SITE % "north")
    k.want("apply -f -", "configmap/site unchanged", SITE % "north")
    k.want("apply -f -", "configmap/site configured", SITE % "south")
    k.want("apply -f -", "deployment.apps/app created", WEB.replace("web", "app"))
    fewer = WEB.replace("web", "app").replace(', {name: B, value: "2"}', "").replace('      - {name: side, image: "busybox:1"}\n', "")
    code, output, _ = k.run("diff -f -", fewer)
    tap.ok(code == 1 and re.search(r"^-\s+- name: B", output, re.M), k.title("diff -f -"), output)
    k.want("apply -f -", "deployment.apps/app configured", fewer)
    k.want("get deployment app -o jsonpath={.spec.template.spec.containers[*].name}:{.spec.template.spec.containers[0].env[*].name}",
           "app:A")
    k.want("apply -f - --dry-run=server", "deployment.apps/app configured (server dry run)", WEB.replace("web", "app"))
    k.want("apply -f - --prune -l prune=yes --prune-whitelist=core/v1/ConfigMap" if k.version < (1, 26) else
           "apply -f - --prune -l prune=yes --prune-allowlist=core/v1/ConfigMap", "configmap/p1 created\nconfigmap/p2 created",
           "".join(f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {n}, labels: {{prune: 'yes'}}}}\n" for n in ("p1", "p2")))
    k.like("apply -f - --prune -l prune=yes --prune-whitelist=core/v1/ConfigMap" if k.version < (1, 26) else
           "apply -f - --prune -l prune=yes --prune-allowlist=core/v1/ConfigMap", "^configmap/p1 unchanged\nconfigmap/p2 pruned",
           "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: p1, labels: {prune: 'yes'}}\n")
    ssa = SITE.replace("site", "ssa")
    done = "serverside-applied"
    k.want("apply --server-side --field-manager=ops -f -", f"configmap/ssa {done}", ssa % "north")
    k.fails("apply --server-side --field-manager=dev -f -", r'Apply failed with 1 conflict: conflict with "ops"(.*): .data.region',
            ssa % "south")
    k.want("apply --server-side --field-manager=dev --force-conflicts -f -", f"configmap/ssa {done}", ssa % "south")
    k.want("get cm ssa -o jsonpath={.data.region}", "south")
    k.want("apply --server-side -f - --force-conflicts", f"configmap/site {done}", SITE % "west")
    k.want("get cm site -o jsonpath={.data.region}", "west")
    k.like("get cm ssa -o yaml" + (" --show-managed-fields" if k.version >= (1, 21) else ""), "manager: dev\n    operation: Apply")
    k.like("apply view-last-applied cm/p1", "kind: ConfigMap")


def changing(k, c):
    k.want("edit cm cm", "configmap/cm edited", EDITOR="sed -i s/'b: \"2\"'/'b: \"3\"'/")
    k.want("get cm cm -o jsonpath={.data.b}", "3")
    k.want("""patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox:2"}]}}}}'""",
           "deployment.apps/web patched")
    k.want("get deployment web -o jsonpath={.spec.template.spec.containers[*].image}", "nginx:1 busybox:2")
    k.want("""patch cm cm --type=merge -p '{"data":{"a":null,"z":"9"}}'""", "configmap/cm patched")
    k.want("""patch cm cm --type=json -p '[{"op":"replace","path":"/data/z","value":"8"}]'""", "configmap/cm patched")
    k.want("get cm cm -o jsonpath={.data}", '{"b":"3","z":"8"}')
    k.fails("""patch cm cm --type=json -p '[{"op":"test","path":"/data/z","value":"1"}]'""", "(?i)the request is invalid" if k.version < (1, 27) else "(?i)the request is invalid: .*(test|rejected)")
    k.want("""patch cm cm -p '{}'""", "configmap/cm patched (no change)")
    k.want("set image deployment/web web=nginx:3", "deployment.apps/web image updated")
    k.want("set env deployment/web C=3", "deployment.apps/web env updated")
    k.want("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}:{.spec.template.spec.containers[0].env[*].name}",
           "nginx:3:A B C")
    k.want("set resources deployment/web -c web --limits=cpu=200m", "deployment.apps/web resource requirements updated")
    k.want("label cm cm tier=web", "configmap/cm labeled")
    k.fails("label cm cm tier=db", "--overwrite is false")
    k.want("label cm cm tier=db --overwrite", "configmap/cm labeled")
    k.want("label cm cm tier-", "configmap/cm unlabeled" if k.version >= (1, 23) else "configmap/cm labeled")
    k.like("annotate cm cm note=x", "^configmap/cm annotated?$")  # 1.27 has no d
    k.want("get cm cm -o jsonpath={.metadata.annotations.note}:{.metadata.labels}", "x:")
    k.want("replace -f -", "configmap/j replaced", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"c":"d"}}')
    k.want("get cm j -o jsonpath={.data}", '{"c":"d"}')
    k.want("replace --force -f -", 'configmap "j" deleted\nconfigmap/j replaced',
           '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"e":"f"}}')
    if k.version >= (1, 24):
        k.want("""patch deployment web --subresource=status --type=merge -p '{"status":{"replicas":1}}'""", "deployment.apps/web patched")
        k.want("get deployment web --subresource=status -o jsonpath={.status.replicas}", "1")


def scaling(k, c):
    k.want("scale deployment web --replicas=5", "deployment.apps/web scaled")
    k.want("get deployment web -o jsonpath={.spec.replicas}", "5")
    k.fails("scale deployment web --current-replicas=9 --replicas=1", "Expected replicas to be 9, was 5")
    k.want("autoscale deployment web --min=1 --max=4 --cpu-percent=60", "horizontalpodautoscaler.autoscaling/web autoscaled")
    k.like("get hpa web", r"^NAME  REFERENCE  TARGETS  MINPODS  MAXPODS  REPLICAS  AGE\n"
                          r"web  Deployment/web  (cpu: )?<unknown>/60%  1  4  0  AGE$")
    k.want("get hpa web -o jsonpath={.spec.maxReplicas}:{.spec.targetCPUUtilizationPercentage}{.spec.metrics[0].resource.target.averageUtilization}",
           "4:60")
    k.want("expose deployment web --port=80 --name=exposed", "service/exposed exposed")
    k.want("get svc exposed -o jsonpath={.spec.selector}:{.spec.ports[0].port}", '{"app":"web"}:80')


def replica_set(c, revision, image):
    owner = c.get(APPS + "/deployments/roll").json()
    template = owner["spec"]["template"]
    template["metadata"]["labels"] = {"app": "roll", "pod-template-hash": f"h{revision}"}
    template["spec"]["containers"][0]["image"] = image
    return c.post(APPS + "/replicasets", {
        "metadata": {"name": f"roll-h{revision}", "labels": template["metadata"]["labels"],
                     "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "roll", "controller": True,
                                          "uid": owner["metadata"]["uid"]}]},
        "spec": {"replicas": 1, "selector": {"matchLabels": template["metadata"]["labels"]}, "template": template}})


def rolling(k, c):
    k.want("create deployment roll --image=nginx:1", "deployment.apps/roll created")
    replica_set(c, 1, "nginx:1")
    replica_set(c, 2, "nginx:2")
    c.patch(APPS + "/deployments/roll", {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}}, "spec": {
        "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx:2"}]}}}}, "strategic")
    k.like("rollout history deployment/roll", r"REVISION  CHANGE-CAUSE\n1  .*<none>\n2  .*<none>")
    k.like("rollout history deployment/roll --revision=1", "nginx:1")
    k.want("rollout undo deployment/roll", "deployment.apps/roll rolled back")
    k.want("get deployment roll -o jsonpath={.spec.template.spec.containers[0].image}", "nginx:1")
    k.want("rollout pause deployment/roll", "deployment.apps/roll paused")
    k.fails("rollout pause deployment/roll", "is already paused")
    k.want("rollout resume deployment/roll", "deployment.apps/roll resumed")
    k.want("rollout restart deployment/roll", "deployment.apps/roll restarted")
    k.like("get deployment roll -o yaml", "kubectl.kubernetes.io/restartedAt")
    watching = k.start("rollout status deployment/roll --timeout=10s")
    time.sleep(0.7)
    generation = c.get(APPS + "/deployments/roll").json()["metadata"]["generation"]
    c.patch(APPS + "/deployments/roll/status", {"status": {"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1,
                                                           "readyReplicas": 1, "availableReplicas": 1}})
    output, _ = watching.communicate(timeout=20)
    tap.ok(watching.returncode == 0 and 'deployment "roll" successfully rolled out' in output, k.title("rollout status"), output)


def waiting(k, c):
    c.post(NS + "/pods", pod("w"))
    k.fails("wait --for=condition=Ready pod/w --timeout=1s", "timed out waiting for the condition on pods/w")
    watching = k.start("wait --for=condition=Ready pod/w --timeout=10s")
    time.sleep(0.5)
    c.patch(NS + "/pods/w/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    output, _ = watching.communicate(timeout=20)
    tap.is_((watching.returncode, output.strip()), (0, "pod/w condition met"), k.title("wait --for=condition"))
    watching = k.start("wait --for=delete pod/w --timeout=10s")
    time.sleep(0.5)
    c.delete(NS + "/pods/w")
    output, _ = watching.communicate(timeout=20)
    tap.is_((watching.returncode, output.strip()), (0, "pod/w condition met"), k.title("wait --for=delete"))


def describing(k, c):
    c.post(NS + "/events", {"metadata": {"name": "e1"}, "involvedObject": {"kind": "Pod", "namespace": "default", "name": "a",
           "uid": c.get(NS + "/pods/a").json()["metadata"]["uid"]}, "reason": "Pulled", "message": "image is there",
           "type": "Normal", "source": {"component": "kubelet"}, "count": 2, "firstTimestamp": "2026-01-01T00:00:00Z",
           "lastTimestamp": "2026-01-01T00:00:01Z"})
    k.like("describe pod a", r"^Name:  a\n.*Image:  nginx\n.*Events:.*Pulled .*image is there")
    k.like("get events", r"^LAST SEEN  TYPE  REASON  OBJECT  MESSAGE\n.*Normal  Pulled  pod/a  image is there")
    k.like("describe deployment web", r"^Name:  web\n.*Replicas:  5 desired.*StrategyType:  RollingUpdate")
    k.like("describe svc exposed", r"^Name:  exposed\n.*Selector:  app=web\n.*TargetPort:")
    k.like("describe ns default", r"^Name:  default\n.*Status:  Active")
    k.like("describe cm cm", r"^Name:  cm\n.*Data\n====")
    for words, says in (("explain deployment.spec.strategy", r"rollingUpdate"), ("explain pods", r"spec"),
                        ("explain pod.spec.containers.image", r"string")):
        if k.version >= (1, 27) or "/openapi/v2" in words:
            k.like(words, says)
    k.like("explain pods --recursive", r"terminationGracePeriodSeconds")


def nodes(k, c):
    for name in ("n1", "n2"):
        c.post("/api/v1/nodes", {"metadata": {"name": name}})
        c.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}],
                "nodeInfo": {"kubeletVersion": "v1.36.0"}, "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}})
    k.want("get nodes", "NAME  STATUS  ROLES  AGE  VERSION\nn1  Ready  <none>  AGE  v1.36.0\nn2  Ready  <none>  AGE  v1.36.0")
    k.want("taint nodes n1 key=value:NoSchedule", "node/n1 tainted")
    k.want(["get", "node", "n1", "-o", 'jsonpath={.spec.taints[?(@.key=="key")]}'], '{"effect":"NoSchedule","key":"key","value":"value"}')
    k.want("taint nodes n1 key-", "node/n1 untainted")
    k.want("cordon n1", "node/n1 cordoned")
    k.like("get node n1", r"n1  Ready,SchedulingDisabled  <none>")
    k.want("cordon n1", "node/n1 already cordoned")
    k.want("uncordon n1", "node/n1 uncordoned")
    k.like("describe node n1", r"^Name:  n1\n.*Non-terminated Pods:.*0 in total")
    if k.version < (1, 22):
        tap.skip(k.title("drain"), "this kubectl evicts by policy/v1beta1, which Kubernetes 1.36 has not either")
        return
    owner = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "roll-h1", "controller": True,
              "uid": c.get(APPS + "/replicasets/roll-h1").json()["metadata"]["uid"]}]
    c.post(NS + "/pods", {**pod("d1", nodeName="n2", terminationGracePeriodSeconds=0),
                          "metadata": {"name": "d1", "labels": {"app": "drained"}, "ownerReferences": owner}})
    c.patch(NS + "/pods/d1/status", {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
    c.post("/apis/policy/v1/namespaces/default/poddisruptionbudgets",
           {"metadata": {"name": "keep"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "drained"}}}})
    budget = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/keep/status"
    c.patch(budget, {"status": {"observedGeneration": 1, "disruptionsAllowed": 0, "expectedPods": 1, "currentHealthy": 1,
                                "desiredHealthy": 1}})
    k.fails("drain n2 --force --timeout=2s", "Cannot evict pod as it would violate the pod's disruption budget")
    c.patch(budget, {"status": {"disruptionsAllowed": 1}})
    k.like("drain n2 --force --timeout=20s", r"evicting pod default/d1.*node/n2 (drained|evicted)|pod/d1 evicted\nnode/n2 (drained|evicted)")
    k.fails("get pod d1", "NotFound")


def asking(k, c):
    k.want("auth can-i delete nodes", "yes")
    k.fails("auth can-i delete nodes --as=eve", "no")
    k.fails("get nodes --as=eve", r'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope')
    if k.version >= (1, 28):
        k.like("auth whoami", r"Username .*\n.*Groups +.*system:masters")
    k.like("auth can-i --list", r"\*\.\*")
    k.like("api-resources", r"^NAME  SHORTNAMES .*\ndeployments  deploy  apps/v1  true  Deployment\n" if k.version >= (1, 20) else "deploy")
    k.want("api-resources --api-group=batch -o name", "cronjobs.batch\njobs.batch")
    k.like("api-versions", r"^admissionregistration.k8s.io/v1\n.*^apps/v1\n.*^v1$")
    k.like("cluster-info", r"is running at.*https://127.0.0.1:")
    k.like("version", r"v1\.36")
    k.fails("top nodes", r"metrics not available yet")
    k.fails("exec a -- ls", r"pod a does not have a host assigned")
    k.like("get --raw /openapi/v3", '"paths"')
    k.like("get --raw '/readyz?verbose'", r"\[\+\]")


def deleting(k, c):
    k.want("delete cm j", 'configmap "j" deleted')
    k.want("delete cm nosuch --ignore-not-found", "")
    k.fails("delete cm nosuch", r'Error from server \(NotFound\): configmaps "nosuch" not found')
    k.want("delete deployment made", 'deployment.apps "made" deleted')
    k.want("delete deployment roll --cascade=orphan --wait=false", 'deployment.apps "roll" deleted')
    k.want("get deployment roll -o jsonpath={.metadata.finalizers}", '["orphan"]')
    k.want("delete deployment app --cascade=foreground --wait=false", 'deployment.apps "app" deleted')
    k.want("get deployment app -o jsonpath={.metadata.finalizers}", '["foregroundDeletion"]')
    c.post(NS + "/pods", pod("g", nodeName="n1"))
    k.want("delete pod g --grace-period=5 --wait=false", 'pod "g" deleted')
    k.want("get pod g -o jsonpath={.metadata.deletionGracePeriodSeconds}", "5")
    k.like("get pod g", r"g  0/1  Terminating  0  AGE")
    k.like("delete pod g --grace-period=0 --force", 'pod "g" force deleted')
    k.fails("get pod g", "NotFound")
    k.want("delete pods -l app=x", 'pod "a" deleted')
    k.want("delete pods --all", 'pod "b" deleted\npod "r" deleted')
    k.want("delete ns team --wait=false", 'namespace "team" deleted')
    k.want("get ns team", "NAME  STATUS  AGE\nteam  Terminating  AGE")
    k.want("delete svc/svc ingress/ing", 'service "svc" deleted\ningress.networking.k8s.io "ing" deleted')


STORIES = (reading, creating, applying, changing, scaling, rolling, waiting, describing, nodes, asking, deleting)


def drive(name, path):
    with apiserver.Server() as server:
        k, c = kubectl_.Kubectl(server, name, path), Client(server)
        tap.diag(f"{name}: {path} is {k.version[0]}.{k.version[1]}")
        for story in STORIES:
            run_story(story, k, c)


def main():
    there, missing = kubectl_.programs()
    if not there:
        tap.skip_all("no kubectl on this machine")
    chosen = sys.argv[1:]
    for name, path in there:
        if not chosen or name in chosen:
            drive(name, path)
    for name, reason in missing:
        tap.skip(f"kubectl {name}", reason)
    tap.done()


main()

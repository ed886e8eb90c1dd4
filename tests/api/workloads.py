#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""What somebody does with a Deployment, by kubectl, with all of the control plane and hollow nodes: create, scale, update, watch,
look back, undo, pause, restart, expose, delete. Then the same while processes are killed: at every moment there are as many
available pods as the Deployment promises, nothing is made twice, and it comes to its end.

    SEED=7 tests/api/workloads.py fault_story two_managers     only these, at the moments of that seed"""

import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import observe  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))


def rolled_out(c, name):
    """Whether the Deployment is as it is wanted, and says so."""
    found = c.get(f"{DEPLOYMENTS}/{name}")
    status, replicas = found["status"], found["spec"]["replicas"]
    return status.get("observedGeneration", 0) >= found["metadata"]["generation"] and \
        all(status.get(count, 0) == replicas for count in ("replicas", "updatedReplicas", "availableReplicas"))


def pods_are(c, selector, count, image):
    pods = [p for p in c.pods(selector=selector) if "deletionTimestamp" not in p["metadata"]]
    return len(pods) == count and all(cluster.is_ready(p) and p["spec"]["containers"][0]["image"] == image for p in pods)


# ---- what a user does ----


def create(c, k):
    k.want("create deployment web --image=nginx:1.26 --replicas=3 --port=80", "deployment.apps/web created")
    k.like("rollout status deployment/web --timeout=20s", r'deployment "web" successfully rolled out$')
    k.want("get deployments", "NAME  READY  UP-TO-DATE  AVAILABLE  AGE\nweb  3/3  3  3  AGE")
    k.like("get replicasets", r"NAME  DESIRED  CURRENT  READY  AGE\nweb-[a-z0-9]{8,10}  3  3  3  AGE$")
    k.like("get pods", r"NAME  READY  STATUS  RESTARTS  AGE\n(web-[a-z0-9]+-[a-z0-9]{5}  1/1  Running  0  AGE\n?){3}$")
    k.like("get pods -o wide", r"Running  0  AGE  \d+\.\d+\.\d+\.\d+  hollow-\d")
    k.like("describe deployment web", r"Available  True  MinimumReplicasAvailable.*"
                                      r"ScalingReplicaSet.*Scaled up replica set web-\w+ from 0 to 3")
    k.like("describe deployment web", r"Progressing  True  NewReplicaSetAvailable")
    pod = c.pods(selector="app=web")[0]["metadata"]["name"]
    k.like(f"describe pod {pod}", r"Controlled By:  ReplicaSet/web-.*Scheduled.*Successfully assigned default/web-\S+ to hollow-\d")


def scale(c, k):
    k.want("scale deployment web --replicas=5", "deployment.apps/web scaled")
    k.like("rollout status deployment/web --timeout=20s", "successfully rolled out")
    k.want("get deployments web", "NAME  READY  UP-TO-DATE  AVAILABLE  AGE\nweb  5/5  5  5  AGE")
    k.want("scale deployment web --current-replicas=5 --replicas=4", "deployment.apps/web scaled")
    c.wait(lambda: rolled_out(c, "web") and c.ready_pods(selector="app=web") == 4, 10, "a pod goes when it is scaled down")
    k.fails("scale deployment web --current-replicas=9 --replicas=1", "Expected replicas to be 9, was 4")


def expose(c, k):
    k.want("expose deployment web --port=80 --target-port=80", "service/web exposed")
    ips = sorted(p["status"]["podIP"] for p in c.pods(selector="app=web"))
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb"

    def addresses():
        return sorted(a for s in c.items(path) for e in s["endpoints"] or [] if e["conditions"].get("ready") for a in e["addresses"])

    c.wait(lambda: addresses() == ips, 10, "the Service's EndpointSlice has the addresses of the four pods")
    k.like("get endpointslices", r"web-\w+  IPv4  80  [\d.]+,[\d.]+,[\d.]+ \+ 1 more\.\.\.  AGE")
    k.like("describe service web", r"Endpoints:  [\d.]+:80,[\d.]+:80,[\d.]+:80 \+ 1 more\.\.\.")
    k.want("scale deployment web --replicas=3", "deployment.apps/web scaled")
    c.wait(lambda: rolled_out(c, "web") and addresses() == sorted(p["status"]["podIP"] for p in c.pods(selector="app=web")
                                                                   if cluster.is_ready(p)), 10, "addresses go with their pods")
    return addresses


def update(c, k):
    k.want("set image deployment/web nginx=nginx:1.27", "deployment.apps/web image updated")
    k.like("rollout status deployment/web --timeout=20s", "successfully rolled out")
    c.wait(lambda: pods_are(c, "app=web", 3, "nginx:1.27"), 10, "after an update all pods have the new image")
    k.like("get replicasets -o wide", r"web-\w+  0  0  0  AGE  nginx  nginx:1\.26.*web-\w+  3  3  3  AGE  nginx  nginx:1\.27"
                                      r"|web-\w+  3  3  3  AGE  nginx  nginx:1\.27.*web-\w+  0  0  0  AGE  nginx  nginx:1\.26")
    k.want("rollout history deployment/web", "deployment.apps/web\nREVISION  CHANGE-CAUSE\n1  <none>\n2  <none>\n")
    k.like("rollout history deployment/web --revision=1", r"Image:\s+nginx:1\.26")


def undo(c, k):
    k.want("rollout undo deployment/web", "deployment.apps/web rolled back")
    k.like("rollout status deployment/web --timeout=20s", "successfully rolled out")
    c.wait(lambda: pods_are(c, "app=web", 3, "nginx:1.26"), 10, "after an undo all pods have the old image")
    k.want("rollout history deployment/web", "deployment.apps/web\nREVISION  CHANGE-CAUSE\n2  <none>\n3  <none>\n")
    k.want("rollout undo deployment/web --to-revision=2", "deployment.apps/web rolled back")
    c.wait(lambda: rolled_out(c, "web") and pods_are(c, "app=web", 3, "nginx:1.27"), 10, "an undo to a revision has its image")
    k.fails("rollout undo deployment/web --to-revision=77", "unable to find specified revision 77 in history")


def pause_and_resume(c, k):
    before = {p["metadata"]["name"] for p in c.pods(selector="app=web")}
    k.want("rollout pause deployment/web", "deployment.apps/web paused")
    k.want("set image deployment/web nginx=nginx:1.28", "deployment.apps/web image updated")
    k.want("set env deployment/web COLOUR=green", "deployment.apps/web env updated")
    time.sleep(0.5)
    tap.is_({p["metadata"]["name"] for p in c.pods(selector="app=web")}, before, "a paused Deployment keeps its pods")
    k.like("describe deployment web", r"Progressing  Unknown  DeploymentPaused")
    k.want("rollout resume deployment/web", "deployment.apps/web resumed")
    c.wait(lambda: rolled_out(c, "web") and pods_are(c, "app=web", 3, "nginx:1.28"), 10, "resumed it makes both changes")
    history = k.run("rollout history deployment/web")[1]
    tap.is_(len(re.findall(r"^\d+ ", history, re.M)), 3, "... as one revision")


def restart(c, k):
    before = {p["metadata"]["name"] for p in c.pods(selector="app=web")}
    k.want("rollout restart deployment/web", "deployment.apps/web restarted")
    k.like("rollout status deployment/web --timeout=20s", "successfully rolled out")
    now = {p["metadata"]["name"] for p in c.pods(selector="app=web") if "deletionTimestamp" not in p["metadata"]}
    tap.ok(len(now) == 3 and not before & now, "after a restart all pods are new", f"{before} {now}")


def a_bad_update_stops(c, k):
    """A new version that never becomes ready does not take the old one away."""
    never = {"metadata": {"annotations": {"hollow.fairlead.dev/never-ready": "true"}}}
    with observe.Rollout(c.server, "default", "app=web") as seen:
        seen.promise(available=3, replicas=4)
        c.api().patch(f"{DEPLOYMENTS}/web", {"spec": {"progressDeadlineSeconds": 2, "template": never}})
        k.fails("rollout status deployment/web --timeout=20s", r'error: deployment "web" exceeded its progress deadline')
        k.want("get deployments web", "NAME  READY  UP-TO-DATE  AVAILABLE  AGE\nweb  3/3  1  3  AGE")
        k.like("describe deployment web", r"Progressing  False  ProgressDeadlineExceeded")
        c.api().patch(f"{DEPLOYMENTS}/web", {"spec": {"progressDeadlineSeconds": 600}})
        k.want("rollout undo deployment/web", "deployment.apps/web rolled back")
        k.like("rollout status deployment/web --timeout=20s", "successfully rolled out")
        tap.is_(seen.violations(), [], "the old pods stay available all along")


def pods_are_replaced(c, k):
    name = c.pods(selector="app=web")[0]["metadata"]["name"]
    k.like(f"delete pod {name}", f'pod "{name}" deleted')
    c.wait(lambda: rolled_out(c, "web") and name not in {p["metadata"]["name"] for p in c.pods(selector="app=web")}, 10,
           "a deleted pod is replaced")
    c.api().patch(f"/api/v1/namespaces/default/pods/{c.pods(selector='app=web')[0]['metadata']['name']}",
                  {"metadata": {"annotations": {"hollow.fairlead.dev/ready": "false"}}})
    c.wait(lambda: c.get(f"{DEPLOYMENTS}/web")["status"]["availableReplicas"] == 2, 5, "one that is not ready does not count")
    k.want("get deployments web", "NAME  READY  UP-TO-DATE  AVAILABLE  AGE\nweb  2/3  3  2  AGE")


def delete(c, k, addresses):
    k.want("delete deployment web", 'deployment.apps "web" deleted')
    c.wait(lambda: not c.pods(selector="app=web"), 10, "the pods go with the Deployment")
    c.wait(lambda: not c.items("/apis/apps/v1/namespaces/default/replicasets"), 10, "... and the ReplicaSets")
    c.wait(lambda: addresses() == [], 10, "... and the addresses of the Service")
    k.want("delete service web", 'service "web" deleted')
    c.wait(lambda: not c.items("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?"
                               "labelSelector=kubernetes.io/service-name%3Dweb"), 10, "the slices go with the Service")


def namespace(c, k):
    k.want("create namespace shop", "namespace/shop created")
    k.want("-n shop create deployment cart --image=cart:1 --replicas=4", "deployment.apps/cart created")
    c.wait(lambda: c.ready_pods("shop") == 4, 10, "a Deployment in another namespace has its pods")
    k.like("get all -n shop", r"pod/cart-.*deployment\.apps/cart  4/4.*replicaset\.apps/cart-")
    k.want("delete namespace shop --timeout=20s", 'namespace "shop" deleted')
    tap.is_(c.pods("shop"), [], "the pods go with their namespace")


def user_story(c):
    k = c.kubectl()
    create(c, k)
    scale(c, k)
    addresses = expose(c, k)
    for step in (update, undo, pause_and_resume, restart, a_bad_update_stops, pods_are_replaced):
        step(c, k)
    delete(c, k, addresses)
    namespace(c, k)


# ---- nodes that go ----

IMPATIENT = [{"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
             for what in ("not-ready", "unreachable")]


def on_nodes(c, selector):
    """{node: pods that are ready there}"""
    out = {}
    for pod in c.pods(selector=selector):
        if cluster.is_ready(pod):
            out[pod["spec"]["nodeName"]] = out.get(pod["spec"]["nodeName"], 0) + 1
    return out


def endpoints(c, service):
    slices = c.items(f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3D{service}")
    return sorted(a for s in slices for e in s.get("endpoints") or [] if e["conditions"].get("ready") for a in e["addresses"])


def node_story(c):
    """Pod addresses out of the nodes' ranges; a Deployment, a DaemonSet and a Service while a node dies, comes back, is drained."""
    k = c.kubectl()
    k.like("get nodes", r"NAME  STATUS  ROLES  AGE  VERSION\n(hollow-\d  Ready  <none>  AGE  v1\.36\.0\n?){4}$")
    cidrs = sorted(n["spec"].get("podCIDR", "") for n in c.items("/api/v1/nodes"))
    tap.is_(cidrs, [f"10.244.{i}.0/24" for i in range(4)], "each node has its part of the pods' range")
    c.api().post(DEPLOYMENTS, {**web(), "spec": {**web()["spec"], "replicas": 8}})
    c.api().patch(f"{DEPLOYMENTS}/web", {"spec": {"template": {"spec": {"tolerations": IMPATIENT}}}})
    daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "log"},
              "spec": {"selector": {"matchLabels": {"app": "log"}},
                       "template": {"metadata": {"labels": {"app": "log"}}, "spec": {"containers": [{"name": "log", "image": "log:1"}]}}}}
    c.api().post("/apis/apps/v1/namespaces/default/daemonsets", daemon)
    k.want("expose deployment web --port=80", "service/web exposed")
    c.wait(lambda: rolled_out(c, "web") and sum(on_nodes(c, "app=log").values()) == 4, 20, "a Deployment and a DaemonSet run")
    tap.ok(all(re.match(r"10\.244\.\d\.", p["status"]["podIP"]) for p in c.pods()), "pods have addresses of their nodes")

    c.hollow.tell("kill hollow-1")
    c.wait(lambda: "NotReady" in k.run("get node hollow-1")[1], 20, "a node that is silent is NotReady")
    c.wait(lambda: sum(n for node, n in on_nodes(c, "app=web").items() if node != "hollow-1") == 8, 20,
           "its pods are replaced on the others")
    dead = sorted(p["status"]["podIP"] for p in c.pods() if p["spec"]["nodeName"] == "hollow-1")
    c.wait(lambda: len(endpoints(c, "web")) == 8 and not set(dead) & set(endpoints(c, "web")), 10,
           "the Service has the addresses of those that live")
    k.like("get pods -l app=web", r"web-\S+  1/1  Terminating  0  AGE")
    tap.ok("deletionTimestamp" not in next(p for p in c.pods(selector="app=log") if p["spec"]["nodeName"] == "hollow-1")["metadata"],
           "the DaemonSet's pod stays")

    c.hollow.tell("revive hollow-1")
    c.wait(lambda: cluster.condition(c.get("/api/v1/nodes/hollow-1"), "Ready") == "True", 10, "the node comes back")
    c.wait(lambda: len(c.pods(selector="app=web")) == 8 and sum(on_nodes(c, "app=log").values()) == 4, 10,
           "what was ending there ends, and the DaemonSet's pod is ready again")
    k.like("get daemonset log", r"log  4  4  4  4  4  <none>  AGE")

    k.like("drain hollow-2 --ignore-daemonsets --timeout=20s", r"node/hollow-2 drained")
    c.wait(lambda: rolled_out(c, "web") and "hollow-2" not in on_nodes(c, "app=web"), 10, "a drained node has no pods of the Deployment")
    k.like("get node hollow-2", r"hollow-2  Ready,SchedulingDisabled")
    k.want("uncordon hollow-2", "node/hollow-2 uncordoned")
    k.want("scale deployment web --replicas=16", "deployment.apps/web scaled")
    c.wait(lambda: rolled_out(c, "web") and "hollow-2" in on_nodes(c, "app=web"), 10, "uncordoned it gets pods again")

    k.want("delete node hollow-3", 'node "hollow-3" deleted')
    c.wait(lambda: sum(n for node, n in on_nodes(c, "app=web").items() if node != "hollow-3") == 16, 20,
           "the pods of a node that was deleted are made anew")
    c.wait(lambda: not [p for p in c.pods() if p["spec"].get("nodeName") == "hollow-3"], 20, "... and are gone")


# ---- faults ----

REPLICAS, SURGE, UNAVAILABLE = 20, 5, 2


def web(image="web:1"):
    annotations = {"hollow.fairlead.dev/ready-after": "100ms", "hollow.fairlead.dev/stop-after": "100ms"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {"app": "web"}},
                     "strategy": {"rollingUpdate": {"maxSurge": SURGE, "maxUnavailable": UNAVAILABLE}},
                     "template": {"metadata": {"labels": {"app": "web"}, "annotations": annotations},
                                  "spec": {"containers": [{"name": "web", "image": image}]}}}}


def set_image(c, image):
    template = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}
    answer = c.api().patch(f"{DEPLOYMENTS}/web", template, kind="strategic")
    if answer.status != 200:
        raise RuntimeError(f"{answer.status} {answer.body!r}")


def faulty_rollouts(c, rounds, fault, what, updates=1):
    """Rolling updates with faults in the middle. fault(random) breaks something and brings it back; updates: how often the
    template changes in each."""
    chance = random.Random(SEED)
    with observe.Rollout(c.server, "default", "app=web") as seen:
        seen.promise(available=REPLICAS - UNAVAILABLE, replicas=REPLICAS + SURGE)
        for i in range(rounds):
            image = f"web:{what.replace(' ', '-')}-{i}"
            set_image(c, image)
            time.sleep(chance.uniform(0, 0.4))
            fault(chance)
            c.wait(lambda wanted=image: rolled_out(c, "web") and pods_are(c, "app=web", REPLICAS, wanted), 30,
                   f"{what}: rollout {i + 1} comes to its end")
        violations = seen.violations()
        tap.is_(violations, [], f"{what}: never too few available pods, never one too many (seed {SEED})")
        tap.ok(seen.pods.least >= REPLICAS - UNAVAILABLE, f"... at least {seen.pods.least} of {REPLICAS} were available",
               seen.pods.least)
        made = len(seen.pods.made)
        tap.ok(made <= REPLICAS * (rounds * updates + 1), f"... and {made} pods were seen in {rounds * updates} updates of "
               f"{REPLICAS}, {seen.pods.total} at a time", made)


def kills(component):
    def fault(chance):
        for _ in range(2):
            component.kill()
            time.sleep(chance.uniform(0, 0.2))
            component.start(wait=chance.random() < 0.5)
            time.sleep(chance.uniform(0, 0.3))
        component.wait_ready()

    return fault


def server_restarts(c):
    def fault(chance):
        c.server.kill()
        time.sleep(chance.uniform(0, 0.3))
        c.server.start()

    return fault


def everything_dies(c):
    def fault(chance):
        for component in chance.sample([c.manager, c.scheduler, c.hollow], 3):
            component.kill()
        c.server.kill()
        c.server.start()
        for component in (c.manager, c.scheduler, c.hollow):
            component.start(wait=False)

    return fault


def fault_story(c):
    c.api().post(DEPLOYMENTS, web())
    c.wait(lambda: rolled_out(c, "web"), 20, "a Deployment of 20 is there")
    faulty_rollouts(c, 2, kills(c.manager), "kill -9 of the manager")
    faulty_rollouts(c, 2, kills(c.scheduler), "kill -9 of the scheduler")
    faulty_rollouts(c, 2, server_restarts(c), "kill -9 of the API server")
    faulty_rollouts(c, 1, everything_dies(c), "kill -9 of all")


def two_managers(c):
    """The leader is killed, another time it only sleeps and wakes up as one who is none any more."""
    c.api().post(DEPLOYMENTS, web())
    c.wait(lambda: rolled_out(c, "web"), 20, "two managers: a Deployment of 20 is there")
    first = c.wait(lambda: c.leader(c.managers), 10, "one of them leads")

    def kill_leader(chance):
        first.kill()
        c.wait(lambda: c.leader(c.managers), 20, "the leader is killed: the other one leads")
        first.start()

    faulty_rollouts(c, 1, kill_leader, "death of the leader")
    leader = c.leader(c.managers)
    leader.wanted = False  # it may end when it wakes up

    def pause_leader(chance):
        leader.freeze()
        other = next(m for m in c.managers if m is not leader)
        c.wait(other.leads, 20, "the leader stands still: the other one leads")
        set_image(c, "web:meanwhile")
        leader.thaw()
        set_image(c, "web:a-pause-of-the-leader-0")

    faulty_rollouts(c, 1, pause_leader, "a pause of the leader", updates=3)
    c.wait(lambda: not leader.alive() or not leader.leads(), 10, "who was the leader is none")


def main():
    quick = ("--node-monitor-grace-period=5s", "--node-eviction-rate=10", "--secondary-node-eviction-rate=10",
             "--large-cluster-size-threshold=1", "--node-monitor-period=500ms", "--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16")
    nodes = {"nodes": 4, "untaint": False, "manager_args": quick, "hollow_args": ("--lease-period", "500ms")}
    for story, options in ((user_story, {"nodes": 3}), (node_story, nodes), (fault_story, {"nodes": 5}), (two_managers, {"nodes": 5, "managers": 2})):
        if story.__name__ in (sys.argv[1:] or story.__name__):
            with cluster.Cluster(**options) as c:
                run_story(story, c)
    tap.done()


if __name__ == "__main__":
    main()

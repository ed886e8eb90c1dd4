#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Services find their pods: EndpointSlices, Endpoints, and slices that mirror Endpoints of people, as kubectl shows them. The
pods are those of hollow nodes."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
PODS = "/api/v1/namespaces/default/pods"
OURS, MIRRORING = "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"
PATIENCE_S = 20

SELECTORLESS = """
apiVersion: v1
kind: Service
metadata: {name: ext}
spec:
  ports: [{name: sql, port: 5432}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: ext, labels: {team: db}}
subsets:
- addresses: [{ip: 198.51.100.1}, {ip: 198.51.100.2}]
  ports: [{name: sql, port: 5432}]
"""


def slices(c, service, manager=OURS):
    selector = f"kubernetes.io/service-name={service},endpointslice.kubernetes.io/managed-by={manager}"
    return c.items(f"{SLICES}?labelSelector={selector}")


def endpoints(c, service, manager=OURS, family="IPv4"):
    """{pod's name, or address: endpoint}; a pod that is in there twice raises."""
    found = {}
    for one in slices(c, service, manager):
        for e in one.get("endpoints") or []:
            name = e.get("targetRef", {}).get("name") or e["addresses"][0]
            if one["addressType"] == family and found.setdefault(name, e) is not e:
                raise RuntimeError(f"{name} is in the slices of {service} twice")
    return found


def ready(c, service):
    return {name for name, e in endpoints(c, service).items() if e["conditions"]["ready"]}


def names(c, selector):
    return {pod["metadata"]["name"] for pod in c.pods(selector=selector) if cluster.is_ready(pod)}


def is_exact(c, service, selector, count):
    return len(ready(c, service)) == count and ready(c, service) == set(endpoints(c, service)) == names(c, selector)


def a_deployment_is_exposed(c, k):
    k.run("create deployment web --image=nginx --replicas=3")
    k.like("expose deployment web --port=80 --target-port=8080", r"service/web exposed")
    c.wait(lambda: is_exact(c, "web", "app=web", 3), PATIENCE_S, "its three pods are endpoints of the service")
    k.like("get endpointslices -l kubernetes.io/service-name=web", r"(?m)^web-\w{5} +IPv4 +8080 +[\d.]+,[\d.]+,[\d.]+ ")
    c.wait(lambda: c.get("/api/v1/namespaces/default/endpoints/web"), PATIENCE_S, "there are Endpoints, too")
    k.like("get endpoints web", r"(?m)^web +[\d.]+:8080,[\d.]+:8080,[\d.]+:8080 ")
    k.like("describe service web", r"(?m)^Endpoints: +[\d.]+:8080,[\d.]+:8080,[\d.]+:8080$")
    found = next(iter(endpoints(c, "web").values()))
    tap.like(found["nodeName"] + found["zone"], r"hollow-\dzone-\d", "an endpoint tells its node and zone")
    only = slices(c, "web")[0]
    tap.is_(only["metadata"]["ownerReferences"][0]["kind"], "Service", "the slice belongs to the Service")
    tap.ok("endpoints.kubernetes.io/last-change-trigger-time" in only["metadata"]["annotations"], "it tells since when")


def endpoints_follow_the_scale(c, k):
    before = slices(c, "web")[0]["metadata"]["name"]
    for count in (7, 1, 0, 2):
        k.run(f"scale deployment web --replicas={count}")
        c.wait(lambda n=count: is_exact(c, "web", "app=web", n), PATIENCE_S, f"scaled to {count}: {count} endpoints")
        if count == 0:
            k.like("get endpointslices -l kubernetes.io/service-name=web", r"(?m)^web-\w{5} +IPv4 +<unset> +<unset> ")
            k.like("get endpoints web", r"(?m)^web +<none> ")
    tap.is_([s["metadata"]["name"] for s in slices(c, "web")], [before], "all that time it was the same slice")


def readiness_flips(c, k):
    pod = sorted(ready(c, "web"))[0]
    k.run(f"annotate pod {pod} hollow.fairlead.dev/ready=false")
    c.wait(lambda: pod not in ready(c, "web"), PATIENCE_S, "a pod that is not ready is no ready endpoint")
    tap.is_(endpoints(c, "web")[pod]["conditions"], {"ready": False, "serving": False, "terminating": False},
            "but it is still there")
    since = next(x["lastTransitionTime"] for x in c.get(f"{PODS}/{pod}")["status"]["conditions"] if x["type"] == "Ready")
    tap.is_(slices(c, "web")[0]["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"], since,
            "the slice tells when the pod's readiness changed")
    ip = c.get(f"{PODS}/{pod}")["status"]["podIP"]
    c.wait(lambda: f"NotReadyAddresses:  {ip}" in k.run("describe endpoints web")[1], PATIENCE_S,
           "describe endpoints shows it among those that are not ready")
    k.run(f"annotate pod {pod} hollow.fairlead.dev/ready-")
    c.wait(lambda: pod in ready(c, "web"), PATIENCE_S, "and it comes back")


def a_service_goes(c, k):
    k.like("delete service web", r"deleted")
    c.wait(lambda: not slices(c, "web") and not c.get("/api/v1/namespaces/default/endpoints/web"), PATIENCE_S,
           "with a Service go its slices and Endpoints")


def pod(name, subdomain):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "db"}},
            "spec": {"nodeName": "hollow-0", "hostname": name, "subdomain": subdomain,
                     "containers": [{"name": "c", "image": "db", "ports": [{"name": "sql", "containerPort": 5432}]}]}}


def a_headless_service_tells_hostnames(c, k):
    for name, subdomain in (("db-0", "db"), ("db-1", "db"), ("other", "elsewhere")):
        c.api().post(PODS, pod(name, subdomain))
    k.run("create service clusterip db --clusterip=None --tcp=5432:5432")
    c.wait(lambda: len(ready(c, "db")) == 3, PATIENCE_S, "a headless service has endpoints")
    tap.is_({name: e.get("hostname") for name, e in endpoints(c, "db").items()},
            {"db-0": "db-0", "db-1": "db-1", "other": None}, "those whose subdomain is the service's name tell a hostname")
    tap.is_(slices(c, "db")[0]["metadata"]["labels"].get("service.kubernetes.io/headless"), "", "the slice says that it is headless")


def endpoints_of_people_are_mirrored(c, k):
    k.run("apply -f -", stdin=SELECTORLESS)
    c.wait(lambda: set(endpoints(c, "ext", MIRRORING)) == {"198.51.100.1", "198.51.100.2"}, PATIENCE_S,
           "Endpoints of a Service without selector become a slice")
    tap.is_(slices(c, "ext", MIRRORING)[0]["metadata"]["labels"].get("team"), "db", "which has their labels")
    k.run("apply -f -", stdin=SELECTORLESS.replace("{ip: 198.51.100.2}", "{ip: 198.51.100.3}"))
    c.wait(lambda: set(endpoints(c, "ext", MIRRORING)) == {"198.51.100.1", "198.51.100.3"}, PATIENCE_S, "and follows them")
    k.run("label endpoints ext endpointslice.kubernetes.io/skip-mirror=true")
    c.wait(lambda: not slices(c, "ext", MIRRORING), PATIENCE_S, "with the label skip-mirror it goes")
    tap.is_(slices(c, "kubernetes", MIRRORING), [], "the Endpoints of the API server, which has a slice itself, are not mirrored")


def it_goes_on_after_kill_9(c, k):
    k.run("create service clusterip web --tcp=80:8080")
    k.run("scale deployment web --replicas=150")
    c.wait(lambda: len(endpoints(c, "web")) > 20, PATIENCE_S, "many endpoints are on their way")
    c.manager.kill()
    c.manager.start()
    c.wait(lambda: is_exact(c, "web", "app=web", 150), 2 * PATIENCE_S, "killed and started again: all 150 pods, each once")
    sizes = sorted(len(s["endpoints"]) for s in slices(c, "web"))
    tap.ok(max(sizes) <= 100 and min(sizes) > 0, f"no slice has more than 100 endpoints, and none is empty: {sizes}")
    metrics = c.manager.metrics()
    tap.ok(metrics["endpoint_slice_controller_endpoints_desired"] >= 150, "metrics tell how many are desired")
    tap.ok(metrics["endpoint_slice_controller_num_endpoint_slices"] >= 2, "and how many slices there are")


def two_families(c, k):
    for i in range(2):
        c.api().patch(f"/api/v1/nodes/hollow-{i}", {"spec": {"podCIDR": f"100.64.{i}.0/24", "podCIDRs": [
            f"100.64.{i}.0/24", f"fd00:64:{i}::/64"]}})
    k.run("create deployment web --image=nginx --replicas=2")
    k.run("create service clusterip web --tcp=80:8080")
    c.wait(lambda: is_exact(c, "web", "app=web", 2), PATIENCE_S, "a service of one family has slices of one")
    tap.is_({s["addressType"] for s in slices(c, "web")}, {"IPv4"}, "of the first")
    k.run("""patch service web -p '{"spec":{"ipFamilyPolicy":"RequireDualStack"}}'""")
    c.wait(lambda: {s["addressType"] for s in slices(c, "web")} == {"IPv4", "IPv6"}, PATIENCE_S, "of both families: slices of both")
    c.wait(lambda: set(endpoints(c, "web", family="IPv6")) == ready(c, "web") and len(ready(c, "web")) == 2, PATIENCE_S,
           "with the same pods")
    k.like("get endpointslices", r"(?m)^web-\w{5} +IPv6 +8080 +fd00:64:[\da-f:]+,fd00:64:[\da-f:]+ ")


def main():
    with cluster.Cluster(nodes=3, hollow_args=("--zones", "2")) as c:
        k = c.kubectl()
        for story in (a_deployment_is_exposed, endpoints_follow_the_scale, readiness_flips, a_service_goes,
                      a_headless_service_tells_hostnames, endpoints_of_people_are_mirrored, it_goes_on_after_kill_9):
            run_story(story, c, k)
    with cluster.Cluster(nodes=2, apiserver_args=("--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",)) as c:
        run_story(two_families, c, c.kubectl())
    tap.done()


if __name__ == "__main__":
    main()

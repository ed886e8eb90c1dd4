#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Debian's python3-kubernetes against the server: typed and dynamic clients, patches, watches, a Lease held and lost."""

import datetime
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

try:
    from kubernetes import client, config, dynamic, watch
    from kubernetes.client.rest import ApiException
except ImportError:
    tap.skip_all("python3-kubernetes is not installed")

NS = "default"


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"app": "py"}), data=data)


def typed(core, apps):
    made = core.create_namespaced_config_map(NS, config_map("a", k="1"))
    tap.ok(made.metadata.uid and made.metadata.creation_timestamp.tzinfo, "create: a typed object with uid and time")
    core.create_namespaced_config_map(NS, config_map("b", k="2"))
    found = core.list_namespaced_config_map(NS, label_selector="app=py")
    tap.is_([i.metadata.name for i in found.items], ["a", "b"], "list: by labels")
    page = core.list_namespaced_config_map(NS, limit=1)
    rest = core.list_namespaced_config_map(NS, limit=10, _continue=page.metadata._continue)
    tap.is_([i.metadata.name for i in page.items + rest.items], ["a", "b"], "list: by pages")
    tap.is_(core.read_namespaced_config_map("a", NS).data, {"k": "1"}, "read")
    tap.is_(core.patch_namespaced_config_map("a", NS, {"data": {"x": "y"}}).data, {"k": "1", "x": "y"}, "patch: strategic merge")
    tap.is_(core.patch_namespaced_config_map("a", NS, [{"op": "remove", "path": "/data/x"}]).data, {"k": "1"}, "patch: JSON")
    changed = core.read_namespaced_config_map("a", NS)
    changed.data["z"] = "9"
    tap.is_(core.replace_namespaced_config_map("a", NS, changed).data["z"], "9", "replace")
    try:
        core.replace_namespaced_config_map("a", NS, changed)
        tap.not_ok("replace: of a stale object is refused")
    except ApiException as error:
        tap.is_((error.status, error.reason), (409, "Conflict"), "replace: of a stale object is refused")
    try:
        core.read_namespaced_config_map("none", NS)
        tap.not_ok("read: of nothing is 404")
    except ApiException as error:
        tap.is_(error.status, 404, "read: of nothing is 404")
    labels = {"app": "web"}
    container = client.V1Container(name="c", image="nginx", resources=client.V1ResourceRequirements(limits={"cpu": "500m"}))
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container]))
    made = apps.create_namespaced_deployment(NS, client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=client.V1DeploymentSpec(
        replicas=2, selector=client.V1LabelSelector(match_labels=labels), template=template)))
    tap.is_((made.spec.strategy.type, made.spec.template.spec.restart_policy), ("RollingUpdate", "Always"), "a Deployment has its defaults")
    tap.is_(apps.patch_namespaced_deployment_scale("web", NS, {"spec": {"replicas": 4}}).spec.replicas, 4, "scale")
    tap.is_(core.delete_namespaced_config_map("b", NS).status, "Success", "delete")
    core.delete_collection_namespaced_config_map(NS, label_selector="app=py")
    tap.is_(core.list_namespaced_config_map(NS).items, [], "deletecollection")
    tap.is_(sorted(n.metadata.name for n in core.list_namespace().items)[0], "default", "list namespaces")
    tap.ok(client.VersionApi().get_code().major == "1", "version")


def streams(core):
    start = core.list_namespaced_config_map(NS).metadata.resource_version
    seen = []

    def follow():
        for event in watch.Watch().stream(core.list_namespaced_config_map, NS, resource_version=start, timeout_seconds=10):
            seen.append((event["type"], event["object"].metadata.name))
            if len(seen) == 3:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    core.create_namespaced_config_map(NS, config_map("w"))
    core.patch_namespaced_config_map("w", NS, {"data": {"a": "b"}})
    core.delete_namespaced_config_map("w", NS)
    thread.join(12)
    tap.is_(seen, [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")], "watch: a stream of typed events")
    first = [e["object"].metadata.name for e in watch.Watch().stream(core.list_namespace, timeout_seconds=1)]
    tap.is_(sorted(first), ["default", "kube-node-lease", "kube-public", "kube-system"], "watch: begins with what is there, and ends")


def leases(coordination):
    def now():
        return datetime.datetime.now(datetime.timezone.utc)

    lease = coordination.create_namespaced_lease(NS, client.V1Lease(metadata=client.V1ObjectMeta(name="leader"), spec=client.V1LeaseSpec(
        holder_identity="one", lease_duration_seconds=15, acquire_time=now(), renew_time=now(), lease_transitions=0)))
    other = coordination.read_namespaced_lease("leader", NS)
    for _ in range(20):
        lease.spec.renew_time = now()
        lease = coordination.replace_namespaced_lease("leader", NS, lease)
    tap.is_(coordination.read_namespaced_lease("leader", NS).spec.renew_time, lease.spec.renew_time,
            "a Lease is renewed 20 times, to the microsecond")
    other.spec.holder_identity = "two"
    try:
        coordination.replace_namespaced_lease("leader", NS, other)
        tap.not_ok("a second candidate with an old view loses")
    except ApiException as error:
        tap.is_(error.status, 409, "a second candidate with an old view loses")


def discovered(api):
    found = dynamic.DynamicClient(api)
    pods = found.resources.get(api_version="v1", kind="Pod")
    made = pods.create(namespace=NS, body={"metadata": {"name": "dyn"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    tap.is_((made.kind, made.spec.restartPolicy), ("Pod", "Always"), "dynamic: create by discovery")
    tap.is_([p.metadata.name for p in pods.get(namespace=NS).items], ["dyn"], "dynamic: list")
    patched = pods.patch(name="dyn", namespace=NS, body={"metadata": {"labels": {"a": "b"}}}, content_type="application/merge-patch+json")
    tap.is_(patched.metadata.labels.a, "b", "dynamic: merge patch")
    events = []
    for event in pods.watch(namespace=NS, timeout=1):
        events.append((event["type"], event["object"].metadata.name))
    tap.is_(events, [("ADDED", "dyn")], "dynamic: watch")
    tap.ok(found.resources.get(api_version="apps/v1", kind="Deployment").subresources.get("scale"), "dynamic: subresources are discovered")
    pods.delete(name="dyn", namespace=NS)
    tap.is_(pods.get(namespace=NS).items, [], "dynamic: delete")
    groups = {g.name for g in client.ApisApi(api).get_api_versions().groups}
    tap.ok({"apps", "batch", "networking.k8s.io"} <= groups, "the groups", groups)


def main():
    with apiserver.Server() as server:
        os.environ["HOME"] = server.tmp  # the dynamic client's discovery cache is the test's own
        os.environ["TMPDIR"] = server.tmp
        config.load_kube_config(server.kubeconfig)
        core = client.CoreV1Api()
        run_story(typed, core, client.AppsV1Api())
        run_story(streams, core)
        run_story(leases, client.CoordinationV1Api())
        run_story(discovered, client.ApiClient())
    tap.done()


main()

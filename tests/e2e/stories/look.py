# SPDX-License-Identifier: Apache-2.0
"""What a person sees of it: fairctl, metrics, health."""

import json
import time

from common import FAMILIES, all_of, name_of, reached, refused, tap, until
from lab import CLIENT
from lab_objects import service_object

BALANCER = {4: "198.18.7.85", 6: "fd10:e::85"}


def services():
    return [service_object("seen", spec={"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24", "fd10:ff::/64"]})]


def endpoints(cast):
    return {"seen": [cast.b, cast.c]}


def prepare(lab):
    lab.balancer_status("seen", list(BALANCER.values()))
    lab.route_to("n1", *BALANCER.values())


def drops(lab, cast, made):
    """Every drop has a reason, is counted, and a sample of it can be watched."""
    n1 = lab.nodes["n1"]
    follow = n1.start(n1.fairctl_argv("drops", "--follow", "-o", "json"), text=True, stdout=-1)
    time.sleep(0.2)
    before = n1.drops("source_range")
    for family in FAMILIES:
        lab.client.peer.tcp(BALANCER[family], 80, timeout=0.3)
        lab.client.peer.udp(BALANCER[family], 80, timeout=0.3)
    tap.ok(n1.drops("source_range") >= before + 4, "drops are counted by reason", n1.fairctl("drops"))
    time.sleep(0.2)
    follow.terminate()
    events = [json.loads(line) for line in follow.stdout.read().splitlines() if line.startswith("{")]
    follow.wait(5)
    mine = {e.get("source", "") for e in events if e.get("reason") == "source_range"}
    all_of("and their packets can be watched", ((f"IPv{f}", any(CLIENT[f] in source for source in mine), True) for f in FAMILIES))
    before = n1.drops("no_endpoints") + n1.drops("unknown_port")
    n1.peer.tcp(made["seen"].ips[4], 99)
    cast.a.peer.tcp(made["seen"].ips[6], 99)
    tap.ok(n1.drops("no_endpoints") + n1.drops("unknown_port") >= before + 2, "so are refusals", n1.fairctl("drops"))
    labels = {key for key in n1.metrics() if 'reason="source_range"' in key}
    tap.ok(labels, "the metrics have them too", sorted(n1.metrics())[:40])


def lists(lab, cast, made):
    """fairctl shows services, backends and flows."""
    n1, seen = lab.nodes["n1"], made["seen"]
    rows = json.loads(n1.fairctl("service", "list", "--service", "default/seen", "-o", "json"))
    all_of("fairctl service list shows each address", ((ip, any(ip in row["frontend"] for row in rows), True)
                                                       for ip in (*seen.ips.values(), *BALANCER.values())))
    rows = json.loads(n1.fairctl("backend", "list", "--service", "default/seen", "-o", "json"))
    all_of("fairctl backend list shows who serves, and where", [
        (pod.name, any(pod.ips[f] in r["backend"] and r["where"] == where for r in rows), True)
        for pod, where in ((cast.b, "local"), (cast.c, "remote")) for f in FAMILIES])
    for family in FAMILIES:
        to, port = n1.ips[family], seen.node_port(80)
        reached(lab, lab.client, to, port, {"b", "c"})
        name = name_of(lab.client.peer.open(f"look{family}", to, port, source_port=46000))
        rows = json.loads(n1.fairctl("flow", "list", "--src", CLIENT[family], "-o", "json"))
        ip = {"b": cast.b, "c": cast.c}[name].ips[family]
        tap.ok(any(r["sourcePort"] == 46000 and r["backend"] == ip for r in rows),
               f"IPv{family}: fairctl flow list shows a connection and its backend", rows)
        lab.client.peer.close(f"look{family}")
    for node in lab.nodes.values():
        code, text, errors = node.run(node.fairctl_argv("status"), check=False)
        tap.ok(code == 0, f"fairctl status says that {node.name} is well", text + errors)


def metrics(lab, cast, made):
    """Names that kube-proxy's users know, health, and what changes cost."""
    n1 = lab.nodes["n1"]
    tap.is_([n1.get(path)[0] for path in ("/healthz", "/livez", "/metrics", "/nowhere")], [200, 200, 200, 404],
            "the agent answers about its health")

    def count():
        return n1.metrics().get("kubeproxy_network_programming_duration_seconds_count", 0)

    before = count()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lab.endpoints(made["seen"], [cast.b], annotations={"endpoints.kubernetes.io/last-change-trigger-time": stamp})
    tap.ok(until(lambda: count() > before, 3), "how long a change took to take effect is measured",
           sorted(k for k in n1.metrics() if "programming" in k))
    names = {key.partition("{")[0] for key in n1.metrics()}
    wanted = {"kubeproxy_sync_proxy_rules_duration_seconds_count", "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
              "kubeproxy_sync_proxy_rules_endpoint_changes_total", "kubeproxy_sync_proxy_rules_service_changes_total"}
    tap.is_(wanted - names, set(), "metrics have kube-proxy's names where kube-proxy has them")
    tap.ok(refused(cast.a.peer.tcp(n1.ips[4], 10255)), "there is no other port")


STORIES = (drops, lists, metrics)

# SPDX-License-Identifier: Apache-2.0
"""The lab's API objects: pure functions from what a test wants to what kubectl applies."""


def node_object(name, number, ips, families=(4, 6)):
    cidrs = [{4: f"10.244.{number}.0/24", 6: f"fd10:244:0:{number}::/64"}[family] for family in families]
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name,
                                                  "topology.kubernetes.io/zone": f"z{number}"}},
            "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
            "status": {"addresses": [*({"type": "InternalIP", "address": ips[family]} for family in families),
                                     {"type": "Hostname", "address": name}]}}


def service_port(port, target=8080, proto="TCP", **more):
    return {"name": f"{proto.lower()}-{port}", "port": port, "targetPort": target, "protocol": proto, **more}


def service_object(name, ports=None, annotations=None, labels=None, spec=None):
    ports = ports or [service_port(80), service_port(80, proto="UDP")]
    meta = {"name": name, **({"annotations": annotations} if annotations else {}), **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta,
            "spec": {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"], "ports": ports, **(spec or {})}}


def endpoint(pod, family, more):
    conditions = {"ready": True, "serving": True, "terminating": False, **more.get("conditions", {})}
    return {"addresses": [pod.ips[family]], "nodeName": pod.node.name,
            "targetRef": {"kind": "Pod", "name": pod.name, "namespace": "default"},
            **{k: v for k, v in more.items() if k != "conditions"}, "conditions": conditions}


def endpoint_slices(service, pods, annotations=None):
    """One a family of the Service, each port with its number as target."""
    name = service["metadata"]["name"]
    slices = []
    for family in (4, 6):
        if f"IPv{family}" not in service["spec"]["ipFamilies"]:
            continue
        ends = [endpoint(p, family, more) for p, more in (p if isinstance(p, tuple) else (p, {}) for p in pods)
                if family in p.ips]
        ports = [{"name": p["name"], "port": p["targetPort"], "protocol": p["protocol"]}
                 for p in service["spec"].get("ports", [])]
        slices.append({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{family}",
                       "metadata": {"name": f"{name}-v{family}", "labels": {"kubernetes.io/service-name": name},
                                    **({"annotations": annotations} if annotations else {})},
                       "endpoints": ends, "ports": ports})
    return slices


class Service:
    """What the API has made of a Service."""

    def __init__(self, object_):
        self.object = object_
        self.name = object_["metadata"]["name"]
        self.ips = {6 if ":" in ip else 4: ip for ip in object_["spec"].get("clusterIPs", []) if ip != "None"}

    def node_port(self, port, proto="TCP"):
        return next(p["nodePort"] for p in self.object["spec"]["ports"] if (p["port"], p["protocol"]) == (port, proto))

    @property
    def health_port(self):
        return self.object["spec"].get("healthCheckNodePort")

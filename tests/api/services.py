#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Addresses and node ports of Services: chosen, asked for, refused, released, repaired; and the cluster's own objects."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import Client, eventually, is_status, run_story, said, together  # noqa: E402

SVC = "/api/v1/namespaces/default/services"
IPS = "/apis/networking.k8s.io/v1/ipaddresses"
PORT = [{"port": 80}]


def service(name, **spec):
    spec.setdefault("ports", PORT)
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def make(c, name, **spec):
    answer = c.post(SVC, service(name, **spec))
    return answer.json()["spec"] if answer.status == 201 else {"failed": said(answer)}


def addresses(c):
    return sorted(i["metadata"]["name"] for i in c.get(IPS).json()["items"])


def own_objects(c):
    own = c.get(SVC + "/kubernetes").json()
    tap.is_((own["spec"]["clusterIP"], own["spec"]["ports"]),
            ("10.96.0.1", [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": c.server.port}]),
            "the kubernetes Service has the first address")
    tap.is_(own["metadata"]["labels"], {"component": "apiserver", "provider": "kubernetes"}, "and its labels")
    ends = c.get("/api/v1/namespaces/default/endpoints/kubernetes").json()["subsets"]
    tap.is_(ends, [{"addresses": [{"ip": "192.0.2.10"}], "ports": [{"name": "https", "port": c.server.port, "protocol": "TCP"}]}],
            "its Endpoints")
    part = c.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").json()
    tap.is_((part["addressType"], part["endpoints"][0]["addresses"], part["metadata"]["labels"]),
            ("IPv4", ["192.0.2.10"], {"kubernetes.io/service-name": "kubernetes"}), "its EndpointSlice")
    spaces = [i["metadata"]["name"] for i in c.get("/api/v1/namespaces").json()["items"]]
    tap.is_(spaces, ["default", "kube-node-lease", "kube-public", "kube-system"], "the four namespaces")
    cidr = c.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").json()
    tap.is_(cidr["spec"], {"cidrs": ["10.96.0.0/16"]}, "the ServiceCIDR")
    tap.is_([(x["type"], x["status"]) for x in cidr["status"]["conditions"]], [("Ready", "True")], "the ServiceCIDR is ready")
    tap.is_(addresses(c), ["10.96.0.1"], "and one IPAddress is taken")
    c.delete(SVC + "/kubernetes")
    tap.ok(eventually(lambda: c.get(SVC + "/kubernetes").status == 200, 25), "the kubernetes Service comes back when deleted")


def choices(c):
    got = make(c, "plain")
    tap.like(got.get("clusterIP", ""), r"^10\.96\.\d+\.\d+$", "ClusterIP: chosen from the range")
    tap.is_({k: v for k, v in got.items() if k not in ("clusterIP", "clusterIPs")},
            {"ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}], "type": "ClusterIP", "sessionAffinity": "None",
             "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"}, "ClusterIP: defaults")
    tap.is_(got["clusterIPs"], [got["clusterIP"]], "ClusterIP: clusterIPs agree")
    tap.ok(int(got["clusterIP"].split(".")[2]) > 0 or int(got["clusterIP"].split(".")[3]) > 250,
           "ClusterIP: not from the band for static addresses", got["clusterIP"])
    named = c.get(f"{IPS}/{got['clusterIP']}").json()
    tap.is_(named.get("spec"), {"parentRef": {"resource": "services", "namespace": "default", "name": "plain"}},
            "IPAddress: names its Service")
    tap.is_(named["metadata"]["labels"], {"ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}, "IPAddress: labels")
    tap.is_(make(c, "static", clusterIP="10.96.0.10")["clusterIP"], "10.96.0.10", "ClusterIP: asked for")
    is_status(c.post(SVC, service("clash", clusterIP="10.96.0.10")), 422, "Invalid",
              r'^Service "clash" is invalid: spec.clusterIPs: Invalid value: \["10.96.0.10"\]: failed to allocate IP 10.96.0.10: '
              "provided IP is already allocated$", "ClusterIP: taken")
    is_status(c.post(SVC, service("far", clusterIP="10.97.0.10")), 422, "Invalid",
              r'spec.clusterIPs: Invalid value: \["10.97.0.10"\]: failed to allocate IP 10.97.0.10: the provided network does '
              'not match the current range$',
              "ClusterIP: out of the range")
    is_status(c.post(SVC, service("bad", clusterIP="10.96.0")), 422, "Invalid",
              'spec.clusterIPs\\[0\\]: Invalid value: "10.96.0": must be a valid IP address', "ClusterIP: no address")
    tap.is_(c.get(f"{SVC}/clash").status, 404, "ClusterIP: what was refused is not there")
    is_status(c.patch(SVC + "/static", {"spec": {"clusterIP": "10.96.0.11"}}), 422, "Invalid",
              'spec.clusterIPs\\[0\\]: Invalid value: .*(field is immutable|may not change once set)', "ClusterIP: does not change")
    c.delete(SVC + "/static")
    tap.is_(c.get(IPS + "/10.96.0.10").status, 404, "ClusterIP: released with the Service")
    tap.is_(make(c, "again", clusterIP="10.96.0.10").get("clusterIP"), "10.96.0.10", "ClusterIP: and free again")
    tap.is_(make(c, "headless", clusterIP="None")["clusterIPs"], ["None"], "headless: None")
    lost = make(c, "ext", type="ExternalName", externalName="db.example.com", ports=None)
    tap.ok("clusterIP" not in lost and "ipFamilies" not in lost, "ExternalName: no address", lost)
    is_status(c.post(SVC, service("ext2", type="ExternalName")), 422, "Invalid", "spec.externalName: Required value",
              "ExternalName: needs a name")


def node_ports(c):
    got = make(c, "np", type="NodePort")["ports"][0]["nodePort"]
    tap.ok(30000 <= got <= 32767, "NodePort: chosen from the range", got)
    tap.is_(make(c, "np2", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])["ports"][0]["nodePort"], 30080,
            "NodePort: asked for")
    is_status(c.post(SVC, service("np3", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])), 422, "Invalid",
              r'^Service "np3" is invalid: spec.ports\[0\].nodePort: Invalid value: 30080: provided port is already allocated$',
              "NodePort: taken")
    is_status(c.post(SVC, service("np3", type="NodePort", ports=[{"port": 80, "nodePort": 80}])), 422, "Invalid",
              r'spec.ports\[0\].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports '
              "is 30000-32767$", "NodePort: out of range")
    tap.is_(c.get(IPS).json()["items"] and len(addresses(c)), len(set(addresses(c))), "NodePort: refusals keep no address")
    is_status(c.post(SVC, service("np4", type="NodePort", ports=[{"port": 80, "protocol": "UDP", "nodePort": 30080}])), 422,
              "Invalid", "provided port is already allocated", "NodePort: another Service cannot have it for UDP either")
    pair = [{"name": "t", "port": 54, "nodePort": 30054}, {"name": "u", "port": 54, "nodePort": 30054, "protocol": "UDP"}]
    tap.is_([p["nodePort"] for p in make(c, "np4", type="NodePort", ports=pair).get("ports", [])], [30054, 30054],
            "NodePort: one Service may have it for TCP and UDP")
    both = make(c, "np5", type="NodePort", ports=[{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}])
    tap.ok(len(both.get("ports", [])) == 2, "NodePort: TCP and UDP of one port", both)
    now = c.patch(SVC + "/np2", {"spec": {"type": "ClusterIP"}}).json()["spec"]
    tap.ok("nodePort" not in now["ports"][0], "a change to ClusterIP drops the node port", now)
    tap.is_(make(c, "np6", type="NodePort", ports=[{"port": 1, "nodePort": 30080}])["ports"][0]["nodePort"], 30080,
            "and releases it")
    ip = now["clusterIP"]
    now = c.patch(SVC + "/np2", {"spec": {"type": "ExternalName", "externalName": "x.example.com"}})
    tap.ok(now.status == 200 and "clusterIP" not in now.json()["spec"], "a change to ExternalName drops the address", now.body)
    tap.is_(c.get(f"{IPS}/{ip}").status, 404, "and releases it")
    back = c.patch(SVC + "/np2", {"spec": {"type": "NodePort", "externalName": None}}).json()["spec"]
    tap.ok(back.get("clusterIP") and back["ports"][0].get("nodePort"), "and back again takes both", back)
    local = make(c, "lb", type="LoadBalancer", externalTrafficPolicy="Local")
    tap.ok(30000 <= local.get("healthCheckNodePort", 0) <= 32767 and local.get("allocateLoadBalancerNodePorts") is True,
           "healthCheckNodePort: allocated for LoadBalancer and Local", local)
    taken = local["healthCheckNodePort"]
    is_status(c.post(SVC, service("np7", type="NodePort", ports=[{"port": 80, "nodePort": taken}])), 422, "Invalid",
              "provided port is already allocated", "healthCheckNodePort: is taken as a node port")
    now = c.patch(SVC + "/lb", {"spec": {"externalTrafficPolicy": "Cluster"}}).json()["spec"]
    tap.ok("healthCheckNodePort" not in now, "healthCheckNodePort: dropped with Cluster", now)
    tap.is_(make(c, "np7", type="NodePort", ports=[{"port": 80, "nodePort": taken}]).get("type"), "NodePort",
            "healthCheckNodePort: and released")
    none = make(c, "lb2", type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    tap.ok("nodePort" not in none["ports"][0], "allocateLoadBalancerNodePorts: false takes none", none)
    for name in ("plain", "np", "lb"):
        c.delete(f"{SVC}/{name}")
    tap.is_(make(c, "np8", type="NodePort", ports=[{"port": 80, "nodePort": got}]).get("type"), "NodePort",
            "NodePort: released with the Service")


def creators(server, c):
    def work(i):
        mine, got = Client(server), []
        for k in range(12):
            spec = make(mine, f"c{i}-{k}", type="NodePort")
            got.append((spec.get("clusterIP"), spec["ports"][0]["nodePort"] if "ports" in spec else spec["failed"]))
        return got

    all_ = sum(together(16, work), [])
    tap.is_(len({ip for ip, _ in all_}), 192, "16 creators: no address twice")
    tap.is_(len({port for _, port in all_}), 192, "16 creators: no node port twice")
    in_use = sorted(ip for i in c.get("/api/v1/services").json()["items"] for ip in i["spec"].get("clusterIPs", [])
                    if ip != "None")
    tap.is_(addresses(c), in_use, "IPAddresses are the addresses of all Services")
    clash = together(16, lambda i: Client(server).post(SVC, service(f"one{i}", clusterIP="10.96.0.99")).status)
    tap.is_(sorted(clash), [201] + [422] * 15, "16 creators of one address: one wins")


def repair(server, c):
    spec = make(c, "mend", clusterIP="10.96.0.77")
    c.delete(IPS + "/10.96.0.77")
    c.post(IPS, {"metadata": {"name": "10.96.0.200", "labels": {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                 "ipaddress.kubernetes.io/ip-family": "IPv4"}}, "spec": {"parentRef": {
                     "resource": "services", "namespace": "default", "name": "nobody"}}})
    tap.is_((spec.get("clusterIP"), c.get(IPS + "/10.96.0.77").status, c.get(IPS + "/10.96.0.200").status),
            ("10.96.0.77", 404, 200), "repair: an IPAddress deleted and one leaked by hand")
    server.stop()
    server.start()
    c.close()
    tap.ok(eventually(lambda: c.get(IPS + "/10.96.0.77").status == 200, 10), "repair: the lost IPAddress is back after a restart")
    is_status(c.post(SVC, service("thief", clusterIP="10.96.0.77")), 422, "Invalid", "already allocated",
              "repair: and its address is taken")


def dual(c):
    one = make(c, "one")
    tap.is_((one["ipFamilyPolicy"], one["ipFamilies"]), ("SingleStack", ["IPv4"]), "dual-stack: SingleStack by default")
    two = make(c, "two", ipFamilyPolicy="PreferDualStack")
    tap.is_((two["ipFamilies"], [bool(re.match(r"10\.96\.", two["clusterIPs"][0])),
             two["clusterIPs"][1].startswith("fd00:10:96:")]), (["IPv4", "IPv6"], [True, True]), "dual-stack: one of each")
    six = make(c, "six", ipFamilies=["IPv6"])
    tap.ok(six["clusterIP"].startswith("fd00:10:96:") and six["ipFamilyPolicy"] == "SingleStack", "dual-stack: IPv6 alone", six)
    turned = make(c, "turned", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv6", "IPv4"])
    tap.ok(":" in turned["clusterIPs"][0] and "." in turned["clusterIPs"][1], "dual-stack: the other order", turned)
    more = c.patch(SVC + "/one", {"spec": {"ipFamilyPolicy": "RequireDualStack"}}).json()["spec"]
    tap.is_((len(more["clusterIPs"]), more["clusterIPs"][0]), (2, one["clusterIP"]), "dual-stack: upgrade keeps the first")
    gone = more["clusterIPs"][1]
    less = c.patch(SVC + "/one", {"spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"],
                                           "clusterIPs": [one["clusterIP"]]}})
    tap.is_((less.status, less.json().get("spec", {}).get("clusterIPs")), (200, [one["clusterIP"]]), "dual-stack: downgrade")
    names = addresses(c)
    tap.ok(gone not in names and one["clusterIP"] in names, "dual-stack: and releases the second", names)
    none = make(c, "none", clusterIP="None", ipFamilyPolicy="PreferDualStack")
    tap.is_((none["clusterIPs"], none["ipFamilies"]), (["None"], ["IPv4", "IPv6"]), "dual-stack: headless has both families")
    is_status(c.post(SVC, service("bad", clusterIPs=["10.96.1.1", "10.96.1.2"], ipFamilyPolicy="RequireDualStack")), 422,
              "Invalid", r"spec.clusterIPs", "dual-stack: two of one family")
    tap.is_(c.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").json()["spec"]["cidrs"],
            ["10.96.0.0/16", "fd00:10:96::/108"], "dual-stack: the ServiceCIDR")


def single(c):
    is_status(c.post(SVC, service("two", ipFamilyPolicy="RequireDualStack")), 422, "Invalid",
              "this cluster is not configured for dual-stack services", "single-stack: RequireDualStack is refused")
    is_status(c.post(SVC, service("six", ipFamilies=["IPv6"])), 422, "Invalid",
              r'spec.ipFamilies\[0\]: Invalid value: "IPv6": not configured on this cluster', "single-stack: IPv6 is refused")
    tap.is_(make(c, "prefer", ipFamilyPolicy="PreferDualStack").get("ipFamilies"), ["IPv4"], "single-stack: PreferDualStack takes one")


def exhaustion(c):
    """A /28 has 14 addresses, and the kubernetes Service has one."""
    got, last = [], None
    for i in range(20):
        last = c.post(SVC, service(f"s{i}"))
        if last.status != 201:
            break
        got.append(last.json()["spec"]["clusterIP"])
    tap.is_((len(got), len(set(got))), (13, 13), "exhaustion: all 13 addresses of a /28 are given, each once")
    tap.like(said(last), "range is full", "exhaustion: then the range is full")
    c.delete(SVC + "/s5")
    tap.is_(c.post(SVC, service("more")).json().get("spec", {}).get("clusterIP"), got[5], "exhaustion: a released one is given again")
    ports = [c.post(SVC, service(f"h{i}", clusterIP="None")).status for i in range(3)]
    tap.is_(ports, [201] * 3, "exhaustion: headless Services need none")


def main():
    with apiserver.Server("--advertise-address", "192.0.2.10") as server:
        c = Client(server)
        for story in (own_objects, choices, node_ports, single):
            run_story(story, c)
        run_story(creators, server, c)
        run_story(repair, server, c)
    with apiserver.Server("--service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/108") as server:
        run_story(dual, Client(server))
    with apiserver.Server("--service-cluster-ip-range", "10.96.0.0/28") as server:
        run_story(exhaustion, Client(server))
    tap.done()


main()

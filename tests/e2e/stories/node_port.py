# SPDX-License-Identifier: Apache-2.0
"""Services seen from outside and at the nodes' own addresses: NodePort, external IPs, load balancer addresses."""

import json

from common import FAMILIES, LOOPBACK, all_of, name_of, reached, refused, spread, tap, translates_at_sockets, unanswered, until
from lab import CLIENT
from lab_objects import service_object, service_port

EXTERNAL = {4: "198.18.7.80", 6: "fd10:e::80"}
BALANCER = {4: "198.18.7.81", 6: "fd10:e::81"}
LOCAL_BALANCER = {4: "198.18.7.82", 6: "fd10:e::82"}
STRANGER = {4: "198.51.100.11", 6: "fd10:c::11"}  # another address of the client: not in the source ranges
BOTH = {"b", "c"}


def services():
    return [service_object("np", spec={"type": "NodePort", "externalIPs": list(EXTERNAL.values())}),
            service_object("np2", spec={"type": "NodePort"}),
            service_object("np-host", spec={"type": "NodePort"}),
            service_object("np-empty", spec={"type": "NodePort"}),
            service_object("np-deaf", [service_port(80, 9), service_port(80, 9, "UDP")], spec={"type": "NodePort"}),
            service_object("lb", spec={"type": "LoadBalancer", "loadBalancerSourceRanges": [
                CLIENT[4] + "/32", CLIENT[6] + "/128"]}),
            service_object("lb-local", spec={"type": "LoadBalancer", "externalTrafficPolicy": "Local"}),
            service_object("in-local", spec={"internalTrafficPolicy": "Local"})]


def endpoints(cast):
    return {"np": [cast.b, cast.c], "np2": [cast.c], "np-host": [cast.h], "np-empty": [], "np-deaf": [cast.c],
            "lb": [cast.b, cast.c], "lb-local": [cast.c], "in-local": [cast.c]}


def prepare(lab):
    lab.balancer_status("lb", list(BALANCER.values()))
    lab.balancer_status("lb-local", list(LOCAL_BALANCER.values()))
    lab.route_to("n2", *EXTERNAL.values())
    lab.route_to("n3", *BALANCER.values())
    lab.client.ip(f"address add {STRANGER[4]}/24 dev eth0\naddress add {STRANGER[6]}/64 dev eth0 nodad preferred_lft 0\n")


def both_ways(lab, place, to, port, names):
    """Names by TCP, by UDP connected and not."""
    reached(lab, place, to, port, names)
    return (spread(place, to, port, 16), spread(place, to, port, 16, proto="udp"),
            spread(place, to, port, 16, proto="udp", connected=False))


def outside(lab, cast, made):
    """Every node serves its clients outside, wherever the backends are."""
    port = made["np"].node_port(80)
    for family in FAMILIES:
        for node in lab.nodes.values():
            to = node.ips[family]
            reached(lab, lab.client, to, port, BOTH)
            tap.is_((spread(lab.client, to, port), spread(lab.client, to, made["np"].node_port(80, "UDP"), proto="udp"),
                     spread(lab.client, to, made["np"].node_port(80, "UDP"), proto="udp", connected=False)),
                    (BOTH, BOTH, BOTH), f"IPv{family}: {node.name}'s NodePort reaches both backends, by TCP and UDP")
        to = lab.nodes["n3"].ips[family]
        pieces = lab.client.peer.udp(to, made["np"].node_port(80, "UDP"), size=8000, reply=8000, tries=3)
        large = lab.client.peer.tcp(to, port, get=2000000, put=2000000)
        all_of(f"IPv{family}: megabytes and datagrams of 8 KB pass a NodePort", [
            ("2 MB there", large.get("put_whole"), True), ("2 MB back", large.get("get_whole"), True),
            ("8 KB each way", pieces.get("whole"), True), ("who answers", pieces.get("by", [0])[0], to)])
        sources = {name: set() for name in BOTH}
        for _ in range(24):
            answer = lab.client.peer.tcp(lab.nodes["n1"].ips[family], port)
            sources.setdefault(name_of(answer), set()).add(answer.get("client", [0])[0])
        tap.is_(sources, {"b": {CLIENT[family]}, "c": {lab.nodes["n1"].ips[family]}},
                f"IPv{family}: a backend on the node sees the client, one elsewhere the node")


def inside(lab, cast, made):
    """Pods, the node itself, and its loopback address use NodePorts too."""
    port, n1, n2 = made["np"].node_port(80), lab.nodes["n1"], lab.nodes["n2"]
    udp = made["np"].node_port(80, "UDP")
    for family in FAMILIES:
        cases = []
        for who, place in (("pod", cast.a), ("node", n1)):
            for node in (n1, n2):
                to = node.ips[family]
                reached(lab, place, to, port, BOTH)
                cases += [(f"{who} to {node.name}, TCP", spread(place, to, port, 16), BOTH),
                          (f"{who} to {node.name}, UDP", spread(place, to, udp, 16, proto="udp", connected=False), BOTH)]
        all_of(f"IPv{family}: pods and nodes use the NodePort of their own and of other nodes", cases)
        tap.is_((spread(n1, LOOPBACK[family], port, 16), spread(n1, LOOPBACK[family], udp, 16, proto="udp")), (BOTH, BOTH),
                f"IPv{family}: a node's loopback address serves NodePorts")
        if translates_at_sockets(lab):
            answer = n1.peer.bind("tcp", n1.ips[family], port)
            tap.ok("error" in answer, f"IPv{family}: nobody can bind a NodePort on the host", answer)


def other_addresses(lab, cast, made):
    """External IPs and load balancer addresses, from outside and inside."""
    for family in FAMILIES:
        for what, to in (("an external IP", EXTERNAL[family]), ("a load balancer address", BALANCER[family])):
            cases = []
            for who, place in (("client", lab.client), ("pod", cast.a), ("node", lab.nodes["n1"])):
                cases += [(who, both_ways(lab, place, to, 80, BOTH), (BOTH, BOTH, BOTH))]
            all_of(f"IPv{family}: {what} is served from outside, to pods and to nodes", cases)
            all_of(f"IPv{family}: {what} refuses other ports at once", [
                ("TCP", lab.client.peer.tcp(to, 81), refused), ("UDP", lab.client.peer.udp(to, 81), refused),
                ("TCP from a pod", cast.a.peer.tcp(to, 81), refused)])


def source_ranges(lab, cast, made):
    for family in FAMILIES:
        answer = lab.client.peer.tcp(BALANCER[family], 80, source=STRANGER[family], timeout=0.5)
        datagram = lab.client.peer.udp(BALANCER[family], 80, source=STRANGER[family], timeout=0.5)
        all_of(f"IPv{family}: who is not in loadBalancerSourceRanges gets no answer", [
            ("TCP", answer, unanswered), ("UDP", datagram, unanswered)])
        tap.is_(reached(lab, lab.client, BALANCER[family], 80, BOTH) in BOTH, True, f"IPv{family}: and who is in them gets one")


def refusals(lab, cast, made):
    for family in FAMILIES:
        to, empty, deaf = lab.nodes["n1"].ips[family], made["np-empty"], made["np-deaf"]
        until(lambda to=to: refused(lab.client.peer.tcp(to, empty.node_port(80), timeout=1)), 3)
        cases = []
        for who, place in (("client", lab.client), ("pod", cast.a), ("node", lab.nodes["n1"]), ("other node", lab.nodes["n3"])):
            cases += [(f"{who}, TCP", place.peer.tcp(to, empty.node_port(80)), refused),
                      (f"{who}, UDP", place.peer.udp(to, empty.node_port(80, "UDP")), refused)]
        all_of(f"IPv{family}: a NodePort without endpoints refuses at once", cases)
        all_of(f"IPv{family}: a backend's own refusal reaches the client", [
            ("TCP", lab.client.peer.tcp(to, deaf.node_port(80)), refused),
            ("UDP", lab.client.peer.udp(to, deaf.node_port(80, "UDP")), refused)])
        cluster = made["np"].ips[family]
        lab.route_to("n1", cluster)
        answer = lab.client.peer.tcp(cluster, 80, timeout=0.5)
        tap.ok(name_of(answer) in ("TIMEOUT", "ECONNREFUSED"), f"IPv{family}: a ClusterIP is not served outside", answer)


def traffic_policies(lab, cast, made):
    """externalTrafficPolicy and internalTrafficPolicy: Local."""
    port = made["lb-local"].node_port(80)
    n1, n2 = lab.nodes["n1"], lab.nodes["n2"]
    for family in FAMILIES:
        reached(lab, lab.client, n2.ips[family], port, {"c"})
        at_home = lab.client.peer.tcp(n2.ips[family], port)
        lab.route_to("n2", LOCAL_BALANCER[family])
        balanced = lab.client.peer.tcp(LOCAL_BALANCER[family], 80)
        all_of(f"IPv{family}: with externalTrafficPolicy Local the backend sees the client", [
            ("by NodePort", at_home.get("client", [0])[0], CLIENT[family]),
            ("by load balancer address", balanced.get("client", [0])[0], CLIENT[family])])
        answer = lab.client.peer.tcp(n1.ips[family], port, timeout=0.5)
        tap.ok(unanswered(answer), f"IPv{family}: and a node without a backend drops", answer)
        all_of(f"IPv{family}: pods and nodes reach it everywhere", [
            ("pod, load balancer address", reached(lab, cast.a, LOCAL_BALANCER[family], 80, {"c"}), "c"),
            ("node, load balancer address", reached(lab, n1, LOCAL_BALANCER[family], 80, {"c"}), "c"),
            ("pod, NodePort of its node", reached(lab, cast.a, n1.ips[family], port, {"c"}), "c")])
        vip = made["in-local"].ips[family]
        tap.is_(reached(lab, n2, vip, 80, {"c"}), "c", f"IPv{family}: internalTrafficPolicy Local serves where a backend is")
        answer = cast.a.peer.tcp(vip, 80, timeout=0.5)
        tap.ok("error" in answer, f"IPv{family}: and not elsewhere", answer)


def health_check(lab, cast, made):
    """Load balancers ask healthCheckNodePort whether a node has backends."""
    port = made["lb-local"].health_port
    codes = {}
    for node in lab.nodes.values():
        status, body = node.get("/", port, node.ips[4], lab.client)
        codes[node.name] = status
        tap.like(body, r'"localEndpoints": ?%d' % (node.name == "n2"), f"{node.name}'s health check counts its endpoints")
    tap.is_(codes, {"n1": 503, "n2": 200, "n3": 503}, "only the node with an endpoint is healthy")
    tap.is_(lab.nodes["n2"].get("/", port, lab.nodes["n2"].ips[6], lab.client)[0], 200, "it answers by IPv6 too")


def host_backend(lab, cast, made):
    """A backend with its node's network, on this node and on another one."""
    port, udp = made["np-host"].node_port(80), made["np-host"].node_port(80, "UDP")
    for family in FAMILIES:
        cases = []
        for node in lab.nodes.values():
            to = node.ips[family]
            cases += [(node.name, reached(lab, lab.client, to, port, {"h"}), "h"),
                      (node.name + " UDP", reached(lab, lab.client, to, udp, {"h"}, proto="udp"), "h")]
        all_of(f"IPv{family}: a backend with a node's network is reached by every node's NodePort", cases)


def one_backend_two_ports(lab, cast, made):
    """One client port to two services of one backend: each has its own connection."""
    for family in FAMILIES:
        to = lab.nodes["n1"].ips[family]
        ports = made["np2"].node_port(80), made["lb-local"].node_port(80)
        reached(lab, lab.client, to, ports[0], {"c"})
        n2 = lab.nodes["n2"].ips[family]
        opened = [lab.client.peer.open(f"two{family}-1", n2, ports[0], source_port=43000),
                  lab.client.peer.open(f"two{family}-2", n2, ports[1], source_port=43000),
                  lab.client.peer.open(f"two{family}-3", to, ports[0], source_port=43000)]
        opened += [lab.client.peer.ask(f"two{family}-{number}") for number in (1, 2, 3)]
        all_of(f"IPv{family}: one client port reaches one backend on three ways",
               [(str(i), name_of(answer), "c") for i, answer in enumerate(opened)])
        for number in (1, 2, 3):
            lab.client.peer.close(f"two{family}-{number}")


def hooks(lab, cast, made):
    """Each hook that is configured has its share, and the others none."""
    rows = [row for node in lab.nodes.values() for row in json.loads(node.fairctl("drops", "--all", "-o", "json"))]
    served = {row["where"] for row in rows if row["reason"] in ("translated", "forwarded") and int(row["packets"])}
    tap.is_({hook: hook in served for hook in ("sock", "to_lo", "edge", "from_pod", "uplink")},
            {"sock": translates_at_sockets(lab), "to_lo": not translates_at_sockets(lab), "from_pod": True, "uplink": True,
             "edge": lab.settings.get("xdp") != "false" and lab.settings.get("routing") == "native"},
            "what is configured is at work")


STORIES = (outside, inside, other_addresses, source_ranges, refusals, traffic_policies, health_check, host_backend,
           one_backend_two_ports, hooks)

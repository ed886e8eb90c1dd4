# SPDX-License-Identifier: Apache-2.0
"""Service addresses seen from inside: by pods, by processes of a node, by pods with the node's network."""

from common import FAMILIES, all_of, name_of, reached, refused, spread, tap, unanswered, until
from lab_objects import service_object, service_port

PORTS = [service_port(80), service_port(443, 8443), service_port(80, proto="UDP"), service_port(53, 5353, "UDP")]


def services():
    return [service_object("web", PORTS),
            service_object("self"),
            service_object("twin"),
            service_object("onhost"),
            service_object("empty"),
            service_object("deaf", [service_port(80, 9), service_port(80, 9, "UDP")]),
            service_object("headless", spec={"clusterIP": "None"}),
            service_object("foreign", labels={"service.kubernetes.io/service-proxy-name": "another"})]


def endpoints(cast):
    return {"web": [cast.b, cast.c], "self": [cast.b], "twin": [cast.b], "onhost": [cast.h], "empty": [], "deaf": [cast.c],
            "headless": [cast.c], "foreign": [cast.c]}


def clients(lab, cast):
    """(who, place, the address that servers on other nodes see; by family)"""
    n1 = lab.nodes["n1"]
    return (("a pod", cast.a, cast.a.ips), ("a process of the node", n1, n1.ips), ("a pod with the node's network", cast.h, cast.h.ips))


def reach(lab, cast, made):
    """Every kind of client by every protocol; both backends serve, and see the client."""
    for family in FAMILIES:
        vip = made["web"].ips[family]
        for who, place, source in clients(lab, cast):
            both = {"b", "c"}
            reached(lab, place, vip, 80, both)
            tap.is_(spread(place, vip, 80), both, f"IPv{family}: {who} reaches both backends by TCP")
            tap.is_((spread(place, vip, 80, proto="udp", count=16), spread(place, vip, 80, proto="udp", count=16, connected=False)),
                    (both, both), f"IPv{family}: {who} reaches both by UDP, connected and not")
            answer = place.peer.tcp(vip, 443)
            datagram = place.peer.udp(vip, 53, connected=False)
            connected = place.peer.udp(vip, 53)
            all_of(f"IPv{family}: {who} sees the service's address, the server the client's", [
                ("TCP, another port", answer.get("local", [0, 0])[1], 8443),
                ("who the socket speaks to", answer.get("peer"), [vip, 443]),
                ("the client that the server sees", answer.get("client", [0])[0], source[family]),
                ("UDP, who the answer comes from", datagram.get("by"), [vip, 53]),
                ("UDP, its port", datagram.get("local", [0, 0])[1], 5353),
                ("UDP connected, who the socket speaks to", connected.get("peer"), [vip, 53])])
            large = place.peer.tcp(vip, 80, get=2000000, put=2000000)
            pieces = place.peer.udp(vip, 80, size=8000, reply=8000, tries=3)
            all_of(f"IPv{family}: {who} moves megabytes and datagrams of 8 KB", [
                ("2 MB there", large.get("put_whole"), True), ("2 MB back", large.get("get_whole"), True),
                ("8 KB each way", pieces.get("whole"), True)])
    mapped = [name_of(place.peer.tcp(made["web"].ips[4], 80, mapped=True)) for _, place, _ in clients(lab, cast)]
    tap.ok(set(mapped) <= {"b", "c"}, "an IPv6 socket reaches the IPv4 address too", mapped)


def refusals(lab, cast, made):
    """No endpoints, unknown ports: refused at once, by TCP and by UDP."""
    for family in FAMILIES:
        empty, web = made["empty"].ips[family], made["web"].ips[family]
        for who, place, _ in clients(lab, cast):
            until(lambda place=place, empty=empty: refused(place.peer.tcp(empty, 80)), 3)
            all_of(f"IPv{family}: {who} is refused at once", [
                ("no endpoints, TCP", place.peer.tcp(empty, 80), refused),
                ("no endpoints, UDP", place.peer.udp(empty, 80), refused),
                ("unknown port, TCP", place.peer.tcp(web, 81), refused),
                ("unknown port, UDP", place.peer.udp(web, 81), refused),
                ("nobody listens, TCP", place.peer.tcp(made["deaf"].ips[family], 80), refused),
                ("nobody listens, UDP", place.peer.udp(made["deaf"].ips[family], 80), refused)])


def not_ours(lab, cast, made):
    for family in FAMILIES:
        answer = cast.a.peer.tcp(made["foreign"].ips[family], 80, timeout=1)
        tap.ok(refused(answer) or unanswered(answer), f"IPv{family}: a service of another proxy is left alone", answer)
    tap.is_(made["headless"].ips, {}, "a headless service has no address")


def hairpin(lab, cast, made):
    """A pod that is its service's only backend reaches itself."""
    for family in FAMILIES:
        vip = made["self"].ips[family]
        all_of(f"IPv{family}: a pod reaches itself by its service", [
            ("TCP", reached(lab, cast.b, vip, 80, {"b"}), "b"),
            ("UDP connected", reached(lab, cast.b, vip, 80, {"b"}, proto="udp"), "b"),
            ("UDP", reached(lab, cast.b, vip, 80, {"b"}, proto="udp", connected=False), "b"),
            ("1 MB", cast.b.peer.tcp(vip, 80, get=1000000).get("get_whole"), True)])


def host_backend(lab, cast, made):
    """A backend with its node's network serves pods of its own node and of others, and processes of its node."""
    for family in FAMILIES:
        vip = made["onhost"].ips[family]
        cases = []
        for who, place in (("pod elsewhere", cast.a), ("pod beside", cast.c), ("its own node", lab.nodes["n2"]),
                           ("another node", lab.nodes["n3"])):
            cases += [(f"{who}, TCP", reached(lab, place, vip, 80, {"h"}), "h"),
                      (f"{who}, UDP", reached(lab, place, vip, 80, {"h"}, proto="udp", connected=False), "h")]
        all_of(f"IPv{family}: a backend with the node's network serves everybody", cases)


def one_backend_two_services(lab, cast, made):
    """One backend behind two addresses, one client port: both connections live side by side."""
    for family in FAMILIES:
        one, two = made["self"].ips[family], made["twin"].ips[family]
        reached(lab, cast.a, two, 80, {"b"})
        opened = [cast.a.peer.open(f"twin{family}-1", one, 80, source_port=40000 + family),
                  cast.a.peer.open(f"twin{family}-2", two, 80, source_port=40000 + family)]
        again = [cast.a.peer.ask(f"twin{family}-1"), cast.a.peer.ask(f"twin{family}-2")]
        udp = [cast.a.peer.open_udp(f"twin{family}-3", one, 80, source_port=41000 + family)]
        udp += [cast.a.peer.udp(two, 80, connected=False, source_port=42000 + family, tries=2)]
        udp += [cast.a.peer.udp(one, 80, connected=False, source_port=42000 + family, tries=2)]
        all_of(f"IPv{family}: one client port speaks to one backend behind two services",
               [(f"TCP {i}", name_of(answer), "b") for i, answer in enumerate(opened + again)] +
               [(f"UDP {i}", name_of(answer), "b") for i, answer in enumerate(udp)] +
               [("UDP, who answers", udp[1].get("by"), [two, 80]), ("UDP, who answers", udp[2].get("by"), [one, 80])])
        for number in (1, 2, 3):
            cast.a.peer.close(f"twin{family}-{number}")


STORIES = (reach, refusals, not_ours, hairpin, host_backend, one_backend_two_services)

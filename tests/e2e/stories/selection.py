# SPDX-License-Identifier: Apache-2.0
"""Which backend serves: affinity, readiness, topology, consistency; and what happens to connections when backends go."""

import time

from common import FAMILIES, all_of, name_of, reached, refused, spread, tap, until
from lab_objects import service_object, service_port

FOUR = {"a", "b", "c", "d"}
MAGLEV = {4: "198.18.7.90", 6: "fd10:e::90"}
STICKY = 4  # services with affinity: all of them agreeing by chance is unlikely


def services():
    sticky = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 1}}}
    steady = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}}
    return [*(service_object(f"sticky{i}", spec={**sticky, "type": "NodePort"}) for i in range(STICKY)),
            service_object("steady", spec={**steady, "type": "NodePort"}),
            service_object("states"), service_object("zones"), service_object("drain", spec={"type": "NodePort"}),
            service_object("consistent", spec={"externalIPs": list(MAGLEV.values())}),
            service_object("rival", spec={"externalIPs": list(MAGLEV.values())}),
            service_object("odd", [service_port(80), service_port(81, 8443)])]


def endpoints(cast):
    four = [cast.a, cast.b, cast.c, cast.d]
    return {**{f"sticky{i}": four for i in range(STICKY)}, "steady": four, "states": four, "zones": four, "drain": [cast.b, cast.c],
            "consistent": four, "rival": [cast.a], "odd": four}


def faithful(names):
    return len(names) == 1 and names <= FOUR


def affinity(lab, cast, made):
    """A client stays with its backend, and is free again when it was silent for the timeout."""
    vips = [(made["steady"].ips[f], 80, p) for f in FAMILIES for p in (cast.a, lab.nodes["n3"])]
    vips += [(lab.nodes["n2"].ips[f], made["steady"].node_port(80), lab.client) for f in FAMILIES]
    for to, port, place in vips:
        reached(lab, place, to, port, FOUR)
    all_of("each client stays with one backend", ((f"{place.name} to {to}", spread(place, to, port, 16), faithful)
                                                  for to, port, place in vips))

    def choices(place, family, node_port):
        return [name_of(place.peer.tcp(lab.nodes["n2"].ips[family] if node_port else made[f"sticky{i}"].ips[family],
                                       made[f"sticky{i}"].node_port(80) if node_port else 80)) for i in range(STICKY)]

    kinds = [(cast.a, 4, False), (cast.a, 6, False), (lab.nodes["n3"], 4, False)]
    seen = {i: set() for i in range(len(kinds))}
    for _ in range(5):
        for i, kind in enumerate(kinds):
            seen[i].add(tuple(choices(*kind)))
        if all(len(s) > 1 for s in seen.values()):
            break
        time.sleep(2.2)
    tap.ok(all(len(s) > 1 and set().union(*s) <= FOUR for s in seen.values()), "when the timeout is over it is free to choose again", seen)


def states(lab, cast, made):
    """Ready backends serve; without any, those that are terminating and still serve; else nobody."""
    four = (cast.a, cast.b, cast.c, cast.d)
    unready = {"conditions": {"ready": False, "serving": False}}
    draining = {"conditions": {"ready": False, "serving": True, "terminating": True}}
    place = cast.a
    for family in FAMILIES:
        vip = made["states"].ips[family]
        lab.endpoints(made["states"], [cast.a, (cast.b, unready), (cast.c, draining), cast.d])
        ok = until(lambda vip=vip: spread(place, vip, 80, 16) == {"a", "d"}, 3)
        tap.ok(ok, f"IPv{family}: only those that are ready serve", spread(place, vip, 80, 16))
        lab.endpoints(made["states"], [(cast.a, unready), (cast.b, unready), (cast.c, draining), (cast.d, unready)])
        ok = until(lambda vip=vip: spread(place, vip, 80, 8) == {"c"}, 3)
        tap.ok(ok, f"IPv{family}: without them, who is terminating but serves", spread(place, vip, 80, 8))
        lab.endpoints(made["states"], [(p, unready) for p in four])
        ok = until(lambda vip=vip: refused(place.peer.tcp(vip, 80, timeout=1)), 3)
        tap.ok(ok, f"IPv{family}: without these, nobody", place.peer.tcp(vip, 80, timeout=1))


def zones(lab, cast, made):
    """Topology hints: clients stay in their zone while every endpoint has a hint."""
    def hint(pod, *names):
        return pod, {"hints": {"forZones": [{"name": name} for name in names]}}

    lab.endpoints(made["zones"], [hint(cast.a, "z1"), hint(cast.b, "z1"), hint(cast.c, "z2"), hint(cast.d, "z3")])
    for family in FAMILIES:
        vip = made["zones"].ips[family]
        ok = until(lambda vip=vip: spread(cast.a, vip, 80) == {"a", "b"} and spread(cast.c, vip, 80, 8) == {"c"}, 3)
        tap.ok(ok, f"IPv{family}: hints keep clients in their zone", (spread(cast.a, vip, 80), spread(cast.c, vip, 80, 8)))
    lab.endpoints(made["zones"], [hint(cast.a, "z1"), cast.b, hint(cast.c, "z2"), hint(cast.d, "z3")])
    vip = made["zones"].ips[4]
    ok = until(lambda: spread(cast.a, vip, 80, 40) == FOUR, 3)
    tap.ok(ok, "when one has none, all serve everybody", spread(cast.a, vip, 80, 40))


def consistent(lab, cast, made):
    """The same client gets the same backend whichever node receives it: so a node may fail."""
    for family in FAMILIES:
        chosen = {}
        for node in ("n1", "n2", "n3"):
            lab.route_to(node, MAGLEV[family])
            reached(lab, lab.client, MAGLEV[family], 80, FOUR, proto="udp")
            chosen[node] = [name_of(lab.client.peer.udp(MAGLEV[family], 80, source_port=45000 + i)) for i in range(16)]
        tap.ok(chosen["n1"] == chosen["n2"] == chosen["n3"] and set(chosen["n1"]) <= FOUR and len(set(chosen["n1"])) > 1,
               f"IPv{family}: every node chooses the same backend for a client", chosen)
    for family in FAMILIES:  # `rival` claims the same address: one of them has it, and all of it
        names = spread(lab.client, MAGLEV[family], 80, 30, proto="udp")
        tap.ok(names in (FOUR, {"a"}), f"IPv{family}: of two services that claim an address one has it", names)


def moved_on(name):
    """By another backend; or a connected socket, which was translated when it connected, is told to do that again."""
    return name in ("c", "ECONNABORTED", "EDESTADDRREQ")


def removal(lab, cast, made):
    """TCP connections outlive the removal of their backend from the service; UDP moves to another one."""
    places = {"pod": (cast.a, lambda f: (made["drain"].ips[f], 80)),
              "node": (lab.nodes["n3"], lambda f: (made["drain"].ips[f], 80)),
              "client": (lab.client, lambda f: (lab.nodes["n3"].ips[f], made["drain"].node_port(80)))}
    lab.endpoints(made["drain"], [cast.b])
    for who, (place, where) in places.items():
        for family in FAMILIES:
            to, port = where(family)
            until(lambda place=place, to=to, port=port: spread(place, to, port, 6) == {"b"}, 3)
            place.peer.open(f"drain-{who}{family}", to, port)
            udp = made["drain"].node_port(80, "UDP") if who == "client" else 80
            place.peer.open_udp(f"drain-udp-{who}{family}", to, udp)
    lab.endpoints(made["drain"], [cast.c])
    cases, moved = [], []
    for who, (place, where) in places.items():
        for family in FAMILIES:
            to, port = where(family)
            fresh = until(lambda place=place, to=to, port=port: spread(place, to, port, 4) == {"c"}, 3)
            cases += [(f"{who} IPv{family}, new connection", fresh, True),
                      (f"{who} IPv{family}, old connection", name_of(place.peer.ask(f"drain-{who}{family}")), "b")]
            again = until(lambda place=place, key=f"drain-udp-{who}{family}": (lambda n: n if n != "b" else None)(
                name_of(place.peer.ask_udp(key, timeout=0.5))), 3)
            moved.append((f"{who} IPv{family}", again, moved_on))
            place.peer.close(f"drain-{who}{family}")
            place.peer.close(f"drain-udp-{who}{family}")
    all_of("a backend that is removed keeps its TCP connections, and gets no new ones", cases)
    all_of("what UDP goes on sending no longer reaches it", moved)


def odd(lab, cast, made):
    """Objects with anything odd are skipped, with a reason, and harm nobody."""
    meta = {"labels": {"kubernetes.io/service-name": "odd"}}
    good = {"addresses": [cast.c.ips[4]], "conditions": {"ready": True}, "nodeName": "n2"}
    lab.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": {**meta, "name": "odd-1"}, "ports": [{"name": "tcp-80", "port": 8080, "protocol": "TCP"}],
               "endpoints": [good, good, {"addresses": ["10.244.9.9"], "conditions": {"ready": False}},
                             {"addresses": [cast.d.ips[4]], "conditions": {}}]},
              {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "FQDN",
               "metadata": {**meta, "name": "odd-2"}, "ports": [{"name": "tcp-80", "port": 8080, "protocol": "TCP"}],
               "endpoints": [{"addresses": ["example.org"], "conditions": {"ready": True}}]},
              {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": {**meta, "name": "odd-3"}, "ports": [{"name": "tcp-80"}, {"name": "nobody", "port": 1}],
               "endpoints": [good]},
              {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": {"name": "odd-orphan", "labels": {"kubernetes.io/service-name": "nobody"}},
               "ports": [{"name": "x", "port": 1, "protocol": "SCTP"}], "endpoints": [good]})
    lab.apply(*({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                 "metadata": {**meta, "name": f"odd-many-{n}"}, "ports": [{"name": "tcp-81", "port": 8443, "protocol": "TCP"}],
                 "endpoints": [{"addresses": [f"10.200.{n * 4 + i // 250}.{i % 250 + 1}"], "conditions": {"ready": True}}
                               for i in range(1000)]} for n in range(5)))
    vip = made["odd"].ips[4]
    tap.is_(until(lambda: spread(cast.a, vip, 80, 30) == FOUR, 5), True, "a service with odd slices serves by the good ones")
    tap.is_(reached(lab, cast.b, made["zones"].ips[4], 80, FOUR) in FOUR, True, "and the others are unharmed")
    lab.delete("endpointslice", "odd-1", "odd-2", "odd-3", "odd-orphan", *(f"odd-many-{n}" for n in range(5)))
    tap.is_(until(lambda: spread(cast.a, made["odd"].ips[6], 81, 30) == FOUR, 5), True, "5,000 endpoints come and go")


STORIES = (affinity, states, zones, consistent, removal, odd)

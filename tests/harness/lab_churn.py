# SPDX-License-Identifier: Apache-2.0
"""Churn: writers that change Services and EndpointSlices as fast as they can, and a comparison of what the API says after
it with what `fairctl` finds in a node's tables."""

import contextlib
import http.client
import json
import random
import threading
import traceback

from lab import API
from lab_api import SERVICES, SLICES, Api, ApiError
from lab_objects import service_port

EXTERNAL = ("198.18.7.1", "198.18.7.2", "fd10:e::1")  # wanted by many: the oldest Service gets each port
READY = {"ready": True, "serving": True, "terminating": False}
CONDITIONS = (READY, READY, READY, {"ready": False, "serving": True, "terminating": True},
              {"ready": False, "serving": False, "terminating": False})


def random_spec(rng):
    """A Service's spec."""
    families = rng.choice((["IPv4", "IPv6"], ["IPv4", "IPv6"], ["IPv4"], ["IPv6"]))
    ports = [service_port(port, 8000 + port % 100, proto) for port, proto in
             rng.sample([(80, "TCP"), (80, "UDP"), (443, "TCP"), (53, "UDP"), (53, "TCP"), (5060, "SCTP")], rng.randint(1, 4))]
    kind = rng.choice(("ClusterIP", "ClusterIP", "NodePort", "LoadBalancer"))
    spec = {"type": kind, "ports": ports, "ipFamilies": families,
            "ipFamilyPolicy": "RequireDualStack" if len(families) == 2 else "SingleStack"}
    if rng.random() < 0.25:
        spec["externalIPs"] = rng.sample(EXTERNAL, rng.randint(1, 2))
    if rng.random() < 0.2:
        spec["internalTrafficPolicy"] = "Local"
    if kind != "ClusterIP" and rng.random() < 0.3:
        spec["externalTrafficPolicy"] = "Local"
    if kind == "LoadBalancer" and rng.random() < 0.3:
        spec["loadBalancerSourceRanges"] = ["198.51.100.0/24", "fd10:c::/64"][:rng.randint(1, 2)]
    if rng.random() < 0.2:
        spec["sessionAffinity"] = "ClientIP"
    return spec


def random_slice(rng, service, family, part):
    """An EndpointSlice of a Service, of pods that there need not be."""
    def address():
        node, pod = rng.randint(1, 3), rng.randint(2, 60)
        return f"n{node}", f"10.244.{node}.{pod}" if family == 4 else f"fd10:244:0:{node}::{pod:x}"

    ends = [{"addresses": [ip], "nodeName": node, "conditions": rng.choice(CONDITIONS)}
            for node, ip in (address() for _ in range(rng.randint(0, 20)))]
    ports = [{"name": f"{proto.lower()}-{port}", "port": 8000 + port % 100 + rng.choice((0, 0, 0, 1)), "protocol": proto}
             for port, proto in ((80, "TCP"), (80, "UDP"), (443, "TCP"), (53, "UDP"), (53, "TCP"), (5060, "SCTP"))]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{family}",
            "metadata": {"name": f"{service}-{family}-{part}", "labels": {"kubernetes.io/service-name": service}},
            "endpoints": ends, "ports": ports}


class Writer(threading.Thread):
    """Changes Services of its own until stop(). Attributes: writes, faults (of a server that was not away)."""

    def __init__(self, lab, number, services, seed):
        super().__init__(daemon=True)
        self.names = [f"churn-{number}-{i}" for i in range(services)]
        self.rng = random.Random(f"{seed}/{number}")
        self.api, self.ended = Api(lab, API, timeout_s=3), threading.Event()
        self.writes, self.faults = 0, []

    def run(self):
        while not self.ended.is_set():
            try:
                self.write()
                self.writes += 1
            except ApiError as error:
                if error.status not in (404, 409):  # gone already, or there already: what it did before a server's death
                    self.faults.append(str(error))
            except (OSError, http.client.HTTPException):
                self.ended.wait(0.05)

    def write(self):
        rng, name = self.rng, self.rng.choice(self.names)
        act = rng.random()
        if act < 0.12:
            self.create(name)
        elif act < 0.2:
            self.api.send("DELETE", f"{SERVICES}/{name}")
        elif act < 0.3:
            self.respecify(name)
        else:
            body = random_slice(rng, name, rng.choice((4, 6)), rng.randint(0, 2))
            path = f"{SLICES}/{body['metadata']['name']}"
            if act > 0.85:
                self.api.send("DELETE", path)
            else:
                self.put(path, body)

    def create(self, name):
        spec = random_spec(self.rng)
        self.api.send("POST", SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
        if spec["type"] == "LoadBalancer":
            ip = f"198.18.7.{self.rng.randint(100, 250)}"
            self.api.send("PATCH", f"{SERVICES}/{name}/status", {"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}},
                          "application/merge-patch+json")

    def respecify(self, name):
        new = random_spec(self.rng)
        keep = {key: new.get(key) for key in ("ports", "externalIPs", "internalTrafficPolicy", "sessionAffinity")}
        self.api.send("PATCH", f"{SERVICES}/{name}", {"spec": {k: v for k, v in keep.items() if v or k == "externalIPs"}},
                      "application/merge-patch+json")

    def put(self, path, body):
        try:
            self.api.send("PUT", path, body)
        except ApiError as error:
            if error.status != 404:
                raise
            self.api.send("POST", SLICES, body)

    def stop(self):
        self.ended.set()
        self.join(20)
        self.api.close()


@contextlib.contextmanager
def churn(lab, count=3, services=20, seed=1):
    """Writers at work; yields them."""
    writers = [Writer(lab, i, services, seed) for i in range(count)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.stop()


# ---- what the API says


def pick(ends):
    """The endpoints that get new connections: ready ones, or else those that serve while they go away."""
    ready = {ip for ip, (_, c) in ends.items() if c.get("ready") is not False}
    return ready or {ip for ip, (_, c) in ends.items() if c.get("serving") and c.get("terminating")}


def better(old, new):
    """Of two descriptions of one endpoint."""
    return old if old and old[1].get("ready") is not False else new


def endpoints_of(service, port, family, slices):
    """{"ip:port": (node, conditions)}"""
    found = {}
    for s in slices.get(service["metadata"]["name"], ()):
        target = next((p["port"] for p in s.get("ports") or () if (p["name"], p["protocol"]) == (port["name"], port["protocol"])), 0)
        if s["addressType"] != f"IPv{family}" or not target:
            continue
        for end in s.get("endpoints") or ():
            where = f"{end['addresses'][0]}:{target}" if family == 4 else f"[{end['addresses'][0]}]:{target}"
            conditions = end["conditions"]
            if conditions.get("ready") or (conditions.get("serving") and conditions.get("terminating")):
                found[where] = better(found.get(where), (end["nodeName"], conditions))
    return found


def addresses_of(service):
    """(address, is external)"""
    spec, status = service["spec"], service.get("status", {})
    yield from ((ip, False) for ip in spec["clusterIPs"])
    outer = [i["ip"] for i in status.get("loadBalancer", {}).get("ingress") or ()] + spec.get("externalIPs", [])
    yield from ((ip, True) for ip in dict.fromkeys(outer))


class Wanted:
    """What a node's tables should hold, of the Services in the namespace `default`."""

    def __init__(self, node, services, slices):
        self.node, self.slices = node, slices
        self.frontends, self.backends, self.known, self.addresses = {}, set(), set(), set()
        order = sorted(services, key=lambda s: (s["metadata"]["creationTimestamp"], s["metadata"]["name"]))
        for service in order:
            for port in service["spec"]["ports"]:
                self.add_port(service, port)
            self.addresses |= {ip for ip, _ in addresses_of(service)}

    def add_port(self, service, port):
        name = f"default/{service['metadata']['name']}:{port['name']}/{port['protocol']}"
        ends = {family: endpoints_of(service, port, family, self.slices) for family in (4, 6)}
        self.known |= {(name, where, port["protocol"]) for family in (4, 6) for where in ends[family]}
        for ip, external in addresses_of(service):
            where = f"[{ip}]:{port['port']}" if ":" in ip else f"{ip}:{port['port']}"
            self.add_frontend(where, port, name, self.pools(service, ends[6 if ":" in ip else 4], external))
        if port.get("nodePort"):
            for family in service["spec"]["ipFamilies"]:
                where = f"{'*' if family == 'IPv4' else '[*]'}:{port['nodePort']}"
                self.add_frontend(where, port, name, self.pools(service, ends[int(family[-1])], True))

    def pools(self, service, ends, external):
        """Endpoints for clients inside and outside."""
        spec = service["spec"]
        every, local = pick(ends), pick({where: e for where, e in ends.items() if e[0] == self.node})
        if external:
            return every, local if spec.get("externalTrafficPolicy") == "Local" else every
        return local if spec.get("internalTrafficPolicy") == "Local" else every, set()

    def add_frontend(self, where, port, name, pools):
        key, inner, outer = (where, port["protocol"]), *pools
        if key not in self.frontends:
            self.frontends[key] = name, f"{len(inner)}/{len(outer)}"
            self.backends |= {(name, end, port["protocol"]) for end in inner | outer}


def wanted(lab, node):
    api = Api(lab, API)
    services = [s for s in api.send("GET", SERVICES)["items"] if s["metadata"]["name"] != "kubernetes"]
    slices = {}
    for s in api.send("GET", SLICES)["items"]:
        slices.setdefault(s["metadata"]["labels"]["kubernetes.io/service-name"], []).append(s)
    api.close()
    return Wanted(node, services, slices)


# ---- what a node has


class Found:
    """What fairctl and the metrics say. kubernetes.default is left out."""

    def __init__(self, node):
        rows = [r for r in json.loads(node.fairctl("service", "list", "-o", "json")) if not r["service"].startswith("default/kubernetes:")]
        self.frontends = {(r["frontend"], r["protocol"].upper()): (r["service"], f"{r['insideEndpoints']}/{r['outsideEndpoints'] or 0}")
                          for r in rows}
        rows = [r for r in json.loads(node.fairctl("backend", "list", "-o", "json")) if not r["service"].startswith("default/kubernetes:")]
        self.backends = {(r["service"], r["backend"], r["protocol"].upper()) for r in rows if r["state"] != "drained"}
        self.drained = {(r["service"], r["backend"], r["protocol"].upper()) for r in rows if r["state"] == "drained"}


def differences(want, found):
    """Lines that say what is wrong; none when all is as it should be."""
    lines = []
    for key in sorted(want.frontends.keys() | found.frontends.keys()):
        if want.frontends.get(key) != found.frontends.get(key):
            lines.append(f"frontend {key}: wanted {want.frontends.get(key)}, found {found.frontends.get(key)}")
    lines += [f"backend {b} is missing" for b in sorted(want.backends - found.backends)]
    lines += [f"backend {b} is stale" for b in sorted(found.backends - want.backends)]
    lines += [f"backend {b} stays for nobody" for b in sorted(found.drained - want.known)]
    return lines


class Repeat(threading.Thread):
    """Does something again and again, with a number, until stop(). Attributes: done, faults."""

    def __init__(self, what, pause_s=0.0):
        super().__init__(daemon=True)
        self.what, self.pause_s = what, pause_s
        self.done, self.faults, self.ended = 0, [], threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(self.pause_s):
            try:
                self.what(self.done)
                self.done += 1
            except Exception:  # pylint: disable=broad-except
                self.faults.append(traceback.format_exc())
                self.ended.wait(0.1)

    def stop(self):
        self.ended.set()
        self.join(30)
        return self.done

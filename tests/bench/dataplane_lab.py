# SPDX-License-Identifier: Apache-2.0
"""The lab that the dataplane is measured in: nodes with the real agent on one API server, and beside them, in namespaces of
the same lab, what people use instead (dataplane_peers.py). tests/bench/README.md says what is compared with what.

NICs keep what drivers offload (checksums, segmentation), and nothing runs at XDP unless a benchmark says so: a veth copies
what XDP shall see, which NICs do not."""

import base64
import json
import os
import subprocess
import time

import yaml

import lab as cluster
import lab_kernel
from apiserver import BUILD
from figures import check
from lab_objects import service_object, service_port
from lab_place import Place

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
ENDPOINTS = 10
GROUP = 250  # services that one run of the load client makes: as many as the last byte of an address tells apart
LABEL = "service.kubernetes.io/service-proxy-name"
NETLOAD = os.path.join(BUILD, "netload")
PORTS = range(9000, 9000 + ENDPOINTS)  # of a server that is all endpoints of a service
# A client must not run out of ports, nor search for them among closed connections, whoever carries its packets. Clocks of
# timestamps that differ by destination make SYNs wait for a second when several services share an endpoint
# (dataplane_stalls.py is about that).
END_SETUP = """echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse
echo 4096 >/proc/sys/net/ipv4/tcp_max_tw_buckets
echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range
echo {timestamps} >/proc/sys/net/ipv4/tcp_timestamps
"""


class End:
    """One end of what is measured. Attributes: ip (IPv4), netns (a path), server (a Popen, once it serves)."""

    def __init__(self, start, ip, netns, timestamps=2):
        self.start_program, self.ip, self.netns, self.server = start, ip, netns, None
        self.run(["sh", "-ec", END_SETUP.format(timestamps=timestamps)])

    def start(self, argv, cpu):
        """A Popen: the program itself, on one CPU."""
        return self.start_program(["taskset", "-c", str(cpu), *argv], stdout=subprocess.PIPE, text=True)

    def run(self, argv):
        process = self.start_program(argv)
        if process.wait(30):
            raise RuntimeError(f"{' '.join(argv)}: exit code {process.returncode}")

    def serve(self, cpu=1):
        """Names and counts on PORTS, and iperf3."""
        self.server = self.start([NETLOAD, "serve", "--name", "bench", "--tcp", f"{PORTS[0]}-{PORTS[-1]}"], cpu)
        check(self.server.stdout.readline(), f"netload does not serve at {self.ip}")
        iperf = self.start(["/usr/bin/stdbuf", "-oL", "/usr/bin/iperf3", "-s"], cpu)
        check(iperf.stdout.readline(), f"iperf3 does not serve at {self.ip}")


class BenchLab(cluster.Lab):
    def __init__(self, nodes):
        """nodes: {name: settings of its agent}; none is started."""
        self.node_settings = nodes
        super().__init__(nodes=tuple(nodes), agents=False, xdp=False)

    def make(self):
        super().make()
        for name, settings in self.node_settings.items():
            self.nodes[name].settings = settings
        self.credentials()

    def start_nodes(self, *names):
        """Their agents, until their tables are complete."""
        nodes = [self.nodes[name] for name in names or self.nodes]
        for node in nodes:
            open(node.log, "ab").close()
            node.start_agent()
        for node in nodes:
            wait_ready(node, 0)

    def lay_cable(self, place, number):
        """From a place's NIC to the fabric's bridge."""
        self.fabric.ip(f"link add {place.name} type veth peer name eth0 netns {place.pid}\nlink set {place.name} master br0 up\n")
        place.ip(f"address add 198.18.18.{number}/24 dev eth0\naddress add fd10:18::{number}/64 dev eth0 nodad\n"
                 "link set eth0 up\nroute add default via 198.18.18.254\nroute add default via fd10:18::fe\n")

    def place(self, name):
        return Place(self, name, setup=cluster.QUIET + cluster.FORWARD).ready()

    def pod_end(self, node, name, **options):
        pod = self.pod(node, name)
        end = End(pod.start_program, pod.ips[4], f"/proc/{pod.peer.process.pid}/ns/net", **options)
        end.pod = pod
        return end

    # ---- the API, by its load client

    def credentials(self):
        """Writes the administrator's certificate and key, for `load` and for the probe."""
        pki = os.path.join(self.tmp, "api", "pki")
        with open(os.path.join(pki, "admin.kubeconfig"), encoding="utf-8") as file:
            user = yaml.safe_load(file)["users"][0]["user"]
        for name, key in (("cert", "client-certificate-data"), ("key", "client-key-data")):
            with open(os.path.join(self.tmp, name + ".pem"), "wb") as file:
                file.write(base64.b64decode(user[key]))

    def load(self, method, path, body, count, **options):
        """`body` to `path`, count times, with {n} in them a number from 0 on."""
        name = os.path.join(self.tmp, "body.json")
        with open(name, "w", encoding="utf-8") as file:
            json.dump(body, file)
        words = [w for key, value in options.items() for w in ("--" + key, str(value))]
        out = self.api.run([os.path.join(BUILD, "load"), "--server", f"{cluster.API}:6443", "--cert",
                            os.path.join(self.tmp, "cert.pem"), "--key", os.path.join(self.tmp, "key.pem"), "--count",
                            str(count), "--method", method, "--path", path, "--body", name, *words], timeout_s=120)
        result = json.loads(out.splitlines()[-1])
        if result["errors"]:
            raise RuntimeError(f"{method} {path}: {result['errors']} failed, the first with status {result['first_error']}")

    def fill(self, count, proxy=None, first=0, endpoints=ENDPOINTS):
        """`count` services of so many endpoints each, all of which are somewhere else, for the agents of that proxy name.
        first: the group to begin with, since names and addresses are by group."""
        labels = {LABEL: proxy} if proxy else {}
        for group in range(-(-count // GROUP)):
            part = min(GROUP, count - group * GROUP)
            self.load("POST", SERVICES, filler_service(first + group, labels), part, connections=16)
            self.load("POST", SLICES, filler_slice(first + group, endpoints, labels), part, connections=16)

    def change(self, group, endpoints, rate, count=GROUP):
        """A change of the slices of a group, at that rate a second."""
        self.load("PUT", f"{SLICES}/s{group}-{{n}}-x", filler_slice(group, endpoints), count, rate=rate, connections=4)

    def web(self, name, pods, proxy=None, ports=PORTS[:1], **spec):
        """A service with those pods' ports as endpoints; returns what kubectl tells about it."""
        labels = {LABEL: proxy} if proxy else {}
        spec = {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"], **spec}
        slices = [web_slice(name, pods, labels, port, f"x{port - PORTS[0]}" if port != PORTS[0] else "x") for port in ports]
        self.apply(service_object(name, [service_port(80)], labels=labels, spec=spec), *slices)
        return json.loads(self.kubectl(["get", "service", name, "-o", "json"]))["spec"]


def endpoint(address, node):
    return {"addresses": [address], "nodeName": node, "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "name": f"web-6b7f9c8d5-{address}", "namespace": "default"}}


def web_slice(name, pods, labels=None, port=PORTS[0], suffix="x"):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{name}-{suffix}", "labels": {"kubernetes.io/service-name": name, **(labels or {})}},
            "endpoints": [endpoint(p.ips[4], p.node.name) for p in pods],
            "ports": [{"name": "tcp-80", "port": port, "protocol": "TCP"}]}


def filler_service(group, labels=None):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{group}-{{n}}", "labels": labels or {}},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def filler_slice(group, endpoints, labels=None):
    ends = [endpoint(f"10.{244 + k % 4}.{group}.{{n}}" if k < 4 else f"10.{200 + k}.{group}.{{n}}", f"n{1 + k % 4}")
            for k in range(endpoints)]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"s{group}-{{n}}-x", "labels": {"kubernetes.io/service-name": f"s{group}-{{n}}",
                                                                 **(labels or {})}},
            "endpoints": ends, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}


def memory_mb(pid):
    """Resident, proportional."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        proportional = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return resident / 1024, proportional / 1024


def wait_ready(node, since, seconds=60):
    """Until the agent says in its log (from that byte on) that its tables are complete."""
    def said():
        if node.agent.poll() is not None:
            raise RuntimeError(f"the agent of {node.name} has ended with {node.agent.returncode}")
        with open(node.log, encoding="utf-8") as file:
            file.seek(since)
            return any("msg=ready" in line for line in file)

    begin = time.monotonic()
    if not cluster.until(said, seconds):
        raise RuntimeError(f"the agent of {node.name} does not get ready")
    return time.monotonic() - begin

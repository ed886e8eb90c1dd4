# SPDX-License-Identifier: Apache-2.0
"""The lab that the dataplane is measured in: four nodes with the real agent on one API server, and beside them, in
namespaces of the same lab, what people use instead: veth with routing, a bridge, bridge and VXLAN, routing between hosts.

| node | services it serves | their path | pods of other nodes |
|---|---|---|---|
| n1 | 10,000 | socket | VXLAN |
| n2 | 10,000 | packet | VXLAN |
| n3 | 10 | socket | native routing |
| n4 | 10 | packet | native routing |

NICs keep what drivers offload (checksums, segmentation), and nothing runs at XDP: a veth copies what XDP shall see, which
NICs do not; what the XDP program costs is measured by itself (dataplane_programs.c)."""

import base64
import json
import os
import subprocess
import time

import yaml

import lab as cluster
from apiserver import BUILD
from lab_objects import service_object, service_port
from lab_place import Place

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
MANY, FEW, ENDPOINTS = int(os.environ.get("COUNT", "10000")), 10, 10
GROUP = 250  # services that one run of the load client makes: as many as the last byte of an address tells apart
FEW_NAME = "few"  # of the service proxies on n3 and n4
FEW_LABEL = {"service.kubernetes.io/service-proxy-name": FEW_NAME}
# A client must not run out of ports, nor search for them among closed connections, whoever carries its packets.
CLIENT_SETUP = """echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse
echo 4096 >/proc/sys/net/ipv4/tcp_max_tw_buckets
echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range
"""


class End:
    """One end of what is measured. Attributes: ip (IPv4)."""

    def __init__(self, start, ip):
        self.start_program, self.ip = start, ip
        self.run(["sh", "-ec", CLIENT_SETUP])

    def start(self, argv, cpu):
        """A Popen: the program itself, on one CPU."""
        return self.start_program(["taskset", "-c", str(cpu), *argv], stdout=subprocess.PIPE, text=True)

    def run(self, argv):
        process = self.start_program(argv)
        if process.wait(30):
            raise RuntimeError(f"{' '.join(argv)}: exit code {process.returncode}")


class BenchLab(cluster.Lab):
    def __init__(self):
        super().__init__(nodes=("n1", "n2", "n3", "n4"), agents=False, xdp=False)

    def make(self):
        super().make()
        for node, settings in (("n1", {}), ("n2", {"socket-path": "false"}),
                               ("n3", {"routing": "native", "service-proxy-name": FEW_NAME}),
                               ("n4", {"routing": "native", "socket-path": "false", "service-proxy-name": FEW_NAME})):
            self.nodes[node].settings = settings

    def lay_cable(self, place, number):
        """From a place's NIC to the fabric's bridge."""
        self.fabric.ip(f"link add {place.name} type veth peer name eth0 netns {place.pid}\nlink set {place.name} master br0 up\n")
        place.ip(f"address add 198.18.18.{number}/24 dev eth0\naddress add fd10:18::{number}/64 dev eth0 nodad\n"
                 "link set eth0 up\nroute add default via 198.18.18.254\nroute add default via fd10:18::fe\n")

    # ---- peers

    def place(self, name):
        return Place(self, name, setup=cluster.QUIET + cluster.FORWARD).ready()

    def plug(self, host, name, ip, gateway, extra=""):
        """An end behind a veth of a host; what the host does with its side is `extra`."""
        end = self.place(name)
        host.ip(f"link add {name} type veth peer name eth0 netns {end.pid}\nlink set {name} up\n{extra.format(name=name)}")
        end.ip(f"address add {ip}/24 dev eth0\nlink set eth0 up\n" + (f"route add default via {gateway}\n" if gateway else ""))
        return End(end.start, ip)

    def routed(self):
        """Two ends on one host, by its routes."""
        host = self.place("plain")
        return tuple(self.plug(host, f"plain{n}", f"10.1.{n}.2", f"10.1.{n}.1", f"address add 10.1.{n}.1/24 dev {{name}}\n")
                     for n in (1, 2))

    def bridged(self):
        """Two ends on one host, by its bridge."""
        host = self.place("bridge")
        host.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0\nlink set br0 up\n")
        return tuple(self.plug(host, f"bridge{n}", f"10.2.0.{n}", None, "link set {name} master br0\n") for n in (1, 2))

    def bridged_vxlan(self):
        """Two ends on two hosts, whose bridges a VXLAN joins."""
        hosts, ends = [self.place(f"vx{n}") for n in (1, 2)], []
        for n, host in enumerate(hosts, 1):
            self.lay_cable(host, 30 + n)
            host.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0\nlink set br0 up\n"
                    f"link add vx0 type vxlan id 7 dstport 8472 local 198.18.18.{30 + n} dev eth0 nolearning\n"
                    "link set vx0 mtu 1450\nlink set vx0 master br0 up\n")
            host.run(f"bridge fdb append 00:00:00:00:00:00 dev vx0 dst 198.18.18.{33 - n}")
            ends.append(self.plug(host, f"vxend{n}", f"10.3.0.{n}", None, "link set {name} mtu 1450 master br0\n"))
            ends[-1].run("ip link set eth0 mtu 1450".split())
        return tuple(ends)

    def routed_hosts(self):
        """Two ends on two hosts, by the routes of both."""
        hosts, ends = [self.place(f"rt{n}") for n in (1, 2)], []
        for n, host in enumerate(hosts, 1):
            self.lay_cable(host, 40 + n)
            host.ip(f"route add 10.4.{3 - n}.0/24 via 198.18.18.{43 - n}\n")
            ends.append(self.plug(host, f"rtend{n}", f"10.4.{n}.2", f"10.4.{n}.1", f"address add 10.4.{n}.1/24 dev {{name}}\n"))
        return tuple(ends)

    def pod_end(self, node, name):
        pod = self.pod(node, name)
        end = End(pod.start_program, pod.ips[4])
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

    def fill(self):
        """MANY services of ten endpoints each for n1 and n2, FEW for n3 and n4; all endpoints are somewhere else."""
        self.credentials()
        for group in range(-(-MANY // GROUP)):
            count = min(GROUP, MANY - group * GROUP)
            self.load("POST", SERVICES, filler_service(group), count, connections=16)
            self.load("POST", SLICES, filler_slice(group, ENDPOINTS), count, connections=16)
        self.load("POST", SERVICES, filler_service(GROUP - 1, FEW_LABEL), FEW - 1)
        self.load("POST", SLICES, filler_slice(GROUP - 1, ENDPOINTS, FEW_LABEL), FEW - 1)

    def change(self, group, endpoints, rate):
        """A change of every slice of a group, at that rate a second."""
        self.load("PUT", f"{SLICES}/s{group}-{{n}}-x", filler_slice(group, endpoints), GROUP, rate=rate, connections=4)

    def web(self, name, pods, labels=None):
        """A service with those pods; returns its address."""
        spec = {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}
        self.apply(service_object(name, [service_port(80)], labels=labels, spec=spec), web_slice(name, pods, labels))
        return json.loads(self.kubectl(["get", "service", name, "-o", "json"]))["spec"]["clusterIP"]


def endpoint(address, node):
    return {"addresses": [address], "nodeName": node, "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "name": f"web-6b7f9c8d5-{address}", "namespace": "default"}}


def web_slice(name, pods, labels=None):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name, **(labels or {})}},
            "endpoints": [endpoint(p.ips[4], p.node.name) for p in pods],
            "ports": [{"name": "tcp-80", "port": 9000, "protocol": "TCP"}]}


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

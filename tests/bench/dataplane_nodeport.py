#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""NodePorts among 1,000 services of ten endpoints: 64-byte UDP packets that one core forwards to endpoints on another node,
with the node's address as source. Packets a second of that core's CPU time. A generator (tests/bench/frames) hands frames to a veth as a NIC would hand them to the
host, the host forwards them by the way they came, and what comes back is dropped and counted: all on the same core. So the
figures contain the generator and the sink; "drop" (an XDP program that drops all) is what these can do by themselves, and
"route" (plain routing, no rules, no BPF) is what a kernel forwards. Of ours the sink of XDP drops XDP frames, as a NIC would
send them; all others make socket buffers, and their sink drops those.

one: all packets belong to one connection; many: to 10,000. "..._to_PEER" are medians of the rounds' quotients."""

import contextlib
import json
import os
import socket
import struct
import sys

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("FL_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(TOP, "tests", "harness"), os.path.join(TOP, "tests", "bench")]

import lab as cluster  # noqa: E402
import lab_kernel  # noqa: E402
from dataplane_lab import ENDPOINTS, BenchLab, endpoint  # noqa: E402
from dataplane_peers import Proxy, dropped, tracked  # noqa: E402
from figures import QUICK, Broken, check, cpu_ns, median, note, quotient, rounds  # noqa: E402
from lab_objects import service_object, service_port  # noqa: E402

ROUNDS_OF_ITS_OWN = True
SO_RCVBUFFORCE = 33
PACKETS = 200_000 if QUICK else 500_000
SERVICES, FLOWS, CPU = 1000, {"one": 1, "many": 10000}, 1
REMOTE = "198.18.18.99"  # the other node, which only has to have an address: nothing gets there
REMOTE_MAC = "02:00:00:00:00:63"
BACKENDS = [f"10.244.2.{10 + k}" for k in range(ENDPOINTS)]
CLIENT, NODE_PORT = "198.51.100.10", 30080
FRAMES = [os.path.join(BUILD, "frames"), os.path.join(BUILD, "bench", "frames.bpf.o")]
FROM_NODE = {"routing": "native", "service-proxy-name": "ports"}


class Host:
    """A host with one NIC, whose other end, a device of the fabric, has the host's name. Attributes: place, to, port (where
    frames are sent to), sink."""

    def __init__(self, lab, place, number, to=None, port=NODE_PORT, xdp_sink=False):
        self.lab, self.place, self.to, self.port, self.xdp_sink = lab, place, to or f"198.18.18.{number}", port, xdp_sink
        self.sink = None
        place.ip(f"neigh replace {REMOTE} lladdr {REMOTE_MAC} dev eth0 nud permanent\n"
                 f"neigh replace 198.18.18.254 lladdr {self.mac(lab.fabric, 'br0')} dev eth0 nud permanent\n")
        with lab_kernel.in_netns(place.netns):
            lab_kernel.receive_in_polls("eth0")

    @staticmethod
    def mac(place, device):
        return json.loads(place.run(f"ip -json link show {device}"))[0]["address"]

    def prepare(self):
        """When all is configured, since frames need the addresses as they are."""
        self.words = [self.place.name, self.mac(self.lab.fabric, "br0"), self.mac(self.place, "eth0"), CLIENT, self.to,
                      str(self.port)]

    def generate(self, flows, count):
        """frames' result, run in the fabric."""
        process = self.lab.fabric.start(["taskset", "-c", str(CPU), *FRAMES, *self.words, str(flows), str(count)],
                                        stdout=-1, text=True)
        out = process.stdout.read()
        check(process.wait(60) == 0, f"frames for {self.place.name} are not sent")
        return json.loads(out)

    def drop_what_comes_back(self):
        with lab_kernel.in_netns(self.lab.fabric.netns):
            attach = lab_kernel.xdp_drop if self.xdp_sink else lab_kernel.tcx_drop
            self.sink = attach(self.place.name)
            self.lab.links.append(self.sink)

    def came_back(self):
        """Packets that the fabric's end has received."""
        return int(self.lab.fabric.run(["ip", "-json", "-stats", "link", "show", self.place.name]).partition('"rx":{"bytes":')[2]
                   .partition('"packets":')[2].partition(",")[0])

    def forwards(self, source):
        """That frames come back as they should: to all endpoints, from `source`. Looks before there is a sink."""
        pass_all = None
        with lab_kernel.in_netns(self.lab.fabric.netns):
            if self.xdp_sink:
                pass_all = lab_kernel.xdp_pass(self.place.name)
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # all: the bridge takes what is of a protocol
            sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            sniffer.bind((self.place.name, 3))
            sniffer.settimeout(0.3)
        self.generate(500, 500)
        seen = {}
        try:
            while True:
                frame, address = sniffer.recvfrom(2000)
                if address[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\x08\0" and frame[23] == socket.IPPROTO_UDP:
                    key = tuple(socket.inet_ntoa(frame[at:at + 4]) for at in (26, 30)) + struct.unpack(">H", frame[36:38])
                    seen[key] = seen.get(key, 0) + 1
        except TimeoutError:
            pass
        sniffer.close()
        if pass_all is not None:
            os.close(pass_all)
        wanted = {(source, ip, 8080) for ip in BACKENDS} if source != CLIENT else {(CLIENT, self.to, self.port)}
        check(set(seen) == wanted and min(seen.values()) > 250 / len(wanted),
              f"{self.place.name}: 500 packets became {seen}, not some of each of {wanted}")


def slice_of(name, labels):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name, **labels}},
            "endpoints": [endpoint(ip, "n9") for ip in BACKENDS], "ports": [{"name": "udp-80", "port": 8080, "protocol": "UDP"}]}


def our_hosts(lab):
    """n1 with an XDP program, n2 without."""
    labels = {"service.kubernetes.io/service-proxy-name": "ports"}
    lab.fill(SERVICES - 1, "ports")
    lab.apply(cluster.node_object("n9", 2, {4: REMOTE}, (4,)))  # number 2: of the pod CIDR
    port = {**service_port(80, 8080, "UDP"), "nodePort": NODE_PORT}
    spec = {"type": "NodePort", "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}
    lab.apply(service_object("web", [port], labels=labels, spec=spec), slice_of("web", labels))
    lab.start_nodes()
    hosts = {"xdp": Host(lab, lab.nodes["n1"], 11, xdp_sink=True), "uplink": Host(lab, lab.nodes["n3"], 13)}
    for name, host in hosts.items():
        link = host.place.run("ip link show eth0")
        check(" xdp " in link or " xdp/" in link if name == "xdp" else "xdp" not in link,
              f"{host.place.name}: XDP is not as it should be:\n{link}")
    return hosts


class NodeProxy(Proxy):
    """kube-proxy's rules on a host with a NIC instead of pods."""

    def __init__(self, lab, kind, number):
        super().__init__(lab, kind, SERVICES, number, [(ip, 8080) for ip in BACKENDS], "udp", NODE_PORT)
        lab.lay_cable(self.host, number)
        self.host.ip(f"route add 10.244.2.0/24 via {REMOTE}\n")
        self.load()
        self.node = Host(lab, self.host, number, port=self.measured["middle"].node_port)


def their_hosts(lab):
    hosts = {kind: NodeProxy(lab, kind, number).node for kind, number in (("iptables", 61), ("nftables", 62))}
    for name, number in (("route", 63), ("drop", 64)):
        place = lab.place(f"np{name}")
        lab.lay_cable(place, number)
        place.ip(f"route add 10.244.2.0/24 via {REMOTE}\n")
        hosts[name] = Host(lab, place, number, BACKENDS[0])
    return hosts


def softirq_seconds():
    """CPU time of the thread that takes over what the CPU of the frames cannot do at once."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            if file.read() == f"ksoftirqd/{CPU}\n":
                return cpu_ns(pid) / 1e9
    raise Broken(f"there is no ksoftirqd/{CPU}")


def measure_with(flows):
    def measure(host):
        before, softirq = host.came_back(), softirq_seconds()
        said = host.generate(flows, PACKETS)
        came, cpu = host.came_back() - before, said["cpu_seconds"] + softirq_seconds() - softirq
        # Of what is only dropped nothing comes back.
        return (said["sent"] if host.place.name == "npdrop" else came) / cpu, came / said["sent"]
    return measure


def check_all(hosts):
    """Before measuring: each forwards what it should, with the address that it should."""
    for host in hosts.values():
        host.prepare()
    for name, host in hosts.items():
        if name != "drop":
            cluster.until(lambda h=host: h.generate(1, 1), 1)
            host.forwards(CLIENT if name == "route" else f"198.18.18.{host.to.rpartition('.')[2]}")
        host.drop_what_comes_back()
    with lab_kernel.in_netns(hosts["drop"].place.netns):
        hosts["drop"].lab.links.append(lab_kernel.xdp_drop("eth0"))
    check(tracked(hosts["route"].place) == 0, "the host that only routes tracks connections")


def main():
    with BenchLab({"n1": {**FROM_NODE, "xdp": "true"}, "n3": FROM_NODE}) as lab:
        hosts = {**their_hosts(lab), **our_hosts(lab)}
        note("all hosts are made")
        check_all(hosts)
        note("all hosts forward")
        for name, flows in FLOWS.items():
            results = rounds({host: (hosts[host],) for host in hosts}, measure_with(flows))
            columns = {host: [rate for rate, _ in values] for host, values in results.items()}
            beside = {peer: f"{peer}_{name}_per_s" for peer in ("route", "iptables", "nftables")}
            for host, rates in columns.items():
                median(f"{host}_{name}_per_s", rates, "1/s", beside if host in ("xdp", "uplink") else None)
                kept = min(share for _, share in results[host])
                check(host == "drop" or kept > 0.5, f"{host}: of what was sent only {kept:.3f} came back")
            for ours in ("xdp", "uplink"):
                for peer in beside:
                    quotient(f"{ours}_{name}_to_{peer}", columns[ours], columns[peer])
        for kind in ("iptables", "nftables"):
            lost = dropped(hosts[kind].place)
            check(tracked(hosts[kind].place) >= FLOWS["many"] and not any(lost.values()),
                  f"{kind}: {tracked(hosts[kind].place)} connections tracked, lost: {lost}")
        note("all is measured")


if __name__ == "__main__":
    main()

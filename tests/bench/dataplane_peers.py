# SPDX-License-Identifier: Apache-2.0
"""What the dataplane is compared with, made of the kernel's own parts in namespaces of a lab: veth and routing, bridges,
VXLAN, and kube-proxy's kinds of rules (proxy_rules.py). Each function makes hosts and returns two ends, client and server.
Every peer has a check that it is what it is called."""

import json
import os

import lab_kernel
import proxy_rules
from dataplane_lab import ENDPOINTS, GROUP, NETLOAD, PORTS, End
from figures import check

# A closed connection leaves conntrack's table after 10 s instead of 120: the table never fills up, which helps the peer.
PROXY_SETUP = "echo 10 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait"
IPERF_VIP, IPERF_PORT = "10.97.0.9", 5201
PLACES = ("first", "middle", "last")  # of the services that are measured, in iptables' list


def plug(lab, host, name, ip, gateway, extra=""):
    """An end behind a veth of a host; what the host does with its side is `extra`."""
    end = lab.place(name)
    host.ip(f"link add {name} type veth peer name eth0 netns {end.pid}\nlink set {name} up\n{extra.format(name=name)}")
    end.ip(f"address add {ip}/24 dev eth0\nlink set eth0 up\n" + (f"route add default via {gateway}\n" if gateway else ""))
    return End(end.start, ip, end.netns)


def routed_pair(lab, host, net):
    """Two ends on a host, by its routes."""
    return tuple(plug(lab, host, f"{host.name}-{n}", f"10.{net}.{n}.2", f"10.{net}.{n}.1",
                      f"address add 10.{net}.{n}.1/24 dev {{name}}\n") for n in (1, 2))


# ---- nothing but the kernel's forwarding

def routed(lab):
    """Veth and routing: the limit of what a kernel without BPF can do."""
    host = lab.place("plain")
    ends = routed_pair(lab, host, 1)
    ends[0].host = host
    return ends


def check_plain(host):
    """No rules, no connection tracking, no BPF: to be called after traffic."""
    with lab_kernel.in_netns(host.netns):
        rules = lab_kernel.packet_filter_rules()
    check(not rules, f"{host.name} has packet filter tables: {rules}")
    check(tracked(host) == 0, f"{host.name} tracks {tracked(host)} connections")
    programs = host.run("ip -details link show")
    check("xdp" not in programs and "prog" not in programs, f"{host.name} has BPF programs:\n{programs}")


def bridged(lab):
    """Two ends on one host, by its bridge."""
    host = lab.place("bridge")
    host.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0\nlink set br0 up\n")
    return tuple(plug(lab, host, f"bridge{n}", f"10.2.0.{n}", None, "link set {name} master br0\n") for n in (1, 2))


def bridged_vxlan(lab):
    """Two ends on two hosts, whose bridges a VXLAN joins, with one static forwarding entry."""
    hosts, ends = [lab.place(f"vx{n}") for n in (1, 2)], []
    for n, host in enumerate(hosts, 1):
        lab.lay_cable(host, 30 + n)
        host.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0\nlink set br0 up\n"
                f"link add vx0 type vxlan id 7 dstport 8472 local 198.18.18.{30 + n} dev eth0 nolearning\n"
                "link set vx0 mtu 1450\nlink set vx0 master br0 up\n")
        host.run(f"bridge fdb append 00:00:00:00:00:00 dev vx0 dst 198.18.18.{33 - n}")
        ends.append(plug(lab, host, f"vxend{n}", f"10.3.0.{n}", None, "link set {name} mtu 1450 master br0\n"))
        ends[-1].run("ip link set eth0 mtu 1450".split())
    return tuple(ends)


def routed_vxlan(lab):
    """Two ends on two hosts, behind a bridge each, the hosts routing by a VXLAN device with static neighbours and forwarding
    entries: how flannel lays its overlay."""
    hosts, ends = [lab.place(f"fl{n}") for n in (1, 2)], []
    for n, host in enumerate(hosts, 1):
        lab.lay_cable(host, 50 + n)
        host.ip(f"link add vx0 address 02:00:00:00:05:0{n} type vxlan id 9 dstport 8472 local 198.18.18.{50 + n} dev eth0 "
                "nolearning\nlink set vx0 mtu 1450 up\n"
                f"address add 10.5.{n}.0/32 dev vx0\nlink add br0 type bridge mcast_snooping 0 forward_delay 0\n"
                f"link set br0 up\naddress add 10.5.{n}.1/24 dev br0\n")
        ends.append(plug(lab, host, f"flend{n}", f"10.5.{n}.2", f"10.5.{n}.1", "link set {name} mtu 1450 master br0\n"))
        ends[-1].run("ip link set eth0 mtu 1450".split())
    for n, host in enumerate(hosts, 1):
        other = 3 - n
        host.ip(f"route add 10.5.{other}.0/24 via 10.5.{other}.0 dev vx0 onlink\n"
                f"neigh add 10.5.{other}.0 lladdr 02:00:00:00:05:0{other} dev vx0 nud permanent\n")
        host.run(f"bridge fdb append 02:00:00:00:05:0{other} dev vx0 dst 198.18.18.{50 + other}")
    return tuple(ends)


def routed_hosts(lab):
    """Two ends on two hosts, by the routes of both."""
    hosts, ends = [lab.place(f"rt{n}") for n in (1, 2)], []
    for n, host in enumerate(hosts, 1):
        lab.lay_cable(host, 40 + n)
        host.ip(f"route add 10.4.{3 - n}.0/24 via 198.18.18.{43 - n}\n")
        ends.append(plug(lab, host, f"rtend{n}", f"10.4.{n}.2", f"10.4.{n}.1", f"address add 10.4.{n}.1/24 dev {{name}}\n"))
    return tuple(ends)


# ---- kube-proxy's kinds of rules

def fillers(count):
    """Services whose endpoints are nowhere."""
    return [proxy_rules.Service(f"default/s{i // GROUP}-{i % GROUP}:http", f"10.96.{i // GROUP}.{i % GROUP + 1}",
                                [(f"10.{200 + k}.{i // GROUP}.{i % GROUP + 1}", 8080) for k in range(ENDPOINTS)])
            for i in range(count)]


class Proxy:
    """A host with two ends and rules. Attributes: ends, vips {place in the list: address}."""

    def __init__(self, lab, kind, count, net, endpoints=None, proto="tcp", node_port=0, more=0):
        """kind: iptables or nftables; count: services, of which three have endpoints (the server's PORTS, or those given) at
        the ends and the middle of the list, and `more` others; net: a number of its own for the addresses."""
        self.lab, self.kind, self.count = lab, kind, count
        self.host = lab.place(f"{kind}{net}")
        self.ends = routed_pair(lab, self.host, net)
        self.cidr = f"10.{net}.0.0/16"
        self.services = fillers(count)
        self.measured = {}
        wanted = [*zip(PLACES, (0, count // 2, count - 1)), *((f"more-{k}", count // 2 + 2 + k) for k in range(more))]
        for number, (place, at) in enumerate(wanted, 10):
            service = self.services[at] = proxy_rules.Service(
                f"default/web-{place}:http", f"10.97.0.{number}",
                endpoints or [(self.ends[1].ip, port) for port in PORTS], node_port + number if node_port else 0, proto)
            self.measured[place] = service
        self.services[count // 2 + 1] = proxy_rules.Service("default/iperf:http", IPERF_VIP, [(self.ends[1].ip, IPERF_PORT)])
        self.vips = {place: service.ip for place, service in self.measured.items()}

    def load(self, setup=PROXY_SETUP):
        """Loads the rules; only into the namespace of the host."""
        self.host.run(["sh", "-ec", setup])
        if self.kind == "iptables":
            self.host.run(["iptables-legacy-restore", "--noflush"], stdin=proxy_rules.iptables(self.services, self.cidr),
                          timeout_s=120, env=self.environment())
        else:
            ips = [word.split("/")[0] for word in self.host.run("ip -o -4 address show scope global").split() if "/" in word]
            for text in proxy_rules.nftables(self.services, self.cidr, ips):
                self.host.run(["nft", "-f", "-"], stdin=text, timeout_s=120)
        return self

    def environment(self):
        return {"XTABLES_LOCKFILE": os.path.join(self.lab.tmp, f"{self.host.name}.lock")}

    def packets(self):
        """{place: {endpoint's chain: packets that began there}}; for iptables, which counts."""
        out = self.host.run(["iptables-legacy-save", "-c", "-t", "nat"], timeout_s=60, env=self.environment())
        wanted = {proxy_rules.endpoint_chain(s, e): place for place, s in self.measured.items() for e in s.endpoints}
        counts = {place: {} for place in self.measured}
        for line in out.splitlines():
            if " -j DNAT " in line:
                chain = line.split()[2]
                if chain in wanted:
                    counts[wanted[chain]][chain] = int(line[1:line.index(":")])
        return counts

    def check(self, connections):
        """That the rules did the work. connections: {place: how many were made}."""
        process = self.ends[0].start([NETLOAD, "connect", f"{self.vips['middle']}:80"], 0)
        check(process.wait(10) == 0 and tracked(self.host) > 0, f"{self.host.name} tracks no connection")
        lost = dropped(self.host)
        check(not any(lost.values()), f"conntrack of {self.host.name} dropped: {lost}")
        if self.kind == "iptables":
            for place, counts in self.packets().items():
                wanted = connections.get(place, 0)
                check(wanted <= sum(counts.values()) <= wanted * 1.01 + 20,
                      f"{self.host.name}, {place}: {wanted} connections, but the rules counted {counts}")


def tracked(host):
    """Connections in conntrack's table."""
    return int(host.run("cat /proc/sys/net/netfilter/nf_conntrack_count"))


def dropped(host):
    """What conntrack could not keep: {counter: packets}."""
    lines = host.run("cat /proc/net/stat/nf_conntrack").splitlines()
    names = lines[0].split()
    totals = {name: sum(int(line.split()[i], 16) for line in lines[1:]) for i, name in enumerate(names)}
    return {name: totals[name] for name in ("insert_failed", "drop", "early_drop")}


def balanced(end, ip, ports=PORTS, port=80):
    """That all endpoints of a service answer, each its share."""
    process = end.start([NETLOAD, "connect", "--count", "1000", "--concurrency", "8", "--by-address", f"{ip}:{port}"], 0)
    said = json.loads(process.stdout.read())
    check(process.wait(30) == 0, f"connections to {ip}: {said}")
    names = said["names"]
    check(len(names) == len(ports) and min(names.values()) > 300 / len(ports),
          f"{ip} does not spread its connections over {len(ports)} endpoints: {names}")
    return sum(names.values())

# SPDX-License-Identifier: Apache-2.0
"""Rules of the shape that kube-proxy 1.32 gives to the kernel, for iptables and for nftables: pure functions from services
to what iptables-restore and `nft -f` read. Only for network namespaces of the benchmarks.

What is like kube-proxy: the chains, which hooks jump to them and in which order, the matches of each rule, the marks,
masquerading, balancing by `statistic` and by `numgen`, the verdict maps; comments in endpoints' rules only up to 1,000
endpoints. What is not: names of chains are short hashes here too, but not the same; session affinity, load balancers and
external addresses do not occur."""

import base64
import hashlib
from dataclasses import dataclass

MARK = "0x4000"
COMMENTED_ENDPOINTS = 1000
BATCH = 500  # services in a transaction of nft: what it takes grows with the square of its length


@dataclass
class Service:
    """endpoints: [(address, port)]; node_port: 0 for none; proto: tcp or udp."""

    name: str
    ip: str
    endpoints: list
    node_port: int = 0
    proto: str = "tcp"
    port: int = 80


def digest(*words, length=16):
    return base64.b32encode(hashlib.sha256(":".join(map(str, words)).encode()).digest()).decode()[:length]


def comment(text):
    return f'-m comment --comment "{text}" '


# ---- iptables

FILTER = """*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "firewall of load balancers" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "health check ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "external services" -j KUBE-EXTERNAL-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "firewall of load balancers" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "forwarding" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "services" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "external services" -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "firewall of load balancers" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "services" -j KUBE-SERVICES
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "forwarding" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "forwarding of what is known" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
NAT_HEAD = """-A PREROUTING -m comment --comment "services" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "services" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "postrouting" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "services' traffic that needs SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
"""
NAT_LAST = ('-A KUBE-SERVICES -m comment --comment "node ports; the last rule" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n')


def service_chain(service):
    return "KUBE-SVC-" + digest(service.name)


def endpoint_chain(service, endpoint):
    return "KUBE-SEP-" + digest(service.name, *endpoint)


def iptables_service(service, pods, commented):
    """(chains, rules) of one service."""
    name, proto = service.name, service.proto
    chain = service_chain(service)
    match = f'-d {service.ip}/32 -p {proto} {comment(name + " cluster IP")}-m {proto} --dport {service.port}'
    chains = [chain]
    rules = [f"-A KUBE-SERVICES {match} -j {chain}"]
    if service.node_port:
        external = "KUBE-EXT-" + digest(name)
        chains.append(external)
        rules += [f"-A KUBE-NODEPORTS -p {proto} {comment(name)}-m {proto} --dport {service.node_port} -j {external}",
                  f'-A {external} {comment("masquerade for " + name)}-j KUBE-MARK-MASQ', f"-A {external} -j {chain}"]
    rules.append(f"-A {chain} ! -s {pods} {match} -j KUBE-MARK-MASQ")
    for left, (ip, port) in zip(range(len(service.endpoints), 0, -1), service.endpoints):
        end = endpoint_chain(service, (ip, port))
        chains.append(end)
        note = comment(f"{name} -> {ip}:{port}") if commented else ""
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        note_end = comment(name) if commented else ""
        rules += [f"-A {chain} {note}{chance}-j {end}", f"-A {end} {note_end}-s {ip}/32 -j KUBE-MARK-MASQ",
                  f"-A {end} {note_end}-p {proto} -m {proto} -j DNAT --to-destination {ip}:{port}"]
    return chains, rules


def iptables(services, pods):
    """Text for iptables-restore --noflush. pods: the CIDR of the cluster's pods."""
    commented = sum(len(s.endpoints) for s in services) <= COMMENTED_ENDPOINTS
    chains, rules = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"], []
    for service in services:
        more_chains, more_rules = iptables_service(service, pods, commented)
        chains += more_chains
        rules += more_rules
    heads = "".join(f":{chain} - [0:0]\n" for chain in sorted(chains))
    return f"{FILTER}*nat\n{heads}{NAT_HEAD}" + "\n".join(rules) + f"\n{NAT_LAST}COMMIT\n"


# ---- nftables

NFT_FIRST = """table ip kube-proxy {
 set cluster-ips { type ipv4_addr; }
 set nodeport-ips { type ipv4_addr; }
 map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
 map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
 map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
 map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
 map service-nodeports { type inet_proto . inet_service : verdict; }
 chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
}
"""
# Base chains come last: as long as there is none, the kernel need not look for loops among all chains.
NFT_LAST = """table ip kube-proxy {
 chain reject-chain { reject; }
 chain masquerading {
  meta mark and 0x4000 == 0 return
  meta mark set meta mark xor 0x4000
  masquerade fully-random
 }
 chain services {
  ip daddr . meta l4proto . th dport vmap @service-ips
  ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
 }
 chain cluster-ips-check { ip daddr @cluster-ips reject; }
 chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
 chain nodeport-endpoints-check { ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
 chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
 chain filter-prerouting-pre-dnat { type filter hook prerouting priority -110; ct state new jump firewall-check; }
 chain filter-output-pre-dnat { type filter hook output priority -110; ct state new jump firewall-check; }
 chain filter-input {
  type filter hook input priority 0
  ct state new jump nodeport-endpoints-check
  ct state new jump service-endpoints-check
 }
 chain filter-forward {
  type filter hook forward priority 0
  ct state new jump service-endpoints-check
  ct state new jump cluster-ips-check
 }
 chain filter-output {
  type filter hook output priority 0
  ct state new jump service-endpoints-check
  ct state new jump cluster-ips-check
 }
 chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
 chain nat-output { type nat hook output priority -100; jump services; }
 chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading; }
}
"""


def nft_service(service, pods):
    """(chains, {map or set: elements}) of one service."""
    base = f"{digest(service.name, length=8)}-{service.name.replace(':', '/')}/{service.proto}"
    ends = [f"endpoint-{digest(service.name, *e, length=8)}-{base.partition('-')[2]}__{e[0]}/{e[1]}"
            for e in service.endpoints]
    chains = [f" chain {end} {{ ip saddr {ip} jump mark-for-masquerade; meta l4proto {service.proto} dnat to {ip}:{port}; }}"
              for end, (ip, port) in zip(ends, service.endpoints)]
    choices = ", ".join(f"{i} : goto {end}" for i, end in enumerate(ends))
    chains.append(f" chain service-{base} {{ ip daddr {service.ip} {service.proto} dport {service.port} ip saddr != {pods} "
                  f"jump mark-for-masquerade; numgen random mod {len(ends)} vmap {{ {choices} }}; }}")
    elements = {"cluster-ips": service.ip,
                "service-ips": f"{service.ip} . {service.proto} . {service.port} : goto service-{base}"}
    if service.node_port:
        chains.append(f" chain external-{base} {{ jump mark-for-masquerade; goto service-{base}; }}")
        elements["service-nodeports"] = f"{service.proto} . {service.node_port} : goto external-{base}"
    return chains, elements


def nftables(services, pods, node_ips=()):
    """Texts for `nft -f`, one after the other."""
    texts = [NFT_FIRST + "".join(f"add element ip kube-proxy nodeport-ips {{ {ip} }}\n" for ip in node_ips)]
    for at in range(0, len(services), BATCH):
        lines, elements = ["table ip kube-proxy {"], {}
        for service in services[at:at + BATCH]:
            chains, more = nft_service(service, pods)
            lines += chains
            for name, element in more.items():
                elements.setdefault(name, []).append(element)
        lines.append("}")
        lines += [f"add element ip kube-proxy {name} {{ {', '.join(items)} }}" for name, items in elements.items()]
        texts.append("\n".join(lines) + "\n")
    return [*texts, NFT_LAST]

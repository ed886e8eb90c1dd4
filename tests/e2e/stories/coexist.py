# SPDX-License-Identifier: Apache-2.0
"""A host that uses packet filters for itself: what does not concern it is not touched by them, and the other way round."""

from common import FAMILIES, all_of, name_of, reached, spread, tap
from lab_objects import service_object

BOTH = {"b", "c"}
RULES = """*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p {icmp} -j ACCEPT
-A INPUT -p udp -m multiport --dports 8472,8080 -j ACCEPT
-A INPUT -p tcp -m multiport --dports 8080,8443 -j ACCEPT
COMMIT
"""


def services():
    return [service_object("coexist", spec={"type": "NodePort"}), service_object("coexist-host", spec={"type": "NodePort"})]


def endpoints(cast):
    return {"coexist": [cast.b, cast.c], "coexist-host": [cast.h]}


def firewall(lab, cast, made):
    """A node that forwards nothing and accepts little, with connection tracking: services and pods work as before."""
    n2 = lab.nodes["n2"]
    n2.run(["iptables-nft-restore"], stdin=RULES.format(icmp="icmp"))
    n2.run(["ip6tables-nft-restore"], stdin=RULES.format(icmp="icmpv6"))
    for family in FAMILIES:
        vip, host = made["coexist"], made["coexist-host"]
        all_of(f"IPv{family}: a node with a strict packet filter goes on serving", [
            ("pod to pod", name_of(cast.a.peer.tcp(cast.c.ips[family], 8080)), "c"),
            ("pod to pod, back", name_of(cast.c.peer.tcp(cast.a.ips[family], 8080)), "a"),
            ("node to pod", name_of(lab.nodes["n1"].peer.tcp(cast.c.ips[family], 8080)), "c"),
            ("its own pod", name_of(n2.peer.tcp(cast.c.ips[family], 8080)), "c"),
            ("the world", cast.c.peer.ping("198.51.100.1" if family == 4 else "fd10:c::1").get("whole"), True),
            ("a pod's service", spread(cast.c, vip.ips[family], 80), BOTH),
            ("the node's service", spread(n2, vip.ips[family], 80), BOTH),
            ("UDP of the node", spread(n2, vip.ips[family], 80, proto="udp"), BOTH),
            ("NodePort", spread(lab.client, n2.ips[family], vip.node_port(80)), BOTH),
            ("NodePort, UDP", spread(lab.client, n2.ips[family], vip.node_port(80, "UDP"), proto="udp"), BOTH),
            ("backend with the node's network", reached(lab, lab.client, n2.ips[family], host.node_port(80), {"h"}), "h"),
            ("the same from a pod elsewhere", name_of(cast.a.peer.tcp(host.ips[family], 80)), "h"),
            ("what the filter drops", lab.client.peer.tcp(n2.ips[family], 22, timeout=0.3).get("error"), "TIMEOUT")])
    count = int(n2.run("cat /proc/sys/net/netfilter/nf_conntrack_count"))
    tap.ok(count > 0, "and the filter did track connections", count)


STORIES = ()
LAST = (firewall,)

# SPDX-License-Identifier: Apache-2.0
"""Pods, nodes and the world without services: who reaches whom, under which address, with packets of which size."""

import re
import time

import lab_packets
from common import FAMILIES, all_of, name_of, reached, refused, tap, until
from lab import CLIENT
from lab_objects import service_object

FRIEND = {4: "198.51.100.70", 6: "fd10:c::70"}  # another address of the client, on the non-masquerade list
UNMASQUERADED = "198.51.100.64/26,fd10:c::40/122"
HOST_PORT = 18080


def services():
    return [service_object("narrow", spec={"type": "NodePort"})]


def endpoints(cast):
    return {"narrow": [cast.b, cast.c]}


def prepare(lab):
    lab.client.peer.serve(tcp=[8080], udp=[8080], addresses=[CLIENT[4], CLIENT[6]])
    lab.client.ip(f"address add {FRIEND[4]}/24 dev eth0\naddress add {FRIEND[6]}/64 dev eth0 nodad preferred_lft 0\n")
    lab.client.peer.serve(tcp=[8080], udp=[8080], addresses=list(FRIEND.values()))
    lab.fabric.ip("".join(f"route replace 10.244.{n.number}.0/24 via {n.ips[4]}\n"
                          f"route replace fd10:244:0:{n.number}::/64 via {n.ips[6]}\n" for n in lab.nodes.values()))


def talk(who, place, whom, to, source, large=1000000):
    """Cases of TCP, UDP and ICMP from a place to an address."""
    stream, datagram = place.peer.tcp(to, 8080, get=large, put=large), place.peer.udp(to, 8080, size=8000, reply=8000, tries=3)
    return [(f"{who} to {whom}, TCP", (stream.get("name"), stream.get("client", [0])[0]), (whom, source)),
            (f"{who} to {whom}, {large} bytes", (stream.get("put_whole"), stream.get("get_whole")), (True, True)),
            (f"{who} to {whom}, UDP of 8 KB", (datagram.get("name"), datagram.get("whole")), (whom, True)),
            (f"{who} to {whom}, echo", place.peer.ping(to).get("whole"), True),
            (f"{who} to {whom}, closed port", place.peer.tcp(to, 9), refused)]


def meet(lab, cast, made):
    """Everybody in the cluster reaches everybody, under its own address."""
    a, b, c, n1, n2 = cast.a, cast.b, cast.c, lab.nodes["n1"], lab.nodes["n2"]
    for family in FAMILIES:
        reached(lab, a, c.ips[family], 8080, {"c"})
        all_of(f"IPv{family}: pods of one node meet", talk("a", a, "b", b.ips[family], a.ips[family]))
        all_of(f"IPv{family}: pods of two nodes meet",
               talk("a", a, "c", c.ips[family], a.ips[family]) + talk("d", cast.d, "a", a.ips[family], cast.d.ips[family]))
        all_of(f"IPv{family}: nodes reach pods", talk("n1", n1, "a", a.ips[family], n1.ips[family]) +
               talk("n1", n1, "c", c.ips[family], n1.ips[family]))
        all_of(f"IPv{family}: pods reach nodes", talk("a", a, "h", n2.ips[family], a.ips[family]) +
               talk("c", c, "h", n2.ips[family], c.ips[family]))
        answer = a.peer.tcp(a.ips[family], 8080)
        tap.is_((name_of(answer), answer.get("client", [0])[0]), ("a", a.ips[family]), f"IPv{family}: a pod reaches itself")
        nobody = a.ips[family].rpartition("." if family == 4 else ":")[0] + (".250" if family == 4 else ":fa")
        answer = a.peer.tcp(nobody, 8080, timeout=4)
        tap.ok("error" in answer, f"IPv{family}: nobody answers at a pod address that is not given out", answer)


def masquerade(lab, cast, made):
    """Outside, a pod has its node's address; whom the non-masquerade list names sees the pod's own."""
    a, n1 = cast.a, lab.nodes["n1"]
    for family in FAMILIES:
        all_of(f"IPv{family}: pods reach the world as their node", talk("a", a, "client", CLIENT[family], n1.ips[family]))
        all_of(f"IPv{family}: nodes do as ever", talk("n1", n1, "client", CLIENT[family], n1.ips[family]))
        all_of(f"IPv{family}: whom the non-masquerade list names sees the pod",
               talk("a", a, "client", FRIEND[family], a.ips[family], 100000))
        answers = [p.peer.udp(CLIENT[family], 8080, connected=False, source_port=44000) for p in (a, cast.b)]
        ports = {answer.get("client", [0, 0])[1] for answer in answers}
        tap.ok(len(ports) == 2 and all(x.get("name") == "client" for x in answers),
               f"IPv{family}: two pods with one source port do not meet", answers)
        answer = lab.client.peer.tcp(a.ips[family], 8080, source=FRIEND[family])
        tap.is_((name_of(answer), answer.get("client", [0])[0]), ("a", FRIEND[family]),
                f"IPv{family}: who routes pod addresses to the node reaches the pod")


def interface(lab, cast, made):
    """What a pod finds: its MTU, addresses and routes."""
    tunnel = lab.settings.get("routing") != "native"
    text = cast.a.run("ip -o link show eth0")
    mtu = int(re.search(r"mtu (\d+)", text).group(1))
    tap.ok(1280 <= mtu <= (1450 if tunnel else 1500) and (tunnel or mtu == 1500), "a pod's MTU leaves room for the tunnel", text)
    body = {4: mtu - 28, 6: mtu - 48}
    for family in FAMILIES:
        answer = cast.a.peer.udp(cast.c.ips[family], 8080, size=body[family], reply=body[family], dontfrag=True, tries=2)
        tap.ok(answer.get("whole"), f"IPv{family}: packets as large as that reach another node in one piece", answer)
        route = cast.a.run(["ip", f"-{family}", "route", "show"])
        tap.like(route, r"default via (169\.254\.1\.1|fe80::1) ", f"IPv{family}: its gateway is link-local")


def path_mtu(lab, cast, made):
    """A narrow link on the way is found out: through a NodePort, and by a masqueraded pod."""
    lab.fabric.ip("link set client mtu 1300\n")
    try:
        for family in FAMILIES:
            for name in ("n1", "n3"):
                to, port = lab.nodes[name].ips[family], made["narrow"].node_port(80)
                reached(lab, lab.client, to, port, {"b", "c"})
                answers = [lab.client.peer.tcp(to, port, get=300000, timeout=5) for _ in range(4)]
                tap.ok(all(answer.get("get_whole") for answer in answers),
                       f"IPv{family}: {name}'s NodePort serves a client behind a narrow link",
                       [(name_of(x), x.get("get_whole"), x["ms"]) for x in answers])
            answer = cast.a.peer.tcp(CLIENT[family], 8080, put=300000, timeout=5)
            tap.ok(answer.get("put_whole"), f"IPv{family}: a pod sends to a server behind a narrow link", answer)
            answer = cast.c.peer.tcp(FRIEND[family], 8080, put=300000, timeout=5)
            tap.ok(answer.get("put_whole"), f"IPv{family}: also unmasqueraded", answer)
    finally:
        lab.fabric.ip("link set client mtu 1500\n")


def spoof(lab, cast, made):
    """A pod speaks under no other address than its own."""
    a, n1 = cast.a, lab.nodes["n1"]
    mac = re.search(r"link/ether (\S+)", a.run("ip -o link show eth0")).group(1)
    gateway, before = lab_packets.gateway_mac(a), n1.drops("spoofed")
    own, foreign = [], []
    for family in FAMILIES:
        stranger = {4: "10.244.1.99", 6: "fd10:244:0:1::99"}[family]
        to, port = cast.c.ips[family], 7000
        own.append(lab_packets.udp_frame(mac, gateway, a.ips[family], to, port, 8080, b"mine"))
        foreign += [lab_packets.udp_frame(mac, gateway, source, to, port, 8080, b"not mine")
                    for source in (stranger, cast.b.ips[family], n1.ips[family], CLIENT[family])]
        foreign.append(lab_packets.udp_frame("02:00:00:00:00:99", gateway, a.ips[family], to, port, 8080, b"not mine"))
    capture = cast.c.peer.begin("capture", device="eth0", seconds=1.2)
    time.sleep(0.3)
    a.peer.send_frames(device="eth0", frames=[frame.hex() for frame in (foreign * 3 + own)])
    heard = [bytes.fromhex(frame) for frame in capture.get(timeout=5)["frames"]]
    tap.is_([f[12:].hex() for f in heard if f.endswith(b"not mine")], [],
            "a pod speaks under no other pod's, its node's, an outside or a free address, nor under another MAC")
    tap.is_(len([f for f in heard if f.endswith(b"mine")]), 2, "the same frames under its own address arrive")
    tap.ok(n1.drops("spoofed") >= before + 3 * len(foreign), "the drops are counted under their reason", n1.fairctl("drops"))


def host_port(lab, cast, made):
    """portMappings of the CNI: the node's port is the pod's."""
    maps = [{"hostPort": HOST_PORT, "containerPort": 8080, "protocol": "tcp"},
            {"hostPort": HOST_PORT, "containerPort": 8080, "protocol": "udp"}]
    pod = lab.pod("n3", "published", capabilities={"portMappings": maps})
    n3, n1 = lab.nodes["n3"], lab.nodes["n1"]
    for family in FAMILIES:
        to, cases = n3.ips[family], []
        for who, place in (("client", lab.client), ("a pod elsewhere", cast.a), ("a pod beside", cast.d), ("its node", n3),
                           ("another node", n1)):
            cases += [(f"{who}, TCP", reached(lab, place, to, HOST_PORT, {"published"}), "published"),
                      (f"{who}, UDP", reached(lab, place, to, HOST_PORT, {"published"}, proto="udp", connected=False), "published")]
        all_of(f"IPv{family}: a pod's hostPort is served at its node", cases)
        answer = lab.client.peer.tcp(to, HOST_PORT)
        tap.is_(answer.get("client", [0])[0], CLIENT[family], f"IPv{family}: and keeps the client's address")
        tap.ok(refused(lab.client.peer.tcp(n1.ips[family], HOST_PORT)), f"IPv{family}: other nodes do not serve it")
    pod.remove()
    gone = until(lambda: refused(lab.client.peer.tcp(n3.ips[4], HOST_PORT, timeout=1)), 3)
    tap.ok(gone, "when the pod goes the port is closed")


def come_and_go(lab, cast, made):
    """A pod's address is free for the next one when it goes, and its maps, routes and devices with it."""
    n3 = lab.nodes["n3"]
    links = n3.run("ip -o link").count(": fl")
    routes = n3.run("ip route") + n3.run("ip -6 route")
    pod = lab.pod("n3", "guest")
    tap.is_(reached(lab, cast.a, pod.ips[4], 8080, {"guest"}), "guest", "a new pod is reached")
    addresses = dict(pod.ips)
    pod.remove()
    gone = until(lambda: "error" in cast.a.peer.tcp(addresses[4], 8080, timeout=0.3), 3)
    tap.ok(gone, "a removed one is not")
    left = until(lambda: n3.run("ip -o link").count(": fl") == links and
                 n3.run("ip route") + n3.run("ip -6 route") == routes, 3)
    tap.ok(left, "its devices and routes are gone", n3.run("ip -o link") + n3.run("ip route") + n3.run("ip -6 route"))


def bandwidth(lab, cast, made):
    """The CNI's bandwidth capability: bits a second, each way."""
    limits = {"ingressRate": 16000000, "ingressBurst": 1600000, "egressRate": 16000000, "egressBurst": 1600000}
    pod = lab.pod("n1", "slow", capabilities={"bandwidth": limits})
    for what, options in (("sends", {"put": 2000000}), ("receives", {"get": 2000000})):
        answer = pod.peer.tcp(cast.c.ips[4], 8080, timeout=10, **options)
        # 16 Mbit, less the burst, at 16 Mbit/s: 0.9 s
        tap.ok((answer.get("put_whole") or answer.get("get_whole")) and 700 < answer["ms"] < 3000,
               f"a pod with a limit {what} no faster, and not much slower", answer)
    pod.remove()


STORIES = (meet, masquerade, interface, path_mtu, spoof, host_port, bandwidth, come_and_go)

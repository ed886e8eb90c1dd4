#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""The agent and its surroundings: how it starts when something is missing, what it may do, what it tells systemd and people,
and what becomes of the node when its NIC, its address or the API server goes."""

import json
import os
import re
import socket
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import own_node  # noqa: E402
import tap  # noqa: E402
from common import FAMILIES, all_of, name_of, reached, refused, spread, until  # noqa: E402
from lab import CLIENT, Lab, requirements  # noqa: E402
from lab_objects import node_object, service_object, service_port  # noqa: E402
from play import tell_all  # noqa: E402

KEPT = {12: "net_admin", 19: "sys_ptrace", 21: "sys_admin", 38: "perfmon", 39: "bpf"}
BACKENDS = 64  # so many endpoints have room


class Cast:
    def __init__(self, lab):
        self.a, self.b, self.c = lab.pods(("n1", "a"), ("n1", "b"), ("n2", "c"))


def answers(lab, cast, made):
    """What does not work, of all that should."""
    n1, n2, wrong = lab.nodes["n1"], lab.nodes["n2"], []
    for f in FAMILIES:
        cases = (("pod to pod", cast.a, cast.c.ips[f], 8080, {"c"}), ("and back", cast.c, cast.a.ips[f], 8080, {"a"}),
                 ("node to pod", n1, cast.c.ips[f], 8080, {"c"}), ("other node to pod", n2, cast.a.ips[f], 8080, {"a"}),
                 ("service of a pod", cast.a, made["web"].ips[f], 80, {"b", "c"}),
                 ("service of the node", n1, made["web"].ips[f], 80, {"b", "c"}),
                 ("NodePort", lab.client, n1.ips[f], made["web"].node_port(80), {"b", "c"}),
                 ("outside", cast.a, CLIENT[f], 8080, {"client"}))
        for what, place, to, port, names in cases:
            answer = place.peer.tcp(to, port, timeout=0.5)
            if answer.get("name") not in names:
                wrong.append(f"IPv{f} {what}: {name_of(answer)}")
    return wrong


def all_works(lab, cast, made, title, seconds=5.0):
    until(lambda: not answers(lab, cast, made), seconds)
    tap.is_(answers(lab, cast, made), [], title)


def status_of(node):
    with open(node.inside("/run/fairlead/status.json"), encoding="utf-8") as file:
        return json.load(file)


def problems(node):
    return "\n".join(status_of(node)["problems"])


def events(lab, reason):
    items = json.loads(lab.kubectl("get events -A -o json"))["items"]
    return [f"{e['involvedObject']['kind']} {e['involvedObject'].get('name')}: {e['message']}" for e in items if e["reason"] == reason]


# ---- starting


def bad_starts(lab, cast, made):
    """What is missing is named, with what would be right; nothing waits, and nothing of the node changes."""
    n1 = lab.nodes["n1"]
    broken = os.path.join(lab.tmp, "broken.kubeconfig")
    with open(broken, "w", encoding="utf-8") as file:
        file.write("apiVersion: v1\nclusters: [\n")
    argv = n1.agent_argv()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    rows = (("no kubeconfig", [*argv, "--kubeconfig=/nowhere/x"], 1, r"/nowhere/x: No such file"),
            ("a broken kubeconfig", [*argv, f"--kubeconfig={broken}"], 1, r"broken\.kubeconfig: line \d"),
            ("a second agent", argv, 1, r"another fairlead-agent runs on this host"),
            ("a cleanup while one runs", n1.agent_argv("cleanup"), 1, r"runs on this (host|node)"),
            ("nobody's rights", [*nobody, argv[0], f"--kubeconfig={broken}x"], 1, r"No such file|denied"),
            ("a flag that is mistyped", [*argv, "--routng=native"], 2, r"is --routing meant"),
            ("a value that is none", [*argv, "--snat-port-min=99999"], 2, r"snat-port-min.*no number from"))
    for what, words, code, text in rows:
        got, _, errors = n1.run(words, check=False)
        tap.is_((got, bool(re.search(text, errors))), (code, True), f"{what} is said, and ends it")
    all_works(lab, cast, made, "and the node goes on as before")


def rights(lab, cast, made):
    """Every thread of a running agent has the capabilities that it needs, and cannot get others."""
    for node in lab.nodes.values():
        wanted = sum(1 << bit for bit in KEPT)
        held = {}
        for task in os.listdir(f"/proc/{node.agent.pid}/task"):
            with open(f"/proc/{node.agent.pid}/task/{task}/status", encoding="ascii") as file:
                for key, value in re.findall(r"^(Cap\w+):\t(\w+)$", file.read(), re.M):
                    held.setdefault(key, set()).add(int(value, 16))
        allowed = {key: not any(value & ~wanted for value in values) for key, values in held.items()}
        tap.is_(allowed, {key: True for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
                f"{node.name}'s agent keeps no other capabilities than {', '.join(KEPT.values())}")


class Systemd:
    """Listens as systemd does."""

    def __init__(self, lab):
        self.path = os.path.join(lab.tmp, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard = []

    def hears(self, text, seconds):
        end = time.monotonic() + seconds
        while not any(text in word for word in self.heard):
            self.socket.settimeout(max(end - time.monotonic(), 0.01))
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except TimeoutError:
                return False
        return True


def restart(node, env=None):
    node.kill_agent()
    argv = ["env", *(f"{k}={v}" for k, v in (env or {}).items()), *node.agent_argv()]
    with open(node.log, "ab") as log:
        node.agent = node.start(argv, cgroup=node.system_cgroup(), stdout=log, stderr=log)


def away(lab, cast, made):
    """The API server is away when an agent starts: what the former one left in the tables is served, and pods come and go."""
    n1, systemd = lab.nodes["n1"], Systemd(lab)
    restart(n1, {"NOTIFY_SOCKET": systemd.path})
    tap.ok(systemd.hears("READY=1", 15), "systemd hears when the agent is in step", systemd.heard)
    lab.apiserver.kill()
    lab.apiserver.wait()
    systemd.heard.clear()
    restart(n1, {"NOTIFY_SOCKET": systemd.path})
    until(lambda: n1.get_quietly("/livez"), 10)
    tap.is_((n1.get_quietly("/livez"), n1.get_quietly("/healthz")), (200, 200), "without an API server it is alive, and healthy")
    all_works(lab, cast, made, "and everything works as before")
    guest = lab.pod("n1", "guest")
    tap.is_([name_of(cast.c.peer.tcp(guest.ips[f], 8080)) for f in FAMILIES], ["guest", "guest"], "pods are plugged in")
    tap.is_(spread(guest, made["web"].ips[4], 80), {"b", "c"}, "and use services")
    guest.remove()
    code, text, _ = n1.run(n1.fairctl_argv("status"), check=False)
    tap.is_((code, "NOT YET" in text), (1, True), "fairctl status tells that the API server's state is missing")
    tap.ok(systemd.hears("READY=1", 25), "systemd need not end it for that", systemd.heard)
    lab.start_api()
    lab.endpoints(made["web"], [cast.c])
    learnt = until(lambda: spread(cast.a, made["web"].ips[4], 80, 6) == {"c"}, 40)
    tap.ok(learnt, "when the API server is back, changes are learnt")
    lab.endpoints(made["web"], [cast.b, cast.c])
    all_works(lab, cast, made, "and nothing was lost")
    n1.kill_agent(15)
    tap.ok(systemd.hears("STOPPING=1", 3), "systemd hears of its end")
    n1.start_agent()
    until(lambda: n1.get_quietly("/healthz") == 200, 10)


def wrong_node(lab, cast, made):
    """A Node that is not there, has no podCIDRs, or an address that the machine has not: said where people look."""
    n2 = lab.nodes["n2"]
    n2.settings["node-name"] = "somebody"
    restart(n2)
    tap.ok(until(lambda: "there is no Node somebody; set nodeName" in problems(n2), 10), "a Node that is missing is named", problems(n2))
    all_works(lab, cast, made, "what works goes on")
    del n2.settings["node-name"]
    restart(n2)
    tap.ok(until(lambda: n2.get_quietly("/healthz") == 200 and not problems(n2), 10), "with the right name nothing is wrong", problems(n2))
    new = node_object("n9", 9, {4: "198.18.18.99", 6: "fd10:18::99"})
    new["spec"] = {}
    lab.kubectl("create --validate=false -f -", stdin=new)
    n2.settings["node-name"] = "n9"
    restart(n2)
    until(lambda: "podCIDRs" in problems(n2), 10)
    tap.like(problems(n2), r"Node n9 has no spec\.podCIDRs: run .*--allocate-node-cidrs", "a Node without pod CIDRs is told how to get some")
    tap.like(problems(n2), r"no NIC of this host has an InternalIP of its Node", "an InternalIP that is not here, too")
    lab.delete("node", "n9")
    del n2.settings["node-name"]
    restart(n2)
    until(lambda: n2.get_quietly("/healthz") == 200, 10)
    all_works(lab, cast, made, "and with its own Node all is well again")


# ---- the node changes


def lay(node, last):
    node.ip(f"address replace 198.18.18.{last}/24 dev eth0\naddress replace fd10:18::{last}/64 dev eth0 nodad\n"
            "route replace default via 198.18.18.254\nroute replace default via fd10:18::fe\n")


def nic(lab, cast, made):
    """The NIC goes down and comes back, as when a cable is pulled and whoever configures the NIC does so anew."""
    n1 = lab.nodes["n1"]
    n1.ip("link set eth0 down\n")
    near = cast.a.peer.tcp(cast.b.ips[4], 8080)
    tap.is_(name_of(near), "b", "without a NIC pods of the node meet")
    tap.ok(until(lambda: "no NIC" in problems(n1), 3), "and fairctl status says that there is none", problems(n1))
    time.sleep(0.5)
    n1.ip("link set eth0 up\n")
    lay(n1, 11)
    all_works(lab, cast, made, "when it is back, everything works")
    tap.ok(until(lambda: not problems(n1), 3), "and nothing is wrong", problems(n1))


def address(lab, cast, made):
    """The node gets another address: all learn it from its Node."""
    n1 = lab.nodes["n1"]
    n1.ip("address del 198.18.18.11/24 dev eth0\naddress del fd10:18::11/64 dev eth0\n")
    lay(n1, 31)
    n1.ips = {4: "198.18.18.31", 6: "fd10:18::31"}
    patch = {"status": node_object("n1", 1, n1.ips)["status"]}
    lab.kubectl(["patch", "node", "n1", "--subresource=status", "--type=merge", "-p", json.dumps(patch)])
    # The watch was from the old address: that nobody answers there any more takes half a minute to find out. Until then
    # all goes on as before.
    def at_old(f):
        return lab.client.peer.tcp({4: "198.18.18.11", 6: "fd10:18::11"}[f], made["web"].node_port(80), timeout=0.3)

    def learnt():
        seen = [cast.a.peer.tcp(CLIENT[f], 8080).get("client", [0])[0] for f in FAMILIES]
        return (seen == [n1.ips[f] for f in FAMILIES] and not problems(n1) and not answers(lab, cast, made) and
                all("error" in at_old(f) for f in FAMILIES))
    tap.ok(until(learnt, 60), "the new address is learnt", problems(n1))
    all_works(lab, cast, made, "everything works under it")
    for f in FAMILIES:
        out, in_ = cast.a.peer.tcp(CLIENT[f], 8080), cast.c.peer.tcp(n1.ips[f], made["web"].node_port(80))
        tap.is_(out.get("client", [0])[0], n1.ips[f], f"IPv{f}: pods are seen under it outside")
        tap.ok(in_.get("name") in ("b", "c"), f"IPv{f}: pods of other nodes find its NodePorts", in_)
        old = at_old(f)
        tap.ok("error" in old, f"IPv{f}: the old one serves nobody", old)
    until(lambda: not any(map(problems, lab.nodes.values())), 5)
    tap.is_([problems(n) for n in lab.nodes.values()], ["", ""], "and nothing is wrong")


def no_route(lab, cast, made):
    """Without the socket path a node's processes have a route to services, the agent's own, also without a default route."""
    n1 = lab.nodes["n1"]
    n1.settings["socket-path"] = "false"
    restart(n1)
    until(lambda: n1.get_quietly("/healthz") == 200, 10)
    all_works(lab, cast, made, "without the socket path everything works")
    # The node is healthy by what it took over from the agent before; its routes to services come with the API's ServiceCIDRs.
    tap.ok(until(lambda: all(own_node.routes(n1, f) for f in FAMILIES), 5), "there are routes to services")
    n1.ip("route del default\n")
    got = [n1.peer.tcp(made["web"].ips[f], 80) for f in FAMILIES for _ in range(4)]
    tap.ok(all(name_of(x) in ("b", "c") for x in got),
           "without a default route services are reached", got)
    tap.is_([name_of(cast.a.peer.tcp(made["web"].ips[f], 80)) in ("b", "c") for f in FAMILIES], [True, True], "pods need none")
    n1.ip("route add default via 198.18.18.254\n")
    tap.ok(until(lambda: not problems(n1), 3), "nothing is wrong", problems(n1))
    del n1.settings["socket-path"]
    restart(n1)
    until(lambda: n1.get_quietly("/healthz") == 200, 10)
    all_works(lab, cast, made, "and with the socket path everything works")
    gone = until(lambda: not any(own_node.routes(n1, f) + own_node.neighbours(n1, f) for f in FAMILIES), 5)
    tap.ok(gone and "to_lo" not in n1.run("ls /sys/fs/bpf/fairlead/v1/links"), "and what was for packets is gone",
           n1.run("ip route") + n1.run("ip neighbour"))


# ---- what people are told


def skipped(lab, cast, made):
    """What is left out of an object is told by an Event of it, and by fairctl status."""
    lab.apply(service_object("first", spec={"externalIPs": ["203.0.113.50"]}))
    time.sleep(1.1)  # whoever is older has the address; creation times are in seconds
    lab.apply(service_object("second", spec={"externalIPs": ["203.0.113.50"]}))
    slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
              "metadata": {"name": "second-x", "labels": {"kubernetes.io/service-name": "second"}},
              "ports": [{"name": "tcp-80", "port": 8080, "protocol": "TCP"}],
              "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}},
                            {"addresses": [cast.c.ips[4]], "conditions": {"ready": True}}]}
    code, _, errors = lab.kubectl("create --validate=false -f -", stdin=slice_, check=False)
    tap.diag(f"the API server about an endpoint at 127.0.0.1: {code} {errors.strip()}")
    told = until(lambda: [e for e in events(lab, "Skipped") if e.startswith("Service second: node n1: 203.0.113.50:80/TCP already "
                                                                           "belongs to default/first")], 8)
    tap.ok(told, "of two services that claim an address the younger gets an Event", events(lab, "Skipped"))

    def status():
        return lab.nodes["n1"].run(lab.nodes["n1"].fairctl_argv("status"), check=False)[1]

    until(lambda: "default/second" in status())
    tap.like(status(), r"default/second", "and fairctl status names it")
    lab.delete("service", "first")
    ok = until(lambda: not [s for s in status_of(lab.nodes["n1"])["skipped"] if "already belongs" in s["reason"]], 5)
    tap.ok(ok, "when the older one goes the younger has it", status_of(lab.nodes["n1"])["skipped"])
    lab.delete("service", "second")
    lab.delete("endpointslice", "second-x")


def full(lab, cast, made):
    """A table is full: an Event, a metric and fairctl status say so; the others are served, and all is well when there is room."""
    n1 = lab.nodes["n1"]
    many = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "many-x", "labels": {"kubernetes.io/service-name": "many"}},
            "ports": [{"name": "tcp-80", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [f"10.200.0.{i + 1}"], "conditions": {"ready": True}} for i in range(2 * BACKENDS)]}
    lab.apply(service_object("many", [service_port(80)]), many)

    def is_full():
        return n1.metrics().get('fairlead_map_full{map="backends"}', 0)

    tap.ok(until(is_full, 8), "the metric fairlead_map_full says which table is full")
    told = until(lambda: [e for e in events(lab, "ServiceTableFull") if "the table backends is full (" in e], 8)
    tap.ok(told and told[0].startswith("Node n"), "an Event of the Node says it", events(lab, "ServiceTableFull"))
    until(lambda: "backends" in status_of(n1)["full"], 3)
    _, text, _ = n1.run(n1.fairctl_argv("status"), check=False)
    tap.like(text, r"FULL: +map backends", "fairctl status says it")
    all_works(lab, cast, made, "who was there before is served")
    lab.delete("endpointslice", "many-x")
    lab.delete("service", "many")
    tap.ok(until(lambda: not is_full(), 15), "with room again nothing is full any more")
    lab.apply(service_object("after", [service_port(80)]))
    after = lab.services(service_object("after", [service_port(80)]))["after"]
    lab.endpoints(after, [cast.c])
    tap.is_(reached(lab, cast.a, after.ips[4], 80, {"c"}, seconds=15), "c", "and who comes then is served")
    lab.endpoints(after, [])
    tap.ok(until(lambda: refused(cast.a.peer.tcp(after.ips[4], 80, timeout=1)), 5), "or refused when it has nobody")


MAPS = "/sys/fs/bpf/fairlead/v1/maps"


def damage(node):
    """Somebody writes into the tables: takes frontends and routes away, clears slots, a pod and the node."""
    script = f"""
import json, subprocess
def tool(*words):
    return subprocess.run(["bpftool", *words], check=True, capture_output=True, text=True).stdout
def keys(name):
    return [e["key"] for e in json.loads(tool("-j", "map", "dump", "pinned", "{MAPS}/" + name))]
for name in ("services", "routes"):
    for key in keys(name)[:3]:
        tool("map", "delete", "pinned", "{MAPS}/" + name, "key", "hex", *(byte[2:] for byte in key))
none = " ".join(["00"] * 64)
lines = "".join(f"map update pinned {MAPS}/slots key hex {{i & 255:02x}} {{i >> 8:02x}} 00 00 value hex {{none}}\\n" for i in range(1000))
subprocess.run(["bpftool", "batch", "file", "-"], input=lines, check=True, capture_output=True, text=True)
size = json.loads(tool("-j", "map", "show", "pinned", "{MAPS}/node"))["bytes_value"]
tool("map", "update", "pinned", "{MAPS}/node", "key", "0", "0", "0", "0", "value", "hex", *["00"] * size)
"""
    node.run(["python3", "-c", script])


def checked(lab, cast, made):
    """fairctl check finds what somebody else has done to the tables, with and without an agent, and has it put right."""
    n1 = lab.nodes["n1"]

    def check(*words):
        code, text, errors = n1.run(n1.fairctl_argv("check", "-o", "json", *words), check=False)
        return code, json.loads(text) if text else {"differences": errors, "compared": {"nothing": 0}}

    code, said = check()
    tap.is_((code, said["differences"]), (0, []), "nothing differs")
    tap.ok(min(said["compared"].values()) > 0, "and all kinds were compared", said["compared"])
    for running in (True, False):
        how = "while the agent runs" if running else "without an agent"
        if not running:
            n1.kill_agent()
        damage(n1)
        code, said = check()
        tables = {d["table"] for d in said["differences"]} if code == 1 else said["differences"]
        tap.is_(tables, {"services", "routes", "slots", "node"}, f"{how}: each damage is found")
        code, text, errors = n1.run(n1.fairctl_argv("check"), check=False)
        tap.ok(code == 1 and "--repair" in text and "missing" in text and not errors, f"{how}: people are told, and what to do", text + errors)
        code, said = check("--repair")
        tap.is_((code, said["differences"]), (0, []), f"{how}: it is put right")
        all_works(lab, cast, made, f"{how}: everything works again")
    code, text, errors = n1.run(n1.fairctl_argv("check", "--kubeconfig", "/nowhere/x"), check=False)
    tap.ok(code == 2 and "/nowhere/x" in errors and not text, "a kubeconfig that is not there is named", (code, text, errors))
    n1.start_agent()
    until(lambda: n1.get_quietly("/healthz") == 200, 10)
    tap.is_(check()[0], 0, "and a new agent agrees")


STORIES = (bad_starts, rights, checked, skipped, full, away, wrong_node, no_route, nic, address)


def main(only):
    requirements()
    with Lab(nodes=("n1", "n2"), max_backends=BACKENDS) as lab:
        cast = Cast(lab)
        lab.client.peer.serve(tcp=[8080], udp=[8080])
        made = lab.services(service_object("web", spec={"type": "NodePort"}))
        lab.endpoints(made["web"], [cast.b, cast.c])
        all_works(lab, cast, made, "the lab is up")
        tell_all(lab, STORIES, only, cast, made)
        lab.check_no_packet_filter()
        lab.check_no_way_out()
    tap.done()


main(sys.argv[1:])

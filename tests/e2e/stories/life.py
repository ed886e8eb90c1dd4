# SPDX-License-Identifier: Apache-2.0
"""The agent dies, is replaced, is worked against, and goes: what the node's traffic notices of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import lab_kernel
from apiserver import BUILD
from common import FAMILIES, all_of, name_of, reached, refused, spread, tap, until
from lab_objects import service_object, service_port

BOTH = {"b", "c"}


def services():
    ports = [service_port(80), service_port(80, proto="UDP"), service_port(90, 9000)]
    return [service_object("live", ports, spec={"type": "NodePort"}), service_object("late"), service_object("doomed")]


def endpoints(cast):
    return {"live": [cast.b, cast.c], "late": [cast.b], "doomed": [cast.b]}


HELD = 50


def serve_held(cast):
    """Servers for the connections that netload holds."""
    for pod in (cast.b, cast.c):
        server = pod.start_program([os.path.join(BUILD, "netload"), "serve", "--name", pod.name, "--tcp", "9000"],
                                   stdout=subprocess.PIPE)
        server.stdout.readline()


class Load:
    """Connections kept, connections made and datagrams counted, from a pod, a node and the client, by both families."""

    def __init__(self, lab, cast, made):
        self.lab, self.begun = lab, []
        live = made["live"]
        self.holds = [self.hold(cast.a.start_program, f"{live.ips[4]}:90", f"[{live.ips[6]}]:90"),
                      self.hold(lab.client.start, f"{lab.nodes['n1'].ips[4]}:{live.node_port(90)}",
                                f"[{lab.nodes['n1'].ips[6]}]:{live.node_port(90)}")]
        for f in FAMILIES:
            n1, n3 = lab.nodes["n1"], lab.nodes["n3"]
            for place, to, port, udp in ((cast.a, live.ips[f], 80, 80), (n1, live.ips[f], 80, 80),
                                         (lab.client, n1.ips[f], live.node_port(80), live.node_port(80, "UDP"))):
                reached(lab, place, to, port, BOTH)
                self.begin(place, to, port, "connections", interval_ms=10)
                self.begin(place, to, port, "requests", interval_ms=5, parallel=4)
                self.begin(place, to, udp, "datagrams", interval_ms=4)
            self.begin(cast.a, cast.c.ips[f], 8080, "datagrams", interval_ms=4)
            self.begin(cast.d, cast.a.ips[f], 8080, "datagrams", interval_ms=4)
            self.begin(n3, cast.a.ips[f], 8080, "requests", interval_ms=4)
        time.sleep(0.3)

    def begin(self, place, to, port, kind, **options):
        handle = f"load{len(self.begun)}"
        waiting = place.peer.begin("load", handle, to, port, kind, **options)
        self.begun.append((f"{kind} from {place.name} to {to}", place, handle, waiting))

    @staticmethod
    def hold(start, *to):
        """Many connections, each used all the time; returns when all of them are open."""
        process = start([os.path.join(BUILD, "netload"), "hold", "--concurrency", str(HELD), "--interval", "20", "--announce", *to],
                        stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        return process

    def end(self, title, longest_ms=1000):
        for _, place, handle, _ in self.begun:
            place.peer.end_load(handle)
        totals = [(what, waiting.get(timeout=20)) for what, _, _, waiting in self.begun]
        tap.ok(sum(t.get("done", 0) for _, t in totals) > 500, f"{title}: there was traffic", totals)
        all_of(f"{title}: no connection and no packet is lost", (
            (what, {k: total.get(k) for k in ("error", "errors", "lost") if total.get(k)}, {}) for what, total in totals))
        held = []
        for process in self.holds:
            process.terminate()
            held.append(json.loads(process.communicate()[0].splitlines()[-1]))
        all_of(f"{title}: {HELD} connections held by each of two go on", (
            (i, (h.get("opened"), h.get("failed"), h.get("broken")), (HELD, 0, 0)) for i, h in enumerate(held)))
        all_of(f"{title}: nobody waits", ((what, total.get("longest_ms", 0), lambda ms: ms < longest_ms)
                                          for what, total in totals))


def kill(lab, cast, made):
    """kill -9 under load; while the agent is away the node goes on."""
    load = Load(lab, cast, made)
    nodes = [lab.nodes["n1"], lab.nodes["n2"]]
    for node in nodes:
        node.kill_agent()
    time.sleep(0.5)
    for node in nodes:
        node.start_agent()
    tap.ok(until(lambda: all(n.get_quietly("/healthz") == 200 for n in nodes), 15), "killed agents come back")
    time.sleep(0.5)
    load.end("kill -9 and restart")


def upgrade(lab, cast, made):
    """Another program with other settings takes over under load."""
    folder = os.path.join(lab.tmp, "new")
    os.makedirs(folder)
    shutil.copy(os.path.join(BUILD, "fairlead-agent"), folder)
    load = Load(lab, cast, made)
    for node in lab.nodes.values():
        code = node.kill_agent(signal.SIGTERM)
        tap.is_(code, 0, f"the agent of {node.name} ends in order")
        node.program = folder
        node.settings["tcp-closing-timeout"] = "11s"
        node.start_agent()
        tap.ok(until(lambda node=node: node.get_quietly("/healthz") == 200, 15), f"{node.name} runs the new one")
        time.sleep(0.2)
    load.end("upgrade")


def missed(lab, cast, made):
    """What changed while the agent was away is made up for when it is back; pods cannot be plugged meanwhile, but removed."""
    n1 = lab.nodes["n1"]
    guest = lab.pod("n1", "guest")
    n1.kill_agent()
    code, answer = lab.pod("n1", "early", plug=False).cni("ADD", check=False)
    tap.is_((code != 0, answer.get("code")), (True, 11), "without an agent CNI ADD says: try again later")
    guest.remove()
    lab.endpoints(made["late"], [cast.c])
    lab.delete("service", "doomed")
    n1.start_agent()
    for family in FAMILIES:
        vip = made["late"].ips[family]
        tap.is_((until(lambda vip=vip: spread(cast.a, vip, 80, 8) == {"c"}, 10), spread(cast.a, vip, 80, 8)), (True, {"c"}),
                f"IPv{family}: endpoints that changed meanwhile are known")
        gone = until(lambda f=family: refused(cast.a.peer.tcp(made["doomed"].ips[f], 80, timeout=1)), 5)
        tap.ok(gone, f"IPv{family}: a service that was deleted meanwhile is gone")
    pod = lab.pod("n1", "later")
    tap.is_(reached(lab, cast.c, pod.ips[4], 8080, {"later"}), "later", "and pods are plugged again")
    pod.remove()


def server_away(lab, cast, made):
    """Without the API server the dataplane goes on; what changes afterwards is learnt when it is back."""
    load = Load(lab, cast, made)
    lab.apiserver.kill()
    lab.apiserver.wait()
    time.sleep(1)
    lab.start_api()
    lab.endpoints(made["late"], [cast.d])
    learnt = until(lambda: spread(cast.a, made["late"].ips[4], 80, 4) == {"d"}, 15)
    load.end("the API server dies and comes back")
    tap.ok(learnt, "changes are learnt when it is back", spread(cast.a, made["late"].ips[4], 80, 4))


def churn(lab, cast, made):
    """Endpoints come and go; those that stay serve without a fault, and the last state holds."""
    load = Load(lab, cast, made)
    for i in range(20):
        lab.endpoints(made["live"], [[cast.b, cast.c], [cast.c, cast.b, cast.d], [cast.d, cast.b, cast.c]][i % 3])
    lab.endpoints(made["live"], [cast.b, cast.c])
    load.end("20 changes of endpoints")
    both = until(lambda: all(spread(cast.a, made["live"].ips[f], 80) == BOTH for f in FAMILIES), 3)
    tap.ok(both, "the last one holds")


def damages(lab, cast):
    """(what, command on n1)"""
    n1 = lab.nodes["n1"]
    tunnel = re.search(r"^\d+: ([^:@]+)", n1.run("ip -o link show type vxlan"), re.M)
    side = cast.a.host_side()
    yield "a pod's route", f"ip route del {cast.a.ips[4]}"
    yield "a pod's IPv6 route", f"ip -6 route del {cast.a.ips[6]}"
    yield "a pod's neighbour entry", f"ip neigh del {cast.a.ips[4]} dev {side}"
    yield "the route to another node's pods", "ip route del 10.244.2.0/24"
    yield "the IPv6 route to another node's pods", "ip -6 route del fd10:244:0:2::/64"
    if tunnel:
        yield "the tunnel's being up", f"ip link set {tunnel.group(1)} down"
        yield "the tunnel", f"ip link del {tunnel.group(1)}"


def works(lab, cast, made, family):
    """Everything that the damages concern."""
    n1 = lab.nodes["n1"]
    cases = [(cast.a, cast.c.ips[family], 8080, {"c"}), (n1, cast.a.ips[family], 8080, {"a"}), (n1, cast.c.ips[family], 8080, {"c"}),
             (cast.d, cast.a.ips[family], 8080, {"a"}), (cast.a, made["live"].ips[family], 80, BOTH),
             (lab.client, n1.ips[family], made["live"].node_port(80), BOTH)]
    return [name_of(a) for a, names in ((place.peer.tcp(to, port, timeout=0.3), names) for place, to, port, names in cases)
            if a.get("name") not in names]


def repair(lab, cast, made):
    """Somebody else deletes what is the agent's: it comes back (within a second, on a machine that has nothing else to do)."""
    n1 = lab.nodes["n1"]
    before = state_of(n1)
    for what, command in damages(lab, cast):
        n1.run(command)
        back = until(lambda: state_of(n1) == before, 1.0)
        tap.ok(back, f"{what} comes back", difference(before, state_of(n1)))
    for path in detachable(n1):
        lab_kernel.detach(n1.inside(path))
        back = until(lambda: state_of(n1) == before, 1.5)
        tap.ok(back, f"the program of {os.path.basename(path)} is attached again", difference(before, state_of(n1)))
    all_of("and everything works", ((f"IPv{f}", until(lambda f=f: not works(lab, cast, made, f), 3), True) for f in FAMILIES))


def detachable(node):
    """Pinned links of devices and cgroup, one of a kind."""
    found = {}
    for folder, _, names in os.walk(node.inside("/sys/fs/bpf/fairlead")):
        for name in names:
            if os.path.basename(folder) == "links":
                found.setdefault(re.sub(r"fl[0-9a-f]{12}|\d+", "", name), os.path.join(folder, name))
    root = node.inside("")
    return sorted(path.removeprefix(root) for path in found.values())


def difference(before, after):
    return "\n".join(f"{key}: {sorted(set(map(str, before[key])) ^ set(map(str, after[key])))}" for key in before
                     if before[key] != after.get(key))


def state_of(node, pods=True):
    """What an agent may leave on its node, without what changes by itself."""
    def lines(command):
        text = re.sub(r" (expires|used|ref) \S+|if\d+| (REACHABLE|STALE|DELAY|PROBE|FAILED|INCOMPLETE)\b", "", node.run(command))
        return sorted(line.strip() for line in text.splitlines() if "ff:fe" not in line)  # made of a random MAC

    with lab_kernel.in_netns(node.netns):
        devices = json.loads(node.run("ip -j link"))
        programs = {d["ifname"]: lab_kernel.attached_to_device(d["ifindex"]) + (["xdp"] if d.get("xdp") else [])
                    for d in devices if pods or d["ifname"] in ("lo", "eth0")}
    root = node.inside("/sys/fs/cgroup" + ("/unified" if node.number == 3 else ""))
    return {"links": sorted(re.sub(r"^\d+: ", "", re.sub(r" (state|qdisc|qlen|mode|group|link-netns\w*) \S+|promiscuity.*|link/ether.*", "", line))
                            for line in lines("ip -o link")),
            "programs": [f"{name}: {kinds}" for name, kinds in sorted(programs.items())],
            "cgroup": [str(lab_kernel.attached_to_cgroup(root))],
            "routes": lines("ip route show table all") + lines("ip -6 route show table all"),
            "rules": lines("ip rule") + lines("ip -6 rule"),
            "neighbours": [line for line in lines("ip neigh") + lines("ip -6 neigh") if "PERMANENT" in line],
            "sysctls": lines("sysctl -a -e -r ^net.ipv[46].(conf.(all|default|eth0)|ip_).*(forward|filter|local|redirects|proxy|arp)"),
            "files": sorted(re.sub(r"overlay_\d+", "overlay", name)
                            for name in lines("find /sys/fs/bpf /run -mindepth 1 -not -path /run/netns/*"))}


def power_cut(lab, cast, made):
    """Every process of a node dies at once; what the kernel holds outlives them, and is adopted."""
    n2 = lab.nodes["n2"]
    lab.client.peer.open("cut", lab.nodes["n1"].ips[4], made["live"].node_port(80))
    n2.power_off()
    n2.start_agent()
    for pod in (cast.c, cast.h):
        pod.start()
        pod.serve(**({"addresses": list(pod.ips.values())} if pod.host_network else {}))
    for family in FAMILIES:
        tap.is_(reached(lab, cast.a, cast.c.ips[family], 8080, {"c"}, seconds=10), "c",
                f"IPv{family}: after a power cut a pod is reached again")
        both = until(lambda f=family: spread(cast.a, made["live"].ips[f], 80) == BOTH, 5)
        tap.ok(both, f"IPv{family}: and serves again")
        tap.is_(reached(lab, cast.c, made["live"].ips[family], 80, BOTH) in BOTH, True, f"IPv{family}: and is served")


def reboot(lab, cast, made):
    """A node boots with new everything: what the others know of it still holds, and its pods come anew."""
    n3 = lab.reboot("n3")
    tap.ok(until(n3.agent_ready, 15), "a node that has booted gets ready")
    cast.d = lab.pod("n3", "d")
    for family in FAMILIES:
        tap.is_((reached(lab, cast.a, cast.d.ips[family], 8080, {"d"}, seconds=5), reached(lab, cast.d, cast.c.ips[family], 8080, {"c"})),
                ("d", "c"), f"IPv{family}: its new pods reach the others, and are reached")
        tap.is_(reached(lab, lab.client, n3.ips[family], made["live"].node_port(80), BOTH) in BOTH, True,
                f"IPv{family}: it serves NodePorts")


def cleanup(lab, before):
    """`fairlead-agent cleanup` takes away all that agent and plugin have put there."""
    for node in lab.nodes.values():
        node.kill_agent()
        code, _, errors = node.cleanup_agent()
        tap.is_((code, errors if code else ""), (0, ""), f"{node.name}: cleanup succeeds")
        same = until(lambda node=node: state_of(node) == before[node.name], 3)
        tap.ok(same, f"{node.name}: nothing is left", difference(before[node.name], state_of(node)))
        tap.is_(node.cleanup_agent()[0], 0, f"{node.name}: a second cleanup has nothing to do")


STORIES = (kill, upgrade, churn, server_away, missed, repair, power_cut, reboot)

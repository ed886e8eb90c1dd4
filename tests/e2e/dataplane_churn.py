#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
# runner: alone
"""Hundreds of changes a second while pods come and go, agents and the API server are killed, and devices are pulled away:
afterwards every node's tables are what the API says, nothing has leaked, and no connection to endpoints that were there all
the time has failed. SECONDS=n makes each round longer, ROUNDS=n plays them more than once, SEED=n chooses other changes;
FL_BUILD=build/san lets everything be watched by sanitizers."""

import contextlib
import os
import random
import re
import signal
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import lab_churn  # noqa: E402
import tap  # noqa: E402
from apiserver import BUILD  # noqa: E402
from lab import API, Lab, Pod, requirements, until  # noqa: E402
from lab_api import SLICES, Api  # noqa: E402
from lab_objects import endpoint_slices, node_object, service_object, service_port  # noqa: E402

SECONDS, ROUNDS, SEED = (float(os.environ.get(name, default)) for name, default in (("SECONDS", 3), ("ROUNDS", 1), ("SEED", 1)))
SETTLED_S = 20  # an informer's pause after the API server has failed several times within two minutes is 6 s and more
WATCHED = os.path.basename(BUILD) in ("san", "tsan")
GROWTH_KIB = 98304 if WATCHED else 8192
HEALTH_CHECKS = 16  # descriptors of theirs, which come and go with Services, and of connections to the API server
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")


class Guest(Pod):
    """A network namespace that is plugged, without a process."""

    def start(self, setup=""):
        self.node.run(["nsenter", f"--net={self.netns}", "sh", "-ec", setup])

    def serve(self, **options):
        pass

    def remove(self):
        self.unplug()
        self.node.run(["ip", "netns", "delete", self.id])


class Cast:
    """Pods that stay, and a service of theirs whose endpoints change all the time: one of b and c is always among them."""

    def __init__(self, lab):
        self.lab = lab
        self.a, self.b, self.c = lab.pods(("n1", "a"), ("n1", "b"), ("n1", "c"))
        self.steady = lab.services(service_object("steady", [service_port(80)], spec={"type": "NodePort"}))["steady"]
        lab.endpoints(self.steady, [self.b, self.c])
        n1 = lab.nodes["n1"]
        self.ways = [(self.a, self.steady.ips[4], 80), (self.a, self.steady.ips[6], 80),
                     (lab.client, n1.ips[4], self.steady.node_port(80)), (lab.client, n1.ips[6], self.steady.node_port(80))]
        for place, to, port in self.ways:
            lab.settled(place, to, port, lambda answer: answer.get("name") in ("b", "c"))

    def flip(self, api, number):
        """One change of the endpoints, by API."""
        for s in endpoint_slices(self.steady.object, [[self.b], [self.c], [self.b, self.c]][number % 3]):
            api.send("PUT", f"{SLICES}/{s['metadata']['name']}", s)


@contextlib.contextmanager
def busy(cast, title, outside=True):
    """Everything at once: writers, guests, flips, and connections that must not fail. outside: also by the node's NIC."""
    lab, rng = cast.lab, random.Random(f"{SEED}/{title}")
    ways = [w for w in cast.ways if outside or w[0] is cast.a]
    waiting = [place.peer.begin("load", f"{title}{i}", to, port, "connections", interval_ms=3) for i, (place, to, port) in enumerate(ways)]
    api = Api(lab, API, timeout_s=3)
    flips = lab_churn.Repeat(lambda number: quietly(cast.flip, api, number), 0.002)
    guests = lab_churn.Repeat(lambda number: visit(lab, rng, number), 0.02)
    with lab_churn.churn(lab, 3, 15, f"{SEED}/{title}") as writers:
        try:
            yield
        finally:
            flips.stop()
            guests.stop()
            api.close()
            for i, (place, _, _) in enumerate(ways):
                place.peer.end_load(f"{title}{i}")
    totals = [w.get(timeout=20) for w in waiting]
    tap.diag(f"{title}: {sum(w.writes for w in writers)} writes, {flips.done} flips, {guests.done} pods, "
             f"{[t.get('done') for t in totals]} connections, the longest {max(t.get('longest_ms', 0) for t in totals)} ms")
    tap.is_([f for w in writers for f in w.faults], [], f"{title}: the API server takes what is written")
    tap.is_(flips.faults + guests.faults, [], f"{title}: pods come and go")
    tap.is_([t.get("errors", t) for t in totals], [{}] * len(totals), f"{title}: no connection fails")


def quietly(what, *arguments):
    """While the API server is away nobody can write."""
    with contextlib.suppress(OSError, lab_churn.http.client.HTTPException):
        what(*arguments)


def visit(lab, rng, number):
    """A pod comes and goes. While its agent is away it cannot be plugged: then it goes at once."""
    node = rng.choice(list(lab.nodes.values()))
    guest = Guest(node, f"g{number}", plug=False)
    code, answer = guest.cni("ADD", check=False)
    if code and answer.get("code") != 11:
        raise RuntimeError(f"CNI ADD on {node.name}: {answer}")
    guest.remove()


# ---- what holds after each round


def settled(lab, title):
    """Every node's tables are what the API says."""
    for name, node in lab.nodes.items():
        want = lab_churn.wanted(lab, name)
        start = time.monotonic()
        until(lambda node=node, want=want: not lab_churn.differences(want, lab_churn.Found(node)), SETTLED_S)
        wrong = lab_churn.differences(want, found := lab_churn.Found(node))
        tap.ok(not wrong, f"{title}: {name} serves what the API says", "\n".join(wrong[:20]))
        tap.diag(f"{name}: {len(want.frontends)} frontends, {len(found.backends)} backends after {time.monotonic() - start:.1f} s")
        counts = until(lambda node=node, want=want: entries(node) == expected(node, want) and entries(node), 5) or entries(node)
        tap.is_(counts, expected(node, want), f"{title}: and {name} holds nothing else")


def expected(node, want):
    """Frontends and what owns their addresses; of kubernetes.default there are 2 of these."""
    rows = lab_churn.json.loads(node.fairctl("backend", "list", "-o", "json"))
    return {"services": len(want.frontends) + len(want.addresses) + 2, "backends": len(rows)}


def entries(node):
    metrics = node.metrics()
    return {name: int(metrics[f'fairlead_map_entries{{map="{name}"}}']) for name in ("services", "backends")}


def leftovers(lab, title):
    """Nothing is kept for pods that went."""
    for node in lab.nodes.values():
        def kept(node=node):
            sides = re.findall(r": (fl[0-9a-f]{12})@", node.run("ip -o link"))
            pins = [p for p in node.run("find /sys/fs/bpf/fairlead -mindepth 1").split() if re.search(r"/(?:\w+-)?fl[0-9a-f]{12}", p)]
            records = node.run("ls /run/fairlead/attachments").split()
            return len(sides), len(records), len(set(re.findall(r"fl[0-9a-f]{12}", " ".join(pins)))) or len(sides)
        pods = 3 if node.name == "n1" else 0
        until(lambda kept=kept, pods=pods: kept() == (pods,) * 3, 12)
        tap.is_(kept(), (pods,) * 3, f"{title}: {node.name} keeps devices, records and pins of its {pods} pods only")


class Use:
    """Descriptors and memory of the agents: once they have seen everything they need no more."""

    def __init__(self, lab):
        self.lab = lab
        self.first = self.now()

    def now(self):
        found = {}
        for name, node in self.lab.nodes.items():
            with open(f"/proc/{node.agent.pid}/status", encoding="ascii") as file:
                kib = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
            found[name] = node.agent.pid, len(os.listdir(f"/proc/{node.agent.pid}/fd")), kib
        return found

    def check(self, title, kib):
        for name, (pid, fds, rss) in self.now().items():
            was = self.first[name]
            tap.diag(f"{title}: {name} has {fds} descriptors and {rss} KiB (before: {was[1]}, {was[2]})")
            if pid == was[0]:
                tap.ok(fds <= was[1] + HEALTH_CHECKS, f"{title}: {name}'s agent leaks no descriptors", f"{was[1]} -> {fds}")
                tap.ok(rss <= was[2] + kib, f"{title}: {name}'s agent leaks no memory", f"{was[2]} -> {rss} KiB")
            else:
                self.first[name] = pid, fds, rss


# ---- rounds


def plain(cast, title):
    with busy(cast, title):
        time.sleep(SECONDS)


def killed(cast, title):
    """kill -9 at any moment, also while the agent starts."""
    rng = random.Random(f"{SEED}/{title}")
    with busy(cast, title):
        end = time.monotonic() + 2 * SECONDS
        while time.monotonic() < end:
            node = rng.choice(list(cast.lab.nodes.values()))
            node.kill_agent()
            time.sleep(rng.choice((0, 0.02, 0.2)))
            node.start_agent()
            time.sleep(rng.uniform(0, 0.8))


def server(cast, title):
    """The API server dies, and is behind a broken wire."""
    lab = cast.lab
    with busy(cast, title):
        for wait in (0, 0.5):
            time.sleep(SECONDS / 3)
            lab.apiserver.kill()
            lab.apiserver.wait()
            time.sleep(wait)
            lab.start_api()
        time.sleep(SECONDS / 3)
        lab.fabric.ip("link set api down\n")
        time.sleep(1)
        lab.fabric.ip("link set api up\n")


def pulled(node):
    """The kernel forgets IPv6 addresses and routes of a NIC that is down; who configured them does it again."""
    node.ip("link set eth0 down\n")
    time.sleep(0.1)
    node.ip(f"link set eth0 up\naddress replace {node.ips[6]}/64 dev eth0 nodad\n"
            "route replace default via 198.18.18.254\nroute replace default via fd10:18::fe\n")


def wires(cast, title):
    """NICs go down, the tunnel is deleted, nodes come, change their addresses and go; pods of one node do not notice."""
    lab, nodes = cast.lab, list(cast.lab.nodes.values())
    rng = random.Random(f"{SEED}/{title}")
    with busy(cast, title, outside=False):
        for i in range(int(4 * SECONDS)):
            node = rng.choice(nodes)
            what = i % 4
            if what == 0:
                pulled(node)
            elif what == 1:
                tunnel = re.search(r"^\d+: ([^:@]+)", node.run("ip -o link show type vxlan"), re.M)
                if tunnel:
                    node.run(["ip", "link", "delete", tunnel.group(1)], check=False)
            elif what == 2:
                lab.kubectl("create --validate=false -f -", stdin=node_object("n9", 9, {4: f"198.18.18.{30 + i}", 6: f"fd10:18::{30 + i:x}"}))
            else:
                lab.delete("node", "n9")
            time.sleep(0.15)
        lab.delete("node", "n9")


def frozen(cast, title):
    """Agents are stopped for a while, and have fallen behind when they go on."""
    with busy(cast, title):
        for node in cast.lab.nodes.values():
            node.agent.send_signal(signal.SIGSTOP)
            time.sleep(SECONDS / 4)
            node.agent.send_signal(signal.SIGCONT)


def emptied(cast):
    """All goes: the tables are as empty as at the start."""
    lab = cast.lab
    lab.kubectl("delete endpointslices --all --wait=false")
    lab.kubectl("delete services --all --wait=false")
    for node in lab.nodes.values():
        def left(node=node):
            metrics = node.metrics()
            return {m: int(metrics[f'fairlead_map_entries{{map="{m}"}}']) for m in ("services", "service_names", "backends", "slots", "source_ranges")}
        until(lambda left=left: max(left().values()) <= 2, 8)
        tap.ok(max(left().values()) <= 2, f"{node.name}: without Services its tables are empty", left())


def ended(lab):
    """In order, and no sanitizer has anything to say."""
    for node in lab.nodes.values():
        tap.is_(node.kill_agent(signal.SIGTERM), 0, f"the agent of {node.name} ends in order")
    lab.apiserver.terminate()
    tap.is_(lab.apiserver.wait(20), 0, "the API server ends in order")
    for name in sorted(os.listdir(lab.tmp)):
        if name.endswith(".log"):
            with open(os.path.join(lab.tmp, name), encoding="utf-8", errors="replace") as file:
                said = re.search(r"^.*(Sanitizer:|runtime error:)[^\0]*", file.read(), re.M)
            tap.ok(not said, f"{name}: no sanitizer has anything to say", said and said.group(0)[:6000])


def play(lab, rounds):
    cast = Cast(lab)
    use = Use(lab)
    for number in range(int(ROUNDS)):
        for tell in rounds:
            title = tell.__name__ + (f" {number + 1}" if ROUNDS > 1 else "")
            lab.story(lambda _, tell=tell, title=title: tell(cast, title))
            lab.story(lambda _, title=title: settled(lab, title))
            lab.story(lambda _, title=title: leftovers(lab, title))
            use.check(title, GROWTH_KIB)
    lab.story(lambda _: emptied(cast))


def main(only):
    requirements()
    rounds = [r for r in (plain, frozen, server, wires, killed) if not only or r.__name__ in only]
    with Lab(max_backends=65536, max_slot_lines=65536) as lab:
        play(lab, rounds)
        lab.check_no_way_out()
        ended(lab)
    tap.done()


main(sys.argv[1:])

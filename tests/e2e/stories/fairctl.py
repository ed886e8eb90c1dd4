# SPDX-License-Identifier: Apache-2.0
"""fairctl on a node, the text tables, bpftool, and the shells' Tab key."""

import json
import os
import pty
import re
import time

from common import FAMILIES, all_of, reached, tap, until
from apiserver import BUILD
from lab import CLIENT
from lab_objects import service_object

TABLES = "/sys/fs/bpf/fairlead/v1/tables"
MAPS = "/sys/fs/bpf/fairlead/v1/maps"
BUFFERS = {"events", "monitor_events"}  # of the kernel: they have no keys and values


def services():
    return [service_object("tab", spec={"type": "NodePort", "sessionAffinity": "ClientIP"}),
            service_object("tablet", annotations={"fairlead.dev/load-balancing": "maglev"}, spec={"type": "NodePort"}),
            service_object("hollow"),
            service_object("near", spec={"type": "NodePort", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"})]


def endpoints(cast):
    return {"tab": [cast.b, cast.c], "tablet": [cast.b, cast.c, cast.d], "near": [cast.c]}


def ask(node, *words):
    """What `-o json` says."""
    return json.loads(node.run(node.fairctl_argv(*words, "-o", "json")))


def code_of(node, *words):
    return node.run(node.fairctl_argv(*words), check=False)


# ---- what is there


def service(lab, cast, made):
    """service show: frontends, endpoints, how they are chosen, and what is wrong, said first."""
    n1, tab = lab.nodes["n1"], made["tab"]
    port = ask(n1, "service", "show", "default/tab:tcp-80")["ports"]
    tap.is_(len(port), 1, "service show with :port shows that port only")
    port = port[0]
    want = {f"{tab.ips[4]}:80", f"[{tab.ips[6]}]:80", f"*:{tab.node_port(80)}", f"[*]:{tab.node_port(80)}"}
    tap.is_({f["frontend"] for f in port["frontends"]}, want, "all frontends are there")
    found = {e["endpoint"]: (e["where"], e["state"], e["pod"]) for e in port["endpoints"]}
    want = {f"{p.ips[4]}:8080": (where, "serving", name) for p, where, name in ((cast.b, "local", "default/b"), (cast.c, "remote", None))}
    want |= {f"[{p.ips[6]}]:8080": (where, "serving", name) for p, where, name in ((cast.b, "local", "default/b"), (cast.c, "remote", None))}
    tap.is_(found, want, "all endpoints are there, with the pods of this node by name")
    tap.is_((port["affinitySeconds"], port["notes"]), (10800, []), "affinity is told, and nothing is wrong")
    ring = ask(n1, "service", "show", "tablet")["ports"][0]
    slots = sum(e["insideSlots"] for e in ring["endpoints"] if ":8080" in e["endpoint"] and "[" not in e["endpoint"])
    all_of("slots and how they are chosen", [
        ("random", {f["insideChoice"] for f in port["frontends"]}, {"random"}),
        ("maglev", {f["insideChoice"] for f in ring["frontends"]}, {"maglev"}),
        ("each slot is somebody's", slots, ring["frontends"][0]["insideSlots"]),
        ("slots of a list", {e["insideSlots"] for e in port["endpoints"]}, {1})])
    for family in FAMILIES:
        cast.a.peer.tcp(made["hollow"].ips[family], 80)
    hollow = n1.fairctl("service", "show", "default/hollow")
    first = hollow.splitlines()[1]
    tap.ok("PROBLEM" in first and "0 endpoints: connections are refused" in first, "a service without endpoints says so first", hollow)
    tap.is_(ask(n1, "service", "show", "default/hollow:tcp-80")["ports"][0]["statistics"]["refused"], 2, "with the refused connections")
    near = n1.fairctl("service", "show", "default/near")
    tap.ok("internalTrafficPolicy is Local and no endpoint is on this node" in near and "internal Local, external Local" in near,
           "a policy that leaves nobody is named", near)


def pods(lab, cast, made):
    """pod list, node list: what the lab has."""
    n1 = lab.nodes["n1"]
    limits = {"ingressRate": 50_000_000, "ingressBurst": 8_000_000, "egressRate": 20_000_000, "egressBurst": 8_000_000}
    slow = lab.pod("n1", "slow", capabilities={"bandwidth": limits})
    rows = {row["pod"]: row for row in ask(n1, "pod", "list")}
    tap.is_(set(rows), {"default/a", "default/b", "default/slow"}, "pod list has the pods of this node")
    all_of("with what they really have", (
        (f"{pod.name} {what}", rows[f"default/{pod.name}"][what], want)
        for pod in (cast.a, cast.b, slow) for what, want in (
            ("ipv4", pod.ips[4]), ("ipv6", pod.ips[6]), ("device", pod.host_side()), ("state", "ok"),
            ("mac", pod.run("cat /sys/class/net/eth0/address", check=False)[1].strip() or None)) if what != "mac"))
    macs = {pod.name: re.search(r"link/ether (\S+)", pod.run("ip link show eth0"))[1] for pod in (cast.a, cast.b, slow)}
    tap.is_({name: rows[f"default/{name}"]["mac"] for name in macs}, macs, "and their MACs")
    tap.is_([(rows[f"default/{n}"]["egressBitsPerSecond"], rows[f"default/{n}"]["ingressBitsPerSecond"]) for n in ("a", "slow")],
            [(None, None), (20_000_000, 50_000_000)], "and their limits")
    slow.remove()
    tap.ok(until(lambda: "default/slow" not in {row["pod"] for row in ask(n1, "pod", "list")}, 5), "a pod that went is not there")
    rows = {row["node"]: row for row in ask(n1, "node", "list")}
    tap.is_({name: (sorted(row["addresses"]), sorted(row["podCIDRs"]), row["way"]) for name, row in rows.items()},
            {node.name: (sorted(node.ips.values()), [f"10.244.{node.number}.0/24", f"fd10:244:0:{node.number}::/64"],
                         "this node" if node is n1 else "tunnel") for node in lab.nodes.values()}, "node list has the nodes")


def flows(lab, cast, made):
    """flow list: filters and orders."""
    n1, tab = lab.nodes["n1"], made["tab"]
    handles = []
    for family in FAMILIES:
        to, port = n1.ips[family], tab.node_port(80)
        reached(lab, lab.client, to, port, {"b", "c"})
        for number in range(3):
            handles.append(f"flow{family}{number}")
            lab.client.peer.open(handles[-1], to, port, source_port=47000 + number)
    def count(*words):
        return len(ask(n1, "flow", "list", "--state", "established", *words))
    everything = ask(n1, "flow", "list", "--state", "established")
    mine = [f for f in everything if 47000 <= f["sourcePort"] <= 47002]
    tap.is_(len(mine), 6, "flow list has the connections of a client outside")
    all_of("filters", [
        ("--src", count("--src", CLIENT[4]) >= 3 and {f["source"] for f in ask(n1, "flow", "list", "--src", CLIENT[4])}, {CLIENT[4]}),
        ("--src a network", count("--src", "198.51.100.0/24"), count("--src", CLIENT[4])),
        ("--dst", {f["destination"] for f in ask(n1, "flow", "list", "--dst", n1.ips[6])}, {n1.ips[6]}),
        ("--port of the service", count("--port", str(tab.node_port(80))), len(everything)),
        ("--port of the backend", count("--port", "8080"), len(everything)),
        ("--port of nobody", count("--port", "9"), 0),
        ("--family", count("--family", "4") + count("--family", "6"), len(everything)),
        ("--proto udp", count("--proto", "udp"), 0),
        ("--service", count("--service", "default/tab"), len(everything)),
        ("--service of another", count("--service", "default/tablet"), 0),
        ("--pod and --backend", count("--pod", "b"), count("--backend", cast.b.ips[4]) + count("--backend", cast.b.ips[6])),
        ("--limit", count("--limit", "2"), 2)])
    sizes = [f["bytes"] for f in ask(n1, "flow", "list", "--sort", "bytes")]
    ages = [f["ageSeconds"] for f in ask(n1, "flow", "list")]
    tap.ok(sizes == sorted(sizes, reverse=True) and ages == sorted(ages), "orders", (sizes, ages))
    status = ask(n1, "status")
    tap.ok(status["flows"]["connections"] >= 6 and status["flows"]["entriesUsed"] >= 12, "status counts them", status["flows"])
    shown = ask(n1, "service", "show", "default/tab:tcp-80")["ports"][0]
    tap.is_((sum(e["flows"] for e in shown["endpoints"]), len(shown["youngestFlows"])), (shown["flows"], 5),
            "service show counts them by endpoint, and shows the youngest")
    for handle in handles:
        lab.client.peer.close(handle)


def status(lab, cast, made):
    """What is attached where, and how full everything is; what is taken away is missed."""
    n1 = lab.nodes["n1"]
    now = ask(n1, "status")
    hooks = {(h["device"], h["program"]): h["mode"] for h in now["datapath"]["hooks"] if h["attached"]}
    all_of("status knows what is attached where", [
        ("a pod", hooks.get((cast.a.host_side(), "from_pod")), "tcx"), ("the NIC", hooks.get(("eth0", "from_uplink")), "tcx"),
        ("XDP", hooks.get(("eth0", "edge")), "native"), ("the tunnel", hooks.get(("fairlead_vxlan", "to_overlay")), "tcx"),
        ("sockets", hooks.get((None, "connect4")), "cgroup"), ("nothing is missed", now["problems"], []),
        ("how it works", [now["datapath"][k] for k in ("routing", "socketPath", "masquerade")], ["vxlan", True, True])])
    before = [now[what] for what in ("dropped", "refused")]
    for family in FAMILIES:
        cast.a.peer.tcp(made["hollow"].ips[family], 80)
        cast.a.peer.tcp(made["tab"].ips[family], 9)
    after = ask(n1, "status")
    tap.is_([after[what] for what in ("dropped", "refused")], [before[0], before[1] + 4], "what is refused is not counted as dropped")
    fill = {row["map"]: row["used"] for row in now["maps"]}
    counts = {"services": int(n1.metrics()['fairlead_map_entries{map="services"}']),
              "backends": len(ask(n1, "backend", "list")), "pods": len(ask(n1, "pod", "list"))}
    tap.is_({name: fill[name] for name in counts}, counts, "how full the maps are")
    tap.ok(fill["slots"] >= 307 and fill["service_names"] >= 8 and {"flows", "affinity", "routes"} <= set(fill), "all of them", fill)


# ---- ways to look


def looks(lab, cast, made):
    """Tables, wide ones, JSON and colours."""
    n1 = lab.nodes["n1"]
    lists = [("service", "list"), ("backend", "list"), ("pod", "list"), ("node", "list"), ("flow", "list"), ("drops", "--all")]
    for words in lists:
        rows, text = ask(n1, *words), n1.fairctl(*words)
        wide = n1.fairctl(*words, "-o", "wide")
        tap.ok(len(text.splitlines()) == len(rows) + 1 and len(wide) >= len(text) and all(rows) and "\033" not in text,
               f"fairctl {' '.join(words)}: as many lines as rows", f"{len(rows)} rows:\n{text}")
        fields = set(re.findall(r"^  (\S+)", n1.fairctl(*words[:2] if words[1] == "list" else words[:1], "--help").partition("Fields of")[2], re.M))
        tap.ok(rows and set(rows[0]) <= fields, f"fairctl {' '.join(words)}: the help names every field", set(rows[0]) - fields)
    on = n1.fairctl("service", "list", "--color=always")
    tap.ok("\033[1m" in on and "\033[31m0\033[0m" in on, "colours on request: titles, and nobody in red", on)
    for environment, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        argv = ["env", "-u", "NO_COLOR", *(f"{k}={v}" for k, v in environment.items()), *n1.fairctl_argv("status")]
        seen = on_terminal(n1, argv)
        tap.is_("\033[" in seen, coloured, f"on a terminal with {environment}: {'' if coloured else 'no '}colours")


def on_terminal(node, argv):
    """What a program writes to a terminal."""
    master, slave = pty.openpty()
    process = node.start(argv, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    text = read_terminal(master, lambda _: False)
    process.wait(5)
    os.close(master)
    return text


def read_terminal(master, enough, seconds=5.0):
    """Until enough(text), the other side's end, or the time is over."""
    text, end = "", time.monotonic() + seconds
    os.set_blocking(master, False)
    while time.monotonic() < end and not enough(text):
        try:
            got = os.read(master, 4096)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        except OSError:
            break
        if not got:
            break
        text += got.decode(errors="replace")
    return text


def mistakes(lab, cast, made):
    """What is mistyped or not there is named, with the right word where there is one."""
    n1 = lab.nodes["n1"]
    cases = [
        (("flwo", "list"), 2, "did you mean `flow`?"), (("service", "lst"), 2, "did you mean `service list`?"),
        (("flow", "list", "--prto", "tcp"), 2, "did you mean --proto?"), (("flow", "list", "--proto", "tpc"), 2, "give tcp, udp, sctp or icmp"),
        (("flow", "list", "--src", "web"), 2, "--src web: give an IP address"), (("flow", "list", "--port", "70000"), 2, "from 1 to 65535"),
        (("flow", "list", "--limit", "0"), 2, "above 0"), (("flow", "list", "--pod", "nobody"), 1, "no such pod on this node"),
        (("status", "-o", "xml"), 2, "give table, wide or json"), (("service", "show"), 2, "service show NAMESPACE/NAME"),
        (("service", "show", "default/tabb"), 1, "did you mean default/tab?"), (("backend", "list", "--service", "x/y"), 1, "no Service x/y"),
        (("service", "list", "--pin-root", "/sys/fs/bpf/nothing"), 1, "is fairlead-agent running on this node? Nothing is pinned below"),
        (("check", "--pin-root", "/sys/fs/bpf/nothing"), 2, "is fairlead-agent running on this node? Nothing is pinned below"),
        (("completion", "fish"), 2, "give bash or zsh"), ((), 2, "Usage: fairctl COMMAND")]
    results = [(words, *code_of(n1, *words)) for words in (c[0] for c in cases)]
    all_of("mistakes are named", ((" ".join(words), (code, text in errors, output), (want, True, ""))
                                  for (words, code, output, errors), (_, want, text) in zip(results, cases)))
    for words in (("--help",), ("help", "flow", "list"), ("service", "--help"), ("service", "show", "--help"), ("--version",)):
        code, output, errors = code_of(n1, *words)
        tap.ok(code == 0 and output and not errors, f"fairctl {' '.join(words)} explains itself", errors)


# ---- the Tab key


def type_into(node, shell, lines):
    """Types lines into an interactive shell on the node; each ends with Tab, and comes back as the shell has completed it."""
    master, slave = pty.openpty()
    argv, setup = shell
    path = f"{BUILD}:/usr/sbin:/usr/bin:/sbin:/bin"
    process = node.start(["env", "-i", f"PATH={path}", "TERM=dumb", "HOME=/nonexistent", "PS1=> ", *argv], stdin=slave, stdout=slave,
                         stderr=slave, start_new_session=True)
    os.close(slave)
    os.write(master, setup.encode() + b"\necho rea'dy'\n")
    seen = read_terminal(master, lambda text: "ready" in text, 10)
    found = []
    for number, line in enumerate(lines):
        os.write(master, line.encode() + b"\t")
        time.sleep(0.4)  # the shell asks fairctl
        os.write(master, f"\x01echo at{number}: \x05 :end\n".encode())  # to the line's beginning, and to its end
        pattern = re.compile(rf"^at{number}: (.*) :end\r?$", re.M)
        seen = read_terminal(master, pattern.search, 5)
        match = pattern.search(seen)
        found.append(match[1].strip() if match else seen)
    os.write(master, b"exit\n")
    read_terminal(master, lambda _: process.poll() is not None, 3)
    process.kill()
    process.wait()
    os.close(master)
    return found


def completion(lab, cast, made):
    """bash and zsh complete commands, flags, values and names that are there."""
    n1 = lab.nodes["n1"]
    typed = [("fairctl stat", "fairctl status"), ("fairctl service sh", "fairctl service show"),
             ("fairctl service show default/hol", "fairctl service show default/hollow"),
             ("fairctl service show default/tab", "fairctl service show default/tab"),  # tab or tablet
             ("fairctl flow list --sta", "fairctl flow list --state"), ("fairctl flow list --state est", "fairctl flow list --state established"),
             ("fairctl flow list --proto=u", "fairctl flow list --proto=udp"), ("fairctl flow list --pod default/a", "fairctl flow list --pod default/a"),
             ("fairctl completion z", "fairctl completion zsh")]
    shells = {"bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'; source <(fairctl completion bash)"),
              "zsh": (["zsh", "-f", "-i"], "PS1='> '; bindkey -e; setopt no_prompt_cr nolistambiguous; autoload -U compinit; "
                                           "compinit -u -D; source <(fairctl completion zsh)")}
    for name, shell in shells.items():
        found = type_into(n1, shell, [line for line, _ in typed])
        all_of(f"{name} completes", ((line, got, want) for (line, want), got in zip(typed, found)))
    offered = n1.fairctl("__complete", "--", "service", "show", "default/").split()
    tap.is_(sorted(offered), sorted(f"default/{name}" for name in ("kubernetes", "tab", "tablet", "hollow", "near")), "names of services come from the maps")
    tap.is_(code_of(n1, "__complete", "--", "service", "show", "--pin-root", "/nowhere", "")[:2], (0, ""), "without maps there are none, and no noise")


# ---- without fairctl


def bpftool(lab, cast, made):
    """Every map has BTF: bpftool writes names."""
    n1 = lab.nodes["n1"]
    names = set(n1.run(["ls", MAPS]).split())
    tap.ok(names >= {"services", "slots", "backends", "flows", "routes", "pods", "counters", "affinity"}, "the maps are pinned by their names", names)
    infos = {name: json.loads(n1.run(["bpftool", "-j", "map", "show", "pinned", f"{MAPS}/{name}"])) for name in names}
    tap.is_({name for name, info in infos.items() if not info.get("btf_id")}, names & BUFFERS, "all but buffers have BTF")
    arrays = {name for name, info in infos.items() if info["type"] in ("array", "percpu_array")}
    fields = {"backends": "generation", "pods": "host_mac", "node": "vxlan_ifindex", "flows": "control", "counters": "packets",
              "service_names": "name", "slots": "backend", "service_stats": "connections", "filters": "tcp"}
    for name, field in sorted(fields.items()):
        text = n1.run(["bpftool", "map", "lookup", "pinned", f"{MAPS}/{name}", "key", "0", "0", "0", "0"])
        tap.ok(name in arrays and f'"{field}"' in text, f"bpftool lookup of {name} has field names", text[:300])
    for name, field in (("services", "affinity_s"), ("routes", "prefixlen"), ("affinity", "outside")):
        text = n1.run(["bpftool", "map", "dump", "pinned", f"{MAPS}/{name}"])
        tap.ok(f'"{field}"' in text, f"bpftool dump of {name} has field names", text[:300])


def as_text(lab, cast, made):
    """cat prints the tables."""
    n1, n2 = lab.nodes["n1"], lab.nodes["n2"]
    for node in (n1, n2):
        lab.client.peer.open(f"text{node.name}", node.ips[4], made["tab"].node_port(80))

    def counts(node, table, words):
        return len(node.run(["cat", f"{TABLES}/{table}"]).splitlines()) - 1, len(ask(node, *words))

    for table, words in (("services", ("service", "list")), ("backends", ("backend", "list")), ("pods", ("pod", "list")), ("flows", ("flow", "list"))):
        for node in (n1, n2):  # flows that are over go at about the same second
            got = until(lambda *_, n=node, t=table, w=words: (c := counts(n, t, w)) and c[0] == c[1] and c, 3) or counts(node, table, words)
            tap.ok(got[0] == got[1] > 0, f"cat {table} on {node.name} has what fairctl {' '.join(words)} has", got)
    for node in (n1, n2):
        lab.client.peer.close(f"text{node.name}")
    text = n1.run(["cat", f"{TABLES}/services"])
    want = [row["frontend"] for row in ask(n1, "service", "list")]
    tap.ok(all(f" {frontend} " in text for frontend in want), "with the same frontends", text)
    text = n1.run(["cat", f"{TABLES}/backends"])
    tap.ok(all(f" {row['backend']} " in text for row in ask(n1, "backend", "list")), "and the same backends", text)


def without_agent(lab, cast, made):
    """The agent is killed: everything can still be seen, and status says what that means."""
    n3 = lab.nodes["n3"]
    lists = [("service", "list"), ("backend", "list"), ("pod", "list"), ("node", "list"), ("service", "show", "default/tab")]
    before = [ask(n3, *words) for words in lists]
    tables = {name: n3.run(["cat", f"{TABLES}/{name}"]) for name in ("services", "backends", "pods")}
    n3.kill_agent()
    after = [ask(n3, *words) for words in lists]
    before[-1]["agentRunning"] = False
    all_of("with the agent killed the same is seen", ((" ".join(words), old == new, True) for words, old, new in zip(lists, before, after)))
    tap.is_({name: n3.run(["cat", f"{TABLES}/{name}"]) for name in tables}, tables, "the text tables too")
    code, text, _ = code_of(n3, "status")
    tap.ok(code == 1 and "NOT RUNNING" in text and "PROBLEM" in text and "tc by TCX" in text, "status says so, and what is attached", text)
    tap.ok("fairlead-agent is not running" in n3.fairctl("service", "show", "default/tab"), "service show says so, too")
    code, _, errors = code_of(n3, "flow", "list", "--state", "closing")
    tap.is_((code, errors), (0, ""), "flow list goes on")
    n3.run(["mv", "/run/fairlead", "/run/elsewhere"])
    pods = ask(n3, "pod", "list")
    tap.ok([p["pod"] for p in pods] == [None] and pods[0]["state"] != "ok" and {n["node"] for n in ask(n3, "node", "list")} == {None},
           "without the agent's files names are missing, and nothing else", pods)
    tap.ok(json.loads(n3.run(n3.fairctl_argv("status", "-o", "json"), check=False)[1])["datapath"]["routing"] == "vxlan",
           "how it was loaded is known all the same")
    n3.run(["mv", "/run/elsewhere", "/run/fairlead"])
    n3.start_agent()
    tap.ok(until(lambda: code_of(n3, "status")[0] == 0, 15), "the agent is back, and status is content", n3.fairctl_argv("status"))


def cleaned(lab, cast, made):
    """After cleanup there is nothing to see, and that is said."""
    n3 = lab.nodes["n3"]
    n3.kill_agent(15)
    n3.cleanup_agent()
    tap.is_(n3.run(["ls", "/sys/fs/bpf"]).split(), ["maps.debug", "progs.debug"], "cleanup leaves nothing but the kernel's own")
    for words in (("status",), ("service", "list"), ("service", "show", "tab"), ("backend", "list"), ("pod", "list"), ("node", "list"), ("flow", "list"), ("drops",)):
        code, output, errors = code_of(n3, *words)
        tap.ok(code == 1 and not output and "is fairlead-agent running on this node? Nothing is pinned below /sys/fs/bpf/fairlead" in errors,
               f"fairctl {' '.join(words)} names what is missing", errors)


STORIES = (service, pods, flows, status, looks, mistakes, completion, bpftool, as_text, without_agent)
LAST = (cleaned,)

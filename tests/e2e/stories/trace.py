# SPDX-License-Identifier: Apache-2.0
"""fairctl trace: what it foretells is what real traffic then does."""

import json
import shlex

from common import FAMILIES, LOOPBACK, all_of, name_of, reached, refused, spread, tap, translates_at_sockets, unanswered
from lab import CLIENT
from lab_objects import service_object

BALANCER = {4: "198.18.7.95", 6: "fd10:e::95"}


def services():
    return [service_object("tr", spec={"type": "NodePort"}), service_object("tr-far", spec={"type": "NodePort"}),
            service_object("tr-none", spec={"type": "NodePort"}), service_object("tr-self"),
            service_object("tr-sticky", spec={"type": "NodePort", "sessionAffinity": "ClientIP"}),
            service_object("tr-local", spec={"type": "LoadBalancer", "externalTrafficPolicy": "Local"})]


def endpoints(cast):
    return {"tr": [cast.b], "tr-far": [cast.c], "tr-none": [], "tr-self": [cast.a], "tr-sticky": [cast.b, cast.c],
            "tr-local": [cast.c]}


def prepare(lab):
    lab.balancer_status("tr-local", list(BALANCER.values()))
    lab.route_to("n1", *BALANCER.values())


def trace(node, *words):
    """What it says, with its exit status and its programs."""
    code, out, errors = node.run(node.fairctl_argv("trace", *words, "-o", "json"), check=False)
    if not out.strip():
        return {"code": code, "errors": errors, "outcome": errors, "way": [], "text": errors, "disagreements": [], "leftBehind": []}
    told = json.loads(out)
    told.update(code=code, errors=errors, way=[step["program"] for step in told["steps"]],
                text=" / ".join(line for step in told["steps"] for line in step["explanation"]))
    return told


def at(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def through_device(lab):
    """Whether what goes by the tunnel leaves by its device; else the programs write and read its header."""
    return lab.settings.get("routing") != "native" and lab.settings.get("vxlan-direct") == "false"


def named(family):
    return ["--ipv6"] if family == 6 else []


def fits(told, outcome, way, *words):
    """Nothing disagrees, nothing stays, and it says what it should; else what is wrong."""
    wrong = [f"outcome {told['outcome']}, want {outcome}"] if told["outcome"] != outcome else []
    wrong += [f"way {told['way']}, want {way}"] if told["way"] != way else []
    wrong += [f"`{word}` is not said" for word in words if word not in told["text"] + str(told.get("result")) + str(told.get("next"))]
    wrong += told["disagreements"] + told["leftBehind"]
    return "; ".join(wrong) + (" in: " + told["text"] + " => " + str(told.get("result")) if wrong else "")


def cases_of(lab, cases):
    """(label, told, outcome, way, *words)"""
    return [(label, fits(told, outcome, way, *words), "") for label, told, outcome, way, *words in cases]


def services_of_pods(lab, cast, made):
    """From a pod to Services: here, elsewhere, without endpoints, to itself."""
    n1, sock = lab.nodes["n1"], translates_at_sockets(lab)
    tunnel = lab.settings.get("routing") != "native"
    for family in FAMILIES:
        for name, want in (("tr", "b"), ("tr-far", "c"), ("tr-self", "a")):
            reached(lab, cast.a, made[name].ips[family], 80, {want})
        way = ["socket", "from_pod"] if sock else ["from_pod"]
        more = named(family)
        all_of(f"IPv{family}: traces from a pod to Services tell where they lead", cases_of(lab, [
            ("here", trace(n1, "a", "default/tr:80", *more), "delivered", way, "the ClusterIP of the Service default/tr:", "the pod default/b"),
            ("elsewhere", trace(n1, "default/a", "tr-far:80", *more), "elsewhere", [*way, "to_overlay" if through_device(lab) else "to_uplink"], "VXLAN tunnel" if tunnel else "next hop",
             lab.nodes["n2"].ips[4] if tunnel else lab.nodes["n2"].ips[family], f"fairctl trace {cast.a.ips[family]} {at(cast.c.ips[family], 8080)}/tcp"),
            ("UDP", trace(n1, "a", at(made["tr"].ips[family], 80) + "/udp", *more), "delivered", way, "default/tr"),
            ("by packets", trace(n1, "a", "tr:80", "--packet", *more), "delivered", ["from_pod"], "becomes " + at(cast.b.ips[family], 80)),
            ("itself", trace(n1, "a", "tr-self:80", "--packet", *more), "delivered", ["from_pod"], "hairpin", "the pod default/a"),
            ("no endpoints", trace(n1, "a", "tr-none:80", *more), "refused", way[:1], "no endpoints"),
            ("unknown port", trace(n1, "a", at(made["tr"].ips[family], 99), *more), "refused", way[:1], "none has this port"),
        ]))
        all_of(f"IPv{family}: and real connections go there", [
            ("here", name_of(cast.a.peer.tcp(made["tr"].ips[family], 80)), "b"),
            ("elsewhere", name_of(cast.a.peer.tcp(made["tr-far"].ips[family], 80)), "c"),
            ("itself", name_of(cast.a.peer.tcp(made["tr-self"].ips[family], 80)), "a"),
            ("no endpoints", cast.a.peer.tcp(made["tr-none"].ips[family], 80), refused),
            ("unknown port", cast.a.peer.tcp(made["tr"].ips[family], 99), refused)])


def goes_on(lab, cast, made):
    """The command that it gives for another node works there, to the end."""
    n1, n2 = lab.nodes["n1"], lab.nodes["n2"]
    for family in FAMILIES:
        told = trace(n1, "a", "tr-far:80", *named(family))
        words = shlex.split(told["next"] or "")
        there = trace(n2, *words[2:])
        told_client = trace(n1, "client", at(n1.ips[family], made["tr-far"].node_port(80)))
        words = shlex.split(told_client["next"] or "")
        there_client = trace(n2, *words[2:])
        hook = "from_overlay" if through_device(lab) else "from_uplink"
        all_of(f"IPv{family}: what goes to another node is traced on there, by the command that is given", [
            ("from a pod", (there["outcome"], there["way"][-1:], there["disagreements"]), ("delivered", [hook], [])),
            ("from a client", (there_client["outcome"], there_client["way"][-1:], there_client["disagreements"]), ("delivered", [hook], [])),
            ("to the pod", "the pod default/c" in there["text"] and "the pod default/c" in there_client["text"], True)])


def from_outside(lab, cast, made):
    """NodePorts and what else comes from outside."""
    n1 = lab.nodes["n1"]
    native = lab.settings.get("routing") == "native" and lab.settings.get("xdp") != "false"
    for family in FAMILIES:
        near, far, none = (made[name].node_port(80) for name in ("tr", "tr-far", "tr-none"))
        for port, want in ((near, "b"), (far, "c")):
            reached(lab, lab.client, n1.ips[family], port, {want})
        told = {what: trace(n1, CLIENT[family], at(to, port)) for what, to, port in (
            ("near", n1.ips[family], near), ("far", n1.ips[family], far), ("none", n1.ips[family], none),
            ("ClusterIP", made["tr"].ips[family], 80), ("Local", BALANCER[family], 80), ("host", n1.ips[family], 10256))}
        last = {what: t["way"][-1:] for what, t in told.items()}
        for t in told.values():
            t["way"] = [w for w in t["way"] if w != "edge"]
        out = ["to_overlay"] if lab.settings.get("routing") != "native" else ["to_uplink"]
        all_of(f"IPv{family}: traces from outside tell what becomes of them", cases_of(lab, [
            ("NodePort, pod here", told["near"], "delivered", ["from_uplink"], "the NodePort of the Service default/tr:", "the source stays", "the pod default/b"),
            ("NodePort, pod elsewhere", told["far"], "elsewhere", [] if native and last["far"] == ["edge"] else ["from_uplink", *out],
             "answers must come back", n1.ips[family]),
            ("NodePort, no endpoints", told["none"], "refused", ["from_uplink"], "no endpoints"),
            ("ClusterIP", told["ClusterIP"], "refused", ["from_uplink"], "to pods and nodes only"),
            ("policy Local", told["Local"], "dropped", told["Local"]["way"], "Local"),
            ("the node itself", told["host"], "host", ["from_uplink"], "own stack")]))
        lab.route_to("n1", made["tr"].ips[family])
        answer = lab.client.peer.tcp(n1.ips[family], near)
        far_answer = lab.client.peer.tcp(n1.ips[family], far)
        all_of(f"IPv{family}: and real clients find it so", [
            ("NodePort, pod here", (name_of(answer), answer.get("client", [0])[0]), ("b", CLIENT[family])),
            ("NodePort, pod elsewhere", (name_of(far_answer), far_answer.get("client", [0])[0]), ("c", n1.ips[family])),
            ("NodePort, no endpoints", lab.client.peer.tcp(n1.ips[family], none), refused),
            ("policy Local", lab.client.peer.tcp(BALANCER[family], 80, timeout=0.5), unanswered)])


def other_ways(lab, cast, made):
    """Pods to each other, to the outside, to nodes; nodes to pods and services; echo requests."""
    n1, sock = lab.nodes["n1"], translates_at_sockets(lab)
    tunnel = lab.settings.get("routing") != "native"
    for family in FAMILIES:
        more, client = named(family), CLIENT[family]
        node_hook = "to_overlay" if tunnel else "to_uplink"
        all_of(f"IPv{family}: traces of plain traffic, from nodes, and of echo requests", cases_of(lab, [
            ("pod to pod", trace(n1, "a", "b:80", *more), "delivered", ["from_pod"], "not a service's", "the pod default/b"),
            ("ping", trace(n1, "a", "b/icmp", *more), "delivered", ["from_pod"], "the pod default/b"),
            ("pod to pod elsewhere", trace(n1, "a", at(cast.c.ips[family], 80)), "elsewhere", ["from_pod", "to_overlay" if through_device(lab) else "to_uplink"]),
            ("pod to outside", trace(n1, "a", at(client, 80)), "left", ["from_pod", "to_uplink"], "outside of the cluster"),
            ("ping outside", trace(n1, "a", client + "/icmp"), "left", ["from_pod", "to_uplink"], "outside of the cluster"),
            ("pod to its node", trace(n1, "a", "node:10256", *more), "host", ["from_pod"], "own stack"),
            ("node to pod", trace(n1, "node", "a:80", *more), "delivered", ["to_pod"], "the pod default/a"),
            ("node to pod elsewhere", trace(n1, "node", at(cast.c.ips[family], 80)), "elsewhere", [node_hook]),
            ("node to Service", trace(n1, "node", "tr:80", *more), "delivered", ["socket", "to_pod"] if sock else ["to_uplink", "to_pod"], "default/tr"),
            ("spoofed", trace(n1, "a", at(cast.b.ips[family], 80), "--source", cast.b.ips[family]), "dropped", ["from_pod"], "not the pod's"),
            ("nobody", trace(n1, "a", at(cast.a.ips[family].rsplit("." if family == 4 else ":", 1)[0] + (".254" if family == 4 else ":fffe"), 80)),
             "refused", ["from_pod"], "no pod has it"),
        ]))
    for group in ("224.0.0.251:5353/udp", "[ff02::fb]:5353/udp"):
        told = trace(n1, "a", group)
        tap.ok("a multicast group's" in told["text"] and "outside" not in told["text"] + told["result"] and not told["disagreements"],
               f"{group} is a group's, and not somebody outside", told)


def own_node(lab, cast, made):
    """NodePorts for the node's own processes, at its address and its loopback."""
    n1, port = lab.nodes["n1"], made["tr"].node_port(80)
    way = ["socket", "to_pod"] if translates_at_sockets(lab) else ["to_lo", "to_pod"]
    for family in FAMILIES:
        more = named(family)
        cases = [("its address", trace(n1, "node", at(n1.ips[family], port), *more), "delivered", way, "the NodePort of the Service default/tr:")]
        if lab.settings.get("node-port-loopback") != "false":
            cases.append(("its loopback", trace(n1, "node", at(LOOPBACK[family], port), *more), "delivered", way, "the NodePort of the Service default/tr:"))
        all_of(f"IPv{family}: a node's own processes at its NodePorts", cases_of(lab, cases))
        all_of(f"IPv{family}: and real ones", [(to, name_of(n1.peer.tcp(to, port)), "b") for to in (n1.ips[family], LOOPBACK[family])])
    told = trace(n1, "a", "127.0.0.1:80")
    tap.ok(told["code"] == 2 and "loopback" in told["errors"], "a pod's loopback address is its own", told["errors"])


def affinity(lab, cast, made):
    """sessionAffinity keeps its clients, and forgets the trace's."""
    n1, port = lab.nodes["n1"], made["tr-sticky"].node_port(80)
    for family in FAMILIES:
        stranger = {4: "198.51.100.77", 6: "fd10:c::77"}[family]
        first = [trace(n1, stranger, at(n1.ips[family], port)) for _ in range(2)]
        tap.ok(all("is remembered for the client" in t["text"] and not t["leftBehind"] and not t["disagreements"] for t in first),
               f"IPv{family}: a trace's client is not remembered", [t["text"] for t in first])
        name = reached(lab, lab.client, n1.ips[family], port, {"b", "c"})
        told = trace(n1, CLIENT[family], at(n1.ips[family], port))
        tap.ok("the client was sent there" in told["text"] and {"b": cast.b, "c": cast.c}[name].ips[family] in told["text"],
               f"IPv{family}: a real one's endpoint is told", told["text"])
        tap.is_(spread(lab.client, n1.ips[family], port, 6), {name}, f"IPv{family}: and it keeps it after the trace")


def flows(lab, cast, made):
    """A trace leaves no flow, and finds those that are there."""
    n1, port = lab.nodes["n1"], made["tr"].node_port(80)
    for family in FAMILIES:
        stranger = {4: "198.51.100.78", 6: "fd10:c::78"}[family]
        trace(n1, stranger, at(n1.ips[family], port))
        rows = json.loads(n1.fairctl("flow", "list", "-o", "json"))
        tap.is_([row for row in rows if stranger in json.dumps(row)], [], f"IPv{family}: no flow of a trace stays")
        lab.client.peer.open(f"trace{family}", n1.ips[family], port, source_port=46500)
        told = trace(n1, CLIENT[family], at(n1.ips[family], port), "--sport", "46500")
        tap.ok("a flow that was there before" in told["text"] and told["outcome"] == "delivered", f"IPv{family}: one that is there is told of", told)
        answer = lab.client.peer.ask(f"trace{family}")
        tap.is_(name_of(answer), "b", f"IPv{family}: and goes on")
        lab.client.peer.close(f"trace{family}")


def messages(lab, cast, made):
    """What cannot be traced is refused with what would be right; all of it works without an agent."""
    n1 = lab.nodes["n1"]
    for words, want in ((("nobody", "tr:80"), "fairctl pod list"), (("a", "nothing:80"), "fairctl service list"),
                        (("a", "tr:81"), "its ports are"), (("a", "tr"), "which port"), (("a", "10.0.0.1:0"), "1 to 65535"),
                        (("a", "10.0.0.1:80/icmp"), "has no port"), (("a", "tr:80/sctp"), "give /tcp or /udp"),
                        (("a", "fd00::1:80"), "Give [fd00::1:80]:PORT"), ((cast.a.ips[4], "[fd00::1]:80"), "IP family"),
                        (("a", "tr:80", "--sport", "x"), "1 to 65535")):
        told = trace(n1, *words)
        tap.ok(told["code"] in (1, 2) and want in told["errors"], f"trace {' '.join(words)} is refused with what would be right", told["errors"])
    text = n1.run(n1.fairctl_argv("trace", "a", "tr:80"))
    tap.ok("from_pod" in text and "gets it" in text, "as text for people", text)


def without_agent(lab, cast, made):
    """The maps and programs are pinned: a trace needs no agent."""
    n1 = lab.nodes["n1"]
    n1.kill_agent()
    told = trace(n1, "a", "tr:80")
    monitored = n1.run(n1.fairctl_argv("monitor", "--duration", "200ms"), check=False)
    n1.start_agent()
    tap.is_((told["outcome"], told["disagreements"], monitored[0]), ("delivered", [], 0), "trace and monitor work while no agent runs")
    reached(lab, cast.a, made["tr"].ips[4], 80, {"b"})


STORIES = (services_of_pods, goes_on, from_outside, other_ways, own_node, affinity, flows, messages)
LAST = (without_agent,)

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The dataplane at work: an API server, three nodes, pods and an outside client, each in network namespaces of its own on
this machine, without a way out. Pods are plugged in by fairlead-cni, a Service is made with kubectl, and what follows is
shown with its counts. At the end everything is taken down; --keep waits for return before that."""

import collections
import os
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

from lab import Lab, until  # noqa: E402

BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
REQUESTS = 60


def say(text):
    print(f"\n{BOLD}{text}{OFF}", flush=True)


def show(place, *argv):
    """A command of a place, and what it prints."""
    print(f"{DIM}{place.name}$ {' '.join(os.path.basename(a) if a.startswith('/') else a for a in argv)}{OFF}")
    print(place.run(list(argv), check=False)[1].rstrip(), flush=True)


def kubectl(lab, *words):
    print(f"{DIM}$ kubectl {' '.join(words)}{OFF}")
    print(lab.kubectl(list(words)).rstrip(), flush=True)


def served(who, what, place, address, port):
    """Asks many times, a new connection each, and prints who answered."""
    start = time.monotonic()
    answers = [place.peer.tcp(address, port) for _ in range(REQUESTS)]
    each = (time.monotonic() - start) * 1000 / REQUESTS
    counts = collections.Counter(answer.get("name", answer.get("error")) for answer in answers)
    text = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
    print(f"  {who:<22} -> {what:<30} {text}  ({each:.1f} ms each, client's script included)", flush=True)
    return [answer for answer in answers if "name" not in answer]


def wait_for_service(place, address, names):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if {place.peer.tcp(address, 80).get("name") for _ in range(8)} >= names:
            return
        time.sleep(0.02)
    raise SystemExit("demo: the Service is not served after 5 s: see what the agents say (tests/e2e/lab.py)")


def pods(lab):
    say("2. Pods, plugged in by the CNI plugin")
    made = {}
    for name, node in (("shop-1", "n1"), ("shop-2", "n2"), ("shop-3", "n3"), ("client-1", "n1"), ("client-2", "n2")):
        start = time.monotonic()
        made[name] = lab.pod(node, name)
        ms = (time.monotonic() - start) * 1000
        print(f"  {name:<9} on {node}: {made[name].ips[4]}, {made[name].ips[6]}  ({ms:.0f} ms, namespace and process included)")
    return made


def service(lab, made):
    say("3. A Service with three endpoints")
    shop = lab.service("shop", type="NodePort")
    lab.endpoints(shop, [made["shop-1"], made["shop-2"], made["shop-3"]])
    wait_for_service(made["client-1"], shop.ips[4], {"shop-1", "shop-2", "shop-3"})
    kubectl(lab, "get", "service,endpointslices", "-o", "wide")
    return shop


def traffic(lab, made, shop):
    say("4. Requests by ClusterIP, from pods and from a node's own process: IPv4 and IPv6")
    failed = []
    for who, place in (("pod client-1 on n1", made["client-1"]), ("pod client-2 on n2", made["client-2"]), ("node n3", lab.nodes["n3"])):
        for family in (4, 6):
            failed += served(who, f"{shop.ips[family]} port 80", place, shop.ips[family], 80)
    say("5. Requests from outside to the NodePort of each node")
    for name, node in lab.nodes.items():
        failed += served("the outside client", f"{name} {node.ips[4]}:{shop.node_port(80)}", lab.client, node.ips[4], shop.node_port(80))
    say("6. Pod to pod, from node to node by VXLAN")
    answer = made["client-1"].peer.tcp(made["shop-3"].ips[4], 8080, get=10000000)
    print(f"  client-1 fetched 10 MB from shop-3, whole: {answer.get('get_whole')}; shop-3 saw {answer.get('client', ['?'])[0]}")
    return failed


def kill_agents(lab, made, shop):
    say("7. kill -9 of every agent while requests go on; then they start again")
    peer = made["client-1"].peer
    load = peer.begin("load", "load", shop.ips[4], 80, "connections", interval_ms=5)
    time.sleep(0.5)
    for node in lab.nodes.values():
        node.kill_agent()
    time.sleep(0.5)
    lab.start_agents()
    until(lambda: all(node.get_quietly("/healthz") == 200 for node in lab.nodes.values()), 30)
    peer.end_load("load")
    total = load.get(timeout=30)
    print(f"  {total['done']} connections served, {sum(total['errors'].values())} failed, the longest took {total['longest_ms']} ms")
    return list(total["errors"])


def main():
    if os.geteuid():
        raise SystemExit("demo: network namespaces and BPF need root")
    start = time.monotonic()
    say("1. An API server and three nodes, each with its agent, in namespaces without a way out")
    with Lab() as lab:
        print(f"  ready after {time.monotonic() - start:.1f} s")
        made = pods(lab)
        shop = service(lab, made)
        failed = traffic(lab, made, shop)
        failed += kill_agents(lab, made, shop)
        say("8. What a node says about itself")
        n1 = lab.nodes["n1"]
        for words in (("status",), ("service", "list"), ("flow", "list", "--limit", "6"), ("drops",)):
            show(n1, *n1.fairctl_argv(*words))
        print(f"\n{len(failed)} of the counted requests failed{': ' + str(failed[0]) if failed else ''}.")
        if "--keep" in sys.argv[1:] and sys.stdin.isatty():
            input(f"\nThe lab stays until you press return. Look around on n1: nsenter -t {n1.pid} -a fairctl status ")
    print("Everything was taken down again. Try next: fairlead-agent --help; docs/dataplane.md.")
    return bool(failed)


sys.exit(main())

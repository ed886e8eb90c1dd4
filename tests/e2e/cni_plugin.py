#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=300
"""fairlead-cni in a host and pods of its own, with a stand-in for the agent: every verb in every version, each error with
its code, what CHECK notices, sixty-four callers at once, and calls that are killed at any moment."""

import json
import os
import random
import signal
import socket
import sys
import threading
import time

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("FL_BUILD", os.path.join(TOP, "build"))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import cni  # noqa: E402
import tap  # noqa: E402

VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
CIDRS = ["10.244.1.0/24", "fd00:1::/64"]


def eventually(condition, seconds=2.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def left(lab):
    """What there is of attachments, anywhere."""
    folder = os.path.join(lab.run_dir, "attachments")
    temps = [name for name in os.listdir(folder) if name.startswith(".")] if os.path.isdir(folder) else []
    return {"records": lab.records(), "temps": temps, "leases": lab.leases(), "devices": lab.host_sides()}


NOTHING = {"records": [], "temps": [], "leases": {}, "devices": []}


def nothing_left(lab, name):
    eventually(lambda: left(lab) == NOTHING)
    tap.is_(left(lab), NOTHING, name)


def is_code(answer, code, name, pattern=""):
    good = tap.is_(answer.code, code, name) if answer.code == code else tap.ok(False, name, f"want {code}: {answer.text}")
    if good and pattern:
        tap.like(answer.message, pattern, f"{name}: the message says why")


# ---- stories


def every_verb_in_every_version(lab, agent):
    for version in VERSIONS:
        pod = lab.pod()
        added = lab.call("ADD", pod, lab.conf(version))
        tap.is_(added.code, 0, f"{version}: ADD succeeds")
        result = added.output
        tap.is_(result["cniVersion"], version, f"{version}: the result is of that version")
        tap.is_([ip.get("version") for ip in result["ips"]], ["4", "6"] if version < "1" else [None, None],
                f"{version}: addresses have a version member exactly before 1.0.0")
        tap.is_([link.get("mtu") for link in result["interfaces"]], [1450, 1450] if version >= "1.1" else [None, None],
                f"{version}: interfaces have an mtu exactly from 1.1.0 on")
        host, inside = result["interfaces"]
        tap.is_((inside["name"], inside["sandbox"], host.get("sandbox")), ("eth0", pod.netns, None),
                f"{version}: the pod's side is in the sandbox, the host's is not")
        tap.is_([ip["address"] for ip in result["ips"]], sorted(lab.addresses(pod), key=lambda a: ":" in a),
                f"{version}: the result's addresses are the pod's")
        links = lab.links()
        tap.is_((links[host["name"]]["address"], lab.links(pod)["eth0"]["address"]), (host["mac"], inside["mac"]),
                f"{version}: so are the MAC addresses")
        tap.is_(links[host["name"]]["ifindex"] >> 16, 0x10, f"{version}: the host side's index is of our range")
        tap.ok(agent.wait_for("attach", f"{pod.container}-eth0"), f"{version}: the agent was asked")
        checked = lab.call("CHECK", pod, lab.conf(version, prevResult=result))
        tap.is_(checked.code, 1 if version == "0.3.1" else 0, f"{version}: CHECK {'is unknown' if version < '0.4' else 'agrees'}")
        for verb, conf in (("STATUS", lab.conf(version)), ("GC", lab.conf(version, **{"cni.dev/valid-attachments": [
                {"containerID": pod.container, "ifname": "eth0"}]}))):
            tap.is_(lab.call(verb, conf=conf).code, 0 if version == "1.1.0" else 1,
                    f"{version}: {verb} {'succeeds' if version == '1.1.0' else 'is unknown'}")
        tap.is_(lab.records(), [f"{pod.container}-eth0.json"], f"{version}: GC keeps what is valid")
        version_answer = lab.call("VERSION", conf={"cniVersion": version})
        tap.is_((version_answer.code, version_answer.output["cniVersion"], version_answer.output["supportedVersions"]),
                (0, version, list(VERSIONS)), f"{version}: VERSION names all versions")
        tap.is_((lab.call("DEL", pod, lab.conf(version, prevResult=result)).text), "", f"{version}: DEL prints nothing")
        tap.ok(agent.wait_for("detach", f"{pod.container}-eth0"), f"{version}: the agent is told")
        nothing_left(lab, f"{version}: DEL leaves nothing")
        tap.is_(lab.call("DEL", pod, lab.conf(version), env={"CNI_NETNS": ""}).code, 0,
                f"{version}: a second DEL, without namespace and prevResult, is fine")


def talk(lab, pod, family, address):
    """True when a TCP connection from the host to the pod works."""
    ready, listener = threading.Event(), []

    def listen():
        cni.enter(pod.netns)
        listener.append(socket.socket(family))
        listener[0].bind((address, 7000))
        listener[0].listen()
        ready.set()

    threading.Thread(target=listen).start()
    ready.wait(5)
    try:
        with socket.create_connection((address, 7000), timeout=2):
            return True
    except OSError as error:
        tap.diag(f"{address}: {error}")
        return False
    finally:
        listener[0].close()


def a_pod_can_be_spoken_to(lab, agent):
    pod = lab.pod()
    result = lab.call("ADD", pod).output
    cni.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    cni.run("ip", "address", "add", "2001:db8::1/128", "dev", "lo", "nodad")
    host, inside = result["interfaces"]
    for ip, family, source in zip(result["ips"], (socket.AF_INET, socket.AF_INET6), ("192.0.2.1", "2001:db8::1")):
        address = ip["address"].split("/")[0]
        # What the agent would do.
        cni.run("ip", "route", "add", address, "dev", host["name"], "src", source)
        cni.run("ip", "neigh", "add", address, "lladdr", inside["mac"], "dev", host["name"], "nud", "permanent")
        tap.ok(talk(lab, pod, family, address), f"host and pod speak by {address} at once, with the agent's route")
    neighbours = json.loads(cni.run("ip", "-j", "-n", pod.name, "neigh"))
    tap.is_(sorted((n["dst"], n["lladdr"], n["state"]) for n in neighbours if n["dst"] in ("169.254.1.1", "fe80::1")),
            [("169.254.1.1", host["mac"], ["PERMANENT"]), ("fe80::1", host["mac"], ["PERMANENT"])],
            "the gateways' entries are permanent and hold the host side's MAC address")
    tap.ok("UP" in lab.links(pod)["lo"]["flags"], "the pod's loopback is up")
    lab.call("DEL", pod)
    nothing_left(lab, "then it is gone")


def what_kubernetes_sends_is_recorded(lab, agent):
    pod = lab.pod("0123456789abcdef" * 4)
    conf = lab.conf("1.0.0", capabilities={"portMappings": True}, runtimeConfig={
        "portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}],
        "bandwidth": {"ingressRate": 1000, "ingressBurst": 2000, "egressRate": 3000, "egressBurst": 4000},
        "ips": ["10.244.1.99"], "mac": "02:00:00:00:00:99"})
    args = ("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=u-1")
    added = lab.call("ADD", pod, conf, env={"CNI_ARGS": args})
    tap.is_(added.code, 0, "an ADD as containerd sends it succeeds")
    record = lab.record(pod)
    tap.is_((record["podNamespace"], record["podName"], record["podUID"], record["network"], record["netns"]),
            ("default", "web-1", "u-1", "fairlead", pod.netns), "the record says whose it is")
    tap.is_(record["portMappings"], [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}],
            "capability keys that begin with a capital are understood")
    tap.is_(record["bandwidth"], {"ingressRate": 1000, "ingressBurst": 2000, "egressRate": 3000, "egressBurst": 4000},
            "bandwidth is recorded")
    tap.is_((lab.addresses(pod)[0], lab.links(pod)["eth0"]["address"]), ("10.244.1.99/32", "02:00:00:00:00:99"),
            "the requested address and MAC are the pod's")
    lab.call("DEL", pod, conf)
    nothing_left(lab, "and gone again")


def errors_have_their_codes(lab, agent):
    pod, other, routed = lab.pod(), lab.pod(), lab.pod()
    cni.run("ip", "-n", routed.name, "link", "set", "lo", "up")
    cni.run("ip", "-n", routed.name, "route", "add", "default", "dev", "lo")
    fifo = os.path.join(lab.dir, "fifo")
    os.mkfifo(fifo)
    conf = lab.conf
    cases = (
        ("cniVersion 9.9.9", 1, "ADD", pod, conf("9.9.9"), {}, "0.3.1, 0.4.0, 1.0.0 and 1.1.0"),
        ("no cniVersion", 1, "ADD", pod, {"name": "n"}, {}, "0.1.0"),
        ("a capability that is not ours", 2, "ADD", pod, conf(runtimeConfig={"ipRanges": [[]]}), {}, "ipRanges"),
        ("a port mapping of SCTP", 2, "ADD", pod, conf(runtimeConfig={"portMappings": [
            {"hostPort": 1, "containerPort": 1, "protocol": "sctp"}]}), {}, "sctp"),
        ("a namespace that is not there", 3, "ADD", pod, conf(), {"CNI_NETNS": "/run/netns/fl-no-such"}, "does not exist"),
        ("a namespace that is a FIFO", 4, "ADD", pod, conf(), {"CNI_NETNS": fifo}, "CNI_NETNS.*not a network namespace"),
        ("a namespace that is a folder", 4, "ADD", pod, conf(), {"CNI_NETNS": "/proc"}, "CNI_NETNS.*not a network namespace"),
        ("a namespace of another kind", 4, "ADD", pod, conf(), {"CNI_NETNS": "/proc/self/ns/mnt"}, "not a network namespace"),
        ("the host's namespace", 4, "ADD", pod, conf(), {"CNI_NETNS": "/proc/self/ns/net"}, "CNI_NETNS_OVERRIDE"),
        ("no CNI_COMMAND", 4, "ADD", pod, conf(), {"CNI_COMMAND": None}, "CNI_COMMAND"),
        ("no CNI_CONTAINERID", 4, "ADD", pod, conf(), {"CNI_CONTAINERID": None}, "CNI_CONTAINERID"),
        ("a container that climbs", 4, "DEL", pod, conf(), {"CNI_CONTAINERID": "../../x"}, "CNI_CONTAINERID"),
        ("an interface name of 16 bytes", 4, "ADD", pod, conf(), {"CNI_IFNAME": "e" * 16}, "CNI_IFNAME"),
        ("CNI_ARGS that nobody knows", 4, "ADD", pod, conf(), {"CNI_ARGS": "A=B"}, "IgnoreUnknown"),
        ("a run folder that is a file", 5, "ADD", pod, conf(runDir="/etc/passwd"), {}, "/etc/passwd"),
        ("no JSON", 6, "ADD", pod, "{", {}, "unexpected end"),
        ("an array", 6, "ADD", pod, "[]", {}, "JSON object"),
        ("bytes that are not UTF-8", 6, "ADD", pod, b'{"name":"\xff"}', {}, "byte"),
        ("two megabytes", 6, "ADD", pod, b" " * (2 << 20), {}, "more than 1048576 bytes"),
        ("two hundred brackets", 6, "ADD", pod, "[" * 200, {}, "byte"),
        ("no name", 7, "ADD", pod, {"cniVersion": "1.0.0"}, {}, "name"),
        ("an MTU of 100", 7, "ADD", pod, conf(mtu=100), {}, "1280"),
        ("CHECK without prevResult", 7, "CHECK", pod, conf(), {}, "prevResult"),
        ("GC without a list", 7, "GC", None, conf("1.1.0"), {}, "valid-attachments"),
        ("a chain that has made the interface already", 7, "ADD", pod, conf(prevResult={"interfaces": [
            {"name": "eth0", "sandbox": pod.netns}]}), {}, "must come first"),
        ("a requested address of elsewhere", 102, "ADD", pod, conf(runtimeConfig={"ips": ["192.0.2.9"]}), {}, "192.0.2.9"),
        ("a namespace that has a default route already", 103, "ADD", routed, conf(), {}, "default route.*File exists"),
        ("an IPAM plugin that is not there", 104, "ADD", pod, conf(ipam={"type": "no-such"}), {}, "CNI_PATH"),
        ("CHECK of what was never attached", 110, "CHECK", other, conf(prevResult={}), {}, "no record"),
    )
    for name, code, verb, where, text, env, pattern in cases:
        answer = lab.call(verb, where, text, env)
        is_code(answer, code, f"{name}: code {code}", pattern)
    tap.is_(lab.call("ADD", pod).code, 0, "after all of them an ADD succeeds")
    is_code(lab.call("ADD", pod), 100, "a second ADD: code 100", "attached already")
    is_code(lab.call("ADD", other, env={"CNI_NETNS": pod.netns}), 100, "an interface name that is taken: code 100", "eth0")
    is_code(lab.call("ADD", other, lab.conf(runtimeConfig={"ips": [lab.addresses(pod)[0]]})), 102,
            "an address that is in use: code 102", "in use by attachment")
    tap.is_(lab.records(), [f"{pod.container}-eth0.json"], "what failed left no record")
    lab.call("DEL", pod)
    nothing_left(lab, "and nothing else")


def without_an_agent(lab):
    pod = lab.pod()
    node = os.path.join(lab.run_dir, "node.json")
    os.unlink(node)
    is_code(lab.call("ADD", pod), 11, "no node.json: ADD says try again later", "fairlead-agent")
    is_code(lab.call("STATUS", conf=lab.conf("1.1.0")), 50, "no node.json: STATUS says 50")
    lab.node(CIDRS)
    is_code(lab.call("ADD", pod), 11, "nobody listens: ADD says try again later", "is it running")
    is_code(lab.call("STATUS", conf=lab.conf("1.1.0")), 51, "nobody listens: STATUS says 51")
    nothing_left(lab, "nothing was begun")
    agent = lab.agent()
    agent.refuse = "the map of pods is full"
    is_code(lab.call("ADD", pod), 11, "the agent refuses: 11, with its words", "the map of pods is full")
    nothing_left(lab, "all is undone")
    tap.ok(agent.wait_for("detach", f"{pod.container}-eth0"), "and the agent told")
    agent.refuse, agent.silent = None, True
    start = time.monotonic()
    is_code(lab.call("ADD", pod), 11, "the agent is silent: 11", "did not answer within 2000 ms")
    tap.ok(1.9 < time.monotonic() - start < 9, "after two seconds")
    nothing_left(lab, "all is undone again")
    agent.silent = False
    tap.is_(lab.call("ADD", pod).code, 0, "then it answers, and the same ADD succeeds")
    for status, code in (({"ready": False, "problem": ""}, 50), ({"ready": False, "problem": "vxlan is missing"}, 51)):
        agent.status = {"ok": True, **status}
        is_code(lab.call("STATUS", conf=lab.conf("1.1.0")), code, f"an agent that says {status}: STATUS says {code}")
    agent.status = {"ok": True, "ready": True, "problem": ""}
    agent.close()
    tap.is_(lab.call("DEL", pod).code, 0, "DEL needs no agent")
    nothing_left(lab, "and leaves nothing")
    return lab.agent()


def an_exhausted_range(lab, agent):
    lab.node(["10.244.1.0/30"])
    first, second = lab.pod(), lab.pod()
    tap.is_(lab.call("ADD", first).code, 0, "the only address is given out")
    is_code(lab.call("ADD", second), 101, "the next ADD says that there is none", "all 1 IPv4 addresses")
    is_code(lab.call("STATUS", conf=lab.conf("1.1.0")), 50, "so does STATUS")
    lab.call("DEL", first)
    tap.is_(lab.call("ADD", second).code, 0, "after a DEL there is one again")
    lab.call("DEL", second)
    nothing_left(lab, "nothing is left of either")
    lab.node(CIDRS)


def check_notices(lab, agent):
    pod = lab.pod()
    result = lab.call("ADD", pod).output
    host = result["interfaces"][0]
    name, inside = host["name"], ("-n", pod.name)
    conf = lab.conf("1.0.0", prevResult=result)
    address = result["ips"][0]["address"]
    record = os.path.join(lab.run_dir, "attachments", f"{pod.container}-eth0.json")
    lease = os.path.join(lab.run_dir, "ipam", address.split("/")[0])
    with open(record, encoding="utf-8") as file:
        text = file.read()

    def ip(*words):
        return lambda: cni.run("ip", *words)

    def write(content):
        def act():
            with open(record, "w", encoding="utf-8") as target:
                target.write(content)
        return act

    neighbour = ("neigh", "replace", "169.254.1.1", "dev", "eth0", "nud", "permanent", "lladdr")

    def rebuild():
        """The kernel takes routes and neighbours along with an address or a MAC."""
        for gateway in ("169.254.1.1", "fe80::1"):
            ip(*inside, "neigh", "replace", gateway, "dev", "eth0", "nud", "permanent", "lladdr", host["mac"])()
        ip(*inside, "route", "replace", "169.254.1.1", "dev", "eth0", "scope", "link", "proto", "static")()
        ip(*inside, "route", "replace", "default", "via", "169.254.1.1", "dev", "eth0")()
        ip(*inside, "-6", "route", "replace", "default", "via", "fe80::1", "dev", "eth0")()

    cases = (
        (110, "a record that is gone", lambda: os.unlink(record), write(text)),
        (110, "a record that is broken", write(text[:50]), write(text)),
        (110, "a record of another network", write(text.replace('"fairlead"', '"other"')), write(text)),
        (111, "a host side that is down", ip("link", "set", name, "down"), ip("link", "set", name, "up")),
        (113, "another MAC of the host side", ip("link", "set", name, "address", "02:00:00:00:00:77"),
         ip("link", "set", name, "address", host["mac"])),
        (113, "another MAC in the pod", ip(*inside, "link", "set", "eth0", "address", "02:00:00:00:00:77"),
         ip(*inside, "link", "set", "eth0", "address", result["interfaces"][1]["mac"])),
        (114, "an MTU that is too big", ip(*inside, "link", "set", "eth0", "mtu", "1500"),
         ip(*inside, "link", "set", "eth0", "mtu", "1450")),
        (115, "an address that is gone", ip(*inside, "address", "del", address, "dev", "eth0"),
         ip(*inside, "address", "add", address, "dev", "eth0")),
        (115, "a lease that is gone", lambda: os.unlink(lease), lambda: os.symlink(f"{pod.container}-eth0", lease)),
        (116, "no IPv4 default route", ip(*inside, "route", "del", "default"), rebuild),
        (116, "no IPv6 default route", ip(*inside, "-6", "route", "del", "default"), rebuild),
        (117, "a gateway of another MAC", ip(*inside, *neighbour, "02:00:00:00:00:77"), rebuild),
        (117, "no IPv6 gateway", ip(*inside, "neigh", "del", "fe80::1", "dev", "eth0"), rebuild),
    )
    tap.is_(lab.call("CHECK", pod, conf).code, 0, "CHECK agrees at first")
    for code, what, harm, mend in cases:
        harm()
        is_code(lab.call("CHECK", pod, conf), code, f"CHECK notices {what}: {code}")
        mend()
        rebuild()
        again = lab.call("CHECK", pod, conf)
        tap.ok(again.code == 0, f"and agrees when it is mended: {what}", again.text)
    twisted = json.loads(json.dumps(result))
    twisted["ips"][0]["address"] = "10.244.1.200/32"
    is_code(lab.call("CHECK", pod, lab.conf(prevResult=twisted)), 118, "CHECK notices a prevResult of another address: 118")
    is_code(lab.call("CHECK", pod, lab.conf(prevResult={})), 118, "and one without the interface")
    cni.run("ip", *inside, "link", "set", "eth0", "mtu", "1400")
    cni.run("ip", *inside, "route", "add", "198.51.100.0/24", "via", "169.254.1.1", "dev", "eth0")
    tap.is_(lab.call("CHECK", pod, conf).code, 0, "a later plugin may lower the MTU and add routes")
    cni.run("ip", *inside, "route", "flush", "dev", "eth0")
    cni.run("ip", "link", "set", name, "down")
    several = lab.call("CHECK", pod, conf)
    tap.ok(several.code == 111 and all(f"{code}: " in several.output["details"] for code in (111, 116)),
           "several differences are all in the details", several.text)
    cni.run("ip", *inside, "link", "del", "eth0")
    is_code(lab.call("CHECK", pod, conf), 111, "CHECK notices that both sides are gone")
    lab.call("DEL", pod)
    nothing_left(lab, "DEL does not mind")


def sixty_four_at_once(lab, agent):
    pods = [lab.pod() for _ in range(64)]
    start = time.monotonic()
    answers = [lab.finish(child) for child in [lab.start("ADD", pod) for pod in pods]]
    tap.diag(f"64 parallel ADDs: {(time.monotonic() - start) * 1000:.0f} ms")
    tap.is_([a.code for a in answers], [0] * 64, "sixty-four ADDs at once succeed")
    found = [ip["address"] for a in answers for ip in a.output["ips"]]
    tap.is_((len(found), len(set(found))), (128, 128), "each has addresses of its own")
    indexes = {link["ifindex"] % 65536 for name, link in lab.links().items() if name.startswith("fl")}
    tap.is_(len(indexes), 64, "the low 16 bits of the host sides' indexes differ")
    tap.is_([a.code for a in (lab.finish(c) for c in [lab.start("DEL", pod) for pod in pods])], [0] * 64,
            "sixty-four DELs at once succeed")
    nothing_left(lab, "and leave nothing")
    for pod in pods:
        lab.drop(pod)


def the_same_container_again_at_once(lab, agent):
    pod = lab.pod()
    codes = [lab.call(verb, pod).code for _ in range(10) for verb in ("ADD", "DEL")]
    tap.is_(codes, [0] * 20, "ADD and DEL of one container, one right after the other, ten times")
    other = cni.Pod(pod.name, "another")
    tap.is_([lab.call("ADD", pod).code, lab.call("DEL", pod).code, lab.call("ADD", other).code], [0, 0, 0],
            "another container gets the namespace while the first one's pair is being removed")
    tap.ok(other.ifname in lab.links(other), "and its interface stays")
    lab.call("DEL", other)
    nothing_left(lab, "nothing is left")


def a_record_that_cannot_be_written(lab, agent):
    pod, folder = lab.pod(), os.path.join(lab.run_dir, "attachments")
    os.rename(folder, folder + ".away")
    with open(folder, "wb"):
        pass
    is_code(lab.call("ADD", pod), 5, "an ADD whose record cannot be written fails", "attachments")
    tap.is_((lab.leases(), lab.host_sides()), ({}, []), "and gives its addresses back")
    tap.is_(lab.call("DEL", pod).code, 0, "its DEL is fine")
    os.unlink(folder)
    os.rename(folder + ".away", folder)


def a_namespace_that_went_before_del(lab, agent):
    pod = lab.pod()
    result = lab.call("ADD", pod).output
    lab.drop(pod)
    tap.is_(lab.call("DEL", pod, lab.conf(prevResult=result)).code, 0, "DEL after the namespace has gone is fine")
    nothing_left(lab, "and leaves nothing")


def a_namespace_without_ipv6(lab, agent):
    pod = lab.pod()
    cni.run("nsenter", f"--net={pod.netns}", "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; "
            "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
    tap.is_(lab.call("ADD", pod).code, 0, "a namespace whose IPv6 is switched off gets its IPv6 address nevertheless")
    tap.is_(len(lab.addresses(pod)), 2, "both addresses are there")
    lab.call("DEL", pod)


def garbage(lab, valid=()):
    return lab.call("GC", conf=lab.conf("1.1.0", **{"cni.dev/valid-attachments": [
        {"containerID": pod.container, "ifname": pod.ifname} for pod in valid]}))


def gc_collects(lab, agent):
    kept, gone, foreign = lab.pod(), lab.pod(), lab.pod()
    for pod in (kept, gone):
        lab.call("ADD", pod)
    lab.call("ADD", foreign, lab.conf(name="other"))
    cni.run("ip", "link", "add", "fl00000000dead", "type", "veth", "peer", "name", "x0")
    cni.run("ip", "link", "add", "flannel.x", "type", "veth", "peer", "name", "x1")
    os.symlink("nobody-eth0", os.path.join(lab.run_dir, "ipam", "10.244.1.250"))
    for name in (".tmp-123456", "broken-eth0.json"):
        with open(os.path.join(lab.run_dir, "attachments", name), "w", encoding="utf-8") as file:
            file.write("{")
    tap.is_(garbage(lab, [kept]).text, "", "GC succeeds and prints nothing")
    tap.is_(lab.records(), sorted(f"{pod.container}-eth0.json" for pod in (kept, foreign)),
            "what is valid stays, and what is another network's")
    tap.ok(eventually(lambda: sorted(n for n in lab.host_sides() if n != "flannel.x") == sorted(
        lab.record(pod)["hostIfname"] for pod in (kept, foreign))), "so do their devices, and no other of ours")
    tap.ok("flannel.x" in lab.links(), "a device whose name only begins like ours is none of ours")
    tap.is_(sorted(set(lab.leases().values())), sorted(f"{pod.container}-eth0" for pod in (kept, foreign)),
            "leases of nobody are given back")
    tap.ok(agent.wait_for("detach", f"{gone.container}-eth0"), "the agent is told")
    cni.run("ip", "link", "del", "flannel.x")
    tap.is_(lab.call("DEL", foreign, lab.conf(name="other")).code, 0, "the other network's DEL is its own affair")
    tap.is_(garbage(lab).code, 0, "GC with an empty list")
    nothing_left(lab, "takes everything")


def killed_at_any_moment(lab, agent):
    rng, pods = random.Random(4711), [lab.pod() for _ in range(10)]
    outcomes = {"before": 0, "in between": 0, "after": 0}
    whole = 1.0  # the shortest that an ADD takes, in seconds
    for _ in range(5):
        start = time.monotonic()
        lab.call("ADD", pods[0])
        whole = min(whole, time.monotonic() - start)
        lab.call("DEL", pods[0])
    for i in range(1000):
        if outcomes["in between"] == 60:
            break
        pod = pods[i % len(pods)]
        child = lab.start("ADD", pod)
        time.sleep(rng.uniform(0, whole))
        child.send_signal(signal.SIGKILL)
        answer = lab.finish(child)
        begun = left(lab) != NOTHING
        outcomes["after" if answer.exit_code == 0 else "in between" if begun else "before"] += 1
        if i % 3 == 2:
            good = garbage(lab).code == 0
        else:
            good = lab.call("DEL", pod, env={"CNI_NETNS": ""} if i % 3 else None).code == 0
            # A temporary file of a record is GC's.
            if any(name.startswith(".tmp-") for name in os.listdir(os.path.join(lab.run_dir, "attachments"))):
                good = good and garbage(lab).code == 0
        if not good or not eventually(lambda: left(lab) == NOTHING):
            tap.ok(False, f"an ADD killed the {i}th time leaves nothing behind DEL or GC", left(lab))
            return
    tap.diag(f"killed: {outcomes}")
    tap.is_(outcomes["in between"], 60, "60 ADDs killed half-way, at random moments, leave nothing behind DEL or GC")
    for i in range(40):
        pod = pods[i % len(pods)]
        if lab.call("ADD", pod).code:
            tap.ok(False, "an ADD after them succeeds")
            return
        child = lab.start("DEL", pod)
        time.sleep(rng.uniform(0, 0.002))
        child.send_signal(signal.SIGKILL)
        lab.finish(child)
        if lab.call("DEL", pod).code or not eventually(lambda: left(lab) == NOTHING):
            tap.ok(False, f"a DEL killed the {i}th time is finished by the next", left(lab))
            return
    tap.ok(True, "40 DELs killed at random moments are finished by the next")


def as_a_later_plugin(lab, agent):
    pod = lab.pod()
    before = {"cniVersion": "1.0.0", "interfaces": [{"name": "lo", "sandbox": pod.netns}],
              "ips": [{"address": "127.0.0.1/8", "interface": 0}], "routes": [{"dst": "198.51.100.0/24"}]}
    added = lab.call("ADD", pod, lab.conf(prevResult=before))
    tap.is_([link["name"] for link in added.output["interfaces"]][::2], ["lo", "eth0"],
            "behind another plugin, its interfaces stay in front")
    tap.is_([ip["interface"] for ip in added.output["ips"]], [0, 2, 2], "and addresses point at the right ones")
    tap.is_(lab.call("CHECK", pod, lab.conf(prevResult=added.output)).code, 0, "CHECK agrees with that result")
    lab.call("DEL", pod)
    nothing_left(lab, "DEL takes ours")


def chain(lab, verb, pod, plugins, prev):
    """What a runtime does with a list. Returns the last answer and result."""
    answer, order = None, plugins if verb != "DEL" else plugins[::-1]
    for binary, conf in order:
        conf = dict(lab.conf("1.0.0"), **conf)
        if prev:
            conf["prevResult"] = prev
        answer = lab.call(verb, pod, conf, plugin=binary)
        if answer.code:
            return answer, prev
        prev = answer.output if verb == "ADD" else prev
    return answer, prev


def first_in_a_chain(lab, agent):
    if not os.path.exists("/usr/lib/cni/tuning"):
        tap.skip("tuning and portmap follow in a chain", "containernetworking-plugins is missing (make deps)")
        return
    pod = lab.pod()
    mapping = {"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}
    plugins = [(lab.plugin, {}),
               ("/usr/lib/cni/tuning", {"type": "tuning", "sysctl": {"net.ipv4.conf.all.log_martians": "1"}, "mtu": 1400,
                                        "dataDir": os.path.join(lab.dir, "tuning")}),
               ("/usr/lib/cni/portmap", {"type": "portmap", "snat": False, **mapping})]
    answer, result = chain(lab, "ADD", pod, plugins, None)
    tap.ok(answer.code == 0, "tuning and portmap take our result and go on", answer.text)
    tap.is_(lab.links(pod)["eth0"]["mtu"], 1400, "tuning has done its work in the pod")
    tap.like(cni.run("iptables-save", "-t", "nat"), r"--dport 8080.*DNAT --to-destination 10\.244\.1\.\d+:80",
             "and portmap its on the host")
    # Not portmap's: that of 1.1.1 looks for the rules of IPv6 with the pod's IPv4 address.
    answer, _ = chain(lab, "CHECK", pod, plugins[:2], result)
    tap.ok(answer.code == 0, "CHECK agrees with what tuning has changed", answer.text)
    answer, _ = chain(lab, "DEL", pod, plugins, result)
    tap.is_(answer.code, 0, "DEL goes backwards through it")
    nothing_left(lab, "and leaves nothing")


def addresses_by_host_local(lab, agent):
    if not os.path.exists("/usr/lib/cni/host-local"):
        tap.skip("host-local gives the addresses", "containernetworking-plugins is missing (make deps)")
        return
    folder = os.path.join(lab.dir, "host-local")
    conf = lab.conf("1.0.0", ipam={"type": "host-local", "dataDir": folder, "ranges": [
        [{"subnet": "10.99.0.0/29"}], [{"subnet": "fd99::/64"}]], "routes": [{"dst": "0.0.0.0/0"}]},
        dns={"nameservers": ["10.96.0.10"]})

    def held():
        base = os.path.join(folder, "fairlead")
        return sorted(n for n in os.listdir(base) if n[0].isdigit() or n[0] == "f") if os.path.isdir(base) else []

    pod, other = lab.pod(), lab.pod()
    added = lab.call("ADD", pod, conf)
    tap.is_(added.code, 0, "an ADD with host-local succeeds")
    tap.is_([ip["address"] for ip in added.output["ips"]], ["10.99.0.2/32", "fd99::2/128"], "its addresses are used")
    tap.is_(added.output["dns"], {"nameservers": ["10.96.0.10"]}, "and the configuration's dns, as it has none")
    tap.is_((lab.addresses(pod), held(), lab.leases()), (["10.99.0.2/32", "fd99::2/128"], ["10.99.0.2", "fd99::2"], {}),
            "in the pod, in host-local's books, and not in ours")
    check = dict(conf, prevResult=added.output)
    tap.is_(lab.call("CHECK", pod, check).code, 0, "CHECK asks it too, and agrees")
    agent.refuse = "no"
    is_code(lab.call("ADD", other, conf), 11, "an ADD that fails later")
    agent.refuse = None
    tap.is_(held(), ["10.99.0.2", "fd99::2"], "gives host-local its address back")
    rest = [lab.pod() for _ in range(5)]
    codes = [lab.call("ADD", p, conf).code for p in rest]
    tap.ok(codes[:4] == [0] * 4 and codes[4] != 0, "a full host-local is an error of its own", codes)
    tap.is_(lab.call("DEL", pod, check, env={"CNI_NETNS": ""}).code, 0, "DEL reaches it")
    tap.is_("10.99.0.2" in held(), False, "and the address is free")
    for p in rest:
        lab.call("DEL", p, conf)
    tap.is_(held(), [], "in the end it holds none")
    nothing_left(lab, "and neither do we")


def main():
    if os.geteuid() != 0:
        tap.skip_all("network namespaces need root")
    with cni.Lab(os.path.join(BUILD, "fairlead-cni")) as lab:
        lab.node(CIDRS)
        agent = without_an_agent(lab)
        for story in (every_verb_in_every_version, a_pod_can_be_spoken_to, what_kubernetes_sends_is_recorded,
                      errors_have_their_codes, an_exhausted_range, check_notices, sixty_four_at_once,
                      the_same_container_again_at_once, a_record_that_cannot_be_written,
                      a_namespace_that_went_before_del, a_namespace_without_ipv6, gc_collects, killed_at_any_moment,
                      as_a_later_plugin, first_in_a_chain, addresses_by_host_local):
            story(lab, agent)
        # Threads have sockets in namespaces that are about to go.
        tap.is_(sorted(n for n in lab.links() if n not in ("lo",)), [], "the host has no device but lo in the end")
    tap.done()


if __name__ == "__main__":
    main()

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""The pod network of the kubelet's built-in runtime: real CNI plugins, ones that fail, hang or talk rubbish, and kill -9."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cni  # noqa: E402
import podlab  # noqa: E402
import tap  # noqa: E402

# What a plugin of the shell begins with: what it was given is kept beside it.
NOTE = 'cat > "${0}.$CNI_COMMAND.in"; env > "${0}.$CNI_COMMAND.env"; '
RESULT = """'{"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/24"}]}'"""


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def bridge(lab, name="net-a", subnets=("10.88.0.0/16",), more=(), **ipam):
    plugin = {"type": "bridge", "bridge": name, "isGateway": True, "ipam": {
        "type": "host-local", "dataDir": f"{lab.folder}/leases", "ranges": [[{"subnet": s}] for s in subnets], **ipam}}
    return {"cniVersion": "1.0.0", "name": name, "plugins": [plugin, *more]}


def leases(lab, name="net-a"):
    folder = f"{lab.folder}/leases/{name}"
    return sorted(f for f in os.listdir(folder) if f[0].isdigit()) if os.path.isdir(folder) else []


def is_whole(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def given(lab, plugin, verb="ADD"):
    """What a shell plugin got: (its input, its environment). It may just be called again, and its files written."""
    conf = []
    lab.until(lambda: conf.append(is_whole(f"{lab.folder}/plugins/{plugin}.{verb}.in")) or conf[-1])
    with open(f"{lab.folder}/plugins/{plugin}.{verb}.env", encoding="utf-8") as file:
        return conf[-1], dict(line.split("=", 1) for line in file.read().splitlines())


def devices():
    return len(json.loads(run("ip", "-j", "link", "show", "type", "veth") or "[]"))


def inside(netns, *argv):
    return run("nsenter", f"--net={netns}", *argv)


def things(lab):
    return {**lab.things(), "veths": devices(), "leases": len(leases(lab)) + len(leases(lab, "net-b"))}


def settled(lab, wanted, seconds=5):
    end = time.monotonic() + seconds
    while things(lab) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return things(lab)


def sandbox_of(d, number):
    return d.ask("list", uid=f"uid-{number}")["sandboxes"][0]


def plugged(lab, d):
    lab.network(bridge(lab, subnets=("fd00:88::/64", "10.88.0.0/16"), more=[{"type": "note", "capabilities": {
        "portMappings": True, "dns": True}}]))
    lab.plugin("note", NOTE + "echo '{\"cniVersion\": \"1.0.0\", \"ips\": [' > /dev/null; "
               "[ $CNI_COMMAND = ADD ] && sed 's/.*\"prevResult\": *//; s/}$//' \"${0}.ADD.in\"; true")
    sandbox = d.pod(1, ports=[{"host": 8080, "container": 80}, {"host": 53, "container": 5353, "protocol": "UDP", "ip": "127.0.0.1"}],
                    resolvConf="nameserver 10.0.0.10\nsearch a.b c.d\noptions ndots:5\n")
    status = sandbox_of(d, 1)
    tap.is_((status["ready"], [ip.split(":")[0].split(".")[0] for ip in status["ips"]]), (True, ["fd00", "10"]),
            "a pod has its addresses, in the plugin's order")
    shown = inside(status["netns"], "ip", "-br", "address")
    tap.ok(all(ip in shown for ip in status["ips"]) and "eth0" in shown, "which are on its eth0", shown)
    tap.like(inside(status["netns"], "ip", "-br", "link", "show", "lo"), r"LOOPBACK,UP", "lo is up")
    conf, env = given(lab, "note")
    tap.is_(env["CNI_ARGS"], f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-1;K8S_POD_INFRA_CONTAINER_ID={sandbox};"
            "K8S_POD_UID=uid-1", "a plugin is told whose pod it is")
    tap.is_((env["CNI_CONTAINERID"], env["CNI_IFNAME"], env["CNI_NETNS"]), (sandbox, "eth0", status["netns"]), "and where it is")
    tap.is_(conf["runtimeConfig"], {"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 53, "containerPort": 5353, "protocol": "udp", "hostIP": "127.0.0.1"}],
        "dns": {"servers": ["10.0.0.10"], "searches": ["a.b", "c.d"], "options": ["ndots:5"]}},
        "it gets the capabilities that it declares, no others")
    tap.is_([conf["name"], conf["cniVersion"], len(conf["prevResult"]["ips"])], ["net-a", "1.0.0", 2], "and what the one before gave")
    c = d.running(sandbox, ["sh", "-c", "ping -c1 -W1 10.88.0.1"])
    tap.is_(d.until(c, "exited")["code"], 0, "a container reaches the gateway")
    d.good("sandbox_stop", id=sandbox)
    conf, env = given(lab, "note", "DEL")
    tap.is_(([ip["address"].split("/")[0] for ip in conf["prevResult"]["ips"]], env["CNI_NETNS"]), (status["ips"], status["netns"]),
            "DEL gets what ADD gave, while the namespace is there")
    tap.is_(leases(lab), [], "and the addresses are given back when the pod is stopped")
    d.good("sandbox_remove", id=sandbox)
    bad = d.ask("run", **lab.pod(2, ingress=1000000))
    tap.ok(bad["result"] < 0 and "bandwidth" in bad["message"] and "net-a" in bad["message"],
           "what no plugin can do is refused by name", bad)
    bad = d.ask("run", **lab.pod(2, userNamespace=True))
    tap.ok(bad["result"] < 0 and "spec.hostUsers" in bad["message"], "so is a user namespace", bad)


def ports_and_rates(lab, d):
    lab.network(bridge(lab, more=[{"type": "portmap", "capabilities": {"portMappings": True}},
                                  {"type": "bandwidth", "capabilities": {"bandwidth": True}}]))
    sandbox = d.pod(3, ports=[{"host": 18080, "container": 8000}], ingress=8000000, egress=4000000)
    c = d.running(sandbox, ["sh", "-c", "while :; do echo served | nc -l -p 8000; done"])
    lab.until(lambda: "served" in subprocess.run(["busybox", "nc", "-w", "1", "10.88.0.1", "18080"], capture_output=True,
                                                 stdin=subprocess.DEVNULL, text=True, check=False).stdout)
    tap.ok(True, "a hostPort reaches the pod, by Debian's portmap")
    rules = run("tc", "qdisc", "show")
    tap.like(rules, r"tbf .*rate 8Mbit", "a rate limits the pod, by Debian's bandwidth")
    tap.like(rules, r"tbf .*rate 4Mbit", "in both directions")
    d.good("stop", id=c)
    d.good("sandbox_remove", id=sandbox)
    tap.ok("18080" not in run("iptables-save"), "and nothing of it stays")


def configuration(lab, d):
    lab.network(None)
    status = d.ask("network")
    tap.is_((status["ready"], status["why"]), (False, f"network is not ready: no CNI configuration in {lab.folder}/cni"),
            "without a configuration the network is not ready")
    bad = d.ask("run", **lab.pod(4))
    tap.is_((bad["result"], bad["message"], bad["id"]), (-11, status["why"], ""), "and a pod waits")
    host = d.good("run", **lab.pod(4, network=2))["id"]
    tap.is_(sandbox_of(d, 4)["ips"], [], "but for those on the node's network")
    d.good("sandbox_remove", id=host)
    lab.network("{", "05-broken.conflist")
    status = d.ask("network")
    tap.ok(not status["ready"] and "05-broken.conflist" in status["why"], "a broken file is named", status)
    lab.network(None, "05-broken.conflist")
    lab.network(bridge(lab))
    tap.is_(d.ask("network")["ready"], True, "a file that comes later is taken")
    first = d.pod(5)
    lab.network(bridge(lab, "net-b", ("10.99.0.0/24",)), "00-first.conflist")
    second = d.pod(6)
    tap.is_([sandbox_of(d, n)["ips"][0].split(".")[1] for n in (5, 6)], ["88", "99"], "and one whose name comes first goes first")
    d.good("sandbox_remove", id=first)
    tap.is_((leases(lab), len(leases(lab, "net-b"))), ([], 1), "a pod is unplugged from what it was plugged into")
    lab.network(None, "00-first.conflist")
    d.good("sandbox_remove", id=second)
    tap.is_(leases(lab, "net-b"), [], "also when that configuration is gone")


def failures(lab, d):
    fails = """[ "$CNI_COMMAND" = ADD ] || exit 0; """
    for script, result, words in (
            (fails + """echo '{"code": 99, "msg": "no room", "details": "at all"}'; exit 1""", -5, "plugin bad: no room: at all"),
            (fails + """echo '{"code": 11, "msg": "soon"}'; exit 1""", -11, "plugin bad: soon"),
            (fails + "echo it broke >&2; exit 1", -5, "plugin bad: it broke"),
            (fails + "echo rubbish", -71, "plugin bad: its result is no JSON"),
            (fails + "echo '{\"ips\": [{\"address\": 5}]}'", -71, "plugin bad: ips[0].address of its result"),
            (fails + "echo '{}'", -71, "network net-a gave no address to eth0"),
            (fails + "kill -9 $$", -5, "plugin bad: it was killed by signal 9")):
        lab.plugin("bad", script)
        lab.network(bridge(lab, more=[{"type": "bad"}]))
        bad = d.ask("run", **lab.pod(7))
        tap.ok(bad["result"] == result and bad["message"].startswith(f"failed to set up sandbox network: {words}"), words, bad)
        lab.until(lambda: not leases(lab))
        tap.is_(sandbox_of(d, 7)["ready"], False, "the sandbox is not ready, and what the first plugin gave is taken back")
        d.good("sandbox_remove", id=bad["id"])
    lab.network(bridge(lab, more=[{"type": "nowhere"}]))
    bad = d.ask("run", **lab.pod(7))
    tap.ok("plugin nowhere: there is no such program in " in bad["message"], "a plugin that is not there is named", bad)
    answer = d.ask("sandbox_remove", id=bad["id"])
    tap.ok(answer["result"] < 0 and answer["message"].startswith("failed to tear down sandbox network: plugin nowhere"),
           "as long as something may be plugged in, the sandbox stays", answer)
    lab.plugin("nowhere", "true")
    d.good("sandbox_remove", id=bad["id"])
    tap.is_(leases(lab), [], "until it could be unplugged")
    os.unlink(f"{lab.folder}/plugins/nowhere")


def hangs(lab, d):
    lab.plugin("slow", """[ -e "$0.$CNI_COMMAND" ] && sleep 1000; [ $CNI_COMMAND = ADD ] && echo """ + RESULT + "; true")
    lab.network(bridge(lab, more=[{"type": "slow"}]))
    d.end()
    d = podlab.Driver(lab, cni_timeout_ms=400)
    open(f"{lab.folder}/plugins/slow.ADD", "w").close()
    hung = d.send("run", **lab.pod(8))
    time.sleep(0.1)
    lab.network({"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "none"}]})
    other = d.good("run", **lab.pod(9))
    tap.ok(other["us"] < 300000, "a plugin that hangs holds up nobody else", other)
    answer = d.wait(hung)
    tap.ok(answer["result"] == -5 and answer["message"] == "failed to set up sandbox network: plugin slow: it took too long and was "
           "killed", "and is killed when its time is up", answer)
    d.good("sandbox_remove", id=answer["id"])
    d.good("sandbox_remove", id=other["id"])
    lab.network(bridge(lab, more=[{"type": "slow"}]))
    d.send("run", **lab.pod(8))
    lab.until(lambda: leases(lab))
    time.sleep(0.05)
    d.kill()
    d = podlab.Driver(lab, cni_timeout_ms=400)
    answer = d.good("sandbox_remove", id=sandbox_of(d, 8)["id"])
    tap.ok(answer["us"] > 300000, "one that a killed kubelet has left behind is waited for, then killed", answer)
    tap.is_(leases(lab), [], "and what it did is undone")
    os.unlink(f"{lab.folder}/plugins/slow.ADD")
    sandbox = d.pod(8)
    open(f"{lab.folder}/plugins/slow.DEL", "w").close()
    answer = d.ask("sandbox_stop", id=sandbox)
    tap.ok(answer["result"] < 0 and len(leases(lab)) == 1, "a DEL that hangs is a failure", answer)
    os.unlink(f"{lab.folder}/plugins/slow.DEL")
    d.good("sandbox_stop", id=sandbox)
    tap.is_(leases(lab), [], "that the next call mends")
    d.good("sandbox_remove", id=sandbox)
    d.end()
    return podlab.Driver(lab)


def killed(lab, d):
    """kill -9 at many moments of ADD and DEL."""
    lab.network(bridge(lab))
    for i in range(20):
        if i >= 12:
            sandbox = d.pod(100 + i)
            d.send("sandbox_stop", id=sandbox)
            lab.sleep(0.003 * (i - 12))
        else:
            d.send("run", **lab.pod(100 + i))
            lab.sleep(0.0012 * i)
        d.kill()
        d = podlab.Driver(lab)
    for s in d.ask("list")["sandboxes"]:
        d.good("sandbox_remove", id=s["id"])
    d.good("collect")
    tap.is_(leases(lab), [], "kill -9 at 20 moments of ADD and DEL leaks no address")
    return d


def booted(lab, d):
    d.pod(20)
    d.kill()
    for path, _, files in os.walk(f"{lab.folder}/run"):
        if "holder" in files:
            with open(f"{path}/holder", encoding="utf-8") as file:
                os.kill(int(file.read()), 9)
    run("sh", "-c", f"umount {lab.folder}/run/pods/*/*/shm; rm -rf {lab.folder}/run")
    for folder, _, _ in sorted(os.walk("/sys/fs/cgroup"), key=lambda w: -len(w[0])):
        if "/kubepods/" in folder:
            lab.until(lambda f=folder: os.rmdir(f) or True)
    d = podlab.Driver(lab)
    tap.is_((d.ask("list")["sandboxes"], len(leases(lab))), ([], 1), "after a boot no sandbox is there, but its address is taken")
    d.good("collect")
    tap.is_(leases(lab), [], "and is given back")
    return d


def newest(lab, d):
    lab.plugin("new", NOTE + "case $CNI_COMMAND in ADD) echo " + RESULT + ";; "
               """STATUS) [ ! -e "$0.sick" ] || { echo '{"code": 50, "msg": "I am ill"}'; exit 1; };; GC) [ ! -e "$0.nogc" ] || exit 1;; esac""")
    conf = {"cniVersion": "0.4.0", "cniVersions": ["0.4.0", "1.1.0", "9.0.0"], "name": "new", "plugins": [{"type": "new"}]}
    open(f"{lab.folder}/plugins/new.sick", "w").close()
    lab.network(conf)
    lab.until(lambda: "I am ill" in d.ask("network")["why"])
    tap.is_(d.ask("network")["why"], "network is not ready: plugin new: I am ill", "STATUS of a plugin is the network's")
    os.unlink(f"{lab.folder}/plugins/new.sick")
    lab.network({**conf, "name": "new2"})
    lab.until(lambda: d.ask("network")["ready"])
    tap.is_(given(lab, "new", "STATUS")[0]["cniVersion"], "1.1.0", "the newest version that both know is spoken")
    sandboxes = [d.pod(30), d.pod(31)]
    d.good("collect")
    tap.is_(sorted(given(lab, "new", "GC")[0]["cni.dev/valid-attachments"], key=lambda a: a["containerID"]),
            [{"containerID": s, "ifname": "eth0"} for s in sorted(sandboxes)], "GC names what is valid")
    for s in sandboxes:
        d.good("sandbox_remove", id=s)


def own(lab, d):
    """Our plugin, with a stand-in for its agent."""
    os.makedirs(f"{lab.folder}/fairlead")
    with open(f"{lab.folder}/fairlead/node.json", "w", encoding="utf-8") as file:
        json.dump({"version": 1, "nodeName": "n1", "podCIDRs": ["10.244.1.0/24", "fd00:244::/64"], "mtu": 1450,
                   "gateways": ["169.254.1.1", "fe80::1"], "hostAddresses": ["192.0.2.1"]}, file)
    os.symlink(os.path.join(podlab.BUILD, "fairlead-cni"), f"{lab.folder}/plugins/fairlead-cni")
    agent = cni.Agent(f"{lab.folder}/fairlead")
    lab.network({"cniVersion": "0.4.0", "cniVersions": ["0.4.0", "1.1.0"], "name": "fairlead", "plugins": [{
        "type": "fairlead-cni", "runDir": f"{lab.folder}/fairlead", "capabilities": {"portMappings": True, "bandwidth": True, "ips": True}}]})
    lab.until(lambda: d.ask("network")["ready"])
    sandbox = d.pod(40, ports=[{"host": 8080, "container": 80}], ips=["10.244.1.77"])
    tap.is_(sandbox_of(d, 40)["ips"][0], "10.244.1.77", "fairlead-cni gives the address that was asked for")
    with open(f"{lab.folder}/fairlead/attachments/{sandbox}-eth0.json", encoding="utf-8") as file:
        record = file.read()
    tap.ok("8080" in record and "pod-40" in record, "and is told of host ports and the pod", record)
    d.good("sandbox_remove", id=sandbox)
    taken = []
    for i in range(20):
        begin = time.monotonic()
        sandbox = d.pod(41)
        d.running(sandbox, ["sleep", "100"])
        taken.append((time.monotonic() - begin) * 1e3)
        d.good("sandbox_remove", id=sandbox)
    tap.diag(f"sandbox, network, container created and started: {min(taken):.1f} ms at least, {sorted(taken)[10]:.1f} in the middle")
    lab.until(lambda: not os.listdir(f"{lab.folder}/fairlead/attachments"))
    tap.is_([n for n in os.listdir(f"{lab.folder}/fairlead/ipam") if n != "lock"], [], "its addresses are given back, too")
    agent.silent = True
    d.end()
    agent.close()


def many(lab, d):
    lab.network(bridge(lab))
    begin = time.monotonic()
    for half in range(2):
        answers = [d.wait(t) for t in [d.send("run", **lab.pod(300 + 100 * half + i)) for i in range(100)]]
        sandboxes = [a["id"] for a in answers]
        tap.is_([a["message"] for a in answers if a["result"]], [], "a hundred pods are plugged in")
        ips = {ip for s in d.ask("list")["sandboxes"] for ip in s["ips"]}
        tap.is_((len(ips), len(leases(lab))), (100, 100), "a hundred pods have a hundred addresses")
        results = [d.wait(t, 60)["result"] for t in [d.send("sandbox_remove", id=s) for s in sandboxes]]
        tap.is_(results, [0] * 100, "and go")
    tap.diag(f"200 pods came and went in {time.monotonic() - begin:.1f} s")


def story(lab):
    run("ip", "link", "set", "lo", "up")
    d = podlab.Driver(lab)
    plugged(lab, d)
    before = things(lab)
    for part in (ports_and_rates, configuration, failures):
        part(lab, d)
    for part in (hangs, killed, booted):
        d = part(lab, d)
    tap.is_(settled(lab, before), before, "nothing is left behind: no address, device, process, mount, namespace, group or file")
    many(lab, d)
    tap.is_(settled(lab, before), before, "nor after 200 pods")
    newest(lab, d)
    own(lab, d)


if __name__ == "__main__":
    podlab.main(story)

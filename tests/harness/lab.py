# SPDX-License-Identifier: Apache-2.0
"""A cluster in namespaces: nodes n1, n2, n3 with fairlead-agent, pods plugged by fairlead-cni, fairlead-apiserver, and a
client outside of the cluster, joined by a fabric that has no way out of the lab.

    with Lab() as lab:
        a, b = lab.pods(("n1", "a"), ("n2", "b"))
        web = lab.service("web")
        lab.endpoints(web, [b])
        answer = a.peer.tcp(web.ips[4], 80)

| | IPv4 | IPv6 |
|---|---|---|
| fabric: nodes n1..n3 are .11 to .13, the API server .2, the router .254 | 198.18.18.0/24 | fd10:18::/64 |
| pods of node N | 10.244.N.0/24 | fd10:244:0:N::/64 |
| services | 10.96.0.0/16 | fd10:96::/112 |
| the client, .10, behind the fabric's router | 198.51.100.0/24 | fd10:c::/64 |
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import lab_kernel
import tap
from apiserver import BUILD
from lab_objects import Service, endpoint_slices, node_object, service_object
from lab_place import HYBRID_MOUNTS, NODE_MOUNTS, Base, Peer, Place, cgroup2, end_cgroup

NODES = ("n1", "n2", "n3")
PATIENCE_S = float(os.environ.get("FL_PATIENCE_S", "20"))  # of a machine that has much else to do: only what fails takes so long
API, ROUTER = "198.18.18.2", "198.18.18.254"
SERVICES = {4: "10.96.0.0/16", 6: "fd10:96::/112"}
CLIENT = {4: "198.51.100.10", 6: "fd10:c::10"}
QUIET = """for c in all default; do echo 0 >/proc/sys/net/ipv6/conf/$c/accept_dad; done
ip link set lo up
"""
FORWARD = "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
PORTS = {"tcp": [8080, 8443], "udp": [8080, 5353]}  # what every pod serves


def requirements(*programs):
    """Skips the test where a lab cannot be. programs: other than a whole lab's."""
    if os.getuid() != 0:
        tap.skip_all("network namespaces and BPF need root")
    if not cgroup2():
        tap.skip_all("cgroup v2 is not mounted")
    for program in programs or ("fairlead-agent", "fairlead-cni", "fairlead-apiserver"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            tap.skip_all(f"{program} has not been built")


def until(condition, seconds=5.0):
    """The condition's first true value, or its last one, when neither it came in so many seconds nor in PATIENCE_S more."""
    end = time.monotonic() + seconds + PATIENCE_S
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


class Pod:
    """A process in a network namespace and cgroup of its own on a node, or in the node's (host_network). Attributes: name,
    node, ips {4: .., 6: ..}, peer, result (of CNI ADD)."""

    def __init__(self, node, name, host_network=False, capabilities=None, plug=True):
        self.node, self.name, self.host_network = node, name, host_network
        self.capabilities = capabilities or {}
        self.cgroup = os.path.join(node.cgroup, "kubepods", name)
        os.makedirs(self.cgroup, exist_ok=True)
        self.id = f"{name}-{node.lab.number()}"
        self.netns = f"/run/netns/{self.id}"
        self.ips, self.result, self.peer = {}, None, None
        if host_network:
            self.ips = dict(node.ips)
            self.start()
            self.serve(addresses=list(self.ips.values()))
            return
        node.run(["ip", "netns", "add", self.id])
        self.start(QUIET)
        self.serve()
        if plug:
            self.plug()

    def start(self, setup=""):
        """Its process, also after a power cut."""
        enter = [] if self.host_network else ["nsenter", f"--net={self.netns}"]
        script = ["sh", "-ec", setup + 'exec "$@"', "sh"] if setup else []
        self.peer = Peer(self.node.start_peer(self.cgroup, [*enter, *script], self.name))

    def serve(self, **options):
        answer = self.peer.serve(**PORTS, **options)
        if "error" in answer:
            raise RuntimeError(f"{self.name} cannot serve: {answer['error']}")

    def cni(self, command, check=True):
        """Calls fairlead-cni as a runtime would. Returns its result; with check=False (exit code, parsed output)."""
        config, version = self.node.cni_config()
        if self.result and command != "ADD":
            config = {**config, "prevResult": self.result}
        wanted = {k: v for k, v in self.capabilities.items() if config.get("capabilities", {}).get(k)}
        config = {**config, **({"runtimeConfig": wanted} if wanted else {})}
        words = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={self.name};K8S_POD_INFRA_CONTAINER_ID={self.id}"
        env = {"CNI_COMMAND": command, "CNI_CONTAINERID": self.id, "CNI_NETNS": self.netns, "CNI_IFNAME": "eth0",
               "CNI_PATH": BUILD, "CNI_ARGS": words}
        code, output, errors = self.node.run([os.path.join(BUILD, "fairlead-cni")], stdin=json.dumps(config), check=False,
                                             env=env)
        parsed = json.loads(output) if output.strip() else {}
        if check and code:
            raise RuntimeError(f"CNI {command} of {self.name} ({version}): exit code {code}: {output}{errors}")
        return parsed if check else (code, parsed)

    def plug(self):
        self.result = self.cni("ADD")
        self.ips = {6 if ":" in ip["address"] else 4: ip["address"].partition("/")[0] for ip in self.result["ips"]}

    def unplug(self):
        self.cni("DEL")
        self.result, self.ips = None, {}

    def remove(self):
        """As a runtime does: the process, the plug, the namespace."""
        self.peer.process.kill()
        self.peer.process.wait()
        if self.result:
            self.unplug()
        if not self.host_network:
            self.node.run(["ip", "netns", "delete", self.id])

    def run(self, argv, **options):
        return self.node.run(["nsenter", f"--net={self.netns}", *(argv.split() if isinstance(argv, str) else argv)],
                             cgroup=self.cgroup, **options)

    def start_program(self, argv, **options):
        """A program in the pod; a Popen."""
        return self.node.start(["nsenter", f"--net={self.netns}", *argv], cgroup=self.cgroup, **options)

    def host_side(self):
        """Name of its veth on the node."""
        return next(i["name"] for i in self.result["interfaces"] if not i.get("sandbox"))


class Node(Place):
    """A node. Attributes besides a Place's: number, ips, agent (a Popen or None), settings of its agent."""

    def __init__(self, lab, name):
        self.number = int(name[1:])
        self.ips = {4: f"198.18.18.{10 + self.number}", 6: f"fd10:18::{10 + self.number}"}
        mounts = (HYBRID_MOUNTS if self.number == 3 else NODE_MOUNTS).format(name=name)
        super().__init__(lab, name, "-n -m -u -i -C", mounts + QUIET + FORWARD)
        self.settings, self.program = {}, BUILD  # flags of its agent, and where that program is
        self.agent, self.log = None, os.path.join(lab.tmp, f"{name}.agent.log")

    def agent_argv(self, *words):
        settings = {"kubeconfig": os.path.join(self.lab.tmp, "api", "pki", f"agent-{self.name}.kubeconfig"),
                    "node-name": self.name, "cni-conf-dir": "/run/cni/net.d", "health-address": "0.0.0.0:10256",
                    "log-level": "debug" if os.environ.get("FL_DEBUG") else "info", **self.lab.settings, **self.settings}
        flags = [f"--{key}={value}" for key, value in settings.items()]
        return [os.path.join(self.program, "fairlead-agent"), *words, *flags]

    def start_agent(self):
        with open(self.log, "ab") as log:
            self.agent = self.start(self.agent_argv(), cgroup=self.system_cgroup(), stdout=log, stderr=log)

    def system_cgroup(self):
        path = os.path.join(self.cgroup, "system", "agent")
        os.makedirs(path, exist_ok=True)
        return path

    def kill_agent(self, number=signal.SIGKILL):
        """Returns its exit code."""
        self.agent.send_signal(number)
        return self.agent.wait(10 + PATIENCE_S)

    def cleanup_agent(self):
        """`fairlead-agent cleanup`."""
        return self.run(self.agent_argv("cleanup"), check=False)

    def agent_ready(self):
        """The conflist appears when the agent is ready."""
        if self.agent.poll() is not None:
            raise RuntimeError(f"the agent of {self.name} has ended with {self.agent.returncode}")
        return os.path.exists(self.inside("/run/cni/net.d/05-fairlead.conflist"))

    def inside(self, path):
        """A path of the node's own mounts, for the test."""
        return f"/proc/{self.pid}/root{path}"

    def cni_config(self):
        """The configuration that a runtime hands to the plugin, and its version."""
        with open(self.inside("/run/cni/net.d/05-fairlead.conflist"), encoding="utf-8") as file:
            conflist = json.load(file)
        plugin = next(p for p in conflist["plugins"] if p["type"] == "fairlead-cni")
        version = conflist["cniVersion"]
        return {"cniVersion": version, "name": conflist["name"], **plugin}, version

    def metrics(self):
        """{name{labels}: value}."""
        lines = (line.rpartition(" ") for line in self.get("/metrics")[1].splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines if name}

    @staticmethod
    def fairctl_argv(*words):
        return [os.path.join(BUILD, "fairctl"), *words]

    def fairctl(self, *words):
        return self.run(self.fairctl_argv(*words))

    def drops(self, reason):
        """Packets dropped or refused for it, so far, wherever."""
        return sum(int(row["packets"]) for row in json.loads(self.fairctl("drops", "-o", "json")) if row["reason"] == reason)

    def get_quietly(self, path):
        """The status, or None where nobody answers."""
        with contextlib.suppress(OSError):
            return self.get(path)[0]
        return None

    def get(self, path, port=10256, address="127.0.0.1", place=None):
        """(status, body) of an HTTP request to it from the node itself, or from a place."""
        with lab_kernel.in_netns((place or self).netns):
            connection = http.client.HTTPConnection(address, port, timeout=3)
            with contextlib.closing(connection):
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()


class Lab(Base):
    def __init__(self, nodes=NODES, agents=True, families=(4, 6), **settings):
        """settings: flags of the agents, _ for -. With agents=False none is started. families: of nodes, pods and services
        as the API knows them; the NICs have both."""
        self.started = time.monotonic()
        self.numbers, self.families = 0, families
        self.settings = {key.replace("_", "-"): str(value).lower() if isinstance(value, bool) else value
                         for key, value in settings.items()}
        self.names, self.agents = nodes, agents
        self.links, self.nodes = [], {}
        self.witness = lab_kernel.Witness()
        super().__init__()

    def number(self):
        self.numbers += 1
        return self.numbers

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that __exit__ runs
        try:
            self.make()
        except BaseException:
            self.show_logs()
            self.end()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            self.show_logs()
        if os.environ.get("FL_KEEP") and error is None and sys.stdin.isatty():
            input(f"the lab stays until you press return; its files are in {self.tmp} ")
        self.end()

    def end(self):
        super().end()
        for link in self.links:
            os.close(link)
        self.witness.close()

    def show_logs(self):
        for name in sorted(os.listdir(self.tmp)):
            if name.endswith(".log"):
                with open(os.path.join(self.tmp, name), encoding="utf-8", errors="replace") as file:
                    lines = file.readlines()[-15:]
                tap.diag(f"{name} ended so:\n  " + "  ".join(lines))

    # ---- making it

    def make(self):
        certificates = self.make_certificates()
        self.fabric = Place(self, "fabric", setup=QUIET + FORWARD)
        self.client = Place(self, "client", setup=QUIET)
        self.api = Place(self, "api", setup=QUIET)
        self.nodes = {name: Node(self, name) for name in self.names}
        for place in (self.fabric, self.client, self.api, *self.nodes.values()):
            place.ready()
        self.lay_cables()
        if certificates.wait(10):
            raise RuntimeError("fairctl pki init has failed: " + certificates.stderr.read())
        self.start_api()
        self.kubectl("create --validate=false -f -", stdin={"apiVersion": "v1", "kind": "List", "items": [
            node_object(n.name, n.number, n.ips, self.families) for n in self.nodes.values()]})
        if self.agents:
            self.start_agents()

    def start_agents(self):
        for node in self.nodes.values():
            node.start_agent()
        for node in self.nodes.values():
            if not until(node.agent_ready, 20):
                raise RuntimeError(f"the agent of {node.name} does not get ready")

    def lay_cables(self):
        self.fabric.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0\naddress add 198.18.18.254/24 dev br0\n"
                       "address add fd10:18::fe/64 dev br0 nodad\nlink set br0 up\n"
                       f"link add client type veth peer name eth0 netns {self.client.pid}\nlink set client up\n"
                       "address add 198.51.100.1/24 dev client\naddress add fd10:c::1/64 dev client nodad\n")
        self.client.ip("address add 198.51.100.10/24 dev eth0\naddress add fd10:c::10/64 dev eth0 nodad\nlink set eth0 up\n"
                       "route add default via 198.51.100.1\nroute add default via fd10:c::1\n")
        with lab_kernel.in_netns(self.client.netns):
            lab_kernel.whole_checksums("eth0")
        self.lay_cable(self.api, 2)
        for node in self.nodes.values():
            self.lay_cable(node, 10 + node.number)

    def lay_cable(self, place, number):
        """From a place's NIC to the fabric's bridge, without a driver's conveniences."""
        self.fabric.ip(f"link add {place.name} type veth peer name eth0 netns {place.pid}\nlink set {place.name} master br0 up\n")
        place.ip(f"address add 198.18.18.{number}/24 dev eth0\naddress add fd10:18::{number}/64 dev eth0 nodad\n"
                 "link set eth0 up\nroute add default via 198.18.18.254\nroute add default via fd10:18::fe\n")
        with lab_kernel.in_netns(place.netns):
            lab_kernel.whole_checksums("eth0")
        with lab_kernel.in_netns(self.fabric.netns):
            self.links.append(lab_kernel.xdp_pass(place.name))

    def reboot(self, name):
        """A node's processes, namespaces and devices go, and come new; its agent is started."""
        old = self.nodes[name]
        old.power_off()
        old.holder.kill()
        old.holder.wait()
        with contextlib.suppress(RuntimeError):  # its end goes with the namespace, sooner or later
            self.fabric.ip(f"link delete {name}\n")
        end_cgroup(old.cgroup)
        node = self.nodes[name] = Node(self, name).ready()
        self.lay_cable(node, 10 + node.number)
        node.start_agent()
        return node

    def make_certificates(self):
        words = [w for name in self.names for w in ("--node", name)]
        return subprocess.Popen([os.path.join(BUILD, "fairctl"), "pki", "init", os.path.join(self.tmp, "api", "pki"),
                                 "--server", f"https://{API}:6443", "--name", API, *words], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def start_api(self):
        with open(os.path.join(self.tmp, "apiserver.log"), "ab") as log:
            self.apiserver = self.api.start([os.path.join(BUILD, "fairlead-apiserver"), "--data-dir",
                                             os.path.join(self.tmp, "api"), "--bind-address", API,
                                             "--service-cluster-ip-range", ",".join(SERVICES[f] for f in self.families)],
                                            stdout=log, stderr=log)
        if not until(self.api_answers, 10):
            raise RuntimeError("fairlead-apiserver does not get ready")

    def api_answers(self):
        if self.apiserver.poll() is not None:
            raise RuntimeError(f"fairlead-apiserver has ended with {self.apiserver.returncode}")
        return self.kubectl("get --raw /readyz", check=False)[0] == 0

    # ---- using it

    def kubectl(self, words, stdin=None, check=True):
        """Output of the real kubectl, as administrator; stdin may be an object. check=False: (exit code, output, errors)."""
        argv = ["kubectl", "--kubeconfig", os.path.join(self.tmp, "api", "pki", "admin.kubeconfig"), "--cache-dir",
                os.path.join(self.tmp, "cache"), "--request-timeout=10s", *(words.split() if isinstance(words, str) else words)]
        if stdin is not None and not isinstance(stdin, str):
            stdin = json.dumps(stdin)
        return self.api.run(argv, stdin=stdin, check=check, env={"HOME": self.tmp})

    def apply(self, *objects):
        self.kubectl("apply --server-side --force-conflicts --validate=false -f -",
                     stdin={"apiVersion": "v1", "kind": "List", "items": list(objects)})

    def delete(self, kind, *names):
        self.kubectl(["delete", kind, *names, "--wait=false", "--ignore-not-found"])

    def pod(self, node, name, **options):
        return Pod(self.nodes[node], name, **options)

    def pods(self, *wanted):
        """Several (node, name[, options]) at once."""
        with ThreadPoolExecutor(len(wanted)) as pool:
            return list(pool.map(lambda w: self.pod(w[0], w[1], **(w[2] if len(w) > 2 else {})), wanted))

    def service(self, name, ports=None, annotations=None, labels=None, status=None, **spec):
        """Applies a dual-stack Service; returns what the API made of it. status: its loadBalancer IPs."""
        self.apply(service_object(name, ports, annotations, labels, spec))
        if status:
            self.balancer_status(name, status)
        return Service(json.loads(self.kubectl(["get", "service", name, "-o", "json"])))

    def balancer_status(self, name, ips):
        patch = {"status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}}
        self.kubectl(["patch", "service", name, "--subresource=status", "--type=merge", "-p", json.dumps(patch)])

    def services(self, *objects):
        """Several at once: {name: Service}."""
        self.apply(*objects)
        items = json.loads(self.kubectl("get services -o json"))["items"]
        return {item["metadata"]["name"]: Service(item) for item in items}

    def endpoints(self, service, pods, **options):
        """Applies the EndpointSlices of a Service, as the controller would. A pod may be a tuple (pod, {endpoint's fields})."""
        self.apply(*endpoint_slices(service.object, pods, **options))

    def all_endpoints(self, wanted):
        """Of several at once: {Service: pods}."""
        self.apply(*(s for service, pods in wanted.items() for s in endpoint_slices(service.object, pods)))

    def route_to(self, node, *addresses):
        """The fabric's router sends these to the node of that name (load balancer IPs, external IPs)."""
        ips = self.nodes[node].ips
        self.fabric.ip("".join(f"route replace {ip} via {ips[6 if ':' in ip else 4]}\n" for ip in addresses))

    def settled(self, place, to, port, want, proto="tcp", seconds=5, **options):
        """Waits until a client gets an answer that `want` accepts; returns the last one. For changes on their way."""
        def ask():
            answer = getattr(place.peer, proto)(to, port, **{"timeout": 1, **options})
            last.append(answer)
            return want(answer)
        last = []
        until(ask, seconds)
        return last[-1]

    # ---- what holds for every lab

    def check_no_way_out(self):
        """Only the lab's own places are reachable from it, and nothing of it was seen on this machine's own interfaces."""
        places = (self.fabric, self.api, self.client, *self.nodes.values())
        default = {}
        for place in places:
            text = place.run("ip route show default") + place.run("ip -6 route show default")
            gateways = {w for line in text.splitlines() for w, v in zip(line.split()[1:], line.split()) if v == "via"}
            default[place.name] = gateways - {ROUTER, "fd10:18::fe", "198.51.100.1", "fd10:c::1"}
        tap.is_({k: v for k, v in default.items() if v}, {}, "no default route leaves the lab")
        tap.is_(self.fabric.run("ip route show default") + self.fabric.run("ip -6 route show default"), "",
                "its router has no way out")
        tap.is_(self.witness.count(), {}, "nothing of the lab was seen on this machine's own interfaces")

    def check_no_packet_filter(self):
        """Neither rules nor tracked connections on any node."""
        for node in self.nodes.values():
            with lab_kernel.in_netns(node.netns):
                rules = lab_kernel.packet_filter_rules()
            tap.is_(rules, [], f"{node.name} has no iptables or nftables rules")
            count = node.run("cat /proc/sys/net/netfilter/nf_conntrack_count", check=False)
            tap.ok(count[0] or count[1].strip() == "0", f"{node.name} tracks no connections", count)

    def story(self, tell, *arguments):
        """A story that breaks off is one failure, and the others go on."""
        try:
            tell(self, *arguments)
        except Exception:  # pylint: disable=broad-except
            tap.not_ok(f"the story `{tell.__name__}` goes to its end", traceback.format_exc())

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""What kubectl asks of a node through the API server: logs, exec, attach, cp, port-forward, run, debug; by versions of
kubectl that speak SPDY (before 1.30) and WebSocket, and by Python's client."""

import glob
import hashlib
import http.client
import json
import os
import pty
import re
import select
import shlex
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubectl as kubectl_module
import kubelab
import tap
from kubelab import container, pod

SHELL = ("sh", "-c")
VERSIONS = ("1.27", "1.30", "1.33")  # SPDY; WebSockets by wish; WebSockets
STAY = "trap exit TERM; sleep 3600 & wait"
HELLO = "mkdir -p /tmp/www; echo hello from the pod > /tmp/www/index.html; "


def sh(script, name="c", **fields):
    return container(name, (*SHELL, script), **fields)


class Terminal:
    """A kubectl at a terminal."""

    def __init__(self, kubectl, words, rows=33, columns=101):
        self.master, slave = pty.openpty()
        subprocess.run(["stty", "rows", str(rows), "columns", str(columns)], stdin=slave, check=True)
        self.process = subprocess.Popen([kubectl.path, *shlex.split(words)], stdin=slave, stdout=slave, stderr=slave,
                                        env=kubectl.env, start_new_session=True)
        os.close(slave)
        self.text = ""

    def until(self, pattern, seconds=10):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            if not ready:
                return False
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                return re.search(pattern, self.text) is not None
        return True

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, seconds=10):
        self.until("$^", 0.2)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        os.close(self.master)
        return code


def raw(kubectl, words, data=b"", seconds=60):
    return subprocess.run([kubectl.path, *shlex.split(words)], input=data, capture_output=True, env=kubectl.env, timeout=seconds, check=False)


def make_pods(k):
    k.apply(pod("web", sh(HELLO + "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2; exec httpd -f -p 80 -h /tmp/www")),
            pod("two", sh("echo from a; " + STAY, "a"), sh("echo from b; exec sleep 1234", "b"), shareProcessNamespace=True),
            pod("shell", container(argv=("sh",), tty=True, stdin=True)),
            pod("cat", container(argv=("cat",), stdin=True, stdinOnce=True), restartPolicy="Never"),
            pod("crash", sh("echo this is the end; exit 1")),
            pod("absent", {"name": "c", "image": "127.0.0.1:1/absent:1"}),
            pod("talk", sh("i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done")))
    for name in ("web", "two", "shell", "cat", "talk"):
        k.wait(lambda name=name: k.is_ready(name), 15, f"{name} is ready")


def some_logs(k, kubectl):
    kubectl.want("logs web", "line 1\nline 2\nline 3\nline 4\nline 5\nbad\n")
    kubectl.want("logs web --tail=2", "line 5\nbad\n")
    kubectl.want("logs web --tail=0", "")
    kubectl.want("logs web --limit-bytes=9", "line 1\nli")
    kubectl.want("logs web --since=1h --tail=1", "bad\n")
    kubectl.like("logs web --timestamps --tail=1", r"^(TIME|\d{4}\S+Z) bad$")
    kubectl.like("logs two --all-containers --prefix", r"(?=.*\[pod/two/a\] from a)(?=.*\[pod/two/b\] from b)")
    kubectl.like("logs crash --previous", "this is the end")
    kubectl.fails("logs web --previous", 'previous terminated container "c" in pod "web" not found')
    kubectl.fails("logs absent", 'container "c" in pod "absent" is waiting to start: (trying and failing to pull image|image can\'t be pulled|RegistryUnavailable)')
    kubectl.fails("logs web -c nope", "container nope is not valid for pod web|container nope not found")


def old_logs(kubectl):
    time.sleep(1.2)
    kubectl.want("logs web --since=1s", "")


def followed_logs(k, kubectl):
    follower = kubectl.start("logs talk -f --tail=1")
    lines = [follower.stdout.readline() for _ in range(8)]
    first = int(lines[0].split()[1])
    tap.is_(lines, [f"tick {first + i}\n" for i in range(8)], f"{kubectl.name}: who follows misses nothing and hears nothing twice")
    follower.send_signal(signal.SIGTERM)
    follower.wait(5)
    k.apply(pod("brief", sh("for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.1; done"), restartPolicy="Never"))
    k.until(lambda: k.phase("brief") in ("Running", "Succeeded"), 10)
    begin = time.monotonic()
    code, out, errors = kubectl.run("logs brief -f")
    tap.ok(code == 0 and out == "".join(f"{i}\n" for i in range(1, 10)) and time.monotonic() - begin < 5,
           f"{kubectl.name}: following ends with the container", (code, out, errors))
    flood = "i=0; while [ $i -lt 6000 ]; do echo $i %s; i=$((i+1)); done" % ("x" * 80)
    k.apply(pod("flood", sh("sleep 1; " + flood), restartPolicy="Never"))
    k.until(lambda: k.phase("flood") in ("Running", "Succeeded"), 10)
    out = kubectl.run("logs flood -f")[1]
    tap.is_([line.split()[0] for line in out.splitlines()], [str(i) for i in range(6000)], f"{kubectl.name}: who follows goes along with rotation")
    files = os.listdir(glob.glob(k.path("log/default_flood_*/c"))[0])
    tap.ok(len(files) > 3, "of which there was some", files)
    k.delete("flood")
    k.delete("brief")
    k.until(lambda: k.gone("brief"), 10)


def commands(kubectl):
    name = kubectl.name
    kubectl.want("exec web -- echo hello", "hello\n")
    kubectl.want(["exec", "web", "--", "sh", "-c", "echo $0 \"$1\" & wait", "a b", "ö&=+%"], "a b ö&=+%\n")
    code, out, errors = kubectl.run(["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7"])
    tap.is_((code, out), (7, "out\n"), f"{name}: the exit code of a command is kubectl's")
    tap.ok("err\n" in errors and "exit code 7" in errors, f"{name}: error output is told apart", errors)
    tap.is_(kubectl.run("exec -i web -- cat", stdin="from here")[:2], (0, "from here"), f"{name}: the end of input is passed on")
    kubectl.fails("exec web -- no-such-command", "no-such-command")
    kubectl.fails("exec web -c nope -- true", "container (nope is not valid for pod web|not found)")
    data = os.urandom(5 << 20)
    done = raw(kubectl, "exec -i web -- cat", data)
    tap.ok(done.returncode == 0 and done.stdout == data, f"{name}: 5 MiB go in and come out as they were",
           (done.returncode, len(done.stdout), done.stderr))
    done = raw(kubectl, "exec web -- sh -c 'head -c 10000000 /dev/zero; echo end >&2; exit 3'")
    tap.is_((done.returncode, len(done.stdout)), (3, 10000000), f"{name}: all output comes before the exit code")


def terminals(kubectl):
    t = Terminal(kubectl, "exec -it web -- sh")
    t.type("stty size; tty; echo $TERM\n")
    tap.ok(t.until(r"33 101\r\n") and t.until(r"/dev/pts/\d+\r\nxterm"), f"{kubectl.name}: a terminal has the size of ours", t.text)
    t.type("sleep 100\n")
    t.until("sleep 100")
    time.sleep(0.2)
    t.type("\x03")
    t.type("exit 5\n")
    tap.is_(t.end(), 5, f"{kubectl.name}: Ctrl-C reaches the command, and the shell's exit code comes back")


def attached(kubectl):
    t = Terminal(kubectl, "attach -it shell")
    time.sleep(0.3)
    t.type("\necho at$((40+2))\n")
    tap.ok(t.until("at42"), f"{kubectl.name}: attach -it speaks with the container's shell", t.text)
    second = Terminal(kubectl, "attach -it shell")
    time.sleep(0.5)
    second.type("echo both$((1+1))\n")
    tap.ok(second.until("both2") and t.until("both2"), f"{kubectl.name}: two who are attached hear the same", (t.text, second.text))
    for one in (t, second):
        one.process.terminate()
        one.end()


def copies(kubectl, folder):
    data = os.urandom(20 << 20)
    there, back = f"{folder}/there", f"{folder}/back-{kubectl.name}"
    with open(there, "wb") as file:
        file.write(data)
    begin = time.monotonic()
    one = raw(kubectl, f"cp {there} web:/tmp/copied")
    middle = time.monotonic()
    two = raw(kubectl, f"cp web:/tmp/copied {back}")
    end = time.monotonic()
    got = open(back, "rb").read() if os.path.exists(back) else b""
    tap.ok(one.returncode == 0 and two.returncode == 0 and hashlib.sha256(got).digest() == hashlib.sha256(data).digest(),
           f"{kubectl.name}: cp brings 20 MiB there and back", (one, two.returncode, two.stderr, len(got)))
    tap.diag(f"{kubectl.name}: cp of 20 MiB: there {middle - begin:.2f} s, back {end - middle:.2f} s")


def forwarded(kubectl):
    forward = kubectl.start("port-forward --address 127.0.0.1 pod/web :80 :81")
    ports = [int(re.search(r"127.0.0.1:(\d+) -> (80|81)", forward.stdout.readline()).group(1)) for _ in range(2)]
    url = f"http://127.0.0.1:{ports[0]}/"
    answers = [urllib.request.urlopen(url, timeout=10).read() for _ in range(10)]
    tap.is_(set(answers), {b"hello from the pod\n"}, f"{kubectl.name}: port-forward, ten connections")
    many = [subprocess.Popen(["curl", "-s", url], stdout=subprocess.PIPE) for _ in range(8)]
    tap.is_({p.communicate()[0] for p in many}, {b"hello from the pod\n"}, f"{kubectl.name}: and eight at a time")
    closed = subprocess.run(["curl", "-s", "-m", "10", f"http://127.0.0.1:{ports[1]}/"], check=False)
    tap.ok(closed.returncode not in (0, 28), f"{kubectl.name}: a port that nobody listens at ends the connection", closed)
    forward.terminate()
    said = forward.communicate()[0]
    tap.like(said, r"error forwarding port 81 to pod web, uid .*: failed to connect to localhost:81 .*connection refused",
             f"{kubectl.name}: and kubectl says why")


def runs(k, kubectl):
    """run -it, attach with an input that ends, and debug."""
    name = kubectl.name
    done = raw(kubectl, "attach -i cat", b"said once\n")
    tap.is_((done.returncode, done.stdout), (0, b"said once\n"), f"{name}: attach -i: what is said comes back")
    k.wait(lambda: k.phase("cat") == "Succeeded", 10, f"{name}: and the container's input ended with it (stdinOnce)")
    t = Terminal(kubectl, f"run once --image={kubelab.IMAGE} --restart=Never --rm -it -- sh")
    time.sleep(0.5)
    t.until("#|command prompt", 15)
    t.type("\n")
    t.until("#")
    t.type("echo in$((1+1))\nexit 4\n")
    tap.ok(t.until("in2"), f"{name}: run --rm -it has a shell", t.text)
    tap.is_(t.end(), 4, f"{name}: whose exit code is kubectl's")
    k.until(lambda: k.gone("once"), 10)
    t = Terminal(kubectl, f"debug -it two --image={kubelab.IMAGE} --target=b -- sh")
    t.until("#|command prompt", 15)
    t.type("\n")
    t.until("#")
    t.type("ps; exit\n")
    tap.ok(t.until("sleep 1234"), f"{name}: debug --target sees the container's processes", t.text)
    t.end()


def abandoned(kubectl):
    """A command ends with who asked for it."""
    asked = subprocess.Popen([kubectl.path, "exec", "-i", "web", "--", "sh", "-c", "sleep 4321; true"], stdin=subprocess.PIPE,
                             env=kubectl.env)
    seen = "ps | grep -q '[s]leep 4321'"
    raw(kubectl, f"exec web -- sh -c \"for i in 1 2 3 4 5 6 7 8 9; do {seen} && break; sleep 0.2; done\"")
    asked.kill()
    asked.wait()
    left = raw(kubectl, f"exec web -- sh -c \"for i in 1 2 3 4 5 6 7 8 9; do {seen} || exit 0; sleep 0.2; done; exit 1\"")
    tap.is_(left.returncode, 0, f"{kubectl.name}: who is gone leaves no command behind")


def slow_ones(k, kubectl):
    """Who takes nothing, and a command that takes nothing: neither costs memory, nor keeps others waiting."""
    before = k.lab.rss(k.kubelet.pid)
    with open("/dev/zero", "rb") as zeros:
        some = [subprocess.Popen([kubectl.path, "exec", "web", "--", "cat", "/dev/zero"], stdout=subprocess.PIPE, env=kubectl.env),
                subprocess.Popen([kubectl.path, "exec", "-i", "web", "--", "sleep", "1000"], stdin=zeros, env=kubectl.env)]
    time.sleep(1.5)
    kubectl.want("exec web -- echo at once", "at once\n")
    grown = k.lab.rss(k.kubelet.pid) - before
    for one in some:
        one.kill()
        one.wait()
    some[0].stdout.close()
    tap.ok(grown < 4096, f"{kubectl.name}: slow clients and deaf commands take no memory", f"{grown} KiB")


def by_python(k):
    """v4.channel.k8s.io, as Python's client speaks it."""
    try:
        from kubernetes import client, config
        from kubernetes.stream import portforward, stream
    except ImportError:
        tap.skip("Python's client speaks with pods", "python3-kubernetes is not installed")
        return
    config.load_kube_config(k.server.kubeconfig)
    api = client.CoreV1Api()
    tap.is_(stream(api.connect_get_namespaced_pod_exec, "web", "default", command=["echo", "by v4"], stdout=True, stderr=True),
            "by v4\n", "Python: exec")
    s = stream(api.connect_get_namespaced_pod_exec, "web", "default", command=["sh"], stdin=True, stdout=True, stderr=True,
               _preload_content=False)
    s.write_stdin("echo out; echo err >&2; exit 6\n")
    s.run_forever(timeout=10)
    tap.is_((s.read_stdout(), s.read_stderr(), s.returncode), ("out\n", "err\n", 6), "Python: input, both outputs and the exit code")
    forward = portforward(api.connect_get_namespaced_pod_portforward, "web", "default", ports="80")
    socket = forward.socket(80)
    socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
    socket.settimeout(10)
    answer = b""
    while b"hello from the pod" not in answer:
        piece = socket.recv(4096)
        if not piece:
            break
        answer += piece
    tap.ok(b"hello from the pod\n" in answer, "Python: port-forward", answer)


def figures(k, kubectl):
    node = f"/api/v1/nodes/{kubelab.NODE}/proxy"
    text = kubectl.run(f"get --raw {node}/metrics/resource")[1]
    cpu = re.search(r'^container_cpu_usage_seconds_total\{container="c",namespace="default",pod="talk"\} ([0-9.]+) (\d{13})$', text, re.M)
    tap.ok(cpu and 0 < float(cpu.group(1)) < 60 and abs(int(cpu.group(2)) / 1000 - time.time()) < 60,
           "/metrics/resource: what a container's processor did, and when", text[:2000])
    tap.ok(all(re.search(f"^{name}(\\{{.*\\}})? [0-9.]+ \\d{{13}}$", text, re.M) for name in (
        "container_memory_working_set_bytes", "pod_cpu_usage_seconds_total", "pod_memory_working_set_bytes", "node_cpu_usage_seconds_total",
        "node_memory_working_set_bytes")), "memory, pods and the node, too", text[:2000])
    first = json.loads(kubectl.run(f"get --raw {node}/stats/summary")[1])
    time.sleep(1.1)
    second = json.loads(kubectl.run(f"get --raw {node}/stats/summary")[1])
    talk = next(p for p in second["pods"] if p["podRef"]["name"] == "talk")
    tap.ok(first["node"]["nodeName"] == kubelab.NODE and 0 < talk["containers"][0]["cpu"]["usageNanoCores"] < 2e9 and
           talk["memory"]["workingSetBytes"] > 0, "/stats/summary: with rates the second time", second)
    pods = json.loads(kubectl.run(f"get --raw {node}/pods")[1])
    tap.ok(pods["kind"] == "PodList" and {"web", "talk"} <= {p["metadata"]["name"] for p in pods["items"] if p["status"]["phase"] == "Running"},
           "/pods: the pods as the kubelet has them")
    running = json.loads(kubectl.run(f"get --raw {node}/runningpods")[1])
    tap.ok("cat" not in {p["metadata"]["name"] for p in running["items"]}, "/runningpods: those that run something")
    tap.is_(kubectl.run(f"get --raw {node}/healthz")[1], "ok", "/healthz")
    kubectl.fails(f"get --raw {node}/logs/", "not find|NotFound|404")
    bare = subprocess.run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"https://{kubelab.NODE_IP}:10250/pods"],
                          capture_output=True, text=True, check=False)
    tap.is_(bare.stdout, "401", "who shows no certificate is refused")


class Askers:
    """Clients that ask the kubelet one thing after the other, as the API server, until it is gone."""

    def __init__(self, k, count):
        pki = os.path.join(k.server.data, "pki")
        self.context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
        self.context.check_hostname = False
        self.context.load_cert_chain(f"{pki}/apiserver-kubelet-client.crt", f"{pki}/apiserver-kubelet-client.key")
        self.answers = []
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        try:
            connection = http.client.HTTPSConnection(kubelab.NODE_IP, 10250, context=self.context, timeout=10)
            while True:
                connection.request("GET", "/pods")
                answer = connection.getresponse()
                answer.read()
                self.answers.append(answer.status)
        except (OSError, http.client.HTTPException) as error:
            self.answers.append(type(error).__name__)


def ends_under_load(k, kubectl):
    """The kubelet is told to end while logs are followed and many ask: it ends, and nobody waits for an answer."""
    for attempt in range(3):
        follower = kubectl.start("logs talk -f --tail=1")
        follower.stdout.readline()
        askers = Askers(k, 16)
        k.until(lambda askers=askers: askers.answers.count(200) > 100, 10)
        begin = time.monotonic()
        code = k.kubelet.stop()
        took = time.monotonic() - begin
        for thread in askers.threads:
            thread.join(5)
        tap.ok(code == 0 and took < 5, f"the kubelet ends under load within 5 s ({attempt + 1})", f"exit code {code} after {took:.2f} s")
        tap.ok(not any(t.is_alive() for t in askers.threads) and "TimeoutError" not in askers.answers and
               set(a for a in askers.answers if isinstance(a, int)) <= {200, 503}, "and nobody waits for an answer", set(askers.answers))
        follower.kill()
        follower.wait()
        k.kubelet.start()


def held_open(k):
    """Pipes, terminals and namespaces that the kubelet has open."""
    folder = f"/proc/{k.kubelet.pid}/fd"
    found = []
    for fd in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{fd}"))
        except FileNotFoundError:
            continue
    return sorted(f for f in found if f.startswith(("pipe:", "/dev/pt", "net:", "/proc")))


def story(k):
    make_pods(k)
    before = set(held_open(k))
    there = {name for name, _ in kubectl_module.programs()[0]}
    versions = [k.kubectl(v) for v in VERSIONS if v in there]
    tap.ok(versions, "there is a kubectl to ask with", there)
    for kubectl in versions[1:-1]:
        kubectl.want("exec -i web -- cat", "an input\n", stdin="an input\n")
        forwarded(kubectl)
    for kubectl in (versions[0], versions[-1]):
        commands(kubectl)
        forwarded(kubectl)
        some_logs(k, kubectl)
        terminals(kubectl)
        attached(kubectl)
        copies(kubectl, k.lab.folder)
        abandoned(kubectl)
        slow_ones(k, kubectl)
    followed_logs(k, versions[-1])
    runs(k, versions[-1])
    by_python(k)
    figures(k, versions[-1])
    old_logs(versions[-1])
    k.wait(lambda: set(held_open(k)) <= before, 5, "the kubelet has nothing open of it all")
    ends_under_load(k, versions[-1])


if __name__ == "__main__":
    kubelab.main(story, kubelet_args=("--container-log-max-size=100Ki", "--container-log-max-files=10"))

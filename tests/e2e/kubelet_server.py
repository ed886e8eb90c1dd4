#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""What kubectl asks of a node through the API server: logs, exec, attach, cp, port-forward, run, debug; by versions of
kubectl that speak SPDY (before 1.30) and WebSocket, and by Python's client."""

import hashlib
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubelab
import tap
from kubelab import container, pod

SHELL = ("sh", "-c")
VERSIONS = ("1.27", "1.30", "1.33")  # SPDY; WebSockets by wish; WebSockets
STAY = "trap exit TERM; while :; do sleep 0.05; done"
HELLO = "mkdir -p /tmp/www; echo hello from the pod > /tmp/www/index.html; "


def sh(script, name="c", **fields):
    return container(name, (*SHELL, script), **fields)


class Terminal:
    """A kubectl at a terminal."""

    def __init__(self, kubectl, words, rows=33, columns=101):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (rows, columns)) if hasattr(termios, "tcsetwinsize") else None
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
    k.apply(pod("web", sh(HELLO + "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2; exec httpd -f -p 80 -h /tmp/www"),
                shareProcessNamespace=False),
            pod("two", sh("echo from a; " + STAY, "a"), sh("echo from b; " + STAY, "b")),
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
    kubectl.fails("logs absent", 'container "c" in pod "absent" is waiting to start: (trying and failing to pull image|image can\'t be pulled)')
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


def story(k):
    make_pods(k)
    for version in VERSIONS:
        kubectl = k.kubectl(version)
        some_logs(k, kubectl)
        followed_logs(k, kubectl)
        commands(kubectl)
        terminals(kubectl)
        attached(kubectl)
        copies(kubectl, k.lab.folder)
        forwarded(kubectl)
    old_logs(kubectl)


if __name__ == "__main__":
    kubelab.main(story)

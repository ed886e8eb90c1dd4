#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""The kubelet's built-in runtime: sandboxes and containers from beginning to end, with crun and the shim."""

import errno
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import podlab  # noqa: E402
import tap  # noqa: E402


def first_container(lab, d):
    sandbox = d.pod(1)
    c = d.container(sandbox, ["sh", "-c", "echo out; echo err >&2; id; exit 7"])
    tap.is_(d.status(c)["state"], "created", "a container that was created does not run")
    d.good("start", id=c)
    status = d.until(c, "exited")
    tap.is_((status["code"], status["signal"], status["oom"]), (7, 0, False), "its exit code comes back")
    log = lab.log(1)
    tap.like(log, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F out$", "output is a CRI log line")
    tap.like(log, r"^\S+Z stderr F err$", "error output is told apart")
    d.good("sandbox_remove", id=sandbox)


def isolation(lab, d):
    sandbox = d.pod(2)
    script = ("hostname; cat /etc/resolv.conf; id -u; id -g; id -G; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; "
              "mount -t tmpfs x /tmp 2>&1; cat /proc/kcore 2>&1 | head -c1 | wc -c; mknod /tmp/d b 8 0 && cat /tmp/d 2>&1; "
              "ls -d /proc/[0-9]* | wc -l; unshare -U true 2>&1; echo 1 2>&1 >/proc/sys/vm/swappiness")
    c = d.running(sandbox, ["sh", "-c", script])
    d.until(c, "exited")
    out = [line.split(" ", 3)[3] for line in lab.log(2).splitlines()]
    tap.is_(out[:5], ["pod-2", "nameserver 127.0.0.1", "0", "0", "0"], "hostname, resolv.conf and root's numbers")
    tap.is_([line.split()[1] for line in out[5:8]], ["00000000a80425fb", "1", "2"],
            "the default capabilities, no new privileges, and a seccomp filter")
    tap.like("\n".join(out), r"mount: .*(not permitted|denied)", "it may not mount")
    tap.like("\n".join(out), r"'?/tmp/d'?: Operation not permitted", "a device of the node that it makes itself cannot be opened")
    tap.like("\n".join(out), r"unshare.*not permitted", "nor make a user namespace")
    app = d.running(sandbox, ["sh", "-c", "id; grep Seccomp: /proc/self/status; unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; sleep 100"],
                    userName="app", log="app/0.log")
    filtered = d.good("exec_sync", id=app, argv=["sh", "-c", "grep Seccomp: /proc/self/status; unshare -U true 2>&1"])["output"]
    tap.like(filtered, r"Seccomp:\s2\nunshare.*not permitted", "a command that is executed is fenced in alike")
    lab.until(lambda: "mount:" in lab.log(2, "app/0.log"))
    d.good("stop", id=app)
    tap.like(lab.log(2, "app/0.log"), r"F Seccomp:\s2\n.*unshare.*not permitted", "the second container's filter is as the first one's")
    tap.like(lab.log(2, "app/0.log"), r"F uid=1234\(app\) gid=55 groups=55,77\(extra\)$",
             "the image's user is looked up in the image")
    bad = d.ask("create", sandbox=sandbox, image=lab.image, argv=["true"], userName="nobody-here", log="n/0.log")
    tap.ok(bad["result"] < 0 and "nobody-here" in bad["message"], "a user that the image does not have is named", bad)
    bad = d.ask("create", sandbox=sandbox, image=lab.image, argv=["/no/such"], log="n/0.log")
    tap.ok(bad["result"] < 0 and "/no/such" in bad["message"], "so is a command that it does not have", bad)
    bad = d.ask("create", sandbox=sandbox, image="/nowhere", argv=["true"], log="n/0.log")
    tap.ok(bad["result"] < 0 and "/nowhere" in bad["message"], "and an image that is not there", bad)
    bad = d.ask("create", sandbox=sandbox, image=lab.image, argv=["true"], mounts=[{"source": "/tmp", "target": "/a/../b"}])
    tap.ok(bad["result"] < 0 and "/a/../b" in bad["message"], "a target with .. is refused", bad)
    tap.is_(len(d.ask("list", uid="uid-2")["containers"]), 2, "nothing of them is left in the list")
    d.good("sandbox_remove", id=sandbox)


def ends(lab, d):
    sandbox = d.pod(3)
    oom = d.running(sandbox, ["sh", "-c", "tail /dev/zero"], memory=32 << 20, log="oom/0.log")
    trap = d.running(sandbox, ["sh", "-c", "trap 'echo bye; exit 3' TERM; while :; do sleep 0.05; done"], log="trap/0.log")
    deaf = d.running(sandbox, ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"], log="deaf/0.log")
    d.good("stop", id=trap, grace=10000)
    status = d.status(trap)
    tap.is_((status["state"], status["code"]), ("exited", 3), "TERM comes first, and the container ends in its own way")
    answer = d.good("stop", id=deaf, grace=300)
    tap.ok(280000 < answer["us"] < 3000000, "KILL comes after the grace", answer)
    status = d.status(deaf)
    tap.is_((status["code"], status["signal"]), (137, 9), "and is told")
    status = d.until(oom, "exited", 30)
    tap.is_((status["code"], status["oom"]), (137, True), "who takes more memory than its limit is OOM killed, and that is told")
    again = d.ask("start", id=oom)
    tap.ok(again["result"] < 0, "a container is started once", again)
    bomb = d.running(sandbox, ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 100 & done; wait"],
                     pids=10, log="bomb/0.log")
    status = d.until(bomb, "exited")
    tap.ok(status["code"] != 0, "who forks more than its limit is refused", status)
    d.good("sandbox_stop", id=sandbox)
    d.good("sandbox_stop", id=sandbox)
    d.good("sandbox_remove", id=sandbox)
    d.good("sandbox_remove", id=sandbox)
    tap.ok(True, "stopping and removing twice is fine")


def whole_pods(lab, d):
    """Limits of a pod hold for containers that have none of their own."""
    sandbox = d.pod(9, memory=48 << 20, pids=20)
    oom = d.running(sandbox, ["sh", "-c", "tail /dev/zero"], log="oom/0.log")
    status = d.until(oom, "exited", 30)
    tap.is_((status["code"], status["oom"]), (137, True), "a pod's memory limit holds for a container without one, and the kill is told")
    well = d.running(sandbox, ["sh", "-c", "exit 3"], log="well/0.log")
    tap.is_([d.until(well, "exited")[k] for k in ("code", "oom")], [3, False], "but not of its neighbour")
    forks = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 100 & done; wait"
    bomb = d.running(sandbox, ["sh", "-c", forks], log="bomb/0.log")
    tap.ok(d.until(bomb, "exited")["code"], "so does its limit of processes")
    d.good("sandbox_remove", id=sandbox)


def devices(lab, d):
    sandbox = d.pod(10)
    look = "ls -l /dev/kmsg /dev/full | cut -c1; for i in kmsg full; do dd if=/dev/$i of=/dev/null bs=8192 count=1 2>&1 | grep -c denied; done"
    all_of = d.running(sandbox, ["sh", "-c", look], privileged=True, log="all/0.log")
    one = d.running(sandbox, ["sh", "-c", look.replace("/dev/full", "/dev/kmsg")], devices=["/dev/kmsg"], log="one/0.log")
    none = d.running(sandbox, ["sh", "-c", "ls /dev/kmsg"], log="none/0.log")
    tap.is_([d.until(c, "exited")["code"] for c in (all_of, one, none)], [1, 1, 1], "containers that look at devices end")
    said = {name: [line.split(" ", 3)[3] for line in lab.log(10, f"{name}/0.log").splitlines()] for name in ("all", "one", "none")}
    tap.is_(said["all"], ["c", "c", "0", "0"], "a privileged container has the node's devices")
    tap.is_(said["one"], ["c", "c", "0", "0"], "another one those that it names")
    tap.like(said["none"][0], "No such file", "or none")
    bad = d.ask("create", sandbox=sandbox, image=lab.image, argv=["true"], devices=["/etc/passwd"], log="n/0.log")
    tap.ok(bad["result"] < 0 and "/etc/passwd is no device" in bad["message"], "what is no device is refused", bad)
    d.good("sandbox_remove", id=sandbox)


def talks(lab, d):
    sandbox = d.pod(4)
    c = d.running(sandbox, ["sleep", "100"])
    answer = d.good("exec_sync", id=c, argv=["sh", "-c", "echo $HOSTNAME; echo bad >&2; exit 4"])
    tap.is_((answer["code"], answer["output"]), (4, "pod-4\nbad\n"), "exec_sync brings code and both outputs")
    answer = d.good("exec_sync", id=c, argv=["sh", "-c", "sleep 50"], timeout=200)
    tap.ok(answer["timedOut"] and answer["us"] < 5e6, "a command that takes too long is ended", answer)
    left = d.good("exec_sync", id=c, argv=["sh", "-c", "ps | grep -c 'sleep [5]0'"])
    tap.is_(left["output"].strip(), "0", "and nothing of it goes on in the container")
    answer = d.good("exec", id=c, argv=["sh", "-c", "cat > /tmp/in"], input="streamed\n")
    answer = d.good("exec_sync", id=c, argv=["cat", "/tmp/in"])
    tap.is_(answer["output"], "streamed\n", "exec takes its input as a stream")
    answer = d.good("exec", id=c, argv=["sh", "-c", "echo out; echo err >&2; exit 9"])
    tap.is_((answer["code"], answer["output"]), (9, "out\nerr\n"), "what was said before the end is told, and the code")
    answer = d.good("exec", id=c, argv=["no-such-command"])
    tap.ok(answer["code"] and "no-such-command" in answer["output"], "a command that is not there is named", answer)
    terminals(d, c)
    answer = d.ask("exec_sync", id="0" * 64, argv=["true"])
    tap.ok(answer["result"] < 0, "in no container there is no exec")
    usage = d.good("usage", id=c)
    tap.ok(usage["cpu"] > 0 and usage["memory"] > 0, "what it uses is told", usage)
    echo = d.running(sandbox, ["sh", "-c", "read x; echo got $x"], stdin=True, once=True, log="echo/0.log")
    answer = d.good("attach", id=echo, input="hello\n")
    tap.is_(answer["output"], "got hello\n", "who is attached speaks and hears")
    tty = d.running(sandbox, ["sh", "-c", "tty; read x; echo got $x; stty size"], tty=True, stdin=True, log="tty/0.log")
    d.good("attach", id=tty, input="line\n")
    d.until(tty, "exited")
    tap.like(lab.log(4, "tty/0.log"), r"stdout F /dev/pts/0\r$", "a terminal is one")
    tap.like(lab.log(4, "tty/0.log"), r"stdout F got line\r$", "and takes input")
    d.good("sandbox_remove", id=sandbox)


def alike(lab, d):
    """A command has the user, folder and privileges of the container that it runs in, with a terminal and without."""
    sandbox = d.pod(11)
    c = d.running(sandbox, ["sleep", "100"], user=1000, group=1001, groups=[2000, 2001], cwd="/tmp", oom=500)
    who = ["sh", "-c", "id -u; id -g; id -G; pwd; grep NoNewPrivs /proc/self/status | cut -f2; cat /proc/self/oom_score_adj"]
    wanted = ["1000", "1001", "1001 2000 2001", "/tmp", "1", "500"]
    tap.is_(d.good("exec_sync", id=c, argv=who)["output"].splitlines(), wanted, "exec_sync runs as the container does")
    tap.is_(d.good("exec", id=c, argv=who)["output"].splitlines(), wanted, "so does exec")
    tap.is_(d.good("exec", id=c, argv=who, tty=True)["output"].splitlines(), wanted, "also at a terminal")
    terms = [d.good("exec", id=c, argv=["sh", "-c", "echo +$TERM"], tty=tty)["output"].strip() for tty in (False, True)]
    tap.is_(terms, ["+", "+xterm"], "TERM is set for terminals alone")
    left = [name for name in os.listdir(f"{lab.folder}/run/pods/uid-11/{sandbox}/{c}") if name.startswith("exec-")]
    tap.is_(left, [], "files of commands go with them")
    took = sorted(d.good("exec_sync", id=c, argv=["true"])["us"] for _ in range(40))
    tap.diag(f"exec_sync of true: {took[0]} us at best, {took[20]} us in the middle")
    d.good("sandbox_remove", id=sandbox)


def removed_twice(d):
    """What stands in the queue behind a removal finds the container gone."""
    sandbox = d.pod(12)
    c = d.running(sandbox, ["sleep", "100"])
    tags = [d.send(op, id=c) for op in ("remove", "remove", "start", "update", "remove")]
    results = [d.wait(tag)["result"] for tag in tags]
    tap.is_(results, [0, 0, -errno.ENOENT, -errno.ENOENT, 0], "removing twice at once is fine; starting and updating what went is refused")
    d.good("sandbox_remove", id=sandbox)


def terminals(d, c):
    answer = d.good("exec", id=c, argv=["sh", "-c", "tty; read x; stty size; echo $TERM $x; exit 3"], tty=True, columns=91, input="typed\n")
    tap.is_((answer["code"], sorted(answer["output"].splitlines())), (3, ["/dev/pts/0", "24 91", "typed", "xterm typed"]),
            "a command may have a terminal of some size, which echoes")
    answer = d.ask("exec", id=c, argv=["no-such-command"], tty=True)
    tap.ok(answer["code"] and "no-such-command" in answer["output"], "a command that is not there is named there, too", answer)
    for tty in (False, True):
        d.good("exec", id=c, argv=["sh", "-c", "sleep 61; true"], tty=tty, hold=True)
        shown = d.good("exec_sync", id=c, argv=["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do ps | grep -q '[s]leep 61' && break; sleep 0.1; done; ps"])
        tap.like(shown["output"], "sleep 61", "it runs" + (" at its terminal" if tty else ""))
        d.good("abandon")
        left = d.good("exec_sync", id=c, argv=["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do ps | grep -q '[s]leep 61' || break; sleep 0.1; done; ps"])
        tap.ok("sleep 61" not in left["output"], "and ends with who asked for it, and so does what it began", left)


def logs(lab, d):
    sandbox = d.pod(5)
    long = "head -c 40000 /dev/zero | tr '\\0' x; echo; printf tail"
    c = d.running(sandbox, ["sh", "-c", long])
    d.until(c, "exited")
    pieces = [(line.split(" ", 3)[2], len(line.split(" ", 3)[3])) for line in lab.log(5).splitlines()]
    tap.is_(pieces, [("P", 16384), ("P", 16384), ("F", 7232), ("F", 4)], "long lines are cut, and a last one without newline is kept")
    c = d.running(sandbox, ["sh", "-c", "i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); sleep 0.01; done"], log="r/0.log")
    path = f"{lab.folder}/log/5/r/0.log"
    while not os.path.exists(path) or os.path.getsize(path) < 500:
        pass
    os.rename(path, path + ".1")
    d.good("reopen", id=c)
    d.until(c, "exited")
    with open(path + ".1", encoding="utf-8") as old, open(path, encoding="utf-8") as new:
        first, second = old.read().splitlines(), new.read().splitlines()
    tap.is_([int(line.split()[3]) for line in first + second], list(range(100)), "rotation loses and doubles nothing")
    tap.ok(first and second, "and the new file is written after it")
    d.good("sandbox_remove", id=sandbox)


def shared_pid(lab, d):
    sandbox = d.pod(6, pid=0)
    d.running(sandbox, ["sleep", "77"], log="a/0.log")
    b = d.running(sandbox, ["sh", "-c", "sleep 0.1 & ps"], log="b/0.log")
    d.until(b, "exited")
    tap.like(lab.log(6, "b/0.log"), r"sleep 77", "containers of a shared pid namespace see each other")
    answer = d.good("exec_sync", id=d.ask("list", uid="uid-6")["containers"][0]["id"], argv=["sh", "-c", "ps | grep -c 'sleep [0]'"])
    tap.is_(answer["output"].strip(), "0", "what a container left there ends with it")
    tracer = d.running(sandbox, ["sleep", "100"], add=["SYS_PTRACE"], log="t/0.log")
    look = ["sh", "-c", "ls -a /proc/1/root/; for i in /proc/1/fd/*; do [ -d $i/.. ] && ls $i/..; done; cat /proc/1/comm; grep -E '^(Uid|CapPrm|CapBnd|NoNewPrivs)' /proc/1/status"]
    answer = d.good("exec_sync", id=tracer, argv=look)
    wanted = [".", "..", "fairlead-shim", "Uid: 65534 65534 65534 65534"] + [f"{key}: {0:016x}" for key in ("CapPrm", "CapBnd")] + ["NoNewPrivs: 1"]
    tap.is_([" ".join(line.split()) for line in answer["output"].splitlines()], wanted, "who may trace the first process finds an empty root there")
    d.good("sandbox_remove", id=sandbox)


def adoption(lab, d):
    sandbox = d.pod(7)
    run = d.running(sandbox, ["sh", "-c", "trap 'exit 5' TERM; while :; do echo tick; sleep 0.02; done"])
    short = d.running(sandbox, ["sh", "-c", "sleep 0.3; exit 9"], log="s/0.log")
    made = d.container(sandbox, ["sh", "-c", "exit 6"], log="m/0.log")
    pids = {i: d.status(i)["pid"] for i in (run, short, made)}
    d.kill()
    stale = f"{lab.folder}/state/containers/{'5a' * 32}"
    os.makedirs(f"{stale}/upper/tmp")
    size = os.path.getsize(f"{lab.folder}/log/7/c/0.log")
    while os.path.exists(f"/proc/{pids[short]}/root/bin"):
        pass
    d = podlab.Driver(lab)
    status = d.status(run)
    tap.is_((status["state"], status["pid"]), ("running", pids[run]), "after kill -9 a container still is the same process")
    tap.ok(os.path.getsize(f"{lab.folder}/log/7/c/0.log") > size, "that went on writing its log")
    status = d.until(short, "exited")
    tap.is_(status["code"], 9, "one that ended meanwhile left its code")
    tap.is_(d.status(made)["state"], "created", "one that was only created waits to be started")
    d.good("start", id=made)
    tap.is_(d.until(made, "exited")["code"], 6, "and is, by the next one")
    tap.is_([s["ready"] for s in d.ask("list", uid="uid-7")["sandboxes"]], [True], "the sandbox is ready as before")
    lab.until(lambda: not os.path.exists(stale))
    d.good("exec_sync", id=run, argv=["sh", "-c", "echo written >/tmp/file"])
    tap.ok(os.path.exists(f"{lab.folder}/state/containers/{run}/upper/tmp/file"), "what containers wrote that nobody has goes; what runs keeps its own")
    d.good("stop", id=run, grace=5000)
    tap.is_(d.status(run)["code"], 5, "stopping works as before")
    d.good("sandbox_remove", id=sandbox)
    return d


def killed_anywhere(lab, d):
    """kill -9 at many moments of a pod's making and going: what is found can be removed, and nothing else is there."""
    for i in range(24):
        d.send("run", **lab.pod(100 + i))
        lab.sleep(0.0007 * i)
        listed = {}
        if i >= 8:
            while not listed.get("sandboxes") or not listed["sandboxes"][0]["ready"]:
                listed = d.ask("list", uid=f"uid-{100 + i}")
            sandbox = listed["sandboxes"][0]["id"]
            d.send("create", sandbox=sandbox, image=lab.image, argv=["sleep", "100"])
            lab.sleep(0.0006 * (i - 8))
        if i >= 16:
            d.send("sandbox_remove", id=sandbox)
            lab.sleep(0.0015 * (i - 16))
        d.kill()
        d = podlab.Driver(lab)
    for s in d.ask("list")["sandboxes"]:
        d.good("sandbox_stop", id=s["id"])
        d.good("sandbox_remove", id=s["id"])
    d.good("collect")
    return d


def lost_shim(lab, d):
    sandbox = d.pod(8)
    c = d.running(sandbox, ["sleep", "100"])
    pid = d.status(c)["pid"]
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        shim = int(file.read().split(")")[1].split()[1])
    os.kill(shim, 9)
    d.until(c, "unknown")
    lab.until(lambda: not os.path.exists(f"/proc/{pid}/root/bin"))
    tap.ok(True, "a container that lost its shim does not go on unseen")
    with open(f"{lab.folder}/run/pods/uid-8/{sandbox}/holder", encoding="utf-8") as file:
        os.kill(int(file.read()), 9)
    lab.until(lambda: not d.ask("list", uid="uid-8")["sandboxes"][0]["ready"])
    tap.ok("uid-8" in d.changes, "a sandbox that lost its holder is told of")
    d.good("sandbox_remove", id=sandbox)


def hundred(lab, d):
    import time
    begin = time.monotonic()
    sandboxes = [d.send("run", **lab.pod(200 + i)) for i in range(100)]
    sandboxes = [d.wait(tag)["id"] for tag in sandboxes]
    made = [d.wait(t)["id"] for t in [d.send("create", sandbox=s, image=lab.image, argv=["sleep", "1000"]) for s in sandboxes]]
    results = [d.wait(t)["result"] for t in [d.send("start", id=c) for c in made]]
    took = time.monotonic() - begin
    states = [c["state"] for c in d.ask("list")["containers"]]
    tap.is_((results, states), ([0] * 100, ["running"] * 100), "a hundred pods run")
    tap.ok(took < 20, f"after {took:.2f} s", took)
    tap.diag(f"shim and holder of a pod: {lab.pss('fairlead-shim') / 100:.0f} KiB PSS; the driver: {lab.rss(d.process.pid)} KiB RSS")
    removed = [d.wait(t, 60)["result"] for t in [d.send("sandbox_remove", id=s) for s in sandboxes]]
    tap.is_(removed, [0] * 100, "and are removed")


def story(lab):
    d = podlab.Driver(lab)
    first_container(lab, d)
    before = lab.things()
    for part in (isolation, ends, whole_pods, devices, talks, alike, logs, shared_pid, lost_shim):
        part(lab, d)
    removed_twice(d)
    d = adoption(lab, d)
    tap.is_(lab.settled(before), before, "nothing is left behind: no process, mount, namespace, group or file")
    d = killed_anywhere(lab, d)
    tap.is_(lab.settled(before), before, "nor after kill -9 at 24 moments")
    hundred(lab, d)
    tap.is_(lab.settled(before), before, "nor after a hundred pods")
    d.end()


if __name__ == "__main__":
    podlab.main(story)
